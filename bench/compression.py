#!/usr/bin/env python3
"""Lossless HTJ2K siblings of real CT and MR: ratio, speed, and bytes on the disk beside Orthanc's.

Each group of images is sent as often as it takes to time it, under UIDs of its own. Every distinct frame is decoded by
another decoder (of imagecodecs) and compared with what was sent.
"""
import functools
import glob
import io
import os
import plistlib
import site
import tarfile
import time
import warnings

import imagecodecs
import numpy
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

import lab
import objects

# Public test images of pydicom and pydicom-data that hold a whole picture; MR2 and 693 are there in two encodings, the same.
PACKAGED = {
    "CT packaged": ["693_UNCR.dcm", "eCT_Supplemental.dcm", "CT_small.dcm"],
    "MR packaged": ["MR2_UNCR.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "examples_overlay.dcm", "emri_small.dcm", "MR_small.dcm"],
}
HTJ2K = "1.2.840.10008.1.2.4.202"


def packaged(names):
    found = {os.path.basename(path): path for root in site.getsitepackages() for package in ("data_store", "pydicom")
             for path in glob.glob(f"{root}/{package}/**/*.dcm", recursive=True)}
    return [pydicom.dcmread(found[name]) for name in names]


def cranium():
    """A real head CT of 108 slices, out of the examples of InVesalius: voxels alone, in slices made like the generated ones."""
    path = os.path.join(lab.HOME, "Cranium.inv3")
    if not os.path.exists(path):
        return []
    with tarfile.open(path) as project:
        member = {os.path.basename(one.name): one for one in project.getmembers()}
        matrix = plistlib.load(project.extractfile(member["main.plist"]))["matrix"]
        voxels = numpy.frombuffer(project.extractfile(member[matrix["filename"]]).read(), matrix["dtype"]).reshape(matrix["shape"])
    from gen_ct import base, put_pixels
    who = {"pid": "CRANIUM", "acc": "A1", "name": "CRANIUM^ONE", "date": "20120914", "study": f"{objects.ROOT}.9.1",
           "series": f"{objects.ROOT}.9.1.1", "sex": "O"}
    slices = [base(who, "CT", objects.CT, number, ExplicitVRLittleEndian) for number in range(len(voxels))]
    for one, pixels in zip(slices, voxels):
        put_pixels(one, pixels, True)
    return slices


def generated(chosen):
    return [pydicom.dcmread(path) for path in sorted(glob.glob(f"{lab.ct(chosen)}/*/*.dcm"))[:100]]


class Group:
    """Images, as often as wanted under UIDs of their own."""

    def __init__(self, images):
        self.images = images
        studies = list(dict.fromkeys(image.StudyInstanceUID for image in images))
        self.studies = [studies.index(image.StudyInstanceUID) for image in images]
        self.raw = sum(len(image.PixelData) for image in images)

    def uids(self, copy, number):
        study = f"{objects.ROOT}.6.{copy + 1}.{self.studies[number] + 1}"
        return study, f"{study}.1", f"{study}.1.{number + 1}"

    def files(self, copy):
        made = []
        for number, image in enumerate(self.images):
            image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = self.uids(copy, number)
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
            out = io.BytesIO()
            image.save_as(out, enforce_file_format=True)
            made.append(out.getvalue())
        return made


def frames(image):
    """Each frame as it was sent."""
    count = int(image.get("NumberOfFrames", 1))
    dtype = ("<i" if image.PixelRepresentation else "<u") + str(image.BitsAllocated // 8)
    return numpy.frombuffer(image.PixelData, dtype)[:count * image.Rows * image.Columns].reshape(count, image.Rows, image.Columns)


def check(server, group):
    """Bytes of the HTJ2K frames of the first copy, of the same in JPEG-LS and JPEG 2000, and that none lost anything."""
    sizes = {"htj2k": 0, "jpegls": 0, "jpeg2000": 0}
    for number, image in enumerate(group.images):
        study, series, sop = group.uids(0, number)
        for index, pixels in enumerate(frames(image)):
            path = f"/dicom-web/studies/{study}/series/{series}/instances/{sop}/frames/{index + 1}"
            coded = lab.get(server, path, f"image/jphc; transfer-syntax={HTJ2K}")
            if not numpy.array_equal(imagecodecs.htj2k_decode(coded), pixels):
                raise SystemExit(f"image {number} frame {index + 1} is not what was sent")
            sizes["htj2k"] += len(coded)
            # JPEG-LS knows no sign: the same bits.
            sizes["jpegls"] += len(imagecodecs.jpegls_encode(numpy.ascontiguousarray(pixels).view(f"u{pixels.itemsize}")))
            sizes["jpeg2000"] += len(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k"))
    return sizes


def making(server, count):
    """Siblings a second once the first was made, and how many images are unfit for one."""
    first = None
    while True:
        now = server.metrics()
        made, unfit = now["mingying_siblings"], now.get("mingying_siblings_unfit", 0)
        if first is None and made:
            first = time.time(), made
        if made + unfit >= count and now["mingying_siblings_waiting"] == 0:
            wall = time.time() - first[0]
            return (made - first[1]) / wall if wall > 1 else None, unfit
        time.sleep(0.1)


def main():
    warnings.simplefilter("ignore")
    parser = lab.options(__doc__, studies=4, slices=500)
    parser.add_argument("--megabytes", type=int, default=300, help="of pixels in each group, so that its making can be timed")
    chosen = parser.parse_args()
    results = lab.Results("compression", chosen)
    groups = {name: packaged(names) for name, names in PACKAGED.items()} | {"CT head": cranium(), "CT generated": generated(chosen)}
    for name, images in groups.items():
        if not images:
            print(f"{name}: not there")
            continue
        group = Group(images)
        copies = max(1, chosen.megabytes * 1000000 // group.raw)
        count, raw = copies * len(images), copies * group.raw
        for number in range(chosen.rounds):
            server = lab.Mingying(chosen, {"images.sibling_after": 0})
            orthanc = lab.Peer("orthanc-pg" if chosen.postgres else "orthanc-default")
            orthanc.label = "orthanc"
            for one in (orthanc, server):
                with lab.running(one):
                    row = lab.stow(one, [functools.partial(group.files, copy) for copy in range(copies)], 1)
                    if any(row["rc"]):
                        raise SystemExit(f"{one.label} did not take everything")
                    if one is orthanc:
                        results.keep("orthanc", name, disk=round(lab.disk_bytes(f"{one.dir}/db") / raw, 3))
                        continue
                    speed, unfit = making(one, count)
                    sizes = check(one, group)
                    siblings = one.metrics()["mingying_siblings_bytes"]
                    results.keep("mingying", name, images=count, unfit=unfit,
                                 **{f"ratio_{form}": round(group.raw / size, 3) for form, size in sizes.items()},
                                 made_s=speed and round(speed, 1), made_mb_s=speed and round(speed * raw / count / 1e6, 1),
                                 disk=round((lab.disk_bytes(one.data) - siblings) / raw, 3), siblings=round(siblings / raw, 3))
    results.table("ratio_htj2k", "ratio_jpegls", "ratio_jpeg2000", "made_s", "made_mb_s", "disk", "siblings", "unfit")
    print("disk, siblings: bytes on the disk for a byte of pixels, without and only the siblings")


if __name__ == "__main__":
    main()
