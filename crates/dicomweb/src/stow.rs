//! STOW-RS (PS3.18 10.5): objects stored as their bytes come in, answered one by one.

use crate::auth::Allowed;
use crate::multipart::{Multipart, MultipartError, Piece};
use crate::path::{Base, uid};
use crate::wado::wanted;
use crate::{Problem, Web, accept, json};
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use futures::StreamExt;
use mingying_archive::{ArchiveError, Ingested, Origin, StoreStudy};
use mingying_dicom::{Peek, part10, peek};
use mingying_kernel::{Coded, ErrorKind, Permit};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Objects of one request that wait for the disk together: enough for one sync to serve many.
const IN_FLIGHT: usize = 32;
/// Objects in one request.
const MAX_PARTS: usize = 100_000;
/// When to try again while nothing can be stored: making room takes a person a while.
const RETRY_SECONDS: &str = "30";
/// How much of a part is kept until its meta group and study have been read.
const MAX_HEAD: usize = 1 << 20;

/// Failure Reason (0008,1197), PS3.18 Table I.2-2.
mod reason {
    pub const PROCESSING: u16 = 0x0110;
    pub const OUT_OF_RESOURCES: u16 = 0xa700;
    pub const MISMATCH: u16 = 0xa900;
    pub const NOT_UNDERSTOOD: u16 = 0xc000;
    /// Warning Reason (0008,1196): stored, but what is served under this UID is what came first.
    pub const KEPT_BESIDE: u16 = 0xb000;
}

/// What is known of an object that failed.
#[derive(Debug, Clone, Default)]
struct Named {
    sop_class: String,
    sop_instance: String,
}

enum Stored {
    Done(Ingested),
    Failed { named: Named, reason: u16, unavailable: bool },
}

fn reason_of(error: &ArchiveError) -> u16 {
    match error {
        ArchiveError::Quarantined { reason, .. } => match *reason {
            "missing_uid" | "uid_mismatch" | "other_study" => reason::MISMATCH,
            "index_failed" => reason::PROCESSING,
            _ => reason::NOT_UNDERSTOOD,
        },
        other => match other.kind() {
            ErrorKind::TooLarge | ErrorKind::StorageFull | ErrorKind::Unavailable => reason::OUT_OF_RESOURCES,
            ErrorKind::Invalid => reason::NOT_UNDERSTOOD,
            _ => reason::PROCESSING,
        },
    }
}

/// Why a part is not stored.
enum Fault {
    /// It belongs to another study than the path names, or nobody can tell (PS3.18 10.5.1).
    OtherStudy,
    Archive(ArchiveError),
}

fn failed(named: Named, fault: &Fault) -> Stored {
    let error = match fault {
        Fault::OtherStudy => return Stored::Failed { named, reason: reason::MISMATCH, unavailable: false },
        Fault::Archive(error) => error,
    };
    let unavailable = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::Unavailable);
    if error.kind() == ErrorKind::Internal {
        tracing::error!(code = error.code(), %error, "an object could not be stored");
    }
    Stored::Failed { named, reason: reason_of(error), unavailable }
}

/// Stores the parts of one request; results keep the order of the parts.
struct Storing {
    web: Web,
    permit: Permit<StoreStudy>,
    study: Option<String>,
    source: String,
    turns: Arc<Semaphore>,
    pending: JoinSet<(usize, Stored)>,
    results: Vec<(usize, Stored)>,
    parts: usize,
}

/// One part on its way in.
struct Incoming {
    receiving: mingying_archive::Receiving,
    head: Head,
    error: Option<Fault>,
}

/// The first bytes of a part, kept until they have told what it is and whether it belongs to the study.
struct Head {
    bytes: Vec<u8>,
    named: Option<part10::Part10Header>,
    /// The study of the request's path, until the part has been found to belong to it.
    study: Option<String>,
}

impl Head {
    fn is_settled(&self) -> bool {
        self.named.is_some() && self.study.is_none()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.is_settled() {
            return Ok(());
        }
        if self.bytes.len() >= MAX_HEAD {
            self.bytes = Vec::new();
            return if self.study.is_some() { Err(Fault::OtherStudy) } else { Ok(()) };
        }
        self.bytes.extend_from_slice(bytes.get(..bytes.len().min(MAX_HEAD - self.bytes.len())).unwrap_or_default());
        if self.named.is_none() {
            self.named = part10::read_header(&self.bytes).ok().flatten();
        }
        if let (Some(header), Some(study)) = (&self.named, &self.study) {
            let data_set = self.bytes.get(header.data_set_at..).unwrap_or_default();
            match peek(data_set, &header.transfer_syntax, tags::STUDY_INSTANCE_UID) {
                Peek::More => {}
                Peek::Found(uid) if uid == study.as_bytes() => self.study = None,
                _ => return Err(Fault::OtherStudy),
            }
        }
        if self.is_settled() {
            self.bytes = Vec::new();
        }
        Ok(())
    }

    fn named(&self) -> Named {
        self.named.as_ref().map_or_else(Named::default, |header| Named {
            sop_class: header.sop_class.clone(),
            sop_instance: header.sop_instance.clone(),
        })
    }
}

impl Storing {
    fn new(web: Web, permit: Permit<StoreStudy>, study: Option<String>) -> Self {
        let source = format!("STOW {}", permit.ctx().actor().name);
        Self {
            web,
            permit,
            study,
            source,
            turns: Arc::new(Semaphore::new(IN_FLIGHT)),
            pending: JoinSet::new(),
            results: Vec::new(),
            parts: 0,
        }
    }

    fn begin(&mut self) -> Result<Incoming, Problem> {
        if self.parts >= MAX_PARTS {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "dicomweb.too_many_parts"));
        }
        let receiving = self.web.archive.receive_part10(Origin::new(self.source.as_str()));
        let head = Head { bytes: Vec::new(), named: None, study: self.study.clone() };
        Ok(Incoming { receiving, head, error: None })
    }

    /// The permission to have one more object in hand.
    async fn turn(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }

    async fn end(&mut self, incoming: Incoming) {
        let number = self.parts;
        self.parts += 1;
        let Incoming { receiving, head, error } = incoming;
        let named = head.named();
        // A part that ended before its study could be read is not known to belong to it.
        let unsettled = head.named.is_some() && head.study.is_some();
        let error = error.or_else(|| unsettled.then_some(Fault::OtherStudy));
        if let Some(error) = error {
            self.results.push((number, failed(named, &error)));
            return;
        }
        let turn = self.turn().await;
        let permit = self.permit.clone();
        self.pending.spawn(async move {
            let _turn = turn;
            match receiving.finish(&permit).await {
                Ok(ingested) => (number, Stored::Done(ingested)),
                Err(error) => (number, failed(named, &Fault::Archive(error))),
            }
        });
        while let Some(Ok(done)) = self.pending.try_join_next() {
            self.results.push(done);
        }
    }

    async fn finish(mut self) -> Vec<Stored> {
        while let Some(done) = self.pending.join_next().await {
            if let Ok(done) = done {
                self.results.push(done);
            }
        }
        self.results.sort_by_key(|(number, _)| *number);
        self.results.into_iter().map(|(_, stored)| stored).collect()
    }
}

impl Incoming {
    async fn take(&mut self, bytes: &Bytes) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = self.head.take(bytes) {
            self.error = Some(error);
            return;
        }
        if let Err(error) = self.receiving.write(bytes).await {
            self.error = Some(Fault::Archive(error));
        }
    }
}

/// What the body is, by its Content-Type.
enum Kind {
    Multipart { boundary: String },
    Single,
}

fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    let unsupported = || Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "dicomweb.content_type");
    let text = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).ok_or_else(unsupported)?;
    let range = accept::parse(text).ok_or_else(unsupported)?;
    match range.essence.as_str() {
        "application/dicom" => Ok(Kind::Single),
        "multipart/related" => {
            // XML and JSON metadata with separate bulk data are not taken.
            if range.param("type").is_some_and(|kind| !kind.eq_ignore_ascii_case("application/dicom")) {
                return Err(unsupported());
            }
            let boundary = range.param("boundary").ok_or_else(|| Problem::invalid("boundary"))?;
            Ok(Kind::Multipart { boundary: boundary.to_owned() })
        }
        _ => Err(unsupported()),
    }
}

pub(crate) async fn store(
    Allowed(permit): Allowed<StoreStudy>,
    State(web): State<Web>,
    base: Base,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    receive(web, permit, base, None, query.as_deref(), &headers, body).await
}

pub(crate) async fn store_in_study(
    Allowed(permit): Allowed<StoreStudy>,
    State(web): State<Web>,
    base: Base,
    Path(study): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let study = uid(&study, "study")?;
    receive(web, permit, base, Some(study), query.as_deref(), &headers, body).await
}

async fn receive(
    web: Web,
    permit: Permit<StoreStudy>,
    base: Base,
    study: Option<String>,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let json = |r: &accept::MediaRange| r.covers("application/dicom+json") || r.covers("application/json");
    if !wanted(headers, query).iter().any(json) {
        return Err(Problem::not_acceptable());
    }
    let kind = kind(headers)?;
    let mut storing = Storing::new(web, permit, study.clone());
    let stream = body.into_data_stream();
    let read = match kind {
        Kind::Single => read_single(&mut storing, stream).await,
        Kind::Multipart { boundary } => read_parts(&mut storing, stream, &boundary).await,
    };
    let results = storing.finish().await;
    // What was stored before the body broke is stored, and the answer says so; only an empty answer is an error.
    if results.is_empty() {
        return Err(read.err().unwrap_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "dicomweb.no_parts")));
    }
    Ok(answer(&base, study.as_deref(), &results, read.is_ok()))
}

async fn read_single(storing: &mut Storing, mut stream: BodyDataStream) -> Result<(), Problem> {
    let mut incoming = storing.begin()?;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|_| Problem::from(MultipartError::Read))?;
        incoming.take(&bytes).await;
    }
    storing.end(incoming).await;
    Ok(())
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        let code = match error {
            MultipartError::Boundary => "dicomweb.boundary",
            MultipartError::Malformed => "dicomweb.multipart",
            MultipartError::HeadersTooLong => "dicomweb.part_headers",
            MultipartError::Truncated | MultipartError::Read => "dicomweb.truncated",
        };
        Self::new(StatusCode::BAD_REQUEST, code)
    }
}

async fn read_parts(storing: &mut Storing, stream: BodyDataStream, boundary: &str) -> Result<(), Problem> {
    let mut multipart = Multipart::new(stream, boundary)?;
    let mut current: Option<Incoming> = None;
    while let Some(piece) = multipart.next().await? {
        match piece {
            Piece::Part { content_type } => {
                let dicom = content_type
                    .as_deref()
                    .and_then(accept::parse)
                    .is_none_or(|kind| kind.essence == "application/dicom");
                if !dicom {
                    return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "dicomweb.content_type"));
                }
                current = Some(storing.begin()?);
            }
            Piece::Data(bytes) => {
                if let Some(incoming) = &mut current {
                    incoming.take(&bytes).await;
                }
            }
            Piece::PartEnd => {
                if let Some(incoming) = current.take() {
                    storing.end(incoming).await;
                }
            }
        }
    }
    Ok(())
}

fn ui(tag: dicom_core::Tag, value: &str) -> dicom_object::mem::InMemElement {
    DataElement::new(tag, VR::UI, value)
}

/// The store instances response (PS3.18 Table I.1-1). A body that broke off (`whole` is false) is never
/// answered as a full success: the client cannot have sent all it meant to.
fn answer(base: &Base, study: Option<&str>, results: &[Stored], whole: bool) -> Response {
    let mut done = Vec::new();
    let mut bad = Vec::new();
    let mut studies = BTreeSet::new();
    let (mut warned, mut unavailable) = (false, 0);
    for result in results {
        match result {
            Stored::Done(ingested) => {
                studies.insert(ingested.study_uid.as_str());
                let url = base.instance(&ingested.study_uid, &ingested.series_uid, &ingested.sop_uid);
                let mut item = InMemDicomObject::from_element_iter([
                    ui(tags::REFERENCED_SOP_CLASS_UID, &ingested.sop_class),
                    ui(tags::REFERENCED_SOP_INSTANCE_UID, &ingested.sop_uid),
                    DataElement::new(tags::RETRIEVE_URL, VR::UR, url),
                ]);
                if ingested.conflicting {
                    warned = true;
                    item.put(DataElement::new(tags::WARNING_REASON, VR::US, PrimitiveValue::from(reason::KEPT_BESIDE)));
                }
                done.push(item);
            }
            Stored::Failed { named, reason, unavailable: out } => {
                unavailable += usize::from(*out);
                let mut item = InMemDicomObject::new_empty();
                if !named.sop_instance.is_empty() {
                    item.put(ui(tags::REFERENCED_SOP_CLASS_UID, &named.sop_class));
                    item.put(ui(tags::REFERENCED_SOP_INSTANCE_UID, &named.sop_instance));
                }
                item.put(DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(*reason)));
                bad.push(item);
            }
        }
    }
    let status = match (done.len(), bad.len()) {
        (_, 0) if warned || !whole => StatusCode::ACCEPTED,
        (_, 0) => StatusCode::OK,
        (0, n) if n == unavailable => StatusCode::SERVICE_UNAVAILABLE,
        (0, _) => StatusCode::CONFLICT,
        _ => StatusCode::ACCEPTED,
    };
    let mut object = InMemDicomObject::new_empty();
    let only = if studies.len() == 1 { studies.first().copied() } else { None };
    if let Some(uid) = study.or(only) {
        object.put(DataElement::new(tags::RETRIEVE_URL, VR::UR, base.study(uid)));
    }
    if !bad.is_empty() {
        object.put(DataElement::new(tags::FAILED_SOP_SEQUENCE, VR::SQ, DataSetSequence::from(bad)));
    }
    if !done.is_empty() {
        object.put(DataElement::new(tags::REFERENCED_SOP_SEQUENCE, VR::SQ, DataSetSequence::from(done)));
    }
    let mut out = Vec::with_capacity(results.len() * 400 + 64);
    json::write_object(&mut out, &object, None);
    let mut response = (status, Body::from(out)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/dicom+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    }
    response
}
