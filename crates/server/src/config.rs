//! Configuration: one typed TOML file, `MINGYING_*` variables and flags over it, checked before anything starts.

use crate::ServerError;
use crate::encryption::Encryption;
use crate::nodes::Node;
use crate::tiers::Tiers;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The TOML file. Every key is optional; an unknown key is an error, since it is most often a misspelt one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub data_dir: Option<PathBuf>,
    /// `postgres://…`; SQLite in the data folder when absent.
    pub database: Option<String>,
    pub http: Option<String>,
    pub dimse: Option<String>,
    pub hl7: Option<String>,
    /// `auto`, `off`, or `certificate.pem,key.pem`.
    pub tls: Option<String>,
    /// Where people reach this server: `https://pacs.example.org`.
    pub public_url: Option<String>,
    pub ae_title: Option<String>,
    pub time_zone: Option<String>,
    pub font_dirs: Option<Vec<PathBuf>>,
    pub organization: Organization,
    pub sign_in: SignIn,
    pub images: Images,
    pub backup: Backup,
    pub hl7_listener: Hl7,
    pub node: Node,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Organization {
    pub name: String,
    pub name_en: String,
}

impl Default for Organization {
    fn default() -> Self {
        Self { name: "本院".to_owned(), name_en: "This hospital".to_owned() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignIn {
    pub require_second_factor: bool,
    pub idle_minutes: u64,
    pub session_hours: u64,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { require_second_factor: true, idle_minutes: 60, session_hours: 12 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Bytes; storing is refused when it would leave less than this free.
    pub disk_reserve: u64,
    /// Bytes; when less than this is free, the storage page and a notice to engineers say so.
    pub disk_warning: u64,
    /// Most that organizations may store, bytes by organization id; those not named as much as there is room.
    pub organization_bytes: HashMap<mingying_kernel::OrgId, u64>,
    /// Years from the exam for which a study must be kept: only then it may be deleted because its time is over, and
    /// only so when a signed report rests on it.
    pub retention_years: u16,
    /// Most that texts and pictures made from images may take, bytes; they can be made again at any time. 0 keeps none.
    pub derived_size: u64,
    /// Most that compressed copies of images (HTJ2K, for the viewer and for DICOMweb) may take, bytes; they can be made
    /// again at any time. 0 keeps none.
    pub sibling_size: u64,
    /// Seconds without a new image after which those of a study are made.
    pub sibling_after: u64,
    /// Threads that make them, while no images arrive.
    pub sibling_threads: usize,
    /// Bytes; the largest object accepted.
    pub largest_object: u64,
    pub private_storage_classes: Vec<String>,
    pub max_associations: usize,
    /// Folders with copies of the packs, such as the one of `mingying backup`: damage is healed from them.
    pub replicas: Vec<PathBuf>,
    /// Bytes a second that the background check of stored images reads; 0: as fast as the disk.
    pub check_rate: u64,
    /// Days from the end of one check of everything to the begin of the next.
    pub check_every_days: u64,
    /// Days in which what was deleted can be brought back; then its room is given back.
    pub keep_deleted_days: u64,
    /// DICOM TLS (PS3.15 B.12). Absent: on unless the listener is on loopback. `false` on a network is a decision for a
    /// segment whose modalities cannot do better (R-4.3.1-d).
    pub tls: Option<bool>,
    /// Where images lie that nobody has sent for a while.
    pub tiers: Tiers,
    /// What images are encrypted with on the disk.
    pub encryption: Encryption,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            disk_reserve: 1 << 30,
            disk_warning: 20 << 30,
            organization_bytes: HashMap::new(),
            retention_years: 30,
            derived_size: 2 << 30,
            sibling_size: 64 << 30,
            sibling_after: 30,
            sibling_threads: 1,
            largest_object: 8 << 30,
            private_storage_classes: Vec::new(),
            max_associations: 64,
            replicas: Vec::new(),
            check_rate: 20 << 20,
            check_every_days: 7,
            keep_deleted_days: 30,
            tls: None,
            tiers: Tiers::default(),
            encryption: Encryption::default(),
        }
    }
}

/// Backups that a running server makes by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where to: an absolute path, best on another machine's disk. Absent: none is made.
    pub folder: Option<PathBuf>,
    /// From one to the next: so much work can be lost at most.
    pub every_minutes: u64,
    /// How far back a state can be restored: each of the last day, then the last of each day.
    pub keep_days: u32,
    /// Name the images in the S3 bucket with their hash and do not copy them.
    pub leave_s3: bool,
}

impl Default for Backup {
    fn default() -> Self {
        Self { folder: None, every_minutes: 60, keep_days: 30, leave_s3: false }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hl7 {
    /// Sending applications (MSH-3) that are let in; empty lets in nobody but the demonstration's.
    pub senders: Vec<String>,
    /// TLS on the listener; absent and `false` as for images.
    pub tls: Option<bool>,
}

/// How the HTTP side is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    Off,
    /// A certificate of our own, made at the first start.
    Auto,
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    pub http: SocketAddr,
    pub dimse: Option<SocketAddr>,
    pub hl7: Option<SocketAddr>,
    pub tls: Tls,
    pub public_url: Option<String>,
    pub ae_title: String,
    pub time_zone: String,
    pub font_dirs: Vec<PathBuf>,
    pub organization: Organization,
    pub sign_in: SignIn,
    pub images: Images,
    pub backup: Backup,
    pub hl7_listener: Hl7,
    pub node: Node,
    pub demo: bool,
    pub demo_public: bool,
}

/// Flags and variables; what is `None` comes from the file or the default.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub database: Option<String>,
    pub http: Option<String>,
    pub dimse: Option<String>,
    pub hl7: Option<String>,
    pub tls: Option<String>,
    pub public_url: Option<String>,
    pub demo: bool,
    pub demo_public: bool,
}

impl Config {
    /// A configuration on free local ports, for tests: plain HTTP, all listeners.
    pub fn local(data_dir: &Path) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data_dir: data_dir.to_path_buf(),
            database: format!("sqlite:{}", data_dir.join("mingying.db").display()),
            http: free,
            dimse: Some(free),
            hl7: Some(free),
            tls: Tls::Off,
            public_url: None,
            ae_title: "MINGYING".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            font_dirs: mingying_print::Printer::system_font_dirs(),
            organization: Organization::default(),
            sign_in: SignIn::default(),
            // Siblings of images would come at a time of their own.
            images: Images { disk_reserve: 64 << 20, sibling_size: 0, ..Images::default() },
            backup: Backup::default(),
            hl7_listener: Hl7::default(),
            node: Node::default(),
            demo: false,
            demo_public: false,
        }
    }

    pub fn load(overrides: Overrides) -> Result<Self, ServerError> {
        let file = match &overrides.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(ServerError::file(path))?;
                parse(&text).map_err(|reason| ServerError::ConfigFile { path: path.clone(), reason })?
            }
            None => File::default(),
        };
        Self::combine(file, overrides)
    }

    fn combine(file: File, over: Overrides) -> Result<Self, ServerError> {
        let data_dir = over.data_dir.or(file.data_dir).ok_or(ServerError::Config {
            name: "data-dir",
            reason: "say where data is kept: --data-dir DIR, MINGYING_DATA_DIR, or data_dir in the file".to_owned(),
        })?;
        let database = over
            .database
            .or(file.database)
            .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("mingying.db").display()));
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme)) {
            return Err(ServerError::Config {
                name: "database",
                reason: "expected sqlite:PATH or postgres://…".to_owned(),
            });
        }
        let http = address("http", over.http.or(file.http), "127.0.0.1:8080")?
            .ok_or(ServerError::Config { name: "http", reason: "cannot be off".to_owned() })?;
        let dimse = address("dimse", over.dimse.or(file.dimse), "127.0.0.1:11112")?;
        let hl7 = address("hl7", over.hl7.or(file.hl7), "127.0.0.1:2575")?;
        let tls = tls(over.tls.or(file.tls).as_deref(), http)?;
        let public_url = over.public_url.or(file.public_url);
        if let Some(url) = &public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(ServerError::Config { name: "public-url", reason: "expected https://HOST".to_owned() });
        }
        let ae_title = file.ae_title.unwrap_or_else(|| "MINGYING".to_owned());
        let time_zone = file.time_zone.unwrap_or_else(|| "Asia/Shanghai".to_owned());
        let demo = over.demo || over.demo_public;
        let config = Self {
            data_dir,
            database,
            http,
            dimse,
            hl7,
            tls,
            public_url,
            ae_title,
            time_zone,
            font_dirs: file.font_dirs.unwrap_or_else(mingying_print::Printer::system_font_dirs),
            organization: file.organization,
            sign_in: file.sign_in,
            images: file.images,
            backup: file.backup,
            hl7_listener: file.hl7_listener,
            node: file.node,
            demo,
            demo_public: over.demo_public,
        };
        config.title()?;
        config.zone()?;
        config.check_backup()?;
        config.check_demo()?;
        config.images.tiers.check(&config.data_dir)?;
        config.images.encryption.check()?;
        config.node.check()?;
        Ok(config)
    }

    pub fn title(&self) -> Result<mingying_kernel::AeTitle, ServerError> {
        mingying_kernel::AeTitle::parse(&self.ae_title)
            .map_err(|error| ServerError::Config { name: "ae_title", reason: error.to_string() })
    }

    pub fn zone(&self) -> Result<jiff::tz::TimeZone, ServerError> {
        jiff::tz::TimeZone::get(&self.time_zone)
            .map_err(|error| ServerError::Config { name: "time_zone", reason: error.to_string() })
    }

    fn check_backup(&self) -> Result<(), ServerError> {
        let wrong = |reason: &str| Err(ServerError::Config { name: "backup", reason: reason.to_owned() });
        match &self.backup.folder {
            Some(_) if self.backup.every_minutes == 0 => wrong("every_minutes must be at least 1"),
            Some(folder) if !folder.is_absolute() => wrong("folder must be an absolute path"),
            Some(folder) if folder.starts_with(&self.data_dir) => wrong("folder must not lie in the data folder"),
            _ => Ok(()),
        }
    }

    /// Everybody knows the demonstration's passwords.
    fn check_demo(&self) -> Result<(), ServerError> {
        let open =
            [Some(self.http), self.dimse, self.hl7].into_iter().flatten().any(|address| !address.ip().is_loopback());
        if self.demo && open && !self.demo_public {
            return Err(ServerError::Config {
                name: "demo",
                reason: "refused outside loopback: its users have a known password. Bind to 127.0.0.1, or say \
                         --demo-public if everybody may come in"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

/// Reads the file's text; the reason names the unknown or mistyped key.
pub fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

/// `off` means no listener.
fn address(name: &'static str, text: Option<String>, default: &str) -> Result<Option<SocketAddr>, ServerError> {
    let text = text.unwrap_or_else(|| default.to_owned());
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| ServerError::Config {
        name,
        reason: "expected ADDRESS:PORT, for example 127.0.0.1:8080, or off".to_owned(),
    })
}

fn tls(text: Option<&str>, http: SocketAddr) -> Result<Tls, ServerError> {
    match text {
        None if http.ip().is_loopback() => Ok(Tls::Off),
        None | Some("auto") => Ok(Tls::Auto),
        Some("off") if http.ip().is_loopback() => Ok(Tls::Off),
        Some("off") => Err(ServerError::Config {
            name: "tls",
            reason: "off is allowed on loopback only: passwords and images would cross the network in the clear"
                .to_owned(),
        }),
        Some(files) => match files.split_once(',') {
            Some((certificate, key)) if !certificate.trim().is_empty() && !key.trim().is_empty() => {
                Ok(Tls::Files { certificate: certificate.trim().into(), key: key.trim().into() })
            }
            _ => Err(ServerError::Config {
                name: "tls",
                reason: "expected auto, off, or CERTIFICATE.pem,KEY.pem".to_owned(),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, over: Overrides) -> Result<Config, ServerError> {
        let file = parse(file).map_err(ServerError::Said)?;
        Config::combine(file, Overrides { data_dir: Some("/var/lib/mingying".into()), ..over })
    }

    #[test]
    fn defaults_are_local_and_plain() {
        let config = load("", Overrides::default()).unwrap();
        assert_eq!(config.http.to_string(), "127.0.0.1:8080");
        assert_eq!(config.tls, Tls::Off);
        assert_eq!(config.database, "sqlite:/var/lib/mingying/mingying.db");
    }

    #[test]
    fn unknown_keys_fail_by_name() {
        let error = parse("htpp = '127.0.0.1:1'").unwrap_err();
        assert!(error.contains("htpp"), "{error}");
        assert!(parse("[sign_in]\nidle = 3").unwrap_err().contains("idle"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let over = Overrides { http: Some("127.0.0.1:9000".into()), hl7: Some("off".into()), ..Overrides::default() };
        let config = load("http = '127.0.0.1:8000'\ndimse = '127.0.0.1:104'", over).unwrap();
        assert_eq!(config.http.port(), 9000);
        assert_eq!(config.dimse.unwrap().port(), 104);
        assert_eq!(config.hl7, None);
    }

    #[test]
    fn the_network_is_never_plain() {
        assert_eq!(load("http = '0.0.0.0:443'", Overrides::default()).unwrap().tls, Tls::Auto);
        assert!(load("http = '0.0.0.0:443'\ntls = 'off'", Overrides::default()).is_err());
        let files = load("tls = 'a.pem,b.pem'", Overrides::default()).unwrap().tls;
        assert_eq!(files, Tls::Files { certificate: "a.pem".into(), key: "b.pem".into() });
    }

    #[test]
    fn known_passwords_stay_on_loopback() {
        let demo = Overrides { demo: true, ..Overrides::default() };
        assert!(load("", demo.clone()).is_ok());
        assert!(load("http = '0.0.0.0:443'", demo.clone()).is_err());
        assert!(load("dimse = '0.0.0.0:104'", demo).is_err());
        let public = Overrides { demo_public: true, ..Overrides::default() };
        assert!(load("http = '0.0.0.0:443'", public).unwrap().demo);
    }
}
