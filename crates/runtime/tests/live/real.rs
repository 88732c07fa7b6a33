//! Real venues: what leaves was durable before, nothing leaves twice, and a restart repeats without a market.

use crate::script::{Dice, JOURNAL, Script, TAG, durable, seeds, settings};
use ctos_runtime::shard::{LiveParts, LiveVenue, Shard};
use ctos_runtime::world::{self, Catalog};
use ctos_storage::fs::Fs;
use ctos_storage::journal::JournalReader;
use ctos_storage::sim_fs::SimFs;
use ctos_types::event::EventKind;
use ctos_types::{
    AccountEvent, AccountId, Balance, CancelReason, ClientOrderId, Command, Control, Currency, Decimal, EventBuf,
    ExecId, Fill, InstrumentId, Leg, Liquidity, Nanos, NewOrder, OrderReport, OrderStatus, Price, Qty, Quote,
    ReportBody, Side, UnixNanos, VenueOrderId,
};
use ctos_venue::MarketSource;
use ctos_venue::synthetic::{SyntheticConfig, SyntheticMarket};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const ME: AccountId = AccountId(0);
const PERP: InstrumentId = InstrumentId(0);
const START: UnixNanos = UnixNanos::from_secs(1_700_000_000);

fn open(fs: &Arc<dyn Fs>, snapshots: bool, script: Option<&Script>) -> Shard {
    let symbols = ["sim:BTC-USDT-PERP".to_owned()];
    let market = SyntheticMarket::new(SyntheticConfig::for_symbols(1, &symbols).unwrap()).unwrap();
    let settings = settings(1, "grid", &[("spacing", "0.001"), ("levels", "4")]);
    let instruments = market.instruments().clone();
    let kernel = world::kernel_only(&settings, Catalog::BUILT_IN, instruments, TAG, BTreeMap::new()).unwrap();
    let (durable, store, next_seq) = durable(fs, if snapshots { 120 } else { 1 << 40 });
    let parts = LiveParts { kernel, venue: LiveVenue::Real, durable };
    let mut shard = if next_seq == 0 {
        Shard::new(parts, Box::new(()))
    } else {
        let latest = store.latest(next_seq - 1).unwrap().snapshot;
        let mut reader = JournalReader::open(fs.clone(), Path::new(JOURNAL)).unwrap();
        if let Some(snapshot) = &latest {
            reader.seek_segment_for(snapshot.seq + 1);
        }
        Shard::recover(parts, latest, reader, Box::new(())).unwrap().0
    };
    if let Some(script) = script {
        shard.attach(Box::new(script.clone())).unwrap();
    }
    shard
}

/// A venue with one account that believes every id it has seen.
#[derive(Default)]
struct Toy {
    orders: BTreeMap<ClientOrderId, (NewOrder, bool)>,
    position: i64,
    execs: u64,
    mid: i64,
    taken: usize,
    fresh: bool,
    /// The price stands still.
    calm: bool,
}

impl Toy {
    fn report(&self, id: ClientOrderId, body: ReportBody, at: UnixNanos) -> EventBuf {
        let cl_ord_id = Some(id);
        OrderReport {
            account: ME,
            instrument: PERP,
            cl_ord_id,
            venue_order_id: VenueOrderId::from_u64(id.seq),
            ts_event: at,
            body,
        }
        .into()
    }

    /// The market moves and orders trade; `mute`: the answers get lost.
    fn turn(&mut self, script: &Script, dice: &mut Dice, mute: bool) {
        let now = script.wire().now;
        let commands: Vec<Command> = script.wire().sent[self.taken..].to_vec();
        self.taken += commands.len();
        let mut say = Vec::new();
        for command in commands {
            match command {
                Command::Place(order) => {
                    let twice = self.orders.insert(order.cl_ord_id, (order, true));
                    assert!(twice.is_none(), "{} was sent twice", order.cl_ord_id);
                    say.push(self.report(order.cl_ord_id, ReportBody::Accepted, now));
                }
                Command::Cancel(cancel) => {
                    if let Some((_, open)) = self.orders.get_mut(&cancel.cl_ord_id).filter(|(_, open)| *open) {
                        *open = false;
                        let reason = CancelReason::Requested;
                        say.push(self.report(cancel.cl_ord_id, ReportBody::Canceled { reason }, now));
                    }
                }
                other => panic!("the grid sends no {other:?}"),
            }
        }
        let moved = if self.calm { 0 } else { dice.roll(401) as i64 - 200 };
        self.mid = (self.mid + moved).max(10_000);
        say.extend(self.fills(now));
        if mute {
            return;
        }
        say.into_iter().for_each(|event| script.push(event));
        let (bid_px, ask_px, bid_qty, ask_qty) = (Price(self.mid - 1), Price(self.mid + 1), Qty(900_000), Qty(900_000));
        let quote = Quote { bid_px, bid_qty, ask_px, ask_qty };
        let kind = EventKind::Quote { instrument: PERP, ts_event: now, quote, update_id: 0 };
        script.push(EventBuf { kind, levels: vec![] });
    }

    fn fills(&mut self, now: UnixNanos) -> Vec<EventBuf> {
        let mut done = Vec::new();
        for (order, open) in self.orders.values_mut().filter(|(_, open)| *open) {
            let Some(px) = order.kind.limit_price() else { continue };
            let reached = if order.side == Side::Buy { self.mid <= px.0 } else { self.mid >= px.0 };
            let ctos_types::OrderQty::Size(qty) = order.qty else { continue };
            if reached {
                *open = false;
                self.position += qty.0 * order.side.sign();
                done.push((order.cl_ord_id, order.side, px, qty));
            }
        }
        let fill = |(id, side, last_px, last_qty)| {
            self.execs += 1;
            let fill = Fill {
                exec_id: ExecId::from_u64(self.execs),
                side,
                leg: Leg::Net,
                last_px,
                last_qty,
                liquidity: Liquidity::Maker,
                fee: Decimal::ZERO,
                fee_currency: Currency::new("USDT").unwrap(),
            };
            (id, ReportBody::Fill(fill))
        };
        let bodies: Vec<_> = done.into_iter().map(fill).collect();
        bodies.into_iter().map(|(id, body)| self.report(id, body, now)).collect()
    }

    /// What a desk does at a start: every order that either side has is looked up, and then the account is known.
    fn reconcile(&mut self, shard: &Shard, script: &Script) {
        let now = script.wire().now;
        for order in shard.kernel().open_orders() {
            let id = order.id();
            let body = match self.orders.get(&id) {
                // Never arrived.
                None => ReportBody::Canceled { reason: CancelReason::Venue },
                Some((_, true)) => ReportBody::Accepted,
                Some((_, false)) => ReportBody::Canceled { reason: CancelReason::Requested },
            };
            script.push(self.report(id, body, now));
        }
        let (have, ours) = (self.position, shard.kernel().portfolio().net_qty(ME, PERP).0);
        if self.fresh {
            let balance = Balance { total: Decimal::from_int(100_000), ..Balance::default() };
            let currency = Currency::new("USDT").unwrap();
            script.push(AccountEvent::Balance { account: ME, currency, balance });
        }
        if have != ours {
            let (qty, entry_px) = (Qty(have - ours), Some(Decimal::from_int(100)));
            script.push(AccountEvent::Opening { account: ME, instrument: PERP, leg: Leg::Net, qty, entry_px });
        }
        script.push(AccountEvent::Standing { account: ME, known: true });
        self.fresh = false;
    }
}

fn pass(script: &Script, dice: &mut Dice) -> UnixNanos {
    let mut wire = script.wire();
    wire.now = wire.now.after(Nanos::from_millis(1 + dice.roll(3_000) as i64));
    wire.now
}

fn story(seed: u64) {
    let mut dice = Dice(seed);
    let disk = SimFs::new(seed);
    let fs: Arc<dyn Fs> = Arc::new(disk.clone());
    let script = Script::default();
    script.wire().now = START;
    script.wire().disk = Some(fs.clone());
    let mut toy = Toy { mid: 500_000, fresh: true, ..Toy::default() };
    for life in 0..5 {
        let before = script.wire().sent.len();
        let mut shard = open(&fs, true, Some(&script));
        assert_eq!(script.wire().sent.len(), before, "seed {seed}: a restart sends nothing again");
        assert!(!shard.kernel().is_known(ME));
        toy.reconcile(&shard, &script);
        let now = script.wire().now;
        while shard.advance(now).unwrap() {}
        assert!(shard.kernel().is_known(ME), "seed {seed}");
        if shard.stats().inputs.controls == 0 {
            shard.control(now, &Control::Start).unwrap();
        }
        for _ in 0..120 {
            toy.turn(&script, &mut dice, false);
            if dice.one_in(50) {
                script.wire().room = Some(dice.roll(4) as usize);
            } else if dice.one_in(5) {
                script.wire().room = None;
            }
            let now = pass(&script, &mut dice);
            while shard.advance(now).unwrap() {}
        }
        script.wire().room = None;
        if life == 4 {
            finish(shard, &script, &mut toy, &mut dice, seed);
            break;
        }
        drop(shard);
        if dice.one_in(2) {
            disk.crash();
        }
        // What was on its way to us is gone; the venue goes on without us.
        script.wire().events.clear();
        toy.turn(&script, &mut dice, true);
    }
    assert!(toy.execs > 0, "seed {seed}: nothing traded, this proves little");
}

/// The run ends: everything is cancelled, both sides agree, and from the first input it all comes out again.
fn finish(mut shard: Shard, script: &Script, toy: &mut Toy, dice: &mut Dice, seed: u64) {
    let now = pass(script, dice);
    shard.control(now, &Control::Stop { reason: "end".into() }).unwrap();
    for _ in 0..20 {
        toy.turn(script, dice, false);
        let now = pass(script, dice);
        while shard.advance(now).unwrap() {}
    }
    assert_eq!(shard.kernel().orders().open_count(), 0, "seed {seed}");
    assert!(toy.orders.values().all(|(_, open)| !open), "seed {seed}");
    assert_eq!(shard.kernel().portfolio().net_qty(ME, PERP).0, toy.position, "seed {seed}");
    shard.sync().unwrap();
}

#[test]
fn nothing_leaves_without_a_record_or_twice_over_any_crash() {
    for seed in seeds(0..16) {
        story(seed);
    }
}

#[test]
fn a_restart_without_a_snapshot_comes_to_the_same_state() {
    let disk: Arc<dyn Fs> = Arc::new(SimFs::new(3));
    let (script, mut dice) = (Script::default(), Dice(3));
    script.wire().now = START;
    let mut toy = Toy { mid: 500_000, fresh: true, ..Toy::default() };
    let mut shard = open(&disk, false, Some(&script));
    toy.reconcile(&shard, &script);
    while shard.advance(START).unwrap() {}
    shard.control(START, &Control::Start).unwrap();
    for _ in 0..100 {
        toy.turn(&script, &mut dice, false);
        let now = pass(&script, &mut dice);
        while shard.advance(now).unwrap() {}
    }
    shard.sync().unwrap();
    let want = serde_json::to_value(shard.kernel().save()).unwrap();
    drop(shard);
    let again = open(&disk, false, None);
    assert_eq!(serde_json::to_value(again.kernel().save()).unwrap(), want);
}

#[test]
fn an_order_that_finds_no_room_is_told_as_refused_and_a_cancel_waits() {
    let disk: Arc<dyn Fs> = Arc::new(SimFs::new(4));
    let (script, mut dice) = (Script::default(), Dice(4));
    script.wire().now = START;
    let mut toy = Toy { mid: 500_000, fresh: true, calm: true, ..Toy::default() };
    let mut shard = open(&disk, false, Some(&script));
    toy.reconcile(&shard, &script);
    while shard.advance(START).unwrap() {}
    shard.control(START, &Control::Start).unwrap();
    script.wire().room = Some(2);
    for _ in 0..3 {
        toy.turn(&script, &mut dice, false);
        let now = pass(&script, &mut dice);
        while shard.advance(now).unwrap() {}
    }
    assert_eq!(script.wire().sent.len(), 2);
    assert!(shard.stats().orders.rejected > 0, "those without room are told at once");
    let open = shard.kernel().orders().open_count();
    assert!(open > 0);
    shard.control(START.after(Nanos::from_secs(60)), &Control::Stop { reason: "end".into() }).unwrap();
    assert!(shard.in_flight(), "cancels wait for room");
    assert!(shard.kernel().open_orders().all(|o| o.status != OrderStatus::Unknown));
    script.wire().room = None;
    for _ in 0..5 {
        toy.turn(&script, &mut dice, false);
        let now = pass(&script, &mut dice);
        while shard.advance(now).unwrap() {}
    }
    assert_eq!(shard.kernel().orders().open_count(), 0);
}
