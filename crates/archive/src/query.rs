//! Queries in the terms of PS3.4 C.2.2.2; C-FIND and QIDO-RS share them.

use crate::ArchiveError;
use crate::describe::{date, time};
use crate::names::{any_order, normal};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// The level of a query (PS3.4 C.6.2, PS3.18 10.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Study,
    Series,
    Instance,
}

/// Rows of a page when the query does not say.
const DEFAULT_LIMIT: u32 = 1000;
/// Values of a UID list; more is not a query but an attack.
const MAX_VALUES: usize = 1000;

/// A query.
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) level: Level,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
    pub(crate) after: Option<Cursor>,
}

/// What may be agreed on beyond the baseline of matching (PS3.4 C.5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matching {
    /// A range of dates and one of times together are one period; without it each is matched by itself.
    pub combined_date_time: bool,
    /// Names are found by the beginnings of their words in any order, and Chinese ones by what sounds alike.
    pub fuzzy_names: bool,
}

/// Where a page ended. Studies are listed newest first, series and instances in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub date: String,
    pub time: String,
    pub key: i64,
}

impl Cursor {
    pub fn to_text(&self) -> String {
        format!("{}_{}_{}", self.date, self.time, self.key)
    }

    fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once('_')?;
        let (time, key) = rest.split_once('_')?;
        Some(Self { date: date.to_owned(), time: time.to_owned(), key: key.parse().ok()? })
    }
}

/// An indexed attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    PatientId,
    PatientIdIssuer,
    BirthDate,
    Sex,
    Accession,
    StudyId,
    StudyUid,
    StudyDate,
    StudyTime,
    StudyDescription,
    ReferringPhysician,
    Institution,
    SeriesUid,
    SeriesNumber,
    Modality,
    SeriesDescription,
    BodyPart,
    Laterality,
    Protocol,
    StationName,
    SeriesDate,
    SeriesTime,
    RequestedProcedureId,
    ScheduledStepId,
    SopUid,
    SopClass,
    InstanceNumber,
}

/// One key of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Single value matching of one of several values.
    OneOf(Field, Vec<String>),
    Number(Field, i64),
    Wildcard(Field, Pattern),
    /// Range matching, both ends included; an open end is `None`.
    Range(Field, Option<String>, Option<String>),
    /// A period from and to a date with a time, both ends included. Without an end it is open; an empty time is the
    /// begin, or the end, of the day.
    Period {
        date: Field,
        time: Field,
        from: Option<(String, String)>,
        to: Option<(String, String)>,
    },
    /// Any group of the patient's name, its pinyin or its initials.
    Name(Vec<Pattern>),
    ModalitiesInStudy(Vec<String>),
    /// The search field of a list: beginning of name, pinyin, patient id or accession.
    Text(String),
}

/// A value with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// Everything that begins with `text`, where `*` and `?` count for nothing.
    pub fn beginning(text: &str) -> Self {
        Self { text: format!("{}*", text.replace(['*', '?'], "")) }
    }

    /// The value itself when it has no wildcards.
    pub fn exact(&self) -> Option<&str> {
        (!self.text.contains(['*', '?'])).then_some(&self.text)
    }

    /// What every match begins with.
    pub fn prefix(&self) -> &str {
        self.text.split(['*', '?']).next().unwrap_or_default()
    }

    /// Whether the prefix says it all.
    pub fn is_prefix(&self) -> bool {
        self.text.strip_suffix('*').is_some_and(|rest| !rest.contains(['*', '?']))
    }

    /// For `LIKE … ESCAPE '\'`.
    pub fn like(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 2);
        for c in self.text.chars() {
            match c {
                '*' => out.push('%'),
                '?' => out.push('_'),
                '%' | '_' | '\\' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
        out
    }
}

/// The least text that is greater than everything that begins with `prefix`, in code point order.
pub(crate) fn beyond(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

impl Query {
    /// Everything at a level.
    pub fn all(level: Level) -> Self {
        Self { level, conditions: Vec::new(), limit: DEFAULT_LIMIT, offset: 0, after: None }
    }

    /// From the keys of an identifier or of a query string; values are decoded Unicode. Empty values and `*` match
    /// everything; keys that the archive does not match on, or that lie below the level, are ignored (they are return
    /// keys).
    pub fn from_attributes(level: Level, keys: &[(Tag, String)]) -> Result<Self, ArchiveError> {
        Self::matching(level, keys, Matching::default())
    }

    /// As `from_attributes`, with more than the baseline of matching.
    pub fn matching(level: Level, keys: &[(Tag, String)], matching: Matching) -> Result<Self, ArchiveError> {
        let mut query = Self::all(level);
        let periods = if matching.combined_date_time { periods(level, keys)? } else { Vec::new() };
        for (tag, value) in keys {
            let value = value.trim_matches(['\0', ' ']);
            if value.is_empty() || value.chars().all(|c| c == '*') {
                continue;
            }
            if periods.iter().any(|(tags, _)| tags.contains(tag)) {
                continue;
            }
            if *tag == tags::PATIENT_NAME && matching.fuzzy_names {
                query.conditions.push(fuzzy_name(value)?);
                continue;
            }
            if let Some(condition) = condition(level, *tag, value)? {
                query.conditions.push(condition);
            }
        }
        query.conditions.extend(periods.into_iter().map(|(_, period)| period));
        Ok(query)
    }

    /// One study at a level.
    pub(crate) fn study(level: Level, study_uid: &str) -> Self {
        let mut query = Self::all(level);
        query.conditions.push(Condition::OneOf(Field::StudyUid, vec![study_uid.to_owned()]));
        query
    }

    pub fn level(&self) -> Level {
        self.level
    }

    /// At most so many rows (default 1000).
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Skips rows; for QIDO-RS `offset`. Prefer `after`.
    #[must_use]
    pub fn offset(mut self, offset: u32) -> Self {
        self.offset = offset;
        self
    }

    /// Continues after the cursor of the page before.
    pub fn after(mut self, cursor: &str) -> Result<Self, ArchiveError> {
        let cursor = Cursor::parse(cursor).ok_or_else(|| ArchiveError::InvalidQuery { key: "cursor".to_owned() })?;
        self.after = Some(cursor);
        Ok(self)
    }

    /// Free text over patient name, pinyin, patient id and accession, for the search field of a list.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let text = text.trim();
        if !text.is_empty() {
            self.conditions.push(Condition::Text(text.to_owned()));
        }
        self
    }
}

fn condition(level: Level, tag: Tag, value: &str) -> Result<Option<Condition>, ArchiveError> {
    use Field as F;
    let (field, of) = match tag {
        tags::PATIENT_NAME => return name(value).map(Some),
        tags::MODALITIES_IN_STUDY => return Ok(Some(Condition::ModalitiesInStudy(values(value, tag)?))),
        // A study has no modality; asked for one, its series answer.
        tags::MODALITY if level == Level::Study => {
            return Ok(Some(Condition::ModalitiesInStudy(values(value, tag)?)));
        }
        tags::PATIENT_ID => (F::PatientId, Level::Study),
        tags::ISSUER_OF_PATIENT_ID => (F::PatientIdIssuer, Level::Study),
        tags::PATIENT_BIRTH_DATE => (F::BirthDate, Level::Study),
        tags::PATIENT_SEX => (F::Sex, Level::Study),
        tags::ACCESSION_NUMBER => (F::Accession, Level::Study),
        tags::STUDY_ID => (F::StudyId, Level::Study),
        tags::STUDY_INSTANCE_UID => (F::StudyUid, Level::Study),
        tags::STUDY_DATE => (F::StudyDate, Level::Study),
        tags::STUDY_TIME => (F::StudyTime, Level::Study),
        tags::STUDY_DESCRIPTION => (F::StudyDescription, Level::Study),
        tags::REFERRING_PHYSICIAN_NAME => (F::ReferringPhysician, Level::Study),
        tags::INSTITUTION_NAME => (F::Institution, Level::Study),
        tags::SERIES_INSTANCE_UID => (F::SeriesUid, Level::Series),
        tags::SERIES_NUMBER => (F::SeriesNumber, Level::Series),
        tags::MODALITY => (F::Modality, Level::Series),
        tags::SERIES_DESCRIPTION => (F::SeriesDescription, Level::Series),
        tags::BODY_PART_EXAMINED => (F::BodyPart, Level::Series),
        tags::LATERALITY => (F::Laterality, Level::Series),
        tags::PROTOCOL_NAME => (F::Protocol, Level::Series),
        tags::STATION_NAME => (F::StationName, Level::Series),
        tags::SERIES_DATE => (F::SeriesDate, Level::Series),
        tags::SERIES_TIME => (F::SeriesTime, Level::Series),
        tags::REQUESTED_PROCEDURE_ID => (F::RequestedProcedureId, Level::Series),
        tags::SCHEDULED_PROCEDURE_STEP_ID => (F::ScheduledStepId, Level::Series),
        tags::SOP_INSTANCE_UID => (F::SopUid, Level::Instance),
        tags::SOP_CLASS_UID => (F::SopClass, Level::Instance),
        tags::INSTANCE_NUMBER => (F::InstanceNumber, Level::Instance),
        _ => return Ok(None),
    };
    if of > level {
        return Ok(None);
    }
    let condition = match field {
        F::StudyUid | F::SeriesUid | F::SopUid | F::SopClass => Condition::OneOf(field, values(value, tag)?),
        F::BirthDate | F::StudyDate | F::SeriesDate => range(field, value, tag, date)?,
        F::StudyTime | F::SeriesTime => range(field, value, tag, time)?,
        F::SeriesNumber | F::InstanceNumber => Condition::Number(field, value.parse().map_err(|_| invalid(tag))?),
        _ => match Pattern::new(value) {
            pattern if pattern.exact().is_some() => Condition::OneOf(field, vec![value.to_owned()]),
            pattern => Condition::Wildcard(field, pattern),
        },
    };
    Ok(Some(condition))
}

fn invalid(tag: Tag) -> ArchiveError {
    ArchiveError::InvalidQuery { key: format!("{:04X}{:04X}", tag.0, tag.1) }
}

/// A list: backslashes in an identifier, commas in a query string.
fn values(value: &str, tag: Tag) -> Result<Vec<String>, ArchiveError> {
    let values: Vec<String> =
        value.split(['\\', ',']).map(|v| v.trim_matches(['\0', ' ']).to_owned()).filter(|v| !v.is_empty()).collect();
    if values.is_empty() || values.len() > MAX_VALUES { Err(invalid(tag)) } else { Ok(values) }
}

/// Any group given may match any group stored (PS3.4 C.2.2.2.1: case-insensitive for PN).
fn name(value: &str) -> Result<Condition, ArchiveError> {
    let groups: Vec<Pattern> = value
        .split('=')
        .map(normal)
        .filter(|group| !group.is_empty() && !group.chars().all(|c| c == '*'))
        .map(|group| Pattern::new(&group))
        .collect();
    if groups.is_empty() { Err(invalid(tags::PATIENT_NAME)) } else { Ok(Condition::Name(groups)) }
}

/// Beside what the baseline finds, the name's words in any order, the last of them begun, as they are and by pinyin.
fn fuzzy_name(value: &str) -> Result<Condition, ArchiveError> {
    let Condition::Name(mut patterns) = name(value)? else { return Err(invalid(tags::PATIENT_NAME)) };
    for group in value.split('=') {
        for form in any_order(group) {
            let pattern = Pattern::new(&form);
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    Ok(Condition::Name(patterns))
}

/// Pairs of keys that are a range of dates and one of times.
fn periods(level: Level, keys: &[(Tag, String)]) -> Result<Vec<([Tag; 2], Condition)>, ArchiveError> {
    let value = |tag: Tag| keys.iter().find(|(key, value)| *key == tag && value.contains('-')).map(|(_, value)| value);
    let mut found = Vec::new();
    for (of, date_tag, time_tag) in
        [(Level::Study, tags::STUDY_DATE, tags::STUDY_TIME), (Level::Series, tags::SERIES_DATE, tags::SERIES_TIME)]
    {
        let Some((days, times)) = value(date_tag).zip(value(time_tag)).filter(|_| of <= level) else { continue };
        let Some(Condition::Range(date, first, last)) = condition(level, date_tag, days)? else { continue };
        let Some(Condition::Range(time, begin, end)) = condition(level, time_tag, times)? else { continue };
        let end_of = |day: Option<String>, time: Option<String>| day.map(|day| (day, time.unwrap_or_default()));
        let (from, to) = (end_of(first, begin), end_of(last, end));
        found.push(([date_tag, time_tag], Condition::Period { date, time, from, to }));
    }
    Ok(found)
}

fn range(field: Field, value: &str, tag: Tag, read: fn(&str) -> String) -> Result<Condition, ArchiveError> {
    let end = |text: &str| match text.trim() {
        "" => Ok(None),
        text => match read(text) {
            valid if valid.is_empty() => Err(invalid(tag)),
            valid => Ok(Some(valid)),
        },
    };
    match value.split_once('-') {
        None => match end(value)? {
            Some(single) => Ok(Condition::OneOf(field, vec![single])),
            None => Err(invalid(tag)),
        },
        Some((from, to)) => match (end(from)?, end(to)?) {
            (None, None) => Err(invalid(tag)),
            (from, to) => Ok(Condition::Range(field, from, to)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(tag: Tag, value: &str) -> Result<Option<Condition>, ArchiveError> {
        condition(Level::Instance, tag, value)
    }

    #[test]
    fn values_become_conditions() {
        assert_eq!(
            one(tags::STUDY_INSTANCE_UID, "1.2\\1.3,1.4").unwrap(),
            Some(Condition::OneOf(Field::StudyUid, vec!["1.2".into(), "1.3".into(), "1.4".into()]))
        );
        assert_eq!(
            one(tags::STUDY_DATE, "20260101-").unwrap(),
            Some(Condition::Range(Field::StudyDate, Some("20260101".into()), None))
        );
        assert_eq!(
            one(tags::STUDY_DATE, "20260101").unwrap(),
            Some(Condition::OneOf(Field::StudyDate, vec!["20260101".into()]))
        );
        assert!(one(tags::STUDY_DATE, "yesterday").is_err());
        assert!(one(tags::STUDY_DATE, "-").is_err());
        assert!(one(tags::SERIES_NUMBER, "x").is_err());
        assert_eq!(one(tags::IMAGE_TYPE, "x").unwrap(), None);
        assert_eq!(condition(Level::Study, tags::SOP_INSTANCE_UID, "1").unwrap(), None, "below the level");
    }

    #[test]
    fn universal_keys_match_everything() {
        let keys = [(tags::PATIENT_ID, String::new()), (tags::PATIENT_NAME, "*".into()), (tags::ROWS, "5".into())];
        assert!(Query::from_attributes(Level::Study, &keys).unwrap().conditions.is_empty());
    }

    #[test]
    fn patterns() {
        let p = Pattern::new("AB*");
        assert_eq!((p.exact(), p.prefix(), p.is_prefix()), (None, "AB", true));
        let p = Pattern::new("A?B*");
        assert_eq!((p.prefix(), p.is_prefix(), p.like()), ("A", false, "A_B%".to_owned()));
        assert_eq!(Pattern::new("50%_\\*").like(), "50\\%\\_\\\\%");
        assert_eq!(
            name("zhang^san^^=张^三").unwrap(),
            Condition::Name(vec![Pattern::new("ZHANG^SAN"), Pattern::new("张^三")])
        );
    }

    #[test]
    fn ranges_of_date_and_time_are_one_period_where_agreed() {
        let keys = [(tags::STUDY_DATE, "20260301-20260303".into()), (tags::STUDY_TIME, "10-".into())];
        let combined = Matching { combined_date_time: true, ..Matching::default() };
        let of = |matching| Query::matching(Level::Study, &keys, matching).unwrap().conditions;
        assert_eq!(of(Matching::default()).len(), 2);
        let from = Some(("20260301".to_owned(), time("10")));
        let to = Some(("20260303".to_owned(), String::new()));
        let period = Condition::Period { date: Field::StudyDate, time: Field::StudyTime, from, to };
        assert_eq!(of(combined), [period]);
        let single = [(tags::STUDY_DATE, "20260301".into()), (tags::STUDY_TIME, "10-11".into())];
        assert_eq!(Query::matching(Level::Study, &single, combined).unwrap().conditions.len(), 2);
    }

    #[test]
    fn cursors_read_back() {
        let cursor = Cursor { date: "20260302".into(), time: "080000".into(), key: 7 };
        assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
        assert_eq!(Cursor::parse("x"), None);
    }
}
