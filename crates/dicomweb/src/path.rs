//! What stands in a path: UIDs, validated before anything is looked up.

use crate::Problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use mingying_kernel::DicomUid;

/// `/studies/{study}[/series/{series}[/instances/{sop}]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub study: String,
    pub series: Option<String>,
    pub sop: Option<String>,
    /// Frame list, or the path of a bulk value.
    pub rest: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(pairs) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("path"))?;
        let mut target = Self { study: String::new(), series: None, sop: None, rest: String::new() };
        for (name, value) in pairs {
            match name.as_str() {
                "study" => target.study = uid(&value, "study")?,
                "series" => target.series = Some(uid(&value, "series")?),
                "sop" => target.sop = Some(uid(&value, "instance")?),
                _ => target.rest = value,
            }
        }
        Ok(target)
    }
}

/// Digits and dots only. Nothing else can be a UID, so nothing else is searched for.
pub(crate) fn uid(text: &str, field: &'static str) -> Result<String, Problem> {
    DicomUid::parse_lenient(text).map(String::from).map_err(|_| Problem::invalid(field))
}

/// The base of URLs in answers: what the client itself used to get here.
pub(crate) struct Base(pub String);

impl FromRequestParts<crate::Web> for Base {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &crate::Web) -> Result<Self, Self::Rejection> {
        let host = parts
            .headers
            .get(axum::http::header::HOST)
            .and_then(|h| h.to_str().ok())
            .map(str::to_owned)
            .or_else(|| parts.uri.authority().map(ToString::to_string))
            .filter(|h| {
                !h.is_empty()
                    && h.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
            });
        let forwarded = parts.headers.get("x-forwarded-proto").and_then(|v| v.to_str().ok());
        let secure = parts.extensions.get::<crate::Secure>().is_some_and(|s| s.0)
            || forwarded.is_some_and(|f| f.eq_ignore_ascii_case("https"));
        let public = web.public_url.as_deref();
        Ok(Self(match (host, public) {
            // Some clients (dicomweb-client) send their Host header without the port.
            (Some(host), Some(public)) if authority(public).split(':').next() == Some(host.as_str()) => {
                format!("{public}{}", web.prefix)
            }
            (Some(host), _) => format!("{}://{host}{}", if secure { "https" } else { "http" }, web.prefix),
            (None, Some(public)) => format!("{public}{}", web.prefix),
            (None, None) => web.prefix.to_string(),
        }))
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

impl Base {
    pub fn study(&self, study: &str) -> String {
        format!("{}/studies/{study}", self.0)
    }

    pub fn series(&self, study: &str, series: &str) -> String {
        format!("{}/studies/{study}/series/{series}", self.0)
    }

    pub fn instance(&self, study: &str, series: &str, sop: &str) -> String {
        format!("{}/studies/{study}/series/{series}/instances/{sop}", self.0)
    }
}
