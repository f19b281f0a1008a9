//! The register of peers: who may call, where C-MOVE may send to.

use crate::{DimseError, scu, store};
use mingying_access::record;
use mingying_db::Db;
use mingying_dicom::Charset;
use mingying_events::About;
use mingying_events::payload::peers::{PeerAdded, PeerRemoved};
use mingying_kernel::{Action, AeTitle, Ctx, OrgId, Permit, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

mingying_kernel::action! {
    /// Sees the register.
    ReadPeers = "peer.read",
    /// Adds, removes and tests peers.
    ManagePeers = "peer.manage",
}

/// What stands behind a title; shown, not ruled by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerKind {
    Modality,
    Archive,
    Workstation,
    #[default]
    Other,
}

impl PeerKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modality => "modality",
            Self::Archive => "archive",
            Self::Workstation => "workstation",
            Self::Other => "other",
        }
    }

    /// Unknown words stand for `Other`.
    pub fn parse(text: &str) -> Self {
        match text {
            "modality" => Self::Modality,
            "archive" => Self::Archive,
            "workstation" => Self::Workstation,
            _ => Self::Other,
        }
    }
}

/// A service that the register may allow a peer. Verification is everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerService {
    Store,
    Find,
    /// C-MOVE and C-GET.
    Retrieve,
    Worklist,
    Mpps,
    Commitment,
}

impl PeerService {
    pub const ALL: [Self; 6] = [Self::Store, Self::Find, Self::Retrieve, Self::Worklist, Self::Mpps, Self::Commitment];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Find => "find",
            Self::Retrieve => "retrieve",
            Self::Worklist => "worklist",
            Self::Mpps => "mpps",
            Self::Commitment => "commitment",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == text)
    }
}

/// What a peer may do here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerRules {
    /// Empty: all.
    pub services: BTreeSet<PeerService>,
    /// Open associations that it has at a time; `None`: as many as there are.
    pub max_associations: Option<u32>,
}

impl PeerRules {
    /// `services` as words, parted by commas or blanks; none stands for all.
    pub fn parse(services: &str, max_associations: Option<u32>) -> Result<Self, DimseError> {
        let words = services.split([',', ' ']).filter(|word| !word.is_empty());
        let services = words.map(PeerService::parse).collect::<Option<_>>().ok_or(DimseError::Invalid("services"))?;
        if max_associations == Some(0) {
            return Err(DimseError::Invalid("max_associations"));
        }
        Ok(Self { services, max_associations })
    }

    pub fn allows(&self, service: PeerService) -> bool {
        self.services.is_empty() || self.services.contains(&service)
    }

    /// The allowed services in words, parted by blanks; empty for all.
    pub fn words(&self) -> String {
        self.services.iter().map(|service| service.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// A peer to be added; made by `NewPeer::parse`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPeer {
    pub(crate) aet: AeTitle,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) kind: PeerKind,
    pub(crate) charset: String,
    pub(crate) rules: PeerRules,
}

impl NewPeer {
    /// With rules of its own; without them everything is allowed.
    #[must_use]
    pub fn with_rules(mut self, rules: PeerRules) -> Self {
        self.rules = rules;
        self
    }

    /// `host` is a name or an address; `port` is not 0; `charset` is a value of Specific Character Set, empty for
    /// ISO_IR 192.
    pub fn parse(aet: &str, host: &str, port: u16, kind: PeerKind, charset: &str) -> Result<Self, DimseError> {
        let aet = AeTitle::parse(aet).map_err(|_| DimseError::Invalid("aet"))?;
        let host = host.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.len() > 253 || !host.chars().all(is_name) {
            return Err(DimseError::Invalid("host"));
        }
        if port == 0 {
            return Err(DimseError::Invalid("port"));
        }
        let charset = charset.trim();
        if !charset.is_empty() && !Charset::parse(charset).is_declared() {
            return Err(DimseError::Invalid("charset"));
        }
        Ok(Self { aet, host: host.to_owned(), port, kind, charset: charset.to_owned(), rules: PeerRules::default() })
    }
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub aet: AeTitle,
    pub host: String,
    pub port: u16,
    pub kind: PeerKind,
    /// Empty for ISO_IR 192.
    pub charset: String,
    pub rules: PeerRules,
    /// What the peer sees when it queries; `None` is every organization.
    pub org: Option<OrgId>,
    pub created_at: Timestamp,
    /// Objects stored by it, up to the last few seconds.
    pub received: u64,
    pub last_seen: Option<Timestamp>,
    pub last_echo: Option<Echo>,
}

/// The outcome of a C-ECHO to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    pub at: Timestamp,
    pub ok: bool,
    /// From connecting to the answer.
    pub ms: u64,
    /// A stable code: `unreachable`, `refused`, `timeout`, `rejected`, `aborted`, `status`.
    pub error: Option<String>,
}

/// All peers, by title.
pub async fn list_peers(db: &Db, _permit: &Permit<ReadPeers>) -> Result<Vec<Peer>, DimseError> {
    Ok(store::list(db).await?)
}

/// Adds a peer; a running server accepts it from the next association on.
pub async fn add_peer(db: &Db, permit: &Permit<ManagePeers>, new: NewPeer) -> Result<Peer, DimseError> {
    let mut tx = db.begin().await?;
    if !store::insert(&mut tx, &new, permit.actor().org, permit.now()).await? {
        return Err(DimseError::AeTitleTaken);
    }
    let payload = PeerAdded {
        aet: new.aet.to_string(),
        host: new.host.clone(),
        port: new.port,
        kind: new.kind.as_str().to_owned(),
    };
    record(&mut tx, permit, &about(permit, &new.aet), &payload).await?;
    tx.commit().await?;
    store::find(db, &new.aet).await?.ok_or(DimseError::PeerNotFound)
}

/// Removes a peer; associations that it has open end on their own.
pub async fn remove_peer(db: &Db, permit: &Permit<ManagePeers>, aet: &str) -> Result<(), DimseError> {
    let aet = AeTitle::parse(aet).map_err(|_| DimseError::PeerNotFound)?;
    let mut tx = db.begin().await?;
    if !store::delete(&mut tx, &aet).await? {
        return Err(DimseError::PeerNotFound);
    }
    record(&mut tx, permit, &about(permit, &aet), &PeerRemoved { aet: aet.to_string() }).await?;
    tx.commit().await?;
    Ok(())
}

/// Asks a peer for a C-ECHO under `our_title`, waiting at most `limit`, and keeps the outcome.
pub async fn echo_peer(
    db: &Db,
    permit: &Permit<ManagePeers>,
    our_title: &AeTitle,
    aet: &str,
    limit: Duration,
) -> Result<Echo, DimseError> {
    let aet = AeTitle::parse(aet).map_err(|_| DimseError::PeerNotFound)?;
    let peer = store::find(db, &aet).await?.ok_or(DimseError::PeerNotFound)?;
    let echo = scu::echo(&peer, our_title, permit.now(), limit).await;
    let mut tx = db.begin_replayable().await?;
    store::set_echo(&mut tx, &aet, &echo).await?;
    tx.commit().await?;
    Ok(echo)
}

fn about<A: Action>(permit: &Permit<A>, aet: &AeTitle) -> About {
    About::new("peer", aet, org_of(permit))
}

/// Where an event of this crate belongs that is about no clinical object.
pub(crate) fn org_of(ctx: &Ctx) -> OrgId {
    ctx.actor().org.unwrap_or(OrgId::from_uuid(uuid::Uuid::nil()))
}
