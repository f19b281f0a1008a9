//! The world as typst sees it: our templates, the document's data, the fonts. No files, no network, no clock.

use crate::PrintError;
use crate::fonts::FontIndex;
use crate::text::clean_all;
use serde_json::{Value as Json, json};
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Dict, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    Report,
    Slip,
}

impl Template {
    const fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Report => ("report.typ", include_str!("templates/report.typ")),
            Self::Slip => ("slip.typ", include_str!("templates/slip.typ")),
        }
    }
}

/// What both templates share.
const COMMON: (&str, &str) = ("common.typ", include_str!("templates/common.typ"));

/// Results of layout steps that were not used in the last so many documents are forgotten.
const MEMORY: usize = 8;

/// What identifies the PDF: never the moment of printing, so that a document prints to the same bytes again.
pub(crate) struct Mark {
    pub ident: String,
    pub created: mingying_kernel::Timestamp,
}

struct Sheet<'a> {
    library: LazyHash<Library>,
    fonts: &'a FontIndex,
    main: Source,
    common: Source,
}

impl World for Sheet<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.fonts.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        [&self.main, &self.common].into_iter().find(|source| source.id() == id).cloned().ok_or(FileError::AccessDenied)
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        self.source(id).map(|source| Bytes::from_string(source.text().to_owned()))
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.font(index)
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// Lays out `data` with `template`. Blocking.
pub(crate) fn pdf(fonts: &FontIndex, template: Template, mut data: Json, mark: Mark) -> Result<Vec<u8>, PrintError> {
    let families = fonts.chinese()?;
    let mut missing = Vec::new();
    clean_all(&mut data, &["qr", "barcode"], &|c| fonts.covers(c), &mut missing);
    let missing: Vec<String> = missing.iter().map(|c| format!("U+{:04X}", *c as u32)).collect();

    let inputs = json!({ "doc": data, "sans": families.sans, "serif": families.serif, "missing": missing });
    let inputs: Dict = serde_json::from_value(inputs).map_err(|_| PrintError::Data)?;
    let (name, text) = template.file();
    let sheet = Sheet {
        library: LazyHash::new(Library::builder().with_inputs(inputs).build()),
        fonts,
        main: source(name, text)?,
        common: source(COMMON.0, COMMON.1)?,
    };
    let compiled = typst::compile::<PagedDocument>(&sheet);
    let document = compiled.output.map_err(|errors| layout_error(&errors))?;
    // Archives ask for PDF/A: no outside fonts, no scripts (ISO 19005-2).
    let options = PdfOptions {
        ident: Smart::Custom(mark.ident),
        timestamp: timestamp(mark.created),
        creator: Smart::Custom(Some("Mingying".to_owned())),
        standards: PdfStandards::new(&[PdfStandard::A_2b]).map_err(|e| PrintError::Layout(e.message().to_string()))?,
        ..PdfOptions::default()
    };
    let bytes = typst_pdf::pdf(&document, &options).map_err(|errors| layout_error(&errors));
    typst::comemo::evict(MEMORY);
    bytes
}

/// Drops what typst remembers of earlier layouts.
pub(crate) fn forget() {
    typst::comemo::evict(0);
}

fn timestamp(at: mingying_kernel::Timestamp) -> Option<typst_pdf::Timestamp> {
    let at = at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
    let part = |value: i8| u8::try_from(value).ok();
    Datetime::from_ymd_hms(
        i32::from(at.year()),
        part(at.month())?,
        part(at.day())?,
        part(at.hour())?,
        part(at.minute())?,
        part(at.second())?,
    )
    .map(typst_pdf::Timestamp::new_utc)
}

fn source(name: &str, text: &str) -> Result<Source, PrintError> {
    let path = VirtualPath::new(name).map_err(|_| PrintError::Data)?;
    Ok(Source::new(FileId::new(RootedPath::new(VirtualRoot::Project, path)), text.to_owned()))
}

/// Only the kind of the first fault: some messages repeat values.
fn layout_error(errors: &[SourceDiagnostic]) -> PrintError {
    let text =
        errors.first().map_or("unknown", |error| error.message.split([':', '`', '"']).next().unwrap_or("unknown"));
    PrintError::Layout(text.to_owned())
}
