//! The archive with its packs on a large disk and in an object store: in memory, and on a real S3 server.

use crate::crash::{answers, send_mixed};
use crate::objects::*;
use crate::rebuild::everything;
use mingying_archive::{
    ArchiveError, BackupError, Housekeeping, Keep, Reason, Settings, Target, Tiering, rebuild, restore, verify_backup,
};
use mingying_blob::simbucket::{Fault, SimBucket};
use mingying_blob::{BlobError, Blobs, Bucket, S3, Tier, Tiers};
use mingying_db::Db;
use mingying_kernel::{Coded as _, ErrorKind, ManualClock};
use mingying_testkit::s3::{Line, S3Server, Trouble};
use object_store::ObjectStoreExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);
/// For a server that is slow to answer on a busy machine.
const LONG: Duration = Duration::from_mins(1);

fn settings(replicas: Vec<std::path::PathBuf>) -> Settings {
    let house = Housekeeping { replicas, rate: 0, keep_deleted: DAY, live_share: 0.7, ..Housekeeping::default() };
    let tiering = Tiering { leave_fast: DAY * 10, leave_large: DAY * 20, rate: 0, ..Tiering::default() };
    Settings { house, tiering, ..Settings::new(org()) }
}

fn blob_settings(dir: &Path, objects: Option<&Bucket>) -> mingying_blob::Settings {
    let tiers = Tiers { large: Some(dir.join("large")), objects: objects.cloned() };
    mingying_blob::Settings { pack_size: 6000, reserve: 0, tiers, ..stored() }
}

fn blobs(dir: &Path, bucket: &Bucket) -> Blobs {
    Blobs::open(&dir.join("blobs"), blob_settings(dir, Some(bucket))).unwrap()
}

fn s3(endpoint: String, recall: &Path, patience: Duration) -> Bucket {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let s3 = S3 {
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        bucket: "packs".to_owned(),
        access_key: S3Server::ACCESS_KEY.to_owned(),
        secret_key: S3Server::SECRET_KEY.to_owned(),
        path_style: true,
        tls: Arc::new(tls),
    };
    Bucket {
        store: s3.client(patience).unwrap(),
        prefix: "hospital".to_owned(),
        patience,
        recall: recall.to_owned(),
        recall_size: 1 << 20,
        piece: 4096,
    }
}

async fn move_all(bench: &Bench, clock: &ManualClock, age: Duration) {
    clock.advance(age);
    while bench.archive.move_packs().await.unwrap().is_some() {}
}

async fn objects_in(bucket: &Bucket) -> usize {
    let list = bucket.store.list_with_delimiter(Some(&object_store::path::Path::from("hospital"))).await.unwrap();
    list.objects.iter().filter(|meta| meta.location.extension() == Some("pack")).count()
}

fn on_tier(bench: &Bench, tier: Tier) -> Vec<u64> {
    bench.archive.blobs().homes().iter().filter(|home| home.tier == tier).map(|home| home.id).collect()
}

/// Stored, moved, read, checked, deleted, compacted, backed up, restored, rebuilt.
async fn whole_life(db: Db, dir: &Path, bucket: &Bucket) {
    let clock = mingying_testkit::clock();
    let bench = open_with(db.clone(), blobs(dir, bucket), clock.clone(), settings(Vec::new())).await.unwrap();
    send_mixed(&bench).await;
    for i in 1..=20 {
        bench.send(&slice(40 + i % 2, 1, i)).await.unwrap();
    }
    let before = everything(&bench).await;
    let sealed = bench.archive.blobs().packs().len() - 1;
    assert!(sealed > 4);
    assert_eq!(bench.archive.move_packs().await.unwrap(), None, "nothing is due");

    move_all(&bench, &clock, DAY * 11).await;
    assert_eq!(on_tier(&bench, Tier::Large).len(), sealed);
    assert_eq!(everything(&bench).await, before);
    move_all(&bench, &clock, DAY * 10).await;
    assert_eq!((on_tier(&bench, Tier::Objects).len(), objects_in(bucket).await), (sealed, sealed));
    let stats = bench.archive.stats().await.unwrap();
    assert_eq!(stats.tiers.map(|tier| tier.packs), [1, 0, sealed as u64]);
    assert_eq!(stats.tiers.iter().map(|tier| tier.bytes).sum::<u64>(), stats.pack_bytes);
    assert_eq!(everything(&bench).await, before);
    assert!(bench.archive.stats().await.unwrap().recall.fetched > 0);
    let verified = bench.archive.verify().await.unwrap();
    assert!(verified.intact() && verified.orphans == 0, "{verified:?}");

    // All packs are in a backup; what was in it before they moved is not read again.
    let whole = dir.join("whole");
    bench.archive.backup(&whole, Keep::default()).await.unwrap();
    assert_eq!(bench.archive.backup(&whole, Keep::default()).await.unwrap().copied, 0);
    verify_backup(&whole, None).await.unwrap();
    let empty = mingying_testkit::sqlite().await;
    let there = dir.join("restored");
    let plain = mingying_blob::Settings { pack_size: 6000, ..stored() };
    restore(&whole, None, &empty.db, &there, plain.clone(), clock.clone(), Settings::new(org())).await.unwrap();
    let again = open_on(empty.db.clone(), Blobs::open(&there, plain.clone()).unwrap()).await.unwrap();
    assert_eq!(everything(&again).await, before);

    // Or only those that are near.
    let near = dir.join("near");
    let done = bench.archive.backup_near(&near, Keep::default()).await.unwrap();
    assert_eq!((done.manifest.elsewhere.len(), done.manifest.format), (sealed, 2));
    let packs = done.manifest.files.iter().filter(|file| file.path.starts_with("packs/")).count();
    assert_eq!(packs, 1);
    let again = bench.archive.backup_near(&whole, Keep::default()).await.unwrap();
    assert_eq!(again.manifest.elsewhere, [], "what it holds it keeps");
    let empty = mingying_testkit::sqlite().await;
    let lost = restore(&near, None, &empty.db, &dir.join("lost"), plain, clock.clone(), Settings::new(org())).await;
    assert!(matches!(lost, Err(BackupError::Blob(BlobError::Misplaced(_)))), "{lost:?}");
    let other = Bucket { recall: dir.join("recall2"), ..bucket.clone() };
    let found = blob_settings(&dir.join("found"), Some(&other));
    let there = dir.join("found/blobs");
    restore(&near, None, &empty.db, &there, found.clone(), clock.clone(), Settings::new(org())).await.unwrap();
    let again = open_on(empty.db.clone(), Blobs::open(&there, found).unwrap()).await.unwrap();
    assert_eq!(everything(&again).await, before);
    again.archive.close().await;

    // What is dead goes from the bucket.
    bench.archive.delete(&bench.delete(), &Target::study("1.2.3.40"), Reason::Quality, "").await.unwrap();
    bench.archive.delete(&bench.delete(), &Target::study("1.2.3.41"), Reason::Quality, "").await.unwrap();
    clock.advance(DAY * 2);
    let compacted = bench.archive.compact().await.unwrap();
    assert!(compacted.packs > 0, "{compacted:?}");
    assert_eq!(objects_in(bucket).await, on_tier(&bench, Tier::Objects).len());
    assert!(objects_in(bucket).await < sealed);
    let before = everything(&bench).await;
    bench.archive.close().await;

    let owner = Settings::new(org()).owner;
    let rebuilt = rebuild(&db, &blobs(dir, bucket), &bench.ctx, &[org()], &owner).await.unwrap();
    assert_eq!(rebuilt.skipped, 0);
    let bench = open_with(db.clone(), blobs(dir, bucket), clock.clone(), settings(Vec::new())).await.unwrap();
    assert_eq!(everything(&bench).await, before);

    // What was spoiled in the bucket, or is gone from it, is healed from a replica.
    let mut far = on_tier(&bench, Tier::Objects);
    let place = |pack: u64| object_store::path::Path::from(format!("hospital/{pack:016x}.pack"));
    let (gone, spoiled) = (far.pop().unwrap(), far.pop().unwrap());
    bench.archive.backup(&whole, Keep::default()).await.unwrap();
    let mut bytes = bucket.store.get(&place(spoiled)).await.unwrap().bytes().await.unwrap().to_vec();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    bucket.store.put(&place(spoiled), bytes.into()).await.unwrap();
    bucket.store.delete(&place(gone)).await.unwrap();
    bench.archive.close().await;
    std::fs::remove_dir_all(&bucket.recall).unwrap();
    let bench = open_with(db.clone(), blobs(dir, bucket), clock.clone(), settings(vec![whole])).await.unwrap();
    let found = bench.archive.verify().await.unwrap();
    assert!(found.intact() && found.healed > 0, "{found:?}");
    assert_eq!(everything(&bench).await, before);
}

on_both_and_encrypted! {
    async fn packs_in_an_object_store_change_nothing(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bucket = Bucket { patience: LONG, ..SimBucket::new().bucket(&dir.path().join("recall")) };
        whole_life(db, dir.path(), &bucket).await;
    }

    async fn packs_on_a_real_s3_server_change_nothing(db: Db) {
        let server = S3Server::start();
        let dir = tempfile::tempdir().unwrap();
        let bucket = s3(server.endpoint.clone(), &dir.path().join("recall"), LONG);
        whole_life(db, dir.path(), &bucket).await;
    }

    async fn a_bucket_out_of_reach_is_told_and_damages_nothing(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimBucket::new();
        let hasty = sim.bucket(&dir.path().join("recall"));
        let patient = Bucket { patience: LONG, ..hasty.clone() };
        let clock = mingying_testkit::clock();
        let open =
            |bucket: &Bucket| open_with(db.clone(), blobs(dir.path(), bucket), clock.clone(), settings(Vec::new()));
        let bench = open(&patient).await.unwrap();
        for i in 1..=12 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        move_all(&bench, &clock, DAY * 25).await;
        let far = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap().remove(0);
        let before = answers(&bench).await;
        bench.archive.close().await;
        sim.set(Fault::Fails);

        // It starts, stores, finds and serves what is near.
        let bench = open(&hasty).await.unwrap();
        bench.send(&slice(2, 1, 1)).await.unwrap();
        assert_eq!(answers(&bench).await.len(), before.len() + 2);
        for read in [bench.archive.read(&far, 0, 100).await.map(drop), bench.archive.header(&far).await.map(drop)] {
            let error = read.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "blob.unavailable"));
        }
        let verified = bench.archive.verify().await.unwrap();
        assert_eq!(verified.unreachable, on_tier(&bench, Tier::Objects));
        assert!(!verified.intact() && verified.missing.is_empty() && verified.damaged == 0, "{verified:?}");
        while let mingying_archive::Scrubbed::Bytes(_) = bench.archive.scrub().await.unwrap() {}
        assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
        assert!(bench.archive.backup(&dir.path().join("backup"), Keep::default()).await.is_err(), "a backup that is not whole is none");
        assert!(matches!(verify_backup(&dir.path().join("backup"), None).await, Err(BackupError::NotABackup)));
        sim.set(Fault::None);
        // It rests for a moment after a failure.
        while !bench.archive.verify().await.unwrap().intact() {}
    }
}

#[tokio::test]
async fn without_its_large_disk_an_archive_starts_and_stores() {
    let test = mingying_testkit::sqlite().await;
    let dir = tempfile::tempdir().unwrap();
    let bucket = Bucket { patience: LONG, ..SimBucket::new().bucket(&dir.path().join("recall")) };
    let clock = mingying_testkit::clock();
    let open = || open_with(test.db.clone(), blobs(dir.path(), &bucket), clock.clone(), settings(Vec::new()));
    let bench = open().await.unwrap();
    for i in 1..=12 {
        bench.send(&slice(1, 1, i)).await.unwrap();
    }
    move_all(&bench, &clock, DAY * 11).await;
    let before = everything(&bench).await;
    let far = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap().remove(0);
    assert!(on_tier(&bench, Tier::Large).contains(&far.location.pack));
    bench.archive.close().await;
    std::fs::rename(dir.path().join("large"), dir.path().join("away")).unwrap();
    let bench = open().await.unwrap();
    let read = bench.archive.read(&far, 0, 100).await;
    assert!(matches!(read, Err(ArchiveError::Blob(BlobError::Unavailable))), "{read:?}");
    let verified = bench.archive.verify().await.unwrap();
    assert!(verified.unreachable.contains(&far.location.pack) && verified.missing.is_empty(), "{verified:?}");
    std::fs::rename(dir.path().join("away"), dir.path().join("large")).unwrap();
    assert_eq!(everything(&bench).await, before);
    bench.send(&slice(2, 1, 1)).await.unwrap();
    assert!(bench.archive.verify().await.unwrap().intact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_to_s3_gives_the_right_pixels_or_asks_to_try_again() {
    let server = S3Server::start();
    let line = Line::to(server.address()).await;
    let test = mingying_testkit::sqlite().await;
    let dir = tempfile::tempdir().unwrap();
    let over = |patience| Bucket { recall_size: 0, ..s3(line.endpoint(), &dir.path().join("recall"), patience) };
    let bucket = over(LONG);
    let clock = mingying_testkit::clock();
    let bench =
        open_with(test.db.clone(), blobs(dir.path(), &bucket), clock.clone(), settings(Vec::new())).await.unwrap();
    for i in 1..=50 {
        bench.send(&slice(1, 1, i)).await.unwrap();
    }
    move_all(&bench, &clock, DAY * 25).await;
    bench.archive.close().await;
    let bucket = over(Duration::from_millis(500));
    let bench =
        open_with(test.db.clone(), blobs(dir.path(), &bucket), clock.clone(), settings(Vec::new())).await.unwrap();
    // One image of each pack: nothing of it was brought before.
    let mut packs = on_tier(&bench, Tier::Objects);
    let mut far = bench.archive.instances_of(&bench.read(), "1.2.3.1", None, None).await.unwrap();
    far.retain(|one| packs.iter().position(|pack| *pack == one.location.pack).map(|at| packs.remove(at)).is_some());
    let troubles = [
        (Trouble::Refuses, false),
        (Trouble::Busy, false),
        (Trouble::Absent, false),
        (Trouble::Stalls, false),
        (Trouble::CutsAfter(0), false),
        (Trouble::CutsAfter(100), false),
        (Trouble::CutsAfter(3000), true),
        (Trouble::None, true),
    ];
    assert!(far.len() >= troubles.len());
    for (one, (trouble, may_serve)) in far.iter().zip(troubles) {
        line.set(trouble);
        let sent = slice(1, 1, one.number.unwrap() as u32).bytes(EXPLICIT);
        match bench.archive.read(one, one.head_len as u64, u64::MAX).await {
            Ok(bytes) => assert!(may_serve && bytes == sent, "{trouble:?}"),
            Err(ArchiveError::Blob(BlobError::Unavailable)) => {}
            Err(error) => panic!("{trouble:?}: {error}"),
        }
        // Storing goes on.
        bench.send(&slice(2, 1, one.number.unwrap() as u32)).await.unwrap();
        line.set(Trouble::None);
        // It rests for a moment after a failure.
        let bytes = loop {
            match bench.archive.read(one, one.head_len as u64, u64::MAX).await {
                Err(ArchiveError::Blob(BlobError::Unavailable)) => tokio::task::yield_now().await,
                read => break read.unwrap(),
            }
        };
        assert!(bytes == sent, "{trouble:?}");
    }
    while !bench.archive.verify().await.unwrap().unreachable.is_empty() {}
    assert!(bench.archive.verify().await.unwrap().missing.is_empty());
    assert_eq!(bench.archive.stats().await.unwrap().damaged, 0);
}
