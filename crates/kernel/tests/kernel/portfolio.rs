//! Money: every sum that must tie out does, to the last atom.

use crate::support::{INVERSE, OTHER, PERP, Rig, SPOT, account, cur, d, instruments};
use ctos_kernel::{Alarm, Audit, Limits, OrderRequest};
use ctos_types::{
    AccountEvent, AccountId, Balance, Currency, Decimal, Event, ExecId, Fill, InstrumentId, Leg, Liquidity, Price, Qty,
    ReportBody, Side, StrategyId,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const STRATEGIES: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    /// `who` is a strategy, or one past the last for somebody else's order.
    Fill {
        who: usize,
        account: u16,
        instrument: u32,
        buy: bool,
        px: i64,
        qty: i64,
        leg: u8,
        fee: i64,
        fee_currency: u8,
    },
    Funding {
        account: u16,
        instrument: u32,
        leg: u8,
        amount: i128,
    },
    Interest {
        account: u16,
        amount: i64,
    },
    Adjust {
        account: u16,
        amount: i64,
    },
    Mark {
        instrument: u32,
        px: i64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let fill =
        (0..=STRATEGIES, 0u16..2, 0u32..4, any::<bool>(), 500i64..2000, 1i64..5000, 0u8..3, -500i64..2000, 0u8..3)
            .prop_map(|(who, account, instrument, buy, px, qty, leg, fee, fee_currency)| Act::Fill {
                who,
                account,
                instrument,
                buy,
                px,
                qty,
                leg,
                fee,
                fee_currency,
            });
    prop_oneof![
        6 => fill,
        2 => (0u16..2, 0u32..4, 0u8..3, -1_000_000_000_000_000_007i128..1_000_000_000_000_000_007)
            .prop_map(|(account, instrument, leg, amount)| Act::Funding { account, instrument, leg, amount }),
        1 => (0u16..2, 0i64..1000).prop_map(|(account, amount)| Act::Interest { account, amount }),
        1 => (0u16..2, -1000i64..1000).prop_map(|(account, amount)| Act::Adjust { account, amount }),
        2 => (0u32..4, 500i64..2000).prop_map(|(instrument, px)| Act::Mark { instrument, px }),
    ]
}

fn leg(n: u8, instrument: u32) -> Leg {
    // Spot and inverse here are one-way.
    if instrument == SPOT.0 || instrument == INVERSE.0 {
        Leg::Net
    } else {
        [Leg::Net, Leg::Long, Leg::Short][n as usize]
    }
}

/// Independent books: what each currency of each account must hold.
type Cash = BTreeMap<(AccountId, Currency), Decimal>;

struct Naive {
    cash: Cash,
    /// Quote spent (negative) and net size by account, instrument and leg.
    flows: BTreeMap<(AccountId, InstrumentId, Leg), (Decimal, i64)>,
}

impl Naive {
    fn flow(&mut self, account: AccountId, currency: &str, amount: Decimal) {
        *self.cash.entry((account, cur(currency))).or_default() += amount;
    }
}

fn two_accounts() -> Rig {
    // Strategies 0 and 1 trade on the first account by their own orders; strategy 2 on the second.
    Rig::with(vec![account(0, Limits::unlimited()), account(1, Limits::unlimited())], Limits::unlimited(), &[0, 0, 1])
}

fn fee_currency(n: u8) -> &'static str {
    // The fee may be in quote, in base or in a third coin.
    ["USDT", "BTC", "BNB"][n as usize]
}

fn apply(rig: &mut Rig, naive: &mut Naive, execs: &mut u64, act: &Act) {
    match *act {
        Act::Fill { who, account, instrument, buy, px, qty, leg: l, fee, fee_currency: currency } => {
            *execs += 1;
            let (id, leg) = (InstrumentId(instrument), leg(l, instrument));
            let side = if buy { Side::Buy } else { Side::Sell };
            let fill = Fill {
                exec_id: ExecId::from_u64(*execs + (1 << 40)),
                side,
                leg,
                last_px: Price(px),
                last_qty: Qty(qty),
                liquidity: Liquidity::Maker,
                fee: Decimal::new(fee, 6),
                fee_currency: cur(fee_currency(currency)),
            };
            let account = if who < STRATEGIES { AccountId([0, 0, 1][who]) } else { AccountId(account) };
            let body = ReportBody::Fill(fill);
            if who < STRATEGIES {
                // Placed large, so that the gates' balance is not what is tested.
                let order = rig
                    .act(who, move |ctx| {
                        let request = OrderRequest::limit(id, side, Price(px), Qty(qty)).leg(leg, Default::default());
                        ctx.place(request)
                    })
                    .unwrap();
                if rig.denial().is_some() {
                    return;
                }
                rig.raw_report(account, id, Some(order), body);
            } else {
                rig.raw_report(account, id, None, body);
            }
            let value = rig.kernel.instruments().get(id).notional(Price(px), Qty(qty)).unwrap();
            naive.flow(account, fee_currency(currency), -fill.fee);
            if id == SPOT {
                let base = Decimal::new(qty, 3);
                let sign = if buy { (base, -value) } else { (-base, value) };
                naive.flow(account, "BTC", sign.0);
                naive.flow(account, "USDT", sign.1);
            } else if id != INVERSE {
                let entry = naive.flows.entry((account, id, leg)).or_default();
                entry.0 += if buy { -value } else { value };
                entry.1 += qty * side.sign();
            }
        }
        Act::Funding { account, instrument, leg: l, amount } if instrument == PERP.0 || instrument == OTHER.0 => {
            let (account, instrument, leg) = (AccountId(account), InstrumentId(instrument), leg(l, instrument));
            let amount = Decimal::from_atoms(amount);
            let currency = cur("USDT");
            rig.step(Event::Account(&AccountEvent::Funding { account, instrument, leg, amount, currency }));
            naive.flow(account, "USDT", amount);
        }
        Act::Funding { .. } => {}
        Act::Interest { account, amount } => {
            let (account, amount) = (AccountId(account), Decimal::new(amount, 4));
            rig.step(Event::Account(&AccountEvent::Interest { account, currency: cur("USDT"), amount }));
            naive.flow(account, "USDT", -amount);
        }
        Act::Adjust { account, amount } => {
            let (account, amount) = (AccountId(account), Decimal::new(amount, 2));
            rig.step(Event::Account(&AccountEvent::Adjustment { account, currency: cur("USDT"), amount }));
            naive.flow(account, "USDT", amount);
        }
        Act::Mark { instrument, px } => {
            let mark = Decimal::new(px, 1).to_string();
            rig.mark(InstrumentId(instrument), &mark);
        }
    }
}

/// Σ strategies = account, for sizes, and for funding with what was paid.
fn check_positions(rig: &Rig) {
    let portfolio = rig.kernel.portfolio();
    let mut sums: BTreeMap<(AccountId, InstrumentId, Leg), i64> = BTreeMap::new();
    for ((_, account, id, leg), ledger) in portfolio.ledgers() {
        *sums.entry((account, id, leg)).or_default() += ledger.position.qty.0;
    }
    for (key, position) in portfolio.positions() {
        assert_eq!(sums.remove(&key).unwrap_or(0), position.qty.0, "{key:?}");
    }
    assert!(sums.values().all(|q| *q == 0), "{sums:?}");
}

/// Cash in linear contracts realises as positions close: cash less the cost of what is open is what was paid in all.
fn check_cash(rig: &Rig, naive: &Naive) {
    let portfolio = rig.kernel.portfolio();
    let mut want = naive.cash.clone();
    for ((account, id, leg), (paid, size)) in &naive.flows {
        let position = portfolio.position(*account, *id, *leg);
        assert_eq!(position.qty.0, *size);
        *want.entry((*account, cur("USDT"))).or_default() += *paid + position.cost;
    }
    for ((account, currency), sum) in want {
        // The inverse contract pays in coins, rounded once per flow: its own property is in the words.
        if currency != cur("BTC") {
            assert_eq!(portfolio.cash(account, currency).ours, sum, "{account:?} {currency}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn everything_ties_out(acts in prop::collection::vec(act(), 1..60)) {
        let mut rig = two_accounts();
        let mut naive = Naive { cash: Cash::new(), flows: BTreeMap::new() };
        for a in [0, 1] {
            naive.flow(AccountId(a), "USDT", d("10000"));
        }
        let mut execs = 0;
        for act in &acts {
            apply(&mut rig, &mut naive, &mut execs, act);
            check_positions(&rig);
            check_cash(&rig, &naive);
        }
        // Nothing was halted on the way: all of it was arithmetic in range.
        prop_assert!(rig.kernel.kill().latches().is_empty());
    }

    // Linear contracts only: what the strategies made, less fees, is what the account gained. To the atom.
    #[test]
    fn profits_of_the_strategies_sum_to_the_account(acts in prop::collection::vec(act(), 1..60)) {
        let mut rig = two_accounts();
        let mut naive = Naive { cash: Cash::new(), flows: BTreeMap::new() };
        let before = [0, 1].map(|a| rig.kernel.equity(AccountId(a)));
        let (mut execs, mut outside) = (0, [Decimal::ZERO; 2]);
        for act in acts {
            match act {
                Act::Fill { instrument, .. } if instrument == SPOT.0 || instrument == INVERSE.0 => continue,
                Act::Mark { instrument, .. } if instrument == SPOT.0 => continue,
                // Only a holder can be paid funding; what is paid on nothing stays with nobody.
                Act::Adjust { account, amount } => outside[account as usize] += Decimal::new(amount, 2),
                Act::Interest { account, amount } => outside[account as usize] += -Decimal::new(amount, 4),
                _ => {}
            }
            let act = if let Act::Fill { .. } = act { with_quote_fee(act) } else { act };
            apply(&mut rig, &mut naive, &mut execs, &act);
        }
        let portfolio = rig.kernel.portfolio();
        let all = instruments();
        let mut made = [Decimal::ZERO; 2];
        for strategy in (0..STRATEGIES as u16).map(StrategyId).chain([StrategyId::EXTERNAL]) {
            // The view by strategy agrees with the ledgers it is made of.
            let (mut seen, mut of_ledgers) = (Decimal::ZERO, Decimal::ZERO);
            for (_, (realized, unrealized)) in portfolio.strategy_pnl(strategy, &all, |id| rig.kernel.reference(id)) {
                seen += realized + unrealized;
            }
            for ((s, account, id, _), ledger) in portfolio.ledgers().filter(|((s, ..), _)| *s == strategy) {
                let mark = rig.kernel.reference(id).unwrap();
                let pnl = ledger.realized + ledger.funding + ledger.position.unrealized(all.get(id), mark).unwrap();
                of_ledgers += pnl;
                made[account.0 as usize] += pnl;
                for fee in ledger.fees.values() {
                    made[account.0 as usize] -= *fee;
                }
                prop_assert_eq!(s, strategy);
            }
            prop_assert_eq!(seen, of_ledgers);
        }
        for a in 0..2 {
            let gained = rig.kernel.equity(AccountId(a as u16)) - before[a] - outside[a];
            prop_assert_eq!(gained, made[a]);
        }
    }

    #[test]
    fn funding_shares_sum_exactly(
        sizes in prop::collection::vec(-3000i64..3000, 1..3), atoms in -1_000_000_007i128..1_000_000_007,
    ) {
        let mut rig = Rig::new(Limits::unlimited(), sizes.len());
        for (who, size) in sizes.iter().enumerate().filter(|(_, s)| s.abs() >= 51) {
            rig.hold(who, PERP, *size);
        }
        let held: i64 = sizes.iter().filter(|s| s.abs() >= 51).sum();
        let (account, amount, currency) = (AccountId(0), Decimal::from_atoms(atoms), cur("USDT"));
        let event = AccountEvent::Funding { account, instrument: PERP, leg: Leg::Net, amount, currency };
        rig.step(Event::Account(&event));
        let shares: Vec<_> = rig.kernel.portfolio().ledgers().map(|(k, l)| (k.0, l.funding, l.position.qty)).collect();
        prop_assert_eq!(shares.iter().map(|s| s.1).sum::<Decimal>(), amount);
        prop_assert_eq!(rig.kernel.portfolio().cash(account, currency).ours, d("10000") + amount);
        for (strategy, share, qty) in shares {
            // Each within an atom a holder of its exact part; nobody's when nothing is held.
            if strategy == StrategyId::EXTERNAL {
                prop_assert_eq!(held, 0);
            } else if held != 0 {
                let exact = atoms * i128::from(qty.0) / i128::from(held);
                prop_assert!((share.atoms() - exact).abs() <= sizes.len() as i128);
            }
        }
    }
}

fn with_quote_fee(act: Act) -> Act {
    let Act::Fill { who, account, instrument, buy, px, qty, leg, fee, .. } = act else { return act };
    Act::Fill { who, account, instrument, buy, px, qty, leg, fee, fee_currency: 0 }
}

#[test]
fn the_first_balance_is_the_start_and_later_ones_are_compared() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    let account = AccountId(0);
    let drift = |rig: &Rig| rig.audits.iter().any(|a| matches!(a, Audit::Alarm(Alarm::BalanceDrift { .. })));
    let cash = |rig: &Rig| rig.kernel.portfolio().cash(account, cur("USDT"));
    rig.hold(0, SPOT, 1000);
    assert_eq!((cash(&rig).start, cash(&rig).ours), (d("10000"), d("9900")));
    rig.balance(account, "USDT", "9900");
    assert!(!drift(&rig));
    rig.balance(account, "USDT", "9899.99");
    assert!(drift(&rig));
    assert_eq!((cash(&rig).ours, cash(&rig).venue.total), (d("9900"), d("9899.99")));
    // Borrowed money and interest owed are not owned.
    let balance = Balance { total: d("10000"), hold: d("5"), borrowed: d("99"), interest: d("1") };
    rig.step(Event::Account(&AccountEvent::Balance { account, currency: cur("USDT"), balance }));
    assert!(!drift(&rig));
}

#[test]
fn a_balance_out_of_range_is_shown_and_not_believed() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    let balance = Balance { total: -Decimal::MAX, borrowed: Decimal::MAX, ..Balance::default() };
    let account = AccountId(0);
    rig.step(Event::Account(&AccountEvent::Balance { account, currency: cur("USDT"), balance }));
    assert!(rig.audits.iter().any(|a| matches!(a, Audit::Alarm(Alarm::BalanceDrift { .. }))));
    assert_eq!(rig.kernel.portfolio().cash(account, cur("USDT")).ours, d("10000"));
}

#[test]
fn money_that_leaves_its_range_halts_and_books_nothing_by_half() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    let account = AccountId(0);
    let ReportBody::Fill(fill) = rig.fill_body(Side::Buy, 1000, 1000) else { unreachable!() };
    let fee = Decimal::MAX;
    rig.raw_report(account, PERP, None, ReportBody::Fill(Fill { fee, exec_id: ExecId::from_u64(77), ..fill }));
    rig.raw_report(account, PERP, None, ReportBody::Fill(Fill { fee, exec_id: ExecId::from_u64(78), ..fill }));
    assert_eq!(rig.kernel.kill().state(ctos_types::HaltScope::System), ctos_types::KillState::Halted);
    check_positions(&rig);
}

#[test]
fn a_missing_fee_leaves_no_nameless_currency_behind() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    let ReportBody::Fill(fill) = rig.fill_body(Side::Buy, 1000, 1000) else { unreachable!() };
    rig.raw_report(AccountId(0), PERP, None, ReportBody::Fill(Fill { fee_currency: Currency::EMPTY, ..fill }));
    assert!(rig.kernel.portfolio().all_cash().all(|(_, currency, _)| !currency.is_empty()));
}

#[test]
fn a_strategys_position_is_all_its_legs_together() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    for (leg, side, qty) in [(Leg::Long, Side::Buy, 3000), (Leg::Short, Side::Sell, 1000)] {
        let request = OrderRequest::market(PERP, side, Qty(qty)).leg(leg, Default::default());
        let id = rig.place(0, request).unwrap();
        let ReportBody::Fill(fill) = rig.fill_body(side, 1000, qty) else { unreachable!() };
        rig.report(id, ReportBody::Fill(Fill { leg, ..fill }));
    }
    let seen = rig.act(0, |ctx| (ctx.position(PERP).qty, ctx.position_on(PERP, Leg::Short).qty));
    assert_eq!(seen, Some((Qty(2000), Qty(-1000))));
}
