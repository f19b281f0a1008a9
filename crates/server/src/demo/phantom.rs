//! Synthetic images: computed shapes, plainly no patient. Good enough to scroll, to window and to measure.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use jiff::Zoned;
use std::collections::HashMap;

/// Whose exam the images show, and when it was.
pub(super) struct Subject {
    /// PN with its groups: `Zhang^San=张^三`.
    pub name: String,
    pub id: String,
    pub issuer: String,
    /// `YYYYMMDD`, may be empty.
    pub birth_date: String,
    pub sex: String,
    pub accession: String,
    pub study_uid: String,
    pub description: String,
    pub station: String,
    pub institution: String,
    pub at: Zoned,
}

/// An ellipse: centre and radii in parts of half the image, rotation in radians, value added inside.
struct Ellipse(f32, f32, f32, f32, f32, f32);

impl Ellipse {
    fn add_to(&self, pixels: &mut [f32], size: usize) {
        let half = size as f32 / 2.0;
        let (sin, cos) = self.4.sin_cos();
        let reach = self.2.max(self.3);
        let place = |centre: f32, by: f32| ((centre + by) * half + half).clamp(0.0, size as f32) as usize;
        let (left, right) = (place(self.0, -reach), (place(self.0, reach) + 1).min(size));
        let (top, bottom) = (place(self.1, -reach), (place(self.1, reach) + 1).min(size));
        for (row, line) in pixels.chunks_exact_mut(size).enumerate().take(bottom).skip(top) {
            let dy = (row as f32 + 0.5 - half) / half - self.1;
            for (column, pixel) in line.iter_mut().enumerate().take(right).skip(left) {
                let dx = (column as f32 + 0.5 - half) / half - self.0;
                let (u, v) = ((dx * cos + dy * sin) / self.2, (dy * cos - dx * sin) / self.3);
                if u * u + v * v <= 1.0 {
                    *pixel += self.5;
                }
            }
        }
    }
}

/// A noise that is the same everywhere and always: reproducible images compress and compare alike.
fn noise(x: usize, y: usize, z: usize) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1)
        ^ (y as u32).wrapping_mul(0x85eb_ca6b)
        ^ (z as u32).wrapping_mul(0xc2b2_ae35);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    (h & 0xffff) as f32 / 65535.0 - 0.5
}

fn image(size: usize, slice: usize, shapes: &[Ellipse], grain: f32) -> Vec<f32> {
    let mut pixels = vec![0.0; size * size];
    for shape in shapes {
        shape.add_to(&mut pixels, size);
    }
    for (row, line) in pixels.chunks_exact_mut(size).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            *pixel += grain * noise(column, row, slice);
        }
    }
    pixels
}

/// A chest of ellipses in Hounsfield units: air -1000, lung -800, soft tissue 40, bone 700. `t` runs from 0 to 1.
fn chest(t: f32) -> Vec<Ellipse> {
    let lung = (std::f32::consts::PI * t).sin().max(0.05);
    let heart = (1.0 - (t - 0.65).abs() * 3.0).max(0.0);
    let nodule = (1.0 - (t - 0.4).abs() * 12.0).max(0.0);
    vec![
        Ellipse(0.0, 0.0, 0.86, 0.62, 0.0, 1040.0),
        Ellipse(-0.38, -0.05, 0.30 * lung, 0.42 * lung, 0.1, -840.0),
        Ellipse(0.38, -0.05, 0.30 * lung, 0.42 * lung, -0.1, -840.0),
        Ellipse(0.08, 0.02, 0.24 * heart, 0.20 * heart, 0.5, 30.0),
        Ellipse(0.02, 0.40, 0.09, 0.10, 0.0, 560.0),
        Ellipse(0.02, 0.30, 0.05, 0.05, 0.0, -20.0),
        Ellipse(-0.12, 0.22, 0.06, 0.06, 0.0, 60.0),
        Ellipse(0.42, -0.12, 0.05 * nodule, 0.05 * nodule, 0.0, 860.0),
    ]
}

/// A head of ellipses, signal in arbitrary units.
fn head(t: f32) -> Vec<Ellipse> {
    let size = (std::f32::consts::PI * (0.1 + 0.8 * t)).sin();
    let ventricle = (1.0 - (t - 0.5).abs() * 4.0).max(0.0);
    vec![
        Ellipse(0.0, 0.0, 0.66 * size, 0.84 * size, 0.0, 620.0),
        Ellipse(0.0, 0.0, 0.60 * size, 0.78 * size, 0.0, -420.0),
        Ellipse(0.0, 0.0, 0.57 * size, 0.75 * size, 0.0, 300.0),
        Ellipse(0.0, 0.0, 0.44 * size, 0.60 * size, 0.0, 120.0),
        Ellipse(-0.12, -0.05, 0.07 * ventricle, 0.22 * ventricle, 0.25, -420.0),
        Ellipse(0.12, -0.05, 0.07 * ventricle, 0.22 * ventricle, -0.25, -420.0),
        Ellipse(0.24, 0.28, 0.08 * ventricle, 0.08 * ventricle, 0.0, 240.0),
    ]
}

/// A projection of a chest, inverted as DX images are shown.
fn projection() -> Vec<Ellipse> {
    let mut shapes = vec![
        Ellipse(0.0, 0.1, 0.80, 0.95, 0.0, 1500.0),
        Ellipse(-0.36, -0.05, 0.28, 0.58, 0.08, -900.0),
        Ellipse(0.36, -0.05, 0.28, 0.58, -0.08, -900.0),
        Ellipse(0.10, 0.20, 0.26, 0.30, 0.5, 700.0),
        Ellipse(0.0, 0.0, 0.07, 0.95, 0.0, 800.0),
    ];
    for rib in 0..8_u8 {
        let y = -0.55 + f32::from(rib) * 0.15;
        shapes.push(Ellipse(-0.36, y, 0.30, 0.016, 0.35, 260.0));
        shapes.push(Ellipse(0.36, y, 0.30, 0.016, -0.35, 260.0));
    }
    shapes
}

/// What differs between the kinds of images.
struct Kind {
    modality: &'static str,
    sop_class: &'static str,
    body_part: &'static str,
    size: usize,
    slices: usize,
    spacing: f32,
    thickness: f32,
    slope: f32,
    intercept: f32,
    window: (f32, f32),
    grain: f32,
    series: &'static str,
    shapes: fn(f32) -> Vec<Ellipse>,
}

fn kind(modality: &str) -> Kind {
    match modality {
        "MR" => Kind {
            modality: "MR",
            sop_class: uids::MR_IMAGE_STORAGE,
            body_part: "HEAD",
            size: 256,
            slices: 24,
            spacing: 0.9,
            thickness: 5.0,
            slope: 1.0,
            intercept: 0.0,
            window: (350.0, 700.0),
            grain: 30.0,
            series: "T1 phantom",
            shapes: head,
        },
        "DX" | "MG" => Kind {
            modality: "DX",
            sop_class: uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
            body_part: "CHEST",
            size: 1024,
            slices: 1,
            spacing: 0.4,
            thickness: 0.0,
            slope: 1.0,
            intercept: 0.0,
            window: (1100.0, 2200.0),
            grain: 40.0,
            series: "PA phantom",
            shapes: |_| projection(),
        },
        _ => Kind {
            modality: "CT",
            sop_class: uids::CT_IMAGE_STORAGE,
            body_part: "CHEST",
            size: 512,
            slices: 60,
            spacing: 0.7,
            thickness: 5.0,
            slope: 1.0,
            intercept: -1024.0,
            window: (40.0, 400.0),
            grain: 24.0,
            series: "Chest phantom 5.0",
            shapes: chest,
        },
    }
}

/// Pixels once computed, for all studies.
#[derive(Default)]
pub(super) struct Library(HashMap<(&'static str, usize), Vec<u8>>);

impl Library {
    /// Slice `at` of the `whole` that the kind has.
    fn pixels(&mut self, kind: &Kind, at: usize) -> &[u8] {
        self.0.entry((kind.modality, at)).or_insert_with(|| {
            let last = kind.slices.saturating_sub(1).max(1);
            let t = at as f32 / last as f32;
            image(kind.size, at, &(kind.shapes)(t), kind.grain)
                .into_iter()
                .flat_map(|value| {
                    // Shapes begin at air, which lies 24 above the intercept.
                    let stored = if kind.modality == "CT" { value + 24.0 } else { value };
                    (stored.clamp(0.0, 4095.0) as u16).to_le_bytes()
                })
                .collect()
        })
    }
}

/// A computed series for one subject.
pub(super) struct Series<'a> {
    kind: Kind,
    slices: usize,
    subject: &'a Subject,
    series_uid: String,
    frame_uid: String,
}

impl<'a> Series<'a> {
    /// At most `slices` slices, spread over the whole; DX has one.
    pub(super) fn new(modality: &str, slices: usize, subject: &'a Subject) -> Self {
        let uid = || mingying_kernel::DicomUid::generate().to_string();
        let kind = kind(modality);
        let slices = slices.clamp(1, kind.slices);
        Self { kind, slices, subject, series_uid: uid(), frame_uid: uid() }
    }

    /// One whole Part 10 file per slice; an error is a fault of ours.
    pub(super) fn files(&self, library: &mut Library) -> Result<Vec<Vec<u8>>, String> {
        (0..self.slices)
            .map(|slice| {
                let at = slice * self.kind.slices / self.slices;
                let pixels = library.pixels(&self.kind, at).to_vec();
                self.file(slice, pixels)
            })
            .collect()
    }

    fn file(&self, slice: usize, pixels: Vec<u8>) -> Result<Vec<u8>, String> {
        let sop_uid = mingying_kernel::DicomUid::generate().to_string();
        let object = self.dataset(slice, &sop_uid, pixels);
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(self.kind.sop_class)
            .media_storage_sop_instance_uid(&sop_uid)
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let file: FileDicomObject<InMemDicomObject> = object.with_meta(meta).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        file.write_all(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn dataset(&self, slice: usize, sop_uid: &str, pixels: Vec<u8>) -> InMemDicomObject {
        let (kind, subject) = (&self.kind, self.subject);
        let mut object = InMemDicomObject::new_empty();
        let mut text = |tag: Tag, vr: VR, value: String| {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        let date = subject.at.strftime("%Y%m%d").to_string();
        let time = subject.at.strftime("%H%M%S").to_string();
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192".into());
        text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY".into());
        text(tags::SOP_CLASS_UID, VR::UI, kind.sop_class.into());
        text(tags::SOP_INSTANCE_UID, VR::UI, sop_uid.into());
        for tag in [tags::STUDY_DATE, tags::SERIES_DATE, tags::CONTENT_DATE] {
            text(tag, VR::DA, date.clone());
        }
        for tag in [tags::STUDY_TIME, tags::SERIES_TIME, tags::CONTENT_TIME] {
            text(tag, VR::TM, time.clone());
        }
        text(tags::ACCESSION_NUMBER, VR::SH, subject.accession.clone());
        text(tags::MODALITY, VR::CS, kind.modality.into());
        text(tags::MANUFACTURER, VR::LO, "Mingying phantom".into());
        text(tags::INSTITUTION_NAME, VR::LO, subject.institution.clone());
        text(tags::STATION_NAME, VR::SH, subject.station.clone());
        text(tags::STUDY_DESCRIPTION, VR::LO, subject.description.clone());
        text(tags::SERIES_DESCRIPTION, VR::LO, kind.series.into());
        text(tags::PATIENT_NAME, VR::PN, subject.name.clone());
        text(tags::PATIENT_ID, VR::LO, subject.id.clone());
        text(tags::ISSUER_OF_PATIENT_ID, VR::LO, subject.issuer.clone());
        text(tags::PATIENT_BIRTH_DATE, VR::DA, subject.birth_date.clone());
        text(tags::PATIENT_SEX, VR::CS, subject.sex.clone());
        text(tags::BODY_PART_EXAMINED, VR::CS, kind.body_part.into());
        text(tags::STUDY_INSTANCE_UID, VR::UI, subject.study_uid.clone());
        text(tags::SERIES_INSTANCE_UID, VR::UI, self.series_uid.clone());
        text(tags::STUDY_ID, VR::SH, subject.accession.clone());
        text(tags::SERIES_NUMBER, VR::IS, "1".into());
        text(tags::INSTANCE_NUMBER, VR::IS, (slice + 1).to_string());
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into());
        text(tags::PIXEL_SPACING, VR::DS, format!("{}\\{}", kind.spacing, kind.spacing));
        text(tags::WINDOW_CENTER, VR::DS, kind.window.0.to_string());
        text(tags::WINDOW_WIDTH, VR::DS, kind.window.1.to_string());
        text(tags::RESCALE_INTERCEPT, VR::DS, kind.intercept.to_string());
        text(tags::RESCALE_SLOPE, VR::DS, kind.slope.to_string());
        if kind.modality == "CT" {
            text(tags::RESCALE_TYPE, VR::LO, "HU".into());
            text(tags::KVP, VR::DS, "120".into());
        }
        if kind.slices > 1 {
            let thickness = kind.thickness * kind.slices as f32 / self.slices as f32;
            let half = kind.spacing * (kind.size as f32 - 1.0) / 2.0;
            let z = slice as f32 * thickness;
            text(tags::FRAME_OF_REFERENCE_UID, VR::UI, self.frame_uid.clone());
            text(tags::SLICE_THICKNESS, VR::DS, thickness.to_string());
            text(tags::SLICE_LOCATION, VR::DS, z.to_string());
            text(tags::IMAGE_POSITION_PATIENT, VR::DS, format!("{}\\{}\\{z}", -half, -half));
            text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0".into());
        } else {
            text(tags::VIEW_POSITION, VR::CS, "PA".into());
            text(tags::PATIENT_ORIENTATION, VR::CS, "L\\F".into());
            text(tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION".into());
        }
        let mut number = |tag: Tag, value: u16| {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        };
        number(tags::SAMPLES_PER_PIXEL, 1);
        number(tags::ROWS, kind.size as u16);
        number(tags::COLUMNS, kind.size as u16);
        number(tags::BITS_ALLOCATED, 16);
        number(tags::BITS_STORED, 12);
        number(tags::HIGH_BIT, 11);
        number(tags::PIXEL_REPRESENTATION, 0);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U8(pixels.into())));
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            name: "Ming^Ying=明^影".into(),
            id: "P1".into(),
            issuer: "DEMO".into(),
            birth_date: "19800101".into(),
            sex: "F".into(),
            accession: "A1".into(),
            study_uid: "1.2.3".into(),
            description: "phantom".into(),
            station: "CT01".into(),
            institution: "demo".into(),
            at: "2026-03-02T08:00[Asia/Shanghai]".parse().unwrap(),
        }
    }

    #[test]
    fn files_read_back() {
        let subject = subject();
        for (modality, count, bytes) in
            [("CT", 60, 512 * 512 * 2), ("MR", 24, 256 * 256 * 2), ("DX", 1, 1024 * 1024 * 2)]
        {
            let files = Series::new(modality, 100, &subject).files(&mut Library::default()).unwrap();
            assert_eq!(files.len(), count);
            let object = dicom_object::from_reader(&files[count / 2][..]).unwrap();
            assert_eq!(object.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Ming^Ying=明^影");
            assert_eq!(object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len(), bytes);
        }
    }

    #[test]
    fn the_phantom_has_air_lung_and_bone() {
        let pixels = image(128, 0, &chest(0.5), 0.0);
        let at = |x: usize, y: usize| pixels[y * 128 + x] - 1000.0;
        assert!(at(2, 2) < -990.0, "air");
        assert!((-810.0..-780.0).contains(&at(42, 62)), "lung {}", at(42, 62));
        assert!(at(65, 90) > 500.0, "spine {}", at(65, 90));
    }
}
