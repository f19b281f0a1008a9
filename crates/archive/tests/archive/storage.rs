//! The store as its engineers see it: room, growth, what they ask for; and bounds for organizations.

use crate::crash::blobs_on;
use crate::objects::*;
use mingying_archive::{ArchiveError, Reason, Room, Settings, Target};
use mingying_blob::sim::SimDisk;
use mingying_blob::{BlobError, Blobs};
use mingying_kernel::{Coded as _, ErrorKind, Permit};
use mingying_testkit::{clock, on_both};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

fn permit<A: mingying_kernel::Action>(bench: &Bench) -> Permit<A> {
    bench.ctx.permit().unwrap()
}

on_both! {
    async fn a_filling_disk_warns_refuses_and_recovers_by_itself(db: Db) {
        let disk = SimDisk::new();
        let reserve = mingying_blob::Settings { reserve: 100_000, ..stored() };
        let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), reserve).unwrap();
        let settings = Settings { warning: 200_000, ..Settings::new(org()) };
        let bench = open_with(db, blobs, clock(), settings).await.unwrap();
        let watch = async || bench.archive.watch_room(&bench.ctx).await.unwrap();
        let told = async |topic: &'static str| {
            let sql = "SELECT COUNT(*) AS n FROM events WHERE topic = $1";
            bench.db.query_one(sql, mingying_db::params![topic]).await.unwrap().get::<i64>("n").unwrap()
        };
        disk.set_capacity(Some(1 << 20));
        bench.send(&slice(1, 1, 1)).await.unwrap();
        assert_eq!((watch().await, told("storage.short").await), (Room::Enough, 0));
        let used = (1 << 20) - bench.archive.blobs().free_space().unwrap();
        disk.set_capacity(Some(used + 190_000));
        assert_eq!((watch().await, watch().await, told("storage.short").await), (Room::Low, Room::Low, 1));
        bench.send(&slice(1, 1, 2)).await.unwrap();
        disk.set_capacity(Some(used + 100_000));
        assert_eq!((watch().await, told("storage.short").await), (Room::Full, 2));
        let refused = bench.send(&slice(1, 1, 3)).await.unwrap_err();
        assert!(matches!(refused, ArchiveError::Blob(BlobError::StorageFull)), "{refused:?}");
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.set_capacity(Some(1 << 20));
        bench.send(&slice(1, 1, 3)).await.unwrap();
        assert_eq!((watch().await, told("storage.enough").await), (Room::Enough, 1));
        assert_eq!(bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap().instances, 3);
    }

    async fn growth_tells_how_long_the_room_lasts(db: Db) {
        let (disk, time) = (SimDisk::new(), clock());
        let bench = open_with(db, blobs_on(&disk), time.clone(), Settings::new(org())).await.unwrap();
        let storage = async || bench.archive.storage(&permit(&bench)).await.unwrap();
        disk.set_capacity(Some(10 << 20));
        let empty = storage().await;
        assert_eq!((empty.bytes_per_day, empty.days_left()), (0, None));
        for i in 1..=4 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        bench.archive.flush().await.unwrap();
        let size = bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap().size as u64;
        assert_eq!(storage().await.bytes_per_day, size, "a day counts as one at least");
        time.advance(DAY * 2);
        let now = storage().await;
        assert_eq!(now.bytes_per_day, size / 2);
        assert_eq!(now.days_left(), Some(now.free_bytes / (size / 2)));
        time.advance(DAY * 6);
        assert_eq!(storage().await.bytes_per_day, 0, "nothing in a week");
    }

    async fn what_is_asked_for_is_done(db: Db) {
        let (disk, time) = (SimDisk::new(), clock());
        let mut settings = Settings::new(org());
        settings.house.rate = 0;
        let bench = open_with(db, blobs_on(&disk), time, settings).await.unwrap();
        for study in 1..=3 {
            bench.send(&slice(study, 1, 1)).await.unwrap();
        }
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await.unwrap();
        let storage = async || bench.archive.storage(&permit(&bench)).await.unwrap();
        let before = storage().await;
        assert_eq!((before.check.ended, before.compaction.ended, before.deletions, before.quarantined), (None, None, 1, 0));
        assert!(before.deleted_bytes > 0 && before.packs == 1);
        let rounds = async |asked: bool| {
            let house = bench.archive.clone();
            let keeping = tokio::spawn(async move { house.keep_house().await });
            if asked {
                bench.archive.compact_now(&permit(&bench)).await.unwrap();
                bench.archive.check_now(&permit(&bench)).await.unwrap();
            }
            let done = loop {
                let now = storage().await;
                if now.check.ended.is_some() && (!asked || now.compaction.ended.is_some()) {
                    break now;
                }
                tokio::task::yield_now().await;
            };
            keeping.abort();
            done
        };
        let first = rounds(false).await;
        assert_eq!((first.check.done, first.compaction.ended), (first.check.total, None), "no compaction within the hour");
        let asked = rounds(true).await;
        assert!(asked.compaction.ended.is_some() && !asked.compaction.running);
        assert_eq!(bench.count("SELECT COUNT(*) FROM audit WHERE action = 'storage.manage' AND outcome = 'done'").await, 2);
        // A round that is asked for begins at the first pack, and only when none is under way.
        bench.archive.check_now(&permit(&bench)).await.unwrap();
        let begun = storage().await.check;
        assert_eq!((begun.ended, begun.done), (None, 0));
    }

    async fn an_organization_stores_no_more_than_its_bound(db: Db) {
        let (disk, time) = (SimDisk::new(), clock());
        let probe = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        probe.send(&slice(9, 1, 1)).await.unwrap();
        let size = probe.archive.study(&probe.read(), "1.2.3.9").await.unwrap().size as u64;
        probe.archive.close().await;
        let mut settings = Settings::new(org());
        settings.org_bytes.insert(org(), size * 7 / 2);
        let bench = open_with(db, blobs_on(&disk), time.clone(), settings).await.unwrap();
        for study in 1..=2 {
            bench.send(&slice(study, 1, 1)).await.unwrap();
        }
        let refused = bench.send(&slice(3, 1, 1)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::StorageFull, "archive.quota"));
        let used = bench.archive.storage(&permit(&bench)).await.unwrap().organizations;
        assert_eq!((used.len(), used[0].bound), (1, size * 7 / 2));
        assert!(used[0].bytes > size * 2 && used[0].bytes <= used[0].bound);
        // What is deleted makes room; what others have no bound for is not theirs.
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.9"), Reason::Quality, "").await.unwrap();
        time.advance(Duration::from_secs(1));
        bench.send(&slice(3, 1, 1)).await.unwrap();
        assert!(bench.send(&slice(4, 1, 1)).await.is_err());
        time.advance(Duration::from_mins(1));
        assert!(bench.send(&slice(4, 1, 1)).await.is_err());
        assert!(bench.send(&slice(3, 1, 1)).await.unwrap().duplicate, "what is here needs no room");
    }
}
