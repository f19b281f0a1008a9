//! Who writes to SQLite: one transaction at a time.

use crate::DbError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The two connections that write to SQLite, one at a time. Kept outside a pool, which would ask each before and after
/// every use whether it still lives.
pub(crate) struct Writers {
    options: SqliteConnectOptions,
    /// Its commits reach the disk before they return.
    durable: Option<SqliteConnection>,
    /// Its commits reach the disk with the next synced one; for changes that another log can replay.
    lazy: Option<SqliteConnection>,
    closed: bool,
}

impl Writers {
    pub fn new(options: SqliteConnectOptions) -> Self {
        Self { options, durable: None, lazy: None, closed: false }
    }

    /// Closes both for good.
    pub async fn close(&mut self) {
        self.closed = true;
        for connection in [self.lazy.take(), self.durable.take()].into_iter().flatten() {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a database connection did not close well");
            }
        }
    }

    pub async fn open(&mut self, durable: bool) -> Result<(), DbError> {
        if self.closed {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let (place, synchronous) = if durable {
            (&mut self.durable, SqliteSynchronous::Full)
        } else {
            (&mut self.lazy, SqliteSynchronous::Normal)
        };
        if place.is_none() {
            *place = Some(self.options.clone().synchronous(synchronous).connect().await?);
        }
        Ok(())
    }

    /// Closes a connection; the next transaction opens another.
    fn discard(&mut self, durable: bool) {
        if durable {
            self.durable = None;
        } else {
            self.lazy = None;
        }
    }

    pub fn get(&mut self, durable: bool) -> Result<&mut SqliteConnection, DbError> {
        let place = if durable { &mut self.durable } else { &mut self.lazy };
        place.as_mut().ok_or_else(|| sqlx::Error::PoolClosed.into())
    }
}

/// A transaction on one of the writers. Dropping it rolls it back.
pub(crate) struct SqliteTx {
    /// `None` when it has ended.
    writers: Option<OwnedMutexGuard<Writers>>,
    durable: bool,
}

impl SqliteTx {
    pub async fn begin(writers: Arc<Mutex<Writers>>, durable: bool) -> Result<Self, DbError> {
        let mut writers = writers.lock_owned().await;
        writers.open(durable).await?;
        // Whoever stops waiting from here on leaves a transaction to roll back.
        let mut tx = Self { writers: Some(writers), durable };
        if let Err(error) = tx.connection()?.execute(sqlx::query("BEGIN IMMEDIATE")).await {
            if let Some(mut writers) = tx.writers.take()
                && matches!(error, sqlx::Error::WorkerCrashed)
            {
                writers.discard(durable);
            }
            return Err(error.into());
        }
        Ok(tx)
    }

    pub fn connection(&mut self) -> Result<&mut SqliteConnection, DbError> {
        self.writers.as_mut().ok_or(sqlx::Error::PoolClosed)?.get(self.durable)
    }

    pub async fn commit(mut self) -> Result<(), DbError> {
        self.connection()?.execute(sqlx::query("COMMIT")).await?;
        self.writers = None;
        Ok(())
    }

    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.connection()?.execute(sqlx::query("ROLLBACK")).await?;
        self.writers = None;
        Ok(())
    }
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        let Some(mut writers) = self.writers.take() else { return };
        let durable = self.durable;
        // Nobody writes before it is rolled back. A connection that cannot say so is closed, which rolls back as well.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return writers.discard(durable) };
        runtime.spawn(async move {
            let rolled_back = match writers.get(durable) {
                Ok(connection) => connection.execute(sqlx::query("ROLLBACK")).await.is_ok(),
                Err(_) => true,
            };
            if !rolled_back {
                writers.discard(durable);
            }
        });
    }
}
