//! Calls for USD-M conditional orders. Never: their triggers (`algo`).

use crate::algo::{Algo, AlgoType, reached};
use crate::error::ApiError;
use crate::filters::check_usdm_price;
use crate::json::{Obj, array};
use crate::orders::{OrderType, Tif};
use crate::params::Params;
use crate::rest::{Call, Endpoint, Security};
use crate::twin::Twin;
use crate::usdm_trade::{read_name, read_side};
use ctos_types::{Decimal, Leg, Price, Qty};

const fn algo(
    method: &'static str,
    path: &'static str,
    weight: fn(&Params) -> u32,
    orders: u32,
    need: &'static [&'static str],
    run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Endpoint {
    Endpoint { method, path, security: Security::Trade, weight, orders, free: false, need, run }
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    algo("POST", "/fapi/v1/algoOrder", |_| 0, 1, &["algoType", "symbol", "side", "type"], place),
    algo("DELETE", "/fapi/v1/algoOrder", |_| 1, 0, &[], cancel),
    algo("DELETE", "/fapi/v1/algoOpenOrders", |_| 1, 0, &["symbol"], cancel_all),
    algo("GET", "/fapi/v1/algoOrder", |_| 1, 0, &[], query),
    algo("GET", "/fapi/v1/openAlgoOrders", |p| if p.raw("symbol").is_some() { 1 } else { 40 }, 0, &[], open),
    algo("GET", "/fapi/v1/allAlgoOrders", |_| 5, 0, &["symbol"], all),
];

/// Open conditional orders an account may have, over all symbols.
const MOST_OPEN: usize = 200;

fn e(code: i32, msg: &str) -> ApiError {
    ApiError::new(code, msg)
}

fn place(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let a = t.read_algo(c)?;
    let mut probe = a.clone();
    let level = t.instrument(a.instrument).price_decimal(a.trigger);
    let now = t.watched_price(a.instrument, a.by_mark);
    if a.kind != AlgoType::Trailing && now.is_some_and(|px| reached(&mut probe, level, px)) {
        return Err(e(-2021, "Order would immediately trigger."));
    }
    let mine = t.algos.open.iter().filter(|n| t.algos.list[**n].user == a.user).count();
    if mine >= MOST_OPEN {
        return Err(e(-4045, "Reach max stop order limit."));
    }
    let (id, trailing) = (a.instrument, a.kind == AlgoType::Trailing);
    let n = t.algos.enter(a);
    t.set_algo(n, "NEW");
    let reply = t.algo_json(n, false);
    if trailing {
        // It follows from the present price on.
        t.watch_algos(id);
    }
    Ok(reply)
}

impl Twin {
    fn read_algo(&mut self, c: &Call) -> Result<Algo, ApiError> {
        let p = &c.params;
        if p.need("algoType")? != "CONDITIONAL" {
            return Err(ApiError::invalid("algoType"));
        }
        let (symbol, id) = self.symbols.traded(p.need("symbol")?)?;
        let symbol = symbol.clone();
        let side = read_side(p)?;
        let kind = AlgoType::parse(p.need("type")?).ok_or_else(|| e(-1116, "Invalid orderType."))?;
        let tif = match p.text("timeInForce")? {
            Some(text) => Tif::parse(text).ok_or_else(|| e(-1115, "Invalid timeInForce."))?,
            None => Tif::Gtc,
        };
        let leg = self.read_leg(c.user, p)?;
        let reduce = p.bool("reduceOnly")?;
        if reduce.is_some() && leg != Leg::Net {
            return Err(e(-4062, "Invalid or improper reduceOnly value."));
        }
        let close_position = p.bool("closePosition")?.unwrap_or(false);
        let quantity = p.decimal("quantity")?;
        if close_position && quantity.is_some() {
            return Err(e(-4137, "Quantity must be zero with closePosition equals true"));
        }
        if close_position && (reduce == Some(true) || kind.is_limit() || kind == AlgoType::Trailing) {
            return Err(e(-4138, "Reduce only must be true with closePosition equals true"));
        }
        let by_mark = match p.text("workingType")? {
            None | Some("CONTRACT_PRICE") => false,
            Some("MARK_PRICE") => true,
            Some(_) => return Err(ApiError::invalid("workingType")),
        };
        let (gtd_ms, stp) = (self.read_gtd(p, tif)?, Self::read_stp(p)?);
        let trigger = p.decimal("triggerPrice")?;
        let (activate, callback) = (p.decimal("activatePrice")?, p.decimal("callbackRate")?);
        if kind == AlgoType::Trailing {
            let rate = callback.ok_or_else(|| ApiError::missing("callbackRate"))?;
            if rate < Decimal::new(1, 1) || rate > Decimal::from_int(10) {
                return Err(ApiError::invalid("callbackRate"));
            }
        } else {
            trigger.ok_or_else(|| ApiError::missing("triggerPrice"))?;
        }
        let (price, price_match) =
            if kind.is_limit() { self.read_price(p, id, side, OrderType::Limit)? } else { (None, "NONE".into()) };
        if !symbol.may_trade() {
            return Err(e(-4141, "Symbol is closed."));
        }
        for px in [price, trigger, activate].into_iter().flatten() {
            check_usdm_price(&symbol, px)?;
        }
        let i = self.instrument(id).clone();
        let qty = match quantity {
            _ if close_position => Qty(0),
            None => return Err(ApiError::missing("quantity")),
            Some(q) => {
                if !q.is_positive() {
                    return Err(e(-4003, "Quantity less than or equal to zero."));
                }
                if symbol.filters.lot.min.is_some_and(|m| q < m) {
                    return Err(e(-4004, "Quantity less than min quantity."));
                }
                if symbol.filters.lot.max.is_some_and(|m| q > m) {
                    return Err(e(-4005, "Quantity greater than max quantity."));
                }
                i.qty(q).map_err(|_| e(-4023, "Qty not increased by step size."))?
            }
        };
        let client_id = match read_name(p, "clientAlgoId")? {
            Some(name) => {
                let taken = self.algos.find(c.user, None, Some(&name));
                if taken.is_some_and(|n| self.algos.open.contains(&n)) {
                    return Err(e(-4116, "ClientOrderId is duplicated."));
                }
                name
            }
            None => self.server_id(),
        };
        let px = |d: Option<Decimal>| {
            d.map_or(Ok(Price(0)), |d| i.price(d)).map_err(|_| e(-4014, "Price not increased by tick size."))
        };
        let now = self.now_ms();
        Ok(Algo {
            id: 0,
            client_id,
            user: c.user,
            instrument: id,
            side,
            leg,
            kind,
            tif,
            qty,
            price: px(price)?,
            trigger: px(trigger)?,
            by_mark,
            close_position,
            price_protect: p.bool("priceProtect")?.unwrap_or(false),
            reduce_only: reduce.unwrap_or(false),
            activate,
            callback,
            active: false,
            extreme: None,
            stp,
            price_match,
            gtd_ms,
            status: "NEW",
            created_ms: now,
            updated_ms: now,
            triggered_ms: 0,
            child: None,
            why: String::new(),
        })
    }

    fn find_algo(&self, c: &Call, none: ApiError) -> Result<usize, ApiError> {
        let (id, name) = (c.params.int("algoId")?, c.params.text("clientAlgoId")?);
        if id.is_none() && name.is_none() {
            return Err(ApiError::missing("algoId"));
        }
        self.algos.find(c.user, id, name).ok_or(none)
    }
}

fn cancel(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.find_algo(c, ApiError::unknown_order())?;
    if !t.algos.open.contains(&n) {
        return Err(ApiError::unknown_order());
    }
    t.set_algo(n, "CANCELED");
    let a = &t.algos.list[n];
    let o = Obj::new().int("algoId", a.id).str("clientAlgoId", &a.client_id);
    Ok(o.str("code", "200").str("msg", "success").done())
}

fn cancel_all(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let mine: Vec<usize> = t
        .algos
        .open
        .iter()
        .copied()
        .filter(|n| t.algos.list[*n].user == c.user && t.algos.list[*n].instrument == id)
        .collect();
    for n in mine {
        t.set_algo(n, "CANCELED");
    }
    Ok(r#"{"code":200,"msg":"The operation of cancel all open order is done."}"#.into())
}

fn query(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.find_algo(c, ApiError::no_order())?;
    Ok(t.algo_json(n, true))
}

fn open(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let id = c.params.text("symbol")?.map(|s| t.symbols.traded(s).map(|s| s.1)).transpose()?;
    let mine = |n: &&usize| {
        let a = &t.algos.list[**n];
        a.user == c.user && id.is_none_or(|id| id == a.instrument)
    };
    Ok(array(t.algos.open.iter().filter(mine).map(|n| t.algo_json(*n, true))))
}

fn all(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let (_, id) = t.symbols.traded(p.need("symbol")?)?;
    let (from, start, end) = (p.int("algoId")?, p.int("startTime")?, p.int("endTime")?);
    let limit = p.limit(500, 1_000)?;
    let mine = |n: &usize| {
        let a = &t.algos.list[*n];
        a.user == c.user
            && a.instrument == id
            && from.is_none_or(|f| a.id >= f)
            && start.is_none_or(|s| a.created_ms >= s)
            && end.is_none_or(|e| a.created_ms <= e)
    };
    let rows: Vec<usize> = t.algos.list.numbers().map(|(n, _)| n).filter(mine).collect();
    let skip = if from.is_some() || start.is_some() { 0 } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|n| t.algo_json(n, true))))
}
