//! The management API: everything that the console and scripts may do (docs/api.md).
//!
//! A handler takes everything out of the request with extractors, makes one call, and turns the result into one
//! answer. Every way to fail is in one table, [`problem::ApiError`].

mod account;
pub mod agent;
mod answer;
mod apps;
mod audit_log;
mod auth;
mod body;
pub mod console;
mod cookie;
mod deliveries;
mod delivery_text;
pub mod demo;
mod error_log;
mod events;
mod exclusions;
mod export;
mod figures;
mod formats;
mod guides;
mod inspector;
mod keys;
mod list;
mod live;
mod mails;
mod metadata;
mod notice;
mod operator;
pub mod paths;
mod privacy;
mod problem;
mod provider;
mod reader;
mod receiver_input;
mod replays;
mod session;
mod signing_key;
mod test;
mod throttle;
mod try_filter;
mod users;
mod visitors;
mod webhook_answer;
mod webhook_input;
mod webhooks;

pub use operator::PREFIX as OPERATOR_PREFIX;
pub use paths::METADATA_PREFIX;
pub use reader::RecordReader;

use crate::catalog::{Catalog, Subscription};
use crate::clock::Clock;
use crate::config::{ApiSettings, SignInSettings};
use crate::deliver::{Destination, Message, Outcome};
use crate::inspector::Inspector;
use crate::journal::Journal;
use crate::limits;
use crate::model::{EventKind, UniqueId, UnixMs};
use crate::oidc::Provider;
use crate::record::RecordError;
use axum::Router;
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderValue, header};
use ipnet::IpNet;
use live::Streams;
use problem::ApiError;
use std::pin::Pin;
use std::sync::Arc;
use throttle::Throttle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A stretch of time: from, and before.
type Span = (UnixMs, UnixMs);

/// Makes the one request of a test.
pub trait Tester: Send + Sync + 'static {
    /// Sends `message` once. Ends at the destination's timeout at the latest.
    fn send(&self, destination: Arc<Destination>, message: Message) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;
}

/// Makes a test's body: the ping, or an event's sample.
pub type Sampler = Arc<dyn Fn(&Subscription, Option<EventKind>) -> (UniqueId, Bytes) + Send + Sync>;

/// What a webhook gets where its creator names no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookDefaults {
    /// The total deadline in seconds.
    pub timeout_s: u32,
    /// Requests in flight at most.
    pub concurrency: u32,
}

/// Everything that the API works with.
#[derive(Clone)]
pub struct ApiParts {
    /// What is configured.
    pub catalog: Arc<Catalog>,
    /// Where switches and redeliveries go.
    pub journal: Arc<dyn Journal>,
    /// Deliveries and events.
    pub records: Arc<dyn RecordReader>,
    /// For tests.
    pub tester: Arc<dyn Tester>,
    /// For tests.
    pub sampler: Sampler,
    /// Rates and the body's bound.
    pub settings: ApiSettings,
    /// How often somebody may try to sign in.
    pub sign_in: SignInSettings,
    /// With whom people sign in besides a password.
    pub provider: Option<Arc<Provider>>,
    /// What arrives at the addresses of the installation itself.
    pub inspector: Arc<Inspector>,
    /// What addresses of the installation start with.
    pub public_url: String,
    /// The path of the console, as browsers see it.
    pub home: String,
    /// Whether browsers reach this installation over https: cookies are then for https only.
    pub secure: bool,
    /// For new webhooks.
    pub defaults: WebhookDefaults,
    /// Peers whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The node stops: streams end.
    pub stop: CancellationToken,
}

/// What every handler holds.
struct Api {
    parts: ApiParts,
    throttle: Throttle,
    tests: Arc<Semaphore>,
    streams: Arc<Streams>,
    /// Turns of batches of metadata.
    metadata: Semaphore,
}

impl Api {
    /// Asks the records, off the async runtime.
    async fn records<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn RecordReader) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let records = Arc::clone(&self.parts.records);
        let asked = tokio::task::spawn_blocking(move || ask(&*records)).await;
        asked.map_err(|error| ApiError::internal(&error))?.map_err(ApiError::from)
    }
}

/// The document's head; paths and schemas come from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "Fanfare", description = "The management API of Fanfare. Errors are application/problem+json."),
    security(("bearer" = []), ("integration_key" = []), ("session" = [])),
    components(schemas(problem::Problem))
)]
struct Document;

/// Where the sign-in provider sends browsers back to, behind the public URL.
pub const PROVIDER_CALLBACK: &str = paths::SESSION_PROVIDER_CALLBACK;

/// The API's routes. They expect the peer's address as `ConnectInfo<SocketAddr>` among the request's extensions; the
/// router has no fallback of its own, and can be merged into another one.
pub fn router(parts: ApiParts) -> Router {
    let throttle = Throttle::new(&parts.settings, &parts.sign_in, Arc::clone(&parts.clock));
    let tests = Arc::new(Semaphore::new(limits::TESTS_IN_FLIGHT));
    let metadata = Semaphore::new(limits::METADATA_BATCHES);
    let (routes, document) = routes();
    let document = Bytes::from(document);
    let openapi = move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    let nowhere = any(|| async { ApiError::NoRoute });
    routes
        .merge(operator::router())
        .merge(inspector::router())
        .route(paths::OPENAPI, get(openapi))
        .route("/api", nowhere.clone())
        .route("/api/", nowhere.clone())
        .route(paths::ELSEWHERE, nowhere)
        .method_not_allowed_fallback(|| async { ApiError::Method })
        .layer(from_fn(throttle::tell))
        .layer(map_response(uncached))
        .with_state(Arc::new(Api { parts, throttle, tests, streams: Arc::default(), metadata }))
}

/// The OpenAPI document, as it is served.
pub fn openapi_json() -> String {
    routes().1
}

fn routes() -> (Router<Arc<Api>>, String) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::read, webhooks::patch, webhooks::delete))
        .routes(routes!(webhooks::turn_on))
        .routes(routes!(signing_key::rotate))
        .routes(routes!(test::unsaved))
        .routes(routes!(test::stored))
        .routes(routes!(try_filter::try_filter))
        .routes(routes!(formats::try_out))
        .routes(routes!(replays::create, replays::list, replays::cancel_all))
        .routes(routes!(replays::read, replays::cancel))
        .routes(routes!(replays::missed))
        .routes(routes!(error_log::list))
        .routes(routes!(error_log::export))
        .merge(delivered())
        .merge(in_app())
        .merge(visitors_and_accounts())
        .merge(configured())
        .merge(people())
        .split_for_parts();
    let key = ApiKey::Header(ApiKeyValue::new("x-pendo-integration-key"));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_default();
    components.responses.extend(problem::documented());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("integration_key", SecurityScheme::ApiKey(key));
    let cookie = ApiKey::Cookie(ApiKeyValue::new("fanfare_session"));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    name_operations(&mut document);
    (router, document.to_json().unwrap_or_default())
}

/// Handlers are called `list` and `read` in each file; programs that are generated from the document need names that are
/// unique in all of it, so these are made of method and path.
fn name_operations(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let words: Vec<_> = path.trim_start_matches("/api/v1/").split(['/', '-', '.']).collect();
        let name = words.join("_").replace(['{', '}'], "");
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}_{name}"));
            }
        }
    }
}

/// What became of what was sent.
fn delivered() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(deliveries::list))
        .routes(routes!(live::live))
        .routes(routes!(figures::read))
        .routes(routes!(deliveries::read))
        .routes(routes!(deliveries::log))
        .routes(routes!(deliveries::text))
        .routes(routes!(deliveries::redeliver))
}

/// What happens in the product, and what is shown there.
fn in_app() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(events::list))
        .routes(routes!(events::read))
        .routes(routes!(events::explain))
        .routes(routes!(exclusions::create, exclusions::list))
        .routes(routes!(exclusions::read, exclusions::delete))
        .routes(routes!(exclusions::export, exclusions::import))
        .routes(routes!(guides::create, guides::list))
        .routes(routes!(guides::read, guides::patch))
        .routes(routes!(guides::publish))
        .routes(routes!(guides::archive))
        .routes(routes!(guides::reset))
}

/// To whom it happens.
fn visitors_and_accounts() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(visitors::list_visitors))
        .routes(routes!(visitors::list_accounts))
        .routes(routes!(visitors::read_visitor))
        .routes(routes!(visitors::read_account))
        .routes(routes!(metadata::set_many))
        .routes(routes!(metadata::set_one))
        .routes(routes!(privacy::create_rule, privacy::list_rules))
        .routes(routes!(privacy::delete_rule))
        .routes(routes!(privacy::forget_visitor))
        .routes(routes!(privacy::forget_account))
        .routes(routes!(privacy::list_jobs))
        .routes(routes!(privacy::read_job))
}

fn configured() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(apps::create, apps::list))
        .routes(routes!(apps::read, apps::patch))
        .routes(routes!(apps::rotate_agent_key))
        .routes(routes!(apps::rotate_track_secret))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::read, keys::revoke))
        .routes(routes!(audit_log::list))
        .routes(routes!(audit_log::export))
        .routes(routes!(inspector::read, inspector::clear))
        .routes(routes!(mails::list))
        .routes(routes!(mails::try_again))
}

fn people() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(users::invite, users::list))
        .routes(routes!(users::read, users::patch, users::remove))
        .routes(routes!(users::invite_again))
        .routes(routes!(session::sign_in, session::read, session::sign_out))
        .routes(routes!(session::sign_out_everywhere))
        .routes(routes!(session::change_password))
        .routes(routes!(session::change_email))
        .routes(routes!(session::begin_second_factor, session::confirm_second_factor, session::end_second_factor))
        .routes(routes!(provider::methods))
        .routes(routes!(provider::begin))
        .routes(routes!(provider::callback))
        .routes(routes!(account::needs_set_up, account::set_up))
        .routes(routes!(account::accept))
        .routes(routes!(account::forgot, account::reset))
        .routes(routes!(account::confirm_email))
}

/// No answer may be kept: some hold what is shown once, and all hold what is somebody's own.
async fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
