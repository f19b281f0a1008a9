#![allow(clippy::indexing_slicing)]

mod binary;
mod images;
mod permissions;
mod running;
