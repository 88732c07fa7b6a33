//! Spot accounts: queries of orders, trades and balances, and what a key may do. Never: changes anything.

use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::Order;
use crate::params::Params;
use crate::publish::side_name;
use crate::rest::{Call, Endpoint, Security};
use crate::twin::Twin;
use ctos_types::Decimal;

const fn read(
    path: &'static str,
    weight: fn(&Params) -> u32,
    need: &'static [&'static str],
    run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Endpoint {
    Endpoint { method: "GET", path, security: Security::Read, weight, orders: 0, free: false, need, run }
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    read("/api/v3/order", |_| 4, &["symbol"], order),
    read("/api/v3/openOrders", |p| if p.raw("symbol").is_some() { 6 } else { 80 }, &[], open_orders),
    read("/api/v3/allOrders", |_| 20, &["symbol"], all_orders),
    read("/api/v3/account", |_| 20, &[], account),
    read("/api/v3/myTrades", |p| if p.raw("orderId").is_some() { 5 } else { 20 }, &["symbol"], my_trades),
    read("/api/v3/rateLimit/order", |_| 40, &[], |t, c| Ok(array(t.limits.order_rows(Some((c.user, t.now_ms())))))),
    read("/api/v3/account/commission", |_| 20, &["symbol"], commission),
    read("/api/v3/myFilters", |_| 40, &["symbol"], my_filters),
    read(
        "/api/v3/myPreventedMatches",
        |_| 20,
        &["symbol"],
        |t, c| t.symbols.traded(c.params.need("symbol")?).map(|_| "[]".into()),
    ),
    read("/api/v3/order/amendments", |_| 4, &["symbol", "orderId"], amendments),
    read("/sapi/v1/account/apiRestrictions", |_| 1, &[], restrictions),
    read("/sapi/v1/account/status", |_| 1, &[], |_, _| Ok(r#"{"data":"Normal"}"#.into())),
    read("/sapi/v1/asset/tradeFee", |_| 1, &[], trade_fee),
    read("/sapi/v1/capital/config/getall", |_| 10, &[], coins),
    Endpoint { security: Security::Key, ..read("/sapi/v1/margin/allPairs", |_| 1, &[], margin_pairs) },
    Endpoint {
        security: Security::Key,
        ..read("/sapi/v1/margin/isolated/allPairs", |_| 10, &[], |_, _| Ok("[]".into()))
    },
];

fn margin_pairs(t: &mut Twin, _: &Call) -> Result<String, ApiError> {
    let pairs = t.symbols.live().filter(|(s, _)| s.row["isMarginTradingAllowed"] == true);
    Ok(array(pairs.map(|(s, id)| {
        let o = Obj::new().int("id", i64::from(id.0)).str("symbol", &s.name);
        let o = o.str("base", s.base.as_str()).str("quote", s.quote.as_str());
        o.bool("isMarginTrade", true).bool("isBuyAllowed", true).bool("isSellAllowed", true).done()
    })))
}

impl Twin {
    fn spot_order(&self, o: &Order) -> String {
        let id = o.instrument;
        let j = Obj::new().str("symbol", &self.symbols.of(id).name).int("orderId", o.id).int("orderListId", -1);
        let j = j.str("clientOrderId", &o.client_id).str("price", &self.px(id, o.price));
        let j = j.str("origQty", &self.qty(id, o.qty.0)).str("executedQty", &self.qty(id, o.cum.0));
        let j = j.str("cummulativeQuoteQty", &eight(o.cum_quote)).str("status", o.status.name());
        let j = j.str("timeInForce", o.tif.name()).str("type", o.kind.name()).str("side", side_name(o.side));
        let j = j.str("stopPrice", &self.px(id, o.stop)).str("icebergQty", &self.qty(id, o.iceberg.0));
        let j = j.when(o.trailing_delta > 0, |j| j.int("trailingDelta", o.trailing_delta));
        let j = j.int("time", o.created_ms).int("updateTime", o.updated_ms).bool("isWorking", o.working_ms >= 0);
        let j = j.int("workingTime", o.working_ms).str("origQuoteOrderQty", &eight(o.quote_qty));
        j.str("selfTradePreventionMode", &o.stp).done()
    }

    /// Whether queries see the order yet.
    pub(crate) fn visible(&self, n: usize) -> bool {
        self.now_ms() - self.orders.list[n].created_ms >= self.faults.invisible_ms
    }
}

pub(crate) fn order(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let archived = c.params.int("orderId")?.is_some_and(|id| t.orders.is_archived(id));
    let none = match archived {
        true => ApiError::new(
            -2026,
            "Order was canceled or expired with no executed qty over 90 days ago and has been archived.",
        ),
        false => ApiError::no_order(),
    };
    let n = t.spot_find(c, ("orderId", "origClientOrderId"), none)?;
    if !t.visible(n) {
        return Err(ApiError::no_order());
    }
    Ok(t.spot_order(&t.orders.list[n]))
}

pub(crate) fn open_orders(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let id = c.params.text("symbol")?.map(|s| t.symbols.traded(s).map(|s| s.1)).transpose()?;
    let open = t.orders.open_of(c.user, id);
    Ok(array(open.into_iter().filter(|n| t.visible(*n)).map(|n| t.spot_order(&t.orders.list[n]))))
}

/// Start and end of a query; a day at most lies between.
fn window(p: &Params) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let (start, end) = (p.int("startTime")?, p.int("endTime")?);
    if let (Some(s), Some(e)) = (start, end)
        && e - s > 86_400_000
    {
        return Err(ApiError::new(-1127, "More than 24 hours between startTime and endTime."));
    }
    Ok((start, end))
}

pub(crate) fn all_orders(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let (_, id) = t.symbols.traded(p.need("symbol")?)?;
    let (from, (start, end), limit) = (p.int("orderId")?, window(p)?, p.limit(500, 1_000)?);
    let mine = |o: &&Order| {
        o.user == c.user
            && o.instrument == id
            && from.is_none_or(|f| o.id >= f)
            && start.is_none_or(|s| o.created_ms >= s)
            && end.is_none_or(|e| o.created_ms <= e)
    };
    let rows: Vec<&Order> = t.orders.list.iter().filter(mine).collect();
    let skip = if from.is_some() || start.is_some() { 0 } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|o| t.spot_order(o))))
}

fn account(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let omit = c.params.bool("omitZeroBalances")?.unwrap_or(false);
    let key = t.users.key(Some(&c.api_key))?.setting.clone();
    let engine = t.users.engine(c.user);
    let mut assets: Vec<_> = t.symbols.live().flat_map(|(s, _)| [s.base, s.quote]).collect();
    assets.extend(t.venue.balances(engine).map(|(a, _)| a));
    assets.sort_unstable();
    assets.dedup();
    let rows = assets.iter().map(|a| (a, t.venue.balance(engine, *a))).filter(|(_, b)| !omit || !b.total.is_zero());
    let rows = rows.map(|(a, b)| {
        Obj::new().str("asset", a.as_str()).str("free", &eight(b.available())).str("locked", &eight(b.hold)).done()
    });
    let balances = array(rows);
    let (maker, taker) = t.symbols.live().next().map_or(Default::default(), |(_, id)| {
        let i = t.instrument(id);
        (i.maker_fee, i.taker_fee)
    });
    let bps = |d: Decimal| {
        d.mul_ratio(10_000, 1, ctos_types::Rounding::Down).map_or(0, |d| (d.atoms() / Decimal::ONE.atoms()) as i64)
    };
    let rates = Obj::new().str("maker", &eight(maker)).str("taker", &eight(taker));
    let rates = rates.str("buyer", "0.00000000").str("seller", "0.00000000").done();
    let o = Obj::new().int("makerCommission", bps(maker)).int("takerCommission", bps(taker));
    let o = o.int("buyerCommission", 0).int("sellerCommission", 0).raw("commissionRates", &rates);
    let o = o.bool("canTrade", key.can_trade).bool("canWithdraw", key.can_withdraw).bool("canDeposit", true);
    let o = o.bool("brokered", false).bool("requireSelfTradePrevention", false).bool("preventSor", false);
    let o = o.int("updateTime", t.now_ms()).str("accountType", "SPOT").raw("balances", &balances);
    Ok(o.raw("permissions", r#"["SPOT"]"#).int("uid", 100_000_000 + c.user as i64).done())
}

pub(crate) fn my_trades(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let (symbol, id) = t.symbols.traded(p.need("symbol")?)?;
    let (order, from, limit) = (p.int("orderId")?, p.int("fromId")?, p.limit(500, 1_000)?);
    let (start, end) = window(p)?;
    let timed = start.is_some() || end.is_some();
    let allowed = !(timed && (order.is_some() || from.is_some()));
    if !allowed {
        return Err(ApiError::new(-1128, "Combination of optional parameters invalid."));
    }
    let mine = |x: &&crate::orders::OwnTrade| {
        x.user == c.user
            && x.instrument == id
            && order.is_none_or(|o| t.orders.id_of(x.order) == o)
            && from.is_none_or(|f| x.id >= f)
            && start.is_none_or(|s| x.at_ms >= s)
            && end.is_none_or(|e| x.at_ms <= e)
    };
    let rows: Vec<_> = t.orders.trades.iter().filter(mine).collect();
    let skip = if from.is_some() || start.is_some() { 0 } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|x| {
        let o = Obj::new().str("symbol", &symbol.name).int("id", x.id).int("orderId", t.orders.id_of(x.order));
        let o = o.int("orderListId", -1).str("price", &t.px(id, x.price)).str("qty", &t.qty(id, x.qty.0));
        let o = o.str("quoteQty", &eight(x.quote)).str("commission", &eight(x.fee));
        let o = o.str("commissionAsset", &x.fee_asset).int("time", x.at_ms);
        let o = o.bool("isBuyer", x.side == ctos_types::Side::Buy).bool("isMaker", x.maker);
        o.bool("isBestMatch", true).done()
    })))
}

fn commission(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (symbol, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let i = t.instrument(id);
    let rates = |maker: Decimal, taker: Decimal| {
        let o = Obj::new().str("maker", &eight(maker)).str("taker", &eight(taker));
        o.str("buyer", "0.00000000").str("seller", "0.00000000").done()
    };
    let none = rates(Decimal::ZERO, Decimal::ZERO);
    let token = t.users.list[c.user].fee_token;
    let asset = token.unwrap_or(ctos_types::Currency::cut("BNB"));
    let discount = Obj::new().bool("enabledForAccount", token.is_some()).bool("enabledForSymbol", token.is_some());
    let discount = discount.str("discountAsset", asset.as_str()).str("discount", "0.25000000").done();
    let o = Obj::new().str("symbol", &symbol.name).raw("standardCommission", &rates(i.maker_fee, i.taker_fee));
    Ok(o.raw("specialCommission", &none).raw("taxCommission", &none).raw("discount", &discount).done())
}

fn my_filters(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let symbol = t.symbols.find(c.params.need("symbol")?)?;
    let o = Obj::new().raw("exchangeFilters", "[]").raw("symbolFilters", &symbol.row["filters"].to_string());
    Ok(o.raw("assetFilters", "[]").done())
}

fn amendments(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.spot_find(c, ("orderId", "origClientOrderId"), ApiError::no_order())?;
    let from = c.params.int("fromExecutionId")?;
    let (o, limit) = (&t.orders.list[n], c.params.limit(500, 1_000)?);
    let rows = t.orders.amendments.iter().filter(|a| a.order == n && from.is_none_or(|f| a.execution >= f));
    Ok(array(rows.take(limit).map(|a| {
        let j = Obj::new().str("symbol", &t.symbols.of(o.instrument).name).int("orderId", o.id);
        let j = j.int("executionId", a.execution).str("origClientOrderId", &a.old_id);
        let j = j.str("newClientOrderId", &a.new_id).str("origQty", &t.qty(o.instrument, a.old_qty.0));
        j.str("newQty", &t.qty(o.instrument, a.new_qty.0)).int("time", a.at_ms).done()
    })))
}

/// What the key may do: clients refuse those that can withdraw.
fn restrictions(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let k = &t.users.key(Some(&c.api_key))?.setting;
    let o = Obj::new().bool("ipRestrict", k.ip_restricted).int("createTime", t.now_ms() - 86_400_000);
    let o = o.bool("enableReading", true).bool("enableWithdrawals", k.can_withdraw);
    let o = o.bool("enableInternalTransfer", false).bool("enableMargin", false).bool("enableFutures", k.can_trade);
    let o = o.bool("permitsUniversalTransfer", false).bool("enableVanillaOptions", false);
    let o = o.bool("enableFixApiTrade", false).bool("enableFixReadOnly", false);
    Ok(o.bool("enableSpotAndMarginTrading", k.can_trade).bool("enablePortfolioMarginTrading", false).done())
}

fn trade_fee(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let wanted = c.params.text("symbol")?;
    if let Some(name) = wanted {
        t.symbols.traded(name)?;
    }
    let rows = t.symbols.live().filter(|(s, _)| wanted.is_none_or(|w| w == s.name)).map(|(s, id)| {
        let i = t.instrument(id);
        let o = Obj::new().str("symbol", &s.name).str("makerCommission", &eight(i.maker_fee));
        o.str("takerCommission", &eight(i.taker_fee)).done()
    });
    Ok(array(rows))
}

fn coins(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let engine = t.users.engine(c.user);
    let mut assets: Vec<_> = t.symbols.live().flat_map(|(s, _)| [s.base, s.quote]).collect();
    assets.sort_unstable();
    assets.dedup();
    Ok(array(assets.iter().map(|a| {
        let b = t.venue.balance(engine, *a);
        let o = Obj::new().str("coin", a.as_str()).bool("depositAllEnable", true).bool("withdrawAllEnable", true);
        let o = o.str("name", a.as_str()).str("free", &eight(b.available())).str("locked", &eight(b.hold));
        let o = o.str("freeze", "0").str("withdrawing", "0").str("ipoing", "0").str("ipoable", "0").str("storage", "0");
        o.bool("isLegalMoney", false).bool("trading", true).raw("networkList", "[]").done()
    })))
}
