//! Deleting studies, series and images, seeing what was deleted, and taking it back.

use super::archive::uid;
use super::reading::calendar;
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_archive::{DeleteStudies, Deletion, DeletionFilter, DeletionState, Reason, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_deletions, delete_images)).routes(routes!(restore_deletion))
}

/// A study, series or image that was deleted. It names no patient but by number: those who keep the archive in order
/// need not know whom it shows.
#[derive(Serialize, ToSchema)]
#[schema(as = Deletion)]
struct DeletionView {
    id: String,
    study_uid: String,
    /// Null: the whole study.
    series_uid: Option<String>,
    /// Null: the whole series or study.
    sop_uid: Option<String>,
    patient_id: String,
    accession: String,
    /// `YYYY-MM-DD`
    study_date: Option<String>,
    /// `quality`, `patient_safety`, `incorrect_worklist_entry`, `retention_expired`, `other`
    reason: String,
    note: String,
    deleted_by: String,
    deleted_by_name: String,
    /// RFC 3339.
    deleted_at: String,
    /// Until then it can be taken back. RFC 3339.
    restorable_until: String,
    images: i64,
    bytes: i64,
    /// `deleted`: can be taken back; `restored`: was; `purged`: no longer can.
    state: &'static str,
}

fn view(app: &App, deletion: Deletion, names: &BTreeMap<String, String>) -> DeletionView {
    let given = |text: String| (!text.is_empty()).then_some(text);
    DeletionView {
        id: deletion.id.to_string(),
        study_uid: deletion.study_uid,
        series_uid: given(deletion.series_uid),
        sop_uid: given(deletion.sop_uid),
        patient_id: deletion.patient_id,
        accession: deletion.accession,
        study_date: calendar(&deletion.study_date),
        reason: deletion.reason.as_str().to_owned(),
        note: deletion.note,
        deleted_by_name: names.get(&deletion.actor_id).unwrap_or(&deletion.actor_id).clone(),
        deleted_by: deletion.actor_id,
        deleted_at: deletion.deleted_at.to_rfc3339(),
        restorable_until: deletion.deleted_at.plus(app.archive.keeps_deleted()).to_rfc3339(),
        images: deletion.instances,
        bytes: deletion.size,
        state: deletion.state.as_str(),
    }
}

async fn view_of(app: &App, deletion: Deletion) -> ApiResult<DeletionView> {
    let names = mingying_access::user_names(&app.db, std::slice::from_ref(&deletion.actor_id)).await?;
    Ok(view(app, deletion, &names))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeletionQuery {
    /// `deleted`, `restored` or `purged`; all when absent.
    state: Option<String>,
    /// Begin of a patient ID or accession number, or a whole Study Instance UID.
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Deletions, newest first.
#[utoipa::path(get, path = "/deletions", params(DeletionQuery), responses((status = 200, body = Page<DeletionView>)))]
async fn list_deletions(
    Allowed(permit): Allowed<DeleteStudies>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<DeletionQuery>,
) -> ApiResult<Json<Page<DeletionView>>> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let state = match query.state.as_deref() {
        None | Some("") => None,
        Some(text) => Some(DeletionState::parse(text).ok_or_else(|| ApiError::invalid("state"))?),
    };
    let after = match query.cursor.as_deref() {
        Some(text) => Some(text.parse::<i64>().map_err(|_| ApiError::invalid("cursor"))?),
        None => None,
    };
    let filter = DeletionFilter { state, text: query.q.unwrap_or_default() };
    let mut rows = app.archive.deletions(&permit, &filter, limit + 1, after).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = if more { rows.last().map(|row| row.id.to_string()) } else { None };
    let actors: Vec<String> = rows.iter().map(|row| row.actor_id.clone()).collect();
    let names = mingying_access::user_names(&app.db, &actors).await?;
    Ok(Json(Page { items: rows.into_iter().map(|row| view(&app, row, &names)).collect(), next }))
}

/// What is to be deleted, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDeletion {
    study_uid: String,
    /// Only this series of the study.
    series_uid: Option<String>,
    /// Only this image of the series; needs `series_uid`.
    sop_uid: Option<String>,
    /// `quality`, `patient_safety`, `incorrect_worklist_entry`, `retention_expired`, `other`
    reason: String,
    /// Required with `other`; at most 1000 characters.
    #[serde(default)]
    note: String,
}

/// Deletes what is there of a study, series or image now. It is gone from every answer at once and can be taken back for
/// a while. 409 `archive.reported` when a signed report rests on the study; 409 `archive.retained` when its time of
/// retention is given as the reason and is not over.
#[utoipa::path(post, path = "/deletions", request_body = NewDeletion,
    responses((status = 201, body = DeletionView)))]
async fn delete_images(
    Allowed(permit): Allowed<DeleteStudies>,
    State(app): State<App>,
    ApiJson(new): ApiJson<NewDeletion>,
) -> ApiResult<(StatusCode, Json<DeletionView>)> {
    let reason = Reason::parse(&new.reason).ok_or_else(|| ApiError::invalid("reason"))?;
    if new.sop_uid.is_some() && new.series_uid.is_none() {
        return Err(ApiError::invalid("series_uid"));
    }
    let optional = |text: Option<String>| text.as_deref().map(uid).transpose();
    let target = Target {
        study_uid: uid(&new.study_uid)?,
        series_uid: optional(new.series_uid)?,
        sop_uid: optional(new.sop_uid)?,
    };
    let deletion = app.archive.delete(&permit, &target, reason, &new.note).await?;
    Ok((StatusCode::CREATED, Json(view_of(&app, deletion).await?)))
}

/// Takes a deletion back: what was deleted is in every answer again.
#[utoipa::path(post, path = "/deletions/{id}/restore", params(("id" = String, Path)),
    responses((status = 200, body = DeletionView)))]
async fn restore_deletion(
    Allowed(permit): Allowed<DeleteStudies>,
    State(app): State<App>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<DeletionView>> {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    let deletion = app.archive.restore_deleted(&permit, id).await?;
    Ok(Json(view_of(&app, deletion).await?))
}
