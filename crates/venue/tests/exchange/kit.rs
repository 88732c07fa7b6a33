//! Instruments, accounts and a small driver that renders what the exchange says as text.

use ctos_types::*;
use ctos_venue::{AccountConfig, Exchange, ExchangeConfig, Private};

pub const SPOT: InstrumentId = InstrumentId(0);
pub const PERP: InstrumentId = InstrumentId(1);
pub const INVERSE: InstrumentId = InstrumentId(2);
pub const BNB: InstrumentId = InstrumentId(3);
pub const DATED: InstrumentId = InstrumentId(4);
pub const EXPIRY: UnixNanos = UnixNanos::from_secs(1_000_000);

pub fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn ccy(text: &str) -> Currency {
    Currency::new(text).unwrap()
}

fn instrument(symbol: &str, kind: InstrumentKind, base: &str, quote: &str) -> Instrument {
    let spot = kind == InstrumentKind::Spot;
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind,
        base: ccy(base),
        quote: ccy(quote),
        price_decimals: 2,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: if spot { Decimal::ZERO } else { d("0.01") },
        maintenance_margin: if spot { Decimal::ZERO } else { d("0.005") },
        maker_fee: d("0.0002"),
        taker_fee: d("0.0005"),
    }
}

/// Prices in cents, sizes in thousandths, except the inverse contract: whole contracts of 100 USD, price in tenths.
pub fn instruments() -> Instruments {
    let linear = InstrumentKind::Perpetual(Settlement::Linear);
    let dated = InstrumentKind::Future { settlement: Settlement::Linear, expiry: EXPIRY };
    let inverse = Instrument {
        price_decimals: 1,
        qty_decimals: 0,
        contract_value: Decimal::from_int(100),
        ..instrument("sim:BTC-USD-PERP", InstrumentKind::Perpetual(Settlement::Inverse), "BTC", "USD")
    };
    Instruments::new(vec![
        instrument("sim:BTC-USDT", InstrumentKind::Spot, "BTC", "USDT"),
        instrument("sim:BTC-USDT-PERP", linear, "BTC", "USDT"),
        inverse,
        instrument("sim:BNB-USDT", InstrumentKind::Spot, "BNB", "USDT"),
        instrument("sim:BTC-USDT-19700112", dated, "BTC", "USDT"),
    ])
    .unwrap()
}

pub fn account(id: u16, balances: &[(&str, &str)]) -> AccountConfig {
    AccountConfig::cash(AccountId(id), balances.iter().map(|(c, a)| (ccy(c), d(a))).collect())
}

pub fn rich(id: u16) -> AccountConfig {
    account(id, &[("USDT", "1000000"), ("BTC", "1000")])
}

pub fn config(accounts: Vec<AccountConfig>) -> ExchangeConfig {
    ExchangeConfig { accounts, ..ExchangeConfig::default() }
}

/// A new order of account 0 on spot; tests change what they are about.
pub fn order(id: u64, side: Side, kind: OrderKind, qty: i64) -> NewOrder {
    NewOrder {
        strategy: StrategyId(0),
        ..NewOrder::new(AccountId(0), cid(id), SPOT, side, kind, OrderQty::Size(Qty(qty)))
    }
}

pub fn limit(id: u64, side: Side, price: i64, qty: i64) -> NewOrder {
    order(id, side, OrderKind::Limit { price: Price(price) }, qty)
}

pub fn market(id: u64, side: Side, qty: i64) -> NewOrder {
    order(id, side, OrderKind::Market, qty)
}

pub fn cid(seq: u64) -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(1), seq }
}

pub fn levels(levels: &[(i64, i64)]) -> Vec<Level> {
    levels.iter().map(|(p, q)| Level { price: Price(*p), qty: Qty(*q) }).collect()
}

/// An exchange with its time, and everything it said in the last call.
pub struct Sim {
    pub ex: Exchange,
    pub now: UnixNanos,
    pub out: Vec<Private>,
    pub on: InstrumentId,
}

impl Sim {
    pub fn new(config: ExchangeConfig) -> Sim {
        Sim { ex: Exchange::new(instruments(), config).unwrap(), now: UnixNanos(0), out: Vec::new(), on: SPOT }
    }

    /// One rich account, on spot.
    pub fn rich() -> Sim {
        Sim::new(config(vec![rich(0)]))
    }

    pub fn on(mut self, instrument: InstrumentId) -> Sim {
        self.on = instrument;
        self
    }

    pub fn event(&mut self, data: MarketData<'_>) -> String {
        self.out.clear();
        let market = Market { instrument: self.on, ts_event: self.now, data };
        self.ex.on_market(self.now, &market, &mut self.out);
        self.text()
    }

    pub fn command(&mut self, command: Command) -> String {
        self.out.clear();
        self.ex.on_command(self.now, &command, &mut self.out);
        self.text()
    }

    pub fn place(&mut self, order: NewOrder) -> String {
        self.command(Command::Place(NewOrder { instrument: self.on, ..order }))
    }

    pub fn cancel(&mut self, id: u64) -> String {
        let (account, instrument) = (AccountId(0), self.on);
        self.command(Command::Cancel(CancelOrder { account, cl_ord_id: cid(id), instrument }))
    }

    pub fn amend(&mut self, id: u64, price: Option<i64>, qty: Option<i64>) -> String {
        let (account, instrument) = (AccountId(0), self.on);
        let (price, qty) = (price.map(Price), qty.map(Qty));
        self.command(Command::Amend(AmendOrder { account, cl_ord_id: cid(id), instrument, price, qty }))
    }

    pub fn time(&mut self, at: UnixNanos) -> String {
        self.out.clear();
        self.now = at;
        self.ex.on_time(at, &mut self.out);
        self.text()
    }

    pub fn quote(&mut self, bid: (i64, i64), ask: (i64, i64)) -> String {
        let quote = Quote { bid_px: Price(bid.0), bid_qty: Qty(bid.1), ask_px: Price(ask.0), ask_qty: Qty(ask.1) };
        self.event(MarketData::Quote { quote, update_id: 0 })
    }

    pub fn depth(&mut self, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> String {
        let (bids, asks) = (levels(bids), levels(asks));
        self.event(MarketData::Depth { bids: &bids, asks: &asks, snapshot: false, update_id: 0 })
    }

    pub fn snapshot(&mut self, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> String {
        let (bids, asks) = (levels(bids), levels(asks));
        self.event(MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: 0 })
    }

    pub fn trade(&mut self, aggressor: Side, price: i64, qty: i64) -> String {
        self.event(MarketData::Trade(Trade { price: Price(price), qty: Qty(qty), aggressor, id: 0 }))
    }

    pub fn mark(&mut self, mark: &str) -> String {
        let mark = MarkPrice { mark: d(mark), index: d(mark), funding_rate: Decimal::ZERO, next_funding: UnixNanos(0) };
        self.event(MarketData::Mark(&mark))
    }

    pub fn funding(&mut self, rate: &str, mark: &str) -> String {
        self.event(MarketData::Funding(&FundingRate { rate: d(rate), mark: d(mark) }))
    }

    /// Every report of the last call, `; ` between them: `#id what`. Sizes and prices as mantissas.
    pub fn text(&self) -> String {
        let lines = self.out.iter().filter_map(|p| match p {
            Private::Report(r) => Some(render(r)),
            Private::Account(_) => None,
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    pub fn account_events(&self) -> Vec<AccountEvent> {
        self.out.iter().filter_map(|p| if let Private::Account(a) = p { Some(*a) } else { None }).collect()
    }

    pub fn total(&self, currency: &str) -> Decimal {
        self.ex.balance(AccountId(0), ccy(currency)).total
    }

    pub fn hold(&self, currency: &str) -> Decimal {
        self.ex.balance(AccountId(0), ccy(currency)).hold
    }

    pub fn position(&self) -> i64 {
        self.ex.position(AccountId(0), self.on, Leg::Net).qty.0
    }

    pub fn ahead(&self, id: u64) -> Option<i64> {
        self.ex.open_orders(AccountId(0)).find(|o| o.request.cl_ord_id == cid(id))?.ahead.map(|q| q.0)
    }
}

pub fn render(r: &OrderReport) -> String {
    let id = r.cl_ord_id.map_or("venue".into(), |id| id.seq.to_string());
    let what = match r.body {
        ReportBody::Accepted => "accepted".into(),
        ReportBody::Rejected { request, reason, .. } => format!("rejected {request:?} {reason:?}"),
        ReportBody::Triggered => "triggered".into(),
        ReportBody::Fill(f) => {
            let liquidity = if f.liquidity == Liquidity::Maker { "maker" } else { "taker" };
            format!("{:?} {}@{} {liquidity}", f.side, f.last_qty.0, f.last_px.0)
        }
        ReportBody::Amended { price, qty } => format!("amended {}@{:?}", qty.0, price.map(|p| p.0)),
        ReportBody::Canceled { reason } => format!("canceled {reason:?}"),
        ReportBody::Expired => "expired".into(),
        ReportBody::Unknown { .. } => "unknown".into(),
    };
    format!("#{id} {what}")
}
