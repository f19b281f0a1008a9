//! The viewer's fast lane: all frames of a series as one stream.

use super::archive::uid;
use crate::{Allowed, ApiError, ApiPath, ApiQuery, ApiResult, App};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use mingying_archive::{Archive, ArchiveError, InstanceRef, ReadStudies, SIBLING_SYNTAX};
use mingying_kernel::Permit;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Frames read ahead of the client: enough to keep the connection busy, few enough to stop soon when it goes away.
const AHEAD: usize = 8;
/// Bytes read ahead of the client: of large frames fewer are.
const AHEAD_BYTES: u64 = 8 << 20;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_pixels))
}

pub(super) fn is_image(instance: &InstanceRef) -> bool {
    instance.has_pixels && instance.frames > 0
}

/// The instances of a series that have frames, in the order of manifest and stream.
pub(super) async fn images(
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
    found.retain(is_image);
    Ok(found)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PixelQuery {
    /// The frame that is on screen, counted from 0 through the instances of the manifest; the others follow by their
    /// distance from it. 0 when absent.
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

/// What stands before the bytes of a frame: see `read_pixels`.
fn head(image: &InstanceRef, syntax: &str, frame: u32, len: usize) -> Result<Bytes, ArchiveError> {
    let number = |n: usize| u32::try_from(n).map_err(|_| ArchiveError::TooLarge);
    let (sop_uid, transfer_syntax) = (image.sop_uid.as_bytes(), syntax.as_bytes());
    let mut head = Vec::with_capacity(16 + sop_uid.len() + transfer_syntax.len());
    for word in [frame, number(len)?, number(sop_uid.len())?, number(transfer_syntax.len())?] {
        head.extend(word.to_le_bytes());
    }
    head.extend(sop_uid);
    head.extend(transfer_syntax);
    Ok(Bytes::from(head))
}

/// A frame as the sibling holds it, where there is one that can be read, or as it is stored.
async fn part(archive: &Archive, image: &InstanceRef, frame: u32) -> Result<Vec<Bytes>, ArchiveError> {
    let (syntax, mut pieces) = match archive.sibling_frame(image, frame).await {
        Some(coded) => (SIBLING_SYNTAX, vec![coded]),
        None => (image.transfer_syntax.as_str(), archive.frame_pieces(image, frame).await?),
    };
    let len = pieces.iter().map(Bytes::len).sum();
    pieces.insert(0, head(image, syntax, frame, len)?);
    Ok(pieces)
}

/// All frames of a series as one stream, the start frame first, then outwards to both sides. Each frame is preceded by
/// four numbers, 32 bits little endian: its number in the instance (from 0), the length of its bytes, of the SOP
/// instance UID and of the transfer syntax UID; then come the two UIDs and the bytes: as they are stored, or as the
/// HTJ2K sibling of the image holds the same pixels, where there is one. Instances are
/// named by their UIDs, because one that arrives later moves the places of the others.
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
    app.archive.reachable(&images).await?;
    // The number of the first frame of each instance.
    let mut firsts = Vec::with_capacity(images.len());
    let (mut count, mut largest) = (0usize, 1u64);
    for image in images.iter() {
        let frames = usize::try_from(image.frames).unwrap_or(0);
        firsts.push(count);
        count += frames;
        largest = largest.max(u64::try_from(image.size).unwrap_or(0) / frames.max(1) as u64);
    }
    let ahead = usize::try_from(AHEAD_BYTES / largest).unwrap_or(AHEAD).clamp(1, AHEAD);
    let start = query.start.unwrap_or(0) as usize;
    let archive = app.archive.clone();
    let frames = stream::iter(outwards(start, count))
        .map(move |number| {
            let (archive, images) = (archive.clone(), images.clone());
            let position = firsts.partition_point(|first| *first <= number).saturating_sub(1);
            let inside = number - firsts.get(position).copied().unwrap_or(0);
            async move {
                let image = images.get(position).ok_or(ArchiveError::NoSuchFrame)?;
                part(&archive, image, u32::try_from(inside).unwrap_or(u32::MAX)).await
            }
        })
        // The body is polled only as fast as the client reads: that is the back-pressure.
        .buffered(ahead)
        .flat_map(|frame| {
            stream::iter(match frame {
                Ok(pieces) => pieces.into_iter().map(Ok).collect::<Vec<_>>(),
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
}
