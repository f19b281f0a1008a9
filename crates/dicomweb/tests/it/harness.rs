//! An archive, the router over it, and objects to store.

pub use async_trait::async_trait;
pub use axum::body::Body;
pub use axum::http::request::Parts;
pub use axum::http::{HeaderMap, Method, Request, StatusCode, header};
pub use base64::Engine;
pub use bytes::Bytes;
pub use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
pub use dicom_core::{DataElement, VR};
pub use dicom_dictionary_std::tags;
pub use dicom_object::InMemDicomObject;
pub use dicom_transfer_syntax_registry::entries;
pub use http_body_util::BodyExt;
pub use mingying_archive::{Archive, ReadStudies, Settings, SiblingSettings, SiblingStep};
pub use mingying_blob::Blobs;
pub use mingying_dicom::{Limits, part10, read_data_set};
pub use mingying_dicomweb::{Authenticate, Refused, Renderers, Web, router};
pub use mingying_kernel::{Actor, ActorKind, Ctx, ManualClock, OrgId, Permit, Policy, Role, Scope, SharedClock};
pub use mingying_testkit::TestDb;
pub use proptest::prelude::*;
pub use serde_json::{Value, json};
pub use std::sync::{Arc, Mutex};
pub use tower::ServiceExt;

pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const BIG: &str = "1.2.840.10008.1.2.2";
pub const RLE: &str = "1.2.840.10008.1.2.5";
pub const HTJ2K: &str = "1.2.840.10008.1.2.4.202";
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const JSON: &str = "application/dicom+json";

/// Reads with `reader`, stores with `sender`, does everything with `all`.
pub struct ByToken;

impl Policy for ByToken {
    fn allow(&self, actor: &Actor, action: &str) -> Option<Scope> {
        match (actor.id.as_str(), action) {
            ("all", _) | ("reader", "study.read") | ("sender", "study.store") => Some(Scope::All),
            ("stranger", _) => Some(Scope::Org(OrgId::new())),
            _ => None,
        }
    }
}

pub struct Gate {
    pub clock: SharedClock,
    pub refused: Arc<Mutex<Vec<&'static str>>>,
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

pub struct Bench {
    pub db: TestDb,
    pub archive: Archive,
    pub clock: Arc<ManualClock>,
    pub router: axum::Router,
    pub refused: Arc<Mutex<Vec<&'static str>>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub fn kind(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().unwrap()
    }

    /// Content-Type and body of each part.
    pub fn parts(&self) -> Vec<(String, Vec<u8>)> {
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
    pub async fn new() -> Self {
        let db = mingying_testkit::sqlite().await;
        let blobs =
            Blobs::open(&db.dir.path().join("blobs"), mingying_blob::Settings { reserve: 0, ..Default::default() })
                .unwrap();
        let manual = mingying_testkit::clock();
        let clock: SharedClock = manual.clone();
        let derived = Some(db.dir.path().join("derived"));
        let siblings = Some(db.dir.path().join("siblings"));
        let sibling = SiblingSettings { reserve: 0, ..SiblingSettings::default() };
        let settings = Settings { max_object: 4 << 20, derived, siblings, sibling, ..Settings::new(OrgId::new()) };
        let archive = Archive::open(db.db.clone(), blobs, clock.clone(), settings).await.unwrap();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let gate = Gate { clock, refused: refused.clone() };
        let web = Web::new(archive.clone(), Arc::new(gate), Renderers::new(2)).at("http://pacs.test:8080");
        Self { db, archive, clock: manual, router: router(web), refused }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    pub async fn get(&self, path: &str, accept: &str) -> Answer {
        let request = Request::get(path).header(header::AUTHORIZATION, "all").header(header::ACCEPT, accept);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// As `get`, with one header more.
    pub async fn get_with(&self, path: &str, accept: &str, name: header::HeaderName, value: &str) -> Answer {
        let request = Request::get(path).header(header::AUTHORIZATION, "all").header(header::ACCEPT, accept);
        self.send(request.header(name, value).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header(header::AUTHORIZATION, "all").header(header::CONTENT_TYPE, kind);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn store(&self, path: &str, files: &[Vec<u8>]) -> Answer {
        self.post(path, "multipart/related; type=\"application/dicom\"; boundary=\"x y\"", multipart(files)).await
    }

    /// Reads for who may do everything.
    pub fn permit(&self) -> Permit<ReadStudies> {
        let actor = Actor {
            kind: ActorKind::Device,
            id: "all".to_owned(),
            name: String::new(),
            roles: vec![Role::Machine],
            org: None,
        };
        Ctx::new(actor, "test", Arc::new(ByToken), self.clock.clone()).permit().unwrap()
    }

    pub fn dir(&self) -> &std::path::Path {
        self.db.dir.path()
    }

    /// Makes the HTJ2K siblings of what was stored.
    pub async fn make_siblings(&self) {
        self.clock.advance(std::time::Duration::from_mins(1));
        while self.archive.next_siblings().await.unwrap() != SiblingStep::Idle {}
    }

    pub async fn close(self) {
        self.archive.close().await;
    }
}

pub fn multipart(files: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"preamble".to_vec();
    for file in files {
        body.extend(b"\r\n--x y\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(file);
    }
    body.extend(b"\r\n--x y--\r\n");
    body
}

pub fn words(seed: u16) -> Vec<u16> {
    (0..16 * 12).map(|i| (i * 19 + seed) % 4096).collect()
}

pub fn raw(seed: u16) -> Vec<u8> {
    words(seed).iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Study, series, instance by numbers.
pub fn object(study: u32, series: u32, number: u16) -> InMemDicomObject {
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

pub fn file_as(object: &InMemDicomObject, syntax: &str) -> Vec<u8> {
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

pub fn file(study: u32, series: u32, number: u16) -> Vec<u8> {
    file_as(&object(study, series, number), EXPLICIT)
}

/// An object of two encapsulated frames.
pub fn encapsulated(study: u32, syntax: &str, frames: Vec<Vec<u8>>) -> Vec<u8> {
    let mut object = object(study, 1, 1);
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames.len().to_string()));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new(vec![], frames)));
    file_as(&object, syntax)
}

/// A 16-bit frame whose two byte planes are literal runs.
pub fn rle(seed: u16) -> Vec<u8> {
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

pub const MULTIPART: &str = "multipart/related; type=\"application/dicom\"";
pub const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";
