//! Seeded simulation: a venue that counts what arrives, behind a network that delays, with a clock that is off.

use super::*;
use ctos_types::{Nanos, UnixNanos};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// Rerun one case with `LINK_SEED=N`.
const SEEDS: u64 = 300;

/// A window and what arrived in it, at the venue's time.
type Counted = (WindowSpec, Vec<(UnixNanos, u32)>);

struct Venue {
    meters: Vec<Vec<Counted>>,
}

impl Venue {
    fn arrive(&mut self, seed: u64, meter: MeterId, now: UnixNanos, amount: u32) -> Vec<(Nanos, u64)> {
        let mut counts = Vec::new();
        for (spec, arrivals) in &mut self.meters[meter.0 as usize] {
            arrivals.push((now, amount));
            let from = match spec.shape {
                Shape::Aligned => now.floor(spec.period),
                Shape::Sliding => now - spec.period + Nanos(1),
            };
            let used: u64 = arrivals.iter().filter(|(at, _)| *at >= from).map(|(_, a)| u64::from(*a)).sum();
            assert!(used <= u64::from(spec.limit), "seed={seed}: {used} of {} in {:?}", spec.limit, spec);
            counts.push((spec.period, used));
        }
        counts
    }
}

enum Step {
    Ask,
    Arrive(Ticket),
    Answer(Ticket, Vec<(MeterId, Nanos, u64)>),
}

fn run(seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut upto = |n: u64| rng.next_u64() % n;
    let guard = Nanos::from_millis(250);
    let mut limiter = Limiter::new(LimiterConfig { guard, ..LimiterConfig::default() });
    let group = limiter.add_group("ip");
    let mut venue = Venue { meters: Vec::new() };
    // Without reserves nothing hides a count that is one too low.
    let shares = if upto(4) > 0 { Shares::WHOLE } else { Shares::default() };
    for m in 0..2 {
        let mut windows = vec![WindowSpec::aligned(Nanos::from_secs(10), 20 + upto(30) as u32)];
        if upto(2) == 0 {
            windows.push(WindowSpec::aligned(Nanos::from_secs(60), 60 + upto(60) as u32));
        }
        if upto(2) == 0 {
            windows.push(WindowSpec::sliding(Nanos::from_secs(2), 20 + upto(20) as u32));
        }
        venue.meters.push(windows.iter().map(|w| (*w, Vec::new())).collect());
        limiter.add_meter(MeterSpec { name: format!("m{m}"), group, windows, shares });
    }
    // The venue's clock is anywhere; what we believe of it is wrong by less than the guard.
    let skew = Nanos::from_millis(upto(60_000) as i64 - 30_000);
    let error = Nanos::from_millis(upto(480) as i64 - 240);
    limiter.set_clock(Nanos(skew.0 + error.0), guard);

    let mut now = UnixNanos::from_secs(1_700_000_000);
    let mut steps: BTreeMap<(UnixNanos, u64), Step> = BTreeMap::new();
    let (mut n, crowded) = (0, upto(2) == 0);
    for i in 0..250 {
        // Spread out, or crowded around the turns of the venue's windows, where mistakes are made.
        let spread = now.after(Nanos::from_millis(upto(60_000) as i64));
        let ten = Nanos::from_secs(10);
        let turn = (spread.after(skew).floor(ten).after(ten) - skew).after(Nanos::from_millis(upto(500) as i64 - 400));
        steps.insert((if crowded { turn } else { spread }, i), Step::Ask);
        n = i;
    }
    let (mut asked, mut costs, mut verdicts) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let (mut gone, mut refused) = (Vec::new(), 0);
    loop {
        let next = steps.keys().next().map(|(at, _)| *at);
        let wake = limiter.deadline().map(|(at, _)| at);
        let Some(due) = next.into_iter().chain(wake).min() else { break };
        assert!(due >= now || next == Some(due), "seed={seed}: a deadline in the past");
        now = due.max(now);
        if next.is_some_and(|at| at <= now) {
            let ((at, _), step) = steps.pop_first().unwrap();
            assert!(at <= now);
            match step {
                Step::Ask => {
                    let mut cost = Cost::none().and(MeterId(upto(2) as u16), 1 + upto(4) as u32);
                    if upto(3) == 0 {
                        let other = MeterId(1 - cost.iter().next().unwrap().0.0);
                        cost = cost.and(other, 1);
                    }
                    let lane = Lane::ALL[upto(4) as usize];
                    let patience = if upto(10) == 0 { Nanos::from_secs(5) } else { Nanos::from_secs(100_000) };
                    if let Ok(ticket) = limiter.ask(Ask { lane, cost, give_up: now.after(patience) }) {
                        asked.insert(ticket, (lane, cost));
                    }
                }
                Step::Arrive(ticket) => {
                    let cost: Cost = costs[&ticket];
                    let venue_now = now.after(skew);
                    let mut headers = Vec::new();
                    for (meter, amount) in cost.iter() {
                        let counts = venue.arrive(seed, meter, venue_now, amount);
                        headers.extend(counts.into_iter().map(|(period, used)| (meter, period, used)));
                    }
                    n += 1;
                    let slowest = if upto(10) == 0 { 4_000 } else { 80 };
                    let back = Nanos::from_millis(1 + upto(slowest) as i64);
                    steps.insert((now.after(back), n), Step::Answer(ticket, headers));
                }
                Step::Answer(ticket, headers) => {
                    for (meter, period, used) in headers {
                        limiter.observe(now, ticket, meter, period, used);
                    }
                    limiter.settle(now, ticket, Settled::Sent);
                }
            }
        }
        limiter.poll(now, &mut verdicts);
        for verdict in verdicts.drain(..) {
            match verdict {
                Verdict::Go(ticket) => {
                    let (lane, cost) = asked.remove(&ticket).expect("one verdict each");
                    // Nobody of the same lane and cost that came earlier still waits.
                    let earlier = asked.iter().take_while(|(t, _)| **t < ticket);
                    for (waiting, (l, c)) in earlier {
                        let same = |c: &Cost| c.iter().map(|(m, _)| m).collect::<Vec<_>>();
                        assert!(*l != lane || same(c) != same(&cost), "seed={seed}: {ticket:?} overtook {waiting:?}");
                    }
                    costs.insert(ticket, cost);
                    gone.push(ticket);
                    n += 1;
                    let slowest = if upto(10) == 0 { 4_000 } else { 80 };
                    let there = Nanos::from_millis(1 + upto(slowest) as i64);
                    steps.insert((now.after(there), n), Step::Arrive(ticket));
                }
                Verdict::Refused { ticket, .. } => {
                    asked.remove(&ticket).expect("one verdict each");
                    refused += 1;
                }
            }
        }
        if let Some((at, why)) = limiter.deadline() {
            assert!(at > now, "seed={seed}: {why} is due and was not handled");
        }
    }
    assert!(asked.is_empty(), "seed={seed}: {} starved", asked.len());
    assert!(gone.len() + refused > 200 && gone.len() > 100, "seed={seed}: the case does nothing");
}

#[test]
fn no_window_is_ever_exceeded_at_the_venue_and_nobody_starves() {
    match std::env::var("LINK_SEED").ok().and_then(|s| s.parse().ok()) {
        Some(seed) => run(seed),
        None => (0..SEEDS).for_each(run),
    }
}
