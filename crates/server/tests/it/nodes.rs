//! Two processes on one PostgreSQL database and one S3 server: one is killed, nothing that was acknowledged is lost.

use super::binary::{Server, said, serve_with, terminate};
use mingying_db::{Db, params};
use mingying_testkit::s3::{Line, S3Server, Trouble};
use reqwest::{Client, StatusCode};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often something that comes by itself is looked for, and how long: machines may be busy.
const PAUSE: Duration = Duration::from_millis(300);
const LOOKS: u32 = 1000;

async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..LOOKS {
        if is_so().await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never: {what}");
}

pub(crate) struct Node {
    pub(crate) server: Option<Server>,
    url: String,
    token: String,
    client: Client,
}

pub(crate) fn command(dir: &Path, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mingying"));
    command
        .env_clear()
        .env("MINGYING_DATA_DIR", dir.join(name))
        .env("MINGYING_CONFIG", dir.join(format!("{name}.toml")))
        .env("MINGYING_LOG", "warn");
    command
}

fn configure(dir: &Path, name: &str, database: &str, endpoint: &str) {
    let at = dir.display();
    let text = format!(
        "database = '{database}'\n[node]\nname = '{name}'\n[images]\nsibling_size = 0\n[images.tiers]\n\
         share_after_seconds = 1\nrate = 0\n[images.tiers.s3]\nendpoint = '{endpoint}'\nbucket = 'images'\n\
         patience_seconds = 60\naccess_key_file = '{at}/access'\nsecret_key_file = '{at}/secret'\n"
    );
    std::fs::write(dir.join(format!("{name}.toml")), text).unwrap();
}

impl Node {
    pub(crate) fn start(dir: &Path, name: &str, token: &str) -> Self {
        let (server, lines) = serve_with(command(dir, name), &[]);
        let line = lines.iter().find(|line| line.starts_with("web ")).unwrap();
        let url = line.split_whitespace().nth(1).unwrap().trim_end_matches('/').to_owned();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Self { server: Some(server), url, token: token.to_owned(), client }
    }

    pub(crate) async fn store(&self, study: u32, number: u32) {
        let body = [&b"--b\r\nContent-Type: application/dicom\r\n\r\n"[..], &image(study, number), b"\r\n--b--"];
        let response = self
            .client
            .post(format!("{}/dicom-web/studies", self.url))
            .bearer_auth(&self.token)
            .header("content-type", "multipart/related; type=\"application/dicom\"; boundary=b")
            .body(body.concat())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// The object's file, or the status that says why not.
    async fn read(&self, study: u32, number: u32) -> Result<Vec<u8>, StatusCode> {
        let uid = format!("1.2.3.{study}");
        let response = self
            .client
            .get(format!("{}/dicom-web/studies/{uid}/series/{uid}.1/instances/{uid}.1.{number}", self.url))
            .bearer_auth(&self.token)
            .header("accept", "multipart/related; type=\"application/dicom\"; transfer-syntax=*")
            .send()
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?;
        if response.status() != StatusCode::OK {
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                assert!(response.headers().contains_key("retry-after"));
            }
            return Err(response.status());
        }
        let body = response.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let at = |pattern: &[u8]| body.windows(pattern.len()).position(|window| window == pattern).unwrap();
        let begin = at(b"\r\n\r\n") + 4;
        let boundary = &body[..at(b"\r\n\r\n")];
        let boundary = &boundary[..boundary.windows(2).skip(2).position(|w| w == b"\r\n").unwrap() + 2];
        let end = body.windows(boundary.len()).rposition(|window| window == boundary).unwrap();
        Ok(body[begin..end].strip_suffix(b"\r\n").unwrap_or(&body[begin..end]).to_vec())
    }

    pub(crate) async fn has(&self, study: u32, number: u32) -> bool {
        match self.read(study, number).await {
            Ok(bytes) => {
                assert!(bytes == image(study, number), "not what was sent");
                true
            }
            Err(status) => {
                assert_ne!(status, StatusCode::NOT_FOUND, "{study} {number}");
                false
            }
        }
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.client.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_images_are_served_by_the_other() {
    let s3 = S3Server::start();
    let line = Line::to(s3.address()).await;
    let test = mingying_testkit::postgres().await;
    let dir = test.dir.path();
    for (name, key) in [("access", S3Server::ACCESS_KEY), ("secret", S3Server::SECRET_KEY)] {
        std::fs::write(dir.join(name), format!("{key}\n")).unwrap();
    }
    configure(dir, "a", &test.url, &line.endpoint());
    configure(dir, "b", &test.url, &s3.endpoint);
    for name in ["a", "b"] {
        std::fs::create_dir(dir.join(name)).unwrap();
    }
    let run = |name: &str, arguments: &[&str]| {
        let output = command(dir, name).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    run("a", &["migrate"]);
    let token = run("a", &["user", "token", "gateway", "--days", "30"]);
    let token = token.split_whitespace().find(|word| word.starts_with("my_")).unwrap().to_owned();
    let mut a = Node::start(dir, "a", &token);
    // Another key is another installation.
    let stranger =
        command(dir, "b").args(["serve", "--http", "127.0.0.1:0", "--dimse", "off", "--hl7", "off"]).output();
    let stranger = said(&stranger.unwrap());
    assert!(stranger.contains("secret.key"), "{stranger}");
    std::fs::copy(dir.join("a/secret.key"), dir.join("b/secret.key")).unwrap();
    let b = Node::start(dir, "b", &token);

    // Images come in at one node while a client reads them at the other.
    for number in 1..=20 {
        a.store(1, number).await;
        assert!(b.has(1, number).await);
    }
    b.store(2, 1).await;
    until("a knows b", || a.has(2, 1)).await;
    // A session or a token of the product opens nothing inside.
    let inside = format!("{}/internal/packs/{:016x}", a.url, 1);
    let asked = a.client.get(&inside).bearer_auth(&token).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
    until("packs are shared", async || a.metric("mingying_packs_unshared").await == 0).await;

    // The bucket is out of reach for a; then a dies, and its disk is not there for a while.
    line.set(Trouble::Refuses);
    for number in 21..=30 {
        a.store(1, number).await;
    }
    a.server.as_mut().unwrap().kill();
    std::fs::rename(dir.join("a"), dir.join("gone")).unwrap();
    until("what is shared is served", || b.has(1, 20)).await;
    for number in [21, 30] {
        assert_eq!(b.read(1, number).await, Err(StatusCode::SERVICE_UNAVAILABLE));
    }
    b.store(2, 2).await;
    until("a is known to be dead", async || b.metric("mingying_nodes{state=\"dead\"}").await == 1).await;
    assert_eq!(b.read(1, 30).await, Err(StatusCode::SERVICE_UNAVAILABLE), "try again, not: not found");

    // The disk is attached again: b takes over.
    std::fs::rename(dir.join("gone"), dir.join("a")).unwrap();
    until("b has taken over", || b.has(1, 30)).await;
    for number in 1..=30 {
        assert!(b.has(1, number).await, "{number}");
    }
    until("b shares what it took over", async || b.metric("mingying_packs_unshared").await == 0).await;

    // a comes back, with a store of its own.
    line.set(Trouble::None);
    let a = Node::start(dir, "a", &token);
    a.store(3, 1).await;
    assert!(dir.join("a/blobs-2").is_dir());
    for (study, count) in [(1, 30), (2, 2), (3, 1)] {
        for number in 1..=count {
            until("a serves all", || a.has(study, number)).await;
            until("b serves all", || b.has(study, number)).await;
        }
    }
    let db = Db::open(&test.url).await.unwrap();
    let count = async |sql: &'static str| db.query_one(sql, params![]).await.unwrap().at::<i64>(0).unwrap();
    assert_eq!(count("SELECT COUNT(*) FROM instances").await, 33);
    assert_eq!(count("SELECT CAST(SUM(instance_count) AS BIGINT) FROM studies").await, 33);
    let told = "SELECT CAST(SUM(CAST(CAST(payload AS JSON) ->> 'added' AS BIGINT)) AS BIGINT) FROM events \
         WHERE topic = 'instances.stored'";
    until("each image was told of", async || count(told).await == 33).await;
    until("deliveries are done", async || count("SELECT COUNT(*) FROM deliveries WHERE state <> 'done'").await == 0)
        .await;
    for table in ["SELECT COUNT(*) FROM damages", "SELECT COUNT(*) FROM quarantine"] {
        assert_eq!(count(table).await, 0, "{table}");
    }
    for (node, name) in [(a, "a"), (b, "b")] {
        assert!(run(name, &["verify"]).contains("0 without a row"));
        assert_eq!(terminate(node.server.unwrap()), 0);
    }
}

/// A small CT image as a Part 10 file.
pub(crate) fn image(study: u32, number: u32) -> Vec<u8> {
    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    let (study, series) = (format!("1.2.3.{study}"), format!("1.2.3.{study}.1"));
    let sop = format!("{series}.{number}");
    let element = |group: u16, element: u16, vr: &str, value: &str| {
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" { 0 } else { b' ' });
        }
        let mut out = [group.to_le_bytes(), element.to_le_bytes()].concat();
        out.extend(vr.as_bytes());
        out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        out.extend(value);
        out
    };
    let meta = [
        element(2, 0x02, "UI", CT),
        element(2, 0x03, "UI", &sop),
        element(2, 0x10, "UI", "1.2.840.10008.1.2.1"),
        element(2, 0x12, "UI", "1.2.3"),
    ]
    .concat();
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend([2, 0, 0, 0]);
    file.extend(b"UL");
    file.extend(4_u16.to_le_bytes());
    file.extend(u32::try_from(meta.len()).unwrap().to_le_bytes());
    file.extend(meta);
    file.extend(element(8, 0x16, "UI", CT));
    file.extend(element(8, 0x18, "UI", &sop));
    file.extend(element(8, 0x60, "CS", "CT"));
    file.extend(element(0x20, 0x0d, "UI", &study));
    file.extend(element(0x20, 0x0e, "UI", &series));
    file.extend(element(0x20, 0x13, "IS", &number.to_string()));
    // Longer than what is asked of another node at least.
    file.extend([0xe1, 0x7f, 0x10, 0x10]);
    file.extend(b"OB\0\0");
    file.extend(200_000_u32.to_le_bytes());
    file.extend((0..200_000_u32).map(|i| (i.wrapping_mul(number + 7) >> 3) as u8));
    file
}
