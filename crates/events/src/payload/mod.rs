
pub mod access;
pub mod peers;
pub mod reading;
pub mod reporting;
pub mod sharing;
