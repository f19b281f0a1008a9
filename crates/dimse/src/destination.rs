//! The association to a peer that objects are sent to, opened and opened again as the objects need it.

use crate::listener::Shared;
use crate::peers::Peer;
use crate::scu::{CONTEXTS_EACH, CallError, Sender};
use mingying_archive::InstanceRef;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Presentation contexts of one association.
const MAX_CONTEXTS: usize = 128;
/// Kinds of objects that have room in one association.
const MAX_KINDS: usize = MAX_CONTEXTS / CONTEXTS_EACH;
/// After so many objects in a row that cost the association, or refused ones, the peer is given up.
const MAX_FAULTS: u32 = 3;

/// SOP class and stored transfer syntax.
type Kind = (String, String);

pub(crate) struct Destination {
    peer: Peer,
    shared: Arc<Shared>,
    /// The kinds of the objects to come, in the groups that share an association.
    groups: Vec<Vec<Kind>>,
    group_of: HashMap<Kind, usize>,
    /// The open association with what it was opened for.
    open: Option<(HashSet<Kind>, Sender)>,
    faults: u32,
}

impl Destination {
    pub(crate) fn new(peer: Peer, shared: Arc<Shared>) -> Self {
        Self { peer, shared, groups: Vec::new(), group_of: HashMap::new(), open: None, faults: 0 }
    }

    /// Tells what comes next, so that one association is asked for all of it: enough but for objects of more kinds than
    /// an association has contexts.
    pub(crate) fn plan(&mut self, objects: &[InstanceRef]) {
        self.groups.clear();
        self.group_of.clear();
        for object in objects {
            let kind = kind(object);
            if self.group_of.contains_key(&kind) {
                continue;
            }
            if self.groups.last().is_none_or(|group| group.len() == MAX_KINDS) {
                self.groups.push(Vec::new());
            }
            self.group_of.insert(kind.clone(), self.groups.len() - 1);
            if let Some(group) = self.groups.last_mut() {
                group.push(kind);
            }
        }
    }

    /// Sends an object that was planned, for who asked by which message, and returns the peer's status. After a fault
    /// of the connection the next object finds a new one, unless the peer does nothing but break them.
    pub(crate) async fn store(&mut self, object: &InstanceRef, originator: (&str, u16)) -> Result<u16, CallError> {
        let sent = match self.sender(&kind(object)).await {
            Ok(sender) => sender.store(object, Some(originator)).await,
            Err(error) => Err(error),
        };
        // What cannot be read or turned into what the peer takes is no fault of the peer.
        let is_ours = matches!(sent, Err(CallError::Archive(_) | CallError::Unconvertible(_) | CallError::Cut(_)));
        match &self.open {
            Some((_, sender)) if !sender.is_broken() => self.faults = 0,
            _ if !is_ours => self.faults += 1,
            _ => {}
        }
        sent
    }

    async fn sender(&mut self, kind: &Kind) -> Result<&mut Sender, CallError> {
        let fits = self.open.as_ref().is_some_and(|(kinds, sender)| kinds.contains(kind) && !sender.is_broken());
        if !fits {
            if let Some((_, sender)) = self.open.take() {
                sender.close().await;
            }
            if self.faults >= MAX_FAULTS {
                return Err(CallError::Unreachable);
            }
            let group = self.group_of.get(kind).and_then(|at| self.groups.get(*at)).cloned().unwrap_or_default();
            let sender = Sender::connect(&self.peer, &self.shared, &group).await.inspect_err(|error| {
                tracing::warn!(destination = %self.peer.aet, error = error.code(), "no association");
            })?;
            self.open = Some((group.into_iter().collect(), sender));
        }
        self.open.as_mut().map(|(_, sender)| sender).ok_or(CallError::Unreachable)
    }

    pub(crate) async fn close(self) {
        if let Some((_, sender)) = self.open {
            sender.close().await;
        }
    }
}

fn kind(object: &InstanceRef) -> Kind {
    (object.sop_class.clone(), object.transfer_syntax.clone())
}
