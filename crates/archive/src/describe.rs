//! From the bytes of an object to what the index keeps of it.

use crate::fragments::{FrameIndex, begins_codestream};
use crate::header::{Defect, Encoding, Header, Read, scan};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use flate2::read::DeflateDecoder;
use mingying_dicom::{Charset, PersonName};
use mingying_kernel::DicomUid;
use std::io;

/// How much of a deflated data set is inflated to find its header.
const MAX_INFLATED: u64 = 64 << 20;
/// Basic offset tables are read up to this length: a million frames.
const MAX_OFFSETS: usize = 4 << 20;

/// What the index keeps. Texts are decoded and trimmed; absent ones are empty. Offsets count from the first byte of the
/// data set.
#[derive(Debug, Default)]
pub(crate) struct Described {
    pub study_uid: String,
    pub series_uid: String,
    pub sop_uid: String,
    pub sop_class: String,
    pub transfer_syntax: String,
    pub patient_id: String,
    pub patient_id_issuer: String,
    pub patient_name: PersonName,
    pub birth_date: String,
    pub sex: String,
    pub accession: String,
    pub study_id: String,
    pub study_date: String,
    pub study_time: String,
    pub study_description: String,
    pub referring_physician: PersonName,
    pub institution: String,
    pub modality: String,
    pub series_number: Option<i64>,
    pub series_description: String,
    pub body_part: String,
    pub laterality: String,
    pub protocol: String,
    pub station_name: String,
    pub manufacturer: String,
    pub series_date: String,
    pub series_time: String,
    pub requested_procedure_id: String,
    pub scheduled_step_id: String,
    pub instance_number: Option<i64>,
    pub content_date: String,
    pub content_time: String,
    pub rows: Option<i64>,
    pub columns: Option<i64>,
    pub bits_allocated: Option<i64>,
    pub samples: Option<i64>,
    pub frames: i64,
    pub header_end: u64,
    pub pixel_at: u64,
    /// -1 when encapsulated.
    pub pixel_len: i64,
    pub frame_index: Option<FrameIndex>,
}

/// What the sender said the object is; the data set must agree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced<'a> {
    pub sop_class: &'a str,
    pub sop_instance: &'a str,
    pub transfer_syntax: &'a str,
}

/// Reads a data set of `len` bytes through `read` (offset, length; fewer bytes at the end).
pub(crate) fn describe(read: &mut Read<'_>, len: u64, announced: Announced<'_>) -> Result<Described, Defect> {
    let encoding = Encoding::of(announced.transfer_syntax);
    if encoding.deflated {
        let (bytes, whole) = inflate(Stream { read, at: 0, len }, MAX_INFLATED)?;
        // Pixels beyond the inflated part are taken on trust; the header is not.
        let end = if whole { bytes.len() as u64 } else { u64::from(u32::MAX) * 2 };
        let mut read = |offset: u64, n: usize| Ok(slice(&bytes, offset, n).to_vec());
        let header = scan(&mut read, end, encoding)?;
        return from_header(&mut read, &header, encoding, announced);
    }
    let header = scan(read, len, encoding)?;
    from_header(read, &header, encoding, announced)
}

fn slice(bytes: &[u8], offset: u64, n: usize) -> &[u8] {
    let rest = bytes.get(offset as usize..).unwrap_or_default();
    rest.get(..n).unwrap_or(rest)
}

struct Stream<'a, 'b> {
    read: &'a mut Read<'b>,
    at: u64,
    len: u64,
}

impl io::Read for Stream<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(64 << 10).min((self.len - self.at) as usize);
        let bytes = (self.read)(self.at, n).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let n = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n as u64;
        Ok(n)
    }
}

/// Inflates at most `bound` bytes; whether that was all.
pub(crate) fn inflate(source: impl io::Read, bound: u64) -> Result<(Vec<u8>, bool), Defect> {
    use io::Read as _;
    let mut out = Vec::new();
    let mut decoder = DeflateDecoder::new(source).take(bound);
    decoder.read_to_end(&mut out).map_err(|_| Defect::Truncated)?;
    let whole = (out.len() as u64) < bound;
    Ok((out, whole))
}

fn from_header(
    read: &mut Read<'_>,
    header: &Header,
    encoding: Encoding,
    announced: Announced<'_>,
) -> Result<Described, Defect> {
    let plain = |tag: Tag| trim(&String::from_utf8_lossy(header.value(tag)));
    let charset = Charset::parse(&plain(tags::SPECIFIC_CHARACTER_SET));
    let text = |tag: Tag, vr: VR| trim(&charset.decode(header.value(tag), vr));
    let uid = |tag: Tag| DicomUid::parse_lenient(&plain(tag)).map(String::from).unwrap_or_default();
    let first = |text: String| text.split('\\').next().unwrap_or_default().trim().to_owned();
    let number = |tag: Tag| first(plain(tag)).parse::<i64>().ok();
    let short = |tag: Tag| match *header.value(tag) {
        [a, b, ..] if encoding.big_endian => Some(i64::from(u16::from_be_bytes([a, b]))),
        [a, b, ..] => Some(i64::from(u16::from_le_bytes([a, b]))),
        _ => None,
    };

    let (study_uid, series_uid) = (uid(tags::STUDY_INSTANCE_UID), uid(tags::SERIES_INSTANCE_UID));
    let sop_uid = uid(tags::SOP_INSTANCE_UID);
    if study_uid.is_empty() || series_uid.is_empty() || sop_uid.is_empty() {
        return Err(Defect::MissingUid);
    }
    let said = DicomUid::parse_lenient(announced.sop_instance).map(String::from).unwrap_or_default();
    if sop_uid != said {
        return Err(Defect::UidMismatch);
    }
    let sop_class = match uid(tags::SOP_CLASS_UID) {
        own if own.is_empty() => trim(announced.sop_class),
        own => own,
    };
    let frames = match (&header.pixels, number(tags::NUMBER_OF_FRAMES)) {
        (None, _) => 0,
        (Some(_), Some(n)) if n > 0 => n,
        (Some(_), _) => 1,
    };
    let mut described = Described {
        patient_id: text(tags::PATIENT_ID, VR::LO),
        patient_id_issuer: text(tags::ISSUER_OF_PATIENT_ID, VR::LO),
        patient_name: PersonName::parse(&text(tags::PATIENT_NAME, VR::PN)),
        birth_date: date(&plain(tags::PATIENT_BIRTH_DATE)),
        sex: first(plain(tags::PATIENT_SEX)),
        accession: text(tags::ACCESSION_NUMBER, VR::SH),
        study_id: text(tags::STUDY_ID, VR::SH),
        study_date: date(&plain(tags::STUDY_DATE)),
        study_time: time(&plain(tags::STUDY_TIME)),
        study_description: text(tags::STUDY_DESCRIPTION, VR::LO),
        referring_physician: PersonName::parse(&text(tags::REFERRING_PHYSICIAN_NAME, VR::PN)),
        institution: text(tags::INSTITUTION_NAME, VR::LO),
        modality: first(plain(tags::MODALITY)),
        series_number: number(tags::SERIES_NUMBER),
        series_description: text(tags::SERIES_DESCRIPTION, VR::LO),
        body_part: first(plain(tags::BODY_PART_EXAMINED)),
        laterality: first(plain(tags::LATERALITY)),
        protocol: text(tags::PROTOCOL_NAME, VR::LO),
        station_name: text(tags::STATION_NAME, VR::SH),
        manufacturer: text(tags::MANUFACTURER, VR::LO),
        series_date: date(&plain(tags::SERIES_DATE)),
        series_time: time(&plain(tags::SERIES_TIME)),
        requested_procedure_id: trim(&charset.decode(header.requested(tags::REQUESTED_PROCEDURE_ID), VR::SH)),
        scheduled_step_id: trim(&charset.decode(header.requested(tags::SCHEDULED_PROCEDURE_STEP_ID), VR::SH)),
        instance_number: number(tags::INSTANCE_NUMBER),
        content_date: date(&plain(tags::CONTENT_DATE)),
        content_time: time(&plain(tags::CONTENT_TIME)),
        rows: short(tags::ROWS),
        columns: short(tags::COLUMNS),
        bits_allocated: short(tags::BITS_ALLOCATED),
        samples: short(tags::SAMPLES_PER_PIXEL),
        frames,
        header_end: header.end,
        transfer_syntax: announced.transfer_syntax.to_owned(),
        study_uid,
        series_uid,
        sop_uid,
        sop_class,
        ..Described::default()
    };
    if let Some(pixels) = &header.pixels {
        described.pixel_at = pixels.at;
        described.pixel_len = pixels.len.map_or(-1, |len| len as i64);
        if pixels.len.is_none() && frames > 1 {
            described.frame_index = frame_index(read, header, frames as usize, announced.transfer_syntax)?;
        }
    }
    Ok(described)
}

fn frame_index(
    read: &mut Read<'_>,
    header: &Header,
    frames: usize,
    transfer_syntax: &str,
) -> Result<Option<FrameIndex>, Defect> {
    let Some(pixels) = &header.pixels else { return Ok(None) };
    let extended = header.value(tags::EXTENDED_OFFSET_TABLE);
    let offsets: Vec<u64> = if extended.is_empty() {
        let table = read(pixels.at + 8, (pixels.offsets_len as usize).min(MAX_OFFSETS))?;
        table.chunks_exact(4).map(|c| c.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).collect()
    } else {
        extended.chunks_exact(8).map(|c| c.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).collect()
    };
    let begins = |fragment: &crate::fragments::Fragment| {
        read(fragment.at, 8).is_ok_and(|bytes| begins_codestream(&bytes, transfer_syntax))
    };
    Ok(FrameIndex::build(&pixels.fragments, &offsets, frames, begins))
}

fn trim(text: &str) -> String {
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

/// `YYYYMMDD`; the old form with dots is taken too (PS3.5 6.2, DA). Anything else is empty.
pub(crate) fn date(text: &str) -> String {
    let digits: String = text.split('\\').next().unwrap_or_default().trim().replace('.', "");
    if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()) { digits } else { String::new() }
}

/// `HH[MM[SS[.FFFFFF]]]`; the old form with colons is taken too. Anything else is empty.
pub(crate) fn time(text: &str) -> String {
    let digits = text.split('\\').next().unwrap_or_default().trim().replace(':', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let valid = matches!(whole.len(), 2 | 4 | 6)
        && fraction.len() <= 6
        && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if valid { digits } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_in_old_forms() {
        assert_eq!(date("20260302"), "20260302");
        assert_eq!(date("2026.03.02"), "20260302");
        assert_eq!(date("2026030"), "");
        assert_eq!(date("2026030a"), "");
        assert_eq!(time("08:30:15.5"), "083015.5");
        assert_eq!(time("0830"), "0830");
        assert_eq!(time("8"), "");
    }
}
