#!/usr/bin/env python3
"""collect_dicom.py DIR: copies publicly licensed DICOM files out of installed Python packages.

One folder a study, named by modality; the demo hospital gives them fictional patients and orders.
"""
import shutil
import site
import sys
from pathlib import Path

STUDIES = {
    "CT-1": ["693_UNCR.dcm"],
    "CT-2": ["eCT_Supplemental.dcm"],
    "MR-1": ["MR2_UNCR.dcm"],
    "MR-2": ["MR-SIEMENS-DICOM-WithOverlays.dcm"],
    "MR-3": ["emri_small.dcm"],
    "DR-1": ["RG1_UNCR.dcm"],
    "DR-2": ["RG3_UNCR.dcm"],
    "US-1": ["US1_UNCR.dcm"],
    "US-2": ["color3d_jpeg_baseline.dcm"],
    "US-3": ["OBXXXX1A.dcm"],
}


def main() -> int:
    target = Path(sys.argv[1])
    roots = [Path(p) for p in site.getsitepackages()]
    found = {}
    for root in roots:
        for package in ("data_store", "pydicom"):
            for path in (root / package).rglob("*.dcm"):
                found.setdefault(path.name, path)
    missing = 0
    for study, names in STUDIES.items():
        folder = target / study
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name in found:
                shutil.copyfile(found[name], folder / name)
            else:
                missing += 1
                print(f"not packaged: {name}", file=sys.stderr)
    return 1 if missing == sum(map(len, STUDIES.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
