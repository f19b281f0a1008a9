//! Stored objects read back: by range, by frame, header alone.

use crate::derived::{DerivedStats, Fingerprint};
use crate::describe::inflate;
use crate::fragments::{Fragment, FrameIndex};
use crate::header::Encoding;
use crate::model::InstanceRef;
use crate::packed::Packed;
use crate::recent::LONGEST;
use crate::record::hex;
use crate::store;
use crate::{Archive, ArchiveError, ReadStudies};
use bytes::{Bytes, BytesMut};
use dicom_object::InMemDicomObject;
use mingying_blob::{BlobError, Blobs, Location};
use mingying_dicom::{Limits, codec};
use mingying_kernel::{Permit, Timestamp};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Headers longer than this are not read into memory as a data set.
const MAX_HEADER: u64 = 64 << 20;
/// Deflated objects are inflated up to this length.
const MAX_INFLATED: u64 = 1 << 30;
/// Longer frames are given out as part of the whole file, not put together in memory.
const MAX_FRAME: u64 = 1 << 30;
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

/// How well what is kept in memory and beside the objects serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadStats {
    /// Instances whose rows were in memory, and those looked for in the database.
    pub row_hits: u64,
    pub row_misses: u64,
    pub derived: DerivedStats,
}

/// Bytes of one piece of a frame.
const PIECE: u64 = 256 << 10;
/// Disk that stays free beyond what derived data may fill.
const ROOM: u64 = 2 << 30;

impl Archive {
    /// One instance; `NotFound` when absent or outside the permit's scope.
    pub async fn instance_of(
        &self,
        permit: &Permit<ReadStudies>,
        study_uid: &str,
        series_uid: &str,
        sop_uid: &str,
    ) -> Result<InstanceRef, ArchiveError> {
        let (now, scope) = (self.clock().now(), permit.scope());
        if let Some(row) = self.recent().find(scope, study_uid, series_uid, sop_uid, now) {
            return Ok(InstanceRef::clone(&row));
        }
        let before = self.recent().before();
        if self.recent().again(study_uid, series_uid, now)
            && let Some((org, rows)) = store::whole_series(self.db(), scope, study_uid, series_uid, LONGEST).await?
        {
            let found = rows.iter().find(|row| row.sop_uid == sop_uid).cloned();
            self.recent().put(study_uid, series_uid, org, rows, now, before);
            return found.ok_or(ArchiveError::NotFound);
        }
        let found = store::instances_of(self.db(), scope, study_uid, Some(series_uid), Some(sop_uid)).await?;
        found.into_iter().next().ok_or(ArchiveError::NotFound)
    }

    /// Studies whose last image came after `after`, not after `until`, with that time; the oldest first, at most `limit`.
    pub async fn received_between(
        &self,
        permit: &Permit<ReadStudies>,
        after: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(String, Timestamp)>, ArchiveError> {
        Ok(store::received_between(self.db(), permit.scope(), after, until, limit).await?)
    }

    /// What is made from instances and can be made again: the bytes that are kept under `fingerprint`, or what `make`
    /// makes.
    pub async fn derived<E>(
        &self,
        fingerprint: Fingerprint,
        make: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        let room = || self.blobs().free_space().is_ok_and(|free| free > ROOM);
        self.derived_folder().get_or_make(fingerprint, room, make).await
    }

    /// As `derived`, for a text made from the headers of instances.
    pub async fn derived_text(
        &self,
        fingerprint: Fingerprint,
        make: impl Future<Output = Result<Packed, ArchiveError>>,
    ) -> Result<Packed, ArchiveError> {
        let make = async { make.await.map(|text| Bytes::from(text.to_bytes())) };
        let bytes = self.derived(fingerprint, make).await?;
        Packed::from_bytes(&bytes).ok_or(ArchiveError::Unreadable("derived text"))
    }

    pub fn read_stats(&self) -> ReadStats {
        let (row_hits, row_misses) = self.recent().counts();
        ReadStats { row_hits, row_misses, derived: self.derived_folder().stats() }
    }

    /// `len` bytes at `offset` of the object's Part 10 file; fewer at its end. The whole file is `0..size`; the data
    /// set as received is `head_len..size`.
    pub async fn read(&self, instance: &InstanceRef, offset: u64, len: u64) -> Result<Bytes, ArchiveError> {
        match self.blobs().read(instance.location, offset, len).await {
            Err(BlobError::NotFound) => Ok(self.blobs().read(self.place_now(instance).await?, offset, len).await?),
            read => Ok(read?),
        }
    }

    /// Whether the bytes of an instance, read again, are those that came and that the index names. An error when they
    /// cannot be read at all just now.
    pub async fn is_sound(&self, instance: &InstanceRef) -> Result<bool, ArchiveError> {
        let mut place = instance.location;
        let mut found = self.blobs().record(place.pack, place.record).await;
        if matches!(found, Err(BlobError::NotFound)) {
            place = self.place_now(instance).await?;
            found = self.blobs().record(place.pack, place.record).await;
        }
        match found {
            Ok(found) => Ok(found.location == place && hex(&found.sha256) == instance.sha256),
            Err(BlobError::Corrupt(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// `Unavailable` when some of these instances lie where they cannot be reached for the moment: for who must know
    /// before an answer begins. Costs nothing where all of them lie on this machine's fast disk, else a look into each
    /// pack.
    pub async fn reachable(&self, instances: &[InstanceRef]) -> Result<(), ArchiveError> {
        let mut seen = HashSet::new();
        for instance in instances {
            let pack = instance.location.pack;
            if seen.insert(pack) && !self.blobs().is_near(pack) {
                self.read(instance, 0, 1).await?;
            }
        }
        Ok(())
    }

    /// Where an instance lies now: its pack was compacted since its row was read.
    async fn place_now(&self, instance: &InstanceRef) -> Result<Location, ArchiveError> {
        Ok(store::place_of(self.db(), instance.key).await?)
    }

    /// Does something that reads instances on a thread which may block; once more when their packs were compacted
    /// meanwhile.
    async fn with_places<T: Send + 'static>(
        &self,
        instances: &[InstanceRef],
        work: impl Fn(&Blobs, &[InstanceRef]) -> Result<T, ArchiveError> + Clone + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let (blobs, mut instances) = (self.blobs().clone(), instances.to_vec());
        for last in [false, true] {
            let (blobs, work, these) = (blobs.clone(), work.clone(), instances.clone());
            let done = tokio::task::spawn_blocking(move || work(&blobs, &these)).await;
            match done.map_err(|_| ArchiveError::Closed)? {
                Err(ArchiveError::Blob(BlobError::NotFound)) if !last => {}
                done => return done,
            }
            for instance in &mut instances {
                instance.location = self.place_now(instance).await?;
            }
        }
        Err(ArchiveError::NotFound)
    }

    /// Where a frame (from 0) lies as one piece in the object's file: offset and length. `None` where its bytes must be
    /// put together or inflated, which `frame_bytes` does.
    pub async fn frame_place(&self, instance: &InstanceRef, frame: u32) -> Result<Option<(u64, u64)>, ArchiveError> {
        if !instance.has_pixels || i64::from(frame) >= instance.frames {
            return Err(ArchiveError::NoSuchFrame);
        }
        if deflated(instance) {
            return Ok(None);
        }
        if instance.pixel_len >= 0 {
            return native_frame(instance, frame).map(Some);
        }
        if instance.frames == 1 {
            return self.only_fragment(instance).await;
        }
        let head_len = instance.head_len as u64;
        Ok(match self.frame_index(instance).await?.frame(frame).ok_or(ArchiveError::NoSuchFrame)? {
            [Fragment { at, len }] => Some((head_len + at, u64::from(*len))),
            _ => None,
        })
    }

    /// The fragment of a single-frame object that has no other. Item headers were checked when the object came in.
    async fn only_fragment(&self, instance: &InstanceRef) -> Result<Option<(u64, u64)>, ArchiveError> {
        let mut at = instance.pixel_at as u64;
        let table = item_len(&self.read(instance, at, 8).await?).ok_or(ArchiveError::NoSuchFrame)?;
        at += 8 + table;
        let len = item_len(&self.read(instance, at, 8).await?).ok_or(ArchiveError::NoSuchFrame)?;
        at += 8;
        let next = self.read(instance, at + len, 8).await?;
        Ok(item_len(&next).is_none().then_some((at, len)))
    }

    async fn frame_index(&self, instance: &InstanceRef) -> Result<Arc<FrameIndex>, ArchiveError> {
        if let Some(index) = self.frame_indexes().get(instance.key) {
            return Ok(index);
        }
        let bytes = store::frame_index(self.db(), instance.key).await?.ok_or(ArchiveError::NoSuchFrame)?;
        let index = FrameIndex::from_bytes(&bytes).ok_or(ArchiveError::Unreadable("frame index"))?;
        let index = Arc::new(index);
        self.frame_indexes().put(instance.key, index.clone());
        Ok(index)
    }

    /// The bytes of one frame (from 0) in the stored transfer syntax: native pixels, or the joined fragments.
    /// Deflated objects answer inflated.
    pub async fn frame_bytes(&self, instance: &InstanceRef, frame: u32) -> Result<Bytes, ArchiveError> {
        if !instance.has_pixels || i64::from(frame) >= instance.frames {
            return Err(ArchiveError::NoSuchFrame);
        }
        if instance.pixel_len >= 0 {
            let (at, len) = native_frame(instance, frame)?;
            check_frame(len)?;
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
            let one = std::slice::from_ref(instance);
            return self.with_places(one, |blobs, these| all_fragments(blobs, first(these)?)).await;
        }
        let index = self.frame_index(instance).await?;
        let fragments = index.frame(frame).ok_or(ArchiveError::NoSuchFrame)?;
        check_frame(fragments.iter().map(|fragment| u64::from(fragment.len)).sum())?;
        if let [Fragment { at, len }] = fragments {
            return self.read(instance, head_len + at, u64::from(*len)).await;
        }
        let wanted = |location| fragments.iter().map(|f| (location, head_len + f.at, u64::from(f.len))).collect();
        Ok(join(&match self.blobs().read_many(wanted(instance.location)).await {
            Err(BlobError::NotFound) => self.blobs().read_many(wanted(self.place_now(instance).await?)).await?,
            read => read?,
        }))
    }

    /// As `frame_bytes`, for a codec: the samples of a frame in their order. Eight-bit pixels that were written as the
    /// words of big endian (OW) have changed places in pairs, over the ends of odd frames (PS3.5 7.3).
    pub async fn codec_frame(&self, instance: &InstanceRef, frame: u32) -> Result<Bytes, ArchiveError> {
        let at = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let pixel_at = at(Some(instance.pixel_at));
        let in_words = instance.transfer_syntax == codec::EXPLICIT_VR_BIG_ENDIAN
            && instance.bits_allocated == Some(8)
            && pixel_at >= 12
            && self.read(instance, pixel_at - 8, 2).await?.as_ref() == b"OW";
        if !in_words {
            return self.frame_bytes(instance, frame).await;
        }
        const SHORT: ArchiveError = ArchiveError::Unreadable("too few pixels");
        let size = at(instance.rows) * at(instance.columns) * at(instance.samples.or(Some(1)));
        let (start, end) = (u64::from(frame) * size, (u64::from(frame) + 1) * size);
        if size == 0 || end > at(Some(instance.pixel_len)) || size > codec::MAX_SAMPLES as u64 {
            return Err(SHORT);
        }
        let from = start - start % 2;
        let mut bytes = self.read(instance, pixel_at + from, end + end % 2 - from).await?.to_vec();
        for pair in bytes.chunks_exact_mut(2) {
            pair.reverse();
        }
        let odd = (start % 2) as usize;
        Ok(Bytes::copy_from_slice(bytes.get(odd..odd + size as usize).ok_or(SHORT)?))
    }

    /// Whether no element of a native object stands behind its pixels: it would be lost when the object is written anew
    /// from header and frames.
    pub async fn ends_with_pixels(&self, instance: &InstanceRef) -> Result<bool, ArchiveError> {
        if instance.pixel_len < 0 || !instance.has_pixels || deflated(instance) {
            return Ok(true);
        }
        let at = |n: i64| u64::try_from(n).unwrap_or(0);
        let end = at(instance.pixel_at) + at(instance.pixel_len);
        let behind = at(instance.size).saturating_sub(end);
        if behind == 0 {
            return Ok(true);
        }
        let tail = self.read(instance, end, behind.min(4)).await?;
        // Data Set Trailing Padding (FFFC,FFFC) means nothing (PS3.10 7.2).
        Ok(tail.starts_with(&[0xfc, 0xff, 0xfc, 0xff]) || tail.starts_with(&[0xff, 0xfc, 0xff, 0xfc]))
    }

    /// As `frame_bytes`, in pieces of a moderate length: for sending on.
    pub async fn frame_pieces(&self, instance: &InstanceRef, frame: u32) -> Result<Vec<Bytes>, ArchiveError> {
        let Some((from, len)) = self.frame_place(instance, frame).await? else {
            return Ok(vec![self.frame_bytes(instance, frame).await?]);
        };
        check_frame(len)?;
        let (mut at, end) = (from, from + len);
        let mut pieces = Vec::new();
        while at < end {
            // They end at multiples of their length: so does what is checked.
            let to = ((at / PIECE + 1) * PIECE).min(end);
            pieces.push(self.read(instance, at, to - at).await?);
            at = to;
        }
        Ok(pieces)
    }

    /// The data set without Pixel Data and what follows it.
    pub async fn header(&self, instance: &InstanceRef) -> Result<InMemDicomObject, ArchiveError> {
        self.headers(std::slice::from_ref(instance)).await?.pop().ok_or(ArchiveError::NotFound)
    }

    /// The headers of many instances in the order given: one trip to the disk for all.
    pub async fn headers(&self, instances: &[InstanceRef]) -> Result<Vec<InMemDicomObject>, ArchiveError> {
        self.with_places(instances, |blobs, these| {
            these.iter().map(|instance| parse(&header_bytes(blobs, instance)?, instance)).collect()
        })
        .await
    }

    /// The bytes of the data set up to Pixel Data, in the stored transfer syntax (deflated ones inflated).
    pub async fn header_bytes(&self, instance: &InstanceRef) -> Result<Bytes, ArchiveError> {
        let one = std::slice::from_ref(instance);
        self.with_places(one, |blobs, these| header_bytes(blobs, first(these)?)).await
    }

    async fn inflated(&self, instance: &InstanceRef) -> Result<Vec<u8>, ArchiveError> {
        let one = std::slice::from_ref(instance);
        self.with_places(one, |blobs, these| inflated(blobs, first(these)?, MAX_INFLATED)).await
    }
}

fn check_frame(len: u64) -> Result<(), ArchiveError> {
    if len > MAX_FRAME { Err(ArchiveError::Unreadable("frame is too long")) } else { Ok(()) }
}

/// A stored data set, read piece by piece.
struct Stored<'a> {
    blobs: &'a Blobs,
    location: Location,
    at: u64,
    failed: Option<BlobError>,
}

impl io::Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.blobs.read_blocking(self.location, self.at, buffer.len() as u64).map_err(|error| {
            self.failed = Some(error);
            io::Error::from(io::ErrorKind::UnexpectedEof)
        })?;
        if let Some(place) = buffer.get_mut(..bytes.len()) {
            place.copy_from_slice(&bytes);
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// The first `bound` bytes of a deflated data set.
fn inflated(blobs: &Blobs, instance: &InstanceRef, bound: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut stored = Stored { blobs, location: instance.location, at: instance.head_len as u64, failed: None };
    match (inflate(&mut stored, bound), stored.failed) {
        (_, Some(error)) => Err(error.into()),
        (Ok((whole, _)), None) => Ok(whole),
        (Err(_), None) => Err(ArchiveError::Unreadable("deflated data set")),
    }
}

fn first(instances: &[InstanceRef]) -> Result<&InstanceRef, ArchiveError> {
    instances.first().ok_or(ArchiveError::NotFound)
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

/// The length that the header of an item tells; `None` for anything else, such as the end of the sequence.
fn item_len(head: &[u8]) -> Option<u64> {
    match *head {
        [0xfe, 0xff, 0x00, 0xe0, l0, l1, l2, l3] => Some(u64::from(u32::from_le_bytes([l0, l1, l2, l3]))),
        _ => None,
    }
}

/// All fragments of a single-frame object. Item headers were checked when the object came in.
fn all_fragments(blobs: &Blobs, instance: &InstanceRef) -> Result<Bytes, ArchiveError> {
    let mut at = instance.pixel_at as u64;
    let mut parts = Vec::new();
    let mut total = 0;
    let mut table = true;
    while let Some(len) = item_len(&blobs.read_blocking(instance.location, at, 8)?) {
        if !table {
            total += len;
            check_frame(total)?;
            let part = blobs.read_blocking(instance.location, at + 8, len)?;
            if part.len() as u64 != len {
                return Err(ArchiveError::Blob(BlobError::Corrupt("fragment")));
            }
            parts.push(part);
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

fn header_bytes(blobs: &Blobs, instance: &InstanceRef) -> Result<Bytes, ArchiveError> {
    let head = instance.head_len as u64;
    let len = (instance.header_end as u64).saturating_sub(head);
    if len > MAX_HEADER {
        return Err(ArchiveError::Unreadable("header is too long"));
    }
    if deflated(instance) {
        return Ok(inflated(blobs, instance, len)?.into());
    }
    Ok(blobs.read_blocking(instance.location, head, len)?)
}

/// Texts come out as Unicode, whatever the object says it was written in.
fn parse(bytes: &[u8], instance: &InstanceRef) -> Result<InMemDicomObject, ArchiveError> {
    // Deflated headers have been inflated, and are explicit VR little endian then.
    let syntax = if deflated(instance) { "1.2.840.10008.1.2.1" } else { instance.transfer_syntax.as_str() };
    mingying_dicom::read_data_set(bytes, syntax, Limits::default()).map_err(|_| ArchiveError::Unreadable("header"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mingying_blob::{Entry, Kind};
    use std::io::Write as _;

    #[tokio::test]
    async fn the_header_of_a_deflated_object_costs_no_more_than_itself() {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let data_set: Vec<u8> = noise.take(16 << 20).collect();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&data_set).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), mingying_blob::Settings { reserve: 0, ..Default::default() }).unwrap();
        let mut staging = blobs.stage();
        staging.write(&encoder.finish().unwrap()).await.unwrap();
        let entry = Entry { kind: Kind::Object, meta: Vec::new(), staged: staging.finish() };
        let location = blobs.publish(vec![entry], Timestamp::from_micros(0)).await.unwrap()[0];
        let instance = InstanceRef {
            transfer_syntax: "1.2.840.10008.1.2.1.99".to_owned(),
            size: location.len as i64,
            header_end: 1000,
            location,
            ..crate::recent::tests::row(1)
        };
        let mut header = Bytes::new();
        let peak = mingying_hostile::peak(|| header = header_bytes(&blobs, &instance).unwrap());
        assert!(header == data_set[..1000]);
        assert!(peak < 2 << 20, "{peak} bytes of memory for a header of 1000");
    }
}
