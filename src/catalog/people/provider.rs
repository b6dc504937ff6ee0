//! Signing in with the OpenID Connect provider. The first time somebody is known by the address that the provider
//! vouches for, from then on by who they are there, whatever happens to the address.

use super::{SecondFactor, SignInError, SignedIn, User, UserState, Visit, kept_email};
use crate::catalog::Catalog;
use crate::catalog::audit::fields;
use crate::model::SubscriptionId;
use crate::oidc::Identity;
use crate::store::StoreError;
use crate::store::configured::{self, LinkRow};
use crate::store::db::Connection;
use serde_json::json;
use std::sync::Arc;

impl Catalog {
    /// Signs in whoever the provider says it is. Somebody who was invited accepts the invitation by it.
    ///
    /// # Errors
    /// [`SignInError::NotInvited`]; [`SignInError::Choose`].
    pub async fn sign_in_with_provider(
        self: &Arc<Self>,
        identity: Identity,
        subscription: Option<SubscriptionId>,
        visit: Visit,
    ) -> Result<SignedIn, SignInError> {
        let catalog = Arc::clone(self);
        let signing_in = tokio::spawn(async move { catalog.provider_now(&identity, subscription, &visit).await });
        signing_in.await.unwrap_or_else(|_| Err(StoreError::Interrupted.into()))
    }

    /// What a browser keeps for us, so that it can neither read nor change it.
    pub fn seal_for_browser(&self, text: &str) -> String {
        self.key.seal(BROWSER, text.as_bytes(), &*self.random)
    }

    /// What it brings back.
    pub fn open_from_browser(&self, sealed: &str) -> Option<String> {
        let text = self.key.open(BROWSER, sealed).ok()?;
        String::from_utf8(text.expose().to_vec()).ok()
    }

    async fn provider_now(
        &self,
        identity: &Identity,
        subscription: Option<SubscriptionId>,
        visit: &Visit,
    ) -> Result<SignedIn, SignInError> {
        let _changing = self.changes.lock().await;
        let current = self.current();
        let may = |user: &&Arc<User>| {
            user.is_member() && subscription.is_none_or(|subscription| user.subscription == subscription)
        };
        let mut found: Vec<_> = current.users.values().filter(may).filter(|user| is(user, identity)).cloned().collect();
        if found.len() > 1 {
            let choice = found.iter().filter_map(|user| current.subscriptions.get(&user.subscription).cloned());
            return Err(SignInError::Choose(choice.collect()));
        }
        let user = found.pop().ok_or(SignInError::NotInvited)?;
        let user = if user.provider_subject.is_some() { user } else { self.tie(&user, identity, visit).await? };
        let (user, kept) = self.credentials_of(user).await?;
        self.open_session(user, visit, (SecondFactor::Provider, kept)).await
    }

    /// Ties a user to who they are at the provider. Call it with `changes` held.
    async fn tie(&self, user: &User, identity: &Identity, visit: &Visit) -> Result<Arc<User>, StoreError> {
        let is_invited = user.state == UserState::Invited;
        let is_first = is_invited && self.current().is_first_admin(user);
        let tied = User { provider_subject: Some(identity.subject.clone()), state: UserState::Active, ..user.clone() };
        let row = tied.row();
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            row.update(connection)?;
            if is_first {
                configured::give_to(connection, row.subscription, row.id)?;
            }
            LinkRow::delete_of(connection, row.id, None)
        };
        let action = if is_invited { "user.joined" } else { "user.changed" };
        let after = fields(json!({"provider": "tied"}));
        self.write(Some(self.session_entry(user, visit, action, after)), change).await?;
        if is_first {
            self.replace(|snapshot| snapshot.give_to(tied.subscription, tied.id));
        }
        Ok(self.keep(tied))
    }
}

/// What is sealed for browsers opens nowhere else.
const BROWSER: &str = "browser/sign-in";

/// Whether this user is who the provider means.
fn is(user: &User, identity: &Identity) -> bool {
    match (&user.provider_subject, &identity.verified_email) {
        (Some(subject), _) => *subject == identity.subject,
        (None, Some(email)) => kept_email(email) == user.email,
        (None, None) => false,
    }
}
