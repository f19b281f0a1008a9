use super::*;
use dicom_dictionary_std::tags;
use proptest::prelude::*;

fn set(values: &[(dicom_core::Tag, &str)]) -> DataSet {
    let mut set = DataSet::default();
    for (tag, value) in values {
        set.put_text(*tag, *value);
    }
    set
}

#[test]
fn every_kind_of_matching() {
    for (vr, key, value, hit) in [
        (VR::LO, "P1", "P1", true),
        (VR::LO, "p1", "P1", false),
        (VR::LO, "P*1", "P001", true),
        (VR::LO, "P?1", "P001", false),
        (VR::LO, "*", "", true),
        (VR::LO, "P1", "", false),
        (VR::CS, "CT\\MR", "MR", true),
        (VR::CS, "CT", "MR\\CT", true),
        (VR::UI, "1.2\\1.3", "1.3", true),
        (VR::UI, "1.*", "1.3", false),
        (VR::DA, "20260301-20260303", "20260303", true),
        (VR::DA, "20260301-", "20260228", false),
        (VR::DA, "-20260301", "20260228", true),
        (VR::DA, "20260301", "2026.03.01", true),
        (VR::TM, "08-09", "095959", true),
        (VR::TM, "0800-0900", "090100", false),
        (VR::TM, "08", "081500", true),
        (VR::IS, "7", "07", true),
        (VR::PN, "zhang^san", "ZHANG^SAN=张^三", true),
        (VR::PN, "张三", "ZHANG^SAN=张^三", true),
        (VR::PN, "Zhang^San=李^四", "ZHANG^SAN=张^三", true),
        (VR::PN, "LI*", "ZHANG^SAN=张^三", false),
    ] {
        assert_eq!(text_matches(vr, key, value), hit, "{vr} {key} {value}");
    }
}

#[test]
fn sequences_match_by_one_of_their_items() {
    let step = |modality, station| set(&[(tags::MODALITY, modality), (tags::SCHEDULED_STATION_AE_TITLE, station)]);
    let steps = |items: Vec<DataSet>| {
        let mut out = DataSet::default();
        out.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, items);
        out
    };
    let have = steps(vec![step("CT", "CT01"), step("MR", "MR01")]);
    assert!(matches(&steps(vec![step("MR", "MR*")]), &have));
    assert!(!matches(&steps(vec![step("CT", "MR01")]), &have), "one item answers to all keys, not each to one");
    assert!(matches(&steps(vec![step("", "")]), &steps(vec![])), "without a value it is a return key");
    assert!(matches(&steps(vec![]), &have));
    assert!(matches(&set(&[(tags::IMAGE_COMMENTS, "x")]), &have), "what is not known is not matched on");
}

proptest! {
    #[test]
    fn a_text_matches_itself_and_what_surrounds_it(text in "[a-z张三]{1,30}", other in "[a*?]{0,30}") {
        prop_assert!(like(&text, &text));
        let surrounded = format!("*{text}*");
        prop_assert!(like(&surrounded, &text));
        prop_assert!(like(&"?".repeat(text.chars().count()), &text));
        let _ = like(&other, &text);
    }

    #[test]
    fn any_keys_are_compared_without_panic(key in "\\PC{0,20}", value in "\\PC{0,20}") {
        for vr in [VR::DA, VR::TM, VR::PN, VR::UI, VR::IS, VR::LO] {
            let _ = text_matches(vr, &key, &value);
        }
    }
}
