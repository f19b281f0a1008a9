//! Who may do what, and the proof of who did: people, sessions, machine tokens, the organization, policy, audit.
//!
//! * [`Access`] signs people in and out, knows machines by their tokens, and keeps accounts.
//! * [`RolePolicy`] decides; [`TABLE`] is what it decides by.
//! * [`record`] writes the event and the audit row of a change; [`audit_read`] the audit row of a read.
//! * [`Sealer`] chains audit rows so that a changed or removed one shows ([`verify_chain`]).
//! * `org`: the organization, its campuses and departments, which every clinical root refers to.

mod audit;
mod chain_watch;
mod error;
mod model;
mod org;
mod policy;
mod recognised;
mod seal;
mod second_factor;
mod secret;
mod sessions;
mod store;
mod tokens;
mod users;

pub use audit::{AuditFilter, AuditPage, AuditRow, Outcome, audit, audit_denied, audit_read, list_audit, record};
pub use chain_watch::{ChainCheck, ChainWatch};
pub use error::AccessError;
pub use model::{PASSWORD_MIN, SignedIn, User, code_at};
pub use org::{
    Campus, Department, DepartmentKind, Org, OrgTree, department, departments, org_tree, organizations, put_campus,
    put_department, put_org,
};
pub use policy::{RolePolicy, TABLE, actions_of};
pub use seal::{AuditLag, ChainBreak, ChainReport, Sealer, audit_lag, verify_chain, verify_from};
pub use second_factor::Enrolment;
pub use secret::SecretKey;
pub use sessions::{NewSession, SignIn};
pub use store::{collation_is_c, has_demo_users};
pub use tokens::{Issued, NewToken, TokenInfo, issue_token};
pub use users::{NewUser, UserChange, user_names};

use mingying_db::Db;
use mingying_kernel::{Actor, ActorKind, Ctx, Policy, SharedClock};
use std::sync::Arc;
use std::time::Duration;

mingying_kernel::action! {
    /// Sign out, change the own password, keep the own second factor.
    UseOwnSession = "session.self",
    ReadUsers = "user.read",
    ManageUsers = "user.manage",
    ReadAudit = "audit.read",
    ReadStatus = "status.read",
    ListenLive = "live.listen",
    ReadCatalogue = "catalogue.read",
}

/// How sessions live and what sign-in asks for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A session ends after so long without a request.
    pub session_idle: Duration,
    /// A session ends after so long in any case.
    pub session_absolute: Duration,
    /// People must have a second factor; demo users are exempt.
    pub require_second_factor: bool,
    /// Failed sign-ins in a row that cost nothing yet, per account and per address.
    pub free_failures_account: u32,
    pub free_failures_address: u32,
    /// Shown by authenticator apps.
    pub issuer: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_idle: Duration::from_hours(1),
            session_absolute: Duration::from_hours(12),
            require_second_factor: true,
            free_failures_account: 5,
            free_failures_address: 20,
            issuer: "Mingying".to_owned(),
        }
    }
}

/// People, sessions and tokens. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    pub(crate) db: Db,
    pub(crate) clock: SharedClock,
    pub(crate) key: SecretKey,
    pub(crate) settings: Arc<Settings>,
    pub(crate) recognised: recognised::Recognised,
    policy: Arc<dyn Policy>,
}

impl Access {
    pub fn new(db: Db, clock: SharedClock, key: SecretKey, settings: Settings) -> Self {
        let (settings, recognised) = (Arc::new(settings), recognised::Recognised::default());
        Self { db, clock, key, settings, recognised, policy: Arc::new(RolePolicy) }
    }

    pub fn policy(&self) -> Arc<dyn Policy> {
        self.policy.clone()
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// A context for `actor`; `source` is shown in timelines: `web`, `AE CT01`, `HL7 HIS`.
    pub fn ctx(&self, actor: Actor, source: &str) -> Ctx {
        Ctx::new(actor, source, self.policy(), self.clock.clone())
    }

    /// A context for one of Mingying's own workers.
    pub fn system(&self, worker: &str) -> Ctx {
        Ctx::system(worker, self.policy(), self.clock.clone())
    }

    /// A context for a peer that a transport has recognised by its own means (AE title and address, HL7 sender).
    pub fn machine(&self, id: &str, source: &str) -> Ctx {
        let actor = Actor {
            kind: ActorKind::Device,
            id: id.to_owned(),
            name: id.to_owned(),
            roles: vec![mingying_kernel::Role::Machine],
            org: None,
        };
        self.ctx(actor, source)
    }
}
