//! From a JPEG-LS stream to samples.

use super::{DAMAGED, Model, neighbours, order, pad, parameter, set};
use crate::codec::{CodecError, MAX_SAMPLES};

struct Frame {
    bits: u32,
    width: usize,
    height: usize,
    components: Vec<u8>,
}

/// The preset coding parameters (T.87 C.2.4.1.1), zero meaning default.
#[derive(Default, Clone, Copy)]
struct Presets {
    max: i32,
    t1: i32,
    t2: i32,
    t3: i32,
    reset: i32,
}

/// The samples, the components of a pixel side by side, each of `bits`.
pub(in crate::codec) struct Decoded {
    pub samples: Vec<u16>,
    pub components: usize,
    pub bits: u32,
}

pub(in crate::codec) fn decode(data: &[u8], columns: u32, rows: u32) -> Result<Decoded, CodecError> {
    let mut at = 0;
    let mut frame: Option<Frame> = None;
    let mut presets = Presets::default();
    let mut out: Vec<u16> = Vec::new();
    let mut seen = 0;
    loop {
        // Markers may be preceded by fill bytes.
        let Some(&byte) = data.get(at) else { return Err(DAMAGED) };
        if byte != 0xff {
            at += 1;
            continue;
        }
        let Some(&marker) = data.get(at + 1) else { return Err(DAMAGED) };
        at += 1;
        if marker == 0xff {
            continue;
        }
        at += 1;
        if marker == 0xd8 {
            continue;
        }
        if marker == 0xd9 {
            return Err(DAMAGED);
        }
        let length = word(data, at).ok_or(DAMAGED)?;
        let body = data.get(at + 2..at + length).ok_or(DAMAGED)?;
        at += length;
        match marker {
            0xf7 => {
                let found = start_of_frame(body)?;
                if found.width != columns as usize || found.height != rows as usize {
                    return Err(CodecError::Damaged("JPEG-LS dimensions"));
                }
                let samples = found.width.saturating_mul(found.height).saturating_mul(found.components.len());
                if samples > MAX_SAMPLES {
                    return Err(CodecError::TooLarge);
                }
                out = vec![0; samples];
                frame = Some(found);
            }
            0xf8 if body.first() == Some(&1) => {
                let value = |i: usize| word(body, 1 + i * 2).map(|v| v as i32).ok_or(DAMAGED);
                presets = Presets { max: value(0)?, t1: value(1)?, t2: value(2)?, t3: value(3)?, reset: value(4)? };
            }
            // Mapping tables and over-size images do not occur in DICOM.
            0xf8 => return Err(CodecError::Unsupported("JPEG-LS extension")),
            0xdd if body.iter().any(|b| *b != 0) => {
                return Err(CodecError::Unsupported("JPEG-LS restart intervals"));
            }
            0xda => {
                let frame = frame.as_ref().ok_or(DAMAGED)?;
                let (&count, rest) = body.split_first().ok_or(DAMAGED)?;
                let count = usize::from(count);
                let parameters = rest.get(count * 2..count * 2 + 3).ok_or(DAMAGED)?;
                let &[near, interleave, transform] = parameters else { return Err(DAMAGED) };
                if transform & 0x0f != 0 || count == 0 {
                    return Err(DAMAGED);
                }
                let total = frame.components.len();
                let mut scan = Scan::new(frame, presets, i32::from(near), data.get(at..).unwrap_or_default())?;
                match interleave {
                    0 if count == 1 => scan.lines(&mut out, total, &[seen])?,
                    1 if count == total => {
                        scan.lines(&mut out, total, &(0..total).collect::<Vec<_>>())?;
                    }
                    2 if count == 1 && total == 1 => scan.lines(&mut out, 1, &[0])?,
                    2 if count == total && total == 3 => scan.triplets(&mut out)?,
                    _ => return Err(CodecError::Unsupported("JPEG-LS interleave")),
                }
                seen += count;
                if seen >= total {
                    return Ok(Decoded { samples: out, components: total, bits: frame.bits });
                }
                at += scan.reader.consumed();
            }
            _ => {}
        }
    }
}

fn word(data: &[u8], at: usize) -> Option<usize> {
    match data.get(at..at + 2)? {
        [high, low] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

fn start_of_frame(body: &[u8]) -> Result<Frame, CodecError> {
    let bits = u32::from(*body.first().ok_or(DAMAGED)?);
    let height = word(body, 1).ok_or(DAMAGED)?;
    let width = word(body, 3).ok_or(DAMAGED)?;
    let count = usize::from(*body.get(5).ok_or(DAMAGED)?);
    if !(2..=16).contains(&bits) || width == 0 || height == 0 || !matches!(count, 1 | 3) {
        return Err(DAMAGED);
    }
    let mut components = Vec::new();
    for i in 0..count {
        let spec = body.get(6 + i * 3..9 + i * 3).ok_or(DAMAGED)?;
        if spec.get(1) != Some(&0x11) {
            return Err(CodecError::Unsupported("subsampled JPEG-LS"));
        }
        components.extend(spec.first());
    }
    Ok(Frame { bits, width, height, components })
}

/// Bits of the entropy-coded segment; after a byte 0xff the next one carries seven bits (T.87 A.1).
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    cache: u64,
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, cache: 0, count: 0, after_ff: false }
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            let Some(&byte) = self.data.get(self.at) else { return };
            let width = if self.after_ff {
                if byte & 0x80 != 0 {
                    return;
                }
                7
            } else {
                // A marker ends the segment; its first byte is no data.
                if byte == 0xff && self.data.get(self.at + 1).is_none_or(|next| next & 0x80 != 0) {
                    return;
                }
                8
            };
            self.at += 1;
            self.after_ff = byte == 0xff;
            self.cache = (self.cache << width) | u64::from(byte);
            self.count += width;
        }
    }

    fn bit(&mut self) -> Result<u32, CodecError> {
        self.bits(1)
    }

    fn bits(&mut self, n: u32) -> Result<u32, CodecError> {
        if n == 0 {
            return Ok(0);
        }
        if self.count < n {
            self.fill();
            if self.count < n {
                return Err(DAMAGED);
            }
        }
        self.count -= n;
        Ok(((self.cache >> self.count) & ((1u64 << n) - 1)) as u32)
    }

    /// Zeros before the next one, which is taken too; at most `limit` of them.
    fn zeros(&mut self, limit: u32) -> Result<u32, CodecError> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > limit {
                return Err(DAMAGED);
            }
        }
        Ok(zeros)
    }

    /// Where the next marker is looked for.
    fn consumed(&self) -> usize {
        self.at
    }
}

struct Scan<'a> {
    reader: Bits<'a>,
    width: usize,
    height: usize,
    model: Model,
}

impl<'a> Scan<'a> {
    fn new(frame: &Frame, presets: Presets, near: i32, data: &'a [u8]) -> Result<Self, CodecError> {
        let full = (1i32 << frame.bits) - 1;
        let max = if presets.max > 0 { presets.max.min(full) } else { full };
        let model = Model::new(max, near, [presets.t1, presets.t2, presets.t3], presets.reset)?;
        Ok(Self { reader: Bits::new(data), width: frame.width, height: frame.height, model })
    }

    /// Component after component, or line after line: `components` are those of this scan, of `total` in a pixel.
    fn lines(&mut self, out: &mut [u16], total: usize, components: &[usize]) -> Result<(), CodecError> {
        let size = self.width + 2;
        let mut previous = vec![vec![0i32; size]; components.len()];
        let mut current = vec![vec![0i32; size]; components.len()];
        let mut run_index = vec![0usize; components.len()];
        for row in 0..self.height {
            for (i, component) in components.iter().enumerate() {
                let (Some(above), Some(line), Some(run)) =
                    (previous.get_mut(i), current.get_mut(i), run_index.get_mut(i))
                else {
                    return Err(DAMAGED);
                };
                pad(above, line, self.width);
                self.line(above, line, run)?;
                let start = row * self.width * total + component;
                let target = out.get_mut(start..).unwrap_or_default().iter_mut().step_by(total);
                for (slot, value) in target.zip(line.iter().skip(1).take(self.width)) {
                    *slot = *value as u16;
                }
                std::mem::swap(above, line);
            }
        }
        Ok(())
    }

    fn line(&mut self, above: &[i32], line: &mut [i32], run: &mut usize) -> Result<(), CodecError> {
        let mut x = 1;
        while x <= self.width {
            let (a, b, c, d) = neighbours(above, line, x);
            let gradients = [d - b, b - c, c - a];
            if gradients.iter().all(|g| g.abs() <= self.model.near) {
                let length = self.run_length(run, self.width + 1 - x)?;
                for slot in line.iter_mut().skip(x).take(length) {
                    *slot = a;
                }
                x += length;
                if x > self.width {
                    break;
                }
                let b = above.get(x).copied().unwrap_or(0);
                let value = self.interruption(a, b, *run)?;
                set(line, x, value);
                *run = run.saturating_sub(1);
            } else {
                let value = self.regular(gradients, a, b, c)?;
                set(line, x, value);
            }
            x += 1;
        }
        Ok(())
    }

    /// Three components pixel by pixel: a run needs all three flat.
    fn triplets(&mut self, out: &mut [u16]) -> Result<(), CodecError> {
        let size = self.width + 2;
        let mut above = [vec![0i32; size], vec![0; size], vec![0; size]];
        let mut line = above.clone();
        let mut run = 0usize;
        for row in 0..self.height {
            for (above, line) in above.iter_mut().zip(&mut line) {
                pad(above, line, self.width);
            }
            let mut x = 1;
            while x <= self.width {
                let near: Vec<(i32, i32, i32, i32)> =
                    above.iter().zip(&line).map(|(above, line)| neighbours(above, line, x)).collect();
                let flat =
                    near.iter().all(|(a, b, c, d)| [d - b, b - c, c - a].iter().all(|g| g.abs() <= self.model.near));
                if flat {
                    let length = self.run_length(&mut run, self.width + 1 - x)?;
                    for ((a, ..), line) in near.iter().zip(&mut line) {
                        for slot in line.iter_mut().skip(x).take(length) {
                            *slot = *a;
                        }
                    }
                    x += length;
                    if x > self.width {
                        break;
                    }
                    for (i, (a, ..)) in near.iter().enumerate() {
                        let b = above.get(i).and_then(|l| l.get(x)).copied().unwrap_or(0);
                        let error = self.interruption_error(0, run)?;
                        let value = self.model.reconstruct(b, if b < *a { -error } else { error });
                        if let Some(line) = line.get_mut(i) {
                            set(line, x, value);
                        }
                    }
                    run = run.saturating_sub(1);
                } else {
                    for (i, (a, b, c, d)) in near.iter().copied().enumerate() {
                        let value = self.regular([d - b, b - c, c - a], a, b, c)?;
                        if let Some(line) = line.get_mut(i) {
                            set(line, x, value);
                        }
                    }
                }
                x += 1;
            }
            let target = out.get_mut(row * self.width * 3..).unwrap_or_default().chunks_exact_mut(3);
            for (x, pixel) in target.take(self.width).enumerate() {
                for (slot, line) in pixel.iter_mut().zip(&line) {
                    *slot = line.get(x + 1).map_or(0, |v| *v as u16);
                }
            }
            for (above, line) in above.iter_mut().zip(&mut line) {
                std::mem::swap(above, line);
            }
        }
        Ok(())
    }

    fn run_length(&mut self, run: &mut usize, left: usize) -> Result<usize, CodecError> {
        let mut length = 0usize;
        loop {
            let order = order(*run);
            if self.reader.bit()? == 0 {
                length += self.reader.bits(order)? as usize;
                // What is not ended by the end of the line is ended by another sample.
                return if length < left { Ok(length) } else { Err(DAMAGED) };
            }
            let step = 1usize << order;
            if length + step <= left {
                *run = (*run + 1).min(31);
            }
            length = (length + step).min(left);
            if length == left {
                return Ok(length);
            }
        }
    }

    fn interruption(&mut self, a: i32, b: i32, run: usize) -> Result<i32, CodecError> {
        if (a - b).abs() <= self.model.near {
            let error = self.interruption_error(1, run)?;
            Ok(self.model.reconstruct(a, error))
        } else {
            let error = self.interruption_error(0, run)?;
            Ok(self.model.reconstruct(b, if a > b { -error } else { error }))
        }
    }

    /// T.87 A.7.2.
    fn interruption_error(&mut self, kind: usize, run: usize) -> Result<i32, CodecError> {
        let (context, k, limit) = self.model.run_context(kind, run)?;
        let mapped = self.golomb(k, limit)?;
        let t = mapped + kind as i32;
        let odd = t & 1 == 1;
        let size = (t + 1) / 2;
        let error = if (k != 0 || 2 * context.negative >= context.n) == odd { -size } else { size };
        self.model.learn_run(kind, context, error, mapped);
        Ok(error)
    }

    fn golomb(&mut self, k: u32, limit: u32) -> Result<i32, CodecError> {
        let escape = self.model.escape(limit)?;
        let zeros = self.reader.zeros(escape)?;
        if zeros < escape {
            let low = self.reader.bits(k)?;
            let value = (u64::from(zeros) << k) | u64::from(low);
            i32::try_from(value).ok().filter(|v| *v <= 2 * self.model.range).ok_or(DAMAGED)
        } else {
            Ok(self.reader.bits(self.model.qbpp)? as i32 + 1)
        }
    }

    /// T.87 A.4 to A.6.
    fn regular(&mut self, gradients: [i32; 3], a: i32, b: i32, c: i32) -> Result<i32, CodecError> {
        let (slot, context, negative) = self.model.context(gradients)?;
        let prediction = self.model.predict(&context, negative, a, b, c);
        let k = parameter(context.n, context.a);
        let mapped = self.golomb(k, self.model.limit)?;
        let error = if self.model.near == 0 && k == 0 && 2 * context.b <= -context.n {
            if mapped & 1 == 1 { (mapped - 1) / 2 } else { -(mapped / 2) - 1 }
        } else if mapped & 1 == 0 {
            mapped / 2
        } else {
            -((mapped + 1) / 2)
        };
        self.model.learn(slot, context, error);
        Ok(self.model.reconstruct(prediction, if negative { -error } else { error }))
    }
}
