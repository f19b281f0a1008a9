#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::zombie_processes)]

mod binary;
mod encryption;
mod images;
mod nodes;
mod permissions;
mod running;
mod storage;
mod workflow;
