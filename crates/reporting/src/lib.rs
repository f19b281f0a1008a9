//! Reports: written by a trainee or a physician, issued, audited and signed by a senior.
//!
//! The working text has a revision and is saved as one types; each handing-in is an immutable version whose hash
//! continues the one before. Stages are types: see `model`.

mod checks;
mod content;
mod diff;
mod encapsulate;
mod error;
mod model;
mod phrase;
mod read;
mod spelling;
mod store;
mod store_phrases;
mod store_templates;
mod subscriber;
mod template;
mod version;
mod write;

pub use checks::{Check, check};
pub use content::{Content, content, content_in_force};
pub use diff::{Change, Diff, Op, diff};
pub use encapsulate::{PdfMeta, encapsulate_pdf, sop_uid_of};
pub use error::ReportError;
pub use model::{
    AnyReport, Author, Core, Editable, Final, Initial, Link, New, Rejected, Report, SECTION_MAX, Signing, Stage,
    StageType, Text, Trainee,
};
pub use phrase::{
    Imported, NewPhrase, PHRASES_MAX, Phrase, Section, add_phrase, arrange_phrases, delete_phrase, edit_phrase,
    import_phrases, phrases, restore_phrase,
};
pub use read::{Heading, View, difference, headings, load, of_order, verify_chain};
pub use subscriber::{RenderReport, StoreReports};
pub use template::{
    NewTemplate, Template, TemplateState, TemplateVersion, approve_template, discard_template, draft_template,
    retire_template, template_versions, templates, upsert_template,
};
pub use version::{Version, in_force, verify};
pub use write::{Settings, audit, open, reject, save_draft, submit};

mingying_kernel::action! {
    /// Sees reports.
    ReadReports = "report.read",
    /// Opens a report and writes its working text; hands in a trainee report.
    DraftReport = "report.draft",
    /// Issues the initial report.
    IssueInitial = "report.initial",
    /// Audits, signs, sends back.
    AuditReport = "report.audit",
    /// Sees phrases and keeps own ones.
    UsePhrases = "phrase.use",
    /// Changes report templates and the department's phrases.
    EditTemplate = "template.edit",
    /// Approves and retires report templates.
    ApproveTemplate = "template.approve",
}
