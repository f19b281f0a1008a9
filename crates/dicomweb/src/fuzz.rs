//! What the fuzzer in `fuzz/` and the fixed slice of it run.

// Contradictions found here are for a person to read.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::multipart::{Multipart, MultipartError, Piece};
use crate::{accept, json, qido};
use axum::http::HeaderMap;
use bytes::Bytes;
use futures::FutureExt;
use mingying_archive::Level;
use mingying_dicom::{Limits, read_data_set};

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("dicomweb_multipart", 1 << 20, multipart),
    ("dicomweb_accept", 1 << 20, media_ranges),
    ("dicomweb_query", 1 << 20, query),
    ("dicomweb_json", 1 << 20, data_set_json),
];

type Parts = Vec<(Option<String>, Vec<u8>)>;

fn parts(body: &[u8], boundary: &str, step: usize) -> (Parts, Option<MultipartError>) {
    let source = futures::stream::iter(body.chunks(step.max(1)).map(|c| Ok::<_, ()>(Bytes::copy_from_slice(c))));
    let mut multipart = match Multipart::new(source, boundary) {
        Ok(multipart) => multipart,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut parts: Parts = Vec::new();
    loop {
        match multipart.next().now_or_never() {
            Some(Ok(Some(Piece::Part { content_type }))) => parts.push((content_type, Vec::new())),
            Some(Ok(Some(Piece::Data(bytes)))) => parts.last_mut().unwrap().1.extend_from_slice(&bytes),
            Some(Ok(Some(Piece::PartEnd))) => {}
            Some(Ok(None)) => return (parts, None),
            Some(Err(error)) => return (parts, Some(error)),
            None => panic!("the body is always there"),
        }
    }
}

/// The first byte says how many bytes arrive at a time, a line the boundary; the body follows.
fn multipart(input: &[u8]) {
    let Some((&step, rest)) = input.split_first() else { return };
    let Some(at) = rest.iter().position(|b| *b == b'\n') else { return };
    let (boundary, body) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
    let boundary = String::from_utf8_lossy(boundary);
    let (whole, error) = parts(body, &boundary, body.len());
    let (cut, same) = parts(body, &boundary, usize::from(step) + 1);
    assert_eq!(error, same);
    // Bytes of a part that was never ended may have been held back.
    if error.is_none() {
        assert_eq!(whole, cut);
    }
}

fn media_ranges(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for range in accept::accepted(&HeaderMap::new(), Some(&text)) {
        let _ = (range.covers("image/png"), range.part_type(), range.transfer_syntax(), range.param("boundary"));
        assert!(range.covers(&range.essence) || range.essence == "*/*" || range.essence == "*");
    }
}

fn query(input: &[u8]) {
    let Ok(search) = qido::Search::parse(Some(&String::from_utf8_lossy(input))) else { return };
    for level in [Level::Study, Level::Series, Level::Instance] {
        let _ = search.query(level, None);
    }
}

/// What is written of any data set is JSON.
fn data_set_json(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let syntax = if choice & 1 == 0 { "1.2.840.10008.1.2.1" } else { "1.2.840.10008.1.2" };
    // The reader of JSON used here stops at 128 levels, of which a sequence takes three.
    let limits = Limits { depth: 40, ..Limits::default() };
    let Ok(object) = read_data_set(bytes, syntax, limits) else { return };
    let mut out = Vec::new();
    json::write_object(&mut out, &object, Some(&json::BulkBase("/b".to_owned())));
    let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
    for (tag, element) in read.as_object().unwrap() {
        if element.get("BulkDataURI").is_some() {
            assert!(json::find(&object, tag).is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
