//! A kernel with strategies that a test pulls by strings.
//! Never: decides anything; every order comes from the test.

use ctos_kernel::{
    AccountSpec, Audit, Borrow, Ctx, Denied, Feeds, Kernel, KernelConfig, Limits, Order, OrderChange, OrderRequest,
    Output, ProcessSpec, Strategy, Tick,
};
use ctos_types::{
    AccountEvent, AccountId, Balance, Bar, ClientOrderId, Command, Control, Currency, Decimal, Event, ExecId, Fill,
    HaltScope, InstanceTag, Instrument, InstrumentId, InstrumentKind, Instruments, KillState, Leg, Liquidity,
    MarkPrice, Market, MarketData, Nanos, OrderReport, OrderStatus, Price, Qty, Quote, ReportBody, Settlement, Side,
    Stamped, StrategyId, Symbol, Trade, UnixNanos, VenueOrderId,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

pub const PERP: InstrumentId = InstrumentId(0);
pub const SPOT: InstrumentId = InstrumentId(1);
pub const INVERSE: InstrumentId = InstrumentId(2);
pub const OTHER: InstrumentId = InstrumentId(3);
/// Its gaps are how a test gets the strategies called.
const SIGNAL: InstrumentId = InstrumentId(4);
pub const TAG: InstanceTag = InstanceTag(7);
pub const START: UnixNanos = UnixNanos::from_secs(1_700_000_000);

pub fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn cur(text: &str) -> Currency {
    Currency::new(text).unwrap()
}

/// Prices have one place, sizes three: `Price(1000)` is 100, `Qty(1000)` is 1.
fn instrument(symbol: &str, kind: InstrumentKind, base: &str) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind,
        base: cur(base),
        quote: cur("USDT"),
        price_decimals: 1,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: d("5"),
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: d("0.01"),
        maintenance_margin: d("0.005"),
        maker_fee: d("0"),
        taker_fee: d("0.001"),
    }
}

pub fn instruments() -> Instruments {
    let perp = |s, settle, base| instrument(s, InstrumentKind::Perpetual(settle), base);
    Instruments::new(vec![
        perp("sim:BTC-USDT-PERP", Settlement::Linear, "BTC"),
        instrument("sim:BTC-USDT", InstrumentKind::Spot, "BTC"),
        perp("sim:BTC-USD-PERP", Settlement::Inverse, "BTC"),
        perp("sim:ETH-USDT-PERP", Settlement::Linear, "ETH"),
        perp("sim:SIGNAL-USDT-PERP", Settlement::Linear, "SIGNAL"),
    ])
    .unwrap()
}

type Job = Box<dyn FnOnce(&mut Ctx<'_>) + Send>;
type Hook = Box<dyn FnMut(&mut Ctx<'_>, &Heard) + Send>;

/// What a strategy was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Order(ClientOrderId, OrderChange, OrderStatus),
    Fill(ClientOrderId, Qty),
    Timer(u64),
    Bar(InstrumentId, Bar),
    Quote(InstrumentId, Quote),
    Trade(InstrumentId, Trade),
    Book(InstrumentId),
    Gap(InstrumentId),
    Stop,
}

#[derive(Default)]
pub struct Strings {
    jobs: VecDeque<Job>,
    pub heard: Vec<Heard>,
    pub hook: Option<Hook>,
}

/// Does what the test says and writes down what it hears.
pub struct Puppet(pub Arc<Mutex<Strings>>);

impl Puppet {
    fn hear(&self, ctx: &mut Ctx<'_>, heard: Heard) {
        let hook = self.0.lock().unwrap().hook.take();
        if let Some(mut hook) = hook {
            hook(ctx, &heard);
            self.0.lock().unwrap().hook.get_or_insert(hook);
        }
        self.0.lock().unwrap().heard.push(heard);
    }
}

impl Strategy for Puppet {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(SIGNAL, Feeds::QUOTES);
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        match tick {
            Tick::Quote(q) => self.hear(ctx, Heard::Quote(id, *q)),
            Tick::Trade(t) => self.hear(ctx, Heard::Trade(id, *t)),
        }
    }
    fn on_book(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        self.hear(ctx, Heard::Book(id));
    }
    fn on_gap(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        if id != SIGNAL {
            return self.hear(ctx, Heard::Gap(id));
        }
        let job = self.0.lock().unwrap().jobs.pop_front();
        if let Some(job) = job {
            job(ctx);
        }
    }
    fn on_bar(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, bar: &Bar) {
        self.hear(ctx, Heard::Bar(id, *bar));
    }
    fn on_order(&mut self, ctx: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        self.hear(ctx, Heard::Order(order.id(), change, order.status));
    }
    fn on_fill(&mut self, ctx: &mut Ctx<'_>, order: &Order, fill: &Fill) {
        self.hear(ctx, Heard::Fill(order.id(), fill.last_qty));
    }
    fn on_timer(&mut self, ctx: &mut Ctx<'_>, token: u64) {
        self.hear(ctx, Heard::Timer(token));
    }
    fn on_stop(&mut self, ctx: &mut Ctx<'_>) {
        self.hear(ctx, Heard::Stop);
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

pub struct Rig {
    pub kernel: Kernel,
    pub now: UnixNanos,
    pub commands: Vec<Command>,
    pub audits: Vec<Audit>,
    pub puppets: Vec<Arc<Mutex<Strings>>>,
    execs: u64,
}

pub fn account(id: u16, limits: Limits) -> AccountSpec {
    AccountSpec {
        id: AccountId(id),
        name: format!("paper{id}"),
        reporting: cur("USDT"),
        leverage: Decimal::from_int(10),
        borrow: Borrow::Never,
        limits,
    }
}

/// One account; every strategy in `accounts` names its account by number.
pub fn config(specs: Vec<AccountSpec>, limits: Limits, accounts: &[u16]) -> (KernelConfig, Vec<Arc<Mutex<Strings>>>) {
    let puppets: Vec<Arc<Mutex<Strings>>> = accounts.iter().map(|_| Arc::default()).collect();
    let process = |(i, (a, p)): (usize, (&u16, &Arc<Mutex<Strings>>))| ProcessSpec {
        label: format!("puppet{i}"),
        account: AccountId(*a),
        limits: limits.clone(),
        strategy: Box::new(Puppet(p.clone())),
    };
    let processes = accounts.iter().zip(&puppets).enumerate().map(process).collect();
    let config =
        KernelConfig { instruments: instruments(), accounts: specs, processes, tag: TAG, latches: BTreeMap::new() };
    (config, puppets)
}

impl Rig {
    /// `n` strategies on one account of 10,000 USDT and 10 BTC, all markets at 99.9 / 100.1.
    pub fn new(limits: Limits, n: usize) -> Rig {
        Rig::with(vec![account(0, Limits::unlimited())], limits, &vec![0; n])
    }

    pub fn with(specs: Vec<AccountSpec>, limits: Limits, accounts: &[u16]) -> Rig {
        let ids: Vec<AccountId> = specs.iter().map(|a| a.id).collect();
        let (config, puppets) = config(specs, limits, accounts);
        let mut rig = Rig {
            kernel: Kernel::new(config),
            now: START,
            commands: Vec::new(),
            audits: Vec::new(),
            puppets,
            execs: 0,
        };
        for id in ids {
            rig.balance(id, "USDT", "10000");
            rig.balance(id, "BTC", "10");
        }
        rig.control(Control::Start);
        for id in [PERP, SPOT, INVERSE, OTHER] {
            rig.quote(id, 999, 1001);
        }
        rig
    }

    pub fn step(&mut self, event: Event<'_>) {
        let mut out = Output::default();
        self.kernel.step(&Stamped { seq: self.kernel.next_input(), at: self.now, event }, &mut out);
        self.commands = out.commands.iter().map(|c| *c.get()).collect();
        self.audits = out.audits;
    }

    pub fn pass(&mut self, span: Nanos) {
        self.now = self.now.after(span);
    }

    pub fn market(&mut self, instrument: InstrumentId, data: MarketData<'_>) {
        self.step(Event::Market(Market { instrument, ts_event: self.now, data }));
    }

    pub fn quote(&mut self, id: InstrumentId, bid: i64, ask: i64) {
        let (bid_px, ask_px, bid_qty, ask_qty) = (Price(bid), Price(ask), Qty(5000), Qty(5000));
        self.market(id, MarketData::Quote { quote: Quote { bid_px, bid_qty, ask_px, ask_qty }, update_id: 0 });
    }

    pub fn mark(&mut self, id: InstrumentId, mark: &str) {
        let mark =
            MarkPrice { mark: d(mark), index: d(mark), funding_rate: Decimal::ZERO, next_funding: UnixNanos::MAX };
        self.market(id, MarketData::Mark(&mark));
    }

    pub fn balance(&mut self, account: AccountId, currency: &str, total: &str) {
        let balance = Balance { total: d(total), ..Balance::default() };
        self.step(Event::Account(&AccountEvent::Balance { account, currency: cur(currency), balance }));
    }

    pub fn control(&mut self, control: Control) {
        self.step(Event::Control(&control));
    }

    pub fn halt(&mut self, scope: HaltScope, state: KillState) {
        self.control(Control::Halt { scope, state, reason: "test".into() });
    }

    pub fn resume(&mut self, scope: HaltScope) {
        self.control(Control::Resume { scope, reason: "test".into() });
    }

    /// Runs `f` inside a callback of strategy `who`.
    pub fn act<R: Send + 'static>(
        &mut self,
        who: usize,
        f: impl FnOnce(&mut Ctx<'_>) -> R + Send + 'static,
    ) -> Option<R> {
        let slot: Arc<Mutex<Option<R>>> = Arc::default();
        let result = slot.clone();
        self.puppets[who].lock().unwrap().jobs.push_back(Box::new(move |ctx| {
            let r = f(ctx);
            *result.lock().unwrap() = Some(r);
        }));
        self.market(SIGNAL, MarketData::Gap);
        slot.lock().unwrap().take()
    }

    /// Places an order and says whether the gates let it pass.
    pub fn place(&mut self, who: usize, request: OrderRequest) -> Result<ClientOrderId, Denied> {
        let id = self.act(who, move |ctx| ctx.place(request)).unwrap();
        match self.denial() {
            Some(denied) => {
                assert!(self.commands.is_empty(), "a denied order left");
                Err(denied)
            }
            None => {
                assert!(matches!(self.commands[..], [Command::Place(o)] if o.cl_ord_id == id));
                Ok(id)
            }
        }
    }

    pub fn denial(&self) -> Option<Denied> {
        self.audits.iter().find_map(|a| if let Audit::Denied { denied, .. } = a { Some(*denied) } else { None })
    }

    /// Places an order that must pass and lets the venue accept it.
    pub fn rest(&mut self, who: usize, request: OrderRequest) -> ClientOrderId {
        let id = self.place(who, request).unwrap();
        self.report(id, ReportBody::Accepted);
        id
    }

    pub fn order(&self, id: ClientOrderId) -> &Order {
        self.kernel.orders().get(id).unwrap()
    }

    pub fn report(&mut self, id: ClientOrderId, body: ReportBody) {
        let request = self.order(id).request;
        self.raw_report(request.account, request.instrument, Some(id), body);
    }

    pub fn raw_report(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        cl_ord_id: Option<ClientOrderId>,
        body: ReportBody,
    ) {
        let (venue_order_id, ts_event) = (VenueOrderId::EMPTY, self.now);
        self.step(Event::Report(&OrderReport { account, instrument, cl_ord_id, venue_order_id, ts_event, body }));
    }

    pub fn fill_body(&mut self, side: Side, px: i64, qty: i64) -> ReportBody {
        self.execs += 1;
        ReportBody::Fill(Fill {
            exec_id: ExecId::from_u64(self.execs),
            side,
            leg: Leg::Net,
            last_px: Price(px),
            last_qty: Qty(qty),
            liquidity: Liquidity::Taker,
            fee: Decimal::ZERO,
            fee_currency: cur("USDT"),
        })
    }

    pub fn fill(&mut self, id: ClientOrderId, px: i64, qty: i64) {
        let side = self.order(id).request.side;
        let body = self.fill_body(side, px, qty);
        self.report(id, body);
    }

    /// Buys (positive) or sells a position of the strategy at 100.
    pub fn hold(&mut self, who: usize, instrument: InstrumentId, qty: i64) {
        let side = if qty > 0 { Side::Buy } else { Side::Sell };
        let id = self.place(who, OrderRequest::market(instrument, side, Qty(qty.abs()))).unwrap();
        self.fill(id, 1000, qty.abs());
    }

    pub fn heard(&self, who: usize) -> Vec<Heard> {
        std::mem::take(&mut self.puppets[who].lock().unwrap().heard)
    }

    pub fn state_of(&self, who: usize) -> ctos_kernel::ProcessState {
        self.kernel.processes().nth(who).unwrap().state
    }

    pub fn open_of(&self, who: usize) -> Vec<ClientOrderId> {
        self.kernel.orders().open_of(StrategyId(who as u16)).map(Order::id).collect()
    }
}

pub fn buy(px: i64, qty: i64) -> OrderRequest {
    OrderRequest::limit(PERP, Side::Buy, Price(px), Qty(qty))
}

pub fn sell(px: i64, qty: i64) -> OrderRequest {
    OrderRequest::limit(PERP, Side::Sell, Price(px), Qty(qty))
}
