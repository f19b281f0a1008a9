//! Storage Commitment with pynetdicom on the other side.

use crate::station::{CT, Image, Station, filled, settings};
use mingying_access::RolePolicy;
use mingying_dimse::Dimse;
use mingying_jobs::{Runner, counts};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The deliveries of a process of its own, as after a restart.
async fn runner(station: &Station) -> Runner {
    let (db, clock) = (station.db.clone(), station.clock.clone());
    let dimse = Dimse::new(settings(), db.clone(), station.archive.clone(), Arc::new(RolePolicy), clock.clone());
    let settings = mingying_jobs::Settings {
        first_backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        max_attempts: u32::MAX,
        ..Default::default()
    };
    let runner = Runner::new(db, clock, settings).with(Arc::new(dimse.report_commitments()));
    runner.register().await.unwrap();
    runner
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn commit(station: &Station, options: Value) -> Vec<String> {
    station.python("commit.py", "CT01", &[&options.to_string()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_told_over_the_same_association() {
    let images: Vec<Image> = (1..=3).map(|n| Image::new(1, 1, n)).collect();
    let station = filled(&images).await;
    let runner = runner(&station).await;
    let uids: Vec<&String> = images.iter().map(|image| &image.sop).collect();
    let lines = commit(&station, json!({"objects": uids, "stay": true})).await;
    assert_eq!(lines, ["action 0000", "same 1 1.2.3.77 3 -"]);
    // Each failure has its reason: not there, of another class.
    let objects = json!([uids[0], "1.2.3.4.5", ["1.2.840.10008.5.1.4.1.1.4", uids[1]], "no UID"]);
    let lines = commit(&station, json!({"objects": objects, "stay": true, "transaction": "1.2.3.78"})).await;
    assert_eq!(
        lines,
        ["action 0000".to_owned(), format!("same 2 1.2.3.78 1 1.2.3.4.5:0112,{}:0119,no UID:0112", images[1].sop)]
    );
    // Again the same is reported again; the same transaction for other objects is refused.
    let lines = commit(&station, json!({"objects": uids, "stay": true})).await;
    assert_eq!(lines, ["action 0000", "same 1 1.2.3.77 3 -"]);
    let lines = commit(&station, json!({"objects": [uids[2]], "stay": true})).await;
    assert_eq!(lines[1], format!("same 2 1.2.3.77 0 {}:0131", images[2].sop));
    // Nothing is left to be delivered.
    runner.drain().await.unwrap();
    assert_eq!((counts(&station.db).await.unwrap().pending, counts(&station.db).await.unwrap().dead), (0, 0));
    assert!(station.audited("study.read", "done").await >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_is_called_until_it_takes_the_report() {
    let images: Vec<Image> = (1..=2).map(|n| Image::new(1, 1, n)).collect();
    let station = filled(&images).await;
    runner(&station).await;
    let port = free_port().await;
    station.add_peer("CT01", port, "").await;
    let uids: Vec<&String> = images.iter().map(|image| &image.sop).collect();
    // Nobody listens yet: asked, accepted, gone.
    assert_eq!(commit(&station, json!({"objects": uids})).await, ["action 0000"]);
    while station.dimse.open_associations() > 0 {
        tokio::task::yield_now().await;
    }
    // Another process, which knows nothing of the request but what the database does.
    let runner = runner(&station).await;
    let delivering = tokio::spawn(async move {
        // One try after the other; the peer is there sometime, and refuses the first report.
        runner.drain().await.unwrap();
    });
    let lines = commit(&station, json!({"ask": false, "port": port, "reports": 2, "answers": ["0110", "0000"]})).await;
    delivering.await.unwrap();
    assert_eq!(lines, ["listening", "report 1 1.2.3.77 2 -", "report 1 1.2.3.77 2 -"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_objects_are_not_committed() {
    let station = filled(&[Image::new(1, 1, 1), Image::new(1, 1, 2)]).await;
    runner(&station).await;
    let study = Image::new(1, 1, 1).study;
    let instance = station.instances(&study).await.remove(0);
    let pack = std::fs::read_dir(station.dir().join("blobs/packs")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[instance.location.at as usize + 900] ^= 0x55;
    std::fs::write(&pack, bytes).unwrap();
    let objects = [Image::new(1, 1, 1).sop, Image::new(1, 1, 2).sop];
    let lines = commit(&station, json!({"objects": objects, "stay": true})).await;
    assert_eq!(lines[1], format!("same 2 1.2.3.77 1 {}:0110", instance.sop_uid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_have_their_status_and_a_vanished_caller_harms_nobody() {
    let station = filled(&[Image::new(1, 1, 1)]).await;
    let runner = runner(&station).await;
    let uid = Image::new(1, 1, 1).sop;
    for (options, status) in [
        (json!({"objects": []}), "0120"),
        (json!({"objects": [uid], "transaction": ""}), "0120"),
        (json!({"objects": [uid], "transaction": "not a UID"}), "0106"),
        (json!({"objects": [uid], "action": 2}), "0123"),
        (json!({"objects": [uid], "instance": "1.2.3"}), "0112"),
        (json!({"objects": [["", uid]]}), "0120"),
    ] {
        assert_eq!(commit(&station, options.clone()).await, [format!("action {status}")], "{options}");
    }
    assert_eq!(counts(&station.db).await.unwrap().pending, 0, "what is refused is not delivered");
    // Gone when its report came: the delivery goes on, and ends at once for a caller that stands in no register.
    commit(&station, json!({"objects": [uid], "stay": true, "abort": true})).await;
    while station.dimse.open_associations() > 0 {
        tokio::task::yield_now().await;
    }
    runner.drain().await.unwrap();
    assert_eq!(counts(&station.db).await.unwrap().dead, 1, "a person is told");
    assert_eq!(commit(&station, json!({"objects": [[CT, uid]], "stay": true})).await[0], "action 0000");
}
