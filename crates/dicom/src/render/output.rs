//! Cutting, scaling, encoding.

use super::{Format, Picture, RenderError, View};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, GrayImage, ImageEncoder, RgbImage};

/// Largest side of what leaves.
const MAX_SIDE: u32 = 8192;

pub(crate) fn place(picture: Picture, view: &View) -> Result<Picture, RenderError> {
    let picture = match view.region {
        Some(region) => cut(picture, region)?,
        None => picture,
    };
    let Some((width, height)) = view.size else { return Ok(picture) };
    let (width, height) = (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
    let scale = (f64::from(width) / f64::from(picture.width)).min(f64::from(height) / f64::from(picture.height));
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).clamp(1, MAX_SIDE);
    let (width, height) = (side(picture.width), side(picture.height));
    if (width, height) == (picture.width, picture.height) {
        return Ok(picture);
    }
    let filter = FilterType::Triangle;
    let pixels = if picture.color {
        let image = RgbImage::from_raw(picture.width, picture.height, picture.pixels).ok_or(RenderError::Encode)?;
        imageops::resize(&image, width, height, filter).into_raw()
    } else {
        let image = GrayImage::from_raw(picture.width, picture.height, picture.pixels).ok_or(RenderError::Encode)?;
        imageops::resize(&image, width, height, filter).into_raw()
    };
    Ok(Picture { width, height, color: picture.color, pixels })
}

fn cut(picture: Picture, (left, top, width, height): (u32, u32, u32, u32)) -> Result<Picture, RenderError> {
    let width = width.min(picture.width.saturating_sub(left));
    let height = height.min(picture.height.saturating_sub(top));
    if width == 0 || height == 0 {
        return Err(RenderError::Unsupported("region outside the image"));
    }
    let channels = if picture.color { 3 } else { 1 };
    let stride = picture.width as usize * channels;
    let (from, len) = (left as usize * channels, width as usize * channels);
    let pixels = picture
        .pixels
        .chunks_exact(stride)
        .skip(top as usize)
        .take(height as usize)
        .flat_map(|row| row.get(from..from + len).unwrap_or_default().iter().copied())
        .collect();
    Ok(Picture { width, height, color: picture.color, pixels })
}

pub(crate) fn encode(picture: &Picture, format: Format) -> Result<Vec<u8>, RenderError> {
    let color = if picture.color { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut out = Vec::with_capacity(picture.pixels.len() / 4);
    let done = match format {
        Format::Jpeg(quality) => JpegEncoder::new_with_quality(&mut out, quality.clamp(1, 100)).write_image(
            &picture.pixels,
            picture.width,
            picture.height,
            color,
        ),
        Format::Png => PngEncoder::new(&mut out).write_image(&picture.pixels, picture.width, picture.height, color),
    };
    done.map_err(|_| RenderError::Encode)?;
    Ok(out)
}
