//! `fanfare emit`: sends sample items through the real intake of a running Fanfare, as an application would.

use super::client::{self, Client, explanation};
use crate::clock::{Clock, Random, SystemClock, SystemRandom};
use crate::intake::sample::{agent_batch, track_call};
use crate::model::{Endpoint, EventKind};
use anyhow::{Context, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use http::{HeaderName, Method, StatusCode};
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let names = EventKind::TAKEN_IN.map(EventKind::name).into_iter().chain(["all"]);
    let value = |name: &'static str, variable: &'static str, help: &str| {
        Arg::new(name).long(name).value_name("VALUE").help(format!("{help} [env: {variable}]"))
    };
    Command::new("emit")
        .about("Send sample events through the intake of a running Fanfare, about a new visitor each time")
        .arg(Arg::new("event").required(true).value_parser(names.collect::<Vec<_>>()).hide_possible_values(true).help(
            "guideDisplayed, pollDisplayed, pollSubmitted, npsDisplayed, npsSubmitted, visitorCreated, accountCreated, \
             trackEventReceived, or all",
        ))
        .arg(value("server", "FANFARE_SERVER", "Where Fanfare listens: http://127.0.0.1:8080 if not given"))
        .arg(value("agent-key", "FANFARE_AGENT_KEY", "The app's agent key"))
        .arg(value("track-secret", "FANFARE_TRACK_SECRET", "With it, a track event goes through the Track API as well"))
        .arg(
            Arg::new("count")
                .long("count")
                .value_name("N")
                .default_value("1")
                .value_parser(value_parser!(u32).range(1..))
                .help("How often"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let plan = Plan::of(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let all_taken = runtime.block_on(plan.run(&mut std::io::stdout()))?;
    Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was asked for.
struct Plan {
    kind: Option<EventKind>,
    server: Endpoint,
    agent_key: Option<String>,
    track_secret: Option<String>,
    count: u32,
}

impl Plan {
    fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        let server = given(matches, "server").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        let plan = Self {
            kind: matches.get_one::<String>("event").and_then(|name| EventKind::from_name(name)),
            server: client::server(&server)?,
            agent_key: given(matches, "agent-key"),
            track_secret: given(matches, "track-secret"),
            count: matches.get_one("count").copied().unwrap_or(1),
        };
        let track_only = plan.kind == Some(EventKind::TrackEventReceived) && plan.track_secret.is_some();
        if plan.agent_key.is_none() && !track_only {
            bail!("the agent key is missing: give --agent-key or set FANFARE_AGENT_KEY (`fanfare init` printed it)");
        }
        Ok(plan)
    }

    /// Whether everything was taken.
    async fn run(&self, out: &mut dyn Write) -> anyhow::Result<bool> {
        let mut client = Client::connect(&self.server).await?;
        let mut all_taken = true;
        for _ in 0..self.count {
            let person = person();
            writeln!(out, "visitor {}, account {}", person.visitor_id, person.account_id)?;
            if let Some(key) = &self.agent_key {
                all_taken &= self.emit_batch(&mut client, key, &person, out).await?;
            }
            if let (Some(secret), None | Some(EventKind::TrackEventReceived)) = (&self.track_secret, self.kind) {
                all_taken &= self.emit_track(&mut client, secret, &person, out).await?;
            }
        }
        Ok(all_taken)
    }

    async fn emit_batch(
        &self,
        client: &mut Client,
        key: &str,
        person: &Person,
        out: &mut dyn Write,
    ) -> anyhow::Result<bool> {
        let body = agent_batch(self.kind, &person.visitor_id, &person.account_id, SystemClock.now());
        let types = item_types(&body)?;
        let key_header = HeaderName::from_static("x-fanfare-agent-key");
        let (status, answer) = client.call((Method::POST, "/data/events"), (key_header, key), body).await?;
        let rejected = answer["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
        if status != StatusCode::OK {
            writeln!(out, "  /data/events answered {status}: {}", explanation(&answer))?;
            return Ok(false);
        }
        writeln!(out, "  /data/events accepted {} of {}: {}", answer["accepted"], types.len(), types.join(", "))?;
        for item in rejected {
            let index = item["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            let kind = types.get(index).map_or("?", String::as_str);
            writeln!(out, "  rejected {kind}: {}", text(&item["reason"]))?;
        }
        Ok(rejected.is_empty())
    }

    async fn emit_track(
        &self,
        client: &mut Client,
        secret: &str,
        person: &Person,
        out: &mut dyn Write,
    ) -> anyhow::Result<bool> {
        let body = track_call(&person.visitor_id, &person.account_id, SystemClock.now());
        let key_header = HeaderName::from_static("x-pendo-integration-key");
        let (status, answer) = client.call((Method::POST, "/data/track"), (key_header, secret), body).await?;
        if status == StatusCode::OK {
            writeln!(out, "  /data/track accepted a track event")?;
        } else {
            writeln!(out, "  /data/track answered {status}: {}", explanation(&answer))?;
        }
        Ok(status == StatusCode::OK)
    }
}

/// A flag, or its variable; an empty variable is none.
fn given(matches: &ArgMatches, name: &str) -> Option<String> {
    let variable = format!("FANFARE_{}", name.replace('-', "_").to_ascii_uppercase());
    matches.get_one::<String>(name).cloned().or_else(|| std::env::var(variable).ok().filter(|value| !value.is_empty()))
}

/// Who the samples are about. Somebody new in each round, so that the first-seen events fire.
struct Person {
    visitor_id: String,
    account_id: String,
}

/// What kinds of item a batch holds, in order.
fn item_types(batch: &str) -> anyhow::Result<Vec<String>> {
    let batch: Value = serde_json::from_str(batch)?;
    Ok(batch["events"].as_array().into_iter().flatten().map(|item| text(&item["type"])).collect())
}

fn person() -> Person {
    let id = SystemRandom::default().id();
    Person { visitor_id: format!("visitor-{id:x}"), account_id: format!("account-{id:x}") }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
