#!/usr/bin/env python3
"""store_acked.py HOST PORT ACKED FILE...: sends the files' data sets as they are, one association, and appends the SOP
Instance UID of each success to ACKED as soon as the response has arrived. Ends quietly when the server goes away."""
import os
import sys

from pydicom import dcmread
from pynetdicom import AE, _config

_config.STORE_SEND_CHUNKED_DATASET = True


def main():
    host, port, acked, *files = sys.argv[1:]
    ae = AE(ae_title="CRASHTEST")
    ae.maximum_pdu_size = 131072
    ae.network_timeout = 20
    ae.dimse_timeout = 20
    first = dcmread(files[0], stop_before_pixels=True)
    ae.add_requested_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
    association = ae.associate(host, int(port), ae_title="MINGYING")
    if not association.is_established:
        return
    with open(acked, "a", buffering=1) as log:
        for path in files:
            try:
                status = association.send_c_store(path)
            except (RuntimeError, ValueError, OSError):
                return
            if status and status.Status == 0x0000:
                log.write(os.path.basename(path) + "\n")
            elif not status:
                return
    association.release()


if __name__ == "__main__":
    main()
