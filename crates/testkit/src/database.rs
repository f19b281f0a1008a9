use mingying_db::Db;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// A migrated database that nobody else uses. Keep it alive for the test's time.
pub struct TestDb {
    pub db: Db,
    /// The connection URL, for tests that start a server process on it.
    pub url: String,
    /// A folder for the test's files, removed afterwards.
    pub dir: TempDir,
}

/// A fresh SQLite database in a temporary folder.
pub async fn sqlite() -> TestDb {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("mingying.db").display());
    let db = Db::open(&url).await.unwrap();
    db.migrate().await.unwrap();
    TestDb { db, url, dir }
}

/// A fresh PostgreSQL database on the server named by `MINGYING_TEST_POSTGRES`, which `make test` starts.
pub async fn postgres() -> TestDb {
    let server = std::env::var("MINGYING_TEST_POSTGRES")
        .expect("MINGYING_TEST_POSTGRES is not set: run `make test`, or `eval $(scripts/test-postgres)`");
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    let create = format!("CREATE DATABASE {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' TEMPLATE template0");
    sqlx::query(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    let url = format!("{server}/{name}");
    let db = Db::open(&url).await.unwrap();
    db.migrate().await.unwrap();
    TestDb { db, url, dir: tempfile::tempdir().unwrap() }
}
