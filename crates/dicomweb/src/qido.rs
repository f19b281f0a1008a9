//! QIDO-RS (PS3.18 10.6): searches, answered as DICOM JSON.

use crate::auth::Allowed;
use crate::path::{Base, Target};
use crate::{Problem, Web, accept, json};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::Header;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use mingying_archive::{Attributes, InstanceRow, Level, Query, ReadStudies, SeriesRow, StudyRow};
use mingying_kernel::Permit;
use std::collections::BTreeSet;

const DICOM_JSON: &str = "application/dicom+json";
/// Rows given when the client names no limit, and at most.
const DEFAULT_LIMIT: u32 = 1000;
const MAX_LIMIT: u32 = 5000;
/// Bound on query parameters.
const MAX_PARAMETERS: usize = 128;

/// PS3.18 Table 10.6.3-3 and what every viewer's study list shows besides.
const STUDY: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::INSTANCE_AVAILABILITY,
    tags::MODALITIES_IN_STUDY,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STUDY_DESCRIPTION,
    tags::INSTITUTION_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
];

/// PS3.18 Table 10.6.3-4.
const SERIES: &[Tag] = &[
    tags::MODALITY,
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::SERIES_DESCRIPTION,
    tags::BODY_PART_EXAMINED,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
    tags::PERFORMED_PROCEDURE_STEP_START_DATE,
    tags::PERFORMED_PROCEDURE_STEP_START_TIME,
    tags::REQUEST_ATTRIBUTES_SEQUENCE,
];

/// PS3.18 Table 10.6.3-5.
const INSTANCE: &[Tag] = &[
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::INSTANCE_AVAILABILITY,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::INSTANCE_NUMBER,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::NUMBER_OF_FRAMES,
    tags::AVAILABLE_TRANSFER_SYNTAX_UID,
];

/// A parsed query string.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Search {
    keys: Vec<(Tag, String)>,
    include: BTreeSet<Tag>,
    include_all: bool,
    limit: Option<u32>,
    offset: u32,
    /// What was asked for and is not done, told in a Warning header (PS3.18 8.3.4.2).
    fuzzy: bool,
}

/// The tag of eight hexadecimal digits.
pub(crate) fn parse_hex_tag(text: &str) -> Option<Tag> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(text, 16).ok()?;
    Some(Tag((number >> 16) as u16, (number & 0xffff) as u16))
}

/// An attribute by keyword or number; of a path through sequences, its last attribute (PS3.18 8.3.4.1).
fn parse_attribute(text: &str) -> Option<Tag> {
    let last = text.rsplit('.').next()?;
    parse_hex_tag(last).or_else(|| StandardDataDictionary.by_name(last).map(|entry| entry.tag()))
}

/// Decodes `name=value&…`; plus signs are blanks.
pub(crate) fn parameters(query: Option<&str>) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let mut ahead = rest.clone();
                    let digits = [ahead.next(), ahead.next()].map(|d| d.and_then(|d| char::from(d).to_digit(16)));
                    if let [Some(high), Some(low)] = digits {
                        bytes.push((high * 16 + low) as u8);
                        rest = ahead;
                    } else {
                        bytes.push(byte);
                    }
                }
                _ => bytes.push(byte),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(MAX_PARAMETERS)
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

impl Search {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut search = Self::default();
        for (name, value) in parameters(query) {
            match name.as_str() {
                "limit" => search.limit = Some(value.parse().map_err(|_| Problem::invalid("limit"))?),
                "offset" => search.offset = value.parse().map_err(|_| Problem::invalid("offset"))?,
                "fuzzymatching" => search.fuzzy = value == "true",
                "emptyvaluematching" | "multiplevaluematching" | "accept" => {}
                "includefield" => {
                    for field in value.split(',').map(str::trim).filter(|f| !f.is_empty()) {
                        if field.eq_ignore_ascii_case("all") {
                            search.include_all = true;
                        } else {
                            search
                                .include
                                .insert(parse_attribute(field).ok_or_else(|| Problem::invalid("includefield"))?);
                        }
                    }
                }
                // Clients add such against caches.
                other if other.starts_with('_') => {}
                // A misspelt key must not match everything.
                other => {
                    let tag = parse_attribute(other).ok_or_else(|| Problem::invalid("attribute"))?;
                    // Lists of UIDs come with commas here and with backslashes in DIMSE.
                    let value = if mingying_dicom::vr_of(tag) == VR::UI { value.replace(',', "\\") } else { value };
                    search.include.insert(tag);
                    search.keys.push((tag, value));
                }
            }
        }
        Ok(search)
    }

    pub(crate) fn query(&self, level: Level, target: Option<&Target>) -> Result<Query, Problem> {
        let mut keys = self.keys.clone();
        let mut fixed = |tag: Tag, uid: &str| {
            keys.retain(|(t, _)| *t != tag);
            keys.push((tag, uid.to_owned()));
        };
        if let Some(target) = target {
            fixed(tags::STUDY_INSTANCE_UID, &target.study);
            if let Some(series) = &target.series {
                fixed(tags::SERIES_INSTANCE_UID, series);
            }
        }
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        Ok(Query::from_attributes(level, &keys)?.limit(limit).offset(self.offset))
    }

    /// Keeps what the answer shall hold.
    fn keep(&self, object: &mut InMemDicomObject, wanted: &[&[Tag]]) {
        if self.include_all {
            return;
        }
        object.retain(|element| {
            let tag = element.tag();
            tag == tags::SPECIFIC_CHARACTER_SET
                || self.include.contains(&tag)
                || wanted.iter().any(|tags| tags.contains(&tag))
        });
    }
}

/// Refuses what is not JSON before searching.
fn check_accept(headers: &HeaderMap, query: Option<&str>) -> Result<(), Problem> {
    let from_query = parameters(query).into_iter().find(|(name, _)| name == "accept").map(|(_, value)| value);
    let ranges = accept::accepted(headers, from_query.as_deref());
    let json = |range: &accept::MediaRange| range.covers(DICOM_JSON) || range.covers("application/json");
    if ranges.iter().any(json) { Ok(()) } else { Err(Problem::not_acceptable()) }
}

fn answer(objects: Vec<InMemDicomObject>, search: &Search, more: bool) -> Response {
    let mut out = Vec::with_capacity(objects.len() * 1024 + 2);
    out.push(b'[');
    for (i, object) in objects.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::write_object(&mut out, object, None);
    }
    out.push(b']');
    let mut response = (StatusCode::OK, Body::from(out)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(DICOM_JSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if search.fuzzy {
        headers.append(
            header::WARNING,
            HeaderValue::from_static(
                "299 mingying \"The fuzzymatching parameter is not supported. Only literal matching has been performed.\"",
            ),
        );
    }
    if more {
        headers.append(
            header::WARNING,
            HeaderValue::from_static("299 mingying \"There are additional results that can be requested\""),
        );
    }
    response
}

fn retrieve_url(object: &mut InMemDicomObject, url: String) {
    object.put(DataElement::new(tags::RETRIEVE_URL, VR::UR, url));
}

async fn studies(web: &Web, permit: &Permit<ReadStudies>, base: &Base, search: &Search) -> Result<Response, Problem> {
    let page = web.archive.find_studies(permit, &search.query(Level::Study, None)?).await?;
    let one = |row: &StudyRow| {
        let mut object = row.attributes();
        search.keep(&mut object, &[STUDY]);
        retrieve_url(&mut object, base.study(&row.study_uid));
        object
    };
    Ok(answer(page.items.iter().map(one).collect(), search, page.next.is_some()))
}

async fn series(
    web: &Web,
    permit: &Permit<ReadStudies>,
    base: &Base,
    search: &Search,
    target: Option<&Target>,
) -> Result<Response, Problem> {
    let page = web.archive.find_series(permit, &search.query(Level::Series, target)?).await?;
    // Within one study its attributes need not be repeated.
    let above: &[Tag] = if target.is_some() { &[tags::STUDY_INSTANCE_UID] } else { STUDY };
    let one = |row: &SeriesRow| {
        let mut object = row.attributes();
        search.keep(&mut object, &[SERIES, above]);
        retrieve_url(&mut object, base.series(&row.study.study_uid, &row.series_uid));
        object
    };
    Ok(answer(page.items.iter().map(one).collect(), search, page.next.is_some()))
}

async fn instances(
    web: &Web,
    permit: &Permit<ReadStudies>,
    base: &Base,
    search: &Search,
    target: Option<&Target>,
) -> Result<Response, Problem> {
    let page = web.archive.find_instances(permit, &search.query(Level::Instance, target)?).await?;
    let uids: &[Tag] = &[tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID];
    let wanted: &[&[Tag]] = match target {
        Some(Target { series: Some(_), .. }) => &[INSTANCE, uids],
        Some(_) => &[INSTANCE, SERIES, uids],
        None => &[INSTANCE, SERIES, STUDY],
    };
    let one = |row: &InstanceRow| {
        let mut object = row.attributes();
        search.keep(&mut object, wanted);
        let instance = &row.instance;
        retrieve_url(&mut object, base.instance(&instance.study_uid, &instance.series_uid, &instance.sop_uid));
        object
    };
    Ok(answer(page.items.iter().map(one).collect(), search, page.next.is_some()))
}

pub(crate) async fn search_studies(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    base: Base,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_accept(&headers, query.as_deref())?;
    studies(&web, &permit, &base, &Search::parse(query.as_deref())?).await
}

pub(crate) async fn search_series(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    base: Base,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_accept(&headers, query.as_deref())?;
    series(&web, &permit, &base, &Search::parse(query.as_deref())?, None).await
}

pub(crate) async fn search_instances(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    base: Base,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_accept(&headers, query.as_deref())?;
    instances(&web, &permit, &base, &Search::parse(query.as_deref())?, None).await
}

pub(crate) async fn search_series_of_study(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    base: Base,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_accept(&headers, query.as_deref())?;
    series(&web, &permit, &base, &Search::parse(query.as_deref())?, Some(&target)).await
}

/// Of a study, or of one of its series.
pub(crate) async fn search_instances_within(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    base: Base,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_accept(&headers, query.as_deref())?;
    instances(&web, &permit, &base, &Search::parse(query.as_deref())?, Some(&target)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_keyword_and_number() {
        let search = Search::parse(Some(
            "PatientName=%E5%BC%A0*&0020000D=1.2,1.3&includefield=00081030,Modality&limit=5&offset=2&_=99&fuzzymatching=true",
        ))
        .unwrap();
        assert_eq!(search.keys[0], (tags::PATIENT_NAME, "张*".to_owned()));
        assert_eq!(search.keys[1], (tags::STUDY_INSTANCE_UID, "1.2\\1.3".to_owned()));
        assert!(search.include.contains(&tags::STUDY_DESCRIPTION) && search.include.contains(&tags::MODALITY));
        assert_eq!((search.limit, search.offset, search.fuzzy, search.include_all), (Some(5), 2, true, false));
        assert!(Search::parse(Some("includefield=all")).unwrap().include_all);
        let nested = Search::parse(Some("00400275.00401001=RP1")).unwrap();
        assert_eq!(nested.keys[0].0, tags::REQUESTED_PROCEDURE_ID);
    }

    #[test]
    fn unknown_keys_are_refused() {
        for bad in ["PatientNmae=x", "limit=-1", "limit=x", "offset=", "includefield=Nonsense", "0010=1", "%ff=1"] {
            assert!(Search::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_panics(query in "[ -~]{0,80}") {
            let _ = Search::parse(Some(&query));
        }
    }
}
