//! Studies find their orders, on both engines, with real objects in a real archive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use mingying_access::{Org, RolePolicy};
use mingying_archive::{Archive, DeleteStudies, Origin, ReadStudies, Target};
use mingying_blob::Blobs;
use mingying_db::Db;
use mingying_kernel::{Actor, ActorKind, Coded, Ctx, ManualClock, OrderId, OrgId, Role, Scope, SharedClock, UserId};
use mingying_orders::{CatalogueItem, ExamState, NewItem, NewOrder, Order, Priority, Step};
use mingying_patients::{Identifier, IdentifierKind, NewPatient, Sex};
use mingying_reading::{self as reading, How, LinkStudy, MatchStudies, Matched, ReadCases, ReadingQuery, Reason, Sort};
use mingying_testkit::{clock, on_both};
use std::sync::Arc;
use std::time::Duration;

struct Site {
    db: Db,
    archive: Archive,
    clock: Arc<ManualClock>,
    org: OrgId,
    _dir: tempfile::TempDir,
}

/// What a modality writes into its images.
struct Images<'a> {
    study_uid: &'a str,
    accession: &'a str,
    patient_id: &'a str,
    patient_name: &'a str,
    birth_date: &'a str,
}

impl Site {
    async fn new(db: Db) -> Self {
        let org = OrgId::new();
        let mut tx = db.begin().await.unwrap();
        let row = Org { id: org, name: "明影示范医院".into(), name_en: "Mingying".into() };
        mingying_access::put_org(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), mingying_blob::Settings { reserve: 0, ..Default::default() }).unwrap();
        let clock = clock();
        let settings = mingying_archive::Settings::new(org);
        let archive = Archive::open(db.clone(), blobs, clock.clone(), settings).await.unwrap();
        Self { db, archive, clock, org, _dir: dir }
    }

    fn system(&self) -> Ctx {
        let clock: SharedClock = self.clock.clone();
        Ctx::system("test", Arc::new(RolePolicy), clock)
    }

    fn person(&self, role: Role, org: OrgId) -> Ctx {
        let actor = Actor {
            kind: ActorKind::User,
            id: UserId::new().to_string(),
            name: role.as_str().to_owned(),
            roles: vec![role],
            org: Some(org),
        };
        let clock: SharedClock = self.clock.clone();
        Ctx::new(actor, "test", Arc::new(RolePolicy), clock)
    }

    async fn order(&self, name: &str, mrn: &str, priority: Priority) -> Order {
        let ctx = self.system();
        let new = NewPatient {
            name: name.into(),
            sex: Some(Sex::Male),
            birth_date: Some(jiff::civil::date(1970, 1, 2)),
            identifiers: vec![Identifier { issuer: "HOSP".into(), kind: IdentifierKind::Mrn, value: mrn.into() }],
            ..NewPatient::default()
        };
        let patient = mingying_patients::register(&self.db, &ctx.permit().unwrap(), new).await.unwrap();
        self.order_for(patient.id, priority).await
    }

    async fn order_for(&self, patient: mingying_kernel::PatientId, priority: Priority) -> Order {
        let ctx = self.system();
        let item = CatalogueItem {
            id: format!("{}:CT-CHEST", self.org),
            code: "CT-CHEST".into(),
            name: "胸部 CT 平扫".into(),
            name_en: "Chest CT".into(),
            modality: "CT".into(),
            body_part: "CHEST".into(),
            sided: false,
            contrast: false,
            duration_min: 10,
            preparation: String::new(),
            preparation_en: String::new(),
            price_cents: 0,
        };
        let items = std::slice::from_ref(&item);
        mingying_orders::upsert_catalogue(&self.db, &ctx.permit().unwrap(), self.org, items).await.unwrap();
        let new = NewOrder {
            items: vec![NewItem { catalogue_id: item.id, side: None }],
            department: "呼吸科".into(),
            physician: "王".into(),
            diagnosis: "咳嗽".into(),
            priority,
            ..NewOrder::for_patient(patient)
        };
        mingying_orders::create(&self.db, &ctx.permit().unwrap(), new).await.unwrap()
    }

    async fn walk(&self, order: OrderId, steps: &[Step]) {
        let permit = self.system().permit::<ReadCases>().unwrap();
        let mut tx = self.db.begin().await.unwrap();
        for step in steps {
            let _ = mingying_orders::advance(&mut tx, &permit, order, *step).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn state(&self, order: OrderId) -> ExamState {
        mingying_orders::load_many(&self.db, Scope::All, &[order]).await.unwrap()[0].state
    }

    async fn send(&self, images: &Images<'_>, number: u32) {
        let sop = format!("{}.1.{number}", images.study_uid);
        let series = format!("{}.1", images.study_uid);
        let mut object = InMemDicomObject::new_empty();
        let mut put = |tag: Tag, vr: VR, value: &str| {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        put(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
        put(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
        put(tags::SOP_INSTANCE_UID, VR::UI, &sop);
        put(tags::STUDY_DATE, VR::DA, "20260302");
        put(tags::ACCESSION_NUMBER, VR::SH, images.accession);
        put(tags::MODALITY, VR::CS, "CT");
        put(tags::PATIENT_NAME, VR::PN, images.patient_name);
        put(tags::PATIENT_ID, VR::LO, images.patient_id);
        put(tags::PATIENT_BIRTH_DATE, VR::DA, images.birth_date);
        put(tags::STUDY_INSTANCE_UID, VR::UI, images.study_uid);
        put(tags::SERIES_INSTANCE_UID, VR::UI, &series);
        put(tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(&sop)
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let mut bytes = Vec::new();
        object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        let mut receiving = self.archive.receive_part10(Origin::aet("CT01"));
        receiving.write(&bytes).await.unwrap();
        receiving.finish(&self.system().permit().unwrap()).await.unwrap();
    }

    async fn matched(&self, study_uid: &str) -> Matched {
        reading::match_study(&self.db, &self.archive, &self.system(), study_uid).await.unwrap()
    }

    async fn unmatched(&self) -> Vec<reading::Unmatched> {
        let permit = self.system().permit::<LinkStudy>().unwrap();
        reading::unmatched(&self.db, &permit, None, None).await.unwrap().items
    }

    async fn rows(&self, query: &ReadingQuery) -> Vec<String> {
        let permit = self.person(Role::Radiologist, self.org).permit::<ReadCases>().unwrap();
        let page = reading::worklist(&self.db, &permit, query).await.unwrap();
        page.items.into_iter().map(|row| row.patient.name).collect()
    }
}

fn images<'a>(study_uid: &'a str, accession: &'a str) -> Images<'a> {
    Images { study_uid, accession, patient_id: "M001", patient_name: "Zhang^San=张^三", birth_date: "19700102" }
}

on_both! {
    async fn a_study_is_matched_by_its_accession_number_and_counted_once(db: Db) {
        let site = Site::new(db).await;
        let order = site.order("张三", "M001", Priority::Routine).await;
        let accession = order.accession.to_string();
        let study = images("1.2.3.77", &accession);
        site.send(&study, 1).await;
        assert_eq!(site.matched("1.2.3.77").await, Matched::Order(order.id));
        assert_eq!(site.state(order.id).await, ExamState::InProgress, "images began the exam");
        site.send(&study, 2).await;
        for _ in 0..3 {
            site.matched("1.2.3.77").await;
        }
        let progress = mingying_exam::progress_of(&site.db, Scope::All, &[order.id]).await.unwrap();
        assert_eq!(progress[0].images, 2, "delivered three times, counted once");
        let links = reading::study_uids(&site.db, Scope::All, order.id).await.unwrap();
        assert_eq!((links.len(), links[0].how, links[0].images), (1, How::Accession, 2));
        let topics: Vec<String> =
            mingying_events::read_case(&site.db, order.id).await.unwrap().into_iter().map(|e| e.topic).collect();
        assert_eq!(topics.iter().filter(|t| *t == "study.matched").count(), 1);
        assert!(site.unmatched().await.is_empty());
    }

    async fn without_accession_the_worklist_uid_decides(db: Db) {
        let site = Site::new(db).await;
        let order = site.order("张三", "M001", Priority::Routine).await;
        let uid = order.study_uid.to_string();
        site.send(&images(&uid, ""), 1).await;
        assert_eq!(site.matched(&uid).await, Matched::Order(order.id));
        let links = reading::study_uids(&site.db, Scope::All, order.id).await.unwrap();
        assert_eq!(links[0].how, How::WorklistUid);
    }

    async fn what_does_not_fit_waits_for_a_person(db: Db) {
        let site = Site::new(db).await;
        let order = site.order("张三", "M001", Priority::Routine).await;
        let accession = order.accession.to_string();

        site.send(&images("1.2.3.1", "NOBODY"), 1).await;
        assert_eq!(site.matched("1.2.3.1").await, Matched::Unmatched(Reason::NoOrder));
        let wrong = Images { patient_id: "M999", patient_name: "Li^Si=李^四", ..images("1.2.3.2", &accession) };
        site.send(&wrong, 1).await;
        assert_eq!(site.matched("1.2.3.2").await, Matched::Unmatched(Reason::PatientDiffers));
        assert_eq!(site.state(order.id).await, ExamState::Accepted, "another patient's images begin nothing");

        site.send(&wrong, 2).await;
        site.matched("1.2.3.2").await;
        let waiting = site.unmatched().await;
        assert_eq!(waiting.len(), 2);
        let row = waiting.iter().find(|row| row.study_uid == "1.2.3.2").unwrap();
        assert_eq!((row.images, row.patient_name.as_str(), row.source.as_str()), (2, "李四", "AE CT01"));

        // A person links it, and takes it off again.
        let tech = site.person(Role::Tech, site.org).permit::<LinkStudy>().unwrap();
        let other = site.order("李四", "M999", Priority::Routine).await;
        reading::link(&site.db, &site.archive, &tech, "1.2.3.2", other.id).await.unwrap();
        reading::link(&site.db, &site.archive, &tech, "1.2.3.2", other.id).await.unwrap();
        assert_eq!(site.state(other.id).await, ExamState::InProgress);
        let error = reading::link(&site.db, &site.archive, &tech, "1.2.3.2", order.id).await.unwrap_err();
        assert_eq!(error.code(), "study.linked");
        assert_eq!(site.unmatched().await.len(), 1);
        reading::unlink(&site.db, &site.archive, &tech, "1.2.3.2", other.id).await.unwrap();
        let waiting = site.unmatched().await;
        assert_eq!(waiting.iter().find(|row| row.study_uid == "1.2.3.2").unwrap().reason, Reason::Unlinked);
        assert!(reading::unlink(&site.db, &site.archive, &tech, "1.2.3.2", other.id).await.is_err());

        // Nobody of another organization sees or links it.
        let stranger = site.person(Role::Tech, OrgId::new()).permit::<LinkStudy>().unwrap();
        assert!(reading::unmatched(&site.db, &stranger, None, None).await.unwrap().items.is_empty());
        let error = reading::link(&site.db, &site.archive, &stranger, "1.2.3.1", order.id).await.unwrap_err();
        assert_eq!(error.kind(), mingying_kernel::ErrorKind::NotFound);
    }

    async fn a_cancelled_order_takes_no_images(db: Db) {
        let site = Site::new(db).await;
        let order = site.order("张三", "M001", Priority::Routine).await;
        site.walk(order.id, &[Step::Cancel]).await;
        let accession = order.accession.to_string();
        site.send(&images("1.2.3.5", &accession), 1).await;
        assert_eq!(site.matched("1.2.3.5").await, Matched::Unmatched(Reason::OrderState));
        let tech = site.person(Role::Tech, site.org).permit::<LinkStudy>().unwrap();
        let error = reading::link(&site.db, &site.archive, &tech, "1.2.3.5", order.id).await.unwrap_err();
        assert_eq!(error.code(), "study.order_state");
    }

    async fn the_subscriber_matches_what_arrives(db: Db) {
        let site = Site::new(db).await;
        let runner = mingying_jobs::Runner::new(site.db.clone(), site.clock.clone(), mingying_jobs::Settings::default())
            .with(Arc::new(MatchStudies::new(site.db.clone(), site.archive.clone(), site.system())));
        runner.register().await.unwrap();
        let order = site.order("张三", "M001", Priority::Routine).await;
        let accession = order.accession.to_string();
        site.send(&images("1.2.3.9", &accession), 1).await;
        // The archive tells of stored instances a moment after it acknowledged them.
        site.archive.close().await;
        assert!(runner.drain().await.unwrap() > 0);
        assert_eq!(reading::order_of(&site.db, Scope::All, "1.2.3.9").await.unwrap(), Some(order.id));
        assert!(mingying_jobs::list_dead(&site.db, 10).await.unwrap().is_empty());
    }

    async fn lists_follow_when_images_are_deleted_and_brought_back(db: Db) {
        let site = Site::new(db).await;
        let runner = mingying_jobs::Runner::new(site.db.clone(), site.clock.clone(), mingying_jobs::Settings::default())
            .with(Arc::new(MatchStudies::new(site.db.clone(), site.archive.clone(), site.system())));
        runner.register().await.unwrap();
        let order = site.order("张三", "M001", Priority::Routine).await;
        let accession = order.accession.to_string();
        for number in 1..=2 {
            site.send(&images("1.2.3.9", &accession), number).await;
        }
        site.send(&images("1.2.3.8", "NOBODY"), 1).await;
        site.archive.flush().await.unwrap();
        runner.drain().await.unwrap();
        site.walk(order.id, &[Step::Image]).await;
        let shown = async || {
            let permit = site.person(Role::Radiologist, site.org).permit::<ReadCases>().unwrap();
            let rows = reading::worklist(&site.db, &permit, &ReadingQuery::default()).await.unwrap().items;
            (rows.iter().map(|row| row.images).collect::<Vec<_>>(), site.unmatched().await.len())
        };
        assert_eq!(shown().await, (vec![2], 1));

        let delete = site.system().permit::<DeleteStudies>().unwrap();
        let reason = mingying_archive::Reason::Quality;
        let one = Target::study("1.2.3.9").series("1.2.3.9.1").instance("1.2.3.9.1.2");
        site.archive.delete(&delete, &one, reason, "").await.unwrap();
        runner.drain().await.unwrap();
        assert_eq!(shown().await, (vec![1], 1));
        let mut deleted = Vec::new();
        for uid in ["1.2.3.9", "1.2.3.8"] {
            deleted.push(site.archive.delete(&delete, &Target::study(uid), reason, "").await.unwrap().id);
        }
        runner.drain().await.unwrap();
        assert_eq!(shown().await, (vec![], 0), "nothing without images is offered");

        for id in deleted {
            site.archive.restore_deleted(&delete, id).await.unwrap();
        }
        runner.drain().await.unwrap();
        assert_eq!(shown().await, (vec![1], 1));
        let progress = mingying_exam::progress_of(&site.db, Scope::All, &[order.id]).await.unwrap();
        assert_eq!(progress[0].images, 2, "the exam took two images, whatever became of them");
        // New images of the same study are told to the exam.
        site.send(&images("1.2.3.9", &accession), 3).await;
        site.archive.flush().await.unwrap();
        runner.drain().await.unwrap();
        let progress = mingying_exam::progress_of(&site.db, Scope::All, &[order.id]).await.unwrap();
        assert_eq!((shown().await.0, progress[0].images), (vec![2], 3));
        assert!(mingying_jobs::list_dead(&site.db, 10).await.unwrap().is_empty());
    }

    async fn the_worklist_sorts_filters_and_pages(db: Db) {
        let site = Site::new(db).await;
        let steps = [Step::Arrive, Step::Start, Step::Image];
        for (name, mrn, priority) in [
            ("王一", "M1", Priority::Routine),
            ("李二", "M2", Priority::Emergency),
            ("张三", "M3", Priority::Urgent),
            ("赵四", "M4", Priority::Emergency),
        ] {
            let order = site.order(name, mrn, priority).await;
            site.walk(order.id, &steps).await;
            site.clock.advance(Duration::from_mins(5));
        }
        site.order("孙五", "M5", Priority::Routine).await;
        let by = |sort| ReadingQuery { sort, ..ReadingQuery::default() };
        assert_eq!(site.rows(&by(Sort::Priority)).await, ["李二", "赵四", "张三", "王一"]);
        assert_eq!(site.rows(&by(Sort::Waiting)).await, ["王一", "李二", "张三", "赵四"]);
        assert_eq!(site.rows(&by(Sort::ImagedAt)).await, ["赵四", "张三", "李二", "王一"]);
        let text = |q: &str| ReadingQuery { text: Some(q.into()), ..ReadingQuery::default() };
        assert_eq!(site.rows(&text("张")).await, ["张三"]);
        assert_eq!(site.rows(&text("zhangs")).await, ["张三"]);
        assert_eq!(site.rows(&text("M2")).await, ["李二"]);
        assert!(site.rows(&text("'; DROP TABLE orders; --")).await.is_empty());
        let urgent = ReadingQuery { priority: Some(Priority::Urgent), ..ReadingQuery::default() };
        assert_eq!(site.rows(&urgent).await, ["张三"]);
        let permit = site.person(Role::Radiologist, site.org).permit::<ReadCases>().unwrap();
        let counts = async |text: Option<&str>| -> Vec<(ExamState, Priority, i64)> {
            let found = reading::count_cases(&site.db, &permit, text).await.unwrap();
            assert!(found.iter().all(|count| count.modality == "CT"));
            found.into_iter().map(|count| (count.state, count.priority, count.cases)).collect()
        };
        let imaged = ExamState::Imaged;
        assert_eq!(
            counts(None).await,
            [(imaged, Priority::Emergency, 2), (imaged, Priority::Routine, 1), (imaged, Priority::Urgent, 1)],
            "who waits for the scanner does not wait for a reader"
        );
        assert_eq!(counts(Some("李")).await, [(imaged, Priority::Emergency, 1)]);
        let accepted = ReadingQuery { states: vec![ExamState::Accepted], ..ReadingQuery::default() };
        assert_eq!(site.rows(&accepted).await, ["孙五"]);

        for sort in Sort::ALL {
            let whole = site.rows(&by(*sort)).await;
            let permit = site.person(Role::Radiologist, site.org).permit::<ReadCases>().unwrap();
            let (mut paged, mut cursor) = (Vec::new(), None);
            loop {
                let query = ReadingQuery { limit: Some(1), cursor, ..by(*sort) };
                let page = reading::worklist(&site.db, &permit, &query).await.unwrap();
                paged.extend(page.items.into_iter().map(|row| row.patient.name));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(paged, whole, "{sort}");
        }
        let stranger = site.person(Role::Radiologist, OrgId::new()).permit::<ReadCases>().unwrap();
        assert!(reading::worklist(&site.db, &stranger, &ReadingQuery::default()).await.unwrap().items.is_empty());
        assert!(reading::count_cases(&site.db, &stranger, None).await.unwrap().is_empty());
    }

    async fn the_room_holds_the_case_and_its_priors(db: Db) {
        let site = Site::new(db).await;
        let first = site.order("张三", "M001", Priority::Routine).await;
        let accession = first.accession.to_string();
        site.send(&images("1.2.3.20", &accession), 1).await;
        site.matched("1.2.3.20").await;
        let second = site.order_for(first.patient.id, Priority::Routine).await;
        let accession = second.accession.to_string();
        site.send(&images("1.2.3.21", &accession), 1).await;
        site.matched("1.2.3.21").await;

        let (one, two) = (site.person(Role::Radiologist, site.org), site.person(Role::Senior, site.org));
        let room = reading::room(&site.db, &site.archive, &one.permit().unwrap(), second.id).await.unwrap();
        assert_eq!(room.patient.name, "张三");
        assert_eq!(room.studies.iter().map(|s| s.study.study_uid.as_str()).collect::<Vec<_>>(), ["1.2.3.21"]);
        assert_eq!(room.studies[0].series.len(), 1);
        assert_eq!(room.priors.iter().map(|p| p.order.id).collect::<Vec<_>>(), [first.id]);

        reading::lock(&site.db, &one.permit().unwrap(), second.id, false).await.unwrap();
        let error = reading::lock(&site.db, &two.permit().unwrap(), second.id, false).await.unwrap_err();
        assert_eq!((error.code(), error.params()), ("case.locked", vec![("by", "radiologist".to_owned())]));
        reading::unlock(&site.db, &two.permit().unwrap(), second.id).await.unwrap();
        assert!(reading::holder(&site.db, second.id, one.now()).await.unwrap().is_some(), "only one's own is let go");
        reading::unlock(&site.db, &one.permit().unwrap(), second.id).await.unwrap();
        reading::lock(&site.db, &two.permit().unwrap(), second.id, false).await.unwrap();

        let stranger = site.person(Role::Radiologist, OrgId::new());
        let error = reading::room(&site.db, &site.archive, &stranger.permit().unwrap(), second.id).await.unwrap_err();
        assert_eq!(error.kind(), mingying_kernel::ErrorKind::NotFound);
        let _ = stranger.permit::<ReadStudies>().unwrap();
    }
}
