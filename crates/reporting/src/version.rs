//! Immutable versions, chained by hash: what was issued, by whom, and that nobody changed it since (R-4.2.6-e).

use crate::{Author, Link, ReportError, Stage, Text};
use mingying_kernel::{ReportId, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub report: ReportId,
    /// From 1.
    pub n: u32,
    pub stage: Stage,
    pub author: Author,
    /// Server time.
    pub at: Timestamp,
    pub text: Text,
    /// The template the text began with, `CT-CHEST-N@2`; empty when none.
    pub template: String,
    /// The auditor's opinion on a rejection.
    pub opinion: String,
    pub signed: bool,
    /// Why it was signed in spite of these checks.
    pub override_reason: String,
    pub overridden: Vec<String>,
    /// Signed under the single-handed waiver.
    pub waiver: bool,
    /// Hash of version n-1; empty for the first.
    pub prev_hash: String,
    /// SHA-256 over the canonical JSON of everything above, lower-case hex.
    pub hash: String,
}

/// The hashed form. Field order is part of the format: never reorder, only append in a new `format`.
#[derive(Serialize)]
struct Canonical<'a> {
    format: u8,
    report: String,
    n: u32,
    stage: &'a str,
    author_id: &'a str,
    author_name: &'a str,
    at: i64,
    findings: &'a str,
    impression: &'a str,
    advice: &'a str,
    opinion: &'a str,
    signed: bool,
    override_reason: &'a str,
    overridden: &'a [String],
    waiver: bool,
    prev_hash: &'a str,
    /// Format 2 only: a version without a template is hashed as it always was.
    #[serde(skip_serializing_if = "str::is_empty")]
    template: &'a str,
}

impl Version {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn next(
        report: ReportId,
        last: Option<&Link>,
        stage: Stage,
        author: Author,
        at: Timestamp,
        text: Text,
        template: String,
        opinion: String,
        signed: bool,
        override_reason: String,
        overridden: Vec<String>,
        waiver: bool,
    ) -> Self {
        let mut version = Self {
            report,
            n: last.map_or(1, |link| link.n + 1),
            stage,
            author,
            at,
            text,
            template,
            opinion,
            signed,
            override_reason,
            overridden,
            waiver,
            prev_hash: last.map(|link| link.hash.clone()).unwrap_or_default(),
            hash: String::new(),
        };
        version.hash = version.computed_hash();
        version
    }

    /// The hash that this content must have.
    pub fn computed_hash(&self) -> String {
        let canonical = Canonical {
            format: if self.template.is_empty() { 1 } else { 2 },
            report: self.report.to_string(),
            n: self.n,
            stage: self.stage.as_str(),
            author_id: &self.author.id,
            author_name: &self.author.name,
            at: self.at.as_micros(),
            findings: &self.text.findings,
            impression: &self.text.impression,
            advice: &self.text.advice,
            opinion: &self.opinion,
            signed: self.signed,
            override_reason: &self.override_reason,
            overridden: &self.overridden,
            waiver: self.waiver,
            prev_hash: &self.prev_hash,
            template: &self.template,
        };
        // A struct of strings and numbers always serialises.
        let bytes = serde_json::to_vec(&canonical).unwrap_or_default();
        Sha256::digest(&bytes).iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }

    /// The first twelve digits, as printed on paper.
    pub fn short_hash(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }
}

/// Checks numbers, hashes and links of all versions of one report, oldest first.
pub fn verify(versions: &[Version]) -> Result<(), ReportError> {
    let mut prev = "";
    for (i, version) in versions.iter().enumerate() {
        let broken = || ReportError::ChainBroken { n: version.n };
        if version.n as usize != i + 1 || version.prev_hash != prev || version.computed_hash() != version.hash {
            return Err(broken());
        }
        prev = &version.hash;
    }
    Ok(())
}

/// The version that is in force: the newest signed one.
pub fn in_force(versions: &[Version]) -> Option<&Version> {
    versions.iter().rev().find(|version| version.signed && version.stage == Stage::Final)
}
