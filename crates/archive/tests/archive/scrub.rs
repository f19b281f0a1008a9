//! Bit rot: found wherever it is, healed from a replica, and never given out.

use crate::crash::blobs_on;
use crate::objects::*;
use crate::rebuild::everything;
use mingying_archive::{Archive, Housekeeping, Reason, Scrubbed, Settings, Target, rebuild};
use mingying_blob::sim::SimDisk;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn settings(replicas: Vec<PathBuf>) -> Settings {
    let house = Housekeeping { replicas, rate: 0, ..Housekeeping::default() };
    Settings { house, ..Settings::new(org()) }
}

/// Copies all packs as they are now.
pub fn replicate(disk: &SimDisk, archive: &Archive, to: &Path) {
    for pack in archive.blobs().packs() {
        let path = archive.blobs().pack_path(pack.id);
        disk.put_file(&to.join("packs").join(path.file_name().unwrap()), disk.file(&path).unwrap());
    }
}

on_both_and_encrypted! {
    async fn damage_is_healed_from_a_replica_and_survives_a_rebuild(db: Db) {
        let disk = SimDisk::new();
        let replica = PathBuf::from("/replica");
        let clock = mingying_testkit::clock();
        let bench = open_with(db.clone(), blobs_on(&disk), clock.clone(), settings(vec![replica.clone()])).await.unwrap();
        for i in 1..=20 {
            bench.send(&slice(1 + i % 4, 1, i)).await.unwrap();
        }
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.4"), Reason::Quality, "").await.unwrap();
        let before = everything(&bench).await;
        replicate(&disk, &bench.archive, &replica);
        let packs = bench.archive.blobs().packs();
        assert!(packs.len() > 3);

        // The payload of one, the frame of another, the tombstone, and a whole pack gone.
        let refs = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
        let path = |pack| bench.archive.blobs().pack_path(pack);
        let (payload, frame) = (refs[0].location, refs[1].location);
        disk.flip(&path(payload.pack), payload.at as usize + 300, 3);
        disk.flip(&path(frame.pack), frame.record as usize + 9, 0);
        let last = packs.last().unwrap();
        disk.flip(&path(last.id), last.len as usize - 100, 1);
        assert!(bench.archive.read(&refs[0], 0, u64::MAX).await.is_err(), "never wrong pixels");
        assert!(bench.archive.read(&refs[1], 0, u64::MAX).await.is_err());

        let found = bench.archive.verify().await.unwrap();
        assert_eq!((found.healed, found.intact()), (2, true), "{found:?}");
        let damages = bench.archive.damages(10).await.unwrap();
        assert_eq!(damages.len(), 3);
        assert!(damages.iter().all(|damage| damage.state == "healed"), "{damages:?}");
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
        let again = bench.archive.verify().await.unwrap();
        assert_eq!((again.healed, again.intact(), again.orphans), (0, true, 0), "{again:?}");
        assert_eq!(everything(&bench).await, before);

        bench.archive.close().await;
        let owner = Settings::new(org()).owner;
        rebuild(&db, &blobs_on(&disk), &bench.ctx, &[org()], &owner).await.unwrap();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        assert_eq!(everything(&bench).await, before, "at its old place in the order, and nothing deleted is back");
    }

    async fn damage_without_a_replica_is_told_and_a_replica_of_later_heals_it(db: Db) {
        let disk = SimDisk::new();
        let bench = open_with(db.clone(), blobs_on(&disk), mingying_testkit::clock(), settings(Vec::new())).await.unwrap();
        for i in 1..=12 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let replica = PathBuf::from("/late");
        replicate(&disk, &bench.archive, &replica);
        let refs = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
        let (rotten, lost) = (&refs[0], &refs[5]);
        disk.flip(&bench.archive.blobs().pack_path(rotten.location.pack), rotten.location.at as usize + 50, 7);
        let found = bench.archive.verify().await.unwrap();
        assert_eq!((&found.corrupt, found.damaged, found.intact()), (&vec![rotten.sop_uid.clone()], 1, false));
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 1);
        assert_ne!(rotten.location.pack, lost.location.pack);
        bench.archive.close().await;
        {
            let blobs = blobs_on(&disk);
            blobs.remove(lost.location.pack).await.unwrap();
        }
        let bench = open_with(db.clone(), blobs_on(&disk), mingying_testkit::clock(), settings(Vec::new())).await.unwrap();
        let found = bench.archive.verify().await.unwrap();
        assert!(found.missing.contains(&lost.sop_uid), "{found:?}");
        bench.archive.close().await;

        // A replica that is itself damaged there does not help; the next one does.
        let bad = PathBuf::from("/bad");
        replicate(&disk, &bench.archive, &bad);
        let bench = open_with(db.clone(), blobs_on(&disk), mingying_testkit::clock(), settings(vec![bad, replica])).await.unwrap();
        let found = bench.archive.verify().await.unwrap();
        assert!(found.intact() && found.healed >= 2, "{found:?}");
        for (i, one) in (1..).zip(bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap()) {
            let bytes = bench.archive.read(&one, one.head_len as u64, u64::MAX).await.unwrap();
            assert!(bytes == slice(1, 1, i).bytes(EXPLICIT), "{i}");
        }
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
    }
}

#[tokio::test]
async fn the_background_check_goes_round_in_steps_and_remembers_its_place() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let clock = mingying_testkit::clock();
    let open = || open_with(test.db.clone(), blobs_on(&disk), clock.clone(), settings(Vec::new()));
    let bench = open().await.unwrap();
    for i in 1..=20 {
        bench.send(&slice(1, 1, i)).await.unwrap();
    }
    let packs = bench.archive.blobs().packs();
    let last = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap().pop().unwrap();
    disk.flip(&bench.archive.blobs().pack_path(last.location.pack), last.location.at as usize, 0);
    for pack in packs.iter().take(2) {
        assert_eq!(bench.archive.scrub().await.unwrap(), Scrubbed::Bytes(pack.len));
    }
    assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
    bench.archive.close().await;
    let bench = open().await.unwrap();
    for pack in packs.iter().skip(2) {
        assert_eq!(bench.archive.scrub().await.unwrap(), Scrubbed::Bytes(pack.len), "goes on behind a restart");
    }
    assert_eq!(bench.archive.stats().await.unwrap().damaged, 1);
    assert_eq!(bench.archive.scrub().await.unwrap(), Scrubbed::Idle);
    assert_eq!(bench.archive.scrub().await.unwrap(), Scrubbed::Idle);
    clock.advance(Duration::from_hours(24 * 8));
    assert_eq!(bench.archive.scrub().await.unwrap(), Scrubbed::Bytes(packs[0].len), "the next round");
}

/// Flips bits in packs of a few hundred small objects: each is found, and no read gives a wrong byte.
async fn flips_are_found(flips: u64) {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let bench =
        open_with(test.db.clone(), blobs_on(&disk), mingying_testkit::clock(), settings(Vec::new())).await.unwrap();
    for i in 1..=200 {
        bench.send(&slice(1 + i % 7, 1, i)).await.unwrap();
    }
    let packs = bench.archive.blobs().packs();
    let mut refs = Vec::new();
    for study in 1..=7 {
        refs.extend(bench.archive.instances_of(&bench.read(), &format!("1.2.3.{study}"), None, None).await.unwrap());
    }
    let mut dice = 7_u64;
    for flip in 0..flips {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pack = packs[(dice >> 33) as usize % packs.len()];
        let (at, bit) = ((dice >> 20) % pack.len, (dice >> 11) as u8 % 8);
        let path = bench.archive.blobs().pack_path(pack.id);
        disk.flip(&path, at as usize, bit);
        // What nothing is stored in is found as well: between records, and in the header of the pack.
        let verified = bench.archive.verify().await.unwrap();
        let hit: Vec<_> = refs
            .iter()
            .filter(|r| r.location.pack == pack.id && (r.location.record..r.location.record_end()).contains(&at))
            .collect();
        let names: Vec<_> = hit.iter().map(|r| r.sop_uid.clone()).collect();
        assert_eq!(verified.corrupt, names, "flip {flip} at {at}.{bit}");
        let waiting = bench.archive.damages(100).await.unwrap();
        assert!(waiting.iter().any(|d| d.pack == pack.id && (d.from..d.to).contains(&at)), "flip {flip} at {at}.{bit}");
        for one in hit {
            if let Ok(bytes) = bench.archive.read(one, one.head_len as u64, u64::MAX).await {
                let study: u32 = one.study_uid.rsplit('.').next().unwrap().parse().unwrap();
                assert!(
                    bytes == slice(study, 1, one.number.unwrap() as u32).bytes(EXPLICIT),
                    "flip {flip} at {at}.{bit}"
                );
            }
        }
        disk.flip(&path, at as usize, bit);
        test.db.execute("DELETE FROM damages", mingying_db::params![]).await.unwrap();
    }
}

#[tokio::test]
async fn fifty_flipped_bits_are_found() {
    flips_are_found(50).await;
}

#[tokio::test]
#[ignore = "part of the soak"]
async fn soak_a_thousand_flipped_bits_are_found() {
    flips_are_found(1000).await;
}
