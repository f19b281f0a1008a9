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
    assert_eq!(keys.times, (None, None));
    // An identifier without the step sequence asks for everything.
    assert!(Keys::read(&DataSet::default()).is_some_and(|keys| keys.query.from.is_none()));
}

#[test]
fn ranges_are_open_on_either_side() {
    let keys = query("20260302-", "0800-1159").unwrap();
    assert_eq!(keys.query.from.map(date_text).as_deref(), Some("20260302"));
    assert_eq!(keys.query.to, None);
    assert_eq!(keys.times, (Some(Time::constant(8, 0, 0, 0)), Some(Time::constant(11, 59, 59, 999_999_999))));
    let keys = query("-20260302", "-12").unwrap();
    assert_eq!(keys.query.from, None);
    assert_eq!(keys.times, (None, Some(Time::constant(12, 59, 59, 999_999_999))));
    for (day, clock) in [("2026", ""), ("20261301", ""), ("20260302-x", ""), ("", "25"), ("", "080"), ("", "0x")] {
        assert!(query(day, clock).is_none(), "{day} {clock}");
    }
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
