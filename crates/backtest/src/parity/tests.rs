//! Each cause, on rows made by hand. Whole runs are compared in `crates/cli/tests/parity.rs`.

use super::compare::{Cause, first};
use super::rows::{Filled, Row, What};
use ctos_kernel::{Gate, OrderChange};
use ctos_types::{
    ClientOrderId, Currency, Decimal, InstanceTag, InstrumentId, Liquidity, OrderKind, OrderQty, Price, Qty, Side,
    UnixNanos,
};

fn row(at: i64, seq: u64, what: What) -> Row {
    let id = Some(ClientOrderId { tag: InstanceTag(1), seq });
    Row { at: UnixNanos(at), id, instrument: InstrumentId(0), side: Side::Buy, what }
}

fn sent(at: i64, seq: u64) -> Row {
    row(at, seq, What::Sent { kind: OrderKind::Limit { price: Price(100) }, qty: OrderQty::Size(Qty(5)) })
}

fn answer(at: i64, seq: u64, change: OrderChange) -> Row {
    row(at, seq, What::Answer { change, price: Some(Price(100)), size: Qty(5) })
}

fn filled() -> Filled {
    Filled {
        px: Price(100),
        qty: Qty(5),
        liquidity: Liquidity::Maker,
        fee: Decimal::ONE,
        fee_currency: Currency::cut("USDT"),
    }
}

fn fill(at: i64, seq: u64, fill: Filled) -> Row {
    row(at, seq, What::Fill(fill))
}

/// An order that was sent and accepted on both sides, and then these.
fn cause(recorded: &[Row], simulated: &[Row], gaps: &[(InstrumentId, UnixNanos)]) -> Option<Cause> {
    let open = [sent(10, 1), answer(12, 1, OrderChange::Accepted)];
    let parting = first(&[&open, recorded].concat(), &[&open, simulated].concat(), gaps)?;
    assert!(!parting.why.is_empty());
    Some(parting.cause)
}

#[test]
fn the_same_is_the_same() {
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(20, 1, filled())], &[]), None);
    assert_eq!(first(&[], &[], &[]), None);
}

#[test]
fn another_time_is_latency() {
    assert_eq!(cause(&[sent(30, 2)], &[sent(31, 2)], &[]), Some(Cause::Latency));
    let canceled = |at| answer(at, 1, OrderChange::Canceled);
    assert_eq!(cause(&[canceled(31)], &[canceled(30)], &[]), Some(Cause::Latency));
    let taker = Filled { liquidity: Liquidity::Taker, ..filled() };
    assert_eq!(cause(&[fill(20, 1, taker)], &[fill(22, 1, taker)], &[]), Some(Cause::Latency));
}

#[test]
fn another_turn_is_the_queue() {
    let part = Filled { qty: Qty(2), ..filled() };
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(25, 1, filled())], &[]), Some(Cause::Queue));
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(20, 1, part)], &[]), Some(Cause::Queue));
    assert_eq!(cause(&[fill(20, 1, filled())], &[], &[]), Some(Cause::Queue));
    assert_eq!(cause(&[], &[fill(20, 1, filled())], &[]), Some(Cause::Queue));
    let taker = Filled { liquidity: Liquidity::Taker, fee: Decimal::ZERO, ..filled() };
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(20, 1, taker)], &[]), Some(Cause::Queue));
    assert_eq!(cause(&[fill(25, 1, filled())], &[fill(20, 1, taker)], &[]), Some(Cause::Queue));
    let canceled = answer(20, 1, OrderChange::Canceled);
    assert_eq!(cause(&[canceled], &[fill(25, 1, filled())], &[]), Some(Cause::Queue));
}

#[test]
fn another_fee_and_another_price() {
    let free = Filled { fee: Decimal::ZERO, ..filled() };
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(20, 1, free)], &[]), Some(Cause::Fee));
    let dear = Filled { px: Price(101), ..filled() };
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(20, 1, dear)], &[]), Some(Cause::Price));
}

#[test]
fn other_terms_and_other_answers() {
    let less = What::Sent { kind: OrderKind::Market, qty: OrderQty::Size(Qty(5)) };
    assert_eq!(cause(&[sent(30, 2)], &[row(30, 2, less)], &[]), Some(Cause::Decision));
    assert_eq!(cause(&[sent(30, 2)], &[], &[]), Some(Cause::Decision));
    assert_eq!(cause(&[], &[row(30, 2, What::Denied(Gate::KillSwitch))], &[]), Some(Cause::Decision));
    assert_eq!(cause(&[answer(30, 1, OrderChange::Expired)], &[], &[]), Some(Cause::Venue));
}

/// A gap explains only what the venue did to an order that was open then, on that instrument.
#[test]
fn a_gap_while_the_order_is_open() {
    let of = |instrument, at| cause(&[fill(20, 1, filled())], &[], &[(InstrumentId(instrument), UnixNanos(at))]);
    assert_eq!(of(0, 15), Some(Cause::Gap));
    assert_eq!(of(0, 5), Some(Cause::Queue), "before the order");
    assert_eq!(of(0, 25), Some(Cause::Queue), "after the difference");
    assert_eq!(of(1, 15), Some(Cause::Queue), "another instrument");
    let gap = (InstrumentId(0), UnixNanos(15));
    assert_eq!(cause(&[sent(30, 2)], &[sent(31, 2)], &[gap]), Some(Cause::Latency));
}

/// What came first made the difference, whichever side it is on.
#[test]
fn the_earlier_of_two_differences_is_told() {
    let parting = first(&[sent(50, 1)], &[sent(40, 2), sent(50, 1)], &[]).expect("they differ");
    assert_eq!((parting.at, parting.recorded, parting.simulated), (UnixNanos(40), None, Some(sent(40, 2))));
    assert!(parting.why.contains("in the simulation"), "{}", parting.why);
}
