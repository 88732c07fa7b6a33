//! Seeded simulation: a venue that takes orders, behind a network that loses, delays, doubles and reorders whatever it
//! likes, and a judge who knows what really happened.

use super::*;
use ctos_types::{Currency, Decimal, ExecId, Liquidity, OrderKind, OrderQty, ReportBody, Request};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};

/// Rerun one case with `LINK_SEED=N`.
const SEEDS: u64 = 600;
/// Seeds that once failed.
const FOUND: [u64; 1] = [1690];
const FAULTS_END: i64 = 120_000;
const END: i64 = 420_000;
const COIN: InstrumentId = InstrumentId(0);

#[derive(Clone, Debug)]
struct AtVenue {
    venue_order_id: VenueOrderId,
    side: Side,
    price: Price,
    qty: i64,
    cum: i64,
    state: ViewState,
    /// Queries do not show it before.
    visible: i64,
}

#[derive(Debug)]
enum Ev {
    Intend,
    ToVenue(Request, ClientOrderId, Option<AmendOrder>, Option<NewOrder>),
    Reply(ClientOrderId, Request, Reply),
    Stream(News),
    Trade,
    Stranger,
    Answer(Query, Answer),
    /// The query is on its way to the venue.
    AtVenue(Query),
    Gap,
    Poll,
}

struct World {
    rng: Xoshiro256PlusPlus,
    now: i64,
    n: u64,
    queue: BTreeMap<(i64, u64), Ev>,
    venue: BTreeMap<ClientOrderId, AtVenue>,
    /// The venue's trades: when, whose, what.
    trades: Vec<(i64, Option<ClientOrderId>, VenueOrderId, Fill)>,
    position: i64,
    sent: BTreeSet<ClientOrderId>,
    told: BTreeMap<ClientOrderId, Told>,
    external: BTreeSet<ExecId>,
    states_cum: bool,
    names_ids: bool,
    alarms: BTreeMap<&'static str, u32>,
    lost: u32,
    /// Tells every step: `LINK_TRACE=1`.
    trace: bool,
}

/// What a kernel would know.
#[derive(Default)]
struct Told {
    accepted: bool,
    closed: bool,
    fills: BTreeMap<ExecId, i64>,
}

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
}

fn cl(seq: u64) -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(7), seq }
}

impl World {
    fn upto(&mut self, n: u64) -> i64 {
        (self.rng.next_u64() % n) as i64
    }
    fn faulty(&self) -> bool {
        self.now < FAULTS_END
    }
    fn chance(&mut self, one_in: u64) -> bool {
        self.faulty() && self.upto(one_in) == 0
    }
    fn put(&mut self, delay: i64, ev: Ev) {
        self.n += 1;
        self.queue.insert((self.now + delay, self.n), ev);
    }
    fn delay(&mut self) -> i64 {
        let slow = self.chance(8);
        1 + self.upto(if slow { 3_000 } else { 60 })
    }

    fn view(&self, id: ClientOrderId) -> OrderView {
        let o = &self.venue[&id];
        OrderView {
            venue_order_id: o.venue_order_id,
            state: o.state,
            qty: Some(Qty(o.qty)),
            cum_qty: Qty(o.cum),
            price: Some(o.price),
            ts_event: at(self.now),
        }
    }

    /// On the user stream: late, out of order, twice, or not at all.
    fn stream(&mut self, id: ClientOrderId, body: NewsBody) {
        if self.chance(12) {
            self.lost += 1;
            let notice = 500 + self.upto(5_000);
            return self.put(notice, Ev::Gap);
        }
        let venue_order_id = self.venue[&id].venue_order_id;
        let cl_ord_id = (self.upto(10) > 0).then_some(id);
        let ts_event = at(self.now);
        let news =
            News { account: AccountId(0), instrument: COIN, cl_ord_id: Some(id), venue_order_id, ts_event, body };
        let delay = self.delay();
        self.put(delay, Ev::Stream(news));
        if self.chance(10) {
            let delay = self.delay();
            self.put(delay, Ev::Stream(News { cl_ord_id: cl_ord_id.or(Some(id)), ..news }));
        }
        if let NewsBody::Fill { fill, cum_qty: Some(cum) } = body
            && self.chance(10)
        {
            // The same fill under another id: only its place in the total gives it away.
            let fill = Fill { exec_id: Text::cut(&format!("{}again", fill.exec_id)), ..fill };
            let delay = self.delay();
            let body = NewsBody::Fill { fill, cum_qty: Some(cum) };
            self.put(delay, Ev::Stream(News { body, ..news }));
        }
    }

    fn trade(&mut self, id: ClientOrderId, qty: i64) {
        let exec_id = Text::cut(&format!("t{}", self.trades.len()));
        let order = self.venue.get_mut(&id).unwrap();
        order.cum += qty;
        if order.cum >= order.qty {
            order.state = ViewState::Filled;
        }
        let (side, cum, venue_order_id) = (order.side, order.cum, order.venue_order_id);
        self.position += qty * side.sign();
        let fill = fill(exec_id, side, qty);
        self.trades.push((self.now, Some(id), venue_order_id, fill));
        let cum_qty = self.states_cum.then_some(Qty(cum));
        self.stream(id, NewsBody::Fill { fill, cum_qty });
    }

    fn arrive(&mut self, request: Request, id: ClientOrderId, amend: Option<AmendOrder>, new: Option<NewOrder>) {
        let unknown = Reply::Refused { reason: RejectReason::UnknownOrder, code: Text::cut("-2011") };
        let open = self.venue.get(&id).is_some_and(|o| o.state == ViewState::Open);
        let reply = match request {
            Request::Place => {
                let new = new.unwrap();
                assert!(!self.venue.contains_key(&id), "{id} arrived twice");
                if self.upto(12) == 0 {
                    Reply::Refused { reason: RejectReason::InsufficientBalance, code: Text::cut("-2010") }
                } else {
                    let OrderQty::Size(qty) = new.qty else { unreachable!() };
                    let lag = self.upto(if self.faulty() { 5_000 } else { 200 });
                    let order = AtVenue {
                        venue_order_id: Text::from_u64(1000 + id.seq),
                        side: new.side,
                        price: new.kind.limit_price().unwrap(),
                        qty: qty.0,
                        cum: 0,
                        state: ViewState::Open,
                        visible: self.now + lag,
                    };
                    self.venue.insert(id, order);
                    if self.upto(4) == 0 {
                        self.trade(id, qty.0); // filled before the answer
                    }
                    self.stream(id, NewsBody::Accepted);
                    let view = self.view(id);
                    let ack = Reply::Acknowledged { venue_order_id: view.venue_order_id, ts_event: view.ts_event };
                    if self.upto(2) == 0 { ack } else { Reply::Done(view) }
                }
            }
            Request::Amend if open && amend.unwrap().qty.is_some_and(|q| q.0 < self.venue[&id].cum) => {
                Reply::Refused { reason: RejectReason::BadQty, code: Text::cut("-4003") }
            }
            Request::Amend if open => {
                let amend = amend.unwrap();
                let order = self.venue.get_mut(&id).unwrap();
                order.price = amend.price.unwrap_or(order.price);
                order.qty = amend.qty.map_or(order.qty, |q| q.0);
                let (price, qty) = (Some(order.price), Qty(order.qty));
                if order.cum >= order.qty {
                    order.state = ViewState::Filled;
                }
                self.stream(id, NewsBody::Amended { price, qty });
                Reply::Done(self.view(id))
            }
            Request::Cancel if open => {
                self.close(id, CancelReason::Requested);
                Reply::Done(self.view(id))
            }
            _ => unknown,
        };
        match self.upto(if self.faulty() { 6 } else { 1_000 }) {
            0 => {} // the answer is lost, and nobody says so
            1 => {
                let delay = self.delay();
                self.put(delay, Ev::Reply(id, request, Reply::Unknown)); // 5xx after it was done
            }
            _ => {
                let delay = self.delay();
                self.put(delay, Ev::Reply(id, request, reply));
            }
        }
    }

    fn close(&mut self, id: ClientOrderId, reason: CancelReason) {
        let order = self.venue.get_mut(&id).unwrap();
        order.state = ViewState::Canceled(reason);
        let cum_qty = self.states_cum.then_some(Qty(self.venue[&id].cum));
        self.stream(id, NewsBody::Canceled { reason, cum_qty });
    }

    fn send(&mut self, request: Request, id: ClientOrderId, amend: Option<AmendOrder>, new: Option<NewOrder>) {
        match self.upto(if self.faulty() { 8 } else { 1_000 }) {
            0 => {
                let delay = 3_000 + self.upto(4_000);
                self.put(delay, Ev::Reply(id, request, Reply::Unknown)); // lost on the way there: a timeout
            }
            1 => self.put(1, Ev::Reply(id, request, Tracker::not_sent())),
            _ => {
                let delay = self.delay();
                self.put(delay, Ev::ToVenue(request, id, amend, new));
            }
        }
    }

    fn answer(&mut self, query: Query) {
        let seen = |w: &World, id: &ClientOrderId| w.venue.get(id).is_some_and(|o| o.visible <= w.now);
        let answer = match query.ask {
            _ if self.chance(6) => Answer::Failed,
            Ask::Order(id) if seen(self, &id) => Answer::Order(self.view(id)),
            Ask::Order(_) => Answer::NotFound,
            Ask::Owner(venue_order_id) => {
                let owner = self.venue.iter().find(|(_, o)| o.venue_order_id == venue_order_id);
                Answer::Owner(owner.map(|(id, _)| *id))
            }
            Ask::Fills { since } => {
                let lag = if self.faulty() { 1_000 } else { 0 };
                let shown = self.trades.iter().filter(|(when, ..)| at(*when) >= since && *when + lag <= self.now);
                let past = shown.map(|(when, id, venue_order_id, fill)| PastFill {
                    instrument: COIN,
                    cl_ord_id: id.filter(|_| self.names_ids),
                    venue_order_id: *venue_order_id,
                    ts_event: at(*when),
                    fill: *fill,
                });
                Answer::Fills(past.collect())
            }
            Ask::Position { .. } => Answer::Position(Qty(self.position)),
        };
        let delay = self.delay();
        self.put(delay, Ev::Answer(query, answer));
    }

    fn act(&mut self, seed: u64, action: Action) {
        if self.trace {
            eprintln!("{} > {action:?}", self.now);
        }
        match action {
            Action::Place(order) => {
                assert!(self.sent.insert(order.cl_ord_id), "seed={seed}: {} was sent twice", order.cl_ord_id);
                self.send(Request::Place, order.cl_ord_id, None, Some(order));
            }
            Action::Amend(amend) => self.send(Request::Amend, amend.cl_ord_id, Some(amend), None),
            Action::Cancel(cancel) => self.send(Request::Cancel, cancel.cl_ord_id, None, None),
            Action::Query(query) => {
                let delay = self.delay();
                self.put(delay, Ev::AtVenue(query));
            }
            Action::Report(report) => self.hear(seed, &report),
            Action::Alarm(alarm) => {
                let name = match alarm {
                    Alarm::DuplicateFill { .. } => "double",
                    Alarm::OverFill { .. } => "over",
                    Alarm::Unresolved { .. } => "unresolved",
                    Alarm::Resurrected { .. } => panic!("seed={seed}: {alarm}"),
                    _ => "other",
                };
                *self.alarms.entry(name).or_default() += 1;
            }
        }
    }

    /// What a kernel may rely on.
    fn hear(&mut self, seed: u64, report: &OrderReport) {
        let Some(id) = report.cl_ord_id else {
            if let ReportBody::Fill(fill) = report.body {
                assert!(self.external.insert(fill.exec_id), "seed={seed}: a stranger's fill twice");
            }
            return;
        };
        let told = self.told.entry(id).or_default();
        match report.body {
            ReportBody::Fill(fill) => {
                assert!(told.accepted, "seed={seed}: {id} filled before it was accepted");
                let old = told.fills.insert(fill.exec_id, fill.last_qty.0);
                assert!(old.is_none(), "seed={seed}: {id} fill {} twice", fill.exec_id);
                let (sum, cum) = (told.fills.values().sum::<i64>(), self.venue[&id].cum);
                assert!(sum <= cum, "seed={seed}: {id} {sum} counted, {cum} filled");
            }
            body => {
                assert!(!told.closed, "seed={seed}: {id} was closed and is told {body:?}");
                match body {
                    ReportBody::Accepted => {
                        assert!(!told.accepted, "seed={seed}: {id} accepted twice");
                        told.accepted = true;
                    }
                    ReportBody::Canceled { .. } | ReportBody::Expired => told.closed = true,
                    ReportBody::Rejected { request: Request::Place, .. } => {
                        told.closed = true;
                        assert!(!self.venue.contains_key(&id), "seed={seed}: {id} lives and is told as {body:?}");
                    }
                    _ => {}
                }
            }
        }
    }
}

fn fill(exec_id: ExecId, side: Side, qty: i64) -> Fill {
    Fill {
        exec_id,
        side,
        leg: Leg::Net,
        last_px: Price(100),
        last_qty: Qty(qty),
        liquidity: Liquidity::Maker,
        fee: Decimal::ZERO,
        fee_currency: Currency::cut("USDT"),
    }
}

pub(super) fn order(seq: u64, side: Side, qty: i64) -> NewOrder {
    NewOrder {
        account: AccountId(0),
        strategy: ctos_types::StrategyId(0),
        cl_ord_id: cl(seq),
        instrument: COIN,
        side,
        kind: OrderKind::Limit { price: Price(100) },
        qty: OrderQty::Size(Qty(qty)),
        tif: Default::default(),
        post_only: false,
        reduce_only: false,
        position_effect: Default::default(),
        leg: Leg::Net,
        trigger_by: Default::default(),
        auto_borrow: None,
    }
}

fn run(seed: u64) -> BTreeMap<&'static str, u32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (states_cum, names_ids) = (!rng.next_u64().is_multiple_of(4), rng.next_u64().is_multiple_of(2));
    let mut w = World {
        rng,
        now: 0,
        n: 0,
        queue: BTreeMap::new(),
        venue: BTreeMap::new(),
        trades: Vec::new(),
        position: 0,
        sent: BTreeSet::new(),
        told: BTreeMap::new(),
        external: BTreeSet::new(),
        states_cum,
        names_ids,
        alarms: BTreeMap::new(),
        lost: 0,
        trace: std::env::var_os("LINK_TRACE").is_some(),
    };
    let mut tracker = Tracker::new(TrackerConfig { tags: vec![InstanceTag(7)], ..TrackerConfig::default() });
    tracker.set_position(COIN, Leg::Net, Qty(0));
    let mut out = Vec::new();
    let mut next_id = 1;
    for i in 0..60 {
        let when = w.upto(FAULTS_END as u64 + 20_000);
        w.put(when, if i % 8 == 7 { Ev::Stranger } else { Ev::Intend });
    }
    (0..150).for_each(|_| {
        let when = w.upto(FAULTS_END as u64 + 30_000);
        w.put(when, Ev::Trade);
    });
    (1..80).for_each(|i| w.put(i * 5_000, Ev::Poll));
    let (mut handled, mut woken) = (0, false);
    loop {
        for action in std::mem::take(&mut out) {
            w.act(seed, action);
        }
        let due = tracker.deadline().map_or(i64::MAX, |(due, why)| {
            assert!(!woken || due > at(w.now), "seed={seed}: {why} was due and not handled");
            ((due.0 - at(0).0) + 999_999).div_euclid(1_000_000)
        });
        let next = w.queue.keys().next().map_or(i64::MAX, |k| k.0);
        woken = false;
        w.now = due.min(next).max(w.now);
        handled += 1;
        assert!(handled < 100_000, "seed={seed}: busy without end");
        if w.now > END {
            break;
        }
        let now = at(w.now);
        if due < next {
            tracker.on_deadline(now, &mut out);
            woken = true;
            continue;
        }
        let step = w.queue.pop_first().unwrap().1;
        if w.trace {
            eprintln!("{} < {step:?}", w.now);
        }
        match step {
            Ev::Intend => {
                let open = tracker.open_ids();
                let pick = |w: &mut World| open.get(w.upto(open.len().max(1) as u64) as usize).copied();
                match w.upto(3) {
                    0 if let Some(id) = pick(&mut w) => {
                        let _ = tracker.cancel(now, id, &mut out);
                    }
                    1 if let Some(id) = pick(&mut w) => {
                        let qty = (w.upto(2) == 0).then(|| Qty(2 + next_id as i64 % 12));
                        let price = qty.is_none().then_some(Price(90 + next_id as i64 % 20));
                        let amend = AmendOrder { account: AccountId(0), cl_ord_id: id, instrument: COIN, price, qty };
                        let _ = tracker.amend(now, amend, &mut out);
                    }
                    _ => {
                        let side = if w.upto(2) == 0 { Side::Buy } else { Side::Sell };
                        let qty = 1 + w.upto(10);
                        tracker.place(now, order(next_id, side, qty), &mut out).unwrap();
                        next_id += 1;
                    }
                }
            }
            Ev::ToVenue(request, id, amend, new) => w.arrive(request, id, amend, new),
            Ev::Reply(id, request, reply) => tracker.on_reply(now, id, request, reply, &mut out),
            Ev::Stream(news) => tracker.on_news(now, &news, &mut out),
            Ev::Trade => {
                let open: Vec<_> =
                    w.venue.iter().filter(|(_, o)| o.state == ViewState::Open).map(|(i, _)| *i).collect();
                if !open.is_empty() {
                    let id = open[w.upto(open.len() as u64) as usize];
                    let left = w.venue[&id].qty - w.venue[&id].cum;
                    let over = i64::from(w.states_cum && w.chance(40));
                    let qty = 1 + w.upto(left as u64);
                    match w.upto(12) {
                        0 => w.close(id, CancelReason::Venue),
                        _ => w.trade(id, if over == 1 { left + 1 } else { qty.min(left) }),
                    }
                }
            }
            Ev::Stranger => {
                let (n, qty) = (w.trades.len() as u64, 1 + w.upto(9));
                let venue_order_id = Text::from_u64(900_000 + n);
                let fill = fill(Text::cut(&format!("t{n}")), if n % 2 == 0 { Side::Buy } else { Side::Sell }, qty);
                w.position += Tracked::signed(&fill);
                w.trades.push((w.now, None, venue_order_id, fill));
                let body = NewsBody::Fill { fill, cum_qty: None };
                let (account, ts_event) = (AccountId(0), now);
                let news = News { account, instrument: COIN, cl_ord_id: None, venue_order_id, ts_event, body };
                let delay = w.delay();
                w.put(delay, Ev::Stream(news));
            }
            Ev::AtVenue(query) => w.answer(query),
            Ev::Answer(query, answer) => tracker.on_answer(now, &query, &answer, &mut out),
            Ev::Gap => tracker.on_gap(now),
            Ev::Poll => {
                let shown = |o: &AtVenue| o.state == ViewState::Open && o.visible <= w.now;
                let list: Vec<_> = w.venue.iter().filter(|(_, o)| shown(o)).map(|(id, _)| (*id, w.view(*id))).collect();
                tracker.on_open_orders(now, now, &list, &mut out);
            }
        }
    }
    for id in (1..next_id).map(cl) {
        let told = &w.told[&id];
        let Some(order) = w.venue.get(&id) else {
            assert!(told.closed, "seed={seed}: {id} never arrived and is not given up");
            continue;
        };
        assert_eq!(told.fills.values().sum::<i64>(), order.cum, "seed={seed}: {id} {order:?}");
        let open = tracker.open_ids().contains(&id);
        assert_eq!(open, order.state == ViewState::Open, "seed={seed}: {id} {order:?}");
        assert!(!tracker.in_doubt().any(|d| d == id), "seed={seed}: {id} is still in doubt: {order:?}");
    }
    assert_eq!(tracker.position(COIN, Leg::Net).0, w.position, "seed={seed}: position");
    *w.alarms.entry("lost").or_default() += w.lost;
    w.alarms
}

struct Tracked;
impl Tracked {
    fn signed(fill: &Fill) -> i64 {
        fill.last_qty.0 * fill.side.sign()
    }
}

#[test]
fn tracker_and_venue_agree_whatever_is_lost_doubled_or_reordered() {
    if let Some(seed) = std::env::var("LINK_SEED").ok().and_then(|s| s.parse().ok()) {
        run(seed);
        return;
    }
    let mut alarms: BTreeMap<&'static str, u32> = BTreeMap::new();
    for seed in (0..SEEDS).chain(FOUND) {
        run(seed).into_iter().for_each(|(name, n)| *alarms.entry(name).or_default() += n);
    }
    assert!(
        alarms["double"] > 100 && alarms["over"] > 20 && alarms["lost"] > SEEDS as u32,
        "the faults do not bite: {alarms:?}"
    );
}
