use super::harness::{Answer, Rig, d, perp, spot};
use ctos_kernel::Limits;
use ctos_types::*;
use proptest::prelude::*;

/// Arithmetic levels 1 % of 100 apart: 98, 99, 100, 101, 102 with two a side.
const SMALL: &[(&str, &str)] =
    &[("center", "100"), ("spacing", "1"), ("levels", "2"), ("mode", "arithmetic"), ("order_amount", "100")];

fn small() -> Rig {
    let mut rig = Rig::new(vec![perp()], "grid", SMALL);
    rig.start();
    rig.quote(999, 1001);
    rig
}

#[test]
fn lays_out_two_orders_a_side_nearest_first() {
    let mut rig = small();
    assert_eq!(rig.said(), ["buy 1.01 @ 99", "buy 1.02 @ 98", "sell 0.99 @ 101", "sell 0.98 @ 102"]);
    rig.quote(1000, 1002);
    assert_eq!(rig.said(), [""; 0], "a quote alone changes nothing");
}

#[test]
fn a_lot_that_the_venue_changes_is_the_lot_of_the_next_order() {
    let mut rig = small();
    rig.said();
    let rules = Rules { lot: Qty(50), min_qty: Qty(50), ..perp().rules() };
    rig.step(Event::Rules { instrument: InstrumentId(0), rules: &rules });
    // Down through 99: what was bought by the old lot is sold by the new one, as much of it as there are whole lots.
    rig.quote(988, 989);
    assert_eq!(rig.said(), ["sell 1 @ 100"]);
    // Up through 100: the buy makes it a full order of the new lot again.
    rig.quote(1001, 1003);
    assert_eq!(rig.said(), ["buy 0.95 @ 99"]);
}

#[test]
fn answers_each_fill_one_level_away() {
    let mut rig = small();
    rig.said();
    // Down through 99: the sell of what was bought goes to 100.
    rig.quote(988, 989);
    assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
    // Up again through 100: the buy goes back to 99.
    rig.quote(1001, 1003);
    assert_eq!(rig.said(), ["buy 1.01 @ 99"]);
    // Up through 101 and 102 at once: both answered one below.
    rig.quote(1021, 1022);
    assert_eq!(rig.said(), ["buy 0.99 @ 100", "buy 0.98 @ 101"]);
    assert_eq!(rig.resting(), (vec![980, 990, 1000, 1010], vec![]));
    assert_eq!(rig.position(), -1970);
}

#[test]
fn a_partial_fill_is_answered_once_it_is_whole_or_ended() {
    let mut rig = small();
    rig.said();
    let buy = rig.order_at(Side::Buy, 990);
    rig.fill(buy, 400);
    rig.deliver();
    assert_eq!(rig.said(), [""; 0]);
    rig.fill(buy, i64::MAX);
    rig.deliver();
    assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
    // The venue ends the next one half-way: its rest is placed again after a pause, then exactly 1.02 are sold.
    let buy = rig.order_at(Side::Buy, 980);
    rig.fill(buy, 20);
    let order = rig.book.remove(&buy).unwrap().order;
    rig.report(order.cl_ord_id, order.instrument, ReportBody::Canceled { reason: CancelReason::Venue });
    rig.deliver();
    assert_eq!(rig.said(), [""; 0]);
    rig.after(1000);
    assert_eq!(rig.said(), ["buy 1 @ 98"]);
    rig.quote(978, 979);
    assert_eq!(rig.said(), ["sell 1.02 @ 99"]);
}

#[test]
fn rejected_orders_come_back_with_growing_pauses() {
    let mut rig = Rig::new(vec![perp()], "grid", &[("center", "100"), ("spacing", "1"), ("levels", "1")]);
    rig.answer = Answer::RejectOther;
    rig.start();
    rig.quote(999, 1001);
    assert_eq!(rig.said().len(), 2);
    rig.after(999);
    assert_eq!(rig.said().len(), 0);
    rig.after(1);
    assert_eq!(rig.said().len(), 2, "after 1 s");
    rig.after(1999);
    assert_eq!(rig.said().len(), 0);
    rig.after(1);
    assert_eq!(rig.said().len(), 2, "after 2 s more");
    rig.after(3_600_000);
    let tries = rig.said().len();
    assert!((100..=130).contains(&tries), "one try in 64 s for each of two orders within the hour, not {tries}");
    rig.answer = Answer::Accept;
    rig.after(64_000);
    assert_eq!(rig.said().len(), 2);
    rig.after(3_600_000);
    assert_eq!(rig.said().len(), 0);
}

#[test]
fn post_only_rejections_pause_and_do_not_escalate() {
    let mut rig = small();
    rig.said();
    rig.answer = Answer::RejectPostOnly;
    rig.quote(988, 989);
    for _ in 0..5 {
        assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
        rig.after(1000);
    }
}

#[test]
fn refusals_of_the_gates_do_not_flood() {
    let limits = Limits { max_open_orders: Some(2), ..Limits::unlimited() };
    let mut rig = Rig::with_limits(vec![perp()], "grid", SMALL, limits);
    rig.start();
    rig.quote(999, 1001);
    assert_eq!(rig.said(), ["buy 1.01 @ 99", "buy 1.02 @ 98"]);
    rig.after(600_000);
    assert!(rig.kernel.denied() < 50, "{} refusals in ten minutes", rig.kernel.denied());
    assert!(rig.kernel.denied() > 10);
}

#[test]
fn a_closing_order_that_the_market_has_passed_goes_to_the_safe_side() {
    let mut rig = small();
    rig.said();
    let buy = rig.order_at(Side::Buy, 990);
    rig.answer = Answer::RejectPostOnly;
    rig.fill(buy, i64::MAX);
    rig.deliver();
    assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
    // Meanwhile the market is at 100.5: selling at 100 would take.
    rig.answer = Answer::Accept;
    rig.quote(1004, 1006);
    rig.after(1000);
    assert_eq!(rig.said(), ["sell 1.01 @ 100.5"]);
}

#[test]
fn nothing_is_placed_while_the_book_is_unknown() {
    let mut rig = small();
    rig.said();
    let level = |px, qty| [Level { price: Price(px), qty: Qty(qty) }];
    rig.market(MarketData::Gap);
    rig.quote(988, 989);
    assert_eq!(rig.said(), [""; 0]);
    rig.market(MarketData::Depth { bids: &level(988, 1), asks: &level(989, 1), snapshot: true, update_id: 0 });
    // The top is what it was, so no tick tells of it.
    rig.after(1000);
    assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
}

#[test]
fn moves_when_the_market_left_and_takes_its_inventory_along() {
    let moving: Vec<_> = SMALL.iter().filter(|(k, _)| *k != "center").copied().chain([("recenter", "1")]).collect();
    let mut rig = Rig::new(vec![perp()], "grid", &moving);
    rig.start();
    rig.quote(999, 1001);
    rig.said();
    // Both buys fill; the market is then 1.1 below the lowest level, more than one spacing.
    rig.quote(968, 970);
    assert_eq!(rig.position(), 2030);
    let said = rig.said();
    assert_eq!(said[..2], ["sell 1.01 @ 100", "sell 1.02 @ 99"]);
    assert!(said[2..6].iter().all(|c| c.starts_with("cancel @ ")), "{said:?}");
    // Around 96.9: 94.962 .. 98.838 by 0.969. Inventory of 2.03 goes out at 97.9 (100/97.9 = 1.021) and 98.8 (rest).
    assert_eq!(said[6..], ["buy 1.042 @ 95.9", "buy 1.052 @ 95", "sell 1.031 @ 97.9", "sell 0.999 @ 98.8"]);
    assert_eq!(rig.strategy_state()["moves"], 1);
}

#[test]
fn inventory_limit_holds_back_openings_only() {
    let mut rig = Rig::new(vec![perp()], "grid", &[SMALL, &[("max_inventory", "150")]].concat());
    rig.start();
    rig.quote(999, 1001);
    // One buy of 100 fits into 150, two do not; the same for sells.
    assert_eq!(rig.said(), ["buy 1.01 @ 99", "sell 0.99 @ 101"]);
    rig.quote(988, 989);
    assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
    rig.quote(1001, 1002);
    assert_eq!(rig.said(), ["buy 1.01 @ 99"]);
}

#[test]
fn spot_sells_only_what_it_owns() {
    let wide =
        [("center", "100000"), ("spacing", "1"), ("levels", "2"), ("mode", "arithmetic"), ("order_amount", "1000")];
    let mut rig = Rig::new(vec![spot()], "grid", &wide);
    rig.deposit("ETH", "0.01");
    rig.start();
    rig.quote(999_990, 1_000_010);
    // 0.01 coins pay for one sell at 101,000 (0.0099009), not for the second.
    assert_eq!(rig.said(), ["buy 0.010101 @ 99000", "buy 0.010204 @ 98000", "sell 0.0099009 @ 101000"]);
    // The market passes the unarmed cell at 102,000: now it lies below and buys at 101,000 first.
    rig.quote(1_020_000, 1_020_020);
    assert_eq!(rig.said(), ["buy 0.0099009 @ 100000", "buy 0.0099009 @ 101000"]);
}

#[test]
fn spot_fees_in_coins_are_not_sold() {
    let wide = [("center", "100000"), ("spacing", "1"), ("levels", "1"), ("order_amount", "1000")];
    let mut rig = Rig::new(vec![spot()], "grid", &wide);
    rig.base_fee_permille = 1;
    rig.start();
    rig.quote(999_990, 1_000_010);
    assert_eq!(rig.said(), ["buy 0.0101 @ 99009.9"]);
    rig.quote(989_000, 989_100);
    // 0.0101 less 0.1 % is 0.0100899.
    assert_eq!(rig.said(), ["sell 0.0100899 @ 100000"]);
}

#[test]
fn a_stop_and_start_keeps_the_grid_and_counts_what_happened_between() {
    let mut rig = small();
    rig.said();
    rig.answer = Answer::Silent;
    rig.control(&Control::StopStrategy { strategy: StrategyId(0) });
    assert_eq!(rig.said().len(), 4, "the kernel cancels");
    // One order was filled before its cancel arrived; the others are cancelled.
    let buy = rig.order_at(Side::Buy, 990);
    rig.fill(buy, i64::MAX);
    rig.deliver();
    for (_, r) in std::mem::take(&mut rig.book) {
        rig.report(r.order.cl_ord_id, r.order.instrument, ReportBody::Canceled { reason: CancelReason::Requested });
    }
    rig.deliver();
    rig.answer = Answer::Accept;
    rig.control(&Control::StartStrategy { strategy: StrategyId(0) });
    assert_eq!(rig.said(), ["buy 1.02 @ 98", "sell 1.01 @ 100", "sell 0.99 @ 101", "sell 0.98 @ 102"]);
}

#[test]
fn works_from_last_prices_where_there_are_no_quotes() {
    let mut rig = Rig::new(vec![perp()], "grid", &[("spacing", "1"), ("levels", "1"), ("mode", "arithmetic")]);
    rig.start();
    rig.bar(1000);
    rig.after(20_000);
    assert_eq!(rig.said(), ["buy 1.01 @ 99", "sell 0.99 @ 101"]);
}

#[test]
fn an_order_of_unknown_outcome_keeps_its_level() {
    let mut rig = Rig::new(vec![perp()], "grid", SMALL);
    rig.answer = Answer::Silent;
    rig.start();
    rig.quote(999, 1001);
    rig.said();
    let buy = rig.order_at(Side::Buy, 990);
    let order = rig.book[&buy].order;
    rig.report(order.cl_ord_id, order.instrument, ReportBody::Unknown { request: Request::Place });
    rig.deliver();
    rig.after(600_000);
    assert_eq!(rig.said(), [""; 0], "no second order while the first may be live");
    // It was live and has filled.
    rig.fill(buy, i64::MAX);
    rig.deliver();
    assert_eq!(rig.said(), ["sell 1.01 @ 100"]);
}

#[test]
fn a_refused_cancel_is_asked_again_and_a_late_fill_is_counted() {
    let mut rig = Rig::new(vec![perp()], "grid", &[RANDOM, &[("max_inventory", "1000")]].concat());
    rig.start();
    rig.quote(999, 1001);
    rig.said();
    rig.answer = Answer::Silent;
    rig.quote(1100, 1102);
    let cancels = rig.said();
    assert_eq!(cancels.iter().filter(|c| c.starts_with("cancel")).count(), 6, "{cancels:?}");
    let ids: Vec<u64> = rig.book.keys().copied().collect();
    let order = rig.book[&ids[0]].order;
    let (request, reason) = (Request::Cancel, RejectReason::Other);
    rig.report(order.cl_ord_id, order.instrument, ReportBody::Rejected { request, reason, code: Text::EMPTY });
    rig.deliver();
    rig.after(1000);
    assert_eq!(rig.said(), ["cancel @ 99.5"]);
    // All are gone at last, but for one the venue sends a fill after its cancel.
    for (seq, r) in rig.book.clone() {
        rig.report(r.order.cl_ord_id, r.order.instrument, ReportBody::Canceled { reason: CancelReason::Requested });
        if seq == ids[0] {
            rig.fill(seq, 100);
        }
    }
    rig.book.clear();
    rig.answer = Answer::Accept;
    rig.deliver();
    assert_eq!(rig.resting().0.len() + rig.resting().1.len(), 6, "the grid lies around the new mid");
    assert_eq!(
        held(&rig.strategy_state()),
        rig.kernel.instruments().get(InstrumentId(0)).qty_decimal(Qty(rig.position()))
    );
}

/// One random thing that may happen.
#[derive(Clone, Copy, Debug)]
enum Act {
    Move(i64),
    Partial(usize, i64),
    Venue(usize),
    Answer(Answer),
    Wait(i64),
    Gap,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let answers = prop::sample::select(vec![Answer::Accept, Answer::RejectPostOnly, Answer::RejectOther]);
    prop_oneof![
        8 => (-25i64..=25).prop_map(Act::Move),
        4 => (0usize..20, 1i64..1200).prop_map(|(n, q)| Act::Partial(n, q)),
        2 => (0usize..20).prop_map(Act::Venue),
        1 => answers.prop_map(Act::Answer),
        3 => (1i64..5000).prop_map(Act::Wait),
        1 => Just(Act::Gap),
        1 => Just(Act::Restart),
    ]
}

const RANDOM: &[(&str, &str)] = &[("spacing", "0.5"), ("levels", "3"), ("order_amount", "100"), ("recenter", "2")];

fn perform(rig: &mut Rig, mid: &mut i64, act: Act, restarts: bool) {
    let nth = |rig: &Rig, n: usize| (!rig.book.is_empty()).then(|| *rig.book.keys().nth(n % rig.book.len()).unwrap());
    match act {
        Act::Move(by) => {
            *mid = (*mid + by).clamp(500, 2000);
            rig.quote(*mid - 1, *mid + 1);
        }
        Act::Partial(n, qty) => {
            if let Some(seq) = nth(rig, n) {
                rig.fill(seq, qty);
                rig.deliver();
            }
        }
        Act::Venue(n) => {
            if let Some(seq) = nth(rig, n) {
                let order = rig.book.remove(&seq).unwrap().order;
                let body = ReportBody::Canceled { reason: CancelReason::Venue };
                rig.report(order.cl_ord_id, order.instrument, body);
                rig.deliver();
            }
        }
        Act::Answer(answer) => rig.answer = answer,
        Act::Wait(ms) => rig.after(ms),
        Act::Gap => {
            rig.market(MarketData::Gap);
            let level = |px| [Level { price: Price(px), qty: Qty(1) }];
            let (bids, asks) = (level(*mid - 1), level(*mid + 1));
            rig.market(MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: 0 });
        }
        Act::Restart if restarts => rig.restart("grid", RANDOM),
        Act::Restart => {}
    }
}

fn held(state: &serde_json::Value) -> Decimal {
    let cells = state["cells"].as_array().unwrap().iter().map(|c| d(c["held"].as_str().unwrap()));
    cells.sum::<Decimal>() + d(state["parked"].as_str().unwrap())
}

fn check_invariants(rig: &Rig, spot: bool) {
    let (buys, sells) = rig.resting();
    let mut all: Vec<i64> = buys.iter().chain(&sells).copied().collect();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "two orders at one level: {buys:?} {sells:?}");
    assert!(count <= 6, "{count} orders of at most six");
    let open = rig.kernel.open_orders().count();
    assert!(open <= 6, "{open} orders of at most six in the kernel");
    if let (Some(buy), Some(sell)) = (buys.last(), sells.first()) {
        assert!(buy < sell, "crossed with itself: {buys:?} {sells:?}");
    }
    let i = rig.kernel.instruments().get(InstrumentId(0));
    let position = i.qty_decimal(Qty(rig.position()));
    if spot {
        let coins = rig.kernel.portfolio().cash(AccountId(0), i.base).ours;
        assert!(!coins.is_negative(), "sold coins that were not there: {coins}");
        assert_eq!(held(&rig.strategy_state()), coins, "inventory is the fills less fees in coins");
    } else {
        assert_eq!(held(&rig.strategy_state()), position, "inventory is the sum of fills");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn never_two_orders_at_a_level_and_inventory_is_the_sum_of_fills(
        acts in prop::collection::vec(act(), 1..80), on_spot in any::<bool>(),
    ) {
        let list = if on_spot { vec![Instrument { qty_decimals: 4, ..spot() }] } else { vec![perp()] };
        let mut rig = Rig::new(list, "grid", RANDOM);
        rig.base_fee_permille = 1;
        rig.start();
        let mut mid = 1000;
        rig.quote(999, 1001);
        for act in acts {
            perform(&mut rig, &mut mid, act, true);
            check_invariants(&rig, on_spot);
        }
    }

    #[test]
    fn a_restart_changes_no_command(acts in prop::collection::vec(act(), 1..60)) {
        let mut hashes = Vec::new();
        for restarts in [false, true] {
            let mut rig = Rig::new(vec![perp()], "grid", RANDOM);
            rig.start();
            let mut mid = 1000;
            rig.quote(999, 1001);
            for act in &acts {
                perform(&mut rig, &mut mid, *act, restarts);
            }
            hashes.push(rig.kernel.command_hash());
        }
        prop_assert_eq!(&hashes[0], &hashes[1]);
    }

    /// A strategy that was just restored knows nothing of cells it may pass over, so it plans all of them.
    #[test]
    fn passing_over_cells_at_the_limit_changes_no_command(
        acts in prop::collection::vec(act(), 1..80), on_spot in any::<bool>(), limit in 1..7u32,
    ) {
        let limit = (limit * 100).to_string();
        let mut params = RANDOM.to_vec();
        params.extend([("max_inventory", limit.as_str()), ("levels", "5"), ("recenter", "0")]);
        let mut logs = Vec::new();
        for anew in [false, true] {
            let list = if on_spot { vec![Instrument { qty_decimals: 4, ..spot() }] } else { vec![perp()] };
            let mut rig = Rig::new(list, "grid", &params);
            rig.base_fee_permille = 1;
            rig.start();
            let mut mid = 1000;
            rig.quote(999, 1001);
            for act in &acts {
                perform(&mut rig, &mut mid, *act, false);
                if anew {
                    rig.restart("grid", &params);
                }
            }
            logs.push((rig.said(), rig.kernel.command_hash()));
        }
        prop_assert_eq!(&logs[0], &logs[1]);
    }
}
