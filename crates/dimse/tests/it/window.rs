//! Asynchronous operations (PS3.7 D.3.3.3): several objects underway on one association.

use crate::hostile::{element, item, p_data, pdu, read_pdu};
use crate::station::{CT, Station};
use std::collections::BTreeSet;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn request(operations: Option<[u8; 4]>) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend_from_slice(format!("{:<16}{:<16}", "MINGYING", "CT01").as_bytes());
    body.extend_from_slice(&[0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut context = vec![1, 0, 0, 0];
    context.extend(item(0x30, CT.as_bytes()));
    context.extend(item(0x40, b"1.2.840.10008.1.2"));
    body.extend(item(0x20, &context));
    let mut user = item(0x51, &16384u32.to_be_bytes());
    if let Some(operations) = operations {
        user.extend(item(0x53, &operations));
    }
    body.extend(item(0x50, &user));
    pdu(0x01, &body)
}

fn padded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// One C-STORE request with its data set.
fn store(message: u16) -> Vec<u8> {
    let sop = format!("1.2.826.0.1.3680043.9999.6.1.{message}");
    let command = [
        element(0x0002, &padded(CT)),
        element(0x0100, &1u16.to_le_bytes()),
        element(0x0110, &message.to_le_bytes()),
        element(0x0700, &[0, 0]),
        element(0x0800, &[0, 0]),
        element(0x1000, &padded(&sop)),
    ]
    .concat();
    let implicit = |group: u16, number: u16, value: &[u8]| {
        let mut out = element(number, value);
        out[..2].copy_from_slice(&group.to_le_bytes());
        out
    };
    let data = [
        implicit(8, 0x16, &padded(CT)),
        implicit(8, 0x18, &padded(&sop)),
        implicit(8, 0x60, b"CT"),
        implicit(0x10, 0x20, b"P1"),
        implicit(0x20, 0x0D, &padded("1.2.826.0.1.3680043.9999.6")),
        implicit(0x20, 0x0E, &padded("1.2.826.0.1.3680043.9999.6.1")),
    ]
    .concat();
    [p_data(1, 3, &command), p_data(1, 2, &data)].concat()
}

/// Whether the answer has an operations window item with this value.
fn has_window(answer: &[u8], value: [u8; 4]) -> bool {
    let item = item(0x53, &value);
    answer.windows(item.len()).any(|w| w == item)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_objects_before_the_first_answer() {
    let station = Station::start().await;
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.write_all(&request(Some([0, 8, 0, 1]))).await.unwrap();
    let answer = read_pdu(&mut socket).await.unwrap();
    assert_eq!(answer[0], 0x02);
    assert!(has_window(&answer, [0, 8, 0, 1]));
    let wire: Vec<u8> = (1..=8).flat_map(store).collect();
    socket.write_all(&wire).await.unwrap();
    let mut answered = BTreeSet::new();
    for _ in 0..8 {
        let response = read_pdu(&mut socket).await.unwrap();
        let ok = element(0x0900, &[0, 0]);
        assert!(response.windows(ok.len()).any(|w| w == ok));
        answered.extend((1..=8u16).filter(|id| {
            let to = element(0x0120, &id.to_le_bytes());
            response.windows(to.len()).any(|w| w == to)
        }));
    }
    assert_eq!(answered.len(), 8, "each message is answered once");
    socket.write_all(&pdu(0x05, &[0; 4])).await.unwrap();
    assert_eq!(read_pdu(&mut socket).await.unwrap()[0], 0x06);
    assert_eq!(station.instances("1.2.826.0.1.3680043.9999.6").await.len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_window_objects_are_answered_one_by_one() {
    let station = Station::start().await;
    let mut socket = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    socket.write_all(&request(None)).await.unwrap();
    let answer = read_pdu(&mut socket).await.unwrap();
    assert!(!answer.windows(4).any(|w| w == [0x53, 0, 0, 4]), "not answered where it was not asked for");
    // A peer that sends on regardless is served in order.
    let wire: Vec<u8> = (1..=3).flat_map(store).collect();
    socket.write_all(&wire).await.unwrap();
    for id in 1..=3u16 {
        let response = read_pdu(&mut socket).await.unwrap();
        let to = element(0x0120, &id.to_le_bytes());
        assert!(response.windows(to.len()).any(|w| w == to), "message {id}");
    }
}
