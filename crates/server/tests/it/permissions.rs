//! `docs/permissions.csv` is written by hand; this holds every endpoint to it, for every role.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use mingying::{Config, Running};
use mingying_access::{ManageUsers, NewToken, NewUser, SignIn};
use mingying_kernel::Role;
use std::collections::{BTreeMap, BTreeSet};
use tower::ServiceExt as _;

const PASSWORD: &str = "correct horse battery";

/// DICOMweb is no part of the OpenAPI document; its services stand in the table all the same.
const DICOMWEB: [(&str, &str); 4] = [
    ("GET", "/dicom-web/studies"),
    ("GET", "/dicom-web/studies/{study_uid}/metadata"),
    ("GET", "/dicom-web/studies/{study_uid}/rendered"),
    ("POST", "/dicom-web/studies"),
];

struct Line {
    action: String,
    /// By role, in the order of the header.
    allowed: Vec<bool>,
}

struct Table {
    roles: Vec<Role>,
    lines: BTreeMap<(String, String), Line>,
}

fn table() -> Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let header: Vec<&str> = rows.next().unwrap().split(',').collect();
    assert_eq!(header[..3], ["method", "path", "action"]);
    let roles: Vec<Role> = header[3..].iter().map(|name| Role::parse(name).unwrap()).collect();
    let mut all: Vec<Role> = Role::PEOPLE.to_vec();
    all.extend([Role::Machine, Role::Display]);
    assert_eq!(roles, all, "one column per role");
    let mut lines = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells.len(), header.len(), "{row}");
        let allowed = cells[3..]
            .iter()
            .map(|cell| match *cell {
                "allow" => true,
                "deny" => false,
                other => panic!("{other} in {row}"),
            })
            .collect();
        let line = Line { action: cells[2].to_owned(), allowed };
        let twice = lines.insert((cells[0].to_owned(), cells[1].to_owned()), line);
        assert!(twice.is_none(), "twice: {row}");
    }
    Table { roles, lines }
}

/// Every operation that there is.
fn operations() -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(mingying_http::document()).unwrap();
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch", "head", "options"] {
            if item.get(method).is_some() {
                all.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    all.extend(DICOMWEB.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())));
    all
}

#[test]
fn the_table_names_every_operation_and_no_other() {
    let table: BTreeSet<_> = table().lines.into_keys().collect();
    let operations = operations();
    let missing: Vec<_> = operations.difference(&table).collect();
    let surplus: Vec<_> = table.difference(&operations).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "not in the table: {missing:#?}\nno such operation: {surplus:#?}"
    );
}

#[test]
fn the_table_agrees_with_itself() {
    // One action, one set of roles, on whatever path.
    let table = table();
    let mut seen: BTreeMap<&str, (&Vec<bool>, &String)> = BTreeMap::new();
    for ((_, path), line) in &table.lines {
        let (first, at) = seen.entry(&line.action).or_insert((&line.allowed, path));
        assert_eq!(**first, line.allowed, "{}: {at} and {path} differ", line.action);
    }
}

fn concrete(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{study_uid}" | "{uid}" | "{series_uid}" | "{sop_uid}" | "{study}" | "{series}" => "2.25.1".to_owned(),
            "{index}" => "1.jpg".to_owned(),
            "{token}" => "A".repeat(43),
            "{aet}" | "{name}" => "NOSUCH".to_owned(),
            other if other.starts_with('{') => uuid::Uuid::now_v7().to_string(),
            other => other.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// Queries without which a list refuses to answer.
fn query(path: &str) -> &'static str {
    match path {
        "/api/v1/slots" => "?order_id=01900000-0000-7000-8000-000000000001&from=2026-03-02&days=1",
        "/api/v1/appointments" => "?date=2026-03-02",
        _ => "",
    }
}

enum Caller {
    Anonymous,
    Person { cookie: String, csrf: String },
    Bearer(String),
}

async fn call(router: &axum::Router, method: &str, path: &str, caller: &Caller) -> StatusCode {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(format!(
        "{}{}",
        concrete(path),
        query(path)
    ));
    request = match caller {
        Caller::Anonymous => request,
        Caller::Person { cookie, csrf } => {
            request.header(header::COOKIE, format!("mingying_session={cookie}")).header("x-csrf-token", csrf)
        }
        Caller::Bearer(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
    };
    let body = if method == "GET" { Body::empty() } else { Body::from("{}") };
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
    // Only the head: live streams have no end.
    router.clone().oneshot(request).await.unwrap().status()
}

async fn sign_in(running: &Running, username: &str) -> Caller {
    let access = &running.app.access;
    let request = SignIn { username, password: PASSWORD, code: None, address: "10.0.0.1" };
    let new = access.sign_in(request).await.unwrap();
    Caller::Person { cookie: new.token, csrf: new.signed_in.csrf }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_open_to_whom_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::local(dir.path());
    config.sign_in.require_second_factor = false;
    let running = mingying::start(config).await.unwrap();
    let router = running.router();
    let table = table();

    let manage = running.app.access.system("test").permit::<ManageUsers>().unwrap();
    for role in Role::PEOPLE {
        let new = NewUser {
            username: format!("a-{}", role.as_str()),
            name: role.as_str().to_owned(),
            password: PASSWORD.to_owned(),
            roles: vec![role],
            demo: false,
            org: None,
        };
        running.app.access.create_user(&manage, new).await.unwrap();
    }
    let mut wrong = Vec::new();
    for (index, role) in table.roles.iter().enumerate() {
        let machine = matches!(role, Role::Machine | Role::Display);
        let username = format!("a-{}", role.as_str());
        let mut caller = if machine {
            let new = NewToken {
                name: username.clone(),
                subject: username.clone(),
                role: *role,
                org: None,
                expires_at: None,
            };
            Caller::Bearer(running.app.access.create_token(&manage, new).await.unwrap().token)
        } else {
            sign_in(&running, &username).await
        };
        for ((method, path), line) in &table.lines {
            if line.action == "public" {
                assert!(line.allowed.iter().all(|allowed| *allowed), "{path} is public");
                continue;
            }
            let status = call(&router, method, path, &caller).await;
            let open = !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            let allowed = line.allowed[index];
            // Machines have no session: what is about the session is closed to them, whatever the reason given.
            let right = if allowed { open } else { status == StatusCode::FORBIDDEN };
            if !right || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
                wrong.push(format!("{} {method} {path}: {status}, the table says {allowed}", role.as_str()));
            }
            if method == "DELETE" && path == "/api/v1/session" && !machine {
                caller = sign_in(&running, &username).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));

    // Whoever has not signed in gets nothing but signing in and what a patient's link opens.
    for ((method, path), line) in &table.lines {
        let status = call(&router, method, path, &Caller::Anonymous).await;
        if line.action == "public" {
            assert_ne!(status, StatusCode::FORBIDDEN, "{method} {path}");
        } else {
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    for path in ["/health/live", "/health/ready", "/metrics", "/api/openapi.json", "/api/docs"] {
        assert_eq!(call(&router, "GET", path, &Caller::Anonymous).await, StatusCode::OK, "{path}");
    }
    for path in ["/api/v1", "/api/v1/no/such/route", "/dicom-web", "/dicom-web/no/such", "/fhir/R4/Patient"] {
        assert_eq!(call(&router, "GET", path, &Caller::Anonymous).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    running.stop().await;
}
