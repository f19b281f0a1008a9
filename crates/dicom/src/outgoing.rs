//! A data set in another transfer syntax, as far as its pixels: what transcoding writes anew.

use crate::codec::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Photometric};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;

/// Item (FFFE,E000) and Sequence Delimitation Item (FFFE,E0DD), little endian.
const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
/// Ends encapsulated Pixel Data.
pub const DELIMITER: [u8; 8] = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];

/// The data set cannot be written in this form: a native value beyond 4 GiB, or elements that contradict themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data set cannot be written")]
pub struct Unwritable;

/// The value of Pixel Data that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelValue {
    /// So many bytes, made even by one more.
    Native { len: u64 },
    /// A Basic Offset Table, the fragments, and `DELIMITER` (PS3.5 A.4).
    Encapsulated,
}

/// Whether data sets of this transfer syntax are written here: little endian, not deflated.
pub fn can_write(transfer_syntax: &str) -> bool {
    !matches!(transfer_syntax, crate::codec::EXPLICIT_VR_BIG_ENDIAN | crate::codec::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
}

/// Whether native pixels of the one are the very bytes of the other.
pub fn same_pixels(from: &str, to: &str) -> bool {
    let plain = |syntax: &str| matches!(syntax, IMPLICIT_VR_LITTLE_ENDIAN | EXPLICIT_VR_LITTLE_ENDIAN);
    plain(from) && plain(to)
}

/// Notes in a header what a codec changes: samples lie side by side, and color may have another name.
pub fn describe_pixels(header: &mut InMemDicomObject, photometric: Photometric) {
    header.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric.term()));
    if header.get(tags::PLANAR_CONFIGURATION).is_some() {
        header.put(DataElement::new(tags::PLANAR_CONFIGURATION, VR::US, PrimitiveValue::from(0u16)));
    }
}

/// The data set of `header`, which holds no pixels, in the transfer syntax `to`; with `pixels`, up to the value of Pixel
/// Data, for samples of more than 8 bits where `wide`. Texts are Unicode in memory and are written as such.
pub fn write_header(
    mut header: InMemDicomObject,
    to: &str,
    wide: bool,
    pixels: Option<PixelValue>,
) -> Result<Vec<u8>, Unwritable> {
    let implicit = to == IMPLICIT_VR_LITTLE_ENDIAN;
    if header.get(tags::SPECIFIC_CHARACTER_SET).is_some() {
        header.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"));
    }
    let syntax = if implicit {
        entries::IMPLICIT_VR_LITTLE_ENDIAN.erased()
    } else {
        entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()
    };
    let mut out = Vec::new();
    header.write_dataset_with_ts(&mut out, &syntax).map_err(|_| Unwritable)?;
    let (vr, length) = match pixels {
        None => return Ok(out),
        // PS3.5 A.1, A.2, A.4. The length of a native value is even.
        Some(PixelValue::Native { len }) => {
            (if wide { VR::OW } else { VR::OB }, u32::try_from(len + len % 2).map_err(|_| Unwritable)?)
        }
        Some(PixelValue::Encapsulated) => (VR::OB, u32::MAX),
    };
    out.extend([0xe0, 0x7f, 0x10, 0x00]);
    if !implicit {
        out.extend(vr.to_bytes());
        out.extend([0, 0]);
    }
    out.extend(length.to_le_bytes());
    Ok(out)
}

/// An item of encapsulated Pixel Data: one frame as one fragment, or with nothing in it an empty Basic Offset Table.
pub fn item(bytes: &[u8]) -> Vec<u8> {
    let padded = bytes.len() + bytes.len() % 2;
    let mut out = Vec::with_capacity(padded + 8);
    out.extend(ITEM);
    out.extend(u32::try_from(padded).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
    out.resize(padded + 8, 0);
    out
}
