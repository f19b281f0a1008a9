//! JPEG-LS (ISO/IEC 14495-1, ITU-T T.87), 2 to 16 bits, one or three components. Decodes lossless and near-lossless
//! scans in all three interleave modes; encodes lossless ones, line by line.

mod decode;
mod encode;

pub(super) use decode::decode;
pub(super) use encode::encode_frame;

use super::CodecError;

const DAMAGED: CodecError = CodecError::Damaged("JPEG-LS data");

/// The order of run-length codes (T.87 A.2.1).
const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

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

/// What both directions know and learn of the image (T.87 A.2 to A.7).
struct Model {
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

impl Model {
    /// `t` are the thresholds, zero meaning default, as `reset` does.
    fn new(max: i32, near: i32, t: [i32; 3], reset: i32) -> Result<Self, CodecError> {
        if near > (max / 2).min(255) {
            return Err(DAMAGED);
        }
        let pick = |given: i32, default: i32| if given > 0 { given } else { default };
        let [d1, d2, d3] = thresholds(max, near);
        let t = [pick(t[0], d1), pick(t[1], d2), pick(t[2], d3)];
        if !(near < t[0] && t[0] <= t[1] && t[1] <= t[2] && t[2] <= max.max(near + 1)) {
            return Err(DAMAGED);
        }
        let range = (max + 2 * near) / (2 * near + 1) + 1;
        let bits_of = |n: i32| 32 - (n.max(1) - 1).leading_zeros();
        let bpp = bits_of(max + 1).max(2);
        let a = ((range + 32) / 64).max(2);
        Ok(Self {
            near,
            max,
            range,
            qbpp: bits_of(range),
            limit: 2 * (bpp + bpp.max(8)),
            reset: pick(reset, 64),
            t,
            contexts: vec![Context { a, b: 0, c: 0, n: 1 }; 365],
            run_contexts: [RunContext { a, n: 1, negative: 0 }; 2],
        })
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

    /// Number of the context of three gradients, and whether its signs are turned (T.87 A.3.4).
    fn context(&self, gradients: [i32; 3]) -> Result<(usize, Context, bool), CodecError> {
        let [q1, q2, q3] = gradients.map(|g| self.quantise(g));
        let index = 81 * q1 + 9 * q2 + q3;
        let slot = index.unsigned_abs() as usize;
        Ok((slot, *self.contexts.get(slot).ok_or(DAMAGED)?, index < 0))
    }

    /// T.87 A.4.
    fn predict(&self, context: &Context, negative: bool, a: i32, b: i32, c: i32) -> i32 {
        let prediction = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        (prediction + if negative { -context.c } else { context.c }).clamp(0, self.max)
    }

    /// T.87 A.6.
    fn learn(&mut self, slot: usize, mut next: Context, error: i32) {
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
    }

    /// The run interruption context of a kind, its Golomb parameter, and the longest code (T.87 A.7.2).
    fn run_context(&self, kind: usize, run: usize) -> Result<(RunContext, u32, u32), CodecError> {
        let context = *self.run_contexts.get(kind).ok_or(DAMAGED)?;
        let temp = context.a + if kind == 1 { context.n >> 1 } else { 0 };
        Ok((context, parameter(context.n, temp), self.limit - order(run) - 1))
    }

    fn learn_run(&mut self, kind: usize, mut next: RunContext, error: i32, mapped: i32) {
        if error < 0 {
            next.negative += 1;
        }
        // Bounded as in `learn`.
        next.a = (next.a + ((mapped + 1 - kind as i32) >> 1)).min(1 << 26);
        if next.n == self.reset {
            next.a >>= 1;
            next.n >>= 1;
            next.negative >>= 1;
        }
        next.n += 1;
        if let Some(slot) = self.run_contexts.get_mut(kind) {
            *slot = next;
        }
    }

    /// Zeros that announce a value written in full, at the longest code `limit` (T.87 A.5.3).
    fn escape(&self, limit: u32) -> Result<u32, CodecError> {
        limit.checked_sub(self.qbpp + 1).ok_or(DAMAGED)
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

fn order(run: usize) -> u32 {
    J.get(run).copied().unwrap_or(15)
}

/// The Golomb parameter (T.87 A.5.1).
fn parameter(n: i32, a: i32) -> u32 {
    let mut k = 0;
    while k < 24 && (n << k) < a {
        k += 1;
    }
    k
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
