//! What of a webhook's values API and audit log may show: `true` stands for a secret that is set.

use crate::model::{Auth, CategorySet, Format};
use serde_json::{Value, json};

/// Categories: "all", or a list.
pub fn categories_json(set: CategorySet) -> Value {
    match set {
        CategorySet::All => json!("all"),
        CategorySet::Some(_) => set.iter().map(|category| category.name()).collect(),
    }
}

/// A format, as it is also kept.
pub fn format_json(format: &Format) -> Value {
    match format {
        Format::Preset(preset) => json!({"preset": preset.name()}),
        Format::Template { text, content_type } => json!({"template": text, "content_type": content_type}),
    }
}

/// How the receiver is shown who is asking.
pub fn auth_json(auth: &Auth) -> Value {
    match auth {
        Auth::Bearer { .. } => json!({"type": "bearer", "token": true}),
        Auth::Basic { username, .. } => json!({"type": "basic", "username": username, "password": true}),
        Auth::OAuth2(client) => json!({
            "type": "oauth2",
            "token_url": client.token_url,
            "client_id": client.client_id,
            "client_secret": true,
            "scope": client.scope,
            "audience": client.audience,
            "in_body": client.in_body,
        }),
    }
}
