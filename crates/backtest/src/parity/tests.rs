//! Each cause, on rows made by hand. Whole runs are compared in `crates/cli/tests/parity.rs`.

use super::compare::{Cause, Data, first};
use super::holes::{Hole, Holes};
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
fn cause(recorded: &[Row], simulated: &[Row], gaps: &[Hole]) -> Option<Cause> {
    let open = [sent(10, 1), answer(12, 1, OrderChange::Accepted)];
    let parting = first(
        &[&open, recorded].concat(),
        &[&open, simulated].concat(),
        &Data { holes: gaps.to_vec(), ..Data::default() },
    )?;
    assert!(!parting.why.is_empty());
    Some(parting.cause)
}

#[test]
fn the_same_is_the_same() {
    assert_eq!(cause(&[fill(20, 1, filled())], &[fill(20, 1, filled())], &[]), None);
    assert_eq!(first(&[], &[], &Data::default()), None);
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
    let expired = answer(20, 1, OrderChange::Expired);
    assert_eq!(cause(&[expired], &[fill(25, 1, filled())], &[]), Some(Cause::Queue));
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

/// Cancelled by the venue on one side, as where it met an order of the same account, and filled on the other.
#[test]
fn what_the_venue_cancels_by_itself_is_its_answer() {
    let (canceled, filled) = (answer(20, 1, OrderChange::Canceled), fill(25, 1, filled()));
    let cause = |since: Option<i64>| {
        let asked = since.map(|at| (canceled.id.expect("an order"), UnixNanos(at))).into_iter().collect();
        first(&[canceled], &[filled], &Data { asked, ..Data::default() }).map(|parting| parting.cause)
    };
    assert_eq!(cause(None), Some(Cause::Venue));
    assert_eq!(cause(Some(18)), Some(Cause::Queue));
    assert_eq!(cause(Some(21)), Some(Cause::Venue), "asked for later");
}

/// An order that takes has no turn to wait for: canceled on one side and filled on the other, the venue answered otherwise.
#[test]
fn a_taker_that_was_cancelled_is_no_queue() {
    let taker = Filled { liquidity: Liquidity::Taker, ..filled() };
    let canceled = answer(20, 1, OrderChange::Canceled);
    assert_eq!(cause(&[canceled], &[fill(20, 1, taker)], &[]), Some(Cause::Venue));
}

/// The same answer comes on both sides, but behind another one on one of them: that other one is the difference.
#[test]
fn of_things_at_the_same_time_the_one_that_is_only_on_one_side_is_told() {
    let canceled = |seq| answer(20, seq, OrderChange::Canceled);
    for (recorded, simulated) in
        [(vec![canceled(1)], vec![canceled(2), canceled(1)]), (vec![canceled(2), canceled(1)], vec![canceled(1)])]
    {
        let parting = first(&recorded, &simulated, &Data::default()).expect("they differ");
        assert_eq!(parting.cause, Cause::Venue);
        let told = parting.recorded.or(parting.simulated).expect("a row");
        assert_eq!(told, canceled(2), "{}", parting.why);
    }
    let parting =
        first(&[canceled(1), canceled(2)], &[canceled(2), canceled(1)], &Data::default()).expect("they differ");
    assert!(parting.why.contains("not in the same order"), "{}", parting.why);
}

/// A gap explains only what the venue did to an order that was open then, on that instrument.
#[test]
fn a_gap_while_the_order_is_open() {
    let hole =
        |instrument, from, to| Hole { instrument: InstrumentId(instrument), from: UnixNanos(from), to: UnixNanos(to) };
    let of = |instrument, at| cause(&[fill(20, 1, filled())], &[], &[hole(instrument, at, at)]);
    assert_eq!(of(0, 15), Some(Cause::Gap));
    assert_eq!(of(0, 5), Some(Cause::Queue), "before the order");
    assert_eq!(of(0, 25), Some(Cause::Queue), "after the difference");
    assert_eq!(of(1, 15), Some(Cause::Queue), "another instrument");
    assert_eq!(
        cause(&[fill(20, 1, filled())], &[], &[hole(0, 5, 11)]),
        Some(Cause::Gap),
        "it lasts until after the order"
    );
    let gap = hole(0, 15, 15);
    assert_eq!(cause(&[sent(30, 2)], &[sent(31, 2)], &[gap]), Some(Cause::Latency));
}

/// On another market an order at another time was not late: it was decided on other data.
#[test]
fn on_another_market_another_time_is_a_decision() {
    let differs = Data { differs: true, ..Data::default() };
    let cause = |a: &[Row], b: &[Row]| first(a, b, &differs).map(|parting| parting.cause);
    assert_eq!(cause(&[sent(30, 2)], &[sent(31, 2)]), Some(Cause::Decision));
    let accepted = |at| [sent(30, 2), answer(at, 2, OrderChange::Accepted)];
    assert_eq!(cause(&accepted(32), &accepted(33)), Some(Cause::Latency), "of messages that is still so");
}

/// What came first made the difference, whichever side it is on.
#[test]
fn the_earlier_of_two_differences_is_told() {
    let parting = first(&[sent(50, 1)], &[sent(40, 2), sent(50, 1)], &Data::default()).expect("they differ");
    assert_eq!((parting.at, parting.recorded, parting.simulated), (UnixNanos(40), None, Some(sent(40, 2))));
    assert!(parting.why.contains("in the simulation"), "{}", parting.why);
}

#[test]
fn a_hole_lasts_until_the_next_whole_book_and_bars_are_missed() {
    use ctos_types::{Bar, Interval, Market, MarketData};
    let mut holes = Holes::default();
    let mut see = |at: i64, data: MarketData<'_>| {
        holes.see(UnixNanos::from_secs(at), &Market { instrument: InstrumentId(0), ts_event: UnixNanos::MIN, data });
    };
    let depth = |snapshot| MarketData::Depth { bids: &[], asks: &[], snapshot, update_id: 0 };
    see(1, depth(true));
    see(2, MarketData::Gap);
    see(3, depth(false));
    see(4, depth(true));
    see(5, MarketData::Gap);
    let px = Price(1);
    let bar = |minute: i64| Bar {
        interval: Interval::M1,
        open_time: UnixNanos::from_secs(minute * 60),
        open: px,
        high: px,
        low: px,
        close: px,
        volume: Qty(1),
    };
    for minute in [1, 2, 5] {
        see((minute + 1) * 60, MarketData::Bar(bar(minute)));
    }
    let at = UnixNanos::from_secs;
    let spans: Vec<_> = holes.found.iter().map(|h| (h.from, h.to)).collect();
    assert_eq!(spans, [(at(1), at(4)), (at(4), UnixNanos::MAX), (at(180), at(360))]);
}
