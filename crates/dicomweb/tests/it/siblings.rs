//! Stored HTJ2K siblings answer who asks for HTJ2K, and nobody else.

use super::harness::*;
use super::transcode::{decoded, fragments, instance, taken_apart};
use mingying_dicom::codec::htj2k_resolutions;

const ALL: [&str; 3] = ["1.2.840.10008.1.2.4.201", HTJ2K, "1.2.840.10008.1.2.4.203"];

/// Large enough to be worth compressing; in color, three samples a pixel lie in planes.
fn large(study: u32, frames: u16, color: bool) -> (InMemDicomObject, Vec<u8>) {
    const SIDE: u16 = 64;
    let mut object = object(study, 1, 1);
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let samples = if color { 3 } else { 1 };
    let values: Vec<u16> = (0..frames * samples)
        .flat_map(|plane| (0..SIDE * SIDE).map(move |i| (i / SIDE * 2 + i % SIDE + plane * 9) % 250))
        .collect();
    for element in [us(tags::ROWS, SIDE), us(tags::COLUMNS, SIDE), us(tags::SAMPLES_PER_PIXEL, samples)] {
        object.put(element);
    }
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames.to_string()));
    if !color {
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(values.clone().into())));
        return (object, values.iter().flat_map(|v| v.to_le_bytes()).collect());
    }
    let bytes: Vec<u8> = values.iter().map(|v| *v as u8).collect();
    for element in [
        us(tags::BITS_ALLOCATED, 8),
        us(tags::BITS_STORED, 8),
        us(tags::HIGH_BIT, 7),
        us(tags::PLANAR_CONFIGURATION, 1),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"),
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(bytes.clone())),
    ] {
        object.put(element);
    }
    (object, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_come_from_the_sibling_untouched() {
    let bench = Bench::new().await;
    let (one, native) = large(1, 3, false);
    bench.store("/studies", &[file_as(&one, EXPLICIT)]).await;
    bench.make_siblings().await;
    let permit = bench.permit();
    let found = bench.archive.instances_of(&permit, "1.9.1", None, None).await.unwrap().remove(0);
    let stored = bench.archive.sibling_frame(&found, 1).await.unwrap();
    let path = format!("{}/frames/2", instance(1));
    for syntax in ALL {
        let accept = format!("multipart/related; type=\"image/jphc\"; transfer-syntax={syntax}");
        let answer = bench.get(&format!("{}/frames/1,2,3", instance(1)), &accept).await;
        let parts = answer.parts();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[1].0, format!("image/jphc; transfer-syntax={syntax}"));
        assert!(parts[1].1 == stored, "the very bytes");
        for (part, native) in parts.iter().zip(native.chunks(64 * 64 * 2)) {
            assert!(decoded(&one, syntax, &part.1) == native, "{syntax}");
        }
        // Bytes that stay can be asked for in part: the beginning is a smaller image.
        let accept = format!("image/jphc; transfer-syntax={syntax}");
        let whole = bench.get(&path, &accept).await;
        let tag = whole.headers[header::ETAG].to_str().unwrap().to_owned();
        assert!(!tag.starts_with("W/") && whole.headers[header::ACCEPT_RANGES] == "bytes");
        let end = htj2k_resolutions(&whole.body).unwrap()[3].end;
        let part = bench.get_with(&path, &accept, header::RANGE, &format!("bytes=0-{}", end - 1)).await;
        assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &stored[..end]));
        assert_eq!(bench.get_with(&path, &accept, header::IF_NONE_MATCH, &tag).await.status, StatusCode::NOT_MODIFIED);
    }
    // Everybody else gets what was stored.
    for accept in [OCTETS, "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*", "*/*"] {
        let answer = bench.get(&path, accept).await;
        assert!(answer.parts()[0].1 == native[64 * 64 * 2..][..64 * 64 * 2], "{accept}");
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_built_of_header_and_sibling() {
    let bench = Bench::new().await;
    let (gray, native) = large(1, 2, false);
    let (color, planes) = large(2, 2, true);
    bench.store("/studies", &[file_as(&gray, IMPLICIT), file_as(&color, EXPLICIT)]).await;
    bench.make_siblings().await;
    assert_eq!(bench.archive.sibling_stats().made, 2);
    for syntax in ALL {
        let accept = format!("application/dicom; transfer-syntax={syntax}");
        let answer = bench.get(&instance(1), &accept).await;
        assert_eq!(answer.headers[header::CONTENT_LENGTH], answer.body.len().to_string(), "known in advance");
        let (found, header, element) = taken_apart(&answer.body);
        assert_eq!(found, syntax);
        assert_eq!(header.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Zhang^San=张^三");
        let frames = fragments(&element);
        assert_eq!(frames.len(), 2);
        for (frame, native) in frames.iter().zip(native.chunks(64 * 64 * 2)) {
            assert!(decoded(&header, syntax, frame) == native);
        }
        let answer = bench.get(&instance(2), &accept).await;
        let (_, header, element) = taken_apart(&answer.body);
        assert_eq!(header.element(tags::PHOTOMETRIC_INTERPRETATION).unwrap().to_str().unwrap(), "YBR_RCT");
        assert_eq!(header.element(tags::PLANAR_CONFIGURATION).unwrap().to_int::<u16>().unwrap(), 0);
        let count = 64 * 64;
        for (frame, planes) in fragments(&element).iter().zip(planes.chunks(3 * count)) {
            let pixels = decoded(&header, syntax, frame);
            let plane = |i: usize| [planes[i], planes[count + i], planes[2 * count + i]];
            assert!((0..count).all(|i| pixels[3 * i..3 * i + 3] == plane(i)));
        }
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sibling_that_cannot_be_read_is_made_up_for() {
    let bench = Bench::new().await;
    let (one, native) = large(1, 1, false);
    bench.store("/studies", &[file_as(&one, EXPLICIT)]).await;
    bench.make_siblings().await;
    let pack = std::fs::read_dir(bench.dir().join("siblings/packs")).unwrap().next().unwrap().unwrap().path();
    let damaged: Vec<u8> = std::fs::read(&pack).unwrap().into_iter().map(|byte| byte ^ 0x55).collect();
    std::fs::write(&pack, damaged).unwrap();
    for _ in 0..2 {
        let answer =
            bench.get(&format!("{}/frames/1", instance(1)), &format!("image/jphc; transfer-syntax={HTJ2K}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers[header::ETAG].to_str().unwrap().starts_with("W/"));
        assert!(decoded(&one, HTJ2K, &answer.body) == native);
        let answer = bench.get(&instance(1), &format!("application/dicom; transfer-syntax={HTJ2K}")).await;
        let (_, header, element) = taken_apart(&answer.body);
        assert!(decoded(&header, HTJ2K, &fragments(&element)[0]) == native);
    }
    bench.close().await;
}
