//! The patient unlocks a link, and comes back with the session's cookie.

use crate::create::{about, secret};
use crate::model::{Share, hash, unlocks};
use crate::{ShareError, store};
use jiff::civil::Date;
use mingying_access::{Access, Outcome, audit};
use mingying_db::Db;
use mingying_events::payload::sharing::{ResultDelivered, ShareOpened};
use mingying_kernel::{Action, Actor, ActorKind, Ctx, Policy, Scope};
use mingying_orders::{ExamState, Step};
use std::sync::Arc;
use std::time::Duration;

/// How long an unlocked page stays open.
pub const SESSION: Duration = Duration::from_mins(30);
/// Failed tries are counted over this time.
const WINDOW: Duration = Duration::from_mins(15);
/// Failed tries of one link.
const TRIES_SHARE: u32 = 5;
/// Failed tries from one address, over all links. More than for a link: whole wards and mobile networks share one.
const TRIES_ADDRESS: u32 = 20;
const ACTION: &str = "share.open";

/// An unlocked link.
#[derive(Debug, Clone)]
pub struct Opened {
    pub share: Share,
    /// Value of the session cookie; only its hash is kept.
    pub cookie: String,
}

/// What a link allows: to read, in its organization. The use cases of this crate ask for nothing but the shared order.
struct LinkPolicy;

impl Policy for LinkPolicy {
    fn allow(&self, actor: &Actor, action: &str) -> Option<Scope> {
        let reads = [mingying_reporting::ReadReports::NAME, mingying_archive::ReadStudies::NAME].contains(&action);
        if reads && actor.kind == ActorKind::Patient { actor.org.map(Scope::Org) } else { None }
    }
}

/// Who acts: the patient, known only as this link.
pub(crate) fn patient(access: &Access, share: &Share) -> Ctx {
    let actor = Actor {
        kind: ActorKind::Patient,
        id: share.id.to_string(),
        name: String::new(),
        roles: Vec::new(),
        org: Some(share.org),
    };
    Ctx::new(actor, "patient link", Arc::new(LinkPolicy), access.clock().clone())
}

/// Unlocks the link `token` with the birth date and the last four of phone or document. `address` is where the request
/// comes from; `access` gives the contexts.
pub async fn open(
    db: &Db,
    access: &Access,
    token: &str,
    birth_date: Date,
    last4: &str,
    address: &str,
) -> Result<Opened, ShareError> {
    let system = access.system("sharing");
    let now = system.now();
    let mut tx = db.begin().await?;
    let share = store::by_token(&mut tx, &hash(token)).await?.ok_or(ShareError::NotFound)?;
    // Tries of one link come one after the other, so that many at once get no more of them.
    tx.lock(store::share_key(share.id)).await?;
    share.alive(now)?;
    let ctx = patient(access, &share);
    let since = now.minus(WINDOW);
    let throttled = [
        store::tries_of_share(&mut tx, share.id, since, TRIES_SHARE).await?,
        store::tries_of_address(&mut tx, address, since, TRIES_ADDRESS).await?,
    ];
    if let Some(oldest) = throttled.into_iter().flatten().max() {
        audit(&mut tx, &ctx, ACTION, "share", &share.id.to_string(), Outcome::Denied, "throttled").await?;
        tx.commit().await?;
        return Err(ShareError::Throttled { retry_seconds: oldest.plus(WINDOW).since(now).as_secs() + 1 });
    }
    let who = mingying_patients::load_in(&mut tx, Scope::Org(share.org), share.patient).await?;
    if !unlocks(&who, birth_date, last4) {
        store::insert_try(&mut tx, share.id, address, now).await?;
        audit(&mut tx, &ctx, ACTION, "share", &share.id.to_string(), Outcome::Denied, "mismatch").await?;
        tx.commit().await?;
        return Err(ShareError::Mismatch);
    }
    let cookie = secret();
    store::insert_session(&mut tx, &hash(&cookie), share.id, now, now.plus(SESSION)).await?;
    let opens = store::count_open(&mut tx, share.id, now).await?;
    mingying_events::emit(&mut tx, &ctx, &about(&share), &ShareOpened { opens }).await?;
    audit(&mut tx, &ctx, ACTION, "share", &share.id.to_string(), Outcome::Done, "share.opened").await?;
    deliver(&mut tx, &system, &ctx, &share).await?;
    tx.commit().await?;
    Ok(Opened { share: Share { opens, last_opened_at: Some(now), ..share }, cookie })
}

/// The first look at a signed report hands the result over.
async fn deliver(tx: &mut mingying_db::Tx, system: &Ctx, ctx: &Ctx, share: &Share) -> Result<(), ShareError> {
    let order = mingying_orders::load_in(tx, Scope::Org(share.org), share.order).await?;
    if order.state == ExamState::Audited {
        let permit = system.permit::<crate::CreateShare>()?;
        let advanced = mingying_orders::advance(tx, &permit, order.id, Step::Deliver).await?;
        let payload = ResultDelivered { channel: "patient_link".to_owned() };
        mingying_events::emit(tx, ctx, &advanced.about("order", order.id), &payload).await?;
        audit(tx, ctx, ACTION, "order", &order.id.to_string(), Outcome::Done, "result.delivered").await?;
    }
    Ok(())
}

/// The share behind an unlocked page: token and cookie must belong together, and the link must still live.
pub async fn session(db: &Db, access: &Access, token: &str, cookie: Option<&str>) -> Result<Share, ShareError> {
    let now = access.clock().now();
    let share = store::by_token_read(db, &hash(token)).await?.ok_or(ShareError::NotFound)?;
    share.alive(now)?;
    let cookie = cookie.ok_or(ShareError::Locked)?;
    if store::has_session(db, &hash(cookie), share.id, now).await? { Ok(share) } else { Err(ShareError::Locked) }
}
