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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
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
    seats: Arc<Semaphore>,
    /// Documents asked for since the start.
    asked: AtomicU64,
}

/// How many documents are laid out at the same time.
const SEATS: usize = 2;
/// A printer that had nothing to do for so long gives its fonts and layout memory back: Chinese font files and what
/// typst remembers of them are a quarter of a gigabyte.
const REST: Duration = Duration::from_secs(20);

impl Printer {
    /// A printer that looks for fonts below `font_dirs`, in this order. Nothing is read yet.
    pub fn new(font_dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        let dirs = font_dirs.into_iter().collect();
        Self {
            inner: Arc::new(Inner {
                dirs,
                fonts: OnceLock::new(),
                seats: Arc::new(Semaphore::new(SEATS)),
                asked: AtomicU64::new(0),
            }),
        }
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
        let seat = self.inner.seats.clone().acquire_owned().await.map_err(|_| PrintError::Interrupted)?;
        let asked = self.inner.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let inner = self.inner.clone();
        // Who asked may go away; the work goes on, keeps its seat, and leaves a resting printer behind.
        let making = tokio::spawn(async move {
            let held = inner.clone();
            let made = tokio::task::spawn_blocking(move || world::pdf(held.fonts(), template, data, mark)).await;
            drop(seat);
            tokio::spawn(async move {
                tokio::time::sleep(REST).await;
                if inner.asked.load(Ordering::Relaxed) == asked {
                    inner.rest();
                }
            });
            made
        });
        making.await.map_err(|_| PrintError::Interrupted)?.map_err(|_| PrintError::Interrupted)?
    }
}

impl Inner {
    fn fonts(&self) -> &FontIndex {
        self.fonts.get_or_init(|| FontIndex::scan(&self.dirs))
    }

    fn rest(&self) {
        if let Some(fonts) = self.fonts.get() {
            fonts.unload();
        }
        world::forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slip() -> SlipDocument {
        SlipDocument {
            hospital: "明影示范医院".into(),
            hospital_en: String::new(),
            patient_name: "示例".into(),
            sex: String::new(),
            age: String::new(),
            mrn: String::new(),
            accession: String::new(),
            items: "胸部 CT".into(),
            modality: "CT".into(),
            date: String::new(),
            time: String::new(),
            arrive_by: String::new(),
            ticket: String::new(),
            place: String::new(),
            device: String::new(),
            preparation: String::new(),
            bring: Vec::new(),
            remarks: Vec::new(),
            phone: String::new(),
            code: String::new(),
            printed_at: String::new(),
            created_at: mingying_kernel::Timestamp::from_micros(0),
        }
    }

    #[tokio::test]
    async fn a_resting_printer_holds_no_font_files_and_prints_the_same_afterwards() {
        let printer = Printer::new(Printer::system_font_dirs());
        let document = slip();
        let print = || async { printer.slip_pdf(&document).await.unwrap() };
        let first = print().await;
        assert!(printer.inner.fonts().loaded_files() > 0);
        printer.inner.rest();
        assert_eq!(printer.inner.fonts().loaded_files(), 0);
        assert_eq!(print().await, first);
    }

    #[tokio::test]
    async fn a_layout_that_nobody_waits_for_keeps_its_seat() {
        let printer = Printer::new(Printer::system_font_dirs());
        let document = slip();
        let seats = &printer.inner.seats;
        // The first look takes the seat and begins; then the one who asked goes away.
        let done = tokio::select! {
            biased;
            _ = printer.slip_pdf(&document) => true,
            () = std::future::ready(()) => false,
        };
        assert!(!done);
        assert_eq!(seats.available_permits(), SEATS - 1);
        let _both = seats.acquire_many(SEATS as u32).await.unwrap();
        assert!(printer.inner.fonts().loaded_files() > 0, "it was made to its end");
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
