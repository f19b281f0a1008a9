//! Siblings read back.

use super::{ENTRY, FIRST};
use crate::model::InstanceRef;
use crate::store;
use crate::{Archive, ArchiveError};
use bytes::Bytes;
use mingying_blob::{BlobError, Location};
use mingying_dicom::outgoing::DELIMITER;

impl Archive {
    /// The codestream of a frame (from 0) in `SIBLING_SYNTAX`. `None` where there is none that can be read: the original
    /// serves then.
    pub async fn sibling_frame(&self, instance: &InstanceRef, frame: u32) -> Option<Bytes> {
        let (place, len) = (instance.sibling?, self.sibling_pixels(instance)?);
        if i64::from(frame) >= instance.frames {
            return None;
        }
        let end_of_last = len - DELIMITER.len() as u64;
        let read = async {
            if instance.frames == 1 {
                return self.read_sibling(instance, FIRST, end_of_last.saturating_sub(FIRST)).await;
            }
            let last = i64::from(frame) + 1 == instance.frames;
            let entries = self
                .read_sibling(instance, len + u64::from(frame) * ENTRY, if last { ENTRY } else { 2 * ENTRY })
                .await?;
            let entry = |n: usize| entries.as_chunks::<8>().0.get(n).map(|bytes| u64::from_le_bytes(*bytes));
            let from = entry(0).unwrap_or(u64::MAX);
            let to = if last { Some(end_of_last) } else { entry(1).and_then(|next| next.checked_sub(ENTRY)) };
            let count = to.filter(|to| *to <= end_of_last).and_then(|to| to.checked_sub(from));
            self.read_sibling(instance, from, count.ok_or(BlobError::Corrupt("table of a sibling"))?).await
        };
        match read.await {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.sibling_failed(instance, place, &error).await;
                None
            }
        }
    }

    /// Length of the value of Pixel Data that the sibling holds: an empty Basic Offset Table, the fragments, the
    /// delimiter.
    pub fn sibling_pixels(&self, instance: &InstanceRef) -> Option<u64> {
        self.siblings().blobs.as_ref()?;
        let table = ENTRY * u64::try_from(instance.frames).ok()?;
        instance.sibling?.len.checked_sub(table).filter(|len| *len > FIRST + DELIMITER.len() as u64)
    }

    /// `len` bytes at `offset` of that value. `NotFound` when the sibling is gone.
    pub async fn read_sibling(&self, instance: &InstanceRef, offset: u64, len: u64) -> Result<Bytes, ArchiveError> {
        let blobs = self.siblings().blobs.as_ref().ok_or(ArchiveError::NotFound)?;
        let place = instance.sibling.ok_or(ArchiveError::NotFound)?;
        Ok(blobs.read(place, offset, len).await?)
    }

    /// A sibling whose pack was dropped is forgotten already; a damaged one is made again.
    async fn sibling_failed(&self, instance: &InstanceRef, place: Location, error: &ArchiveError) {
        if !matches!(error, ArchiveError::Blob(BlobError::Corrupt(_))) {
            return;
        }
        tracing::warn!(%error, "a damaged sibling is forgotten");
        if let Err(error) = store::forget_sibling(self.db(), instance.key, place).await {
            tracing::warn!(%error, "a damaged sibling stays");
        }
    }
}
