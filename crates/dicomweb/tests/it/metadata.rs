use super::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_bulk_values() {
    let bench = Bench::new().await;
    bench.store("/studies", &[file(1, 1, 1), file(1, 1, 2)]).await;
    let answer = bench.get("/studies/1.9.1/metadata", JSON).await;
    assert_eq!(answer.kind(), JSON);
    let list = answer.json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let one = &list[0];
    assert_eq!(one["00280010"], json!({"vr": "US", "Value": [12]}));
    assert_eq!(one["00281050"]["Value"][0], 2048);
    assert!(one.get("7FE00010").unwrap().get("InlineBinary").is_none());
    let base = "http://pacs.test:8080/dicom-web";
    let path = |value: &Value| value["BulkDataURI"].as_str().unwrap().strip_prefix(base).unwrap().to_owned();
    let pixels = bench.get(&path(&one["7FE00010"]), "application/octet-stream").await;
    assert!(pixels.body == raw(1));
    let private = bench.get(&path(&one["00091010"]), OCTETS).await;
    assert_eq!(private.parts()[0].1, vec![7u8; 3000]);
    assert_eq!(bench.get("/studies/1.9.1/series/1.9.1.1/metadata", "").await.json(), list);
    let instance = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1";
    assert_eq!(bench.get(&format!("{instance}/metadata"), "application/json").await.json()[0], *one);
    for bad in ["00091010/1/00091010", "zz", "00091011"] {
        assert_eq!(bench.get(&format!("{instance}/bulkdata/{bad}"), "").await.status, StatusCode::NOT_FOUND, "{bad}");
    }
    assert_eq!(bench.get("/studies/1.9.1/metadata", "application/dicom+xml").await.status, StatusCode::NOT_ACCEPTABLE);

    let tag = answer.headers[header::ETAG].to_str().unwrap().to_owned();
    let again = |tag: String| {
        Request::get("/studies/1.9.1/metadata")
            .header(header::AUTHORIZATION, "all")
            .header(header::IF_NONE_MATCH, tag)
            .body(Body::empty())
            .unwrap()
    };
    // The base of the URLs is part of the answer, so it is part of the tag.
    assert_eq!(bench.send(again(tag.clone())).await.status, StatusCode::NOT_MODIFIED);
    bench.store("/studies", &[file(1, 1, 3)]).await;
    assert_eq!(bench.send(again(tag)).await.status, StatusCode::OK, "a new instance changes the tag");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "private, max-age=0, must-revalidate");
    bench.close().await;
}

fn unzipped(answer: &Answer) -> Value {
    assert_eq!(answer.headers[header::CONTENT_ENCODING], "gzip");
    assert_eq!(answer.headers[header::CONTENT_LENGTH].to_str().unwrap(), answer.body.len().to_string());
    serde_json::from_reader(flate2::read::GzDecoder::new(&*answer.body)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_of_a_series_is_made_once_and_follows_the_series() {
    let bench = Bench::new().await;
    let files: Vec<Vec<u8>> = (1..=70).map(|n| file(1, 1, n)).chain([file(1, 2, 1)]).collect();
    bench.store("/studies", &files).await;
    let series = "/studies/1.9.1/series/1.9.1.1/metadata";
    let zip = async |path: &str| unzipped(&bench.get_with(path, JSON, header::ACCEPT_ENCODING, "gzip").await);
    let made = || bench.archive.read_stats().derived.misses;

    let plain = bench.get(series, JSON).await;
    assert!(plain.headers.get(header::CONTENT_ENCODING).is_none());
    let numbers: Vec<i64> =
        plain.json().as_array().unwrap().iter().map(|i| i["00200013"]["Value"][0].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=70).collect::<Vec<_>>(), "in order, over several batches");
    assert_eq!(zip(series).await, plain.json());
    assert_eq!((made(), bench.archive.read_stats().derived.hits), (1, 1));

    let study = zip("/studies/1.9.1/metadata").await;
    assert_eq!(study.as_array().unwrap().len(), 71);
    assert_eq!(study[3], plain.json()[3]);
    assert_eq!(made(), 2, "only the other series had to be made");

    bench.store("/studies", &[file(1, 1, 71)]).await;
    assert_eq!(zip(series).await.as_array().unwrap().len(), 71);
    assert_eq!(made(), 3);
    let elsewhere = bench.get_with(series, JSON, header::HOST, "other.test").await.json();
    let uri = elsewhere[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
    assert!(uri.starts_with("http://other.test/dicom-web/studies/1.9.1/"), "the addresses are the client's: {uri}");

    // What is kept is given to nobody who may not see the study.
    let stranger = Request::get(series).header(header::AUTHORIZATION, "stranger").body(Body::empty()).unwrap();
    assert_eq!(bench.send(stranger).await.status, StatusCode::NOT_FOUND);
    bench.close().await;
}
