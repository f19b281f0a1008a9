//! A study with its series, and the objects that could not be indexed.

use super::reading::Study;
use crate::{Allowed, ApiError, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_archive::{ManageQuarantine, ReadStudies};
use mingying_kernel::DicomUid;
use mingying_reading::StudyView;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(read_study))
        .routes(routes!(list_quarantine))
        .routes(routes!(delete_quarantined))
        .routes(routes!(retry_quarantined))
}

pub(super) fn uid(text: &str) -> ApiResult<String> {
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
#[into_params(parameter_in = Query)]
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
    fn only_uids_name_studies() {
        assert!(uid("1.2.3").is_ok());
        for bad in ["", "..%2f", "../1", "1.2/3", "1.2 OR 1=1", &"1".repeat(65)] {
            assert!(uid(bad).is_err(), "{bad}");
        }
    }
}
