//! The judge: what the twin knows to be true against what the kernel believes.
//! Never: asks the driver.

use crate::engine::{ACCOUNT, TAG};
use crate::world::World;
use ctos_driver_binance::orders::VenueClientId;
use ctos_types::{ClientOrderId, Currency, Decimal, InstrumentId, Leg, OrderStatus, Side};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What differs; nothing: both sides agree.
pub type Verdict = Result<(), String>;

/// Balances are shown with eight places and kept with more.
const DUST: Decimal = Decimal::from_atoms(1_000_000_000_000);

impl World {
    pub fn truth(&mut self) -> Value {
        let now = self.now;
        serde_json::from_str(&self.twin.truth(now)).expect("the twin speaks JSON")
    }

    /// Whether both sides hold the same orders, positions and balances.
    pub fn agreement(&mut self) -> Verdict {
        let account = self.true_account();
        self.orders_agree(&account)?;
        self.positions_agree(&account)?;
        self.balances_agree(&account)?;
        self.books_agree()
    }

    /// The best prices as the venue shows them and as the kernel's book has them.
    fn books_agree(&mut self) -> Verdict {
        let path = if self.is_usdm() { "/fapi/v1/depth" } else { "/api/v3/depth" };
        let (_, shown) = self.signed("GET", path, "symbol=BTCUSDT&limit=5");
        let kernel = &self.engine().kernel;
        let id = InstrumentId(0);
        let Some(book) = kernel.market(id).book() else { return Err("the book is not known".into()) };
        let i = kernel.instruments().get(id);
        for (side, name) in [(Side::Buy, "bids"), (Side::Sell, "asks")] {
            let theirs = shown[name][0][0].as_str().and_then(|px| i.parse_price(px).ok());
            let ours = book.best(side).map(|level| level.price);
            if ours != theirs {
                return Err(format!("best of {name}: ours {ours:?}, the venue's {theirs:?}"));
            }
        }
        Ok(())
    }

    fn orders_agree(&mut self, account: &Value) -> Verdict {
        let decimal = |v: &Value| v.as_str().and_then(|t| t.parse::<Decimal>().ok()).unwrap_or_default();
        let mut theirs: BTreeMap<ClientOrderId, (Decimal, Decimal)> = BTreeMap::new();
        let conditional = self.open_conditionals();
        let plain = account["openOrders"].as_array().cloned().unwrap_or_default();
        for order in plain.iter().chain(&conditional) {
            let name = order["clientOrderId"].as_str().or(order["clientAlgoId"].as_str()).unwrap_or_default();
            let Ok(client) = name.parse::<VenueClientId>() else { continue };
            if client.id.tag != TAG {
                continue;
            }
            let row = (decimal(&order["price"]), decimal(&order["filled"]));
            if theirs.insert(client.id, row).is_some() {
                return Err(format!("order {} is twice at the venue", client.id));
            }
        }
        let kernel = &self.engine().kernel;
        let mine: BTreeMap<ClientOrderId, _> = kernel.open_orders().map(|o| (o.id(), o)).collect();
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (mine.keys().collect(), theirs.keys().collect());
        if a != b {
            return Err(format!("open with us {a:?}, at the venue {b:?}"));
        }
        for (id, order) in mine {
            let (price, filled) = theirs[&id];
            let i = kernel.instruments().get(order.request.instrument);
            let ours = order.limit_price().map(|px| i.price_decimal(px)).unwrap_or_default();
            if order.limit_price().is_some() && ours != price {
                return Err(format!("order {id}: our price {ours}, the venue's {price}"));
            }
            let cum = i.qty_decimal(order.cum_qty);
            if cum < filled {
                return Err(format!("order {id}: {cum} filled with us, {filled} at the venue"));
            }
            if order.status == OrderStatus::Unknown || order.pending_amend {
                return Err(format!("order {id} is in doubt"));
            }
        }
        Ok(())
    }

    fn positions_agree(&mut self, account: &Value) -> Verdict {
        if !self.is_usdm() {
            return Ok(());
        }
        let kernel = &self.engine().kernel;
        let id = InstrumentId(0);
        let rows = account["positions"].as_array().cloned().unwrap_or_default();
        let row = rows.iter().find(|p| p["symbol"] == self.symbol());
        let i = kernel.instruments().get(id);
        let theirs: Decimal = row.and_then(|r| r["quantity"].as_str()).and_then(|t| t.parse().ok()).unwrap_or_default();
        let ours = i.qty_decimal(kernel.portfolio().position(ACCOUNT, id, Leg::Net).qty);
        if ours == theirs { Ok(()) } else { Err(format!("position: ours {ours}, the venue's {theirs}")) }
    }

    fn balances_agree(&mut self, account: &Value) -> Verdict {
        let kernel = &self.engine().kernel;
        let rows = account["balances"].as_array().cloned().unwrap_or_default();
        let mut theirs: BTreeMap<Currency, Decimal> = BTreeMap::new();
        for row in rows {
            let asset = Currency::cut(row["asset"].as_str().unwrap_or_default());
            let total: Decimal = row["total"].as_str().and_then(|t| t.parse().ok()).unwrap_or_default();
            theirs.insert(asset, total);
        }
        let ours: BTreeMap<Currency, Decimal> =
            kernel.portfolio().all_cash().map(|(_, currency, cash)| (currency, cash.ours)).collect();
        let all: BTreeSet<Currency> = ours.keys().chain(theirs.keys()).copied().collect();
        for currency in all {
            let zero = Decimal::ZERO;
            let (a, b) = (ours.get(&currency).unwrap_or(&zero), theirs.get(&currency).unwrap_or(&zero));
            if (*a - *b).abs() > DUST {
                return Err(format!("balance of {currency}: ours {a}, the venue's {b}"));
            }
        }
        Ok(())
    }

    /// What must hold at any moment, whatever is on its way.
    pub fn always(&mut self) -> Verdict {
        let account = self.true_account();
        let mut names = BTreeSet::new();
        for order in account["openOrders"].as_array().into_iter().flatten() {
            let name = order["clientOrderId"].as_str().unwrap_or_default();
            let Ok(client) = name.parse::<VenueClientId>() else { continue };
            if client.id.tag == TAG && !names.insert(client.id) {
                return Err(format!("two orders of {} live at once", client.id));
            }
        }
        // Every order at the venue was asked for once, or is somebody else's, or took another's place.
        let engine = self.engine();
        let most = engine.places + engine.amends + self.strangers;
        let have = account["orders"].as_u64().unwrap_or(0);
        if have > most {
            return Err(format!("{have} orders at the venue, {most} were asked for"));
        }
        let (bans, limits) = (self.banned_replies, self.limited_replies);
        if bans > 0 && !self.bans_injected {
            return Err(format!("{bans} requests met a ban that nobody injected"));
        }
        if limits > 0 && !self.limits_injected {
            return Err(format!("{limits} requests were refused for want of room"));
        }
        Ok(())
    }
}
