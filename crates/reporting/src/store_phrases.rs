use crate::spelling::spelled;
use crate::{Author, NewPhrase, Phrase, Section};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{OrgId, PhraseId, Scope, Timestamp};
use sha2::{Digest as _, Sha256};

/// Serialises the changes of one shelf.
pub(crate) fn shelf_key(org: OrgId, owner: &str) -> i64 {
    let digest = Sha256::digest(format!("phrases {org} {owner}"));
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

const PHRASE: &str = "id, owner_id, code, name, category, modality, body_part, section, text, version, updated_at, \
     updated_by, updated_by_name, deleted_at";

fn phrase(row: &Row) -> Result<Phrase, DbError> {
    let name: String = row.get("name")?;
    let owner: String = row.get("owner_id")?;
    Ok(Phrase {
        id: row.get("id")?,
        shared: owner.is_empty(),
        spelled: spelled(&name),
        content: NewPhrase {
            code: row.get("code")?,
            name,
            category: row.get("category")?,
            modality: row.get("modality")?,
            body_part: row.get("body_part")?,
            section: Section::parse(&row.get::<String>("section")?),
            text: row.get("text")?,
        },
        version: row.get("version")?,
        updated_at: row.get("updated_at")?,
        updated_by: Author { id: row.get("updated_by")?, name: row.get("updated_by_name")? },
        deleted_at: row.get("deleted_at")?,
    })
}

/// The shared phrases and those of `user`.
pub(crate) async fn list(db: &Db, scope: Scope, user: &str, deleted: bool) -> Result<Vec<Phrase>, DbError> {
    let scope = scope_sql(scope, "org_id");
    let rest = if deleted {
        "deleted_at IS NOT NULL ORDER BY deleted_at DESC, id LIMIT 200"
    } else {
        "deleted_at IS NULL ORDER BY owner_id, rank, id"
    };
    let sql =
        format!("SELECT {PHRASE} FROM report_phrases WHERE {scope} AND (owner_id = '' OR owner_id = $1) AND {rest}");
    db.query(AssertSqlSafe(sql), params![user]).await?.iter().map(phrase).collect()
}

pub(crate) async fn of_shelf(tx: &mut Tx, org: OrgId, owner: &str) -> Result<Vec<Phrase>, DbError> {
    let sql = format!(
        "SELECT {PHRASE} FROM report_phrases WHERE org_id = $1 AND owner_id = $2 AND deleted_at IS NULL \
         ORDER BY rank, id"
    );
    tx.query(AssertSqlSafe(sql), params![org, owner]).await?.iter().map(phrase).collect()
}

/// Whose it is; empty for shared.
pub(crate) async fn owner(tx: &mut Tx, scope: Scope, id: PhraseId) -> Result<Option<String>, DbError> {
    let sql = format!("SELECT owner_id FROM report_phrases WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.map(|row| row.get("owner_id")).transpose()
}

pub(crate) async fn load(tx: &mut Tx, scope: Scope, id: PhraseId) -> Result<Option<Phrase>, DbError> {
    let sql = format!("SELECT {PHRASE} FROM report_phrases WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(phrase).transpose()
}

pub(crate) async fn with_code(tx: &mut Tx, org: OrgId, owner: &str, code: &str) -> Result<Option<PhraseId>, DbError> {
    let row = tx
        .query_opt(
            "SELECT id FROM report_phrases WHERE org_id = $1 AND owner_id = $2 AND code = $3 AND code <> '' \
             AND deleted_at IS NULL",
            params![org, owner, code],
        )
        .await?;
    row.map(|row| row.get("id")).transpose()
}

pub(crate) async fn count(tx: &mut Tx, org: OrgId, owner: &str) -> Result<usize, DbError> {
    tx.query_one(
        "SELECT COUNT(*) AS n FROM report_phrases WHERE org_id = $1 AND owner_id = $2 AND deleted_at IS NULL",
        params![org, owner],
    )
    .await?
    .get("n")
}

/// At the end of its shelf.
pub(crate) async fn insert(tx: &mut Tx, org: OrgId, owner: &str, phrase: &Phrase) -> Result<(), DbError> {
    let content = &phrase.content;
    tx.execute(
        "INSERT INTO report_phrases (id, org_id, owner_id, code, name, category, modality, body_part, section, text, \
         rank, version, updated_at, updated_by, updated_by_name, deleted_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, COALESCE(MAX(rank), -1) + 1, $11, $12, $13, $14, NULL \
         FROM report_phrases WHERE org_id = $2 AND owner_id = $3",
        params![
            phrase.id,
            org,
            owner,
            &content.code,
            &content.name,
            &content.category,
            &content.modality,
            &content.body_part,
            content.section.map_or("", Section::as_str),
            &content.text,
            phrase.version,
            phrase.updated_at,
            &phrase.updated_by.id,
            &phrase.updated_by.name
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, phrase: &Phrase) -> Result<(), DbError> {
    let content = &phrase.content;
    tx.execute(
        "UPDATE report_phrases SET code = $1, name = $2, category = $3, modality = $4, body_part = $5, section = $6, \
         text = $7, version = $8, updated_at = $9, updated_by = $10, updated_by_name = $11 WHERE id = $12",
        params![
            &content.code,
            &content.name,
            &content.category,
            &content.modality,
            &content.body_part,
            content.section.map_or("", Section::as_str),
            &content.text,
            phrase.version,
            phrase.updated_at,
            &phrase.updated_by.id,
            &phrase.updated_by.name,
            phrase.id
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_deleted(tx: &mut Tx, id: PhraseId, at: Option<Timestamp>) -> Result<(), DbError> {
    tx.execute("UPDATE report_phrases SET deleted_at = $1, version = version + 1 WHERE id = $2", params![at, id])
        .await?;
    Ok(())
}

/// The living phrases of a shelf in their order, with their ranks.
pub(crate) async fn ranked(tx: &mut Tx, org: OrgId, owner: &str) -> Result<Vec<(PhraseId, usize)>, DbError> {
    tx.query(
        "SELECT id, rank FROM report_phrases WHERE org_id = $1 AND owner_id = $2 AND deleted_at IS NULL \
         ORDER BY rank, id",
        params![org, owner],
    )
    .await?
    .iter()
    .map(|row| Ok((row.get("id")?, row.get("rank")?)))
    .collect()
}

pub(crate) async fn set_rank(tx: &mut Tx, id: PhraseId, rank: usize) -> Result<(), DbError> {
    tx.execute("UPDATE report_phrases SET rank = $1 WHERE id = $2", params![rank, id]).await?;
    Ok(())
}
