//! Where the frames of an object lie.

use bytes::{Buf, BufMut};

/// One fragment of encapsulated pixels: where its bytes begin and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub at: u64,
    pub len: u32,
}

/// The fragments of each frame, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FrameIndex {
    frames: Vec<Vec<Fragment>>,
}

impl FrameIndex {
    /// Groups fragments into frames. `offsets` are the frames' offsets from the first fragment's item (basic or extended
    /// offset table), empty when the object has none; then one fragment per frame is assumed where the numbers say so,
    /// and `begins` is asked which fragment begins a new codestream (PS3.5 A.4).
    pub fn build(
        fragments: &[Fragment],
        offsets: &[u64],
        frames: usize,
        mut begins: impl FnMut(&Fragment) -> bool,
    ) -> Option<Self> {
        let first_item = fragments.first()?.at - 8;
        if frames <= 1 {
            return Some(Self { frames: vec![fragments.to_vec()] });
        }
        if fragments.len() == frames {
            return Some(Self { frames: fragments.iter().map(|f| vec![*f]).collect() });
        }
        let mut grouped: Vec<Vec<Fragment>> = Vec::with_capacity(frames.min(fragments.len()));
        if offsets.len() == frames {
            // An offset beyond all numbers meets no item.
            let mut next = offsets.iter().map(|offset| first_item.checked_add(*offset)).peekable();
            for fragment in fragments {
                if next.peek() == Some(&Some(fragment.at - 8)) {
                    next.next();
                    grouped.push(Vec::new());
                }
                grouped.last_mut()?.push(*fragment);
            }
        } else {
            for fragment in fragments {
                if grouped.is_empty() || begins(fragment) {
                    grouped.push(Vec::new());
                }
                grouped.last_mut()?.push(*fragment);
            }
        }
        (grouped.len() == frames).then_some(Self { frames: grouped })
    }

    pub fn frame(&self, frame: u32) -> Option<&[Fragment]> {
        self.frames.get(frame as usize).map(Vec::as_slice)
    }

    /// For the database: number of frames, then for each frame the number of fragments and their places.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u32_le(self.frames.len() as u32);
        for frame in &self.frames {
            out.put_u32_le(frame.len() as u32);
            for fragment in frame {
                out.put_u64_le(fragment.at);
                out.put_u32_le(fragment.len);
            }
        }
        out
    }

    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let count = bytes.try_get_u32_le().ok()?;
        let mut frames = Vec::new();
        for _ in 0..count {
            let fragments = bytes.try_get_u32_le().ok()?;
            let mut frame = Vec::new();
            for _ in 0..fragments {
                frame.push(Fragment { at: bytes.try_get_u64_le().ok()?, len: bytes.try_get_u32_le().ok()? });
            }
            frames.push(frame);
        }
        Some(Self { frames })
    }
}

/// Whether these first bytes of a fragment begin a codestream: JPEG and JPEG-LS (SOI), JPEG 2000 and HTJ2K (SOC),
/// RLE (its header begins with the number of segments, 1 to 15).
pub(crate) fn begins_codestream(bytes: &[u8], transfer_syntax: &str) -> bool {
    if transfer_syntax == "1.2.840.10008.1.2.5" {
        return matches!(bytes, [1..=15, 0, 0, 0, 64, 0, 0, 0, ..]);
    }
    bytes.starts_with(&[0xff, 0xd8]) || bytes.starts_with(&[0xff, 0x4f, 0xff, 0x51])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fragments(lens: &[u32]) -> Vec<Fragment> {
        let mut at = 108;
        lens.iter()
            .map(|len| {
                let fragment = Fragment { at, len: *len };
                at += u64::from(*len) + 8;
                fragment
            })
            .collect()
    }

    #[test]
    fn one_frame_takes_all_fragments() {
        let parts = fragments(&[10, 20, 30]);
        let index = FrameIndex::build(&parts, &[], 1, |_| false).unwrap();
        assert_eq!(index.frame(0), Some(parts.as_slice()));
        assert_eq!(index.frame(1), None);
    }

    #[test]
    fn offsets_group_fragments() {
        let parts = fragments(&[10, 20, 30, 40]);
        // Offsets count from the first item tag: frame 1 begins at the third fragment.
        let index = FrameIndex::build(&parts, &[0, 46], 2, |_| false).unwrap();
        assert_eq!(index.frame(0).map(<[_]>::len), Some(2));
        assert_eq!(index.frame(1), Some(&parts[2..]));
        for offset in [47, u64::MAX] {
            assert!(FrameIndex::build(&parts, &[0, offset], 2, |_| false).is_none(), "an offset that meets no item");
        }
    }

    #[test]
    fn codestreams_group_fragments_without_offsets() {
        let parts = fragments(&[10, 20, 30]);
        let index = FrameIndex::build(&parts, &[], 2, |f| f.len != 20).unwrap();
        assert_eq!(index.frame(0).map(<[_]>::len), Some(2));
        assert!(FrameIndex::build(&parts, &[], 2, |_| true).is_none());
    }

    proptest! {
        #[test]
        fn survives_the_database(lens in proptest::collection::vec(1_u32..1000, 1..40)) {
            let parts = fragments(&lens);
            let index = FrameIndex::build(&parts, &[], parts.len(), |_| false).unwrap();
            prop_assert_eq!(FrameIndex::from_bytes(&index.to_bytes()), Some(index));
        }

        #[test]
        fn garbage_is_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = FrameIndex::from_bytes(&bytes);
        }
    }
}
