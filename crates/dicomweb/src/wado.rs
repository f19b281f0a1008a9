//! WADO-RS (PS3.18 10.4): objects as they were received.

use crate::auth::Allowed;
use crate::path::Target;
use crate::qido::parameters;
use crate::{Problem, Web, accept, transcode};

pub(crate) use crate::conditional::{etag, not_modified, private_cache, unchanged};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use mingying_archive::{Archive, ArchiveError, InstanceRef, ReadStudies};
use mingying_kernel::Permit;
use std::sync::Arc;

/// One read of a pack: large enough for the disk, small enough for many readers at once.
pub(crate) const CHUNK: u64 = 256 << 10;

pub(crate) type Chunks = BoxStream<'static, Result<Bytes, ArchiveError>>;

pub(crate) async fn instances(
    web: &Web,
    permit: &Permit<ReadStudies>,
    target: &Target,
) -> Result<Arc<Vec<InstanceRef>>, Problem> {
    let found =
        web.archive.instances_of(permit, &target.study, target.series.as_deref(), target.sop.as_deref()).await?;
    if found.is_empty() { Err(Problem::not_found()) } else { Ok(Arc::new(found)) }
}

pub(crate) async fn instance(web: &Web, permit: &Permit<ReadStudies>, target: &Target) -> Result<InstanceRef, Problem> {
    match (&target.series, &target.sop) {
        (Some(series), Some(sop)) => Ok(web.archive.instance_of(permit, &target.study, series, sop).await?),
        _ => instances(web, permit, target).await?.first().cloned().ok_or_else(Problem::not_found),
    }
}

/// What the client takes, from the header or the `accept` parameter, which wins (PS3.18 8.3.3.1).
pub(crate) fn wanted(headers: &HeaderMap, query: Option<&str>) -> Vec<accept::MediaRange> {
    let named = parameters(query).into_iter().find(|(name, _)| name == "accept").map(|(_, value)| value);
    accept::accepted(headers, named.as_deref())
}

/// `len` bytes of an object from `from`, in chunks that end at multiples of their length: so does what is checked.
pub(crate) fn read_range(archive: Archive, instance: InstanceRef, from: u64, len: u64) -> Chunks {
    let end = from + len;
    stream::try_unfold((archive, instance, from), move |(archive, instance, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let to = ((at / CHUNK + 1) * CHUNK).min(end);
        let bytes = archive.read(&instance, at, to - at).await?;
        if bytes.is_empty() {
            return Err(ArchiveError::Unreadable("shorter than indexed"));
        }
        let next = at + bytes.len() as u64;
        Ok(Some((bytes, (archive, instance, next))))
    })
    .boxed()
}

/// An object on its way out: in the stored form, or in another transfer syntax.
struct Outgoing {
    instance: InstanceRef,
    converted: Option<transcode::Converted>,
}

impl Outgoing {
    /// Unknown where a codec is still to make it.
    fn len(&self) -> Option<u64> {
        match &self.converted {
            Some(converted) => converted.len(),
            None => Some(u64::try_from(self.instance.size).unwrap_or(0)),
        }
    }

    fn bytes(self, archive: Archive) -> Chunks {
        match self.converted {
            Some(converted) => converted.bytes(archive, self.instance),
            None => {
                let len = u64::try_from(self.instance.size).unwrap_or(0);
                read_range(archive, self.instance, 0, len)
            }
        }
    }
}

/// How objects are sent.
#[derive(Debug, Clone, PartialEq)]
struct Form {
    multipart: bool,
    /// `None`: as stored.
    transfer_syntax: Option<String>,
}

/// The best form that the client takes and this server can make.
fn choose(ranges: &[accept::MediaRange], instances: &[InstanceRef]) -> Option<Form> {
    ranges.iter().find_map(|range| {
        let multipart = range.is_multipart() || range.covers("multipart/related");
        let dicom = match range.part_type() {
            Some(part) => part == "application/dicom" || range.covers("application/dicom") || part == "*/*",
            None => true,
        };
        // A single part holds a single object.
        if !(dicom && (multipart || instances.len() == 1)) {
            return None;
        }
        let syntax = match range.transfer_syntax() {
            None | Some("*") => None,
            Some(wanted) => {
                let possible = instances
                    .iter()
                    .all(|i| i.transfer_syntax == wanted || transcode::is_possible(&i.transfer_syntax, wanted));
                if !possible {
                    return None;
                }
                Some(wanted.to_owned())
            }
        };
        Some(Form { multipart, transfer_syntax: syntax })
    })
}

/// A boundary that occurs in nothing: random enough, and never taken from outside.
pub(crate) fn boundary() -> String {
    format!("mingying-{}", mingying_kernel::EventId::new().uuid().simple())
}

/// A failure in the middle of a body can only be shown by ending it; say why in the log.
pub(crate) fn body(chunks: Chunks) -> Body {
    Body::from_stream(chunks.inspect(|chunk| {
        if let Err(error) = chunk {
            tracing::error!(%error, "an object could not be read to its end");
        }
    }))
}

/// Study, series, or instance.
pub(crate) async fn retrieve(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ranges = wanted(&headers, query.as_deref());
    let found = instances(&web, &permit, &target).await?;
    let form = choose(&ranges, &found).ok_or_else(Problem::not_acceptable)?;
    let etag = etag(&found, &format!("{form:?}"));
    if not_modified(&headers, &etag) {
        return Ok(unchanged(&etag));
    }
    web.archive.reachable(&found).await?;
    let mut response = if form.multipart {
        multipart(&web, found, form.transfer_syntax.clone()).await?
    } else {
        let instance = found.first().cloned().ok_or_else(Problem::not_found)?;
        let outgoing = prepare(&web, instance, form.transfer_syntax.as_deref()).await?;
        let syntax = form.transfer_syntax.as_deref().unwrap_or(&outgoing.instance.transfer_syntax).to_owned();
        let len = outgoing.len();
        let mut response = (StatusCode::OK, body(outgoing.bytes(web.archive.clone()))).into_response();
        set(response.headers_mut(), header::CONTENT_TYPE, &format!("application/dicom; transfer-syntax={syntax}"));
        if let Some(len) = len {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        }
        response
    };
    private_cache(response.headers_mut(), Some(&etag));
    Ok(response)
}

async fn prepare(web: &Web, instance: InstanceRef, syntax: Option<&str>) -> Result<Outgoing, Problem> {
    let converted = match syntax {
        Some(wanted) if wanted != instance.transfer_syntax => {
            let converted = transcode::convert(&web.archive, &web.renderers, &instance, wanted).await?;
            Some(converted.ok_or_else(Problem::not_acceptable)?)
        }
        _ => None,
    };
    Ok(Outgoing { instance, converted })
}

async fn multipart(web: &Web, found: Arc<Vec<InstanceRef>>, syntax: Option<String>) -> Result<Response, Problem> {
    let boundary = boundary();
    let head = |i: usize, instance: &InstanceRef| {
        let syntax = syntax.as_deref().unwrap_or(&instance.transfer_syntax);
        let line = if i == 0 { "" } else { "\r\n" };
        format!("{line}--{boundary}\r\nContent-Type: application/dicom; transfer-syntax={syntax}\r\n\r\n")
    };
    let tail = format!("\r\n--{boundary}--\r\n");
    // The length is known in advance where nothing is converted, so the client sees a truncated answer for what it is.
    let stored = syntax.as_deref().is_none_or(|wanted| found.iter().all(|i| i.transfer_syntax == wanted));
    let length = stored.then(|| {
        let parts: u64 = found
            .iter()
            .enumerate()
            .map(|(i, instance)| head(i, instance).len() as u64 + u64::try_from(instance.size).unwrap_or(0))
            .sum();
        parts + tail.len() as u64
    });
    let heads: Vec<Bytes> = found.iter().enumerate().map(|(i, instance)| Bytes::from(head(i, instance))).collect();
    let mut parts = found.as_ref().clone().into_iter().zip(heads);
    // The first object is made ready before the answer begins, so that what cannot be converted is told by its status.
    let (instance, first_head) = parts.next().ok_or_else(Problem::not_found)?;
    let first = prepare(web, instance, syntax.as_deref()).await?.bytes(web.archive.clone());
    let first = stream::once(async move { Ok(first_head) }).chain(first);
    let owned = web.clone();
    let others = stream::iter(parts).then(move |(instance, head)| {
        let (web, syntax) = (owned.clone(), syntax.clone());
        async move {
            let Ok(outgoing) = prepare(&web, instance, syntax.as_deref()).await else {
                let failed: Chunks =
                    stream::once(async { Err(ArchiveError::Unreadable("cannot be converted")) }).boxed();
                return failed;
            };
            stream::once(async move { Ok(head) }).chain(outgoing.bytes(web.archive.clone())).boxed()
        }
    });
    let chunks = first.chain(others.flatten()).chain(stream::once(async move { Ok(Bytes::from(tail)) })).boxed();
    let mut response = (StatusCode::OK, body(chunks)).into_response();
    let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
    set(response.headers_mut(), header::CONTENT_TYPE, &kind);
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

pub(crate) fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media;

    fn ranges(text: &str) -> Vec<accept::MediaRange> {
        accept::accepted(&HeaderMap::new(), Some(text))
    }

    fn stored(syntax: &str) -> InstanceRef {
        InstanceRef {
            key: 1,
            study_uid: "1".to_owned(),
            series_uid: "2".to_owned(),
            sop_uid: "3".to_owned(),
            sop_class: "4".to_owned(),
            transfer_syntax: syntax.to_owned(),
            number: None,
            rows: None,
            columns: None,
            bits_allocated: Some(16),
            samples: None,
            frames: 1,
            has_pixels: true,
            size: 10,
            head_len: 1,
            header_end: 2,
            pixel_at: 3,
            pixel_len: 4,
            sha256: String::new(),
            received_at: mingying_kernel::Timestamp::from_micros(0),
            location: mingying_blob::Location { pack: 0, record: 0, at: 0, len: 0 },
            sibling: None,
        }
    }

    #[test]
    fn forms_of_objects() {
        let ct = [stored(media::EXPLICIT_LE)];
        let jls = [stored("1.2.840.10008.1.2.4.80")];
        let both = [ct[0].clone(), jls[0].clone()];
        let pick = |text: &str, of: &[InstanceRef]| choose(&ranges(text), of).map(|f| (f.multipart, f.transfer_syntax));
        let as_stored = Some((true, None));
        assert_eq!(pick("", &both), as_stored);
        assert_eq!(pick("*/*", &both), as_stored);
        assert_eq!(pick("multipart/related; type=\"application/dicom\"", &both), as_stored);
        assert_eq!(pick("multipart/related; type=application/dicom; transfer-syntax=*", &both), as_stored);
        assert_eq!(pick("application/dicom", &ct), Some((false, None)));
        assert_eq!(pick("application/dicom", &both), None, "one part, two objects");
        let implicit = "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2";
        assert_eq!(pick(implicit, &ct), Some((true, Some(media::IMPLICIT_LE.to_owned()))));
        assert_eq!(pick(implicit, &both), Some((true, Some(media::IMPLICIT_LE.to_owned()))));
        let film = [ct[0].clone(), stored("1.2.840.10008.1.2.4.102")];
        assert_eq!(pick(implicit, &film), None, "no decoder for films");
        assert_eq!(pick("text/html", &ct), None);
        assert_eq!(pick("multipart/related; type=\"application/dicom+xml\"", &ct), None);
        assert_eq!(pick("text/html, application/dicom;q=0.1", &ct), Some((false, None)));
    }

    #[test]
    fn tags_change_with_content() {
        let mut other = stored(media::EXPLICIT_LE);
        let before = etag(&[other.clone()], "a");
        assert_ne!(before, etag(&[other.clone()], "b"));
        other.key = 2;
        assert_ne!(before, etag(&[other], "a"));
    }
}
