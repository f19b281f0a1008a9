//! The compressed sibling of a native original, from which the original's bytes come back exactly.
//!
//! The archive keeps what it received; beside it, made in the background, it may hold the same pixels as HTJ2K Lossless
//! RPCL: smaller to send, and a prefix of a frame is a smaller image. Only where every byte of Pixel Data can be
//! reproduced may the original ever go, so this says no to everything else. What is needed to come back is the header
//! as it was received, the coded frames, and the bytes behind the last frame (`SiblingPlan::trailer`).

use super::{
    CodecError, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, HTJ2K_LOSSLESS_RPCL, Photometric, PixelDescription,
    decode, encode, is_native, native,
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use mingying_kernel::Coded as _;

/// Why an object stays as it was received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("no image")]
    NoPixels,
    /// Compressed by somebody else: its bytes cannot be made again.
    #[error("already compressed")]
    Compressed,
    /// Float, single-bit or 32-bit samples.
    #[error("bits allocated")]
    BitsAllocated,
    /// Eight-bit samples in the words of Explicit VR Big Endian lie in an order that writers disagree on.
    #[error("byte order")]
    ByteOrder,
    /// Its samples are numbers of colors: neighbours have nothing to do with each other.
    #[error("palette color")]
    Palette,
    /// YBR_FULL_422 and its like.
    #[error("subsampled color")]
    Subsampled,
    /// An overlay lies in the unused bits (PS3.5 8.1.2).
    #[error("overlay in the pixels")]
    Overlay,
    /// Pixel Data is shorter than its frames, or longer by more than one.
    #[error("length of pixel data")]
    Length,
    #[error(transparent)]
    Pixels(#[from] CodecError),
}

impl Unfit {
    /// Stable, for counting and for the log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPixels => "no_pixels",
            Self::Compressed => "compressed",
            Self::BitsAllocated => "bits_allocated",
            Self::ByteOrder => "byte_order",
            Self::Palette => "palette",
            Self::Subsampled => "subsampled",
            Self::Overlay => "overlay",
            Self::Length => "length",
            Self::Pixels(error) => error.code(),
        }
    }
}

/// How the frames of one object become HTJ2K and come back. A pure function of the header, so nothing of it needs to be
/// stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiblingPlan {
    image: PixelDescription,
    big_endian: bool,
    frames: u32,
    trailer: usize,
}

impl SiblingPlan {
    /// `header` as far as Pixel Data; `pixel_len` is the length of its value.
    pub fn new(header: &InMemDicomObject, transfer_syntax: &str, pixel_len: u64) -> Result<Self, Unfit> {
        if !is_native(transfer_syntax) {
            return Err(Unfit::Compressed);
        }
        let bits = header.get(tags::BITS_ALLOCATED).and_then(|e| e.to_int::<u32>().ok());
        if bits.is_some_and(|bits| !matches!(bits, 8 | 16)) {
            return Err(Unfit::BitsAllocated);
        }
        let image = PixelDescription::read(header)?.ok_or(Unfit::NoPixels)?;
        let big_endian = transfer_syntax == EXPLICIT_VR_BIG_ENDIAN;
        if big_endian && image.bits_allocated == 8 {
            return Err(Unfit::ByteOrder);
        }
        match image.photometric {
            Photometric::Palette => return Err(Unfit::Palette),
            Photometric::YbrFull422 => return Err(Unfit::Subsampled),
            _ => {}
        }
        // Repeating groups 6000 to 601E; Overlay Bit Position counts where the overlay has no data of its own.
        let overlay = (0x6000..=0x601e).step_by(2).any(|group| {
            header.get(Tag(group, 0x0100)).and_then(|e| e.to_int::<u32>().ok()).is_some_and(|bits| bits > 1)
                && header.get(Tag(group, 0x3000)).is_none()
        });
        if overlay {
            return Err(Unfit::Overlay);
        }
        let frames = header.get(tags::NUMBER_OF_FRAMES).map_or(Some(1), |e| e.to_int::<u32>().ok());
        let frames = frames.filter(|n| *n > 0).ok_or(Unfit::Length)?;
        let whole = u64::from(frames).checked_mul(image.frame_len() as u64).ok_or(Unfit::Length)?;
        let trailer = pixel_len.checked_sub(whole).filter(|n| *n < image.frame_len() as u64).ok_or(Unfit::Length)?;
        Ok(Self { image, big_endian, frames, trailer: trailer as usize })
    }

    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes of one original frame.
    pub fn frame_len(&self) -> usize {
        self.image.frame_len()
    }

    /// Bytes of Pixel Data behind the last frame: padding to an even length mostly, kept as they are.
    pub fn trailer(&self) -> usize {
        self.trailer
    }

    /// Transfer syntax of the frames that `encode` makes.
    pub fn transfer_syntax(&self) -> &'static str {
        HTJ2K_LOSSLESS_RPCL
    }

    /// Photometric Interpretation that a header of the sibling gives.
    pub fn photometric(&self) -> Photometric {
        match self.image.photometric {
            Photometric::Rgb => Photometric::YbrRct,
            other => other,
        }
    }

    /// One frame of the original as HTJ2K. CPU work; the frame must have `frame_len` bytes.
    pub fn encode(&self, frame: &[u8]) -> Result<Vec<u8>, CodecError> {
        if frame.len() != self.frame_len() {
            return Err(CodecError::Damaged("number of pixels"));
        }
        let syntax = if self.big_endian { EXPLICIT_VR_BIG_ENDIAN } else { EXPLICIT_VR_LITTLE_ENDIAN };
        let pixels = decode(syntax, frame, &self.image)?;
        Ok(encode(HTJ2K_LOSSLESS_RPCL, &pixels.bytes, &self.image)?.bytes)
    }

    /// The original bytes of one frame, out of what `encode` made.
    pub fn restore(&self, coded: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut bytes = decode(HTJ2K_LOSSLESS_RPCL, coded, &self.image)?.bytes;
        if self.image.planar && self.image.samples == 3 {
            bytes = native::planes(&bytes, self.image.word());
        }
        if self.big_endian {
            native::swap(&mut bytes, self.image.word());
        }
        Ok(bytes)
    }
}

/// A whole sibling in memory. For objects of many frames go frame by frame with a `SiblingPlan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    pub plan: SiblingPlan,
    /// Codestreams, one a frame.
    pub frames: Vec<Vec<u8>>,
    /// What stood behind the last frame.
    pub trailer: Vec<u8>,
}

impl Sibling {
    /// The value of Pixel Data as it was received.
    pub fn restore(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::with_capacity(self.plan.frame_len() * self.frames.len() + self.trailer.len());
        for frame in &self.frames {
            bytes.extend(self.plan.restore(frame)?);
        }
        bytes.extend_from_slice(&self.trailer);
        Ok(bytes)
    }
}

/// Makes the sibling of an object with `header` and the value of Pixel Data as it lies in the file. What it gives has
/// not been decoded again: who drops an original first compares `restore` with it.
pub fn htj2k_sibling(header: &InMemDicomObject, transfer_syntax: &str, pixel_data: &[u8]) -> Result<Sibling, Unfit> {
    let plan = SiblingPlan::new(header, transfer_syntax, pixel_data.len() as u64)?;
    let whole = plan.frame_len() * plan.frames() as usize;
    let (native, trailer) = pixel_data.split_at_checked(whole).ok_or(Unfit::Length)?;
    let frames = native.chunks_exact(plan.frame_len()).map(|frame| plan.encode(frame)).collect::<Result<_, _>>()?;
    Ok(Sibling { plan, frames, trailer: trailer.to_vec() })
}
