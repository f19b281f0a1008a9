//! Migrations: forward only, one text for both engines, each in one transaction.

use crate::pool::assembled;
use crate::{Db, DbError, params};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// An arbitrary constant: the advisory lock under which one process at a time migrates.
const MIGRATION_LOCK: i64 = 0x6d69_6e67;

impl Db {
    /// Applies what is missing, in name order. Returns the names applied. A migration whose text changed after it
    /// was applied is refused.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, DbError> {
        let mut tx = self.begin().await?;
        tx.lock(MIGRATION_LOCK).await?;
        tx.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, hash TEXT NOT NULL)",
            params![],
        )
        .await?;
        let applied = tx.query("SELECT name, hash FROM schema_migrations", params![]).await?;
        let mut done = Vec::new();
        for (name, text) in MIGRATIONS {
            let hash = hash_of(text);
            let mut known = None;
            for row in &applied {
                if row.get::<String>("name")? == *name {
                    known = Some(row.get::<String>("hash")?);
                }
            }
            match known {
                Some(old) if old == hash => {}
                Some(_) => {
                    return Err(DbError::Migration {
                        name: (*name).to_owned(),
                        reason: "its text changed after it was applied".to_owned(),
                    });
                }
                None => {
                    tx.batch(assembled((*text).to_owned()))
                        .await
                        .map_err(|e| DbError::Migration { name: (*name).to_owned(), reason: e.to_string() })?;
                    tx.execute("INSERT INTO schema_migrations (name, hash) VALUES ($1, $2)", params![*name, hash])
                        .await?;
                    done.push(*name);
                }
            }
        }
        tx.commit().await?;
        Ok(done)
    }

    /// The texts of all migrations, in order.
    pub(crate) fn migration_texts() -> impl Iterator<Item = &'static str> {
        MIGRATIONS.iter().map(|(_, text)| *text)
    }

    /// Names of the migrations that this database has; an error when there is no schema at all.
    pub async fn applied_migrations(&self) -> Result<Vec<String>, DbError> {
        let rows = self.query("SELECT name FROM schema_migrations ORDER BY name", params![]).await?;
        rows.iter().map(|row| row.get("name")).collect()
    }

    /// Names of all migrations this binary knows.
    pub fn known_migrations() -> Vec<&'static str> {
        MIGRATIONS.iter().map(|(name, _)| *name).collect()
    }
}

fn hash_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
