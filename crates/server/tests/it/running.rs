//! The composed server in-process: sign-in over HTTP, CSRF, live changes, demonstration data, jobs, TLS.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use mingying::{Config, DEMO_PASSWORD, Running, Tls};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

pub(super) struct Person {
    pub(super) cookie: String,
    pub(super) csrf: String,
    session: Value,
}

async fn send(running: &Running, request: Request<Body>) -> Response<Body> {
    running.router().oneshot(request).await.unwrap()
}

async fn json_of(response: Response<Body>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

pub(super) async fn sign_in(running: &Running, username: &str, password: &str) -> Result<Person, (StatusCode, Value)> {
    let body = json!({"username": username, "password": password}).to_string();
    let request = Request::post("/api/v1/session")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap();
    let response = send(running, request).await;
    if response.status() != StatusCode::OK {
        return Err((response.status(), json_of(response).await));
    }
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let session = json_of(response).await;
    Ok(Person { cookie, csrf: session["csrf"].as_str().unwrap().to_owned(), session })
}

pub(super) async fn get(running: &Running, person: &Person, path: &str) -> (StatusCode, Value) {
    let request = Request::get(path).header(header::COOKIE, &person.cookie).body(Body::empty()).unwrap();
    let response = send(running, request).await;
    (response.status(), json_of(response).await)
}

pub(super) async fn post(
    running: &Running,
    person: &Person,
    path: &str,
    body: Value,
    csrf: &str,
) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header(header::COOKIE, &person.cookie)
        .header("x-csrf-token", csrf)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = send(running, request).await;
    (response.status(), json_of(response).await)
}

pub(super) async fn demo() -> (tempfile::TempDir, Running) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { demo: true, ..Config::local(dir.path()) };
    let running = mingying::start(config).await.unwrap();
    (dir, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_works_and_survives_a_restart() {
    let (dir, running) = demo().await;
    let token = running.demo_token.clone().unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("demo-token")).unwrap().trim(), token);

    let registrar = sign_in(&running, "registrar", DEMO_PASSWORD).await.unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(registrar.session["user"]["roles"], json!(["registrar"]));
    assert_eq!(registrar.session["demo"], json!(true));
    assert!(registrar.session["actions"].as_array().unwrap().contains(&json!("order.create")));
    let (status, directory) = get(&running, &registrar, "/api/v1/directory").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(directory["catalogue"].as_array().unwrap().len(), 60);
    assert_eq!(directory["devices"].as_array().unwrap().iter().filter(|d| d["modality"] == "CT").count(), 4);

    // Every state of an exam that the script plays.
    let (_, orders) = get(&running, &registrar, "/api/v1/orders?limit=200").await;
    let orders = orders["items"].as_array().unwrap();
    for state in [
        "ordered",
        "returned",
        "accepted",
        "cancelled",
        "scheduled",
        "arrived",
        "in_progress",
        "discontinued",
        "imaged",
        "redo",
        "completed",
        "reported",
        "audited",
    ] {
        assert!(orders.iter().any(|order| order["state"] == state), "no order is {state}");
    }
    // The images found their orders.
    let radiologist = sign_in(&running, "radiologist", DEMO_PASSWORD).await.unwrap_or_else(|e| panic!("{e:?}"));
    let (_, unmatched) = get(&running, &radiologist, "/api/v1/unmatched").await;
    assert_eq!(unmatched["items"].as_array().unwrap().len(), 0);
    let (_, list) = get(&running, &radiologist, "/api/v1/worklist").await;
    assert!(list["items"].as_array().unwrap().iter().filter(|row| row["images"].as_u64() > Some(0)).count() >= 8);

    // A write without its CSRF token is refused, whoever sends it.
    let (status, problem) = post(&running, &registrar, "/api/v1/patients", json!({}), "").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("auth.csrf")));
    let (status, problem) = post(&running, &registrar, "/api/v1/patients", json!({}), &registrar.csrf).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let (status, problem) = get(&running, &registrar, "/api/v1/audit").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("auth.forbidden")));
    // The refusal is in the log, which the security officer reads.
    let security = sign_in(&running, "security", DEMO_PASSWORD).await.unwrap_or_else(|e| panic!("{e:?}"));
    let (_, log) = get(&running, &security, "/api/v1/audit?object_kind=action&object_id=audit.read").await;
    assert_eq!(log["items"][0]["outcome"], "denied");
    running.stop().await;

    // The second start keeps everything and makes nothing twice.
    let count = orders.len();
    let config = Config { demo: true, ..Config::local(dir.path()) };
    let running = mingying::start(config).await.unwrap();
    assert_eq!(running.demo_token, Some(token));
    let registrar = sign_in(&running, "registrar", DEMO_PASSWORD).await.unwrap_or_else(|e| panic!("{e:?}"));
    let (_, again) = get(&running, &registrar, "/api/v1/orders?limit=200").await;
    assert_eq!(again["items"].as_array().unwrap().len(), count);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_changes_reach_a_listener_in_scope() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::local(dir.path());
    config.sign_in.require_second_factor = false;
    let running = mingying::start(config).await.unwrap();
    let access = &running.app.access;
    let manage = access.system("test").permit::<mingying_access::ManageUsers>().unwrap();
    let new = |username: &str| mingying_access::NewUser {
        username: username.to_owned(),
        name: username.to_owned(),
        password: "correct horse battery".to_owned(),
        roles: vec![mingying_kernel::Role::Head],
        demo: false,
        org: None,
    };
    access.create_user(&manage, new("fang")).await.unwrap();
    let person = sign_in(&running, "fang", "correct horse battery").await.unwrap_or_else(|e| panic!("{e:?}"));
    let request = Request::get("/api/v1/live").header(header::COOKIE, &person.cookie).body(Body::empty()).unwrap();
    let mut stream = send(&running, request).await.into_body();
    let mut next = async || {
        let frame = tokio::time::timeout(Duration::from_secs(10), stream.frame()).await.unwrap().unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    };
    assert!(next().await.contains("event: open"));
    access.create_user(&manage, new("someone")).await.unwrap();
    let text = loop {
        let text = next().await;
        if text.contains("user.created") {
            break text;
        }
    };
    assert!(text.contains("event: changed") && text.contains("\"subject_kind\":\"user\""), "{text}");
    assert!(!text.contains("someone"), "payloads stay inside: {text}");
    // An open stream does not hold up the end.
    tokio::time::timeout(Duration::from_secs(10), running.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_web_client_is_served_with_its_headers() {
    let dir = tempfile::tempdir().unwrap();
    let running = mingying::start(Config::local(dir.path())).await.unwrap();
    let fetch = async |path: &str| send(&running, Request::get(path).body(Body::empty()).unwrap()).await;
    for path in ["/", "/reading", "/display/1", "/p/token"] {
        let response = fetch(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        let csp = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(csp.contains("script-src 'self' 'wasm-unsafe-eval';") && csp.contains("object-src 'none'"), "{csp}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    for path in ["/assets/none.js", "/none.png", "/api/none"] {
        assert_eq!(fetch(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let problem = fetch("/api/v1/orders").await;
    assert_eq!(problem.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(problem.headers()[header::CACHE_CONTROL], "no-store");
    running.stop().await;
}

/// A connector that trusts the certificate a server made for itself.
fn trusting(dir: &std::path::Path) -> tokio_rustls::TlsConnector {
    let certificate = dir.join("tls/certificate.pem");
    let mut roots = rustls::RootCertStore::empty();
    for der in rustls_pki_types::pem::PemObject::pem_file_iter(&certificate).unwrap() {
        roots.add(der.unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(client))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_answers_with_its_own_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { tls: Tls::Auto, ..Config::local(dir.path()) };
    let running = mingying::start(config).await.unwrap();
    assert!(running.url.starts_with("https://127.0.0.1:"));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(dir.path().join("tls/key.pem")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let connector = trusting(dir.path());
    let stream = tokio::net::TcpStream::connect(running.http_addr).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("strict-transport-security"), "{text}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dicom_and_hl7_speak_tls_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::local(dir.path());
    config.images.tls = Some(true);
    config.hl7_listener.tls = Some(true);
    let running = mingying::start(config).await.unwrap();
    for address in [running.dimse_addr.unwrap(), running.hl7_addr.unwrap()] {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        trusting(dir.path()).connect(name, stream).await.unwrap();
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_holds_a_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    let running = mingying::start(Config::local(dir.path())).await.unwrap();
    let second = mingying::start(Config::local(dir.path())).await;
    assert!(second.err().unwrap().to_string().contains("another server"));
    running.stop().await;
    mingying::start(Config::local(dir.path())).await.unwrap().stop().await;
}
