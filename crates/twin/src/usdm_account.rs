//! USD-M accounts: orders and trades asked for, balances, positions, settings, listen keys. Never: places an order.

use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::number::{eight, fixed};
use crate::orders::{Order, OwnTrade};
use crate::params::Params;
use crate::publish::side_name;
use crate::rest::{Call, Endpoint, Security};
use crate::symbols::{MAINTENANCE, MAX_LEVERAGE};
use crate::tell::leg_name;
use crate::twin::Twin;
use crate::users::DEFAULT_LEVERAGE;
use ctos_types::{AccountId, Currency, Decimal, InstrumentId, Leg, Position, Qty, Rounding, Side};
use ctos_venue::{LeverageError, Margin};

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

const DONE: &str = r#"{"code":200,"msg":"success"}"#;

fn e(code: i32, msg: &str) -> ApiError {
    ApiError::new(code, msg)
}

impl Twin {
    fn keep_listening(&mut self, c: &Call) -> String {
        let now = self.now_ms();
        let key = self.users.listen_key(c.user, now, &mut self.rng);
        Obj::new().str("listenKey", &key).done()
    }

    fn only(&self, c: &Call) -> Result<Option<InstrumentId>, ApiError> {
        c.params.text("symbol")?.map(|s| self.symbols.traded(s).map(|s| s.1)).transpose()
    }

    pub(crate) fn leverage_of(&self, user: usize, id: InstrumentId) -> i64 {
        self.users.list[user].leverage.get(&id).copied().unwrap_or(DEFAULT_LEVERAGE)
    }

    fn is_isolated(&self, user: usize, id: InstrumentId) -> bool {
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
            && order.is_none_or(|o| t.orders.list[x.order].id == o)
            && from.is_none_or(|f| x.id >= f)
            && start.is_none_or(|s| x.at_ms >= s)
            && end.is_none_or(|e| x.at_ms <= e)
    };
    let rows: Vec<&OwnTrade> = t.orders.trades.iter().filter(mine).collect();
    let skip = if from.is_some() || start.is_some() { 0 } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|x| {
        let o = Obj::new().str("symbol", &symbol.name).int("id", x.id).int("orderId", t.orders.list[x.order].id);
        let o = o.str("side", side_name(x.side)).str("price", &t.px(id, x.price)).str("qty", &t.qty(id, x.qty.0));
        let o = o.str("realizedPnl", &eight(x.realized)).str("marginAsset", symbol.quote.as_str());
        let o =
            o.str("quoteQty", &eight(x.quote)).str("commission", &eight(x.fee)).str("commissionAsset", &x.fee_asset);
        let o = o.int("time", x.at_ms).str("positionSide", leg_name(x.leg)).bool("buyer", x.side == Side::Buy);
        o.bool("maker", x.maker).done()
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
                o.str("marginType", if isolated { "isolated" } else { "cross" }).str("isolatedMargin", "0.00000000");
            let o =
                o.str("isAutoAddMargin", "false").str("positionSide", leg_name(leg)).str("notional", &eight(notional));
            return o.str("isolatedWallet", "0").int("updateTime", updated).done();
        }
        let initial = notional.abs().mul_ratio(1, leverage, Rounding::Up).unwrap_or_default();
        let mmr = Decimal::new(MAINTENANCE.0, MAINTENANCE.1);
        let maint = notional.abs().mul(mmr, Rounding::Up).unwrap_or_default();
        let open = self.open_margin(user, id);
        let o = o.str("isolatedMargin", "0").str("notional", &eight(notional)).str("marginAsset", i.settle().as_str());
        let o =
            o.str("isolatedWallet", "0").str("initialMargin", &eight(initial + open)).str("maintMargin", &eight(maint));
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

fn account_config(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let key = t.users.key(Some(&c.api_key))?.setting.clone();
    let u = &t.users.list[c.user];
    let o = Obj::new().int("feeTier", 0).bool("canTrade", key.can_trade).bool("canDeposit", true);
    let o = o.bool("canWithdraw", key.can_withdraw).bool("dualSidePosition", u.hedge);
    Ok(o.int("updateTime", 0).bool("multiAssetsMargin", u.multi_assets).int("tradeGroupId", -1).done())
}

fn symbol_config(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let rows = t.symbols.live().filter(|(_, id)| only.is_none_or(|o| o == *id)).map(|(s, id)| {
        let kind = if t.is_isolated(c.user, id) { "ISOLATED" } else { "CROSSED" };
        let o = Obj::new().str("symbol", &s.name).str("marginType", kind).bool("isAutoAddMargin", false);
        o.int("leverage", t.leverage_of(c.user, id)).str("maxNotionalValue", "100000000").done()
    });
    Ok(array(rows))
}

/// Both engine accounts of a user: settings hold in either position mode.
fn engines(user: usize) -> [AccountId; 2] {
    [AccountId(2 * user as u16), AccountId(2 * user as u16 + 1)]
}

fn leverage(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (symbol, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let (name, asked) = (symbol.name.clone(), c.params.int("leverage")?.unwrap_or_default());
    if !(1..=MAX_LEVERAGE).contains(&asked) {
        return Err(ApiError::new(-4028, format!("Leverage {asked} is not valid")));
    }
    for account in engines(c.user) {
        t.venue.set_leverage(account, id, Decimal::from_int(asked)).map_err(|why| match why {
            LeverageError::InsufficientMargin => {
                e(-2028, "Leverage is smaller than permitted: insufficient margin balance")
            }
            _ => ApiError::new(-4028, format!("Leverage {asked} is not valid")),
        })?;
    }
    t.users.list[c.user].leverage.insert(id, asked);
    let config = Obj::new().str("s", &name).int("l", asked).done();
    let event = Obj::new().str("e", "ACCOUNT_CONFIG_UPDATE").int("E", t.server_ms()).int("T", t.now_ms());
    t.tell(c.user, "ACCOUNT_CONFIG_UPDATE", &event.raw("ac", &config).done());
    Ok(Obj::new().int("leverage", asked).str("maxNotionalValue", "100000000").str("symbol", &name).done())
}

fn margin_type(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let isolated = match c.params.need("marginType")? {
        "ISOLATED" => true,
        "CROSSED" => false,
        _ => return Err(ApiError::invalid("marginType")),
    };
    if t.is_isolated(c.user, id) == isolated {
        return Err(e(-4046, "No need to change margin type."));
    }
    if isolated && t.users.list[c.user].multi_assets {
        return Err(e(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."));
    }
    if !t.orders.open_of(c.user, Some(id)).is_empty() {
        return Err(e(-4047, "Margin type cannot be changed if there exists open orders."));
    }
    let engine = t.users.engine(c.user);
    if t.venue.positions(engine).any(|(i, ..)| i == id) {
        return Err(e(-4048, "Margin type cannot be changed if there exists position."));
    }
    t.users.list[c.user].isolated.insert(id, isolated);
    Ok(DONE.into())
}

fn set_dual(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let hedge = c.params.bool("dualSidePosition")?.unwrap_or_default();
    if t.users.list[c.user].hedge == hedge {
        return Err(e(-4059, "No need to change position side."));
    }
    let waiting = t.algos.open.iter().any(|n| t.algos.list[*n].user == c.user);
    if waiting || !t.orders.open_of(c.user, None).is_empty() {
        return Err(e(-4067, "Position side cannot be changed if there exists open orders."));
    }
    let from = t.users.engine(c.user);
    if t.venue.positions(from).next().is_some() {
        return Err(e(-4068, "Position side cannot be changed if there exists position."));
    }
    t.users.list[c.user].hedge = hedge;
    let to = t.users.engine(c.user);
    // The engine's accounts keep their mode, so the money moves to the one of the other mode. Nobody is told.
    let wallet: Vec<_> = t.venue.balances(from).map(|(a, b)| (a, b.total)).filter(|(_, b)| b.is_positive()).collect();
    let mut quiet = Vec::new();
    for (asset, amount) in wallet {
        let moved = t.venue.transfer(t.now, from, asset, -amount, &mut quiet);
        if moved.is_ok() {
            // What was just taken out fits where there is less.
            let _ = t.venue.transfer(t.now, to, asset, amount, &mut quiet);
        }
    }
    Ok(DONE.into())
}

fn set_multi(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let on = c.params.bool("multiAssetsMargin")?.unwrap_or_default();
    if t.users.list[c.user].multi_assets == on {
        return Err(e(-4171, "No need to change multi-assets mode."));
    }
    t.users.list[c.user].multi_assets = on;
    let ai = Obj::new().bool("j", on).done();
    let event = Obj::new().str("e", "ACCOUNT_CONFIG_UPDATE").int("E", t.server_ms()).int("T", t.now_ms());
    t.tell(c.user, "ACCOUNT_CONFIG_UPDATE", &event.raw("ai", &ai).done());
    Ok(DONE.into())
}

/// One bracket: the engine has one maintenance rate. JSON numbers here, unlike anywhere else.
fn brackets(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let mmr = fixed(Decimal::new(MAINTENANCE.0, MAINTENANCE.1), 3);
    let rows = t.symbols.live().filter(|(_, id)| only.is_none_or(|o| o == *id)).map(|(s, _)| {
        let b = Obj::new().int("bracket", 1).int("initialLeverage", MAX_LEVERAGE).int("notionalCap", 100_000_000);
        let b = b.int("notionalFloor", 0).raw("maintMarginRatio", &mmr).raw("cum", "0.0").done();
        Obj::new().str("symbol", &s.name).raw("brackets", &array([b])).done()
    });
    Ok(array(rows))
}

fn commission(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (symbol, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let i = t.instrument(id);
    let o = Obj::new().str("symbol", &symbol.name).str("makerCommissionRate", &fixed(i.maker_fee, 6));
    Ok(o.str("takerCommissionRate", &fixed(i.taker_fee, 6)).str("rpiCommissionRate", "0.000050").done())
}

fn income(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let (symbol, kind, limit) = (p.text("symbol")?, p.text("incomeType")?, p.limit(100, 1_000)?);
    let (start, end, page) = (p.int("startTime")?, p.int("endTime")?, p.int("page")?.unwrap_or(1).max(1) as usize);
    let lines = t.users.list[c.user].income.iter().filter(|l| {
        symbol.is_none_or(|s| s == l.symbol)
            && kind.is_none_or(|k| k == l.kind)
            && start.is_none_or(|s| l.at_ms >= s)
            && end.is_none_or(|e| l.at_ms <= e)
    });
    let rows: Vec<_> = lines.collect();
    let skip = if start.is_some() { (page - 1).saturating_mul(limit) } else { rows.len().saturating_sub(limit) };
    Ok(array(rows.into_iter().skip(skip).take(limit).map(|l| {
        let o = Obj::new().str("symbol", &l.symbol).str("incomeType", l.kind).str("income", &eight(l.amount));
        let o = o.str("asset", &l.asset).str("info", if l.trade.is_empty() { l.kind } else { &l.trade });
        o.int("time", l.at_ms).int("tranId", l.id).str("tradeId", &l.trade).done()
    })))
}

fn force_orders(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let mine = |o: &&Order| {
        let by_venue = o.client_id.starts_with("autoclose-") || o.client_id.starts_with("adl_autoclose");
        o.user == c.user && by_venue && only.is_none_or(|id| id == o.instrument)
    };
    let limit = c.params.limit(50, 100)?;
    let rows = t.orders.list.iter().rev().filter(mine).take(limit);
    Ok(array(rows.map(|o| t.usdm_order(&Order { qty: Qty(o.qty.0), ..o.clone() }, true))))
}
