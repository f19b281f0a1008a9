"""Queries with pynetdicom and prints each response: its status in hex, then the keys asked for.

usage: find.py HOST PORT CALLED CALLING MODEL CANCEL_AFTER KEYS_JSON [EXTENDED]
MODEL is study, patient or worklist. CANCEL_AFTER > 0 sends a C-CANCEL after so many pending responses. Values of
KEYS_JSON are strings, or a list with one object for a sequence; "SpecificCharacterSet" says how they are encoded.
EXTENDED are the bytes of SOP class extended negotiation in hex; what the listener granted is then printed first.
"""

import json
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

MODELS = {
    "study": StudyRootQueryRetrieveInformationModelFind,
    "patient": PatientRootQueryRetrieveInformationModelFind,
    "worklist": ModalityWorklistInformationFind,
}


def dataset(keys):
    ds = Dataset()
    for key, value in keys.items():
        setattr(ds, key, [dataset(v) for v in value] if isinstance(value, list) else value)
    return ds


def plain(ds):
    out = {}
    for element in ds:
        if element.VR == "SQ":
            out[element.keyword] = [plain(item) for item in element.value]
        else:
            out[element.keyword] = str(element.value)
    return out


def main():
    host, port, called, calling, model, cancel_after, keys = sys.argv[1:8]
    offered = []
    if len(sys.argv) > 8:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = MODELS[model]
        item.service_class_application_information = bytes.fromhex(sys.argv[8])
        offered = [item]
    ae = AE(ae_title=calling)
    ae.add_requested_context(MODELS[model])
    assoc = ae.associate(host, int(port), ae_title=called, ext_neg=offered)
    if not assoc.is_established:
        print("no association")
        return
    if offered:
        granted = assoc.acceptor.sop_class_extended
        print("granted", granted.get(MODELS[model], b"").hex())
    seen = 0
    for status, identifier in assoc.send_c_find(dataset(json.loads(keys)), MODELS[model], msg_id=7):
        code = f"{status.Status:04X}" if status else "none"
        if identifier is not None:
            identifier.decode()
            print(code, json.dumps(plain(identifier), ensure_ascii=False, sort_keys=True))
            seen += 1
            if seen == int(cancel_after):
                assoc.send_c_cancel(7, query_model=MODELS[model])
        else:
            print(code)
    assoc.release()


main()
