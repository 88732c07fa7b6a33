//! A kernel with one strategy and a scripted venue: the venue accepts what it is told to and fills what the test says.

use crate::registry::build;
use ctos_kernel::{AccountSpec, Audit, Borrow, Kernel, KernelConfig, Limits, Output, ProcessSpec};
use ctos_types::*;
use std::collections::{BTreeMap, VecDeque};

pub(crate) fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn instrument(symbol: &str, kind: InstrumentKind, base: &str) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind,
        base: Currency::new(base).unwrap(),
        quote: Currency::new("USDT").unwrap(),
        price_decimals: 1,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::ZERO,
        maintenance_margin: Decimal::ZERO,
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}

/// One price decimal, three size decimals, no fees, no minimum.
pub(crate) fn perp() -> Instrument {
    instrument("sim:BTC-USDT-PERP", InstrumentKind::Perpetual(Settlement::Linear), "BTC")
}

/// As [`perp`], but spot with four size decimals beyond those of the test's prices.
pub(crate) fn spot() -> Instrument {
    Instrument { qty_decimals: 7, ..instrument("sim:ETH-USDT", InstrumentKind::Spot, "ETH") }
}

pub(crate) fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// What the venue does with the next requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    #[default]
    Accept,
    RejectPostOnly,
    RejectOther,
    /// No answer at all: the test sends one later.
    Silent,
}

/// An order as the venue has it.
#[derive(Clone, Debug)]
pub(crate) struct Resting {
    pub order: NewOrder,
    pub cum: i64,
}

impl Resting {
    pub fn leaves(&self) -> i64 {
        let OrderQty::Size(Qty(size)) = self.order.qty else { panic!("sizes only") };
        size - self.cum
    }
}

pub(crate) struct Rig {
    pub kernel: Kernel,
    pub book: BTreeMap<u64, Resting>,
    pub answer: Answer,
    /// Share of a fill that is charged in the base coin, in parts per thousand; 0: no fee.
    pub base_fee_permille: i64,
    pub notes: Vec<String>,
    /// What was plotted: instrument, line, value.
    pub plots: Vec<(u32, &'static str, f64)>,
    /// Commands since the last look, as text.
    pub log: Vec<String>,
    pub now: UnixNanos,
    touch: BTreeMap<u32, (i64, i64)>,
    seq: u64,
    execs: u64,
    out: Output,
    queue: VecDeque<OrderReport>,
}

const ME: AccountId = AccountId(0);

fn config(instruments: &Instruments, name: &str, given: &BTreeMap<String, String>, limits: Limits) -> KernelConfig {
    let ids: Vec<InstrumentId> = instruments.iter().map(|i| i.id).collect();
    let strategy = build(name, given, instruments, &ids).unwrap();
    let account = AccountSpec {
        id: ME,
        name: "test".into(),
        reporting: Currency::new("USDT").unwrap(),
        leverage: d("100"),
        borrow: Borrow::Never,
        limits: limits.clone(),
    };
    KernelConfig {
        instruments: instruments.clone(),
        accounts: vec![account],
        processes: vec![ProcessSpec { label: name.into(), account: ME, limits, strategy }],
        tag: InstanceTag(1),
        latches: BTreeMap::new(),
    }
}

impl Rig {
    pub fn new(list: Vec<Instrument>, name: &str, pairs: &[(&str, &str)]) -> Rig {
        Rig::with_limits(list, name, pairs, Limits::unlimited())
    }

    pub fn with_limits(list: Vec<Instrument>, name: &str, pairs: &[(&str, &str)], limits: Limits) -> Rig {
        let instruments = Instruments::new(list).unwrap();
        let mut rig = Rig {
            kernel: Kernel::new(config(&instruments, name, &params(pairs), limits)),
            book: BTreeMap::new(),
            answer: Answer::Accept,
            base_fee_permille: 0,
            notes: Vec::new(),
            plots: Vec::new(),
            log: Vec::new(),
            now: UnixNanos::from_secs(1_700_000_000),
            touch: BTreeMap::new(),
            seq: 0,
            execs: 0,
            out: Output::default(),
            queue: VecDeque::new(),
        };
        rig.kernel.set_plots(true);
        rig.deposit("USDT", "100000");
        rig
    }

    /// Replaces the kernel by a fresh one that takes over the saved state through its text form.
    pub fn restart(&mut self, name: &str, pairs: &[(&str, &str)]) {
        let saved = serde_json::to_string(&self.kernel.save()).unwrap();
        let instruments = self.kernel.instruments().clone();
        self.kernel = Kernel::new(config(&instruments, name, &params(pairs), Limits::unlimited()));
        self.kernel.set_plots(true);
        self.kernel.restore(&serde_json::from_str(&saved).unwrap()).unwrap();
    }

    pub fn deposit(&mut self, currency: &str, total: &str) {
        let balance = Balance { total: d(total), ..Balance::default() };
        let currency = Currency::new(currency).unwrap();
        self.step(Event::Account(&AccountEvent::Balance { account: ME, currency, balance }));
    }

    pub fn start(&mut self) {
        self.step(Event::Control(&Control::Start));
    }

    pub fn control(&mut self, control: &Control) {
        self.step(Event::Control(control));
    }

    /// One input, and then every answer of the venue, one input each.
    pub fn step(&mut self, event: Event<'_>) {
        self.step_quietly(event);
        while let Some(report) = self.queue.pop_front() {
            self.step_quietly(Event::Report(&report));
        }
    }

    fn step_quietly(&mut self, event: Event<'_>) {
        self.kernel.step(&Stamped { seq: self.seq, at: self.now, event }, &mut self.out);
        self.seq += 1;
        for audit in &self.out.audits {
            if let Audit::Note { text, .. } = audit {
                self.notes.push(text.clone());
            }
            if let Audit::Plot { instrument, name, value, .. } = audit {
                self.plots.push((instrument.0, name, *value));
            }
            if let Audit::Process { state: ctos_kernel::ProcessState::Failed { reason }, .. } = audit {
                panic!("the strategy failed: {reason}");
            }
        }
        for command in std::mem::take(&mut self.out.commands) {
            self.on_command(*command.get());
        }
    }

    fn on_command(&mut self, command: Command) {
        self.log.push(self.text(&command));
        match command {
            Command::Place(order) => self.on_place(order),
            Command::Cancel(_) if self.answer == Answer::Silent => {}
            Command::Cancel(cancel) => {
                if self.book.remove(&cancel.cl_ord_id.seq).is_some() {
                    let body = ReportBody::Canceled { reason: CancelReason::Requested };
                    self.report(cancel.cl_ord_id, cancel.instrument, body);
                }
            }
            other => panic!("the built-in strategies do not send {other:?}"),
        }
    }

    fn on_place(&mut self, order: NewOrder) {
        let reason = match self.answer {
            Answer::RejectPostOnly => Some(RejectReason::PostOnlyWouldTake),
            Answer::RejectOther => Some(RejectReason::Other),
            Answer::Accept | Answer::Silent => None,
        };
        if let Some(reason) = reason {
            let body = ReportBody::Rejected { request: Request::Place, reason, code: Text::EMPTY };
            return self.report(order.cl_ord_id, order.instrument, body);
        }
        self.book.insert(order.cl_ord_id.seq, Resting { order, cum: 0 });
        if self.answer == Answer::Accept {
            self.report(order.cl_ord_id, order.instrument, ReportBody::Accepted);
            if order.kind == OrderKind::Market {
                self.fill(order.cl_ord_id.seq, i64::MAX);
            }
        }
    }

    /// Queues a report; the next [`Rig::step`] delivers it.
    pub fn report(&mut self, id: ClientOrderId, instrument: InstrumentId, body: ReportBody) {
        self.queue.push_back(OrderReport {
            account: ME,
            instrument,
            cl_ord_id: Some(id),
            venue_order_id: VenueOrderId::from_u64(id.seq),
            ts_event: self.now,
            body,
        });
    }

    /// Fills up to `most` of an order at its price (market: at the touch) and queues the report.
    pub fn fill(&mut self, seq: u64, most: i64) {
        let resting = self.book.get_mut(&seq).unwrap();
        let qty = resting.leaves().min(most);
        resting.cum += qty;
        let (order, done) = (resting.order, resting.leaves() == 0);
        if done {
            self.book.remove(&seq);
        }
        let touch = self.touch.get(&order.instrument.0).copied().unwrap_or_default();
        let at_touch = if order.side == Side::Buy { touch.1 } else { touch.0 };
        let instrument = self.kernel.instruments().get(order.instrument).clone();
        let coins = instrument.qty_decimal(Qty(qty));
        let in_base = instrument.is_spot() && order.side == Side::Buy && self.base_fee_permille > 0;
        let fee = if in_base { coins.mul_ratio(self.base_fee_permille, 1000, Rounding::Up).unwrap() } else { d("0") };
        self.execs += 1;
        let fill = Fill {
            exec_id: ExecId::from_u64(self.execs),
            side: order.side,
            leg: order.leg,
            last_px: order.kind.limit_price().unwrap_or(Price(at_touch)),
            last_qty: Qty(qty),
            liquidity: Liquidity::Maker,
            fee,
            fee_currency: if in_base { instrument.base } else { instrument.quote },
        };
        self.report(order.cl_ord_id, order.instrument, ReportBody::Fill(fill));
    }

    /// Delivers what is queued.
    pub fn deliver(&mut self) {
        self.step(Event::Wake);
    }

    pub fn after(&mut self, millis: i64) {
        let end = self.now.after(Nanos::from_millis(millis));
        while let Some(due) = self.kernel.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.step(Event::Wake);
        }
        self.now = end;
    }

    /// The market moves: resting orders that it passes are filled first, then the quote comes in.
    pub fn quote_of(&mut self, id: u32, bid: i64, ask: i64) {
        self.touch.insert(id, (bid, ask));
        let met = |r: &Resting| match (r.order.side, r.order.kind.limit_price()) {
            (Side::Buy, Some(px)) => px.0 >= ask,
            (Side::Sell, Some(px)) => px.0 <= bid,
            _ => false,
        };
        let mut hit: Vec<_> =
            self.book.iter().filter(|(_, r)| r.order.instrument.0 == id && met(r)).map(|(seq, _)| *seq).collect();
        // The best price trades first.
        hit.sort_by_key(|seq| {
            let order = &self.book[seq].order;
            -order.kind.limit_price().map_or(0, |p| p.0) * order.side.sign()
        });
        for seq in hit {
            self.fill(seq, i64::MAX);
        }
        self.deliver();
        let quote = Quote { bid_px: Price(bid), bid_qty: Qty(1), ask_px: Price(ask), ask_qty: Qty(1) };
        let data = MarketData::Quote { quote, update_id: 0 };
        self.step(Event::Market(Market { instrument: InstrumentId(id), ts_event: self.now, data }));
    }

    pub fn quote(&mut self, bid: i64, ask: i64) {
        self.quote_of(0, bid, ask);
    }

    /// A closed one-minute bar at `close`; the touch for market orders is there too.
    pub fn bar(&mut self, close: i64) {
        let open_time = self.now.floor(Nanos::from_secs(60));
        self.after(60_000);
        self.touch.insert(0, (close, close));
        let px = Price(close);
        let bar = Bar { interval: Interval::M1, open_time, open: px, high: px, low: px, close: px, volume: Qty(0) };
        let data = MarketData::Bar(bar);
        self.step(Event::Market(Market { instrument: InstrumentId(0), ts_event: self.now, data }));
    }

    pub fn market(&mut self, data: MarketData<'_>) {
        self.step(Event::Market(Market { instrument: InstrumentId(0), ts_event: self.now, data }));
    }

    fn text(&self, command: &Command) -> String {
        match command {
            Command::Place(o) => {
                let i = self.kernel.instruments().get(o.instrument);
                let OrderQty::Size(size) = o.qty else { panic!("sizes only") };
                let side = if o.side == Side::Buy { "buy" } else { "sell" };
                let size = i.qty_decimal(size);
                match o.kind.limit_price() {
                    Some(px) => format!("{side} {size} @ {}", i.price_decimal(px)),
                    None => format!("{side} {size}{}", if o.reduce_only { " reduce" } else { "" }),
                }
            }
            Command::Cancel(c) => {
                let order = self.kernel.orders().get(c.cl_ord_id).unwrap();
                let i = self.kernel.instruments().get(c.instrument);
                format!("cancel @ {}", i.price_decimal(order.limit_price().unwrap_or_default()))
            }
            other => format!("{other:?}"),
        }
    }

    /// The commands since the last call.
    pub fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Open orders at the venue of one instrument as `side price` mantissas, buys first, ascending.
    pub fn resting(&self) -> (Vec<i64>, Vec<i64>) {
        let of = |side| {
            let mut prices: Vec<i64> = self.book.values().filter(|r| r.order.side == side).map(price).collect();
            prices.sort_unstable();
            prices
        };
        (of(Side::Buy), of(Side::Sell))
    }

    pub fn position(&self) -> i64 {
        self.kernel.portfolio().strategy_position(StrategyId(0), ME, InstrumentId(0), Leg::Net).qty.0
    }

    pub fn strategy_state(&self) -> serde_json::Value {
        serde_json::to_value(self.kernel.save()).unwrap()["processes"][0]["saved"].clone()
    }

    pub fn order_at(&self, side: Side, px: i64) -> u64 {
        let found = self.book.iter().find(|(_, r)| r.order.side == side && price(r) == px);
        *found.unwrap_or_else(|| panic!("no order at {px}: {:?}", self.resting())).0
    }
}

fn price(r: &Resting) -> i64 {
    r.order.kind.limit_price().map_or(0, |p| p.0)
}
