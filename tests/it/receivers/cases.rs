//! A genuine delivery, and all that can be wrong with one.

use crate::support::receiver::Request;
use crate::support::{events, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a receiver may see, and what it must make of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub what: String,
    pub secret: String,
    pub key: String,
    pub body: Vec<u8>,
    pub pendo: Option<String>,
    pub id: Option<String>,
    pub timestamp: Option<String>,
    pub signatures: Option<String>,
    /// Whether `X-Pendo-Signature` is right.
    pub pendo_ok: bool,
    /// Whether the Standard Webhooks headers are.
    pub standard_ok: bool,
}

impl Case {
    /// A delivery as it came.
    #[track_caller]
    pub fn genuine(request: &Request, secret: &str, key: &str) -> Self {
        let header = |name: &str| request.header(name).map(str::to_owned);
        Self {
            what: request.event(),
            secret: secret.to_owned(),
            key: key.to_owned(),
            body: request.body.clone(),
            pendo: header("X-Pendo-Signature"),
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signatures: header("webhook-signature"),
            pendo_ok: true,
            standard_ok: true,
        }
    }

    /// The same with a change, and what is to be made of it.
    pub fn but(&self, what: &str, ok: (bool, bool), change: impl FnOnce(&mut Self)) -> Self {
        let mut case = self.clone();
        change(&mut case);
        Self { what: format!("{}, {what}", self.what), pendo_ok: ok.0, standard_ok: ok.1, ..case }
    }

    /// Signed again, with this time.
    fn sent_at(&self, seconds: i64) -> (Option<String>, Option<String>) {
        let timestamp = seconds.to_string();
        let signature = sign::standard(&self.key, self.id.as_deref().unwrap(), &timestamp, &self.body);
        (Some(timestamp), Some(signature))
    }

    /// One line of what tests/receivers/drive.mjs describes.
    pub fn line(&self) -> String {
        let text = |value: &Option<String>| value.as_ref().map(String::as_bytes).map_or("-".to_owned(), field);
        let headers = [&self.pendo, &self.id, &self.timestamp, &self.signatures].map(text);
        let given = [self.secret.as_bytes(), self.key.as_bytes(), &self.body].map(field);
        [&given[..], &headers[..]].concat().join(" ")
    }

    /// The answer that a driver must give.
    pub fn answer(&self) -> String {
        format!("{} {}", word(self.pendo_ok), word(self.standard_ok))
    }
}

/// How drivers say it.
pub fn word(genuine: bool) -> &'static str {
    if genuine { "ok" } else { "refused" }
}

fn field(bytes: &[u8]) -> String {
    format!(":{}", STANDARD.encode(bytes))
}

/// Every case that begins with these deliveries.
pub fn all(genuine: &[Case]) -> Vec<Case> {
    let one = genuine.iter().find(|case| case.what == "trackEventReceived").expect("a track event");
    let changed =
        genuine.iter().map(|case| case.but("a byte changed", (false, false), |c| change_byte(&mut c.body, 5)));
    let mut cases = genuine.to_vec();
    cases.extend(changed);
    cases.extend([bodies(one), pendo(one), standard(one), rotation(one), clock(one)].concat());
    cases.push(vector(one));
    cases
}

fn change_byte(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

/// What proxies and parsers do to bodies.
fn bodies(one: &Case) -> Vec<Case> {
    let case = |what: &str, change: &dyn Fn(&mut Vec<u8>)| one.but(what, (false, false), |c| change(&mut c.body));
    let last = one.body.len() - 1;
    let value: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
    let spaced = serde_json::to_vec_pretty(&value).unwrap();
    let escaped = String::from_utf8(one.body.clone()).unwrap().replace('\u{e9}', "\\u00e9").into_bytes();
    assert_ne!(escaped, one.body);
    vec![
        case("the last byte changed", &|body| change_byte(body, last)),
        case("a byte in the middle changed", &|body| change_byte(body, last / 2)),
        case("a newline at the end", &|body| body.push(b'\n')),
        case("cut", &|body| body.truncate(last)),
        case("empty", &Vec::clear),
        case("parsed and written again", &|body| body.clone_from(&spaced)),
        case("escaped", &|body| body.clone_from(&escaped)),
    ]
}

/// `X-Pendo-Signature` gone or changed, and secrets that are nearly the right one.
fn pendo(one: &Case) -> Vec<Case> {
    let right = one.pendo.clone().expect("a signature");
    let header = |what: &str, value: Option<String>| one.but(what, (false, true), |c| c.pendo = value);
    let secret = |what: &str, value: &str| one.but(what, (false, true), |c| value.clone_into(&mut c.secret));
    let other_digit = if right.ends_with('0') { "1" } else { "0" };
    vec![
        header("no X-Pendo-Signature", None),
        header("X-Pendo-Signature empty", Some(String::new())),
        header("its last digit changed", Some(format!("{}{other_digit}", &right[..63]))),
        header(
            "its first digit changed",
            Some(format!("{}{}", if right.starts_with('0') { "1" } else { "0" }, &right[1..])),
        ),
        header("cut to a half", Some(right[..32].to_owned())),
        header("twice", Some(format!("{right}, {right}"))),
        header("with a prefix", Some(format!("sha256={right}"))),
        header("not ASCII", Some("\u{e9}".repeat(64))),
        secret("the secret trimmed", one.secret.trim()),
        secret("the secret normalised", &one.secret.replace("e\u{301}", "\u{e9}")),
        secret("another secret", "another"),
    ]
}

/// The headers of Standard Webhooks gone or changed.
fn standard(one: &Case) -> Vec<Case> {
    let case = |what: &str, change: &dyn Fn(&mut Case)| one.but(what, (true, false), change);
    let right = one.signatures.clone().expect("signatures");
    let bare = right.strip_prefix("v1,").expect("v1,");
    let later = (one.timestamp.as_ref().unwrap().parse::<i64>().unwrap() + 1).to_string();
    let other = STANDARD.encode([7; 32]);
    vec![
        case("no webhook-id", &|c| c.id = None),
        case("another webhook-id", &|c| c.id = Some("another".to_owned())),
        case("no webhook-timestamp", &|c| c.timestamp = None),
        case("webhook-timestamp empty", &|c| c.timestamp = Some(String::new())),
        case("webhook-timestamp no number", &|c| c.timestamp = Some("soon".to_owned())),
        case("webhook-timestamp too large", &|c| c.timestamp = Some("99999999999999999999".to_owned())),
        case("another webhook-timestamp", &|c| c.timestamp = Some(later.clone())),
        case("no webhook-signature", &|c| c.signatures = None),
        case("webhook-signature empty", &|c| c.signatures = Some(String::new())),
        case("without its version", &|c| c.signatures = Some(bare.to_owned())),
        case("of another version", &|c| c.signatures = Some(format!("v1a,{bare} v2,{bare}"))),
        case("another signature", &|c| c.signatures = Some(format!("v1,{other}"))),
        case("nothing but a version", &|c| c.signatures = Some("v1,".to_owned())),
        case("none of the three", &|c| (c.id, c.timestamp, c.signatures) = (None, None, None)),
        case("another key", &|c| c.key = format!("whsec_{other}")),
    ]
}

/// More than one signature in the header.
fn rotation(one: &Case) -> Vec<Case> {
    let other_key = format!("whsec_{}", STANDARD.encode([9; 32]));
    let (id, timestamp) = (one.id.clone().unwrap(), one.timestamp.clone().unwrap());
    let (right, other) = (one.signatures.clone().unwrap(), sign::standard(&other_key, &id, &timestamp, &one.body));
    let case = |what: &str, ok: bool, value: String| one.but(what, (true, ok), |c| c.signatures = Some(value));
    vec![
        case("the other key's signature first", true, format!("{other} {right}")),
        case("the other key's signature second", true, format!("{right} {other}")),
        case("the other key's alone", false, other.clone()),
        case("signatures of a later version first", true, format!("v2,{} {right}", &other[3..])),
        one.but("by the other key", (true, true), |c| {
            (c.key, c.signatures) = (other_key.clone(), Some(format!("{other} {right}")));
        }),
    ]
}

/// Genuine signatures with other times. A minute is left for these cases to be judged in.
fn clock(one: &Case) -> Vec<Case> {
    let now = events::now_ms() / 1000;
    let case = |what: &str, ok: bool, seconds: i64| {
        one.but(what, (true, ok), |c| (c.timestamp, c.signatures) = c.sent_at(seconds))
    };
    vec![
        case("four minutes old", true, now - 240),
        case("too old", false, now - 301),
        case("years old", false, 1_614_265_330),
        case("four minutes ahead", true, now + 240),
        case("too far ahead", false, now + 900),
    ]
}

/// The published vector of `X-Pendo-Signature`.
fn vector(one: &Case) -> Case {
    let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    one.but("Hello, World!", (true, false), |c| {
        c.body = b"Hello, World!".to_vec();
        c.secret = "It's a Secret to Everybody".to_owned();
        c.pendo = Some(signature.to_owned());
    })
}
