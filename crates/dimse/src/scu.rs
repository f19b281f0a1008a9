//! Calling others: associations that we ask for, C-ECHO and C-STORE.

use crate::command::{self, Command, field};
use crate::convert::{self, Outgoing};
use crate::listener::Shared;
use crate::peers::{Echo, Peer};
use crate::ul::uids as ul_uids;
use crate::ul::{AssociateRq, ContextOutcome, Event, Fault, Link, LinkError, ProposedContext, Role, UserInformation};
use crate::{status, uids};
use mingying_archive::{ArchiveError, InstanceRef};
use mingying_kernel::{AeTitle, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Presentation contexts that a pair of SOP class and transfer syntax may take.
pub(crate) const CONTEXTS_EACH: usize = 2;

/// Why a peer could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("not reachable")]
    Unreachable,
    #[error("association rejected")]
    Rejected,
    #[error("service not accepted")]
    NotAccepted,
    /// The peer takes the object in another transfer syntax only, and it cannot be turned into that.
    #[error("not convertible: {0}")]
    Unconvertible(&'static str),
    #[error("status {0:04X}")]
    Status(u16),
    #[error("archive: {0}")]
    Archive(#[from] ArchiveError),
    /// One of the two above in the middle of an object, which costs the association.
    #[error("ends in its middle: {0}")]
    Cut(Box<CallError>),
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl CallError {
    /// Stable, for the register and the log.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::NotAccepted => "refused",
            Self::Unconvertible(_) => "unconvertible",
            Self::Status(_) => "status",
            Self::Archive(_) => "archive",
            Self::Cut(why) => why.code(),
            Self::Link(LinkError::Timeout) => "timeout",
            Self::Link(_) => "aborted",
        }
    }
}

/// An association that we asked for.
pub(crate) struct Call {
    link: Link,
    /// Accepted contexts: (abstract syntax, transfer syntax) to id.
    contexts: HashMap<(String, String), u8>,
    next_message: u16,
    stall: Duration,
}

impl Call {
    /// Proposes one context for each abstract syntax with its transfer syntaxes, at most 128, and roles other than that
    /// of the user.
    pub(crate) async fn open(
        peer: &Peer,
        our_title: &AeTitle,
        wanted: &[(String, Vec<String>)],
        roles: Vec<Role>,
        stall: Duration,
    ) -> Result<Self, CallError> {
        let connect = TcpStream::connect((peer.host.as_str(), peer.port));
        let stream = match timeout(stall, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return Err(CallError::Unreachable),
            Err(_) => return Err(CallError::Link(LinkError::Timeout)),
        };
        stream.set_nodelay(true).map_err(LinkError::from)?;
        let mut link = Link::new(Box::new(stream), stall);
        let contexts: Vec<ProposedContext> = wanted
            .iter()
            .zip((1..=255u8).step_by(2))
            .map(|((abstract_syntax, syntaxes), id)| ProposedContext {
                id,
                abstract_syntax: abstract_syntax.clone(),
                transfer_syntaxes: syntaxes.clone(),
            })
            .collect();
        let rq = AssociateRq {
            protocol_version: 1,
            called: peer.aet.to_string(),
            calling: our_title.to_string(),
            application_context: ul_uids::APPLICATION_CONTEXT.to_owned(),
            contexts,
            user: UserInformation { roles, ..UserInformation::default() },
        };
        link.send_associate_rq(&rq).await?;
        let ac = match timeout(stall, link.event()).await.map_err(|_| LinkError::Timeout)?? {
            Event::AssociateAc(ac) => ac,
            Event::AssociateRj(reason) => {
                tracing::info!(called = %peer.aet, reason = reason.as_str(), "association rejected by peer");
                return Err(CallError::Rejected);
            }
            Event::Abort | Event::Closed => return Err(CallError::Rejected),
            _ => return Err(CallError::Link(LinkError::Fault(Fault::UnexpectedPdu))),
        };
        if !link.set_peer_max_pdu(ac.user.max_pdu) {
            return Err(CallError::Link(LinkError::Fault(Fault::InvalidParameter)));
        }
        let accepted = ac.contexts.iter().filter(|result| result.outcome == ContextOutcome::Accepted);
        let contexts = accepted
            .filter_map(|result| {
                let proposed = rq.contexts.iter().find(|context| context.id == result.id)?;
                // A syntax that was not proposed would have us send what the peer misreads.
                proposed
                    .transfer_syntaxes
                    .contains(&result.transfer_syntax)
                    .then(|| ((proposed.abstract_syntax.clone(), result.transfer_syntax.clone()), result.id))
            })
            .collect();
        Ok(Self { link, contexts, next_message: 1, stall })
    }

    /// Transfer syntax and id of the context that was accepted for a SOP class.
    pub(crate) fn context_of(&self, sop_class: &str) -> Option<(String, u8)> {
        self.contexts.iter().find(|((class, _), _)| class == sop_class).map(|((_, syntax), id)| (syntax.clone(), *id))
    }

    /// N-EVENT-REPORT; the peer's status.
    pub(crate) async fn report_event(
        &mut self,
        context: u8,
        sop_class: &str,
        sop_instance: &str,
        event_type: u16,
        data: &[u8],
    ) -> Result<u16, CallError> {
        let id = self.message_id();
        let command = command::event_report(id, sop_class, sop_instance, event_type);
        self.link.send_message(context, &command, Some(data)).await?;
        self.response(id).await
    }

    /// The status of the response to message `id`.
    async fn response(&mut self, id: u16) -> Result<u16, CallError> {
        match timeout(self.stall, self.link.event()).await.map_err(|_| LinkError::Timeout)?? {
            Event::Command { .. } => {
                let command = Command::parse(self.link.command())
                    .map_err(|_| CallError::Link(LinkError::Fault(Fault::InvalidParameter)))?;
                if command.field & field::RESPONSE != 0 && command.responded_to == id && !command.has_data {
                    Ok(command.status)
                } else {
                    Err(CallError::Link(LinkError::Fault(Fault::UnexpectedPdu)))
                }
            }
            Event::Abort | Event::Closed => {
                Err(CallError::Link(LinkError::Io(std::io::ErrorKind::ConnectionAborted.into())))
            }
            _ => Err(CallError::Link(LinkError::Fault(Fault::UnexpectedPdu))),
        }
    }

    fn message_id(&mut self) -> u16 {
        let id = self.next_message;
        self.next_message = id.checked_add(1).unwrap_or(1);
        id
    }

    /// Releases the association; a peer that does not answer is left.
    pub(crate) async fn release(mut self) {
        if self.link.send_release_rq().await.is_ok() {
            let _ = timeout(self.stall.min(Duration::from_secs(5)), self.link.event()).await;
        }
    }

    pub(crate) async fn abort(mut self) {
        let _ = self.link.send_abort(Fault::NotSpecified).await;
    }
}

/// C-ECHO (PS3.4 annex A), waiting at most `limit` for all of it.
pub(crate) async fn echo(peer: &Peer, our_title: &AeTitle, at: Timestamp, limit: Duration) -> Echo {
    let began = Instant::now();
    let ask = async {
        let wanted = [(uids::VERIFICATION.to_owned(), vec![uids::IMPLICIT_LITTLE.to_owned()])];
        let mut call = Call::open(peer, our_title, &wanted, Vec::new(), limit).await?;
        let Some(context) = call.contexts.values().next().copied() else {
            call.abort().await;
            return Err(CallError::NotAccepted);
        };
        let id = call.message_id();
        call.link.send_message(context, &command::echo_request(id), None).await?;
        let status = call.response(id).await?;
        call.release().await;
        if status == status::SUCCESS { Ok(()) } else { Err(CallError::Status(status)) }
    };
    let outcome = match timeout(limit, ask).await {
        Ok(outcome) => outcome,
        Err(_) => Err(CallError::Link(LinkError::Timeout)),
    };
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Echo { at, ok: outcome.is_ok(), ms, error: outcome.err().map(|error| error.code().to_owned()) }
}

/// An association for storing at a peer.
pub(crate) struct Sender {
    call: Call,
    shared: Arc<Shared>,
    /// Set after a fault of the connection: nothing more can be sent over it.
    broken: bool,
}

impl Sender {
    /// `wanted` are pairs of SOP class and stored transfer syntax; each becomes a context of its own, so that an object
    /// goes as it is stored where the peer takes that. Beside them stands one for each class whose objects can be turned
    /// into the transfer syntaxes that everybody takes: at most `CONTEXTS_EACH` contexts a pair.
    pub(crate) async fn connect(
        peer: &Peer,
        shared: &Arc<Shared>,
        wanted: &[(String, String)],
    ) -> Result<Self, CallError> {
        let mut contexts: Vec<_> = wanted.iter().map(|(class, syntax)| (class.clone(), vec![syntax.clone()])).collect();
        let classes: BTreeSet<&String> =
            wanted.iter().filter(|(_, syntax)| convert::can_be_plain(syntax)).map(|(class, _)| class).collect();
        contexts.extend(classes.into_iter().map(|class| (class.clone(), convert::PLAIN.map(str::to_owned).to_vec())));
        let call = Call::open(peer, &shared.settings.ae_title, &contexts, Vec::new(), shared.settings.stall).await?;
        Ok(Self { call, shared: shared.clone(), broken: false })
    }

    /// Whether nothing more can be sent.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends one object and returns the peer's status.
    pub(crate) async fn store(
        &mut self,
        instance: &InstanceRef,
        originator: Option<(&str, u16)>,
    ) -> Result<u16, CallError> {
        let contexts = &self.call.contexts;
        let accepted = |class: &str, syntax: &str| contexts.get(&(class.to_owned(), syntax.to_owned())).copied();
        let (context, syntax) = choose(instance, accepted).ok_or(CallError::NotAccepted)?;
        let shared = self.shared.clone();
        let object = Outgoing::open(&shared.archive, &shared.codecs, instance, &syntax).await?;
        let id = self.call.message_id();
        let sent = async {
            send_object(&mut self.call.link, context, id, instance, originator, object).await?;
            self.call.response(id).await
        };
        let outcome = sent.await;
        self.broken = matches!(outcome, Err(CallError::Link(_) | CallError::Cut(_)));
        outcome
    }

    pub(crate) async fn close(self) {
        if self.broken { self.call.abort().await } else { self.call.release().await }
    }
}

/// How a peer takes an object: as it is stored, else in a plain transfer syntax. `accepted` tells the context of a SOP
/// class and transfer syntax.
pub(crate) fn choose(instance: &InstanceRef, accepted: impl Fn(&str, &str) -> Option<u8>) -> Option<(u8, String)> {
    let plain = convert::PLAIN.into_iter().filter(|_| convert::can_be_plain(&instance.transfer_syntax));
    std::iter::once(instance.transfer_syntax.as_str())
        .chain(plain)
        .find_map(|syntax| accepted(&instance.sop_class, syntax).map(|id| (id, syntax.to_owned())))
}

/// Sends a C-STORE request with its object. A fault before the first byte leaves the association as it was; after
/// `CallError::Cut` it can only be aborted.
pub(crate) async fn send_object(
    link: &mut Link,
    context: u8,
    message: u16,
    instance: &InstanceRef,
    originator: Option<(&str, u16)>,
    mut object: Outgoing<'_>,
) -> Result<(), CallError> {
    // The first piece is there before the command is sent: an object that cannot be read harms no association.
    let mut piece = object.next().await?.unwrap_or_default();
    let command = command::store_request(message, &instance.sop_class, &instance.sop_uid, originator);
    link.send_message(context, &command, None).await?;
    let cut = |error| CallError::Cut(Box::new(error));
    let mut next = object.next().await.map_err(cut)?;
    while let Some(following) = next {
        // The one after it is read or decoded while this one goes out.
        let (sent, read) = tokio::join!(link.send_data(context, &piece, false), object.next());
        sent?;
        (piece, next) = (following, read.map_err(cut)?);
    }
    Ok(link.send_data(context, &piece, true).await?)
}
