use crate::{AnyReport, Author, Core, Heading, Link, ReportError, Stage, Text, Version};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{OrderId, ReportId, Scope};
use std::fmt::Write as _;

/// Serialises the making of one order's report: the low half of its UUID, which is random.
pub(crate) fn order_key(order: OrderId) -> i64 {
    order.uuid().as_u128() as i64
}

fn stage(row: &Row) -> Result<Stage, DbError> {
    Stage::parse(&row.get::<String>("stage")?).ok_or_else(|| DbError::Column("stage".to_owned()))
}

pub(crate) fn text(row: &Row) -> Result<Text, DbError> {
    Ok(Text { findings: row.get("findings")?, impression: row.get("impression")?, advice: row.get("advice")? })
}

const REPORT: &str = "r.id, r.order_id, r.org_id, r.patient_id, r.stage, r.rev, r.findings, r.impression, r.advice, \
     r.opinion, r.template, r.updated_at, r.updated_by, r.updated_by_name, r.initial_by, r.initial_by_name, r.last_n, r.last_hash";

fn report(row: &Row) -> Result<AnyReport, DbError> {
    let n: u32 = row.get("last_n")?;
    let initial_by: Option<String> = row.get("initial_by")?;
    let initial_by_name: Option<String> = row.get("initial_by_name")?;
    let core = Core {
        id: row.get("id")?,
        order: row.get("order_id")?,
        org: row.get("org_id")?,
        patient: row.get("patient_id")?,
        rev: row.get("rev")?,
        text: text(row)?,
        template: row.get("template")?,
        opinion: row.get("opinion")?,
        updated_at: row.get("updated_at")?,
        updated_by: Author { id: row.get("updated_by")?, name: row.get("updated_by_name")? },
        last: if n > 0 { Some(Link { n, hash: row.get("last_hash")? }) } else { None },
        initial_by: initial_by.map(|id| Author { id, name: initial_by_name.unwrap_or_default() }),
    };
    Ok(AnyReport::restore(stage(row)?, core))
}

pub(crate) async fn load(db: &Db, scope: Scope, id: ReportId) -> Result<Option<AnyReport>, DbError> {
    let sql = format!("SELECT {REPORT} FROM reports r WHERE r.id = $1 AND {}", scope_sql(scope, "r.org_id"));
    db.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(report).transpose()
}

/// Loads and holds: two writers of one report come one after the other.
pub(crate) async fn load_for_change(tx: &mut Tx, scope: Scope, id: ReportId) -> Result<Option<AnyReport>, DbError> {
    tx.lock(id.uuid().as_u128() as i64).await?;
    let sql = format!("SELECT {REPORT} FROM reports r WHERE r.id = $1 AND {}", scope_sql(scope, "r.org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(report).transpose()
}

pub(crate) async fn of_order(tx: &mut Tx, scope: Scope, order: OrderId) -> Result<Option<AnyReport>, DbError> {
    let sql = format!("SELECT {REPORT} FROM reports r WHERE r.order_id = $1 AND {}", scope_sql(scope, "r.org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![order]).await?.as_ref().map(report).transpose()
}

/// A new report; place and sensitivity are the order's.
pub(crate) async fn insert(tx: &mut Tx, core: &Core) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO reports (id, order_id, org_id, campus_id, department_id, sensitivity, patient_id, stage, rev, \
         findings, impression, advice, opinion, updated_at, updated_by, updated_by_name, initial_by, initial_by_name, \
         last_n, last_hash, created_at, created_by) \
         SELECT $1, o.id, o.org_id, o.campus_id, o.department_id, o.sensitivity, o.patient_id, 'new', $2, \
         '', '', '', NULL, $3, $4, $5, NULL, NULL, 0, '', $3, $4 FROM orders o WHERE o.id = $6",
        params![core.id, core.rev, core.updated_at, &core.updated_by.id, &core.updated_by.name, core.order],
    )
    .await?;
    Ok(())
}

/// Writes the row if it still has revision `rev`.
pub(crate) async fn update(tx: &mut Tx, stage: Stage, core: &Core, rev: i64) -> Result<(), ReportError> {
    let (n, hash) = core.last.as_ref().map_or((0, ""), |link| (link.n, link.hash.as_str()));
    let changed = tx
        .execute(
            "UPDATE reports SET stage = $1, rev = $2, findings = $3, impression = $4, advice = $5, opinion = $6, \
             updated_at = $7, updated_by = $8, updated_by_name = $9, initial_by = $10, initial_by_name = $11, \
             last_n = $12, last_hash = $13, template = $14 WHERE id = $15 AND rev = $16",
            params![
                stage.as_str(),
                core.rev,
                &core.text.findings,
                &core.text.impression,
                &core.text.advice,
                core.opinion.clone(),
                core.updated_at,
                &core.updated_by.id,
                &core.updated_by.name,
                core.initial_by.as_ref().map(|a| a.id.clone()),
                core.initial_by.as_ref().map(|a| a.name.clone()),
                n,
                hash,
                &core.template,
                core.id,
                rev
            ],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(ReportError::Stale { rev: core.rev }) }
}

const VERSION: &str = "report_id, n, stage, author_id, author_name, at, findings, impression, advice, opinion, signed, \
     override_reason, overridden, waiver, prev_hash, hash, template";

pub(crate) async fn insert_version(tx: &mut Tx, version: &Version) -> Result<(), DbError> {
    let overridden = serde_json::to_string(&version.overridden).map_err(|e| DbError::Column(e.to_string()))?;
    let sql = format!(
        "INSERT INTO report_versions ({VERSION}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    );
    tx.execute(
        AssertSqlSafe(sql),
        params![
            version.report,
            version.n,
            version.stage.as_str(),
            &version.author.id,
            &version.author.name,
            version.at,
            &version.text.findings,
            &version.text.impression,
            &version.text.advice,
            &version.opinion,
            version.signed,
            &version.override_reason,
            overridden,
            version.waiver,
            &version.prev_hash,
            &version.hash,
            &version.template
        ],
    )
    .await?;
    Ok(())
}

/// All versions of a report, oldest first. The caller has loaded the report in its scope.
pub(crate) async fn versions(db: &Db, report: ReportId) -> Result<Vec<Version>, DbError> {
    let sql = format!("SELECT {VERSION} FROM report_versions WHERE report_id = $1 ORDER BY n");
    db.query(AssertSqlSafe(sql), params![report])
        .await?
        .iter()
        .map(|row| {
            let overridden: String = row.get("overridden")?;
            Ok(Version {
                report: row.get("report_id")?,
                n: row.get("n")?,
                stage: stage(row)?,
                author: Author { id: row.get("author_id")?, name: row.get("author_name")? },
                at: row.get("at")?,
                text: text(row)?,
                template: row.get("template")?,
                opinion: row.get("opinion")?,
                signed: row.get("signed")?,
                override_reason: row.get("override_reason")?,
                overridden: serde_json::from_str(&overridden).map_err(|_| DbError::Column("overridden".to_owned()))?,
                waiver: row.get("waiver")?,
                prev_hash: row.get("prev_hash")?,
                hash: row.get("hash")?,
            })
        })
        .collect()
}

pub(crate) async fn headings(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Heading>, ReportError> {
    let mut found = Vec::new();
    for chunk in orders.chunks(200) {
        let mut marks = String::new();
        for i in 0..chunk.len() {
            let _ = write!(marks, "{}${}", if i == 0 { "" } else { ", " }, i + 1);
        }
        let sql = format!(
            "SELECT r.id, r.order_id, r.stage, r.impression AS working, \
             (SELECT v.impression FROM report_versions v WHERE v.report_id = r.id AND v.signed = 1 \
             ORDER BY v.n DESC LIMIT 1) AS signed_impression FROM reports r WHERE r.order_id IN ({marks}) AND {}",
            scope_sql(scope, "r.org_id")
        );
        let values: Vec<Value> = chunk.iter().map(Value::from).collect();
        for row in db.query(AssertSqlSafe(sql), &values).await? {
            let signed: Option<String> = row.get("signed_impression")?;
            found.push(Heading {
                id: row.get("id")?,
                order: row.get("order_id")?,
                stage: stage(&row)?,
                signed: signed.is_some(),
                impression: match signed {
                    Some(impression) => impression,
                    None => row.get("working")?,
                },
            });
        }
    }
    Ok(found)
}
