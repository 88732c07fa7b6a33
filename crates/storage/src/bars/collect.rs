//! Checks rows one by one as they are read, then each symbol's rows as a series.
//! Never: knows which file format they came from.

use super::rows::{Rows, Short};
use super::{BarError, BarFile, BarOptions, BarRow, BarSeries, Defect, DefectKind, Gap, time};
use ctos_types::decimal::{div_rounded, pow10};
use ctos_types::{Decimal, Interval, NumberError, Rounding, UnixNanos};
use std::collections::BTreeMap;
use std::path::Path;

/// A time as it stood in the file.
#[derive(Clone, Copy, Debug)]
pub(super) enum RawTime<'a> {
    Text(&'a str),
    At(UnixNanos),
}

/// What is wrong with a row, and what stood there.
type Bad = (DefectKind, String);

/// One row as text, before any check. An empty text is a missing field; volume may be left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRow<'a> {
    pub line: u64,
    pub symbol: Option<&'a str>,
    pub time: Option<RawTime<'a>>,
    /// Open, high, low, close.
    pub prices: [&'a str; 4],
    pub volume: Option<&'a str>,
}

#[derive(Default)]
pub(super) struct Collector {
    rows_read: u64,
    defects: BTreeMap<DefectKind, Defect>,
    symbols: BTreeMap<Option<String>, Rows>,
    /// Unit of the first time that is a plain number, and its line.
    unit: Option<(&'static str, u64)>,
    /// Line and reason why nothing of the file can be trusted.
    mixed: Option<(u64, String)>,
}

impl Collector {
    pub fn row(&mut self, raw: RawRow<'_>) {
        self.rows_read += 1;
        if let Some(RawTime::Text(text)) = raw.time {
            self.check_unit(raw.line, text);
        }
        let (row, shorts) = match self.check(&raw) {
            Ok(checked) => checked,
            Err((kind, example)) => return self.defect(kind, raw.line, example),
        };
        let rows = match self.symbols.iter_mut().find(|(name, _)| name.as_deref() == raw.symbol) {
            Some((_, rows)) => rows,
            None => self.symbols.entry(raw.symbol.map(str::to_string)).or_default(),
        };
        rows.push(raw.line, &row, shorts);
    }

    /// Two units mean that two files were put together: nobody knows what else is wrong then.
    fn check_unit(&mut self, line: u64, text: &str) {
        let Some(unit) = time::unit(text) else { return };
        let (first, at) = *self.unit.get_or_insert((unit, line));
        if first != unit && self.mixed.is_none() {
            let why = format!("mixed time units: {unit} here, {first} at line {at}; split the file into one for each");
            self.mixed = Some((line, why));
        }
    }

    /// A place in the file that is no row at all.
    pub fn unreadable(&mut self, line: u64, why: String) {
        self.rows_read += 1;
        self.defect(DefectKind::Unreadable, line, why);
    }

    fn defect(&mut self, kind: DefectKind, line: u64, example: String) {
        let first = || Defect { kind, count: 0, first_line: line, example: example.chars().take(120).collect() };
        self.defects.entry(kind).or_insert_with(first).count += 1;
    }

    /// The row, and its numbers in few digits where they have few.
    fn check(&mut self, raw: &RawRow<'_>) -> Result<(BarRow, [Option<Short>; 5]), Bad> {
        let missing = |what: &str| (DefectKind::MissingField, format!("no {what}"));
        let open_time = match raw.time.ok_or_else(|| missing("time"))? {
            RawTime::At(at) => at,
            RawTime::Text(text) => time::parse(text).ok_or_else(|| (DefectKind::BadTime, format!("{text:?}")))?,
        };
        if raw.symbol.is_some_and(str::is_empty) {
            return Err(missing("symbol"));
        }
        let (mut prices, mut shorts) = ([Decimal::ZERO; 4], [None; 5]);
        let places = prices.iter_mut().zip(&mut shorts);
        for (((price, short), text), name) in places.zip(raw.prices).zip(["open", "high", "low", "close"]) {
            if text.is_empty() {
                return Err(missing(name));
            }
            (*price, *short) = self.number(raw.line, text)?;
            if !price.is_positive() {
                return Err((DefectKind::NonPositivePrice, format!("{name} {text}")));
            }
        }
        let [open, high, low, close] = prices;
        if open.max(close) > high || open.min(close) < low {
            let example = format!("open {open}, high {high}, low {low}, close {close}");
            return Err((DefectKind::InconsistentPrices, example));
        }
        let volume = match raw.volume {
            None | Some("") => Decimal::ZERO,
            Some(text) => {
                let (volume, short) = self.number(raw.line, text)?;
                shorts[4] = short;
                volume
            }
        };
        if volume.is_negative() {
            return Err((DefectKind::NegativeVolume, format!("{volume}")));
        }
        Ok((BarRow { open_time, open, high, low, close, volume }, shorts))
    }

    fn number(&mut self, line: u64, text: &str) -> Result<(Decimal, Option<Short>), Bad> {
        if let Some(short) = Short::of(text) {
            return Ok((short.decimal(), Some(short)));
        }
        match text.parse() {
            Ok(number) => Ok((number, None)),
            Err(NumberError::TooPrecise(..)) => {
                let (number, lost) = shorten(text).ok_or_else(|| (DefectKind::BadNumber, text.to_string()))?;
                if lost {
                    self.defect(DefectKind::Rounded, line, text.into());
                }
                Ok((number, None))
            }
            Err(_) => Err((DefectKind::BadNumber, format!("{text:?}"))),
        }
    }

    pub fn finish(mut self, path: &Path, options: &BarOptions, sha256: [u8; 32]) -> Result<BarFile, BarError> {
        if let Some((line, why)) = self.mixed {
            return Err(BarError::Format { path: path.into(), line, why });
        }
        let fail = |why: String| BarError::Format { path: path.into(), line: 1, why };
        let mut symbols = std::mem::take(&mut self.symbols);
        for rows in symbols.values_mut() {
            self.sort(rows);
        }
        if symbols.is_empty() {
            return Err(fail(self.nothing_usable(options)));
        }
        let whole = most_common_step(symbols.values());
        let mut series = Vec::with_capacity(symbols.len());
        for (symbol, mut rows) in symbols {
            let step = most_common_step(std::iter::once(&rows)).or(whole);
            let interval = interval_of(step, options.interval).map_err(fail)?;
            self.on_grid(&mut rows, interval);
            let gaps = gaps(&rows, interval);
            series.push(BarSeries { symbol, interval, rows, gaps });
        }
        let defects = self.defects.into_values().collect();
        Ok(BarFile { path: path.into(), series, rows_read: self.rows_read, defects, sha256 })
    }

    fn nothing_usable(&self, options: &BarOptions) -> String {
        let worst = self.defects.values().max_by_key(|d| d.count);
        match (worst, &options.symbol) {
            (Some(defect), _) => format!("no usable bar: {defect}"),
            (None, Some(symbol)) => format!("no bar of {symbol:?}; leave the symbol out to see which the file has"),
            (None, None) => "no bars after the header; check that this is the file you meant".into(),
        }
    }

    /// In order of time, the first of each open time. A file written newest first is turned round without a word:
    /// that is an order too.
    fn sort(&mut self, rows: &mut Rows) {
        if rows.len() > 1 && steps(rows).all(|step| step < 0) {
            rows.reverse();
        }
        let (mut sorted, mut before) = (true, UnixNanos::MIN);
        for (line, time) in rows.times() {
            if time < before {
                sorted = false;
                self.defect(DefectKind::OutOfOrder, line, format!("{time} after {before}"));
            }
            before = time;
        }
        if !sorted {
            rows.sort();
        }
        let mut kept: Option<BarRow> = None;
        rows.retain(|line, next| {
            let Some(same) = kept.filter(|kept| kept.open_time == next.open_time) else {
                kept = Some(*next);
                return true;
            };
            let how = if *next == same { "same bar" } else { "different bar" };
            self.defect(DefectKind::Duplicate, line, format!("{}, {how}", next.open_time));
            false
        });
    }

    /// Keeps the rows that lie a whole number of intervals apart, by the phase that most rows have.
    fn on_grid(&mut self, rows: &mut Rows, interval: Interval) {
        let phase_of = |time: UnixNanos| time.0.rem_euclid(interval.as_nanos().0);
        let phase = most_common(rows.times().map(|(_, time)| phase_of(time)));
        if rows.times().all(|(_, time)| Some(phase_of(time)) == phase) {
            return;
        }
        rows.retain(|line, row| {
            let on = Some(phase_of(row.open_time)) == phase;
            if !on {
                self.defect(DefectKind::OffGrid, line, format!("{} in a series of {interval} bars", row.open_time));
            }
            on
        });
    }
}

/// A number of more than 18 places, rounded to 15 significant digits, which is all a double is good for, and to 18
/// places; and whether the latter lost anything. Plain notation only.
fn shorten(text: &str) -> Option<(Decimal, bool)> {
    let (whole, fraction) = text.split_once('.')?;
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let mut places = fraction.len();
    let noise = digits(mantissa).saturating_sub(SIGNIFICANT).min(places);
    let mut mantissa = scaled_down(mantissa, noise);
    places -= noise;
    while places > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        places -= 1;
    }
    let lost = places > 18;
    let mantissa = scaled_down(mantissa, places.saturating_sub(18));
    let up = 18 - places.min(18);
    mantissa.checked_mul(pow10(up as u8)).map(|atoms| (Decimal::from_atoms(atoms), lost))
}

/// Decimal digits that survive a trip through a double.
const SIGNIFICANT: usize = 15;

fn digits(n: i128) -> usize {
    n.unsigned_abs().checked_ilog10().map_or(1, |d| d as usize + 1)
}

/// `n * 10^-places`, half to even.
fn scaled_down(n: i128, places: usize) -> i128 {
    // i128 has 39 digits: what is shifted further is zero.
    if places > 38 { 0 } else { div_rounded(n, pow10(places as u8), Rounding::HalfEven) }
}

/// The number as a double can be trusted to have meant it.
pub(super) fn without_noise(number: Decimal) -> Decimal {
    let noise = digits(number.atoms()).saturating_sub(SIGNIFICANT);
    Decimal::from_atoms(scaled_down(number.atoms(), noise) * pow10(noise as u8))
}

fn most_common(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut counts = BTreeMap::<i64, u64>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    // The smallest of equally common ones, on every machine.
    counts.into_iter().max_by_key(|(value, count)| (*count, std::cmp::Reverse(*value))).map(|(value, _)| value)
}

fn steps(rows: &Rows) -> impl Iterator<Item = i64> {
    rows.times().zip(rows.times().skip(1)).map(|((_, before), (_, after))| after.0 - before.0)
}

fn most_common_step<'a>(series: impl Iterator<Item = &'a Rows>) -> Option<i64> {
    most_common(series.flat_map(steps))
}

fn interval_of(step: Option<i64>, asked: Option<Interval>) -> Result<Interval, String> {
    let Some(step) = step else {
        return asked.ok_or_else(|| "a single bar does not tell its interval; state the interval".to_string());
    };
    let whole = (step % 1_000_000_000 == 0).then(|| u32::try_from(step / 1_000_000_000).ok()).flatten();
    let found = whole
        .and_then(Interval::from_secs)
        .ok_or_else(|| format!("bars are {step} ns apart, and an interval is whole seconds; check the time column"))?;
    match asked {
        Some(asked) if asked != found => {
            Err(format!("bars are {found} apart, not {asked}; leave the interval out or state {found}"))
        }
        _ => Ok(found),
    }
}

fn gaps(rows: &Rows, interval: Interval) -> Vec<Gap> {
    let step = interval.as_nanos().0;
    let times = || rows.times().map(|(_, time)| time);
    let gap = |(after, before): (UnixNanos, UnixNanos)| Gap {
        after,
        before,
        missing: ((before.0 - after.0) / step - 1) as u64,
    };
    times().zip(times().skip(1)).map(gap).filter(|g| g.missing > 0).collect()
}
