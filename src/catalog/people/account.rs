//! What people do for themselves: accept an invitation, change or reset the password, change the e-mail address.

use super::{SecondFactor, Session, SignedIn, User, UserState, Visit, checked_email, kept_email, password};
use crate::catalog::audit::{self, Actor, Deed, fields};
use crate::catalog::change::to_its_end;
use crate::catalog::name::check_name;
use crate::catalog::token::hex_hash;
use crate::catalog::{Catalog, ChangeError, SignInError};
use crate::limits;
use crate::mail::{Occasion, Queue};
use crate::model::{Secret, UserId};
use crate::store::StoreError;
use crate::store::configured::{self, Credentials, LinkKind, LinkRow, SessionRow, set_recovery_codes};
use crate::store::db::Connection;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;

/// Between two mails to the same person about a forgotten password.
const RESET_EVERY: Duration = Duration::from_secs(60);

/// By what somebody may set another password.
enum Proof {
    /// By the old password, in the session with this hash.
    Session(String),
    /// By a mailed link.
    Link(LinkRow),
}

impl Catalog {
    /// Accepts an invitation: sets the password (and another name, if given) and signs in.
    ///
    /// # Errors
    /// [`ChangeError::Link`] when the link is not known, was used, or is too old.
    pub async fn accept_invitation(
        self: &Arc<Self>,
        token: Secret,
        (name, password): (Option<String>, Secret),
        visit: Visit,
    ) -> Result<SignedIn, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.accept_now(&token, (name, password), &visit).await }).await
    }

    /// Mails a link for another password to everybody with this address. Says nothing about whether there is anybody.
    ///
    /// # Errors
    /// [`ChangeError::Store`].
    pub async fn forgot_password(self: &Arc<Self>, email: &str) -> Result<(), ChangeError> {
        let (catalog, email) = (Arc::clone(self), kept_email(email));
        to_its_end(async move { catalog.forgot_now(&email).await }).await
    }

    /// Makes a link for the operator to pass on: to somebody's invitation, or to another password. One that was mailed
    /// opens too, until either is used.
    ///
    /// # Errors
    /// [`ChangeError::NotFound`].
    pub async fn link_for(
        self: &Arc<Self>,
        by: Actor,
        id: UserId,
        drop_second_factor: bool,
    ) -> Result<String, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.link_now(&by, id, drop_second_factor).await }).await
    }

    /// Sets another password by a mailed link. All sessions end.
    ///
    /// # Errors
    /// [`ChangeError::Link`] as with [`Self::accept_invitation`].
    pub async fn reset_password(self: &Arc<Self>, token: Secret, new: Secret, visit: Visit) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let (user, link) = catalog.user_of_link(LinkKind::PasswordReset, &token).await?;
            catalog.set_password(&user, &visit, new, Proof::Link(link)).await
        })
        .await
    }

    /// Sets another password by the old one. All other sessions end.
    ///
    /// # Errors
    /// [`ChangeError::WrongPassword`].
    pub async fn change_password(
        self: &Arc<Self>,
        session: Session,
        (old, new): (Secret, Secret),
        visit: Visit,
    ) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let (user, _) = catalog.verified(session.user, &old).await?;
            catalog.set_password(&user, &visit, new, Proof::Session(session.hash)).await
        })
        .await
    }

    /// Mails a link to a new address, which becomes theirs when they follow it.
    ///
    /// # Errors
    /// [`ChangeError::WrongPassword`]; [`ChangeError::EmailTaken`].
    pub async fn change_email(
        self: &Arc<Self>,
        session: &Session,
        (password, email): (Secret, String),
    ) -> Result<(), ChangeError> {
        let (catalog, user) = (Arc::clone(self), Arc::clone(&session.user));
        to_its_end(async move {
            let email = checked_email(&email)?;
            let (user, _) = catalog.verified(user, &password).await?;
            let _changing = catalog.changes.lock().await;
            catalog.check_free(&user, &email)?;
            let posted =
                catalog.post(&user, (LinkKind::EmailChange, limits::EMAIL_CHANGE_TTL), Some(&email), |queue, token| {
                    queue.write((user.subscription, &email), Occasion::EmailChange { token })
                });
            catalog.write(None, move |connection| posted.put(connection)).await?;
            catalog.mail.note_queued();
            Ok(())
        })
        .await
    }

    /// Makes the new address theirs, by the link that was mailed to it. The old one is told.
    ///
    /// # Errors
    /// [`ChangeError::Link`] as with [`Self::accept_invitation`]; [`ChangeError::EmailTaken`].
    pub async fn confirm_email(self: &Arc<Self>, token: Secret, visit: Visit) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let (old, link) = catalog.user_of_link(LinkKind::EmailChange, &token).await?;
            let email = link.email.ok_or(StoreError::Unreadable("links.email"))?;
            let _changing = catalog.changes.lock().await;
            catalog.check_free(&old, &email)?;
            let user = User { email, ..User::clone(&old) };
            let (mut before, mut after) = (audit::user(&old), audit::user(&user));
            audit::drop_same(&mut before, &mut after);
            let (at, target) = (catalog.clock.now(), user.id.to_string());
            let deed = Deed { subscription: user.subscription, at, action: "user.changed", target: &target };
            let entry = deed.by(&Actor::user(&old, visit.address), before, after);
            let mail = catalog.mail.write(old.mailbox(), Occasion::EmailChanged { to: &user.email });
            let row = user.row();
            let change = move |connection: &Connection| -> Result<(), StoreError> {
                row.update(connection)?;
                LinkRow::delete_of(connection, row.id, Some(LinkKind::EmailChange))?;
                Queue::put(connection, &mail)
            };
            catalog.write(Some(entry), change).await?;
            catalog.mail.note_queued();
            catalog.keep(user);
            Ok(())
        })
        .await
    }

    async fn accept_now(
        &self,
        token: &Secret,
        (name, password): (Option<String>, Secret),
        visit: &Visit,
    ) -> Result<SignedIn, ChangeError> {
        let invited = self.user_of_link(LinkKind::Invitation, token).await?.0;
        let name = name.unwrap_or_else(|| invited.name.clone());
        check_name(&name)?;
        password::check(&password, &invited.email)?;
        let password_hash = Some(self.passwords.hash(&password, self.salt()).await?);
        let _changing = self.changes.lock().await;
        // Another browser may have followed the same link meanwhile.
        let invited = self.user_of_link(LinkKind::Invitation, token).await?.0;
        let user = User { name, state: UserState::Active, ..User::clone(&invited) };
        let kept = Credentials { password_hash, ..Credentials::default() };
        let is_first = self.current().is_first_admin(&user);
        let (row, written) = (user.row(), kept.clone());
        let target = user.id.to_string();
        let deed =
            Deed { subscription: user.subscription, at: self.clock.now(), action: "user.joined", target: &target };
        let entry = deed.by(&Actor::user(&user, visit.address), Map::new(), audit::user(&user));
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            row.update(connection)?;
            written.write(connection, row.id)?;
            if is_first {
                configured::give_to(connection, row.subscription, row.id)?;
            }
            LinkRow::delete_of(connection, row.id, None)
        };
        self.write(Some(entry), change).await?;
        if is_first {
            self.replace(|snapshot| snapshot.give_to(user.subscription, user.id));
        }
        let user = self.keep(user);
        self.open_session(user, visit, (SecondFactor::None, kept)).await.map_err(|error| match error {
            SignInError::Catalog(error) => ChangeError::Catalog(error),
            _ => ChangeError::Link,
        })
    }

    async fn link_now(&self, by: &Actor, id: UserId, drop_second_factor: bool) -> Result<String, ChangeError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        let user = current.users.get(&id).filter(|user| user.is_member()).ok_or(ChangeError::NotFound)?;
        let (kind, ttl, page) = match user.state {
            UserState::Invited => (LinkKind::Invitation, limits::INVITATION_TTL, "invitation"),
            _ => (LinkKind::PasswordReset, limits::PASSWORD_RESET_TTL, "password-reset"),
        };
        let (token, link) = self.link(user, (kind, ttl), None);
        let mut after = fields(json!({"link": kind.name()}));
        let drop_second_factor = drop_second_factor && user.second_factor;
        if drop_second_factor {
            after.insert(String::from("second_factor"), json!(false));
        }
        let (at, target) = (self.clock.now(), id.to_string());
        let deed = Deed { subscription: user.subscription, at, action: "user.link_made", target: &target };
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            link.insert(connection)?;
            if drop_second_factor {
                let password_hash = Credentials::of(connection, id)?.password_hash;
                Credentials { password_hash, ..Credentials::default() }.write(connection, id)?;
                set_recovery_codes(connection, id, &[])?;
            }
            Ok(())
        };
        self.write(Some(deed.by(by, Map::new(), after)), change).await?;
        if drop_second_factor {
            self.keep(User { second_factor: false, ..User::clone(user) });
        }
        Ok(self.mail.letters().link(page, &token))
    }

    async fn forgot_now(&self, email: &str) -> Result<(), ChangeError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        let is_meant = |user: &&Arc<User>| user.email == email && user.state == UserState::Active;
        for user in current.users.values().filter(is_meant) {
            let (id, since) = (user.id, self.clock.now().before(RESET_EVERY));
            let asked_just_now = move |connection: &mut Connection| -> Result<bool, StoreError> {
                LinkRow::made_since(connection, id, LinkKind::PasswordReset, since)
            };
            if self.store.call(asked_just_now).await? {
                continue;
            }
            let posted =
                self.post(user, (LinkKind::PasswordReset, limits::PASSWORD_RESET_TTL), None, |queue, token| {
                    queue.write(user.mailbox(), Occasion::PasswordReset { token })
                });
            self.write(None, move |connection| posted.put(connection)).await?;
            self.mail.note_queued();
        }
        Ok(())
    }

    async fn set_password(&self, user: &User, visit: &Visit, new: Secret, proof: Proof) -> Result<(), ChangeError> {
        password::check(&new, &user.email)?;
        let hash = self.passwords.hash(&new, self.salt()).await?;
        let _changing = self.changes.lock().await;
        let after = fields(json!({"password": "changed"}));
        let entry = self.session_entry(user, visit, "user.changed", after);
        let mail = self.mail.write(user.mailbox(), Occasion::PasswordChanged);
        let id = user.id;
        let change = move |connection: &Connection| {
            let session = match &proof {
                Proof::Session(hash) => Some(hash.as_str()),
                // A link that was used meanwhile opens nothing.
                Proof::Link(link) if LinkRow::find(connection, link.kind, &link.hash)?.is_none() => {
                    return Err(ChangeError::Link);
                }
                Proof::Link(_) => None,
            };
            let kept = Credentials::of(connection, id)?;
            Credentials { password_hash: Some(hash), ..kept }.write(connection, id)?;
            LinkRow::delete_of(connection, id, Some(LinkKind::PasswordReset))?;
            SessionRow::delete_of(connection, id, session)?;
            Ok(Queue::put(connection, &mail)?)
        };
        self.write(Some(entry), change).await?;
        self.mail.note_queued();
        Ok(())
    }

    /// Somebody who has shown their password again, and what they sign in with.
    pub(super) async fn verified(
        &self,
        user: Arc<User>,
        password: &Secret,
    ) -> Result<(Arc<User>, Credentials), ChangeError> {
        let (user, kept) = self.credentials_of(user).await?;
        let is_right = self.passwords.verify(password, kept.password_hash.as_deref()).await;
        if is_right { Ok((user, kept)) } else { Err(ChangeError::WrongPassword) }
    }

    /// Whose link this is, while it opens.
    async fn user_of_link(&self, kind: LinkKind, token: &Secret) -> Result<(Arc<User>, LinkRow), ChangeError> {
        let hash = hex_hash(token.expose());
        let link = self.store.call(move |connection| LinkRow::find(connection, kind, &hash)).await?;
        let link = link.filter(|link| self.clock.now() < link.expires_at).ok_or(ChangeError::Link)?;
        let user = self.current().users.get(&link.user).filter(|user| user.is_member()).cloned();
        Ok((user.ok_or(ChangeError::Link)?, link))
    }

    fn check_free(&self, user: &User, email: &str) -> Result<(), ChangeError> {
        let current = self.current();
        let is_other = |other: &Arc<User>| other.subscription == user.subscription && other.id != user.id;
        let taken = current.users.values().any(|other| is_other(other) && other.email == email);
        if taken { Err(ChangeError::EmailTaken) } else { Ok(()) }
    }
}
