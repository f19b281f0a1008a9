//! From samples to eight-bit pixels: modality transformation, VOI, presentation (PS3.4 N.2), colors.

use super::attributes::{ImageAttributes, Window, WindowFunction};
use super::{Picture, RenderError};
use crate::codec::{Decoded, Photometric, PixelDescription};

pub(crate) fn to_picture(
    image: &ImageAttributes,
    decoded: &Decoded,
    window: Option<&Window>,
) -> Result<Picture, RenderError> {
    let form = &image.pixels;
    let pixels = match form.photometric {
        Photometric::Palette if form.samples == 1 => palette(image, decoded)?,
        _ if form.samples == 3 => color(form, decoded),
        _ => gray(image, decoded, window),
    };
    let color = form.samples == 3 || form.photometric == Photometric::Palette;
    Ok(Picture { width: form.columns, height: form.rows, color, pixels })
}

/// The stored value in the allocated word: BitsStored bits up to HighBit, sign extended.
fn stored(image: &PixelDescription, word: u32) -> i32 {
    let bits = u32::from(image.bits_stored);
    let value = word >> (u32::from(image.high_bit) + 1 - bits);
    if bits >= 32 {
        return value as i32;
    }
    let value = value & ((1 << bits) - 1);
    if image.signed && value >> (bits - 1) == 1 { (value | (u32::MAX << bits)) as i32 } else { value as i32 }
}

/// What `make` makes of each allocated word. Eight and sixteen bits, which is nearly all there is, have loops of their own.
fn words<T>(image: &PixelDescription, decoded: &Decoded, make: impl FnMut(u32) -> T) -> Vec<T> {
    let bytes = decoded.bytes.as_slice();
    match usize::from(image.bits_allocated.max(8) / 8) {
        1 => bytes.iter().map(|byte| u32::from(*byte)).map(make).collect(),
        2 => bytes.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_le_bytes(*word))).map(make).collect(),
        width => {
            let word = |word: &[u8]| word.iter().rev().fold(0, |acc, byte| (acc << 8) | u32::from(*byte));
            bytes.chunks_exact(width).map(word).map(make).collect()
        }
    }
}

fn gray(image: &ImageAttributes, decoded: &Decoded, window: Option<&Window>) -> Vec<u8> {
    let invert = (image.pixels.photometric == Photometric::Monochrome1) != image.inverse_shape;
    let padded = |value: i32| image.padding.is_some_and(|(low, high)| (low..=high).contains(&value));
    let modality = |value: i32| match &image.modality_lut {
        Some(lut) => f64::from(lut.get(value)),
        None => f64::from(value) * image.slope + image.intercept,
    };
    let values = words(&image.pixels, decoded, |word| stored(&image.pixels, word));
    let mut window = window.copied().or_else(|| {
        // A VOI LUT counts only where nobody asked for a window and the object has none.
        if image.voi_lut.is_some() { None } else { image.windows.first().copied() }
    });
    if window.is_none() && image.voi_lut.is_none() {
        window = Some(full_range(values.iter().copied().filter(|v| !padded(*v)).map(modality)));
    }
    let shade = |value: i32| -> u8 {
        // Padding is shown as background: the darkest there is.
        if padded(value) {
            return 0;
        }
        let level = match (&window, &image.voi_lut) {
            (Some(window), _) => apply(window, modality(value)),
            (None, Some(lut)) => {
                let top = f64::from((1u32 << lut.bits.min(16)) - 1);
                f64::from(lut.get(modality(value).round() as i32)) / top * 255.0
            }
            (None, None) => 0.0,
        };
        let level = level.round().clamp(0.0, 255.0) as u8;
        if invert { 255 - level } else { level }
    };
    let (Some(low), Some(high)) = (values.iter().min().copied(), values.iter().max().copied()) else {
        return Vec::new();
    };
    let span = i64::from(high) - i64::from(low);
    if span >= values.len() as i64 {
        return values.into_iter().map(shade).collect();
    }
    // Each value between the ends is computed once.
    let table: Vec<u8> = (low..=high).map(shade).collect();
    let entry = |value: i32| table.get(value.wrapping_sub(low) as usize).copied().unwrap_or(0);
    values.into_iter().map(entry).collect()
}

/// The window that shows everything there is.
fn full_range(values: impl Iterator<Item = f64>) -> Window {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
    Window { center: f64::midpoint(low, high), width: (high - low).max(1.0), function: WindowFunction::LinearExact }
}

/// PS3.3 C.11.2.1.2 and C.11.2.1.3, output 0 to 255.
fn apply(window: &Window, x: f64) -> f64 {
    let (c, w) = (window.center, window.width);
    match window.function {
        WindowFunction::Linear if w <= 1.0 => {
            if x <= c - 0.5 {
                0.0
            } else {
                255.0
            }
        }
        WindowFunction::Linear => (((x - (c - 0.5)) / (w - 1.0) + 0.5) * 255.0).clamp(0.0, 255.0),
        WindowFunction::LinearExact => (((x - c) / w + 0.5) * 255.0).clamp(0.0, 255.0),
        WindowFunction::Sigmoid => 255.0 / (1.0 + (-4.0 * (x - c) / w).exp()),
    }
}

fn eight_bit(image: &PixelDescription, word: u32) -> u8 {
    let bits = u32::from(image.bits_stored);
    let value = u64::from(word >> (u32::from(image.high_bit) + 1 - bits));
    if bits <= 8 { value as u8 } else { (value >> (bits - 8)) as u8 }
}

fn color(image: &PixelDescription, decoded: &Decoded) -> Vec<u8> {
    let mut pixels = words(image, decoded, |word| eight_bit(image, word));
    if decoded.photometric == Photometric::YbrFull {
        for pixel in pixels.chunks_exact_mut(3) {
            if let [y, cb, cr] = pixel {
                (*y, *cb, *cr) = rgb(*y, *cb, *cr);
            }
        }
    }
    pixels
}

/// PS3.3 C.7.6.3.1.2, full range.
fn rgb(y: u8, cb: u8, cr: u8) -> (u8, u8, u8) {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let to = |v: f32| v.round().clamp(0.0, 255.0) as u8;
    (to(y + 1.402 * cr), to(y - 0.344_136 * cb - 0.714_136 * cr), to(y + 1.772 * cb))
}

fn palette(image: &ImageAttributes, decoded: &Decoded) -> Result<Vec<u8>, RenderError> {
    let Some(tables) = &image.palette else { return Err(RenderError::Unsupported("missing palette")) };
    let mut pixels = Vec::with_capacity(image.pixels.count() * 3);
    for value in words(&image.pixels, decoded, |word| stored(&image.pixels, word)) {
        for table in tables {
            let entry = table.get(value);
            pixels.push(if table.bits > 8 { (entry >> 8) as u8 } else { entry as u8 });
        }
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)]
    fn window_functions_at_their_corners() {
        let window = |function| Window { center: 40.0, width: 400.0, function };
        let linear = window(WindowFunction::Linear);
        assert_eq!(apply(&linear, -160.0).round(), 0.0);
        assert_eq!(apply(&linear, 239.0).round(), 255.0);
        assert!((apply(&linear, 39.5) - 127.5).abs() < 1e-9);
        let exact = window(WindowFunction::LinearExact);
        assert_eq!((apply(&exact, -160.0), apply(&exact, 240.0), apply(&exact, 40.0)), (0.0, 255.0, 127.5));
        let sigmoid = window(WindowFunction::Sigmoid);
        assert_eq!(apply(&sigmoid, 40.0), 127.5);
        assert!(apply(&sigmoid, 1e9) > 254.9 && apply(&sigmoid, -1e9) < 0.1);
        let step = Window { center: 10.0, width: 1.0, function: WindowFunction::Linear };
        assert_eq!((apply(&step, 9.5), apply(&step, 10.0)), (0.0, 255.0));
    }

    #[test]
    fn ybr_corners() {
        assert_eq!(rgb(255, 128, 128), (255, 255, 255));
        assert_eq!(rgb(76, 85, 255), (254, 0, 0));
    }
}
