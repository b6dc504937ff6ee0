//! Codes of an authenticator app (TOTP, RFC 6238), and the recovery codes for when the app is lost.

use super::{Session, User, Visit};
use crate::catalog::audit::fields;
use crate::catalog::change::to_its_end;
use crate::catalog::token::hex_hash;
use crate::catalog::{Catalog, CatalogError, ChangeError};
use crate::limits;
use crate::mail::{Occasion, Queue};
use crate::model::Secret;
use crate::seal;
use crate::store::StoreError;
use crate::store::configured::{Credentials, set_recovery_codes};
use crate::store::db::Connection;
use serde_json::json;
use std::sync::Arc;
use totp_rs::{Builder, Totp};

/// Bytes of a seed: as many as the hash has, as RFC 4226 recommends.
const SEED_BYTES: usize = 20;

/// What an authenticator app shows above the code.
const ISSUER: &str = "Fanfare";

/// Letters of recovery codes: without those that look alike.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// With what somebody proved a second time who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondFactor {
    /// They have none.
    None,
    /// The provider asks for one, or does not: that is its affair.
    Provider,
    /// A code of the app, of this time step.
    Code(u64),
    /// A recovery code, by its hash.
    Recovery(String),
}

impl SecondFactor {
    /// Its name in the audit log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Provider => "provider",
            Self::Code(_) => "code",
            Self::Recovery(_) => "recovery_code",
        }
    }
}

/// A seed for an authenticator app, not yet in force.
pub struct NewSeed {
    /// In base32, to be typed.
    pub secret: String,
    /// To be shown as a QR code.
    pub url: String,
}

impl std::fmt::Debug for NewSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSeed(…)")
    }
}

impl Catalog {
    /// Makes a seed for somebody. It is in force once [`Self::confirm_second_factor`] has seen a code made from it.
    ///
    /// # Errors
    /// [`ChangeError::WrongPassword`]; [`ChangeError::SecondFactorOn`] when there is one in force.
    pub async fn begin_second_factor(
        self: &Arc<Self>,
        session: &Session,
        password: Secret,
    ) -> Result<NewSeed, ChangeError> {
        let (catalog, user) = (Arc::clone(self), Arc::clone(&session.user));
        to_its_end(async move {
            let (user, mut kept) = catalog.verified(user, &password).await?;
            let _changing = catalog.changes.lock().await;
            if kept.totp_sealed.is_some() {
                return Err(ChangeError::SecondFactorOn);
            }
            let mut seed = [0; SEED_BYTES];
            catalog.random.fill(&mut seed);
            kept.totp_pending_sealed = Some(catalog.key.seal(&place(&user), &seed, &*catalog.random));
            let totp = totp(&seed, &user.email)?;
            let url = totp.to_url().map_err(|_| CatalogError::Unreadable("users.email"))?;
            let new = NewSeed { secret: totp.secret().to_base32(), url };
            catalog.write(None, move |connection| kept.write(connection, user.id)).await?;
            Ok(new)
        })
        .await
    }

    /// Puts the seed in force after a code made from it. Answers recovery codes, each of which opens once in place of a
    /// code: this is the only time that they can be read.
    ///
    /// # Errors
    /// [`ChangeError::WrongCode`], also when there is no seed.
    pub async fn confirm_second_factor(
        self: &Arc<Self>,
        session: &Session,
        visit: Visit,
        code: String,
    ) -> Result<Vec<String>, ChangeError> {
        let (catalog, user) = (Arc::clone(self), Arc::clone(&session.user));
        to_its_end(async move { catalog.confirm_now(user, &visit, &code).await }).await
    }

    /// Ends the second factor of somebody.
    ///
    /// # Errors
    /// [`ChangeError::WrongPassword`].
    pub async fn end_second_factor(
        self: &Arc<Self>,
        session: &Session,
        visit: Visit,
        password: Secret,
    ) -> Result<(), ChangeError> {
        let (catalog, user) = (Arc::clone(self), Arc::clone(&session.user));
        to_its_end(async move {
            let (user, kept) = catalog.verified(user, &password).await?;
            let kept = Credentials { password_hash: kept.password_hash, ..Credentials::default() };
            catalog.switch_second_factor(&user, &visit, kept, Vec::new()).await
        })
        .await
    }

    async fn confirm_now(&self, user: Arc<User>, visit: &Visit, code: &str) -> Result<Vec<String>, ChangeError> {
        let (user, mut kept) = self.credentials_of(user).await?;
        let sealed = kept.totp_pending_sealed.take().ok_or(ChangeError::WrongCode)?;
        let seed = self.key.open(&place(&user), &sealed).map_err(CatalogError::from)?;
        let step = totp(seed.expose(), &user.email)?.check(code.trim(), self.seconds());
        kept.totp_step = Some(step.ok_or(ChangeError::WrongCode)?);
        kept.totp_sealed = Some(sealed);
        let codes: Vec<String> = (0..limits::RECOVERY_CODES).map(|_| self.recovery_code()).collect();
        let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
        self.switch_second_factor(&user, visit, kept, hashes).await?;
        Ok(codes)
    }

    async fn switch_second_factor(
        &self,
        user: &User,
        visit: &Visit,
        kept: Credentials,
        recovery_hashes: Vec<String>,
    ) -> Result<(), ChangeError> {
        let _changing = self.changes.lock().await;
        let on = kept.totp_sealed.is_some();
        let after = fields(json!({"second_factor": on}));
        let entry = self.session_entry(user, visit, "user.changed", after);
        let mail = self.mail.write(user.mailbox(), Occasion::SecondFactor { on });
        let id = user.id;
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            kept.write(connection, id)?;
            set_recovery_codes(connection, id, &recovery_hashes)?;
            Queue::put(connection, &mail)
        };
        self.write(Some(entry), change).await?;
        self.mail.note_queued();
        self.keep(User { second_factor: on, ..user.clone() });
        Ok(())
    }

    /// What a code proves. A recovery code is looked up when it is used up, in the same transaction.
    ///
    /// # Errors
    /// The seed does not open.
    pub(super) fn check_code(&self, user: &User, kept: &Credentials, code: &str) -> Result<SecondFactor, CatalogError> {
        let sealed = kept.totp_sealed.as_deref().unwrap_or_default();
        let seed = self.key.open(&place(user), sealed)?;
        let step = totp(seed.expose(), &user.email)?.check(code.trim(), self.seconds());
        let step = step.filter(|step| kept.totp_step.is_none_or(|last| *step > last));
        Ok(step.map_or_else(|| SecondFactor::Recovery(recovery_hash(code)), SecondFactor::Code))
    }

    fn seconds(&self) -> u64 {
        self.clock.now().seconds().unsigned_abs()
    }

    /// Four groups of four letters: 80 random bits, too many to be found again from the hash.
    fn recovery_code(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        let group =
            |bytes: &[u8]| bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect::<String>();
        bytes.chunks(4).map(group).collect::<Vec<_>>().join("-")
    }
}

fn totp(seed: &[u8], account: &str) -> Result<Totp, CatalogError> {
    let builder = Builder::new().with_secret(seed.to_vec()).with_account_name(account).with_issuer(Some(ISSUER));
    builder.build().map_err(|_| CatalogError::Unreadable("users.totp_sealed"))
}

/// As it is kept: without the dashes, which people leave out.
fn recovery_hash(code: &str) -> String {
    let letters: String = code.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    hex_hash(letters.as_bytes())
}

fn place(user: &User) -> String {
    seal::place("users", user.id, "totp")
}
