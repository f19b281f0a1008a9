//! The reading room: worklist, unmatched studies, the bundle of one case.

use super::patients::Patient;
use super::reporting::Report;
use super::views::{self, Order, PatientSummary};
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::tz::TimeZone;
use mingying_kernel::{OrderId, OrgId, Timestamp};
use mingying_orders::{ExamState, Priority};
use mingying_reading::{LinkStudy, ReadCases, ReadingQuery, Sort, StudyView};
use mingying_reporting::Heading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_worklist))
        .routes(routes!(count_worklist))
        .routes(routes!(list_unmatched))
        .routes(routes!(link_study))
        .routes(routes!(unlink_study))
        .routes(routes!(read_case))
        .routes(routes!(release_case))
}

/// One case of the reading worklist.
#[derive(Serialize, ToSchema)]
struct ReadingRow {
    order_id: String,
    accession: String,
    patient: PatientSummary,
    /// Age at the exam, in the form of DICOM's Age String: `57Y`, `8M`, `12D`; empty when the birth date is not known.
    age_text: String,
    item_name: String,
    item_name_en: String,
    modality: String,
    priority: &'static str,
    state: &'static str,
    report_id: Option<String>,
    report_stage: Option<&'static str>,
    study_uid: String,
    images: i64,
    imaged_at: Option<String>,
    waiting_minutes: u64,
    locked_by: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WorklistQuery {
    /// Exam states, comma separated; what waits for a report or an audit when absent.
    state: Option<String>,
    modality: Option<String>,
    /// Name, pinyin, initials, accession number or medical record number.
    q: Option<String>,
    priority: Option<String>,
    /// `priority` (default), `waiting`, `imaged_at`
    sort: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

fn some(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

fn one_of<T>(text: Option<String>, field: &'static str, parse: impl Fn(&str) -> Option<T>) -> ApiResult<Option<T>> {
    some(text).map(|t| parse(&t).ok_or_else(|| ApiError::invalid(field))).transpose()
}

/// Facility zones of the organizations in a list.
struct Zones<'a> {
    app: &'a App,
    known: BTreeMap<OrgId, TimeZone>,
}

impl<'a> Zones<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, known: BTreeMap::new() }
    }

    async fn of(&mut self, org: OrgId) -> ApiResult<TimeZone> {
        if let Some(zone) = self.known.get(&org) {
            return Ok(zone.clone());
        }
        let zone = mingying_scheduling::facility_zone(&self.app.db, org).await?;
        self.known.insert(org, zone.clone());
        Ok(zone)
    }
}

fn heading_of(headings: &[Heading], order: OrderId) -> Option<&Heading> {
    headings.iter().find(|heading| heading.order == order)
}

/// What waits to be read or audited.
#[utoipa::path(get, path = "/worklist", params(WorklistQuery), responses((status = 200, body = Page<ReadingRow>)))]
async fn list_worklist(
    Allowed(permit): Allowed<ReadCases>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<WorklistQuery>,
) -> ApiResult<Json<Page<ReadingRow>>> {
    let states = some(query.state)
        .map(|text| text.split(',').map(|s| ExamState::parse(s.trim())).collect::<Option<Vec<_>>>())
        .map(|states| states.ok_or_else(|| ApiError::invalid("state")))
        .transpose()?
        .unwrap_or_default();
    let wanted = ReadingQuery {
        states,
        modality: some(query.modality),
        priority: one_of(query.priority, "priority", Priority::parse)?,
        text: some(query.q),
        sort: one_of(query.sort, "sort", Sort::parse)?.unwrap_or(Sort::Priority),
        limit: query.limit,
        cursor: some(query.cursor),
    };
    let page = mingying_reading::worklist(&app.db, &permit, &wanted).await?;
    let orders: Vec<OrderId> = page.items.iter().map(|row| row.order).collect();
    let headings = mingying_reporting::headings(&app.db, permit.scope(), &orders).await?;
    let mut zones = Zones::new(&app);
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let zone = zones.of(row.org).await?;
        let on = row.imaged_at.unwrap_or(row.waiting_since).to_jiff().to_zoned(zone).date();
        let heading = heading_of(&headings, row.order);
        items.push(ReadingRow {
            order_id: row.order.to_string(),
            accession: row.accession.to_string(),
            age_text: row.patient.birth_date.map(|birth| mingying_reading::age(birth, on)).unwrap_or_default(),
            patient: PatientSummary::from(&row.patient),
            item_name: row.item_name,
            item_name_en: row.item_name_en,
            modality: row.modality,
            priority: row.priority.as_str(),
            state: row.state.as_str(),
            report_id: heading.map(|h| h.id.to_string()),
            report_stage: heading.map(|h| h.stage.as_str()),
            study_uid: row.study_uid.to_string(),
            images: row.images,
            imaged_at: row.imaged_at.map(Timestamp::to_rfc3339),
            waiting_minutes: permit.now().since(row.waiting_since).as_secs() / 60,
            locked_by: row.locked_by,
        });
    }
    Ok(Json(Page { items, next: page.next }))
}

/// How many cases of a kind wait.
#[derive(Serialize, ToSchema)]
struct CaseCount {
    state: &'static str,
    modality: String,
    priority: &'static str,
    cases: i64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CountQuery {
    /// As of the worklist.
    q: Option<String>,
}

/// How many cases are to be read, read again or audited, for the filters of the worklist.
#[utoipa::path(get, path = "/worklist/counts", params(CountQuery),
    responses((status = 200, body = Page<CaseCount>)))]
async fn count_worklist(
    Allowed(permit): Allowed<ReadCases>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<CountQuery>,
) -> ApiResult<Json<Page<CaseCount>>> {
    let counts = mingying_reading::count_cases(&app.db, &permit, some(query.q).as_deref()).await?;
    let counts = counts.into_iter().map(|count| CaseCount {
        state: count.state.as_str(),
        modality: count.modality,
        priority: count.priority.as_str(),
        cases: count.cases,
    });
    Ok(Json(Page::whole(counts.collect())))
}

#[derive(Serialize, ToSchema)]
struct UnmatchedStudy {
    study_uid: String,
    patient_name: String,
    patient_id: String,
    modality: String,
    accession: String,
    /// `YYYY-MM-DD`
    study_date: Option<String>,
    description: String,
    images: i64,
    /// The calling AE title, or where else it came from.
    source_aet: String,
    received_at: String,
    /// `no_order`, `patient_differs`, `order_state`, `unlinked`
    reason: &'static str,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Studies that no order was found for.
#[utoipa::path(get, path = "/unmatched", params(ListQuery), responses((status = 200, body = Page<UnmatchedStudy>)))]
async fn list_unmatched(
    Allowed(permit): Allowed<LinkStudy>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> ApiResult<Json<Page<UnmatchedStudy>>> {
    let cursor = some(query.cursor);
    let page = mingying_reading::unmatched(&app.db, &permit, query.limit, cursor.as_deref()).await?;
    let items = page
        .items
        .into_iter()
        .map(|study| UnmatchedStudy {
            study_uid: study.study_uid,
            patient_name: study.patient_name,
            patient_id: study.patient_id,
            modality: study.modality,
            accession: study.accession,
            study_date: calendar(&study.study_date),
            description: study.description,
            images: study.images,
            source_aet: study.source.strip_prefix("AE ").unwrap_or(&study.source).to_owned(),
            received_at: study.received_at.to_rfc3339(),
            reason: study.reason.as_str(),
        })
        .collect();
    Ok(Json(Page { items, next: page.next }))
}

/// `20260302` as `2026-03-02`.
pub(super) fn calendar(da: &str) -> Option<String> {
    jiff::civil::Date::strptime("%Y%m%d", da).ok().map(|date| date.to_string())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkRequest {
    order_id: String,
}

/// Links a study to an order on a person's word. 409 `study.linked`, `study.order_state`.
#[utoipa::path(post, path = "/unmatched/{study_uid}/link", params(("study_uid" = String, Path)),
    request_body = LinkRequest, responses((status = 204)))]
async fn link_study(
    Allowed(permit): Allowed<LinkStudy>,
    State(app): State<App>,
    ApiPath(study_uid): ApiPath<String>,
    ApiJson(body): ApiJson<LinkRequest>,
) -> ApiResult<StatusCode> {
    let order = body.order_id.parse().map_err(|_| ApiError::invalid("order_id"))?;
    mingying_reading::link(&app.db, &app.archive, &permit, &study_uid, order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a study off its order; it goes back to the unmatched list.
#[utoipa::path(delete, path = "/orders/{id}/studies/{study_uid}",
    params(("id" = String, Path), ("study_uid" = String, Path)), responses((status = 204)))]
async fn unlink_study(
    Allowed(permit): Allowed<LinkStudy>,
    State(app): State<App>,
    ApiPath((order, study_uid)): ApiPath<(OrderId, String)>,
) -> ApiResult<StatusCode> {
    mingying_reading::unlink(&app.db, &app.archive, &permit, &study_uid, order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A study with its series.
#[derive(Serialize, ToSchema)]
pub(super) struct Study {
    study_uid: String,
    description: String,
    /// `YYYY-MM-DD`
    date: Option<String>,
    /// Modalities in the study, joined by a backslash.
    modality: String,
    patient_name: String,
    patient_id: String,
    accession: String,
    series: Vec<Series>,
    images: i64,
}

#[derive(Serialize, ToSchema)]
struct Series {
    series_uid: String,
    number: Option<i64>,
    modality: String,
    description: String,
    body_part: String,
    images: i64,
}

impl From<StudyView> for Study {
    fn from(view: StudyView) -> Self {
        let study = view.study;
        Self {
            date: calendar(&study.study_date),
            modality: study.modalities.join("\\"),
            patient_name: study.patient_name.display(),
            study_uid: study.study_uid,
            description: study.description,
            patient_id: study.patient_id,
            accession: study.accession,
            images: study.instances,
            series: view
                .series
                .into_iter()
                .map(|series| Series {
                    series_uid: series.series_uid,
                    number: series.number,
                    modality: series.modality,
                    description: series.description,
                    body_part: series.body_part,
                    images: series.instances,
                })
                .collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct PriorStudy {
    order_id: String,
    accession: String,
    item_name: String,
    item_name_en: String,
    study_uid: String,
    date: String,
    impression: Option<String>,
    report_id: Option<String>,
}

/// Everything that one needs to read a case.
#[derive(Serialize, ToSchema)]
struct Reading {
    order: Order,
    patient: Patient,
    studies: Vec<Study>,
    /// Newest first.
    priors: Vec<PriorStudy>,
    report: Option<Report>,
}

/// The bundle of one case.
#[utoipa::path(get, path = "/orders/{id}/reading", params(("id" = String, Path)),
    responses((status = 200, body = Reading)))]
async fn read_case(
    Allowed(permit): Allowed<ReadCases>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Reading>> {
    let room = mingying_reading::room(&app.db, &app.archive, &permit, id).await?;
    let reports = permit.ctx().permit()?;
    let report = mingying_reporting::of_order(&app.db, &reports, &app.settings.reporting, id).await?;
    let prior_orders: Vec<OrderId> = room.priors.iter().map(|prior| prior.order.id).collect();
    let headings = mingying_reporting::headings(&app.db, permit.scope(), &prior_orders).await?;
    let priors = room
        .priors
        .into_iter()
        .map(|prior| {
            let heading = heading_of(&headings, prior.order.id);
            let (item_name, item_name_en) = prior.order.title();
            PriorStudy {
                order_id: prior.order.id.to_string(),
                accession: prior.order.accession.to_string(),
                item_name,
                item_name_en,
                study_uid: prior.study_uid,
                date: prior.at.to_rfc3339(),
                impression: heading.filter(|h| h.signed).map(|h| h.impression.clone()),
                report_id: heading.map(|h| h.id.to_string()),
            }
        })
        .collect();
    Ok(Json(Reading {
        order: views::one(&app, permit.scope(), room.order).await?,
        patient: room.patient.into(),
        studies: room.studies.into_iter().map(Study::from).collect(),
        priors,
        report: report.map(Report::from),
    }))
}

/// Lets a case go that the caller holds, when its page is left.
#[utoipa::path(delete, path = "/orders/{id}/reading", params(("id" = String, Path)), responses((status = 204)))]
async fn release_case(
    Allowed(permit): Allowed<ReadCases>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<StatusCode> {
    mingying_reading::unlock(&app.db, &permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
