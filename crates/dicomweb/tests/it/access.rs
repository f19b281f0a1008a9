use super::harness::*;

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
