//! Every way in which a receiver can answer, or not, and what follows from it.

use crate::support::{Node, Receiver, Reply, Webhook, wait_until};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;

/// The shortened delays, in milliseconds, each with jitter of a fifth.
const DELAYS_MS: [u64; 5] = [100, 200, 300, 400, 500];

/// Probes must not slow the retries of these tests down.
const FLAGS: [&str; 4] = ["--retry-delays", "100ms,200ms,300ms,400ms,500ms", "--probe-pause", "100ms"];

fn node() -> Node {
    Node::with(&FLAGS, &[])
}

/// One event to a receiver that always does the same; the settled delivery.
fn deliver(receiver: &Receiver, settings: Value, state: &str) -> Value {
    let node = node();
    let webhook = node.webhook(&receiver.url(), settings);
    node.track("one");
    let delivery = node.settled(&webhook, state);
    assert_eq!(receiver.requests().len(), attempts(&delivery).len(), "the log shows every request");
    delivery
}

#[track_caller]
fn attempts(delivery: &Value) -> &Vec<Value> {
    delivery["attempts"].as_array().expect("attempts")
}

/// Fails unless there were `count` attempts, each with this status (0: none) and reason.
#[track_caller]
fn assert_attempts(delivery: &Value, count: usize, status: u16, reason: &str) {
    let attempts = attempts(delivery);
    assert_eq!(attempts.len(), count, "{delivery:#}");
    for (index, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt["attempt"], index + 1, "{attempt:#}");
        let expected = if status == 0 { Value::Null } else { json!(status) };
        assert_eq!(attempt["status"], expected, "{attempt:#}");
        assert_eq!(attempt["reason"], reason, "{attempt:#}");
    }
}

/// Fails unless at least the shortened delays, less their jitter, lie between the requests. A receiver notes the time
/// of a request before it answers, so there is no tolerance to choose.
#[track_caller]
fn assert_spacing(receiver: &Receiver) {
    for (pair, delay_ms) in receiver.requests().windows(2).zip(DELAYS_MS) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_millis(delay_ms * 8 / 10), "{gap:?} instead of {delay_ms} ms");
    }
}

#[test]
fn success_is_any_2xx() {
    for status in [200, 204] {
        let delivery = deliver(&Receiver::always(Reply::Status(status)), json!({}), "delivered");
        assert_attempts(&delivery, 1, status, "accepted");
    }
}

#[test]
fn other_answers_fail_at_once() {
    for (status, reason) in
        [(301, "redirected"), (400, "refused"), (404, "refused"), (408, "refused"), (410, "refused")]
    {
        let elsewhere = Receiver::ok();
        let reply = Reply::Full(status, vec![("Location", elsewhere.url())], b"{\"no\":1}".to_vec());
        let delivery = deliver(&Receiver::always(reply), json!({}), "failed");
        assert_attempts(&delivery, 1, status, reason);
        assert!(elsewhere.requests().is_empty(), "a redirect is not followed");
    }
}

#[test]
fn answers_that_ask_for_patience_are_retried_five_times() {
    for (status, reason) in
        [(429, "too_many_requests"), (500, "server_error"), (503, "server_error"), (599, "server_error")]
    {
        let receiver = Receiver::always(Reply::Status(status));
        let delivery = deliver(&receiver, json!({}), "failed");
        assert_attempts(&delivery, 6, status, reason);
        assert_spacing(&receiver);
    }
}

#[test]
fn no_answer_is_retried_like_5xx() {
    for (reply, reason) in [
        (Reply::Reset, "connection_closed"),
        (Reply::CloseEarly, "connection_closed"),
        (Reply::Garbage, "broken_response"),
    ] {
        let receiver = Receiver::always(reply);
        let delivery = deliver(&receiver, json!({}), "failed");
        assert_attempts(&delivery, 6, 0, reason);
        assert_spacing(&receiver);
    }
}

#[test]
fn the_timeout_is_one_deadline_for_everything() {
    for reply in [Reply::Hang, Reply::Drip] {
        let receiver = Receiver::always(reply);
        let delivery = deliver(&receiver, json!({"timeout_s": 1}), "failed");
        assert_attempts(&delivery, 6, 408, "timed_out");
        assert_spacing(&receiver);
    }
}

#[test]
fn without_retries_for_no_answer_it_fails_at_once() {
    let node = Node::with(&["--retry-no-answer", "false"], &[]);
    let receiver = Receiver::always(Reply::Reset);
    let webhook = node.webhook(&receiver.url(), json!({}));
    node.track("one");
    assert_attempts(&node.settled(&webhook, "failed"), 1, 0, "connection_closed");
}

#[test]
fn nobody_listens() {
    let node = node();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook = node.webhook(&format!("http://{address}/"), json!({}));
    node.track("one");
    assert_attempts(&node.settled(&webhook, "failed"), 6, 0, "connection_refused");
}

#[test]
fn a_name_that_does_not_resolve() {
    let node = node();
    let webhook = node.webhook("http://nobody.invalid/", json!({}));
    node.track("one");
    assert_attempts(&node.settled(&webhook, "failed"), 6, 0, "dns_failed");
}

#[test]
fn an_endless_answer_is_cut_and_counts() {
    let delivery = deliver(&Receiver::always(Reply::Huge(1 << 30)), json!({}), "delivered");
    assert_attempts(&delivery, 1, 200, "accepted");
    let attempt = &attempts(&delivery)[0];
    let kept = attempt["response"]["body"].as_str().expect("the kept part");
    assert_eq!(kept.len(), 16 * 1024);
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let node = node();
    let receiver = Receiver::tls("localhost");
    let webhook = tls_webhook(&node, &receiver);
    node.track("one");
    assert_attempts(&node.settled(&webhook, "failed"), 6, 0, "certificate_invalid");
    assert!(receiver.requests().is_empty(), "nothing is sent before the certificate is checked");
}

#[test]
fn a_certificate_for_another_name() {
    let receiver = Receiver::tls("elsewhere.example");
    let (node, _file) = trusting(&receiver);
    let webhook = tls_webhook(&node, &receiver);
    node.track("one");
    assert_attempts(&node.settled(&webhook, "failed"), 6, 0, "certificate_invalid");
}

#[test]
fn a_trusted_certificate() {
    let receiver = Receiver::tls("localhost");
    let (node, _file) = trusting(&receiver);
    tls_webhook(&node, &receiver);
    node.track("one");
    receiver.wait_for("one");
}

fn tls_webhook(node: &Node, receiver: &Receiver) -> Webhook {
    node.webhook(&format!("https://localhost:{}/", receiver.addr.port()), json!({}))
}

/// A node whose system roots are the receiver's certificate.
fn trusting(receiver: &Receiver) -> (Node, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), receiver.certificate.as_ref().unwrap()).unwrap();
    (Node::with(&FLAGS, &[("SSL_CERT_FILE", file.path().to_str().unwrap())]), file)
}

#[test]
fn retry_after_lengthens_a_delay() {
    for status in [429, 503] {
        let wait = Reply::Full(status, vec![("Retry-After", "2".into())], Vec::new());
        let receiver = Receiver::sequence(vec![wait, Reply::Status(200)]);
        let delivery = deliver(&receiver, json!({}), "delivered");
        assert_eq!(attempts(&delivery).len(), 2);
        let requests = receiver.requests();
        // The node's clock counts whole milliseconds.
        assert!(requests[1].at - requests[0].at >= Duration::from_millis(1999));
    }
}

#[test]
fn a_receiver_that_asks_for_a_pause_is_sent_nothing_else_until_it_is_over() {
    let wait = Reply::Full(429, vec![("Retry-After", "2".into())], Vec::new());
    let busy = Receiver::by(move |_, number| if number == 0 { wait.clone() } else { Reply::Status(200) });
    let idle = Receiver::ok();
    let node = node();
    let (paused, _) = (node.webhook(&busy.url(), json!({})), node.webhook(&idle.url(), json!({})));
    node.track("too many");
    wait_until("the pause has begun", || (!node.deliveries(&paused).is_empty()).then_some(()));
    for n in 0..20 {
        node.track(&format!("event {n}"));
    }
    idle.wait(21);
    let requests = busy.wait(22);
    assert!(requests[1..].iter().all(|request| request.at - requests[0].at >= Duration::from_millis(1999)));
    assert_eq!(requests.len(), 22, "each of them once, and the first one again");
}

#[test]
fn a_pause_that_a_receiver_has_asked_for_holds_through_a_kill() {
    let wait = Reply::Full(429, vec![("Retry-After", "5".into())], Vec::new());
    let busy = Receiver::by(move |_, number| if number == 0 { wait.clone() } else { Reply::Status(200) });
    let mut node = node();
    let paused = node.webhook(&busy.url(), json!({}));
    node.track("too many");
    node.settled(&paused, "retrying");
    node.restart();
    node.track("later");
    let requests = busy.wait(3);
    assert!(requests[1..].iter().all(|request| request.at - requests[0].at >= Duration::from_millis(4999)));
}

#[test]
fn retry_after_as_a_date_lengthens_too() {
    use fanfare::clock::{Clock, SystemClock};
    let receiver = Receiver::by(|_, number| {
        // The date has whole seconds: four ahead is at least three from now.
        let at = std::time::UNIX_EPOCH + Duration::from_millis(SystemClock.now().0 as u64 + 4000);
        let wait = Reply::Full(429, vec![("Retry-After", httpdate::fmt_http_date(at))], Vec::new());
        if number == 0 { wait } else { Reply::Status(200) }
    });
    deliver(&receiver, json!({}), "delivered");
    let requests = receiver.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(2900));
}

#[test]
fn retry_after_never_shortens_and_counts_on_429_and_503_only() {
    let zero = Reply::Full(429, vec![("Retry-After", "0".into())], Vec::new());
    let receiver = Receiver::always(zero);
    deliver(&receiver, json!({}), "failed");
    assert_spacing(&receiver);
    let hour = Reply::Full(500, vec![("Retry-After", "3600".into())], Vec::new());
    let delivery = deliver(&Receiver::always(hour), json!({}), "failed");
    assert_attempts(&delivery, 6, 500, "server_error");
}

#[test]
fn the_log_shows_what_was_sent_and_answered() {
    let reply = Reply::Full(400, vec![("X-Why", "because".into())], "n\u{f6}".as_bytes().to_vec());
    let receiver = Receiver::always(reply);
    let node = node();
    let webhook = node.webhook(&receiver.url(), json!({"secret": "never shown"}));
    node.track("one");
    let delivery = node.settled(&webhook, "failed");
    let attempt = &attempts(&delivery)[0];
    let text = attempt.to_string();
    assert!(text.contains("because") && text.contains("n\u{f6}"), "{attempt:#}");
    assert!(text.to_lowercase().contains("content-type"), "{attempt:#}");
    let whole = delivery.to_string();
    assert!(!whole.contains("never shown"), "{delivery:#}");
    assert_eq!(node.deliveries(&webhook).len(), 1);
    for status in ["delivered", "failed"] {
        let page = node.get(&format!("/webhooks/{}/deliveries?status={status}", webhook.id));
        assert_eq!(page["data"].as_array().unwrap().len(), usize::from(status == "failed"), "{page:#}");
    }
}

#[test]
fn a_body_that_is_not_text_is_shown_as_base64() {
    let delivery = deliver(&Receiver::always(Reply::Full(400, vec![], vec![0xff, 0x00])), json!({}), "failed");
    let attempt = &attempts(&delivery)[0];
    assert_eq!(attempt["response"]["body"], "/wA=");
    assert_eq!(attempt["response"]["body_encoding"], "base64");
}
