//! MLLP framing: `<VT> message <FS><CR>` (HL7 v2 transport appendix).

use mingying_hl7::MAX_MESSAGE;

const START: u8 = 0x0b;
const END: u8 = 0x1c;
const CR: u8 = 0x0d;

/// How many bytes outside a frame are overlooked (line ends, keep-alives) before the peer counts as not speaking MLLP.
const MAX_NOISE: usize = 64;

/// The peer does not speak MLLP, or sends more than a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFault {
    Noise,
    TooLarge,
}

/// Cuts a byte stream into messages. Memory is bounded by the largest message.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    inside: bool,
    noise: usize,
}

impl Frames {
    /// Whether a message has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// Takes bytes as they arrive and returns the messages they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameFault> {
        let mut complete = Vec::new();
        for &byte in bytes {
            if self.inside {
                // A message cannot contain FS: it is no text character in any set HL7 allows.
                if byte == END {
                    self.inside = false;
                    complete.push(std::mem::take(&mut self.buffer));
                } else if self.buffer.len() >= MAX_MESSAGE {
                    return Err(FrameFault::TooLarge);
                } else {
                    self.buffer.push(byte);
                }
            } else if byte == START {
                self.inside = true;
                self.noise = 0;
            } else {
                // CR after FS belongs to the frame before.
                if byte != CR {
                    self.noise += 1;
                }
                if self.noise > MAX_NOISE {
                    return Err(FrameFault::Noise);
                }
            }
        }
        Ok(complete)
    }
}

/// One message as a frame.
pub fn wrap(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(START);
    out.extend_from_slice(message);
    out.extend_from_slice(&[END, CR]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn garbage_is_given_up_on() {
        assert_eq!(Frames::default().push(&[b'x'; 65]), Err(FrameFault::Noise));
        assert_eq!(Frames::default().push(b"GET / HTTP/1.1\r\n\r\n"), Ok(vec![]));
        let mut frames = Frames::default();
        let mut huge = vec![START];
        huge.resize(MAX_MESSAGE + 2, b'x');
        assert_eq!(frames.push(&huge), Err(FrameFault::TooLarge));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            messages in prop::collection::vec(prop::collection::vec(0x20u8..=0xff, 0..50), 0..6),
            cut in 1usize..40,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| wrap(m)).collect();
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in stream.chunks(cut) {
                found.extend(frames.push(piece).unwrap());
            }
            prop_assert_eq!(found, messages);
            prop_assert!(!frames.is_inside());
        }

        #[test]
        fn any_bytes_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Frames::default().push(&bytes);
        }
    }
}
