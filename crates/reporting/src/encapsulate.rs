//! A signed report as a DICOM Encapsulated PDF (PS3.3 A.45.1), to stand in the study beside its images.

use crate::ReportError;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use uuid::Uuid;

/// What the object says beside the PDF. Dates are `YYYYMMDD`, times `HHMMSS`, in the facility's zone; names are whole
/// PN values, `Zhang^San=张^三`.
#[derive(Debug, Clone, Default)]
pub struct PdfMeta {
    pub study_uid: String,
    /// What makes series and instance unique and the same on each try: the hash of the report version.
    pub seed: String,
    pub patient_name: String,
    pub patient_id: String,
    pub patient_id_issuer: String,
    pub birth_date: String,
    pub sex: String,
    pub accession: String,
    pub study_id: String,
    pub study_date: String,
    pub study_time: String,
    pub referring_physician: String,
    pub study_description: String,
    /// Of the signature.
    pub content_date: String,
    pub content_time: String,
    pub title: String,
    pub institution: String,
    pub version: u32,
}

/// Series number under which reports sort behind the images.
const SERIES_NUMBER: &str = "9900";

/// A UID under 2.25 from a name-based UUID (PS3.5 B.2): the same seed gives the same UID.
fn uid(seed: &str, what: &str) -> String {
    format!("2.25.{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{what} {seed}").as_bytes()).as_u128())
}

/// The SOP Instance UID that `encapsulate_pdf` gives to this seed.
pub fn sop_uid_of(seed: &str) -> String {
    uid(seed, "report instance")
}

/// The whole Part 10 file, Explicit VR Little Endian, ISO_IR 192.
pub fn encapsulate_pdf(pdf: &[u8], meta: &PdfMeta) -> Result<Vec<u8>, ReportError> {
    if !pdf.starts_with(b"%PDF-") {
        return Err(ReportError::Encapsulate("not a PDF"));
    }
    let sop_uid = sop_uid_of(&meta.seed);
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag: Tag, vr: VR, value: &str| {
        let value = if value.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(value) };
        object.put(DataElement::new(tag, vr, value));
    };
    put(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    put(tags::SOP_CLASS_UID, VR::UI, uids::ENCAPSULATED_PDF_STORAGE);
    put(tags::SOP_INSTANCE_UID, VR::UI, &sop_uid);
    put(tags::STUDY_DATE, VR::DA, &meta.study_date);
    put(tags::CONTENT_DATE, VR::DA, &meta.content_date);
    put(tags::ACQUISITION_DATE_TIME, VR::DT, "");
    put(tags::STUDY_TIME, VR::TM, &meta.study_time);
    put(tags::CONTENT_TIME, VR::TM, &meta.content_time);
    put(tags::ACCESSION_NUMBER, VR::SH, &meta.accession);
    put(tags::MODALITY, VR::CS, "DOC");
    put(tags::CONVERSION_TYPE, VR::CS, "WSD");
    put(tags::MANUFACTURER, VR::LO, "Mingying");
    put(tags::INSTITUTION_NAME, VR::LO, &limited(&meta.institution, 64));
    put(tags::REFERRING_PHYSICIAN_NAME, VR::PN, &meta.referring_physician);
    put(tags::STUDY_DESCRIPTION, VR::LO, &limited(&meta.study_description, 64));
    put(tags::SERIES_DESCRIPTION, VR::LO, &limited(&meta.title, 64));
    put(tags::PATIENT_NAME, VR::PN, &meta.patient_name);
    put(tags::PATIENT_ID, VR::LO, &limited(&meta.patient_id, 64));
    if !meta.patient_id_issuer.is_empty() {
        put(tags::ISSUER_OF_PATIENT_ID, VR::LO, &limited(&meta.patient_id_issuer, 64));
    }
    put(tags::PATIENT_BIRTH_DATE, VR::DA, &meta.birth_date);
    put(tags::PATIENT_SEX, VR::CS, &meta.sex);
    put(tags::STUDY_INSTANCE_UID, VR::UI, &meta.study_uid);
    put(tags::SERIES_INSTANCE_UID, VR::UI, &uid(&meta.seed, "report series"));
    put(tags::STUDY_ID, VR::SH, &meta.study_id);
    put(tags::SERIES_NUMBER, VR::IS, SERIES_NUMBER);
    put(tags::INSTANCE_NUMBER, VR::IS, &meta.version.to_string());
    put(tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    put(tags::DOCUMENT_TITLE, VR::ST, &limited(&meta.title, 1024));
    put(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, "application/pdf");

    // LOINC "Diagnostic imaging study" (PS3.16 CID 7020).
    let mut code = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::CODE_VALUE, VR::SH, "18748-4"),
        (tags::CODING_SCHEME_DESIGNATOR, VR::SH, "LN"),
        (tags::CODE_MEANING, VR::LO, "Diagnostic imaging study"),
    ] {
        code.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    object.put(DataElement::new(tags::CONCEPT_NAME_CODE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![code])));
    let mut bytes = pdf.to_vec();
    let length = u32::try_from(bytes.len()).map_err(|_| ReportError::Encapsulate("too large"))?;
    if bytes.len() % 2 == 1 {
        // PS3.5 8.2: OB is padded to even length; the real one stands beside it (PS3.3 C.24.2).
        bytes.push(0);
    }
    object.put(DataElement::new(tags::ENCAPSULATED_DOCUMENT, VR::OB, PrimitiveValue::from(bytes)));
    object.put(DataElement::new(tags::ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, PrimitiveValue::from(length)));

    let file = object
        .with_meta(
            FileMetaTableBuilder::new()
                .media_storage_sop_class_uid(uids::ENCAPSULATED_PDF_STORAGE)
                .media_storage_sop_instance_uid(&sop_uid)
                .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        )
        .map_err(|_| ReportError::Encapsulate("file meta information"))?;
    let mut out = Vec::with_capacity(pdf.len() + 4096);
    file.write_all(&mut out).map_err(|_| ReportError::Encapsulate("data set"))?;
    Ok(out)
}

fn limited(text: &str, max: usize) -> String {
    text.chars().filter(|c| *c != '\\').take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_object::from_reader;

    fn meta() -> PdfMeta {
        PdfMeta {
            study_uid: "1.2.3".into(),
            seed: "abc".into(),
            patient_name: "Zhang^San=张^三".into(),
            patient_id: "M001".into(),
            accession: "A1".into(),
            sex: "M".into(),
            title: "CT 检查报告单".into(),
            content_date: "20260302".into(),
            version: 3,
            ..PdfMeta::default()
        }
    }

    #[test]
    fn the_object_reads_back_with_chinese_names_and_the_exact_pdf() {
        let pdf = b"%PDF-1.7 odd!";
        let file = encapsulate_pdf(pdf, &meta()).unwrap();
        let object = from_reader(file.as_slice()).unwrap();
        let text = |tag: Tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
        assert_eq!(text(tags::PATIENT_NAME), "Zhang^San=张^三");
        assert_eq!(text(tags::SERIES_DESCRIPTION), "CT 检查报告单");
        assert_eq!(text(tags::STUDY_INSTANCE_UID), "1.2.3");
        assert_eq!(text(tags::SOP_INSTANCE_UID), sop_uid_of("abc"));
        let bytes = object.element(tags::ENCAPSULATED_DOCUMENT).unwrap().to_bytes().unwrap().into_owned();
        let length: usize = object.element(tags::ENCAPSULATED_DOCUMENT_LENGTH).unwrap().to_int().unwrap();
        assert_eq!(&bytes[..length], pdf);
        assert_eq!(bytes.len() % 2, 0);
    }

    #[test]
    fn the_same_version_is_the_same_object() {
        assert_eq!(encapsulate_pdf(b"%PDF-x", &meta()).unwrap(), encapsulate_pdf(b"%PDF-x", &meta()).unwrap());
        assert_ne!(sop_uid_of("abc"), sop_uid_of("abd"));
        assert!(sop_uid_of("abc").len() <= 64);
        assert!(encapsulate_pdf(b"<html>", &meta()).is_err());
    }
}
