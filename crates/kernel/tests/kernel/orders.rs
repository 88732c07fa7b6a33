//! Order states under reports that come late, twice, out of order or not at all.

use crate::support::{Heard, PERP, Rig, TAG, buy, d, sell};
use ctos_kernel::{Alarm, Audit, Limits, Order, OrderChange, OrderRequest};
use ctos_types::{
    AccountId, CancelReason, ClientOrderId, Event, InstanceTag, KillState, Leg, Nanos, OrderReport, OrderStatus, Price,
    Qty, RejectReason, ReportBody, Request, Side, Text, UnixNanos, VenueOrderId,
};
use proptest::prelude::*;

fn rig() -> Rig {
    Rig::new(Limits::unlimited(), 1)
}

fn alarms(rig: &Rig) -> Vec<Alarm> {
    rig.audits.iter().filter_map(|a| if let Audit::Alarm(a) = a { Some(a.clone()) } else { None }).collect()
}

fn position(rig: &Rig) -> i64 {
    rig.kernel.portfolio().position(AccountId(0), PERP, Leg::Net).qty.0
}

fn rejected(request: Request, reason: RejectReason) -> ReportBody {
    ReportBody::Rejected { request, reason, code: Text::EMPTY }
}

const CANCELED: ReportBody = ReportBody::Canceled { reason: CancelReason::Requested };

/// What one order is to live through at the venue.
#[derive(Clone, Debug)]
struct Plan {
    side: Side,
    size: i64,
    /// Asked for right after placing; the venue acts on it before the fill of this number.
    amend: Option<(i64, usize)>,
    fills: Vec<i64>,
    cancelled: bool,
    /// A place request whose answer is lost first.
    timeout: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let amend = prop::option::of((1i64..40, 0usize..5));
    let fills = prop::collection::vec(1i64..12, 0..6);
    (any::<bool>(), 1i64..30, amend, fills, any::<bool>(), any::<bool>()).prop_map(
        |(buy, size, amend, fills, cancelled, timeout)| Plan {
            side: if buy { Side::Buy } else { Side::Sell },
            size: size * 100,
            amend: amend.map(|(q, at)| (q * 100, at)),
            fills: fills.into_iter().map(|f| f * 100).collect(),
            cancelled,
            timeout,
        },
    )
}

/// The venue's reports in the order in which things happened.
fn truth(plan: &Plan, rig: &mut Rig) -> Vec<ReportBody> {
    let (mut size, mut cum, mut amended) = (plan.size, 0, false);
    let mut reports = Vec::new();
    if plan.timeout {
        reports.push(ReportBody::Unknown { request: Request::Place });
    }
    reports.push(ReportBody::Accepted);
    let last = plan.fills.len();
    for at in 0..=last {
        if let Some((asked, _)) = plan.amend.filter(|(_, when)| !amended && (*when == at || at == last)) {
            amended = true;
            if cum == size {
                reports.push(rejected(Request::Amend, RejectReason::UnknownOrder));
            } else if asked < cum {
                reports.push(rejected(Request::Amend, RejectReason::BadQty));
            } else {
                size = asked;
                reports.push(ReportBody::Amended { price: None, qty: Qty(size) });
            }
        }
        let qty = plan.fills.get(at).map_or(0, |f| (*f).min(size - cum));
        if qty > 0 {
            cum += qty;
            reports.push(rig.fill_body(plan.side, 1000, qty));
        }
    }
    if plan.cancelled && cum < size {
        reports.push(rejected(Request::Cancel, RejectReason::Other));
        reports.push(CANCELED);
    }
    reports
}

/// Places the orders and asks for their amends.
fn placed(plans: &[Plan]) -> (Rig, Vec<ClientOrderId>) {
    let mut rig = rig();
    let ids = plans
        .iter()
        .map(|p| {
            let id = rig.place(0, OrderRequest::limit(PERP, p.side, Price(1000), Qty(p.size))).unwrap();
            if let Some((asked, _)) = p.amend {
                rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(asked))));
                assert!(rig.denial().is_none());
            }
            id
        })
        .collect();
    (rig, ids)
}

fn apply(rig: &mut Rig, id: ClientOrderId, at: usize, body: ReportBody) {
    let ts_event = UnixNanos(at as i64);
    let venue_order_id = VenueOrderId::EMPTY;
    let report =
        OrderReport { account: AccountId(0), instrument: PERP, cl_ord_id: Some(id), venue_order_id, ts_event, body };
    rig.step(Event::Report(&report));
}

#[track_caller]
fn check_sums(rig: &Rig) {
    let (mut buy, mut sell, mut orders) = (0, 0, 0);
    for order in rig.kernel.open_orders() {
        assert!(order.is_open() && order.reserved() >= order.leaves());
        assert_eq!(order.cum_qty.0 + order.leaves().0, order.size.0.max(order.cum_qty.0));
        assert!(order.cum_qty <= order.ceiling());
        orders += 1;
        *(if order.request.side == Side::Buy { &mut buy } else { &mut sell }) += order.reserved().0;
    }
    let e = rig.kernel.orders().exposure(AccountId(0), PERP);
    assert_eq!((e.buy, e.sell, e.orders), (buy, sell, orders));
}

fn outcome(order: &Order) -> (OrderStatus, Qty, Qty) {
    (order.status, order.cum_qty, order.leaves())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn shuffled_and_repeated_reports_end_like_the_truth(
        plans in prop::collection::vec(plan(), 1..4),
        order in prop::collection::vec((any::<u32>(), any::<bool>(), any::<u32>()), 60),
    ) {
        let (mut straight, ids) = placed(&plans);
        let (mut shuffled, same) = placed(&plans);
        prop_assert_eq!(&ids, &same);
        let mut reports = Vec::new();
        for (plan, id) in plans.iter().zip(&ids) {
            for body in truth(plan, &mut straight) {
                reports.push((*id, reports.len(), body));
            }
        }
        for (id, at, body) in &reports {
            apply(&mut straight, *id, *at, *body);
            check_sums(&straight);
        }
        let mut mixed = Vec::new();
        for (i, report) in reports.iter().enumerate() {
            let (key, again, second) = order[i % order.len()];
            mixed.push((key, *report));
            if again { mixed.push((second, *report)); }
        }
        mixed.sort_by_key(|(key, _)| *key);
        let mut closed = Vec::new();
        for (_, (id, at, body)) in mixed {
            apply(&mut shuffled, id, at, body);
            check_sums(&shuffled);
            for id in &ids {
                let is_closed = !shuffled.order(*id).is_open();
                prop_assert!(is_closed || !closed.contains(id), "a closed order came back");
                if is_closed { closed.push(*id); }
            }
        }
        for id in &ids {
            prop_assert_eq!(outcome(shuffled.order(*id)), outcome(straight.order(*id)));
        }
        prop_assert_eq!(position(&shuffled), position(&straight));
        let filled: i64 = plans.iter().zip(&ids).map(|(p, id)| p.side.sign() * straight.order(*id).cum_qty.0).sum();
        prop_assert_eq!(position(&straight), filled);
        // Row 9: the last fill of a full order again, under a new execution id.
        for (plan, id) in plans.iter().zip(&ids) {
            if shuffled.order(*id).status == OrderStatus::Filled {
                let body = straight.fill_body(plan.side, 1000, 100);
                apply(&mut shuffled, *id, 1_000_000, body);
                prop_assert_eq!(alarms(&shuffled), vec![Alarm::FillAboveCeiling { order: *id }]);
                prop_assert_eq!(position(&shuffled), filled);
            }
        }
    }
}

#[test]
fn cancel_and_fill_race_ends_filled() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 1000));
    rig.act(0, move |ctx| ctx.cancel(id));
    rig.report(id, CANCELED);
    rig.fill(id, 1000, 1000);
    assert_eq!(outcome(rig.order(id)), (OrderStatus::Filled, Qty(1000), Qty(0)));
    assert_eq!(position(&rig), 1000);
}

#[test]
fn a_repeated_fill_is_applied_once() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 1000));
    let fill = rig.fill_body(Side::Buy, 1000, 400);
    rig.report(id, fill);
    rig.report(id, fill);
    assert_eq!(alarms(&rig), [Alarm::DuplicateFill { order: Some(id), instrument: PERP }]);
    assert_eq!((rig.order(id).cum_qty, position(&rig)), (Qty(400), 400));
}

#[test]
fn an_over_fill_is_taken_in_and_flagged() {
    let mut rig = rig();
    let id = rig.rest(0, sell(1000, 1000));
    rig.fill(id, 1000, 600);
    rig.fill(id, 1000, 401);
    assert_eq!(alarms(&rig), [Alarm::OverFill { order: id }]);
    assert_eq!(outcome(rig.order(id)), (OrderStatus::Filled, Qty(1001), Qty(0)));
    assert_eq!(position(&rig), -1001);
}

#[test]
fn fills_of_others_are_booked_once_and_apart() {
    let mut rig = rig();
    let fill = rig.fill_body(Side::Buy, 1000, 300);
    rig.raw_report(AccountId(0), PERP, None, fill);
    rig.raw_report(AccountId(0), PERP, None, fill);
    assert_eq!(alarms(&rig), [Alarm::DuplicateFill { order: None, instrument: PERP }]);
    assert_eq!(position(&rig), 300);
    assert_eq!(rig.act(0, |ctx| ctx.position(PERP).qty), Some(Qty(0)));
}

#[test]
fn another_instance_on_the_account_halts_it() {
    let mut rig = rig();
    let fill = rig.fill_body(Side::Buy, 1000, 300);
    let id = ClientOrderId { tag: InstanceTag(TAG.0 + 1), seq: 1 };
    let mine = rig.rest(0, buy(990, 1000));
    rig.raw_report(AccountId(0), PERP, Some(id), fill);
    assert_eq!(alarms(&rig), [Alarm::ForeignInstance { id }]);
    assert_eq!(rig.kernel.kill().state(ctos_types::HaltScope::Account(AccountId(0))), KillState::Halted);
    // Its sequence is also one of ours: our order is untouched by the fill, and on its way out by the halt.
    assert_eq!((rig.order(mine).cum_qty, rig.order(mine).pending_cancel, position(&rig)), (Qty(0), true, 300));
}

#[test]
fn a_forgotten_order_of_ours_is_not_filled_again() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 1000));
    let fill = rig.fill_body(Side::Buy, 1000, 1000);
    rig.report(id, fill);
    for _ in 0..4096 {
        let id = rig.place(0, buy(990, 1000)).unwrap();
        rig.report(id, ReportBody::Expired);
    }
    assert!(rig.kernel.orders().get(id).is_none());
    // The venue replays the day.
    rig.raw_report(AccountId(0), PERP, Some(id), fill);
    assert_eq!(alarms(&rig), [Alarm::UnknownOrder { id }]);
    assert_eq!(position(&rig), 1000);
    // One that was never issued by this state did happen elsewhere.
    let ahead = ClientOrderId { tag: TAG, seq: 1_000_000 };
    let fill = rig.fill_body(Side::Buy, 1000, 1);
    rig.raw_report(AccountId(0), PERP, Some(ahead), fill);
    assert_eq!(position(&rig), 1001);
}

#[test]
fn unknown_outcomes_stay_reserved_until_the_venue_speaks() {
    let mut rig = rig();
    let id = rig.place(0, buy(1000, 1000)).unwrap();
    rig.report(id, ReportBody::Unknown { request: Request::Place });
    assert_eq!(outcome(rig.order(id)), (OrderStatus::Unknown, Qty(0), Qty(1000)));
    check_sums(&rig);
    rig.report(id, ReportBody::Accepted);
    assert_eq!(rig.order(id).status, OrderStatus::New);
    // The late word about the lost answer takes nothing back.
    rig.report(id, ReportBody::Unknown { request: Request::Place });
    assert_eq!(rig.order(id).status, OrderStatus::New);
    // Nor does a refusal that only says that the venue has this id already.
    rig.report(id, rejected(Request::Place, RejectReason::DuplicateClientOrderId));
    assert_eq!(rig.order(id).status, OrderStatus::New);
}

#[test]
fn a_duplicate_id_before_any_word_is_unknown_not_refused() {
    let mut rig = rig();
    let id = rig.place(0, buy(1000, 1000)).unwrap();
    rig.report(id, rejected(Request::Place, RejectReason::DuplicateClientOrderId));
    assert_eq!(rig.order(id).status, OrderStatus::Unknown);
}

#[test]
fn no_such_order_on_a_cancel_may_mean_filled() {
    let mut rig = rig();
    // Also before the venue has accepted it: the cancel overtook the order.
    let id = rig.place(0, buy(1000, 1000)).unwrap();
    assert_eq!(rig.act(0, move |ctx| ctx.cancel(id)), Some(true));
    assert_eq!(rig.commands.len(), 1);
    rig.report(id, rejected(Request::Cancel, RejectReason::UnknownOrder));
    assert_eq!(outcome(rig.order(id)), (OrderStatus::Unknown, Qty(0), Qty(1000)));
    rig.report(id, ReportBody::Accepted);
    assert_eq!(rig.act(0, move |ctx| ctx.cancel(id)), Some(true), "it can be cancelled again");
    rig.report(id, rejected(Request::Cancel, RejectReason::UnknownOrder));
    rig.fill(id, 1000, 1000);
    assert_eq!(rig.order(id).status, OrderStatus::Filled);
}

#[test]
fn a_cancel_without_an_answer_can_be_repeated() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 1000));
    assert_eq!(rig.act(0, move |ctx| (ctx.cancel(id), ctx.cancel(id))), Some((true, false)));
    rig.report(id, ReportBody::Unknown { request: Request::Cancel });
    assert_eq!(rig.order(id).status, OrderStatus::New);
    assert_eq!(rig.act(0, move |ctx| ctx.cancel(id)), Some(true));
}

#[test]
fn an_earlier_amend_does_not_undo_a_later_one() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 1000));
    let amend = |rig: &mut Rig, qty| rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(qty)))).unwrap();
    let amended = |qty| ReportBody::Amended { price: None, qty: Qty(qty) };
    assert!(amend(&mut rig, 3000) && !amend(&mut rig, 2000), "one at a time");
    apply(&mut rig, id, 1, amended(3000));
    assert!(amend(&mut rig, 2000));
    apply(&mut rig, id, 1, amended(3000));
    assert!(rig.order(id).pending_amend, "a repeated answer is not the answer to the next question");
    apply(&mut rig, id, 2, amended(2000));
    apply(&mut rig, id, 1, amended(3000));
    assert_eq!(outcome(rig.order(id)), (OrderStatus::New, Qty(0), Qty(2000)));
    check_sums(&rig);
}

#[test]
fn an_amend_that_was_asked_for_counts_though_the_venues_clock_stepped_back() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 1000));
    let amended = |qty| ReportBody::Amended { price: None, qty: Qty(qty) };
    for (ts, qty) in [(30, 3000), (2, 2000)] {
        assert!(rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(qty)))).unwrap());
        apply(&mut rig, id, ts, amended(qty));
        assert_eq!((rig.order(id).pending_amend, outcome(rig.order(id)).2), (false, Qty(qty)));
    }
    check_sums(&rig);
}

#[test]
fn fills_of_an_enlarged_order_that_outrun_the_answer_count() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 500));
    rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(1000))));
    rig.fill(id, 1000, 500);
    assert_eq!(rig.order(id).status, OrderStatus::PartiallyFilled, "the amend may have come first");
    rig.fill(id, 1000, 300);
    assert!(alarms(&rig).is_empty());
    rig.report(id, ReportBody::Amended { price: None, qty: Qty(1000) });
    assert_eq!(outcome(rig.order(id)), (OrderStatus::PartiallyFilled, Qty(800), Qty(200)));
    rig.fill(id, 1000, 200);
    assert_eq!((rig.order(id).status, position(&rig)), (OrderStatus::Filled, 1000));
}

#[test]
fn a_refused_amend_of_a_full_order_closes_it() {
    let mut rig = rig();
    let id = rig.rest(0, buy(1000, 500));
    rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(1000))));
    rig.fill(id, 1000, 500);
    rig.heard(0);
    rig.report(id, rejected(Request::Amend, RejectReason::UnknownOrder));
    assert_eq!(rig.heard(0), [Heard::Order(id, OrderChange::Filled, OrderStatus::Filled)]);
    check_sums(&rig);
}

#[test]
fn an_order_by_amount_is_bounded_by_its_money() {
    let mut rig = rig();
    let request = OrderRequest::market_quote(PERP, Side::Buy, d("100"));
    let id = rig.place(0, request).unwrap();
    assert_eq!(rig.order(id).leaves(), Qty(1000), "an estimate at the reference");
    // It buys cheaper than estimated, and so more.
    rig.fill(id, 800, 1000);
    assert_eq!(outcome(rig.order(id)), (OrderStatus::PartiallyFilled, Qty(1000), Qty(0)));
    rig.fill(id, 800, 250);
    assert_eq!(outcome(rig.order(id)), (OrderStatus::Filled, Qty(1250), Qty(0)));
    rig.fill(id, 800, 250);
    assert_eq!(alarms(&rig), [Alarm::FillAboveCeiling { order: id }]);
    assert_eq!(position(&rig), 1250);
    // It buys dearer, and closes by the venue's word with money left.
    let id = rig.place(0, request).unwrap();
    rig.fill(id, 1200, 833);
    assert_eq!(rig.order(id).leaves(), Qty(167));
    rig.report(id, ReportBody::Amended { price: None, qty: Qty(833) });
    assert_eq!(outcome(rig.order(id)), (OrderStatus::Filled, Qty(833), Qty(0)));
    check_sums(&rig);
}

#[test]
fn only_its_own_strategy_changes_an_order() {
    let mut rig = Rig::new(Limits::unlimited(), 2);
    let id = rig.rest(0, buy(1000, 1000));
    let tried = rig.act(1, move |ctx| (ctx.cancel(id), ctx.amend(id, None, Some(Qty(500))), ctx.order(id).is_some()));
    assert_eq!(tried, Some((false, false, false)));
    assert!(rig.commands.is_empty());
}

#[test]
fn close_all_is_not_stopped_by_the_orders_it_cancels() {
    let mut rig = Rig::new(Limits { self_cross: true, ..Limits::unlimited() }, 1);
    rig.hold(0, PERP, 2000);
    // Our own bid is the best bid: the market sale would meet it if it stayed.
    rig.rest(0, buy(999, 1000));
    rig.act(0, |ctx| ctx.close_all(None));
    assert!(rig.denial().is_none());
    let sides: Vec<_> = rig.commands.iter().map(|c| matches!(c, ctos_types::Command::Cancel(_))).collect();
    assert_eq!(sides, [true, false]);
}

#[test]
fn a_strategy_hears_each_change_before_its_fill() {
    let mut rig = rig();
    let id = rig.place(0, buy(1000, 1000)).unwrap();
    rig.pass(Nanos::from_millis(1));
    rig.report(id, ReportBody::Accepted);
    rig.fill(id, 1000, 400);
    rig.fill(id, 1000, 600);
    let order = |change, status| Heard::Order(id, change, status);
    assert_eq!(
        rig.heard(0),
        [
            order(OrderChange::Accepted, OrderStatus::New),
            order(OrderChange::Filled, OrderStatus::PartiallyFilled),
            Heard::Fill(id, Qty(400)),
            order(OrderChange::Filled, OrderStatus::Filled),
            Heard::Fill(id, Qty(600)),
        ]
    );
}
