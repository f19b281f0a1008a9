//! Between the native little-endian encodings: the header is written anew, the pixels pass as they are.

use crate::media;
use crate::wado::pixel_vr;
use bytes::Bytes;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use mingying_archive::{Archive, ArchiveError, InstanceRef};
use mingying_dicom::part10;

/// A file in another encoding: everything up to the pixels, and where those lie in the stored one.
pub(crate) struct Converted {
    pub head: Bytes,
    pub pixel_at: u64,
    pub pixel_len: u64,
}

/// Whether `from` can be had as `to`. Compressed and deflated objects are sent as they are or not at all.
pub(crate) fn is_possible(from: &str, to: &str) -> bool {
    let plain = |syntax: &str| matches!(syntax, media::IMPLICIT_LE | media::EXPLICIT_LE);
    plain(from) && plain(to)
}

/// `None` where the object has elements behind its pixels, which would be lost.
pub(crate) async fn convert(
    archive: &Archive,
    instance: &InstanceRef,
    to: &str,
) -> Result<Option<Converted>, ArchiveError> {
    let at = |n: i64| u64::try_from(n).unwrap_or(0);
    let (pixel_at, pixel_len) =
        if instance.has_pixels { (at(instance.pixel_at), at(instance.pixel_len)) } else { (at(instance.size), 0) };
    let behind = at(instance.size).saturating_sub(pixel_at + pixel_len);
    if behind > 0 {
        let tail = archive.read(instance, pixel_at + pixel_len, behind.min(4096)).await?;
        // Data Set Trailing Padding (FFFC,FFFC) means nothing (PS3.10 7.2).
        if !tail.starts_with(&[0xfc, 0xff, 0xfc, 0xff]) {
            return Ok(None);
        }
    }
    let header = archive.header(instance).await?;
    let (instance, to) = (instance.clone(), to.to_owned());
    let write = move || write(&instance, header, &to, pixel_len);
    let head = tokio::task::spawn_blocking(write).await.map_err(|_| ArchiveError::Unreadable("conversion"))??;
    Ok(Some(Converted { head, pixel_at, pixel_len }))
}

fn write(
    instance: &InstanceRef,
    mut header: InMemDicomObject,
    to: &str,
    pixel_len: u64,
) -> Result<Bytes, ArchiveError> {
    let implicit = to == media::IMPLICIT_LE;
    // Texts are Unicode in memory and are written as such.
    if header.get(tags::SPECIFIC_CHARACTER_SET).is_some() {
        header.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"));
    }
    let mut out = part10::write_header(&instance.sop_class, &instance.sop_uid, to, None);
    let syntax = if implicit { IMPLICIT_VR_LITTLE_ENDIAN.erased() } else { EXPLICIT_VR_LITTLE_ENDIAN.erased() };
    header.write_dataset_with_ts(&mut out, &syntax).map_err(|_| ArchiveError::Unreadable("conversion"))?;
    if instance.has_pixels {
        let length = u32::try_from(pixel_len).map_err(|_| ArchiveError::Unreadable("conversion"))?;
        out.extend([0xe0, 0x7f, 0x10, 0x00]);
        if !implicit {
            out.extend(pixel_vr(instance).to_bytes());
            out.extend([0, 0]);
        }
        out.extend(length.to_le_bytes());
    }
    Ok(Bytes::from(out))
}
