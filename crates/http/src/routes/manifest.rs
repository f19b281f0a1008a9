//! What the viewer needs to draw the images of a study, in a small fraction of its DICOM JSON: per instance only what
//! differs from its neighbours. Made once per series and kept (`mingying_archive::Fingerprint`).

use super::archive::uid;
use super::images::{images, is_image};
use crate::{Allowed, ApiError, ApiPath, ApiResult, App};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use mingying_archive::{
    Archive, ArchiveError, Fingerprint, InstanceRef, Packed, ReadStudies, SIBLING_SYNTAX, SeriesRow,
};
use mingying_dicom::ImageFacts;
use mingying_kernel::{ErrorKind, Permit};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Headers read at a time.
const BATCH: usize = 128;
/// Names the form of the text. To be raised whenever the text of an instance changes, so that none of the old form is
/// taken from what is kept.
const FORM: &str = "manifest 2";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_study_manifest)).routes(routes!(read_series_manifest))
}

/// The images of a study. Series stand in the order of their numbers.
#[derive(Serialize, ToSchema)]
struct StudyManifest {
    study_uid: String,
    series: Vec<ListedSeries>,
}

#[derive(Serialize, ToSchema)]
struct ListedSeries {
    series_uid: String,
    number: Option<i64>,
    modality: String,
    description: String,
    body_part: String,
    images: Manifest,
}

/// The images of a series, in the order in which the pixel stream counts them.
#[derive(Default, Serialize, ToSchema)]
struct Manifest {
    /// What all instances have in common.
    shared: ManifestImage,
    /// What each instance has for itself. What is neither here nor in `shared` is absent.
    instances: Vec<ManifestImage>,
}

/// Attributes of an image; absent ones are left out.
#[derive(Default, Serialize, ToSchema)]
struct ManifestImage {
    sop_uid: Option<String>,
    /// Of the frames as the pixel stream sends them.
    transfer_syntax: Option<String>,
    number: Option<i64>,
    frames: Option<i64>,
    /// Bytes of the stored object.
    size: Option<i64>,
    rows: Option<u32>,
    columns: Option<u32>,
    bits_allocated: Option<u32>,
    bits_stored: Option<u32>,
    high_bit: Option<u32>,
    signed: Option<bool>,
    samples: Option<u32>,
    planar: Option<bool>,
    photometric: Option<String>,
    slope: Option<f64>,
    intercept: Option<f64>,
    window_center: Option<Vec<f64>>,
    window_width: Option<Vec<f64>>,
    /// Row spacing, column spacing, mm.
    #[schema(value_type = Option<Vec<f64>>)]
    pixel_spacing: Option<[f64; 2]>,
    /// mm, patient coordinates.
    #[schema(value_type = Option<Vec<f64>>)]
    position: Option<[f64; 3]>,
    #[schema(value_type = Option<Vec<f64>>)]
    orientation: Option<[f64; 6]>,
    /// ms
    frame_time: Option<f64>,
    /// mm
    thickness: Option<f64>,
    /// One per frame, where the frames of the object lie at different places.
    #[schema(value_type = Option<Vec<Option<Vec<f64>>>>)]
    frame_positions: Option<Vec<Option<[f64; 3]>>>,
}

impl ManifestImage {
    fn new(instance: &InstanceRef, facts: ImageFacts) -> Self {
        let some = |values: Vec<f64>| (!values.is_empty()).then_some(values);
        let sibling = instance.sibling.is_some();
        let syntax = if sibling { SIBLING_SYNTAX } else { &instance.transfer_syntax };
        Self {
            sop_uid: Some(instance.sop_uid.clone()),
            transfer_syntax: Some(syntax.to_owned()),
            number: facts.number,
            frames: Some(instance.frames),
            size: Some(instance.size),
            rows: Some(facts.rows),
            columns: Some(facts.columns),
            bits_allocated: Some(facts.bits_allocated),
            bits_stored: Some(facts.bits_stored),
            high_bit: Some(facts.high_bit),
            signed: Some(facts.signed),
            samples: Some(facts.samples),
            // Decoders give the samples of a pixel side by side.
            planar: Some(facts.planar && !sibling),
            photometric: Some(facts.photometric),
            slope: facts.slope,
            intercept: facts.intercept,
            window_center: some(facts.window_center),
            window_width: some(facts.window_width),
            pixel_spacing: facts.pixel_spacing,
            position: facts.position,
            orientation: facts.orientation,
            frame_time: facts.frame_time,
            thickness: facts.thickness,
            frame_positions: facts.frame_positions,
        }
    }
}

/// What an image has.
fn fields(image: &ManifestImage) -> serde_json::Result<Map<String, Value>> {
    let Value::Object(mut fields) = serde_json::to_value(image)? else { return Ok(Map::new()) };
    fields.retain(|_, value| !value.is_null());
    Ok(fields)
}

/// A `Manifest` of all images. Fields are made anew for the second look at an image instead of being kept: they take
/// many times its room.
fn manifest(images: &[ManifestImage]) -> serde_json::Result<Vec<u8>> {
    let mut shared = images.first().map(fields).transpose()?.unwrap_or_default();
    for image in images {
        let own = fields(image)?;
        shared.retain(|name, value| own.get(name) == Some(value));
    }
    let mut out = br#"{"shared":"#.to_vec();
    serde_json::to_writer(&mut out, &shared)?;
    out.extend(br#","instances":["#);
    for (number, image) in images.iter().enumerate() {
        let mut own = fields(image)?;
        own.retain(|name, _| !shared.contains_key(name));
        if number > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, &own)?;
    }
    out.extend(b"]}");
    Ok(out)
}

/// What a manifest is made from: the images, and which of them have a sibling.
fn fingerprint(form: &str, images: &[InstanceRef]) -> Fingerprint {
    let siblings: String = images.iter().map(|image| if image.sibling.is_some() { '1' } else { '0' }).collect();
    Fingerprint::of(&format!("{siblings} {form}"), images)
}

/// The text of a `Manifest`.
async fn text_of(archive: &Archive, images: &[InstanceRef]) -> Result<Packed, ArchiveError> {
    const FAILED: ArchiveError = ArchiveError::Unreadable("manifest");
    let mut found = Vec::with_capacity(images.len());
    for batch in images.chunks(BATCH) {
        let headers = archive.headers(batch).await?;
        found.extend(
            batch.iter().zip(&headers).map(|(image, header)| ManifestImage::new(image, ImageFacts::read(header))),
        );
    }
    let work = move || Packed::of(&manifest(&found).map_err(|_| FAILED)?).map_err(|_| FAILED);
    tokio::task::spawn_blocking(work).await.map_err(|_| FAILED)?
}

async fn kept_text(archive: &Archive, images: &[InstanceRef]) -> Result<Packed, ArchiveError> {
    archive.derived_text(fingerprint(FORM, images), text_of(archive, images)).await
}

/// Makes the manifests of a study before somebody asks for them.
pub async fn prepare_manifests(
    archive: &Archive,
    permit: &Permit<ReadStudies>,
    study_uid: &str,
) -> Result<(), ArchiveError> {
    let mut found = archive.instances_of(permit, study_uid, None, None).await?;
    found.retain(is_image);
    for series in found.chunk_by(|a, b| a.series_uid == b.series_uid) {
        kept_text(archive, series).await?;
    }
    Ok(())
}

/// The browser may keep it and must ask again; nobody else may keep it.
fn cached(mut response: Response, etag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=0, must-revalidate"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, authorization, cookie"));
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

fn send(pieces: Vec<Packed>, etag: &str) -> Response {
    let text = stream::iter(pieces.into_iter().flat_map(Packed::text));
    let kind = [(header::CONTENT_TYPE, "application/json")];
    cached((StatusCode::OK, kind, Body::from_stream(text)).into_response(), etag)
}

fn glue(text: &str) -> ApiResult<Packed> {
    Packed::of(text.as_bytes()).map_err(|_| ApiError::new(ErrorKind::Internal, "internal"))
}

/// Everything about the frames of a series but their pixels.
#[utoipa::path(get, path = "/studies/{study_uid}/series/{series_uid}/manifest",
    params(("study_uid" = String, Path), ("series_uid" = String, Path)),
    responses((status = 200, body = Manifest), (status = 304, description = "unchanged")))]
async fn read_series_manifest(
    Allowed(permit): Allowed<ReadStudies>,
    State(app): State<App>,
    ApiPath((study_uid, series_uid)): ApiPath<(String, String)>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let images = images(&app, &permit, &study_uid, &series_uid).await?;
    let etag = format!("W/\"{}\"", fingerprint(FORM, &images));
    if known(&headers, &etag) {
        return Ok(cached(StatusCode::NOT_MODIFIED.into_response(), &etag));
    }
    Ok(send(vec![kept_text(&app.archive, &images).await?], &etag))
}

/// Everything about the frames of all series of a study but their pixels.
#[utoipa::path(get, path = "/studies/{study_uid}/manifest", params(("study_uid" = String, Path)),
    responses((status = 200, body = StudyManifest), (status = 304, description = "unchanged")))]
async fn read_study_manifest(
    Allowed(permit): Allowed<ReadStudies>,
    State(app): State<App>,
    ApiPath(study_uid): ApiPath<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let study_uid = uid(&study_uid)?;
    let series = app.archive.series_of(&permit, &study_uid).await?;
    if series.is_empty() {
        return Err(ApiError::not_found());
    }
    let found = app.archive.instances_of(&permit, &study_uid, None, None).await?;
    let listed: Vec<String> = series.iter().map(listed).collect::<ApiResult<_>>()?;
    let etag = format!("W/\"{}\"", fingerprint(&format!("{FORM} {}", listed.join(",")), &found));
    if known(&headers, &etag) {
        return Ok(cached(StatusCode::NOT_MODIFIED.into_response(), &etag));
    }
    let mut by_series: HashMap<String, Vec<InstanceRef>> = HashMap::new();
    for image in found.into_iter().filter(is_image) {
        by_series.entry(image.series_uid.clone()).or_default().push(image);
    }
    let mut pieces = vec![glue(&format!("{{\"study_uid\":\"{study_uid}\",\"series\":["))?];
    for (number, (row, fields)) in series.iter().zip(listed).enumerate() {
        pieces.push(glue(&format!("{}{fields},\"images\":", if number == 0 { "" } else { "," }))?);
        let images = by_series.remove(&row.series_uid).unwrap_or_default();
        pieces.push(kept_text(&app.archive, &images).await?);
        pieces.push(glue("}")?);
    }
    pieces.push(glue("]}")?);
    Ok(send(pieces, &etag))
}

/// The text of a `ListedSeries` up to its images, which are at hand as text already.
fn listed(row: &SeriesRow) -> ApiResult<String> {
    let series = ListedSeries {
        series_uid: row.series_uid.clone(),
        number: row.number,
        modality: row.modality.clone(),
        description: row.description.clone(),
        body_part: row.body_part.clone(),
        images: Manifest::default(),
    };
    let unreadable = || ApiError::new(ErrorKind::Internal, "internal");
    let Ok(Value::Object(mut fields)) = serde_json::to_value(series) else { return Err(unreadable()) };
    fields.remove("images");
    let text = Value::Object(fields).to_string();
    text.strip_suffix('}').map(str::to_owned).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_all_have_is_shared() {
        let image = |sop_uid: &str, slope| ManifestImage {
            sop_uid: Some(sop_uid.to_owned()),
            rows: Some(4),
            position: Some([0.0, 0.0, 1.0]),
            slope,
            ..ManifestImage::default()
        };
        let text = |images: &[ManifestImage]| serde_json::from_slice::<Value>(&manifest(images).unwrap()).unwrap();
        let common = json!({"rows": 4, "position": [0.0, 0.0, 1.0]});
        assert_eq!(
            text(&[image("1.1", Some(2.0)), image("1.2", None)]),
            json!({"shared": common, "instances": [{"sop_uid": "1.1", "slope": 2.0}, {"sop_uid": "1.2"}]})
        );
        let one = json!({"sop_uid": "1.1", "rows": 4, "position": [0.0, 0.0, 1.0]});
        assert_eq!(text(&[image("1.1", None)]), json!({"shared": one, "instances": [{}]}));
        assert_eq!(text(&[]), json!({"shared": {}, "instances": []}));
    }
}
