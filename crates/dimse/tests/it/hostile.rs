//! Peers that break the protocol, by accident or not. Each case ends within seconds and harms nobody else.

use crate::station::{Station, settings};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const VERIFICATION: &str = "1.2.840.10008.1.1";
const STUDY_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";

pub fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0];
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out
}

pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0];
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// An association request with one context for each class.
pub fn request(called: &str, classes: &[&str]) -> Vec<u8> {
    request_with(called, classes, &[])
}

/// The same with further items of user information.
pub fn request_with(called: &str, classes: &[&str], user: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend_from_slice(format!("{called:<16}{:<16}", "RAW").as_bytes());
    body.extend_from_slice(&[0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (class, id) in classes.iter().zip((1u8..).step_by(2)) {
        let mut context = vec![id, 0, 0, 0];
        context.extend(item(0x30, class.as_bytes()));
        context.extend(item(0x40, b"1.2.840.10008.1.2"));
        body.extend(item(0x20, &context));
    }
    body.extend(item(0x50, &[&item(0x51, &16384u32.to_be_bytes()), user].concat()));
    pdu(0x01, &body)
}

pub fn p_data(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    let mut body = (bytes.len() as u32 + 2).to_be_bytes().to_vec();
    body.extend_from_slice(&[context, control]);
    body.extend_from_slice(bytes);
    pdu(0x04, &body)
}

pub fn element(number: u16, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
    out
}

fn command(field: u16, data: bool) -> Vec<u8> {
    [
        element(0x0002, b"1.2.840.10008.1.1\0"),
        element(0x0100, &field.to_le_bytes()),
        element(0x0110, &[1, 0]),
        element(0x0800, if data { &[0, 0] } else { &[1, 1] }),
    ]
    .concat()
}

/// The next PDU, or `None` when the connection ends first.
pub async fn read_pdu(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let mut header = [0; 6];
        socket.read_exact(&mut header).await.ok()?;
        let mut body = vec![0; u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize];
        socket.read_exact(&mut body).await.ok()?;
        Some([&header[..], &body].concat())
    };
    timeout(Duration::from_secs(8), read).await.expect("an answer or the end within seconds")
}

/// An accepted association with Verification on 1 and Study Root find on 3.
pub async fn associated(station: &Station) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.write_all(&request("MINGYING", &[VERIFICATION, STUDY_FIND])).await.unwrap();
    let answer = read_pdu(&mut socket).await.unwrap();
    assert_eq!(answer[0], 0x02, "accepted");
    socket
}

/// The status in a response's command set.
pub fn status_of(pdu: &[u8]) -> u16 {
    let at = pdu.windows(8).position(|w| w == [0, 0, 0, 9, 2, 0, 0, 0]).unwrap() + 8;
    u16::from_le_bytes([pdu[at], pdu[at + 1]])
}

/// Sends bytes without an association and tells the type of the answer, if there is one.
async fn answer_to(station: &Station, bytes: &[u8]) -> Option<u8> {
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    read_pdu(&mut socket).await.map(|pdu| pdu[0])
}

async fn answer_within(station: &Station, bytes: &[u8]) -> Option<u8> {
    let mut socket = associated(station).await;
    socket.write_all(bytes).await.unwrap();
    read_pdu(&mut socket).await.map(|pdu| pdu[0])
}

async fn still_serves(station: &Station) {
    let mut socket = associated(station).await;
    socket.write_all(&p_data(1, 3, &command(0x0030, false))).await.unwrap();
    let response = read_pdu(&mut socket).await.unwrap();
    assert_eq!(response[0], 0x04);
    socket.write_all(&pdu(0x05, &[0; 4])).await.unwrap();
    assert_eq!(read_pdu(&mut socket).await.unwrap()[0], 0x06);
}

const ABORT: Option<u8> = Some(0x07);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_aborted() {
    let station = Station::start().await;
    assert_eq!(answer_to(&station, b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n").await, ABORT);
    assert_eq!(answer_to(&station, &[0xFF; 100]).await, ABORT);
    assert_eq!(answer_to(&station, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]).await, ABORT, "TLS on the plain port");
    assert_eq!(answer_to(&station, &[0x01, 0, 0xFF, 0xFF, 0xFF, 0xFF]).await, ABORT, "a request of 4 GiB");
    assert_eq!(answer_to(&station, &pdu(0x01, &[0; 20])).await, ABORT, "a request of 20 bytes");
    assert_eq!(answer_to(&station, &pdu(0x05, &[0; 4])).await, ABORT, "release before anything");
    assert_eq!(answer_to(&station, &p_data(1, 3, &command(0x0030, false))).await, ABORT, "data before anything");
    still_serves(&station).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_contexts_are_aborted() {
    let station = Station::start().await;
    assert_eq!(answer_to(&station, &request("MINGYING", &[])).await, ABORT);
    still_serves(&station).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_titles_are_rejected_for_good() {
    let station = Station::start().await;
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.write_all(&request("SOMEBODY", &[VERIFICATION])).await.unwrap();
    // Rejected permanently by the service user: called AE title not recognized (PS3.8 9.3.4).
    assert_eq!(read_pdu(&mut socket).await.unwrap(), pdu(0x03, &[0, 1, 1, 7]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncated_pdus_do_not_hold_the_listener() {
    let mut quick = settings();
    quick.artim = Duration::from_millis(300);
    quick.stall = Duration::from_millis(300);
    let station = Station::start_with(quick, None).await;
    let whole = request("MINGYING", &[VERIFICATION]);
    assert_eq!(answer_to(&station, &whole[..40]).await, ABORT, "the request never ends");
    assert_eq!(answer_to(&station, &[]).await, ABORT, "nothing comes at all");
    let message = p_data(1, 3, &command(0x0030, false));
    assert_eq!(answer_within(&station, &message[..20]).await, ABORT, "a message never ends");
    // Closing in the middle ends it without an answer to anybody.
    let mut socket = associated(&station).await;
    socket.write_all(&message[..20]).await.unwrap();
    drop(socket);
    still_serves(&station).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_peers_are_served() {
    let station = Station::start().await;
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in request("MINGYING", &[VERIFICATION]) {
        socket.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read_pdu(&mut socket).await.unwrap()[0], 0x02);
    for byte in p_data(1, 3, &command(0x0030, false)) {
        socket.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(read_pdu(&mut socket).await.unwrap()[0], 0x04);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_are_aborted() {
    let station = Station::start().await;
    let echo = command(0x0030, false);
    assert_eq!(answer_within(&station, &p_data(99, 3, &echo)).await, ABORT, "a context that was not accepted");
    assert_eq!(answer_within(&station, &p_data(1, 3, &[1, 2, 3])).await, ABORT, "no command set");
    assert_eq!(answer_within(&station, &p_data(1, 2, b"data")).await, ABORT, "a data set without a command");
    assert_eq!(answer_within(&station, &p_data(1, 3, &command(0x8030, false))).await, ABORT, "a response to nothing");
    assert_eq!(answer_within(&station, &pdu(0x04, &[0xFF; 16])).await, ABORT, "a PDV beyond its PDU");
    assert_eq!(answer_within(&station, &[0x04, 0, 0x10, 0, 0, 0]).await, ABORT, "a PDU of 256 MiB");
    assert_eq!(answer_within(&station, &request("MINGYING", &[VERIFICATION])).await, ABORT, "a second request");
    assert_eq!(answer_within(&station, &pdu(0x42, &[0; 8])).await, ABORT, "a PDU type that does not exist");
    let find = [p_data(3, 3, &command(0x0020, true)), p_data(1, 2, b"elsewhere")].concat();
    assert_eq!(answer_within(&station, &find).await, ABORT, "the data set on another context");
    let commands: Vec<u8> = std::iter::repeat_n(p_data(1, 1, &[0; 4000]), 8).flatten().collect();
    assert_eq!(answer_within(&station, &commands).await, ABORT, "a command set without end");
    still_serves(&station).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_of_other_services_are_unrecognized() {
    let station = Station::start().await;
    let mut socket = associated(&station).await;
    // C-FIND on Verification, with a data set that has to be read past.
    socket.write_all(&p_data(1, 3, &command(0x0020, true))).await.unwrap();
    socket.write_all(&p_data(1, 2, &[0; 1000])).await.unwrap();
    let response = read_pdu(&mut socket).await.unwrap();
    let status = element(0x0900, &0x0211u16.to_le_bytes());
    assert!(response.windows(status.len()).any(|w| w == status), "0211");
    // A late C-CANCEL has no answer; the echo after it has.
    socket.write_all(&p_data(3, 3, &command(0x0FFF, false))).await.unwrap();
    socket.write_all(&p_data(1, 3, &command(0x0030, false))).await.unwrap();
    let response = read_pdu(&mut socket).await.unwrap();
    let field = element(0x0100, &0x8030u16.to_le_bytes());
    assert!(response.windows(field.len()).any(|w| w == field));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identifier_that_is_none_has_a_status() {
    let station = Station::start().await;
    let mut socket = associated(&station).await;
    socket.write_all(&p_data(3, 3, &command(0x0020, true))).await.unwrap();
    socket.write_all(&p_data(3, 2, &[0x10, 0, 0x10, 0, 0xFF, 0, 0, 0])).await.unwrap();
    let response = read_pdu(&mut socket).await.unwrap();
    let status = element(0x0900, &0xC000u16.to_le_bytes());
    assert!(response.windows(status.len()).any(|w| w == status), "C000");
    still_serves(&station).await;
}
