
pub mod access;
pub mod peers;
