//! What goes on paper, in the words of a Chinese hospital: from domain values to `print`'s documents. The one place
//! that knows both; the server's PDF worker uses it as well.

use async_trait::async_trait;
use jiff::tz::TimeZone;
use mingying_db::Db;
use mingying_jobs::Failure;
use mingying_kernel::{Coded, ErrorKind, OrderId, Permit, Scope, Timestamp};
use mingying_orders::{Order, OrderError, ReadOrders, Special, VisitClass};
use mingying_patients::Sex;
use mingying_print::{PatientLink, Printer, ReportDocument, Signature, SlipDocument, Stage};
use mingying_reporting::{Content, RenderReport};
use mingying_scheduling::SchedulingError;

/// What can keep a document from being made.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Scheduling(#[from] SchedulingError),
    #[error(transparent)]
    Db(#[from] mingying_db::DbError),
}

impl Coded for PaperError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Order(error) => error.kind(),
            Self::Scheduling(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Order(error) => error.code(),
            Self::Scheduling(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }
}

/// Draws reports for `mingying_reporting::StoreReports`.
pub struct PrintReports {
    pub db: Db,
    pub printer: Printer,
}

#[async_trait]
impl RenderReport for PrintReports {
    async fn render(&self, content: &Content) -> Result<Vec<u8>, Failure> {
        let document = report_document(&self.db, content, None).await?;
        Ok(self.printer.report_pdf(&document).await?)
    }
}

/// A report as it is printed. `link` is the address behind the QR code, where there is one.
pub async fn report_document(db: &Db, content: &Content, link: Option<String>) -> Result<ReportDocument, PaperError> {
    let order = &content.order;
    let scope = Scope::Org(order.org);
    let zone = mingying_scheduling::facility_zone(db, order.org).await?;
    let (hospital, hospital_en) = hospital(db, scope).await?;
    let step = mingying_scheduling::step_of(db, scope, order.id).await?;
    let examined = order.imaged_at.or(order.started_at).unwrap_or(order.created_at);
    let signature = |signed: &Option<(mingying_reporting::Author, Timestamp)>| {
        signed.as_ref().map(|(author, at)| Signature { name: author.name.clone(), at: minute(*at, &zone) })
    };
    Ok(ReportDocument {
        hospital,
        hospital_en,
        title: format!("{} 检查报告单", modality(&order.modality)),
        stage: if content.stage == mingying_reporting::Stage::Final { Stage::Final } else { Stage::Draft },
        version: content.version,
        replaced_by: content.replaced_by,
        patient_name: content.patient.name.clone(),
        sex: sex(content.patient.sex).to_owned(),
        age: age(order, examined, &zone),
        mrn: content.patient.mrn().unwrap_or_default().to_owned(),
        visit_class: visit_class(order.visit_class).to_owned(),
        department: order.department.clone(),
        physician: order.physician.clone(),
        accession: order.accession.to_string(),
        modality: order.modality.clone(),
        items: items(order),
        device: step.map(|step| step.station_aet.to_string()).unwrap_or_default(),
        exam_date: minute(examined, &zone),
        report_date: minute(content.at, &zone),
        diagnosis: order.diagnosis.clone(),
        findings: content.text.findings.clone(),
        impression: content.text.impression.clone(),
        advice: content.text.advice.clone(),
        author: signature(&content.author),
        auditor: signature(&content.auditor),
        hash: content.hash.get(..12).unwrap_or_default().to_owned(),
        link: link.map(|url| PatientLink { url, caption: "扫码查看报告与影像".to_owned() }),
        created_at: content.at,
    })
}

/// The slip of an order: with its appointment, or with the place alone where it has none.
pub async fn slip_document(
    db: &Db,
    permit: &Permit<ReadOrders>,
    order: OrderId,
    ticket: Option<String>,
) -> Result<SlipDocument, PaperError> {
    let order = mingying_orders::load(db, permit, order).await?;
    let scope = Scope::Org(order.org);
    let zone = mingying_scheduling::facility_zone(db, order.org).await?;
    let (hospital, hospital_en) = hospital(db, scope).await?;
    let booked = mingying_scheduling::appointment_of(db, scope, order.id).await?;
    let mut document = SlipDocument {
        hospital,
        hospital_en,
        patient_name: order.patient.name.clone(),
        sex: sex(order.patient.sex).to_owned(),
        age: age(&order, permit.now(), &zone),
        mrn: order.patient.mrn.clone().unwrap_or_default(),
        accession: order.accession.to_string(),
        items: items(&order),
        modality: order.modality.clone(),
        date: String::new(),
        time: String::new(),
        arrive_by: String::new(),
        ticket: ticket.unwrap_or_default(),
        place: String::new(),
        device: String::new(),
        preparation: preparation(db, permit, &order).await?,
        bring: ["身份证", "本单", "以往影像资料与报告"].map(str::to_owned).to_vec(),
        remarks: remarks(&order),
        phone: String::new(),
        code: order.accession.to_string(),
        printed_at: minute(permit.now(), &zone),
        created_at: permit.now(),
    };
    if let Some(row) = booked {
        let start = row.appointment.start.to_jiff().to_zoned(zone.clone());
        let weekday = ["一", "二", "三", "四", "五", "六", "日"]
            .get(usize::from(start.weekday().to_monday_zero_offset().unsigned_abs()))
            .copied()
            .unwrap_or_default();
        document.date = format!("{}（周{weekday}）", start.strftime("%Y-%m-%d"));
        document.time = start.strftime("%H:%M").to_string();
        let early = row.appointment.start.minus(ARRIVE_EARLY).to_jiff().to_zoned(zone);
        document.arrive_by = early.strftime("%H:%M").to_string();
        document.place = row.room_name;
        document.device = row.device_name;
    } else if let Some(step) = mingying_scheduling::step_of(db, scope, order.id).await? {
        let device = mingying_scheduling::device(db, scope, step.device).await?;
        document.place = mingying_scheduling::room(db, scope, device.room).await?.name;
        document.device = device.name;
    }
    Ok(document)
}

/// How long before the appointment a patient should be at the desk.
const ARRIVE_EARLY: std::time::Duration = std::time::Duration::from_mins(15);

async fn hospital(db: &Db, scope: Scope) -> Result<(String, String), mingying_db::DbError> {
    let tree = mingying_access::org_tree(db, scope).await?;
    Ok(tree.map(|tree| (tree.org.name, tree.org.name_en)).unwrap_or_default())
}

/// Every item's own preparation once, in the order of the items.
async fn preparation(db: &Db, permit: &Permit<ReadOrders>, order: &Order) -> Result<String, PaperError> {
    let catalogue = mingying_orders::catalogue(db, permit.scope()).await?;
    let mut lines: Vec<String> = Vec::new();
    for item in &order.items {
        let found = catalogue.iter().find(|known| known.id == item.catalogue_id);
        if let Some(text) = found.map(|known| known.preparation.trim()).filter(|text| !text.is_empty())
            && !lines.iter().any(|line| line == text)
        {
            lines.push(text.to_owned());
        }
    }
    Ok(lines.join("\n"))
}

fn remarks(order: &Order) -> Vec<String> {
    let mut remarks = vec!["过敏史".to_owned()];
    let contrast = order.items.iter().any(|item| item.contrast);
    if contrast {
        remarks.extend(["肾功能不全", "二甲双胍用药史"].map(str::to_owned));
    }
    if order.patient.sex != Sex::Male && !order.special.contains(&Special::Pregnant) {
        remarks.push("可能怀孕".to_owned());
    }
    if order.modality == "MR" {
        remarks.push("体内金属植入物".to_owned());
    }
    remarks
}

fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn age(order: &Order, at: Timestamp, zone: &TimeZone) -> String {
    let Some(birth) = order.patient.birth_date else { return String::new() };
    let text = mingying_reading::age(birth, at.to_jiff().to_zoned(zone.clone()).date());
    text.replace('Y', " 岁").replace('M', " 个月").replace('D', " 天")
}

/// All items with their sides: `膝关节（左）`.
fn items(order: &Order) -> String {
    let names: Vec<String> = order
        .items
        .iter()
        .map(|item| match item.side {
            Some(side) => format!("{}（{}）", item.name, self::side(side)),
            None => item.name.clone(),
        })
        .collect();
    names.join("、")
}

const fn side(side: mingying_orders::Side) -> &'static str {
    match side {
        mingying_orders::Side::Left => "左",
        mingying_orders::Side::Right => "右",
        mingying_orders::Side::Both => "双侧",
    }
}

const fn sex(sex: Sex) -> &'static str {
    match sex {
        Sex::Male => "男",
        Sex::Female => "女",
        Sex::Other => "其他",
        Sex::Unknown => "未知",
    }
}

const fn visit_class(class: VisitClass) -> &'static str {
    match class {
        VisitClass::Outpatient => "门诊",
        VisitClass::Inpatient => "住院",
        VisitClass::Emergency => "急诊",
        VisitClass::Checkup => "体检",
    }
}

/// The modality as titles call it; what has no common Chinese name keeps its code.
fn modality(code: &str) -> &str {
    match code {
        "US" => "超声",
        "MR" => "磁共振",
        "DX" | "CR" | "DR" => "X 线",
        "MG" => "乳腺 X 线",
        "RF" => "X 线造影",
        "XA" => "血管造影",
        "PT" => "PET",
        "NM" => "核医学",
        other => other,
    }
}
