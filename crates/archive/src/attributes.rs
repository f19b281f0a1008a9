//! Rows as data sets, for C-FIND and QIDO-RS.

use crate::model::{InstanceRow, SeriesRow, StudyRow};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// The row as a data set with every attribute the archive knows of that level and the levels above, Specific
/// Character Set ISO_IR 192. Absent values are empty. Callers keep what was asked for.
pub trait Attributes {
    fn attributes(&self) -> InMemDicomObject;
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    let value = if value.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(value) };
    object.put(DataElement::new(tag, vr, value));
}

fn number(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: Option<i64>) {
    let value = match value {
        None => PrimitiveValue::Empty,
        Some(value) if vr == VR::US => PrimitiveValue::from(u16::try_from(value).unwrap_or(0)),
        Some(value) => PrimitiveValue::from(value.to_string()),
    };
    object.put(DataElement::new(tag, vr, value));
}

impl Attributes for StudyRow {
    fn attributes(&self) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        let o = &mut object;
        put(o, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
        put(o, tags::STUDY_DATE, VR::DA, &self.study_date);
        put(o, tags::STUDY_TIME, VR::TM, &self.study_time);
        put(o, tags::ACCESSION_NUMBER, VR::SH, &self.accession);
        put(o, tags::INSTANCE_AVAILABILITY, VR::CS, "ONLINE");
        let modalities = match &*self.modalities {
            [] => PrimitiveValue::Empty,
            several => PrimitiveValue::Strs(several.iter().cloned().collect()),
        };
        o.put(DataElement::new(tags::MODALITIES_IN_STUDY, VR::CS, modalities));
        put(o, tags::INSTITUTION_NAME, VR::LO, &self.institution);
        put(o, tags::REFERRING_PHYSICIAN_NAME, VR::PN, &self.referring_physician.to_string());
        put(o, tags::STUDY_DESCRIPTION, VR::LO, &self.description);
        put(o, tags::PATIENT_NAME, VR::PN, &self.patient_name.to_string());
        put(o, tags::PATIENT_ID, VR::LO, &self.patient_id);
        put(o, tags::ISSUER_OF_PATIENT_ID, VR::LO, &self.patient_id_issuer);
        put(o, tags::PATIENT_BIRTH_DATE, VR::DA, &self.birth_date);
        put(o, tags::PATIENT_SEX, VR::CS, &self.sex);
        put(o, tags::STUDY_INSTANCE_UID, VR::UI, &self.study_uid);
        put(o, tags::STUDY_ID, VR::SH, &self.study_id);
        number(o, tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, Some(self.series));
        number(o, tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, Some(self.instances));
        object
    }
}

impl Attributes for SeriesRow {
    fn attributes(&self) -> InMemDicomObject {
        let mut object = self.study.attributes();
        let o = &mut object;
        put(o, tags::SERIES_DATE, VR::DA, &self.series_date);
        put(o, tags::SERIES_TIME, VR::TM, &self.series_time);
        put(o, tags::MODALITY, VR::CS, &self.modality);
        put(o, tags::MANUFACTURER, VR::LO, &self.manufacturer);
        put(o, tags::STATION_NAME, VR::SH, &self.station_name);
        put(o, tags::SERIES_DESCRIPTION, VR::LO, &self.description);
        put(o, tags::BODY_PART_EXAMINED, VR::CS, &self.body_part);
        put(o, tags::PROTOCOL_NAME, VR::LO, &self.protocol);
        put(o, tags::SERIES_INSTANCE_UID, VR::UI, &self.series_uid);
        number(o, tags::SERIES_NUMBER, VR::IS, self.number);
        put(o, tags::LATERALITY, VR::CS, &self.laterality);
        number(o, tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS, Some(self.instances));
        object
    }
}

impl Attributes for InstanceRow {
    fn attributes(&self) -> InMemDicomObject {
        let mut object = self.series.attributes();
        let o = &mut object;
        put(o, tags::SOP_CLASS_UID, VR::UI, &self.instance.sop_class);
        put(o, tags::SOP_INSTANCE_UID, VR::UI, &self.instance.sop_uid);
        put(o, tags::CONTENT_DATE, VR::DA, &self.content_date);
        put(o, tags::CONTENT_TIME, VR::TM, &self.content_time);
        number(o, tags::INSTANCE_NUMBER, VR::IS, self.instance.number);
        number(o, tags::ROWS, VR::US, self.instance.rows);
        number(o, tags::COLUMNS, VR::US, self.instance.columns);
        number(o, tags::BITS_ALLOCATED, VR::US, self.instance.bits_allocated);
        if self.instance.frames > 0 {
            number(o, tags::NUMBER_OF_FRAMES, VR::IS, Some(self.instance.frames));
        }
        // What can be had without transcoding.
        let mut available = vec![self.instance.transfer_syntax.clone()];
        available.extend(self.instance.sibling.map(|_| crate::SIBLING_SYNTAX.to_owned()));
        o.put(DataElement::new(tags::AVAILABLE_TRANSFER_SYNTAX_UID, VR::UI, PrimitiveValue::Strs(available.into())));
        object
    }
}
