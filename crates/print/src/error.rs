use mingying_kernel::{Coded, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// No font with Chinese characters in the configured folders. Nothing is printed with empty boxes instead.
    #[error("no font with Chinese characters below the font folders; install fonts-noto-cjk")]
    FontMissing,
    /// A link or number that does not fit its code.
    #[error("text does not fit a {0}")]
    Code(&'static str),
    #[error("document data cannot be handed to the layout")]
    Data,
    /// A fault of the template; typst's messages quote only the template.
    #[error("layout failed: {0}")]
    Layout(String),
    #[error("printing was interrupted")]
    Interrupted,
}

impl Coded for PrintError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Code(_) => ErrorKind::Invalid,
            Self::FontMissing | Self::Interrupted => ErrorKind::Unavailable,
            Self::Data | Self::Layout(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::FontMissing => "print.font_missing",
            Self::Code(_) => "print.code",
            Self::Data | Self::Layout(_) => "print.layout",
            Self::Interrupted => "print.interrupted",
        }
    }
}
