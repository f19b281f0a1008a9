//! The bytes of a pack, version 1. All numbers are little-endian.
//!
//! A pack begins with 64 bytes: magic `MYPACK\0\x01`, format version, pack id, time of making, CRC-32C. Then records:
//! 64 bytes of header, JSON meta, payload, 48 bytes of trailer. The payload is a head that frames the content (for a
//! DICOM object: preamble and file meta information) and the content itself; the SHA-256 covers the content, so that
//! the same data set has the same hash however it was sent. The CRC-32C of the trailer covers meta and payload.

use crate::BlobError;

pub(crate) const PACK_HEADER: u64 = 64;
pub(crate) const RECORD_HEADER: usize = 64;
pub(crate) const RECORD_TRAILER: usize = 48;
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"MYR\x01";
const PACK_MAGIC: [u8; 8] = *b"MYPACK\0\x01";
const END_MAGIC: [u8; 4] = *b"\x01RYM";
const VERSION: u32 = 1;
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
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Object => 1,
            Self::Tombstone => 2,
            Self::Coercion => 3,
            Self::Relink => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Object),
            2 => Some(Self::Tombstone),
            3 => Some(Self::Coercion),
            4 => Some(Self::Relink),
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

pub(crate) fn pack_header(pack: u64, made_at: i64) -> [u8; PACK_HEADER as usize] {
    let mut out = [0; PACK_HEADER as usize];
    put(&mut out, 0, PACK_MAGIC);
    put(&mut out, 8, VERSION.to_le_bytes());
    put(&mut out, 16, pack.to_le_bytes());
    put(&mut out, 24, made_at.to_le_bytes());
    let crc = crc32c::crc32c(&out[..60]);
    put(&mut out, 60, crc.to_le_bytes());
    out
}

pub(crate) fn check_pack_header(bytes: &[u8], pack: u64) -> Result<(), BlobError> {
    if bytes.len() < PACK_HEADER as usize || take::<8>(bytes, 0) != PACK_MAGIC {
        return Err(BlobError::Corrupt("pack header"));
    }
    if u32::from_le_bytes(take(bytes, 8)) != VERSION {
        return Err(BlobError::Corrupt("pack of an unknown format version"));
    }
    let crc = crc32c::crc32c(bytes.get(..60).unwrap_or_default());
    if u32::from_le_bytes(take(bytes, 60)) != crc || u64::from_le_bytes(take(bytes, 16)) != pack {
        return Err(BlobError::Corrupt("pack header"));
    }
    Ok(())
}

/// The fixed part at the front of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    pub meta_len: u32,
    /// Bytes at the front of the payload that frame the content.
    pub head_len: u32,
    pub payload_len: u64,
    pub id: [u8; 16],
}

impl Header {
    /// Bytes of the whole record.
    pub fn total(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.meta_len) + self.payload_len + RECORD_TRAILER as u64
    }

    pub fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut out = [0; RECORD_HEADER];
        put(&mut out, 0, RECORD_MAGIC);
        put(&mut out, 4, [self.kind.code()]);
        put(&mut out, 8, self.meta_len.to_le_bytes());
        put(&mut out, 12, self.head_len.to_le_bytes());
        put(&mut out, 16, self.payload_len.to_le_bytes());
        put(&mut out, 24, self.id);
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
        let header = Self {
            kind: Kind::from_code(*bytes.get(4)?)?,
            meta_len: u32::from_le_bytes(take(bytes, 8)),
            head_len: u32::from_le_bytes(take(bytes, 12)),
            payload_len: u64::from_le_bytes(take(bytes, 16)),
            id: take(bytes, 24),
        };
        let sane = header.meta_len <= MAX_META
            && u64::from(header.head_len) <= header.payload_len
            && header.payload_len <= i64::MAX as u64 >> 1;
        sane.then_some(header)
    }
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
        (0_u8..4, 0..=MAX_META, any::<u32>(), any::<u32>(), any::<[u8; 16]>()).prop_map(
            |(kind, meta_len, head, more, id)| Header {
                kind: Kind::from_code(kind + 1).unwrap(),
                meta_len,
                head_len: head,
                payload_len: u64::from(head) + u64::from(more),
                id,
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
            prop_assert!(check_pack_header(&bytes, 1).is_err());
        }

        #[test]
        fn trailers_read_back(crc: u32, sha256: [u8; 32], total: u64) {
            let trailer = Trailer { crc, sha256, total };
            prop_assert_eq!(Trailer::decode(&trailer.encode()), Some(trailer));
        }
    }

    #[test]
    fn pack_header_names_its_pack() {
        let bytes = pack_header(7, 1);
        assert!(check_pack_header(&bytes, 7).is_ok());
        assert!(check_pack_header(&bytes, 8).is_err());
    }
}
