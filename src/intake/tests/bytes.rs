//! The bodies' bytes, as JavaScript sees them.

use super::support::Rig;
use crate::clock::{Random, SeededRandom};
use crate::intake::canonical::append_string;
use std::fmt::Write;

/// Pieces of strings that serialisers are known to get wrong.
const PIECES: [&str; 20] = [
    "\"", "\\", "<", ">", "&", "'", "/", "\u{2028}", "\u{2029}", "😀", "é", "\n", "\t", "\u{7f}", "\u{0}", "\u{1f}",
    "\u{feff}", "a", "Z ", "日本",
];

/// A random string as JSON, sometimes with escapes that are not needed, sometimes with half a surrogate pair.
fn string(random: &SeededRandom, out: &mut String) {
    let mut json = Vec::new();
    let text: String = (0..random.id() % 6).map(|_| PIECES[(random.id() % 20) as usize]).collect();
    append_string(&mut json, &text);
    let mut json = String::from_utf8(json).unwrap();
    json.pop();
    json.push_str(["", "", "", "\\/", "\\u0041", "\\uD83D\\uDE00", "\\uDEAD", "\\uD83D"][(random.id() % 8) as usize]);
    json.push('"');
    out.push_str(&json);
}

fn number(random: &SeededRandom, out: &mut String) {
    let integer = (random.id() % (1 << 54)) as i64 - (1 << 53) + 1;
    let integer = integer.clamp(-(1 << 53) + 1, (1 << 53) - 1);
    let _ = match random.id() % 6 {
        0 => write!(out, "{integer}"),
        1 => write!(out, "{}", integer % 1000),
        2 => write!(out, "{:e}", f64::from_bits(random.id() & !(1 << 62))),
        3 => write!(out, "{}.{}00", integer % 100, random.id() % 1_000_000),
        4 => write!(out, "{}E{}", integer % 100, (random.id() % 600) as i64 - 300),
        _ => write!(out, "-0{}", ["", ".0", "e5"][(random.id() % 3) as usize]),
    };
}

fn value(random: &SeededRandom, depth: u32, out: &mut String) {
    let kinds = if depth > 4 { 4 } else { 6 };
    match random.id() % kinds {
        0 | 1 => string(random, out),
        2 => number(random, out),
        3 => out.push_str(["true", "false", "null"][(random.id() % 3) as usize]),
        4 => {
            out.push_str("[ ");
            for index in 0..random.id() % 4 {
                out.push_str(if index == 0 { "" } else { " ,\n" });
                value(random, depth + 1, out);
            }
            out.push(']');
        }
        _ => object(random, depth, out),
    }
}

/// Keys begin with a letter: those that look like array indices are the known exception to the identity.
fn object(random: &SeededRandom, depth: u32, out: &mut String) {
    out.push('{');
    for index in 0..random.id() % 6 {
        out.push_str(if index == 0 { "" } else { "\t, " });
        let _ = write!(out, "\"{}", ["k", "K", "é", "😀", "～", "__proto__", "\\u006b"][(random.id() % 7) as usize]);
        let mut rest = String::new();
        string(random, &mut rest);
        out.push_str(&rest[1..]);
        out.push(':');
        value(random, depth + 1, out);
    }
    out.push('}');
}

#[tokio::test]
async fn javascript_reads_and_writes_the_same_bytes() {
    let rig = Rig::new();
    let random = SeededRandom::new(7);
    let mut sent = 0;
    for _ in 0..2000 {
        let (mut name, mut properties) = (String::new(), String::new());
        string(&random, &mut name);
        object(&random, 0, &mut properties);
        let visitor = name.replace("\\uDEAD", "").replace("\\uD83D\"", "\"");
        let call = format!(
            r#"{{"type":"track","event":"x{},"visitorId":"v{},"properties":{properties},"context":{{"userAgent":"<&>\u2028"}}}}"#,
            &name[1..],
            &visitor[1..],
        );
        let answer = rig.track(&call).await;
        // The only refusal that these can meet: a number that became too large.
        assert!(answer.status == 200 || answer.text.contains("too large for JSON"), "{call}\n{}", answer.text);
        sent += usize::from(answer.status == 200);
    }
    let bodies: Vec<String> = rig.entries().into_iter().map(|entry| entry.body).collect();
    assert!(bodies.len() == sent && sent > 1500, "{sent}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bodies.join("\n")).unwrap();
    // Code points stand in the order of their UTF-8 bytes, halves of surrogate pairs included.
    let script = "const lines = require('fs').readFileSync(process.argv[1], 'utf8').split('\\n');
        const points = k => [...k].map(c => String.fromCharCode(0x100, c.codePointAt(0) >> 16, c.codePointAt(0) & 0xffff)).join('');
        const sorted = v => Array.isArray(v) ? v.every(sorted) : v === null || typeof v !== 'object' ||
            (Object.keys(v).every((k, i, all) => i === 0 || points(all[i - 1]) < points(k))
             && Object.values(v).every(sorted));
        const bad = lines.filter(x => JSON.stringify(JSON.parse(x)) !== x || !sorted(JSON.parse(x).properties));
        if (bad.length) { console.error(bad[0]); process.exit(1); }
        console.log(lines.length);";
    let node = std::process::Command::new("node").arg("-e").arg(script).arg(file.path()).output();
    let output = node.expect("this test needs node on the PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), bodies.len().to_string());
}
