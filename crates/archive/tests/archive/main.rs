//! The archive on both databases, on real and simulated disks, fed with generated DICOM objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod compact;
mod crash;
mod delete;
mod encryption;
mod heal;
mod ingest;
mod nodes;
mod objects;
mod query;
mod rate;
mod reading;
mod rebuild;
mod scale;
mod scrub;
mod siblings;
mod soak;
mod storage;
mod tiers;
