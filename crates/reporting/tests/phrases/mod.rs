//! Phrases on both engines: whose they are, codes, order, undo, import.

use super::Site;
use mingying_access::RolePolicy;
use mingying_db::params;
use mingying_kernel::{Actor, ActorKind, Coded, Ctx, OrgId, PhraseId, Role, UserId};
use mingying_reporting::{self as reporting, Imported, NewPhrase, Phrase, ReportError, Section, UsePhrases};
use mingying_testkit::on_both;
use std::sync::Arc;

fn new(code: &str, name: &str, text: &str) -> NewPhrase {
    NewPhrase { code: code.into(), name: name.into(), text: text.into(), ..NewPhrase::default() }
}

impl Site {
    async fn phrase(&self, who: &Ctx, shared: bool, new: NewPhrase) -> Result<Phrase, ReportError> {
        reporting::add_phrase(&self.db, &who.permit().unwrap(), shared, new).await
    }

    async fn shelf(&self, who: &Ctx, deleted: bool) -> Vec<Phrase> {
        reporting::phrases(&self.db, &who.permit().unwrap(), deleted).await.unwrap()
    }

    async fn codes(&self, who: &Ctx) -> Vec<String> {
        self.shelf(who, false).await.into_iter().map(|phrase| phrase.content.code).collect()
    }
}

on_both! {
    async fn own_phrases_are_ones_own_and_shared_ones_need_the_right(db: Db) {
        let site = Site::new(db).await;
        let (trainee, senior) = (site.person(Role::Trainee), site.person(Role::Senior));
        let own = site.phrase(&trainee, false, new("fjj", "肺结节", "{部位}见结节。")).await.unwrap();
        assert_eq!(own.spelled, "fei jie jie");
        let refused = site.phrase(&trainee, true, new("x", "x", "x")).await.unwrap_err();
        assert_eq!(refused.code(), "auth.forbidden");
        let shared = site.phrase(&senior, true, new("FJJ", " 肺结节 ", "双肺见结节。\r\n")).await.unwrap();
        assert_eq!((shared.content.code.as_str(), shared.content.name.as_str(), shared.content.text.as_str()), ("fjj", "肺结节", "双肺见结节。"));

        assert_eq!(site.shelf(&trainee, false).await.len(), 2, "the own and the department's");
        assert_eq!(site.shelf(&senior, false).await, std::slice::from_ref(&shared));
        let permit = senior.permit::<UsePhrases>().unwrap();
        let theirs = reporting::edit_phrase(&site.db, &permit, own.id, own.version, new("", "a", "b")).await;
        assert!(matches!(theirs, Err(ReportError::PhraseNotFound)), "somebody else's is invisible");
        let permit = trainee.permit::<UsePhrases>().unwrap();
        let theirs = reporting::delete_phrase(&site.db, &permit, shared.id).await.unwrap_err();
        assert_eq!(theirs.code(), "auth.forbidden");

        let stranger = Actor {
            kind: ActorKind::User,
            id: UserId::new().to_string(),
            name: String::new(),
            roles: vec![Role::Head],
            org: Some(OrgId::new()),
        };
        let stranger = Ctx::new(stranger, "test", Arc::new(RolePolicy), site.shared());
        assert!(site.shelf(&stranger, false).await.is_empty());
        let permit = stranger.permit::<UsePhrases>().unwrap();
        assert!(matches!(reporting::delete_phrase(&site.db, &permit, shared.id).await, Err(ReportError::PhraseNotFound)));
        assert!(site.person(Role::Clinician).permit::<UsePhrases>().is_err());
    }

    async fn a_code_names_one_phrase_and_a_late_writer_is_told(db: Db) {
        let site = Site::new(db).await;
        let who = site.person(Role::Radiologist);
        let permit = who.permit::<UsePhrases>().unwrap();
        let first = site.phrase(&who, false, new("a1", "甲", "甲")).await.unwrap();
        assert!(matches!(site.phrase(&who, false, new("A1", "乙", "乙")).await, Err(ReportError::CodeTaken)));
        let second = site.phrase(&who, false, new("", "乙", "乙")).await.unwrap();
        site.phrase(&who, false, new("", "丙", "丙")).await.expect("no code is no clash");

        let edited = NewPhrase { section: Some(Section::Impression), ..new("b2", "甲", "甲甲") };
        let after = reporting::edit_phrase(&site.db, &permit, first.id, 1, edited.clone()).await.unwrap();
        assert_eq!((after.version, &after.content), (2, &edited));
        let late = reporting::edit_phrase(&site.db, &permit, first.id, 1, edited.clone()).await;
        assert!(matches!(late, Err(ReportError::PhraseStale { version: 2 })));
        let clash = reporting::edit_phrase(&site.db, &permit, second.id, 1, edited).await;
        assert!(matches!(clash, Err(ReportError::CodeTaken)));
        for (field, bad) in [
            ("name", new("", " ", "x")),
            ("text", new("", "x", " \n")),
            ("text", new("", "x", "\u{7}")),
            ("code", new("a b", "x", "x")),
            ("code", new(&"a".repeat(25), "x", "x")),
        ] {
            let error = site.phrase(&who, false, bad).await.unwrap_err();
            assert_eq!(error.params(), [("field", field.to_owned())]);
        }
    }

    async fn a_deletion_is_undone_where_the_phrase_was(db: Db) {
        let site = Site::new(db).await;
        let who = site.person(Role::Radiologist);
        let permit = who.permit::<UsePhrases>().unwrap();
        let mut ids = Vec::new();
        for code in ["a", "b", "c"] {
            ids.push(site.phrase(&who, false, new(code, code, code)).await.unwrap().id);
        }
        reporting::delete_phrase(&site.db, &permit, ids[1]).await.unwrap();
        assert_eq!(site.codes(&who).await, ["a", "c"]);
        assert_eq!(site.shelf(&who, true).await[0].id, ids[1]);
        reporting::restore_phrase(&site.db, &permit, ids[1]).await.unwrap();
        assert_eq!(site.codes(&who).await, ["a", "b", "c"]);

        reporting::delete_phrase(&site.db, &permit, ids[1]).await.unwrap();
        site.phrase(&who, false, new("b", "new", "new")).await.unwrap();
        let back = reporting::restore_phrase(&site.db, &permit, ids[1]).await;
        assert!(matches!(back, Err(ReportError::CodeTaken)), "the code went to another");
        let audit = "SELECT COUNT(*) AS n FROM audit WHERE action = 'phrase.use' AND object_id = $1";
        let n: i64 = site.db.query_one(audit, params![ids[1]]).await.unwrap().get("n").unwrap();
        assert_eq!(n, 4, "add, delete, restore, delete");
    }

    async fn phrases_stand_in_the_order_one_gives_them(db: Db) {
        let site = Site::new(db).await;
        let who = site.person(Role::Radiologist);
        let permit = who.permit::<UsePhrases>().unwrap();
        let mut ids = Vec::new();
        for code in ["x", "a", "b", "c", "d"] {
            ids.push(site.phrase(&who, false, new(code, code, code)).await.unwrap().id);
        }
        reporting::delete_phrase(&site.db, &permit, ids[0]).await.unwrap();
        // The ranks have a hole now; the order must hold all the same.
        reporting::arrange_phrases(&site.db, &permit, false, &[ids[1], ids[3]]).await.unwrap();
        assert_eq!(site.codes(&who).await, ["a", "c", "b", "d"]);
        reporting::arrange_phrases(&site.db, &permit, false, &[ids[4]]).await.unwrap();
        assert_eq!(site.codes(&who).await, ["d", "a", "c", "b"]);
        let unknown = reporting::arrange_phrases(&site.db, &permit, false, &[PhraseId::new()]).await;
        assert!(matches!(unknown, Err(ReportError::PhraseNotFound)));
    }

    async fn an_import_adds_replaces_or_does_nothing_at_all(db: Db) {
        let site = Site::new(db).await;
        let who = site.person(Role::Senior);
        let permit = who.permit::<UsePhrases>().unwrap();
        site.phrase(&who, true, new("fjj", "肺结节", "旧")).await.unwrap();
        site.phrase(&who, true, new("", "胸水", "双侧胸腔积液。")).await.unwrap();
        let batch = || vec![new("fjj", "肺结节", "新"), new("", "胸水", "双侧胸腔积液。"), new("", "气胸", "左侧气胸。")];
        let done = reporting::import_phrases(&site.db, &permit, true, batch()).await.unwrap();
        assert_eq!(done, Imported { added: 1, changed: 1, same: 1 });
        let again = reporting::import_phrases(&site.db, &permit, true, batch()).await.unwrap();
        assert_eq!(again, Imported { added: 0, changed: 0, same: 3 });
        let bad = vec![new("", "好", "好"), new("", "", "坏")];
        assert_eq!(reporting::import_phrases(&site.db, &permit, true, bad).await.unwrap_err().code(), "report.invalid");
        let texts: Vec<String> = site.shelf(&who, false).await.into_iter().map(|p| p.content.text).collect();
        assert_eq!(texts, ["新", "双侧胸腔积液。", "左侧气胸。"]);
    }
}
