//! Accounts: made, changed, listed.

use crate::model::{block_after, check_password, clean_name, clean_username, hash_of};
use crate::sessions::FORGET;
use crate::{Access, AccessError, ManageUsers, Outcome, ReadUsers, UseOwnSession, User, audit, record, secret, store};
use mingying_db::{Db, DbError};
use mingying_events::About;
use mingying_events::payload::access::{PasswordChanged, UserChanged, UserCreated};
use mingying_kernel::{Action, OrgId, Permit, Role, Scope, UserId};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub struct NewUser {
    pub username: String,
    pub name: String,
    pub password: String,
    pub roles: Vec<Role>,
    /// A user of the demonstration data: no password rule, no second factor.
    pub demo: bool,
    /// `None` sees every organization of this installation.
    pub org: Option<OrgId>,
}

/// What is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub roles: Option<Vec<Role>>,
    pub active: Option<bool>,
    pub password: Option<String>,
}

pub(crate) fn about_user<A: Action>(permit: &Permit<A>, user: UserId) -> About {
    About::new("user", user, permit.actor().org.unwrap_or(EVERYBODYS))
}

/// The organization of things that belong to the installation as a whole.
pub(crate) const EVERYBODYS: OrgId = OrgId::from_uuid(uuid::Uuid::nil());

/// The names of the people among these actors, for lists that say who did something.
pub async fn user_names(db: &Db, ids: &[String]) -> Result<BTreeMap<String, String>, DbError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    store::user_names(db, &ids).await
}

fn check_roles(roles: &[Role]) -> Result<Vec<Role>, AccessError> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() || roles.iter().any(|role| !Role::PEOPLE.contains(role)) {
        return Err(AccessError::Invalid { field: "roles" });
    }
    Ok(roles)
}

impl Access {
    pub async fn create_user(&self, permit: &Permit<ManageUsers>, new: NewUser) -> Result<User, AccessError> {
        let username = clean_username(&new.username)?;
        let name = clean_name(&new.name)?;
        let roles = check_roles(&new.roles)?;
        if !new.demo {
            check_password(&username, &new.password)?;
        }
        let org = match permit.scope() {
            Scope::All => new.org,
            Scope::Org(own) => Some(own),
        };
        let hash = secret::hash_password(&new.password).await?;
        let user = User {
            id: UserId::new(),
            username,
            name,
            roles,
            active: true,
            demo: new.demo,
            org,
            second_factor: false,
            created_at: permit.now(),
        };
        let mut tx = self.db.begin().await?;
        store::insert_user(&mut tx, &user, &hash).await.map_err(|error| match error {
            DbError::Unique { .. } => AccessError::NameTaken,
            other => other.into(),
        })?;
        let payload = UserCreated {
            username: user.username.clone(),
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        };
        record(&mut tx, permit, &about_user(permit, user.id), &payload).await?;
        tx.commit().await?;
        Ok(user)
    }

    pub async fn change_user(
        &self,
        permit: &Permit<ManageUsers>,
        id: UserId,
        change: UserChange,
    ) -> Result<User, AccessError> {
        let old = store::user(&self.db, id, permit.scope()).await?.ok_or(AccessError::UserNotFound)?;
        let mut user = old.clone();
        if let Some(name) = &change.name {
            user.name = clean_name(name)?;
        }
        if let Some(roles) = &change.roles {
            user.roles = check_roles(roles)?;
        }
        if let Some(active) = change.active {
            user.active = active;
        }
        let hash = match &change.password {
            Some(password) => {
                check_password(&user.username, password)?;
                Some(secret::hash_password(password).await?)
            }
            None => None,
        };
        let mut tx = self.db.begin().await?;
        tx.lock(store::USERS_LOCK).await?;
        let was_admin = old.active && old.roles.contains(&Role::Admin);
        let stays_admin = user.active && user.roles.contains(&Role::Admin);
        if was_admin && !stays_admin && store::other_admins(&mut tx, id).await? == 0 {
            return Err(AccessError::LastAdmin);
        }
        store::update_user(&mut tx, &user, permit.now()).await?;
        if let Some(hash) = &hash {
            store::set_password(&mut tx, id, hash, permit.now()).await?;
        }
        // Whoever holds an old session must not keep old rights.
        if hash.is_some() || user.roles != old.roles || user.active != old.active {
            store::delete_sessions_of(&mut tx, id, None).await?;
        }
        let payload = UserChanged {
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            active: user.active,
            password: hash.is_some(),
        };
        record(&mut tx, permit, &about_user(permit, id), &payload).await?;
        tx.commit().await?;
        self.recognised.forget_all();
        Ok(user)
    }

    /// Changes the own password; other sessions of the account end.
    pub async fn change_own_password(
        &self,
        permit: &Permit<UseOwnSession>,
        signed_in: &crate::SignedIn,
        old: &str,
        new: &str,
    ) -> Result<(), AccessError> {
        let user = &signed_in.user;
        check_password(&user.username, new)?;
        // A stolen session must not become a way to guess the password.
        let throttle = hash_of("own-password", &user.id.to_string());
        let blocked = store::blocked_until(&self.db, &throttle, &throttle).await?;
        if blocked > permit.now() {
            return Err(AccessError::Throttled { retry_seconds: blocked.since(permit.now()).as_secs() + 1 });
        }
        let known = store::password_hash(&self.db, user.id).await?;
        if !secret::verify_password(known, old).await? {
            let mut tx = self.db.begin().await?;
            let now = permit.now();
            let failures = store::count_failure(&mut tx, &throttle, now, now.minus(FORGET)).await?;
            let free = self.settings.free_failures_account;
            store::block(&mut tx, &throttle, now.plus(block_after(failures, free))).await?;
            let object = user.id.to_string();
            audit(&mut tx, permit.ctx(), "session.password", "user", &object, Outcome::Failed, "user.password_wrong")
                .await?;
            tx.commit().await?;
            return Err(AccessError::OldPassword);
        }
        let hash = secret::hash_password(new).await?;
        let mut tx = self.db.begin().await?;
        store::set_password(&mut tx, user.id, &hash, permit.now()).await?;
        store::forget_failures(&mut tx, &throttle).await?;
        store::delete_sessions_of(&mut tx, user.id, Some(signed_in.session)).await?;
        record(&mut tx, permit, &about_user(permit, user.id), &PasswordChanged {}).await?;
        tx.commit().await?;
        self.recognised.forget_all();
        Ok(())
    }

    /// All accounts in scope, by user name.
    pub async fn list_users(&self, permit: &Permit<ReadUsers>) -> Result<Vec<User>, AccessError> {
        Ok(store::users(&self.db, permit.scope()).await?)
    }

    /// An account by user name, for the command line.
    pub async fn find_user(&self, permit: &Permit<ReadUsers>, username: &str) -> Result<User, AccessError> {
        let name = clean_username(username)?;
        store::user_by_name(&self.db, &name)
            .await?
            .map(|(user, _)| user)
            .filter(|user| match permit.scope() {
                Scope::All => true,
                Scope::Org(own) => user.org == Some(own),
            })
            .ok_or(AccessError::UserNotFound)
    }
}
