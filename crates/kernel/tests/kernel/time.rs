//! Timers, bars and the monitor: what happens because time has passed.

use crate::support::{Heard, PERP, Rig, SPOT, buy};
use ctos_kernel::{Audit, Feeds, Limits};
use ctos_types::{Bar, Event, Interval, Level, MarketData, Nanos, Price, Qty, Side, StrategyId, Trade, UnixNanos};

fn rig() -> Rig {
    Rig::new(Limits::unlimited(), 2)
}

fn timers(rig: &Rig, who: usize) -> Vec<u64> {
    rig.heard(who).into_iter().filter_map(|h| if let Heard::Timer(t) = h { Some(t) } else { None }).collect()
}

fn wake(rig: &mut Rig, at: UnixNanos) {
    rig.now = at;
    rig.step(Event::Wake);
}

fn trade(rig: &mut Rig, ts_event: UnixNanos, px: i64, qty: i64) {
    let trade = Trade { price: Price(px), qty: Qty(qty), aggressor: Side::Buy, id: 0 };
    rig.step(Event::Market(ctos_types::Market { instrument: PERP, ts_event, data: MarketData::Trade(trade) }));
}

#[test]
fn timers_fire_once_in_the_order_of_their_time_and_then_of_their_setting() {
    let mut rig = rig();
    let begun = rig.now;
    rig.act(0, |ctx| {
        for (ms, token) in [(300, 1), (100, 2), (200, 3), (100, 4)] {
            ctx.set_timer(Nanos::from_millis(ms), token);
        }
    });
    assert_eq!(rig.kernel.next_deadline(), Some(begun.after(Nanos::from_millis(100))));
    wake(&mut rig, begun.after(Nanos(99_999_999)));
    assert!(timers(&rig, 0).is_empty());
    wake(&mut rig, begun.after(Nanos::from_millis(100)));
    assert_eq!(timers(&rig, 0), [2, 4]);
    assert_eq!(rig.kernel.next_deadline(), Some(begun.after(Nanos::from_millis(200))));
    // Any input is as good as a wake, and late is not never.
    rig.now = begun.after(Nanos::from_millis(900));
    rig.quote(SPOT, 998, 1001);
    assert_eq!(timers(&rig, 0), [3, 1]);
    wake(&mut rig, begun.after(Nanos::from_millis(950)));
    assert!(timers(&rig, 0).is_empty());
}

#[test]
fn a_timer_that_sets_itself_for_now_does_not_stop_time() {
    let mut rig = rig();
    rig.puppets[0].lock().unwrap().hook = Some(Box::new(|ctx, heard| {
        if let Heard::Timer(n) = heard {
            ctx.set_timer(Nanos(0), n + 1);
        }
    }));
    rig.act(0, |ctx| ctx.set_timer(Nanos(-5), 1));
    let begun = rig.now;
    // Driven as a runtime without a clock does: to the deadline, whatever it is.
    let mut wakes = 0;
    while rig.now < begun.after(Nanos::from_millis(100)) {
        let due = rig.kernel.next_deadline().unwrap();
        assert!(due > rig.now, "time stands still at {due}");
        wake(&mut rig, due);
        wakes += 1;
    }
    assert_eq!(wakes, 100);
    assert_eq!(timers(&rig, 0), (1..=100).collect::<Vec<_>>());
}

#[test]
fn timers_of_a_stopped_strategy_are_gone() {
    let mut rig = rig();
    for who in [0, 1] {
        rig.act(who, |ctx| ctx.set_timer(Nanos::from_millis(10), 1));
    }
    rig.control(ctos_types::Control::StopStrategy { strategy: StrategyId(0) });
    rig.control(ctos_types::Control::StartStrategy { strategy: StrategyId(0) });
    rig.pass(Nanos::from_millis(10));
    rig.step(Event::Wake);
    assert_eq!((timers(&rig, 0), timers(&rig, 1)), (vec![], vec![1]));
}

#[test]
fn the_monitor_samples_equity_once_a_second_while_there_is_news() {
    let mut rig = rig();
    let sampled = |rig: &Rig| rig.audits.iter().filter(|a| matches!(a, Audit::Equity { .. })).count();
    let due = rig.kernel.next_deadline().unwrap();
    assert_eq!(due, rig.now.after(Nanos::from_secs(1)));
    wake(&mut rig, UnixNanos(due.0 - 1));
    assert_eq!(sampled(&rig), 0);
    wake(&mut rig, due);
    assert_eq!(sampled(&rig), 1);
    assert_eq!(rig.kernel.next_deadline(), None, "nothing has happened since");
    // News soon after a sample waits for the second to pass; news after a long silence is sampled at once.
    rig.now = due.after(Nanos::from_millis(300));
    let at = rig.now;
    trade(&mut rig, at, 1000, 5);
    assert_eq!(sampled(&rig), 0);
    assert_eq!(rig.kernel.next_deadline(), Some(due.after(Nanos::from_secs(1))));
    wake(&mut rig, due.after(Nanos::from_secs(1)));
    assert_eq!(sampled(&rig), 1);
    rig.now = due.after(Nanos::from_secs(60));
    let at = rig.now;
    trade(&mut rig, at, 1001, 5);
    assert_eq!(sampled(&rig), 1);
}

fn bars(rig: &Rig, who: usize) -> Vec<(i64, i64)> {
    let bar = |h| if let Heard::Bar(_, b) = h { Some((b.open_time.0 / 1_000_000_000, b.close.0)) } else { None };
    rig.heard(who).into_iter().filter_map(bar).collect()
}

#[test]
fn bars_close_by_time_when_no_trade_follows() {
    let mut rig = rig();
    let minute = rig.now.after(Nanos::from_secs(60)).floor(Nanos::from_secs(60));
    rig.act(1, |ctx| ctx.subscribe_bars(PERP, Interval::M1));
    rig.act(0, |ctx| {
        ctx.subscribe_bars(PERP, Interval::M1);
        ctx.subscribe_bars(PERP, Interval::from_secs(120).unwrap());
    });
    rig.now = minute;
    trade(&mut rig, minute, 1000, 5);
    trade(&mut rig, minute.after(Nanos::from_secs(30)), 1010, 5);
    let close = minute.after(Nanos::from_secs(61));
    wake(&mut rig, UnixNanos(close.0 - 1));
    assert!(bars(&rig, 0).is_empty());
    // The deadline is the monitor's at the latest, and the bar's when that comes first.
    assert!(rig.kernel.next_deadline().unwrap() <= close);
    wake(&mut rig, close);
    assert_eq!(
        (bars(&rig, 0), bars(&rig, 1)),
        (vec![(minute.0 / 1_000_000_000, 1010)], vec![(minute.0 / 1_000_000_000, 1010)])
    );
    // A trade that comes after its bar closed opens none again.
    trade(&mut rig, minute.after(Nanos::from_secs(59)), 1, 5);
    wake(&mut rig, close.after(Nanos::from_secs(120)));
    assert_eq!(bars(&rig, 1), []);
    assert_eq!(bars(&rig, 0).len(), 1, "the two-minute bar");
}

#[test]
fn a_venues_own_bar_is_passed_on_once() {
    let mut rig = rig();
    rig.act(0, |ctx| ctx.subscribe_bars(PERP, Interval::M1));
    let open_time = rig.now.floor(Nanos::from_secs(60));
    let bar = |minutes: i64, close| {
        let (open, high, low) = (Price(1000), Price(1100), Price(900));
        let open_time = open_time.after(Nanos::from_secs(60 * minutes));
        Bar { interval: Interval::M1, open_time, open, high, low, close: Price(close), volume: Qty(1) }
    };
    for (minutes, close) in [(0, 1001), (0, 1001), (1, 1002), (0, 1001), (2, 1003)] {
        rig.market(PERP, MarketData::Bar(bar(minutes, close)));
    }
    assert_eq!(bars(&rig, 0).into_iter().map(|b| b.1).collect::<Vec<_>>(), [1001, 1002, 1003]);
}

fn depth(rig: &mut Rig, bids: &[(i64, i64)], asks: &[(i64, i64)], snapshot: bool) {
    let levels = |side: &[(i64, i64)]| -> Vec<Level> {
        side.iter().map(|(p, q)| Level { price: Price(*p), qty: Qty(*q) }).collect()
    };
    let (bids, asks) = (levels(bids), levels(asks));
    rig.market(PERP, MarketData::Depth { bids: &bids, asks: &asks, snapshot, update_id: 0 });
}

#[test]
fn depth_ticks_when_the_top_moves_and_a_gap_makes_the_book_unknown() {
    let mut rig = rig();
    rig.act(0, |ctx| ctx.subscribe(PERP, Feeds::QUOTES));
    rig.act(1, |ctx| ctx.subscribe(PERP, Feeds::BOOK));
    depth(&mut rig, &[(990, 5)], &[(1010, 5)], false);
    assert!(rig.heard(1).is_empty(), "changes to a book never seen");
    depth(&mut rig, &[(990, 5), (980, 5)], &[(1010, 5)], true);
    assert_eq!((rig.heard(0).len(), rig.heard(1)), (1, vec![Heard::Book(PERP)]));
    depth(&mut rig, &[(980, 7)], &[], false);
    assert_eq!((rig.heard(0).len(), rig.heard(1)), (0, vec![Heard::Book(PERP)]));
    depth(&mut rig, &[(990, 0)], &[], false);
    assert_eq!((rig.heard(0).len(), rig.heard(1)), (1, vec![Heard::Book(PERP)]));
    rig.market(PERP, MarketData::Gap);
    assert_eq!(rig.heard(1), [Heard::Gap(PERP)]);
    assert!(rig.audits.contains(&Audit::BookInvalid { instrument: PERP }));
    assert_eq!(rig.act(0, |ctx| ctx.book(PERP).is_some()), Some(false));
    depth(&mut rig, &[(981, 7)], &[], false);
    assert_eq!(rig.act(0, |ctx| ctx.book(PERP).is_some()), Some(false));
    depth(&mut rig, &[(985, 7)], &[(1010, 5)], true);
    assert_eq!(rig.act(0, |ctx| ctx.book(PERP).unwrap().depth(Side::Buy)), Some(1));
}

#[test]
fn callbacks_run_in_the_order_of_strategies_whoever_subscribed_first() {
    let mut rig = rig();
    for who in [1, 0] {
        rig.act(who, |ctx| ctx.subscribe(PERP, Feeds::QUOTES));
        rig.puppets[who].lock().unwrap().hook = Some(Box::new(move |ctx, heard| {
            if matches!(heard, Heard::Quote(..)) {
                ctx.place(buy(900 + who as i64, 1000));
            }
        }));
    }
    rig.quote(PERP, 998, 1002);
    let placed: Vec<_> = rig
        .commands
        .iter()
        .map(|c| if let ctos_types::Command::Place(o) = c { o.strategy.0 } else { u16::MAX })
        .collect();
    assert_eq!(placed, [0, 1]);
}

#[test]
#[should_panic(expected = "inputs come in sequence")]
fn an_input_out_of_sequence_is_our_bug() {
    let mut rig = rig();
    let (seq, at) = (rig.kernel.next_input() + 1, rig.now);
    rig.kernel.step(&ctos_types::Stamped { seq, at, event: Event::Wake }, &mut ctos_kernel::Output::default());
}
