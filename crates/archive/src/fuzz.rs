//! What the fuzzer in `fuzz/` and the fixed slice of it run.

use crate::describe::{Announced, describe};
use crate::fragments::FrameIndex;
use crate::header::{Encoding, scan};
use dicom_dictionary_std::tags;
use mingying_dicom::{DataSetError, Limits, read_data_set};

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] =
    // Inflating holds up to its own bound, 64 MiB, twice while it grows.
    &[
        ("archive_header", 2 << 20, header),
        ("archive_deflated", 256 << 20, deflated),
        ("archive_frames", 1 << 20, frames),
    ];

const SYNTAXES: [&str; 4] =
    ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"];

fn slice(bytes: &[u8], offset: u64, len: usize) -> Vec<u8> {
    let rest = bytes.get(offset as usize..).unwrap_or_default();
    rest.get(..len).unwrap_or(rest).to_vec()
}

/// The first byte chooses the transfer syntax.
fn header(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let syntax = SYNTAXES.get(usize::from(choice % 4)).copied().unwrap_or_default();
    let mut read = |offset: u64, len: usize| Ok(slice(bytes, offset, len));
    let Ok(header) = scan(&mut read, bytes.len() as u64, Encoding::of(syntax)) else { return };
    // What is taken into the archive can be read from there.
    let front = bytes.get(..header.end as usize).unwrap_or_default();
    let trusted = read_data_set(front, syntax, Limits::default());
    assert!(matches!(trusted, Ok(_) | Err(DataSetError::TooComplex)), "{:?}", trusted.err());
    let sop = String::from_utf8_lossy(header.value(tags::SOP_INSTANCE_UID)).into_owned();
    describe_as(bytes, syntax, &sop);
}

/// A deflated data set, which is inflated to find its header.
fn deflated(input: &[u8]) {
    describe_as(input, "1.2.840.10008.1.2.1.99", "1.2.3");
}

fn describe_as(bytes: &[u8], transfer_syntax: &str, sop_instance: &str) {
    let announced = Announced { sop_class: "1.2", sop_instance, transfer_syntax };
    let mut read = |offset: u64, len: usize| Ok(slice(bytes, offset, len));
    let Ok(described) = describe(&mut read, bytes.len() as u64, announced) else { return };
    let _ = crate::names::search_terms(&described.patient_name);
    if let Some(index) = described.frame_index {
        assert!(index.frame(0).is_some());
        assert_eq!(FrameIndex::from_bytes(&index.to_bytes()), Some(index));
    }
}

/// The index of frames as the database keeps it.
fn frames(input: &[u8]) {
    let Some(index) = FrameIndex::from_bytes(input) else { return };
    assert_eq!(FrameIndex::from_bytes(&index.to_bytes()), Some(index));
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
