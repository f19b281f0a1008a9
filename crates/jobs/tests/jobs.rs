//! Deliveries: each subscriber gets each event, failures come back later, hopeless ones wait for a person.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use async_trait::async_trait;
use mingying_db::{Db, params};
use mingying_events::payload::interfaces::DeliveryDead;
use mingying_events::{About, Payload, Recorded, emit};
use mingying_jobs::{Failure, Runner, Settings, Subscriber, list_dead, retry_dead};
use mingying_kernel::{OrgId, Role, SharedClock};
use mingying_testkit::{ctx_as, on_both};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Rang {
    n: u32,
}
impl Payload for Rang {
    const TOPIC: &'static str = "bell.rang";
}

/// Fails the first `failures` times.
struct Listener {
    failures: AtomicU32,
    hopeless: bool,
    heard: Mutex<Vec<u32>>,
}

impl Listener {
    fn new(failures: u32, hopeless: bool) -> Arc<Self> {
        Arc::new(Self { failures: failures.into(), hopeless, heard: Mutex::default() })
    }
    fn heard(&self) -> Vec<u32> {
        self.heard.lock().unwrap().clone()
    }
}

#[async_trait]
impl Subscriber for Listener {
    fn name(&self) -> &'static str {
        "listener"
    }
    fn topics(&self) -> &'static [&'static str] {
        &["bell.rang"]
    }
    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(if self.hopeless { Failure::Dead("no use".into()) } else { Failure::Retry("later".into()) });
        }
        self.heard.lock().unwrap().push(event.payload::<Rang>().unwrap().n);
        Ok(())
    }
}

async fn ring(db: &Db, clock: &SharedClock, n: u32) {
    let ctx = ctx_as(Role::Nurse, clock);
    let mut tx = db.begin().await.unwrap();
    emit(&mut tx, &ctx, &About::new("bell", n, OrgId::new()), &Rang { n }).await.unwrap();
    tx.commit().await.unwrap();
}

on_both! {
    async fn every_event_arrives_once_and_in_order(db: Db) {
        let clock: SharedClock = mingying_testkit::clock();
        let listener = Listener::new(0, false);
        let runner = Runner::new(db.clone(), clock.clone(), Settings::default()).with(listener.clone());
        runner.register().await.unwrap();
        for n in 0..40 {
            ring(&db, &clock, n).await;
        }
        assert_eq!(runner.drain().await.unwrap(), 40);
        assert_eq!(runner.drain().await.unwrap(), 0);
        assert_eq!(listener.heard(), (0..40).collect::<Vec<_>>());
    }

    async fn a_rolled_back_event_is_never_delivered(db: Db) {
        let clock: SharedClock = mingying_testkit::clock();
        let listener = Listener::new(0, false);
        let runner = Runner::new(db.clone(), clock.clone(), Settings::default()).with(listener.clone());
        runner.register().await.unwrap();
        let ctx = ctx_as(Role::Nurse, &clock);
        let mut tx = db.begin().await.unwrap();
        emit(&mut tx, &ctx, &About::new("bell", 1, OrgId::new()), &Rang { n: 1 }).await.unwrap();
        drop(tx);
        assert_eq!(runner.drain().await.unwrap(), 0);
        assert!(listener.heard().is_empty());
    }

    async fn failures_come_back_after_a_pause_and_die_in_the_end(db: Db) {
        let manual = mingying_testkit::clock();
        let clock: SharedClock = manual.clone();
        let listener = Listener::new(3, false);
        let settings = Settings { max_attempts: 3, ..Settings::default() };
        let runner = Runner::new(db.clone(), clock.clone(), settings).with(listener.clone());
        runner.register().await.unwrap();
        ring(&db, &clock, 1).await;
        assert_eq!(runner.drain().await.unwrap(), 1);
        assert_eq!(runner.drain().await.unwrap(), 0, "not due yet");
        for _ in 0..2 {
            manual.advance(Duration::from_mins(1));
            assert_eq!(runner.drain().await.unwrap(), 1);
        }
        manual.advance(Duration::from_hours(1));
        assert_eq!(runner.drain().await.unwrap(), 0, "dead after three attempts");
        let dead = list_dead(&db, 10).await.unwrap();
        assert_eq!(dead.len(), 1);
        let told = mingying_events::read_subject(&db, "delivery", &dead[0].id).await.unwrap();
        assert_eq!(told.len(), 1, "the third failure is told, the first two are not");
        let news = DeliveryDead { subscriber: "listener".into(), event: "bell.rang".into(), attempts: 3 };
        assert_eq!(told[0].payload::<DeliveryDead>().unwrap(), news);
        assert_eq!((dead[0].topic.as_str(), dead[0].attempts, dead[0].last_error.as_str()), ("bell.rang", 3, "later"));
        assert!(retry_dead(&db, &dead[0].id, clock.now()).await.unwrap());
        assert!(!retry_dead(&db, &dead[0].id, clock.now()).await.unwrap());
        runner.drain().await.unwrap();
        assert_eq!(listener.heard(), [1]);
        assert!(list_dead(&db, 10).await.unwrap().is_empty());
    }

    async fn hopeless_ones_wait_for_a_person_at_once(db: Db) {
        let clock: SharedClock = mingying_testkit::clock();
        let listener = Listener::new(1, true);
        let runner = Runner::new(db.clone(), clock.clone(), Settings::default()).with(listener);
        runner.register().await.unwrap();
        ring(&db, &clock, 1).await;
        runner.drain().await.unwrap();
        assert_eq!(list_dead(&db, 10).await.unwrap().len(), 1);
    }

    async fn a_dead_workers_lease_runs_out(db: Db) {
        let manual = mingying_testkit::clock();
        let clock: SharedClock = manual.clone();
        let listener = Listener::new(0, false);
        let runner = Runner::new(db.clone(), clock.clone(), Settings::default()).with(listener.clone());
        runner.register().await.unwrap();
        ring(&db, &clock, 1).await;
        // Another process took it and died.
        let until = clock.now().plus(Duration::from_mins(1));
        db.execute("UPDATE deliveries SET lease_until = $1, lease_owner = 'gone'", params![until]).await.unwrap();
        assert_eq!(runner.drain().await.unwrap(), 0);
        manual.advance(Duration::from_secs(61));
        assert_eq!(runner.drain().await.unwrap(), 1);
        assert_eq!(listener.heard(), [1]);
    }

    async fn two_runners_share_without_doing_anything_twice(db: Db) {
        let clock: SharedClock = mingying_testkit::clock();
        let listener = Listener::new(0, false);
        let runner = |idle| {
            Runner::new(db.clone(), clock.clone(), Settings { idle, batch: 3, ..Settings::default() }).with(listener.clone())
        };
        let (a, b) = (runner(Duration::from_millis(5)), runner(Duration::from_millis(5)));
        a.register().await.unwrap();
        for n in 0..60 {
            ring(&db, &clock, n).await;
        }
        let cancel = CancellationToken::new();
        let both = tokio::join!(
            async { tokio::join!(a.run(cancel.clone()), b.run(cancel.clone())) },
            async {
                let start = std::time::Instant::now();
                while listener.heard().len() < 60 && start.elapsed() < Duration::from_secs(20) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                cancel.cancel();
            }
        );
        let ((), ()) = both.0;
        let mut heard = listener.heard();
        heard.sort_unstable();
        assert_eq!(heard, (0..60).collect::<Vec<_>>());
    }
}
