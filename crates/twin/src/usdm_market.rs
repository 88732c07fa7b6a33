//! USD-M's public calls. Never: an account.

use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::klines::{Bar, Span};
use crate::number::eight;
use crate::params::Params;
use crate::rest::{Call, Endpoint, Security};
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
    open("/fapi/v1/ping", |_| 1, &[], |_, _| Ok("{}".into())),
    open("/fapi/v1/time", |_| 1, &[], |t, _| Ok(Obj::new().int("serverTime", t.server_ms()).done())),
    open("/fapi/v1/exchangeInfo", |_| 1, &[], |t, _| Ok(t.exchange_info(&t.symbols.list.iter().collect::<Vec<_>>()))),
    open("/fapi/v1/depth", depth_weight, &["symbol"], depth),
    open("/fapi/v1/trades", |_| 5, &["symbol"], trades),
    open("/fapi/v1/historicalTrades", |_| 20, &["symbol"], trades),
    open("/fapi/v1/aggTrades", |_| 20, &["symbol"], agg_trades),
    open("/fapi/v1/klines", kline_weight, &["symbol", "interval"], klines),
    open("/fapi/v1/continuousKlines", kline_weight, &["pair", "contractType", "interval"], continuous),
    open("/fapi/v1/markPriceKlines", kline_weight, &["symbol", "interval"], |t, c| mark_klines(t, c, "symbol")),
    open("/fapi/v1/premiumIndexKlines", kline_weight, &["symbol", "interval"], premium_klines),
    open("/fapi/v1/indexPriceKlines", kline_weight, &["pair", "interval"], |t, c| mark_klines(t, c, "pair")),
    open("/fapi/v1/ticker/price", one_or(1, 2), &[], |t, c| t.each_usdm(c, Twin::last_price)),
    open("/fapi/v2/ticker/price", one_or(1, 2), &[], |t, c| t.each_usdm(c, Twin::last_price)),
    open("/fapi/v1/ticker/bookTicker", one_or(2, 5), &[], |t, c| t.each_usdm(c, Twin::book_row)),
    open("/fapi/v1/ticker/24hr", one_or(1, 40), &[], |t, c| t.each_usdm(c, |t, id| t.day_json(id, true))),
    open("/fapi/v1/premiumIndex", one_or(1, 10), &[], |t, c| t.each_usdm(c, Twin::premium)),
    open("/fapi/v1/fundingRate", |_| 0, &[], funding_rate),
    open("/fapi/v1/fundingInfo", |_| 0, &[], |_, _| Ok("[]".into())),
    open("/fapi/v1/openInterest", |_| 1, &["symbol"], open_interest),
];

/// One weight with a symbol, another without.
const fn one_or(one: u32, all: u32) -> fn(&Params) -> u32 {
    match (one, all) {
        (1, 2) => |p| if p.raw("symbol").is_some() { 1 } else { 2 },
        (2, 5) => |p| if p.raw("symbol").is_some() { 2 } else { 5 },
        (1, 10) => |p| if p.raw("symbol").is_some() { 1 } else { 10 },
        _ => |p| if p.raw("symbol").is_some() { 1 } else { 40 },
    }
}

fn depth_weight(p: &Params) -> u32 {
    match p.int("limit").ok().flatten().unwrap_or(500) {
        ..=50 => 2,
        51..=100 => 5,
        101..=500 => 10,
        _ => 20,
    }
}

fn kline_weight(p: &Params) -> u32 {
    match p.int("limit").ok().flatten().unwrap_or(500) {
        ..100 => 1,
        100..500 => 2,
        500..=1000 => 5,
        _ => 10,
    }
}

impl Twin {
    fn each_usdm(&self, c: &Call, one: fn(&Twin, InstrumentId) -> String) -> Result<String, ApiError> {
        match c.params.text("symbol")? {
            Some(name) => Ok(one(self, self.symbols.traded(name)?.1)),
            None => Ok(array(self.symbols.live().map(|(_, id)| one(self, id)))),
        }
    }

    fn last_price(&self, id: InstrumentId) -> String {
        let (px, at) = self.public(id).last.map_or((Price(0), 0), |l| (l.price, l.at_ms));
        Obj::new().str("symbol", &self.symbols.of(id).name).str("price", &self.px(id, px)).int("time", at).done()
    }

    fn book_row(&self, id: InstrumentId) -> String {
        let p = self.public(id);
        self.book_json(id).int("time", p.changed_ms).int("lastUpdateId", p.update_id).done()
    }

    fn premium(&self, id: InstrumentId) -> String {
        let (mark, index, rate, next) = self.marks(id);
        let o = Obj::new().str("symbol", &self.symbols.of(id).name).str("markPrice", &eight(mark));
        let o = o.str("indexPrice", &eight(index)).str("estimatedSettlePrice", &eight(index));
        let o = o.str("lastFundingRate", &eight(rate)).str("interestRate", "0.00010000");
        o.int("nextFundingTime", next).int("time", self.now_ms()).done()
    }
}

fn depth(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let limit = c.params.int("limit")?.unwrap_or(500);
    if ![5, 10, 20, 50, 100, 500, 1000].contains(&limit) {
        return Err(ApiError::new(-4021, format!("Depth limit {limit} is not valid.")));
    }
    let (last, bids, asks) = t.snapshot(id, limit as usize);
    let o = Obj::new().int("lastUpdateId", last).int("E", t.server_ms()).int("T", t.public(id).changed_ms);
    Ok(o.raw("bids", &bids).raw("asks", &asks).done())
}

fn trades(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    Ok(t.trade_rows(id, c.params.limit(500, 1_000)?, c.params.int("fromId")?))
}

fn agg_trades(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    t.agg_rows(c, id)
}

fn span(p: &Params) -> Result<Span, ApiError> {
    let span = Span::parse(p.need("interval")?).filter(|s| *s != Span::Millis(1_000));
    span.ok_or_else(|| ApiError::new(-1120, "Invalid interval."))
}

fn bars(t: &Twin, c: &Call, id: InstrumentId) -> Result<(Span, Vec<Bar>), ApiError> {
    let (p, span) = (&c.params, span(&c.params)?);
    let bars = t.public(id).klines.list(span, 0, p.int("startTime")?, p.int("endTime")?, p.limit(500, 1_500)?);
    Ok((span, bars))
}

fn klines(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let (span, bars) = bars(t, c, id)?;
    Ok(array(bars.iter().map(|b| t.kline_row(id, span, 0, b))))
}

fn continuous(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("pair")?)?;
    if c.params.need("contractType")? != "PERPETUAL" {
        return Ok("[]".into());
    }
    let (span, bars) = bars(t, c, id)?;
    Ok(array(bars.iter().map(|b| t.kline_row(id, span, 0, b))))
}

/// Marks follow the traded prices closely: their candles are the traded ones without volume.
fn mark_klines(t: &mut Twin, c: &Call, name: &str) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need(name)?)?;
    let (span, bars) = bars(t, c, id)?;
    Ok(array(bars.iter().map(|b| {
        let none = Bar { volume: 0, quote: Default::default(), taker_volume: 0, taker_quote: Default::default(), ..*b };
        t.kline_row(id, span, 0, &none)
    })))
}

/// Mark and index candles are the same here, so the premium of one over the other is nought throughout.
fn premium_klines(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let (span, bars) = bars(t, c, id)?;
    Ok(array(bars.iter().map(|b| {
        let (open, close, none) = (b.open_ms, span.next(b.open_ms, 0) - 1, "\"0.00000000\"");
        format!(r#"[{open},{none},{none},{none},{none},"0",{close},"0",{},"0","0","0"]"#, b.count)
    })))
}

fn funding_rate(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let only = p.text("symbol")?.map(|s| t.symbols.traded(s).map(|s| s.1)).transpose()?;
    let (start, end, limit) = (p.int("startTime")?, p.int("endTime")?, p.limit(100, 1_000)?);
    let mut rows: Vec<(i64, InstrumentId, String)> = Vec::new();
    for public in t.publics.iter().filter(|p| only.is_none_or(|id| id == p.id)) {
        for (at, rate, mark) in &public.fundings {
            if start.is_some_and(|s| *at < s) || end.is_some_and(|e| *at > e) {
                continue;
            }
            let o = Obj::new().str("symbol", &t.symbols.of(public.id).name).str("fundingRate", &eight(*rate));
            let o = o.int("fundingTime", *at).str("markPrice", &eight(*mark)).str("rateType", "Regular");
            rows.push((*at, public.id, o.done()));
        }
    }
    rows.sort_by_key(|r| (r.0, r.1));
    let skip = if start.is_some() { 0 } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|r| r.2)))
}

fn open_interest(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (symbol, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let held = |u: usize| {
        t.venue.positions(t.users.engine(u)).filter(|(i, ..)| *i == id).map(|(.., p)| p.qty.0.abs()).sum::<i64>()
    };
    let all: i64 = (0..t.users.list.len()).map(held).sum();
    let o = Obj::new().str("symbol", &symbol.name).str("openInterest", &t.qty(id, all));
    Ok(o.int("time", t.now_ms()).done())
}
