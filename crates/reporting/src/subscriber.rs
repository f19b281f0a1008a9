use crate::{Content, PdfMeta, ReadReports, ReportError, content, encapsulate_pdf, sop_uid_of};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use mingying_access::record;
use mingying_archive::{Archive, Origin, Owner, PersonName, ReadStudies, StoreStudy};
use mingying_db::Db;
use mingying_events::payload::reporting::{ReportArchived, ReportFinal};
use mingying_events::{About, Recorded};
use mingying_jobs::{Failure, Subscriber};
use mingying_kernel::{Ctx, Permit, ReportId, Timestamp};
use std::sync::Arc;

/// Draws a report as PDF. The server fills this port with `print`.
#[async_trait]
pub trait RenderReport: Send + Sync + 'static {
    async fn render(&self, content: &Content) -> Result<Vec<u8>, Failure>;
}

/// Puts each signed report into its study as an Encapsulated PDF.
pub struct StoreReports {
    db: Db,
    archive: Archive,
    render: Arc<dyn RenderReport>,
    ctx: Ctx,
}

impl StoreReports {
    /// `ctx` is the worker's own: `access.system("reports")`.
    pub fn new(db: Db, archive: Archive, render: Arc<dyn RenderReport>, ctx: Ctx) -> Self {
        Self { db, archive, render, ctx }
    }

    async fn store(&self, id: ReportId, version: u32) -> Result<(), Failure> {
        let denied = |e: mingying_kernel::Denied| Failure::Dead(e.to_string());
        let read = self.ctx.permit::<ReadStudies>().map_err(denied)?;
        let write = self.ctx.permit::<StoreStudy>().map_err(denied)?;
        let reports = self.ctx.permit::<ReadReports>().map_err(denied)?;
        let content = content(&self.db, &reports, id, Some(version)).await?;
        let order = &content.order;
        let linked = mingying_reading::study_uids(&self.db, read.scope(), order.id).await?;
        let study_uid = linked.first().map_or_else(|| order.study_uid.to_string(), |link| link.study_uid.clone());
        let sop_uid = sop_uid_of(&content.hash);
        // Delivered a second time after a crash: it is there already.
        if self.archive.instances_of(&read, &study_uid, None, Some(&sop_uid)).await?.is_empty() {
            let pdf = self.render.render(&content).await?;
            let zone = mingying_scheduling::facility_zone(&self.db, order.org).await?;
            let meta = self.meta(&content, &study_uid, &read, &zone).await;
            let file = encapsulate_pdf(&pdf, &meta)?;
            let mut origin = Origin::new("mingying");
            origin.owner = Some(Owner { org: order.org, campus: String::new(), department: String::new() });
            let mut receiving = self.archive.receive_part10(origin);
            for chunk in file.chunks(1 << 16) {
                receiving.write(chunk).await?;
            }
            receiving.finish(&write).await?;
        }
        let mut tx = self.db.begin().await.map_err(ReportError::from)?;
        let about = About::new("report", id, order.org).case(order.id).patient(order.patient.id);
        record(&mut tx, &write, &about, &ReportArchived { report_id: id.to_string(), version, sop_uid })
            .await
            .map_err(ReportError::from)?;
        tx.commit().await.map_err(ReportError::from)?;
        Ok(())
    }

    /// Patient and study as the study itself says, so that the report does not split it; from the order where the
    /// study has no image yet.
    async fn meta(&self, content: &Content, study_uid: &str, permit: &Permit<ReadStudies>, zone: &TimeZone) -> PdfMeta {
        let (date, time) = date_time(content.at, zone);
        let order = &content.order;
        let base = PdfMeta {
            study_uid: study_uid.to_owned(),
            seed: content.hash.clone(),
            accession: order.accession.to_string(),
            title: format!("{} 检查报告", order.modality),
            content_date: date,
            content_time: time,
            version: content.version,
            ..PdfMeta::default()
        };
        if let Ok(study) = self.archive.study(permit, study_uid).await {
            return PdfMeta {
                patient_name: study.patient_name.to_string(),
                patient_id: study.patient_id,
                patient_id_issuer: study.patient_id_issuer,
                birth_date: study.birth_date,
                sex: study.sex,
                accession: study.accession,
                study_id: study.study_id,
                study_date: study.study_date,
                study_time: study.study_time,
                referring_physician: study.referring_physician.to_string(),
                study_description: study.description,
                institution: study.institution,
                ..base
            };
        }
        let patient = &content.patient;
        let (study_date, study_time) = date_time(order.imaged_at.unwrap_or(order.created_at), zone);
        let id = patient.primary_identifier();
        PdfMeta {
            patient_name: PersonName::of_person(&patient.name, Some(&patient.name_latin.replacen(' ', "^", 1)))
                .to_string(),
            patient_id: id.map(|i| i.value.clone()).unwrap_or_default(),
            patient_id_issuer: id.map(|i| i.issuer.clone()).unwrap_or_default(),
            birth_date: patient.birth_date.map(|d| d.strftime("%Y%m%d").to_string()).unwrap_or_default(),
            // PS3.3 C.7.1.1: M, F, O; empty when not known.
            sex: Some(patient.sex.as_str()).filter(|sex| *sex != "U").unwrap_or_default().to_owned(),
            study_date,
            study_time,
            study_description: order.title().0,
            ..base
        }
    }
}

fn date_time(at: Timestamp, zone: &TimeZone) -> (String, String) {
    let local = at.to_jiff().to_zoned(zone.clone());
    (local.strftime("%Y%m%d").to_string(), local.strftime("%H%M%S").to_string())
}

#[async_trait]
impl Subscriber for StoreReports {
    fn name(&self) -> &'static str {
        "reporting.store_pdf"
    }

    fn topics(&self) -> &'static [&'static str] {
        &["report.final"]
    }

    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        let Some(payload) = event.payload::<ReportFinal>() else {
            return Err(Failure::Dead("report.final: payload not readable".to_owned()));
        };
        let id = payload.report_id.parse().map_err(|_| Failure::Dead("report.final: no report id".to_owned()))?;
        self.store(id, payload.version).await
    }
}
