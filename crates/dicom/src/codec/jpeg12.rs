//! Extended sequential JPEG of 12 bits (ISO/IEC 10918-1 process 4), one component: what the eight-bit decoder leaves
//! out of transfer syntax .51.

use super::{CodecError, MAX_SAMPLES};

const DAMAGED: CodecError = CodecError::Damaged("JPEG data");

/// Rows of the zigzag order (10918-1 Figure A.6).
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A Huffman table (10918-1 C.2, F.2.2.3): by code length, the first code, how many, and where their values begin.
#[derive(Default, Clone)]
struct Huffman {
    lengths: Vec<(u32, u32, usize)>,
    values: Vec<u8>,
}

impl Huffman {
    fn new(counts: &[u8], values: &[u8]) -> Self {
        let (mut code, mut at) = (0u32, 0usize);
        let lengths = counts
            .iter()
            .map(|count| {
                let entry = (code, u32::from(*count), at);
                at += usize::from(*count);
                code = (code + u32::from(*count)) << 1;
                entry
            })
            .collect();
        Self { lengths, values: values.to_vec() }
    }

    fn decode(&self, bits: &mut Bits) -> Result<u8, CodecError> {
        let mut code = 0;
        for (first, count, at) in &self.lengths {
            code = (code << 1) | bits.bit()?;
            if let Some(index) = code.checked_sub(*first).filter(|index| index < count) {
                return self.values.get(at + index as usize).copied().ok_or(DAMAGED);
            }
        }
        Err(DAMAGED)
    }
}

/// Bits of the entropy-coded segment; a zero byte behind 0xff is no data.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    byte: u8,
    left: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u32, CodecError> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at).ok_or(DAMAGED)?;
            self.at += 1;
            if self.byte == 0xff {
                // A marker ends the data.
                if self.data.get(self.at) != Some(&0) {
                    return Err(DAMAGED);
                }
                self.at += 1;
            }
            self.left = 8;
        }
        self.left -= 1;
        Ok(u32::from(self.byte >> self.left) & 1)
    }

    /// RECEIVE and EXTEND (10918-1 F.2.2.1).
    fn difference(&mut self, size: u8) -> Result<i32, CodecError> {
        if size == 0 {
            return Ok(0);
        }
        if size > 15 {
            return Err(DAMAGED);
        }
        let value = (0..size).try_fold(0, |value, _| Ok::<_, CodecError>((value << 1) | self.bit()? as i32))?;
        Ok(if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value })
    }

    /// Steps over RSTm (10918-1 F.2.2.5).
    fn restart(&mut self) -> Result<(), CodecError> {
        self.left = 0;
        match self.data.get(self.at..self.at + 2) {
            Some([0xff, 0xd0..=0xd7]) => self.at += 2,
            _ => return Err(DAMAGED),
        }
        Ok(())
    }
}

/// The samples, row by row.
pub(super) fn decode(data: &[u8], columns: u32, rows: u32) -> Result<Vec<u16>, CodecError> {
    if columns as usize * rows as usize > MAX_SAMPLES {
        return Err(CodecError::TooLarge);
    }
    let mut quantization: [Option<[u16; 64]>; 4] = [None; 4];
    let mut tables: [[Huffman; 4]; 2] = Default::default();
    let (mut interval, mut table) = (0u32, None);
    let mut at = 2;
    loop {
        let Some(&[0xff, marker, high, low]) = data.get(at..at + 4) else { return Err(DAMAGED) };
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut body = data.get(at + 4..at + 2 + length).ok_or(DAMAGED)?;
        at += 2 + length;
        match marker {
            0xdb => {
                while let Some((&head, rest)) = body.split_first() {
                    let wide = head >> 4 != 0;
                    let size = if wide { 128 } else { 64 };
                    let values = rest.get(..size).ok_or(DAMAGED)?;
                    body = rest.get(size..).unwrap_or_default();
                    let mut steps = [0u16; 64];
                    for (i, step) in steps.iter_mut().enumerate() {
                        *step = match (wide, values.get(i), values.get(2 * i), values.get(2 * i + 1)) {
                            (true, _, Some(high), Some(low)) => u16::from_be_bytes([*high, *low]),
                            (false, Some(value), ..) => u16::from(*value),
                            _ => return Err(DAMAGED),
                        };
                    }
                    *quantization.get_mut(usize::from(head & 15)).ok_or(DAMAGED)? = Some(steps);
                }
            }
            0xc4 => {
                while let Some((&head, rest)) = body.split_first() {
                    let counts = rest.get(..16).ok_or(DAMAGED)?;
                    let total = counts.iter().map(|c| usize::from(*c)).sum::<usize>();
                    let values = rest.get(16..16 + total).ok_or(DAMAGED)?;
                    body = rest.get(16 + total..).unwrap_or_default();
                    let class = tables.get_mut(usize::from(head >> 4)).ok_or(DAMAGED)?;
                    *class.get_mut(usize::from(head & 15)).ok_or(DAMAGED)? = Huffman::new(counts, values);
                }
            }
            0xc0 | 0xc1 => {
                let &[precision, y1, y0, x1, x0, components, _, _, chosen, ..] = body else { return Err(DAMAGED) };
                if precision != 12 || components != 1 {
                    return Err(CodecError::Unsupported("12-bit JPEG in color"));
                }
                let size = (u32::from(u16::from_be_bytes([x1, x0])), u32::from(u16::from_be_bytes([y1, y0])));
                if size != (columns, rows) {
                    return Err(CodecError::Damaged("JPEG dimensions"));
                }
                table = Some(chosen);
            }
            0xc2..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => return Err(CodecError::Unsupported("process of JPEG")),
            0xdd => {
                let &[high, low] = body else { return Err(DAMAGED) };
                interval = u32::from(u16::from_be_bytes([high, low]));
            }
            0xda => {
                // The spectral selection is that of a sequential scan whatever a writer put there.
                let &[1, _, chosen, ..] = body else { return Err(DAMAGED) };
                let steps =
                    table.and_then(|t: u8| quantization.get(usize::from(t)).copied().flatten()).ok_or(DAMAGED)?;
                let [dc, ac] = &tables;
                let dc = dc.get(usize::from(chosen >> 4)).ok_or(DAMAGED)?;
                let ac = ac.get(usize::from(chosen & 15)).ok_or(DAMAGED)?;
                let bits = Bits { data: data.get(at..).unwrap_or_default(), at: 0, byte: 0, left: 0 };
                return scan(bits, (columns, rows), &steps, dc, ac, interval);
            }
            _ => {}
        }
    }
}

fn scan(
    mut bits: Bits,
    (columns, rows): (u32, u32),
    steps: &[u16; 64],
    dc: &Huffman,
    ac: &Huffman,
    interval: u32,
) -> Result<Vec<u16>, CodecError> {
    let (columns, rows) = (columns as usize, rows as usize);
    let cosines = cosines();
    let mut out = vec![0u16; columns * rows];
    let (mut predicted, mut count) = (0i32, 0u32);
    for (top, left) in (0..rows).step_by(8).flat_map(|y| (0..columns).step_by(8).map(move |x| (y, x))) {
        if interval != 0 && count == interval {
            bits.restart()?;
            (predicted, count) = (0, 0);
        }
        count += 1;
        let mut block = [0f32; 64];
        let size = dc.decode(&mut bits)?;
        predicted = predicted.saturating_add(bits.difference(size)?);
        let mut put = |index: usize, value: i32| {
            let (Some(place), Some(step)) = (ZIGZAG.get(index), steps.get(index)) else { return };
            if let Some(slot) = block.get_mut(usize::from(*place)) {
                *slot = value as f32 * f32::from(*step);
            }
        };
        put(0, predicted);
        let mut index = 1;
        while index < 64 {
            let symbol = ac.decode(&mut bits)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => index += 16,
                (_, 0) => break,
                (run, size) => {
                    index += usize::from(run);
                    put(index, bits.difference(size)?);
                    index += 1;
                }
            }
        }
        let samples = inverse(&block, &cosines);
        for (y, line) in samples.chunks_exact(8).enumerate().take(rows - top) {
            let start = (top + y) * columns + left;
            let width = 8.min(columns - left);
            let target = out.get_mut(start..start + width).unwrap_or_default();
            for (slot, value) in target.iter_mut().zip(line) {
                *slot = (value.round() as i32 + 2048).clamp(0, 4095) as u16;
            }
        }
    }
    Ok(out)
}

/// `cosines[x][u]`: the weight of frequency `u` at place `x` (10918-1 A.3.3).
fn cosines() -> [[f32; 8]; 8] {
    let mut table = [[0f32; 8]; 8];
    for (x, row) in table.iter_mut().enumerate() {
        for (u, weight) in row.iter_mut().enumerate() {
            let scale = if u == 0 { 0.5f64.sqrt() } else { 1.0 };
            *weight = (scale / 2.0 * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()) as f32;
        }
    }
    table
}

/// The inverse transform, rows then columns.
fn inverse(block: &[f32; 64], cosines: &[[f32; 8]; 8]) -> [f32; 64] {
    // One direction, turned over: both directions make the whole, upright again.
    let pass = |input: &[f32; 64]| {
        let mut out = [0f32; 64];
        for (i, line) in input.chunks_exact(8).enumerate() {
            for (x, weights) in cosines.iter().enumerate() {
                let sum = line.iter().zip(weights).map(|(value, weight)| value * weight).sum();
                if let Some(slot) = out.get_mut(x * 8 + i) {
                    *slot = sum;
                }
            }
        }
        out
    };
    pass(&pass(block))
}
