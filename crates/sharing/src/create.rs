//! Staff make and end links.

use crate::model::{Made, Share, answers, hash};
use crate::{CreateShare, ReadShares, RevokeShare, ShareError, store};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mingying_access::record;
use mingying_db::Db;
use mingying_events::About;
use mingying_events::payload::sharing::{ShareCreated, ShareRevoked};
use mingying_kernel::{OrderId, Permit, ShareId};
use mingying_orders::ExamState;
use std::time::Duration;

/// What a link is to be.
#[derive(Debug, Clone, Copy)]
pub struct NewShare {
    /// 1 to 365.
    pub valid_days: u32,
    pub images: bool,
}

/// 256 random bits, URL-safe.
pub(crate) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

pub async fn create(db: &Db, permit: &Permit<CreateShare>, order: OrderId, new: NewShare) -> Result<Made, ShareError> {
    if !(1..=365).contains(&new.valid_days) {
        return Err(ShareError::Invalid { field: "valid_days" });
    }
    let mut tx = db.begin().await?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), order).await?;
    if matches!(order.state, ExamState::Cancelled | ExamState::Discontinued | ExamState::Draft) {
        return Err(ShareError::NothingToShare);
    }
    let patient = mingying_patients::load_in(&mut tx, permit.scope(), order.patient.id).await?;
    if patient.birth_date.is_none() || answers(&patient).is_empty() {
        return Err(ShareError::NoIdentity);
    }
    let now = permit.now();
    let token = secret();
    let share = Share {
        id: ShareId::new(),
        order: order.id,
        org: order.org,
        patient: patient.id,
        images: new.images,
        created_at: now,
        created_by: permit.actor().name.clone(),
        expires_at: now.plus(Duration::from_hours(24 * u64::from(new.valid_days))),
        revoked_at: None,
        opens: 0,
        last_opened_at: None,
    };
    store::insert(&mut tx, &share, &hash(&token), &permit.actor().id).await?;
    let payload = ShareCreated { expires_at: share.expires_at, images: share.images };
    record(&mut tx, permit, &about(&share), &payload).await?;
    tx.commit().await?;
    Ok(Made { share, token })
}

pub(crate) fn about(share: &Share) -> About {
    About::new("share", share.id, share.org).case(share.order).patient(share.patient)
}

/// Ends a link and every page that is open through it. Ending it twice is no error.
pub async fn revoke(db: &Db, permit: &Permit<RevokeShare>, id: ShareId) -> Result<(), ShareError> {
    let mut tx = db.begin().await?;
    let share = store::load_in(&mut tx, permit.scope(), id).await?.ok_or(ShareError::NotFound)?;
    if share.revoked_at.is_none() {
        store::revoke(&mut tx, id, permit.now(), &permit.actor().id).await?;
        record(&mut tx, permit, &about(&share), &ShareRevoked {}).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The links of an order, newest first.
pub async fn shares_of(db: &Db, permit: &Permit<ReadShares>, order: OrderId) -> Result<Vec<Share>, ShareError> {
    let known = mingying_orders::load_many(db, permit.scope(), &[order]).await?;
    if known.is_empty() {
        return Err(ShareError::NotFound);
    }
    Ok(store::of_order(db, permit.scope(), order).await?)
}
