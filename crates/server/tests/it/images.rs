//! The viewer's fast lane, DICOMweb behind the same gate, and the quarantine, over HTTP.
#![allow(clippy::unwrap_used)]

use super::running::{demo, get, post, sign_in};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use mingying::{DEMO_PASSWORD, Running};
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

/// Number and bytes of each frame of the stream, in the order they came.
fn frames(mut stream: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let word = |at: usize| u32::from_le_bytes(stream[at..at + 4].try_into().unwrap());
        let (number, length) = (word(0), word(4) as usize);
        frames.push((number, stream[8..8 + length].to_vec()));
        stream = &stream[8 + length..];
    }
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_comes_as_manifest_and_stream() {
    let (_dir, running) = demo().await;
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
    let count: u64 = instances.iter().map(|i| i["frames"].as_u64().unwrap()).sum();
    assert!(count > 8, "{count}");
    let one = &instances[0];
    let size =
        ["rows", "columns", "samples", "bits_allocated"].iter().map(|k| one[*k].as_u64().unwrap()).product::<u64>() / 8;
    assert!(one["pixel_spacing"].is_array() && one["photometric"] == "MONOCHROME2");

    let stream = frames(&send(&running, ask(format!("{path}/pixels?start=5"), None)).await.body);
    let order: Vec<u32> = stream.iter().map(|(number, _)| *number).collect();
    assert_eq!(order[..5], [5, 4, 6, 3, 7], "outwards from the start");
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..u32::try_from(count).unwrap()).collect::<Vec<_>>(), "each frame once");
    assert!(stream.iter().all(|(_, bytes)| bytes.len() as u64 == size));
    // The same bytes as DICOMweb gives.
    let sop = instances[5]["sop_uid"].as_str().unwrap();
    let frame = format!("{}/instances/{sop}/frames/1", path.replace("/api/v1", "/dicom-web"));
    let frame = send(&running, ask(frame, Some((header::ACCEPT, "application/octet-stream".into())))).await;
    assert!(frame.body == stream[0].1);

    for bad in ["/api/v1/studies/..%2F..%2Fetc", "/api/v1/studies/1.2.3", "/api/v1/studies/1.2/series/1.3/pixels"] {
        assert_eq!(get(&running, &reader, bad).await.0, StatusCode::NOT_FOUND, "{bad}");
    }
    let registrar = sign_in(&running, "registrar", DEMO_PASSWORD).await.ok().unwrap();
    for closed in [format!("{path}/manifest"), format!("{path}/pixels"), format!("/dicom-web/studies/{study_uid}")] {
        assert_eq!(get(&running, &registrar, &closed).await.0, StatusCode::FORBIDDEN, "{closed}");
    }
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
