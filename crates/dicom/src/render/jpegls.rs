//! JPEG-LS decoding (ISO/IEC 14495-1, ITU-T T.87), lossless and near-lossless, 2 to 16 bits, one or three components,
//! all three interleave modes.

use super::{MAX_SAMPLES, RenderError};

const DAMAGED: RenderError = RenderError::Damaged("JPEG-LS data");

/// The order of run-length codes (T.87 A.2.1).
const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

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

/// The samples, interleaved, and the number of components.
pub(crate) fn decode(data: &[u8], columns: u32, rows: u32) -> Result<(Vec<u16>, usize), RenderError> {
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
                    return Err(RenderError::Damaged("JPEG-LS dimensions"));
                }
                let samples = found.width.saturating_mul(found.height).saturating_mul(found.components.len());
                if samples > MAX_SAMPLES {
                    return Err(RenderError::TooLarge);
                }
                out = vec![0; samples];
                frame = Some(found);
            }
            0xf8 if body.first() == Some(&1) => {
                let value = |i: usize| word(body, 1 + i * 2).map(|v| v as i32).ok_or(DAMAGED);
                presets = Presets { max: value(0)?, t1: value(1)?, t2: value(2)?, t3: value(3)?, reset: value(4)? };
            }
            // Mapping tables and over-size images do not occur in DICOM.
            0xf8 => return Err(RenderError::Unsupported("JPEG-LS extension")),
            0xdd if body.iter().any(|b| *b != 0) => {
                return Err(RenderError::Unsupported("JPEG-LS restart intervals"));
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
                    _ => return Err(RenderError::Unsupported("JPEG-LS interleave")),
                }
                seen += count;
                if seen >= total {
                    return Ok((out, total));
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

fn start_of_frame(body: &[u8]) -> Result<Frame, RenderError> {
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
            return Err(RenderError::Unsupported("subsampled JPEG-LS"));
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

    fn bit(&mut self) -> Result<u32, RenderError> {
        self.bits(1)
    }

    fn bits(&mut self, n: u32) -> Result<u32, RenderError> {
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
    fn zeros(&mut self, limit: u32) -> Result<u32, RenderError> {
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

#[derive(Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

#[derive(Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
}

struct Scan<'a> {
    reader: Bits<'a>,
    width: usize,
    height: usize,
    near: i32,
    max: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
    reset: i32,
    t: [i32; 3],
    contexts: Vec<Context>,
    run_contexts: [RunContext; 2],
}

impl<'a> Scan<'a> {
    fn new(frame: &Frame, presets: Presets, near: i32, data: &'a [u8]) -> Result<Self, RenderError> {
        let full = (1i32 << frame.bits) - 1;
        let max = if presets.max > 0 { presets.max.min(full) } else { full };
        if near > (max / 2).min(255) {
            return Err(DAMAGED);
        }
        let defaults = thresholds(max, near);
        let pick = |given: i32, default: i32| if given > 0 { given } else { default };
        let t = [pick(presets.t1, defaults[0]), pick(presets.t2, defaults[1]), pick(presets.t3, defaults[2])];
        if !(near < t[0] && t[0] <= t[1] && t[1] <= t[2] && t[2] <= max.max(near + 1)) {
            return Err(DAMAGED);
        }
        let range = (max + 2 * near) / (2 * near + 1) + 1;
        let bits_of = |n: i32| 32 - (n.max(1) - 1).leading_zeros();
        let qbpp = bits_of(range);
        let bpp = bits_of(max + 1).max(2);
        let a = ((range + 32) / 64).max(2);
        Ok(Self {
            reader: Bits::new(data),
            width: frame.width,
            height: frame.height,
            near,
            max,
            range,
            qbpp,
            limit: 2 * (bpp + bpp.max(8)),
            reset: pick(presets.reset, 64),
            t,
            contexts: vec![Context { a, b: 0, c: 0, n: 1 }; 365],
            run_contexts: [RunContext { a, n: 1, negative: 0 }; 2],
        })
    }

    /// Component after component, or line after line: `components` are those of this scan, of `total` in a pixel.
    fn lines(&mut self, out: &mut [u16], total: usize, components: &[usize]) -> Result<(), RenderError> {
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

    fn line(&mut self, above: &[i32], line: &mut [i32], run: &mut usize) -> Result<(), RenderError> {
        let mut x = 1;
        while x <= self.width {
            let (a, b, c, d) = neighbours(above, line, x);
            let gradients = [d - b, b - c, c - a];
            if gradients.iter().all(|g| g.abs() <= self.near) {
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
    fn triplets(&mut self, out: &mut [u16]) -> Result<(), RenderError> {
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
                let flat = near.iter().all(|(a, b, c, d)| [d - b, b - c, c - a].iter().all(|g| g.abs() <= self.near));
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
                        let value = self.reconstruct(b, if b < *a { -error } else { error });
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

    fn run_length(&mut self, run: &mut usize, left: usize) -> Result<usize, RenderError> {
        let mut length = 0usize;
        loop {
            let order = J.get(*run).copied().unwrap_or(15);
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

    fn interruption(&mut self, a: i32, b: i32, run: usize) -> Result<i32, RenderError> {
        if (a - b).abs() <= self.near {
            let error = self.interruption_error(1, run)?;
            Ok(self.reconstruct(a, error))
        } else {
            let error = self.interruption_error(0, run)?;
            Ok(self.reconstruct(b, if a > b { -error } else { error }))
        }
    }

    /// T.87 A.7.2.
    fn interruption_error(&mut self, kind: usize, run: usize) -> Result<i32, RenderError> {
        let context = *self.run_contexts.get(kind).ok_or(DAMAGED)?;
        let kind_value = kind as i32;
        let temp = context.a + if kind == 1 { context.n >> 1 } else { 0 };
        let mut k = 0;
        while k < 24 && (context.n << k) < temp {
            k += 1;
        }
        let limit = self.limit - J.get(run).copied().unwrap_or(15) - 1;
        let mapped = self.golomb(k, limit)?;
        let t = mapped + kind_value;
        let odd = t & 1 == 1;
        let size = (t + 1) / 2;
        let error = if (k != 0 || 2 * context.negative >= context.n) == odd { -size } else { size };
        let mut next = context;
        if error < 0 {
            next.negative += 1;
        }
        next.a += (mapped + 1 - kind_value) >> 1;
        if next.n == self.reset {
            next.a >>= 1;
            next.n >>= 1;
            next.negative >>= 1;
        }
        next.n += 1;
        if let Some(slot) = self.run_contexts.get_mut(kind) {
            *slot = next;
        }
        Ok(error)
    }

    fn golomb(&mut self, k: u32, limit: u32) -> Result<i32, RenderError> {
        let escape = limit.checked_sub(self.qbpp + 1).ok_or(DAMAGED)?;
        let zeros = self.reader.zeros(escape)?;
        if zeros < escape {
            let low = self.reader.bits(k)?;
            let value = (u64::from(zeros) << k) | u64::from(low);
            i32::try_from(value).ok().filter(|v| *v < 1 << 24).ok_or(DAMAGED)
        } else {
            Ok(self.reader.bits(self.qbpp)? as i32 + 1)
        }
    }

    fn quantise(&self, d: i32) -> i32 {
        let [t1, t2, t3] = self.t;
        let size = d.abs();
        let level = if size <= self.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        if d < 0 { -level } else { level }
    }

    /// T.87 A.4 to A.6.
    fn regular(&mut self, gradients: [i32; 3], a: i32, b: i32, c: i32) -> Result<i32, RenderError> {
        let q = gradients.map(|g| self.quantise(g));
        let mut index = 81 * q[0] + 9 * q[1] + q[2];
        let negative = index < 0;
        index = index.abs();
        let slot = index as usize;
        let context = *self.contexts.get(slot).ok_or(DAMAGED)?;
        let prediction = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let prediction = (prediction + if negative { -context.c } else { context.c }).clamp(0, self.max);
        let mut k = 0;
        while k < 24 && (context.n << k) < context.a {
            k += 1;
        }
        let mapped = self.golomb(k, self.limit)?;
        let error = if self.near == 0 && k == 0 && 2 * context.b <= -context.n {
            if mapped & 1 == 1 { (mapped - 1) / 2 } else { -(mapped / 2) - 1 }
        } else if mapped & 1 == 0 {
            mapped / 2
        } else {
            -((mapped + 1) / 2)
        };
        let mut next = context;
        next.b += error * (2 * self.near + 1);
        next.a += error.abs();
        if next.n == self.reset {
            next.a >>= 1;
            next.b >>= 1;
            next.n >>= 1;
        }
        next.n += 1;
        if next.b <= -next.n {
            next.b = (next.b + next.n).max(1 - next.n);
            next.c = (next.c - 1).max(-128);
        } else if next.b > 0 {
            next.b = (next.b - next.n).min(0);
            next.c = (next.c + 1).min(127);
        }
        // Damaged streams must not drive the sums out of range.
        next.a = next.a.min(1 << 26);
        next.b = next.b.clamp(-(1 << 26), 1 << 26);
        if let Some(place) = self.contexts.get_mut(slot) {
            *place = next;
        }
        Ok(self.reconstruct(prediction, if negative { -error } else { error }))
    }

    fn reconstruct(&self, prediction: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = prediction + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.max + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.max)
    }
}

/// Sets the samples beyond both ends of the lines (T.87 A.2.1).
fn pad(above: &mut [i32], line: &mut [i32], width: usize) {
    let first = above.get(1).copied().unwrap_or(0);
    let last = above.get(width).copied().unwrap_or(0);
    set(line, 0, first);
    set(above, width + 1, last);
}

fn neighbours(above: &[i32], line: &[i32], x: usize) -> (i32, i32, i32, i32) {
    let get = |line: &[i32], x: usize| line.get(x).copied().unwrap_or(0);
    (get(line, x - 1), get(above, x), get(above, x - 1), get(above, x + 1))
}

fn set(line: &mut [i32], x: usize, value: i32) {
    if let Some(slot) = line.get_mut(x) {
        *slot = value;
    }
}

/// T.87 C.2.4.1.1.1.
fn thresholds(max: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, low: i32| if value > max || value < low { low } else { value };
    if max >= 128 {
        let factor = (max.min(4095) + 128) / 256;
        let t1 = clamp(factor + 2 + 3 * near, near + 1);
        let t2 = clamp(factor * 4 + 3 + 5 * near, t1);
        let t3 = clamp(factor * 17 + 4 + 7 * near, t2);
        [t1, t2, t3]
    } else {
        let factor = 256 / (max + 1);
        let t1 = clamp((3 / factor + 3 * near).max(2), near + 1);
        let t2 = clamp((7 / factor + 5 * near).max(3), t1);
        let t3 = clamp((21 / factor + 7 * near).max(4), t2);
        [t1, t2, t3]
    }
}
