//! Modality Worklist and Performed Procedure Step.

use crate::station::{Station, said};
use jiff::civil::{date, time};
use mingying_exam::{MppsState, ReadExams};
use mingying_kernel::{CampusId, Ctx, DepartmentId, DeviceId, Role, RoomId};
use mingying_orders::{CatalogueItem, ExamState, NewItem, NewOrder, Order, Priority, Special};
use mingying_patients::{Alert, AlertKind, Identifier, IdentifierKind, NewPatient, Sex};
use mingying_scheduling::{Device, OpeningHours, Room};
use mingying_testkit::{MONDAY_MORNING, ctx_as};
use serde_json::{Value, json};
use std::time::Duration;

const UID: &str = "1.2.826.0.1.3680043.9999.500";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_lives_from_create_to_its_final_state() {
    let station = Station::start().await;
    station.put_org().await;
    let other = format!("{UID}.1");
    let steps = json!([
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
    assert_eq!(statuses, ["0112", "0106", "0120", "0000", "0111", "0000", "0106", "0000", "0110", "0000", "0000"]);
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

/// Two CTs and, on the first, an exam for 张三 at 09:30 and one for Smith at 14:00.
struct Ward {
    station: Station,
    ctx: Ctx,
    zhang: Order,
}

async fn ward() -> Ward {
    let station = Station::start().await;
    let org = station.put_org().await;
    let ctx = ctx_as(Role::Admin, &station.clock);
    let db = &station.db;
    let item = CatalogueItem {
        id: "ct-chest".to_owned(),
        code: "CTCHEST".to_owned(),
        name: "胸部CT平扫".to_owned(),
        name_en: "Chest CT".to_owned(),
        modality: "CT".to_owned(),
        body_part: "CHEST".to_owned(),
        sided: false,
        contrast: false,
        duration_min: 15,
        preparation: String::new(),
        preparation_en: String::new(),
        price_cents: 0,
    };
    mingying_orders::upsert_catalogue(db, &ctx.permit().unwrap(), org, &[item]).await.unwrap();
    let room = Room {
        id: RoomId::new(),
        org,
        campus: CampusId::new(),
        department: DepartmentId::new(),
        code: "R1".to_owned(),
        name: "CT一室".to_owned(),
        name_en: "CT room 1".to_owned(),
        ticket_prefix: "A".to_owned(),
    };
    mingying_scheduling::put_room(db, &ctx.permit().unwrap(), &room).await.unwrap();
    let mut devices = Vec::new();
    for aet in ["CT01", "CT02"] {
        let device = Device {
            id: DeviceId::new(),
            org,
            campus: room.campus,
            department: room.department,
            room: room.id,
            ae_title: aet.to_owned().try_into().unwrap(),
            name: aet.to_owned(),
            modality: "CT".to_owned(),
            capacity: 1,
            active: true,
            mobile: false,
        };
        mingying_scheduling::put_device(db, &ctx.permit().unwrap(), &device).await.unwrap();
        let hours: Vec<_> =
            (1..=7).map(|weekday| OpeningHours { weekday, from: time(7, 0, 0, 0), to: time(22, 0, 0, 0) }).collect();
        mingying_scheduling::set_opening_hours(db, &ctx.permit().unwrap(), device.id, &hours).await.unwrap();
        devices.push(device.id);
    }
    let zhang = NewPatient {
        name: "张三".to_owned(),
        sex: Some(Sex::Male),
        birth_date: Some(date(1980, 1, 2)),
        identifiers: vec![Identifier { issuer: String::new(), kind: IdentifierKind::Mrn, value: "P1001".to_owned() }],
        alerts: vec![Alert { kind: AlertKind::Allergy, text: "碘对比剂".to_owned() }],
        ..NewPatient::default()
    };
    let zhang = booked(&station, &ctx, zhang, devices[0], 90).await;
    let smith = NewPatient {
        name: "Smith John".to_owned(),
        sex: Some(Sex::Unknown),
        birth_date: Some(date(1990, 5, 6)),
        ..NewPatient::default()
    };
    booked(&station, &ctx, smith, devices[0], 360).await;
    Ward { station, ctx, zhang }
}

/// An urgent order, booked so many minutes after eight.
async fn booked(station: &Station, ctx: &Ctx, person: NewPatient, device: DeviceId, minutes: u64) -> Order {
    let patient = mingying_patients::register(&station.db, &ctx.permit().unwrap(), person).await.unwrap();
    let order = NewOrder {
        items: vec![NewItem { catalogue_id: "ct-chest".to_owned(), side: None }],
        priority: Priority::Urgent,
        department: "呼吸科".to_owned(),
        physician: "王医生".to_owned(),
        diagnosis: "咳嗽".to_owned(),
        purpose: "排除肺炎".to_owned(),
        special: vec![Special::Isolation],
        ..NewOrder::for_patient(patient.id)
    };
    let order = mingying_orders::create(&station.db, &ctx.permit().unwrap(), order).await.unwrap();
    let start = MONDAY_MORNING.plus(Duration::from_mins(minutes));
    mingying_scheduling::book(&station.db, &ctx.permit().unwrap(), order.id, device, start).await.unwrap();
    order
}

async fn worklist(station: &Station, calling: &str, keys: Value) -> Vec<Value> {
    let mut lines = station.python("find.py", calling, &["worklist", "0", &keys.to_string()]).await;
    assert_eq!(lines.pop().as_deref(), Some("0000"));
    lines.iter().map(|line| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_modality_gets_its_worklist() {
    let ward = ward().await;
    let items = worklist(
        &ward.station,
        "CT01",
        json!({
            "PatientName": "", "PatientID": "", "PatientBirthDate": "", "PatientSex": "", "Allergies": "",
            "AccessionNumber": "", "StudyInstanceUID": "", "RequestedProcedureID": "",
            "RequestedProcedureDescription": "", "RequestedProcedurePriority": "", "ReferringPhysicianName": "",
            "RequestedProcedureCodeSequence": [], "PatientWeight": null,
            "ScheduledProcedureStepSequence": [{
                "ScheduledStationAETitle": "CT01", "ScheduledProcedureStepStartDate": "20260302",
                "ScheduledProcedureStepStartTime": "0800-1200", "Modality": "CT", "ScheduledProcedureStepID": "",
                "ScheduledProcedureStepDescription": "",
            }],
        }),
    )
    .await;
    assert_eq!(items.len(), 1, "{items:?}");
    let item = &items[0];
    assert_eq!(item["SpecificCharacterSet"], "ISO_IR 192");
    assert_eq!(item["PatientName"], "ZHANG^SAN=张^三");
    assert_eq!(item["PatientID"], "P1001");
    assert_eq!(item["PatientBirthDate"], "19800102");
    assert_eq!(item["PatientSex"], "M");
    assert_eq!(item["Allergies"], "碘对比剂");
    assert_eq!(item["AccessionNumber"], ward.zhang.accession.as_str());
    assert_eq!(item["StudyInstanceUID"], ward.zhang.study_uid.as_str());
    assert_eq!(item["RequestedProcedurePriority"], "HIGH");
    assert_eq!(item["RequestedProcedureDescription"], "胸部CT平扫");
    assert_eq!(item["RequestedProcedureCodeSequence"][0]["CodeValue"], "CTCHEST");
    assert!(item["ReferringPhysicianName"].as_str().unwrap().contains('王'));
    assert!(!item["RequestedProcedureID"].as_str().unwrap().is_empty());
    let step = &item["ScheduledProcedureStepSequence"][0];
    assert_eq!(step["ScheduledStationAETitle"], "CT01");
    assert_eq!(step["ScheduledProcedureStepStartDate"], "20260302");
    assert_eq!(step["ScheduledProcedureStepStartTime"], "093000");
    assert_eq!(step["Modality"], "CT");
    assert!(!step["ScheduledProcedureStepID"].as_str().unwrap().is_empty());
    assert!(step.get("ScheduledStationName").is_none(), "what was not asked for does not come");
    assert_eq!(ward.station.audited("mwl.query", "done").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worklist_keys_narrow() {
    let ward = ward().await;
    let step = |keys: Value| json!({"PatientID": "", "ScheduledProcedureStepSequence": [keys]});
    for (keys, expected) in [
        (step(json!({"ScheduledStationAETitle": "CT01", "ScheduledProcedureStepStartDate": ""})), 2),
        (step(json!({"ScheduledStationAETitle": "CT02"})), 0),
        (step(json!({"Modality": "MR"})), 0),
        (step(json!({"ScheduledProcedureStepStartDate": "20260302-"})), 2),
        (step(json!({"ScheduledProcedureStepStartDate": "-20260301"})), 0),
        (step(json!({"ScheduledProcedureStepStartTime": "12-"})), 1),
        (json!({"PatientName": "ZHANG*"}), 1),
        (json!({"SpecificCharacterSet": "GB18030", "PatientName": "*张*"}), 1),
        (json!({"PatientID": "P1001"}), 1),
        (json!({"AccessionNumber": ward.zhang.accession.as_str()}), 1),
        (json!({"AccessionNumber": "NONE"}), 0),
    ] {
        assert_eq!(worklist(&ward.station, "CT01", keys.clone()).await.len(), expected, "{keys}");
    }
    // An old modality that speaks GB18030 only, and one that has no Chinese at all.
    ward.station.add_peer("CT01", 104, "GB18030").await;
    ward.station.add_peer("CT02", 104, "ISO_IR 100").await;
    let keys = json!({"PatientID": "P1001", "PatientName": ""});
    let item = &worklist(&ward.station, "CT01", keys.clone()).await[0];
    assert_eq!((&item["SpecificCharacterSet"], &item["PatientName"]), (&json!("GB18030"), &json!("ZHANG^SAN=张^三")));
    let item = &worklist(&ward.station, "CT02", keys).await[0];
    assert_eq!((&item["SpecificCharacterSet"], &item["PatientName"]), (&json!("ISO_IR 100"), &json!("ZHANG^SAN")));
    // DCMTK reads the same.
    let output = ward
        .station
        .dcmtk(
            "findscu",
            &["-W", "-v", "-aet", "WS01", "-aec", "MINGYING"],
            &["-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=CT01", "-k", "PatientID=P1001"],
        )
        .await;
    assert_eq!(said(&output).matches("(Pending)").count(), 1, "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn performed_steps_move_the_exam() {
    let ward = ward().await;
    let keys = json!({"PatientID": "P1001", "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": ""}]});
    let item = worklist(&ward.station, "CT01", keys).await.remove(0);
    let sps = &item["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"];
    let create = json!([{"create": UID, "sps": sps, "study": ward.zhang.study_uid.as_str(), "time": "075500"}]);
    assert_eq!(ward.station.python("mpps.py", "CT01", &[&create.to_string()]).await, ["0000"]);
    let load = || async {
        mingying_orders::load(&ward.station.db, &ward.ctx.permit().unwrap(), ward.zhang.id).await.unwrap().state
    };
    assert_eq!(load().await, ExamState::InProgress);
    let broken = json!([{"set": UID, "status": "DISCONTINUED", "reason": "Equipment failure"}]);
    assert_eq!(ward.station.python("mpps.py", "CT01", &[&broken.to_string()]).await, ["0000"]);
    assert_eq!(load().await, ExamState::Discontinued);
    let steps = mingying_exam::mpps_of(&ward.station.db, &ward.ctx.permit().unwrap(), ward.zhang.id).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].state, steps[0].reason.as_str()), (MppsState::Discontinued, "Equipment failure"));
}
