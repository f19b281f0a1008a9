//! Segmented palette data (PS3.3 C.7.9.2): runs of discrete values, straight lines, and repeats of earlier segments.

/// Segments within repeats of segments.
const MAX_DEPTH: u32 = 4;

struct Source<'a> {
    words: &'a [u16],
    /// Bytes of one word, for the byte offsets of repeats.
    width: usize,
}

/// The entries, at most `count`; `None` where the segments contradict themselves. `wide`: entries of 16 bits.
pub(crate) fn expand(data: &[u8], wide: bool, count: usize) -> Option<Vec<u16>> {
    let words: Vec<u16> = if wide {
        data.chunks_exact(2).filter_map(|b| Some(u16::from_le_bytes(b.try_into().ok()?))).collect()
    } else {
        data.iter().map(|b| u16::from(*b)).collect()
    };
    let source = Source { words: &words, width: if wide { 2 } else { 1 } };
    let mut out = Vec::with_capacity(count);
    source.run(0, usize::MAX, count, 0, &mut out)?;
    (out.len() >= count).then(|| {
        out.truncate(count);
        out
    })
}

impl Source<'_> {
    /// Expands `segments` segments from word `at` on, until there are `count` entries or the words end.
    fn run(&self, mut at: usize, segments: usize, count: usize, depth: u32, out: &mut Vec<u16>) -> Option<()> {
        for _ in 0..segments {
            if out.len() >= count {
                return Some(());
            }
            let (Some(kind), Some(length)) = (self.words.get(at), self.words.get(at + 1)) else { return Some(()) };
            let length = usize::from(*length);
            match kind {
                0 => {
                    out.extend_from_slice(self.words.get(at + 2..at + 2 + length)?);
                    at += 2 + length;
                }
                1 => {
                    let from = f64::from(*out.last()?);
                    let to = f64::from(*self.words.get(at + 2)?);
                    for step in 1..=length {
                        out.push((from + (to - from) * step as f64 / length as f64).round() as u16);
                    }
                    at += 3;
                }
                2 if depth < MAX_DEPTH => {
                    // The byte offset comes least significant word first.
                    let parts = self.words.get(at + 2..at + 2 + 4 / self.width)?;
                    let bits = 8 * self.width as u32;
                    let offset = parts.iter().rev().fold(0usize, |sum, word| (sum << bits) | usize::from(*word));
                    self.run(offset / self.width, length, count, depth + 1, out)?;
                    at += 2 + 4 / self.width;
                }
                _ => return None,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_of_each_kind() {
        let words = |words: &[u16]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        // Two values, a line of four steps to 50, then the first segment again.
        let data = words(&[0, 2, 7, 10, 1, 4, 50, 2, 1, 0, 0]);
        assert_eq!(expand(&data, true, 8), Some(vec![7, 10, 20, 30, 40, 50, 7, 10]));
        assert_eq!(expand(&[0, 1, 9, 1, 2, 11], false, 3), Some(vec![9, 10, 11]));
        assert_eq!(expand(&data, true, 9), None, "too few");
        assert_eq!(expand(&words(&[2, 1, 0, 0]), true, 8), None, "a repeat of itself");
        assert_eq!(expand(&words(&[1, 4, 50]), true, 4), None, "a line from nowhere");
    }

    proptest! {
        #[test]
        fn any_words(data in prop::collection::vec(0u8..6, 0..80), wide in any::<bool>()) {
            let _ = expand(&data, wide, 256);
        }
    }
}
