//! The router in-process, over a SQLite archive filled with generated objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine;
use bytes::Bytes;
use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use http_body_util::BodyExt;
use mingying_archive::{Archive, Settings};
use mingying_blob::Blobs;
use mingying_dicom::{Limits, part10, read_data_set};
use mingying_dicomweb::{Authenticate, Refused, Renderers, Web, router};
use mingying_kernel::{Actor, ActorKind, Ctx, OrgId, Policy, Role, Scope, SharedClock};
use mingying_testkit::TestDb;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const HTJ2K: &str = "1.2.840.10008.1.2.4.202";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const JSON: &str = "application/dicom+json";

/// Reads with `reader`, stores with `sender`, does everything with `all`.
struct ByToken;

impl Policy for ByToken {
    fn allow(&self, actor: &Actor, action: &str) -> Option<Scope> {
        match (actor.id.as_str(), action) {
            ("all", _) | ("reader", "study.read") | ("sender", "study.store") => Some(Scope::All),
            ("stranger", _) => Some(Scope::Org(OrgId::new())),
            _ => None,
        }
    }
}

struct Gate {
    clock: SharedClock,
    refused: Arc<Mutex<Vec<&'static str>>>,
}

#[async_trait]
impl Authenticate for Gate {
    async fn authenticate(&self, parts: &Parts) -> Result<Ctx, Refused> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let token = header.ok_or(Refused::ANONYMOUS)?.trim_start_matches("Bearer ");
        let actor = Actor {
            kind: ActorKind::Device,
            id: token.to_owned(),
            name: token.to_owned(),
            roles: vec![Role::Machine],
            org: None,
        };
        Ok(Ctx::new(actor, "test", Arc::new(ByToken), self.clock.clone()))
    }

    async fn denied(&self, _: &Ctx, action: &'static str) {
        self.refused.lock().unwrap().push(action);
    }
}

struct Bench {
    _db: TestDb,
    archive: Archive,
    router: axum::Router,
    refused: Arc<Mutex<Vec<&'static str>>>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        self.json()["code"].as_str().unwrap().to_owned()
    }

    fn kind(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().unwrap()
    }

    /// Content-Type and body of each part.
    fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let boundary = format!("--{}", self.kind().split("boundary=").nth(1).unwrap());
        let mut parts = Vec::new();
        let mut rest = &self.body[..];
        let at = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).position(|w| w == needle);
        while let Some(start) = at(rest, boundary.as_bytes()) {
            rest = &rest[start + boundary.len()..];
            if rest.starts_with(b"--") {
                break;
            }
            let head = at(rest, b"\r\n\r\n").unwrap();
            let end = at(rest, format!("\r\n{boundary}").as_bytes()).unwrap();
            let kind = String::from_utf8(rest[..head].to_vec()).unwrap().replace("\r\nContent-Type: ", "");
            parts.push((kind, rest[head + 4..end].to_vec()));
            rest = &rest[end..];
        }
        parts
    }
}

impl Bench {
    async fn new() -> Self {
        let db = mingying_testkit::sqlite().await;
        let blobs =
            Blobs::open(&db.dir.path().join("blobs"), mingying_blob::Settings { reserve: 0, ..Default::default() })
                .unwrap();
        let clock: SharedClock = mingying_testkit::clock();
        let settings = Settings { max_object: 4 << 20, ..Settings::new(OrgId::new()) };
        let archive = Archive::open(db.db.clone(), blobs, clock.clone(), settings).await.unwrap();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let gate = Gate { clock, refused: refused.clone() };
        let web = Web::new(archive.clone(), Arc::new(gate), Renderers::new(2)).at("http://pacs.test:8080");
        Self { _db: db, archive, router: router(web), refused }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        let request = Request::get(path).header(header::AUTHORIZATION, "all").header(header::ACCEPT, accept);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header(header::AUTHORIZATION, "all").header(header::CONTENT_TYPE, kind);
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn store(&self, path: &str, files: &[Vec<u8>]) -> Answer {
        self.post(path, "multipart/related; type=\"application/dicom\"; boundary=\"x y\"", multipart(files)).await
    }

    async fn close(self) {
        self.archive.close().await;
    }
}

fn multipart(files: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"preamble".to_vec();
    for file in files {
        body.extend(b"\r\n--x y\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(file);
    }
    body.extend(b"\r\n--x y--\r\n");
    body
}

fn words(seed: u16) -> Vec<u16> {
    (0..16 * 12).map(|i| (i * 19 + seed) % 4096).collect()
}

fn raw(seed: u16) -> Vec<u8> {
    words(seed).iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Study, series, instance by numbers.
fn object(study: u32, series: u32, number: u16) -> InMemDicomObject {
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let text = |tag, vr, value: String| DataElement::new(tag, vr, PrimitiveValue::from(value));
    InMemDicomObject::from_element_iter([
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192".into()),
        text(tags::SOP_CLASS_UID, VR::UI, CT.into()),
        text(tags::SOP_INSTANCE_UID, VR::UI, format!("1.9.{study}.{series}.{number}")),
        text(tags::STUDY_INSTANCE_UID, VR::UI, format!("1.9.{study}")),
        text(tags::SERIES_INSTANCE_UID, VR::UI, format!("1.9.{study}.{series}")),
        text(tags::STUDY_DATE, VR::DA, "20260302".into()),
        text(tags::MODALITY, VR::CS, "CT".into()),
        text(tags::ACCESSION_NUMBER, VR::SH, format!("ACC{study}")),
        text(tags::PATIENT_NAME, VR::PN, "Zhang^San=张^三".into()),
        text(tags::PATIENT_ID, VR::LO, format!("P{study}")),
        text(tags::SERIES_NUMBER, VR::IS, series.to_string()),
        text(tags::INSTANCE_NUMBER, VR::IS, number.to_string()),
        text(tags::WINDOW_CENTER, VR::DS, "2048".into()),
        text(tags::WINDOW_WIDTH, VR::DS, "4096".into()),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into()),
        us(tags::SAMPLES_PER_PIXEL, 1),
        us(tags::ROWS, 12),
        us(tags::COLUMNS, 16),
        us(tags::BITS_ALLOCATED, 16),
        us(tags::BITS_STORED, 12),
        us(tags::HIGH_BIT, 11),
        us(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(dicom_core::Tag(0x0009, 0x1010), VR::OB, PrimitiveValue::from(vec![7u8; 3000])),
        DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words(number).into())),
    ])
}

fn file_as(object: &InMemDicomObject, syntax: &str) -> Vec<u8> {
    let uid = |tag| object.element(tag).unwrap().to_str().unwrap().to_string();
    let mut out = part10::write_header(&uid(tags::SOP_CLASS_UID), &uid(tags::SOP_INSTANCE_UID), syntax, None);
    let entry = match syntax {
        IMPLICIT => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
        BIG => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
        _ => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
    };
    object.write_dataset_with_ts(&mut out, &entry).unwrap();
    out
}

fn file(study: u32, series: u32, number: u16) -> Vec<u8> {
    file_as(&object(study, series, number), EXPLICIT)
}

/// An object of two encapsulated frames.
fn encapsulated(study: u32, syntax: &str, frames: Vec<Vec<u8>>) -> Vec<u8> {
    let mut object = object(study, 1, 1);
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames.len().to_string()));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new(vec![], frames)));
    file_as(&object, syntax)
}

/// A 16-bit frame whose two byte planes are literal runs.
fn rle(seed: u16) -> Vec<u8> {
    let plane = |shift: u32| {
        let bytes: Vec<u8> = words(seed).iter().map(|w| (w >> shift) as u8).collect();
        bytes
            .chunks(128)
            .flat_map(|run| std::iter::once(run.len() as u8 - 1).chain(run.iter().copied()))
            .collect::<Vec<u8>>()
    };
    let (high, low) = (plane(8), plane(0));
    let mut out: Vec<u8> = [2u32, 64, 64 + high.len() as u32].iter().flat_map(|v| v.to_le_bytes()).collect();
    out.resize(64, 0);
    out.extend(high);
    out.extend(low);
    out.resize(out.len() + out.len() % 2, 0);
    out
}

const MULTIPART: &str = "multipart/related; type=\"application/dicom\"";
const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_objects_are_found_and_come_back_byte_for_byte() {
    let bench = Bench::new().await;
    let files: Vec<Vec<u8>> = (1..=3).map(|n| file(1, 1, n)).chain([file(1, 2, 1)]).collect();
    let answer = bench.store("/studies", &files).await;
    assert_eq!(answer.status, StatusCode::OK);
    let json = answer.json();
    assert_eq!(json["00081190"]["Value"][0], "http://pacs.test:8080/dicom-web/studies/1.9.1");
    assert_eq!(json["00081199"]["Value"].as_array().unwrap().len(), 4);
    assert_eq!(json["00081199"]["Value"][1]["00081155"]["Value"][0], "1.9.1.1.2");
    assert!(json.get("00081198").is_none());

    let found = bench.get("/studies?PatientID=P1", JSON).await.json();
    assert_eq!(found[0]["00100010"]["Value"][0], json!({"Alphabetic": "Zhang^San", "Ideographic": "张^三"}));
    assert_eq!(found[0]["00201208"]["Value"][0], 4);
    assert_eq!(bench.get("/studies?PatientID=nobody", "").await.json(), json!([]));
    assert_eq!(bench.get("/studies/1.9.1/series", "").await.json().as_array().unwrap().len(), 2);
    assert_eq!(bench.get("/series?Modality=CT", "").await.json().as_array().unwrap().len(), 2);
    let instances = bench.get("/studies/1.9.1/series/1.9.1.1/instances?includefield=all", "").await.json();
    assert_eq!(instances.as_array().unwrap().len(), 3);
    assert_eq!(instances[0]["00280010"]["Value"][0], 12);
    assert_eq!(bench.get("/studies/1.9.1/instances", "").await.json().as_array().unwrap().len(), 4);
    assert_eq!(bench.get("/instances?SOPInstanceUID=1.9.1.1.2", "").await.json().as_array().unwrap().len(), 1);
    let limited = bench.get("/studies/1.9.1/instances?limit=2&fuzzymatching=true", "").await;
    assert_eq!(limited.json().as_array().unwrap().len(), 2);
    assert_eq!(limited.headers.get_all(header::WARNING).iter().count(), 2);

    for (path, count) in [("/studies/1.9.1", 4), ("/studies/1.9.1/series/1.9.1.1", 3)] {
        let answer = bench.get(path, MULTIPART).await;
        let parts = answer.parts();
        assert_eq!(parts.len(), count);
        assert_eq!(answer.headers[header::CONTENT_LENGTH].to_str().unwrap(), answer.body.len().to_string());
        assert_eq!(parts[0].0, format!("application/dicom; transfer-syntax={EXPLICIT}"));
        assert!(parts[0].1 == files[0], "as it was sent");
    }
    let single = bench.get("/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.2", "application/dicom").await;
    assert!(single.body == files[1]);
    assert_eq!(bench.get("/studies/1.9.1", "application/dicom").await.status, StatusCode::NOT_ACCEPTABLE);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_bulk_values() {
    let bench = Bench::new().await;
    bench.store("/studies", &[file(1, 1, 1), file(1, 1, 2)]).await;
    let answer = bench.get("/studies/1.9.1/metadata", JSON).await;
    assert_eq!(answer.kind(), JSON);
    let list = answer.json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let one = &list[0];
    assert_eq!(one["00280010"], json!({"vr": "US", "Value": [12]}));
    assert_eq!(one["00281050"]["Value"][0], 2048);
    assert!(one.get("7FE00010").unwrap().get("InlineBinary").is_none());
    let base = "http://pacs.test:8080/dicom-web";
    let path = |value: &Value| value["BulkDataURI"].as_str().unwrap().strip_prefix(base).unwrap().to_owned();
    let pixels = bench.get(&path(&one["7FE00010"]), "application/octet-stream").await;
    assert!(pixels.body == raw(1));
    let private = bench.get(&path(&one["00091010"]), OCTETS).await;
    assert_eq!(private.parts()[0].1, vec![7u8; 3000]);
    assert_eq!(bench.get("/studies/1.9.1/series/1.9.1.1/metadata", "").await.json(), list);
    let instance = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1";
    assert_eq!(bench.get(&format!("{instance}/metadata"), "application/json").await.json()[0], *one);
    for bad in ["00091010/1/00091010", "zz", "00091011"] {
        assert_eq!(bench.get(&format!("{instance}/bulkdata/{bad}"), "").await.status, StatusCode::NOT_FOUND, "{bad}");
    }
    assert_eq!(bench.get("/studies/1.9.1/metadata", "application/dicom+xml").await.status, StatusCode::NOT_ACCEPTABLE);

    let tag = answer.headers[header::ETAG].to_str().unwrap().to_owned();
    let again = |tag: String| {
        Request::get("/studies/1.9.1/metadata")
            .header(header::AUTHORIZATION, "all")
            .header(header::IF_NONE_MATCH, tag)
            .body(Body::empty())
            .unwrap()
    };
    // The base of the URLs is part of the answer, so it is part of the tag.
    assert_eq!(bench.send(again(tag.clone())).await.status, StatusCode::NOT_MODIFIED);
    bench.store("/studies", &[file(1, 1, 3)]).await;
    assert_eq!(bench.send(again(tag)).await.status, StatusCode::OK, "a new instance changes the tag");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "private, max-age=0, must-revalidate");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_frames_and_conversions() {
    let bench = Bench::new().await;
    bench
        .store("/studies", &[file(1, 1, 1), file_as(&object(2, 1, 2), IMPLICIT), file_as(&object(3, 1, 3), BIG)])
        .await;
    let instance = |s: u32, n: u32| format!("/studies/1.9.{s}/series/1.9.{s}.1/instances/1.9.{s}.1.{n}");
    for (study, number) in [(1, 1), (2, 2), (3, 3)] {
        let frame = bench.get(&format!("{}/frames/1", instance(study, number)), OCTETS).await;
        assert_eq!(frame.parts()[0].0, format!("application/octet-stream; transfer-syntax={EXPLICIT}"));
        assert!(frame.parts()[0].1 == raw(number as u16), "study {study}: little endian");
    }
    let to_implicit = bench.get(&instance(1, 1), &format!("application/dicom; transfer-syntax={IMPLICIT}")).await;
    let head = part10::read_header(&to_implicit.body).unwrap().unwrap();
    assert_eq!(head.transfer_syntax, IMPLICIT);
    let data_set = &to_implicit.body[head.data_set_at..];
    let read = read_data_set(data_set, IMPLICIT, Limits::default()).unwrap();
    assert_eq!(read.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Zhang^San=张^三");
    assert!(data_set.ends_with(&raw(1)));
    let to_explicit = bench.get(&instance(2, 2), &format!("{MULTIPART}; transfer-syntax={EXPLICIT}")).await;
    let part = &to_explicit.parts()[0].1;
    assert!(part == &file_as(&object(2, 1, 2), EXPLICIT) || part.ends_with(&raw(2)));
    for syntax in [BIG, HTJ2K, "1.2.840.10008.1.2.4.80"] {
        let accept = format!("{MULTIPART}; transfer-syntax={syntax}");
        assert_eq!(bench.get(&instance(1, 1), &accept).await.status, StatusCode::NOT_ACCEPTABLE, "{syntax}");
    }
    for (list, status) in [("1,1", 200), ("2", 404), ("0", 400), ("1,x", 400), ("%2e%2e", 400)] {
        assert_eq!(
            bench.get(&format!("{}/frames/{list}", instance(1, 1)), OCTETS).await.status.as_u16(),
            status,
            "{list}"
        );
    }
    let two = bench.get(&format!("{}/frames/1,1", instance(1, 1)), "application/octet-stream").await;
    assert_eq!(two.status, StatusCode::NOT_ACCEPTABLE, "two frames, one part");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_frames_as_stored_or_decoded() {
    let bench = Bench::new().await;
    let stored = bench
        .store(
            "/studies",
            &[encapsulated(1, RLE, vec![rle(5), rle(6)]), encapsulated(2, HTJ2K, vec![vec![1, 2, 3, 4]])],
        )
        .await;
    assert_eq!(stored.status, StatusCode::OK);
    let frames = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1/frames/2,1";
    for accept in ["", "*/*", "multipart/related; type=\"image/dicom-rle\"", &format!("{OCTETS}; transfer-syntax=*")] {
        let answer = bench.get(frames, accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        let parts = answer.parts();
        assert_eq!(parts[0].0, format!("image/dicom-rle; transfer-syntax={RLE}"), "{accept}");
        assert!(parts[0].1 == rle(6) && parts[1].1 == rle(5));
    }
    let decoded = bench.get(frames, OCTETS).await;
    assert_eq!(decoded.parts()[0].0, format!("application/octet-stream; transfer-syntax={EXPLICIT}"));
    assert!(decoded.parts()[0].1 == raw(6) && decoded.parts()[1].1 == raw(5));
    let bulk = bench.get("/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1/bulkdata/7FE00010", "").await;
    assert!(bulk.parts().len() == 2 && bulk.parts()[1].1 == rle(6));

    let other = "/studies/1.9.2/series/1.9.2.1/instances/1.9.2.1.1";
    let kept = bench.get(&format!("{other}/frames/1"), "multipart/related; type=\"image/jphc\"").await;
    assert!(kept.parts()[0].1 == [1, 2, 3, 4]);
    assert_eq!(bench.get(&format!("{other}/frames/1"), OCTETS).await.status, StatusCode::NOT_ACCEPTABLE);
    let picture = bench.get(&format!("{other}/rendered"), "image/png").await;
    assert_eq!((picture.status, picture.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "render.transfer_syntax"));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rendered_images() {
    let bench = Bench::new().await;
    bench.store("/studies", &[file(1, 1, 1), file(1, 1, 2)]).await;
    let instance = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1";
    let png = bench.get(&format!("{instance}/rendered?window=2048,1,linear-exact"), "image/png").await;
    assert_eq!((png.status, png.kind()), (StatusCode::OK, "image/png"));
    assert!(png.body.starts_with(b"\x89PNG"));
    for path in ["/studies/1.9.1", "/studies/1.9.1/series/1.9.1.1", instance, &format!("{instance}/frames/1")] {
        for what in ["rendered", "thumbnail"] {
            let jpeg = bench.get(&format!("{path}/{what}"), "").await;
            assert_eq!((jpeg.status, jpeg.kind()), (StatusCode::OK, "image/jpeg"), "{path}/{what}");
        }
    }
    for bad in ["window=1", "viewport=a,b", "quality=0", "viewport=10,10,999,0"] {
        let status = bench.get(&format!("{instance}/rendered?{bad}"), "").await.status;
        assert!(matches!(status.as_u16(), 400 | 406), "{bad}: {status}");
    }
    assert_eq!(bench.get(&format!("{instance}/rendered"), "video/mp4").await.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(bench.get(&format!("{instance}/rendered?accept=image/png"), "text/html").await.kind(), "image/png");
    assert_eq!(bench.get(&format!("{instance}/frames/1,1/rendered"), "").await.status, StatusCode::NOT_ACCEPTABLE);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stow_answers_part_by_part() {
    let bench = Bench::new().await;
    let mut truncated = file(1, 1, 3);
    truncated.truncate(truncated.len() - 50);
    let files = [file(1, 1, 1), b"not dicom".to_vec(), truncated, file(1, 1, 1), vec![]];
    let answer = bench.store("/studies", &files).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let json = answer.json();
    let failed = json["00081198"]["Value"].as_array().unwrap();
    assert_eq!(json["00081199"]["Value"].as_array().unwrap().len(), 2, "the same twice is stored once, answered twice");
    assert_eq!(failed.len(), 3);
    assert!(failed.iter().all(|item| item["00081197"]["Value"][0] == 0xc000));
    assert_eq!(failed[1]["00081155"]["Value"][0], "1.9.1.1.3", "named by its meta group");

    let mut changed = object(1, 1, 1);
    changed.put(DataElement::new(tags::STUDY_DESCRIPTION, VR::LO, "other"));
    let answer = bench.store("/studies", &[file_as(&changed, EXPLICIT)]).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["00081199"]["Value"][0]["00081196"]["Value"][0], 0xb000, "kept beside the first");

    let answer = bench.store("/studies/1.9.7", &[file(8, 1, 1)]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.json()["00081198"]["Value"][0]["00081197"]["Value"][0], 0xa900);
    assert_eq!(bench.get("/studies?StudyInstanceUID=1.9.8", "").await.json(), json!([]), "nothing of it is kept");
    assert_eq!(
        bench.store("/studies/1.9.8", &[file(8, 1, 1), file_as(&object(8, 1, 2), IMPLICIT)]).await.status,
        StatusCode::OK
    );

    let mut huge = object(9, 1, 1);
    huge.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(vec![0u8; 5 << 20])));
    let answer = bench.store("/studies", &[file_as(&huge, EXPLICIT), file(9, 1, 2)]).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["00081198"]["Value"][0]["00081197"]["Value"][0], 0xa700, "too large");

    let single = bench.post("/studies", "application/dicom", file(10, 1, 1)).await;
    assert_eq!(single.status, StatusCode::OK);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stow_refuses_what_is_not_a_request() {
    let bench = Bench::new().await;
    let dicom = "multipart/related; type=\"application/dicom\"";
    for (kind, body, status, code) in [
        ("application/json", b"{}".to_vec(), 415, "dicomweb.content_type"),
        (dicom, vec![], 400, "dicomweb.invalid"),
        (&format!("{dicom}; boundary=\"\""), vec![], 400, "dicomweb.boundary"),
        (&format!("{dicom}; boundary=b"), vec![], 400, "dicomweb.truncated"),
        (&format!("{dicom}; boundary=b"), b"--b\r\n\r\nno end".to_vec(), 400, "dicomweb.truncated"),
        (
            &format!("{dicom}; boundary=b"),
            b"--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b--".to_vec(),
            415,
            "dicomweb.content_type",
        ),
        ("multipart/related; type=\"application/dicom+json\"; boundary=b", vec![], 415, "dicomweb.content_type"),
        ("multipart/form-data; boundary=b", vec![], 415, "dicomweb.content_type"),
    ] {
        let answer = bench.post("/studies", kind, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{kind}");
    }
    let xml = Request::post("/studies")
        .header(header::AUTHORIZATION, "all")
        .header(header::CONTENT_TYPE, format!("{dicom}; boundary=b"))
        .header(header::ACCEPT, "application/dicom+xml");
    assert_eq!(bench.send(xml.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_ACCEPTABLE);
    // What was whole before the body broke is stored and told.
    let mut broken = multipart(&[file(1, 1, 1)]);
    broken.truncate(broken.len() - 4);
    broken.extend(b"\r\nContent-Type: application/dicom\r\n\r\nhalf");
    let answer = bench.post("/studies", "multipart/related; boundary=\"x y\"", broken).await;
    assert_eq!((answer.status, answer.json()["00081199"]["Value"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_without_a_permit() {
    let bench = Bench::new().await;
    bench.store("/studies", &[file(1, 1, 1)]).await;
    let instance = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1";
    let reads = [
        "/studies",
        "/series",
        "/instances",
        "/studies/1.9.1",
        "/studies/1.9.1/series",
        "/studies/1.9.1/instances",
        "/studies/1.9.1/metadata",
        "/studies/1.9.1/rendered",
        "/studies/1.9.1/thumbnail",
        "/studies/1.9.1/series/1.9.1.1",
        "/studies/1.9.1/series/1.9.1.1/instances",
        "/studies/1.9.1/series/1.9.1.1/metadata",
        "/studies/1.9.1/series/1.9.1.1/rendered",
        "/studies/1.9.1/series/1.9.1.1/thumbnail",
        instance,
        &format!("{instance}/metadata"),
        &format!("{instance}/rendered"),
        &format!("{instance}/thumbnail"),
        &format!("{instance}/frames/1"),
        &format!("{instance}/frames/1/rendered"),
        &format!("{instance}/frames/1/thumbnail"),
        &format!("{instance}/bulkdata/00091010"),
    ];
    let ask = |method: Method, path: &str, token: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        request.body(Body::empty()).unwrap()
    };
    for path in reads {
        let anonymous = bench.send(ask(Method::GET, path, None)).await;
        assert_eq!(
            (anonymous.status, anonymous.code().as_str()),
            (StatusCode::UNAUTHORIZED, "login.required"),
            "{path}"
        );
        let sender = bench.send(ask(Method::GET, path, Some("sender"))).await;
        assert_eq!((sender.status, sender.code().as_str()), (StatusCode::FORBIDDEN, "auth.forbidden"), "{path}");
        assert_eq!(bench.send(ask(Method::GET, path, Some("reader"))).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(bench.refused.lock().unwrap().as_slice(), vec!["study.read"; reads.len()]);
    for path in ["/studies", "/studies/1.9.1"] {
        assert_eq!(bench.send(ask(Method::POST, path, None)).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(bench.send(ask(Method::POST, path, Some("reader"))).await.status, StatusCode::FORBIDDEN);
    }
    // Another organization's studies do not exist.
    assert_eq!(bench.send(ask(Method::GET, "/studies", Some("stranger"))).await.json(), json!([]));
    for path in ["/studies/1.9.1", "/studies/1.9.1/metadata", instance] {
        assert_eq!(bench.send(ask(Method::GET, path, Some("stranger"))).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_are_no_uids_are_refused() {
    let bench = Bench::new().await;
    let long = "1".repeat(65);
    for bad in ["..%2f..%2fetc%2fpasswd", "1.2'%20OR%201=1", "%00", "1.2%0d%0aX:1", "abc", "1..%5c", &long] {
        for path in
            [format!("/studies/{bad}"), format!("/studies/1.2/series/{bad}"), format!("/studies/{bad}/metadata")]
        {
            let answer = bench.get(&path, "").await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains(bad), "nothing is repeated");
        }
    }
    assert_eq!(bench.get("/studies/1.2.3", "").await.code(), "not_found");
    assert_eq!(bench.get("/nothing", "").await.code(), "not_found");
    assert_eq!(bench.get("/studies?Nonsense=1", "").await.code(), "dicomweb.invalid");
    let raw_token = base64::engine::general_purpose::STANDARD.encode("x");
    assert_eq!(bench.get(&format!("/studies?{raw_token}"), "").await.status, StatusCode::BAD_REQUEST);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mislabelled_names_are_shown_right_in_searches_and_metadata() {
    let bench = Bench::new().await;
    let gb = [0xd5, 0xc5, b'^', 0xc8, 0xfd, b' '];
    let plain = file_as(
        &{
            let mut object = object(1, 1, 1);
            object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"));
            object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, "ABCDEF"));
            object
        },
        EXPLICIT,
    );
    let at = plain.windows(6).position(|w| w == b"ABCDEF").unwrap();
    let mut file = plain;
    file[at..at + 6].copy_from_slice(&gb);
    assert_eq!(bench.store("/studies", &[file.clone()]).await.status, StatusCode::OK);
    let found = bench.get("/studies?PatientName=张*", "").await.json();
    assert_eq!(found[0]["00100010"]["Value"][0]["Ideographic"], "张^三");
    let metadata = bench.get("/studies/1.9.1/metadata", "").await.json();
    assert_eq!(metadata[0]["00100010"]["Value"][0]["Alphabetic"], "张^三", "decoded, the group as sent");
    assert!(bench.get("/studies/1.9.1", MULTIPART).await.parts()[0].1 == file, "the bytes as sent");
    bench.close().await;
}

/// dicomweb-client and pydicom against a listening server: what a client that we did not write makes of the answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dicomweb_client_stores_searches_and_retrieves() {
    let bench = Bench::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gate = Gate { clock: mingying_testkit::clock(), refused: bench.refused.clone() };
    let web = Web::new(bench.archive.clone(), Arc::new(gate), Renderers::new(2)).at(&url);
    let app = axum::Router::new()
        .nest_service("/dicom-web", router::<()>(web).with_state(()))
        .layer(tower_http::compression::CompressionLayer::new());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let home = std::env::var("HOME").unwrap_or_default();
    let python =
        std::env::var("MINGYING_TEST_PYTHON").unwrap_or_else(|_| format!("{home}/.cache/mingying/venv/bin/python"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../testkit/python/dicomweb_client_check.py");
    let output = tokio::process::Command::new(python).args([script, &url, "all"]).output().await;
    let output = output.expect("the tests' Python is missing: run `make test-deps`");
    server.abort();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    bench.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_body_breaks_the_service(
        body in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let whole = [b"--b\r\nContent-Type: application/dicom\r\n\r\n".to_vec(), body.clone(), b"\r\n--b--".to_vec()].concat();
            for (kind, body) in [("multipart/related; boundary=b", body.clone()), ("multipart/related; boundary=b", whole), ("application/dicom", body)] {
                let answer = bench.post("/studies", kind, body).await;
                assert!(answer.status.is_client_error(), "{}", answer.status);
            }
            bench.close().await;
        });
    }
}
