//! HTJ2K siblings: made when a study has settled, equal to their originals, bounded, and nothing depends on them.

use crate::objects::*;
use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use mingying_archive::{
    ArchiveError, InstanceRef, Origin, Reason, SIBLING_SYNTAX, Settings, SiblingSettings, SiblingStep, Target, rebuild,
};
use mingying_blob::Blobs;
use mingying_db::Db;
use mingying_dicom::codec::{self, PixelDescription};
use mingying_kernel::ManualClock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// A slice of `side` x `side` pixels that compresses, of `frames` frames.
pub fn image(s: u32, i: u32, side: u16, frames: u16) -> Slice {
    let mut made = slice(s, 1, i);
    let o = &mut made.object;
    let of_frame = |frame: u16| {
        (0..side).flat_map(move |y| (0..side).map(move |x| (x * 3 + y * 5 + frame * 7 + s as u16 + i as u16) % 900))
    };
    put(o, tags::ROWS, VR::US, side);
    put(o, tags::COLUMNS, VR::US, side);
    put(o, tags::BITS_STORED, VR::US, 12_u16);
    put(o, tags::HIGH_BIT, VR::US, 11_u16);
    put(o, tags::PIXEL_REPRESENTATION, VR::US, 0_u16);
    put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    put(o, tags::NUMBER_OF_FRAMES, VR::IS, frames.to_string());
    put(o, tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16((0..frames).flat_map(of_frame).collect()));
    made
}

pub async fn open_in(db: &Db, dir: &Path, clock: &Arc<ManualClock>, max_bytes: u64) -> Bench {
    let blobs = Blobs::open(dir, stored()).unwrap();
    let mut settings = Settings::new(org());
    settings.siblings = Some(dir.join("siblings"));
    settings.sibling = SiblingSettings { max_bytes, threads: 2, reserve: 0, ..SiblingSettings::default() };
    open_with(db.clone(), blobs, clock.clone(), settings).await.unwrap()
}

/// Makes what can be made now.
pub async fn make_all(bench: &Bench) -> Vec<SiblingStep> {
    let mut steps = Vec::new();
    loop {
        match bench.archive.next_siblings().await.unwrap() {
            SiblingStep::Idle => return steps,
            step => steps.push(step),
        }
    }
}

pub async fn instances(bench: &Bench, study: u32) -> Vec<InstanceRef> {
    bench.archive.instances_of(&bench.read(), &format!("1.2.3.{study}"), None, None).await.unwrap()
}

/// Every frame of the sibling has the samples of the original; how many there are.
async fn assert_same(bench: &Bench, instance: &InstanceRef) -> u32 {
    let header = bench.archive.header(instance).await.unwrap();
    let description = PixelDescription::read(&header).unwrap().unwrap();
    let mut frames = 0;
    while let Some(coded) = bench.archive.sibling_frame(instance, frames).await {
        let native = bench.archive.codec_frame(instance, frames).await.unwrap();
        let wanted = codec::decode(&instance.transfer_syntax, &native, &description).unwrap().bytes;
        assert!(codec::decode(SIBLING_SYNTAX, &coded, &description).unwrap().bytes == wanted, "{}", instance.sop_uid);
        frames += 1;
    }
    frames
}

/// The whole packs of siblings.
fn packs(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> =
        std::fs::read_dir(dir.join("siblings/packs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

on_both_and_encrypted! {
    async fn a_settled_study_gets_siblings_that_are_equal_to_its_originals(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        bench.send(&image(1, 1, 64, 1)).await.unwrap();
        bench.send_as(&image(1, 2, 64, 1), IMPLICIT).await.unwrap();
        bench.send_as(&image(1, 3, 64, 1), BIG).await.unwrap();
        bench.send(&image(1, 4, 32, 5)).await.unwrap();
        assert_eq!(make_all(&bench).await, [], "images may still come");
        clock.advance(MINUTE);
        assert_eq!(make_all(&bench).await, [SiblingStep::Settled("1.2.3.1".to_owned())]);
        let found = instances(&bench, 1).await;
        let mut frames = Vec::new();
        for instance in &found {
            frames.push(assert_same(&bench, instance).await);
            // The value as an object of this transfer syntax has it.
            let len = bench.archive.sibling_pixels(instance).unwrap();
            let value = bench.archive.read_sibling(instance, 0, len).await.unwrap();
            let first = bench.archive.sibling_frame(instance, 0).await.unwrap();
            assert_eq!(value[..12], [0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0x00, 0xe0]);
            assert_eq!(value[12..16], (first.len() as u32).to_le_bytes());
            assert!(value[16..].starts_with(&first) && value.ends_with(&[0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]));
        }
        assert_eq!(frames, [1, 1, 1, 5]);
        let stats = bench.archive.sibling_stats();
        assert_eq!((stats.made, stats.waiting, stats.unfit.len()), (4, 0, 0));
        assert_eq!(stats.bytes, found.iter().map(|i| i.sibling.unwrap().len).sum::<u64>());
        // One more image, and only that is made.
        bench.send(&image(1, 5, 64, 1)).await.unwrap();
        clock.advance(MINUTE);
        assert_eq!(make_all(&bench).await.len(), 1);
        assert_eq!(bench.archive.sibling_stats().made, 5);
    }

    async fn making_goes_on_after_a_restart(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        for study in 1..=3 {
            bench.send(&image(study, 1, 64, 1)).await.unwrap();
            clock.advance(MINUTE);
        }
        bench.archive.next_siblings().await.unwrap();
        assert_eq!(bench.archive.sibling_stats().made, 1);
        bench.archive.close().await;
        // What was not settled by this process was there before.
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        let older = |study: &str| SiblingStep::Older(study.to_owned());
        assert_eq!(make_all(&bench).await, [older("1.2.3.3"), older("1.2.3.2")], "the newest first");
        assert_eq!((bench.archive.sibling_stats().made, packs(dir.path()).len()), (3, 1), "in the same pack");
        for study in 1..=3 {
            assert_eq!(assert_same(&bench, &instances(&bench, study).await[0]).await, 1);
        }
        // The folder may go while no server runs.
        bench.archive.close().await;
        std::fs::remove_dir_all(dir.path().join("siblings")).unwrap();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        assert!(instances(&bench, 1).await[0].sibling.is_none());
        assert_eq!(make_all(&bench).await.len(), 3);
        // Without room none are kept.
        bench.archive.close().await;
        let bench = open_in(&db, dir.path(), &clock, 0).await;
        assert!(instances(&bench, 1).await[0].sibling.is_none() && !dir.path().join("siblings").exists());
        assert_eq!(make_all(&bench).await, []);
    }

    async fn what_gets_none_is_told_why(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        let mut palette = image(1, 1, 64, 1);
        put(&mut palette.object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR");
        bench.send(&palette).await.unwrap();
        let mut elsewhere = image(1, 2, 64, 1);
        put(&mut elsewhere.object, tags::HIGH_BIT, VR::US, 15_u16);
        bench.send(&elsewhere).await.unwrap();
        bench.send(&image(1, 3, 4, 1)).await.unwrap();
        bench.send_as(&image(1, 4, 64, 1), DEFLATED).await.unwrap();
        let jls = image(1, 5, 64, 1).encapsulate(vec![], vec![vec![0xff, 0xd8]], 1);
        bench.send_as(&jls, JPEG_LS).await.unwrap();
        bench.send(&image(1, 6, 64, 1)).await.unwrap();
        clock.advance(MINUTE);
        assert_eq!(make_all(&bench).await.len(), 1);
        let stats = bench.archive.sibling_stats();
        let unfit: Vec<_> = stats.unfit.iter().map(|(code, n)| (code.as_str(), *n)).collect();
        assert_eq!(unfit, [("high_bit", 1), ("larger", 1), ("palette", 1)]);
        assert_eq!((stats.made, stats.waiting), (1, 0));
        // Nothing of it is tried again and again.
        clock.advance(DAY);
        assert_eq!(make_all(&bench).await, []);
    }

    async fn deleted_and_rebuilt(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        bench.send(&image(1, 1, 64, 1)).await.unwrap();
        bench.send(&image(2, 1, 64, 1)).await.unwrap();
        clock.advance(MINUTE);
        make_all(&bench).await;
        let old = instances(&bench, 1).await.remove(0);
        let deletion =
            bench.archive.delete(&bench.delete(), &Target::study("1.2.3.1"), Reason::Quality, "").await.unwrap();
        assert_eq!(bench.count("SELECT COUNT(*) FROM siblings").await, 1, "with the original");
        bench.archive.restore_deleted(&bench.delete(), deletion.id).await.unwrap();
        let back = instances(&bench, 1).await.remove(0);
        assert!(back.sibling.is_none() && back.key != old.key);
        // However long ago its study settled: it is found in the next round.
        clock.advance(DAY);
        assert_eq!(make_all(&bench).await.len(), 1);
        bench.archive.close().await;
        let owner = Settings::new(org()).owner;
        let blobs = Blobs::open(dir.path(), stored()).unwrap();
        rebuild(&db, &blobs, &bench.ctx, &[org()], &owner).await.unwrap();
        assert_eq!(bench.count("SELECT COUNT(*) FROM siblings").await, 0);
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        assert_eq!(make_all(&bench).await.len(), 2);
        assert_eq!(assert_same(&bench, &instances(&bench, 2).await[0]).await, 1);
    }

    async fn the_oldest_go_when_there_is_no_room(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bound = 12 << 10;
        let bench = open_in(&db, dir.path(), &clock, bound).await;
        for study in 1..=20 {
            bench.send(&image(study, 1, 64, 1)).await.unwrap();
            clock.advance(MINUTE);
            make_all(&bench).await;
            let size: u64 = packs(dir.path()).iter().map(|pack| pack.metadata().unwrap().len()).sum();
            assert!(size <= bound, "{size}");
        }
        assert!(instances(&bench, 1).await[0].sibling.is_none());
        assert_eq!(assert_same(&bench, &instances(&bench, 20).await[0]).await, 1);
        let kept = bench.archive.sibling_stats().made;
        assert!((4..20).contains(&kept), "{kept}");
        // The old ones are no reason to give up newer ones.
        clock.advance(DAY);
        make_all(&bench).await;
        assert!(instances(&bench, 1).await[0].sibling.is_none());
        assert_eq!(assert_same(&bench, &instances(&bench, 20).await[0]).await, 1);
        // A row that was read before its pack went.
        let mut stale = instances(&bench, 1).await.remove(0);
        stale.sibling = Some(mingying_blob::Location { pack: 1, record: 64, at: 200, len: 500 });
        assert_eq!(bench.archive.sibling_frame(&stale, 0).await, None);
        assert!(matches!(bench.archive.read_sibling(&stale, 0, 1).await, Err(ArchiveError::Blob(_))));
    }

    async fn a_damaged_sibling_is_never_shown_and_made_again(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let clock = mingying_testkit::clock();
        let bench = open_in(&db, dir.path(), &clock, 64 << 20).await;
        bench.send(&image(1, 1, 64, 1)).await.unwrap();
        clock.advance(MINUTE);
        make_all(&bench).await;
        let instance = instances(&bench, 1).await.remove(0);
        let place = instance.sibling.unwrap();
        let path = &packs(dir.path())[0];
        let mut bytes = std::fs::read(path).unwrap();
        bytes[place.at as usize + 40] ^= 1;
        std::fs::write(path, bytes).unwrap();
        assert_eq!(bench.archive.sibling_frame(&instance, 0).await, None);
        assert!(instances(&bench, 1).await[0].sibling.is_none(), "forgotten");
        clock.advance(DAY);
        make_all(&bench).await;
        assert_eq!(assert_same(&bench, &instances(&bench, 1).await[0]).await, 1);
    }
}

/// Real CT and MR images of pydicom's packages, in the transfer syntaxes in which they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_images_keep_every_sample() {
    let script = "import pydicom.data as d, sys\nfor name in sys.argv[1:]: print(d.get_testdata_file(name))";
    let home = std::env::var("HOME").unwrap_or_default();
    let python =
        std::env::var("MINGYING_TEST_PYTHON").unwrap_or_else(|_| format!("{home}/.cache/mingying/venv/bin/python"));
    let names = ["CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "693_UNCI.dcm", "693_UNCR.dcm"];
    let output = std::process::Command::new(python)
        .args(["-c", script])
        .args(names)
        .output()
        .expect("the tests' Python is missing: run `make test-deps`");
    let files = String::from_utf8(output.stdout).unwrap();
    assert_eq!(files.lines().count(), names.len(), "{}", String::from_utf8_lossy(&output.stderr));

    let test = mingying_testkit::sqlite().await;
    let clock = mingying_testkit::clock();
    let bench = open_in(&test.db, test.dir.path(), &clock, 64 << 20).await;
    let mut stored = Vec::new();
    for file in files.lines() {
        let mut receiving = bench.archive.receive_part10(Origin::new("test"));
        receiving.write(&std::fs::read(file).unwrap()).await.unwrap();
        let kept = receiving.finish(&bench.store()).await.unwrap();
        // Several of these files hold the same object in another form: the first one is served.
        if !kept.conflicting && !kept.duplicate {
            stored.push(kept);
        }
    }
    clock.advance(MINUTE);
    make_all(&bench).await;
    assert!(stored.len() >= 3 && bench.archive.sibling_stats().made == stored.len() as u64);
    for kept in stored {
        let (study, series, sop) = (&kept.study_uid, &kept.series_uid, &kept.sop_uid);
        let instance = bench.archive.instance_of(&bench.read(), study, series, sop).await.unwrap();
        assert_eq!(assert_same(&bench, &instance).await, 1);
    }
}
