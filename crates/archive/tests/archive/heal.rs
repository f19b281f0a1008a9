//! Damage that meets something else: a compaction, a rebuild, a deletion, a busy store, a bad sector, a lost pack.

use crate::compact::settings as compacting;
use crate::crash::blobs_on;
use crate::objects::*;
use crate::rebuild::everything;
use crate::scrub::{replicate, settings};
use mingying_archive::{DeletionState, Housekeeping, Reason, Scrubbed, Settings, Target, rebuild};
use mingying_blob::sim::SimDisk;
use mingying_db::{Db, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

const REPLICA: &str = "/replica";

fn healing() -> Settings {
    settings(vec![PathBuf::from(REPLICA)])
}

async fn open_at(db: &Db, disk: &SimDisk, settings: Settings) -> Bench {
    open_with(db.clone(), blobs_on(disk), mingying_testkit::clock(), settings).await.unwrap()
}

async fn rebuilt(db: &Db, disk: &SimDisk, bench: Bench, settings: Settings) -> Bench {
    bench.archive.close().await;
    rebuild(db, &blobs_on(disk), &bench.ctx, &[org()], &settings.owner.clone()).await.unwrap();
    open_at(db, disk, settings).await
}

/// A whole round of the background check.
async fn round(bench: &Bench) {
    while let Scrubbed::Bytes(_) = bench.archive.scrub().await.unwrap() {}
}

/// Pack and place of the tombstone of the only deletion.
async fn tombstone(db: &Db) -> (u64, u64) {
    let row = db.query_one("SELECT pack, record_at FROM deletions", params![]).await.unwrap();
    (row.get("pack").unwrap(), row.get("record_at").unwrap())
}

on_both_and_encrypted! {
    async fn a_sector_that_cannot_be_read_is_healed_like_any_damage(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, healing()).await;
        for i in 1..=20 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let before = everything(&bench).await;
        replicate(&disk, &bench.archive, Path::new(REPLICA));
        let refs = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
        let spoil = |location: mingying_blob::Location, bytes: std::ops::Range<u64>| {
            let path = bench.archive.blobs().pack_path(location.pack);
            disk.spoil(&path, bytes.start as usize..bytes.end as usize);
        };
        let (payload, frame, head) = (refs[0].location, refs[6].location, refs[12].location);
        spoil(payload, payload.at + 100..payload.at + 140);
        spoil(frame, frame.record..frame.record + 512);
        spoil(head, 0..64);
        assert!(bench.archive.read(&refs[0], 0, u64::MAX).await.is_err());
        round(&bench).await;
        assert_eq!(everything(&bench).await, before);
        assert!(bench.archive.verify().await.unwrap().intact());
        bench.archive.close().await;
        let bench = open_at(&db, &disk, healing()).await;
        assert_eq!(everything(&bench).await, before, "and a store with a bad sector opens");
    }

    async fn a_pack_whose_tombstone_is_damaged_stays_until_that_is_healed(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, compacting()).await;
        for i in 1..=3 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::PatientSafety, "").await.unwrap();
        for i in 1..=12 {
            bench.send(&slice(2, 1, i)).await.unwrap();
        }
        let before = everything(&bench).await;
        replicate(&disk, &bench.archive, Path::new(REPLICA));
        let (pack, at) = tombstone(&db).await;
        disk.flip(&bench.archive.blobs().pack_path(pack), at as usize + 80, 1);
        // Once before the background check has seen it, and once after.
        bench.archive.compact().await.unwrap();
        round(&bench).await;
        bench.archive.compact().await.unwrap();
        assert!(bench.archive.blobs().packs().iter().any(|there| there.id == pack));
        bench.archive.close().await;

        let with_replica = || Settings {
            house: Housekeeping { replicas: vec![PathBuf::from(REPLICA)], ..compacting().house },
            ..compacting()
        };
        let bench = open_at(&db, &disk, with_replica()).await;
        assert!(bench.archive.verify().await.unwrap().intact());
        bench.archive.compact().await.unwrap();
        assert!(bench.archive.blobs().packs().iter().all(|there| there.id != pack), "healed, it may go");
        let bench = rebuilt(&db, &disk, bench, with_replica()).await;
        assert_eq!(everything(&bench).await, before, "nothing that was deleted is back");
    }

    async fn a_lost_pack_comes_back_with_its_tombstones(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, healing()).await;
        for i in 1..=3 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::PatientSafety, "").await.unwrap();
        for i in 1..=12 {
            bench.send(&slice(2, 1, i)).await.unwrap();
        }
        let before = everything(&bench).await;
        replicate(&disk, &bench.archive, Path::new(REPLICA));
        let (pack, _) = tombstone(&db).await;
        bench.archive.close().await;
        blobs_on(&disk).remove(pack).await.unwrap();
        let bench = open_at(&db, &disk, healing()).await;
        assert!(bench.archive.read(&first_in(&bench, pack).await, 0, 10).await.is_err(), "an image lies there too");
        // The background check notices a pack that is not there.
        round(&bench).await;
        assert_eq!(everything(&bench).await, before);
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
        let bench = rebuilt(&db, &disk, bench, healing()).await;
        assert_eq!(everything(&bench).await, before, "nothing that was deleted is back");
    }

    async fn what_a_rebuild_could_not_read_is_kept_when_a_replica_has_it(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, healing()).await;
        for i in 1..=12 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let before = everything(&bench).await;
        replicate(&disk, &bench.archive, Path::new(REPLICA));
        let refs = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
        let rotten = refs[0].location;
        disk.flip(&bench.archive.blobs().pack_path(rotten.pack), rotten.at as usize + 50, 2);
        let bench = rebuilt(&db, &disk, bench, healing()).await;
        assert_eq!(bench.archive.stats().await.unwrap().instances, 11);
        bench.archive.verify().await.unwrap();
        let written: u64 = bench.archive.blobs().packs().iter().map(|pack| pack.len).sum();
        bench.archive.verify().await.unwrap();
        let again: u64 = bench.archive.blobs().packs().iter().map(|pack| pack.len).sum();
        assert_eq!(again, written, "healed once is enough");
        let bench = rebuilt(&db, &disk, bench, healing()).await;
        assert_eq!(everything(&bench).await, before);
    }

    async fn a_deletion_with_damaged_bytes_can_be_taken_back_again_when_they_are_healed(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, settings(Vec::new())).await;
        for i in 1..=4 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let before = everything(&bench).await;
        replicate(&disk, &bench.archive, Path::new(REPLICA));
        let rotten = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap()[1].location;
        let gone = bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await.unwrap();
        disk.flip(&bench.archive.blobs().pack_path(rotten.pack), rotten.at as usize + 50, 2);
        let part = bench.archive.restore_deleted(&bench.delete(), gone.id).await.unwrap();
        assert_eq!(part.state, DeletionState::Deleted, "one is still missing");
        assert_eq!(bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap().instances, 3);
        bench.archive.close().await;

        let bench = open_at(&db, &disk, healing()).await;
        assert!(bench.archive.verify().await.unwrap().intact());
        let whole = bench.archive.restore_deleted(&bench.delete(), gone.id).await.unwrap();
        assert_eq!(whole.state, DeletionState::Restored);
        let (mut here, mut before) = (everything(&bench).await, before);
        here.sort();
        before.sort();
        assert_eq!(here, before);
        let bench = rebuilt(&db, &disk, bench, healing()).await;
        let mut here = everything(&bench).await;
        here.sort();
        assert_eq!(here, before);
    }

    async fn packs_that_begin_during_a_check_are_not_missing(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, settings(Vec::new())).await;
        for i in 1..=30 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let packs = bench.archive.blobs().packs().len();
        let sending = async {
            for i in 31..=60 {
                bench.send(&slice(1, 1, i)).await.unwrap();
            }
        };
        let (found, ()) = tokio::join!(bench.archive.verify(), sending);
        let found = found.unwrap();
        assert!(bench.archive.blobs().packs().len() > packs + 3);
        assert!(found.intact(), "{found:?}");
        assert_eq!(bench.archive.damages(10).await.unwrap(), []);
    }

    async fn damage_that_is_there_no_more_waits_for_nobody(db: Db) {
        let disk = SimDisk::new();
        let bench = open_at(&db, &disk, settings(Vec::new())).await;
        for i in 1..=6 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let at = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap()[0].location;
        let path = bench.archive.blobs().pack_path(at.pack);
        disk.flip(&path, at.at as usize + 50, 2);
        assert!(!bench.archive.verify().await.unwrap().intact());
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 1);
        // Somebody puts the sound file back.
        disk.flip(&path, at.at as usize + 50, 2);
        assert!(bench.archive.verify().await.unwrap().intact());
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
    }
}

/// An instance that lies in this pack.
async fn first_in(bench: &Bench, pack: u64) -> mingying_archive::InstanceRef {
    let refs = bench.archive.instances_of(&bench.read(), "1.2.3.2", None, None).await.unwrap();
    refs.into_iter().find(|one| one.location.pack == pack).unwrap()
}

#[tokio::test]
async fn a_large_damaged_place_is_healed_in_bounded_memory() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let big = || {
        let settings = mingying_blob::Settings { pack_size: 1 << 30, ..stored() };
        mingying_blob::Blobs::open_on(std::sync::Arc::new(disk.clone()), Path::new("/data"), settings).unwrap()
    };
    let bench = open_with(test.db.clone(), big(), mingying_testkit::clock(), healing()).await.unwrap();
    for i in 1..=300 {
        bench.send(&slice(1, 1, i)).await.unwrap();
    }
    replicate(&disk, &bench.archive, Path::new(REPLICA));
    let pack = bench.archive.blobs().packs()[0];
    disk.spoil(&bench.archive.blobs().pack_path(pack.id), 64..pack.len as usize);
    let mut most = 0;
    let mut healing = std::pin::pin!(bench.archive.verify());
    let found = std::future::poll_fn(|cx| {
        most = most.max(bench.archive.blobs().staged_bytes());
        healing.as_mut().poll(cx)
    });
    let found = found.await.unwrap();
    assert_eq!((found.healed, found.intact()), (300, true));
    assert!(most <= 70 * (128 << 10), "{most} bytes staged at once");
}

#[tokio::test]
async fn a_clock_that_ran_ahead_does_not_stop_the_background_check() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let ahead = mingying_testkit::clock();
    ahead.advance(Duration::from_hours(24 * 365));
    let bench = open_with(test.db.clone(), blobs_on(&disk), ahead, settings(Vec::new())).await.unwrap();
    bench.send(&slice(1, 1, 1)).await.unwrap();
    round(&bench).await;
    bench.archive.close().await;
    let bench = open_at(&test.db, &disk, settings(Vec::new())).await;
    assert!(matches!(bench.archive.scrub().await.unwrap(), Scrubbed::Bytes(_)), "a new round");
}
