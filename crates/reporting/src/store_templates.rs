use crate::store::text;
use crate::{Author, NewTemplate, Template, TemplateState, TemplateVersion};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{OrgId, Scope, Timestamp};
use sha2::{Digest as _, Sha256};

/// Serialises the changes of one template.
pub(crate) fn code_key(org: OrgId, code: &str) -> i64 {
    let digest = Sha256::digest(format!("template {org} {code}"));
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// What is offered for a modality (or all), shared templates and the reader's own.
pub(crate) async fn offered(
    db: &Db,
    scope: Scope,
    modality: Option<&str>,
    body_part: Option<&str>,
    user_id: &str,
) -> Result<Vec<Template>, DbError> {
    let sql = format!(
        "SELECT id, code, version, name, name_en, modality, body_part, findings, impression, advice, owner_id, source \
         FROM report_templates WHERE {} AND (CAST($1 AS TEXT) IS NULL OR modality = $1) \
         AND (CAST($2 AS TEXT) IS NULL OR body_part = $2 OR body_part = '') \
         AND (owner_id = '' OR owner_id = $3) ORDER BY modality, body_part DESC, name, id",
        scope_sql(scope, "org_id")
    );
    let modality = modality.map(str::to_owned);
    let body_part = body_part.map(str::to_owned);
    db.query(AssertSqlSafe(sql), params![modality, body_part, user_id])
        .await?
        .iter()
        .map(|row| {
            let owner: String = row.get("owner_id")?;
            Ok(Template {
                id: row.get("id")?,
                code: row.get("code")?,
                n: row.get("version")?,
                name: row.get("name")?,
                name_en: row.get("name_en")?,
                modality: row.get("modality")?,
                body_part: row.get("body_part")?,
                text: text(row)?,
                shared: owner.is_empty(),
                source: row.get("source")?,
            })
        })
        .collect()
}

const VERSION: &str = "code, n, state, name, name_en, modality, body_part, findings, impression, advice, source, rev, \
     author_id, author_name, updated_at, approved_by, approved_by_name, approved_at, retired_at";

fn version(row: &Row) -> Result<TemplateVersion, DbError> {
    let state: String = row.get("state")?;
    let approver: Option<String> = row.get("approved_by")?;
    let approver_name: Option<String> = row.get("approved_by_name")?;
    let approved_at: Option<Timestamp> = row.get("approved_at")?;
    Ok(TemplateVersion {
        content: NewTemplate {
            code: row.get("code")?,
            name: row.get("name")?,
            name_en: row.get("name_en")?,
            modality: row.get("modality")?,
            body_part: row.get("body_part")?,
            text: text(row)?,
            source: row.get("source")?,
        },
        n: row.get("n")?,
        state: TemplateState::parse(&state).ok_or_else(|| DbError::Column("state".to_owned()))?,
        rev: row.get("rev")?,
        author: Author { id: row.get("author_id")?, name: row.get("author_name")? },
        updated_at: row.get("updated_at")?,
        approved: approver
            .zip(approved_at)
            .map(|(id, at)| (Author { id, name: approver_name.unwrap_or_default() }, at)),
        retired_at: row.get("retired_at")?,
    })
}

pub(crate) async fn versions(db: &Db, scope: Scope) -> Result<Vec<TemplateVersion>, DbError> {
    let sql = format!(
        "SELECT {VERSION} FROM report_template_versions WHERE {} ORDER BY code, n DESC",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(version).collect()
}

/// The newest first.
pub(crate) async fn of_code(tx: &mut Tx, org: OrgId, code: &str) -> Result<Vec<TemplateVersion>, DbError> {
    let sql = format!("SELECT {VERSION} FROM report_template_versions WHERE org_id = $1 AND code = $2 ORDER BY n DESC");
    tx.query(AssertSqlSafe(sql), params![org, code]).await?.iter().map(version).collect()
}

pub(crate) async fn insert(tx: &mut Tx, org: OrgId, version: &TemplateVersion) -> Result<(), DbError> {
    let content = &version.content;
    tx.execute(
        "INSERT INTO report_template_versions (org_id, code, n, state, name, name_en, modality, body_part, findings, \
         impression, advice, source, rev, author_id, author_name, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        params![
            org,
            &content.code,
            version.n,
            version.state.as_str(),
            &content.name,
            &content.name_en,
            &content.modality,
            &content.body_part,
            &content.text.findings,
            &content.text.impression,
            &content.text.advice,
            &content.source,
            version.rev,
            &version.author.id,
            &version.author.name,
            version.updated_at
        ],
    )
    .await?;
    Ok(())
}

/// Writes a draft over; a version that was ever approved is never touched.
pub(crate) async fn rewrite(tx: &mut Tx, org: OrgId, version: &TemplateVersion) -> Result<(), DbError> {
    let content = &version.content;
    tx.execute(
        "UPDATE report_template_versions SET name = $1, name_en = $2, modality = $3, body_part = $4, findings = $5, \
         impression = $6, advice = $7, source = $8, rev = $9, author_id = $10, author_name = $11, updated_at = $12 \
         WHERE org_id = $13 AND code = $14 AND n = $15 AND state = 'draft'",
        params![
            &content.name,
            &content.name_en,
            &content.modality,
            &content.body_part,
            &content.text.findings,
            &content.text.impression,
            &content.text.advice,
            &content.source,
            version.rev,
            &version.author.id,
            &version.author.name,
            version.updated_at,
            org,
            &content.code,
            version.n
        ],
    )
    .await?;
    Ok(())
}

/// A draft goes without a trace but its audit rows.
pub(crate) async fn remove(tx: &mut Tx, org: OrgId, code: &str, n: u32) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM report_template_versions WHERE org_id = $1 AND code = $2 AND n = $3 AND state = 'draft'",
        params![org, code, n],
    )
    .await?;
    Ok(())
}

pub(crate) async fn approve(tx: &mut Tx, org: OrgId, version: &TemplateVersion) -> Result<(), DbError> {
    let (by, at) = version.approved.clone().map_or((None, None), |(by, at)| (Some(by), Some(at)));
    let (id, name) = by.map_or((None, None), |by| (Some(by.id), Some(by.name)));
    tx.execute(
        "UPDATE report_template_versions SET state = 'approved', approved_by = $1, approved_by_name = $2, \
         approved_at = $3 WHERE org_id = $4 AND code = $5 AND n = $6",
        params![id, name, at, org, &version.content.code, version.n],
    )
    .await?;
    Ok(())
}

pub(crate) async fn retire(tx: &mut Tx, org: OrgId, code: &str, n: u32, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE report_template_versions SET state = 'retired', retired_at = $1 \
         WHERE org_id = $2 AND code = $3 AND n = $4",
        params![at, org, code, n],
    )
    .await?;
    Ok(())
}

/// What writers are offered under this code from now on.
pub(crate) async fn offer(tx: &mut Tx, org: OrgId, version: &TemplateVersion, at: Timestamp) -> Result<(), DbError> {
    let content = &version.content;
    tx.execute(
        "INSERT INTO report_templates (id, org_id, code, version, name, name_en, modality, body_part, findings, \
         impression, advice, owner_id, source, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', $12, $13) \
         ON CONFLICT (org_id, code) DO UPDATE SET version = excluded.version, name = excluded.name, \
         name_en = excluded.name_en, modality = excluded.modality, body_part = excluded.body_part, \
         findings = excluded.findings, impression = excluded.impression, advice = excluded.advice, \
         source = excluded.source, updated_at = excluded.updated_at",
        params![
            format!("{org}:{}", content.code),
            org,
            &content.code,
            version.n,
            &content.name,
            &content.name_en,
            &content.modality,
            &content.body_part,
            &content.text.findings,
            &content.text.impression,
            &content.text.advice,
            &content.source,
            at
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn withdraw(tx: &mut Tx, org: OrgId, code: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM report_templates WHERE org_id = $1 AND code = $2 AND owner_id = ''", params![org, code])
        .await?;
    Ok(())
}
