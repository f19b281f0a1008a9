//! Patient links on both engines: unlocking, throttling, expiry, revocation, what they show and what they never show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use jiff::civil::date;
use mingying_access::{Access, Org, SecretKey};
use mingying_archive::{Archive, Origin};
use mingying_blob::Blobs;
use mingying_db::{Db, params};
use mingying_kernel::{Actor, ActorKind, Coded, Ctx, ErrorKind, ManualClock, OrderId, OrgId, Role, Scope, UserId};
use mingying_orders::{CatalogueItem, ExamState, NewItem, NewOrder, Order, Step};
use mingying_patients::{Identifier, IdentifierKind, NewPatient, Sex};
use mingying_reporting::{self as reporting, Text};
use mingying_sharing::{self as sharing, Made, NewShare, ShareError, ShareState};
use mingying_testkit::{clock, on_both};
use std::sync::Arc;
use std::time::Duration;

struct Site {
    db: Db,
    access: Access,
    archive: Archive,
    clock: Arc<ManualClock>,
    org: OrgId,
    _dir: tempfile::TempDir,
}

const STUDY: &str = "1.2.3.55";

impl Site {
    async fn new(db: Db) -> Self {
        let org = OrgId::new();
        let mut tx = db.begin().await.unwrap();
        let row = Org { id: org, name: "明影示范医院".into(), name_en: "Mingying Hospital".into() };
        mingying_access::put_org(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), mingying_blob::Settings { reserve: 0, ..Default::default() }).unwrap();
        let clock = clock();
        let settings = mingying_archive::Settings::new(org);
        let archive = Archive::open(db.clone(), blobs, clock.clone(), settings).await.unwrap();
        let access = Access::new(
            db.clone(),
            clock.clone(),
            SecretKey::from_bytes(&[7; 32]).unwrap(),
            mingying_access::Settings::default(),
        );
        Self { db, access, archive, clock, org, _dir: dir }
    }

    fn person(&self, role: Role) -> Ctx {
        let actor = Actor {
            kind: ActorKind::User,
            id: UserId::new().to_string(),
            name: format!("{} 一", role.as_str()),
            roles: vec![role],
            org: Some(self.org),
        };
        self.access.ctx(actor, "test")
    }

    async fn order(&self, patient: NewPatient) -> Order {
        let ctx = self.access.system("test");
        let patient = mingying_patients::register(&self.db, &ctx.permit().unwrap(), patient).await.unwrap();
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
            ..NewOrder::for_patient(patient.id)
        };
        mingying_orders::create(&self.db, &ctx.permit().unwrap(), new).await.unwrap()
    }

    async fn imaged(&self) -> Order {
        let order = self.order(zhang()).await;
        let permit = self.access.system("test").permit::<reporting::ReadReports>().unwrap();
        let mut tx = self.db.begin().await.unwrap();
        for step in [Step::Arrive, Step::Start, Step::Image] {
            let _ = mingying_orders::advance(&mut tx, &permit, order.id, step).await.unwrap();
        }
        tx.commit().await.unwrap();
        order
    }

    async fn sign(&self, order: &Order) {
        let settings = reporting::Settings::default();
        let (one, two) = (self.person(Role::Radiologist), self.person(Role::Senior));
        let view = reporting::open(&self.db, &one.permit().unwrap(), &settings, order.id, true).await.unwrap();
        let text = Text {
            findings: "双肺清晰。".into(), impression: "胸部未见异常。".into(), advice: String::new()
        };
        let permit = one.permit().unwrap();
        let view = reporting::save_draft(&self.db, &permit, &settings, view.id, view.rev, text, None).await.unwrap();
        reporting::submit(&self.db, &permit, &settings, view.id, view.rev).await.unwrap();
        let view = reporting::open(&self.db, &two.permit().unwrap(), &settings, order.id, true).await.unwrap();
        reporting::audit(&self.db, &two.permit().unwrap(), &settings, view.id, view.rev, None).await.unwrap();
    }

    /// Two series: two images, and a structured report without pixels.
    async fn send(&self, order: &Order) {
        for (series, modality, number) in [("1", "CT", 1_u32), ("1", "CT", 2), ("2", "SR", 1)] {
            let sop = format!("{STUDY}.{series}.{number}");
            let mut object = InMemDicomObject::new_empty();
            let mut put = |tag: Tag, vr: VR, value: PrimitiveValue| {
                object.put(DataElement::new(tag, vr, value));
            };
            put(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192".into());
            put(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.into());
            put(tags::SOP_INSTANCE_UID, VR::UI, sop.as_str().into());
            put(tags::ACCESSION_NUMBER, VR::SH, order.accession.as_str().into());
            put(tags::MODALITY, VR::CS, modality.into());
            put(tags::PATIENT_NAME, VR::PN, "Zhang^San=张^三".into());
            put(tags::PATIENT_ID, VR::LO, "M001".into());
            put(tags::STUDY_INSTANCE_UID, VR::UI, STUDY.into());
            put(tags::SERIES_INSTANCE_UID, VR::UI, format!("{STUDY}.{series}").into());
            put(tags::SERIES_NUMBER, VR::IS, series.into());
            put(tags::INSTANCE_NUMBER, VR::IS, number.to_string().into());
            if modality == "CT" {
                for (tag, value) in [
                    (tags::SAMPLES_PER_PIXEL, 1_u16),
                    (tags::ROWS, 4),
                    (tags::COLUMNS, 4),
                    (tags::BITS_ALLOCATED, 16),
                    (tags::BITS_STORED, 16),
                    (tags::HIGH_BIT, 15),
                    (tags::PIXEL_REPRESENTATION, 0),
                ] {
                    put(tag, VR::US, value.into());
                }
                put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16((0..16_u16).collect()));
            }
            let meta = FileMetaTableBuilder::new()
                .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
                .media_storage_sop_instance_uid(&sop)
                .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
            let mut bytes = Vec::new();
            object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
            let mut receiving = self.archive.receive_part10(Origin::aet("CT01"));
            receiving.write(&bytes).await.unwrap();
            receiving.finish(&self.access.system("test").permit().unwrap()).await.unwrap();
        }
        mingying_reading::match_study(&self.db, &self.archive, &self.access.system("test"), STUDY).await.unwrap();
    }

    async fn share(&self, order: OrderId, images: bool) -> Result<Made, ShareError> {
        let permit = self.person(Role::Registrar).permit().unwrap();
        sharing::create(&self.db, &permit, order, NewShare { valid_days: 7, images }).await
    }

    async fn open(&self, token: &str, last4: &str, address: &str) -> Result<sharing::Opened, ShareError> {
        sharing::open(&self.db, &self.access, token, date(1970, 1, 2), last4, address).await
    }

    async fn state(&self, order: OrderId) -> ExamState {
        mingying_orders::load_many(&self.db, Scope::All, &[order]).await.unwrap()[0].state
    }
}

fn zhang() -> NewPatient {
    NewPatient {
        name: "张小三".into(),
        sex: Some(Sex::Male),
        birth_date: Some(date(1970, 1, 2)),
        phone: Some("13800001234".into()),
        identifiers: vec![Identifier { issuer: "HOSP".into(), kind: IdentifierKind::Mrn, value: "M001".into() }],
        ..NewPatient::default()
    }
}

on_both! {
    async fn a_patient_opens_the_signed_report_and_its_images(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged().await;
        site.send(&order).await;
        let made = site.share(order.id, true).await.unwrap();
        assert_eq!(made.token.len(), 43);
        let stored = site.db.query_one("SELECT token_hash FROM shares", params![]).await.unwrap();
        assert_ne!(stored.get::<String>("token_hash").unwrap(), made.token);

        // Before the signature the page says how far it is, and nothing of the draft.
        let opened = site.open(&made.token, "1234", "10.0.0.1").await.unwrap();
        let share = sharing::session(&site.db, &site.access, &made.token, Some(&opened.cookie)).await.unwrap();
        let view = sharing::report_view(&site.db, &site.archive, &site.access, &share).await.unwrap();
        assert!(view.content.is_none());
        assert_eq!((view.hospital.as_str(), view.masked_name.as_str()), ("明影示范医院", "张*三"));
        assert_eq!(site.state(order.id).await, ExamState::Imaged);

        site.sign(&order).await;
        assert_eq!(site.state(order.id).await, ExamState::Audited);
        let view = sharing::report_view(&site.db, &site.archive, &site.access, &share).await.unwrap();
        assert_eq!(view.content.unwrap().text.impression, "胸部未见异常。");
        assert_eq!(view.series.iter().map(|s| (s.modality.as_str(), s.images)).collect::<Vec<_>>(), [("CT", 2)]);

        site.open(&made.token, "1234", "10.0.0.1").await.unwrap();
        assert_eq!(site.state(order.id).await, ExamState::Delivered);
        let again = site.open(&made.token, "1234", "10.0.0.1").await.unwrap();
        assert_eq!(again.share.opens, 3);
        let events = mingying_events::read_case(&site.db, order.id).await.unwrap();
        let of = |topic: &str| events.iter().filter(|e| e.topic == topic).count();
        assert_eq!((of("share.created"), of("share.opened"), of("result.delivered")), (1, 3, 1));
        let opened = events.iter().find(|e| e.topic == "share.opened").unwrap();
        assert_eq!((opened.actor_kind.as_str(), opened.actor_name.as_str()), ("patient", ""));

        let series = format!("{STUDY}.1");
        let second = sharing::frame(&site.db, &site.archive, &site.access, &share, &series, 1).await.unwrap();
        assert_eq!((second.instance.sop_uid.as_str(), second.frame), ("1.2.3.55.1.2", 0));
        for (uid, index) in [(series.as_str(), 2), ("1.2.3.55.2", 0), ("1.2.840", 0)] {
            let result = sharing::frame(&site.db, &site.archive, &site.access, &share, uid, index).await;
            assert!(matches!(result, Err(ShareError::NotFound)), "{uid} {index}");
        }
    }

    async fn a_link_without_images_shows_none(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged().await;
        site.send(&order).await;
        let made = site.share(order.id, false).await.unwrap();
        let opened = site.open(&made.token, "1234", "10.0.0.1").await.unwrap();
        let view = sharing::report_view(&site.db, &site.archive, &site.access, &opened.share).await.unwrap();
        assert!(view.series.is_empty());
        let series = format!("{STUDY}.1");
        let error = sharing::frame(&site.db, &site.archive, &site.access, &opened.share, &series, 0).await.unwrap_err();
        assert_eq!(error.code(), "share.no_images");
    }

    async fn wrong_answers_are_counted_and_throttled(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged().await;
        let made = site.share(order.id, false).await.unwrap();
        assert!(matches!(site.open("no-such-token", "1234", "10.0.0.1").await, Err(ShareError::NotFound)));
        for i in 0..5 {
            let error = site.open(&made.token, "9999", &format!("10.0.0.{i}")).await.unwrap_err();
            assert_eq!((error.code(), error.kind()), ("share.mismatch", ErrorKind::Forbidden));
            site.clock.advance(Duration::from_mins(1));
        }
        // The right answer does not help now, from whatever address.
        let error = site.open(&made.token, "1234", "10.9.9.9").await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("share.throttled", ErrorKind::TooMany));
        let wait: u64 = error.params()[0].1.parse().unwrap();
        assert!((9 * 60..=15 * 60).contains(&wait), "{wait}");
        site.clock.advance(Duration::from_secs(wait));
        site.open(&made.token, "1234", "10.9.9.9").await.unwrap();

        let denied = site
            .db
            .query_one("SELECT COUNT(*) AS n FROM audit WHERE action = 'share.open' AND outcome = 'denied'", params![])
            .await
            .unwrap();
        assert_eq!(denied.get::<i64>("n").unwrap(), 6);

        // One address that tries many links is held too, and holds up nobody else.
        for i in 0..20 {
            let other = site.share(order.id, false).await.unwrap();
            let error = site.open(&other.token, "9999", "10.7.7.7").await.unwrap_err();
            assert_eq!(error.code(), "share.mismatch", "{i}");
        }
        let other = site.share(order.id, false).await.unwrap();
        assert_eq!(site.open(&other.token, "1234", "10.7.7.7").await.unwrap_err().code(), "share.throttled");
        site.open(&other.token, "1234", "10.8.8.8").await.unwrap();
    }

    async fn many_tries_at_once_get_no_more_than_one_after_the_other(db: Db) {
        let site = Arc::new(Site::new(db).await);
        let order = site.imaged().await;
        let made = site.share(order.id, false).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..20 {
            let (site, token) = (site.clone(), made.token.clone());
            tasks.spawn(async move { site.open(&token, &format!("{i:04}"), "10.0.0.1").await.unwrap_err().code() });
        }
        let codes = tasks.join_all().await;
        assert_eq!(codes.iter().filter(|code| **code == "share.mismatch").count(), 5, "{codes:?}");
    }

    async fn links_end_by_time_and_by_revocation(db: Db) {
        let site = Site::new(db).await;
        let order = site.imaged().await;
        let made = site.share(order.id, false).await.unwrap();
        let opened = site.open(&made.token, "1234", "10.0.0.1").await.unwrap();
        let other = site.share(order.id, false).await.unwrap();
        let session = |token: String, cookie: Option<String>| {
            let (db, access) = (site.db.clone(), site.access.clone());
            async move { sharing::session(&db, &access, &token, cookie.as_deref()).await }
        };
        assert_eq!(session(made.token.clone(), None).await.unwrap_err().code(), "share.locked");
        assert_eq!(session(made.token.clone(), Some("x".into())).await.unwrap_err().code(), "share.locked");
        let crossed = session(other.token.clone(), Some(opened.cookie.clone())).await.unwrap_err();
        assert_eq!(crossed.code(), "share.locked", "a cookie opens its own link only");
        site.clock.advance(Duration::from_mins(31));
        assert_eq!(session(made.token.clone(), Some(opened.cookie)).await.unwrap_err().code(), "share.locked");

        let opened = site.open(&made.token, "1234", "10.0.0.1").await.unwrap();
        let revoke = site.person(Role::Security).permit().unwrap();
        sharing::revoke(&site.db, &revoke, made.share.id).await.unwrap();
        sharing::revoke(&site.db, &revoke, made.share.id).await.unwrap();
        let error = session(made.token.clone(), Some(opened.cookie)).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("share.revoked", ErrorKind::Gone));
        assert_eq!(site.open(&made.token, "1234", "10.0.0.1").await.unwrap_err().code(), "share.revoked");

        site.clock.advance(Duration::from_hours(8 * 24));
        assert_eq!(site.open(&other.token, "1234", "10.0.0.1").await.unwrap_err().code(), "share.expired");
        let read = site.person(Role::Qc).permit().unwrap();
        let shares = sharing::shares_of(&site.db, &read, order.id).await.unwrap();
        let states: Vec<ShareState> = shares.iter().map(|s| s.state(site.access.clock().now())).collect();
        assert_eq!(states.len(), 2);
        assert!(states.contains(&ShareState::Revoked) && states.contains(&ShareState::Expired));
    }

    async fn links_need_somebody_who_can_unlock_them(db: Db) {
        let site = Site::new(db).await;
        let unknown = NewPatient { unidentified: true, ..NewPatient::default() };
        let order = site.order(unknown).await;
        assert_eq!(site.share(order.id, false).await.unwrap_err().code(), "share.no_identity");
        let order = site.order(zhang()).await;
        let permit = site.person(Role::Registrar).permit().unwrap();
        for valid_days in [0, 366] {
            let new = NewShare { valid_days, images: false };
            let error = sharing::create(&site.db, &permit, order.id, new).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let stranger = Actor {
            kind: ActorKind::User,
            id: UserId::new().to_string(),
            name: String::new(),
            roles: vec![Role::Registrar],
            org: Some(OrgId::new()),
        };
        let stranger = site.access.ctx(stranger, "test");
        let new = NewShare { valid_days: 7, images: false };
        let error = sharing::create(&site.db, &stranger.permit().unwrap(), order.id, new).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let made = site.share(order.id, false).await.unwrap();
        let error = sharing::revoke(&site.db, &stranger.permit().unwrap(), made.share.id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
