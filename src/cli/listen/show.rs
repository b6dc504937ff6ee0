//! What `fanfare listen` prints.

use super::verify::{Check, Fault};
use crate::model::UnixMs;
use serde_json::Value;
use std::io::{self, Write};

/// One request as it arrived and was judged.
pub(super) struct Received<'a> {
    pub at: UnixMs,
    pub body: &'a [u8],
    pub pendo: &'a Check,
    pub standard: &'a Check,
    /// Requests with this uniqueId so far, this one included.
    pub sighting: u32,
    /// What it is answered with.
    pub status: u16,
}

/// How it is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub colours: bool,
    /// Print bodies too.
    pub bodies: bool,
}

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const DIM: &str = "2";

/// One line; beneath it what is wrong with the signatures, and the body when asked for.
pub(super) fn event(received: &Received<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let body: Value = serde_json::from_slice(received.body).unwrap_or_default();
    let field = |name: &str| printable(body[name].as_str().unwrap_or("-"));
    let unique_id = field("uniqueId");
    let time = style.paint(DIM, &time_of_day(received.at));
    write!(out, "{time} {:<19} visitor={} account={} ", field("event"), field("visitorId"), field("accountId"))?;
    write!(out, "{} ", style.paint(DIM, unique_id.get(..12).unwrap_or(&unique_id)))?;
    write!(out, "{}", verdict(received, style))?;
    if received.sighting > 1 {
        write!(out, " {}", style.paint(YELLOW, &format!("repeat, seen {} times", received.sighting)))?;
    }
    if received.status != 200 {
        write!(out, " {}", style.paint(YELLOW, &format!("answered {}", received.status)))?;
    }
    writeln!(out)?;
    for fault in faults(received) {
        writeln!(out, "    {}", style.paint(RED, &format!("✗ {fault}")))?;
    }
    if style.bodies {
        write_body(received.body, &body, out)?;
    }
    out.flush()
}

fn verdict(received: &Received<'_>, style: Style) -> String {
    match (received.pendo, received.standard) {
        (Check::Invalid(_), _) | (_, Check::Invalid(_)) => style.paint(RED, "not genuine"),
        (Check::NotChecked, Check::NotChecked) => style.paint(DIM, "not checked: give --secret or --signing-key"),
        _ => style.paint(GREEN, "verified ✓"),
    }
}

/// Why it is not genuine: one reason for each signature that fails.
fn faults<'a>(received: &Received<'a>) -> impl Iterator<Item = &'a Fault> {
    [received.pendo, received.standard].into_iter().filter_map(|check| match check {
        Check::Invalid(fault) => Some(fault),
        Check::Valid | Check::NotChecked => None,
    })
}

fn write_body(raw: &[u8], parsed: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = match parsed {
        Value::Null => String::from_utf8_lossy(raw).into_owned(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    text.lines().try_for_each(|line| writeln!(out, "    {}", printable(line)))
}

/// What a stranger sends must not be able to steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// UTC, because the standard library knows no time zones.
fn time_of_day(at: UnixMs) -> String {
    let second = at.seconds().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}.{:03}Z", second / 3600, second / 60 % 60, second % 60, at.0.rem_euclid(1000))
}

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"accountId":"a","event":"guideDisplayed","visitorId":"v\u001b[2J","uniqueId":"f9610795860d89fe29491846fe297bcc922e460b"}"#;

    fn shown(pendo: &Check, sighting: u32, status: u16, style: Style) -> String {
        let received =
            Received { at: UnixMs(3_723_004), body: BODY, pendo, standard: &Check::NotChecked, sighting, status };
        let mut out = Vec::new();
        event(&received, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_says_who_what_and_whether_it_is_genuine() {
        let plain = Style { colours: false, bodies: false };
        assert_eq!(
            shown(&Check::Valid, 1, 200, plain),
            "01:02:03.004Z guideDisplayed      visitor=v\u{fffd}[2J account=a f9610795860d verified ✓\n"
        );
        let failed = shown(&Check::Invalid(Fault::NotHex), 2, 500, plain);
        let end = "not genuine repeat, seen 2 times answered 500\n    ✗ X-Pendo-Signature is not 64 hex digits\n";
        assert!(failed.ends_with(end), "{failed}");
        assert!(shown(&Check::NotChecked, 1, 200, plain).contains("not checked"));
    }

    #[test]
    fn bodies_and_colours_come_only_when_asked_for() {
        let text = shown(&Check::Valid, 1, 200, Style { colours: true, bodies: true });
        assert!(text.contains("\u{1b}[32mverified ✓\u{1b}[0m"));
        assert!(text.contains("\n      \"event\": \"guideDisplayed\""), "{text}");
        assert!(!text.contains("\u{1b}[2J"));
    }
}
