//! Identifiers and attribute lists of messages: small data sets, read within bounds and written in the peer's
//! character set. Objects with pixels never come here.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{PrimitiveValue, Value as DicomValue};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use mingying_dicom::{Charset, DataSetError, Limits, honours_charset, read_data_set};
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// Sequences within sequences: MPPS and worklist need three. An MPPS of a long study names 10,000 objects.
const LIMITS: Limits = Limits { depth: 8, elements: 100_000, value: 1 << 20 };
const ITEM: Tag = Tag(0xFFFE, 0xE000);

/// The two transfer syntaxes in which messages other than C-STORE are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    ImplicitLittle,
    ExplicitLittle,
}

impl Encoding {
    pub(crate) fn of(transfer_syntax: &str) -> Option<Self> {
        match transfer_syntax {
            crate::uids::IMPLICIT_LITTLE => Some(Self::ImplicitLittle),
            crate::uids::EXPLICIT_LITTLE => Some(Self::ExplicitLittle),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Decoded text; several values are parted by backslashes. Numbers of binary VRs are in decimal.
    Text(String),
    /// Values of VRs without a text form.
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Element {
    pub(crate) vr: VR,
    pub(crate) value: Value,
}

/// A data set in memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct DataSet {
    elements: BTreeMap<Tag, Element>,
}

impl DataSet {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Tag, &Element)> {
        self.elements.iter()
    }

    pub(crate) fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.get(&tag)
    }

    pub(crate) fn put(&mut self, tag: Tag, vr: VR, value: Value) {
        self.elements.insert(tag, Element { vr, value });
    }

    pub(crate) fn remove(&mut self, tag: Tag) {
        self.elements.remove(&tag);
    }

    pub(crate) fn put_text(&mut self, tag: Tag, value: impl Into<String>) {
        self.put(tag, vr_of(tag), Value::Text(value.into()));
    }

    pub(crate) fn put_items(&mut self, tag: Tag, items: Vec<DataSet>) {
        self.put(tag, VR::SQ, Value::Items(items));
    }

    /// The text of an element, trimmed; empty when absent.
    pub(crate) fn text(&self, tag: Tag) -> &str {
        match self.elements.get(&tag) {
            Some(Element { value: Value::Text(text), .. }) => text.trim(),
            _ => "",
        }
    }

    /// The items of a sequence; none when absent.
    pub(crate) fn items(&self, tag: Tag) -> &[DataSet] {
        match self.elements.get(&tag) {
            Some(Element { value: Value::Items(items), .. }) => items,
            _ => &[],
        }
    }

    /// The first item of a sequence, to be changed.
    pub(crate) fn first_item_mut(&mut self, tag: Tag) -> Option<&mut DataSet> {
        match self.elements.get_mut(&tag) {
            Some(Element { value: Value::Items(items), .. }) => items.first_mut(),
            _ => None,
        }
    }

    /// Reads a data set, within bounds.
    pub(crate) fn parse(bytes: &[u8], encoding: Encoding) -> Result<Self, DataSetError> {
        let syntax = match encoding {
            Encoding::ImplicitLittle => crate::uids::IMPLICIT_LITTLE,
            Encoding::ExplicitLittle => crate::uids::EXPLICIT_LITTLE,
        };
        Ok(Self::from_object(&read_data_set(bytes, syntax, LIMITS)?))
    }

    /// Writes the data set; text that the character set cannot express has `?` in its place.
    pub(crate) fn encode(&self, encoding: Encoding, charset: &Charset) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        write_set(&mut out, self, encoding, charset, false);
        out
    }

    /// The elements of an object in memory.
    pub(crate) fn from_object(object: &InMemDicomObject) -> Self {
        let mut set = Self::default();
        for element in object {
            let value = match element.value() {
                DicomValue::Sequence(sequence) => {
                    Value::Items(sequence.items().iter().map(Self::from_object).collect())
                }
                // As eight digits, like DICOM JSON has them (PS3.18 F.2.2).
                DicomValue::Primitive(PrimitiveValue::Tags(list)) => {
                    let list: Vec<String> = list.iter().map(|tag| format!("{:04X}{:04X}", tag.0, tag.1)).collect();
                    Value::Text(list.join("\\"))
                }
                DicomValue::Primitive(value) if has_text(element.vr()) => Value::Text(value.to_multi_str().join("\\")),
                DicomValue::Primitive(value) => Value::Bytes(value.to_bytes().into_owned()),
                DicomValue::PixelSequence(_) => continue,
            };
            let header = element.header();
            set.put(header.tag, header.vr, value);
        }
        set
    }

    /// The DICOM JSON model (PS3.18 F.2), without bulk data.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut object = Map::new();
        for (tag, element) in &self.elements {
            let values: Vec<serde_json::Value> = match &element.value {
                Value::Items(items) => items.iter().map(Self::to_json).collect(),
                Value::Bytes(_) => continue,
                Value::Text(text) if text.is_empty() => Vec::new(),
                Value::Text(text) if element.vr == VR::PN => text.split('\\').map(name_json).collect(),
                Value::Text(text) if is_number(element.vr) => text.split('\\').map(number_json).collect(),
                Value::Text(text) if is_single(element.vr) => vec![json!(text)],
                Value::Text(text) => text.split('\\').map(|v| json!(v.trim())).collect(),
            };
            let mut entry = Map::new();
            entry.insert("vr".to_owned(), json!(element.vr.to_string()));
            if !values.is_empty() {
                entry.insert("Value".to_owned(), json!(values));
            }
            object.insert(format!("{:04X}{:04X}", tag.0, tag.1), serde_json::Value::Object(entry));
        }
        serde_json::Value::Object(object)
    }
}

fn name_json(name: &str) -> serde_json::Value {
    let mut object = Map::new();
    for (group, text) in ["Alphabetic", "Ideographic", "Phonetic"].iter().zip(name.split('=')) {
        if !text.is_empty() {
            object.insert((*group).to_owned(), json!(text));
        }
    }
    serde_json::Value::Object(object)
}

/// A number where the text is one, else the text itself: DS and IS come from devices.
fn number_json(text: &str) -> serde_json::Value {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return json!(whole);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => json!(number),
        _ => json!(text),
    }
}

/// The dictionary's VR; UN for unknown elements.
pub(crate) fn vr_of(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

fn is_number(vr: VR) -> bool {
    matches!(vr, VR::DS | VR::IS | VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD)
}

/// Text VRs in which a backslash is a character (PS3.5 6.2).
fn is_single(vr: VR) -> bool {
    matches!(vr, VR::LT | VR::ST | VR::UT | VR::UR)
}

fn has_text(vr: VR) -> bool {
    !matches!(vr, VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN | VR::SQ)
}

/// VRs with a four-byte length in explicit VR (PS3.5 7.1.2).
fn is_long(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OW
            | VR::OF
            | VR::OD
            | VR::OL
            | VR::OV
            | VR::SQ
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::SV
            | VR::UV
    )
}

fn write_set(out: &mut Vec<u8>, set: &DataSet, encoding: Encoding, charset: &Charset, is_item: bool) {
    for (tag, element) in &set.elements {
        // Group lengths are retired; those of a request are not sent back.
        if tag.1 == 0 {
            continue;
        }
        // Items are written in the character set of the whole; one that they name themselves would be wrong.
        if is_item && *tag == tags::SPECIFIC_CHARACTER_SET {
            continue;
        }
        let bytes = match &element.value {
            Value::Items(items) => {
                let mut value = Vec::new();
                for item in items {
                    let mut inner = Vec::new();
                    write_set(&mut inner, item, encoding, charset, true);
                    write_tag(&mut value, ITEM);
                    value.extend_from_slice(&(inner.len() as u32).to_le_bytes());
                    value.extend_from_slice(&inner);
                }
                value
            }
            Value::Bytes(bytes) => bytes.clone(),
            Value::Text(text) => write_text(text, element.vr, charset),
        };
        write_element(out, *tag, element.vr, bytes, encoding);
    }
}

fn write_tag(out: &mut Vec<u8>, tag: Tag) {
    out.extend_from_slice(&tag.0.to_le_bytes());
    out.extend_from_slice(&tag.1.to_le_bytes());
}

fn write_element(out: &mut Vec<u8>, tag: Tag, vr: VR, mut bytes: Vec<u8>, encoding: Encoding) {
    if bytes.len() % 2 == 1 {
        bytes.push(if honours_charset(vr) || has_padding_blank(vr) { b' ' } else { 0 });
    }
    let long = is_long(vr);
    if encoding == Encoding::ExplicitLittle && !long {
        // A value too long for its VR's length field cannot be sent; it would shift everything after it.
        bytes.truncate(0xFFFE);
    }
    write_tag(out, tag);
    match encoding {
        Encoding::ImplicitLittle => out.extend_from_slice(&(bytes.len() as u32).to_le_bytes()),
        Encoding::ExplicitLittle if long => {
            out.extend_from_slice(&vr.to_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        }
        Encoding::ExplicitLittle => {
            out.extend_from_slice(&vr.to_bytes());
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        }
    }
    out.extend_from_slice(&bytes);
}

fn has_padding_blank(vr: VR) -> bool {
    matches!(vr, VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::TM | VR::UR)
}

fn write_text(text: &str, vr: VR, charset: &Charset) -> Vec<u8> {
    fn numbers<T: std::str::FromStr + Default, const N: usize>(text: &str, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        text.split('\\').filter(|v| !v.is_empty()).flat_map(|v| bytes(v.trim().parse().unwrap_or_default())).collect()
    }
    match vr {
        VR::US => numbers(text, u16::to_le_bytes),
        VR::SS => numbers(text, i16::to_le_bytes),
        VR::UL => numbers(text, u32::to_le_bytes),
        VR::SL => numbers(text, i32::to_le_bytes),
        VR::UV => numbers(text, u64::to_le_bytes),
        VR::SV => numbers(text, i64::to_le_bytes),
        VR::FL => numbers(text, f32::to_le_bytes),
        VR::FD => numbers(text, f64::to_le_bytes),
        VR::AT => text
            .split('\\')
            .filter_map(|v| u32::from_str_radix(v, 16).ok())
            .flat_map(|v| {
                let [a, b, c, d] = v.to_be_bytes();
                [b, a, d, c]
            })
            .collect(),
        VR::PN => charset.encode(text, vr).unwrap_or_else(|_| expressible_name(text, charset)),
        _ => charset.encode(text, vr).unwrap_or_else(|_| expressible(text, vr, charset)),
    }
}

/// The groups of a name that the set can express: `ZHANG^SAN` for a peer that has no Chinese.
fn expressible_name(text: &str, charset: &Charset) -> Vec<u8> {
    let groups: Vec<&str> = text.split('=').map(|g| if charset.encode(g, VR::PN).is_ok() { g } else { "" }).collect();
    let kept = groups.join("=");
    let kept = kept.trim_end_matches('=');
    if kept.is_empty() { expressible(text, VR::PN, charset) } else { charset.encode(kept, VR::PN).unwrap_or_default() }
}

/// The text with `?` for each character that the set does not have.
fn expressible(text: &str, vr: VR, charset: &Charset) -> Vec<u8> {
    let kept: String =
        text.chars().map(|c| if charset.encode(c.encode_utf8(&mut [0; 4]), vr).is_ok() { c } else { '?' }).collect();
    charset.encode(&kept, vr).unwrap_or_default()
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
