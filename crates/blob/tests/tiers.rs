//! Packs on a large disk and in an object store: moved, read, lost sight of, found again.
#![allow(clippy::unwrap_used)]

mod ways;

use mingying_blob::sim::SimDisk;
use mingying_blob::simbucket::{Fault, SimBucket};
use mingying_blob::{BlobError, Blobs, Bucket, Depth, Disk, Entry, Kind, LocalDisk, Location, Settings, Tier, Tiers};
use mingying_kernel::Timestamp;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ways::{in_all_ways, keys};

in_all_ways!(
    a_pack_is_the_same_wherever_it_lies,
    only_full_packs_move_and_only_to_slower_tiers,
    a_bucket_out_of_reach_makes_reads_unavailable_and_holds_up_nothing_else,
    what_rots_near_by_is_brought_again_and_what_rots_far_away_is_never_given_out,
    a_copy_that_is_not_what_was_sent_is_not_trusted,
    a_store_does_not_open_without_the_tiers_that_hold_its_packs_nor_mix_with_another,
    a_removed_pack_goes_from_its_tier_when_that_can_be_reached,
    the_fast_disk_is_lost_and_the_other_tiers_are_taken_up,
    a_power_cut_at_any_step_of_a_move_loses_nothing,
);

fn content(seed: u64) -> Vec<u8> {
    let len = 500 + seed * 37 % 2500;
    (0..len).map(|i| (i.wrapping_mul(seed | 1).wrapping_add(seed) >> 3) as u8).collect()
}

async fn put(blobs: &Blobs, seed: u64) -> Result<Location, BlobError> {
    let mut staging = blobs.stage();
    staging.write(&content(seed)).await?;
    let meta = format!("{{\"n\":{seed}}}").into_bytes();
    let entry = Entry { kind: Kind::Object, meta, staged: staging.finish() };
    Ok(blobs.publish(vec![entry], Timestamp::from_micros(seed as i64)).await?[0])
}

/// For a machine that is busy.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

fn settings(large: &Path, bucket: &SimBucket, recall: &Path, patience: Duration) -> Settings {
    let objects = Some(Bucket { patience, ..bucket.bucket(recall) });
    let tiers = Tiers { large: Some(large.to_owned()), objects };
    Settings { pack_size: 4096, reserve: 0, tiers, keys: keys(), ..Settings::default() }
}

/// A store on a disk, a large one and an object store.
struct Bench {
    dir: tempfile::TempDir,
    disk: Arc<dyn Disk>,
    bucket: SimBucket,
    blobs: Blobs,
    places: Vec<Location>,
}

impl Bench {
    fn open_on(disk: Arc<dyn Disk>, dir: &Path, recall: &Path, bucket: &SimBucket, patience: Duration) -> Blobs {
        let settings = settings(&dir.join("large"), bucket, recall, patience);
        Blobs::open_on(disk, &dir.join("blobs"), settings).unwrap()
    }

    /// With some packs full of blobs.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (disk, bucket) = (Arc::new(LocalDisk), SimBucket::new());
        let blobs = Self::open_on(disk.clone(), dir.path(), &dir.path().join("recall"), &bucket, LONG);
        let mut places = Vec::new();
        for seed in 0..20 {
            places.push(put(&blobs, seed).await.unwrap());
        }
        Self { dir, disk, bucket, blobs, places }
    }

    fn reopen(&mut self) {
        self.reopen_with(LONG);
    }

    fn reopen_with(&mut self, patience: Duration) {
        let recall = self.dir.path().join("recall");
        self.blobs = Self::open_on(self.disk.clone(), self.dir.path(), &recall, &self.bucket, patience);
    }

    fn tier(&self, pack: u64) -> Tier {
        self.blobs.homes().iter().find(|home| home.id == pack).unwrap().tier
    }

    async fn go(&self, pack: u64, to: Tier) -> Result<u64, BlobError> {
        self.blobs.move_pack(pack, to, |_| std::future::ready(())).await
    }

    async fn reads(&self) {
        for (seed, place) in (0..).zip(&self.places) {
            assert!(self.blobs.read(*place, 0, u64::MAX).await.unwrap() == content(seed), "{seed}");
        }
    }
}

fn sealed(blobs: &Blobs) -> Vec<u64> {
    let mut packs: Vec<u64> = blobs.packs().iter().map(|pack| pack.id).collect();
    packs.pop();
    packs
}

async fn scan_all(blobs: &Blobs) -> Vec<(Location, [u8; 32])> {
    let mut all = Vec::new();
    for pack in blobs.packs() {
        let mut next = Some(0);
        while let Some(at) = next {
            let scan = blobs.scan(pack.id, at, 3, Depth::Whole).await.unwrap();
            assert!(scan.damaged.is_empty());
            all.extend(scan.records.iter().map(|found| (found.location, found.sha256)));
            next = scan.next;
        }
    }
    all
}

async fn a_pack_is_the_same_wherever_it_lies() {
    let mut bench = Bench::new().await;
    let before = (bench.blobs.packs(), scan_all(&bench.blobs).await);
    let packs = sealed(&bench.blobs);
    assert!(packs.len() >= 4);
    for (i, pack) in packs.iter().enumerate() {
        let to = if i % 2 == 0 { Tier::Objects } else { Tier::Large };
        let len = bench.blobs.packs().iter().find(|there| there.id == *pack).unwrap().len;
        assert_eq!(bench.go(*pack, to).await.unwrap(), len);
        assert_eq!(bench.tier(*pack), to);
        assert!(!bench.blobs.pack_path(*pack).exists(), "the original is gone");
    }
    bench.go(packs[1], Tier::Objects).await.unwrap();
    assert_eq!(bench.bucket.names().await.len(), 1 + packs.iter().filter(|p| bench.tier(**p) == Tier::Objects).count());
    for _ in 0..2 {
        bench.reads().await;
        assert_eq!((bench.blobs.packs(), scan_all(&bench.blobs).await), before);
        for (seed, place) in (0..).zip(&bench.places) {
            let found = bench.blobs.record(place.pack, place.record).await.unwrap();
            let again = bench.blobs.stage_again(&found, None).await.unwrap();
            assert_eq!(again.sha256(), <[u8; 32]>::from(Sha256::digest(content(seed))));
        }
        let many: Vec<_> = bench.places.iter().map(|place| (*place, 10, 20)).collect();
        let read = bench.blobs.read_many(many).await.unwrap();
        assert!((0..).zip(&read).all(|(seed, bytes)| content(seed)[10..30] == bytes[..]));
        for pack in bench.blobs.packs() {
            let to = bench.dir.path().join("copy");
            let hash = bench.blobs.copy_pack(pack, &to, 0, Sha256::new()).await.unwrap();
            let copied = std::fs::read(&to).unwrap();
            assert_eq!(copied.len() as u64, pack.len);
            assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(&copied)));
            std::fs::remove_file(&to).unwrap();
        }
        let stats = bench.blobs.recall_stats();
        assert!(stats.hits > 0 && stats.bytes > 0, "{stats:?}");
        bench.reopen();
    }
    let next = put(&bench.blobs, 77).await.unwrap();
    assert!(next.pack > packs[packs.len() - 1]);
    assert!(bench.blobs.read(next, 0, u64::MAX).await.unwrap() == content(77));
}

async fn only_full_packs_move_and_only_to_slower_tiers() {
    let bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    let newest = bench.blobs.packs().last().unwrap().id;
    assert!(matches!(bench.go(newest, Tier::Large).await, Err(BlobError::Misplaced(_))));
    bench.go(packs[0], Tier::Objects).await.unwrap();
    assert!(matches!(bench.go(packs[0], Tier::Large).await, Err(BlobError::Misplaced(_))));
    assert!(matches!(bench.go(packs[0], Tier::Objects).await, Err(BlobError::Misplaced(_))));
    assert!(matches!(bench.go(newest + 7, Tier::Objects).await, Err(BlobError::NotFound)));
    let homes = bench.blobs.homes();
    assert!(
        homes.iter().rev().skip(1).all(|home| home.sealed_at.is_some()) && homes.last().unwrap().sealed_at.is_none()
    );
}

async fn a_bucket_out_of_reach_makes_reads_unavailable_and_holds_up_nothing_else() {
    let mut bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    bench.go(packs[0], Tier::Objects).await.unwrap();
    bench.reopen_with(SHORT);
    let far = bench.places[0];
    for fault in [Fault::Fails, Fault::Hangs, Fault::Absent, Fault::Short] {
        bench.bucket.set(fault);
        for len in [10, u64::MAX] {
            let read = bench.blobs.read(far, 0, len).await;
            assert!(matches!(read, Err(BlobError::Unavailable)), "{fault:?} {read:?}");
        }
        let waiting = bench.blobs.clone();
        let hung = tokio::spawn(async move { waiting.read(far, 0, u64::MAX).await });
        let many = bench.blobs.read_many(vec![(far, 0, 10)]).await;
        assert!(matches!(many, Err(BlobError::Unavailable)));
        assert!(matches!(bench.blobs.scan(packs[0], 0, 10, Depth::Whole).await, Err(BlobError::Unavailable)));
        let seed = bench.places.len() as u64;
        bench.places.push(put(&bench.blobs, seed).await.unwrap());
        let near = *bench.places.last().unwrap();
        assert!(bench.blobs.read(near, 0, u64::MAX).await.unwrap() == content(seed));
        let moved = bench.go(packs[1], Tier::Objects).await;
        assert!(moved.is_err() && bench.tier(packs[1]) == Tier::Fast, "{fault:?}");
        assert!(matches!(hung.await.unwrap(), Err(BlobError::Unavailable)));
        bench.bucket.set(Fault::None);
        // It rests for a moment after a failure.
        while let Err(error) = bench.blobs.read(far, 0, u64::MAX).await {
            assert!(matches!(error, BlobError::Unavailable));
            tokio::task::yield_now().await;
        }
        bench.reads().await;
        // What was kept is taken away, so that the next round asks again.
        std::fs::remove_dir_all(bench.dir.path().join("recall")).unwrap();
        bench.reopen_with(SHORT);
    }
    bench.reopen();
    bench.go(packs[1], Tier::Objects).await.unwrap();
    bench.reads().await;
}

async fn what_rots_near_by_is_brought_again_and_what_rots_far_away_is_never_given_out() {
    let mut bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    bench.go(packs[0], Tier::Objects).await.unwrap();
    bench.reads().await;
    // In a kept piece, past its own checksum: it was checked when it was first read.
    for entry in std::fs::read_dir(bench.dir.path().join("recall")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        for byte in &mut bytes {
            *byte ^= 1;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    bench.reads().await;
    let place = bench.places[0];
    bench.bucket.flip(&format!("{:016x}.pack", packs[0]), place.at as usize + 5).await.unwrap();
    std::fs::remove_dir_all(bench.dir.path().join("recall")).unwrap();
    bench.reopen();
    assert!(matches!(bench.blobs.read(place, 0, u64::MAX).await, Err(BlobError::Corrupt(_))));
    assert!(matches!(bench.blobs.read(place, 4, 2).await, Err(BlobError::Corrupt(_))));
    assert_eq!(bench.blobs.scan(packs[0], 0, 100, Depth::Whole).await.unwrap().damaged.len(), 1);
}

async fn a_copy_that_is_not_what_was_sent_is_not_trusted() {
    let bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    bench.go(packs[0], Tier::Objects).await.unwrap();
    bench.bucket.set(Fault::Garbles);
    assert!(matches!(bench.go(packs[1], Tier::Objects).await, Err(BlobError::Corrupt(_))));
    assert_eq!(bench.tier(packs[1]), Tier::Fast);
    bench.bucket.set(Fault::None);
    bench.go(packs[1], Tier::Objects).await.unwrap();
    bench.reads().await;
}

async fn a_store_does_not_open_without_the_tiers_that_hold_its_packs_nor_mix_with_another() {
    let mut bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    bench.go(packs[0], Tier::Large).await.unwrap();
    bench.go(packs[1], Tier::Objects).await.unwrap();
    let folder = bench.dir.path().join("blobs");
    let some = settings(&bench.dir.path().join("large"), &bench.bucket, &bench.dir.path().join("recall"), LONG);
    let without_bucket = Settings { tiers: Tiers { objects: None, ..some.tiers.clone() }, ..some.clone() };
    let without_large = Settings { tiers: Tiers { large: None, ..some.tiers.clone() }, ..some };
    for lacking in [without_bucket, without_large] {
        assert!(matches!(Blobs::open(&folder, lacking), Err(BlobError::Misplaced(_))));
    }

    // The disk is not mounted: its packs are out of reach, nothing new is put into the empty mount point.
    let (large, away) = (bench.dir.path().join("large"), bench.dir.path().join("away"));
    std::fs::rename(&large, &away).unwrap();
    bench.reopen();
    let on_large = bench.places.iter().find(|place| place.pack == packs[0]).unwrap();
    assert!(matches!(bench.blobs.read(*on_large, 0, 10).await, Err(BlobError::Unavailable)));
    assert!(matches!(bench.blobs.is_there(packs[0]).await, Err(BlobError::Unavailable)));
    assert!(matches!(bench.go(packs[2], Tier::Large).await, Err(BlobError::Unavailable)));
    std::fs::rename(&away, &large).unwrap();
    bench.reads().await;
    assert!(bench.blobs.is_there(packs[0]).await.unwrap());
    std::fs::remove_file(large.join("packs").join(format!("{:016x}.pack", packs[0]))).unwrap();
    bench.reopen();
    assert!(!bench.blobs.is_there(packs[0]).await.unwrap(), "mounted, and not there");
    assert!(bench.blobs.is_there(packs[1]).await.unwrap());
    bench.bucket.delete_object(&format!("{:016x}.pack", packs[1])).await.unwrap();
    assert!(!bench.blobs.is_there(packs[1]).await.unwrap());

    let other = tempfile::tempdir().unwrap();
    let shared = settings(&large, &bench.bucket, &other.path().join("recall"), LONG);
    let stranger = Blobs::open(&other.path().join("blobs"), shared).unwrap();
    for seed in 0..8 {
        put(&stranger, seed).await.unwrap();
    }
    assert_eq!(stranger.adopt().await.unwrap(), 0);
    let first = stranger.packs()[0].id;
    for to in [Tier::Large, Tier::Objects] {
        let moved = stranger.move_pack(first, to, |_| std::future::ready(())).await;
        assert!(matches!(moved, Err(BlobError::Misplaced(_))), "{moved:?}");
    }
}

async fn a_removed_pack_goes_from_its_tier_when_that_can_be_reached() {
    let mut bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    bench.go(packs[0], Tier::Objects).await.unwrap();
    bench.go(packs[1], Tier::Large).await.unwrap();
    bench.go(packs[2], Tier::Objects).await.unwrap();
    bench.reopen_with(SHORT);
    bench.bucket.set(Fault::Fails);
    bench.blobs.remove(packs[0]).await.unwrap();
    bench.blobs.remove(packs[1]).await.unwrap();
    assert_eq!(std::fs::read_dir(bench.dir.path().join("large/packs")).unwrap().count(), 1, "the marker alone");
    let read = bench.blobs.read(bench.places[0], 0, 10).await;
    assert!(matches!(read, Err(BlobError::NotFound)), "{read:?}");
    bench.reopen();
    assert!(!bench.blobs.packs().iter().any(|pack| packs[..2].contains(&pack.id)), "it does not come back");
    assert_eq!(bench.bucket.names().await.len(), 3);
    bench.bucket.set(Fault::None);
    assert_eq!(bench.blobs.adopt().await.unwrap(), 0, "nor is it taken up");
    bench.blobs.sweep().await.unwrap();
    assert_eq!(bench.bucket.names().await.len(), 2);
    bench.reopen();
    bench.blobs.remove(packs[2]).await.unwrap();
    assert_eq!(bench.bucket.names().await, ["mingying-store"]);
    bench.blobs.remove(packs[2]).await.unwrap();
}

async fn the_fast_disk_is_lost_and_the_other_tiers_are_taken_up() {
    let mut bench = Bench::new().await;
    let packs = sealed(&bench.blobs);
    bench.go(packs[0], Tier::Large).await.unwrap();
    bench.go(packs[1], Tier::Objects).await.unwrap();
    std::fs::remove_dir_all(bench.dir.path().join("blobs")).unwrap();
    bench.reopen();
    assert_eq!(bench.blobs.packs(), [], "not without being asked: it might be another's");
    assert_eq!(bench.blobs.adopt().await.unwrap(), 2);
    let left: Vec<u64> = bench.blobs.packs().iter().map(|pack| pack.id).collect();
    assert_eq!(left, packs[..2]);
    for (seed, place) in (0..).zip(&bench.places).filter(|(_, place)| left.contains(&place.pack)) {
        assert!(bench.blobs.read(*place, 0, u64::MAX).await.unwrap() == content(seed));
    }
    bench.blobs.resume(left[1], bench.blobs.packs()[1].len).await.unwrap();
    assert!(put(&bench.blobs, 90).await.unwrap().pack > left[1]);
}

/// Moves and removes with the power cut at each step.
async fn a_power_cut_at_any_step_of_a_move_loses_nothing() {
    let recall = tempfile::tempdir().unwrap();
    for step in 0.. {
        let (disk, bucket) = (SimDisk::new(), SimBucket::new());
        let open = || Bench::open_on(Arc::new(disk.clone()), Path::new("/data"), recall.path(), &bucket, LONG);
        let blobs = open();
        let mut places = Vec::new();
        for seed in 0..16 {
            places.push(put(&blobs, seed).await.unwrap());
        }
        let packs = sealed(&blobs);
        let begun = disk.steps();
        disk.cut_power_at(begun + step);
        let moves =
            [(packs[0], Tier::Large), (packs[0], Tier::Objects), (packs[1], Tier::Objects), (packs[2], Tier::Large)];
        let calm = |_| std::future::ready(());
        let mut whole = true;
        for (pack, to) in moves {
            whole &= blobs.move_pack(pack, to, calm).await.is_ok();
        }
        let removed = blobs.remove(packs[1]).await.is_ok() && blobs.remove(packs[2]).await.is_ok();
        let cut = !whole || !removed;
        for seed in 0..3 {
            disk.power_cut(step * 100 + seed);
            let blobs = open();
            for pack in blobs.packs() {
                blobs.settle(pack.id, 0).await.unwrap();
            }
            for (seed, place) in (0..).zip(&places) {
                let read = blobs.read(*place, 0, u64::MAX).await;
                let may_go = whole && (place.pack == packs[1] || place.pack == packs[2]);
                match read {
                    Ok(bytes) => assert!(bytes == content(seed), "step {step}"),
                    // Half removed: the index says that nothing needs it.
                    Err(error) => assert!(
                        may_go && matches!(error, BlobError::NotFound | BlobError::Unavailable),
                        "step {step}: {error:?}"
                    ),
                }
            }
            // What was begun can be ended.
            for (pack, to) in moves {
                let there = blobs.homes().into_iter().find(|home| home.id == pack);
                if there.is_some_and(|home| home.tier < to) {
                    blobs.move_pack(pack, to, calm).await.unwrap();
                }
            }
            if whole && removed {
                blobs.sweep().await.unwrap();
            }
        }
        let blobs = open();
        for (seed, place) in (0..).zip(&places).filter(|(_, place)| place.pack == packs[0]) {
            assert!(blobs.read(*place, 0, u64::MAX).await.unwrap() == content(seed));
        }
        if !cut {
            assert!(step > 20);
            assert_eq!(blobs.packs().iter().filter(|pack| packs.contains(&pack.id)).count(), packs.len() - 2);
            assert_eq!(bucket.names().await.len(), 2);
            return;
        }
    }
}
