//! The bytes of a pack, version 1. All numbers are little-endian.
//!
//! A pack begins with 64 bytes: magic `MYPACK\0\x01`, format version, pack id, time of making, id of the pack before it
//! and where that one ended, CRC-32C. Then records: 64 bytes of header, JSON meta, checksums, payload, 48 bytes of
//! trailer. The payload is a head that frames the content (for a DICOM object: preamble and file meta information) and
//! the content itself; the SHA-256 covers the content, so that the same data set has the same hash however it was sent.
//!
//! Every bit is covered: the header by its own CRC-32C, each `SUM_CHUNK` bytes of the payload by one of the checksums,
//! so that any part can be checked when it is read, and meta, checksums and the rest of the trailer by the trailer's
//! CRC-32C. Records of the first days have no checksums (flag 0); the trailer's CRC covers meta and payload there.
//!
//! A record says where it stands: pack and offset, which no sender knows. So bytes that look like a record, in the
//! content of one whose header is damaged, are not taken for one; nor is a record that the disk wrote elsewhere. Records
//! of the first days do not say it (flag 2 is missing); they are found only where the one before them ends.
//!
//! Records may be encrypted (flag 4); `crypt` says what stands where then. Their pack has format version 2 and names the
//! master key in its header. An encrypted record has the lengths, the places and the trailer's CRC-32C of a plain one,
//! over what stands on the disk: without the key it is found and passed over, and only its content is not read.

use crate::crypt::{BLOCK, KeyId, TAG};

pub(crate) const PACK_HEADER: u64 = 64;
pub(crate) const RECORD_HEADER: usize = 64;
pub(crate) const RECORD_TRAILER: usize = 48;
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"MYR\x01";
const PACK_MAGIC: [u8; 8] = *b"MYPACK\0\x01";
const END_MAGIC: [u8; 4] = *b"\x01RYM";
const VERSION: u32 = 1;
const VERSION_ENCRYPTED: u32 = 2;
/// Bytes of payload behind one checksum, or under one tag. Small, because a read takes in whole ones.
pub(crate) const SUM_CHUNK: u64 = 32 << 10;
const SUM_BYTES: u64 = 4;
const FLAG_SUMS: u8 = 1;
const FLAG_PLACED: u8 = 2;
const FLAG_ENCRYPTED: u8 = 4;
/// No meta of ours is near this; a larger one is damage.
pub(crate) const MAX_META: u32 = 1 << 20;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A received object.
    Object,
    /// Takes back the record its meta names.
    Tombstone,
    /// A correction of attributes of an object, kept beside it.
    Coercion,
    /// Gives an object that is there another place in the index.
    Relink,
    /// Takes back a tombstone.
    Revoke,
    /// A record of an earlier place again, whole: its meta names that place.
    Copy,
    /// Ends the time in which a tombstone can be taken back.
    Purge,
}

impl Kind {
    /// Its number in a record.
    pub const fn code(self) -> u8 {
        match self {
            Self::Object => 1,
            Self::Tombstone => 2,
            Self::Coercion => 3,
            Self::Relink => 4,
            Self::Revoke => 5,
            Self::Copy => 6,
            Self::Purge => 7,
        }
    }

    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Object),
            2 => Some(Self::Tombstone),
            3 => Some(Self::Coercion),
            4 => Some(Self::Relink),
            5 => Some(Self::Revoke),
            6 => Some(Self::Copy),
            7 => Some(Self::Purge),
            _ => None,
        }
    }
}

fn put<const N: usize>(buffer: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(slot) = buffer.get_mut(at..at + N) {
        slot.copy_from_slice(&bytes);
    }
}

fn take<const N: usize>(buffer: &[u8], at: usize) -> [u8; N] {
    buffer.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

/// Where a pack ended when the next one was begun. What its file holds beyond that was never acknowledged and is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub pack: u64,
    pub at: u64,
}

/// `key`: the master key of an encrypted pack.
pub(crate) fn pack_header(
    pack: u64,
    made_at: i64,
    before: Option<Ended>,
    key: Option<KeyId>,
) -> [u8; PACK_HEADER as usize] {
    let mut out = [0; PACK_HEADER as usize];
    put(&mut out, 0, PACK_MAGIC);
    put(&mut out, 8, if key.is_some() { VERSION_ENCRYPTED } else { VERSION }.to_le_bytes());
    put(&mut out, 48, key.map_or([0; 8], |key| key.0));
    put(&mut out, 16, pack.to_le_bytes());
    put(&mut out, 24, made_at.to_le_bytes());
    if let Some(before) = before {
        put(&mut out, 32, before.pack.to_le_bytes());
        put(&mut out, 40, before.at.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out[..60]);
    put(&mut out, 60, crc.to_le_bytes());
    out
}

/// What a pack's header tells of the pack before it. Fails when these bytes are no header of this pack.
pub(crate) fn read_pack_header(bytes: &[u8], pack: u64) -> Result<Option<Ended>, PackHeaderError> {
    let crc = crc32c::crc32c(bytes.get(..60).unwrap_or_default());
    if bytes.len() < PACK_HEADER as usize
        || take::<8>(bytes, 0) != PACK_MAGIC
        || u32::from_le_bytes(take(bytes, 60)) != crc
        || u64::from_le_bytes(take(bytes, 16)) != pack
    {
        return Err(PackHeaderError::Damaged);
    }
    if ![VERSION, VERSION_ENCRYPTED].contains(&u32::from_le_bytes(take(bytes, 8))) {
        return Err(PackHeaderError::Version);
    }
    let before = Ended { pack: u64::from_le_bytes(take(bytes, 32)), at: u64::from_le_bytes(take(bytes, 40)) };
    Ok((before.pack != 0).then_some(before))
}

/// When a pack was begun, microseconds UTC, as its header says.
pub(crate) fn made_at(header: &[u8]) -> i64 {
    i64::from_le_bytes(take(header, 24))
}

/// The master key that an encrypted pack needs, as its header says.
pub(crate) fn key_of(header: &[u8]) -> Option<KeyId> {
    (u32::from_le_bytes(take(header, 8)) == VERSION_ENCRYPTED).then(|| KeyId(take(header, 48)))
}

/// Why a pack's header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackHeaderError {
    Damaged,
    /// Whole, and of a format that this version does not know.
    Version,
}

/// The fixed part at the front of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    /// Whether checksums or tags stand before the payload.
    pub sums: bool,
    pub encrypted: bool,
    pub meta_len: u32,
    /// Bytes at the front of the payload that frame the content.
    pub head_len: u32,
    pub payload_len: u64,
    /// Where it stands, when it says so.
    pub place: Option<Standing>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub pack: u64,
    pub at: u64,
}

impl Header {
    /// Bytes of the checksums; of the keys and tags.
    pub fn sums_len(&self) -> u64 {
        let pieces = self.payload_len.div_ceil(SUM_CHUNK);
        match (self.encrypted, self.sums) {
            (true, _) => BLOCK as u64 + pieces * TAG as u64,
            (false, true) => pieces * SUM_BYTES,
            (false, false) => 0,
        }
    }

    /// Where the payload begins in the record.
    pub fn payload_at(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.meta_len) + self.sums_len()
    }

    /// Bytes of the whole record.
    pub fn total(&self) -> u64 {
        self.payload_at() + self.payload_len + RECORD_TRAILER as u64
    }

    pub fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut out = [0; RECORD_HEADER];
        put(&mut out, 0, RECORD_MAGIC);
        let flags = if self.sums { FLAG_SUMS } else { 0 }
            | if self.place.is_some() { FLAG_PLACED } else { 0 }
            | if self.encrypted { FLAG_ENCRYPTED } else { 0 };
        put(&mut out, 4, [self.kind.code(), flags]);
        put(&mut out, 8, self.meta_len.to_le_bytes());
        put(&mut out, 12, self.head_len.to_le_bytes());
        put(&mut out, 16, self.payload_len.to_le_bytes());
        if let Some(Standing { pack, at }) = self.place {
            put(&mut out, 24, pack.to_le_bytes());
            put(&mut out, 32, at.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[..60]);
        put(&mut out, 60, crc.to_le_bytes());
        out
    }

    /// `None` when these bytes are no record header.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEADER)?;
        if take::<4>(bytes, 0) != RECORD_MAGIC
            || u32::from_le_bytes(take(bytes, 60)) != crc32c::crc32c(bytes.get(..60)?)
        {
            return None;
        }
        let flags = *bytes.get(5)?;
        if flags & !(FLAG_SUMS | FLAG_PLACED | FLAG_ENCRYPTED) != 0 {
            return None;
        }
        let place = Standing { pack: u64::from_le_bytes(take(bytes, 24)), at: u64::from_le_bytes(take(bytes, 32)) };
        let header = Self {
            kind: Kind::from_code(*bytes.get(4)?)?,
            sums: flags & FLAG_SUMS != 0,
            encrypted: flags & FLAG_ENCRYPTED != 0,
            meta_len: u32::from_le_bytes(take(bytes, 8)),
            head_len: u32::from_le_bytes(take(bytes, 12)),
            payload_len: u64::from_le_bytes(take(bytes, 16)),
            place: (flags & FLAG_PLACED != 0).then_some(place),
        };
        let sane = header.meta_len <= MAX_META
            && (!header.encrypted || (header.sums && header.place.is_some()))
            && u64::from(header.head_len) <= header.payload_len
            && header.payload_len <= i64::MAX as u64 >> 1;
        sane.then_some(header)
    }
}

/// The checksums of a payload, made while it arrives.
#[derive(Default)]
pub(crate) struct Sums {
    done: Vec<u8>,
    open: u32,
    filled: u64,
}

impl Sums {
    pub fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (SUM_CHUNK - self.filled) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open = crc32c::crc32c_append(self.open, now);
            self.filled += now.len() as u64;
            if self.filled == SUM_CHUNK {
                self.close();
            }
            bytes = later;
        }
    }

    fn close(&mut self) {
        self.done.extend_from_slice(&self.open.to_le_bytes());
        self.open = 0;
        self.filled = 0;
    }

    /// As they stand in a record.
    pub fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.close();
        }
        self.done
    }
}

/// Whether whole pieces of a payload, the last one perhaps shorter, are what their checksums say.
pub(crate) fn sums_hold(payload: &[u8], sums: &[u8]) -> bool {
    let (sums, rest) = sums.as_chunks::<4>();
    let pieces = payload.chunks(SUM_CHUNK as usize);
    rest.is_empty()
        && pieces.len() == sums.len()
        && pieces.zip(sums).all(|(piece, sum)| crc32c::crc32c(piece) == u32::from_le_bytes(*sum))
}

/// The fixed part at the end of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub crc: u32,
    pub sha256: [u8; 32],
    pub total: u64,
}

impl Trailer {
    pub fn encode(&self) -> [u8; RECORD_TRAILER] {
        let mut out = [0; RECORD_TRAILER];
        put(&mut out, 0, self.crc.to_le_bytes());
        put(&mut out, 4, self.sha256);
        put(&mut out, 36, self.total.to_le_bytes());
        put(&mut out, 44, END_MAGIC);
        out
    }

    /// The CRC of a record with checksums: over meta, checksums, and what the trailer says besides.
    pub fn crc_of(meta: &[u8], sums: &[u8], sha256: &[u8; 32], total: u64) -> u32 {
        let crc = crc32c::crc32c_append(crc32c::crc32c(meta), sums);
        crc32c::crc32c_append(crc32c::crc32c_append(crc, sha256), &total.to_le_bytes())
    }

    /// `None` when the record does not end here.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_TRAILER)?;
        (take::<4>(bytes, 44) == END_MAGIC).then(|| Self {
            crc: u32::from_le_bytes(take(bytes, 0)),
            sha256: take(bytes, 4),
            total: u64::from_le_bytes(take(bytes, 36)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        (0_u8..7, any::<bool>(), 0..=MAX_META, any::<u32>(), any::<u32>(), any::<Option<(u64, u64)>>()).prop_map(
            |(kind, sums, meta_len, head, more, place)| Header {
                kind: Kind::from_code(kind + 1).unwrap(),
                sums,
                encrypted: sums && place.is_some() && more % 2 == 0,
                meta_len,
                head_len: head,
                payload_len: u64::from(head) + u64::from(more),
                place: place.map(|(pack, at)| Standing { pack, at }),
            },
        )
    }

    proptest! {
        #[test]
        fn headers_read_back(header in header()) {
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
        }

        #[test]
        fn one_flipped_bit_is_noticed(header in header(), bit in 0_usize..64 * 8) {
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Header::decode(&bytes), None);
        }

        #[test]
        fn garbage_is_no_header(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Header::decode(&bytes), None);
            prop_assert!(read_pack_header(&bytes, 1).is_err());
        }

        #[test]
        fn trailers_read_back(crc: u32, sha256: [u8; 32], total: u64) {
            let trailer = Trailer { crc, sha256, total };
            prop_assert_eq!(Trailer::decode(&trailer.encode()), Some(trailer));
        }
    }

    #[test]
    fn pack_header_names_its_pack_and_the_end_of_the_one_before() {
        let bytes = pack_header(7, 1, None, None);
        assert_eq!(read_pack_header(&bytes, 7), Ok(None));
        assert_eq!(read_pack_header(&bytes, 8), Err(PackHeaderError::Damaged));
        let before = Ended { pack: 6, at: 4711 };
        assert_eq!(read_pack_header(&pack_header(7, 1, Some(before), None), 7), Ok(Some(before)));
        let key = KeyId([9; 8]);
        let encrypted = pack_header(7, 1, Some(before), Some(key));
        assert_eq!((read_pack_header(&encrypted, 7), key_of(&encrypted)), (Ok(Some(before)), Some(key)));
        assert_eq!(key_of(&bytes), None);
    }

    #[test]
    fn checksums_cover_every_piece() {
        let payload: Vec<u8> = (0..SUM_CHUNK * 2 + 10).map(|i| (i % 251) as u8).collect();
        let mut sums = Sums::default();
        for piece in payload.chunks(7777) {
            sums.add(piece);
        }
        let sums = sums.finish();
        assert_eq!(sums.len(), 12);
        assert!(sums_hold(&payload, &sums));
        assert!(sums_hold(&payload[SUM_CHUNK as usize..], &sums[4..]));
        for at in [0, SUM_CHUNK as usize, payload.len() - 1] {
            let mut flipped = payload.clone();
            flipped[at] ^= 4;
            assert!(!sums_hold(&flipped, &sums));
        }
    }
}
