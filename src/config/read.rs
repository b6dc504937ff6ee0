//! From merged values to checked [`Settings`].

use super::keys::plain;
use super::layers::Merged;
use super::proxy::{Place, WrongPlace};
use super::units::{parse_bytes, parse_duration};
use super::{
    ApiSettings, ConfigError, DeliverySettings, DispatchSettings, HealthSettings, IntakeSettings, JournalAddress,
    JournalSettings, LogFormat, MailSettings, NatsSettings, OidcSettings, ProxySettings, RecordSettings, Settings,
    SignInSettings, SmtpSecurity, StoreAddress,
};
use crate::limits::NODE_ADDRESS_BYTES;
use crate::model::{Endpoint, Secret};
use figment::value::Value;
use ipnet::IpNet;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// Reads every setting.
pub(super) fn settings(merged: &Merged) -> Result<Settings, ConfigError> {
    let listen: SocketAddr = merged.parsed("listen")?;
    let data_dir = merged.directory("data_dir")?;
    Ok(Settings {
        listen,
        store: merged.store(&data_dir)?,
        journal_at: merged.journal_at(&data_dir)?,
        data_dir,
        node_address: merged.node_address()?,
        public_url: merged.public_url(listen)?,
        trusted_proxies: merged.networks("trusted_proxy")?,
        allow_private: merged.switch("allow_private")?,
        allow_nets: merged.networks("allow_net")?,
        demo: merged.switch("demo")?,
        stop_timeout: merged.duration("stop_timeout", Duration::ZERO..=Duration::from_secs(300))?,
        log: merged.log_filter()?,
        log_format: merged.log_format()?,
        intake: intake(merged)?,
        journal: journal(merged)?,
        dispatch: dispatch(merged)?,
        delivery: delivery(merged)?,
        records: records(merged)?,
        api: api(merged)?,
        sign_in: sign_in(merged)?,
        oidc: oidc(merged)?,
        mail: mail(merged)?,
    })
}

fn intake(merged: &Merged) -> Result<IntakeSettings, ConfigError> {
    Ok(IntakeSettings {
        item_id_ttl: merged.duration("item_id_ttl", SECOND..=30 * DAY)?,
        item_id_count: merged.number("item_id_count", 1..=1_000_000_000)?,
        nps_window: merged.duration("nps_window", Duration::ZERO..=Duration::from_secs(3600))?,
        first_seen_pending: merged.number("first_seen_pending", 1..=100_000_000)?,
        connections: merged.number("connections", 1..=1_000_000)?,
    })
}

fn journal(merged: &Merged) -> Result<JournalSettings, ConfigError> {
    Ok(JournalSettings {
        // A segment must take the largest group (a batch of large items) with room to spare.
        segment_bytes: merged.bytes("journal_segment_size", 4 * MIB..=4096 * MIB)?,
        max_age: merged.duration("journal_max_age", SECOND..=3650 * DAY)?,
        max_bytes: merged.bytes("journal_max_size", 8 * MIB..=1024 * TIB)?,
    })
}

fn dispatch(merged: &Merged) -> Result<DispatchSettings, ConfigError> {
    Ok(DispatchSettings {
        retry_delays: merged.delays("retry_delays")?,
        retry_jitter: merged.fraction("retry_jitter")?,
        retry_no_answer: merged.switch("retry_no_answer")?,
        concurrency: merged.number("concurrency", 1..=10_000)?,
        concurrency_total: merged.number("concurrency_total", 2..=100_000)?,
        quiet_after: merged.duration("quiet_after", Duration::from_millis(10)..=Duration::from_secs(300))?,
        troubled_per_s: merged.number("troubled_per_s", 1..=1_000_000)?,
        probe_pause: merged.duration("probe_pause", Duration::from_millis(1)..=DAY)?,
        waiting_retries: merged.number("waiting_retries", 1..=1_000_000)?,
        replay_rate_per_s: merged.number("replay_rate_per_s", 10..=100_000)?,
        backlog_max_age: merged.duration("backlog_max_age", SECOND..=3650 * DAY)?,
        backlog_max_bytes: merged.bytes("backlog_max_size", 1..=1024 * TIB)?,
        metrics_webhooks: merged.number("metrics_webhooks", 0..=100_000)?,
    })
}

fn delivery(merged: &Merged) -> Result<DeliverySettings, ConfigError> {
    Ok(DeliverySettings {
        timeout: merged.duration("timeout", SECOND..=Duration::from_secs(300))?,
        keep_alive: merged.duration("keep_alive", Duration::ZERO..=Duration::from_secs(3600))?,
        ca_file: merged.optional("ca_file")?.map(PathBuf::from),
        proxy: proxy(merged)?,
    })
}

fn proxy(merged: &Merged) -> Result<Option<ProxySettings>, ConfigError> {
    let (resolves, except) = (merged.switch("proxy_resolves")?, merged.networks("no_proxy")?);
    let password_file = merged.optional("proxy_password_file")?.map(PathBuf::from);
    let Some(text) = merged.optional("proxy")? else { return Ok(None) };
    let Place { socks, host, port, user } = text.parse().map_err(|why: WrongPlace| merged.hidden("proxy", &why))?;
    Ok(Some(ProxySettings { socks, host, port, user, password_file, resolves, except }))
}

fn records(merged: &Merged) -> Result<RecordSettings, ConfigError> {
    Ok(RecordSettings {
        max_age: merged.duration("records_max_age", SECOND..=3650 * DAY)?,
        max_bytes: merged.bytes("records_max_size", MIB..=1024 * TIB)?,
        health: health(merged)?,
    })
}

fn api(merged: &Merged) -> Result<ApiSettings, ConfigError> {
    Ok(ApiSettings {
        wrong_keys_per_minute: merged.number("wrong_keys_per_minute", 1..=1_000_000)?,
        calls_per_second: merged.number("calls_per_second", 1..=1_000_000)?,
        calls_burst: merged.number("calls_burst", 1..=10_000_000)?,
        body_bytes: usize::try_from(merged.bytes("api_body_size", 1024..=1024 * MIB)?).unwrap_or(usize::MAX),
        metadata_timeout: merged.duration("metadata_timeout", Duration::from_millis(1)..=Duration::from_secs(3600))?,
    })
}

fn health(merged: &Merged) -> Result<HealthSettings, ConfigError> {
    Ok(HealthSettings {
        failures: merged.number("turn_off_after_failures", 1..=1_000_000)?,
        failing_for: merged.duration("turn_off_after", Duration::ZERO..=30 * DAY)?,
        rate: merged.fraction("turn_off_rate")?,
        rate_deliveries: merged.number("turn_off_rate_deliveries", 1..=1_000_000_000)?,
        rate_window: merged.duration("turn_off_rate_window", Duration::from_millis(60)..=30 * DAY)?,
    })
}

fn sign_in(merged: &Merged) -> Result<SignInSettings, ConfigError> {
    Ok(SignInSettings {
        session_idle: merged.duration("session_idle", SECOND..=365 * DAY)?,
        session_max_age: merged.duration("session_max_age", SECOND..=365 * DAY)?,
        tries_per_account: merged.number("sign_in_tries_per_account", 1..=1_000_000)?,
        tries_per_address: merged.number("sign_in_tries_per_address", 1..=1_000_000)?,
    })
}

fn oidc(merged: &Merged) -> Result<OidcSettings, ConfigError> {
    let issuer = merged.optional("oidc_issuer")?;
    if issuer.as_ref().is_some_and(|issuer| Endpoint::parse(issuer).is_err()) {
        return Err(merged.invalid("oidc_issuer", "it must be an http:// or https:// URL"));
    }
    let client_id = merged.text("oidc_client_id")?;
    if issuer.is_some() && client_id.is_empty() {
        return Err(merged.invalid("oidc_client_id", "with oidc_issuer it must say by what the provider knows us"));
    }
    Ok(OidcSettings {
        issuer,
        client_id,
        client_secret_file: merged.optional("oidc_client_secret_file")?.map(PathBuf::from),
        name: merged.text("oidc_name")?,
    })
}

fn mail(merged: &Merged) -> Result<MailSettings, ConfigError> {
    Ok(MailSettings {
        smtp_host: merged.optional("smtp_host")?,
        smtp_port: merged.number("smtp_port", 1..=u16::MAX)?,
        smtp_security: merged.smtp_security()?,
        smtp_user: merged.optional("smtp_user")?,
        smtp_password_file: merged.optional("smtp_password_file")?.map(PathBuf::from),
        retry_delays: merged.delays("mail_retry_delays")?,
        mail_from: merged.parsed("mail_from")?,
    })
}

impl Merged {
    fn value(&self, key: &str) -> Value {
        self.figment.find_value(key).unwrap_or_else(|_| Value::from(""))
    }

    /// A single value as text: numbers and switches too, as files may write `"32"` or 32.
    fn text(&self, key: &str) -> Result<String, ConfigError> {
        match self.value(key) {
            Value::Array(..) | Value::Dict(..) => Err(self.invalid(key, "it takes one value")),
            value => Ok(plain(&value).trim().to_owned()),
        }
    }

    /// A text; `None` when it is empty.
    fn optional(&self, key: &str) -> Result<Option<String>, ConfigError> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()))
    }

    fn list(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        match self.value(key) {
            Value::Array(_, items) => Ok(items.iter().map(plain).collect()),
            Value::Dict(..) => Err(self.invalid(key, "it takes a list")),
            single => {
                Ok(plain(&single).split(',').map(|part| part.trim().to_owned()).filter(|p| !p.is_empty()).collect())
            }
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, ConfigError> {
        self.text(key)?.parse().map_err(|error: T::Err| self.invalid(key, &error.to_string()))
    }

    fn number<T: FromStr<Err: Display> + PartialOrd + Display>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
    ) -> Result<T, ConfigError> {
        let number = self.text(key)?.parse().map_err(|_| self.invalid(key, "it must be a whole number"))?;
        self.within(key, number, &range, |n| n.to_string())
    }

    fn duration(&self, key: &str, range: RangeInclusive<Duration>) -> Result<Duration, ConfigError> {
        let duration = parse_duration(&self.text(key)?).map_err(|error| self.invalid(key, &error.to_string()))?;
        self.within(key, duration, &range, |d| format!("{d:?}"))
    }

    fn bytes(&self, key: &str, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let bytes = parse_bytes(&self.text(key)?).map_err(|error| self.invalid(key, &error.to_string()))?;
        self.within(key, bytes, &range, |n| format!("{n} bytes"))
    }

    fn within<T: PartialOrd>(
        &self,
        key: &str,
        value: T,
        range: &RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> Result<T, ConfigError> {
        if range.contains(&value) {
            return Ok(value);
        }
        Err(self.invalid(key, &format!("it must be from {} to {}", show(range.start()), show(range.end()))))
    }

    fn switch(&self, key: &str) -> Result<bool, ConfigError> {
        match self.text(key)?.as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.invalid(key, "it must be true or false")),
        }
    }

    fn fraction(&self, key: &str) -> Result<f64, ConfigError> {
        let number: f64 = self.text(key)?.parse().map_err(|_| self.invalid(key, "it must be a number"))?;
        self.within(key, number, &(0.0..=1.0), f64::to_string)
    }

    fn delays(&self, key: &str) -> Result<Vec<Duration>, ConfigError> {
        let texts = self.list(key)?;
        // The journal counts attempts in one byte.
        if texts.len() > 100 {
            return Err(self.invalid(key, "it takes at most 100 pauses"));
        }
        texts
            .iter()
            .map(|text| {
                let delay = parse_duration(text).map_err(|error| self.invalid(key, &format!("{text}: {error}")))?;
                self.within(key, delay, &(Duration::ZERO..=30 * DAY), |d| format!("{d:?}"))
            })
            .collect()
    }

    /// Networks, or single addresses, which stand for themselves.
    fn networks(&self, key: &str) -> Result<Vec<IpNet>, ConfigError> {
        let network = |text: &String| {
            let single = text.parse::<IpAddr>().map(IpNet::from);
            single
                .or_else(|_| text.parse::<IpNet>())
                .map_err(|_| self.invalid(key, &format!("{text} is neither an address nor a network")))
        };
        self.list(key)?.iter().map(network).collect()
    }

    fn directory(&self, key: &str) -> Result<PathBuf, ConfigError> {
        let text = self.text(key)?;
        if text.is_empty() { Err(self.invalid(key, "it must name a directory")) } else { Ok(PathBuf::from(text)) }
    }

    /// A seam's backend: `None` for its place in the data directory.
    fn store(&self, data_dir: &Path) -> Result<StoreAddress, ConfigError> {
        let text = self.text("store")?;
        if ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(StoreAddress::Postgres(Secret::new(text)));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) => Ok(StoreAddress::Directory(directory(path).unwrap_or_else(|| data_dir.to_owned()))),
            None => Err(self.hidden("store", &"it must start with sqlite: or postgres://")),
        }
    }

    fn journal_at(&self, data_dir: &Path) -> Result<JournalAddress, ConfigError> {
        let text = self.text("journal")?;
        if text.split(',').all(|url| ["nats://", "tls://"].iter().any(|scheme| url.trim().starts_with(scheme))) {
            let replicas = self.number("journal_replicas", 1..=5)?;
            let stream = self.text("journal_stream")?;
            if stream.is_empty() || !stream.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
                return Err(self.invalid("journal_stream", "it must be letters, digits, _ and -"));
            }
            return Ok(JournalAddress::Nats(NatsSettings { urls: Secret::new(text), replicas, stream }));
        }
        match text.strip_prefix("file:") {
            Some(path) => Ok(JournalAddress::Directory(directory(path).unwrap_or_else(|| data_dir.join("journal")))),
            None => {
                Err(self.hidden("journal", &"it must start with file: or nats://, and so must each of several servers"))
            }
        }
    }

    fn node_address(&self) -> Result<Option<String>, ConfigError> {
        let text = self.text("node_address")?;
        if text.is_empty() {
            return Ok(None);
        }
        let is_host = |host: &str| {
            let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte))
        };
        match text.rsplit_once(':') {
            Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0) => {}
            _ => return Err(self.invalid("node_address", "it must be a host and a port")),
        }
        if text.len() > NODE_ADDRESS_BYTES {
            return Err(self.invalid("node_address", &format!("it must not be longer than {NODE_ADDRESS_BYTES} bytes")));
        }
        Ok(Some(text))
    }

    fn public_url(&self, listen: SocketAddr) -> Result<String, ConfigError> {
        let text = self.text("public_url")?;
        if text.is_empty() {
            // No browser gets anywhere by the address that stands for all of them.
            let is_any = listen.ip().is_unspecified();
            return Ok(if is_any { format!("http://localhost:{}", listen.port()) } else { format!("http://{listen}") });
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.contains(['?', '#', ' ', '@']) => {
                Ok(text.trim_end_matches('/').to_owned())
            }
            _ => Err(self.invalid("public_url", "it must be an http:// or https:// URL without query")),
        }
    }

    fn log_filter(&self) -> Result<String, ConfigError> {
        let text = self.text("log")?;
        match tracing_subscriber::EnvFilter::try_new(&text) {
            Ok(_) if !text.is_empty() => Ok(text),
            Ok(_) => Err(self.invalid("log", "it must name a level")),
            Err(error) => Err(self.invalid("log", &error.to_string())),
        }
    }

    fn log_format(&self) -> Result<LogFormat, ConfigError> {
        match self.text("log_format")?.as_str() {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(self.invalid("log_format", "it must be text or json")),
        }
    }

    fn smtp_security(&self) -> Result<SmtpSecurity, ConfigError> {
        match self.text("smtp_security")?.as_str() {
            "starttls" => Ok(SmtpSecurity::Starttls),
            "tls" => Ok(SmtpSecurity::Tls),
            "none" => Ok(SmtpSecurity::None),
            _ => Err(self.invalid("smtp_security", "it must be starttls, tls or none")),
        }
    }

    fn invalid(&self, name: &str, why: &str) -> ConfigError {
        self.wrong(name, why, format!("{:?}", plain(&self.value(name))))
    }

    /// The same for a value that may hold a password, although it must not.
    fn hidden(&self, name: &str, why: &dyn Display) -> ConfigError {
        self.wrong(name, &why.to_string(), String::from("…"))
    }

    fn wrong(&self, name: &str, why: &str, value: String) -> ConfigError {
        let source = self.figment.find_metadata(name).map_or("default", |metadata| metadata.name.as_ref());
        let key = self.keys.iter().find(|key| key.name == name);
        let written = match (source, key) {
            ("flag", Some(key)) => format!("--{}", key.flag()),
            ("environment", Some(key)) => key.variable(),
            _ => name.to_owned(),
        };
        let example = match (name, key) {
            ("public_url", _) => "https://fanfare.example.com".to_owned(),
            ("oidc_issuer", _) => "https://accounts.example.com".to_owned(),
            ("node_address", _) => "10.0.0.7:8080".to_owned(),
            ("oidc_client_id", _) => "fanfare".to_owned(),
            ("proxy", _) => "http://proxy.example.com:3128".to_owned(),
            (_, Some(key)) if !key.default.is_empty() => key.default.clone(),
            _ => "10.0.0.0/8".to_owned(),
        };
        ConfigError::Invalid { key: written, source_name: source.to_owned(), value, why: why.to_owned(), example }
    }
}

/// The directory that a `sqlite:` or `file:` names, if it names one.
fn directory(path: &str) -> Option<PathBuf> {
    (!path.is_empty()).then(|| Path::new(path.trim_start_matches("//")).to_owned())
}

#[cfg(test)]
mod tests;
