//! C-STORE: what was acknowledged is there, as it was sent.

use crate::station::{EXPLICIT, IMPLICIT, Image, JPEG_LS, Station, data_set_of, said, settings};
use mingying_dimse::list_peers;
use mingying_kernel::Role;
use std::path::Path;

/// The stored data set, byte for byte.
async fn stored(station: &Station, image: &Image) -> Vec<u8> {
    let found = station
        .archive
        .instances_of(&station.may_read(), &image.study, Some(&image.series), Some(&image.sop))
        .await
        .unwrap();
    let [instance] = &found[..] else { panic!("{} instances", found.len()) };
    assert_eq!(instance.transfer_syntax, image.syntax);
    let (at, end) = (instance.head_len as u64, instance.size as u64);
    station.archive.read(instance, at, end - at).await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_kept_as_sent() {
    let station = Station::start().await;
    let mut images: Vec<Image> = (1..=5).map(|n| Image::new(1, 1, n)).collect();
    images[1].bytes = 600_000;
    images[2].syntax = IMPLICIT;
    images[3].syntax = JPEG_LS;
    images[3].bytes = 300_000;
    images[4].charset = "GB18030";
    let files: Vec<_> = images.iter().map(|image| image.write(station.dir())).collect();
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    // pynetdicom sends a file's own bytes, each on a context with the file's own transfer syntax.
    let statuses = station.python("store.py", "CT01", &names).await;
    assert_eq!(statuses, ["0000"; 5]);
    for (image, file) in images.iter().zip(&files) {
        let sent = std::fs::read(file).unwrap();
        assert_eq!(stored(&station, image).await, data_set_of(&sent), "{}", image.sop);
    }
    // The same again changes nothing and is acknowledged.
    let statuses = station.python("store.py", "CT01", &names).await;
    assert_eq!(statuses, ["0000"; 5]);
    assert_eq!(station.instances(&images[0].study).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_storescus_at_once() {
    let station = Station::start().await;
    for aet in ["CT01", "CT02", "MR01", "DR01"] {
        station.add_peer(aet, 104, "").await;
    }
    let stores = (1..=4u32).zip(["CT01", "CT02", "MR01", "DR01"]).map(|(study, aet)| {
        let files: Vec<_> = (1..=25)
            .map(|n| {
                let mut image = Image::new(study, 1, n);
                image.bytes = 20_000;
                image.write(station.dir())
            })
            .collect();
        let station = &station;
        async move {
            let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
            station.store(aet, &files).await;
        }
    });
    futures::future::join_all(stores).await;
    for study in 1..=4 {
        assert_eq!(station.instances(&Image::new(study, 1, 1).study).await.len(), 25);
    }
    assert_eq!(station.dimse.open_associations(), 0);
    // Counters are written at the latest when the listener ends.
    station.stop.cancel();
    while !station.serving.is_finished() {
        tokio::task::yield_now().await;
    }
    let peers = list_peers(&station.db, &station.ctx(Role::Head).permit().unwrap()).await.unwrap();
    assert!(peers.iter().all(|peer| peer.received == 25 && peer.last_seen.is_some()), "{peers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_pdus_make_the_same_object() {
    let station = Station::start().await;
    let mut image = Image::new(7, 1, 1);
    image.bytes = 100_000;
    let file = image.write(station.dir());
    let output = station
        .dcmtk("storescu", &["-aet", "CT01", "-aec", "MINGYING", "--max-send-pdu", "4096"], &[file.to_str().unwrap()])
        .await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(stored(&station, &image).await, data_set_of(&std::fs::read(&file).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_data_sets_are_refused_and_the_association_goes_on() {
    let station = Station::start().await;
    let good = Image::new(2, 1, 1);
    let broken = Image::new(2, 1, 2);
    let liar = Image::new(2, 1, 3);
    let files = [broken.write(station.dir()), liar.write(station.dir()), good.write(station.dir())];
    // Cut in the middle of the pixels: the element promises more than comes.
    let bytes = std::fs::read(&files[0]).unwrap();
    std::fs::write(&files[0], &bytes[..bytes.len() - 1000]).unwrap();
    // The data set names another instance than the file meta information, which the request repeats.
    let mut bytes = std::fs::read(&files[1]).unwrap();
    let at = bytes.windows(liar.sop.len()).rposition(|w| w == liar.sop.as_bytes()).unwrap();
    let last = at + liar.sop.len() - 1;
    bytes[last] = b'9';
    std::fs::write(&files[1], &bytes).unwrap();
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    let statuses = station.python("store.py", "CT01", &names).await;
    assert_eq!(statuses, ["C000", "A900", "0000"]);
    let kept = station.instances(&good.study).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].sop_uid, good.sop);
    let quarantined = station.archive.quarantine(&station.ctx(Role::Qc).permit().unwrap(), 10, None).await.unwrap();
    assert_eq!(quarantined.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_classes_are_stored_when_configured() {
    let image = Image::new(3, 1, 1);
    let private = "1.2.826.0.1.3680043.9999.77";
    let mut open = settings();
    open.private_storage_classes.push(private.to_owned());
    for (settings, expected) in [(settings(), "no association"), (open, "0000")] {
        let station = Station::start_with(settings, None).await;
        let file = image.write(station.dir());
        let patched = patch_class(&std::fs::read(&file).unwrap(), private);
        std::fs::write(&file, patched).unwrap();
        let statuses = station.python("store.py", "CT01", &[file.to_str().unwrap()]).await;
        assert_eq!(statuses, [expected]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_has_its_status() {
    // More has to stay free than any disk has.
    let full = mingying_blob::Settings { reserve: u64::MAX, ..mingying_blob::Settings::default() };
    let station = Station::start_on(settings(), None, full).await;
    let files = [Image::new(4, 1, 1).write(station.dir()), Image::new(4, 1, 2).write(station.dir())];
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    assert_eq!(station.python("store.py", "CT01", &names).await, ["A700", "A700"]);
    assert!(station.instances(&Image::new(4, 1, 1).study).await.is_empty());
    let echo = station.dcmtk("echoscu", &["-aet", "CT01", "-aec", "MINGYING"], &[]).await;
    assert!(echo.status.success(), "the service stays up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_object_under_a_known_uid_overwrites_nothing() {
    let station = Station::start().await;
    let first = Image::new(5, 1, 1);
    let file = first.write(station.dir());
    let sent = std::fs::read(&file).unwrap();
    let mut second = first.clone();
    second.bytes = 4096;
    assert_eq!(station.python("store.py", "CT01", &[file.to_str().unwrap()]).await, ["0000"]);
    let file = second.write(station.dir());
    assert_eq!(station.python("store.py", "CT01", &[file.to_str().unwrap()]).await, ["0000"]);
    assert_eq!(stored(&station, &first).await, data_set_of(&sent));
}

/// Writes the file anew with another SOP class.
fn patch_class(file: &[u8], class: &str) -> Vec<u8> {
    let mut object = dicom_object::from_reader(file).unwrap();
    let meta = dicom_object::FileMetaTableBuilder::new().transfer_syntax(EXPLICIT).media_storage_sop_class_uid(class);
    object.put(dicom_core::DataElement::new(
        dicom_dictionary_std::tags::SOP_CLASS_UID,
        dicom_core::VR::UI,
        dicom_core::PrimitiveValue::from(class),
    ));
    let object: dicom_object::InMemDicomObject = (*object).clone();
    let mut out = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut out).unwrap();
    out
}
