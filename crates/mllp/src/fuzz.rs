//! What the fuzzer in `fuzz/` and the fixed slice of it run.

use crate::frame::{FrameFault, Frames, wrap};

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] = &[("mllp_frames", 1 << 20, frames)];

fn gather(bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<FrameFault>) {
    let mut frames = Frames::default();
    let mut messages = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        match frames.push(piece) {
            Ok(more) => messages.extend(more),
            Err(fault) => return (messages, Some(fault)),
        }
    }
    (messages, None)
}

/// The first byte says how many bytes arrive at a time.
fn frames(input: &[u8]) {
    let Some((&step, bytes)) = input.split_first() else { return };
    let (messages, fault) = gather(bytes, usize::from(step) + 1);
    let (at_once, same) = gather(bytes, bytes.len());
    assert_eq!(fault, same);
    // What a connection that ends in a fault completed before is told when it arrived before.
    assert!(messages.starts_with(&at_once));
    let again: Vec<u8> = messages.iter().flat_map(|message| wrap(message)).collect();
    assert_eq!(gather(&again, again.len()), (messages, None));
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
