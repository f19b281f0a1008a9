//! Phrases for writing reports: a person's own and the department's.

use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_kernel::PhraseId;
use mingying_reporting::{NewPhrase, Section, UsePhrases};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_phrases, add_phrase))
        .routes(routes!(edit_phrase, delete_phrase))
        .routes(routes!(restore_phrase))
        .routes(routes!(arrange_phrases))
        .routes(routes!(import_phrases))
}

/// A phrase and who changed it last.
#[derive(Serialize, ToSchema)]
struct Phrase {
    id: String,
    /// The department's; else the reader's own.
    shared: bool,
    /// What one types to get it; may be empty.
    code: String,
    name: String,
    /// The name in pinyin, a space between syllables.
    spelled: String,
    category: String,
    /// Empty fits every modality.
    modality: String,
    /// Empty fits every body part.
    body_part: String,
    /// `findings`, `impression`, `advice`; empty goes where the cursor is.
    section: &'static str,
    /// Known places such as `{年龄}` are filled from the case, others such as `{大小}` by the writer.
    text: String,
    version: i64,
    updated_at: String,
    updated_by: String,
    deleted_at: Option<String>,
}

impl From<mingying_reporting::Phrase> for Phrase {
    fn from(phrase: mingying_reporting::Phrase) -> Self {
        let content = phrase.content;
        Self {
            id: phrase.id.to_string(),
            shared: phrase.shared,
            code: content.code,
            name: content.name,
            spelled: phrase.spelled,
            category: content.category,
            modality: content.modality,
            body_part: content.body_part,
            section: content.section.map_or("", Section::as_str),
            text: content.text,
            version: phrase.version,
            updated_at: phrase.updated_at.to_rfc3339(),
            updated_by: phrase.updated_by.name,
            deleted_at: phrase.deleted_at.map(|at| at.to_rfc3339()),
        }
    }
}

/// What a phrase is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PhraseContent {
    /// Letters and digits, at most 24.
    #[serde(default)]
    code: String,
    /// At most 64 characters.
    name: String,
    /// At most 32 characters.
    #[serde(default)]
    category: String,
    #[serde(default)]
    modality: String,
    #[serde(default)]
    body_part: String,
    /// `findings`, `impression`, `advice`; empty goes where the cursor is.
    #[serde(default)]
    section: String,
    /// At most 4,000 characters.
    text: String,
}

impl PhraseContent {
    fn parse(self) -> ApiResult<NewPhrase> {
        let section = match self.section.as_str() {
            "" => None,
            text => Some(Section::parse(text).ok_or_else(|| ApiError::invalid("section"))?),
        };
        Ok(NewPhrase {
            code: self.code,
            name: self.name,
            category: self.category,
            modality: self.modality,
            body_part: self.body_part,
            section,
            text: self.text,
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PhraseQuery {
    /// Those that were deleted and can be brought back, the latest first.
    #[serde(default)]
    deleted: bool,
}

/// The caller's phrases and the department's, in their order.
#[utoipa::path(get, path = "/phrases", params(PhraseQuery), responses((status = 200, body = Vec<Phrase>)))]
async fn list_phrases(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<PhraseQuery>,
) -> ApiResult<Json<Vec<Phrase>>> {
    let found = mingying_reporting::phrases(&app.db, &permit, query.deleted).await?;
    Ok(Json(found.into_iter().map(Phrase::from).collect()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddPhrase {
    /// For the department, which needs `template.edit`; else for the caller.
    shared: bool,
    phrase: PhraseContent,
}

/// Adds a phrase at the end. 409 `phrase.code_taken`, `phrase.full`.
#[utoipa::path(post, path = "/phrases", request_body = AddPhrase, responses((status = 201, body = Phrase)))]
async fn add_phrase(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiJson(body): ApiJson<AddPhrase>,
) -> ApiResult<(StatusCode, Json<Phrase>)> {
    let new = body.phrase.parse()?;
    let phrase = mingying_reporting::add_phrase(&app.db, &permit, body.shared, new).await?;
    Ok((StatusCode::CREATED, Json(phrase.into())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditPhrase {
    /// The version that the writer saw.
    version: i64,
    phrase: PhraseContent,
}

/// Changes a phrase. 409 `phrase.stale`, `phrase.code_taken`.
#[utoipa::path(put, path = "/phrases/{id}", params(("id" = String, Path)), request_body = EditPhrase,
    responses((status = 200, body = Phrase)))]
async fn edit_phrase(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiPath(id): ApiPath<PhraseId>,
    ApiJson(body): ApiJson<EditPhrase>,
) -> ApiResult<Json<Phrase>> {
    let new = body.phrase.parse()?;
    Ok(Json(mingying_reporting::edit_phrase(&app.db, &permit, id, body.version, new).await?.into()))
}

/// Deletes a phrase; it can be brought back.
#[utoipa::path(delete, path = "/phrases/{id}", params(("id" = String, Path)), responses((status = 204)))]
async fn delete_phrase(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiPath(id): ApiPath<PhraseId>,
) -> ApiResult<StatusCode> {
    mingying_reporting::delete_phrase(&app.db, &permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Brings a deleted phrase back. 409 `phrase.code_taken` when another has its code now.
#[utoipa::path(post, path = "/phrases/{id}/restore", params(("id" = String, Path)),
    responses((status = 200, body = Phrase)))]
async fn restore_phrase(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiPath(id): ApiPath<PhraseId>,
) -> ApiResult<Json<Phrase>> {
    Ok(Json(mingying_reporting::restore_phrase(&app.db, &permit, id).await?.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ArrangePhrases {
    /// The department's phrases; else the caller's.
    shared: bool,
    /// Come first, in this order; the others keep theirs.
    ids: Vec<String>,
}

/// Puts phrases in order.
#[utoipa::path(post, path = "/phrases/order", request_body = ArrangePhrases, responses((status = 204)))]
async fn arrange_phrases(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiJson(body): ApiJson<ArrangePhrases>,
) -> ApiResult<StatusCode> {
    let ids: Result<Vec<PhraseId>, _> = body.ids.iter().map(|id| id.parse()).collect();
    let ids = ids.map_err(|_| ApiError::invalid("ids"))?;
    mingying_reporting::arrange_phrases(&app.db, &permit, body.shared, &ids).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportPhrases {
    /// For the department, which needs `template.edit`; else for the caller.
    shared: bool,
    /// At most 2,000.
    phrases: Vec<PhraseContent>,
}

/// What an import did.
#[derive(Serialize, ToSchema)]
struct ImportedPhrases {
    added: u32,
    changed: u32,
    same: u32,
}

/// Takes over phrases, all or none. One with a known code, or without a code with known category and name, is replaced.
#[utoipa::path(post, path = "/phrases/import", request_body = ImportPhrases,
    responses((status = 200, body = ImportedPhrases)))]
async fn import_phrases(
    Allowed(permit): Allowed<UsePhrases>,
    State(app): State<App>,
    ApiJson(body): ApiJson<ImportPhrases>,
) -> ApiResult<Json<ImportedPhrases>> {
    let new: Vec<NewPhrase> = body.phrases.into_iter().map(PhraseContent::parse).collect::<ApiResult<_>>()?;
    let done = mingying_reporting::import_phrases(&app.db, &permit, body.shared, new).await?;
    Ok(Json(ImportedPhrases { added: done.added, changed: done.changed, same: done.same }))
}
