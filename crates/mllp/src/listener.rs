//! The MLLP listener.

use crate::frame::Frames;
use crate::{Direction, ReceiveMessages, process, store, wrap};
use mingying_db::Db;
use mingying_hl7::{Charset, Header, Message, Refusal};
use mingying_kernel::{Actor, ActorKind, Ctx, MessageId, Policy, Role, SharedClock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// TLS on the listener.
pub type TlsConnect = tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub struct Settings {
    /// Senders that may deliver, as `APPLICATION` or `APPLICATION|FACILITY` of MSH-3 and MSH-4.
    pub senders: Vec<String>,
    /// In the demo every sender on the same machine may deliver.
    pub accept_any_from_loopback: bool,
    pub max_connections: usize,
    /// A connection may stay silent for so long between messages.
    pub idle: Duration,
    /// A message must be complete within this time.
    pub message: Duration,
    pub tls: Option<TlsConnect>,
    /// The facility's zone, for times in acknowledgements.
    pub zone: jiff::tz::TimeZone,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            senders: Vec::new(),
            accept_any_from_loopback: false,
            max_connections: 64,
            idle: Duration::from_mins(30),
            message: Duration::from_secs(30),
            tls: None,
            zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(8)),
        }
    }
}

#[derive(Clone)]
pub struct Listener {
    db: Db,
    policy: Arc<dyn Policy>,
    clock: SharedClock,
    settings: Arc<Settings>,
}

impl Listener {
    pub fn new(db: Db, policy: Arc<dyn Policy>, clock: SharedClock, settings: Settings) -> Self {
        Self { db, policy, clock, settings: Arc::new(settings) }
    }

    /// Serves until cancelled; then every message in hand is finished and answered.
    pub async fn serve(self, listener: TcpListener, cancel: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "HL7 connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::warn!(%peer, "HL7 connection refused: too many");
                continue;
            };
            let (this, cancel) = (self.clone(), cancel.clone());
            tasks.spawn(async move {
                this.connection(stream, peer, cancel).await;
                drop(place);
            });
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, cancel: CancellationToken) {
        let _ = stream.set_nodelay(true);
        let outcome = match &self.settings.tls {
            None => self.exchange(stream, peer, &cancel).await,
            Some(tls) => {
                let handshake = timeout(self.settings.message, tls.accept(stream));
                match cancel.run_until_cancelled(handshake).await {
                    Some(Ok(Ok(stream))) => self.exchange(stream, peer, &cancel).await,
                    Some(Ok(Err(error))) => Err(error),
                    Some(Err(_)) => Err(std::io::ErrorKind::TimedOut.into()),
                    None => Ok(()),
                }
            }
        };
        if let Err(error) = outcome {
            tracing::info!(%peer, kind = ?error.kind(), "HL7 connection closed");
        }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        peer: SocketAddr,
        cancel: &CancellationToken,
    ) -> std::io::Result<()> {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 16 * 1024];
        let mut deadline = None;
        loop {
            let wait = match (frames.is_inside(), deadline) {
                (false, _) => {
                    deadline = None;
                    self.settings.idle
                }
                (true, None) => {
                    deadline = Some(tokio::time::Instant::now() + self.settings.message);
                    self.settings.message
                }
                (true, Some(end)) => end.saturating_duration_since(tokio::time::Instant::now()),
            };
            let read = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                read = timeout(wait, stream.read(&mut buffer)) => {
                    read.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??
                }
            };
            if read == 0 {
                return Ok(());
            }
            let messages = frames
                .push(buffer.get(..read).unwrap_or_default())
                .map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
            for message in messages {
                deadline = None;
                let Some(answer) = self.answer(&message, peer).await else {
                    // A fault of ours: without an answer the sender keeps the message and sends it again.
                    return Err(std::io::ErrorKind::Other.into());
                };
                stream.write_all(&wrap(&answer)).await?;
                stream.flush().await?;
            }
        }
    }

    /// Stores the message, acts on it, and writes the acknowledgement in the message's own character set.
    async fn answer(&self, raw: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        let (text, charset) = mingying_hl7::decode(raw);
        let header = Message::parse(&text).map(|message| message.header()).unwrap_or_default();
        let sender = if header.sending_application.is_empty() {
            peer.ip().to_string()
        } else {
            format!("{}|{}", header.sending_application, header.sending_facility)
        };
        match self.take(raw, charset, &header, &sender, peer).await {
            Ok(refusal) => {
                if let Some(refusal) = &refusal {
                    tracing::warn!(%peer, code = refusal.code, at = refusal.location, "HL7 message refused");
                }
                let now = self.clock.now().to_jiff().to_zoned(self.settings.zone.clone()).datetime();
                let control = uuid::Uuid::now_v7().simple().to_string();
                let control = control.get(..20).unwrap_or_default();
                let answer = mingying_hl7::ack(&header, refusal.as_ref(), control, charset.msh18(), now);
                Some(mingying_hl7::encode(&answer, charset))
            }
            Err(error) => {
                tracing::error!(%peer, %error, "HL7 message not taken");
                None
            }
        }
    }

    async fn take(
        &self,
        raw: &[u8],
        charset: Charset,
        header: &Header,
        sender: &str,
        peer: SocketAddr,
    ) -> Result<Option<Refusal>, crate::MllpError> {
        let hash = store::hash_of(raw);
        if !header.control_id.is_empty() && store::already_done(&self.db, sender, &header.control_id, &hash).await? {
            return Ok(None);
        }
        let id = MessageId::new();
        let kind = format!("{}^{}", header.kind, header.event);
        let mut tx = self.db.begin().await?;
        store::insert(
            &mut tx,
            &store::NewMessage {
                id,
                direction: Direction::In,
                peer: sender,
                kind: kind.trim_matches('^'),
                control_id: &header.control_id,
                charset,
                raw,
                hash: &hash,
                event: None,
                order: None,
                at: self.clock.now(),
            },
        )
        .await?;
        tx.commit().await?;
        let actor = Actor {
            kind: ActorKind::Device,
            id: sender.to_owned(),
            name: header.sending_application.clone(),
            roles: vec![Role::Machine],
            org: None,
        };
        let source = format!("HL7 {}", header.sending_application);
        let ctx = Ctx::new(actor, &source, self.policy.clone(), self.clock.clone());
        let (db, by) = (&self.db, &ctx);
        let refuse = |refusal: Refusal| async move {
            process::set_aside(db, by, id, &refusal).await?;
            Ok(Some(refusal))
        };
        if !self.is_known(header, peer) {
            return refuse(Refusal {
                code: "hl7.unknown_sender",
                hl7_code: 207,
                location: "MSH-3".to_owned(),
                reject: true,
            })
            .await;
        }
        match ctx.permit::<ReceiveMessages>() {
            Ok(permit) => Ok(process::act(&self.db, &permit, id, raw).await?.err()),
            Err(_) => {
                refuse(Refusal { code: "hl7.denied", hl7_code: 207, location: "MSH-3".to_owned(), reject: true }).await
            }
        }
    }

    fn is_known(&self, header: &Header, peer: SocketAddr) -> bool {
        if self.settings.accept_any_from_loopback && peer.ip().is_loopback() {
            return true;
        }
        let full = format!("{}|{}", header.sending_application, header.sending_facility);
        self.settings.senders.iter().any(|known| *known == full || *known == header.sending_application)
    }
}
