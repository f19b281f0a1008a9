//! The second factor: a time-based code (RFC 6238), enrolled in two steps so that a lost scan locks nobody out.

use crate::model::{base32, step_of_code};
use crate::users::about_user;
use crate::{Access, AccessError, SignedIn, UseOwnSession, record, secret, store};
use mingying_events::payload::access::{FactorEnrolled, FactorRemoved};
use mingying_kernel::{Permit, UserId};

/// Shown once, while enrolling.
pub struct Enrolment {
    /// Base32, for typing.
    pub secret: String,
    /// `otpauth://…`, for scanning.
    pub uri: String,
}

impl Access {
    /// Makes a new secret. It counts only after `confirm_factor`; an earlier factor stays valid until then.
    pub async fn enrol_factor(
        &self,
        permit: &Permit<UseOwnSession>,
        signed_in: &SignedIn,
    ) -> Result<Enrolment, AccessError> {
        let plain = secret::new_factor();
        let sealed = self.key.seal(&signed_in.user.id.to_string(), &plain)?;
        let mut tx = self.db.begin().await?;
        store::set_pending_factor(&mut tx, signed_in.user.id, Some(&sealed), permit.now()).await?;
        tx.commit().await?;
        let secret = base32(&plain);
        let issuer = encode(&self.settings.issuer);
        let uri = format!(
            "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            encode(&signed_in.user.username)
        );
        Ok(Enrolment { secret, uri })
    }

    /// The code proves that the secret arrived; from now on sign-in asks for it.
    pub async fn confirm_factor(
        &self,
        permit: &Permit<UseOwnSession>,
        signed_in: &SignedIn,
        code: &str,
    ) -> Result<(), AccessError> {
        let user = signed_in.user.id;
        let sealed = store::pending_factor(&self.db, user).await?.ok_or(AccessError::NotEnrolling)?;
        let plain = self.key.open(&user.to_string(), &sealed)?;
        let step = step_of_code(&plain, code, permit.now()).ok_or(AccessError::WrongCode)?;
        let mut tx = self.db.begin().await?;
        store::set_factor(&mut tx, user, Some(&sealed), step, permit.now()).await?;
        // Other sessions were opened with less proof.
        store::delete_sessions_of(&mut tx, user, Some(signed_in.session)).await?;
        record(&mut tx, permit, &about_user(permit, user), &FactorEnrolled {}).await?;
        tx.commit().await?;
        self.recognised.forget_all();
        Ok(())
    }

    pub async fn remove_factor(&self, permit: &Permit<UseOwnSession>, signed_in: &SignedIn) -> Result<(), AccessError> {
        if self.settings.require_second_factor && !signed_in.user.demo {
            return Err(AccessError::FactorRequired);
        }
        self.clear_factor(permit, signed_in.user.id).await
    }

    /// For a lost telephone, by the administrator's command line: the account must enrol again at the next sign-in.
    pub async fn reset_factor(&self, permit: &Permit<crate::ManageUsers>, user: UserId) -> Result<(), AccessError> {
        store::user(&self.db, user, permit.scope()).await?.ok_or(AccessError::UserNotFound)?;
        self.clear_factor(permit, user).await
    }

    async fn clear_factor<A: mingying_kernel::Action>(
        &self,
        permit: &Permit<A>,
        user: UserId,
    ) -> Result<(), AccessError> {
        let mut tx = self.db.begin().await?;
        store::set_factor(&mut tx, user, None, 0, permit.now()).await?;
        record(&mut tx, permit, &about_user(permit, user), &FactorRemoved {}).await?;
        tx.commit().await?;
        self.recognised.forget_all();
        Ok(())
    }
}

/// Percent-encoding for the label of an `otpauth` URI.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
