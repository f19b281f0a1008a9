use super::harness::*;

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
        (&format!("{dicom}; boundary=b"), b"--b--".to_vec(), 400, "dicomweb.no_parts"),
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
    assert_eq!(
        (answer.status, answer.json()["00081199"]["Value"].as_array().map(Vec::len)),
        (StatusCode::ACCEPTED, Some(1))
    );
    bench.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_body_breaks_the_service(
        body in prop::collection::vec(
            prop_oneof![
                3 => Just(b"\r\n".to_vec()),
                2 => Just(b"--b".to_vec()),
                1 => Just(b"--".to_vec()),
                3 => prop::collection::vec(any::<u8>(), 1..8),
            ],
            0..40,
        )
        .prop_map(|pieces| pieces.concat()),
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
