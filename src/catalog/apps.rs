//! Apps: made, changed, their keys rotated with an overlap.

use super::audit::{self, Actor, Deed};
use super::change::to_its_end;
use super::name::check_name;
use super::token::{hash, token};
use super::{App, Catalog, ChangeError, InvalidValue, Subscription};
use crate::limits;
use crate::model::{AppId, Platform, SubscriptionId};
use crate::store::configured::AppRow;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;

/// App ids beyond the first are positive and exact in every JSON reader.
const APP_IDS: u64 = 1 << 53;

/// What a person sets of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppValues {
    /// Shown in every body.
    pub name: String,
    /// web, ios or android.
    pub platform: Platform,
    /// Origins from which its agent may send.
    pub origins: Vec<String>,
    /// Whether nothing is taken from browsers that ask not to be tracked.
    pub respects_do_not_track: bool,
}

/// A change of an app: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppPatch {
    /// See [`AppValues::name`].
    pub name: Option<String>,
    /// See [`AppValues::origins`].
    pub origins: Option<Vec<String>>,
    /// See [`AppValues::respects_do_not_track`].
    pub respects_do_not_track: Option<bool>,
    /// Makes a new agent key; the old one opens for that long yet.
    pub rotate_agent_key: Option<Duration>,
    /// Makes a new track secret; the old one opens for that long yet.
    pub rotate_track_secret: Option<Duration>,
}

/// An app that was just made or changed.
pub struct MadeApp {
    /// The app.
    pub app: Arc<App>,
    /// Its track secret, if this made one: the only time that it can be read.
    pub track_secret: Option<String>,
}

impl std::fmt::Debug for MadeApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeApp").field("app", &self.app).finish_non_exhaustive()
    }
}

impl AppValues {
    fn check(&self) -> Result<(), InvalidValue> {
        check_name(&self.name)?;
        if self.origins.len() > limits::APP_ORIGINS {
            return Err(InvalidValue::new("origins", format!("must not be more than {}", limits::APP_ORIGINS)));
        }
        self.origins.iter().try_for_each(|origin| check_origin(origin))
    }
}

/// An origin as browsers send it: scheme, host, and a port where it is not the scheme's own.
fn check_origin(origin: &str) -> Result<(), InvalidValue> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    if rest.is_some_and(|rest| !rest.is_empty() && rest.len() <= 255 && rest.bytes().all(allowed)) {
        return Ok(());
    }
    let problem = format!("{origin:?} is not an origin: write scheme and host only, like https://app.example.com");
    Err(InvalidValue::new("origins", problem))
}

/// An app from its row.
pub(super) fn of_row(subscription: Arc<Subscription>, row: AppRow) -> App {
    App {
        subscription,
        id: row.id,
        name: row.name,
        platform: row.platform,
        origins: row.origins,
        respects_do_not_track: row.respects_do_not_track,
        agent_key: row.agent_key,
        old_agent_key: row.old_agent_key,
        track_secret_hash: row.track_secret_hash,
        old_track_secret: row.old_track_secret,
        created_at: row.created_at,
    }
}

fn row(app: &App) -> AppRow {
    AppRow {
        subscription: app.subscription.id,
        id: app.id,
        name: app.name.clone(),
        platform: app.platform,
        origins: app.origins.clone(),
        respects_do_not_track: app.respects_do_not_track,
        agent_key: app.agent_key.clone(),
        old_agent_key: app.old_agent_key.clone(),
        track_secret_hash: app.track_secret_hash,
        old_track_secret: app.old_track_secret,
        created_at: app.created_at,
    }
}

/// What a person has set of an app.
fn values(app: &App) -> AppValues {
    let App { name, platform, origins, respects_do_not_track, .. } = app.clone();
    AppValues { name, platform, origins, respects_do_not_track }
}

impl Catalog {
    /// A subscription's apps, oldest first.
    pub fn apps(&self, subscription: SubscriptionId) -> Vec<Arc<App>> {
        let mut apps: Vec<_> = self.current().apps_of(subscription).cloned().collect();
        apps.sort_by_key(|app| (app.created_at, app.id));
        apps
    }

    /// Makes an app, with an agent key and a track secret.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn make_app(
        self: &Arc<Self>,
        by: Actor,
        subscription: Arc<Subscription>,
        values: AppValues,
    ) -> Result<MadeApp, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.make_app_now(&by, subscription, values).await }).await
    }

    /// Changes an app, or rotates its keys.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn patch_app(
        self: &Arc<Self>,
        by: Actor,
        (subscription, id): (SubscriptionId, AppId),
        patch: AppPatch,
    ) -> Result<MadeApp, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.patch_app_now(&by, (subscription, id), patch).await }).await
    }

    async fn make_app_now(
        &self,
        by: &Actor,
        subscription: Arc<Subscription>,
        values: AppValues,
    ) -> Result<MadeApp, ChangeError> {
        values.check()?;
        let _changing = self.changes.lock().await;
        let has = self.current().apps_of(subscription.id).count();
        if has >= limits::APPS {
            return Err(ChangeError::TooMany(has));
        }
        let track_secret = token("ff_track_", &*self.random);
        let AppValues { name, platform, origins, respects_do_not_track } = values;
        let app = App {
            subscription,
            id: AppId((self.random.id() % APP_IDS) as i64),
            name,
            platform,
            origins,
            respects_do_not_track,
            agent_key: token("ff_agent_", &*self.random),
            old_agent_key: None,
            track_secret_hash: hash(track_secret.as_bytes()),
            old_track_secret: None,
            created_at: self.clock.now(),
        };
        let (subscription, at, target) = (app.subscription.id, app.created_at, app.id.0.to_string());
        let deed = Deed { subscription, at, action: "app.created", target: &target };
        let entry = deed.by(by, Map::new(), audit::app(&app));
        let row = row(&app);
        self.write(Some(entry), move |connection| row.insert(connection)).await?;
        self.replace(|snapshot| snapshot.insert_app(app.clone()));
        Ok(MadeApp { app: Arc::new(app), track_secret: Some(track_secret) })
    }

    async fn patch_app_now(
        &self,
        by: &Actor,
        (subscription, id): (SubscriptionId, AppId),
        patch: AppPatch,
    ) -> Result<MadeApp, ChangeError> {
        let _changing = self.changes.lock().await;
        let old = self.current().apps.get(&(subscription, id)).cloned().ok_or(ChangeError::NotFound)?;
        let (mut app, now) = (App::clone(&old), self.clock.now());
        app.name = patch.name.unwrap_or(app.name);
        app.origins = patch.origins.unwrap_or(app.origins);
        app.respects_do_not_track = patch.respects_do_not_track.unwrap_or(app.respects_do_not_track);
        values(&app).check()?;
        if let Some(overlap) = patch.rotate_agent_key {
            let new = token("ff_agent_", &*self.random);
            app.old_agent_key = Some((std::mem::replace(&mut app.agent_key, new), now.after(overlap)));
        }
        let track_secret = patch.rotate_track_secret.map(|_| token("ff_track_", &*self.random));
        if let (Some(overlap), Some(secret)) = (patch.rotate_track_secret, &track_secret) {
            app.old_track_secret = Some((app.track_secret_hash, now.after(overlap)));
            app.track_secret_hash = hash(secret.as_bytes());
        }
        let (mut before, mut after) = (audit::app(&old), audit::app(&app));
        audit::drop_same(&mut before, &mut after);
        if track_secret.is_some() {
            before.insert(String::from("track_secret"), json!("set"));
            after.insert(String::from("track_secret"), json!("changed"));
        }
        let deed = Deed { subscription, at: now, action: "app.changed", target: &id.0.to_string() };
        let entry = (!after.is_empty()).then(|| deed.by(by, before, after));
        let row = row(&app);
        self.write(entry, move |connection| row.update(connection)).await?;
        self.replace(|snapshot| snapshot.insert_app(app.clone()));
        Ok(MadeApp { app: Arc::new(app), track_secret })
    }
}
