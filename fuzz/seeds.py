#!/usr/bin/env python3
"""Seeds for the fuzz targets. Without an argument: the small, made-up ones, into seeds/, which is in the repository.
With a folder: those cut from the DICOM files that pydicom packages, into that folder, one folder per target."""
import hashlib
import os
import struct
import sys
import zlib
from pathlib import Path

EXPLICIT, IMPLICIT, BIG, JPEG = range(4)
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"]
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def put(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


# --- data sets ---

def element(tag, vr, value, kind=EXPLICIT, undefined=False):
    order = ">" if kind == BIG else "<"
    if isinstance(value, str):
        value = value.encode()
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    length = 0xFFFFFFFF if undefined else len(value)
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if kind == IMPLICIT:
        return head + struct.pack("<I", length) + value
    if vr in LONG:
        return head + vr.encode() + b"\0\0" + struct.pack(order + "I", length) + value
    return head + vr.encode() + struct.pack(order + "H", length) + value


def item(value, kind=EXPLICIT, undefined=False):
    order = ">" if kind == BIG else "<"
    end = struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0) if undefined else b""
    return struct.pack(order + "HHI", 0xFFFE, 0xE000, 0xFFFFFFFF if undefined else len(value)) + value + end


def sequence(tag, items, kind=EXPLICIT, undefined=False):
    order = ">" if kind == BIG else "<"
    end = struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0) if undefined else b""
    return element(tag, "SQ", b"".join(items) + end, kind, undefined)


def data_set(kind, charset="ISO_IR 192", name="Zhang^San=张^三".encode(), undefined=True, pixels=True):
    e = lambda tag, vr, value: element(tag, vr, value, kind)
    us = lambda tag, value: e(tag, "US", struct.pack(">H" if kind == BIG else "<H", value))
    step = e(0x00400009, "SH", "SPS1") + e(0x00401001, "SH", "RP1")
    code = e(0x00080100, "SH", "CT1") + e(0x00080104, "LO", "平扫")
    out = b"".join([
        e(0x00080005, "CS", charset),
        e(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        e(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
        e(0x00080018, "UI", "1.2.3.4.5"),
        e(0x00080020, "DA", "20260302"),
        e(0x00080030, "TM", "083015.5"),
        e(0x00080050, "SH", "A2603020001"),
        e(0x00080060, "CS", "CT"),
        e(0x00081030, "LO", "Head"),
        sequence(0x00081032, [item(code, kind), item(code, kind, True)], kind, undefined),
        element(0x00091001, "UN", item(element(0x00100020, "LO", "P2", IMPLICIT)) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
                kind, True) if kind == EXPLICIT else b"",
        e(0x00100010, "PN", name),
        e(0x00100020, "LO", "P1"),
        e(0x00100030, "DA", "19900307"),
        e(0x0020000D, "UI", "1.2.3.4"),
        e(0x0020000E, "UI", "1.2.3.4.1"),
        e(0x00200013, "IS", "1"),
        e(0x00200032, "DS", "-1.5\\2\\3e1"),
        us(0x00280002, 1),
        e(0x00280008, "IS", "2"),
        us(0x00280010, 2), us(0x00280011, 2), us(0x00280100, 16), us(0x00280103, 1),
        e(0x00280120, "SS", b"\x30\xf8"),
        e(0x00281050, "DS", "40\\400"),
        sequence(0x00400275, [item(step, kind)], kind, not undefined),
    ])
    if pixels:
        out += e(0x7FE00010, "OW", bytes(range(16)))
    return out


def encapsulated():
    parts = item(struct.pack("<II", 0, 20)) + b"".join(item(b"\xff\xd8" + bytes(8) + b"\xff\xd9") for _ in range(2))
    return data_set(JPEG, pixels=False) + element(0x7FE00010, "OB", parts + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), JPEG, True)


def part10(syntax, body):
    meta = b"".join([
        element(0x00020001, "OB", b"\0\1"), element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2"),
        element(0x00020003, "UI", "1.2.3.4.5"), element(0x00020010, "UI", syntax), element(0x00020016, "AE", "CT01"),
    ])
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body


# --- the network ---

def pdu(kind, body):
    return bytes([kind, 0]) + struct.pack(">I", len(body)) + body


def sub_item(kind, value):
    return bytes([kind, 0]) + struct.pack(">H", len(value)) + value


def associate(kind):
    body = b"\0\1\0\0" + b"MINGYING".ljust(16) + b"CT01".ljust(16) + bytes(32)
    body += sub_item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, abstract in ((1, b"1.2.840.10008.1.1"), (3, b"1.2.840.10008.5.1.4.1.1.2")):
        syntax = sub_item(0x40, b"1.2.840.10008.1.2")
        if kind == 1:
            body += sub_item(0x20, bytes([number, 0, 0, 0]) + sub_item(0x30, abstract) + syntax + sub_item(0x40, b"1.2.840.10008.1.2.1"))
        else:
            body += sub_item(0x21, bytes([number, 0, 3 if number == 3 else 0, 0]) + syntax)
    user = sub_item(0x51, struct.pack(">I", 16384)) + sub_item(0x52, b"1.2.3") + sub_item(0x53, b"\0\1\0\1") + sub_item(0x55, b"MADE_UP")
    return pdu(kind, body + sub_item(0x50, user))


def command(fields):
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in fields)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def us(value):
    return struct.pack("<H", value)


ECHO = command([(2, b"1.2.840.10008.1.1\0"), (0x100, us(0x30)), (0x110, us(1)), (0x800, us(0x101))])
STORE = command([(2, b"1.2.840.10008.5.1.4.1.1.2\0"), (0x100, us(1)), (0x110, us(7)), (0x700, us(0)), (0x800, us(0)),
                 (0x1000, b"1.2.3.4.5\0")])
MOVE = command([(2, b"1.2.840.10008.5.1.4.1.2.2.2\0"), (0x100, us(0x21)), (0x110, us(9)), (0x600, b"PACS2 "), (0x700, us(0)),
                (0x800, us(0))])
ANSWER = command([(2, b"1.2.840.10008.5.1.4.1.1.2\0"), (0x100, us(0x8001)), (0x120, us(7)), (0x800, us(0x101)), (0x900, us(0)),
                  (0x1000, b"1.2.3.4.5\0")])


def pdv(context, control, value):
    return struct.pack(">IBB", len(value) + 2, context, control) + value


def network():
    image = data_set(IMPLICIT)
    yield "echo", b"\xff" + associate(1) + pdu(4, pdv(1, 3, ECHO)) + pdu(5, bytes(4))
    yield "store", b"\x06" + associate(1) + pdu(4, pdv(3, 1, STORE[:20]) + pdv(3, 3, STORE[20:])) + \
        pdu(4, pdv(3, 0, image[:100])) + pdu(4, pdv(3, 0, image[100:200]) + pdv(3, 2, image[200:])) + pdu(7, bytes(4))
    yield "accept", b"\x20" + associate(2) + pdu(4, pdv(3, 3, ANSWER)) + pdu(6, bytes(4))
    yield "reject", b"\x01" + pdu(3, b"\0\1\1\3")


# --- HL7 ---

ADT = "MSH|^~\\&|HIS|MAIN|MINGYING|RAD|20260302080000||ADT^A04^ADT_A01|42|P|2.5.1||||||{}\rEVN|A04|20260302080000\r" \
    "PID|1||P100^^^&1.2.3.4&ISO^MR||张三^^^^^^^I~Zhang^San^^^^^^A||19900307|M|||测试路1号^^虚构市||13800000000\rPV1|1|O|门诊^1^2||||D1^李^医生\r"
OMI = "MSH|^~\\&|HIS|MAIN|MINGYING|RAD|20260302080000||OMI^O23^OMI_O23|77|P|2.5.1||||||UNICODE UTF-8\r" \
    "PID|1||P100^^^&1.2.3.4&ISO^MR~110101199003078515^^^&2.16.156.10011.1.3&ISO^NI||张三||19900307|M\rPV1|1|I|内科^12^3|||||D1^李^医生\r" \
    "ORC|NW|PL-9^HIS||||||||||D1^李^医生|||||N1^神经内科\rTQ1|1||||||20260302093000||S\r" \
    "OBR|1|PL-9||CT-HEAD^颅脑CT平扫|||||||||头痛\\F\\3天\\.br\\次行||||||||||||||||||^排除出血\rDG1|1||R51^头痛\r" \
    "IPC|A2603020001|RP1|1.2.3.4.5|SPS1|CT|||ROOM1|CT01\r"
ORM = "MSH|^~\\&|HIS||MINGYING||20260302||ORM^O01|78|P|2.3\nPID|1||P1||Doe^John||19700101|M\nORC|CA|PL-9\nOBR|1|PL-9||CT-HEAD\n"


# --- packs ---

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def record(kind, meta, payload, head=0, sums=True):
    header = struct.pack("<4sBBxxIIQ16s", b"MYR\x01", kind, sums, len(meta), head, len(payload), bytes(16)).ljust(60, b"\0")
    header += struct.pack("<I", crc32c(header))
    sha = hashlib.sha256(payload[head:]).digest()
    checks = b"".join(struct.pack("<I", crc32c(payload[at:at + 32768])) for at in range(0, len(payload), 32768)) if sums else b""
    total = struct.pack("<Q", 64 + len(meta) + len(checks) + len(payload) + 48)
    crc = crc32c(meta + checks + sha + total if sums else meta + payload)
    return header + meta + checks + payload + struct.pack("<I", crc) + sha + total + b"\x01RYM"


def frame_index(frames):
    out = struct.pack("<I", len(frames))
    for fragments in frames:
        out += struct.pack("<I", len(fragments)) + b"".join(struct.pack("<QI", at, length) for at, length in fragments)
    return out


def made_up(root):
    for kind, name in ((EXPLICIT, "explicit"), (IMPLICIT, "implicit"), (BIG, "big")):
        for undefined in (True, False):
            seed = bytes([kind]) + data_set(kind, undefined=undefined)
            put(root / "dicom_data_set", f"{name}-{'undefined' if undefined else 'defined'}", seed)
        put(root / "archive_header", name, bytes([kind]) + data_set(kind))
    put(root / "archive_header", "encapsulated", bytes([JPEG]) + encapsulated())
    put(root / "dicom_data_set", "gb", b"\0" + data_set(EXPLICIT, "GB18030", "Zhang^San=张^三".encode("gb18030")))
    put(root / "dicom_data_set", "mislabelled", b"\0" + data_set(EXPLICIT, "ISO_IR 100", "张^三".encode("gb18030")))
    small = data_set(EXPLICIT).replace(b"1.2.3.4.5\0", b"1.2.3\0", 1).replace(struct.pack("<HH", 8, 0x18) + b"UI\x0a", struct.pack("<HH", 8, 0x18) + b"UI\x06", 1)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    put(root / "archive_deflated", "deflated", packer.compress(small) + packer.flush())
    put(root / "archive_frames", "two", frame_index([[(108, 20), (136, 6)], [(150, 9)]]))
    put(root / "archive_frames", "none", frame_index([]))
    for kind, name in ((EXPLICIT, "explicit"), (IMPLICIT, "implicit")):
        put(root / "dicomweb_json", name, bytes([kind]) + data_set(kind, pixels=False) + element(0x00880200, "OB", bytes(1100), kind))
        put(root / "dicom_part10", name, part10(SYNTAXES[kind], data_set(kind, pixels=False)[:60]))
        identifier = b"".join(element(tag, vr, value, kind) for tag, vr, value in (
            (0x00080005, "CS", "ISO_IR 192"), (0x00080052, "CS", "STUDY"), (0x00100010, "PN", "张*".encode()),
            (0x0020000D, "UI", "1.2.3\\1.2.4"), (0x00280010, "US", b"\0\2"), (0x00280009, "AT", b"\x18\0\x63\x10"), (0x00189087, "FD", bytes(7) + b"\x40")))
        put(root / "dimse_identifier", name, bytes([1 - kind]) + identifier +
            sequence(0x00400100, [item(element(0x00080060, "CS", "CT", kind) + element(0x00400002, "DA", "20260302-", kind), kind)], kind, True))
    for name, data in network():
        put(root / "dimse_pdu", name, data)
    for name, data in (("echo", ECHO), ("store", STORE), ("move", MOVE), ("answer", ANSWER)):
        put(root / "dimse_command", name, data)
    for name, term, value in (
            ("utf8", "ISO_IR 192", "Zhang^San=张^三".encode()), ("gb18030", "GB18030", "张^三丰𠮷".encode("gb18030")),
            ("gb2312", "\\ISO 2022 IR 58", b"Zhang^San=\x1b$)A\xd5\xc5^\x1b$)A\xc8\xfd"), ("mislabelled", "ISO_IR 100", "欧阳^娜娜".encode("gb18030")),
            ("none", "", "张三".encode()), ("kanji", "ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"),
            ("supplement", "\\ISO 2022 IR 87\\ISO 2022 IR 159", b"Buc^J=\x1b$(D0!\x1b(B"), ("korean", "\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
            ("greek", "ISO_IR 126", b"\xc4\xe9\xef\xed"), ("cyrillic", "ISO_IR 144", "Люк".encode("iso8859-5")), ("latin", "ISO_IR 100", "Äneas^Rüdiger".encode("latin-1")),
            ("arabic", "ISO_IR 127", "قباني".encode("iso8859-6")), ("hebrew", "ISO_IR 138", "שרון".encode("iso8859-8")), ("thai", "ISO_IR 166", "นาม".encode("cp874")),
            ("extended", "ISO 2022 IR 100\\ISO 2022 IR 144", b"D\xe9j\xe0 \x1b-L\xbb\xee\xda")):
        put(root / "dicom_charset", name, term.encode() + b"\n" + value)
    put(root / "hl7_message", "adt", ADT.format("UNICODE UTF-8").encode())
    put(root / "hl7_message", "adt-gb", ADT.format("GB 18030-2000").encode("gb18030"))
    put(root / "hl7_message", "omi", OMI.encode())
    put(root / "hl7_message", "orm", ORM.encode())
    put(root / "mllp_frames", "two", b"\x06\x0bMSH|^~\\&|A\r\x1c\r\x0bMSH|^~\\&|B\r\x1c\r")
    put(root / "mllp_frames", "noise", b"\x00\r\n \x0bA\x1c\r\nping\x0b\x0b\x1c\r\x0bunfinished")
    body = b"\r\n--b \t\r\nContent-Type: application/dicom;\r\n transfer-syntax=*\r\nX: y\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--c\r\n\r\n--b--\r\nend"
    put(root / "dicomweb_multipart", "parts", b"\x03b\nignored" + body)
    put(root / "dicomweb_multipart", "long", b"\x40----made-up 1\n------made-up 1\r\nContent-Type: application/dicom\r\n\r\n" + bytes(range(256)) * 8 + b"\r\n------made-up 1--")
    for name, text in (("dicom", 'multipart/related; type="application/dicom"; transfer-syntax=*, image/png;q=0.2, */*;q=0'),
                       ("json", "application/dicom+json, application/json;q=0.9"), ("quoted", 'multipart/related; type="a\\"b/c,;"; boundary="x y"')):
        put(root / "dicomweb_accept", name, text.encode())
    for name, text in (("study", "PatientName=%E5%BC%A0*&0020000D=1.2,1.3&includefield=00081030,Modality&limit=5&offset=2&_=9&fuzzymatching=true"),
                       ("range", "StudyDate=20260101-20260302&StudyTime=08:00-&ModalitiesInStudy=CT\\MR&PatientID=P?*&includefield=all"),
                       ("nested", "00400275.00401001=RP+1&SeriesNumber=3&accept=application/dicom%2Bjson")):
        put(root / "dicomweb_query", name, text.encode())
    two = record(1, b'{"v":1}', bytes(range(200)), 132) + record(2, b"{}", b"") + record(1, b"{}", b"of the first days", sums=False)
    put(root / "blob_scan", "two", two)
    put(root / "blob_scan", "torn", two[:-20])
    put(root / "blob_scan", "damaged", two.replace(bytes([100, 101]), b"??") + record(3, b"{}", two))
    put(root / "blob_scan", "skipped", b"MYR\x01junk" * 3 + two)
    put(root / "blob_encrypted", "flips", bytes([90, 0, 0, 1, 0, 200, 1, 0, 255, 0, 80, 0, 0, 2, 64 + 16]))


def packaged(root):
    """The first 64 KiB of what pydicom brings along, which holds every header."""
    import pydicom
    data = Path(pydicom.__file__).parent / "data"
    kinds = {syntax: kind for kind, syntax in enumerate(SYNTAXES)}
    for path in sorted([*data.glob("charset_files/*.dcm"), *data.glob("test_files/*.dcm")]):
        whole = path.read_bytes()
        put(root / "dicom_part10", path.name, whole[:1024])
        try:
            meta = pydicom.filereader.read_file_meta_info(path)
            at = 132 + 12 + meta.FileMetaInformationGroupLength
            kind = kinds.get(str(meta.TransferSyntaxUID), JPEG)
        except Exception:  # Some of them are damaged on purpose.
            continue
        body = whole[at:][:65536]
        put(root / "archive_header", path.name, bytes([kind]) + body)
        put(root / "dicom_data_set", path.name, bytes([kind if kind < JPEG else EXPLICIT]) + body)
        if kind != BIG:
            put(root / "dicomweb_json", path.name, bytes([int(kind == IMPLICIT)]) + body)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        packaged(Path(sys.argv[1]))
    else:
        made_up(Path(os.path.dirname(os.path.abspath(__file__))) / "seeds")
