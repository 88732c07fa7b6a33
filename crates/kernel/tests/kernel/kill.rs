//! The kill switch and the breakers: what is cancelled, what is refused, and what only a person releases.

use crate::support::{Heard, PERP, Rig, account, buy, config, cur, d, sell};
use ctos_kernel::{Alarm, Audit, Gate, Kernel, Limits};
use ctos_types::{
    AccountEvent, AccountId, CancelReason, ClientOrderId, Command, Control, Event, HaltScope, KillState, Nanos,
    ReportBody, Request, Side, StrategyId,
};

const CANCELED: ReportBody = ReportBody::Canceled { reason: CancelReason::Requested };
const A0: HaltScope = HaltScope::Account(AccountId(0));
const S0: HaltScope = HaltScope::Strategy(StrategyId(0));

/// Two accounts; strategies 0 and 1 on the first, 2 on the second; one resting order each.
fn three() -> (Rig, [ClientOrderId; 3]) {
    let specs = vec![account(0, Limits::unlimited()), account(1, Limits::unlimited())];
    let mut rig = Rig::with(specs, Limits::unlimited(), &[0, 0, 1]);
    let ids = [0, 1, 2].map(|who| rig.rest(who, buy(990, 1000)));
    (rig, ids)
}

fn verified(rig: &Rig, scope: HaltScope) -> bool {
    rig.audits.contains(&Audit::HaltVerified { scope })
}

fn cancelled(rig: &Rig, ids: &[ClientOrderId]) -> Vec<bool> {
    ids.iter().map(|id| rig.order(*id).pending_cancel).collect()
}

fn denied(rig: &mut Rig, who: usize) -> Option<Gate> {
    rig.place(who, buy(980, 1000)).err().map(|d| d.gate)
}

#[test]
fn each_scope_cancels_its_own_orders_and_refuses_its_own_new_ones() {
    let all_of = |account| Command::CancelAll { account: AccountId(account), instrument: None };
    for (scope, hit) in [(S0, [true, false, false]), (A0, [true, true, false]), (HaltScope::System, [true; 3])] {
        let (mut rig, ids) = three();
        rig.halt(scope, KillState::Halted);
        assert_eq!(cancelled(&rig, &ids), hit, "{scope:?}");
        match scope {
            HaltScope::Strategy(_) => {
                assert!(matches!(rig.commands[..], [Command::Cancel(c)] if c.cl_ord_id == ids[0]));
            }
            HaltScope::Account(_) => assert_eq!(rig.commands, [all_of(0)]),
            HaltScope::System => assert_eq!(rig.commands, [all_of(0), all_of(1)]),
        }
        for (who, hit) in hit.into_iter().enumerate() {
            assert_eq!(denied(&mut rig, who), hit.then_some(Gate::KillSwitch), "{scope:?} strategy {who}");
        }
        rig.resume(scope);
        assert_eq!(denied(&mut rig, 0), None);
    }
}

#[test]
fn the_strictest_scope_wins_and_a_latch_never_loosens_by_itself() {
    let (mut rig, _) = three();
    rig.halt(A0, KillState::Halted);
    rig.halt(HaltScope::System, KillState::Reducing);
    rig.halt(A0, KillState::Reducing);
    rig.halt(A0, KillState::Active);
    assert_eq!(rig.kernel.kill().effective(AccountId(0), StrategyId(0)), KillState::Halted);
    assert_eq!(rig.kernel.kill().effective(AccountId(1), StrategyId(2)), KillState::Reducing);
    rig.resume(HaltScope::System);
    assert_eq!(rig.kernel.kill().effective(AccountId(0), StrategyId(0)), KillState::Halted);
    rig.resume(A0);
    assert_eq!(rig.kernel.kill().effective(AccountId(0), StrategyId(0)), KillState::Active);
}

#[test]
fn reducing_keeps_open_orders_and_lets_only_reducing_ones_through() {
    let (mut rig, ids) = three();
    rig.hold(0, PERP, 1000);
    rig.halt(HaltScope::System, KillState::Reducing);
    assert!(rig.commands.is_empty());
    assert_eq!(cancelled(&rig, &ids), [false; 3]);
    assert_eq!(denied(&mut rig, 0), Some(Gate::KillSwitch));
    rig.place(0, sell(1010, 1000)).unwrap();
}

#[test]
fn a_halt_is_verified_when_no_order_is_left_and_not_before() {
    let (mut rig, ids) = three();
    // An order whose fate is open is an order that may be there.
    let pending = rig.place(0, buy(970, 1000)).unwrap();
    let unknown = rig.place(1, buy(970, 1000)).unwrap();
    rig.report(unknown, ReportBody::Unknown { request: Request::Place });
    rig.halt(A0, KillState::Halted);
    for id in [ids[0], ids[1], pending] {
        assert!(!verified(&rig, A0));
        rig.report(id, CANCELED);
    }
    assert!(!verified(&rig, A0));
    rig.report(unknown, CANCELED);
    assert!(verified(&rig, A0));
    assert!(rig.order(ids[2]).is_open());
    // Said once.
    rig.step(Event::Wake);
    assert!(!verified(&rig, A0));
}

#[test]
fn a_halt_without_orders_is_verified_at_once() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    rig.halt(HaltScope::System, KillState::Halted);
    assert!(rig.commands.is_empty() && verified(&rig, HaltScope::System));
}

#[test]
fn what_is_left_is_cancelled_again_every_five_seconds() {
    let (mut rig, ids) = three();
    rig.step(Event::Wake);
    rig.halt(S0, KillState::Halted);
    rig.report(ids[0], ReportBody::Unknown { request: Request::Cancel });
    let halted = rig.now;
    for round in 1..=3 {
        rig.now = halted.after(Nanos(round * 5_000_000_000 - 1));
        rig.step(Event::Wake);
        assert!(rig.commands.is_empty());
        let due = halted.after(Nanos::from_secs(round * 5));
        assert!(rig.kernel.next_deadline().unwrap() <= due, "the kernel asks to be woken for it");
        rig.now = due;
        rig.step(Event::Wake);
        assert!(matches!(rig.commands[..], [Command::Cancel(c)] if c.cl_ord_id == ids[0]));
        assert!(rig.audits.contains(&Audit::Alarm(Alarm::HaltNotVerified { scope: S0, open_orders: 1 })));
        assert!(rig.kernel.next_deadline().unwrap() > rig.now, "and then not before there is something to do");
    }
    rig.report(ids[0], CANCELED);
    assert!(verified(&rig, S0));
    rig.pass(Nanos::from_secs(5));
    rig.step(Event::Wake);
    assert!(rig.commands.is_empty());
}

#[test]
fn the_latch_survives_save_and_restore() {
    let (mut rig, ids) = three();
    rig.halt(A0, KillState::Halted);
    let saved = serde_json::to_string(&rig.kernel.save()).unwrap();
    let specs = vec![account(0, Limits::unlimited()), account(1, Limits::unlimited())];
    let (config, puppets) = config(specs, Limits::unlimited(), &[0, 0, 1]);
    (rig.kernel, rig.puppets) = (Kernel::new(config), puppets);
    rig.kernel.restore(&serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(denied(&mut rig, 1), Some(Gate::KillSwitch));
    assert_eq!(denied(&mut rig, 2), None);
    // The unfinished verification goes on too.
    rig.pass(Nanos::from_secs(5));
    rig.step(Event::Wake);
    assert_eq!(rig.commands.len(), 2);
    rig.report(ids[0], CANCELED);
    rig.report(ids[1], CANCELED);
    assert!(verified(&rig, A0));
    rig.control(Control::Start);
    rig.control(Control::StartStrategy { strategy: StrategyId(1) });
    assert_eq!(denied(&mut rig, 1), Some(Gate::KillSwitch));
    rig.resume(HaltScope::System);
    assert_eq!(denied(&mut rig, 1), Some(Gate::KillSwitch));
    rig.resume(A0);
    assert_eq!(denied(&mut rig, 1), None);
}

#[test]
fn latches_of_an_earlier_run_hold_from_the_first_input() {
    let (mut config, puppets) = config(vec![account(0, Limits::unlimited())], Limits::unlimited(), &[0]);
    let latch =
        ctos_kernel::kill::Latch { state: KillState::Halted, reason: "then".into(), since: crate::support::START };
    config.latches.insert(HaltScope::System, latch);
    let mut rig = Rig::new(Limits::unlimited(), 1);
    (rig.kernel, rig.puppets) = (Kernel::new(config), puppets);
    rig.control(Control::Start);
    rig.quote(PERP, 999, 1001);
    assert_eq!(denied(&mut rig, 0), Some(Gate::KillSwitch));
}

#[test]
fn the_watchdog_ends_the_strategy_and_halts_everything() {
    for quarantined in [false, true] {
        let (mut rig, ids) = three();
        if quarantined {
            rig.kernel.quarantine(StrategyId(0));
        }
        rig.control(Control::Watchdog { seq: 3, strategy: Some(StrategyId(0)) });
        assert!(matches!(rig.state_of(0), ctos_kernel::ProcessState::Failed { .. }));
        assert!(rig.audits.iter().any(|a| matches!(a, Audit::Process { strategy: StrategyId(0), .. })));
        assert_eq!(cancelled(&rig, &ids), [true; 3]);
        assert_eq!(rig.kernel.kill().state(HaltScope::System), KillState::Halted);
    }
}

#[test]
fn strategies_that_do_not_exist_are_no_reason_to_fall() {
    let (mut rig, _) = three();
    let strategy = StrategyId(9);
    rig.control(Control::StartStrategy { strategy });
    rig.control(Control::StopStrategy { strategy });
    rig.control(Control::Watchdog { seq: 0, strategy: Some(strategy) });
    rig.halt(HaltScope::Strategy(strategy), KillState::Halted);
    rig.halt(HaltScope::Account(AccountId(9)), KillState::Halted);
    rig.resume(HaltScope::Account(AccountId(9)));
}

#[test]
fn stopping_cancels_ours_order_by_order_and_leaves_others_alone() {
    let (mut rig, ids) = three();
    rig.control(Control::Stop { reason: "done".into() });
    let asked: Vec<_> =
        rig.commands.iter().map(|c| if let Command::Cancel(c) = c { Some(c.cl_ord_id) } else { None }).collect();
    assert_eq!(asked, ids.map(Some));
    assert_eq!(rig.heard(2).last(), Some(&Heard::Stop));
}

#[test]
fn a_restarted_strategy_keeps_what_it_places() {
    let (mut rig, ids) = three();
    rig.control(Control::StopStrategy { strategy: StrategyId(0) });
    rig.control(Control::StartStrategy { strategy: StrategyId(0) });
    rig.place(0, buy(980, 1000)).unwrap();
    rig.pass(Nanos::from_secs(5));
    rig.step(Event::Wake);
    assert!(rig.commands.is_empty());
    assert!(rig.order(ids[0]).pending_cancel);
}

// ---- breakers

/// One account with the given breakers, 10 coins long at 100. A mark of `p` makes equity 11,000 + 10 (p - 100).
fn breakers(daily_loss: Option<&str>, drawdown: Option<&str>) -> (Rig, ClientOrderId) {
    let limits = Limits { daily_loss: daily_loss.map(d), max_drawdown_pct: drawdown.map(d), ..Limits::unlimited() };
    let mut rig = Rig::with(vec![account(0, limits)], Limits::unlimited(), &[0]);
    rig.hold(0, PERP, 10_000);
    let id = rig.rest(0, buy(900, 1000));
    rig.pass(Nanos::from_secs(1));
    rig.mark(PERP, "100");
    assert_eq!(rig.kernel.equity(AccountId(0)), d("11000"));
    (rig, id)
}

fn tick(rig: &mut Rig, mark: &str) -> KillState {
    rig.pass(Nanos::from_secs(1));
    rig.mark(PERP, mark);
    rig.kernel.kill().state(A0)
}

#[test]
fn daily_loss_trips_at_the_limit() {
    let (mut rig, id) = breakers(Some("500"), None);
    assert_eq!(tick(&mut rig, "50.1"), KillState::Active);
    assert_eq!(tick(&mut rig, "50"), KillState::Halted);
    let alarm = Alarm::DailyLoss { account: AccountId(0), limit: d("500"), lost: d("500") };
    assert!(rig.audits.contains(&Audit::Alarm(alarm)));
    assert!(rig.order(id).pending_cancel);
    // Said once, and latched although the loss is made good.
    tick(&mut rig, "50");
    assert!(!rig.audits.iter().any(|a| matches!(a, Audit::Alarm(Alarm::DailyLoss { .. }))));
    assert_eq!(tick(&mut rig, "120"), KillState::Halted);
    // After a person resumed it counts from there.
    tick(&mut rig, "50");
    rig.resume(A0);
    assert_eq!(tick(&mut rig, "50"), KillState::Active);
    assert_eq!(tick(&mut rig, "0.1"), KillState::Active);
    assert_eq!(tick(&mut rig, "0"), KillState::Halted);
}

#[test]
fn daily_loss_as_a_share_of_the_days_start() {
    let limits = Limits { daily_loss: Some(d("600")), daily_loss_pct: Some(d("5")), ..Limits::unlimited() };
    let mut rig = Rig::with(vec![account(0, limits)], Limits::unlimited(), &[0]);
    rig.hold(0, PERP, 10_000);
    assert_eq!(tick(&mut rig, "100"), KillState::Active);
    // 5 % of 11,000: the coins count although their price came after the first sample.
    assert_eq!(tick(&mut rig, "45.1"), KillState::Active);
    assert_eq!(tick(&mut rig, "45"), KillState::Halted);
}

#[test]
fn the_day_roll_starts_the_daily_loss_anew() {
    let (mut rig, _) = breakers(Some("500"), None);
    assert_eq!(tick(&mut rig, "60"), KillState::Active);
    let next_day = (rig.now.day() + 1) * ctos_types::time::NANOS_PER_DAY;
    rig.now = ctos_types::UnixNanos(next_day - 1);
    rig.mark(PERP, "50.1");
    assert_eq!(rig.kernel.kill().state(A0), KillState::Active);
    rig.now = ctos_types::UnixNanos(next_day).after(Nanos::from_secs(1));
    rig.mark(PERP, "50.1");
    // 499 down yesterday, nothing today.
    assert_eq!(tick(&mut rig, "0.2"), KillState::Active);
    assert_eq!(tick(&mut rig, "0.1"), KillState::Halted);
}

#[test]
fn drawdown_trips_at_the_limit_below_the_highest_equity() {
    let (mut rig, _) = breakers(None, Some("10"));
    assert_eq!(tick(&mut rig, "200"), KillState::Active);
    // 12,000 at the top: 10 % down is 10,800.
    assert_eq!(tick(&mut rig, "80.1"), KillState::Active);
    assert_eq!(tick(&mut rig, "80"), KillState::Halted);
    let alarm = Alarm::Drawdown { account: AccountId(0), limit_pct: d("10"), drawdown_pct: d("10") };
    assert!(rig.audits.contains(&Audit::Alarm(alarm)));
}

#[test]
fn deposits_and_withdrawals_are_neither_profit_nor_loss() {
    let (mut rig, _) = breakers(Some("500"), Some("10"));
    let mut adjust = |amount| {
        let event = AccountEvent::Adjustment { account: AccountId(0), currency: cur("USDT"), amount: d(amount) };
        rig.step(Event::Account(&event));
        let tripped = tick(&mut rig, "100");
        (tripped, rig.kernel.equity(AccountId(0)))
    };
    assert_eq!(adjust("-5000"), (KillState::Active, d("6000")));
    assert_eq!(adjust("3000"), (KillState::Active, d("9000")));
    assert_eq!(tick(&mut rig, "50.1"), KillState::Active);
    assert_eq!(tick(&mut rig, "50"), KillState::Halted);
}

#[test]
fn resuming_something_else_does_not_forgive_a_loss() {
    let (mut rig, _) = breakers(Some("500"), None);
    assert_eq!(tick(&mut rig, "60"), KillState::Active);
    for scope in [S0, HaltScope::System] {
        rig.halt(scope, KillState::Reducing);
        rig.resume(scope);
    }
    assert_eq!(tick(&mut rig, "50"), KillState::Halted);
}

#[test]
fn a_liquidation_halts_the_account() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    rig.step(Event::Account(&AccountEvent::Liquidated { account: AccountId(0) }));
    assert_eq!(rig.kernel.kill().state(A0), KillState::Halted);
    let body = rig.fill_body(Side::Sell, 1000, 5);
    rig.raw_report(AccountId(0), PERP, None, body);
    assert_eq!(rig.kernel.portfolio().net_qty(AccountId(0), PERP).0, -5);
}
