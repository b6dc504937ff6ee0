//! How what is set of a receiver is written into the store: JSON, sealed where it holds a secret. Secrets are base64,
//! since any byte may be in one.

use crate::model::{Auth, ClientCertificate, ClientCredentials, Format, Header, Preset, Secret};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

pub(super) fn format_of(json: &str) -> Option<Format> {
    let value: Value = serde_json::from_str(json).ok()?;
    if let Some(preset) = value["preset"].as_str() {
        return Preset::from_name(preset).map(Format::Preset);
    }
    Some(Format::Template { text: text(&value["template"])?, content_type: text(&value["content_type"])? })
}

pub(super) fn headers_json(headers: &[Header]) -> Option<String> {
    let one = |header: &Header| json!([header.name, encoded(&header.value)]);
    (!headers.is_empty()).then(|| headers.iter().map(one).collect::<Value>().to_string())
}

pub(super) fn headers_of(json: &str) -> Option<Vec<Header>> {
    let pairs: Vec<(String, Value)> = serde_json::from_str(json).ok()?;
    pairs.into_iter().map(|(name, value)| Some(Header { name, value: secret(&value)? })).collect()
}

pub(super) fn auth_json(auth: &Auth) -> String {
    match auth {
        Auth::Bearer { token } => json!({"type": "bearer", "token": encoded(token)}),
        Auth::Basic { username, password } => {
            json!({"type": "basic", "username": username, "password": encoded(password)})
        }
        Auth::OAuth2(client) => json!({
            "type": "oauth2",
            "token_url": client.token_url,
            "client_id": client.client_id,
            "client_secret": encoded(&client.client_secret),
            "scope": client.scope,
            "audience": client.audience,
            "in_body": client.in_body,
        }),
    }
    .to_string()
}

pub(super) fn auth_of(json: &str) -> Option<Auth> {
    let value: Value = serde_json::from_str(json).ok()?;
    match value["type"].as_str()? {
        "bearer" => Some(Auth::Bearer { token: secret(&value["token"])? }),
        "basic" => Some(Auth::Basic { username: text(&value["username"])?, password: secret(&value["password"])? }),
        "oauth2" => Some(Auth::OAuth2(ClientCredentials {
            token_url: text(&value["token_url"])?,
            client_id: text(&value["client_id"])?,
            client_secret: secret(&value["client_secret"])?,
            scope: text(&value["scope"])?,
            audience: text(&value["audience"])?,
            in_body: value["in_body"].as_bool()?,
        })),
        _ => None,
    }
}

pub(super) fn certificate_json(certificate: &ClientCertificate) -> String {
    let ClientCertificate { certificate, private_key } = certificate;
    json!({"certificate": certificate, "private_key": encoded(private_key)}).to_string()
}

pub(super) fn certificate_of(json: &str) -> Option<ClientCertificate> {
    let value: Value = serde_json::from_str(json).ok()?;
    Some(ClientCertificate { certificate: text(&value["certificate"])?, private_key: secret(&value["private_key"])? })
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(super) fn encoded(secret: &Secret) -> String {
    BASE64_STANDARD.encode(secret.expose())
}

pub(super) fn secret(value: &Value) -> Option<Secret> {
    BASE64_STANDARD.decode(value.as_str()?).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_reads_back_as_written() {
        let template = Format::Template { text: String::from("{{ event }}"), content_type: String::from("text/plain") };
        for format in Preset::ALL.map(Format::Preset).into_iter().chain([template]) {
            assert_eq!(format_of(&super::super::format_json(&format).to_string()), Some(format));
        }
        let secret = || Secret::new(vec![0, 255, b'"']);
        let headers = vec![Header { name: String::from("X-Key"), value: secret() }];
        assert_eq!(headers_of(&headers_json(&headers).unwrap()), Some(headers));
        assert_eq!(headers_json(&[]), None);
        let client = ClientCredentials {
            token_url: String::from("https://h/token"),
            client_id: String::from("id"),
            client_secret: secret(),
            scope: String::new(),
            audience: String::from("api"),
            in_body: true,
        };
        let basic = Auth::Basic { username: String::from("ada"), password: secret() };
        for auth in [Auth::Bearer { token: secret() }, basic, Auth::OAuth2(client)] {
            assert_eq!(auth_of(&auth_json(&auth)), Some(auth));
        }
        let certificate = ClientCertificate { certificate: String::from("-----BEGIN"), private_key: secret() };
        assert_eq!(certificate_of(&certificate_json(&certificate)), Some(certificate));
        assert_eq!(auth_of("{\"type\":\"none\"}"), None);
    }
}
