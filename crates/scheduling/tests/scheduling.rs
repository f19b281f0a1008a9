//! Slots, bookings and worklist steps on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use jiff::civil::{date, time};
use mingying_access::RolePolicy;
use mingying_db::Db;
use mingying_kernel::{
    Actor, ActorKind, AeTitle, CampusId, Coded, Ctx, DepartmentId, DeviceId, ManualClock, OrderId, OrgId, Role, RoomId,
    SharedClock, Timestamp,
};
use mingying_orders::{CatalogueItem, ExamState, NewItem, NewOrder, Order, ReadOrders};
use mingying_patients::{NewPatient, Sex};
use mingying_scheduling::*;
use mingying_testkit::{MONDAY_MORNING, clock, ctx_as, on_both};
use std::sync::Arc;
use std::time::Duration;

struct Site {
    org: OrgId,
    ct1: Device,
    ct2: Device,
    clock: Arc<ManualClock>,
    ctx: Ctx,
}

fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

/// A time today, minutes after eight.
fn at(n: u64) -> Timestamp {
    MONDAY_MORNING.plus(minutes(n))
}

/// One room with two CTs, open 8:00 to 12:00 every day; 15-minute exams.
async fn site(db: &Db, tag: &str) -> Site {
    let clock = clock();
    let shared: SharedClock = clock.clone();
    let ctx = ctx_as(Role::Registrar, &shared);
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
    put_room(db, &permit, &room).await.unwrap();
    let mut made = Vec::new();
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
        put_device(db, &permit, &device).await.unwrap();
        let hours: Vec<_> =
            (1..=7).map(|weekday| OpeningHours { weekday, from: time(8, 0, 0, 0), to: time(12, 0, 0, 0) }).collect();
        set_opening_hours(db, &permit, device.id, &hours).await.unwrap();
        made.push(device);
    }
    Site { org, ct2: made.pop().unwrap(), ct1: made.pop().unwrap(), clock, ctx }
}

async fn order(db: &Db, ctx: &Ctx, tag: &str, name: &str) -> Order {
    let person = NewPatient {
        name: name.to_owned(),
        sex: Some(Sex::Male),
        birth_date: Some(date(1980, 1, 1)),
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

async fn state(db: &Db, ctx: &Ctx, id: OrderId) -> ExamState {
    mingying_orders::load(db, &ctx.permit::<ReadOrders>().unwrap(), id).await.unwrap().state
}

async fn topics(db: &Db, id: OrderId) -> Vec<String> {
    mingying_events::read_case(db, id).await.unwrap().into_iter().skip(2).map(|e| e.topic).collect()
}

async fn free(db: &Db, site: &Site, id: OrderId, device: DeviceId) -> Vec<(Timestamp, Option<Refusal>)> {
    let query = SlotQuery { order: id, from: date(2026, 3, 2), days: 1, device: Some(device) };
    let found = slots(db, &site.ctx.permit().unwrap(), &query).await.unwrap();
    found.into_iter().map(|s| (s.start, s.refusal)).collect()
}

on_both! {
    async fn a_booking_occupies_its_slot_and_stands_in_the_worklist(db: Db) {
        let site = site(&db, "A").await;
        let one = order(&db, &site.ctx, "A", "张三").await;
        let before = free(&db, &site, one.id, site.ct1.id).await;
        assert_eq!(before.len(), 16);
        assert!(before.iter().all(|(_, refusal)| refusal.is_none()));

        let booked = book(&db, &site.ctx.permit().unwrap(), one.id, site.ct1.id, at(15)).await.unwrap();
        assert_eq!((booked.start, booked.end, booked.state), (at(15), at(30), AppointmentState::Booked));
        assert_eq!(state(&db, &site.ctx, one.id).await, ExamState::Scheduled);
        assert_eq!(topics(&db, one.id).await, ["appt.booked", "sps.created"]);
        let step = step_of(&db, site.ctx.permit::<ReadSlots>().unwrap().scope(), one.id).await.unwrap().unwrap();
        assert_eq!((step.station_aet.as_str(), step.start, step.state), ("CT1A", at(15), SpsState::Scheduled));
        assert_eq!((step.sps_id.as_str(), step.description.as_str()), ("S000000001", "胸部CT平扫"));

        let two = order(&db, &site.ctx, "A", "李四").await;
        let after = free(&db, &site, two.id, site.ct1.id).await;
        assert_eq!(after.iter().filter(|(_, r)| r.is_none()).count(), 15);
        assert_eq!(after[1], (at(15), Some(Refusal::Taken)));
        assert!(free(&db, &site, two.id, site.ct2.id).await.iter().all(|(_, r)| r.is_none()));

        let day = calendar(&db, &site.ctx.permit().unwrap(), Some(site.ct1.id), date(2026, 3, 2)).await.unwrap();
        assert_eq!(day.len(), 1);
        assert_eq!((day[0].patient_name.as_str(), day[0].room_name.as_str()), ("张三", "CT一室"));
        assert!(calendar(&db, &site.ctx.permit().unwrap(), None, date(2026, 3, 3)).await.unwrap().is_empty());
    }

    async fn of_two_bookers_one_wins(db: Db) {
        let site = site(&db, "A").await;
        let mut tasks = Vec::new();
        for n in 0..8 {
            let one = order(&db, &site.ctx, "A", &format!("张{n}")).await;
            let (db, ctx, device) = (db.clone(), site.ctx.clone(), site.ct1.id);
            // Overlapping, not only equal, starts.
            let start = at(30 + (n % 3) * 5);
            tasks.push(tokio::spawn(async move { book(&db, &ctx.permit().unwrap(), one.id, device, start).await }));
        }
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error.code(), "slot.taken"),
            }
        }
        assert_eq!(done, 1);
        let day = calendar(&db, &site.ctx.permit().unwrap(), Some(site.ct1.id), date(2026, 3, 2)).await.unwrap();
        assert_eq!(day.len(), 1);
    }

    async fn one_order_is_booked_once(db: Db) {
        let site = site(&db, "A").await;
        let one = order(&db, &site.ctx, "A", "张三").await;
        let mut tasks = Vec::new();
        for n in 0..6 {
            let (db, ctx) = (db.clone(), site.ctx.clone());
            let device = if n % 2 == 0 { site.ct1.id } else { site.ct2.id };
            tasks.push(tokio::spawn(async move {
                book(&db, &ctx.permit().unwrap(), one.id, device, at(15 * n)).await
            }));
        }
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error.code(), "order.state"),
            }
        }
        assert_eq!(done, 1);
    }

    async fn what_cannot_be_booked_says_why(db: Db) {
        let site = site(&db, "A").await;
        let one = order(&db, &site.ctx, "A", "张三").await;
        let permit = site.ctx.permit::<BookAppointment>().unwrap();
        let refused = async |device, start| book(&db, &permit, one.id, device, start).await.unwrap_err().code();
        assert_eq!(refused(site.ct1.id, at(240)).await, "slot.closed");
        assert_eq!(refused(site.ct1.id, at(230)).await, "slot.closed", "would end after closing");
        assert_eq!(refused(site.ct1.id, MONDAY_MORNING.minus(minutes(15))).await, "slot.past");
        assert_eq!(refused(DeviceId::new(), at(0)).await, "device.not_found");
        let mut broken = site.ct1.clone();
        broken.active = false;
        put_device(&db, &site.ctx.permit().unwrap(), &broken).await.unwrap();
        assert_eq!(refused(site.ct1.id, at(0)).await, "slot.wrong_device");
        assert!(free(&db, &site, one.id, site.ct1.id).await.is_empty());
        // Nothing was changed by any of these.
        assert_eq!(state(&db, &site.ctx, one.id).await, ExamState::Accepted);
        assert!(topics(&db, one.id).await.is_empty());
        // Past times are not offered.
        site.clock.advance(minutes(61));
        assert_eq!(free(&db, &site, one.id, site.ct2.id).await.len(), 11);
    }

    async fn moving_frees_the_old_time_and_takes_the_worklist_item_along(db: Db) {
        let site = site(&db, "A").await;
        let one = order(&db, &site.ctx, "A", "张三").await;
        let permit = site.ctx.permit::<BookAppointment>().unwrap();
        let first = book(&db, &permit, one.id, site.ct1.id, at(0)).await.unwrap();
        // A shift over its own old time is possible.
        let second = move_to(&db, &permit, first.id, site.ct1.id, at(5)).await.unwrap();
        let third = move_to(&db, &permit, second.id, site.ct2.id, at(60)).await.unwrap();
        assert_eq!(third.moved_from, Some(second.id));
        assert_eq!(move_to(&db, &permit, first.id, site.ct1.id, at(90)).await.unwrap_err().code(), "appointment.state");
        let step = step_of(&db, permit.scope(), one.id).await.unwrap().unwrap();
        assert_eq!((step.station_aet.as_str(), step.start), ("CT2A", at(60)));
        let now = appointment_of(&db, permit.scope(), one.id).await.unwrap().unwrap();
        assert_eq!(now.appointment.id, third.id);
        assert_eq!(topics(&db, one.id).await, ["appt.booked", "sps.created", "appt.moved", "sps.moved", "appt.moved", "sps.moved"]);
        let two = order(&db, &site.ctx, "A", "李四").await;
        assert!(free(&db, &site, two.id, site.ct1.id).await.iter().all(|(_, r)| r.is_none()));
    }

    async fn cancelling_leaves_the_order_waiting(db: Db) {
        let site = site(&db, "A").await;
        let one = order(&db, &site.ctx, "A", "张三").await;
        let permit = site.ctx.permit::<BookAppointment>().unwrap();
        let booked = book(&db, &permit, one.id, site.ct1.id, at(0)).await.unwrap();
        assert_eq!(cancel(&db, &permit, booked.id, "  ").await.unwrap_err().code(), "scheduling.invalid");
        let gone = cancel(&db, &permit, booked.id, "病人改期").await.unwrap();
        assert_eq!((gone.state, gone.reason.as_str()), (AppointmentState::Cancelled, "病人改期"));
        assert_eq!(state(&db, &site.ctx, one.id).await, ExamState::Accepted);
        assert_eq!(step_of(&db, permit.scope(), one.id).await.unwrap().unwrap().state, SpsState::Cancelled);
        assert_eq!(cancel(&db, &permit, booked.id, "再来").await.unwrap_err().code(), "appointment.state");
        assert_eq!(appointment_of(&db, permit.scope(), one.id).await.unwrap(), None);
        // Booked again, it is the same worklist item.
        book(&db, &permit, one.id, site.ct2.id, at(30)).await.unwrap();
        let step = step_of(&db, permit.scope(), one.id).await.unwrap().unwrap();
        assert_eq!((step.sps_id.as_str(), step.state, step.station_aet.as_str()), ("S000000001", SpsState::Scheduled, "CT2A"));
    }

    async fn a_hold_keeps_a_time_for_five_minutes(db: Db) {
        let site = site(&db, "A").await;
        let (one, two) = (order(&db, &site.ctx, "A", "张三").await, order(&db, &site.ctx, "A", "李四").await);
        let permit = site.ctx.permit::<BookAppointment>().unwrap();
        let held = hold(&db, &permit, one.id, site.ct1.id, at(15)).await.unwrap();
        assert_eq!(held.hold_until, Some(at(5)));
        assert_eq!(state(&db, &site.ctx, one.id).await, ExamState::Accepted);
        assert_eq!(book(&db, &permit, two.id, site.ct1.id, at(15)).await.unwrap_err().code(), "slot.taken");
        // Its own holder books it.
        let mine = book(&db, &permit, one.id, site.ct1.id, at(15)).await.unwrap();
        assert_eq!(mine.state, AppointmentState::Booked);
        hold(&db, &permit, two.id, site.ct1.id, at(30)).await.unwrap();
        site.clock.advance(minutes(6));
        let three = order(&db, &site.ctx, "A", "王五").await;
        book(&db, &permit, three.id, site.ct1.id, at(30)).await.unwrap();
        assert_eq!(expire_holds(&db, &permit).await.unwrap(), 1);
        assert_eq!(expire_holds(&db, &permit).await.unwrap(), 0);
        assert_eq!(topics(&db, two.id).await, ["appt.held", "slot.freed"]);
    }

    async fn another_scheduler_books_directly(db: Db) {
        let site = site(&db, "A").await;
        let (one, two) = (order(&db, &site.ctx, "A", "张三").await, order(&db, &site.ctx, "A", "李四").await);
        let permit = site.ctx.permit::<BookAppointment>().unwrap();
        book(&db, &permit, one.id, site.ct1.id, at(0)).await.unwrap();
        let direct = async |start: Timestamp, aet: &str| {
            let mut tx = db.begin().await.unwrap();
            let made = book_direct(&mut tx, &permit, two.id, aet, start, Some("HIS-SPS-1"), Some("RP1")).await;
            tx.commit().await.unwrap();
            made
        };
        let made = direct(at(5), "CT1A").await.unwrap();
        assert!(made.overlaps);
        assert_eq!(direct(at(5), "CT1A").await.unwrap().id, made.id, "the same message again");
        let step = step_of(&db, permit.scope(), two.id).await.unwrap().unwrap();
        assert_eq!((step.sps_id.as_str(), step.procedure_id.as_str()), ("HIS-SPS-1", "RP1"));
        let moved = direct(at(300), "CT2A").await.unwrap();
        assert_eq!((moved.overlaps, moved.moved_from), (false, Some(made.id)), "its calendar may reach beyond our hours");
        assert_eq!(state(&db, &site.ctx, two.id).await, ExamState::Scheduled);
        assert_eq!(direct(at(5), "NOBODY").await.unwrap_err().code(), "device.not_found");
    }

    async fn another_organization_sees_and_books_nothing(db: Db) {
        let (a, b) = (site(&db, "A").await, site(&db, "B").await);
        let at_org = |org| {
            let clock: SharedClock = a.clock.clone();
            let actor = Actor {
                kind: ActorKind::User,
                id: "r".into(),
                name: "r".into(),
                roles: vec![Role::Registrar],
                org: Some(org),
            };
            Ctx::new(actor, "test", Arc::new(RolePolicy), clock)
        };
        let (at_a, at_b) = (at_org(a.org), at_org(b.org));
        let one = order(&db, &at_a, "A", "张三").await;
        let booked = book(&db, &at_a.permit().unwrap(), one.id, a.ct1.id, at(0)).await.unwrap();
        let permit = at_b.permit::<BookAppointment>().unwrap();
        assert_eq!(cancel(&db, &permit, booked.id, "x").await.unwrap_err().code(), "appointment.not_found");
        assert_eq!(move_to(&db, &permit, booked.id, b.ct1.id, at(60)).await.unwrap_err().code(), "appointment.not_found");
        assert_eq!(book(&db, &permit, one.id, b.ct1.id, at(60)).await.unwrap_err().code(), "order.not_found");
        assert!(calendar(&db, &at_b.permit().unwrap(), None, date(2026, 3, 2)).await.unwrap().is_empty());
        let query = SlotQuery { order: one.id, from: date(2026, 3, 2), days: 1, device: None };
        assert_eq!(slots(&db, &at_b.permit().unwrap(), &query).await.unwrap_err().code(), "order.not_found");
        let other = order(&db, &at_b, "B", "李四").await;
        assert_eq!(book(&db, &permit, other.id, a.ct2.id, at(60)).await.unwrap_err().code(), "device.not_found");
        let found = directory(&db, &at_b.permit().unwrap()).await.unwrap();
        assert_eq!((found.org.id, found.devices.len(), found.rooms.len(), found.catalogue.len()), (b.org, 2, 1, 1));
        assert!(found.devices.iter().all(|d| d.org == b.org));
    }
}
