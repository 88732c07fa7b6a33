//! Instruments that are listed and delisted on the way: told, valued at the last price, and never traded outside of it.
//! Never: lets the gates hide what the venue would have filled; they are off.

use ctos_backtest::whole::{Done, PESSIMISTIC, Request, backtest};
use ctos_data::import::{ImportOptions, open};
use ctos_data::ingest::{Job, import};
use ctos_kernel::{Ctx, Feeds, OrderRequest, Strategy, Tick};
use ctos_runtime::config::{Layers, Settings};
use ctos_strategies::{Catalog, Program, StrategyInfo};
use ctos_types::{Bar, Decimal, Instrument, InstrumentId, Interval, Nanos, Price, Qty, Rounding, Side, UnixNanos};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// The first minute, and how many of them there are. Old prices end and new ones begin within.
const START: i64 = 1_704_067_200;
const MINUTES: i64 = 240;
const OLD_ENDS: i64 = 100;
const NEW_BEGINS: i64 = 60;

static PROGRAMS: [Program; 1] = [Program {
    info: StrategyInfo { name: "stubborn", summary: "Orders all the time.", params: &[], example: "" },
    build: |args| {
        let instruments = args.instruments.iter();
        Ok(Box::new(Stubborn { coins: instruments.map(|i| (i.id, lots(i))).collect(), calls: 0 }))
    },
}];

const GATES: [&str; 13] = [
    "daily_loss",
    "max_drawdown_pct",
    "price_band_bps",
    "stale_after",
    "max_order_notional",
    "max_position_notional",
    "max_total_notional",
    "max_leverage",
    "max_open_orders",
    "max_orders_per_sec",
    "max_orders_per_min",
    "max_cancel_ratio",
    "duplicate_window",
];

/// The smallest size worth 10.
fn lots(i: &Instrument) -> Qty {
    Qty(i.min_qty.0.max(10i64.pow(u32::from(i.qty_decimals)) / 20 / i.lot.0 * i.lot.0))
}

/// Whatever it hears of any instrument, it orders in all of them: two buys for each sale, at market and far into it.
struct Stubborn {
    coins: Vec<(InstrumentId, Qty)>,
    calls: u64,
}

impl Stubborn {
    fn order(&mut self, ctx: &mut Ctx<'_>) {
        self.calls += 1;
        let side = if self.calls.is_multiple_of(3) { Side::Sell } else { Side::Buy };
        for (id, qty) in self.coins.clone() {
            ctx.place(OrderRequest::market(id, side, qty));
            let Some(last) = ctx.last_price(id).filter(|_| self.calls.is_multiple_of(10)) else { continue };
            let tick = ctx.instrument(id).tick.0;
            let through = Price(last.0 + last.0 / 100 / tick * tick * side.sign());
            ctx.place(OrderRequest::limit(id, side, through, qty));
        }
    }
}

impl Strategy for Stubborn {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        for (id, _) in self.coins.clone() {
            ctx.subscribe_bars(id, Interval::M1);
            ctx.subscribe(id, Feeds::QUOTES);
        }
        self.order(ctx);
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, _: &Bar) {
        self.order(ctx);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, _: &Tick) {
        self.order(ctx);
    }

    fn on_gap(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId) {
        self.order(ctx);
    }

    fn save(&self) -> Value {
        json!(self.calls)
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.calls = state.as_u64().ok_or("no count")?;
        Ok(())
    }
}

fn request(dir: &Path, market: &str) -> Request {
    let mut layers = Layers::new();
    let home = dir.join("home").display().to_string();
    for (path, text) in [("home", home.as_str()), ("market", market), ("api.enabled", "false")] {
        layers.flag("--conf", path, text);
    }
    for gate in GATES {
        layers.flag("--conf", &format!("risk.{gate}"), "off");
    }
    layers.flag("--conf", "risk.self_cross", "false");
    layers.flag_balance("USDT", "1000000");
    layers.flag_strategy("stubborn");
    let settings = Settings::resolve(&layers).unwrap();
    Request { settings, from: None, to: None, warm_up: Nanos::ZERO, folder: Some(dir.join("run")), pessimistic: true }
}

fn run(request: &Request) -> Done {
    backtest(request, Catalog::with(&PROGRAMS), &mut |_| true).unwrap().unwrap()
}

fn minute(n: i64) -> UnixNanos {
    UnixNanos::from_secs(START + n * 60)
}

fn rows(folder: &Path, table: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join(format!("{table}.csv"))).unwrap();
    text.lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// What must hold of both instruments, whatever the data: `last` is the last price of the old one.
#[track_caller]
fn check(done: &Done, old: &str, new: &str, last: &str, quiet: Nanos) {
    let (s, folder) = (&done.summary, done.folder.as_deref().unwrap());
    let listings = s["listings"].as_array().unwrap();
    assert_eq!(listings.len(), 2, "{listings:?}");
    let of = |symbol: &str| listings.iter().find(|l| l["symbol"] == symbol).unwrap();
    let (gone, come) = (of(old), of(new));
    assert_eq!((&gone["begins_late"], &gone["ends_early"]), (&json!(false), &json!(true)), "{gone}");
    assert_eq!((&come["begins_late"], &come["ends_early"]), (&json!(true), &json!(false)), "{come}");

    // Left open, valued at the last price, in the listing as in the positions.
    let held = decimal(&gone["held"]);
    assert!(held.is_positive(), "{gone}");
    assert_eq!(decimal(&gone["valued_at"]), last.parse().unwrap(), "{gone}");
    let position = s["positions"].as_array().unwrap().iter().find(|p| p["symbol"] == old).expect("a position");
    assert_eq!((decimal(&position["qty"]), &position["mark"]), (held, &gone["valued_at"]));
    assert_eq!(position["unrealized_pnl"], gone["unrealized"]);

    // It went on ordering both all the time, and nothing traded where there were no prices.
    assert!(gone["orders_after"].as_u64() > Some(50), "{gone}");
    let mut fills = 0;
    for table in [folder.to_path_buf(), folder.join(PESSIMISTIC)] {
        for row in rows(&table, "fills") {
            // To the second, where text has the order of time.
            let (at, symbol) = (&row[1][..19], row[4].as_str());
            fills += 1;
            // Answers are on their way for some milliseconds.
            let late = minute(OLD_ENDS).after(quiet).to_string();
            assert!(symbol != old || at < &late[..19], "{old} traded at {at}");
            assert!(symbol != new || at >= &minute(NEW_BEGINS).to_string()[..19], "{new} traded at {at}");
        }
    }
    assert!(fills > 200, "only {fills} fills");

    // Told in the box of the page, in the summary, and for people.
    let told: Vec<&str> = s["data_quality"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let line = |symbol: &str| *told.iter().find(|l| l.starts_with(symbol)).unwrap_or_else(|| panic!("{told:?}"));
    assert!(
        line(new).contains("prices begin at 2024-01-01T01:00:") && line(new).contains("after the start"),
        "{told:?}"
    );
    let ends = line(old);
    assert!(ends.contains("before the end: nothing trades it after"), "{ends}");
    assert!(ends.contains(&format!("{held} ")) && ends.contains(&format!("valued at the last price {last}")), "{ends}");
    assert!(ends.contains("sent later did not trade"), "{ends}");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("nothing trades it after"), "the page says it");

    // Worth at the end, from the fills alone.
    let mut cash: Decimal = "1000000".parse().unwrap();
    for row in rows(folder, "fills") {
        let number = |n: usize| -> Decimal { row[n].parse().unwrap() };
        let fee = if row[12] == "USDT" { number(11) } else { panic!("a fee in {}", row[12]) };
        let value = number(8).mul(number(9), Rounding::Down).unwrap();
        cash = if row[6] == "buy" { cash - value - fee } else { cash + value - fee };
    }
    let worth = s["positions"]
        .as_array()
        .unwrap()
        .iter()
        .fold(cash, |sum, p| sum + decimal(&p["qty"]).mul(decimal(&p["mark"]), Rounding::Down).unwrap());
    assert_eq!(decimal(&s["equity"]["main"]["USDT"]["end"]), worth);
}

#[test]
fn on_bars() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("time,open,high,low,close,volume,symbol\n");
    for (symbol, base, from, to) in [("OLD-USDT-PERP", 500, 0, OLD_ENDS), ("NEW-USDT-PERP", 300, NEW_BEGINS, MINUTES)] {
        for n in from..to {
            let (open, close) = (base + n % 7, base + (n + 1) % 7);
            let (high, low) = (open.max(close) + 1, open.min(close) - 1);
            writeln!(text, "{},{open}.5,{high}.5,{low}.5,{close}.5,1000,{symbol}", START + n * 60).unwrap();
        }
    }
    let file = dir.path().join("two.csv");
    std::fs::write(&file, text).unwrap();
    let done = run(&request(dir.path(), &format!("replay:{}", file.display())));
    let last = format!("{}.5", 500 + OLD_ENDS % 7);
    check(&done, "file:OLD-USDT-PERP", "file:NEW-USDT-PERP", &last, Nanos::from_secs(1));

    // A range that ends before the one goes and after the other came has nothing to tell.
    let whole = request(dir.path(), &format!("replay:{}", file.display()));
    let part = |from, to| {
        let (from, to) = (Some(minute(from)), Some(minute(to)));
        run(&Request { from, to, folder: None, pessimistic: false, ..whole.clone() }).summary
    };
    let inside = part(NEW_BEGINS, OLD_ENDS);
    assert_eq!((&inside["listings"], &inside["data_quality"]), (&json!([]), &json!([])), "{inside}");
    let gone = part(OLD_ENDS + 5, MINUTES);
    assert_eq!((&gone["listings"][0]["first"], gone["listings"].as_array().map(Vec::len)), (&Value::Null, Some(1)));
    assert!(gone["data_quality"][0].as_str().unwrap().contains("OLD-USDT-PERP: no prices between"), "{gone}");
    let beyond = part(-60, MINUTES + 60);
    let told = beyond["data_quality"].to_string();
    assert!(told.contains("and it begins at 2024-01-01T00:01:00Z") && told.contains("and it ends at"), "{told}");
}

/// Quotes and trades: the book that stood last must not be traded with.
#[test]
fn on_quotes_and_trades() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = ctos_data::Catalog::create(&dir.path().join("catalog")).unwrap();
    let folder = dir.path().join("futures/um/daily");
    std::fs::create_dir_all(&folder).unwrap();
    for (symbol, base, from, to) in [("BTCUSDT", 60_000, 0, OLD_ENDS), ("ETHUSDT", 2_500, NEW_BEGINS, MINUTES)] {
        let (mut trades, mut quotes) = (String::new(), String::new());
        for n in from * 6..to * 6 {
            let (ms, px) = (START * 1_000 + n * 10_000, base + n % 9);
            writeln!(quotes, "{},{px}.0,50.0,{}.0,50.0,{ms},{ms}", n + 1, px + 1).unwrap();
            writeln!(trades, "{},{px}.5,0.250,{n},{n},{},{}", n + 1, ms + 500, n % 2 == 0).unwrap();
        }
        for (kind, text) in [("aggTrades", trades), ("bookTicker", quotes)] {
            let path = folder.join(format!("{symbol}-{kind}-2024-01-01.csv"));
            std::fs::write(&path, text).unwrap();
            let options = ImportOptions::default();
            let job =
                Job { catalog: &catalog, path: &path, options: &options, now: UnixNanos(0), progress: &mut |_| {} };
            import(job, |p, o| Ok(open(p, o)?)).unwrap();
        }
    }
    let request = request(dir.path(), &format!("catalog:{}", catalog.dir().display()));
    let done = run(&request);
    // The last quote's middle: what a position was valued at all the time.
    let last = format!("{}.5", 60_000 + (OLD_ENDS * 6 - 1) % 9);
    check(&done, "binance:BTC-USDT-PERP", "binance:ETH-USDT-PERP", &last, Nanos::from_secs(1));
}
