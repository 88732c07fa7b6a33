//! Trials run here, on the shard that paper and live use.
//! Never: a result that depends on anything but the trial's own record and the data it names.

use super::market::Shared;
use super::split::Window;
use super::trial::{DataRange, Engine, Figures, Models, Returns, Trial, TrialResult, Worth};
use crate::collect::follow::{Follow, account_facts};
use crate::collect::{Collector, Keep};
use crate::log::{Facts, RunLog, StrategyFacts};
use crate::metrics::{self, Metrics, Trials};
use crate::run::{self, Span};
use ctos_kernel::Kernel;
use ctos_runtime::config::{Layers, Settings, StrategySettings};
use ctos_runtime::market::Opened;
use ctos_runtime::summary::Summary;
use ctos_runtime::{RunError, UserError};
use ctos_strategies::Catalog;
use ctos_types::{AccountId, Decimal, InstrumentId, Nanos, UnixNanos};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs trials on one market.
#[derive(Debug)]
pub struct Backtests {
    catalog: Catalog,
    market: Shared,
    /// What a strategy trades when it names nothing.
    symbols: Vec<InstrumentId>,
}

impl Backtests {
    /// # Errors
    /// A symbol that the market does not have.
    pub fn new(catalog: Catalog, market: Shared, symbols: &[String]) -> Result<Backtests, UserError> {
        let instruments = market.instruments();
        let chosen = if symbols.is_empty() {
            instruments.iter().map(|i| i.id).collect()
        } else {
            let find = |symbol: &String| {
                instruments.find(symbol).map(|i| i.id).ok_or_else(|| {
                    let known: Vec<&str> = instruments.iter().map(|i| i.symbol.as_str()).collect();
                    UserError::new(
                        format!("unknown instrument {symbol}"),
                        format!("this market has {}", known.join(", ")),
                    )
                })
            };
            symbols.iter().map(find).collect::<Result<_, _>>()?
        };
        Ok(Backtests { catalog, market, symbols: chosen })
    }

    pub fn market(&self) -> &Shared {
        &self.market
    }

    /// [`Shared::prepare`].
    pub fn prepare(&mut self, windows: &[Window], warm_up: Nanos) -> Result<(), RunError> {
        self.market.prepare(windows, warm_up)
    }
}

/// The settings that a trial's record stands for; everything it does not name cannot change its result.
///
/// # Errors
/// A record of another format, or a market that is none.
pub fn settings(trial: &Trial) -> Result<Settings, RunError> {
    let DataRange { market, symbols, .. } = &trial.data;
    let Models { strategy_id, account, accounts, venue, risk } = &*trial.models;
    if trial.format != super::trial::FORMAT {
        let message = format!("a trial of format {}, this program knows {}", trial.format, super::trial::FORMAT);
        return Err(UserError::new(message, "run it with the version of ctos that made it").into());
    }
    let mut settings = Settings::resolve(&Layers::new()).map_err(UserError::from)?;
    settings.market = market.parse().map_err(|_| {
        UserError::new(format!("the trial's market {market:?} is none"), "write for example replay:bars.csv")
    })?;
    settings.symbols.clone_from(symbols);
    settings.seed = trial.seed;
    settings.strategies = vec![StrategySettings {
        name: trial.strategy.clone(),
        id: strategy_id.clone(),
        account: account.clone(),
        params: trial.params.clone(),
    }];
    settings.accounts.clone_from(accounts);
    settings.venue.clone_from(venue);
    settings.risk.clone_from(risk);
    Ok(settings)
}

const INSTANT: i64 = 1;

impl Engine for Backtests {
    fn run(&self, trial: &Trial, stop: &AtomicBool) -> Result<Option<TrialResult>, RunError> {
        let (settings, data) = (settings(trial)?, &trial.data);
        if data.digest != self.market.digest {
            let hint = "give the data that the sweep was made with";
            return Err(UserError::new(format!("trial {} is of other data", trial.id()), hint).into());
        }
        let mut source = self.market.source(UnixNanos(data.from.0.saturating_sub(data.warm_up.0)))?;
        let before = source.peek().is_some_and(|first| first < data.from);
        let opened = Opened { source, report: Value::Null, notices: Vec::new() };
        // What happens at the very start of the window is traded on; what happens at its end belongs to the next.
        let ready = UnixNanos(data.from.0 - INSTANT);
        let span = Span { trade_from: before.then_some(ready), to: Some(UnixNanos(data.to.0 - INSTANT)), plots: false };
        let of = trial.clone();
        let collect = move |at, kernel: &Kernel| Collector::new(facts(&of, at, kernel), Keep::SUMS);
        let watch = Follow::new(if before { ready } else { UnixNanos::MIN }, collect);
        let mut go_on = |_: &run::Progress| !stop.load(Ordering::Relaxed);
        let finished = run::run(&settings, self.catalog, opened, span, watch, &mut go_on)?;
        if finished.summary.ended == run::INTERRUPTED {
            return Ok(None);
        }
        let log = finished.observer.into_collector().map(|c| c.finish(&finished.kernel));
        Ok(Some(result(&finished.summary, log.as_ref())))
    }

    fn takes(&self, strategy: &str, params: &BTreeMap<String, String>) -> Result<(), UserError> {
        let built = self.catalog.build(strategy, params, self.market.instruments(), &self.symbols);
        built.map(|_| ()).map_err(|e| UserError::new(e.message, e.hint))
    }
}

fn facts(trial: &Trial, at: UnixNanos, kernel: &Kernel) -> Facts {
    let own = kernel.accounts().iter().find(|a| a.name == trial.models.account);
    let strategy = StrategyFacts {
        id: trial.models.strategy_id.clone(),
        name: trial.strategy.clone(),
        params: trial.params.clone().into_iter().collect(),
        account: own.map_or(AccountId(0), |a| a.id),
    };
    Facts {
        from: at,
        instruments: kernel.instruments().clone(),
        accounts: kernel.accounts().iter().map(account_facts).collect(),
        strategies: vec![strategy],
        ..Facts::default()
    }
}

fn result(summary: &Summary, log: Option<&RunLog>) -> TrialResult {
    let mut equity: BTreeMap<_, Worth> = BTreeMap::new();
    for account in summary.equity.values() {
        for (currency, worth) in account {
            let sum = equity.entry(*currency).or_default();
            *sum = Worth { start: sum.start + worth.start, end: sum.end + worth.end };
        }
    }
    let state = summary.strategies.first().map(|s| s.state.as_str()).unwrap_or_default();
    TrialResult {
        failed: state.strip_prefix("failed").map(|why| why.trim_start_matches([':', ' ']).to_owned()),
        figures: log.and_then(|log| metrics::of(log, Trials::default())).map(|m| figures(&m)).unwrap_or_default(),
        equity,
        command_hash: summary.command_hash.clone(),
        events: summary.market_events,
    }
}

fn figures(m: &Metrics) -> Figures {
    let p = &m.performance;
    Figures {
        total_return: p.total_return,
        annual_return: p.annual_return,
        volatility: p.volatility,
        sharpe: p.sharpe,
        sortino: p.sortino,
        calmar: p.calmar,
        max_drawdown: Some(p.max_drawdown.ratio),
        win_rate: m.trades.win_rate,
        profit_factor: m.trades.profit_factor,
        expectancy: m.trades.expectancy.map(Decimal::to_f64),
        trades: m.trades.count + m.other_trades.iter().map(|t| t.count).sum::<u64>(),
        fills: m.fills,
        returns: Returns {
            count: p.periods as u64,
            sharpe: p.sharpe_per_period,
            skewness: p.skew,
            kurtosis: p.kurtosis,
        },
    }
}
