//! Links, their states, and what unlocks them.

use crate::ShareError;
use jiff::civil::Date;
use mingying_kernel::{OrderId, OrgId, PatientId, ShareId, Timestamp, words};
use mingying_patients::{IdentifierKind, Patient};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use subtle::{Choice, ConstantTimeEq};

words! {
    ShareState { Active = "active", Expired = "expired", Revoked = "revoked" }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub id: ShareId,
    pub order: OrderId,
    pub org: OrgId,
    pub patient: PatientId,
    pub images: bool,
    pub created_at: Timestamp,
    pub created_by: String,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub opens: u32,
    pub last_opened_at: Option<Timestamp>,
}

impl Share {
    pub fn state(&self, now: Timestamp) -> ShareState {
        if self.revoked_at.is_some() {
            ShareState::Revoked
        } else if self.expires_at <= now {
            ShareState::Expired
        } else {
            ShareState::Active
        }
    }

    /// The link itself still lives.
    pub(crate) fn alive(&self, now: Timestamp) -> Result<(), ShareError> {
        match self.state(now) {
            ShareState::Active => Ok(()),
            ShareState::Expired => Err(ShareError::Expired),
            ShareState::Revoked => Err(ShareError::Revoked),
        }
    }
}

/// A new link. The token is shown once and not kept.
#[derive(Debug, Clone)]
pub struct Made {
    pub share: Share,
    pub token: String,
}

/// SHA-256, hex: how tokens and session cookies are kept.
pub(crate) fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Any of these, with the birth date, unlocks: the last four of the phone number and of each document. Numbers that
/// the hospital gave itself run in sequence and stand on every slip; they serve only where nothing better is known.
pub(crate) fn answers(patient: &Patient) -> Vec<String> {
    let personal = [IdentifierKind::IdCard, IdentifierKind::Insurance, IdentifierKind::Foreign];
    let of = |wanted: &dyn Fn(IdentifierKind) -> bool| {
        patient.identifiers.iter().filter(|i| wanted(i.kind)).filter_map(|i| last_four(&i.value)).collect::<Vec<_>>()
    };
    let mut answers = of(&|kind| personal.contains(&kind));
    answers.extend(patient.phone.as_deref().and_then(last_four));
    if answers.is_empty() {
        answers = of(&|kind| !personal.contains(&kind));
    }
    answers.sort_unstable();
    answers.dedup();
    answers
}

/// The last four letters or digits, upper case: `0000123X` gives `123X`.
fn last_four(text: &str) -> Option<String> {
    let plain: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let four = plain.get(plain.len().checked_sub(4)?..)?;
    Some(four.iter().collect::<String>().to_ascii_uppercase())
}

/// Compares without telling by its time which part was wrong.
pub(crate) fn unlocks(patient: &Patient, birth_date: Date, last4: &str) -> bool {
    let given = last4.trim().to_ascii_uppercase();
    let registered = patient.birth_date.map(|date| date.to_string()).unwrap_or_default();
    let birth: Choice = registered.as_bytes().ct_eq(birth_date.to_string().as_bytes());
    let known = answers(patient)
        .iter()
        .fold(Choice::from(0), |found, answer| found | answer.as_bytes().ct_eq(given.as_bytes()));
    bool::from(birth & known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use mingying_patients::{Identifier, Sex};

    fn patient(phone: Option<&str>, identifiers: &[(IdentifierKind, &str)]) -> Patient {
        Patient {
            id: PatientId::new(),
            org: OrgId::new(),
            name: "张三".into(),
            name_latin: "Zhang San".into(),
            sex: Sex::Male,
            birth_date: Some(date(1970, 1, 2)),
            phone: phone.map(str::to_owned),
            address: None,
            identifiers: identifiers
                .iter()
                .map(|(kind, value)| Identifier { issuer: "X".into(), kind: *kind, value: (*value).into() })
                .collect(),
            alerts: Vec::new(),
            temporary: false,
            version: 1,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn phone_or_document_unlock_with_the_birth_date() {
        let who = patient(
            Some("138-0000 1234"),
            &[(IdentifierKind::IdCard, "11010119700102123x"), (IdentifierKind::Mrn, "M0005678")],
        );
        let birth = date(1970, 1, 2);
        assert!(unlocks(&who, birth, "1234"));
        assert!(unlocks(&who, birth, " 123x "));
        for (date, four) in [(birth, "5678"), (birth, "0000"), (birth, ""), (date(1970, 2, 1), "1234")] {
            assert!(!unlocks(&who, date, four), "{four}");
        }
    }

    #[test]
    fn hospital_numbers_serve_where_nothing_better_is_known() {
        let who = patient(None, &[(IdentifierKind::Mrn, "M0005678")]);
        assert!(unlocks(&who, date(1970, 1, 2), "5678"));
        assert!(answers(&patient(Some("12"), &[])).is_empty());
        let unborn = Patient { birth_date: None, ..who };
        assert!(!unlocks(&unborn, date(1970, 1, 2), "5678"));
    }
}
