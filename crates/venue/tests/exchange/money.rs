//! Random actions of every kind against an independent ledger built from the reports alone: everything ties out, always.

use crate::kit::*;
use ctos_types::*;
use ctos_venue::*;
use std::collections::BTreeMap;

/// Splitmix: the actions of a seed are the same on every machine.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn roll(&mut self, sides: u64) -> i64 {
        (self.next() % sides) as i64
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
    pub fn side(&mut self) -> Side {
        self.pick(&[Side::Buy, Side::Sell])
    }
}

#[derive(Clone, Copy)]
struct Known {
    size: Option<i64>,
    filled: i64,
    open: bool,
}

/// What the accounts must look like if the reports are the whole truth.
#[derive(Default)]
struct Ledger {
    cash: BTreeMap<(AccountId, Currency), Decimal>,
    positions: BTreeMap<(AccountId, InstrumentId, Leg), Position>,
    orders: BTreeMap<(AccountId, ClientOrderId), Known>,
    placed: BTreeMap<(AccountId, ClientOrderId), NewOrder>,
    pub fills: usize,
    pub liquidations: usize,
    pub kinds: BTreeMap<&'static str, usize>,
}

impl Ledger {
    fn flow(&mut self, account: AccountId, currency: Currency, amount: Decimal) {
        *self.cash.entry((account, currency)).or_default() += amount;
    }

    fn hear(&mut self, all: &Instruments, said: &Private) {
        match said {
            Private::Account(event) => match *event {
                AccountEvent::Funding { account, amount, currency, .. } => {
                    self.count("funding");
                    self.flow(account, currency, amount)
                }
                AccountEvent::Interest { account, currency, amount } => {
                    self.count("interest");
                    self.flow(account, currency, -amount)
                }
                AccountEvent::Adjustment { account, currency, amount } => {
                    self.count("adjustment");
                    self.flow(account, currency, amount)
                }
                AccountEvent::Liquidated { .. } => self.liquidations += 1,
                AccountEvent::Balance { .. } | AccountEvent::Position { .. } => {}
                AccountEvent::Opening { .. } | AccountEvent::Standing { .. } => panic!("not the venue's to say"),
            },
            Private::Report(report) => self.hear_report(all, report),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.kinds.entry(what).or_default() += 1;
    }

    fn hear_report(&mut self, all: &Instruments, r: &OrderReport) {
        let key = r.cl_ord_id.map(|id| (r.account, id));
        match r.body {
            ReportBody::Accepted => {
                let key = key.unwrap();
                let size = match self.placed[&key].qty {
                    OrderQty::Size(q) => Some(q.0),
                    OrderQty::Quote(_) => None,
                };
                assert!(self.orders.insert(key, Known { size, filled: 0, open: true }).is_none(), "accepted twice");
            }
            ReportBody::Fill(f) => {
                self.fills += 1;
                self.hear_fill(all.get(r.instrument), r.account, &f);
                if let Some(known) = key.map(|k| self.orders.get_mut(&k).expect("accepted before filled")) {
                    assert!(known.open, "filled after closed");
                    known.filled += f.last_qty.0;
                    if let Some(size) = known.size {
                        assert!(known.filled <= size, "filled {} of {size}", known.filled);
                        known.open = known.filled < size;
                    }
                }
            }
            ReportBody::Amended { qty, .. } => {
                self.count("amended");
                let known = self.orders.get_mut(&key.unwrap()).unwrap();
                assert!(known.open && qty.0 > known.filled);
                known.size = Some(qty.0);
            }
            ReportBody::Canceled { .. } | ReportBody::Expired => {
                self.count("canceled");
                if let Some(known) = key.map(|k| self.orders.get_mut(&k).unwrap()) {
                    assert!(known.open, "closed twice");
                    known.open = false;
                }
            }
            ReportBody::Triggered => {
                self.count("triggered");
                assert!(self.orders[&key.unwrap()].open);
            }
            ReportBody::Rejected { reason, .. } => {
                self.count(if reason == RejectReason::InsufficientBalance { "insufficient" } else { "rejected" });
            }
            ReportBody::Unknown { .. } => panic!("a simulated exchange knows"),
        }
    }

    fn hear_fill(&mut self, i: &Instrument, account: AccountId, f: &Fill) {
        let value = i.value(f.last_px, f.last_qty).unwrap();
        if i.is_spot() {
            let (base, quote) = (i.qty_decimal(f.last_qty), value);
            let (base, quote) = if f.side == Side::Buy { (base, -quote) } else { (-base, quote) };
            self.flow(account, i.base, base);
            self.flow(account, i.quote, quote);
        } else {
            let position = self.positions.entry((account, i.id, f.leg)).or_default();
            let realized = position.apply(i, f.side, f.last_px, f.last_qty).unwrap();
            self.flow(account, i.settle(), realized);
        }
        self.flow(account, f.fee_currency, -f.fee);
    }

    fn check(&self, ex: &Exchange, cash_accounts: &[AccountId]) {
        for account in ex.accounts() {
            let mut holds: BTreeMap<Currency, Decimal> = BTreeMap::new();
            let mut open = 0;
            for o in ex.open_orders(account) {
                *holds.entry(o.hold_currency).or_default() += o.hold;
                assert!(!o.hold.is_negative(), "negative hold: {o:?}");
                let known = self.orders[&(account, o.request.cl_ord_id)];
                assert!(known.open && known.filled == o.cum_qty.0 && known.size.is_none_or(|s| s == o.qty.0), "{o:?}");
                open += 1;
            }
            assert_eq!(open, self.orders.iter().filter(|((a, _), k)| *a == account && k.open).count());
            for (currency, b) in ex.balances(account) {
                let net = b.total - b.borrowed - b.interest;
                let ours = self.cash.get(&(account, currency)).copied().unwrap_or_default();
                assert_eq!(net, ours, "{currency} of {account:?}");
                assert_eq!(b.hold, holds.remove(&currency).unwrap_or_default(), "hold of {currency} of {account:?}");
                if cash_accounts.contains(&account) {
                    assert!(!b.available().is_negative(), "{currency} of {account:?}: {b:?}");
                }
                assert!(!b.borrowed.is_negative() && !b.interest.is_negative());
            }
            assert!(holds.values().all(|h| h.is_zero()));
            let ours: Vec<_> = self
                .positions
                .iter()
                .filter(|((a, ..), p)| *a == account && !p.is_flat())
                .map(|((_, i, l), p)| (*i, *l, *p))
                .collect();
            assert_eq!(ex.positions(account).collect::<Vec<_>>(), ours);
            let wrong = |leg: Leg, qty: i64| (leg == Leg::Long && qty < 0) || (leg == Leg::Short && qty > 0);
            assert!(!ours.iter().any(|(_, leg, p)| wrong(*leg, p.qty.0)), "a leg turned over: {ours:?}");
        }
    }
}

/// What each balance and position event of a call says must be what the exchange answers after it.
fn events_are_current(ex: &Exchange, out: &[Private]) {
    for event in out {
        match event {
            Private::Account(AccountEvent::Balance { account, currency, balance }) => {
                assert_eq!(*balance, ex.balance(*account, *currency));
            }
            Private::Account(AccountEvent::Position { account, instrument, leg, qty }) => {
                assert_eq!(*qty, ex.position(*account, *instrument, *leg).qty);
            }
            _ => {}
        }
    }
}

/// Cash spot, spot on credit, one-way contracts with a token paying fees, hedged contracts with tiers.
pub fn four_accounts(seed: u64) -> ExchangeConfig {
    let mut accounts = vec![
        account(0, &[("USDT", "300"), ("BTC", "2"), ("BNB", "1")]),
        account(1, &[("USDT", "100"), ("BTC", "0.5")]),
        account(2, &[("USDT", "80"), ("BTC", "0.6"), ("BNB", "0.05")]),
        account(3, &[("USDT", "150"), ("BTC", "1")]),
    ];
    accounts[0].fees.currency = FeeCurrency::Quote;
    // An odd rate, so that fees are not exact in 18 places.
    accounts[0].fees.fixed = Some(FeeRates { maker: d("-0.000100000000000003"), taker: d("0.000700000000000007") });
    let rates = [("USDT", "0.001"), ("BTC", "0.0007")].map(|(c, r)| (ccy(c), d(r)));
    accounts[1].borrow =
        Some(BorrowConfig { valuation: ccy("USDT"), max_leverage: d("3"), interest_per_hour: rates.to_vec() });
    accounts[2].leverage = d("50");
    accounts[2].fees.currency =
        FeeCurrency::Token { currency: ccy("BNB"), discount: d("0.25"), prices: vec![(ccy("USDT"), d("300"))] };
    accounts[3].leverage = d("20");
    accounts[3].hedge_mode = true;
    let tier =
        |min_volume, taker| FeeTier { min_volume: d(min_volume), rates: FeeRates { maker: d("0"), taker: d(taker) } };
    accounts[3].fees.tiers = vec![tier("0", "0.001"), tier("1000", "0.0003")];
    let dice = &mut Dice(seed);
    ExchangeConfig {
        queue: dice.pick(&[QueueModel::Conservative, QueueModel::Proportional]),
        stp: dice.pick(&[
            SelfTradePrevention::CancelNewest,
            SelfTradePrevention::CancelOldest,
            SelfTradePrevention::CancelBoth,
        ]),
        ..config(accounts)
    }
}

/// A market and people at random. Prices wander around 100.00 in cents; the inverse contract counts in tenths.
#[derive(Clone)]
pub struct World {
    dice: Dice,
    next_id: u64,
    centre: i64,
    now: i64,
}

impl World {
    pub fn new(seed: u64) -> World {
        World { dice: Dice(seed), next_id: 0, centre: 10_000, now: 0 }
    }

    fn px(&mut self, i: InstrumentId) -> i64 {
        let px = (self.centre + self.dice.roll(61) - 30).max(1);
        if i == INVERSE { (px / 10).max(1) } else { px }
    }

    fn instrument(&mut self) -> InstrumentId {
        self.dice.pick(&[SPOT, SPOT, PERP, PERP, INVERSE, BNB])
    }

    fn new_order(&mut self) -> NewOrder {
        self.next_id += 1;
        let account = self.dice.roll(4) as u16;
        let instrument = match account {
            0 | 1 => self.dice.pick(&[SPOT, SPOT, BNB]),
            _ => self.dice.pick(&[PERP, PERP, INVERSE, SPOT]),
        };
        let (price, trigger) = (Price(self.px(instrument)), Price(self.px(instrument)));
        let kind = match self.dice.roll(16) {
            0..=6 => OrderKind::Limit { price },
            7..=10 => OrderKind::Market,
            11 => OrderKind::StopMarket { trigger },
            12 => OrderKind::StopLimit { trigger, price },
            13 => OrderKind::TakeProfitMarket { trigger },
            14 => OrderKind::TakeProfitLimit { trigger, price },
            _ => OrderKind::TrailingStop {
                callback_bps: 1 + self.dice.roll(50) as u32,
                activation: self.dice.pick(&[None, Some(trigger)]),
            },
        };
        let size = if instrument == INVERSE { 1 + self.dice.roll(3) } else { 1 + self.dice.roll(900) };
        let by_amount = kind == OrderKind::Market && self.dice.roll(3) == 0;
        let tif = match self.dice.roll(8) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            2 => TimeInForce::Gtd(UnixNanos(self.now + self.dice.roll(100_000_000_000))),
            _ => TimeInForce::Gtc,
        };
        let side = self.dice.side();
        let leg = if account == 3 && instrument != SPOT { self.dice.pick(&[Leg::Long, Leg::Short]) } else { Leg::Net };
        NewOrder {
            account: AccountId(account),
            instrument,
            qty: if by_amount {
                OrderQty::Quote(Decimal::new(self.dice.roll(9_000), 2))
            } else {
                OrderQty::Size(Qty(size))
            },
            tif,
            post_only: self.dice.roll(6) == 0,
            reduce_only: self.dice.roll(5) == 0,
            leg,
            trigger_by: self.dice.pick(&[TriggerBy::Last, TriggerBy::Mark]),
            ..order(self.next_id, side, kind, size)
        }
    }

    fn amend(&mut self, ex: &Exchange) -> Option<Command> {
        let account = AccountId(self.dice.roll(4) as u16);
        let open: Vec<_> = ex.open_orders(account).collect();
        let o = open.get(self.dice.roll(open.len().max(1) as u64) as usize)?;
        let (instrument, cl_ord_id) = (o.request.instrument, o.request.cl_ord_id);
        if self.dice.roll(3) == 0 {
            return Some(Command::Cancel(CancelOrder { account, cl_ord_id, instrument }));
        }
        let (price, change) = (Price(self.px(instrument)), self.dice.roll(200) - 100);
        let price = self.dice.pick(&[None, Some(price)]);
        let qty = self.dice.pick(&[None, Some(Qty((o.qty.0 + change).max(0)))]);
        Some(Command::Amend(AmendOrder { account, cl_ord_id, instrument, price, qty }))
    }

    fn market(&mut self, bars: bool) -> EventBuf {
        let (instrument, ts_event) = (self.instrument(), UnixNanos(self.now));
        // A slow walk with rare jumps that liquidate.
        self.centre = (self.centre + self.dice.roll(9) - 4).clamp(2_000, 40_000);
        if self.dice.roll(150) == 0 {
            self.centre = (self.centre * self.dice.pick(&[7, 14]) / 10).clamp(2_000, 40_000);
        }
        let mut buf = EventBuf::default();
        let (a, b) = (self.px(instrument), self.px(instrument));
        let mark =
            Decimal::new(self.px(instrument) * 10 + self.dice.roll(10), if instrument == INVERSE { 2 } else { 3 });
        buf.kind = match self.dice.roll(12) {
            0..=3 if bars => {
                let (c, e) = (self.px(instrument), self.px(instrument));
                let bar = Bar {
                    interval: Interval::from_secs(1).unwrap(),
                    open_time: UnixNanos(self.now - 1_000_000_000),
                    open: Price(a),
                    high: Price(a.max(b).max(c).max(e)),
                    low: Price(a.min(b).min(c).min(e)),
                    close: Price(b),
                    volume: Qty(self.dice.roll(3) * 400),
                };
                EventKind::Bar { instrument, ts_event, bar }
            }
            0..=3 => {
                let trade =
                    Trade { price: Price(a), qty: Qty(1 + self.dice.roll(500)), aggressor: self.dice.side(), id: 0 };
                EventKind::Trade { instrument, ts_event, trade }
            }
            4..=6 if !bars => {
                let (bid, ask) = (a.min(b), a.max(b) + 1);
                let quote = Quote {
                    bid_px: Price(bid),
                    bid_qty: Qty(self.dice.roll(500)),
                    ask_px: Price(ask),
                    ask_qty: Qty(self.dice.roll(500)),
                };
                EventKind::Quote { instrument, ts_event, quote, update_id: 0 }
            }
            7..=8 if !bars => {
                let (bid, ask) = (a.min(b), a.max(b) + 1);
                for n in 0..4 {
                    buf.levels.push(Level { price: Price((bid - n * 3).max(1)), qty: Qty(self.dice.roll(300)) });
                }
                for n in 0..4 {
                    buf.levels.push(Level { price: Price(ask + n * 3), qty: Qty(self.dice.roll(300)) });
                }
                let snapshot = self.dice.roll(3) == 0;
                EventKind::Depth { instrument, ts_event, bids: 4, snapshot, update_id: 0 }
            }
            9 if self.dice.roll(20) == 0 && !bars => EventKind::Gap { instrument, ts_event },
            10 if self.dice.roll(10) == 0 => {
                let rate = Decimal::new(self.dice.roll(2001) - 1000, 6);
                EventKind::Funding { instrument, ts_event, funding: FundingRate { rate, mark } }
            }
            _ => {
                let mark = MarkPrice { mark, index: mark, funding_rate: Decimal::ZERO, next_funding: UnixNanos(0) };
                EventKind::Mark { instrument, ts_event, mark }
            }
        };
        buf
    }

    /// One random action.
    pub fn act(&mut self, ex: &mut Exchange, bars: bool, out: &mut Vec<Private>) -> Option<NewOrder> {
        self.now += self.dice.roll(4_000_000_000);
        if self.dice.roll(100) == 0 {
            self.now += self.dice.roll(3_600_000_000_000);
        }
        let now = UnixNanos(self.now);
        match self.dice.roll(20) {
            0..=6 => {
                let order = self.new_order();
                // Said before the call, so that the ledger knows what is accepted.
                ex.on_command(now, &Command::Place(order), out);
                return Some(order);
            }
            7..=9 => {
                if let Some(command) = self.amend(ex) {
                    ex.on_command(now, &command, out);
                }
            }
            10 if self.dice.roll(10) == 0 => {
                let command = Command::CancelAll { account: AccountId(self.dice.roll(4) as u16), instrument: None };
                ex.on_command(now, &command, out);
            }
            10 if self.dice.roll(10) == 0 => {
                let amount = Decimal::from_int(self.dice.roll(150) - 20);
                let to = AccountId(self.dice.roll(4) as u16);
                let _ = ex.transfer(now, to, ccy("USDT"), amount, out);
            }
            11 => ex.on_time(now, out),
            12 if self.dice.roll(10) == 0 => {
                let leverage = Decimal::from_int(1 + self.dice.roll(60));
                let _ = ex.set_leverage(AccountId(2), PERP, leverage);
            }
            _ => {
                let event = self.market(bars);
                let Event::Market(market) = event.as_event() else { unreachable!("only market events are made") };
                ex.on_market(now, &market, out);
            }
        }
        None
    }
}

fn run(seed: u64, steps: usize, bars: bool) -> Ledger {
    let mut ex = Exchange::new(instruments(), four_accounts(seed)).unwrap();
    let (mut world, mut ledger) = (World::new(seed), Ledger::default());
    for account in ex.accounts().collect::<Vec<_>>() {
        for (currency, b) in ex.balances(account).collect::<Vec<_>>() {
            ledger.flow(account, currency, b.total);
        }
    }
    let mut out = Vec::new();
    for step in 0..steps {
        out.clear();
        if let Some(order) = world.act(&mut ex, bars, &mut out) {
            ledger.placed.insert((order.account, order.cl_ord_id), order);
        }
        let all = instruments_once();
        for said in &out {
            ledger.hear(all, said);
        }
        events_are_current(&ex, &out);
        let context = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ledger.check(&ex, &[AccountId(0)])));
        assert!(context.is_ok(), "seed {seed} step {step}: {out:#?}");
        // Closed orders have been judged.
        if step % 500 == 0 {
            ledger.orders.retain(|_, k| k.open);
        }
    }
    ledger
}

fn instruments_once() -> &'static Instruments {
    static ALL: std::sync::OnceLock<Instruments> = std::sync::OnceLock::new();
    ALL.get_or_init(instruments)
}

/// 100,000 random actions: start balances plus cash flows are the balances, holds are those of the open orders,
/// positions are the sums of fills, nothing fills beyond its size, and a cash account never spends what it has not.
#[test]
fn balances_tie_out_at_every_step() {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut fills, mut liquidations) = (0, 0);
    for seed in 0..20 {
        let ledger = run(seed, 5_000, seed % 4 == 3);
        fills += ledger.fills;
        liquidations += ledger.liquidations;
        for (k, n) in ledger.kinds {
            *kinds.entry(k).or_default() += n;
        }
    }
    // The property is worth something only if everything happened.
    assert!(fills > 10_000 && liquidations > 20, "{fills} fills, {liquidations} liquidations, {kinds:?}");
    for kind in ["funding", "interest", "adjustment", "amended", "canceled", "triggered", "rejected", "insufficient"] {
        assert!(kinds.get(kind).is_some_and(|n| *n > 50), "{kind}: {kinds:?}");
    }
}
