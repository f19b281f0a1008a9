//! DIMSE statuses: the one place where outcomes become codes (PS3.7 annex C, PS3.4 B.2.3, C.4, F.7.2, K.4.1).

use crate::command::Counts;
use mingying_exam::ExamError;
use mingying_kernel::{Coded, ErrorKind};

pub(crate) const SUCCESS: u16 = 0x0000;
pub(crate) const PENDING: u16 = 0xFF00;
pub(crate) const CANCEL: u16 = 0xFE00;
pub(crate) const SOP_CLASS_NOT_SUPPORTED: u16 = 0x0122;
pub(crate) const UNRECOGNIZED_OPERATION: u16 = 0x0211;
pub(crate) const NOT_AUTHORIZED: u16 = 0x0124;
pub(crate) const PROCESSING_FAILURE: u16 = 0x0110;
pub(crate) const INVALID_ATTRIBUTE_VALUE: u16 = 0x0106;
pub(crate) const MISSING_ATTRIBUTE: u16 = 0x0120;
pub(crate) const DUPLICATE_INSTANCE: u16 = 0x0111;
pub(crate) const NO_SUCH_INSTANCE: u16 = 0x0112;
pub(crate) const NO_SUCH_ACTION: u16 = 0x0123;
pub(crate) const RESOURCE_LIMITATION: u16 = 0x0213;
pub(crate) const OUT_OF_RESOURCES: u16 = 0xA700;
/// The data set or identifier does not match the SOP class.
pub(crate) const DOES_NOT_MATCH: u16 = 0xA900;
pub(crate) const CANNOT_UNDERSTAND: u16 = 0xC000;
/// C-MOVE and C-GET: how many objects match cannot be found out.
pub(crate) const NO_MATCHES: u16 = 0xA701;
pub(crate) const NO_SUB_OPERATIONS: u16 = 0xA702;
pub(crate) const MOVE_DESTINATION_UNKNOWN: u16 = 0xA801;
/// Sub-operations complete, one or more of them failed.
pub(crate) const SOME_FAILED: u16 = 0xB000;
/// Error ID of MPPS: the step may no longer be updated (PS3.4 F.7.2.2.2).
pub(crate) const ERROR_ID_FINAL_STATE: u16 = 0xA710;

/// C-STORE. Retryable faults are "out of resources": senders keep the object and try again.
pub(crate) fn of_store(error: &impl Coded) -> u16 {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::Unavailable | ErrorKind::TooMany => OUT_OF_RESOURCES,
        // Larger than what this archive takes: no retry helps, and "refused" says that nothing is kept.
        ErrorKind::TooLarge => OUT_OF_RESOURCES,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => NOT_AUTHORIZED,
        ErrorKind::Unsupported => SOP_CLASS_NOT_SUPPORTED,
        // A data set that contradicts its own request is an error of matching, the rest is not understood.
        ErrorKind::Invalid | ErrorKind::Conflict => {
            match error.params().iter().find(|(name, _)| *name == "reason").map(|(_, reason)| reason.as_str()) {
                Some("uid_mismatch" | "missing_uid" | "other_study") => DOES_NOT_MATCH,
                _ => CANNOT_UNDERSTAND,
            }
        }
        ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Internal => PROCESSING_FAILURE,
    }
}

/// C-FIND, of the archive and of the worklist.
pub(crate) fn of_find(error: &impl Coded) -> u16 {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::Unavailable | ErrorKind::TooMany | ErrorKind::TooLarge => OUT_OF_RESOURCES,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => NOT_AUTHORIZED,
        ErrorKind::Invalid => DOES_NOT_MATCH,
        ErrorKind::Unsupported | ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Internal => {
            CANNOT_UNDERSTAND
        }
    }
}

/// C-MOVE and C-GET, before their sub-operations begin.
pub(crate) fn of_retrieval(error: &impl Coded) -> u16 {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::Unavailable | ErrorKind::TooMany | ErrorKind::TooLarge => NO_MATCHES,
        _ => of_find(error),
    }
}

/// C-MOVE and C-GET after their sub-operations (PS3.4 C.4.2.3.1, C.4.3.3.1).
pub(crate) fn of_sub_operations(counts: &Counts, cancelled: bool) -> u16 {
    match *counts {
        _ if cancelled => CANCEL,
        Counts { failed: 0, warning: 0, .. } => SUCCESS,
        Counts { completed: 0, warning: 0, .. } => NO_SUB_OPERATIONS,
        _ => SOME_FAILED,
    }
}

/// Whether the answer to a C-STORE says that the object is there, with a remark (PS3.4 B.2.3: Bxxx).
pub(crate) const fn is_warning(status: u16) -> bool {
    status & 0xF000 == 0xB000
}

/// N-CREATE and N-SET of a performed procedure step; the second value is the Error ID.
pub(crate) fn of_step(error: &ExamError) -> (u16, Option<u16>) {
    match error {
        ExamError::MppsDuplicate => (DUPLICATE_INSTANCE, None),
        ExamError::MppsUnknown => (NO_SUCH_INSTANCE, None),
        ExamError::MppsFinal => (PROCESSING_FAILURE, Some(ERROR_ID_FINAL_STATE)),
        ExamError::Invalid { .. } => (INVALID_ATTRIBUTE_VALUE, None),
        other if matches!(other.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => (NOT_AUTHORIZED, None),
        _ => (PROCESSING_FAILURE, None),
    }
}
