//! DICOM network services: the listener that modalities, archives and workstations call, and the calls it makes.
//!
//! [`Dimse`] accepts associations and serves Verification, Storage, Query/Retrieve (find, move and get), Modality Worklist,
//! Modality Performed Procedure Step and Storage Commitment. `peers` keeps the register of who may call and where
//! images may be sent.
//! `docs/dicom-conformance-statement.md` says the same in the standard's words.
//!
//! The way of an image: `ul::Link` hands P-DATA fragments from its read buffer to `archive::Receiving`, `session` asks
//! it to finish, and only when the object is durable and indexed does `status` make the zero that goes back.

mod command;
mod commitment;
mod convert;
mod dataset;
mod destination;
mod error;
mod find;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod listener;
mod matching;
mod negotiate;
mod peers;
mod retrieve;
mod scu;
mod selection;
mod session;
mod status;
mod step;
mod storage;
mod store;
mod tally;
mod uids;
mod ul;
mod worklist;

pub use commitment::ReportCommitments;
pub use error::DimseError;
pub use listener::Dimse;
pub use peers::{
    Echo, ManagePeers, NewPeer, Peer, PeerKind, PeerRules, PeerService, ReadPeers, add_peer, echo_peer, list_peers,
    remove_peer,
};

use jiff::tz::TimeZone;
use mingying_kernel::AeTitle;
use std::time::Duration;

/// How the listener behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our title: what callers must name, and what we call ourselves.
    pub ae_title: AeTitle,
    /// Further titles under which callers may name us, for systems that are replaced one by one.
    pub further_titles: Vec<AeTitle>,
    /// Demo and tests: any calling title is accepted from a loopback address.
    pub accept_any_from_loopback: bool,
    /// Storage classes accepted beside the standard's and the well-known private ones: a UID, or a prefix that ends
    /// with a dot.
    pub private_storage_classes: Vec<String>,
    pub max_associations: usize,
    /// ARTIM (PS3.8 9.1.5): for the association request to arrive, and for the peer to close after our last word.
    pub artim: Duration,
    /// Between two messages of an association.
    pub idle: Duration,
    /// Within a message, in either direction.
    pub stall: Duration,
    /// How long a caller that asked for a storage commitment must keep silent to be told over the same association.
    pub commitment_pause: Duration,
    /// How long open associations may go on after the listener was told to stop.
    pub grace: Duration,
    /// Facility time, in which scheduled and performed dates and times are spoken.
    pub zone: TimeZone,
}

impl Settings {
    pub fn new(ae_title: AeTitle) -> Self {
        Self {
            ae_title,
            further_titles: Vec::new(),
            accept_any_from_loopback: false,
            private_storage_classes: Vec::new(),
            max_associations: 64,
            artim: Duration::from_secs(10),
            idle: Duration::from_mins(5),
            stall: Duration::from_secs(30),
            commitment_pause: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            zone: TimeZone::fixed(jiff::tz::offset(8)),
        }
    }
}
