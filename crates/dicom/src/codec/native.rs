//! Uncompressed pixels (PS3.5 8.1, D).

use super::{CodecError, Decoded, Photometric, PixelDescription};

const TOO_FEW: CodecError = CodecError::Damaged("too few pixels");

pub(super) fn decode(image: &PixelDescription, frame: &[u8], big_endian: bool) -> Result<Decoded, CodecError> {
    let as_is = |bytes| Ok(Decoded { bytes, photometric: image.photometric });
    if image.bits_allocated == 1 {
        let bits = frame.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1));
        let bytes: Vec<u8> = bits.take(image.count()).collect();
        return if bytes.len() < image.count() { Err(TOO_FEW) } else { as_is(bytes) };
    }
    if image.photometric == Photometric::YbrFull422 && image.samples == 3 {
        return decode_422(image, frame);
    }
    let word = image.word();
    let mut bytes = frame.get(..image.frame_len()).ok_or(TOO_FEW)?.to_vec();
    if big_endian {
        swap(&mut bytes, word);
    }
    if image.planar && image.samples == 3 {
        bytes = interleave(&bytes, word);
    }
    as_is(bytes)
}

pub(super) fn encode(image: &PixelDescription, pixels: &[u8], big_endian: bool) -> Result<Vec<u8>, CodecError> {
    if image.bits_allocated == 1 {
        if pixels.len() != image.count() {
            return Err(CodecError::Damaged("number of pixels"));
        }
        let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| (byte << 1) | (bit & 1));
        return Ok(pixels.chunks(8).map(byte).collect());
    }
    if pixels.len() != image.frame_len() {
        return Err(CodecError::Damaged("number of pixels"));
    }
    let mut bytes = pixels.to_vec();
    if big_endian {
        swap(&mut bytes, image.word());
    }
    Ok(bytes)
}

/// Between little and big endian.
pub(super) fn swap(bytes: &mut [u8], word: usize) {
    if word > 1 {
        bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
    }
}

/// Plane by plane to pixel by pixel.
pub(super) fn interleave(planes: &[u8], word: usize) -> Vec<u8> {
    let mut out = vec![0; planes.len()];
    for (plane, samples) in planes.chunks_exact((planes.len() / 3).max(1)).enumerate() {
        let targets = out.chunks_exact_mut(word).skip(plane).step_by(3);
        for (target, sample) in targets.zip(samples.chunks_exact(word)) {
            target.copy_from_slice(sample);
        }
    }
    out
}

/// Pixel by pixel to plane by plane.
pub(super) fn planes(pixels: &[u8], word: usize) -> Vec<u8> {
    (0..3).flat_map(|plane| pixels.chunks_exact(word).skip(plane).step_by(3).flatten().copied()).collect()
}

/// RGB of eight bits to YBR_FULL (PS3.3 C.7.6.3.1.2), in place.
pub(super) fn to_ybr(pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(3) {
        let &mut [r, g, b] = pixel else { continue };
        let [r, g, b] = [r, g, b].map(f32::from);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let cb = -0.168_736 * r - 0.331_264 * g + 0.5 * b + 128.0;
        let cr = 0.5 * r - 0.418_688 * g - 0.081_312 * b + 128.0;
        // A conversion from float to an integer saturates.
        pixel.copy_from_slice(&[y, cb, cr].map(|value| value.round() as u8));
    }
}

/// Uncompressed YBR_FULL_422 (PS3.3 C.7.6.3.1.2): Y1 Y2 Cb Cr for two pixels. Writers that send three full samples
/// under this name are told by the length.
fn decode_422(image: &PixelDescription, frame: &[u8]) -> Result<Decoded, CodecError> {
    let count = image.count();
    if image.bits_allocated != 8 {
        return Err(CodecError::Unsupported("16-bit YBR_FULL_422"));
    }
    let photometric = image.photometric;
    if let Some(full) = frame.get(..count) {
        return Ok(Decoded { bytes: full.to_vec(), photometric });
    }
    if frame.len() < count / 3 * 2 {
        return Err(TOO_FEW);
    }
    let mut bytes = Vec::with_capacity(count);
    for pair in frame.chunks_exact(4) {
        let &[y1, y2, cb, cr] = pair else { continue };
        bytes.extend([y1, cb, cr, y2, cb, cr]);
    }
    bytes.truncate(count);
    if bytes.len() < count {
        return Err(TOO_FEW);
    }
    Ok(Decoded { bytes, photometric })
}
