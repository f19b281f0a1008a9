//! DICOM as bytes and values: character sets, person names, file headers, data sets, pixels.
//!
//! Pure: no database, no network, no files. Everything that reads bytes from outside is bounded in depth, count and
//! allocation, and never panics.

mod charset;
pub mod codec;
mod data_set;
mod detect;
mod facts;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod iso2022;
pub mod outgoing;
pub mod part10;
mod peek;
mod person_name;
pub mod pinyin;
pub mod render;

pub use charset::{Charset, Term, Unencodable, decode_text, encode_text, honours_charset};
pub use data_set::{DataSetError, Limits, declare_utf8, read_data_set};
pub use facts::ImageFacts;
pub use peek::{Peek, peek, vr_of};
pub use person_name::{NameGroup, PersonName};
pub use pinyin::{name_initials, name_latin};
