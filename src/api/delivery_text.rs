//! A delivery as text, for people: everything that its JSON holds.

use super::answer::{AttemptJson, DeliveryDetailJson, HeaderJson};
use std::fmt::Write as _;

/// The delivery and its attempts. Nothing is left out but base64, of which a person can read nothing.
pub fn write(detail: &DeliveryDetailJson) -> String {
    let delivery = &detail.delivery;
    let mut text = format!(
        "Delivery {} of {} ({}) to webhook {}\nuniqueId: {}\nStatus: {}, attempts: {}\nAccepted: {}\n",
        delivery.id,
        delivery.event,
        delivery.event_id,
        delivery.webhook_id,
        delivery.unique_id,
        delivery.status,
        delivery.attempt_count,
        delivery.created_at,
    );
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}: {value}");
        }
    };
    line("Next attempt", delivery.next_attempt_at.as_deref());
    line("Part of replay", delivery.replay_id.as_deref());
    let body = detail.request_body.as_deref().unwrap_or("(no longer kept)");
    let _ = writeln!(text, "\nRequest body:\n{}", shown(body, detail.request_body_encoding));
    for attempt in &detail.attempts {
        write_attempt(&mut text, attempt);
    }
    text
}

fn write_attempt(text: &mut String, attempt: &AttemptJson) {
    let status = attempt.status.map_or_else(|| String::from("no status"), |status| format!("status {status}"));
    let _ = writeln!(
        text,
        "\nAttempt {}, {}: {status}, {}\n{}",
        attempt.attempt, attempt.started_at, attempt.reason, attempt.sentence
    );
    if !attempt.detail.is_empty() {
        let _ = writeln!(text, "{}", attempt.detail);
    }
    let timings = &attempt.timings;
    let parts = [
        ("DNS", timings.dns_ms),
        ("connect", timings.connect_ms),
        ("TLS", timings.tls_ms),
        ("first byte", timings.first_byte_ms),
        ("total", Some(timings.total_ms)),
    ];
    let parts: Vec<_> = parts.into_iter().filter_map(|(name, ms)| Some(format!("{name} {} ms", ms?))).collect();
    let _ = writeln!(text, "Time from the start: {}", parts.join(", "));
    write_headers(text, "Request headers", &attempt.request_headers);
    if let Some(body) = &attempt.request_body {
        let cut = if attempt.request_body_cut { " (cut)" } else { "" };
        let _ = writeln!(text, "Sent{cut}:\n{}", shown(body, attempt.request_body_encoding));
    }
    let response = &attempt.response;
    write_headers(text, "Response headers", &response.headers);
    if !response.body.is_empty() {
        let cut = if response.body_cut { " (cut)" } else { "" };
        let _ = writeln!(text, "Response body{cut}:\n{}", shown(&response.body, response.body_encoding));
    }
}

fn write_headers(text: &mut String, title: &str, headers: &[HeaderJson]) {
    if !headers.is_empty() {
        let _ = writeln!(text, "{title}:");
    }
    for HeaderJson { name, value } in headers {
        let _ = writeln!(text, "  {name}: {value}");
    }
}

fn shown<'a>(body: &'a str, encoding: Option<&str>) -> &'a str {
    if encoding.is_some() { "(not text: see the JSON)" } else { body }
}
