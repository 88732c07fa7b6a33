//! The projection on real files: idempotence, rollback, filters, damage, locks and versions.
//! Never: wall time.

use super::*;

struct Temp {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn temp() -> Temp {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.sqlite");
    Temp { _dir: dir, path }
}

fn order(seq: u64, key: &str, status: &str) -> ProjectionRow {
    let change = Change::Order(OrderRow {
        account: 1,
        order_key: key.into(),
        cl_ord_id: Some(key.into()),
        venue_order_id: None,
        strategy: if key < "c5" { "grid".into() } else { "ma".into() },
        instrument: "sim:BTC-USDT".into(),
        side: "buy".into(),
        kind: "limit".into(),
        time_in_force: "gtc".into(),
        leg: "net".into(),
        price: Some("61800.20".into()),
        trigger_price: None,
        qty: "0.001".into(),
        cum_qty: "0".into(),
        avg_px: None,
        status: status.into(),
        is_open: status == "new",
        reason: None,
        created_seq: key[1..].parse().unwrap(),
        updated_seq: seq,
        created_at: 1,
        updated_at: seq as i64,
    });
    ProjectionRow { seq, change }
}

fn fill(seq: u64) -> ProjectionRow {
    let change = Change::Fill(FillRow {
        account: 1,
        instrument: "sim:BTC-USDT".into(),
        exec_id: format!("x{seq}"),
        seq,
        at: seq as i64,
        cl_ord_id: Some("c1".into()),
        venue_order_id: Some("v1".into()),
        strategy: "grid".into(),
        side: "buy".into(),
        leg: "net".into(),
        last_px: "61800.200000000000000001".into(),
        last_qty: "0.001".into(),
        liquidity: "maker".into(),
        fee: "-0.000000000000000001".into(),
        fee_currency: "USDT".into(),
        realized_pnl: None,
    });
    ProjectionRow { seq, change }
}

fn others(seq: u64) -> Vec<ProjectionRow> {
    let at = seq as i64;
    let text = |s: &str| String::from(s);
    let changes = vec![
        Change::Position(PositionRow {
            account: 1,
            strategy: text(""),
            instrument: text("sim:BTC-USDT"),
            leg: text("net"),
            qty: format!("0.00{seq}"),
            avg_px: Some(text("1.5")),
            realized_pnl: text("0"),
            unrealized_pnl: None,
            currency: text("USDT"),
            at,
        }),
        Change::Balance(BalanceRow {
            account: 1,
            currency: text("USDT"),
            total: format!("{seq}"),
            hold: text("0"),
            borrowed: text("0"),
            interest: text("0"),
            at,
        }),
        Change::Equity(EquityRow { account: 1, currency: text("USDT"), seq, at, equity: text("1000") }),
        Change::Event(EventRow {
            seq,
            number: 0,
            at,
            kind: text("denied"),
            severity: text("warning"),
            account: Some(1),
            strategy: None,
            instrument: None,
            message: text("max_notional"),
            detail: Some(text("{}")),
        }),
        Change::Strategy(StrategyRow {
            strategy: text("grid"),
            kind: text("grid"),
            params: text("{}"),
            status: text("running"),
            reason: None,
            at,
        }),
    ];
    changes.into_iter().map(|change| ProjectionRow { seq, change }).collect()
}

fn run_row(id: &str, number: u64) -> RunRow {
    RunRow {
        run_id: id.into(),
        number,
        mode: "paper".into(),
        shard: 0,
        started_at: 5,
        ended_at: None,
        status: "running".into(),
        settings: "{}".into(),
        summary: None,
    }
}

fn orders(p: &Projection) -> Vec<(String, String)> {
    let all = p.orders(&OrderFilter { run_id: "r".into(), ..OrderFilter::default() }).unwrap();
    all.into_iter().map(|o| (o.order_key, o.status)).collect()
}

fn fills(p: &Projection) -> Vec<FillRow> {
    p.fills(&FillFilter { run_id: "r".into(), ..FillFilter::default() }).unwrap()
}

#[test]
fn applying_twice_or_from_an_earlier_point_changes_nothing() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    assert_eq!(p.applied_seq("r").unwrap(), None);
    let first = [order(0, "c0", "new"), order(1, "c1", "new"), fill(2)];
    p.apply("r", 2, &first).unwrap();
    let second = [order(3, "c1", "filled"), fill(4)];
    p.apply("r", 9, &second).unwrap();
    let (had_orders, had_fills) = (orders(&p), fills(&p));
    assert_eq!(had_orders, [("c1".into(), "filled".into()), ("c0".into(), "new".into())]);
    // Replayed from the start after a crash: the old state of c1 must not come back.
    p.apply("r", 2, &first).unwrap();
    p.apply("r", 9, &[&first[..], &second[..]].concat()).unwrap();
    assert_eq!((orders(&p), fills(&p)), (had_orders, had_fills));
    assert_eq!(p.applied_seq("r").unwrap(), Some(9));
    p.apply("r", 10, &[order(9, "c9", "new"), order(10, "c8", "new")]).unwrap();
    assert_eq!(orders(&p)[0].0, "c8");
    assert_eq!(orders(&p).len(), 3, "input 9 was applied before");
}

#[test]
fn rows_come_back_as_they_went_in() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    p.put_run(&run_row("b", 2)).unwrap();
    p.put_run(&run_row("a", 1)).unwrap();
    p.put_run(&RunRow { ended_at: Some(9), summary: Some("{}".into()), ..run_row("b", 2) }).unwrap();
    let rows: Vec<_> = others(3).into_iter().chain([fill(3), order(3, "c3", "new")]).collect();
    p.apply("r", 3, &rows).unwrap();
    drop(p);
    let p = Projection::open_read_only(&t.path).unwrap();
    assert_eq!(p.runs().unwrap()[0], run_row("a", 1));
    assert_eq!(p.runs().unwrap()[1].ended_at, Some(9));
    let changes: Vec<Change> = rows.into_iter().map(|r| r.change).collect();
    let run = || String::from("r");
    let mut got: Vec<Change> = p.positions("r").unwrap().into_iter().map(Change::Position).collect();
    got.extend(p.balances("r").unwrap().into_iter().map(Change::Balance));
    got.extend(p.equity("r").unwrap().into_iter().map(Change::Equity));
    got.extend(
        p.events(&EventFilter { run_id: run(), ..EventFilter::default() }).unwrap().into_iter().map(Change::Event),
    );
    got.extend(p.strategies("r").unwrap().into_iter().map(Change::Strategy));
    got.extend(fills(&p).into_iter().map(Change::Fill));
    got.extend(
        p.orders(&OrderFilter { run_id: run(), ..OrderFilter::default() }).unwrap().into_iter().map(Change::Order),
    );
    assert_eq!(got, changes);
    assert!(p.positions("other").unwrap().is_empty());
}

#[test]
fn filters_and_limits() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    let rows: Vec<_> = (0..10).map(|i| order(i, &format!("c{i}"), if i % 2 == 0 { "new" } else { "filled" })).collect();
    p.apply("r", 9, &rows).unwrap();
    let keys = |filter: OrderFilter| {
        let found = p.orders(&OrderFilter { run_id: "r".into(), ..filter }).unwrap();
        found.into_iter().map(|o| o.order_key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(OrderFilter { open: Some(true), ..OrderFilter::default() }), "c8 c6 c4 c2 c0");
    assert_eq!(keys(OrderFilter { limit: Some(2), ..OrderFilter::default() }), "c9 c8");
    let grid = || Some("grid".into());
    assert_eq!(keys(OrderFilter { open: Some(false), strategy: grid(), ..OrderFilter::default() }), "c3 c1");
    assert_eq!(keys(OrderFilter { account: Some(2), ..OrderFilter::default() }), "");
    assert_eq!(keys(OrderFilter { instrument: Some("x' OR 1".into()), ..OrderFilter::default() }), "");
    let no_fills = FillFilter { run_id: "r".into(), cl_ord_id: Some("c1".into()), ..FillFilter::default() };
    assert!(p.fills(&no_fills).unwrap().is_empty());
}

#[test]
fn a_refused_row_takes_its_whole_batch_with_it() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    let mut bad = order(1, "c1", "new");
    if let Change::Order(o) = &mut bad.change {
        o.created_seq = u64::MAX;
    }
    let error = p.apply("r", 1, &[order(0, "c0", "new"), bad]).unwrap_err();
    assert!(matches!(error, ProjectionError::OutOfRange { column: "created_seq" }));
    assert!(orders(&p).is_empty());
    assert_eq!(p.applied_seq("r").unwrap(), None);
}

#[test]
fn reset_forgets_one_run_only() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    p.put_run(&run_row("r", 1)).unwrap();
    p.apply("r", 5, &others(5)).unwrap();
    p.apply("s", 5, &others(5)).unwrap();
    p.reset("r").unwrap();
    assert_eq!((p.applied_seq("r").unwrap(), p.applied_seq("s").unwrap()), (None, Some(5)));
    assert!(p.positions("r").unwrap().is_empty() && p.strategies("r").unwrap().is_empty());
    assert_eq!((p.positions("s").unwrap().len(), p.runs().unwrap().len()), (1, 1));
    p.apply("r", 5, &others(5)).unwrap();
    assert_eq!(p.positions("r").unwrap(), p.positions("s").unwrap());
}

#[test]
fn damage_is_named_so_that_it_can_be_rebuilt() {
    let t = temp();
    std::fs::write(&t.path, vec![0x5a; 8192]).unwrap();
    assert!(matches!(Projection::open(&t.path), Err(ProjectionError::Corrupt { .. })));
    std::fs::remove_file(&t.path).unwrap();

    let mut p = Projection::open(&t.path).unwrap();
    for i in 0..200 {
        p.apply("r", i, &[order(i, &format!("c{i}"), "new")]).unwrap();
    }
    p.check().unwrap();
    drop(p);
    let mut bytes = std::fs::read(&t.path).unwrap();
    let page = 4096;
    bytes[page..].chunks_mut(page).for_each(|p| p[..64].fill(0xee));
    std::fs::write(&t.path, bytes).unwrap();
    let found = Projection::open(&t.path).and_then(|p| {
        p.check()?;
        p.orders(&OrderFilter { run_id: "r".into(), ..OrderFilter::default() }).map(|_| ())
    });
    assert!(matches!(found, Err(ProjectionError::Corrupt { .. })), "{found:?}");
}

#[test]
fn a_lock_held_by_another_is_waited_for_and_then_reported() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    let other = Connection::open(&t.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Readers go on.
    assert!(orders(&p).is_empty());
    p.db.busy_timeout(Duration::from_millis(20)).unwrap();
    assert!(matches!(p.apply("r", 1, &[order(1, "c1", "new")]), Err(ProjectionError::Busy { .. })));
    other.execute_batch("ROLLBACK").unwrap();
    p.apply("r", 1, &[order(1, "c1", "new")]).unwrap();
}

#[test]
fn versions() {
    let t = temp();
    drop(Projection::open(&t.path).unwrap());
    drop(Projection::open(&t.path).unwrap());
    let db = Connection::open(&t.path).unwrap();
    let mode: String = db.query_row("PRAGMA journal_mode", [], |r| r.get(0)).unwrap();
    assert_eq!(mode, "wal");
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = Projection::open(&t.path).unwrap_err();
    assert!(matches!(error, ProjectionError::Newer { found: 99, .. }), "{error}");
    assert!(matches!(Projection::open_read_only(&t.path.join("x")), Err(ProjectionError::Missing { .. })));
}

#[test]
fn a_long_run_keeps_its_newest_rows_and_every_open_order() {
    let t = temp();
    let mut p = Projection::open(&t.path).unwrap();
    let mut rows: Vec<ProjectionRow> = (10..30).map(fill).collect();
    rows.extend((10..30).map(|n| order(n, &format!("c{n}"), if n == 12 { "new" } else { "filled" })));
    p.apply("r", 30, &rows).unwrap();
    p.apply("other", 30, &rows).unwrap();
    assert_eq!(p.prune("r", 5).unwrap(), 15 + 14);
    let seqs = |run: &str| -> Vec<u64> {
        let all = FillFilter { run_id: run.into(), ..FillFilter::default() };
        let mut seqs: Vec<u64> = p.fills(&all).unwrap().iter().map(|f| f.seq).collect();
        seqs.sort_unstable();
        seqs
    };
    assert_eq!(seqs("r"), [25, 26, 27, 28, 29]);
    assert_eq!(seqs("other").len(), 20);
    let orders = p.orders(&OrderFilter { run_id: "r".into(), ..OrderFilter::default() }).unwrap();
    let mut left: Vec<&str> = orders.iter().map(|o| o.order_key.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["c12", "c25", "c26", "c27", "c28", "c29"]);
    assert_eq!(p.prune("r", 5).unwrap(), 0);
}
