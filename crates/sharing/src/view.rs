//! What an unlocked link shows.

use crate::open::patient;
use crate::{Share, ShareError};
use mingying_access::Access;
use mingying_archive::{Archive, InstanceRef, ReadStudies};
use mingying_db::Db;
use mingying_kernel::{Permit, Timestamp};
use mingying_orders::Order;
use mingying_patients::masked_name;
use mingying_reporting::{Content, ReadReports};

/// The patient's page.
#[derive(Debug, Clone)]
pub struct SharedReport {
    pub hospital: String,
    pub hospital_en: String,
    pub masked_name: String,
    pub order: Order,
    /// The signed report in force; absent while it is being written.
    pub content: Option<Content>,
    pub images: bool,
    /// Empty where the link is without images.
    pub series: Vec<Series>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub series_uid: String,
    pub description: String,
    pub modality: String,
    pub images: i64,
}

/// Objects without pixels that a phone can show.
const NOT_IMAGES: [&str; 9] = ["DOC", "SR", "PR", "KO", "SEG", "REG", "RTSTRUCT", "RTPLAN", "PLAN"];

/// The page behind an unlocked link. What it reads is audited as read by the link.
pub async fn report_view(
    db: &Db,
    archive: &Archive,
    access: &Access,
    share: &Share,
) -> Result<SharedReport, ShareError> {
    let scope = mingying_kernel::Scope::Org(share.org);
    let order = mingying_orders::load_many(db, scope, &[share.order]).await?;
    let order = order.into_iter().next().ok_or(ShareError::NotFound)?;
    let org = mingying_access::org_tree(db, scope).await?;
    let content = report_content(db, access, share).await?;
    let series = if share.images { series_of(db, archive, access, share).await? } else { Vec::new() };
    Ok(SharedReport {
        hospital: org.as_ref().map(|tree| tree.org.name.clone()).unwrap_or_default(),
        hospital_en: org.map(|tree| tree.org.name_en).unwrap_or_default(),
        masked_name: masked_name(&order.patient.name),
        order,
        content,
        images: share.images,
        series,
    })
}

/// The signed report in force, for the page and for the PDF.
pub async fn report_content(db: &Db, access: &Access, share: &Share) -> Result<Option<Content>, ShareError> {
    let permit: Permit<ReadReports> = patient(access, share).permit()?;
    Ok(mingying_reporting::content_in_force(db, &permit, share.order).await?)
}

async fn series_of(db: &Db, archive: &Archive, access: &Access, share: &Share) -> Result<Vec<Series>, ShareError> {
    let permit: Permit<ReadStudies> = patient(access, share).permit()?;
    mingying_access::audit_read(db, &permit, "order", &share.order.to_string()).await?;
    let studies = mingying_reading::studies_of(db, archive, &permit, share.order).await?;
    Ok(studies
        .into_iter()
        .flat_map(|study| study.series)
        .filter(|series| !NOT_IMAGES.contains(&series.modality.as_str()))
        .map(|series| Series {
            series_uid: series.series_uid,
            description: series.description,
            modality: series.modality,
            images: series.instances,
        })
        .collect())
}

/// One frame of a series.
#[derive(Debug, Clone)]
pub struct FramePlace {
    pub instance: InstanceRef,
    /// From 0 within the instance.
    pub frame: u32,
    /// When the instance was received: what a cache may compare.
    pub received_at: Timestamp,
}

/// Frame `index` (from 0, over all instances in their order) of a series of the shared order. A series of another
/// order is not found, whoever asks.
pub async fn frame(
    db: &Db,
    archive: &Archive,
    access: &Access,
    share: &Share,
    series_uid: &str,
    index: u32,
) -> Result<FramePlace, ShareError> {
    if !share.images {
        return Err(ShareError::NoImages);
    }
    let permit: Permit<ReadStudies> = patient(access, share).permit()?;
    let mut left = i64::from(index);
    for link in mingying_reading::study_uids(db, permit.scope(), share.order).await? {
        for instance in archive.instances_of(&permit, &link.study_uid, Some(series_uid), None).await? {
            if !instance.has_pixels {
                continue;
            }
            let frames = instance.frames.max(1);
            if left < frames {
                let received_at = instance.received_at;
                return Ok(FramePlace { instance, frame: u32::try_from(left).unwrap_or(0), received_at });
            }
            left -= frames;
        }
    }
    Err(ShareError::NotFound)
}
