//! Every path of the management API, in one place, and how an id is taken out of one.

use super::problem::ApiError;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

/// Webhooks: create, list.
pub const WEBHOOKS: &str = "/api/v1/webhooks";
/// Test values that are not saved.
pub const WEBHOOKS_TEST: &str = "/api/v1/webhooks/test";
/// Try a filter that is not saved.
pub const WEBHOOKS_TRY_FILTER: &str = "/api/v1/webhooks/try-filter";
/// What a format makes of an event.
pub const WEBHOOKS_TRY_FORMAT: &str = "/api/v1/webhooks/try-format";
/// One webhook: read, edit, delete.
pub const WEBHOOK: &str = "/api/v1/webhooks/{id}";
/// Turn on what Fanfare has turned off.
pub const WEBHOOK_TURN_ON: &str = "/api/v1/webhooks/{id}/turn-on";
/// A new signing key.
pub const WEBHOOK_ROTATE_SIGNING_KEY: &str = "/api/v1/webhooks/{id}/signing-key/rotate";
/// Test a stored webhook.
pub const WEBHOOK_TEST: &str = "/api/v1/webhooks/{id}/test";
/// A webhook's deliveries.
pub const WEBHOOK_DELIVERIES: &str = "/api/v1/webhooks/{id}/deliveries";
/// How a webhook did, step by step.
pub const WEBHOOK_FIGURES: &str = "/api/v1/webhooks/{id}/figures";
/// A webhook's deliveries as they happen.
pub const WEBHOOK_DELIVERIES_LIVE: &str = "/api/v1/webhooks/{id}/deliveries/live";
/// A webhook's deliveries with all attempts, as a download.
pub const WEBHOOK_LOG: &str = "/api/v1/webhooks/{id}/log.json";
/// A webhook's replays: ask for one, list, cancel all.
pub const WEBHOOK_REPLAYS: &str = "/api/v1/webhooks/{id}/replays";
/// One replay: read, cancel.
pub const WEBHOOK_REPLAY: &str = "/api/v1/webhooks/{id}/replays/{replay}";
/// What a webhook has missed.
pub const WEBHOOK_MISSED: &str = "/api/v1/webhooks/{id}/missed";
/// One delivery with its attempts.
pub const DELIVERY: &str = "/api/v1/deliveries/{id}";
/// One delivery as text.
pub const DELIVERY_TEXT: &str = "/api/v1/deliveries/{id}/text";
/// Send a delivery's event once more.
pub const REDELIVER: &str = "/api/v1/deliveries/{id}/redeliver";
/// Failed attempts.
pub const ERROR_LOG: &str = "/api/v1/error-log";
/// The error log as a download.
pub const ERROR_LOG_EXPORT: &str = "/api/v1/error-log.json";
/// Accepted events.
pub const EVENTS: &str = "/api/v1/events";
/// One event.
pub const EVENT: &str = "/api/v1/events/{id}";
/// Why an event was pushed, or was not.
pub const EVENT_EXPLAIN: &str = "/api/v1/events/{id}/explain";
/// What has arrived at the inspector.
pub const INSPECTOR: &str = "/api/v1/inspector";
/// The outbox.
pub const MAILS: &str = "/api/v1/mails";
/// Send a mail now that waits or was given up.
pub const MAIL_TRY_AGAIN: &str = "/api/v1/mails/{id}/try-again";
/// Visitors.
pub const VISITORS: &str = "/api/v1/visitors";
/// Accounts.
pub const ACCOUNTS: &str = "/api/v1/accounts";
/// One visitor.
pub const VISITOR: &str = "/api/v1/visitors/{id}";
/// One account.
pub const ACCOUNT: &str = "/api/v1/accounts/{id}";
/// Values of many visitors or accounts.
pub const METADATA: &str = "/api/v1/metadata/{kind}/{group}/value";
/// One value.
pub const METADATA_VALUE: &str = "/api/v1/metadata/{kind}/{group}/value/{id}/{field}";
/// What all of these begin with.
pub const METADATA_PREFIX: &str = "/api/v1/metadata/";
/// Apps: make, list.
pub const APPS: &str = "/api/v1/apps";
/// One app: read, edit.
pub const APP: &str = "/api/v1/apps/{id}";
/// A new agent key.
pub const APP_ROTATE_AGENT_KEY: &str = "/api/v1/apps/{id}/rotate-agent-key";
/// A new track secret.
pub const APP_ROTATE_TRACK_SECRET: &str = "/api/v1/apps/{id}/rotate-track-secret";
/// Integration keys: make, list.
pub const KEYS: &str = "/api/v1/keys";
/// One key: read, revoke.
pub const KEY: &str = "/api/v1/keys/{id}";
/// Exclusions: make, list.
pub const EXCLUSIONS: &str = "/api/v1/exclusions";
/// All of them as CSV: download, import.
pub const EXCLUSIONS_CSV: &str = "/api/v1/exclusions.csv";
/// One exclusion: read, delete.
pub const EXCLUSION: &str = "/api/v1/exclusions/{id}";
/// Whose data is not processed: say so of somebody, list.
pub const DO_NOT_PROCESS: &str = "/api/v1/do-not-process";
/// One such rule: delete.
pub const DO_NOT_PROCESS_RULE: &str = "/api/v1/do-not-process/{id}";
/// Forget a visitor.
pub const VISITOR_FORGET: &str = "/api/v1/visitors/{id}/forget";
/// Forget an account.
pub const ACCOUNT_FORGET: &str = "/api/v1/accounts/{id}/forget";
/// The jobs that forget somebody.
pub const FORGET_JOBS: &str = "/api/v1/forget-jobs";
/// One such job.
pub const FORGET_JOB: &str = "/api/v1/forget-jobs/{id}";
/// Guides: make, list.
pub const GUIDES: &str = "/api/v1/guides";
/// One guide: read, edit.
pub const GUIDE: &str = "/api/v1/guides/{id}";
/// Show a guide from now on.
pub const GUIDE_PUBLISH: &str = "/api/v1/guides/{id}/publish";
/// Show it no longer.
pub const GUIDE_ARCHIVE: &str = "/api/v1/guides/{id}/archive";
/// Let visitors see it again.
pub const GUIDE_RESET: &str = "/api/v1/guides/{id}/reset";
/// Users: invite, list.
pub const USERS: &str = "/api/v1/users";
/// One user: read, change, remove.
pub const USER: &str = "/api/v1/users/{id}";
/// Mail an invitation again.
pub const USER_INVITE: &str = "/api/v1/users/{id}/invite";
/// The caller's session: sign in, who am I, sign out.
pub const SESSION: &str = "/api/v1/session";
/// Another password.
pub const SESSION_PASSWORD: &str = "/api/v1/session/password";
/// Another e-mail address.
pub const SESSION_EMAIL: &str = "/api/v1/session/email";
/// The second factor.
pub const SESSION_SECOND_FACTOR: &str = "/api/v1/session/second-factor";
/// How people may sign in.
pub const SIGN_IN_METHODS: &str = "/api/v1/sign-in-methods";
/// Away to the sign-in provider.
pub const SESSION_PROVIDER: &str = "/api/v1/session/provider";
/// Back from it.
pub const SESSION_PROVIDER_CALLBACK: &str = "/api/v1/session/provider/callback";
/// All of the caller's sessions.
pub const SESSIONS: &str = "/api/v1/sessions";
/// The first admin.
pub const SET_UP: &str = "/api/v1/set-up";
/// An invitation that is accepted.
pub const INVITATION: &str = "/api/v1/invitation";
/// A password that was forgotten.
pub const PASSWORD_RESET: &str = "/api/v1/password-reset";
/// An e-mail address that is confirmed.
pub const EMAIL_CHANGE: &str = "/api/v1/email-change";
/// Who changed what.
pub const AUDIT_LOG: &str = "/api/v1/audit-log";
/// Who changed what, all of it.
pub const AUDIT_LOG_EXPORT: &str = "/api/v1/audit-log.json";
/// The OpenAPI document. Public: it holds nothing that the source does not.
pub const OPENAPI: &str = "/api/openapi.json";
/// Everything else below `/api`.
pub const ELSEWHERE: &str = "/api/{*rest}";

/// The path's `{id}`, not yet parsed.
#[derive(Debug)]
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // What cannot even be decoded is the id of nothing.
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| ApiError::NoRoute)
    }
}

/// The path's `{id}` and `{replay}`, not yet parsed.
#[derive(Debug)]
pub struct ReplayIds(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for ReplayIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = Path::<(String, String)>::from_request_parts(parts, state).await;
        ids.map(|Path((id, replay))| Self(id, replay)).map_err(|_| ApiError::NoRoute)
    }
}
