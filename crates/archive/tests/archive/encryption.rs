//! Encryption begins, changes its key, and its key is lost.

use crate::objects::*;
use crate::rebuild::everything;
use crate::siblings::{image, instances, make_all, open_in};
use mingying_archive::{BackupError, Housekeeping, Keep, Settings, SiblingStep, restore};
use mingying_blob::sim::SimDisk;
use mingying_blob::{BlobError, Blobs, Disk as _, Keys};
use mingying_testkit::on_both;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn blobs_with(disk: &SimDisk, keys: &Keys) -> Result<Blobs, BlobError> {
    let settings = mingying_blob::Settings { pack_size: 6000, keys: keys.clone(), ..stored() };
    Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings)
}

fn reencrypting() -> Settings {
    let house = Housekeeping { rate: 0, reencrypt: true, ..Housekeeping::default() };
    Settings { house, ..Settings::new(org()) }
}

/// Whether a patient's name can be read anywhere on the disk.
fn in_the_clear(disk: &SimDisk) -> bool {
    let packs = Path::new("/data/packs");
    disk.list(packs).unwrap().iter().any(|name| {
        let bytes = disk.file(&packs.join(name)).unwrap();
        bytes.windows(9).any(|part| part == b"Zhang^San")
    })
}

on_both! {
    async fn packs_of_before_are_rewritten_when_that_is_wanted(db: Db) {
        let (disk, clock) = (SimDisk::new(), mingying_testkit::clock());
        let (one, two) = (new_key(), new_key());
        let lives = [Keys::default(), with_key(&one, &[]), with_key(&two, &[&one])];
        let mut before = Vec::new();
        for (life, keys) in (0..).zip(&lives) {
            let blobs = blobs_with(&disk, keys).unwrap();
            let bench = open_with(db.clone(), blobs, clock.clone(), reencrypting()).await.unwrap();
            if life > 0 {
                assert_eq!(everything(&bench).await, before, "what was stored before");
            }
            for i in 1..=15 {
                bench.send(&slice(life + 1, 1, i)).await.unwrap();
            }
            bench.archive.flush().await.unwrap();
            before = everything(&bench).await;
            let packs = bench.archive.compact().await.unwrap().packs;
            assert_eq!(packs > 0, life > 0, "{packs}");
            assert!(bench.archive.blobs().homes().iter().all(|home| home.key == keys.current()));
            assert_eq!(everything(&bench).await, before);
            assert!(bench.archive.verify().await.unwrap().intact());
            assert_eq!(bench.archive.compact().await.unwrap().packs, 0, "once");
            assert_eq!(in_the_clear(&disk), life == 0);
            bench.archive.close().await;
        }
        // Nothing needs the first key any more.
        let blobs = blobs_with(&disk, &with_key(&two, &[])).unwrap();
        let bench = open_with(db, blobs, clock, reencrypting()).await.unwrap();
        assert_eq!(everything(&bench).await, before);
    }

    async fn a_backup_is_encrypted_and_needs_its_key(db: Db) {
        encrypt();
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, &dir.path().join("blobs")).await;
        for i in 1..=6 {
            bench.send(&slice(1, 1, i)).await.unwrap();
        }
        let backup = dir.path().join("backup");
        bench.archive.backup(&backup, Keep::default()).await.unwrap();
        for entry in std::fs::read_dir(backup.join("packs")).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(9).any(|part| part == b"Zhang^San"));
        }
        // Its hashes need no key, its images do.
        mingying_archive::verify_backup(&backup, None).await.unwrap();
        let empty = mingying_testkit::sqlite().await;
        let new = dir.path().join("restored");
        let restored = async |keys: Keys| {
            let how = mingying_blob::Settings { keys, ..stored() };
            restore(&backup, None, &empty.db, &new, how, mingying_testkit::clock(), Settings::new(org())).await
        };
        for wrong in [Keys::default(), with_key(&new_key(), &[])] {
            let refused = restored(wrong).await;
            assert!(matches!(refused, Err(BackupError::Blob(BlobError::Locked(_)))), "{refused:?}");
            assert!(!new.exists(), "before anything is written");
        }
        restored(stored().keys).await.unwrap();
        let again = open(empty.db.clone(), &new).await;
        assert!(again.archive.verify().await.unwrap().intact());
        assert_eq!(everything(&again).await, everything(&bench).await);
    }

    async fn siblings_in_the_clear_are_made_again(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        bench.send(&image(1, 1, 64, 1)).await.unwrap();
        clock.advance(Duration::from_mins(1));
        assert_eq!(make_all(&bench).await.len(), 1);
        let frame = bench.archive.sibling_frame(&instances(&bench, 1).await[0], 0).await.unwrap();
        let on_disk = || {
            let packs = std::fs::read_dir(dir.path().join("siblings/packs")).unwrap();
            let bytes: Vec<u8> = packs.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
            bytes.windows(64).any(|part| part == &frame[..64])
        };
        assert!(on_disk());
        bench.archive.close().await;
        encrypt();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        assert!(!on_disk() && bench.archive.sibling_stats().made == 0);
        clock.advance(Duration::from_hours(24));
        assert_eq!(make_all(&bench).await, [SiblingStep::Older("1.2.3.1".to_owned())]);
        assert!(!on_disk());
        assert!(bench.archive.sibling_frame(&instances(&bench, 1).await[0], 0).await.is_some());
    }
}
