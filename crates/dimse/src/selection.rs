//! What a C-MOVE or C-GET asks for (PS3.4 C.4.2.2.1): the unique keys of an identifier as instances of the archive.

use crate::dataset::DataSet;
use crate::find::QueryLevel;
use crate::negotiate::Root;
use crate::status;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use mingying_archive::{Archive, ArchiveError, InstanceRef, Level, Query, ReadStudies};
use mingying_kernel::{Coded, Permit};
use std::collections::{BTreeSet, VecDeque};

/// Studies that one request may name, by their UIDs or as those of a patient.
const MAX_STUDIES: usize = 10_000;

pub(crate) type Refusal = (u16, &'static str);

/// The instances that were asked for, a study at a time: what is in memory is bounded by one study, not by a patient.
pub(crate) struct Selection {
    permit: Permit<ReadStudies>,
    level: QueryLevel,
    series: BTreeSet<String>,
    objects: BTreeSet<String>,
    /// Those with an instance that was asked for, as far as they were not taken yet.
    studies: VecDeque<String>,
    /// The instances of the first of them, kept from counting.
    first: Option<Vec<InstanceRef>>,
    /// Instances over all studies.
    pub(crate) total: usize,
}

impl Selection {
    pub(crate) async fn of(
        archive: &Archive,
        permit: Permit<ReadStudies>,
        root: Root,
        identifier: &DataSet,
    ) -> Result<Self, Refusal> {
        let level = QueryLevel::of(identifier, root).ok_or((status::DOES_NOT_MATCH, "dimse.level"))?;
        let mut this = Self {
            permit,
            level,
            series: list(identifier, tags::SERIES_INSTANCE_UID),
            objects: list(identifier, tags::SOP_INSTANCE_UID),
            studies: VecDeque::new(),
            first: None,
            total: 0,
        };
        for study in this.named_studies(archive, identifier).await? {
            let found = this.of_study(archive, &study).await.map_err(refusal)?;
            if found.is_empty() {
                continue;
            }
            this.total += found.len();
            this.studies.push_back(study);
            this.first.get_or_insert(found);
        }
        Ok(this)
    }

    /// UIDs of the studies in which there is something to send.
    pub(crate) fn studies(&self) -> impl Iterator<Item = &str> {
        self.studies.iter().map(String::as_str)
    }

    /// The instances of the next study; `None` when all were given.
    pub(crate) async fn next(&mut self, archive: &Archive) -> Result<Option<Vec<InstanceRef>>, ArchiveError> {
        let Some(study) = self.studies.pop_front() else { return Ok(None) };
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.of_study(archive, &study).await.map(Some),
        }
    }

    async fn of_study(&self, archive: &Archive, study: &str) -> Result<Vec<InstanceRef>, ArchiveError> {
        let mut found = archive.instances_of(&self.permit, study, None, None).await?;
        found.retain(|instance| match self.level {
            QueryLevel::Patient | QueryLevel::Archive(Level::Study) => true,
            QueryLevel::Archive(Level::Series) => self.series.contains(&instance.series_uid),
            QueryLevel::Archive(Level::Instance) => {
                self.objects.contains(&instance.sop_uid)
                    && (self.series.is_empty() || self.series.contains(&instance.series_uid))
            }
        });
        Ok(found)
    }

    /// The studies that the identifier names: by their UIDs; at the PATIENT level as those of a patient; else, without
    /// the UIDs of the higher levels (relational retrieval, PS3.4 C.4.2.2.2), as those of its series or objects.
    async fn named_studies(&self, archive: &Archive, identifier: &DataSet) -> Result<BTreeSet<String>, Refusal> {
        let missing = (status::DOES_NOT_MATCH, "dimse.unique_key");
        let studies = list(identifier, tags::STUDY_INSTANCE_UID);
        let key = match self.level {
            QueryLevel::Patient => tags::PATIENT_ID,
            QueryLevel::Archive(Level::Study) => tags::STUDY_INSTANCE_UID,
            QueryLevel::Archive(Level::Series) => tags::SERIES_INSTANCE_UID,
            QueryLevel::Archive(Level::Instance) => tags::SOP_INSTANCE_UID,
        };
        let value = identifier.text(key);
        // A wildcard would send the whole archive; a patient is one, of lists only UIDs are made.
        if list(identifier, key).is_empty()
            || value.contains(['*', '?'])
            || (self.level == QueryLevel::Patient && value.contains('\\'))
        {
            return Err(missing);
        }
        if self.level != QueryLevel::Patient && !studies.is_empty() {
            return if studies.len() > MAX_STUDIES { Err(TOO_BROAD) } else { Ok(studies) };
        }
        let mut keys = vec![(key, value.to_owned())];
        if self.level == QueryLevel::Patient {
            let issuer = identifier.text(tags::ISSUER_OF_PATIENT_ID);
            keys.push((tags::ISSUER_OF_PATIENT_ID, issuer.to_owned()));
        }
        self.found_studies(archive, &keys).await
    }

    async fn found_studies(&self, archive: &Archive, keys: &[(Tag, String)]) -> Result<BTreeSet<String>, Refusal> {
        let rows = match self.level {
            QueryLevel::Patient => Level::Study,
            QueryLevel::Archive(level) => level,
        };
        let query = Query::from_attributes(rows, keys).map_err(refusal)?;
        let (mut found, mut after): (BTreeSet<String>, Option<String>) = (BTreeSet::new(), None);
        loop {
            let query = match &after {
                Some(cursor) => query.clone().after(cursor).map_err(refusal)?,
                None => query.clone(),
            };
            after = match rows {
                Level::Study => {
                    let page = archive.find_studies(&self.permit, &query).await.map_err(refusal)?;
                    found.extend(page.items.into_iter().map(|row| row.study_uid));
                    page.next
                }
                Level::Series => {
                    let page = archive.find_series(&self.permit, &query).await.map_err(refusal)?;
                    found.extend(page.items.into_iter().map(|row| row.study.study_uid));
                    page.next
                }
                Level::Instance => {
                    let page = archive.find_instances(&self.permit, &query).await.map_err(refusal)?;
                    found.extend(page.items.into_iter().map(|row| row.instance.study_uid));
                    page.next
                }
            };
            if found.len() > MAX_STUDIES {
                return Err(TOO_BROAD);
            }
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

const TOO_BROAD: Refusal = (status::NO_MATCHES, "dimse.too_broad");

fn refusal(error: ArchiveError) -> Refusal {
    (status::of_retrieval(&error), error.code())
}

fn list(identifier: &DataSet, tag: Tag) -> BTreeSet<String> {
    identifier.text(tag).split('\\').map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned).collect()
}
