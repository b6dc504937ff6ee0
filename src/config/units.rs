//! Durations and sizes as people write them.

use std::time::Duration;

/// Why a duration or size could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No number before the unit.
    #[error("it does not start with a number")]
    NoNumber,
    /// A number alone, or a unit that is not known.
    #[error("it needs one of the units {0}")]
    Unit(&'static str),
    /// Does not fit 64 bits.
    #[error("it is too large")]
    TooLarge,
}

/// Reads `500ms`, `2s`, `5m`, `24h`, `14d`; a bare `0` too.
///
/// # Errors
/// [`UnitError`]
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    let ms = match unit {
        "" if number == 0 => 0,
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(UnitError::Unit("ms, s, m, h, d")),
    };
    number.checked_mul(ms).map(Duration::from_millis).ok_or(UnitError::TooLarge)
}

/// Reads `512B`, `64KiB`, `64MiB`, `2GiB`, `1TiB`.
///
/// # Errors
/// [`UnitError`]
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(UnitError::Unit("B, KiB, MiB, GiB, TiB")),
    };
    number.checked_mul(1 << shift).ok_or(UnitError::TooLarge)
}

fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(UnitError::NoNumber);
    }
    let (number, unit) = text.split_at(digits);
    Ok((number.parse().map_err(|_| UnitError::TooLarge)?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        for (text, ms) in [("500ms", 500), ("1s", 1000), (" 2 m ", 120_000), ("24h", 86_400_000), ("0", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86_400)));
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("64MiB", 67_108_864), ("2 GiB", 2_147_483_648)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for text in ["", "s", "-1s", "soon"] {
            assert_eq!(parse_duration(text), Err(UnitError::NoNumber), "{text}");
        }
        for text in ["5", "5 weeks", "1.5s", "1S"] {
            assert!(matches!(parse_duration(text), Err(UnitError::Unit(_))), "{text}");
        }
        for text in ["64", "64MB", "64M", "1e3B"] {
            assert!(matches!(parse_bytes(text), Err(UnitError::Unit(_))), "{text}");
        }
        assert_eq!(parse_duration("99999999999999999999s"), Err(UnitError::TooLarge));
        assert_eq!(parse_bytes("18014398509481984TiB"), Err(UnitError::TooLarge));
    }
}
