//! Rules without a database: names, passwords, back-off, time-based codes.

use crate::AccessError;
use mingying_kernel::{OrgId, Role, SessionId, Timestamp, UserId};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// A person with an account.
#[derive(Debug, Clone)]
pub struct User {
    pub id: UserId,
    pub username: String,
    pub name: String,
    pub roles: Vec<Role>,
    pub active: bool,
    /// A user of the demonstration data: known password, exempt from rules and second factor.
    pub demo: bool,
    pub org: Option<OrgId>,
    pub second_factor: bool,
    pub created_at: Timestamp,
}

/// What a valid session cookie stands for.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub session: SessionId,
    pub user: User,
    /// To be sent back in `x-csrf-token` with every request that changes something.
    pub csrf: String,
    pub expires_at: Timestamp,
    /// The account must enrol a second factor before it may do anything else.
    pub must_enrol: bool,
}

pub const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 256;

/// Passwords that fulfil the length and are still guessed first.
const GUESSED: &[&str] = &[
    "1234567890",
    "12345678910",
    "0123456789",
    "0987654321",
    "qwertyuiop",
    "password12",
    "password123",
    "passw0rd123",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "qwerty12345",
    "administrator",
    "mingying123",
    "mingying-demo",
];

/// length counts, not character classes (NIST SP 800-63B 5.1.1.2).
pub fn check_password(username: &str, password: &str) -> Result<(), AccessError> {
    let weak = |rule| Err(AccessError::WeakPassword { rule });
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        return weak("length");
    }
    if password.len() > PASSWORD_MAX {
        return weak("too_long");
    }
    let lower = password.to_lowercase();
    if !username.is_empty() && lower.contains(&username.to_lowercase()) {
        return weak("contains_username");
    }
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 4 || GUESSED.contains(&lower.as_str()) {
        return weak("guessable");
    }
    Ok(())
}

/// 2 to 64 characters: letters, digits, `.`, `-`, `_`, `@`; stored in lower case.
pub fn clean_username(text: &str) -> Result<String, AccessError> {
    let name = text.trim().to_lowercase();
    let length = name.chars().count();
    if (2..=64).contains(&length) && name.chars().all(|c| c.is_alphanumeric() || ".-_@".contains(c)) {
        Ok(name)
    } else {
        Err(AccessError::Invalid { field: "username" })
    }
}

/// A name to show: 1 to 64 characters, none of them a control character.
pub fn clean_name(text: &str) -> Result<String, AccessError> {
    let name = text.trim();
    if (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(AccessError::Invalid { field: "name" })
    }
}

/// How long sign-in is refused after so many failures in a row: nothing for the first `free`, then 2, 4, 8 … seconds
/// up to 15 minutes.
pub(crate) fn block_after(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => Duration::from_secs(2_u64.saturating_pow(over.min(10))).min(Duration::from_mins(15)),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The only form in which a token or a throttle key is stored.
pub(crate) fn hash_of(kind: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    hex(&hash.finalize())
}

/// The step of RFC 6238 in which `code` is valid, one step before and after `at` included.
pub(crate) fn step_of_code(secret: &[u8], code: &str, at: Timestamp) -> Option<i64> {
    let code = code.trim();
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let totp = totp(secret)?;
    let now = at.as_micros() / 1_000_000 / STEP_SECONDS;
    let mut found = None;
    for step in [now - 1, now, now + 1] {
        let expected = totp.generate(u64::try_from(step.checked_mul(STEP_SECONDS)?).ok()?);
        if bool::from(subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), code.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

const STEP_SECONDS: i64 = 30;

fn totp(secret: &[u8]) -> Option<totp_rs::TOTP> {
    // SHA-1, 6 digits, 30 seconds: what every authenticator app supports (RFC 6238 1.2).
    totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 1, STEP_SECONDS as u64, secret.to_vec()).ok()
}

/// The code of `secret` at `at`, for tests and command-line sign-in.
pub fn code_at(secret_base32: &str, at: Timestamp) -> Option<String> {
    let secret = totp_rs::Secret::Encoded(secret_base32.to_owned()).to_bytes().ok()?;
    Some(totp(&secret)?.generate(u64::try_from(at.as_micros() / 1_000_000).ok()?))
}

pub(crate) fn base32(secret: &[u8]) -> String {
    match totp_rs::Secret::Raw(secret.to_vec()).to_encoded() {
        totp_rs::Secret::Encoded(text) => text,
        totp_rs::Secret::Raw(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_follow_the_rules() {
        assert!(check_password("li", "correct horse").is_ok());
        assert!(check_password("li", "影像科的门牌是蓝色的").is_ok());
        for bad in ["short", "1234567890", "aaaaaaaaaaaaaa", "wang.wu-2026", &"x1y2".repeat(100)] {
            assert!(check_password("wang.wu", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn back_off_doubles_and_ends() {
        assert_eq!(block_after(5, 5), Duration::ZERO);
        assert_eq!(block_after(6, 5), Duration::from_secs(2));
        assert_eq!(block_after(8, 5), Duration::from_secs(8));
        assert_eq!(block_after(u32::MAX, 5), Duration::from_mins(15));
    }

    #[test]
    fn codes_follow_rfc_6238() {
        // Appendix B, SHA-1, time 59: 94287082; six digits are its last six. Sixteen octets at least are asked for.
        let secret = b"12345678901234567890";
        assert_eq!(step_of_code(secret, "287082", Timestamp::from_micros(59_000_000)), Some(1));
        assert_eq!(step_of_code(secret, "287082", Timestamp::from_micros(89_000_000)), Some(1));
        assert_eq!(step_of_code(secret, "287082", Timestamp::from_micros(149_000_000)), None);
        assert_eq!(step_of_code(secret, "28708", Timestamp::from_micros(59_000_000)), None);
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean_username(" Li.Lei ").unwrap(), "li.lei");
        assert!(clean_username("a b").is_err() && clean_username("x").is_err());
        assert!(clean_name("").is_err() && clean_name("a\u{7}").is_err());
    }
}
