//! The one loop of an accepted association: messages in, work, responses out.

use crate::command::{Command, Response, field};
use crate::dataset::{DataSet, Encoding};
use crate::listener::Shared;
use crate::negotiate::{Context, Service};
use crate::peers::{Peer, PeerRules};
use crate::storage::Stored;
use crate::ul::{Event, Fault, Link, LinkError};
use crate::{status, storage};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use mingying_dicom::Charset;
use mingying_kernel::{Action, Ctx, Permit};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Identifiers and attribute lists; an MPPS of a long study has some hundred KiB.
const MAX_DATA_SET: usize = 4 * 1024 * 1024;
/// After the listener was told to stop, how long an association that is silent is kept.
const CLOSING_PAUSE: Duration = Duration::from_millis(300);

/// Who called.
pub(crate) struct Caller {
    pub(crate) aet: String,
    /// In which responses are written.
    pub(crate) charset: Charset,
    /// Whether it stands in the register, or came from loopback.
    pub(crate) registered: bool,
    pub(crate) rules: PeerRules,
    pub(crate) ctx: Ctx,
}

/// The character set of what is sent to a peer.
pub(crate) fn charset_of(peer: Option<&Peer>) -> Charset {
    match peer.map(|peer| peer.charset.as_str()) {
        None | Some("") => Charset::utf8(),
        Some(value) => Charset::parse(value),
    }
}

pub(crate) struct Session<'a> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) link: &'a mut Link,
    pub(crate) caller: Caller,
    contexts: HashMap<u8, Context>,
    /// Operations that may be underway at a time (PS3.7 D.3.3.3).
    window: usize,
    /// Of the next request that we send over the caller's association.
    next_message: u16,
    stop: CancellationToken,
    pub(crate) stored: u64,
    refused: u64,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        link: &'a mut Link,
        caller: Caller,
        contexts: HashMap<u8, Context>,
        window: usize,
        stop: CancellationToken,
    ) -> Self {
        Self { shared, link, caller, contexts, window, next_message: 1, stop, stored: 0, refused: 0 }
    }

    pub(crate) async fn run(&mut self) -> Result<(), LinkError> {
        // Objects whose bytes are here and whose durability is awaited. With a window of one there is at most one, and
        // nothing is read until it is answered.
        let mut pending: FuturesUnordered<BoxFuture<'static, Stored>> = FuturesUnordered::new();
        loop {
            let event = tokio::select! {
                biased;
                Some(stored) = pending.next() => {
                    self.answer_stored(stored).await?;
                    continue;
                }
                event = self.next_message(), if pending.len() < self.window => event?,
            };
            let Event::Command { context } = event else {
                while let Some(stored) = pending.next().await {
                    self.answer_stored(stored).await?;
                }
                return match event {
                    Event::ReleaseRq => self.link.send_release_rp().await,
                    Event::Abort | Event::Closed => Ok(()),
                    _ => Err(LinkError::Fault(Fault::UnexpectedPdu)),
                };
            };
            let request = Command::parse(self.link.command()).map_err(|_| LinkError::Fault(Fault::InvalidParameter))?;
            // A message on a context that was not accepted (PS3.8 9.3.5, 9.2.3 AA-8).
            let Some(accepted) = self.contexts.get(&context).cloned() else {
                return Err(LinkError::Fault(Fault::InvalidParameter));
            };
            if request.field == field::C_STORE_RQ {
                if let Some(storing) = storage::receive(self, context, &accepted, request).await? {
                    pending.push(storing);
                }
                continue;
            }
            while let Some(stored) = pending.next().await {
                self.answer_stored(stored).await?;
            }
            self.serve(context, &accepted, request).await?;
        }
    }

    /// Every service but storage: one operation at a time.
    async fn serve(&mut self, context: u8, accepted: &Context, request: Command) -> Result<(), LinkError> {
        match (request.field, accepted.service) {
            (field::C_ECHO_RQ, Service::Verification) => {
                self.skip_data(context, &request).await?;
                self.respond(context, &Response::to(&request, status::SUCCESS), None).await
            }
            (field::C_FIND_RQ, Service::Find(root)) => {
                let identifier = self.read_data_set(context, accepted, &request).await?;
                crate::find::answer(self, context, accepted, &request, root, identifier).await
            }
            (field::C_FIND_RQ, Service::Worklist) => {
                let identifier = self.read_data_set(context, accepted, &request).await?;
                crate::worklist::answer(self, context, accepted, &request, identifier).await
            }
            (field::C_MOVE_RQ, Service::Move(root)) | (field::C_GET_RQ, Service::Get(root)) => {
                let identifier = self.read_data_set(context, accepted, &request).await?;
                crate::retrieve::answer(self, context, accepted, &request, root, identifier).await
            }
            (field::N_CREATE_RQ, Service::PerformedStep) => {
                let attributes = self.read_data_set(context, accepted, &request).await?;
                crate::step::create(self, context, request, attributes).await
            }
            (field::N_SET_RQ, Service::PerformedStep) => {
                let attributes = self.read_data_set(context, accepted, &request).await?;
                crate::step::set(self, context, &request, attributes).await
            }
            (field::N_ACTION_RQ, Service::Commitment) => {
                let attributes = self.read_data_set(context, accepted, &request).await?;
                crate::commitment::answer(self, context, accepted, &request, attributes).await
            }
            // It came after the last response of what it wants to cancel; there is nothing to do and no answer.
            (field::C_CANCEL_RQ, _) => Ok(()),
            // A response to nothing that we asked.
            (other, _) if other & field::RESPONSE != 0 => Err(LinkError::Fault(Fault::UnexpectedPdu)),
            _ => {
                self.skip_data(context, &request).await?;
                self.respond(context, &Response::to(&request, status::UNRECOGNIZED_OPERATION), None).await
            }
        }
    }

    /// Waits for the next message: long for its first byte, then only as long as a peer may stall.
    async fn next_message(&mut self) -> Result<Event, LinkError> {
        let settings = &self.shared.settings;
        let closing = async {
            self.stop.cancelled().await;
            tokio::time::sleep(CLOSING_PAUSE).await;
        };
        tokio::select! {
            biased;
            arrived = timeout(settings.idle, self.link.arrived()) => arrived.map_err(|_| LinkError::Timeout)??,
            () = closing => return Err(LinkError::Closing),
        }
        timeout(settings.stall, self.link.event()).await.map_err(|_| LinkError::Timeout)?
    }

    /// The next piece of the message's data set, in `link.data()`; true when it was the last.
    pub(crate) async fn next_data(&mut self, context: u8) -> Result<bool, LinkError> {
        let stall = self.shared.settings.stall;
        match timeout(stall, self.link.event()).await.map_err(|_| LinkError::Timeout)?? {
            Event::Data { context: of, last } if of == context => Ok(last),
            Event::Abort | Event::Closed => Err(LinkError::Io(std::io::ErrorKind::ConnectionAborted.into())),
            _ => Err(LinkError::Fault(Fault::UnexpectedPdu)),
        }
    }

    /// Reads past the data set of a request that is not served.
    pub(crate) async fn skip_data(&mut self, context: u8, request: &Command) -> Result<(), LinkError> {
        if request.has_data {
            while !self.next_data(context).await? {}
        }
        Ok(())
    }

    /// The request's data set. `None` when there is none or it is malformed; one that is too large ends the
    /// association.
    async fn read_data_set(
        &mut self,
        context: u8,
        accepted: &Context,
        request: &Command,
    ) -> Result<Option<DataSet>, LinkError> {
        if !request.has_data {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        loop {
            let last = self.next_data(context).await?;
            let piece = self.link.data();
            if bytes.len() + piece.len() > MAX_DATA_SET {
                return Err(LinkError::Fault(Fault::InvalidParameter));
            }
            bytes.extend_from_slice(piece);
            if last {
                break;
            }
        }
        Ok(Encoding::of(&accepted.transfer_syntax).and_then(|encoding| DataSet::parse(&bytes, encoding).ok()))
    }

    pub(crate) async fn respond(
        &mut self,
        context: u8,
        response: &Response<'_>,
        data: Option<&[u8]>,
    ) -> Result<(), LinkError> {
        self.link.send_message(context, &response.encode(), data).await
    }

    /// Whether the peer cancelled `request` meanwhile. Reads only what has arrived; anything but a C-CANCEL while
    /// responses are being sent is out of turn, since only one such operation may be underway.
    pub(crate) async fn cancelled(&mut self, request: &Command) -> Result<bool, LinkError> {
        let event = tokio::select! {
            biased;
            event = self.link.event() => event?,
            () = std::future::ready(()) => return Ok(false),
        };
        match event {
            Event::Command { .. } => {
                let command =
                    Command::parse(self.link.command()).map_err(|_| LinkError::Fault(Fault::InvalidParameter))?;
                if command.field == field::C_CANCEL_RQ {
                    Ok(command.responded_to == request.message_id)
                } else {
                    Err(LinkError::Fault(Fault::UnexpectedPdu))
                }
            }
            Event::Abort | Event::Closed => Err(LinkError::Io(std::io::ErrorKind::ConnectionAborted.into())),
            _ => Err(LinkError::Fault(Fault::UnexpectedPdu)),
        }
    }

    /// The context in which the caller takes objects of a SOP class in a transfer syntax.
    pub(crate) fn receiving_context(&self, sop_class: &str, transfer_syntax: &str) -> Option<u8> {
        let takes = |context: &Context| {
            context.service == Service::Storage
                && context.caller_is_scp
                && context.abstract_syntax == sop_class
                && context.transfer_syntax == transfer_syntax
        };
        self.contexts.iter().find(|(_, context)| takes(context)).map(|(id, _)| *id)
    }

    /// For a request of ours to the caller.
    pub(crate) fn message_id(&mut self) -> u16 {
        let id = self.next_message;
        self.next_message = id.checked_add(1).unwrap_or(1);
        id
    }

    /// The status of the caller's response to our C-STORE `message`. A C-CANCEL of `request`, which may come at any
    /// time, is noted; anything else is out of turn.
    pub(crate) async fn store_response(
        &mut self,
        message: u16,
        request: &Command,
        cancelled: &mut bool,
    ) -> Result<u16, LinkError> {
        let stall = self.shared.settings.stall;
        loop {
            match timeout(stall, self.link.event()).await.map_err(|_| LinkError::Timeout)?? {
                Event::Command { .. } => {}
                Event::Abort | Event::Closed => {
                    return Err(LinkError::Io(std::io::ErrorKind::ConnectionAborted.into()));
                }
                _ => return Err(LinkError::Fault(Fault::UnexpectedPdu)),
            }
            let command = Command::parse(self.link.command()).map_err(|_| LinkError::Fault(Fault::InvalidParameter))?;
            match command.field {
                field::C_CANCEL_RQ => *cancelled |= command.responded_to == request.message_id,
                response if response == field::C_STORE_RQ | field::RESPONSE => {
                    return if command.responded_to == message && !command.has_data {
                        Ok(command.status)
                    } else {
                        Err(LinkError::Fault(Fault::UnexpectedPdu))
                    };
                }
                _ => return Err(LinkError::Fault(Fault::UnexpectedPdu)),
            }
        }
    }

    /// The status of the caller's response to our N-EVENT-REPORT `message`. One that takes its leave instead is let go.
    pub(crate) async fn event_response(&mut self, message: u16) -> Result<u16, LinkError> {
        let gone = || LinkError::Io(std::io::ErrorKind::ConnectionAborted.into());
        match timeout(self.shared.settings.stall, self.link.event()).await.map_err(|_| LinkError::Timeout)?? {
            Event::Command { .. } => {}
            Event::ReleaseRq => {
                self.link.send_release_rp().await?;
                return Err(gone());
            }
            Event::Abort | Event::Closed => return Err(gone()),
            _ => return Err(LinkError::Fault(Fault::UnexpectedPdu)),
        }
        let command = Command::parse(self.link.command()).map_err(|_| LinkError::Fault(Fault::InvalidParameter))?;
        let is_response = command.field == field::N_EVENT_REPORT_RQ | field::RESPONSE;
        if is_response && command.responded_to == message && !command.has_data {
            Ok(command.status)
        } else {
            Err(LinkError::Fault(Fault::UnexpectedPdu))
        }
    }

    /// The caller's permission, or the status that says it has none.
    pub(crate) fn permit<A: Action>(&self) -> Result<Permit<A>, u16> {
        self.caller.ctx.permit::<A>().map_err(|_| status::NOT_AUTHORIZED)
    }

    async fn answer_stored(&mut self, stored: Stored) -> Result<(), LinkError> {
        if stored.status == status::SUCCESS {
            self.stored += 1;
        } else {
            self.refused += 1;
        }
        let mut response = Response::to(&stored.request, stored.status);
        response.comment = stored.comment;
        self.respond(stored.context, &response, None).await
    }

    /// Notes what came.
    pub(crate) fn close(&self) {
        if self.caller.registered {
            self.shared.tally.add(&self.caller.aet, self.stored, self.caller.ctx.now());
        }
        if self.stored + self.refused > 0 {
            tracing::info!(aet = %self.caller.aet, stored = self.stored, refused = self.refused, "DICOM objects received");
        }
    }
}
