//! What a viewer needs to know of an image to draw it in its place, without the whole header.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// The image of one instance. Enhanced objects answer for their first frame; `frame_positions` has the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageFacts {
    pub number: Option<i64>,
    pub rows: u32,
    pub columns: u32,
    pub bits_allocated: u32,
    pub bits_stored: u32,
    pub high_bit: u32,
    pub signed: bool,
    pub samples: u32,
    pub planar: bool,
    pub photometric: String,
    pub slope: Option<f64>,
    pub intercept: Option<f64>,
    pub window_center: Vec<f64>,
    pub window_width: Vec<f64>,
    /// Between rows, then between columns, mm; the detector's where the patient's is unknown.
    pub pixel_spacing: Option<[f64; 2]>,
    /// mm, patient coordinates (PS3.3 C.7.6.2.1.1).
    pub position: Option<[f64; 3]>,
    pub orientation: Option<[f64; 6]>,
    /// ms between frames.
    pub frame_time: Option<f64>,
    /// mm
    pub thickness: Option<f64>,
    /// One per frame, where the frames lie at different places.
    pub frame_positions: Option<Vec<Option<[f64; 3]>>>,
}

impl ImageFacts {
    pub fn read(header: &InMemDicomObject) -> Self {
        let shared = item(header, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let frames: &[InMemDicomObject] =
            header.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).and_then(|e| e.value().items()).unwrap_or_default();
        let places: Vec<&InMemDicomObject> = frames.first().into_iter().chain(shared).collect();
        // An attribute at the top level, or in the functional group that holds it.
        let numbers = |group: Tag, tag: Tag| {
            let own = floats(header, tag);
            if !own.is_empty() {
                return own;
            }
            places
                .iter()
                .filter_map(|place| item(place, group))
                .map(|g| floats(g, tag))
                .find(|v| !v.is_empty())
                .unwrap_or_default()
        };
        let one = |group, tag| numbers(group, tag).first().copied();
        let measures = tags::PIXEL_MEASURES_SEQUENCE;
        let spacing = fixed(&numbers(measures, tags::PIXEL_SPACING))
            .or_else(|| fixed(&floats(header, tags::IMAGER_PIXEL_SPACING)))
            .or_else(|| fixed(&floats(header, tags::NOMINAL_SCANNED_PIXEL_SPACING)))
            .or_else(|| ultrasound_spacing(header));
        let frame_positions: Vec<Option<[f64; 3]>> = frames
            .iter()
            .map(|frame| fixed(&floats(item(frame, tags::PLANE_POSITION_SEQUENCE)?, tags::IMAGE_POSITION_PATIENT)))
            .collect();
        let differ = frame_positions.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
        Self {
            number: header.get(tags::INSTANCE_NUMBER).and_then(|e| e.to_int::<i64>().ok()),
            rows: uint(header, tags::ROWS).unwrap_or(0),
            columns: uint(header, tags::COLUMNS).unwrap_or(0),
            bits_allocated: uint(header, tags::BITS_ALLOCATED).unwrap_or(8),
            bits_stored: uint(header, tags::BITS_STORED).or_else(|| uint(header, tags::BITS_ALLOCATED)).unwrap_or(8),
            high_bit: uint(header, tags::HIGH_BIT)
                .or_else(|| uint(header, tags::BITS_STORED).map(|bits| bits.saturating_sub(1)))
                .unwrap_or(7),
            signed: uint(header, tags::PIXEL_REPRESENTATION) == Some(1),
            samples: uint(header, tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            planar: uint(header, tags::PLANAR_CONFIGURATION) == Some(1),
            photometric: header
                .get(tags::PHOTOMETRIC_INTERPRETATION)
                .and_then(|e| e.to_str().ok().map(|t| t.trim_matches([' ', '\0']).to_owned()))
                .unwrap_or_default(),
            slope: one(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::RESCALE_SLOPE),
            intercept: one(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::RESCALE_INTERCEPT),
            window_center: numbers(tags::FRAME_VOILUT_SEQUENCE, tags::WINDOW_CENTER),
            window_width: numbers(tags::FRAME_VOILUT_SEQUENCE, tags::WINDOW_WIDTH),
            pixel_spacing: spacing.filter(|[row, column]: &[f64; 2]| *row > 0.0 && *column > 0.0),
            position: fixed(&numbers(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)),
            orientation: fixed(&numbers(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)),
            frame_time: floats(header, tags::FRAME_TIME).first().copied(),
            thickness: one(measures, tags::SLICE_THICKNESS),
            frame_positions: differ.then_some(frame_positions),
        }
    }
}

fn item(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    object.get(tag)?.value().items()?.first()
}

fn uint(object: &InMemDicomObject, tag: Tag) -> Option<u32> {
    object.get(tag)?.to_int::<u32>().ok()
}

/// All values, or none when one of them is not a number.
fn floats(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let values = object.get(tag).and_then(|e| e.to_multi_float64().ok()).unwrap_or_default();
    if values.iter().all(|n| n.is_finite()) { values } else { Vec::new() }
}

fn fixed<const N: usize>(values: &[f64]) -> Option<[f64; N]> {
    values.get(..N)?.try_into().ok()
}

/// The first two-dimensional region measured in centimetres (PS3.3 C.8.5.5), where all such regions agree.
fn ultrasound_spacing(header: &InMemDicomObject) -> Option<[f64; 2]> {
    const CENTIMETRES: u32 = 3;
    let regions = header.get(tags::SEQUENCE_OF_ULTRASOUND_REGIONS)?.value().items()?;
    let mut found = None;
    for region in regions {
        let units = [tags::PHYSICAL_UNITS_X_DIRECTION, tags::PHYSICAL_UNITS_Y_DIRECTION];
        if units.iter().any(|tag| uint(region, *tag) != Some(CENTIMETRES)) {
            continue;
        }
        let x = *floats(region, tags::PHYSICAL_DELTA_X).first()?;
        let y = *floats(region, tags::PHYSICAL_DELTA_Y).first()?;
        let spacing = [y.abs() * 10.0, x.abs() * 10.0];
        if found.is_some_and(|other: [f64; 2]| other.map(f64::to_bits) != spacing.map(f64::to_bits)) {
            return None;
        }
        found = Some(spacing);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::value::{DataSetSequence, PrimitiveValue};
    use dicom_core::{DataElement, VR};

    fn ds(tag: Tag, values: &[&str]) -> dicom_object::mem::InMemElement {
        DataElement::new(tag, VR::DS, PrimitiveValue::Strs(values.iter().map(|v| (*v).to_owned()).collect()))
    }

    fn sq(tag: Tag, items: Vec<InMemDicomObject>) -> dicom_object::mem::InMemElement {
        DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
    }

    #[test]
    fn a_plain_slice() {
        let facts = ImageFacts::read(&InMemDicomObject::from_element_iter([
            DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(512u16)),
            ds(tags::PIXEL_SPACING, &["0.5", "0.6"]),
            ds(tags::IMAGE_POSITION_PATIENT, &["1", "2", "3"]),
            ds(tags::WINDOW_CENTER, &["40", "400"]),
            ds(tags::IMAGE_ORIENTATION_PATIENT, &["1", "0", "0", "0", "x", "0"]),
        ]));
        assert_eq!((facts.rows, facts.pixel_spacing), (512, Some([0.5, 0.6])));
        assert_eq!(facts.position, Some([1.0, 2.0, 3.0]));
        assert_eq!(facts.window_center, [40.0, 400.0]);
        assert_eq!((facts.orientation, facts.frame_positions), (None, None));
    }

    #[test]
    fn functional_groups() {
        let frame = |z: &str| {
            let plane = InMemDicomObject::from_element_iter([ds(tags::IMAGE_POSITION_PATIENT, &["0", "0", z])]);
            InMemDicomObject::from_element_iter([sq(tags::PLANE_POSITION_SEQUENCE, vec![plane])])
        };
        let measures = InMemDicomObject::from_element_iter([
            ds(tags::PIXEL_SPACING, &["1", "1"]),
            ds(tags::SLICE_THICKNESS, &["3"]),
        ]);
        let shared = InMemDicomObject::from_element_iter([sq(tags::PIXEL_MEASURES_SEQUENCE, vec![measures])]);
        let facts = ImageFacts::read(&InMemDicomObject::from_element_iter([
            sq(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]),
            sq(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![frame("1"), frame("2")]),
        ]));
        assert_eq!((facts.pixel_spacing, facts.thickness), (Some([1.0, 1.0]), Some(3.0)));
        assert_eq!(facts.position, Some([0.0, 0.0, 1.0]));
        assert_eq!(facts.frame_positions, Some(vec![Some([0.0, 0.0, 1.0]), Some([0.0, 0.0, 2.0])]));
    }
}
