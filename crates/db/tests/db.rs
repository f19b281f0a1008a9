//! Both engines behave alike where stores rely on it.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use mingying_db::{Db, DbError, Statements, params};
use mingying_kernel::{Coded, ErrorKind, OrderId, Timestamp};
use mingying_testkit::on_both;

async fn table(db: &Db) {
    db.execute("CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, x DOUBLE PRECISION, t TEXT, b BYTEA)", params![])
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

    async fn statements_run_together_in_order_and_fail_together(db: Db) {
        table(&db).await;
        let mut tx = db.begin().await.unwrap();
        let mut many = Statements::default();
        for n in 0..20_i64 {
            many.push("INSERT INTO things (id, n) VALUES ($1, $2)", params![format!("{n:02}"), n]);
        }
        many.push("SELECT id FROM things WHERE n > $1 AND n < $2 ORDER BY id", params![3, 7]);
        many.push("SELECT id FROM things WHERE n > $1", params![100]);
        many.push("SELECT COUNT(*) AS n FROM things", params![]);
        let results = tx.run(many).await.unwrap();
        assert_eq!(results.len(), 23);
        let ids: Vec<String> = results[20].iter().map(|r| r.get("id").unwrap()).collect();
        assert_eq!(ids, ["04", "05", "06"]);
        assert!(results[21].is_empty());
        assert_eq!(results[22][0].get::<i64>("n").unwrap(), 20);
        tx.commit().await.unwrap();

        let mut tx = db.begin().await.unwrap();
        let mut twice = Statements::default();
        twice.push("INSERT INTO things (id) VALUES ($1)", params!["new"]);
        twice.push("INSERT INTO things (id) VALUES ($1)", params!["00"]);
        assert!(matches!(tx.run(twice).await, Err(DbError::Unique { .. })));
        drop(tx);
        assert!(db.query("SELECT id FROM things WHERE id = 'new'", params![]).await.unwrap().is_empty());
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

on_both! {
    async fn a_dump_loads_into_either_engine(db: Db) {
        let long = "影像\u{20bb7}\n\"\\".repeat(100);
        db.execute(
            "INSERT INTO events (id, topic, version, subject_kind, subject_id, case_id, org_id, actor_kind, actor_id, \
             actor_name, source, request_id, occurred_at, recorded_at, payload) \
             VALUES ('e1', 't', 1, 'k', 's', NULL, 'o', 'a', 'a', $1, 's', 'r', $2, 2, '{}')",
            params![&long, i64::MAX],
        )
        .await
        .unwrap();
        db.execute(
            "INSERT INTO deliveries (id, subscriber, event_id, state, attempts, due_at, lease_until, lease_owner, \
             created_at) VALUES ('d1', 's', 'e1', 'pending', 0, 1, 0, '', 1)",
            params![],
        )
        .await
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let dumped = db.dump(dir.path()).await.unwrap();
        assert!(dumped.iter().any(|table| table.name == "deliveries" && table.rows == 1));
        for other in [mingying_testkit::sqlite().await, mingying_testkit::postgres().await] {
            // What is there is replaced.
            other.db.execute("INSERT INTO subscriptions (subscriber, topic) VALUES ('x', 'y')", params![]).await.unwrap();
            let loaded = other.db.load(dir.path()).await.unwrap();
            assert!(loaded.iter().all(|table| dumped.contains(table)));
            let row = other.db.query_one("SELECT * FROM events", params![]).await.unwrap();
            assert_eq!(row.get::<String>("actor_name").unwrap(), long);
            assert_eq!(row.get::<i64>("occurred_at").unwrap(), i64::MAX);
            assert_eq!(row.get::<Option<String>>("case_id").unwrap(), None);
            assert!(other.db.query("SELECT topic FROM subscriptions", params![]).await.unwrap().is_empty());
            let again = tempfile::tempdir().unwrap();
            other.db.dump(again.path()).await.unwrap();
            for table in &dumped {
                let file = format!("{}.jsonl", table.name);
                let sorted = |dir: &std::path::Path| {
                    let mut lines: Vec<_> =
                        std::fs::read_to_string(dir.join(&file)).unwrap().lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                };
                assert_eq!(sorted(again.path()), sorted(dir.path()), "{file}");
            }
        }
        std::fs::write(dir.path().join("events.jsonl"), "{\"columns\":[\"id\"]}\n[1,2]\n").unwrap();
        let broken = mingying_testkit::sqlite().await;
        assert!(broken.db.load(dir.path()).await.is_err());
        assert!(db.dump(dir.path()).await.is_err(), "nothing is overwritten");
    }
}
