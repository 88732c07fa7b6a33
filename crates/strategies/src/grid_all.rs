//! A dynamic grid over many coins: one buy below and one sell above a baseline that moves with every fill.
//! Never: takes a vanished order for a fill; only the kernel's word on an order counts.

use crate::params::{Args, ParamError, ParamKind, ParamSpec, Range};
use crate::sizing::{OrderAmount, POLL, View, check_minimum, order_amount};
use crate::track::{Alarm, PAUSE, Retry, Working, fee_in_units, is_filled};
use ctos_kernel::{Ctx, Feeds, Order, OrderChange, OrderRequest, Strategy, Tick};
use ctos_types::{Decimal, Fill, Instrument, InstrumentId, Price, Qty, RejectReason, Rounding, Side};
use serde::{Deserialize, Serialize};

pub(crate) const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "symbols",
        kind: ParamKind::Symbols,
        default: Some("all"),
        doc: "What to trade: every symbol of the run, or a comma-separated list.",
        range: Range::Any,
    },
    ParamSpec {
        name: "order_amount",
        kind: ParamKind::Amount,
        default: None,
        doc: "Worth of one order. Default: 10, or the venue's minimum where that is more.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "buy_step",
        kind: ParamKind::Number,
        default: Some("0.966"),
        doc: "Price of the buy order as a multiple of the baseline.",
        range: Range::Between("0.01", "0.9999"),
    },
    ParamSpec {
        name: "sell_step",
        kind: ParamKind::Number,
        default: Some("1.018"),
        doc: "Price of the sell order as a multiple of the baseline.",
        range: Range::Between("1.0001", "100"),
    },
    ParamSpec {
        name: "buy_move",
        kind: ParamKind::Number,
        default: Some("0.99"),
        doc: "What the baseline is multiplied by after a buy.",
        range: Range::Between("0.01", "1"),
    },
    ParamSpec {
        name: "sell_move",
        kind: ParamKind::Number,
        default: Some("1.01"),
        doc: "What the baseline is multiplied by after a sell.",
        range: Range::Between("1", "100"),
    },
    ParamSpec {
        name: "max_inventory",
        kind: ParamKind::Amount,
        default: None,
        doc: "No order that could take a coin's position beyond this worth. Default: ten orders.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "exit_below",
        kind: ParamKind::Number,
        default: Some("0.8"),
        doc: "Give a coin up when its baseline falls below this multiple of its first price.",
        range: Range::Between("0", "1"),
    },
    ParamSpec {
        name: "exit_above",
        kind: ParamKind::Number,
        default: Some("2"),
        doc: "Give a coin up when its baseline rises above this multiple of its first price.",
        range: Range::Between("1", "1000"),
    },
];

/// Orders of `order_amount` that the default inventory limit holds.
const DEFAULT_INVENTORY_ORDERS: i64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    amount: OrderAmount,
    buy_step: Decimal,
    sell_step: Decimal,
    buy_move: Decimal,
    sell_move: Decimal,
    max_inventory: Option<Decimal>,
    exit_below: Decimal,
    exit_above: Decimal,
}

/// One coin's grid: everything that a restart must bring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Coin {
    id: InstrumentId,
    /// The first price; `None` until there was one.
    init: Option<Decimal>,
    baseline: Decimal,
    /// By [`Side`]: buy, sell.
    orders: [Option<Working>; 2],
    retry: [Retry; 2],
    /// The baseline moved: what still rests belongs to the old one and is being cancelled.
    moved: bool,
    exited: bool,
    /// Signed coins or contracts from own fills, net of fees charged in coins.
    held: Decimal,
    gap: bool,
    /// A side waits for the market or for room in the inventory.
    waiting: bool,
    looked_at: Option<View>,
}

impl Coin {
    fn new(id: InstrumentId) -> Coin {
        Coin {
            id,
            init: None,
            baseline: Decimal::ZERO,
            orders: [None; 2],
            retry: [Retry::default(); 2],
            moved: false,
            exited: false,
            held: Decimal::ZERO,
            gap: false,
            waiting: true,
            looked_at: None,
        }
    }

    /// A buy or sell order was filled: the baseline follows, and both orders are placed anew around it.
    fn filled(&mut self, ctx: &mut Ctx<'_>, s: &Settings, side: Side) {
        let (factor, init) = (if side == Side::Buy { s.buy_move } else { s.sell_move }, self.init.unwrap_or_default());
        // The old value once more, so that a chart shows a step.
        self.plot(ctx);
        // A baseline beyond the range of numbers stays where it is; the exit below has long been passed then.
        self.baseline = self.baseline.mul(factor, Rounding::HalfEven).unwrap_or(self.baseline);
        self.plot(ctx);
        self.moved = true;
        self.retry = [Retry::default(); 2];
        let share = self.baseline.div(init, Rounding::HalfEven).unwrap_or(Decimal::ZERO);
        if !self.exited && (share < s.exit_below || share > s.exit_above) {
            self.exited = true;
            let symbol = ctx.instrument(self.id).symbol.clone();
            ctx.note(format!("giving {symbol} up: its baseline is {share} times its first price"));
        }
    }

    fn plot(&self, ctx: &mut Ctx<'_>) {
        if self.init.is_some() {
            ctx.plot_all(self.id, |point| point("baseline", self.baseline.to_f64()));
        }
    }

    /// Does whatever can be done now. Safe to call at any time.
    fn work(&mut self, ctx: &mut Ctx<'_>, s: &Settings, alarm: &mut Alarm) {
        self.waiting = false;
        if self.exited || self.moved {
            self.clear_old(ctx, alarm);
            if self.exited || self.moved {
                return;
            }
        }
        self.gap &= ctx.book(self.id).is_none();
        self.looked_at = View::of(ctx, self.id);
        let Some(view) = self.looked_at.filter(|_| !self.gap) else {
            self.waiting = true;
            if self.gap {
                // A book may come back just as it was, which is no tick.
                alarm.arm(ctx, ctx.now().after(PAUSE));
            }
            return;
        };
        if self.init.is_none() {
            self.init = ctx.price(self.id).filter(|px| px.is_positive());
            self.baseline = self.init.unwrap_or_default();
            self.plot(ctx);
        }
        if self.init.is_some() {
            for side in [Side::Buy, Side::Sell] {
                self.keep_order(ctx, s, alarm, view, side);
            }
        }
    }

    fn clear_old(&mut self, ctx: &mut Ctx<'_>, alarm: &mut Alarm) {
        let old: Vec<Working> = self.orders.iter().flatten().copied().collect();
        self.moved &= !old.is_empty();
        for order in &old {
            ctx.cancel(order.id);
        }
        if !old.is_empty() {
            // In case a cancel is refused.
            alarm.arm(ctx, ctx.now().after(PAUSE));
        }
    }

    fn keep_order(&mut self, ctx: &mut Ctx<'_>, s: &Settings, alarm: &mut Alarm, view: View, side: Side) {
        if self.orders[side as usize].is_some() {
            return;
        }
        let due = self.retry[side as usize].at;
        if due > ctx.now() {
            return alarm.arm(ctx, due);
        }
        let i = ctx.instrument(self.id).clone();
        let Some((price, size)) = self.wanted(s, &i, view, side) else {
            self.retry[side as usize].failed(ctx.now());
            return alarm.arm(ctx, self.retry[side as usize].at);
        };
        let owned = i.is_spot().then(|| ctx.balance(i.base));
        if self.has_room(s, &i, owned, side, price, size) {
            let request = OrderRequest::limit(i.id, side, price, size).post_only();
            self.orders[side as usize] = Some(Working::place(ctx, request));
        } else {
            self.waiting = true;
        }
    }

    /// Price and size of one side's order: at its step of the baseline, or where the market has passed that, at the
    /// nearest price that does not take.
    fn wanted(&self, s: &Settings, i: &Instrument, view: View, side: Side) -> Option<(Price, Qty)> {
        let step = if side == Side::Buy { s.buy_step } else { s.sell_step };
        let level = self.baseline.mul(step, Rounding::HalfEven).ok().and_then(|px| i.price_passive(side, px).ok())?;
        let tick = i.tick.0;
        let price = match side {
            Side::Buy => level.0.min((view.ask.0 - 1).div_euclid(tick) * tick),
            Side::Sell => level.0.max((view.bid.0.div_euclid(tick) + 1) * tick),
        };
        let size = s.amount.size(i, Price(price))?;
        Some((Price(price), size))
    }

    /// Whether the order stays within the inventory limit and, on spot, within the coins that are there.
    fn has_room(&self, s: &Settings, i: &Instrument, owned: Option<Decimal>, side: Side, px: Price, size: Qty) -> bool {
        let size = i.qty_decimal(size);
        if let Some(owned) = owned.filter(|_| side == Side::Sell) {
            return size <= owned;
        }
        let most = match s.max_inventory {
            Some(quote) => i.qty_for_quote(quote, px).map(|q| i.qty_decimal(q)),
            None => size.mul(Decimal::from_int(DEFAULT_INVENTORY_ORDERS), Rounding::Down),
        };
        let after = if side == Side::Buy { self.held + size } else { size - self.held };
        most.is_ok_and(|most| after <= most)
    }

    fn absorb(&mut self, side: Side, order: &Order, i: &Instrument) {
        if let Some(working) = &mut self.orders[side as usize] {
            self.held += i.qty_decimal(working.take(order));
        }
    }

    /// The order is over. One that filled moves the baseline; so does one that the venue ended half-way.
    fn ended(&mut self, ctx: &mut Ctx<'_>, s: &Settings, order: &Order) {
        let side = order.request.side;
        let Some(working) = self.orders[side as usize].take() else { return };
        let ours = self.moved || self.exited;
        if is_filled(order) || (working.traded() && !ours) {
            self.filled(ctx, s, side);
        } else if !ours {
            let would_take = order.reject.is_some_and(|(reason, _)| reason == RejectReason::PostOnlyWouldTake);
            let retry = &mut self.retry[side as usize];
            if would_take { retry.pause(ctx.now()) } else { retry.failed(ctx.now()) }
        }
    }

    /// Catches up with orders that changed while the strategy was not running.
    fn reconcile(&mut self, ctx: &mut Ctx<'_>, s: &Settings) {
        for side in [Side::Buy, Side::Sell] {
            let Some(working) = self.orders[side as usize] else { continue };
            match ctx.order(working.id).cloned() {
                Some(order) => {
                    self.absorb(side, &order, ctx.instrument(self.id));
                    if !order.is_open() {
                        self.ended(ctx, s, &order);
                    }
                }
                None => self.orders[side as usize] = None,
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// In order of instrument ids.
    coins: Vec<Coin>,
    alarm: Alarm,
}

/// See the module's head.
#[derive(Debug)]
pub struct GridAll {
    settings: Settings,
    s: State,
}

impl GridAll {
    pub(crate) fn build(args: &Args<'_>) -> Result<GridAll, ParamError> {
        let amount = order_amount(args, Decimal::from_int(10))?;
        let ids = args.symbols("symbols")?;
        for id in &ids {
            check_minimum(args, amount, *id)?;
        }
        let settings = Settings {
            amount,
            buy_step: args.number("buy_step")?,
            sell_step: args.number("sell_step")?,
            buy_move: args.number("buy_move")?,
            sell_move: args.number("sell_move")?,
            max_inventory: args.decimal("max_inventory")?,
            exit_below: args.number("exit_below")?,
            exit_above: args.number("exit_above")?,
        };
        if let Some(most) = settings.max_inventory.filter(|most| *most < amount.quote) {
            return Err(args.error("max_inventory", format_args!("{most} is less than one order of {}", amount.quote)));
        }
        let coins = ids.into_iter().map(Coin::new).collect();
        Ok(GridAll { settings, s: State { coins, alarm: Alarm::default() } })
    }

    fn at(&self, id: InstrumentId) -> Option<usize> {
        self.s.coins.binary_search_by_key(&id, |c| c.id).ok()
    }

    fn work(&mut self, ctx: &mut Ctx<'_>, at: usize) {
        self.s.coins[at].work(ctx, &self.settings, &mut self.s.alarm);
    }

    fn work_all(&mut self, ctx: &mut Ctx<'_>) {
        let mut blind = false;
        for at in 0..self.s.coins.len() {
            self.work(ctx, at);
            blind |= ctx.quote(self.s.coins[at].id).is_none();
        }
        if blind {
            self.s.alarm.arm(ctx, ctx.now().after(POLL));
        }
    }
}

impl Strategy for GridAll {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        self.s.alarm.reset();
        for at in 0..self.s.coins.len() {
            ctx.subscribe(self.s.coins[at].id, Feeds::QUOTES);
            self.s.coins[at].reconcile(ctx, &self.settings);
        }
        self.work_all(ctx);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        let Some(at) = self.at(id) else { return };
        let coin = &self.s.coins[at];
        let Tick::Quote(quote) = tick else { return };
        if (coin.waiting || coin.gap) && View::from_quote(quote).is_some_and(|v| coin.looked_at != Some(v) || coin.gap)
        {
            self.work(ctx, at);
        }
    }

    fn on_gap(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        if let Some(at) = self.at(id) {
            self.s.coins[at].gap = true;
            self.work(ctx, at);
        }
    }

    fn on_order(&mut self, ctx: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        // A fill is taken in by `on_fill`, which knows its fee.
        if order.is_open() || change == OrderChange::Filled {
            return;
        }
        let Some(at) = self.at(order.request.instrument) else { return };
        let (coin, side) = (&mut self.s.coins[at], order.request.side);
        if coin.orders[side as usize].is_some_and(|o| o.id == order.id()) {
            coin.absorb(side, order, ctx.instrument(coin.id));
            coin.ended(ctx, &self.settings, order);
            self.work(ctx, at);
        }
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, order: &Order, fill: &Fill) {
        let Some(at) = self.at(order.request.instrument) else { return };
        let (coin, side) = (&mut self.s.coins[at], order.request.side);
        let i = ctx.instrument(coin.id);
        coin.held -= fee_in_units(i, fill);
        if coin.orders[side as usize].is_none_or(|o| o.id != order.id()) {
            // A fill that came after the order's end.
            coin.held += i.qty_decimal(Qty(fill.last_qty.0 * fill.side.sign()));
            return;
        }
        coin.absorb(side, order, i);
        if !order.is_open() {
            coin.ended(ctx, &self.settings, order);
            self.work(ctx, at);
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _: u64) {
        self.s.alarm.rang(ctx.now());
        self.work_all(ctx);
    }

    fn on_stop(&mut self, ctx: &mut Ctx<'_>) {
        for coin in &self.s.coins {
            coin.plot(ctx);
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.s).expect("state is plain data")
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        let state = State::deserialize(state).map_err(|e| e.to_string())?;
        if !state.coins.iter().map(|c| c.id).eq(self.s.coins.iter().map(|c| c.id)) {
            return Err("the saved coins are not the configured ones".into());
        }
        self.s = state;
        Ok(())
    }

    fn trades(&self) -> Vec<InstrumentId> {
        self.s.coins.iter().map(|coin| coin.id).collect()
    }
}
