use super::*;
use proptest::prelude::*;

fn sample() -> DataSet {
    let mut step = DataSet::default();
    step.put_text(tags::MODALITY, "CT");
    step.put_text(tags::SCHEDULED_STATION_AE_TITLE, "CT01");
    let mut set = DataSet::default();
    set.put_text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    set.put_text(tags::PATIENT_NAME, "ZHANG^SAN=张^三");
    set.put_text(tags::PATIENT_ID, "12345");
    set.put_text(tags::PREGNANCY_STATUS, "4");
    set.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    set
}

#[test]
fn reads_as_written_in_both_encodings() {
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle] {
        let bytes = sample().encode(encoding, &Charset::utf8());
        assert_eq!(bytes.len() % 2, 0);
        assert_eq!(DataSet::parse(&bytes, encoding), Ok(sample()));
    }
}

#[test]
fn names_follow_the_peer_character_set() {
    let gb = Charset::parse("GB18030");
    let mut set = sample();
    set.put_text(tags::SPECIFIC_CHARACTER_SET, gb.value());
    let bytes = set.encode(Encoding::ExplicitLittle, &gb);
    assert!(bytes.windows(2).any(|w| w == [0xD5, 0xC5]), "张 in GB18030");
    let read = DataSet::parse(&bytes, Encoding::ExplicitLittle).unwrap();
    assert_eq!(read.text(tags::PATIENT_NAME), "ZHANG^SAN=张^三");
    // A peer without Chinese gets the Latin group.
    let latin = Charset::parse("ISO_IR 100");
    let read = DataSet::parse(&set.encode(Encoding::ExplicitLittle, &latin), Encoding::ExplicitLittle).unwrap();
    assert_eq!(read.text(tags::PATIENT_NAME), "ZHANG^SAN");
}

#[test]
fn attribute_tags_survive() {
    let mut set = DataSet::default();
    set.put_text(tags::FRAME_INCREMENT_POINTER, "00181063\\00280008");
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle] {
        assert_eq!(DataSet::parse(&set.encode(encoding, &Charset::utf8()), encoding), Ok(set.clone()));
    }
    assert_eq!(set.to_json()["00280009"]["Value"][0], "00181063");
}

#[test]
fn items_are_written_in_the_character_set_of_the_whole() {
    let mut item = DataSet::default();
    item.put_text(tags::SPECIFIC_CHARACTER_SET, "GB18030");
    item.put_text(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, "颅脑平扫");
    let mut set = sample();
    set.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![item]);
    let read = DataSet::parse(&set.encode(Encoding::ExplicitLittle, &Charset::utf8()), Encoding::ExplicitLittle);
    let read = read.unwrap();
    let item = read.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first().unwrap();
    assert_eq!(item.text(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION), "颅脑平扫");
    assert!(item.get(tags::SPECIFIC_CHARACTER_SET).is_none());
}

#[test]
fn what_dicom_object_writes_is_read() {
    use dicom_core::{DataElement, PrimitiveValue, dicom_value};
    use dicom_object::mem::InMemElement;
    use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
    let mut object = InMemDicomObject::new_empty();
    object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::from("DOE^JANE")));
    object.put(DataElement::new(tags::ROWS, VR::US, dicom_value!(U16, [512])));
    object.put(DataElement::new(tags::SLICE_LOCATION, VR::DS, PrimitiveValue::from("-12.5")));
    let item =
        InMemDicomObject::from_element_iter([InMemElement::new(tags::CODE_VALUE, VR::SH, PrimitiveValue::from("X1"))]);
    object.put(DataElement::new(
        tags::PROCEDURE_CODE_SEQUENCE,
        VR::SQ,
        dicom_core::value::DataSetSequence::from(vec![item]),
    ));
    for (syntax, encoding) in [
        (IMPLICIT_VR_LITTLE_ENDIAN.erased(), Encoding::ImplicitLittle),
        (EXPLICIT_VR_LITTLE_ENDIAN.erased(), Encoding::ExplicitLittle),
    ] {
        let mut bytes = Vec::new();
        object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
        let read = DataSet::parse(&bytes, encoding).unwrap();
        assert_eq!(read, DataSet::from_object(&object));
        assert_eq!(read.text(tags::ROWS), "512");
        assert_eq!(read.items(tags::PROCEDURE_CODE_SEQUENCE)[0].text(tags::CODE_VALUE), "X1");
    }
}

#[test]
fn hostile_data_sets_are_refused() {
    let refused = |bytes: &[u8]| DataSet::parse(bytes, Encoding::ImplicitLittle).is_err();
    assert!(refused(&[0x10, 0, 0x10, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0]), "a value of 4 GiB, and one byte of it");
    assert!(refused(&[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]), "an item delimiter where no item is");
    let deep = [0x40, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF].repeat(100_000);
    assert!(refused(&deep), "sequences nested without end");
    let many = [0x10, 0, 0x10, 0, 0, 0, 0, 0].repeat(LIMITS.elements as usize + 1);
    assert!(refused(&many), "more elements than any message has");
}

#[test]
fn sequences_of_undefined_length_are_read() {
    let bytes = [
        &[0x40, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF][..],
        &[0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF],
        &[8, 0, 0x60, 0, 2, 0, 0, 0, b'M', b'R'],
        &[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0],
        &[0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0],
        &[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0],
        &[0x10, 0, 0x20, 0, 2, 0, 0, 0, b'1', b' '],
    ]
    .concat();
    let set = DataSet::parse(&bytes, Encoding::ImplicitLittle).unwrap();
    let items = set.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].text(tags::MODALITY), "MR");
    assert_eq!(set.text(tags::PATIENT_ID), "1");
}

#[test]
fn json_follows_the_dicom_model() {
    let mut set = sample();
    set.put_text(tags::SLICE_LOCATION, "1.5\\2");
    assert_eq!(
        set.to_json(),
        json!({
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "ZHANG^SAN", "Ideographic": "张^三"}]},
            "00100020": {"vr": "LO", "Value": ["12345"]},
            "001021C0": {"vr": "US", "Value": [4]},
            "00201041": {"vr": "DS", "Value": [1.5, 2]},
            "00400100": {"vr": "SQ", "Value": [{
                "00080060": {"vr": "CS", "Value": ["CT"]},
                "00400001": {"vr": "AE", "Value": ["CT01"]},
            }]},
        })
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle] {
            if let Ok(set) = DataSet::parse(&bytes, encoding) {
                set.to_json();
                set.encode(encoding, &Charset::utf8());
            }
        }
    }

    #[test]
    fn one_changed_byte_is_read_without_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle] {
            let mut bytes = sample().encode(encoding, &Charset::utf8());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = DataSet::parse(&bytes, encoding);
        }
    }
}
