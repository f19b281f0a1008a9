//! JPEG (PS3.5 A.4.1): baseline, extended, lossless.

use super::{CodecError, Decoded, MAX_SAMPLES, Photometric, PixelDescription, jpeg12};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

pub(super) fn decode(image: &PixelDescription, frame: &[u8], lossless: bool) -> Result<Decoded, CodecError> {
    if !lossless && precision(frame) == Some(12) {
        let samples = jpeg12::decode(frame, image.columns, image.rows)?;
        if image.samples != 1 {
            return Err(CodecError::Damaged("number of components"));
        }
        let bytes = image.pack(12, samples.into_iter().map(i32::from));
        return Ok(Decoded { bytes, photometric: image.photometric });
    }
    let mut decoder = Decoder::new(frame);
    decoder.set_max_decoding_buffer_size(MAX_SAMPLES * 2);
    decoder.read_info().map_err(|e| error(&e))?;
    let info = decoder.info().ok_or(CodecError::Damaged("JPEG header"))?;
    if u32::from(info.width) != image.columns || u32::from(info.height) != image.rows {
        return Err(CodecError::Damaged("JPEG dimensions"));
    }
    let components = match info.pixel_format {
        PixelFormat::L8 | PixelFormat::L16 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::CMYK32 => return Err(CodecError::Unsupported("CMYK")),
    };
    if components != image.samples {
        return Err(CodecError::Damaged("number of components"));
    }
    let mut photometric = image.photometric;
    if components == 3 {
        // Going to RGB rounds, which lossless color must not: it stays what the header calls it.
        let transform = if !lossless && is_ycbcr(image, frame) { ColorTransform::YCbCr } else { ColorTransform::RGB };
        decoder.set_color_transform(transform);
        if !lossless {
            photometric = Photometric::Rgb;
        }
    }
    let decoded = decoder.decode().map_err(|e| error(&e))?;
    let bits = u32::from(precision(frame).unwrap_or(8));
    let bytes = match (info.pixel_format, image.bits_allocated) {
        (PixelFormat::L8 | PixelFormat::RGB24, 8) if bits == 8 => decoded,
        (PixelFormat::L16, _) => {
            // The decoder gives words in the machine's order.
            let words = decoded.chunks_exact(2).map(|pair| match pair {
                [a, b] => i32::from(u16::from_ne_bytes([*a, *b])),
                _ => 0,
            });
            image.pack(bits, words)
        }
        _ => image.pack(bits, decoded.into_iter().map(i32::from)),
    };
    if bytes.len() < image.frame_len() {
        return Err(CodecError::Damaged("too few pixels"));
    }
    Ok(Decoded { bytes, photometric })
}

fn error(error: &jpeg_decoder::Error) -> CodecError {
    match error {
        // Arithmetic coding, hierarchical modes.
        jpeg_decoder::Error::Unsupported(_) => CodecError::UnsupportedSyntax(String::new()),
        _ => CodecError::Damaged("JPEG data"),
    }
}

/// The marker segments before the first scan: marker, body.
fn segments(frame: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let &[0xff, marker, high, low] = frame.get(at..at + 4)? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = frame.get(at + 4..(at + 2 + length).min(frame.len())).unwrap_or_default();
        at += 2 + length.max(2);
        (marker != 0xda).then_some((marker, body))
    })
}

/// Sample precision of the frame header.
fn precision(frame: &[u8]) -> Option<u8> {
    let is_frame = |marker: u8| matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
    segments(frame).find(|(marker, _)| is_frame(*marker)).and_then(|(_, body)| body.first().copied())
}

/// Whether three components are YCbCr. The stream's own markers are believed before the header: encoders write
/// YCbCr under the label RGB.
fn is_ycbcr(image: &PixelDescription, frame: &[u8]) -> bool {
    for (marker, body) in segments(frame) {
        match marker {
            0xe0 if body.starts_with(b"JFIF") => return true,
            0xee if body.starts_with(b"Adobe") => return body.get(11).is_some_and(|transform| *transform != 0),
            _ => {}
        }
    }
    image.photometric != Photometric::Rgb
}
