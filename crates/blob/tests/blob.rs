//! Packs on a real disk and on one that loses its power.
#![allow(clippy::unwrap_used)]

mod encrypted;
mod ways;

use mingying_blob::sim::SimDisk;
use mingying_blob::{BlobError, Blobs, Damage, Depth, Entry, Kind, Location, Settings};
use mingying_kernel::Timestamp;
use std::path::Path;
use std::sync::Arc;
use ways::{in_all_ways, keys};

in_all_ways!(
    what_is_published_is_read_back_by_range,
    packs_roll_over_and_reopen,
    staging_shares_bounded_memory,
    one_sync_for_a_batch,
    nothing_counts_after_a_failed_sync_and_its_file_is_left_alone,
    bytes_that_a_failed_sync_left_in_memory_are_not_taken_for_durable,
    a_full_disk_refuses_and_recovers,
    a_reserve_is_kept_free,
    the_reserve_is_kept_free_of_spool_files_too,
    a_full_disk_while_spooling_is_told_to_the_sender,
    a_torn_tail_is_cut_and_writing_goes_on,
    a_damaged_record_is_skipped_and_told,
    records_in_the_content_of_a_damaged_record_are_content,
    a_meta_that_could_not_be_read_back_is_refused,
    sectors_that_cannot_be_read_are_damage,
    two_hundred_flipped_bits_are_found,
    #[ignore = "part of the soak"]
    soak_a_thousand_flipped_bits_are_found,
    what_a_failed_sync_left_is_void_for_ever,
    acknowledged_blobs_survive_a_power_cut_at_every_step,
);

const NOW: Timestamp = Timestamp::from_micros(1);

fn small() -> Settings {
    Settings {
        pack_size: 4096,
        memory_per_blob: 512 << 10,
        memory: 2 << 20,
        reserve: 0,
        keys: keys(),
        ..Settings::default()
    }
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(seed | 1).wrapping_add(seed) >> 3) as u8).collect()
}

async fn entry(blobs: &Blobs, head: &[u8], content: &[u8]) -> Entry {
    let mut staging = blobs.stage();
    staging.head(head).await.unwrap();
    for piece in content.chunks(1000) {
        staging.write(piece).await.unwrap();
    }
    Entry { kind: Kind::Object, meta: format!("{{\"n\":{}}}", content.len()).into_bytes(), staged: staging.finish() }
}

async fn put(blobs: &Blobs, content: &[u8]) -> Result<Location, BlobError> {
    let entry = entry(blobs, b"head", content).await;
    Ok(blobs.publish(vec![entry], NOW).await?[0])
}

async fn scan_all(blobs: &Blobs) -> Vec<mingying_blob::Found> {
    let mut all = Vec::new();
    for pack in blobs.packs() {
        let mut at = 0;
        loop {
            let scan = blobs.scan(pack.id, at, 3, Depth::Whole).await.unwrap();
            all.extend(scan.records);
            match scan.next {
                Some(next) => at = next,
                None => break,
            }
        }
    }
    all
}

async fn what_is_published_is_read_back_by_range() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    // In one chunk, in many, and beyond what is kept in memory.
    for (seed, len) in [(1, 10), (2, 300 << 10), (3, 3 << 20)] {
        let content = bytes(seed, len);
        let batch = vec![entry(&blobs, b"head", &content).await, entry(&blobs, b"", b"second").await];
        let at = blobs.publish(batch, NOW).await.unwrap();
        let whole = blobs.read(at[0], 0, u64::MAX).await.unwrap();
        assert_eq!(&whole[..4], b"head");
        assert!(whole[4..] == content, "{len}");
        assert_eq!(blobs.read(at[0], 6, 3).await.unwrap(), content[2..5]);
        assert_eq!(blobs.read(at[1], 3, 100).await.unwrap(), &b"ond"[..]);
        assert!(blobs.read(at[1], 100, 1).await.unwrap().is_empty());
        use sha2::Digest;
        let found = blobs.record(at[0].pack, at[0].record).await.unwrap();
        assert_eq!((found.location, found.head_len), (at[0], 4));
        assert_eq!(found.sha256, <[u8; 32]>::from(sha2::Sha256::digest(&content)));
        let again = blobs.stage_again(&found, None).await.unwrap();
        assert_eq!((again.head_len(), again.len(), again.sha256()), (4, at[0].len, found.sha256));
    }
    assert_eq!(blobs.staged_bytes(), 0, "staging memory is given back");
    assert!(std::fs::read_dir(dir.path().join("spool")).unwrap().next().is_none());
}

async fn packs_roll_over_and_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    let mut places = Vec::new();
    for i in 0..20 {
        places.push((put(&blobs, &bytes(i, 1000)).await.unwrap(), bytes(i, 1000)));
    }
    assert!(blobs.packs().len() > 3);
    let again = Blobs::open(dir.path(), small()).unwrap();
    assert_eq!(again.packs(), blobs.packs());
    for (location, content) in &places {
        assert!(again.read(*location, 4, u64::MAX).await.unwrap() == content[..]);
    }
    let found = scan_all(&again).await;
    assert_eq!(found.iter().map(|f| f.location).collect::<Vec<_>>(), places.iter().map(|p| p.0).collect::<Vec<_>>());
    assert!(found.iter().all(|f| f.head_len == 4 && f.meta == b"{\"n\":1000}"));
    // Without knowing where the last record ends, a new life begins a new pack.
    let packs = again.packs().len();
    put(&again, b"x").await.unwrap();
    assert_eq!(again.packs().len(), packs + 1);
}

async fn staging_shares_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    let mut open = Vec::new();
    for _ in 0..40 {
        let mut staging = blobs.stage();
        staging.write(&bytes(1, 400 << 10)).await.unwrap();
        open.push(staging);
    }
    // 40 × 400 KiB were staged; each that no longer fits goes on in its spool file with one chunk in memory.
    assert!(blobs.staged_bytes() <= (2 << 20) + 40 * (128 << 10), "{}", blobs.staged_bytes());
    let staged = open.pop().unwrap().finish();
    assert!(staged.is_spooled());
    assert_eq!(staged.read_at(0, 500 << 10).unwrap(), bytes(1, 400 << 10));
    assert_eq!(staged.read_at((400 << 10) - 5, 10).unwrap(), bytes(1, 400 << 10)[(400 << 10) - 5..]);
}

fn open_sim(disk: &SimDisk) -> Blobs {
    Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), small()).unwrap()
}

async fn one_sync_for_a_batch() {
    let disk = SimDisk::new();
    let blobs = open_sim(&disk);
    put(&blobs, b"first makes the pack").await.unwrap();
    let before = disk.syncs();
    let mut batch = Vec::new();
    for i in 0..50 {
        batch.push(entry(&blobs, b"", &bytes(i, 20)).await);
    }
    blobs.publish(batch, NOW).await.unwrap();
    assert_eq!(disk.syncs() - before, 1);
}

async fn nothing_counts_after_a_failed_sync_and_its_file_is_left_alone() {
    let disk = SimDisk::new();
    let blobs = open_sim(&disk);
    let good = put(&blobs, b"good").await.unwrap();
    disk.fail_next_syncs(1);
    assert!(put(&blobs, b"lost").await.is_err());
    let after = put(&blobs, b"after").await.unwrap();
    assert_ne!(after.pack, good.pack, "a new pack");
    disk.power_cut(1);
    let blobs = open_sim(&disk);
    assert_eq!(blobs.read(good, 4, 10).await.unwrap(), &b"good"[..]);
    assert_eq!(blobs.read(after, 4, 10).await.unwrap(), &b"after"[..]);
    assert_eq!(scan_all(&blobs).await.len(), 2, "what was not synced is gone");
}

async fn bytes_that_a_failed_sync_left_in_memory_are_not_taken_for_durable() {
    let disk = SimDisk::new();
    let blobs = open_sim(&disk);
    let good = put(&blobs, b"good").await.unwrap();
    disk.fail_next_syncs(1);
    assert!(put(&blobs, b"only in the page cache").await.is_err());
    // The process ends, the machine goes on: the page cache still shows the bytes.
    disk.kill();
    let blobs = open_sim(&disk);
    assert_eq!(blobs.scan(good.pack, 0, 10, Depth::Whole).await.unwrap().records.len(), 2);
    blobs.settle(good.pack, good.record_end()).await.unwrap();
    assert_eq!(blobs.scan(good.pack, 0, 10, Depth::Whole).await.unwrap().records.len(), 1);
}

async fn a_full_disk_refuses_and_recovers() {
    let disk = SimDisk::new();
    let blobs = open_sim(&disk);
    let good = put(&blobs, b"good").await.unwrap();
    // Free space says yes, the write says no: quota, or somebody else was faster.
    disk.set_quota(Some(2000));
    let mut batch = Vec::new();
    for (seed, len) in [(1, 100), (2, 100), (3, 2500)] {
        batch.push(entry(&blobs, b"", &bytes(seed, len)).await);
    }
    assert!(matches!(blobs.publish(batch, NOW).await, Err(BlobError::StorageFull)));
    disk.set_quota(None);
    let after = put(&blobs, b"after").await.unwrap();
    assert_eq!((after.pack, after.record), (good.pack, good.record_end()), "goes on where the batch was cut");
    disk.power_cut(3);
    // Nor does anything that was refused come to light behind it.
    assert_eq!(scan_all(&open_sim(&disk)).await.len(), 2);
}

async fn a_reserve_is_kept_free() {
    let disk = SimDisk::new();
    let settings = Settings { reserve: 10_000, ..small() };
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap();
    disk.set_capacity(Some(10_500));
    assert!(matches!(put(&blobs, &bytes(1, 1000)).await, Err(BlobError::StorageFull)));
    put(&blobs, b"small").await.unwrap();
}

async fn the_reserve_is_kept_free_of_spool_files_too() {
    let disk = SimDisk::new();
    let settings = Settings { reserve: 10 << 20, ..small() };
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap();
    disk.set_capacity(Some((10 << 20) + (100 << 10)));
    let mut staging = blobs.stage();
    assert!(matches!(staging.write(&bytes(1, 1 << 20)).await, Err(BlobError::StorageFull)));
    drop(staging);
    assert_eq!(blobs.staged_bytes(), 0);
    // What stays in memory needs no room yet, and with room the spool takes it again.
    blobs.stage().write(&bytes(1, 100 << 10)).await.unwrap();
    disk.set_capacity(Some(20 << 20));
    blobs.stage().write(&bytes(1, 1 << 20)).await.unwrap();
}

async fn a_full_disk_while_spooling_is_told_to_the_sender() {
    let disk = SimDisk::new();
    let blobs = open_sim(&disk);
    disk.set_capacity(Some(100));
    let mut staging = blobs.stage();
    assert!(matches!(staging.write(&bytes(1, 2 << 20)).await, Err(BlobError::StorageFull)));
    drop(staging);
    assert_eq!(blobs.staged_bytes(), 0);
}

async fn a_torn_tail_is_cut_and_writing_goes_on() {
    let mut torn = 0;
    for seed in 0..20 {
        let disk = SimDisk::new();
        let settings = Settings { pack_size: 1 << 20, ..small() };
        let open = || Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings.clone()).unwrap();
        let blobs = open();
        let good = put(&blobs, b"good").await.unwrap();
        // The power goes before the sync, one step after the write.
        disk.cut_power_at(disk.steps() + 1);
        assert!(put(&blobs, &bytes(1, 9000)).await.is_err());
        disk.power_cut(seed);
        let blobs = open();
        let scan = blobs.scan(good.pack, 0, 10, Depth::Whole).await.unwrap();
        torn += usize::from(scan.records.len() == 1 && blobs.packs()[0].len > good.record_end());
        blobs.resume(good.pack, scan.end).await.unwrap();
        let next = put(&blobs, b"next").await.unwrap();
        assert_eq!((next.pack, next.record), (good.pack, scan.end));
        assert_eq!(scan_all(&blobs).await.len(), scan.records.len() + 1);
    }
    assert!(torn > 3, "some seeds tear");
}

async fn a_damaged_record_is_skipped_and_told() {
    let disk = SimDisk::new();
    let settings = Settings { pack_size: 1 << 20, ..small() };
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap();
    let mut places = Vec::new();
    for i in 0..3 {
        places.push(put(&blobs, &bytes(i, 500)).await.unwrap());
    }
    let path = blobs.pack_path(places[0].pack);
    disk.flip_bit(&path, places[1].at as usize + 17);
    let scan = blobs.scan(places[0].pack, 0, 10, Depth::Whole).await.unwrap();
    let damage = Damage { from: places[1].record, to: places[2].record };
    assert_eq!((scan.records.len(), scan.damaged), (2, vec![damage]));
    assert!(matches!(blobs.read(places[1], 0, 10).await, Err(BlobError::Corrupt(_))), "never wrong bytes");
    assert!(matches!(blobs.record(places[1].pack, places[1].record).await, Err(BlobError::Corrupt(_))));
    // A copy of the pack elsewhere has the record at the same place.
    let mut sound = disk.file(&path).unwrap();
    sound[places[1].at as usize + 17] ^= 1;
    disk.put_file(&Path::new("/copy/packs").join(path.file_name().unwrap()), sound);
    let copy = Path::new("/copy");
    let found = blobs.scan_replica(copy, places[1].pack, damage.from, damage.to, 10).await.unwrap().records;
    assert_eq!((found.len(), found[0].location), (1, places[1]));
    let staged = blobs.stage_again(&found[0], Some(copy)).await.unwrap();
    assert_eq!(staged.read_at(4, 500).unwrap(), bytes(1, 500));
    // A damaged header: the next whole record is found all the same.
    disk.flip_bit(&path, places[0].record as usize + 9);
    let scan = blobs.scan(places[0].pack, 0, 10, Depth::Whole).await.unwrap();
    assert_eq!(scan.records.iter().map(|f| f.location).collect::<Vec<_>>(), [places[2]]);
}

/// What a sender puts into an object must never be taken for a record of the log.
async fn records_in_the_content_of_a_damaged_record_are_content() {
    let disk = SimDisk::new();
    let settings = Settings { pack_size: 1 << 20, ..small() };
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap();
    let inner = put(&blobs, b"a record, whole").await.unwrap();
    let path = blobs.pack_path(inner.pack);
    let record = disk.file(&path).unwrap()[inner.record as usize..inner.record_end() as usize].to_vec();
    let outer = put(&blobs, &[b"pixels ", &record[..], b" pixels"].concat()).await.unwrap();
    let last = put(&blobs, b"last").await.unwrap();
    for at in [outer.record + 9, outer.record_end() - 2] {
        disk.flip_bit(&path, at as usize);
        let scan = blobs.scan(inner.pack, 0, 10, Depth::Whole).await.unwrap();
        assert_eq!(scan.records.iter().map(|f| f.location).collect::<Vec<_>>(), [inner, last]);
        disk.flip_bit(&path, at as usize);
    }
}

async fn a_meta_that_could_not_be_read_back_is_refused() {
    let disk = SimDisk::new();
    let blobs = open_sim(&disk);
    let long = Entry { meta: vec![b' '; (1 << 20) + 1], ..entry(&blobs, b"", b"x").await };
    assert!(matches!(blobs.publish(vec![long], NOW).await, Err(BlobError::Corrupt(_))));
    put(&blobs, b"the next one").await.unwrap();
}

async fn sectors_that_cannot_be_read_are_damage() {
    let disk = SimDisk::new();
    let settings = Settings { pack_size: 1 << 20, ..small() };
    let open = || Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings.clone()).unwrap();
    let blobs = open();
    let mut places = Vec::new();
    for i in 0..5 {
        places.push(put(&blobs, &bytes(i, 20_000)).await.unwrap());
    }
    let path = blobs.pack_path(places[0].pack);
    // In a payload, and over the end of one record and the begin of the next.
    disk.spoil(&path, places[0].at as usize + 4096..places[0].at as usize + 4608);
    disk.spoil(&path, places[3].record as usize - 100..places[3].record as usize + 100);
    let scan = blobs.scan(places[0].pack, 0, 10, Depth::Whole).await.unwrap();
    assert_eq!(scan.records.iter().map(|f| f.location).collect::<Vec<_>>(), [places[1], places[4]]);
    let damaged = |from: Location, to: Location| Damage { from: from.record, to: to.record };
    assert_eq!(scan.damaged, [damaged(places[0], places[1]), damaged(places[2], places[4])]);
    assert!(blobs.read(places[0], 0, u64::MAX).await.is_err());
    disk.spoil(&path, 0..64);
    assert_eq!(open().packs().len(), 1, "one bad sector does not keep the store shut");
}

/// Whatever bit of a pack flips, a scan names the place, and no read gives a wrong byte.
async fn flips_are_found(flips: u64) {
    let disk = SimDisk::new();
    let settings = Settings { pack_size: 120_000, ..small() };
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap();
    let mut kept = Vec::new();
    for i in 0..300 {
        let content = bytes(i, 50 + (i as usize * 131) % 1500);
        kept.push((put(&blobs, &content).await.unwrap(), content));
    }
    // And one with several checksums.
    let content = bytes(7, 100_000);
    kept.push((put(&blobs, &content).await.unwrap(), content));
    let packs = blobs.packs();
    let mut dice = 42_u64;
    for flip in 0..flips {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pack = packs[(dice >> 33) as usize % packs.len()];
        let (at, bit) = ((dice >> 20) % pack.len, (dice >> 11) as u8 % 8);
        let path = blobs.pack_path(pack.id);
        disk.flip(&path, at as usize, bit);
        let mut found = Vec::new();
        let (mut from, mut end) = (Some(0), 0);
        while let Some(next) = from {
            let scan = blobs.scan(pack.id, next, 100, Depth::Whole).await.unwrap();
            found.extend(scan.damaged);
            (from, end) = (scan.next, scan.end);
        }
        if end < pack.len {
            found.push(Damage { from: end, to: pack.len });
        }
        assert!(found.len() == 1 && (found[0].from..found[0].to).contains(&at), "flip {flip} at {at}.{bit}: {found:?}");
        for (location, content) in
            kept.iter().filter(|(l, _)| l.pack == pack.id && l.record <= at && at < l.record_end())
        {
            if let Ok(read) = blobs.read(*location, 4, u64::MAX).await {
                assert!(read == content[..], "flip {flip} at {at}.{bit}");
            }
            for part in (0..content.len() as u64).step_by(30_000) {
                if let Ok(read) = blobs.read(*location, 4 + part, 100).await {
                    assert!(read == content[part as usize..][..read.len()], "flip {flip} at {at}.{bit}");
                }
            }
        }
        disk.flip(&path, at as usize, bit);
    }
}

async fn two_hundred_flipped_bits_are_found() {
    flips_are_found(200).await;
}

async fn soak_a_thousand_flipped_bits_are_found() {
    flips_are_found(1000).await;
}

async fn what_a_failed_sync_left_is_void_for_ever() {
    let disk = SimDisk::new();
    let settings = Settings { pack_size: 1 << 20, ..small() };
    let open = || Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings.clone()).unwrap();
    let blobs = open();
    let good = put(&blobs, b"good").await.unwrap();
    disk.fail_next_syncs(1);
    assert!(put(&blobs, b"refused").await.is_err());
    let after = put(&blobs, b"after").await.unwrap();
    // The process ends; the machine's memory wrote the refused record out after all.
    disk.kill();
    let blobs = open();
    assert!(disk.file(&blobs.pack_path(good.pack)).unwrap().len() as u64 > good.record_end());
    assert_eq!(scan_all(&blobs).await.iter().map(|f| f.location).collect::<Vec<_>>(), [good, after]);
    let sealed = blobs.sealed().await.unwrap();
    assert_eq!((sealed.len(), sealed[0].id, sealed[0].void > 0, sealed[0].guards), (1, good.pack, true, false));
    // The pack after next may not go before the one it guards.
    blobs.resume(after.pack, after.record_end()).await.unwrap();
    put(&blobs, &bytes(1, 1 << 20)).await.unwrap();
    put(&blobs, b"in a third pack").await.unwrap();
    assert!(blobs.sealed().await.unwrap()[1].guards);
    blobs.remove(good.pack).await.unwrap();
    blobs.remove(good.pack).await.unwrap();
    assert!(!blobs.sealed().await.unwrap()[0].guards);
    assert!(matches!(blobs.read(good, 0, 4).await, Err(BlobError::NotFound)));
    let newest = blobs.packs().last().unwrap().id;
    assert!(blobs.remove(newest).await.is_err());
}

/// A fixed-seed slice of the crash campaign: the power goes at each step in turn; whatever was acknowledged is there.
async fn acknowledged_blobs_survive_a_power_cut_at_every_step() {
    let mut acknowledged_before_cut = 0;
    for seed in 0..300_u64 {
        let disk = SimDisk::new();
        let blobs = open_sim(&disk);
        disk.cut_power_at(2 + seed % 60);
        let mut kept = Vec::new();
        for i in 0..30 {
            let content = bytes(seed * 31 + i, 100 + (i as usize * 97) % 3000);
            if let Ok(location) = put(&blobs, &content).await {
                kept.push((location, content));
            }
        }
        assert!(disk.is_dead(), "the power went");
        acknowledged_before_cut += kept.len();
        disk.power_cut(seed);
        let blobs = open_sim(&disk);
        let found = scan_all(&blobs).await;
        for (location, content) in &kept {
            assert!(blobs.read(*location, 4, u64::MAX).await.unwrap() == content[..], "seed {seed}");
            assert_eq!(found.iter().filter(|f| f.location == *location).count(), 1, "seed {seed}");
        }
        // At most the batch in flight is there besides.
        assert!(found.len() <= kept.len() + 1, "seed {seed}");
    }
    assert!(acknowledged_before_cut > 1000);
}

proptest::proptest! {
    /// Whatever bytes stand in a pack, a scan ends, gives only whole records, and never panics.
    #[test]
    fn scans_survive_garbage(
        garbage in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3000),
        cut in 0_usize..100,
        encrypt: bool,
    ) {
        if encrypt {
            ways::encrypted(mingying_blob::Cipher::Aes256Gcm);
        } else {
            ways::plain();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let disk = SimDisk::new();
            let settings = Settings { pack_size: 1 << 20, ..small() };
            let open = || Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings.clone()).unwrap();
            let blobs = open();
            let first = put(&blobs, b"first").await.unwrap();
            let between = put(&blobs, &garbage).await.unwrap();
            put(&blobs, b"last").await.unwrap();
            let path = blobs.pack_path(first.pack);
            let mut pack = disk.file(&path).unwrap();
            let place = &mut pack[between.record as usize..between.record_end() as usize];
            place.iter_mut().zip(garbage.iter().chain([&0]).cycle()).for_each(|(to, from)| *to = *from);
            pack.truncate(pack.len() - cut);
            disk.put_file(&path, pack);
            let found = scan_all(&open()).await;
            assert_eq!(found.len(), if cut == 0 { 2 } else { 1 });
        });
    }
}
