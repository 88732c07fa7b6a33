//! Orders side by side: what each run made of them.
//! Never: decides which difference was first.

use super::compare::word;
use super::rows::{Row, What};
use ctos_types::{ClientOrderId, Currency, Decimal, Instruments, OrderQty, Qty, UnixNanos};
use serde::Serialize;
use std::collections::BTreeMap;

/// An order of one run. Prices and sizes are exact text in the instrument's units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Market time at which it left.
    #[serde(serialize_with = "text")]
    pub sent: UnixNanos,
    pub symbol: String,
    pub side: ctos_types::Side,
    /// The limit; `None` for an order at market.
    pub price: Option<String>,
    pub qty: String,
    pub filled: String,
    pub fills: u64,
    /// What it cost; negative: a rebate.
    pub fees: BTreeMap<Currency, Decimal>,
    /// What happened to it last, and when.
    pub last: String,
    #[serde(serialize_with = "text")]
    pub at: UnixNanos,
    #[serde(skip)]
    done: Qty,
}

/// The same order in both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    pub cl_ord_id: String,
    pub same: bool,
    pub recorded: Option<Line>,
    pub simulated: Option<Line>,
}

/// Orders by their number. One that was sent before the comparison began is left out.
pub fn lines(rows: &[Row], instruments: &Instruments) -> BTreeMap<ClientOrderId, Line> {
    let mut all: BTreeMap<ClientOrderId, Line> = BTreeMap::new();
    for row in rows {
        let Some(id) = row.id else { continue };
        let i = instruments.get(row.instrument);
        if let What::Sent { kind, qty } = row.what {
            let line = Line {
                sent: row.at,
                symbol: i.symbol.to_string(),
                side: row.side,
                price: kind.limit_price().map(|px| i.price_text(px)),
                qty: match qty {
                    OrderQty::Size(size) => i.qty_text(size),
                    OrderQty::Quote(amount) => format!("{amount} {}", i.quote),
                },
                filled: i.qty_text(Qty(0)),
                fills: 0,
                fees: BTreeMap::new(),
                last: word(&row.what).into(),
                at: row.at,
                done: Qty(0),
            };
            all.insert(id, line);
            continue;
        }
        let Some(line) = all.get_mut(&id) else { continue };
        (line.last, line.at) = (word(&row.what).into(), row.at);
        if let What::Fill(fill) = row.what {
            line.fills += 1;
            line.done = Qty(line.done.0.saturating_add(fill.qty.0));
            line.filled = i.qty_text(line.done);
            *line.fees.entry(fill.fee_currency).or_default() += fill.fee;
        }
    }
    all
}

/// Every order of either run, in the order of their numbers.
pub fn pairs(mut recorded: BTreeMap<ClientOrderId, Line>, mut simulated: BTreeMap<ClientOrderId, Line>) -> Vec<Pair> {
    let ids: std::collections::BTreeSet<ClientOrderId> = recorded.keys().chain(simulated.keys()).copied().collect();
    ids.into_iter()
        .map(|id| {
            let (recorded, simulated) = (recorded.remove(&id), simulated.remove(&id));
            Pair { cl_ord_id: id.to_string(), same: recorded == simulated, recorded, simulated }
        })
        .collect()
}

/// A time as RFC 3339.
pub fn text<S: serde::Serializer>(at: &UnixNanos, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(at)
}
