//! Reports on both engines: stages, versions, checks, locks, the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mingying_access::{Org, RolePolicy};
use mingying_db::{Db, params};
use mingying_kernel::{Actor, ActorKind, Coded, Ctx, ManualClock, OrderId, OrgId, Role, Scope, SharedClock, UserId};
use mingying_orders::{CatalogueItem, ExamState, NewItem, NewOrder, Order, Side, Step};
use mingying_patients::{NewPatient, Sex};
use mingying_reporting::{
    self as reporting, AuditReport, DraftReport, NewTemplate, ReadReports, ReportError, Settings, Stage, Text, View,
};
use mingying_testkit::{clock, on_both};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Site {
    db: Db,
    clock: Arc<ManualClock>,
    org: OrgId,
    settings: Settings,
}

impl Site {
    async fn new(db: Db) -> Self {
        let org = OrgId::new();
        let mut tx = db.begin().await.unwrap();
        let row = Org { id: org, name: "明影示范医院".into(), name_en: "Mingying".into() };
        mingying_access::put_org(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        Self { db, clock: clock(), org, settings: Settings::default() }
    }

    fn shared(&self) -> SharedClock {
        self.clock.clone()
    }

    fn system(&self) -> Ctx {
        Ctx::system("test", Arc::new(RolePolicy), self.shared())
    }

    fn person(&self, role: Role) -> Ctx {
        let actor = Actor {
            kind: ActorKind::User,
            id: UserId::new().to_string(),
            name: format!("{} 一", role.as_str()),
            roles: vec![role],
            org: Some(self.org),
        };
        Ctx::new(actor, "test", Arc::new(RolePolicy), self.shared())
    }

    /// An order whose images are complete.
    async fn imaged(&self, side: Option<Side>) -> Order {
        let order = self.ordered(side).await;
        self.walk(order.id, &[Step::Arrive, Step::Start, Step::Image]).await;
        order
    }

    async fn ordered(&self, side: Option<Side>) -> Order {
        let ctx = self.system();
        let new = NewPatient {
            name: "张三".into(),
            sex: Some(Sex::Male),
            birth_date: Some(jiff::civil::date(1970, 1, 2)),
            ..NewPatient::default()
        };
        let patient = mingying_patients::register(&self.db, &ctx.permit().unwrap(), new).await.unwrap();
        let item = CatalogueItem {
            id: format!("{}:DR-KNEE", self.org),
            code: "DR-KNEE".into(),
            name: "膝关节正侧位".into(),
            name_en: "Knee".into(),
            modality: "DX".into(),
            body_part: "KNEE".into(),
            sided: true,
            contrast: false,
            duration_min: 10,
            preparation: String::new(),
            preparation_en: String::new(),
            price_cents: 0,
        };
        let items = std::slice::from_ref(&item);
        mingying_orders::upsert_catalogue(&self.db, &ctx.permit().unwrap(), self.org, items).await.unwrap();
        let new = NewOrder {
            items: vec![NewItem { catalogue_id: item.id, side: side.or(Some(Side::Both)) }],
            department: "骨科".into(),
            physician: "王".into(),
            diagnosis: "膝痛".into(),
            ..NewOrder::for_patient(patient.id)
        };
        mingying_orders::create(&self.db, &ctx.permit().unwrap(), new).await.unwrap()
    }

    async fn walk(&self, order: OrderId, steps: &[Step]) {
        let permit = self.system().permit::<ReadReports>().unwrap();
        let mut tx = self.db.begin().await.unwrap();
        for step in steps {
            let _ = mingying_orders::advance(&mut tx, &permit, order, *step).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn state(&self, order: OrderId) -> ExamState {
        mingying_orders::load_many(&self.db, Scope::All, &[order]).await.unwrap()[0].state
    }

    async fn open(&self, who: &Ctx, order: OrderId) -> Result<View, ReportError> {
        reporting::open(&self.db, &who.permit().unwrap(), &self.settings, order, true).await
    }

    async fn save(&self, who: &Ctx, view: &View, text: Text) -> Result<View, ReportError> {
        let permit = who.permit::<DraftReport>().unwrap();
        reporting::save_draft(&self.db, &permit, &self.settings, view.id, view.rev, text, None).await
    }

    async fn submit(&self, who: &Ctx, view: &View) -> Result<View, ReportError> {
        reporting::submit(&self.db, &who.permit().unwrap(), &self.settings, view.id, view.rev).await
    }

    async fn audit(&self, who: &Ctx, view: &View, reason: Option<&str>) -> Result<View, ReportError> {
        let permit = who.permit::<AuditReport>().unwrap();
        let reason = reason.map(str::to_owned);
        reporting::audit(&self.db, &permit, &self.settings, view.id, view.rev, reason).await
    }

    async fn reject(&self, who: &Ctx, view: &View, opinion: &str) -> Result<View, ReportError> {
        reporting::reject(&self.db, &who.permit().unwrap(), &self.settings, view.id, opinion).await
    }

    async fn verify(&self, who: &Ctx, view: &View) -> Result<u32, ReportError> {
        reporting::verify_chain(&self.db, &who.permit().unwrap(), view.id).await
    }

    async fn topics(&self, order: OrderId) -> Vec<String> {
        let events = mingying_events::read_case(&self.db, order).await.unwrap();
        events.into_iter().map(|event| event.topic).filter(|topic| topic.starts_with("report.")).collect()
    }
}

fn text(findings: &str, impression: &str) -> Text {
    Text { findings: findings.into(), impression: impression.into(), advice: String::new() }
}

fn clean() -> Text {
    text("双膝关节骨质未见异常。", "双膝关节未见异常。")
}

on_both! {
    async fn a_report_goes_from_trainee_to_signed(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged(None).await;
        let (trainee, radiologist, senior) =
            (site.person(Role::Trainee), site.person(Role::Radiologist), site.person(Role::Senior));

        let view = site.open(&trainee, order.id).await.unwrap();
        assert_eq!((view.stage, view.rev, view.can.as_slice()), (Stage::New, 1, ["edit", "submit"].as_slice()));
        let view = site.save(&trainee, &view, text("双膝", "")).await.unwrap();
        let view = site.submit(&trainee, &view).await.unwrap();
        assert_eq!(view.stage, Stage::Trainee);
        assert_eq!(site.state(order.id).await, ExamState::Imaged, "a trainee report moves nothing");

        let view = site.open(&radiologist, order.id).await.unwrap();
        let view = site.save(&radiologist, &view, clean()).await.unwrap();
        site.clock.advance(Duration::from_mins(1));
        let view = site.submit(&radiologist, &view).await.unwrap();
        assert_eq!(view.stage, Stage::Initial);
        assert_eq!(site.state(order.id).await, ExamState::Reported);
        assert!(!view.can.contains(&"audit"), "the radiologist may not audit");

        let view = site.open(&senior, order.id).await.unwrap();
        assert_eq!(view.can, ["edit", "audit", "reject"]);
        let view = site.reject(&senior, &view, "请描述半月板").await.unwrap();
        assert_eq!((view.stage, view.opinion.as_deref()), (Stage::Rejected, Some("请描述半月板")));
        assert!(matches!(site.audit(&senior, &view, None).await, Err(ReportError::Stage { .. })));

        let view = site.open(&radiologist, order.id).await.unwrap();
        let view = site.save(&radiologist, &view, text("双膝关节及半月板未见异常。", "未见异常。")).await.unwrap();
        let view = site.submit(&radiologist, &view).await.unwrap();
        assert_eq!((view.stage, view.opinion), (Stage::Initial, None));

        // Handed on: nobody has to take the case over.
        let permit = senior.permit().unwrap();
        let senior_view = reporting::open(&site.db, &permit, &site.settings, order.id, false).await.unwrap();
        assert_eq!(senior_view.locked_by, None);
        let view = site.audit(&senior, &senior_view, None).await.unwrap();
        assert_eq!((view.stage, view.can.len()), (Stage::Final, 0));
        assert_eq!(site.state(order.id).await, ExamState::Audited);
        assert_eq!(view.versions.iter().map(|v| v.stage).collect::<Vec<_>>(),
            [Stage::Trainee, Stage::Initial, Stage::Rejected, Stage::Initial, Stage::Final]);
        assert!(view.versions[4].signed && !view.versions[4].waiver);
        assert_eq!(site.verify(&senior, &view).await.unwrap(), 5);
        assert_eq!(site.topics(order.id).await, [
            "report.opened", "report.draft", "report.initial", "report.rejected", "report.initial", "report.final",
        ]);

        // Signed: nobody edits, submits, signs again.
        assert!(matches!(site.save(&senior, &view, clean()).await, Err(ReportError::NotAllowed)));
        assert!(matches!(site.submit(&senior, &view).await, Err(ReportError::Stage { .. })));
        assert!(matches!(site.audit(&senior, &view, None).await, Err(ReportError::Stage { .. })));

        let diff = reporting::difference(&site.db, &senior.permit().unwrap(), view.id, 2, 5).await.unwrap();
        let inserted: String =
            diff.findings.iter().filter(|c| c.op == reporting::Op::Insert).map(|c| c.text.as_str()).collect();
        assert_eq!(inserted, "及半月板");

        let content = reporting::content(&site.db, &senior.permit().unwrap(), view.id, None).await.unwrap();
        assert_eq!((content.version, content.stage, content.replaced_by), (5, Stage::Final, None));
        assert_eq!(content.author.unwrap().0.name, "radiologist 一");
        assert_eq!(content.auditor.unwrap().0.name, "senior 一");
        let old = reporting::content(&site.db, &senior.permit().unwrap(), view.id, Some(1)).await.unwrap();
        assert_eq!((old.stage, old.auditor), (Stage::Trainee, None));
    }

    async fn the_author_does_not_audit_the_own_report(db: Db) {
        let mut site = Site::new(db).await;
        let order = site.imaged(None).await;
        let senior = site.person(Role::Senior);
        let view = site.open(&senior, order.id).await.unwrap();
        let view = site.save(&senior, &view, clean()).await.unwrap();
        let view = site.submit(&senior, &view).await.unwrap();
        assert!(!view.can.contains(&"audit"));
        let error = site.audit(&senior, &view, None).await.unwrap_err();
        assert_eq!(error.code(), "report.own");

        // Another senior's edit does not make the report theirs: authorship is the issued version's.
        let other = site.person(Role::Senior);
        let view = site.open(&other, order.id).await.unwrap();
        let view = site.save(&other, &view, text("双膝关节骨质未见异常，关节间隙不窄。", "未见异常。")).await.unwrap();
        assert!(site.audit(&senior, &view, None).await.is_err());

        // Single-handed: allowed, and written down.
        site.settings.single_handed = true;
        let view = site.open(&senior, order.id).await.unwrap();
        let view = site.audit(&senior, &view, None).await.unwrap();
        assert!(view.versions.last().unwrap().waiver);
        let events = mingying_events::read_case(&site.db, order.id).await.unwrap();
        let event = events.iter().find(|e| e.topic == "report.final").unwrap();
        assert!(event.payload::<mingying_events::payload::reporting::ReportFinal>().unwrap().waiver);
    }

    async fn writers_do_not_overwrite_each_other(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged(None).await;
        let (one, two) = (site.person(Role::Radiologist), site.person(Role::Radiologist));
        let first = site.open(&one, order.id).await.unwrap();
        let saved = site.save(&one, &first, clean()).await.unwrap();
        assert_eq!(saved.rev, 2);
        let error = site.save(&one, &first, text("别的", "别的")).await.unwrap_err();
        assert_eq!((error.code(), error.params()), ("report.stale", vec![("rev", "2".to_owned())]));

        // The case is held: the second reader reads, and writes only after taking it over.
        let permit = two.permit().unwrap();
        let view = reporting::open(&site.db, &permit, &site.settings, order.id, false).await.unwrap();
        assert_eq!((view.locked_by.as_deref(), view.can.len()), (Some("radiologist 一"), 0));
        assert_eq!(site.save(&two, &view, text("我的", "我的")).await.unwrap_err().code(), "case.locked");
        let view = reporting::open(&site.db, &permit, &site.settings, order.id, true).await.unwrap();
        assert_eq!(view.locked_by, None);
        site.save(&two, &view, text("我的", "我的")).await.unwrap();
        let topics: Vec<String> =
            mingying_events::read_case(&site.db, order.id).await.unwrap().into_iter().map(|e| e.topic).collect();
        assert!(topics.contains(&"case.taken_over".to_owned()));

        // A forgotten hold ends by itself.
        site.clock.advance(Duration::from_mins(11));
        let view = reporting::open(&site.db, &one.permit().unwrap(), &site.settings, order.id, false).await.unwrap();
        assert_eq!(view.locked_by, None);
    }

    /// `domain.md` scenario 3.
    async fn the_wrong_side_is_signed_only_with_a_reason(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged(Some(Side::Left)).await;
        let (radiologist, senior) = (site.person(Role::Radiologist), site.person(Role::Senior));
        let view = site.open(&radiologist, order.id).await.unwrap();
        let view = site.save(&radiologist, &view, text("右膝关节骨质未见异常，{大小}。", "")).await.unwrap();
        let error = site.submit(&radiologist, &view).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("report.checks", mingying_kernel::ErrorKind::Invalid));
        let view = site.save(&radiologist, &view, text("右膝关节骨质未见异常，{大小}。", "右膝未见异常。")).await.unwrap();
        site.submit(&radiologist, &view).await.unwrap();

        let view = site.open(&senior, order.id).await.unwrap();
        for reason in [None, Some("  ")] {
            let error = site.audit(&senior, &view, reason).await.unwrap_err();
            assert_eq!(error.kind(), mingying_kernel::ErrorKind::Conflict);
            let params = error.params();
            assert!(params.contains(&("checks", "side:findings side:impression placeholder:findings".to_owned())), "{params:?}");
        }
        let signed = site.audit(&senior, &view, Some("申请单侧别有误，已电话核实")).await.unwrap();
        let version = signed.versions.last().unwrap();
        assert_eq!(version.overridden, ["side", "side", "placeholder"]);
        assert_eq!(version.override_reason, "申请单侧别有误，已电话核实");
        site.verify(&senior, &signed).await.unwrap();
    }

    async fn a_changed_byte_is_found(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged(None).await;
        let (radiologist, senior) = (site.person(Role::Radiologist), site.person(Role::Senior));
        let view = site.open(&radiologist, order.id).await.unwrap();
        let view = site.save(&radiologist, &view, clean()).await.unwrap();
        site.submit(&radiologist, &view).await.unwrap();
        let view = site.open(&senior, order.id).await.unwrap();
        let view = site.audit(&senior, &view, None).await.unwrap();
        site.verify(&senior, &view).await.unwrap();
        for (sql, undo) in [
            ("UPDATE report_versions SET findings = findings || ' ' WHERE n = 1", "UPDATE report_versions SET findings = SUBSTR(findings, 1, LENGTH(findings) - 1) WHERE n = 1"),
            ("UPDATE report_versions SET at = at + 1 WHERE n = 2", "UPDATE report_versions SET at = at - 1 WHERE n = 2"),
            ("UPDATE report_versions SET author_name = 'x' WHERE n = 2", "UPDATE report_versions SET author_name = 'senior 一' WHERE n = 2"),
            ("UPDATE report_versions SET n = 9 WHERE n = 2", "UPDATE report_versions SET n = 2 WHERE n = 9"),
            ("UPDATE reports SET last_n = 1", "UPDATE reports SET last_n = 2"),
        ] {
            site.db.execute(sql, params![]).await.unwrap();
            assert_eq!(site.verify(&senior, &view).await.unwrap_err().code(), "report.chain", "{sql}");
            site.db.execute(undo, params![]).await.unwrap();
            site.verify(&senior, &view).await.unwrap();
        }
    }

    async fn reports_need_images_and_stay_in_their_organization(db: Db) {
        let site = Site::new(db).await;
        let order = site.ordered(None).await;
        let radiologist = site.person(Role::Radiologist);
        assert_eq!(site.open(&radiologist, order.id).await.unwrap_err().code(), "report.not_ready");
        site.walk(order.id, &[Step::Arrive, Step::Start, Step::Image]).await;
        let view = site.open(&radiologist, order.id).await.unwrap();

        let stranger = Actor {
            kind: ActorKind::User,
            id: UserId::new().to_string(),
            name: String::new(),
            roles: vec![Role::Radiologist],
            org: Some(OrgId::new()),
        };
        let stranger = Ctx::new(stranger, "test", Arc::new(RolePolicy), site.shared());
        assert_eq!(site.open(&stranger, order.id).await.unwrap_err().kind(), mingying_kernel::ErrorKind::NotFound);
        let load = reporting::load(&site.db, &stranger.permit().unwrap(), &site.settings, view.id).await;
        assert!(matches!(load, Err(ReportError::NotFound)));
        assert!(matches!(site.save(&stranger, &view, clean()).await, Err(ReportError::NotFound)));
        assert!(site.person(Role::Clinician).permit::<DraftReport>().is_err());
    }

    async fn templates_fit_modality_and_part(db: Db) {
        let site = Site::new(db).await;
        let permit = site.system().permit().unwrap();
        let new = |code: &str, modality: &str, part: &str, findings: &str| NewTemplate {
            code: code.into(),
            name: code.into(),
            name_en: code.into(),
            modality: modality.into(),
            body_part: part.into(),
            text: text(findings, "未见异常"),
            ..NewTemplate::default()
        };
        let mut tx = site.db.begin().await.unwrap();
        for template in [new("a", "CT", "", "通用"), new("b", "CT", "CHEST", "双肺"), new("c", "MR", "", "脑"), new("b", "CT", "CHEST", "双肺纹理")] {
            reporting::upsert_template(&mut tx, &permit, site.org, template).await.unwrap();
        }
        tx.commit().await.unwrap();
        let reader = site.person(Role::Trainee).permit().unwrap();
        let found = reporting::templates(&site.db, &reader, Some("CT"), Some("CHEST")).await.unwrap();
        assert_eq!(found.iter().map(|t| t.code.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(found[0].text.findings, "双肺纹理");
        assert_eq!(reporting::templates(&site.db, &reader, Some("CT"), Some("HEAD")).await.unwrap().len(), 1);
        assert_eq!(reporting::templates(&site.db, &reader, None, None).await.unwrap().len(), 3);
    }
}

/// What a person tries next.
#[derive(Debug, Clone, Copy)]
enum Try {
    Save(usize),
    Submit(usize),
    Audit(usize),
    Reject(usize),
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (0..4_usize, 0..5_usize).prop_map(|(what, who)| match what {
        0 => Try::Save(who),
        1 => Try::Submit(who),
        2 => Try::Audit(who),
        _ => Try::Reject(who),
    });
    proptest::collection::vec(one, 1..24)
}

/// Whatever people try in whatever order: versions count up, the chain holds, at most one version is in force, it was
/// signed by somebody else than the author of the initial report, and after it nothing changes.
#[test]
fn no_sequence_of_attempts_breaks_the_rules() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_keep, site) = runtime.block_on(async {
        let test = mingying_testkit::sqlite().await;
        let site = Site::new(test.db.clone()).await;
        (test, site)
    });
    let people =
        [Role::Trainee, Role::Radiologist, Role::Radiologist, Role::Senior, Role::Expert].map(|r| site.person(r));
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(tries in tries())| {
        runtime.block_on(async {
            let order = site.imaged(None).await;
            let mut view = site.open(&people[1], order.id).await.unwrap();
            let mut signed: Option<View> = None;
            for (i, what) in tries.into_iter().enumerate() {
                let who = &people[match what { Try::Save(w) | Try::Submit(w) | Try::Audit(w) | Try::Reject(w) => w }];
                let now = site.open(who, order.id).await.unwrap();
                let result = match what {
                    Try::Save(_) => site.save(who, &now, text(&format!("双膝 {i}"), "未见异常")).await,
                    Try::Submit(_) => site.submit(who, &now).await,
                    Try::Audit(_) if who.permit::<AuditReport>().is_ok() => site.audit(who, &now, Some("x")).await,
                    Try::Reject(_) if who.permit::<AuditReport>().is_ok() => site.reject(who, &now, "意见").await,
                    _ => continue,
                };
                let Ok(after) = result else { continue };
                assert!(signed.is_none(), "nothing succeeds after the signature: {what:?}");
                if after.stage == Stage::Final {
                    let initial = after.versions.iter().rev().find(|v| v.stage == Stage::Initial).unwrap();
                    assert_ne!(initial.author.id, after.versions.last().unwrap().author.id);
                    signed = Some(after.clone());
                }
                view = after;
            }
            let last = reporting::load(&site.db, &people[3].permit().unwrap(), &site.settings, view.id).await.unwrap();
            assert_eq!(last.versions.iter().map(|v| v.n as usize).collect::<Vec<_>>(),
                (1..=last.versions.len()).collect::<Vec<_>>());
            let count = site.verify(&people[3], &last).await.unwrap();
            assert_eq!(count as usize, last.versions.len());
            assert_eq!(last.versions.iter().filter(|v| v.signed).count(), usize::from(signed.is_some()));
            assert_eq!(reporting::in_force(&last.versions).is_some(), signed.is_some());
            let expected = match last.stage {
                Stage::Final => ExamState::Audited,
                Stage::Initial | Stage::Rejected => ExamState::Reported,
                Stage::New | Stage::Trainee => ExamState::Imaged,
            };
            assert_eq!(site.state(order.id).await, expected);
            // One byte of any version, anywhere in what is hashed, is noticed.
            for version in &last.versions {
                let mut forged = last.versions.clone();
                forged[version.n as usize - 1].text.findings.push('\u{200b}');
                assert!(reporting::verify(&forged).is_err());
            }
        });
    });
}

/// Stands for the printer, which the server fills in: the text of a PDF that begins like one.
struct Plain;

#[async_trait::async_trait]
impl reporting::RenderReport for Plain {
    async fn render(&self, content: &reporting::Content) -> Result<Vec<u8>, mingying_jobs::Failure> {
        Ok(format!("%PDF-1.7 {} v{}", content.text.impression, content.version).into_bytes())
    }
}

on_both! {
    async fn a_signed_report_stands_in_the_study_as_a_pdf_once(db: Db) {
        let site = Site::new(db).await;
        let dir = tempfile::tempdir().unwrap();
        let blobs = mingying_blob::Blobs::open(dir.path(), mingying_blob::Settings { reserve: 0, ..Default::default() });
        let settings = mingying_archive::Settings::new(site.org);
        let archive =
            mingying_archive::Archive::open(site.db.clone(), blobs.unwrap(), site.shared(), settings).await.unwrap();
        let store = reporting::StoreReports::new(site.db.clone(), archive.clone(), Arc::new(Plain), site.system());
        let runner = mingying_jobs::Runner::new(site.db.clone(), site.shared(), mingying_jobs::Settings::default())
            .with(Arc::new(store));
        runner.register().await.unwrap();

        let order = site.imaged(None).await;
        let (radiologist, senior) = (site.person(Role::Radiologist), site.person(Role::Senior));
        let view = site.open(&radiologist, order.id).await.unwrap();
        let view = site.save(&radiologist, &view, clean()).await.unwrap();
        site.submit(&radiologist, &view).await.unwrap();
        let view = site.open(&senior, order.id).await.unwrap();
        let view = site.audit(&senior, &view, None).await.unwrap();
        assert_eq!(runner.drain().await.unwrap(), 1);
        assert!(mingying_jobs::list_dead(&site.db, 9).await.unwrap().is_empty());

        let read = site.system().permit().unwrap();
        let uid = order.study_uid.to_string();
        let found = archive.instances_of(&read, &uid, None, None).await.unwrap();
        let [pdf] = &found[..] else { panic!("{found:?}") };
        assert_eq!(pdf.sop_class, "1.2.840.10008.5.1.4.1.1.104.1");
        assert_eq!(pdf.sop_uid, reporting::sop_uid_of(&view.versions.last().unwrap().hash));
        let study = archive.study(&read, &uid).await.unwrap();
        assert_eq!((study.patient_name.display().as_str(), study.accession.as_str()), ("张三", order.accession.as_str()));
        let whole = archive.read(pdf, 0, u64::MAX).await.unwrap();
        assert!(whole.windows(8).any(|w| w == b"%PDF-1.7"));

        // Delivered again after a crash.
        site.db.execute("UPDATE deliveries SET state = 'pending', lease_until = 0", params![]).await.unwrap();
        assert_eq!(runner.drain().await.unwrap(), 1);
        assert_eq!(archive.instances_of(&read, &uid, None, None).await.unwrap().len(), 1);
        let stats = archive.stats().await.unwrap();
        assert_eq!((stats.instances, stats.duplicates), (1, 0));
        assert!(site.topics(order.id).await.contains(&"report.archived".to_owned()));
    }
}

mod phrases;
mod templates;
