//! Who may make which call: every call of the OpenAPI document, made by everybody, against the table in
//! docs/permissions.md. A call that is not in the table, or answers otherwise than it says, fails the test.

use super::openapi_json;
use super::support::{ADMIN_SESSION, Answer, MEMBER, MEMBER_SESSION, Node, OTHER, delivery, event, replay};
use crate::api::cookie;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// How the table is written again after a decision: it is then for a person to read the difference.
const REWRITE: &str = "REWRITE_PERMISSIONS";

/// Everybody who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    MemberKey,
    MemberSession,
    AdminKey,
    AdminSession,
    OtherAdminKey,
}

const EVERYBODY: [Who; 6] =
    [Who::Nobody, Who::MemberKey, Who::MemberSession, Who::AdminKey, Who::AdminSession, Who::OtherAdminKey];

/// A node with something of everything, and the ids of what is its first subscription's only.
struct Filled {
    node: Node,
    ids: Vec<(&'static str, String)>,
}

/// A call of the document.
struct Call {
    method: String,
    template: String,
}

impl Filled {
    async fn new() -> Self {
        let node = Node::with_sessions();
        let webhook = node.webhook(&node.admin).await;
        let detail = delivery(webhook.parse().unwrap(), 0x4d);
        let delivery = detail.summary.id.to_string();
        node.records.deliveries.lock().unwrap().push((node.subscription, detail));
        node.records.events.lock().unwrap().push((node.subscription, event(0x4d)));
        let made = async |path: &str, body: Value| {
            let made = node.call("POST", path, Some(body)).await.ok(201);
            made["id"].as_str().map_or_else(|| made["id"].to_string(), ToOwned::to_owned)
        };
        node.records.replays.lock().unwrap().push(replay(node.subscription, webhook.parse().unwrap(), 0x5e));
        let key = made("/api/v1/keys", json!({"name": "k", "role": "member"})).await;
        let app = made("/api/v1/apps", json!({"name": "Only here"})).await;
        let user = made("/api/v1/users", json!({"email": "u@example.com", "name": "U", "role": "member"})).await;
        // The one that invites them.
        let mail = node.call("GET", "/api/v1/mails", None).await.ok(200)["data"][0]["id"].as_str().unwrap().to_owned();
        let exclusion = made("/api/v1/exclusions", json!({"kind": "visitor", "pattern": "only-here"})).await;
        let guide = made("/api/v1/guides", json!({"name": "Only here", "steps": [{}]})).await;
        node.records.people.lock().unwrap().push((node.subscription, String::from("only-here")));
        let rule = made("/api/v1/do-not-process", json!({"kind": "visitor", "id": "not-processed"})).await;
        let job = node.call("POST", "/api/v1/visitors/only-here/forget", None).await.ok(202);
        let event = String::from("evt_4d");
        let ids = vec![
            ("webhooks", webhook),
            ("deliveries", delivery),
            ("events", event),
            ("keys", key),
            ("apps", app),
            ("users", user),
            ("mails", mail),
            ("exclusions", exclusion),
            ("guides", guide),
            ("do-not-process", rule),
            ("forget-jobs", job["id"].as_str().unwrap().to_owned()),
            ("visitors", String::from("only-here")),
            ("accounts", String::from("only-here")),
            ("metadata", String::from("only-here")),
        ];
        Self { node, ids }
    }

    async fn call(&self, who: Who, call: &Call) -> Answer {
        let (node, path) = (&self.node, self.path(call));
        let with_session = async |token: &str| {
            let csrf = cookie::csrf_token(token);
            node.browse((token, &csrf), &call.method, &path, None).await
        };
        match who {
            Who::Nobody => node.browse(("", ""), &call.method, &path, None).await,
            Who::MemberKey => node.call_as(MEMBER, &call.method, &path, None).await,
            Who::MemberSession => with_session(MEMBER_SESSION).await,
            Who::AdminKey => node.call(&call.method, &path, None).await,
            Who::AdminSession => with_session(ADMIN_SESSION).await,
            Who::OtherAdminKey => node.call_as(OTHER, &call.method, &path, None).await,
        }
    }

    /// The call's path, with the id of something that is the first subscription's.
    fn path(&self, call: &Call) -> String {
        let template = call
            .template
            .replace("{kind}", "visitor")
            .replace("{group}", "custom")
            .replace("{field}", "plan")
            .replace("{replay}", "rpl_5e");
        if !call.names_something() {
            return template;
        }
        let kind = template.split('/').nth(3).unwrap();
        let (_, id) =
            self.ids.iter().find(|(of, _)| *of == kind).unwrap_or_else(|| panic!("what is the id of {kind}?"));
        template.replace("{id}", id)
    }
}

impl Call {
    fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(&openapi_json()).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let mut calls: Vec<_> = paths
            .flat_map(|(template, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| Self { method: method.to_uppercase(), template: template.clone() })
            })
            .collect();
        calls.sort_by(|a, b| (&a.template, &a.method).cmp(&(&b.template, &b.method)));
        calls
    }

    fn names_something(&self) -> bool {
        self.template.contains("{id}")
    }
}

/// What an answer says about permission. Whatever comes after it (a missing field, a wrong state) is for those who may.
fn decision(answer: &Answer) -> &'static str {
    match answer.status.as_u16() {
        401 => "401",
        403 => "403",
        404 => "404",
        500.. => panic!("{}", answer.text),
        _ => "yes",
    }
}

#[tokio::test]
async fn the_table_says_who_may_make_which_call() {
    let mut table = String::from(
        "# Who may make which call\n\n\
         Made by a test from the OpenAPI document, and checked by it. \"yes\": the call is looked at (its body may still be \
         wrong). 401: a\ncredential is missing. 403: the role, or the kind of credential, does not allow it. 404: for this \
         caller it does not exist.\nCalls with an `{id}` are made with the id of something that belongs to the first \
         subscription. The\ncalls that lead to a sign-in provider are 404 because the test's installation has none.\n\n\
         | call | nobody | member's key | member's session | admin's key | admin's session | other subscription's admin |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for call in Call::all() {
        let _ = write!(table, "| `{} {}` |", call.method, call.template);
        for who in EVERYBODY {
            // Each on a node of its own: some calls delete what the next one would need.
            let filled = Filled::new().await;
            let answer = filled.call(who, &call).await;
            let _ = write!(table, " {} |", decision(&answer));
        }
        table.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions.md");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let decided = std::fs::read_to_string(&path).unwrap_or_default();
    for (is, should) in table.lines().zip(decided.lines()) {
        assert_eq!(is, should, "if that is meant, {REWRITE}=1 writes docs/permissions.md again: read the difference");
    }
    assert_eq!(table.lines().count(), decided.lines().count(), "calls are missing: see {REWRITE}");
}

#[tokio::test]
async fn a_member_changes_nothing() {
    let filled = Filled::new().await;
    let before = filled.node.get("/api/v1/audit-log").await.text;
    for call in Call::all().iter().filter(|call| call.method != "GET" && !call.template.contains("/session")) {
        filled.call(Who::MemberKey, call).await;
        filled.call(Who::MemberSession, call).await;
    }
    assert_eq!(filled.node.get("/api/v1/audit-log").await.text, before);
    assert!(filled.node.journal.entries().is_empty() && filled.node.receiver.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    let filled = Filled::new().await;
    let node = &filled.node;
    for call in Call::all() {
        let answer = filled.call(Who::OtherAdminKey, &call).await;
        if call.names_something() {
            answer.problem(404, "not_found");
        } else if call.method == "GET" {
            let shown = filled.ids.iter().find(|(_, id)| answer.text.contains(id.as_str()));
            assert_eq!(shown, None, "{} shows another subscription's", call.template);
        }
    }
    assert_eq!(node.catalog.current().webhooks.len(), 1);
    assert!(node.journal.entries().is_empty() && node.receiver.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_guessed_credential_opens_nothing() {
    let filled = Filled::new().await;
    for call in Call::all() {
        let answer = filled.node.call_as("ff_key_guess", &call.method, &filled.path(&call), None).await;
        let bare = filled.call(Who::Nobody, &call).await;
        if decision(&bare) == "401" {
            bare.problem(401, "no_key");
            assert_eq!(bare.headers["www-authenticate"], "Bearer");
            answer.problem(401, "wrong_key");
        }
    }
}
