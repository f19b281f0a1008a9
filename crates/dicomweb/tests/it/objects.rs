use super::harness::*;

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
