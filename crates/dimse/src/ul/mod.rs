//! The upper layer (PS3.8): PDUs on a byte stream.
//!
//! A fragment of P-DATA is handed on as it arrives from the socket, as a slice of the read buffer, so that an image
//! is never gathered in memory and its bytes are not copied on the way to the archive.

mod associate;
mod link;
mod user_information;

pub(crate) use associate::{AssociateAc, AssociateRq, ContextOutcome, ContextResult, ProposedContext, Reject, uids};
pub(crate) use link::{Event, Link, Stream};
pub(crate) use user_information::{Extended, Role, UserInformation};

/// Reasons of an A-ABORT by the service provider (PS3.8 9.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NotSpecified,
    UnrecognizedPdu,
    UnexpectedPdu,
    InvalidParameter,
}

impl Fault {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::NotSpecified => 0,
            Self::UnrecognizedPdu => 1,
            Self::UnexpectedPdu => 2,
            Self::InvalidParameter => 6,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotSpecified => "not specified",
            Self::UnrecognizedPdu => "unrecognized PDU",
            Self::UnexpectedPdu => "unexpected PDU",
            Self::InvalidParameter => "invalid PDU parameter",
        }
    }
}

/// How a connection ends other than by release.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The peer broke the protocol; the answer is an A-ABORT.
    #[error("protocol fault: {}", .0.as_str())]
    Fault(Fault),
    /// Nothing came, or nothing could be sent, for too long.
    #[error("timed out")]
    Timeout,
    /// We are closing down.
    #[error("closing down")]
    Closing,
    /// The connection is gone.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}
