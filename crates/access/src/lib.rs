//! Who may do what, and the proof of who did: users, sessions, tokens, policy, audit.

mod audit;

pub use audit::{Outcome, audit, record};
