//! All tables as text, free of the engine: what a backup holds, and what moves a site from SQLite to PostgreSQL.
//!
//! One file `<table>.jsonl` for each table. Its first line names the columns; each further line is one row as a JSON
//! array: null, integers and text as they are, `{"f": …}` for a double, `{"b": …}` for bytes in base64. All tables are
//! read in one transaction, so they fit together however busy the database is.

use crate::pool::assembled;
use crate::{Column, Db, DbError, Engine, Row, Tx, Value, params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// A table that was written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpedTable {
    pub name: String,
    pub rows: u64,
}

/// What a dump can fail with.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("dump: {0}")]
    Io(#[from] io::Error),
    /// A file that is no dump of ours, or a table or column that this version does not know.
    #[error("dump of table {table}: {reason}")]
    Format { table: String, reason: &'static str },
}

/// Names of this product's tables, those referred to before those that refer to them.
fn tables() -> Vec<String> {
    let mut names = vec!["schema_migrations".to_owned()];
    for text in Db::migration_texts() {
        for line in text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("CREATE TABLE ") else { continue };
            let name = rest.trim_start_matches("IF NOT EXISTS ").split([' ', '(']).next().unwrap_or_default();
            if !name.is_empty() && !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The column types of a table, as declared.
async fn types(db: &Db, table: &str) -> Result<HashMap<String, String>, DbError> {
    let sql = match db.engine() {
        Engine::Sqlite => "SELECT name, type FROM pragma_table_info($1)",
        Engine::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS type \
             FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1"
        }
    };
    db.query(sql, params![table])
        .await?
        .iter()
        .map(|row| Ok((row.get("name")?, row.get::<String>("type")?.to_uppercase())))
        .collect()
}

fn to_json(column: &Column) -> Json {
    match column {
        Column::Null => Json::Null,
        Column::Int(v) => json!(v),
        Column::Text(v) => json!(v),
        Column::Double(v) => json!({ "f": v }),
        Column::Bytes(v) => json!({ "b": BASE64.encode(v) }),
    }
}

/// The value for a column of a declared type; `None` when they do not fit.
fn to_value(json: &Json, declared: &str) -> Option<Value> {
    let integer = declared.starts_with("BIGINT") || declared.starts_with("INT");
    let double = declared.starts_with("DOUBLE");
    let bytes = declared == "BYTEA" || declared == "BLOB";
    Some(match json {
        Json::Null if integer => Value::Int(None),
        Json::Null if double => Value::Double(None),
        Json::Null if bytes => Value::Bytes(None),
        Json::Null => Value::Text(None),
        Json::Number(n) if double => Value::Double(Some(n.as_f64()?)),
        Json::Number(n) => Value::Int(Some(n.as_i64()?)),
        Json::String(text) => Value::Text(Some(text.clone())),
        Json::Object(map) => match (map.get("f"), map.get("b")) {
            (Some(f), _) => Value::Double(Some(f.as_f64()?)),
            (_, Some(b)) => Value::Bytes(Some(BASE64.decode(b.as_str()?).ok()?)),
            _ => return None,
        },
        _ => return None,
    })
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

impl Db {
    /// Writes every table into the existing folder `dir`, online and consistent.
    pub async fn dump(&self, dir: &Path) -> Result<Vec<DumpedTable>, DumpError> {
        let mut snapshot = self.read_tx().await?;
        let mut done = Vec::new();
        for table in tables() {
            let mut columns: Vec<String> = types(self, &table).await?.into_keys().collect();
            columns.sort();
            if columns.is_empty() {
                // A table of a migration that this database has not seen, or one that a later migration dropped.
                continue;
            }
            let file = File::create_new(dir.join(format!("{table}.jsonl")))?;
            let mut out = BufWriter::new(file);
            writeln!(out, "{}", json!({ "table": table, "columns": columns }))?;
            let mut rows = 0_u64;
            let sql = format!("SELECT {} FROM {table}", quoted(&columns));
            let mut failed = None;
            snapshot
                .for_each(assembled(sql), |row: Row| {
                    let line = Json::Array(row.columns().iter().map(to_json).collect());
                    rows += 1;
                    let written = writeln!(out, "{line}");
                    let go_on = written.is_ok();
                    failed = written.err();
                    go_on
                })
                .await?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            out.flush()?;
            out.get_ref().sync_all()?;
            done.push(DumpedTable { name: table, rows });
        }
        Ok(done)
    }

    /// Replaces the rows of every table by those of a dump, in one transaction. The tables must be migrated. Columns
    /// that the dump does not have keep their defaults.
    pub async fn load(&self, dir: &Path) -> Result<Vec<DumpedTable>, DumpError> {
        let names = tables();
        let mut declared = HashMap::new();
        for table in &names {
            declared.insert(table.clone(), types(self, table).await?);
        }
        let mut tx = self.begin().await?;
        if self.engine() == Engine::Sqlite {
            tx.execute("PRAGMA defer_foreign_keys = ON", params![]).await?;
        }
        let own =
            |table: &&String| *table != "schema_migrations" && declared.get(*table).is_some_and(|d| !d.is_empty());
        for table in names.iter().rev().filter(own) {
            tx.execute(assembled(format!("DELETE FROM {table}")), params![]).await?;
        }
        let mut done = Vec::new();
        for table in names.iter().filter(own) {
            let path = dir.join(format!("{table}.jsonl"));
            if !path.exists() {
                continue;
            }
            let rows = load_table(&mut tx, table, &path, declared.get(table).unwrap_or(&HashMap::new())).await?;
            done.push(DumpedTable { name: table.clone(), rows });
        }
        tx.commit().await?;
        Ok(done)
    }
}

async fn load_table(
    tx: &mut Tx,
    table: &str,
    path: &Path,
    declared: &HashMap<String, String>,
) -> Result<u64, DumpError> {
    let format = |reason| DumpError::Format { table: table.to_owned(), reason };
    let mut lines = BufReader::new(File::open(path)?).lines();
    let head: Json = serde_json::from_str(&lines.next().ok_or_else(|| format("empty file"))??)
        .map_err(|_| format("first line is not JSON"))?;
    let columns: Vec<String> = head
        .get("columns")
        .and_then(Json::as_array)
        .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect())
        .ok_or_else(|| format("first line names no columns"))?;
    let kinds: Vec<&str> = columns
        .iter()
        .map(|column| declared.get(column).map(String::as_str))
        .collect::<Option<_>>()
        .ok_or_else(|| format("a column that this version does not know"))?;
    let places: Vec<String> = (1..=columns.len()).map(|i| format!("${i}")).collect();
    let sql = format!("INSERT INTO {table} ({}) VALUES ({})", quoted(&columns), places.join(", "));
    let mut rows = 0;
    for line in lines {
        let row: Vec<Json> = serde_json::from_str(&line?).map_err(|_| format("a row is not JSON"))?;
        if row.len() != columns.len() {
            return Err(format("a row has another number of columns"));
        }
        let values: Vec<Value> = row
            .iter()
            .zip(&kinds)
            .map(|(json, kind)| to_value(json, kind))
            .collect::<Option<_>>()
            .ok_or_else(|| format("a value does not fit its column"))?;
        tx.execute(assembled(sql.clone()), &values).await?;
        rows += 1;
    }
    Ok(rows)
}
