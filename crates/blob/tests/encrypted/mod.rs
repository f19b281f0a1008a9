//! What encryption promises beyond what every pack does.

use crate::ways::{encrypted, keys, plain};
use crate::{NOW, bytes, entry, put, scan_all, small};
use mingying_blob::sim::SimDisk;
use mingying_blob::simbucket::SimBucket;
use mingying_blob::{
    BlobError, Blobs, Bucket, Cipher, Depth, Entry, Keys, Kind, Location, MasterKey, Settings, Tier, Tiers,
};
use mingying_kernel::Coded;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const BOTH: [Cipher; 2] = [Cipher::Aes256Gcm, Cipher::Sm4Gcm];

fn with(disk: &SimDisk, keys: &Keys) -> Result<Blobs, BlobError> {
    let settings = Settings { pack_size: 1 << 20, keys: keys.clone(), ..small() };
    Blobs::open_on(Arc::new(disk.clone()), Path::new("/data"), settings)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

#[tokio::test]
async fn nothing_of_a_patient_is_on_the_disk_in_the_clear() {
    for cipher in BOTH {
        encrypted(cipher);
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), small()).unwrap();
        let content = [b"Zhang^San ".repeat(100), bytes(1, 100_000)].concat();
        let mut entry = entry(&blobs, b"head of Zhang^San", &content).await;
        entry.meta = br#"{"patient":"Zhang^San"}"#.to_vec();
        let hash = entry.staged.sha256();
        let place = blobs.publish(vec![entry], NOW).await.unwrap()[0];
        let pack = std::fs::read(blobs.pack_path(place.pack)).unwrap();
        for secret in [&b"Zhang"[..], &hash, &bytes(1, 100_000)[5000..5032]] {
            assert!(!contains(&pack, secret));
        }
        // The spool file has no name: the descriptor shows it.
        let mut staging = blobs.stage();
        for _ in 0..300 {
            staging.write(&b"Li^Si ".repeat(1000)).await.unwrap();
        }
        let spooled = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| {
            let path = fd.unwrap().path();
            let target = std::fs::read_link(&path).ok()?;
            target.starts_with(dir.path().join("spool")).then(|| std::fs::read(path).unwrap())
        });
        let spooled: Vec<u8> = spooled.flatten().collect();
        assert!(spooled.len() > 500_000 && !contains(&spooled, b"Li^Si"));
        let staged = staging.finish();
        assert_eq!(staged.read_at(60_005, 6).unwrap(), b"Li^Si Li^Si "[5..11]);
        assert_eq!(staged.read_at(1_799_990, 100).unwrap(), b"Li^Si Li^Si "[2..]);
    }
}

#[tokio::test]
async fn without_its_key_a_store_stays_shut_and_whole() {
    encrypted(Cipher::Aes256Gcm);
    let (disk, right) = (SimDisk::new(), keys());
    let place = put(&with(&disk, &right).unwrap(), b"pixels").await.unwrap();
    let path = with(&disk, &right).unwrap().pack_path(place.pack);
    let before = disk.file(&path).unwrap();
    let other = Keys::new(Some((Cipher::Aes256Gcm, MasterKey::random().unwrap())), []);
    for wrong in [Keys::default(), other] {
        let shut = with(&disk, &wrong).err().unwrap();
        assert!(matches!(shut, BlobError::Locked(id) if Some(id) == right.current()));
        assert_eq!(shut.code(), "blob.locked");
        assert!(shut.to_string().contains(&right.current().unwrap().to_string()));
        // When the pack's own header does not say so either, its records do, and are not called damaged.
        disk.flip_bit(&path, 20);
        let open = with(&disk, &wrong).unwrap();
        for depth in [Depth::Whole, Depth::Frame] {
            assert!(matches!(open.scan(place.pack, 0, 10, depth).await, Err(BlobError::Locked(_))));
        }
        assert!(matches!(open.read(place, 0, 10).await, Err(BlobError::Locked(_))));
        assert!(matches!(open.record(place.pack, place.record).await, Err(BlobError::Locked(_))));
        disk.flip_bit(&path, 20);
    }
    assert!(disk.file(&path).unwrap() == before);
    assert_eq!(with(&disk, &right).unwrap().read(place, 4, 10).await.unwrap(), &b"pixels"[..]);
}

#[tokio::test]
async fn a_pack_in_the_bucket_asks_for_its_key_at_the_start() {
    encrypted(Cipher::Aes256Gcm);
    let (dir, bucket, right) = (tempfile::tempdir().unwrap(), SimBucket::new(), keys());
    let open = |keys: &Keys| {
        let objects = Some(Bucket { ..bucket.bucket(&dir.path().join("recall")) });
        let tiers = Tiers { large: None, objects };
        Blobs::open(&dir.path().join("blobs"), Settings { tiers, keys: keys.clone(), ..small() })
    };
    let blobs = open(&right).unwrap();
    let first = put(&blobs, &bytes(1, 5000)).await.unwrap();
    put(&blobs, b"in the next pack").await.unwrap();
    blobs.move_pack(first.pack, Tier::Objects, |_| std::future::ready(())).await.unwrap();
    assert_eq!(blobs.in_objects(first.pack).unwrap().key_id(), right.current());
    // A new key for what is written; the old one is still needed.
    let new = MasterKey::random().unwrap();
    let forgotten = Keys::new(Some((Cipher::Aes256Gcm, new)), []);
    assert!(matches!(open(&forgotten), Err(BlobError::Locked(id)) if Some(id) == right.current()));
    assert_eq!(open(&right).unwrap().homes().iter().filter(|home| home.key == right.current()).count(), 2);
}

#[tokio::test]
async fn encryption_begins_changes_its_key_and_ends_in_mid_life() {
    let (one, two) = (MasterKey::random().unwrap(), MasterKey::random().unwrap());
    let lives = [
        Keys::default(),
        Keys::new(Some((Cipher::Aes256Gcm, one.clone())), []),
        Keys::new(Some((Cipher::Aes256Gcm, two.clone())), [one.clone()]),
        Keys::new(Some((Cipher::Sm4Gcm, two.clone())), [one.clone()]),
        Keys::new(None, [one, two]),
    ];
    let disk = SimDisk::new();
    let mut kept = Vec::new();
    for (life, keys) in lives.iter().enumerate() {
        let blobs = with(&disk, keys).unwrap();
        if let Some(newest) = blobs.packs().last() {
            let end = blobs.scan(newest.id, 0, 100, Depth::Whole).await.unwrap().end;
            blobs.resume(newest.id, end).await.unwrap();
        }
        for i in 0..2 {
            let content = bytes(life as u64 * 10 + i, 40_000);
            kept.push((put(&blobs, &content).await.unwrap(), content));
        }
        for (place, content) in &kept {
            assert!(blobs.read(*place, 4, u64::MAX).await.unwrap() == content[..], "life {life}");
        }
        assert_eq!(scan_all(&blobs).await.len(), kept.len());
        // What is written has the key of its time: a pack holds one kind of records.
        let pack = kept.last().unwrap().0.pack;
        let home = blobs.homes().into_iter().find(|home| home.id == pack).unwrap();
        assert_eq!(home.key, keys.current());
    }
    let blobs = with(&disk, &lives[3]).unwrap();
    let current: Vec<bool> = blobs.sealed().await.unwrap().iter().map(|pack| pack.current).collect();
    assert_eq!(current, [false, false, true], "plain, under the first key, under the second");
}

/// Somebody who can write to the disk, and computes every checksum anew, changes nothing that is taken for sound.
#[tokio::test]
async fn records_and_segments_that_were_moved_do_not_open() {
    for cipher in BOTH {
        encrypted(cipher);
        let disk = SimDisk::new();
        let blobs = with(&disk, &keys()).unwrap();
        let mut places = Vec::new();
        for i in 0..2 {
            places.push(put(&blobs, &bytes(i, 70_000)).await.unwrap());
        }
        let path = blobs.pack_path(places[0].pack);
        let sound = disk.file(&path).unwrap();
        let refused = async |what: &str, changed: Vec<u8>, at: Location| {
            disk.put_file(&path, changed);
            let blobs = with(&disk, &keys()).unwrap();
            let read = blobs.read(at, 0, u64::MAX).await;
            assert!(matches!(read, Err(BlobError::Corrupt(_))), "{what}: {read:?}");
            let scan = blobs.scan(at.pack, 0, 10, Depth::Whole).await.unwrap();
            assert_eq!(scan.records.len(), 1, "{what}");
        };
        let range = |from: u64, len: u64| from as usize..(from + len) as usize;
        let [one, two] = [places[0], places[1]];
        let len = one.record_end() - one.record;

        let mut copied = sound.clone();
        copied.copy_within(range(one.record, len), two.record as usize);
        refused("a record at the place of another", copied.clone(), two).await;
        // Also when it says that it stands there.
        copied[range(two.record + 32, 8)].copy_from_slice(&two.record.to_le_bytes());
        let crc = crc32c::crc32c(&copied[range(two.record, 60)]);
        copied[range(two.record + 60, 4)].copy_from_slice(&crc.to_le_bytes());
        refused("a record with a header of that place", copied, two).await;

        let mut swapped = sound.clone();
        let (first, second) = (range(two.at, 32 << 10), range(two.at + (32 << 10), 32 << 10));
        let segment = swapped[first.clone()].to_vec();
        swapped.copy_within(second.clone(), first.start);
        swapped[second].copy_from_slice(&segment);
        let tags = two.at - 3 * 16;
        let tag = swapped[range(tags, 16)].to_vec();
        swapped.copy_within(range(tags + 16, 16), tags as usize);
        swapped[range(tags + 16, 16)].copy_from_slice(&tag);
        seal_trailer(&mut swapped, two);
        refused("two segments of a record", swapped, two).await;

        let mut foreign = sound.clone();
        foreign.copy_within(range(one.at, 32 << 10), two.at as usize);
        foreign.copy_within(range(one.at - 3 * 16, 16), tags as usize);
        seal_trailer(&mut foreign, two);
        refused("a segment of another record", foreign, two).await;

        let mut frame = sound.clone();
        frame.copy_within(range(one.record + 64, one.at - one.record - 64), two.record as usize + 64);
        frame.copy_within(range(one.at, one.len), two.at as usize);
        seal_trailer(&mut frame, two);
        refused("everything but the header", frame, two).await;
        disk.put_file(&path, sound);
        let blobs = with(&disk, &keys()).unwrap();
        assert_eq!(blobs.scan(one.pack, 0, 10, Depth::Whole).await.unwrap().records.len(), 2);
    }
}

/// Computes the trailer's CRC anew.
fn seal_trailer(pack: &mut [u8], place: Location) {
    let trailer = (place.at + place.len) as usize;
    let crc = crc32c::crc32c(&pack[place.record as usize + 64..place.at as usize]);
    let crc = crc32c::crc32c_append(crc, &pack[trailer + 4..trailer + 44]);
    pack[trailer..trailer + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Where a key and a nonce come twice, the difference of what is on the disk is the difference of what was written. That
/// is looked for between everything that was ever on the disk, over cuts, torn ends, refused batches and second attempts.
#[tokio::test]
async fn no_keystream_comes_twice() {
    for cipher in BOTH {
        encrypted(cipher);
        let disk = SimDisk::new();
        // What was written at a place of the pack, and the first bytes that stand there.
        let mut seen: Vec<([u8; 16], [u8; 16])> = Vec::new();
        let mut note = |disk: &SimDisk, path: &Path, at: u64, text: &[u8]| {
            let pack = disk.file(path).unwrap();
            if let Some(there) = pack.get(at as usize..at as usize + 16) {
                let (text, there): ([u8; 16], [u8; 16]) = (text[..16].try_into().unwrap(), there.try_into().unwrap());
                assert_ne!(text, there);
                if seen.iter().all(|(_, before)| *before != there) {
                    seen.push((text, there));
                }
            }
        };
        let mut end = None;
        let mut pack = 0;
        for seed in 0..40_u64 {
            let blobs = with(&disk, &keys()).unwrap();
            if let Some(end) = end {
                // Goes on at the same place again and again.
                blobs.resume(pack, end).await.unwrap();
            }
            let content = bytes(seed * 7 + 1, 40_000);
            let mut entry = entry(&blobs, b"", &content).await;
            entry.meta = format!("{{\"attempt\":{seed:8}}}").into_bytes();
            if seed % 3 == 2 {
                disk.set_quota(Some(0));
                let refused = blobs.publish(vec![entry], NOW).await;
                disk.set_quota(None);
                assert!(matches!(refused, Err(BlobError::StorageFull)));
                continue;
            }
            let meta = entry.meta.clone();
            let place = blobs.publish(vec![entry], NOW).await.unwrap()[0];
            let path = blobs.pack_path(place.pack);
            note(&disk, &path, place.record + 64, &meta);
            note(&disk, &path, place.at, &content);
            note(&disk, &path, place.at + (32 << 10), &content[32 << 10..]);
            (pack, end) = (place.pack, Some(place.record));
        }
        assert!(seen.len() > 60, "{}", seen.len());
        let differ = |a: &[u8; 16], b: &[u8; 16]| -> [u8; 16] { std::array::from_fn(|i| a[i] ^ b[i]) };
        for (i, (text, there)) in seen.iter().enumerate() {
            for (other_text, other) in &seen[..i] {
                assert_ne!(differ(text, other_text), differ(there, other));
            }
        }
    }
}

/// A batch that was refused is published again, with another meta and elsewhere.
#[tokio::test]
async fn a_blob_that_was_refused_can_be_published_again() {
    encrypted(Cipher::Aes256Gcm);
    let disk = SimDisk::new();
    let blobs = with(&disk, &keys()).unwrap();
    put(&blobs, b"first").await.unwrap();
    let batch = vec![entry(&blobs, b"head", &bytes(3, 50_000)).await];
    disk.set_quota(Some(0));
    assert!(blobs.publish_blocking(&batch, NOW).is_err());
    disk.set_quota(None);
    put(&blobs, b"in between").await.unwrap();
    let Entry { staged, .. } = batch.into_iter().next().unwrap();
    let again = Entry { kind: Kind::Object, meta: b"{\"again\":1}".to_vec(), staged };
    let place = blobs.publish(vec![again], NOW).await.unwrap()[0];
    assert!(blobs.read(place, 4, u64::MAX).await.unwrap() == bytes(3, 50_000)[..]);
    assert_eq!(scan_all(&blobs).await.last().unwrap().meta, b"{\"again\":1}");
}

#[tokio::test]
async fn any_part_of_a_large_object_is_read_by_itself() {
    encrypted(Cipher::Aes256Gcm);
    let disk = SimDisk::new();
    let blobs = with(&disk, &keys()).unwrap();
    // So many segments that their tags do not fit the front that is read at once.
    let content = bytes(5, 20 << 20);
    let place = put(&blobs, &content).await.unwrap();
    let whole = [b"head", &content[..]].concat();
    for at in [0, 5, 32 << 10, (32 << 10) - 1, (17 << 20) + 11, (20 << 20) - 3] {
        for len in [1, 16, 4095, 32 << 10, 300_000] {
            let read = blobs.read(place, at as u64, len as u64).await.unwrap();
            assert!(read == whole[at..(at + len).min(whole.len())], "{at} {len}");
        }
    }
    // A flip in one segment is of no concern to the others.
    disk.flip_bit(&blobs.pack_path(place.pack), place.at as usize + (10 << 20));
    assert!(blobs.read(place, 9 << 20, 100_000).await.is_ok());
    assert!(matches!(blobs.read(place, 10 << 20, 10).await, Err(BlobError::Corrupt(_))));
}

/// A reader in another language, on other libraries, finds the same.
#[tokio::test]
async fn the_format_is_what_its_description_says() {
    let home = std::env::var("HOME").unwrap();
    let python =
        std::env::var("MINGYING_TEST_PYTHON").unwrap_or_else(|_| format!("{home}/.cache/mingying/venv/bin/python"));
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encrypted/read_pack.py");
    for cipher in [None, Some(Cipher::Aes256Gcm), Some(Cipher::Sm4Gcm)] {
        plain();
        let dir = tempfile::tempdir().unwrap();
        let key = MasterKey::random().unwrap();
        std::fs::write(dir.path().join("key"), key.to_text().as_bytes()).unwrap();
        let keys = Keys::new(cipher.map(|cipher| (cipher, key)), []);
        let blobs = Blobs::open(dir.path(), Settings { pack_size: 1 << 20, keys, ..small() }).unwrap();
        let mut batch = Vec::new();
        for (head, len) in [(&b"head"[..], 0), (b"", 0), (b"", 100), (b"head", (32 << 10) - 4), (b"head", 100_000)] {
            batch.push(entry(&blobs, head, &bytes(len as u64, len)).await);
        }
        batch
            .push(Entry { kind: Kind::Tombstone, meta: "{\"why\":\"误传\"}".into(), staged: blobs.stage().finish() });
        blobs.publish(batch, NOW).await.unwrap();
        let pack = blobs.pack_path(blobs.packs()[0].id);
        let out = Command::new(&python).arg(&reader).arg(&pack).arg(dir.path().join("key")).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let found = scan_all(&blobs).await;
        let ours: Vec<String> = found
            .iter()
            .map(|found| {
                let hash: Vec<String> = found.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
                let hash = hash.concat();
                let meta = String::from_utf8(found.meta.clone()).unwrap();
                format!("{} {} {meta} {hash} {}\n", found.location.record, found.kind.code(), found.head_len)
            })
            .collect();
        assert_eq!(said, ours.concat());
        assert_eq!(found.len(), 6);
    }
}

/// Figures for docs/adr/0014: `cargo test --release -p mingying-blob --test blob -- --ignored --nocapture speed`.
#[tokio::test]
#[ignore = "measures; of use in a release build alone"]
async fn speed() {
    const OBJECT: usize = 512 << 10;
    const COUNT: usize = 1000;
    for cipher in [None, Some(Cipher::Aes256Gcm), Some(Cipher::Sm4Gcm)] {
        let keys = Keys::new(cipher.map(|cipher| (cipher, MasterKey::random().unwrap())), []);
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), Settings { reserve: 0, keys, ..Settings::default() }).unwrap();
        let content = bytes(1, OBJECT);
        let (begun, mut places) = (std::time::Instant::now(), Vec::new());
        let mut staging = std::time::Duration::ZERO;
        for _ in 0..COUNT / 10 {
            let (from, mut batch) = (std::time::Instant::now(), Vec::new());
            for _ in 0..10 {
                let mut one = blobs.stage();
                for piece in content.chunks(64 << 10) {
                    one.write(piece).await.unwrap();
                }
                batch.push(Entry { kind: Kind::Object, meta: b"{}".to_vec(), staged: one.finish() });
            }
            staging += from.elapsed();
            places.extend(blobs.publish(batch, NOW).await.unwrap());
        }
        let stored = begun.elapsed();
        let begun = std::time::Instant::now();
        for place in &places {
            assert_eq!(blobs.read(*place, 0, u64::MAX).await.unwrap().len(), OBJECT);
        }
        let read = begun.elapsed();
        let begun = std::time::Instant::now();
        for place in &places {
            assert_eq!(blobs.read(*place, 100_000, 4096).await.unwrap().len(), 4096);
        }
        let parts = begun.elapsed();
        let rate = |took: std::time::Duration| (OBJECT * COUNT) as f64 / took.as_secs_f64() / f64::from(1 << 20);
        println!(
            "{:12} staging {:6.0} MiB/s, stored {:6.0} MiB/s, read whole {:6.0} MiB/s, 4 KiB from the middle {:5.1} us",
            cipher.map_or("plain", Cipher::as_str),
            rate(staging),
            rate(stored),
            rate(read),
            parts.as_secs_f64() * 1e6 / COUNT as f64,
        );
    }
}
