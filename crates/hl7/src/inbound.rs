//! What an incoming message asks for, in the product's words.
//!
//! Field positions follow HL7 v2.5.1 chapters 3 (ADT), 4 (ORM, OMG, OMI) and the IHE RAD-4 use of IPC and ZDS.

use crate::{Header, Message, Refusal};
use jiff::civil::{Date, DateTime, Time};
use mingying_kernel::{AccessionNumber, AeTitle, DicomUid, PatientIdentifier};

/// A message that the product acts on.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// ADT^A01, A04: a visit begins; A08: patient data change.
    Patient { patient: PatientData, visit: VisitData, update: bool },
    /// ORM^O01, OMG^O19, OMI^O23.
    Order(Box<OrderMessage>),
}

/// PID.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatientData {
    /// Every PID-3 repeat, and PID-19 where it is sent, with its kind from CX.5 (`MR`, `PI`, `NI` …).
    pub identifiers: Vec<(PatientIdentifier, String)>,
    /// The name as people write it: the ideographic repeat where there is one.
    pub name: String,
    /// `Zhang^San`, where an alphabetic repeat is sent.
    pub name_latin: Option<String>,
    /// `M`, `F`, `O` or `U` (table 0001).
    pub sex: char,
    pub birth_date: Option<Date>,
    pub phone: Option<String>,
    pub address: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VisitClass {
    #[default]
    Outpatient,
    Inpatient,
    Emergency,
    Checkup,
}

/// PV1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VisitData {
    pub class: VisitClass,
    /// PV1-3: point of care, room, bed, as one text.
    pub location: String,
    pub number: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    New,
    Change,
    Cancel,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    #[default]
    Routine,
    Urgent,
    Emergency,
}

/// One OBR.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestedItem {
    /// OBR-4.1: the code of our catalogue.
    pub code: String,
    pub text: String,
    /// OBR-15.5 or OBR-4 modifier: `L`, `R` or `B`.
    pub side: Option<char>,
}

/// What OMI^O23 says about the scheduled procedure step (IPC, TQ1, ZDS).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScheduledStep {
    pub accession: Option<AccessionNumber>,
    pub requested_procedure_id: Option<String>,
    pub study_uid: Option<DicomUid>,
    pub sps_id: Option<String>,
    pub modality: Option<String>,
    pub station_aet: Option<AeTitle>,
    /// Wall time at the facility.
    pub start: Option<DateTime>,
}

/// An order, all its groups.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderMessage {
    pub control: Control,
    pub patient: PatientData,
    pub visit: VisitData,
    /// ORC-2 with its issuer (ORC-2.2, else the sending application).
    pub placer: PatientIdentifier,
    pub items: Vec<RequestedItem>,
    pub priority: Priority,
    pub physician: String,
    pub department: String,
    pub diagnosis: String,
    pub history: String,
    pub purpose: String,
    pub step: ScheduledStep,
}

/// Reads a message, or says which field stands in the way.
pub fn read(message: &Message<'_>) -> Result<Inbound, Refusal> {
    let header = message.header();
    if header.control_id.is_empty() {
        return Err(Refusal::missing("MSH-10"));
    }
    message.whole()?;
    match (header.kind.as_str(), header.event.as_str()) {
        ("ADT", "A01" | "A04" | "A08") => Ok(Inbound::Patient {
            patient: patient(message, &header)?,
            visit: visit(message),
            update: header.event == "A08",
        }),
        ("ORM", "O01") | ("OMG", "O19") | ("OMI", "O23") => Ok(Inbound::Order(Box::new(order(message, &header)?))),
        _ => Err(Refusal::unsupported("MSH-9")),
    }
}

fn some(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

fn patient(message: &Message<'_>, header: &Header) -> Result<PatientData, Refusal> {
    if message.count("PID") == 0 {
        return Err(Refusal::missing("PID"));
    }
    let pid = |field, repeat, component| message.value("PID", 1, field, repeat, component);
    let mut identifiers = Vec::new();
    for repeat in 1..=message.repeats("PID", 1, 3).min(32) {
        let value = pid(3, repeat, 1);
        if value.is_empty() {
            continue;
        }
        // CX.4 is a hierarchic designator: the OID where one is given, the namespace otherwise, the sender as the last
        // resort. A value without an issuer identifies nobody.
        let oid = message.sub("PID", 1, 3, repeat, 4, 2);
        let namespace = message.sub("PID", 1, 3, repeat, 4, 1);
        let issuer = [oid, namespace, header.sending_facility.clone(), header.sending_application.clone()]
            .into_iter()
            .find(|text| !text.is_empty())
            .ok_or_else(|| Refusal::missing("PID-3.4"))?;
        let identifier = PatientIdentifier::parse(&issuer, &value).map_err(|_| Refusal::data_type("PID-3"))?;
        identifiers.push((identifier, pid(3, repeat, 5)));
    }
    let national = pid(19, 1, 1);
    if !national.is_empty() {
        let identifier =
            PatientIdentifier::parse("2.16.156.10011.1.3", &national).map_err(|_| Refusal::data_type("PID-19"))?;
        if !identifiers.iter().any(|(known, _)| *known == identifier) {
            identifiers.push((identifier, "NI".to_owned()));
        }
    }
    if identifiers.is_empty() {
        return Err(Refusal::missing("PID-3"));
    }
    let (name, name_latin) = names(message);
    if name.is_empty() {
        return Err(Refusal::missing("PID-5"));
    }
    let birth = pid(7, 1, 1);
    let birth_date =
        if birth.is_empty() { None } else { Some(date(&birth).ok_or_else(|| Refusal::data_type("PID-7"))?) };
    let sex = match pid(8, 1, 1).to_ascii_uppercase().as_str() {
        "M" | "男" | "1" => 'M',
        "F" | "女" | "2" => 'F',
        "O" | "A" => 'O',
        "" | "U" | "N" | "0" | "9" => 'U',
        _ => return Err(Refusal::unknown_value("PID-8")),
    };
    let phone = [pid(13, 1, 1), pid(13, 1, 12), pid(14, 1, 1)].into_iter().find(|text| !text.is_empty());
    let address = [pid(11, 1, 1), pid(11, 1, 2), pid(11, 1, 3), pid(11, 1, 4)]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Ok(PatientData { identifiers, name, name_latin, sex, birth_date, phone, address: some(address) })
}

/// PID-5: XPN.8 tells the representation (`A` alphabetic, `I` ideographic, `P` phonetic). Without it, a repeat with
/// Han characters is the written name, an ASCII one the Latin name.
fn names(message: &Message<'_>) -> (String, Option<String>) {
    let mut written = None;
    let mut latin = None;
    for repeat in 1..=message.repeats("PID", 1, 5).min(8) {
        let part = |component| message.value("PID", 1, 5, repeat, component);
        let family = part(1);
        let given = part(2);
        let code = part(8);
        if family.is_empty() && given.is_empty() {
            continue;
        }
        let ascii = family.is_ascii() && given.is_ascii();
        match code.as_str() {
            "A" | "P" => latin = latin.or(Some(format!("{family}^{given}"))),
            _ if ascii && message.repeats("PID", 1, 5) > 1 && code != "I" => {
                latin = latin.or(Some(format!("{family}^{given}")));
            }
            _ => {
                let separator = if ascii && !given.is_empty() { " " } else { "" };
                written = written.or(Some(format!("{family}{separator}{given}")));
            }
        }
    }
    let trimmed = latin.map(|text| text.trim_end_matches('^').to_owned());
    match (written, trimmed) {
        (Some(written), latin) => (written, latin),
        (None, Some(latin)) => (latin.replace('^', " "), Some(latin)),
        (None, None) => (String::new(), None),
    }
}

fn visit(message: &Message<'_>) -> VisitData {
    let pv1 = |field, component| message.value("PV1", 1, field, 1, component);
    let class = match pv1(2, 1).to_ascii_uppercase().as_str() {
        "I" => VisitClass::Inpatient,
        "E" => VisitClass::Emergency,
        "C" | "T" => VisitClass::Checkup,
        _ => VisitClass::Outpatient,
    };
    let location =
        [pv1(3, 1), pv1(3, 2), pv1(3, 3)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("-");
    VisitData { class, location, number: some(pv1(19, 1)) }
}

fn order(message: &Message<'_>, header: &Header) -> Result<OrderMessage, Refusal> {
    let patient = patient(message, header)?;
    if message.count("ORC") == 0 {
        return Err(Refusal::missing("ORC"));
    }
    let orc = |field, component| message.value("ORC", 1, field, 1, component);
    let control = match orc(1, 1).as_str() {
        "NW" | "SN" | "SC" => Control::New,
        "XO" | "RP" | "XX" => Control::Change,
        "CA" | "OC" | "DC" => Control::Cancel,
        "" => return Err(Refusal::missing("ORC-1")),
        _ => return Err(Refusal::unknown_value("ORC-1")),
    };
    let placer_value = [orc(2, 1), message.value("OBR", 1, 2, 1, 1)]
        .into_iter()
        .find(|text| !text.is_empty())
        .ok_or_else(|| Refusal::missing("ORC-2"))?;
    let issuer = [orc(2, 2), header.sending_application.clone(), header.sending_facility.clone()]
        .into_iter()
        .find(|text| !text.is_empty())
        .ok_or_else(|| Refusal::missing("MSH-3"))?;
    let placer = PatientIdentifier::parse(&issuer, &placer_value).map_err(|_| Refusal::data_type("ORC-2"))?;
    let mut items = Vec::new();
    for n in 1..=message.count("OBR").min(16) {
        let code = message.value("OBR", n, 4, 1, 1);
        if code.is_empty() {
            return Err(Refusal::missing("OBR-4"));
        }
        let side =
            [message.sub("OBR", n, 15, 1, 5, 1), message.value("OBR", n, 44, 1, 1)].iter().find_map(|text| side(text));
        items.push(RequestedItem { code, text: message.value("OBR", n, 4, 1, 2), side });
    }
    if items.is_empty() && control != Control::Cancel {
        return Err(Refusal::missing("OBR"));
    }
    let priority = [message.value("TQ1", 1, 9, 1, 1), message.value("OBR", 1, 5, 1, 1), orc(7, 6)]
        .into_iter()
        .find(|text| !text.is_empty())
        .map(|text| match text.to_ascii_uppercase().as_str() {
            "S" | "STAT" => Priority::Emergency,
            "A" | "ASAP" | "T" | "P" => Priority::Urgent,
            _ => Priority::Routine,
        })
        .unwrap_or_default();
    let person = |segment: &str, field| {
        let family = message.value(segment, 1, field, 1, 2);
        let given = message.value(segment, 1, field, 1, 3);
        format!("{family}{given}")
    };
    let physician = [person("ORC", 12), person("OBR", 16), person("PV1", 8)]
        .into_iter()
        .find(|t| !t.is_empty())
        .unwrap_or_default();
    let department = [orc(17, 2), orc(17, 1), orc(13, 1), message.value("PV1", 1, 3, 1, 1)]
        .into_iter()
        .find(|t| !t.is_empty())
        .unwrap_or_default();
    let diagnosis = (1..=message.count("DG1").min(8))
        .map(|n| {
            let text = message.value("DG1", n, 3, 1, 2);
            if text.is_empty() { message.value("DG1", n, 4, 1, 1) } else { text }
        })
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join("；");
    let purpose = [message.value("OBR", 1, 31, 1, 2), message.value("OBR", 1, 31, 1, 1)]
        .into_iter()
        .find(|t| !t.is_empty())
        .unwrap_or_default();
    Ok(OrderMessage {
        control,
        patient,
        visit: visit(message),
        placer,
        items,
        priority,
        physician,
        department,
        diagnosis,
        history: message.value("OBR", 1, 13, 1, 1),
        purpose,
        step: step(message)?,
    })
}

fn step(message: &Message<'_>) -> Result<ScheduledStep, Refusal> {
    let ipc = |field, component| message.value("IPC", 1, field, 1, component);
    let accession = some(ipc(1, 1))
        .map(|text| AccessionNumber::parse(&text).map_err(|_| Refusal::data_type("IPC-1")))
        .transpose()?;
    let study_uid = [ipc(3, 1), message.value("ZDS", 1, 1, 1, 1)]
        .into_iter()
        .find(|t| !t.is_empty())
        .map(|text| DicomUid::parse(&text).map_err(|_| Refusal::data_type("IPC-3")))
        .transpose()?;
    let station_aet =
        some(ipc(9, 1)).map(|text| AeTitle::parse(&text).map_err(|_| Refusal::data_type("IPC-9"))).transpose()?;
    let start = [message.value("TQ1", 1, 7, 1, 1), message.value("OBR", 1, 36, 1, 1)]
        .into_iter()
        .find(|t| !t.is_empty())
        .map(|text| date_time(&text).ok_or_else(|| Refusal::data_type("TQ1-7")))
        .transpose()?;
    Ok(ScheduledStep {
        accession,
        requested_procedure_id: some(ipc(2, 1)),
        study_uid,
        sps_id: some(ipc(4, 1)),
        modality: some(ipc(5, 1)),
        station_aet,
        start,
    })
}

fn side(text: &str) -> Option<char> {
    match text.to_ascii_uppercase().as_str() {
        "L" | "LEFT" | "左" | "左侧" => Some('L'),
        "R" | "RIGHT" | "右" | "右侧" => Some('R'),
        "B" | "BIL" | "BOTH" | "双" | "双侧" => Some('B'),
        _ => None,
    }
}

/// HL7 DT: YYYY[MM[DD]]; missing parts read as the first.
fn date(text: &str) -> Option<Date> {
    if !text.is_ascii() {
        return None;
    }
    let year = text.get(0..4)?.parse().ok()?;
    let month = text.get(4..6).map_or(Some(1), |t| t.parse().ok())?;
    let day = text.get(6..8).map_or(Some(1), |t| t.parse().ok())?;
    Date::new(year, month, day).ok()
}

/// HL7 TS without its zone: appointment times are wall time at the facility.
fn date_time(text: &str) -> Option<DateTime> {
    let text = text.split(['+', '-']).next()?;
    let date = date(text)?;
    let hour = text.get(8..10).map_or(Some(0), |t| t.parse().ok())?;
    let minute = text.get(10..12).map_or(Some(0), |t| t.parse().ok())?;
    let second = text.get(12..14).map_or(Some(0), |t| t.parse().ok())?;
    Some(date.to_datetime(Time::new(hour, minute, second, 0).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OMI: &str = "MSH|^~\\&|HIS|MAIN|MINGYING|RAD|20260302080000||OMI^O23^OMI_O23|77|P|2.5.1||||||UNICODE UTF-8\r\
        PID|1||P100^^^&1.2.3.4&ISO^MR~110101199003078515^^^&2.16.156.10011.1.3&ISO^NI||张三^^^^^^^I~Zhang^San^^^^^^A||19900307|M|||测试路1号^^虚构市||13800000000\r\
        PV1|1|I|内科^12^3|||||D1^李^医生\r\
        ORC|NW|PL-9^HIS||||||||||D1^李^医生|||||N1^神经内科\r\
        TQ1|1||||||20260302093000||S\r\
        OBR|1|PL-9||CT-HEAD^颅脑CT平扫|||||||||头痛3天||||||||||||||||||^排除出血\r\
        DG1|1||R51^头痛\r\
        IPC|A2603020001|RP1|1.2.3.4.5|SPS1|CT|||ROOM1|CT01\r";

    fn parse(text: &str) -> Result<Inbound, Refusal> {
        read(&Message::parse(text)?)
    }

    #[test]
    fn an_imaging_order_is_read_whole() {
        let Inbound::Order(order) = parse(OMI).unwrap() else { panic!("an order") };
        assert_eq!(order.control, Control::New);
        assert_eq!(order.patient.name, "张三");
        assert_eq!(order.patient.name_latin.as_deref(), Some("Zhang^San"));
        assert_eq!(order.patient.identifiers.len(), 2);
        assert_eq!(order.patient.identifiers[0].0.issuer, "1.2.3.4");
        assert_eq!(order.patient.sex, 'M');
        assert_eq!(order.patient.birth_date, Some(jiff::civil::date(1990, 3, 7)));
        assert_eq!(order.placer, PatientIdentifier { issuer: "HIS".into(), value: "PL-9".into() });
        assert_eq!(order.items[0].code, "CT-HEAD");
        assert_eq!(order.priority, Priority::Emergency);
        assert_eq!(order.physician, "李医生");
        assert_eq!(order.department, "神经内科");
        assert_eq!(order.diagnosis, "头痛");
        assert_eq!(order.history, "头痛3天");
        assert_eq!(order.purpose, "排除出血");
        assert_eq!(order.visit.class, VisitClass::Inpatient);
        assert_eq!(order.step.station_aet.as_ref().map(AeTitle::as_str), Some("CT01"));
        assert_eq!(order.step.start, Some(jiff::civil::date(2026, 3, 2).at(9, 30, 0, 0)));
        assert_eq!(order.step.accession.as_ref().map(AccessionNumber::as_str), Some("A2603020001"));
    }

    #[test]
    fn a_value_without_an_issuer_takes_the_senders() {
        let text = "MSH|^~\\&|HIS|MAIN|M|R|20260302||ADT^A04|1|P|2.5.1\rPID|1||P1||王芳||1990\r";
        let Inbound::Patient { patient, update, .. } = parse(text).unwrap() else { panic!("a patient") };
        assert!(!update);
        assert_eq!(patient.identifiers[0].0.issuer, "MAIN");
        assert_eq!(patient.birth_date, Some(jiff::civil::date(1990, 1, 1)));
        assert_eq!(patient.sex, 'U');
    }

    #[test]
    fn refusals_name_the_field() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert_eq!(refused("PID|1").code, "hl7.malformed");
        assert!(refused("MSH|^~\\&|A|B|C|D|2026||SIU^S12|1|P|2.5.1\r").reject);
        assert_eq!(refused("MSH|^~\\&|A|B|C|D|2026||ADT^A04||P|2.5.1\r").location, "MSH-10");
        assert_eq!(
            refused(&OMI.replace("P100^^^&1.2.3.4&ISO^MR~110101199003078515^^^&2.16.156.10011.1.3&ISO^NI", ""))
                .location,
            "PID-3"
        );
        assert_eq!(refused(&OMI.replace("19900307", "1990XX07")).location, "PID-7");
        assert_eq!(refused(&OMI.replace("ORC|NW", "ORC|ZZ")).location, "ORC-1");
        assert_eq!(refused(&OMI.replace("CT-HEAD", "")).location, "OBR-4");
        assert_eq!(refused(&OMI.replace("1.2.3.4.5", "1..2")).location, "IPC-3");
        assert_eq!(refused(&OMI.replace("A2603020001", "A26030200010000000")).location, "IPC-1");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(MSH\\|\\^~\\\\&\\|)?[A-Z|^~&\\\\0-9\r\n一-龥]{0,300}") {
            let _ = parse(&text);
        }

        #[test]
        fn damaged_orders_do_not_panic(at in 0usize..700, with in any::<char>()) {
            let mut text = OMI.to_owned();
            if text.is_char_boundary(at) && at < text.len() {
                text.insert(at, with);
            }
            let _ = parse(&text);
        }
    }
}
