//! A kernel that was saved as text and restored goes on exactly as the one that was not.

use crate::support::{INVERSE, OTHER, PERP, SPOT, TAG, account, cur, d, instruments};
use ctos_kernel::{Ctx, Feeds, Kernel, KernelConfig, Limits, Order, OrderChange, OrderRequest, Output, ProcessSpec};
use ctos_kernel::{RestoreError, Strategy, Tick};
use ctos_types::{
    AccountEvent, AccountId, Balance, Bar, CancelReason, ClientOrderId, Command, Control, Decimal, Event, ExecId, Fill,
    HaltScope, InstanceTag, InstrumentId, Interval, KillState, Leg, Level, Liquidity, MarkPrice, Market, MarketData,
    Nanos, OrderKind, OrderQty, OrderReport, Price, Qty, Quote, RejectReason, ReportBody, Request, Side, Stamped, Text,
    Trade, UnixNanos, VenueOrderId,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A small generator with its state in plain sight, so that a strategy can save it.
#[derive(Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Does a bit of everything, by its dice.
struct Monkey(Dice);

impl Monkey {
    fn play(&mut self, ctx: &mut Ctx<'_>) {
        let id = [PERP, SPOT, INVERSE, OTHER][self.0.roll(4) as usize];
        let side = if self.0.roll(2) == 0 { Side::Buy } else { Side::Sell };
        let (px, qty) = (Price(950 + self.0.roll(100) as i64), Qty(100 + self.0.roll(900) as i64));
        let pick = |dice: &mut Dice, ctx: &Ctx<'_>| {
            let open: Vec<ClientOrderId> = ctx.open_orders().map(Order::id).collect();
            (!open.is_empty()).then(|| open[dice.roll(open.len() as u64) as usize])
        };
        match self.0.roll(12) {
            0..=3 => drop(ctx.place(OrderRequest::limit(id, side, px, qty).post_only())),
            4 => drop(ctx.place(OrderRequest::market(id, side, qty).reduce_only())),
            5 => drop(ctx.place(OrderRequest::market_quote(id, side, d("123.456789")))),
            6 => {
                let kind = OrderKind::StopLimit { trigger: px, price: px };
                ctx.place(OrderRequest::new(id, side, kind, OrderQty::Size(qty)));
            }
            7 => {
                let target = pick(&mut self.0, ctx);
                target.map(|t| ctx.amend(t, Some(px), Some(qty)));
            }
            8 => {
                let target = pick(&mut self.0, ctx);
                target.map(|t| ctx.cancel(t));
            }
            9 => ctx.set_timer(Nanos(self.0.roll(3_000_000_000) as i64), u64::MAX - self.0.roll(5)),
            10 => ctx.close_all(Some(id)),
            _ => ctx.note(format!("{:?}", ctx.price(id))),
        }
    }
}

impl Strategy for Monkey {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        for id in [PERP, SPOT, INVERSE, OTHER] {
            ctx.subscribe(id, Feeds::QUOTES.and(Feeds::TRADES).and(Feeds::BOOK));
            ctx.subscribe_bars(id, Interval::from_secs(2).unwrap());
        }
        ctx.set_timer(Nanos::from_secs(1), 0);
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, _: &Tick) {
        if self.0.roll(3) == 0 {
            self.play(ctx);
        }
    }
    fn on_book(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId) {
        self.play(ctx);
    }
    fn on_bar(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, bar: &Bar) {
        ctx.note(format!("{bar:?}"));
        self.play(ctx);
    }
    fn on_order(&mut self, ctx: &mut Ctx<'_>, _: &Order, change: OrderChange) {
        if change == OrderChange::Filled {
            self.play(ctx);
        }
        assert!(self.0.roll(200) != 0, "bad luck");
    }
    fn on_timer(&mut self, ctx: &mut Ctx<'_>, token: u64) {
        self.play(ctx);
        ctx.set_timer(Nanos(700_000_000), token ^ 1);
    }
    fn save(&self) -> serde_json::Value {
        self.0.0.into()
    }
    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        self.0.0 = state.as_u64().ok_or("not a number")?;
        Ok(())
    }
}

fn kernel(seed: u64) -> Kernel {
    let limits = Limits { daily_loss: Some(d("300")), max_drawdown_pct: Some(d("30")), ..Limits::default() };
    let accounts = vec![account(0, limits.clone()), account(1, limits.clone())];
    let process = |n: u16| ProcessSpec {
        label: format!("monkey{n}"),
        account: AccountId(n % 2),
        limits: limits.clone(),
        strategy: Box::new(Monkey(Dice(seed + u64::from(n)))),
    };
    let processes = (0..3).map(process).collect();
    let instruments = instruments();
    Kernel::new(KernelConfig { instruments, accounts, processes, tag: TAG, latches: BTreeMap::new() })
}

/// A made-up world: market, a venue without sense, operators. Depends only on its dice and on the commands it saw.
struct World {
    dice: Dice,
    now: UnixNanos,
    sent: Vec<(AccountId, InstrumentId, ClientOrderId, Side)>,
    execs: u64,
}

impl World {
    fn note(&mut self, out: &Output) {
        for command in &out.commands {
            if let Command::Place(o) = command.get() {
                self.sent.push((o.account, o.instrument, o.cl_ord_id, o.side));
            }
        }
    }

    fn report(&mut self) -> OrderReport {
        let dice = &mut self.dice;
        let at = self.sent.len() - 1 - dice.roll(self.sent.len().min(12) as u64) as usize;
        let (account, instrument, id, side) = self.sent[at];
        let request = [Request::Place, Request::Amend, Request::Cancel][dice.roll(3) as usize];
        let (reason, code) = (RejectReason::UnknownOrder, Text::cut("code"));
        self.execs += dice.roll(2);
        let fill = Fill {
            exec_id: ExecId::from_u64(u64::MAX - self.execs),
            side,
            leg: Leg::Net,
            last_px: Price(950 + dice.roll(100) as i64),
            last_qty: Qty(1 + dice.roll(300) as i64),
            liquidity: Liquidity::Maker,
            fee: Decimal::from_atoms(dice.roll(u64::MAX) as i128),
            fee_currency: cur("BNB"),
        };
        let body = match dice.roll(12) {
            0..=3 => ReportBody::Accepted,
            4..=7 => ReportBody::Fill(fill),
            8 => ReportBody::Canceled { reason: CancelReason::Venue },
            9 => ReportBody::Rejected { request, reason, code },
            10 => ReportBody::Unknown { request },
            _ => ReportBody::Amended { price: Some(fill.last_px), qty: Qty(500) },
        };
        let cl_ord_id = Some(id).filter(|_| dice.roll(20) > 0);
        let venue_order_id = VenueOrderId::from_u64(id.seq);
        OrderReport { account, instrument, cl_ord_id, venue_order_id, ts_event: self.now, body }
    }

    /// Feeds one input.
    fn turn(&mut self, kernel: &mut Kernel, out: &mut Output) {
        let span = self.dice.roll(400_000_000) as i64;
        self.now = self.now.after(Nanos(span));
        let deadline = kernel.next_deadline().unwrap_or(UnixNanos::MAX).max(kernel.now());
        // As a runtime does: the kernel is woken when it asked for it.
        let woken = deadline <= self.now;
        self.now = self.now.min(deadline);
        let at = self.now;
        let mut step = |event| kernel.step(&Stamped { seq: kernel.next_input(), at, event }, out);
        let instrument = [PERP, SPOT, INVERSE, OTHER][self.dice.roll(4) as usize];
        let market = |data| Event::Market(Market { instrument, ts_event: at.after(Nanos(-1_000_000)), data });
        let px = 960 + self.dice.roll(80) as i64;
        let level = |px, qty| Level { price: Price(px), qty: Qty(qty) };
        match self.dice.roll(20) {
            _ if woken => step(Event::Wake),
            0..=4 => {
                let quote = Quote { bid_px: Price(px), bid_qty: Qty(5), ask_px: Price(px + 2), ask_qty: Qty(5) };
                step(market(MarketData::Quote { quote, update_id: 0 }));
            }
            5..=7 => {
                let trade = Trade { price: Price(px), qty: Qty(i64::MAX), aggressor: Side::Sell, id: u64::MAX };
                step(market(MarketData::Trade(trade)));
            }
            8 => {
                let (bids, asks) = ([level(px, 5), level(px - 1, i64::MAX)], [level(px + 3, 5)]);
                step(market(MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: u64::MAX }));
            }
            9 => {
                let bids = [level(px, self.dice.roll(3) as i64)];
                step(market(MarketData::Depth { bids: &bids, asks: &[], snapshot: false, update_id: u64::MAX }));
            }
            10 => {
                let mark = d("100.000000000000000001");
                let (funding_rate, next_funding) = (d("-0.0001"), UnixNanos::MAX);
                step(market(MarketData::Mark(&MarkPrice { mark, index: mark, funding_rate, next_funding })));
            }
            11 if self.dice.roll(8) == 0 => step(market(MarketData::Gap)),
            12 if self.dice.roll(4) == 0 => {
                let total = Decimal::new(self.dice.roll(u64::MAX) as i64 >> 8, 10);
                let (account, currency) = (AccountId(self.dice.roll(2) as u16), cur("USDT"));
                let balance = Balance { total, ..Balance::default() };
                step(Event::Account(&AccountEvent::Balance { account, currency, balance }));
            }
            13 => {
                let (amount, currency) =
                    (Decimal::from_atoms(self.dice.roll(u64::MAX) as i128 - (1 << 62)), cur("USDT"));
                let (account, leg) = (AccountId(self.dice.roll(2) as u16), Leg::Net);
                step(Event::Account(&AccountEvent::Funding { account, instrument: PERP, leg, amount, currency }));
            }
            14 if self.dice.roll(10) == 0 => {
                let scope = [HaltScope::System, HaltScope::Account(AccountId(1))][self.dice.roll(2) as usize];
                let state = [KillState::Reducing, KillState::Halted][self.dice.roll(2) as usize];
                step(Event::Control(&Control::Halt { scope, state, reason: "\"quoted\" \u{5e01}".into() }));
            }
            15 => {
                let scopes = [HaltScope::System, HaltScope::Account(AccountId(0)), HaltScope::Account(AccountId(1))];
                let scope = scopes[self.dice.roll(3) as usize];
                step(Event::Control(&Control::Resume { scope, reason: "go on".into() }));
            }
            _ if !self.sent.is_empty() => {
                let report = self.report();
                kernel.step(&Stamped { seq: kernel.next_input(), at, event: Event::Report(&report) }, out);
            }
            _ => step(Event::Wake),
        }
        self.note(out);
    }
}

fn world(seed: u64) -> World {
    World { dice: Dice(seed), now: UnixNanos::from_secs(1_700_000_000), sent: Vec::new(), execs: 0 }
}

fn begin(kernel: &mut Kernel, world: &mut World, out: &mut Output) {
    for account in [0, 1].map(AccountId) {
        for (currency, total) in [("USDT", "10000"), ("BTC", "10"), ("BNB", "99999")] {
            let balance = Balance { total: d(total), ..Balance::default() };
            let event = AccountEvent::Balance { account, currency: cur(currency), balance };
            kernel.step(&Stamped { seq: kernel.next_input(), at: world.now, event: Event::Account(&event) }, out);
        }
    }
    let event = Event::Control(&Control::Start);
    kernel.step(&Stamped { seq: kernel.next_input(), at: world.now, event }, out);
}

/// Saved as text, read back into a kernel made anew.
fn reborn(kernel: &Kernel) -> Kernel {
    let text = serde_json::to_string(&kernel.save()).unwrap();
    // The dice of the new strategies are wrong until they are restored.
    let mut new = self::kernel(u64::MAX / 2);
    new.restore(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&new.save()).unwrap(), text, "restoring and saving changes nothing");
    new
}

/// Panics of the strategies are part of the play: they need not be read by whoever runs the tests.
fn quietly(f: impl FnOnce()) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<&str>().copied().unwrap_or_default();
            if !text.contains("bad luck") {
                usual(info);
            }
        }));
    });
    f();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn restored_kernels_go_on_identically(
        seed in 0u64..u64::MAX / 2, cuts in prop::collection::btree_set(1usize..400, 0..6),
    ) {
        quietly(|| {
            let (mut straight, mut cut) = (kernel(seed), kernel(seed));
            let (mut world_a, mut world_b) = (world(seed ^ 1), world(seed ^ 1));
            let (mut out_a, mut out_b) = (Output::default(), Output::default());
            begin(&mut straight, &mut world_a, &mut out_a);
            begin(&mut cut, &mut world_b, &mut out_b);
            for turn in 0..400 {
                if cuts.contains(&turn) {
                    cut = reborn(&cut);
                }
                // Deadlines decide when wakes are sent, and so are part of what must be the same.
                assert_eq!(straight.next_deadline(), cut.next_deadline());
                world_a.turn(&mut straight, &mut out_a);
                world_b.turn(&mut cut, &mut out_b);
                assert_eq!(out_a.audits, out_b.audits);
                assert_eq!(out_a.commands, out_b.commands);
            }
            assert_eq!(straight.command_hash(), cut.command_hash());
            let text = |k: &Kernel| serde_json::to_string(&k.save()).unwrap();
            assert_eq!(text(&straight), text(&cut));
        });
    }
}

#[test]
fn the_play_is_lively() {
    quietly(|| {
        let (mut commands, mut fills, mut failed) = (0, 0, 0);
        for seed in 0..10 {
            let (mut kernel, mut world, mut out) = (kernel(seed), world(seed ^ 1), Output::default());
            begin(&mut kernel, &mut world, &mut out);
            for _ in 0..400 {
                world.turn(&mut kernel, &mut out);
                fills += out.audits.iter().filter(|a| matches!(a, ctos_kernel::Audit::Fill { .. })).count();
            }
            commands += kernel.commands_out();
            failed +=
                kernel.processes().filter(|p| matches!(p.state, ctos_kernel::ProcessState::Failed { .. })).count();
        }
        assert!(commands > 1000 && fills > 30 && failed > 0, "{commands} commands, {fills} fills, {failed} failed");
    });
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let saved = serde_json::to_value(kernel(1).save()).unwrap();
    let mut with_other_tag = saved.clone();
    with_other_tag["tag"] = serde_json::json!(InstanceTag(TAG.0 + 1));
    let mut with_other_schema = saved.clone();
    with_other_schema["schema"] = 99.into();
    let mut renamed = saved.clone();
    renamed["processes"][1]["label"] = "somebody".into();
    let mut fewer = saved.clone();
    fewer["state"]["markets"].as_array_mut().unwrap().pop();
    let mut torn = saved.clone();
    torn["state"]["orders"] = serde_json::Value::Null;
    let mut lost = saved.clone();
    lost["processes"][0]["saved"] = "dice".into();
    let error = |v| kernel(1).restore(v).unwrap_err();
    assert!(matches!(error(&with_other_tag), RestoreError::Mismatch(_)));
    assert!(matches!(error(&with_other_schema), RestoreError::Schema { found: 99 }));
    assert!(matches!(error(&renamed), RestoreError::Mismatch(_)));
    assert!(matches!(error(&fewer), RestoreError::Mismatch(_)));
    assert!(matches!(error(&torn), RestoreError::Malformed(_)));
    assert!(matches!(error(&lost), RestoreError::Strategy { .. }));
    assert!(matches!(error(&serde_json::Value::Null), RestoreError::Schema { .. }));
    kernel(1).restore(&saved).unwrap();
}
