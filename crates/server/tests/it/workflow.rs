//! A patient's way from the desk to the finished exam, over HTTP, as the screens go it.

use super::running::{Person, demo, get, post, sign_in};
use axum::http::StatusCode;
use mingying::{DEMO_PASSWORD, Running};
use serde_json::{Value, json};

struct Desk<'a> {
    running: &'a Running,
    person: Person,
}

impl Desk<'_> {
    async fn of<'a>(running: &'a Running, username: &str) -> Desk<'a> {
        let person = sign_in(running, username, DEMO_PASSWORD).await.ok().unwrap();
        Desk { running, person }
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = get(self.running, &self.person, &format!("/api/v1{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}");
        body
    }

    async fn try_post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        post(self.running, &self.person, &format!("/api/v1{path}"), body, &self.person.csrf).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.try_post(path, body).await;
        assert!(status.is_success(), "{path} {status} {body}");
        body
    }

    /// The status and code of a refusal.
    async fn refused(&self, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.try_post(path, body).await;
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn order_for(desk: &Desk<'_>, patient: &str, item: &str) -> Value {
    desk.post(
        "/orders",
        json!({"patient_id": patient, "items": [{"catalogue_id": item}], "priority": "routine",
               "visit_class": "outpatient", "department": "呼吸内科", "physician": "李医生", "diagnosis": "咳嗽待查"}),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_is_registered_booked_received_called_and_examined() {
    let (_dir, running) = demo().await;
    let desk = Desk::of(&running, "registrar").await;
    let tech = Desk::of(&running, "tech").await;
    let directory = desk.get("/directory").await;
    let list = |name: &str| directory[name].as_array().unwrap().clone();
    let item = list("catalogue").into_iter().find(|i| i["modality"] == "CT" && i["sided"] == false).unwrap();
    let device = list("devices").into_iter().find(|d| d["ae_title"] == "CT01").unwrap();

    // The desk registers; the same card again is the same person.
    let card = json!([{"issuer": "", "kind": "id_card", "value": "11010519491231002X"}]);
    let new = json!({"name": "测试甲乙", "sex": "F", "phone": "13900009999", "identifiers": card});
    let patient = desk.post("/patients", new.clone()).await;
    assert_eq!((text(&patient["birth_date"]), text(&patient["name_latin"])), ("1949-12-31", "Ce Shijiayi"));
    assert_eq!(desk.refused("/patients", new).await, (409, "patient.identifier_taken".to_owned()));
    let similar = desk.get("/patients/similar?id_card=11010519491231002X").await;
    assert_eq!((&similar[0]["reason"], &similar[0]["blocking"]), (&json!("identifier"), &json!(true)));
    for q in ["csjy", "ceshi", "13900009999", text(&patient["mrn"])] {
        let found = desk.get(&format!("/patients?q={q}")).await;
        assert!(found["items"].as_array().unwrap().iter().any(|p| p["id"] == patient["id"]), "{q}");
    }
    assert_eq!(tech.refused("/patients", json!({"name": "x", "sex": "U", "identifiers": []})).await.0, 403);
    let bad = json!({"name": "x", "sex": "Z", "identifiers": []});
    assert_eq!(desk.refused("/patients", bad).await.0, 422);

    // Two orders want one time; the second has to take another.
    let (one, two) = (
        order_for(&desk, text(&patient["id"]), text(&item["id"])).await,
        order_for(&desk, text(&patient["id"]), text(&item["id"])).await,
    );
    assert_eq!(one["state"], "accepted");
    let slots =
        desk.get(&format!("/slots?order_id={}&days=14&device_id={}", text(&one["id"]), text(&device["id"]))).await;
    let free: Vec<Value> = slots.as_array().unwrap().iter().filter(|s| s["free"] == true).cloned().collect();
    assert!(free.len() >= 2);
    let wish = |order: &Value, slot: &Value| json!({"order_id": order["id"], "device_id": device["id"], "start": slot["start"]});
    let booked = desk.post("/appointments", wish(&one, &free[0])).await;
    assert_eq!((&booked["state"], &booked["start"]), (&json!("booked"), &free[0]["start"]));
    assert_eq!(desk.refused("/appointments", wish(&two, &free[0])).await, (409, "slot.taken".to_owned()));
    let path = format!("/appointments/{}", text(&booked["id"]));
    let place = json!({"device_id": device["id"], "start": free[1]["start"]});
    let moved = desk.post(&format!("{path}/move"), place).await;
    assert_eq!(desk.get(&format!("/orders/{}", text(&one["id"]))).await["appointment"]["start"], free[1]["start"]);
    desk.post("/appointments", wish(&two, &free[0])).await;
    let cancel = format!("/appointments/{}/cancel", text(&moved["id"]));
    assert_eq!(desk.refused(&cancel, json!({"reason": " "})).await.0, 422);
    desk.post(&cancel, json!({"reason": "改为今天"})).await;
    desk.post(&format!("/orders/{}/cancel", text(&two["id"])), json!({"reason": "重复申请"})).await;

    // The patient stays and comes as a walk-in.
    let arrive = format!("/orders/{}/arrive", text(&one["id"]));
    let walk_in = json!({"mode": "walk_in", "device_id": device["id"], "reason": "当日加号"});
    assert_eq!(desk.refused(&arrive, json!({"mode": "appointment"})).await, (409, "arrival.no_appointment".to_owned()));
    let entry = desk.post(&arrive, walk_in.clone()).await;
    assert_eq!((text(&entry["state"]), text(&entry["masked_name"])), ("waiting", "测**乙"));
    assert_eq!(desk.refused(&arrive, walk_in).await, (409, "arrival.already".to_owned()));
    let queue = tech.get(&format!("/queue?room_id={}&state=waiting", text(&entry["room_id"]))).await;
    assert!(queue["items"].as_array().unwrap().iter().any(|e| e["id"] == entry["id"]));

    // The technologist calls, repeats, receives and examines.
    let act = |what: &str| format!("/queue/{}/{what}", text(&entry["id"]));
    assert_eq!(tech.post(&act("call"), json!({})).await["calls"], 1);
    assert_eq!(tech.post(&act("call"), json!({})).await["calls"], 2);
    assert_eq!(tech.post(&act("skip"), json!({"reason": "未应答"})).await["state"], "passed");
    assert_eq!(tech.post(&act("return"), json!({})).await["state"], "waiting");
    tech.post(&act("call"), json!({})).await;
    assert_eq!(tech.post(&act("enter"), json!({})).await["state"], "in_room");
    assert_eq!(tech.refused(&act("skip"), json!({})).await, (409, "queue.state".to_owned()));
    let exam = |what: &str| format!("/orders/{}/{what}", text(&one["id"]));
    assert_eq!(tech.post(&exam("start"), json!({})).await["state"], "in_progress");
    assert_eq!(desk.refused(&exam("cancel"), json!({"reason": "晚了"})).await, (409, "order.state".to_owned()));
    assert_eq!(tech.refused(&exam("complete"), json!({})).await, (409, "exam.no_images".to_owned()));
    let done = tech.post(&exam("complete"), json!({"reason": "设备不传图"})).await;
    assert_eq!((text(&done["state"]), &done["ticket"]), ("completed", &entry["ticket"]));

    // Every step of it stands in the case's timeline, in order.
    let timeline = desk.get(&exam("timeline")).await;
    let topics: Vec<&str> = timeline["items"].as_array().unwrap().iter().map(|e| text(&e["topic"])).collect();
    let road = [
        "order.created",
        "order.accepted",
        "appt.booked",
        "sps.created",
        "appt.moved",
        "slot.freed",
        "patient.arrived",
        "queue.joined",
        "queue.called",
        "queue.passed",
        "queue.returned",
        "queue.entered",
        "exam.started",
        "exam.completed",
    ];
    let mut rest = topics.iter();
    for wanted in road {
        assert!(rest.any(|topic| *topic == wanted), "{wanted} in {topics:?}");
    }
    running.stop().await;
}
