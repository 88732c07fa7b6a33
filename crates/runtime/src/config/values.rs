//! Text to value and back, for every kind of value a setting can have.
//! Never: a float; amounts and factors are exact decimals.

use ctos_types::{Decimal, Nanos};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What a value should have been, and one that would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {what}, for example {example}")]
pub struct Expected {
    pub what: Cow<'static, str>,
    pub example: Cow<'static, str>,
}

pub(super) fn expected(what: impl Into<Cow<'static, str>>, example: impl Into<Cow<'static, str>>) -> Expected {
    Expected { what: what.into(), example: example.into() }
}

/// The text form of a value in `explain` and in the journal.
pub(super) trait Show {
    fn show(&self) -> String;
}

macro_rules! show_as_display {
    ($($t:ty),*) => { $(impl Show for $t { fn show(&self) -> String { self.to_string() } })* };
}
show_as_display!(bool, u32, u64, String, Decimal, Speed, LatencySetting, std::net::SocketAddr);

impl Show for Nanos {
    fn show(&self) -> String {
        span_text(*self)
    }
}

/// A limit that is switched off.
impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or("off".into(), Show::show)
    }
}

/// Serialises a type as its text form, `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($t:ty) => {
        impl serde::Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use serde_as_text;

// ---- plain numbers

pub(super) fn truth(text: &str) -> Result<bool, Expected> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(expected("true or false", "true")),
    }
}

/// A whole number within bounds, both included.
pub(super) fn whole<T>(lo: T, hi: T) -> impl Fn(&str) -> Result<T, Expected>
where
    T: FromStr + PartialOrd + Copy + fmt::Display,
{
    move |text| {
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let value = text.parse::<T>().ok().filter(|v| plain && (lo..=hi).contains(v));
        value.ok_or_else(|| expected(format!("a whole number from {lo} to {hi}"), lo.to_string()))
    }
}

/// An exact decimal within bounds, both included. `what` names it in the message.
pub(super) fn decimal(
    what: &'static str,
    example: &'static str,
    lo: Decimal,
    hi: Decimal,
) -> impl Fn(&str) -> Result<Decimal, Expected> {
    move |text| text.parse::<Decimal>().ok().filter(|d| (lo..=hi).contains(d)).ok_or_else(|| expected(what, example))
}

/// More than nothing, in an amount that leaves room for arithmetic.
pub(super) fn amount_above_zero(text: &str) -> Result<Decimal, Expected> {
    amount(text).ok().filter(|d| d.is_positive()).ok_or_else(|| expected("an amount above 0", "\"1000\""))
}

/// Zero or more. The cap leaves room to multiply and to sum over accounts.
pub(super) fn amount(text: &str) -> Result<Decimal, Expected> {
    let cap = Decimal::from_int(1_000_000_000_000_000);
    let what = "an amount from 0 to 1e15 with at most 18 decimal places";
    decimal(what, "\"10000\" or \"0.25\"", Decimal::ZERO, cap)(text)
}

/// A share such as a fee rate, as a fraction (`0.0002`) or in percent (`0.02%`), within ±10 %.
pub(super) fn rate(text: &str) -> Result<Decimal, Expected> {
    let bad = || expected("a rate from -10% to 10%", "\"0.0002\" or \"0.02%\"");
    let (number, per_cent) = text.strip_suffix('%').map_or((text, false), |n| (n.trim_end(), true));
    let value: Decimal = number.parse().map_err(|_| bad())?;
    let hundred = 100;
    let value = if per_cent {
        // Exact or refused: a rate that does not fit 18 places would silently become another one.
        let atoms = value.atoms();
        (atoms % hundred == 0).then(|| Decimal::from_atoms(atoms / hundred)).ok_or_else(bad)?
    } else {
        value
    };
    let tenth = Decimal::new(1, 1);
    if value.abs() <= tenth { Ok(value) } else { Err(bad()) }
}

/// A limit, or the word `off`.
pub(super) fn or_off<T>(parse: impl Fn(&str) -> Result<T, Expected>) -> impl Fn(&str) -> Result<Option<T>, Expected> {
    move |text| {
        if text == "off" {
            return Ok(None);
        }
        parse(text).map(Some).map_err(|e| expected(format!("{} (or off)", e.what), e.example))
    }
}

// ---- time

const UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A span of time: numbers with units `d h m s ms us ns`, also several in a row (`1h30m`) and with decimals (`1.5s`).
/// `0` needs no unit. Never negative, at most 100 years.
pub fn parse_span(text: &str) -> Result<Nanos, Expected> {
    let bad = || expected("a time span with a unit (d, h, m, s, ms, us, ns)", "30s or 1h30m");
    if text == "0" {
        return Ok(Nanos::ZERO);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let unit = UNITS.iter().find(|(name, _)| *name == &tail[..end]).ok_or_else(bad)?.1;
        let part = exact_times(number, unit).ok_or_else(bad)?;
        total = total.checked_add(part).filter(|t| *t <= 100 * 365 * UNITS[0].1).ok_or_else(bad)?;
        rest = &tail[end..];
    }
    if text.is_empty() { Err(bad()) } else { Ok(Nanos(total)) }
}

/// `number * unit` in nanoseconds, if whole.
fn exact_times(number: &str, unit: i64) -> Option<i64> {
    let value: Decimal = number.parse().ok()?;
    let atoms = value.atoms().checked_mul(i128::from(unit))?;
    let one = Decimal::ONE.atoms();
    if atoms % one != 0 { None } else { i64::try_from(atoms / one).ok() }
}

/// The shortest exact text with one unit: `90s`, `1500ms`, `0s`.
pub fn span_text(span: Nanos) -> String {
    if span.0 == 0 {
        return "0s".into();
    }
    let (name, unit) = UNITS.iter().find(|(_, unit)| span.0 % unit == 0).unwrap_or(&("ns", 1));
    format!("{}{name}", span.0 / unit)
}

/// A span within bounds, both included.
pub(super) fn span(lo: Nanos, hi: Nanos) -> impl Fn(&str) -> Result<Nanos, Expected> {
    move |text| {
        let value = parse_span(text)?;
        if (lo..=hi).contains(&value) {
            return Ok(value);
        }
        Err(expected(format!("a time span from {} to {}", span_text(lo), span_text(hi)), span_text(lo)))
    }
}

/// A span within bounds; `off` or `0` switches the rule off.
pub(super) fn span_or_off(lo: Nanos, hi: Nanos) -> impl Fn(&str) -> Result<Option<Nanos>, Expected> {
    move |text| {
        if parse_span(text) == Ok(Nanos::ZERO) {
            return Ok(None);
        }
        or_off(span(lo, hi))(text)
    }
}

/// For `#[serde(with = "values::as_span")]`: a span as text.
pub(super) mod as_span {
    use super::*;
    pub fn serialize<S: Serializer>(span: &Nanos, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&span_text(*span))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Nanos, D::Error> {
        parse_span(&Cow::<str>::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// The same for a span that may be absent.
pub(super) mod as_opt_span {
    use super::*;
    pub fn serialize<S: Serializer>(span: &Option<Nanos>, s: S) -> Result<S::Ok, S::Error> {
        span.map(span_text).serialize(s)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Nanos>, D::Error> {
        let text = Option::<Cow<str>>::deserialize(d)?;
        text.map(|t| parse_span(&t)).transpose().map_err(serde::de::Error::custom)
    }
}

// ---- speed

/// How fast market time passes: a multiple of real time, or as fast as the machine can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Market seconds for each real second: above 0, at most a million.
    Factor(Decimal),
    Max,
}

impl FromStr for Speed {
    type Err = Expected;
    fn from_str(text: &str) -> Result<Speed, Expected> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let factor = text.strip_suffix('x').unwrap_or(text).parse::<Decimal>().ok();
        let cap = Decimal::from_int(1_000_000);
        let factor = factor.filter(|f| f.is_positive() && *f <= cap);
        factor.map(Speed::Factor).ok_or_else(|| expected("a speed such as 1x, 60x or max", "60x"))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Factor(factor) => write!(f, "{factor}x"),
            Speed::Max => f.write_str("max"),
        }
    }
}
serde_as_text!(Speed);

// ---- latency

/// A latency model in settings: `constant:5ms`, `uniform:1ms..10ms`, `lognormal:5ms,sigma=0.5,max=200ms`, or a bare
/// span for a constant one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatencySetting {
    Constant(Nanos),
    Uniform { min: Nanos, max: Nanos },
    LogNormal { median: Nanos, sigma: Decimal, max: Nanos },
}

/// More than a minute is a mistake in the unit.
const LATENCY_MAX: Nanos = Nanos::from_secs(60);

impl FromStr for LatencySetting {
    type Err = Expected;
    fn from_str(text: &str) -> Result<LatencySetting, Expected> {
        let bad = || {
            let what = "a latency of at most 60s: constant:SPAN, uniform:SPAN..SPAN or lognormal:SPAN,sigma=S,max=SPAN";
            expected(what, "uniform:1ms..10ms or lognormal:5ms,sigma=0.5,max=200ms")
        };
        let one = |t: &str| parse_span(t).ok().filter(|s| *s <= LATENCY_MAX).ok_or_else(bad);
        match text.split_once(':') {
            None => one(text).map(LatencySetting::Constant),
            Some(("constant", rest)) => one(rest).map(LatencySetting::Constant),
            Some(("uniform", rest)) => {
                let (min, max) = rest.split_once("..").ok_or_else(bad)?;
                let (min, max) = (one(min)?, one(max)?);
                if min <= max { Ok(LatencySetting::Uniform { min, max }) } else { Err(bad()) }
            }
            Some(("lognormal", rest)) => {
                let mut parts = rest.split(',').map(str::trim);
                let median = one(parts.next().unwrap_or_default())?;
                let sigma = parts.next().and_then(|p| p.strip_prefix("sigma=")).ok_or_else(bad)?;
                let sigma = decimal("", "", Decimal::ZERO, Decimal::from_int(3))(sigma).map_err(|_| bad())?;
                let max = one(parts.next().and_then(|p| p.strip_prefix("max=")).ok_or_else(bad)?)?;
                let ok = parts.next().is_none() && median <= max && median > Nanos::ZERO;
                if ok { Ok(LatencySetting::LogNormal { median, sigma, max }) } else { Err(bad()) }
            }
            Some(_) => Err(bad()),
        }
    }
}

impl fmt::Display for LatencySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LatencySetting::Constant(span) => write!(f, "constant:{}", span_text(span)),
            LatencySetting::Uniform { min, max } => write!(f, "uniform:{}..{}", span_text(min), span_text(max)),
            LatencySetting::LogNormal { median, sigma, max } => {
                write!(f, "lognormal:{},sigma={sigma},max={}", span_text(median), span_text(max))
            }
        }
    }
}
serde_as_text!(LatencySetting);
