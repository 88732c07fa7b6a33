//! The matching book against a slow, obvious twin: flat lists scanned from the start, one rule a function.

use crate::kit::*;
use Side::{Buy, Sell};
use ctos_types::*;
use ctos_venue::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Own {
    id: u64,
    account: u16,
    side: Side,
    price: i64,
    size: i64,
    cum: i64,
    ahead: i64,
    traded: i64,
    post_only: bool,
}

impl Own {
    fn left(&self) -> i64 {
        self.size - self.cum
    }
}

/// Orders stand in order of time.
struct Twin {
    orders: Vec<Own>,
    book: BTreeMap<(Side, i64), i64>,
    quoted: BTreeMap<Side, (i64, i64)>,
    gap: bool,
    model: QueueModel,
    stp: SelfTradePrevention,
    said: Vec<String>,
}

/// How good a price is for its side.
fn rank(side: Side, price: i64) -> i64 {
    price * side.sign()
}

impl Twin {
    fn best_ambient(&self, side: Side) -> Option<(i64, i64)> {
        let of_side = self.book.iter().filter(|((s, _), _)| *s == side);
        of_side.map(|((_, p), q)| (*p, *q)).max_by_key(|(p, _)| rank(side, *p))
    }

    fn best_own(&self, side: Side) -> Option<Own> {
        let top = self.orders.iter().filter(|o| o.side == side).map(|o| rank(side, o.price)).max()?;
        self.orders.iter().find(|o| o.side == side && rank(side, o.price) == top).copied()
    }

    fn order(&mut self, id: u64) -> &mut Own {
        self.orders.iter_mut().find(|o| o.id == id).unwrap()
    }

    fn set(&mut self, side: Side, price: i64, qty: i64) {
        if qty > 0 {
            self.book.insert((side, price), qty)
        } else {
            self.book.remove(&(side, price))
        };
    }

    fn take(&mut self, side: Side, price: i64, qty: i64) {
        let left = self.book[&(side, price)] - qty;
        self.set(side, price, left);
        for o in self.orders.iter_mut().filter(|o| o.side == side && o.price == price) {
            o.ahead = (o.ahead - qty).max(0);
        }
    }

    fn maker(&mut self, id: u64, qty: i64) {
        let o = self.order(id);
        o.cum += qty;
        let (side, price, done) = (o.side, o.price, o.left() == 0);
        self.said.push(format!("#{id} {side:?} {qty}@{price} maker"));
        if done {
            self.orders.retain(|o| o.id != id);
        }
    }

    fn drop(&mut self, id: u64, why: &str) {
        self.orders.retain(|o| o.id != id);
        self.said.push(format!("#{id} canceled {why}"));
    }

    /// Trades an incoming order; `None` when it is gone.
    fn cross(&mut self, mut o: Own, limit: Option<i64>) -> Option<Own> {
        let passive = o.side.opposite();
        while o.left() > 0 {
            let (ambient, own) = (self.best_ambient(passive), self.best_own(passive));
            let prices = [ambient.map(|a| a.0), own.map(|w| w.price)];
            let best = prices.into_iter().flatten().max_by_key(|p| rank(passive, *p));
            let Some(price) = best.filter(|p| limit.is_none_or(|l| rank(o.side, *p) <= rank(o.side, l))) else { break };
            let ambient = ambient.filter(|a| a.0 == price).map_or(0, |a| a.1);
            let own = own.filter(|w| w.price == price);
            let first = own.map_or(ambient, |w| w.ahead.min(ambient));
            if first > 0 {
                let qty = first.min(o.left());
                self.take(passive, price, qty);
                o.cum += qty;
                self.said.push(format!("#{} {:?} {qty}@{price} taker", o.id, o.side));
                continue;
            }
            let w = own.unwrap();
            if w.account == o.account {
                if self.stp != SelfTradePrevention::CancelNewest {
                    self.drop(w.id, "SelfTrade");
                }
                if self.stp != SelfTradePrevention::CancelOldest {
                    self.said.push(format!("#{} canceled SelfTrade", o.id));
                    return None;
                }
                continue;
            }
            let qty = w.left().min(o.left());
            self.maker(w.id, qty);
            o.cum += qty;
            self.said.push(format!("#{} {:?} {qty}@{price} taker", o.id, o.side));
        }
        (o.left() > 0).then_some(o)
    }

    fn would_take(&self, side: Side, price: i64) -> bool {
        let passive = side.opposite();
        let touch = [self.best_ambient(passive).map(|a| a.0), self.best_own(passive).map(|w| w.price)];
        touch.into_iter().flatten().any(|p| rank(side, p) <= rank(side, price))
    }

    fn rest(&mut self, mut o: Own) {
        o.ahead = self.book.get(&(o.side, o.price)).copied().unwrap_or(0);
        o.traded = 0;
        self.orders.push(o);
    }

    fn place(&mut self, o: Own, limit: Option<i64>, ioc: bool) {
        if o.post_only && self.would_take(o.side, o.price) {
            return self.said.push(format!("#{} rejected Place PostOnlyWouldTake", o.id));
        }
        self.said.push(format!("#{} accepted", o.id));
        let Some(left) = self.cross(o, limit) else { return };
        if ioc || limit.is_none() {
            self.said.push(format!("#{} canceled NoLiquidity", o.id));
        } else {
            self.rest(left);
        }
    }

    fn amend(&mut self, id: u64, price: Option<i64>, size: Option<i64>) {
        let Some(old) = self.orders.iter().find(|o| o.id == id).copied() else {
            return self.said.push(format!("#{id} rejected Amend UnknownOrder"));
        };
        if size.is_some_and(|s| s <= old.cum) {
            return self.drop(id, "Requested");
        }
        let new = Own { price: price.unwrap_or(old.price), size: size.unwrap_or(old.size), ..old };
        let moves = new.price != old.price || new.size > old.size;
        if moves && new.post_only && self.would_take(new.side, new.price) {
            return self.said.push(format!("#{id} rejected Amend PostOnlyWouldTake"));
        }
        self.said.push(format!("#{id} amended {}@Some({})", new.size, new.price));
        if !moves {
            return *self.order(id) = new;
        }
        self.orders.retain(|o| o.id != id);
        if let Some(left) = self.cross(new, Some(new.price)) {
            self.rest(left);
        }
    }

    fn level(&mut self, side: Side, price: i64, qty: i64) {
        let old = self.book.get(&(side, price)).copied().unwrap_or(0);
        for o in self.orders.iter_mut().filter(|o| o.side == side && o.price == price) {
            let base = old - o.traded;
            o.traded = 0;
            if self.model == QueueModel::Proportional && base > 0 && qty < base {
                o.ahead -= o.ahead * (base - qty) / base;
            }
            o.ahead = o.ahead.clamp(0, qty);
        }
        self.set(side, price, qty);
    }

    fn quote(&mut self, side: Side, price: i64, qty: i64) {
        if self.quoted.insert(side, (price, qty)) == Some((price, qty)) {
            return;
        }
        let worse = |p: i64| qty > 0 && rank(side, p) <= rank(side, price);
        while let Some((p, _)) = self.best_ambient(side).filter(|(p, _)| !worse(*p)) {
            self.level(side, p, 0);
        }
        if qty > 0 {
            self.level(side, price, qty);
        }
    }

    fn depth(&mut self, levels: &[(Side, i64, i64)], snapshot: bool) {
        if self.gap && !snapshot {
            return;
        }
        if snapshot {
            self.gap = false;
            self.book.clear();
            self.quoted.clear();
        }
        for (side, price, qty) in levels {
            if snapshot {
                self.set(*side, *price, *qty);
                continue;
            }
            if self.quoted.get(side).is_some_and(|(p, q)| *q == 0 || rank(*side, *price) >= rank(*side, *p)) {
                self.quoted.remove(side);
            }
            self.level(*side, *price, *qty);
        }
        if snapshot {
            for o in &mut self.orders {
                o.traded = 0;
                o.ahead = o.ahead.min(self.book.get(&(o.side, o.price)).copied().unwrap_or(0));
            }
        }
    }

    fn crossed(&mut self) {
        for side in [Buy, Sell] {
            while let (Some(o), Some((price, there))) = (self.best_own(side), self.best_ambient(side.opposite())) {
                if rank(side, price) > rank(side, o.price) {
                    break;
                }
                let qty = o.left().min(there);
                self.maker(o.id, qty);
                self.take(side.opposite(), price, qty);
            }
        }
    }

    fn trade(&mut self, aggressor: Side, price: i64, qty: i64) {
        let mut left = qty;
        for side in [Buy, Sell] {
            while let Some(o) = self.best_own(side).filter(|o| left > 0 && rank(side, o.price) > rank(side, price)) {
                let fill = o.left().min(left);
                self.maker(o.id, fill);
                left -= fill;
            }
        }
        let side = aggressor.opposite();
        while let Some(o) = self.best_own(side).filter(|o| left > 0 && o.price == price) {
            let eaten = o.ahead.min(left);
            left -= eaten;
            for o in self.orders.iter_mut().filter(|o| o.side == side && o.price == price) {
                o.ahead = (o.ahead - eaten).max(0);
            }
            let fill = o.left().min(left);
            if fill > 0 {
                self.maker(o.id, fill);
                left -= fill;
            }
        }
        for o in self.orders.iter_mut().filter(|o| o.side == side && o.price == price) {
            o.traded += qty;
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Limit { account: u16, buy: bool, price: i64, size: i64, ioc: bool, post_only: bool },
    Market { account: u16, buy: bool, size: i64 },
    Amend { pick: usize, price: Option<i64>, size: Option<i64> },
    Cancel { pick: usize },
    Depth { levels: Vec<(bool, i64, i64)>, snapshot: bool },
    Quote { bid: (i64, i64), ask: (i64, i64) },
    Trade { buy: bool, price: i64, qty: i64 },
    Gap,
}

fn actions() -> impl Strategy<Value = Action> {
    let (px, qty) = (80i64..=120, 1i64..40);
    prop_oneof![
        6 => (0u16..3, any::<bool>(), px.clone(), qty.clone(), 0u8..5, 0u8..5).prop_map(
            |(account, buy, price, size, ioc, post)| {
                // Mostly on the passive side of the middle, so that books form.
                let price = if buy { price - 8 } else { price + 8 };
                Action::Limit { account, buy, price, size, ioc: ioc == 0, post_only: ioc != 0 && post == 0 }
            }),
        2 => (0u16..3, any::<bool>(), qty.clone()).prop_map(|(account, buy, size)| Action::Market { account, buy, size }),
        3 => (any::<usize>(), prop::option::of(px.clone()), prop::option::of(0i64..50))
            .prop_map(|(pick, price, size)| Action::Amend { pick, price, size }),
        2 => any::<usize>().prop_map(|pick| Action::Cancel { pick }),
        4 => (prop::collection::vec((any::<bool>(), px.clone(), 0i64..40), 0..8), 0u8..4).prop_map(|(levels, s)| {
            let shifted = levels.into_iter().map(|(buy, p, q)| (buy, if buy { p - 15 } else { p + 15 }, q)).collect();
            Action::Depth { levels: shifted, snapshot: s == 0 }
        }),
        3 => (px.clone(), 1i64..6, 0i64..40, 0i64..40)
            .prop_map(|(bid, spread, b, a)| Action::Quote { bid: (bid, b), ask: (bid + spread, a) }),
        4 => (any::<bool>(), px, qty).prop_map(|(buy, price, qty)| Action::Trade { buy, price, qty }),
        1 => Just(Action::Gap),
    ]
}

fn side(buy: bool) -> Side {
    if buy { Buy } else { Sell }
}

/// Does the action on both and says what the fast one reported.
fn act(sim: &mut Sim, twin: &mut Twin, id: u64, action: &Action) -> String {
    let open: Vec<OpenOrder> = (0..3).flat_map(|a| sim.ex.open_orders(AccountId(a)).collect::<Vec<_>>()).collect();
    let target = |pick: usize| open.get(pick % open.len().max(1)).map(|o| o.request);
    let own = |account, buy, price, size, post_only| Own {
        id,
        account,
        side: side(buy),
        price,
        size,
        cum: 0,
        ahead: 0,
        traded: 0,
        post_only,
    };
    match action.clone() {
        Action::Limit { account, buy, price, size, ioc, post_only } => {
            twin.place(own(account, buy, price, size, post_only), Some(price), ioc);
            let tif = if ioc { TimeInForce::Ioc } else { TimeInForce::Gtc };
            sim.place(NewOrder { account: AccountId(account), tif, post_only, ..limit(id, side(buy), price, size) })
        }
        Action::Market { account, buy, size } => {
            twin.place(own(account, buy, 0, size, false), None, true);
            sim.place(NewOrder { account: AccountId(account), ..market(id, side(buy), size) })
        }
        Action::Amend { pick, price, size } => {
            let Some(NewOrder { account, cl_ord_id, .. }) = target(pick) else { return String::new() };
            twin.amend(cl_ord_id.seq, price, size);
            let (price, qty) = (price.map(Price), size.map(Qty));
            sim.command(Command::Amend(AmendOrder { account, cl_ord_id, instrument: PERP, price, qty }))
        }
        Action::Cancel { pick } => {
            let Some(NewOrder { account, cl_ord_id, .. }) = target(pick) else { return String::new() };
            twin.drop(cl_ord_id.seq, "Requested");
            sim.command(Command::Cancel(CancelOrder { account, cl_ord_id, instrument: PERP }))
        }
        Action::Depth { levels, snapshot } => {
            let (bids, asks): (Vec<_>, Vec<_>) = levels.iter().copied().partition(|l| l.0);
            let flat = |l: &[(bool, i64, i64)]| l.iter().map(|(_, p, q)| (*p, *q)).collect::<Vec<_>>();
            let (bids, asks) = (flat(&bids), flat(&asks));
            // A snapshot names a price once; both sides in the order given.
            let sides = [(Buy, &bids), (Sell, &asks)];
            let ordered = sides.iter().flat_map(|(s, l)| {
                let l: Vec<_> = if snapshot { l.iter().rev().collect() } else { l.iter().collect() };
                l.into_iter().map(|(p, q)| (*s, *p, *q)).collect::<Vec<_>>()
            });
            twin.depth(&ordered.collect::<Vec<_>>(), snapshot);
            twin.crossed();
            if snapshot { sim.snapshot(&bids, &asks) } else { sim.depth(&bids, &asks) }
        }
        Action::Quote { bid, ask } => {
            if !twin.gap {
                twin.quote(Buy, bid.0, bid.1);
                twin.quote(Sell, ask.0, ask.1);
            }
            twin.crossed();
            sim.quote(bid, ask)
        }
        Action::Trade { buy, price, qty } => {
            twin.trade(side(buy), price, qty);
            sim.trade(side(buy), price, qty)
        }
        Action::Gap => {
            twin.book.clear();
            twin.quoted.clear();
            twin.gap = true;
            sim.event(MarketData::Gap)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn the_book_is_what_the_slow_twin_says(
        script in prop::collection::vec(actions(), 1..120),
        proportional in any::<bool>(),
        stp in 0usize..3,
    ) {
        let model = if proportional { QueueModel::Proportional } else { QueueModel::Conservative };
        let stp = [SelfTradePrevention::CancelNewest, SelfTradePrevention::CancelOldest, SelfTradePrevention::CancelBoth][stp];
        let accounts = (0..3).map(|a| account(a, &[("USDT", "1000000000000")])).collect();
        let mut sim = Sim::new(ExchangeConfig { queue: model, stp, ..config(accounts) }).on(PERP);
        // A mark that never moves: nobody is liquidated here.
        sim.mark("1");
        let mut twin = Twin {
            orders: Vec::new(), book: BTreeMap::new(), quoted: BTreeMap::new(), gap: false, model, stp, said: Vec::new(),
        };
        for (id, action) in script.iter().enumerate() {
            twin.said.clear();
            let fast = act(&mut sim, &mut twin, id as u64 + 1, action);
            prop_assert_eq!(fast, twin.said.join("; "), "at {}: {:?}", id, action);
            let mut slow: Vec<_> = twin.orders.iter().map(|o| (o.id, o.size, o.cum, o.price, o.ahead)).collect();
            slow.sort_unstable();
            let mut kept: Vec<_> = (0..3).flat_map(|a| sim.ex.open_orders(AccountId(a)).collect::<Vec<_>>()).map(|o| {
                (o.request.cl_ord_id.seq, o.qty.0, o.cum_qty.0, o.price.unwrap().0, o.ahead.unwrap().0)
            }).collect();
            kept.sort_unstable();
            prop_assert_eq!(kept, slow, "at {}: {:?}", id, action);
            for s in [Buy, Sell] {
                let fast: Vec<_> = sim.ex.book(PERP).levels(s).map(|l| (l.price.0, l.qty.0)).collect();
                let mut slow: Vec<_> = twin.book.iter().filter(|((t, _), _)| *t == s).map(|((_, p), q)| (*p, *q)).collect();
                slow.sort_by_key(|(p, _)| -rank(s, *p));
                prop_assert_eq!(fast, slow, "at {}: {:?}", id, action);
            }
        }
    }
}
