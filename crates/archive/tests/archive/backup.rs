use crate::crash::answers;
use crate::objects::*;
use mingying_archive::{BackupError, Settings, restore, verify_backup};
use mingying_db::{Db, params};
use mingying_testkit::on_both;
use std::path::Path;

async fn restored(backup: &Path, db: &Db, dir: &Path) -> Result<mingying_archive::Restored, BackupError> {
    restore(backup, db, dir, mingying_testkit::clock(), Settings::new(org())).await
}

on_both! {
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
        let (manifest, ()) = tokio::join!(bench.archive.backup(&backup), sending);
        let manifest = manifest.unwrap();
        assert!(manifest.files.iter().any(|f| f.path.starts_with("packs/")) && manifest.rows > 10);
        assert_eq!(verify_backup(&backup).await.unwrap(), manifest);

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
        assert!(matches!(bench.archive.backup(&backup).await, Err(BackupError::NotEmpty(_))));
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

async fn schema_rows(db: &Db) -> u64 {
    db.query_one("SELECT COUNT(*) FROM schema_migrations", params![]).await.unwrap().at(0).unwrap()
}
