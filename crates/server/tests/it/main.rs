#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::indexing_slicing)]

mod binary;
mod images;
mod permissions;
mod running;
mod workflow;
