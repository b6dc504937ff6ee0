//! `fanfare migrate-store`: from files to servers.

use super::{settings_arguments, settings_of};
use crate::catalog;
use crate::clock::{Clock, SystemClock};
use crate::config::{JournalAddress, Settings, StoreAddress};
use crate::journal::Backend;
use crate::journal::file::{FileJournal, SystemDisk};
use crate::journal::jetstream;
use crate::node;
use crate::seal::MasterKey;
use crate::store::{Part, Place, configured, copy, migrate, projection};
use anyhow::{Context, bail, ensure};
use clap::{Arg, ArgMatches, Command};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) fn command() -> Command {
    let directory = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("DIR").value_parser(clap::value_parser!(PathBuf)).help(help)
    };
    settings_arguments(
        Command::new("migrate-store")
            .about("Move an installation from its data directory to PostgreSQL, and to NATS; the server must be stopped")
            .long_about(
                "Move an installation from its data directory to the PostgreSQL server that --store names, and to the NATS \
                 servers that --journal names, if it does. The server must be stopped. What is there already is refused, \
                 what is moved is counted again, and the data directory is left as it is.",
            )
            .arg(directory("from-store", "Where fanfare.db and records.db are; the data directory, if not given"))
            .arg(directory("from-journal", "Where the journal is; journal in the data directory, if not given")),
    )
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings_of(matches)?;
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let from = Place::Directory(path("from-store").unwrap_or_else(|| settings.data_dir.clone()));
    let journal_dir = path("from-journal").unwrap_or_else(|| settings.data_dir.join("journal"));
    ensure!(matches!(settings.store, StoreAddress::Postgres(_)), "--store must name the PostgreSQL server to move to");
    ensure!(catalog::is_initialised(&from)?, "{from} holds no installation; --data-dir names the data directory");
    // Its lock keeps a server out while this goes on.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = FileJournal::open(&journal_dir, &settings.journal, clock, Arc::new(SystemDisk))
        .context("the server must be stopped for this")?;
    let mut out = io::stdout().lock();
    move_store(&settings, &from, &mut out)?;
    match &settings.journal_at {
        JournalAddress::Nats(nats) => {
            let ca_file = settings.delivery.ca_file.as_deref();
            writeln!(out, "The journal:")?;
            let mut told = |done: u64, of: u64| {
                let _closed_pipe = writeln!(out, "  {done} of {of} entries");
            };
            let entries = jetstream::import(&journal, nats, ca_file, &mut told).context("moving the journal")?;
            writeln!(out, "Moved {entries} entries of the journal, and found the last of them there.")?;
        }
        JournalAddress::Directory(_) => writeln!(out, "The journal stays in {}.", journal_dir.display())?,
    }
    journal.close();
    writeln!(out, "Start Fanfare with the same --store and --journal now. The data directory is as it was.")?;
    Ok(ExitCode::SUCCESS)
}

fn move_store(settings: &Settings, from: &Place, out: &mut dyn Write) -> anyhow::Result<()> {
    let to = node::store_of(settings)?;
    ensure!(!catalog::is_initialised(&to)?, "there is an installation on the server already; nothing was changed");
    let Some(variable) = node::master_key_variable() else {
        bail!(
            "FANFARE_MASTER_KEY is not set: with the store on a server it holds the key, which is in {} now",
            settings.data_dir.join("master.key").display()
        );
    };
    let key = MasterKey::from_base64(&variable, "FANFARE_MASTER_KEY")?;
    ensure!(catalog::is_sealed_with(from, &key)?, "FANFARE_MASTER_KEY is not the key that secrets are sealed with");
    for (part, migrations) in [(Part::Records, projection::MIGRATIONS), (Part::Configured, configured::MIGRATIONS)] {
        let (file, server) = (from.open(part)?, to.open(part)?);
        migrate(&file, migrations)?;
        migrate(&server, migrations)?;
        writeln!(out, "{}:", part.file())?;
        copy(&file, &server, &mut |table, rows| {
            let _closed_pipe = writeln!(out, "  {table}: {rows} rows");
        })?;
    }
    let same = configured::load(&from.open(Part::Configured)?)? == configured::load(&to.open(Part::Configured)?)?;
    ensure!(same, "what was read back is not what was moved");
    Ok(())
}
