//! Images encrypted at rest, as a person switches it on, loses the key and finds it again.

use super::binary::{said, terminate};
use super::nodes::{Node, command, image};
use std::path::Path;
use std::process::Stdio;

/// Whether a part of the file's pixels lies anywhere in the folder.
fn lies_in(folder: &Path, file: &[u8]) -> bool {
    let part = &file[file.len() - 100_000..][..64];
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return lies_in(&path, file);
        }
        std::fs::read(&path).unwrap().windows(part.len()).any(|window| window == part)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_its_key_stays_shut_and_serves_again_with_it() {
    let test = tempfile::tempdir().unwrap();
    let dir = test.path();
    let file = dir.join("images.key");
    let run = |arguments: &[&str]| {
        let output = command(dir, "a").args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.success(), said(&output))
    };
    let good = |arguments: &[&str]| {
        let (success, text) = run(arguments);
        assert!(success, "{text}");
        text
    };
    let configure = |encryption: &str| std::fs::write(dir.join("a.toml"), encryption).unwrap();
    configure("");
    std::fs::create_dir(dir.join("a")).unwrap();
    good(&["migrate"]);
    let token = good(&["user", "token", "gateway", "--days", "30"]);
    let token = token.split_whitespace().find(|word| word.starts_with("my_")).unwrap().to_owned();
    let stop = |mut node: Node| assert_eq!(terminate(node.server.take().unwrap()), 0);

    // Of before, in the clear.
    let node = Node::start(dir, "a", &token);
    node.store(1, 1).await;
    stop(node);
    assert!(lies_in(&dir.join("a/blobs"), &image(1, 1)));

    let made = good(&["key", "new", file.to_str().unwrap()]);
    let id = good(&["key", "id", file.to_str().unwrap()]).trim().to_owned();
    assert!(made.contains(&id) && made.contains("second safe place"), "{made}");
    assert!(!run(&["key", "new", file.to_str().unwrap()]).0, "never over a key");
    let with_key = format!("[images.encryption]\nkey_file = '{}'\n", file.display());
    configure(&with_key);
    let node = Node::start(dir, "a", &token);
    node.store(2, 2).await;
    assert!(node.has(1, 1).await && node.has(2, 2).await);
    stop(node);
    assert!(!lies_in(&dir.join("a"), &image(2, 2)));
    let doctor = run(&["doctor"]).1;
    assert!(doctor.contains(&format!("1 packs are encrypted with the key {id}")), "{doctor}");

    let other = dir.join("other.key");
    good(&["key", "new", other.to_str().unwrap()]);
    let wrong = format!("[images.encryption]\nkey_file = '{}'\n", other.display());
    for lacking in ["", &wrong] {
        configure(lacking);
        let (success, text) = run(&["serve", "--http", "127.0.0.1:0", "--dimse", "off", "--hl7", "off"]);
        assert!(!success && text.contains("blob.locked") && text.contains(&id), "{text}");
        assert!(text.contains("older_key_files") && text.contains("nothing was changed"), "what to do: {text}");
        let (healthy, doctor) = run(&["doctor"]);
        assert!(!healthy && doctor.contains("blob.locked") && doctor.contains(&id), "{doctor}");
    }

    configure(&with_key);
    let node = Node::start(dir, "a", &token);
    assert!(node.has(1, 1).await && node.has(2, 2).await);
    assert!(good(&["verify"]).contains("intact"));
    stop(node);
}
