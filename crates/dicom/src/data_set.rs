//! Data sets from bytes, with every cost bounded and every text decoded by `Charset`, and back to bytes.
//!
//! The general reader of dicom-rs trusts lengths and declared character sets; what comes from modalities deserves
//! neither. Pixel Data is left out: it stays where it is.

use crate::Charset;
use crate::peek::vr_of;
use dicom_core::header::{DataElement, Header, Length};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

const UNDEFINED: usize = 0xffff_ffff;
/// Values of text elements that are told apart in one data set; each costs some 50 bytes beside its own. The contours of
/// the largest plans have a few million. Elements beyond keep their backslashes.
const MAX_VALUES: usize = 2 << 20;

/// Bounds on what one data set may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sequences within sequences. Structured reports reach about 20.
    pub depth: u32,
    /// Elements, items included.
    pub elements: u32,
    /// Values longer than this are left out.
    pub value: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, elements: 500_000, value: 64 << 20 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataSetError {
    #[error("the data set ends inside an element")]
    Truncated,
    #[error("the data set is not encoded as its transfer syntax says")]
    Damaged,
    #[error("the data set has too many elements or too deep sequences")]
    TooComplex,
    #[error("the data set is deflated")]
    Deflated,
}

/// Reads the data set up to Pixel Data (7FE0,xxxx), or to the end of the bytes. Texts become Unicode under the set
/// that Specific Character Set names, or under the one they are really in; the element itself is kept as sent.
pub fn read_data_set(bytes: &[u8], transfer_syntax: &str, limits: Limits) -> Result<InMemDicomObject, DataSetError> {
    if transfer_syntax == "1.2.840.10008.1.2.1.99" {
        return Err(DataSetError::Deflated);
    }
    let mut reader = Reader {
        bytes,
        implicit: transfer_syntax == "1.2.840.10008.1.2",
        big: transfer_syntax == "1.2.840.10008.1.2.2",
        left: limits.elements,
        values: MAX_VALUES,
        limits,
    };
    let (object, _) = reader.object(0, bytes.len(), false, 0, &Charset::default(), &mut Signs::default())?;
    Ok(object)
}

struct Reader<'a> {
    bytes: &'a [u8],
    implicit: bool,
    big: bool,
    left: u32,
    values: usize,
    limits: Limits,
}

/// What decides between US and SS where implicit VR leaves it open (PS3.5 A.1).
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    pixels_signed: bool,
}

impl Reader<'_> {
    fn short(&self, at: usize) -> Result<u16, DataSetError> {
        let two = self.bytes.get(at..at + 2).and_then(|b| <[u8; 2]>::try_from(b).ok());
        let two = two.ok_or(DataSetError::Truncated)?;
        Ok(if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    fn long(&self, at: usize) -> Result<usize, DataSetError> {
        let four = self.bytes.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
        let four = four.ok_or(DataSetError::Truncated)?;
        Ok(if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) } as usize)
    }

    fn count(&mut self) -> Result<(), DataSetError> {
        self.left = self.left.checked_sub(1).ok_or(DataSetError::TooComplex)?;
        Ok(())
    }

    /// VR, start and length of the element at `at`.
    fn head(&self, tag: Tag, at: usize, signs: Signs) -> Result<(VR, usize, usize), DataSetError> {
        if tag.group() == 0xfffe {
            return Ok((VR::UN, at + 8, self.long(at + 4)?));
        }
        if self.implicit {
            return Ok((Self::implied(tag, signs), at + 8, self.long(at + 4)?));
        }
        let vr = self.bytes.get(at + 4..at + 6).and_then(|b| <[u8; 2]>::try_from(b).ok());
        let vr = VR::from_binary(vr.ok_or(DataSetError::Truncated)?).ok_or(DataSetError::Damaged)?;
        Ok(match vr {
            VR::OB
            | VR::OW
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::SQ
            | VR::UC
            | VR::UR
            | VR::UT
            | VR::UN
            | VR::SV
            | VR::UV => (vr, at + 12, self.long(at + 8)?),
            _ => (vr, at + 8, usize::from(self.short(at + 6)?)),
        })
    }

    fn implied(tag: Tag, signs: Signs) -> VR {
        match tag {
            tags::SMALLEST_IMAGE_PIXEL_VALUE
            | tags::LARGEST_IMAGE_PIXEL_VALUE
            | tags::PIXEL_PADDING_VALUE
            | tags::PIXEL_PADDING_RANGE_LIMIT
                if signs.pixels_signed =>
            {
                VR::SS
            }
            _ if tag.element() == 0 => VR::UL,
            // Private creators are the one kind of private element whose VR is known (PS3.5 7.8.1).
            _ if tag.group() % 2 == 1 && (0x10..=0xff).contains(&tag.element()) => VR::LO,
            _ => vr_of(tag),
        }
    }

    /// Reads elements from `at` to `end`, or to the item delimiter where the length is undefined. Gives the position
    /// behind what was read.
    fn object(
        &mut self,
        mut at: usize,
        end: usize,
        delimited: bool,
        depth: u32,
        charset: &Charset,
        signs: &mut Signs,
    ) -> Result<(InMemDicomObject, usize), DataSetError> {
        if depth > self.limits.depth {
            return Err(DataSetError::TooComplex);
        }
        let mut object = InMemDicomObject::new_empty();
        let mut charset = charset.clone();
        while at < end {
            let tag = Tag(self.short(at)?, self.short(at + 2)?);
            if depth == 0 && tag.group() == 0x7fe0 {
                break;
            }
            let (vr, start, length) = self.head(tag, at, *signs)?;
            if tag == Tag(0xfffe, 0xe00d) {
                // Some devices close defined lengths with a delimiter too, which then is the last thing in them.
                return if delimited || (depth > 0 && start == end) {
                    Ok((object, start))
                } else {
                    Err(DataSetError::Damaged)
                };
            }
            self.count()?;
            if tag == Tag(0xfffc, 0xfffc) {
                break;
            }
            if tag.group() == 0xfffe {
                return Err(DataSetError::Damaged);
            }
            if length == UNDEFINED {
                // UN of undefined length is a sequence in implicit VR (PS3.5 6.2.2 note 4).
                let was_implicit = self.implicit;
                self.implicit |= vr == VR::UN;
                let read = self.sequence(start, end, true, depth, &charset, signs);
                self.implicit = was_implicit;
                let (items, next) = read?;
                put(&mut object, DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)));
                at = next;
                continue;
            }
            let next = start.checked_add(length).filter(|next| *next <= end).ok_or(DataSetError::Truncated)?;
            if vr == VR::SQ {
                let (items, _) = self.sequence(start, next, false, depth, &charset, signs)?;
                put(&mut object, DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)));
            } else if length <= self.limits.value && object.get(tag).is_none() {
                let value = self.bytes.get(start..next).ok_or(DataSetError::Truncated)?;
                let element = self.element(tag, vr, value, &charset, *signs);
                if tag == tags::SPECIFIC_CHARACTER_SET {
                    charset = Charset::parse(&element.to_raw_text());
                } else if tag == tags::PIXEL_REPRESENTATION {
                    signs.pixels_signed = element.to_int::<u16>().is_ok_and(|value| value == 1);
                }
                put(&mut object, element);
            }
            at = next;
        }
        if delimited { Err(DataSetError::Truncated) } else { Ok((object, at)) }
    }

    fn sequence(
        &mut self,
        mut at: usize,
        end: usize,
        delimited: bool,
        depth: u32,
        charset: &Charset,
        signs: &mut Signs,
    ) -> Result<(Vec<InMemDicomObject>, usize), DataSetError> {
        let mut items = Vec::new();
        while at < end {
            let tag = Tag(self.short(at)?, self.short(at + 2)?);
            let length = self.long(at + 4)?;
            self.count()?;
            match tag {
                Tag(0xfffe, 0xe0dd) if delimited || at + 8 == end => return Ok((items, at + 8)),
                Tag(0xfffe, 0xe000) => {
                    let start = at + 8;
                    let undefined = length == UNDEFINED;
                    let item_end = if undefined {
                        end
                    } else {
                        start.checked_add(length).filter(|e| *e <= end).ok_or(DataSetError::Truncated)?
                    };
                    let (item, next) = self.object(start, item_end, undefined, depth + 1, charset, signs)?;
                    items.push(item);
                    at = if undefined { next } else { item_end };
                }
                _ => return Err(DataSetError::Damaged),
            }
        }
        if delimited { Err(DataSetError::Truncated) } else { Ok((items, end)) }
    }

    fn element(&mut self, tag: Tag, vr: VR, value: &[u8], charset: &Charset, signs: Signs) -> InMemElement {
        // Writers that did not know an attribute send it as UN, little endian, implicit (PS3.5 6.2.2 note 2).
        let (vr, big) = match vr {
            VR::UN if !self.implicit && tag.group().is_multiple_of(2) => match Self::implied(tag, signs) {
                VR::SQ | VR::UN => (VR::UN, false),
                known => (known, false),
            },
            VR::UN => (VR::UN, false),
            other => (other, self.big),
        };
        let value = match vr {
            _ if value.is_empty() => PrimitiveValue::Empty,
            VR::US => PrimitiveValue::U16(words(value, big).collect()),
            VR::SS => PrimitiveValue::I16(words(value, big).map(|w| w as i16).collect()),
            VR::UL => PrimitiveValue::U32(longs(value, big).collect()),
            VR::SL => PrimitiveValue::I32(longs(value, big).map(|w| w as i32).collect()),
            VR::FL => PrimitiveValue::F32(longs(value, big).map(f32::from_bits).collect()),
            VR::FD => PrimitiveValue::F64(quads(value, big).map(f64::from_bits).collect()),
            VR::SV => PrimitiveValue::I64(quads(value, big).map(|w| w as i64).collect()),
            VR::UV => PrimitiveValue::U64(quads(value, big).collect()),
            VR::AT => PrimitiveValue::Tags(
                value
                    .chunks_exact(4)
                    .filter_map(|pair| {
                        let mut halves = words(pair, big);
                        Some(Tag(halves.next()?, halves.next()?))
                    })
                    .collect(),
            ),
            VR::OW if big => PrimitiveValue::U8(value.chunks_exact(2).flat_map(|w| w.iter().rev().copied()).collect()),
            VR::OB | VR::OW | VR::OD | VR::OF | VR::OL | VR::OV | VR::UN => PrimitiveValue::U8(value.into()),
            _ => self.text(charset, vr, value),
        };
        DataElement::new(tag, vr, value)
    }

    /// Texts trimmed of padding; several values are told apart where the VR allows them.
    fn text(&mut self, charset: &Charset, vr: VR, value: &[u8]) -> PrimitiveValue {
        let kept = value.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |last| last + 1);
        let text = charset.decode(value.get(..kept).unwrap_or_default(), vr);
        let more = text.bytes().filter(|b| *b == b'\\').count();
        let single = more == 0 || matches!(vr, VR::ST | VR::LT | VR::UT | VR::UR);
        match self.values.checked_sub(more) {
            Some(left) if !single => {
                self.values = left;
                let values = text.split('\\').map(|one| one.trim_end_matches([' ', '\0']).to_owned());
                // Counted before, so that the memory does not double on the way.
                let mut list = Vec::with_capacity(more + 1);
                list.extend(values);
                PrimitiveValue::Strs(list.into())
            }
            _ => PrimitiveValue::Str(text),
        }
    }
}

/// An element stands in a data set once (PS3.5 7.1). Of one that is repeated the first counts, as in `peek` and in the
/// archive's index: a second patient must not show in one place and not in another.
fn put(object: &mut InMemDicomObject, element: InMemElement) {
    if object.get(element.tag()).is_none() {
        object.put(element);
    }
}

/// The first value of a text element, untrimmed, with the backslashes of several values in place.
trait RawText {
    fn to_raw_text(&self) -> String;
}

impl RawText for InMemElement {
    fn to_raw_text(&self) -> String {
        self.to_multi_str().map(|values| values.join("\\")).unwrap_or_default()
    }
}

fn words(value: &[u8], big: bool) -> impl Iterator<Item = u16> + '_ {
    value.chunks_exact(2).filter_map(move |b| {
        let two = <[u8; 2]>::try_from(b).ok()?;
        Some(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    })
}

fn longs(value: &[u8], big: bool) -> impl Iterator<Item = u32> + '_ {
    value.chunks_exact(4).filter_map(move |b| {
        let four = <[u8; 4]>::try_from(b).ok()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    })
}

fn quads(value: &[u8], big: bool) -> impl Iterator<Item = u64> + '_ {
    value.chunks_exact(8).filter_map(move |b| {
        let eight = <[u8; 8]>::try_from(b).ok()?;
        Some(if big { u64::from_be_bytes(eight) } else { u64::from_le_bytes(eight) })
    })
}

/// Names the Unicode that texts in memory are in, so that writers encode them as such.
pub fn declare_utf8(object: &mut InMemDicomObject) {
    object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_transfer_syntax_registry::entries;
    use proptest::prelude::*;

    const SYNTAXES: [&str; 3] = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"];

    fn sample() -> InMemDicomObject {
        let item = InMemDicomObject::from_element_iter([
            DataElement::new(tags::CODE_VALUE, VR::SH, "x1"),
            DataElement::new(tags::CODE_MEANING, VR::LO, "胸部"),
        ]);
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
            DataElement::new(tags::IMAGE_TYPE, VR::CS, PrimitiveValue::Strs(["A".into(), "B".into()][..].into())),
            DataElement::new(tags::STUDY_DESCRIPTION, VR::LO, "平扫"),
            DataElement::new(tags::PROCEDURE_CODE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item.clone(), item])),
            DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(512u16)),
            DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, PrimitiveValue::from(1u16)),
            DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-2000i16)),
            DataElement::new(tags::DIFFUSION_B_VALUE, VR::FD, PrimitiveValue::from(1.5f64)),
            DataElement::new(tags::FRAME_INCREMENT_POINTER, VR::AT, PrimitiveValue::from(tags::FRAME_TIME)),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(vec![1u8; 8])),
        ])
    }

    fn encode(object: &InMemDicomObject, syntax: &str) -> Vec<u8> {
        let entry = match syntax {
            "1.2.840.10008.1.2" => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
            "1.2.840.10008.1.2.2" => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
            _ => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        };
        let mut bytes = Vec::new();
        object.write_dataset_with_ts(&mut bytes, &entry).unwrap();
        bytes
    }

    #[test]
    #[allow(clippy::float_cmp)]
    fn every_encoding_reads_alike() {
        for syntax in SYNTAXES {
            let read = read_data_set(&encode(&sample(), syntax), syntax, Limits::default()).unwrap();
            assert_eq!(read.element(tags::STUDY_DESCRIPTION).unwrap().to_str().unwrap(), "平扫", "{syntax}");
            assert_eq!(read.element(tags::IMAGE_TYPE).unwrap().to_multi_str().unwrap().as_ref(), ["A", "B"]);
            assert_eq!(read.element(tags::ROWS).unwrap().to_int::<u16>().unwrap(), 512);
            assert_eq!(read.element(tags::PIXEL_PADDING_VALUE).unwrap().to_int::<i32>().unwrap(), -2000);
            assert_eq!(read.element(tags::DIFFUSION_B_VALUE).unwrap().to_float64().unwrap(), 1.5);
            let items = read.element(tags::PROCEDURE_CODE_SEQUENCE).unwrap().value().items().unwrap();
            assert_eq!(items.len(), 2);
            assert_eq!(items[1].element(tags::CODE_MEANING).unwrap().to_str().unwrap(), "胸部");
            assert!(read.get(tags::PIXEL_DATA).is_none());
        }
    }

    #[test]
    fn mislabelled_names_are_read_right() {
        let (name, _, _) = encoding_rs::GB18030.encode("张^三丰");
        let mut bytes = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100".to_vec();
        bytes.extend(b"\x10\x00\x10\x00PN");
        bytes.extend((name.len() as u16 + 1).to_le_bytes());
        bytes.extend(name.as_ref());
        bytes.push(b' ');
        let read = read_data_set(&bytes, "1.2.840.10008.1.2.1", Limits::default()).unwrap();
        assert_eq!(read.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "张^三丰");
    }

    #[test]
    fn of_a_repeated_element_the_first_counts() {
        let bytes = b"\x10\x00\x20\x00LO\x02\x00P1\x10\x00\x20\x00LO\x02\x00P2";
        let read = read_data_set(bytes, SYNTAXES[1], Limits::default()).unwrap();
        assert_eq!(read.element(tags::PATIENT_ID).unwrap().to_str().unwrap(), "P1");
        assert_eq!(crate::peek(bytes, SYNTAXES[1], tags::PATIENT_ID), crate::Peek::Found(b"P1".to_vec()));
    }

    #[test]
    fn bounds_hold() {
        let mut deep = Vec::new();
        for _ in 0..200 {
            deep.extend(b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff");
        }
        let limits = Limits::default();
        assert_eq!(read_data_set(&deep, SYNTAXES[1], limits).err(), Some(DataSetError::TooComplex));
        let many: Vec<u8> = (0..100).flat_map(|_| *b"\x08\x00\x60\x00CS\x02\x00CT").collect();
        let few = Limits { elements: 50, ..limits };
        assert_eq!(read_data_set(&many, SYNTAXES[1], few).err(), Some(DataSetError::TooComplex));
        let mut values = b"\x08\x00\x08\x00".to_vec();
        values.extend((8u32 << 20).to_le_bytes());
        values.resize(8 + (8 << 20), b'\\');
        let read = read_data_set(&values, SYNTAXES[0], limits).unwrap();
        assert_eq!(
            read.element(tags::IMAGE_TYPE).unwrap().value().multiplicity(),
            1,
            "8 Mi empty values stay one text"
        );
        assert_eq!(
            read_data_set(b"\x10\x00\x10\x00PN\xff\x00abc", SYNTAXES[1], limits).err(),
            Some(DataSetError::Truncated)
        );
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), syntax in 0usize..3) {
            let _ = read_data_set(&bytes, SYNTAXES[syntax], Limits::default());
        }

        #[test]
        fn damaged_samples(at in 0usize..400, with in any::<u8>(), syntax in 0usize..3, cut in 0usize..400) {
            let mut bytes = encode(&sample(), SYNTAXES[syntax]);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut);
            let _ = read_data_set(&bytes, SYNTAXES[syntax], Limits::default());
        }
    }
}
