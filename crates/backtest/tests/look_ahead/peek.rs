//! Strategies that want to know the future: one asks the kernel for everything, another is told by the test.
//! Never: a place where a strategy outside of tests could get the data from.

use crate::market::Entry;
use ctos_kernel::{Ctx, Feeds, Order, OrderChange, OrderRequest, Strategy, Tick};
use ctos_strategies::{Args, Program, StrategyInfo};
use ctos_types::{Bar, Currency, Fill, InstrumentId, Interval, Leg, Nanos, Price, Qty, Side, UnixNanos};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

thread_local! {
    /// The data of the run on this thread: a backtest runs on the thread that asks for it.
    static DATA: RefCell<Vec<(UnixNanos, InstrumentId, i64)>> = const { RefCell::new(Vec::new()) };
}

/// Lets [`Peeker`] as `oracle` know all of the data.
pub fn lay_open(entries: &[Entry]) {
    DATA.set(entries.iter().map(|e| (e.at, e.instrument, e.what.price())).collect());
}

pub static PROGRAMS: [Program; 3] = [
    Program {
        info: StrategyInfo { name: "peeker", summary: "Asks for everything.", params: &[], example: "" },
        build: |args| Ok(Box::new(Peeker::new(args, false))),
    },
    Program {
        info: StrategyInfo { name: "oracle", summary: "Is told everything.", params: &[], example: "" },
        build: |args| Ok(Box::new(Peeker::new(args, true))),
    },
    Program {
        info: StrategyInfo { name: "on_each_bar", summary: "Trades on each bar.", params: &[], example: "" },
        build: |_| Ok(Box::new(OnEachBar(Side::Buy))),
    },
];

/// Buys on one bar and sells on the next, at market and as soon as it knows of the bar.
struct OnEachBar(Side);

impl Strategy for OnEachBar {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe_bars(InstrumentId(0), Interval::M1);
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, _: &Bar) {
        ctx.place(OrderRequest::market(id, self.0, Qty(10)));
        self.0 = self.0.opposite();
    }

    fn save(&self) -> Value {
        json!(self.0)
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.0 = Deserialize::deserialize(state).map_err(|e: serde_json::Error| e.to_string())?;
        Ok(())
    }
}

/// Asks all that can be asked whenever it is called, and does something that depends on every answer it ever got.
struct Peeker {
    ids: Vec<InstrumentId>,
    told: bool,
    seen: u64,
    calls: u64,
}

impl Peeker {
    fn new(args: &Args<'_>, told: bool) -> Peeker {
        Peeker { ids: args.instruments.iter().map(|i| i.id).collect(), told, seen: 0, calls: 0 }
    }

    fn see(&mut self, what: impl std::fmt::Debug) {
        let mut hasher = DefaultHasher::new();
        (self.seen, format!("{what:?}")).hash(&mut hasher);
        self.seen = hasher.finish();
    }

    fn look(&mut self, ctx: &mut Ctx<'_>) {
        self.calls += 1;
        self.see((ctx.now(), ctx.strategy(), ctx.equity()));
        for id in self.ids.clone() {
            self.see((ctx.instrument(id), ctx.instruments().len(), ctx.quote(id), ctx.last_price(id)));
            self.see((ctx.price(id), ctx.funding(id), ctx.position(id)));
            self.see(ctx.book(id).map(|book| format!("{book:?}")));
            for leg in [Leg::Net, Leg::Long, Leg::Short] {
                self.see((ctx.position_on(id, leg), ctx.account_position(id, leg)));
            }
        }
        for currency in ["USDT", "BTC", "ETH"] {
            self.see(ctx.balance(Currency::new(currency).unwrap()));
        }
        let open: Vec<Order> = ctx.open_orders().cloned().collect();
        self.see(&open);
        if self.told {
            let now = ctx.now();
            let next =
                DATA.with_borrow(|data| data.iter().filter(|(at, ..)| *at > now).take(50).copied().collect::<Vec<_>>());
            self.see(next);
        }
        ctx.note(format!("{:016x}", self.seen));
        self.act(ctx, &open);
    }

    /// Every syscall, chosen by what was seen.
    fn act(&mut self, ctx: &mut Ctx<'_>, open: &[Order]) {
        let dice = self.seen;
        let id = self.ids[(dice % self.ids.len() as u64) as usize];
        // Timers are another way to be called at a moment of one's own choice.
        ctx.set_timer(Nanos::from_millis((dice >> 8) as i64 % 90_000), dice);
        if !self.calls.is_multiple_of(5) {
            return;
        }
        let side = if dice & 1 == 0 { Side::Buy } else { Side::Sell };
        let order = open.get((dice >> 16) as usize % open.len().max(1)).map(Order::id);
        match ((dice >> 4) % 8, order, ctx.last_price(id)) {
            (0, Some(order), _) => _ = ctx.cancel(order),
            (1, Some(order), Some(px)) => _ = ctx.amend(order, Some(Price(px.0 - px.0 / 500)), None),
            (2, _, _) if self.calls.is_multiple_of(7) => _ = ctx.cancel_all(None),
            (3, _, _) if self.calls.is_multiple_of(7) => ctx.close_all(Some(id)),
            (4 | 5, _, Some(px)) => {
                let away = px.0 / 2000 * (1 + (dice >> 20) as i64 % 3) * side.sign();
                ctx.place(OrderRequest::limit(id, side, Price(px.0 - away), Qty(10)).post_only());
            }
            (6 | 7, _, Some(_)) => _ = ctx.place(OrderRequest::market(id, side, Qty(5 + (dice >> 32) as i64 % 5))),
            _ => {}
        }
    }
}

impl Strategy for Peeker {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        for id in self.ids.clone() {
            ctx.subscribe(id, Feeds::QUOTES.and(Feeds::TRADES).and(Feeds::BOOK));
            for interval in ["1m", "5m", "1h"] {
                ctx.subscribe_bars(id, interval.parse::<Interval>().unwrap());
            }
        }
        self.look(ctx);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        self.see((id, tick));
        self.look(ctx);
    }

    fn on_book(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        self.see(id);
        self.look(ctx);
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, bar: &Bar) {
        assert!(bar.close_time() <= ctx.now(), "a bar before its time");
        self.see((id, bar));
        self.look(ctx);
    }

    fn on_order(&mut self, ctx: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        // Looks, but does not act: an answer to each answer would never end.
        self.see((order, change, ctx.order(order.id()).map(|o| format!("{o:?}")), ctx.now()));
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, order: &Order, fill: &Fill) {
        self.see((order, fill, ctx.equity()));
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, token: u64) {
        self.see(token);
        // One timer in two is followed by others, so that there is not one more with each event.
        if token & 2 == 0 {
            self.look(ctx);
        }
    }

    fn on_stop(&mut self, ctx: &mut Ctx<'_>) {
        self.look(ctx);
    }

    fn save(&self) -> Value {
        json!([self.seen, self.calls])
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        (self.seen, self.calls) = Deserialize::deserialize(state).map_err(|e: serde_json::Error| e.to_string())?;
        Ok(())
    }
}
