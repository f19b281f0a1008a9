//! Bearer tokens of machines and displays. Only the hash is stored; last use is kept to the minute.

use crate::model::{clean_name, hash_of};
use crate::recognised::Known;
use crate::users::EVERYBODYS;
use crate::{Access, AccessError, ManageUsers, ReadUsers, record, secret, store};
use mingying_db::Tx;
use mingying_events::About;
use mingying_events::payload::access::{TokenIssued, TokenRevoked};
use mingying_kernel::{Action, Actor, ActorKind, OrgId, Permit, Role, SessionId, Timestamp};
use std::time::Duration;

/// A token about to be made.
pub struct NewToken {
    /// For people: `RIS gateway`, `Display hall 1`.
    pub name: String,
    /// Who the token's holder acts as; a display's token carries the display's id.
    pub subject: String,
    /// `Machine` or `Display`.
    pub role: Role,
    pub org: Option<OrgId>,
    pub expires_at: Option<Timestamp>,
}

/// A token just made: `token` is shown once.
pub struct Issued {
    pub id: String,
    pub token: String,
}

#[derive(Debug, Clone)]
pub struct TokenInfo {
    pub id: String,
    pub name: String,
    pub subject: String,
    pub role: Role,
    pub org: Option<OrgId>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

const TOUCH: Duration = Duration::from_mins(1);

/// Makes a token in the caller's transaction, under the caller's permission: a display and its key are made together.
pub async fn issue_token<A: Action>(tx: &mut Tx, permit: &Permit<A>, new: NewToken) -> Result<Issued, AccessError> {
    if !matches!(new.role, Role::Machine | Role::Display) {
        return Err(AccessError::Invalid { field: "role" });
    }
    let token = secret::new_token("my_");
    let info = TokenInfo {
        id: SessionId::new().to_string(),
        name: clean_name(&new.name)?,
        subject: clean_name(&new.subject)?,
        role: new.role,
        org: new.org,
        created_at: permit.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    store::insert_token(tx, &info, &hash_of("token", &token)).await?;
    let about = About::new("token", &info.id, info.org.unwrap_or(EVERYBODYS));
    record(tx, permit, &about, &TokenIssued { name: info.name, role: info.role.as_str().to_owned() }).await?;
    Ok(Issued { id: info.id, token })
}

impl Access {
    /// Makes a token on its own, for the command line.
    pub async fn create_token(&self, permit: &Permit<ManageUsers>, new: NewToken) -> Result<Issued, AccessError> {
        let mut tx = self.db.begin().await?;
        let issued = issue_token(&mut tx, permit, new).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Ends every live token of `subject`; how many there were.
    pub async fn end_tokens(&self, permit: &Permit<ManageUsers>, subject: &str) -> Result<u64, AccessError> {
        let mut tx = self.db.begin().await?;
        let ended = store::revoke_tokens(&mut tx, subject, permit.now()).await?;
        let about = About::new("token", subject, permit.actor().org.unwrap_or(EVERYBODYS));
        record(&mut tx, permit, &about, &TokenRevoked { count: ended }).await?;
        tx.commit().await?;
        self.recognised.forget_all();
        if ended == 0 { Err(AccessError::TokenNotFound) } else { Ok(ended) }
    }

    pub async fn list_tokens(&self, _permit: &Permit<ReadUsers>) -> Result<Vec<TokenInfo>, AccessError> {
        Ok(store::tokens(&self.db).await?)
    }

    /// Who presents this bearer token. One that was ended on this node is refused at once, one that was ended
    /// elsewhere within a second.
    pub async fn bearer(&self, token: &str) -> Result<Actor, AccessError> {
        let now = self.clock.now();
        let hash = hash_of("token", token);
        let before = match self.recognised.find(&hash, now) {
            Ok(Known::Machine(actor)) => return Ok(actor),
            Ok(Known::Person(_)) => return Err(AccessError::NotSignedIn),
            Err(before) => before,
        };
        let found = store::token(&self.db, &hash).await?.ok_or(AccessError::NotSignedIn)?;
        if found.revoked_at.is_some() || found.expires_at.is_some_and(|end| end <= now) {
            return Err(AccessError::NotSignedIn);
        }
        if found.last_used_at.is_none_or(|last| now.since(last) >= TOUCH) {
            store::touch_token(&self.db, &found.id, now).await?;
        }
        let actor = Actor {
            kind: ActorKind::Device,
            id: found.subject,
            name: found.name,
            roles: vec![found.role],
            org: found.org,
        };
        self.recognised.keep(before, hash, Known::Machine(actor.clone()), found.expires_at, now);
        Ok(actor)
    }
}
