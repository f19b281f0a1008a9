//! Makes sure that `web/dist` can be embedded when the client has not been built yet.
use std::{env, fs, path::Path};

const PLACEHOLDER: &str = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Mingying</title>\n\
<p>The web client is not part of this build. Run <code>npm --prefix web ci && npm --prefix web run build</code>, then \
build again.</p>\n<p>The interface is documented at <a href=\"/api/docs\">/api/docs</a>.</p>\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../web/dist");
    let index = dist.join("index.html");
    if !index.exists() {
        fs::create_dir_all(&dist)?;
        fs::write(&index, PLACEHOLDER)?;
    }
    println!("cargo::rerun-if-changed={}", dist.display());
    Ok(())
}
