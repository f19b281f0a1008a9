//! Messages the product writes: acknowledgements and results.

use crate::{Header, Refusal};
use jiff::civil::DateTime;

/// HL7 table 0008.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckCode {
    Accept,
    Error,
    Reject,
}

impl AckCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
        }
    }
}

/// Text as it may stand inside a field: separators escaped (v2.5.1 chapter 2.7), line breaks as `\.br\`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\E\\"),
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '&' => out.push_str("\\T\\"),
            '~' => out.push_str("\\R\\"),
            '\n' => out.push_str("\\.br\\"),
            '\r' | '\0'..='\x1f' => {}
            other => out.push(other),
        }
    }
    out
}

fn stamp(at: DateTime) -> String {
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second())
}

/// The acknowledgement of `header`. With a refusal the ERR segment names code and location.
pub fn ack(header: &Header, refusal: Option<&Refusal>, control_id: &str, charset: &str, now: DateTime) -> String {
    let code = match refusal {
        None => AckCode::Accept,
        Some(refusal) if refusal.reject => AckCode::Reject,
        Some(_) => AckCode::Error,
    };
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { escape(text) };
    let mut out = format!(
        "MSH|^~\\&|{}|{}|{}|{}|{}||ACK^{}^ACK|{}|{}|{}||||||{charset}\rMSA|{}|{}\r",
        or(&header.receiving_application, "MINGYING"),
        escape(&header.receiving_facility),
        escape(&header.sending_application),
        escape(&header.sending_facility),
        stamp(now),
        escape(&header.event),
        control_id,
        or(&header.processing_id, "P"),
        or(&header.version, "2.5.1"),
        code.as_str(),
        escape(&header.control_id),
    );
    if let Some(refusal) = refusal {
        // ERR-2 is segment^sequence^field; ERR-3 the code of table 0357; ERR-5 our own code.
        let (segment, field) = refusal.location.split_once('-').unwrap_or((&refusal.location, ""));
        out.push_str(&format!(
            "ERR||{}^1^{}|{}|E|{}\r",
            escape(segment),
            escape(field),
            refusal.hl7_code,
            escape(refusal.code)
        ));
    }
    out
}

/// Who a message is for, and in which words we name ourselves.
#[derive(Debug, Clone)]
pub struct Destination {
    pub sending_facility: String,
    pub receiving_application: String,
    pub receiving_facility: String,
    pub charset: crate::Charset,
}

/// A report as ORU^R01 carries it.
#[derive(Debug, Clone)]
pub struct ResultMessage {
    /// value, issuer, CX.5 kind
    pub identifiers: Vec<(String, String, String)>,
    pub name: String,
    pub name_latin: Option<String>,
    /// YYYYMMDD or empty
    pub birth_date: String,
    pub sex: char,
    pub placer: Option<(String, String)>,
    pub accession: String,
    pub item_code: String,
    pub item_name: String,
    pub study_uid: String,
    pub exam_at: Option<DateTime>,
    pub findings: String,
    pub impression: String,
    pub advice: String,
    /// `P` preliminary, `F` final, `C` corrected (table 0085 and 0123)
    pub status: char,
    pub author: String,
    pub auditor: String,
    pub signed_at: DateTime,
}

/// ORU^R01 (v2.5.1 chapter 7; IHE RD).
pub fn oru_r01(result: &ResultMessage, to: &Destination, control_id: &str, now: DateTime) -> String {
    let identifiers = result
        .identifiers
        .iter()
        .map(|(value, issuer, kind)| {
            // An OID goes into the universal id of CX.4, anything else into its namespace.
            let issuer = if issuer.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                format!("&{issuer}&ISO")
            } else {
                escape(issuer)
            };
            format!("{}^^^{issuer}^{}", escape(value), escape(kind))
        })
        .collect::<Vec<_>>()
        .join("~");
    let mut name = format!("{}^^^^^^^I", escape(&result.name));
    if let Some(latin) = &result.name_latin {
        let (family, given) = latin.split_once('^').unwrap_or((latin, ""));
        name.push_str(&format!("~{}^{}^^^^^^A", escape(family), escape(given)));
    }
    let (placer, placer_issuer) = result.placer.clone().unwrap_or_default();
    let exam_at = result.exam_at.map(stamp).unwrap_or_default();
    let signed = stamp(result.signed_at);
    let mut out = format!(
        "MSH|^~\\&|MINGYING|{}|{}|{}|{}||ORU^R01^ORU_R01|{}|P|2.5.1|||AL|NE||{}\r",
        escape(&to.sending_facility),
        escape(&to.receiving_application),
        escape(&to.receiving_facility),
        stamp(now),
        escape(control_id),
        to.charset.msh18(),
    );
    out.push_str(&format!("PID|1||{identifiers}||{name}||{}|{}\r", escape(&result.birth_date), result.sex));
    out.push_str(&format!(
        "ORC|RE|{}^{}|{}^MINGYING\r",
        escape(&placer),
        escape(&placer_issuer),
        escape(&result.accession)
    ));
    out.push_str(&format!(
        "OBR|1|{}^{}|{}^MINGYING|{}^{}|||{exam_at}|||||||||||{}||||{signed}||RAD|{}|||||||{}|{}\r",
        escape(&placer),
        escape(&placer_issuer),
        escape(&result.accession),
        escape(&result.item_code),
        escape(&result.item_name),
        escape(&result.accession),
        result.status,
        escape(&result.auditor),
        escape(&result.author),
    ));
    let sections = [
        ("59776-5", "Findings", &result.findings),
        ("19005-8", "Impression", &result.impression),
        ("18783-1", "Recommendation", &result.advice),
    ];
    let mut n = 0;
    for (code, label, text) in sections {
        if text.is_empty() {
            continue;
        }
        n += 1;
        out.push_str(&format!("OBX|{n}|FT|{code}^{label}^LN||{}||||||{}|||{signed}\r", escape(text), result.status));
    }
    out.push_str(&format!(
        "OBX|{}|ST|113014^DICOM Study^DCM||{}||||||{}|||{signed}\r",
        n + 1,
        escape(&result.study_uid),
        result.status
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Charset, Message};

    fn at() -> DateTime {
        jiff::civil::date(2026, 3, 2).at(10, 30, 0, 0)
    }

    #[test]
    fn separators_in_text_do_not_break_fields() {
        let result = ResultMessage {
            identifiers: vec![("P1".into(), "1.2.3".into(), "MR".into())],
            name: "王|芳".into(),
            name_latin: Some("Wang^Fang".into()),
            birth_date: "19900307".into(),
            sex: 'F',
            placer: Some(("PL1".into(), "HIS".into())),
            accession: "A1".into(),
            item_code: "CT-HEAD".into(),
            item_name: "颅脑CT".into(),
            study_uid: "1.2.3".into(),
            exam_at: Some(at()),
            findings: "a|b^c&d~e\\f\nsecond".into(),
            impression: "未见异常".into(),
            advice: String::new(),
            status: 'F',
            author: "甲".into(),
            auditor: "乙".into(),
            signed_at: at(),
        };
        let to = Destination {
            sending_facility: "RAD".into(),
            receiving_application: "HIS".into(),
            receiving_facility: "MAIN".into(),
            charset: Charset::Utf8,
        };
        let text = oru_r01(&result, &to, "C1", at());
        let message = Message::parse(&text).unwrap();
        assert_eq!(message.header().control_id, "C1");
        assert_eq!(message.count("OBX"), 3);
        assert!(message.value("OBX", 1, 5, 1, 1).starts_with("a|b^c&d~e\\f"));
        assert_eq!(message.value("OBX", 2, 5, 1, 1), "未见异常");
        assert_eq!(message.value("OBX", 2, 11, 1, 1), "F");
        assert_eq!(message.value("PID", 1, 5, 1, 1), "王|芳");
        assert_eq!(message.sub("PID", 1, 3, 1, 4, 2), "1.2.3");
        assert_eq!(message.value("OBR", 1, 18, 1, 1), "A1");
        assert_eq!(message.value("OBR", 1, 25, 1, 1), "F");
        assert_eq!(message.value("OBR", 1, 22, 1, 1), "20260302103000");
    }

    #[test]
    fn acknowledgements_carry_the_place_of_the_fault() {
        let header = Header {
            sending_application: "HIS".into(),
            control_id: "42".into(),
            event: "A04".into(),
            ..Header::default()
        };
        let text = ack(&header, Some(&Refusal::missing("PID-3")), "1", "UNICODE UTF-8", at());
        let message = Message::parse(&text).unwrap();
        assert_eq!(message.value("MSA", 1, 1, 1, 1), "AE");
        assert_eq!(message.value("MSA", 1, 2, 1, 1), "42");
        assert_eq!(message.value("ERR", 1, 2, 1, 1), "PID");
        assert_eq!(message.value("ERR", 1, 2, 1, 3), "3");
        assert_eq!(message.value("ERR", 1, 3, 1, 1), "101");
        assert_eq!(message.header().receiving_application, "HIS");
        let fine = ack(&header, None, "1", "UNICODE UTF-8", at());
        assert!(fine.contains("MSA|AA|42"));
    }
}
