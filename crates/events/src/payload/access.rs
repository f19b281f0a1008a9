//! Accounts and tokens. Names of people are not written here: the object id leads to them.

use crate::Payload;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    pub username: String,
    pub roles: Vec<String>,
}
impl Payload for UserCreated {
    const TOPIC: &'static str = "user.created";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChanged {
    pub roles: Vec<String>,
    pub active: bool,
    /// The password was set by an administrator.
    pub password: bool,
}
impl Payload for UserChanged {
    const TOPIC: &'static str = "user.changed";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChanged {}
impl Payload for PasswordChanged {
    const TOPIC: &'static str = "user.password_changed";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorEnrolled {}
impl Payload for FactorEnrolled {
    const TOPIC: &'static str = "user.factor_enrolled";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorRemoved {}
impl Payload for FactorRemoved {
    const TOPIC: &'static str = "user.factor_removed";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    pub name: String,
    pub role: String,
}
impl Payload for TokenIssued {
    const TOPIC: &'static str = "token.issued";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    pub count: u64,
}
impl Payload for TokenRevoked {
    const TOPIC: &'static str = "token.revoked";
}
