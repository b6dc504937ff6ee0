//! What another form of the body costs: a template, and Segment's message, next to the body as it is.

use super::latency::half_load;
use super::{Sequence, receiver};
use crate::options::Options;
use crate::receive::Behaviour;
use crate::report::Report;
use crate::server::Server;
use anyhow::Result;
use serde_json::{Value, json};

/// A template that names most of the event. The receiver finds the marks in what it makes.
const TEMPLATE: &str = r#"{"what":"{{ event }} in {{ app.name }}","who":"{{ visitorId }}",{% set p = properties.eventProperties %}{% if accountId %}"account":"{{ accountId }}",{% endif %}"eventProperties":{"c":"{{ p.c }}","n":{{ p.n }},"pad":"{{ p.pad }}","t":{{ p.t }}},"name":"{{ properties.name }}","source":"{{ properties.source }}"}"#;

/// Measures each form at half load, by itself.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.stage("forms of the body");
    let mut server = Server::start(options, &[])?;
    let mut receiver = receiver(Behaviour::Accept)?;
    let mut sequence = Sequence::default();
    let seconds = options.pick(8.0, 2.0);
    let forms: [(&str, Value); 3] = [
        ("plain", json!({})),
        ("template", json!({"format": {"template": TEMPLATE}})),
        ("segment", json!({"type": "segment", "write_key": "bench"})),
    ];
    let mut plain_us = None;
    for (lane, (name, settings)) in forms.iter().enumerate() {
        let webhook = server.webhook(&receiver.url(lane), settings)?;
        half_load(options, &server, &mut receiver, &mut sequence, 1.0, report)?;
        let run = half_load(options, &server, &mut receiver, &mut sequence, seconds, report)?;
        server.switch(&webhook, false)?;
        let cpu_us = run.cpu_us_per_event();
        report.add(&format!("shapes.cpu_us_per_event.{name}"), cpu_us, "us");
        match plain_us {
            None => plain_us = Some(cpu_us),
            Some(plain_us) => {
                report.add(&format!("shapes.cost_us.{name}"), cpu_us - plain_us, "us");
            }
        }
    }
    server.stop()
}
