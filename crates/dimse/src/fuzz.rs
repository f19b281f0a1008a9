//! What the fuzzer in `fuzz/` and the fixed slice of it run.

// Contradictions found here are for a person to read.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::command::{Command, Response};
use crate::dataset::{DataSet, Encoding};
use crate::ul::{Event, Fault, Link, LinkError};
use dicom_dictionary_std::tags;
use futures::FutureExt;
use mingying_dicom::Charset;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Name, bytes of memory allowed beside those for each byte of input, function.
type Target = (&'static str, usize, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    // A connection holds its read buffer, and as much again as the largest association PDU.
    ("dimse_pdu", 4 << 20, pdus),
    ("dimse_command", 1 << 20, command),
    ("dimse_identifier", 1 << 20, identifier),
];

/// A peer that sends what it is given, so many bytes at a time, and takes everything.
struct Peer {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let end = self.bytes.len().min(self.at + self.step.min(into.remaining()));
        into.put_slice(self.bytes.get(self.at..end).unwrap_or_default());
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What came over the connection, and how it ended.
type Seen = (Vec<(Event, Vec<u8>)>, Option<Fault>);

fn gather(bytes: &[u8], step: usize) -> Seen {
    let mut link = Link::new(Box::new(Peer { bytes: bytes.to_vec(), at: 0, step }), Duration::from_secs(1));
    let mut seen: Vec<(Event, Vec<u8>)> = Vec::new();
    loop {
        match link.event().now_or_never() {
            Some(Ok(Event::Closed)) => return (seen, None),
            // How a data set is cut into pieces is the network's affair.
            Some(Ok(Event::Data { context, last })) => match seen.last_mut() {
                Some((Event::Data { context: open, last: ended @ false }, data)) if *open == context => {
                    data.extend_from_slice(link.data());
                    *ended = last;
                }
                _ => seen.push((Event::Data { context, last }, link.data().to_vec())),
            },
            Some(Ok(event @ Event::Command { .. })) => seen.push((event, link.command().to_vec())),
            Some(Ok(event)) => seen.push((event, Vec::new())),
            Some(Err(LinkError::Fault(fault))) => return (seen, Some(fault)),
            Some(Err(LinkError::Io(_))) => return (seen, Some(Fault::NotSpecified)),
            other => panic!("the peer is always ready: {other:?}"),
        }
    }
}

/// The first byte says how many bytes arrive at a time; the rest is what the peer sends.
fn pdus(input: &[u8]) {
    let Some((&step, bytes)) = input.split_first() else { return };
    let whole = gather(bytes, usize::MAX);
    assert!(whole == gather(bytes, usize::from(step) + 1), "the cut of the stream changes what it says");
}

fn command(input: &[u8]) {
    let Ok(command) = Command::parse(input) else { return };
    let response = Command::parse(&Response::to(&command, 0xA700).encode()).unwrap();
    assert_eq!((response.responded_to, response.status), (command.message_id, 0xA700));
    assert_eq!(response.sop_class, command.sop_class);
}

/// The first byte chooses the encoding. What was read is written, and reads the same from then on.
fn identifier(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let encoding = if choice & 1 == 0 { Encoding::ImplicitLittle } else { Encoding::ExplicitLittle };
    let Ok(mut read) = DataSet::parse(bytes, encoding) else { return };
    let _ = serde_json::to_vec(&read.to_json());
    // What stands before the name of the character set is not read under it; in order, nothing with text does.
    if read.iter().any(|(tag, _)| *tag < tags::SPECIFIC_CHARACTER_SET) {
        return;
    }
    read.put_text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    let once = DataSet::parse(&read.encode(encoding, &Charset::utf8()), encoding).unwrap();
    let twice = DataSet::parse(&once.encode(encoding, &Charset::utf8()), encoding).unwrap();
    assert_eq!(format!("{once:?}"), format!("{twice:?}"));
}

#[cfg(test)]
mod tests {
    #[test]
    fn fixed_slice() {
        super::TARGETS.iter().for_each(mingying_hostile::slice);
    }
}
