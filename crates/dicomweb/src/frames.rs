//! Frames and bulk values (PS3.18 10.4.1.1.4 to 10.4.1.1.6).

use crate::auth::Allowed;
use crate::conditional::{Part, beyond, etag, not_modified, part, private_cache, strong_etag, unchanged};
use crate::path::Target;
use crate::wado::{self, Chunks, body, boundary, set, wanted};
use crate::{Problem, Web, accept, json, media, transcode};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use mingying_archive::{Archive, ArchiveError, InstanceRef, ReadStudies};

/// Most frames named in one request.
const MAX_FRAMES: usize = 20_000;

/// How frames are sent.
#[derive(Debug, Clone, PartialEq)]
struct Form {
    multipart: bool,
    /// The transfer syntax that a codec makes, or the sibling has; `None` where the frames leave as they are stored.
    coded: Option<String>,
    content_type: String,
}

impl Form {
    /// Whether each answer has the same bytes, where no sibling has them. Encoders may write the same image in other ones the next time.
    fn is_steady(&self) -> bool {
        self.coded.as_deref().is_none_or(|to| to == media::EXPLICIT_LE)
    }
}

/// The numbers of the path, counted from 1 there and from 0 here.
pub(crate) fn parse_list(text: &str, frames: i64) -> Result<Vec<u32>, Problem> {
    let numbers: Vec<u32> = text
        .split(',')
        .take(MAX_FRAMES + 1)
        .map(|n| n.trim().parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(|| Problem::invalid("frames")))
        .collect::<Result<_, _>>()?;
    if numbers.is_empty() || numbers.len() > MAX_FRAMES {
        return Err(Problem::invalid("frames"));
    }
    if numbers.iter().any(|n| i64::from(*n) > frames) {
        return Err(Problem::not_found());
    }
    Ok(numbers.into_iter().map(|n| n - 1).collect())
}

/// Types that name the same codestream.
fn same_type(asked: &str, stored: &str) -> bool {
    asked == stored
        || matches!(
            (asked, stored),
            ("image/x-jls", "image/jls")
                | ("image/x-dicom-rle", "image/dicom-rle")
                | ("image/jpx" | "image/j2c", "image/jp2")
                | ("image/jls", "image/x-jls")
        )
}

fn choose(ranges: &[accept::MediaRange], instance: &InstanceRef, frames: usize) -> Option<Form> {
    let syntax = instance.transfer_syntax.as_str();
    let stored_type = media::of_frame(syntax);
    let native = media::is_native(syntax);
    // Big-endian pixels leave little endian, which is what octet-stream means (PS3.18 8.7.3.5.1).
    let sent_as = if native { media::EXPLICIT_LE } else { syntax };
    let as_stored =
        |multipart| Form { multipart, coded: None, content_type: format!("{stored_type}; transfer-syntax={sent_as}") };
    let as_coded = |multipart, to: &str| Form {
        multipart,
        coded: Some(to.to_owned()),
        content_type: format!("{}; transfer-syntax={to}", media::of_frame(to)),
    };
    ranges.iter().find_map(|range| {
        let multipart = range.is_multipart() || range.covers("multipart/related");
        if !multipart && frames > 1 {
            return None;
        }
        let asked = range.transfer_syntax();
        let fits = asked.is_none_or(|asked| asked == "*" || asked == syntax || asked == sent_as);
        // Native frames leave little endian or not at all.
        let possible = |to: &&str| {
            (*to == media::EXPLICIT_LE || !media::is_native(to)) && transcode::is_possible_frame(syntax, to)
        };
        let Some(part) = range.part_type().filter(|part| part != "*/*" && part != "*") else {
            return if fits { Some(as_stored(true)) } else { asked.filter(possible).map(|to| as_coded(true, to)) };
        };
        let octets = part == "application/octet-stream";
        let named =
            |kind: &str| same_type(&part, kind) || part.strip_suffix("/*").is_some_and(|start| kind.starts_with(start));
        // Compressed frames are octets only for who names their transfer syntax.
        if fits && (named(stored_type) || (octets && asked.is_some())) {
            return Some(as_stored(multipart));
        }
        let to = asked.filter(|asked| *asked != "*").or(octets.then_some(media::EXPLICIT_LE));
        to.filter(possible).filter(|to| octets || named(media::of_frame(to))).map(|to| as_coded(multipart, to))
    })
}

/// One frame in the form chosen: where it lies, or itself where it had to be made.
enum Pixels {
    Stored { at: u64, len: u64 },
    Made(Bytes),
}

impl Pixels {
    async fn of(web: &Web, instance: &InstanceRef, index: u32, coded: Option<&str>) -> Result<Self, Problem> {
        if coded.is_some_and(transcode::is_of_sibling)
            && let Some(frame) = web.archive.sibling_frame(instance, index).await
        {
            return Ok(Self::Made(frame));
        }
        let big_endian = instance.transfer_syntax == media::EXPLICIT_BE && instance.bits_allocated != Some(1);
        match coded.or(big_endian.then_some(media::EXPLICIT_LE)) {
            Some(media::EXPLICIT_LE) => {
                return Ok(Self::Made(web.renderers.decode(&web.archive, instance, index).await?));
            }
            Some(to) => return Ok(Self::Made(web.renderers.transcode(&web.archive, instance, index, to).await?.0)),
            None => {}
        }
        Ok(match web.archive.frame_place(instance, index).await? {
            Some((at, len)) => Self::Stored { at, len },
            None => Self::Made(web.archive.frame_bytes(instance, index).await?),
        })
    }

    fn len(&self) -> u64 {
        match self {
            Self::Stored { len, .. } => *len,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }

    /// `len` of its bytes from `from`, which lie within it.
    fn bytes(self, archive: &Archive, instance: &InstanceRef, from: u64, len: u64) -> Chunks {
        match self {
            Self::Stored { at, .. } => wado::read_range(archive.clone(), instance.clone(), at + from, len),
            Self::Made(bytes) => {
                let (from, to) = (from as usize, (from + len) as usize);
                stream::once(async move { Ok(bytes.slice(from..to)) }).boxed()
            }
        }
    }

    fn all(self, archive: &Archive, instance: &InstanceRef) -> Chunks {
        let len = self.len();
        self.bytes(archive, instance, 0, len)
    }
}

pub(crate) async fn retrieve_frames(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ranges = wanted(&headers, query.as_deref());
    let instance = wado::instance(&web, &permit, &target).await?;
    let frames = parse_list(&target.rest, instance.frames)?;
    let form = choose(&ranges, &instance, frames.len()).ok_or_else(Problem::not_acceptable)?;
    send(&web, instance, frames, form, &headers).await
}

/// The first frame is found or made before the answer begins, so that what cannot be decoded is told by its status.
async fn send(
    web: &Web,
    instance: InstanceRef,
    frames: Vec<u32>,
    form: Form,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut rest = frames.clone().into_iter();
    let index = rest.next().ok_or_else(|| Problem::invalid("frames"))?;
    let kept = if form.coded.as_deref().is_some_and(transcode::is_of_sibling) {
        web.archive.sibling_frame(&instance, index).await
    } else {
        None
    };
    // The bytes of a sibling stay as they are, until another one is made.
    let place = kept.as_ref().and(instance.sibling);
    let steady = place.is_some() || form.is_steady();
    let what = format!("{form:?} {frames:?} {place:?}");
    let part_of_it = !form.multipart && steady;
    let etag = if part_of_it { strong_etag(&instance, &what) } else { etag(std::slice::from_ref(&instance), &what) };
    if not_modified(headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let first = match kept {
        Some(frame) => Pixels::Made(frame),
        None => {
            web.archive.reachable(std::slice::from_ref(&instance)).await?;
            Pixels::of(web, &instance, index, form.coded.as_deref()).await?
        }
    };
    let mut response = if form.multipart {
        several(web, instance, first, rest, &form)
    } else {
        let part = if part_of_it { part(headers, &etag, first.len()) } else { Part::Whole };
        one(web, &instance, first, &form, steady, part)
    };
    private_cache(response.headers_mut(), Some(&etag));
    Ok(response)
}

/// A single part, or the range of it that was asked for.
fn one(web: &Web, instance: &InstanceRef, frame: Pixels, form: &Form, steady: bool, part: Part) -> Response {
    let whole = frame.len();
    let (status, from, len) = match part {
        Part::Beyond => return beyond(whole),
        Part::Whole => (StatusCode::OK, 0, whole),
        Part::Some(from, len) => (StatusCode::PARTIAL_CONTENT, from, len),
    };
    let mut response = (status, body(frame.bytes(&web.archive, instance, from, len))).into_response();
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, &form.content_type);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static(if steady { "bytes" } else { "none" }));
    if status == StatusCode::PARTIAL_CONTENT {
        set(headers, header::CONTENT_RANGE, &format!("bytes {from}-{}/{whole}", from + len - 1));
    }
    response
}

/// One part a frame. The length is told where it is known, so that a truncated answer shows.
fn several(web: &Web, instance: InstanceRef, first: Pixels, rest: std::vec::IntoIter<u32>, form: &Form) -> Response {
    let boundary = boundary();
    let head = Bytes::from(format!("--{boundary}\r\nContent-Type: {}\r\n\r\n", form.content_type));
    let next_head = Bytes::from(format!("\r\n--{boundary}\r\nContent-Type: {}\r\n\r\n", form.content_type));
    let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let kind = format!(
        "multipart/related; type=\"{}\"; boundary={boundary}",
        form.content_type.split(';').next().unwrap_or_default()
    );
    let length = (rest.len() == 0).then(|| head.len() as u64 + first.len() + tail.len() as u64);
    let first = first.all(&web.archive, &instance);
    let (web, coded) = (web.clone(), form.coded.clone());
    let others = stream::iter(rest)
        .map(move |index| {
            let (web, instance, head) = (web.clone(), instance.clone(), next_head.clone());
            let coded = coded.clone();
            async move {
                let chunks = match Pixels::of(&web, &instance, index, coded.as_deref()).await {
                    Ok(frame) => frame.all(&web.archive, &instance),
                    Err(_) => stream::once(async { Err(ArchiveError::Unreadable("frame")) }).boxed(),
                };
                stream::once(async move { Ok(head) }).chain(chunks)
            }
        })
        // The next frames are found or made while one is sent.
        .buffered(4)
        .flatten();
    let ends = |bytes| stream::once(async move { Ok(bytes) });
    let chunks: Chunks = ends(head).chain(first).chain(others).chain(ends(tail)).boxed();
    let mut response = (StatusCode::OK, body(chunks)).into_response();
    set(response.headers_mut(), header::CONTENT_TYPE, &kind);
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// A value that the metadata gave as BulkDataURI.
pub(crate) async fn retrieve_bulkdata(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ranges = wanted(&headers, query.as_deref());
    let instance = wado::instance(&web, &permit, &target).await?;
    if target.rest.eq_ignore_ascii_case("7FE00010") {
        return pixel_data(&web, instance, &ranges, &headers).await;
    }
    let etag = etag(std::slice::from_ref(&instance), &target.rest);
    if not_modified(&headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let octets = |r: &accept::MediaRange| {
        r.covers("application/octet-stream")
            || r.part_type().is_none_or(|p| p == "application/octet-stream" || p == "*/*")
    };
    let range = ranges.iter().find(|r| octets(r)).ok_or_else(Problem::not_acceptable)?;
    let object = web.archive.header(&instance).await?;
    let value = json::find(&object, &target.rest).ok_or_else(Problem::not_found)?;
    let bytes = value.to_bytes().map_err(|_| Problem::not_found())?.into_owned();
    let chunks: Chunks = stream::once(async move { Ok(Bytes::from(bytes)) }).boxed();
    Ok(octet_stream(chunks, range.is_multipart() || range.covers("multipart/related"), &etag))
}

/// Pixel Data as a whole: the native value streamed, or one part per compressed frame.
async fn pixel_data(
    web: &Web,
    instance: InstanceRef,
    ranges: &[accept::MediaRange],
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if !instance.has_pixels {
        return Err(Problem::not_found());
    }
    web.archive.reachable(std::slice::from_ref(&instance)).await?;
    let native = media::is_native_le(&instance.transfer_syntax) && instance.pixel_len >= 0;
    if native && instance.transfer_syntax != media::DEFLATED_LE {
        let octets =
            |r: &&accept::MediaRange| r.part_type().is_none_or(|p| p == "application/octet-stream" || p == "*/*");
        let range = ranges.iter().find(octets).ok_or_else(Problem::not_acceptable)?;
        let etag = etag(std::slice::from_ref(&instance), "7FE00010");
        if not_modified(headers, &etag) {
            return Ok(unchanged(&etag));
        }
        let at = |n: i64| u64::try_from(n).unwrap_or(0);
        let (from, len) = (at(instance.pixel_at), at(instance.pixel_len));
        let chunks = wado::read_range(web.archive.clone(), instance, from, len);
        return Ok(octet_stream(chunks, range.is_multipart() || range.covers("multipart/related"), &etag));
    }
    let all: Vec<u32> = (0..u32::try_from(instance.frames).unwrap_or(0)).collect();
    if all.is_empty() {
        return Err(Problem::not_found());
    }
    let form = choose(ranges, &instance, all.len()).ok_or_else(Problem::not_acceptable)?;
    send(web, instance, all, form, headers).await
}

fn octet_stream(chunks: Chunks, multipart: bool, etag: &str) -> Response {
    let (chunks, kind) = if multipart {
        let boundary = boundary();
        let head = Bytes::from(format!("--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"));
        let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let kind = format!("multipart/related; type=\"application/octet-stream\"; boundary={boundary}");
        let whole = stream::once(async move { Ok(head) }).chain(chunks).chain(stream::once(async move { Ok(tail) }));
        (whole.boxed(), kind)
    } else {
        (chunks, "application/octet-stream".to_owned())
    };
    let mut response = (StatusCode::OK, body(chunks)).into_response();
    set(response.headers_mut(), header::CONTENT_TYPE, &kind);
    private_cache(response.headers_mut(), Some(etag));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_frames() {
        assert_eq!(parse_list("1,3,2", 3), Ok(vec![0, 2, 1]));
        for bad in ["", "0", "-1", "1,", "a", "1;2", "4294967296"] {
            assert_eq!(parse_list(bad, 3), Err(Problem::invalid("frames")), "{bad}");
        }
        assert_eq!(parse_list("4", 3), Err(Problem::not_found()));
        assert_eq!(parse_list("1", 0), Err(Problem::not_found()));
    }
}
