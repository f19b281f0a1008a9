use crate::{Live, Metrics};
use jiff::tz::TimeZone;
use mingying_access::{Access, ChainWatch};
use mingying_archive::Archive;
use mingying_db::Db;
use mingying_kernel::{AeTitle, SharedClock, Timestamp};
use mingying_print::Printer;
use std::sync::Arc;
use std::time::Duration;

/// What every route can reach. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub clock: SharedClock,
    pub access: Access,
    pub archive: Archive,
    pub printer: Printer,
    pub settings: Arc<Settings>,
    pub live: Live,
    pub chain: ChainWatch,
    pub metrics: Metrics,
}

/// How the HTTP side behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cookies carry `Secure` and answers carry HSTS.
    pub tls: bool,
    /// Where patients and people reach this server, for links and codes: `https://pacs.example.org`, no slash at the end.
    pub public_url: String,
    /// Demonstration data is loaded.
    pub demo: bool,
    /// Rules of signing reports.
    pub reporting: mingying_reporting::Settings,
    pub started_at: Timestamp,
    pub request_timeout: Duration,
    /// Our application entity title, under which peers are called.
    pub ae_title: AeTitle,
    /// The facility's zone, in which calendar days begin.
    pub zone: TimeZone,
    /// Largest JSON body; image uploads have their own bound.
    pub body_limit: usize,
}

impl Settings {
    pub fn new(public_url: &str, ae_title: AeTitle, zone: TimeZone, started_at: Timestamp) -> Self {
        Self {
            tls: public_url.starts_with("https:"),
            public_url: public_url.trim_end_matches('/').to_owned(),
            demo: false,
            reporting: mingying_reporting::Settings::default(),
            ae_title,
            zone,
            started_at,
            request_timeout: Duration::from_secs(30),
            body_limit: 1 << 20,
        }
    }
}
