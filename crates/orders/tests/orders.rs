//! Orders on both engines: numbers, idempotence, the automatic check, steps, scopes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use jiff::civil::date;
use mingying_access::RolePolicy;
use mingying_db::Db;
use mingying_events::payload::exam::ExamStarted;
use mingying_events::payload::orders::OrderCancelled;
use mingying_kernel::{Actor, ActorKind, Coded, Ctx, OrderId, OrgId, PatientId, Role, SharedClock};
use mingying_orders::*;
use mingying_patients::{NewPatient, Sex};
use mingying_testkit::{clock, ctx_as, on_both};
use std::collections::HashSet;
use std::sync::Arc;

async fn org(db: &Db, name: &str) -> OrgId {
    let id = OrgId::new();
    let mut tx = db.begin().await.unwrap();
    let org = mingying_access::Org { id, name: name.to_owned(), name_en: name.to_owned() };
    mingying_access::put_org(&mut tx, &org).await.unwrap();
    tx.commit().await.unwrap();
    let items = [item("CTCHEST", "CT", false), item("CTHEAD", "CT", false), item("DRKNEE", "DX", true)];
    upsert_catalogue(db, &anybody().permit().unwrap(), id, &items).await.unwrap();
    id
}

fn item(code: &str, modality: &str, sided: bool) -> CatalogueItem {
    CatalogueItem {
        id: mingying_kernel::EventId::new().to_string(),
        code: code.to_owned(),
        name: format!("项目{code}"),
        name_en: code.to_owned(),
        modality: modality.to_owned(),
        body_part: "CHEST".to_owned(),
        sided,
        contrast: false,
        duration_min: 15,
        preparation: String::new(),
        preparation_en: String::new(),
        price_cents: 20_000,
    }
}

fn anybody() -> Ctx {
    let clock: SharedClock = clock();
    ctx_as(Role::Registrar, &clock)
}

fn registrar(org: OrgId) -> Ctx {
    let clock: SharedClock = clock();
    let actor =
        Actor { kind: ActorKind::User, id: "r".into(), name: "r".into(), roles: vec![Role::Registrar], org: Some(org) };
    Ctx::new(actor, "test", Arc::new(RolePolicy), clock)
}

async fn patient(db: &Db, ctx: &Ctx, name: &str) -> PatientId {
    let new = NewPatient {
        name: name.to_owned(),
        sex: Some(Sex::Female),
        birth_date: Some(date(1970, 1, 2)),
        ..Default::default()
    };
    mingying_patients::register(db, &ctx.permit().unwrap(), new).await.unwrap().id
}

async fn request(db: &Db, ctx: &Ctx, who: PatientId, code: &str) -> NewOrder {
    let mut tx = db.begin().await.unwrap();
    let org = mingying_patients::load_in(&mut tx, ctx.permit::<ReadOrders>().unwrap().scope(), who).await.unwrap().org;
    let entry = catalogue_by_code(&mut tx, org, code).await.unwrap();
    NewOrder {
        items: vec![NewItem { catalogue_id: entry.id, side: None }],
        department: "呼吸内科".to_owned(),
        physician: "李医生".to_owned(),
        diagnosis: "肺炎?".to_owned(),
        ..NewOrder::for_patient(who)
    }
}

async fn topics(db: &Db, order: OrderId) -> Vec<String> {
    mingying_events::read_case(db, order).await.unwrap().into_iter().map(|e| e.topic).collect()
}

on_both! {
    async fn a_complete_order_is_accepted_at_once(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let order = create(&db, &ctx.permit().unwrap(), request(&db, &ctx, who, "CTCHEST").await).await.unwrap();
        assert_eq!(order.state, ExamState::Accepted);
        assert_eq!(order.accession.as_str(), "A260302000001");
        assert!(order.study_uid.as_str().starts_with("2.25."));
        assert_eq!((order.modality.as_str(), order.items.len(), order.duration_min()), ("CT", 1, 15));
        assert_eq!(load(&db, &ctx.permit().unwrap(), order.id).await.unwrap(), order);
        assert_eq!(topics(&db, order.id).await, ["order.created", "order.accepted"]);
    }

    async fn an_incomplete_order_waits_for_a_clerk(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let mut new = request(&db, &ctx, who, "DRKNEE").await;
        "  ".clone_into(&mut new.diagnosis);
        let order = create(&db, &ctx.permit().unwrap(), new).await.unwrap();
        assert_eq!(order.state, ExamState::Ordered);
        assert_eq!(order.findings, [Finding::NoSide, Finding::NoDiagnosis]);
        let empty = return_order(&db, &ctx.permit().unwrap(), order.id, " ").await.unwrap_err();
        assert_eq!(empty.code(), "order.invalid");
        let accepted = accept(&db, &ctx.permit().unwrap(), order.id).await.unwrap();
        assert_eq!(accepted.state, ExamState::Accepted);
        let again = accept(&db, &ctx.permit().unwrap(), order.id).await.unwrap_err();
        assert_eq!(again.code(), "order.state");
        let returned = return_order(&db, &ctx.permit().unwrap(), order.id, "哪一侧?").await.unwrap();
        assert_eq!((returned.state, returned.reason.as_str()), (ExamState::Returned, "哪一侧?"));
    }

    async fn one_order_is_one_modality(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let mut new = request(&db, &ctx, who, "CTCHEST").await;
        new.items.extend(request(&db, &ctx, who, "CTHEAD").await.items);
        let both = create(&db, &ctx.permit().unwrap(), new.clone()).await.unwrap();
        assert_eq!(both.title().1, "CTCHEST +1");
        new.items.extend(request(&db, &ctx, who, "DRKNEE").await.items);
        let mixed = create(&db, &ctx.permit().unwrap(), new.clone()).await.unwrap_err();
        assert_eq!(mixed.code(), "order.mixed_modality");
        new.items.clear();
        assert_eq!(create(&db, &ctx.permit().unwrap(), new).await.unwrap_err().code(), "order.invalid");
    }

    async fn numbers_are_unique_under_load(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let new = request(&db, &ctx, who, "CTCHEST").await;
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let (db, ctx, new) = (db.clone(), ctx.clone(), new.clone());
            tasks.push(tokio::spawn(async move { create(&db, &ctx.permit().unwrap(), new).await.unwrap() }));
        }
        let (mut numbers, mut uids) = (HashSet::new(), HashSet::new());
        for task in tasks {
            let order = task.await.unwrap();
            numbers.insert(order.accession.to_string());
            uids.insert(order.study_uid.to_string());
        }
        assert_eq!((numbers.len(), uids.len()), (20, 20));
    }

    async fn a_placers_number_makes_one_order(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let mut new = request(&db, &ctx, who, "CTCHEST").await;
        new.source = Source::Hl7;
        new.placer = Some(Placer { issuer: "HIS".to_owned(), number: "REQ1".to_owned() });
        let mut tasks = Vec::new();
        for _ in 0..6 {
            let (db, ctx, new) = (db.clone(), ctx.clone(), new.clone());
            tasks.push(tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let made = create_in(&mut tx, &ctx.permit::<CreateOrder>().unwrap(), new).await.unwrap();
                tx.commit().await.unwrap();
                made
            }));
        }
        let mut made = Vec::new();
        for task in tasks {
            made.push(task.await.unwrap());
        }
        assert_eq!(made.iter().filter(|m| m.created).count(), 1);
        assert!(made.iter().all(|m| m.id == made[0].id && m.accession == made[0].accession));
        assert_eq!(topics(&db, made[0].id).await, ["order.created", "order.accepted"], "a repeat changes nothing");

        "肺结节".clone_into(&mut new.diagnosis);
        let send = async |new: NewOrder| {
            let mut tx = db.begin().await.unwrap();
            let made = create_in(&mut tx, &ctx.permit::<CreateOrder>().unwrap(), new).await;
            tx.commit().await.unwrap();
            made
        };
        let changed = send(new.clone()).await.unwrap();
        let order = load(&db, &ctx.permit().unwrap(), changed.id).await.unwrap();
        assert_eq!((changed.created, order.diagnosis.as_str(), order.version), (false, "肺结节", 2));

        // The same number for somebody else is a contradiction.
        new.patient = patient(&db, &ctx, "李四").await;
        assert_eq!(send(new).await.unwrap_err().code(), "order.duplicate");
    }

    async fn a_foreign_accession_is_kept_and_not_given_twice(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let mut new = request(&db, &ctx, who, "CTCHEST").await;
        new.accession = Some(mingying_kernel::AccessionNumber::parse("A260302000001").unwrap());
        let given = create(&db, &ctx.permit().unwrap(), new.clone()).await.unwrap();
        assert_eq!(given.accession.as_str(), "A260302000001");
        assert_eq!(create(&db, &ctx.permit().unwrap(), new.clone()).await.unwrap_err().code(), "order.duplicate");
        new.accession = None;
        let own = create(&db, &ctx.permit().unwrap(), new).await.unwrap();
        assert_eq!(own.accession.as_str(), "A260302000002");
    }

    async fn steps_are_recorded_as_what_they_are(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let order = create(&db, &ctx.permit().unwrap(), request(&db, &ctx, who, "CTCHEST").await).await.unwrap();
        let permit = ctx.permit::<CancelOrder>().unwrap();
        let mut tx = db.begin().await.unwrap();
        let step = advance(&mut tx, &permit, order.id, Step::Start).await.unwrap();
        let about = step.about("order", order.id);
        let wrong = step.record(&mut tx, &permit, &about, &OrderCancelled::default()).await.unwrap_err();
        assert_eq!(wrong.code(), "internal");
        step.record(&mut tx, &permit, &about, &ExamStarted::default()).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let late = cancel(&mut tx, &permit, order.id, "不做了").await.unwrap_err();
        assert_eq!(late.params(), [("state", "in_progress".to_owned()), ("step", "cancel".to_owned())]);
        drop(tx);
        let order = load(&db, &ctx.permit().unwrap(), order.id).await.unwrap();
        assert_eq!(order.state, ExamState::InProgress);
        assert!(order.started_at.is_some());
    }

    async fn concurrent_steps_happen_once(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let who = patient(&db, &ctx, "张三").await;
        let order = create(&db, &ctx.permit().unwrap(), request(&db, &ctx, who, "CTCHEST").await).await.unwrap();
        let mut tasks = Vec::new();
        for _ in 0..6 {
            let (db, ctx) = (db.clone(), ctx.clone());
            tasks.push(tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let done = cancel(&mut tx, &ctx.permit::<CancelOrder>().unwrap(), order.id, "重复").await.is_ok();
                tx.commit().await.unwrap();
                done
            }));
        }
        let mut done = 0;
        for task in tasks {
            done += u32::from(task.await.unwrap());
        }
        assert_eq!(done, 1);
        assert_eq!(topics(&db, order.id).await, ["order.created", "order.accepted", "order.cancelled"]);
    }

    async fn lists_narrow_and_turn_pages(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let (zhang, li) = (patient(&db, &ctx, "张三丰").await, patient(&db, &ctx, "李四").await);
        let mut made = Vec::new();
        for who in [zhang, li, zhang] {
            let mut new = request(&db, &ctx, who, "CTCHEST").await;
            new.placer = Some(Placer { issuer: "HIS".to_owned(), number: format!("N{}", made.len()) });
            made.push(create(&db, &ctx.permit().unwrap(), new).await.unwrap());
        }
        let ids = |query: OrderQuery| {
            let (db, ctx) = (db.clone(), ctx.clone());
            async move {
                let page = list(&db, &ctx.permit().unwrap(), &query).await.unwrap();
                page.items.into_iter().map(|o| o.id).collect::<Vec<_>>()
            }
        };
        let text = |t: &str| OrderQuery { text: Some(t.to_owned()), ..Default::default() };
        for t in ["zsf", "zhangsan", "张三", "Zhang"] {
            assert_eq!(ids(text(t)).await, [made[2].id, made[0].id], "{t}");
        }
        assert_eq!(ids(text("N1")).await, [made[1].id]);
        assert_eq!(ids(text("a260302000002")).await, [made[1].id]);
        assert_eq!(ids(text("p00000002")).await, [made[1].id]);
        assert_eq!(ids(OrderQuery { patient: Some(li), ..Default::default() }).await, [made[1].id]);
        assert!(ids(OrderQuery { states: vec![ExamState::Arrived], ..Default::default() }).await.is_empty());
        assert_eq!(ids(OrderQuery { states: vec![ExamState::Arrived, ExamState::Accepted], ..Default::default() }).await.len(), 3);
        assert!(ids(OrderQuery { modality: Some("MR".to_owned()), ..Default::default() }).await.is_empty());

        let first = OrderQuery { limit: Some(2), ..Default::default() };
        let page = list(&db, &ctx.permit().unwrap(), &first).await.unwrap();
        let second = OrderQuery { cursor: page.next, ..first };
        let rest = list(&db, &ctx.permit().unwrap(), &second).await.unwrap();
        assert_eq!((page.items.len(), rest.items.len(), rest.next), (2, 1, None));
    }

    async fn another_organization_sees_nothing(db: Db) {
        let (a, b) = (org(&db, "A").await, org(&db, "B").await);
        let (at_a, at_b) = (registrar(a), registrar(b));
        let who = patient(&db, &at_a, "张三").await;
        let order = create(&db, &at_a.permit().unwrap(), request(&db, &at_a, who, "CTCHEST").await).await.unwrap();
        assert_eq!(load(&db, &at_b.permit().unwrap(), order.id).await.unwrap_err().code(), "order.not_found");
        assert!(list(&db, &at_b.permit().unwrap(), &OrderQuery::default()).await.unwrap().items.is_empty());
        let mut tx = db.begin().await.unwrap();
        let permit = at_b.permit::<CancelOrder>().unwrap();
        assert_eq!(cancel(&mut tx, &permit, order.id, "x").await.unwrap_err().code(), "order.not_found");
        assert_eq!(by_accession(&mut tx, permit.scope(), order.accession.as_str()).await.unwrap(), None);
        drop(tx);
        // Nor can it order for a patient that it does not see, or from the other's catalogue.
        let foreign = request(&db, &at_a, who, "CTCHEST").await;
        let denied = create(&db, &at_b.permit().unwrap(), foreign.clone()).await.unwrap_err();
        assert_eq!(denied.code(), "patient.not_found");
        let own = patient(&db, &at_b, "李四").await;
        let mixed = create(&db, &at_b.permit().unwrap(), NewOrder { patient: own, ..foreign }).await.unwrap_err();
        assert_eq!(mixed.code(), "catalogue.unknown");
        let own = create(&db, &at_b.permit().unwrap(), request(&db, &at_b, own, "CTCHEST").await).await.unwrap();
        assert_eq!(own.accession.as_str(), "B260302000001");
    }
}
