//! Both engines behave alike where stores rely on it.

use mingying_db::{Db, DbError, params};
use mingying_kernel::{Coded, ErrorKind, OrderId, Timestamp};
use mingying_testkit::on_both;

async fn table(db: &Db) {
    db.execute(
        "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, x DOUBLE PRECISION, t TEXT, b BYTEA)",
        params![],
    )
    .await
    .unwrap();
}

on_both! {
    async fn values_come_back_as_they_went_in(db: Db) {
        table(&db).await;
        let id = OrderId::new();
        let at = Timestamp::from_micros(1_772_409_600_000_001);
        db.execute(
            "INSERT INTO things (id, n, x, t, b) VALUES ($1, $2, $3, $4, $5)",
            params![id, at, 0.1, "张三𠮷", vec![0_u8, 255, 7]],
        )
        .await
        .unwrap();
        db.execute(
            "INSERT INTO things (id, n, x, t, b) VALUES ($1, $2, $3, $4, $5)",
            params!["none", None::<i64>, None::<f64>, None::<String>, None::<Vec<u8>>],
        )
        .await
        .unwrap();
        let rows = db.query("SELECT id, n, x, t, b FROM things ORDER BY n DESC NULLS LAST", params![]).await.unwrap();
        assert_eq!(rows[0].get::<OrderId>("id").unwrap(), id);
        assert_eq!(rows[0].get::<Timestamp>("n").unwrap(), at);
        assert_eq!(rows[0].get::<f64>("x").unwrap(), 0.1);
        assert_eq!(rows[0].get::<String>("t").unwrap(), "张三𠮷");
        assert_eq!(rows[0].get::<Vec<u8>>("b").unwrap(), vec![0, 255, 7]);
        assert_eq!(rows[1].get::<Option<i64>>("n").unwrap(), None);
        assert_eq!(rows[1].get::<Option<Vec<u8>>>("b").unwrap(), None);
        assert!(matches!(rows[1].get::<i64>("n"), Err(DbError::Column(_))));
        assert!(matches!(rows[1].get::<i64>("nothing"), Err(DbError::Column(_))));
    }

    async fn text_sorts_by_code_point(db: Db) {
        table(&db).await;
        for id in ["b", "B", "a", "中", "Z", "é"] {
            db.execute("INSERT INTO things (id) VALUES ($1)", params![id]).await.unwrap();
        }
        let rows = db.query("SELECT id FROM things ORDER BY id", params![]).await.unwrap();
        let ids: Vec<String> = rows.iter().map(|r| r.get("id").unwrap()).collect();
        assert_eq!(ids, ["B", "Z", "a", "b", "é", "中"]);
    }

    async fn errors_are_told_apart(db: Db) {
        table(&db).await;
        db.execute("INSERT INTO things (id) VALUES ('1')", params![]).await.unwrap();
        let twice = db.execute("INSERT INTO things (id) VALUES ('1')", params![]).await.unwrap_err();
        assert!(matches!(twice, DbError::Unique { .. }), "{twice:?}");
        assert_eq!(twice.kind(), ErrorKind::Conflict);
        let none = db.query_one("SELECT id FROM things WHERE id = 'x'", params![]).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        let wrong = db.query("SELECT nothing FROM things", params![]).await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Internal);
    }

    async fn a_dropped_transaction_leaves_nothing(db: Db) {
        table(&db).await;
        let mut tx = db.begin().await.unwrap();
        tx.execute("INSERT INTO things (id) VALUES ('1')", params![]).await.unwrap();
        drop(tx);
        let mut tx = db.begin_replayable().await.unwrap();
        tx.execute("INSERT INTO things (id) VALUES ('2')", params![]).await.unwrap();
        tx.commit().await.unwrap();
        let rows = db.query("SELECT id FROM things", params![]).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<String>("id").unwrap(), "2");
    }

    async fn counters_under_a_lock_lose_nothing(db: Db) {
        table(&db).await;
        db.execute("INSERT INTO things (id, n) VALUES ('c', 0)", params![]).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let db = db.clone();
            tasks.spawn(async move {
                for _ in 0..10 {
                    let mut tx = db.begin().await.unwrap();
                    tx.lock(7).await.unwrap();
                    let n: i64 = tx.query_one("SELECT n FROM things WHERE id = 'c'", params![]).await.unwrap().get("n").unwrap();
                    tx.execute("UPDATE things SET n = $1 WHERE id = 'c'", params![n + 1]).await.unwrap();
                    tx.commit().await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let n: i64 = db.query_one("SELECT n FROM things WHERE id = 'c'", params![]).await.unwrap().get("n").unwrap();
        assert_eq!(n, 80);
    }

    async fn migrating_twice_changes_nothing_and_edited_history_is_refused(db: Db) {
        assert_eq!(db.migrate().await.unwrap(), Vec::<&str>::new());
        db.execute("UPDATE schema_migrations SET hash = 'other' WHERE name LIKE '%_events'", params![]).await.unwrap();
        assert!(matches!(db.migrate().await, Err(DbError::Migration { .. })));
    }
}
