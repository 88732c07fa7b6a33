//! The market-data path of a warm kernel allocates nothing, with one strategy and with ten.
//! Never: measures time, or anything else than the number of allocations.
// A global allocator cannot be written without `unsafe`; this one only counts and passes on to the system's.
#![allow(unsafe_code)]

use ctos_kernel::{AccountSpec, Borrow, Ctx, Feeds, Kernel, KernelConfig, Limits, Output, ProcessSpec, Strategy, Tick};
use ctos_types::{
    AccountEvent, AccountId, Balance, Bar, Control, Currency, Decimal, Event, InstanceTag, Instrument, InstrumentId,
    InstrumentKind, Instruments, Interval, Level, MarkPrice, Market, MarketData, Nanos, Price, Qty, Quote, Settlement,
    Side, Stamped, Symbol, Trade, UnixNanos,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

struct Counting;

thread_local! {
    // Of this thread only: the test harness allocates on others.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is going down has no counter any more, and nothing to measure.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System` with this layout, since `alloc` above is the only source.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`; the caller's promises about the sizes are passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

const BTC: InstrumentId = InstrumentId(0);
const START: UnixNanos = UnixNanos::from_secs(1_700_000_000);

/// Looks at what a strategy looks at, and trades nothing.
struct Watcher(Decimal);

impl Strategy for Watcher {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(BTC, Feeds::QUOTES.and(Feeds::TRADES).and(Feeds::BOOK));
        ctx.subscribe_bars(BTC, Interval::from_secs(1).unwrap());
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, _: &Tick) {
        self.0 = ctx.price(id).unwrap_or_default();
        assert!(ctx.position(id).is_flat() && ctx.open_orders().count() == 0);
    }
    fn on_book(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        assert!(ctx.book(id).is_some_and(|b| b.depth(Side::Buy) > 0));
    }
    fn on_bar(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, _: &Bar) {
        self.0 = ctx.equity();
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

fn perp() -> Instrument {
    Instrument {
        id: BTC,
        version: 1,
        symbol: Symbol::new("sim:BTC-USDT-PERP"),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::new("BTC").unwrap(),
        quote: Currency::new("USDT").unwrap(),
        price_decimals: 1,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::ZERO,
        maintenance_margin: Decimal::ZERO,
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}

struct Feed {
    kernel: Kernel,
    out: Output,
    now: UnixNanos,
    n: i64,
}

impl Feed {
    fn new(strategies: usize) -> Feed {
        let quote = Currency::new("USDT").unwrap();
        let account = AccountSpec {
            id: AccountId(0),
            name: "paper".into(),
            reporting: quote,
            leverage: Decimal::ONE,
            borrow: Borrow::Never,
            limits: Limits::default(),
        };
        let process = |n: usize| ProcessSpec {
            label: format!("watcher{n}"),
            account: AccountId(0),
            limits: Limits::default(),
            strategy: Box::new(Watcher(Decimal::ZERO)),
        };
        let kernel = Kernel::new(KernelConfig {
            instruments: Instruments::new(vec![perp()]).unwrap(),
            accounts: vec![account],
            processes: (0..strategies).map(process).collect(),
            tag: InstanceTag(1),
            latches: BTreeMap::new(),
        });
        let mut feed = Feed { kernel, out: Output::default(), now: START, n: 0 };
        let balance = Balance { total: Decimal::from_int(10_000), ..Balance::default() };
        feed.step(Event::Account(&AccountEvent::Balance { account: AccountId(0), currency: quote, balance }));
        feed.step(Event::Control(&Control::Start));
        feed
    }

    fn step(&mut self, event: Event<'_>) {
        self.kernel.step(&Stamped { seq: self.kernel.next_input(), at: self.now, event }, &mut self.out);
    }

    fn market(&mut self, data: MarketData<'_>) {
        self.now = self.now.after(Nanos::from_millis(1));
        self.step(Event::Market(Market { instrument: BTC, ts_event: self.now, data }));
    }

    fn quote(&mut self) {
        self.n += 1;
        let bid = 600_000 + self.n % 50;
        let quote = Quote { bid_px: Price(bid), bid_qty: Qty(5), ask_px: Price(bid + 1), ask_qty: Qty(7) };
        self.market(MarketData::Quote { quote, update_id: 0 });
    }

    fn trade(&mut self) {
        self.n += 1;
        let trade = Trade { price: Price(600_000 + self.n % 50), qty: Qty(3), aggressor: Side::Buy, id: 0 };
        self.market(MarketData::Trade(trade));
    }

    fn depth(&mut self, snapshot: bool) {
        self.n += 1;
        let level = |k: i64| Level { price: Price(600_000 - k), qty: Qty((self.n * 7 + k) % 9) };
        let ask = |k: i64| Level { price: Price(600_100 + k), qty: Qty((self.n * 5 + k) % 9) };
        let full = |l: Level| Level { qty: Qty(l.qty.0 + 1), ..l };
        let (bids, asks): ([Level; 30], [Level; 30]) = if snapshot {
            (std::array::from_fn(|k| full(level(k as i64))), std::array::from_fn(|k| full(ask(k as i64))))
        } else {
            (std::array::from_fn(|k| level(k as i64)), std::array::from_fn(|k| ask(k as i64)))
        };
        self.market(MarketData::Depth { bids: &bids, asks: &asks, snapshot, update_id: 0 });
    }

    fn mark(&mut self) {
        let mark = Decimal::new(600_000, 1);
        let (index, funding_rate, next_funding) = (mark, Decimal::ZERO, UnixNanos::MAX);
        self.market(MarketData::Mark(&MarkPrice { mark, index, funding_rate, next_funding }));
    }

    /// Everything a market sends, for more than a minute of its time: bars close, equity is sampled.
    fn round(&mut self) {
        for i in 0..20_000 {
            match i % 8 {
                0..=3 => self.quote(),
                4 | 5 => self.trade(),
                6 => self.depth(i % 400 == 6),
                _ => self.mark(),
            }
        }
    }
}

fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    f();
    ALLOCATIONS.with(Cell::get) - before
}

fn steady(strategies: usize) {
    let mut feed = Feed::new(strategies);
    feed.depth(true);
    feed.round();
    assert_eq!(allocations(|| feed.round()), 0, "with {strategies} strategies");
    assert!(feed.now.0 - START.0 > 30_000_000_000);
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8; 100]))) > 0);
}

#[test]
fn a_market_with_one_strategy() {
    steady(1);
}

#[test]
fn a_market_with_ten_strategies() {
    steady(10);
}
