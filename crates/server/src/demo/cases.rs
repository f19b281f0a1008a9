//! Exams in every state: yesterday's are reported, this morning's are read, some patients wait, some come tomorrow.

use super::cast::{Cast, minutes};
use super::images::Images;
use super::phantom::Subject;
use super::{ORG, places, said};
use crate::{Config, ServerError};
use jiff::civil::time;
use mingying_archive::StoreStudy;
use mingying_exam::PerformExam;
use mingying_flow::{Arrival, CallPatients, CheckIn, Mode};
use mingying_http::App;
use mingying_kernel::{DeviceId, OrderId, PatientId, Role, Timestamp};
use mingying_orders::{
    AcceptOrder, CancelOrder, CreateOrder, ExamState, NewItem, NewOrder, Order, Priority, Side, Special, VisitClass,
};
use mingying_patients::ReadPatients;
use mingying_reporting::{AuditReport, DraftReport, Text};
use mingying_scheduling::BookAppointment;

/// How far a case has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    /// A required field is missing: a clerk must look.
    Ordered,
    Returned,
    Accepted,
    Cancelled,
    /// Tomorrow.
    Scheduled,
    Waiting,
    Called,
    InRoom,
    InProgress,
    Discontinued,
    Imaged,
    Redo,
    Completed,
    TraineeDraft,
    Initial,
    Rejected,
    Final,
}

/// One line of the script.
struct Case {
    /// Index in the list of patients.
    patient: usize,
    item: &'static str,
    aet: &'static str,
    goal: Goal,
    /// Minutes before now when it was registered; days for the past.
    minutes_ago: i64,
    priority: Priority,
    class: VisitClass,
    /// Slices of a computed series; 0 means no images (ultrasound on a device without export).
    slices: usize,
    finding: usize,
}

/// Diagnosis, purpose, findings, impression.
const STORIES: [(&str, &str, &str, &str); 11] = [
    (
        "咳嗽待查",
        "排除肺部感染",
        "胸廓对称。右肺上叶见一磨玻璃结节，直径约6 mm，边界清楚。余肺野未见明显实变。纵隔内未见肿大淋巴结。双侧胸腔未见积液。",
        "右肺上叶磨玻璃结节，建议6个月后复查。",
    ),
    (
        "体检",
        "常规检查",
        "双肺纹理清晰，肺野未见实质性病变。双肺门影不大。心影大小、形态正常。双膈面光整，肋膈角锐利。",
        "胸部未见明显异常。",
    ),
    (
        "头痛待查",
        "排除颅内病变",
        "双侧大脑半球对称，脑实质内未见异常密度或信号。脑室系统大小、形态正常，中线结构居中。",
        "头颅未见明显异常。",
    ),
    (
        "肺炎复查",
        "对比前片",
        "左肺下叶见斑片状密度增高影，较前吸收，边缘模糊。余肺野清晰。双侧胸腔未见积液。",
        "左肺下叶炎症，较前吸收。",
    ),
    (
        "腹痛待查",
        "排除急腹症",
        "肝脏大小、形态正常，实质密度均匀。胆囊不大，壁不厚。胰腺、脾脏未见异常。双肾未见积水。腹膜后未见肿大淋巴结。",
        "上腹部未见明显异常。",
    ),
    (
        "外伤",
        "排除骨折",
        "所见诸骨骨质未见明显骨折征象，关节在位，关节间隙未见狭窄。周围软组织稍肿胀。",
        "未见明显骨折征象。",
    ),
    (
        "甲状腺结节",
        "随访复查",
        "甲状腺大小、形态正常，包膜光整。右叶见一低回声结节，大小约5 mm，边界清楚，内未见明显血流信号。颈部未见肿大淋巴结。",
        "甲状腺右叶结节，建议随访。",
    ),
    (
        "腰痛待查",
        "排除椎间盘突出",
        "腰椎生理曲度存在，椎体形态、信号未见异常。腰4/5椎间盘轻度向后突出，硬膜囊轻度受压。椎管未见狭窄。",
        "腰4/5椎间盘轻度突出。",
    ),
    (
        "乳腺普查",
        "常规检查",
        "双乳腺体结构清晰，未见明显肿块及异常钙化。双侧腋窝未见肿大淋巴结。",
        "双乳未见明显异常。",
    ),
    ("盆腔不适", "排除占位", "盆腔脏器大小、形态正常，未见明显占位。盆腔未见积液及肿大淋巴结。", "盆腔未见明显异常。"),
    (
        "心悸待查",
        "评估心功能",
        "各房室腔大小正常，室壁运动协调，瓣膜形态、启闭未见异常。心包腔未见积液。",
        "心脏结构及功能未见明显异常。",
    ),
];

fn case(patient: usize, item: &'static str, aet: &'static str, goal: Goal, minutes_ago: i64) -> Case {
    let images = matches!(item.split('-').next(), Some("CT" | "CTA" | "MR" | "MRA" | "DX"));
    let finding = match item {
        "CT-HEAD" | "MR-HEAD" | "CT-HEAD-C" | "MR-PIT" => 2,
        "CT-ABD" | "CT-ABD-C" | "US-ABD" | "RF-MEAL" => 4,
        "DX-KNEE" | "DX-ANKLE" | "DX-HAND" | "DX-PELVIS" | "MR-KNEE" => 5,
        "DX-CHEST" | "PT-WHOLE" => 1,
        "US-THY" => 6,
        "MR-LSPINE" => 7,
        "US-BREAST" | "MG-BOTH" => 8,
        "US-GYN" | "MR-PROST" => 9,
        "US-HEART" => 10,
        _ => patient % 2 * 3,
    };
    Case {
        patient,
        item,
        aet,
        goal,
        minutes_ago,
        priority: Priority::Routine,
        class: VisitClass::Outpatient,
        slices: if images { 16 } else { 0 },
        finding,
    }
}

const DAY: i64 = 24 * 60;

fn script() -> Vec<Case> {
    use Goal::{
        Accepted, Called, Cancelled, Completed, Discontinued, Final, Imaged, InProgress, InRoom, Initial, Ordered,
        Redo, Rejected, Returned, Scheduled, TraineeDraft, Waiting,
    };
    let mut all = Vec::new();
    // The last days: done and signed. Some of these patients come again today, with priors.
    let past: [(usize, &str, &str); 14] = [
        (0, "CT-CHEST", "CT01"),
        (1, "DX-CHEST", "DR01"),
        (2, "MR-HEAD", "MR01"),
        (3, "CT-HEAD", "CT02"),
        (4, "DX-KNEE", "DR02"),
        (5, "CT-ABD", "CT01"),
        (6, "US-ABD", "US01"),
        (7, "DX-CHEST", "DR03"),
        (8, "CT-CHEST", "CT03"),
        (9, "MR-LSPINE", "MR02"),
        (10, "US-THY", "US02"),
        (11, "DX-HAND", "DR04"),
        (12, "CT-CHEST-C", "CT01"),
        (13, "DX-ANKLE", "DR01"),
    ];
    for (index, (patient, item, aet)) in past.into_iter().enumerate() {
        let days = (13 - index as i64) / 3 + 1;
        all.push(case(patient, item, aet, Final, days * DAY + index as i64 * 35 % 400));
    }
    // Today: read and being read.
    all.push(Case { slices: 60, ..case(0, "CT-CHEST", "CT01", Completed, 170) });
    all.push(Case {
        priority: Priority::Emergency,
        class: VisitClass::Emergency,
        ..case(20, "CT-HEAD", "CT01", Completed, 95)
    });
    all.push(Case { class: VisitClass::Inpatient, ..case(2, "MR-HEAD", "MR01", Completed, 160) });
    all.push(case(21, "DX-CHEST", "DR01", Completed, 150));
    all.push(case(22, "DX-KNEE", "DR02", Completed, 140));
    all.push(Case {
        priority: Priority::Urgent,
        class: VisitClass::Inpatient,
        ..case(23, "CT-ABD-C", "CT02", Completed, 130)
    });
    all.push(case(24, "CT-CHEST", "CT03", Completed, 120));
    all.push(Case { class: VisitClass::Checkup, ..case(25, "DX-CHEST", "DR07", Completed, 110) });
    all.push(case(26, "CT-CHEST", "CT02", TraineeDraft, 210));
    all.push(case(27, "CT-CHEST", "CT01", Initial, 240));
    all.push(case(28, "DX-CHEST", "DR02", Initial, 230));
    all.push(case(29, "MR-HEAD", "MR02", Initial, 250));
    all.push(case(30, "CT-HEAD", "CT03", Rejected, 270));
    all.push(case(31, "DX-CHEST", "DR03", Final, 300));
    all.push(case(32, "CT-CHEST", "CT01", Final, 310));
    all.push(case(33, "US-ABD", "US01", Final, 290));
    // In the rooms.
    all.push(case(34, "CT-CHEST", "CT01", Imaged, 60));
    all.push(case(35, "DX-PELVIS", "DR01", Redo, 70));
    all.push(case(36, "MR-KNEE", "MR01", InProgress, 55));
    all.push(case(37, "CT-ABD-C", "CT02", Discontinued, 80));
    all.push(case(38, "US-THY", "US02", InRoom, 40));
    all.push(case(39, "CT-CHEST", "CT03", Called, 35));
    // Waiting.
    let waiting: [(usize, &str, &str); 14] = [
        (40, "CT-CHEST", "CT01"),
        (41, "CT-HEAD", "CT01"),
        (42, "CT-ABD-C", "CT01"),
        (43, "CT-CHEST-C", "CT02"),
        (44, "MR-HEAD", "MR01"),
        (45, "MR-LSPINE", "MR01"),
        (46, "DX-CHEST", "DR01"),
        (47, "DX-KNEE", "DR01"),
        (48, "DX-HAND", "DR02"),
        (49, "US-ABD", "US01"),
        (50, "US-THY", "US01"),
        (56, "US-BREAST", "US02"),
        (52, "MG-BOTH", "MG01"),
        (53, "CT-CHEST", "CT03"),
    ];
    for (index, (patient, item, aet)) in waiting.into_iter().enumerate() {
        all.push(case(patient, item, aet, Waiting, 50 - index as i64 * 3));
    }
    all.push(Case {
        priority: Priority::Emergency,
        class: VisitClass::Emergency,
        ..case(54, "CT-HEAD", "CT01", Waiting, 6)
    });
    // At the desk.
    for (patient, item, aet) in [
        (60, "CT-CHEST", "CT01"),
        (61, "MR-HEAD", "MR01"),
        (62, "US-ABD", "US01"),
        (63, "DX-CHEST", "DR01"),
        (194, "US-BREAST", "US01"),
    ] {
        all.push(case(patient, item, aet, Accepted, 30));
    }
    all.push(case(64, "CT-CHEST", "CT01", Ordered, 25));
    all.push(case(65, "MR-PIT", "MR01", Ordered, 20));
    all.push(case(66, "CT-HEAD", "CT01", Returned, 45));
    all.push(case(68, "US-GYN", "US03", Cancelled, 65));
    // Tomorrow.
    for (index, (patient, item, aet)) in [
        (70, "CT-CHEST", "CT01"),
        (71, "CT-ABD-C", "CT01"),
        (72, "CT-CHEST-C", "CT02"),
        (73, "MR-HEAD", "MR01"),
        (69, "MR-PROST", "MR01"),
        (75, "US-ABD", "US01"),
        (76, "US-HEART", "US06"),
        (82, "MG-BOTH", "MG01"),
        (78, "RF-MEAL", "RF01"),
        (79, "PT-WHOLE", "PT01"),
        (195, "CT-CHEST", "CT01"),
    ]
    .into_iter()
    .enumerate()
    {
        all.push(case(patient, item, aet, Scheduled, 15 + index as i64));
    }
    all
}

/// Plays the whole script.
pub(super) async fn seed(app: &App, config: &Config, cast: &Cast, patients: &[PatientId]) -> Result<(), ServerError> {
    let mut play = Play { app, cast, images: Images::find(config), now: app.clock.now(), booked: 0 };
    for case in script() {
        let Some(patient) = patients.get(case.patient).copied() else { continue };
        play.case(&case, patient).await?;
    }
    Ok(())
}

struct Play<'a> {
    app: &'a App,
    cast: &'a Cast,
    images: Images,
    now: Timestamp,
    booked: i8,
}

impl Play<'_> {
    async fn case(&mut self, case: &Case, patient: PatientId) -> Result<(), ServerError> {
        let begun = minutes(self.now, -case.minutes_ago);
        let order = self.order(case, patient, begun).await?;
        let device = places::device(case.aet);
        match case.goal {
            Goal::Ordered | Goal::Accepted => return Ok(()),
            Goal::Returned => return self.send_back(&order, begun).await,
            Goal::Cancelled => return self.cancel(&order, begun).await,
            Goal::Scheduled => return self.book(&order, device, begun).await,
            _ => {}
        }
        if !self.receive(case, &order, device, begun).await? || case.goal <= Goal::InRoom {
            return Ok(());
        }
        self.perform(case, &order, device, begun).await?;
        if case.goal >= Goal::TraineeDraft {
            self.report(case, order.id, begun).await?;
        }
        Ok(())
    }

    async fn order(&self, case: &Case, patient: PatientId, at: Timestamp) -> Result<Order, ServerError> {
        let story = STORIES.get(case.finding).copied().unwrap_or(("", "", "", ""));
        let side = matches!(case.item, "DX-KNEE" | "DX-ANKLE" | "DX-HAND" | "MR-KNEE" | "MG-ONE").then_some(Side::Left);
        let mut new = NewOrder::for_patient(patient);
        new.items = vec![NewItem { catalogue_id: self.catalogue_id(case.item).await?, side }];
        new.priority = case.priority;
        new.visit_class = case.class;
        new.department = if case.class == VisitClass::Emergency { "急诊科" } else { "呼吸内科" }.to_owned();
        new.physician = "程安".to_owned();
        new.diagnosis = if case.goal == Goal::Ordered { String::new() } else { story.0.to_owned() };
        new.purpose = story.1.to_owned();
        new.history = "示例病史：症状一周。".to_owned();
        if case.patient % 13 == 4 {
            new.special.push(Special::Fasting);
        }
        if case.patient == 43 {
            new.special.push(Special::Mdro);
        }
        let role = if case.patient.is_multiple_of(3) { Role::Clinician } else { Role::Registrar };
        let permit = self.cast.at(role, at).permit::<CreateOrder>()?;
        mingying_orders::create(&self.app.db, &permit, new).await.map_err(said)
    }

    /// Ids of catalogue items are given when they are made.
    async fn catalogue_id(&self, code: &str) -> Result<String, ServerError> {
        let mut tx = self.app.db.begin().await?;
        let item = mingying_orders::catalogue_by_code(&mut tx, ORG, code).await.map_err(said)?;
        tx.rollback().await?;
        Ok(item.id)
    }

    async fn send_back(&self, order: &Order, begun: Timestamp) -> Result<(), ServerError> {
        if order.state == ExamState::Ordered || order.state == ExamState::Accepted {
            let permit = self.cast.at(Role::Registrar, minutes(begun, 4)).permit::<AcceptOrder>()?;
            // An order that the automatic check accepted can no longer go back everywhere.
            if let Err(error) = mingying_orders::return_order(&self.app.db, &permit, order.id, "请补充临床诊断").await
            {
                tracing::debug!(%error, "demonstration order stays accepted");
            }
        }
        Ok(())
    }

    async fn cancel(&self, order: &Order, begun: Timestamp) -> Result<(), ServerError> {
        let permit = self.cast.at(Role::Registrar, minutes(begun, 10)).permit::<CancelOrder>()?;
        let mut tx = self.app.db.begin().await?;
        mingying_flow::withdraw(&mut tx, &permit, order.id, "患者要求取消").await.map_err(said)?;
        tx.commit().await?;
        Ok(())
    }

    async fn book(&mut self, order: &Order, device: DeviceId, begun: Timestamp) -> Result<(), ServerError> {
        let permit = self.cast.at(Role::Registrar, minutes(begun, 2)).permit::<BookAppointment>()?;
        let zone = &self.app.settings.zone;
        let tomorrow = self
            .now
            .to_jiff()
            .to_zoned(zone.clone())
            .date()
            .tomorrow()
            .map_err(|e| ServerError::Demo(e.to_string()))?;
        // Ten o'clock and every three quarters of an hour, so that no two bookings of one device meet.
        let minute = 45 * i32::from(self.booked);
        self.booked += 1;
        let wall = tomorrow.to_datetime(time(9 + (minute / 60) as i8, (minute % 60) as i8, 0, 0));
        let start = wall.to_zoned(zone.clone()).map_err(|e| ServerError::Demo(e.to_string()))?.timestamp();
        let start = Timestamp::from_micros(start.as_microsecond());
        mingying_scheduling::book(&self.app.db, &permit, order.id, device, start).await.map_err(said)?;
        Ok(())
    }

    /// Arrival, call, entrance, as far as the case goes. Whether the exam may begin.
    async fn receive(
        &self,
        case: &Case,
        order: &Order,
        device: DeviceId,
        begun: Timestamp,
    ) -> Result<bool, ServerError> {
        let mode = if case.priority == Priority::Emergency { Mode::Emergency } else { Mode::WalkIn };
        let reason = if mode == Mode::Emergency { "急诊" } else { "现场登记" };
        let arrival = Arrival { order: order.id, mode, device: Some(device), reason: Some(reason.to_owned()) };
        let permit = self.cast.at(Role::Registrar, minutes(begun, 5)).permit::<CheckIn>()?;
        let entry = mingying_flow::arrive(&self.app.db, &permit, arrival).await.map_err(said)?;
        if case.goal == Goal::Waiting {
            return Ok(false);
        }
        let permit = self.cast.at(Role::Tech, minutes(begun, 15)).permit::<CallPatients>()?;
        mingying_flow::call(&self.app.db, &permit, entry.id).await.map_err(said)?;
        if case.goal == Goal::Called {
            return Ok(false);
        }
        let permit = self.cast.at(Role::Tech, minutes(begun, 16)).permit::<CallPatients>()?;
        mingying_flow::enter(&self.app.db, &permit, entry.id).await.map_err(said)?;
        Ok(true)
    }

    async fn perform(
        &mut self,
        case: &Case,
        order: &Order,
        device: DeviceId,
        begun: Timestamp,
    ) -> Result<(), ServerError> {
        let db = &self.app.db;
        let tech = |after: i64| self.cast.at(Role::Tech, minutes(begun, after)).permit::<PerformExam>();
        mingying_exam::start(db, &tech(17)?, order.id, Some(device)).await.map_err(said)?;
        match case.goal {
            Goal::InProgress => return Ok(()),
            Goal::Discontinued => {
                return mingying_exam::discontinue(db, &tech(21)?, order.id, "患者不适").await.map_err(said);
            }
            _ => {}
        }
        if case.slices > 0 {
            self.acquire(case, order, begun).await?;
        }
        let (db, tech) =
            (&self.app.db, |after: i64| self.cast.at(Role::Tech, minutes(begun, after)).permit::<PerformExam>());
        match case.goal {
            Goal::Imaged => {
                let ctx = self.cast.at(Role::System, minutes(begun, 26));
                let permit = ctx.permit::<PerformExam>()?;
                mingying_exam::close_quiet(db, &permit, std::time::Duration::from_secs(1)).await.map_err(said)?;
                Ok(())
            }
            Goal::Redo => {
                mingying_exam::complete(db, &tech(28)?, order.id, None).await.map_err(said)?;
                mingying_exam::redo(db, &tech(29)?, order.id, "运动伪影").await.map_err(said)
            }
            _ => {
                let reason = (case.slices == 0).then_some("图像保存在设备上（示例）");
                mingying_exam::complete(db, &tech(28)?, order.id, reason).await.map_err(said)
            }
        }
    }

    /// The device sends its images and the study finds its order.
    async fn acquire(&mut self, case: &Case, order: &Order, begun: Timestamp) -> Result<(), ServerError> {
        let at = minutes(begun, 22);
        let ctx = self.cast.at(Role::System, at);
        let store = ctx.permit::<StoreStudy>()?;
        let patient = mingying_patients::load(&self.app.db, &ctx.permit::<ReadPatients>()?, order.patient.id)
            .await
            .map_err(said)?;
        let identifier = patient.primary_identifier();
        let latin = patient.name_latin.replace(' ', "^");
        let subject = Subject {
            name: mingying_dicom::PersonName::of_person(&patient.name, Some(&latin)).to_string(),
            id: identifier.map(|identifier| identifier.value.clone()).unwrap_or_default(),
            issuer: identifier.map(|identifier| identifier.issuer.clone()).unwrap_or_default(),
            birth_date: patient.birth_date.map(|date| date.strftime("%Y%m%d").to_string()).unwrap_or_default(),
            sex: match patient.sex {
                mingying_patients::Sex::Unknown => String::new(),
                sex => sex.to_string(),
            },
            accession: order.accession.to_string(),
            study_uid: order.study_uid.to_string(),
            description: order.title().1,
            station: case.aet.to_owned(),
            institution: "明影示范医院".to_owned(),
            at: at.to_jiff().to_zoned(self.app.settings.zone.clone()),
        };
        self.images.store(self.app, &store, &order.modality, case.slices, &subject).await?;
        let ctx = self.cast.at(Role::System, minutes(begun, 24));
        mingying_reading::match_study(&self.app.db, &self.app.archive, &ctx, &subject.study_uid).await.map_err(said)?;
        Ok(())
    }

    async fn report(&self, case: &Case, order: OrderId, begun: Timestamp) -> Result<(), ServerError> {
        let (db, settings) = (&self.app.db, &self.app.settings.reporting);
        let author = if case.goal == Goal::TraineeDraft { Role::Trainee } else { Role::Radiologist };
        let draft = |after: i64| self.cast.at(author, minutes(begun, after)).permit::<DraftReport>();
        let (_, _, findings, impression) = STORIES.get(case.finding).copied().unwrap_or(("", "", "", ""));
        let text = Text { findings: findings.to_owned(), impression: impression.to_owned(), advice: String::new() };
        let view = mingying_reporting::open(db, &draft(45)?, settings, order, false).await.map_err(said)?;
        let view = mingying_reporting::save_draft(db, &draft(52)?, settings, view.id, view.rev, text, None)
            .await
            .map_err(said)?;
        if case.goal == Goal::TraineeDraft && case.minutes_ago % 2 == 1 {
            return Ok(());
        }
        let view = mingying_reporting::submit(db, &draft(53)?, settings, view.id, view.rev).await.map_err(said)?;
        if case.goal < Goal::Rejected {
            return Ok(());
        }
        let senior = |after: i64| self.cast.at(Role::Senior, minutes(begun, after)).permit::<AuditReport>();
        if case.goal == Goal::Rejected {
            mingying_reporting::reject(db, &senior(70)?, settings, view.id, "请补充与前片对比").await.map_err(said)?;
            return Ok(());
        }
        let reason = Some("示例数据".to_owned());
        mingying_reporting::audit(db, &senior(75)?, settings, view.id, view.rev, reason).await.map_err(said)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mingying_patients::Sex;

    #[test]
    fn nobody_is_examined_for_what_the_other_sex_has() {
        let people = super::super::patients::people();
        for case in script() {
            let wanted = match case.item {
                "MR-PROST" => Sex::Male,
                "US-GYN" | "US-OB" | "US-BREAST" | "MG-BOTH" | "MG-ONE" => Sex::Female,
                _ => continue,
            };
            assert_eq!(people[case.patient].sex, Some(wanted), "{} of patient {}", case.item, case.patient);
        }
    }

    #[test]
    fn each_story_belongs_to_the_part_that_is_examined() {
        for case in script().iter().filter(|case| case.finding == 0 || case.finding == 3) {
            assert!(case.item.starts_with("CT-CHEST"), "{} would tell of lungs", case.item);
        }
    }
}
