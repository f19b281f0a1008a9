//! Metadata of a study, a series, an instance (PS3.18 10.4.1.1.2): everything but the pixels, as DICOM JSON.
//!
//! The text of a series is made once and kept compressed (`mingying_archive::Fingerprint`); a study is its series one
//! after the other.

use crate::auth::Allowed;
use crate::conditional::{etag, not_modified, private_cache, takes_gzip, unchanged};
use crate::path::{Base, Target};
use crate::wado::{body, instances, set, wanted};
use crate::{Problem, Web, accept, json, media};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dicom_core::VR;
use futures::stream::{self, StreamExt, TryStreamExt};
use mingying_archive::{Archive, ArchiveError, Fingerprint, InstanceRef, Packed, ReadStudies, gzip};
use mingying_kernel::Permit;
use std::sync::Arc;

/// Headers turned into text at a time.
const BATCH: usize = 64;
/// Batches under way.
const PARALLEL: usize = 4;
/// Names the form of the text. To be raised whenever the text of an instance changes, so that none of the old form is
/// taken from what is kept.
const FORM: &str = "metadata 1";

/// Study, series, or instance.
pub(crate) async fn metadata(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    base: Base,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ranges = wanted(&headers, query.as_deref());
    let fits = |r: &accept::MediaRange| r.covers("application/dicom+json") || r.covers("application/json");
    if !ranges.iter().any(fits) {
        return Err(Problem::not_acceptable());
    }
    let found = instances(&web, &permit, &target).await?;
    let form = form(&base);
    let etag = etag(&found, &form);
    if not_modified(&headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let base = Arc::new(base);
    let mut pieces = vec![glue("[")?];
    // One after the other, so that a study of many series leaves room for others.
    for series in found.chunk_by(|a, b| a.series_uid == b.series_uid) {
        if pieces.len() > 1 {
            pieces.push(glue(",")?);
        }
        let make = text_of(&web.archive, &base, series);
        let text = match target.sop {
            Some(_) => make.await?,
            None => web.archive.derived_text(Fingerprint::of(&form, series), make).await?,
        };
        pieces.push(text);
    }
    pieces.push(glue("]")?);
    let mut response = send(pieces, takes_gzip(&headers));
    set(response.headers_mut(), header::CONTENT_TYPE, "application/dicom+json");
    private_cache(response.headers_mut(), Some(&etag));
    Ok(response)
}

/// The address of bulk data is part of the text.
fn form(base: &Base) -> String {
    format!("{FORM} {}", base.0)
}

/// Makes what those who read a study under its public address will ask for, before they do.
pub async fn prepare(web: &Web, permit: &Permit<ReadStudies>, study_uid: &str) -> Result<(), ArchiveError> {
    let Some(public) = &web.public_url else { return Ok(()) };
    let base = Arc::new(Base(format!("{public}{}", web.prefix)));
    let found = web.archive.instances_of(permit, study_uid, None, None).await?;
    for series in found.chunk_by(|a, b| a.series_uid == b.series_uid) {
        let make = text_of(&web.archive, &base, series);
        web.archive.derived_text(Fingerprint::of(&form(&base), series), make).await?;
    }
    Ok(())
}

fn glue(text: &str) -> Result<Packed, ArchiveError> {
    Packed::of(text.as_bytes()).map_err(|_| ArchiveError::Unreadable("metadata"))
}

fn send(pieces: Vec<Packed>, zipped: bool) -> Response {
    if !zipped {
        let texts = stream::iter(pieces.into_iter().flat_map(Packed::text));
        let texts = texts.map_err(|_| ArchiveError::Unreadable("metadata"));
        return (StatusCode::OK, body(texts.boxed())).into_response();
    }
    let chunks = gzip(pieces);
    let len: usize = chunks.iter().map(Bytes::len).sum();
    let whole = stream::iter(chunks.into_iter().map(Ok::<_, std::convert::Infallible>));
    let mut response = (StatusCode::OK, Body::from_stream(whole)).into_response();
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    response
}

/// The objects of some instances, separated by commas.
async fn text_of(archive: &Archive, base: &Arc<Base>, instances: &[InstanceRef]) -> Result<Packed, ArchiveError> {
    let batches: Vec<Vec<InstanceRef>> = instances.chunks(BATCH).map(<[_]>::to_vec).collect();
    let pieces: Vec<Packed> = stream::iter(batches.into_iter().enumerate())
        .map(|(number, batch)| batch_text(archive.clone(), base.clone(), batch, number == 0))
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(Packed::join(&pieces))
}

async fn batch_text(
    archive: Archive,
    base: Arc<Base>,
    batch: Vec<InstanceRef>,
    first: bool,
) -> Result<Packed, ArchiveError> {
    let headers = archive.headers(&batch).await?;
    let write = move || {
        let mut out = Vec::with_capacity(batch.len() * 8192);
        for (i, (instance, header)) in batch.iter().zip(&headers).enumerate() {
            if !(first && i == 0) {
                out.push(b',');
            }
            let url = base.instance(&instance.study_uid, &instance.series_uid, &instance.sop_uid);
            let pixels = instance.has_pixels.then(|| (pixel_vr(instance), format!("{url}/bulkdata/7FE00010")));
            let bulk = json::BulkBase(format!("{url}/bulkdata"));
            json::write_with_pixels(&mut out, header, &bulk, pixels.as_ref().map(|(vr, uri)| (*vr, uri.as_str())));
        }
        Packed::of(&out).map_err(|_| ArchiveError::Unreadable("metadata"))
    };
    tokio::task::spawn_blocking(write).await.map_err(|_| ArchiveError::Unreadable("metadata"))?
}

/// PS3.5 8.2 and A.4: encapsulated pixels are OB; so are native ones of up to eight bits, written explicitly.
pub(crate) fn pixel_vr(instance: &InstanceRef) -> VR {
    let wide = instance.bits_allocated.is_some_and(|bits| bits > 8);
    let implicit = instance.transfer_syntax == media::IMPLICIT_LE;
    if media::is_native(&instance.transfer_syntax) && (wide || implicit) { VR::OW } else { VR::OB }
}
