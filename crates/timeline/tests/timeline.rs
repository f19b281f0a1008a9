//! A case replayed: its own events and those of its images, in the order in which they happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mingying_access::{Org, RolePolicy};
use mingying_db::params;
use mingying_events::About;
use mingying_events::payload::archive::StudyCreated;
use mingying_events::payload::orders::OrderUpdated;
use mingying_kernel::{Actor, ActorKind, Ctx, OrgId, Role, SharedClock, UserId};
use mingying_orders::{CatalogueItem, NewItem, NewOrder};
use mingying_patients::{NewPatient, Sex};
use mingying_testkit::{clock, on_both};
use mingying_timeline::{ReadTimeline, TimelineError, replay};
use std::sync::Arc;
use std::time::Duration;

on_both! {
    async fn images_join_the_case_and_late_entries_stand_where_they_happened(db: Db) {
        let org = OrgId::new();
        let time = clock();
        let shared: SharedClock = time.clone();
        let system = Ctx::system("test", Arc::new(RolePolicy), shared.clone());
        let mut tx = db.begin().await.unwrap();
        mingying_access::put_org(&mut tx, &Org { id: org, name: "医院".into(), name_en: "H".into() }).await.unwrap();
        tx.commit().await.unwrap();
        let new = NewPatient {
            name: "张三".into(),
            sex: Some(Sex::Male),
            birth_date: Some(jiff::civil::date(1970, 1, 2)),
            ..NewPatient::default()
        };
        let patient = mingying_patients::register(&db, &system.permit().unwrap(), new).await.unwrap();
        let item = CatalogueItem {
            id: "CT".into(),
            code: "CT".into(),
            name: "胸部 CT".into(),
            name_en: "Chest CT".into(),
            modality: "CT".into(),
            body_part: "CHEST".into(),
            sided: false,
            contrast: false,
            duration_min: 10,
            preparation: String::new(),
            preparation_en: String::new(),
            price_cents: 0,
        };
        let items = std::slice::from_ref(&item);
        mingying_orders::upsert_catalogue(&db, &system.permit().unwrap(), org, items).await.unwrap();
        let new = NewOrder {
            items: vec![NewItem { catalogue_id: "CT".into(), side: None }],
            department: "呼吸科".into(),
            physician: "王".into(),
            diagnosis: "咳嗽".into(),
            ..NewOrder::for_patient(patient.id)
        };
        let order = mingying_orders::create(&db, &system.permit().unwrap(), new).await.unwrap();

        // Images of this case and of another one; only the linked study's events belong here.
        time.advance(Duration::from_mins(10));
        let mut tx = db.begin().await.unwrap();
        for uid in ["1.2.3", "1.2.4"] {
            let payload = StudyCreated {
                study_uid: uid.into(),
                accession: String::new(),
                patient_id: String::new(),
                patient_id_issuer: String::new(),
                modality: "CT".into(),
                study_date: String::new(),
                source: "AE CT01".into(),
            };
            mingying_events::emit(&mut tx, &system, &About::new("study", uid, org), &payload).await.unwrap();
        }
        tx.execute(
            "INSERT INTO order_studies (study_uid, order_id, org_id, how, linked_at, linked_by, images) \
             VALUES ('1.2.3', $1, $2, 'person', 0, '', 0)",
            params![order.id, org],
        )
        .await
        .unwrap();
        // Written down ten minutes later than it happened.
        let happened = system.now().minus(Duration::from_mins(5));
        let about = About::new("order", order.id, org).case(order.id).occurred_at(happened);
        mingying_events::emit(&mut tx, &system, &about, &OrderUpdated::default()).await.unwrap();
        tx.commit().await.unwrap();

        let person = |org: OrgId, role: Role| {
            let actor = Actor {
                kind: ActorKind::User,
                id: UserId::new().to_string(),
                name: String::new(),
                roles: vec![role],
                org: Some(org),
            };
            Ctx::new(actor, "test", Arc::new(RolePolicy), shared.clone())
        };
        let permit = person(org, Role::Qc).permit::<ReadTimeline>().unwrap();
        let entries = replay(&db, &permit, order.id).await.unwrap();
        let topics: Vec<&str> = entries.iter().map(|e| e.topic.as_str()).collect();
        assert_eq!(topics, ["order.created", "order.accepted", "order.updated", "study.created"]);
        assert_eq!(entries.iter().filter(|e| e.subject_id == "1.2.4").count(), 0);
        let audited = db
            .query("SELECT id FROM audit WHERE action = 'timeline.read' AND object_id = $1", params![order.id])
            .await
            .unwrap();
        assert_eq!(audited.len(), 1);

        let stranger = person(OrgId::new(), Role::Qc).permit::<ReadTimeline>().unwrap();
        assert!(matches!(replay(&db, &stranger, order.id).await, Err(TimelineError::NotFound)));
        assert!(person(org, Role::Engineer).permit::<ReadTimeline>().is_err());
    }
}
