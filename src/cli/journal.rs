//! `fanfare journal verify` and `fanfare journal show`: looking inside a journal, also one that is in use.

use super::{settings_arguments, settings_of};
use crate::config::{JournalAddress, Settings};
use crate::journal::ReadError;
use crate::journal::file::{OpenError, SystemDisk, VerifyReport, Visit, verify, walk};
use crate::model::{Entry, EventId, OutcomeEntry, Position, ReplayId, Selection, Switch, UnixMs};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    let position = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("POSITION").value_parser(value_parser!(u64)).help(help)
    };
    let bodies = Arg::new("bodies").long("bodies").action(ArgAction::SetTrue).help("Print the events' bodies too");
    let verify = settings_arguments(Command::new("verify").about("Check every record of the journal").arg(json()));
    let show = settings_arguments(Command::new("show").about("Print the journal's entries, one a line").args([
        position("from", "First position"),
        position("to", "Last position"),
        json(),
        bodies,
    ]));
    Command::new("journal")
        .about("Look inside the journal, also while it is in use")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([verify, show])
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match matches.subcommand() {
        Some(("verify", matches)) => {
            let settings = settings_of(matches)?;
            let whole = print_verify(directory(&settings)?, matches.get_flag("json"), &mut out)?;
            Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some(("show", matches)) => {
            let settings = settings_of(matches)?;
            let position = |name| matches.get_one::<u64>(name).map(|position| Position(*position));
            let show = Show {
                from: position("from").unwrap_or(Position::ZERO),
                to: position("to").unwrap_or(Position(u64::MAX)),
                json: matches.get_flag("json"),
                bodies: matches.get_flag("bodies"),
            };
            print_entries(directory(&settings)?, &show, &mut out)?;
            Ok(ExitCode::SUCCESS)
        }
        // clap lets only the commands above through.
        _ => Ok(ExitCode::from(2)),
    }
}

/// The directory of the journal's files.
fn directory(settings: &Settings) -> anyhow::Result<&Path> {
    match &settings.journal_at {
        JournalAddress::Directory(dir) => Ok(dir),
        JournalAddress::Nats(_) => {
            anyhow::bail!(
                "this looks at the journal's files; on NATS servers it is a stream, which the command nats shows"
            )
        }
    }
}

/// What `show` prints.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// First position.
    pub from: Position,
    /// Last position.
    pub to: Position,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Bodies too.
    pub bodies: bool,
}

/// Why a journal could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum JournalCommandError {
    /// It cannot be read.
    #[error("reading the journal in the data directory")]
    Open(#[from] OpenError),
    /// An entry cannot be decoded.
    #[error("decoding an entry")]
    Read(#[from] ReadError),
    /// What is found cannot be printed.
    #[error("printing")]
    Print(#[from] io::Error),
}

/// Checks every frame of every segment and prints what was found. True when there is no damage.
///
/// # Errors
/// [`JournalCommandError`], also where the damage is such that the journal could not be opened.
pub fn print_verify(journal_dir: &Path, json: bool, out: &mut dyn Write) -> Result<bool, JournalCommandError> {
    let report = verify(journal_dir, &SystemDisk)?;
    let print = if json { verify_json } else { verify_text };
    print(&report, out)?;
    Ok(report.damaged.is_empty())
}

fn verify_text(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    for segment in &report.segments {
        let range = segment.range.map_or(String::from("empty"), |(first, last)| format!("{first} to {last}"));
        let state = if segment.sealed { "sealed" } else { "open" };
        let (file, bytes, groups, entries) = (&segment.file, segment.bytes, segment.groups, segment.entries);
        writeln!(out, "{file}  {state:6}  {bytes} bytes  {groups} groups  {entries} entries  {range}")?;
    }
    for place in &report.damaged {
        writeln!(out, "DAMAGED {} at byte {}: {}", place.file, place.offset, place.what)?;
    }
    if report.torn_bytes > 0 {
        writeln!(out, "{} bytes at the end were never acknowledged (normal after a crash)", report.torn_bytes)?;
    }
    let verdict = if report.damaged.is_empty() { "whole" } else { "damaged" };
    writeln!(out, "The journal is {verdict}. Last position: {}.", report.last)
}

fn verify_json(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let segments: Vec<_> = report
        .segments
        .iter()
        .map(|s| {
            json!({"file": s.file, "bytes": s.bytes, "groups": s.groups, "entries": s.entries, "sealed": s.sealed,
                "first": s.range.map(|r| r.0.0), "last": s.range.map(|r| r.1.0), "newest": s.newest.0})
        })
        .collect();
    let place = |p: &crate::journal::file::Place| json!({"file": p.file, "offset": p.offset, "what": p.what});
    let damaged: Vec<_> = report.damaged.iter().map(place).collect();
    let report = json!({"segments": segments, "damaged": damaged, "torn_bytes": report.torn_bytes,
        "last": report.last.0});
    writeln!(out, "{report}")
}

/// Prints the entries from `show.from` to `show.to`.
///
/// # Errors
/// [`JournalCommandError`], at the first entry that cannot be read.
pub fn print_entries(journal_dir: &Path, show: &Show, out: &mut dyn Write) -> Result<(), JournalCommandError> {
    let mut result = Ok(());
    walk(journal_dir, &SystemDisk, (show.from, show.to), &mut |visit| {
        result = print_group(&visit, show, out);
        result.is_ok()
    })?;
    result
}

fn print_group(visit: &Visit, show: &Show, out: &mut dyn Write) -> Result<(), JournalCommandError> {
    for item in visit.chunk.entries() {
        let (position, entry) = item?;
        if position < show.from || position > show.to {
            continue;
        }
        let fields = describe(position, &entry, visit.written_at, show.bodies);
        if show.json {
            writeln!(out, "{fields}")?;
        } else {
            writeln!(out, "{}", line(&fields))?;
        }
    }
    Ok(())
}

/// `position=1 entry=event …`: the same fields as in JSON, strings bare where that is not ambiguous.
fn line(fields: &Value) -> String {
    let pairs = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let word = |value: &Value| match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains([' ', '"', '=']) && !text.contains(char::is_control) => {
            text.to_owned()
        }
        _ => value.to_string(),
    };
    pairs.map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join(" ")
}

fn describe(position: Position, entry: &Entry<'_>, written_at: UnixMs, bodies: bool) -> Value {
    let mut fields = match entry {
        Entry::Event(e) => {
            json!({"entry": "event", "id": EventId(position).to_string(), "event": format!("{:?}", e.kind),
            "subscription": e.subscription.0, "app": e.app.0, "unique_id": e.unique_id.to_string(),
            "visitor": e.visitor_id, "account": e.account_id, "bytes": e.body.len(),
            "withheld": e.withheld.as_ref().map(|w| format!("{w:?}")), "body": bodies.then(|| String::from_utf8_lossy(e.body))})
        }
        Entry::Outcome(outcome) => describe_outcome(outcome, bodies),
        Entry::ShapedOutcome(shaped) => {
            let mut fields = describe_outcome(&shaped.outcome, bodies);
            fields["sent_bytes"] = json!(shaped.request_body.len());
            fields["sent"] = json!(bodies.then(|| String::from_utf8_lossy(shaped.request_body)));
            fields
        }
        Entry::CategorySwitch(s) => describe_switch(&Switch::from(*s)),
        Entry::Switch(s) => describe_switch(s),
        Entry::Audited(a) => json!({"entry": "audited", "seq": a.seq}),
        Entry::Checkpoint(c) => json!({"entry": "checkpoint", "head": c.head.0, "lanes": c.lanes.len()}),
        Entry::Held(h) => json!({"entry": "held", "subscription": h.subscription.0, "due": h.due.0,
            "bytes": h.draft.len(), "body": bodies.then(|| String::from_utf8_lossy(h.draft))}),
        Entry::Closed(c) => json!({"entry": "closed", "webhook": c.webhook.to_string(), "why": format!("{:?}", c.why),
            "from": c.from.0, "to": c.to.0, "events": c.events, "retries": c.retries}),
        Entry::Items(items) => json!({"entry": "items", "ids": items.fingerprints.len(), "at": items.accepted_at.0}),
        Entry::Redelivery(r) => json!({"entry": "redelivery", "webhook": r.webhook.to_string(),
            "event": EventId(r.event).to_string()}),
        Entry::Visit(v) => json!({"entry": "visit", "subscription": v.subscription.0, "visitor": v.visitor_id,
            "account": v.account_id, "at": v.at.0, "browser": v.browser_name, "bytes": v.visitor.len() + v.account.len(),
            "body": bodies.then(|| format!("{}{}", v.visitor, v.account))}),
        Entry::Metadata(m) => json!({"entry": "metadata", "subscription": m.subscription.0, (m.kind.name()): m.id,
            "group": m.group, "at": m.at.0, "bytes": m.values.len(), "body": bodies.then_some(m.values)}),
        Entry::Replay(r) => json!({"entry": "replay", "webhook": r.webhook.to_string(), "choice": r.choice.name(),
            "first": r.first.0, "last": r.last.0, "forced": r.forced}),
        Entry::Resend(r) => json!({"entry": "resend", "webhook": r.webhook.to_string(),
            "event": EventId(r.event).to_string(), "replay": ReplayId(r.replay).to_string()}),
        Entry::ReplayEnded(r) => json!({"entry": "replay_ended", "webhook": r.webhook.to_string(),
            "replay": ReplayId(r.replay).to_string(), "end": r.end.name()}),
        Entry::Receiver(r) => json!({"entry": "receiver", "webhook": r.webhook.to_string(),
            "is": format!("{:?}", r.is), "at": r.at.0}),
        Entry::Carried(c) => json!({"entry": "carried", "id": EventId(c.event).to_string(),
            "subscription": c.entry.subscription.0, "unique_id": c.entry.unique_id.to_string(),
            "visitor": c.entry.visitor_id, "account": c.entry.account_id, "bytes": c.entry.body.len(),
            "body": bodies.then(|| String::from_utf8_lossy(c.entry.body))}),
        Entry::Notice(n) => {
            json!({"entry": "notice", "webhook": n.webhook.to_string(), "subscription": n.subscription.0,
            "incident": n.incident.0, "kind": n.kind.name(), "failed": n.failed, "of": n.of, "mailed": n.mailed.name(),
            "at": n.at.0})
        }
        Entry::Guide(g) => json!({"entry": "guide", "subscription": g.subscription.0, "visitor": g.visitor_id,
            "guide": g.guide_id, "step": g.step_id, "did": format!("{:?}", g.did), "at": g.at.0}),
        Entry::Merged(m) => json!({"entry": "merged", "subscription": m.subscription.0,
            "anonymous": m.anonymous_id, "visitor": m.visitor_id, "at": m.at.0}),
        Entry::Erased => json!({"entry": "erased"}),
    };
    fields["position"] = json!(position.0);
    fields["written_at"] = json!(written_at.0);
    fields
}

fn describe_switch(switch: &Switch) -> Value {
    let Selection { categories, audit, filter } = &switch.selection;
    json!({"entry": "switch", "webhook": switch.webhook.to_string(), "on": switch.on,
        "categories": format!("{categories:?}"), "audit": audit, "filter": filter})
}

fn describe_outcome(outcome: &OutcomeEntry<'_>, bodies: bool) -> Value {
    json!({"entry": "outcome", "delivery": outcome.delivery.to_string(), "event": EventId(outcome.event).to_string(),
        "attempt": outcome.attempt, "status": outcome.status, "reason": outcome.reason.code(),
        "verdict": format!("{:?}", outcome.verdict), "detail": outcome.detail, "bytes": outcome.response_body.len(),
        "body": bodies.then(|| String::from_utf8_lossy(outcome.response_body))})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::JournalSettings;
    use crate::journal::{Journal, contract, file::FileJournal};
    use std::sync::Arc;
    use std::time::Duration;

    fn data_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let (max_age, max_bytes) = (Duration::from_secs(60), u64::MAX);
        let settings = JournalSettings { segment_bytes: 16 * 1024, max_age, max_bytes };
        let (clock, disk) = (Arc::new(SystemClock), Arc::new(SystemDisk));
        let journal = FileJournal::open(dir.path(), &settings, clock, disk).unwrap();
        journal.record(contract::group(1..=3));
        journal.record(contract::group([0xab]));
        drop(journal);
        dir
    }

    #[test]
    fn show_prints_the_range_as_text_and_as_json() {
        let dir = data_dir();
        let (from, to) = (Position(3), Position(4));
        for json in [false, true] {
            let mut out = Vec::new();
            print_entries(dir.path(), &Show { from, to, json, bodies: true }, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(text.lines().nth(1).unwrap().contains("evt_ab"), "{text}");
            assert_eq!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), json);
        }
    }

    #[test]
    fn verify_tells_a_whole_journal_from_a_damaged_one() {
        let dir = data_dir();
        let mut out = Vec::new();
        assert!(print_verify(dir.path(), false, &mut out).unwrap());
        assert!(String::from_utf8(out).unwrap().contains("4 entries  1 to 4"));
        let file = dir.path().join("0000000000000001.seg");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[4096 + 45] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let mut out = Vec::new();
        assert!(!print_verify(dir.path(), true, &mut out).unwrap());
        let report: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(report["damaged"][0]["offset"], 4096);
    }
}
