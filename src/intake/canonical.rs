//! JSON brought into one form: the form in which `JSON.stringify` writes it, with every object's keys sorted by their
//! UTF-8 bytes (docs/events.md). One pass over the text, no tree.

use crate::limits;
use std::borrow::Cow;

/// Why a text cannot be brought into the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Nested deeper than [`limits::PROPERTIES_DEPTH`].
    #[error("it is nested deeper than {} levels", limits::PROPERTIES_DEPTH)]
    TooDeep,
    /// A number like 1e400, which JSON.parse makes Infinity and JSON.stringify null.
    #[error("it holds a number that is too large for JSON readers")]
    NumberTooLarge,
    /// Not JSON. Callers pass what a JSON parser has already accepted, so this should not happen.
    #[error("it is not valid JSON at byte {0}")]
    Syntax(usize),
}

/// Appends `json`, one JSON value, to `out` in canonical form. After an error `out` ends in rubbish.
///
/// # Errors
/// [`CanonicalError`].
pub fn append(out: &mut Vec<u8>, json: &str) -> Result<(), CanonicalError> {
    let mut writer = Writer { text: json, bytes: json.as_bytes(), at: 0, out, members: Vec::new() };
    writer.skip_space();
    writer.value(0)?;
    writer.skip_space();
    if writer.at == writer.bytes.len() { Ok(()) } else { Err(CanonicalError::Syntax(writer.at)) }
}

/// Appends `text` as a JSON string, escaped as `JSON.stringify` escapes it.
pub fn append_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    append_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Numbers up to this size are integers that every JSON reader keeps exactly.
const SAFE_INTEGER_DIGITS: &[u8] = b"9007199254740991";

/// One member of an object that is being written: its key for sorting, and where in `out` it lies.
struct Member<'a> {
    key: Cow<'a, [u8]>,
    start: usize,
    end: usize,
}

struct Writer<'a, 'o> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: &'o mut Vec<u8>,
    /// The members of all objects that are open, so that nested objects share one allocation.
    members: Vec<Member<'a>>,
}

impl<'a> Writer<'a, '_> {
    fn value(&mut self, depth: usize) -> Result<(), CanonicalError> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => {
                let raw = self.string()?;
                append_string_token(self.out, raw);
                Ok(())
            }
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.enter(b'{', depth)?;
        let (first_member, body) = (self.members.len(), self.out.len());
        let mut sorted = true;
        if !self.next_is(b'}') {
            loop {
                if self.members.len() > first_member {
                    self.out.push(b',');
                }
                self.member(depth)?;
                if let [.., before, last] = &self.members[first_member..] {
                    sorted &= before.key < last.key;
                }
                if !self.next_is(b',') {
                    break;
                }
            }
            self.expect(b'}')?;
        }
        if !sorted {
            self.sort_members(first_member, body);
        }
        self.members.truncate(first_member);
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.skip_space();
        let start = self.out.len();
        let raw = self.string()?;
        append_string_token(self.out, raw);
        self.expect(b':')?;
        self.out.push(b':');
        self.skip_space();
        self.value(depth)?;
        self.members.push(Member { key: decoded(raw), start, end: self.out.len() });
        Ok(())
    }

    /// Most callers' objects are small and often sorted already; only the others are written a second time.
    fn sort_members(&mut self, first_member: usize, body: usize) {
        let members = &mut self.members[first_member..];
        // Stable, so that of members with the same key the last one given stays last: it is the one that counts.
        members.sort_by(|a, b| a.key.cmp(&b.key));
        let mut ordered = Vec::with_capacity(self.out.len() - body);
        for (index, member) in members.iter().enumerate() {
            if members.get(index + 1).is_some_and(|next| next.key == member.key) {
                continue;
            }
            if !ordered.is_empty() {
                ordered.push(b',');
            }
            ordered.extend_from_slice(&self.out[member.start..member.end]);
        }
        self.out.truncate(body);
        self.out.extend_from_slice(&ordered);
    }

    fn array(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.enter(b'[', depth)?;
        if !self.next_is(b']') {
            loop {
                self.skip_space();
                self.value(depth)?;
                if !self.next_is(b',') {
                    break;
                }
                self.out.push(b',');
            }
            self.expect(b']')?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn enter(&mut self, bracket: u8, depth: usize) -> Result<(), CanonicalError> {
        if depth > limits::PROPERTIES_DEPTH {
            return Err(CanonicalError::TooDeep);
        }
        self.at += 1;
        self.out.push(bracket);
        Ok(())
    }

    /// Steps over a string and returns what stands between its quotes.
    fn string(&mut self) -> Result<&'a str, CanonicalError> {
        if self.peek() != Some(b'"') {
            return Err(CanonicalError::Syntax(self.at));
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => return Err(CanonicalError::Syntax(start)),
            }
        }
        self.at = at + 1;
        self.text.get(start..at).ok_or(CanonicalError::Syntax(start))
    }

    fn literal(&mut self, word: &str) -> Result<(), CanonicalError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(CanonicalError::Syntax(self.at));
        }
        self.at += word.len();
        self.out.extend_from_slice(word.as_bytes());
        Ok(())
    }

    fn number(&mut self) -> Result<(), CanonicalError> {
        let start = self.at;
        let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.bytes[start..].iter().take_while(|b| is_part(b)).count();
        self.at += length;
        let token = &self.text[start..self.at];
        append_number(self.out, token).ok_or(CanonicalError::Syntax(start))?
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), CanonicalError> {
        if self.next_is(byte) { Ok(()) } else { Err(CanonicalError::Syntax(self.at)) }
    }
}

/// Writes a number token. Integers keep their digits, whatever their size; everything else is written as ECMAScript
/// writes the double it stands for (RFC 8785). `None`: not a number.
fn append_number(out: &mut Vec<u8>, token: &str) -> Option<Result<(), CanonicalError>> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let token = if digits == "0" { "0" } else { token };
        out.extend_from_slice(token.as_bytes());
        return Some(Ok(()));
    }
    let number: f64 = token.parse().ok()?;
    if number.is_infinite() {
        return Some(Err(CanonicalError::NumberTooLarge));
    }
    // ECMAScript writes -0 as 0.
    let number = if number == 0.0 { 0.0 } else { number };
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    Some(Ok(()))
}

/// Whether an integer token is one that every JSON reader keeps exactly: within ±(2^53-1).
pub fn is_safe_integer(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token).as_bytes();
    let is_integer = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let length = digits.len().cmp(&SAFE_INTEGER_DIGITS.len());
    is_integer && (length.is_lt() || (length.is_eq() && digits <= SAFE_INTEGER_DIGITS))
}

/// Writes a string given as the raw text between its quotes.
pub fn append_string_token(out: &mut Vec<u8>, raw: &str) {
    out.push(b'"');
    if raw.contains('\\') {
        append_escaped(out, &decoded(raw));
    } else {
        // Valid JSON without a backslash holds nothing that would need an escape.
        out.extend_from_slice(raw.as_bytes());
    }
    out.push(b'"');
}

/// A string token's content. A surrogate without its partner becomes the three bytes that UTF-8 would give it (WTF-8),
/// which valid UTF-8 never holds: so nothing is lost, and sorting needs no special case.
fn decoded(raw: &str) -> Cow<'_, [u8]> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw.as_bytes());
    }
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        let escape = bytes.get(at + 1).copied().unwrap_or(b'\\');
        at += 2;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => at = push_unicode(&mut out, bytes, at),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Decodes the four digits at `at`, and a low surrogate's escape that follows a high one; returns where to go on.
fn push_unicode(out: &mut Vec<u8>, bytes: &[u8], at: usize) -> usize {
    let unit = hex4(bytes, at).unwrap_or(0xfffd);
    let mut next = at + 4;
    let mut scalar = unit;
    if (0xd800..0xdc00).contains(&unit)
        && bytes.get(next..next + 2) == Some(b"\\u")
        && let Some(low) = hex4(bytes, next + 2).filter(|low| (0xdc00..0xe000).contains(low))
    {
        scalar = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        next += 6;
    }
    match char::from_u32(scalar) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            out.extend([0xe0 | (scalar >> 12) as u8, 0x80 | (scalar >> 6 & 0x3f) as u8, 0x80 | (scalar & 0x3f) as u8]);
        }
    }
    next
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = std::str::from_utf8(bytes.get(at..at + 4)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

/// Writes (W)UTF-8 bytes with exactly the escapes that `JSON.stringify` uses.
fn append_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // Among three-byte sequences only a surrogate's begins with ED A0..BF.
        let surrogate = byte == 0xed && bytes.get(at + 1).is_some_and(|next| *next >= 0xa0);
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && !surrogate {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0xed => {
                let (second, third) = (bytes[at + 1], bytes.get(at + 2).copied().unwrap_or(0x80));
                let nibbles = [second >> 2 & 0xf, (second & 3) << 2 | third >> 4 & 3, third & 0xf];
                out.extend_from_slice(b"\\ud");
                out.extend(nibbles.map(|nibble| HEX[usize::from(nibble)]));
                plain = at + 3;
            }
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(control >> 4)], HEX[usize::from(control & 0xf)]]);
            }
        }
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(json: &str) -> Result<String, CanonicalError> {
        let mut out = Vec::new();
        append(&mut out, json).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_written_as_javascript_writes_them() {
        let cases = [
            (r#" { "b" : 1 , "a" : [ 1 , { } , [ ] ] } "#, r#"{"a":[1,{},[]],"b":1}"#),
            (r#"{"b":1,"a":2,"b":3}"#, r#"{"a":2,"b":3}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"z":{"y":1,"x":{"b":0,"a":0}},"a":0}"#, r#"{"a":0,"z":{"x":{"a":0,"b":0},"y":1}}"#),
            // Sorted by UTF-8 bytes: U+FF5E before U+1F600, where UTF-16 would have it the other way round.
            (r#"{"😀":1,"～":2,"é":3,"e":4}"#, r#"{"e":4,"é":3,"～":2,"😀":1}"#),
            (
                "[-0,-0.0,1.0,1e3,1E21,1e-7,0.1,123456789012345678901234567890]",
                "[0,0,1,1000,1e+21,1e-7,0.1,123456789012345678901234567890]",
            ),
            (
                "[9007199254740993,-9007199254740993,9007199254740993.0,5e-324,1.7976931348623157e308]",
                "[9007199254740993,-9007199254740993,9007199254740992,5e-324,1.7976931348623157e+308]",
            ),
            (
                r#"["\/\b\f\n\r\t\"\\\u0000\u001F\u007f<>&\u2028é"]"#,
                "[\"/\\b\\f\\n\\r\\t\\\"\\\\\\u0000\\u001f\u{7f}<>&\u{2028}é\"]",
            ),
            (
                r#"["\uD83D\uDE00","\uD83D","\uDE00\uD83D","\uD83Dx\uDFFF","\uD83D\uD83D\uDE00","퟿"]"#,
                r#"["😀","\ud83d","\ude00\ud83d","\ud83dx\udfff","\ud83d😀","퟿"]"#,
            ),
            ("true", "true"),
            ("null", "null"),
            (" false ", "false"),
            (r#""""#, r#""""#),
        ];
        for (given, wanted) in cases {
            assert_eq!(canonical(given).as_deref(), Ok(wanted), "{given}");
        }
    }

    #[test]
    fn what_receivers_could_not_read_is_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(canonical(&nested(limits::PROPERTIES_DEPTH)).is_ok());
        assert_eq!(canonical(&nested(limits::PROPERTIES_DEPTH + 1)), Err(CanonicalError::TooDeep));
        assert_eq!(canonical("[1e400]"), Err(CanonicalError::NumberTooLarge));
        assert_eq!(canonical("-1e400"), Err(CanonicalError::NumberTooLarge));
        for broken in ["", "{", "[1", "\"", "{\"a\"}", "[1,]", "tru", "1 2", "\"\\", "-", "+1", ".5"] {
            assert!(matches!(canonical(broken), Err(CanonicalError::Syntax(_))), "{broken}");
        }
    }

    #[test]
    fn safe_integers_are_those_that_a_double_keeps() {
        for safe in ["0", "-0", "9007199254740991", "-9007199254740991", "1"] {
            assert!(is_safe_integer(safe), "{safe}");
        }
        for unsafe_one in ["9007199254740992", "-9007199254740992", "10000000000000000", "1.0", "1e3", "", "-"] {
            assert!(!is_safe_integer(unsafe_one), "{unsafe_one}");
        }
    }

    proptest! {
        /// Whatever comes in: no panic, and the form is a fixed point.
        #[test]
        fn any_text_is_safe_and_the_form_is_stable(text in r#"[\[\]{}",:\\u0-9a-fD.eE+\- tn]{0,40}"#) {
            if let Ok(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Ok(once));
            }
        }

        #[test]
        fn any_string_reads_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let mut out = Vec::new();
            append_string(&mut out, &text);
            prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
            prop_assert_eq!(canonical(&serde_json::to_string(&text).unwrap()).unwrap().into_bytes(), out);
        }
    }
}
