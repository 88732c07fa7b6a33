//! Builds what a run consists of from its settings: instruments, market, venue, accounts, strategies.
//! Never: opens the journal or starts anything.

use crate::UserError;
use crate::config::{
    AccountSettings, LatencySetting, LossLimit, MarginBorrow, ProfileName, QueueSetting, RiskLimits, Settings,
    StpSetting,
};
use crate::live::{Inlet, LiveMarket};
use crate::market::{self, Opened};
use ctos_driver_paper::{Latencies, PaperDriver};
use ctos_kernel::kill::Latch;
use ctos_kernel::{AccountSpec, Borrow, Kernel, KernelConfig, Limits, ProcessSpec};
pub use ctos_strategies::Catalog;
use ctos_types::{
    AccountEvent, AccountId, Balance, Currency, HaltScope, InstanceTag, InstrumentId, Instruments, Nanos, UnixNanos,
};
use ctos_venue::{
    AccountConfig, BorrowConfig, Exchange, ExchangeConfig, FeeRates, FeeSchedule, Latency, LatencyModel, MarketSource,
    QueueModel, SelfTradePrevention,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// A run ready to start or to be recovered into.
#[derive(Debug)]
pub struct World {
    pub kernel: Kernel,
    pub driver: PaperDriver,
    /// What the accounts begin with, to be declared as the first inputs.
    pub balances: Vec<AccountEvent>,
    /// Market time at which the run begins.
    pub start: UnixNanos,
    /// What was found in the recording, for the summary. Null for the synthetic market.
    pub source_report: Value,
    /// Things the user should know about the data, one line each.
    pub notices: Vec<String>,
}

/// The kernel alone, for replaying a journal: no market is opened.
pub fn kernel_only(
    settings: &Settings,
    catalog: Catalog,
    instruments: Instruments,
    tag: InstanceTag,
    latches: BTreeMap<HaltScope, Latch>,
) -> Result<Kernel, UserError> {
    kernel(settings, catalog, instruments, tag, latches)
}

/// That no strategy is started whose orders would all be refused. Not asked of a journal that is repeated.
pub(crate) fn fits(settings: &Settings, catalog: Catalog, instruments: &Instruments) -> Result<(), UserError> {
    crate::fit::check(settings, catalog, instruments, &chosen(settings, instruments)?)
}

/// The whole run. `latches` are those an earlier run in the same home left.
pub fn build(
    settings: &Settings,
    catalog: Catalog,
    tag: InstanceTag,
    latches: BTreeMap<HaltScope, Latch>,
) -> Result<World, UserError> {
    build_on(settings, catalog, tag, latches, market::open(settings)?)
}

/// [`build`] on a market that is open already.
pub fn build_on(
    settings: &Settings,
    catalog: Catalog,
    tag: InstanceTag,
    latches: BTreeMap<HaltScope, Latch>,
    opened: Opened,
) -> Result<World, UserError> {
    let (kernel, mut driver) = paper(settings, catalog, tag, latches, opened.source, latencies(settings)?)?;
    let start = driver.first_event().ok_or_else(|| {
        UserError::new(format!("{} holds no market event", settings.market), "check that the file is the right one")
    })?;
    let balances = starting_balances(settings);
    Ok(World { kernel, driver, balances, start, source_report: opened.report, notices: opened.notices })
}

/// A run with simulated money on a market that comes in as it happens. Nothing is known of the market yet, so it is not
/// said when the run begins.
#[derive(Debug)]
pub struct FedWorld {
    pub kernel: Kernel,
    pub driver: PaperDriver,
    /// Where the market is put in.
    pub inlet: Inlet,
    pub balances: Vec<AccountEvent>,
}

/// As [`build`], on a live market of these instruments.
pub fn build_fed(
    settings: &Settings,
    catalog: Catalog,
    tag: InstanceTag,
    latches: BTreeMap<HaltScope, Latch>,
    instruments: Instruments,
) -> Result<FedWorld, UserError> {
    let (market, inlet) = LiveMarket::new(instruments);
    // What comes in has come the whole way already.
    let none = Latency::new(LatencyModel::Constant(Nanos::ZERO), 0).expect("a constant");
    let latencies = Latencies { feed: none, ..latencies(settings)? };
    let (kernel, driver) = paper(settings, catalog, tag, latches, Box::new(market), latencies)?;
    Ok(FedWorld { kernel, driver, inlet, balances: starting_balances(settings) })
}

/// A kernel and its simulated exchange on a market.
fn paper(
    settings: &Settings,
    catalog: Catalog,
    tag: InstanceTag,
    latches: BTreeMap<HaltScope, Latch>,
    source: Box<dyn MarketSource>,
    latencies: Latencies,
) -> Result<(Kernel, PaperDriver), UserError> {
    let instruments = source.instruments().clone();
    fits(settings, catalog, &instruments)?;
    let exchange = exchange(settings, &instruments)?;
    let kernel = kernel(settings, catalog, instruments, tag, latches)?;
    let accounts = kernel.accounts().iter().map(|a| a.id).collect();
    Ok((kernel, PaperDriver::new(source, exchange, accounts, latencies)))
}

fn kernel(
    settings: &Settings,
    catalog: Catalog,
    instruments: Instruments,
    tag: InstanceTag,
    latches: BTreeMap<HaltScope, Latch>,
) -> Result<Kernel, UserError> {
    let accounts: Vec<AccountSpec> =
        settings.accounts.iter().enumerate().map(|(i, a)| account_spec(settings, i, a)).collect();
    let symbols = chosen(settings, &instruments)?;
    let mut processes = Vec::new();
    for s in &settings.strategies {
        let strategy = catalog.build(&s.name, &s.params, &instruments, &symbols).map_err(|e| {
            // The message names the strategy; which of several it is, only its id can say.
            let message = if s.id == s.name { e.message } else { format!("strategy {}: {}", s.id, e.message) };
            UserError::new(message, e.hint)
        })?;
        let account = settings.accounts.iter().position(|a| a.id == s.account).ok_or_else(|| {
            UserError::new(format!("strategy {}: there is no account {}", s.id, s.account), "name one of the accounts")
        })?;
        let limits = limits(&settings.risk.per_strategy[&s.id]);
        processes.push(ProcessSpec { label: s.id.clone(), account: AccountId(account as u16), limits, strategy });
    }
    Ok(Kernel::new(KernelConfig { instruments, accounts, processes, tag, latches }))
}

/// The instruments a strategy gets when it names none: those the settings choose, else all.
fn chosen(settings: &Settings, instruments: &Instruments) -> Result<Vec<InstrumentId>, UserError> {
    if settings.symbols.is_empty() {
        return Ok(instruments.iter().map(|i| i.id).collect());
    }
    settings.symbols.iter().map(|symbol| find(instruments, symbol)).collect()
}

pub(crate) fn find(instruments: &Instruments, symbol: &str) -> Result<InstrumentId, UserError> {
    instruments.find(symbol).map(|i| i.id).ok_or_else(|| {
        let known: Vec<&str> = instruments.iter().map(|i| i.symbol.as_str()).collect();
        UserError::new(format!("unknown instrument {symbol}"), format!("this market has {}", known.join(", ")))
    })
}

fn account_spec(settings: &Settings, index: usize, account: &AccountSettings) -> AccountSpec {
    AccountSpec {
        id: AccountId(index as u16),
        name: account.id.clone(),
        reporting: reporting(account),
        leverage: account.leverage,
        borrow: borrowing(account),
        limits: limits(&settings.risk.per_account[&account.id]),
    }
}

/// Whether the account's spot orders may be paid with borrowed money.
fn borrowing(account: &AccountSettings) -> Borrow {
    match &account.venue {
        Some(at) if at.profile != ProfileName::Margin => Borrow::Never,
        Some(at) if at.margin_borrow == MarginBorrow::Never => Borrow::Asked,
        None if account.borrow.is_none() => Borrow::Never,
        _ => Borrow::Auto,
    }
}

/// The currency an account's worth is counted in: its largest holding of a dollar coin, else its first currency.
fn reporting(account: &AccountSettings) -> Currency {
    let usdt = Currency::new("USDT").expect("fits");
    let dollars = ["USDT", "USDC", "FDUSD", "USD"].map(|c| Currency::new(c).expect("fits"));
    let dollar = account.balances.iter().filter(|(c, _)| dollars.contains(c)).max_by_key(|(_, amount)| **amount);
    dollar.map(|(c, _)| *c).or_else(|| account.balances.keys().next().copied()).unwrap_or(usdt)
}

fn limits(r: &RiskLimits) -> Limits {
    Limits {
        price_band_bps: r.price_band_bps,
        stale_after: r.stale_after,
        min_qty: r.min_order_qty,
        max_qty: r.max_order_qty,
        min_notional: r.min_order_notional,
        max_notional: r.max_order_notional,
        max_position_notional: r.max_position_notional,
        max_total_notional: r.max_total_notional,
        max_leverage: r.max_leverage,
        max_open_orders: r.max_open_orders,
        max_orders_per_sec: r.max_orders_per_sec,
        max_orders_per_min: r.max_orders_per_min,
        max_cancel_ratio: r.max_cancel_ratio,
        cancel_ratio_min: r.cancel_ratio_min,
        self_cross: r.self_cross,
        duplicate_window: r.duplicate_window,
        daily_loss: match r.daily_loss {
            Some(LossLimit::Amount(amount)) => Some(amount),
            _ => None,
        },
        daily_loss_pct: match r.daily_loss {
            Some(LossLimit::Percent(percent)) => Some(percent),
            _ => None,
        },
        max_drawdown_pct: r.max_drawdown_pct,
    }
}

fn exchange(settings: &Settings, instruments: &Instruments) -> Result<Exchange, UserError> {
    let accounts = settings.accounts.iter().enumerate().map(|(i, a)| AccountConfig {
        id: AccountId(i as u16),
        balances: a.balances.iter().map(|(c, amount)| (*c, *amount)).collect(),
        fees: match a.fees {
            Some(f) => {
                FeeSchedule { fixed: Some(FeeRates { maker: f.maker, taker: f.taker }), ..FeeSchedule::default() }
            }
            None => FeeSchedule::default(),
        },
        borrow: a.borrow.as_ref().map(|b| BorrowConfig {
            valuation: reporting(a),
            max_leverage: b.max_leverage,
            interest_per_hour: b.interest_per_hour.iter().map(|(c, rate)| (*c, *rate)).collect(),
        }),
        leverage: a.leverage,
        hedge_mode: a.hedge_mode,
    });
    let config = ExchangeConfig {
        queue: match settings.venue.queue {
            QueueSetting::Conservative => QueueModel::Conservative,
            QueueSetting::Proportional => QueueModel::Proportional,
        },
        stp: match settings.venue.stp {
            StpSetting::CancelNewest => SelfTradePrevention::CancelNewest,
            StpSetting::CancelOldest => SelfTradePrevention::CancelOldest,
            StpSetting::CancelBoth => SelfTradePrevention::CancelBoth,
        },
        bar_slippage_ticks: settings.venue.bar_slippage_ticks,
        bar_slippage_range_pct: settings.venue.bar_slippage_range_pct,
        bar_touch_fills: settings.venue.bar_touch_fills,
        bar_taker_fees: settings.venue.bar_taker_fees,
        accounts: accounts.collect(),
        ..ExchangeConfig::default()
    };
    Exchange::new(instruments.clone(), config)
        .map_err(|e| UserError::new(format!("accounts: {e}"), "see `ctos config show --resolved`"))
}

/// Each way has its own stream of random numbers, so that one more answer does not shift the others' delays.
fn latencies(settings: &Settings) -> Result<Latencies, UserError> {
    let l = &settings.venue.latency;
    let seeded = |setting: LatencySetting, way: u64| {
        Latency::new(model(setting), settings.seed ^ (way << 56))
            .map_err(|e| UserError::new(format!("venue.latency: {e}"), "write for example constant:5ms"))
    };
    Ok(Latencies { feed: seeded(l.feed, 1)?, entry: seeded(l.order, 2)?, response: seeded(l.response, 3)? })
}

fn model(setting: LatencySetting) -> LatencyModel {
    match setting {
        LatencySetting::Constant(span) => LatencyModel::Constant(span),
        LatencySetting::Uniform { min, max } => LatencyModel::Uniform { min, max },
        LatencySetting::LogNormal { median, sigma, max } => {
            LatencyModel::LogNormal { median, sigma: sigma.to_f64(), max }
        }
    }
}

fn starting_balances(settings: &Settings) -> Vec<AccountEvent> {
    let mut events = Vec::new();
    for (i, account) in settings.accounts.iter().enumerate() {
        for (currency, amount) in &account.balances {
            let balance = Balance { total: *amount, ..Balance::default() };
            events.push(AccountEvent::Balance { account: AccountId(i as u16), currency: *currency, balance });
        }
    }
    events
}
