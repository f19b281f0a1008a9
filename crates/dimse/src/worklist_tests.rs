use super::*;
use proptest::prelude::*;

fn query(day: &str, clock: &str) -> Option<Keys> {
    let mut step = DataSet::default();
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, day);
    step.put_text(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, clock);
    step.put_text(tags::SCHEDULED_STATION_AE_TITLE, "CT01");
    step.put_text(tags::MODALITY, "*");
    let mut identifier = DataSet::default();
    identifier.put_text(tags::PATIENT_NAME, "ZHANG*");
    identifier.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    Keys::read(&identifier)
}

#[test]
fn keys_are_read_from_both_levels() {
    let keys = query("20260302", "").unwrap();
    assert_eq!(keys.query.station_aet.as_deref(), Some("CT01"));
    assert_eq!(keys.query.modality, None, "a lone asterisk matches all");
    assert_eq!(keys.query.patient_name.as_deref(), Some("ZHANG*"));
    assert_eq!(keys.query.from.map(date_text).as_deref(), Some("20260302"));
    assert_eq!(keys.query.to.map(date_text).as_deref(), Some("20260302"));
    // An identifier without the step sequence asks for everything.
    assert!(Keys::read(&DataSet::default()).is_some_and(|keys| keys.query.from.is_none()));
}

#[test]
fn ranges_are_open_on_either_side() {
    let keys = query("20260302-", "").unwrap();
    assert_eq!(keys.query.from.map(date_text).as_deref(), Some("20260302"));
    assert_eq!(keys.query.to, None);
    let keys = query("-20260302", "").unwrap();
    assert_eq!(keys.query.from, None);
    for (day, clock) in [("2026", ""), ("20261301", ""), ("20260302-x", ""), ("", "25"), ("", "080"), ("", "0x")] {
        assert!(query(day, clock).is_none(), "{day} {clock}");
    }
}

/// PS3.4 table K.6-1: July 5 to 7 and 10 to 18 h are the time from July 5, 10 h until July 7, 18 h.
#[test]
fn ranges_of_date_and_time_are_one_period() {
    let clock = |keys: &Keys| {
        let step = keys.rest.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)[0].clone();
        step.text(tags::SCHEDULED_PROCEDURE_STEP_START_TIME).to_owned()
    };
    let keys = query("20260705-20260707", "10-1759").unwrap();
    assert_eq!(keys.query.from, Some(jiff::civil::datetime(2026, 7, 5, 10, 0, 0, 0)));
    assert_eq!(keys.query.to, Some(jiff::civil::datetime(2026, 7, 7, 17, 59, 59, 999_999_999)));
    assert_eq!(clock(&keys), "");
    // A single day, or a single time: each by itself.
    let keys = query("20260705", "10-18").unwrap();
    assert_eq!(keys.query.from, Some(jiff::civil::datetime(2026, 7, 5, 0, 0, 0, 0)));
    assert_eq!(clock(&keys), "10-18");
}

#[test]
fn patterns_and_lists_are_left_to_the_items() {
    let mut step = DataSet::default();
    step.put_text(tags::SCHEDULED_STATION_AE_TITLE, "CT*");
    step.put_text(tags::MODALITY, "CT\\MR");
    let mut identifier = DataSet::default();
    identifier.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    let keys = Keys::read(&identifier).unwrap();
    assert_eq!((keys.query.station_aet, keys.query.modality), (None, None));
}

#[test]
fn times_stand_for_their_whole_interval() {
    assert_eq!(time("10"), Some((Time::constant(10, 0, 0, 0), Time::constant(10, 59, 59, 999_999_999))));
    assert_eq!(time("101530.5").map(|t| t.0), Some(Time::constant(10, 15, 30, 500_000_000)));
    assert_eq!(time("10:15:30").map(|t| t.0), Some(Time::constant(10, 15, 30, 0)));
    assert_eq!(time("235960").map(|t| t.0), Some(Time::constant(23, 59, 59, 0)));
}

#[test]
fn names_have_latin_and_chinese_groups() {
    assert_eq!(person("张三", "Zhang San"), "ZHANG^SAN=张^三");
    assert_eq!(person("张三", ""), "ZHANG^SAN=张^三");
    assert_eq!(person("", ""), "");
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,20}") {
        let _ = time(&text);
        let _ = date(&text);
        let _ = query(&text, &text);
    }
}
