//! What must be kept, where the archive cannot know it: images that signed reports rest on.

use async_trait::async_trait;
use mingying_archive::{Evidence, Unknown};
use mingying_db::Db;
use mingying_kernel::Scope;
use std::fmt;

/// Signed reports of the order that a study is linked to.
pub(crate) struct SignedReports {
    pub db: Db,
}

impl fmt::Debug for SignedReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedReports")
    }
}

#[async_trait]
impl Evidence for SignedReports {
    async fn is_reported(&self, study_uid: &str) -> Result<bool, Unknown> {
        let unknown = |error: &dyn fmt::Display| {
            tracing::error!(%error, "reports of a study not readable");
            Unknown
        };
        let order = mingying_reading::order_of(&self.db, Scope::All, study_uid).await.map_err(|e| unknown(&e))?;
        let Some(order) = order else { return Ok(false) };
        let reports = mingying_reporting::headings(&self.db, Scope::All, &[order]).await.map_err(|e| unknown(&e))?;
        Ok(reports.iter().any(|report| report.signed))
    }
}
