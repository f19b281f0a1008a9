//! The only SQL of this crate.

use crate::{Alert, Identifier, IdentifierKind, Patient, PatientError, PatientSummary, Sex, register::Issuers};
use jiff::civil::Date;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{OrgId, PatientId, Scope, Timestamp};
use sha2::{Digest, Sha256};

const COLUMNS: &str = "id, org_id, name, name_latin, sex, birth_date, phone, address, alerts, temporary, version, \
                       created_at, updated_at";
const SUMMARY: &str = "id, name, name_latin, sex, birth_date, mrn";

/// The key of an advisory lock for `text`.
pub(crate) fn lock_key(text: &str) -> i64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0i64, |key, byte| (key << 8) | i64::from(*byte))
}

fn sex(row: &Row) -> Result<Sex, DbError> {
    Sex::parse(&row.get::<String>("sex")?).ok_or_else(|| DbError::Column("sex".to_owned()))
}

fn birth_date(row: &Row) -> Result<Option<Date>, DbError> {
    row.get::<Option<String>>("birth_date")?
        .map(|text| text.parse().map_err(|_| DbError::Column("birth_date".to_owned())))
        .transpose()
}

fn patient(row: &Row, identifiers: Vec<Identifier>) -> Result<Patient, DbError> {
    let alerts: Vec<Alert> =
        serde_json::from_str(&row.get::<String>("alerts")?).map_err(|_| DbError::Column("alerts".to_owned()))?;
    Ok(Patient {
        id: row.get("id")?,
        org: row.get("org_id")?,
        name: row.get("name")?,
        name_latin: row.get("name_latin")?,
        sex: sex(row)?,
        birth_date: birth_date(row)?,
        phone: row.get("phone")?,
        address: row.get("address")?,
        identifiers,
        alerts,
        temporary: row.get("temporary")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn summary(row: &Row) -> Result<PatientSummary, DbError> {
    Ok(PatientSummary {
        id: row.get("id")?,
        name: row.get("name")?,
        name_latin: row.get("name_latin")?,
        sex: sex(row)?,
        birth_date: birth_date(row)?,
        mrn: row.get("mrn")?,
    })
}

fn identifiers(rows: &[Row]) -> Result<Vec<Identifier>, DbError> {
    rows.iter()
        .map(|row| {
            Ok(Identifier {
                issuer: row.get("issuer")?,
                kind: IdentifierKind::parse(&row.get::<String>("kind")?)
                    .ok_or_else(|| DbError::Column("kind".to_owned()))?,
                value: row.get("value")?,
            })
        })
        .collect()
}

const IDENTIFIERS_OF: &str = "SELECT issuer, kind, value FROM patient_identifiers WHERE patient_id = $1 ORDER BY seq";

fn by_id(scope: Scope) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {COLUMNS} FROM patients WHERE id = $1 AND {}", scope_sql(scope, "org_id")))
}

pub(crate) async fn load(db: &Db, scope: Scope, id: PatientId) -> Result<Option<Patient>, DbError> {
    let Some(row) = db.query_opt(by_id(scope), params![id]).await? else { return Ok(None) };
    Ok(Some(patient(&row, identifiers(&db.query(IDENTIFIERS_OF, params![id]).await?)?)?))
}

pub(crate) async fn load_in(tx: &mut Tx, scope: Scope, id: PatientId) -> Result<Option<Patient>, DbError> {
    let Some(row) = tx.query_opt(by_id(scope), params![id]).await? else { return Ok(None) };
    Ok(Some(patient(&row, identifiers(&tx.query(IDENTIFIERS_OF, params![id]).await?)?)?))
}

pub(crate) async fn load_many(db: &Db, scope: Scope, ids: &[PatientId]) -> Result<Vec<PatientSummary>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Ids are UUIDs that this process parsed: safe to inline.
    let list = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {SUMMARY} FROM patients WHERE id IN ({list}) AND {}", scope_sql(scope, "org_id"));
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(summary).collect()
}

fn keys(p: &Patient) -> (String, String, String) {
    (crate::folded(&p.name), crate::sound(&p.name), crate::initials(&p.name))
}

fn alerts_json(p: &Patient) -> Result<String, DbError> {
    serde_json::to_string(&p.alerts).map_err(|e| DbError::Column(e.to_string()))
}

pub(crate) async fn insert(tx: &mut Tx, p: &Patient) -> Result<(), DbError> {
    let (name_key, sound, initials) = keys(p);
    tx.execute(
        "INSERT INTO patients (id, org_id, campus_id, department_id, sensitivity, name, name_key, name_latin, sound, \
         initials, sex, birth_date, phone, address, alerts, temporary, mrn, version, created_at, updated_at) \
         VALUES ($1, $2, '', '', 0, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        params![
            p.id,
            p.org,
            &p.name,
            name_key,
            &p.name_latin,
            sound,
            initials,
            p.sex.as_str(),
            p.birth_date.map(|d| d.to_string()),
            p.phone.clone(),
            p.address.clone(),
            alerts_json(p)?,
            p.temporary,
            p.mrn().map(str::to_owned),
            p.version,
            p.created_at,
            p.updated_at
        ],
    )
    .await?;
    Ok(())
}

/// Writes everything but identifiers when the stored version is still `expected`; whether it was.
pub(crate) async fn save(tx: &mut Tx, p: &Patient, expected: i64) -> Result<bool, DbError> {
    let (name_key, sound, initials) = keys(p);
    let changed = tx
        .execute(
            "UPDATE patients SET name = $2, name_key = $3, name_latin = $4, sound = $5, initials = $6, sex = $7, \
             birth_date = $8, phone = $9, address = $10, alerts = $11, temporary = $12, mrn = $13, version = $14, \
             updated_at = $15 WHERE id = $1 AND version = $16",
            params![
                p.id,
                &p.name,
                name_key,
                &p.name_latin,
                sound,
                initials,
                p.sex.as_str(),
                p.birth_date.map(|d| d.to_string()),
                p.phone.clone(),
                p.address.clone(),
                alerts_json(p)?,
                p.temporary,
                p.mrn().map(str::to_owned),
                p.version,
                p.updated_at,
                expected
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Adds an identifier; false when a patient of the organization carries it already.
pub(crate) async fn add_identifier(
    tx: &mut Tx,
    org: OrgId,
    id: PatientId,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "INSERT INTO patient_identifiers (patient_id, org_id, issuer, value, value_key, kind, seq, created_at) \
             SELECT $1, $2, $3, $4, $5, $6, (SELECT COUNT(*) FROM patient_identifiers WHERE patient_id = $1), $7 \
             WHERE 1 = 1 ON CONFLICT (org_id, issuer, value) DO NOTHING",
            params![
                id,
                org,
                &identifier.issuer,
                &identifier.value,
                identifier.value.to_uppercase(),
                identifier.kind.as_str(),
                now
            ],
        )
        .await?;
    Ok(changed == 1)
}

pub(crate) async fn remove_identifier(tx: &mut Tx, id: PatientId, identifier: &Identifier) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM patient_identifiers WHERE patient_id = $1 AND issuer = $2 AND value = $3",
        params![id, &identifier.issuer, &identifier.value],
    )
    .await?;
    Ok(())
}

/// Who carries the identifier in this organization.
pub(crate) async fn owner(tx: &mut Tx, org: OrgId, identifier: &Identifier) -> Result<Option<PatientId>, DbError> {
    tx.query_opt(
        "SELECT patient_id FROM patient_identifiers WHERE org_id = $1 AND issuer = $2 AND value = $3",
        params![org, &identifier.issuer, &identifier.value],
    )
    .await?
    .map(|row| row.get("patient_id"))
    .transpose()
}

pub(crate) async fn owner_seen(db: &Db, scope: Scope, identifier: &Identifier) -> Result<Vec<PatientId>, DbError> {
    let sql = format!(
        "SELECT patient_id FROM patient_identifiers WHERE value_key = $1 AND ($2 = '' OR issuer = $2) AND {}",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![identifier.value.trim().to_uppercase(), identifier.issuer.trim()])
        .await?
        .iter()
        .map(|row| row.get("patient_id"))
        .collect()
}

/// The next value of a counter, unique under concurrency: the row is locked by the update.
pub(crate) async fn count(tx: &mut Tx, name: &str) -> Result<i64, DbError> {
    tx.query_one(
        "INSERT INTO patient_counters (name, value) VALUES ($1, 1) \
         ON CONFLICT (name) DO UPDATE SET value = patient_counters.value + 1 RETURNING value",
        params![name],
    )
    .await?
    .get("value")
}

const ISSUERS: &str = "SELECT mrn_issuer, mrn_prefix, temporary_issuer FROM patient_issuers WHERE org_id = $1";

pub(crate) async fn issuers(tx: &mut Tx, org: OrgId) -> Result<Option<Issuers>, DbError> {
    tx.query_opt(ISSUERS, params![org])
        .await?
        .map(|row| {
            Ok(Issuers {
                mrn: row.get("mrn_issuer")?,
                mrn_prefix: row.get("mrn_prefix")?,
                temporary: row.get("temporary_issuer")?,
            })
        })
        .transpose()
}

pub(crate) async fn put_issuers(tx: &mut Tx, org: OrgId, issuers: &Issuers) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO patient_issuers (org_id, mrn_issuer, mrn_prefix, temporary_issuer) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (org_id) DO UPDATE SET mrn_issuer = excluded.mrn_issuer, mrn_prefix = excluded.mrn_prefix, \
         temporary_issuer = excluded.temporary_issuer",
        params![org, &issuers.mrn, &issuers.mrn_prefix, &issuers.temporary],
    )
    .await?;
    Ok(())
}

const FIRST_ORG: &str = "SELECT id FROM orgs ORDER BY id LIMIT 1";

pub(crate) async fn first_org(db: &Db) -> Result<Option<OrgId>, DbError> {
    db.query_opt(FIRST_ORG, params![]).await?.map(|row| row.get("id")).transpose()
}

pub(crate) async fn first_org_in(tx: &mut Tx) -> Result<Option<OrgId>, DbError> {
    tx.query_opt(FIRST_ORG, params![]).await?.map(|row| row.get("id")).transpose()
}

/// A place where a typed text may match, each with its own index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    Name,
    Sound,
    Initials,
    Phone,
    Identifier,
}

impl Branch {
    fn column(self) -> &'static str {
        match self {
            Self::Name => "p.name_key",
            Self::Sound => "p.sound",
            Self::Initials => "p.initials",
            Self::Phone => "p.phone",
            Self::Identifier => "i.value_key",
        }
    }
}

/// One page of one branch: rows whose column starts with `prefix`, after `(key, id)`, without those that an earlier
/// branch has already shown.
pub(crate) async fn branch_page(
    db: &Db,
    scope: Scope,
    branch: Branch,
    earlier: &[Branch],
    prefix: &str,
    after: Option<(&str, &str)>,
    limit: u32,
) -> Result<Vec<(String, PatientSummary)>, DbError> {
    let column = branch.column();
    let from = match branch {
        Branch::Identifier => "patient_identifiers i JOIN patients p ON p.id = i.patient_id",
        _ => "patients p",
    };
    let org = match branch {
        Branch::Identifier => scope_sql(scope, "i.org_id"),
        _ => scope_sql(scope, "p.org_id"),
    };
    let mut sql = format!(
        "SELECT {column} AS match_key, p.id, p.name, p.name_latin, p.sex, p.birth_date, p.mrn FROM {from} \
         WHERE {org} AND {column} >= $1 AND {column} < $2"
    );
    for other in earlier {
        match other {
            Branch::Identifier => {}
            _ => sql.push_str(&format!(" AND ({c} IS NULL OR NOT ({c} >= $1 AND {c} < $2))", c = other.column())),
        }
    }
    let mut values: Vec<Value> = vec![prefix.into(), after_prefix(prefix).into()];
    if let Some((key, id)) = after {
        sql.push_str(&format!(" AND ({column} > $3 OR ({column} = $3 AND p.id > $4))"));
        values.extend([key.into(), id.into()]);
    }
    sql.push_str(&format!(" ORDER BY {column}, p.id LIMIT {limit}"));
    db.query(AssertSqlSafe(sql), &values).await?.iter().map(|row| Ok((row.get("match_key")?, summary(row)?))).collect()
}

/// The first text that does not start with `prefix` any more, in code point order.
fn after_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// The latest registrations.
pub(crate) async fn recent(
    db: &Db,
    scope: Scope,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<PatientSummary>, DbError> {
    let sql = format!(
        "SELECT {SUMMARY} FROM patients WHERE {} AND ($1 = '' OR id < $1) ORDER BY id DESC LIMIT {limit}",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![before.unwrap_or("")]).await?.iter().map(summary).collect()
}

pub(crate) async fn same_birth(
    db: &Db,
    scope: Scope,
    sound: &str,
    birth: Date,
) -> Result<Vec<PatientSummary>, DbError> {
    let sql = format!(
        "SELECT {SUMMARY} FROM patients WHERE birth_date = $1 AND sound = $2 AND {} ORDER BY id LIMIT 20",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![birth.to_string(), sound]).await?.iter().map(summary).collect()
}

pub(crate) async fn same_phone(db: &Db, scope: Scope, phone: &str) -> Result<Vec<PatientSummary>, DbError> {
    let sql = format!(
        "SELECT {SUMMARY} FROM patients WHERE phone = $1 AND {} ORDER BY id LIMIT 20",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![phone]).await?.iter().map(summary).collect()
}

/// Whoever has what was asked for, or `NotFound`.
pub(crate) fn found(patient: Option<Patient>) -> Result<Patient, PatientError> {
    patient.ok_or(PatientError::NotFound)
}
