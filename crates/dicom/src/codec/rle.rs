//! RLE Lossless (PS3.5 Annex G).

use super::{CodecError, PixelDescription};

/// Segments that the header has room for.
const MAX_SEGMENTS: usize = 15;

pub(super) fn decode(image: &PixelDescription, frame: &[u8]) -> Result<Vec<u8>, CodecError> {
    const DAMAGED: CodecError = CodecError::Damaged("RLE data");
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

/// `pixels` must have the frame's length.
pub(super) fn encode(image: &PixelDescription, pixels: &[u8]) -> Vec<u8> {
    let width = image.word();
    let stride = width * usize::from(image.samples);
    let row = image.columns as usize * stride;
    let count = stride.min(MAX_SEGMENTS);
    let mut out = vec![0u8; 64];
    let mut head = vec![count as u32];
    let mut line = Vec::with_capacity(image.columns as usize);
    for segment in 0..count {
        head.push(out.len() as u32);
        let byte = (segment / width) * width + (width - 1 - segment % width);
        // Rows are coded apart from one another (PS3.5 G.3.1).
        for row in pixels.chunks_exact(row) {
            line.clear();
            line.extend(row.iter().skip(byte).step_by(stride));
            pack(&line, &mut out);
        }
        if !out.len().is_multiple_of(2) {
            out.push(0);
        }
    }
    for (slot, word) in out.chunks_exact_mut(4).zip(&head) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// Runs of three and more are replicated, the rest stands literally (PS3.5 G.3.1).
fn pack(mut line: &[u8], out: &mut Vec<u8>) {
    let run = |from: &[u8]| from.iter().take(128).take_while(|b| Some(*b) == from.first()).count();
    while let Some(&first) = line.first() {
        let length = run(line);
        if length >= 3 || length == line.len() && length == 2 {
            out.extend([(257 - length) as u8, first]);
            line = line.get(length..).unwrap_or_default();
            continue;
        }
        let limit = line.len().min(128);
        let end = (1..limit).find(|at| run(line.get(*at..).unwrap_or_default()) >= 3).unwrap_or(limit);
        let (literal, rest) = line.split_at(end);
        out.push((end - 1) as u8);
        out.extend_from_slice(literal);
        line = rest;
    }
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

    #[test]
    fn packed() {
        let mut out = Vec::new();
        pack(&[1, 2, 2, 3, 3, 3, 3], &mut out);
        assert_eq!(out, [2, 1, 2, 2, 253, 3]);
        out.clear();
        pack(&[7; 300], &mut out);
        assert_eq!(out, [129, 7, 129, 7, 213, 7]);
    }
}
