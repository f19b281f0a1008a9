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
