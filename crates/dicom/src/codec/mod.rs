//! Pixels between their transfer syntaxes: one mechanism for rendering, transcoding and the archive's own compression.
//!
//! | transfer syntax | decodes | encodes |
//! |---|---|---|
//! | native little and big endian, deflated (a frame of it is native) | yes | yes |
//! | RLE Lossless | yes | yes |
//! | JPEG Baseline, Extended (8 and 12 bits), Lossless (.57, .70) | yes | |
//! | JPEG-LS Lossless and Near-Lossless | yes | Lossless |
//! | JPEG 2000 (.90, .91) | yes | |
//! | High-Throughput JPEG 2000 (.201, .202, .203) | yes | without loss |
//!
//! Video (MPEG-2, MPEG-4, HEVC) has no frames of its own and passes untouched.
//!
//! Everything here is CPU work on untrusted bytes: sizes are checked before allocating, and callers run it on a bounded
//! pool and treat a panic of a codec as a damaged frame.

mod description;
mod htj2k;
mod j2k;
mod jpeg;
mod jpeg12;
mod jpegls;
mod native;
mod rle;
mod sibling;

pub use description::{Photometric, PixelDescription};
pub use mingying_openjph::Resolution;
pub use sibling::{Sibling, SiblingPlan, Unfit, htj2k_sibling};

use mingying_kernel::{Coded, ErrorKind};

/// Most samples of one frame that are decoded: 64 Mi, twice the largest mammogram.
pub const MAX_SAMPLES: usize = 64 << 20;

pub const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1.99";
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub const RLE_LOSSLESS: &str = "1.2.840.10008.1.2.5";
pub const JPEG_LS_LOSSLESS: &str = "1.2.840.10008.1.2.4.80";
pub const HTJ2K_LOSSLESS: &str = "1.2.840.10008.1.2.4.201";
pub const HTJ2K_LOSSLESS_RPCL: &str = "1.2.840.10008.1.2.4.202";
/// With or without loss; made without.
pub const HTJ2K: &str = "1.2.840.10008.1.2.4.203";

/// Why a frame cannot be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No codec for this transfer syntax in this server.
    #[error("no codec for transfer syntax {0}")]
    UnsupportedSyntax(String),
    /// A form of pixels that the codec does not take.
    #[error("unsupported pixels: {0}")]
    Unsupported(&'static str),
    /// The frame's bytes contradict the header or themselves.
    #[error("damaged image: {0}")]
    Damaged(&'static str),
    #[error("the image is too large")]
    TooLarge,
    /// An encoder failed at what it should be able to do.
    #[error("the image could not be encoded")]
    Encode,
}

impl Coded for CodecError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedSyntax(_) | Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Damaged(_) => ErrorKind::Invalid,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::Encode => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedSyntax(_) => "codec.transfer_syntax",
            Self::Unsupported(_) => "codec.unsupported",
            Self::Damaged(_) => "codec.damaged",
            Self::TooLarge => "codec.too_large",
            Self::Encode => "codec.encode",
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::UnsupportedSyntax(uid) => vec![("transfer_syntax", uid.clone())],
            Self::Unsupported(what) | Self::Damaged(what) => vec![("what", (*what).to_owned())],
            _ => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Native { big_endian: bool },
    Rle,
    Jpeg { lossless: bool },
    JpegLs { near: bool },
    Jpeg2000,
    Htj2k,
}

fn codec(transfer_syntax: &str) -> Option<Codec> {
    Some(match transfer_syntax {
        IMPLICIT_VR_LITTLE_ENDIAN | EXPLICIT_VR_LITTLE_ENDIAN | DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => {
            Codec::Native { big_endian: false }
        }
        EXPLICIT_VR_BIG_ENDIAN => Codec::Native { big_endian: true },
        RLE_LOSSLESS => Codec::Rle,
        "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" => Codec::Jpeg { lossless: false },
        "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => Codec::Jpeg { lossless: true },
        JPEG_LS_LOSSLESS => Codec::JpegLs { near: false },
        "1.2.840.10008.1.2.4.81" => Codec::JpegLs { near: true },
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => Codec::Jpeg2000,
        HTJ2K_LOSSLESS | HTJ2K_LOSSLESS_RPCL | HTJ2K => Codec::Htj2k,
        _ => return None,
    })
}

/// Whether frames of this transfer syntax can be decoded here. A single frame may still be of a form that cannot, such
/// as arithmetic-coded JPEG; `decode` says so.
pub fn can_decode(transfer_syntax: &str) -> bool {
    codec(transfer_syntax).is_some()
}

/// Whether native pixels can be brought into this transfer syntax here, without loss.
pub fn can_encode(transfer_syntax: &str) -> bool {
    matches!(
        codec(transfer_syntax),
        Some(Codec::Native { .. } | Codec::Rle | Codec::JpegLs { near: false } | Codec::Htj2k)
    )
}

/// Whether Pixel Data of this transfer syntax is a plain value, not fragments (PS3.5 A.4).
pub fn is_native(transfer_syntax: &str) -> bool {
    matches!(codec(transfer_syntax), Some(Codec::Native { .. }))
}

/// Native pixels: little endian, the samples of a pixel side by side (Planar Configuration 0), each in a word of
/// BitsAllocated; single-bit pixels one a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    /// What the samples are now: color coded by a codec's own transformation comes out as RGB.
    pub photometric: Photometric,
}

/// A frame as the target transfer syntax holds it, with the Photometric Interpretation that its header must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub photometric: Photometric,
}

/// Decodes one frame: its native bytes, or its fragments joined.
pub fn decode(transfer_syntax: &str, frame: &[u8], image: &PixelDescription) -> Result<Decoded, CodecError> {
    let codec = codec(transfer_syntax).ok_or_else(|| CodecError::UnsupportedSyntax(transfer_syntax.to_owned()))?;
    image.check()?;
    if image.bits_allocated == 1 && !matches!(codec, Codec::Native { .. }) {
        return Err(CodecError::Unsupported("compressed single-bit image"));
    }
    let mut decoded = decode_with(codec, transfer_syntax, frame, image)?;
    // Whatever was subsampled has its full number of samples now.
    if decoded.photometric == Photometric::YbrFull422 {
        decoded.photometric = Photometric::YbrFull;
    }
    Ok(decoded)
}

fn decode_with(
    codec: Codec,
    transfer_syntax: &str,
    frame: &[u8],
    image: &PixelDescription,
) -> Result<Decoded, CodecError> {
    match codec {
        Codec::Native { big_endian } => native::decode(image, frame, big_endian),
        Codec::Rle => Ok(Decoded { bytes: rle::decode(image, frame)?, photometric: image.photometric }),
        Codec::Jpeg { lossless } => jpeg::decode(image, frame, lossless).map_err(|error| match error {
            // Arithmetic coding and the like shows only in the frame itself.
            CodecError::UnsupportedSyntax(_) => CodecError::UnsupportedSyntax(transfer_syntax.to_owned()),
            other => other,
        }),
        Codec::JpegLs { .. } => {
            let found = jpegls::decode(frame, image.columns, image.rows)?;
            if found.components != usize::from(image.samples) {
                return Err(CodecError::Damaged("number of components"));
            }
            let bytes = image.pack(found.bits, found.samples.into_iter().map(i32::from));
            Ok(Decoded { bytes, photometric: image.photometric })
        }
        Codec::Jpeg2000 => j2k::decode(image, frame),
        Codec::Htj2k => htj2k::decode(image, frame),
    }
}

/// Encodes one frame without loss. `pixels` are native as `Decoded` has them, and `image` describes them so: its
/// `planar` does not count. The pixels are what is reproduced; the bytes may differ from one call to the next.
pub fn encode(transfer_syntax: &str, pixels: &[u8], image: &PixelDescription) -> Result<Encoded, CodecError> {
    let codec = codec(transfer_syntax).ok_or_else(|| CodecError::UnsupportedSyntax(transfer_syntax.to_owned()))?;
    image.check()?;
    let same = |bytes| Encoded { bytes, photometric: image.photometric };
    match codec {
        Codec::Native { big_endian } => Ok(same(native::encode(image, pixels, big_endian)?)),
        _ if image.bits_allocated == 1 => Err(CodecError::Unsupported("compressed single-bit image")),
        _ if pixels.len() != image.frame_len() => Err(CodecError::Damaged("number of pixels")),
        Codec::Rle => Ok(same(rle::encode(image, pixels))),
        Codec::JpegLs { near: false } => Ok(same(jpegls::encode_frame(image, pixels)?)),
        Codec::Htj2k => htj2k::encode(image, pixels),
        _ => Err(CodecError::UnsupportedSyntax(transfer_syntax.to_owned())),
    }
}

/// From one transfer syntax to another.
pub fn transcode(from: &str, to: &str, frame: &[u8], image: &PixelDescription) -> Result<Encoded, CodecError> {
    let decoded = decode(from, frame, image)?;
    encode(to, &decoded.bytes, &PixelDescription { photometric: decoded.photometric, planar: false, ..*image })
}

/// Decoded pixels as `image` describes them: plane by plane where it is planar, YBR_FULL where it says so. For who has
/// the header and gets decoded frames apart from it. Color whose interpretation belongs to a codec (YBR_FULL_422,
/// YBR_ICT, YBR_RCT) has three samples a pixel now and leaves as RGB, which is what clients take such pixels for.
pub fn lay_out(decoded: Decoded, image: &PixelDescription) -> Vec<u8> {
    let mut pixels = decoded.bytes;
    if decoded.photometric == Photometric::Rgb && image.photometric == Photometric::YbrFull && image.word() == 1 {
        native::to_ybr(&mut pixels);
    }
    if image.planar && image.samples == 3 { native::planes(&pixels, image.word()) } else { pixels }
}

/// The resolutions in an HTJ2K frame and the prefix of its bytes that holds each, coarsest first.
pub fn htj2k_resolutions(frame: &[u8]) -> Result<Vec<Resolution>, CodecError> {
    Ok(mingying_openjph::inspect(frame)?.resolutions)
}
