#!/usr/bin/env python3
"""modality.py HOST PORT AET ACCESSION FOLDER [--slices N] [--size PX]: plays a CT with pynetdicom and DCMTK.

Asks the worklist with findscu-compatible keys, reports MPPS IN PROGRESS, stores a series with DCMTK's storescu, reports
MPPS COMPLETED. Prints what it did as JSON."""
import argparse
import datetime
import json
import os
import subprocess
import sys
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_images import slices  # noqa: E402

ZONE = ZoneInfo("Asia/Shanghai")


def fail(text):
    raise SystemExit(text)


def worklist(ae, options):
    query = Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "RequestedProcedureID",
                    "RequestedProcedureDescription", "ReferringPhysicianName", "SpecificCharacterSet"):
        setattr(query, keyword, "")
    query.AccessionNumber = options.accession
    step = Dataset()
    step.ScheduledStationAETitle, step.Modality = options.aet, "CT"
    for keyword in ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "ScheduledProcedureStepID",
                    "ScheduledProcedureStepDescription"):
        setattr(step, keyword, "")
    query.ScheduledProcedureStepSequence = Sequence([step])
    association = ae.associate(options.host, options.port, ae_title="MINGYING")
    association.is_established or fail("worklist association refused")
    found = [item for status, item in association.send_c_find(query, ModalityWorklistInformationFind)
             if status.Status in (0xFF00, 0xFF01)]
    association.release()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("aet")
    parser.add_argument("accession")
    parser.add_argument("folder")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    ae = AE(ae_title=options.aet)
    ae.add_requested_context(ModalityWorklistInformationFind)
    ae.add_requested_context(ModalityPerformedProcedureStep)
    items = worklist(ae, options)
    len(items) == 1 or fail(f"{len(items)} worklist items")
    item = items[0]
    step = item.ScheduledProcedureStepSequence[0]
    files = slices(options.folder, options.slices, size=options.size, study_uid=item.StudyInstanceUID,
                   patient_id=item.PatientID, name=str(item.PatientName), accession=item.AccessionNumber,
                   birth_date=item.PatientBirthDate or "", sex=item.PatientSex or "O", station=options.aet,
                   series_description="Head 1.0")
    # Consoles are set to the facility's wall time, whatever the zone of this machine.
    now = datetime.datetime.now(ZONE)
    mpps = Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID = item.StudyInstanceUID
    scheduled.AccessionNumber = item.AccessionNumber
    scheduled.RequestedProcedureID = item.get("RequestedProcedureID", "")
    scheduled.RequestedProcedureDescription = item.get("RequestedProcedureDescription", "")
    scheduled.ScheduledProcedureStepID = step.ScheduledProcedureStepID
    scheduled.ScheduledProcedureStepDescription = step.get("ScheduledProcedureStepDescription", "")
    scheduled.ScheduledProtocolCodeSequence = Sequence([])
    scheduled.ReferencedStudySequence = Sequence([])
    mpps.SpecificCharacterSet = "ISO_IR 192"
    mpps.ScheduledStepAttributesSequence = Sequence([scheduled])
    mpps.PatientName, mpps.PatientID = item.PatientName, item.PatientID
    mpps.PatientBirthDate, mpps.PatientSex = item.PatientBirthDate, item.PatientSex
    mpps.PerformedProcedureStepID = "PPS1"
    mpps.PerformedStationAETitle, mpps.PerformedStationName, mpps.PerformedLocation = options.aet, options.aet, ""
    mpps.PerformedProcedureStepStartDate, mpps.PerformedProcedureStepStartTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    mpps.PerformedProcedureStepStatus = "IN PROGRESS"
    mpps.PerformedProcedureStepDescription, mpps.PerformedProcedureTypeDescription = "", ""
    mpps.PerformedProcedureStepEndDate, mpps.PerformedProcedureStepEndTime = "", ""
    mpps.Modality, mpps.StudyID = "CT", "1"
    mpps.PerformedProtocolCodeSequence = Sequence([])
    mpps.PerformedSeriesSequence = Sequence([])
    uid = generate_uid(prefix="2.25.")
    association = ae.associate(options.host, options.port, ae_title="MINGYING")
    association.is_established or fail("MPPS association refused")
    status, _ = association.send_n_create(mpps, ModalityPerformedProcedureStep, uid)
    status.Status == 0 or fail(f"N-CREATE answered {status.Status:04x}")
    subprocess.run(["/usr/bin/storescu", "-aet", options.aet, "-aec", "MINGYING", options.host, str(options.port), *files],
                   check=True, env=dict(os.environ, TCP_NODELAY="1"))
    series = Dataset()
    series.PerformingPhysicianName, series.OperatorsName = "", ""
    series.ProtocolName, series.SeriesDescription, series.RetrieveAETitle = "Head", "Head 1.0", ""
    from pydicom import dcmread
    series.SeriesInstanceUID = dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID
    series.ReferencedImageSequence = Sequence([])
    for path in files:
        image = Dataset()
        image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        image.ReferencedSOPInstanceUID = os.path.basename(path)
        series.ReferencedImageSequence.append(image)
    series.ReferencedNonImageCompositeSOPInstanceSequence = Sequence([])
    change = Dataset()
    end = datetime.datetime.now(ZONE)
    change.PerformedProcedureStepStatus = "COMPLETED"
    change.PerformedProcedureStepEndDate, change.PerformedProcedureStepEndTime = end.strftime("%Y%m%d"), end.strftime("%H%M%S")
    change.PerformedSeriesSequence = Sequence([series])
    status, _ = association.send_n_set(change, ModalityPerformedProcedureStep, uid)
    status.Status == 0 or fail(f"N-SET answered {status.Status:04x}")
    association.release()
    print(json.dumps({"study_uid": item.StudyInstanceUID, "series_uid": series.SeriesInstanceUID, "images": len(files),
                      "patient_name": str(item.PatientName), "mpps_uid": uid}))


if __name__ == "__main__":
    main()
