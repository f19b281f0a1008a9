//! Association PDUs: parse and encode (PS3.8 9.3, PS3.7 annex D).
//!
//! Ours rather than `dicom-ul`'s reader, which refuses what PS3.8 asks to take: unknown items (9.3.1: "shall be
//! ignored") and rejected contexts without a transfer syntax, as some SCPs answer them. The tests hold the two
//! against each other.

use super::user_information::{USER_INFORMATION, UserInformation};
use super::{Fault, LinkError};

/// UIDs of the upper layer.
pub(crate) mod uids {
    /// PS3.7 A.2.1.
    pub(crate) const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
    pub(crate) use mingying_dicom::part10::IMPLEMENTATION_CLASS_UID as IMPLEMENTATION_CLASS;
    pub(crate) use mingying_dicom::part10::IMPLEMENTATION_VERSION_NAME as IMPLEMENTATION_VERSION;
}

mod item {
    pub(super) const APPLICATION_CONTEXT: u8 = 0x10;
    pub(super) const PROPOSED_CONTEXT: u8 = 0x20;
    pub(super) const CONTEXT_RESULT: u8 = 0x21;
    pub(super) const ABSTRACT_SYNTAX: u8 = 0x30;
    pub(super) const TRANSFER_SYNTAX: u8 = 0x40;
}

/// Presentation context ids are the 128 odd numbers below 256.
const MAX_CONTEXTS: usize = 128;
/// Two bytes of version, two reserved, two titles of 16, 32 reserved.
const FIXED: usize = 68;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProposedContext {
    pub(crate) id: u8,
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntaxes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociateRq {
    /// Bit 0 stands for version 1, the only one there is.
    pub(crate) protocol_version: u16,
    pub(crate) called: String,
    pub(crate) calling: String,
    pub(crate) application_context: String,
    pub(crate) contexts: Vec<ProposedContext>,
    pub(crate) user: UserInformation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextOutcome {
    Accepted,
    /// The service is not one of ours.
    AbstractSyntaxNotSupported,
    /// The service is, its transfer syntaxes are not.
    TransferSyntaxesNotSupported,
    /// Any other refusal by a peer.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextResult {
    pub(crate) id: u8,
    pub(crate) outcome: ContextOutcome,
    pub(crate) transfer_syntax: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociateAc {
    pub(crate) called: String,
    pub(crate) calling: String,
    pub(crate) contexts: Vec<ContextResult>,
    pub(crate) user: UserInformation,
}

/// Why an association is refused (PS3.8 9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reject {
    ApplicationContextNotSupported,
    CallingAeNotRecognized,
    CalledAeNotRecognized,
    ProtocolVersionNotSupported,
    /// All associations are taken: come back later.
    LocalLimitExceeded,
    /// The peer cannot be looked up just now.
    TemporaryCongestion,
    /// Anything else, as peers may send it.
    NoReason,
}

impl Reject {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationContextNotSupported => "application context name not supported",
            Self::CallingAeNotRecognized => "calling AE title not recognized",
            Self::CalledAeNotRecognized => "called AE title not recognized",
            Self::ProtocolVersionNotSupported => "protocol version not supported",
            Self::LocalLimitExceeded => "local limit exceeded",
            Self::TemporaryCongestion => "temporary congestion",
            Self::NoReason => "no reason given",
        }
    }

    /// Result (1 permanent, 2 transient), source, reason.
    pub(super) const fn codes(self) -> [u8; 3] {
        match self {
            Self::NoReason => [1, 1, 1],
            Self::ApplicationContextNotSupported => [1, 1, 2],
            Self::CallingAeNotRecognized => [1, 1, 3],
            Self::CalledAeNotRecognized => [1, 1, 7],
            Self::ProtocolVersionNotSupported => [1, 2, 2],
            Self::TemporaryCongestion => [2, 3, 1],
            Self::LocalLimitExceeded => [2, 3, 2],
        }
    }

    pub(super) fn from_codes(source: u8, reason: u8) -> Self {
        match (source, reason) {
            (1, 2) => Self::ApplicationContextNotSupported,
            (1, 3) => Self::CallingAeNotRecognized,
            (1, 7) => Self::CalledAeNotRecognized,
            (2, 2) => Self::ProtocolVersionNotSupported,
            (3, 1) => Self::TemporaryCongestion,
            (3, 2) => Self::LocalLimitExceeded,
            _ => Self::NoReason,
        }
    }
}

/// What follows the six header bytes of an A-ASSOCIATE-RQ.
pub(super) fn parse_rq(body: &[u8]) -> Result<AssociateRq, LinkError> {
    let (fixed, items) = body.split_at_checked(FIXED).ok_or_else(malformed)?;
    let mut rq = AssociateRq {
        protocol_version: u16::from_be_bytes([at(fixed, 0), at(fixed, 1)]),
        called: title(fixed.get(4..20).unwrap_or_default()),
        calling: title(fixed.get(20..36).unwrap_or_default()),
        application_context: String::new(),
        contexts: Vec::new(),
        user: UserInformation::default(),
    };
    for_items(items, |kind, value| {
        match kind {
            item::APPLICATION_CONTEXT => rq.application_context = uid(value)?,
            item::PROPOSED_CONTEXT => {
                let (head, sub) = value.split_first_chunk::<4>().ok_or_else(malformed)?;
                let mut context =
                    ProposedContext { id: head[0], abstract_syntax: String::new(), transfer_syntaxes: Vec::new() };
                for_items(sub, |kind, value| {
                    match kind {
                        item::ABSTRACT_SYNTAX => context.abstract_syntax = uid(value)?,
                        item::TRANSFER_SYNTAX => context.transfer_syntaxes.push(uid(value)?),
                        _ => {}
                    }
                    Ok(())
                })?;
                // Odd and not used twice (PS3.8 7.1.1.13); a context names one abstract syntax and some transfer
                // syntax.
                if context.id.is_multiple_of(2)
                    || context.abstract_syntax.is_empty()
                    || context.transfer_syntaxes.is_empty()
                    || rq.contexts.len() == MAX_CONTEXTS
                    || rq.contexts.iter().any(|other| other.id == context.id)
                {
                    return Err(malformed());
                }
                rq.contexts.push(context);
            }
            USER_INFORMATION => rq.user.read(value)?,
            _ => {}
        }
        Ok(())
    })?;
    if rq.contexts.is_empty() || rq.application_context.is_empty() {
        return Err(malformed());
    }
    Ok(rq)
}

/// What follows the six header bytes of an A-ASSOCIATE-AC.
pub(super) fn parse_ac(body: &[u8]) -> Result<AssociateAc, LinkError> {
    let (fixed, items) = body.split_at_checked(FIXED).ok_or_else(malformed)?;
    let mut ac = AssociateAc {
        called: title(fixed.get(4..20).unwrap_or_default()),
        calling: title(fixed.get(20..36).unwrap_or_default()),
        contexts: Vec::new(),
        user: UserInformation::default(),
    };
    for_items(items, |kind, value| {
        match kind {
            item::CONTEXT_RESULT => {
                let (head, sub) = value.split_first_chunk::<4>().ok_or_else(malformed)?;
                let outcome = match head[2] {
                    0 => ContextOutcome::Accepted,
                    3 => ContextOutcome::AbstractSyntaxNotSupported,
                    4 => ContextOutcome::TransferSyntaxesNotSupported,
                    _ => ContextOutcome::Refused,
                };
                let mut result = ContextResult { id: head[0], outcome, transfer_syntax: String::new() };
                // Not significant unless accepted (PS3.8 9.3.3.2), and then often absent or empty.
                if outcome == ContextOutcome::Accepted {
                    for_items(sub, |kind, value| {
                        if kind == item::TRANSFER_SYNTAX {
                            result.transfer_syntax = uid(value)?;
                        }
                        Ok(())
                    })?;
                    if result.transfer_syntax.is_empty() {
                        return Err(malformed());
                    }
                }
                if ac.contexts.len() == MAX_CONTEXTS {
                    return Err(malformed());
                }
                ac.contexts.push(result);
            }
            USER_INFORMATION => ac.user.read(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(ac)
}

pub(super) fn for_items(
    mut rest: &[u8],
    mut each: impl FnMut(u8, &[u8]) -> Result<(), LinkError>,
) -> Result<(), LinkError> {
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (value, next) = after.split_at_checked(length).ok_or_else(malformed)?;
        each(head[0], value)?;
        rest = next;
    }
    Ok(())
}

pub(super) fn malformed() -> LinkError {
    LinkError::Fault(Fault::InvalidParameter)
}

fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or_default()
}

/// An AE title as sent; bytes outside ASCII make it one that nobody has.
fn title(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect::<String>().trim_matches([' ', '\0']).to_owned()
}

pub(super) fn uid(value: &[u8]) -> Result<String, LinkError> {
    let text = std::str::from_utf8(value).map_err(|_| malformed())?.trim_matches(['\0', ' ']);
    if text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        Ok(text.to_owned())
    } else {
        Err(malformed())
    }
}

pub(super) fn encode_rq(rq: &AssociateRq, max_pdu: u32) -> Vec<u8> {
    let mut body = fixed(&rq.called, &rq.calling);
    put(&mut body, item::APPLICATION_CONTEXT, rq.application_context.as_bytes());
    for context in &rq.contexts {
        let mut value = vec![context.id, 0, 0, 0];
        put(&mut value, item::ABSTRACT_SYNTAX, context.abstract_syntax.as_bytes());
        for syntax in &context.transfer_syntaxes {
            put(&mut value, item::TRANSFER_SYNTAX, syntax.as_bytes());
        }
        put(&mut body, item::PROPOSED_CONTEXT, &value);
    }
    rq.user.write(&mut body, max_pdu);
    pdu(0x01, &body)
}

pub(super) fn encode_ac(ac: &AssociateAc, max_pdu: u32) -> Vec<u8> {
    let mut body = fixed(&ac.called, &ac.calling);
    put(&mut body, item::APPLICATION_CONTEXT, uids::APPLICATION_CONTEXT.as_bytes());
    for context in &ac.contexts {
        let outcome = match context.outcome {
            ContextOutcome::Accepted => 0,
            ContextOutcome::Refused => 2,
            ContextOutcome::AbstractSyntaxNotSupported => 3,
            ContextOutcome::TransferSyntaxesNotSupported => 4,
        };
        let mut value = vec![context.id, 0, outcome, 0];
        put(&mut value, item::TRANSFER_SYNTAX, context.transfer_syntax.as_bytes());
        put(&mut body, item::CONTEXT_RESULT, &value);
    }
    ac.user.write(&mut body, max_pdu);
    pdu(0x02, &body)
}

pub(super) fn encode_rj(reject: Reject) -> Vec<u8> {
    let [result, source, reason] = reject.codes();
    pdu(0x03, &[0, result, source, reason])
}

pub(super) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 6);
    bytes.extend_from_slice(&[kind, 0]);
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn fixed(called: &str, calling: &str) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0];
    for title in [called, calling] {
        let mut field = [b' '; 16];
        for (to, from) in field.iter_mut().zip(title.bytes()) {
            *to = from;
        }
        bytes.extend_from_slice(&field);
    }
    bytes.extend_from_slice(&[0; 32]);
    bytes
}

pub(super) fn put(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    // Our items are UIDs and lists of them, far below 64 KiB: 128 contexts are items of their own.
    bytes.extend_from_slice(&[kind, 0]);
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
}

#[cfg(test)]
#[path = "associate_tests.rs"]
mod tests;
