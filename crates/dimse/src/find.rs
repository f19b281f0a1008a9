//! C-FIND of the Query/Retrieve service (PS3.4 C.4.1).

use crate::command::{Command, Response};
use crate::dataset::{DataSet, Element, Encoding, Value};
use crate::negotiate::{Context, Root};
use crate::session::Session;
use crate::status;
use crate::ul::LinkError;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use mingying_archive::{ArchiveError, Attributes, InstanceRow, Level, Page, Query, ReadStudies, SeriesRow, StudyRow};
use mingying_kernel::{Coded, Permit};
use std::collections::HashSet;

/// Rows read from the index at a time; the response stream is as long as it has to be.
const PAGE: u32 = 500;
/// Patients told apart in one PATIENT level query; beyond it the query is too broad to answer.
const MAX_PATIENTS: usize = 100_000;

/// The level of a request, with the PATIENT level of the Patient Root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryLevel {
    Patient,
    Archive(Level),
}

impl QueryLevel {
    /// From Query/Retrieve Level (0008,0052); `None` when the information model has no such level.
    pub(crate) fn of(identifier: &DataSet, root: Root) -> Option<Self> {
        match identifier.text(tags::QUERY_RETRIEVE_LEVEL) {
            "PATIENT" if root == Root::Patient => Some(Self::Patient),
            "STUDY" => Some(Self::Archive(Level::Study)),
            "SERIES" => Some(Self::Archive(Level::Series)),
            "IMAGE" => Some(Self::Archive(Level::Instance)),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Archive(Level::Study) => "STUDY",
            Self::Archive(Level::Series) => "SERIES",
            Self::Archive(Level::Instance) => "IMAGE",
        }
    }

    /// The level whose rows answer.
    fn rows(self) -> Level {
        match self {
            Self::Patient => Level::Study,
            Self::Archive(level) => level,
        }
    }

    /// Unique keys are returned whether asked for or not (PS3.4 C.4.1.3.1.1).
    fn unique(self) -> &'static [Tag] {
        const KEYS: [Tag; 3] = [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID];
        match self {
            Self::Patient => &[tags::PATIENT_ID],
            Self::Archive(Level::Study) => KEYS.get(..1).unwrap_or_default(),
            Self::Archive(Level::Series) => KEYS.get(..2).unwrap_or_default(),
            Self::Archive(Level::Instance) => &KEYS,
        }
    }
}

/// The matching keys of an identifier as the archive takes them.
pub(crate) fn keys(identifier: &DataSet) -> Vec<(Tag, String)> {
    identifier
        .iter()
        .filter(|(tag, _)| !is_control(**tag))
        .filter_map(|(tag, element)| match &element.value {
            Value::Text(text) => Some((*tag, text.clone())),
            _ => None,
        })
        .collect()
}

/// Elements of an identifier that say how to query, not what.
fn is_control(tag: Tag) -> bool {
    matches!(tag, tags::QUERY_RETRIEVE_LEVEL | tags::SPECIFIC_CHARACTER_SET | tags::RETRIEVE_AE_TITLE)
        || tag == tags::TIMEZONE_OFFSET_FROM_UTC
        || tag.1 == 0
}

/// What of `have` was asked for; what was asked for and is not there comes back empty (PS3.4 C.4.1.1.3.2).
pub(crate) fn asked(identifier: &DataSet, have: &DataSet) -> DataSet {
    let mut out = DataSet::default();
    for (tag, key) in identifier.iter() {
        if tag.1 == 0 {
            continue;
        }
        let vr = have.get(*tag).map_or(key.vr, |element| element.vr);
        let value = match (&key.value, have.get(*tag)) {
            (Value::Items(wanted), Some(Element { value: Value::Items(items), .. })) => {
                Value::Items(match wanted.first() {
                    Some(wanted) if wanted.iter().next().is_some() => {
                        items.iter().map(|item| asked(wanted, item)).collect()
                    }
                    // Neither an item nor keys in it: all of it.
                    _ => items.clone(),
                })
            }
            (Value::Items(_), _) => Value::Items(Vec::new()),
            (_, Some(element)) => element.value.clone(),
            (_, None) => Value::Text(String::new()),
        };
        out.put(*tag, vr, value);
    }
    out
}

/// One page of rows as data sets.
async fn page(
    session: &Session<'_>,
    permit: &Permit<ReadStudies>,
    level: Level,
    query: &Query,
) -> Result<(Vec<DataSet>, Option<String>), ArchiveError> {
    fn sets<T: Attributes>(page: Page<T>) -> (Vec<DataSet>, Option<String>) {
        (page.items.iter().map(|row| DataSet::from_object(&row.attributes())).collect(), page.next)
    }
    let archive = &session.shared.archive;
    Ok(match level {
        Level::Study => sets::<StudyRow>(archive.find_studies(permit, query).await?),
        Level::Series => sets::<SeriesRow>(archive.find_series(permit, query).await?),
        Level::Instance => sets::<InstanceRow>(archive.find_instances(permit, query).await?),
    })
}

/// Figures of a patient, which are worked out only where they are asked for.
const COUNTS: [Tag; 3] = [
    tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
    tags::NUMBER_OF_PATIENT_RELATED_SERIES,
    tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
];

/// Adds how many studies, series and instances the patient of a row has.
async fn count_patient(
    session: &Session<'_>,
    permit: &Permit<ReadStudies>,
    row: &mut DataSet,
) -> Result<(), ArchiveError> {
    let key = |tag| (tag, row.text(tag).to_owned());
    let mut totals = [0; 3];
    // A patient ID with a wildcard in it would be a pattern here.
    if !row.text(tags::PATIENT_ID).is_empty() && !row.text(tags::PATIENT_ID).contains(['*', '?']) {
        let keys = [key(tags::PATIENT_ID), key(tags::ISSUER_OF_PATIENT_ID)];
        let query = Query::from_attributes(Level::Study, &keys)?;
        let mut after: Option<String> = None;
        loop {
            let query = match &after {
                Some(cursor) => query.clone().after(cursor)?,
                None => query.clone(),
            };
            let found = session.shared.archive.find_studies(permit, &query).await?;
            for study in &found.items {
                for (total, more) in totals.iter_mut().zip([1, study.series, study.instances]) {
                    *total += more;
                }
            }
            after = found.next;
            if after.is_none() {
                break;
            }
        }
    }
    for (tag, total) in COUNTS.into_iter().zip(totals) {
        row.put_text(tag, if total == 0 { String::new() } else { total.to_string() });
    }
    Ok(())
}

pub(crate) async fn answer(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: &Command,
    root: Root,
    identifier: Option<DataSet>,
) -> Result<(), LinkError> {
    let outcome = run(session, context, accepted, request, root, identifier).await?;
    let (status, comment) = outcome.unwrap_or_else(|refusal| refusal);
    let mut response = Response::to(request, status);
    response.comment = comment;
    session.respond(context, &response, None).await
}

type Final = (u16, &'static str);

/// Sends the matches; what it returns is the last status, either way.
async fn run(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: &Command,
    root: Root,
    identifier: Option<DataSet>,
) -> Result<Result<Final, Final>, LinkError> {
    let Some(identifier) = identifier else {
        return Ok(Err((status::CANNOT_UNDERSTAND, "dimse.identifier")));
    };
    let Some(level) = QueryLevel::of(&identifier, root) else {
        return Ok(Err((status::DOES_NOT_MATCH, "dimse.level")));
    };
    let permit = match session.permit::<ReadStudies>() {
        Ok(permit) => permit,
        Err(status) => return Ok(Err((status, "dimse.not_authorized"))),
    };
    let refusal = |error: &ArchiveError| (status::of_find(error), error.code());
    let query = match Query::matching(level.rows(), &keys(&identifier), accepted.matching) {
        Ok(query) => query.limit(PAGE),
        Err(error) => return Ok(Err(refusal(&error))),
    };
    // That a query was made is audited, not what it asked for: keys are patient data.
    if let Err(error) = mingying_access::audit_read(&session.shared.db, &permit, "query", level.as_str()).await {
        tracing::warn!(%error, "a query is not audited");
        return Ok(Err((status::OUT_OF_RESOURCES, error.code())));
    }
    let encoding = Encoding::of(&accepted.transfer_syntax).unwrap_or(Encoding::ImplicitLittle);
    let charset = session.caller.charset.clone();
    let mut patients = HashSet::new();
    let mut after: Option<String> = None;
    loop {
        let next = match &after {
            Some(cursor) => query.clone().after(cursor),
            None => Ok(query.clone()),
        };
        let rows = match next {
            Ok(query) => page(session, &permit, level.rows(), &query).await,
            Err(error) => Err(error),
        };
        let (rows, cursor) = match rows {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "C-FIND");
                return Ok(Err(refusal(&error)));
            }
        };
        for row in rows {
            if level == QueryLevel::Patient
                && !patients
                    .insert((row.text(tags::PATIENT_ID).to_owned(), row.text(tags::ISSUER_OF_PATIENT_ID).to_owned()))
            {
                continue;
            }
            if patients.len() > MAX_PATIENTS {
                return Ok(Err((status::OUT_OF_RESOURCES, "dimse.too_broad")));
            }
            if session.cancelled(request).await? {
                return Ok(Ok((status::CANCEL, "")));
            }
            let mut row = row;
            if COUNTS.iter().any(|tag| identifier.get(*tag).is_some())
                && let Err(error) = count_patient(session, &permit, &mut row).await
            {
                tracing::warn!(code = error.code(), %error, "C-FIND");
                return Ok(Err(refusal(&error)));
            }
            let mut out = asked(&identifier, &row);
            for tag in level.unique() {
                out.put_text(*tag, row.text(*tag));
            }
            out.put_text(tags::QUERY_RETRIEVE_LEVEL, level.as_str());
            out.put_text(tags::SPECIFIC_CHARACTER_SET, charset.value());
            out.put_text(tags::RETRIEVE_AE_TITLE, session.shared.settings.ae_title.as_str());
            if identifier.get(tags::INSTANCE_AVAILABILITY).is_some() {
                out.put_text(tags::INSTANCE_AVAILABILITY, "ONLINE");
            }
            let mut response = Response::to(request, status::PENDING);
            response.has_data = true;
            session.respond(context, &response, Some(&out.encode(encoding, &charset))).await?;
        }
        match cursor {
            Some(cursor) => after = Some(cursor),
            None => return Ok(Ok((status::SUCCESS, ""))),
        }
    }
}
