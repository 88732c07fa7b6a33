//! One swept parameter: `fast=5..50:5`, `slow=20,50,100`, `size=log:10..1000:7`, as an ordered list of exact texts.
//! Never: a float that reaches a strategy; values are decimals, and those of a log range are cut to four digits.

use ctos_runtime::UserError;
use ctos_strategies::{ParamKind, ParamSpec, StrategyInfo};
use ctos_types::{Decimal, Interval, Rounding};
use serde::{Deserialize, Serialize};

/// Values one axis may have.
pub const MAX_VALUES: usize = 10_000;
/// Steps that stand for a continuum where a range names none.
const FINE: i128 = 1_000;

/// How the values of an axis relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Evenly spaced numbers.
    Linear,
    /// Numbers in even proportions.
    Log,
    /// Ordered values with gaps of their own: neighbours are alike.
    Listed,
    /// Words without an order.
    Words,
}

/// A parameter and the values to try, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    pub name: String,
    pub scale: Scale,
    /// As a strategy takes them.
    pub values: Vec<String>,
    /// The range named no step: its values stand for a continuum, which a grid cannot visit.
    pub open: bool,
}

type Read<T> = Result<T, UserError>;

impl Axis {
    /// Reads `NAME=VALUES` against the strategy's own table of parameters.
    ///
    /// # Errors
    /// An unknown parameter, a value of the wrong kind or out of its range, an empty range, too many values.
    pub fn parse(text: &str, strategy: &StrategyInfo) -> Read<Axis> {
        let (name, values) = text
            .split_once('=')
            .map(|(k, v)| (k.trim(), v.trim()))
            .filter(|(k, v)| !k.is_empty() && !v.is_empty())
            .ok_or_else(|| {
                UserError::new(format!("--param {text:?} is not NAME=VALUES"), "write for example --param fast=5..50:5")
            })?;
        let spec = spec(strategy, name)?;
        let reader = Reader { spec, strategy: strategy.name };
        reader.axis(values)
    }

    /// Where value `i` lies between the first (0) and the last (1).
    pub fn place(&self, i: usize) -> f64 {
        if self.values.len() < 2 { 0.5 } else { i as f64 / (self.values.len() - 1) as f64 }
    }

    /// Whether neighbours are alike.
    pub fn is_ordered(&self) -> bool {
        self.scale != Scale::Words
    }

    /// Whether the values are numbers.
    pub fn is_numeric(&self) -> bool {
        self.is_ordered() && self.values.iter().all(|v| v.parse::<Decimal>().is_ok())
    }
}

/// The entry of `name` in the strategy's table.
pub fn spec(strategy: &StrategyInfo, name: &str) -> Read<&'static ParamSpec> {
    strategy.params.iter().find(|s| s.name == name).ok_or_else(|| {
        let all: Vec<&str> = strategy.params.iter().map(|s| s.name).collect();
        let near = all.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
        let near = near.filter(|(far, _)| *far <= (name.chars().count() / 2).max(2));
        let guess = near.map(|(_, known)| format!("did you mean {known}? ")).unwrap_or_default();
        let hint = format!("{guess}its parameters are: {}", all.join(", "));
        UserError::new(format!("strategy {} has no parameter {name}", strategy.name), hint)
    })
}

struct Reader {
    spec: &'static ParamSpec,
    strategy: &'static str,
}

impl Reader {
    fn error(&self, why: impl std::fmt::Display) -> UserError {
        let spec = self.spec;
        let range = spec.range.to_string();
        let range = if range.is_empty() { range } else { format!(", {range}") };
        let example = match spec.kind {
            kind if !is_number(kind) => "A,B,C",
            ParamKind::Integer => "5..50:5, 20,50,100 or log:10..1000:7",
            _ => "0.1..0.5:0.1, 0.2,0.5,1 or log:0.01..1:5",
        };
        let hint = format!("{} takes {}{range}; write for example {}={example}", spec.name, spec.kind, spec.name);
        UserError::new(format!("--param {} of strategy {}: {why}", spec.name, self.strategy), hint)
    }

    fn axis(&self, text: &str) -> Read<Axis> {
        let (scale, values, open) = if let Some(range) = text.strip_prefix("log:") {
            self.log(range)?
        } else if is_number(self.spec.kind) && text.contains("..") {
            self.linear(text)?
        } else {
            self.list(text)?
        };
        if values.len() > MAX_VALUES {
            return Err(self.error(format_args!("{} values, at most {MAX_VALUES} are possible", values.len())));
        }
        Ok(Axis { name: self.spec.name.into(), scale, values, open })
    }

    // ---- lists

    fn list(&self, text: &str) -> Read<(Scale, Vec<String>, bool)> {
        // A list of symbols is one value of such a parameter, so its values are parted otherwise.
        let comma = if self.spec.kind == ParamKind::Symbols { '|' } else { ',' };
        let mut values: Vec<String> = Vec::new();
        for item in text.split(comma).map(str::trim) {
            let value = self.value(item)?;
            if values.contains(&value) {
                return Err(self.error(format_args!("{value} is named twice")));
            }
            values.push(value);
        }
        let scale = match self.spec.kind {
            kind if is_number(kind) => {
                values.sort_by_key(|v| v.parse::<Decimal>().unwrap_or_default());
                Scale::Listed
            }
            ParamKind::Interval => {
                values.sort_by_key(|v| v.parse::<Interval>().map(|i| i.as_nanos()).unwrap_or_default());
                Scale::Listed
            }
            _ => Scale::Words,
        };
        Ok((scale, values, false))
    }

    /// One value as the strategy would read it; numbers in their plain form.
    fn value(&self, text: &str) -> Read<String> {
        if text.is_empty() {
            return Err(self.error("a value is empty"));
        }
        match self.spec.kind {
            kind if is_number(kind) => Ok(self.checked(self.number(text)?)?.to_string()),
            ParamKind::Interval => text.parse::<Interval>().map(|_| text.into()).map_err(|why| self.error(why)),
            ParamKind::Flag => match text {
                "true" | "yes" | "on" | "1" => Ok("true".into()),
                "false" | "no" | "off" | "0" => Ok("false".into()),
                _ => Err(self.error(format_args!("{text:?} is neither true nor false"))),
            },
            ParamKind::Choice(words) if !words.contains(&text) => {
                Err(self.error(format_args!("{text:?} is not one of its words")))
            }
            _ => Ok(text.into()),
        }
    }

    // ---- ranges

    fn number(&self, text: &str) -> Read<Decimal> {
        let text = text.trim();
        let digits = if self.spec.kind == ParamKind::Percent { text.trim_end_matches('%').trim_end() } else { text };
        let value: Decimal = digits.parse().map_err(|e| self.error(e))?;
        if self.spec.kind == ParamKind::Integer && value.to_mantissa(0).is_err() {
            return Err(self.error(format_args!("{text} is not a whole number")));
        }
        Ok(value)
    }

    fn checked(&self, value: Decimal) -> Read<Decimal> {
        if self.spec.range.holds(value) { Ok(value) } else { Err(self.error(format_args!("{value} is out of range"))) }
    }

    /// `LOW..HIGH`, and what stands behind its colon.
    fn bounds<'t>(&self, text: &'t str) -> Read<(Decimal, Decimal, Option<&'t str>)> {
        let (range, more) = text.split_once(':').map_or((text, None), |(range, more)| (range, Some(more)));
        let (low, high) =
            range.split_once("..").ok_or_else(|| self.error(format_args!("{text:?} is not LOW..HIGH")))?;
        let (low, high) = (self.checked(self.number(low)?)?, self.checked(self.number(high)?)?);
        if low > high {
            return Err(self.error(format_args!("the range {low}..{high} is empty")));
        }
        Ok((low, high, more))
    }

    fn linear(&self, text: &str) -> Read<(Scale, Vec<String>, bool)> {
        let (low, high, step) = self.bounds(text)?;
        let whole = self.spec.kind == ParamKind::Integer;
        let span = high.atoms() - low.atoms();
        let step = match step {
            Some(step) => self.number(step)?.atoms(),
            None if whole => Decimal::ONE.atoms(),
            None => 0,
        };
        let at = |atoms: i128| Decimal::from_atoms(low.atoms() + atoms).to_string();
        if step > 0 {
            let last = span / step;
            if last >= MAX_VALUES as i128 {
                return Err(self.error(format_args!("{} values, at most {MAX_VALUES} are possible", last + 1)));
            }
            return Ok((Scale::Linear, (0..=last).map(|i| at(i * step)).collect(), false));
        }
        if step < 0 || text.contains(':') {
            return Err(self.error("the step is not above 0"));
        }
        if span == 0 {
            return Ok((Scale::Linear, vec![low.to_string()], false));
        }
        // Bounds of a parameter are far from the ends of a decimal's range; more digits than it has are cut.
        let mut values: Vec<String> = (0..=FINE).map(|i| at((span / FINE) * i + (span % FINE) * i / FINE)).collect();
        values.dedup();
        Ok((Scale::Linear, values, true))
    }

    fn log(&self, text: &str) -> Read<(Scale, Vec<String>, bool)> {
        if !is_number(self.spec.kind) {
            return Err(self.error("only numbers have a log range"));
        }
        let (low, high, count) = self.bounds(text)?;
        if !low.is_positive() {
            return Err(self.error(format_args!("a log range starts above 0, not at {low}")));
        }
        let steps = match count {
            None => FINE as usize,
            Some(count) => match count.trim().parse::<usize>() {
                Ok(n) if (2..=MAX_VALUES).contains(&n) => n - 1,
                _ => return Err(self.error(format_args!("a log range has 2 to {MAX_VALUES} values, not {count:?}"))),
            },
        };
        let (from, to) = (libm::log(low.to_f64()), libm::log(high.to_f64()));
        let mut values = vec![low];
        for i in 1..steps {
            let exact = libm::exp(from + (to - from) * i as f64 / steps as f64);
            let value = self.rounded(exact).clamp(low, high);
            // Rounding may bring neighbours together.
            if values.last() != Some(&value) {
                values.push(value);
            }
        }
        if values.last() != Some(&high) {
            values.push(high);
        }
        Ok((Scale::Log, values.iter().map(Decimal::to_string).collect(), count.is_none()))
    }

    /// A whole number, or four significant digits.
    fn rounded(&self, exact: f64) -> Decimal {
        let text = format!("{exact:.3e}");
        let value: Decimal = text.parse().unwrap_or_default();
        if self.spec.kind != ParamKind::Integer {
            return value;
        }
        let whole: Decimal = format!("{exact:.6}").parse().unwrap_or(value);
        whole.round(0, Rounding::HalfEven)
    }
}

fn is_number(kind: ParamKind) -> bool {
    matches!(kind, ParamKind::Integer | ParamKind::Amount | ParamKind::Price | ParamKind::Percent | ParamKind::Number)
}

#[cfg(test)]
mod tests;
