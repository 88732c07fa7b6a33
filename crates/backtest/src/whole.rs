//! A whole backtest: the market, the run, the run once more under worse assumptions, the folder of results, the report.
//! Never: leaves a folder behind when it fails or is interrupted.

pub(crate) mod assume;
mod listing;
mod prices;
#[cfg(test)]
mod tests;

use crate::collect::follow::{Follow, account_facts};
use crate::collect::{Collector, Keep};
use crate::log::{Facts, RunLog, StrategyFacts};
use crate::metrics::{self, Metrics, Trials};
use crate::report::{self, ReportInput};
use crate::results::{self, Folder};
use crate::run::{self, Progress, Span};
use crate::sweep::market::Shared;
use crate::sweep::setup::first_signal;
use crate::sweep::split::Window;
use ctos_kernel::Kernel;
use ctos_runtime::config::{MarketSetting, Settings, span_text};
use ctos_runtime::market::Opened;
use ctos_runtime::{RunError, UserError};
use ctos_strategies::Catalog;
use ctos_types::{AccountId, Nanos, UnixNanos};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The results of the run under worse assumptions, inside the folder of the run.
pub const PESSIMISTIC: &str = "pessimistic";

/// What to run.
#[derive(Clone, Debug)]
pub struct Request {
    pub settings: Settings,
    /// Trade from here on; `None`: from the first event.
    pub from: Option<UnixNanos>,
    /// Up to, not including, this time; `None`: to the end of the data, or of `settings.duration`.
    pub to: Option<UnixNanos>,
    /// How much of the market before `from` the strategies see without trading.
    pub warm_up: Nanos,
    /// Folder of results, which must not have files in it; `None`: none is written, and no report.
    pub folder: Option<PathBuf>,
    /// Repeat the run under worse assumptions, for comparison.
    pub pessimistic: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// As in `summary.json`: the run's figures, `metrics`, and `pessimistic` where that was measured.
    pub summary: Value,
    /// Where the results are.
    pub folder: Option<PathBuf>,
}

/// One run with its figures.
struct Ran {
    summary: Value,
    log: RunLog,
    metrics: Option<Metrics>,
}

/// How far a backtest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub progress: Progress,
    /// Where market time will end, as far as that is known.
    pub end: UnixNanos,
    /// The second run, under worse assumptions.
    pub pessimistic: bool,
}

/// Runs it. `None`: `watch` said to end.
///
/// # Errors
/// Settings, range or data that nothing can be made of, or a folder that cannot be written.
pub fn backtest(
    request: &Request,
    catalog: Catalog,
    watch: &mut dyn FnMut(&Status) -> bool,
) -> Result<Option<Done>, RunError> {
    let folder = request.folder.as_deref().map(Folder::begin).transpose()?;
    let begin = request.from.map(|from| UnixNanos(from.0.saturating_sub(request.warm_up.0)));
    let mut market = Shared::open_part(&request.settings, begin, request.to)?;
    let range = range(request, &market)?;
    enough(request, catalog, range)?;
    if request.from.is_some() {
        market.prepare(&[range], request.warm_up)?;
    }
    let run_id = request.folder.as_ref().and_then(|f| f.file_name()).map(|n| n.to_string_lossy().into_owned());
    let run_id = run_id.unwrap_or_default();
    let mut go = |settings: &Settings, pessimistic| {
        let mut go_on = |progress: &Progress| watch(&Status { progress: *progress, end: range.to, pessimistic });
        one(request, settings, catalog, &market, range, &run_id, &mut go_on)
    };
    let Some(ran) = go(&request.settings, false)? else { return Ok(None) };
    let worse = match request.pessimistic {
        true => match go(&assume::worse(&request.settings), true)? {
            // The market is the same, and so is what is drawn of it.
            Some(worse) => {
                let log = RunLog { prices: Vec::new(), plots: Vec::new(), ..worse.log };
                Some(Ran { log, ..worse })
            }
            None => return Ok(None),
        },
        false => None,
    };
    let mut summary = ran.summary;
    if let (Some(worse), Some(out)) = (&worse, summary.as_object_mut()) {
        let keys = ["equity", "fills", "fees", "realized_pnl", "unrealized_pnl", "command_hash"];
        let mut told: serde_json::Map<String, Value> =
            keys.iter().map(|k| (k.to_string(), worse.summary[*k].clone())).collect();
        told.insert("assumptions".into(), json!(worse.log.facts.assumptions));
        told.insert("metrics".into(), serde_json::to_value(&worse.metrics).unwrap_or_default());
        out.insert("pessimistic".into(), Value::Object(told));
    }
    let Some(folder) = folder else {
        let mut summary = summary;
        summary["metrics"] = serde_json::to_value(&ran.metrics).unwrap_or_default();
        summary["assumptions"] = json!(ran.log.facts.assumptions);
        summary["data_quality"] = json!(ran.log.facts.data_quality);
        return Ok(Some(Done { summary, folder: None }));
    };
    let metrics = folder.write(&ran.log, &summary, Trials::default())?;
    if let Some(worse) = &worse {
        // In a folder of its own inside, so that the page can be made again as it was.
        results::write(&folder.path().join(PESSIMISTIC), &worse.log, &worse.summary, Trials::default())?;
    }
    let as_run = |log, metrics| report::Run { log, metrics };
    let page = report::html(&ReportInput {
        run: as_run(&ran.log, metrics.as_ref()),
        pessimistic: worse.as_ref().map(|w| as_run(&w.log, w.metrics.as_ref())),
        label: None,
    });
    let path = folder.path().join("report.html");
    std::fs::write(&path, page).map_err(|e| {
        UserError::new(format!("cannot write {}: {e}", path.display()), "look for free space on the disk")
    })?;
    let text = std::fs::read(folder.path().join("summary.json")).map_err(|e| RunError::Internal(e.to_string()))?;
    let summary = serde_json::from_slice(&text).map_err(|e| RunError::Internal(e.to_string()))?;
    Ok(Some(Done { summary, folder: Some(folder.publish()?) }))
}

/// What is traded. Both ends lie where there is data, or the request is refused.
fn range(request: &Request, market: &Shared) -> Result<Window, UserError> {
    let data = market.range();
    let (from, to) = (request.from.unwrap_or(data.from), request.to.unwrap_or(data.to));
    let has = || format!("the data goes from {} to {}", data.from, data.to);
    match (request.from, request.to) {
        (Some(from), Some(to)) if from >= to => {
            return Err(UserError::new(format!("the range from {from} to {to} is empty"), has()));
        }
        (Some(from), _) if from >= data.to => {
            return Err(UserError::new(format!("there is no data from {from} on"), has()));
        }
        (_, Some(to)) if to <= data.from => {
            return Err(UserError::new(format!("there is no data before {to}"), has()));
        }
        _ => {}
    }
    if request.from.is_none() && request.warm_up > Nanos::ZERO {
        let hint = "say when trading begins, with --from";
        return Err(UserError::new("a warm-up needs a time that it comes before", hint));
    }
    let begin = UnixNanos(from.0.saturating_sub(request.warm_up.0));
    if request.from.is_some() && begin < data.from && request.warm_up > Nanos::ZERO {
        let hint = format!("{}: begin later, or with a shorter warm-up", has());
        return Err(UserError::new(format!("the warm-up begins at {begin}, before the data"), hint));
    }
    Ok(Window { from, to: to.min(data.to) })
}

/// Refuses a window in which a strategy on bars could not even fill its averages: nothing could be traded in it, and
/// no trades would look like a result.
fn enough(request: &Request, catalog: Catalog, range: Window) -> Result<(), UserError> {
    let settings = &request.settings;
    let ends = settings.duration.filter(|_| settings.market == MarketSetting::Synthetic && request.to.is_none());
    let traded = ends.map_or(range.len(), |length| length.min(range.len()));
    let seen = Nanos(traded.0.saturating_add(request.warm_up.0));
    for s in &request.settings.strategies {
        // Unknown names are refused where strategies are built.
        let Ok(info) = catalog.info(&s.name) else { continue };
        let value = |name: &str, default: Option<&str>| s.params.get(name).cloned().or(default.map(str::to_owned));
        let needs = first_signal(info, |name, default| value(name, default).into_iter().collect());
        if needs > Nanos::ZERO && seen <= needs {
            let (needs, sees) = (span_text(needs), span_text(seen));
            return Err(UserError::new(
                format!("strategy {} needs {needs} of bars before its first signal, and sees {sees}", s.id),
                "give more data or a wider range, a longer --warm-up, or shorter averages",
            ));
        }
    }
    Ok(())
}

/// What is at the end of a window belongs to the next.
const INSTANT: i64 = 1;

fn one(
    request: &Request,
    settings: &Settings,
    catalog: Catalog,
    market: &Shared,
    range: Window,
    run_id: &str,
    watch: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Option<Ran>, RunError> {
    let begin = match request.from {
        Some(from) => UnixNanos(from.0.saturating_sub(request.warm_up.0)),
        None => market.range().from,
    };
    let mut source = market.source(begin)?;
    let before = request.from.is_some() && source.peek().is_some_and(|first| first < range.from);
    let ready = UnixNanos(range.from.0.saturating_sub(INSTANT));
    let synthetic = settings.market == MarketSetting::Synthetic;
    let span = Span {
        trade_from: before.then_some(ready),
        to: match request.to {
            Some(to) => Some(UnixNanos(to.0.saturating_sub(INSTANT))),
            // The same moment at which a run of this length ends.
            None => settings.duration.filter(|_| synthetic).map(|length| market.range().from.after(length)),
        },
        plots: request.folder.is_some(),
    };
    let opened = Opened { source, report: market.report.clone(), notices: market.notices.clone() };
    let facts = facts(settings, catalog, market, run_id);
    let collect = move |at, kernel: &Kernel| {
        let accounts = kernel.accounts().iter().map(account_facts).collect();
        let instruments = kernel.instruments().clone();
        Collector::new(Facts { from: at, instruments, accounts, ..facts }, Keep::FULL)
    };
    let from = if before { ready } else { UnixNanos::MIN };
    let finished = run::run(settings, catalog, opened, span, Follow::new(from, collect), watch)?;
    if finished.summary.ended == run::INTERRUPTED {
        return Ok(None);
    }
    let Some(collector) = finished.observer.into_collector() else {
        let hint = "give a longer range, or another --from";
        return Err(UserError::new("nothing happened in the range", hint).into());
    };
    let mut log = collector.finish(&finished.kernel);
    if request.folder.is_some() {
        log.prices = prices::lines(market.source(begin)?, Window { from: log.facts.from, to: log.facts.to });
    }
    let metrics = metrics::of(&log, Trials::default());
    let (listings, told) = if synthetic { Default::default() } else { listing::of(&log, &market.lives) };
    if !synthetic {
        log.facts.data_quality.extend(listing::beyond(request.from, request.to, market.range()));
    }
    log.facts.data_quality.extend(told);
    let mut summary = finished.summary;
    summary.run_id = run_id.into();
    let mut summary = serde_json::to_value(summary).map_err(|e| RunError::Internal(e.to_string()))?;
    // Kept out of the results: it differs from machine to machine, and they must not.
    summary.as_object_mut().map(|s| s.remove("step_latency_ns"));
    summary["listings"] = json!(listings);
    Ok(Some(Ran { summary, log, metrics }))
}

fn facts(settings: &Settings, catalog: Catalog, market: &Shared, run_id: &str) -> Facts {
    let strategies = settings.strategies.iter().map(|s| StrategyFacts {
        id: s.id.clone(),
        name: s.name.clone(),
        params: assume::params(catalog, s),
        account: AccountId(settings.accounts.iter().position(|a| a.id == s.account).unwrap_or(0) as u16),
    });
    Facts {
        run_id: run_id.into(),
        strategies: strategies.collect(),
        assumptions: assume::list(settings),
        data_quality: market.notices.clone(),
        ..Facts::default()
    }
}
