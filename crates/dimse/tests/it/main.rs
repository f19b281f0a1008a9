//! The listener against clients that others wrote: DCMTK's tools and pynetdicom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod associations;
mod commitment;
mod find;
mod get;
mod hostile;
mod retrieve;
mod station;
mod steps;
mod storage;
mod window;
