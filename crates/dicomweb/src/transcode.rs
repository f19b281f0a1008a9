//! Objects in another transfer syntax (PS3.18 8.7.3.5): the header is written anew; the pixels pass as they are between
//! the native little-endian encodings, and go through a codec, frame by frame, everywhere else.

use crate::wado::{Chunks, read_range};
use crate::{Problem, Renderers, media};
use bytes::Bytes;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use futures::stream::{self, StreamExt};
use mingying_archive::{Archive, ArchiveError, InstanceRef};
use mingying_dicom::codec::{self, Photometric};
use mingying_dicom::part10;

/// Item (FFFE,E000) and Sequence Delimitation Item (FFFE,E0DD), little endian.
const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const END: [u8; 8] = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];

/// An object in another transfer syntax: everything up to the pixels, and where they come from.
pub(crate) struct Converted {
    head: Bytes,
    pixels: Pixels,
}

enum Pixels {
    /// As they lie in the stored object.
    Stored { at: u64, len: u64 },
    /// Through a codec. The first frame has been made already.
    Made { renderers: Renderers, to: String, first: Bytes },
}

/// Whether the pixels of `from` are the very bytes of `to`.
fn is_plain(from: &str, to: &str) -> bool {
    let plain = |syntax: &str| matches!(syntax, media::IMPLICIT_LE | media::EXPLICIT_LE);
    plain(from) && plain(to)
}

/// Whether frames of `from` can be had as `to`, without loss of what is stored.
pub(crate) fn is_possible_frame(from: &str, to: &str) -> bool {
    from != to && codec::can_decode(from) && codec::can_encode(to)
}

/// Whether objects of `from` can be had as `to`. Big-endian and deflated objects are received, never made.
pub(crate) fn is_possible(from: &str, to: &str) -> bool {
    is_plain(from, to) || (!matches!(to, media::EXPLICIT_BE | media::DEFLATED_LE) && is_possible_frame(from, to))
}

/// `None` where the object has elements behind its pixels, which would be lost, or no frames that could be coded.
pub(crate) async fn convert(
    archive: &Archive,
    renderers: &Renderers,
    instance: &InstanceRef,
    to: &str,
) -> Result<Option<Converted>, Problem> {
    let at = |n: i64| u64::try_from(n).unwrap_or(0);
    let (pixel_at, pixel_len) =
        if instance.has_pixels { (at(instance.pixel_at), at(instance.pixel_len)) } else { (at(instance.size), 0) };
    let plain = is_plain(&instance.transfer_syntax, to);
    let whole = codec::is_native(&instance.transfer_syntax) && instance.transfer_syntax != media::DEFLATED_LE;
    if whole {
        let behind = at(instance.size).saturating_sub(pixel_at + pixel_len);
        if behind > 0 {
            let tail = archive.read(instance, pixel_at + pixel_len, behind.min(4096)).await?;
            // Data Set Trailing Padding (FFFC,FFFC) means nothing (PS3.10 7.2).
            if !tail.starts_with(&[0xfc, 0xff, 0xfc, 0xff]) && !tail.starts_with(&[0xff, 0xfc, 0xff, 0xfc]) {
                return Ok(None);
            }
        }
    }
    let mut header = archive.header(instance).await?;
    let value = if plain || !instance.has_pixels {
        Value::Native { len: pixel_len }
    } else {
        // Single-bit frames do not end at bytes.
        if instance.frames < 1 || instance.bits_allocated == Some(1) {
            return Ok(None);
        }
        let (first, photometric) = renderers.transcode(archive, instance, 0, to).await?;
        describe(&mut header, photometric);
        let frames = at(instance.frames);
        let value =
            if codec::is_native(to) { Value::Native { len: frames * first.len() as u64 } } else { Value::Fragments };
        let head = write(instance, header, to, Some(value)).await?;
        let made = Pixels::Made { renderers: renderers.clone(), to: to.to_owned(), first };
        return Ok(Some(Converted { head, pixels: made }));
    };
    let head = write(instance, header, to, instance.has_pixels.then_some(value)).await?;
    Ok(Some(Converted { head, pixels: Pixels::Stored { at: pixel_at, len: pixel_len } }))
}

/// How Pixel Data begins in the new object.
#[derive(Clone, Copy)]
enum Value {
    Native { len: u64 },
    Fragments,
}

/// What a codec changes in the header: samples lie side by side, and color may have another name.
fn describe(header: &mut InMemDicomObject, photometric: Photometric) {
    header.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric.term()));
    if header.get(tags::PLANAR_CONFIGURATION).is_some() {
        header.put(DataElement::new(tags::PLANAR_CONFIGURATION, VR::US, dicom_core::PrimitiveValue::from(0u16)));
    }
}

async fn write(
    instance: &InstanceRef,
    mut header: InMemDicomObject,
    to: &str,
    pixels: Option<Value>,
) -> Result<Bytes, ArchiveError> {
    const FAILED: ArchiveError = ArchiveError::Unreadable("conversion");
    let (instance, to) = (instance.clone(), to.to_owned());
    let work = move || {
        let implicit = to == media::IMPLICIT_LE;
        // Texts are Unicode in memory and are written as such.
        if header.get(tags::SPECIFIC_CHARACTER_SET).is_some() {
            header.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"));
        }
        let mut out = part10::write_header(&instance.sop_class, &instance.sop_uid, &to, None);
        let syntax = if implicit { IMPLICIT_VR_LITTLE_ENDIAN.erased() } else { EXPLICIT_VR_LITTLE_ENDIAN.erased() };
        header.write_dataset_with_ts(&mut out, &syntax).map_err(|_| FAILED)?;
        let wide = instance.bits_allocated.is_some_and(|bits| bits > 8);
        let (vr, length) = match pixels {
            None => return Ok(Bytes::from(out)),
            // PS3.5 A.1, A.2, A.4. The length of a native value is even.
            Some(Value::Native { len }) => {
                (if wide { VR::OW } else { VR::OB }, u32::try_from(len + len % 2).map_err(|_| FAILED)?)
            }
            Some(Value::Fragments) => (VR::OB, u32::MAX),
        };
        out.extend([0xe0, 0x7f, 0x10, 0x00]);
        if !implicit {
            out.extend(vr.to_bytes());
            out.extend([0, 0]);
        }
        out.extend(length.to_le_bytes());
        if matches!(pixels, Some(Value::Fragments)) {
            // An empty Basic Offset Table: frames leave as they are made.
            out.extend(ITEM);
            out.extend([0; 4]);
        }
        Ok(Bytes::from(out))
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| FAILED)?
}

impl Converted {
    /// Its bytes, where they are known before they are made.
    pub fn len(&self) -> Option<u64> {
        match &self.pixels {
            Pixels::Stored { len, .. } => Some(self.head.len() as u64 + len),
            Pixels::Made { .. } => None,
        }
    }

    pub fn bytes(self, archive: Archive, instance: InstanceRef) -> Chunks {
        let head = self.head;
        let head = stream::once(async move { Ok(head) });
        match self.pixels {
            Pixels::Stored { at, len } => head.chain(read_range(archive, instance, at, len)).boxed(),
            Pixels::Made { renderers, to, first } => {
                let count = u32::try_from(instance.frames).unwrap_or(0);
                let native = codec::is_native(&to);
                let odd = native && !(first.len() as u64 * u64::from(count)).is_multiple_of(2);
                let others = stream::iter(1..count).then(move |index| {
                    let (archive, renderers) = (archive.clone(), renderers.clone());
                    let (instance, to) = (instance.clone(), to.clone());
                    async move {
                        let made = renderers.transcode(&archive, &instance, index, &to).await;
                        made.map(|(frame, _)| frame).map_err(|_| ArchiveError::Unreadable("frame cannot be converted"))
                    }
                });
                let frames = stream::once(async move { Ok(first) }).chain(others);
                let frames = frames.map(move |frame| frame.map(|frame| if native { frame } else { item(&frame) }));
                let end = Bytes::from(match (native, odd) {
                    (true, true) => vec![0],
                    (true, false) => Vec::new(),
                    (false, _) => END.to_vec(),
                });
                head.chain(frames).chain(stream::once(async move { Ok(end) })).boxed()
            }
        }
    }
}

/// One frame as one fragment (PS3.5 A.4).
fn item(frame: &[u8]) -> Bytes {
    let padded = frame.len() + frame.len() % 2;
    let mut out = Vec::with_capacity(padded + 8);
    out.extend(ITEM);
    out.extend(u32::try_from(padded).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(frame);
    out.resize(padded + 8, 0);
    Bytes::from(out)
}
