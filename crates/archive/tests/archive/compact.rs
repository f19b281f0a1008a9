//! Packs that are mostly dead give their room back, and nothing else changes.

use crate::crash::blobs_on;
use crate::objects::*;
use crate::rebuild::everything;
use mingying_archive::{Archive, ArchiveError, DeletionFilter, Housekeeping, Reason, Settings, Target, rebuild};
use mingying_blob::sim::SimDisk;
use mingying_kernel::{Coded as _, ErrorKind};
use std::time::Duration;

const KEPT: Duration = Duration::from_hours(24);

pub fn settings() -> Settings {
    let house = Housekeeping { rate: 0, keep_deleted: KEPT, live_share: 0.7, ..Housekeeping::default() };
    Settings { house, ..Settings::new(org()) }
}

fn bytes(archive: &Archive) -> u64 {
    archive.blobs().packs().iter().map(|pack| pack.len).sum()
}

on_both_and_encrypted! {
    async fn dead_packs_are_rewritten_and_the_answers_stay(db: Db) {
        let disk = SimDisk::new();
        let clock = mingying_testkit::clock();
        let bench = open_with(db.clone(), blobs_on(&disk), clock.clone(), settings()).await.unwrap();
        for i in 1..=60 {
            let one = slice(1 + i % 6, 1, i);
            bench.send(&one).await.unwrap();
            if i % 10 == 0 {
                // Kept beside, and kept aside.
                let mut other = slice(1 + i % 6, 1, i);
                put(&mut other.object, dicom_dictionary_std::tags::PIXEL_DATA, dicom_core::VR::OW, pixels(i + 500, 64));
                bench.send(&other).await.unwrap();
                let bytes = one.bytes(EXPLICIT);
                assert!(bench.send_bytes(one.meta(EXPLICIT), &bytes[..bytes.len() - 3]).await.is_err());
            }
        }
        let stale = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
        let delete = |s: u32| {
            let (archive, permit) = (bench.archive.clone(), bench.delete());
            async move { archive.delete(&permit, &Target::study(format!("1.2.3.{s}")), Reason::Quality, "").await.unwrap() }
        };
        for s in 2..=5 {
            delete(s).await;
        }
        let before = everything(&bench).await;
        let full = bytes(&bench.archive);

        // As long as it can be brought back, its bytes are kept.
        clock.advance(KEPT / 2);
        assert_eq!(bench.archive.compact().await.unwrap(), mingying_archive::Compacted::default());
        clock.advance(KEPT / 2 + Duration::from_secs(1));
        let young = delete(6).await;
        let before = {
            let without = everything(&bench).await;
            assert!(without.len() < before.len());
            without
        };
        let done = bench.archive.compact().await.unwrap();
        assert_eq!(done.purged, 4);
        assert!(done.packs > 3 && bytes(&bench.archive) < full * 2 / 3, "{done:?} {} of {full}", bytes(&bench.archive));
        assert_eq!(everything(&bench).await, before);
        let verified = bench.archive.verify().await.unwrap();
        assert_eq!((verified.intact(), verified.orphans), (true, 0), "{verified:?}");
        // A reader that found its instances before.
        assert!(stale.iter().any(|one| bench.archive.blobs().packs().iter().all(|pack| pack.id != one.location.pack)));
        for one in &stale {
            let got = bench.archive.read(one, one.head_len as u64, u64::MAX).await.unwrap();
            assert!(got == slice(1, 1, one.number.unwrap() as u32).bytes(EXPLICIT));
            bench.archive.header(one).await.unwrap();
            bench.archive.frame_bytes(one, 0).await.unwrap();
        }
        // Done is done.
        assert_eq!(bench.archive.compact().await.unwrap().packs, 0);
        let listed = bench.archive.deletions(&bench.delete(), &DeletionFilter::default(), 10, None).await.unwrap();
        assert!(matches!(bench.archive.restore_deleted(&bench.delete(), listed[4].id).await, Err(ArchiveError::NotFound)));

        // A restart, a rebuild, and what was deleted lately comes back.
        bench.archive.close().await;
        let bench = open_with(db.clone(), blobs_on(&disk), clock.clone(), settings()).await.unwrap();
        assert_eq!((bench.archive.replayed().records, everything(&bench).await), (0, before.clone()));
        bench.archive.close().await;
        let owner = Settings::new(org()).owner;
        rebuild(&db, &blobs_on(&disk), &bench.ctx, &[org()], &owner).await.unwrap();
        let bench = open_with(db.clone(), blobs_on(&disk), clock.clone(), settings()).await.unwrap();
        assert_eq!(everything(&bench).await, before);
        let listed = bench.archive.deletions(&bench.delete(), &DeletionFilter::default(), 10, None).await.unwrap();
        assert_eq!(listed[0].instances, young.instances);
        bench.archive.restore_deleted(&bench.delete(), listed[0].id).await.unwrap();
        let back = bench.archive.instances_of(&bench.read(), "1.2.3.6", None, None).await.unwrap();
        assert_eq!(back.len() as i64, young.instances);
        for one in back {
            let got = bench.archive.read(&one, one.head_len as u64, u64::MAX).await.unwrap();
            assert!(got == slice(6, 1, one.number.unwrap() as u32).bytes(EXPLICIT));
        }
        assert!(bench.archive.verify().await.unwrap().intact());
    }
}

on_both_and_encrypted! {
    async fn a_tombstone_outlives_its_pack(db: Db) {
        let disk = SimDisk::new();
        let clock = mingying_testkit::clock();
        let bench = open_with(db.clone(), blobs_on(&disk), clock.clone(), settings()).await.unwrap();
        let send = async |study: u32, numbers: std::ops::Range<u32>| {
            for i in numbers {
                bench.send(&slice(study, 1, i)).await.unwrap();
            }
        };
        let delete = async |study: &str| {
            bench.archive.delete(&bench.delete(), &Target::study(study), Reason::PatientSafety, "").await.unwrap()
        };
        // What is deleted lies among what lives, its tombstone among what dies.
        send(2, 1..4).await;
        send(1, 1..2).await;
        send(2, 4..7).await;
        send(3, 1..5).await;
        let deleted = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap()[0].location.pack;
        delete("1.2.3.1").await;
        let row = db.query_one("SELECT pack FROM deletions", mingying_db::params![]).await.unwrap();
        let tombstone: u64 = row.get("pack").unwrap();
        send(3, 5..12).await;
        delete("1.2.3.3").await;
        send(2, 10..16).await;
        let before = everything(&bench).await;
        clock.advance(KEPT + Duration::from_secs(1));
        bench.archive.compact().await.unwrap();
        let there = |pack| bench.archive.blobs().packs().iter().any(|there| there.id == pack);
        assert_eq!((there(deleted), there(tombstone)), (true, false));
        bench.archive.close().await;
        rebuild(&db, &blobs_on(&disk), &bench.ctx, &[org()], &Settings::new(org()).owner).await.unwrap();
        let bench = open_with(db, blobs_on(&disk), clock, settings()).await.unwrap();
        assert_eq!(everything(&bench).await, before, "nothing that was deleted is back");
    }

    async fn a_full_disk_can_be_emptied(db: Db) {
        let disk = SimDisk::new();
        let clock = mingying_testkit::clock();
        let keep_free = mingying_blob::Settings { pack_size: 6000, reserve: 100_000, ..stored() };
        let blobs = mingying_blob::Blobs::open_on(std::sync::Arc::new(disk.clone()), "/data".as_ref(), keep_free).unwrap();
        let bench = open_with(db, blobs, clock.clone(), settings()).await.unwrap();
        for i in 1..=40 {
            bench.send(&slice(1 + i % 2, 1, i)).await.unwrap();
        }
        disk.set_capacity(Some(bytes(&bench.archive) + 95_000));
        let refused = bench.send(&slice(2, 1, 100)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await.unwrap();
        clock.advance(KEPT + Duration::from_secs(1));
        let done = bench.archive.compact().await.unwrap();
        assert!(done.purged == 1 && done.packs > 3, "{done:?}");
        bench.send(&slice(2, 1, 100)).await.unwrap();
        assert!(bench.archive.verify().await.unwrap().intact());
    }
}
