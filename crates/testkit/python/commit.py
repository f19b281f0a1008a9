"""Asks for a storage commitment with pynetdicom and prints the statuses and the reports.

usage: commit.py HOST PORT CALLED CALLING OPTIONS_JSON
OPTIONS_JSON: "transaction", "objects" (UIDs; a pair names the SOP class too), "action" (default 1), "stay" (wait for the
report on the same association), "port" (listen there for the report), "answers" (statuses of the reports in hex, the
last for all that follow), "reports" (how many to wait for), "ask" (false: only listen), "abort" (vanish when the report
comes). Prints `action STATUS`, `listening`, then for each report `report EVENT TRANSACTION COMMITTED FAILED:REASON,...`.
"""

import json
import os
import sys
import threading

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as COMMITMENT

INSTANCE = "1.2.840.10008.1.20.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def main():
    host, port, called, calling, options = sys.argv[1:6]
    options = json.loads(options)
    seen = threading.Semaphore(0)
    answers = [int(answer, 16) for answer in options.get("answers", ["0000"])]

    def report(event):
        if options.get("abort"):
            os._exit(0)
        ds = event.event_information
        failed = [f"{item.ReferencedSOPInstanceUID}:{item.FailureReason:04X}" for item in ds.get("FailedSOPSequence", [])]
        committed = len(ds.get("ReferencedSOPSequence", []))
        kind = "report" if event.assoc.is_acceptor else "same"
        print(kind, event.event_type, ds.TransactionUID, committed, ",".join(failed) or "-", flush=True)
        seen.release()
        return (answers.pop(0) if len(answers) > 1 else answers[0]), None

    handlers = [(evt.EVT_N_EVENT_REPORT, report)]
    server = None
    if "port" in options:
        scp = AE(ae_title=calling)
        scp.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
        server = scp.start_server(("127.0.0.1", options["port"]), block=False, evt_handlers=handlers)
        print("listening", flush=True)
    if options.get("ask", True):
        ae = AE(ae_title=calling)
        ae.add_requested_context(COMMITMENT)
        assoc = ae.associate(host, int(port), ae_title=called, evt_handlers=handlers)
        ds = Dataset()
        if options.get("transaction", "1.2.3.77"):
            ds.TransactionUID = options.get("transaction", "1.2.3.77")
        ds.ReferencedSOPSequence = []
        for uid in options["objects"]:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = uid if isinstance(uid, list) else (CT, uid)
            ds.ReferencedSOPSequence.append(item)
        status, _ = assoc.send_n_action(ds, options.get("action", 1), COMMITMENT, options.get("instance", INSTANCE))
        print("action", f"{status.Status:04X}" if status else "none", flush=True)
        if options.get("stay"):
            seen.acquire(timeout=20)
        if assoc.is_established:
            assoc.release()
    for _ in range(options.get("reports", 0)):
        seen.acquire(timeout=20)
    if server:
        server.shutdown()


main()
