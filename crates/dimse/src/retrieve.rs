//! C-MOVE and C-GET of the Query/Retrieve service (PS3.4 C.4.2, C.4.3): one engine sends what was asked for, to a
//! registered peer over an association of our own or to the caller over its own.

use crate::command::{Command, Counts, Response, field};
use crate::convert::Outgoing;
use crate::dataset::{DataSet, Encoding};
use crate::destination::Destination;
use crate::negotiate::{Context, Root};
use crate::scu::{self, CallError};
use crate::selection::{Refusal, Selection};
use crate::session::Session;
use crate::ul::{Fault, LinkError};
use crate::{status, store};
use dicom_dictionary_std::tags;
use mingying_access::Outcome;
use mingying_archive::{InstanceRef, ReadStudies};
use mingying_db::DbError;
use mingying_kernel::{AeTitle, Coded};

/// Longest value of Failed SOP Instance UID List: what the length of a UI has room for in explicit VR. Further UIDs are
/// counted only.
const MAX_LIST: usize = 0xFFFE;

pub(crate) async fn answer(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: &Command,
    root: Root,
    identifier: Option<DataSet>,
) -> Result<(), LinkError> {
    let (mut way, selection) = match prepare(session, request, root, identifier).await {
        Ok(prepared) => prepared,
        Err((status, comment)) => {
            let mut response = Response::to(request, status);
            response.comment = comment;
            return session.respond(context, &response, None).await;
        }
    };
    let mut tally = Tally { total: selection.total, ..Tally::default() };
    let ended = run(session, context, request, selection, &mut way, &mut tally).await;
    if let Way::Peer(destination) = way {
        destination.close().await;
    }
    let cancelled = ended?;
    let counts = tally.counts();
    let mut response = Response::to(request, status::of_sub_operations(&counts, cancelled));
    response.comment = tally.why;
    response.counts = Some(counts);
    // The list of what failed goes with every final response but success (PS3.4 C.4.2.1.4.2, C.4.3.1.3.2).
    let failed = (!tally.list.is_empty()).then(|| {
        let mut list = DataSet::default();
        list.put_text(tags::FAILED_SOP_INSTANCE_UID_LIST, &tally.list);
        let encoding = Encoding::of(&accepted.transfer_syntax).unwrap_or(Encoding::ImplicitLittle);
        list.encode(encoding, &session.caller.charset)
    });
    response.has_data = failed.is_some();
    session.respond(context, &response, failed.as_deref()).await
}

/// Where the objects go.
enum Way {
    Peer(Box<Destination>),
    /// Back over the caller's own association.
    Caller,
}

/// Finds the destination and what is to be sent.
async fn prepare(
    session: &Session<'_>,
    request: &Command,
    root: Root,
    identifier: Option<DataSet>,
) -> Result<(Way, Selection), Refusal> {
    let identifier = identifier.ok_or((status::CANNOT_UNDERSTAND, "dimse.identifier"))?;
    let permit = session.permit::<ReadStudies>().map_err(|status| (status, "dimse.not_authorized"))?;
    let (way, audited) = if request.field == field::C_GET_RQ {
        (Way::Caller, "C-GET".to_owned())
    } else {
        let unknown = (status::MOVE_DESTINATION_UNKNOWN, "dimse.destination");
        let title = AeTitle::parse(&request.move_destination).map_err(|_| unknown)?;
        let peer = store::find(&session.shared.db, &title).await;
        let peer = peer.map_err(|error| (status::of_retrieval(&error), error.code()))?.ok_or(unknown)?;
        (Way::Peer(Box::new(Destination::new(peer, session.shared.clone()))), format!("C-MOVE to {title}"))
    };
    let selection = Selection::of(&session.shared.archive, permit, root, &identifier).await?;
    audit(session, &selection, &audited).await.map_err(|error| (status::NO_MATCHES, error.code()))?;
    Ok((way, selection))
}

/// What became of the sub-operations so far.
#[derive(Default)]
struct Tally {
    total: usize,
    completed: usize,
    warning: usize,
    failed: usize,
    /// UIDs of those that failed, as many as have room.
    list: String,
    /// Code of why the first of them failed, where that is known here; empty otherwise.
    why: &'static str,
}

impl Tally {
    fn counts(&self) -> Counts {
        let bounded = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Counts {
            remaining: bounded(self.total.saturating_sub(self.completed + self.warning + self.failed)),
            completed: bounded(self.completed),
            failed: bounded(self.failed),
            warning: bounded(self.warning),
        }
    }

    fn note(&mut self, instance: &InstanceRef, outcome: Result<u16, CallError>) {
        match outcome {
            Ok(status::SUCCESS) => self.completed += 1,
            Ok(warning) if status::is_warning(warning) => self.warning += 1,
            Ok(_) => self.fail(&instance.sop_uid, ""),
            Err(error) => {
                tracing::warn!(%error, sop_class = instance.sop_class, "not sent");
                self.fail(&instance.sop_uid, reason(&error));
            }
        }
    }

    fn fail(&mut self, sop_uid: &str, why: &'static str) {
        self.failed += 1;
        if self.why.is_empty() {
            self.why = why;
        }
        if self.list.len() + sop_uid.len() < MAX_LIST {
            if !self.list.is_empty() {
                self.list.push('\\');
            }
            self.list.push_str(sop_uid);
        }
    }
}

fn reason(error: &CallError) -> &'static str {
    match error {
        CallError::NotAccepted => "dimse.not_accepted",
        CallError::Unconvertible(_) => "dimse.unconvertible",
        CallError::Archive(error) => error.code(),
        CallError::Cut(error) => reason(error),
        _ => "",
    }
}

/// Sends everything; true when the caller cancelled.
async fn run(
    session: &mut Session<'_>,
    context: u8,
    request: &Command,
    mut selection: Selection,
    way: &mut Way,
    tally: &mut Tally,
) -> Result<bool, LinkError> {
    let archive = session.shared.archive.clone();
    loop {
        let study = match selection.next(&archive).await {
            Ok(Some(study)) => study,
            Ok(None) => break,
            Err(error) => {
                // What was counted and is not found again failed, though nobody can say which objects these are.
                tracing::warn!(code = error.code(), %error, "a study is not read");
                tally.why = error.code();
                break;
            }
        };
        if let Way::Peer(destination) = way {
            destination.plan(&study);
        }
        for instance in &study {
            let mut cancelled = false;
            let outcome = match way {
                Way::Peer(destination) => destination.store(instance, (&session.caller.aet, request.message_id)).await,
                Way::Caller => match give(session, request, instance, &mut cancelled).await {
                    // The association of the request itself: gone, or with an object on it that cannot be ended.
                    Err(CallError::Link(error)) => return Err(error),
                    Err(CallError::Cut(error)) => {
                        tracing::warn!(%error, sop_class = instance.sop_class, "C-GET aborted within an object");
                        return Err(LinkError::Fault(Fault::NotSpecified));
                    }
                    outcome => outcome,
                },
            };
            tally.note(instance, outcome);
            if cancelled || session.cancelled(request).await? {
                return Ok(true);
            }
            let mut pending = Response::to(request, status::PENDING);
            pending.counts = Some(tally.counts());
            session.respond(context, &pending, None).await?;
        }
    }
    // Deleted since they were counted.
    tally.failed = tally.failed.max(tally.total.saturating_sub(tally.completed + tally.warning));
    Ok(false)
}

/// Sends one object to the caller, in a context for which it took the role of a provider.
async fn give(
    session: &mut Session<'_>,
    request: &Command,
    instance: &InstanceRef,
    cancelled: &mut bool,
) -> Result<u16, CallError> {
    let (context, syntax) = scu::choose(instance, |class, syntax| session.receiving_context(class, syntax))
        .ok_or(CallError::NotAccepted)?;
    let shared = session.shared.clone();
    let object = Outgoing::open(&shared.archive, &shared.codecs, instance, &syntax).await?;
    let message = session.message_id();
    scu::send_object(session.link, context, message, instance, None, object).await?;
    Ok(session.store_response(message, request, cancelled).await?)
}

/// What left the archive, and where to.
async fn audit(session: &Session<'_>, selection: &Selection, to: &str) -> Result<(), DbError> {
    let mut studies = selection.studies().peekable();
    if studies.peek().is_none() {
        return Ok(());
    }
    let mut tx = session.shared.db.begin().await?;
    for study in studies {
        let ctx = &session.caller.ctx;
        mingying_access::audit(&mut tx, ctx, "study.read", "study", study, Outcome::Done, to).await?;
    }
    tx.commit().await
}
