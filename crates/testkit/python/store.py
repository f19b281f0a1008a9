"""Stores files with pynetdicom exactly as they are and prints one status per line, in hex.

usage: store.py HOST PORT CALLED CALLING FILE...
Each file's SOP class is proposed with its own transfer syntax only. pydicom's writer is not in the way: the data set
goes out as the bytes that follow the file meta information.
"""

import sys

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE


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
        sys.exit(2)
    for name in files:
        # Given a path and a chunked send, pynetdicom streams the file's own bytes.
        status = assoc.send_c_store(name)
        print(f"{status.Status:04X}" if status else "none")
    assoc.release()


main()
