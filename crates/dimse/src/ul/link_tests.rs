use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

fn link(capacity: usize) -> (Link, DuplexStream) {
    let (ours, theirs) = duplex(capacity);
    (Link::new(Box::new(ours), Duration::from_secs(5)), theirs)
}

/// One PDV of a P-DATA PDU.
type Piece = (bool, bool, Vec<u8>);

fn p_data(pieces: &[Piece]) -> Vec<u8> {
    let mut body = Vec::new();
    for (command, last, bytes) in pieces {
        body.extend_from_slice(&(bytes.len() as u32 + 2).to_be_bytes());
        body.extend_from_slice(&[1, u8::from(*command) | u8::from(*last) << 1]);
        body.extend_from_slice(bytes);
    }
    associate::pdu(0x04, &body)
}

/// Everything until the end, data sets and command sets gathered.
async fn gather(link: &mut Link) -> Result<Vec<(bool, Vec<u8>)>, LinkError> {
    let (mut messages, mut data) = (Vec::new(), Vec::new());
    loop {
        match link.event().await? {
            Event::Command { context: 1 } => messages.push((true, link.command().to_vec())),
            Event::Data { context: 1, last } => {
                data.extend_from_slice(link.data());
                if last {
                    messages.push((false, std::mem::take(&mut data)));
                }
            }
            Event::Closed => return Ok(messages),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn release_and_abort_are_told() {
    let (mut link, mut peer) = link(4096);
    peer.write_all(&associate::pdu(0x05, &[0; 4])).await.unwrap();
    peer.write_all(&associate::pdu(0x07, &[0, 0, 0, 0])).await.unwrap();
    drop(peer);
    assert_eq!(link.event().await.unwrap(), Event::ReleaseRq);
    assert_eq!(link.event().await.unwrap(), Event::Abort);
    assert_eq!(link.event().await.unwrap(), Event::Closed);
}

#[tokio::test]
async fn a_connection_that_ends_within_a_pdu_is_lost_not_closed() {
    let (mut link, mut peer) = link(4096);
    let whole = p_data(&[(false, true, vec![7; 100])]);
    peer.write_all(&whole[..50]).await.unwrap();
    drop(peer);
    assert!(matches!(link.event().await.unwrap(), Event::Data { last: false, .. }));
    assert!(matches!(link.event().await, Err(LinkError::Io(_))));
}

#[tokio::test]
async fn lengths_that_lie_are_faults() {
    let fault = |bytes: Vec<u8>| async move {
        let (mut link, mut peer) = link(1 << 20);
        peer.write_all(&bytes).await.unwrap();
        matches!(link.event().await, Err(LinkError::Fault(_)))
    };
    assert!(fault(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()).await, "HTTP");
    assert!(fault(vec![0x04, 0, 0xFF, 0xFF, 0xFF, 0xFF]).await, "P-DATA of 4 GiB");
    assert!(fault(vec![0x01, 0, 0x7F, 0, 0, 0]).await, "association request of 2 GiB");
    assert!(fault(vec![0x05, 0, 0, 1, 0, 0]).await, "release of 64 KiB");
    assert!(fault(associate::pdu(0x04, &[0, 0, 0, 9, 1, 0])).await, "PDV longer than its PDU");
    assert!(fault(associate::pdu(0x04, &[0, 0, 0, 1, 1, 0])).await, "PDV shorter than its header");
    assert!(fault(associate::pdu(0x04, &[0, 0])).await, "PDU shorter than a PDV header");
    assert!(fault(p_data(&[(true, false, vec![0; MAX_COMMAND + 1])])).await, "endless command set");
}

#[tokio::test]
async fn what_one_link_sends_another_reads() {
    let (ours, theirs) = duplex(64 * 1024);
    let mut sender = Link::new(Box::new(ours), Duration::from_secs(5));
    let mut reader = Link::new(Box::new(theirs), Duration::from_secs(5));
    assert!(sender.set_peer_max_pdu(1000));
    let data: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    let sent = data.clone();
    let sending = tokio::spawn(async move {
        sender.send_message(1, &[1; 2500], Some(&[2; 4000])).await.unwrap();
        sender.send_message(1, &[3; 10], None).await.unwrap();
        for piece in sent.chunks(30_000) {
            sender.send_data(1, piece, false).await.unwrap();
        }
        sender.send_data(1, &[], true).await.unwrap();
    });
    let read = gather(&mut reader).await.unwrap();
    sending.await.unwrap();
    assert_eq!(read, [(true, vec![1; 2500]), (false, vec![2; 4000]), (true, vec![3; 10]), (false, data)]);
}

#[test]
fn unusable_pdu_lengths_are_told() {
    let (mut link, _peer) = link(64);
    assert!(link.set_peer_max_pdu(0));
    assert!(link.set_peer_max_pdu(8));
    assert!(!link.set_peer_max_pdu(7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the bytes are cut into PDVs, PDUs and reads, the same messages come out.
    #[test]
    fn framing_does_not_change_messages(
        messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..3000)), 1..5),
        fragment in 1usize..900,
        per_pdu in 1usize..4,
        capacity in 7usize..2000,
    ) {
        let mut pieces: Vec<Piece> = Vec::new();
        for (command, bytes) in &messages {
            let mut chunks: Vec<Vec<u8>> = bytes.chunks(fragment).map(<[u8]>::to_vec).collect();
            if chunks.is_empty() {
                chunks.push(Vec::new());
            }
            let count = chunks.len();
            pieces.extend(chunks.into_iter().enumerate().map(|(i, c)| (*command, i + 1 == count, c)));
        }
        let wire: Vec<u8> = pieces.chunks(per_pdu).flat_map(p_data).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(async {
            let (mut link, mut peer) = link(capacity);
            let writing = tokio::spawn(async move { peer.write_all(&wire).await.unwrap() });
            let read = gather(&mut link).await.unwrap();
            writing.await.unwrap();
            read
        });
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn any_bytes_end_in_an_event_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut link, mut peer) = link(1024);
            peer.write_all(&bytes).await.unwrap();
            drop(peer);
            while let Ok(event) = link.event().await {
                if event == Event::Closed {
                    break;
                }
            }
        });
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// What reading costs, the kernel's share included: `cargo nextest run -p mingying-dimse --run-ignored all cost_of_reading`.
#[test]
#[ignore = "a measurement"]
fn cost_of_reading() {
    const IMAGES: usize = 1000;
    const IMAGE: usize = 525_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for fragment in [16_000, 131_000] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sending = std::thread::spawn(move || {
            use std::io::Write as _;
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let image = vec![7u8; IMAGE];
            let pieces: Vec<Piece> = image.chunks(fragment).map(|c| (false, false, c.to_vec())).collect();
            let mut wire: Vec<u8> = pieces.iter().flat_map(|piece| p_data(std::slice::from_ref(piece))).collect();
            wire.extend(p_data(&[(false, true, Vec::new())]));
            for _ in 0..IMAGES {
                socket.write_all(&wire).unwrap();
            }
        });
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let began = cpu();
        let (mut bytes, mut images) = (0, 0);
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let mut link = Link::new(Box::new(stream), Duration::from_secs(5));
            while let Event::Data { last, .. } = link.event().await.unwrap() {
                bytes += link.data().len();
                images += usize::from(last);
            }
        });
        let spent = cpu().saturating_sub(began);
        sending.join().unwrap();
        assert_eq!((bytes, images), (IMAGES * IMAGE, IMAGES));
        println!("PDU of {fragment}: {} MB in {} ms of CPU", bytes / 1_000_000, spent.as_millis());
    }
}
