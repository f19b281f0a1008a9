//! Codecs: there and back again, against the codecs of others, and the sibling that gives its original back.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use mingying_dicom::codec::{
    self, CodecError, Photometric, PixelDescription, SiblingPlan, Unfit, decode, encode, htj2k_resolutions,
    htj2k_sibling,
};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const LE: &str = "1.2.840.10008.1.2.1";
const BE: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const HTJ2K: &str = "1.2.840.10008.1.2.4.201";
const RPCL: &str = "1.2.840.10008.1.2.4.202";

fn descriptions() -> impl Strategy<Value = PixelDescription> {
    let side = || prop_oneof![1u32..300, 1u32..10];
    let kinds = prop_oneof![
        Just((1u16, Photometric::Monochrome2)),
        Just((3, Photometric::Rgb)),
        Just((3, Photometric::YbrFull))
    ];
    (side(), side(), kinds, 1u16..=16, any::<bool>(), any::<bool>(), any::<bool>(), 0u16..16).prop_map(
        |(rows, columns, (samples, photometric), bits_stored, signed, wide, planar, shift)| {
            let bits_allocated = if bits_stored > 8 || wide { 16 } else { 8 };
            let high_bit = (bits_stored - 1 + if shift < 12 { 0 } else { shift }).min(bits_allocated - 1);
            PixelDescription {
                rows,
                columns,
                samples,
                bits_allocated,
                bits_stored,
                high_bit,
                signed,
                planar: planar && samples == 3,
                photometric,
            }
        },
    )
}

/// Words as they lie in a file: smooth values with noise in the low bits; the bits above BitsStored are zero, sign,
/// or whatever the writer left there.
fn words(image: &PixelDescription, seed: u64, noise: u32, above: u8) -> Vec<u8> {
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u32
    };
    let bits = u32::from(image.bits_stored);
    let count = image.rows * image.columns * u32::from(image.samples);
    let word = usize::from(image.bits_allocated / 8);
    let mut out = Vec::new();
    for i in 0..count {
        let smooth = (i % (image.columns * u32::from(image.samples))) * 7 + i / image.columns;
        let value = (smooth << bits.saturating_sub(9)).wrapping_add(random() & ((1 << noise) - 1)) & ((1 << bits) - 1);
        let value = match above {
            0 => value,
            1 if image.signed && value >> (bits - 1) == 1 => value | (u32::MAX << bits),
            1 => value,
            _ => value | (random() << bits),
        };
        out.extend_from_slice(&value.to_le_bytes()[..word]);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn lossless_means_every_bit(image in descriptions(), seed in any::<u64>(), noise in 0u32..=16, above in 0u8..3) {
        let pixels = words(&image, seed, noise, above);
        let image = PixelDescription { planar: false, ..image };
        for syntax in [LE, BE, RLE, JPEG_LS, HTJ2K, RPCL] {
            let coded = encode(syntax, &pixels, &image).unwrap();
            let target = PixelDescription { photometric: coded.photometric, ..image };
            let back = decode(syntax, &coded.bytes, &target).unwrap();
            prop_assert!(back.bytes == pixels, "{}", syntax);
            prop_assert_eq!(back.photometric, image.photometric);
        }
    }

    #[test]
    fn a_sibling_gives_its_original_back(
        image in descriptions(),
        frames in 1u32..4,
        seed in any::<u64>(),
        noise in 0u32..=16,
        above in 0u8..3,
        big in any::<bool>(),
        rest in 0usize..3,
    ) {
        let header = header(&image, frames);
        let mut pixel_data: Vec<u8> = (0..frames).flat_map(|f| words(&image, seed ^ u64::from(f), noise, above)).collect();
        let len = pixel_data.len() / frames as usize;
        pixel_data.extend([0, 7, 0].iter().take(rest.min(len - 1)));
        let big = big && image.bits_allocated == 16;
        let sibling = htj2k_sibling(&header, if big { BE } else { LE }, &pixel_data).unwrap();
        prop_assert_eq!(sibling.frames.len(), frames as usize);
        prop_assert!(sibling.restore().unwrap() == pixel_data);
    }
}

fn header(image: &PixelDescription, frames: u32) -> InMemDicomObject {
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    InMemDicomObject::from_element_iter([
        us(tags::ROWS, image.rows as u16),
        us(tags::COLUMNS, image.columns as u16),
        us(tags::SAMPLES_PER_PIXEL, image.samples),
        us(tags::BITS_ALLOCATED, image.bits_allocated),
        us(tags::BITS_STORED, image.bits_stored),
        us(tags::HIGH_BIT, image.high_bit),
        us(tags::PIXEL_REPRESENTATION, u16::from(image.signed)),
        us(tags::PLANAR_CONFIGURATION, u16::from(image.planar)),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, image.photometric.term()),
        DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames.to_string()),
    ])
}

fn ct() -> PixelDescription {
    PixelDescription {
        rows: 64,
        columns: 48,
        samples: 1,
        bits_allocated: 16,
        bits_stored: 12,
        high_bit: 11,
        signed: false,
        planar: false,
        photometric: Photometric::Monochrome2,
    }
}

#[test]
fn decoded_color_is_what_the_header_says() {
    let ybr = PixelDescription { rows: 1, columns: 3, samples: 3, photometric: Photometric::YbrFull, ..gray8() };
    let rgb = codec::Decoded { bytes: vec![255, 255, 255, 255, 0, 0, 0, 0, 0], photometric: Photometric::Rgb };
    assert_eq!(codec::lay_out(rgb.clone(), &ybr), [255, 128, 128, 76, 85, 255, 0, 128, 128]);
    let planar = PixelDescription { planar: true, ..ybr };
    assert_eq!(codec::lay_out(rgb.clone(), &planar), [255, 76, 0, 128, 85, 128, 128, 255, 128]);
    let subsampled = PixelDescription { photometric: Photometric::YbrFull422, ..ybr };
    assert_eq!(codec::lay_out(rgb.clone(), &subsampled), rgb.bytes);
    let as_stored = codec::Decoded { photometric: Photometric::YbrFull, ..rgb };
    assert_eq!(codec::lay_out(as_stored.clone(), &ybr), as_stored.bytes);
}

fn gray8() -> PixelDescription {
    PixelDescription { bits_allocated: 8, bits_stored: 8, high_bit: 7, ..ct() }
}

#[test]
fn what_could_not_be_restored_gets_no_sibling() {
    let ct = ct();
    let len = 64 * 48 * 2;
    let plan = |header: &InMemDicomObject, syntax, len| SiblingPlan::new(header, syntax, len);
    assert!(plan(&header(&ct, 1), LE, len).is_ok());
    assert_eq!(plan(&header(&ct, 1), JPEG_LS, len), Err(Unfit::Compressed));
    assert_eq!(plan(&header(&ct, 1), LE, len - 1), Err(Unfit::Length));
    assert_eq!(plan(&header(&ct, 1), LE, 2 * len), Err(Unfit::Length), "a frame that the header does not know");
    assert_eq!(plan(&header(&ct, 2), LE, 2 * len).unwrap().trailer(), 0);
    for bits in [1, 32, 64] {
        let mut float = header(&ct, 1);
        float.put(DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(bits as u16)));
        assert_eq!(plan(&float, LE, len), Err(Unfit::BitsAllocated));
    }
    let palette = PixelDescription { photometric: Photometric::Palette, ..ct };
    assert_eq!(plan(&header(&palette, 1), LE, len), Err(Unfit::Palette));
    let subsampled = PixelDescription {
        photometric: Photometric::YbrFull422,
        samples: 3,
        bits_allocated: 8,
        bits_stored: 8,
        high_bit: 7,
        ..ct
    };
    assert_eq!(plan(&header(&subsampled, 1), LE, len), Err(Unfit::Subsampled));
    let bytes = PixelDescription { bits_allocated: 8, bits_stored: 8, high_bit: 7, ..ct };
    assert_eq!(plan(&header(&bytes, 1), BE, len / 2), Err(Unfit::ByteOrder));
    let mut overlay = header(&ct, 1);
    overlay.put(DataElement::new(Tag(0x6000, 0x0100), VR::US, PrimitiveValue::from(16u16)));
    assert_eq!(plan(&overlay, LE, len), Err(Unfit::Overlay));
    overlay.put(DataElement::new(Tag(0x6000, 0x3000), VR::OW, PrimitiveValue::from(vec![0u8; 384])));
    assert!(plan(&overlay, LE, len).is_ok(), "an overlay with data of its own is none of the pixels'");
    assert_eq!(plan(&InMemDicomObject::new_empty(), LE, len), Err(Unfit::NoPixels));
}

#[test]
fn color_names_follow_the_codec() {
    let rgb = PixelDescription {
        samples: 3,
        bits_allocated: 8,
        bits_stored: 8,
        high_bit: 7,
        photometric: Photometric::Rgb,
        ..ct()
    };
    let pixels = words(&rgb, 5, 3, 0);
    assert_eq!(encode(RPCL, &pixels, &rgb).unwrap().photometric.term(), "YBR_RCT");
    for syntax in [RLE, JPEG_LS, LE] {
        assert_eq!(encode(syntax, &pixels, &rgb).unwrap().photometric.term(), "RGB");
    }
    let coded = encode(RPCL, &pixels, &rgb).unwrap();
    let resolutions = htj2k_resolutions(&coded.bytes).unwrap();
    assert_eq!((resolutions.len(), resolutions[5].width, resolutions[0].height), (6, 48, 2));
    // From one compressed form to another, planes and all.
    let stored = PixelDescription { photometric: coded.photometric, ..rgb };
    let jls = codec::transcode(RPCL, JPEG_LS, &coded.bytes, &stored).unwrap();
    assert!(decode(JPEG_LS, &jls.bytes, &rgb).unwrap().bytes == pixels);
}

#[test]
fn what_no_codec_takes_is_told() {
    let ct = ct();
    let pixels = words(&ct, 5, 3, 0);
    for syntax in ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90"] {
        assert_eq!(encode(syntax, &pixels, &ct), Err(CodecError::UnsupportedSyntax(syntax.to_owned())));
        assert!(!codec::can_encode(syntax) && codec::can_decode(syntax));
    }
    let wide = PixelDescription { bits_allocated: 32, bits_stored: 32, high_bit: 31, ..ct };
    assert_eq!(encode(RPCL, &[0; 64 * 48 * 4], &wide), Err(CodecError::Unsupported("bits allocated")));
    assert_eq!(encode(RPCL, &pixels[1..], &ct), Err(CodecError::Damaged("number of pixels")));
    for video in ["1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107"] {
        assert!(!codec::can_decode(video) && !codec::can_encode(video));
    }
}

fn python() -> Command {
    let home = std::env::var("HOME").unwrap_or_default();
    let python =
        std::env::var("MINGYING_TEST_PYTHON").unwrap_or_else(|_| format!("{home}/.cache/mingying/venv/bin/python"));
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/clients/codec_oracle.py"));
    command
}

fn run(mut command: Command) {
    let output = command.output().expect("the tests' Python is missing: run `make test-deps`");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Little-endian numbers of a kind as NumPy names it: `u1`, `i2`.
fn numbers(bytes: &[u8], kind: &str) -> Vec<i64> {
    let (sign, size) = kind.split_at(1);
    let size: usize = size.parse().unwrap();
    let one = |chunk: &[u8]| {
        let value = chunk.iter().rev().fold(0i64, |value, byte| (value << 8) | i64::from(*byte));
        let unused = 64 - 8 * size as u32;
        if sign == "i" { value << unused >> unused } else { value }
    };
    bytes.chunks_exact(size).map(one).collect()
}

/// Stored values out of allocated words (PS3.5 8.1.1).
fn stored(image: &PixelDescription, bytes: &[u8]) -> Vec<i64> {
    let word = usize::from(image.bits_allocated.max(8) / 8);
    let bits = u32::from(image.bits_stored);
    let shift = u32::from(image.high_bit) + 1 - bits;
    numbers(bytes, &format!("u{word}"))
        .into_iter()
        .map(|word| {
            let value = (word >> shift) & ((1 << bits) - 1);
            if image.signed { value << (64 - bits) >> (64 - bits) } else { value }
        })
        .collect()
}

#[test]
fn what_others_encoded_is_decoded_as_they_do() {
    let folder = Folder::new();
    let mut command = python();
    command.arg("cases").arg(folder.path());
    run(command);
    let cases = std::fs::read_to_string(folder.path().join("cases.tsv")).unwrap();
    let (mut seen, mut wrong) = (0, String::new());
    for (number, line) in cases.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let int = |i: usize| fields[i].parse::<u32>().unwrap();
        let (name, syntax) = (fields[0], fields[1]);
        let image = PixelDescription {
            rows: int(2),
            columns: int(3),
            samples: int(4) as u16,
            bits_allocated: int(5) as u16,
            bits_stored: int(6) as u16,
            high_bit: int(7) as u16,
            signed: int(8) == 1,
            planar: int(9) == 1,
            photometric: Photometric::parse(fields[10], int(4) as u16),
        };
        let allowed: (i64, f64) = (int(11).into(), fields[12].parse().unwrap());
        let file = |kind: &str| std::fs::read(folder.path().join(format!("{number}.{kind}"))).unwrap();
        let expected = numbers(&file("pixels"), fields[13]);
        seen += 1;
        let decoded = match decode(syntax, &file("frame"), &image) {
            Ok(decoded) => decoded,
            Err(error) => {
                writeln!(wrong, "{name} {syntax}: {error}").unwrap();
                continue;
            }
        };
        let found = stored(&image, &decoded.bytes);
        // What others decoded is a stored value as well, in a word of their own.
        let mask = (1i64 << image.bits_stored) - 1;
        let differences: Vec<i64> = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| if allowed.0 == 0 { i64::from(a & mask != b & mask) } else { (a - b).abs() })
            .collect();
        let worst = differences.iter().max().copied().unwrap_or(i64::MAX);
        let mean = differences.iter().sum::<i64>() as f64 / differences.len().max(1) as f64;
        if found.len() != expected.len() || worst > allowed.0 || mean > allowed.1 {
            writeln!(
                wrong,
                "{name} {syntax}: {} of {} samples, off by {worst}, {mean:.3} in the mean",
                found.len(),
                expected.len()
            )
            .unwrap();
        }
    }
    assert!(seen > 150, "only {seen} cases");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn others_decode_what_we_encode() {
    let folder = Folder::new();
    let mut index = String::new();
    let mut number = 0u32;
    for (samples, photometric) in [(1u16, Photometric::Monochrome2), (3, Photometric::Rgb)] {
        for (bits_stored, bits_allocated) in [(8u16, 8u16), (12, 16), (16, 16), (5, 8), (10, 16)] {
            for (signed, noise, (rows, columns)) in
                [(false, 3, (70, 90)), (true, 9, (33, 129)), (false, 16, (5, 300)), (true, 0, (1, 1))]
            {
                let image = PixelDescription {
                    rows,
                    columns,
                    samples,
                    bits_allocated,
                    bits_stored,
                    high_bit: bits_stored - 1,
                    signed,
                    planar: false,
                    photometric,
                };
                let pixels = words(&image, u64::from(number), noise, 1);
                for (kind, syntax) in [("htj2k", RPCL), ("jpegls", JPEG_LS)] {
                    let coded = encode(syntax, &pixels, &image).unwrap().bytes;
                    std::fs::write(folder.path().join(format!("{number}.encoded")), coded).unwrap();
                    std::fs::write(folder.path().join(format!("{number}.native")), &pixels).unwrap();
                    let word = bits_allocated / 8;
                    let signed = u8::from(signed);
                    writeln!(index, "{number}\t{kind}\t{rows}\t{columns}\t{samples}\t{word}\t{bits_stored}\t{signed}")
                        .unwrap();
                    number += 1;
                }
            }
        }
    }
    std::fs::write(folder.path().join("encoded.tsv"), index).unwrap();
    let mut command = python();
    command.arg("check").arg(folder.path());
    run(command);
}
