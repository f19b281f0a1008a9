use crate::ArchiveError;
use crate::model::{InstanceRow, SeriesRow, StudyRow};
use dicom_core::Tag;
use dicom_object::InMemDicomObject;

/// The level of a query (PS3.4 C.6.2, PS3.18 10.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Study,
    Series,
    Instance,
}

/// A person name in its three groups (PS3.5 6.2.1), decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonName {
    pub alphabetic: String,
    pub ideographic: String,
    pub phonetic: String,
}

impl PersonName {
    /// Splits `Zhang^San=张^三=…`.
    pub fn parse(text: &str) -> Self {
        let mut groups = text.split('=').map(|g| g.trim().to_owned());
        let mut next = || groups.next().unwrap_or_default();
        Self { alphabetic: next(), ideographic: next(), phonetic: next() }
    }

    /// The DICOM form with all groups that are there.
    pub fn to_dicom(&self) -> String {
        format!("{}={}={}", self.alphabetic, self.ideographic, self.phonetic).trim_end_matches('=').to_owned()
    }

    /// What a list shows: the ideographic name where there is one, carets as spaces for Latin names.
    pub fn display(&self) -> String {
        if self.ideographic.is_empty() {
            self.alphabetic.split('^').filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
        } else {
            self.ideographic.replace('^', "")
        }
    }
}

/// A query in the terms of PS3.4 C.2.2.2; C-FIND and QIDO-RS share it.
#[derive(Debug, Clone)]
pub struct Query {
    pub level: Level,
}

impl Query {
    /// From the keys of an identifier or of a query string; values are decoded Unicode. Empty values and `*` match
    /// everything; keys that the archive does not match on are ignored (they are return keys).
    pub fn from_attributes(level: Level, keys: &[(Tag, String)]) -> Result<Self, ArchiveError> {
        Ok(Self { level })
    }

    /// At most so many rows (default 1000).
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self
    }

    /// Skips rows; for QIDO-RS `offset`. Prefer `after`.
    #[must_use]
    pub fn offset(mut self, offset: u32) -> Self {
        self
    }

    /// Continues after the cursor of the page before.
    pub fn after(mut self, cursor: &str) -> Result<Self, ArchiveError> {
        Ok(self)
    }

    /// Free text over patient name, pinyin, patient id and accession, for the search field of a list.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self
    }
}

/// The row as a data set with every attribute the archive knows of that level and the levels above, Specific
/// Character Set ISO_IR 192. Callers keep what was asked for.
pub trait Attributes {
    fn attributes(&self) -> InMemDicomObject;
}

impl Attributes for StudyRow {
    fn attributes(&self) -> InMemDicomObject {
        InMemDicomObject::new_empty()
    }
}

impl Attributes for SeriesRow {
    fn attributes(&self) -> InMemDicomObject {
        InMemDicomObject::new_empty()
    }
}

impl Attributes for InstanceRow {
    fn attributes(&self) -> InMemDicomObject {
        InMemDicomObject::new_empty()
    }
}
