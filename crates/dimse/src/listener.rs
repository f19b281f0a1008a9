//! Accepting connections and deciding about associations.

use crate::commitment::ReportCommitments;
use crate::negotiate;
use crate::peers::Peer;
use crate::session::{self, Caller, Session};
use crate::tally::Tally;
use crate::ul::{AssociateRq, Event, Fault, Link, LinkError, Reject, Stream};
use crate::{Settings, store};
use mingying_access::Outcome;
use mingying_archive::Archive;
use mingying_db::Db;
use mingying_kernel::{Actor, ActorKind, AeTitle, Ctx, OrgId, Policy, Role, SharedClock};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections beyond the associations that may wait for a refusal.
const SPARE_CONNECTIONS: usize = 64;
const TALLY_INTERVAL: Duration = Duration::from_secs(5);
/// One audit row per caller, title and reason in this time: a flood of refusals does not become a flood of rows.
const REFUSAL_INTERVAL: Duration = Duration::from_mins(1);
/// Distinct refusals remembered for that.
const MAX_REFUSALS: usize = 1024;

/// What all associations share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) db: Db,
    pub(crate) archive: Archive,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) clock: SharedClock,
    pub(crate) tally: Tally,
    refusals: Mutex<HashMap<(IpAddr, String, &'static str), tokio::time::Instant>>,
    associations: Arc<Semaphore>,
    /// Open associations by calling title.
    open_by_caller: Mutex<HashMap<String, u32>>,
    /// Images that are decoded for peers at the same time.
    pub(crate) codecs: Arc<Semaphore>,
}

/// The DICOM listener.
#[derive(Clone)]
pub struct Dimse {
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
}

impl Dimse {
    pub fn new(settings: Settings, db: Db, archive: Archive, policy: Arc<dyn Policy>, clock: SharedClock) -> Self {
        let associations = Arc::new(Semaphore::new(settings.max_associations));
        let shared = Shared {
            settings,
            db,
            archive,
            policy,
            clock,
            tally: Tally::default(),
            refusals: Mutex::default(),
            associations,
            open_by_caller: Mutex::default(),
            codecs: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from))),
        };
        Self { shared: Arc::new(shared), tls: None }
    }

    /// Speaks TLS only (PS3.15 B.1).
    #[must_use]
    pub fn with_tls(mut self, acceptor: TlsAcceptor) -> Self {
        self.tls = Some(acceptor);
        self
    }

    /// What tells callers of their storage commitments, to be run by the deliveries.
    pub fn report_commitments(&self) -> ReportCommitments {
        ReportCommitments::new(self.shared.clone())
    }

    /// Associations that are open.
    pub fn open_associations(&self) -> usize {
        self.shared.settings.max_associations.saturating_sub(self.shared.associations.available_permits())
    }

    /// Accepts associations until `stop`; then lets the open ones finish their message for the grace time, and aborts
    /// what is left. Returns when all are closed.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let abort = CancellationToken::new();
        let tasks = TaskTracker::new();
        let connections = Arc::new(Semaphore::new(self.shared.settings.max_associations + SPARE_CONNECTIONS));
        let mut tally = tokio::time::interval(TALLY_INTERVAL);
        tally.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tally.tick() => self.shared.flush_tally().await,
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        // Without a slot even for saying no, the connection is closed at once.
                        let Ok(slot) = connections.clone().try_acquire_owned() else { continue };
                        let (this, stop, abort) = (self.clone(), stop.clone(), abort.clone());
                        tasks.spawn(async move {
                            this.connection(stream, from, stop, abort).await;
                            drop(slot);
                        });
                    }
                    Err(error) => {
                        // Out of descriptors: wait for connections to close instead of spinning.
                        tracing::warn!(%error, "DICOM listener cannot accept");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
            }
        }
        drop(listener);
        tasks.close();
        if timeout(self.shared.settings.grace, tasks.wait()).await.is_err() {
            abort.cancel();
            tasks.wait().await;
        }
        self.shared.flush_tally().await;
    }

    async fn connection(self, tcp: TcpStream, from: SocketAddr, stop: CancellationToken, abort: CancellationToken) {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let artim = self.shared.settings.artim;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(acceptor) => {
                let handshake = timeout(artim, acceptor.accept(tcp));
                match stop.run_until_cancelled(handshake).await {
                    Some(Ok(Ok(stream))) => Box::new(stream),
                    Some(_) => {
                        tracing::info!(from = %from.ip(), "DICOM connection without a TLS handshake");
                        return;
                    }
                    None => return,
                }
            }
        };
        let mut link = Link::new(stream, self.shared.settings.stall);
        let ended = tokio::select! {
            ended = self.shared.associate(&mut link, from, stop) => ended,
            () = abort.cancelled() => Err(LinkError::Closing),
        };
        let fault = match ended {
            Ok(()) => None,
            Err(LinkError::Fault(fault)) => {
                tracing::info!(from = %from.ip(), fault = fault.as_str(), "DICOM association aborted");
                Some(fault)
            }
            Err(LinkError::Timeout) => {
                tracing::info!(from = %from.ip(), "DICOM association timed out");
                Some(Fault::NotSpecified)
            }
            Err(LinkError::Closing) => Some(Fault::NotSpecified),
            Err(LinkError::Io(error)) => {
                tracing::debug!(from = %from.ip(), %error, "DICOM connection lost");
                return;
            }
        };
        let patience = if abort.is_cancelled() { Duration::from_millis(100) } else { artim };
        if let Some(fault) = fault
            && !matches!(timeout(patience, link.send_abort(fault)).await, Ok(Ok(())))
        {
            return;
        }
        link.linger(patience).await;
    }
}

/// The place of an open association, among all and among those of its caller; given back when it ends.
struct Slot {
    shared: Arc<Shared>,
    aet: String,
    _free: OwnedSemaphorePermit,
}

impl Slot {
    fn take(shared: &Arc<Shared>, caller: &Caller, free: OwnedSemaphorePermit) -> Option<Self> {
        let mut open = shared.open_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&caller.aet).copied().unwrap_or_default();
        if caller.rules.max_associations.is_some_and(|most| count >= most) {
            return None;
        }
        open.insert(caller.aet.clone(), count + 1);
        Some(Self { shared: shared.clone(), aet: caller.aet.clone(), _free: free })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.shared.open_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.aet) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.aet);
            }
        }
    }
}

impl Shared {
    async fn flush_tally(&self) {
        if let Err(error) = self.tally.flush(&self.db).await {
            tracing::warn!(%error, "peer counters are not written");
        }
    }

    /// One association from its request to its end.
    async fn associate(
        self: &Arc<Self>,
        link: &mut Link,
        from: SocketAddr,
        stop: CancellationToken,
    ) -> Result<(), LinkError> {
        let rq = match timeout(self.settings.artim, link.event()).await {
            Ok(Ok(Event::AssociateRq(rq))) => rq,
            // Opened and closed without a word: a port check.
            Ok(Ok(Event::Closed | Event::Abort)) => return Ok(()),
            Ok(Ok(_)) => return Err(LinkError::Fault(Fault::UnexpectedPdu)),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(LinkError::Timeout),
        };
        let (caller, _slot) = match self.decide(&rq, from).await {
            Ok(decided) => decided,
            Err(reject) => {
                self.refuse(&rq, from, reject).await;
                return link.send_reject(reject).await;
            }
        };
        if !link.set_peer_max_pdu(rq.user.max_pdu) {
            return Err(LinkError::Fault(Fault::InvalidParameter));
        }
        let (ac, contexts) = negotiate::answer(&rq, &caller.rules, &self.settings);
        let window = negotiate::window(&rq.user);
        link.send_associate_ac(&ac).await?;
        tracing::debug!(aet = %caller.aet, from = %from.ip(), contexts = contexts.len(), "DICOM association open");
        let mut session = Session::new(self.clone(), link, caller, contexts, usize::from(window), stop);
        let ended = session.run().await;
        session.close();
        ended
    }

    async fn decide(self: &Arc<Self>, rq: &AssociateRq, from: SocketAddr) -> Result<(Caller, Slot), Reject> {
        negotiate::check_request(rq, &self.settings)?;
        let aet = AeTitle::parse(&rq.calling).map_err(|_| Reject::CallingAeNotRecognized)?;
        let peer = match store::find(&self.db, &aet).await {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(%error, "the peers register cannot be read");
                return Err(Reject::TemporaryCongestion);
            }
        };
        let loopback = from.ip().to_canonical().is_loopback();
        if peer.is_none() && !(self.settings.accept_any_from_loopback && loopback) {
            return Err(Reject::CallingAeNotRecognized);
        }
        let free = self.associations.clone().try_acquire_owned().map_err(|_| Reject::LocalLimitExceeded)?;
        let caller = self.caller(&aet, peer);
        let slot = Slot::take(self, &caller, free).ok_or(Reject::LocalLimitExceeded)?;
        Ok((caller, slot))
    }

    fn caller(&self, aet: &AeTitle, peer: Option<Peer>) -> Caller {
        let ctx = self.device_ctx(aet.as_str(), peer.as_ref().and_then(|peer| peer.org));
        Caller {
            aet: aet.to_string(),
            charset: session::charset_of(peer.as_ref()),
            registered: peer.is_some(),
            rules: peer.map(|peer| peer.rules).unwrap_or_default(),
            ctx,
        }
    }

    pub(crate) fn device_ctx(&self, aet: &str, org: Option<OrgId>) -> Ctx {
        let actor = Actor {
            kind: ActorKind::Device,
            id: aet.to_owned(),
            name: aet.to_owned(),
            roles: vec![Role::Machine],
            org,
        };
        Ctx::new(actor, &format!("AE {aet}"), self.policy.clone(), self.clock.clone())
    }

    /// Logs and audits a refused association. The calling title is text from outside; only a valid one is kept.
    async fn refuse(&self, rq: &AssociateRq, from: SocketAddr, reject: Reject) {
        let aet = AeTitle::parse(&rq.calling).map_or_else(|_| "?".to_owned(), String::from);
        tracing::warn!(calling = %aet, from = %from.ip(), reason = reject.as_str(), "DICOM association refused");
        if !self.first_refusal((from.ip(), aet.clone(), reject.as_str())) {
            return;
        }
        let ctx = self.device_ctx(&aet, None);
        let audited = async {
            let mut tx = self.db.begin().await?;
            let detail = format!("{} from {}", reject.as_str(), from.ip());
            mingying_access::audit(&mut tx, &ctx, "association.open", "peer", &aet, Outcome::Denied, &detail).await?;
            tx.commit().await
        };
        if let Err(error) = audited.await {
            tracing::warn!(%error, "a refused association is not audited");
        }
    }

    fn first_refusal(&self, key: (IpAddr, String, &'static str)) -> bool {
        let now = tokio::time::Instant::now();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MAX_REFUSALS {
            refusals.retain(|_, at| now.duration_since(*at) < REFUSAL_INTERVAL);
        }
        if refusals.get(&key).is_some_and(|at| now.duration_since(*at) < REFUSAL_INTERVAL)
            || refusals.len() >= MAX_REFUSALS
        {
            return false;
        }
        refusals.insert(key, now);
        true
    }
}
