//! Trades against plain position arithmetic, and a real kernel watched step by step.

use super::trades::{TradeBook, fee_value};
use super::*;
use crate::log::AccountFacts;
use crate::metrics::{self, Trials};
use ctos_kernel::{AccountSpec, Borrow, Ctx, KernelConfig, Limits, Output, ProcessSpec, Strategy};
use ctos_types::{
    AccountEvent, Balance, Control, Event, ExecId, InstanceTag, Instrument, InstrumentKind, Instruments, Liquidity,
    Market, MarketData, OrderReport, Position, Price, Quote, ReportBody, Settlement, Side, Stamped, Symbol,
    VenueOrderId,
};
use proptest::prelude::*;

pub fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn currency(text: &str) -> Currency {
    Currency::new(text).unwrap()
}

fn instrument(symbol: &str, kind: InstrumentKind) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind,
        base: currency("BTC"),
        quote: currency("USDT"),
        price_decimals: 2,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: d("0.01"),
        maintenance_margin: d("0.005"),
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}

/// A linear perpetual, a spot pair and an inverse perpetual.
pub fn instruments() -> Instruments {
    let inverse = Instrument {
        contract_value: d("100"),
        qty_decimals: 0,
        quote: currency("USD"),
        ..instrument("sim:BTC-USD-PERP", InstrumentKind::Perpetual(Settlement::Inverse))
    };
    let linear = instrument("sim:BTC-USDT-PERP", InstrumentKind::Perpetual(Settlement::Linear));
    Instruments::new(vec![linear, instrument("sim:BTC-USDT", InstrumentKind::Spot), inverse]).unwrap()
}

pub fn order_id(seq: u64) -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(0), seq }
}

/// A fill of strategy 0 in the linear perpetual.
pub fn fill(at: i64, side: Side, px: i64, qty: i64, order: u64) -> FillRow {
    FillRow {
        seq: at as u64,
        at: UnixNanos::from_secs(at),
        account: AccountId(0),
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        order: Some(order_id(order)),
        side,
        leg: Leg::Net,
        price: Price(px),
        qty: Qty(qty),
        liquidity: Liquidity::Taker,
        fee: Decimal::ZERO,
        fee_currency: currency("USDT"),
        fee_value: Some(Decimal::ZERO),
        realized: Decimal::ZERO,
        mid_at_send: None,
    }
}

fn with_fee(row: FillRow, fee: &str) -> FillRow {
    FillRow { fee: d(fee), fee_value: Some(d(fee)), ..row }
}

fn trades(fills: &[FillRow]) -> (TradeBook, Vec<TradeRow>) {
    let (all, mut book, mut out) = (instruments(), TradeBook::default(), Vec::new());
    for row in fills {
        book.fill(all.get(row.instrument), row, &mut out);
    }
    book.close(&mut out);
    (book, out)
}

#[test]
fn round_trips_by_hand() {
    use Side::{Buy, Sell};
    // In: 3 at 100 and 1 at 104, so 101 on average. Out: 1 at 110; then 4 at 99 in two fills of one order: 3 close,
    // the rest turns the position short; that is bought back at 98.
    let (book, out) = trades(&[
        with_fee(fill(0, Buy, 10_000, 3_000, 1), "0.3"),
        with_fee(fill(10, Buy, 10_400, 1_000, 2), "0.1"),
        with_fee(fill(20, Sell, 11_000, 1_000, 3), "0.05"),
        with_fee(fill(30, Sell, 9_900, 1_000, 4), "0.02"),
        with_fee(fill(31, Sell, 9_900, 3_000, 4), "0.06"),
        with_fee(fill(40, Buy, 9_800, 1_000, 5), "0.04"),
    ]);
    let brief = |t: &TradeRow| {
        let s = |at: UnixNanos| at.0 / 1_000_000_000;
        (t.side, s(t.entry_at), s(t.exit_at), t.qty.0, t.entry_px, t.exit_px, t.gross, t.fees, t.net)
    };
    let want = [
        (Buy, 0, 20, 1_000, d("101"), d("110"), d("9"), d("0.15"), d("8.85")),
        (Buy, 0, 31, 3_000, d("101"), d("99"), d("-6"), d("0.36"), d("-6.36")),
        (Sell, 31, 40, 1_000, d("99"), d("98"), d("1"), d("0.06"), d("0.94")),
    ];
    assert_eq!(out.iter().map(brief).collect::<Vec<_>>(), want);
    assert!(book.open(&instruments(), |_| None).is_empty());
    let part = &book.parts()[0];
    assert_eq!((part.fills, part.realized, part.fees), (6, d("4"), d("0.57")));
    assert_eq!((part.trades.count, part.trades.wins, part.trades.losses), (3, 2, 1));
    assert_eq!((part.trades.won, part.trades.lost, part.trades.best), (d("9.79"), d("6.36"), d("8.85")));
    assert_eq!(part.volume, d("1008"));
}

#[test]
fn an_inverse_round_trip_is_paid_in_coin() {
    let at = |at, side, px, qty| FillRow { instrument: InstrumentId(2), ..fill(at, side, px, qty, at as u64) };
    let (_, out) = trades(&[at(0, Side::Buy, 5_000_000, 2), at(1, Side::Sell, 6_250_000, 2)]);
    // 200 USD at 50,000 and at 62,500: 0.004 - 0.0032 BTC.
    assert_eq!((out[0].gross, out[0].entry_px, out[0].exit_px), (d("0.0008"), d("50000"), d("62500")));
}

#[test]
fn a_liquidation_is_the_loss_of_those_it_closes() {
    let of = |strategy, row| FillRow { strategy: StrategyId(strategy), ..row };
    let taken = FillRow { order: None, ..of(u16::MAX, with_fee(fill(9, Side::Sell, 9_000, 5_000, 0), "1")) };
    let (book, out) =
        trades(&[of(0, fill(0, Side::Buy, 10_000, 3_000, 1)), of(1, fill(1, Side::Buy, 11_000, 1_000, 2)), taken]);
    assert_eq!(
        out.iter().map(|t| (t.strategy.0, t.gross, t.fees)).collect::<Vec<_>>(),
        [(0, d("-30"), d("0.6")), (1, d("-20"), d("0.2")),]
    );
    // What nobody held is nobody's.
    let open = book.open(&instruments(), |_| Some(d("91")));
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].strategy, open[0].qty, open[0].unrealized), (StrategyId::EXTERNAL, Qty(-1_000), Some(d("-1"))));
    assert_eq!(open[0].fees, d("0.2"));
}

#[test]
fn funding_goes_to_those_who_hold() {
    let mut out = Vec::new();
    let (all, mut book) = (instruments(), TradeBook::default());
    book.fill(all.get(InstrumentId(0)), &fill(0, Side::Buy, 10_000, 3_000, 1), &mut out);
    let other = FillRow { strategy: StrategyId(1), ..fill(0, Side::Sell, 10_000, 1_000, 2) };
    book.fill(all.get(InstrumentId(0)), &other, &mut out);
    let paid = |amount| FundingRow {
        at: UnixNanos::from_secs(5),
        account: AccountId(0),
        instrument: InstrumentId(0),
        amount: d(amount),
        currency: currency("USDT"),
    };
    book.funding(&paid("-2"));
    // The short receives what the long pays beyond the account's own payment.
    assert_eq!(book.parts().iter().map(|p| p.funding).collect::<Vec<_>>(), [d("-3"), d("1")]);
    book.fill(all.get(InstrumentId(0)), &fill(9, Side::Sell, 10_000, 1_000, 3), &mut out);
    book.close(&mut out);
    assert_eq!((out[0].gross, out[0].funding, out[0].net), (d("0"), d("-1"), d("-1")));
    book.funding(&FundingRow { instrument: InstrumentId(1), ..paid("-0.5") });
    assert_eq!(book.parts()[2].strategy, StrategyId::EXTERNAL);
}

#[test]
fn fees_and_slippage_in_settlement_currency() {
    let all = instruments();
    let (linear, inverse) = (all.get(InstrumentId(0)), all.get(InstrumentId(2)));
    let value = |i, currency_: &str, px: Option<&str>| {
        fee_value(i, Price(5_000_000), d("0.002"), currency(currency_), || px.map(d))
    };
    assert_eq!(value(linear, "USDT", None), Some(d("0.002")));
    assert_eq!(value(linear, "BTC", None), Some(d("100")));
    assert_eq!(value(inverse, "USD", None), Some(d("0.00000004")));
    assert_eq!(value(linear, "BNB", Some("300")), Some(d("0.6")));
    assert_eq!(value(linear, "BNB", None), None);
    let at = |side, px, mid: &str| FillRow { mid_at_send: Some(d(mid)), ..fill(0, side, px, 2_000, 1) };
    let (book, _) =
        trades(&[at(Side::Buy, 10_100, "100.5"), at(Side::Sell, 10_000, "100.25"), fill(1, Side::Buy, 1, 1, 2)]);
    let part = &book.parts()[0];
    assert_eq!((part.slippage, part.slippage_unknown), (d("1.5"), 1));
}

proptest! {
    // Whatever strategies do, their trades add up: profit to what plain position arithmetic says, fees and funding to
    // what was paid, and what is open keeps the rest.
    #[test]
    fn trades_add_up(
        steps in prop::collection::vec((0u16..3, any::<bool>(), 1i64..500_000, 1i64..5_000, 0i64..9_999, 0u64..3, 0i64..5), 1..120),
        which in 0u32..3,
    ) {
        let all = instruments();
        let i = all.get(InstrumentId(which));
        let (mut book, mut out) = (TradeBook::default(), Vec::new());
        let mut plain: BTreeMap<u16, (Position, Decimal)> = BTreeMap::new();
        let (mut fees, mut funding) = (Decimal::ZERO, Decimal::ZERO);
        for (n, (strategy, buy, px, qty, fee, order, paid)) in steps.iter().enumerate() {
            let side = if *buy { Side::Buy } else { Side::Sell };
            let fee = Decimal::new(*fee, 7);
            let row = FillRow {
                strategy: StrategyId(*strategy),
                instrument: i.id,
                fee,
                fee_value: Some(fee),
                ..fill(n as i64, side, *px, *qty, u64::from(*strategy) * 10 + order)
            };
            book.fill(i, &row, &mut out);
            let (position, realized) = plain.entry(*strategy).or_default();
            *realized += position.apply(i, side, Price(*px), Qty(*qty)).unwrap();
            fees += fee;
            if *paid == 0 {
                let amount = Decimal::new(*px, 9);
                book.funding(&FundingRow { at: row.at, account: AccountId(0), instrument: i.id, amount, currency: i.settle() });
                funding += amount;
            }
        }
        book.close(&mut out);
        let (parts, open) = (book.parts(), book.open(&all, |_| None));
        for (strategy, (position, realized)) in &plain {
            let mine = out.iter().filter(|t| t.strategy.0 == *strategy);
            prop_assert_eq!(mine.clone().map(|t| t.gross).sum::<Decimal>(), *realized);
            let part = parts.iter().find(|p| p.strategy.0 == *strategy).unwrap();
            prop_assert_eq!(part.realized, *realized);
            prop_assert_eq!(part.trades.count as usize, mine.count());
            prop_assert_eq!(part.trades.won - part.trades.lost, out.iter().filter(|t| t.strategy.0 == *strategy).map(|t| t.net).sum());
            let held = open.iter().find(|o| o.strategy.0 == *strategy).map_or(0, |o| o.qty.0);
            prop_assert_eq!(held, position.qty.0);
        }
        prop_assert_eq!(out.iter().map(|t| t.fees).sum::<Decimal>() + open.iter().map(|o| o.fees).sum(), fees);
        let nobodys = parts.iter().filter(|p| p.strategy == StrategyId::EXTERNAL).map(|p| p.funding).sum::<Decimal>();
        prop_assert_eq!(out.iter().map(|t| t.funding).sum::<Decimal>() + open.iter().map(|o| o.funding).sum() + nobodys, funding);
        prop_assert_eq!(parts.iter().map(|p| p.funding).sum::<Decimal>(), funding);
        for t in &out {
            prop_assert!(t.entry_at <= t.exit_at && t.qty.0 > 0);
            prop_assert_eq!(t.net, t.gross - t.fees + t.funding);
        }
    }
}

// ---- a kernel, watched

/// Steps a kernel without strategies and shows each step to a collector.
struct Watched {
    kernel: Kernel,
    collector: Collector,
    out: Output,
}

impl Watched {
    fn new(reporting: &[&str], keep: Keep) -> Watched {
        Watched::with(reporting, keep, Vec::new())
    }

    fn with(reporting: &[&str], keep: Keep, processes: Vec<ProcessSpec>) -> Watched {
        let spec = |(n, currency_): (usize, &&str)| AccountSpec {
            id: AccountId(n as u16),
            name: format!("a{n}"),
            reporting: currency(currency_),
            leverage: Decimal::ONE,
            borrow: Borrow::Never,
            limits: Limits::default(),
        };
        let accounts: Vec<_> = reporting.iter().enumerate().map(spec).collect();
        let facts = |a: &AccountSpec| AccountFacts {
            name: a.name.clone(),
            reporting: a.reporting,
            start_equity: Decimal::ZERO,
        };
        let facts = Facts {
            accounts: accounts.iter().map(facts).collect(),
            instruments: instruments(),
            from: UnixNanos(0),
            ..Facts::default()
        };
        let kernel = Kernel::new(KernelConfig {
            instruments: instruments(),
            accounts,
            processes,
            tag: InstanceTag(0),
            latches: BTreeMap::new(),
        });
        Watched { kernel, collector: Collector::new(facts, keep), out: Output::default() }
    }

    fn step(&mut self, at: i64, event: Event<'_>) {
        let (seq, at) = (self.kernel.next_input(), UnixNanos::from_secs(at));
        self.kernel.step(&Stamped { seq, at, event }, &mut self.out);
        self.collector.on_step(seq, at, &mut self.out.audits, &self.kernel);
    }

    fn balance(&mut self, account: u16, currency_: &str, total: &str) {
        let balance = Balance { total: d(total), ..Balance::default() };
        let (account, currency) = (AccountId(account), currency(currency_));
        self.step(0, Event::Account(&AccountEvent::Balance { account, currency, balance }));
    }

    fn quote(&mut self, at: i64, instrument: u32, bid: i64) {
        let (bid_px, ask_px, qty) = (Price(bid), Price(bid + 200), Qty(1_000));
        let data = MarketData::Quote { quote: Quote { bid_px, bid_qty: qty, ask_px, ask_qty: qty }, update_id: 0 };
        let ts_event = UnixNanos::from_secs(at);
        self.step(at, Event::Market(Market { instrument: InstrumentId(instrument), ts_event, data }));
    }

    fn fill(&mut self, at: i64, side: Side, px: i64, qty: i64) {
        let exec = Fill {
            exec_id: ExecId::from_u64(at as u64),
            side,
            leg: Leg::Net,
            last_px: Price(px),
            last_qty: Qty(qty),
            liquidity: Liquidity::Taker,
            fee: d("0.5"),
            fee_currency: currency("USDT"),
        };
        let report = OrderReport {
            account: AccountId(0),
            instrument: InstrumentId(0),
            cl_ord_id: None,
            venue_order_id: VenueOrderId::EMPTY,
            ts_event: UnixNanos::from_secs(at),
            body: ReportBody::Fill(exec),
        };
        self.step(at, Event::Report(&report));
    }
}

#[test]
fn what_was_held_from_the_start_is_no_profit() {
    let mut w = Watched::new(&["USDT"], Keep::FULL);
    w.balance(0, "USDT", "1000");
    w.balance(0, "BTC", "2");
    w.step(0, Event::Control(&Control::Start));
    w.quote(5, 1, 9_900);
    w.quote(10, 1, 10_900);
    let log = w.collector.finish(&w.kernel);
    let line = log.main_equity().unwrap();
    // The two coins have a price of 100 at the fifth second: 1,200 is what the run began with.
    assert_eq!(
        line.points.iter().map(|p| (p.at.0 / 1_000_000_000, p.open)).collect::<Vec<_>>(),
        [(5, d("1200")), (10, d("1220")),]
    );
    assert_eq!(log.facts.accounts[0].start_equity, d("1200"));
}

/// A strategy that only runs.
struct Idle;

impl Strategy for Idle {
    fn on_start(&mut self, _: &mut Ctx<'_>) {}
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn watching_from_the_middle_of_a_run_keeps_the_first_worth() {
    let idle = ProcessSpec {
        label: "idle".into(),
        account: AccountId(0),
        limits: Limits::default(),
        strategy: Box::new(Idle),
    };
    let mut w = Watched::with(&["USDT"], Keep::FULL, vec![idle]);
    w.balance(0, "USDT", "1000");
    w.step(0, Event::Control(&Control::Start));
    w.quote(86_400, 0, 10_000);
    // A warm-up later, somebody looks for the first time; the next sample comes a day and a profit after that.
    let facts = Facts { from: UnixNanos::from_secs(86_500), ..w.collector.facts.clone() };
    w.collector = Collector::new(facts, Keep::FULL);
    w.fill(86_500, Side::Buy, 10_100, 1_000);
    w.quote(2 * 86_400, 0, 12_000);
    let log = w.collector.finish(&w.kernel);
    let m = metrics::of(&log, Trials::default()).unwrap();
    assert_eq!((m.performance.start_equity, m.performance.net_profit), (d("999.5"), d("20")));
}

#[test]
fn a_run_is_followed_from_fill_to_figure() {
    let mut w = Watched::new(&["USDT"], Keep::FULL);
    w.balance(0, "USDT", "1000");
    w.quote(1, 0, 9_900);
    w.fill(2, Side::Buy, 10_100, 2_000);
    w.quote(12, 0, 10_900);
    let funding = AccountEvent::Funding {
        account: AccountId(0),
        instrument: InstrumentId(0),
        leg: Leg::Net,
        amount: d("-1"),
        currency: currency("USDT"),
    };
    w.step(15, Event::Account(&funding));
    w.fill(22, Side::Sell, 10_900, 2_000);
    w.quote(42, 0, 10_900);
    let log = w.collector.finish(&w.kernel);
    let tally = log.tally.clone().unwrap();
    assert_eq!((tally.fills, tally.in_market_ns, log.positions.len()), (2, 20_000_000_000, 2));
    assert_eq!(
        (log.trades.len(), log.trades[0].gross, log.trades[0].fees, log.trades[0].net),
        (1, d("16"), d("1"), d("14"))
    );
    let m = metrics::of(&log, Trials::default()).unwrap();
    assert_eq!(m.performance.net_profit, d("14"));
    assert_eq!(m.by_strategy[0].net, Some(d("14")));
    assert_eq!(m.performance.end_equity, w.kernel.equity(AccountId(0)));
    // From the first priced sample, a second in, to the 42nd.
    assert!((m.time_in_market.unwrap() - 20.0 / 41.0).abs() < 1e-12);
    let exposure = tally.exposure.unwrap();
    // Two units at 100, then at 110; worth falls by the fee, follows the price, and pays the funding.
    let (first, second, third) = (200.0 / 997.5, 220.0 / 1_017.5, 220.0 / 1_016.5);
    assert!((exposure.max - third).abs() < 1e-12, "{exposure:?}");
    assert!((exposure.mean - (10.0 * first + 3.0 * second + 7.0 * third) / 41.0).abs() < 1e-12, "{exposure:?}");
    // Counted from the rows alone, the same comes out.
    let mut again = RunLog { tally: None, trades: Vec::new(), ..log.clone() };
    again.count();
    assert_eq!(again.trades, log.trades);
    assert_eq!(again.tally.unwrap().parts, tally.parts);
}

#[test]
fn sums_do_not_depend_on_what_is_kept() {
    let run = |keep| {
        let mut w = Watched::new(&["USDT"], keep);
        w.balance(0, "USDT", "1000");
        for n in 0..20 {
            w.quote(10 * n + 1, 0, 10_000 + n * 50);
            w.fill(10 * n + 2, if n % 2 == 0 { Side::Buy } else { Side::Sell }, 10_000 + n * 50, 1_000 + n);
        }
        w.collector.finish(&w.kernel)
    };
    let (full, sums) = (run(Keep::FULL), run(Keep::SUMS));
    assert_eq!(full.tally, sums.tally);
    assert_eq!((full.fills.len(), full.trades.len(), full.left_out), (20, 19, LeftOut::default()));
    assert!(sums.fills.is_empty() && sums.trades.is_empty() && sums.positions.is_empty());
    assert_eq!((sums.left_out.fills, sums.left_out.trades, sums.left_out.positions), (20, 19, 20));
    assert_eq!(metrics::of(&full, Trials::default()), metrics::of(&sums, Trials::default()));
}

#[test]
fn accounts_in_one_currency_are_also_judged_together() {
    let mut w = Watched::new(&["USDT", "BTC", "USDT"], Keep::FULL);
    w.balance(0, "USDT", "1000");
    w.balance(1, "BTC", "3");
    w.balance(2, "USDT", "500");
    w.quote(1, 0, 9_900);
    w.fill(2, Side::Buy, 10_000, 1_000);
    w.quote(9, 0, 10_900);
    let log = w.collector.finish(&w.kernel);
    assert_eq!(
        log.equity.iter().map(|l| l.account).collect::<Vec<_>>(),
        [Some(AccountId(0)), Some(AccountId(1)), Some(AccountId(2)), None]
    );
    let m = metrics::of(&log, Trials::default()).unwrap();
    assert_eq!((m.performance.start_equity, m.performance.net_profit), (d("1500"), d("9.5")));
    assert_eq!(m.accounts["a0"].net_profit, d("9.5"));
    assert_eq!((m.accounts["a1"].end_equity, m.accounts["a2"].net_profit), (d("3"), d("0")));
}
