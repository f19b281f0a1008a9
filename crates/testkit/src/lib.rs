//! What tests share: a fresh database on each engine, a real S3 server and a bad line to it,
//! a clock that stands still, contexts for each role.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod database;
pub mod s3;

pub use database::{TestDb, postgres, sqlite};

use mingying_kernel::{Actor, ActorKind, Ctx, ManualClock, Policy, Role, Scope, SharedClock, Timestamp, UserId};
use std::sync::Arc;

/// 2026-03-02 08:00 in Shanghai, a Monday.
pub const MONDAY_MORNING: Timestamp = Timestamp::from_micros(1_772_409_600_000_000);

pub fn clock() -> Arc<ManualClock> {
    ManualClock::at(MONDAY_MORNING)
}

/// Allows everything; tests of permissions use the real policy instead.
struct AllowAll;

impl Policy for AllowAll {
    fn allow(&self, _: &Actor, _: &str) -> Option<Scope> {
        Some(Scope::All)
    }
}

/// A signed-in person with `role`, allowed everything.
pub fn ctx_as(role: Role, clock: &SharedClock) -> Ctx {
    let actor = Actor {
        kind: ActorKind::User,
        id: UserId::new().to_string(),
        name: role.as_str().to_owned(),
        roles: vec![role],
        org: None,
    };
    Ctx::new(actor, "test", Arc::new(AllowAll), clock.clone())
}

/// Makes one test per database engine from `async fn name(db: Db)`:
/// `on_both! { async fn keeps_rows(db: Db) { … } }`.
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident : Db) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($db: mingying_db::Db) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let test = $crate::sqlite().await;
                body(test.db.clone()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let test = $crate::postgres().await;
                body(test.db.clone()).await;
            }
        }
    )+};
}
