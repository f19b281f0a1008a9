//! Modality Worklist (PS3.4 annex K): what a modality is to perform, from the scheduled steps of `exam`.

use crate::command::{Command, Response};
use crate::dataset::{DataSet, Encoding};
use crate::find::asked;
use crate::matching;
use crate::negotiate::Context;
use crate::session::Session;
use crate::status;
use crate::ul::LinkError;
use dicom_dictionary_std::tags;
use jiff::civil::{Date, DateTime, Time};
use mingying_dicom::PersonName;
use mingying_exam::{QueryWorklist, WorklistCode, WorklistItem, WorklistQuery};
use mingying_kernel::Coded;

/// Items of one answer; a modality asks for a day of one station.
const MAX_ITEMS: usize = 1000;
/// Items that are looked at for it.
const MAX_LOOKED_AT: u32 = 5000;
/// Coding scheme of the catalogue's own codes (PS3.16 8.2: private schemes begin with 99).
const CODING_SCHEME: &str = "99MINGYING";

pub(crate) async fn answer(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: &Command,
    identifier: Option<DataSet>,
) -> Result<(), LinkError> {
    let (identifier, items) = match matches(session, identifier).await {
        Ok(found) => found,
        Err((status, comment)) => {
            let mut response = Response::to(request, status);
            response.comment = comment;
            return session.respond(context, &response, None).await;
        }
    };
    let encoding = Encoding::of(&accepted.transfer_syntax).unwrap_or(Encoding::ImplicitLittle);
    let charset = session.caller.charset.clone();
    for item in items {
        if session.cancelled(request).await? {
            return session.respond(context, &Response::to(request, status::CANCEL), None).await;
        }
        let mut out = asked(&identifier, &data_set(&item));
        out.put_text(tags::SPECIFIC_CHARACTER_SET, charset.value());
        let mut response = Response::to(request, status::PENDING);
        response.has_data = true;
        session.respond(context, &response, Some(&out.encode(encoding, &charset))).await?;
    }
    session.respond(context, &Response::to(request, status::SUCCESS), None).await
}

async fn matches(
    session: &Session<'_>,
    identifier: Option<DataSet>,
) -> Result<(DataSet, Vec<WorklistItem>), (u16, &'static str)> {
    let identifier = identifier.ok_or((status::CANNOT_UNDERSTAND, "dimse.identifier"))?;
    let permit = session.permit::<QueryWorklist>().map_err(|status| (status, "dimse.not_authorized"))?;
    let keys = Keys::read(&identifier).ok_or((status::DOES_NOT_MATCH, "dimse.date"))?;
    // Who asked is audited, not what for: keys are patient data.
    mingying_access::audit_read(&session.shared.db, &permit, "worklist", &session.caller.aet).await.map_err(
        |error| {
            tracing::warn!(%error, "a worklist query is not audited");
            (status::OUT_OF_RESOURCES, error.code())
        },
    )?;
    let mut found = mingying_exam::query_worklist(&session.shared.db, &permit, &keys.query).await.map_err(|error| {
        tracing::warn!(code = error.code(), %error, "worklist query");
        (status::of_find(&error), error.code())
    })?;
    found.retain(|item| matching::matches(&keys.rest, &data_set(item)));
    found.truncate(MAX_ITEMS);
    Ok((identifier, found))
}

/// First and last; an open end is `None`.
type Range<T> = (Option<T>, Option<T>);

/// The matching keys of an identifier.
#[derive(Debug)]
struct Keys {
    /// What the database narrows down to.
    query: WorklistQuery,
    /// What is matched on each item.
    rest: DataSet,
}

impl Keys {
    /// `None` when a date or time is not one.
    fn read(identifier: &DataSet) -> Option<Self> {
        let empty = DataSet::default();
        let step = identifier.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first().unwrap_or(&empty);
        let some = |set: &DataSet, tag| Some(set.text(tag).to_owned()).filter(|text| !text.is_empty());
        let single = |set: &DataSet, tag| some(set, tag).filter(|text| !text.contains(['*', '?', '\\']));
        let (day, clock) = (
            step.text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
            step.text(tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
        );
        let (first, last) = range(day, date)?;
        let (begin, end) = range(clock, time)?;
        let mut rest = identifier.clone();
        // A range of dates and one of times together are one period (PS3.4 table K.6-1); else each is matched by itself.
        let is_period = day.contains('-') && clock.contains('-');
        let (begin, end) = if is_period { (begin, end) } else { (None, None) };
        if is_period && let Some(step) = rest.first_item_mut(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE) {
            step.remove(tags::SCHEDULED_PROCEDURE_STEP_START_TIME);
        }
        let query = WorklistQuery {
            station_aet: single(step, tags::SCHEDULED_STATION_AE_TITLE),
            modality: single(step, tags::MODALITY),
            from: first.map(|day| day.to_datetime(begin.unwrap_or(Time::MIN))),
            to: last.map(|day| day.to_datetime(end.unwrap_or(Time::MAX))),
            patient_name: some(identifier, tags::PATIENT_NAME),
            patient_id: some(identifier, tags::PATIENT_ID).filter(|id| !id.contains('\\')),
            accession: single(identifier, tags::ACCESSION_NUMBER),
            study_uid: single(identifier, tags::STUDY_INSTANCE_UID),
            sps_id: single(step, tags::SCHEDULED_PROCEDURE_STEP_ID),
            procedure_id: single(identifier, tags::REQUESTED_PROCEDURE_ID),
            limit: Some(MAX_LOOKED_AT),
        };
        Some(Self { query, rest })
    }
}

/// `A`, `A-B`, `A-`, `-B`, or empty for all (PS3.4 C.2.2.2.5); `None` for a value that is neither.
fn range<T>(text: &str, parse: impl Fn(&str) -> Option<(T, T)>) -> Option<Range<T>> {
    if text.is_empty() || text == "*" {
        return Some((None, None));
    }
    let Some((first, last)) = text.split_once('-') else {
        let (first, last) = parse(text)?;
        return Some((Some(first), Some(last)));
    };
    let end = |text: &str| match text.trim() {
        "" => Some(None),
        text => parse(text).map(Some),
    };
    Some((end(first)?.map(|(first, _)| first), end(last)?.map(|(_, last)| last)))
}

/// A DA value, as the first and last day that it stands for; the old form with dots is read too.
pub(crate) fn date(text: &str) -> Option<(Date, Date)> {
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |range| digits.get(range).and_then(|t: &str| t.parse::<i16>().ok());
    let day = Date::new(part(0..4)?, part(4..6)?.try_into().ok()?, part(6..8)?.try_into().ok()?).ok()?;
    Some((day, day))
}

/// A TM value (`HH`, `HHMM`, `HHMMSS`, with fraction), as the first and last instant that it stands for.
pub(crate) fn time(text: &str) -> Option<(Time, Time)> {
    let plain: String = text.chars().filter(|c| *c != ':').collect();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole.len(), 2 | 4 | 6) || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let part = |at: usize, otherwise: i8| match whole.get(at..at + 2) {
        // A leap second is the last instant of its minute here.
        Some(text) => text.parse::<i8>().ok().map(|v| if at == 4 { v.min(59) } else { v }),
        None => Some(otherwise),
    };
    let nanos = |pad: &str| format!("{fraction}{}", pad.repeat(9 - fraction.len())).parse::<i32>().ok();
    let first = Time::new(part(0, 0)?, part(2, 0)?, part(4, 0)?, nanos("0")?).ok()?;
    let last = Time::new(part(0, 0)?, part(2, 59)?, part(4, 59)?, nanos("9")?).ok()?;
    Some((first, last))
}

pub(crate) fn date_text(at: DateTime) -> String {
    format!("{:04}{:02}{:02}", at.year(), at.month(), at.day())
}

/// Everything the worklist knows of a step (PS3.4 table K.6-1). What a query did not ask for is left out later.
fn data_set(item: &WorklistItem) -> DataSet {
    let mut step = DataSet::default();
    step.put_text(tags::MODALITY, &item.modality);
    step.put_text(tags::SCHEDULED_STATION_AE_TITLE, item.station_aet.as_str());
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, date_text(item.start_local));
    step.put_text(
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
        format!("{:02}{:02}{:02}", item.start_local.hour(), item.start_local.minute(), item.start_local.second()),
    );
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, bounded(&item.description, 64));
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_ID, &item.sps_id);
    step.put_text(tags::SCHEDULED_STATION_NAME, bounded(&item.station_name, 16));
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_LOCATION, bounded(&item.location, 16));
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_STATUS, "SCHEDULED");
    step.put_items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, item.items.iter().map(code).collect());
    let mut out = DataSet::default();
    out.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    out.put_text(tags::ACCESSION_NUMBER, item.accession.as_str());
    out.put_text(tags::REFERRING_PHYSICIAN_NAME, person(&item.referring_physician, ""));
    out.put_text(tags::REQUESTING_PHYSICIAN, person(&item.referring_physician, ""));
    out.put_text(tags::REQUESTING_SERVICE, bounded(&item.requesting_department, 64));
    out.put_text(tags::PATIENT_NAME, person(&item.patient_name, &item.patient_name_latin));
    out.put_text(tags::PATIENT_ID, &item.patient_id);
    out.put_text(tags::ISSUER_OF_PATIENT_ID, bounded(&item.patient_id_issuer, 64));
    out.put_text(
        tags::PATIENT_BIRTH_DATE,
        item.birth_date.map(|day| date_text(day.to_datetime(Time::MIN))).unwrap_or_default(),
    );
    // CS takes M, F and O (PS3.3 C.2.3); unknown is empty.
    out.put_text(
        tags::PATIENT_SEX,
        match item.sex.as_str() {
            "U" => "",
            known => known,
        },
    );
    out.put_text(tags::MEDICAL_ALERTS, joined(&item.alerts));
    out.put_text(tags::ALLERGIES, joined(&item.allergies));
    // 3: definitely pregnant, 4: unknown (PS3.3 C.7.2.3).
    out.put_text(tags::PREGNANCY_STATUS, if item.pregnant { "3" } else { "4" });
    out.put_text(tags::SPECIAL_NEEDS, joined(&item.special));
    out.put_text(tags::STUDY_INSTANCE_UID, item.study_uid.as_str());
    out.put_text(tags::REQUESTED_PROCEDURE_ID, &item.procedure_id);
    out.put_text(tags::REQUESTED_PROCEDURE_DESCRIPTION, bounded(&item.procedure_description, 64));
    out.put_items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, item.items.iter().map(code).collect());
    out.put_text(tags::REASON_FOR_THE_REQUESTED_PROCEDURE, bounded(&item.reason, 64));
    let priority = match item.priority.as_str() {
        "emergency" => "STAT",
        "urgent" => "HIGH",
        _ => "ROUTINE",
    };
    out.put_text(tags::REQUESTED_PROCEDURE_PRIORITY, priority);
    out
}

fn code(item: &WorklistCode) -> DataSet {
    let mut out = DataSet::default();
    out.put_text(tags::CODE_VALUE, bounded(&item.code, 16));
    out.put_text(tags::CODING_SCHEME_DESIGNATOR, CODING_SCHEME);
    out.put_text(tags::CODE_MEANING, bounded(&item.meaning, 64));
    out
}

/// `Latin=汉字` (PS3.5 6.2.1). A registered Latin name has blanks where DICOM has carets.
fn person(name: &str, latin: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let latin = latin.trim().replacen(' ', "^", 1).to_uppercase();
    PersonName::of_person(name, (!latin.is_empty()).then_some(latin.as_str())).to_string()
}

/// At most so many characters, without what parts values.
fn bounded(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control() && *c != '\\').take(max).collect()
}

fn joined(texts: &[String]) -> String {
    texts.iter().map(|text| bounded(text, 64)).collect::<Vec<_>>().join("\\")
}

#[cfg(test)]
#[path = "worklist_tests.rs"]
mod tests;
