//! Text that is kept and sent compressed: pieces which join into one gzip file without being compressed again.

use bytes::{Buf, Bytes};
use crc32fast::Hasher;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{self, Read, Write};

/// Checksum and length of the text: what stands before the compressed bytes where a piece is kept.
const HEAD: usize = 12;
/// Text inflated at a time.
const CHUNK: usize = 128 << 10;
/// An empty block that says it is the last one (RFC 1951 3.2.3).
const LAST_BLOCK: [u8; 2] = [3, 0];
/// Deflated, no name, no time, unknown file system (RFC 1952 2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A piece of text, compressed. Ends at a whole byte and refers to nothing before it, so that pieces can follow each
/// other in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    crc: u32,
    len: u64,
    deflated: Bytes,
}

impl Packed {
    pub fn of(text: &[u8]) -> io::Result<Self> {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(text.len() / 16 + 64), Compression::default());
        encoder.write_all(text)?;
        // A flush ends at a whole byte; what `finish` adds would end the stream.
        encoder.flush()?;
        let end = encoder.get_ref().len();
        let mut deflated = encoder.finish()?;
        deflated.truncate(end);
        Ok(Self { crc: crc32fast::hash(text), len: text.len() as u64, deflated: Bytes::from(deflated) })
    }

    /// One piece of several.
    pub fn join(pieces: &[Self]) -> Self {
        let (crc, len) = checksum(pieces);
        let mut deflated = Vec::with_capacity(pieces.iter().map(|piece| piece.deflated.len()).sum());
        for piece in pieces {
            deflated.extend_from_slice(&piece.deflated);
        }
        Self { crc, len, deflated: Bytes::from(deflated) }
    }

    /// The text again, in chunks. Ends with `InvalidData` when it is not what was packed.
    pub fn text(self) -> impl Iterator<Item = io::Result<Bytes>> + Send {
        let mut source = DeflateDecoder::new(self.deflated.reader().chain(&LAST_BLOCK[..]));
        let mut seen = Hasher::new();
        let mut left = Some(self.len);
        std::iter::from_fn(move || {
            let due = left.take()?;
            if due == 0 {
                return (seen.clone().finalize() != self.crc).then(|| Err(io::ErrorKind::InvalidData.into()));
            }
            let mut chunk = vec![0; usize::try_from(due).unwrap_or(CHUNK).min(CHUNK)];
            Some(source.read_exact(&mut chunk).map(|()| {
                seen.update(&chunk);
                left = Some(due - chunk.len() as u64);
                Bytes::from(chunk)
            }))
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.deflated.len());
        out.extend(self.crc.to_le_bytes());
        out.extend(self.len.to_le_bytes());
        out.extend_from_slice(&self.deflated);
        out
    }

    pub(crate) fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let crc = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        let len = u64::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
        Some(Self { crc, len, deflated: bytes.slice(HEAD..) })
    }
}

fn checksum(pieces: &[Packed]) -> (u32, u64) {
    let mut all = Hasher::new();
    for piece in pieces {
        all.combine(&Hasher::new_with_initial_len(piece.crc, piece.len));
    }
    let len = pieces.iter().map(|piece| piece.len).sum();
    (all.finalize(), len)
}

/// The pieces as one gzip file (RFC 1952), in chunks.
pub fn gzip(pieces: Vec<Packed>) -> Vec<Bytes> {
    let (crc, len) = checksum(&pieces);
    let mut tail = LAST_BLOCK.to_vec();
    tail.extend(crc.to_le_bytes());
    tail.extend((len as u32).to_le_bytes());
    let head = std::iter::once(Bytes::from_static(&GZIP_HEAD));
    head.chain(pieces.into_iter().map(|piece| piece.deflated)).chain(std::iter::once(Bytes::from(tail))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(piece: Packed) -> io::Result<Vec<u8>> {
        Ok(piece.text().collect::<io::Result<Vec<Bytes>>>()?.concat())
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_are_one_gzip_file(texts in proptest::collection::vec(".{0,300}", 0..6)) {
            let pieces: Vec<Packed> = texts.iter().map(|text| Packed::of(text.as_bytes()).unwrap()).collect();
            let whole = texts.concat();
            let mut unzipped = String::new();
            flate2::read::GzDecoder::new(&*gzip(pieces.clone()).concat()).read_to_string(&mut unzipped).unwrap();
            prop_assert_eq!(&unzipped, &whole);
            let joined = Packed::join(&pieces);
            let kept = Packed::from_bytes(&Bytes::from(joined.to_bytes())).unwrap();
            prop_assert_eq!(read(kept).unwrap(), whole.as_bytes());
        }

        #[test]
        fn garbage_is_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = bytes;
            // A length that no text could have.
            if let Some(len) = bytes.get_mut(6..12) {
                len.fill(0);
            }
            if let Some(piece) = Packed::from_bytes(&Bytes::from(bytes)) {
                let _ = read(piece);
            }
        }
    }

    #[test]
    fn a_text_that_was_damaged_is_not_given_out() {
        let piece = Packed::of(b"a series").unwrap();
        assert!(read(Packed { crc: piece.crc ^ 1, ..piece.clone() }).is_err());
        assert!(read(Packed { len: piece.len - 1, ..piece.clone() }).is_err());
        assert!(read(Packed { len: piece.len + 1, ..piece.clone() }).is_err());
        assert_eq!(read(piece).unwrap(), b"a series");
        let long = vec![b'x'; 3 * CHUNK + 1];
        assert!(read(Packed::of(&long).unwrap()).unwrap() == long);
    }
}
