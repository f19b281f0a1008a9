//! The SQL of accounts, sessions, tokens, throttles and the organization.

use crate::tokens::TokenInfo;
use crate::{Campus, Department, DepartmentKind, Org, SignedIn, User};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{Role, Scope, SessionId, Timestamp, UserId};
use std::collections::BTreeMap;

/// Serialises changes that count administrators.
pub(crate) const USERS_LOCK: i64 = 0x0120_0001;

const USER: &str = "u.id AS user_id, u.username, u.name, u.active, u.demo, u.org_id, u.created_at AS user_created, \
     CASE WHEN u.totp_secret IS NULL THEN 0 ELSE 1 END AS factor, \
     (SELECT string_agg(r.role, ',') FROM user_roles r WHERE r.user_id = u.id) AS roles";

fn user_of(row: &Row) -> Result<User, DbError> {
    let roles: Option<String> = row.get("roles")?;
    let mut roles: Vec<Role> = roles.as_deref().unwrap_or_default().split(',').filter_map(Role::parse).collect();
    roles.sort_unstable();
    Ok(User {
        id: row.get("user_id")?,
        username: row.get("username")?,
        name: row.get("name")?,
        roles,
        active: row.get("active")?,
        demo: row.get("demo")?,
        org: row.get("org_id")?,
        second_factor: row.get("factor")?,
        created_at: row.get("user_created")?,
    })
}

pub(crate) async fn insert_user(tx: &mut Tx, user: &User, hash: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO users (id, username, name, password_hash, active, demo, org_id, totp_last_step, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $8)",
        params![user.id, &user.username, &user.name, hash, user.active, user.demo, user.org, user.created_at],
    )
    .await?;
    put_roles(tx, user).await
}

async fn put_roles(tx: &mut Tx, user: &User) -> Result<(), DbError> {
    tx.execute("DELETE FROM user_roles WHERE user_id = $1", params![user.id]).await?;
    for role in &user.roles {
        tx.execute("INSERT INTO user_roles (user_id, role) VALUES ($1, $2)", params![user.id, role.as_str()]).await?;
    }
    Ok(())
}

pub(crate) async fn update_user(tx: &mut Tx, user: &User, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE users SET name = $1, active = $2, updated_at = $3 WHERE id = $4",
        params![&user.name, user.active, now, user.id],
    )
    .await?;
    put_roles(tx, user).await
}

pub(crate) async fn set_password(tx: &mut Tx, id: UserId, hash: &str, now: Timestamp) -> Result<(), DbError> {
    // Whoever knows the new password knows it: the account is no longer a demonstration account.
    tx.execute("UPDATE users SET password_hash = $1, demo = 0, updated_at = $2 WHERE id = $3", params![hash, now, id])
        .await?;
    Ok(())
}

pub(crate) async fn password_hash(db: &Db, id: UserId) -> Result<Option<String>, DbError> {
    match db.query_opt("SELECT password_hash FROM users WHERE id = $1", params![id]).await? {
        Some(row) => Ok(Some(row.get("password_hash")?)),
        None => Ok(None),
    }
}

pub(crate) async fn other_admins(tx: &mut Tx, than: UserId) -> Result<u64, DbError> {
    tx.query_one(
        "SELECT COUNT(*) AS n FROM users u JOIN user_roles r ON r.user_id = u.id \
         WHERE u.active = 1 AND r.role = 'admin' AND u.id <> $1",
        params![than],
    )
    .await?
    .get("n")
}

pub(crate) async fn user(db: &Db, id: UserId, scope: Scope) -> Result<Option<User>, DbError> {
    let sql = format!("SELECT {USER} FROM users u WHERE u.id = $1 AND {}", scope_sql(scope, "u.org_id"));
    db.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(user_of).transpose()
}

pub(crate) async fn user_by_name(db: &Db, username: &str) -> Result<Option<(User, String)>, DbError> {
    let sql = format!("SELECT {USER}, u.password_hash FROM users u WHERE u.username = $1");
    match db.query_opt(AssertSqlSafe(sql), params![username]).await? {
        Some(row) => Ok(Some((user_of(&row)?, row.get("password_hash")?))),
        None => Ok(None),
    }
}

pub(crate) async fn users(db: &Db, scope: Scope) -> Result<Vec<User>, DbError> {
    let sql = format!("SELECT {USER} FROM users u WHERE {} ORDER BY u.username", scope_sql(scope, "u.org_id"));
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(user_of).collect()
}

/// Names by user id, of those ids that are users'.
pub(crate) async fn user_names(db: &Db, ids: &[String]) -> Result<BTreeMap<String, String>, DbError> {
    let mut names = BTreeMap::new();
    for chunk in ids.chunks(200) {
        let marks = (1..=chunk.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT id, name FROM users WHERE id IN ({marks})");
        let values: Vec<Value> = chunk.iter().map(Value::from).collect();
        for row in db.query(AssertSqlSafe(sql), &values).await? {
            names.insert(row.get("id")?, row.get("name")?);
        }
    }
    Ok(names)
}

/// Whether the demonstration's users live here.
pub async fn has_demo_users(db: &Db) -> Result<bool, DbError> {
    Ok(db.query_opt("SELECT id FROM users WHERE demo = 1 LIMIT 1", params![]).await?.is_some())
}

// Second factor.

pub(crate) async fn factor(db: &Db, id: UserId) -> Result<Option<(Vec<u8>, i64)>, DbError> {
    let row = db.query_opt("SELECT totp_secret, totp_last_step FROM users WHERE id = $1", params![id]).await?;
    let Some(row) = row else { return Ok(None) };
    let secret: Option<Vec<u8>> = row.get("totp_secret")?;
    let last = row.get("totp_last_step")?;
    Ok(secret.map(|secret| (secret, last)))
}

pub(crate) async fn pending_factor(db: &Db, id: UserId) -> Result<Option<Vec<u8>>, DbError> {
    match db.query_opt("SELECT totp_pending FROM users WHERE id = $1", params![id]).await? {
        Some(row) => row.get("totp_pending"),
        None => Ok(None),
    }
}

pub(crate) async fn set_pending_factor(
    tx: &mut Tx,
    id: UserId,
    sealed: Option<&[u8]>,
    now: Timestamp,
) -> Result<(), DbError> {
    let sealed = sealed.map(<[u8]>::to_vec);
    tx.execute("UPDATE users SET totp_pending = $1, updated_at = $2 WHERE id = $3", params![sealed, now, id]).await?;
    Ok(())
}

pub(crate) async fn set_factor(
    tx: &mut Tx,
    id: UserId,
    sealed: Option<&[u8]>,
    step: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let sealed = sealed.map(<[u8]>::to_vec);
    tx.execute(
        "UPDATE users SET totp_secret = $1, totp_pending = NULL, totp_last_step = $2, updated_at = $3 WHERE id = $4",
        params![sealed, step, now, id],
    )
    .await?;
    Ok(())
}

/// Marks the step as used; `false` when it, or a later one, was used already.
pub(crate) async fn use_step(tx: &mut Tx, id: UserId, step: i64) -> Result<bool, DbError> {
    let changed = tx
        .execute("UPDATE users SET totp_last_step = $1 WHERE id = $2 AND totp_last_step < $1", params![step, id])
        .await?;
    Ok(changed == 1)
}

// Sessions.

pub(crate) struct FoundSession {
    pub session: SessionId,
    pub user: User,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

pub(crate) async fn insert_session(
    tx: &mut Tx,
    signed_in: &SignedIn,
    token_hash: &str,
    address: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO sessions (id, token_hash, user_id, second_factor, address, created_at, last_seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
        params![
            signed_in.session,
            token_hash,
            signed_in.user.id,
            signed_in.user.second_factor,
            address,
            now,
            signed_in.expires_at
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn session(
    db: &Db,
    token_hash: &str,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Option<FoundSession>, DbError> {
    let sql = format!(
        "SELECT s.id AS session_id, s.last_seen_at, s.expires_at, {USER} FROM sessions s \
         JOIN users u ON u.id = s.user_id \
         WHERE s.token_hash = $1 AND s.expires_at > $2 AND s.last_seen_at > $3 AND u.active = 1"
    );
    match db.query_opt(AssertSqlSafe(sql), params![token_hash, now, idle_since]).await? {
        Some(row) => Ok(Some(FoundSession {
            session: row.get("session_id")?,
            user: user_of(&row)?,
            last_seen_at: row.get("last_seen_at")?,
            expires_at: row.get("expires_at")?,
        })),
        None => Ok(None),
    }
}

pub(crate) async fn touch_session(db: &Db, id: SessionId, now: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    tx.execute("UPDATE sessions SET last_seen_at = $1 WHERE id = $2", params![now, id]).await?;
    tx.commit().await
}

pub(crate) async fn delete_session(tx: &mut Tx, id: SessionId) -> Result<(), DbError> {
    tx.execute("DELETE FROM sessions WHERE id = $1", params![id]).await?;
    Ok(())
}

pub(crate) async fn delete_sessions_of(tx: &mut Tx, user: UserId, except: Option<SessionId>) -> Result<(), DbError> {
    let keep = except.map_or_else(String::new, |id| id.to_string());
    tx.execute("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", params![user, keep]).await?;
    Ok(())
}

/// Removes sessions past their end and throttles past their memory.
pub(crate) async fn delete_expired(tx: &mut Tx, now: Timestamp, forget: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM sessions WHERE expires_at <= $1", params![now]).await?;
    tx.execute("DELETE FROM login_throttles WHERE last_at < $1", params![forget]).await?;
    Ok(())
}

// Throttling.

pub(crate) async fn blocked_until(db: &Db, a: &str, b: &str) -> Result<Timestamp, DbError> {
    db.query_one(
        "SELECT COALESCE(MAX(blocked_until), 0) AS until FROM login_throttles WHERE key IN ($1, $2)",
        params![a, b],
    )
    .await?
    .get("until")
}

/// Counts one more failure and returns the count; an old series starts anew.
pub(crate) async fn count_failure(tx: &mut Tx, key: &str, now: Timestamp, forget: Timestamp) -> Result<u32, DbError> {
    tx.query_one(
        "INSERT INTO login_throttles (key, failures, last_at, blocked_until) VALUES ($1, 1, $2, 0) \
         ON CONFLICT (key) DO UPDATE SET last_at = $2, \
         failures = CASE WHEN login_throttles.last_at < $3 THEN 1 ELSE login_throttles.failures + 1 END \
         RETURNING failures",
        params![key, now, forget],
    )
    .await?
    .get("failures")
}

pub(crate) async fn block(tx: &mut Tx, key: &str, until: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE login_throttles SET blocked_until = $1 WHERE key = $2", params![until, key]).await?;
    Ok(())
}

pub(crate) async fn forget_failures(tx: &mut Tx, key: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM login_throttles WHERE key = $1", params![key]).await?;
    Ok(())
}

// Tokens.

const TOKEN: &str = "id, name, subject, role, org_id, created_at, expires_at, revoked_at, last_used_at";

fn token_of(row: &Row) -> Result<TokenInfo, DbError> {
    let role: String = row.get("role")?;
    Ok(TokenInfo {
        id: row.get("id")?,
        name: row.get("name")?,
        subject: row.get("subject")?,
        role: Role::parse(&role).ok_or_else(|| DbError::Column("role".to_owned()))?,
        org: row.get("org_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}

pub(crate) async fn insert_token(tx: &mut Tx, info: &TokenInfo, token_hash: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO api_tokens (id, token_hash, name, subject, role, org_id, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            &info.id,
            token_hash,
            &info.name,
            &info.subject,
            info.role.as_str(),
            info.org,
            info.created_at,
            info.expires_at
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn revoke_tokens(tx: &mut Tx, subject: &str, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("UPDATE api_tokens SET revoked_at = $1 WHERE subject = $2 AND revoked_at IS NULL", params![now, subject])
        .await
}

pub(crate) async fn token(db: &Db, token_hash: &str) -> Result<Option<TokenInfo>, DbError> {
    let sql = format!("SELECT {TOKEN} FROM api_tokens WHERE token_hash = $1");
    db.query_opt(AssertSqlSafe(sql), params![token_hash]).await?.as_ref().map(token_of).transpose()
}

pub(crate) async fn tokens(db: &Db) -> Result<Vec<TokenInfo>, DbError> {
    let sql = format!("SELECT {TOKEN} FROM api_tokens ORDER BY created_at, id");
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(token_of).collect()
}

pub(crate) async fn touch_token(db: &Db, id: &str, now: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    tx.execute("UPDATE api_tokens SET last_used_at = $1 WHERE id = $2", params![now, id]).await?;
    tx.commit().await
}

// Organization.

pub(crate) async fn put_org(tx: &mut Tx, org: &Org) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO orgs (id, name, name_en) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_en = excluded.name_en",
        params![org.id, &org.name, &org.name_en],
    )
    .await?;
    Ok(())
}

pub(crate) async fn put_campus(tx: &mut Tx, campus: &Campus) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO campuses (id, org_id, code, name, name_en) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET code = excluded.code, name = excluded.name, name_en = excluded.name_en",
        params![campus.id, campus.org, &campus.code, &campus.name, &campus.name_en],
    )
    .await?;
    Ok(())
}

pub(crate) async fn put_department(tx: &mut Tx, department: &Department) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO departments (id, org_id, campus_id, code, name, name_en, kind) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET campus_id = excluded.campus_id, code = excluded.code, name = excluded.name, \
         name_en = excluded.name_en, kind = excluded.kind",
        params![
            department.id,
            department.org,
            department.campus,
            &department.code,
            &department.name,
            &department.name_en,
            department.kind.as_str()
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn orgs(db: &Db, scope: Scope) -> Result<Vec<Org>, DbError> {
    let sql = format!("SELECT id, name, name_en FROM orgs WHERE {} ORDER BY id", scope_sql(scope, "id"));
    db.query(AssertSqlSafe(sql), params![])
        .await?
        .iter()
        .map(|row| Ok(Org { id: row.get("id")?, name: row.get("name")?, name_en: row.get("name_en")? }))
        .collect()
}

pub(crate) async fn campuses(db: &Db, scope: Scope) -> Result<Vec<Campus>, DbError> {
    let sql = format!(
        "SELECT id, org_id, code, name, name_en FROM campuses WHERE {} ORDER BY code, id",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![])
        .await?
        .iter()
        .map(|row| {
            Ok(Campus {
                id: row.get("id")?,
                org: row.get("org_id")?,
                code: row.get("code")?,
                name: row.get("name")?,
                name_en: row.get("name_en")?,
            })
        })
        .collect()
}

pub(crate) async fn departments(db: &Db, scope: Scope) -> Result<Vec<Department>, DbError> {
    let sql = format!(
        "SELECT id, org_id, campus_id, code, name, name_en, kind FROM departments WHERE {} ORDER BY code, id",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![])
        .await?
        .iter()
        .map(|row| {
            let kind: String = row.get("kind")?;
            Ok(Department {
                id: row.get("id")?,
                org: row.get("org_id")?,
                campus: row.get("campus_id")?,
                code: row.get("code")?,
                name: row.get("name")?,
                name_en: row.get("name_en")?,
                kind: DepartmentKind::parse(&kind),
            })
        })
        .collect()
}

/// Whether text sorts by code point, as prefix searches by range need it. SQLite always does.
pub async fn collation_is_c(db: &Db) -> Result<bool, DbError> {
    if db.engine() == mingying_db::Engine::Sqlite {
        return Ok(true);
    }
    let row = db
        .query_one(
            "SELECT CAST(datcollate AS TEXT) AS collation FROM pg_database WHERE datname = current_database()",
            params![],
        )
        .await?;
    Ok(matches!(row.get::<String>("collation")?.as_str(), "C" | "POSIX" | "C.UTF-8" | "C.utf8"))
}
