//! Hashing passwords, making tokens, sealing secrets under the installation's key.

use crate::AccessError;
use crate::model::hash_of;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rand::RngCore;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// The key under which second-factor secrets are kept. A copy of the database alone does not reveal them.
#[derive(Clone)]
pub struct SecretKey(Arc<LessSafeKey>);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, AccessError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| AccessError::Crypto)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// 32 random bytes for a new installation.
    pub fn random_bytes() -> [u8; 32] {
        random()
    }

    /// `owner` is bound in, so that a sealed secret cannot be moved to another account's row.
    pub(crate) fn seal(&self, owner: &str, plain: &[u8]) -> Result<Vec<u8>, AccessError> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut sealed)
            .map_err(|_| AccessError::Crypto)?;
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        Ok(out)
    }

    pub(crate) fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, AccessError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(AccessError::Crypto)?;
        let mut body = body.to_vec();
        let plain = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(owner), &mut body)
            .map_err(|_| AccessError::Crypto)?;
        Ok(plain.to_vec())
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A new 256-bit token, shown once.
pub(crate) fn new_token(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

/// A new 160-bit second-factor secret (RFC 4226 4, R6).
pub(crate) fn new_factor() -> [u8; 20] {
    random()
}

/// Bound to the session because derived from its token; nothing to store.
pub(crate) fn csrf_of(session_token: &str) -> String {
    hash_of("csrf", session_token)
}

pub(crate) fn same(a: &str, b: &str) -> bool {
    subtle::ConstantTimeEq::ct_eq(a.as_bytes(), b.as_bytes()).into()
}

/// Each hash takes 19 MiB and most of a core for tens of milliseconds: two at a time, the others wait.
static HASHING: Semaphore = Semaphore::const_new(2);

fn argon2() -> Argon2<'static> {
    // OWASP's second choice: m = 19 MiB, t = 2, p = 1; these are the crate's defaults, spelled out.
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None).unwrap_or_default())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccessError> {
    let _turn = HASHING.acquire().await.map_err(|_| AccessError::Crypto)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| AccessError::Crypto)
}

fn hash_now(password: &str) -> Result<String, AccessError> {
    let salt = SaltString::from_b64(&STANDARD_NO_PAD.encode(random::<16>())).map_err(|_| AccessError::Crypto)?;
    Ok(argon2().hash_password(password.as_bytes(), &salt).map_err(|_| AccessError::Crypto)?.to_string())
}

pub(crate) async fn hash_password(password: &str) -> Result<String, AccessError> {
    let password = password.to_owned();
    blocking(move || hash_now(&password)).await?
}

/// Verified when there is no such account, so that the answer takes as long as for a real one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now("nobody has this password").unwrap_or_default());

/// Whether `password` fits `hash`; `None` takes the same time and never fits.
pub(crate) async fn verify_password(hash: Option<String>, password: &str) -> Result<bool, AccessError> {
    let password = password.to_owned();
    blocking(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let fits =
            PasswordHash::new(&hash).is_ok_and(|parsed| argon2().verify_password(password.as_bytes(), &parsed).is_ok());
        known && fits
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_secrets_open_only_for_their_owner() {
        let key = SecretKey::from_bytes(&SecretKey::random_bytes()).unwrap();
        let sealed = key.seal("u1", b"secret").unwrap();
        assert_eq!(key.open("u1", &sealed).unwrap(), b"secret");
        assert!(key.open("u2", &sealed).is_err());
        let other = SecretKey::from_bytes(&SecretKey::random_bytes()).unwrap();
        assert!(other.open("u1", &sealed).is_err());
        assert!(key.open("u1", &sealed[..5]).is_err());
    }

    #[test]
    fn tokens_do_not_repeat() {
        assert_ne!(new_token("t"), new_token("t"));
        assert_eq!(new_token("my_").len(), 3 + 43);
    }
}
