//! Data on stdout: text, tables, JSON. A reader that has gone away ends the output quietly.
//! Never: logs, colour, or a number of JSON cut short.

use crate::error::CliError;
use ctos_types::{Decimal, Rounding};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether anything was put on stdout.
static PRINTED: AtomicBool = AtomicBool::new(false);

pub fn has_printed() -> bool {
    PRINTED.load(Ordering::Acquire)
}

/// Writes `text` to stdout.
pub fn print(text: &str) -> Result<(), CliError> {
    PRINTED.store(true, Ordering::Release);
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(CliError::Silent(0)),
        Err(e) => Err(CliError::internal(format!("cannot write to stdout: {e}"))),
        Ok(()) => Ok(()),
    }
}

/// One JSON object on one line.
pub fn json<T: Serialize>(value: &T) -> Result<(), CliError> {
    let mut text = serde_json::to_string(value).map_err(CliError::internal)?;
    text.push('\n');
    print(&text)
}

/// JSON when it was asked for, else what `text` makes of it.
pub fn show<T: Serialize>(as_json: bool, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), CliError> {
    if as_json { json(value) } else { print(&text(value)) }
}

/// A table without frames, readable and easy to cut. Columns whose number is in `right` are aligned to the right.
pub fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = head.iter().map(|h| width(h)).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(width(cell));
        }
    }
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (i, (cell, w)) in cells.into_iter().zip(&widths).enumerate() {
            let room = " ".repeat(w.saturating_sub(width(cell)));
            let (before, after) = if right.contains(&i) { (room.as_str(), "") } else { ("", room.as_str()) };
            text += if i == 0 { "" } else { "  " };
            text = text + before + cell + after;
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut text = line(head.to_vec());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

/// An amount for people: two places from 1 upwards, more below; never more than it has.
pub fn money(amount: Decimal) -> String {
    let abs = amount.abs();
    let places = if abs >= Decimal::ONE || abs.is_zero() {
        2
    } else if abs >= Decimal::new(1, 4) {
        6
    } else {
        12
    };
    let rounded = amount.round(places, Rounding::HalfEven);
    if places == 2 { format!("{rounded:.2}") } else { rounded.to_string() }
}

/// The same with a sign, for what can go both ways.
pub fn signed(amount: Decimal) -> String {
    if amount.is_positive() { format!("+{}", money(amount)) } else { money(amount) }
}

/// A value that may be absent.
pub fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or("-".into(), |v| v.to_string())
}

/// A price or average, cut to at most eight places for the eye.
pub fn price(value: Option<Decimal>) -> String {
    or_dash(value.map(|v| v.round(8, Rounding::HalfEven)))
}

/// `2026-01-02T03:04:05.678…Z` without its nanoseconds.
pub fn short_time(text: &str) -> String {
    let (day, rest) = text.split_once('T').unwrap_or(("", text));
    let clock = rest.trim_end_matches('Z');
    let clock = clock.get(..12).unwrap_or(clock);
    format!("{day} {clock}")
}

/// Nanoseconds in the unit that reads best.
pub fn nanos(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} ns"),
        1_000..1_000_000 => format!("{}.{} us", n / 1_000, n % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} ms", n / 1_000_000, n % 1_000_000 / 100_000),
        _ => format!("{}.{} s", n / 1_000_000_000, n % 1_000_000_000 / 100_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        for (given, want) in
            [("10000", "10000.00"), ("-0.5", "-0.5"), ("1.005", "1.00"), ("0", "0.00"), ("0.00001234", "0.00001234")]
        {
            assert_eq!(money(given.parse().expect("a decimal")), want, "{given}");
        }
        assert_eq!(signed("2".parse().expect("a decimal")), "+2.00");
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["btc".into(), "1.5".into()], vec!["x".into(), "10".into()]];
        assert_eq!(table(&["coin", "qty"], &[1], &rows), "coin  qty\nbtc   1.5\nx      10\n");
    }

    #[test]
    fn latencies_read_well() {
        assert_eq!([nanos(7), nanos(1_250), nanos(3_900_000)], ["7 ns", "1.2 us", "3.9 ms"]);
    }
}
