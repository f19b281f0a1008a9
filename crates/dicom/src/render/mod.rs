//! Stored frames made visible: decoded, put through modality and VOI transformations, scaled, encoded for a screen
//! without a viewer of its own (PS3.3 C.7.6.3, C.11; PS3.18 8.3.5).
//!
//! Everything here is CPU work on untrusted bytes: sizes are checked before allocating, and callers run it on a bounded
//! pool and treat a panic of a codec as a damaged frame.

mod attributes;
mod gray;
mod output;
mod segmented;

pub use crate::codec::can_decode;

use crate::codec::{self, CodecError};
pub use attributes::{ImageAttributes, Window, WindowFunction};
use dicom_object::InMemDicomObject;
use mingying_kernel::{Coded, ErrorKind};

/// Why a frame cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// No decoder for this transfer syntax in this server.
    #[error("no decoder for transfer syntax {0}")]
    UnsupportedSyntax(String),
    /// A form of pixels that is not rendered.
    #[error("cannot render: {0}")]
    Unsupported(&'static str),
    #[error("the object has no image")]
    NoPixels,
    /// The frame's bytes contradict the header or themselves.
    #[error("damaged image: {0}")]
    Damaged(&'static str),
    #[error("the image is too large to render")]
    TooLarge,
    /// All rendering threads are taken.
    #[error("too many images are being rendered")]
    Busy,
    #[error("the image could not be encoded")]
    Encode,
}

impl From<CodecError> for RenderError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::UnsupportedSyntax(uid) => Self::UnsupportedSyntax(uid),
            CodecError::Unsupported(what) => Self::Unsupported(what),
            CodecError::Damaged(what) => Self::Damaged(what),
            CodecError::TooLarge => Self::TooLarge,
            CodecError::Encode => Self::Encode,
        }
    }
}

impl Coded for RenderError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedSyntax(_) | Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::NoPixels => ErrorKind::NotFound,
            Self::Damaged(_) => ErrorKind::Invalid,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::Busy => ErrorKind::Unavailable,
            Self::Encode => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedSyntax(_) => "render.transfer_syntax",
            Self::Unsupported(_) => "render.unsupported",
            Self::NoPixels => "render.no_pixels",
            Self::Damaged(_) => "render.damaged",
            Self::TooLarge => "render.too_large",
            Self::Busy => "render.busy",
            Self::Encode => "render.encode",
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

/// What the image is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Quality 1 to 100.
    Jpeg(u8),
    Png,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// How the frame is to be shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// In output units of the modality transformation (HU for CT); the object's own first window when absent.
    pub window: Option<Window>,
    /// Left, top, width, height in pixels of the frame; the whole frame when absent.
    pub region: Option<(u32, u32, u32, u32)>,
    /// The image fits within this width and height, its shape kept. Never enlarged beyond 8192.
    pub size: Option<(u32, u32)>,
}

/// Eight-bit pixels, row by row, one or three samples each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub color: bool,
    pub pixels: Vec<u8>,
}

/// The frame as a picture. `index` counts from 0 and selects per-frame attributes of enhanced objects.
pub fn picture(
    header: &InMemDicomObject,
    transfer_syntax: &str,
    frame: &[u8],
    index: u32,
    view: &View,
) -> Result<Picture, RenderError> {
    let image = ImageAttributes::read(header, index)?;
    let decoded = codec::decode(transfer_syntax, frame, &image.pixels)?;
    let whole = gray::to_picture(&image, &decoded, view.window.as_ref())?;
    output::place(whole, view)
}

/// `picture`, encoded.
pub fn render(
    header: &InMemDicomObject,
    transfer_syntax: &str,
    frame: &[u8],
    index: u32,
    view: &View,
    format: Format,
) -> Result<Vec<u8>, RenderError> {
    output::encode(&picture(header, transfer_syntax, frame, index, view)?, format)
}
