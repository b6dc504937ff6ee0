//! Finds the end of an HTTP message and the marks of an event in its body, without parsing either.

use super::{FILLER, FILLER_BYTES, SEQUENCE_BASE, check_value, read_digits, read_hex};

/// Where a complete message's body stands in the bytes read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Complete {
    /// Start of the body.
    pub body: usize,
    /// End of the message.
    pub end: usize,
}

/// The first message in `bytes`, if all of it is there. An error for one without a readable Content-Length.
pub fn complete_message(bytes: &[u8]) -> Result<Option<Complete>, &'static str> {
    let Some(head) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let length = header(&bytes[..head], b"content-length").and_then(read_digits).ok_or("no Content-Length")?;
    let body = head + 4;
    let end = body + length as usize;
    Ok((bytes.len() >= end).then_some(Complete { body, end }))
}

/// The value of a header (its name in lower case) in a message's head.
pub fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let value = line.get(name.len() + 1..)?;
        (line[name.len()] == b':' && line[..name.len()].eq_ignore_ascii_case(name)).then(|| value.trim_ascii())
    })
}

/// What an event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Its number.
    pub sequence: u64,
    /// When it was sent, or should have been.
    pub time_us: u64,
}

/// Finds marks in bodies. Most bodies of a run have them at the same place, which it remembers.
#[derive(Debug, Default)]
pub struct Scanner {
    hint: usize,
}

const OPENING: &[u8] = b"\"eventProperties\":{\"c\":\"";

impl Scanner {
    /// The marks of a body that carries all of them unchanged, the filler included; `None` for any other.
    pub fn marks(&mut self, body: &[u8]) -> Option<Marks> {
        let start = match body.get(self.hint..) {
            Some(rest) if rest.starts_with(OPENING) => self.hint,
            _ => find(body, OPENING)?,
        };
        self.hint = start;
        let (check, rest) = body[start + OPENING.len()..].split_at_checked(16)?;
        let (number, rest) = rest.strip_prefix(b"\",\"n\":")?.split_at_checked(12)?;
        let rest = rest.strip_prefix(b",\"pad\":\"")?;
        let (pad, rest) = rest.split_at(rest.iter().position(|byte| *byte == b'"')?);
        let (time, rest) = rest.strip_prefix(b"\",\"t\":")?.split_at_checked(16)?;
        let sequence = read_digits(number)?.checked_sub(SEQUENCE_BASE)?;
        let whole = rest.starts_with(b"},\"name\":\"Bench\",\"source\":")
            && is_filler(pad)
            && read_hex(check)? == check_value(sequence);
        whole.then_some(Marks { sequence, time_us: read_digits(time)? })
    }
}

fn is_filler(bytes: &[u8]) -> bool {
    bytes.len() == FILLER_BYTES && bytes.chunks(FILLER.len()).all(|chunk| chunk == FILLER.as_bytes())
}

/// The first place of `needle`. Skips by its first byte, which is enough for heads and short bodies.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window[0] == needle[0] && window == needle)
}

#[cfg(test)]
mod tests {
    use super::super::delivered_body;
    use super::*;

    fn body(sequence: u64, time_us: u64) -> String {
        delivered_body(Marks { sequence, time_us })
    }

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let mut scanner = Scanner::default();
        for sequence in [0, 7, 1_000_000] {
            let marks = Marks { sequence, time_us: 1_626_803_875_000_123 };
            let text = body(sequence, marks.time_us);
            assert_eq!(scanner.marks(text.as_bytes()), Some(marks));
            assert_eq!(scanner.marks(text.replacen('{', "{ ", 1).as_bytes()), Some(marks));
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let text = body(12, 1_626_803_875_000_123);
        let start = text.find("\"c\":").unwrap();
        let end = text.find("\"t\":").unwrap() + 4;
        for at in start..end {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(Scanner::default().marks(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn messages_end_where_content_length_says() {
        let message = b"HTTP/1.1 200 OK\r\ncontent-LENGTH:  2\r\nX: y\r\n\r\nokREST";
        assert_eq!(complete_message(message), Ok(Some(Complete { body: 45, end: 47 })));
        assert_eq!(complete_message(&message[..46]), Ok(None));
        assert_eq!(complete_message(&message[..20]), Ok(None));
        assert!(complete_message(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert_eq!(header(&message[..43], b"x"), Some(&b"y"[..]));
    }
}
