//! Command sets (PS3.7 6.3, E.1): group 0000, implicit VR little endian, a dozen short elements.

/// Command Field values (PS3.7 E.1); responses have bit 0x8000 set.
pub(crate) mod field {
    pub(crate) const C_STORE_RQ: u16 = 0x0001;
    pub(crate) const C_GET_RQ: u16 = 0x0010;
    pub(crate) const C_FIND_RQ: u16 = 0x0020;
    pub(crate) const C_MOVE_RQ: u16 = 0x0021;
    pub(crate) const C_ECHO_RQ: u16 = 0x0030;
    pub(crate) const N_EVENT_REPORT_RQ: u16 = 0x0100;
    pub(crate) const N_SET_RQ: u16 = 0x0120;
    pub(crate) const N_ACTION_RQ: u16 = 0x0130;
    pub(crate) const N_CREATE_RQ: u16 = 0x0140;
    pub(crate) const C_CANCEL_RQ: u16 = 0x0FFF;
    pub(crate) const RESPONSE: u16 = 0x8000;
}

const NO_DATA_SET: u16 = 0x0101;

/// Element numbers of group 0000.
mod element {
    pub(super) const GROUP_LENGTH: u16 = 0x0000;
    pub(super) const AFFECTED_SOP_CLASS: u16 = 0x0002;
    pub(super) const REQUESTED_SOP_CLASS: u16 = 0x0003;
    pub(super) const FIELD: u16 = 0x0100;
    pub(super) const MESSAGE_ID: u16 = 0x0110;
    pub(super) const RESPONDED_TO: u16 = 0x0120;
    pub(super) const MOVE_DESTINATION: u16 = 0x0600;
    pub(super) const PRIORITY: u16 = 0x0700;
    pub(super) const DATA_SET_TYPE: u16 = 0x0800;
    pub(super) const STATUS: u16 = 0x0900;
    pub(super) const ERROR_COMMENT: u16 = 0x0902;
    pub(super) const ERROR_ID: u16 = 0x0903;
    pub(super) const AFFECTED_SOP_INSTANCE: u16 = 0x1000;
    pub(super) const REQUESTED_SOP_INSTANCE: u16 = 0x1001;
    pub(super) const EVENT_TYPE: u16 = 0x1002;
    pub(super) const ACTION_TYPE: u16 = 0x1008;
    pub(super) const REMAINING: u16 = 0x1020;
    pub(super) const COMPLETED: u16 = 0x1021;
    pub(super) const FAILED: u16 = 0x1022;
    pub(super) const WARNING: u16 = 0x1023;
    pub(super) const MOVE_ORIGINATOR: u16 = 0x1030;
    pub(super) const MOVE_ORIGINATOR_MESSAGE: u16 = 0x1031;
}

/// The command set breaks its encoding rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Counts of sub-operations in a C-MOVE or C-GET response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) remaining: u16,
    pub(crate) completed: u16,
    pub(crate) failed: u16,
    pub(crate) warning: u16,
}

/// A request or response, as far as the services here look at it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Command {
    pub(crate) field: u16,
    pub(crate) message_id: u16,
    /// Message ID Being Responded To; a C-CANCEL names its request by it too.
    pub(crate) responded_to: u16,
    /// Affected or Requested SOP Class UID.
    pub(crate) sop_class: String,
    /// Affected or Requested SOP Instance UID; empty when absent.
    pub(crate) sop_instance: String,
    pub(crate) move_destination: String,
    /// Action Type ID of an N-ACTION; 0 when absent.
    pub(crate) action_type: u16,
    pub(crate) has_data: bool,
    pub(crate) status: u16,
}

impl Command {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut command = Self::default();
        let (mut has_field, mut has_data_set_type) = (false, false);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (header, after) = rest.split_first_chunk::<8>().ok_or(Malformed)?;
            let group = u16::from_le_bytes([header[0], header[1]]);
            let number = u16::from_le_bytes([header[2], header[3]]);
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            if group != 0 {
                return Err(Malformed);
            }
            let (value, next) = after.split_at_checked(length).ok_or(Malformed)?;
            rest = next;
            match number {
                element::FIELD => {
                    command.field = us(value)?;
                    has_field = true;
                }
                element::MESSAGE_ID => command.message_id = us(value)?,
                element::RESPONDED_TO => command.responded_to = us(value)?,
                element::STATUS => command.status = us(value)?,
                element::DATA_SET_TYPE => {
                    command.has_data = us(value)? != NO_DATA_SET;
                    has_data_set_type = true;
                }
                element::AFFECTED_SOP_CLASS | element::REQUESTED_SOP_CLASS => command.sop_class = uid(value)?,
                element::AFFECTED_SOP_INSTANCE | element::REQUESTED_SOP_INSTANCE => {
                    command.sop_instance = uid(value)?;
                }
                element::ACTION_TYPE => command.action_type = us(value)?,
                element::MOVE_DESTINATION => {
                    text(value)?.trim_matches([' ', '\0']).clone_into(&mut command.move_destination);
                }
                _ => {}
            }
        }
        if has_field && has_data_set_type { Ok(command) } else { Err(Malformed) }
    }
}

fn us(value: &[u8]) -> Result<u16, Malformed> {
    match value {
        [low, high] => Ok(u16::from_le_bytes([*low, *high])),
        _ => Err(Malformed),
    }
}

fn text(value: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(value).map_err(|_| Malformed)
}

/// A UID without its padding. Its form is checked where it is used, so that one bad object does not cost a device the
/// association; here only that it is short and printable.
fn uid(value: &[u8]) -> Result<String, Malformed> {
    let uid = text(value)?.trim_matches(['\0', ' ']);
    if uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_graphic()) { Ok(uid.to_owned()) } else { Err(Malformed) }
}

/// Writes a command set. Elements are given in ascending order.
#[derive(Debug, Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn raw(&mut self, number: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(value);
    }

    fn us(&mut self, number: u16, value: u16) {
        self.raw(number, &value.to_le_bytes());
    }

    fn padded(&mut self, number: u16, value: &str, padding: u8) {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(padding);
        }
        self.raw(number, &bytes);
    }

    fn uid(&mut self, number: u16, value: &str) {
        if !value.is_empty() {
            self.padded(number, value, 0);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut whole = Self { bytes: Vec::with_capacity(self.bytes.len() + 12) };
        whole.raw(element::GROUP_LENGTH, &(self.bytes.len() as u32).to_le_bytes());
        whole.bytes.extend_from_slice(&self.bytes);
        whole.bytes
    }
}

/// A response to `request`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Response<'a> {
    pub(crate) request: &'a Command,
    pub(crate) status: u16,
    pub(crate) has_data: bool,
    pub(crate) counts: Option<Counts>,
    /// Error ID (0000,0903), where a service defines one.
    pub(crate) error_id: Option<u16>,
    /// Error Comment (0000,0902), at most 64 characters: a stable code, never patient data.
    pub(crate) comment: &'a str,
}

impl<'a> Response<'a> {
    pub(crate) fn to(request: &'a Command, status: u16) -> Self {
        Self { request, status, has_data: false, counts: None, error_id: None, comment: "" }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.uid(element::AFFECTED_SOP_CLASS, &self.request.sop_class);
        out.us(element::FIELD, self.request.field | field::RESPONSE);
        out.us(element::RESPONDED_TO, self.request.message_id);
        out.us(element::DATA_SET_TYPE, if self.has_data { 0 } else { NO_DATA_SET });
        out.us(element::STATUS, self.status);
        if !self.comment.is_empty() {
            let end = self.comment.char_indices().nth(64).map_or(self.comment.len(), |(at, _)| at);
            out.padded(element::ERROR_COMMENT, self.comment.get(..end).unwrap_or_default(), b' ');
        }
        if let Some(id) = self.error_id {
            out.us(element::ERROR_ID, id);
        }
        // C-FIND, C-MOVE, C-GET and C-ECHO responses have no instance.
        if matches!(self.request.field, field::C_STORE_RQ | field::N_CREATE_RQ | field::N_SET_RQ | field::N_ACTION_RQ) {
            out.uid(element::AFFECTED_SOP_INSTANCE, &self.request.sop_instance);
        }
        if let Some(counts) = self.counts {
            // The remaining count stands in pending and cancelled responses only (PS3.4 C.4.2.1.7).
            if matches!(self.status, 0xFF00 | 0xFE00) {
                out.us(element::REMAINING, counts.remaining);
            }
            out.us(element::COMPLETED, counts.completed);
            out.us(element::FAILED, counts.failed);
            out.us(element::WARNING, counts.warning);
        }
        out.finish()
    }
}

pub(crate) fn echo_request(message_id: u16) -> Vec<u8> {
    let mut out = Writer::default();
    out.uid(element::AFFECTED_SOP_CLASS, crate::uids::VERIFICATION);
    out.us(element::FIELD, field::C_ECHO_RQ);
    out.us(element::MESSAGE_ID, message_id);
    out.us(element::DATA_SET_TYPE, NO_DATA_SET);
    out.finish()
}

/// An N-EVENT-REPORT request with a data set.
pub(crate) fn event_report(message_id: u16, sop_class: &str, sop_instance: &str, event_type: u16) -> Vec<u8> {
    let mut out = Writer::default();
    out.uid(element::AFFECTED_SOP_CLASS, sop_class);
    out.us(element::FIELD, field::N_EVENT_REPORT_RQ);
    out.us(element::MESSAGE_ID, message_id);
    out.us(element::DATA_SET_TYPE, 0);
    out.uid(element::AFFECTED_SOP_INSTANCE, sop_instance);
    out.us(element::EVENT_TYPE, event_type);
    out.finish()
}

/// A C-STORE request. As a sub-operation of a C-MOVE it names who asked for that, with which message.
pub(crate) fn store_request(
    message_id: u16,
    sop_class: &str,
    sop_instance: &str,
    originator: Option<(&str, u16)>,
) -> Vec<u8> {
    let mut out = Writer::default();
    out.uid(element::AFFECTED_SOP_CLASS, sop_class);
    out.us(element::FIELD, field::C_STORE_RQ);
    out.us(element::MESSAGE_ID, message_id);
    out.us(element::PRIORITY, 0);
    out.us(element::DATA_SET_TYPE, 0);
    out.uid(element::AFFECTED_SOP_INSTANCE, sop_instance);
    if let Some((title, message)) = originator {
        out.padded(element::MOVE_ORIGINATOR, title, b' ');
        out.us(element::MOVE_ORIGINATOR_MESSAGE, message);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Command {
        Command {
            field: field::C_STORE_RQ,
            message_id: 7,
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop_instance: "1.2.3".to_owned(),
            has_data: true,
            ..Command::default()
        }
    }

    #[test]
    fn requests_read_as_written() {
        let bytes = store_request(7, "1.2.840.10008.5.1.4.1.1.2", "1.2.3", Some(("CT01", 3)));
        assert_eq!(Command::parse(&bytes), Ok(request()));
        let echo = Command::parse(&echo_request(9)).unwrap();
        assert_eq!((echo.field, echo.message_id, echo.has_data), (field::C_ECHO_RQ, 9, false));
    }

    #[test]
    fn responses_name_their_request() {
        let request = request();
        let mut response = Response::to(&request, 0xA700);
        response.comment = "blob.full";
        let read = Command::parse(&response.encode()).unwrap();
        assert_eq!((read.field, read.responded_to, read.status), (0x8001, 7, 0xA700));
        assert_eq!(read.sop_instance, "1.2.3");
        assert!(!read.has_data);
    }

    #[test]
    fn a_response_is_in_ascending_order_with_its_length_in_front() {
        let request = request();
        let mut response = Response::to(&request, 0xFF00);
        response.counts = Some(Counts { remaining: 1, completed: 2, failed: 3, warning: 4 });
        let bytes = response.encode();
        let mut at = 0;
        let mut numbers = Vec::new();
        while at < bytes.len() {
            numbers.push(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]));
            at += 8 + u32::from_le_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]) as usize;
        }
        assert!(numbers.is_sorted());
        assert_eq!(numbers.first(), Some(&0));
        assert_eq!(u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize, bytes.len() - 12);
    }

    #[test]
    fn malformed_command_sets_are_refused() {
        assert_eq!(Command::parse(&[]), Err(Malformed), "nothing");
        assert_eq!(Command::parse(&[8, 0, 5, 0, 0, 0, 0, 0]), Err(Malformed), "another group");
        assert_eq!(Command::parse(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Malformed), "length");
        assert_eq!(Command::parse(&[0, 0, 0, 1, 1, 0, 0, 0, 1]), Err(Malformed), "a US of one byte");
        let whole = echo_request(1);
        for cut in 0..whole.len() {
            assert!(Command::parse(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::parse(&bytes);
        }
    }
}
