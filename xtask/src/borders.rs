//! Who may know whom. Reads the manifests and the SQL of every crate and fails on an edge that is not drawn here.

use crate::{Result, files};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Foundation: every crate above may use it.
const FOUNDATION: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("db", &["kernel"]),
    ("events", &["kernel", "db"]),
    ("blob", &["kernel"]),
    ("jobs", &["kernel", "db", "events"]),
    ("openjph", &[]),
    ("dicom", &["kernel", "openjph"]),
    ("hl7", &["kernel"]),
    ("print", &["kernel"]),
    ("access", &["kernel", "db", "events"]),
];

/// Domains with their edges; an edge reaches what it reaches itself.
const DOMAINS: &[(&str, &[&str])] = &[
    ("patients", &[]),
    ("orders", &["patients"]),
    ("scheduling", &["orders"]),
    ("exam", &["scheduling"]),
    ("flow", &["exam"]),
    ("archive", &[]),
    ("reading", &["exam", "archive"]),
    ("reporting", &["reading"]),
    ("sharing", &["reporting", "archive"]),
    ("timeline", &["reading"]),
];

/// Transports know domains, and `http` is the frame of those that speak HTTP.
const TRANSPORTS: &[&str] = &["http", "dicomweb", "dimse", "mllp"];

/// Domains whose tables a transport keeps for its own protocol.
const SHARED_LAYERS: &[&str] = &["kernel", "db", "events", "blob", "jobs", "dicom", "access"];

pub fn run(root: &Path) -> Result<()> {
    let allowed = allowed();
    let mut faults = Vec::new();
    manifests(root, &allowed, &mut faults)?;
    sql(root, &allowed, &mut faults)?;
    if faults.is_empty() {
        println!("borders: ok");
        Ok(())
    } else {
        Err(faults.join("\n").into())
    }
}

fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, edges) in FOUNDATION {
        map.insert((*name).to_owned(), edges.iter().map(|e| (*e).to_owned()).collect());
    }
    for (name, edges) in DOMAINS {
        let mut reach: BTreeSet<String> = SHARED_LAYERS.iter().map(|e| (*e).to_owned()).collect();
        for edge in *edges {
            reach.insert((*edge).to_owned());
            if let Some(further) = map.get(*edge) {
                reach.extend(further.iter().cloned());
            }
        }
        map.insert((*name).to_owned(), reach);
    }
    let below: BTreeSet<String> = map.keys().cloned().collect();
    for name in TRANSPORTS {
        let mut reach = below.clone();
        if *name == "http" {
            // `http` mounts the DICOMweb handlers and offers the peer register of `dimse` and the message log of `mllp`.
            reach.extend(["dicomweb", "dimse", "mllp"].map(str::to_owned));
        }
        map.insert((*name).to_owned(), reach);
    }
    map.insert("testkit".to_owned(), ["kernel", "db"].map(str::to_owned).into());
    map
}

fn manifests(root: &Path, allowed: &BTreeMap<String, BTreeSet<String>>, faults: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join("crates"))? {
        let dir = entry?.path();
        let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if name == "server" || !dir.join("Cargo.toml").is_file() {
            continue;
        }
        let manifest: toml::Table = fs::read_to_string(dir.join("Cargo.toml"))?.parse()?;
        let Some(reach) = allowed.get(&name) else {
            if manifest
                .get("dependencies")
                .and_then(toml::Value::as_table)
                .is_some_and(|deps| deps.keys().any(|d| d.starts_with("mingying-")))
            {
                faults.push(format!("borders: crate {name} is not on the map in xtask/src/borders.rs"));
            }
            continue;
        };
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flat_map(|table| table.keys()) {
            if let Some(other) = dependency.strip_prefix("mingying-")
                && !reach.contains(other)
            {
                faults.push(format!("borders: {name} must not depend on {other}"));
            }
        }
    }
    Ok(())
}

/// A table belongs to the crate whose migration makes it: `20261124_0400_patients.sql` is of `patients`.
fn tables(root: &Path) -> Result<BTreeMap<String, String>> {
    let create = Regex::new(r"CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+)")?;
    let mut owners = BTreeMap::new();
    for path in files(&root.join("crates/db/migrations"), &["sql"])? {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let owner = match stem.splitn(3, '_').nth(2).unwrap_or_default() {
            "audit" => "access",
            "peers" => "dimse",
            other => other.split('_').next().unwrap_or_default(),
        };
        for found in create.captures_iter(&fs::read_to_string(&path)?) {
            if let Some(table) = found.get(1) {
                owners.insert(table.as_str().to_owned(), owner.to_owned());
            }
        }
    }
    Ok(owners)
}

fn sql(root: &Path, allowed: &BTreeMap<String, BTreeSet<String>>, faults: &mut Vec<String>) -> Result<()> {
    let owners = tables(root)?;
    let writes = Regex::new(r"(?:INSERT INTO|UPDATE|DELETE FROM) ([a-z_]+)")?;
    let reads = Regex::new(r"(?:FROM|JOIN) ([a-z_]+)")?;
    let statement = Regex::new(r#""(?:SELECT |INSERT INTO |UPDATE [a-z_]+ SET|DELETE FROM )"#)?;
    for path in files(&root.join("crates"), &["rs"])? {
        let shown = path.strip_prefix(root)?.display().to_string();
        let mut parts = shown.split('/').skip(1);
        let (Some(owner), Some(place)) = (parts.next(), parts.next()) else { continue };
        if place != "src" || matches!(owner, "db" | "testkit" | "jobs") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        // Tests may look into tables directly.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let in_store = stem.starts_with("store")
            || shown.contains("/store/")
            // The audit log and its seal are one algorithm over their own tables.
            || (owner == "access" && matches!(stem, "audit" | "seal"));
        if !in_store {
            if statement.is_match(text) {
                faults.push(format!("borders: {shown}: SQL belongs into store.rs"));
            }
            continue;
        }
        let empty = BTreeSet::new();
        let reach = allowed.get(owner).unwrap_or(&empty);
        for found in writes.captures_iter(text) {
            if let Some(table) = found.get(1)
                && let Some(of) = owners.get(table.as_str())
                && of != owner
            {
                faults.push(format!("borders: {shown}: writes {} of {of}", table.as_str()));
            }
        }
        for found in reads.captures_iter(text) {
            if let Some(table) = found.get(1)
                && let Some(of) = owners.get(table.as_str())
                && of != owner
                && !reach.contains(of)
            {
                faults.push(format!("borders: {shown}: reads {} of {of}", table.as_str()));
            }
        }
    }
    Ok(())
}
