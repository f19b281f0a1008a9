"""Generated DICOM objects that lie in no file. All UIDs are below pydicom's own root; nobody in them exists."""
import functools
import glob
import random
import struct
import threading
import time

import lab
import scu

ROOT = "1.2.826.0.1.3680043.8.498.90"
CT, MR, DX, US, NM, WORD = ("1.2.840.10008.5.1.4.1.1." + end for end in ("2", "4", "1.1", "6.1", "20", "7.3"))
CLASSES = {"CT": CT, "MR": MR, "DX": DX, "US": US, "NM": NM}
MODALITIES = ["CT", "CT", "CT", "MR", "DX", "DX", "US", "NM"]
SURNAMES = ("Wang王 Li李 Zhang张 Liu刘 Chen陈 Yang杨 Zhao赵 Huang黄 Zhou周 Wu吴 Xu徐 Sun孙 Hu胡 Zhu朱 Gao高 Lin林 He何 Guo郭 Ma马 Luo罗 "
            "Liang梁 Song宋 Zheng郑 Xie谢 Han韩 Tang唐 Feng冯 Yu于 Dong董 Xiao萧 Cheng程 Cao曹 Yuan袁 Deng邓 Fu傅 Shen沈 Zeng曾 Peng彭 "
            "Lv吕 Su苏 Lu卢 Jiang蒋 Cai蔡 Jia贾 Ding丁 Wei魏 Xue薛 Ye叶").split()
GIVEN = ("xiao晓 ming明 ying影 fang芳 wei伟 na娜 jie杰 qiang强 li丽 jun军 yan燕 tao涛 hua华 bo波 lan兰 yu雨 chun春 gang刚 hong红 "
         "lei磊 mei梅 ning宁 ping平 qing清").split()
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT"}


def element(tag, vr, value):
    """In Explicit VR Little Endian."""
    value = value.encode() if isinstance(value, str) else value
    value = scu.even(value, b"\0" if vr in (b"UI", b"OB", b"OW") else b" ")
    form = "<HH2sxxI" if vr in LONG else "<HH2sH"
    return struct.pack(form, tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def part10(sop_class, uid, data_set, syntax=scu.EXPLICIT):
    meta = element(0x00020001, b"OB", b"\0\1") + element(0x00020002, b"UI", sop_class) + element(0x00020003, b"UI", uid)
    meta += element(0x00020010, b"UI", syntax) + element(0x00020012, b"UI", f"{ROOT}.0")
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + data_set


class Tiny:
    """Study `n` of `total` over five years, one image of 16 x 16 each, about 2.5 studies a patient."""

    def __init__(self, total, run=0):
        self.total, self.run = total, run

    def __call__(self, n):
        # Spread, so that neighbours in time share nothing else.
        h = n * 2654435761 % (1 << 32)
        patient = h % max(1, self.total * 2 // 5)
        p = patient * 2246822519 % (1 << 32)
        surname, first, second = SURNAMES[(p >> 24) % 48], GIVEN[(p >> 16) % 24], GIVEN[(p >> 8) % 24]
        latin = f"{surname[:-1]}^{first[:-1].capitalize()}{second[:-1]}"
        chinese = f"{surname[-1]}^{first[-1]}{second[-1]}"
        study = f"{ROOT}.7.{self.run}.{n + 1}"
        return {"n": n, "study": study, "uid": f"{study}.1.1", "patient": f"P{self.run}{patient:08d}", "accession": f"A{self.run}{n:09d}",
                # Each third one has only the characters, as many information systems send it.
                "latin": latin, "chinese": chinese, "name": chinese if patient % 3 == 0 else f"{latin}={chinese}",
                "modality": MODALITIES[(h >> 16) % 8], "date": day(n * DAYS // self.total)}

    def object(self, n):
        """SOP class, SOP instance UID, data set."""
        one = self(n)
        sop_class = CLASSES[one["modality"]]
        return sop_class, one["uid"], b"".join([
            element(0x00080005, b"CS", "ISO_IR 192"), element(0x00080016, b"UI", sop_class), element(0x00080018, b"UI", one["uid"]),
            element(0x00080020, b"DA", one["date"]), element(0x00080030, b"TM", f"{7 + n % 12:02d}{n % 60:02d}00"),
            element(0x00080050, b"SH", one["accession"]), element(0x00080060, b"CS", one["modality"]), FIXED_8,
            element(0x00100010, b"PN", one["name"]), element(0x00100020, b"LO", one["patient"]), FIXED_10,
            element(0x0020000D, b"UI", one["study"]), element(0x0020000E, b"UI", one["study"] + ".1"), FIXED_20])


DAYS = 5 * 12 * 28


def day(k):
    return f"{2020 + k // 336:04d}{1 + k // 28 % 12:02d}{1 + k % 28:02d}"


FIXED_8 = element(0x00080090, b"PN", "REF^DOC") + element(0x00081030, b"LO", "CHEST")
FIXED_10 = element(0x00100030, b"DA", "19600102") + element(0x00100040, b"CS", "F")
FIXED_20 = b"".join([
    element(0x00200010, b"SH", "1"), element(0x00200011, b"IS", "1"), element(0x00200013, b"IS", "1"),
    element(0x00280002, b"US", b"\1\0"), element(0x00280004, b"CS", "MONOCHROME2"), element(0x00280010, b"US", b"\x10\0"),
    element(0x00280011, b"US", b"\x10\0"), element(0x00280100, b"US", b"\x10\0"), element(0x00280101, b"US", b"\x10\0"),
    element(0x00280102, b"US", b"\x0f\0"), element(0x00280103, b"US", b"\1\0"), element(0x7FE00010, b"OW", bytes(range(256)) * 2)])


def multiframe(number, frames):
    """An object of so many frames of 512 x 512 x 16 bit: SOP class, SOP instance UID, pieces of the data set, the last frame."""
    study = f"{ROOT}.8.{number + 1}"
    frame = random.Random(number).randbytes(512 * 512 * 2)
    last = frame[::-1]
    length = len(frame) * frames
    head = b"".join([
        element(0x00080005, b"CS", "ISO_IR 192"), element(0x00080016, b"UI", WORD), element(0x00080018, b"UI", study + ".1.1"),
        element(0x00080020, b"DA", "20240102"), element(0x00080030, b"TM", "101500"), element(0x00080060, b"CS", "XA"),
        element(0x00100010, b"PN", f"LARGE{number}^ONE"), element(0x00100020, b"LO", f"L{number}"),
        element(0x0020000D, b"UI", study), element(0x0020000E, b"UI", study + ".1"), element(0x00200011, b"IS", "1"),
        element(0x00200013, b"IS", "1"), element(0x00280002, b"US", b"\1\0"), element(0x00280004, b"CS", "MONOCHROME2"),
        element(0x00280008, b"IS", str(frames)), element(0x00280010, b"US", b"\0\2"), element(0x00280011, b"US", b"\0\2"),
        element(0x00280100, b"US", b"\x10\0"), element(0x00280101, b"US", b"\x10\0"), element(0x00280102, b"US", b"\x0f\0"),
        element(0x00280103, b"US", b"\0\0"), struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", length)])

    def pieces():
        yield head
        for _ in range(frames - 1):
            yield frame
        yield last

    return WORD, study + ".1.1", pieces(), last


class Slices:
    """The CT of a folder of gen_ct.py in memory, as often as wanted under UIDs of their own."""

    def __init__(self, data, count=500):
        self.sets = []
        for path in sorted(glob.glob(f"{data}/*/*.dcm"))[:count]:
            file = open(path, "rb").read()
            self.sets.append(file[144 + int.from_bytes(file[140:144], "little"):])

    def __call__(self, copy, n):
        """Image `n` in copy number `copy` (below 800): SOP class, SOP instance UID, data set."""
        data = self.sets[n % len(self.sets)]
        head, pixels = data[:4096], data[4096:]
        # The same length, so that no other byte changes: the last arc of the root and the generator's seed.
        arcs = f"{10 + copy // 10:02d}.{copy % 10}"
        head = head.replace(f"{ROOT}.1.".encode(), f"{ROOT[:-2]}{arcs}.".encode())
        at = head.index(b"\x08\x00\x18\x00UI")
        uid = head[at + 8:at + 8 + struct.unpack_from("<H", head, at + 6)[0]].rstrip(b"\0").decode()
        return CT, uid, [head, pixels]


class Senders:
    """Associations that store one object after another until told to end, and what was acknowledged when."""

    def __init__(self, server, objects, associations=4, classes=(CT,)):
        """`objects`: an iterator over SOP class, UID, pieces (or one data set), shared by the associations."""
        self.server, self.objects, self.classes = server, objects, classes
        self.lock, self.ended, self.acknowledged, self.refused = threading.Lock(), threading.Event(), [], []
        self.threads = [threading.Thread(target=self.work) for _ in range(associations)]
        self.broken = []

    def work(self):
        try:
            association = scu.Association(self.server, [(c, scu.EXPLICIT) for c in self.classes])
            while not self.ended.is_set():
                with self.lock:
                    one = next(self.objects, None)
                if one is None:
                    break
                sop_class, uid, data = one
                status = association.store(sop_class, uid, [data] if isinstance(data, bytes) else data)
                (self.acknowledged if status == 0 else self.refused).append((time.time(), uid))
            association.release()
        except (OSError, struct.error) as error:
            self.broken.append(error)

    def start(self):
        self.begun = time.time()
        for thread in self.threads:
            thread.start()
        return self

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.broken:
            raise self.broken[0]
        return self

    def stop(self):
        self.ended.set()
        return self.join()

    def rate(self, begin, end):
        return sum(begin <= at < end for at, _ in self.acknowledged) / (end - begin)


def send(server, objects, associations=4, classes=(CT,)):
    """All of `objects`, metered."""
    with lab.ProcMeter(server.pids) as meter:
        senders = Senders(server, iter(objects), associations, classes).start().join()
    if senders.refused:
        lab.fault(server, f"{len(senders.refused)} objects were refused")
    count = len(senders.acknowledged)
    return {"img_s": round(count / meter.wall, 1), "wall_s": round(meter.wall, 2), "peak_rss_mb": round(meter.peak / 1e6, 1),
            "srv_cpu_per_1000": round(meter.cpu / max(1, count) * 1000, 2), "rc": [len(senders.refused)]}


def stow_tiny(server, tiny, numbers, clients=4, batch=500):
    """Tiny studies in batches by STOW-RS."""
    def files(chunk):
        return [part10(sop_class, uid, data) for sop_class, uid, data in map(tiny.object, chunk)]
    return lab.stow(server, [functools.partial(files, numbers[i:i + batch]) for i in range(0, len(numbers), batch)], clients)
