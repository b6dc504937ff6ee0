//! The console's one page, with what only the server knows: where it is, and the nonce of this very answer.

use crate::clock::Random;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderValue;

/// What stands in the built page where the server has something to say.
pub(super) const BASE: &str = r#"<base href="/" />"#;
pub(super) const NONCE: &str = r#"<meta name="csp-nonce" content=""#;

/// Bytes of a nonce.
const NONCE_BYTES: usize = 16;

/// Which styles count that stand in the page itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InlineStyles {
    /// Those with the nonce.
    Refused,
    /// All: for a library that knows no nonce. What may run is not touched by it.
    Allowed,
}

/// The page, cut where the nonce goes.
pub(super) struct Page {
    before: String,
    after: String,
}

impl Page {
    pub(super) fn new(html: &str, public_url: &str) -> Self {
        let base = format!(r#"<base href="{}" />"#, escaped(&home(public_url)));
        let html = html.replacen(BASE, &base, 1);
        // Without the place for it, the page still comes: only styles that are added by script would be refused.
        let at = html.find(NONCE).map_or(html.len(), |at| at + NONCE.len());
        Self { before: html[..at].to_owned(), after: html[at..].to_owned() }
    }

    /// The page with a nonce that no other answer has.
    pub(super) fn answer(&self, random: &dyn Random, styles: InlineStyles) -> Response {
        let mut bytes = [0; NONCE_BYTES];
        random.fill(&mut bytes);
        let nonce = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let text = [&self.before, nonce.as_str(), &self.after].concat();
        super::html(text, policy(&nonce, styles)).into_response()
    }
}

/// Only what was built may run or be shown, and it may talk to nobody but this server. The component library adds styles
/// by script, for which it has the nonce.
fn policy(nonce: &str, styles: InlineStyles) -> HeaderValue {
    let inline = match styles {
        InlineStyles::Refused => format!("'nonce-{nonce}'"),
        // A nonce would make browsers ignore it.
        InlineStyles::Allowed => String::from("'unsafe-inline'"),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' {inline}; connect-src 'self'; \
         img-src 'self' data:; font-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The path of the console as browsers see it, from one slash to another: the path of the public URL.
pub fn home(public_url: &str) -> String {
    let after_scheme = public_url.find("://").map_or(0, |at| at + 3);
    let path = public_url[after_scheme..].find('/').map_or("", |at| &public_url[after_scheme + at..]);
    format!("{}/", path.trim_end_matches('/'))
}

/// As the value of an attribute.
pub(in crate::api) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}
