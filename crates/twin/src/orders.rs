//! Orders and own trades as the venue remembers them: ids, client ids, states, histories.
//! Never: matching, wire text.

use crate::config::Product;
use crate::effects::Effect;
use crate::numbered::Numbered;
use crate::saved::{Word, pairs, word};
use ctos_types::{Decimal, InstrumentId, Leg, Price, Qty, Side, VenueOrderId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// How long an order without a fill is remembered, and one with fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub idle_ms: i64,
    pub traded_ms: i64,
}

const DAY_MS: i64 = 86_400_000;

impl Memory {
    pub fn of(product: Product) -> Memory {
        match product {
            // Closed without a fill, an order goes into the archive.
            Product::Spot => Memory { idle_ms: 90 * DAY_MS, traded_ms: 3_650 * DAY_MS },
            Product::UsdM => Memory { idle_ms: 3 * DAY_MS, traded_ms: 90 * DAY_MS },
        }
    }
}

/// More closed orders than this are not remembered, whatever their age: those without a fill go first.
const CLOSED_KEPT: usize = 100_000;
/// Trades and amendments.
const TRADES_KEPT: usize = 200_000;

/// Types of both products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OrderType {
    Limit,
    Market,
    LimitMaker,
    StopLoss,
    StopLossLimit,
    TakeProfit,
    TakeProfitLimit,
    /// The venue's own, when an account is liquidated.
    Liquidation,
}

impl OrderType {
    pub fn name(self) -> &'static str {
        match self {
            OrderType::Limit => "LIMIT",
            OrderType::Market => "MARKET",
            OrderType::LimitMaker => "LIMIT_MAKER",
            OrderType::StopLoss => "STOP_LOSS",
            OrderType::StopLossLimit => "STOP_LOSS_LIMIT",
            OrderType::TakeProfit => "TAKE_PROFIT",
            OrderType::TakeProfitLimit => "TAKE_PROFIT_LIMIT",
            OrderType::Liquidation => "LIQUIDATION",
        }
    }

    pub fn parse(text: &str) -> Option<OrderType> {
        use OrderType::*;
        [Limit, Market, LimitMaker, StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit]
            .into_iter()
            .find(|t| t.name() == text)
    }

    pub fn is_conditional(self) -> bool {
        use OrderType::*;
        matches!(self, StopLoss | StopLossLimit | TakeProfit | TakeProfitLimit)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Tif {
    Gtc,
    Ioc,
    Fok,
    Gtx,
    Gtd,
}

impl Tif {
    pub fn name(self) -> &'static str {
        match self {
            Tif::Gtc => "GTC",
            Tif::Ioc => "IOC",
            Tif::Fok => "FOK",
            Tif::Gtx => "GTX",
            Tif::Gtd => "GTD",
        }
    }

    pub fn parse(text: &str) -> Option<Tif> {
        [Tif::Gtc, Tif::Ioc, Tif::Fok, Tif::Gtx, Tif::Gtd].into_iter().find(|t| t.name() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    New,
    PartiallyFilled,
    Filled,
    Canceled,
    Expired,
    ExpiredInMatch,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::New => "NEW",
            Status::PartiallyFilled => "PARTIALLY_FILLED",
            Status::Filled => "FILLED",
            Status::Canceled => "CANCELED",
            Status::Expired => "EXPIRED",
            Status::ExpiredInMatch => "EXPIRED_IN_MATCH",
        }
    }

    pub fn is_open(self) -> bool {
        matches!(self, Status::New | Status::PartiallyFilled)
    }
}

/// One order, open or closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub id: i64,
    pub user: usize,
    pub instrument: InstrumentId,
    pub client_id: String,
    /// Client ids that it had before, oldest first: they find it, too.
    #[serde(default)]
    pub former_ids: Vec<String>,
    /// The client id of the cancel that ended it, or of the order it was before an amendment.
    pub other_id: Option<String>,
    pub side: Side,
    pub kind: OrderType,
    pub tif: Tif,
    /// Zero where there is none.
    pub price: Price,
    pub qty: Qty,
    pub quote_qty: Decimal,
    pub stop: Price,
    pub trailing_delta: i64,
    pub iceberg: Qty,
    pub status: Status,
    pub cum: Qty,
    pub cum_quote: Decimal,
    pub created_ms: i64,
    pub updated_ms: i64,
    /// -1: not on the book yet.
    pub working_ms: i64,
    pub stp: String,
    pub strategy: (Option<i64>, Option<i64>),
    /// USD-M.
    pub leg: Leg,
    pub reduce_only: bool,
    pub close_position: bool,
    pub gtd_ms: i64,
    /// What the order was before it was triggered.
    #[serde(deserialize_with = "word")]
    pub origin: Word,
    pub price_match: String,
    pub amends: usize,
    /// Why it expired, in the product's words.
    #[serde(deserialize_with = "word")]
    pub expiry: Word,
    /// Sequence of the engine order behind it, 0 before there is one.
    pub engine: u64,
    /// Numbers of its trades.
    pub trades: Vec<usize>,
    /// Cross margin: what it does to the account's loans, what it spends at most, and what was lent for it.
    pub effect: Effect,
    pub need: Decimal,
    pub loan: Decimal,
}

/// One of an account's trades.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnTrade {
    pub id: i64,
    pub order: usize,
    pub user: usize,
    pub instrument: InstrumentId,
    pub side: Side,
    pub leg: Leg,
    pub price: Price,
    pub qty: Qty,
    pub quote: Decimal,
    pub fee: Decimal,
    pub fee_asset: String,
    pub realized: Decimal,
    pub at_ms: i64,
    pub maker: bool,
}

/// Change of one order, kept for the amendments query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Amendment {
    pub order: usize,
    pub execution: i64,
    pub old_id: String,
    pub new_id: String,
    pub old_qty: Qty,
    pub new_qty: Qty,
    pub at_ms: i64,
}

/// All orders of a product. An order's number is its place in the list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub list: Numbered<Order>,
    pub open: BTreeSet<usize>,
    /// Closed ones by the time at which they are forgotten.
    closed: BTreeSet<(i64, usize)>,
    memory: Memory,
    pub trades: Numbered<OwnTrade>,
    pub amendments: Vec<Amendment>,
    /// The newest order of each client id.
    #[serde(with = "pairs")]
    by_client: HashMap<(usize, InstrumentId, String), usize>,
    #[serde(with = "pairs")]
    by_engine: HashMap<u64, usize>,
    /// Orders the engine made by itself.
    #[serde(with = "pairs")]
    foreign: HashMap<VenueOrderId, usize>,
    first_id: i64,
    next_engine: u64,
}

impl Orders {
    pub fn new(first_id: i64, memory: Memory) -> Orders {
        Orders { first_id, memory, ..Orders::default() }
    }

    /// The venue's id of an order, remembered or not.
    pub fn id_of(&self, number: usize) -> i64 {
        self.first_id + number as i64
    }

    /// Whether such an id was given to an order that is not remembered any more.
    pub fn is_archived(&self, id: i64) -> bool {
        let number = id.checked_sub(self.first_id).and_then(|n| usize::try_from(n).ok());
        number.is_some_and(|n| n < self.list.next() && self.list.get(n).is_none())
    }

    pub fn add_trade(&mut self, trade: OwnTrade) -> usize {
        let number = self.trades.push(trade);
        if self.trades.len() > TRADES_KEPT
            && let Some((oldest, _)) = self.trades.first()
        {
            self.trades.forget(oldest);
        }
        number
    }

    pub fn add_amendment(&mut self, amendment: Amendment) {
        self.amendments.push(amendment);
        if self.amendments.len() > TRADES_KEPT {
            self.amendments.drain(..TRADES_KEPT / 2);
        }
    }

    /// Forgets what the venue does not tell of any more. The same at the same time, however often it is done.
    pub fn forget(&mut self, now_ms: i64) {
        while let Some((_, number)) = self.closed.first().copied().filter(|(due, _)| *due <= now_ms) {
            self.drop_closed(number);
        }
    }

    fn drop_closed(&mut self, number: usize) {
        let Some(order) = self.list.forget(number) else { return };
        self.closed.remove(&(self.due(&order), number));
        for name in order.former_ids.iter().chain([&order.client_id]) {
            self.drop_name((order.user, order.instrument, name.clone()), number);
        }
        self.by_engine.remove(&order.engine);
        if order.kind == OrderType::Liquidation {
            self.foreign.retain(|_, n| *n != number);
        }
    }

    fn due(&self, order: &Order) -> i64 {
        let keep = if order.cum.0 > 0 { self.memory.traded_ms } else { self.memory.idle_ms };
        order.updated_ms.saturating_add(keep)
    }

    /// Enters an order; `id` and `engine` are given here.
    pub fn enter(&mut self, mut order: Order) -> usize {
        let number = self.list.next();
        order.id = self.id_of(number);
        order.engine = self.next_engine(number);
        self.by_client.insert((order.user, order.instrument, order.client_id.clone()), number);
        self.open.insert(number);
        self.list.push(order);
        number
    }

    /// Another engine order behind the same order.
    pub fn next_engine(&mut self, number: usize) -> u64 {
        self.next_engine += 1;
        self.by_engine.insert(self.next_engine, number);
        self.next_engine
    }

    /// The engine refused the order just entered: it never was.
    pub fn take_back(&mut self, number: usize) {
        let order = &mut self.list[number];
        let key = (order.user, order.instrument, order.client_id.clone());
        self.by_engine.remove(&order.engine);
        self.open.remove(&number);
        // Numbers are places: one in the middle keeps its place, closed and nameless.
        order.status = Status::Canceled;
        self.drop_name(key, number);
        if number + 1 == self.list.next() {
            self.list.take_back();
        } else {
            self.retire(number);
        }
    }

    pub fn enter_foreign(&mut self, venue: VenueOrderId, order: Order) -> usize {
        let number = self.enter(order);
        self.foreign.insert(venue, number);
        number
    }

    pub fn by_engine(&self, seq: u64) -> Option<usize> {
        self.by_engine.get(&seq).copied()
    }

    pub fn foreign(&self, venue: &VenueOrderId) -> Option<usize> {
        self.foreign.get(venue).copied()
    }

    /// By the venue's id.
    pub fn by_id(&self, user: usize, instrument: InstrumentId, id: i64) -> Option<usize> {
        let number = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        let order = self.list.get(number)?;
        (order.user == user && order.instrument == instrument).then_some(number)
    }

    /// The newest order with this client id.
    pub fn by_client(&self, user: usize, instrument: InstrumentId, id: &str) -> Option<usize> {
        self.by_client.get(&(user, instrument, id.to_string())).copied()
    }

    /// Gives an order another client id; the old one still finds it.
    pub fn rename(&mut self, number: usize, id: &str) {
        let order = &mut self.list[number];
        self.by_client.insert((order.user, order.instrument, id.to_string()), number);
        let old = std::mem::replace(&mut order.client_id, id.to_string());
        order.former_ids.push(old);
    }

    /// The last [`Orders::rename`] did not come about.
    pub fn unname(&mut self, number: usize) {
        let order = &mut self.list[number];
        let Some(old) = order.former_ids.pop() else { return };
        let never = std::mem::replace(&mut order.client_id, old);
        if never != order.client_id {
            let key = (order.user, order.instrument, never);
            self.drop_name(key, number);
        }
    }

    fn drop_name(&mut self, key: (usize, InstrumentId, String), number: usize) {
        if self.by_client.get(&key) == Some(&number) {
            self.by_client.remove(&key);
        }
    }

    /// The client id that an order came with: an amend may have given it another.
    pub fn placed_as(&self, number: usize) -> &str {
        let order = &self.list[number];
        order.former_ids.first().unwrap_or(&order.client_id)
    }

    /// Open orders of an account, of one instrument or all, oldest first.
    pub fn open_of(&self, user: usize, instrument: Option<InstrumentId>) -> Vec<usize> {
        let wanted = |n: &&usize| {
            let o = &self.list[**n];
            o.user == user && instrument.is_none_or(|i| i == o.instrument)
        };
        self.open.iter().filter(wanted).copied().collect()
    }

    pub fn set_status(&mut self, number: usize, status: Status, at_ms: i64) {
        let order = &mut self.list[number];
        let was_open = order.status.is_open();
        (order.status, order.updated_ms) = (status, at_ms);
        if !was_open {
            self.closed.retain(|(_, n)| *n != number);
        }
        if !status.is_open() {
            self.open.remove(&number);
            self.retire(number);
        }
    }

    fn retire(&mut self, number: usize) {
        let due = self.due(&self.list[number]);
        self.closed.insert((due, number));
        if self.closed.len() > CLOSED_KEPT
            && let Some((_, first)) = self.closed.iter().copied().find(|(_, n)| *n != number)
        {
            self.drop_closed(first);
        }
    }
}
