"""Drives a running Mingying with dicomweb-client and pydicom: store, search, retrieve, render.

    python dicomweb_client_check.py http://127.0.0.1:8080 TOKEN

Exits 0 when every step answered as DICOMweb says. Needs dicomweb-client, pydicom, numpy, pillow, imagecodecs.
"""

import gzip
import io
import json
import sys
import time
import urllib.error
import urllib.request

import imagecodecs
import numpy as np
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    generate_uid,
)

BASE, TOKEN = sys.argv[1].rstrip("/"), sys.argv[2]
ROOT = BASE + "/dicom-web"
AUTH = {"Authorization": "Bearer " + TOKEN}
STEPS = []


def step(function):
    STEPS.append(function)
    return function


def call(path, accept=None, method="GET", body=None, headers=None, auth=True):
    """Status, headers, body of one request."""
    all_headers = dict(AUTH if auth else {}, **(headers or {}))
    if accept:
        all_headers["Accept"] = accept
    request = urllib.request.Request(ROOT + path, data=body, method=method, headers=all_headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def slices(count, name, charset, syntax=ExplicitVRLittleEndian):
    """A small CT series with a gradient that differs from slice to slice."""
    study, series = generate_uid(), generate_uid()
    for number in range(1, count + 1):
        ds = Dataset()
        ds.preamble, ds.file_meta = bytes(128), FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.InstanceNumber = study, series, number
        if charset is not None:
            ds.SpecificCharacterSet = charset
        ds.PatientName, ds.PatientID = name, "DW-" + study[-8:]
        ds.StudyDate, ds.StudyTime, ds.Modality, ds.AccessionNumber = "20260302", "081500", "CT", "A" + study[-10:]
        ds.PatientBirthDate, ds.PatientSex, ds.StudyID, ds.SeriesNumber = "19800101", "F", "1", 1
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 32, 48, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleIntercept, ds.RescaleSlope, ds.WindowCenter, ds.WindowWidth = "-1024", "1", "40", "400"
        pixels = (np.arange(32 * 48).reshape(32, 48) + number * 100).astype("<u2")
        ds.PixelData = pixels.tobytes()
        yield ds


client = DICOMwebClient(url=ROOT, headers=dict(AUTH))
ct = list(slices(5, "Wang^XiaoDong=王^小东", "ISO_IR 192"))
study_uid, series_uid = ct[0].StudyInstanceUID, ct[0].SeriesInstanceUID


@step
def store():
    answer = client.store_instances(ct)
    assert len(answer.ReferencedSOPSequence) == 5, answer
    assert "FailedSOPSequence" not in answer
    assert answer.RetrieveURL.endswith(study_uid)
    assert answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ct[0].SOPInstanceUID


@step
def store_again_is_harmless():
    answer = client.store_instances(ct[:2], study_instance_uid=study_uid)
    assert len(answer.ReferencedSOPSequence) == 2
    assert len(client.search_for_instances(study_uid)) == 5


@step
def other_study_is_refused():
    strange = next(slices(1, "Other", None))
    files = io.BytesIO()
    strange.save_as(files, enforce_file_format=True)
    body = (
        b"--b\r\nContent-Type: application/dicom\r\n\r\n" + files.getvalue() + b"\r\n--b\r\n"
        b"Content-Type: application/dicom\r\n\r\nnot dicom at all\r\n--b--\r\n"
    )
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    status, _, text = call("/studies/" + study_uid, method="POST", body=body, headers=kind)
    failed = json.loads(text)["00081198"]["Value"]
    assert status == 409, status
    assert [item["00081197"]["Value"][0] for item in failed] == [0xA900, 0xC000], failed
    assert failed[0]["00081155"]["Value"] == [strange.SOPInstanceUID]
    assert client.search_for_studies(search_filters={"StudyInstanceUID": strange.StudyInstanceUID}) == []


@step
def search():
    found = client.search_for_studies(search_filters={"PatientID": ct[0].PatientID})
    assert [s["0020000D"]["Value"][0] for s in found] == [study_uid]
    study = found[0]
    assert study["00100010"]["Value"][0] == {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}, study["00100010"]
    assert study["00201208"]["Value"] == [5] and study["00080061"]["Value"] == ["CT"]
    assert study["00081190"]["Value"][0].startswith("http")
    for name in ["Wang*", "王*", "wang^xiao*"]:
        keys = {"PatientName": name, "StudyInstanceUID": study_uid}
        assert len(client.search_for_studies(search_filters=keys)) == 1, name
    assert len(client.search_for_series(study_uid)) == 1
    assert len(client.search_for_instances(study_uid, series_uid, limit=2)) == 2
    rest = client.search_for_instances(study_uid, series_uid, limit=2, offset=4)
    assert len(rest) == 1
    days = {"StudyDate": "20260301-20260303", "ModalitiesInStudy": "CT"}
    assert any(s["0020000D"]["Value"] == [study_uid] for s in client.search_for_studies(search_filters=days, limit=500))
    more = client.search_for_series(study_uid, fields=["ProtocolName", "StudyDate"])
    assert "00080020" in more[0]
    status, _, _ = call("/studies?PatientNmae=x")
    assert status == 400, status
    status, _, _ = call("/studies", accept='multipart/related; type="application/dicom+xml"')
    assert status == 406, status


@step
def retrieve():
    series = client.retrieve_series(study_uid, series_uid)
    assert [ds.InstanceNumber for ds in series] == [1, 2, 3, 4, 5]
    for sent, got in zip(ct, series):
        assert got.PixelData == sent.PixelData and got.PatientName == sent.PatientName
    assert len(client.retrieve_study(study_uid)) == 5
    one = client.retrieve_instance(study_uid, series_uid, ct[2].SOPInstanceUID)
    assert one.SOPInstanceUID == ct[2].SOPInstanceUID
    path = f"/studies/{study_uid}/series/{series_uid}/instances/{ct[2].SOPInstanceUID}"
    status, headers, single = call(path, accept="application/dicom")
    assert status == 200 and dcmread(io.BytesIO(single)).PixelData == ct[2].PixelData
    assert int(headers["Content-Length"]) == len(single)
    status, _, _ = call(path, accept="application/dicom", headers={"If-None-Match": headers["ETag"]})
    assert status == 304, status


@step
def convert():
    path = f"/studies/{study_uid}/series/{series_uid}/instances/{ct[0].SOPInstanceUID}"
    status, _, body = call(path, accept=f"application/dicom; transfer-syntax={ImplicitVRLittleEndian}")
    got = dcmread(io.BytesIO(body))
    assert status == 200 and got.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert got.PixelData == ct[0].PixelData and got.PatientName == ct[0].PatientName
    # OpenJPEG and CharLS decode what left compressed.
    coded = {HTJ2KLosslessRPCL: imagecodecs.jpeg2k_decode, JPEGLSLossless: imagecodecs.jpegls_decode}
    for syntax, decode in coded.items():
        status, _, body = call(path, accept=f"application/dicom; transfer-syntax={syntax}")
        got = dcmread(io.BytesIO(body))
        assert status == 200 and got.file_meta.TransferSyntaxUID == syntax
        frame = next(generate_frames(got.PixelData, number_of_frames=1))
        assert decode(frame).tobytes() == ct[0].PixelData, syntax
    status, _, _ = call(path, accept=f"application/dicom; transfer-syntax={JPEG2000Lossless}")
    assert status == 406, status


@step
def metadata():
    found = client.retrieve_series_metadata(study_uid, series_uid)
    assert len(found) == 5
    first = Dataset.from_json(found[0], bulk_data_uri_handler=lambda uri: b"")
    assert first.Rows == 32 and str(first.PatientName).startswith("Wang^XiaoDong")
    pixels = client.retrieve_bulkdata(found[0]["7FE00010"]["BulkDataURI"])
    assert pixels[0] == ct[0].PixelData
    packed, headers, body = call(
        f"/studies/{study_uid}/metadata", accept="application/dicom+json", headers={"Accept-Encoding": "gzip"}
    )
    assert packed == 200 and headers["Content-Encoding"] == "gzip", headers.items()
    assert len(json.loads(gzip.decompress(body))) == 5
    assert len(client.retrieve_study_metadata(study_uid)) == 5
    assert client.retrieve_instance_metadata(study_uid, series_uid, ct[0].SOPInstanceUID)["00280010"]["Value"] == [32]


@step
def frames():
    got = client.retrieve_instance_frames(study_uid, series_uid, ct[1].SOPInstanceUID, [1])
    assert got == [ct[1].PixelData]
    path = f"/studies/{study_uid}/series/{series_uid}/instances/{ct[1].SOPInstanceUID}/frames/"
    status, headers, body = call(path + "1", accept="application/octet-stream")
    assert status == 200 and body == ct[1].PixelData and headers["Content-Type"].startswith("application/octet-stream")
    for number, expected in [("0", 400), ("2", 404), ("1,1", 200), ("x", 400), ("1,", 400)]:
        status, _, _ = call(path + number, accept='multipart/related; type="application/octet-stream"')
        assert status == expected, (number, status)


@step
def compressed_frames():
    """Objects that others compressed come back as stored, and decoded on request."""
    for name in ["JPEG2000.dcm", "SC_rgb_jpeg_gdcm.dcm", "MR_small_RLE.dcm", "emri_small_jpeg_ls_lossless.dcm"]:
        path = get_testdata_file(name)
        ds = dcmread(path)
        client.store_instances([ds])
        where = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        stored = client.retrieve_instance(*where)
        assert stored.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID, name
        assert stored.PixelData == ds.PixelData, name
        count = int(ds.get("NumberOfFrames", 1))
        url = "/studies/{}/series/{}/instances/{}".format(*where)
        numbers = ",".join(str(n + 1) for n in range(count))
        status, headers, body = call(url + "/frames/" + numbers, accept='multipart/related; type="*/*"')
        kind = headers["Content-Type"].split("boundary=")
        parts = body.split(("--" + kind[1]).encode())[1:-1]
        assert status == 200 and len(parts) == count, (name, status, len(parts))
        status, _, native = call(url + "/frames/1", accept="application/octet-stream")
        bits = max(ds.BitsAllocated, 8)
        size = ds.Rows * ds.Columns * ds.SamplesPerPixel * bits // 8
        assert status == 200 and len(native) == size, (name, status, len(native), size)
        status, headers, picture = call(url + "/rendered", accept="image/png")
        assert status == 200 and Image.open(io.BytesIO(picture)).size == (ds.Columns, ds.Rows), (name, status)


@step
def rendered():
    picture = client.retrieve_instance_rendered(
        study_uid, series_uid, ct[0].SOPInstanceUID, media_types=("image/png",), params={"window": "512,1,linear-exact"}
    )
    image = np.array(Image.open(io.BytesIO(picture)))
    assert image.shape == (32, 48), image.shape
    stored = np.frombuffer(ct[0].PixelData, "<u2").reshape(32, 48).astype(int) - 1024
    assert ((image > 127) == (stored >= 512)).all()
    path = f"/studies/{study_uid}/series/{series_uid}/instances/{ct[0].SOPInstanceUID}"
    status, headers, small = call(path + "/rendered?viewport=24,24", accept="image/jpeg")
    assert status == 200 and Image.open(io.BytesIO(small)).size == (24, 16)
    for level in [f"/studies/{study_uid}", f"/studies/{study_uid}/series/{series_uid}", path, path + "/frames/1"]:
        status, _, thumbnail = call(level + "/thumbnail")
        assert status == 200 and Image.open(io.BytesIO(thumbnail)).format == "JPEG", (level, status)
    for wish, expected in [("window=1,0", 400), ("viewport=0,1", 400), ("quality=101", 400)]:
        status, _, _ = call(path + "/rendered?" + wish)
        assert status == expected, (wish, status)
    status, _, _ = call(path + "/rendered", accept="image/gif")
    assert status == 406, status


@step
def mislabelled_names():
    """GB18030 and UTF-8 bytes under a Latin-1 label, and no label at all, are shown right."""
    for charset, raw in [("ISO_IR 100", "张^三".encode("gb18030")), (None, "李^四".encode("gb18030")),
                         ("ISO_IR 100", "王^五".encode()), ("\\ISO 2022 IR 58", b"\x1b$)A\xd5\xc5^\x1b$)A\xc1\xf9")]:
        ds = next(slices(1, "PLACEHOLDER", "ISO_IR 100"))
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.PatientName = "X" * (len(raw) + len(raw) % 2)
        file = io.BytesIO()
        ds.save_as(file, enforce_file_format=True)
        data = file.getvalue().replace(b"X" * (len(raw) + len(raw) % 2), raw + b" " * (len(raw) % 2))
        label = (charset or "").encode()
        label += b" " * (len(label) % 2)
        old = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
        assert old in data
        data = data.replace(old, b"\x08\x00\x05\x00CS" + len(label).to_bytes(2, "little") + label)
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
        kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        status, _, text = call("/studies", method="POST", body=body, headers=kind)
        assert status == 200, (charset, status, text)
        found = client.search_for_studies(search_filters={"StudyInstanceUID": ds.StudyInstanceUID})
        wanted = {"张": "张^三", "李": "李^四", "王": "王^五"}.get(
            found[0]["00100010"]["Value"][0].get("Ideographic", "?")[0], "?"
        )
        name = found[0]["00100010"]["Value"][0]
        assert name["Ideographic"] in (wanted, "张^六"), (charset, name)
        meta = client.retrieve_study_metadata(ds.StudyInstanceUID)[0]["00100010"]["Value"][0]
        assert name["Ideographic"] in meta.values(), (charset, meta)


@step
def doors_are_closed():
    for path in ["/studies", f"/studies/{study_uid}", f"/studies/{study_uid}/metadata"]:
        status, _, _ = call(path, auth=False)
        assert status == 401, (path, status)
    for bad in ["/studies/..%2f..%2fetc", "/studies/1.2'OR'1", "/studies/%00", "/studies/" + "1" * 65]:
        status, _, _ = call(bad)
        assert status == 400, (bad, status)
    status, _, _ = call("/studies/1.2.3.4.5")
    assert status == 404, status
    status, _, _ = call("/studies", method="POST", body=b"{}", headers={"Content-Type": "application/json"})
    assert status == 415, status
    kind = {"Content-Type": "multipart/related; type=\"application/dicom\"; boundary=b"}
    status, _, _ = call("/studies", method="POST", body=b"garbage", headers=kind)
    assert status == 400, status


failures = 0
for function in STEPS:
    started = time.monotonic()
    try:
        function()
        print(f"ok    {function.__name__} ({time.monotonic() - started:.2f} s)")
    except Exception as error:  # every step is told, then the exit status
        failures += 1
        print(f"FAIL  {function.__name__}: {type(error).__name__}: {error}")
sys.exit(1 if failures else 0)
