//! Drives deliveries to their subscribers: claimed under a lease, retried with back-off, kept as dead letters that a
//! person can see and send again. A handler must be idempotent: after a crash it may see an event twice.

mod store;

pub use store::{Counts, DeadLetter, counts, list_dead, retry_dead};

use async_trait::async_trait;
use mingying_db::{Db, DbError};
use mingying_events::payload::interfaces::DeliveryDead;
use mingying_events::{About, Payload, Recorded};
use mingying_kernel::{Actor, Ctx, Policy, Scope, SharedClock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Why a handler did not finish.
#[derive(Debug)]
pub enum Failure {
    /// Worth another try after a pause. The text is shown to operators: no patient data.
    Retry(String),
    /// No retry can help; a person must look.
    Dead(String),
}

impl<E: mingying_kernel::Coded> From<E> for Failure {
    /// Faults of the environment are retried, everything else waits for a person.
    fn from(error: E) -> Self {
        use mingying_kernel::ErrorKind as K;
        let text = format!("{}: {error}", error.code());
        match error.kind() {
            K::Unavailable | K::StorageFull | K::TooMany | K::Internal | K::Conflict | K::NotFound => Self::Retry(text),
            _ => Self::Dead(text),
        }
    }
}

/// Something that reacts to events.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// Stable; the key of its deliveries.
    fn name(&self) -> &'static str;
    fn topics(&self) -> &'static [&'static str];
    async fn handle(&self, event: &Recorded) -> Result<(), Failure>;
}

/// How a worker behaves; the defaults suit production.
#[derive(Debug, Clone)]
pub struct Settings {
    pub lease: Duration,
    /// Pause between looks at the table when nothing wakes the worker.
    pub idle: Duration,
    pub batch: u32,
    /// After so many failures a delivery is dead.
    pub max_attempts: u32,
    pub first_backoff: Duration,
    pub max_backoff: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            idle: Duration::from_millis(500),
            batch: 16,
            max_attempts: 12,
            first_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_mins(10),
        }
    }
}

/// Runs subscribers until cancelled.
pub struct Runner {
    db: Db,
    clock: SharedClock,
    settings: Settings,
    subscribers: Vec<Arc<dyn Subscriber>>,
    wake: Arc<Notify>,
    owner: String,
    ctx: Ctx,
}

/// The runner itself does nothing that needs leave; each subscriber acts with its own.
struct Nothing;

impl Policy for Nothing {
    fn allow(&self, _actor: &Actor, _action: &str) -> Option<Scope> {
        None
    }
}

impl Runner {
    pub fn new(db: Db, clock: SharedClock, settings: Settings) -> Self {
        let owner = mingying_kernel::JobId::new().to_string();
        let ctx = Ctx::system("deliveries", Arc::new(Nothing), clock.clone());
        Self { db, clock, settings, subscribers: Vec::new(), wake: Arc::new(Notify::new()), owner, ctx }
    }

    #[must_use]
    pub fn with(mut self, subscriber: Arc<dyn Subscriber>) -> Self {
        self.subscribers.push(subscriber);
        self
    }

    /// Wakes the workers before their pause ends.
    pub fn waker(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Records which topics each subscriber wants. Call once at start, before anything is emitted.
    pub async fn register(&self) -> Result<(), DbError> {
        let mut tx = self.db.begin().await?;
        for subscriber in &self.subscribers {
            mingying_events::subscribe(&mut tx, subscriber.name(), subscriber.topics()).await?;
        }
        tx.commit().await
    }

    /// One task per subscriber, so that a slow one holds up nobody else. Returns after cancellation, when each task has
    /// finished the delivery in its hands.
    pub async fn run(self, cancel: CancellationToken) {
        let this = Arc::new(self);
        let mut tasks = tokio::task::JoinSet::new();
        for subscriber in this.subscribers.clone() {
            let (this, cancel) = (this.clone(), cancel.clone());
            tasks.spawn(async move {
                while !cancel.is_cancelled() {
                    let worked = match this.drain_once(&*subscriber, &cancel).await {
                        Ok(count) => count > 0,
                        Err(error) => {
                            tracing::warn!(subscriber = subscriber.name(), %error, "deliveries not readable");
                            false
                        }
                    };
                    if !worked {
                        tokio::select! {
                            () = cancel.cancelled() => {}
                            () = this.wake.notified() => {}
                            () = tokio::time::sleep(this.settings.idle) => {}
                        }
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Delivers all that is due now, over all subscribers, until nothing is left. For tests and shutdown.
    pub async fn drain(&self) -> Result<usize, DbError> {
        let cancel = CancellationToken::new();
        let mut total = 0;
        loop {
            let mut round = 0;
            for subscriber in &self.subscribers {
                round += self.drain_once(&**subscriber, &cancel).await?;
            }
            if round == 0 {
                return Ok(total);
            }
            total += round;
        }
    }

    async fn drain_once(&self, subscriber: &dyn Subscriber, cancel: &CancellationToken) -> Result<usize, DbError> {
        let now = self.clock.now();
        let claimed = store::claim(
            &self.db,
            subscriber.name(),
            &self.owner,
            now,
            now.plus(self.settings.lease),
            self.settings.batch,
        )
        .await?;
        let count = claimed.len();
        for delivery in claimed {
            if cancel.is_cancelled() {
                break;
            }
            let event = mingying_events::read(&self.db, delivery.event).await?;
            match subscriber.handle(&event).await {
                Ok(()) => store::finish(&self.db, &delivery.id, &self.owner, self.clock.now()).await?,
                Err(failure) => {
                    let attempts = delivery.attempts + 1;
                    let (text, dead) = match failure {
                        Failure::Retry(text) => (text, attempts >= self.settings.max_attempts),
                        Failure::Dead(text) => (text, true),
                    };
                    tracing::warn!(subscriber = subscriber.name(), topic = event.topic, attempts, dead, error = text);
                    let due = self.due_after(attempts);
                    let mut tx = self.db.begin().await?;
                    let ours = store::fail(&mut tx, &delivery.id, &self.owner, attempts, due, dead, &text).await?;
                    // The death of a notice about a death would be news without end.
                    if dead && ours && event.topic != DeliveryDead::TOPIC {
                        let about = About {
                            kind: "delivery",
                            id: delivery.id.clone(),
                            case: event.case,
                            patient: event.patient,
                            org: event.org,
                            occurred_at: None,
                        };
                        let payload = DeliveryDead {
                            subscriber: subscriber.name().to_owned(),
                            event: event.topic.clone(),
                            attempts,
                        };
                        mingying_events::emit(&mut tx, &self.ctx, &about, &payload).await?;
                    }
                    tx.commit().await?;
                }
            }
        }
        Ok(count)
    }

    /// Exponential back-off with a little jitter, so that many failures do not come back at once.
    fn due_after(&self, attempts: u32) -> Timestamp {
        let factor = 2_u32.saturating_pow(attempts.saturating_sub(1).min(16));
        let pause = self.settings.first_backoff.saturating_mul(factor).min(self.settings.max_backoff);
        let jitter = pause.mul_f64(rand::random::<f64>() * 0.2);
        self.clock.now().plus(pause + jitter)
    }
}
