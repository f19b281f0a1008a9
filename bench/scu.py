"""A DICOM client that costs next to nothing: C-STORE and C-FIND over one association (PS3.7, PS3.8).

For what DCMTK's tools cannot do: objects that lie in no file, latencies to the tenth of a millisecond.
"""
import socket
import struct

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
STUDY_ROOT_FIND, STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"


def item(kind, value):
    return struct.pack(">BxH", kind, len(value)) + value


def command_set(**elements):
    """(0000,xxxx) elements in Implicit VR Little Endian, their group length in front."""
    body = b""
    for number, value in sorted((int(name[1:], 16), value) for name, value in elements.items()):
        value = struct.pack("<H", value) if isinstance(value, int) else even(value.encode(), b"\0")
        body += struct.pack("<HHI", 0, number, len(value)) + value
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def even(value, pad):
    return value + pad if len(value) % 2 else value


class Association:
    """`contexts`: pairs of abstract and transfer syntax; what was accepted is in `ids`."""

    def __init__(self, server, contexts, calling="BENCH"):
        self.socket = socket.create_connection(("127.0.0.1", server.dimse), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 17)
        self.message = 0
        items = item(0x10, b"1.2.840.10008.3.1.1.1")
        for number, (abstract, transfer) in enumerate(contexts):
            items += item(0x20, bytes([2 * number + 1, 0, 0, 0]) + item(0x30, abstract.encode()) + item(0x40, transfer.encode()))
        items += item(0x50, item(0x51, struct.pack(">I", 131072)) + item(0x52, b"1.2.826.0.1.3680043.8.498.90.0"))
        body = struct.pack(">Hxx16s16s32x", 1, server.aet.ljust(16).encode(), calling.ljust(16).encode()) + items
        self.socket.sendall(struct.pack(">BxI", 1, len(body)) + body)
        kind, body = self.read()
        if kind != 2:
            raise ConnectionError(f"association refused: PDU {kind} {body[:4].hex()}")
        self.ids, self.most = {}, 16384
        at = 68
        while at < len(body):
            kind, length = struct.unpack_from(">BxH", body, at)
            value, at = body[at + 4:at + 4 + length], at + 4 + length
            if kind == 0x21 and value[2] == 0:
                self.ids[contexts[value[0] // 2][0]] = value[0]
            if kind == 0x50 and value[:1] == b"\x51":
                self.most = struct.unpack_from(">I", value, 4)[0] or 131072

    def read(self):
        kind, length = struct.unpack(">BxI", self.file.read(6))
        return kind, self.file.read(length)

    def send(self, context, flags, data):
        self.socket.sendall(struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, context, flags))
        self.socket.sendall(data)

    def send_all(self, context, pieces):
        """A data set in pieces of bytes, each PDU as large as the server takes."""
        room = min(self.most, 131072) - 6
        kept = b""
        for piece in pieces:
            data = memoryview(kept + piece if kept else piece)
            # The last PDU has a flag of its own, so something is always kept back.
            while len(data) > room:
                self.send(context, 0, data[:room])
                data = data[room:]
            kept = bytes(data)
        self.send(context, 2, kept)

    def responses(self):
        """Command sets as status and the data set that comes with each."""
        command, data = b"", b""
        while True:
            kind, body = self.read()
            if kind != 4:
                raise ConnectionError(f"PDU {kind} {body[:4].hex()}")
            at = 0
            while at < len(body):
                length, _, flags = struct.unpack_from(">IBB", body, at)
                value, at = body[at + 6:at + 4 + length], at + 4 + length
                if flags & 1:
                    command += value
                else:
                    data += value
                if flags & 2:
                    fields = elements(command)
                    if flags & 1 and fields[0x0800] != b"\x01\x01":
                        continue
                    yield struct.unpack("<H", fields[0x0900])[0], data
                    command, data = b"", b""

    def store(self, sop_class, uid, pieces):
        """The status."""
        self.message = self.message % 65535 + 1
        context = self.ids[sop_class]
        self.send(context, 3, command_set(x0002=sop_class, x0100=0x0001, x0110=self.message, x0700=0, x0800=0, x1000=uid))
        self.send_all(context, pieces)
        return next(self.responses())[0]

    def find(self, identifier):
        """How many answers an identifier in Implicit VR Little Endian has."""
        self.message = self.message % 65535 + 1
        context = self.ids[STUDY_ROOT_FIND]
        self.send(context, 3, command_set(x0002=STUDY_ROOT_FIND, x0100=0x0020, x0110=self.message, x0700=0, x0800=0))
        self.send_all(context, [identifier])
        found = 0
        for status, _ in self.responses():
            if status == 0:
                return found
            if status not in (0xFF00, 0xFF01):
                raise ConnectionError(f"C-FIND status {status:04X}")
            found += 1

    def release(self):
        self.socket.sendall(struct.pack(">BxI4x", 5, 4))
        self.read()
        self.socket.close()


def elements(command):
    fields, at = {}, 0
    while at < len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        fields[number], at = command[at + 8:at + 8 + length], at + 8 + length
    return fields
