//! Signing in and out; what a cookie stands for.

use crate::model::{block_after, clean_username, hash_of, step_of_code};
use crate::recognised::Known;
use crate::{Access, AccessError, Outcome, SignedIn, User, audit, secret, store};
use mingying_kernel::{Actor, ActorKind, Ctx, Role, SessionId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// What somebody types to sign in, and where from.
pub struct SignIn<'a> {
    pub username: &'a str,
    pub password: &'a str,
    pub code: Option<&'a str>,
    /// The peer's network address, for throttling and the audit log.
    pub address: &'a str,
}

/// A session just made; `token` goes into the cookie and nowhere else.
pub struct NewSession {
    pub token: String,
    pub signed_in: SignedIn,
}

/// Failures older than this are forgotten.
pub(crate) const FORGET: Duration = Duration::from_hours(24);
/// A session's last use is written at most this often.
const TOUCH: Duration = Duration::from_mins(1);

impl Access {
    /// Signs a person in. Unknown names, wrong passwords, wrong codes and inactive accounts answer alike and take
    /// about as long; failures are counted per account and per address, also for names that do not exist.
    pub async fn sign_in(&self, request: SignIn<'_>) -> Result<NewSession, AccessError> {
        let now = self.clock.now();
        let username = clean_username(request.username).unwrap_or_default();
        let account_key = hash_of("account", &username);
        let address_key = hash_of("address", request.address);
        let blocked = store::blocked_until(&self.db, &account_key, &address_key).await?;
        if blocked > now {
            self.audit_sign_in(None, &request, Outcome::Denied, "login.throttled").await?;
            let retry_seconds = blocked.since(now).as_secs() + 1;
            return Err(AccessError::Throttled { retry_seconds });
        }

        let found = store::user_by_name(&self.db, &username).await?;
        let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
        let fits = secret::verify_password(hash, request.password).await?;
        let Some(user) = user.filter(|user| fits && user.active) else {
            return self.refuse(None, &request, &account_key, &address_key, now).await;
        };
        let mut step = None;
        if user.second_factor {
            let Some(code) = request.code.filter(|code| !code.trim().is_empty()) else {
                return Err(AccessError::CodeRequired);
            };
            step = self.code_step(&user, code, now).await?;
            if step.is_none() {
                return self.refuse(Some(&user), &request, &account_key, &address_key, now).await;
            }
        }

        let token = secret::new_token("");
        let signed_in = SignedIn {
            session: SessionId::new(),
            csrf: secret::csrf_of(&token),
            expires_at: now.plus(self.settings.session_absolute),
            must_enrol: self.must_enrol(&user),
            user,
        };
        let mut tx = self.db.begin().await?;
        if let Some(step) = step {
            // Two requests with the same code: the second finds the step used (RFC 6238 5.2).
            if !store::use_step(&mut tx, signed_in.user.id, step).await? {
                tx.rollback().await?;
                return self.refuse(Some(&signed_in.user), &request, &account_key, &address_key, now).await;
            }
        }
        store::insert_session(&mut tx, &signed_in, &hash_of("session", &token), request.address, now).await?;
        store::forget_failures(&mut tx, &account_key).await?;
        store::delete_expired(&mut tx, now, now.minus(FORGET)).await?;
        let ctx = self.ctx(actor_of(&signed_in), "web");
        let object = signed_in.user.id.to_string();
        audit(&mut tx, &ctx, "session.sign_in", "user", &object, Outcome::Done, &address_detail("", request.address))
            .await?;
        tx.commit().await?;
        Ok(NewSession { token, signed_in })
    }

    async fn refuse<T>(
        &self,
        user: Option<&User>,
        request: &SignIn<'_>,
        account_key: &str,
        address_key: &str,
        now: Timestamp,
    ) -> Result<T, AccessError> {
        let mut tx = self.db.begin().await?;
        for (key, free) in
            [(account_key, self.settings.free_failures_account), (address_key, self.settings.free_failures_address)]
        {
            let failures = store::count_failure(&mut tx, key, now, now.minus(FORGET)).await?;
            store::block(&mut tx, key, now.plus(block_after(failures, free))).await?;
        }
        tx.commit().await?;
        self.audit_sign_in(user, request, Outcome::Failed, "login.failed").await?;
        Err(AccessError::LoginFailed)
    }

    /// People type passwords into the name field: an unknown name is not written down.
    async fn audit_sign_in(
        &self,
        user: Option<&User>,
        request: &SignIn<'_>,
        outcome: Outcome,
        code: &str,
    ) -> Result<(), AccessError> {
        let object = match user {
            Some(user) => user.id.to_string(),
            None => {
                let name = clean_username(request.username).unwrap_or_default();
                store::user_by_name(&self.db, &name).await?.map_or_else(String::new, |(user, _)| user.id.to_string())
            }
        };
        let ctx = self.ctx(anonymous(), "web");
        let mut tx = self.db.begin().await?;
        let detail = address_detail(code, request.address);
        audit(&mut tx, &ctx, "session.sign_in", "user", &object, outcome, &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the cookie's token stands for, if it still stands for anything. A session, account or role that was ended
    /// or changed on this node counts at once, one that was elsewhere within a second.
    pub async fn session(&self, token: &str) -> Result<Arc<SignedIn>, AccessError> {
        let now = self.clock.now();
        let hash = hash_of("session", token);
        let before = match self.recognised.find(&hash, now) {
            Ok(Known::Person(signed_in)) => return Ok(signed_in),
            Ok(Known::Machine(_)) => return Err(AccessError::NotSignedIn),
            Err(before) => before,
        };
        let idle_since = now.minus(self.settings.session_idle);
        let found = store::session(&self.db, &hash, now, idle_since).await?.ok_or(AccessError::NotSignedIn)?;
        if now.since(found.last_seen_at) >= TOUCH {
            store::touch_session(&self.db, found.session, now).await?;
        }
        let signed_in = Arc::new(SignedIn {
            session: found.session,
            csrf: secret::csrf_of(token),
            expires_at: found.expires_at,
            must_enrol: self.must_enrol(&found.user),
            user: found.user,
        });
        self.recognised.keep(before, hash, Known::Person(signed_in.clone()), Some(signed_in.expires_at), now);
        Ok(signed_in)
    }

    /// Whether `presented` is this session's CSRF token.
    pub fn csrf_fits(signed_in: &SignedIn, presented: &str) -> bool {
        secret::same(&signed_in.csrf, presented)
    }

    /// A context for the signed-in person.
    pub fn ctx_of(&self, signed_in: &SignedIn, source: &str) -> Ctx {
        self.ctx(actor_of(signed_in), source)
    }

    pub async fn sign_out(&self, ctx: &Ctx, session: SessionId) -> Result<(), AccessError> {
        let mut tx = self.db.begin().await?;
        store::delete_session(&mut tx, session).await?;
        let user = ctx.actor().id.clone();
        audit(&mut tx, ctx, "session.sign_out", "user", &user, Outcome::Done, "").await?;
        tx.commit().await?;
        self.recognised.forget_all();
        Ok(())
    }

    fn must_enrol(&self, user: &User) -> bool {
        self.settings.require_second_factor && !user.second_factor && !user.demo
    }

    /// The step in which `code` is valid for the account and not yet used.
    async fn code_step(&self, user: &User, code: &str, now: Timestamp) -> Result<Option<i64>, AccessError> {
        let Some((sealed, last)) = store::factor(&self.db, user.id).await? else { return Ok(None) };
        let secret = self.key.open(&user.id.to_string(), &sealed)?;
        Ok(step_of_code(&secret, code, now).filter(|step| *step > last))
    }
}

/// A person whose second factor is still missing acts without any role.
fn actor_of(signed_in: &SignedIn) -> Actor {
    let user = &signed_in.user;
    Actor {
        kind: ActorKind::User,
        id: user.id.to_string(),
        name: user.name.clone(),
        roles: if signed_in.must_enrol { Vec::new() } else { user.roles.clone() },
        org: user.org,
    }
}

pub(crate) fn anonymous() -> Actor {
    Actor {
        kind: ActorKind::User,
        id: "anonymous".to_owned(),
        name: String::new(),
        roles: Vec::<Role>::new(),
        org: None,
    }
}

fn address_detail(code: &str, address: &str) -> String {
    if code.is_empty() { format!("address={address}") } else { format!("{code} address={address}") }
}
