//! Typed parameters: what a strategy accepts, and reading it from text with errors that say what to do instead.
//! Never: turns an amount into a float on its way; the text's own decimal digits are what counts.

use ctos_types::{Decimal, InstrumentId, Instruments, Interval};
use std::collections::BTreeMap;
use std::fmt;

/// What kind of text a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// A unified symbol of the run, with or without its venue part.
    Symbol,
    /// `all`, or a comma-separated list of symbols.
    Symbols,
    /// A whole number.
    Integer,
    /// An amount of quote currency.
    Amount,
    /// A price in quote currency.
    Price,
    /// A percentage; a trailing `%` is allowed.
    Percent,
    /// A plain decimal number.
    Number,
    /// A bar length: `10s`, `1m`, `4h`, `1d`.
    Interval,
    /// `true` or `false`.
    Flag,
    /// One of the given words.
    Choice(&'static [&'static str]),
}

/// Which values are allowed. Bounds are decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Whatever the kind allows.
    Any,
    /// Strictly above.
    Above(&'static str),
    /// Both ends included.
    Between(&'static str, &'static str),
    /// The lower end excluded, the upper included.
    AboveUpTo(&'static str, &'static str),
}

/// One parameter of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    pub name: &'static str,
    pub kind: ParamKind,
    /// What is taken when the parameter is absent; `None`: `doc` says what its absence means.
    pub default: Option<&'static str>,
    pub doc: &'static str,
    pub range: Range,
}

/// What is wrong with a parameter, in one line, and one line what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    pub message: String,
    pub hint: String,
}

impl ParamError {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> ParamError {
        ParamError { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhint: {}", self.message, self.hint)
    }
}

impl std::error::Error for ParamError {}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamKind::Symbol => f.write_str("symbol"),
            ParamKind::Symbols => f.write_str("`all` or symbols"),
            ParamKind::Integer => f.write_str("whole number"),
            ParamKind::Amount => f.write_str("quote amount"),
            ParamKind::Price => f.write_str("price"),
            ParamKind::Percent => f.write_str("percent"),
            ParamKind::Number => f.write_str("number"),
            ParamKind::Interval => f.write_str("interval"),
            ParamKind::Flag => f.write_str("`true` or `false`"),
            ParamKind::Choice(words) => {
                for (i, word) in words.iter().enumerate() {
                    write!(f, "{}`{word}`", if i == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Any => Ok(()),
            Range::Above(low) => write!(f, "above {low}"),
            Range::Between(low, high) => write!(f, "{low} to {high}"),
            Range::AboveUpTo(low, high) => write!(f, "above {low}, up to {high}"),
        }
    }
}

/// Bounds are constants of a strategy's table; a malformed one is a bug of that strategy.
fn bound(text: &str) -> Decimal {
    text.parse().expect("a bound in a parameter table is a decimal")
}

impl Range {
    /// Whether `value` lies within.
    pub fn holds(&self, value: Decimal) -> bool {
        match self {
            Range::Any => true,
            Range::Above(low) => value > bound(low),
            Range::Between(low, high) => value >= bound(low) && value <= bound(high),
            Range::AboveUpTo(low, high) => value > bound(low) && value <= bound(high),
        }
    }
}

/// The word nearest to `text`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = words.map(|w| (strsim::damerau_levenshtein(&text.to_lowercase(), &w.to_lowercase()), w));
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= (text.chars().count() / 2).max(2)).then_some(best.1)
}

/// "did you mean X? " when there is an X, and then what there is.
pub(crate) fn suggestion<'a>(text: &str, what: &str, words: impl Iterator<Item = &'a str> + Clone) -> String {
    let all: Vec<&str> = words.clone().take(30).collect();
    let more = words.clone().count() - all.len();
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    match nearest(text, words) {
        Some(word) => format!("did you mean {word}? {what}: {}{tail}", all.join(", ")),
        None => format!("{what}: {}{tail}", all.join(", ")),
    }
}

/// The parameters given to one strategy, read against its table.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    strategy: &'static str,
    specs: &'static [ParamSpec],
    given: &'a BTreeMap<String, String>,
    pub instruments: &'a Instruments,
    /// What the run trades: the default for `symbol` and `symbols`.
    pub defaults: &'a [InstrumentId],
}

type Read<T> = Result<T, ParamError>;

impl<'a> Args<'a> {
    /// Refuses names that the table does not know.
    pub(crate) fn new(
        strategy: &'static str,
        specs: &'static [ParamSpec],
        given: &'a BTreeMap<String, String>,
        instruments: &'a Instruments,
        defaults: &'a [InstrumentId],
    ) -> Read<Args<'a>> {
        if let Some(name) = given.keys().find(|name| !specs.iter().any(|s| s.name == name.as_str())) {
            let hint = suggestion(name, "its parameters are", specs.iter().map(|s| s.name));
            return Err(ParamError::new(format!("strategy {strategy} has no parameter {name}"), hint));
        }
        Ok(Args { strategy, specs, given, instruments, defaults })
    }

    /// Panics when the table has no such parameter: that is a bug of the strategy.
    fn spec(&self, name: &str) -> &'static ParamSpec {
        let found = self.specs.iter().find(|s| s.name == name);
        found.unwrap_or_else(|| panic!("strategy {} reads {name}, which is not in its table", self.strategy))
    }

    fn default<T>(&self, name: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| panic!("strategy {} gives {name} no default and reads it as if it did", self.strategy))
    }

    /// What the user gave, as text.
    pub fn given(&self) -> &'a BTreeMap<String, String> {
        self.given
    }

    /// Whether the user gave it.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let given = self.given.get(name).map(|t| t.trim());
        given.or(self.spec(name).default)
    }

    /// An error about one parameter of this strategy.
    pub fn error(&self, name: &str, why: impl fmt::Display) -> ParamError {
        let spec = self.spec(name);
        let range = spec.range.to_string();
        let range = if range.is_empty() { range } else { format!(", {range}") };
        let example = spec.default.map(|d| format!(" (default {d})")).unwrap_or_default();
        let hint = format!("{name} takes {}{range}{example}: {}", spec.kind, spec.doc);
        ParamError::new(format!("parameter {name} of strategy {}: {why}", self.strategy), hint)
    }

    /// A decimal within the parameter's range; `None` when absent and without default.
    pub fn decimal(&self, name: &str) -> Read<Option<Decimal>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let spec = self.spec(name);
        let digits = if spec.kind == ParamKind::Percent { text.trim_end_matches('%').trim_end() } else { text };
        let value: Decimal = digits.parse().map_err(|e| self.error(name, e))?;
        if !spec.range.holds(value) {
            return Err(self.error(name, format_args!("{text} is out of range")));
        }
        Ok(Some(value))
    }

    /// As [`Args::decimal`] for a parameter that has a default.
    pub fn number(&self, name: &str) -> Read<Decimal> {
        Ok(self.default(name, self.decimal(name)?))
    }

    /// A whole number within the parameter's range, for one that has a default.
    pub fn integer(&self, name: &str) -> Read<u32> {
        Ok(self.default(name, self.optional_integer(name)?))
    }

    /// A whole number within the parameter's range; `None` when absent and without default.
    pub fn optional_integer(&self, name: &str) -> Read<Option<u32>> {
        let Some(value) = self.decimal(name)? else { return Ok(None) };
        let whole = value.to_mantissa(0).ok().and_then(|v| u32::try_from(v).ok());
        whole.map(Some).ok_or_else(|| self.error(name, format_args!("{value} is not a whole number")))
    }

    /// A bar length, for a parameter that has a default.
    pub fn interval(&self, name: &str) -> Read<Interval> {
        let text = self.default(name, self.text(name));
        text.parse().map_err(|e: String| self.error(name, e))
    }

    /// A yes or no, for a parameter that has a default.
    pub fn flag(&self, name: &str) -> Read<bool> {
        match self.default(name, self.text(name)) {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            other => Err(self.error(name, format_args!("{other:?} is neither true nor false"))),
        }
    }

    /// One of the parameter's words; `None` when absent and without default.
    pub fn choice(&self, name: &str) -> Read<Option<&'static str>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let ParamKind::Choice(words) = self.spec(name).kind else { unreachable!("read as what the table says") };
        let found = words.iter().copied().find(|w| *w == text);
        found.map(Some).ok_or_else(|| self.error(name, format_args!("{text:?} is not one of its words")))
    }

    fn find(&self, name: &str, text: &str) -> Read<InstrumentId> {
        self.instruments.find(text).map(|i| i.id).ok_or_else(|| {
            let symbols = self.instruments.iter().map(|i| i.symbol.as_str());
            let hint = suggestion(text, "this run knows", symbols);
            ParamError::new(
                format!("parameter {name} of strategy {}: no single instrument is named {text:?}", self.strategy),
                hint,
            )
        })
    }

    /// The instrument of `symbol`: the run's first one when absent.
    pub fn symbol(&self, name: &str) -> Read<InstrumentId> {
        if let Some(text) = self.text(name) {
            return self.find(name, text);
        }
        let first = self.defaults.first().copied().or_else(|| self.instruments.iter().next().map(|i| i.id));
        first.ok_or_else(|| self.error(name, "the run has no instrument to default to"))
    }

    /// The instruments of `symbols`, each once, in order of their ids. `all`: what the run trades.
    pub fn symbols(&self, name: &str) -> Read<Vec<InstrumentId>> {
        let text = self.text(name).unwrap_or("all");
        let mut ids = if text == "all" {
            if self.defaults.is_empty() {
                self.instruments.iter().map(|i| i.id).collect()
            } else {
                self.defaults.to_vec()
            }
        } else {
            let names = text.split(',').map(str::trim).filter(|t| !t.is_empty());
            names.map(|t| self.find(name, t)).collect::<Read<Vec<_>>>()?
        };
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() { Err(self.error(name, "it names no instrument")) } else { Ok(ids) }
    }
}
