//! `[images.tiers]`: where packs of images lie beside the data folder, and when they go there.

use crate::ServerError;
use crate::tls;
use mingying_archive::Tiering;
use mingying_blob::{Bucket, S3};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Without a folder and a bucket everything stays in the data folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// A folder on a larger disk.
    pub large: Option<PathBuf>,
    pub s3: Option<Bucketed>,
    /// Days after which a full pack leaves the data folder, and the large disk.
    pub leave_fast_days: u64,
    pub leave_large_days: u64,
    /// Bytes; with less free on the disk its oldest packs leave earlier.
    pub fast_free: u64,
    pub large_free: u64,
    /// Bytes a second that moving reads and writes; 0: as fast as it goes.
    pub rate: u64,
    /// Whether the background check also reads what lies in the bucket.
    pub check_s3: bool,
    /// Seconds after which a copy of what was received lies in the bucket, where other nodes find it when this one is
    /// dead; 0: never. When absent 60 with several nodes, and never with one.
    pub share_after_seconds: Option<u64>,
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            large: None,
            s3: None,
            leave_fast_days: 30,
            leave_large_days: 365,
            fast_free: 0,
            large_free: 0,
            rate: 40 << 20,
            check_s3: true,
            share_after_seconds: None,
        }
    }
}

/// A bucket of an S3-compatible object store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucketed {
    /// `https://host[:port]`; Amazon's own when absent.
    pub endpoint: Option<String>,
    #[serde(default = "default_region")]
    pub region: String,
    pub bucket: String,
    /// Keys begin with it; each installation has its own.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Files with one line each.
    pub access_key_file: PathBuf,
    pub secret_key_file: PathBuf,
    /// Certificates to trust beside those that this machine trusts, PEM.
    pub ca_file: Option<PathBuf>,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`; on by default with an endpoint.
    pub path_style: Option<bool>,
    /// A read that takes longer is given up, and answered with a status that says to try again.
    #[serde(default = "default_patience")]
    pub patience_seconds: u64,
    /// Most that what was brought back may take in the data folder, bytes.
    #[serde(default = "default_recall")]
    pub recall_size: u64,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_prefix() -> String {
    "mingying".to_owned()
}

const fn default_patience() -> u64 {
    20
}

const fn default_recall() -> u64 {
    10 << 30
}

fn wrong(name: &'static str, reason: impl Into<String>) -> ServerError {
    ServerError::Config { name, reason: reason.into() }
}

impl Tiers {
    /// Refuses what cannot be meant.
    pub fn check(&self, data_dir: &Path) -> Result<(), ServerError> {
        if let Some(large) = &self.large
            && (!large.is_absolute() || large.starts_with(data_dir) || data_dir.starts_with(large))
        {
            return Err(wrong("images.tiers.large", "name an absolute path outside the data folder, on another disk"));
        }
        let Some(s3) = &self.s3 else { return Ok(()) };
        if s3.bucket.is_empty() || s3.prefix.trim_matches('/').is_empty() {
            return Err(wrong("images.tiers.s3", "bucket and prefix must not be empty"));
        }
        if let Some(endpoint) = &s3.endpoint {
            let rest =
                endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://").filter(|r| is_local(r)));
            if rest.is_none_or(str::is_empty) {
                let reason = "expected https://HOST[:PORT]; http is for 127.0.0.1 alone: images would cross the \
                              network in the clear";
                return Err(wrong("images.tiers.s3.endpoint", reason));
            }
        }
        if s3.patience_seconds == 0 {
            return Err(wrong("images.tiers.s3.patience_seconds", "must be at least 1"));
        }
        Ok(())
    }

    pub(crate) fn rule(&self) -> Tiering {
        let days = |days: u64| Duration::from_secs(days.saturating_mul(24 * 3600));
        Tiering {
            leave_fast: days(self.leave_fast_days),
            leave_large: days(self.leave_large_days),
            fast_free: self.fast_free,
            large_free: self.large_free,
            rate: self.rate,
            check_objects: self.check_s3,
            share_after: self.share_after_seconds.map(Duration::from_secs),
        }
    }

    /// What the store of blobs runs with. Reads the keys.
    pub(crate) fn open(&self, data_dir: &Path) -> Result<mingying_blob::Tiers, ServerError> {
        let objects = self.s3.as_ref().map(|s3| s3.open(data_dir)).transpose()?;
        Ok(mingying_blob::Tiers { large: self.large.clone(), objects })
    }
}

impl Bucketed {
    fn open(&self, data_dir: &Path) -> Result<Bucket, ServerError> {
        let line = |path: &Path| {
            let text = std::fs::read_to_string(path).map_err(ServerError::file(path))?;
            Ok::<_, ServerError>(text.trim().to_owned())
        };
        let patience = Duration::from_secs(self.patience_seconds);
        let s3 = S3 {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            bucket: self.bucket.clone(),
            access_key: line(&self.access_key_file)?,
            secret_key: line(&self.secret_key_file)?,
            path_style: self.path_style.unwrap_or(self.endpoint.is_some()),
            tls: tls::client_config_trusting(self.ca_file.as_deref())?,
        };
        Ok(Bucket {
            store: s3.client(patience)?,
            prefix: self.prefix.clone(),
            patience,
            recall: data_dir.join("recall"),
            recall_size: self.recall_size,
            piece: Bucket::PIECE,
        })
    }
}

/// Whether the host of `host[:port]` is this machine.
fn is_local(rest: &str) -> bool {
    let host = rest.trim_end_matches('/').rsplit_once(':').map_or(rest, |(host, _)| host);
    host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let tiers: Tiers = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        tiers.check(Path::new("/var/lib/mingying")).map_err(|error| error.to_string())
    }

    fn s3(more: &str) -> String {
        format!("[s3]\nbucket = 'packs'\naccess_key_file = '/a'\nsecret_key_file = '/s'\n{more}")
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        assert_eq!(check("large = '/mnt/large/mingying'"), Ok(()));
        assert!(check("large = '/var/lib/mingying/large'").unwrap_err().contains("images.tiers.large"));
        assert!(check("large = 'large'").is_err());
        assert!(check("largest = '/x'").unwrap_err().contains("largest"));
        assert!(check("[s3]\nbucket = 'packs'").unwrap_err().contains("access_key_file"));
        assert_eq!(check(&s3("")), Ok(()));
        assert!(check(&s3("prefix = '/'")).is_err());
        assert!(check(&s3("patience_seconds = 0")).is_err());
    }

    #[test]
    fn images_never_cross_a_network_in_the_clear() {
        assert_eq!(check(&s3("endpoint = 'https://s3.example.org:9000'")), Ok(()));
        assert_eq!(check(&s3("endpoint = 'http://127.0.0.1:8333'")), Ok(()));
        assert_eq!(check(&s3("endpoint = 'http://[::1]:8333'")), Ok(()));
        for plain in ["http://s3.example.org", "http://10.1.2.3:9000", "s3.example.org", "https://"] {
            assert!(check(&s3(&format!("endpoint = '{plain}'"))).unwrap_err().contains("endpoint"), "{plain}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let (access, secret) = (dir.path().join("a"), dir.path().join("s"));
        std::fs::write(&access, "AKIDVISIBLE\n").unwrap();
        std::fs::write(&secret, "verysecret\n").unwrap();
        let text = format!(
            "[s3]\nbucket = 'packs'\naccess_key_file = '{}'\nsecret_key_file = '{}'",
            access.display(),
            secret.display()
        );
        let tiers: Tiers = toml::from_str(&text).unwrap();
        let shown = format!("{:?} {tiers:?}", tiers.open(dir.path()).unwrap());
        assert!(!shown.contains("verysecret") && !shown.contains("AKIDVISIBLE"), "{shown}");
        std::fs::remove_file(&secret).unwrap();
        assert!(tiers.open(dir.path()).is_err());
    }
}
