//! A folder written, read back, and refused.

use super::*;
use crate::collect::equity::sample;
use crate::collect::tests::{currency, d, fill, instruments, order_id};
use crate::log::{AccountFacts, FillRow, FundingRow, PositionRow, StrategyFacts};
use ctos_kernel::Order;
use ctos_types::{
    AccountId, Bar, Decimal, InstrumentId, Leg, NewOrder, OrderKind, OrderQty, OrderStatus, PositionEffect, Price, Qty,
    RejectReason, Side, StrategyId, Text, TimeInForce, TriggerBy, UnixNanos,
};
use std::process::Command;

fn order(seq: u64, kind: OrderKind, qty: OrderQty, tif: TimeInForce) -> Order {
    let request = NewOrder {
        account: AccountId(0),
        strategy: StrategyId(0),
        cl_ord_id: order_id(seq),
        instrument: InstrumentId(0),
        side: Side::Sell,
        kind,
        qty,
        tif,
        post_only: seq.is_multiple_of(2),
        reduce_only: !seq.is_multiple_of(2),
        position_effect: PositionEffect::CloseToday,
        leg: Leg::Short,
        trigger_by: TriggerBy::Mark,
        auto_borrow: None,
    };
    let mut order = Order::new(request, Qty(70), UnixNanos(5 + seq as i64)).caused_by(seq + 3);
    order.status = OrderStatus::Canceled;
    (order.cum_qty, order.cum_value, order.updated) = (Qty(7), d("0.7"), UnixNanos(77));
    order.venue_order_id = Text::from_u64(seq * 1000);
    order
}

fn a_log() -> RunLog {
    let (trigger, price) = (Price(9_000), Price(9_100));
    let kinds = [
        OrderKind::Market,
        OrderKind::Limit { price },
        OrderKind::StopMarket { trigger },
        OrderKind::StopLimit { trigger, price },
        OrderKind::TakeProfitMarket { trigger },
        OrderKind::TakeProfitLimit { trigger, price },
        OrderKind::TrailingStop { callback_bps: 50, activation: None },
    ];
    let tifs = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtd(UnixNanos(1_234_567_890_123))];
    let qtys = [OrderQty::Size(Qty(70)), OrderQty::Quote(d("12.000000000000000001"))];
    let mut orders: Vec<Order> = (0..7).map(|n| order(n as u64 + 1, kinds[n], qtys[n % 2], tifs[n % 4])).collect();
    orders[3].reject = Some((RejectReason::PostOnlyWouldTake, Text::cut("-5022, \"no\"")));
    orders[4].venue_order_id = Text::EMPTY;
    let odd = FillRow {
        strategy: StrategyId::EXTERNAL,
        order: None,
        fee: d("-0.000000000000000001"),
        fee_currency: currency("币安人生"),
        fee_value: None,
        mid_at_send: Some(d("100.005")),
        ..fill(90, Side::Sell, 10_150, 1_000, 2)
    };
    let at = UnixNanos::from_secs;
    let bar = |n: i64, low, high| Bar {
        interval: Interval::M1,
        open_time: at(n * 60),
        open: Price(10_000),
        high: Price(high),
        low: Price(low),
        close: Price(10_050),
        volume: Qty(n),
    };
    let instruments = instruments();
    let account = |name: &str| AccountFacts { name: name.into(), reporting: currency("USDT"), start_equity: d("10") };
    let mut log = RunLog {
        facts: Facts {
            run_id: "bt-1".into(),
            from: at(0),
            to: at(400),
            instruments,
            accounts: vec![account("main"), account("say \"hi\", twice")],
            strategies: vec![StrategyFacts {
                id: "</script>,x".into(),
                name: "ma_cross".into(),
                params: vec![("fast".into(), "10".into())],
                account: AccountId(0),
            }],
            assumptions: vec![("latency".into(), "50 ms".into())],
            data_quality: vec!["3 bars are missing".into()],
        },
        fills: vec![fill(0, Side::Buy, 10_000, 2_000, 1), fill(240, Side::Sell, 10_100, 1_000, 3), odd],
        orders,
        positions: vec![PositionRow {
            at: at(1),
            account: AccountId(1),
            instrument: InstrumentId(2),
            leg: Leg::Long,
            qty: Qty(-4),
            avg_px: None,
            realized: d("-123456789012345678.123456789012345678"),
        }],
        funding: vec![FundingRow {
            at: at(200),
            account: AccountId(0),
            instrument: InstrumentId(0),
            amount: d("-0.25"),
            currency: currency("USDT"),
        }],
        prices: vec![
            PriceLine { instrument: InstrumentId(0), bars: (0..4).map(|n| bar(n, 9_900 - n, 10_200 + n)).collect() },
            PriceLine { instrument: InstrumentId(1), bars: vec![bar(0, 1, 2)] },
        ],
        plots: vec![PlotLine {
            strategy: StrategyId(0),
            instrument: InstrumentId(0),
            name: "fast".into(),
            points: vec![(at(1), 0.1 + 0.2), (at(2), 1e300)],
        }],
        ..RunLog::default()
    };
    let points = |k| (0..5).map(|n| sample(at(n * 60), Decimal::new(1_000 + n * k, 2), None)).collect();
    let line = |account, k| EquityLine { account, currency: currency("USDT"), bucket: Interval::M1, points: points(k) };
    log.equity = vec![line(Some(AccountId(0)), 7), line(Some(AccountId(1)), -3), line(None, 4)];
    log.equity[2].points[1].exposure = Some(d("3.5"));
    log.equity[2].points[1].fall_ratio = 1.0 / 3.0;
    log.fills.sort_by_key(|f| f.at);
    log.count();
    log
}

#[track_caller]
fn same(a: &RunLog, b: &RunLog) {
    assert_eq!(a.facts, b.facts);
    assert_eq!(a.equity, b.equity);
    assert_eq!(a.fills, b.fills);
    assert_eq!(a.orders, b.orders);
    assert_eq!(a.positions, b.positions);
    assert_eq!(a.funding, b.funding);
    assert_eq!(a.trades, b.trades);
    assert_eq!(a.tally, b.tally);
    assert_eq!(a.left_out, b.left_out);
    assert_eq!(a.prices, b.prices);
    assert_eq!(a.plots, b.plots);
}

#[test]
fn a_folder_reads_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, log) = (dir.path().join("runs/bt-1"), a_log());
    let summary = json!({"run_id": "bt-1", "fills": 3});
    let metrics = write(&folder, &log, &summary, Trials::default()).unwrap().unwrap();
    let back = read(&folder).unwrap();
    same(&log, &back.log);
    assert_eq!(metrics::of(&back.log, Trials::default()), Some(metrics));
    assert_eq!((&back.summary["run_id"], &back.summary["trades"]), (&json!("bt-1"), &json!(log.trades.len())));
    assert_eq!(back.summary["metrics"]["currency"], "USDT");
    assert_eq!(back.summary["data_quality"], json!(["3 bars are missing"]));
    let names: Vec<String> = {
        let entries = fs::read_dir(dir.path().join("runs")).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names, ["bt-1"], "nothing else is left");
    // An empty log makes a folder as well.
    let empty = RunLog { facts: log.facts.clone(), ..RunLog::default() };
    write(&dir.path().join("empty"), &empty, &json!({}), Trials::default()).unwrap();
    same(&empty, &read(&dir.path().join("empty")).unwrap().log);
}

#[test]
fn text_files_are_exact() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    write(&folder, &a_log(), &json!({}), Trials::default()).unwrap();
    let fills = fs::read_to_string(folder.join("fills.csv")).unwrap();
    let lines: Vec<&str> = fills.lines().collect();
    assert_eq!(
        lines[1],
        "0,1970-01-01T00:00:00Z,main,\"</script>,x\",sim:BTC-USDT-PERP,c0000001,buy,net,100,2,taker,0,USDT,0,0,"
    );
    assert_eq!(
        lines[2],
        concat!(
            "90,1970-01-01T00:01:30Z,main,EXTERNAL,sim:BTC-USDT-PERP,,sell,net,101.5,1,taker,-0.000000000000000001,",
            "币安人生,,0,100.005"
        )
    );
    let positions = fs::read_to_string(folder.join("positions.csv")).unwrap();
    assert!(
        positions
            .contains("\"say \"\"hi\"\", twice\",sim:BTC-USD-PERP,long,-4,,-123456789012345678.123456789012345678")
    );
    // Bars 0 to 3 minutes lie inside the trade of four minutes: 99.00 - 0.03 and 102.03 against an entry at 100.
    let trades = fs::read_to_string(folder.join("trades.csv")).unwrap();
    let last = trades.lines().last().unwrap();
    assert!(last.ends_with(",240,c0000003,1.03,2.03"), "{last}");
}

#[test]
fn what_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, log) = (dir.path().join("run"), a_log());
    // What a killed run left is in nobody's way; an empty folder neither.
    fs::create_dir_all(dir.path().join("run.part/deep")).unwrap();
    fs::create_dir(&folder).unwrap();
    write(&folder, &log, &json!({"n": 1}), Trials::default()).unwrap();
    let error = write(&folder, &log, &json!({"n": 2}), Trials::default()).unwrap_err();
    assert!(error.message.ends_with("has files in it already"), "{}", error.message);
    assert_eq!(read(&folder).unwrap().summary["n"], 1);
    // Given up half-way: nothing stays.
    let other = dir.path().join("other");
    let begun = Folder::begin(&other).unwrap();
    begun.write(&log, &json!({}), Trials::default()).unwrap();
    fs::write(begun.path().join("report.html"), "<html>").unwrap();
    drop(begun);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let begun = Folder::begin(&other).unwrap();
    begun.write(&log, &json!({}), Trials::default()).unwrap();
    fs::write(begun.path().join("report.html"), "<html>").unwrap();
    begun.publish().unwrap();
    assert!(other.join("report.html").exists());
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let message = |folder: &Path| read(folder).unwrap_err().message;
    assert!(message(&folder).ends_with("facts.json is not there"));
    write(&folder, &a_log(), &json!({}), Trials::default()).unwrap();
    let facts = fs::read_to_string(folder.join("facts.json")).unwrap();
    fs::write(folder.join("facts.json"), facts.replacen("\"format\": 1", "\"format\": 9", 1)).unwrap();
    assert!(message(&folder).contains("format 9"));
    fs::write(folder.join("facts.json"), facts.replace("sim:BTC-USDT-PERP", "sim:OTHER")).unwrap();
    assert!(message(&folder).contains("row 1: no instrument \"sim:BTC-USDT-PERP\""), "{}", message(&folder));
    fs::write(folder.join("facts.json"), &facts).unwrap();
    fs::write(folder.join("orders.parquet"), b"PAR1").unwrap();
    assert!(message(&folder).contains("orders.parquet"));
    fs::copy(folder.join("fills.parquet"), folder.join("orders.parquet")).unwrap();
    assert!(message(&folder).contains("not the columns"), "{}", message(&folder));
    fs::remove_file(folder.join("orders.parquet")).unwrap();
    assert!(message(&folder).contains("cannot open"));
}

#[test]
fn amounts_beyond_the_type_are_refused_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = a_log();
    log.positions[0].realized = d("100000000000000000000");
    let error = write(&dir.path().join("run"), &log, &json!({}), Trials::default()).unwrap_err();
    assert!(error.message.contains("positions") && error.hint.contains("1e20"), "{} {}", error.message, error.hint);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// The interpreter that `make packages` makes, or the one that `PYTHON` names. `None`, with a message: neither has
/// pyarrow, and nobody insists on it.
fn python() -> Option<std::path::PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let named = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let has = |python: &std::path::PathBuf| {
        Command::new(python).args(["-c", "import pyarrow"]).output().is_ok_and(|o| o.status.success())
    };
    let found = [own, named.into()].into_iter().find(has);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no Python with pyarrow: run `make packages`");
        eprintln!("skipped: no Python with pyarrow: run `make packages`");
    }
    found
}

/// What others read.
#[test]
fn pyarrow_reads_exact_decimals_and_times() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    write(&folder, &a_log(), &json!({}), Trials::default()).unwrap();
    let script = concat!(
        "import sys, decimal, pyarrow as pa, pyarrow.parquet as pq\n",
        "t = {n: pq.read_table(f'{sys.argv[1]}/{n}.parquet') for n in ",
        "('fills','orders','positions','funding','trades','equity','prices','plots')}\n",
        "f = t['fills']\n",
        "assert f.schema.field('fee').type == pa.decimal128(38, 18), f.schema\n",
        "assert f.schema.field('at').type == pa.timestamp('ns', tz='UTC'), f.schema\n",
        "assert str(f['fee'][1].as_py()) == '-1E-18', f['fee'][1]\n",
        "assert f['at'].cast(pa.int64())[1].as_py() == 90_000_000_000\n",
        "assert f['order'][1].as_py() is None and f['strategy'][1].as_py() == 'EXTERNAL'\n",
        "want = decimal.Decimal('-123456789012345678.123456789012345678')\n",
        "assert t['positions']['realized'][0].as_py() == want\n",
        "assert t['orders'].num_rows == 7 and t['orders']['post_only'][1].as_py() is True\n",
        "assert t['equity'].num_rows == 15 and t['equity']['account'][10].as_py() is None\n",
        "assert t['plots']['value'][1].as_py() == 1e300\n",
    );
    let out = Command::new(&python).args(["-c", script]).arg(&folder).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
