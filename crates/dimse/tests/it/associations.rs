//! Who is let in, and how one is let go.

use crate::station::{Station, said, settings};
use mingying_dimse::{DimseError, NewPeer, PeerKind, Settings, add_peer, echo_peer, list_peers, remove_peer};
use mingying_kernel::{AeTitle, Role};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_gets_its_echo() {
    let station = Station::start().await;
    let output = station.dcmtk("echoscu", &["-aet", "CT01", "-aec", "MINGYING", "--repeat", "5"], &[]).await;
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_wrong_titles_are_rejected_and_audited() {
    let mut strict = settings();
    strict.accept_any_from_loopback = false;
    let station = Station::start_with(strict, None).await;
    let stranger = station.dcmtk("echoscu", &["-v", "-aet", "STRANGER", "-aec", "MINGYING"], &[]).await;
    assert!(!stranger.status.success());
    assert!(said(&stranger).contains("Calling AE Title Not Recognized"), "{}", said(&stranger));
    let lost = station.dcmtk("echoscu", &["-v", "-aet", "CT01", "-aec", "ORTHANC"], &[]).await;
    assert!(!lost.status.success());
    assert!(said(&lost).contains("Called AE Title Not Recognized"), "{}", said(&lost));
    assert_eq!(station.audited("association.open", "denied").await, 2);
    // The same refusal again within a minute adds no row.
    station.dcmtk("echoscu", &["-aet", "STRANGER", "-aec", "MINGYING"], &[]).await;
    assert_eq!(station.audited("association.open", "denied").await, 2);
    // Known from the next association on, and forgotten again.
    station.add_peer("STRANGER", 104, "").await;
    let known = station.dcmtk("echoscu", &["-aet", "STRANGER", "-aec", "MINGYING"], &[]).await;
    assert!(known.status.success(), "{}", said(&known));
    remove_peer(&station.db, &station.may_manage(), "STRANGER").await.unwrap();
    let gone = station.dcmtk("echoscu", &["-aet", "STRANGER", "-aec", "MINGYING"], &[]).await;
    assert!(!gone.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn associations_beyond_the_limit_are_told_to_come_back() {
    let mut narrow = settings();
    narrow.max_associations = 0;
    let station = Station::start_with(narrow, None).await;
    let output = station.dcmtk("echoscu", &["-v", "-aet", "CT01", "-aec", "MINGYING"], &[]).await;
    assert!(said(&output).contains("Local Limit Exceeded"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_services_are_refused_by_context() {
    let station = Station::start().await;
    // A print SCU is no client of ours: its context is refused, the association is not.
    let output = station.dcmtk("termscu", &["-aet", "CT01", "-aec", "MINGYING"], &[]).await;
    assert!(!output.status.success());
    let echo = station.dcmtk("echoscu", &["-aet", "CT01", "-aec", "MINGYING"], &[]).await;
    assert!(echo.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_when_asked_for() {
    let cert = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(cert.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.cert.der().clone()], key.into())
        .unwrap();
    let station = Station::start_with(settings(), Some(TlsAcceptor::from(Arc::new(config)))).await;
    let plain = station.dcmtk("echoscu", &["-aet", "CT01", "-aec", "MINGYING", "-ta", "2"], &[]).await;
    assert!(!plain.status.success(), "plain text is not answered");
    let tls = station.dcmtk("echoscu", &["+tla", "-ic", "-aet", "CT01", "-aec", "MINGYING"], &[]).await;
    assert!(tls.status.success(), "{}", said(&tls));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_go_of_idle_associations() {
    // What waits for the end of the grace time waits too long.
    let patient = Settings { grace: Duration::from_hours(1), ..settings() };
    let station = Station::start_with(patient, None).await;
    // Five echoes, then the client holds the association open without a word.
    let mut socket = crate::hostile::associated(&station).await;
    station.stop.cancel();
    let abort = crate::hostile::read_pdu(&mut socket).await;
    assert_eq!(abort.map(|pdu| pdu[0]), Some(0x07));
    drop(socket);
    station.serving.await.unwrap();
}

/// Gives no certificate: nothing gets as far as asking for one.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_does_not_wait_for_a_handshake() {
    let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
    let patient = Settings { grace: Duration::from_hours(1), artim: Duration::from_hours(1), ..settings() };
    let station = Station::start_with(patient, Some(TlsAcceptor::from(Arc::new(config)))).await;
    let silent = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    // The next connection is accepted after the silent one.
    let mut next = TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
    next.write_all(b"not a handshake").await.unwrap();
    while next.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
    station.stop.cancel();
    station.serving.await.unwrap();
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_echoed() {
    let station = Station::start().await;
    let permit = station.may_manage();
    let title = AeTitle::parse("MINGYING").unwrap();
    // Ourselves will do for a peer.
    station.add_peer("MINGYING", station.port, "").await;
    let echo = echo_peer(&station.db, &permit, &title, "MINGYING", Duration::from_secs(5)).await.unwrap();
    assert!(echo.ok, "{echo:?}");
    // Somebody who accepts the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    station.add_peer("SILENT", silent.local_addr().unwrap().port(), "").await;
    let echo = echo_peer(&station.db, &permit, &title, "SILENT", Duration::from_millis(300)).await.unwrap();
    assert_eq!((echo.ok, echo.error.as_deref()), (false, Some("timeout")));
    // Nobody at all: a port that is never given out by itself.
    station.add_peer("NOBODY", 1, "").await;
    let echo = echo_peer(&station.db, &permit, &title, "NOBODY", Duration::from_secs(5)).await.unwrap();
    assert_eq!(echo.error.as_deref(), Some("unreachable"));
    // One who knows us under another name.
    station.add_peer("OTHER", station.port, "").await;
    let echo = echo_peer(&station.db, &permit, &title, "OTHER", Duration::from_secs(5)).await.unwrap();
    assert_eq!(echo.error.as_deref(), Some("rejected"));
    let peers = list_peers(&station.db, &station.ctx(Role::Tech).permit().unwrap()).await.unwrap();
    let oks: Vec<_> = peers.iter().map(|p| (p.aet.as_str(), p.last_echo.as_ref().map(|e| e.ok))).collect();
    assert_eq!(
        oks,
        [("MINGYING", Some(true)), ("NOBODY", Some(false)), ("OTHER", Some(false)), ("SILENT", Some(false))]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_register_keeps_its_rules() {
    let station = Station::start().await;
    let permit = station.may_manage();
    let parse = |aet, host, port, charset| NewPeer::parse(aet, host, port, PeerKind::Archive, charset);
    assert!(matches!(parse("", "h", 1, ""), Err(DimseError::Invalid("aet"))));
    assert!(matches!(parse("A", "h h", 1, ""), Err(DimseError::Invalid("host"))));
    assert!(matches!(parse("A", "", 1, ""), Err(DimseError::Invalid("host"))));
    assert!(matches!(parse("A", "h", 0, ""), Err(DimseError::Invalid("port"))));
    assert!(matches!(parse("A", "h", 1, "KLINGON"), Err(DimseError::Invalid("charset"))));
    let new = parse("PACS2", "pacs2.example.org", 11112, "GB18030").unwrap();
    let peer = add_peer(&station.db, &permit, new.clone()).await.unwrap();
    assert_eq!((peer.kind, peer.charset.as_str(), peer.received), (PeerKind::Archive, "GB18030", 0));
    assert!(matches!(add_peer(&station.db, &permit, new).await, Err(DimseError::AeTitleTaken)));
    assert_eq!(station.audited("peer.manage", "done").await, 1);
    assert!(matches!(remove_peer(&station.db, &permit, "NOBODY").await, Err(DimseError::PeerNotFound)));
    assert!(station.ctx(Role::Radiologist).permit::<mingying_dimse::ManagePeers>().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_may_what_the_register_allows() {
    let station = Station::start().await;
    let rules = mingying_dimse::PeerRules::parse("worklist", Some(1)).unwrap();
    let raw = NewPeer::parse("RAW", "127.0.0.1", 104, PeerKind::Modality, "").unwrap().with_rules(rules);
    add_peer(&station.db, &station.may_manage(), raw).await.unwrap();
    let kept = mingying_dimse::list_peers(&station.db, &station.ctx(Role::Engineer).permit().unwrap()).await.unwrap();
    assert_eq!((kept[0].rules.words().as_str(), kept[0].rules.max_associations), ("worklist", Some(1)));
    let classes = ["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.31"];
    let open = async || {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", station.port)).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, &crate::hostile::request("MINGYING", &classes)).await.unwrap();
        let answer = crate::hostile::read_pdu(&mut socket).await.unwrap();
        (socket, answer)
    };
    let (socket, answer) = open().await;
    let outcomes: Vec<u8> =
        answer.windows(8).filter(|w| w[0] == 0x21 && w[1] == 0 && w[5] == 0 && w[7] == 0).map(|w| w[6]).collect();
    assert_eq!(outcomes, [0, 2, 0], "neither query nor retrieval");
    assert_eq!(open().await.1[0], 0x03, "one association at a time");
    drop(socket);
    while station.dimse.open_associations() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(open().await.1[0], 0x02);
}
