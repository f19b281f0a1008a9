//! Images that were deleted or brought back: lists follow.

use crate::match_study::match_study;
use crate::{ReadingError, store};
use mingying_archive::{Archive, ArchiveError, ReadStudies};
use mingying_db::Db;
use mingying_events::About;
use mingying_events::payload::reading::StudyRecounted;
use mingying_kernel::{Ctx, Scope};

/// Brings what is known of a study's images in line with what the archive has. A study without images keeps its link,
/// so that it is in its place when it is brought back, but no list offers it. The exam is not told: nothing was taken.
/// Idempotent.
pub async fn recount(db: &Db, archive: &Archive, ctx: &Ctx, study_uid: &str) -> Result<(), ReadingError> {
    let permit = ctx.permit::<crate::LinkStudy>()?;
    let images = match archive.study(&ctx.permit::<ReadStudies>()?, study_uid).await {
        Ok(study) => study.instances,
        Err(ArchiveError::NotFound) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut tx = db.begin().await?;
    tx.lock(store::study_key(study_uid)).await?;
    let Some(link) = store::link_of(&mut tx, study_uid).await? else {
        if images > 0 {
            tx.rollback().await?;
            return match_study(db, archive, ctx, study_uid).await.map(drop);
        }
        if let Some((org, before)) = store::remove_unmatched(&mut tx, study_uid).await? {
            let payload = StudyRecounted { study_uid: study_uid.to_owned(), before, images };
            mingying_access::record(&mut tx, &permit, &About::new("study", study_uid, org), &payload).await?;
        }
        tx.commit().await?;
        return Ok(());
    };
    if link.images != images {
        store::set_images(&mut tx, study_uid, images).await?;
        let order = mingying_orders::load_in(&mut tx, Scope::All, link.order).await?;
        let about = About::new("study", study_uid, order.org).case(order.id).patient(order.patient.id);
        let payload = StudyRecounted { study_uid: study_uid.to_owned(), before: link.images, images };
        mingying_access::record(&mut tx, &permit, &about, &payload).await?;
    }
    tx.commit().await?;
    Ok(())
}
