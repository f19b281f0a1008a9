//! Whom to talk to, and about what: the acceptor's rules of an association (PS3.8 9.3, PS3.7 D.3.3). Pure.

use crate::dataset::Encoding;
use crate::ul::{AssociateRq, ContextOutcome, ContextResult, Reject, uids as ul_uids};
use crate::{Settings, uids};
use std::collections::HashMap;

/// Operations that one association may have underway when the peer asks for an asynchronous window: enough to share
/// one group commit, few enough to bound what a peer holds.
pub(crate) const MAX_WINDOW: u16 = 16;

/// What a presentation context is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Verification,
    Storage,
    Find(Root),
    Move(Root),
    Worklist,
    PerformedStep,
}

/// The information model of a query (PS3.4 C.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Patient,
    Study,
}

impl Service {
    pub(crate) fn of(abstract_syntax: &str, settings: &Settings) -> Option<Self> {
        Some(match abstract_syntax {
            uids::VERIFICATION => Self::Verification,
            uids::STUDY_ROOT_FIND => Self::Find(Root::Study),
            uids::STUDY_ROOT_MOVE => Self::Move(Root::Study),
            uids::PATIENT_ROOT_FIND => Self::Find(Root::Patient),
            uids::PATIENT_ROOT_MOVE => Self::Move(Root::Patient),
            uids::WORKLIST_FIND => Self::Worklist,
            uids::PERFORMED_STEP => Self::PerformedStep,
            storage if storage.starts_with(uids::STORAGE_PREFIX) => Self::Storage,
            other => {
                let listed = uids::PRIVATE_STORAGE.iter().copied();
                let configured = settings.private_storage_classes.iter().map(String::as_str);
                let known = listed
                    .chain(configured)
                    .any(|class| if class.ends_with('.') { other.starts_with(class) } else { other == class });
                return known.then_some(Self::Storage);
            }
        })
    }
}

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) service: Service,
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntax: String,
}

/// Checks that need no database: versions, application context, the called title.
pub(crate) fn check_request(rq: &AssociateRq, settings: &Settings) -> Result<(), Reject> {
    if rq.protocol_version & 1 == 0 {
        return Err(Reject::ProtocolVersionNotSupported);
    }
    if rq.application_context != ul_uids::APPLICATION_CONTEXT {
        return Err(Reject::ApplicationContextNotSupported);
    }
    if rq.called != settings.ae_title.as_str() && !settings.further_titles.iter().any(|t| t.as_str() == rq.called) {
        return Err(Reject::CalledAeNotRecognized);
    }
    Ok(())
}

/// Answers each proposed context. Objects are kept as sent, so that storage takes the syntax proposed first, whatever
/// it is; messages are read here, so that other services need little endian, uncompressed.
pub(crate) fn answer_contexts(rq: &AssociateRq, settings: &Settings) -> (Vec<ContextResult>, HashMap<u8, Context>) {
    let mut accepted = HashMap::new();
    let results = rq
        .contexts
        .iter()
        .map(|proposed| {
            let first = proposed.transfer_syntaxes.first().cloned().unwrap_or_default();
            let refused = |outcome| ContextResult { id: proposed.id, outcome, transfer_syntax: first.clone() };
            let Some(service) = Service::of(&proposed.abstract_syntax, settings) else {
                return refused(ContextOutcome::AbstractSyntaxNotSupported);
            };
            let syntax = match service {
                Service::Storage => proposed.transfer_syntaxes.iter().find(|uid| !uid.is_empty()),
                _ => proposed.transfer_syntaxes.iter().find(|uid| Encoding::of(uid).is_some()),
            };
            let Some(syntax) = syntax else {
                return refused(ContextOutcome::TransferSyntaxesNotSupported);
            };
            let context =
                Context { service, abstract_syntax: proposed.abstract_syntax.clone(), transfer_syntax: syntax.clone() };
            accepted.insert(proposed.id, context);
            ContextResult { id: proposed.id, outcome: ContextOutcome::Accepted, transfer_syntax: syntax.clone() }
        })
        .collect();
    (results, accepted)
}

/// How many operations the requestor may have underway: 0 in the proposal means any number.
pub(crate) fn window(rq: &AssociateRq) -> u16 {
    match rq.operations {
        None => 1,
        Some((0, _)) => MAX_WINDOW,
        Some((invoked, _)) => invoked.min(MAX_WINDOW),
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
