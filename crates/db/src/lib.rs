//! One SQL text for two engines, SQLite and PostgreSQL.
//!
//! Stores write `$1` placeholders, `ON CONFLICT`, `RETURNING`, explicit columns, `NULLS FIRST/LAST`, and only
//! the types BIGINT, TEXT, DOUBLE PRECISION and BYTEA (booleans as 0/1, instants as microseconds UTC, JSON as
//! TEXT, sums cast to BIGINT). What differs between the engines stays in this crate and in `jobs`.

mod dump;
mod error;
mod migrate;
mod pool;
mod value;
mod writers;

pub use dump::{DumpError, DumpedTable};
pub use error::DbError;
pub use pool::{Db, Engine, Statements, Tx};
pub use sqlx::{AssertSqlSafe, SqlSafeStr};
pub use value::{Column, FromColumn, Row, Value};

use mingying_kernel::Scope;

/// Renders a scope as a condition on `column`, to be placed after `WHERE` or `AND`.
/// The organization id is a UUID that this process made or parsed, hence safe to inline.
pub fn scope_sql(scope: Scope, column: &'static str) -> String {
    match scope {
        Scope::All => "1 = 1".to_owned(),
        Scope::Org(org) => format!("{column} = '{org}'"),
    }
}

/// Parameters for a statement: `params![id, name, None::<i64>]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Value] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Value::from($value)),+] as &[$crate::Value] };
}
