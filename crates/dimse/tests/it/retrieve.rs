//! C-MOVE to a storage SCP of DCMTK.

use crate::station::{EXPLICIT, IMPLICIT, Image, JPEG_LS, Station, data_set_of, filled, said};
use dicom_dictionary_std::tags;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// A storescp that writes into its own folder.
struct Destination {
    port: u16,
    dir: PathBuf,
    _child: Child,
}

impl Destination {
    async fn start(station: &Station, options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let dir = station.dir().join(format!("received-{port}"));
        std::fs::create_dir(&dir).unwrap();
        let child = Command::new("/usr/bin/storescp")
            .args(options)
            .args(["--bit-preserving", "--output-directory"])
            .arg(&dir)
            .arg(port.to_string())
            .env("TCP_NODELAY", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Self { port, dir, _child: child }
    }

    fn received(&self) -> Vec<PathBuf> {
        std::fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

async fn movescu(station: &Station, destination: &str, keys: &[&str]) -> String {
    let mut rest = Vec::new();
    for key in keys {
        rest.extend(["-k", key]);
    }
    let options = ["-S", "-d", "-aet", "WS01", "-aec", "MINGYING", "-aem", destination];
    said(&station.dcmtk("movescu", &options, &rest).await)
}

/// The value of a line of the last response in movescu's debug output.
fn last_value<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().rfind(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split_once(':').and_then(|(_, rest)| rest.split_once(':')).map_or("", |(_, value)| value.trim())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_goes_where_it_was_asked_to() {
    let mut images: Vec<Image> = (1..=3).map(|n| Image::new(1, 1, n)).collect();
    images[1].bytes = 2_500_000;
    images[2].syntax = IMPLICIT;
    let station = filled(&images).await;
    let destination = Destination::start(&station, &[]).await;
    station.add_peer("WS02", destination.port, "").await;
    let study = format!("StudyInstanceUID={}", images[0].study);
    let text = movescu(&station, "WS02", &["QueryRetrieveLevel=STUDY", &study]).await;
    assert!(text.contains("0x0000"), "{text}");
    assert_eq!(last_value(&text, "Completed Suboperations"), "3", "{text}");
    assert_eq!(last_value(&text, "Failed Suboperations"), "0");
    let received = destination.received();
    assert_eq!(received.len(), 3);
    for image in &images {
        let sent = std::fs::read(station.dir().join(format!("{}.dcm", image.sop))).unwrap();
        let arrived = received.iter().find(|p| p.to_string_lossy().ends_with(&image.sop)).unwrap();
        assert_eq!(data_set_of(&std::fs::read(arrived).unwrap()), data_set_of(&sent), "{}", image.sop);
    }
    assert!(station.audited("study.read", "done").await >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_and_images_are_picked() {
    let images = [Image::new(1, 1, 1), Image::new(1, 1, 2), Image::new(1, 2, 1)];
    let station = filled(&images).await;
    let destination = Destination::start(&station, &[]).await;
    station.add_peer("WS02", destination.port, "").await;
    let study = format!("StudyInstanceUID={}", images[0].study);
    let series = format!("SeriesInstanceUID={}", images[2].series);
    movescu(&station, "WS02", &["QueryRetrieveLevel=SERIES", &study, &series]).await;
    assert_eq!(destination.received().len(), 1);
    let series = format!("SeriesInstanceUID={}", images[0].series);
    let sop = format!("SOPInstanceUID={}", images[1].sop);
    movescu(&station, "WS02", &["QueryRetrieveLevel=IMAGE", &study, &series, &sop]).await;
    let received = destination.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().any(|p| p.to_string_lossy().ends_with(&images[1].sop)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_destination_does_not_take_is_counted_as_failed() {
    let mut images: Vec<Image> = (1..=2).map(|n| Image::new(1, 1, n)).collect();
    images[1].syntax = JPEG_LS;
    images[1].damaged = true;
    let station = filled(&images).await;
    // Uncompressed transfer syntaxes only.
    let destination = Destination::start(&station, &["+x="]).await;
    station.add_peer("WS02", destination.port, "").await;
    let study = format!("StudyInstanceUID={}", images[0].study);
    let text = movescu(&station, "WS02", &["QueryRetrieveLevel=STUDY", &study]).await;
    assert_eq!(last_value(&text, "Completed Suboperations"), "1", "{text}");
    assert_eq!(last_value(&text, "Failed Suboperations"), "1", "{text}");
    assert!(text.to_lowercase().contains("0xb000"), "{text}");
    assert!(text.contains(&images[1].sop), "the failed one is named: {text}");
    assert!(text.contains("dimse.unconvertible"), "and why: {text}");
    assert_eq!(destination.received().len(), 1);
}

/// Bytes of Pixel Data of a file whose pixels are native.
fn pixels_of(path: &Path) -> Vec<u8> {
    dicom_object::open_file(path).unwrap().element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_gets_the_transfer_syntax_that_it_takes() {
    let station = Station::start().await;
    let mut images: Vec<Image> = (1..=4).map(|n| Image::new(1, 1, n)).collect();
    images[1].syntax = JPEG_LS;
    images[2].syntax = IMPLICIT;
    let mut files: Vec<PathBuf> = images.iter().map(|image| image.write(station.dir())).collect();
    // JPEG lossless, by somebody else's encoder.
    let jpeg = station.dir().join("jpeg.dcm");
    let made = Command::new("/usr/bin/dcmcjpeg").args(["+e1", "+ud"]).arg(&files[3]).arg(&jpeg).status().await.unwrap();
    assert!(made.success());
    files[3] = jpeg;
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    assert_eq!(station.python("store.py", "CT01", &names).await, vec!["0000"; 4]);
    let study = format!("StudyInstanceUID={}", images[0].study);
    let native: Vec<Vec<u8>> = (1..=4)
        .map(|n| {
            let mut image = Image::new(1, 1, n);
            image.sop = format!("{}.9", image.sop);
            pixels_of(&image.write(station.dir()))
        })
        .collect();
    for (title, options, syntax) in
        [("IMPL", ["+xi"], IMPLICIT), ("EXPL", ["+xe"], EXPLICIT), ("BOTH", ["+x="], EXPLICIT)]
    {
        let destination = Destination::start(&station, &options).await;
        station.add_peer(title, destination.port, "").await;
        let text = movescu(&station, title, &["QueryRetrieveLevel=STUDY", &study]).await;
        assert_eq!(last_value(&text, "Completed Suboperations"), "4", "{title}: {text}");
        let received = destination.received();
        assert_eq!(received.len(), 4);
        for (image, native) in images.iter().zip(&native) {
            let path = received.iter().find(|p| p.to_string_lossy().ends_with(&image.sop)).unwrap();
            let object = dicom_object::open_file(path).unwrap();
            let found = object.meta().transfer_syntax().trim_end_matches('\0');
            // `+xe` and `+x=` take both: what is stored as one of them goes as it is.
            let expected = if title != "IMPL" && image.syntax == IMPLICIT { IMPLICIT } else { syntax };
            assert_eq!(found, expected, "{title} {}", image.number);
            assert!(pixels_of(path) == *native, "{title} {}: every sample", image.number);
            assert_eq!(object.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), image.patient_name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_are_not_there() {
    let images = [Image::new(1, 1, 1)];
    let station = filled(&images).await;
    let study = format!("StudyInstanceUID={}", images[0].study);
    let text = movescu(&station, "NOWHERE", &["QueryRetrieveLevel=STUDY", &study]).await;
    assert!(text.to_lowercase().contains("0xa801"), "{text}");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    station.add_peer("DOWN", free, "").await;
    let text = movescu(&station, "DOWN", &["QueryRetrieveLevel=STUDY", &study]).await;
    assert!(text.to_lowercase().contains("0xa702"), "{text}");
    assert_eq!(last_value(&text, "Failed Suboperations"), "1", "{text}");
    // Without a unique key there is nothing to send, and the archive is not sent either.
    let text = movescu(&station, "DOWN", &["QueryRetrieveLevel=STUDY", "StudyInstanceUID="]).await;
    assert!(text.to_lowercase().contains("0xa900"), "{text}");
    // A study that nobody has is sent completely: zero objects.
    let text = movescu(&station, "DOWN", &["QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3"]).await;
    assert!(text.contains("0x0000"), "{text}");
}
