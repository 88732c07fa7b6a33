//! The judge: what the twin knows to be true against what the kernel believes.
//! Never: asks the driver.

use crate::engine::{ACCOUNT, TAG};
use crate::rows::stage::{Notes, Refusals};
use ctos_driver_binance::Profile;
use ctos_driver_binance::orders::VenueClientId;
use ctos_kernel::Kernel;
use ctos_types::{ClientOrderId, Currency, Decimal, InstrumentId, Leg, OrderStatus, Side};
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

/// Whether both sides hold the same orders, positions and balances, and see the same book. `account`: of the twin's
/// truth; `book`: the venue's depth of `symbol` at the same moment.
pub fn agreement(kernel: &Kernel, profile: Profile, symbol: &str, account: &Value, book: &Value) -> Verdict {
    orders_agree(kernel, account)?;
    if profile == Profile::UsdM {
        positions_agree(kernel, symbol, account)?;
    }
    balances_agree(kernel, account)?;
    books_agree(kernel, book)
}

/// No order is at the venue twice, or beyond the `most` that were asked for.
pub fn undoubled(account: &Value, most: u64) -> Verdict {
    let mut names = BTreeSet::new();
    for order in account["openOrders"].as_array().into_iter().flatten() {
        let name = order["clientOrderId"].as_str().unwrap_or_default();
        let Ok(client) = name.parse::<VenueClientId>() else { continue };
        if client.id.tag == TAG && !names.insert(client.id) {
            return Err(format!("two orders of {} live at once", client.id));
        }
    }
    // Every order at the venue was asked for once, or is somebody else's, or took another's place.
    let have = account["orders"].as_u64().unwrap_or(0);
    if have > most {
        return Err(format!("{have} orders at the venue, {most} were asked for"));
    }
    Ok(())
}

/// Nothing was refused for want of room but what a row refused.
pub fn unhurried(refusals: Refusals, notes: Notes) -> Verdict {
    let Refusals { banned, limited } = refusals;
    if banned > 0 && !notes.bans_injected {
        return Err(format!("{banned} requests met a ban that nobody injected"));
    }
    if limited > 0 && !notes.limits_injected {
        return Err(format!("{limited} requests were refused for want of room"));
    }
    Ok(())
}

/// The best prices as the venue shows them and as the kernel's book has them.
fn books_agree(kernel: &Kernel, shown: &Value) -> Verdict {
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

fn orders_agree(kernel: &Kernel, account: &Value) -> Verdict {
    let mut theirs: BTreeMap<ClientOrderId, (Decimal, Decimal)> = BTreeMap::new();
    let rows = |key: &str| account[key].as_array().cloned().unwrap_or_default();
    for order in rows("openOrders").iter().chain(&rows("openConditionals")) {
        let name = order["clientOrderId"].as_str().unwrap_or_default();
        let Ok(client) = name.parse::<VenueClientId>() else { continue };
        if client.id.tag != TAG {
            continue;
        }
        let row = (decimal(&order["price"]), decimal(&order["filled"]));
        if theirs.insert(client.id, row).is_some() {
            return Err(format!("order {} is twice at the venue", client.id));
        }
    }
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

fn positions_agree(kernel: &Kernel, symbol: &str, account: &Value) -> Verdict {
    let id = InstrumentId(0);
    let rows = account["positions"].as_array().cloned().unwrap_or_default();
    let theirs = rows.iter().find(|p| p["symbol"] == symbol).map(|r| decimal(&r["quantity"])).unwrap_or_default();
    let ours = kernel.instruments().get(id).qty_decimal(kernel.portfolio().position(ACCOUNT, id, Leg::Net).qty);
    if ours == theirs { Ok(()) } else { Err(format!("position: ours {ours}, the venue's {theirs}")) }
}

fn balances_agree(kernel: &Kernel, account: &Value) -> Verdict {
    let rows = account["balances"].as_array().into_iter().flatten();
    let net = |row: &Value| decimal(&row["total"]) - decimal(&row["borrowed"]) - decimal(&row["interest"]);
    let theirs: BTreeMap<Currency, Decimal> =
        rows.map(|row| (Currency::cut(row["asset"].as_str().unwrap_or_default()), net(row))).collect();
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
