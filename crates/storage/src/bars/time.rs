//! Times as bar files write them, to nanoseconds.
//! Never: guesses a time zone: text without one is UTC.

use ctos_types::{Nanos, UnixNanos};

/// A number (seconds, ms, µs or ns, told by magnitude) or ISO 8601 text, date alone or with a time of day.
pub fn parse(text: &str) -> Option<UnixNanos> {
    let text = text.trim();
    let (number, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if let Ok(n) = number.parse::<i64>() {
        return fraction.bytes().all(|b| b == b'0').then(|| from_number(n)).flatten();
    }
    from_text(text)
}

/// Recorded prices start after 2001, so the magnitudes of the four units do not overlap.
pub fn from_number(n: i64) -> Option<UnixNanos> {
    let unit = match n {
        ..0 => return None,
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    n.checked_mul(unit).map(UnixNanos)
}

/// The unit that a plain number is taken to be in, as [`from_number`] tells it; `None` for text.
pub fn unit(text: &str) -> Option<&'static str> {
    let number = text.trim().split('.').next()?.parse::<i64>().ok()?;
    match from_number(number)?.0.checked_div(number)? {
        1 => Some("nanoseconds"),
        1_000 => Some("microseconds"),
        1_000_000 => Some("milliseconds"),
        _ => Some("seconds"),
    }
}

fn from_text(text: &str) -> Option<UnixNanos> {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, "00:00:00"),
    };
    let mut ymd = date.split(['-', '/']).map(field);
    let (y, m, d) = (ymd.next()??, ymd.next()??, ymd.next()??);
    if ymd.next().is_some() || y < 1000 {
        return None;
    }
    let (clock, offset) = split_offset(rest)?;
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, fraction_nanos(fraction)?),
        None => (clock, 0),
    };
    let mut hms = clock.split(':').map(field);
    let (h, mi, s) = (hms.next()??, hms.next()??, hms.next().unwrap_or(Some(0))?);
    if hms.next().is_some() {
        return None;
    }
    let utc = UnixNanos::from_civil(y, m, d, h, mi, s, nanos)?;
    utc.0.checked_sub(offset.0).map(UnixNanos)
}

/// Digits only: `parse` alone would take a sign.
fn field(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn fraction_nanos(digits: &str) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// `Z`, `UTC`, `+08:00`, `+0800`, `+08` or nothing.
fn split_offset(text: &str) -> Option<(&str, Nanos)> {
    for suffix in ["Z", "z", " UTC", "UTC"] {
        if let Some(clock) = text.strip_suffix(suffix) {
            return Some((clock, Nanos::ZERO));
        }
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, Nanos::ZERO)) };
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    let digits: String = text[at + 1..].chars().filter(|c| *c != ':').collect();
    let (h, m) = match digits.len() {
        2 => (field(&digits)?, 0),
        4 if digits.is_ascii() => (field(&digits[..2])?, field(&digits[2..])?),
        _ => return None,
    };
    (h < 24 && m < 60).then(|| (text[..at].trim_end(), Nanos::from_secs(sign * (h * 3600 + m * 60))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let want = "2022-01-01T00:01:00Z";
        for text in [
            "2022-01-01 00:01:00",
            "2022-01-01 00:01:00.000000",
            "2022-01-01T00:01",
            "2022/01/01 00:01:00 UTC",
            "2022-01-01T00:01:00Z",
            "2022-01-01 08:01:00+08:00",
            "2021-12-31T19:01:00-0500",
            "2022-01-01T01:01:00 +01",
            "1640995260",
            "1640995260.0",
            "1640995260000",
            "1640995260000000",
            "1640995260000000000",
        ] {
            assert_eq!(parse(text).map(|t| t.to_string()).as_deref(), Some(want), "{text}");
        }
        assert_eq!(parse("2022-01-01").unwrap().to_string(), "2022-01-01T00:00:00Z");
        assert_eq!(parse("2022-01-01 00:00:00.25").unwrap().0 % 1_000_000_000, 250_000_000);
        for bad in [
            "",
            "x",
            "-1",
            "2022-13-01",
            "2022-01-32",
            "2022-01-01 24:00:00",
            "22-01-01",
            "1640995260.5",
            "2022-01-01 +1:00",
            "2022-01-01 00:00:00.",
            "2022-01-01 00:00:00+99:00",
            "9223372036854775808",
        ] {
            assert_eq!(parse(bad), None, "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn text_round_trip(ns in 1_000_000_000_000_000_000i64..4_000_000_000_000_000_000) {
            prop_assert_eq!(parse(&UnixNanos(ns).to_string()), Some(UnixNanos(ns)));
        }

        #[test]
        fn any_text_is_an_answer_not_a_panic(text in "\\PC{0,40}", dated in "[0-9TZ:+./ é-]{0,30}") {
            parse(&text);
            parse(&dated);
        }
    }
}
