//! A real S3 server (SeaweedFS) for one test, and a line to it that can be bad.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server of its own, which ends with this value.
pub struct S3Server {
    child: Child,
    /// `http://127.0.0.1:port`
    pub endpoint: String,
}

impl S3Server {
    pub const ACCESS_KEY: &str = "testkey";
    pub const SECRET_KEY: &str = "testsecret";

    /// Starts it and waits until it answers. Buckets are made by the first write into them.
    pub fn start() -> Self {
        let home = std::env::var("HOME").unwrap_or_default();
        let python =
            std::env::var("MINGYING_TEST_PYTHON").unwrap_or_else(|_| format!("{home}/.cache/mingying/venv/bin/python"));
        let weed = std::path::Path::new(&python).with_file_name("weed");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/s3_server.py");
        let mut child = Command::new(&python)
            .arg(script)
            .arg(weed)
            .args([Self::ACCESS_KEY, Self::SECRET_KEY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests' Python is missing: run `make test-deps`");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("ready ").expect("the S3 server did not start").to_owned();
        Self { child, endpoint }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.endpoint.strip_prefix("http://").unwrap().parse().unwrap()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // The script ends the server, and removes its folder, when its input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What becomes of what passes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Connections are refused.
    Refuses,
    /// Each request is answered with 503.
    Busy,
    /// Each request is answered with 404 and an S3 error document.
    Absent,
    /// The connection ends after so many bytes of answers.
    CutsAfter(usize),
    /// Requests get in, answers never come out.
    Stalls,
}

/// A line to a server: an address that passes on, in the way that its trouble allows.
pub struct Line {
    pub address: SocketAddr,
    trouble: Arc<Mutex<Trouble>>,
}

impl Line {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let trouble = Arc::new(Mutex::new(Trouble::None));
        let now = trouble.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, now.clone()));
            }
        });
        Self { address, trouble }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, also for connections that are open.
    pub fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

const BUSY: &[u8] = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const ABSENT_BODY: &str = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>";

async fn carry(client: TcpStream, server: SocketAddr, trouble: Arc<Mutex<Trouble>>) {
    let now = || *trouble.lock().unwrap_or_else(PoisonError::into_inner);
    if now() == Trouble::Refuses {
        return;
    }
    let Ok(upstream) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let mut asked = vec![0; 64 << 10];
    let mut answered = vec![0; 64 << 10];
    let mut passed = 0;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let Ok(n @ 1..) = read else { return };
                let canned = match now() {
                    Trouble::Refuses => return,
                    Trouble::Busy => Some(BUSY.to_vec()),
                    Trouble::Absent => Some(format!(
                        "HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{ABSENT_BODY}",
                        ABSENT_BODY.len(),
                    ).into_bytes()),
                    _ => None,
                };
                if let Some(canned) = canned {
                    let _ = to_client.write_all(&canned).await;
                    return;
                }
                passed = 0;
                if to_server.write_all(&asked[..n]).await.is_err() {
                    return;
                }
            }
            read = from_server.read(&mut answered) => {
                let Ok(n @ 1..) = read else { return };
                let n = match now() {
                    Trouble::Stalls => continue,
                    Trouble::CutsAfter(most) => n.min(most - passed.min(most)),
                    _ => n,
                };
                passed += n;
                if to_client.write_all(&answered[..n]).await.is_err() || matches!(now(), Trouble::CutsAfter(most) if passed >= most) {
                    return;
                }
            }
        }
    }
}
