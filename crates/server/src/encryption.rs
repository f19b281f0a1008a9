//! `[images.encryption]`: what images are encrypted with on the disk.

use crate::{Config, ServerError};
use mingying_blob::{BlobError, Cipher, Keys, MasterKey, keys_needed};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Without a key file what is written is not encrypted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Encryption {
    /// `aes-256-gcm` or `sm4-gcm`.
    pub cipher: String,
    /// The master key of what is written, made by `mingying key new`.
    pub key_file: Option<PathBuf>,
    /// Master keys that packs of before still need.
    pub older_key_files: Vec<PathBuf>,
    /// Whether packs that are not encrypted, or under an older key, are rewritten.
    pub reencrypt: bool,
}

impl Default for Encryption {
    fn default() -> Self {
        let cipher = Cipher::Aes256Gcm.as_str().to_owned();
        Self { cipher, key_file: None, older_key_files: Vec::new(), reencrypt: false }
    }
}

const NAME: &str = "images.encryption";

fn wrong(reason: String) -> ServerError {
    ServerError::Config { name: NAME, reason }
}

impl Encryption {
    fn cipher(&self) -> Result<Cipher, ServerError> {
        Cipher::parse(&self.cipher).ok_or_else(|| wrong("cipher: expected aes-256-gcm or sm4-gcm".to_owned()))
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), ServerError> {
        self.cipher()?;
        if self.reencrypt && self.key_file.is_none() {
            return Err(wrong("reencrypt needs a key_file: it would write everything in the clear again".to_owned()));
        }
        Ok(())
    }

    /// Reads the key files.
    pub(crate) fn keys(&self) -> Result<Keys, ServerError> {
        let current = match &self.key_file {
            Some(path) => Some((self.cipher()?, master_key(path)?)),
            None => None,
        };
        let older = self.older_key_files.iter().map(|path| master_key(path));
        Ok(Keys::new(current, older.collect::<Result<Vec<_>, _>>()?))
    }

    /// All key files that are named.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.key_file.iter().chain(&self.older_key_files)
    }
}

/// Reads a key file.
pub(crate) fn master_key(path: &Path) -> Result<MasterKey, ServerError> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(ServerError::file(path))?);
    MasterKey::parse(&text).ok_or_else(|| wrong(format!("{} is not a key file of `mingying key new`", path.display())))
}

/// Says which key is missing, and what to do.
pub(crate) fn explained(error: BlobError) -> ServerError {
    let BlobError::Locked(id) = error else { return error.into() };
    wrong(format!(
        "[blob.locked] packs are encrypted with the key {id}, which is not configured. Name its file as key_file or in \
         older_key_files; nothing was changed"
    ))
}

/// How many packs in the data folder need which key.
pub(crate) fn needed(config: &Config) -> Result<BTreeMap<Option<mingying_blob::KeyId>, u64>, ServerError> {
    let tiers = config.images.tiers.open(&config.data_dir)?;
    let mut needed = BTreeMap::new();
    for number in 1_u32.. {
        let folder = crate::setup::blobs_folder(&config.data_dir, number);
        if !folder.exists() {
            break;
        }
        for (key, packs) in keys_needed(&folder, &tiers)? {
            *needed.entry(key).or_default() += packs;
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let encryption: Encryption = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        encryption.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(check("cipher = 'sm4-gcm'\nkey_file = '/k'\nolder_key_files = ['/o']\nreencrypt = true"), Ok(()));
        assert!(check("cipher = 'rot13'").unwrap_err().contains("sm4-gcm"));
        assert!(check("reencrypt = true").unwrap_err().contains("key_file"));
        assert!(check("key = '/k'").unwrap_err().contains("key"));
    }
}
