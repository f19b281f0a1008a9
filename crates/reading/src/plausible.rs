//! Whether the person in the images can be the person of the order. Images come with what a modality or a hand typed;
//! orders with what the desk registered.

use jiff::civil::Date;
use mingying_archive::StudyRow;
use mingying_patients::{Patient, folded, sound};

/// Who the images say was examined. Empty means not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub id: String,
    /// `Zhang^San`
    pub alphabetic: String,
    /// `张^三`
    pub ideographic: String,
    pub birth_date: Option<Date>,
}

impl Identity {
    pub fn of(study: &StudyRow) -> Self {
        Self {
            id: study.patient_id.clone(),
            alphabetic: study.patient_name.alphabetic.to_string(),
            ideographic: study.patient_name.ideographic.to_string(),
            birth_date: Date::strptime("%Y%m%d", &study.birth_date).ok(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Plausible,
    Differs,
}

/// Two of identifier, name and birth date must not contradict the order at the same time.
///
/// A known identifier with another name is a change of name or a typing error unless the birth date differs too; the
/// right name with a foreign identifier is a number typed at the console unless the birth date differs. Images that
/// name nobody rest on the accession number alone.
pub fn compare(images: &Identity, patient: &Patient) -> Verdict {
    let id = images.id.trim();
    let id_said = !id.is_empty();
    let id_same = id_said && patient.identifiers.iter().any(|known| known.value.eq_ignore_ascii_case(id));
    let name_said = !folded(&images.alphabetic).is_empty() || !folded(&images.ideographic).is_empty();
    let name_same = name_said && same_name(images, patient);
    let birth_differs = match (images.birth_date, patient.birth_date) {
        (Some(images), Some(registered)) => images != registered,
        _ => false,
    };
    let differs = match (id_said, id_same, name_said, name_same) {
        (_, true, _, true) => false,
        (_, true, false, _) | (false, _, false, _) => birth_differs,
        (_, true, true, false) | (_, false, true, true) => birth_differs,
        (true, false, false, _) | (_, false, true, false) => true,
    };
    if differs { Verdict::Differs } else { Verdict::Plausible }
}

fn same_name(images: &Identity, patient: &Patient) -> bool {
    let registered = [folded(&patient.name), folded(&patient.name_latin), sound(&patient.name)];
    let mut said = vec![folded(&images.ideographic), folded(&images.alphabetic)];
    // Consoles reverse family and given name, and some write Chinese into the first group.
    for name in [&images.ideographic, &images.alphabetic] {
        let reversed: Vec<&str> = name.split(['^', ' ', ',']).filter(|p| !p.is_empty()).rev().collect();
        said.push(folded(&reversed.concat()));
        said.push(sound(&name.replace('^', "")));
    }
    said.iter().any(|name| !name.is_empty() && registered.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use mingying_kernel::{OrgId, PatientId, Timestamp};
    use mingying_patients::{Identifier, IdentifierKind, Sex};

    fn patient() -> Patient {
        Patient {
            id: PatientId::new(),
            org: OrgId::new(),
            name: "张三丰".into(),
            name_latin: "Zhang Sanfeng".into(),
            sex: Sex::Male,
            birth_date: Some(date(1970, 1, 2)),
            phone: None,
            address: None,
            identifiers: vec![Identifier { issuer: "HOSP".into(), kind: IdentifierKind::Mrn, value: "M001".into() }],
            alerts: Vec::new(),
            temporary: false,
            version: 1,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    fn images(id: &str, alphabetic: &str, ideographic: &str, birth: Option<Date>) -> Identity {
        Identity { id: id.into(), alphabetic: alphabetic.into(), ideographic: ideographic.into(), birth_date: birth }
    }

    #[test]
    fn the_same_person_in_many_spellings_is_plausible() {
        for identity in [
            images("M001", "Zhang^Sanfeng", "张^三丰", Some(date(1970, 1, 2))),
            images("m001", "ZHANG^SANFENG", "", None),
            images("M001", "张三丰", "", None),
            images("M001", "SANFENG ZHANG", "", None),
            images("M001", "", "", None),
            images("", "", "", None),
            // The number was typed at the console.
            images("CT-17", "Zhang^Sanfeng", "", Some(date(1970, 1, 2))),
            // The name was misspelt.
            images("M001", "Zhang^Sanfen", "", Some(date(1970, 1, 2))),
        ] {
            assert_eq!(compare(&identity, &patient()), Verdict::Plausible, "{identity:?}");
        }
    }

    #[test]
    fn somebody_else_differs() {
        for identity in [
            images("M002", "Li^Si", "李^四", Some(date(1980, 5, 6))),
            images("M002", "Li^Si", "", None),
            images("M002", "", "", None),
            images("", "Li^Si", "", None),
            // The same name, another number and another birth date: a namesake.
            images("M002", "Zhang^Sanfeng", "张^三丰", Some(date(1980, 5, 6))),
            // The right number with another name and another birth date: the wrong worklist line was picked.
            images("M001", "Li^Si", "李^四", Some(date(1980, 5, 6))),
        ] {
            assert_eq!(compare(&identity, &patient()), Verdict::Differs, "{identity:?}");
        }
    }
}
