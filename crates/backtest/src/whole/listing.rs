//! What became of instruments that are listed or delisted on the way of a run, and of what was held and ordered there.
//! Never: closes a position, or finds a price after the last one.

use crate::log::{OpenRow, RunLog};
use crate::sweep::market::{Life, Lives, lines};
use crate::sweep::split::Window;
use ctos_kernel::Order;
use ctos_types::{Decimal, Instrument, InstrumentId, UnixNanos};
use serde::Serialize;

/// An instrument whose prices do not last for the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    pub symbol: String,
    /// First and last price (of bars: open of the first, close of the last); `None`: not one in this run.
    pub first: Option<String>,
    pub last: Option<String>,
    /// Whether prices begin after the run does, and end before it does.
    pub begins_late: bool,
    pub ends_early: bool,
    /// Signed size that was still held at the end, and what one unit of it is valued at: the last price there was.
    pub held: Decimal,
    pub valued_at: Option<Decimal>,
    /// Profit that is in the figures for it, before fees, in the settlement currency. `None`: there is no price.
    pub unrealized: Option<Decimal>,
    /// Orders that were open when the prices ended, and orders sent after it. None of them was filled.
    pub orders_left: u64,
    pub orders_after: u64,
}

/// One for each instrument that comes late or goes early, with the sentences for people.
pub fn of(log: &RunLog, lives: &Lives) -> (Vec<Listing>, Vec<String>) {
    let (mut listings, mut told) = (Vec::new(), Vec::new());
    // Answers that are under way when the last prices come are no time in which there could be more.
    let (from, to) = (log.facts.from, lives.end().map_or(log.facts.to, |end| end.min(log.facts.to)));
    for i in log.facts.instruments.iter() {
        let life = lives.get(i.id).filter(|l| l.meets(from, to));
        let (begin, end) = lines(i.symbol.as_str(), life, from, to);
        if begin.is_none() && end.is_none() {
            continue;
        }
        let listing = listing(log, i, life, begin.is_some(), end.is_some());
        told.extend(begin);
        told.extend(end.map(|line| line + &left(&listing, i)));
        listings.push(listing);
    }
    (listings, told)
}

/// What was asked for and the data does not have.
pub fn beyond(from: Option<UnixNanos>, to: Option<UnixNanos>, data: Window) -> Vec<String> {
    let early =
        from.filter(|from| *from < data.from).map(|from| format!("from {from} on, and it begins at {}", data.from));
    let late = to.filter(|to| *to > data.to).map(|to| format!("up to {to}, and it ends at {}", data.to));
    early.into_iter().chain(late).map(|what| format!("data was asked for {what}")).collect()
}

fn listing(log: &RunLog, i: &Instrument, life: Option<Life>, begins_late: bool, ends_early: bool) -> Listing {
    let open: Vec<&OpenRow> = log.tally.iter().flat_map(|t| &t.open).filter(|row| row.instrument == i.id).collect();
    let held = open.iter().fold(Decimal::ZERO, |sum, row| sum + i.qty_decimal(row.qty));
    let unrealized = open.iter().map(|row| row.unrealized).sum::<Option<Decimal>>().filter(|_| !open.is_empty());
    let (orders_left, orders_after) = match life.filter(|_| ends_early) {
        Some(life) => orders(log, i.id, life.last),
        None => (0, 0),
    };
    Listing {
        symbol: i.symbol.to_string(),
        first: life.map(|l| l.first.to_string()),
        last: life.map(|l| l.last.to_string()),
        begins_late: begins_late && life.is_some(),
        ends_early,
        held,
        valued_at: open.first().and_then(|row| row.mark),
        unrealized,
        orders_left,
        orders_after,
    }
}

/// Orders that waited when prices ended, and that were sent later.
fn orders(log: &RunLog, id: InstrumentId, last: UnixNanos) -> (u64, u64) {
    let here = log.orders.iter().filter(|o| o.request.instrument == id);
    // Whatever was open then was never filled again, so its last change came later or never.
    let left = |o: &Order| o.is_open() || o.updated > last;
    here.fold((0, 0), |(before, after), o| match o.created > last {
        true => (before, after + 1),
        false => (before + u64::from(left(o)), after),
    })
}

/// What was left behind, as the rest of a sentence.
fn left(listing: &Listing, i: &Instrument) -> String {
    let mut text = String::new();
    if !listing.held.is_zero() {
        text += &match listing.valued_at {
            Some(px) => format!("; {} {} stay open, valued at the last price {px}", listing.held, i.base),
            None => format!("; {} {} stay open, without a price", listing.held, i.base),
        };
    }
    for (count, what) in [(listing.orders_left, "open then"), (listing.orders_after, "sent later")] {
        if count > 0 {
            let orders = if count == 1 { "order" } else { "orders" };
            text += &format!("; {count} {orders} {what} did not trade");
        }
    }
    text
}
