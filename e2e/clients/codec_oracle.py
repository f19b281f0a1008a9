#!/usr/bin/env python3
"""The codecs of other people, against which ours are held.

codec_oracle.py cases DIR   frames that others encoded, with the pixels that others decode them to: cases.tsv and files
codec_oracle.py check DIR   decodes what we encoded (encoded.tsv) and compares it with what we encoded it from

The frames are the encoded tiles of wsidicom-data and the test files of pydicom and pydicom-data; the decoders are
CharLS, OpenJPEG and libjpeg-turbo by way of imagecodecs, and pydicom's own.
"""
import site
import sys
import warnings
from pathlib import Path

import imagecodecs
import numpy
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

warnings.simplefilter("ignore")

NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
RLE = "1.2.840.10008.1.2.5"
JPEG_LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
JPEG_LOSSLESS = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
JPEG_LS = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}
J2K = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}

TILES = {
    "Explicit_VR_Big_Endian": "1.2.840.10008.1.2.2",
    "Explicit_VR_Little_Endian": "1.2.840.10008.1.2.1",
    "Implicit_VR_Little_Endian": "1.2.840.10008.1.2",
    "JPEG-LS_Lossless_Image_Compression": "1.2.840.10008.1.2.4.80",
    "JPEG-LS_Lossy_(Near-Lossless)_Image_Compression": "1.2.840.10008.1.2.4.81",
    "JPEG_2000_Image_Compression": "1.2.840.10008.1.2.4.91",
    "JPEG_2000_Image_Compression_(Lossless_Only)": "1.2.840.10008.1.2.4.90",
    "JPEG_Baseline_(Process_1)": "1.2.840.10008.1.2.4.50",
    "JPEG_Extended_(Process_2_and_4)": "1.2.840.10008.1.2.4.51",
    "JPEG_Lossless,_Non-Hierarchical_(Process_14)": "1.2.840.10008.1.2.4.57",
    "RLE_Lossless": RLE,
}

# Files whose pixels nobody agrees on: cut short, mislabelled on purpose, or with a header of another image.
LEFT_OUT = {
    "MR_truncated.dcm",
    "badVR.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "explicit_VR-UN.dcm",
    "UN_sequence.dcm",
    "bad_sequence.dcm",
}


class Cases:
    def __init__(self, folder):
        self.folder = folder
        self.lines = []

    def add(self, name, syntax, shape, form, frame, pixels, worst, mean):
        """`form`: allocated, stored, high bit, signed, planar, photometric. `worst`, `mean`: errors allowed."""
        number = len(self.lines)
        (self.folder / f"{number}.frame").write_bytes(frame)
        pixels = numpy.ascontiguousarray(pixels)
        kind = f"{pixels.dtype.kind}{pixels.dtype.itemsize}"
        (self.folder / f"{number}.pixels").write_bytes(pixels.astype(f"<{kind}").tobytes())
        self.lines.append("\t".join(map(str, [name, syntax, *shape, *form, worst, mean, kind])))

    def write(self):
        (self.folder / "cases.tsv").write_text("\n".join(self.lines) + "\n")


def packages():
    for root in map(Path, site.getsitepackages()):
        for package in ("data_store", "pydicom"):
            yield from sorted((root / package).rglob("*.dcm"))


def tiles(cases):
    data = next(p for r in site.getsitepackages() if (p := Path(r) / "wsidicom_data" / "data").is_dir())
    rgb = imagecodecs.png_decode((data / "test_tile.png").read_bytes())
    # ITU-R 601 as Pillow computes it for mode L.
    r, g, b = (rgb[..., i].astype("u4") for i in range(3))
    gray = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
    for path in sorted((data / "encoded").iterdir()):
        name, channels, bits = path.stem.rsplit("-", 2)
        syntax, bits = TILES[name], int(bits)
        color = channels != "GRAYSCALE"
        reference = rgb.astype("i4") if color else gray << (bits - 8)
        photometric = {"GRAYSCALE": "MONOCHROME2", "RGB": "RGB", "YBR": "YBR_FULL"}[channels]
        if syntax in J2K and channels == "YBR":
            photometric = "YBR_RCT" if syntax.endswith(".90") else "YBR_ICT"
        if syntax in JPEG_LOSSLESS:
            photometric = "RGB" if color else photometric
        worst, mean = 0, 0
        scale = 1 << (bits - 8)
        if syntax == "1.2.840.10008.1.2.4.81":
            worst, mean = 1, 1
        elif syntax in JPEG_LOSSY or syntax == "1.2.840.10008.1.2.4.91":
            worst, mean = 48 * scale, 4 * scale
        allocated = 8 if bits == 8 else 16
        form = (allocated, bits, bits - 1, 0, 0, photometric)
        shape = (240, 240, 3 if color else 1)
        cases.add(path.name, syntax, shape, form, path.read_bytes(), reference, worst, mean)


def decoded(dataset, syntax, frame, index):
    """The frame's samples, lossless color as it lies, lossy color as RGB."""
    if syntax in NATIVE or syntax == RLE:
        return pixel_array(dataset, index=index, raw=True)
    if syntax in JPEG_LS:
        pixels = imagecodecs.jpegls_decode(frame)
    elif syntax in J2K:
        pixels = imagecodecs.jpeg2k_decode(frame)
    elif dataset.PhotometricInterpretation == "RGB" and b"JFIF" not in frame[:32]:
        # Without a marker that says so libjpeg would guess at YCbCr.
        pixels = imagecodecs.jpeg8_decode(frame, colorspace="rgb", outcolorspace="rgb")
    else:
        pixels = imagecodecs.jpeg8_decode(frame)
    bits = dataset.BitsStored
    if dataset.PixelRepresentation == 1 and pixels.dtype.kind == "u":
        pixels = pixels.astype("i4")
        pixels = numpy.where(pixels >> (bits - 1) & 1, pixels - (1 << bits), pixels)
    return pixels


def files(cases):
    for path in packages():
        if path.name in LEFT_OUT:
            continue
        try:
            dataset = pydicom.dcmread(path)
            syntax = str(dataset.file_meta.TransferSyntaxUID)
        except Exception:
            continue
        if "PixelData" not in dataset or dataset.get("BitsAllocated") not in (1, 8, 16, 32):
            continue
        # Eight-bit pixels in the words of big endian change places in pairs, which a frame by itself does not show.
        if syntax == "1.2.840.10008.1.2.2" and dataset.BitsAllocated == 8 and dataset["PixelData"].VR == "OW":
            continue
        count = int(dataset.get("NumberOfFrames") or 1)
        shown = range(min(count, 2))
        if syntax in NATIVE:
            size = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
            if dataset.PhotometricInterpretation == "YBR_FULL_422":
                size = size * 2 // 3
            if size % 8:
                continue
            frames = [dataset.PixelData[i * size // 8 : (i + 1) * size // 8] for i in shown]
        else:
            frames = [f for _, f in zip(shown, generate_frames(dataset.PixelData, number_of_frames=count))]
        photometric = dataset.PhotometricInterpretation
        for index, frame in enumerate(frames):
            try:
                pixels = decoded(dataset, syntax, frame, index)
            except Exception as problem:
                print(f"no reference for {path.name}: {problem}", file=sys.stderr)
                continue
            # Inverse transformations and upsampling may round either way.
            worst, mean = (64, 2) if syntax in JPEG_LOSSY else (2, 0.5) if syntax.endswith(".91") else (0, 0)
            form = (
                dataset.BitsAllocated,
                dataset.BitsStored,
                dataset.HighBit,
                dataset.PixelRepresentation,
                dataset.get("PlanarConfiguration", 0),
                photometric,
            )
            shape = (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
            cases.add(f"{path.name} {index}", syntax, shape, form, frame, pixels, worst, mean)


def check(folder):
    bad = 0
    lines = (folder / "encoded.tsv").read_text().splitlines()
    for line in lines:
        number, kind, rows, columns, samples, word, bits, signed = line.split("\t")
        frame = (folder / f"{number}.encoded").read_bytes()
        dtype = f"<{'i' if signed == '1' else 'u'}{word}"
        wanted = numpy.frombuffer((folder / f"{number}.native").read_bytes(), dtype)
        shape = (int(rows), int(columns), int(samples)) if samples != "1" else (int(rows), int(columns))
        decode = {"htj2k": imagecodecs.jpeg2k_decode, "jpegls": imagecodecs.jpegls_decode}[kind]
        found = decode(frame)
        # JPEG-LS knows no sign: compare what the bits say.
        mask = (1 << int(bits)) - 1
        same = found.reshape(shape).astype("i8") & mask == wanted.reshape(shape).astype("i8") & mask
        if not same.all():
            print(f"{line}: {(~same).sum()} samples differ")
            bad += 1
    print(f"{len(lines) - bad} passed, {bad} failed")
    return 1 if bad or not lines else 0


def main():
    command, folder = sys.argv[1], Path(sys.argv[2])
    if command == "check":
        return check(folder)
    cases = Cases(folder)
    tiles(cases)
    files(cases)
    cases.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
