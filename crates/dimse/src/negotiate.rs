//! Whom to talk to, and about what: the acceptor's rules of an association (PS3.8 9.3, PS3.7 D.3.3). Pure.

use crate::dataset::Encoding;
use crate::ul::uids as ul_uids;
use crate::ul::{AssociateAc, AssociateRq, ContextOutcome, ContextResult, Extended, Reject, Role, UserInformation};
use crate::{PeerRules, PeerService, Settings, convert, uids};
use mingying_archive::Matching;
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
    Get(Root),
    Worklist,
    PerformedStep,
    Commitment,
}

impl Service {
    /// What of the register it falls under; `None` for what everybody may.
    fn in_register(self) -> Option<PeerService> {
        Some(match self {
            Self::Verification => return None,
            Self::Storage => PeerService::Store,
            Self::Find(_) => PeerService::Find,
            Self::Move(_) | Self::Get(_) => PeerService::Retrieve,
            Self::Worklist => PeerService::Worklist,
            Self::PerformedStep => PeerService::Mpps,
            Self::Commitment => PeerService::Commitment,
        })
    }
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
            uids::STUDY_ROOT_GET => Self::Get(Root::Study),
            uids::PATIENT_ROOT_GET => Self::Get(Root::Patient),
            uids::WORKLIST_FIND => Self::Worklist,
            uids::PERFORMED_STEP => Self::PerformedStep,
            uids::COMMITMENT => Self::Commitment,
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
    /// Whether the caller may ask for the service, as it does unless roles were selected.
    pub(crate) caller_is_scu: bool,
    /// Whether the caller provides the service too: it takes the objects of its C-GET (PS3.4 C.5.3.1.1).
    pub(crate) caller_is_scp: bool,
    /// What was agreed on beyond the baseline of queries.
    pub(crate) matching: Matching,
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

/// The answer to a request, and the contexts that it opens by their ids.
pub(crate) fn answer(rq: &AssociateRq, rules: &PeerRules, settings: &Settings) -> (AssociateAc, HashMap<u8, Context>) {
    let mut accepted = HashMap::new();
    let contexts = rq
        .contexts
        .iter()
        .map(|proposed| {
            let first = proposed.transfer_syntaxes.first().cloned().unwrap_or_default();
            let refused = |outcome| ContextResult { id: proposed.id, outcome, transfer_syntax: first.clone() };
            let Some(service) = Service::of(&proposed.abstract_syntax, settings) else {
                return refused(ContextOutcome::AbstractSyntaxNotSupported);
            };
            let role = role(&rq.user, service, &proposed.abstract_syntax);
            let (caller_is_scu, caller_is_scp) = role.as_ref().map_or((true, false), |role| (role.scu, role.scp));
            // Who may retrieve takes objects in contexts of storage, whether it may store or not.
            let caller_is_scu = caller_is_scu && service.in_register().is_none_or(|of| rules.allows(of));
            let caller_is_scp = caller_is_scp && rules.allows(PeerService::Retrieve);
            if !caller_is_scu && !caller_is_scp {
                return refused(ContextOutcome::Refused);
            }
            let Some(syntax) = transfer_syntax(service, caller_is_scp, &proposed.transfer_syntaxes) else {
                return refused(ContextOutcome::TransferSyntaxesNotSupported);
            };
            let context = Context {
                service,
                abstract_syntax: proposed.abstract_syntax.clone(),
                transfer_syntax: syntax.clone(),
                caller_is_scu,
                caller_is_scp,
                matching: matching(&rq.user, service, &proposed.abstract_syntax),
            };
            accepted.insert(proposed.id, context);
            ContextResult { id: proposed.id, outcome: ContextOutcome::Accepted, transfer_syntax: syntax.clone() }
        })
        .collect();
    let service = |class: &str| accepted.values().find(|c| c.abstract_syntax == class).map(|c| c.service);
    let user = UserInformation {
        max_pdu: 0,
        // Answered only where it was asked for (PS3.7 D.3.3.3.2), like all that follows.
        operations: rq.user.operations.map(|_| (window(&rq.user), 1)),
        roles: (rq.user.roles.iter())
            .filter_map(|proposed| {
                let context = accepted.values().find(|c| c.abstract_syntax == proposed.sop_class)?;
                let (scu, scp) = (context.caller_is_scu, context.caller_is_scp);
                Some(Role { sop_class: proposed.sop_class.clone(), scu, scp })
            })
            .collect(),
        extended: (rq.user.extended.iter())
            .filter_map(|offered| extended(service(&offered.sop_class)?, offered))
            .collect(),
    };
    (AssociateAc { called: rq.called.clone(), calling: rq.calling.clone(), contexts, user }, accepted)
}

/// Objects are kept as sent, so that storage takes the syntax proposed first, whatever it is. A caller that receives
/// gets a plain one where it names one beside others in the same context: every object that can be decoded can be sent
/// in it, while objects that are stored as the others go untouched in contexts of their own. Messages are read here, so
/// that other services need little endian, uncompressed.
fn transfer_syntax(service: Service, caller_is_scp: bool, proposed: &[String]) -> Option<&String> {
    match service {
        Service::Storage => {
            let plain = proposed.iter().find(|uid| caller_is_scp && convert::PLAIN.contains(&uid.as_str()));
            plain.or_else(|| proposed.iter().find(|uid| !uid.is_empty()))
        }
        _ => proposed.iter().find(|uid| Encoding::of(uid).is_some()),
    }
}

/// What the caller may be for a SOP class, where it asked (PS3.7 D.3.3.4).
fn role(user: &UserInformation, service: Service, sop_class: &str) -> Option<Role> {
    let proposed = user.roles.iter().find(|role| role.sop_class == sop_class)?;
    Some(Role { scp: proposed.scp && service == Service::Storage, ..proposed.clone() })
}

/// What `extended` grants of a query's matching.
fn matching(user: &UserInformation, service: Service, sop_class: &str) -> Matching {
    let offered = user.extended.iter().find(|offered| offered.sop_class == sop_class);
    let granted =
        offered.filter(|_| matches!(service, Service::Find(_))).and_then(|offered| extended(service, offered));
    let has = |at| granted.as_ref().and_then(|granted| granted.bytes.get(at)) == Some(&1);
    Matching { combined_date_time: has(1), fuzzy_names: has(2) }
}

/// What is granted of an extended negotiation: a byte each for what a SOP class may have beyond the baseline.
fn extended(service: Service, offered: &Extended) -> Option<Extended> {
    let granted: &[u8] = match service {
        // Relational queries, combined date-time matching, fuzzy semantic matching of names (PS3.4 table C.5-2).
        Service::Find(_) => &[1, 1, 1],
        // Relational retrieval (PS3.4 table C.5-4).
        Service::Move(_) | Service::Get(_) => &[1],
        _ => return None,
    };
    let granted = granted.iter().copied().chain(std::iter::repeat(0));
    let bytes = offered.bytes.iter().zip(granted).map(|(offered, granted)| offered & granted).collect();
    Some(Extended { sop_class: offered.sop_class.clone(), bytes })
}

/// How many operations the requestor may have underway: 0 in the proposal means any number.
pub(crate) fn window(user: &UserInformation) -> u16 {
    match user.operations {
        None => 1,
        Some((0, _)) => MAX_WINDOW,
        Some((invoked, _)) => invoked.min(MAX_WINDOW),
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
