//! `fanfare audit verify`: follows the hashes of the audit log from its first entry to its last.

use super::{settings_arguments, settings_of};
use crate::node;
use crate::store::Part;
use crate::store::configured::{AuditChain, audit};
use anyhow::{Context, bail};
use clap::{Arg, ArgMatches, Command};
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let head = Arg::new("head").long("head").value_name("HASH").help("A hash noted earlier, which the log must hold");
    let verify = Command::new("verify").about("Check that no entry was changed or removed, also while it is in use");
    Command::new("audit")
        .about("Look after the audit log")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings_arguments(verify.arg(head)))
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some(("verify", matches)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
    let place = node::store_of(&settings_of(matches)?)?;
    if !place.may_exist() {
        bail!("{place} holds no store; --data-dir names the data directory");
    }
    let store = place.open_reader(Part::Configured)?;
    let chain = audit::verify(&store).context("reading the audit log")?;
    let missing = match matches.get_one::<String>("head") {
        Some(hash) if !audit::holds(&store, hash)? => Some(hash),
        _ => None,
    };
    Ok(tell(&chain, missing, &mut io::stdout().lock())?)
}

fn tell(chain: &AuditChain, missing: Option<&String>, out: &mut dyn Write) -> io::Result<ExitCode> {
    let AuditChain { entries, head, broken_at } = chain;
    if let Some(seq) = broken_at {
        writeln!(out, "broken: entry {seq} does not follow from the {entries} before it: the log was changed there")?;
        return Ok(ExitCode::FAILURE);
    }
    if let Some(hash) = missing {
        writeln!(out, "broken: no entry has the hash {hash}: the log was rewritten, or its end was removed")?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "whole: {entries} entries")?;
    if !head.is_empty() {
        writeln!(out, "head {head}")?;
        writeln!(
            out,
            "Note the head elsewhere: `fanfare audit verify --head` can then tell that the end is still there."
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
