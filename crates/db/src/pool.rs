//! Pools and transactions.

use crate::{Column, DbError, Row, Value};
use futures::TryStreamExt;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow, Postgres};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Column as _, Row as _, SqlSafeStr, SqlStr, Sqlite, Transaction, TypeInfo, ValueRef};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

enum Inner {
    Sqlite {
        path: PathBuf,
        readers: sqlx::Pool<Sqlite>,
        /// Commits reach the disk before they return.
        writer: sqlx::Pool<Sqlite>,
        /// Commits reach the disk with the next synced one; for changes that another log can replay.
        lazy_writer: sqlx::Pool<Sqlite>,
        /// SQLite has one writer; waiting here is fair and costs no busy loop.
        gate: Arc<Mutex<()>>,
    },
    Postgres {
        pool: sqlx::Pool<Postgres>,
    },
}

/// A write transaction. Dropping it without `commit` rolls it back.
pub struct Tx {
    inner: TxInner,
}

enum TxInner {
    Sqlite { tx: Transaction<'static, Sqlite>, _gate: OwnedMutexGuard<()> },
    Postgres { tx: Transaction<'static, Postgres> },
}

/// A read transaction that sees one state of the database.
pub(crate) enum ReadTx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl ReadTx {
    /// Gives each row to `take` as it comes, until that says no.
    pub(crate) async fn for_each(&mut self, sql: SqlStr, mut take: impl FnMut(Row) -> bool) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => {
                let mut rows = sqlx::query(sql).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    if !sqlite_rows(&[row])?.pop().is_some_and(&mut take) {
                        break;
                    }
                }
            }
            Self::Postgres(tx) => {
                let mut rows = sqlx::query(sql).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    if !pg_rows(&[row])?.pop().is_some_and(&mut take) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Db {
    /// Starts a read transaction on one state of the database.
    pub(crate) async fn read_tx(&self) -> Result<ReadTx, DbError> {
        Ok(match &*self.inner {
            Inner::Sqlite { readers, .. } => ReadTx::Sqlite(readers.begin().await?),
            Inner::Postgres { pool } => {
                ReadTx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// Opens `postgres://…`, or the SQLite file at `sqlite:PATH` (made when absent).
    pub async fn open(url: &str) -> Result<Self, DbError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Self::open_sqlite(Path::new(path)).await;
        }
        let options = PgConnectOptions::from_str(url)?.application_name("mingying");
        let pool = PoolOptions::<Postgres>::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        Ok(Self { inner: Arc::new(Inner::Postgres { pool }) })
    }

    /// Opens or makes the SQLite file.
    pub async fn open_sqlite(path: &Path) -> Result<Self, DbError> {
        let base = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(256)
            .pragma("cache_size", "-16384")
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", "4000");
        let one = |synchronous| {
            PoolOptions::<Sqlite>::new()
                .max_connections(1)
                .acquire_timeout(Duration::from_secs(30))
                .connect_with(base.clone().synchronous(synchronous))
        };
        let writer = one(SqliteSynchronous::Full).await?;
        let lazy_writer = one(SqliteSynchronous::Normal).await?;
        let readers = PoolOptions::<Sqlite>::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(base.read_only(true))
            .await?;
        Ok(Self {
            inner: Arc::new(Inner::Sqlite {
                path: path.to_path_buf(),
                readers,
                writer,
                lazy_writer,
                gate: Arc::new(Mutex::new(())),
            }),
        })
    }

    pub fn engine(&self) -> Engine {
        match &*self.inner {
            Inner::Sqlite { .. } => Engine::Sqlite,
            Inner::Postgres { .. } => Engine::Postgres,
        }
    }

    /// The SQLite file, where there is one.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &*self.inner {
            Inner::Sqlite { path, .. } => Some(path),
            Inner::Postgres { .. } => None,
        }
    }

    /// Starts a write transaction whose commit is durable.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_with(true).await
    }

    /// Starts a write transaction whose commit may be lost by a power cut, never torn. Only for changes that can be
    /// replayed from another durable log (the packs).
    pub async fn begin_replayable(&self) -> Result<Tx, DbError> {
        self.begin_with(false).await
    }

    async fn begin_with(&self, durable: bool) -> Result<Tx, DbError> {
        let inner = match &*self.inner {
            Inner::Sqlite { writer, lazy_writer, gate, .. } => {
                let gate = gate.clone().lock_owned().await;
                let pool = if durable { writer } else { lazy_writer };
                TxInner::Sqlite { tx: pool.begin_with("BEGIN IMMEDIATE").await?, _gate: gate }
            }
            Inner::Postgres { pool } => {
                let mut tx = pool.begin().await?;
                if !durable {
                    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
                }
                TxInner::Postgres { tx }
            }
        };
        Ok(Tx { inner })
    }

    /// Reads rows outside any transaction.
    pub async fn query(&self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let sql = sql.into_sql_str();
        match &*self.inner {
            Inner::Sqlite { readers, .. } => {
                let rows = sqlx::query_with(sql, sqlite_args(params)?).fetch_all(readers).await?;
                sqlite_rows(&rows)
            }
            Inner::Postgres { pool } => {
                let rows = sqlx::query_with(sql, pg_args(params)?).fetch_all(pool).await?;
                pg_rows(&rows)
            }
        }
    }

    /// The first row, if any.
    pub async fn query_opt(&self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Option<Row>, DbError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The first row, or `NotFound`.
    pub async fn query_one(&self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Row, DbError> {
        self.query_opt(sql, params).await?.ok_or(DbError::NotFound)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        self.query("SELECT 1 AS one", &[]).await.map(drop)
    }

    /// One statement in a transaction of its own; the number of rows it changed.
    pub async fn execute(&self, sql: impl SqlSafeStr, params: &[Value]) -> Result<u64, DbError> {
        let mut tx = self.begin().await?;
        let changed = tx.execute(sql, params).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Moves what the SQLite log holds into its main file; nothing on PostgreSQL.
    pub async fn checkpoint(&self) -> Result<(), DbError> {
        if let Inner::Sqlite { writer, gate, .. } = &*self.inner {
            let _gate = gate.lock().await;
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(writer).await?;
        }
        Ok(())
    }

    /// Copies a SQLite database, online and consistent, into the new file `target`.
    pub async fn copy_sqlite_to(&self, target: &Path) -> Result<(), DbError> {
        match &*self.inner {
            Inner::Sqlite { readers, .. } => {
                sqlx::query("VACUUM INTO $1").bind(target.to_string_lossy().into_owned()).execute(readers).await?;
                Ok(())
            }
            Inner::Postgres { .. } => Err(DbError::Other(sqlx::Error::Configuration("not a SQLite database".into()))),
        }
    }

    /// Closes all connections; a SQLite log is folded into its main file.
    pub async fn close(&self) {
        match &*self.inner {
            Inner::Sqlite { readers, writer, lazy_writer, .. } => {
                readers.close().await;
                lazy_writer.close().await;
                writer.close().await;
            }
            Inner::Postgres { pool } => pool.close().await,
        }
    }
}

impl Tx {
    pub fn engine(&self) -> Engine {
        match &self.inner {
            TxInner::Sqlite { .. } => Engine::Sqlite,
            TxInner::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Runs one statement; the number of rows it changed.
    pub async fn execute(&mut self, sql: impl SqlSafeStr, params: &[Value]) -> Result<u64, DbError> {
        let sql = sql.into_sql_str();
        Ok(match &mut self.inner {
            TxInner::Sqlite { tx, .. } => {
                sqlx::query_with(sql, sqlite_args(params)?).execute(&mut **tx).await?.rows_affected()
            }
            TxInner::Postgres { tx } => {
                sqlx::query_with(sql, pg_args(params)?).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    pub async fn query(&mut self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let sql = sql.into_sql_str();
        match &mut self.inner {
            TxInner::Sqlite { tx, .. } => {
                sqlite_rows(&sqlx::query_with(sql, sqlite_args(params)?).fetch_all(&mut **tx).await?)
            }
            TxInner::Postgres { tx } => pg_rows(&sqlx::query_with(sql, pg_args(params)?).fetch_all(&mut **tx).await?),
        }
    }

    pub async fn query_opt(&mut self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Option<Row>, DbError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    pub async fn query_one(&mut self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Row, DbError> {
        self.query_opt(sql, params).await?.ok_or(DbError::NotFound)
    }

    /// Runs a text of several statements without parameters.
    pub(crate) async fn batch(&mut self, sql: SqlStr) -> Result<(), DbError> {
        match &mut self.inner {
            TxInner::Sqlite { tx, .. } => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop)?,
            TxInner::Postgres { tx } => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop)?,
        }
        Ok(())
    }

    /// Serialises with every other holder of the same key until the transaction ends. SQLite has one writer and needs
    /// no lock; PostgreSQL takes an advisory lock. For counters and allocation where a row lock has no row yet.
    pub async fn lock(&mut self, key: i64) -> Result<(), DbError> {
        match &mut self.inner {
            TxInner::Sqlite { .. } => Ok(()),
            TxInner::Postgres { tx } => {
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(key).execute(&mut **tx).await?;
                Ok(())
            }
        }
    }

    pub async fn commit(self) -> Result<(), DbError> {
        match self.inner {
            TxInner::Sqlite { tx, _gate } => tx.commit().await?,
            TxInner::Postgres { tx } => tx.commit().await?,
        }
        Ok(())
    }

    pub async fn rollback(self) -> Result<(), DbError> {
        match self.inner {
            TxInner::Sqlite { tx, _gate } => tx.rollback().await?,
            TxInner::Postgres { tx } => tx.rollback().await?,
        }
        Ok(())
    }
}

/// A statement assembled at run time from constant parts; values still go through parameters.
pub(crate) fn assembled(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

fn sqlite_args(params: &[Value]) -> Result<SqliteArguments, DbError> {
    use sqlx::Arguments as _;
    let mut args = SqliteArguments::default();
    for value in params {
        match value {
            Value::Int(v) => args.add(*v),
            Value::Double(v) => args.add(*v),
            Value::Text(v) => args.add(v.clone()),
            Value::Bytes(v) => args.add(v.clone()),
        }
        .map_err(|e| DbError::Other(sqlx::Error::Encode(e)))?;
    }
    Ok(args)
}

fn pg_args(params: &[Value]) -> Result<PgArguments, DbError> {
    use sqlx::Arguments as _;
    let mut args = PgArguments::default();
    for value in params {
        match value {
            Value::Int(v) => args.add(*v),
            Value::Double(v) => args.add(*v),
            // PostgreSQL text cannot hold NUL; DICOM padding may.
            Value::Text(v) => args.add(v.as_ref().map(|t| t.replace('\0', ""))),
            Value::Bytes(v) => args.add(v.clone()),
        }
        .map_err(|e| DbError::Other(sqlx::Error::Encode(e)))?;
    }
    Ok(args)
}

fn sqlite_rows(rows: &[SqliteRow]) -> Result<Vec<Row>, DbError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names: Arc<[String]> = first.columns().iter().map(|c| c.name().to_owned()).collect();
    rows.iter()
        .map(|row| {
            let columns = (0..names.len())
                .map(|i| {
                    let raw = row.try_get_raw(i)?;
                    if raw.is_null() {
                        return Ok(Column::Null);
                    }
                    let kind = raw.type_info();
                    Ok(match kind.name() {
                        "INTEGER" | "BOOLEAN" => Column::Int(row.try_get_unchecked(i)?),
                        "REAL" => Column::Double(row.try_get_unchecked(i)?),
                        "BLOB" => Column::Bytes(row.try_get_unchecked(i)?),
                        _ => Column::Text(row.try_get_unchecked(i)?),
                    })
                })
                .collect::<Result<_, sqlx::Error>>()?;
            Ok(Row { names: names.clone(), columns })
        })
        .collect()
}

fn pg_rows(rows: &[PgRow]) -> Result<Vec<Row>, DbError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names: Arc<[String]> = first.columns().iter().map(|c| c.name().to_owned()).collect();
    rows.iter()
        .map(|row| {
            let columns = (0..names.len())
                .map(|i| {
                    let raw = row.try_get_raw(i)?;
                    if raw.is_null() {
                        return Ok(Column::Null);
                    }
                    let kind = raw.type_info();
                    Ok(match kind.name() {
                        "INT8" => Column::Int(row.try_get(i)?),
                        "INT4" => Column::Int(i64::from(row.try_get::<i32, _>(i)?)),
                        "BOOL" => Column::Int(i64::from(row.try_get::<bool, _>(i)?)),
                        "FLOAT8" => Column::Double(row.try_get(i)?),
                        "BYTEA" => Column::Bytes(row.try_get(i)?),
                        "TEXT" | "VARCHAR" | "NAME" => Column::Text(row.try_get(i)?),
                        // A numeric sum that was not cast: say so instead of losing digits.
                        other => {
                            return Err(sqlx::Error::ColumnDecode {
                                index: i.to_string(),
                                source: format!("cast {other} to BIGINT, TEXT or DOUBLE PRECISION").into(),
                            });
                        }
                    })
                })
                .collect::<Result<_, sqlx::Error>>()?;
            Ok(Row { names: names.clone(), columns })
        })
        .collect()
}
