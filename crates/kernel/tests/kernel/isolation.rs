//! One strategy's fault is its own: it is ended and its orders cancelled, the others do not notice.

use crate::support::{Heard, PERP, Rig, buy, sell};
use ctos_kernel::{Audit, Feeds, Limits, ProcessState};
use ctos_types::{CancelReason, Command, Event, HaltScope, Nanos, RejectReason, ReportBody, Request, StrategyId, Text};

fn rig() -> Rig {
    let mut rig = Rig::new(Limits::unlimited(), 2);
    for who in [0, 1] {
        rig.act(who, |ctx| ctx.subscribe(PERP, Feeds::QUOTES.and(Feeds::TRADES)));
    }
    rig
}

fn failure(rig: &Rig, who: usize) -> Option<String> {
    if let ProcessState::Failed { reason } = rig.state_of(who) { Some(reason) } else { None }
}

/// The failure is told once, in the audit stream.
fn told(rig: &Rig) -> usize {
    let failed =
        |a: &&Audit| matches!(a, Audit::Process { strategy: StrategyId(0), state: ProcessState::Failed { .. } });
    rig.audits.iter().filter(failed).count()
}

#[test]
fn a_panicking_strategy_is_ended_and_the_others_go_on() {
    let mut rig = rig();
    let (mine, other) = (rig.rest(0, buy(990, 1000)), rig.rest(1, buy(990, 1000)));
    rig.act(0, |ctx| {
        ctx.set_timer(Nanos::from_secs(1), 1);
        ctx.place(sell(1010, 1000));
    });
    rig.act(1, |ctx| ctx.set_timer(Nanos::from_secs(1), 1));
    // It gets as far as one more order, which has left the gates and so is sent, and cancelled.
    let hook = |ctx: &mut ctos_kernel::Ctx<'_>, _: &Heard| {
        ctx.place(buy(980, 1000));
        panic!("index {} out of range", 7);
    };
    rig.puppets[0].lock().unwrap().hook = Some(Box::new(hook));
    rig.quote(PERP, 998, 1002);
    assert_eq!(failure(&rig, 0).unwrap(), "panicked: index 7 out of range");
    assert_eq!(told(&rig), 1);
    let cancels = rig.commands.iter().filter(|c| matches!(c, Command::Cancel(_))).count();
    assert_eq!((cancels, rig.commands.len()), (3, 4));
    assert!(rig.kernel.orders().open_of(StrategyId(0)).all(|o| o.pending_cancel));
    assert!(rig.heard(1).iter().any(|h| matches!(h, Heard::Quote(..))), "the other heard the same quote");
    assert!(!rig.order(other).pending_cancel && rig.order(mine).pending_cancel);
    // Nothing reaches it any more: no tick, no timer, no word about its orders.
    rig.heard(0);
    rig.pass(Nanos::from_secs(1));
    rig.quote(PERP, 997, 1003);
    rig.report(mine, ReportBody::Canceled { reason: CancelReason::Requested });
    assert!(rig.heard(0).is_empty());
    assert!(rig.heard(1).contains(&Heard::Timer(1)));
    rig.control(ctos_types::Control::StartStrategy { strategy: StrategyId(0) });
    assert!(failure(&rig, 0).is_some(), "it does not come back in this run");
    // Its books stay: a late fill is still its own.
    let left = rig.open_of(0)[0];
    rig.fill(left, 1010, 1000);
    let position = rig.kernel.portfolio().strategy_net(StrategyId(0), ctos_types::AccountId(0), PERP);
    assert_eq!(position.qty.0, -1000);
}

#[test]
fn orders_of_a_failed_strategy_are_cancelled_until_they_are_gone() {
    let mut rig = rig();
    let id = rig.place(0, buy(990, 1000)).unwrap();
    rig.act(0, |_| panic!("{}", "at once"));
    assert_eq!(failure(&rig, 0).unwrap(), "panicked: at once");
    // The cancel overtook the order.
    let (reason, code) = (RejectReason::UnknownOrder, Text::EMPTY);
    rig.report(id, ReportBody::Rejected { request: Request::Cancel, reason, code });
    rig.report(id, ReportBody::Accepted);
    rig.pass(Nanos::from_secs(5));
    rig.step(Event::Wake);
    assert!(matches!(rig.commands[..], [Command::Cancel(c)] if c.cl_ord_id == id));
    rig.report(id, ReportBody::Canceled { reason: CancelReason::Requested });
    assert!(rig.audits.contains(&Audit::HaltVerified { scope: HaltScope::Strategy(StrategyId(0)) }));
}

#[test]
fn a_panic_without_text_says_so() {
    let mut rig = rig();
    rig.act(0, |_| std::panic::panic_any(7_u8));
    assert_eq!(failure(&rig, 0).unwrap(), "panicked: no message");
}

#[test]
fn asking_about_an_unknown_instrument_fails_only_the_asker() {
    let mut rig = rig();
    rig.act(0, |ctx| ctx.quote(ctos_types::InstrumentId(99)));
    rig.quote(PERP, 998, 1002);
    assert!(failure(&rig, 0).is_some() && failure(&rig, 1).is_none());
    assert!(rig.heard(1).len() == 1);
}

#[test]
fn ten_thousand_requests_in_one_input_are_allowed_and_one_more_is_not() {
    for (count, fails) in [(10_000, false), (10_001, true)] {
        let mut rig = rig();
        rig.act(0, move |ctx| {
            for _ in 0..count {
                ctx.place(buy(990, 51));
            }
        });
        assert_eq!(failure(&rig, 0).is_some(), fails, "{count}");
        assert_eq!(rig.commands.iter().filter(|c| matches!(c, Command::Place(_))).count(), 10_000);
        if fails {
            assert_eq!(rig.commands.len(), 20_000, "each of its orders is cancelled");
        }
        assert!(failure(&rig, 1).is_none());
    }
}

#[test]
fn what_a_flooding_strategy_can_make_the_kernel_keep_is_bounded() {
    let mut rig = rig();
    rig.act(0, |ctx| {
        for i in 0..200_000 {
            ctx.place(buy(990, 0));
            ctx.note("again");
            ctx.set_timer(Nanos::from_secs(1), i);
        }
    });
    assert_eq!(failure(&rig, 0).unwrap(), "made too many requests within one event");
    assert!(rig.audits.len() < 10_000 && rig.kernel.denied() < 10_000, "{}", rig.audits.len());
}

#[test]
fn a_strategy_that_answers_each_refusal_with_the_same_order_is_ended() {
    let mut rig = rig();
    let hook = |ctx: &mut ctos_kernel::Ctx<'_>, heard: &Heard| {
        if matches!(heard, Heard::Order(..)) {
            ctx.place(buy(990, 0));
        }
    };
    rig.puppets[0].lock().unwrap().hook = Some(Box::new(hook));
    rig.act(0, |ctx| ctx.place(buy(990, 0)));
    assert!(failure(&rig, 0).is_some());
    assert_eq!(rig.kernel.denied(), 10_000);
    rig.quote(PERP, 998, 1002);
    assert!(!rig.heard(1).is_empty());
}

#[test]
fn the_count_starts_anew_with_each_input() {
    let mut rig = rig();
    for _ in 0..3 {
        rig.act(0, |ctx| {
            for _ in 0..6_000 {
                ctx.place(buy(990, 0));
            }
        });
    }
    assert!(failure(&rig, 0).is_none());
}
