//! Mutations of seeds: the same number gives the same mutations on every machine.

/// Numbers at the edges of lengths and counts.
const EDGES: [u32; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];

/// What delimits something in the formats read here.
const PIECES: &[&[u8]] = &[
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
    b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff",
    b"UN\0\0\xff\xff\xff\xff",
    b"\xe0\x7f\x10\x00",
    b"\x1b$)A",
    b"\x1b$B",
    b"\x1b(B",
    b"\\",
    b"^",
    b"=",
    b"|",
    b"~",
    b"&",
    b"\r",
    b"\r\n\r\n",
    b"\r\n--b",
    b"--",
    b"\x0b",
    b"\x1c\r",
    b"\"",
    b",",
    b";",
    b"%00",
    b"\xef\xbf\xbd",
    b"\xd5\xc5",
    b"MYR\x01",
];

const MAX_LEN: usize = 64 << 10;

pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`; 0 where that is 0. SplitMix64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// A part of `bytes`, mostly a short one.
    fn part(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len());
        let most = if self.below(8) == 0 { bytes.len() } else { 32 };
        start..bytes.len().min(start + 1 + self.below(most))
    }

    /// One of the seeds with one to six changes.
    pub fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one(seeds).to_vec();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(MAX_LEN);
        bytes
    }

    fn one<'a>(&mut self, seeds: &'a [Vec<u8>]) -> &'a [u8] {
        seeds.get(self.below(seeds.len())).map_or(&[], Vec::as_slice)
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        match self.below(9) {
            0 => {
                let bit = self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let with = self.below(256) as u8;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = with;
                }
            }
            2 => {
                let number = EDGES.get(self.below(EDGES.len())).copied().unwrap_or_default();
                let number = if self.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let from = self.below(2) * 2;
                let wide = if from == 0 { 2 + self.below(2) * 2 } else { 2 };
                for (to, new) in bytes.iter_mut().skip(at).zip(number.iter().skip(from).take(wide)) {
                    *to = *new;
                }
            }
            3 => bytes.truncate(at),
            4 => {
                let part = self.part(bytes);
                bytes.drain(part);
            }
            5 => {
                let part = self.part(bytes);
                let copy = bytes.get(part).unwrap_or_default().repeat(1 + self.below(4));
                bytes.splice(at..at, copy);
            }
            6 => {
                let other = self.one(seeds);
                let part = self.part(other);
                bytes.splice(at..at, other.get(part).unwrap_or_default().iter().copied());
            }
            7 => {
                let other = self.one(seeds);
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            _ => {
                let piece = PIECES.get(self.below(PIECES.len())).copied().unwrap_or_default();
                let times = if self.below(16) == 0 { 1 + self.below(2000) } else { 1 };
                bytes.splice(at..at, piece.repeat(times));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_gives_the_same_mutations() {
        let seeds = [b"one".to_vec(), b"another".to_vec(), Vec::new()];
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..500).map(|_| mutator.mutate(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().any(|bytes| bytes.len() > 100), "and reach beyond their seeds");
    }
}
