//! Every way in which a call can fail, and how it is told: `application/problem+json` (RFC 9457).

use crate::catalog::{ChangeError, InvalidValue, SignInError, Subscription};
use crate::journal::AppendError;
use crate::model::{WebhookId, is_out_of_reach, with_causes};
use crate::record::RecordError;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Documented, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No credential.
    #[error(
        "a credential is missing: send Authorization: Bearer <key>, or the header x-pendo-integration-key, or sign in \
         with POST /api/v1/session"
    )]
    NoKey,
    /// The cookie's session has ended.
    #[error("the session has ended: sign in again")]
    SessionEnded,
    /// A call that changes something, with a cookie but without proof that our own page sent it.
    #[error("with a session, calls other than GET need the header X-CSRF-Token: GET /api/v1/session says its value")]
    Csrf,
    /// A call about one's own account, with a key.
    #[error("this call is about one's own account: it takes a session, not a key")]
    NoSession,
    /// No such account, or not this password.
    #[error("the e-mail address or the password is wrong")]
    WrongSignIn,
    /// The second factor is missing.
    #[error("the password is right; send also `code`, from the authenticator app, or a recovery code")]
    CodeNeeded,
    /// The second factor is wrong.
    #[error("the code is wrong, or was used already")]
    WrongCode,
    /// The account belongs to several subscriptions.
    #[error("this account belongs to several subscriptions: send also `subscription_id`, one of those listed")]
    Choose(Vec<SubscriptionJson>),
    /// The provider knows somebody whom nobody here has invited.
    #[error("nobody here was invited under the address that the sign-in provider gives, or it does not vouch for it")]
    NobodyInvited,
    /// There is no provider.
    #[error("this installation has no sign-in provider: sign in with a password")]
    NoProvider,
    /// The provider fails, or refuses.
    #[error("{0}")]
    Provider(String),
    /// The browser did not begin what it wants to end.
    #[error("this sign-in was not begun in this browser, or too long ago: begin again")]
    NotPending,
    /// Too many passwords, codes or links were tried.
    #[error("too many tries for this account or from this address")]
    TooManyTries(Duration),
    /// A link from a mail, or the set-up link.
    #[error("the link is not known, was used, or is too old: ask for another one")]
    LinkEnded,
    /// Another user has the address.
    #[error("another user of the subscription has this e-mail address")]
    EmailTaken,
    /// The last admin.
    #[error("this is the subscription's last admin: make another user an admin first")]
    LastAdmin,
    /// The last subscription.
    #[error("this is the installation's last subscription: make another one first")]
    LastSubscription,
    /// Somebody changed it at the same time.
    #[error("it was changed at the same time: try again")]
    Busy,
    /// A call that only the operator's command line may make.
    #[error("this call is made by `fanfare operator`, on the machine and with the master key of this installation")]
    NotOperator,
    /// An invitation that was accepted.
    #[error("the user has accepted the invitation already")]
    NotInvited,
    /// A second factor is in force.
    #[error("the second factor is on already: turn it off first")]
    SecondFactorOn,
    /// The subscription has all the users that it may have.
    #[error("the subscription has {0} users, and may not have more")]
    TooManyUsers(usize),
    /// A key that nobody has.
    #[error("this key is not known")]
    WrongKey,
    /// Too many of them from one address.
    #[error("too many wrong keys have come from this address")]
    TooManyWrongKeys(Duration),
    /// A valid key's rate.
    #[error("this key makes more calls than it may")]
    TooManyCalls(Duration),
    /// The role does not allow it.
    #[error("only an admin may do this; your role is member")]
    Forbidden,
    /// No such thing in the caller's subscription.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// No such path.
    #[error("there is nothing at this path; GET /api/openapi.json lists what there is")]
    NoRoute,
    /// The path exists, with other methods.
    #[error("this path does not take this method; the Allow header lists those that it takes")]
    Method,
    /// The body is not JSON by its own account.
    #[error("the body must be JSON: send Content-Type: application/json")]
    ContentType,
    /// The body is not CSV by its own account.
    #[error("the body must be CSV: send Content-Type: text/csv")]
    NotCsv,
    /// The rule is there already.
    #[error("there is such an exclusion already")]
    SameExclusion,
    /// The subscription has all the exclusions that it may have.
    #[error("a subscription has at most {0} exclusions: one with a * can take the place of many")]
    TooManyExclusions(usize),
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// A batch took longer than it may.
    #[error(
        "the batch took too long: {0} of its rows were set for certain, each of them whole. Send it again, in smaller \
         parts: to set a value twice changes nothing"
    )]
    TooSlow(usize),
    /// The body is not a JSON object.
    #[error("the body cannot be read: {0}")]
    Unreadable(String),
    /// The query string is wrong.
    #[error("{0}")]
    Query(String),
    /// A field of the body is unknown or wrong.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The webhook was turned off by Fanfare.
    #[error(
        "the webhook was turned off after repeated failures, and setting enabled does not lead out of that: review its \
         log, then turn it on with POST /api/v1/webhooks/{0}/turn-on"
    )]
    TurnedOff(WebhookId),
    /// Nothing to turn on in this way.
    #[error("the webhook was not turned off by Fanfare: switch it on with PATCH and {{\"enabled\":true}}")]
    NotTurnedOff,
    /// No error of late that an admin could have reviewed.
    #[error(
        "the webhook's last error is more than {0} days ago, so there is no log to review: ask whoever runs this \
         installation for `fanfare operator webhooks turn-on`"
    )]
    OperatorNeeded(u64),
    /// Nothing can be sent to a webhook that is off.
    #[error("the webhook is off: turn it on, then redeliver")]
    WebhookOff,
    /// A replay to a webhook that is off must be forced.
    #[error("the webhook is off: turn it on first, or send it all the same with {{\"force\":true}}")]
    ReplayOff,
    /// It has ended.
    #[error("the replay is over")]
    ReplayOver,
    /// The subscription has all the replays at work that it may have.
    #[error("{0} replays are under way already: wait until some are done, or cancel them")]
    TooManyReplays(usize),
    /// The webhook of a delivery was deleted.
    #[error("the delivery's webhook was deleted, so nothing can be sent to it")]
    WebhookGone,
    /// The event has left the journal.
    #[error("the delivery's event is no longer kept, so it cannot be sent again")]
    EventGone,
    /// The subscription has all the webhooks that it may have.
    #[error("the subscription has {0} webhooks, and may not have more")]
    TooManyWebhooks(usize),
    /// The key's time is over.
    #[error("the key expired at {0}: use another one, or make a new one")]
    KeyExpired(String),
    /// A key cannot revoke itself.
    #[error("this is the key that the call was made with: revoke it with another admin's key, so that one is left")]
    OwnKey,
    /// The subscription has all the keys that it may have.
    #[error("the subscription has {0} keys, and may not have more: revoke those that are not used")]
    TooManyKeys(usize),
    /// The subscription has all the apps that it may have.
    #[error("the subscription has {0} apps, and may not have more")]
    TooManyApps(usize),
    /// The rule is there already.
    #[error("nothing of them is processed already")]
    SameDoNotProcess,
    /// The subscription has all the rules that it may have.
    #[error("the subscription does not process {0} people, and may not have more such rules")]
    TooManyDoNotProcess(usize),
    /// More people are being forgotten than may be at a time.
    #[error("{0} people are being forgotten already: wait until some are done")]
    TooManyForgetJobs(usize),
    /// The subscription has all the guides that it may have.
    #[error("the subscription has {0} guides, and may not have more")]
    TooManyGuides(usize),
    /// Too many tests wait for their receivers.
    #[error("too many tests are waiting for their receivers")]
    TooManyTests,
    /// All streams of deliveries are taken.
    #[error("too many streams of deliveries are open already: close one, or ask for pages instead")]
    TooManyStreams,
    /// The journal does not take it now.
    #[error("{0}; try again")]
    Journal(AppendError),
    /// What keeps configuration and records cannot be reached now.
    #[error(
        "the store cannot be reached; try again. A change that was under way may have been made: look before you repeat it"
    )]
    OutOfReach,
    /// Our own fault. The cause is in the log, not in the answer.
    #[error("something went wrong inside; the log of the server says what")]
    Internal,
}

/// An error as it is told (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always "about:blank": `code` tells errors apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A stable name in snake case, for programs.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub detail: String,
    /// The body's field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What there is to choose from, where it is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<Vec<SubscriptionJson>>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionJson {
    /// As in every body.
    pub id: u64,
    /// As in every body.
    pub name: String,
}

impl SubscriptionJson {
    /// A subscription as it is shown.
    pub fn of(subscription: &Subscription) -> Self {
        Self { id: subscription.id.0, name: subscription.name.clone() }
    }
}

impl ApiError {
    /// An error of ours: logged here, once, with its causes; the caller learns only that it happened, and whether it is worth
    /// trying again.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = with_causes(error), "a management call failed");
        if is_out_of_reach(error) { Self::OutOfReach } else { Self::Internal }
    }

    /// A wrong field.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { field: field.into(), problem: problem.into() }
    }

    /// The table: status and code of each error.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoKey => (StatusCode::UNAUTHORIZED, "no_key"),
            Self::SessionEnded => (StatusCode::UNAUTHORIZED, "session_ended"),
            Self::Csrf => (StatusCode::FORBIDDEN, "csrf"),
            Self::NoSession => (StatusCode::FORBIDDEN, "no_session"),
            Self::WrongSignIn => (StatusCode::UNAUTHORIZED, "wrong_sign_in"),
            Self::CodeNeeded => (StatusCode::UNAUTHORIZED, "code_needed"),
            Self::WrongCode => (StatusCode::UNAUTHORIZED, "wrong_code"),
            Self::Choose(_) => (StatusCode::CONFLICT, "choose_subscription"),
            Self::NobodyInvited => (StatusCode::FORBIDDEN, "not_invited"),
            Self::NoProvider => (StatusCode::NOT_FOUND, "no_provider"),
            Self::Provider(_) => (StatusCode::BAD_GATEWAY, "provider_failed"),
            Self::NotPending => (StatusCode::CONFLICT, "not_pending"),
            Self::TooManyTries(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"),
            Self::LinkEnded => (StatusCode::GONE, "link_ended"),
            Self::EmailTaken => (StatusCode::CONFLICT, "email_taken"),
            Self::LastAdmin => (StatusCode::CONFLICT, "last_admin"),
            Self::LastSubscription => (StatusCode::CONFLICT, "last_subscription"),
            Self::Busy => (StatusCode::CONFLICT, "busy"),
            Self::NotOperator => (StatusCode::UNAUTHORIZED, "not_operator"),
            Self::NotInvited => (StatusCode::CONFLICT, "accepted_already"),
            Self::SecondFactorOn => (StatusCode::CONFLICT, "second_factor_on"),
            Self::TooManyUsers(_) => (StatusCode::CONFLICT, "too_many_users"),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, "wrong_key"),
            Self::TooManyWrongKeys(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys"),
            Self::TooManyCalls(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_calls"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
            Self::NotCsv => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_csv"),
            Self::SameExclusion => (StatusCode::CONFLICT, "same_exclusion"),
            Self::TooManyExclusions(_) => (StatusCode::CONFLICT, "too_many_exclusions"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Self::Unreadable(_) => (StatusCode::BAD_REQUEST, "unreadable"),
            Self::Query(_) => (StatusCode::BAD_REQUEST, "wrong_query"),
            Self::Field { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_field"),
            Self::TurnedOff(_) => (StatusCode::CONFLICT, "turned_off"),
            Self::NotTurnedOff => (StatusCode::CONFLICT, "not_turned_off"),
            Self::OperatorNeeded(_) => (StatusCode::CONFLICT, "operator_needed"),
            Self::ReplayOff => (StatusCode::CONFLICT, "webhook_off"),
            Self::ReplayOver => (StatusCode::CONFLICT, "replay_over"),
            Self::TooManyReplays(_) => (StatusCode::CONFLICT, "too_many_replays"),
            Self::WebhookOff => (StatusCode::CONFLICT, "webhook_off"),
            Self::WebhookGone => (StatusCode::CONFLICT, "webhook_deleted"),
            Self::EventGone => (StatusCode::GONE, "event_gone"),
            Self::TooManyWebhooks(_) => (StatusCode::CONFLICT, "too_many_webhooks"),
            Self::KeyExpired(_) => (StatusCode::UNAUTHORIZED, "key_expired"),
            Self::OwnKey => (StatusCode::CONFLICT, "own_key"),
            Self::TooManyKeys(_) => (StatusCode::CONFLICT, "too_many_keys"),
            Self::TooManyApps(_) => (StatusCode::CONFLICT, "too_many_apps"),
            Self::SameDoNotProcess => (StatusCode::CONFLICT, "same_rule"),
            Self::TooManyDoNotProcess(_) => (StatusCode::CONFLICT, "too_many_rules"),
            Self::TooManyForgetJobs(_) => (StatusCode::CONFLICT, "too_many_jobs"),
            Self::TooManyGuides(_) => (StatusCode::CONFLICT, "too_many_guides"),
            Self::TooManyStreams => (StatusCode::TOO_MANY_REQUESTS, "too_many_streams"),
            Self::TooManyTests => (StatusCode::TOO_MANY_REQUESTS, "too_many_tests"),
            Self::Journal(AppendError::TooLarge(_)) | Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::Journal(_) => (StatusCode::SERVICE_UNAVAILABLE, "journal_unavailable"),
            Self::OutOfReach => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyWrongKeys(wait) | Self::TooManyCalls(wait) | Self::TooManyTries(wait) => {
                Some(wait.as_millis().div_ceil(1000) as u64)
            }
            Self::TooManyTests | Self::TooManyStreams | Self::Journal(_) | Self::OutOfReach => Some(1),
            _ => None,
        }
    }
}

impl ApiError {
    /// One error of each status that a call may be answered with, and what they have in common.
    fn cases() -> [(&'static str, Self); 13] {
        let json = || String::from("it is not valid JSON at line 1 column 2");
        [
            ("The body or the query cannot be read.", Self::Unreadable(json())),
            ("A credential is missing or wrong, or a password or code is.", Self::NoKey),
            ("The role does not allow it, the call needs a session, or X-CSRF-Token is missing.", Self::Forbidden),
            ("There is no such thing, or it is another subscription's.", Self::NotFound("webhook")),
            ("A batch of the Metadata API took too long.", Self::TooSlow(0)),
            ("It is not in a state for this.", Self::LastAdmin),
            ("It was there and is no longer.", Self::EventGone),
            ("The body is too large.", Self::TooLarge(1024 * 1024)),
            ("The body is not JSON by its own account.", Self::ContentType),
            ("A field cannot have this value; `field` names it.", Self::field("name", "must not be empty")),
            ("Too many calls, wrong credentials, tests or streams; `Retry-After` says when.", Self::TooManyTests),
            ("Something went wrong inside.", Self::Internal),
            (
                "It cannot be done now. Try again; `detail` says whether something may have been changed.",
                Self::Journal(AppendError::Full),
            ),
        ]
    }

    /// As it is told.
    fn problem(&self) -> Problem {
        let (status, code) = self.row();
        let field = match &self {
            Self::Field { field, .. } => Some(field.clone()),
            _ => None,
        };
        let subscriptions = match &self {
            Self::Choose(subscriptions) => Some(subscriptions.clone()),
            _ => None,
        };
        let title = status.canonical_reason().unwrap_or_default();
        let detail = self.to_string();
        Problem { kind: "about:blank", title, status: status.as_u16(), code, detail, field, subscriptions }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.row().0;
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// In the OpenAPI document: what every call may answer instead.
impl IntoResponses for ApiError {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let named =
            |status: StatusCode| (status.as_str().to_owned(), RefOr::Ref(Ref::from_response_name(name(status))));
        Self::cases().into_iter().map(|(_, case)| named(case.row().0)).collect()
    }
}

/// What a documented answer of this status is called.
fn name(status: StatusCode) -> String {
    format!("Problem{}", status.as_u16())
}

/// The documented answers, each with an example.
pub fn documented() -> impl Iterator<Item = (String, RefOr<Documented>)> {
    ApiError::cases().into_iter().map(|(what, case)| {
        let status = case.row().0;
        let example = serde_json::to_value(case.problem()).ok();
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(example).build();
        let response = ResponseBuilder::new().description(what).content("application/problem+json", content).build();
        (name(status), RefOr::T(response))
    })
}

impl From<InvalidValue> for ApiError {
    fn from(invalid: InvalidValue) -> Self {
        Self::field(invalid.field, invalid.problem)
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Cursor => Self::Query(String::from("cursor: it does not belong to this list")),
            error => Self::internal(&error),
        }
    }
}

impl ApiError {
    /// What a failed change of an app means to the caller.
    pub fn from_app_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("app"),
            ChangeError::TooMany(count) => Self::TooManyApps(count),
            other => Self::from_change(other),
        }
    }

    /// What a failed change of a guide means to the caller.
    pub fn from_guide_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("guide"),
            ChangeError::TooMany(count) => Self::TooManyGuides(count),
            other => Self::from_change(other),
        }
    }

    /// What a failed change of a user means to the caller.
    pub fn from_user_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("user"),
            ChangeError::TooMany(count) => Self::TooManyUsers(count),
            other => Self::from_change(other),
        }
    }

    /// Why somebody was not signed in.
    pub fn from_sign_in(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::WrongSignIn,
            SignInError::CodeNeeded => Self::CodeNeeded,
            SignInError::WrongCode => Self::WrongCode,
            SignInError::NotInvited => Self::NobodyInvited,
            SignInError::Choose(choice) => Self::Choose(choice.iter().map(|one| SubscriptionJson::of(one)).collect()),
            SignInError::Catalog(error) => Self::internal(&error),
        }
    }

    /// What a failed change of a key means to the caller.
    pub fn from_key_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("key"),
            ChangeError::TooMany(count) => Self::TooManyKeys(count),
            other => Self::from_change(other),
        }
    }

    /// What a failed change of a webhook means to the caller.
    pub fn from_change(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound("webhook"),
            ChangeError::Invalid(invalid) | ChangeError::Row(_, invalid) => invalid.into(),
            ChangeError::TurnedOff(id) => Self::TurnedOff(id),
            ChangeError::TooMany(count) => Self::TooManyWebhooks(count),
            ChangeError::Journal(error) => Self::Journal(error),
            ChangeError::EmailTaken => Self::EmailTaken,
            ChangeError::LastAdmin => Self::LastAdmin,
            ChangeError::NotInvited => Self::NotInvited,
            ChangeError::LastSubscription => Self::LastSubscription,
            ChangeError::Busy => Self::Busy,
            ChangeError::Link => Self::LinkEnded,
            ChangeError::WrongPassword => Self::field("current_password", "is wrong"),
            ChangeError::WrongCode => Self::field("code", "is wrong, or too old: send the one that the app shows now"),
            ChangeError::SecondFactorOn => Self::SecondFactorOn,
            ChangeError::Catalog(error) => Self::internal(&error),
            ChangeError::Store(error) => Self::internal(&error),
        }
    }
}
