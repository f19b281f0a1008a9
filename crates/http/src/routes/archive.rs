//! The viewer's fast lane to the images of a series, and the objects that could not be indexed.

use super::reading::Study;
use crate::{Allowed, ApiError, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use mingying_archive::{ArchiveError, InstanceRef, ManageQuarantine, ReadStudies};
use mingying_dicom::ImageFacts;
use mingying_kernel::{DicomUid, Permit};
use mingying_reading::StudyView;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Frames read ahead of the client: enough to keep the connection busy, few enough to stop soon when it goes away.
const AHEAD: usize = 8;
/// Headers read at a time for a manifest.
const BATCH: usize = 128;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(read_study))
        .routes(routes!(read_manifest))
        .routes(routes!(read_pixels))
        .routes(routes!(list_quarantine))
        .routes(routes!(delete_quarantined))
        .routes(routes!(retry_quarantined))
}

fn uid(text: &str) -> ApiResult<String> {
    DicomUid::parse_lenient(text).map(String::from).map_err(|_| ApiError::not_found())
}

/// A study with its series.
#[utoipa::path(get, path = "/studies/{study_uid}", params(("study_uid" = String, Path)),
    responses((status = 200, body = Study)))]
async fn read_study(
    Allowed(permit): Allowed<ReadStudies>,
    State(app): State<App>,
    ApiPath(study_uid): ApiPath<String>,
) -> ApiResult<Json<Study>> {
    let study_uid = uid(&study_uid)?;
    let study = app.archive.study(&permit, &study_uid).await?;
    let series = app.archive.series_of(&permit, &study_uid).await?;
    Ok(Json(StudyView { study, series }.into()))
}

/// What the viewer needs to draw the frames of a series. The frames are counted through the instances in this order.
#[derive(Serialize, ToSchema)]
struct Manifest {
    /// Of the frames in the pixel stream; of the first instance where they differ.
    transfer_syntax: String,
    instances: Vec<ManifestInstance>,
}

#[derive(Serialize, ToSchema)]
struct ManifestInstance {
    sop_uid: String,
    number: Option<i64>,
    frames: i64,
    rows: u32,
    columns: u32,
    bits_allocated: u32,
    bits_stored: u32,
    high_bit: u32,
    signed: bool,
    samples: u32,
    photometric: String,
    slope: Option<f64>,
    intercept: Option<f64>,
    window_center: Vec<f64>,
    window_width: Vec<f64>,
    /// Row spacing, column spacing, mm.
    #[schema(value_type = Option<Vec<f64>>)]
    pixel_spacing: Option<[f64; 2]>,
    #[schema(value_type = Option<Vec<f64>>)]
    position: Option<[f64; 3]>,
    #[schema(value_type = Option<Vec<f64>>)]
    orientation: Option<[f64; 6]>,
    /// ms
    frame_time: Option<f64>,
    /// mm
    thickness: Option<f64>,
    planar: bool,
    /// Where it is not that of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_syntax: Option<String>,
    /// One per frame, where the frames of the object lie at different places.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<Vec<f64>>>>)]
    frame_positions: Option<Vec<Option<[f64; 3]>>>,
}

impl ManifestInstance {
    fn new(instance: &InstanceRef, facts: ImageFacts, common_syntax: &str) -> Self {
        Self {
            sop_uid: instance.sop_uid.clone(),
            number: facts.number,
            frames: instance.frames,
            rows: facts.rows,
            columns: facts.columns,
            bits_allocated: facts.bits_allocated,
            bits_stored: facts.bits_stored,
            high_bit: facts.high_bit,
            signed: facts.signed,
            samples: facts.samples,
            photometric: facts.photometric,
            slope: facts.slope,
            intercept: facts.intercept,
            window_center: facts.window_center,
            window_width: facts.window_width,
            pixel_spacing: facts.pixel_spacing,
            position: facts.position,
            orientation: facts.orientation,
            frame_time: facts.frame_time,
            thickness: facts.thickness,
            planar: facts.planar,
            transfer_syntax: (instance.transfer_syntax != common_syntax).then(|| instance.transfer_syntax.clone()),
            frame_positions: facts.frame_positions,
        }
    }
}

/// The instances of a series that have frames, in the order of manifest and stream.
async fn images(
    app: &App,
    permit: &Permit<ReadStudies>,
    study_uid: &str,
    series_uid: &str,
) -> ApiResult<Vec<InstanceRef>> {
    let (study, series) = (uid(study_uid)?, uid(series_uid)?);
    let mut found = app.archive.instances_of(permit, &study, Some(&series), None).await?;
    if found.is_empty() {
        return Err(ApiError::not_found());
    }
    found.retain(|instance| instance.has_pixels && instance.frames > 0);
    Ok(found)
}

/// Changes whenever what is served changes: instances never do, so which ones there are is enough.
fn etag(kind: &str, images: &[InstanceRef]) -> String {
    let mut hash = Sha256::new();
    hash.update(kind);
    for image in images {
        hash.update(image.key.to_le_bytes());
        hash.update(&image.sha256);
    }
    let short = hash.finalize().iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("W/\"{short:016x}\"")
}

/// The browser may keep it and must ask again; nobody else may keep it.
fn cached(mut response: Response, etag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=0, must-revalidate"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
    response
}

fn known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|list| list.split(',').any(|one| one.trim() == etag))
}

/// Everything about the frames of a series but their pixels.
#[utoipa::path(get, path = "/studies/{study_uid}/series/{series_uid}/manifest",
    params(("study_uid" = String, Path), ("series_uid" = String, Path)),
    responses((status = 200, body = Manifest), (status = 304, description = "unchanged")))]
async fn read_manifest(
    Allowed(permit): Allowed<ReadStudies>,
    State(app): State<App>,
    ApiPath((study_uid, series_uid)): ApiPath<(String, String)>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let images = images(&app, &permit, &study_uid, &series_uid).await?;
    let etag = etag("manifest", &images);
    if known(&headers, &etag) {
        return Ok(cached(StatusCode::NOT_MODIFIED.into_response(), &etag));
    }
    let transfer_syntax = images.first().map(|image| image.transfer_syntax.clone()).unwrap_or_default();
    let mut instances = Vec::with_capacity(images.len());
    for batch in images.chunks(BATCH) {
        let objects = app.archive.headers(batch).await?;
        for (image, object) in batch.iter().zip(&objects) {
            instances.push(ManifestInstance::new(image, ImageFacts::read(object), &transfer_syntax));
        }
    }
    Ok(cached(Json(Manifest { transfer_syntax, instances }).into_response(), &etag))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PixelQuery {
    /// The frame that is on screen; the others follow by their distance from it. 0 when absent.
    start: Option<u32>,
}

/// `start`, then its neighbours in turn, then the rest of the longer side.
fn outwards(start: usize, count: usize) -> impl Iterator<Item = usize> {
    let start = start.min(count.saturating_sub(1));
    let ahead = start..count;
    let behind = (0..start).rev();
    let mut ahead = ahead.fuse();
    let mut behind = behind.fuse();
    let mut forward = false;
    std::iter::from_fn(move || {
        forward = !forward;
        if forward { ahead.next().or_else(|| behind.next()) } else { behind.next().or_else(|| ahead.next()) }
    })
}

/// All frames of a series as one stream, the start frame first, then outwards to both sides. Each frame is its number
/// (32 bits, little endian), its length (likewise), and its bytes in the stored transfer syntax.
#[utoipa::path(get, path = "/studies/{study_uid}/series/{series_uid}/pixels",
    params(("study_uid" = String, Path), ("series_uid" = String, Path), PixelQuery),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
async fn read_pixels(
    Allowed(permit): Allowed<ReadStudies>,
    State(app): State<App>,
    ApiPath((study_uid, series_uid)): ApiPath<(String, String)>,
    ApiQuery(query): ApiQuery<PixelQuery>,
) -> ApiResult<Response> {
    let images = Arc::new(images(&app, &permit, &study_uid, &series_uid).await?);
    // The number of the first frame of each instance, and the end.
    let mut firsts = Vec::with_capacity(images.len() + 1);
    let mut count = 0usize;
    for image in images.iter() {
        firsts.push(count);
        count += usize::try_from(image.frames).unwrap_or(0);
    }
    let start = query.start.unwrap_or(0) as usize;
    let archive = app.archive.clone();
    let frames = stream::iter(outwards(start, count))
        .map(move |number| {
            let (archive, images) = (archive.clone(), images.clone());
            let position = firsts.partition_point(|first| *first <= number).saturating_sub(1);
            let inside = number - firsts.get(position).copied().unwrap_or(0);
            async move {
                let image = images.get(position).ok_or(ArchiveError::NoSuchFrame)?;
                let bytes = archive.frame_bytes(image, u32::try_from(inside).unwrap_or(u32::MAX)).await?;
                let length = u32::try_from(bytes.len()).map_err(|_| ArchiveError::TooLarge)?;
                let mut head = Vec::with_capacity(8);
                head.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
                head.extend(length.to_le_bytes());
                Ok::<_, ArchiveError>([Bytes::from(head), bytes])
            }
        })
        // The body is polled only as fast as the client reads: that is the backpressure.
        .buffered(AHEAD)
        .flat_map(|frame| {
            stream::iter(match frame {
                Ok(pieces) => pieces.map(Ok).into_iter().collect::<Vec<_>>(),
                Err(error) => {
                    tracing::error!(%error, "a frame could not be read");
                    vec![Err(error)]
                }
            })
        });
    let mut response = Body::from_stream(frames).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// An object that was kept aside instead of being indexed.
#[derive(Serialize, ToSchema)]
struct Quarantined {
    id: String,
    received_at: String,
    source: String,
    /// `not_dicom`, `truncated`, `missing_uid`, `uid_mismatch`, `other_study`, `too_complex`, `unreadable`,
    /// `index_failed`
    reason: String,
    size: i64,
    sop_uid: String,
    study_uid: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct QuarantineQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

fn quarantine_id(text: &str) -> ApiResult<i64> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Objects that could not be indexed, newest first.
#[utoipa::path(get, path = "/quarantine", params(QuarantineQuery), responses((status = 200, body = Page<Quarantined>)))]
async fn list_quarantine(
    Allowed(permit): Allowed<ManageQuarantine>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<QuarantineQuery>,
) -> ApiResult<Json<Page<Quarantined>>> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let after = match query.cursor.as_deref() {
        Some(text) => Some(text.parse::<i64>().map_err(|_| ApiError::invalid("cursor"))?),
        None => None,
    };
    let mut rows = app.archive.quarantine(&permit, limit + 1, after).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = if more { rows.last().map(|row| row.id.to_string()) } else { None };
    let items = rows
        .into_iter()
        .map(|row| Quarantined {
            id: row.id.to_string(),
            received_at: row.received_at.to_rfc3339(),
            source: row.source,
            reason: row.reason,
            size: row.size,
            sop_uid: row.sop_uid,
            study_uid: row.study_uid,
        })
        .collect();
    Ok(Json(Page { items, next }))
}

/// Deletes a quarantined object; a tombstone and an audit row remain.
#[utoipa::path(delete, path = "/quarantine/{id}", params(("id" = String, Path)), responses((status = 204)))]
async fn delete_quarantined(
    Allowed(permit): Allowed<ManageQuarantine>,
    State(app): State<App>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    app.archive.delete_quarantined(&permit, quarantine_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What became of an object that was tried again.
#[derive(Serialize, ToSchema)]
struct Recovered {
    study_uid: String,
    series_uid: String,
    sop_uid: String,
    /// The same object had come again meanwhile.
    duplicate: bool,
}

/// Tries again to index a quarantined object; 422 when it still cannot be.
#[utoipa::path(post, path = "/quarantine/{id}/retry", params(("id" = String, Path)),
    responses((status = 200, body = Recovered)))]
async fn retry_quarantined(
    Allowed(permit): Allowed<ManageQuarantine>,
    State(app): State<App>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<Recovered>> {
    let stored = app.archive.retry_quarantined(&permit, quarantine_id(&id)?).await?;
    Ok(Json(Recovered {
        study_uid: stored.study_uid,
        series_uid: stored.series_uid,
        sop_uid: stored.sop_uid,
        duplicate: stored.duplicate,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_outwards_from_the_start() {
        let order = |start, count| outwards(start, count).collect::<Vec<_>>();
        assert_eq!(order(0, 4), [0, 1, 2, 3]);
        assert_eq!(order(2, 6), [2, 1, 3, 0, 4, 5]);
        assert_eq!(order(5, 6), [5, 4, 3, 2, 1, 0]);
        assert_eq!(order(99, 3), [2, 1, 0]);
        assert_eq!(order(0, 0), Vec::<usize>::new());
    }

    #[test]
    fn only_uids_name_studies() {
        assert!(uid("1.2.3").is_ok());
        for bad in ["", "..%2f", "../1", "1.2/3", "1.2 OR 1=1", &"1".repeat(65)] {
            assert!(uid(bad).is_err(), "{bad}");
        }
    }
}
