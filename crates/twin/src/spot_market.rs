//! Spot's public calls. Never: an account.

use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::klines::{Bar, Span};
use crate::number::eight;
use crate::params::Params;
use crate::public::Row;
use crate::rest::{Call, Endpoint, Security};
use crate::symbols::Symbol;
use crate::twin::Twin;
use ctos_types::{InstrumentId, Price};

const fn open(
    path: &'static str,
    weight: fn(&Params) -> u32,
    need: &'static [&'static str],
    run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Endpoint {
    Endpoint { method: "GET", path, security: Security::Open, weight, orders: 0, free: false, need, run }
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    open("/api/v3/ping", |_| 1, &[], |_, _| Ok("{}".into())),
    open("/api/v3/time", |_| 1, &[], |t, _| Ok(Obj::new().int("serverTime", t.server_ms()).done())),
    open("/api/v3/exchangeInfo", |_| 20, &[], exchange_info),
    open("/api/v3/depth", depth_weight, &["symbol"], depth),
    open("/api/v3/trades", |_| 25, &["symbol"], trades),
    open("/api/v3/historicalTrades", |_| 25, &["symbol"], trades),
    open("/api/v3/aggTrades", |_| 4, &["symbol"], agg_trades),
    open("/api/v3/klines", |_| 2, &["symbol", "interval"], klines),
    open("/api/v3/uiKlines", |_| 2, &["symbol", "interval"], klines),
    open("/api/v3/avgPrice", |_| 2, &["symbol"], avg_price),
    open(
        "/api/v3/ticker/price",
        |p| if p.raw("symbol").is_some() { 2 } else { 4 },
        &[],
        |t, c| t.each(c, Twin::ticker_price),
    ),
    open(
        "/api/v3/ticker/bookTicker",
        |p| if p.raw("symbol").is_some() { 2 } else { 4 },
        &[],
        |t, c| t.each(c, Twin::ticker_book),
    ),
    open("/api/v3/ticker/24hr", day_weight, &[], ticker_day),
    open(
        "/api/v3/referencePrice",
        |_| 2,
        &["symbol"],
        |t, c| {
            t.symbols.traded(c.params.need("symbol")?)?;
            Err(ApiError::new(-2043, "This symbol doesn't have a reference price."))
        },
    ),
    open("/api/v3/executionRules", rules_weight, &[], execution_rules),
    open("/sapi/v1/system/status", |_| 1, &[], |_, _| Ok(r#"{"status":0,"msg":"normal"}"#.into())),
];

fn rules_weight(p: &Params) -> u32 {
    let count = p.list("symbols").ok().flatten().map_or(20, |l| l.len() as u32);
    if p.raw("symbol").is_some() { 2 } else { (2 * count).clamp(2, 40) }
}

/// No symbol has a rule beyond its filters.
fn execution_rules(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let names: Vec<String> = match (p.text("symbol")?, p.list("symbols")?) {
        (Some(_), Some(_)) => return Err(ApiError::new(-1128, "Combination of optional parameters invalid.")),
        (Some(one), None) => vec![one.into()],
        (None, Some(list)) => list,
        (None, None) => t.symbols.live().map(|(s, _)| s.name.clone()).collect(),
    };
    let rows: Result<Vec<String>, ApiError> = names
        .iter()
        .map(|n| t.symbols.find(n).map(|s| Obj::new().str("symbol", &s.name).raw("rules", "[]").done()))
        .collect();
    Ok(Obj::new().raw("symbolRules", &array(rows?)).done())
}

fn depth_weight(p: &Params) -> u32 {
    match p.int("limit").ok().flatten().unwrap_or(100) {
        ..=100 => 5,
        101..=500 => 25,
        501..=1000 => 50,
        _ => 250,
    }
}

fn day_weight(p: &Params) -> u32 {
    let count = p.list("symbols").ok().flatten().map(|l| l.len());
    match (p.raw("symbol"), count) {
        (Some(_), _) => 2,
        (None, Some(0..=20)) => 2,
        (None, Some(21..=100)) => 40,
        _ => 80,
    }
}

fn exchange_info(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let wanted: Option<Vec<String>> = match (p.text("symbol")?, p.list("symbols")?) {
        (Some(_), Some(_)) => return Err(ApiError::new(-1128, "Combination of optional parameters invalid.")),
        (Some(one), None) => Some(vec![one.into()]),
        (None, list) => list,
    };
    let status = p.text("symbolStatus")?;
    if wanted.is_some() && status.is_some() {
        return Err(ApiError::new(-1128, "Combination of optional parameters invalid."));
    }
    let rows: Vec<&Symbol> = match &wanted {
        Some(names) => names.iter().map(|n| t.symbols.find(n)).collect::<Result<_, _>>()?,
        None => t.symbols.list.iter().filter(|s| status.is_none_or(|w| w == s.status)).collect(),
    };
    Ok(t.exchange_info(&rows))
}

impl Twin {
    /// The reply of both products.
    pub(crate) fn exchange_info(&self, rows: &[&Symbol]) -> String {
        let head = &self.symbols.head;
        let o = Obj::new().str("timezone", "UTC").int("serverTime", self.server_ms());
        let o = match head.get("futuresType") {
            Some(kind) => o.raw("futuresType", &kind.to_string()),
            None => o,
        };
        let o = o
            .raw("rateLimits", &array(self.limits.rows()))
            .raw("exchangeFilters", &head["exchangeFilters"].to_string());
        let o = match head.get("assets") {
            Some(assets) => o.raw("assets", &assets.to_string()),
            None => o,
        };
        o.raw("symbols", &array(rows.iter().filter(|s| s.is_listed()).map(|s| s.row.to_string()))).done()
    }

    /// One reply for `symbol`, a list for `symbols` or neither.
    fn each(&self, c: &Call, one: fn(&Twin, InstrumentId) -> String) -> Result<String, ApiError> {
        let p = &c.params;
        match (p.text("symbol")?, p.list("symbols")?) {
            (Some(_), Some(_)) => Err(ApiError::new(-1128, "Combination of optional parameters invalid.")),
            (Some(name), None) => Ok(one(self, self.symbols.traded(name)?.1)),
            (None, Some(names)) => {
                let ids: Vec<InstrumentId> =
                    names.iter().map(|n| self.symbols.traded(n).map(|s| s.1)).collect::<Result<_, _>>()?;
                Ok(array(ids.into_iter().map(|id| one(self, id))))
            }
            (None, None) => Ok(array(self.symbols.live().map(|(_, id)| one(self, id)))),
        }
    }

    fn ticker_price(&self, id: InstrumentId) -> String {
        let last = self.public(id).last.map_or(Price(0), |l| l.price);
        Obj::new().str("symbol", &self.symbols.of(id).name).str("price", &self.px(id, last)).done()
    }

    fn ticker_book(&self, id: InstrumentId) -> String {
        self.book_json(id).done()
    }

    /// Best bid and ask.
    pub(crate) fn book_json(&self, id: InstrumentId) -> Obj {
        let p = self.public(id);
        let row = |rows: &[Row]| rows.first().copied().unwrap_or_default();
        let (bid, ask) = (row(&p.bids), row(&p.asks));
        let o = Obj::new().str("symbol", &self.symbols.of(id).name).str("bidPrice", &self.px(id, Price(bid.0)));
        let o = o.str("bidQty", &self.qty(id, bid.1)).str("askPrice", &self.px(id, Price(ask.0)));
        o.str("askQty", &self.qty(id, ask.1))
    }

    fn ticker_full(&self, id: InstrumentId) -> String {
        self.day_json(id, true)
    }

    fn ticker_mini(&self, id: InstrumentId) -> String {
        self.day_json(id, false)
    }

    /// The rolling day. USD-M leaves out the book.
    pub(crate) fn day_json(&self, id: InstrumentId, full: bool) -> String {
        let spot = self.product == crate::config::Product::Spot;
        let flat = self.public(id).last.map_or(Price(0), |l| l.price);
        let d = self.day(id).unwrap_or(Bar {
            open_ms: 0,
            open: flat,
            high: flat,
            low: flat,
            close: flat,
            volume: 0,
            quote: Default::default(),
            count: 0,
            taker_volume: 0,
            taker_quote: Default::default(),
            first_id: -1,
            last_id: -1,
        });
        let (change, percent, average) = self.changes(id, &d);
        let p = self.public(id);
        let o = Obj::new().str("symbol", &self.symbols.of(id).name);
        let o = if full {
            let o = o.str("priceChange", &change).str("priceChangePercent", &percent).str("weightedAvgPrice", &average);
            let o = if spot { o.str("prevClosePrice", &self.px(id, d.open)) } else { o };
            let o =
                o.str("lastPrice", &self.px(id, d.close)).str("lastQty", &self.qty(id, p.last.map_or(0, |l| l.qty)));
            if spot {
                let row = |rows: &[Row]| rows.first().copied().unwrap_or_default();
                let (bid, ask) = (row(&p.bids), row(&p.asks));
                let o = o.str("bidPrice", &self.px(id, Price(bid.0))).str("bidQty", &self.qty(id, bid.1));
                o.str("askPrice", &self.px(id, Price(ask.0))).str("askQty", &self.qty(id, ask.1))
            } else {
                o
            }
        } else {
            o
        };
        let o = o.str("openPrice", &self.px(id, d.open)).str("highPrice", &self.px(id, d.high));
        let o = o.str("lowPrice", &self.px(id, d.low));
        let o = if full { o } else { o.str("lastPrice", &self.px(id, d.close)) };
        let o = o.str("volume", &self.qty(id, d.volume)).str("quoteVolume", &self.money(d.quote));
        let now = self.now_ms();
        let o = o.int("openTime", now - 86_400_000).int("closeTime", now).int("firstId", d.first_id);
        o.int("lastId", d.last_id).int("count", d.count).done()
    }

    /// The book down to `limit` levels, with its id; older where a fault has it so.
    pub(crate) fn snapshot(&self, id: InstrumentId, limit: usize) -> (i64, String, String) {
        let p = self.public(id);
        let top = |rows: &[Row]| self.levels(id, &rows[..limit.min(rows.len())]);
        let age = self.faults.snapshot_age_ms;
        let old = self.old_books.iter().rev().filter(|b| b.id == id).find(|b| b.at_ms <= self.now_ms() - age);
        match old.filter(|_| age > 0) {
            Some(b) => (b.update_id, top(&b.bids), top(&b.asks)),
            None => (p.update_id, top(&p.bids), top(&p.asks)),
        }
    }

    /// One candle as a row of twelve.
    pub(crate) fn kline_row(&self, id: InstrumentId, span: Span, offset: i64, b: &Bar) -> String {
        let text = |t: String| format!("\"{t}\"");
        array([
            b.open_ms.to_string(),
            text(self.px(id, b.open)),
            text(self.px(id, b.high)),
            text(self.px(id, b.low)),
            text(self.px(id, b.close)),
            text(self.qty(id, b.volume)),
            (span.next(b.open_ms, offset) - 1).to_string(),
            text(self.money(b.quote)),
            b.count.to_string(),
            text(self.qty(id, b.taker_volume)),
            text(self.money(b.taker_quote)),
            text("0".into()),
        ])
    }

    /// Trades from the newest back, `limit` of them, those from `from` on.
    pub(crate) fn trade_rows(&self, id: InstrumentId, limit: usize, from: Option<i64>) -> String {
        let spot = self.product == crate::config::Product::Spot;
        let trades = &self.public(id).trades;
        let first = match from {
            Some(from) => trades.partition_point(|t| t.id < from),
            None => trades.len().saturating_sub(limit),
        };
        array(trades.range(first..).take(limit).map(|t| {
            let o = Obj::new().int("id", t.id).str("price", &self.px(id, t.price)).str("qty", &self.qty(id, t.qty));
            let o =
                o.str("quoteQty", &self.money(t.value)).int("time", t.at_ms).bool("isBuyerMaker", !t.buyer_is_taker);
            if spot { o.bool("isBestMatch", true) } else { o.bool("isRPITrade", false) }.done()
        }))
    }

    pub(crate) fn agg_rows(&self, c: &Call, id: InstrumentId) -> Result<String, ApiError> {
        let spot = self.product == crate::config::Product::Spot;
        let p = &c.params;
        let limit = p.limit(500, 1_000)?;
        let (from, start, end) = (p.int("fromId")?, p.int("startTime")?, p.int("endTime")?);
        if let (false, Some(s), Some(e)) = (spot, start, end)
            && e - s >= 3_600_000
        {
            return Err(ApiError::new(-1127, "More than 1 hours between startTime and endTime."));
        }
        let all = &self.public(id).aggregates;
        let first = match (from, start) {
            (Some(from), _) => all.partition_point(|a| a.id < from),
            (None, Some(start)) => all.partition_point(|a| a.at_ms < start),
            (None, None) => {
                let until = end.map_or(all.len(), |e| all.partition_point(|a| a.at_ms <= e));
                until.saturating_sub(limit)
            }
        };
        let rows = all.range(first..).take_while(|a| end.is_none_or(|e| a.at_ms <= e)).take(limit);
        Ok(array(rows.map(|a| {
            let o = Obj::new().int("a", a.id).str("p", &self.px(id, a.price)).str("q", &self.qty(id, a.qty));
            let o = if spot { o } else { o.str("nq", &self.qty(id, a.qty)) };
            let o = o.int("f", a.first_id).int("l", a.last_id).int("T", a.at_ms).bool("m", !a.buyer_is_taker);
            if spot { o.bool("M", true) } else { o }.done()
        })))
    }
}

fn depth(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let limit = c.params.limit(100, 5_000)?;
    let (last, bids, asks) = t.snapshot(id, limit);
    Ok(Obj::new().int("lastUpdateId", last).raw("bids", &bids).raw("asks", &asks).done())
}

fn trades(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    Ok(t.trade_rows(id, c.params.limit(500, 1_000)?, c.params.int("fromId")?))
}

fn agg_trades(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    t.agg_rows(c, id)
}

/// An offset such as `0`, `-1:00`, `05:45`, in ms.
fn time_zone(text: &str) -> Result<i64, ApiError> {
    let bad = || ApiError::invalid("timeZone");
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (h, m) = body.split_once(':').unwrap_or((body, "0"));
    let (h, m): (i64, i64) = (h.parse().map_err(|_| bad())?, m.parse().map_err(|_| bad())?);
    let minutes = sign * (h * 60 + m);
    if !(0..60).contains(&m) || !(-12 * 60..=14 * 60).contains(&minutes) { Err(bad()) } else { Ok(minutes * 60_000) }
}

fn klines(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let (_, id) = t.symbols.traded(p.need("symbol")?)?;
    let span = Span::parse(p.need("interval")?).ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
    let offset = p.text("timeZone")?.map_or(Ok(0), time_zone)?;
    let ms = |name: &str| Ok::<_, ApiError>(p.time(name)?.map(crate::number::ms));
    let bars = t.public(id).klines.list(span, offset, ms("startTime")?, ms("endTime")?, p.limit(500, 1_000)?);
    Ok(array(bars.iter().map(|b| t.kline_row(id, span, offset, b))))
}

fn avg_price(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let last = t.public(id).last.map_or(0, |l| l.at_ms);
    Ok(Obj::new().int("mins", 5).str("price", &eight(t.average(id))).int("closeTime", last).done())
}

fn ticker_day(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    match c.params.text("type")? {
        None | Some("FULL") => t.each(c, Twin::ticker_full),
        Some("MINI") => t.each(c, Twin::ticker_mini),
        Some(_) => Err(ApiError::invalid("type")),
    }
}
