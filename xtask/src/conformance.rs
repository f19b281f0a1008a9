//! Checks `docs/conformance.csv` and prints how much of the standard is done, per chapter.
//!
//! Columns: id, level, summary, state, evidence, code, tests. Tests are separated by `;` and read
//! `<crate or folder>::<name>`: a Rust test function or the title of a browser or client test.

use crate::{Result, files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub fn run(root: &Path) -> Result<()> {
    let mut reader = csv::Reader::from_path(root.join("docs/conformance.csv"))?;
    let wanted = ["id", "level", "summary", "state", "evidence", "code", "tests"];
    if reader.headers()?.iter().ne(wanted) {
        return Err(format!("conformance: the columns must be {}", wanted.join(",")).into());
    }
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    let mut chapters: BTreeMap<u32, [usize; 3]> = BTreeMap::new();
    for row in reader.records() {
        let row = row?;
        let field = |n: usize| row.get(n).unwrap_or_default().trim();
        let (id, level, summary, state, evidence, code, tests) =
            (field(0), field(1), field(2), field(3), field(4), field(5), field(6));
        if !seen.insert(id.to_owned()) {
            faults.push(format!("conformance: {id} stands twice"));
        }
        if !matches!(level, "shall" | "shall~" | "should" | "may") {
            faults.push(format!("conformance: {id}: level {level}"));
        }
        if !matches!(evidence, "test" | "register" | "site") {
            faults.push(format!("conformance: {id}: evidence {evidence}"));
        }
        if summary.is_empty() {
            faults.push(format!("conformance: {id}: no summary"));
        }
        let chapter = id.trim_start_matches("R-").split('.').next().and_then(|c| c.parse().ok()).unwrap_or(0);
        let counts = chapters.entry(chapter).or_default();
        let slot = match state {
            "done" => 0,
            "partly" => 1,
            "open" => 2,
            other => {
                faults.push(format!("conformance: {id}: state {other}"));
                continue;
            }
        };
        if let Some(count) = counts.get_mut(slot) {
            *count += 1;
        }
        if state == "done" && (code.is_empty() || tests.is_empty()) {
            faults.push(format!("conformance: {id} is done but names no code or no test"));
        }
        for path in code.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            if !root.join(path).exists() {
                faults.push(format!("conformance: {id}: {path} does not exist"));
            }
        }
        for test in tests.split(';').map(str::trim).filter(|t| !t.is_empty()) {
            let Some((place, name)) = test.split_once("::") else {
                faults.push(format!("conformance: {id}: {test} is not <place>::<name>"));
                continue;
            };
            let text = match sources.get(place) {
                Some(text) => text,
                None => sources.entry(place.to_owned()).or_insert(read_all(root, place)?),
            };
            let name = name.rsplit("::").next().unwrap_or(name);
            if !text.contains(&format!("fn {name}("))
                && !text.contains(&format!("\"{name}\""))
                && !text.contains(&format!("'{name}'"))
            {
                faults.push(format!("conformance: {id}: no test {test}"));
            }
        }
    }
    println!("chapter    done  partly    open");
    let mut total = [0, 0, 0];
    for (chapter, counts) in &chapters {
        println!("{chapter:>7} {:>7} {:>7} {:>7}", counts[0], counts[1], counts[2]);
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    println!("  total {:>7} {:>7} {:>7}", total[0], total[1], total[2]);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn read_all(root: &Path, place: &str) -> Result<String> {
    let dir = if root.join("crates").join(place).is_dir() { root.join("crates").join(place) } else { root.join(place) };
    if !dir.is_dir() {
        return Ok(String::new());
    }
    let mut text = String::new();
    for path in files(&dir, &["rs", "ts", "tsx", "mjs", "py"])? {
        text.push_str(&fs::read_to_string(path)?);
        text.push('\n');
    }
    Ok(text)
}
