"""Drives Modality Performed Procedure Step with pynetdicom and prints one status per line, in hex.

usage: mpps.py HOST PORT CALLED CALLING COMMAND_JSON
COMMAND_JSON is a list of steps: {"create": UID, ...} or {"set": UID, "status": "COMPLETED", ...}.
"""

import json
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep as MPPS


def created(step):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    item = Dataset()
    item.StudyInstanceUID = step.get("study", "1.2.3.4.5")
    item.ReferencedStudySequence = []
    item.AccessionNumber = step.get("accession", "")
    item.RequestedProcedureID = step.get("procedure", "")
    item.RequestedProcedureDescription = ""
    item.ScheduledProcedureStepID = step.get("sps", "")
    item.ScheduledProcedureStepDescription = ""
    ds.ScheduledStepAttributesSequence = [item]
    ds.PatientName = step.get("name", "ZHANG^SAN=张^三")
    ds.PatientID = step.get("patient", "P1")
    ds.PatientBirthDate = ""
    ds.PatientSex = ""
    ds.PerformedProcedureStepID = "PPS1"
    ds.PerformedStationAETitle = step.get("station", "CT01")
    ds.PerformedStationName = ""
    ds.PerformedLocation = ""
    ds.PerformedProcedureStepStartDate = step.get("date", "20260302")
    ds.PerformedProcedureStepStartTime = step.get("time", "081500")
    if step.get("status", "IN PROGRESS"):
        ds.PerformedProcedureStepStatus = step.get("status", "IN PROGRESS")
    ds.PerformedProcedureStepEndDate = ""
    ds.PerformedProcedureStepEndTime = ""
    ds.Modality = step.get("modality", "CT")
    ds.StudyID = ""
    ds.PerformedSeriesSequence = []
    return ds


def changed(step):
    ds = Dataset()
    if "status" in step:
        ds.PerformedProcedureStepStatus = step["status"]
    if step.get("status") in ("COMPLETED", "DISCONTINUED"):
        ds.PerformedProcedureStepEndDate = step.get("date", "20260302")
        ds.PerformedProcedureStepEndTime = step.get("time", "083000")
    if "reason" in step:
        reason = Dataset()
        reason.CodeValue = "110514"
        reason.CodingSchemeDesignator = "DCM"
        reason.CodeMeaning = step["reason"]
        ds.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
    if "series" in step:
        series = Dataset()
        series.PerformingPhysicianName = ""
        series.ProtocolName = "CHEST"
        series.OperatorsName = ""
        series.SeriesInstanceUID = step["series"]
        series.SeriesDescription = ""
        series.RetrieveAETitle = ""
        images = []
        for n in range(step.get("images", 1)):
            image = Dataset()
            image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            image.ReferencedSOPInstanceUID = f"{step['series']}.{n + 1}"
            images.append(image)
        series.ReferencedImageSequence = images
        series.ReferencedNonImageCompositeSOPInstanceSequence = []
        ds.PerformedSeriesSequence = [series]
    return ds


def main():
    host, port, called, calling, steps = sys.argv[1:6]
    ae = AE(ae_title=calling)
    ae.add_requested_context(MPPS)
    assoc = ae.associate(host, int(port), ae_title=called)
    if not assoc.is_established:
        print("no association")
        return
    for step in json.loads(steps):
        if "create" in step:
            status, _ = assoc.send_n_create(created(step), MPPS, step["create"])
        else:
            status, _ = assoc.send_n_set(changed(step), MPPS, step["set"])
        print(f"{status.Status:04X}" if status else "none")
    assoc.release()


main()
