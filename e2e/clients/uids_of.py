#!/usr/bin/env python3
"""uids_of.py FILE: prints the Study and the Series Instance UID of a DICOM file, a line each."""
import sys

import pydicom

one = pydicom.dcmread(sys.argv[1], stop_before_pixels=True)
print(one.StudyInstanceUID, one.SeriesInstanceUID, sep="\n")
