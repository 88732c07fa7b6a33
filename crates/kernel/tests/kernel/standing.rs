//! Accounts that are not known, positions from outside, and rules that change while the run goes on.

use crate::support::{OTHER, PERP, Rig, SPOT, account, buy, config, cur, d, sell};
use ctos_kernel::{Alarm, Audit, Gate, Kernel, Limits, OrderRequest, Output};
use ctos_types::{
    AccountEvent, AccountId, ClientOrderId, Command, Control, Decimal, Event, InstrumentId, Leg, Nanos, Price, Qty,
    RejectReason, ReportBody, Rules, Side, Stamped, StrategyId,
};

const ME: AccountId = AccountId(0);

fn standing(rig: &mut Rig, known: bool) {
    rig.step(Event::Account(&AccountEvent::Standing { account: ME, known }));
}

fn opening(rig: &mut Rig, instrument: InstrumentId, qty: i64, entry_px: Option<Decimal>) {
    let event = AccountEvent::Opening { account: ME, instrument, leg: Leg::Net, qty: Qty(qty), entry_px };
    rig.step(Event::Account(&event));
}

fn cash(rig: &Rig, currency: &str) -> Decimal {
    rig.kernel.portfolio().cash(ME, cur(currency)).ours
}

#[test]
fn nothing_new_leaves_while_an_account_is_unknown_but_cancels_and_closing_orders_do() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    rig.hold(0, PERP, 1000);
    let open = rig.rest(0, buy(990, 1000));
    standing(&mut rig, false);
    assert!(rig.audits.contains(&Audit::Standing { account: ME, known: false }));
    let denied = rig.place(0, buy(980, 1000)).unwrap_err();
    assert_eq!((denied.gate, denied.limit, denied.asked), (Gate::Standing, Decimal::ZERO, Decimal::ONE));
    rig.place(0, sell(1000, 1000)).unwrap();
    assert_eq!(rig.place(0, sell(1000, 1)).unwrap_err().gate, Gate::Standing);
    rig.act(0, move |ctx| ctx.amend(open, Some(Price(991)), None));
    assert!(rig.commands.is_empty(), "an amend to a higher price is new risk");
    rig.act(0, move |ctx| ctx.cancel(open));
    assert!(matches!(rig.commands[..], [Command::Cancel(c)] if c.cl_ord_id == open));
    standing(&mut rig, false);
    assert!(rig.audits.is_empty(), "what is known already is not told again");
    standing(&mut rig, true);
    rig.place(0, buy(970, 1000)).unwrap();
}

#[test]
fn an_unknown_account_holds_nobody_else_up() {
    let specs = vec![account(0, Limits::unlimited()), account(1, Limits::unlimited())];
    let mut rig = Rig::with(specs, Limits::unlimited(), &[0, 1]);
    standing(&mut rig, false);
    assert!(rig.place(0, buy(990, 1000)).is_err());
    rig.place(1, buy(990, 1000)).unwrap();
}

#[test]
fn a_position_from_before_the_run_belongs_to_nobody_and_its_profit_ties_out() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    let start = rig.kernel.equity(ME);
    opening(&mut rig, PERP, 2000, Some(d("90.05")));
    assert!(rig.audits.contains(&Audit::Adopted {
        account: ME,
        instrument: PERP,
        leg: Leg::Net,
        qty: Qty(2000),
        px: d("90.05"),
    }));
    assert_eq!(cash(&rig, "USDT"), d("10000"), "an opening moves no money");
    let portfolio = rig.kernel.portfolio();
    assert_eq!(portfolio.net_qty(ME, PERP), Qty(2000));
    assert_eq!(portfolio.strategy_net(StrategyId::EXTERNAL, ME, PERP).qty, Qty(2000));
    assert_eq!(portfolio.strategy_net(StrategyId(0), ME, PERP).qty, Qty(0));
    // Unrealised at the mid of 100: 2 * 9.95.
    assert_eq!(rig.kernel.equity(ME), start + d("19.9"));
    // The account's position shrinks by what the strategy sells; its own books are short.
    let id = rig.place(0, sell(1000, 1500)).unwrap();
    rig.fill(id, 1000, 1500);
    assert_eq!(rig.kernel.portfolio().net_qty(ME, PERP), Qty(500));
    assert_eq!(rig.kernel.portfolio().strategy_net(StrategyId(0), ME, PERP).qty, Qty(-1500));
    assert_eq!(cash(&rig, "USDT"), d("10000") + d("14.925"), "1.5 * (100 - 90.05)");
    // What the rest was closed by, nobody told: it counts as a trade of others.
    opening(&mut rig, PERP, -500, Some(d("101.5")));
    assert_eq!(rig.kernel.portfolio().net_qty(ME, PERP), Qty(0));
    assert_eq!(cash(&rig, "USDT"), d("10014.925") + d("5.725"), "0.5 * (101.5 - 90.05)");
    let ours: i64 = rig.kernel.portfolio().ledgers().map(|(_, l)| l.position.qty.0).sum();
    assert_eq!(ours, 0, "the parts sum to the whole");
}

#[test]
fn what_comes_with_a_position_is_neither_profit_nor_loss_of_the_day() {
    let limits = Limits { daily_loss: Some(d("50")), ..Limits::unlimited() };
    let mut rig = Rig::with(vec![account(0, limits)], Limits::unlimited(), &[0]);
    rig.pass(Nanos::from_secs(2));
    rig.quote(PERP, 999, 1001);
    opening(&mut rig, PERP, 100_000, Some(d("200")));
    rig.pass(Nanos::from_secs(2));
    rig.quote(PERP, 999, 1001);
    assert!(rig.kernel.kill().latches().is_empty(), "10,000 of loss was there before us");
    rig.pass(Nanos::from_secs(2));
    rig.quote(PERP, 990, 992);
    assert!(!rig.kernel.kill().latches().is_empty(), "90 more are the day's");
}

#[test]
fn a_spot_holding_moves_no_balance() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    opening(&mut rig, SPOT, 3000, Some(d("80")));
    assert_eq!((cash(&rig, "USDT"), cash(&rig, "BTC")), (d("10000"), d("10")));
    assert_eq!(rig.kernel.portfolio().net_qty(ME, SPOT), Qty(3000));
}

#[test]
fn a_position_without_a_price_waits_for_one_and_nothing_new_leaves_meanwhile() {
    let (config, _puppets) = config(vec![account(0, Limits::unlimited())], Limits::unlimited(), &[0]);
    let mut rig = Rig::new(Limits::unlimited(), 1);
    rig.kernel = Kernel::new(config);
    rig.balance(ME, "USDT", "10000");
    rig.control(Control::Start);
    opening(&mut rig, PERP, 1000, None);
    assert!(!rig.kernel.is_known(ME));
    assert_eq!(rig.kernel.portfolio().net_qty(ME, PERP), Qty(0));
    rig.pass(Nanos::from_secs(2));
    rig.quote(PERP, 999, 1001);
    assert!(rig.kernel.is_known(ME));
    let position = rig.kernel.portfolio().position(ME, PERP, Leg::Net);
    assert_eq!((position.qty, position.cost), (Qty(1000), d("100")));
    assert_eq!(rig.kernel.equity(ME), d("10000"));
}

fn rules(tick: i64, lot: i64, min_notional: &str, trading: bool) -> Rules {
    Rules {
        tick: Price(tick),
        lot: Qty(lot),
        min_qty: Qty(lot),
        max_qty: Qty(1_000_000),
        min_notional: d(min_notional),
        trading,
    }
}

fn change(rig: &mut Rig, rules: Rules) {
    rig.step(Event::Rules { instrument: PERP, rules: &rules });
}

#[track_caller]
fn refused(rig: &mut Rig, request: OrderRequest, rule: RejectReason) {
    let denied = rig.place(0, request).unwrap_err();
    assert_eq!((denied.gate, denied.rule), (Gate::Instrument, Some(rule)));
}

#[test]
fn rules_that_changed_are_the_ones_asked() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    rig.rest(0, buy(991, 1001));
    change(&mut rig, rules(5, 10, "20", true));
    refused(&mut rig, buy(991, 1000), RejectReason::BadPrice);
    refused(&mut rig, buy(990, 1001), RejectReason::BadQty);
    refused(&mut rig, buy(990, 200), RejectReason::MinNotional);
    rig.place(0, buy(990, 1000)).unwrap();
    // Whoever rounds asks the instrument, which has the new rules.
    let tick = rig.act(0, |ctx| ctx.instrument(PERP).tick).unwrap();
    assert_eq!(tick, Price(5));
    assert_eq!(rig.kernel.orders().open_count(), 2, "what is open is the venue's to cancel");
}

#[test]
fn an_instrument_that_stopped_trading_takes_cancels_only_until_it_trades_again() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    rig.hold(0, PERP, 1000);
    let open = rig.rest(0, buy(990, 1000));
    change(&mut rig, rules(1, 1, "5", false));
    refused(&mut rig, buy(990, 1000), RejectReason::InstrumentNotTrading);
    refused(&mut rig, sell(1000, 1000), RejectReason::InstrumentNotTrading);
    rig.place(0, OrderRequest::limit(OTHER, Side::Buy, Price(990), Qty(1000))).unwrap();
    rig.act(0, move |ctx| ctx.cancel(open));
    assert_eq!(rig.commands.len(), 1);
    change(&mut rig, rules(1, 1, "5", true));
    rig.place(0, buy(990, 1000)).unwrap();
}

#[test]
fn rules_that_make_no_sense_stop_the_instrument() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    change(&mut rig, rules(0, 1, "5", true));
    assert!(rig.audits.iter().any(|a| matches!(a, Audit::Alarm(Alarm::BadRules { instrument: PERP, .. }))));
    refused(&mut rig, buy(990, 1000), RejectReason::InstrumentNotTrading);
}

#[test]
fn standing_openings_and_rules_survive_a_snapshot() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    standing(&mut rig, false);
    opening(&mut rig, OTHER, 700, Some(d("99")));
    change(&mut rig, rules(5, 10, "20", true));
    let saved = serde_json::to_value(rig.kernel.save()).unwrap();
    let (config, _puppets) = config(vec![account(0, Limits::unlimited())], Limits::unlimited(), &[0]);
    let mut again = Kernel::new(config);
    again.restore(&saved).unwrap();
    assert!(!again.is_known(ME));
    assert_eq!(again.instruments().get(PERP).tick, Price(5));
    assert_eq!(again.portfolio().net_qty(ME, OTHER), Qty(700));
    assert_eq!(serde_json::to_value(again.save()).unwrap(), saved);
    let known = AccountEvent::Standing { account: ME, known: true };
    let input = Stamped { seq: again.next_input(), at: rig.now, event: Event::Account(&known) };
    again.step(&input, &mut Output::default());
    assert!(again.is_known(ME));
}

#[test]
fn a_state_without_them_reads_as_before() {
    let rig = Rig::new(Limits::unlimited(), 1);
    let mut saved = serde_json::to_value(rig.kernel.save()).unwrap();
    let state = saved["state"].as_object_mut().unwrap();
    assert!(["unknown", "unpriced", "rules"].iter().all(|key| state.get(*key).is_none()));
    let (config, _puppets) = config(vec![account(0, Limits::unlimited())], Limits::unlimited(), &[0]);
    let mut again = Kernel::new(config);
    again.restore(&saved).unwrap();
    assert!(again.is_known(ME));
}

#[test]
fn an_order_that_was_open_when_the_account_got_lost_may_still_fill() {
    let mut rig = Rig::new(Limits::unlimited(), 1);
    let id: ClientOrderId = rig.rest(0, buy(990, 1000));
    standing(&mut rig, false);
    let body = rig.fill_body(Side::Buy, 990, 1000);
    rig.report(id, body);
    assert_eq!(rig.kernel.portfolio().net_qty(ME, PERP), Qty(1000));
    rig.report(id, ReportBody::Accepted);
    assert!(rig.kernel.orders().get(id).unwrap().status.is_closed());
}
