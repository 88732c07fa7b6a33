//! The fields of one row of a CSV archive, each read strictly, with a flaw that says what stood there.
//! Never: trims a half number into a whole one, or takes an empty field for a zero.

use super::ImportError;
use crate::defect::{DefectKind, Defects};
use crate::number::Number;
use ctos_types::UnixNanos;
use std::path::Path;

/// More columns than any archive has.
pub(super) const MAX_COLUMNS: usize = 24;

/// Why a row gives no record.
pub(super) type Flaw = (DefectKind, String);

/// One row, cut at its commas. No field of an archive holds a comma, so quotes are only decoration.
pub(super) struct Fields<'a> {
    at: [&'a str; MAX_COLUMNS],
    count: usize,
    /// A number had more digits than fit: the first such text.
    pub rounded: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Cuts a line. Fails where it is no text, or has more columns than any archive.
    pub fn cut(line: &'a [u8]) -> Result<Fields<'a>, Flaw> {
        let unreadable = |why: &str| (DefectKind::Unreadable, why.to_string());
        let text = std::str::from_utf8(line).map_err(|_| unreadable("not UTF-8"))?;
        let mut fields = Fields { at: [""; MAX_COLUMNS], count: 0, rounded: None };
        for field in text.split(',') {
            let slot = fields.at.get_mut(fields.count).ok_or_else(|| unreadable("too many columns"))?;
            *slot = unquote(field);
            fields.count += 1;
        }
        Ok(fields)
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.at[..self.count].iter().copied()
    }

    /// The text at `column`; empty where there is none.
    pub fn text(&self, column: usize) -> &'a str {
        self.at.get(column).copied().unwrap_or("")
    }

    pub fn number(&mut self, column: usize, name: &str) -> Result<Number, Flaw> {
        let text = self.needed(column, name)?;
        let (number, rounded) = Number::parse_rounded(text).map_err(|_| bad_number(name, text))?;
        if rounded {
            self.rounded.get_or_insert(text);
        }
        Ok(number)
    }

    pub fn count_at(&self, column: usize, name: &str) -> Result<u64, Flaw> {
        let text = self.needed(column, name)?;
        // `parse` alone would take a sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().ok_or_else(|| bad_number(name, text))
    }

    pub fn boolean(&self, column: usize, name: &str) -> Result<bool, Flaw> {
        let text = self.needed(column, name)?;
        to_bool(text).ok_or_else(|| (DefectKind::BadNumber, format!("{name} {text:?} is neither true nor false")))
    }

    pub fn stamp(&self, column: usize, name: &str) -> Result<Stamp, Flaw> {
        let text = self.needed(column, name)?;
        Stamp::parse(text).ok_or_else(|| (DefectKind::BadTime, format!("{name} {text:?}")))
    }

    pub fn needed(&self, column: usize, name: &str) -> Result<&'a str, Flaw> {
        match self.text(column) {
            "" => Err((DefectKind::MissingField, format!("no {name}"))),
            text => Ok(text),
        }
    }
}

fn bad_number(name: &str, text: &str) -> Flaw {
    (DefectKind::BadNumber, format!("{name} {text:?}"))
}

fn unquote(field: &str) -> &str {
    // Nearly every field is bare, and this is done for each of them.
    if let (Some(first), Some(last)) = (field.as_bytes().first(), field.as_bytes().last())
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
    {
        return field;
    }
    let field = field.trim();
    field.strip_prefix('"').and_then(|f| f.strip_suffix('"')).unwrap_or(field).trim()
}

pub(super) fn to_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// The units in which archives count time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
}

impl Unit {
    pub fn nanos(self) -> i64 {
        match self {
            Unit::Millis => 1_000_000,
            Unit::Micros => 1_000,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Unit::Millis => "milliseconds",
            Unit::Micros => "microseconds",
        }
    }
}

/// A time as a count since the epoch. Its magnitude tells the unit: exchanges exist since 2009, and a count that lost
/// its last digits is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub at: UnixNanos,
    pub unit: Unit,
}

/// 2009-01-01 and 2100-01-01 in seconds.
const EARLIEST: i64 = 1_230_768_000;
const LATEST: i64 = 4_102_444_800;

impl Stamp {
    pub fn parse(text: &str) -> Option<Stamp> {
        if text.len() > 16 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let count: i64 = text.parse().ok()?;
        let unit = [Unit::Millis, Unit::Micros].into_iter().find(|unit| {
            let per_second = 1_000_000_000 / unit.nanos();
            (EARLIEST..LATEST).contains(&(count / per_second))
        })?;
        Some(Stamp { at: UnixNanos(count * unit.nanos()), unit })
    }

    /// Whether an exchange could have told this time.
    pub fn is_plausible(at: UnixNanos) -> bool {
        (EARLIEST..LATEST).contains(&at.0.div_euclid(1_000_000_000))
    }

    /// `YYYY-MM-DD HH:MM:SS`, UTC.
    pub fn parse_civil(text: &str) -> Option<UnixNanos> {
        let bytes = text.as_bytes();
        if bytes.len() != 19 || !matches!(bytes[10], b' ' | b'T') {
            return None;
        }
        for (at, byte) in [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')] {
            if bytes[at] != byte {
                return None;
            }
        }
        let field = |from: usize, to: usize| {
            bytes[from..to].iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
        };
        let (y, m, d) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
        if !(2009..2100).contains(&y) {
            return None;
        }
        UnixNanos::from_civil(y, m, d, field(11, 13)?, field(14, 16)?, field(17, 19)?, 0)
    }
}

/// One unit a file: two mean that two archives were put together, and nobody knows what else is wrong then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OneUnit(Option<(Unit, u64)>);

impl OneUnit {
    pub fn check(&mut self, path: &Path, place: u64, unit: Unit) -> Result<(), ImportError> {
        let (first, line) = *self.0.get_or_insert((unit, place));
        if first == unit {
            return Ok(());
        }
        Err(ImportError::new(
            path,
            place,
            format!("mixed time units: {} here, {} at line {line}", unit.name(), first.name()),
            "two archives were put together in one file: split them and import each by itself",
        ))
    }
}

/// Counts what is wrong with the row at `place`.
pub(super) fn flaw(defects: &mut Defects, place: u64, (kind, example): Flaw) {
    defects.add(kind, place, || example);
}

/// What a row of the wrong length is: a half one, where the file ends in it.
pub(super) fn wrong_count(found: usize, want: usize, terminated: bool) -> Flaw {
    let why = match terminated || found > want {
        true => format!("{found} columns where there should be {want}"),
        false => "half a line: the file ends in the middle of it".into(),
    };
    (DefectKind::Unreadable, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stamps() {
        let at = |text: &str| Stamp::parse(text).map(|s| (s.at.to_string(), s.unit));
        assert_eq!(at("1704067200000"), Some(("2024-01-01T00:00:00Z".into(), Unit::Millis)));
        assert_eq!(at("1735689600000001"), Some(("2025-01-01T00:00:00.000001000Z".into(), Unit::Micros)));
        // Seconds, cut-off counts, nanoseconds, signs and text are no stamps.
        for bad in ["", "0", "1704067200", "170406720000", "17040672000000", "173568960000000", "1704067200000000000"] {
            assert_eq!(at(bad), None, "{bad}");
        }
        for bad in ["-1704067200000", "+1704067200000", "1704067200000.0", "170406720000x", "9999999999999"] {
            assert_eq!(at(bad), None, "{bad}");
        }
        let civil = |text: &str| Stamp::parse_civil(text).map(|t| t.to_string());
        assert_eq!(civil("2024-02-29 12:34:56").as_deref(), Some("2024-02-29T12:34:56Z"));
        for bad in
            ["2023-02-29 00:00:00", "2024-02-29", "2024-02-29 12:34:5", "2024-02-29 12-34-56", "x024-02-29 12:34:56"]
        {
            assert_eq!(civil(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_an_answer_not_a_panic(
            line in proptest::collection::vec(any::<u8>(), 0..80),
            text in "\\PC{0,30}",
        ) {
            if let Ok(mut fields) = Fields::cut(&line) {
                for column in 0..fields.count() + 1 {
                    let _ = (fields.number(column, "n"), fields.count_at(column, "c"));
                    let _ = (fields.stamp(column, "s"), fields.boolean(column, "b"));
                }
            }
            let _ = (Stamp::parse(&text), Stamp::parse_civil(&text));
        }

        #[test]
        fn stamps_read_back(us in EARLIEST * 1_000_000..LATEST * 1_000_000) {
            let ms = us / 1000;
            let stamp = |at, unit| Some(Stamp { at: UnixNanos(at), unit });
            prop_assert_eq!(Stamp::parse(&ms.to_string()), stamp(ms * 1_000_000, Unit::Millis));
            prop_assert_eq!(Stamp::parse(&us.to_string()), stamp(us * 1_000, Unit::Micros));
        }
    }
}
