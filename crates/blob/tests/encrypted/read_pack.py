"""Reads a pack with nothing of the product: PACK KEYFILE, plain or encrypted.

Prints a line for each record: where it begins, its kind, its meta, the SHA-256 of its content and the length of its head.
Fails on anything that is not as crates/blob/src/record.rs and crypt.rs say, but for the CRCs, which it does not look at.
It reads a pack into memory and looks for nothing behind damage: a proof of the format, and a last resort.
"""

import hashlib
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SEGMENT = 32 << 10
NAMES = {1: "aes-256-gcm", 2: "sm4-gcm"}


def gcm(code, secret, nonce, extra, text, tag):
    algorithm = algorithms.AES(secret) if code == 1 else algorithms.SM4(secret[:16])
    decryptor = Cipher(algorithm, modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(extra)
    return decryptor.update(text) + decryptor.finalize()


def master_key(path):
    lines = [line.strip() for line in open(path)]
    (digits,) = [line for line in lines if line and not line.startswith("#")]
    return bytes.fromhex(digits)


def read(pack, master):
    magic, version = struct.unpack_from("<8sI", pack)
    (pack_id,) = struct.unpack_from("<Q", pack, 16)
    assert magic == b"MYPACK\0\x01" and version in (1, 2)
    key_id = hashlib.sha256(b"mingying key id\0" + master).digest()[:8]
    assert version == 1 or pack[48:56] == key_id, "another key"
    at = 64
    while at < len(pack):
        header = pack[at : at + 64]
        magic, kind, flags, meta_len, head_len, payload_len, there, place = struct.unpack_from("<4sBBxxIIQQQ", header)
        assert magic == b"MYR\x01" and (there, place) == (pack_id, at)
        meta_at = at + 64
        behind = meta_at + meta_len
        meta = pack[meta_at:behind]
        segments = -(-payload_len // SEGMENT)
        if flags & 4:
            block = pack[behind : behind + 168]
            code, nonce = block[100], block[80:92]
            wrapping = hashlib.sha256(b"mingying wrap " + NAMES[code].encode() + b"\0" + master).digest()
            extra = struct.pack("<Q", pack_id) + block[92:104]
            data_key = gcm(code, wrapping, block[104:116], extra, block[116:148], block[148:164])
            frame = gcm(code, data_key, nonce, header, meta + block[:64], block[64:80])
            meta, record_key, sha256 = frame[:meta_len], frame[meta_len : meta_len + 32], frame[meta_len + 32 :]
            tags = behind + 168
            payload_at = tags + 16 * segments
            payload = b""
            for n in range(segments):
                text = pack[payload_at + n * SEGMENT : payload_at + min((n + 1) * SEGMENT, payload_len)]
                tag = pack[tags + n * 16 : tags + (n + 1) * 16]
                payload += gcm(code, record_key, n.to_bytes(12, "big"), b"", text, tag)
        else:
            payload_at = behind + 4 * segments
            payload = pack[payload_at : payload_at + payload_len]
            sha256 = pack[payload_at + payload_len + 4 :][:32]
        end = payload_at + payload_len + 48
        assert struct.unpack_from("<Q4s", pack, end - 12) == (end - at, b"\x01RYM")
        assert hashlib.sha256(payload[head_len:]).digest() == sha256
        print(at, kind, meta.decode(), sha256.hex(), head_len)
        at = end


read(open(sys.argv[1], "rb").read(), master_key(sys.argv[2]))
