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

#[derive(Debug)]
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
        if wanted && u64::from(length) <= bound {
            let value = cursor.take(length as usize, WINDOW)?.to_vec();
            if of_request { header.request.push((tag, value)) } else { header.values.push((tag, value)) }
        } else {
            cursor.at = stop;
        }
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
            // Some devices write delimiters after defined lengths too; the element that is open must fit.
            let fits = open.pop_if(|o| o.is_item == (tag == ITEM_END) && o.end.is_none_or(|end| end >= cursor.at));
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
