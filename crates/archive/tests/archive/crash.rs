//! Power cuts, replays and rot.

use crate::objects::*;
use mingying_archive::{Attributes, Level, Query};
use mingying_blob::sim::SimDisk;
use mingying_blob::{Blobs, Settings};
use mingying_db::Db;
use mingying_testkit::on_both;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub fn blobs_on(disk: &SimDisk) -> Blobs {
    let settings = Settings { pack_size: 6000, ..stored() };
    Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings).unwrap()
}

/// Everything a client can see, without keys and places.
pub async fn answers(bench: &Bench) -> Vec<String> {
    let mut all = Vec::new();
    let query = |level| Query::all(level).limit(100_000);
    for row in bench.archive.find_instances(&bench.read(), &query(Level::Instance)).await.unwrap().items {
        all.push(format!("{:?} {} {}", row.attributes(), row.instance.sha256, row.instance.received_at.as_micros()));
    }
    for row in bench.archive.find_studies(&bench.read(), &query(Level::Study)).await.unwrap().items {
        all.push(format!("{:?} {} {}", row.attributes(), row.size, row.source));
    }
    for held in bench.archive.quarantine(&bench.manage(), 1000, None).await.unwrap() {
        all.push(format!("{} {} {}", held.reason, held.size, held.sop_uid));
    }
    let stats = bench.archive.stats().await.unwrap();
    all.push(format!("{} {} {} {}", stats.studies, stats.instances, stats.duplicates, stats.quarantined));
    all.sort();
    all
}

/// Sends a bit of everything: new, repeated, conflicting, truncated.
pub async fn send_mixed(bench: &Bench) {
    for i in 1..=12 {
        let one = slice(1 + i % 3, 1 + i % 2, i);
        bench.send(&one).await.unwrap();
        if i % 4 == 0 {
            bench.send(&one).await.unwrap();
            let mut other = slice(1 + i % 3, 1 + i % 2, i);
            put(&mut other.object, dicom_dictionary_std::tags::PIXEL_DATA, dicom_core::VR::OW, pixels(i + 500, 64));
            assert!(bench.send(&other).await.unwrap().conflicting);
            let bytes = one.bytes(EXPLICIT);
            assert!(bench.send_bytes(one.meta(EXPLICIT), &bytes[..bytes.len() - 3]).await.is_err());
        }
    }
    let held = bench.archive.quarantine(&bench.manage(), 10, None).await.unwrap();
    bench.archive.delete_quarantined(&bench.manage(), held[0].id).await.unwrap();
    bench.send(&slice(9, 1, 1)).await.unwrap();
    bench.archive.flush().await.unwrap();
}

/// What a crash of the database takes back when nothing of the index was synced yet.
async fn lose_the_index(db: &Db) {
    let tables = [
        "deleted_objects",
        "deletions",
        "frame_indexes",
        "siblings",
        "duplicates",
        "quarantine",
        "repeated_records",
        "instances",
        "series",
        "study_names",
        "studies",
        "pack_checkpoints",
    ];
    for table in tables {
        let sql = format!("DELETE FROM {table}");
        db.execute(mingying_db::AssertSqlSafe(sql), mingying_db::params![]).await.unwrap();
    }
    db.execute("UPDATE archive_keys SET next = 1", mingying_db::params![]).await.unwrap();
}

on_both! {
    /// The database crashes and comes back while this process lives on: its commits are not synced.
    async fn commits_that_the_database_lost_come_back_with_the_next_image(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        send_mixed(&bench).await;
        let before = answers(&bench).await;
        lose_the_index(&db).await;
        assert_ne!(answers(&bench).await, before);
        bench.send(&slice(9, 1, 1)).await.unwrap();
        assert_eq!(answers(&bench).await, before);
        // And again.
        lose_the_index(&db).await;
        let held = bench.archive.quarantine(&bench.manage(), 10, None).await.unwrap();
        assert!(held.is_empty());
        bench.send(&slice(10, 1, 1)).await.unwrap();
        bench.send(&slice(10, 1, 2)).await.unwrap();
        bench.archive.close().await;
        // Nothing more is found at the next start.
        let again = open_on(db, blobs_on(&disk)).await.unwrap();
        assert_eq!(again.archive.replayed().records, 0);
        assert!(again.archive.verify().await.unwrap().intact());
        assert_eq!(answers(&again).await.len(), before.len() + 3);
    }
}

on_both_and_encrypted! {
    async fn a_replay_into_an_empty_database_gives_the_same_answers(db: Db) {
        let disk = SimDisk::new();
        let filled = mingying_testkit::sqlite().await;
        let bench = open_on(filled.db.clone(), blobs_on(&disk)).await.unwrap();
        send_mixed(&bench).await;
        let before = answers(&bench).await;
        bench.archive.close().await;

        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        assert!(bench.archive.replayed().records > 12);
        assert_eq!(answers(&bench).await, before);
        let verified = bench.archive.verify().await.unwrap();
        assert_eq!((verified.intact(), verified.orphans), (true, 0));
        assert_eq!(bench.count("SELECT COUNT(*) FROM studies WHERE announced <> instance_count").await, 0);
        bench.archive.close().await;

        // Opened once more, nothing is left to replay and nothing is counted twice.
        let bench = open_on(db, blobs_on(&disk)).await.unwrap();
        assert_eq!(bench.archive.replayed().records, 0);
        assert_eq!(answers(&bench).await, before);
        bench.send(&slice(20, 1, 1)).await.unwrap();
    }
}

#[tokio::test]
async fn rot_is_found() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let bench = open_on(test.db.clone(), blobs_on(&disk)).await.unwrap();
    for i in 1..=3 {
        bench.send(&slice(1, 1, i)).await.unwrap();
    }
    let refs = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
    let at = refs[1].location;
    disk.flip_bit(&bench.archive.blobs().pack_path(at.pack), (at.at + at.len - 3) as usize);
    let verified = bench.archive.verify().await.unwrap();
    assert_eq!((verified.corrupt, verified.damaged, verified.checked), (vec![refs[1].sop_uid.clone()], 1, 3));
    let path = bench.archive.blobs().pack_path(refs[2].location.pack);
    test.db.execute("UPDATE instances SET pack = 77 WHERE number = 3", mingying_db::params![]).await.unwrap();
    assert!(path.to_str().is_some());
    let verified = bench.archive.verify().await.unwrap();
    assert_eq!((verified.missing, verified.orphans), (vec![refs[2].sop_uid.clone()], 1));
}

/// The power goes at each step of ingest in turn. The disk drops or tears what was not synced, and the database comes
/// back as it was at some earlier commit, since its commits are not synced. Every acknowledged image must be there,
/// once, byte for byte, and no row without its blob. A fixed-seed slice of the crash campaign.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_image_is_lost_by_a_power_cut() {
    let template = mingying_testkit::sqlite().await;
    let empty = template.dir.path().join("empty.db");
    template.db.copy_sqlite_to(&empty).await.unwrap();
    let mut acknowledged_in_all = 0;
    let mut replayed_in_all = 0;
    for seed in 0..300_u64 {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new();
        let first = dir.path().join("first.db");
        std::fs::copy(&empty, &first).unwrap();
        let db = Db::open_sqlite(&first).await.unwrap();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        disk.cut_power_at(disk.steps() + seed % 29);
        let snapshot_after = seed % 7;
        let kept_db = dir.path().join("kept.db");
        let mut acknowledged = BTreeMap::new();
        let mut number = 0;
        while !disk.is_dead() {
            if number == snapshot_after {
                db.copy_sqlite_to(&kept_db).await.unwrap();
            }
            number += 1;
            let one = slice(1 + number as u32 % 2, 1, number as u32);
            // Every few images come two at once, so that a batch has more than one.
            let two = slice(3, 1, number as u32);
            let sent = if number % 3 == 0 {
                crate::ingest::futures_all([bench.send(&one), bench.send(&two)].into_iter()).await
            } else {
                vec![bench.send(&one).await]
            };
            for (result, sent) in sent.into_iter().zip([&one, &two]) {
                if result.is_ok() {
                    acknowledged.insert(sent.sop.clone(), (sent.study.clone(), sent.bytes(EXPLICIT)));
                }
            }
        }
        bench.archive.close().await;
        db.close().await;
        disk.power_cut(seed);
        if !kept_db.exists() {
            std::fs::copy(&empty, &kept_db).unwrap();
        }

        let db = Db::open_sqlite(&kept_db).await.unwrap();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        acknowledged_in_all += acknowledged.len();
        replayed_in_all += bench.archive.replayed().records;
        for (sop, (study, bytes)) in &acknowledged {
            let refs = bench.archive.instances_of(&bench.read(), study, None, Some(sop)).await.unwrap();
            let [found] = &refs[..] else { panic!("seed {seed}: {sop} is there {} times", refs.len()) };
            let got = bench.archive.read(found, found.head_len as u64, u64::MAX).await.unwrap();
            assert!(got == *bytes, "seed {seed}: {sop}");
        }
        let verified = bench.archive.verify().await.unwrap();
        assert!(verified.intact(), "seed {seed}: {verified:?}");
        let rows = bench.count("SELECT COUNT(*) FROM instances").await;
        let counted = bench.archive.stats().await.unwrap().instances;
        assert_eq!(rows, counted, "seed {seed}: counts follow rows");
        // At most the batch in flight is there besides what was acknowledged.
        assert!(rows as usize <= acknowledged.len() + 2, "seed {seed}: {rows}");
        // And the archive works on.
        bench.send(&slice(50, 1, 1)).await.unwrap();
        bench.archive.close().await;
        db.close().await;
    }
    assert!(acknowledged_in_all > 1000, "{acknowledged_in_all}");
    assert!(replayed_in_all > 300, "{replayed_in_all}");
}

/// A batch that the power cut tore in its middle leaves bytes between records, which nobody was told of.
#[tokio::test]
async fn what_a_power_cut_tore_is_no_damage() {
    let mut gaps = 0;
    for seed in 0..40 {
        let test = mingying_testkit::sqlite().await;
        let disk = SimDisk::new();
        let bench = open_on(test.db.clone(), blobs_on(&disk)).await.unwrap();
        bench.send(&slice(1, 1, 1)).await.unwrap();
        disk.cut_power_at(disk.steps() + 4);
        let many: Vec<Slice> = (2..10).map(|i| slice(1, 1, i)).collect();
        crate::ingest::futures_all(many.iter().map(|one| bench.send(one))).await;
        bench.archive.close().await;
        disk.power_cut(seed);
        let bench = open_on(test.db.clone(), blobs_on(&disk)).await.unwrap();
        for pack in bench.archive.blobs().packs() {
            gaps +=
                bench.archive.blobs().scan(pack.id, 0, 1000, mingying_blob::Depth::Whole).await.unwrap().damaged.len();
        }
        assert!(bench.archive.verify().await.unwrap().intact());
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 0, "seed {seed}");
    }
    assert!(gaps > 3, "some seeds tear in the middle: {gaps}");
}
