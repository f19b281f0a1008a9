//! Finding studies, series and instances.

use crate::model::{InstanceRef, InstanceRow, SeriesRow, StudyRow};
use crate::query::{Condition, Field, Level, Pattern, Query, beyond};
use crate::record::hex;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Value, params, scope_sql};
use mingying_dicom::PersonName;
use mingying_kernel::{OrgId, Scope, Timestamp};

const STUDY: &str = "st.key AS st_key, st.study_uid AS st_uid, st.org_id AS st_org, st.campus_id AS st_campus, \
     st.department_id AS st_department, st.sensitivity AS st_sensitivity, st.patient_id AS st_patient_id, \
     st.patient_id_issuer AS st_issuer, st.patient_name AS st_name, st.birth_date AS st_birth, st.sex AS st_sex, \
     st.accession AS st_accession, st.study_id AS st_id, st.study_date AS st_date, st.study_time AS st_time, \
     st.description AS st_description, st.referring_physician AS st_referring, st.institution AS st_institution, \
     st.modalities AS st_modalities, st.series_count AS st_series, st.instance_count AS st_instances, \
     st.size AS st_size, st.source AS st_source, st.first_received_at AS st_first, st.last_received_at AS st_last";

const SERIES: &str = "se.key AS se_key, se.series_uid AS se_uid, se.number AS se_number, se.modality AS se_modality, \
     se.description AS se_description, se.body_part AS se_body_part, se.laterality AS se_laterality, \
     se.protocol AS se_protocol, se.station_name AS se_station, se.manufacturer AS se_manufacturer, \
     se.series_date AS se_date, se.series_time AS se_time, se.requested_procedure_id AS se_procedure, \
     se.scheduled_step_id AS se_step, se.instance_count AS se_instances";

pub(super) const INSTANCE: &str = "i.key AS i_key, i.sop_uid AS i_uid, i.sop_class AS i_class, i.transfer_syntax AS i_syntax, \
     i.number AS i_number, i.content_date AS i_date, i.content_time AS i_time, i.image_rows AS i_rows, \
     i.image_columns AS i_columns, i.bits_allocated AS i_bits, i.samples AS i_samples, i.frames AS i_frames, i.sha256, \
     i.pack, i.record_at, i.payload_at, i.size, i.head_len, i.header_end AS i_header_end, i.pixel_at AS i_pixel_at, \
     i.pixel_len AS i_pixel_len, i.received_at AS i_received, i.moved_to, i.moved_at, s.pack AS s_pack, \
     s.record_at AS s_record, s.payload_at AS s_payload, s.size AS s_size";

/// The instances below `studies st`, with their siblings.
const INSTANCES_BELOW: &str = " JOIN series se ON se.study_key = st.key JOIN instances i ON i.series_key = se.key \
     LEFT JOIN siblings s ON s.instance_key = i.key";

fn study(row: &Row) -> Result<StudyRow, DbError> {
    Ok(StudyRow {
        key: row.get("st_key")?,
        study_uid: row.get("st_uid")?,
        org_id: row.get("st_org")?,
        campus_id: row.get("st_campus")?,
        department_id: row.get("st_department")?,
        sensitivity: row.get("st_sensitivity")?,
        patient_id: row.get("st_patient_id")?,
        patient_id_issuer: row.get("st_issuer")?,
        patient_name: PersonName::parse(&row.get::<String>("st_name")?),
        birth_date: row.get("st_birth")?,
        sex: row.get("st_sex")?,
        accession: row.get("st_accession")?,
        study_id: row.get("st_id")?,
        study_date: row.get("st_date")?,
        study_time: row.get("st_time")?,
        description: row.get("st_description")?,
        referring_physician: PersonName::parse(&row.get::<String>("st_referring")?),
        institution: row.get("st_institution")?,
        modalities: row
            .get::<String>("st_modalities")?
            .split('\\')
            .filter(|m| !m.is_empty())
            .map(str::to_owned)
            .collect(),
        series: row.get("st_series")?,
        instances: row.get("st_instances")?,
        size: row.get("st_size")?,
        source: row.get("st_source")?,
        first_received_at: row.get("st_first")?,
        last_received_at: row.get("st_last")?,
    })
}

fn series(row: &Row) -> Result<SeriesRow, DbError> {
    Ok(SeriesRow {
        key: row.get("se_key")?,
        study: study(row)?,
        series_uid: row.get("se_uid")?,
        number: row.get("se_number")?,
        modality: row.get("se_modality")?,
        description: row.get("se_description")?,
        body_part: row.get("se_body_part")?,
        laterality: row.get("se_laterality")?,
        protocol: row.get("se_protocol")?,
        station_name: row.get("se_station")?,
        manufacturer: row.get("se_manufacturer")?,
        series_date: row.get("se_date")?,
        series_time: row.get("se_time")?,
        requested_procedure_id: row.get("se_procedure")?,
        scheduled_step_id: row.get("se_step")?,
        instances: row.get("se_instances")?,
    })
}

pub(super) fn instance(row: &Row) -> Result<InstanceRef, DbError> {
    let place = super::place(row)?;
    let pixel_at: i64 = row.get("i_pixel_at")?;
    Ok(InstanceRef {
        key: row.get("i_key")?,
        study_uid: row.get("st_uid")?,
        series_uid: row.get("se_uid")?,
        sop_uid: row.get("i_uid")?,
        sop_class: row.get("i_class")?,
        transfer_syntax: row.get("i_syntax")?,
        number: row.get("i_number")?,
        rows: row.get("i_rows")?,
        columns: row.get("i_columns")?,
        bits_allocated: row.get("i_bits")?,
        samples: row.get("i_samples")?,
        frames: row.get("i_frames")?,
        has_pixels: pixel_at > 0,
        size: row.get("size")?,
        head_len: row.get("head_len")?,
        header_end: row.get("i_header_end")?,
        pixel_at,
        pixel_len: row.get("i_pixel_len")?,
        sha256: hex(&place.sha256),
        received_at: row.get("i_received")?,
        location: place.location,
        sibling: super::sibling_place(row)?,
    })
}

const fn column(field: Field) -> &'static str {
    match field {
        Field::PatientId => "st.patient_id",
        Field::PatientIdIssuer => "st.patient_id_issuer",
        Field::BirthDate => "st.birth_date",
        Field::Sex => "st.sex",
        Field::Accession => "st.accession",
        Field::StudyId => "st.study_id",
        Field::StudyUid => "st.study_uid",
        Field::StudyDate => "st.study_date",
        Field::StudyTime => "st.study_time",
        Field::StudyDescription => "st.description",
        Field::ReferringPhysician => "st.referring_physician",
        Field::Institution => "st.institution",
        Field::SeriesUid => "se.series_uid",
        Field::SeriesNumber => "se.number",
        Field::Modality => "se.modality",
        Field::SeriesDescription => "se.description",
        Field::BodyPart => "se.body_part",
        Field::Laterality => "se.laterality",
        Field::Protocol => "se.protocol",
        Field::StationName => "se.station_name",
        Field::SeriesDate => "se.series_date",
        Field::SeriesTime => "se.series_time",
        Field::RequestedProcedureId => "se.requested_procedure_id",
        Field::ScheduledStepId => "se.scheduled_step_id",
        Field::SopUid => "i.sop_uid",
        Field::SopClass => "i.sop_class",
        Field::InstanceNumber => "i.number",
    }
}

/// A statement that grows with its parameters.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn bind_all(&mut self, values: &[String]) -> String {
        values.iter().map(|value| self.bind(value)).collect::<Vec<_>>().join(", ")
    }

    /// A pattern as conditions on a column: a range for what it begins with, LIKE for the rest.
    fn pattern(&mut self, column: &str, pattern: &Pattern) -> String {
        if let Some(exact) = pattern.exact() {
            return format!("{column} = {}", self.bind(exact));
        }
        let mut parts = Vec::new();
        let prefix = pattern.prefix();
        if !prefix.is_empty() {
            let (from, to) = (self.bind(prefix), self.bind(beyond(prefix)));
            parts.push(format!("{column} >= {from} AND {column} < {to}"));
        }
        if !pattern.is_prefix() {
            let like = self.bind(pattern.like());
            parts.push(format!("{column} LIKE {like} ESCAPE '\\'"));
        }
        parts.join(" AND ")
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::OneOf(field, values) => match &**values {
                [one] => format!("{} = {}", column(*field), self.bind(one)),
                several => format!("{} IN ({})", column(*field), self.bind_all(several)),
            },
            Condition::Number(field, number) => format!("{} = {}", column(*field), self.bind(*number)),
            // Not from its index: a beginning that many share is found sooner by walking.
            Condition::Wildcard(field @ (Field::PatientId | Field::Accession), pattern) => {
                self.pattern(&format!("({} || '')", column(*field)), pattern)
            }
            Condition::Wildcard(field, pattern) => self.pattern(column(*field), pattern),
            Condition::Range(field, from, to) => {
                let column = column(*field);
                let mut parts = vec![match from {
                    Some(from) => format!("{column} >= {}", self.bind(from)),
                    None => format!("{column} > ''"),
                }];
                if let Some(to) = to {
                    // A time up to 0830 includes 083059.
                    parts.push(format!("{column} < {}", self.bind(beyond(to))));
                }
                parts.join(" AND ")
            }
            Condition::Period { date, time, from, to } => {
                let (date, time) = (column(*date), column(*time));
                let mut parts = vec![format!("{date} > ''")];
                if let Some((day, at)) = from {
                    parts.push(format!("({date}, {time}) >= ({}, {})", self.bind(day), self.bind(at)));
                }
                if let Some((day, at)) = to {
                    let (last, at) = (self.bind(day), self.bind(beyond(at)));
                    parts.push(format!("({date}, {time}) < ({last}, {at})"));
                }
                parts.join(" AND ")
            }
            Condition::Name(groups) => {
                let terms = self.terms(groups);
                format!("EXISTS (SELECT 1 FROM study_names n WHERE n.study_key = st.key AND ({terms}) {ROW_BY_ROW})")
            }
            Condition::ModalitiesInStudy(modalities) => format!(
                "EXISTS (SELECT 1 FROM series m WHERE m.study_key = st.key AND m.modality IN ({}) {ROW_BY_ROW})",
                self.bind_all(modalities)
            ),
            Condition::Text(text) => {
                let (names, ids) = text_patterns(text);
                let terms = self.terms(&names);
                format!(
                    "EXISTS (SELECT 1 FROM study_names n WHERE n.study_key = st.key AND ({terms}) {ROW_BY_ROW}) \
                     OR {} OR {}",
                    self.pattern("st.patient_id", &ids),
                    self.pattern("st.accession", &ids)
                )
            }
        }
    }

    fn terms(&mut self, patterns: &[Pattern]) -> String {
        patterns.iter().map(|p| format!("({})", self.pattern("n.term", p))).collect::<Vec<_>>().join(" OR ")
    }

    /// The studies that match a condition, from an index of its own, at most `most` from each place; `None` for a
    /// condition that has no such index.
    fn listed(&mut self, condition: &Condition, most: i64) -> Option<String> {
        let places = match condition {
            Condition::Name(groups) => {
                vec![format!("SELECT n.study_key FROM study_names n WHERE {}", self.terms(groups))]
            }
            Condition::ModalitiesInStudy(modalities) => {
                vec![format!("SELECT m.study_key FROM series m WHERE m.modality IN ({})", self.bind_all(modalities))]
            }
            Condition::Wildcard(field @ (Field::PatientId | Field::Accession), pattern)
                if !pattern.prefix().is_empty() =>
            {
                let column = column(*field).replace("st.", "p.");
                vec![format!("SELECT p.key AS study_key FROM studies p WHERE {}", self.pattern(&column, pattern))]
            }
            Condition::Text(text) => {
                let (names, ids) = text_patterns(text);
                vec![
                    format!("SELECT n.study_key FROM study_names n WHERE {}", self.terms(&names)),
                    format!("SELECT p.key AS study_key FROM studies p WHERE {}", self.pattern("p.patient_id", &ids)),
                    format!("SELECT a.key AS study_key FROM studies a WHERE {}", self.pattern("a.accession", &ids)),
                ]
            }
            _ => return None,
        };
        let places: Vec<String> =
            places.iter().map(|sql| format!("SELECT l.study_key FROM ({sql} LIMIT {most}) AS l")).collect();
        Some(places.join(" UNION ALL "))
    }
}

/// What the search field means: the beginning of a name, or of an identifier.
fn text_patterns(text: &str) -> ([Pattern; 1], Pattern) {
    ([Pattern::beginning(&text.to_uppercase())], Pattern::beginning(text))
}

/// Keeps PostgreSQL from turning the subquery into a join: studies are walked in the order asked for, and the walk ends
/// when the page is full.
const ROW_BY_ROW: &str = "LIMIT 1 OFFSET 0";

/// A condition that matches no more studies than this is listed from its own index and sorted; one that matches more is
/// checked while the studies are walked newest first. With n studies the first costs about as much as its matches, the
/// second about n / matches: at a million studies they meet near here, at some ten milliseconds.
pub(crate) const FEW: i64 = 5000;

/// Which condition to list studies from; `None`: walk them.
async fn lead(db: &Db, query: &Query, few: i64) -> Result<Option<usize>, DbError> {
    let exact = |condition: &Condition| {
        use Field::{Accession, PatientId, SeriesUid, SopUid, StudyUid};
        matches!(condition, Condition::OneOf(PatientId | Accession | StudyUid | SeriesUid | SopUid, _))
    };
    if query.conditions.iter().any(exact) {
        return Ok(None);
    }
    for (position, condition) in query.conditions.iter().enumerate() {
        let mut statement = Statement { sql: String::new(), values: Vec::new() };
        let Some(listed) = statement.listed(condition, few + 1) else { continue };
        let row = db
            .query_one(AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM ({listed}) AS c")), &statement.values)
            .await?;
        if row.get::<i64>("n")? <= few {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

fn statement(query: &Query, scope: Scope, lead: Option<usize>) -> Statement {
    let mut statement = Statement { sql: String::new(), values: Vec::new() };
    let columns = match query.level {
        Level::Study => STUDY.to_owned(),
        Level::Series => format!("{STUDY}, {SERIES}"),
        Level::Instance => format!("{STUDY}, {SERIES}, {INSTANCE}"),
    };
    let listed = lead.and_then(|lead| query.conditions.get(lead)).and_then(|c| statement.listed(c, FEW + 1));
    let from = match (&listed, query.level) {
        // CROSS JOIN: SQLite keeps the order of the tables.
        (Some(listed), level) => {
            let below = match level {
                Level::Study => "",
                Level::Series => " JOIN series se ON se.study_key = st.key",
                Level::Instance => INSTANCES_BELOW,
            };
            format!("(SELECT DISTINCT c.study_key FROM ({listed}) AS c) AS found CROSS JOIN studies st{below}")
        }
        (None, Level::Study) => "studies st".to_owned(),
        (None, Level::Series) => "series se JOIN studies st ON st.key = se.study_key".to_owned(),
        (None, Level::Instance) => "instances i JOIN series se ON se.key = i.series_key \
             JOIN studies st ON st.key = i.study_key LEFT JOIN siblings s ON s.instance_key = i.key"
            .to_owned(),
    };
    let from = format!("SELECT {columns} FROM {from}");
    let mut conditions = vec![scope_sql(scope, "st.org_id")];
    if listed.is_some() {
        conditions.push("st.key = found.study_key".to_owned());
    }
    for (_, condition) in query.conditions.iter().enumerate().filter(|(position, _)| Some(*position) != lead) {
        let text = statement.condition(condition);
        conditions.push(format!("({text})"));
    }
    let key = match query.level {
        Level::Study => "st.key",
        Level::Series => "se.key",
        Level::Instance => "i.key",
    };
    if let Some(cursor) = &query.after {
        let at = statement.bind(cursor.key);
        conditions.push(if query.level == Level::Study {
            let (date, time) = (statement.bind(&cursor.date), statement.bind(&cursor.time));
            format!("(st.study_date, st.study_time, st.key) < ({date}, {time}, {at})")
        } else {
            format!("{key} > {at}")
        });
    }
    let order = match query.level {
        Level::Study => "st.study_date DESC, st.study_time DESC, st.key DESC",
        Level::Series | Level::Instance => key,
    };
    // One more than asked for tells whether there is a next page.
    let limit = statement.bind(i64::from(query.limit) + 1);
    let offset = statement.bind(i64::from(query.offset));
    statement.sql = format!("{from} WHERE {} ORDER BY {order} LIMIT {limit} OFFSET {offset}", conditions.join(" AND "));
    statement
}

async fn rows<T>(
    db: &Db,
    query: &Query,
    scope: Scope,
    read: impl Fn(&Row) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    let lead = lead(db, query, FEW).await?;
    let statement = statement(query, scope, lead);
    db.query(AssertSqlSafe(statement.sql), &statement.values).await?.iter().map(read).collect()
}

pub(crate) async fn find_studies(db: &Db, query: &Query, scope: Scope) -> Result<Vec<StudyRow>, DbError> {
    rows(db, query, scope, study).await
}

pub(crate) async fn find_series(db: &Db, query: &Query, scope: Scope) -> Result<Vec<SeriesRow>, DbError> {
    rows(db, query, scope, series).await
}

pub(crate) async fn find_instances(db: &Db, query: &Query, scope: Scope) -> Result<Vec<InstanceRow>, DbError> {
    rows(db, query, scope, |row| {
        Ok(InstanceRow {
            series: series(row)?,
            instance: instance(row)?,
            content_date: row.get("i_date")?,
            content_time: row.get("i_time")?,
        })
    })
    .await
}

/// How SQLite would run a query, for the test of query plans; `few` stands in for `FEW`.
pub(crate) async fn explain(db: &Db, query: &Query, few: i64) -> Result<Vec<String>, DbError> {
    let lead = lead(db, query, few).await?;
    let statement = statement(query, Scope::All, lead);
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    db.query(AssertSqlSafe(sql), &statement.values).await?.iter().map(|row| row.get("detail")).collect()
}

/// Restricts instances to a study, a series, one instance, as far as they are named.
fn within(statement: &mut Statement, scope: Scope, study_uid: &str, series: Option<&str>, sop: Option<&str>) -> String {
    let mut conditions = vec![scope_sql(scope, "st.org_id"), format!("st.study_uid = {}", statement.bind(study_uid))];
    if let Some(series) = series {
        conditions.push(format!("se.series_uid = {}", statement.bind(series)));
    }
    if let Some(sop) = sop {
        conditions.push(format!("i.sop_uid = {}", statement.bind(sop)));
    }
    conditions.join(" AND ")
}

pub(super) const INSTANCES: &str = "FROM studies st JOIN series se ON se.study_key = st.key \
     JOIN instances i ON i.series_key = se.key LEFT JOIN siblings s ON s.instance_key = i.key";

pub(crate) async fn instances_of(
    db: &Db,
    scope: Scope,
    study_uid: &str,
    series_uid: Option<&str>,
    sop_uid: Option<&str>,
) -> Result<Vec<InstanceRef>, DbError> {
    let mut statement = Statement { sql: String::new(), values: Vec::new() };
    let conditions = within(&mut statement, scope, study_uid, series_uid, sop_uid);
    let sql = format!(
        "SELECT st.study_uid AS st_uid, se.series_uid AS se_uid, {INSTANCE} {INSTANCES} WHERE {conditions} \
         ORDER BY se.number NULLS LAST, se.key, i.number NULLS LAST, i.key"
    );
    db.query(AssertSqlSafe(sql), &statement.values).await?.iter().map(instance).collect()
}

/// The instances of a series in no order, with the organization that owns them. `None` when there are more than
/// `most`, or nothing is there or visible.
pub(crate) async fn whole_series(
    db: &Db,
    scope: Scope,
    study_uid: &str,
    series_uid: &str,
    most: usize,
) -> Result<Option<(OrgId, Vec<InstanceRef>)>, DbError> {
    let mut statement = Statement { sql: String::new(), values: Vec::new() };
    let conditions = within(&mut statement, scope, study_uid, Some(series_uid), None);
    let limit = statement.bind(most as i64 + 1);
    let sql = format!(
        "SELECT st.org_id AS st_org, st.study_uid AS st_uid, se.series_uid AS se_uid, {INSTANCE} {INSTANCES} \
         WHERE {conditions} LIMIT {limit}"
    );
    let rows = db.query(AssertSqlSafe(sql), &statement.values).await?;
    let Some(first) = rows.first().filter(|_| rows.len() <= most) else { return Ok(None) };
    Ok(Some((first.get("st_org")?, rows.iter().map(instance).collect::<Result<_, _>>()?)))
}

/// Studies whose last image came after `after`, not after `until`; the oldest first, at most `limit`.
pub(crate) async fn received_between(
    db: &Db,
    scope: Scope,
    after: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<(String, Timestamp)>, DbError> {
    let sql = format!(
        "SELECT st.study_uid AS st_uid, st.last_received_at AS st_last FROM studies st \
         WHERE {} AND st.last_received_at > $1 AND st.last_received_at <= $2 ORDER BY st.last_received_at, st.key LIMIT $3",
        scope_sql(scope, "st.org_id")
    );
    let rows = db.query(AssertSqlSafe(sql), params![after, until, i64::from(limit)]).await?;
    rows.iter().map(|row| Ok((row.get("st_uid")?, row.get("st_last")?))).collect()
}
