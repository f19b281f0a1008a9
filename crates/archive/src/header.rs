//! Reads an object's header up to Pixel Data, with every cost bounded, before anything else looks at it.
//!
//! Every length is checked against what encloses it, sequences included, so that a reader which trusts lengths can be
//! given the header afterwards. Pixel values are never read; of encapsulated pixels only the item headers are.

use crate::fragments::Fragment;
use dicom_core::dictionary::DataDictionary;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// Sequences within sequences. Structured reports reach about 20.
const MAX_DEPTH: usize = 64;
/// Elements of one header, items included. A 2,000-frame enhanced object has about 100,000.
const MAX_ELEMENTS: u32 = 500_000;
/// Fragments of encapsulated pixels.
const MAX_FRAGMENTS: usize = 1_000_000;
/// Longest value that is kept of a wanted element.
const MAX_VALUE: u64 = 4096;
/// Longest extended offset table: a million frames.
const MAX_OFFSETS: u64 = 8 << 20;
/// Bytes read ahead.
const WINDOW: usize = 32 << 10;
const UNDEFINED: u32 = 0xffff_ffff;

/// Why an object cannot be indexed. The text is the stable reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    NotDicom,
    Truncated,
    TooComplex,
    MissingUid,
    UidMismatch,
    OtherStudy,
    Unreadable,
    IndexFailed,
}

impl Defect {
    const ALL: [Self; 8] = [
        Self::NotDicom,
        Self::Truncated,
        Self::TooComplex,
        Self::MissingUid,
        Self::UidMismatch,
        Self::OtherStudy,
        Self::Unreadable,
        Self::IndexFailed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotDicom => "not_dicom",
            Self::Truncated => "truncated",
            Self::TooComplex => "too_complex",
            Self::MissingUid => "missing_uid",
            Self::UidMismatch => "uid_mismatch",
            Self::OtherStudy => "other_study",
            Self::Unreadable => "unreadable",
            Self::IndexFailed => "index_failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|defect| defect.as_str() == text)
    }
}

/// How a data set is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub implicit: bool,
    pub big_endian: bool,
    pub deflated: bool,
}

impl Encoding {
    /// Everything but implicit, big endian and deflated is explicit VR little endian (PS3.5 A.4).
    pub fn of(transfer_syntax: &str) -> Self {
        Self {
            implicit: transfer_syntax == "1.2.840.10008.1.2",
            big_endian: transfer_syntax == "1.2.840.10008.1.2.2",
            deflated: transfer_syntax == "1.2.840.10008.1.2.1.99",
        }
    }
}

/// What the header holds. Offsets count from the first byte of the data set.
#[derive(Debug, Default)]
pub(crate) struct Header {
    values: Vec<(Tag, Vec<u8>)>,
    /// Request Attributes Sequence (0040,0275), first item.
    request: Vec<(Tag, Vec<u8>)>,
    /// Where Pixel Data begins, or the end of the data set.
    pub end: u64,
    pub pixels: Option<Pixels>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pixels {
    /// Where the value begins; for encapsulated pixels the first item, which is the basic offset table.
    pub at: u64,
    /// `None` when encapsulated.
    pub len: Option<u64>,
    /// Length of the basic offset table's value, which begins at `at + 8`.
    pub offsets_len: u32,
    /// Fragments without the basic offset table.
    pub fragments: Vec<Fragment>,
}

impl Header {
    pub fn value(&self, tag: Tag) -> &[u8] {
        self.values.iter().find(|(t, _)| *t == tag).map_or(&[], |(_, v)| v)
    }

    pub fn requested(&self, tag: Tag) -> &[u8] {
        self.request.iter().find(|(t, _)| *t == tag).map_or(&[], |(_, v)| v)
    }
}

/// The elements of the top level that the index keeps.
const WANTED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::SERIES_DATE,
    tags::CONTENT_DATE,
    tags::STUDY_TIME,
    tags::SERIES_TIME,
    tags::CONTENT_TIME,
    tags::ACCESSION_NUMBER,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::INSTITUTION_NAME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STATION_NAME,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::BODY_PART_EXAMINED,
    tags::PROTOCOL_NAME,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::STUDY_ID,
    tags::SERIES_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::LATERALITY,
    tags::SAMPLES_PER_PIXEL,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::EXTENDED_OFFSET_TABLE,
];

const WANTED_OF_REQUEST: &[Tag] = &[tags::SCHEDULED_PROCEDURE_STEP_ID, tags::REQUESTED_PROCEDURE_ID];

/// Reads bytes of the data set: (offset, length), fewer at the end.
pub(crate) type Read<'a> = dyn FnMut(u64, usize) -> Result<Vec<u8>, Defect> + 'a;

struct Cursor<'a> {
    read: &'a mut Read<'a>,
    buffer: Vec<u8>,
    buffer_at: u64,
    at: u64,
    end: u64,
    big_endian: bool,
}

impl Cursor<'_> {
    /// The next `n` bytes, moving on.
    fn take(&mut self, n: usize, ahead: usize) -> Result<&[u8], Defect> {
        let stop = self.at.checked_add(n as u64).filter(|stop| *stop <= self.end).ok_or(Defect::Truncated)?;
        let buffered = self.buffer_at..=self.buffer_at + self.buffer.len() as u64;
        if !buffered.contains(&self.at) || !buffered.contains(&stop) {
            self.buffer = (self.read)(self.at, n.max(ahead))?;
            self.buffer_at = self.at;
        }
        let from = (self.at - self.buffer_at) as usize;
        self.at = stop;
        self.buffer.get(from..from + n).ok_or(Defect::Truncated)
    }

    fn u16(&mut self) -> Result<u16, Defect> {
        let big = self.big_endian;
        let bytes = self.take(2, WINDOW)?.try_into().map_err(|_| Defect::Truncated)?;
        Ok(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self) -> Result<u32, Defect> {
        let big = self.big_endian;
        let bytes = self.take(4, WINDOW)?.try_into().map_err(|_| Defect::Truncated)?;
        Ok(if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn tag(&mut self) -> Result<Tag, Defect> {
        Ok(Tag(self.u16()?, self.u16()?))
    }
}

/// An open sequence or item.
struct Open {
    is_item: bool,
    /// `None` until a delimiter.
    end: Option<u64>,
    implicit: bool,
    /// The sequence's tag, of its items too.
    tag: Tag,
    items: u32,
}

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Scans a data set of `len` bytes.
pub(crate) fn scan(read: &mut Read<'_>, len: u64, encoding: Encoding) -> Result<Header, Defect> {
    // The closure's lifetime is shortened by re-borrowing, so that the cursor may hold it.
    let mut forward = |offset: u64, n: usize| read(offset, n);
    let mut cursor = Cursor {
        read: &mut forward,
        buffer: Vec::new(),
        buffer_at: 0,
        at: 0,
        end: len,
        big_endian: encoding.big_endian,
    };
    let mut header = Header { end: len, ..Header::default() };
    let mut open: Vec<Open> = Vec::new();
    let mut elements = 0_u32;
    loop {
        while open.last().is_some_and(|o| o.end == Some(cursor.at)) {
            open.pop();
        }
        let bound = open.iter().rev().find_map(|o| o.end).unwrap_or(len);
        if cursor.at == len && open.is_empty() {
            return Ok(header);
        }
        // Something of undefined length does not reach beyond what encloses it.
        if cursor.at >= bound {
            return Err(Defect::Truncated);
        }
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(Defect::TooComplex);
        }
        let start = cursor.at;
        let tag = cursor.tag()?;
        let in_sequence = open.last().is_some_and(|o| !o.is_item);
        if in_sequence || tag.0 == 0xfffe {
            structure(&mut cursor, &mut open, tag, bound)?;
            continue;
        }
        let implicit = open.last().map_or(encoding.implicit, |o| o.implicit);
        let (vr, length) = element_head(&mut cursor, tag, implicit)?;
        if open.is_empty() {
            if tag.0 < 0x0008 && !matches!(tag.0, 0x0002 | 0x0004) {
                // A command set or anything else, but no data set.
                return Err(Defect::NotDicom);
            }
            if matches!(tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA) {
                header.end = start;
                header.pixels = Some(pixels(&mut cursor, length)?);
                return Ok(header);
            }
        }
        // CP-246: UN of undefined length is a sequence in implicit VR.
        let is_sequence = vr == VR::SQ || length == UNDEFINED;
        if is_sequence {
            if open.len() >= MAX_DEPTH * 2 {
                return Err(Defect::TooComplex);
            }
            if length == UNDEFINED && !matches!(vr, VR::SQ | VR::UN) {
                return Err(Defect::Unreadable);
            }
            let end = defined_end(&cursor, length, bound)?;
            let implicit = implicit || vr == VR::UN;
            open.push(Open { is_item: false, end, implicit, tag, items: 0 });
            continue;
        }
        let stop = cursor.at.checked_add(u64::from(length)).filter(|stop| *stop <= bound).ok_or(Defect::Truncated)?;
        let of_request = open.len() == 2
            && open.first().is_some_and(|o| o.tag == tags::REQUEST_ATTRIBUTES_SEQUENCE && o.items == 1)
            && WANTED_OF_REQUEST.contains(&tag);
        let wanted = (open.is_empty() && WANTED.contains(&tag)) || of_request;
        let bound = if tag == tags::EXTENDED_OFFSET_TABLE { MAX_OFFSETS } else { MAX_VALUE };
        let kept = if of_request { &mut header.request } else { &mut header.values };
        // Of an element that is repeated the first counts, as for `read_data_set`, and the others cost nothing.
        if wanted && kept.iter().all(|(t, _)| *t != tag) {
            let length = if u64::from(length) <= bound { length as usize } else { 0 };
            kept.push((tag, cursor.take(length, WINDOW)?.to_vec()));
        }
        cursor.at = stop;
    }
}

fn defined_end(cursor: &Cursor<'_>, length: u32, bound: u64) -> Result<Option<u64>, Defect> {
    if length == UNDEFINED {
        return Ok(None);
    }
    let end = cursor.at + u64::from(length);
    if end > bound { Err(Defect::Truncated) } else { Ok(Some(end)) }
}

/// Items and delimiters.
fn structure(cursor: &mut Cursor<'_>, open: &mut Vec<Open>, tag: Tag, bound: u64) -> Result<(), Defect> {
    let length = cursor.u32()?;
    match tag {
        ITEM => {
            if open.len() >= MAX_DEPTH * 2 {
                return Err(Defect::TooComplex);
            }
            let end = defined_end(cursor, length, bound)?;
            let Some(sequence) = open.last_mut().filter(|o| !o.is_item) else { return Err(Defect::Unreadable) };
            sequence.items += 1;
            let (implicit, tag) = (sequence.implicit, sequence.tag);
            open.push(Open { is_item: true, end, implicit, tag, items: 0 });
            Ok(())
        }
        ITEM_END | SEQUENCE_END => {
            // Some devices close defined lengths with a delimiter too, which then is the last thing in them.
            let fits = open.pop_if(|o| o.is_item == (tag == ITEM_END) && o.end.is_none_or(|end| end == cursor.at));
            if fits.is_some() && length == 0 { Ok(()) } else { Err(Defect::Unreadable) }
        }
        _ => Err(Defect::Unreadable),
    }
}

fn element_head(cursor: &mut Cursor<'_>, tag: Tag, implicit: bool) -> Result<(VR, u32), Defect> {
    if implicit {
        let length = cursor.u32()?;
        let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| {
            use dicom_core::dictionary::DataDictionaryEntry;
            entry.vr().relaxed()
        });
        return Ok((vr, length));
    }
    let code = cursor.take(2, WINDOW)?.try_into().map_err(|_| Defect::Truncated)?;
    let vr = VR::from_binary(code).ok_or(Defect::Unreadable)?;
    let long = matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    );
    if long {
        cursor.u16()?;
        Ok((vr, cursor.u32()?))
    } else {
        Ok((vr, u32::from(cursor.u16()?)))
    }
}

fn pixels(cursor: &mut Cursor<'_>, length: u32) -> Result<Pixels, Defect> {
    let at = cursor.at;
    if length != UNDEFINED {
        if at + u64::from(length) > cursor.end {
            return Err(Defect::Truncated);
        }
        return Ok(Pixels { at, len: Some(u64::from(length)), offsets_len: 0, fragments: Vec::new() });
    }
    let mut fragments = Vec::new();
    let mut offsets_len = None;
    loop {
        let head: [u8; 8] = cursor.take(8, 8)?.try_into().map_err(|_| Defect::Truncated)?;
        let [g0, g1, e0, e1, l0, l1, l2, l3] = head;
        let tag = Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        match tag {
            ITEM if length != UNDEFINED => {
                let value = cursor.at;
                cursor.at += u64::from(length);
                if cursor.at > cursor.end {
                    return Err(Defect::Truncated);
                }
                if offsets_len.is_none() {
                    offsets_len = Some(length);
                } else {
                    fragments.push(Fragment { at: value, len: length });
                }
                if fragments.len() > MAX_FRAGMENTS {
                    return Err(Defect::TooComplex);
                }
            }
            SEQUENCE_END => return Ok(Pixels { at, len: None, offsets_len: offsets_len.unwrap_or(0), fragments }),
            _ => return Err(Defect::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXPLICIT: Encoding = Encoding { implicit: false, big_endian: false, deflated: false };
    const IMPLICIT: Encoding = Encoding { implicit: true, big_endian: false, deflated: false };
    const BIG: Encoding = Encoding { implicit: false, big_endian: true, deflated: false };

    fn scan_bytes(bytes: &[u8], encoding: Encoding) -> Result<Header, Defect> {
        let mut read = |offset: u64, len: usize| {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            Ok(rest.get(..len).unwrap_or(rest).to_vec())
        };
        scan(&mut read, bytes.len() as u64, encoding)
    }

    fn element(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut out = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
        out.extend(vr);
        if matches!(vr, b"SQ" | b"OW" | b"OB" | b"UN") {
            out.extend([0, 0]);
            out.extend((value.len() as u32).to_le_bytes());
        } else {
            out.extend((value.len() as u16).to_le_bytes());
        }
        out.extend(value);
        out
    }

    /// An element of undefined length.
    fn open_element(tag: Tag, vr: [u8; 2]) -> Vec<u8> {
        let mut out = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
        out.extend(vr);
        out.extend([0, 0, 0xff, 0xff, 0xff, 0xff]);
        out
    }

    fn item(len: u32) -> Vec<u8> {
        [&[0xfe, 0xff, 0x00, 0xe0][..], &len.to_le_bytes()].concat()
    }

    fn end(number: u16) -> Vec<u8> {
        [&[0xfe, 0xff][..], &number.to_le_bytes(), &[0; 4]].concat()
    }

    fn sample() -> Vec<u8> {
        let inner = element(tags::SCHEDULED_PROCEDURE_STEP_ID, b"SH", b"SPS1");
        [
            element(tags::SOP_INSTANCE_UID, b"UI", b"1.2.3\0"),
            element(tags::PATIENT_ID, b"LO", b"P1"),
            open_element(tags::REQUEST_ATTRIBUTES_SEQUENCE, *b"SQ"),
            item(inner.len() as u32),
            inner.clone(),
            item(UNDEFINED),
            element(tags::SCHEDULED_PROCEDURE_STEP_ID, b"SH", b"SPS2"),
            end(0xe00d),
            end(0xe0dd),
            element(tags::PIXEL_DATA, b"OW", &[7; 32]),
        ]
        .concat()
    }

    #[test]
    fn values_sequences_and_pixels() {
        let bytes = sample();
        let header = scan_bytes(&bytes, EXPLICIT).unwrap();
        assert_eq!(header.value(tags::PATIENT_ID), b"P1");
        assert_eq!(header.requested(tags::SCHEDULED_PROCEDURE_STEP_ID), b"SPS1", "the first item's");
        let pixels = header.pixels.unwrap();
        assert_eq!((header.end, pixels.at, pixels.len), (bytes.len() as u64 - 44, bytes.len() as u64 - 32, Some(32)));
    }

    #[test]
    fn every_cut_inside_an_element_is_noticed() {
        let bytes = sample();
        // The two elements before the sequence end here; the sequence needs its delimiter, at 44 bytes from the end.
        let whole = [14, 24, bytes.len() - 44];
        for cut in 1..bytes.len() {
            let result = scan_bytes(&bytes[..cut], EXPLICIT);
            assert_eq!(result.is_ok(), whole.contains(&cut), "{cut}: {result:?}");
        }
    }

    #[test]
    fn lengths_beyond_what_encloses_them_are_refused() {
        let inner = element(tags::SCHEDULED_PROCEDURE_STEP_ID, b"SH", b"SPS1");
        let lying = element(tags::REQUEST_ATTRIBUTES_SEQUENCE, b"SQ", &[item(6), inner].concat());
        assert_eq!(scan_bytes(&lying, EXPLICIT).err(), Some(Defect::Truncated));
    }

    #[test]
    fn a_delimiter_beyond_what_encloses_it_is_refused() {
        let step = element(tags::SCHEDULED_PROCEDURE_STEP_ID, b"SH", b"SPS1");
        let open_item = [item(UNDEFINED), step.clone(), end(0xe00d)].concat();
        let mut bytes = element(tags::REQUEST_ATTRIBUTES_SEQUENCE, b"SQ", &open_item);
        bytes[8] -= 8;
        assert_eq!(scan_bytes(&bytes, EXPLICIT).err(), Some(Defect::Truncated));
        // One at the end of a defined length is taken by both readers, one in its middle by none.
        let closed = [step, end(0xe00d)].concat();
        let closed = [item(closed.len() as u32), closed, end(0xe0dd)].concat();
        let bytes = element(tags::REQUEST_ATTRIBUTES_SEQUENCE, b"SQ", &closed);
        let read = |bytes: &[u8]| {
            mingying_dicom::read_data_set(bytes, "1.2.840.10008.1.2.1", mingying_dicom::Limits::default()).is_ok()
        };
        assert_eq!((scan_bytes(&bytes, EXPLICIT).is_ok(), read(&bytes)), (true, true));
        let middle = element(tags::REQUEST_ATTRIBUTES_SEQUENCE, b"SQ", &[closed, item(0)].concat());
        assert_eq!((scan_bytes(&middle, EXPLICIT).is_ok(), read(&middle)), (false, false));
    }

    #[test]
    fn bombs_are_refused() {
        let deep: Vec<u8> = (0..1000)
            .flat_map(|_| [open_element(tags::REQUEST_ATTRIBUTES_SEQUENCE, *b"SQ"), item(UNDEFINED)].concat())
            .collect();
        assert_eq!(scan_bytes(&deep, EXPLICIT).err(), Some(Defect::TooComplex));
        let many: Vec<u8> = element(tags::PATIENT_COMMENTS, b"LT", b"").repeat(MAX_ELEMENTS as usize + 1);
        assert_eq!(scan_bytes(&many, EXPLICIT).err(), Some(Defect::TooComplex));
    }

    #[test]
    fn repeated_elements_are_kept_once() {
        let bytes =
            [element(tags::PATIENT_ID, b"LO", b"P1"), element(tags::PATIENT_ID, b"LO", b"P2").repeat(100)].concat();
        let header = scan_bytes(&bytes, EXPLICIT).unwrap();
        assert_eq!((header.value(tags::PATIENT_ID), header.values.len()), (&b"P1"[..], 1));
    }

    #[test]
    fn unknown_sequences_of_undefined_length_are_implicit() {
        let mut inner = [tags::PATIENT_ID.0.to_le_bytes(), tags::PATIENT_ID.1.to_le_bytes()].concat();
        inner.extend(2_u32.to_le_bytes());
        inner.extend(b"P2");
        let bytes = [
            open_element(Tag(0x0009, 0x1001), *b"UN"),
            item(inner.len() as u32),
            inner,
            end(0xe0dd),
            element(tags::PATIENT_ID, b"LO", b"P1"),
        ]
        .concat();
        assert_eq!(scan_bytes(&bytes, EXPLICIT).unwrap().value(tags::PATIENT_ID), b"P1");
    }

    #[test]
    fn fragments_are_walked_to_their_end() {
        let parts = [item(0), item(4), vec![1; 4], item(6), vec![2; 6]].concat();
        let whole = [open_element(tags::PIXEL_DATA, *b"OB"), parts.clone(), end(0xe0dd)].concat();
        let pixels = scan_bytes(&whole, EXPLICIT).unwrap().pixels.unwrap();
        assert_eq!(pixels.fragments, [Fragment { at: 28, len: 4 }, Fragment { at: 40, len: 6 }]);
        let endless = [open_element(tags::PIXEL_DATA, *b"OB"), parts].concat();
        assert_eq!(scan_bytes(&endless, EXPLICIT).err(), Some(Defect::Truncated));
    }

    proptest! {
        #[test]
        fn garbage_ends_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for encoding in [EXPLICIT, IMPLICIT, BIG] {
                let _ = scan_bytes(&bytes, encoding);
            }
        }

        /// What the scan accepts, the reader of data sets takes without harm.
        #[test]
        fn damaged_headers_end_without_panic(at in 0_usize..150, byte: u8, cut in 0_usize..150) {
            let mut bytes = sample();
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            bytes.truncate(bytes.len() - cut.min(last));
            for (encoding, syntax) in [(EXPLICIT, "1.2.840.10008.1.2.1"), (IMPLICIT, "1.2.840.10008.1.2")] {
                if let Ok(header) = scan_bytes(&bytes, encoding) {
                    let _ = mingying_dicom::read_data_set(
                        &bytes[..header.end as usize],
                        syntax,
                        mingying_dicom::Limits::default(),
                    );
                }
            }
        }
    }
}
