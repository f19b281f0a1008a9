//! RLE Lossless (PS3.5 Annex G).

use super::RenderError;
use super::attributes::ImageAttributes;

pub(crate) fn decode(image: &ImageAttributes, frame: &[u8]) -> Result<Vec<u8>, RenderError> {
    const DAMAGED: RenderError = RenderError::Damaged("RLE data");
    let head = frame.get(..64).ok_or(DAMAGED)?;
    let words: Vec<usize> =
        head.chunks_exact(4).map(|w| <[u8; 4]>::try_from(w).map_or(0, |w| u32::from_le_bytes(w) as usize)).collect();
    let (count, offsets) = words.split_first().ok_or(DAMAGED)?;
    let width = usize::from(image.bits_allocated / 8);
    let samples = usize::from(image.samples);
    if *count != width * samples {
        return Err(DAMAGED);
    }
    let pixels = image.rows as usize * image.columns as usize;
    let stride = width * samples;
    let mut out = vec![0u8; pixels * stride];
    let mut plane = Vec::with_capacity(pixels);
    for segment in 0..*count {
        let start = *offsets.get(segment).ok_or(DAMAGED)?;
        let end = if segment + 1 < *count { *offsets.get(segment + 1).ok_or(DAMAGED)? } else { frame.len() };
        let source = frame.get(start..end).ok_or(DAMAGED)?;
        plane.clear();
        unpack(source, pixels, &mut plane);
        if plane.len() < pixels {
            return Err(DAMAGED);
        }
        // Segments come sample by sample, the most significant byte first.
        let byte = (segment / width) * width + (width - 1 - segment % width);
        for (pixel, value) in out.chunks_exact_mut(stride).zip(&plane) {
            if let Some(slot) = pixel.get_mut(byte) {
                *slot = *value;
            }
        }
    }
    Ok(out)
}

fn unpack(mut source: &[u8], limit: usize, out: &mut Vec<u8>) {
    while out.len() < limit {
        let Some((&control, rest)) = source.split_first() else { return };
        match control {
            0..=127 => {
                let literal = rest.get(..usize::from(control) + 1).unwrap_or(rest);
                out.extend_from_slice(literal);
                source = rest.get(literal.len()..).unwrap_or_default();
            }
            128 => source = rest,
            129..=255 => {
                let Some((&value, rest)) = rest.split_first() else { return };
                out.resize(out.len() + 257 - usize::from(control), value);
                source = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packbits() {
        let mut out = Vec::new();
        unpack(&[2, 1, 2, 3, 254, 9, 128, 0, 7], 100, &mut out);
        assert_eq!(out, [1, 2, 3, 9, 9, 9, 7]);
        out.clear();
        unpack(&[5, 1, 2], 100, &mut out);
        assert_eq!(out, [1, 2], "a literal cut short gives what there is");
    }
}
