//! Stored objects read back: by range, by frame, header alone.

use crate::describe::inflate;
use crate::fragments::{Fragment, FrameIndex};
use crate::header::Encoding;
use crate::model::InstanceRef;
use crate::store;
use crate::{Archive, ArchiveError};
use bytes::{Bytes, BytesMut};
use dicom_object::InMemDicomObject;
use mingying_blob::{BlobError, Blobs};
use mingying_dicom::Limits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Headers longer than this are not read into memory as a data set.
const MAX_HEADER: u64 = 64 << 20;
/// Deflated objects are inflated up to this length.
const MAX_INFLATED: u64 = 1 << 30;
/// Frame indexes kept in memory.
const CACHED_INDEXES: usize = 128;

/// Frame indexes of multi-frame objects that were read lately.
#[derive(Default)]
pub(crate) struct FrameIndexes {
    by_key: Mutex<HashMap<i64, Arc<FrameIndex>>>,
}

impl FrameIndexes {
    fn get(&self, key: i64) -> Option<Arc<FrameIndex>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn put(&self, key: i64, index: Arc<FrameIndex>) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= CACHED_INDEXES
            && let Some(any) = by_key.keys().next().copied()
        {
            by_key.remove(&any);
        }
        by_key.insert(key, index);
    }
}

fn deflated(instance: &InstanceRef) -> bool {
    Encoding::of(&instance.transfer_syntax).deflated
}

impl Archive {
    /// `len` bytes at `offset` of the object's Part 10 file; fewer at its end. The whole file is `0..size`; the data
    /// set as received is `head_len..size`.
    pub async fn read(&self, instance: &InstanceRef, offset: u64, len: u64) -> Result<Bytes, ArchiveError> {
        Ok(self.blobs().read(instance.location, offset, len).await?)
    }

    /// The bytes of one frame (from 0) in the stored transfer syntax: native pixels, or the joined fragments.
    /// Deflated objects answer inflated.
    pub async fn frame_bytes(&self, instance: &InstanceRef, frame: u32) -> Result<Bytes, ArchiveError> {
        if !instance.has_pixels || i64::from(frame) >= instance.frames {
            return Err(ArchiveError::NoSuchFrame);
        }
        if instance.pixel_len >= 0 {
            let (at, len) = native_frame(instance, frame)?;
            if deflated(instance) {
                let whole = self.inflated(instance).await?;
                let from = at - instance.head_len as u64;
                let bytes = whole.get(from as usize..(from + len) as usize);
                return Ok(Bytes::copy_from_slice(bytes.ok_or(ArchiveError::NoSuchFrame)?));
            }
            return self.read(instance, at, len).await;
        }
        let head_len = instance.head_len as u64;
        if instance.frames == 1 {
            let (blobs, instance) = (self.blobs().clone(), instance.clone());
            return tokio::task::spawn_blocking(move || all_fragments(&blobs, &instance))
                .await
                .map_err(|_| ArchiveError::Closed)?;
        }
        let index = match self.frame_indexes().get(instance.key) {
            Some(index) => index,
            None => {
                let bytes = store::frame_index(self.db(), instance.key).await?.ok_or(ArchiveError::NoSuchFrame)?;
                let index = FrameIndex::from_bytes(&bytes).ok_or(ArchiveError::Unreadable("frame index"))?;
                let index = Arc::new(index);
                self.frame_indexes().put(instance.key, index.clone());
                index
            }
        };
        let fragments = index.frame(frame).ok_or(ArchiveError::NoSuchFrame)?;
        if let [Fragment { at, len }] = fragments {
            return self.read(instance, head_len + at, u64::from(*len)).await;
        }
        let wanted = fragments.iter().map(|f| (instance.location, head_len + f.at, u64::from(f.len))).collect();
        Ok(join(&self.blobs().read_many(wanted).await?))
    }

    /// The data set without Pixel Data and what follows it.
    pub async fn header(&self, instance: &InstanceRef) -> Result<InMemDicomObject, ArchiveError> {
        self.headers(std::slice::from_ref(instance)).await?.pop().ok_or(ArchiveError::NotFound)
    }

    /// The headers of many instances in the order given: one trip to the disk for all.
    pub async fn headers(&self, instances: &[InstanceRef]) -> Result<Vec<InMemDicomObject>, ArchiveError> {
        let (blobs, instances) = (self.blobs().clone(), instances.to_vec());
        tokio::task::spawn_blocking(move || {
            instances.iter().map(|instance| parse(&header_bytes(&blobs, instance)?, instance)).collect()
        })
        .await
        .map_err(|_| ArchiveError::Closed)?
    }

    /// The bytes of the data set up to Pixel Data, in the stored transfer syntax (deflated ones inflated).
    pub async fn header_bytes(&self, instance: &InstanceRef) -> Result<Bytes, ArchiveError> {
        let (blobs, instance) = (self.blobs().clone(), instance.clone());
        tokio::task::spawn_blocking(move || header_bytes(&blobs, &instance).map(Bytes::from))
            .await
            .map_err(|_| ArchiveError::Closed)?
    }

    async fn inflated(&self, instance: &InstanceRef) -> Result<Vec<u8>, ArchiveError> {
        let head = instance.head_len as u64;
        let bytes = self.read(instance, head, instance.size as u64 - head).await?;
        let (whole, _) = tokio::task::spawn_blocking(move || inflate(&*bytes, MAX_INFLATED))
            .await
            .map_err(|_| ArchiveError::Closed)?
            .map_err(|_| ArchiveError::Unreadable("deflated data set"))?;
        Ok(whole)
    }
}

/// Offset in the file and length of a frame of native pixels.
fn native_frame(instance: &InstanceRef, frame: u32) -> Result<(u64, u64), ArchiveError> {
    let frames = instance.frames.max(1) as u64;
    let total = instance.pixel_len as u64;
    let bits = |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).unwrap_or(0);
    let computed = bits(instance.rows)
        .saturating_mul(bits(instance.columns))
        .saturating_mul(bits(instance.samples).max(1))
        .saturating_mul(bits(instance.bits_allocated));
    if computed % 8 != 0 && frames > 1 {
        return Err(ArchiveError::Unreadable("frames do not begin at whole bytes"));
    }
    let mut len = computed / 8;
    // Subsampled or contradictory: the value is divided evenly. Padding to even length is left out.
    if len == 0 || len.saturating_mul(frames) > total {
        len = total / frames;
    }
    Ok((instance.pixel_at as u64 + u64::from(frame) * len, len))
}

fn join(parts: &[Bytes]) -> Bytes {
    let mut out = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
    out.freeze()
}

/// All fragments of a single-frame object. Item headers were checked when the object came in.
fn all_fragments(blobs: &Blobs, instance: &InstanceRef) -> Result<Bytes, ArchiveError> {
    let mut at = instance.pixel_at as u64;
    let mut parts = Vec::new();
    let mut table = true;
    loop {
        let head = blobs.read_blocking(instance.location, at, 8)?;
        let [0xfe, 0xff, 0x00, 0xe0, l0, l1, l2, l3] = *head else { break };
        let len = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        if !table {
            let part = blobs.read_blocking(instance.location, at + 8, len)?;
            if part.len() as u64 != len {
                return Err(ArchiveError::Blob(BlobError::Corrupt("fragment")));
            }
            parts.push(Bytes::from(part));
        }
        table = false;
        at += 8 + len;
    }
    match parts.pop() {
        None => Err(ArchiveError::NoSuchFrame),
        Some(only) if parts.is_empty() => Ok(only),
        Some(last) => {
            parts.push(last);
            Ok(join(&parts))
        }
    }
}

fn header_bytes(blobs: &Blobs, instance: &InstanceRef) -> Result<Vec<u8>, ArchiveError> {
    let head = instance.head_len as u64;
    let len = (instance.header_end as u64).saturating_sub(head);
    if len > MAX_HEADER {
        return Err(ArchiveError::Unreadable("header is too long"));
    }
    if deflated(instance) {
        let bytes = blobs.read_blocking(instance.location, head, instance.size as u64)?;
        let (whole, _) = inflate(&*bytes, len).map_err(|_| ArchiveError::Unreadable("deflated data set"))?;
        return Ok(whole);
    }
    Ok(blobs.read_blocking(instance.location, head, len)?)
}

/// Texts come out as Unicode, whatever the object says it was written in.
fn parse(bytes: &[u8], instance: &InstanceRef) -> Result<InMemDicomObject, ArchiveError> {
    // Deflated headers have been inflated, and are explicit VR little endian then.
    let syntax = if deflated(instance) { "1.2.840.10008.1.2.1" } else { instance.transfer_syntax.as_str() };
    mingying_dicom::read_data_set(bytes, syntax, Limits::default()).map_err(|_| ArchiveError::Unreadable("header"))
}
