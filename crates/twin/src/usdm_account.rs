//! USD-M accounts: orders and trades asked for, balances, positions. Never: places an order, changes a setting.

use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::number::{eight, fixed};
use crate::orders::{Order, OwnTrade};
use crate::params::Params;
use crate::publish::side_name;
use crate::rest::{Call, Endpoint, Security};
use crate::symbols::MAINTENANCE;
use crate::tell::leg_name;
use crate::twin::Twin;
use crate::usdm_settings::{
    account_config, brackets, commission, force_orders, income, leverage, margin_type, position_margin, set_dual,
    set_multi, symbol_config,
};
use crate::users::DEFAULT_LEVERAGE;
use ctos_types::{Currency, Decimal, InstrumentId, Leg, Position, Rounding, Side};
use ctos_venue::Margin;

const fn read(
    path: &'static str,
    weight: fn(&Params) -> u32,
    need: &'static [&'static str],
    run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Endpoint {
    Endpoint { method: "GET", path, security: Security::Read, weight, orders: 0, free: false, need, run }
}

const fn set(
    path: &'static str,
    need: &'static [&'static str],
    run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Endpoint {
    Endpoint { method: "POST", path, security: Security::Trade, weight: |_| 1, orders: 0, free: false, need, run }
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    read("/fapi/v1/order", |_| 1, &["symbol"], order),
    read("/fapi/v1/openOrder", |_| 1, &["symbol"], open_order),
    read("/fapi/v1/openOrders", |p| if p.raw("symbol").is_some() { 1 } else { 40 }, &[], open_orders),
    read("/fapi/v1/allOrders", |_| 5, &["symbol"], all_orders),
    read("/fapi/v1/userTrades", |_| 5, &["symbol"], user_trades),
    read("/fapi/v2/positionRisk", |_| 5, &[], |t, c| positions(t, c, 2)),
    read("/fapi/v3/positionRisk", |_| 5, &[], |t, c| positions(t, c, 3)),
    read("/fapi/v2/balance", |_| 5, &[], balance),
    read("/fapi/v3/balance", |_| 5, &[], balance),
    read("/fapi/v2/account", |_| 5, &[], |t, c| account(t, c, 2)),
    read("/fapi/v3/account", |_| 5, &[], |t, c| account(t, c, 3)),
    read("/fapi/v1/accountConfig", |_| 5, &[], account_config),
    read("/fapi/v1/symbolConfig", |_| 5, &[], symbol_config),
    set("/fapi/v1/leverage", &["symbol", "leverage"], leverage),
    set("/fapi/v1/marginType", &["symbol", "marginType"], margin_type),
    set("/fapi/v1/positionMargin", &["symbol", "amount", "type"], position_margin),
    set("/fapi/v1/positionSide/dual", &["dualSidePosition"], set_dual),
    read(
        "/fapi/v1/positionSide/dual",
        |_| 30,
        &[],
        |t, c| Ok(Obj::new().bool("dualSidePosition", t.users.list[c.user].hedge).done()),
    ),
    set("/fapi/v1/multiAssetsMargin", &["multiAssetsMargin"], set_multi),
    read(
        "/fapi/v1/multiAssetsMargin",
        |_| 30,
        &[],
        |t, c| Ok(Obj::new().bool("multiAssetsMargin", t.users.list[c.user].multi_assets).done()),
    ),
    read("/fapi/v1/leverageBracket", |_| 1, &[], brackets),
    read("/fapi/v1/commissionRate", |_| 20, &["symbol"], commission),
    read("/fapi/v1/rateLimit/order", |_| 1, &[], |t, _| Ok(array(t.limits.order_rows(None)))),
    read("/fapi/v1/income", |_| 30, &[], income),
    read("/fapi/v1/forceOrders", |p| if p.raw("symbol").is_some() { 20 } else { 50 }, &[], force_orders),
    listen("POST", |t, c| Ok(t.keep_listening(c))),
    listen("PUT", |t, c| match t.users.list[c.user].listen_key.as_ref().filter(|k| k.expires_ms > t.now_ms()) {
        Some(_) => Ok(t.keep_listening(c)),
        None => Err(ApiError::new(-1125, "This listenKey does not exist.")),
    }),
    listen("DELETE", |t, c| {
        let gone = t.users.list[c.user].listen_key.take();
        if let Some(key) = gone {
            t.tell_expired(c.user, &key.text);
        }
        Ok("{}".into())
    }),
];

const fn listen(method: &'static str, run: fn(&mut Twin, &Call) -> Result<String, ApiError>) -> Endpoint {
    Endpoint {
        method,
        path: "/fapi/v1/listenKey",
        security: Security::Key,
        weight: |_| 1,
        orders: 0,
        free: false,
        need: &[],
        run,
    }
}

pub(crate) fn e(code: i32, msg: &str) -> ApiError {
    ApiError::new(code, msg)
}

impl Twin {
    pub(crate) fn only(&self, c: &Call) -> Result<Option<InstrumentId>, ApiError> {
        c.params.text("symbol")?.map(|s| self.symbols.traded(s).map(|s| s.1)).transpose()
    }

    pub(crate) fn leverage_of(&self, user: usize, id: InstrumentId) -> i64 {
        self.users.list[user].leverage.get(&id).copied().unwrap_or(DEFAULT_LEVERAGE)
    }

    pub(crate) fn is_isolated(&self, user: usize, id: InstrumentId) -> bool {
        self.users.list[user].isolated.get(&id).copied().unwrap_or(false)
    }

    /// Currencies of the futures wallet, the margin asset first.
    fn assets(&self, user: usize) -> Vec<Currency> {
        let listed = self.symbols.head["assets"].as_array().cloned().unwrap_or_default();
        let mut all: Vec<Currency> = listed.iter().filter_map(|a| a["asset"].as_str()).map(Currency::cut).collect();
        for (asset, _) in self.venue.balances(self.users.engine(user)) {
            if !all.contains(&asset) {
                all.push(asset);
            }
        }
        all
    }

    fn margin(&self, user: usize, asset: Currency) -> Margin {
        self.venue.margin(self.users.engine(user), asset).unwrap_or_default()
    }

    /// Where a position would be liquidated; zero when that is out of reach.
    fn liquidation_price(&self, user: usize, id: InstrumentId, leg: Leg, p: &Position) -> Decimal {
        let i = self.instrument(id);
        let (Some(entry), m) = (p.avg_px(i), self.margin(user, i.settle())) else { return Decimal::ZERO };
        let up = self.mark(id).and_then(|mark| p.unrealized(i, mark).ok()).unwrap_or_default();
        let mark = self.mark(id).unwrap_or(entry);
        let mmr = Decimal::new(MAINTENANCE.0, MAINTENANCE.1);
        let own_mm = i.notional_at(mark, p.qty).and_then(|n| n.mul(mmr, Rounding::Up)).unwrap_or_default();
        let _ = leg;
        // (wallet + others' profit - others' maintenance - side q entry) / (q mmr - side q)
        let rest = m.equity - up - (m.maintenance - own_mm);
        let signed = i.qty_decimal(p.qty);
        let size = i.qty_decimal(p.qty.abs());
        let Ok(cost) = signed.mul(entry, Rounding::HalfEven) else { return Decimal::ZERO };
        let Ok(weight) = size.mul(mmr, Rounding::HalfEven) else { return Decimal::ZERO };
        (rest - cost).div(weight - signed, Rounding::HalfEven).unwrap_or_default().max(Decimal::ZERO)
    }
}

fn order(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.usdm_find(c, ApiError::no_order())?;
    if !t.visible(n) {
        return Err(ApiError::no_order());
    }
    Ok(t.usdm_order(&t.orders.list[n], true))
}

fn open_order(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.usdm_find(c, ApiError::no_order())?;
    if !t.visible(n) || !t.orders.list[n].status.is_open() {
        return Err(ApiError::no_order());
    }
    Ok(t.usdm_order(&t.orders.list[n], true))
}

fn open_orders(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let open = t.orders.open_of(c.user, only);
    Ok(array(open.into_iter().filter(|n| t.visible(*n)).map(|n| t.usdm_order(&t.orders.list[n], true))))
}

/// What isolated positions have; cross ones have a bare zero.
fn wallet_text(d: Decimal) -> String {
    if d.is_zero() { "0".into() } else { eight(d) }
}

/// Start and end of a query; a week at most lies between.
fn window(p: &Params) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let (start, end) = (p.int("startTime")?, p.int("endTime")?);
    if let (Some(s), Some(end)) = (start, end)
        && end - s > 7 * 86_400_000
    {
        return Err(e(-4166, "Search window is restricted to recent 7 days only."));
    }
    Ok((start, end))
}

fn all_orders(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|o| t.usdm_order(o, true))))
}

fn user_trades(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let (symbol, id) = t.symbols.traded(p.need("symbol")?)?;
    let (order, from, limit) = (p.int("orderId")?, p.int("fromId")?, p.limit(500, 1_000)?);
    let (start, end) = window(p)?;
    let mine = |x: &&OwnTrade| {
        x.user == c.user
            && x.instrument == id
            && order.is_none_or(|o| t.orders.id_of(x.order) == o)
            && from.is_none_or(|f| x.id >= f)
            && start.is_none_or(|s| x.at_ms >= s)
            && end.is_none_or(|e| x.at_ms <= e)
    };
    let rows: Vec<&OwnTrade> = t.orders.trades.iter().filter(mine).collect();
    let skip = if from.is_some() || start.is_some() { 0 } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|x| {
        let o = Obj::new().str("symbol", &symbol.name).int("id", x.id).int("orderId", t.orders.id_of(x.order));
        let o = o.str("side", side_name(x.side)).str("price", &t.px(id, x.price)).str("qty", &t.qty(id, x.qty.0));
        let o = o.str("realizedPnl", &eight(x.realized)).str("marginAsset", symbol.quote.as_str());
        let o =
            o.str("quoteQty", &eight(x.quote)).str("commission", &eight(x.fee)).str("commissionAsset", &x.fee_asset);
        let o = o.int("time", x.at_ms).str("positionSide", leg_name(x.leg)).bool("buyer", x.side == Side::Buy);
        let o = o.bool("maker", x.maker).str("pair", &symbol.name);
        // The size in the base asset: what was traded, since a contract is one coin.
        o.str("baseQty", &t.qty(id, x.qty.0)).done()
    })))
}

fn positions(t: &mut Twin, c: &Call, version: u8) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let engine = t.users.engine(c.user);
    let mut rows = Vec::new();
    let ids: Vec<InstrumentId> =
        t.symbols.live().map(|(_, id)| id).filter(|id| only.is_none_or(|o| o == *id)).collect();
    for id in ids {
        let open = !t.orders.open_of(c.user, Some(id)).is_empty();
        for (id, leg) in t.legs(c.user, id) {
            let p = t.venue.position(engine, id, leg);
            if version == 2 || !p.is_flat() || open {
                rows.push(t.position_row(c.user, id, leg, &p, version));
            }
        }
    }
    Ok(array(rows))
}

impl Twin {
    fn position_row(&self, user: usize, id: InstrumentId, leg: Leg, p: &Position, version: u8) -> String {
        let (i, s) = (self.instrument(id), self.symbols.of(id));
        let places = s.wire.0;
        let entry = p.avg_px(i).unwrap_or_default();
        let mark = self.mark(id).unwrap_or_default();
        let up = p.unrealized(i, mark).unwrap_or_default();
        let notional = i.value_at(mark, p.qty).unwrap_or_default();
        let leverage = self.leverage_of(user, id);
        let isolated = self.is_isolated(user, id);
        let own = self.isolated_wallet(user, id, leg);
        let margin = if own.is_zero() { own } else { own + up };
        let liquidation = if p.is_flat() { Decimal::ZERO } else { self.liquidation_price(user, id, leg, p) };
        let o = Obj::new().str("symbol", &s.name);
        let o = if version == 2 { o } else { o.str("positionSide", leg_name(leg)) };
        let o = o.str("positionAmt", &self.qty(id, p.qty.0)).str("entryPrice", &fixed(entry, places.max(5)));
        let o = o.str("breakEvenPrice", &fixed(entry, places.max(5))).str("markPrice", &eight(mark));
        let o = o.str("unRealizedProfit", &eight(up)).str("liquidationPrice", &fixed(liquidation, places));
        let updated =
            self.orders.trades.iter().rev().find(|x| x.user == user && x.instrument == id).map_or(0, |x| x.at_ms);
        if version == 2 {
            let o = o.str("leverage", &leverage.to_string()).str("maxNotionalValue", "100000000");
            let o =
                o.str("marginType", if isolated { "isolated" } else { "cross" }).str("isolatedMargin", &eight(margin));
            let o =
                o.str("isAutoAddMargin", "false").str("positionSide", leg_name(leg)).str("notional", &eight(notional));
            return o.str("isolatedWallet", &wallet_text(own)).int("updateTime", updated).done();
        }
        let initial = notional.abs().mul_ratio(1, leverage, Rounding::Up).unwrap_or_default();
        let mmr = Decimal::new(MAINTENANCE.0, MAINTENANCE.1);
        let maint = notional.abs().mul(mmr, Rounding::Up).unwrap_or_default();
        let open = self.open_margin(user, id);
        let o = o
            .str("isolatedMargin", &wallet_text(margin))
            .str("notional", &eight(notional))
            .str("marginAsset", i.settle().as_str());
        let o = o
            .str("isolatedWallet", &wallet_text(own))
            .str("initialMargin", &eight(initial + open))
            .str("maintMargin", &eight(maint));
        let o =
            o.str("positionInitialMargin", &eight(initial)).str("openOrderInitialMargin", &eight(open)).int("adl", 0);
        o.str("bidNotional", "0").str("askNotional", "0").int("updateTime", updated).done()
    }

    /// What is held for the open orders of an instrument.
    fn open_margin(&self, user: usize, id: InstrumentId) -> Decimal {
        let open = self.venue.open_orders(self.users.engine(user));
        open.filter(|o| o.request.instrument == id).map(|o| o.hold).sum()
    }
}

fn balance(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let rows = t.assets(c.user).into_iter().map(|a| {
        let (m, b) = (t.margin(c.user, a), t.venue.balance(t.users.engine(c.user), a));
        let free = eight(m.free.max(Decimal::ZERO));
        let o = Obj::new().str("accountAlias", "SgsR").str("asset", a.as_str()).str("balance", &eight(b.total));
        let o = o.str("crossWalletBalance", &eight(b.total)).str("crossUnPnl", &eight(m.unrealized));
        let o = o.str("availableBalance", &free).str("maxWithdrawAmount", &free);
        o.bool("marginAvailable", true).int("updateTime", t.now_ms()).done()
    });
    Ok(array(rows))
}

fn account(t: &mut Twin, c: &Call, version: u8) -> Result<String, ApiError> {
    let user = c.user;
    let settle = t.symbols.live().next().map_or(Currency::cut("USDT"), |(s, _)| s.quote);
    let engine = t.users.engine(user);
    let total = t.margin(user, settle);
    let wallet = t.venue.balance(engine, settle).total;
    let free = total.free.max(Decimal::ZERO);
    let o = Obj::new();
    let o = if version == 2 {
        let o = o.int("feeTier", 0).bool("feeBurn", false).bool("canTrade", true).bool("canDeposit", true);
        let o = o.bool("canWithdraw", true).int("updateTime", 0);
        o.bool("multiAssetsMargin", t.users.list[user].multi_assets).int("tradeGroupId", -1)
    } else {
        o
    };
    let o = o
        .str("totalInitialMargin", &eight(total.initial + total.orders))
        .str("totalMaintMargin", &eight(total.maintenance));
    let o = o.str("totalWalletBalance", &eight(wallet)).str("totalUnrealizedProfit", &eight(total.unrealized));
    let o = o.str("totalMarginBalance", &eight(total.equity)).str("totalPositionInitialMargin", &eight(total.initial));
    let o = o.str("totalOpenOrderInitialMargin", &eight(total.orders)).str("totalCrossWalletBalance", &eight(wallet));
    let o = o.str("totalCrossUnPnl", &eight(total.unrealized)).str("availableBalance", &eight(free));
    let o = o.str("maxWithdrawAmount", &eight(free));
    let assets = array(t.assets(user).into_iter().map(|a| {
        let (m, b) = (t.margin(user, a), t.venue.balance(engine, a).total);
        let free = eight(m.free.max(Decimal::ZERO));
        let j = Obj::new()
            .str("asset", a.as_str())
            .str("walletBalance", &eight(b))
            .str("unrealizedProfit", &eight(m.unrealized));
        let j = j.str("marginBalance", &eight(m.equity)).str("maintMargin", &eight(m.maintenance));
        let j = j.str("initialMargin", &eight(m.initial + m.orders)).str("positionInitialMargin", &eight(m.initial));
        let j = j.str("openOrderInitialMargin", &eight(m.orders)).str("crossWalletBalance", &eight(b));
        let j =
            j.str("crossUnPnl", &eight(m.unrealized)).str("availableBalance", &free).str("maxWithdrawAmount", &free);
        let j = if version == 2 { j.bool("marginAvailable", true) } else { j };
        j.int("updateTime", t.now_ms()).done()
    }));
    let mut rows = Vec::new();
    for (_, id) in t.symbols.live() {
        for (id, leg) in t.legs(user, id) {
            let p = t.venue.position(engine, id, leg);
            if version == 3 && p.is_flat() && t.orders.open_of(user, Some(id)).is_empty() {
                continue;
            }
            rows.push(account_position(t, user, id, leg, &p, version));
        }
    }
    Ok(o.raw("assets", &assets).raw("positions", &array(rows)).done())
}

fn account_position(t: &Twin, user: usize, id: InstrumentId, leg: Leg, p: &Position, version: u8) -> String {
    let (i, s) = (t.instrument(id), t.symbols.of(id));
    let mark = t.mark(id).unwrap_or_default();
    let (up, notional) = (p.unrealized(i, mark).unwrap_or_default(), i.value_at(mark, p.qty).unwrap_or_default());
    let leverage = t.leverage_of(user, id);
    let initial = notional.abs().mul_ratio(1, leverage, Rounding::Up).unwrap_or_default();
    let maint = notional.abs().mul(Decimal::new(MAINTENANCE.0, MAINTENANCE.1), Rounding::Up).unwrap_or_default();
    let open = t.open_margin(user, id);
    let o =
        Obj::new().str("symbol", &s.name).str("positionSide", leg_name(leg)).str("positionAmt", &t.qty(id, p.qty.0));
    let o = o.str("unrealizedProfit", &eight(up)).str("isolatedMargin", "0").str("notional", &eight(notional));
    let o = o.str("isolatedWallet", "0").str("initialMargin", &eight(initial + open)).str("maintMargin", &eight(maint));
    let o = if version == 2 {
        let o = o.str("positionInitialMargin", &eight(initial)).str("openOrderInitialMargin", &eight(open));
        let o = o.str("leverage", &leverage.to_string()).bool("isolated", t.is_isolated(user, id));
        let entry = fixed(p.avg_px(i).unwrap_or_default(), s.wire.0.max(5));
        let o = o.str("entryPrice", &entry).str("breakEvenPrice", &entry).str("maxNotional", "100000000");
        o.str("bidNotional", "0").str("askNotional", "0")
    } else {
        o
    };
    o.int("updateTime", 0).done()
}
