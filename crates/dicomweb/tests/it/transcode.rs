//! Objects and frames in a transfer syntax other than the one they came in.

use super::harness::*;
use axum::http::{StatusCode, header};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use mingying_dicom::codec::{self, PixelDescription, htj2k_resolutions};
use mingying_dicom::{Limits, part10, read_data_set};

const HTJ2K_LOSSLESS: &str = "1.2.840.10008.1.2.4.201";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

pub fn instance(study: u32) -> String {
    format!("/studies/1.9.{study}/series/1.9.{study}.1/instances/1.9.{study}.1.1")
}

/// Transfer syntax, header, and what stands behind it.
pub fn taken_apart(file: &[u8]) -> (String, InMemDicomObject, Vec<u8>) {
    let head = part10::read_header(file).unwrap().unwrap();
    let data_set = &file[head.data_set_at..];
    let header = read_data_set(data_set, &head.transfer_syntax, Limits::default()).unwrap();
    let at = data_set.windows(4).rposition(|w| w == [0xe0, 0x7f, 0x10, 0x00]).unwrap();
    (head.transfer_syntax, header, data_set[at..].to_vec())
}

/// The frames of encapsulated Pixel Data, element head and empty Basic Offset Table before them.
pub fn fragments(element: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(element[4..20], *b"OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0");
    let mut at = 20;
    let mut frames = Vec::new();
    while element[at..at + 4] == [0xfe, 0xff, 0x00, 0xe0] {
        let length = u32::from_le_bytes(element[at + 4..at + 8].try_into().unwrap()) as usize;
        assert!(length.is_multiple_of(2));
        frames.push(element[at + 8..at + 8 + length].to_vec());
        at += 8 + length;
    }
    assert_eq!(element[at..], [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    frames
}

pub fn decoded(header: &InMemDicomObject, syntax: &str, frame: &[u8]) -> Vec<u8> {
    codec::decode(syntax, frame, &PixelDescription::read(header).unwrap().unwrap()).unwrap().bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_frames_leave_compressed() {
    let bench = Bench::new().await;
    bench.store("/studies", &[file(1, 1, 1), file_as(&object(2, 1, 1), BIG)]).await;
    for study in [1, 2] {
        let frame = format!("{}/frames/1", instance(study));
        for (syntax, kind) in
            [(HTJ2K, "image/jphc"), (HTJ2K_LOSSLESS, "image/jphc"), (JPEG_LS, "image/jls"), (RLE, "image/dicom-rle")]
        {
            for part in [kind, "application/octet-stream", "*/*", "image/*"] {
                let accept = format!("multipart/related; type=\"{part}\"; transfer-syntax={syntax}");
                let answer = bench.get(&frame, &accept).await;
                assert_eq!(answer.status, StatusCode::OK, "{accept}");
                let parts = answer.parts();
                assert_eq!(parts[0].0, format!("{kind}; transfer-syntax={syntax}"));
                assert!(decoded(&object(1, 1, 1), syntax, &parts[0].1) == raw(1), "{accept}");
            }
        }
        // A wrong name for the bytes is not a wish that can be fulfilled, nor is a syntax that nobody here writes.
        for (part, syntax) in
            [("image/jls", HTJ2K), ("image/jp2", "1.2.840.10008.1.2.4.90"), ("application/octet-stream", BIG)]
        {
            let accept = format!("multipart/related; type=\"{part}\"; transfer-syntax={syntax}");
            assert_eq!(
                bench.get(&frame, &accept).await.status.as_u16(),
                if study == 2 && syntax == BIG { 200 } else { 406 }
            );
        }
    }
    // The beginning of a codestream is a smaller image; but parts of several answers may not fit together.
    let accept = format!("image/jphc; transfer-syntax={HTJ2K}");
    let path = format!("{}/frames/1", instance(1));
    let whole = bench.get_with(&path, &accept, header::RANGE, "bytes=0-9").await;
    assert_eq!((whole.status, whole.headers[header::ACCEPT_RANGES].to_str().unwrap()), (StatusCode::OK, "none"));
    assert!(whole.headers[header::ETAG].to_str().unwrap().starts_with("W/"));
    let coarse = htj2k_resolutions(&whole.body).unwrap()[2];
    assert_eq!((coarse.width, coarse.height), (4, 3));
    assert_eq!(htj2k_resolutions(&whole.body[..coarse.end]).unwrap().len(), 3);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_leave_compressed_and_come_back() {
    let bench = Bench::new().await;
    bench
        .store("/studies", &[file(1, 1, 1), file_as(&object(2, 1, 1), IMPLICIT), file_as(&object(3, 1, 1), BIG)])
        .await;
    for study in [1, 2, 3] {
        for syntax in [HTJ2K, HTJ2K_LOSSLESS, JPEG_LS, RLE] {
            let single = bench.get(&instance(study), &format!("application/dicom; transfer-syntax={syntax}")).await;
            assert_eq!(single.status, StatusCode::OK, "{study} {syntax}");
            assert_eq!(single.kind(), format!("application/dicom; transfer-syntax={syntax}"));
            let (found, header, element) = taken_apart(&single.body);
            assert_eq!(found, syntax);
            assert_eq!(header.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Zhang^San=张^三");
            let frames = fragments(&element);
            assert_eq!(frames.len(), 1);
            assert!(decoded(&header, syntax, &frames[0]) == raw(1), "{study} {syntax}");
        }
    }
    // Stored so, it is decoded for those who ask.
    let image = PixelDescription::read(&object(7, 1, 1)).unwrap().unwrap();
    let coded = codec::encode(HTJ2K, &raw(1), &image).unwrap().bytes;
    assert_eq!(bench.store("/studies", &[encapsulated(7, HTJ2K, vec![coded])]).await.status, StatusCode::OK);
    let native = bench.get(&instance(7), &format!("application/dicom; transfer-syntax={EXPLICIT}")).await;
    assert_eq!(native.status, StatusCode::OK);
    let (_, header, element) = taken_apart(&native.body);
    assert_eq!(header.element(tags::PHOTOMETRIC_INTERPRETATION).unwrap().to_str().unwrap(), "MONOCHROME2");
    assert_eq!(element[4..12], *b"OW\0\0\x80\x01\0\0");
    assert!(element[12..] == raw(1));
    let implicit = bench.get(&instance(7), &format!("application/dicom; transfer-syntax={IMPLICIT}")).await;
    assert!(taken_apart(&implicit.body).2[8..] == raw(1));
    let frame = bench.get(&format!("{}/frames/1", instance(7)), OCTETS).await;
    assert!(frame.parts()[0].1 == raw(1));
    assert_eq!(bench.get(&format!("{}/rendered", instance(7)), "image/png").await.status, StatusCode::OK);
    assert_eq!(bench.get(&format!("{}/thumbnail", instance(7)), "").await.status, StatusCode::OK);
    for syntax in [BIG, "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"] {
        let accept = format!("application/dicom; transfer-syntax={syntax}");
        assert_eq!(bench.get(&instance(7), &accept).await.status, StatusCode::NOT_ACCEPTABLE, "{syntax}");
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_frames_and_color() {
    let bench = Bench::new().await;
    // Two frames of 12 x 16 in three planes.
    let planes: Vec<u8> = (0..2 * 3 * 12 * 16u32).map(|i| (i * 7 % 251) as u8).collect();
    let mut color = object(1, 1, 1);
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    for element in [
        us(tags::SAMPLES_PER_PIXEL, 3),
        us(tags::BITS_ALLOCATED, 8),
        us(tags::BITS_STORED, 8),
        us(tags::HIGH_BIT, 7),
        us(tags::PLANAR_CONFIGURATION, 1),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"),
        DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "2"),
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(planes.clone())),
    ] {
        color.put(element);
    }
    bench.store("/studies", &[file_as(&color, EXPLICIT), encapsulated(2, RLE, vec![rle(5), rle(6)])]).await;
    let answer = bench.get(&instance(1), &format!("application/dicom; transfer-syntax={HTJ2K}")).await;
    let (_, header, element) = taken_apart(&answer.body);
    assert_eq!(header.element(tags::PHOTOMETRIC_INTERPRETATION).unwrap().to_str().unwrap(), "YBR_RCT");
    assert_eq!(header.element(tags::PLANAR_CONFIGURATION).unwrap().to_int::<u16>().unwrap(), 0);
    let frames = fragments(&element);
    assert_eq!(frames.len(), 2);
    for (frame, planes) in frames.iter().zip(planes.chunks(576)) {
        let pixels = decoded(&header, HTJ2K, frame);
        assert!((0..192).all(|i| pixels[3 * i..3 * i + 3] == [planes[i], planes[192 + i], planes[384 + i]]));
    }
    // From one compression to another, and to the plain value with both frames in it.
    let jls = bench.get(&instance(2), &format!("application/dicom; transfer-syntax={JPEG_LS}")).await;
    let (_, header, element) = taken_apart(&jls.body);
    assert!(decoded(&header, JPEG_LS, &fragments(&element)[1]) == raw(6));
    let native = bench.get(&instance(2), &format!("application/dicom; transfer-syntax={EXPLICIT}")).await;
    assert!(taken_apart(&native.body).2[12..] == [raw(5), raw(6)].concat());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_the_words_of_big_endian() {
    let bench = Bench::new().await;
    // Two frames of 9 bytes: the pairs go over the end of the first.
    let plain: Vec<u8> = (1..=18).collect();
    let mut swapped = plain.clone();
    swapped.chunks_exact_mut(2).for_each(<[u8]>::reverse);
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    for (study, vr, value) in [(1, VR::OW, swapped), (2, VR::OB, plain.clone())] {
        let mut object = object(study, 1, 1);
        for element in [
            us(tags::ROWS, 3),
            us(tags::COLUMNS, 3),
            us(tags::BITS_ALLOCATED, 8),
            us(tags::BITS_STORED, 8),
            us(tags::HIGH_BIT, 7),
            DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "2"),
            DataElement::new(tags::PIXEL_DATA, vr, PrimitiveValue::from(value)),
        ] {
            object.put(element);
        }
        bench.store("/studies", &[file_as(&object, BIG)]).await;
        let frames = bench.get(&format!("{}/frames/1,2", instance(study)), OCTETS).await;
        assert_eq!([frames.parts()[0].1.clone(), frames.parts()[1].1.clone()].concat(), plain, "{vr:?}");
        let native = bench.get(&instance(study), &format!("application/dicom; transfer-syntax={EXPLICIT}")).await;
        assert_eq!(taken_apart(&native.body).2[12..], plain);
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_or_a_film_is_told() {
    let bench = Bench::new().await;
    const MPEG4: &str = "1.2.840.10008.1.2.4.102";
    let film = encapsulated(2, MPEG4, vec![vec![0, 0, 1, 9]]);
    bench.store("/studies", &[encapsulated(1, HTJ2K, vec![vec![1, 2, 3, 4]]), film.clone()]).await;
    for what in ["frames/1", "rendered"] {
        let accept = if what == "rendered" { "image/png" } else { OCTETS };
        let answer = bench.get(&format!("{}/{what}", instance(1)), accept).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "render.damaged"),
            "{what}"
        );
    }
    let object = bench.get(&instance(1), &format!("application/dicom; transfer-syntax={EXPLICIT}")).await;
    assert_eq!(object.code(), "render.damaged");
    let several = bench.get(&instance(1), &format!("{MULTIPART}; transfer-syntax={EXPLICIT}")).await;
    assert_eq!(several.code(), "render.damaged", "told by the status, not by an answer that breaks off");
    // Video passes untouched.
    assert!(bench.get(&instance(2), "application/dicom").await.body == film);
    let native = bench.get(&instance(2), &format!("application/dicom; transfer-syntax={EXPLICIT}")).await;
    assert_eq!(native.status, StatusCode::NOT_ACCEPTABLE);
    bench.close().await;
}
