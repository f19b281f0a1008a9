use crate::crash::answers;
use crate::objects::*;
use mingying_archive::{BackedUp, BackupError, Keep, Reason, Settings, Target, restore, states, verify_backup};
use mingying_db::{Db, params};
use std::path::Path;
use std::time::Duration;

async fn restored(backup: &Path, db: &Db, dir: &Path) -> Result<mingying_archive::Restored, BackupError> {
    let blobs = stored();
    restore(backup, None, db, dir, blobs, mingying_testkit::clock(), Settings::new(org())).await
}

on_both_and_encrypted! {
    async fn a_backup_made_while_images_arrive_restores_to_the_same_answers(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, &dir.path().join("blobs")).await;
        for i in 1..=6 {
            bench.send(&slice(1 + i % 2, 1, i)).await.unwrap();
        }
        let one = slice(1, 1, 1);
        let bytes = one.bytes(EXPLICIT);
        assert!(bench.send_bytes(one.meta(EXPLICIT), &bytes[..bytes.len() - 1]).await.is_err());
        let backup = dir.path().join("backup");
        // Images go on arriving while it runs.
        let sending = async {
            for i in 10..=30 {
                bench.send(&slice(3, 1, i)).await.unwrap();
            }
        };
        let (manifest, ()) = tokio::join!(bench.archive.backup(&backup, Keep::default()), sending);
        let manifest = manifest.unwrap().manifest;
        assert!(manifest.files.iter().any(|f| f.path.starts_with("packs/")) && manifest.rows > 10);
        assert_eq!(verify_backup(&backup, None).await.unwrap(), manifest);

        // Into either engine.
        let empty = mingying_testkit::sqlite().await;
        let new = dir.path().join("restored");
        let done = restored(&backup, &empty.db, &new).await.unwrap();
        assert_eq!((done.rows, done.files), (manifest.rows - schema_rows(&empty.db).await, manifest.files.len()));
        let again = open(empty.db.clone(), &new).await;
        let there = again.archive.stats().await.unwrap();
        assert!(there.instances >= 6 && there.instances <= 27 && there.quarantined == 1, "{there:?}");
        assert!(again.archive.verify().await.unwrap().intact());
        for found in again.archive.instances_of(&again.read(), "1.2.3.1", None, None).await.unwrap() {
            let number = found.number.unwrap() as u32;
            let got = again.archive.read(&found, found.head_len as u64, u64::MAX).await.unwrap();
            assert!(got == slice(1, 1, number).bytes(EXPLICIT));
        }
        // What was not in the backup may come again.
        for i in 10..=30 {
            again.send(&slice(3, 1, i)).await.unwrap();
        }
        assert_eq!(answers(&again).await, answers(&bench).await);
        assert_eq!(
            again.count("SELECT COUNT(*) FROM instances").await,
            again.archive.stats().await.unwrap().instances
        );

        // Nothing is overwritten, and damage is noticed.
        let foreign = dir.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("thesis.txt"), "mine").unwrap();
        assert!(matches!(bench.archive.backup(&foreign, Keep::default()).await, Err(BackupError::NotEmpty(_))));
        assert!(matches!(restored(&backup, &empty.db, &dir.path().join("x")).await, Err(BackupError::NotEmpty(_))));
        let other = mingying_testkit::sqlite().await;
        assert!(matches!(restored(&backup, &other.db, &new).await, Err(BackupError::NotEmpty(_))));
        let pack = manifest.files.iter().find(|f| f.path.starts_with("packs/")).unwrap();
        let mut rotten = std::fs::read(backup.join(&pack.path)).unwrap();
        rotten[100] ^= 1;
        std::fs::write(backup.join(&pack.path), rotten).unwrap();
        assert!(matches!(restored(&backup, &other.db, &dir.path().join("y")).await, Err(BackupError::Damaged(_))));
        assert!(matches!(restored(dir.path(), &other.db, &dir.path().join("z")).await, Err(BackupError::NotABackup)));
    }
}

on_both_and_encrypted! {
    async fn a_backup_into_its_own_folder_copies_what_is_new(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let settings = mingying_blob::Settings { pack_size: 6000, ..stored() };
        let blobs = |dir: &Path| mingying_blob::Blobs::open(dir, settings.clone()).unwrap();
        let bench = open_on(db.clone(), blobs(&dir.path().join("blobs"))).await.unwrap();
        for i in 1..=12 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let backup = dir.path().join("backup");
        let first = bench.archive.backup(&backup, Keep::default()).await.unwrap();
        let all: u64 = bench.archive.blobs().packs().iter().map(|pack| pack.len).sum();
        assert_eq!(first.copied, all);
        assert_eq!(bench.archive.backup(&backup, Keep::default()).await.unwrap().copied, 0, "nothing is new");

        bench.send(&slice(2, 1, 1)).await.unwrap();
        bench.send(&slice(2, 1, 2)).await.unwrap();
        let grown = bench.archive.blobs().packs().iter().map(|pack| pack.len).sum::<u64>() - all;
        let second = bench.archive.backup(&backup, Keep::default()).await.unwrap();
        assert_eq!(second.copied, grown);
        assert_eq!(verify_backup(&backup, None).await.unwrap(), second.manifest);
        let names: Vec<_> = std::fs::read_dir(&backup).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 4, "the first one's tables and manifest are gone: {names:?}");

        // An interrupted one: tables half written, a pack longer than the manifest says. The one before still holds.
        std::fs::create_dir(backup.join("db-1")).unwrap();
        std::fs::write(backup.join("db-1/studies.jsonl"), "{").unwrap();
        let last = backup.join(&second.manifest.files.last().unwrap().path);
        let mut longer = std::fs::read(&last).unwrap();
        longer.extend_from_slice(b"half a record");
        std::fs::write(&last, longer).unwrap();
        let empty = mingying_testkit::sqlite().await;
        restored(&backup, &empty.db, &dir.path().join("restored")).await.unwrap();
        let again = open_on(empty.db.clone(), blobs(&dir.path().join("restored"))).await.unwrap();
        assert_eq!(answers(&again).await, answers(&bench).await);
        assert!(again.archive.verify().await.unwrap().intact());

        // The next one goes on from there, and copies a pack anew that rotted in the backup.
        bench.send(&slice(3, 1, 1)).await.unwrap();
        let mut rotten = std::fs::read(&last).unwrap();
        rotten[200] ^= 1;
        std::fs::write(&last, rotten).unwrap();
        let third = bench.archive.backup(&backup, Keep::default()).await.unwrap();
        assert_eq!(verify_backup(&backup, None).await.unwrap(), third.manifest);
        for pack in bench.archive.blobs().packs() {
            let path = bench.archive.blobs().pack_path(pack.id);
            let copy = backup.join("packs").join(path.file_name().unwrap());
            assert!(std::fs::read(copy).unwrap() == std::fs::read(path).unwrap(), "no rot goes into a manifest");
        }

        // Half written from the start: no backup. Cut short: damaged. Another store's: not touched.
        let half = dir.path().join("half");
        std::fs::create_dir_all(half.join("packs")).unwrap();
        std::fs::copy(&last, half.join("packs").join(last.file_name().unwrap())).unwrap();
        assert!(matches!(restored(&half, &empty.db, &dir.path().join("h")).await, Err(BackupError::NotABackup)));
        assert!(matches!(again.archive.backup(&half, Keep::default()).await, Ok(BackedUp { copied, .. }) if copied > 0), "of its own packs");
        let stranger = mingying_testkit::sqlite().await;
        let stranger = open_on(stranger.db.clone(), blobs(&dir.path().join("strange"))).await.unwrap();
        stranger.send(&slice(1, 1, 1)).await.unwrap();
        assert!(matches!(stranger.archive.backup(&backup, Keep::default()).await, Err(BackupError::NotEmpty(_))));
        let bytes = std::fs::read(&last).unwrap();
        std::fs::write(&last, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(verify_backup(&backup, None).await, Err(BackupError::Damaged(_))));
    }
}

on_both_and_encrypted! {
    async fn a_backup_folder_restores_the_state_of_a_time(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let blob_settings = mingying_blob::Settings { pack_size: 6000, ..stored() };
        let blobs = mingying_blob::Blobs::open(&dir.path().join("blobs"), blob_settings).unwrap();
        let mut settings = Settings::new(org());
        settings.house.keep_deleted = Duration::ZERO;
        let bench = open_with(db, blobs, clock.clone(), settings).await.unwrap();
        let backup = dir.path().join("backup");
        let mut then = Vec::new();
        for study in 1..=3 {
            for image in 1..=6 {
                bench.send(&slice(study, 1, image)).await.unwrap();
            }
            let made = bench.archive.backup(&backup, Keep { days: 7 }).await.unwrap();
            then.push((made.manifest.made_at, answers(&bench).await));
            clock.advance(Duration::from_hours(1));
        }
        // What is gone for good from the store stays in the states that had it.
        let target = Target::study("1.2.3.1");
        bench.archive.delete(&bench.delete(), &target, Reason::Other, "sent to the wrong archive").await.unwrap();
        clock.advance(Duration::from_hours(1));
        assert!(bench.archive.compact().await.unwrap().packs > 0);
        bench.archive.backup(&backup, Keep { days: 7 }).await.unwrap();
        assert_eq!(states(&backup).unwrap().len(), 4);
        for (number, (at, answers_then)) in then.iter().enumerate() {
            let empty = mingying_testkit::sqlite().await;
            let folder = dir.path().join(format!("restored-{number}"));
            let later = at.plus(Duration::from_mins(10));
            let plain = stored();
            let restored = restore(&backup, Some(later), &empty.db, &folder, plain, clock.clone(), Settings::new(org())).await;
            assert_eq!(restored.unwrap().made_at, *at);
            let again = open(empty.db.clone(), &folder).await;
            assert_eq!(&answers(&again).await, answers_then);
            assert!(again.archive.verify().await.unwrap().intact());
        }
        let before = then[0].0.minus(Duration::from_secs(1));
        assert!(matches!(verify_backup(&backup, Some(before)).await, Err(BackupError::NoState(_))));
        // States that are not kept any more take what only they named with them.
        let bytes = || -> u64 { std::fs::read_dir(backup.join("packs")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum() };
        let all = bytes();
        bench.archive.backup(&backup, Keep::default()).await.unwrap();
        assert_eq!(states(&backup).unwrap().len(), 1);
        assert!(bytes() < all);
    }
}

#[tokio::test]
async fn a_backup_is_whole_while_packs_are_compacted() {
    let test = mingying_testkit::sqlite().await;
    let dir = tempfile::tempdir().unwrap();
    let clock = mingying_testkit::clock();
    let small = mingying_blob::Settings { pack_size: 6000, ..stored() };
    let blobs = |dir: &Path| mingying_blob::Blobs::open(dir, small.clone()).unwrap();
    let settings = crate::compact::settings();
    let house = settings.house.keep_deleted;
    let bench = open_with(test.db.clone(), blobs(&dir.path().join("blobs")), clock.clone(), settings).await.unwrap();
    for i in 1..=40 {
        bench.send(&slice(1 + i % 4, 1, i)).await.unwrap();
    }
    for study in 2..=4 {
        let target = Target::study(format!("1.2.3.{study}"));
        bench.archive.delete(&bench.delete(), &target, Reason::Quality, "").await.unwrap();
    }
    clock.advance(house + std::time::Duration::from_secs(1));
    let backup = dir.path().join("backup");
    let mut backing = std::pin::pin!(bench.archive.backup(&backup, Keep::default()));
    // It has read the tables and begins with the packs.
    while !backup.join("packs").read_dir().is_ok_and(|mut packs| packs.next().is_some()) {
        assert!(futures::poll!(backing.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let (made, compacted) = tokio::join!(backing, bench.archive.compact());
    made.unwrap();
    assert!(compacted.unwrap().packs > 3);
    let empty = mingying_testkit::sqlite().await;
    restored(&backup, &empty.db, &dir.path().join("restored")).await.unwrap();
    let again = open_on(empty.db.clone(), blobs(&dir.path().join("restored"))).await.unwrap();
    assert_eq!(answers(&again).await, answers(&bench).await);
    assert!(again.archive.verify().await.unwrap().intact());
}

async fn schema_rows(db: &Db) -> u64 {
    db.query_one("SELECT COUNT(*) FROM schema_migrations", params![]).await.unwrap().at(0).unwrap()
}
