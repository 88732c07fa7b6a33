//! REST questions about markets, and their answers.
//! Never: uses exchangeInfo's time as the clock: USD-M's is stale by design.

use super::klines::{Kline, KlineInterval};
use crate::decode::{AggTrade, DecodeError};
use crate::fields::{Row, parse, rows};
use crate::profile::Profile;
use crate::request::{Call, Params, Purpose};
use crate::symbols::{Grid, SymbolMap};
use ctos_types::{Decimal, FundingRate, InstrumentId, MarkPrice, Price, Quote, Side, Trade, UnixNanos};
use serde_json::Value;

fn is_usdm(profile: Profile) -> bool {
    profile == Profile::UsdM
}

fn symbol(symbol: &str) -> Params {
    Params::new().text("symbol", symbol.to_string())
}

fn ms(at: Option<UnixNanos>) -> Option<i64> {
    at.map(|at| at.0.div_euclid(1_000_000))
}

/// Whether the venue answers.
pub fn ping(profile: Profile) -> Call {
    Call::public(if is_usdm(profile) { "/fapi/v1/ping" } else { "/api/v3/ping" }, 1, Params::default())
}

/// The venue's clock.
pub fn time(profile: Profile) -> Call {
    Call::public(if is_usdm(profile) { "/fapi/v1/time" } else { "/api/v3/time" }, 1, Params::default())
}

/// The answer to [`time`].
pub fn read_time(body: &[u8]) -> Result<UnixNanos, DecodeError> {
    Row::new(&parse(body)?, "time")?.time("serverTime")
}

/// All instruments with their filters; [`crate::instruments::parse_instruments`] and [`crate::rules::parse_rules`]
/// read it.
pub fn exchange_info(profile: Profile) -> Call {
    match is_usdm(profile) {
        true => Call::public("/fapi/v1/exchangeInfo", 1, Params::default()),
        false => Call::public("/api/v3/exchangeInfo", 20, Params::default()),
    }
}

/// Request weight of a depth snapshot, and the limit that is really asked for: USD-M takes certain ones only.
pub fn depth_weight(profile: Profile, limit: u32) -> (u32, u32) {
    let steps: &[(u32, u32)] = match is_usdm(profile) {
        true => &[(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1_000, 20)],
        false => &[(100, 5), (500, 25), (1_000, 50), (5_000, 250)],
    };
    let &(most, weight) = steps.iter().find(|(most, _)| limit <= *most).unwrap_or(&steps[steps.len() - 1]);
    (if is_usdm(profile) { most } else { limit.clamp(1, 5_000) }, weight)
}

/// A snapshot of a book with at least `limit` levels a side, as far as the venue has so many. The decoder reads it.
pub fn depth(profile: Profile, venue_symbol: &str, limit: u32) -> Call {
    let (limit, weight) = depth_weight(profile, limit);
    let params = symbol(venue_symbol).int("limit", i64::from(limit));
    Call::public(if is_usdm(profile) { "/fapi/v1/depth" } else { "/api/v3/depth" }, weight, params)
}

/// Klines from `start` on (or the newest up to `end`), oldest first. At most 1,000 on spot and 1,500 on USD-M.
pub fn klines(
    profile: Profile,
    venue_symbol: &str,
    interval: KlineInterval,
    (start, end): (Option<UnixNanos>, Option<UnixNanos>),
    limit: u32,
) -> Call {
    let (path, most) = if is_usdm(profile) { ("/fapi/v1/klines", 1_500) } else { ("/api/v3/klines", 1_000) };
    let limit = limit.clamp(1, most);
    let weight = match (is_usdm(profile), limit) {
        (false, _) => 2,
        (true, ..100) => 1,
        (true, ..500) => 2,
        (true, ..=1_000) => 5,
        (true, _) => 10,
    };
    let params = symbol(venue_symbol)
        .text("interval", interval.as_str())
        .opt_int("startTime", ms(start))
        .opt_int("endTime", ms(end))
        .int("limit", i64::from(limit));
    Call::public(path, weight, params).purpose(Purpose::History)
}

/// The answer to [`klines`]. `now` is the venue's time: the kline that has not ended by then is open.
pub fn read_klines(
    body: &[u8],
    grid: &Grid,
    interval: KlineInterval,
    now: UnixNanos,
) -> Result<Vec<Kline>, DecodeError> {
    let value = parse(body)?;
    let list = value.as_array().ok_or(DecodeError::Field { kind: "kline list", field: "list" })?;
    list.iter().map(|row| Kline::of_list(row, grid, interval, now)).collect()
}

/// Where a list of aggregates begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggFrom {
    Newest,
    /// From this aggregate id on.
    Id(u64),
    /// Within less than an hour.
    Time(UnixNanos, UnixNanos),
}

/// Up to 1,000 aggregates, oldest first. USD-M has the last 48 hours.
pub fn agg_trades(profile: Profile, venue_symbol: &str, from: AggFrom) -> Call {
    let params = match from {
        AggFrom::Newest => symbol(venue_symbol),
        AggFrom::Id(id) => symbol(venue_symbol).int("fromId", i64::try_from(id).unwrap_or(i64::MAX)),
        AggFrom::Time(start, end) => {
            symbol(venue_symbol).opt_int("startTime", ms(Some(start))).opt_int("endTime", ms(Some(end)))
        }
    };
    let (path, weight) = if is_usdm(profile) { ("/fapi/v1/aggTrades", 20) } else { ("/api/v3/aggTrades", 4) };
    Call::public(path, weight, params.int("limit", 1_000)).purpose(Purpose::History)
}

/// The answer to [`agg_trades`].
pub fn read_agg_trades(body: &[u8], grid: &Grid) -> Result<Vec<AggTrade>, DecodeError> {
    let one = |row: Result<Row<'_>, DecodeError>| {
        let row = row?;
        let ts = row.time("T")?;
        let trade = Trade {
            price: row.price("p", grid)?,
            qty: row.qty("q", grid)?,
            aggressor: aggressor(row.bool("m")?),
            id: row.id("a")?,
        };
        let (first_trade, last_trade) = (row.id("f")?, row.id("l")?);
        Ok(AggTrade { instrument: grid.id, trade, first_trade, last_trade, ts_event: ts, ts_sent: ts })
    };
    rows(&parse(body)?, "aggTrade list")?.map(one).collect()
}

/// The newest single trades, at most 1,000, oldest first.
pub fn trades(profile: Profile, venue_symbol: &str, limit: u32) -> Call {
    let (path, weight) = if is_usdm(profile) { ("/fapi/v1/trades", 5) } else { ("/api/v3/trades", 25) };
    Call::public(path, weight, symbol(venue_symbol).int("limit", i64::from(limit.clamp(1, 1_000))))
        .purpose(Purpose::History)
}

/// A trade of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestTrade {
    pub trade: Trade,
    pub ts_event: UnixNanos,
}

/// The answer to [`trades`].
pub fn read_trades(body: &[u8], grid: &Grid) -> Result<Vec<RestTrade>, DecodeError> {
    let one = |row: Result<Row<'_>, DecodeError>| {
        let row = row?;
        let trade = Trade {
            price: row.price("price", grid)?,
            qty: row.qty("qty", grid)?,
            aggressor: aggressor(row.bool("isBuyerMaker")?),
            id: row.id("id")?,
        };
        Ok(RestTrade { trade, ts_event: row.time("time")? })
    };
    rows(&parse(body)?, "trade list")?.map(one).collect()
}

fn aggressor(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

/// Last prices of all instruments.
pub fn prices(profile: Profile) -> Call {
    match is_usdm(profile) {
        true => Call::public("/fapi/v2/ticker/price", 2, Params::default()),
        false => Call::public("/api/v3/ticker/price", 4, Params::default()),
    }
}

/// The answer to [`prices`]: ours only.
pub fn read_prices(body: &[u8], map: &SymbolMap) -> Result<Vec<(InstrumentId, Price)>, DecodeError> {
    ours(body, map, "price", |row, grid| Ok((grid.id, row.price("price", grid)?)))
}

/// Best bid and ask of all instruments.
pub fn book_tickers(profile: Profile) -> Call {
    match is_usdm(profile) {
        true => Call::public("/fapi/v1/ticker/bookTicker", 5, Params::default()),
        false => Call::public("/api/v3/ticker/bookTicker", 4, Params::default()),
    }
}

/// The answer to [`book_tickers`]: ours only.
pub fn read_book_tickers(body: &[u8], map: &SymbolMap) -> Result<Vec<(InstrumentId, Quote)>, DecodeError> {
    ours(body, map, "bookTicker", |row, grid| {
        let quote = Quote {
            bid_px: row.price("bidPrice", grid)?,
            bid_qty: row.qty("bidQty", grid)?,
            ask_px: row.price("askPrice", grid)?,
            ask_qty: row.qty("askQty", grid)?,
        };
        Ok((grid.id, quote))
    })
}

/// Marks and funding of all instruments (USD-M).
pub fn premium_index() -> Call {
    Call::public("/fapi/v1/premiumIndex", 10, Params::default())
}

/// A mark with its funding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Premium {
    pub instrument: InstrumentId,
    pub mark: MarkPrice,
    pub ts_event: UnixNanos,
}

/// The answer to [`premium_index`]: ours only.
pub fn read_premium(body: &[u8], map: &SymbolMap) -> Result<Vec<Premium>, DecodeError> {
    ours(body, map, "premiumIndex", |row, grid| {
        let mark = MarkPrice {
            mark: row.decimal("markPrice")?,
            index: row.decimal("indexPrice")?,
            funding_rate: row.amount("lastFundingRate")?,
            next_funding: row.time("nextFundingTime")?,
        };
        Ok(Premium { instrument: grid.id, mark, ts_event: row.time("time")? })
    })
}

/// Funding settlements of an instrument from `start` on, oldest first, at most 1,000 (USD-M).
pub fn funding_history(venue_symbol: &str, start: Option<UnixNanos>) -> Call {
    let params = symbol(venue_symbol).opt_int("startTime", ms(start)).int("limit", 1_000);
    Call::public("/fapi/v1/fundingRate", 1, params).purpose(Purpose::History)
}

/// One settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingPoint {
    /// `None` of mark: old rows do not have it.
    pub mark: Option<Decimal>,
    pub rate: Decimal,
    pub ts_event: UnixNanos,
}

impl FundingPoint {
    /// As an event, where the mark is known.
    pub fn event(&self) -> Option<FundingRate> {
        self.mark.map(|mark| FundingRate { rate: self.rate, mark })
    }
}

/// The answer to [`funding_history`].
pub fn read_funding(body: &[u8]) -> Result<Vec<FundingPoint>, DecodeError> {
    let one = |row: Result<Row<'_>, DecodeError>| {
        let row = row?;
        let (mark, rate) = (row.opt_decimal("markPrice")?, row.decimal("fundingRate")?);
        Ok(FundingPoint { mark, rate, ts_event: row.time("fundingTime")? })
    };
    rows(&parse(body)?, "fundingRate")?.map(one).collect()
}

/// The rows of our instruments: one row where one symbol was asked for, else a list.
fn ours<T>(
    body: &[u8],
    map: &SymbolMap,
    kind: &'static str,
    read: impl Fn(&Row<'_>, &Grid) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let value = match parse(body)? {
        one @ Value::Object(_) => Value::Array(vec![one]),
        list => list,
    };
    let mut found = Vec::new();
    for row in rows(&value, kind)? {
        let row = row?;
        match row.grid("symbol", map) {
            Ok(grid) => found.push(read(&row, grid)?),
            Err(DecodeError::UnknownSymbol(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}
