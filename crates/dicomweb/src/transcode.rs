//! Objects in another transfer syntax (PS3.18 8.7.3.5): the header is written anew; the pixels pass as they are between
//! the native little-endian encodings, come from the HTJ2K sibling where that is asked for, and go through a codec, frame
//! by frame, everywhere else.

use crate::wado::{CHUNK, Chunks, read_range};
use crate::{Problem, Renderers};
use bytes::Bytes;
use dicom_object::InMemDicomObject;
use futures::stream::{self, StreamExt};
use mingying_archive::{Archive, ArchiveError, InstanceRef};
use mingying_dicom::codec::{self, SiblingPlan};
use mingying_dicom::outgoing::{self, PixelValue};
use mingying_dicom::part10;

/// An object in another transfer syntax: everything up to the pixels, and where they come from.
pub(crate) struct Converted {
    head: Bytes,
    pixels: Pixels,
}

enum Pixels {
    /// As they lie in the stored object.
    Stored { at: u64, len: u64 },
    /// As they lie in its sibling.
    Sibling { len: u64 },
    /// Through a codec. The first frame has been made already.
    Made { renderers: Renderers, to: String, first: Bytes },
}

/// Whether the sibling's frames are of this transfer syntax: they are lossless and in the order RPCL, which all three
/// allow (PS3.5 A.4.4).
pub(crate) fn is_of_sibling(transfer_syntax: &str) -> bool {
    matches!(transfer_syntax, codec::HTJ2K_LOSSLESS | codec::HTJ2K_LOSSLESS_RPCL | codec::HTJ2K)
}

/// Whether frames of `from` can be had as `to`, without loss of what is stored.
pub(crate) fn is_possible_frame(from: &str, to: &str) -> bool {
    from != to && codec::can_decode(from) && codec::can_encode(to)
}

/// Whether objects of `from` can be had as `to`. Big-endian and deflated objects are received, never made.
pub(crate) fn is_possible(from: &str, to: &str) -> bool {
    outgoing::same_pixels(from, to) || (outgoing::can_write(to) && is_possible_frame(from, to))
}

/// `None` where the object has elements behind its pixels, which would be lost, or no frames that could be coded.
pub(crate) async fn convert(
    archive: &Archive,
    renderers: &Renderers,
    instance: &InstanceRef,
    to: &str,
) -> Result<Option<Converted>, Problem> {
    let at = |n: i64| u64::try_from(n).unwrap_or(0);
    if !archive.ends_with_pixels(instance).await? {
        return Ok(None);
    }
    let mut header = archive.header(instance).await?;
    if !instance.has_pixels {
        let head = write(instance, header, to, None).await?;
        return Ok(Some(Converted { head, pixels: Pixels::Stored { at: at(instance.size), len: 0 } }));
    }
    if outgoing::same_pixels(&instance.transfer_syntax, to) {
        let len = at(instance.pixel_len);
        let head = write(instance, header, to, Some(PixelValue::Native { len })).await?;
        return Ok(Some(Converted { head, pixels: Pixels::Stored { at: at(instance.pixel_at), len } }));
    }
    if is_of_sibling(to)
        && let Some(len) = archive.sibling_pixels(instance)
        && let Ok(plan) = SiblingPlan::new(&header, &instance.transfer_syntax, at(instance.pixel_len))
        // It may have gone; then it is found out before the answer begins.
        && archive.read_sibling(instance, 0, 1).await.is_ok()
    {
        outgoing::describe_pixels(&mut header, plan.photometric());
        let head = write(instance, header, to, Some(PixelValue::Encapsulated)).await?;
        return Ok(Some(Converted { head, pixels: Pixels::Sibling { len } }));
    }
    // Single-bit frames do not end at bytes.
    if instance.frames < 1 || instance.bits_allocated == Some(1) {
        return Ok(None);
    }
    let (first, photometric) = renderers.transcode(archive, instance, 0, to).await?;
    outgoing::describe_pixels(&mut header, photometric);
    let value = if codec::is_native(to) {
        PixelValue::Native { len: at(instance.frames) * first.len() as u64 }
    } else {
        PixelValue::Encapsulated
    };
    let head = write(instance, header, to, Some(value)).await?;
    let pixels = Pixels::Made { renderers: renderers.clone(), to: to.to_owned(), first };
    Ok(Some(Converted { head, pixels }))
}

async fn write(
    instance: &InstanceRef,
    header: InMemDicomObject,
    to: &str,
    pixels: Option<PixelValue>,
) -> Result<Bytes, ArchiveError> {
    const FAILED: ArchiveError = ArchiveError::Unreadable("conversion");
    let mut out = part10::write_header(&instance.sop_class, &instance.sop_uid, to, None);
    let (to, wide) = (to.to_owned(), instance.bits_allocated.is_some_and(|bits| bits > 8));
    let work = move || {
        out.extend(outgoing::write_header(header, &to, wide, pixels).map_err(|_| FAILED)?);
        Ok(Bytes::from(out))
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| FAILED)?
}

impl Converted {
    /// Its bytes, where they are known before they are made.
    pub fn len(&self) -> Option<u64> {
        match &self.pixels {
            Pixels::Stored { len, .. } | Pixels::Sibling { len } => Some(self.head.len() as u64 + len),
            Pixels::Made { .. } => None,
        }
    }

    pub fn bytes(self, archive: Archive, instance: InstanceRef) -> Chunks {
        let head = self.head;
        let head = stream::once(async move { Ok(head) });
        match self.pixels {
            Pixels::Stored { at, len } => head.chain(read_range(archive, instance, at, len)).boxed(),
            Pixels::Sibling { len } => head.chain(read_sibling(archive, instance, len)).boxed(),
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
                let frames =
                    frames.map(move |frame| frame.map(|f| if native { f } else { Bytes::from(outgoing::item(&f)) }));
                // Frames leave as they are made: the Basic Offset Table is empty.
                let begin = Bytes::from(if native { Vec::new() } else { outgoing::item(&[]) });
                let end = Bytes::from(match (native, odd) {
                    (true, true) => vec![0],
                    (true, false) => Vec::new(),
                    (false, _) => outgoing::DELIMITER.to_vec(),
                });
                let ends = |bytes| stream::once(async move { Ok(bytes) });
                head.chain(ends(begin)).chain(frames).chain(ends(end)).boxed()
            }
        }
    }
}

/// The value of Pixel Data as the sibling has it.
fn read_sibling(archive: Archive, instance: InstanceRef, len: u64) -> Chunks {
    stream::try_unfold((archive, instance, 0), move |(archive, instance, at)| async move {
        if at >= len {
            return Ok(None);
        }
        let bytes = archive.read_sibling(&instance, at, CHUNK.min(len - at)).await?;
        if bytes.is_empty() {
            return Err(ArchiveError::Unreadable("shorter than indexed"));
        }
        let next = at + bytes.len() as u64;
        Ok(Some((bytes, (archive, instance, next))))
    })
    .boxed()
}
