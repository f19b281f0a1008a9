//! What the header says about its pixels.

use super::RenderError;
use crate::codec::PixelDescription;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

/// VOI LUT Function (0028,1056), PS3.3 C.11.2.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowFunction {
    #[default]
    Linear,
    LinearExact,
    Sigmoid,
}

impl WindowFunction {
    /// The terms of DICOM and, in lower case with hyphens, of PS3.18 8.3.5.1.4.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_uppercase().replace('-', "_").as_str() {
            "LINEAR" => Some(Self::Linear),
            "LINEAR_EXACT" => Some(Self::LinearExact),
            "SIGMOID" => Some(Self::Sigmoid),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub center: f64,
    pub width: f64,
    pub function: WindowFunction,
}

/// A look-up table (Modality, VOI or Palette): its first mapped value, entries, and bits of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lut {
    pub first: i32,
    pub bits: u32,
    pub entries: Vec<u16>,
}

impl Lut {
    pub fn get(&self, value: i32) -> u16 {
        let last = self.entries.len().saturating_sub(1);
        let at = usize::try_from(value.saturating_sub(self.first)).unwrap_or(0).min(last);
        self.entries.get(at).copied().unwrap_or(0)
    }
}

/// The attributes of PS3.3 C.7.6.3 and C.11 that decoding and display need.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageAttributes {
    pub pixels: PixelDescription,
    pub slope: f64,
    pub intercept: f64,
    pub(crate) modality_lut: Option<Lut>,
    pub(crate) voi_lut: Option<Lut>,
    pub windows: Vec<Window>,
    /// Pixel Padding Value and Range Limit, as stored values.
    pub(crate) padding: Option<(i32, i32)>,
    pub(crate) palette: Option<[Lut; 3]>,
    pub(crate) inverse_shape: bool,
}

impl ImageAttributes {
    /// Reads the attributes of frame `index`, looking into functional groups where the header has them.
    pub fn read(header: &InMemDicomObject, index: u32) -> Result<Self, RenderError> {
        let pixels = PixelDescription::read(header)?.ok_or(RenderError::NoPixels)?;
        let signed = pixels.signed;
        let places = places(header, index);
        let transformation = first_item(&places, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let number = |tag| transformation.and_then(|item| float(item, tag)).or_else(|| float(header, tag));
        let slope = number(tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0);
        let voi = first_item(&places, tags::FRAME_VOILUT_SEQUENCE);
        let windows = [voi, Some(header)].into_iter().flatten().map(windows_of).find(|w| !w.is_empty());
        let modality_lut = sequence_item(header, tags::MODALITY_LUT_SEQUENCE).and_then(|item| lut_of(item, signed));
        let voi_signed = modality_lut.is_none() && (signed || number(tags::RESCALE_INTERCEPT).is_some_and(|b| b < 0.0));
        Ok(Self {
            pixels,
            slope,
            intercept: number(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
            modality_lut,
            voi_lut: sequence_item(header, tags::VOILUT_SEQUENCE).and_then(|item| lut_of(item, voi_signed)),
            windows: windows.unwrap_or_default(),
            padding: padding(header, signed),
            palette: palette(header),
            inverse_shape: text(header, tags::PRESENTATION_LUT_SHAPE) == "INVERSE",
        })
    }
}

/// The items in which functional groups of frame `index` may stand, the frame's own before the shared ones.
fn places(header: &InMemDicomObject, index: u32) -> Vec<&InMemDicomObject> {
    let own = header
        .get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .and_then(|e| e.value().items())
        .and_then(|items| items.get(index as usize));
    let shared = sequence_item(header, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    own.into_iter().chain(shared).collect()
}

fn first_item<'a>(places: &[&'a InMemDicomObject], tag: Tag) -> Option<&'a InMemDicomObject> {
    places.iter().find_map(|place| sequence_item(place, tag))
}

fn sequence_item(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    object.get(tag)?.value().items()?.first()
}

fn float(object: &InMemDicomObject, tag: Tag) -> Option<f64> {
    floats(object, tag).into_iter().next()
}

fn floats(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let Some(element) = object.get(tag) else { return Vec::new() };
    let numbers = element.to_multi_float64().unwrap_or_default();
    numbers.into_iter().filter(|n| n.is_finite()).collect()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).and_then(|e| e.to_str().ok().map(|t| t.trim_matches([' ', '\0']).to_owned())).unwrap_or_default()
}

fn windows_of(object: &InMemDicomObject) -> Vec<Window> {
    let function = WindowFunction::parse(&text(object, tags::VOILUT_FUNCTION)).unwrap_or_default();
    floats(object, tags::WINDOW_CENTER)
        .into_iter()
        .zip(floats(object, tags::WINDOW_WIDTH))
        .filter(|(_, width)| *width > 0.0)
        .map(|(center, width)| Window { center, width, function })
        .collect()
}

/// A value of VR US or SS, whichever the writer chose, as the stored value it means.
fn us_or_ss(element: &InMemElement, signed: bool) -> Option<i32> {
    let value = element.to_int::<i32>().ok()?;
    Some(if signed && (0x8000..=0xffff).contains(&value) { value - 0x1_0000 } else { value })
}

fn padding(header: &InMemDicomObject, signed: bool) -> Option<(i32, i32)> {
    let value = us_or_ss(header.get(tags::PIXEL_PADDING_VALUE)?, signed)?;
    let limit = header.get(tags::PIXEL_PADDING_RANGE_LIMIT).and_then(|e| us_or_ss(e, signed)).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}

fn lut_of(item: &InMemDicomObject, signed: bool) -> Option<Lut> {
    lut(item.get(tags::LUT_DESCRIPTOR)?, item.get(tags::LUT_DATA)?, signed)
}

/// Descriptor: number of entries (0 for 65536), first mapped value, bits (PS3.3 C.11.1.1).
fn lut(descriptor: &InMemElement, data: &InMemElement, signed: bool) -> Option<Lut> {
    let numbers = descriptor.to_multi_int::<i32>().ok()?;
    let &[count, first, bits, ..] = numbers.as_slice() else { return None };
    let count = match count & 0xffff {
        0 => 65536,
        n => n as usize,
    };
    let first = if signed && first > 0x7fff { first - 0x1_0000 } else { first };
    let bytes = data.to_bytes().ok()?;
    let entries: Vec<u16> = if bits <= 8 && bytes.len() < count * 2 {
        bytes.iter().take(count).map(|b| u16::from(*b)).collect()
    } else {
        bytes.chunks_exact(2).take(count).map(pair_le).collect()
    };
    if entries.is_empty() || !(1..=16).contains(&bits) {
        return None;
    }
    Some(Lut { first, bits: bits as u32, entries })
}

fn pair_le(pair: &[u8]) -> u16 {
    match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

fn palette(header: &InMemDicomObject) -> Option<[Lut; 3]> {
    let one = |descriptor, data, segmented| {
        let descriptor = header.get(descriptor)?;
        match header.get(data) {
            Some(data) => lut(descriptor, data, false),
            None => segmented_lut(descriptor, header.get(segmented)?),
        }
    };
    Some([
        one(
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?,
        one(
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?,
        one(
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?,
    ])
}

fn segmented_lut(descriptor: &InMemElement, data: &InMemElement) -> Option<Lut> {
    let numbers = descriptor.to_multi_int::<i32>().ok()?;
    let &[count, first, bits, ..] = numbers.as_slice() else { return None };
    let count = match count & 0xffff {
        0 => 65536,
        n => n as usize,
    };
    let entries = super::segmented::expand(&data.to_bytes().ok()?, bits > 8, count)?;
    Some(Lut { first, bits: u32::try_from(bits).ok()?.clamp(1, 16), entries })
}
