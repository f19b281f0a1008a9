#![allow(clippy::indexing_slicing)]

mod binary;
mod permissions;
mod running;
