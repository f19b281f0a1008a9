//! Parts of payloads read from a pack's file, checked; and decrypted where they are encrypted.

use crate::crypt::{BLOCK, Cipher, Keys, Shut, TAG};
use crate::disk::DiskFile;
use crate::record::{Header, RECORD_HEADER, SUM_CHUNK, Standing};
use crate::{BlobError, Location};
use std::io;

/// A record's front up to this length is read at once: header, meta and checksums of all but very large objects.
pub(crate) const FRONT: u64 = 8 << 10;

/// How a reader gets bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Get {
    /// Waits for the disk.
    Wait,
    /// Only what can be had, and decrypted, without waiting.
    Now,
}

impl Get {
    /// Whether the buffer could be filled.
    fn fill(self, file: &dyn DiskFile, at: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let got = match self {
            Self::Wait => file.read_full(at, buffer),
            Self::Now => file.read_cached(buffer, at),
        };
        Ok(got? == buffer.len())
    }
}

/// Fills the buffer from `offset` of a payload. Each piece of the payload that is touched is compared with its checksum
/// or its tag: these are the bytes that were published, or it fails. `false` when there was not everything to be got.
pub(crate) fn fetch(
    file: &dyn DiskFile,
    keys: &Keys,
    location: Location,
    offset: u64,
    buffer: &mut [u8],
    how: Get,
) -> Result<bool, BlobError> {
    if buffer.is_empty() {
        return Ok(true);
    }
    let get = |at, buffer: &mut [u8]| Ok::<_, BlobError>(how.fill(file, at, buffer)?);
    let front_len = location.at.saturating_sub(location.record);
    let mut front = vec![0; front_len.min(FRONT) as usize];
    if !get(location.record, &mut front)? || !get(location.at + offset, buffer)? {
        return Ok(false);
    }
    let header = Header::decode(&front)
        .filter(|h| location.record + h.payload_at() == location.at && h.payload_len == location.len)
        .filter(|h| h.place.is_none_or(|at| at == Standing { pack: location.pack, at: location.record }))
        .ok_or(BlobError::Corrupt("header of a record"))?;
    if header.encrypted {
        return decrypt(get, keys, location, &header, front, offset, buffer, how);
    }
    if !header.sums {
        return Ok(true);
    }
    let first = offset / SUM_CHUNK;
    let count = (offset + buffer.len() as u64).div_ceil(SUM_CHUNK) - first;
    let sums_at = front_len - header.sums_len() + first * 4;
    let sums = match front.get(sums_at as usize..(sums_at + count * 4) as usize) {
        Some(sums) => sums,
        None => {
            front.resize((count * 4) as usize, 0);
            if !get(location.record + sums_at, &mut front)? {
                return Ok(false);
            }
            &front
        }
    };
    // The first and the last piece reach beyond the buffer.
    let mut edge = Vec::new();
    let mut beyond = |from: u64, to: u64, crc: u32| {
        edge.resize((to - from) as usize, 0);
        Ok::<_, BlobError>(get(location.at + from, &mut edge)?.then(|| crc32c::crc32c_append(crc, &edge)))
    };
    let (mut at, mut rest) = (offset, &*buffer);
    for (piece, sum) in (first..).zip(sums.as_chunks::<4>().0) {
        let (begin, end) = (piece * SUM_CHUNK, ((piece + 1) * SUM_CHUNK).min(location.len));
        let Some(crc) = beyond(begin, at, 0)? else { return Ok(false) };
        let (now, later) = rest.split_at(rest.len().min((end - at) as usize));
        (at, rest) = (at + now.len() as u64, later);
        let Some(crc) = beyond(at, end, crc32c::crc32c_append(crc, now))? else { return Ok(false) };
        if crc != u32::from_le_bytes(*sum) {
            return Err(damaged(location, begin));
        }
        at = end;
    }
    Ok(true)
}

fn damaged(location: Location, begin: u64) -> BlobError {
    tracing::error!(pack = location.pack, at = location.at + begin, "stored bytes are damaged");
    BlobError::Corrupt("payload")
}

/// As `fetch`, of an encrypted record whose front was read, when `buffer` holds what stands on the disk.
#[expect(clippy::too_many_arguments, reason = "the second half of one function")]
fn decrypt(
    get: impl Fn(u64, &mut [u8]) -> Result<bool, BlobError>,
    keys: &Keys,
    location: Location,
    header: &Header,
    mut front: Vec<u8>,
    offset: u64,
    buffer: &mut [u8],
    how: Get,
) -> Result<bool, BlobError> {
    let frame_end = RECORD_HEADER + header.meta_len as usize + BLOCK;
    if front.len() < frame_end {
        front.resize(frame_end, 0);
        if !get(location.record, &mut front)? {
            return Ok(false);
        }
    }
    let (head, behind) = front.get(..frame_end).unwrap_or_default().split_at(RECORD_HEADER);
    let frame = keys.open_frame(location.pack, head, behind).map_err(|shut| match shut {
        Shut::Damaged => BlobError::Corrupt("frame of a record"),
        Shut::Locked(id) => BlobError::Locked(id),
    })?;
    // No processor has an instruction for it: too slow for a thread on which others wait.
    if how == Get::Now && frame.cipher == Cipher::Sm4Gcm {
        return Ok(false);
    }
    let upto = offset + buffer.len() as u64;
    let (first, last) = (offset / SUM_CHUNK, upto.div_ceil(SUM_CHUNK));
    let tags_at = frame_end + first as usize * TAG;
    let tags_len = (last - first) as usize * TAG;
    let tags = match front.get(tags_at..tags_at + tags_len) {
        Some(tags) => tags,
        None => {
            front.resize(tags_len, 0);
            if !get(location.record + tags_at as u64, &mut front)? {
                return Ok(false);
            }
            &front
        }
    };
    let mut edge = Vec::new();
    let mut rest = buffer;
    for (segment, tag) in (first..).zip(tags.as_chunks::<TAG>().0) {
        let (begin, end) = (segment * SUM_CHUNK, ((segment + 1) * SUM_CHUNK).min(location.len));
        let (from, to) = (begin.max(offset), end.min(upto));
        let (now, later) = rest.split_at_mut(rest.len().min((to - from) as usize));
        rest = later;
        if (from, to) == (begin, end) {
            if !frame.record.open(segment, now, tag) {
                return Err(damaged(location, begin));
            }
            continue;
        }
        // The first and the last segment reach beyond the buffer.
        edge.resize((end - begin) as usize, 0);
        if !get(location.at + begin, &mut edge)? {
            return Ok(false);
        }
        if !frame.record.open(segment, &mut edge, tag) {
            return Err(damaged(location, begin));
        }
        let wanted = edge.get((from - begin) as usize..(to - begin) as usize).unwrap_or_default();
        now.copy_from_slice(wanted);
    }
    Ok(true)
}
