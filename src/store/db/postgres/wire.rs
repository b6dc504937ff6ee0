//! Values as PostgreSQL's binary protocol has them.

use super::super::value::{Value, ValueRef};
use super::super::{Error, Result};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;
use std::error::Error as StdError;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type Boxed = Box<dyn StdError + Sync + Send>;

/// The value in this column.
pub fn value(row: &tokio_postgres::Row, column: usize) -> Result<ValueRef<'_>> {
    let found: Option<Found<'_>> = row.try_get(column).map_err(|_| Error::Type(column))?;
    Ok(found.map_or(ValueRef::Null, |found| found.0))
}

struct Found<'a>(ValueRef<'a>);

impl<'a> FromSql<'a> for Found<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        Ok(Self(match *kind {
            Type::INT8 => ValueRef::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => ValueRef::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => ValueRef::Integer(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => ValueRef::Integer(bool::from_sql(kind, raw)?.into()),
            Type::NUMERIC => ValueRef::Integer(whole(raw).ok_or("a number that is no whole one")?),
            Type::BYTEA => ValueRef::Blob(raw),
            _ => ValueRef::Text(read(std::str::from_utf8(raw)?)),
        }))
    }

    fn accepts(kind: &Type) -> bool {
        let known = [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::NUMERIC, Type::BYTEA];
        known.contains(kind) || <&str as FromSql>::accepts(kind)
    }
}

/// A NUMERIC, which the sum of BIGINTs is: the number of digits to the base 10,000, the first one's weight, the sign,
/// how many decimals are shown, the digits.
fn whole(raw: &[u8]) -> Option<i64> {
    let (header, digits) = raw.split_at_checked(8)?;
    let part = |at: usize| i16::from_be_bytes([header[at], header[at + 1]]);
    let (count, weight, sign) = (part(0), part(2), part(4));
    let mut sum: i64 = 0;
    for place in 0..=weight.max(-1) {
        let at = 2 * usize::try_from(place).ok()?;
        let digit = if place < count { i16::from_be_bytes([*digits.get(at)?, *digits.get(at + 1)?]) } else { 0 };
        sum = sum.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    match sign {
        0 if count <= weight + 1 => Some(sum),
        0x4000 if count <= weight + 1 => Some(-sum),
        _ => None,
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bool(yes) if *kind == Type::BOOL => out.put_u8((*yes).into()),
            Self::Bool(yes) => return Self::Integer(i64::from(*yes)).to_sql(kind, out),
            Self::Integer(number) => match *kind {
                Type::INT8 => out.put_i64(*number),
                Type::INT4 => out.put_i32(i32::try_from(*number)?),
                Type::INT2 => out.put_i16(i16::try_from(*number)?),
                Type::BOOL => out.put_u8((*number != 0).into()),
                Type::NUMERIC => put_numeric(*number, out),
                _ => out.put_slice(number.to_string().as_bytes()),
            },
            Self::Text(text) => out.put_slice(written(text).as_bytes()),
            Self::Blob(bytes) => out.put_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Texts of PostgreSQL hold every character but U+0000, and a person's id may hold any. So that one is written as U+001A
/// and a 0, and U+001A itself, which is as rare, as U+001A and a 1.
fn written(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return text.into();
    }
    text.replace(ESCAPE, "\u{1a}1").replace('\0', "\u{1a}0").into()
}

/// What [`written`] has written.
fn read(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return text.into();
    }
    text.replace("\u{1a}0", "\0").replace("\u{1a}1", "\u{1a}").into()
}

const ESCAPE: char = '\u{1a}';

fn put_numeric(number: i64, out: &mut BytesMut) {
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    out.put_i16(digits.len() as i16);
    out.put_i16(digits.len() as i16 - 1);
    out.put_i16(if number < 0 { 0x4000 } else { 0 });
    out.put_i16(0);
    digits.iter().rev().for_each(|digit| out.put_i16(*digit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_whole_numeric_is_read_as_it_was_written(number in prop_oneof![any::<i64>(), -30_000..30_000_i64, Just(100_000_000)]) {
            prop_assume!(number != i64::MIN);
            let mut raw = BytesMut::new();
            put_numeric(number, &mut raw);
            prop_assert_eq!(whole(&raw), Some(number));
        }

        #[test]
        fn any_text_is_read_as_it_was_written(text in "[\\x00\\x1a01a]{0,8}") {
            let kept = written(&text).into_owned();
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(read(&kept), text);
        }

        #[test]
        fn bytes_that_are_no_number_are_no_panic(raw in prop::collection::vec(any::<u8>(), 0..24)) {
            whole(&raw);
        }
    }

    #[test]
    fn what_has_a_fraction_or_is_none_is_refused() {
        // 1.5, and what is not a number.
        assert_eq!(whole(&[0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88]), None);
        assert_eq!(whole(&[0, 0, 0, 0, 0xc0, 0, 0, 0]), None);
    }
}
