//! Contracts: margin, leverage, legs, reduce-only, profit, funding, liquidation, delivery.

use crate::kit::*;
use Side::{Buy, Sell};
use ctos_types::*;
use ctos_venue::*;

fn no_fees(leverage: &str) -> AccountConfig {
    let mut a = account(0, &[("USDT", "100"), ("BTC", "1")]);
    a.fees.fixed = Some(FeeRates::default());
    a.leverage = d(leverage);
    a
}

fn linear(leverage: &str) -> Sim {
    let mut sim = Sim::new(config(vec![no_fees(leverage)])).on(PERP);
    sim.snapshot(&[(10_000, 100_000)], &[(10_000, 100_000)]);
    sim.mark("100");
    sim
}

fn margin(sim: &Sim) -> Margin {
    sim.ex.margin(AccountId(0), ccy("USDT")).unwrap()
}

#[test]
fn margin_is_reserved_for_orders_and_positions() {
    let mut sim = linear("10");
    assert_eq!(sim.place(market(1, Buy, 10_001)), "#1 rejected Place InsufficientBalance");
    sim.place(limit(2, Buy, 9_000, 4_000));
    assert_eq!((margin(&sim).orders, margin(&sim).free), (d("36"), d("64")));
    sim.place(market(3, Buy, 6_000));
    assert_eq!((margin(&sim).initial, margin(&sim).free), (d("60"), d("4")));
    assert_eq!(sim.place(limit(4, Buy, 9_000, 1_000)), "#4 rejected Place InsufficientBalance");
    // An order that only closes needs nothing, whatever is left.
    assert_eq!(sim.place(limit(5, Sell, 11_000, 6_000)), "#5 accepted");
    assert_eq!(sim.hold("USDT"), d("36"));
    // A second one would open a short.
    assert_eq!(sim.place(limit(6, Sell, 11_000, 1_000)), "#6 rejected Place InsufficientBalance");
    sim.mark("101");
    assert_eq!((margin(&sim).unrealized, margin(&sim).equity), (d("6"), d("106")));
}

#[test]
fn a_closing_order_takes_margin_once_the_position_is_gone() {
    let mut sim = linear("10");
    sim.place(market(1, Buy, 2_000));
    sim.place(limit(2, Sell, 11_000, 2_000));
    assert_eq!(sim.hold("USDT"), Decimal::ZERO);
    sim.place(market(3, Sell, 1_500));
    assert_eq!(sim.hold("USDT"), d("16.5"));
    sim.place(market(4, Buy, 1_500));
    assert_eq!(sim.hold("USDT"), Decimal::ZERO);
}

#[test]
fn profit_and_fees_go_to_the_balance() {
    let mut sim =
        Sim::new(config(vec![AccountConfig { leverage: d("10"), ..account(0, &[("USDT", "100")]) }])).on(PERP);
    sim.snapshot(&[(9_990, 100_000)], &[(10_000, 100_000)]);
    sim.place(market(1, Buy, 1_000));
    assert_eq!(sim.total("USDT"), d("99.95"));
    sim.snapshot(&[(10_500, 100_000)], &[(10_510, 100_000)]);
    // 5 of profit on the first 1.000, a flip to -0.500, and 0.05 % of 157.50.
    sim.place(market(2, Sell, 1_500));
    assert_eq!((sim.position(), sim.total("USDT")), (-500, d("99.95") + d("5") - d("0.07875")));
}

#[test]
fn inverse_contracts_settle_in_coin() {
    let mut sim = Sim::new(config(vec![no_fees("10")])).on(INVERSE);
    sim.snapshot(&[(1_000, 1_000)], &[(1_000, 1_000)]);
    sim.place(market(1, Buy, 2));
    // 200 USD at 100.0 is 2 BTC of notional: 0.2 of margin at ten times.
    assert_eq!(sim.ex.margin(AccountId(0), ccy("BTC")).unwrap().initial, d("0.2"));
    assert_eq!(sim.funding("0.01", "100"), "");
    assert_eq!(sim.total("BTC"), d("0.98"), "a long pays a positive rate");
    sim.snapshot(&[(1_250, 1_000)], &[(1_260, 1_000)]);
    sim.place(market(2, Sell, 2));
    assert_eq!(sim.total("BTC"), d("0.98") + d("2") - d("1.6"));
}

#[test]
fn funding_is_paid_from_long_to_short_exactly() {
    let mut b = no_fees("10");
    b.id = AccountId(1);
    let mut sim = Sim::new(config(vec![no_fees("10"), b])).on(PERP);
    sim.place(limit(1, Buy, 10_000, 333));
    sim.place(NewOrder { account: AccountId(1), ..market(2, Sell, 333) });
    sim.funding("0.000100000000000001", "101.123456789");
    let funding: Vec<_> = sim
        .account_events()
        .into_iter()
        .filter_map(|e| {
            if let AccountEvent::Funding { account, amount, .. } = e { Some((account.0, amount)) } else { None }
        })
        .collect();
    assert_eq!(funding.len(), 2);
    assert!(funding[0].1.is_negative() && funding[0].1 == -funding[1].1, "{funding:?}");
    assert_eq!(sim.total("USDT"), d("100") + funding[0].1);
    assert!(sim.account_events().iter().any(|e| matches!(e, AccountEvent::Balance { .. })));
}

#[test]
fn reduce_only_is_cut_to_the_position() {
    let mut sim = linear("10");
    let reduce = |o| NewOrder { reduce_only: true, ..o };
    assert_eq!(sim.place(reduce(limit(1, Sell, 11_000, 500))), "#1 rejected Place ReduceOnly");
    sim.place(market(2, Buy, 1_000));
    assert_eq!(sim.place(reduce(limit(3, Buy, 9_000, 500))), "#3 rejected Place ReduceOnly");
    assert_eq!(sim.place(reduce(limit(4, Sell, 11_000, 1_500))), "#4 accepted; #4 amended 1000@Some(11000)");
    assert_eq!(sim.place(reduce(limit(5, Sell, 11_500, 800))), "#5 accepted");
    assert_eq!(
        sim.place(market(6, Sell, 400)),
        "#6 accepted; #6 Sell 400@10000 taker; #4 amended 600@Some(11000); #5 amended 600@Some(11500)"
    );
    assert_eq!(sim.trade(Buy, 12_000, 100_000), "#4 Sell 600@11000 maker; #5 canceled ReduceOnly");
    assert_eq!(sim.position(), 0);
}

#[test]
fn a_reduce_only_stop_is_looked_at_when_it_fires() {
    let mut sim = linear("10");
    sim.trade(Buy, 10_000, 1);
    let stop =
        |id| NewOrder { reduce_only: true, ..order(id, Sell, OrderKind::StopMarket { trigger: Price(9_500) }, 700) };
    assert_eq!(sim.place(stop(1)), "#1 accepted");
    assert_eq!(sim.trade(Sell, 9_500, 1), "#1 triggered; #1 canceled ReduceOnly");
    sim.trade(Buy, 10_000, 1);
    sim.place(market(2, Buy, 300));
    sim.place(stop(3));
    assert_eq!(sim.trade(Sell, 9_500, 1), "#3 triggered; #3 amended 300@None; #3 Sell 300@10000 taker");
}

#[test]
fn hedge_mode_keeps_two_legs() {
    let mut sim = Sim::new(config(vec![AccountConfig { hedge_mode: true, ..no_fees("10") }])).on(PERP);
    sim.snapshot(&[(10_000, 100_000)], &[(10_000, 100_000)]);
    let on = |leg, o| NewOrder { leg, ..o };
    assert_eq!(sim.place(market(1, Buy, 100)), "#1 rejected Place Unsupported", "a leg must be named");
    sim.place(on(Leg::Long, market(2, Buy, 500)));
    sim.place(on(Leg::Short, market(3, Sell, 300)));
    let legs: Vec<_> = sim.ex.positions(AccountId(0)).map(|(_, leg, p)| (leg, p.qty.0)).collect();
    assert_eq!(legs, [(Leg::Long, 500), (Leg::Short, -300)]);
    assert_eq!(margin(&sim).initial, d("8"));
    assert_eq!(
        sim.place(on(Leg::Short, market(4, Buy, 900))),
        "#4 accepted; #4 amended 300@None; #4 Buy 300@10000 taker"
    );
    let opening_a_close = NewOrder { position_effect: PositionEffect::Open, ..on(Leg::Long, market(5, Sell, 1)) };
    assert_eq!(sim.place(opening_a_close), "#5 rejected Place Unsupported");
}

#[test]
fn leverage_changes_what_is_reserved() {
    let mut sim = linear("10");
    sim.place(market(1, Buy, 5_000));
    let mut set = |on, leverage| sim.ex.set_leverage(AccountId(0), on, d(leverage));
    assert!(matches!(set(PERP, "101"), Err(LeverageError::Range { .. })));
    assert!(matches!(set(SPOT, "2"), Err(LeverageError::NotAContract(_))));
    assert_eq!(set(PERP, "4"), Err(LeverageError::InsufficientMargin));
    assert_eq!(set(PERP, "50"), Ok(()));
    assert_eq!(margin(&sim).initial, d("10"));
}

#[test]
fn liquidation_ties_out_and_insurance_covers_the_rest() {
    let mut sim = linear("50");
    sim.place(market(1, Buy, 20_000));
    sim.place(limit(2, Buy, 9_000, 1_000));
    // Equity 100 - 20*4.90 = 2 is below the maintenance of 9.51.
    sim.snapshot(&[(9_400, 15_000)], &[(9_600, 10)]);
    let said = sim.mark("95.1");
    assert_eq!(
        said, "#2 canceled Liquidation; #venue Sell 15000@9400 taker; #venue Sell 5000@9510 taker",
        "the book first, the rest at the mark"
    );
    // 15 * -6 + 5 * -4.9 = -114.5 against 100.
    let events = sim.account_events();
    assert!(events.contains(&AccountEvent::Liquidated { account: AccountId(0) }));
    let covered = AccountEvent::Adjustment { account: AccountId(0), currency: ccy("USDT"), amount: d("14.5") };
    assert!(events.contains(&covered), "{events:?}");
    assert_eq!((sim.total("USDT"), sim.hold("USDT"), sim.position()), (Decimal::ZERO, Decimal::ZERO, 0));
}

#[test]
fn an_account_just_above_maintenance_stays() {
    let mut sim = linear("50");
    sim.place(market(1, Buy, 20_000));
    // Equity 100 - 20 * (100 - m) against 0.005 * 20 * m: level at m = 1900 / 19.9 = 95.477…
    assert_eq!(sim.mark("95.48"), "");
    assert_ne!(sim.mark("95.47"), "");
}

#[test]
fn a_dated_future_is_settled_at_the_mark() {
    let mut sim = Sim::new(config(vec![no_fees("10")])).on(DATED);
    sim.snapshot(&[(10_000, 1_000)], &[(10_000, 1_000)]);
    sim.place(market(1, Buy, 1_000));
    sim.place(limit(2, Buy, 9_000, 10));
    sim.mark("103.333");
    assert_eq!(sim.ex.next_deadline(), Some(EXPIRY));
    assert_eq!(sim.time(EXPIRY), "#2 canceled Venue; #venue Sell 1000@10333 taker");
    assert_eq!((sim.total("USDT"), sim.position()), (d("103.33"), 0));
    assert_eq!(sim.place(market(3, Buy, 1)), "#3 rejected Place InstrumentNotTrading");
    assert_eq!(sim.ex.next_deadline(), None);
}

#[test]
fn contract_losses_cannot_be_spent_on_spot() {
    let mut sim = linear("10");
    sim.place(market(1, Buy, 5_000));
    sim.mark("95");
    // 100 less 47.5 of margin at the mark and 25 of loss.
    sim.on = SPOT;
    assert_eq!(sim.place(limit(2, Buy, 1_000, 2_751)), "#2 rejected Place InsufficientBalance");
    assert_eq!(sim.place(limit(3, Buy, 1_000, 2_750)), "#3 accepted");
}
