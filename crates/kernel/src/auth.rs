//! Authorization as a value: who acts (`Ctx`), what they may do (`Permit`), how far they see (`Scope`).

use crate::{OrgId, SharedClock, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use uuid::Uuid;

/// The roles of domain.md section 1, and two that are not people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    Registrar,
    Nurse,
    Tech,
    Trainee,
    Radiologist,
    Senior,
    Expert,
    Clinician,
    Qc,
    Engineer,
    Head,
    Security,
    /// A machine client with a bearer token, a modality, an HL7 sender.
    Machine,
    /// A waiting-room screen or kiosk with its own key.
    Display,
    /// Mingying's own workers.
    System,
}

impl Role {
    /// The roles a person can hold.
    pub const PEOPLE: [Self; 13] = [
        Self::Admin,
        Self::Registrar,
        Self::Nurse,
        Self::Tech,
        Self::Trainee,
        Self::Radiologist,
        Self::Senior,
        Self::Expert,
        Self::Clinician,
        Self::Qc,
        Self::Engineer,
        Self::Head,
        Self::Security,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Registrar => "registrar",
            Self::Nurse => "nurse",
            Self::Tech => "tech",
            Self::Trainee => "trainee",
            Self::Radiologist => "radiologist",
            Self::Senior => "senior",
            Self::Expert => "expert",
            Self::Clinician => "clinician",
            Self::Qc => "qc",
            Self::Engineer => "engineer",
            Self::Head => "head",
            Self::Security => "security",
            Self::Machine => "machine",
            Self::Display => "display",
            Self::System => "system",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::PEOPLE.into_iter().chain([Self::Machine, Self::Display, Self::System]).find(|role| role.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    User,
    Device,
    System,
    Patient,
}

impl ActorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Device => "device",
            Self::System => "system",
            Self::Patient => "patient",
        }
    }
}

/// Who acts. `id` is a user id, an AE title, a sending application, a share id or a worker's name.
#[derive(Debug, Clone)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: String,
    /// Shown in timelines; empty for patients.
    pub name: String,
    pub roles: Vec<Role>,
    /// The organization the actor belongs to; `None` sees every organization of this installation.
    pub org: Option<OrgId>,
}

/// A thing one may be allowed to do. Domains declare zero-sized types; `action!` writes them.
pub trait Action: Send + Sync + 'static {
    /// Stable and dotted: `report.audit`. The key into the policy and `docs/permissions.csv`.
    const NAME: &'static str;
}

/// Declares action types: `action! { /// Signs. AuditReport = "report.audit" }`.
#[macro_export]
macro_rules! action {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl $crate::Action for $name {
            const NAME: &'static str = $text;
        }
    )*};
}

/// How far an actor sees. `db` renders it into SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every organization of this installation.
    All,
    /// One organization.
    Org(OrgId),
}

impl Scope {
    /// Whether an object of `org` is visible.
    pub fn sees(&self, org: OrgId) -> bool {
        match self {
            Self::All => true,
            Self::Org(own) => *own == org,
        }
    }
}

/// The role does not allow the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    pub action: &'static str,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not allowed: {}", self.action)
    }
}

impl std::error::Error for Denied {}

impl crate::Coded for Denied {
    fn kind(&self) -> crate::ErrorKind {
        crate::ErrorKind::Forbidden
    }

    fn code(&self) -> &'static str {
        "auth.forbidden"
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        vec![("action", self.action.to_owned())]
    }
}

/// Decides; `access` implements it.
pub trait Policy: Send + Sync + 'static {
    /// `None` denies. Unknown actions are denied.
    fn allow(&self, actor: &Actor, action: &str) -> Option<Scope>;
}

/// Who acts, from where, and when.
#[derive(Clone)]
pub struct Ctx {
    actor: Arc<Actor>,
    /// The system the request came from, shown in timelines: `web`, `AE CT01`, `HL7 HIS`.
    source: Arc<str>,
    request: Uuid,
    policy: Arc<dyn Policy>,
    clock: SharedClock,
}

impl Ctx {
    pub fn new(actor: Actor, source: &str, policy: Arc<dyn Policy>, clock: SharedClock) -> Self {
        Self { actor: Arc::new(actor), source: Arc::from(source), request: Uuid::now_v7(), policy, clock }
    }

    /// A context for one of Mingying's own workers.
    pub fn system(worker: &str, policy: Arc<dyn Policy>, clock: SharedClock) -> Self {
        let actor = Actor {
            kind: ActorKind::System,
            id: worker.to_owned(),
            name: worker.to_owned(),
            roles: vec![Role::System],
            org: None,
        };
        Self::new(actor, "mingying", policy, clock)
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Ties log lines, audit rows and events of one request together.
    pub fn request(&self) -> Uuid {
        self.request
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// The permission to do `A`, or why not. The only way to obtain a `Permit`.
    pub fn permit<A: Action>(&self) -> Result<Permit<A>, Denied> {
        match self.policy.allow(&self.actor, A::NAME) {
            Some(scope) => Ok(Permit { ctx: self.clone(), scope, action: PhantomData }),
            None => Err(Denied { action: A::NAME }),
        }
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("request", &self.request).field("source", &self.source).finish_non_exhaustive()
    }
}

/// Proof that the policy allowed `A` to this actor, and how far. Use cases take it by reference and load
/// their target through `scope`, so that an object outside it is simply not found.
pub struct Permit<A> {
    ctx: Ctx,
    scope: Scope,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Permit<A> {
    pub fn scope(&self) -> Scope {
        self.scope
    }

    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    pub fn action(&self) -> &'static str {
        A::NAME
    }
}

impl<A> Clone for Permit<A> {
    fn clone(&self) -> Self {
        Self { ctx: self.ctx.clone(), scope: self.scope, action: PhantomData }
    }
}

impl<A> std::ops::Deref for Permit<A> {
    type Target = Ctx;
    fn deref(&self) -> &Ctx {
        &self.ctx
    }
}
