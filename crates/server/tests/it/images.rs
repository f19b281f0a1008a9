//! The viewer's fast lane, DICOMweb behind the same gate, and the quarantine, over HTTP.
#![allow(clippy::unwrap_used)]

use super::running::{demo, get, post, sign_in};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use mingying::{Config, DEMO_PASSWORD, Running};
use mingying_archive::{ReadStudies, SIBLING_SYNTAX, SiblingStep};
use mingying_dicom::codec::{self, PixelDescription};
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

async fn send(running: &Running, request: Request<Body>) -> Answer {
    let response = running.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

/// One frame of the stream.
struct Frame {
    sop_uid: String,
    number: u32,
    transfer_syntax: String,
    bytes: Vec<u8>,
}

/// In the order in which they came.
fn frames(mut stream: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let word = |at: usize| u32::from_le_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
        let (number, length, sop, syntax) = (word(0), word(4), word(8), word(12));
        let text = |from: usize, len: usize| String::from_utf8(stream[from..from + len].to_vec()).unwrap();
        let at = 16 + sop + syntax;
        frames.push(Frame {
            sop_uid: text(16, sop),
            number: u32::try_from(number).unwrap(),
            transfer_syntax: text(16 + sop, syntax),
            bytes: stream[at..at + length].to_vec(),
        });
        stream = &stream[at + length..];
    }
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_comes_as_manifest_and_stream() {
    let (dir, running) = demo().await;
    let reader = sign_in(&running, "radiologist", DEMO_PASSWORD).await.ok().unwrap();
    let ask = |path: String, more: Option<(header::HeaderName, String)>| {
        let mut request = Request::get(path).header(header::COOKIE, &reader.cookie);
        if let Some((name, value)) = more {
            request = request.header(name, value);
        }
        request.body(Body::empty()).unwrap()
    };
    let (status, studies) = get(&running, &reader, "/dicom-web/studies?ModalitiesInStudy=CT&limit=1").await;
    assert_eq!(status, StatusCode::OK);
    let study_uid = studies[0]["0020000D"]["Value"][0].as_str().unwrap();
    let (status, study) = get(&running, &reader, &format!("/api/v1/studies/{study_uid}")).await;
    assert_eq!((status, study["study_uid"].as_str()), (StatusCode::OK, Some(study_uid)));
    let series = study["series"].as_array().unwrap().iter().find(|s| s["modality"] == "CT").unwrap();
    let path = format!("/api/v1/studies/{study_uid}/series/{}", series["series_uid"].as_str().unwrap());

    let manifest =
        send(&running, ask(format!("{path}/manifest"), Some((header::ACCEPT_ENCODING, "gzip".into())))).await;
    assert_eq!(manifest.headers[header::CONTENT_ENCODING], "gzip");
    let manifest = send(&running, ask(format!("{path}/manifest"), None)).await;
    let tag = manifest.headers[header::ETAG].to_str().unwrap().to_owned();
    let again = send(&running, ask(format!("{path}/manifest"), Some((header::IF_NONE_MATCH, tag)))).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
    let instances = manifest["instances"].as_array().unwrap();
    // What all have in common is told once.
    let of = |i: usize, name: &str| manifest["shared"].get(name).or_else(|| instances[i].get(name)).unwrap().clone();
    let count: u64 = (0..instances.len()).map(|i| of(i, "frames").as_u64().unwrap()).sum();
    assert!(count > 8, "{count}");
    let size =
        ["rows", "columns", "samples", "bits_allocated"].iter().map(|k| of(0, k).as_u64().unwrap()).product::<u64>()
            / 8;
    assert!(manifest["shared"]["pixel_spacing"].is_array() && manifest["shared"]["photometric"] == "MONOCHROME2");
    assert!(instances.iter().all(|i| i["sop_uid"].is_string() && i["position"].is_array()));

    let whole = send(&running, ask(format!("/api/v1/studies/{study_uid}/manifest"), None)).await;
    let tag = whole.headers[header::ETAG].to_str().unwrap().to_owned();
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!(whole["study_uid"], study_uid);
    let listed = whole["series"].as_array().unwrap();
    assert_eq!(listed.len(), study["series"].as_array().unwrap().len());
    let same = listed.iter().find(|s| s["series_uid"] == series["series_uid"]).unwrap();
    assert_eq!((&same["images"], &same["modality"]), (&manifest, &series["modality"]));
    let again = ask(format!("/api/v1/studies/{study_uid}/manifest"), Some((header::IF_NONE_MATCH, tag)));
    assert_eq!(send(&running, again).await.status, StatusCode::NOT_MODIFIED);

    let stream = frames(&send(&running, ask(format!("{path}/pixels?start=5"), None)).await.body);
    let place = |sop: &str| instances.iter().position(|i| i["sop_uid"] == sop).unwrap();
    let order: Vec<usize> = stream.iter().map(|frame| place(&frame.sop_uid)).collect();
    assert_eq!(order[..5], [5, 4, 6, 3, 7], "outwards from the start");
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..usize::try_from(count).unwrap()).collect::<Vec<_>>(), "each frame once");
    assert!(stream.iter().all(|frame| frame.bytes.len() as u64 == size && frame.number == 0));
    assert!(stream.iter().all(|frame| of(0, "transfer_syntax") == frame.transfer_syntax.as_str()));
    // The same bytes as DICOMweb gives.
    let frame = format!(
        "{}/instances/{}/frames/1",
        path.replace("/api/v1", "/dicom-web"),
        instances[5]["sop_uid"].as_str().unwrap()
    );
    let frame = send(&running, ask(frame, Some((header::ACCEPT, "application/octet-stream".into())))).await;
    assert!(frame.body == stream[0].bytes);
    let json = format!("{}/metadata", path.replace("/api/v1", "/dicom-web"));
    let json = send(&running, ask(json, Some((header::ACCEPT_ENCODING, "gzip".into())))).await;
    assert_eq!(json.headers[header::CONTENT_ENCODING], "gzip");
    let found = ask("/dicom-web/instances?limit=20".into(), Some((header::ACCEPT_ENCODING, "gzip".into())));
    assert_eq!(send(&running, found).await.headers[header::CONTENT_ENCODING], "gzip", "DICOM JSON is text");

    // Manifests and metadata are kept for the next reader.
    assert!(std::fs::read_dir(dir.path().join("derived")).unwrap().count() >= 2);

    for bad in ["/api/v1/studies/..%2F..%2Fetc", "/api/v1/studies/1.2.3", "/api/v1/studies/1.2/series/1.3/pixels"] {
        assert_eq!(get(&running, &reader, bad).await.0, StatusCode::NOT_FOUND, "{bad}");
    }
    let registrar = sign_in(&running, "registrar", DEMO_PASSWORD).await.ok().unwrap();
    let whole = format!("/api/v1/studies/{study_uid}/manifest");
    for closed in
        [whole, format!("{path}/manifest"), format!("{path}/pixels"), format!("/dicom-web/studies/{study_uid}")]
    {
        assert_eq!(get(&running, &registrar, &closed).await.0, StatusCode::FORBIDDEN, "{closed}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_takes_siblings_and_the_manifest_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config { demo: true, ..Config::local(dir.path()) };
    (config.images.sibling_size, config.images.sibling_after) = (64 << 20, 0);
    let running = mingying::start(config).await.unwrap();
    let archive = &running.app.archive;
    while archive.next_siblings().await.unwrap() != SiblingStep::Idle {}
    assert!(archive.sibling_stats().made > 8);

    let reader = sign_in(&running, "radiologist", DEMO_PASSWORD).await.ok().unwrap();
    let (_, studies) = get(&running, &reader, "/dicom-web/studies?ModalitiesInStudy=CT&limit=1").await;
    let study_uid = studies[0]["0020000D"]["Value"][0].as_str().unwrap();
    let (_, study) = get(&running, &reader, &format!("/api/v1/studies/{study_uid}")).await;
    let series = study["series"].as_array().unwrap().iter().find(|s| s["modality"] == "CT").unwrap();
    let series_uid = series["series_uid"].as_str().unwrap();
    let path = format!("/api/v1/studies/{study_uid}/series/{series_uid}");
    let (_, manifest) = get(&running, &reader, &format!("{path}/manifest")).await;
    assert_eq!(manifest["shared"]["transfer_syntax"], SIBLING_SYNTAX);
    let request = Request::get(format!("{path}/pixels")).header(header::COOKIE, &reader.cookie);
    let stream = frames(&send(&running, request.body(Body::empty()).unwrap()).await.body);
    assert!(stream.len() > 8);
    let permit = running.app.access.system("test").permit::<ReadStudies>().unwrap();
    for frame in stream {
        assert_eq!(frame.transfer_syntax, SIBLING_SYNTAX);
        let original = archive.instance_of(&permit, study_uid, series_uid, &frame.sop_uid).await.unwrap();
        let image = PixelDescription::read(&archive.header(&original).await.unwrap()).unwrap().unwrap();
        let stored = archive.frame_bytes(&original, frame.number).await.unwrap();
        assert!(codec::decode(SIBLING_SYNTAX, &frame.bytes, &image).unwrap().bytes == stored, "every sample");
    }
    let metrics = send(&running, Request::get("/metrics").body(Body::empty()).unwrap()).await.body;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    assert!(metrics.contains(&format!("mingying_siblings {}", archive.sibling_stats().made)), "{metrics}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_indexed_is_seen_and_deleted() {
    let (dir, running) = demo().await;
    let token = std::fs::read_to_string(dir.path().join("demo-token")).unwrap();
    let tech = sign_in(&running, "tech", DEMO_PASSWORD).await.ok().unwrap();
    let kind = "multipart/related; type=\"application/dicom\"; boundary=b";
    let body = "--b\r\nContent-Type: application/dicom\r\n\r\nnot dicom\r\n--b--";
    let store = |name: header::HeaderName, value: String| {
        let request = Request::post("/dicom-web/studies").header(name, value).header(header::CONTENT_TYPE, kind);
        request.body(Body::from(body)).unwrap()
    };
    let no_csrf = send(&running, store(header::COOKIE, tech.cookie.clone())).await;
    assert_eq!(no_csrf.status, StatusCode::FORBIDDEN, "a cookie alone stores nothing");
    let machine = send(&running, store(header::AUTHORIZATION, format!("Bearer {}", token.trim()))).await;
    assert_eq!(machine.status, StatusCode::CONFLICT);

    let officer = sign_in(&running, "qc", DEMO_PASSWORD).await.ok().unwrap();
    let (status, list) = get(&running, &officer, "/api/v1/quarantine").await;
    assert_eq!((status, list["items"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)));
    assert_eq!(list["items"][0]["reason"], "not_dicom");
    let id = list["items"][0]["id"].as_str().unwrap();
    let retry = format!("/api/v1/quarantine/{id}/retry");
    let (status, problem) = post(&running, &officer, &retry, json!({}), &officer.csrf).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("archive.quarantined")));
    let delete = Request::delete(format!("/api/v1/quarantine/{id}"))
        .header(header::COOKIE, &officer.cookie)
        .header("x-csrf-token", &officer.csrf);
    assert_eq!(send(&running, delete.body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(get(&running, &officer, "/api/v1/quarantine").await.1["items"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_leads_to_the_study_that_is_linked_to_it() {
    let (_dir, running) = demo().await;
    let tech = sign_in(&running, "tech", DEMO_PASSWORD).await.ok().unwrap();
    let order_in = async |state: &str, images: u64| {
        let (_, list) = get(&running, &tech, &format!("/api/v1/orders?limit=200&state={state}")).await;
        let orders = list["items"].as_array().unwrap();
        orders.iter().find(|order| order["images"].as_u64().unwrap() >= images).unwrap().clone()
    };
    let (read, free) = (order_in("completed", 1).await, order_in("accepted", 0).await);
    let text = |order: &Value, name: &str| order[name].as_str().unwrap().to_owned();
    let study = text(&read, "study_uid");
    let unlink = Request::delete(format!("/api/v1/orders/{}/studies/{study}", text(&read, "id")))
        .header(header::COOKIE, &tech.cookie)
        .header("x-csrf-token", &tech.csrf);
    assert_eq!(send(&running, unlink.body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
    let link = format!("/api/v1/unmatched/{study}/link");
    let (status, _) = post(&running, &tech, &link, json!({"order_id": free["id"]}), &tech.csrf).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, linked) = get(&running, &tech, &format!("/api/v1/orders/{}", text(&free, "id"))).await;
    assert_ne!(text(&free, "study_uid"), study, "what the worklist gave out");
    assert_eq!(text(&linked, "study_uid"), study, "what is there to be looked at");
    running.stop().await;
}
