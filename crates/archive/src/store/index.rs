//! Objects into rows. Live ingest and replay use the same function.

use super::known::{Known, again, ingested, known_row, known_sql, quarantine};
use super::{Keys, lists, places};
use crate::describe::Described;
use crate::header::Defect;
use crate::model::Ingested;
use crate::names::search_terms;
use crate::record::{Arrived, Place};
use mingying_db::{AssertSqlSafe, DbError, Row, Statements, Tx, Value, params};
use mingying_kernel::{OrgId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Held while the index is written: with several processes on one database, one at a time.
pub(super) const INDEX_LOCK: i64 = 0x6172_6368;

/// What became of one object.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Stored(Ingested),
    /// `fresh` is false when the row was there already.
    Quarantined {
        key: i64,
        defect: Defect,
        fresh: bool,
    },
}

/// A study as events need it.
#[derive(Debug, Clone)]
pub(crate) struct StudyBrief {
    pub key: i64,
    pub study_uid: String,
    pub org: OrgId,
    pub accession: String,
    pub patient_id: String,
    pub patient_id_issuer: String,
    pub instances: i64,
}

struct StudyState {
    brief: StudyBrief,
    modalities: BTreeSet<String>,
    created: bool,
    added: i64,
    added_series: i64,
    added_size: i64,
    last_received: Timestamp,
}

struct SeriesState {
    key: i64,
    modality: String,
    requested_procedure_id: String,
    scheduled_step_id: String,
    added: i64,
}

/// A series that got instances.
#[derive(Debug, Clone)]
pub(crate) struct GrownSeries {
    pub series_uid: String,
    pub modality: String,
    pub requested_procedure_id: String,
    pub scheduled_step_id: String,
}

/// What one call changed, for events.
#[derive(Default)]
pub(crate) struct Changes {
    /// One per object, in order.
    pub outcomes: Vec<Outcome>,
    /// Objects that were kept beside the one that is served, by index.
    pub conflicts: Vec<usize>,
    /// Studies that were made, with the index of the object that made them.
    pub created: Vec<(StudyBrief, usize)>,
    /// New instances: study, series, index of the object.
    pub stored: Vec<(i64, GrownSeries, usize)>,
    /// Studies that got instances, with their numbers after the change.
    pub grown: HashMap<i64, StudyBrief>,
}

/// Puts objects into the index. Idempotent: an object that is there already changes nothing.
pub(crate) async fn index(tx: &mut Tx, keys: &mut Keys, items: &[Arrived]) -> Result<Changes, DbError> {
    tx.lock(INDEX_LOCK).await?;
    let described: Vec<&Described> = items.iter().filter_map(|item| item.what.as_ref().ok()).collect();
    let There { mut known, mut studies, mut series } = there(tx, &described).await?;
    let mut changes = Changes::default();
    let mut writes = Statements::default();
    for (position, item) in items.iter().enumerate() {
        if item.what.as_ref().is_ok_and(|d| known.contains_key(&d.sop_uid)) {
            // What is kept aside refers to rows that may still wait.
            tx.run(std::mem::take(&mut writes)).await?;
        }
        let outcome = match &item.what {
            Err(defect) => quarantine(tx, keys, item, *defect, "", "").await?,
            Ok(d) => match known.get(&d.sop_uid) {
                Some(found) if found.study_uid != d.study_uid => {
                    quarantine(tx, keys, item, Defect::OtherStudy, &d.sop_uid, &d.study_uid).await?
                }
                Some(found) => {
                    let (outcome, kept) = again(tx, keys, item, d, found).await?;
                    if kept {
                        changes.conflicts.push(position);
                    }
                    outcome
                }
                None => {
                    let into = &mut writes;
                    let stored =
                        store_new(tx, keys, into, item, d, &mut studies, &mut series, &mut changes, position).await?;
                    known.insert(d.sop_uid.clone(), stored);
                    let stored = known.get(&d.sop_uid).map(|k| ingested(&d.sop_uid, k, false, false));
                    Outcome::Stored(stored.ok_or(DbError::NotFound)?)
                }
            },
        };
        changes.outcomes.push(outcome);
    }
    write_counts(&mut writes, studies, &series, &mut changes);
    tx.run(writes).await?;
    Ok(changes)
}

/// What the index has of objects that arrived: one trip.
struct There {
    known: HashMap<String, Known>,
    studies: HashMap<String, StudyState>,
    series: SeriesMap,
}

async fn there(tx: &mut Tx, described: &[&Described]) -> Result<There, DbError> {
    let distinct = |of: fn(&Described) -> &str| {
        let mut uids: Vec<&str> = described.iter().map(|d| of(d)).collect();
        uids.sort_unstable();
        uids.dedup();
        uids
    };
    let mut statements = Statements::default();
    let mut ask = |uids: Vec<&str>, sql: fn(usize) -> String| {
        let mut asked = 0;
        for list in lists(&uids) {
            let values: Vec<Value> = list.iter().map(|uid| Value::from(*uid)).collect();
            statements.push(AssertSqlSafe(sql(list.len())), &values);
            asked += 1;
        }
        asked
    };
    let instances = ask(distinct(|d| &d.sop_uid), known_sql);
    let studies = ask(distinct(|d| &d.study_uid), studies_sql);
    ask(distinct(|d| &d.series_uid), series_sql);
    let mut there = There { known: HashMap::new(), studies: HashMap::new(), series: SeriesMap::new() };
    for (position, rows) in tx.run(statements).await?.iter().enumerate() {
        for row in rows {
            if position < instances {
                let (uid, found) = known_row(row)?;
                there.known.insert(uid, found);
            } else if position < instances + studies {
                let state = study_state(row)?;
                there.studies.insert(state.brief.study_uid.clone(), state);
            } else {
                there.series.insert((row.get("study_key")?, row.get("series_uid")?), series_state(row)?);
            }
        }
    }
    Ok(there)
}

fn studies_sql(n: usize) -> String {
    format!(
        "SELECT key, study_uid, org_id, accession, patient_id, patient_id_issuer, modalities, instance_count, \
         last_received_at FROM studies WHERE study_uid IN ({})",
        places(1, n)
    )
}

fn study_state(row: &Row) -> Result<StudyState, DbError> {
    let modalities: String = row.get("modalities")?;
    Ok(StudyState {
        modalities: modalities.split('\\').filter(|m| !m.is_empty()).map(str::to_owned).collect(),
        created: false,
        added: 0,
        added_series: 0,
        added_size: 0,
        last_received: row.get("last_received_at")?,
        brief: brief(row)?,
    })
}

pub(super) fn brief(row: &Row) -> Result<StudyBrief, DbError> {
    Ok(StudyBrief {
        key: row.get("key")?,
        study_uid: row.get("study_uid")?,
        org: row.get("org_id")?,
        accession: row.get("accession")?,
        patient_id: row.get("patient_id")?,
        patient_id_issuer: row.get("patient_id_issuer")?,
        instances: row.get("instance_count")?,
    })
}

/// Series by study key and UID: a UID alone is not trusted to be unique.
type SeriesMap = BTreeMap<(i64, String), SeriesState>;

fn series_sql(n: usize) -> String {
    format!(
        "SELECT key, study_key, series_uid, modality, requested_procedure_id, scheduled_step_id FROM series \
         WHERE series_uid IN ({})",
        places(1, n)
    )
}

fn series_state(row: &Row) -> Result<SeriesState, DbError> {
    Ok(SeriesState {
        key: row.get("key")?,
        modality: row.get("modality")?,
        requested_procedure_id: row.get("requested_procedure_id")?,
        scheduled_step_id: row.get("scheduled_step_id")?,
        added: 0,
    })
}

#[allow(clippy::too_many_arguments)]
async fn store_new(
    tx: &mut Tx,
    keys: &mut Keys,
    writes: &mut Statements,
    item: &Arrived,
    d: &Described,
    studies: &mut HashMap<String, StudyState>,
    series: &mut SeriesMap,
    changes: &mut Changes,
    position: usize,
) -> Result<Known, DbError> {
    if !studies.contains_key(&d.study_uid) {
        let made = insert_study(writes, keys.take(tx).await?, item, d);
        studies.insert(d.study_uid.clone(), made);
        if let Some(study) = studies.get(&d.study_uid) {
            changes.created.push((study.brief.clone(), position));
        }
    }
    let study = studies.get_mut(&d.study_uid).ok_or(DbError::NotFound)?;
    let study_key = study.brief.key;
    let name = (study_key, d.series_uid.clone());
    if !series.contains_key(&name) {
        let made = insert_series(writes, keys.take(tx).await?, d, study_key);
        study.added_series += 1;
        if !d.modality.is_empty() {
            study.modalities.insert(d.modality.clone());
        }
        series.insert(name.clone(), made);
    }
    let state = series.get_mut(&name).ok_or(DbError::NotFound)?;
    let key = keys.take(tx).await?;
    insert_instance(writes, key, study_key, state.key, item, d);
    state.added += 1;
    study.added += 1;
    study.added_size += item.place.location.len as i64;
    study.last_received = study.last_received.max(item.meta.received_at);
    let grown = GrownSeries {
        series_uid: d.series_uid.clone(),
        modality: state.modality.clone(),
        requested_procedure_id: state.requested_procedure_id.clone(),
        scheduled_step_id: state.scheduled_step_id.clone(),
    };
    changes.stored.push((study_key, grown, position));
    Ok(Known {
        key,
        study_uid: d.study_uid.clone(),
        series_uid: d.series_uid.clone(),
        sop_class: d.sop_class.clone(),
        place: item.place,
    })
}

fn insert_study(writes: &mut Statements, key: i64, item: &Arrived, d: &Described) -> StudyState {
    let owner = &item.meta.owner;
    writes.push(
        "INSERT INTO studies (key, study_uid, org_id, campus_id, department_id, sensitivity, patient_id, \
         patient_id_issuer, patient_name, name_alphabetic, name_ideographic, name_phonetic, birth_date, sex, accession, \
         study_id, study_date, study_time, description, referring_physician, institution, modalities, series_count, \
         instance_count, size, source, first_received_at, last_received_at, announced) \
         VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, '', 0, \
         0, 0, $21, $22, $22, 0)",
        params![
            key,
            &d.study_uid,
            owner.org,
            &owner.campus,
            &owner.department,
            &d.patient_id,
            &d.patient_id_issuer,
            d.patient_name.to_string(),
            d.patient_name.alphabetic.to_string(),
            d.patient_name.ideographic.to_string(),
            d.patient_name.phonetic.to_string(),
            &d.birth_date,
            &d.sex,
            &d.accession,
            &d.study_id,
            &d.study_date,
            &d.study_time,
            &d.study_description,
            d.referring_physician.to_string(),
            &d.institution,
            &item.meta.source,
            item.meta.received_at
        ],
    );
    for term in search_terms(&d.patient_name) {
        writes.push("INSERT INTO study_names (term, study_key) VALUES ($1, $2)", params![term, key]);
    }
    StudyState {
        brief: StudyBrief {
            key,
            study_uid: d.study_uid.clone(),
            org: owner.org,
            accession: d.accession.clone(),
            patient_id: d.patient_id.clone(),
            patient_id_issuer: d.patient_id_issuer.clone(),
            instances: 0,
        },
        modalities: BTreeSet::new(),
        created: true,
        added: 0,
        added_series: 0,
        added_size: 0,
        last_received: item.meta.received_at,
    }
}

fn insert_series(writes: &mut Statements, key: i64, d: &Described, study_key: i64) -> SeriesState {
    writes.push(
        "INSERT INTO series (key, study_key, series_uid, number, modality, description, body_part, laterality, protocol, \
         station_name, manufacturer, series_date, series_time, requested_procedure_id, scheduled_step_id, \
         instance_count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0)",
        params![
            key,
            study_key,
            &d.series_uid,
            d.series_number,
            &d.modality,
            &d.series_description,
            &d.body_part,
            &d.laterality,
            &d.protocol,
            &d.station_name,
            &d.manufacturer,
            &d.series_date,
            &d.series_time,
            &d.requested_procedure_id,
            &d.scheduled_step_id
        ],
    );
    SeriesState {
        key,
        modality: d.modality.clone(),
        requested_procedure_id: d.requested_procedure_id.clone(),
        scheduled_step_id: d.scheduled_step_id.clone(),
        added: 0,
    }
}

fn insert_instance(writes: &mut Statements, key: i64, study_key: i64, series_key: i64, item: &Arrived, d: &Described) {
    let Place { address, location, head_len, sha256 } = item.place;
    // The row tells places in the whole file, the description in the data set.
    let in_file = |offset: u64| if offset == 0 { 0 } else { head_len + offset };
    writes.push(
        "INSERT INTO instances (key, study_key, series_key, sop_uid, sop_class, transfer_syntax, number, content_date, \
         content_time, image_rows, image_columns, bits_allocated, samples, frames, sha256, pack, record_at, payload_at, \
         size, head_len, header_end, pixel_at, pixel_len, received_at, source, moved_to, moved_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23, $24, $25, $26, $27)",
        params![
            key,
            study_key,
            series_key,
            &d.sop_uid,
            &d.sop_class,
            &d.transfer_syntax,
            d.instance_number,
            &d.content_date,
            &d.content_time,
            d.rows,
            d.columns,
            d.bits_allocated,
            d.samples,
            d.frames,
            sha256.as_slice(),
            address.pack,
            address.record,
            location.at,
            location.len,
            head_len,
            head_len + d.header_end,
            in_file(d.pixel_at),
            d.pixel_len,
            item.meta.received_at,
            &item.meta.source,
            item.place.moved().0,
            item.place.moved().1
        ],
    );
    if let Some(frames) = &d.frame_index {
        writes.push("INSERT INTO frame_indexes (instance_key, body) VALUES ($1, $2)", params![key, frames.to_bytes()]);
    }
}

fn write_counts(
    writes: &mut Statements,
    studies: HashMap<String, StudyState>,
    series: &SeriesMap,
    changes: &mut Changes,
) {
    for state in series.values().filter(|state| state.added > 0) {
        writes.push(
            "UPDATE series SET instance_count = instance_count + $1 WHERE key = $2",
            params![state.added, state.key],
        );
    }
    for mut study in studies.into_values().filter(|study| study.added > 0 || study.created) {
        let modalities: Vec<&str> = study.modalities.iter().map(String::as_str).collect();
        writes.push(
            "UPDATE studies SET instance_count = instance_count + $1, series_count = series_count + $2, \
             size = size + $3, modalities = $4, last_received_at = $5 WHERE key = $6",
            params![
                study.added,
                study.added_series,
                study.added_size,
                modalities.join("\\"),
                study.last_received,
                study.brief.key
            ],
        );
        study.brief.instances += study.added;
        changes.grown.insert(study.brief.key, study.brief);
    }
}
