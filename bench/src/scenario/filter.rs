//! What a usual filter costs an event: by itself, and in the server.

use super::latency::half_load;
use super::{Sequence, receiver};
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::{Budget, Report};
use crate::server::Server;
use anyhow::Result;
use fanfare::filter::{Facts, Filter};
use fanfare::model::EventKind;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

/// Lets every event of the generator pass, after having looked at it.
const PASSES_ALL: &str =
    "event == 'trackEventReceived' && visitorId != 'nobody' && properties.name in ['a', 'b'] || true";

/// Measures the look itself for a filter that reads the body and for one that needs only the event's name, then an event's
/// cost at the server without and with a filter.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("filter");
    let rounds: u32 = options.pick(200_000, 20_000);
    let body = body().to_string().into_bytes();
    let reads = "event == 'guideDisplayed' && properties.guideId in ['Xb1', 'Kg92trd4yOzpDb2inI5eTOdcR0U']";
    let us = look(reads, &body, rounds)?;
    report.add_budgeted("filter.us_per_event.reads_body", us, "us", Budget::AtMost(20.0));
    report.add("filter.us_per_event.name_only", look("event == 'npsSubmitted'", &body, rounds)?, "us");

    let mut server = Server::start(options, &[])?;
    let mut receiver = receiver(Behaviour::Accept)?;
    let mut sequence = Sequence::default();
    let seconds = options.pick(8.0, 2.0);
    let webhook = server.webhook(&receiver.url(0), &json!({}))?;
    half_load(options, &server, &mut receiver, &mut sequence, 1.0, report)?;
    let without = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
    server.switch(&webhook, false)?;
    server.webhook(&receiver.url(0), &json!({"filter": PASSES_ALL}))?;
    let with = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
    report.add("filter.cpu_us_per_event.without", without.cpu_us_per_event(), "us");
    report.add("filter.cpu_us_per_event.with", with.cpu_us_per_event(), "us");
    server.stop()
}

/// Microseconds of one look at an event that no filter has looked at before.
fn look(filter: &str, body: &[u8], rounds: u32) -> Result<f64> {
    let filter = Filter::parse(filter)?;
    let began = Instant::now();
    for _ in 0..rounds {
        black_box(filter.passes(&Facts::new(EventKind::GuideDisplayed, black_box(body)))?);
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(rounds))
}

/// About as long as a guide's event is.
fn body() -> Value {
    let step =
        json!({"id": "UgG7AtWEXNuvHBBcTqSQ8NxGvAU", "lastUpdatedAt": 1_618_322_251_476_i64, "resetAt": 0, "type": ""});
    json!({
        "app": {"id": -323_232, "name": "Acme", "platform": "web"}, "accountId": "acme",
        "subscription": {"id": 4_802_463_602_049_999_i64, "name": "Acme"}, "userAgent": "Mozilla/5.0 (Macintosh)",
        "event": "guideDisplayed", "timestamp": 1_626_803_875, "visitorId": "jane@example.com",
        "uniqueId": "75c32838012a8311fba2b902857c2e848d98f457",
        "properties": {"guideId": "Kg92trd4yOzpDb2inI5eTOdcR0U", "guideStepId": "UgG7AtWEXNuvHBBcTqSQ8NxGvAU",
            "language": "en-US", "guideProperties": {"createdAt": 1_615_411_012_615_i64, "id": "Kg92trd4yOz",
                "createdByUser": {"username": "jane@example.com"}, "name": "Poll", "steps": [step]}},
    })
}
