//! Worklist, performed steps, images and the technologist on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use jiff::civil::{date, time};
use mingying_access::RolePolicy;
use mingying_db::Db;
use mingying_exam::*;
use mingying_kernel::{
    Actor, ActorKind, AeTitle, CampusId, Coded, Ctx, DepartmentId, DeviceId, DicomUid, ManualClock, OrgId, Role,
    RoomId, SharedClock, Timestamp,
};
use mingying_orders::{CatalogueItem, EditCatalogue, ExamState, NewItem, NewOrder, Order, ReadOrders};
use mingying_patients::{Alert, AlertKind, Identifier, IdentifierKind, NewPatient, Sex};
use mingying_scheduling::{BookAppointment, Device, OpeningHours, Room, SpsState};
use mingying_testkit::{MONDAY_MORNING, clock, ctx_as, on_both};
use std::sync::Arc;
use std::time::Duration;

struct Site {
    org: OrgId,
    devices: Vec<Device>,
    clock: Arc<ManualClock>,
    ctx: Ctx,
}

fn at(minutes: u64) -> Timestamp {
    MONDAY_MORNING.plus(Duration::from_mins(minutes))
}

async fn site(db: &Db, tag: &str) -> Site {
    let clock = clock();
    let shared: SharedClock = clock.clone();
    let ctx = ctx_as(Role::Tech, &shared);
    let org = OrgId::new();
    let mut tx = db.begin().await.unwrap();
    let entry = mingying_access::Org { id: org, name: tag.to_owned(), name_en: tag.to_owned() };
    mingying_access::put_org(&mut tx, &entry).await.unwrap();
    tx.commit().await.unwrap();
    let permit = ctx.permit::<EditCatalogue>().unwrap();
    let item = CatalogueItem {
        id: format!("chest-{tag}"),
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
    mingying_orders::upsert_catalogue(db, &permit, org, &[item]).await.unwrap();
    let (campus, department) = (CampusId::new(), DepartmentId::new());
    let room = Room {
        id: RoomId::new(),
        org,
        campus,
        department,
        code: "R1".to_owned(),
        name: "CT一室".to_owned(),
        name_en: "CT room 1".to_owned(),
        ticket_prefix: "A".to_owned(),
    };
    mingying_scheduling::put_room(db, &permit, &room).await.unwrap();
    let mut devices = Vec::new();
    for n in 1..=2 {
        let device = Device {
            id: DeviceId::new(),
            org,
            campus,
            department,
            room: room.id,
            ae_title: AeTitle::parse(&format!("CT{n}{tag}")).unwrap(),
            name: format!("CT{n}"),
            modality: "CT".to_owned(),
            capacity: 1,
            active: true,
            mobile: false,
        };
        mingying_scheduling::put_device(db, &permit, &device).await.unwrap();
        let hours: Vec<_> =
            (1..=7).map(|weekday| OpeningHours { weekday, from: time(8, 0, 0, 0), to: time(23, 0, 0, 0) }).collect();
        mingying_scheduling::set_opening_hours(db, &permit, device.id, &hours).await.unwrap();
        devices.push(device);
    }
    Site { org, devices, clock, ctx }
}

async fn ordered(db: &Db, ctx: &Ctx, tag: &str, name: &str) -> Order {
    let person = NewPatient {
        name: name.to_owned(),
        sex: Some(Sex::Male),
        birth_date: Some(date(1980, 1, 1)),
        alerts: vec![Alert { kind: AlertKind::Allergy, text: "碘对比剂".to_owned() }],
        ..Default::default()
    };
    let patient = mingying_patients::register(db, &ctx.permit().unwrap(), person).await.unwrap();
    let new = NewOrder {
        items: vec![NewItem { catalogue_id: format!("chest-{tag}"), side: None }],
        department: "内科".to_owned(),
        physician: "王".to_owned(),
        diagnosis: "咳嗽".to_owned(),
        ..NewOrder::for_patient(patient.id)
    };
    mingying_orders::create(db, &ctx.permit().unwrap(), new).await.unwrap()
}

/// An order booked on the first device, `minutes` after eight.
async fn booked(db: &Db, site: &Site, name: &str, minutes: u64) -> Order {
    let order = ordered(db, &site.ctx, "A", name).await;
    let permit = site.ctx.permit::<BookAppointment>().unwrap();
    mingying_scheduling::book(db, &permit, order.id, site.devices[0].id, at(minutes)).await.unwrap();
    order
}

async fn now(db: &Db, ctx: &Ctx, order: &Order) -> Order {
    mingying_orders::load(db, &ctx.permit::<ReadOrders>().unwrap(), order.id).await.unwrap()
}

async fn state(db: &Db, site: &Site, order: &Order) -> ExamState {
    now(db, &site.ctx, order).await.state
}

async fn images(db: &Db, site: &Site, order: &Order, count: u32) {
    let mut tx = db.begin().await.unwrap();
    images_arrived(&mut tx, &site.ctx.permit::<WriteMpps>().unwrap(), order.id, count).await.unwrap();
    tx.commit().await.unwrap();
}

fn creation(uid: &str, order: &Order) -> MppsCreate {
    MppsCreate {
        uid: DicomUid::parse(uid).unwrap(),
        station_aet: "CT1A".to_owned(),
        study_uid: Some(order.study_uid.clone()),
        accession: Some(order.accession.to_string()),
        sps_id: None,
        patient_id: None,
        started_at: None,
        dataset_json: "{}".to_owned(),
    }
}

fn setting(uid: &str, status: MppsState, images: u32) -> MppsSet {
    let series = MppsSeries { series_uid: format!("{uid}.1"), description: "AX".to_owned(), images };
    MppsSet {
        uid: DicomUid::parse(uid).unwrap(),
        status,
        ended_at: None,
        series: vec![series],
        reason: None,
        dataset_json: "{}".to_owned(),
    }
}

async fn topics(db: &Db, order: &Order) -> Vec<String> {
    let all = mingying_events::read_case(db, order.id).await.unwrap();
    all.into_iter().skip(4).map(|e| e.topic).collect()
}

on_both! {
    async fn the_worklist_gives_what_was_asked_for(db: Db) {
        let site = site(&db, "A").await;
        let one = booked(&db, &site, "张三", 0).await;
        let two = booked(&db, &site, "李四", 15).await;
        ordered(&db, &site.ctx, "A", "没有预约").await;
        let permit = site.ctx.permit::<QueryWorklist>().unwrap();
        let names = async |query: WorklistQuery| {
            let found = query_worklist(&db, &permit, &query).await.unwrap();
            found.into_iter().map(|i| i.patient_name).collect::<Vec<_>>()
        };
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(names(WorklistQuery::default()).await, ["张三", "李四"]);
        assert_eq!(names(WorklistQuery { station_aet: text("CT1A"), modality: text("CT"), ..Default::default() }).await.len(), 2);
        assert!(names(WorklistQuery { station_aet: text("CT2A"), ..Default::default() }).await.is_empty());
        assert!(names(WorklistQuery { modality: text("MR"), ..Default::default() }).await.is_empty());
        assert_eq!(names(WorklistQuery { patient_name: text("ZHANG^*"), ..Default::default() }).await, ["张三"]);
        assert_eq!(names(WorklistQuery { patient_name: text("李*"), ..Default::default() }).await, ["李四"]);
        assert_eq!(names(WorklistQuery { patient_id: text("P00000002"), ..Default::default() }).await, ["李四"]);
        assert_eq!(names(WorklistQuery { accession: text(one.accession.as_str()), ..Default::default() }).await, ["张三"]);
        // Wall time of the facility.
        let day = |d, h| Some(date(2026, 3, d).at(h, 0, 0, 0));
        assert_eq!(names(WorklistQuery { from: day(2, 0), to: day(2, 23), ..Default::default() }).await.len(), 2);
        assert_eq!(names(WorklistQuery { from: day(2, 8), to: day(2, 8), ..Default::default() }).await, ["张三"]);
        assert!(names(WorklistQuery { from: day(3, 0), to: day(3, 23), ..Default::default() }).await.is_empty());

        let found = query_worklist(&db, &permit, &WorklistQuery { accession: text(two.accession.as_str()), ..Default::default() }).await.unwrap();
        let item = &found[0];
        assert_eq!((item.patient_name_latin.as_str(), item.patient_id.as_str()), ("Li Si", "P00000002"));
        assert_eq!((item.study_uid.clone(), item.sps_id.as_str()), (two.study_uid.clone(), "S000000002"));
        assert_eq!((item.start_local.to_string().as_str(), item.station_aet.as_str()), ("2026-03-02T08:15:00", "CT1A"));
        assert_eq!((item.allergies.as_slice(), item.location.as_str()), ([String::from("碘对比剂")].as_slice(), "CT一室"));
        assert_eq!((item.items[0].code.as_str(), item.referring_physician.as_str()), ("CTCHEST", "王"));

        // What has begun or was called off is not offered again.
        start(&db, &site.ctx.permit().unwrap(), one.id, None).await.unwrap();
        assert_eq!(names(WorklistQuery::default()).await, ["李四"]);
    }

    async fn mpps_begins_and_ends_the_exam(db: Db) {
        let site = site(&db, "A").await;
        let order = booked(&db, &site, "张三", 0).await;
        let permit = site.ctx.permit::<WriteMpps>().unwrap();
        let made = mpps_create(&db, &permit, creation("1.2.3", &order)).await.unwrap();
        assert_eq!((made.order, made.org), (Some(order.id), site.org));
        let begun = now(&db, &site.ctx, &order).await;
        assert_eq!((begun.state, begun.reason.as_str()), (ExamState::InProgress, "started by mpps in state scheduled"));
        assert_eq!(mpps_create(&db, &permit, creation("1.2.3", &order)).await.unwrap_err().code(), "mpps.duplicate");

        images(&db, &site, &order, 2).await;
        mpps_set(&db, &permit, setting("1.2.3", MppsState::InProgress, 0)).await.unwrap();
        assert_eq!(state(&db, &site, &order).await, ExamState::InProgress);
        let set = mpps_set(&db, &permit, setting("1.2.3", MppsState::Completed, 3)).await.unwrap();
        assert_eq!((set.images, set.ended_at), (3, Some(site.ctx.now())));
        assert_eq!(state(&db, &site, &order).await, ExamState::InProgress, "one of three is still on its way");
        images(&db, &site, &order, 1).await;
        assert_eq!(state(&db, &site, &order).await, ExamState::Imaged);
        let again = mpps_set(&db, &permit, setting("1.2.3", MppsState::Completed, 3)).await.unwrap_err();
        assert_eq!(again.code(), "mpps.final");
        let unknown = mpps_set(&db, &permit, setting("1.2.4", MppsState::Completed, 3)).await.unwrap_err();
        assert_eq!(unknown.code(), "mpps.unknown");
        images(&db, &site, &order, 5).await;
        assert_eq!(state(&db, &site, &order).await, ExamState::Imaged);
        complete(&db, &site.ctx.permit().unwrap(), order.id, None).await.unwrap();
        let done = now(&db, &site.ctx, &order).await;
        assert_eq!(done.state, ExamState::Completed);
        assert!(done.started_at.is_some() && done.imaged_at.is_some() && done.completed_at.is_some());
        let all = topics(&db, &order).await;
        assert_eq!(all, ["mpps.created", "exam.started", "mpps.updated", "mpps.updated", "study.stored", "exam.completed"]);
        let scope = permit.scope();
        let appointment = mingying_scheduling::appointment_of(&db, scope, order.id).await.unwrap().unwrap();
        assert_eq!(appointment.appointment.state.as_str(), "fulfilled");
        assert_eq!(mingying_scheduling::step_of(&db, scope, order.id).await.unwrap().unwrap().state, SpsState::Completed);
        assert_eq!(progress_of(&db, scope, &[order.id]).await.unwrap()[0].images, 8);
    }

    async fn a_step_without_an_order_is_kept_and_linked_later(db: Db) {
        let site = site(&db, "A").await;
        let order = booked(&db, &site, "张三", 0).await;
        let permit = site.ctx.permit::<WriteMpps>().unwrap();
        let mut strange = creation("1.2.9", &order);
        strange.study_uid = Some(DicomUid::parse("1.2.840.99").unwrap());
        strange.accession = Some("NOBODY".to_owned());
        let kept = mpps_create(&db, &permit, strange).await.unwrap();
        assert_eq!((kept.order, kept.org), (None, site.org));
        mpps_set(&db, &permit, setting("1.2.9", MppsState::Completed, 1)).await.unwrap();
        assert_eq!(unlinked_mpps(&db, &site.ctx.permit().unwrap(), 10).await.unwrap().len(), 1);
        assert_eq!(state(&db, &site, &order).await, ExamState::Scheduled);

        // By the scheduled step alone.
        let step = mingying_scheduling::step_of(&db, permit.scope(), order.id).await.unwrap().unwrap();
        let mut known = creation("1.2.10", &order);
        (known.study_uid, known.accession, known.sps_id) = (None, None, Some(step.sps_id));
        assert_eq!(mpps_create(&db, &permit, known).await.unwrap().order, Some(order.id));
        assert_eq!(mpps_of(&db, &site.ctx.permit().unwrap(), order.id).await.unwrap().len(), 1);
    }

    async fn a_broken_off_step_discontinues_only_without_images(db: Db) {
        let site = site(&db, "A").await;
        let permit = site.ctx.permit::<WriteMpps>().unwrap();
        let one = booked(&db, &site, "张三", 0).await;
        mpps_create(&db, &permit, creation("1.2.1", &one)).await.unwrap();
        let mut broken = setting("1.2.1", MppsState::Discontinued, 0);
        broken.reason = Some("Patient died".to_owned());
        mpps_set(&db, &permit, broken).await.unwrap();
        let after = now(&db, &site.ctx, &one).await;
        assert_eq!((after.state, after.reason.as_str()), (ExamState::Discontinued, "Patient died"));
        // The device tries again.
        mpps_create(&db, &permit, creation("1.2.2", &one)).await.unwrap();
        assert_eq!(state(&db, &site, &one).await, ExamState::InProgress);

        let two = booked(&db, &site, "李四", 15).await;
        mpps_create(&db, &permit, creation("1.2.5", &two)).await.unwrap();
        mpps_create(&db, &permit, creation("1.2.6", &two)).await.unwrap();
        images(&db, &site, &two, 4).await;
        mpps_set(&db, &permit, setting("1.2.5", MppsState::Discontinued, 2)).await.unwrap();
        assert_eq!(state(&db, &site, &two).await, ExamState::InProgress, "the other step is still open");
        mpps_set(&db, &permit, setting("1.2.6", MppsState::Completed, 2)).await.unwrap();
        assert_eq!(state(&db, &site, &two).await, ExamState::Imaged);
    }

    async fn silence_ends_what_no_mpps_ends(db: Db) {
        let site = site(&db, "A").await;
        let order = ordered(&db, &site.ctx, "A", "张三").await;
        let permit = site.ctx.permit::<WriteMpps>().unwrap();
        images(&db, &site, &order, 1).await;
        let begun = now(&db, &site.ctx, &order).await;
        assert_eq!((begun.state, begun.reason.as_str()), (ExamState::InProgress, "started by images in state accepted"));
        let quiet = Duration::from_mins(1);
        site.clock.advance(Duration::from_secs(50));
        images(&db, &site, &order, 1).await;
        site.clock.advance(Duration::from_secs(50));
        assert_eq!(close_quiet(&db, &permit, quiet).await.unwrap(), 0, "the second image came ten seconds too late for that");
        site.clock.advance(Duration::from_secs(10));
        assert_eq!(close_quiet(&db, &permit, quiet).await.unwrap(), 1);
        assert_eq!(close_quiet(&db, &permit, quiet).await.unwrap(), 0);
        assert_eq!(state(&db, &site, &order).await, ExamState::Imaged);
    }

    async fn images_that_never_come_do_not_keep_an_exam_open(db: Db) {
        let site = site(&db, "A").await;
        let order = booked(&db, &site, "张三", 0).await;
        let permit = site.ctx.permit::<WriteMpps>().unwrap();
        mpps_create(&db, &permit, creation("1.2.3", &order)).await.unwrap();
        images(&db, &site, &order, 2).await;
        site.clock.advance(Duration::from_mins(10));
        assert_eq!(close_quiet(&db, &permit, Duration::from_mins(1)).await.unwrap(), 0, "the modality is still at work");
        mpps_set(&db, &permit, setting("1.2.3", MppsState::Completed, 3)).await.unwrap();
        assert_eq!(close_quiet(&db, &permit, Duration::from_mins(1)).await.unwrap(), 0);
        site.clock.advance(Duration::from_mins(1));
        assert_eq!(close_quiet(&db, &permit, Duration::from_mins(1)).await.unwrap(), 1);
        assert_eq!(state(&db, &site, &order).await, ExamState::Imaged);
    }

    async fn the_technologist_needs_images_or_a_reason(db: Db) {
        let site = site(&db, "A").await;
        let order = booked(&db, &site, "张三", 0).await;
        let permit = site.ctx.permit::<PerformExam>().unwrap();
        assert_eq!(complete(&db, &permit, order.id, None).await.unwrap_err().code(), "order.state");
        start(&db, &permit, order.id, Some(site.devices[1].id)).await.unwrap();
        let step = mingying_scheduling::step_of(&db, permit.scope(), order.id).await.unwrap().unwrap();
        assert_eq!((step.station_aet.as_str(), step.state), ("CT2A", SpsState::Started), "performed where it was started");
        assert_eq!(start(&db, &permit, order.id, None).await.unwrap_err().code(), "order.state");
        assert_eq!(complete(&db, &permit, order.id, None).await.unwrap_err().code(), "exam.no_images");
        complete(&db, &permit, order.id, Some("胶片另送")).await.unwrap();
        let done = now(&db, &site.ctx, &order).await;
        assert_eq!((done.state, done.reason.as_str()), (ExamState::Completed, "胶片另送"));
        assert_eq!(discontinue(&db, &permit, order.id, "晚了").await.unwrap_err().code(), "order.state");
    }

    async fn a_repetition_is_a_new_round(db: Db) {
        let site = site(&db, "A").await;
        let order = booked(&db, &site, "张三", 0).await;
        let (write, perform) = (site.ctx.permit::<WriteMpps>().unwrap(), site.ctx.permit::<PerformExam>().unwrap());
        mpps_create(&db, &write, creation("1.2.3", &order)).await.unwrap();
        images(&db, &site, &order, 3).await;
        mpps_set(&db, &write, setting("1.2.3", MppsState::Completed, 3)).await.unwrap();
        assert_eq!(redo(&db, &perform, order.id, " ").await.unwrap_err().code(), "exam.invalid");
        redo(&db, &perform, order.id, "运动伪影").await.unwrap();
        assert_eq!(state(&db, &site, &order).await, ExamState::Redo);
        let listed = query_worklist(&db, &site.ctx.permit().unwrap(), &WorklistQuery::default()).await.unwrap();
        assert_eq!(listed.len(), 1, "it stands in the worklist again");
        mpps_create(&db, &write, creation("1.2.4", &order)).await.unwrap();
        images(&db, &site, &order, 1).await;
        assert_eq!(state(&db, &site, &order).await, ExamState::InProgress);
        mpps_set(&db, &write, setting("1.2.4", MppsState::Completed, 2)).await.unwrap();
        assert_eq!(state(&db, &site, &order).await, ExamState::InProgress, "images of the first round do not count");
        images(&db, &site, &order, 1).await;
        assert_eq!(state(&db, &site, &order).await, ExamState::Imaged);
    }

    async fn witnesses_at_once_move_the_exam_once(db: Db) {
        let site = site(&db, "A").await;
        let order = booked(&db, &site, "张三", 0).await;
        let mut tasks = Vec::new();
        for n in 0..8 {
            let (db, ctx, order) = (db.clone(), site.ctx.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                match n % 4 {
                    0 => drop(mpps_create(&db, &ctx.permit().unwrap(), creation(&format!("1.2.{n}"), &order)).await.unwrap()),
                    1 => {
                        // The technologist may be late; that is said, not hidden.
                        if let Err(error) = start(&db, &ctx.permit().unwrap(), order.id, None).await {
                            assert_eq!(error.code(), "order.state");
                        }
                    }
                    _ => {
                        let mut tx = db.begin().await.unwrap();
                        images_arrived(&mut tx, &ctx.permit::<WriteMpps>().unwrap(), order.id, 1).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let all = topics(&db, &order).await;
        assert_eq!(all.iter().filter(|t| *t == "exam.started").count(), 1);
        let progress = progress_of(&db, site.ctx.permit::<ReadExams>().unwrap().scope(), &[order.id]).await.unwrap();
        assert_eq!(progress[0].images, 4);
    }

    async fn another_organization_sees_nothing(db: Db) {
        let (a, b) = (site(&db, "A").await, site(&db, "B").await);
        let order = booked(&db, &a, "张三", 0).await;
        mpps_create(&db, &a.ctx.permit().unwrap(), creation("1.2.3", &order)).await.unwrap();
        let clock: SharedClock = a.clock.clone();
        let actor = Actor {
            kind: ActorKind::User,
            id: "t".into(),
            name: "t".into(),
            roles: vec![Role::Tech, Role::Machine],
            org: Some(b.org),
        };
        let at_b = Ctx::new(actor, "test", Arc::new(RolePolicy), clock);
        assert!(query_worklist(&db, &at_b.permit().unwrap(), &WorklistQuery::default()).await.unwrap().is_empty());
        let permit = at_b.permit::<PerformExam>().unwrap();
        assert_eq!(discontinue(&db, &permit, order.id, "x").await.unwrap_err().code(), "order.not_found");
        assert!(mpps_of(&db, &at_b.permit().unwrap(), order.id).await.unwrap().is_empty());
        let set = mpps_set(&db, &at_b.permit().unwrap(), setting("1.2.3", MppsState::Completed, 1)).await;
        assert_eq!(set.unwrap_err().code(), "mpps.unknown");
        let foreign = mpps_create(&db, &at_b.permit().unwrap(), creation("1.2.7", &order)).await.unwrap();
        assert_eq!((foreign.order, foreign.org), (None, b.org), "it never reaches the other's order");
    }

    async fn devices_see_the_hospitals_number(db: Db) {
        let site = site(&db, "A").await;
        let person = NewPatient {
            name: "钱七".to_owned(),
            sex: Some(Sex::Female),
            birth_date: Some(date(1990, 1, 1)),
            identifiers: vec![
                Identifier { issuer: "HIS.OP".to_owned(), kind: IdentifierKind::Outpatient, value: "OP1".to_owned() },
                Identifier { issuer: "HIS".to_owned(), kind: IdentifierKind::Mrn, value: "778899".to_owned() },
            ],
            ..Default::default()
        };
        let patient = mingying_patients::register(&db, &site.ctx.permit().unwrap(), person).await.unwrap();
        let new = NewOrder {
            items: vec![NewItem { catalogue_id: "chest-A".to_owned(), side: None }],
            priority: mingying_orders::Priority::Emergency,
            ..NewOrder::for_patient(patient.id)
        };
        let order = mingying_orders::create(&db, &site.ctx.permit().unwrap(), new).await.unwrap();
        assert_eq!(order.state, ExamState::Accepted, "an emergency is not asked for a diagnosis");
        let permit = site.ctx.permit::<BookAppointment>().unwrap();
        mingying_scheduling::book(&db, &permit, order.id, site.devices[0].id, at(0)).await.unwrap();
        let found = query_worklist(&db, &site.ctx.permit().unwrap(), &WorklistQuery::default()).await.unwrap();
        assert_eq!((found[0].patient_id.as_str(), found[0].patient_id_issuer.as_str()), ("778899", "HIS"));
    }
}
