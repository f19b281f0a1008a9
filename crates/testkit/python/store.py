"""Stores files with pynetdicom exactly as they are and prints one status per line, in hex.

usage: store.py HOST PORT CALLED CALLING FILE...
Each file's SOP class is proposed with its own transfer syntax only.
"""

import sys

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config

# A file is sent as the bytes that follow its meta information, not as pydicom would write them again.
_config.STORE_SEND_CHUNKED_DATASET = True


def main():
    host, port, called, calling = sys.argv[1:5]
    files = sys.argv[5:]
    ae = AE(ae_title=calling)
    for name in files:
        meta = read_file_meta_info(name)
        ae.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    assoc = ae.associate(host, int(port), ae_title=called)
    if not assoc.is_established:
        print("no association")
        return
    for name in files:
        status = assoc.send_c_store(name)
        print(f"{status.Status:04X}" if status else "none")
    assoc.release()


main()
