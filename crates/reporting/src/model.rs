//! The report: what it says, how far it is, and which step leads where.
//!
//! Stages have legal weight, hence they are types: `Report<Initial>` can be signed, `Report<Trainee>` cannot, and no
//! code path makes a `Report<Final>` but the audit of an initial report by somebody else than its author.

use crate::{Check, ReportError, Version};
use mingying_kernel::{OrderId, OrgId, PatientId, ReportId, Timestamp, words};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

words! {
    Stage {
        /// Opened, nothing handed in yet.
        New = "new",
        /// Trainee report (实习报告).
        Trainee = "trainee",
        /// Initial report by a physician (初诊报告).
        Initial = "initial",
        /// Sent back by the auditor with an opinion.
        Rejected = "rejected",
        /// Audited and signed (审核报告).
        Final = "final",
    }
}

/// What a report says. Plain text, one paragraph a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub findings: String,
    pub impression: String,
    pub advice: String,
}

/// Longest text of one section, characters.
pub const SECTION_MAX: usize = 20_000;

impl Text {
    /// Unifies line ends and bounds the length. Control characters are refused.
    pub fn checked(mut self) -> Result<Self, ReportError> {
        for (field, text) in
            [("findings", &mut self.findings), ("impression", &mut self.impression), ("advice", &mut self.advice)]
        {
            text.replace("\r\n", "\n").trim_end().clone_into(text);
            if text.chars().count() > SECTION_MAX || text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                return Err(ReportError::Invalid { field });
            }
        }
        Ok(self)
    }
}

/// A person as versions name them: the name stays what it was when they signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub id: String,
    pub name: String,
}

/// The report as it is now: the working text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    pub id: ReportId,
    pub order: OrderId,
    pub org: OrgId,
    pub patient: PatientId,
    /// Counts changes of the working text and of the stage; a writer names the one it saw.
    pub rev: i64,
    pub text: Text,
    /// The template the text began with, `CT-CHEST-N@2`; empty when none.
    pub template: String,
    /// The auditor's opinion while the report is rejected.
    pub opinion: Option<String>,
    pub updated_at: Timestamp,
    pub updated_by: Author,
    /// The newest version, whose hash the next one continues.
    pub last: Option<Link>,
    /// Who issued the last initial version.
    pub initial_by: Option<Author>,
}

/// Number and hash of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub n: u32,
    pub hash: String,
}

/// A stage as a type.
pub trait StageType: Clone + std::fmt::Debug + Send + Sync + 'static {
    const STAGE: Stage;
}

/// Stages whose working text may be changed.
pub trait Editable: StageType {}

macro_rules! stages {
    ($($name:ident),+) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;
        impl StageType for $name {
            const STAGE: Stage = Stage::$name;
        }
    )+};
}
stages!(New, Trainee, Initial, Rejected, Final);
impl Editable for New {}
impl Editable for Trainee {}
impl Editable for Initial {}
impl Editable for Rejected {}

/// A report in stage `S`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<S: StageType> {
    core: Core,
    stage: PhantomData<S>,
}

/// A report in whatever stage it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReport {
    New(Report<New>),
    Trainee(Report<Trainee>),
    Initial(Report<Initial>),
    Rejected(Report<Rejected>),
    Final(Report<Final>),
}

impl AnyReport {
    /// From the row. The store is the only caller outside tests.
    pub(crate) fn restore(stage: Stage, core: Core) -> Self {
        match stage {
            Stage::New => Self::New(Report::of(core)),
            Stage::Trainee => Self::Trainee(Report::of(core)),
            Stage::Initial => Self::Initial(Report::of(core)),
            Stage::Rejected => Self::Rejected(Report::of(core)),
            Stage::Final => Self::Final(Report::of(core)),
        }
    }

    pub fn stage(&self) -> Stage {
        match self {
            Self::New(_) => Stage::New,
            Self::Trainee(_) => Stage::Trainee,
            Self::Initial(_) => Stage::Initial,
            Self::Rejected(_) => Stage::Rejected,
            Self::Final(_) => Stage::Final,
        }
    }

    pub fn core(&self) -> &Core {
        match self {
            Self::New(r) => &r.core,
            Self::Trainee(r) => &r.core,
            Self::Initial(r) => &r.core,
            Self::Rejected(r) => &r.core,
            Self::Final(r) => &r.core,
        }
    }

    /// The same stage with another working text. A signed report is never edited.
    pub fn edit(self, text: Text, template: String, by: Author, at: Timestamp) -> Result<Self, ReportError> {
        Ok(match self {
            Self::New(r) => Self::New(r.edit(text, template, by, at)),
            Self::Trainee(r) => Self::Trainee(r.edit(text, template, by, at)),
            Self::Initial(r) => Self::Initial(r.edit(text, template, by, at)),
            Self::Rejected(r) => Self::Rejected(r.edit(text, template, by, at)),
            Self::Final(_) => return Err(self.refused("edit")),
        })
    }

    /// A trainee hands in: possible until a physician has issued.
    pub fn submit_trainee(self, by: Author, at: Timestamp) -> Result<(Report<Trainee>, Version), ReportError> {
        match self {
            Self::New(r) => Ok(r.issue_as(by, at, Act::default())),
            Self::Trainee(r) => Ok(r.issue_as(by, at, Act::default())),
            other => Err(other.refused("submit")),
        }
    }

    /// A physician issues the initial report, again after a rejection or a change of mind before the audit.
    pub fn submit_initial(self, by: Author, at: Timestamp) -> Result<(Report<Initial>, Version), ReportError> {
        match self {
            Self::New(r) => Ok(r.issue_initial(by, at)),
            Self::Trainee(r) => Ok(r.issue_initial(by, at)),
            Self::Rejected(r) => Ok(r.issue_initial(by, at)),
            Self::Initial(r) => Ok(r.issue_initial(by, at)),
            Self::Final(_) => Err(self.refused("submit")),
        }
    }

    /// The only stage that can be audited or sent back.
    pub fn into_initial(self, step: &'static str) -> Result<Report<Initial>, ReportError> {
        match self {
            Self::Initial(r) => Ok(r),
            other => Err(other.refused(step)),
        }
    }

    fn refused(&self, step: &'static str) -> ReportError {
        ReportError::Stage { stage: self.stage(), step }
    }
}

/// What goes into a version beside the text.
#[derive(Default)]
struct Act {
    opinion: String,
    signed: bool,
    override_reason: String,
    overridden: Vec<String>,
    waiver: bool,
}

/// How an auditor signs.
#[derive(Debug, Clone, Default)]
pub struct Signing {
    /// What the checks found in the text that is being signed.
    pub checks: Vec<Check>,
    /// Why it is signed in spite of warnings.
    pub override_reason: Option<String>,
    /// One physician alone on duty may sign the own initial report; recorded and reviewed the next day.
    pub single_handed: bool,
}

impl<S: StageType> Report<S> {
    fn of(core: Core) -> Self {
        Self { core, stage: PhantomData }
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn stage(&self) -> Stage {
        S::STAGE
    }

    fn issue_as<T: StageType>(mut self, by: Author, at: Timestamp, act: Act) -> (Report<T>, Version) {
        let version = Version::next(
            self.core.id,
            self.core.last.as_ref(),
            T::STAGE,
            by.clone(),
            at,
            self.core.text.clone(),
            self.core.template.clone(),
            act.opinion,
            act.signed,
            act.override_reason,
            act.overridden,
            act.waiver,
        );
        self.core.last = Some(Link { n: version.n, hash: version.hash.clone() });
        self.core.rev += 1;
        self.core.updated_at = at;
        self.core.updated_by = by;
        (Report::of(self.core), version)
    }

    fn issue_initial(self, by: Author, at: Timestamp) -> (Report<Initial>, Version) {
        let (mut report, version) = self.issue_as::<Initial>(by.clone(), at, Act::default());
        report.core.initial_by = Some(by);
        report.core.opinion = None;
        (report, version)
    }
}

impl<S: Editable> Report<S> {
    fn edit(mut self, text: Text, template: String, by: Author, at: Timestamp) -> Self {
        self.core.text = text;
        self.core.template = template;
        self.core.rev += 1;
        self.core.updated_at = at;
        self.core.updated_by = by;
        self
    }
}

impl Report<Initial> {
    /// Audits and signs the working text. Refused to the author of the initial report unless the site works
    /// single-handed, and while checks are open.
    pub fn audit(self, by: Author, at: Timestamp, signing: Signing) -> Result<(Report<Final>, Version), ReportError> {
        let own = self.core.initial_by.as_ref().is_none_or(|author| author.id == by.id);
        if own && !signing.single_handed {
            return Err(ReportError::OwnReport);
        }
        let reason = signing.override_reason.unwrap_or_default().trim().to_owned();
        if signing.checks.iter().any(Check::is_blocking) || (!signing.checks.is_empty() && reason.is_empty()) {
            return Err(ReportError::Checks(signing.checks));
        }
        let overridden: Vec<String> = signing.checks.iter().map(|check| check.code().to_owned()).collect();
        let override_reason = if overridden.is_empty() { String::new() } else { reason };
        Ok(self.issue_as(by, at, Act { signed: true, override_reason, overridden, waiver: own, ..Act::default() }))
    }

    /// Sends it back with an opinion.
    pub fn reject(self, by: Author, at: Timestamp, opinion: &str) -> Result<(Report<Rejected>, Version), ReportError> {
        let opinion = opinion.trim();
        if opinion.is_empty() || opinion.chars().count() > 2000 {
            return Err(ReportError::Invalid { field: "opinion" });
        }
        let (mut report, version) =
            self.issue_as::<Rejected>(by, at, Act { opinion: opinion.to_owned(), ..Act::default() });
        report.core.opinion = Some(opinion.to_owned());
        Ok((report, version))
    }
}
