//! Binance's history over REST: klines, aggregate trades, funding settlements.
//! Never: outside of the rate budget, or an open kline.

use super::pages::{Cursor, History, Page};
use super::{CatalogError, Wish};
use crate::layout::Series;
use crate::number::Number;
use crate::record::{BarFields, Body, Kind, Record};
use ctos_driver_binance::client::{Access, Blocking, Caller, Client, Direct, Failure};
use ctos_driver_binance::decode::AggTrade;
use ctos_driver_binance::market::{AggFrom, FundingPoint, Kline};
use ctos_driver_binance::profile::{Hosts, Profile};
use ctos_link::LinkTime;
use ctos_types::{AccountId, Decimal, Instrument, Interval, Nanos, NumberError, UnixNanos};
use std::sync::Arc;

pub use ctos_driver_binance::market::KlineInterval;

/// Spot or USD-M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    Spot,
    UsdM,
}

impl Market {
    /// By the form of a unified symbol: contracts have something behind the quote currency.
    pub fn of_symbol(symbol: &str) -> Market {
        let name = symbol.split_once(':').map_or(symbol, |(_, name)| name);
        if name.split(['-', '/']).count() > 2 { Market::UsdM } else { Market::Spot }
    }

    /// Base address of the venue's test network.
    pub fn test_network(self) -> Option<String> {
        Hosts::test_network(self.profile()).map(|hosts| hosts.rest)
    }

    /// Base address: `base_url`, or the venue's own.
    pub fn host(self, base_url: Option<&str>) -> String {
        base_url.map_or_else(|| Hosts::production(self.profile()).rest, |url| url.trim_end_matches('/').into())
    }

    fn profile(self) -> Profile {
        match self {
            Market::Spot => Profile::Spot,
            Market::UsdM => Profile::UsdM,
        }
    }
}

/// USD-M keeps aggregates for so long.
const USDM_TRADES: Nanos = Nanos::from_secs(48 * 3_600);
/// An hour is refused, less is not.
const TRADES_WINDOW: Nanos = Nanos::from_millis(3_599_000);
const TRADES_PAGE: usize = 1_000;
const FUNDING_PAGE: usize = 1_000;

/// One series of one instrument.
#[derive(Debug)]
pub struct BinanceHistory {
    client: Blocking,
    instrument: Instrument,
    kind: Kind,
    interval: Option<KlineInterval>,
    place: String,
    now: UnixNanos,
}

fn failed(e: Failure) -> CatalogError {
    CatalogError::new(e.to_string(), e.hint())
}

impl BinanceHistory {
    /// Reads the instrument from the venue, over a connection of its own. `base_url`: another host than the venue's own,
    /// a twin or a test network.
    ///
    /// # Errors
    /// The venue cannot be reached, or does not have the symbol or the kind of data.
    pub fn open(
        market: Market,
        base_url: Option<&str>,
        symbol: &str,
        kind: Kind,
    ) -> Result<BinanceHistory, CatalogError> {
        let rest = market.host(base_url);
        let access = Access { rest: rest.clone(), ..Access::public(market.profile()) };
        let caller = Direct::new(access, Arc::new(LinkTime::start())).map_err(|e| failed(e.into()))?;
        BinanceHistory::over(Arc::new(caller), market, rest, symbol, kind)
    }

    /// As [`BinanceHistory::open`], with everything asked through `caller`. `place` is where that leads, for messages.
    ///
    /// # Errors
    /// As there.
    pub fn over(
        caller: Arc<dyn Caller>,
        market: Market,
        place: String,
        symbol: &str,
        kind: Kind,
    ) -> Result<BinanceHistory, CatalogError> {
        let profile = market.profile();
        let interval = match kind {
            Kind::Bars(interval) => Some(kline_of(profile, interval)?),
            Kind::Funding if market == Market::Spot => {
                let hint = "name a perpetual contract, for example binance:BTC-USDT-PERP";
                return Err(CatalogError::new("there is no funding on Binance's spot market", hint));
            }
            Kind::Funding | Kind::Trades => None,
            other => {
                let hint = "what can be downloaded is klines, trades and funding";
                return Err(CatalogError::new(format!("Binance gives no history of {other}"), hint));
            }
        };
        let client = Client::new(caller, profile, AccountId(0), false);
        let mut client = Blocking::new(client).map_err(failed)?;
        client.load(Some(symbol)).map_err(failed)?;
        let now = client.wait(client.client.venue_time()).map_err(failed)?;
        let instrument = client.client.find(symbol).map_err(failed)?.clone();
        Ok(BinanceHistory { client, instrument, kind, interval, place, now })
    }

    /// The venue's time when it was opened.
    pub fn now(&self) -> UnixNanos {
        self.now
    }

    /// What of a range can be had at all: closed klines, and what the venue still keeps.
    ///
    /// # Errors
    /// Nothing of it.
    pub fn wish(&self, from: UnixNanos, to: Option<UnixNanos>) -> Result<Wish, CatalogError> {
        let end = match self.kind {
            Kind::Bars(interval) => interval.floor(self.now),
            _ => self.now,
        };
        let series = Series { symbol: self.instrument.symbol.clone(), kind: self.kind };
        if from >= self.now {
            let hint = format!("it is {} at the venue; name an earlier --from", self.now);
            return Err(CatalogError::new(format!("the range from {from} on lies in the future"), hint));
        }
        let kept = UnixNanos(self.now.0 - USDM_TRADES.0);
        if self.kind == Kind::Trades && self.client.client.profile() == Profile::UsdM && from < kept {
            return Err(CatalogError::new(
                "Binance gives trades of USD-M futures of the last 48 hours only",
                format!(
                    "name a --from after {kept}; older ones are in the venue's public archive: `ctos data import` reads it"
                ),
            ));
        }
        let wish = Wish { series, from, to: to.map_or(end, |to| to.min(end)) };
        wish.check()?;
        Ok(wish)
    }

    fn record(&self, at: UnixNanos, body: Body) -> Record {
        Record { symbol: self.instrument.symbol.clone(), place: 0, ts_event: Some(at), ts_recv: None, body }
    }

    fn number(&self, what: &str, number: Result<Number, NumberError>) -> Result<Number, CatalogError> {
        number.map_err(|e| {
            let hint = "the venue may have changed its replies: look for a newer ctos";
            CatalogError::new(format!("{}: {what}: {e}", self.instrument.symbol), hint)
        })
    }

    fn klines(&self, interval: KlineInterval, from: UnixNanos, end: UnixNanos) -> Result<Page, CatalogError> {
        let limit = if self.client.client.profile() == Profile::UsdM { 1_500 } else { 1_000 };
        let last = UnixNanos(end.0 - 1_000_000);
        let ask = self.client.client.klines(self.instrument.id, interval, (Some(from), Some(last)), limit);
        let list = self.client.wait(ask).map_err(failed)?;
        let within = |k: &&Kline| k.closed && k.open_time >= from && k.open_time < end;
        let records: Result<Vec<Record>, CatalogError> = list.iter().filter(within).map(|k| self.bar(k)).collect();
        let next = list.last().filter(|_| list.len() >= limit as usize).map(|k| interval.end(k.open_time));
        Ok(Page { records: records?, next: next.filter(|at| *at < end && *at > from).map(Cursor::Time) })
    }

    fn bar(&self, k: &Kline) -> Result<Record, CatalogError> {
        let places = self.instrument.price_decimals;
        let px = |p: ctos_types::Price| self.number("price", Number::new(p.0, places));
        let amount = |d: Decimal| self.number("volume", Number::try_from(d)).map(Some);
        let interval = k.interval.interval();
        let fields = BarFields {
            interval,
            open: px(k.open)?,
            high: px(k.high)?,
            low: px(k.low)?,
            close: px(k.close)?,
            volume: amount(k.volume)?,
            quote_volume: amount(k.quote_volume)?,
            trades: Some(k.trades),
            taker_buy_volume: amount(k.taker_volume)?,
        };
        Ok(self.record(k.open_time, Body::Bar(fields)))
    }

    fn trades(&self, at: Cursor, end: UnixNanos) -> Result<Page, CatalogError> {
        let (from, window_end) = match at {
            Cursor::Time(from) => {
                let window_end = from.after(TRADES_WINDOW).min(UnixNanos(end.0 - 1_000_000));
                (AggFrom::Time(from, window_end), Some(window_end))
            }
            Cursor::Id(id) => (AggFrom::Id(id), None),
        };
        let list = self.client.wait(self.client.client.agg_trades(self.instrument.id, from)).map_err(failed)?;
        let within = list.iter().take_while(|t| t.ts_event < end);
        let records: Result<Vec<Record>, CatalogError> = within.map(|t| self.trade(t)).collect();
        let next = match (list.last(), window_end) {
            (Some(last), _) if last.ts_event >= end => None,
            // The window may hold more, and what is behind it follows by id.
            (Some(last), Some(_)) => Some(Cursor::Id(last.trade.id + 1)),
            (Some(last), None) if list.len() >= TRADES_PAGE => Some(Cursor::Id(last.trade.id + 1)),
            (Some(_), None) | (None, None) => None,
            (None, Some(reached)) => {
                let next = reached.after(Nanos::from_millis(1));
                (next < end).then_some(Cursor::Time(next))
            }
        };
        Ok(Page { records: records?, next })
    }

    fn trade(&self, t: &AggTrade) -> Result<Record, CatalogError> {
        let price = self.number("price", Number::new(t.trade.price.0, self.instrument.price_decimals))?;
        let qty = self.number("size", Number::new(t.trade.qty.0, self.instrument.qty_decimals))?;
        // The archive's aggregates have the aggregate's own id, which counts without holes.
        let body = Body::Trade { price, qty, aggressor: Some(t.trade.aggressor), id: t.trade.id };
        Ok(self.record(t.ts_event, body))
    }

    fn funding(&self, from: UnixNanos, end: UnixNanos) -> Result<Page, CatalogError> {
        let list = self.client.wait(self.client.client.funding(self.instrument.id, Some(from))).map_err(failed)?;
        let one = |p: &FundingPoint| -> Result<Record, CatalogError> {
            let rate = self.number("funding rate", Number::try_from(p.rate))?;
            let mark = p.mark.map(|m| self.number("mark price", Number::try_from(m))).transpose()?;
            Ok(self.record(p.ts_event, Body::Funding { rate, mark }))
        };
        let within = |p: &&FundingPoint| p.ts_event >= from && p.ts_event < end;
        let records: Result<Vec<Record>, CatalogError> = list.iter().filter(within).map(one).collect();
        let next = list.last().filter(|_| list.len() >= FUNDING_PAGE).map(|p| p.ts_event.after(Nanos::from_millis(1)));
        Ok(Page { records: records?, next: next.filter(|at| *at < end && *at > from).map(Cursor::Time) })
    }
}

/// The venue's word for bars of this length.
fn kline_of(profile: Profile, interval: Interval) -> Result<KlineInterval, CatalogError> {
    let found = KlineInterval::of(interval).filter(|k| profile != Profile::UsdM || *k != KlineInterval::S1);
    found.ok_or_else(|| {
        let hint = "Binance has 1s (spot only) 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M";
        CatalogError::new(format!("binance {profile} has no klines of {interval}"), hint)
    })
}

impl History for BinanceHistory {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Bars(_) => "binance-rest-klines",
            Kind::Funding => "binance-rest-funding",
            _ => "binance-rest-agg-trades",
        }
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn consecutive_ids(&self) -> bool {
        self.kind == Kind::Trades
    }

    fn page(&mut self, at: Cursor, end: UnixNanos) -> Result<Page, CatalogError> {
        match (self.kind, self.interval, at) {
            (Kind::Bars(_), Some(interval), Cursor::Time(from)) => self.klines(interval, from, end),
            (Kind::Funding, _, Cursor::Time(from)) => self.funding(from, end),
            (_, _, at) => self.trades(at, end),
        }
    }
}
