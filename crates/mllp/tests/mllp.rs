//! HL7 over real sockets, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mingying_access::RolePolicy;
use mingying_db::Db;
use mingying_events::payload::interfaces::MessageFailed;
use mingying_hl7::{Charset, Message};
use mingying_kernel::{CampusId, Coded, Ctx, DepartmentId, DeviceId, OrgId, Role, RoomId, SharedClock};
use mingying_mllp::*;
use mingying_orders::{CatalogueItem, ExamState, OrderQuery};
use mingying_scheduling::{Device, OpeningHours, Room};
use mingying_testkit::{clock, ctx_as, on_both};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

fn admin() -> Ctx {
    let clock: SharedClock = clock();
    ctx_as(Role::Admin, &clock)
}

/// A hospital with one CT, and a listener that knows the sender HIS.
async fn hospital(db: &Db, settings: Settings) -> (SocketAddr, CancellationToken) {
    let org = OrgId::new();
    let mut tx = db.begin().await.unwrap();
    let named = mingying_access::Org { id: org, name: "虚构医院".into(), name_en: "Fictional".into() };
    mingying_access::put_org(&mut tx, &named).await.unwrap();
    tx.commit().await.unwrap();
    let ctx = admin();
    let item = CatalogueItem {
        id: "ct-head".into(),
        code: "CT-HEAD".into(),
        name: "颅脑CT平扫".into(),
        name_en: "CT head".into(),
        modality: "CT".into(),
        body_part: "HEAD".into(),
        sided: false,
        contrast: false,
        duration_min: 15,
        preparation: String::new(),
        preparation_en: String::new(),
        price_cents: 1,
    };
    mingying_orders::upsert_catalogue(db, &ctx.permit().unwrap(), org, &[item]).await.unwrap();
    let room = Room {
        id: RoomId::new(),
        org,
        campus: CampusId::new(),
        department: DepartmentId::new(),
        code: "CT1".into(),
        name: "CT一室".into(),
        name_en: "CT room 1".into(),
        ticket_prefix: "A".into(),
    };
    mingying_scheduling::put_room(db, &ctx.permit().unwrap(), &room).await.unwrap();
    let device = Device {
        id: DeviceId::new(),
        org,
        campus: room.campus,
        department: room.department,
        room: room.id,
        ae_title: "CT01".to_owned().try_into().unwrap(),
        name: "CT 1".into(),
        modality: "CT".into(),
        capacity: 1,
        active: true,
        mobile: false,
    };
    mingying_scheduling::put_device(db, &ctx.permit().unwrap(), &device).await.unwrap();
    let hours: Vec<_> = (1..=7)
        .map(|weekday| OpeningHours {
            weekday,
            from: jiff::civil::time(7, 0, 0, 0),
            to: jiff::civil::time(20, 0, 0, 0),
        })
        .collect();
    mingying_scheduling::set_opening_hours(db, &ctx.permit().unwrap(), device.id, &hours).await.unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let listener = Listener::new(db.clone(), Arc::new(RolePolicy), clock(), settings);
    tokio::spawn(listener.serve(socket, cancel.clone()));
    (address, cancel)
}

fn his() -> Settings {
    Settings { senders: vec!["HIS".into()], ..Settings::default() }
}

fn omi(control: &str, code: &str, name: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|MAIN|MINGYING|RAD|20260302080000||OMI^O23^OMI_O23|{control}|P|2.5.1||||||UNICODE UTF-8\r\
         PID|1||P100^^^&1.2.3.4&ISO^MR||{name}||19900307|M\r\
         PV1|1|O\r\
         ORC|NW|PL-9^HIS||||||||||D1^李^医生|||||N1^神经内科\r\
         TQ1|1||||||20260302093000||R\r\
         OBR|1|PL-9||{code}^颅脑CT平扫\r\
         DG1|1||R51^头痛\r\
         IPC|||||CT||||CT01\r"
    )
}

async fn exchange(address: SocketAddr, message: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&wrap(message)).await.unwrap();
    let mut frames = Frames::default();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "closed without an answer");
        if let Some(answer) = frames.push(&buffer[..n]).unwrap().into_iter().next() {
            return mingying_hl7::decode(&answer).0;
        }
    }
}

fn code(answer: &str) -> String {
    Message::parse(answer).unwrap().value("MSA", 1, 1, 1, 1)
}

async fn orders(db: &Db) -> Vec<mingying_orders::Order> {
    mingying_orders::list(db, &admin().permit().unwrap(), &OrderQuery::default()).await.unwrap().items
}

async fn errors(db: &Db) -> Vec<MessageRow> {
    list(db, &admin().permit().unwrap(), Some(MessageState::Error), None, None, 50).await.unwrap()
}

on_both! {
    async fn an_order_with_station_and_time_stands_in_the_worklist(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        assert_eq!(code(&exchange(address, omi("1", "CT-HEAD", "张三").as_bytes()).await), "AA");
        let found = orders(&db).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].state, ExamState::Scheduled);
        assert_eq!(found[0].patient.name, "张三");
        let query = mingying_exam::WorklistQuery { station_aet: Some("CT01".into()), ..Default::default() };
        let items = mingying_exam::query_worklist(&db, &admin().permit().unwrap(), &query).await.unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].start_local, jiff::civil::date(2026, 3, 2).at(9, 30, 0, 0));
        assert_eq!(items[0].patient_id, "P100");
    }

    async fn the_same_order_again_never_makes_a_second_one(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        for control in ["1", "1", "2"] {
            assert_eq!(code(&exchange(address, omi(control, "CT-HEAD", "张三").as_bytes()).await), "AA");
        }
        assert_eq!(orders(&db).await.len(), 1);
        let logged = list(&db, &admin().permit().unwrap(), None, None, None, 50).await.unwrap();
        assert_eq!(logged.len(), 2, "a repeated control id with the same bytes is answered, not acted on");
    }

    async fn a_cancellation_frees_the_worklist(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        exchange(address, omi("1", "CT-HEAD", "张三").as_bytes()).await;
        let cancel = omi("2", "CT-HEAD", "张三").replace("ORC|NW", "ORC|CA");
        assert_eq!(code(&exchange(address, cancel.as_bytes()).await), "AA");
        assert_eq!(orders(&db).await[0].state, ExamState::Cancelled);
        let query = mingying_exam::WorklistQuery::default();
        assert!(mingying_exam::query_worklist(&db, &admin().permit().unwrap(), &query).await.unwrap().is_empty());
    }

    async fn a_refused_message_is_corrected_and_replayed(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        let answer = exchange(address, omi("1", "CT-NOSE", "欧阳娜娜").as_bytes()).await;
        assert_eq!(code(&answer), "AE");
        assert_eq!(Message::parse(&answer).unwrap().value("ERR", 1, 2, 1, 1), "OBR");
        assert!(orders(&db).await.is_empty());
        let waiting = errors(&db).await;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].error_at.as_deref(), Some("OBR-4"));
        let told = mingying_events::read_subject(&db, "message", &waiting[0].id.to_string()).await.unwrap();
        assert_eq!(told.len(), 1, "who looks after the interface is told");
        let news = told[0].payload::<MessageFailed>().unwrap();
        assert_eq!((news.kind.as_str(), news.code.as_str(), news.location.as_str()), ("OMI^O23", "hl7.unknown_key", "OBR-4"));
        let ctx = admin();
        let (_, text) = message_text(&db, &ctx.permit().unwrap(), waiting[0].id).await.unwrap();
        assert!(text.contains("欧阳娜娜"));
        let still = replay(&db, &ctx.permit().unwrap(), waiting[0].id, None).await.unwrap_err();
        assert_eq!(still.code(), "hl7.unknown_key");
        let mended = text.replace("CT-NOSE", "CT-HEAD");
        let row = replay(&db, &ctx.permit().unwrap(), waiting[0].id, Some(&mended)).await.unwrap();
        assert_eq!(row.state, MessageState::Done);
        assert_eq!(orders(&db).await.len(), 1);
        assert!(errors(&db).await.is_empty());
        let again = replay(&db, &ctx.permit().unwrap(), waiting[0].id, None).await.unwrap_err();
        assert_eq!(again.code(), "message.not_in_queue");
    }

    async fn names_in_gb18030_and_without_a_label_are_read_right(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        let text = omi("1", "CT-HEAD", "欧阳娜娜").replace("UNICODE UTF-8", "");
        let answer = exchange(address, &mingying_hl7::encode(&text, Charset::Gb18030)).await;
        assert_eq!(code(&answer), "AA");
        assert_eq!(orders(&db).await[0].patient.name, "欧阳娜娜");
    }

    async fn garbage_closes_the_connection_and_nothing_else(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0x55; 4096]).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        let answer = exchange(address, b"nothing of HL7").await;
        assert_eq!(code(&answer), "AR");
        assert_eq!(errors(&db).await.len(), 1);
        assert_eq!(code(&exchange(address, omi("1", "CT-HEAD", "张三").as_bytes()).await), "AA");
    }

    async fn unknown_senders_are_rejected_and_kept(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        let text = omi("1", "CT-HEAD", "张三").replace("|HIS|MAIN|", "|NOBODY|X|");
        assert_eq!(code(&exchange(address, text.as_bytes()).await), "AR");
        assert!(orders(&db).await.is_empty());
        let waiting = errors(&db).await;
        assert_eq!(waiting[0].error_code.as_deref(), Some("hl7.unknown_sender"));
        let told = mingying_events::read_subject(&db, "message", &waiting[0].id.to_string()).await.unwrap();
        assert_eq!(told[0].payload::<MessageFailed>().unwrap().peer, "NOBODY|X");
    }

    async fn two_orders_at_once_for_a_new_patient_make_one_patient(db: Db) {
        let (address, _cancel) = hospital(&db, his()).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..6 {
            let text = omi(&format!("c{n}"), "CT-HEAD", "张三").replace("PL-9", &format!("PL-{n}"));
            let text = text.replace("TQ1|1||||||20260302093000||R\r", "");
            tasks.spawn(async move { code(&exchange(address, text.as_bytes()).await) });
        }
        while let Some(answer) = tasks.join_next().await {
            assert_eq!(answer.unwrap(), "AA");
        }
        let found = orders(&db).await;
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|o| o.patient.id == found[0].patient.id));
    }
}

/// Gives no certificate: nothing gets as far as asking for one.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_handshake() {
    let test = mingying_testkit::sqlite().await;
    let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
    let hour = std::time::Duration::from_hours(1);
    let settings = Settings { message: hour, tls: Some(TlsAcceptor::from(Arc::new(config))), ..his() };
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let listener = Listener::new(test.db.clone(), Arc::new(RolePolicy), clock(), settings);
    let serving = tokio::spawn(listener.serve(socket, cancel.clone()));
    let silent = TcpStream::connect(address).await.unwrap();
    // The next connection is accepted after the silent one.
    let mut next = TcpStream::connect(address).await.unwrap();
    next.write_all(b"not a handshake").await.unwrap();
    while next.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
    cancel.cancel();
    serving.await.unwrap();
    drop(silent);
}
