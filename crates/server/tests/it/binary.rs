//! The program itself, as a person starts and stops it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn mingying(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mingying"));
    command.env_clear().env("MINGYING_DATA_DIR", dir).env("MINGYING_LOG", "warn");
    command
}

pub(crate) struct Server(Child);

impl Server {
    /// Ends it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Starts on free ports and waits until it has said where it listens; the lines it printed until then.
fn serve(dir: &Path, more: &[&str]) -> (Server, Vec<String>) {
    serve_with(mingying(dir), more)
}

pub(crate) fn serve_with(mut command: Command, more: &[&str]) -> (Server, Vec<String>) {
    let mut child = command
        .args(["serve", "--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0", "--hl7", "127.0.0.1:0"])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "ended early: {lines:?}");
        let last = line.contains("HL7");
        lines.push(line.trim().to_owned());
        if last {
            return (Server(child), lines);
        }
    }
}

pub(crate) fn terminate(mut server: Server) -> i32 {
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    server.0.wait().unwrap().code().unwrap_or(-1)
}

fn run(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = mingying(dir)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn it_starts_works_and_drains() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(!run(&data, &["user", "list"], "").status.success(), "a mistyped folder is not a new installation");
    assert!(!data.exists());
    // The first account is made before the first start.
    assert!(run(&data, &["migrate"], "").status.success());
    let admin = run(&data, &["user", "add", "chief", "--name", "周衡", "--role", "admin"], "correct horse battery\n");
    assert!(admin.status.success(), "{}", said(&admin));
    let (server, lines) = serve(&data, &[]);
    assert!(lines.iter().any(|line| line.starts_with("web    http://127.0.0.1:")), "{lines:?}");

    // Accounts, tokens and peers, beside the running server.
    let weak = run(&data, &["user", "add", "gu", "--name", "顾言", "--role", "radiologist"], "short\n");
    assert!(!weak.status.success() && said(&weak).contains("password"), "{}", said(&weak));
    let good = run(&data, &["user", "add", "gu", "--name", "顾言", "--role", "radiologist"], "correct horse battery\n");
    assert!(good.status.success(), "{}", said(&good));
    let token = run(&data, &["user", "token", "HIS", "--days", "30"], "");
    assert!(said(&token).starts_with("my_"), "{}", said(&token));
    let peer = ["peer", "add", "--aet", "PACS2", "--host", "127.0.0.1", "--port", "1"];
    assert!(run(&data, &peer, "").status.success());
    assert!(!run(&data, &peer, "").status.success(), "the title is taken");
    assert!(said(&run(&data, &["peer", "list"], "")).contains("PACS2"));
    assert!(!run(&data, &["peer", "echo", "PACS2"], "").status.success(), "nobody answers on port 1");
    let list = said(&run(&data, &["user", "list"], ""));
    assert!(list.contains("gu") && list.contains("radiologist") && list.contains("token machine"), "{list}");

    // Jobs on the images go to the server that holds them.
    let files = dir.path().join("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("not-dicom"), b"hello").unwrap();
    let import = run(&data, &["import", files.to_str().unwrap()], "");
    assert!(!import.status.success() && said(&import).contains("not stored 1"), "{}", said(&import));
    let verify = run(&data, &["verify"], "");
    assert!(verify.status.success() && said(&verify).contains("intact"), "{}", said(&verify));
    let backup = dir.path().join("backup");
    let made = run(&data, &["backup", backup.to_str().unwrap()], "");
    assert!(made.status.success(), "{}", said(&made));
    assert_eq!(terminate(server), 0);

    // Without a server the command does the job itself; and a backup makes an installation.
    let verify = run(&data, &["verify"], "");
    assert!(verify.status.success(), "{}", said(&verify));
    let restored = dir.path().join("restored");
    let restore = run(&restored, &["restore", backup.to_str().unwrap()], "");
    assert!(restore.status.success(), "{}", said(&restore));
    let list = said(&run(&restored, &["user", "list"], ""));
    assert!(list.contains("gu"), "{list}");
    let again = run(&restored, &["restore", backup.to_str().unwrap()], "");
    assert!(!again.status.success() && said(&again).contains("not empty"), "{}", said(&again));
}

#[test]
fn it_refuses_what_would_be_unsafe_or_unclear() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["serve", "--http", "0.0.0.0:0", "--tls", "off"][..], "loopback"),
        (&["serve", "--http", "0.0.0.0:0", "--demo"], "demo-public"),
        (&["serve", "--http", "nonsense"], "ADDRESS:PORT"),
    ] {
        let output = run(dir.path(), arguments, "");
        assert!(!output.status.success() && said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "htpp = '127.0.0.1:1'\n").unwrap();
    let output = run(dir.path(), &["serve", "--config", file.to_str().unwrap()], "");
    assert!(!output.status.success() && said(&output).contains("htpp"), "{}", said(&output));
}

#[test]
fn it_prints_its_interface_without_an_installation() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&dir.path().join("none"), &["openapi"], "");
    assert!(output.status.success());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/session"]["post"]["operationId"] == "sign_in");
    assert!(!dir.path().join("none").exists());
}

#[test]
fn the_doctor_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let missing = run(&data, &["doctor"], "");
    assert!(!missing.status.success() && said(&missing).contains("start the server once"), "{}", said(&missing));
    let (server, _) = serve(&data, &[]);
    assert_eq!(terminate(server), 0);
    let output = run(&data, &["doctor"], "");
    let text = said(&output);
    for word in ["database", "fsync", "clock", "fonts", "http", "chain"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn the_doctor_tries_the_large_disk_and_the_bucket() {
    use mingying_testkit::s3::S3Server;
    let s3 = S3Server::start();
    let dir = tempfile::tempdir().unwrap();
    let (data, large) = (dir.path().join("data"), dir.path().join("large"));
    for (name, key) in [("access", S3Server::ACCESS_KEY), ("secret", S3Server::SECRET_KEY)] {
        std::fs::write(dir.path().join(name), format!("{key}\n")).unwrap();
    }
    let at = dir.path().display();
    let file = dir.path().join("mingying.toml");
    let endpoint = s3.endpoint.clone();
    let configure = |patience: u32| {
        let text = format!(
            "[images.tiers]\nlarge = '{}'\n[images.tiers.s3]\nendpoint = '{endpoint}'\nbucket = 'images'\n\
             patience_seconds = {patience}\naccess_key_file = '{at}/access'\nsecret_key_file = '{at}/secret'\n",
            large.display(),
        );
        std::fs::write(&file, text).unwrap();
    };
    // The server's first write can take long on a busy machine; one that is gone is not waited for.
    configure(120);
    std::fs::create_dir(&data).unwrap();
    let doctor = || said(&run(&data, &["doctor", "--config", file.to_str().unwrap()], ""));
    let line = |text: &str, what: &str| {
        text.lines().find(|line| line.contains(&format!(" {what} "))).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let text = doctor();
    assert!(line(&text, "large").starts_with("BAD") && line(&text, "s3").starts_with("ok"), "{text}");
    std::fs::create_dir(&large).unwrap();
    drop(s3);
    configure(2);
    let text = doctor();
    assert!(line(&text, "large").starts_with("ok") && line(&text, "s3").starts_with("BAD"), "{text}");
    std::fs::remove_file(dir.path().join("secret")).unwrap();
    assert!(line(&doctor(), "tiers").starts_with("BAD"));
}
