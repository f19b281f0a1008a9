//! Who acts in the demonstration, and when: each act has its own clock, so that yesterday's exam was done yesterday.

use mingying_http::App;
use mingying_kernel::{Actor, Ctx, ManualClock, Role, Timestamp};
use std::time::Duration;

pub(super) struct Cast {
    app: App,
    actors: Vec<(Role, Actor)>,
}

impl Cast {
    pub(super) fn new(app: &App, actors: Vec<(Role, Actor)>) -> Self {
        Self { app: app.clone(), actors }
    }

    /// `role`'s demonstration user acting now.
    pub(super) fn now(&self, role: Role) -> Ctx {
        self.at(role, self.app.clock.now())
    }

    /// `role`'s demonstration user acting at `time`; Mingying's own workers where no user has the role.
    pub(super) fn at(&self, role: Role, time: Timestamp) -> Ctx {
        let clock = ManualClock::at(time);
        match self.actors.iter().find(|(held, _)| *held == role) {
            Some((_, actor)) => Ctx::new(actor.clone(), "web", self.app.access.policy(), clock),
            None => Ctx::system("demo", self.app.access.policy(), clock),
        }
    }
}

/// Minutes after `time`; negative ones before.
pub(super) fn minutes(time: Timestamp, minutes: i64) -> Timestamp {
    let span = Duration::from_secs(minutes.unsigned_abs() * 60);
    if minutes < 0 { time.minus(span) } else { time.plus(span) }
}
