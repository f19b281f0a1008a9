//! The Part 10 file header (PS3.10 7.1): preamble, prefix, file meta information group.

use dicom_core::{Tag, VR};

/// Names this implementation in files and associations (PS3.7 D.3.3.2), under 2.25 from a fixed UUID.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.185386243104722637265301945026311874409";

/// At most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str = concat!("MINGYING_", env!("CARGO_PKG_VERSION"));

/// The bound on the meta group: real ones have a few hundred bytes.
const MAX_META: usize = 64 * 1024;

/// What a Part 10 header tells about the data set that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part10Header {
    pub sop_class: String,
    pub sop_instance: String,
    pub transfer_syntax: String,
    /// Where the data set begins, counted from the first byte of the preamble.
    pub data_set_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Part10Error {
    /// No `DICM` after the preamble.
    #[error("not a DICOM file")]
    NotDicom,
    /// The meta group contradicts itself, is too long, or names no transfer syntax.
    #[error("damaged file meta information")]
    Damaged,
}

/// Writes preamble, prefix and meta group for a data set as it came over an association.
pub fn write_header(sop_class: &str, sop_instance: &str, transfer_syntax: &str, source_aet: Option<&str>) -> Vec<u8> {
    let mut meta = Vec::with_capacity(320);
    element(&mut meta, 0x0001, VR::OB, &[0, 1]);
    element(&mut meta, 0x0002, VR::UI, sop_class.as_bytes());
    element(&mut meta, 0x0003, VR::UI, sop_instance.as_bytes());
    element(&mut meta, 0x0010, VR::UI, transfer_syntax.as_bytes());
    element(&mut meta, 0x0012, VR::UI, IMPLEMENTATION_CLASS_UID.as_bytes());
    element(&mut meta, 0x0013, VR::SH, IMPLEMENTATION_VERSION_NAME.as_bytes());
    if let Some(aet) = source_aet {
        element(&mut meta, 0x0016, VR::AE, aet.as_bytes());
    }
    let mut out = vec![0u8; 128];
    out.extend(b"DICM");
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX);
    element(&mut out, 0x0000, VR::UL, &length.to_le_bytes());
    out.extend(meta);
    out
}

/// One element of group 2, explicit VR little endian.
fn element(out: &mut Vec<u8>, number: u16, vr: VR, value: &[u8]) {
    out.extend(2u16.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(vr.to_bytes());
    // Values beyond what the field can hold never come here: UIDs and AE titles are validated at the edge.
    let padded = value.len() + value.len() % 2;
    if vr == VR::OB {
        out.extend([0, 0]);
        out.extend(u32::try_from(padded).unwrap_or(0).to_le_bytes());
    } else {
        out.extend(u16::try_from(padded).unwrap_or(0).to_le_bytes());
    }
    out.extend(value);
    if padded > value.len() {
        out.push(if vr == VR::UI || vr == VR::OB { 0 } else { b' ' });
    }
}

/// Reads the header from the first bytes of a file. `Ok(None)` asks for more bytes.
pub fn read_header(bytes: &[u8]) -> Result<Option<Part10Header>, Part10Error> {
    let Some(prefix) = bytes.get(128..132) else { return Ok(None) };
    if prefix != b"DICM" {
        return Err(Part10Error::NotDicom);
    }
    let mut at = 132;
    let (mut sop_class, mut sop_instance, mut transfer_syntax) = (String::new(), String::new(), String::new());
    // The group length is often wrong; the elements' own lengths decide where the group ends.
    loop {
        if at > MAX_META {
            return Err(Part10Error::Damaged);
        }
        let Some(tag) = bytes.get(at..at + 4) else { return Ok(None) };
        if tag.get(..2) != Some(&[2, 0]) {
            break;
        }
        let Some(head) = bytes.get(at..at + 12) else { return Ok(None) };
        let &[_, _, e0, e1, v0, v1, l0, l1, m0, m1, m2, m3] = head else { return Err(Part10Error::Damaged) };
        let tag = Tag(2, u16::from_le_bytes([e0, e1]));
        let vr = VR::from_binary([v0, v1]).ok_or(Part10Error::Damaged)?;
        let (start, length) = if matches!(vr, VR::OB | VR::UN | VR::OW | VR::SQ | VR::UT | VR::UC | VR::UR) {
            (at + 12, u32::from_le_bytes([m0, m1, m2, m3]) as usize)
        } else {
            (at + 8, usize::from(u16::from_le_bytes([l0, l1])))
        };
        if length > MAX_META {
            return Err(Part10Error::Damaged);
        }
        let Some(value) = bytes.get(start..start + length) else { return Ok(None) };
        let text = || String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned();
        match tag.1 {
            0x0002 => sop_class = text(),
            0x0003 => sop_instance = text(),
            0x0010 => transfer_syntax = text(),
            _ => {}
        }
        at = start + length;
    }
    if transfer_syntax.is_empty() {
        return Err(Part10Error::Damaged);
    }
    Ok(Some(Part10Header { sop_class, sop_instance, transfer_syntax, data_set_at: at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_headers_read_back() {
        let mut file = write_header("1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1", Some("CT01"));
        let at = file.len();
        assert_eq!(read_header(&file), Ok(None), "the end of the group shows in what follows it");
        file.extend([8, 0, 5, 0]);
        let header = read_header(&file).unwrap().unwrap();
        assert_eq!(header.data_set_at, at);
        assert_eq!(
            (&*header.sop_class, &*header.sop_instance, &*header.transfer_syntax),
            ("1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1")
        );
        for cut in 0..at {
            assert_eq!(read_header(&file[..cut]), Ok(None), "{cut}");
        }
        assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(read_header(&[0; 200]), Err(Part10Error::NotDicom));
        let mut broken = write_header("1", "2", "3", None);
        broken[136] = b'?';
        broken.extend([0; 16]);
        assert!(read_header(&broken).is_err());
    }
}
