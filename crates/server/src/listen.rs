//! Serves HTTP on plain or encrypted connections, and stops without cutting anybody off.

use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// A client that says nothing must not hold a place for ever.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long open requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(15);

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// Connections whose handshake is done; handshakes run beside each other, so that a slow one holds up nobody.
pub(crate) struct Doors {
    ready: mpsc::Receiver<(Stream, SocketAddr)>,
    address: SocketAddr,
}

impl Doors {
    pub(crate) fn open(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        cancel: CancellationToken,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (send, ready) = mpsc::channel(64);
        let acceptor = tls.map(TlsAcceptor::from);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = cancel.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let (stream, peer) = match accepted {
                    Ok(pair) => pair,
                    Err(error) => {
                        // Out of descriptors, most often: a short pause lets some be freed.
                        tracing::warn!(%error, "connection not accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let _ = stream.set_nodelay(true);
                let send = send.clone();
                match acceptor.clone() {
                    None => {
                        if send.send((Stream::Plain(stream), peer)).await.is_err() {
                            return;
                        }
                    }
                    Some(acceptor) => {
                        tokio::spawn(async move {
                            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                                let _ = send.send((Stream::Tls(Box::new(stream)), peer)).await;
                            }
                        });
                    }
                }
            }
        });
        Ok(Self { ready, address })
    }
}

impl Listener for Doors {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        match self.ready.recv().await {
            Some(pair) => pair,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The peer's address on its way into the request.
#[derive(Clone)]
struct Remote(SocketAddr);

impl Connected<IncomingStream<'_, Doors>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Serves until cancelled, then waits for open requests, at most for a while.
pub(crate) async fn serve(doors: Doors, router: axum::Router, secure: bool, cancel: CancellationToken) {
    let router = router.layer(axum::middleware::map_request(move |mut request: axum::extract::Request| async move {
        if let Some(ConnectInfo(Remote(address))) = request.extensions().get::<ConnectInfo<Remote>>().cloned() {
            request.extensions_mut().insert(ConnectInfo(address));
        }
        request.extensions_mut().insert(mingying_dicomweb::Secure(secure));
        request
    }));
    let service = router.into_make_service_with_connect_info::<Remote>();
    let stop = cancel.clone();
    let serving = axum::serve(doors, service).with_graceful_shutdown(async move { stop.cancelled().await });
    tokio::select! {
        result = async { serving.await } => {
            if let Err(error) = result {
                tracing::error!(%error, "HTTP ended");
            }
        }
        () = async { cancel.cancelled().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("open requests were cut off");
        }
    }
}
