use super::*;
use crate::LinkTime;
use ctos_types::{Nanos, UnixNanos, VenueError};
use std::sync::Arc;

const SEC: Nanos = Nanos::from_secs(1);
const MINUTE: Nanos = Nanos::from_secs(60);

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_040).after(Nanos::from_millis(ms)) // a full minute
}

struct Bench {
    limiter: Limiter,
    ip: GroupId,
    weight: MeterId,
    orders: MeterId,
}

/// 100 of weight a minute for the address, 5 orders in 10 s for the account; shares as by default.
fn bench() -> Bench {
    let mut limiter = Limiter::new(LimiterConfig::default());
    let (ip, account) = (limiter.add_group("ip"), limiter.add_group("account 0"));
    let spec = |name: &str, group, window| MeterSpec {
        name: name.into(),
        group,
        windows: vec![window],
        shares: Shares::default(),
    };
    let weight = limiter.add_meter(spec("weight", ip, WindowSpec::aligned(MINUTE, 100)));
    let orders = limiter.add_meter(MeterSpec {
        shares: Shares::WHOLE,
        ..spec("orders", account, WindowSpec::aligned(Nanos::from_secs(10), 5))
    });
    Bench { limiter, ip, weight, orders }
}

impl Bench {
    fn ask(&mut self, now: UnixNanos, lane: Lane, amount: u32) -> Ticket {
        let cost = Cost::none().and(self.weight, amount);
        self.limiter.ask(Ask { lane, cost, give_up: now.after(Nanos::from_secs(600)) }).unwrap()
    }
    fn poll(&mut self, now: UnixNanos) -> Vec<Verdict> {
        let mut out = Vec::new();
        self.limiter.poll(now, &mut out);
        out
    }
}

#[test]
fn lanes_have_their_shares_and_the_window_turns_after_the_guard() {
    let mut b = bench();
    let history: Vec<_> = (0..6).map(|_| b.ask(at(0), Lane::History, 10)).collect();
    let order = b.ask(at(0), Lane::New, 30);
    let cancel = b.ask(at(0), Lane::Reduce, 10);
    let go = b.poll(at(0));
    // The cancel first, then the order, then history up to half of the limit with what the others took.
    let want = [cancel, order, history[0]].map(Verdict::Go);
    assert_eq!(go, want);
    for verdict in go {
        let Verdict::Go(ticket) = verdict else { unreachable!() };
        b.limiter.settle(at(100), ticket, Settled::Sent);
    }
    assert_eq!(b.limiter.deadline(), Some((at(60_250), "rate: room")));
    assert_eq!(b.poll(at(60_249)), []);
    assert_eq!(b.poll(at(60_250)).len(), 5);
}

#[test]
fn what_is_under_way_at_the_turn_counts_in_both_minutes() {
    let mut b = bench();
    let first = b.ask(at(0), Lane::Reduce, 90);
    assert_eq!(b.poll(at(59_900)), [Verdict::Go(first)]);
    let second = b.ask(at(59_900), Lane::Reduce, 90);
    assert_eq!(b.poll(at(60_300)), [], "the first may arrive after the turn");
    b.limiter.settle(at(60_400), first, Settled::Sent);
    assert_eq!(b.poll(at(60_400)), []);
    assert_eq!(b.poll(at(120_250)), [Verdict::Go(second)]);
}

#[test]
fn a_request_that_never_left_gives_its_room_back() {
    let mut b = bench();
    let first = b.ask(at(0), Lane::Reduce, 90);
    b.poll(at(0));
    let second = b.ask(at(1), Lane::Reduce, 90);
    assert_eq!(b.poll(at(1)), []);
    b.limiter.settle(at(2), first, Settled::NotSent);
    assert_eq!(b.poll(at(2)), [Verdict::Go(second)]);
}

#[test]
fn the_venues_count_wins_when_another_process_shares_the_address() {
    let mut b = bench();
    let first = b.ask(at(0), Lane::Query, 5);
    let concurrent = b.ask(at(0), Lane::Query, 5);
    b.poll(at(0));
    b.limiter.observe(at(50), first, b.weight, MINUTE, 80);
    b.limiter.settle(at(50), first, Settled::Sent);
    // 80 and the one under way that the header may not include.
    assert_eq!(b.limiter.usage().next().unwrap().used, 85);
    b.limiter.observe(at(60), concurrent, b.weight, MINUTE, 40);
    assert_eq!(b.limiter.usage().next().unwrap().used, 85, "an older header lowers nothing");
    let order = b.ask(at(70), Lane::New, 1);
    let cancel = b.ask(at(70), Lane::Reduce, 1);
    assert_eq!(b.poll(at(70)), [Verdict::Go(cancel)], "the rest is kept for what reduces");
    assert_eq!(b.poll(at(60_250)), [Verdict::Go(order)]);
}

#[test]
fn a_count_that_falls_at_the_venue_falls_here() {
    let mut limiter = Limiter::new(LimiterConfig::default());
    let group = limiter.add_group("account");
    let window = WindowSpec { falls: true, ..WindowSpec::aligned(MINUTE, 10) };
    let meter =
        limiter.add_meter(MeterSpec { name: "orders".into(), group, windows: vec![window], shares: Shares::WHOLE });
    let mut out = Vec::new();
    let ask = Ask { lane: Lane::New, cost: Cost::none().and(meter, 1), give_up: UnixNanos::MAX };
    for _ in 0..10 {
        limiter.ask(ask).unwrap();
    }
    limiter.poll(at(0), &mut out);
    assert_eq!(out.len(), 10);
    for verdict in &out {
        let Verdict::Go(ticket) = *verdict else { panic!() };
        limiter.observe(at(1), ticket, meter, MINUTE, 0); // all of them filled
        limiter.settle(at(1), ticket, Settled::Sent);
    }
    assert!(limiter.usage().next().unwrap().used < 10);
}

#[test]
fn one_accounts_limit_does_not_hold_up_another_and_nobody_is_overtaken_on_the_same_meter() {
    let mut b = bench();
    let other = {
        let group = b.limiter.add_group("account 1");
        b.limiter.add_meter(MeterSpec {
            name: "orders 1".into(),
            group,
            windows: vec![WindowSpec::aligned(Nanos::from_secs(10), 5)],
            shares: Shares::WHOLE,
        })
    };
    let order = |b: &mut Bench, meter, amount| {
        let cost = Cost::none().and(b.weight, 1).and(meter, amount);
        b.limiter.ask(Ask { lane: Lane::New, cost, give_up: UnixNanos::MAX }).unwrap()
    };
    let orders = b.orders;
    let (full, big) = (order(&mut b, orders, 4), order(&mut b, orders, 3));
    let (small, elsewhere) = (order(&mut b, orders, 1), order(&mut b, other, 1));
    assert_eq!(b.poll(at(0)), [full, elsewhere].map(Verdict::Go), "the small one waits behind the big one");
    assert_eq!(b.poll(at(10_250)), []);
    b.limiter.settle(at(10_251), full, Settled::Sent);
    assert_eq!(b.poll(at(20_250)), [big, small].map(Verdict::Go));
}

#[test]
fn a_limit_then_a_ban_stop_everything_and_scheduled_cancels_go_first_after_it() {
    let mut b = bench();
    let (query, cancel) = (b.ask(at(0), Lane::Query, 1), b.ask(at(0), Lane::Reduce, 1));
    assert_eq!(b.poll(at(0)).len(), 2);
    b.limiter.limited(at(10), b.weight, Some(Nanos::from_secs(5)));
    b.limiter.settle(at(10), query, Settled::Sent);
    let (late_query, late_cancel) = (b.ask(at(20), Lane::Query, 1), b.ask(at(20), Lane::Reduce, 1));
    let refused = b.poll(at(20));
    let left = Nanos::from_millis(5_240);
    assert_eq!(refused, [Verdict::Refused { ticket: late_query, retry_after: left }]);
    // The answer of what was under way brings the ban.
    b.limiter.banned(at(30), b.ip, Some(Nanos::from_secs(120)));
    b.limiter.settle(at(30), cancel, Settled::Sent);
    assert_eq!(b.limiter.closures().next().unwrap().until, at(120_280));
    assert_eq!(b.poll(at(120_279)), []);
    let late_order = b.ask(at(120_279), Lane::New, 1);
    assert_eq!(b.poll(at(120_280)), [late_cancel, late_order].map(Verdict::Go));
}

#[test]
fn bans_without_a_time_grow_and_a_restart_remembers_them() {
    let mut b = bench();
    b.limiter.banned(at(0), b.ip, None);
    assert_eq!(b.limiter.closures().next().unwrap().until, at(120_250));
    b.poll(at(120_250));
    b.limiter.banned(at(120_300), b.ip, None);
    let closure = b.limiter.closures().next().unwrap();
    assert_eq!(closure.until, at(360_550));
    let mut fresh = bench();
    fresh.limiter.resume_closure(&closure.name, closure.until, closure.banned);
    let cancel = fresh.ask(at(130_000), Lane::Reduce, 1);
    assert_eq!(fresh.poll(at(130_000)), []);
    assert_eq!(fresh.limiter.deadline(), Some((at(360_550), "rate: closed")));
    assert_eq!(fresh.poll(at(360_550)), [Verdict::Go(cancel)]);
}

#[test]
fn impossible_and_endless_asks_are_refused_at_once() {
    let mut b = bench();
    let heavy = Ask { lane: Lane::New, cost: Cost::none().and(b.weight, 81), give_up: UnixNanos::MAX };
    assert_eq!(
        b.limiter.ask(heavy),
        Err(AskError::TooHeavy { meter: b.weight, amount: 81, allowed: 80 }),
        "it would wait for ever"
    );
    let unknown = Ask { cost: Cost::none().and(MeterId(9), 1), ..heavy };
    assert_eq!(b.limiter.ask(unknown), Err(AskError::UnknownMeter(MeterId(9))));
    for _ in 0..LimiterConfig::default().max_waiting {
        b.ask(at(0), Lane::New, 80);
    }
    let one = Ask { cost: Cost::none().and(b.weight, 1), ..heavy };
    assert_eq!(b.limiter.ask(one), Err(AskError::Crowded { waiting: 1024 }));
}

#[test]
fn a_sliding_window_frees_as_it_filled() {
    let mut limiter = Limiter::new(LimiterConfig::default());
    let group = limiter.add_group("account");
    let windows = vec![WindowSpec::sliding(Nanos::from_secs(2), 3)];
    let meter = limiter.add_meter(MeterSpec { name: "place".into(), group, windows, shares: Shares::WHOLE });
    let ask = Ask { lane: Lane::New, cost: Cost::none().and(meter, 1), give_up: UnixNanos::MAX };
    for _ in 0..4 {
        limiter.ask(ask).unwrap();
    }
    let mut out = Vec::new();
    limiter.poll(at(0), &mut out);
    assert_eq!(out.len(), 3);
    assert_eq!(limiter.deadline().unwrap().1, "rate: give up", "nothing is known until something is settled");
    for (i, verdict) in out.drain(..).enumerate() {
        let Verdict::Go(ticket) = verdict else { panic!() };
        limiter.settle(at(100 + i as i64), ticket, Settled::Sent);
    }
    let (due, why) = limiter.deadline().unwrap();
    assert_eq!((due, why), (at(2_350).after(Nanos(1)), "rate: room"));
    limiter.poll(due, &mut out);
    assert_eq!(out.len(), 1);
}

// ---- the shared handle, on tokio's paused clock

fn shared(limit: u32) -> (SharedLimiter, MeterId, GroupId) {
    let mut limiter = Limiter::new(LimiterConfig::default());
    let group = limiter.add_group("ip");
    let windows = vec![WindowSpec::sliding(SEC, limit)];
    let meter = limiter.add_meter(MeterSpec { name: "weight".into(), group, windows, shares: Shares::WHOLE });
    (SharedLimiter::new(limiter, Arc::new(LinkTime::start())), meter, group)
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_are_let_go_in_turn() {
    let (handle, meter, _) = shared(2);
    let started = tokio::time::Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let handle = handle.clone();
        tasks.push(tokio::spawn(async move {
            let permit = handle.acquire(Lane::Query, Cost::none().and(meter, 1), Nanos::from_secs(60)).await.unwrap();
            permit.observe(meter, SEC, 1);
            started.elapsed()
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await.unwrap().as_millis() / 1000);
    }
    assert_eq!(times, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_corrected_clock_forgets_nothing() {
    for offset in [-50, -20, 20, 50, 3_600] {
        let mut bench = bench();
        let mut verdicts = Vec::new();
        let ticket = bench.ask(at(5_000), Lane::Reduce, 60);
        bench.limiter.poll(at(5_000), &mut verdicts);
        bench.limiter.observe(at(5_100), ticket, bench.weight, MINUTE, 90);
        bench.limiter.settle(at(5_100), ticket, Settled::Sent);
        bench.limiter.set_clock(Nanos::from_secs(offset), Nanos::from_millis(10));
        let waits = bench.ask(at(5_200), Lane::Reduce, 10);
        let (due, _) = bench.limiter.deadline().unwrap();
        assert!(due > at(5_200));
        verdicts.clear();
        bench.limiter.poll(at(5_200), &mut verdicts);
        assert_eq!(verdicts, [], "{offset}");
        // The venue's next minute, and not the one after.
        let turn = at(5_200).after(Nanos::from_secs(offset)).floor(MINUTE).after(MINUTE) - Nanos::from_secs(offset);
        bench.limiter.poll(turn.after(Nanos::from_millis(300)), &mut verdicts);
        assert_eq!(verdicts, [Verdict::Go(waits)], "{offset}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_nothing_with_it() {
    let (handle, meter, group) = shared(1);
    let cost = Cost::none().and(meter, 1);
    let held = handle.acquire(Lane::New, cost, SEC).await.unwrap();
    let gone = handle.acquire(Lane::New, cost, Nanos::from_secs(60));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(5), gone).await.is_err());
    assert_eq!(handle.with(|l, _| l.waiting(Lane::New)), 0);
    held.not_sent();
    drop(handle.acquire(Lane::New, cost, SEC).await.unwrap());
    handle.banned(group, Some(Nanos::from_secs(9)));
    let refused = handle.acquire(Lane::New, cost, Nanos::from_secs(60)).await.unwrap_err();
    assert!(matches!(refused, VenueError::RateLimited { retry_after } if retry_after > Nanos::from_secs(8)));
    let heavy = handle.acquire(Lane::New, Cost::none().and(meter, 2), SEC).await.unwrap_err();
    assert!(matches!(heavy, VenueError::Invalid { field: "request cost", .. }));
}
