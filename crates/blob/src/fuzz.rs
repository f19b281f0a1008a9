//! What the fuzzer in `fuzz/` and the fixed slice of it run.

// Contradictions found here are for a person to read.
#![allow(clippy::unwrap_used)]

use crate::disk::Disk;
use crate::record::{PACK_HEADER, pack_header};
use crate::scan::{Depth, scan};
use crate::sim::SimDisk;
use std::io::IoSlice;
use std::path::Path;

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    // The search for the next record and the check of a payload read about a MiB at a time.
    ("blob_scan", 8 << 20, pack),
];

/// What follows the header of a pack.
fn pack(input: &[u8]) {
    const PACK: u64 = 1;
    let disk = SimDisk::new();
    let dir = Path::new("/packs");
    disk.create_dir(dir).unwrap();
    let file = disk.create(&dir.join("pack")).unwrap();
    file.write_at(&[IoSlice::new(&pack_header(PACK, 0, None)), IoSlice::new(input)], 0).unwrap();
    let size = PACK_HEADER + input.len() as u64;
    for depth in [Depth::Whole, Depth::Frame] {
        let whole = scan(&*file, PACK, 0, u64::MAX, usize::MAX, depth).unwrap();
        assert!(whole.next.is_none() && whole.end <= size);
        let mut before = PACK_HEADER;
        for found in &whole.records {
            let place = found.location;
            assert!(before <= place.record && found.next <= whole.end, "records neither overlap nor overrun");
            assert!(found.head_len <= place.len && place.record_end() == found.next);
            before = found.next;
        }
        // Record by record the same is found.
        let (mut from, mut steps) = (0, Vec::new());
        loop {
            let step = scan(&*file, PACK, from, u64::MAX, 1, depth).unwrap();
            steps.extend(step.records.iter().map(|found| found.location));
            match step.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(steps, whole.records.iter().map(|found| found.location).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
