//! What a patient is, and the pure rules about names, identifiers and birth dates.

use crate::PatientError;
use jiff::civil::Date;
use mingying_kernel::{OrgId, PatientId, Timestamp, words};
use serde::{Deserialize, Serialize};

words! {
    /// Patient's sex (0010,0040), with `U` for not known.
    Sex { Male = "M", Female = "F", Other = "O", Unknown = "U" }

    /// What an identifier is; who issued it stands beside it.
    IdentifierKind {
        Mrn = "mrn",
        IdCard = "id_card",
        Outpatient = "outpatient",
        Inpatient = "inpatient",
        Insurance = "insurance",
        Foreign = "foreign",
        /// Issued by this system to somebody whose identity is not known yet.
        Temporary = "temporary",
    }

    /// What everybody near the patient must know.
    AlertKind {
        Allergy = "allergy",
        Pregnancy = "pregnancy",
        Mdro = "mdro",
        Implant = "implant",
        Egfr = "egfr",
        Other = "other",
    }
}

/// The issuer of the national identity card number (WS/T 500, `domain.md` section 3).
pub const ID_CARD_ISSUER: &str = "2.16.156.10011.1.3";

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// Assigning authority: an OID or a configured namespace.
    pub issuer: String,
    pub kind: IdentifierKind,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub kind: AlertKind,
    pub text: String,
}

/// What lists show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientSummary {
    pub id: PatientId,
    pub name: String,
    /// Romanised, `Zhang San`; what devices without Chinese fonts show.
    pub name_latin: String,
    pub sex: Sex,
    pub birth_date: Option<Date>,
    pub mrn: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    pub id: PatientId,
    pub org: OrgId,
    pub name: String,
    pub name_latin: String,
    pub sex: Sex,
    pub birth_date: Option<Date>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub identifiers: Vec<Identifier>,
    pub alerts: Vec<Alert>,
    /// Registered without a known identity (无名氏); to be identified or merged later.
    pub temporary: bool,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Patient {
    /// The medical record number to show: the first identifier of that kind, else the temporary number.
    pub fn mrn(&self) -> Option<&str> {
        let of = |kind| self.identifiers.iter().find(|i| i.kind == kind).map(|i| i.value.as_str());
        of(IdentifierKind::Mrn).or_else(|| of(IdentifierKind::Temporary))
    }

    /// The identifier sent to devices as Patient ID (0010,0020) with its Issuer of Patient ID (0010,0021).
    pub fn primary_identifier(&self) -> Option<&Identifier> {
        let of = |kind| self.identifiers.iter().find(|i| i.kind == kind);
        of(IdentifierKind::Mrn).or_else(|| of(IdentifierKind::Temporary)).or_else(|| self.identifiers.first())
    }

    pub fn summary(&self) -> PatientSummary {
        PatientSummary {
            id: self.id,
            name: self.name.clone(),
            name_latin: self.name_latin.clone(),
            sex: self.sex,
            birth_date: self.birth_date,
            mrn: self.mrn().map(str::to_owned),
        }
    }
}

/// What the desk or an interface knows about a person.
#[derive(Debug, Clone, Default)]
pub struct NewPatient {
    /// May be empty when `unidentified`.
    pub name: String,
    /// Derived from the name when absent.
    pub name_latin: Option<String>,
    pub sex: Option<Sex>,
    pub birth_date: Option<Date>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub identifiers: Vec<Identifier>,
    pub alerts: Vec<Alert>,
    /// Nobody knows who this is: a temporary number is issued and the name may be absent.
    pub unidentified: bool,
}

/// The name under which somebody without identity is registered.
pub const UNIDENTIFIED_NAME: &str = "无名氏";

impl NewPatient {
    /// Trims, checks and completes what was entered. `today` bounds the birth date.
    pub(crate) fn checked(mut self, today: Date) -> Result<Self, PatientError> {
        let invalid = |field| PatientError::Invalid { field };
        self.name = self.name.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.unidentified && self.name.is_empty() {
            UNIDENTIFIED_NAME.clone_into(&mut self.name);
        }
        // PS3.5 6.2: each component group of a PN is at most 64 characters; `=` and `\` are delimiters there.
        if self.name.is_empty() || !is_clean(&self.name, 64) || self.name.contains('=') {
            return Err(invalid("name"));
        }
        self.name_latin = match self.name_latin.as_deref().map(str::trim) {
            Some(latin) if !latin.is_empty() => {
                if !is_clean(latin, 64) || latin.contains('=') {
                    return Err(invalid("name_latin"));
                }
                Some(latin.to_owned())
            }
            _ => Some(crate::romanise::latin(&self.name)),
        };
        if let Some(date) = self.birth_date
            && (date > today || date.year() < 1870)
        {
            return Err(invalid("birth_date"));
        }
        self.phone = optional(self.phone, 32).map_err(|()| invalid("phone"))?;
        self.address = optional(self.address, 256).map_err(|()| invalid("address"))?;
        self.identifiers = check_identifiers(std::mem::take(&mut self.identifiers))?;
        for identifier in &self.identifiers {
            if identifier.kind == IdentifierKind::IdCard && identifier.issuer == ID_CARD_ISSUER {
                let card = IdCard::parse(&identifier.value).ok_or_else(|| invalid("identifiers"))?;
                // The card is the better source for what was left open; a contradiction is a typing error.
                match self.birth_date {
                    None => self.birth_date = Some(card.birth_date),
                    Some(date) if date != card.birth_date => return Err(invalid("birth_date")),
                    Some(_) => {}
                }
                match self.sex {
                    None | Some(Sex::Unknown) => self.sex = Some(card.sex),
                    Some(_) => {}
                }
            }
        }
        for alert in &mut self.alerts {
            alert.text = alert.text.trim().to_owned();
            if alert.text.chars().count() > 200 || alert.text.chars().any(char::is_control) {
                return Err(invalid("alerts"));
            }
        }
        if self.alerts.len() > 32 {
            return Err(invalid("alerts"));
        }
        Ok(self)
    }
}

fn check_identifiers(given: Vec<Identifier>) -> Result<Vec<Identifier>, PatientError> {
    let invalid = || PatientError::Invalid { field: "identifiers" };
    if given.len() > 32 {
        return Err(invalid());
    }
    let mut kept: Vec<Identifier> = Vec::with_capacity(given.len());
    for identifier in given {
        let checked =
            mingying_kernel::PatientIdentifier::parse(&identifier.issuer, &identifier.value).map_err(|_| invalid())?;
        let value = match identifier.kind {
            IdentifierKind::IdCard => checked.value.to_ascii_uppercase(),
            _ => checked.value,
        };
        let one = Identifier { issuer: checked.issuer, kind: identifier.kind, value };
        if !kept.iter().any(|k| k.issuer == one.issuer && k.value == one.value) {
            kept.push(one);
        }
    }
    Ok(kept)
}

fn is_clean(text: &str, max: usize) -> bool {
    text.chars().count() <= max && !text.chars().any(|c| c == '\\' || c.is_control())
}

fn optional(text: Option<String>, max: usize) -> Result<Option<String>, ()> {
    match text.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(t) if t.chars().count() <= max && !t.chars().any(char::is_control) => Ok(Some(t.to_owned())),
        Some(_) => Err(()),
    }
}

/// What an 18-digit national identity card number tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdCard {
    pub birth_date: Date,
    pub sex: Sex,
}

impl IdCard {
    /// Checks length, date and the MOD 11-2 check character (GB 11643, ISO 7064).
    pub fn parse(text: &str) -> Option<Self> {
        const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        const CHECK: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
        let text = text.trim();
        if text.len() != 18 || !text.is_ascii() {
            return None;
        }
        let (body, check) = text.split_at_checked(17)?;
        let mut sum = 0;
        for (digit, weight) in body.chars().zip(WEIGHTS) {
            sum += digit.to_digit(10)? * weight;
        }
        let wanted = CHECK.get((sum % 11) as usize)?;
        if check.chars().next()?.to_ascii_uppercase() != *wanted {
            return None;
        }
        let birth_date =
            Date::new(body.get(6..10)?.parse().ok()?, body.get(10..12)?.parse().ok()?, body.get(12..14)?.parse().ok()?)
                .ok()?;
        let serial: u32 = body.get(14..17)?.parse().ok()?;
        Some(Self { birth_date, sex: if serial % 2 == 1 { Sex::Male } else { Sex::Female } })
    }
}

/// A name for public screens: the first and the last character stay, at least one is hidden; each part of a name in
/// Latin letters keeps its first letter (ux.md: queue screens).
pub fn masked_name(name: &str) -> String {
    let name = name.trim();
    if name.is_empty() {
        return "*".to_owned();
    }
    let spelled = name.chars().all(|c| (c as u32) < 0x2E80);
    if spelled {
        let masked = name
            .split([' ', '^'])
            .filter(|part| !part.is_empty())
            .map(|part| {
                let mut out: String = part.chars().take(1).collect();
                out.push_str(&"*".repeat(part.chars().count().saturating_sub(1).max(1)));
                out
            })
            .collect::<Vec<_>>()
            .join(" ");
        // Separators alone are no name.
        return if masked.is_empty() { "*".to_owned() } else { masked };
    }
    let chars: Vec<char> = name.chars().filter(|c| !c.is_whitespace() && *c != '^').collect();
    match chars.as_slice() {
        [] => "*".to_owned(),
        [_] => "*".to_owned(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    #[test]
    fn id_card_checks_its_last_character() {
        let card = IdCard::parse("11010519491231002X").unwrap();
        assert_eq!(card, IdCard { birth_date: date(1949, 12, 31), sex: Sex::Female });
        assert!(IdCard::parse("11010519491231002x").is_some());
        assert_eq!(IdCard::parse("440524188001010014").unwrap().sex, Sex::Male);
        for bad in ["110105194912310021", "11010519491231002", "", "1101051949123100200", "11010519491331002X"] {
            assert!(IdCard::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_are_masked() {
        assert_eq!(masked_name("张三"), "张*");
        assert_eq!(masked_name("张小三"), "张*三");
        assert_eq!(masked_name("欧阳小三"), "欧**三");
        assert_eq!(masked_name("John Smith"), "J*** S****");
        assert_eq!(masked_name("Li"), "L*");
        assert_eq!(masked_name("A"), "A*");
        assert_eq!(masked_name("李"), "*");
        assert_eq!(masked_name(""), "*");
        assert_eq!(masked_name(" ^ ^"), "*", "nothing but separators");
    }

    fn new(name: &str) -> NewPatient {
        NewPatient { name: name.to_owned(), ..NewPatient::default() }
    }

    #[test]
    fn entry_is_checked_and_completed() {
        let today = date(2026, 3, 2);
        let mut someone = new("  张三 ");
        someone.identifiers.push(Identifier {
            issuer: ID_CARD_ISSUER.to_owned(),
            kind: IdentifierKind::IdCard,
            value: "11010519491231002x".to_owned(),
        });
        let checked = someone.clone().checked(today).unwrap();
        assert_eq!(checked.name, "张三");
        assert_eq!(checked.name_latin.as_deref(), Some("Zhang San"));
        assert_eq!(checked.birth_date, Some(date(1949, 12, 31)));
        assert_eq!(checked.sex, Some(Sex::Female));
        assert_eq!(checked.identifiers.first().unwrap().value, "11010519491231002X");

        someone.birth_date = Some(date(1949, 12, 30));
        assert!(matches!(someone.checked(today), Err(PatientError::Invalid { field: "birth_date" })));
        assert!(matches!(new("").checked(today), Err(PatientError::Invalid { field: "name" })));
        assert!(matches!(new("a=b").checked(today), Err(PatientError::Invalid { field: "name" })));
        let unknown = NewPatient { unidentified: true, ..NewPatient::default() }.checked(today).unwrap();
        assert_eq!(unknown.name, "无名氏");
        let future = NewPatient { birth_date: Some(date(2026, 3, 3)), ..new("x") };
        assert!(future.checked(today).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_digit_is_noticed(position in 0usize..17, by in 1u8..10) {
            let mut digits = b"11010519491231002X".to_vec();
            digits[position] = b'0' + (digits[position] - b'0' + by) % 10;
            prop_assert!(IdCard::parse(std::str::from_utf8(&digits).unwrap()).is_none());
        }

        #[test]
        fn masking_hides_something(name in "\\PC{1,20}") {
            prop_assert!(masked_name(&name).contains('*'));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,24}") {
            let _ = IdCard::parse(&text);
        }
    }
}
