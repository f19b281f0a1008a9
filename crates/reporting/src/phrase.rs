//! Phrases: short texts that are put into a report while writing, a person's own and the department's (R-4.2.6-d).
//!
//! Places such as `{患者年龄}` are filled from the case when the phrase is put in; `{大小}` stays for the writer. Both
//! are the client's: here a phrase is text. Everybody keeps own phrases; shared ones need `template.edit`.

use crate::{Author, EditTemplate, ReportError, UsePhrases, spelling::spelled, store_phrases as store};
use mingying_access::{Outcome, audit};
use mingying_db::{Db, Tx};
use mingying_kernel::{OrgId, Permit, PhraseId, Timestamp, words};
use std::collections::{HashMap, HashSet};

words! {
    /// The part of a report a phrase belongs to.
    Section {
        Findings = "findings",
        Impression = "impression",
        Advice = "advice",
    }
}

/// Most phrases of one shelf: a person's, or the department's.
pub const PHRASES_MAX: usize = 2000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPhrase {
    /// What one types to get it: letters and digits, lower case, unique on its shelf. May be empty.
    pub code: String,
    pub name: String,
    /// A heading to find it under; may be empty.
    pub category: String,
    /// Empty fits every modality.
    pub modality: String,
    /// Empty fits every body part.
    pub body_part: String,
    /// Where it goes; `None` is where the cursor is.
    pub section: Option<Section>,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    pub id: PhraseId,
    pub shared: bool,
    pub content: NewPhrase,
    /// The name in pinyin, a space between syllables.
    pub spelled: String,
    /// Counts changes; a writer names the one it saw.
    pub version: i64,
    pub updated_at: Timestamp,
    pub updated_by: Author,
    pub deleted_at: Option<Timestamp>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    pub added: u32,
    /// Had the same code, or without a code the same category and name, and another content.
    pub changed: u32,
    pub same: u32,
}

impl NewPhrase {
    /// Trims and bounds. The code is folded to lower case, so that it is found however it is typed.
    fn checked(self) -> Result<Self, ReportError> {
        let line = |field: &'static str, text: &str, max: usize| {
            let text = text.trim();
            let fits = text.chars().count() <= max && !text.chars().any(char::is_control);
            if fits { Ok(text.to_owned()) } else { Err(ReportError::Invalid { field }) }
        };
        let checked = Self {
            code: line("code", &self.code, 24)?.to_lowercase(),
            name: line("name", &self.name, 64)?,
            category: line("category", &self.category, 32)?,
            modality: line("modality", &self.modality, 16)?,
            body_part: line("body_part", &self.body_part, 16)?,
            section: self.section,
            text: self.text.replace("\r\n", "\n").trim().to_owned(),
        };
        if checked.name.is_empty() {
            return Err(ReportError::Invalid { field: "name" });
        }
        if !checked.code.chars().all(char::is_alphanumeric) {
            return Err(ReportError::Invalid { field: "code" });
        }
        let text = &checked.text;
        if text.is_empty()
            || text.chars().count() > 4000
            || text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            return Err(ReportError::Invalid { field: "text" });
        }
        Ok(checked)
    }

    /// Whether an import means this one by that one.
    fn answers_to(&self, other: &Self) -> bool {
        if self.code.is_empty() && other.code.is_empty() {
            self.category == other.category && self.name == other.name
        } else {
            self.code == other.code
        }
    }
}

/// One person's phrases, or the department's.
struct Shelf {
    org: OrgId,
    /// Empty for the department's.
    owner: String,
}

async fn shelf(tx: &mut Tx, permit: &Permit<UsePhrases>, shared: bool) -> Result<Shelf, ReportError> {
    let org = mingying_patients::home_org_in(tx, permit.scope()).await?;
    let owner = if shared {
        permit.ctx().permit::<EditTemplate>()?;
        String::new()
    } else {
        permit.actor().id.clone()
    };
    // Changes of one shelf come one after the other: codes stay unique and ranks dense.
    tx.lock(store::shelf_key(org, &owner)).await?;
    Ok(Shelf { org, owner })
}

/// Loads for change, when the caller may change it. Somebody else's phrase is invisible.
async fn take(tx: &mut Tx, permit: &Permit<UsePhrases>, id: PhraseId) -> Result<(Shelf, Phrase), ReportError> {
    let shared = match store::owner(tx, permit.scope(), id).await? {
        Some(owner) if owner.is_empty() => true,
        Some(owner) if owner == permit.actor().id => false,
        _ => return Err(ReportError::PhraseNotFound),
    };
    let shelf = shelf(tx, permit, shared).await?;
    // Read again under the lock.
    let phrase = store::load(tx, permit.scope(), id).await?.ok_or(ReportError::PhraseNotFound)?;
    Ok((shelf, phrase))
}

async fn note(tx: &mut Tx, permit: &Permit<UsePhrases>, id: &str, what: &str) -> Result<(), ReportError> {
    Ok(audit(tx, permit.ctx(), permit.action(), "phrase", id, Outcome::Done, what).await?)
}

async fn code_is_free(tx: &mut Tx, shelf: &Shelf, code: &str, except: PhraseId) -> Result<(), ReportError> {
    match store::with_code(tx, shelf.org, &shelf.owner, code).await? {
        Some(id) if !code.is_empty() && id != except => Err(ReportError::CodeTaken),
        _ => Ok(()),
    }
}

/// The caller's phrases and the department's, in their order; with `deleted` those that can be brought back, the
/// latest first.
pub async fn phrases(db: &Db, permit: &Permit<UsePhrases>, deleted: bool) -> Result<Vec<Phrase>, ReportError> {
    Ok(store::list(db, permit.scope(), &permit.actor().id, deleted).await?)
}

/// Puts a phrase at the end of the caller's shelf or the department's.
pub async fn add_phrase(
    db: &Db,
    permit: &Permit<UsePhrases>,
    shared: bool,
    new: NewPhrase,
) -> Result<Phrase, ReportError> {
    let mut tx = db.begin().await?;
    let phrase = add_phrase_in(&mut tx, permit, shared, new).await?;
    tx.commit().await?;
    Ok(phrase)
}

async fn add_phrase_in(
    tx: &mut Tx,
    permit: &Permit<UsePhrases>,
    shared: bool,
    new: NewPhrase,
) -> Result<Phrase, ReportError> {
    let content = new.checked()?;
    let shelf = shelf(tx, permit, shared).await?;
    let phrase = fresh(permit, shared, content);
    code_is_free(tx, &shelf, &phrase.content.code, phrase.id).await?;
    let count = store::count(tx, shelf.org, &shelf.owner).await?;
    if count >= PHRASES_MAX {
        return Err(ReportError::ShelfFull { max: PHRASES_MAX });
    }
    store::insert(tx, shelf.org, &shelf.owner, &phrase).await?;
    note(tx, permit, &phrase.id.to_string(), "add").await?;
    Ok(phrase)
}

fn fresh(permit: &Permit<UsePhrases>, shared: bool, content: NewPhrase) -> Phrase {
    Phrase {
        id: PhraseId::new(),
        shared,
        spelled: spelled(&content.name),
        content,
        version: 1,
        updated_at: permit.now(),
        updated_by: Author { id: permit.actor().id.clone(), name: permit.actor().name.clone() },
        deleted_at: None,
    }
}

/// Changes a phrase. `version` is the one that the writer saw.
pub async fn edit_phrase(
    db: &Db,
    permit: &Permit<UsePhrases>,
    id: PhraseId,
    version: i64,
    new: NewPhrase,
) -> Result<Phrase, ReportError> {
    let content = new.checked()?;
    let mut tx = db.begin().await?;
    let (shelf, old) = take(&mut tx, permit, id).await?;
    if old.deleted_at.is_some() {
        return Err(ReportError::PhraseNotFound);
    }
    if old.version != version {
        return Err(ReportError::PhraseStale { version: old.version });
    }
    code_is_free(&mut tx, &shelf, &content.code, id).await?;
    let phrase = Phrase { id, version: version + 1, ..fresh(permit, old.shared, content) };
    store::update(&mut tx, &phrase).await?;
    note(&mut tx, permit, &id.to_string(), "edit").await?;
    tx.commit().await?;
    Ok(phrase)
}

/// Deletes a phrase; `restore_phrase` brings it back.
pub async fn delete_phrase(db: &Db, permit: &Permit<UsePhrases>, id: PhraseId) -> Result<(), ReportError> {
    let mut tx = db.begin().await?;
    let (_, phrase) = take(&mut tx, permit, id).await?;
    if phrase.deleted_at.is_none() {
        store::set_deleted(&mut tx, id, Some(permit.now())).await?;
        note(&mut tx, permit, &id.to_string(), "delete").await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Brings a deleted phrase back to its place. Its code may have been given to another meanwhile.
pub async fn restore_phrase(db: &Db, permit: &Permit<UsePhrases>, id: PhraseId) -> Result<Phrase, ReportError> {
    let mut tx = db.begin().await?;
    let (shelf, phrase) = take(&mut tx, permit, id).await?;
    if phrase.deleted_at.is_some() {
        code_is_free(&mut tx, &shelf, &phrase.content.code, id).await?;
        if store::count(&mut tx, shelf.org, &shelf.owner).await? >= PHRASES_MAX {
            return Err(ReportError::ShelfFull { max: PHRASES_MAX });
        }
        store::set_deleted(&mut tx, id, None).await?;
        note(&mut tx, permit, &id.to_string(), "restore").await?;
    }
    let phrase = store::load(&mut tx, permit.scope(), id).await?.ok_or(ReportError::PhraseNotFound)?;
    tx.commit().await?;
    Ok(phrase)
}

/// Puts the named phrases of one shelf first, in this order; those not named keep theirs after them.
pub async fn arrange_phrases(
    db: &Db,
    permit: &Permit<UsePhrases>,
    shared: bool,
    order: &[PhraseId],
) -> Result<(), ReportError> {
    let mut tx = db.begin().await?;
    let shelf = shelf(&mut tx, permit, shared).await?;
    let now = store::ranked(&mut tx, shelf.org, &shelf.owner).await?;
    let old: HashMap<PhraseId, usize> = now.iter().copied().collect();
    let named: HashSet<PhraseId> = order.iter().copied().collect();
    if named.len() != order.len() || order.iter().any(|id| !old.contains_key(id)) {
        return Err(ReportError::PhraseNotFound);
    }
    let rest = now.iter().map(|(id, _)| *id).filter(|id| !named.contains(id));
    for (rank, id) in order.iter().copied().chain(rest).enumerate() {
        // Moving one phrase leaves most in place.
        if old.get(&id) != Some(&rank) {
            store::set_rank(&mut tx, id, rank).await?;
        }
    }
    note(&mut tx, permit, if shared { "shared" } else { "own" }, "arrange").await?;
    tx.commit().await?;
    Ok(())
}

/// Takes over phrases from elsewhere, all or none. One that is known by its code, or without a code by category and
/// name, is replaced.
pub async fn import_phrases(
    db: &Db,
    permit: &Permit<UsePhrases>,
    shared: bool,
    new: Vec<NewPhrase>,
) -> Result<Imported, ReportError> {
    if new.len() > PHRASES_MAX {
        return Err(ReportError::ShelfFull { max: PHRASES_MAX });
    }
    let mut tx = db.begin().await?;
    let shelf = shelf(&mut tx, permit, shared).await?;
    let mut known: Vec<Phrase> = store::of_shelf(&mut tx, shelf.org, &shelf.owner).await?;
    let mut done = Imported::default();
    for new in new {
        let content = new.checked()?;
        match known.iter_mut().find(|phrase| phrase.content.answers_to(&content)) {
            Some(phrase) if phrase.content == content => done.same += 1,
            Some(phrase) => {
                let (id, version) = (phrase.id, phrase.version + 1);
                *phrase = Phrase { id, version, ..fresh(permit, shared, content) };
                store::update(&mut tx, phrase).await?;
                done.changed += 1;
            }
            None => {
                if known.len() >= PHRASES_MAX {
                    return Err(ReportError::ShelfFull { max: PHRASES_MAX });
                }
                let phrase = fresh(permit, shared, content);
                store::insert(&mut tx, shelf.org, &shelf.owner, &phrase).await?;
                known.push(phrase);
                done.added += 1;
            }
        }
    }
    note(&mut tx, permit, if shared { "shared" } else { "own" }, "import").await?;
    tx.commit().await?;
    Ok(done)
}
