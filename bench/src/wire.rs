//! The events of a run as bytes: requests that are built once and patched per event, and the scanner that finds the
//! patched values again in what reaches the receiver.

#[path = "wire/scan.rs"]
mod scan;
#[path = "wire/template.rs"]
mod template;

pub use scan::{Complete, Marks, Scanner, complete_message, find, header};
pub use template::{Shape, Template};

/// Sequence numbers are written above this, so that all of them have twelve digits.
pub const SEQUENCE_BASE: u64 = 100_000_000_000;

/// What the filler repeats.
const FILLER: &str = "fanfare-";

/// Length of the filler: a body that leaves is about one kilobyte with it.
const FILLER_BYTES: usize = 416;

/// Microseconds since the epoch: the one clock that two processes share.
#[expect(clippy::disallowed_methods, reason = "the generator's and the receiver's clocks must be the same one")]
pub fn now_us() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

/// What an event with this sequence number carries as its check value (splitmix64).
pub fn check_value(sequence: u64) -> u64 {
    let mut z = sequence.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The filler of each event.
pub fn filler() -> String {
    FILLER.repeat(FILLER_BYTES / FILLER.len())
}

/// A body as the server sends it for an event of a run, for loops that send without one.
pub fn delivered_body(marks: Marks) -> String {
    let (check, number, pad) = (check_value(marks.sequence), SEQUENCE_BASE + marks.sequence, filler());
    format!(
        r#"{{"app":{{"id":-323232,"name":"bench","platform":"web"}},"accountId":"account-1","subscription":{{"id":4802463602049999,"name":"bench"}},"userAgent":"","event":"trackEventReceived","properties":{{"eventProperties":{{"c":"{check:016x}","n":{number},"pad":"{pad}","t":{}}},"name":"Bench","source":"server"}},"timestamp":1626804144,"visitorId":"visitor-000000","uniqueId":"75c32838012a8311fba2b902857c2e848d98f457"}}"#,
        marks.time_us
    )
}

/// Writes `value` as decimal digits over the whole of `target`.
pub fn write_digits(target: &mut [u8], mut value: u64) {
    for byte in target.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Writes `value` as lower-case hex digits over the whole of `target`.
pub fn write_hex(target: &mut [u8], mut value: u64) {
    for byte in target.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

/// The number whose decimal digits are `digits`; `None` when something else is among them.
pub fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, byte| {
        byte.is_ascii_digit().then(|| value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
    })
}

/// The number whose hex digits are `digits`.
pub fn read_hex(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0_u64, |value, byte| char::from(*byte).to_digit(16).map(|digit| value << 4 | u64::from(digit)))
}
