//! Modality Worklist and Performed Procedure Step.

use crate::station::Station;
use mingying_exam::{MppsState, ReadExams};
use mingying_kernel::Role;

const UID: &str = "1.2.826.0.1.3680043.9999.500";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_lives_from_create_to_its_final_state() {
    let station = Station::start().await;
    station.put_org().await;
    let other = format!("{UID}.1");
    let steps = serde_json::json!([
        {"set": UID, "status": "COMPLETED"},
        {"create": UID, "status": "COMPLETED"},
        {"create": UID, "status": ""},
        {"create": UID, "time": "071500"},
        {"create": UID},
        {"set": UID, "status": "IN PROGRESS"},
        {"set": UID, "status": "PAUSED"},
        {"set": UID, "status": "COMPLETED", "series": "1.2.3.4", "images": 3, "time": "073000"},
        {"set": UID, "status": "COMPLETED"},
        {"create": other},
        {"set": other, "status": "DISCONTINUED", "reason": "Equipment failure"},
    ]);
    let statuses = station.python("mpps.py", "CT01", &[&steps.to_string()]).await;
    assert_eq!(
        statuses,
        [
            "0112", "0106", "0120", "0000", "0111", "0000", "0106", "0000", "0110", "0000", "0000"
        ]
    );
    let permit = station.ctx(Role::Tech).permit::<ReadExams>().unwrap();
    let mut kept = mingying_exam::unlinked_mpps(&station.db, &permit, 10).await.unwrap();
    kept.sort_by_key(|step| step.uid.as_str().len());
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].state, kept[0].images, kept[0].station_aet.as_str()), (MppsState::Completed, 3, "CT01"));
    assert_eq!(kept[0].started_at.to_rfc3339(), "2026-03-01T23:15:00Z");
    assert_eq!(kept[0].ended_at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-03-01T23:30:00Z"));
    assert_eq!((kept[1].state, kept[1].reason.as_str()), (MppsState::Discontinued, "Equipment failure"));
    assert_eq!(station.audited("mpps.write", "done").await, 5);
}
