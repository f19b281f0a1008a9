//! Data sets as DICOM JSON (PS3.18 Annex F), written straight into bytes: a series of 500 slices has 50,000 elements.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dicom_core::header::Header;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{Tag, VR};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use std::io::Write;

/// Binary and text values longer than this are given by BulkDataURI.
pub(crate) const INLINE_LIMIT: usize = 1024;

/// Where values left out of the text can be fetched; the path inside the data set is added.
#[derive(Debug, Clone)]
pub(crate) struct BulkBase(pub String);

/// Writes one data set. With `bulk`, long values become URIs; without, they are left out.
pub(crate) fn write_object(out: &mut Vec<u8>, object: &InMemDicomObject, bulk: Option<&BulkBase>) {
    let mut path = String::new();
    members(out, object, bulk, &mut path);
    out.push(b'}');
}

/// As `write_object`, with Pixel Data (7FE0,0010), which the header leaves out, as a URI of its own.
pub(crate) fn write_with_pixels(
    out: &mut Vec<u8>,
    object: &InMemDicomObject,
    bulk: &BulkBase,
    pixels: Option<(VR, &str)>,
) {
    let mut path = String::new();
    let first = members(out, object, Some(bulk), &mut path);
    if let Some((vr, uri)) = pixels {
        if !first {
            out.push(b',');
        }
        out.extend(b"\"7FE00010\":{\"vr\":\"");
        out.extend(vr.to_bytes());
        out.extend(b"\",\"BulkDataURI\":");
        string(out, uri);
        out.push(b'}');
    }
    out.push(b'}');
}

/// Writes `{` and the elements; tells whether there were none.
fn members(out: &mut Vec<u8>, object: &InMemDicomObject, bulk: Option<&BulkBase>, path: &mut String) -> bool {
    out.push(b'{');
    let mut first = true;
    for element in object.iter() {
        let tag = element.tag();
        // Group lengths and the command and meta groups are not part of the model (PS3.18 F.2.2).
        if tag.element() == 0 || tag.group() <= 2 || tag == Tag(0x7fe0, 0x0010) {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        // Writing into a vector does not fail.
        let _ = write!(out, "\"{:04X}{:04X}\":", tag.group(), tag.element());
        self::element(out, element, bulk, path);
    }
    first
}

fn element(out: &mut Vec<u8>, element: &InMemElement, bulk: Option<&BulkBase>, path: &mut String) {
    let vr = element.vr();
    out.extend(b"{\"vr\":\"");
    out.extend(vr.to_bytes());
    out.push(b'"');
    let tag = element.tag();
    match element.value() {
        Value::Sequence(sequence) => {
            if !sequence.items().is_empty() {
                out.extend(b",\"Value\":[");
                for (i, item) in sequence.items().iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    let length = path.len();
                    path.push_str(&format!("{:04X}{:04X}/{}/", tag.group(), tag.element(), i + 1));
                    members(out, item, bulk, path);
                    out.push(b'}');
                    path.truncate(length);
                }
                out.push(b']');
            }
        }
        Value::PixelSequence(_) => {}
        Value::Primitive(PrimitiveValue::Empty) => {}
        Value::Primitive(value) => {
            let uri = |out: &mut Vec<u8>| {
                if let Some(base) = bulk {
                    out.extend(b",\"BulkDataURI\":");
                    string(out, &format!("{}/{path}{:04X}{:04X}", base.0, tag.group(), tag.element()));
                }
            };
            match vr {
                VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN => {
                    let bytes = value.to_bytes();
                    if bytes.len() > INLINE_LIMIT {
                        uri(out);
                    } else if !bytes.is_empty() {
                        out.extend(b",\"InlineBinary\":\"");
                        out.extend(STANDARD.encode(&bytes).as_bytes());
                        out.push(b'"');
                    }
                }
                VR::UT | VR::UC | VR::UR if value.calculate_byte_len() > 64 * INLINE_LIMIT => uri(out),
                _ => values(out, vr, value),
            }
        }
    }
    out.push(b'}');
}

fn values(out: &mut Vec<u8>, vr: VR, value: &PrimitiveValue) {
    // The reader of data sets leaves lists of millions as one text.
    let texts = || value.to_multi_str();
    match vr {
        VR::PN => list(out, texts().iter().flat_map(|t| t.split('\\')), person_name),
        VR::DS | VR::IS => list(out, texts().iter().flat_map(|t| t.split('\\')), decimal),
        VR::AT => {
            if let PrimitiveValue::Tags(tags) = value {
                list(out, tags.iter(), |out, tag: &Tag| {
                    let _ = write!(out, "\"{:04X}{:04X}\"", tag.group(), tag.element());
                });
            }
        }
        VR::FL | VR::FD => match value.to_multi_float64() {
            Ok(numbers) if vr == VR::FD => list(out, numbers.iter(), |out, n| float(out, *n)),
            // The shortest text that gives the same 32-bit number back.
            Ok(numbers) => list(out, numbers.iter(), |out, n| {
                let narrow = *n as f32;
                if narrow.is_finite() {
                    let _ = write!(out, "{narrow:?}");
                } else {
                    float(out, *n);
                }
            }),
            Err(_) => {}
        },
        VR::SS | VR::US | VR::SL | VR::UL | VR::SV => {
            if let Ok(numbers) = value.to_multi_int::<i64>() {
                list(out, numbers.iter(), |out, n| {
                    let _ = write!(out, "{n}");
                });
            }
        }
        VR::UV => {
            if let Ok(numbers) = value.to_multi_int::<u64>() {
                list(out, numbers.iter(), |out, n| {
                    let _ = write!(out, "{n}");
                });
            }
        }
        // These hold one value; a backslash in them is text (PS3.5 6.2).
        VR::ST | VR::LT | VR::UT | VR::UR => {
            let text = value.to_str();
            let text = text.trim_end_matches([' ', '\0']);
            if !text.is_empty() {
                list(out, std::iter::once(text), string);
            }
        }
        _ => {
            list(out, texts().iter().flat_map(|t| t.split('\\')), |out, text| {
                let text = text.trim_matches('\0');
                let text = if vr == VR::UC { text.trim_end_matches(' ') } else { text.trim_matches(' ') };
                nullable(out, text);
            });
        }
    }
}

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut one: impl FnMut(&mut Vec<u8>, T)) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    out.extend(b",\"Value\":[");
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

/// An empty value among several is null (PS3.18 F.2.5).
fn nullable(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() { out.extend(b"null") } else { string(out, text) }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a str into a vector does not fail.
    let _ = serde_json::to_writer(&mut *out, text);
}

/// DS and IS as numbers where they are numbers; what devices write otherwise stays text (PS3.18 F.2.3).
fn decimal(out: &mut Vec<u8>, text: &str) {
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() {
        out.extend(b"null");
    } else if let Ok(whole) = text.parse::<i64>() {
        let _ = write!(out, "{whole}");
    } else {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let _ = write!(out, "{number:?}");
            }
            _ => string(out, text),
        }
    }
}

fn float(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        let _ = write!(out, "{number:?}");
    } else if number.is_nan() {
        out.extend(b"\"NaN\"");
    } else {
        out.extend(if number > 0.0 { b"\"inf\"".as_slice() } else { b"\"-inf\"" });
    }
}

fn person_name(out: &mut Vec<u8>, text: &str) {
    // The groups as they stand: which is which has been settled when the name was written.
    let mut groups = text.trim_matches(['\0', ' ']).splitn(3, '=').map(str::trim);
    let pairs = ["Alphabetic", "Ideographic", "Phonetic"].map(|name| (name, groups.next().unwrap_or_default()));
    if pairs.iter().all(|(_, group)| group.is_empty()) {
        out.extend(b"null");
        return;
    }
    out.push(b'{');
    let mut first = true;
    for (name, group) in pairs {
        if group.is_empty() {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        let _ = write!(out, "\"{name}\":");
        string(out, group);
    }
    out.push(b'}');
}

/// Reads the value a bulk data path points at: `00880200/1/7FE00010`.
pub(crate) fn find<'a>(object: &'a InMemDicomObject, path: &str) -> Option<&'a InMemElement> {
    let mut object = object;
    let mut pieces = path.split('/').take(64);
    loop {
        let element = object.get(crate::qido::parse_hex_tag(pieces.next()?)?)?;
        let Some(item) = pieces.next() else { return Some(element) };
        let at: usize = item.parse::<usize>().ok()?.checked_sub(1)?;
        object = element.value().items()?.get(at)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::DataElement;
    use dicom_core::value::DataSetSequence;
    use dicom_dictionary_std::tags;

    fn json(object: &InMemDicomObject) -> serde_json::Value {
        let mut out = Vec::new();
        write_object(&mut out, object, Some(&BulkBase("/b".to_owned())));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn elements_of_each_kind() {
        let item = InMemDicomObject::from_element_iter([DataElement::new(
            tags::ICON_IMAGE_SEQUENCE,
            VR::OB,
            PrimitiveValue::from(vec![1u8; 2000]),
        )]);
        let object = InMemDicomObject::from_element_iter([
            DataElement::new(tags::PATIENT_NAME, VR::PN, "Zhang^San=张^三"),
            DataElement::new(tags::SLICE_THICKNESS, VR::DS, "1.50 "),
            DataElement::new(tags::INSTANCE_NUMBER, VR::IS, "12"),
            DataElement::new(tags::PIXEL_SPACING, VR::DS, PrimitiveValue::Strs(["0.5".into(), "x".into()][..].into())),
            DataElement::new(tags::STUDY_DATE, VR::DA, PrimitiveValue::Empty),
            DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(512u16)),
            DataElement::new(tags::DIFFUSION_B_VALUE, VR::FD, PrimitiveValue::from(f64::NAN)),
            DataElement::new(Tag(0x0009, 0x1001), VR::UN, PrimitiveValue::from(vec![1u8, 2])),
            DataElement::new(Tag(0x0009, 0x1002), VR::OB, PrimitiveValue::from(vec![0u8; 4000])),
            DataElement::new(tags::REFERENCED_IMAGE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item])),
            DataElement::new(tags::IMAGE_COMMENTS, VR::LT, "a\\b "),
        ]);
        let json = json(&object);
        assert_eq!(json["00100010"]["Value"][0]["Ideographic"], "张^三");
        assert_eq!(json["00180050"]["Value"][0], 1.5);
        assert_eq!(json["00200013"]["Value"][0], 12);
        assert_eq!(json["00280030"]["Value"], serde_json::json!([0.5, "x"]));
        assert_eq!(json["00080020"], serde_json::json!({"vr": "DA"}));
        assert_eq!(json["00280010"]["Value"][0], 512);
        assert_eq!(json["00189087"]["Value"][0], "NaN");
        assert_eq!(json["00091001"]["InlineBinary"], "AQI=");
        assert_eq!(json["00091002"]["BulkDataURI"], "/b/00091002");
        assert_eq!(json["00081140"]["Value"][0]["00880200"]["BulkDataURI"], "/b/00081140/1/00880200");
        assert_eq!(json["00204000"]["Value"][0], "a\\b");
        assert!(find(&object, "00081140/1/00880200").is_some());
        for bad in ["", "00081140/0/00880200", "00081140/2/00880200", "../..", "00100010/1/00100010"] {
            assert!(find(&object, bad).is_none(), "{bad}");
        }
    }
}
