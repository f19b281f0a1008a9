//! C-GET by DCMTK and pynetdicom.

use crate::hostile;
use crate::station::{CT, EXPLICIT, IMPLICIT, Image, JPEG_LS, Station, data_set_of, filled, said};
use std::path::PathBuf;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;

fn folder(station: &Station, name: &str) -> PathBuf {
    let path = station.dir().join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

/// What get.py printed: objects as UID and transfer syntax, then the responses in words.
struct Got {
    stored: Vec<(String, String)>,
    responses: Vec<Vec<String>>,
    dir: PathBuf,
}

impl Got {
    fn last(&self) -> Vec<&str> {
        self.responses.last().unwrap().iter().map(String::as_str).collect()
    }

    fn bytes(&self, uid: &str) -> Vec<u8> {
        std::fs::read(self.dir.join(format!("{uid}.dcm"))).unwrap()
    }
}

async fn get(station: &Station, model: &str, options: &str, keys: &str) -> Got {
    let dir = folder(station, &format!("got-{}", std::fs::read_dir(station.dir()).unwrap().count()));
    let lines = station.python("get.py", "WS01", &[model, options, keys, dir.to_str().unwrap()]).await;
    let mut got = Got { stored: Vec::new(), responses: Vec::new(), dir };
    for line in lines {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match &*words {
            [word, uid, syntax] if word == "stored" => got.stored.push((uid.clone(), syntax.clone())),
            _ => got.responses.push(words),
        }
    }
    got
}

fn study(image: &Image) -> String {
    format!(r#"{{"QueryRetrieveLevel":"STUDY","StudyInstanceUID":"{}"}}"#, image.study)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_comes_back_over_the_same_association() {
    let mut images: Vec<Image> = (1..=4).map(|n| Image::new(1, 1, n)).collect();
    images[1].bytes = 2_500_000;
    images[2].syntax = IMPLICIT;
    images[3].syntax = JPEG_LS;
    let station = filled(&images).await;
    // A context for each transfer syntax: everything goes untouched.
    let options = format!(r#"{{"syntaxes":["{IMPLICIT}","{EXPLICIT}","{JPEG_LS}"]}}"#);
    let got = get(&station, "study", &options, &study(&images[0])).await;
    assert_eq!(got.last()[..5], ["0000", "-", "4", "0", "0"]);
    assert_eq!(got.responses.len(), 5, "a pending response for each object");
    assert_eq!(got.responses[0][..5], ["FF00", "3", "1", "0", "0"]);
    for image in &images {
        let sent = std::fs::read(station.dir().join(format!("{}.dcm", image.sop))).unwrap();
        let file = got.bytes(&image.sop);
        assert!(data_set_of(&file) == data_set_of(&sent), "{}", image.sop);
        assert!(got.stored.contains(&(image.sop.clone(), image.syntax.to_owned())), "{:?}", got.stored);
    }
    assert_eq!(station.audited("study.read", "done").await, 1);
    // One transfer syntax only: the rest is turned into it.
    let got = get(&station, "study", &format!(r#"{{"syntaxes":["{IMPLICIT}"]}}"#), &study(&images[0])).await;
    assert_eq!(got.last()[..5], ["0000", "-", "4", "0", "0"]);
    assert!(got.stored.iter().all(|(_, syntax)| syntax == IMPLICIT));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn getscu_gets_patients_and_series() {
    let images = [Image::new(1, 1, 1), Image::new(1, 2, 1), Image::new(2, 1, 1)];
    let station = filled(&images).await;
    let getscu = async |name: &str, model: &str, keys: &[&str]| {
        let dir = folder(&station, name);
        let options = [model, "-v", "+B", "-od", dir.to_str().unwrap(), "-aet", "WS01", "-aec", "MINGYING"];
        let rest: Vec<&str> = keys.iter().flat_map(|key| ["-k", key]).collect();
        let text = said(&station.dcmtk("getscu", &options, &rest).await);
        (std::fs::read_dir(&dir).unwrap().count(), text)
    };
    let (count, text) = getscu("patient", "-P", &["QueryRetrieveLevel=PATIENT", "PatientID=P1001"]).await;
    assert_eq!(count, 3, "{text}");
    let series = format!("SeriesInstanceUID={}", images[1].series);
    let study = format!("StudyInstanceUID={}", images[1].study);
    let (count, text) = getscu("series", "-S", &["QueryRetrieveLevel=SERIES", &study, &series]).await;
    assert_eq!(count, 1, "{text}");
    let (count, text) = getscu("relational", "-S", &["QueryRetrieveLevel=SERIES", &series]).await;
    assert_eq!(count, 1, "without the study's UID: {text}");
    let (count, text) = getscu("all", "-P", &["QueryRetrieveLevel=PATIENT", "PatientID=*"]).await;
    assert_eq!(count, 0, "no wildcard: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_caller_cannot_take_is_counted_as_failed() {
    let mut images: Vec<Image> = (1..=3).map(|n| Image::new(1, 1, n)).collect();
    images[1].syntax = JPEG_LS;
    images[1].damaged = true;
    let station = filled(&images).await;
    let got = get(&station, "study", "{}", &study(&images[0])).await;
    assert_eq!(got.last(), ["B000", "-", "2", "1", "0", "dimse.unconvertible", &images[1].sop]);
    // No context of the class, and a context without the role: nothing can be sent.
    let classes = r#"{"classes":["1.2.840.10008.5.1.4.1.1.4"]}"#;
    for options in [classes, r#"{"role":false}"#] {
        let got = get(&station, "study", options, &study(&images[0])).await;
        assert_eq!(got.last()[..6], ["A702", "-", "0", "3", "0", "dimse.not_accepted"], "{options}");
        assert_eq!(got.last()[6].split(',').count(), 3);
    }
    // The caller's own answers count too.
    let got =
        get(&station, "study", r#"{"answer":"A700","syntaxes":["1.2.840.10008.1.2.1"]}"#, &study(&images[0])).await;
    assert_eq!(got.last()[..5], ["A702", "-", "0", "3", "0"]);
    let got = get(&station, "study", r#"{"answer":"B000"}"#, &study(&images[0])).await;
    assert_eq!(got.last()[..5], ["B000", "-", "0", "1", "2"]);
    // What nobody has is complete with nothing.
    let keys = r#"{"QueryRetrieveLevel":"STUDY","StudyInstanceUID":"1.2.3"}"#;
    assert_eq!(get(&station, "study", "{}", keys).await.last()[..5], ["0000", "-", "0", "0", "0"]);
    for keys in [r#"{"QueryRetrieveLevel":"STUDY"}"#, r#"{"QueryRetrieveLevel":"PATIENT","PatientID":"P1001"}"#] {
        assert_eq!(get(&station, "study", "{}", keys).await.last()[0], "A900", "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_or_an_end_in_the_middle_leaves_the_service_unharmed() {
    let images: Vec<Image> = (1..=20).map(|n| Image::new(1, 1, n)).collect();
    let station = filled(&images).await;
    let got = get(&station, "study", r#"{"cancel_after":3}"#, &study(&images[0])).await;
    let last = got.last();
    assert_eq!(last[0], "FE00", "{last:?}");
    let number = |at: usize| last[at].parse::<usize>().unwrap();
    assert_eq!(number(1) + number(2), 20, "what remained is said: {last:?}");
    assert_eq!(number(2), got.stored.len(), "and what came: {last:?}");
    assert!(got.stored.len() < 20);
    // The peer is gone without a word.
    get(&station, "study", r#"{"abort_after":5}"#, &study(&images[0])).await;
    while station.dimse.open_associations() > 0 {
        tokio::task::yield_now().await;
    }
    let got = get(&station, "study", "{}", &study(&images[0])).await;
    assert_eq!(got.last()[..5], ["0000", "-", "20", "0", "0"]);
}

/// A raw peer's association for Study Root C-GET on 1 and CT storage on 3, with the role of a provider alone.
async fn receiver(station: &Station) -> TcpStream {
    let class = CT.as_bytes();
    let role = [&(class.len() as u16).to_be_bytes(), class, &[0, 1]].concat();
    let rq = hostile::request_with("MINGYING", &["1.2.840.10008.5.1.4.1.2.2.3", CT], &hostile::item(0x54, &role));
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.write_all(&rq).await.unwrap();
    let answer = hostile::read_pdu(&mut socket).await.unwrap();
    assert_eq!(answer[0], 0x02);
    assert!(answer.windows(role.len()).any(|w| w == role), "the role is granted");
    socket
}

/// A command set with its class, and more elements of ascending numbers.
fn command(class: &str, field: u16, data: bool, more: &[(u16, &[u8])]) -> Vec<u8> {
    let mut class = class.as_bytes().to_vec();
    class.resize(class.len().next_multiple_of(2), 0);
    let has: &[u8] = if data { &[0, 0] } else { &[1, 1] };
    let mut elements = vec![(0x0002, &class[..]), (0x0800, has)];
    let field = field.to_le_bytes();
    elements.push((0x0100, &field));
    elements.extend(more);
    elements.sort_by_key(|(number, _)| *number);
    elements.iter().flat_map(|(number, value)| hostile::element(*number, value)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_chose_to_receive_does_not_send() {
    let station = Station::start().await;
    let mut socket = receiver(&station).await;
    let store = command(CT, 0x0001, true, &[(0x0110, &[1, 0]), (0x1000, b"1.2.3\0")]);
    socket.write_all(&hostile::p_data(3, 3, &store)).await.unwrap();
    socket.write_all(&hostile::p_data(3, 2, &[8, 0, 0x16, 0, 0, 0, 0, 0])).await.unwrap();
    assert_eq!(hostile::status_of(&hostile::read_pdu(&mut socket).await.unwrap()), 0x0124);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_out_of_turn_end_a_retrieval() {
    let images: Vec<Image> = (1..=3).map(|n| Image::new(1, 1, n)).collect();
    let station = filled(&images).await;
    let get = command("1.2.840.10008.5.1.4.1.2.2.3", 0x0010, true, &[(0x0110, &[9, 0]), (0x0700, &[0, 0])]);
    let text = |tag: [u8; 4], value: &str| {
        let mut value = value.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), if tag[0] == 8 { b' ' } else { 0 });
        [&tag[..], &(value.len() as u32).to_le_bytes(), &value].concat()
    };
    let keys = [text([8, 0, 0x52, 0], "STUDY"), text([0x20, 0, 0x0D, 0], &images[0].study)].concat();
    let success = |message: u8| command(CT, 0x8001, false, &[(0x0120, &[message, 0]), (0x0900, &[0, 0])]);
    // To another message, a response of another kind, and a request in the middle of ours.
    let other = command(CT, 0x8020, false, &[(0x0120, &[1, 0]), (0x0900, &[0, 0])]);
    for wrong in [success(77), other, get.clone()] {
        let mut socket = receiver(&station).await;
        socket.write_all(&hostile::p_data(1, 3, &get)).await.unwrap();
        socket.write_all(&hostile::p_data(1, 2, &keys)).await.unwrap();
        assert_eq!(hostile::read_pdu(&mut socket).await.unwrap()[0], 0x04, "the first object comes");
        socket.write_all(&hostile::p_data(3, 3, &wrong)).await.unwrap();
        let mut kinds = Vec::new();
        while let Some(pdu) = hostile::read_pdu(&mut socket).await {
            kinds.push(pdu[0]);
        }
        assert_eq!(kinds.last(), Some(&0x07), "{kinds:?}");
    }
    let got = self::get(&station, "study", "{}", &study(&images[0])).await;
    assert_eq!(got.last()[..5], ["0000", "-", "3", "0", "0"]);
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_instances_in_bounded_memory() {
    const MANY: u32 = 10_000;
    let station = Station::start().await;
    let mut image = Image::new(1, 1, 10_000);
    image.bytes = 4096;
    let template = std::fs::read(image.write(station.dir())).unwrap();
    station.take_many(&template, &image, MANY).await;
    // What the client says goes into a file: gathered here, it would be counted as ours.
    let log = station.dir().join("getscu.log");
    let before = resident();
    let status = Command::new("/usr/bin/getscu")
        .args(["-S", "-d", "--ignore", "-aet", "WS01", "-aec", "MINGYING", "127.0.0.1", &station.port.to_string()])
        .args(["-k", "QueryRetrieveLevel=STUDY", "-k", &format!("StudyInstanceUID={}", image.study)])
        .env("TCP_NODELAY", "1")
        .stderr(std::fs::File::create(&log).unwrap())
        .stdout(std::process::Stdio::null())
        .status()
        .await
        .unwrap();
    let grown = resident().saturating_sub(before);
    assert!(status.success());
    let text = std::fs::read_to_string(&log).unwrap();
    let tail: String = text.lines().rev().take(12).collect::<Vec<_>>().join("\n");
    assert!(text.contains(&format!("Completed Suboperations       : {MANY}")), "{tail}");
    assert!(grown < 64 << 20, "grew by {} MiB", grown >> 20);
}
