use crate::objects::*;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use mingying_archive::{ArchiveError, Origin};
use mingying_blob::sim::SimDisk;
use mingying_blob::{BlobError, Blobs};
use mingying_db::params;
use mingying_events::payload::archive::{DuplicateFound, InstancesStored, ObjectQuarantined, StudyCreated};
use mingying_kernel::{Coded, ErrorKind};
use mingying_testkit::on_both;
use std::path::Path;
use std::sync::Arc;

fn reason(result: Result<mingying_archive::Ingested, ArchiveError>) -> &'static str {
    match result {
        Err(ArchiveError::Quarantined { reason, .. }) => reason,
        other => panic!("not quarantined: {other:?}"),
    }
}

on_both! {
    async fn what_is_sent_is_indexed_and_read_back(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        for (n, syntax) in [EXPLICIT, IMPLICIT, BIG, DEFLATED].into_iter().enumerate() {
            let one = slice(1, 1, n as u32 + 1);
            let stored = bench.send_as(&one, syntax).await.unwrap();
            assert_eq!((&stored.study_uid, &stored.series_uid, &stored.sop_uid), (&one.study, &one.series, &one.sop));
            assert!(!stored.duplicate && !stored.conflicting);
            let refs = bench.archive.instances_of(&bench.read(), &one.study, None, Some(&one.sop)).await.unwrap();
            let [found] = &refs[..] else { panic!("{refs:?}") };
            assert_eq!((found.rows, found.columns, found.bits_allocated, found.frames), (Some(8), Some(8), Some(16), 1), "{syntax}");
            assert_eq!(found.number, Some(n as i64 + 1));
            let sent = one.bytes(syntax);
            let got = bench.archive.read(found, found.head_len as u64, u64::MAX).await.unwrap();
            assert!(got == sent, "{syntax}: the data set is kept as sent");
            let whole = bench.archive.read(found, 0, found.size as u64).await.unwrap();
            assert_eq!(&whole[128..132], b"DICM");
            assert_eq!(bench.archive.frame_bytes(found, 0).await.unwrap().len(), 128);
            let header = bench.archive.header(found).await.unwrap();
            assert_eq!(header.element(tags::PATIENT_ID).unwrap().to_str().unwrap(), "P1");
            assert!(header.get(tags::PIXEL_DATA).is_none());
        }
        let study = bench.archive.study(&bench.read(), "1.2.3.1").await.unwrap();
        assert_eq!((study.series, study.instances), (1, 4));
        assert_eq!(study.patient_name.display(), "张三");
        assert_eq!(study.description, "胸部平扫");
        assert_eq!(study.modalities, ["CT"]);
        assert_eq!(study.source, "AE CT01");
        let series = bench.archive.series_of(&bench.read(), "1.2.3.1").await.unwrap();
        assert_eq!((&*series[0].scheduled_step_id, &*series[0].requested_procedure_id, series[0].instances), ("SPS1", "RP1", 4));
        assert!(matches!(bench.archive.study(&bench.read(), "9").await, Err(ArchiveError::NotFound)));
    }

    async fn the_same_again_is_stored_once(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let one = slice(1, 1, 1);
        let first = bench.send(&one).await.unwrap();
        let bytes = bench.archive.stats().await.unwrap().pack_bytes;
        let again = bench.send(&one).await.unwrap();
        assert!(again.duplicate && !again.conflicting);
        assert_eq!(again.instance_key, first.instance_key);
        let stats = bench.archive.stats().await.unwrap();
        assert_eq!((stats.instances, stats.duplicates, stats.pack_bytes), (1, 0, bytes));
        // The same data set as a file, with another meta information, is the same object.
        let mut file = mingying_dicom::part10::write_header(CT, &one.sop, EXPLICIT, Some("OTHER"));
        file.extend(one.bytes(EXPLICIT));
        let mut receiving = bench.archive.receive_part10(Origin::new("STOW"));
        for piece in file.chunks(33) {
            receiving.write(piece).await.unwrap();
        }
        assert!(receiving.finish(&bench.store()).await.unwrap().duplicate);
    }

    async fn twins_at_the_same_moment_are_stored_once(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let one = slice(1, 1, 1);
        let all = futures_all((0..8).map(|_| bench.send(&one))).await;
        assert_eq!(all.iter().filter(|r| !r.as_ref().unwrap().duplicate).count(), 1);
        assert_eq!(bench.archive.stats().await.unwrap().instances, 1);
        let verified = bench.archive.verify().await.unwrap();
        assert_eq!((verified.checked, verified.orphans), (1, 0), "repeated records are known");
    }

    async fn other_content_is_kept_and_flagged(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let one = slice(1, 1, 1);
        bench.send(&one).await.unwrap();
        let mut other = slice(1, 1, 1);
        put(&mut other.object, tags::PIXEL_DATA, VR::OW, pixels(999, 64));
        for _ in 0..2 {
            let stored = bench.send(&other).await.unwrap();
            assert!(stored.conflicting && !stored.duplicate);
        }
        let written = bench.archive.blobs().scan(bench.archive.blobs().packs()[0].id, 0, 100, mingying_blob::Depth::Whole).await.unwrap();
        assert_eq!(written.records.len(), 2, "either content is written once");
        let stats = bench.archive.stats().await.unwrap();
        assert_eq!((stats.instances, stats.duplicates), (1, 1));
        let refs = bench.archive.instances_of(&bench.read(), &one.study, None, None).await.unwrap();
        let served = bench.archive.read(&refs[0], refs[0].head_len as u64, u64::MAX).await.unwrap();
        assert!(served == one.bytes(EXPLICIT), "the first one stays the one that is served");
        bench.archive.flush().await.unwrap();
        let events = mingying_events::read_subject(&bench.db, "study", &one.study).await.unwrap();
        assert_eq!(events.iter().filter_map(|e| e.payload::<DuplicateFound>()).count(), 1);
        assert!(bench.archive.verify().await.unwrap().intact());
    }

    async fn bad_objects_are_quarantined_with_reason(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let one = slice(1, 1, 1);
        let bytes = one.bytes(EXPLICIT);
        let meta = || one.meta(EXPLICIT);

        assert_eq!(reason(bench.send_bytes(meta(), &bytes[..bytes.len() - 5]).await), "truncated");
        assert_eq!(reason(bench.send_bytes(meta(), &bytes[..301]).await), "truncated");
        let mut other = meta();
        "1.2.3.4.5".clone_into(&mut other.sop_instance);
        assert_eq!(reason(bench.send_bytes(other, &bytes).await), "uid_mismatch");
        let mut no_study = slice(1, 1, 1);
        no_study.object.remove_element(tags::STUDY_INSTANCE_UID);
        assert_eq!(reason(bench.send(&no_study).await), "missing_uid");
        assert_eq!(reason(bench.send_bytes(meta(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await), "unreadable");
        assert_eq!(reason(bench.send_bytes(meta(), &[]).await), "missing_uid");
        let mut file = bench.archive.receive_part10(Origin::new("STOW"));
        file.write(&[0x42; 4000]).await.unwrap();
        assert_eq!(reason(file.finish(&bench.store()).await), "not_dicom");
        let short = bench.archive.receive_part10(Origin::new("STOW"));
        assert_eq!(reason(short.finish(&bench.store()).await), "not_dicom");

        let stats = bench.archive.stats().await.unwrap();
        assert_eq!((stats.studies, stats.instances, stats.quarantined), (0, 0, 8));
        let held = bench.archive.quarantine(&bench.manage(), 100, None).await.unwrap();
        assert_eq!(held.len(), 8);
        assert!(held.windows(2).all(|w| w[0].id > w[1].id), "newest first");
        let next = bench.archive.quarantine(&bench.manage(), 100, Some(held[5].id)).await.unwrap();
        assert_eq!(next, held[6..]);
        let events = mingying_events::read_subject(&bench.db, "quarantine", &held[0].id.to_string()).await.unwrap();
        assert_eq!(events[0].payload::<ObjectQuarantined>().unwrap().reason, "not_dicom");
        let verified = bench.archive.verify().await.unwrap();
        assert_eq!((verified.checked, verified.orphans, verified.intact()), (8, 0, true));
    }

    async fn the_same_instance_in_another_study_is_quarantined(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let one = slice(1, 1, 1);
        bench.send(&one).await.unwrap();
        let mut moved = slice(2, 1, 1);
        put(&mut moved.object, tags::SOP_INSTANCE_UID, VR::UI, &*one.sop);
        moved.sop = one.sop.clone();
        assert_eq!(reason(bench.send(&moved).await), "other_study");
        assert_eq!(bench.archive.stats().await.unwrap().studies, 1);
        let held = bench.archive.quarantine(&bench.manage(), 10, None).await.unwrap();
        assert_eq!((&*held[0].study_uid, &held[0].sop_uid), ("1.2.3.2", &one.sop));
    }

    async fn quarantined_objects_are_retried_and_deleted(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db.clone(), dir.path()).await;
        let one = slice(1, 1, 1);
        let bytes = one.bytes(EXPLICIT);
        for n in [5, 6] {
            reason(bench.send_bytes(one.meta(EXPLICIT), &bytes[..bytes.len() - n]).await);
        }
        let held = bench.archive.quarantine(&bench.manage(), 10, None).await.unwrap();
        assert_eq!(reason(bench.archive.retry_quarantined(&bench.manage(), held[0].id).await), "truncated");
        // An object that an older version could not index: the row says so, the bytes are good.
        let good = bench.send(&slice(2, 1, 1)).await.unwrap();
        db.execute("UPDATE instances SET sop_uid = 'gone' WHERE key = $1", params![good.instance_key]).await.unwrap();
        db.execute(
            "INSERT INTO quarantine (key, org_id, reason, state, sop_uid, study_uid, sha256, pack, record_at, payload_at, \
             size, head_len, received_at, source) SELECT 900000, $1, 'index_failed', 'held', '', '', sha256, pack, \
             record_at, payload_at, size, head_len, received_at, source FROM instances WHERE key = $2",
            params![org(), good.instance_key],
        ).await.unwrap();
        let released = bench.archive.retry_quarantined(&bench.manage(), 900_000).await.unwrap();
        assert_eq!(released.study_uid, "1.2.3.2");
        bench.archive.delete_quarantined(&bench.manage(), held[1].id).await.unwrap();
        let gone = bench.archive.delete_quarantined(&bench.manage(), held[1].id).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        let left = bench.archive.quarantine(&bench.manage(), 10, None).await.unwrap();
        assert_eq!(left.iter().map(|q| q.id).collect::<Vec<_>>(), [held[0].id]);
    }

    async fn events_tell_of_studies_once_and_of_all_instances(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        for i in 1..=20 {
            bench.send(&slice(1, 1 + i % 2, i)).await.unwrap();
        }
        bench.archive.flush().await.unwrap();
        let events = mingying_events::read_subject(&bench.db, "study", "1.2.3.1").await.unwrap();
        let created: Vec<_> = events.iter().filter_map(|e| e.payload::<StudyCreated>()).collect();
        assert_eq!(created.len(), 1);
        assert_eq!((&*created[0].accession, &*created[0].patient_id), ("ACC1", "P1"));
        let stored: Vec<_> = events.iter().filter_map(|e| e.payload::<InstancesStored>()).collect();
        assert_eq!(stored.iter().map(|s| s.added).sum::<i64>(), 20);
        assert!(stored.len() < 20, "told together: {}", stored.len());
        assert_eq!(stored.last().unwrap().total, 20);
        assert_eq!(stored.iter().flat_map(|s| &s.series).map(|s| s.added).sum::<i64>(), 20);
        assert_eq!(bench.count("SELECT COUNT(*) FROM studies WHERE announced <> instance_count").await, 0);
        let audits = bench.count("SELECT COUNT(*) FROM audit WHERE action = 'study.store'").await;
        assert_eq!(audits, stored.len() as i64);
    }
}

/// Runs futures together and gives their results in order.
pub async fn futures_all<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_full_disk_is_told_and_forgotten_when_there_is_room() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/d"), stored()).unwrap();
    let bench = open_on(test.db.clone(), blobs).await.unwrap();
    bench.send(&slice(1, 1, 1)).await.unwrap();
    disk.set_capacity(Some(1500));
    let refused = bench.send(&slice(1, 1, 2)).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Blob(BlobError::StorageFull)), "{refused:?}");
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    disk.set_capacity(None);
    bench.send(&slice(1, 1, 2)).await.unwrap();
    assert_eq!(bench.archive.stats().await.unwrap().instances, 2);
    assert!(bench.archive.verify().await.unwrap().intact());
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_sync() {
    let test = mingying_testkit::sqlite().await;
    let disk = SimDisk::new();
    let blobs = Blobs::open_on(Arc::new(disk.clone()), Path::new("/d"), stored()).unwrap();
    let bench = open_on(test.db.clone(), blobs).await.unwrap();
    bench.send(&slice(1, 1, 1)).await.unwrap();
    disk.fail_next_syncs(u32::MAX);
    for i in 2..6 {
        assert!(bench.send(&slice(1, 1, i)).await.is_err(), "{i}");
    }
    assert_eq!(bench.archive.stats().await.unwrap().instances, 1);
    disk.fail_next_syncs(0);
    bench.send(&slice(1, 1, 9)).await.unwrap();
}

#[tokio::test]
async fn too_large_objects_and_a_closed_archive_refuse() {
    let test = mingying_testkit::sqlite().await;
    let blobs = Blobs::open(test.dir.path(), Default::default()).unwrap();
    let clock: mingying_kernel::SharedClock = mingying_testkit::clock();
    let settings = mingying_archive::Settings { max_object: 1000, ..mingying_archive::Settings::new(org()) };
    let archive = mingying_archive::Archive::open(test.db.clone(), blobs, clock, settings).await.unwrap();
    let mut receiving = archive.receive(Origin::aet("CT01"), slice(1, 1, 1).meta(EXPLICIT));
    receiving.write(&[0; 999]).await.unwrap();
    assert!(matches!(receiving.write(&[0; 2]).await, Err(ArchiveError::TooLarge)));
    archive.close().await;
    let ctx = mingying_testkit::ctx_as(mingying_kernel::Role::Machine, &(mingying_testkit::clock() as _));
    let receiving = archive.receive(Origin::aet("CT01"), slice(1, 1, 1).meta(EXPLICIT));
    assert!(matches!(receiving.finish(&ctx.permit().unwrap()).await, Err(ArchiveError::Closed)));
}
