//! High-Throughput JPEG 2000 (PS3.5 A.4.4, 10.18).

use super::{CodecError, Decoded, Encoded, Photometric, PixelDescription};
use mingying_openjph::{Error, Image};

impl From<Error> for CodecError {
    fn from(error: Error) -> Self {
        match error {
            Error::Damaged(_) => Self::Damaged("HTJ2K data"),
            Error::Unsupported(what) => Self::Unsupported(what),
            Error::TooLarge => Self::TooLarge,
            Error::Range | Error::Library => Self::Encode,
        }
    }
}

fn word(image: &PixelDescription) -> Result<u8, CodecError> {
    match image.bits_allocated {
        8 => Ok(1),
        16 => Ok(2),
        _ => Err(CodecError::Unsupported("bits allocated")),
    }
}

pub(super) fn decode(image: &PixelDescription, frame: &[u8]) -> Result<Decoded, CodecError> {
    let found = mingying_openjph::inspect(frame)?;
    let samples = image.samples as u8;
    let (_, bytes) = mingying_openjph::decode(frame, image.columns, image.rows, samples, word(image)?)?;
    // What the encoder was given as red, green and blue comes out as such, whatever the header says.
    let photometric = match image.photometric {
        _ if found.color_transform => Photometric::Rgb,
        Photometric::YbrIct | Photometric::YbrRct => Photometric::Rgb,
        other => other,
    };
    Ok(Decoded { bytes, photometric })
}

/// At BitsStored where that says every sample, at BitsAllocated where bits above have a meaning of their own.
pub(super) fn encode(image: &PixelDescription, pixels: &[u8]) -> Result<Encoded, CodecError> {
    let rgb = image.samples == 3 && image.photometric == Photometric::Rgb;
    let full = Image {
        width: image.columns,
        height: image.rows,
        components: image.samples as u8,
        word: word(image)?,
        depth: image.bits_allocated as u8,
        signed: image.signed,
    };
    let stored = Image { depth: image.bits_stored as u8, ..full };
    let shape = if mingying_openjph::fits(&stored, pixels) { stored } else { full };
    let bytes = mingying_openjph::encode(&shape, rgb, pixels)?;
    Ok(Encoded { bytes, photometric: if rgb { Photometric::YbrRct } else { image.photometric } })
}
