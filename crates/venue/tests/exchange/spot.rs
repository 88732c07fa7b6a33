//! Spot accounts: holds, fee currencies, borrowing and interest.

use crate::kit::*;
use Side::{Buy, Sell};
use ctos_types::*;
use ctos_venue::*;

fn with_fees(currency: FeeCurrency) -> Sim {
    let mut a = account(0, &[("USDT", "100"), ("BTC", "1"), ("BNB", "0.001")]);
    a.fees.currency = currency;
    let mut sim = Sim::new(config(vec![a]));
    sim.snapshot(&[(9_990, 1_000)], &[(10_000, 1_000)]);
    sim
}

#[test]
fn holds_are_taken_and_released_exactly() {
    let mut sim = with_fees(FeeCurrency::Quote);
    sim.place(limit(1, Buy, 9_000, 500));
    // 45 and the worst fee, 0.05 %.
    assert_eq!(sim.hold("USDT"), d("45.0225"));
    assert_eq!(sim.place(limit(2, Buy, 9_000, 611)), "#2 rejected Place InsufficientBalance");
    sim.place(limit(3, Sell, 11_000, 400));
    assert_eq!((sim.hold("BTC"), sim.ex.balance(AccountId(0), ccy("BTC")).available()), (d("0.4"), d("0.6")));
    assert_eq!(sim.place(market(4, Sell, 601)), "#4 rejected Place InsufficientBalance");
    sim.trade(Sell, 8_999, 200);
    assert_eq!(sim.hold("USDT"), d("27.0135"));
    assert_eq!(sim.total("USDT"), d("100") - d("18") - d("0.0036"));
    sim.cancel(1);
    sim.cancel(3);
    assert_eq!((sim.hold("USDT"), sim.hold("BTC")), (Decimal::ZERO, Decimal::ZERO));
}

#[test]
fn fees_in_what_is_received() {
    let mut sim = with_fees(FeeCurrency::Received);
    sim.place(market(1, Buy, 500));
    assert_eq!((sim.total("USDT"), sim.total("BTC")), (d("50"), d("1.49975")));
    sim.place(market(2, Sell, 500));
    assert_eq!((sim.total("USDT"), sim.total("BTC")), (d("50") + d("49.95") - d("0.024975"), d("0.99975")));
}

#[test]
fn a_token_pays_at_a_discount_while_it_lasts() {
    let mut sim = with_fees(FeeCurrency::Token { currency: ccy("BNB"), discount: d("0.25"), prices: Vec::new() });
    sim.place(market(1, Buy, 100));
    assert_eq!(sim.total("BNB"), d("0.001"), "no price for the token yet: base pays");
    assert_eq!(sim.total("BTC"), d("1.09995"));
    sim.on = BNB;
    sim.trade(Buy, 30_000, 1);
    sim.on = SPOT;
    // 50 * 0.0005 * 0.75 / 300
    sim.place(market(2, Buy, 500));
    assert_eq!((sim.total("BNB"), sim.total("BTC")), (d("0.0009375"), d("1.59995")));
    let mut sim = with_fees(FeeCurrency::Token {
        currency: ccy("BNB"),
        discount: d("0.25"),
        prices: vec![(ccy("USDT"), d("0.1"))],
    });
    sim.place(market(1, Buy, 500));
    assert_eq!((sim.total("BNB"), sim.total("BTC")), (d("0.001"), d("1.49975")), "too little of it: base pays");
}

#[test]
fn inexact_fees_round_against_the_payer() {
    let mut sim = Sim::new(config(vec![AccountConfig {
        fees: FeeSchedule {
            fixed: Some(FeeRates { maker: d("-0.000000000000000003"), taker: d("0.000000000000000003") }),
            currency: FeeCurrency::Quote,
            ..FeeSchedule::default()
        },
        ..account(0, &[("USDT", "100")])
    }]));
    sim.snapshot(&[], &[(10_000, 1)]);
    sim.place(market(1, Buy, 1));
    // 0.1 * 3e-18 is 0.3 atoms: one atom is paid.
    assert_eq!(sim.total("USDT"), d("99.899999999999999999"));
    sim.place(limit(2, Buy, 10_000, 1));
    sim.trade(Sell, 9_999, 1);
    assert_eq!(sim.total("USDT"), d("99.799999999999999999"), "a rebate of 0.3 atoms is nothing");
}

#[test]
fn tiers_follow_the_volume_of_earlier_days() {
    let tier =
        |min_volume, taker| FeeTier { min_volume: d(min_volume), rates: FeeRates { maker: d("0"), taker: d(taker) } };
    let mut a = rich(0);
    a.fees = FeeSchedule {
        tiers: vec![tier("100", "0.0004"), tier("1000", "0.0001")],
        currency: FeeCurrency::Quote,
        fixed: None,
    };
    let mut sim = Sim::new(config(vec![a]));
    let mut fee = |day: i64| {
        sim.now = UnixNanos::from_secs(day * 86_400);
        sim.snapshot(&[], &[(10_000, 2_000)]);
        let before = sim.total("USDT");
        sim.place(market(day as u64 + 1, Buy, 2_000));
        before - sim.total("USDT") - d("200")
    };
    assert_eq!(fee(0), d("0.1"), "the instrument's own rate");
    assert_eq!(fee(1), d("0.08"));
    for day in 2..6 {
        fee(day);
    }
    assert_eq!(fee(6), d("0.02"));
    assert_eq!(fee(60), d("0.1"), "volume is forgotten after 30 days");
}

#[test]
fn market_stop_spends_only_what_is_there() {
    let mut sim = Sim::new(config(vec![account(0, &[("USDT", "10")])]));
    sim.trade(Buy, 9_000, 1);
    let stop = OrderKind::StopMarket { trigger: Price(10_000) };
    assert_eq!(sim.place(order(1, Buy, stop, 100)), "#1 accepted");
    assert_eq!(sim.hold("USDT"), d("10"));
    sim.snapshot(&[], &[(12_000, 500)]);
    assert_eq!(sim.trade(Buy, 11_900, 1), "#1 triggered; #1 Buy 83@12000 taker; #1 canceled NoLiquidity");
    assert_eq!(sim.total("USDT"), d("0.04"));
}

fn on_credit() -> Sim {
    let mut a = account(0, &[("USDT", "100")]);
    let rates = vec![(ccy("USDT"), d("0.001")), (ccy("BTC"), d("0.001"))];
    a.borrow = Some(BorrowConfig { valuation: ccy("USDT"), max_leverage: d("3"), interest_per_hour: rates });
    a.fees.fixed = Some(FeeRates::default());
    let mut sim = Sim::new(config(vec![a]));
    sim.snapshot(&[(10_000, 10_000)], &[(10_000, 10_000)]);
    sim.trade(Buy, 10_000, 1);
    sim
}

#[test]
fn buying_on_credit_up_to_the_leverage() {
    let mut sim = on_credit();
    assert_eq!(sim.place(market(1, Buy, 3_001)), "#1 rejected Place InsufficientBalance");
    assert_eq!(sim.place(market(2, Buy, 3_000)), "#2 accepted; #2 Buy 3000@10000 taker");
    let b = sim.ex.balance(AccountId(0), ccy("USDT"));
    assert_eq!((b.total, b.borrowed), (Decimal::ZERO, d("200")));
    assert_eq!(sim.place(limit(3, Buy, 9_000, 1)), "#3 rejected Place InsufficientBalance");
    // Selling repays.
    sim.place(market(4, Sell, 1_500));
    assert_eq!(sim.ex.balance(AccountId(0), ccy("USDT")).borrowed, d("50"));
}

#[test]
fn interest_is_charged_each_full_hour_and_paid_first() {
    let mut sim = on_credit();
    sim.now = UnixNanos::from_secs(1_800);
    sim.place(market(1, Buy, 2_000));
    assert_eq!(sim.ex.next_deadline(), Some(UnixNanos::from_secs(3_600)));
    sim.time(UnixNanos::from_secs(7_300));
    let interest: Vec<_> =
        sim.account_events().into_iter().filter(|e| matches!(e, AccountEvent::Interest { .. })).collect();
    let charged = AccountEvent::Interest { account: AccountId(0), currency: ccy("USDT"), amount: d("0.1") };
    assert_eq!(interest, [charged, charged]);
    let b = sim.ex.balance(AccountId(0), ccy("USDT"));
    assert_eq!((b.borrowed, b.interest), (d("100"), d("0.2")));
    sim.place(market(2, Sell, 1));
    let b = sim.ex.balance(AccountId(0), ccy("USDT"));
    assert_eq!((b.borrowed, b.interest), (d("100"), d("0.1")));
    sim.place(market(3, Sell, 1_999));
    let b = sim.ex.balance(AccountId(0), ccy("USDT"));
    assert_eq!((b.total, b.borrowed, b.interest), (d("99.8"), Decimal::ZERO, Decimal::ZERO));
    sim.time(UnixNanos::from_secs(10_900));
    assert_eq!(sim.ex.next_deadline(), Some(EXPIRY), "nothing owed, nothing due");
}

#[test]
fn selling_what_is_borrowed() {
    let mut sim = on_credit();
    assert_eq!(sim.place(market(1, Sell, 2_000)), "#1 accepted; #1 Sell 2000@10000 taker");
    let b = sim.ex.balance(AccountId(0), ccy("BTC"));
    assert_eq!((b.total, b.borrowed), (Decimal::ZERO, d("2")));
    assert_eq!(sim.place(market(2, Sell, 1)), "#2 rejected Place InsufficientBalance");
    assert_eq!(
        sim.place(NewOrder { reduce_only: true, ..market(3, Sell, 1) }),
        "#3 rejected Place InsufficientBalance"
    );
}

#[test]
fn deposits_and_withdrawals_are_adjustments() {
    let mut sim = with_fees(FeeCurrency::Quote);
    sim.place(limit(1, Buy, 9_000, 1_000));
    let mut out = Vec::new();
    let mut transfer = |sim: &mut Sim, amount| sim.ex.transfer(sim.now, AccountId(0), ccy("USDT"), d(amount), &mut out);
    assert_eq!(transfer(&mut sim, "-10"), Err(TransferError::InsufficientBalance));
    assert_eq!(transfer(&mut sim, "-9"), Ok(()));
    assert_eq!(transfer(&mut sim, "5"), Ok(()));
    assert_eq!(sim.total("USDT"), d("96"));
}

#[test]
fn settings_that_contradict_themselves() {
    let refused = |a: AccountConfig| Exchange::new(instruments(), config(vec![a])).unwrap_err().to_string();
    assert_eq!(refused(account(0, &[("USDT", "-1")])), "account 0: starting balance of USDT is negative: -1");
    assert_eq!(refused(account(0, &[("USDT", "1"), ("USDT", "1")])), "account 0: USDT is listed twice");
    assert_eq!(
        refused(AccountConfig { leverage: d("0.5"), ..rich(3) }),
        "account 3: leverage must be at least 1, not 0.5"
    );
    let twice = Exchange::new(instruments(), config(vec![rich(1), rich(1)])).unwrap_err().to_string();
    assert_eq!(twice, "account 1 is listed twice");
}
