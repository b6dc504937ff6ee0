//! `fanfare operator`: what only whoever runs the installation may do. It asks the running server, on this machine,
//! with calls that the master key signs.

use super::client::{self, Client, explanation};
use super::{settings_arguments, settings_of};
use crate::clock::{Clock, SystemClock, SystemRandom};
use crate::config::Settings;
use crate::node;
use crate::seal::{MasterKey, OperatorCall};
use anyhow::{Context, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

/// As the server's own routes have it.
const PREFIX: &str = crate::api::OPERATOR_PREFIX;

pub(super) fn command() -> Command {
    let id = |what: &'static str| Arg::new("id").required(true).value_name("ID").help(what);
    let text = |name: &'static str, what: &'static str| Arg::new(name).long(name).value_name("TEXT").help(what);
    let yes = || Arg::new("yes").long("yes").action(ArgAction::SetTrue).help("Do not ask whether that is meant");
    let subscriptions = [
        Command::new("list").about("List the subscriptions"),
        Command::new("create")
            .about("Make a subscription, and print its keys")
            .arg(text("name", "Its name").required(true))
            .arg(text("app-name", "Its first app's name; the subscription's, if not given")),
        Command::new("remove")
            .about("Remove a subscription with its webhooks, apps, keys and users")
            .arg(id("Its id"))
            .arg(yes()),
    ];
    let of = || Arg::new("subscription").long("subscription").required(true).value_name("ID").help("Its id");
    let users = [
        Command::new("list").about("List the users of a subscription").arg(of()),
        Command::new("create")
            .about("Invite a user, and print the link of the invitation")
            .arg(of())
            .arg(text("email", "Their e-mail address").required(true))
            .arg(text("name", "Their name").required(true))
            .arg(
                Arg::new("role")
                    .long("role")
                    .value_parser(["admin", "member"])
                    .default_value("member")
                    .help("Their role"),
            ),
        Command::new("remove").about("Remove a user; their sessions end at once").arg(id("usr_…")).arg(yes()),
        Command::new("reset-password")
            .about("Print a link with which a user chooses another password")
            .arg(id("usr_…"))
            .arg(
                Arg::new("without-second-factor")
                    .long("without-second-factor")
                    .action(ArgAction::SetTrue)
                    .help("End their second factor too, for somebody who has lost it"),
            ),
    ];
    let turn_on = Command::new("turn-on")
        .about("Turn a webhook on, also one that was turned off after repeated failures")
        .arg(id("wh_…"));
    let group = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).subcommand_required(true).arg_required_else_help(true)
    };
    group("operator", "Look after the installation that runs on this machine")
        .subcommand(
            group("subscriptions", "The customers of this installation").subcommands(subscriptions.map(settled)),
        )
        .subcommand(group("users", "The people of a subscription").subcommands(users.map(settled)))
        .subcommand(group("webhooks", "Webhooks").subcommand(settled(turn_on)))
        .subcommand(settled(Command::new("mail").about("Show the newest mails, and what became of them")))
}

/// With the settings, the server's address, and how to print.
fn settled(command: Command) -> Command {
    let server = Arg::new("server").long("server").value_name("URL");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the server's answer as JSON");
    settings_arguments(command.arg(server.help("Where Fanfare listens: http:// and the listen address, if not given")))
        .arg(json)
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (group, matches) = matches.subcommand().unwrap_or(("", matches));
    let (verb, matches) = matches.subcommand().unwrap_or(("", matches));
    let settings = settings_of(matches)?;
    let given = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let id = || given("id");
    let ask = match (group, verb) {
        ("subscriptions", "list") => Ask::get("/subscriptions"),
        ("subscriptions", "create") => {
            let name = given("name");
            let app = matches.get_one::<String>("app-name").map_or(name, String::as_str);
            Ask::post("/subscriptions", json!({"name": name, "app_name": app}))
        }
        ("subscriptions", "remove") => Ask::delete(format!("/subscriptions/{}", id())),
        ("users", "list") => Ask::get(&format!("/subscriptions/{}/users", given("subscription"))),
        ("users", "create") => {
            let user = json!({"email": given("email"), "name": given("name"), "role": given("role")});
            Ask::post(&format!("/subscriptions/{}/users", given("subscription")), user)
        }
        ("users", "remove") => Ask::delete(format!("/users/{}", id())),
        ("users", "reset-password") => {
            let without = matches.get_flag("without-second-factor");
            Ask::post(&format!("/users/{}/link", id()), json!({"without_second_factor": without}))
        }
        ("webhooks", "turn-on") => Ask::post(&format!("/webhooks/{}/turn-on", id()), json!({})),
        ("mail", _) => Ask::get("/mails"),
        // clap lets only the commands above through.
        _ => return Ok(ExitCode::from(2)),
    };
    if ask.method == Method::DELETE && !matches.get_flag("yes") && !confirmed(group, id())? {
        bail!("nothing was removed");
    }
    let server = matches.get_one::<String>("server").cloned();
    let server = server.unwrap_or_else(|| format!("http://{}", settings.listen));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let answer = runtime.block_on(ask.send(&settings, &server))?;
    let mut out = io::stdout().lock();
    match matches.get_flag("json") {
        true => writeln!(out, "{answer}")?,
        false => show((group, verb), &answer, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A call to the server.
struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Ask {
    fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: None }
    }

    fn post(path: &str, body: Value) -> Self {
        Self { method: Method::POST, path: path.to_owned(), body: Some(body) }
    }

    fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None }
    }

    async fn send(self, settings: &Settings, server: &str) -> anyhow::Result<Value> {
        let key = MasterKey::find(node::master_key_variable().as_deref(), &settings.data_dir)?;
        let body = self.body.map(|body| body.to_string()).unwrap_or_default();
        let target = format!("{PREFIX}{}", self.path);
        let call = OperatorCall { method: self.method.as_str(), target: &target, body: body.as_bytes() };
        let signed = key.operator().sign(call, SystemClock.now(), &SystemRandom::default());
        let mut client = Client::connect(&client::server(server)?).await?;
        let (status, answer) = client.call((self.method, &target), (header::AUTHORIZATION, &signed), body).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(json!({})),
            status if status.is_success() => Ok(answer),
            status => bail!("{server} answered {status}: {}", explanation(&answer)),
        }
    }
}

/// Asks a person; whoever is none has to say so with --yes.
fn confirmed(group: &str, id: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("this removes {id} for good: say --yes if that is meant");
    }
    let what = group.trim_end_matches('s');
    let mut err = io::stderr();
    write!(err, "This removes the {what} {id} for good. Type its id to go on: ")?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == id)
}

fn show(what: (&str, &str), answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let rows = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    match what {
        ("subscriptions", "list") => {
            for row in rows {
                let counts = [&row["apps"], &row["users"], &row["webhooks"]].map(text);
                let [apps, users, webhooks] = counts;
                writeln!(
                    out,
                    "{}  {}  apps {apps}, users {users}, webhooks {webhooks}",
                    row["id"],
                    text(&row["name"])
                )?;
            }
        }
        ("subscriptions", "create") => {
            writeln!(out, "subscription     {}", answer["subscription_id"])?;
            writeln!(out, "agent key        {}", text(&answer["agent_key"]))?;
            writeln!(out, "track secret     {}", text(&answer["track_secret"]))?;
            writeln!(out, "integration key  {}", text(&answer["integration_key"]))?;
            writeln!(out, "The secrets are not shown again. Next: fanfare operator users create --role admin")?;
        }
        ("users", "list") if rows.is_empty() => writeln!(out, "nobody yet: fanfare operator users create")?,
        ("users", "list") => {
            for row in rows {
                let fields = [&row["id"], &row["role"], &row["state"], &row["email"], &row["name"]].map(text);
                writeln!(out, "{}", fields.join("  "))?;
            }
        }
        ("users", "create" | "reset-password") => {
            writeln!(out, "{}", text(&answer["link"]))?;
            writeln!(out, "The link works once. Pass it on over a channel that you trust.")?;
        }
        ("webhooks", _) => {
            writeln!(out, "{} ({}) is {}", text(&answer["id"]), text(&answer["name"]), text(&answer["state"]))?;
        }
        ("mail", _) if rows.is_empty() => writeln!(out, "no mail yet")?,
        ("mail", _) => {
            for row in rows {
                let fields = [&row["created_at"], &row["state"], &row["to"], &row["subject"]].map(text);
                writeln!(out, "{}", fields.join("  "))?;
                if row["last_error"] != "" {
                    writeln!(out, "    {} attempts, the last failed: {}", row["attempts"], text(&row["last_error"]))?;
                }
                for line in row["text"].as_str().unwrap_or_default().lines() {
                    writeln!(out, "    {line}")?;
                }
            }
        }
        _ => writeln!(out, "done")?,
    }
    Ok(())
}
