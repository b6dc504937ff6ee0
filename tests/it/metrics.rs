//! The dashboard, the alert rules and the documentation speak of what `/metrics` really shows.

use crate::support::smtp::python;
use crate::support::{Node, Receiver, Reply, events, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Labels that Prometheus adds to everything it scrapes.
const ADDED: [&str; 2] = ["instance", "job"];

/// What Prometheus itself says of a target.
const ITS_OWN: &str = "up";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What the files ask for and what a node shows.
struct Compared {
    families: BTreeSet<String>,
    series: BTreeMap<String, BTreeSet<String>>,
    /// Where, the series, its labels.
    asked: Vec<(String, String, BTreeSet<String>)>,
    alerts: Vec<Value>,
}

fn words(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Reads the files with the parsers that their readers use.
fn compare(metrics: &str) -> Compared {
    let dir = tempfile::tempdir().unwrap();
    let exposition = dir.path().join("metrics");
    std::fs::write(&exposition, metrics).unwrap();
    let output = Command::new(python())
        .arg(root().join("tests/it/support/metrics.py"))
        .arg(&exposition)
        .args([root().join("deploy/grafana/fanfare.json"), root().join("deploy/prometheus/alerts.yml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let series = told["series"].as_object().unwrap();
    let asked = told["asked"].as_array().unwrap().iter().flat_map(|asked| {
        let place = asked["where"].as_str().unwrap();
        let uses = asked["uses"].as_array().unwrap();
        assert!(!uses.is_empty(), "{place} selects nothing");
        uses.iter()
            .map(move |used| (place.to_owned(), used["name"].as_str().expect(place).to_owned(), words(&used["labels"])))
    });
    Compared {
        families: words(&told["families"]),
        series: series.iter().map(|(name, labels)| (name.clone(), words(labels))).collect(),
        asked: asked.collect(),
        alerts: told["alerts"].as_array().unwrap().clone(),
    }
}

/// A node that has taken events in, delivered some, failed with some, and has a webhook in trouble.
fn busy_node() -> (Node, [Receiver; 2]) {
    let node = Node::with(&["--turn-off-after-failures", "4", "--turn-off-after", "0s"], &[]);
    let receivers = [Receiver::ok(), Receiver::always(Reply::Status(503))];
    for receiver in &receivers {
        node.webhook(&receiver.url(), json!({}));
    }
    node.events(&[events::identify("ann", "acme"), events::guide_seen("ann", &["NumberScale"])]);
    node.track("Bought");
    receivers[0].wait_for("Bought");
    wait_until("a webhook has an old event", || {
        let text = node.metrics();
        let mut ages = text.lines().filter(|line| line.starts_with("fanfare_webhook_queue_age_seconds{"));
        ages.any(|line| !line.ends_with(" 0.0")).then_some(())
    });
    (node, receivers)
}

#[test]
fn what_dashboard_and_alerts_ask_for_is_there() {
    let (node, _receivers) = busy_node();
    let compared = compare(&node.metrics());
    assert!(compared.asked.len() > 60 && compared.families.len() > 40);
    for (place, name, labels) in &compared.asked {
        let shown = match compared.series.get(name) {
            Some(shown) => shown,
            None if name == ITS_OWN => continue,
            None => panic!("{place} asks for {name}, which /metrics does not show"),
        };
        for label in labels.iter().filter(|label| !ADDED.contains(&label.as_str())) {
            assert!(shown.contains(label), "{place} asks for the label {label} of {name}, which has only {shown:?}");
        }
    }
    for alert in &compared.alerts {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not a text in {alert}")).to_owned();
        assert!(["critical", "warning"].contains(&text(&alert["labels"]["severity"]).as_str()), "{alert}");
        assert!(text(&alert["for"]).ends_with(['m', 'h']), "{alert}");
        let (summary, description) =
            (text(&alert["annotations"]["summary"]), text(&alert["annotations"]["description"]));
        assert!(!summary.is_empty() && description.len() > 60, "what to do: {alert}");
    }
}

#[test]
fn each_family_is_shown_or_explained_and_each_documented_one_exists() {
    let (node, _receivers) = busy_node();
    let compared = compare(&node.metrics());
    let docs = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let documented = documented_metrics(&docs);
    assert!(documented.len() > 30, "{documented:?}");
    for (name, labels) in &documented {
        let name = format!("fanfare_{name}");
        let of_name =
            |series: &&String| series.strip_prefix(&name).is_some_and(|rest| ["", "_bucket", "_total"].contains(&rest));
        let series = compared.series.keys().find(of_name);
        let series = series.unwrap_or_else(|| panic!("docs/operations.md names {name}, which /metrics does not show"));
        let shown = &compared.series[series];
        assert!(labels.is_subset(shown), "docs/operations.md names {labels:?} of {name}, which has only {shown:?}");
    }
    let asked: BTreeSet<&str> = compared.asked.iter().map(|(_, name, _)| name.as_str()).collect();
    for family in &compared.families {
        let is_of = |name: &str| {
            name.strip_prefix(family.as_str())
                .is_some_and(|rest| ["", "_total", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let is_documented = documented.keys().any(|name| is_of(&format!("fanfare_{name}")));
        assert!(is_documented || asked.iter().any(|name| is_of(name)), "{family} is neither shown nor documented");
    }
    let named: BTreeSet<String> =
        ticked(&docs).filter(|word| word.starts_with("Fanfare")).map(ToOwned::to_owned).collect();
    let alerts: BTreeSet<String> =
        compared.alerts.iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(named, alerts, "docs/operations.md, \"Alerts\", and deploy/prometheus/alerts.yml");
    for alert in &compared.alerts {
        let row =
            format!("| `{}` | {} |", alert["alert"].as_str().unwrap(), alert["labels"]["severity"].as_str().unwrap());
        assert!(docs.contains(&row), "docs/operations.md has no row {row}");
    }
}

/// What stands between backticks.
fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The metrics that a text names, without their prefix, each with the labels that it names.
fn documented_metrics(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let settings = settings();
    let stages = [
        "http",
        "intake",
        "journal",
        "dispatch",
        "delivery",
        "projection",
        "store",
        "health",
        "mail",
        "replay",
        "webhook",
        "cluster",
    ];
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for word in ticked(text) {
        let (name, labels) = word.strip_suffix('}').and_then(|word| word.split_once('{')).unwrap_or((word, ""));
        let stage = name.split('_').next().unwrap();
        let is_plain = name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_plain && stages.contains(&stage) && !settings.contains(name) {
            let labels = labels.split(',').map(|label| label.split('=').next().unwrap().to_owned());
            found.entry(name.to_owned()).or_default().extend(labels.filter(|label| !label.is_empty()));
        }
    }
    found
}

fn settings() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(Path::new("config.default.toml"))).unwrap();
    let keys = text.lines().filter_map(|line| line.split_once(" = ").map(|(key, _)| key.to_owned()));
    keys.filter(|key| !key.starts_with('#')).collect()
}

#[test]
fn the_reader_of_documented_metrics_reads_them() {
    let text =
        "`webhook_left_out`, `mail_from` `intake_requests_total{status=\"503\",route}` `webhook_…` `http` `other_x`";
    let found = documented_metrics(text);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["intake_requests_total", "webhook_left_out"]);
    assert_eq!(found["intake_requests_total"], BTreeSet::from(["route".to_owned(), "status".to_owned()]));
}
