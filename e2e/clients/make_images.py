"""Synthetic CT slices as files: noise over a disc, no person behind them."""
import os

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

ROOT = "2.25."


def slices(folder, count, *, size=64, seed=0, study_uid=None, patient_id="P-TEST", name="Test^Case=测试^甲", accession="",
           modality="CT", series_description="synthetic", birth_date="19700101", sex="O", station="CT01"):
    """Writes `count` files named by SOP Instance UID and returns their paths."""
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(seed)
    study_uid = study_uid or generate_uid(prefix=ROOT)
    series_uid = generate_uid(prefix=ROOT)
    y, x = np.mgrid[-1:1:size * 1j, -1:1:size * 1j]
    paths = []
    for n in range(count):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(prefix=ROOT)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = os.path.join(folder, meta.MediaStorageSOPInstanceUID)
        image = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        image.SpecificCharacterSet = "ISO_IR 192"
        image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = study_uid, series_uid
        image.PatientName, image.PatientID = name, patient_id
        image.PatientBirthDate, image.PatientSex = birth_date, sex
        image.AccessionNumber, image.Modality = accession, modality
        image.StudyDate = image.SeriesDate = "20260302"
        image.StudyTime = "080000"
        image.StudyDescription = image.SeriesDescription = series_description
        image.StationName = station
        image.SeriesNumber, image.InstanceNumber = 1, n + 1
        image.Rows = image.Columns = size
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleIntercept, image.RescaleSlope = "0", "1"
        image.WindowCenter, image.WindowWidth = "40", "400"
        image.PixelSpacing = ["0.7", "0.7"]
        image.SliceThickness = "1"
        image.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        image.ImagePositionPatient = ["-180", "-180", str(n)]
        disc = np.hypot(x, y) < 0.8 - 0.3 * abs(n / max(count, 1) - 0.5)
        body = np.where(disc, 40, -1000) + random.normal(0, 12, (size, size))
        image.PixelData = body.astype("<i2").tobytes()
        image.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths
