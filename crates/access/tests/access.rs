#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mingying_access::{
    Access, AccessError, AuditFilter, ChainBreak, ManageUsers, NewSession, NewToken, NewUser, Outcome, ReadAudit,
    ReadUsers, Sealer, SecretKey, Settings, SignIn, UseOwnSession, User, UserChange, audit, audit_denied, audit_lag,
    audit_read, code_at, issue_token, list_audit, verify_chain,
};
use mingying_db::{Db, params};
use mingying_kernel::{Actor, ActorKind, Clock, ManualClock, OrgId, Role, Scope, SharedClock};
use mingying_testkit::on_both;
use std::sync::Arc;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery";

struct Fixture {
    access: Access,
    clock: Arc<ManualClock>,
    db: Db,
}

fn fixture(db: Db, require: bool) -> Fixture {
    let clock = mingying_testkit::clock();
    let shared: SharedClock = clock.clone();
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    let settings = Settings { require_second_factor: require, ..Settings::default() };
    Fixture { access: Access::new(db.clone(), shared, key, settings), clock, db }
}

impl Fixture {
    async fn user(&self, username: &str, roles: &[Role], demo: bool) -> User {
        let permit = self.access.system("test").permit::<ManageUsers>().unwrap();
        let new = NewUser {
            username: username.into(),
            name: username.to_uppercase(),
            password: PASSWORD.into(),
            roles: roles.to_vec(),
            demo,
            org: None,
        };
        self.access.create_user(&permit, new).await.unwrap()
    }

    async fn try_sign_in(&self, username: &str, password: &str, code: Option<&str>) -> Result<NewSession, AccessError> {
        self.from("10.0.0.1", username, password, code).await
    }

    async fn from(
        &self,
        address: &str,
        username: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<NewSession, AccessError> {
        self.access.sign_in(SignIn { username, password, code, address }).await
    }

    async fn audit_rows(&self, action: &str, outcome: &str) -> u64 {
        let sql = "SELECT COUNT(*) AS n FROM audit WHERE action = $1 AND outcome = $2";
        self.db.query_one(sql, params![action, outcome]).await.unwrap().get("n").unwrap()
    }
}

on_both! {
    async fn signs_in_and_out(db: Db) {
        let f = fixture(db, false);
        f.user("gu.yan", &[Role::Radiologist], false).await;
        let new = f.try_sign_in(" Gu.Yan ", PASSWORD, None).await.unwrap();
        let session = f.access.session(&new.token).await.unwrap();
        assert_eq!(session.user.username, "gu.yan");
        assert!(Access::csrf_fits(&session, &new.signed_in.csrf));
        assert!(!Access::csrf_fits(&session, "x") && !Access::csrf_fits(&session, ""));
        let ctx = f.access.ctx_of(&session, "web");
        assert_eq!(ctx.actor().roles, [Role::Radiologist]);
        // Only the hash is in the database.
        let row = f.db.query_one("SELECT token_hash FROM sessions", params![]).await.unwrap();
        assert_ne!(row.get::<String>("token_hash").unwrap(), new.token);
        f.access.sign_out(&ctx, session.session).await.unwrap();
        assert!(matches!(f.access.session(&new.token).await, Err(AccessError::NotSignedIn)));
        assert!(matches!(f.access.session("nonsense").await, Err(AccessError::NotSignedIn)));
        assert_eq!(f.audit_rows("session.sign_in", "done").await, 1);
        assert_eq!(f.audit_rows("session.sign_out", "done").await, 1);
    }

    async fn sessions_end_by_idleness_and_age(db: Db) {
        let f = fixture(db, false);
        f.user("gu.yan", &[Role::Radiologist], false).await;
        let idle = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let busy = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let mut hours = 0;
        for _ in 0..23 {
            f.clock.advance(Duration::from_mins(30));
            hours += 1;
            assert!(f.access.session(&busy.token).await.is_ok(), "half-hour {hours}");
        }
        assert!(f.access.session(&idle.token).await.is_err());
        f.clock.advance(Duration::from_mins(31));
        assert!(f.access.session(&busy.token).await.is_err(), "no session outlives its absolute end");
    }

    async fn failures_are_alike_and_throttled(db: Db) {
        let f = fixture(db, false);
        let user = f.user("gu.yan", &[Role::Radiologist], false).await;
        let permit = f.access.system("test").permit::<ManageUsers>().unwrap();
        f.user("gone", &[Role::Nurse], false).await;
        let read = f.access.system("test").permit::<ReadUsers>().unwrap();
        let gone = f.access.find_user(&read, "gone").await.unwrap();
        f.access.change_user(&permit, gone.id, UserChange { active: Some(false), ..Default::default() }).await.unwrap();
        for (name, password) in [("gu.yan", "wrong wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("", "")] {
            assert!(matches!(f.try_sign_in(name, password, None).await, Err(AccessError::LoginFailed)), "{name}");
        }
        // Per account, whether it exists or not, from anywhere.
        for name in ["gu.yan", "nobody"] {
            for i in 0..5 {
                let result = f.from(&format!("10.1.0.{i}"), name, "wrong wrong", None).await;
                assert!(matches!(result, Err(AccessError::LoginFailed)), "{name} {i}");
            }
            let right = f.from("10.2.0.1", name, PASSWORD, None).await;
            assert!(matches!(right, Err(AccessError::Throttled { retry_seconds: 1..=3 })), "{name}");
        }
        f.clock.advance(Duration::from_secs(3));
        assert!(f.from("10.2.0.1", "gu.yan", PASSWORD, None).await.is_ok());
        // Success forgets the account's failures.
        assert!(matches!(f.from("10.2.0.1", "gu.yan", "wrong wrong", None).await, Err(AccessError::LoginFailed)));
        assert!(f.from("10.2.0.1", "gu.yan", PASSWORD, None).await.is_ok());
        // Refusals are in the audit log, under the account where there is one, never under a typed name.
        let rows = f.db.query("SELECT object_id, detail FROM audit WHERE outcome = 'failed'", params![]).await.unwrap();
        assert!(rows.iter().any(|row| row.get::<String>("object_id").unwrap() == user.id.to_string()));
        assert!(rows.iter().all(|row| !row.get::<String>("detail").unwrap().contains("nobody")));
    }

    async fn an_address_that_guesses_names_is_throttled(db: Db) {
        let f = fixture(db, false);
        f.user("gu.yan", &[Role::Radiologist], false).await;
        for i in 0..21 {
            let result = f.from("10.9.9.9", &format!("guess{i}"), "wrong wrong", None).await;
            assert!(matches!(result, Err(AccessError::LoginFailed)), "{i}");
        }
        assert!(matches!(f.from("10.9.9.9", "gu.yan", PASSWORD, None).await, Err(AccessError::Throttled { .. })));
        assert!(f.from("10.9.9.8", "gu.yan", PASSWORD, None).await.is_ok());
    }

    async fn second_factor_is_enrolled_asked_and_used_once(db: Db) {
        let f = fixture(db, true);
        f.user("gu.yan", &[Role::Radiologist], false).await;
        let new = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        assert!(new.signed_in.must_enrol);
        let ctx = f.access.ctx_of(&new.signed_in, "web");
        // Signed in, but nothing is allowed except completing the sign-in.
        assert!(ctx.permit::<ReadUsers>().is_err() && ctx.actor().roles.is_empty());
        let permit = ctx.permit::<UseOwnSession>().unwrap();
        assert!(matches!(
            f.access.confirm_factor(&permit, &new.signed_in, "000000").await,
            Err(AccessError::NotEnrolling)
        ));
        let enrolment = f.access.enrol_factor(&permit, &new.signed_in).await.unwrap();
        assert!(enrolment.uri.contains(&enrolment.secret) && enrolment.uri.starts_with("otpauth://totp/Mingying:gu.yan?"));
        let stored: Option<Vec<u8>> =
            f.db.query_one("SELECT totp_pending FROM users", params![]).await.unwrap().get("totp_pending").unwrap();
        assert!(stored.is_some_and(|bytes| bytes.len() > 20), "sealed, not plain");
        assert!(matches!(f.access.confirm_factor(&permit, &new.signed_in, "12345").await, Err(AccessError::WrongCode)));
        let code = code_at(&enrolment.secret, f.clock.now()).unwrap();
        f.access.confirm_factor(&permit, &new.signed_in, &code).await.unwrap();
        let session = f.access.session(&new.token).await.unwrap();
        assert!(!session.must_enrol && session.user.second_factor);
        assert!(matches!(f.access.remove_factor(&permit, &session).await, Err(AccessError::FactorRequired)));

        assert!(matches!(f.try_sign_in("gu.yan", PASSWORD, None).await, Err(AccessError::CodeRequired)));
        // The code that confirmed is used up (RFC 6238 5.2).
        assert!(matches!(f.try_sign_in("gu.yan", PASSWORD, Some(&code)).await, Err(AccessError::LoginFailed)));
        f.clock.advance(Duration::from_secs(30));
        let code = code_at(&enrolment.secret, f.clock.now()).unwrap();
        assert!(matches!(f.try_sign_in("gu.yan", "wrong wrong", Some(&code)).await, Err(AccessError::LoginFailed)));
        assert!(f.try_sign_in("gu.yan", PASSWORD, Some(&code)).await.is_ok());
        assert!(matches!(f.try_sign_in("gu.yan", PASSWORD, Some(&code)).await, Err(AccessError::LoginFailed)));
        // A lost telephone.
        let manage = f.access.system("test").permit::<ManageUsers>().unwrap();
        f.access.reset_factor(&manage, session.user.id).await.unwrap();
        f.clock.advance(Duration::from_hours(1));
        assert!(f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap().signed_in.must_enrol);
    }

    async fn demo_users_need_no_second_factor_and_no_rule(db: Db) {
        let f = fixture(db, true);
        let permit = f.access.system("test").permit::<ManageUsers>().unwrap();
        let new = NewUser {
            username: "nurse".into(),
            name: "护士".into(),
            password: "mingying-demo".into(),
            roles: vec![Role::Nurse],
            demo: true,
            org: None,
        };
        f.access.create_user(&permit, NewUser { demo: false, username: "n2".into(), ..new.clone() }).await.unwrap_err();
        f.access.create_user(&permit, new).await.unwrap();
        assert!(mingying_access::has_demo_users(&f.db).await.unwrap());
        assert!(!f.try_sign_in("nurse", "mingying-demo", None).await.unwrap().signed_in.must_enrol);
    }

    async fn changed_rights_end_sessions(db: Db) {
        let f = fixture(db, false);
        let user = f.user("gu.yan", &[Role::Trainee], false).await;
        let permit = f.access.system("test").permit::<ManageUsers>().unwrap();
        let new = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let rename = UserChange { name: Some("顾言".into()), ..Default::default() };
        f.access.change_user(&permit, user.id, rename).await.unwrap();
        assert!(f.access.session(&new.token).await.is_ok());
        let promote = UserChange { roles: Some(vec![Role::Radiologist]), ..Default::default() };
        let changed = f.access.change_user(&permit, user.id, promote).await.unwrap();
        assert_eq!(changed.roles, [Role::Radiologist]);
        assert!(f.access.session(&new.token).await.is_err());
        // The own password: this session stays, the others end.
        let here = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let there = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let own = f.access.ctx_of(&here.signed_in, "web").permit::<UseOwnSession>().unwrap();
        let signed_in = &here.signed_in;
        assert!(matches!(
            f.access.change_own_password(&own, signed_in, "wrong", "another long one").await,
            Err(AccessError::OldPassword)
        ));
        assert!(matches!(
            f.access.change_own_password(&own, signed_in, PASSWORD, "short").await,
            Err(AccessError::WeakPassword { .. })
        ));
        f.access.change_own_password(&own, signed_in, PASSWORD, "another long one").await.unwrap();
        assert!(f.access.session(&here.token).await.is_ok() && f.access.session(&there.token).await.is_err());
        assert!(f.try_sign_in("gu.yan", PASSWORD, None).await.is_err());
        assert!(f.try_sign_in("gu.yan", "another long one", None).await.is_ok());
    }

    async fn the_old_password_cannot_be_guessed(db: Db) {
        let f = fixture(db, false);
        f.user("gu.yan", &[Role::Trainee], false).await;
        let here = f.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let own = f.access.ctx_of(&here.signed_in, "web").permit::<UseOwnSession>().unwrap();
        let change = async |old: &str| f.access.change_own_password(&own, &here.signed_in, old, "another long one").await;
        for _ in 0..6 {
            assert!(matches!(change("wrong wrong").await, Err(AccessError::OldPassword)));
        }
        assert!(matches!(change(PASSWORD).await, Err(AccessError::Throttled { .. })));
        f.clock.advance(Duration::from_secs(5));
        change(PASSWORD).await.unwrap();
    }

    async fn an_administrator_stays(db: Db) {
        let f = fixture(db, false);
        let permit = f.access.system("test").permit::<ManageUsers>().unwrap();
        let first = f.user("first", &[Role::Admin], false).await;
        let off = UserChange { active: Some(false), ..Default::default() };
        assert!(matches!(f.access.change_user(&permit, first.id, off.clone()).await, Err(AccessError::LastAdmin)));
        let demote = UserChange { roles: Some(vec![Role::Nurse]), ..Default::default() };
        assert!(matches!(f.access.change_user(&permit, first.id, demote).await, Err(AccessError::LastAdmin)));
        f.user("second", &[Role::Admin, Role::Engineer], false).await;
        f.access.change_user(&permit, first.id, off).await.unwrap();
        let twice = f.access.create_user(&permit, NewUser {
            username: "SECOND".into(), name: "x".into(), password: PASSWORD.into(), roles: vec![Role::Nurse],
            demo: false, org: None,
        }).await;
        assert!(matches!(twice, Err(AccessError::NameTaken)));
        let machine = UserChange { roles: Some(vec![Role::Machine]), ..Default::default() };
        assert!(matches!(
            f.access.change_user(&permit, first.id, machine).await,
            Err(AccessError::Invalid { field: "roles" })
        ));
    }

    async fn tokens_live_until_ended(db: Db) {
        let f = fixture(db, false);
        let manage = f.access.system("test").permit::<ManageUsers>().unwrap();
        let new = |subject: &str, role, expires_at| NewToken {
            name: "RIS".into(), subject: subject.into(), role, org: None, expires_at,
        };
        let soon = f.clock.now().plus(Duration::from_hours(1));
        let forever = f.access.create_token(&manage, new("HIS", Role::Machine, None)).await.unwrap();
        let short = f.access.create_token(&manage, new("CT", Role::Machine, Some(soon))).await.unwrap();
        let person = f.access.create_token(&manage, new("x", Role::Admin, None)).await;
        assert!(matches!(person, Err(AccessError::Invalid { field: "role" })));
        let actor = f.access.bearer(&forever.token).await.unwrap();
        assert_eq!((actor.id.as_str(), actor.roles.as_slice(), actor.kind), ("HIS", &[Role::Machine][..], ActorKind::Device));
        assert!(f.access.bearer(&short.token).await.is_ok());
        f.clock.advance(Duration::from_hours(2));
        assert!(f.access.bearer(&short.token).await.is_err());
        // A display's key is made in the display's own transaction.
        let mut tx = f.db.begin().await.unwrap();
        let display = issue_token(&mut tx, &manage, new("display-1", Role::Display, None)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(f.access.bearer(&display.token).await.unwrap().id, "display-1");
        assert_eq!(f.access.end_tokens(&manage, "display-1").await.unwrap(), 1);
        assert!(f.access.bearer(&display.token).await.is_err());
        f.access.end_tokens(&manage, "HIS").await.unwrap();
        assert!(f.access.bearer(&forever.token).await.is_err());
        assert!(matches!(f.access.end_tokens(&manage, "HIS").await, Err(AccessError::TokenNotFound)));
    }

    async fn what_ends_here_ends_at_once_and_elsewhere_within_a_second(db: Db) {
        let here = fixture(db.clone(), false);
        // Another node on the same database, by the same clock.
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let shared: SharedClock = here.clock.clone();
        let there = Access::new(db, shared, key, here.access.settings().clone());
        let manage = here.access.system("test").permit::<ManageUsers>().unwrap();
        let new = NewToken { name: "RIS".into(), subject: "HIS".into(), role: Role::Machine, org: None, expires_at: None };
        let token = here.access.create_token(&manage, new).await.unwrap().token;
        let user = here.user("gu.yan", &[Role::Trainee], false).await;
        let ended = here.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let disabled = here.try_sign_in("gu.yan", PASSWORD, None).await.unwrap();
        let known = async |access: &Access| {
            let [ended, disabled] = [access.session(&ended.token).await, access.session(&disabled.token).await];
            [access.bearer(&token).await.is_ok(), ended.is_ok(), disabled.is_ok()]
        };
        assert_eq!((known(&here.access).await, known(&there).await), ([true; 3], [true; 3]));

        here.access.end_tokens(&manage, "HIS").await.unwrap();
        assert_eq!(known(&here.access).await, [false, true, true]);
        let ctx = here.access.ctx_of(&ended.signed_in, "web");
        here.access.sign_out(&ctx, ended.signed_in.session).await.unwrap();
        assert_eq!(known(&here.access).await, [false, false, true]);
        let off = UserChange { active: Some(false), ..Default::default() };
        here.access.change_user(&manage, user.id, off).await.unwrap();
        assert_eq!(known(&here.access).await, [false; 3]);

        // The other node still believes what it was told a moment ago, and no longer than that.
        assert_eq!(known(&there).await, [true; 3]);
        here.clock.advance(Duration::from_millis(999));
        assert_eq!(known(&there).await, [true; 3]);
        here.clock.advance(Duration::from_millis(1));
        assert_eq!(known(&there).await, [false; 3]);
    }

    async fn people_of_another_organization_are_not_found(db: Db) {
        let f = fixture(db, false);
        let user = f.user("gu.yan", &[Role::Nurse], false).await;
        let actor = Actor {
            kind: ActorKind::User,
            id: "a".into(),
            name: String::new(),
            roles: vec![Role::Admin],
            org: Some(OrgId::new()),
        };
        let ctx = f.access.ctx(actor, "test");
        let (read, manage) = (ctx.permit::<ReadUsers>().unwrap(), ctx.permit::<ManageUsers>().unwrap());
        assert!(f.access.list_users(&read).await.unwrap().is_empty());
        let change = UserChange { active: Some(false), ..Default::default() };
        assert!(matches!(f.access.change_user(&manage, user.id, change).await, Err(AccessError::UserNotFound)));
    }

    async fn the_chain_shows_tampering(db: Db) {
        let f = fixture(db, false);
        let ctx = f.access.system("test");
        let write = async |n: u32| {
            for i in 0..n {
                let mut tx = f.db.begin().await.unwrap();
                audit(&mut tx, &ctx, "test.act", "thing", &i.to_string(), Outcome::Done, "").await.unwrap();
                tx.commit().await.unwrap();
            }
        };
        let sealer = Sealer::new(&f.access);
        assert_eq!(sealer.seal_once().await.unwrap(), 0);
        write(7).await;
        f.clock.advance(Duration::from_secs(2));
        let lag = audit_lag(&f.db, f.clock.now()).await.unwrap();
        assert_eq!((lag.rows, lag.sealed, lag.lag), (7, 0, Duration::from_secs(2)));
        assert_eq!(sealer.seal_once().await.unwrap(), 7);
        // A second process has to wait for the lease, and takes over when it ends.
        let other = Sealer::new(&f.access);
        write(2).await;
        assert_eq!(other.seal_once().await.unwrap(), 0);
        f.clock.advance(Duration::from_secs(11));
        assert_eq!(other.seal_once().await.unwrap(), 2);
        assert_eq!(sealer.seal_once().await.unwrap(), 0);
        let good = verify_chain(&f.db).await.unwrap();
        assert_eq!((good.sealed, good.first_break), (9, None));
        let lag = audit_lag(&f.db, f.clock.now()).await.unwrap();
        assert_eq!((lag.rows, lag.sealed, lag.lag), (9, 9, Duration::ZERO));

        let broken = async || verify_chain(&f.db).await.unwrap().first_break;
        let third = "(SELECT audit_id FROM audit_seals WHERE seq = 3)";
        let run = async |sql: String| f.db.execute(mingying_db::AssertSqlSafe(sql), params![]).await.unwrap();
        run(format!("UPDATE audit SET actor_id = 'nobody' WHERE id = {third}")).await;
        assert_eq!(broken().await, Some(ChainBreak::Changed { seq: 3 }));
        run(format!("UPDATE audit SET actor_id = 'test' WHERE id = {third}")).await;
        assert_eq!(broken().await, None);
        // A row that never went through the queue.
        run("INSERT INTO audit SELECT 'forged', at, actor_kind, actor_id, source, request_id, action, object_kind, \
             object_id, outcome, detail FROM audit WHERE id = (SELECT audit_id FROM audit_seals WHERE seq = 1)".to_owned()).await;
        assert_eq!(broken().await, Some(ChainBreak::Unsealed { rows: 1 }));
        run("DELETE FROM audit WHERE id = 'forged'".to_owned()).await;
        run(format!("DELETE FROM audit WHERE id = {third}")).await;
        assert_eq!(broken().await, Some(ChainBreak::RowMissing { seq: 3 }));
        run("DELETE FROM audit_seals WHERE seq = 3".to_owned()).await;
        assert_eq!(broken().await, Some(ChainBreak::SealMissing { seq: 3 }));
    }

    async fn cutting_the_end_off_shows(db: Db) {
        let f = fixture(db, false);
        let permit = f.access.system("test").permit::<ReadUsers>().unwrap();
        for i in 0..3 {
            audit_read(&f.db, &permit, "patient", &i.to_string()).await.unwrap();
        }
        Sealer::new(&f.access).seal_once().await.unwrap();
        f.db.execute("DELETE FROM audit_seals WHERE seq = 3", params![]).await.unwrap();
        assert_eq!(verify_chain(&f.db).await.unwrap().first_break, Some(ChainBreak::Unsealed { rows: 1 }));
    }

    async fn the_log_is_read_page_by_page(db: Db) {
        let f = fixture(db, false);
        let ctx = f.access.system("test");
        for i in 0..5_u64 {
            let permit = ctx.permit::<ReadUsers>().unwrap();
            audit_read(&f.db, &permit, "patient", &i.to_string()).await.unwrap();
            f.clock.advance(Duration::from_secs(1));
        }
        audit_denied(&f.db, &ctx, "report.read", "http").await.unwrap();
        let permit = ctx.permit::<ReadAudit>().unwrap();
        assert_eq!(permit.scope(), Scope::All);
        let mut filter =
            AuditFilter { object_kind: Some("patient".into()), limit: 2, ..AuditFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = list_audit(&f.db, &permit, &filter).await.unwrap();
            seen.extend(page.rows.iter().map(|row| row.object_id.clone()));
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["4", "3", "2", "1", "0"]);
        // Reading the log stands in the log.
        assert_eq!(f.audit_rows("audit.read", "done").await, 1);
        assert_eq!(f.audit_rows("report.read", "denied").await, 1);
    }

    async fn the_organization_is_kept(db: Db) {
        use mingying_access::{Campus, Department, DepartmentKind, Org, department, org_tree, put_campus, put_department, put_org};
        use mingying_kernel::{CampusId, DepartmentId};
        assert!(org_tree(&db, Scope::All).await.unwrap().is_none());
        let mut org = Org { id: OrgId::new(), name: "明影医院".into(), name_en: "Mingying".into() };
        let campus = Campus {
            id: CampusId::new(), org: org.id, code: "MAIN".into(), name: "主院区".into(), name_en: "Main".into(),
        };
        let place = Department {
            id: DepartmentId::new(), org: org.id, campus: campus.id, code: "RAD".into(), name: "放射科".into(),
            name_en: "Radiology".into(), kind: DepartmentKind::Imaging,
        };
        for name in ["明影医院", "明影总医院"] {
            org.name = name.into();
            let mut tx = db.begin().await.unwrap();
            put_org(&mut tx, &org).await.unwrap();
            put_campus(&mut tx, &campus).await.unwrap();
            put_department(&mut tx, &place).await.unwrap();
            tx.commit().await.unwrap();
        }
        let tree = org_tree(&db, Scope::All).await.unwrap().unwrap();
        assert_eq!((&tree.org, &tree.campuses[..], &tree.departments[..]), (&org, &[campus][..], &[place.clone()][..]));
        assert_eq!(department(&db, place.id, Scope::Org(org.id)).await.unwrap(), place);
        assert!(matches!(
            department(&db, place.id, Scope::Org(OrgId::new())).await,
            Err(AccessError::DepartmentNotFound)
        ));
    }
}
