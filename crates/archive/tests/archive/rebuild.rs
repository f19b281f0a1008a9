//! The tables made again from the packs alone.

use crate::crash::{blobs_on, send_mixed};
use crate::objects::*;
use mingying_archive::{InstanceRow, Level, Query, SeriesRow, StudyRow, rebuild};
use mingying_blob::sim::SimDisk;
use mingying_db::params;

/// Every row that the public functions give, in their order, without row keys.
pub async fn everything(bench: &Bench) -> Vec<String> {
    let query = |level| Query::all(level).limit(100_000);
    let study = |row: StudyRow| StudyRow { key: 0, ..row };
    let series = |row: SeriesRow| SeriesRow { key: 0, study: study(row.study.clone()), ..row };
    let mut all = Vec::new();
    for row in bench.archive.find_studies(&bench.read(), &query(Level::Study)).await.unwrap().items {
        all.push(format!("{:?}", study(row)));
    }
    for row in bench.archive.find_series(&bench.read(), &query(Level::Series)).await.unwrap().items {
        all.push(format!("{:?}", series(row)));
    }
    for mut row in bench.archive.find_instances(&bench.read(), &query(Level::Instance)).await.unwrap().items {
        row.instance.key = 0;
        // Compaction may have moved it: what counts is what is read there.
        let bytes = bench.archive.read(&row.instance, 0, u64::MAX).await.unwrap();
        row.instance.location = mingying_blob::Location { pack: 0, record: 0, at: 0, len: bytes.len() as u64 };
        all.push(format!("{:?} {bytes:?}", InstanceRow { series: series(row.series.clone()), ..row }));
    }
    for mut held in bench.archive.quarantine(&bench.manage(), 1000, None).await.unwrap() {
        held.id = 0;
        all.push(format!("{held:?}"));
    }
    let stats = bench.archive.stats().await.unwrap();
    all.push(format!("{} {} {} {}", stats.studies, stats.instances, stats.duplicates, stats.quarantined));
    // What is kept beside the served one has no list of its own.
    let kept = "SELECT i.sop_uid, d.size, d.received_at FROM duplicates d JOIN instances i ON i.key = d.instance_key \
                ORDER BY d.key";
    for row in bench.db.query(kept, params![]).await.unwrap() {
        let (sop, size, at): (String, i64, i64) = (row.at(0).unwrap(), row.at(1).unwrap(), row.at(2).unwrap());
        all.push(format!("kept beside {sop} {size} {at}"));
    }
    all
}

on_both_and_encrypted! {
    async fn a_rebuild_gives_the_same_rows_and_tells_nothing_twice(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        send_mixed(&bench).await;
        let before = everything(&bench).await;
        let events = bench.count("SELECT COUNT(*) FROM events").await;
        bench.archive.close().await;
        // Rows that lie, of which the packs know nothing.
        db.execute("UPDATE studies SET patient_id = 'SOMEBODY ELSE', instance_count = 99", params![]).await.unwrap();
        db.execute("DELETE FROM duplicates", params![]).await.unwrap();

        let owner = mingying_archive::Settings::new(org()).owner;
        let done = rebuild(&db, &blobs_on(&disk), &bench.ctx, &[org()], &owner).await.unwrap();
        assert_eq!((done.records > 12, done.skipped), (true, 0));
        assert_eq!(bench.count("SELECT COUNT(*) FROM events").await, events, "nothing is told again");
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        assert_eq!(bench.archive.replayed().records, 0);
        assert_eq!(everything(&bench).await, before);
        assert!(bench.archive.verify().await.unwrap().intact());
        // What comes afterwards is told of, with numbers that were never used before.
        bench.send(&slice(30, 1, 1)).await.unwrap();
        bench.archive.flush().await.unwrap();
        assert_eq!(bench.count("SELECT COUNT(*) FROM events WHERE topic = 'instances.stored' AND subject_id = '1.2.3.30'").await, 1);
    }

    async fn a_rebuild_into_a_lost_database_gives_its_images_to_the_new_organization(db: Db) {
        let disk = SimDisk::new();
        let filled = mingying_testkit::sqlite().await;
        let bench = open_on(filled.db.clone(), blobs_on(&disk)).await.unwrap();
        send_mixed(&bench).await;
        let before = bench.archive.stats().await.unwrap();
        bench.archive.close().await;

        let home = mingying_kernel::OrgId::new();
        let owner = mingying_archive::Settings::new(home).owner;
        rebuild(&db, &blobs_on(&disk), &bench.ctx, &[home], &owner).await.unwrap();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        let studies = bench.archive.find_studies(&bench.read(), &Query::all(Level::Study).limit(100)).await.unwrap();
        assert_eq!(studies.items.len() as i64, before.studies);
        assert!(studies.items.iter().all(|study| study.org_id == home));
        assert_eq!(bench.archive.stats().await.unwrap().instances, before.instances);
        // This database has never heard of them: it is told.
        assert_eq!(bench.count("SELECT COUNT(*) FROM events WHERE topic = 'study.created'").await, before.studies);
        assert_eq!(bench.count("SELECT COUNT(*) FROM studies WHERE announced <> instance_count").await, 0);
    }
}
