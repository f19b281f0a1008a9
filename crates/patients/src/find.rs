//! Finding people: by id, by what one types, by what looks alike.

use crate::store::{self, Branch};
use crate::{Identifier, Patient, PatientError, PatientSummary, ReadPatients, Sex, folded, sound};
use jiff::civil::Date;
use mingying_db::{Db, Tx};
use mingying_kernel::{PatientId, Permit, Scope};

/// One page of people and where the next one starts.
#[derive(Debug, Clone)]
pub struct Found {
    pub items: Vec<PatientSummary>,
    pub next: Option<String>,
}

/// What is known of somebody about to be registered.
#[derive(Debug, Clone, Default)]
pub struct SimilarQuery {
    pub name: String,
    pub birth_date: Option<Date>,
    pub sex: Option<Sex>,
    /// An empty issuer matches every issuer.
    pub identifiers: Vec<Identifier>,
    pub phone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimilarityReason {
    /// The same identifier: the same person.
    Identifier,
    /// A name that sounds the same and the same birth date: perhaps the same person, perhaps a namesake.
    NameBirth,
    Phone,
}

impl SimilarityReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::NameBirth => "name_birth",
            Self::Phone => "phone",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Similarity {
    pub patient: PatientSummary,
    pub reason: SimilarityReason,
    /// Registering would be refused.
    pub blocking: bool,
}

/// One patient; the read is audited.
pub async fn load(db: &Db, permit: &Permit<ReadPatients>, id: PatientId) -> Result<Patient, PatientError> {
    let patient = store::found(store::load(db, permit.scope(), id).await?)?;
    mingying_access::audit_read(db, permit, "patient", &id.to_string()).await?;
    Ok(patient)
}

/// Within a transaction, by whoever holds a scope.
pub async fn load_in(tx: &mut Tx, scope: Scope, id: PatientId) -> Result<Patient, PatientError> {
    store::found(store::load_in(tx, scope, id).await?)
}

/// Summaries of those that are visible, in no particular order.
pub async fn load_many(db: &Db, scope: Scope, ids: &[PatientId]) -> Result<Vec<PatientSummary>, PatientError> {
    Ok(store::load_many(db, scope, ids).await?)
}

/// Those that are visible, whole, for the interfaces that hand them on (worklists); duplicates are loaded once.
pub async fn load_full(db: &Db, scope: Scope, ids: &[PatientId]) -> Result<Vec<Patient>, PatientError> {
    let mut wanted = ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::with_capacity(wanted.len());
    for id in wanted {
        found.extend(store::load(db, scope, id).await?);
    }
    Ok(found)
}

/// Where to look for what was typed: Chinese characters are a name; letters are pinyin, in full or as initials, or
/// the beginning of a number; digits are a number or a telephone.
fn branches(text: &str) -> &'static [Branch] {
    let spelled = text.is_ascii();
    if !spelled {
        &[Branch::Name]
    } else if text.chars().any(|c| c.is_ascii_digit()) {
        &[Branch::Phone, Branch::Identifier]
    } else {
        &[Branch::Sound, Branch::Initials, Branch::Identifier]
    }
}

/// People by the beginning of a name, its pinyin, its initials, an identifier or a telephone number; without a text
/// the latest registrations. Each place is read through its own index range, so that the answer does not slow down
/// with the number of people.
pub async fn search(
    db: &Db,
    permit: &Permit<ReadPatients>,
    text: &str,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Found, PatientError> {
    let limit = limit.clamp(1, 200);
    let scope = permit.scope();
    let text = text.trim();
    if text.is_empty() {
        let mut items = store::recent(db, scope, cursor, limit + 1).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = if more { items.last().map(|p| p.id.to_string()) } else { None };
        return Ok(Found { items, next });
    }
    if text.chars().count() > 64 {
        return Err(PatientError::Invalid { field: "q" });
    }
    let list = branches(text);
    let (mut at, mut after) = match cursor {
        None => (0, None),
        Some(cursor) => {
            let mut parts = cursor.splitn(3, '|');
            let (branch, id, key) = (parts.next(), parts.next(), parts.next());
            match (branch.and_then(|b| b.parse::<usize>().ok()), id, key) {
                (Some(branch), Some(id), Some(key)) => (branch, Some((key.to_owned(), id.to_owned()))),
                _ => return Err(PatientError::Invalid { field: "cursor" }),
            }
        }
    };
    let mut items: Vec<PatientSummary> = Vec::new();
    let mut last = None;
    while let Some(branch) = list.get(at) {
        let wanted = limit + 1 - u32::try_from(items.len()).unwrap_or(limit);
        let earlier = list.get(..at).unwrap_or_default();
        let upper = text.to_uppercase();
        let folded_text = folded(text);
        let prefix = match branch {
            Branch::Identifier => upper.as_str(),
            Branch::Phone => text,
            _ => folded_text.as_str(),
        };
        let from = after.as_ref().map(|(key, id)| (key.as_str(), id.as_str()));
        let rows = store::branch_page(db, scope, *branch, earlier, prefix, from, wanted).await?;
        let full = rows.len() == wanted as usize;
        for (key, patient) in rows {
            if items.len() == limit as usize {
                return Ok(Found { items, next: last });
            }
            last = Some(format!("{at}|{}|{key}", patient.id));
            if !items.iter().any(|seen| seen.id == patient.id) {
                items.push(patient);
            }
        }
        if full {
            // Only identifiers of one person can make a page shorter than asked for; go on in the same place.
            after = last.as_deref().and_then(|l| {
                let mut parts = l.splitn(3, '|').skip(1);
                Some((parts.next().map(str::to_owned)?, parts.next().map(str::to_owned)?))
            });
            after = after.map(|(id, key)| (key, id));
            continue;
        }
        at += 1;
        after = None;
    }
    Ok(Found { items, next: None })
}

/// People who may be the one that is about to be registered.
pub async fn similar(
    db: &Db,
    permit: &Permit<ReadPatients>,
    query: &SimilarQuery,
) -> Result<Vec<Similarity>, PatientError> {
    let scope = permit.scope();
    let mut found: Vec<Similarity> = Vec::new();
    let mut ids = Vec::new();
    for identifier in &query.identifiers {
        ids.extend(store::owner_seen(db, scope, identifier).await?);
    }
    for patient in store::load_many(db, scope, &ids).await? {
        found.push(Similarity { patient, reason: SimilarityReason::Identifier, blocking: true });
    }
    let mut add = |patients: Vec<PatientSummary>, reason| {
        for patient in patients {
            if !found.iter().any(|s| s.patient.id == patient.id) {
                found.push(Similarity { patient, reason, blocking: false });
            }
        }
    };
    let name = query.name.trim();
    if let Some(birth) = query.birth_date
        && !name.is_empty()
    {
        let mut namesakes = store::same_birth(db, scope, &sound(name), birth).await?;
        if let Some(sex) = query.sex
            && sex != Sex::Unknown
        {
            namesakes.retain(|p| p.sex == sex || p.sex == Sex::Unknown);
        }
        add(namesakes, SimilarityReason::NameBirth);
    }
    if let Some(phone) = query.phone.as_deref().map(str::trim)
        && phone.len() >= 6
    {
        add(store::same_phone(db, scope, phone).await?, SimilarityReason::Phone);
    }
    Ok(found)
}
