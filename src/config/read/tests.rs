//! Precedence and errors, as tables.

use crate::config::{ConfigError, JournalAddress, Settings, Sources, StoreAddress};
use std::path::PathBuf;
use std::time::Duration;

fn flag(name: &str, values: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn with_flag(name: &str, value: &str) -> Result<Settings, ConfigError> {
    Settings::load(&Sources { flags: vec![flag(name, &[value])], ..Sources::default() })
}

fn in_directory(file: &str) -> (tempfile::TempDir, Sources) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("fanfare.toml"), file).unwrap();
    let sources = Sources { working_dir: Some(directory.path().to_owned()), ..Sources::default() };
    (directory, sources)
}

#[test]
fn defaults_are_what_the_documents_say() {
    let settings = Settings::defaults();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url, "http://127.0.0.1:8080");
    assert_eq!(settings.journal_at, JournalAddress::Directory(PathBuf::from("./data/journal")));
    assert_eq!(settings.store, StoreAddress::Directory(settings.data_dir));
    assert_eq!(settings.dispatch.retry_delays, [1, 5, 30, 120, 600].map(Duration::from_secs));
    assert!((settings.dispatch.retry_jitter - 0.2).abs() < f64::EPSILON);
    assert!(settings.dispatch.retry_no_answer && !settings.allow_private);
    assert_eq!(settings.dispatch.concurrency, 32);
    assert_eq!(settings.dispatch.waiting_retries, 1000);
    assert_eq!(settings.dispatch.quiet_after, Duration::from_secs(2));
    assert_eq!(settings.delivery.timeout, Duration::from_secs(300));
    assert_eq!(settings.intake.item_id_count, 10_000_000);
    assert_eq!(settings.journal.segment_bytes, 64 << 20);
    assert_eq!(settings.records.max_age, Duration::from_secs(14 * 86_400));
    assert_eq!(settings.api.wrong_keys_per_minute, 100);
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let (_directory, mut sources) = in_directory("concurrency = 3\nwaiting_retries = 30\ncalls_burst = 300\n");
    sources.environment = vec![variable("FANFARE_CONCURRENCY", "2"), variable("FANFARE_WAITING_RETRIES", "20")];
    sources.flags = vec![flag("concurrency", &["1"])];
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.dispatch.concurrency, 1);
    assert_eq!(settings.dispatch.waiting_retries, 20);
    assert_eq!(settings.api.calls_burst, 300);
    assert_eq!(settings.api.calls_per_second, 100);
}

#[test]
fn the_file_is_found_by_name_in_the_working_directory_and_in_the_data_directory() {
    let (directory, mut sources) = in_directory("concurrency = 3\n");
    assert_eq!(Settings::load(&sources).unwrap().dispatch.concurrency, 3);

    let elsewhere = directory.path().join("other.toml");
    std::fs::write(&elsewhere, "concurrency = 4").unwrap();
    sources.config = Some(elsewhere);
    assert_eq!(Settings::load(&sources).unwrap().dispatch.concurrency, 4);

    let empty = tempfile::tempdir().unwrap();
    let sources = Sources {
        flags: vec![flag("data_dir", &[directory.path().to_str().unwrap()])],
        working_dir: Some(empty.path().to_owned()),
        ..Sources::default()
    };
    assert_eq!(Settings::load(&sources).unwrap().dispatch.concurrency, 3);
}

#[test]
fn a_named_file_must_exist_and_be_toml() {
    let missing = Sources { config: Some(PathBuf::from("/nowhere/f.toml")), ..Sources::default() };
    assert!(Settings::load(&missing).unwrap_err().to_string().starts_with("/nowhere/f.toml: "));
    let (_directory, sources) = in_directory("concurrency = = 3");
    assert!(matches!(Settings::load(&sources), Err(ConfigError::File { .. })));
}

#[test]
fn lists_come_as_repeated_flags_commas_or_toml_lists() {
    let repeated = Sources { flags: vec![flag("allow_net", &["10.0.0.0/8", "::1"])], ..Sources::default() };
    let nets = Settings::load(&repeated).unwrap().allow_nets;
    assert_eq!(nets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);

    let commas = Sources { environment: vec![variable("FANFARE_RETRY_DELAYS", "10ms, 2s")], ..Sources::default() };
    let delays = Settings::load(&commas).unwrap().dispatch.retry_delays;
    assert_eq!(delays, [Duration::from_millis(10), Duration::from_secs(2)]);
    assert!(with_flag("retry_delays", "").unwrap().dispatch.retry_delays.is_empty());

    let (_directory, sources) = in_directory("retry_delays = [\"1s\"]\ntrusted_proxy = \"10.0.0.1\"\n");
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.dispatch.retry_delays.len(), 1);
    assert_eq!(settings.trusted_proxies[0].to_string(), "10.0.0.1/32");
}

#[test]
fn a_wrong_value_is_named_with_its_source_and_an_example() {
    let cases = [
        ("listen", "8080", "--listen = \"8080\" (flag): invalid socket address syntax; for example: 127.0.0.1:8080"),
        ("nps_window", "2", "--nps-window = \"2\" (flag): it needs one of the units ms, s, m, h, d; for example: 2s"),
        ("timeout", "6m", "--timeout = \"6m\" (flag): it must be from 1s to 300s; for example: 5m"),
        ("concurrency", "-1", "--concurrency = \"-1\" (flag): it must be a whole number; for example: 32"),
        ("retry_jitter", "2", "--retry-jitter = \"2\" (flag): it must be from 0 to 1; for example: 0.2"),
        ("retry_jitter", "NaN", "--retry-jitter = \"NaN\" (flag): it must be from 0 to 1; for example: 0.2"),
        ("allow_private", "maybe", "--allow-private = \"maybe\" (flag): it must be true or false; for example: false"),
        ("log_format", "xml", "--log-format = \"xml\" (flag): it must be text or json; for example: text"),
        (
            "allow_net",
            "10.0.0.0/33",
            "--allow-net = \"10.0.0.0/33\" (flag): 10.0.0.0/33 is neither an address nor a network; for example: 10.0.0.0/8",
        ),
        (
            "node_address",
            "10.0.0.7",
            "--node-address = \"10.0.0.7\" (flag): it must be a host and a port; for example: 10.0.0.7:8080",
        ),
        (
            "store",
            "mysql://fanfare:secret@db/fanfare",
            "--store = … (flag): it must start with sqlite: or postgres://; for example: sqlite:",
        ),
        (
            "journal",
            "nats://a,kafka://ada:secret@b",
            "--journal = … (flag): it must start with file: or nats://, and so must each of several servers; for example: file:",
        ),
    ];
    for (name, value, expected) in cases {
        assert_eq!(with_flag(name, value).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_source_of_a_wrong_value_is_the_one_that_counts() {
    let (directory, mut sources) = in_directory("listen = \"nonsense\"");
    let path = directory.path().join("fanfare.toml");
    let error = Settings::load(&sources).unwrap_err().to_string();
    assert!(error.starts_with(&format!("listen = \"nonsense\" ({}): ", path.display())), "{error}");
    sources.environment = vec![variable("FANFARE_LISTEN", "worse")];
    let error = Settings::load(&sources).unwrap_err().to_string();
    assert!(error.starts_with("FANFARE_LISTEN = \"worse\" (environment): "), "{error}");
}

#[test]
fn an_unknown_name_is_an_error_that_suggests_the_nearest() {
    let (_directory, sources) = in_directory("retry_delay = [\"1s\"]");
    let error = Settings::load(&sources).unwrap_err().to_string();
    assert!(error.ends_with("; did you mean retry_delays?"), "{error}");

    let environment = |name: &str| Sources { environment: vec![variable(name, "x")], ..Sources::default() };
    let error = Settings::load(&environment("FANFARE_LISTN")).unwrap_err().to_string();
    assert_eq!(error, "there is no setting FANFARE_LISTN (environment); did you mean FANFARE_LISTEN?");
    let error = Settings::load(&environment("FANFARE_XYLOPHONE_TUNING")).unwrap_err().to_string();
    assert_eq!(error, "there is no setting FANFARE_XYLOPHONE_TUNING (environment)");

    for known in ["FANFARE_MASTER_KEY", "FANFARE_AGENT_KEY", "PATH", "fanfare_listen"] {
        assert!(Settings::load(&environment(known)).is_ok(), "{known}");
    }
}

#[test]
fn the_address_of_a_node_is_a_host_and_a_port() {
    for right in ["10.0.0.7:8080", "[2001:db8::7]:80", "fanfare-0.fanfare:8080"] {
        assert_eq!(with_flag("node_address", right).unwrap().node_address.as_deref(), Some(right));
    }
    let long = format!("{}:8080", "x".repeat(60));
    for wrong in [":80", "h:0", "h:99999", "h'x:80", "h x:80", "http://h:80", long.as_str()] {
        assert!(with_flag("node_address", wrong).is_err(), "{wrong}");
    }
    assert_eq!(with_flag("node_address", "").unwrap().node_address, None);
}

#[test]
fn places_and_urls_are_taken_as_given() {
    let journal = with_flag("journal", "file:/fast/journal").unwrap().journal_at;
    assert_eq!(journal, JournalAddress::Directory(PathBuf::from("/fast/journal")));
    assert_eq!(
        with_flag("store", "sqlite:///srv/db").unwrap().store,
        StoreAddress::Directory(PathBuf::from("/srv/db"))
    );
    assert_eq!(with_flag("public_url", "https://f.example/").unwrap().public_url, "https://f.example");
    assert_eq!(with_flag("listen", "[::1]:0").unwrap().public_url, "http://[::1]:0");
    for any in ["0.0.0.0:8080", "[::]:8080"] {
        assert_eq!(
            with_flag("listen", any).unwrap().public_url,
            "http://localhost:8080",
            "{any} leads a browser nowhere"
        );
    }
    for wrong in ["f.example", "https://", "ftp://x", "https://x/?q", "https://u@x"] {
        assert!(with_flag("public_url", wrong).is_err(), "{wrong}");
    }
}
