//! Signing in and out. A session is a row with the hash of the token in the browser's cookie; it is looked up at every
//! call, so that it ends at once, on every node, when it is deleted.

use super::{SecondFactor, User, UserState, kept_email};
use crate::catalog::audit::{Actor, Deed, fields};
use crate::catalog::token::{hex_hash, token};
use crate::catalog::{Catalog, CatalogError, Subscription};
use crate::limits;
use crate::model::{Secret, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::configured::{AuditEntry, Credentials, SessionRow, use_recovery_code};
use crate::store::db::Connection;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How exactly it is known when a session was last used: a write per call would cost more than the call.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What somebody signs in with.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// As typed.
    pub email: String,
    /// As typed.
    pub password: Secret,
    /// A code of the second factor, or a recovery code.
    pub code: Option<String>,
    /// Which subscription, for somebody who belongs to several with the same password.
    pub subscription: Option<SubscriptionId>,
}

/// Where somebody comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The client's IP address.
    pub address: IpAddr,
    /// The browser, by its own account.
    pub user_agent: String,
}

/// A browser that somebody has signed in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose, as they are now.
    pub user: Arc<User>,
    /// The hash of its token: what it is known by.
    pub hash: String,
    /// Signed in when.
    pub created_at: UnixMs,
    /// Ends when, however much it is used.
    pub expires_at: UnixMs,
}

/// A new session.
pub struct SignedIn {
    /// What goes into the cookie: the only time that it can be read.
    pub token: String,
    /// The session.
    pub session: Session,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Why somebody was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such address, or not this password: which of the two is not said.
    #[error("the e-mail address or the password is wrong")]
    Wrong,
    /// The password is right; the second factor is missing.
    #[error("a code of the second factor is needed")]
    CodeNeeded,
    /// The password is right; the code is not.
    #[error("the code is wrong, or was used already")]
    WrongCode,
    /// Nobody with this identity was invited.
    #[error("nobody here was invited under the address that the provider gives")]
    NotInvited,
    /// The password opens more than one subscription.
    #[error("this account belongs to several subscriptions")]
    Choose(Vec<Arc<Subscription>>),
    /// The store, or a sealed value in it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Catalog(error.into())
    }
}

impl Catalog {
    /// Signs somebody in. Takes as long for an address that nobody has.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(self: &Arc<Self>, asked: SignIn, visit: Visit) -> Result<SignedIn, SignInError> {
        let catalog = Arc::clone(self);
        let signing_in = tokio::spawn(async move { catalog.sign_in_now(&asked, &visit).await });
        signing_in.await.unwrap_or_else(|_| Err(StoreError::Interrupted.into()))
    }

    /// The session of this token, if it is one and lasts still. Notes its use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, token: &str) -> Result<Option<Session>, StoreError> {
        let (hash, now) = (hex_hash(token.as_bytes()), self.clock.now());
        let idle = self.sign_in_settings.session_idle;
        let found = self.store.call(move |connection| {
            let lasts = |row: &SessionRow| now < row.expires_at && now < row.last_used_at.after(idle);
            let found = SessionRow::find(connection, &hash)?.filter(lasts);
            if found.as_ref().is_some_and(|row| now.since(row.last_used_at) >= USE_NOTED_EVERY) {
                SessionRow::used(connection, &hash, now)?;
            }
            Ok::<_, StoreError>(found)
        });
        let Some(row) = found.await? else { return Ok(None) };
        let user = self.current().users.get(&row.user).filter(|user| user.state == UserState::Active).cloned();
        Ok(user.map(|user| Session { user, hash: row.hash, created_at: row.created_at, expires_at: row.expires_at }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_out(&self, session: &Session, visit: &Visit) -> Result<(), StoreError> {
        let entry = self.session_entry(&session.user, visit, "session.ended", Map::new());
        let hash = session.hash.clone();
        self.write(Some(entry), move |connection| SessionRow::delete(connection, &hash)).await
    }

    /// Ends all sessions of somebody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_out_everywhere(&self, user: &User, visit: &Visit) -> Result<(), StoreError> {
        let after = fields(json!({"everywhere": true}));
        let entry = self.session_entry(user, visit, "session.ended", after);
        let id = user.id;
        self.write(Some(entry), move |connection| SessionRow::delete_of(connection, id, None)).await
    }

    async fn sign_in_now(&self, asked: &SignIn, visit: &Visit) -> Result<SignedIn, SignInError> {
        let mut matching = self.matching(asked, visit).await?;
        if matching.len() > 1 {
            let current = self.current();
            let choice = matching.iter().filter_map(|(user, _)| current.subscriptions.get(&user.subscription).cloned());
            return Err(SignInError::Choose(choice.collect()));
        }
        let Some((user, verified)) = matching.pop() else { return Err(SignInError::Wrong) };
        // From here on nobody changes or removes them, and no code is taken twice.
        let _changing = self.changes.lock().await;
        let (user, kept) = self.credentials_of(user).await?;
        if user.state != UserState::Active || kept.password_hash != verified {
            return Err(SignInError::Wrong);
        }
        let accepted = match (&kept.totp_sealed, &asked.code) {
            (None, _) => SecondFactor::None,
            (Some(_), None) => return Err(SignInError::CodeNeeded),
            (Some(_), Some(code)) => self.check_code(&user, &kept, code)?,
        };
        match self.open_session(user.clone(), visit, (accepted, kept)).await {
            Err(SignInError::WrongCode) => {
                self.refused(&user, visit, "wrong_code").await?;
                Err(SignInError::WrongCode)
            }
            opened => opened,
        }
    }

    /// Who has this address and this password, with the hash that the password was verified by.
    async fn matching(&self, asked: &SignIn, visit: &Visit) -> Result<Vec<(Arc<User>, Option<String>)>, SignInError> {
        let email = kept_email(&asked.email);
        let current = self.current();
        let is_meant = |user: &&Arc<User>| {
            user.email == email
                && user.state == UserState::Active
                && asked.subscription.is_none_or(|subscription| user.subscription == subscription)
        };
        let candidates: Vec<_> = current.users.values().filter(is_meant).cloned().collect();
        if candidates.is_empty() {
            self.passwords.verify(&asked.password, None).await;
            return Ok(Vec::new());
        }
        let mut matching = Vec::new();
        for user in &candidates {
            let (_, kept) = self.credentials_of(Arc::clone(user)).await?;
            if self.passwords.verify(&asked.password, kept.password_hash.as_deref()).await {
                matching.push((Arc::clone(user), kept.password_hash));
            }
        }
        if matching.is_empty() {
            for user in &candidates {
                self.refused(user, visit, "wrong_password").await?;
            }
        }
        Ok(matching)
    }

    /// Somebody as they are now, and what they sign in with.
    pub(super) async fn credentials_of(&self, user: Arc<User>) -> Result<(Arc<User>, Credentials), StoreError> {
        let id = user.id;
        let kept = self.store.call(move |connection| Credentials::of(connection, id)).await?;
        Ok((self.current().users.get(&id).cloned().unwrap_or(user), kept))
    }

    /// Opens a session for somebody who has shown who they are. Call it with `changes` held.
    pub(super) async fn open_session(
        &self,
        user: Arc<User>,
        visit: &Visit,
        (accepted, mut kept): (SecondFactor, Credentials),
    ) -> Result<SignedIn, SignInError> {
        let (token, row) = self.new_session(&user, visit);
        let changed = User { last_sign_in_at: Some(row.created_at), ..User::clone(&user) };
        let after = fields(json!({"second_factor": accepted.name()}));
        let entry = self.session_entry(&user, visit, "session.created", after);
        let (session, user_row) = (row.clone(), changed.row());
        let change = move |connection: &Connection| {
            match &accepted {
                SecondFactor::None | SecondFactor::Provider => {}
                SecondFactor::Code(step) => {
                    kept.totp_step = Some(*step);
                    kept.write(connection, user_row.id)?;
                }
                SecondFactor::Recovery(hash) => {
                    if !use_recovery_code(connection, user_row.id, hash)? {
                        return Err(SignInError::WrongCode);
                    }
                }
            }
            user_row.update(connection)?;
            session.insert(connection)?;
            Ok(SessionRow::prune(connection, user_row.id, limits::SESSIONS_PER_USER, session.created_at)?)
        };
        self.write(Some(entry), change).await?;
        let user = self.keep(changed);
        let (created_at, expires_at) = (row.created_at, row.expires_at);
        Ok(SignedIn { token, session: Session { user, hash: row.hash, created_at, expires_at } })
    }

    /// A session that is not written yet, and its token.
    pub(super) fn new_session(&self, user: &User, visit: &Visit) -> (String, SessionRow) {
        let (token, now) = (token("ff_session_", &*self.random), self.clock.now());
        let user_agent = &visit.user_agent;
        let row = SessionRow {
            hash: hex_hash(token.as_bytes()),
            user: user.id,
            created_at: now,
            last_used_at: now,
            expires_at: now.after(self.sign_in_settings.session_max_age),
            address: visit.address.to_string(),
            user_agent: user_agent[..user_agent.floor_char_boundary(limits::SESSION_USER_AGENT_BYTES)].to_owned(),
        };
        (token, row)
    }

    async fn refused(&self, user: &User, visit: &Visit, reason: &str) -> Result<(), StoreError> {
        let after = fields(json!({"reason": reason}));
        let entry = self.session_entry(user, visit, "session.refused", after);
        self.write(Some(entry), |_: &Connection| Ok::<_, StoreError>(())).await
    }

    pub(super) fn session_entry(
        &self,
        user: &User,
        visit: &Visit,
        action: &'static str,
        after: Map<String, Value>,
    ) -> AuditEntry {
        let (subscription, at, target) = (user.subscription, self.clock.now(), user.id.to_string());
        let deed = Deed { subscription, at, action, target: &target };
        deed.by(&Actor::user(user, visit.address), Map::new(), after)
    }
}
