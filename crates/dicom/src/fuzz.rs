//! What the fuzzer in `fuzz/` and the fixed slice of it run.

// Contradictions found here are for a person to read.
#![allow(clippy::unwrap_used)]

use crate::part10::{read_header, write_header};
use crate::{Charset, ImageFacts, Limits, Peek, PersonName, name_initials, name_latin, peek, read_data_set};
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] =
    &[("dicom_data_set", 1 << 20, data_set), ("dicom_part10", 1 << 20, part10), ("dicom_charset", 1 << 20, charset)];

const SYNTAXES: [&str; 3] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"];

/// The first byte chooses the transfer syntax.
fn data_set(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let syntax = SYNTAXES.get(usize::from(choice % 3)).copied().unwrap_or_default();
    let looked = peek(bytes, syntax, tags::STUDY_INSTANCE_UID);
    let Ok(object) = read_data_set(bytes, syntax, Limits::default()) else { return };
    let _ = ImageFacts::read(&object);
    // The two readers agree on a data set that is in order. Of an element that stands there twice, each takes another.
    if let Peek::Found(value) = looked
        && let Ok(element) = object.element(tags::STUDY_INSTANCE_UID)
        && element.vr() == VR::UI
        && bytes.windows(4).filter(|w| matches!(w, [0x20, 0, 0x0d, 0] | [0, 0x20, 0, 0x0d])).count() == 1
    {
        let text = element.to_multi_str().unwrap_or_default().join("\\");
        assert_eq!(text.chars().map(|c| c as u8).collect::<Vec<_>>(), value);
    }
}

fn part10(input: &[u8]) {
    let Ok(Some(header)) = read_header(input) else { return };
    assert!(header.data_set_at <= input.len());
    // What asks for more bytes at some length does not refuse what comes then.
    for cut in [132, header.data_set_at / 2, header.data_set_at.saturating_sub(1)] {
        assert!(read_header(input.get(..cut).unwrap_or_default()).is_ok());
    }
    let short = |text: &String| text.is_ascii() && text.len() <= 64;
    if [&header.sop_class, &header.sop_instance, &header.transfer_syntax].into_iter().all(short) {
        let mut file = write_header(&header.sop_class, &header.sop_instance, &header.transfer_syntax, Some("CT01"));
        let end = file.len();
        file.extend([8, 0, 5, 0]);
        let again = read_header(&file).unwrap().unwrap();
        assert_eq!(again.data_set_at, end);
        assert_eq!(again.sop_instance, header.sop_instance);
        assert_eq!(again.transfer_syntax, header.transfer_syntax);
    }
}

/// The value of Specific Character Set, a line feed, the value of an element.
fn charset(input: &[u8]) {
    let Some(at) = input.iter().position(|b| *b == b'\n') else { return };
    let (term, bytes) = (input.get(..at).unwrap_or_default(), input.get(at + 1..).unwrap_or_default());
    let set = Charset::parse(&String::from_utf8_lossy(term));
    assert_eq!(Charset::parse(&set.value()).value(), set.value());
    for vr in [VR::PN, VR::LO, VR::LT, VR::CS] {
        let text = set.decode(bytes, vr);
        // What the set can express comes back, where the set is not one that devices put others under.
        if set.value() == "ISO_IR 192" && vr != VR::CS {
            assert_eq!(set.decode(&set.encode(&text, vr).unwrap(), vr), text);
        } else {
            let _ = set.encode(&text, vr);
        }
        if vr == VR::PN {
            let name = PersonName::parse(&text);
            let _ = (name.to_string(), name_latin(&name.display()), name_initials(&name.display()));
            let _ = PersonName::of_person(&text, None).to_string();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
