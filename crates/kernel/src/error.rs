//! What kind of failure a caller sees, free of any transport.

/// The kinds of failure. One file per protocol maps them to HTTP problem+json, DIMSE status, HL7 ACK code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input breaks a rule that the caller can mend.
    Invalid,
    /// Nobody is signed in.
    Unauthenticated,
    /// Signed in, but the role does not allow the action.
    Forbidden,
    /// Absent, or outside the caller's scope; the two are told apart only in the audit log.
    NotFound,
    /// The object is in a state that does not allow the action, or somebody changed it meanwhile.
    Conflict,
    /// The object is past its life: an expired or revoked link.
    Gone,
    /// Throttled.
    TooMany,
    /// Larger than the configured bound.
    TooLarge,
    /// A well-formed request for something this system does not do.
    Unsupported,
    /// The store has no room; what was sent is not kept.
    StorageFull,
    /// Out of order for a moment; the same request may succeed later.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// An error with a stable code that clients and translations rely on.
pub trait Coded: std::error::Error {
    fn kind(&self) -> ErrorKind;
    /// Stable, dotted, lower case: `order.state`. Never reused for another meaning.
    fn code(&self) -> &'static str;
    /// Values a client puts into the translated sentence. Never patient data.
    fn params(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
