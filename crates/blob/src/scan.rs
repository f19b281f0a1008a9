//! Records read back and checked: the one way in which packs are replayed, verified, copied and healed.

use crate::crypt::{BLOCK, Frame, Keys, RecordKey, Shut, TAG};
use crate::disk::DiskFile;
use crate::record::{
    Header, Kind, PACK_HEADER, RECORD_HEADER, RECORD_MAGIC, RECORD_TRAILER, SUM_CHUNK, Standing, Trailer, sums_hold,
};
use crate::{BlobError, Location};
use sha2::{Digest, Sha256};
use std::io;

/// A piece of a scan ends after so many bytes, with the record that crosses it.
const PIECE: u64 = 16 << 20;
/// Payload read at once; whole checksum pieces.
const PART: u64 = SUM_CHUNK * 32;

/// How closely a scan looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Payload too: checksums and SHA-256 are computed again.
    Whole,
    /// All but the payload, which is passed over.
    Frame,
}

/// A record found by a scan, sound as far as the scan looked.
#[derive(Debug, Clone)]
pub struct Found {
    pub kind: Kind,
    pub meta: Vec<u8>,
    pub head_len: u64,
    pub location: Location,
    pub sha256: [u8; 32],
    /// Where the next record begins.
    pub next: u64,
}

/// Bytes of a pack that are no sound record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    pub from: u64,
    pub to: u64,
}

/// A piece of a scan.
#[derive(Debug, Default)]
pub struct Scan {
    pub records: Vec<Found>,
    /// Where to go on, `None` at the end of the pack.
    pub next: Option<u64>,
    /// What was passed over on the way to the next sound record. What follows the last one is not here: it may be the
    /// torn end of a batch that nobody was told of.
    pub damaged: Vec<Damage>,
    /// Where the last whole record ends, sound or not.
    pub end: u64,
}

pub(crate) enum Broken {
    /// Not a whole record.
    Torn,
    /// A whole record whose content is not what was written.
    Damaged { next: u64 },
}

/// Whether a record may be one that does not say where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It begins where another ends, or a row says that it is there.
    Given,
    /// It was searched for, and may lie in the content of another.
    Searched,
}

/// As `read_some`; `None` when the disk cannot read there.
pub(crate) fn readable(file: &dyn DiskFile, at: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
    match file.read_some(at, len) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(None),
        read => read.map(Some),
    }
}

/// Reads records from `from` on, at most `max_records`, up to `to`. `Locked` when the key of one is not here: nothing is
/// called damaged then.
pub(crate) fn scan(
    file: &dyn DiskFile,
    keys: &Keys,
    pack: u64,
    from: u64,
    to: u64,
    max_records: usize,
    depth: Depth,
) -> Result<Scan, BlobError> {
    let size = file.size()?.min(to);
    let mut at = from.max(PACK_HEADER);
    let first = at;
    let mut scan = Scan { end: at, ..Scan::default() };
    while at < size {
        if scan.records.len() >= max_records || at - first >= PIECE {
            scan.next = Some(at);
            return Ok(scan);
        }
        match read_record(file, keys, pack, at, size, depth, Trust::Given)? {
            Ok(found) => {
                at = found.next;
                scan.end = at;
                scan.records.push(found);
            }
            Err(Broken::Damaged { next }) => {
                tracing::error!(pack, at, "a record is damaged");
                scan.damaged.push(Damage { from: at, to: next });
                at = next;
                scan.end = at;
            }
            // Torn by a power cut, or its frame is damaged: go on at the next whole record, if there is one.
            Err(Broken::Torn) => match next_whole(file, keys, pack, at + 1, size)? {
                Some(next) => {
                    tracing::warn!(pack, at, next, "bytes between records are skipped");
                    scan.damaged.push(Damage { from: at, to: next });
                    at = next;
                }
                None => break,
            },
        }
    }
    Ok(scan)
}

pub(crate) fn read_record(
    file: &dyn DiskFile,
    keys: &Keys,
    pack: u64,
    at: u64,
    size: u64,
    depth: Depth,
    trust: Trust,
) -> Result<Result<Found, Broken>, BlobError> {
    let header = readable(file, at, RECORD_HEADER)?.and_then(|bytes| Header::decode(&bytes));
    let stands_here = |header: &Header| match header.place {
        Some(place) => place == Standing { pack, at },
        None => trust == Trust::Given,
    };
    let Some(header) = header.filter(stands_here) else { return Ok(Err(Broken::Torn)) };
    let next = at + header.total();
    if next > size {
        return Ok(Err(Broken::Torn));
    }
    let trailer = readable(file, next - RECORD_TRAILER as u64, RECORD_TRAILER)?;
    let Some(trailer) =
        trailer.and_then(|bytes| Trailer::decode(&bytes)).filter(|trailer| trailer.total == header.total())
    else {
        return Ok(Err(Broken::Torn));
    };
    let payload_at = at + header.payload_at();
    let meta = readable(file, at + RECORD_HEADER as u64, (header.payload_at() as usize) - RECORD_HEADER)?;
    let Some(mut meta) = meta else { return Ok(Err(Broken::Damaged { next })) };
    let mut sums =
        if (header.meta_len as usize) <= meta.len() { meta.split_off(header.meta_len as usize) } else { Vec::new() };
    if header.sums && Trailer::crc_of(&meta, &sums, &trailer.sha256, trailer.total) != trailer.crc {
        return Ok(Err(Broken::Damaged { next }));
    }
    let (mut sha256, mut key) = (trailer.sha256, None);
    if header.encrypted {
        match open_frame(keys, pack, &header, &meta, &sums) {
            Ok(frame) => {
                (meta, sha256, key) = (frame.meta, frame.sha256, Some(frame.record));
                sums.drain(..BLOCK.min(sums.len()));
            }
            Err(Shut::Damaged) => return Ok(Err(Broken::Damaged { next })),
            Err(Shut::Locked(id)) => return Err(BlobError::Locked(id)),
        }
    }
    let front =
        Front { header: &header, payload_at, meta: &meta, sums: &sums, key: key.as_ref(), sha256, crc: trailer.crc };
    if depth == Depth::Whole && !payload_holds(file, &front)? {
        return Ok(Err(Broken::Damaged { next }));
    }
    Ok(Ok(Found {
        kind: header.kind,
        meta,
        head_len: u64::from(header.head_len),
        location: Location { pack, record: at, at: payload_at, len: header.payload_len },
        sha256,
        next,
    }))
}

fn open_frame(keys: &Keys, pack: u64, header: &Header, meta: &[u8], sums: &[u8]) -> Result<Frame, Shut> {
    keys.open_frame(pack, &header.encode(), &[meta, sums.get(..BLOCK).unwrap_or_default()].concat())
}

/// What stands around a payload, read.
struct Front<'a> {
    header: &'a Header,
    payload_at: u64,
    meta: &'a [u8],
    /// Checksums, or tags.
    sums: &'a [u8],
    key: Option<&'a RecordKey>,
    sha256: [u8; 32],
    crc: u32,
}

fn payload_holds(file: &dyn DiskFile, front: &Front<'_>) -> Result<bool, BlobError> {
    let Front { header, key, .. } = front;
    let mut crc = crc32c::crc32c(front.meta);
    let mut sha = Sha256::new();
    let mut done = 0;
    let size = if key.is_some() { TAG } else { 4 };
    let mut sums = front.sums.chunks((PART / SUM_CHUNK) as usize * size);
    while done < header.payload_len {
        let wanted = (header.payload_len - done).min(PART) as usize;
        let mut part = readable(file, front.payload_at + done, wanted)?.unwrap_or_default();
        let sums = if header.sums { sums.next().unwrap_or_default() } else { &[] };
        let holds = match key {
            _ if part.is_empty() => false,
            Some(key) => key.open(done / SUM_CHUNK, &mut part, sums),
            None => !header.sums || sums_hold(&part, sums),
        };
        if !holds {
            return Ok(false);
        }
        let head = u64::from(header.head_len).saturating_sub(done) as usize;
        sha.update(part.get(head..).unwrap_or_default());
        if !header.sums {
            crc = crc32c::crc32c_append(crc, &part);
        }
        done += part.len() as u64;
    }
    Ok((header.sums || crc == front.crc) && <[u8; 32]>::from(sha.finalize()) == front.sha256)
}

/// The next place from `from` on where a sound record begins.
fn next_whole(file: &dyn DiskFile, keys: &Keys, pack: u64, from: u64, size: u64) -> Result<Option<u64>, BlobError> {
    const WINDOW: usize = 1 << 20;
    const READ: usize = WINDOW + RECORD_MAGIC.len() - 1;
    let mut at = from;
    while at < size {
        let bytes = match readable(file, at, READ)? {
            Some(bytes) => bytes,
            None => around(file, at, READ)?,
        };
        for (i, piece) in bytes.windows(RECORD_MAGIC.len()).enumerate() {
            let place = at + i as u64;
            if piece == RECORD_MAGIC
                && read_record(file, keys, pack, place, size, Depth::Whole, Trust::Searched)?.is_ok()
            {
                return Ok(Some(place));
            }
        }
        at += WINDOW as u64;
    }
    Ok(None)
}

/// Reads around what the disk cannot read, which comes as zeros: for searching alone.
fn around(file: &dyn DiskFile, from: u64, len: usize) -> Result<Vec<u8>, BlobError> {
    const SECTOR: u64 = 4096;
    let end = file.size()?.min(from + len as u64);
    let mut out = Vec::with_capacity(len);
    let mut at = from;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        let bytes = readable(file, at, (next - at) as usize)?.unwrap_or_default();
        out.extend_from_slice(&bytes);
        out.resize((next - from) as usize, 0);
        at = next;
    }
    Ok(out)
}
