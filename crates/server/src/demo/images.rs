//! Images for the demonstration's exams: DICOM files from a folder where there is one, else computed phantoms. Either
//! way they carry the identity of the demonstration's patient and order, as if the device had taken it from the
//! worklist.

use super::phantom::{Library, Series, Subject};
use super::said;
use crate::{Config, ServerError};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use futures::{StreamExt as _, TryStreamExt as _};
use mingying_archive::{Origin, StoreStudy};
use mingying_http::App;
use mingying_kernel::{DicomUid, Permit};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// How many files are stored at the same time; they share syncs.
const TOGETHER: usize = 8;

/// Series of files found in a folder, by modality.
pub(super) struct Images {
    found: HashMap<String, Vec<Vec<PathBuf>>>,
    library: Library,
}

impl Images {
    /// Looks into `$MINGYING_DEMO_DICOM`, then `demo-dicom` in the data folder. Files that are not DICOM are passed over.
    pub(super) fn find(config: &Config) -> Self {
        let dir =
            std::env::var_os("MINGYING_DEMO_DICOM").map_or_else(|| config.data_dir.join("demo-dicom"), PathBuf::from);
        let mut series: BTreeMap<(String, String), Vec<(i64, PathBuf)>> = BTreeMap::new();
        let mut folders = vec![dir];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
            paths.sort();
            for path in paths {
                if path.is_dir() {
                    folders.push(path);
                } else if let Some((modality, uid, number)) = look(&path) {
                    series.entry((modality, uid)).or_default().push((number, path));
                }
            }
        }
        let mut found: HashMap<String, Vec<Vec<PathBuf>>> = HashMap::new();
        for ((modality, _), mut files) in series {
            files.sort();
            found.entry(modality).or_default().push(files.into_iter().map(|(_, path)| path).collect());
        }
        // The largest series first: they show most.
        for list in found.values_mut() {
            list.sort_by_key(|files| std::cmp::Reverse(files.len()));
            list.reverse();
        }
        Self { found, library: Library::default() }
    }

    /// Stores one series for the subject's study.
    pub(super) async fn store(
        &mut self,
        app: &App,
        permit: &Permit<StoreStudy>,
        modality: &str,
        slices: usize,
        subject: &Subject,
    ) -> Result<(), ServerError> {
        let files = self.found.get_mut(modality).and_then(Vec::pop);
        if let Some(files) = files {
            let series_uid = DicomUid::generate().to_string();
            let made: Vec<Vec<u8>> = files.iter().filter_map(|path| rewritten(path, &series_uid, subject)).collect();
            if !made.is_empty() {
                return ingest(app, permit, &subject.station, made).await;
            }
        }
        let series = Series::new(modality, slices, subject);
        let made = series.files(&mut self.library).map_err(ServerError::Demo)?;
        ingest(app, permit, &subject.station, made).await
    }
}

async fn ingest(app: &App, permit: &Permit<StoreStudy>, station: &str, files: Vec<Vec<u8>>) -> Result<(), ServerError> {
    let source = format!("AE {station}");
    futures::stream::iter(files.into_iter().map(|file| {
        let mut origin = Origin::new(&source);
        origin.calling_aet = Some(station.to_owned());
        let mut receiving = app.archive.receive_part10(origin);
        async move {
            receiving.write(&file).await.map_err(said)?;
            receiving.finish(permit).await.map_err(said)?;
            Ok::<(), ServerError>(())
        }
    }))
    .buffer_unordered(TOGETHER)
    .try_collect::<()>()
    .await
}

fn look(path: &std::path::Path) -> Option<(String, String, i64)> {
    let object = dicom_object::OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(path).ok()?;
    let text = |tag| Some(object.element(tag).ok()?.to_str().ok()?.trim_end_matches(['\0', ' ']).to_owned());
    // Without pixels there is nothing to show.
    object.element(tags::ROWS).ok()?;
    let number = text(tags::INSTANCE_NUMBER).and_then(|number| number.parse().ok()).unwrap_or_default();
    Some((text(tags::MODALITY)?, text(tags::SERIES_INSTANCE_UID)?, number))
}

/// The file with the subject's identity, a new series and new instances: the original's owner does not appear.
fn rewritten(path: &std::path::Path, series_uid: &str, subject: &Subject) -> Option<Vec<u8>> {
    let mut object = dicom_object::open_file(path).ok()?;
    let sop_uid = DicomUid::generate().to_string();
    let date = subject.at.strftime("%Y%m%d").to_string();
    let time = subject.at.strftime("%H%M%S").to_string();
    for tag in [
        // Other Patient IDs and Ethnic Group, retired.
        Tag(0x0010, 0x1000),
        Tag(0x0010, 0x2160),
        tags::OTHER_PATIENT_I_DS_SEQUENCE,
        tags::OTHER_PATIENT_NAMES,
        tags::PATIENT_ADDRESS,
        tags::PATIENT_TELEPHONE_NUMBERS,
        tags::PATIENT_COMMENTS,
        tags::PATIENT_AGE,
        tags::ADDITIONAL_PATIENT_HISTORY,
        tags::REQUEST_ATTRIBUTES_SEQUENCE,
        tags::REFERRING_PHYSICIAN_NAME,
        tags::PERFORMING_PHYSICIAN_NAME,
        tags::OPERATORS_NAME,
        tags::NAME_OF_PHYSICIANS_READING_STUDY,
        tags::INSTITUTION_ADDRESS,
    ] {
        object.remove_element(tag);
    }
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::PATIENT_NAME, VR::PN, &subject.name),
        (tags::PATIENT_ID, VR::LO, &subject.id),
        (tags::ISSUER_OF_PATIENT_ID, VR::LO, &subject.issuer),
        (tags::PATIENT_BIRTH_DATE, VR::DA, &subject.birth_date),
        (tags::PATIENT_SEX, VR::CS, &subject.sex),
        (tags::ACCESSION_NUMBER, VR::SH, &subject.accession),
        (tags::STUDY_ID, VR::SH, &subject.accession),
        (tags::STUDY_INSTANCE_UID, VR::UI, &subject.study_uid),
        (tags::SERIES_INSTANCE_UID, VR::UI, series_uid),
        (tags::SOP_INSTANCE_UID, VR::UI, &sop_uid),
        (tags::STUDY_DESCRIPTION, VR::LO, &subject.description),
        (tags::INSTITUTION_NAME, VR::LO, &subject.institution),
        (tags::STATION_NAME, VR::SH, &subject.station),
        (tags::STUDY_DATE, VR::DA, &date),
        (tags::SERIES_DATE, VR::DA, &date),
        (tags::STUDY_TIME, VR::TM, &time),
        (tags::SERIES_TIME, VR::TM, &time),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    object.update_meta(|meta| meta.media_storage_sop_instance_uid.clone_from(&sop_uid));
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).ok()?;
    Some(bytes)
}
