//! Deleting and bringing back over HTTP, and the image store as its engineers see it.

use super::running::{Person, demo, get, post, sign_in};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use mingying::{Config, DEMO_PASSWORD, Running};
use mingying_access::{ManageUsers, NewToken};
use mingying_http::Change;
use mingying_kernel::Role;
use serde_json::{Value, json};
use std::path::Path;
use tokio::sync::broadcast::Receiver;
use tower::ServiceExt as _;

async fn demo_user(running: &Running, name: &str) -> Person {
    sign_in(running, name, DEMO_PASSWORD).await.ok().unwrap()
}

async fn order(running: &Running, person: &Person, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let (status, list) = get(running, person, path).await;
    assert_eq!(status, StatusCode::OK);
    list["items"].as_array().unwrap().iter().find(|row| fits(row)).unwrap().clone()
}

/// Until the change is told; what is told before is passed over.
async fn told(changes: &mut Receiver<Change>, topic: &str, study: &str) {
    loop {
        let change = changes.recv().await.unwrap();
        if change.topic == topic && change.subject_id == study {
            return;
        }
    }
}

fn derived_of(dir: &Path, etag: &str) -> bool {
    dir.join("derived").join(etag.trim_start_matches("W/").trim_matches('"')).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_is_deleted_for_a_reason_and_brought_back() {
    let (dir, running) = demo().await;
    let (head, admin) = (demo_user(&running, "head").await, demo_user(&running, "admin").await);
    let reader = demo_user(&running, "radiologist").await;
    let mut changes = running.app.live.listen();
    let has_images = |row: &Value| row["images"].as_i64() > Some(0);
    let signed = order(&running, &head, "/api/v1/worklist?state=audited", has_images).await;
    let open = order(&running, &head, "/api/v1/worklist?state=imaged,completed", has_images).await;
    let study = open["study_uid"].as_str().unwrap().to_owned();
    let new = |study: &Value, reason: &str| json!({"study_uid": study, "reason": reason});
    let delete = async |person: &Person, body: Value| {
        let (status, body) = post(&running, person, "/api/v1/deletions", body, &person.csrf).await;
        (status.as_u16(), body)
    };

    // Who reads does not delete; what a signed report rests on stays.
    assert_eq!(delete(&reader, new(&open["study_uid"], "quality")).await.0, 403);
    let (status, kept) = delete(&head, new(&signed["study_uid"], "patient_safety")).await;
    assert_eq!((status, &kept["code"]), (409, &json!("archive.reported")));
    let (status, kept) = delete(&head, new(&open["study_uid"], "retention_expired")).await;
    assert_eq!((status, &kept["code"]), (409, &json!("archive.retained")));
    assert!(kept["params"]["until"].as_str().unwrap() > "2050");
    for bad in [new(&json!("1.2.3"), "quality"), new(&json!("../x"), "quality")] {
        assert_eq!(delete(&head, bad).await.0, 404);
    }
    assert_eq!(delete(&head, new(&open["study_uid"], "because")).await.0, 422);
    assert_eq!(delete(&head, new(&open["study_uid"], "other")).await.0, 422, "without a note");

    let manifest = Request::get(format!("/api/v1/studies/{study}/manifest")).header(header::COOKIE, &reader.cookie);
    let response = running.router().oneshot(manifest.body(Body::empty()).unwrap()).await.unwrap();
    let etag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
    response.into_body().collect().await.unwrap();
    let (_, before) = get(&running, &reader, &format!("/api/v1/studies/{study}")).await;
    let series = before["series"][0]["series_uid"].as_str().unwrap();
    let frames = Request::get(format!("/api/v1/studies/{study}/series/{series}/manifest"));
    let frames = frames.header(header::COOKIE, &reader.cookie).body(Body::empty()).unwrap();
    let response = running.router().oneshot(frames).await.unwrap();
    let of_series = response.headers()[header::ETAG].to_str().unwrap().to_owned();
    response.into_body().collect().await.unwrap();
    assert!(derived_of(dir.path(), &etag) || derived_of(dir.path(), &of_series), "something is kept of it");

    let (status, gone) = delete(&head, new(&open["study_uid"], "quality")).await;
    assert_eq!((status, &gone["state"], &gone["images"]), (201, &json!("deleted"), &before["images"]));
    assert!(gone["restorable_until"].as_str() > gone["deleted_at"].as_str());
    assert_eq!(get(&running, &reader, &format!("/api/v1/studies/{study}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&running, &reader, &format!("/dicom-web/studies/{study}/metadata")).await.0, StatusCode::NOT_FOUND);
    assert!(!derived_of(dir.path(), &etag) && !derived_of(dir.path(), &of_series), "nor what was made from it");
    told(&mut changes, "study.recounted", &study).await;
    let (_, list) = get(&running, &reader, "/api/v1/worklist?limit=200").await;
    assert!(list["items"].as_array().unwrap().iter().all(|row| row["order_id"] != open["order_id"]));

    // The administrator finds it by number, without any name, and takes it back.
    let patient = gone["patient_id"].as_str().unwrap();
    let (_, found) = get(&running, &admin, &format!("/api/v1/deletions?state=deleted&q={patient}")).await;
    assert_eq!((&found["items"][0]["id"], found["items"].as_array().unwrap().len()), (&gone["id"], 1));
    let by = found["items"][0]["deleted_by_name"].as_str().unwrap();
    assert!(!by.is_empty() && found["items"][0]["deleted_by"] != by, "a person's name");
    assert!(!found.to_string().contains(open["patient"]["name"].as_str().unwrap()));
    let restore = format!("/api/v1/deletions/{}/restore", gone["id"].as_str().unwrap());
    let (status, back) = post(&running, &admin, &restore, json!({}), &admin.csrf).await;
    assert_eq!((status, &back["state"]), (StatusCode::OK, &json!("restored")));
    assert_eq!(post(&running, &admin, &restore, json!({}), &admin.csrf).await.0, StatusCode::NOT_FOUND, "once");
    let (_, again) = get(&running, &reader, &format!("/api/v1/studies/{study}")).await;
    assert_eq!(again["images"], before["images"]);
    told(&mut changes, "study.recounted", &study).await;
    order(&running, &head, "/api/v1/worklist?limit=200", |row| row["order_id"] == open["order_id"]).await;

    // A series alone.
    let part = json!({"study_uid": study, "series_uid": series, "reason": "other", "note": "测试"});
    let (status, part) = delete(&head, part).await;
    assert_eq!((status, &part["series_uid"], &part["note"]), (201, &json!(series), &json!("测试")));
    let image_alone = json!({"study_uid": study, "sop_uid": "1.2", "reason": "quality"});
    assert_eq!(delete(&head, image_alone).await.1["params"]["field"], "series_uid");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_watched_and_cared_for_by_engineers() {
    let (_dir, running) = demo().await;
    let engineer = demo_user(&running, "engineer").await;
    let (status, storage) = get(&running, &engineer, "/api/v1/storage").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&storage["damaged"], &storage["damages"]), (&json!(0), &json!([])));
    let number = |name: &str| storage[name].as_u64().unwrap();
    assert!(number("pack_bytes") > 0 && number("free_bytes") > 0 && number("bytes_per_day") > 0);
    assert!(storage["days_left"].is_u64() && storage["derived"]["max_bytes"].as_u64() > Some(0));
    for path in ["/api/v1/storage/check", "/api/v1/storage/compact"] {
        let (status, _) = post(&running, &engineer, path, json!({}), &engineer.csrf).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{path}");
    }
    // A check of the demonstration's few images ends; then the next one is asked for and ends, too.
    let ended = async |after: Option<String>| loop {
        let (_, storage) = get(&running, &engineer, "/api/v1/storage").await;
        let ended = storage["check"]["ended_at"].as_str().map(str::to_owned);
        if ended.is_some() && ended != after && storage["compaction"]["running"] == false {
            assert_eq!(storage["check"]["done"], storage["check"]["total"]);
            assert!(storage["compaction"]["ended_at"].is_string());
            return ended;
        }
        tokio::task::yield_now().await;
    };
    let first = ended(None).await;
    post(&running, &engineer, "/api/v1/storage/check", json!({}), &engineer.csrf).await;
    ended(first).await;
    let nurse = demo_user(&running, "nurse").await;
    assert_eq!(get(&running, &nurse, "/api/v1/storage").await.0, StatusCode::FORBIDDEN);
    let metrics = Request::get("/metrics").body(Body::empty()).unwrap();
    let metrics = running.router().oneshot(metrics).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    for name in ["free_bytes", "damaged_places 0", "check_ratio 1", "received_bytes_per_day"] {
        assert!(metrics.contains(&format!("\nmingying_storage_{name}")), "{name}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_images_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::local(dir.path());
    // More has to stay free than any disk has.
    config.images.disk_reserve = u64::MAX;
    let running = mingying::start(config).await.unwrap();
    let mut changes = running.app.live.listen();
    let manage = running.app.access.system("test").permit::<ManageUsers>().unwrap();
    let new = NewToken { name: "t".into(), subject: "t".into(), role: Role::Machine, org: None, expires_at: None };
    let token = running.app.access.create_token(&manage, new).await.unwrap().token;
    let body = [&b"--b\r\nContent-Type: application/dicom\r\n\r\n"[..], &part10(), b"\r\n--b--"].concat();
    let request = Request::post("/dicom-web/studies")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "multipart/related; type=\"application/dicom\"; boundary=b")
        .body(Body::from(body))
        .unwrap();
    let response = running.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["00081198"]["Value"][0]["00081197"]["Value"][0], 0xa700);
    // Engineers are told, and the rest works.
    let watcher = running.app.access.system("test");
    let room = running.app.archive.watch_room(&watcher).await.unwrap();
    assert_eq!(room.as_str(), "full");
    told(&mut changes, "storage.short", "packs").await;
    let ready = Request::get("/health/ready").body(Body::empty()).unwrap();
    assert_eq!(running.router().oneshot(ready).await.unwrap().status(), StatusCode::OK);
    running.stop().await;
}

/// A small CT image as a Part 10 file.
fn part10() -> Vec<u8> {
    let element = |group: u16, number: u16, vr: &str, value: &str| {
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" { 0 } else { b' ' });
        }
        let mut out = [group.to_le_bytes(), number.to_le_bytes()].concat();
        out.extend(vr.as_bytes());
        out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        out.extend(value);
        out
    };
    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    let meta = [
        element(2, 0x02, "UI", CT),
        element(2, 0x03, "UI", "1.2.3.4.1"),
        element(2, 0x10, "UI", "1.2.840.10008.1.2.1"),
        element(2, 0x12, "UI", "1.2.3"),
    ]
    .concat();
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend([2, 0, 0, 0]);
    file.extend(b"UL");
    file.extend(4_u16.to_le_bytes());
    file.extend(u32::try_from(meta.len()).unwrap().to_le_bytes());
    file.extend(meta);
    file.extend(element(8, 0x16, "UI", CT));
    file.extend(element(8, 0x18, "UI", "1.2.3.4.1"));
    file.extend(element(8, 0x60, "CS", "CT"));
    file.extend(element(0x20, 0x0d, "UI", "1.2.3.4"));
    file.extend(element(0x20, 0x0e, "UI", "1.2.3.4.2"));
    file
}
