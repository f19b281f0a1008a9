//! What the fuzzer in `fuzz/` and the fixed slice of it run.

// Contradictions found here are for a person to read.
#![allow(clippy::unwrap_used)]

use crate::crypt::{Cipher, Keys, MasterKey};
use crate::disk::{Disk, DiskFile};
use crate::record::{Kind, PACK_HEADER, pack_header};
use crate::scan::{Depth, scan};
use crate::sim::SimDisk;
use crate::{Blobs, Entry, Settings};
use mingying_kernel::Timestamp;
use std::io::IoSlice;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    // The search for the next record and the check of a payload read about a MiB at a time.
    ("blob_scan", 8 << 20, pack),
    ("blob_encrypted", 16 << 20, encrypted),
];

/// What follows the header of a pack.
fn pack(input: &[u8]) {
    const PACK: u64 = 1;
    let (disk, keys) = (SimDisk::new(), Keys::default());
    let dir = Path::new("/packs");
    disk.create_dir(dir).unwrap();
    let file = disk.create(&dir.join("pack")).unwrap();
    file.write_at(&[IoSlice::new(&pack_header(PACK, 0, None, None)), IoSlice::new(input)], 0).unwrap();
    scanned(&*file, &keys, PACK);
}

/// Scans a pack at once and record by record, and holds both against each other; what the thorough one finds.
fn scanned(file: &dyn DiskFile, keys: &Keys, pack: u64) -> Vec<crate::Found> {
    let size = file.size().unwrap();
    let mut sound = Vec::new();
    for depth in [Depth::Frame, Depth::Whole] {
        // A key that is not here is an answer too: only encrypted records have one.
        let Ok(whole) = scan(file, keys, pack, 0, u64::MAX, usize::MAX, depth) else { return Vec::new() };
        assert!(whole.next.is_none() && whole.end <= size);
        let mut before = PACK_HEADER;
        for found in &whole.records {
            let place = found.location;
            assert!(before <= place.record && found.next <= whole.end, "records neither overlap nor overrun");
            assert!(found.head_len <= place.len && place.record_end() == found.next);
            before = found.next;
        }
        let (mut from, mut steps) = (0, Vec::new());
        loop {
            let step = scan(file, keys, pack, from, u64::MAX, 1, depth).unwrap();
            steps.extend(step.records.iter().map(|found| found.location));
            match step.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(steps, whole.records.iter().map(|found| found.location).collect::<Vec<_>>());
        sound = whole.records;
    }
    sound
}

/// An encrypted pack of a few records, and its key.
static ENCRYPTED: LazyLock<(u64, Vec<u8>, Keys)> = LazyLock::new(|| {
    let keys = Keys::new(Some((Cipher::Aes256Gcm, MasterKey::random().unwrap())), []);
    let disk = SimDisk::new();
    let settings = Settings { reserve: 0, keys: keys.clone(), ..Settings::default() };
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batch = [0_usize, 100, 40_000].map(|len| {
        let mut staging = blobs.stage();
        runtime.block_on(staging.write(&vec![7; len])).unwrap();
        Entry { kind: Kind::Object, meta: format!("{{\"n\":{len}}}").into_bytes(), staged: staging.finish() }
    });
    let place = blobs.publish_blocking(&batch, Timestamp::from_micros(1)).unwrap()[0];
    (place.pack, disk.file(&blobs.pack_path(place.pack)).unwrap(), keys)
});

/// Changes to an encrypted pack, five bytes each: where, what, whether the CRC of the header or of the trailer that it may
/// have broken is computed anew. Whatever is still found is what was written.
fn encrypted(input: &[u8]) {
    let (pack, bytes, keys) = &*ENCRYPTED;
    let mut bytes = bytes.clone();
    let len = bytes.len();
    for change in input.as_chunks::<5>().0.iter().take(64) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % len;
        bytes[at] ^= change[3];
        let header = at - at.min(usize::from(change[4] & 63));
        if change[4] & 64 != 0 && header + 64 <= len {
            let crc = crc32c::crc32c(&bytes[header..header + 60]);
            bytes[header + 60..header + 64].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/packs")).unwrap();
    let file = disk.create(Path::new("/packs/pack")).unwrap();
    file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    for found in scanned(&*file, keys, *pack) {
        assert!([0, 100, 40_000].contains(&found.location.len));
        assert_eq!(found.meta, format!("{{\"n\":{}}}", found.location.len).into_bytes());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
