//! Paper: reports and booking slips as PDF. The only home of typst.
//!
//! Layout lives in `templates/*.typ`. What a person typed reaches it as data (`sys.inputs`), never as markup, so that
//! no text can run as code or change the layout's meaning. Fonts are found at run time; the PDF carries a subset.

mod codes;
mod document;
mod error;
mod fonts;
mod text;
mod world;

pub use codes::{code128_svg, qr_svg};
pub use document::{PatientLink, ReportDocument, Signature, SlipDocument, Stage};
pub use error::PrintError;

use fonts::FontIndex;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Makes PDFs. Cheap to clone; fonts are indexed once, at the first use.
#[derive(Clone)]
pub struct Printer {
    inner: Arc<Inner>,
}

struct Inner {
    dirs: Vec<PathBuf>,
    fonts: OnceLock<FontIndex>,
    /// Layout is pure processor work: more at a time than this only costs memory.
    seats: Semaphore,
}

/// How many documents are laid out at the same time.
const SEATS: usize = 2;

impl Printer {
    /// A printer that looks for fonts below `font_dirs`, in this order. Nothing is read yet.
    pub fn new(font_dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        let dirs = font_dirs.into_iter().collect();
        Self { inner: Arc::new(Inner { dirs, fonts: OnceLock::new(), seats: Semaphore::new(SEATS) }) }
    }

    /// Where fonts usually are on Linux.
    pub fn system_font_dirs() -> Vec<PathBuf> {
        ["/usr/share/fonts", "/usr/local/share/fonts"].map(PathBuf::from).to_vec()
    }

    /// Indexes the fonts now and says whether Chinese can be set: for start-up and `doctor`.
    pub async fn check(&self) -> Result<(), PrintError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || inner.fonts().chinese().map(drop))
            .await
            .map_err(|_| PrintError::Interrupted)?
    }

    /// The report as PDF/A-2b. The same document gives the same bytes.
    pub async fn report_pdf(&self, document: &ReportDocument) -> Result<Vec<u8>, PrintError> {
        let mut data = ReportData { document: document.clone(), qr: String::new() };
        if let Some(link) = &document.link {
            data.qr = qr_svg(&link.url)?;
        }
        let mark = world::Mark {
            ident: format!("report {} {} {}", document.accession, document.version, document.hash),
            created: document.created_at,
        };
        self.pdf(world::Template::Report, &data, mark).await
    }

    /// The booking slip as PDF/A-2b.
    pub async fn slip_pdf(&self, document: &SlipDocument) -> Result<Vec<u8>, PrintError> {
        let qr = if document.code.is_empty() { String::new() } else { qr_svg(&document.code)? };
        let barcode = if document.accession.is_empty() { String::new() } else { code128_svg(&document.accession)? };
        let mark = world::Mark {
            ident: format!("slip {} {}", document.accession, document.printed_at),
            created: document.created_at,
        };
        self.pdf(world::Template::Slip, &SlipData { document: document.clone(), qr, barcode }, mark).await
    }

    async fn pdf(
        &self,
        template: world::Template,
        data: &impl Serialize,
        mark: world::Mark,
    ) -> Result<Vec<u8>, PrintError> {
        let data = serde_json::to_value(data).map_err(|_| PrintError::Data)?;
        let _seat = self.inner.seats.acquire().await.map_err(|_| PrintError::Interrupted)?;
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || world::pdf(inner.fonts(), template, data, mark))
            .await
            .map_err(|_| PrintError::Interrupted)?
    }
}

impl Inner {
    fn fonts(&self) -> &FontIndex {
        self.fonts.get_or_init(|| FontIndex::scan(&self.dirs))
    }
}

#[derive(Serialize)]
struct ReportData {
    #[serde(flatten)]
    document: ReportDocument,
    qr: String,
}

#[derive(Serialize)]
struct SlipData {
    #[serde(flatten)]
    document: SlipDocument,
    qr: String,
    barcode: String,
}
