//! What happens to the register of application entities.

use crate::Payload;
use serde::{Deserialize, Serialize};

/// An application entity may now call and be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAdded {
    pub aet: String,
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub kind: String,
}

impl Payload for PeerAdded {
    const TOPIC: &'static str = "peer.added";
}

/// An application entity may no longer call nor be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRemoved {
    pub aet: String,
}

impl Payload for PeerRemoved {
    const TOPIC: &'static str = "peer.removed";
}

/// A modality or archive asked for a storage commitment (PS3.4 annex J), and is to be told what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitmentRequested {
    pub aet: String,
    pub transaction_uid: String,
    pub objects: u32,
}

impl Payload for CommitmentRequested {
    const TOPIC: &'static str = "commitment.requested";
}
