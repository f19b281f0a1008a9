//! C-FIND over the archive.

use crate::hostile;
use crate::station::{Image, Station, said};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

/// Three studies of two patients.
async fn filled() -> Station {
    let station = Station::start().await;
    let mut files = Vec::new();
    for (study, series, number) in [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (3, 1, 1)] {
        let mut image = Image::new(study, series, number);
        if study == 3 {
            image.patient_name = "LI^SI=李^四";
            image.patient_id = "P2002";
            image.accession = "A2026030003";
            image.charset = "GB18030";
        }
        if study == 2 {
            image.accession = "A2026030002";
        }
        files.push(image.write(station.dir()));
    }
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    assert_eq!(station.python("store.py", "CT01", &names).await, ["0000"; 5]);
    station
}

/// The pending responses, and the last status.
async fn query(station: &Station, calling: &str, model: &str, keys: &str) -> (Vec<Value>, String) {
    let mut lines = station.python("find.py", calling, &[model, "0", keys]).await;
    let last = lines.pop().unwrap();
    let rows = lines
        .iter()
        .map(|line| {
            let (status, keys) = line.split_once(' ').unwrap();
            assert!(status == "FF00" || status == "FF01", "{line}");
            serde_json::from_str(keys).unwrap()
        })
        .collect();
    (rows, last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_by_name_in_any_character_set() {
    let station = filled().await;
    for (charset, name) in
        [("ISO_IR 192", "*张*"), ("GB18030", "*李*"), ("ISO_IR 192", "LI^SI*"), ("ISO_IR 192", "ZHANG*")]
    {
        let keys = format!(
            r#"{{"SpecificCharacterSet":"{charset}","QueryRetrieveLevel":"STUDY","PatientName":"{name}","PatientID":"","AccessionNumber":"","StudyDate":"","NumberOfStudyRelatedInstances":"","PregnancyStatus":null}}"#
        );
        let (rows, last) = query(&station, "WS01", "study", &keys).await;
        assert_eq!(last, "0000");
        let chinese = if name.contains(['李', 'L']) { "LI^SI=李^四" } else { "ZHANG^SAN=张^三" };
        assert_eq!(rows.len(), if chinese.starts_with("LI") { 1 } else { 2 }, "{name}");
        for row in rows {
            assert_eq!(row["PatientName"], chinese, "{name}");
            assert_eq!(row["SpecificCharacterSet"], "ISO_IR 192");
            assert_eq!(row["QueryRetrieveLevel"], "STUDY");
            assert_eq!(row["RetrieveAETitle"], "MINGYING");
            assert!(row["StudyInstanceUID"].as_str().unwrap().starts_with("1.2.826"), "unique keys come unasked");
            assert!(row.get("StudyDescription").is_none(), "what was not asked for does not come");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_gets_its_own_character_set() {
    let station = filled().await;
    station.add_peer("OLDWS", 104, "GB18030").await;
    let keys = r#"{"QueryRetrieveLevel":"STUDY","PatientName":"","PatientID":"P2002"}"#;
    let (rows, _) = query(&station, "OLDWS", "study", keys).await;
    assert_eq!(rows[0]["SpecificCharacterSet"], "GB18030");
    assert_eq!(rows[0]["PatientName"], "LI^SI=李^四", "read back by pydicom under that character set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_and_images_by_their_keys() {
    let station = filled().await;
    let study = Image::new(1, 1, 1).study;
    let keys = format!(
        r#"{{"QueryRetrieveLevel":"SERIES","StudyInstanceUID":"{study}","SeriesInstanceUID":"","Modality":"","SeriesNumber":null,"NumberOfSeriesRelatedInstances":null}}"#
    );
    let (rows, last) = query(&station, "WS01", "study", &keys).await;
    assert_eq!((rows.len(), last.as_str()), (2, "0000"));
    let mut counts: Vec<&str> = rows.iter().map(|r| r["NumberOfSeriesRelatedInstances"].as_str().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, ["1", "2"]);
    let series = Image::new(1, 1, 1).series;
    let keys = format!(
        r#"{{"QueryRetrieveLevel":"IMAGE","StudyInstanceUID":"{study}","SeriesInstanceUID":"{series}","SOPInstanceUID":"","SOPClassUID":"","InstanceNumber":null}}"#
    );
    let (rows, last) = query(&station, "WS01", "study", &keys).await;
    assert_eq!((rows.len(), last.as_str()), (2, "0000"));
    assert!(rows.iter().all(|row| row["SOPClassUID"] == crate::station::CT));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patients_are_told_apart() {
    let station = filled().await;
    let keys = r#"{"QueryRetrieveLevel":"PATIENT","PatientName":"","PatientID":""}"#;
    let (mut rows, last) = query(&station, "WS01", "patient", keys).await;
    assert_eq!(last, "0000");
    rows.sort_by_key(|row| row["PatientID"].as_str().unwrap().to_owned());
    let ids: Vec<_> = rows.iter().map(|row| row["PatientID"].as_str().unwrap()).collect();
    assert_eq!(ids, ["P1001", "P2002"]);
    // Study Root has no such level.
    let (rows, last) = query(&station, "WS01", "study", keys).await;
    assert_eq!((rows.len(), last.as_str()), (0, "A900"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_a_patient_where_asked_for() {
    let station = filled().await;
    let keys = r#"{"QueryRetrieveLevel":"PATIENT","PatientID":"P1001","NumberOfPatientRelatedStudies":null,"NumberOfPatientRelatedSeries":null,"NumberOfPatientRelatedInstances":null}"#;
    let (rows, last) = query(&station, "WS01", "patient", keys).await;
    assert_eq!((rows.len(), last.as_str()), (1, "0000"));
    let of = |key: &str| rows[0][key].as_str().unwrap();
    let figures = ["Studies", "Series", "Instances"].map(|what| of(&format!("NumberOfPatientRelated{what}")));
    assert_eq!(figures, ["2", "3", "4"]);
    let keys = r#"{"QueryRetrieveLevel":"STUDY","PatientID":"P1001","ModalitiesInStudy":"CT","InstanceAvailability":"","NumberOfStudyRelatedSeries":null}"#;
    let (rows, _) = query(&station, "WS01", "patient", keys).await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["InstanceAvailability"] == "ONLINE" && row["ModalitiesInStudy"] == "CT"));
}

/// The granted bytes, and the number of matches.
async fn negotiated(station: &Station, offered: &str, keys: &str) -> (String, usize) {
    let lines = station.python("find.py", "WS01", &["study", "0", keys, offered]).await;
    assert_eq!(lines.last().unwrap(), "0000", "{lines:?}");
    (lines[0].clone(), lines.len() - 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_negotiated_changes_the_matches() {
    let station = filled().await;
    let name = |name: &str| {
        format!(r#"{{"SpecificCharacterSet":"ISO_IR 192","QueryRetrieveLevel":"STUDY","PatientName":"{name}"}}"#)
    };
    assert_eq!(negotiated(&station, "010000", &name("San Zhang")).await, ("granted 010000".to_owned(), 0));
    for (typed, found) in [("San Zhang", 2), ("san zh", 2), ("章三", 2), ("四 李", 1), ("LS", 1), ("Wang", 0)] {
        assert_eq!(negotiated(&station, "010101", &name(typed)).await, ("granted 010101".to_owned(), found), "{typed}");
    }
    // All were made on 2 March 2026 at 08:15.
    let period = r#"{"QueryRetrieveLevel":"STUDY","StudyDate":"20260301-20260303","StudyTime":"1000-1200"}"#;
    assert_eq!(negotiated(&station, "0100", period).await.1, 0, "each by itself: no time is between");
    assert_eq!(negotiated(&station, "0101", period).await, ("granted 0101".to_owned(), 3), "one period: it is within");
    let late = r#"{"QueryRetrieveLevel":"STUDY","StudyDate":"20260302-20260303","StudyTime":"0816-0800"}"#;
    assert_eq!(negotiated(&station, "0101", late).await.1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_identifiers_have_their_status() {
    let station = filled().await;
    for (keys, status) in [
        (r#"{"PatientName":""}"#, "A900"),
        (r#"{"QueryRetrieveLevel":"GALAXY","PatientName":""}"#, "A900"),
        (r#"{"QueryRetrieveLevel":"STUDY","StudyDate":"yesterday"}"#, "A900"),
    ] {
        let (rows, last) = query(&station, "WS01", "study", keys).await;
        assert_eq!((rows.len(), last.as_str()), (0, status), "{keys}");
    }
    // Nothing found is no error.
    let (rows, last) = query(&station, "WS01", "study", r#"{"QueryRetrieveLevel":"STUDY","PatientID":"NOBODY"}"#).await;
    assert_eq!((rows.len(), last.as_str()), (0, "0000"));
    // Every answered query is in the audit log, without its keys.
    assert!(station.audited("study.read", "done").await >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findscu_and_its_cancel() {
    let station = filled().await;
    let output = station
        .dcmtk(
            "findscu",
            &["-S", "-v", "-aet", "WS01", "-aec", "MINGYING"],
            &["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=P1001", "-k", "StudyInstanceUID"],
        )
        .await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("(Pending)").count(), 2, "{text}");
    // A cancel that comes in time stops the answers; one that comes late finds them all sent. Both end in order.
    let keys = r#"{"QueryRetrieveLevel":"STUDY","PatientID":""}"#;
    let lines = station.python("find.py", "WS01", &["study", "1", keys]).await;
    let last = lines.last().unwrap();
    assert!(last == "FE00" || last == "0000", "{lines:?}");
}

/// The request and its cancel arrive together: not one match is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_came_in_time_ends_the_answers() {
    let station = filled().await;
    let mut socket = hostile::associated(&station).await;
    let element = hostile::element;
    let find = [
        element(0x0002, b"1.2.840.10008.5.1.4.1.2.2.1\0"),
        element(0x0100, &[0x20, 0]),
        element(0x0110, &[7, 0]),
        element(0x0700, &[0, 0]),
        element(0x0800, &[0, 0]),
    ];
    let cancel = [element(0x0100, &[0xFF, 0x0F]), element(0x0120, &[7, 0]), element(0x0800, &[1, 1])];
    let keys = [&[8, 0, 0x52, 0, 6, 0, 0, 0][..], b"STUDY "].concat();
    let messages =
        [hostile::p_data(3, 3, &find.concat()), hostile::p_data(3, 2, &keys), hostile::p_data(3, 3, &cancel.concat())];
    socket.write_all(&messages.concat()).await.unwrap();
    let response = hostile::read_pdu(&mut socket).await.unwrap();
    assert_eq!(hostile::status_of(&response), 0xFE00);
}
