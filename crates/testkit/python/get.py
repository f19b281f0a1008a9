"""Retrieves with pynetdicom's C-GET and prints what arrived and each response.

usage: get.py HOST PORT CALLED CALLING MODEL OPTIONS_JSON KEYS_JSON FOLDER
MODEL is study or patient. OPTIONS_JSON: "syntaxes" (transfer syntaxes, a context for each; default implicit and
explicit), "role" (false: the role of a storage provider is not asked for), "classes" (storage classes; default CT),
"answer" (status of each C-STORE, hex), "cancel_after" (objects), "abort_after" (objects). KEYS_JSON as in find.py.
Each object becomes FOLDER/UID.dcm. Prints `stored UID SYNTAX` and `STATUS REMAINING COMPLETED FAILED WARNING UIDS`.
"""

import json
import os
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelGet,
)

MODELS = {
    "study": StudyRootQueryRetrieveInformationModelGet,
    "patient": PatientRootQueryRetrieveInformationModelGet,
}
CT = "1.2.840.10008.5.1.4.1.1.2"


def main():
    host, port, called, calling, model, options, keys, folder = sys.argv[1:9]
    options = json.loads(options)
    identifier = Dataset()
    for key, value in json.loads(keys).items():
        setattr(identifier, key, value)
    ae = AE(ae_title=calling)
    ae.add_requested_context(MODELS[model])
    classes = options.get("classes", [CT])
    for uid in classes:
        for syntax in options.get("syntaxes", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]):
            ae.add_requested_context(uid, syntax)
    roles = [build_role(uid, scp_role=True) for uid in classes] if options.get("role", True) else []
    seen = 0

    def store(event):
        nonlocal seen
        seen += 1
        if seen == options.get("abort_after"):
            os._exit(0)
        if seen == options.get("cancel_after"):
            assoc.send_c_cancel(7, query_model=MODELS[model])
        syntax = str(event.context.transfer_syntax)
        with open(os.path.join(folder, f"{event.request.AffectedSOPInstanceUID}.dcm"), "wb") as out:
            out.write(event.encoded_dataset())
        print("stored", event.request.AffectedSOPInstanceUID, syntax)
        return int(options.get("answer", "0000"), 16)

    assoc = ae.associate(
        host, int(port), ae_title=called, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    if not assoc.is_established:
        print("no association")
        return
    for status, failed in assoc.send_c_get(identifier, MODELS[model], msg_id=7):
        if not status:
            print("none")
            continue
        counts = [
            str(status.get(f"NumberOf{name}Suboperations", "-"))
            for name in ("Remaining", "Completed", "Failed", "Warning")
        ]
        uids = ""
        if failed is not None and "FailedSOPInstanceUIDList" in failed:
            value = failed.FailedSOPInstanceUIDList
            uids = ",".join([value] if isinstance(value, str) else value)
        print(f"{status.Status:04X}", *counts, status.get("ErrorComment", "") or "-", uids)
    if assoc.is_established:
        assoc.release()


main()
