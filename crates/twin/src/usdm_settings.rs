//! USD-M settings and histories: leverage, margin type, position mode, brackets, fees, income. Never: balances, positions.

use crate::absorb::Touched;
use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::number::{eight, fixed};
use crate::orders::Order;
use crate::rest::Call;
use crate::symbols::{MAINTENANCE, MAX_LEVERAGE};
use crate::twin::Twin;
use crate::usdm_account::e;
use ctos_types::{AccountId, Decimal, InstrumentId, Leg, Qty, Rounding};
use ctos_venue::LeverageError;

const DONE: &str = r#"{"code":200,"msg":"success"}"#;

impl Twin {
    pub(crate) fn keep_listening(&mut self, c: &Call) -> String {
        let now = self.now_ms();
        let key = self.users.listen_key(c.user, now, &mut self.rng);
        Obj::new().str("listenKey", &key).done()
    }
}

pub(crate) fn account_config(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let key = t.users.key(Some(&c.api_key))?.setting.clone();
    let u = &t.users.list[c.user];
    let o = Obj::new().int("feeTier", 0).bool("canTrade", key.can_trade).bool("canDeposit", true);
    let o = o.bool("canWithdraw", key.can_withdraw).bool("dualSidePosition", u.hedge);
    Ok(o.int("updateTime", 0).bool("multiAssetsMargin", u.multi_assets).int("tradeGroupId", -1).done())
}

pub(crate) fn symbol_config(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let rows = t.symbols.live().filter(|(_, id)| only.is_none_or(|o| o == *id)).map(|(s, id)| {
        let kind = if t.is_isolated(c.user, id) { "ISOLATED" } else { "CROSSED" };
        let o = Obj::new().str("symbol", &s.name).str("marginType", kind).bool("isAutoAddMargin", false);
        o.int("leverage", t.leverage_of(c.user, id)).str("maxNotionalValue", "100000000").done()
    });
    Ok(array(rows))
}

impl Twin {
    /// The margin of an isolated position: what its leverage asks for at the entry price, and what was added.
    pub(crate) fn isolated_wallet(&self, user: usize, id: InstrumentId, leg: Leg) -> Decimal {
        let i = self.instrument(id);
        let p = self.venue.position(self.users.engine(user), id, leg);
        let Some(entry) = p.avg_px(i).filter(|_| self.is_isolated(user, id)) else { return Decimal::ZERO };
        let value = i.value_at(entry, p.qty).unwrap_or_default().abs();
        let initial = value.mul_ratio(1, self.leverage_of(user, id), Rounding::Up).unwrap_or_default();
        let added = self.users.list[user].added.get(&(id, leg)).copied().unwrap_or_default();
        (initial + added).round(8, Rounding::Up)
    }
}

/// Adds to an isolated position's margin or takes of what was added. Reported; liquidations look at the whole account.
pub(crate) fn position_margin(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let (amount, kind) = (c.params.decimal("amount")?.unwrap_or_default(), c.params.int("type")?.unwrap_or_default());
    let leg = t.read_leg(c.user, &c.params)?;
    if !amount.is_positive() || amount.round(8, Rounding::Down) != amount {
        return Err(e(-4055, "Amount must be positive."));
    }
    if !t.is_isolated(c.user, id) || t.venue.position(t.users.engine(c.user), id, leg).is_flat() {
        return Err(e(-4054, "Cannot add position margin: position is 0."));
    }
    let settle = t.instrument(id).settle();
    let free = t.venue.margin(t.users.engine(c.user), settle).map(|m| m.free).unwrap_or_default();
    let used: Decimal = t.users.list[c.user].added.values().copied().sum();
    let added = t.users.list[c.user].added.entry((id, leg)).or_default();
    match kind {
        1 if amount > free - used => return Err(e(-4050, "Cross balance insufficient.")),
        1 => *added += amount,
        2 if amount > *added => return Err(e(-4051, "Isolated balance insufficient.")),
        2 => *added -= amount,
        _ => return Err(ApiError::invalid("type")),
    }
    let mut touched = Touched::default();
    touched.positions.insert((id, leg));
    touched.assets.insert(settle);
    let event = t.account_update(c.user, "MARGIN_TRANSFER", &touched, &[]);
    t.tell(c.user, "ACCOUNT_UPDATE", &event);
    let o = Obj::new().raw("amount", &amount.to_string()).int("code", 200);
    Ok(o.str("msg", "Successfully modify position margin.").int("type", kind).done())
}

/// Both engine accounts of a user: settings hold in either position mode.
pub(crate) fn engines(user: usize) -> [AccountId; 2] {
    [AccountId(2 * user as u16), AccountId(2 * user as u16 + 1)]
}

pub(crate) fn leverage(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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

pub(crate) fn margin_type(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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

pub(crate) fn set_dual(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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

pub(crate) fn set_multi(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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
pub(crate) fn brackets(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let mmr = fixed(Decimal::new(MAINTENANCE.0, MAINTENANCE.1), 3);
    let rows = t.symbols.live().filter(|(_, id)| only.is_none_or(|o| o == *id)).map(|(s, _)| {
        let b = Obj::new().int("bracket", 1).int("initialLeverage", MAX_LEVERAGE).int("notionalCap", 100_000_000);
        let b = b.int("notionalFloor", 0).raw("maintMarginRatio", &mmr).raw("cum", "0.0").done();
        Obj::new().str("symbol", &s.name).raw("brackets", &array([b])).done()
    });
    Ok(array(rows))
}

pub(crate) fn commission(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (symbol, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let i = t.instrument(id);
    let o = Obj::new().str("symbol", &symbol.name).str("makerCommissionRate", &fixed(i.maker_fee, 6));
    Ok(o.str("takerCommissionRate", &fixed(i.taker_fee, 6)).str("rpiCommissionRate", "0.000050").done())
}

pub(crate) fn income(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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

pub(crate) fn force_orders(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let only = t.only(c)?;
    let mine = |o: &&Order| {
        let by_venue = o.client_id.starts_with("autoclose-") || o.client_id.starts_with("adl_autoclose");
        o.user == c.user && by_venue && only.is_none_or(|id| id == o.instrument)
    };
    let limit = c.params.limit(50, 100)?;
    let rows = t.orders.list.iter().rev().filter(mine).take(limit);
    Ok(array(rows.map(|o| t.usdm_order(&Order { qty: Qty(o.qty.0), ..o.clone() }, true))))
}
