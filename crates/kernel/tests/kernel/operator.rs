//! Orders that a person gives by hand.

use crate::support::*;
use ctos_kernel::{Answer, Gate, Limits};
use ctos_types::{
    AccountId, ClientOrderId, Command, Control, HaltScope, InstanceTag, InstrumentId, KillState, NewOrder, OrderKind,
    OrderQty, Price, Qty, Side, StrategyId,
};

fn by_hand(px: i64, qty: i64) -> NewOrder {
    NewOrder {
        // Neither is the person's to say.
        strategy: StrategyId(0),
        ..NewOrder::new(
            AccountId(0),
            ClientOrderId { tag: InstanceTag(99), seq: 99 },
            PERP,
            Side::Buy,
            OrderKind::Limit { price: Price(px) },
            OrderQty::Size(Qty(qty)),
        )
    }
}

fn give(rig: &mut Rig, control: Control) -> Answer {
    rig.pass(ctos_types::Nanos::from_secs(1));
    rig.control(control);
    rig.kernel.answer().cloned().expect("a person gave an order")
}

fn order(rig: &mut Rig, px: i64, qty: i64) -> Answer {
    give(rig, Control::Order(Box::new(by_hand(px, qty))))
}

/// Strategies may do nothing, the account 500 in one order.
fn rig() -> Rig {
    let account = account(0, Limits { max_notional: Some(d("500")), ..Limits::unlimited() });
    Rig::with(vec![account], Limits { max_notional: Some(d("1")), ..Limits::unlimited() }, &[0])
}

#[test]
fn they_pass_the_gates_with_the_accounts_own_limits() {
    let mut rig = rig();
    let Answer::Sent(id) = order(&mut rig, 1000, 1000) else { panic!("{:?}", rig.kernel.answer()) };
    let [Command::Place(sent)] = rig.commands[..] else { panic!("{:?}", rig.commands) };
    assert_eq!((sent.cl_ord_id, sent.strategy), (id, StrategyId::EXTERNAL));
    assert_ne!(id.tag, InstanceTag(99), "the run's own id");
    let Answer::Denied(denied) = order(&mut rig, 1000, 1_000_000) else { panic!("{:?}", rig.kernel.answer()) };
    assert_eq!(denied.gate, Gate::MaxNotional);
    assert!(rig.commands.is_empty());
    rig.halt(HaltScope::Account(AccountId(0)), KillState::Halted);
    let Answer::Denied(denied) = order(&mut rig, 1000, 1000) else { panic!("{:?}", rig.kernel.answer()) };
    assert_eq!(denied.gate, Gate::KillSwitch);
}

#[test]
fn they_are_changed_and_cancelled_by_hand() {
    let mut rig = rig();
    let Answer::Sent(id) = order(&mut rig, 1000, 1000) else { panic!() };
    rig.report(id, ctos_types::ReportBody::Accepted);
    assert_eq!(give(&mut rig, Control::Amend { cl_ord_id: id, price: Some(Price(999)), qty: None }), Answer::Sent(id));
    assert!(matches!(rig.commands[..], [Command::Amend(_)]), "{:?}", rig.commands);
    assert_eq!(give(&mut rig, Control::Cancel { cl_ord_id: id }), Answer::Sent(id));
    assert!(matches!(rig.commands[..], [Command::Cancel(_)]), "{:?}", rig.commands);
    let again = give(&mut rig, Control::Cancel { cl_ord_id: id });
    assert!(matches!(again, Answer::Nothing(_)), "{again:?}");
    let nobody = ClientOrderId { tag: TAG, seq: 777 };
    assert!(matches!(give(&mut rig, Control::Amend { cl_ord_id: nobody, price: None, qty: None }), Answer::Nothing(_)));
    let all = Control::CancelAll { account: AccountId(0), instrument: Some(PERP) };
    assert_eq!(give(&mut rig, all), Answer::Canceling(1));
    assert!(matches!(rig.commands[..], [Command::CancelAll { .. }]), "{:?}", rig.commands);
}

#[test]
fn nonsense_is_answered() {
    let mut rig = rig();
    let mut foreign = by_hand(1000, 1000);
    foreign.instrument = InstrumentId(1_000);
    assert!(matches!(give(&mut rig, Control::Order(Box::new(foreign))), Answer::Nothing(_)));
    let all = Control::CancelAll { account: AccountId(9), instrument: None };
    assert!(matches!(give(&mut rig, all), Answer::Nothing(_)));
}
