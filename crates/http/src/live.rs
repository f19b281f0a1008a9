//! Live changes: one task per process reads new events and tells every open screen. Only topics and ids leave, never a
//! payload; the screen asks again for what it shows, under its own permission.

use mingying_db::Db;
use mingying_events::Recorded;
use mingying_events::payload::reporting::ReportRejected;
use mingying_kernel::{EventId, OrderId, OrgId, SharedClock, Timestamp};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// Something changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Change {
    pub topic: String,
    pub subject_kind: String,
    pub subject_id: String,
    /// The order whose case it belongs to.
    pub case_id: Option<String>,
    /// The listener did it.
    pub own: bool,
    /// Where it is meant for one person: whether the listener is that one.
    pub for_me: Option<bool>,
    #[serde(skip)]
    pub org: Option<OrgId>,
    #[serde(skip)]
    pub by: String,
    /// The user it is meant for.
    #[serde(skip)]
    pub to: Option<String>,
}

impl Change {
    fn of(event: Recorded) -> Self {
        let to = event.payload::<ReportRejected>().map(|rejected| rejected.to).filter(|to| !to.is_empty());
        Self {
            topic: event.topic,
            subject_kind: event.subject_kind,
            subject_id: event.subject_id,
            case_id: event.case.as_ref().map(OrderId::to_string),
            own: false,
            for_me: None,
            org: Some(event.org),
            by: event.actor_id,
            to,
        }
    }

    /// As `listener` is told.
    #[must_use]
    pub fn told_to(mut self, listener: &str) -> Self {
        self.own = self.by == listener;
        self.for_me = self.to.as_deref().map(|to| to == listener);
        self
    }
}

const INTERVAL: Duration = Duration::from_millis(300);
/// Transactions become visible later than their events' times say; a look back catches those.
const OVERLAP: Duration = Duration::from_secs(5);
const BATCH: u32 = 1000;

/// Where screens listen.
#[derive(Clone)]
pub struct Live {
    changes: broadcast::Sender<Change>,
    cancel: CancellationToken,
}

impl Live {
    /// Open streams end when `cancel` is.
    pub fn new(cancel: CancellationToken) -> Self {
        Self { changes: broadcast::channel(1024).0, cancel }
    }

    /// Resolves when the server stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.cancel.clone().cancelled_owned()
    }

    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Polls until cancelled.
    pub async fn run(self, db: Db, clock: SharedClock) {
        let mut from = clock.now();
        let mut seen: HashMap<EventId, Timestamp> = HashMap::new();
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            match self.poll(&db, from, &mut seen).await {
                Ok(newest) => {
                    from = newest.max(from);
                    let keep = from.minus(OVERLAP);
                    seen.retain(|_, at| *at >= keep);
                }
                Err(error) => tracing::warn!(%error, "events not readable"),
            }
        }
    }

    async fn poll(
        &self,
        db: &Db,
        from: Timestamp,
        seen: &mut HashMap<EventId, Timestamp>,
    ) -> Result<Timestamp, mingying_db::DbError> {
        let mut newest = from;
        let mut since = from.minus(OVERLAP);
        loop {
            let events = mingying_events::read_after(db, since, BATCH).await?;
            let full = events.len() == BATCH as usize;
            let mut last = since;
            for event in events {
                last = event.recorded_at;
                newest = newest.max(event.recorded_at);
                if seen.insert(event.id, event.recorded_at).is_none() {
                    // Nobody listening is no error.
                    let _ = self.changes.send(Change::of(event));
                }
            }
            if !full || last == since {
                return Ok(newest);
            }
            since = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(to: &str) -> Change {
        Change::of(Recorded {
            id: EventId::new(),
            topic: "report.rejected".to_owned(),
            version: 1,
            subject_kind: "report".to_owned(),
            subject_id: "r".to_owned(),
            case: None,
            patient: None,
            org: OrgId::new(),
            actor_kind: "user".to_owned(),
            actor_id: "auditor".to_owned(),
            actor_name: String::new(),
            source: String::new(),
            request_id: String::new(),
            occurred_at: Timestamp::from_micros(0),
            recorded_at: Timestamp::from_micros(0),
            payload: format!(r#"{{"report_id":"r","version":2{to}}}"#),
        })
    }

    #[test]
    fn a_rejection_is_meant_for_its_author() {
        let told = |change: Change, who: &str| {
            let change = change.told_to(who);
            (change.own, change.for_me)
        };
        let change = rejected(r#","to":"author""#);
        assert_eq!(told(change.clone(), "author"), (false, Some(true)));
        assert_eq!(told(change.clone(), "colleague"), (false, Some(false)));
        assert_eq!(told(change, "auditor"), (true, Some(false)));
        assert_eq!(told(rejected(""), "colleague"), (false, None), "one that was written without a name");
        let json = serde_json::to_value(rejected(r#","to":"author""#).told_to("author")).unwrap();
        assert!(json.get("to").is_none() && json.get("by").is_none(), "nobody is named: {json}");
    }
}
