//! From samples to a lossless JPEG-LS stream. The components of color share a scan line by line (ILV 1).

use super::{DAMAGED, Model, neighbours, order, pad, parameter};
use crate::codec::{CodecError, PixelDescription};

/// Bits of the entropy-coded segment; after a byte 0xff the next one carries seven bits (T.87 A.1).
struct Bits {
    out: Vec<u8>,
    cache: u32,
    free: u32,
}

impl Bits {
    /// The lowest `count` bits of `value`, the highest first.
    fn put(&mut self, value: u32, mut count: u32) {
        while count > 0 {
            let taken = count.min(self.free);
            count -= taken;
            let part = (u64::from(value) >> count.min(32)) as u32 & ((1 << taken) - 1);
            self.free -= taken;
            self.cache |= part << self.free;
            if self.free == 0 {
                self.byte();
            }
        }
    }

    fn zeros(&mut self, count: u32) {
        self.put(0, count);
    }

    fn byte(&mut self) {
        let byte = self.cache as u8;
        self.out.push(byte);
        self.cache = 0;
        self.free = if byte == 0xff { 7 } else { 8 };
    }

    /// Fills the last byte; a segment never ends in 0xff.
    fn finish(mut self) -> Vec<u8> {
        if self.free < 8 {
            self.byte();
        }
        self.out
    }
}

struct Scan {
    bits: Bits,
    model: Model,
}

/// Native pixels as `codec::encode` takes them. Signed samples are coded as the bits they are.
pub(in crate::codec) fn encode_frame(image: &PixelDescription, pixels: &[u8]) -> Result<Vec<u8>, CodecError> {
    let word = image.word();
    if word > 2 {
        return Err(CodecError::Unsupported("bits allocated"));
    }
    let (Ok(width), Ok(height)) = (u16::try_from(image.columns), u16::try_from(image.rows)) else {
        return Err(CodecError::TooLarge);
    };
    let full = word as u32 * 8;
    let samples: Vec<i32> = pixels
        .chunks_exact(word)
        .map(|word| match word {
            [low, high] => i32::from(u16::from_le_bytes([*low, *high])),
            [byte] => i32::from(*byte),
            _ => 0,
        })
        .collect();
    // Bits above BitsStored count only where they are not what the value itself implies.
    let stored = u32::from(image.bits_stored).max(2);
    let mask = (1i32 << stored) - 1;
    let implied = |sample: i32| {
        let unused = 32 - stored;
        let extended = if image.signed { sample << unused >> unused } else { sample & mask };
        extended & ((1 << full) - 1) == sample
    };
    let bits = if samples.iter().all(|s| implied(*s)) { stored } else { full };
    let samples: Vec<i32> = samples.into_iter().map(|s| s & ((1 << bits) - 1)).collect();

    let total = usize::from(image.samples);
    let components: Vec<u8> = (1..=image.samples as u8).collect();
    let mut out = vec![0xff, 0xd8, 0xff, 0xf7];
    out.extend((8 + 3 * image.samples).to_be_bytes());
    out.push(bits as u8);
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.push(image.samples as u8);
    out.extend(components.iter().flat_map(|id| [*id, 0x11, 0]));
    out.extend([0xff, 0xda]);
    out.extend((6 + 2 * image.samples).to_be_bytes());
    out.push(image.samples as u8);
    out.extend(components.iter().flat_map(|id| [*id, 0]));
    out.extend([0, u8::from(total > 1), 0]);

    let model = Model::new((1 << bits) - 1, 0, [0; 3], 0)?;
    let mut scan = Scan { bits: Bits { out, cache: 0, free: 8 }, model };
    scan.lines(&samples, usize::from(width), total)?;
    let mut out = scan.bits.finish();
    out.extend([0xff, 0xd9]);
    Ok(out)
}

impl Scan {
    fn lines(&mut self, samples: &[i32], width: usize, total: usize) -> Result<(), CodecError> {
        let mut previous = vec![vec![0i32; width + 2]; total];
        let mut current = previous.clone();
        let mut runs = vec![0usize; total];
        for row in samples.chunks_exact(width * total) {
            for (component, ((above, line), run)) in previous.iter_mut().zip(&mut current).zip(&mut runs).enumerate() {
                for (slot, sample) in line.iter_mut().skip(1).zip(row.iter().skip(component).step_by(total)) {
                    *slot = *sample;
                }
                pad(above, line, width);
                self.line(above, line, width, run)?;
                std::mem::swap(above, line);
            }
        }
        Ok(())
    }

    fn line(&mut self, above: &[i32], line: &[i32], width: usize, run: &mut usize) -> Result<(), CodecError> {
        let mut x = 1;
        while x <= width {
            let (a, b, c, d) = neighbours(above, line, x);
            let gradients = [d - b, b - c, c - a];
            if gradients == [0; 3] {
                let rest = line.get(x..=width).unwrap_or_default();
                let length = rest.iter().take_while(|sample| **sample == a).count();
                x += length;
                self.run_length(run, length as u32, x > width);
                if x > width {
                    break;
                }
                let b = above.get(x).copied().unwrap_or(0);
                let actual = line.get(x).copied().unwrap_or(0);
                self.interruption(a, b, actual, *run)?;
                *run = run.saturating_sub(1);
            } else {
                self.regular(gradients, a, b, c, line.get(x).copied().unwrap_or(0))?;
            }
            x += 1;
        }
        Ok(())
    }

    /// T.87 A.7.1.
    fn run_length(&mut self, run: &mut usize, mut length: u32, at_end: bool) {
        while length >= 1 << order(*run) {
            self.bits.put(1, 1);
            length -= 1 << order(*run);
            *run = (*run + 1).min(31);
        }
        if at_end {
            if length > 0 {
                self.bits.put(1, 1);
            }
        } else {
            self.bits.put(0, 1);
            self.bits.put(length, order(*run));
        }
    }

    /// T.87 A.7.2.
    fn interruption(&mut self, a: i32, b: i32, actual: i32, run: usize) -> Result<(), CodecError> {
        let kind = usize::from(a == b);
        let (context, k, limit) = self.model.run_context(kind, run)?;
        let difference = if a > b { b - actual } else { actual - b };
        let error = self.reduce(difference);
        let mostly_negative = 2 * context.negative >= context.n;
        let map = error != 0 && (error < 0) == (k != 0 || mostly_negative);
        let mapped = 2 * error.abs() - kind as i32 - i32::from(map);
        self.golomb(mapped, k, limit)?;
        self.model.learn_run(kind, context, error, mapped);
        Ok(())
    }

    /// T.87 A.4 to A.6.
    fn regular(&mut self, gradients: [i32; 3], a: i32, b: i32, c: i32, actual: i32) -> Result<(), CodecError> {
        let (slot, context, negative) = self.model.context(gradients)?;
        let prediction = self.model.predict(&context, negative, a, b, c);
        let error = self.reduce(if negative { prediction - actual } else { actual - prediction });
        let k = parameter(context.n, context.a);
        let mapped = match (error >= 0, k == 0 && 2 * context.b <= -context.n) {
            (true, false) => 2 * error,
            (false, false) => -2 * error - 1,
            (true, true) => 2 * error + 1,
            (false, true) => -2 * (error + 1),
        };
        self.golomb(mapped, k, self.model.limit)?;
        self.model.learn(slot, context, error);
        Ok(())
    }

    /// Errors count modulo the range (T.87 A.4.5).
    fn reduce(&self, error: i32) -> i32 {
        let range = self.model.range;
        let error = if error < 0 { error + range } else { error };
        if error >= (range + 1) / 2 { error - range } else { error }
    }

    fn golomb(&mut self, mapped: i32, k: u32, limit: u32) -> Result<(), CodecError> {
        let escape = self.model.escape(limit)?;
        let value = u32::try_from(mapped).map_err(|_| DAMAGED)?;
        if value >> k < escape {
            self.bits.zeros(value >> k);
            self.bits.put(1, 1);
            self.bits.put(value, k);
        } else {
            self.bits.zeros(escape);
            self.bits.put(1, 1);
            self.bits.put(value - 1, self.model.qbpp);
        }
        Ok(())
    }
}
