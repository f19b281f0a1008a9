//! Finds one element at the top level of a data set from its first bytes, without building anything.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// Sequences inside sequences that are followed.
const MAX_DEPTH: u32 = 32;
const UNDEFINED: usize = 0xffff_ffff;

/// What the bytes say about the element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// Its value, without the padding.
    Found(Vec<u8>),
    /// It is not there: a later element, or the pixels, came first.
    Absent,
    /// The bytes end before its place.
    More,
    /// Not a data set of this encoding.
    Damaged,
}

struct Reader<'a> {
    bytes: &'a [u8],
    implicit: bool,
    big: bool,
}

enum Stop {
    More,
    Damaged,
}

impl Reader<'_> {
    fn short(&self, at: usize) -> Result<u16, Stop> {
        let two: [u8; 2] = self.bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).ok_or(Stop::More)?;
        Ok(if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    fn long(&self, at: usize) -> Result<usize, Stop> {
        let four: [u8; 4] = self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or(Stop::More)?;
        Ok(if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) } as usize)
    }

    fn tag(&self, at: usize) -> Result<Tag, Stop> {
        Ok(Tag(self.short(at)?, self.short(at + 2)?))
    }

    /// Where the value begins and how long it is, `UNDEFINED` where the end must be searched; whether what lies in it is
    /// in implicit VR: UN of undefined length is a sequence in that (PS3.5 6.2.2 note 4).
    fn element(&self, tag: Tag, at: usize, implicit: bool) -> Result<(usize, usize, bool), Stop> {
        if implicit || tag.group() == 0xfffe {
            return Ok((at + 8, self.long(at + 4)?, implicit));
        }
        let vr: [u8; 2] = self.bytes.get(at + 4..at + 6).and_then(|b| b.try_into().ok()).ok_or(Stop::More)?;
        let vr = VR::from_binary(vr).ok_or(Stop::Damaged)?;
        match vr {
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
            | VR::UV => Ok((at + 12, self.long(at + 8)?, vr == VR::UN)),
            _ => Ok((at + 8, usize::from(self.short(at + 6)?), false)),
        }
    }

    /// The end of a sequence or item of undefined length whose content begins at `at`.
    fn skip(&self, mut at: usize, depth: u32, implicit: bool) -> Result<usize, Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Damaged);
        }
        loop {
            let tag = self.tag(at)?;
            let (start, length, implicit_inside) = self.element(tag, at, implicit)?;
            if matches!(tag, Tag(0xfffe, 0xe00d | 0xe0dd)) {
                return Ok(start);
            }
            at = if length == UNDEFINED { self.skip(start, depth + 1, implicit_inside)? } else { start + length };
        }
    }

    fn find(&self, wanted: Tag) -> Result<Option<Vec<u8>>, Stop> {
        let mut at = 0;
        loop {
            let tag = self.tag(at)?;
            if tag > wanted {
                return Ok(None);
            }
            let (start, length, implicit_inside) = self.element(tag, at, self.implicit)?;
            if tag == wanted {
                if length > 1 << 16 {
                    return Err(Stop::Damaged);
                }
                let value = self.bytes.get(start..start + length).ok_or(Stop::More)?;
                let kept = value.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |last| last + 1);
                return Ok(Some(value.get(..kept).unwrap_or_default().to_vec()));
            }
            at = if length == UNDEFINED { self.skip(start, 0, implicit_inside)? } else { start + length };
        }
    }
}

/// Looks for `wanted` in the first bytes of a data set. Deflated data sets count as damaged: inflate them first.
pub fn peek(data_set: &[u8], transfer_syntax: &str, wanted: Tag) -> Peek {
    if transfer_syntax == "1.2.840.10008.1.2.1.99" {
        return Peek::Damaged;
    }
    let reader = Reader {
        bytes: data_set,
        implicit: transfer_syntax == "1.2.840.10008.1.2",
        big: transfer_syntax == "1.2.840.10008.1.2.2",
    };
    match reader.find(wanted) {
        Ok(Some(value)) => Peek::Found(value),
        Ok(None) => Peek::Absent,
        Err(Stop::More) => Peek::More,
        Err(Stop::Damaged) => Peek::Damaged,
    }
}

/// The VR that the dictionary gives; UN for private and unknown attributes.
pub fn vr_of(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::DataElement;
    use dicom_core::value::DataSetSequence;
    use dicom_dictionary_std::tags;
    use dicom_object::InMemDicomObject;
    use dicom_transfer_syntax_registry::entries;
    use proptest::prelude::*;

    fn object() -> InMemDicomObject {
        let item = InMemDicomObject::from_element_iter([DataElement::new(tags::CODE_VALUE, VR::SH, "x")]);
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
            DataElement::new(tags::PROCEDURE_CODE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item.clone(), item])),
            DataElement::new(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.840.99"),
            DataElement::new(tags::INSTANCE_NUMBER, VR::IS, "1"),
        ])
    }

    #[test]
    fn found_in_every_encoding() {
        for (uid, syntax) in [
            ("1.2.840.10008.1.2", entries::IMPLICIT_VR_LITTLE_ENDIAN.erased()),
            ("1.2.840.10008.1.2.1", entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()),
            ("1.2.840.10008.1.2.2", entries::EXPLICIT_VR_BIG_ENDIAN.erased()),
        ] {
            let mut bytes = Vec::new();
            object().write_dataset_with_ts(&mut bytes, &syntax).unwrap();
            assert_eq!(peek(&bytes, uid, tags::STUDY_INSTANCE_UID), Peek::Found(b"1.2.840.99".to_vec()), "{uid}");
            assert_eq!(peek(&bytes, uid, tags::MODALITY), Peek::Absent);
            assert_eq!(peek(&bytes[..20], uid, tags::STUDY_INSTANCE_UID), Peek::More);
        }
        assert_eq!(peek(&[0xff; 64], "1.2.840.10008.1.2.1", tags::STUDY_INSTANCE_UID), Peek::Absent);
    }

    #[test]
    fn an_unknown_sequence_before_it_is_passed_over() {
        let bytes = b"\x09\x00\x01\x10UN\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\x0a\0\0\0\x10\x00\x20\x00\x02\0\0\0P2\
            \xfe\xff\xdd\xe0\0\0\0\0\x20\x00\x0d\x00UI\x04\x001.2\0";
        assert_eq!(peek(bytes, "1.2.840.10008.1.2.1", tags::STUDY_INSTANCE_UID), Peek::Found(b"1.2".to_vec()));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), implicit in any::<bool>()) {
            let syntax = if implicit { "1.2.840.10008.1.2" } else { "1.2.840.10008.1.2.1" };
            peek(&bytes, syntax, tags::STUDY_INSTANCE_UID);
        }
    }
}
