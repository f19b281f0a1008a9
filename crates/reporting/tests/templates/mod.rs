//! The life of a template on both engines, and what a report notes of it.

use super::{Site, clean};
use mingying_db::params;
use mingying_kernel::{Coded, Ctx, Role};
use mingying_reporting::{
    self as reporting, ApproveTemplate, DraftReport, EditTemplate, NewTemplate, ReportError, TemplateState,
    TemplateVersion,
};
use mingying_testkit::on_both;

fn chest(findings: &str) -> NewTemplate {
    NewTemplate {
        code: "CT-CHEST".into(),
        name: "胸部CT".into(),
        name_en: "CT chest".into(),
        modality: "CT".into(),
        body_part: "CHEST".into(),
        text: super::text(findings, "未见异常"),
        source: "指南 2024".into(),
    }
}

impl Site {
    async fn draft(&self, who: &Ctx, rev: Option<i64>, new: NewTemplate) -> Result<TemplateVersion, ReportError> {
        reporting::draft_template(&self.db, &who.permit::<EditTemplate>().unwrap(), rev, new).await
    }

    async fn approve(&self, who: &Ctx, rev: i64) -> Result<TemplateVersion, ReportError> {
        reporting::approve_template(&self.db, &who.permit::<ApproveTemplate>().unwrap(), "CT-CHEST", rev).await
    }

    /// Version and findings of what writers are offered.
    async fn offered(&self) -> Vec<(u32, String)> {
        let reader = self.person(Role::Trainee).permit().unwrap();
        let found = reporting::templates(&self.db, &reader, Some("CT"), None).await.unwrap();
        found.into_iter().map(|template| (template.n, template.text.findings)).collect()
    }

    async fn states(&self, who: &Ctx) -> Vec<(u32, TemplateState)> {
        let all = reporting::template_versions(&self.db, &who.permit().unwrap()).await.unwrap();
        all.into_iter().map(|version| (version.n, version.state)).collect()
    }
}

on_both! {
    async fn a_template_is_offered_once_somebody_else_has_approved_it(db: Db) {
        use TemplateState::{Approved, Draft, Retired};
        let site = Site::new(db).await;
        let (writer, senior) = (site.person(Role::Senior), site.person(Role::Expert));
        let first = site.draft(&writer, None, chest("一")).await.unwrap();
        assert_eq!((first.n, first.state, first.rev), (1, Draft, 1));
        assert!(site.offered().await.is_empty(), "a draft is offered to nobody");
        assert!(matches!(site.approve(&writer, 1).await, Err(ReportError::OwnTemplate)));
        let again = site.draft(&writer, Some(1), chest("一一")).await.unwrap();
        assert_eq!((again.n, again.rev), (1, 2));
        assert!(matches!(site.approve(&senior, 1).await, Err(ReportError::TemplateStale { rev: 2 })), "read it first");
        site.approve(&senior, 2).await.unwrap();
        assert_eq!(site.offered().await, [(1, "一一".to_owned())]);

        // The next version is written beside the one in use.
        assert!(matches!(site.draft(&writer, Some(2), chest("二")).await, Err(ReportError::TemplateStale { rev: 0 })));
        site.draft(&senior, None, chest("二")).await.unwrap();
        assert_eq!(site.offered().await, [(1, "一一".to_owned())]);
        let approved = site.approve(&writer, 1).await.unwrap();
        assert_eq!(approved.approved.unwrap().0.id, writer.actor().id);
        assert_eq!(site.offered().await, [(2, "二".to_owned())]);
        assert_eq!(site.states(&writer).await, [(2, Approved), (1, Retired)]);

        site.draft(&writer, None, chest("三")).await.unwrap();
        reporting::discard_template(&site.db, &writer.permit().unwrap(), "CT-CHEST").await.unwrap();
        reporting::retire_template(&site.db, &senior.permit().unwrap(), "CT-CHEST").await.unwrap();
        assert!(site.offered().await.is_empty());
        assert_eq!(site.states(&writer).await, [(2, Retired), (1, Retired)]);
        let gone = reporting::retire_template(&site.db, &senior.permit().unwrap(), "CT-CHEST").await;
        assert!(matches!(gone, Err(ReportError::TemplateNotFound)));

        let bad = NewTemplate { code: "a@1".into(), ..chest("x") };
        assert_eq!(site.draft(&writer, None, bad).await.unwrap_err().params(), [("field", "code".to_owned())]);
        assert!(site.person(Role::Radiologist).permit::<ApproveTemplate>().is_err());
        assert!(site.person(Role::Trainee).permit::<EditTemplate>().is_err());
    }

    async fn a_report_notes_its_template_and_the_chain_guards_the_note(db: Db) {
        let site = Site::new(db).await;
        let (writer, senior) = (site.person(Role::Senior), site.person(Role::Expert));
        site.draft(&writer, None, chest("一")).await.unwrap();
        let order = site.imaged(None).await;
        let radiologist = site.person(Role::Radiologist);
        let permit = radiologist.permit::<DraftReport>().unwrap();
        let view = site.open(&radiologist, order.id).await.unwrap();
        let save = async |rev: i64, template: Option<&str>| {
            reporting::save_draft(&site.db, &permit, &site.settings, view.id, rev, clean(), template).await
        };
        for wrong in ["CT-CHEST@1", "CT-CHEST", "CT-CHEST@x", "NONE@1"] {
            let error = save(view.rev, Some(wrong)).await.unwrap_err();
            assert_eq!(error.params(), [("field", "template".to_owned())], "{wrong}: never approved");
        }
        site.approve(&senior, 1).await.unwrap();
        let saved = save(view.rev, Some("CT-CHEST@1")).await.unwrap();
        assert_eq!(save(saved.rev, None).await.unwrap().template, "CT-CHEST@1", "saving on keeps the note");
        let view = site.submit(&radiologist, &saved).await.unwrap();
        assert_eq!(view.versions[0].template, "CT-CHEST@1");
        site.verify(&senior, &view).await.unwrap();
        site.db.execute("UPDATE report_versions SET template = 'CT-CHEST@2'", params![]).await.unwrap();
        assert_eq!(site.verify(&senior, &view).await.unwrap_err().code(), "report.chain");
    }
}
