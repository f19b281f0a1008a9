//! From a stored frame to native samples.

use super::attributes::{ImageAttributes, Photometric};
use super::{MAX_SAMPLES, RenderError, jpegls, rle};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

/// Native pixels: little endian, interleaved, one allocated word per sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub bytes: Vec<u8>,
    /// Color samples are RGB already, whatever the header says of the stored form.
    pub is_rgb: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Native { big_endian: bool },
    Rle,
    Jpeg,
    JpegLs,
    Jpeg2000,
}

fn codec(transfer_syntax: &str) -> Option<Codec> {
    Some(match transfer_syntax {
        "1.2.840.10008.1.2" | "1.2.840.10008.1.2.1" | "1.2.840.10008.1.2.1.99" => Codec::Native { big_endian: false },
        "1.2.840.10008.1.2.2" => Codec::Native { big_endian: true },
        "1.2.840.10008.1.2.5" => Codec::Rle,
        "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" | "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => {
            Codec::Jpeg
        }
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => Codec::JpegLs,
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => Codec::Jpeg2000,
        _ => return None,
    })
}

/// Whether frames of this transfer syntax can be decoded here (12-bit lossy JPEG under .51 excepted, which shows only
/// in the frame itself).
pub fn can_decode(transfer_syntax: &str) -> bool {
    codec(transfer_syntax).is_some()
}

pub(crate) fn frame(image: &ImageAttributes, transfer_syntax: &str, frame: &[u8]) -> Result<Decoded, RenderError> {
    let codec = codec(transfer_syntax).ok_or_else(|| RenderError::UnsupportedSyntax(transfer_syntax.to_owned()))?;
    if image.bits_allocated == 1 && !matches!(codec, Codec::Native { .. }) {
        return Err(RenderError::Unsupported("compressed single-bit image"));
    }
    match codec {
        Codec::Native { big_endian } => native(image, frame, big_endian),
        Codec::Rle => {
            let bytes = rle::decode(image, frame)?;
            Ok(Decoded { bytes, is_rgb: false })
        }
        Codec::Jpeg => jpeg(image, transfer_syntax, frame),
        Codec::JpegLs => {
            let (samples, components) = jpegls::decode(frame, image.columns, image.rows)?;
            if components != usize::from(image.samples) {
                return Err(RenderError::Damaged("number of components"));
            }
            Ok(Decoded { bytes: pack(image, samples.into_iter().map(i32::from)), is_rgb: false })
        }
        Codec::Jpeg2000 => jpeg2000(image, frame),
    }
}

fn native(image: &ImageAttributes, frame: &[u8], big_endian: bool) -> Result<Decoded, RenderError> {
    let count = image.count();
    if image.bits_allocated == 1 {
        let bits = frame.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1));
        let bytes: Vec<u8> = bits.take(count).collect();
        if bytes.len() < count {
            return Err(RenderError::Damaged("too few pixels"));
        }
        return Ok(Decoded { bytes, is_rgb: false });
    }
    let width = usize::from(image.bits_allocated / 8);
    if image.photometric == Photometric::YbrFull422 && image.samples == 3 {
        return native_422(image, frame);
    }
    let mut bytes = frame.get(..count * width).ok_or(RenderError::Damaged("too few pixels"))?.to_vec();
    if big_endian && width > 1 {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    if image.planar && image.samples == 3 {
        bytes = interleave(&bytes, count / 3, width);
    }
    Ok(Decoded { bytes, is_rgb: false })
}

/// Plane by plane to pixel by pixel.
fn interleave(planes: &[u8], pixels: usize, width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(planes.len());
    for pixel in 0..pixels {
        for plane in 0..3 {
            let at = (plane * pixels + pixel) * width;
            out.extend_from_slice(planes.get(at..at + width).unwrap_or_default());
        }
    }
    out
}

/// Uncompressed YBR_FULL_422 (PS3.3 C.7.6.3.1.2): Y1 Y2 Cb Cr for two pixels. Writers that send three full samples
/// under this name are told by the length.
fn native_422(image: &ImageAttributes, frame: &[u8]) -> Result<Decoded, RenderError> {
    let count = image.count();
    if image.bits_allocated != 8 {
        return Err(RenderError::Unsupported("16-bit YBR_FULL_422"));
    }
    if let Some(full) = frame.get(..count) {
        return Ok(Decoded { bytes: full.to_vec(), is_rgb: false });
    }
    let pixels = count / 3;
    if frame.len() < pixels * 2 {
        return Err(RenderError::Damaged("too few pixels"));
    }
    let mut bytes = Vec::with_capacity(count);
    for pair in frame.chunks_exact(4) {
        let &[y1, y2, cb, cr] = pair else { continue };
        bytes.extend([y1, cb, cr, y2, cb, cr]);
    }
    bytes.truncate(count);
    if bytes.len() < count {
        return Err(RenderError::Damaged("too few pixels"));
    }
    Ok(Decoded { bytes, is_rgb: false })
}

/// Samples as stored values in words of BitsAllocated.
fn pack(image: &ImageAttributes, samples: impl Iterator<Item = i32>) -> Vec<u8> {
    let width = usize::from(image.bits_allocated.max(8) / 8);
    let mut bytes = Vec::with_capacity(image.count() * width);
    for sample in samples {
        bytes.extend_from_slice(sample.to_le_bytes().get(..width).unwrap_or_default());
    }
    bytes
}

fn jpeg(image: &ImageAttributes, transfer_syntax: &str, frame: &[u8]) -> Result<Decoded, RenderError> {
    let mut decoder = Decoder::new(frame);
    decoder.set_max_decoding_buffer_size(MAX_SAMPLES * 2);
    decoder.read_info().map_err(|e| jpeg_error(&e, transfer_syntax))?;
    let info = decoder.info().ok_or(RenderError::Damaged("JPEG header"))?;
    if u32::from(info.width) != image.columns || u32::from(info.height) != image.rows {
        return Err(RenderError::Damaged("JPEG dimensions"));
    }
    let components = match info.pixel_format {
        PixelFormat::L8 | PixelFormat::L16 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::CMYK32 => return Err(RenderError::Unsupported("CMYK")),
    };
    if components != image.samples {
        return Err(RenderError::Damaged("number of components"));
    }
    if components == 3 {
        let transform = if is_ycbcr(image, frame) { ColorTransform::YCbCr } else { ColorTransform::RGB };
        decoder.set_color_transform(transform);
    }
    let decoded = decoder.decode().map_err(|e| jpeg_error(&e, transfer_syntax))?;
    let bytes = match (info.pixel_format, image.bits_allocated) {
        (PixelFormat::L8 | PixelFormat::RGB24, 8) => decoded,
        (PixelFormat::L16, _) => {
            // The decoder gives words in the machine's order.
            let words = decoded.chunks_exact(2).map(|pair| match pair {
                [a, b] => i32::from(u16::from_ne_bytes([*a, *b])),
                _ => 0,
            });
            pack(image, words)
        }
        _ => pack(image, decoded.into_iter().map(i32::from)),
    };
    let wanted = image.count() * usize::from(image.bits_allocated / 8);
    if bytes.len() < wanted {
        return Err(RenderError::Damaged("too few pixels"));
    }
    Ok(Decoded { bytes, is_rgb: components == 3 })
}

fn jpeg_error(error: &jpeg_decoder::Error, transfer_syntax: &str) -> RenderError {
    match error {
        // Twelve-bit lossy and arithmetic coding.
        jpeg_decoder::Error::Unsupported(_) => RenderError::UnsupportedSyntax(transfer_syntax.to_owned()),
        _ => RenderError::Damaged("JPEG data"),
    }
}

/// Whether three components are YCbCr. The stream's own markers are believed before the header: encoders write
/// YCbCr under the label RGB.
fn is_ycbcr(image: &ImageAttributes, frame: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = frame.get(at..at + 4).and_then(|s| <&[u8; 4]>::try_from(s).ok()) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = frame.get(at + 4..(at + 2 + length).min(frame.len())).unwrap_or_default();
        match marker {
            0xe0 if body.starts_with(b"JFIF") => return true,
            0xee if body.starts_with(b"Adobe") => return body.get(11).is_some_and(|transform| *transform != 0),
            0xda => break,
            _ => {}
        }
        at += 2 + length.max(2);
    }
    !matches!(image.photometric, Photometric::Rgb)
}

fn jpeg2000(image: &ImageAttributes, frame: &[u8]) -> Result<Decoded, RenderError> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    let damaged = |_| RenderError::Damaged("JPEG 2000 data");
    let settings = DecodeSettings { resolve_palette_indices: false, strict: false, target_resolution: None };
    let picture = Image::new(frame, &settings).map_err(damaged)?;
    if picture.width() != image.columns || picture.height() != image.rows {
        return Err(RenderError::Damaged("JPEG 2000 dimensions"));
    }
    let mut context = DecoderContext::default();
    let decoded = picture.decode(&mut context).map_err(damaged)?;
    let components = decoded.components();
    let planes: Vec<(&[f32], u8)> =
        components.iter().take(usize::from(image.samples)).map(|c| (c.samples(), c.bit_depth())).collect();
    let pixels = image.rows as usize * image.columns as usize;
    if planes.len() != usize::from(image.samples) || planes.iter().any(|(plane, _)| plane.len() < pixels) {
        return Err(RenderError::Damaged("number of components"));
    }
    // The decoder shifts signed components as if they were unsigned; lossy values may overshoot their range. Where the
    // codestream and the header disagree about the sign, the bits are what counts.
    let signed = j2k_is_signed(frame);
    let samples = (0..pixels).flat_map(|pixel| {
        planes.iter().map(move |(plane, depth)| {
            let top = 1i64 << (*depth).clamp(1, 31);
            let value = plane.get(pixel).map_or(0, |value| value.round() as i64).clamp(0, top - 1);
            (if signed { value - top / 2 } else { value }) as i32
        })
    });
    Ok(Decoded { bytes: pack(image, samples), is_rgb: image.photometric == Photometric::YbrCodec })
}

/// Ssiz of the first component, in the SIZ segment right after SOC (ISO/IEC 15444-1 A.5.1).
fn j2k_is_signed(frame: &[u8]) -> bool {
    let start = frame.windows(4).position(|w| w == [0xff, 0x4f, 0xff, 0x51]).unwrap_or(0);
    frame.get(start + 42).is_some_and(|ssiz| ssiz & 0x80 != 0)
}
