//! One connection: PDUs in, PDUs out, bounded in size and time.

use super::associate::{self, AssociateAc, AssociateRq, Reject};
use super::{Fault, LinkError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A plain or TLS connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// Two of the largest PDUs we ask for: one is consumed while the rest of the next arrives.
const READ_BUFFER: usize = 256 * 1024;
/// What we tell the peer to send at most; a larger PDU is refused above twice this value.
pub(crate) const MAX_PDU: u32 = 131_072;
/// Upper bound of what we send in one PDU, whatever the peer says it takes.
const MAX_PDU_OUT: usize = 131_072;
/// 128 contexts of a few hundred bytes, with room for long lists of transfer syntaxes and a user identity.
const MAX_ASSOCIATE_PDU: usize = 1024 * 1024;
/// A command set has a dozen short elements (PS3.7 E.1).
const MAX_COMMAND: usize = 16 * 1024;
const PDU_HEADER: usize = 6;
const PDV_HEADER: usize = 6;

/// What the peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    AssociateRq(Box<AssociateRq>),
    AssociateAc(Box<AssociateAc>),
    AssociateRj(Reject),
    /// A whole command set, in `Link::command`.
    Command {
        context: u8,
    },
    /// A piece of a data set, in `Link::data`; `last` ends the data set. It may be empty.
    Data {
        context: u8,
        last: bool,
    },
    ReleaseRq,
    ReleaseRp,
    Abort,
    /// The peer closed the connection between two PDUs.
    Closed,
}

/// Where the read position stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At the start of a PDU.
    Pdu,
    /// In a P-DATA PDU, at the start of a PDV; `left` bytes of the PDU follow.
    Pdv { left: usize },
    /// In a PDV: `left` bytes of it follow, then `after` bytes of the PDU.
    Value { left: usize, after: usize, context: u8, command: bool, last: bool },
}

pub(crate) struct Link {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes at `start` handed out by the last `Data` event.
    lent: usize,
    place: Place,
    command: Vec<u8>,
    command_context: u8,
    /// Set once a command set is complete; the next command fragment starts a new one.
    command_done: bool,
    /// Payload bytes per PDV that the peer takes.
    fragment: usize,
    out: Vec<u8>,
    write_timeout: Duration,
}

impl Link {
    pub(crate) fn new(stream: Box<dyn Stream>, write_timeout: Duration) -> Self {
        Self {
            stream,
            buffer: vec![0; READ_BUFFER],
            start: 0,
            end: 0,
            lent: 0,
            place: Place::Pdu,
            command: Vec::with_capacity(256),
            command_context: 0,
            command_done: true,
            fragment: 16 * 1024,
            out: Vec::new(),
            write_timeout,
        }
    }

    /// The command set that the last `Command` event completed.
    pub(crate) fn command(&self) -> &[u8] {
        &self.command
    }

    /// The bytes of the last `Data` event. They are gone with the next call of `event`.
    pub(crate) fn data(&self) -> &[u8] {
        self.buffer.get(self.start..self.start + self.lent).unwrap_or_default()
    }

    /// The largest P-DATA PDU the peer receives, from its association PDU; 0 means any. False when it is unusable.
    pub(crate) fn set_peer_max_pdu(&mut self, max_pdu: u32) -> bool {
        let max = if max_pdu == 0 { MAX_PDU_OUT } else { (max_pdu as usize).min(MAX_PDU_OUT) };
        // Fragments have even length (PS3.8 E.2 with PS3.5 7.1).
        self.fragment = max.saturating_sub(PDV_HEADER) & !1;
        self.fragment >= 2
    }

    /// Waits until something has arrived, or the connection is closed.
    pub(crate) async fn arrived(&mut self) -> Result<(), LinkError> {
        if self.held() == self.lent {
            self.start += self.lent;
            self.lent = 0;
            self.fill(1).await?;
        }
        Ok(())
    }

    /// The next thing the peer sent. Dropping the future loses nothing.
    pub(crate) async fn event(&mut self) -> Result<Event, LinkError> {
        self.start += self.lent;
        self.lent = 0;
        loop {
            match self.place {
                Place::Pdu => {
                    if self.held() < PDU_HEADER {
                        if !self.fill(PDU_HEADER).await? {
                            return if self.held() == 0 { Ok(Event::Closed) } else { Err(cut_off()) };
                        }
                        continue;
                    }
                    let header = self.peek::<PDU_HEADER>();
                    let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
                    if header[0] == 0x04 {
                        if length > 2 * MAX_PDU as usize {
                            return Err(LinkError::Fault(Fault::InvalidParameter));
                        }
                        self.start += PDU_HEADER;
                        self.place = Place::Pdv { left: length };
                    } else {
                        return self.control(header[0], length).await;
                    }
                }
                Place::Pdv { left: 0 } => self.place = Place::Pdu,
                Place::Pdv { left } => {
                    if left < PDV_HEADER {
                        return Err(LinkError::Fault(Fault::InvalidParameter));
                    }
                    if self.held() < PDV_HEADER {
                        if !self.fill(PDV_HEADER).await? {
                            return Err(cut_off());
                        }
                        continue;
                    }
                    let header = self.peek::<PDV_HEADER>();
                    let item = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
                    // The item length counts the context id and the control header.
                    if item < 2 || item > left - 4 {
                        return Err(LinkError::Fault(Fault::InvalidParameter));
                    }
                    self.start += PDV_HEADER;
                    let (context, control) = (header[4], header[5]);
                    let (command, last) = (control & 1 != 0, control & 2 != 0);
                    if command {
                        if self.command_done {
                            self.command.clear();
                            self.command_context = context;
                            self.command_done = false;
                        } else if self.command_context != context {
                            return Err(LinkError::Fault(Fault::InvalidParameter));
                        }
                    }
                    self.place = Place::Value { left: item - 2, after: left - 4 - item, context, command, last };
                }
                Place::Value { left, after, context, command, last } => {
                    if left > 0 && self.held() == 0 {
                        if !self.fill(1).await? {
                            return Err(cut_off());
                        }
                        continue;
                    }
                    let take = left.min(self.held());
                    let ended = take == left;
                    self.place = if ended {
                        Place::Pdv { left: after }
                    } else {
                        Place::Value { left: left - take, after, context, command, last }
                    };
                    if command {
                        if self.command.len() + take > MAX_COMMAND {
                            return Err(LinkError::Fault(Fault::InvalidParameter));
                        }
                        let piece = self.buffer.get(self.start..self.start + take).unwrap_or_default();
                        self.command.extend_from_slice(piece);
                        self.start += take;
                        if ended && last {
                            self.command_done = true;
                            return Ok(Event::Command { context });
                        }
                    } else {
                        self.lent = take;
                        let last = last && ended;
                        if take > 0 || last {
                            return Ok(Event::Data { context, last });
                        }
                    }
                }
            }
        }
    }

    /// Reads one PDU other than P-DATA.
    async fn control(&mut self, kind: u8, length: usize) -> Result<Event, LinkError> {
        let bound = match kind {
            0x01 | 0x02 => MAX_ASSOCIATE_PDU,
            // The rest have four bytes; some peers pad.
            0x03 | 0x05 | 0x06 | 0x07 => 64,
            _ => return Err(LinkError::Fault(Fault::UnrecognizedPdu)),
        };
        if length > bound {
            return Err(LinkError::Fault(Fault::InvalidParameter));
        }
        let whole = PDU_HEADER + length;
        while self.held() < whole {
            if !self.fill(whole).await? {
                return Err(cut_off());
            }
        }
        let body = self.buffer.get(self.start + PDU_HEADER..self.start + whole).unwrap_or_default();
        let event = match kind {
            0x01 => Event::AssociateRq(Box::new(associate::parse_rq(body)?)),
            0x02 => Event::AssociateAc(Box::new(associate::parse_ac(body)?)),
            0x03 => match body {
                [_, _, source, reason, ..] => Event::AssociateRj(Reject::from_codes(*source, *reason)),
                _ => return Err(LinkError::Fault(Fault::InvalidParameter)),
            },
            0x05 => Event::ReleaseRq,
            0x06 => Event::ReleaseRp,
            _ => Event::Abort,
        };
        self.start += whole;
        Ok(event)
    }

    fn held(&self) -> usize {
        self.end - self.start
    }

    fn peek<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(held) = self.buffer.get(self.start..self.start + N) {
            bytes.copy_from_slice(held);
        }
        bytes
    }

    /// Reads more, after making room for `whole` bytes from `start` on. False at the end of the stream.
    async fn fill(&mut self, whole: usize) -> Result<bool, LinkError> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.start + whole.max(4096) > self.buffer.len() {
            // Only headers and control PDUs are ever kept over a read, so that little is moved.
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if whole > self.buffer.len() {
                self.buffer.resize(whole, 0);
            }
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = self.stream.read(room).await?;
        self.end += read;
        Ok(read > 0)
    }

    pub(crate) async fn send_associate_rq(&mut self, rq: &AssociateRq) -> Result<(), LinkError> {
        self.send_pdu(associate::encode_rq(rq, MAX_PDU)).await
    }

    pub(crate) async fn send_associate_ac(&mut self, ac: &AssociateAc) -> Result<(), LinkError> {
        self.send_pdu(associate::encode_ac(ac, MAX_PDU)).await
    }

    pub(crate) async fn send_reject(&mut self, reject: Reject) -> Result<(), LinkError> {
        self.send_pdu(associate::encode_rj(reject)).await
    }

    pub(crate) async fn send_release_rq(&mut self) -> Result<(), LinkError> {
        self.send_pdu(associate::pdu(0x05, &[0; 4])).await
    }

    pub(crate) async fn send_release_rp(&mut self) -> Result<(), LinkError> {
        self.send_pdu(associate::pdu(0x06, &[0; 4])).await
    }

    /// A-P-ABORT: source 2, the service provider (PS3.8 9.3.8).
    pub(crate) async fn send_abort(&mut self, fault: Fault) -> Result<(), LinkError> {
        self.send_pdu(associate::pdu(0x07, &[0, 0, 2, fault.code()])).await
    }

    async fn send_pdu(&mut self, bytes: Vec<u8>) -> Result<(), LinkError> {
        self.out = bytes;
        self.flush().await
    }

    /// Sends a command set and, where there is one, its data set.
    pub(crate) async fn send_message(
        &mut self,
        context: u8,
        command: &[u8],
        data: Option<&[u8]>,
    ) -> Result<(), LinkError> {
        self.out.clear();
        self.frame(context, true, command);
        if let Some(data) = data {
            self.frame(context, false, data);
        }
        self.flush().await
    }

    /// Sends a piece of a data set; pieces before the last have even length.
    pub(crate) async fn send_data(&mut self, context: u8, piece: &[u8], last: bool) -> Result<(), LinkError> {
        let mut rest = piece;
        loop {
            let (now, later) = rest.split_at(rest.len().min(self.fragment));
            self.out.clear();
            self.pdv(context, false, last && later.is_empty(), now);
            self.flush().await?;
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn frame(&mut self, context: u8, command: bool, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let (now, later) = rest.split_at(rest.len().min(self.fragment));
            self.pdv(context, command, later.is_empty(), now);
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// One P-DATA PDU with one PDV.
    fn pdv(&mut self, context: u8, command: bool, last: bool, bytes: &[u8]) {
        let item = bytes.len() + 2;
        self.out.reserve(PDU_HEADER + PDV_HEADER + bytes.len());
        self.out.extend_from_slice(&[0x04, 0]);
        self.out.extend_from_slice(&((item + 4) as u32).to_be_bytes());
        self.out.extend_from_slice(&(item as u32).to_be_bytes());
        self.out.extend_from_slice(&[context, u8::from(command) | (u8::from(last) << 1)]);
        self.out.extend_from_slice(bytes);
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        match timeout(self.write_timeout, write).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(LinkError::Timeout),
        }
    }

    /// Closes after the peer had a chance to read our last PDU: a socket closed with unread input resets the
    /// connection and may destroy what we sent. This is the wait for the peer's close under ARTIM (PS3.8 9.2, Sta13).
    pub(crate) async fn linger(mut self, artim: Duration) {
        let drain = async {
            self.stream.shutdown().await?;
            let mut seen = 0usize;
            while seen < 16 * 1024 * 1024 {
                match self.stream.read(&mut self.buffer).await? {
                    0 => break,
                    read => seen += read,
                }
            }
            Ok::<(), std::io::Error>(())
        };
        // The connection is given up either way.
        let _ = timeout(artim, drain).await;
    }
}

fn cut_off() -> LinkError {
    LinkError::Io(std::io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
