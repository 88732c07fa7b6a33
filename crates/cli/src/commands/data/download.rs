//! `data download`: history of a venue into the catalog.
//! Never: fetches a row itself (`ctos_data::download` does).

use super::progress::Line;
use super::{moment, now, user};
use crate::args::Global;
use crate::client::{self, Found};
use crate::error::CliError;
use crate::{out, settings};
use clap::{Args, ValueEnum};
use ctos_data::download::{BinanceHistory, Job, KlineInterval, Market, Progress, download};
use ctos_data::{Catalog, Kind};
use ctos_runtime::config::ProfileName;
use ctos_runtime::live::Place;
use ctos_runtime::oneshot::{self, Public};
use ctos_types::UnixNanos;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Venue {
    Binance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataWord {
    /// Bars
    Klines,
    /// Trades, those of one taker at one price added up
    Trades,
    /// Funding settlements of perpetual contracts
    Funding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MarketWord {
    Spot,
    Usdm,
}

#[derive(Debug, Args)]
pub struct DownloadArgs {
    #[arg(value_name = "VENUE")]
    pub venue: Venue,
    /// Unified symbols, for example BTC-USDT or BTC-USDT-PERP
    #[arg(value_name = "SYMBOL", required = true)]
    pub symbols: Vec<String>,
    /// What to fetch
    #[arg(long, value_name = "DATA", default_value = "klines")]
    pub data: DataWord,
    /// Length of the bars: 1s (spot) 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M (a month)
    #[arg(long, value_name = "INTERVAL", default_value = "1m")]
    pub interval: KlineInterval,
    /// From this time on: 2024-08-08, 2024-08-08T12:00:00Z, or a count since 1970
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: UnixNanos,
    /// Before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<UnixNanos>,
    /// The venue's market, where the symbol does not tell
    #[arg(long, value_name = "MARKET")]
    pub market: Option<MarketWord>,
    /// Another host than the venue's own: a twin, http://127.0.0.1:PORT
    #[arg(long, value_name = "URL", conflicts_with = "test_network")]
    pub base_url: Option<String>,
    /// The venue's test network
    #[arg(long)]
    pub test_network: bool,
}

/// How the venue is asked, and where: within the rate budget of the instance that runs in the home, if it is connected to
/// that place, and otherwise over a connection of its own.
fn way(home: &Path, market: Market, base_url: Option<&str>) -> Result<(Public, String), CliError> {
    let rest = market.host(base_url);
    let product = match market {
        Market::Spot => ProfileName::Spot,
        Market::UsdM => ProfileName::UsdM,
    };
    // An instance without a control API shares the venue's own count of what is used, which both of them heed.
    let relay = match client::find(home).ok().and_then(Found::client) {
        Some(client) => client.relay(Place { product, rest: rest.clone() })?,
        None => None,
    };
    let caller = match relay {
        Some(relay) => relay,
        None => oneshot::by_itself(product, &rest, home)?,
    };
    Ok((caller, rest))
}

/// One symbol after the other. Those before one that fails are in the catalog, and so are its whole pieces.
pub(super) fn run(global: &Global, dir: &Path, args: &DownloadArgs) -> Result<(), CliError> {
    let Venue::Binance = args.venue;
    let kind = match args.data {
        DataWord::Klines => Kind::Bars(args.interval.interval()),
        DataWord::Trades => Kind::Trades,
        DataWord::Funding => Kind::Funding,
    };
    let home = settings::home(global)?;
    let mut done: Vec<Value> = Vec::new();
    for (number, symbol) in args.symbols.iter().enumerate() {
        let market = match args.market {
            Some(MarketWord::Spot) => Market::Spot,
            Some(MarketWord::Usdm) => Market::UsdM,
            None => Market::of_symbol(symbol),
        };
        let base = match &args.base_url {
            Some(url) => Some(url.clone()),
            None => args.test_network.then(|| market.test_network()).flatten(),
        };
        // A wrong symbol, interval or range is told before anything is made.
        let (caller, place) = way(&home, market, base.as_deref())?;
        let opened = BinanceHistory::over(caller.clone(), market, place, symbol, kind);
        let mut history = opened.inspect_err(|_| oneshot::remember(&home, &caller)).map_err(user)?;
        let wish = history.wish(args.from, args.to).map_err(user)?;
        let catalog = Catalog::create(dir).map_err(user)?;
        let of = args.symbols.len();
        let count = if of > 1 { format!(" ({} of {of})", number + 1) } else { String::new() };
        let mut line = Line::plain(global, &format!("{} {kind}{count}", wish.series.symbol));
        let progress = &mut |p: Progress| line.part(p.done.as_secs_f64(), p.total.as_secs_f64(), p.rows);
        let report = download(Job { catalog: &catalog, history: &mut history, wish: &wish, now: now(), progress });
        line.clear();
        oneshot::remember(&home, &caller);
        let report = report.map_err(user)?;
        if global.json {
            done.push(serde_json::to_value(&report).map_err(CliError::internal)?);
        } else {
            out::print(&report.text())?;
        }
    }
    if global.json { out::json(&json!({ "downloads": done })) } else { Ok(()) }
}
