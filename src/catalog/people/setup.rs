//! The first admin: whoever has the link that `init` printed.

use super::{Session, SignedIn, User, UserState, Visit, checked_email, password};
use crate::catalog::audit::{self, Actor, Deed};
use crate::catalog::change::to_its_end;
use crate::catalog::init::SETUP_TOKEN;
use crate::catalog::name::check_name;
use crate::catalog::token::hex_hash;
use crate::catalog::{Catalog, ChangeError, Role};
use crate::model::{Secret, UserId};
use crate::store::StoreError;
use crate::store::configured::{self, Credentials};
use crate::store::db::Connection;
use serde_json::Map;
use std::sync::Arc;

/// The first admin.
#[derive(Debug, Clone)]
pub struct NewAdmin {
    /// The token of the set-up link.
    pub token: Secret,
    /// Where they are reached.
    pub email: String,
    /// For people.
    pub name: String,
    /// As typed.
    pub password: Secret,
}

impl Catalog {
    /// Makes the first admin and signs them in. The link works once; what `init`'s key has made is theirs.
    ///
    /// # Errors
    /// [`ChangeError::Link`] when the token is not that of the link, or the link was used.
    pub async fn set_up(self: &Arc<Self>, admin: NewAdmin, visit: Visit) -> Result<SignedIn, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.set_up_now(admin, &visit).await }).await
    }

    async fn set_up_now(&self, admin: NewAdmin, visit: &Visit) -> Result<SignedIn, ChangeError> {
        // The token goes first: nobody else learns anything here, or makes the server hash.
        let expected = self.store.call(|connection| configured::meta(connection, SETUP_TOKEN)).await?;
        let token = hex_hash(admin.token.expose());
        if expected.as_ref() != Some(&token) {
            return Err(ChangeError::Link);
        }
        let email = checked_email(&admin.email)?;
        check_name(&admin.name)?;
        password::check(&admin.password, &email)?;
        let password_hash = Some(self.passwords.hash(&admin.password, self.salt()).await?);

        let _changing = self.changes.lock().await;
        let subscription = self.store.call(|connection| configured::first_subscription(connection)).await?;
        let is_there = |user: &Arc<User>| user.subscription == subscription && user.email == email;
        if self.current().users.values().any(is_there) {
            return Err(ChangeError::EmailTaken);
        }
        let now = self.clock.now();
        let user = User {
            id: UserId(self.random.id()),
            subscription,
            email,
            name: admin.name,
            role: Role::Admin,
            state: UserState::Active,
            second_factor: false,
            provider_subject: None,
            last_sign_in_at: Some(now),
            created_at: now,
        };
        let actor = Actor::user(&user, visit.address);
        let deed = Deed { subscription, at: now, action: "user.created", target: &user.id.to_string() };
        let entries = [
            deed.by(&actor, Map::new(), audit::user(&user)),
            self.session_entry(&user, visit, "session.created", Map::new()),
        ];
        let (text, session) = self.new_session(&user, visit);
        let (row, session_row) = (user.row(), session.clone());
        let change = move |connection: &Connection| {
            if !configured::delete_meta(connection, SETUP_TOKEN, &token)? {
                return Err(ChangeError::Link);
            }
            row.insert(connection)?;
            row.update(connection)?;
            Credentials { password_hash, ..Credentials::default() }.write(connection, row.id)?;
            configured::give_to(connection, row.subscription, row.id)?;
            Ok(session_row.insert(connection)?)
        };
        self.write(entries, change).await?;
        let user = Arc::new(user);
        self.replace(|snapshot| {
            snapshot.users.insert(user.id, Arc::clone(&user));
            snapshot.give_to(subscription, user.id);
        });
        let (created_at, expires_at) = (session.created_at, session.expires_at);
        Ok(SignedIn { token: text, session: Session { user, hash: session.hash, created_at, expires_at } })
    }

    /// Whether the set-up link has not been used yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn needs_set_up(&self) -> Result<bool, StoreError> {
        self.store.call(|connection| Ok(configured::meta(connection, SETUP_TOKEN)?.is_some())).await
    }

    pub(super) fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        salt
    }
}
