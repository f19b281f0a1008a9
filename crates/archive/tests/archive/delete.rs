//! Deletion, its reversal, and a database that fails behind the packs.

use crate::crash::{blobs_on, send_mixed};
use crate::objects::*;
use crate::rebuild::everything;
use mingying_archive::{
    ArchiveError, DeletionFilter, DeletionState, Evidence, Reason, Settings, Target, Unknown, rebuild,
};
use mingying_blob::sim::SimDisk;
use mingying_db::{Db, params};
use mingying_kernel::{Coded as _, ErrorKind};
use mingying_testkit::{clock, on_both};
use std::sync::Arc;
use std::time::Duration;

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

async fn rebuilt(db: &Db, disk: &SimDisk, bench: Bench) -> Bench {
    bench.archive.close().await;
    let owner = Settings::new(org()).owner;
    rebuild(db, &blobs_on(disk), &bench.ctx, &[org()], &owner).await.unwrap();
    open_on(db.clone(), blobs_on(disk)).await.unwrap()
}

/// A signed report rests on this study and on no other.
#[derive(Debug)]
struct Reported(&'static str);

#[async_trait::async_trait]
impl Evidence for Reported {
    async fn is_reported(&self, study_uid: &str) -> Result<bool, Unknown> {
        Ok(study_uid == self.0)
    }
}

on_both! {
    async fn what_the_record_rests_on_is_kept_as_long_as_the_law_says(db: Db) {
        let (clock, mut settings) = (clock(), Settings::new(org()));
        settings.retention.years = 15;
        settings.retention.evidence = Some(Arc::new(Reported("1.2.3.1")));
        let bench = open_with(db, blobs_on(&SimDisk::new()), clock.clone(), settings).await.unwrap();
        for study in [1, 2] {
            bench.send(&slice(study, 1, 1)).await.unwrap();
        }
        let delete = async |uid: &str, reason| bench.archive.delete(&bench.delete(), &Target::study(uid), reason, "").await;
        let refused = delete("1.2.3.1", Reason::Quality).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "archive.reported"));
        let part = Target::study("1.2.3.1").series("1.2.3.1.1").instance("1.2.3.1.1.1");
        assert!(bench.archive.delete(&bench.delete(), &part, Reason::Quality, "").await.is_err(), "nor a part of it");
        // Nobody may say that its time is over while it is not, reported or not.
        for uid in ["1.2.3.1", "1.2.3.2"] {
            let early = delete(uid, Reason::RetentionExpired).await.unwrap_err();
            assert_eq!((early.code(), early.params().len()), ("archive.retained", 1), "{uid}");
        }
        delete("1.2.3.2", Reason::Quality).await.unwrap();
        let years = |n: u64| Duration::from_hours(n * 24 * 366);
        clock.advance(years(16));
        assert!(delete("1.2.3.1", Reason::PatientSafety).await.is_err(), "it is still what the report rests on");
        delete("1.2.3.1", Reason::RetentionExpired).await.unwrap();
    }

    async fn deletions_are_found_by_state_patient_and_accession(db: Db) {
        let bench = open_on(db, blobs_on(&SimDisk::new())).await.unwrap();
        send_mixed(&bench).await;
        for uid in ["1.2.3.1", "1.2.3.2"] {
            bench.archive.delete(&bench.delete(), &Target::study(uid), Reason::Quality, "").await.unwrap();
        }
        let found = async |state, text: &str| {
            let filter = DeletionFilter { state, text: text.to_owned() };
            let found = bench.archive.deletions(&bench.delete(), &filter, 10, None).await.unwrap();
            found.into_iter().map(|deletion| deletion.study_uid).collect::<Vec<_>>()
        };
        assert_eq!(found(None, "").await, ["1.2.3.2", "1.2.3.1"], "newest first");
        let first = &bench.archive.deletions(&bench.delete(), &DeletionFilter::default(), 10, None).await.unwrap()[1];
        assert_eq!(found(None, "ACC1").await, ["1.2.3.1"]);
        assert_eq!(found(None, "1.2.3.2").await, ["1.2.3.2"]);
        assert!(found(None, &first.patient_id).await.contains(&first.study_uid));
        assert!(found(None, "%").await.is_empty() && found(Some(DeletionState::Purged), "").await.is_empty());
        bench.archive.restore_deleted(&bench.delete(), first.id).await.unwrap();
        assert_eq!(found(Some(DeletionState::Restored), "").await, ["1.2.3.1"]);
        assert_eq!(found(Some(DeletionState::Deleted), "").await, ["1.2.3.2"]);
    }

    async fn a_deleted_study_is_gone_from_every_answer_and_comes_back_whole(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        send_mixed(&bench).await;
        let before = everything(&bench).await;
        let uid = "1.2.3.1";
        let (one, ..) = (bench.archive.instances_of(&bench.read(), uid, None, None).await.unwrap().remove(0), ());
        for _ in 0..3 {
            // Rows that are read again and again are kept in memory for a moment.
            bench.archive.instance_of(&bench.read(), uid, &one.series_uid, &one.sop_uid).await.unwrap();
        }
        let size = bench.archive.study(&bench.read(), uid).await.unwrap().size;

        let short = bench.archive.delete(&bench.delete(), &Target::study(uid), Reason::Other, " ").await;
        assert_eq!(short.unwrap_err().kind(), ErrorKind::Invalid, "another reason needs a note");
        let gone = bench.archive.delete(&bench.delete(), &Target::study(uid), Reason::PatientSafety, "wrong patient").await.unwrap();
        assert_eq!((gone.state, gone.instances, gone.size, &*gone.accession), (DeletionState::Deleted, 4, size, "ACC1"));

        assert!(matches!(bench.archive.study(&bench.read(), uid).await, Err(ArchiveError::NotFound)));
        assert!(bench.archive.instance_of(&bench.read(), uid, &one.series_uid, &one.sop_uid).await.is_err());
        assert!(everything(&bench).await.iter().all(|row| !row.contains("\"1.2.3.1\"")), "at every level");
        assert_eq!(bench.count("SELECT COUNT(*) FROM study_names n LEFT JOIN studies s ON s.key = n.study_key WHERE s.key IS NULL").await, 0);
        let again = bench.archive.delete(&bench.delete(), &Target::study(uid), Reason::Quality, "").await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
        let told = "SELECT COUNT(*) FROM events WHERE topic = 'instances.deleted' AND subject_id = '1.2.3.1'";
        assert_eq!(bench.count(told).await, 1);
        assert_eq!(bench.count("SELECT COUNT(*) FROM audit WHERE action = 'study.delete' AND detail = 'instances.deleted'").await, 1);

        let without = everything(&bench).await;
        let bench = rebuilt(&db, &disk, bench).await;
        assert_eq!(everything(&bench).await, without, "what was deleted does not come back");
        assert_eq!(bench.count(told).await, 1);
        assert!(bench.archive.verify().await.unwrap().intact());

        let listed = bench.archive.deletions(&bench.delete(), &DeletionFilter::default(), 10, None).await.unwrap();
        assert_eq!((listed.len(), &*listed[0].note, listed[0].reason), (1, "wrong patient", Reason::PatientSafety));
        assert_eq!(listed[0].actor_id, gone.actor_id, "who did it is in the log");
        let new = "SELECT COUNT(*) FROM events WHERE topic IN ('study.created', 'instances.stored')";
        let told_as_new = bench.count(new).await;
        let back = bench.archive.restore_deleted(&bench.delete(), listed[0].id).await.unwrap();
        assert_eq!(back.state, DeletionState::Restored);
        bench.archive.flush().await.unwrap();
        assert_eq!(bench.count(new).await, told_as_new, "what comes back is not new");
        assert_eq!(bench.count("SELECT COUNT(*) FROM events WHERE topic = 'instances.restored'").await, 1);
        assert_eq!(bench.count("SELECT COUNT(*) FROM studies WHERE announced <> instance_count").await, 0);
        assert_eq!(sorted(everything(&bench).await), sorted(before));
        assert!(bench.archive.restore_deleted(&bench.delete(), listed[0].id).await.is_err(), "once");
        let restored = everything(&bench).await;
        let bench = rebuilt(&db, &disk, bench).await;
        assert_eq!(everything(&bench).await, restored);
        let verified = bench.archive.verify().await.unwrap();
        assert_eq!((verified.intact(), verified.orphans), (true, 0));
        assert_eq!(bench.count("SELECT COUNT(*) FROM deleted_objects").await, 0);
    }

    async fn figures_follow_when_a_part_is_deleted(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        for (e, i) in [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)] {
            bench.send(&slice(1, e, i)).await.unwrap();
        }
        let study = bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap();
        assert_eq!((study.series, study.instances, &*study.modalities.join(",")), (2, 5, "CT,SR"));
        let target = Target::study("1.2.3.1").series("1.2.3.1.1").instance("1.2.3.1.1.2");
        bench.archive.delete(&bench.delete(), &target, Reason::Quality, "").await.unwrap();
        let study = bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap();
        assert_eq!((study.series, study.instances), (2, 4));
        let all: i64 = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap().iter().map(|i| i.size).sum();
        assert_eq!(study.size, all);
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1").series("1.2.3.1.2"), Reason::Quality, "").await.unwrap();
        let study = bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap();
        assert_eq!((study.series, study.instances, &*study.modalities.join(",")), (1, 1, "CT"));
        let here = everything(&bench).await;
        let bench = rebuilt(&db, &disk, bench).await;
        assert_eq!(everything(&bench).await, here);
        // Sent again it is new, and stays when the old one is brought back: first come since, first served.
        let mut other = slice(1, 1, 2);
        put(&mut other.object, dicom_dictionary_std::tags::PIXEL_DATA, dicom_core::VR::OW, pixels(900, 64));
        assert!(!bench.send(&other).await.unwrap().conflicting);
        let listed = bench.archive.deletions(&bench.delete(), &DeletionFilter::default(), 10, None).await.unwrap();
        bench.archive.restore_deleted(&bench.delete(), listed[1].id).await.unwrap();
        let served = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, Some("1.2.3.1.1.2")).await.unwrap();
        assert_eq!(bench.archive.read(&served[0], served[0].head_len as u64, u64::MAX).await.unwrap(), other.bytes(EXPLICIT));
        assert_eq!(bench.archive.stats().await.unwrap().duplicates, 1);
    }

    async fn an_object_held_back_because_of_another_study_is_released_when_that_is_deleted(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        let first = slice(1, 1, 1);
        bench.send(&first).await.unwrap();
        let mut moved = slice(2, 1, 1);
        put(&mut moved.object, dicom_dictionary_std::tags::SOP_INSTANCE_UID, dicom_core::VR::UI, &*first.sop);
        moved.sop = first.sop.clone();
        assert!(bench.send(&moved).await.is_err());
        let held = bench.archive.quarantine(&bench.manage(), 10, None).await.unwrap();
        assert!(bench.archive.retry_quarantined(&bench.manage(), held[0].id).await.is_err());
        bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::IncorrectWorklistEntry, "").await.unwrap();
        let released = bench.archive.retry_quarantined(&bench.manage(), held[0].id).await.unwrap();
        assert_eq!(released.study_uid, "1.2.3.2");
        let here = everything(&bench).await;
        let bench = rebuilt(&db, &disk, bench).await;
        assert_eq!(everything(&bench).await, here);
        assert_eq!(bench.archive.stats().await.unwrap().quarantined, 0);
    }

    async fn what_the_database_does_not_take_is_owed_and_nothing_overtakes_it(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        bench.send(&slice(1, 1, 1)).await.unwrap();
        let away = "ALTER TABLE pack_checkpoints RENAME TO away";
        let back = "ALTER TABLE away RENAME TO pack_checkpoints";
        db.execute(away, params![]).await.unwrap();
        let two = slice(1, 1, 2);
        assert_eq!(bench.send(&two).await.unwrap_err().kind(), ErrorKind::Unavailable, "not acknowledged");
        let written: u64 = bench.archive.blobs().packs().iter().map(|pack| pack.len).sum();
        assert_eq!(bench.send(&slice(1, 1, 3)).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let deleted = bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await;
        assert_eq!(deleted.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(bench.archive.blobs().packs().iter().map(|pack| pack.len).sum::<u64>(), written, "nothing is written");
        db.execute(back, params![]).await.unwrap();
        bench.send(&slice(1, 1, 4)).await.unwrap();
        bench.archive.flush().await.unwrap();
        let numbers = |bench: &Bench| {
            let (archive, read) = (bench.archive.clone(), bench.read());
            async move {
                let refs = archive.instances_of(&read, "1.2.3.1", None, None).await.unwrap();
                refs.iter().map(|i| i.number.unwrap()).collect::<Vec<_>>()
            }
        };
        assert_eq!(numbers(&bench).await, [1, 2, 4]);
        assert!(bench.send(&two).await.unwrap().duplicate, "its sender tries again");
        assert_eq!(bench.count("SELECT COUNT(*) FROM studies WHERE announced <> instance_count").await, 0);

        // The process ends before the database is back.
        db.execute(away, params![]).await.unwrap();
        assert!(bench.send(&slice(1, 1, 5)).await.is_err());
        bench.archive.close().await;
        db.execute(back, params![]).await.unwrap();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        assert_eq!(numbers(&bench).await, [1, 2, 4, 5]);
        let here = everything(&bench).await;
        let bench = rebuilt(&db, &disk, bench).await;
        assert_eq!(everything(&bench).await, here);
        assert_eq!(bench.archive.verify().await.unwrap().orphans, 0);
    }
}

on_both! {
    async fn a_deletion_that_the_database_cannot_take_now_is_owed(db: Db) {
        let disk = SimDisk::new();
        let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
        bench.send(&slice(1, 1, 1)).await.unwrap();
        bench.send(&slice(2, 1, 1)).await.unwrap();
        // What is wrong here lies in the database, not in the record.
        db.execute("ALTER TABLE deletions RENAME TO away", params![]).await.unwrap();
        let refused = bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
        db.execute("ALTER TABLE away RENAME TO deletions", params![]).await.unwrap();
        bench.send(&slice(2, 1, 2)).await.unwrap();
        assert!(matches!(bench.archive.study(&bench.read(), "1.2.3.1").await, Err(ArchiveError::NotFound)));
        let here = everything(&bench).await;
        let bench = rebuilt(&db, &disk, bench).await;
        assert_eq!(everything(&bench).await, here, "index and log agree");
    }
}

#[tokio::test]
async fn a_tombstone_whose_rows_a_power_cut_took_is_replayed_with_its_author() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let bench = open_on(test.db.clone(), blobs_on(&disk)).await.unwrap();
    for i in 1..=3 {
        bench.send(&slice(1, 1, i)).await.unwrap();
    }
    let kept = test.dir.path().join("kept.db");
    test.db.copy_sqlite_to(&kept).await.unwrap();
    let gone = bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await.unwrap();
    bench.send(&slice(1, 1, 9)).await.unwrap();
    let here = everything(&bench).await;
    bench.archive.close().await;
    let db = Db::open_sqlite(&kept).await.unwrap();
    let bench = open_on(db.clone(), blobs_on(&disk)).await.unwrap();
    assert_eq!(everything(&bench).await, here, "what came after the tombstone stays");
    let row = db.query_one("SELECT actor_id FROM audit WHERE action = 'study.delete'", params![]).await.unwrap();
    assert_eq!(row.get::<String>("actor_id").unwrap(), gone.actor_id);
    bench.archive.close().await;
    let bench = open_on(db, blobs_on(&disk)).await.unwrap();
    assert_eq!(bench.archive.replayed().records, 0);
    assert_eq!(everything(&bench).await, here);
}
