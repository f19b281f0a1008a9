//! JPEG 2000 (PS3.5 A.4.4).

use super::{CodecError, Decoded, Photometric, PixelDescription};
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

pub(super) fn decode(image: &PixelDescription, frame: &[u8]) -> Result<Decoded, CodecError> {
    let damaged = |_| CodecError::Damaged("JPEG 2000 data");
    let settings = DecodeSettings { resolve_palette_indices: false, strict: false, target_resolution: None };
    let picture = Image::new(frame, &settings).map_err(damaged)?;
    if picture.width() != image.columns || picture.height() != image.rows {
        return Err(CodecError::Damaged("JPEG 2000 dimensions"));
    }
    // The decoder makes room for all there are. One more than is wanted may be an alpha channel.
    let samples = usize::from(image.samples);
    if !(samples..=samples + 1).contains(&components(frame)) {
        return Err(CodecError::Damaged("number of components"));
    }
    let mut context = DecoderContext::default();
    let decoded = picture.decode(&mut context).map_err(damaged)?;
    let components = decoded.components();
    let planes: Vec<(&[f32], u8)> =
        components.iter().take(usize::from(image.samples)).map(|c| (c.samples(), c.bit_depth())).collect();
    let pixels = image.rows as usize * image.columns as usize;
    if planes.len() != usize::from(image.samples) || planes.iter().any(|(plane, _)| plane.len() < pixels) {
        return Err(CodecError::Damaged("number of components"));
    }
    // The decoder shifts signed components as if they were unsigned; lossy values may overshoot their range. Where the
    // codestream and the header disagree about the sign, the bits are what counts.
    let signed = is_signed(frame);
    let samples = (0..pixels).flat_map(|pixel| {
        planes.iter().map(move |(plane, depth)| {
            let top = 1i64 << (*depth).clamp(1, 31);
            let value = plane.get(pixel).map_or(0, |value| value.round() as i64).clamp(0, top - 1);
            (if signed { value - top / 2 } else { value }) as i32
        })
    });
    let depth = planes.first().map_or(32, |(_, depth)| u32::from(*depth));
    let photometric = match image.photometric {
        Photometric::YbrIct | Photometric::YbrRct => Photometric::Rgb,
        other => other,
    };
    Ok(Decoded { bytes: image.pack(depth, samples), photometric })
}

/// The SIZ segment right after SOC (ISO/IEC 15444-1 A.5.1), from SOC on.
fn size_segment(frame: &[u8]) -> &[u8] {
    let start = frame.windows(4).position(|w| w == [0xff, 0x4f, 0xff, 0x51]).unwrap_or(0);
    frame.get(start..).unwrap_or_default()
}

/// Csiz.
fn components(frame: &[u8]) -> usize {
    match size_segment(frame).get(40..42) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    }
}

/// Ssiz of the first component.
fn is_signed(frame: &[u8]) -> bool {
    size_segment(frame).get(42).is_some_and(|ssiz| ssiz & 0x80 != 0)
}
