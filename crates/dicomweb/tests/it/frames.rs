use super::harness::*;

/// Stored and sent, never decoded here.
const JPEG_XL: &str = "1.2.840.10008.1.2.4.110";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_frames_and_conversions() {
    let bench = Bench::new().await;
    bench
        .store("/studies", &[file(1, 1, 1), file_as(&object(2, 1, 2), IMPLICIT), file_as(&object(3, 1, 3), BIG)])
        .await;
    let instance = |s: u32, n: u32| format!("/studies/1.9.{s}/series/1.9.{s}.1/instances/1.9.{s}.1.{n}");
    for (study, number) in [(1, 1), (2, 2), (3, 3)] {
        let frame = bench.get(&format!("{}/frames/1", instance(study, number)), OCTETS).await;
        assert_eq!(frame.parts()[0].0, format!("application/octet-stream; transfer-syntax={EXPLICIT}"));
        assert!(frame.parts()[0].1 == raw(number as u16), "study {study}: little endian");
    }
    let to_implicit = bench.get(&instance(1, 1), &format!("application/dicom; transfer-syntax={IMPLICIT}")).await;
    let head = part10::read_header(&to_implicit.body).unwrap().unwrap();
    assert_eq!(head.transfer_syntax, IMPLICIT);
    let data_set = &to_implicit.body[head.data_set_at..];
    let read = read_data_set(data_set, IMPLICIT, Limits::default()).unwrap();
    assert_eq!(read.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Zhang^San=张^三");
    assert!(data_set.ends_with(&raw(1)));
    let to_explicit = bench.get(&instance(2, 2), &format!("{MULTIPART}; transfer-syntax={EXPLICIT}")).await;
    let part = &to_explicit.parts()[0].1;
    assert!(part == &file_as(&object(2, 1, 2), EXPLICIT) || part.ends_with(&raw(2)));
    for syntax in [BIG, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"] {
        let accept = format!("{MULTIPART}; transfer-syntax={syntax}");
        assert_eq!(bench.get(&instance(1, 1), &accept).await.status, StatusCode::NOT_ACCEPTABLE, "{syntax}");
    }
    for (list, status) in [("1,1", 200), ("2", 404), ("0", 400), ("1,x", 400), ("%2e%2e", 400)] {
        assert_eq!(
            bench.get(&format!("{}/frames/{list}", instance(1, 1)), OCTETS).await.status.as_u16(),
            status,
            "{list}"
        );
    }
    let two = bench.get(&format!("{}/frames/1,1", instance(1, 1)), "application/octet-stream").await;
    assert_eq!(two.status, StatusCode::NOT_ACCEPTABLE, "two frames, one part");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_frames_as_stored_or_decoded() {
    let bench = Bench::new().await;
    let stored = bench
        .store(
            "/studies",
            &[encapsulated(1, RLE, vec![rle(5), rle(6)]), encapsulated(2, JPEG_XL, vec![vec![1, 2, 3, 4]])],
        )
        .await;
    assert_eq!(stored.status, StatusCode::OK);
    let frames = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1/frames/2,1";
    for accept in ["", "*/*", "multipart/related; type=\"image/dicom-rle\"", &format!("{OCTETS}; transfer-syntax=*")] {
        let answer = bench.get(frames, accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        let parts = answer.parts();
        assert_eq!(parts[0].0, format!("image/dicom-rle; transfer-syntax={RLE}"), "{accept}");
        assert!(parts[0].1 == rle(6) && parts[1].1 == rle(5));
    }
    let decoded = bench.get(frames, OCTETS).await;
    assert_eq!(decoded.parts()[0].0, format!("application/octet-stream; transfer-syntax={EXPLICIT}"));
    assert!(decoded.parts()[0].1 == raw(6) && decoded.parts()[1].1 == raw(5));
    let bulk = bench.get("/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1/bulkdata/7FE00010", "").await;
    assert!(bulk.parts().len() == 2 && bulk.parts()[1].1 == rle(6));

    let other = "/studies/1.9.2/series/1.9.2.1/instances/1.9.2.1.1";
    let kept = bench.get(&format!("{other}/frames/1"), "multipart/related; type=\"image/jxl\"").await;
    assert!(kept.parts()[0].1 == [1, 2, 3, 4]);
    assert_eq!(bench.get(&format!("{other}/frames/1"), OCTETS).await.status, StatusCode::NOT_ACCEPTABLE);
    let picture = bench.get(&format!("{other}/rendered"), "image/png").await;
    assert_eq!((picture.status, picture.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "render.transfer_syntax"));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rendered_images() {
    let bench = Bench::new().await;
    bench.store("/studies", &[file(1, 1, 1), file(1, 1, 2)]).await;
    let instance = "/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.1";
    let png = bench.get(&format!("{instance}/rendered?window=2048,1,linear-exact"), "image/png").await;
    assert_eq!((png.status, png.kind()), (StatusCode::OK, "image/png"));
    assert!(png.body.starts_with(b"\x89PNG"));
    let before = bench.archive.read_stats().derived;
    let again = bench.get(&format!("{instance}/rendered?window=2048,1,linear-exact"), "image/png").await;
    let after = bench.archive.read_stats().derived;
    assert!(again.body == png.body && (after.hits, after.misses) == (before.hits + 1, before.misses), "drawn once");
    let other = bench.get(&format!("{instance}/rendered?window=100,1,linear-exact"), "image/png").await;
    assert!(other.body != png.body, "another window is another picture");
    for path in ["/studies/1.9.1", "/studies/1.9.1/series/1.9.1.1", instance, &format!("{instance}/frames/1")] {
        for what in ["rendered", "thumbnail"] {
            let jpeg = bench.get(&format!("{path}/{what}"), "").await;
            assert_eq!((jpeg.status, jpeg.kind()), (StatusCode::OK, "image/jpeg"), "{path}/{what}");
        }
    }
    for bad in ["window=1", "viewport=a,b", "quality=0", "viewport=10,10,999,0"] {
        let status = bench.get(&format!("{instance}/rendered?{bad}"), "").await.status;
        assert!(matches!(status.as_u16(), 400 | 406), "{bad}: {status}");
    }
    assert_eq!(bench.get(&format!("{instance}/rendered"), "video/mp4").await.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(bench.get(&format!("{instance}/rendered?accept=image/png"), "text/html").await.kind(), "image/png");
    assert_eq!(bench.get(&format!("{instance}/frames/1,1/rendered"), "").await.status, StatusCode::NOT_ACCEPTABLE);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_frame() {
    let bench = Bench::new().await;
    let codestream: Vec<u8> = (0..100).collect();
    bench
        .store(
            "/studies",
            &[
                file(1, 1, 1),
                encapsulated(2, HTJ2K, vec![codestream.clone()]),
                encapsulated(3, RLE, vec![rle(5), rle(6)]),
            ],
        )
        .await;
    let path = |study: u32, frame: u32| {
        format!("/studies/1.9.{study}/series/1.9.{study}.1/instances/1.9.{study}.1.1/frames/{frame}")
    };
    let octets = "application/octet-stream";
    let native = raw(1);
    let cases: [(String, &str, &[u8]); 3] = [
        (path(1, 1), octets, &native),
        // The beginning of a codestream is a smaller image.
        (path(2, 1), "image/jphc", &codestream),
        // Decoded on the way.
        (path(3, 2), octets, &raw(6)),
    ];
    for (path, accept, whole) in cases {
        let answer = bench.get(&path, accept).await;
        assert!(answer.body == whole, "{path}");
        assert_eq!(answer.headers[header::ACCEPT_RANGES], "bytes");
        let part = bench.get_with(&path, accept, header::RANGE, "bytes=10-19").await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers[header::CONTENT_RANGE], format!("bytes 10-19/{}", whole.len()));
        assert_eq!(part.headers[header::CONTENT_LENGTH], "10");
        assert!(part.body == whole[10..20], "{path}");
        let beyond = bench.get_with(&path, accept, header::RANGE, "bytes=1000000-").await;
        assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(beyond.headers[header::CONTENT_RANGE], format!("bytes */{}", whole.len()));
        let tag = answer.headers[header::ETAG].to_str().unwrap();
        assert!(tag.starts_with('"'), "each byte is the same each time: {tag}");
        let known = bench.get_with(&path, accept, header::IF_NONE_MATCH, tag).await;
        assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    }
    let several = bench.get_with(&path(1, 1), OCTETS, header::RANGE, "bytes=0-1").await;
    assert!(several.status == StatusCode::OK && several.parts()[0].1 == native, "parts of parts are not given");
    assert_eq!(several.headers[header::CONTENT_LENGTH].to_str().unwrap(), several.body.len().to_string());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frame_after_frame_of_a_series_asks_the_database_once() {
    let bench = Bench::new().await;
    let files: Vec<Vec<u8>> = (1..=9).map(|n| file(1, 1, n)).collect();
    bench.store("/studies", &files).await;
    let path = |n: u16| format!("/studies/1.9.1/series/1.9.1.1/instances/1.9.1.1.{n}/frames/1");
    for n in 1..=9 {
        assert!(bench.get(&path(n), "application/octet-stream").await.body == raw(n), "{n}");
    }
    assert_eq!(bench.archive.read_stats().row_hits, 7, "the second question reads the series");
    // One that came meanwhile is there at once.
    assert_eq!(bench.get(&path(10), "").await.status, StatusCode::NOT_FOUND);
    bench.store("/studies", &[file(1, 1, 10)]).await;
    assert!(bench.get(&path(10), "application/octet-stream").await.body == raw(10));
    // Rows in memory open nothing to those who may not see the study.
    let as_whom = |token: &str| Request::get(path(1)).header(header::AUTHORIZATION, token).body(Body::empty()).unwrap();
    assert_eq!(bench.send(as_whom("reader")).await.status, StatusCode::OK);
    assert_eq!(bench.send(as_whom("stranger")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.send(as_whom("sender")).await.status, StatusCode::FORBIDDEN);
    // The same SOP instance under another series' name is not that instance.
    let wrong = path(1).replace("/series/1.9.1.1/", "/series/1.9.1.2/");
    assert_eq!(bench.get(&wrong, "").await.status, StatusCode::NOT_FOUND);
    bench.close().await;
}
