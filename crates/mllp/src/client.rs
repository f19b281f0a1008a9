//! Sends one message and reads its acknowledgement.

use crate::frame::{Frames, wrap};
use mingying_hl7::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Why a message did not get through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFault {
    /// Not connected, cut, or no answer in time: worth another try.
    Network(String),
    /// AE, AR, or an answer that is no acknowledgement: a person must look.
    Refused(String),
}

/// Sends `message` to `host:port` and waits for AA (or CA). `tls` switches TLS on.
pub async fn send(
    host: &str,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    message: &[u8],
    control_id: &str,
    limit: Duration,
) -> Result<(), SendFault> {
    let exchange = async {
        let stream = TcpStream::connect((host, port)).await.map_err(network)?;
        let _ = stream.set_nodelay(true);
        match tls {
            None => exchange(stream, message).await,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| SendFault::Refused("host name".into()))?;
                let stream = TlsConnector::from(config).connect(name, stream).await.map_err(network)?;
                exchange(stream, message).await
            }
        }
    };
    let answer = timeout(limit, exchange).await.map_err(|_| SendFault::Network("no answer in time".into()))??;
    let (text, _) = mingying_hl7::decode(&answer);
    let ack = Message::parse(&text).map_err(|_| SendFault::Refused("answer is not HL7".into()))?;
    let code = ack.value("MSA", 1, 1, 1, 1);
    if ack.value("MSA", 1, 2, 1, 1) != control_id {
        return Err(SendFault::Refused("answer is for another message".into()));
    }
    match code.as_str() {
        "AA" | "CA" => Ok(()),
        _ => Err(SendFault::Refused(format!("answered {code}"))),
    }
}

fn network(error: std::io::Error) -> SendFault {
    SendFault::Network(error.kind().to_string())
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, message: &[u8]) -> Result<Vec<u8>, SendFault> {
    stream.write_all(&wrap(message)).await.map_err(network)?;
    stream.flush().await.map_err(network)?;
    let mut frames = Frames::default();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.map_err(network)?;
        if read == 0 {
            return Err(SendFault::Network("closed without an answer".into()));
        }
        let found = frames
            .push(buffer.get(..read).unwrap_or_default())
            .map_err(|_| SendFault::Refused("answer is not MLLP".into()))?;
        if let Some(answer) = found.into_iter().next() {
            return Ok(answer);
        }
    }
}
