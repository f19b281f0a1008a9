//! Pools and transactions.

use crate::writers::{SqliteTx, Writers};
use crate::{Column, DbError, Row, Value};
use futures::TryStreamExt;
use sqlx::Either;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow, Postgres};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr, SqlStr, Sqlite, Transaction,
    TypeInfo, ValueRef,
};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

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
        /// SQLite has one writer; waiting here is fair and costs no busy loop.
        writers: Arc<Mutex<Writers>>,
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
    Sqlite(SqliteTx),
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
        let options = PgConnectOptions::from_str(url)?.application_name("mingying").disable_statement_logging();
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
            // Statements and their times are no concern of the log; errors say what failed.
            .disable_statement_logging()
            .pragma("cache_size", "-16384")
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", "4000");
        let mut writers = Writers::new(base.clone());
        writers.open(true).await?;
        writers.open(false).await?;
        let readers = PoolOptions::<Sqlite>::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(10))
            // A file does not go away as a server does.
            .test_before_acquire(false)
            .connect_with(base.read_only(true))
            .await?;
        Ok(Self {
            inner: Arc::new(Inner::Sqlite {
                path: path.to_path_buf(),
                readers,
                writers: Arc::new(Mutex::new(writers)),
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
            Inner::Sqlite { writers, .. } => TxInner::Sqlite(SqliteTx::begin(writers.clone(), durable).await?),
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
        if let Inner::Sqlite { writers, .. } = &*self.inner {
            let mut writers = writers.lock().await;
            writers.open(true).await?;
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(writers.get(true)?).await?;
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
            Inner::Sqlite { readers, writers, .. } => {
                readers.close().await;
                writers.lock().await.close().await;
            }
            Inner::Postgres { pool } => pool.close().await,
        }
    }
}

impl Tx {
    pub fn engine(&self) -> Engine {
        match &self.inner {
            TxInner::Sqlite(_) => Engine::Sqlite,
            TxInner::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Runs one statement; the number of rows it changed.
    pub async fn execute(&mut self, sql: impl SqlSafeStr, params: &[Value]) -> Result<u64, DbError> {
        let sql = sql.into_sql_str();
        Ok(match &mut self.inner {
            TxInner::Sqlite(tx) => {
                sqlx::query_with(sql, sqlite_args(params)?).execute(tx.connection()?).await?.rows_affected()
            }
            TxInner::Postgres { tx } => {
                sqlx::query_with(sql, pg_args(params)?).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    pub async fn query(&mut self, sql: impl SqlSafeStr, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let sql = sql.into_sql_str();
        match &mut self.inner {
            TxInner::Sqlite(tx) => {
                sqlite_rows(&sqlx::query_with(sql, sqlite_args(params)?).fetch_all(tx.connection()?).await?)
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

    /// Runs statements in order; the rows of each. On SQLite eight of them cost one trip to the database's thread: half
    /// of what a small statement costs is the way there and back. PostgreSQL takes one at a time.
    pub async fn run(&mut self, Statements(statements): Statements) -> Result<Vec<Vec<Row>>, DbError> {
        let mut all = Vec::with_capacity(statements.len());
        match &mut self.inner {
            TxInner::Sqlite(tx) => {
                for group in statements.chunks(STATEMENTS_A_TRIP) {
                    let (sql, values) = joined(group);
                    let query = sqlx::query_with(assembled(sql), sqlite_args(&values)?);
                    // Results come as rows and, after the rows of each statement, its end.
                    let mut results = tx.connection()?.fetch_many(query);
                    let mut rows = Vec::new();
                    while let Some(result) = results.try_next().await? {
                        match result {
                            Either::Right(row) => rows.push(row),
                            Either::Left(_) => {
                                all.push(sqlite_rows(&rows)?);
                                rows.clear();
                            }
                        }
                    }
                }
            }
            TxInner::Postgres { tx } => {
                for (sql, values) in statements {
                    all.push(pg_rows(&sqlx::query_with(sql, pg_args(&values)?).fetch_all(&mut **tx).await?)?);
                }
            }
        }
        Ok(all)
    }

    /// Runs a text of several statements without parameters.
    pub(crate) async fn batch(&mut self, sql: SqlStr) -> Result<(), DbError> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => sqlx::raw_sql(sql).execute(tx.connection()?).await.map(drop)?,
            TxInner::Postgres { tx } => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop)?,
        }
        Ok(())
    }

    /// Serialises with every other holder of the same key until the transaction ends. SQLite has one writer and needs
    /// no lock; PostgreSQL takes an advisory lock. For counters and allocation where a row lock has no row yet.
    pub async fn lock(&mut self, key: i64) -> Result<(), DbError> {
        match &mut self.inner {
            TxInner::Sqlite(_) => Ok(()),
            TxInner::Postgres { tx } => {
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(key).execute(&mut **tx).await?;
                Ok(())
            }
        }
    }

    pub async fn commit(self) -> Result<(), DbError> {
        match self.inner {
            TxInner::Sqlite(tx) => tx.commit().await?,
            TxInner::Postgres { tx } => tx.commit().await?,
        }
        Ok(())
    }

    pub async fn rollback(self) -> Result<(), DbError> {
        match self.inner {
            TxInner::Sqlite(tx) => tx.rollback().await?,
            TxInner::Postgres { tx } => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Statements to run one after the other, see `Tx::run`.
#[derive(Debug, Default)]
pub struct Statements(Vec<(SqlStr, Vec<Value>)>);

impl Statements {
    /// Adds a statement; its parameters begin at `$1`, and it has no `$` but theirs.
    pub fn push(&mut self, sql: impl SqlSafeStr, params: &[Value]) {
        self.0.push((sql.into_sql_str(), params.to_vec()));
    }
}

/// More statements in one text are not worth their memory: SQLite keeps each text prepared.
const STATEMENTS_A_TRIP: usize = 8;

/// Several statements as one text; their `$n` go on counting where the last one ended.
fn joined(statements: &[(SqlStr, Vec<Value>)]) -> (String, Vec<Value>) {
    let mut text = String::new();
    let mut values: Vec<Value> = Vec::new();
    for (sql, own) in statements {
        let before = values.len();
        let mut parts = sql.as_str().split('$');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = part.split_at(digits);
            text.push('$');
            match number.parse::<usize>() {
                Ok(number) => text.push_str(&(number + before).to_string()),
                Err(_) => text.push_str(number),
            }
            text.push_str(rest);
        }
        text.push(';');
        values.extend(own.iter().cloned());
    }
    (text, values)
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
