//! The judge: what the twin knows to be true against what the kernel believes.
//! Never: asks the driver.

use crate::engine::TAG;
use crate::rows::stage::{Notes, Refusals};
use ctos_driver_binance::Profile;
use ctos_driver_binance::orders::VenueClientId;
use ctos_kernel::Kernel;
use ctos_types::{AccountId, ClientOrderId, Currency, Decimal, InstrumentId, Leg, OrderStatus, Side};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What differs; nothing: both sides agree.
pub type Verdict = Result<(), String>;

/// Balances are shown with eight places and kept with more.
const DUST: Decimal = Decimal::from_atoms(1_000_000_000_000);

/// An account's part of the twin's truth.
pub fn account(truth: &Value, name: &str) -> Value {
    let mut accounts = truth["accounts"].as_array().into_iter().flatten();
    accounts.find(|a| a["account"] == name).cloned().unwrap_or_default()
}

/// Whether both sides hold the same orders, fills, positions and balances. `account`: of the twin's truth.
pub fn agreement(kernel: &Kernel, of: AccountId, profile: Profile, symbol: &str, account: &Value) -> Verdict {
    orders_agree(kernel, of, account)?;
    if profile == Profile::UsdM {
        positions_agree(kernel, of, symbol, account)?;
    }
    balances_agree(kernel, of, account)?;
    fills_agree(kernel, of, account)
}

/// Orders of the instance under test in a list of the twin's truth, each with its row.
fn ours<'a>(account: &'a Value, list: &str) -> impl Iterator<Item = (VenueClientId, &'a Value)> {
    let named = |row: &'a Value| {
        // Somebody else's amend may have given it another name.
        let placed_as = row.get("placedAs").unwrap_or(&row["clientOrderId"]);
        let client: VenueClientId = placed_as.as_str()?.parse().ok()?;
        (client.id.tag == TAG).then_some((client, row))
    };
    account[list].as_array().into_iter().flatten().filter_map(named)
}

/// No order is or was at the venue twice, and none that was not asked for. `most`: what was asked for, by all.
pub fn undoubled(kernel: &Kernel, account: &Value, most: u64) -> Verdict {
    let mut names = BTreeSet::new();
    for (client, _) in ours(account, "openOrders") {
        if !names.insert(client.id) {
            return Err(format!("two orders of {} live at once", client.id));
        }
    }
    for list in ["recentOrders", "recentConditionals"] {
        let mut names = BTreeSet::new();
        for (client, _) in ours(account, list) {
            if !names.insert(client) {
                return Err(format!("order {client} came to the venue twice"));
            }
            if client.id.seq > kernel.orders_placed() {
                return Err(format!("nobody asked for order {client}"));
            }
        }
    }
    // Every order at the venue was asked for once, or is somebody else's, or took another's place.
    let have = account["orders"].as_u64().unwrap_or(0);
    if have > most {
        return Err(format!("{have} orders at the venue, {most} were asked for"));
    }
    Ok(())
}

/// What each order filled, the closed ones included: balances that tie out may have been made to.
fn fills_agree(kernel: &Kernel, of: AccountId, account: &Value) -> Verdict {
    let mut theirs: BTreeMap<ClientOrderId, Decimal> = BTreeMap::new();
    let mut above = BTreeSet::new();
    for (client, row) in ours(account, "recentOrders") {
        let filled = decimal(&row["filled"]);
        let sum = theirs.entry(client.id).or_default();
        *sum = sum.checked_add(filled).map_err(|e| e.to_string())?;
        if filled > decimal(&row["quantity"]) {
            above.insert(client.id);
        }
    }
    // What exceeds an order is booked as nobody's.
    for seq in (1..=kernel.orders_placed()).rev() {
        let id = ClientOrderId { tag: TAG, seq };
        let Some(order) = kernel.orders().get(id).filter(|o| o.request.account == of && !above.contains(&id)) else {
            continue;
        };
        let have = kernel.instruments().get(order.request.instrument).qty_decimal(order.cum_qty);
        let want = theirs.get(&id).copied().unwrap_or_default();
        if have != want {
            return Err(format!("order {id}: {have} filled with us, {want} at the venue"));
        }
    }
    Ok(())
}

/// Nothing was refused for want of room but what a row refused.
pub fn unhurried(refusals: Refusals, notes: Notes) -> Verdict {
    let Refusals { banned, limited } = refusals;
    // What was on its way when it began.
    if banned > notes.bans * MET_BY_ONE_BAN {
        return Err(format!("{banned} requests met {} bans that were injected", notes.bans));
    }
    if limited > 0 && !notes.limits_injected {
        return Err(format!("{limited} requests were refused for want of room"));
    }
    Ok(())
}

/// Requests that may meet a ban before its first answer is back: as many as there are connections to an address.
const MET_BY_ONE_BAN: u64 = 40;

/// The best prices as the venue shows them and as the kernel's book has them. `shown`: the venue's depth at the same moment.
pub fn books_agree(kernel: &Kernel, shown: &Value) -> Verdict {
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

fn decimal(v: &Value) -> Decimal {
    v.as_str().and_then(|t| t.parse().ok()).unwrap_or_default()
}

fn orders_agree(kernel: &Kernel, of: AccountId, account: &Value) -> Verdict {
    let mut theirs: BTreeMap<ClientOrderId, [Decimal; 3]> = BTreeMap::new();
    for (client, order) in ours(account, "openOrders").chain(ours(account, "openConditionals")) {
        let row = ["price", "filled", "quantity"].map(|field| decimal(&order[field]));
        if theirs.insert(client.id, row).is_some() {
            return Err(format!("order {} is twice at the venue", client.id));
        }
    }
    let mine: BTreeMap<ClientOrderId, _> =
        kernel.open_orders().filter(|o| o.request.account == of).map(|o| (o.id(), o)).collect();
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (mine.keys().collect(), theirs.keys().collect());
    if a != b {
        return Err(format!("open with us {a:?}, at the venue {b:?}"));
    }
    for (id, order) in mine {
        let [price, filled, quantity] = theirs[&id];
        let i = kernel.instruments().get(order.request.instrument);
        let ours = order.limit_price().map(|px| i.price_decimal(px)).unwrap_or_default();
        if order.limit_price().is_some() && ours != price {
            return Err(format!("order {id}: our price {ours}, the venue's {price}"));
        }
        let cum = i.qty_decimal(order.cum_qty);
        if cum < filled {
            return Err(format!("order {id}: {cum} filled with us, {filled} at the venue"));
        }
        // An order that took another's place has only the rest.
        let (ours, left) = (i.qty_decimal(order.leaves()), quantity.checked_sub(filled).unwrap_or_default());
        if ours != left {
            return Err(format!("order {id}: {ours} open with us, {left} at the venue"));
        }
        if order.status == OrderStatus::Unknown || order.pending_amend {
            return Err(format!("order {id} is in doubt"));
        }
    }
    Ok(())
}

fn positions_agree(kernel: &Kernel, of: AccountId, symbol: &str, account: &Value) -> Verdict {
    let id = InstrumentId(0);
    for (leg, name) in [(Leg::Net, "BOTH"), (Leg::Long, "LONG"), (Leg::Short, "SHORT")] {
        let mut rows = account["positions"].as_array().into_iter().flatten();
        let row = rows.find(|p| p["symbol"] == symbol && p["side"] == name);
        let theirs = row.map(|r| decimal(&r["quantity"])).unwrap_or_default();
        let ours = kernel.instruments().get(id).qty_decimal(kernel.portfolio().position(of, id, leg).qty);
        if ours != theirs {
            return Err(format!("position {name}: ours {ours}, the venue's {theirs}"));
        }
    }
    Ok(())
}

fn balances_agree(kernel: &Kernel, of: AccountId, account: &Value) -> Verdict {
    let rows = account["balances"].as_array().into_iter().flatten();
    let net = |row: &Value| decimal(&row["total"]) - decimal(&row["borrowed"]) - decimal(&row["interest"]);
    let theirs: BTreeMap<Currency, Decimal> =
        rows.map(|row| (Currency::cut(row["asset"].as_str().unwrap_or_default()), net(row))).collect();
    let cash = kernel.portfolio().all_cash().filter(|(account, ..)| *account == of);
    let ours: BTreeMap<Currency, Decimal> = cash.map(|(_, currency, cash)| (currency, cash.ours)).collect();
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
