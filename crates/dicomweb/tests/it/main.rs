//! The router in-process, over a SQLite archive filled with generated objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod frames;
mod harness;
mod metadata;
mod objects;
mod siblings;
mod stow;
mod transcode;
