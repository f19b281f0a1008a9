//! What the fuzzer in `fuzz/` and the fixed slice of it run.

// Contradictions found here are for a person to read.
#![allow(clippy::unwrap_used)]

use crate::{Message, ack, decode, encode, read};

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    // The parser takes some 700 bytes for each of at most 16,384 pieces.
    ("hl7_message", 16 << 20, message),
];

fn message(input: &[u8]) {
    let (text, charset) = decode(input);
    assert_eq!(decode(&encode(&text, charset)).0, text, "{charset:?}");
    let Ok(message) = Message::parse(&text) else { return };
    let header = message.header();
    let refusal = read(&message).err();
    let at = jiff::civil::date(2026, 3, 2).at(8, 0, 0, 0);
    let answer = ack(&header, refusal.as_ref(), "1", charset.msh18(), at);
    let (answer, _) = decode(&encode(&answer, charset));
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.count("MSA"), 1);
    // Control characters are not sent back.
    let kept: String = header.control_id.chars().filter(|c| *c == '\n' || *c >= ' ').collect();
    assert_eq!(answer.value("MSA", 1, 2, 1, 1), kept.trim());
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
