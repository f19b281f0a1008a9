//! The OpenAPI document out of the server, the typed web client out of the document.

use crate::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

pub fn run(root: &Path, check: bool) -> Result<()> {
    // The whole workspace, as the tests build it: another selection of packages would build their dependencies anew.
    let built =
        Command::new(env!("CARGO")).current_dir(root).args(["build", "--quiet", "--locked", "--workspace"]).status()?;
    if !built.success() {
        return Err("the server does not build".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), std::path::PathBuf::from);
    let output = Command::new(target.join("debug/mingying")).arg("openapi").output()?;
    if !output.status.success() {
        return Err(format!("mingying openapi: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    // Sorted keys and line breaks make diffs readable.
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let document = serde_json::to_string_pretty(&document)? + "\n";
    let document_path = root.join("web/openapi.json");
    if check {
        same(&document_path, &document)?;
    } else {
        fs::write(&document_path, &document)?;
    }

    let fresh = std::env::temp_dir().join(format!("mingying-schema-{}.d.ts", std::process::id()));
    let status = Command::new("npx")
        .current_dir(root.join("web"))
        .args(["--no-install", "openapi-typescript", "openapi.json", "--output"])
        .arg(&fresh)
        .stdout(std::process::Stdio::null())
        .status()?;
    if !status.success() {
        return Err("openapi-typescript failed".into());
    }
    let types = fs::read_to_string(&fresh)?;
    fs::remove_file(&fresh)?;
    let types_path = root.join("web/src/api/schema.gen.ts");
    if check {
        same(&types_path, &types)?;
        println!("codegen: up to date");
    } else {
        fs::write(&types_path, &types)?;
        println!("codegen: web/openapi.json and web/src/api/schema.gen.ts written");
    }
    Ok(())
}

fn same(path: &Path, wanted: &str) -> Result<()> {
    if fs::read_to_string(path).unwrap_or_default() == wanted {
        Ok(())
    } else {
        Err(format!("{} is out of date: run `cargo xtask codegen`", path.display()).into())
    }
}
