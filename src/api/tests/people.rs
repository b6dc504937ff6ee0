//! Set-up, sign-in, invitations, links, the second factor: all through the API, mails read from the outbox.

use super::support::{Answer, MEMBER, NOW, Node, OTHER};
use crate::model::UnixMs;
use serde_json::{Value, json};
use std::time::Duration;

const SESSION: &str = "/api/v1/session";
const USERS: &str = "/api/v1/users";
const PASSWORD: &str = "correct horse battery";

/// A browser: its cookie and the CSRF token of its session.
struct Browser<'a> {
    node: &'a Node,
    cookie: String,
    csrf: String,
}

impl<'a> Browser<'a> {
    /// Whoever has just been signed in by this answer.
    fn of(node: &'a Node, answer: &Answer) -> Self {
        let body = answer.ok(201);
        let set = answer.headers["set-cookie"].to_str().unwrap();
        assert!(set.ends_with("; HttpOnly; SameSite=Strict"), "{set}");
        let cookie = set.strip_prefix("fanfare_session=").unwrap().split(';').next().unwrap().to_owned();
        assert!(!answer.text.contains(&cookie), "the token is in the cookie alone");
        Self { node, cookie, csrf: body["csrf_token"].as_str().unwrap().to_owned() }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.node.browse((&self.cookie, &self.csrf), method, path, body).await
    }
}

async fn anybody(node: &Node, method: &str, path: &str, body: Value) -> Answer {
    node.browse(("", ""), method, path, Some(body)).await
}

async fn sign_in(node: &Node, email: &str, password: &str) -> Answer {
    anybody(node, "POST", SESSION, json!({"email": email, "password": password})).await
}

/// The first admin, signed in.
async fn set_up(node: &Node) -> Browser<'_> {
    let admin = json!({"token": node.setup, "email": "Root@Example.com", "name": "Root", "password": PASSWORD});
    Browser::of(node, &anybody(node, "POST", "/api/v1/set-up", admin).await)
}

/// Invites somebody and gives their id.
async fn invite(node: &Node, email: &str, role: &str) -> String {
    // So that the newest mail is the newest.
    node.clock.set(node.clock_now().after(Duration::from_millis(1)));
    let user = json!({"email": email, "name": "Somebody", "role": role});
    node.call("POST", USERS, Some(user)).await.ok(201)["id"].as_str().unwrap().to_owned()
}

/// The token in the newest mail to this address.
async fn mailed_token(node: &Node, to: &str) -> String {
    let mails = node.catalog.mail().newest(100).await.unwrap();
    let mail = mails.into_iter().find(|mail| mail.row.recipient == to).expect("a mail to them");
    let text = mail.letter.unwrap().text;
    text.split_once("token=").expect("a link").1.lines().next().unwrap().to_owned()
}

async fn accept(node: &Node, token: &str) -> Answer {
    anybody(node, "POST", "/api/v1/invitation", json!({"token": token, "password": PASSWORD})).await
}

async fn actions(node: &Node) -> Vec<String> {
    let rows = node.get("/api/v1/audit-log").await.ok(200);
    let shown = |row: &Value| {
        format!("{} {} {}", row["actor"]["name"].as_str().unwrap(), row["action"].as_str().unwrap(), row["after"])
    };
    rows["data"].as_array().unwrap().iter().rev().map(shown).collect()
}

#[tokio::test]
async fn the_first_admin_sets_up_once_and_owns_what_the_first_key_made() {
    let node = Node::new();
    let webhook = node.webhook(&node.admin).await;
    let needed = async || node.browse(("", ""), "GET", "/api/v1/set-up", None).await.ok(200)["needed"].clone();
    assert_eq!(needed().await, true);
    for (wrong, field) in [("email", "nobody"), ("name", ""), ("password", "short")] {
        let mut body = json!({"token": node.setup, "email": "a@b.example", "name": "A", "password": PASSWORD});
        body[wrong] = json!(field);
        let answer = anybody(&node, "POST", "/api/v1/set-up", body).await;
        answer.problem(422, "wrong_field");
        assert_eq!(answer.json()["field"], wrong);
    }
    let guess = json!({"token": "guess", "email": "a@b.example", "name": "A", "password": PASSWORD});
    anybody(&node, "POST", "/api/v1/set-up", guess).await.problem(410, "link_ended");
    let root = set_up(&node).await;
    assert_eq!(needed().await, false);
    let again = json!({"token": node.setup, "email": "c@d.example", "name": "C", "password": PASSWORD});
    anybody(&node, "POST", "/api/v1/set-up", again).await.problem(410, "link_ended");

    let me = root.call("GET", SESSION, None).await.ok(200);
    assert_eq!((me["user"]["email"].as_str(), me["user"]["role"].as_str()), (Some("root@example.com"), Some("admin")));
    assert_eq!(me["csrf_token"], root.csrf);
    let owned = root.call("GET", &format!("/api/v1/webhooks/{webhook}"), None).await.ok(200);
    assert_eq!(owned["owner"]["id"], me["user"]["id"]);
    let key = &node.get("/api/v1/keys").await.ok(200)["data"];
    assert!(key.as_array().unwrap().iter().all(|key| key["made_by"] == "root@example.com"), "{key}");
    let id = me["user"]["id"].clone();
    let node = node.restart();
    let owned = node.get(&format!("/api/v1/webhooks/{webhook}")).await.ok(200);
    assert_eq!(owned["owner"]["id"], id, "also after a restart");
}

#[tokio::test]
async fn a_session_does_what_its_role_may_and_only_with_the_csrf_token() {
    let node = Node::new();
    let root = set_up(&node).await;
    let body = Some(json!({"name": "n", "url": "https://example.com/"}));
    let made = root.call("POST", "/api/v1/webhooks", body.clone()).await.ok(201);
    assert_eq!(made["owner"]["email"], "root@example.com");
    for csrf in ["", "guess"] {
        node.browse((&root.cookie, csrf), "POST", "/api/v1/webhooks", body.clone()).await.problem(403, "csrf");
        node.browse((&root.cookie, csrf), "DELETE", SESSION, None).await.problem(403, "csrf");
    }
    node.browse((&root.cookie, ""), "GET", "/api/v1/webhooks", None).await.ok(200);
    node.browse(("ff_session_guess", &root.csrf), "GET", SESSION, None).await.problem(401, "session_ended");
    node.call("GET", SESSION, None).await.problem(403, "no_session");

    invite(&node, "mia@example.com", "member").await;
    let mia = Browser::of(&node, &accept(&node, &mailed_token(&node, "mia@example.com").await).await);
    mia.call("GET", "/api/v1/webhooks", None).await.ok(200);
    mia.call("POST", "/api/v1/webhooks", body.clone()).await.problem(403, "forbidden");
    node.browse((&mia.cookie, &root.csrf), "DELETE", SESSION, None).await.problem(403, "csrf");
    let id = mia.call("GET", SESSION, None).await.ok(200)["user"]["id"].as_str().unwrap().to_owned();
    root.call("PATCH", &format!("{USERS}/{id}"), Some(json!({"role": "admin"}))).await.ok(200);
    mia.call("POST", "/api/v1/webhooks", body).await.ok(201);
    assert_eq!(node.call_as(OTHER, "GET", USERS, None).await.ok(200)["data"].as_array().unwrap().len(), 1);
    node.call_as(OTHER, "DELETE", &format!("{USERS}/{id}"), None).await.problem(404, "not_found");
}

#[tokio::test]
async fn signing_out_ends_one_session_or_all() {
    let node = Node::new();
    let one = set_up(&node).await;
    let again = async || Browser::of(&node, &sign_in(&node, " ROOT@example.com", PASSWORD).await);
    let (two, three) = (again().await, again().await);
    assert_ne!(one.cookie, two.cookie, "each sign-in has a token of its own, whatever the browser sent");
    let out = one.call("DELETE", SESSION, None).await;
    assert!(out.headers["set-cookie"].to_str().unwrap().starts_with("fanfare_session=; Path=/; Max-Age=0"));
    one.call("GET", SESSION, None).await.problem(401, "session_ended");
    two.call("GET", SESSION, None).await.ok(200);
    two.call("DELETE", "/api/v1/sessions", None).await.ok(204);
    for ended in [&two, &three] {
        ended.call("GET", SESSION, None).await.problem(401, "session_ended");
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_at_the_latest_after_its_time() {
    let node = Node::new();
    let root = set_up(&node).await;
    let hours = |hours: u64| NOW.after(Duration::from_secs(hours * 3600));
    for day in 1..30 {
        node.clock.set(hours(day * 23));
        root.call("GET", SESSION, None).await.ok(200);
    }
    node.clock.set(hours(29 * 23 + 24));
    root.call("GET", SESSION, None).await.problem(401, "session_ended");
    let busy = Browser::of(&node, &sign_in(&node, "root@example.com", PASSWORD).await);
    let began = node.clock_now();
    for hours in (12..720).step_by(12) {
        node.clock.set(began.after(Duration::from_secs(hours * 3600)));
        busy.call("GET", SESSION, None).await.ok(200);
    }
    node.clock.set(began.after(Duration::from_secs(720 * 3600)));
    busy.call("GET", SESSION, None).await.problem(401, "session_ended");
}

#[tokio::test]
async fn wrong_passwords_are_slowed_for_an_account_and_for_an_address() {
    let node = Node::new();
    set_up(&node).await;
    for email in ["root@example.com", "nobody@example.com"] {
        for _ in 0..10 {
            sign_in(&node, email, "wrong password").await.problem(401, "wrong_sign_in");
        }
        let slowed = sign_in(&node, email, "wrong password").await;
        slowed.problem(429, "too_many_tries");
        assert_eq!(slowed.headers["retry-after"], "90", "{email}: the same whether there is such an account or not");
    }
    sign_in(&node, "root@example.com", PASSWORD).await.problem(429, "too_many_tries");
    node.clock.set(UnixMs(NOW.0 + 90_000));
    sign_in(&node, "root@example.com", PASSWORD).await.ok(201);
    sign_in(&node, "root@example.com", PASSWORD).await.ok(201);
    // The address: 60 tries, of which 20 were made and 6 came back since, were not yet enough to be slowed.
    let mut statuses = Vec::new();
    for guess in 0..50 {
        let email = format!("guess{guess}@example.com");
        statuses.push(anybody(&node, "POST", "/api/v1/password-reset", json!({"email": email})).await.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[49]), (202, 429), "{statuses:?}");
    let log = actions(&node).await;
    let refused = log.iter().filter(|entry| entry.contains("session.refused")).count();
    assert_eq!(refused, 10, "tries that were not looked at are not in the log: {log:?}");
}

#[tokio::test]
async fn an_invitation_is_accepted_once_and_in_time() {
    let node = Node::new();
    set_up(&node).await;
    let id = invite(&node, "Mia@Example.com", "member").await;
    let path = format!("{USERS}/{id}");
    assert_eq!(node.get(&path).await.ok(200)["state"], "invited");
    let first = mailed_token(&node, "mia@example.com").await;
    sign_in(&node, "mia@example.com", PASSWORD).await.problem(401, "wrong_sign_in");
    let twice = node.call("POST", USERS, Some(json!({"email": "mia@example.com", "name": "M", "role": "admin"}))).await;
    twice.problem(409, "email_taken");

    node.clock.set(NOW.after(Duration::from_secs(7 * 24 * 3600 + 1)));
    accept(&node, &first).await.problem(410, "link_ended");
    node.call("POST", &format!("{path}/invite"), None).await.ok(202);
    let second = mailed_token(&node, "mia@example.com").await;
    assert_ne!(first, second);
    let short = json!({"token": second, "password": "short"});
    anybody(&node, "POST", "/api/v1/invitation", short).await.problem(422, "wrong_field");
    let named = json!({"token": second, "password": PASSWORD, "name": "Mia"});
    let mia = Browser::of(&node, &anybody(&node, "POST", "/api/v1/invitation", named).await);
    let shown = mia.call("GET", SESSION, None).await.ok(200);
    assert_eq!((shown["user"]["state"].as_str(), shown["user"]["name"].as_str()), (Some("active"), Some("Mia")));
    accept(&node, &second).await.problem(410, "link_ended");
    node.call("POST", &format!("{path}/invite"), None).await.problem(409, "accepted_already");
    anybody(&node, "PUT", "/api/v1/password-reset", json!({"token": second, "password": PASSWORD}))
        .await
        .problem(410, "link_ended");
}

#[tokio::test]
async fn who_is_removed_is_out_at_once_and_can_come_back_as_who_they_were() {
    let node = Node::new();
    let root = set_up(&node).await;
    let id = invite(&node, "ben@example.com", "admin").await;
    let ben = Browser::of(&node, &accept(&node, &mailed_token(&node, "ben@example.com").await).await);
    let webhook = ben.call("POST", "/api/v1/webhooks", Some(json!({"name": "n", "url": "https://example.com/"}))).await;
    let webhook = webhook.ok(201)["id"].as_str().unwrap().to_owned();
    anybody(&node, "POST", "/api/v1/password-reset", json!({"email": "ben@example.com"})).await.ok(202);

    root.call("DELETE", &format!("{USERS}/{id}"), None).await.ok(204);
    ben.call("GET", SESSION, None).await.problem(401, "session_ended");
    sign_in(&node, "ben@example.com", PASSWORD).await.problem(401, "wrong_sign_in");
    node.get(&format!("{USERS}/{id}")).await.problem(404, "not_found");
    root.call("DELETE", &format!("{USERS}/{id}"), None).await.problem(404, "not_found");
    let owner = node.get(&format!("/api/v1/webhooks/{webhook}")).await.ok(200)["owner"].clone();
    assert_eq!(owner["email"], "ben@example.com", "what he made still says who made it");

    assert_eq!(invite(&node, "ben@example.com", "member").await, id);
    let node = node.restart();
    sign_in(&node, "ben@example.com", PASSWORD).await.problem(401, "wrong_sign_in");
    accept(&node, &mailed_token(&node, "ben@example.com").await).await.ok(201);
}

#[tokio::test]
async fn the_last_admin_stays() {
    let node = Node::new();
    let root = set_up(&node).await;
    let me = root.call("GET", SESSION, None).await.ok(200)["user"]["id"].as_str().unwrap().to_owned();
    let path = format!("{USERS}/{me}");
    invite(&node, "ben@example.com", "admin").await;
    // Ben has not accepted yet: he manages nothing.
    root.call("DELETE", &path, None).await.problem(409, "last_admin");
    root.call("PATCH", &path, Some(json!({"role": "member"}))).await.problem(409, "last_admin");
    root.call("PATCH", &path, Some(json!({"name": "Ruth", "role": "admin"}))).await.ok(200);
    accept(&node, &mailed_token(&node, "ben@example.com").await).await.ok(201);
    root.call("PATCH", &path, Some(json!({"role": "member"}))).await.ok(200);
    root.call("DELETE", &path, None).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_mail() {
    let node = Node::new();
    let root = set_up(&node).await;
    let ask = async |email: &str| anybody(&node, "POST", "/api/v1/password-reset", json!({"email": email})).await;
    let mails = async || node.catalog.mail().newest(100).await.unwrap().len();
    assert_eq!(ask("nobody@example.com").await.text, ask("root@example.com").await.text);
    while mails().await < 1 {
        tokio::task::yield_now().await;
    }
    let token = mailed_token(&node, "root@example.com").await;
    let reset = async |token: &str, password: &str| {
        anybody(&node, "PUT", "/api/v1/password-reset", json!({"token": token, "password": password})).await
    };
    reset("guess", "another long one").await.problem(410, "link_ended");
    reset(&token, "short").await.problem(422, "wrong_field");
    reset(&token, "another long one").await.ok(204);
    reset(&token, "and yet another one").await.problem(410, "link_ended");
    root.call("GET", SESSION, None).await.problem(401, "session_ended");
    sign_in(&node, "root@example.com", PASSWORD).await.problem(401, "wrong_sign_in");
    sign_in(&node, "root@example.com", "another long one").await.ok(201);
    let subjects: Vec<_> = node.catalog.mail().newest(9).await.unwrap().into_iter().map(|m| m.row.subject).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects.contains(&String::from("Your password for Fanfare was changed")), "{subjects:?}");
}

#[tokio::test]
async fn a_password_is_changed_by_the_old_one() {
    let node = Node::new();
    let root = set_up(&node).await;
    let other = Browser::of(&node, &sign_in(&node, "root@example.com", PASSWORD).await);
    let change = |old: &str| Some(json!({"current_password": old, "password": "another long one"}));
    let path = "/api/v1/session/password";
    let wrong = root.call("PUT", path, change("wrong")).await;
    wrong.problem(422, "wrong_field");
    assert_eq!(wrong.json()["field"], "current_password");
    root.call("PUT", path, change(PASSWORD)).await.ok(204);
    root.call("GET", SESSION, None).await.ok(200);
    other.call("GET", SESSION, None).await.problem(401, "session_ended");
    for _ in 0..9 {
        root.call("PUT", path, change("wrong")).await.problem(422, "wrong_field");
    }
    root.call("PUT", path, change("wrong")).await.problem(429, "too_many_tries");
}

#[tokio::test]
async fn a_new_address_is_proved_before_it_is_used() {
    let node = Node::new();
    let root = set_up(&node).await;
    invite(&node, "mia@example.com", "member").await;
    let path = "/api/v1/session/email";
    let to = |email: &str| Some(json!({"current_password": PASSWORD, "email": email}));
    root.call("PUT", path, to("mia@example.com")).await.problem(409, "email_taken");
    root.call("PUT", path, to("no address")).await.problem(422, "wrong_field");
    root.call("PUT", path, to("New@Example.com")).await.ok(202);
    assert_eq!(root.call("GET", SESSION, None).await.ok(200)["user"]["email"], "root@example.com");
    let token = mailed_token(&node, "new@example.com").await;
    let confirm = async |token: &str| anybody(&node, "POST", "/api/v1/email-change", json!({"token": token})).await;
    confirm("guess").await.problem(410, "link_ended");
    confirm(&token).await.ok(204);
    confirm(&token).await.problem(410, "link_ended");
    assert_eq!(root.call("GET", SESSION, None).await.ok(200)["user"]["email"], "new@example.com");
    sign_in(&node, "new@example.com", PASSWORD).await.ok(201);
    let mails = node.catalog.mail().newest(9).await.unwrap();
    let told = mails.iter().find(|mail| mail.row.recipient == "root@example.com").expect("the old address is told");
    assert!(told.letter.as_ref().unwrap().text.contains("new@example.com"));
}

/// The code that an authenticator app shows for this seed.
fn code(seed: &str, at: UnixMs) -> String {
    let secret = totp_rs::Secret::try_from_base32(seed).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(at.seconds() as u64).to_string()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_no_code_opens_twice() {
    let node = Node::new();
    let root = set_up(&node).await;
    let path = "/api/v1/session/second-factor";
    let password = Some(json!({"current_password": PASSWORD}));
    root.call("POST", path, Some(json!({"current_password": "wrong"}))).await.problem(422, "wrong_field");
    root.call("PUT", path, Some(json!({"code": "123456"}))).await.problem(422, "wrong_field");
    let seed = root.call("POST", path, password.clone()).await.ok(201);
    let (secret, url) = (seed["secret"].as_str().unwrap(), seed["url"].as_str().unwrap());
    assert!(url.starts_with("otpauth://totp/") && url.contains(secret) && url.contains("issuer=Fanfare"), "{url}");
    sign_in(&node, "root@example.com", PASSWORD).await.ok(201);
    let codes = root.call("PUT", path, Some(json!({"code": code(secret, NOW)}))).await.ok(200);
    let recovery: Vec<_> = codes["recovery_codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(recovery.len(), 10);
    root.call("POST", path, password.clone()).await.problem(409, "second_factor_on");
    assert_eq!(root.call("GET", SESSION, None).await.ok(200)["user"]["second_factor"], true);

    sign_in(&node, "root@example.com", PASSWORD).await.problem(401, "code_needed");
    let with = async |code: &str| {
        let body = json!({"email": "root@example.com", "password": PASSWORD, "code": code});
        anybody(&node, "POST", SESSION, body).await
    };
    with(&code(secret, NOW)).await.problem(401, "wrong_code");
    let later = NOW.after(Duration::from_secs(300));
    node.clock.set(later);
    with("000000").await.problem(401, "wrong_code");
    with(&code(secret, later)).await.ok(201);
    with(&code(secret, later)).await.problem(401, "wrong_code");
    with(&recovery[0].to_uppercase().replace('-', " ")).await.ok(201);
    with(recovery[0]).await.problem(401, "wrong_code");
    let wrong = json!({"email": "root@example.com", "password": "wrong", "code": recovery[1]});
    anybody(&node, "POST", SESSION, wrong).await.problem(401, "wrong_sign_in");
    let store = std::fs::read(node.dir.path().join("fanfare.db")).unwrap();
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(secret) && !holds(recovery[1]) && !holds(PASSWORD));

    root.call("DELETE", path, password).await.ok(204);
    sign_in(&node, "root@example.com", PASSWORD).await.ok(201);
    with(recovery[1]).await.ok(201);
}

#[tokio::test]
async fn somebody_in_two_subscriptions_says_which() {
    let node = Node::new();
    set_up(&node).await;
    let email = "ada@example.com";
    node.call_as(OTHER, "POST", USERS, Some(json!({"email": "eve@example.com", "name": "E", "role": "admin"})))
        .await
        .ok(201);
    accept(&node, &mailed_token(&node, "eve@example.com").await).await.ok(201);
    invite(&node, "eve@example.com", "member").await;
    accept(&node, &mailed_token(&node, "eve@example.com").await).await.ok(201);
    sign_in(&node, "eve@example.com", "wrong password").await.problem(401, "wrong_sign_in");
    let choose = sign_in(&node, "eve@example.com", PASSWORD).await;
    choose.problem(409, "choose_subscription");
    let choice = choose.json()["subscriptions"].as_array().unwrap().clone();
    assert_eq!(choice.len(), 2);
    for subscription in choice {
        let body = json!({"email": "eve@example.com", "password": PASSWORD, "subscription_id": subscription["id"]});
        assert_eq!(anybody(&node, "POST", SESSION, body).await.ok(201)["subscription"]["id"], subscription["id"]);
    }
    sign_in(&node, email, PASSWORD).await.problem(401, "wrong_sign_in");
}

#[tokio::test]
async fn every_sign_in_and_every_change_is_on_record() {
    let node = Node::new();
    let root = set_up(&node).await;
    let id = invite(&node, "mia@example.com", "member").await;
    root.call("PATCH", &format!("{USERS}/{id}"), Some(json!({"role": "admin"}))).await.ok(200);
    root.call("PATCH", &format!("{USERS}/{id}"), Some(json!({"role": "admin"}))).await.ok(200);
    sign_in(&node, "root@example.com", "wrong password").await.problem(401, "wrong_sign_in");
    root.call("DELETE", &format!("{USERS}/{id}"), None).await.ok(204);
    root.call("DELETE", SESSION, None).await.ok(204);
    let expected = [
        r#"root@example.com user.created {"email":"root@example.com","name":"Root","role":"admin"}"#,
        r#"root@example.com session.created {}"#,
        r#"init user.invited {"email":"mia@example.com","name":"Somebody","role":"member"}"#,
        r#"root@example.com user.changed {"role":"admin"}"#,
        r#"root@example.com session.refused {"reason":"wrong_password"}"#,
        r#"root@example.com user.removed {}"#,
        r#"root@example.com session.ended {}"#,
    ];
    assert_eq!(actions(&node).await, expected);
    let rows = node.get("/api/v1/audit-log?actor=root@example.com&limit=1").await.ok(200);
    assert_eq!(rows["data"][0]["actor"]["address"], "192.0.2.7");
    node.call_as(MEMBER, "GET", "/api/v1/audit-log", None).await.ok(200);
}
