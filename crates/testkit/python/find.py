"""Queries with pynetdicom and prints each response: its status in hex, then the keys asked for.

usage: find.py HOST PORT CALLED CALLING MODEL CANCEL_AFTER KEYS_JSON
MODEL is study, patient or worklist. CANCEL_AFTER > 0 sends a C-CANCEL after so many pending responses. Values of
KEYS_JSON are strings, or a list with one object for a sequence; "SpecificCharacterSet" says how they are encoded.
"""

import json
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE
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
    ae = AE(ae_title=calling)
    ae.add_requested_context(MODELS[model])
    assoc = ae.associate(host, int(port), ae_title=called)
    if not assoc.is_established:
        print("no association")
        return
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
