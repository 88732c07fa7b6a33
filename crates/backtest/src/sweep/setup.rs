//! From what a user asks for to a sweep that can run: ranges typed, data loaded, windows cut, everything checked.
//! Never: starts a trial, or makes a folder.

use super::axis::{Axis, spec};
use super::engine::Backtests;
use super::market::Shared;
use super::objective::Scoring;
use super::schedule::{Sweep, nothing_taken};
use super::search::{Method, Plan};
use super::space::Space;
use super::split::{Part, Split, Window, folds};
use super::trial::{DataRange, Engine, FORMAT, Models, Trial};
use ctos_runtime::config::{Settings, StrategySettings, span_text};
use ctos_runtime::{RunError, UserError};
use ctos_strategies::{Catalog, ParamKind, StrategyInfo};
use ctos_types::{Decimal, Interval, Nanos, UnixNanos};
use std::sync::Arc;

/// Combinations of a grid: more would not end, and not fit into memory.
pub const MAX_TRIALS: u64 = 1_000_000;

/// Spaces up to this size are searched for a combination that the strategy takes before a folder is made.
const LOOKS: u64 = 20_000;

/// A sweep as asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// One strategy; its parameters are the fixed ones.
    pub settings: Settings,
    /// `NAME=VALUES` each.
    pub params: Vec<String>,
    pub method: Method,
    pub trials: u64,
    pub batch: u32,
    pub scoring: Scoring,
    pub split: Option<Split>,
    pub from: Option<UnixNanos>,
    pub to: Option<UnixNanos>,
    /// `None`: as many bars as the strategy's longest average needs.
    pub warm_up: Option<Nanos>,
}

/// A checked sweep, and what runs it.
#[derive(Debug)]
pub struct Prepared {
    pub sweep: Sweep,
    pub engine: Backtests,
}

/// # Errors
/// Anything the user can mend: see each check.
pub fn prepare(request: &Request, catalog: Catalog) -> Result<Prepared, RunError> {
    let settings = &request.settings;
    let [strategy] = &settings.strategies[..] else {
        let hint = "name one strategy with --strategy";
        return Err(
            UserError::new(format!("a sweep is of one strategy, not of {}", settings.strategies.len()), hint).into()
        );
    };
    let info = catalog.info(&strategy.name).map_err(|e| UserError::new(e.message, e.hint))?;
    let space = space(request, strategy, info)?;
    let warm_up = request.warm_up.unwrap_or_else(|| need(info, &space, strategy));
    let market = Shared::open(settings)?;
    let mut engine = Backtests::new(catalog, market, &settings.symbols)?;
    let range = range(request, engine.market().range(), warm_up)?;
    let folds = folds(range, request.split, warm_up)?;
    let windows: Vec<Window> = folds.iter().flat_map(|f| [Some(f.train), f.test]).flatten().collect();
    engine.prepare(&windows, warm_up)?;
    let grid = request.method == Method::Grid;
    let plan = Plan {
        method: request.method,
        // What a method does not use must not tell two equal sweeps apart.
        trials: if grid { 0 } else { request.trials },
        batch: if request.method == Method::Tpe { request.batch } else { 0 },
        seed: settings.seed,
    };
    let models = Models {
        strategy_id: strategy.id.clone(),
        account: strategy.account.clone(),
        accounts: settings.accounts.clone(),
        venue: settings.venue.clone(),
        risk: settings.risk.clone(),
    };
    let data = DataRange {
        market: settings.market.to_string(),
        digest: engine.market().digest.clone(),
        symbols: settings.symbols.clone(),
        from: range.from,
        to: range.to,
        warm_up,
    };
    let base = Trial {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").into(),
        strategy: strategy.name.clone(),
        params: strategy.params.clone(),
        data,
        models: Arc::new(models),
        seed: settings.seed,
    };
    let sweep = Sweep { base, space: Arc::new(space), plan, folds, scoring: request.scoring };
    let looks = sweep.space.size().min(LOOKS);
    let taken = |n| {
        let trial = sweep.trial(&sweep.space.nth(n), &sweep.folds[0], Part::Train);
        engine.takes(&trial.strategy, &trial.params).is_ok()
    };
    if looks == sweep.space.size() && !(0..looks).any(taken) {
        return Err(nothing_taken(&sweep, &engine).into());
    }
    Ok(Prepared { sweep, engine })
}

fn space(request: &Request, strategy: &StrategySettings, info: &StrategyInfo) -> Result<Space, UserError> {
    for name in strategy.params.keys() {
        spec(info, name)?;
    }
    let axes = request.params.iter().map(|p| Axis::parse(p, info)).collect::<Result<Vec<_>, _>>()?;
    if let Some(both) = axes.iter().find(|a| strategy.params.contains_key(&a.name)) {
        let hint = format!("leave --set {0}=… or --param {0}=… out", both.name);
        return Err(UserError::new(format!("parameter {} is both set and swept", both.name), hint));
    }
    let space = Space::new(axes)?;
    match request.method {
        Method::Grid => grid(&space)?,
        _ if request.trials == 0 => {
            return Err(UserError::new("no trials were asked for", "write for example --trials 100"));
        }
        _ => {}
    }
    Ok(space)
}

fn grid(space: &Space) -> Result<(), UserError> {
    if let Some(open) = space.axes().iter().find(|a| a.open) {
        let ends = (open.values.first(), open.values.last());
        let (first, last) = (ends.0.map_or("", String::as_str), ends.1.map_or("", String::as_str));
        let step = format!(
            "give it one, for example --param {}={first}..{last}:STEP or log:{first}..{last}:7, or search with \
             --method tpe",
            open.name
        );
        return Err(UserError::new(format!("a grid cannot visit a range without a step: {}", open.name), step));
    }
    if space.size() > MAX_TRIALS {
        let hint = "give wider steps, or search with --method random or tpe and --trials";
        return Err(UserError::new(format!("a grid of more than {MAX_TRIALS} combinations"), hint));
    }
    Ok(())
}

/// What is traded on: all data behind the first warm-up, or what was asked for of it.
fn range(request: &Request, data: Window, warm_up: Nanos) -> Result<Window, UserError> {
    let begin = data.from.after(warm_up);
    let range = Window {
        from: request.from.map_or(begin, |f| f.max(begin)),
        to: request.to.map_or(data.to, |t| t.min(data.to)),
    };
    if let (Some(from), Some(to)) = (request.from, request.to)
        && to <= from
    {
        return Err(UserError::new(format!("the range from {from} to {to} is empty"), "choose --to after --from"));
    }
    if range.is_empty() {
        let outside = request.from.is_some_and(|f| f >= data.to) || request.to.is_some_and(|t| t <= data.from);
        let (what, hint) = if outside || data.len() > warm_up {
            (
                format!("the data from {} to {} has nothing in that range", data.from, data.to),
                "choose another --from and --to",
            )
        } else {
            let (has, needs) = (span_text(data.len()), span_text(warm_up));
            (
                format!("the data of {has} is not longer than the warm-up of {needs}"),
                "give more data, or shorter strategy parameters",
            )
        };
        return Err(UserError::new(what, hint));
    }
    Ok(range)
}

/// How the tables of strategies word a count of bars that must have been seen.
const BARS: &str = "Bars in ";

/// The time a strategy on bars needs before its first signal, at the most that the sweep can ask for.
fn need(info: &StrategyInfo, space: &Space, strategy: &StrategySettings) -> Nanos {
    first_signal(info, |name, default| {
        let swept = space.axes().iter().find(|a| a.name == name).map(|a| a.values.clone());
        let fixed = || strategy.params.get(name).cloned().or(default.map(str::to_owned)).into_iter().collect();
        swept.unwrap_or_else(fixed)
    })
}

/// The same for any `values` of a parameter, which are asked for by its name and default. Zero where a strategy is not
/// on bars.
pub(crate) fn first_signal(info: &StrategyInfo, values: impl Fn(&str, Option<&str>) -> Vec<String>) -> Nanos {
    let intervals = info.params.iter().filter(|p| p.kind == ParamKind::Interval);
    let longest = intervals.flat_map(|p| values(p.name, p.default)).filter_map(|v| v.parse::<Interval>().ok());
    let Some(interval) = longest.map(|i| i.as_nanos().0).max() else { return Nanos::ZERO };
    let counts = info.params.iter().filter(|p| p.kind == ParamKind::Integer && p.doc.starts_with(BARS));
    let most =
        counts.flat_map(|p| values(p.name, p.default)).filter_map(|v| v.parse::<Decimal>().ok()?.to_mantissa(0).ok());
    Nanos(interval.saturating_mul(most.max().unwrap_or(0)))
}

#[cfg(test)]
mod tests;
