//! Patients: search, registration, correction.

use super::views::PatientSummary;
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::civil::Date;
use mingying_kernel::PatientId;
use mingying_patients::{
    Alert, AlertKind, EditPatient, ID_CARD_ISSUER, Identifier, IdentifierKind, ReadPatients, RegisterPatient, Sex,
    SimilarQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(search_patients, register_patient))
        .routes(routes!(similar_patients))
        .routes(routes!(get_patient, update_patient))
}

/// An identifier and who issued it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientIdentifier {
    pub issuer: String,
    /// `mrn`, `id_card`, `outpatient`, `inpatient`, `insurance`, `foreign`, `temporary`
    pub kind: String,
    pub value: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientAlert {
    /// `allergy`, `pregnancy`, `mdro`, `implant`, `egfr`, `other`
    pub kind: String,
    pub text: String,
}

/// A patient, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct Patient {
    #[serde(flatten)]
    summary: PatientSummary,
    phone: Option<String>,
    address: Option<String>,
    identifiers: Vec<PatientIdentifier>,
    alerts: Vec<PatientAlert>,
    temporary: bool,
    version: i64,
    created_at: String,
}

impl From<mingying_patients::Patient> for Patient {
    fn from(p: mingying_patients::Patient) -> Self {
        Self {
            summary: PatientSummary::from(&p.summary()),
            phone: p.phone,
            address: p.address,
            identifiers: p
                .identifiers
                .into_iter()
                .map(|i| PatientIdentifier { issuer: i.issuer, kind: i.kind.to_string(), value: i.value })
                .collect(),
            alerts: p.alerts.into_iter().map(|a| PatientAlert { kind: a.kind.to_string(), text: a.text }).collect(),
            temporary: p.temporary,
            version: p.version,
            created_at: p.created_at.to_rfc3339(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPatient {
    #[serde(default)]
    name: String,
    #[serde(default)]
    name_latin: Option<String>,
    /// `M`, `F`, `O`, `U`
    sex: String,
    /// `YYYY-MM-DD`
    #[serde(default)]
    birth_date: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    identifiers: Vec<PatientIdentifier>,
    #[serde(default)]
    alerts: Vec<PatientAlert>,
    /// Nobody knows who this is: a temporary number is issued.
    #[serde(default)]
    unidentified: bool,
}

/// The whole patient as it shall be, and the version it was read with.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdatePatient {
    version: i64,
    #[serde(flatten)]
    patient: NewPatient,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PatientSearch {
    /// The beginning of a name, its pinyin or initials, an identifier or a telephone number.
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SimilarParams {
    name: Option<String>,
    birth_date: Option<String>,
    sex: Option<String>,
    id_card: Option<String>,
    phone: Option<String>,
}

/// Somebody who may be the same person.
#[derive(Serialize, ToSchema)]
pub struct SimilarPatient {
    patient: PatientSummary,
    /// `identifier`, `name_birth`, `phone`
    reason: &'static str,
    /// Registering would be refused.
    blocking: bool,
}

fn date(text: Option<&str>) -> ApiResult<Option<Date>> {
    match text.map(str::trim).filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| ApiError::invalid("birth_date")),
    }
}

fn sex(text: &str) -> ApiResult<Sex> {
    Sex::parse(text).ok_or_else(|| ApiError::invalid("sex"))
}

impl NewPatient {
    fn read(self) -> ApiResult<mingying_patients::NewPatient> {
        Ok(mingying_patients::NewPatient {
            name: self.name,
            name_latin: self.name_latin,
            sex: Some(sex(&self.sex)?),
            birth_date: date(self.birth_date.as_deref())?,
            phone: self.phone,
            address: self.address,
            identifiers: self
                .identifiers
                .into_iter()
                .map(|i| {
                    let kind = IdentifierKind::parse(&i.kind).ok_or_else(|| ApiError::invalid("identifiers"))?;
                    Ok(Identifier { issuer: i.issuer, kind, value: i.value })
                })
                .collect::<ApiResult<_>>()?,
            alerts: self
                .alerts
                .into_iter()
                .map(|a| {
                    let kind = AlertKind::parse(&a.kind).ok_or_else(|| ApiError::invalid("alerts"))?;
                    Ok(Alert { kind, text: a.text })
                })
                .collect::<ApiResult<_>>()?,
            unidentified: self.unidentified,
        })
    }
}

/// People by what one types; the latest registrations without a text.
#[utoipa::path(get, path = "/patients", tag = "patients", params(PatientSearch),
    responses((status = 200, body = Page<PatientSummary>)))]
async fn search_patients(
    Allowed(permit): Allowed<ReadPatients>,
    State(app): State<App>,
    ApiQuery(params): ApiQuery<PatientSearch>,
) -> ApiResult<Json<Page<PatientSummary>>> {
    let text = params.q.unwrap_or_default();
    let limit = params.limit.unwrap_or(50);
    let found = mingying_patients::search(&app.db, &permit, &text, limit, params.cursor.as_deref()).await?;
    Ok(Json(Page { items: found.items.iter().map(PatientSummary::from).collect(), next: found.next }))
}

/// Who may be the same person as somebody about to be registered.
#[utoipa::path(get, path = "/patients/similar", tag = "patients", params(SimilarParams),
    responses((status = 200, body = Vec<SimilarPatient>)))]
async fn similar_patients(
    Allowed(permit): Allowed<ReadPatients>,
    State(app): State<App>,
    ApiQuery(params): ApiQuery<SimilarParams>,
) -> ApiResult<Json<Vec<SimilarPatient>>> {
    let query = SimilarQuery {
        name: params.name.unwrap_or_default(),
        // Half-typed dates are no error here: the form asks while one types.
        birth_date: params.birth_date.as_deref().and_then(|t| t.parse().ok()),
        sex: params.sex.as_deref().and_then(Sex::parse),
        identifiers: params
            .id_card
            .filter(|t| !t.trim().is_empty())
            .map(|value| Identifier {
                issuer: ID_CARD_ISSUER.to_owned(),
                kind: IdentifierKind::IdCard,
                value: value.trim().to_ascii_uppercase(),
            })
            .into_iter()
            .collect(),
        phone: params.phone.filter(|t| !t.trim().is_empty()),
    };
    let found = mingying_patients::similar(&app.db, &permit, &query).await?;
    Ok(Json(
        found
            .into_iter()
            .map(|s| SimilarPatient {
                patient: PatientSummary::from(&s.patient),
                reason: s.reason.as_str(),
                blocking: s.blocking,
            })
            .collect(),
    ))
}

/// Registers somebody.
#[utoipa::path(post, path = "/patients", tag = "patients", request_body = NewPatient, responses(
    (status = 201, body = Patient), (status = 409, description = "An identifier belongs to somebody else"),
    (status = 422, description = "A field breaks its rule")))]
async fn register_patient(
    Allowed(permit): Allowed<RegisterPatient>,
    State(app): State<App>,
    ApiJson(new): ApiJson<NewPatient>,
) -> ApiResult<(StatusCode, Json<Patient>)> {
    let patient = mingying_patients::register(&app.db, &permit, new.read()?).await?;
    Ok((StatusCode::CREATED, Json(patient.into())))
}

/// One patient. Reading is audited.
#[utoipa::path(get, path = "/patients/{id}", tag = "patients", params(("id" = String, Path)), responses(
    (status = 200, body = Patient), (status = 404, description = "No such patient")))]
async fn get_patient(
    Allowed(permit): Allowed<ReadPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<PatientId>,
) -> ApiResult<Json<Patient>> {
    Ok(Json(mingying_patients::load(&app.db, &permit, id).await?.into()))
}

/// Corrects a patient's data.
#[utoipa::path(put, path = "/patients/{id}", tag = "patients", params(("id" = String, Path)),
    request_body = UpdatePatient, responses((status = 200, body = Patient),
    (status = 409, description = "Somebody was faster, or an identifier belongs to somebody else"),
    (status = 422, description = "A field breaks its rule")))]
async fn update_patient(
    Allowed(permit): Allowed<EditPatient>,
    State(app): State<App>,
    ApiPath(id): ApiPath<PatientId>,
    ApiJson(body): ApiJson<UpdatePatient>,
) -> ApiResult<Json<Patient>> {
    let patient = mingying_patients::update(&app.db, &permit, id, body.version, body.patient.read()?).await?;
    Ok(Json(patient.into()))
}
