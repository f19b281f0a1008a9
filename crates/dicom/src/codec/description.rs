//! What a header says of how its pixels lie (PS3.3 C.7.6.3.3).

use super::{CodecError, MAX_SAMPLES};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Photometric Interpretation (PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    Monochrome1,
    Monochrome2,
    Rgb,
    YbrFull,
    /// YBR_FULL_422 and the retired YBR_PARTIAL_422 and YBR_PARTIAL_420.
    YbrFull422,
    YbrIct,
    YbrRct,
    Palette,
}

impl Photometric {
    /// Unknown terms count as what the number of samples suggests.
    pub fn parse(term: &str, samples: u16) -> Self {
        match term {
            "MONOCHROME1" => Self::Monochrome1,
            "RGB" => Self::Rgb,
            "YBR_FULL" => Self::YbrFull,
            "YBR_FULL_422" | "YBR_PARTIAL_422" | "YBR_PARTIAL_420" => Self::YbrFull422,
            "YBR_ICT" => Self::YbrIct,
            "YBR_RCT" => Self::YbrRct,
            "PALETTE COLOR" => Self::Palette,
            "MONOCHROME2" => Self::Monochrome2,
            _ if samples == 3 => Self::Rgb,
            _ => Self::Monochrome2,
        }
    }

    pub fn term(self) -> &'static str {
        match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::Rgb => "RGB",
            Self::YbrFull => "YBR_FULL",
            Self::YbrFull422 => "YBR_FULL_422",
            Self::YbrIct => "YBR_ICT",
            Self::YbrRct => "YBR_RCT",
            Self::Palette => "PALETTE COLOR",
        }
    }
}

/// The attributes of the Image Pixel Description Macro that codecs need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelDescription {
    pub rows: u32,
    pub columns: u32,
    /// 1 or 3.
    pub samples: u16,
    /// 1, 8, 16 or 32.
    pub bits_allocated: u16,
    pub bits_stored: u16,
    pub high_bit: u16,
    pub signed: bool,
    /// Native color lies plane by plane.
    pub planar: bool,
    pub photometric: Photometric,
}

fn uint(object: &InMemDicomObject, tag: Tag) -> Option<u32> {
    object.get(tag)?.to_int::<u32>().ok()
}

impl PixelDescription {
    /// `None` where the header describes no image.
    pub fn read(header: &InMemDicomObject) -> Result<Option<Self>, CodecError> {
        let (Some(rows), Some(columns)) = (uint(header, tags::ROWS), uint(header, tags::COLUMNS)) else {
            return Ok(None);
        };
        if rows == 0 || columns == 0 {
            return Ok(None);
        }
        let number = |tag, default: u32| u16::try_from(uint(header, tag).unwrap_or(default)).unwrap_or(u16::MAX);
        let samples = number(tags::SAMPLES_PER_PIXEL, 1);
        let bits_allocated = number(tags::BITS_ALLOCATED, 8);
        let bits_stored = number(tags::BITS_STORED, u32::from(bits_allocated));
        let photometric = header.get(tags::PHOTOMETRIC_INTERPRETATION).and_then(|e| e.to_str().ok());
        let term = photometric.unwrap_or_default();
        let image = Self {
            rows,
            columns,
            samples,
            bits_allocated,
            bits_stored,
            high_bit: number(tags::HIGH_BIT, u32::from(bits_stored.saturating_sub(1))),
            signed: uint(header, tags::PIXEL_REPRESENTATION) == Some(1),
            planar: uint(header, tags::PLANAR_CONFIGURATION) == Some(1),
            photometric: Photometric::parse(term.trim_matches([' ', '\0']), samples),
        };
        image.check()?;
        Ok(Some(image))
    }

    /// Whether codecs may rely on the numbers.
    pub(crate) fn check(&self) -> Result<(), CodecError> {
        if !matches!(self.samples, 1 | 3) {
            return Err(CodecError::Unsupported("samples per pixel"));
        }
        if !matches!(self.bits_allocated, 1 | 8 | 16 | 32) {
            return Err(CodecError::Unsupported("bits allocated"));
        }
        let stored = self.bits_stored;
        if stored == 0
            || stored > self.bits_allocated
            || self.high_bit >= self.bits_allocated
            || self.high_bit + 1 < stored
            || self.rows == 0
            || self.columns == 0
        {
            return Err(CodecError::Damaged("bits stored"));
        }
        let count = (self.rows as usize).checked_mul(self.columns as usize).and_then(|n| n.checked_mul(3));
        if count.is_none_or(|n| n / 3 * usize::from(self.samples) > MAX_SAMPLES) {
            return Err(CodecError::TooLarge);
        }
        Ok(())
    }

    /// Number of samples of one frame.
    pub(crate) fn count(&self) -> usize {
        self.rows as usize * self.columns as usize * usize::from(self.samples)
    }

    /// Bytes of a sample's word.
    pub(crate) fn word(&self) -> usize {
        usize::from(self.bits_allocated.max(8) / 8)
    }

    /// Bytes of one frame as `Decoded` has it.
    pub(crate) fn frame_len(&self) -> usize {
        self.count() * self.word()
    }

    /// Samples as words. A codec without signs gives the lowest `bits` of signed values, whose sign is extended.
    pub(crate) fn pack(&self, bits: u32, samples: impl Iterator<Item = i32>) -> Vec<u8> {
        let width = self.word();
        let unused = if self.signed && bits < 32 { 32 - bits.max(1) } else { 0 };
        let mut bytes = Vec::with_capacity(self.frame_len());
        for sample in samples {
            let sample = sample << unused >> unused;
            bytes.extend_from_slice(sample.to_le_bytes().get(..width).unwrap_or_default());
        }
        bytes
    }
}
