//! Passwords: what may be one, and how they are kept (Argon2id, OWASP's parameters: 19 MiB, two passes).

use crate::catalog::InvalidValue;
use crate::limits::{PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS, PASSWORDS_HASHED_AT_ONCE};
use crate::model::Secret;
use crate::store::StoreError;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// What verifying costs where there is nothing to verify: a hash of nothing that anybody types.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and verifies, a few at a time: each takes memory and a core.
#[derive(Debug)]
pub(in crate::catalog) struct Passwords(Semaphore);

impl Default for Passwords {
    fn default() -> Self {
        Self(Semaphore::new(PASSWORDS_HASHED_AT_ONCE))
    }
}

impl Passwords {
    /// How a password is kept.
    pub(super) async fn hash(&self, password: &Secret, salt: [u8; 16]) -> Result<String, StoreError> {
        let password = password.clone();
        let hash =
            move || Argon2::default().hash_password_with_salt(password.expose(), &salt).map(|hash| hash.to_string());
        self.turn(hash).await.and_then(Result::ok).ok_or(StoreError::Interrupted)
    }

    /// Whether a password is the one that was kept so. Without one it takes as long and is wrong.
    pub(super) async fn verify(&self, password: &Secret, kept: Option<&str>) -> bool {
        let (password, is_kept) = (password.clone(), kept.is_some());
        let kept = kept.unwrap_or(NOBODY).to_owned();
        let verified =
            self.turn(move || Argon2::default().verify_password(password.expose(), kept.as_str()).is_ok()).await;
        verified.unwrap_or(false) && is_kept
    }

    /// Does it off the async runtime when there is a turn; `None` when the runtime is going down.
    async fn turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _turn = self.0.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

/// Whether somebody may choose this password.
pub(super) fn check(password: &Secret, email: &str) -> Result<(), InvalidValue> {
    let wrong = |problem: String| Err(InvalidValue::new("password", problem));
    let text = String::from_utf8_lossy(password.expose());
    if text.chars().count() < PASSWORD_MIN_CHARS {
        return wrong(format!("must have at least {PASSWORD_MIN_CHARS} characters"));
    }
    if text.len() > PASSWORD_MAX_BYTES {
        return wrong(format!("must not be longer than {PASSWORD_MAX_BYTES} bytes"));
    }
    if text.eq_ignore_ascii_case(email) {
        return wrong(String::from("must not be the e-mail address"));
    }
    let first = text.chars().next();
    if text.chars().all(|c| Some(c) == first) {
        return wrong(String::from("must not be one character over and over"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let passwords = Passwords::default();
        let (right, wrong) = (Secret::new("correct horse battery"), Secret::new("correct horse batterz"));
        let kept = passwords.hash(&right, [7; 16]).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, passwords.hash(&right, [8; 16]).await.unwrap(), "each has its own salt");
        assert!(passwords.verify(&right, Some(&kept)).await);
        assert!(!passwords.verify(&wrong, Some(&kept)).await);
        assert!(!passwords.verify(&right, None).await);
        assert!(!passwords.verify(&right, Some("nonsense")).await);
        let nobody = argon2::password_hash::phc::PasswordHash::new(NOBODY).unwrap();
        assert!(nobody.hash.is_some(), "where there is no password the same work is done");
    }

    #[test]
    fn what_may_be_a_password() {
        let check = |text: &str| super::check(&Secret::new(text), "ada.lovelace@example.com");
        assert!(check("twelve chars").is_ok() && check(&"ab".repeat(512)).is_ok() && check("pässwörter ü").is_ok());
        for text in ["", "eleven char", "aaaaaaaaaaaaaaaa", "Ada.Lovelace@example.com", &"ab".repeat(513)] {
            assert_eq!(check(text).unwrap_err().field, "password", "{text}");
        }
    }
}
