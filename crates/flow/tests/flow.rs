//! Arrival, queues, calls and displays on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use jiff::civil::{date, time};
use mingying_access::RolePolicy;
use mingying_db::Db;
use mingying_exam::PerformExam;
use mingying_flow::*;
use mingying_jobs::Subscriber;
use mingying_kernel::{
    Actor, ActorKind, AeTitle, CampusId, Coded, Ctx, DepartmentId, DeviceId, ManualClock, OrgId, Role, RoomId, Scope,
    SharedClock, Timestamp,
};
use mingying_orders::{CancelOrder, CatalogueItem, EditCatalogue, ExamState, NewItem, NewOrder, Order, Priority};
use mingying_patients::{NewPatient, Sex};
use mingying_scheduling::{BookAppointment, Device, OpeningHours, Room, SpsState};
use mingying_testkit::{MONDAY_MORNING, clock, ctx_as, on_both};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

struct Site {
    org: OrgId,
    /// One CT in each of two rooms.
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
    let ctx = ctx_as(Role::Nurse, &shared);
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
    let mut devices = Vec::new();
    for (n, prefix) in [(1, "A"), (2, "B")] {
        let room = Room {
            id: RoomId::new(),
            org,
            campus,
            department,
            code: format!("R{n}"),
            name: format!("CT{n}室"),
            name_en: format!("CT room {n}"),
            ticket_prefix: prefix.to_owned(),
        };
        mingying_scheduling::put_room(db, &permit, &room).await.unwrap();
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

impl Site {
    fn call(&self) -> mingying_kernel::Permit<CallPatients> {
        self.ctx.permit().unwrap()
    }

    fn room(&self) -> RoomId {
        self.devices[0].room
    }

    async fn order(&self, db: &Db, name: &str, priority: Priority) -> Order {
        ordered(db, &self.ctx, "A", name, priority).await
    }

    /// Booked on the first device, `minutes` after eight.
    async fn booked(&self, db: &Db, name: &str, minutes: u64) -> Order {
        let order = self.order(db, name, Priority::Routine).await;
        let permit = self.ctx.permit::<BookAppointment>().unwrap();
        mingying_scheduling::book(db, &permit, order.id, self.devices[0].id, at(minutes)).await.unwrap();
        order
    }

    async fn arrive(&self, db: &Db, order: &Order, mode: Mode) -> Result<QueueEntry, FlowError> {
        let walk_in = mode != Mode::Appointment;
        let arrival = Arrival {
            order: order.id,
            mode,
            device: walk_in.then_some(self.devices[0].id),
            reason: walk_in.then(|| "门诊加号".to_owned()),
        };
        mingying_flow::arrive(db, &self.ctx.permit().unwrap(), arrival).await
    }

    /// Somebody without an appointment, in the first room's queue.
    async fn walk_in(&self, db: &Db, name: &str) -> QueueEntry {
        let order = self.order(db, name, Priority::Routine).await;
        let entry = self.arrive(db, &order, Mode::WalkIn).await.unwrap();
        self.clock.advance(Duration::from_secs(1));
        entry
    }

    async fn waiting(&self, db: &Db) -> Vec<String> {
        let query = QueueQuery { room: Some(self.room()), states: vec![QueueState::Waiting], ..Default::default() };
        let rows = queue(db, &self.ctx.permit().unwrap(), &query).await.unwrap();
        assert!(rows.iter().enumerate().all(|(n, row)| row.position == n as u32 + 1));
        rows.into_iter().map(|row| row.order.patient.name).collect()
    }

    async fn state(&self, db: &Db, order: &Order) -> ExamState {
        mingying_orders::load(db, &self.ctx.permit().unwrap(), order.id).await.unwrap().state
    }
}

async fn ordered(db: &Db, ctx: &Ctx, tag: &str, name: &str, priority: Priority) -> Order {
    let person = NewPatient {
        name: name.to_owned(),
        sex: Some(Sex::Male),
        birth_date: Some(date(1980, 1, 1)),
        ..Default::default()
    };
    let patient = mingying_patients::register(db, &ctx.permit().unwrap(), person).await.unwrap();
    let new = NewOrder {
        items: vec![NewItem { catalogue_id: format!("chest-{tag}"), side: None }],
        priority,
        department: "内科".to_owned(),
        physician: "王".to_owned(),
        diagnosis: "咳嗽".to_owned(),
        ..NewOrder::for_patient(patient.id)
    };
    mingying_orders::create(db, &ctx.permit().unwrap(), new).await.unwrap()
}

async fn topics(db: &Db, order: &Order) -> Vec<String> {
    let all = mingying_events::read_case(db, order.id).await.unwrap();
    all.into_iter().skip(2).map(|e| e.topic).collect()
}

on_both! {
    async fn an_appointment_is_checked_in_and_queued(db: Db) {
        let site = site(&db, "A").await;
        let order = site.booked(&db, "张三丰", 30).await;
        let entry = site.arrive(&db, &order, Mode::Appointment).await.unwrap();
        assert_eq!((entry.ticket.as_str(), entry.state, entry.class), ("A001", QueueState::Waiting, QueueClass::Appointment));
        assert_eq!(site.state(&db, &order).await, ExamState::Arrived);
        let step = mingying_scheduling::step_of(&db, Scope::All, order.id).await.unwrap().unwrap();
        assert_eq!((step.start, step.station_aet.as_str()), (at(30), "CT1A"));
        let all = topics(&db, &order).await;
        assert_eq!(all, ["appt.booked", "sps.created", "appt.checkedin", "patient.arrived", "queue.joined"]);
        assert_eq!(site.arrive(&db, &order, Mode::Appointment).await.unwrap_err().code(), "arrival.already");
        assert_eq!(tickets_of(&db, Scope::All, &[order.id]).await.unwrap(), [(order.id, "A001".to_owned())]);
        let without = site.order(&db, "李四", Priority::Routine).await;
        assert_eq!(site.arrive(&db, &without, Mode::Appointment).await.unwrap_err().code(), "arrival.no_appointment");
    }

    async fn a_walk_in_needs_a_reason_and_a_device_and_gets_a_worklist_item(db: Db) {
        let site = site(&db, "A").await;
        let order = site.order(&db, "张三", Priority::Routine).await;
        let permit = site.ctx.permit::<CheckIn>().unwrap();
        let bare = |device, reason: Option<&str>| Arrival {
            order: order.id,
            mode: Mode::Bedside,
            device,
            reason: reason.map(str::to_owned),
        };
        let device = Some(site.devices[1].id);
        for (arrival, field) in [(bare(device, None), "reason"), (bare(None, Some("ICU床旁")), "device_id")] {
            let error = arrive(&db, &permit, arrival).await.unwrap_err();
            assert_eq!((error.code(), error.params()), ("flow.invalid", vec![("field", field.to_owned())]));
        }
        let entry = arrive(&db, &permit, bare(device, Some("ICU床旁"))).await.unwrap();
        assert_eq!((entry.ticket.as_str(), entry.room), ("B001", site.devices[1].room));
        let step = mingying_scheduling::step_of(&db, Scope::All, order.id).await.unwrap().unwrap();
        assert_eq!((step.start, step.station_aet.as_str(), step.state), (at(0), "CT2A", SpsState::Scheduled));
    }

    async fn an_emergency_is_accepted_by_whoever_receives_it(db: Db) {
        let site = site(&db, "A").await;
        let unknown = NewPatient { unidentified: true, ..Default::default() };
        let patient = mingying_patients::register(&db, &site.ctx.permit().unwrap(), unknown).await.unwrap();
        let new = NewOrder {
            items: vec![NewItem { catalogue_id: "chest-A".to_owned(), side: None }],
            ..NewOrder::for_patient(patient.id)
        };
        let order = mingying_orders::create(&db, &site.ctx.permit().unwrap(), new).await.unwrap();
        assert_eq!(order.state, ExamState::Ordered, "a routine order without a diagnosis waits");
        assert_eq!(site.arrive(&db, &order, Mode::WalkIn).await.unwrap_err().code(), "order.state");
        let entry = site.arrive(&db, &order, Mode::Emergency).await.unwrap();
        assert_eq!(entry.class, QueueClass::Emergency);
        assert_eq!(site.state(&db, &order).await, ExamState::Arrived);
    }

    async fn two_desks_receive_once_and_draw_different_tickets(db: Db) {
        let site = site(&db, "A").await;
        let one = site.booked(&db, "张三", 30).await;
        let mut tasks = Vec::new();
        for n in 0..10 {
            // Half of them receive the same patient.
            let order = if n % 2 == 0 { one.clone() } else { site.order(&db, &format!("李{n}"), Priority::Routine).await };
            let (db, ctx, device) = (db.clone(), site.ctx.clone(), site.devices[0].id);
            tasks.push(tokio::spawn(async move {
                let mode = if n % 2 == 0 { Mode::Appointment } else { Mode::WalkIn };
                let arrival = Arrival { order: order.id, mode, device: Some(device), reason: Some("加号".to_owned()) };
                arrive(&db, &ctx.permit().unwrap(), arrival).await
            }));
        }
        let mut tickets = HashSet::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(entry) => assert!(tickets.insert(entry.ticket)),
                Err(error) => assert!(["arrival.already", "order.state", "appointment.state"].contains(&error.code()), "{error}"),
            }
        }
        assert_eq!(tickets.len(), 6);
    }

    async fn emergencies_first_then_by_one_clock(db: Db) {
        let site = site(&db, "A").await;
        // Early for ten o'clock, then walk-ins, then a punctual one for now, then an emergency.
        let early = site.booked(&db, "早到", 120).await;
        site.arrive(&db, &early, Mode::Appointment).await.unwrap();
        site.clock.advance(Duration::from_mins(1));
        site.walk_in(&db, "现场一").await;
        let punctual = site.booked(&db, "准时", 15).await;
        let late = site.booked(&db, "迟到", 30).await;
        site.clock.advance(Duration::from_mins(14));
        site.arrive(&db, &punctual, Mode::Appointment).await.unwrap();
        site.walk_in(&db, "现场二").await;
        let urgent = site.order(&db, "急诊", Priority::Emergency).await;
        site.arrive(&db, &urgent, Mode::Emergency).await.unwrap();
        assert_eq!(site.waiting(&db).await, ["急诊", "现场一", "准时", "现场二", "早到"]);
        site.clock.advance(Duration::from_mins(40));
        site.arrive(&db, &late, Mode::Appointment).await.unwrap();
        assert_eq!(site.waiting(&db).await, ["急诊", "现场一", "准时", "现场二", "迟到", "早到"]);
    }

    async fn calls_repeat_skip_and_return_behind_three(db: Db) {
        let site = site(&db, "A").await;
        for name in ["甲一", "乙二", "丙三", "丁四", "戊五"] {
            site.walk_in(&db, name).await;
        }
        let permit = site.call();
        let first = call_next(&db, &permit, site.room()).await.unwrap().unwrap();
        assert_eq!((first.ticket.as_str(), first.state, first.calls), ("A001", QueueState::Called, 1));
        assert_eq!(call(&db, &permit, first.id).await.unwrap().calls, 2);
        assert_eq!(skip(&db, &permit, first.id, Some("未应答")).await.unwrap().state, QueueState::Passed);
        assert_eq!(skip(&db, &permit, first.id, None).await.unwrap_err().code(), "queue.state");
        let back = put_back(&db, &permit, first.id, None).await.unwrap();
        assert_eq!(back.state, QueueState::Waiting);
        assert_eq!(site.waiting(&db).await, ["乙二", "丙三", "丁四", "甲一", "戊五"]);
        // A hold keeps the place.
        let second = call_next(&db, &permit, site.room()).await.unwrap().unwrap();
        hold(&db, &permit, second.id, Some("喝水")).await.unwrap();
        assert_eq!(site.waiting(&db).await, ["丙三", "丁四", "甲一", "戊五"]);
        put_back(&db, &permit, second.id, None).await.unwrap();
        assert_eq!(site.waiting(&db).await[0], "乙二");
        assert_eq!(enter(&db, &permit, second.id).await.unwrap().state, QueueState::InRoom);
        assert_eq!(leave(&db, &permit, second.id, "走了").await.unwrap_err().code(), "queue.state");
        assert_eq!(call_next(&db, &permit, site.devices[1].room).await.unwrap(), None);
    }

    async fn two_terminals_never_call_the_same_patient(db: Db) {
        let site = site(&db, "A").await;
        for n in 0..6 {
            site.walk_in(&db, &format!("病人{n}")).await;
        }
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (db, permit, room) = (db.clone(), site.call(), site.room());
            tasks.push(tokio::spawn(async move { call_next(&db, &permit, room).await.unwrap() }));
        }
        let mut called = HashSet::new();
        let mut none = 0;
        for task in tasks {
            match task.await.unwrap() {
                Some(entry) => assert!(called.insert(entry.id)),
                None => none += 1,
            }
        }
        assert_eq!((called.len(), none), (6, 2));
    }

    async fn a_transfer_takes_ticket_and_worklist_item_along(db: Db) {
        let site = site(&db, "A").await;
        let entry = site.walk_in(&db, "张三").await;
        let permit = site.call();
        let other = site.devices[1].clone();
        assert_eq!(transfer(&db, &permit, entry.id, other.id, "").await.unwrap_err().code(), "flow.invalid");
        let moved = transfer(&db, &permit, entry.id, other.id, "CT1故障").await.unwrap();
        assert_eq!((moved.room, moved.ticket.as_str(), moved.state), (other.room, "A001", QueueState::Waiting));
        let step = mingying_scheduling::step_of(&db, Scope::All, entry.order).await.unwrap().unwrap();
        assert_eq!(step.station_aet.as_str(), "CT2A");
        assert!(site.waiting(&db).await.is_empty());
        assert_eq!(call_next(&db, &permit, other.room).await.unwrap().unwrap().id, entry.id);
    }

    async fn whoever_leaves_can_come_again(db: Db) {
        let site = site(&db, "A").await;
        let order = site.booked(&db, "张三", 30).await;
        let entry = site.arrive(&db, &order, Mode::Appointment).await.unwrap();
        let permit = site.call();
        assert_eq!(leave(&db, &permit, entry.id, " ").await.unwrap_err().code(), "flow.invalid");
        leave(&db, &permit, entry.id, "等不及").await.unwrap();
        assert_eq!(site.state(&db, &order).await, ExamState::Accepted);
        assert_eq!(mingying_scheduling::appointment_of(&db, Scope::All, order.id).await.unwrap(), None);
        // The time is free for somebody else, and the patient can be booked or received again.
        site.booked(&db, "李四", 30).await;
        let again = site.arrive(&db, &order, Mode::WalkIn).await.unwrap();
        assert_eq!(again.ticket, "A002");
    }

    async fn a_withdrawn_order_frees_calendar_worklist_and_queue(db: Db) {
        let site = site(&db, "A").await;
        let order = site.booked(&db, "张三", 30).await;
        let entry = site.arrive(&db, &order, Mode::Appointment).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        withdraw(&mut tx, &site.ctx.permit::<CancelOrder>().unwrap(), order.id, "医生取消").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(site.state(&db, &order).await, ExamState::Cancelled);
        let row = mingying_flow::entry(&db, &site.ctx.permit().unwrap(), entry.id).await.unwrap();
        assert_eq!(row.entry.state, QueueState::Left);
        let step = mingying_scheduling::step_of(&db, Scope::All, order.id).await.unwrap().unwrap();
        assert_eq!(step.state, SpsState::Cancelled);
        site.booked(&db, "李四", 30).await;
    }

    async fn the_queue_follows_the_exam(db: Db) {
        let site = site(&db, "A").await;
        let entry = site.walk_in(&db, "张三").await;
        let follower = FollowExams::new(db.clone(), site.ctx.clone());
        let exam = site.ctx.permit::<PerformExam>().unwrap();
        let state = async || {
            mingying_flow::entry(&db, &site.ctx.permit().unwrap(), entry.id).await.unwrap().entry.state
        };
        // Each event twice: after a crash it is delivered again.
        let deliver = async |topic: &str| {
            let all = mingying_events::read_case(&db, entry.order).await.unwrap();
            for event in all.iter().filter(|e| e.topic == topic) {
                follower.handle(event).await.unwrap();
                follower.handle(event).await.unwrap();
            }
        };
        mingying_exam::start(&db, &exam, entry.order, None).await.unwrap();
        deliver("exam.started").await;
        assert_eq!(state().await, QueueState::InRoom);
        mingying_exam::complete(&db, &exam, entry.order, Some("胶片")).await.unwrap();
        deliver("exam.completed").await;
        assert_eq!(state().await, QueueState::Done);
        deliver("exam.started").await;
        assert_eq!(state().await, QueueState::Done);
    }

    async fn a_display_shows_tickets_and_masked_names_only(db: Db) {
        let site = site(&db, "A").await;
        for name in ["张三丰", "李四", "John Smith"] {
            site.walk_in(&db, name).await;
        }
        call_next(&db, &site.call(), site.room()).await.unwrap();
        let manage = site.ctx.permit::<ManageDisplays>().unwrap();
        assert_eq!(create_display(&db, &manage, " ", &[site.room()]).await.unwrap_err().code(), "flow.invalid");
        let (display, key) = create_display(&db, &manage, "大厅", &[site.room(), site.devices[1].room]).await.unwrap();
        assert!(key.len() >= 32);
        let stored = db.query_one("SELECT COUNT(*) FROM api_tokens WHERE token_hash = $1", mingying_db::params![&key]).await.unwrap();
        assert_eq!(stored.at::<i64>(0).unwrap(), 0, "the key itself is not kept");
        let view = display_view(&db, &site.ctx.permit().unwrap(), &display.id).await.unwrap();
        let room = &view.rooms[0];
        let calling = room.calling.as_ref().map(|(ticket, name, _)| (ticket.as_str(), name.as_str()));
        assert_eq!(calling, Some(("A001", "张*丰")));
        let waiting: Vec<_> = room.waiting.iter().map(|(ticket, name)| (ticket.as_str(), name.as_str())).collect();
        assert_eq!(waiting, [("A002", "李*"), ("A003", "J*** S****")]);
        assert_eq!((room.waiting_count, view.rooms[1].waiting_count), (2, 0));
    }

    async fn another_organization_sees_nothing(db: Db) {
        let (a, b) = (site(&db, "A").await, site(&db, "B").await);
        let entry = a.walk_in(&db, "张三").await;
        let manage = a.ctx.permit::<ManageDisplays>().unwrap();
        let (display, _) = create_display(&db, &manage, "大厅", &[a.room()]).await.unwrap();
        let clock: SharedClock = a.clock.clone();
        let actor = Actor {
            kind: ActorKind::User,
            id: "n".into(),
            name: "n".into(),
            roles: vec![Role::Nurse, Role::Head],
            org: Some(b.org),
        };
        let at_b = Ctx::new(actor, "test", Arc::new(RolePolicy), clock);
        let permit = at_b.permit::<CallPatients>().unwrap();
        assert_eq!(call(&db, &permit, entry.id).await.unwrap_err().code(), "queue.not_found");
        assert_eq!(call_next(&db, &permit, a.room()).await.unwrap(), None);
        assert!(queue(&db, &at_b.permit().unwrap(), &QueueQuery::default()).await.unwrap().is_empty());
        let view = display_view(&db, &at_b.permit().unwrap(), &display.id).await.unwrap_err();
        assert_eq!(view.code(), "display.not_found");
        let mine = ordered(&db, &at_b, "B", "李四", Priority::Routine).await;
        let arrival = Arrival { order: mine.id, mode: Mode::WalkIn, device: Some(a.devices[0].id), reason: Some("x".into()) };
        assert_eq!(arrive(&db, &at_b.permit().unwrap(), arrival).await.unwrap_err().code(), "device.not_found");
    }
}
