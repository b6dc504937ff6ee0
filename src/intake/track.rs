//! `POST /data/track`: one track event from a server (docs/intake.md).

use super::body::{Envelope, Properties};
use super::fields::{Fault, Field};
use super::item::within_age;
use super::judge::{Agent, Sighting, Whence, judge};
use super::plan::{Marks, Plan};
use super::problem::Refusal;
use super::request;
use super::{ENVELOPE_BYTES, Intake};
use crate::catalog::App;
use crate::limits;
use crate::model::{EventKind, UniqueId, UnixMs};
use crate::observe::Route;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// The header that carries an app's track secret.
const KEY_HEADER: &str = "x-pendo-integration-key";

/// Takes one track event; answers when it is durable.
pub async fn post(State(intake): State<Arc<Intake>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let response = match take(&intake, request).await {
        Ok(()) => request::json("{\"status\":\"ok\"}"),
        Err(refusal) => refusal.response(),
    };
    intake.metrics.intake.request(Route::Track, response.status().as_u16(), started.elapsed());
    response
}

async fn take(intake: &Arc<Intake>, request: Request<Body>) -> Result<(), Refusal> {
    let app = authenticate(intake, &request)?;
    if !request::media_type(request.headers()).is_some_and(|media_type| request::is_json(&media_type)) {
        return Err(Refusal::ContentType);
    }
    let (head, body) = request.into_parts();
    let body = request::read_body(&head.headers, body).await?;
    let now = intake.clock.now();
    let call = Call::parse(request::text(&body)?, now)?;
    let mut plan = Plan::new(now, intake.seed());
    let current = (intake.catalog)();
    if current.privacy(app.subscription.id).is_some_and(|privacy| privacy.forbids(&call.visitor_id, &call.account_id)) {
        intake.metrics.intake.not_processed.inc();
        return Ok(());
    }
    let rules = current.exclusions(app.subscription.id).map(|rules| &**rules);
    let whence = Whence { rules, ip: call.ip, page: &call.page };
    call.plan(&app, &whence, &mut plan);
    intake.commit(plan, None, None).await
}

fn authenticate(intake: &Intake, request: &Request<Body>) -> Result<Arc<App>, Refusal> {
    let secret = request.headers().get(KEY_HEADER).ok_or(Refusal::NoKey(KEY_HEADER))?;
    let app = (intake.catalog)().app_of_track_secret(secret.as_bytes(), intake.clock.now()).cloned();
    app.ok_or_else(|| intake.wrong_key(request))
}

/// Every key that the body may have; others are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCall<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    visitor_id: Option<&'a RawValue>,
    account_id: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    properties: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContext<'a> {
    #[serde(borrow)]
    user_agent: Option<&'a RawValue>,
    ip: Option<&'a RawValue>,
    url: Option<&'a RawValue>,
}

/// What a server says of the visitor's browser.
#[derive(Default)]
struct Context<'a> {
    user_agent: Cow<'a, str>,
    ip: Cow<'a, str>,
    url: Cow<'a, str>,
}

/// A call, checked.
struct Call<'a> {
    name: Cow<'a, [u8]>,
    visitor_id: Cow<'a, str>,
    account_id: Cow<'a, str>,
    user_agent: Cow<'a, str>,
    /// The visitor's address, as the server names it; never the server's own.
    ip: Option<IpAddr>,
    page: Cow<'a, str>,
    occurred_at: UnixMs,
    properties: Vec<u8>,
}

impl<'a> Call<'a> {
    fn parse(text: &'a str, now: UnixMs) -> Result<Self, Refusal> {
        if !text.trim_start().starts_with('{') {
            return Err(Refusal::Unreadable(String::from("it is not a JSON object")));
        }
        let raw: RawCall<'a> = serde_json::from_str(text).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        let kind = Field::new("type", raw.kind);
        if kind.text()? != "track" {
            return Err(kind.error(Fault::NotOneOf("track")).into());
        }
        let context = Context::parse(raw.context)?;
        let call = Self {
            name: Field::new("event", raw.event).json_name()?,
            visitor_id: Field::new("visitorId", raw.visitor_id).full_id()?,
            account_id: Field::new("accountId", raw.account_id).optional().map_or(Ok("".into()), Field::id)?,
            user_agent: context.user_agent,
            // Text that is no address is of no use to a rule, and no reason to lose the event.
            ip: context.ip.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical()),
            page: context.url,
            occurred_at: occurred_at(raw.timestamp, now)?,
            properties: Field::new("properties", raw.properties).canonical_object()?,
        };
        // Numbers like 1e20 grow when they are written out.
        if call.properties.len() > limits::EVENT_BODY_BYTES - ENVELOPE_BYTES {
            return Err(Refusal::EventTooLarge);
        }
        Ok(call)
    }

    /// A server's event is nobody's first sighting.
    fn plan(&self, app: &App, whence: &Whence<'_>, plan: &mut Plan) {
        let kind = EventKind::TrackEventReceived;
        let mut envelope = Envelope::of(app, kind.name(), self.occurred_at, UniqueId([0; 20]));
        envelope.visitor_id = &self.visitor_id;
        envelope.account_id = &self.account_id;
        envelope.user_agent = request::cut(&self.user_agent);
        let excluded = whence.excluding(&self.visitor_id, &self.account_id, None);
        let withheld = judge(&Sighting { agent: Agent::Server, excluded }, kind);
        let properties = Properties::Track { name: &self.name, properties: &self.properties, source: "server" };
        plan.event(&envelope, kind, properties, Marks { withheld, ..Marks::default() });
    }
}

fn occurred_at(raw: Option<&RawValue>, now: UnixMs) -> Result<UnixMs, Refusal> {
    let Some(field) = Field::new("timestamp", raw).optional() else { return Ok(now) };
    within_age(UnixMs(field.integer()?), now).ok_or(Refusal::TooOld)
}

impl<'a> Context<'a> {
    /// The visitor's browser is the one that the server names, never the server's own client.
    fn parse(context: Option<&'a RawValue>) -> Result<Self, Refusal> {
        let Some(field) = Field::new("context", context).optional() else { return Ok(Self::default()) };
        let raw: RawContext<'a> = field.fields()?;
        let text = |name: &'static str, raw| {
            let text = Field::new(name, raw).optional().map_or(Ok("".into()), Field::text);
            text.map_err(|error| error.within("context"))
        };
        let (user_agent, ip) = (text("userAgent", raw.user_agent)?, text("ip", raw.ip)?);
        Ok(Self { user_agent, ip, url: text("url", raw.url)? })
    }
}

impl Intake {
    /// Notes who sent a wrong key: where it is handled, and without the key.
    pub(super) fn wrong_key(&self, request: &Request<Body>) -> Refusal {
        let client = request::client(request.headers(), request.extensions(), &self.trusted_proxies);
        tracing::debug!(?client, "a wrong intake key");
        Refusal::WrongKey
    }
}
