//! People: invited, changed, removed. How they sign in is in [`sessions`], what they do for themselves in [`account`]
//! and [`second_factor`].

mod account;
mod password;
mod provider;
mod second_factor;
mod sessions;
mod setup;

pub(super) use password::Passwords;
pub use second_factor::{NewSeed, SecondFactor};
pub use sessions::{Session, SignIn, SignInError, SignedIn, Visit};
pub use setup::NewAdmin;

use super::audit::{self, Actor, Deed};
use super::change::to_its_end;
use super::name::check_name;
use super::token::{hex_hash, token};
use super::{Catalog, CatalogError, ChangeError, InvalidValue, Role, Snapshot, Subscription};
use crate::limits;
use crate::mail::{Occasion, Queue};
use crate::model::{SubscriptionId, UnixMs, UserId};
use crate::store::StoreError;
use crate::store::configured::{Credentials, LinkKind, LinkRow, MailRow, SessionRow, UserRow, set_recovery_codes};
use crate::store::db::Connection;
use serde_json::Map;
use std::sync::Arc;
use std::time::Duration;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Unique in the installation.
    pub id: UserId,
    /// A member of what.
    pub subscription: SubscriptionId,
    /// Unique within the subscription, in lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they can sign in.
    pub state: UserState,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
    /// Who they are at the OpenID Connect provider, once they have signed in with it.
    pub provider_subject: Option<String>,
    /// When they last signed in.
    pub last_sign_in_at: Option<UnixMs>,
    /// Invited when.
    pub created_at: UnixMs,
}

/// Whether somebody can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// Has not followed the invitation yet.
    Invited,
    /// Can.
    Active,
    /// No longer; known as the owner of what they made.
    Removed(UnixMs),
}

impl UserState {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Removed(_) => "removed",
        }
    }
}

/// Whom to invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserValues {
    /// Where they are reached.
    pub email: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// A change of a user: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// See [`UserValues::name`].
    pub name: Option<String>,
    /// See [`UserValues::role`].
    pub role: Option<Role>,
}

impl User {
    /// A user from its row.
    pub(super) fn of(row: UserRow) -> Result<Self, CatalogError> {
        let state = match (row.removed_at, row.can_sign_in) {
            (Some(at), _) => UserState::Removed(at),
            (None, true) => UserState::Active,
            (None, false) => UserState::Invited,
        };
        Ok(Self {
            id: row.id,
            subscription: row.subscription,
            email: row.email,
            name: row.name,
            role: Role::from_name(&row.role).ok_or(CatalogError::Unreadable("users.role"))?,
            state,
            second_factor: row.has_second_factor,
            provider_subject: row.provider_subject,
            last_sign_in_at: row.last_sign_in_at,
            created_at: row.created_at,
        })
    }

    fn row(&self) -> UserRow {
        UserRow {
            id: self.id,
            subscription: self.subscription,
            email: self.email.clone(),
            name: self.name.clone(),
            role: self.role.name().to_owned(),
            can_sign_in: self.state == UserState::Active,
            provider_subject: self.provider_subject.clone(),
            has_second_factor: self.second_factor,
            last_sign_in_at: self.last_sign_in_at,
            removed_at: match self.state {
                UserState::Removed(at) => Some(at),
                _ => None,
            },
            created_at: self.created_at,
        }
    }

    /// Where mail for them goes.
    pub fn mailbox(&self) -> (SubscriptionId, &str) {
        (self.subscription, &self.email)
    }

    /// Whether they belong to their subscription still.
    pub fn is_member(&self) -> bool {
        !matches!(self.state, UserState::Removed(_))
    }

    fn is_active_admin(&self) -> bool {
        self.state == UserState::Active && self.role == Role::Admin
    }
}

impl Snapshot {
    /// A subscription's users, in any order, removed ones excepted.
    pub fn users_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &Arc<User>> {
        self.users.values().filter(move |user| user.subscription == subscription && user.is_member())
    }

    /// The user, if this subscription has them.
    pub fn user(&self, subscription: SubscriptionId, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id).filter(|user| user.subscription == subscription && user.is_member())
    }

    /// Whether this is the first admin who can sign in.
    fn is_first_admin(&self, user: &User) -> bool {
        user.role == Role::Admin && !self.users_of(user.subscription).any(|other| other.is_active_admin())
    }

    /// Whether nobody would be left to manage the subscription without this user.
    fn is_last_admin(&self, user: &User) -> bool {
        let other = |other: &&Arc<User>| other.id != user.id && other.is_active_admin();
        user.is_active_admin() && self.users_of(user.subscription).find(other).is_none()
    }
}

impl Catalog {
    /// A subscription's users, oldest first.
    pub fn users(&self, subscription: SubscriptionId) -> Vec<Arc<User>> {
        let mut users: Vec<_> = self.current().users_of(subscription).cloned().collect();
        users.sort_by_key(|user| (user.created_at, user.id));
        users
    }

    /// Invites somebody: they are mailed a link with which they choose their password.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn invite(
        self: &Arc<Self>,
        by: Actor,
        subscription: Arc<Subscription>,
        values: UserValues,
    ) -> Result<Arc<User>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.invite_now(&by, &subscription, values).await }).await
    }

    /// Mails an invitation again; the link of the one before it opens no more.
    ///
    /// # Errors
    /// [`ChangeError::NotInvited`] when the user has accepted it already.
    pub async fn invite_again(
        self: &Arc<Self>,
        by: Actor,
        subscription: Arc<Subscription>,
        id: UserId,
    ) -> Result<Arc<User>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.invite_again_now(&by, &subscription, id).await }).await
    }

    /// Changes a user's name or role. A role holds from their next call.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn patch_user(
        self: &Arc<Self>,
        by: Actor,
        (subscription, id): (SubscriptionId, UserId),
        patch: UserPatch,
    ) -> Result<Arc<User>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.patch_user_now(&by, (subscription, id), patch).await }).await
    }

    /// Removes a user: their sessions end at once. What they made stays, and names them as its owner.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn remove_user(
        self: &Arc<Self>,
        by: Actor,
        (subscription, id): (SubscriptionId, UserId),
    ) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.remove_user_now(&by, (subscription, id)).await }).await
    }

    async fn invite_now(
        &self,
        by: &Actor,
        subscription: &Subscription,
        values: UserValues,
    ) -> Result<Arc<User>, ChangeError> {
        let email = checked_email(&values.email)?;
        check_name(&values.name)?;
        let _changing = self.changes.lock().await;
        let current = self.current();
        let has = current.users_of(subscription.id).count();
        if has >= limits::USERS {
            return Err(ChangeError::TooMany(has));
        }
        // Somebody who was removed comes back as who they were, so that what they own is theirs again.
        let before = current.users.values().find(|user| user.subscription == subscription.id && user.email == email);
        if before.is_some_and(|user| user.is_member()) {
            return Err(ChangeError::EmailTaken);
        }
        let now = self.clock.now();
        let user = User {
            id: before.map_or_else(|| UserId(self.random.id()), |user| user.id),
            subscription: subscription.id,
            email,
            name: values.name,
            role: values.role,
            state: UserState::Invited,
            second_factor: false,
            provider_subject: None,
            last_sign_in_at: before.and_then(|user| user.last_sign_in_at),
            created_at: now,
        };
        let target = user.id.to_string();
        let deed = Deed { subscription: subscription.id, at: now, action: "user.invited", target: &target };
        let entry = deed.by(by, Map::new(), audit::user(&user));
        let (row, is_new) = (user.row(), before.is_none());
        let letter = self.invitation(by, subscription, &user);
        let change = move |connection: &Connection| {
            if is_new { row.insert(connection) } else { row.update(connection) }?;
            letter.put(connection)
        };
        self.write(Some(entry), change).await?;
        self.mail.note_queued();
        Ok(self.keep(user))
    }

    async fn invite_again_now(
        &self,
        by: &Actor,
        subscription: &Subscription,
        id: UserId,
    ) -> Result<Arc<User>, ChangeError> {
        let _changing = self.changes.lock().await;
        let user = Arc::clone(self.current().user(subscription.id, id).ok_or(ChangeError::NotFound)?);
        if user.state != UserState::Invited {
            return Err(ChangeError::NotInvited);
        }
        let (at, target) = (self.clock.now(), id.to_string());
        let deed = Deed { subscription: subscription.id, at, action: "user.invited", target: &target };
        let entry = deed.by(by, Map::new(), audit::user(&user));
        let letter = self.invitation(by, subscription, &user);
        self.write(Some(entry), move |connection| letter.put(connection)).await?;
        self.mail.note_queued();
        Ok(user)
    }

    async fn patch_user_now(
        &self,
        by: &Actor,
        (subscription, id): (SubscriptionId, UserId),
        patch: UserPatch,
    ) -> Result<Arc<User>, ChangeError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        let old = current.user(subscription, id).ok_or(ChangeError::NotFound)?;
        let mut user = User::clone(old);
        user.name = patch.name.unwrap_or(user.name);
        user.role = patch.role.unwrap_or(user.role);
        check_name(&user.name)?;
        if user.role != Role::Admin && current.is_last_admin(old) {
            return Err(ChangeError::LastAdmin);
        }
        let (mut before, mut after) = (audit::user(old), audit::user(&user));
        audit::drop_same(&mut before, &mut after);
        let deed = Deed { subscription, at: self.clock.now(), action: "user.changed", target: &id.to_string() };
        let entry = (!after.is_empty()).then(|| deed.by(by, before, after));
        let row = user.row();
        self.write(entry, move |connection| row.update(connection)).await?;
        Ok(self.keep(user))
    }

    async fn remove_user_now(
        &self,
        by: &Actor,
        (subscription, id): (SubscriptionId, UserId),
    ) -> Result<(), ChangeError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        let old = current.user(subscription, id).ok_or(ChangeError::NotFound)?;
        if current.is_last_admin(old) {
            return Err(ChangeError::LastAdmin);
        }
        let now = self.clock.now();
        let state = UserState::Removed(now);
        let user = User { state, second_factor: false, provider_subject: None, ..User::clone(old) };
        let deed = Deed { subscription, at: now, action: "user.removed", target: &id.to_string() };
        let entry = deed.by(by, audit::user(old), Map::new());
        let row = user.row();
        let change = move |connection: &Connection| {
            row.update(connection)?;
            Credentials::default().write(connection, id)?;
            set_recovery_codes(connection, id, &[])?;
            SessionRow::delete_of(connection, id, None)?;
            LinkRow::delete_of(connection, id, None)
        };
        self.write(Some(entry), change).await?;
        self.keep(user);
        Ok(())
    }

    fn invitation(&self, by: &Actor, subscription: &Subscription, user: &User) -> Posted {
        self.post(user, (LinkKind::Invitation, limits::INVITATION_TTL), None, |queue, token| {
            queue.write(user.mailbox(), Occasion::Invitation { by: by.face(), subscription: &subscription.name, token })
        })
    }

    /// Makes a link and the mail that carries it.
    fn post(
        &self,
        user: &User,
        (kind, ttl): (LinkKind, Duration),
        new_email: Option<&str>,
        write: impl FnOnce(&Queue, &str) -> MailRow,
    ) -> Posted {
        let (token, link) = self.link(user, (kind, ttl), new_email);
        Posted { link, mail: write(&self.mail, &token) }
    }

    /// Makes a link and its token.
    fn link(&self, user: &User, (kind, ttl): (LinkKind, Duration), new_email: Option<&str>) -> (String, LinkRow) {
        let (now, token) = (self.clock.now(), token("", &*self.random));
        let hash = hex_hash(token.as_bytes());
        let email = new_email.map(ToOwned::to_owned);
        (token, LinkRow { hash, kind, user: user.id, email, created_at: now, expires_at: now.after(ttl) })
    }

    /// Puts a changed user into the snapshot.
    fn keep(&self, user: User) -> Arc<User> {
        let user = Arc::new(user);
        self.replace(|snapshot| drop(snapshot.users.insert(user.id, Arc::clone(&user))));
        user
    }
}

/// A link and its mail, to be written together.
struct Posted {
    link: LinkRow,
    mail: MailRow,
}

impl Posted {
    fn put(&self, connection: &Connection) -> Result<(), StoreError> {
        self.link.replace(connection)?;
        Queue::put(connection, &self.mail)
    }
}

/// An address in the form in which it is kept.
fn kept_email(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The same, if it is an address.
fn checked_email(text: &str) -> Result<String, InvalidValue> {
    let email = kept_email(text);
    match email.parse::<lettre::Address>() {
        Ok(_) if email.len() <= 254 => Ok(email),
        _ => Err(InvalidValue::new("email", "must be an e-mail address, like ada@example.com")),
    }
}
