//! Registration, identifiers, search and scopes on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use jiff::civil::date;
use mingying_access::RolePolicy;
use mingying_db::Db;
use mingying_kernel::{Actor, ActorKind, Coded, Ctx, OrgId, PatientId, Role, SharedClock};
use mingying_patients::*;
use mingying_testkit::{clock, ctx_as, on_both};
use std::sync::Arc;

async fn org(db: &Db, name: &str) -> OrgId {
    let id = OrgId::new();
    let mut tx = db.begin().await.unwrap();
    let org = mingying_access::Org { id, name: name.to_owned(), name_en: name.to_owned() };
    mingying_access::put_org(&mut tx, &org).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// A registrar of one organization under the real policy.
fn registrar(org: OrgId) -> Ctx {
    let clock: SharedClock = clock();
    let actor = Actor {
        kind: ActorKind::User,
        id: "r".to_owned(),
        name: "r".to_owned(),
        roles: vec![Role::Registrar],
        org: Some(org),
    };
    Ctx::new(actor, "test", Arc::new(RolePolicy), clock)
}

fn anybody() -> Ctx {
    let clock: SharedClock = clock();
    ctx_as(Role::Registrar, &clock)
}

fn person(name: &str) -> NewPatient {
    NewPatient { name: name.to_owned(), sex: Some(Sex::Male), birth_date: Some(date(1980, 5, 6)), ..Default::default() }
}

fn identifier(issuer: &str, kind: IdentifierKind, value: &str) -> Identifier {
    Identifier { issuer: issuer.to_owned(), kind, value: value.to_owned() }
}

async fn count(db: &Db, sql: &'static str) -> i64 {
    db.query_one(sql, &[]).await.unwrap().at(0).unwrap()
}

on_both! {
    async fn registers_with_a_number_an_event_and_an_audit_row(db: Db) {
        let home = org(&db, "A").await;
        let ctx = anybody();
        let one = register(&db, &ctx.permit().unwrap(), person("张三丰")).await.unwrap();
        let two = register(&db, &ctx.permit().unwrap(), person("李四")).await.unwrap();
        assert_eq!(one.org, home);
        assert_eq!(one.mrn(), Some("P00000001"));
        assert_eq!(two.mrn(), Some("P00000002"));
        assert_eq!(one.name_latin, "Zhang Sanfeng");
        let read = load(&db, &ctx.permit().unwrap(), one.id).await.unwrap();
        assert_eq!(read, one);
        let events = mingying_events::read_subject(&db, "patient", &one.id.to_string()).await.unwrap();
        assert_eq!(events.iter().map(|e| e.topic.as_str()).collect::<Vec<_>>(), ["patient.registered"]);
        assert!(!events[0].payload.contains('张'));
        assert_eq!(count(&db, "SELECT COUNT(*) FROM audit WHERE action = 'patient.register'").await, 2);
        assert_eq!(count(&db, "SELECT COUNT(*) FROM audit WHERE action = 'patient.read'").await, 1);
    }

    async fn an_identifier_names_one_patient(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let mut one = person("王芳");
        one.birth_date = None;
        one.identifiers.push(identifier("", IdentifierKind::IdCard, "11010519491231002x"));
        let first = register(&db, &ctx.permit().unwrap(), one.clone()).await.unwrap();
        assert_eq!(first.birth_date, Some(date(1949, 12, 31)));
        assert_eq!(first.identifiers[0].issuer, ID_CARD_ISSUER);
        let again = register(&db, &ctx.permit().unwrap(), one).await.unwrap_err();
        assert_eq!(again.code(), "patient.identifier_taken");
        assert_eq!(count(&db, "SELECT COUNT(*) FROM patients").await, 1);

        let looked = SimilarQuery {
            identifiers: vec![identifier("", IdentifierKind::IdCard, "11010519491231002X")],
            ..Default::default()
        };
        let found = similar(&db, &ctx.permit().unwrap(), &looked).await.unwrap();
        assert_eq!((found.len(), found[0].blocking), (1, true));
    }

    async fn two_at_once_register_one(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let with_card = || {
            let mut p = person("赵一");
            p.birth_date = None;
            p.identifiers.push(identifier("", IdentifierKind::IdCard, "11010519491231002X"));
            p
        };
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (db, ctx, new) = (db.clone(), ctx.clone(), with_card());
            tasks.push(tokio::spawn(async move { register(&db, &ctx.permit().unwrap(), new).await }));
        }
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error.code(), "patient.identifier_taken"),
            }
        }
        assert_eq!(done, 1);
        assert_eq!(count(&db, "SELECT COUNT(*) FROM patients").await, 1);
    }

    async fn an_interface_message_is_idempotent(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let message = || {
            let mut p = person("钱二");
            p.identifiers.push(identifier("HIS", IdentifierKind::Mrn, "889900"));
            p.phone = Some("13800001111".to_owned());
            p
        };
        let mut tasks = Vec::new();
        for _ in 0..6 {
            let (db, ctx, new) = (db.clone(), ctx.clone(), message());
            tasks.push(tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let done = upsert(&mut tx, &ctx.permit::<RegisterPatient>().unwrap(), new).await.unwrap();
                tx.commit().await.unwrap();
                done
            }));
        }
        let mut ids = Vec::new();
        let mut created = 0;
        for task in tasks {
            let done = task.await.unwrap();
            created += u32::from(done.created);
            ids.push(done.id);
        }
        assert_eq!(created, 1);
        ids.dedup();
        assert_eq!(ids.len(), 1);
        let patient = load(&db, &ctx.permit().unwrap(), ids[0]).await.unwrap();
        assert_eq!((patient.version, patient.mrn()), (1, Some("889900")));

        let mut changed = message();
        changed.phone = None;
        changed.address = Some("北京路1号".to_owned());
        let mut tx = db.begin().await.unwrap();
        upsert(&mut tx, &ctx.permit::<RegisterPatient>().unwrap(), changed).await.unwrap();
        tx.commit().await.unwrap();
        let patient = load(&db, &ctx.permit().unwrap(), ids[0]).await.unwrap();
        assert_eq!((patient.version, patient.phone.as_deref()), (2, Some("13800001111")));
        assert_eq!(patient.address.as_deref(), Some("北京路1号"));
    }

    async fn a_stale_change_is_refused(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let one = register(&db, &ctx.permit().unwrap(), person("孙三")).await.unwrap();
        let mut change = person("孙三三");
        change.alerts.push(Alert { kind: AlertKind::Allergy, text: "碘".to_owned() });
        let after = update(&db, &ctx.permit().unwrap(), one.id, 1, change.clone()).await.unwrap();
        assert_eq!((after.version, after.mrn()), (2, one.mrn()));
        let stale = update(&db, &ctx.permit().unwrap(), one.id, 1, change).await.unwrap_err();
        assert_eq!(stale.code(), "patient.stale");
        let events = mingying_events::read_subject(&db, "patient", &one.id.to_string()).await.unwrap();
        let updated = events[1].payload::<mingying_events::payload::patients::PatientUpdated>().unwrap();
        assert_eq!(updated.fields, ["name", "name_latin", "alerts"]);
    }

    async fn somebody_unidentified_gets_a_temporary_number_and_a_name_later(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        let unknown = NewPatient { unidentified: true, ..Default::default() };
        let one = register(&db, &ctx.permit().unwrap(), unknown).await.unwrap();
        assert_eq!((one.name.as_str(), one.temporary, one.mrn()), ("无名氏", true, Some("T26000001")));
        let known = update(&db, &ctx.permit().unwrap(), one.id, 1, person("周四")).await.unwrap();
        assert_eq!((known.temporary, known.mrn()), (false, Some("P00000001")));
        assert_eq!(known.identifiers.len(), 2, "the temporary number stays findable");
    }

    async fn finds_by_name_pinyin_initials_number_and_phone(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        for (name, phone) in [("张三丰", "13900000001"), ("张三", "13900000002"), ("章珊", "13700000003"), ("李四", "010")] {
            let new = NewPatient { phone: Some(phone.to_owned()), ..person(name) };
            register(&db, &ctx.permit().unwrap(), new).await.unwrap();
        }
        let names = |text: &'static str| {
            let (db, ctx) = (db.clone(), ctx.clone());
            async move {
                let found = search(&db, &ctx.permit().unwrap(), text, 50, None).await.unwrap();
                found.items.into_iter().map(|p| p.name).collect::<Vec<_>>()
            }
        };
        assert_eq!(names("张三").await, ["张三", "张三丰"]);
        assert_eq!(names("zhangsan").await, ["张三", "张三丰"]);
        assert_eq!(names("Zhang S").await.len(), 3);
        assert_eq!(names("zsf").await, ["张三丰"]);
        assert_eq!(names("p0000000").await.len(), 4);
        assert_eq!(names("139").await.len(), 2);
        assert_eq!(names("").await.first().unwrap(), "李四");
        assert!(names("100%").await.is_empty());
        assert!(names("'; DROP").await.is_empty());

        // Page by page the same people, each once.
        for text in ["z", "P", ""] {
            let mut seen = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let page = search(&db, &ctx.permit().unwrap(), text, 1, cursor.as_deref()).await.unwrap();
                seen.extend(page.items.into_iter().map(|p| p.name));
                cursor = page.next;
                if cursor.is_none() { break }
            }
            let mut whole: Vec<_> = names(text).await;
            assert_eq!(seen.len(), whole.len(), "{text}");
            seen.sort();
            whole.sort();
            assert_eq!(seen, whole, "{text}");
        }
    }

    async fn namesakes_are_shown_and_do_not_block(db: Db) {
        org(&db, "A").await;
        let ctx = anybody();
        register(&db, &ctx.permit().unwrap(), person("王芳")).await.unwrap();
        let query = SimilarQuery { name: "王方".to_owned(), birth_date: Some(date(1980, 5, 6)), ..Default::default() };
        let found = similar(&db, &ctx.permit().unwrap(), &query).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].reason, found[0].blocking), (SimilarityReason::NameBirth, false));
    }

    async fn another_organization_sees_nothing(db: Db) {
        let (a, b) = (org(&db, "A").await, org(&db, "B").await);
        let (at_a, at_b) = (registrar(a), registrar(b));
        let one = register(&db, &at_a.permit().unwrap(), person("吴五")).await.unwrap();
        assert_eq!(one.org, a);
        assert_eq!(load(&db, &at_b.permit().unwrap(), one.id).await.unwrap_err().code(), "patient.not_found");
        assert_eq!(load(&db, &at_b.permit().unwrap(), PatientId::new()).await.unwrap_err().code(), "patient.not_found");
        for text in ["", "吴", "wu", "P0"] {
            assert!(search(&db, &at_b.permit().unwrap(), text, 10, None).await.unwrap().items.is_empty());
        }
        let change = update(&db, &at_b.permit().unwrap(), one.id, 1, person("x")).await.unwrap_err();
        assert_eq!(change.code(), "patient.not_found");
        // Each organization numbers on its own.
        let other = register(&db, &at_b.permit().unwrap(), person("郑六")).await.unwrap();
        assert_eq!((other.org, other.mrn()), (b, Some("P00000001")));
    }
}
