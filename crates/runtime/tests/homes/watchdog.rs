//! A strategy that loops for ever: the watchdog halts, cancels, journals, tells, and the next start goes on without it.

use crate::support::{TestHome, child_home, is_identical, refused, settings, start_with};
use ctos_kernel::{Ctx, Feeds, OrderRequest, ProcessState, Strategy, Tick};
use ctos_runtime::config::Settings;
use ctos_runtime::runs::{self, RunStatus, StartOptions};
use ctos_storage::fs::RealFs;
use ctos_storage::journal::{JournalReader, Record};
use ctos_strategies::{Catalog, Program};
use ctos_types::{
    Control, EventBuf, EventKind, HaltScope, InstrumentId, KillState, Price, ReportBody, Side, StrategyId,
};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Quotes after which it hangs: its order is open by then.
const QUOTES: u64 = 30;
/// How the child says which seq hung, beside its home.
const REPORT: &str = "hang.json";

#[derive(Default)]
struct Hanging {
    quotes: u64,
    symbol: InstrumentId,
}

impl Strategy for Hanging {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(self.symbol, Feeds::QUOTES);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        let Tick::Quote(quote) = tick else { return };
        self.quotes += 1;
        if self.quotes == 1 {
            let i = ctx.instrument(id).clone();
            let px = Price(quote.bid_px.0 / 100 * 99 / i.tick.0 * i.tick.0);
            let qty = i.qty_for_quote("200".parse().unwrap(), px).unwrap();
            ctx.place(OrderRequest::limit(id, Side::Buy, px, qty).post_only());
        }
        #[allow(clippy::while_immutable_condition)] // looping for ever is what this strategy is for
        while self.quotes == QUOTES {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn save(&self) -> Value {
        json!(self.quotes)
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.quotes = state.as_u64().ok_or("not a number")?;
        Ok(())
    }
}

/// It goes by the name of a built-in strategy, and stands in its place.
static HANGING: LazyLock<[Program; 1]> = LazyLock::new(|| {
    let info = *Catalog::BUILT_IN.info("grid").unwrap();
    [Program { info, build: |args| Ok(Box::new(Hanging { quotes: 0, symbol: args.defaults[0] })) }]
});

fn catalog() -> Catalog {
    Catalog::with(&*HANGING)
}

fn hanging(home: &std::path::Path, more: &[(&str, &str)]) -> Settings {
    settings(home, &[&[("watchdog.timeout", "300ms"), ("journal.sync", "always")], more].concat())
}

/// Not a test of its own: the process that hangs.
#[test]
fn child_that_hangs() {
    let Some(home) = child_home() else { return };
    let webhook = std::env::var("CTOS_TEST_WEBHOOK").unwrap();
    let report = home.join(REPORT);
    let on_hang = move |what: ctos_runtime::watchdog::Intervention| {
        let text = json!({ "seq": what.seq, "strategy": what.strategy.map(|s| s.0), "open_orders": what.open_orders, "journaled": what.journaled });
        std::fs::write(report, text.to_string()).unwrap();
        std::process::exit(2);
    };
    let settings = hanging(&home, &[("alerts.webhook", &webhook), ("speed", "60x")]);
    let (instance, _) =
        runs::start(settings, StartOptions { catalog: catalog(), ..StartOptions::new(on_hang) }).unwrap();
    let _ = instance.join();
}

/// Answers one request after the other and hands their bodies on.
fn webhook(bodies: Sender<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if let Some(body) = answer(stream.unwrap())
                && bodies.send(body).is_err()
            {
                return;
            }
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> Option<Value> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let n = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        if body.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
            return body;
        }
    }
}

/// The journal's inputs, as kinds.
fn inputs(home: &TestHome) -> Vec<EventKind> {
    let mut reader = JournalReader::open(Arc::new(RealFs), &home.latest().journal_dir()).unwrap();
    let (mut all, mut buf) = (Vec::new(), EventBuf::default());
    while let Some(record) = reader.next(&mut buf).unwrap() {
        if let Record::Input { .. } = record {
            all.push(buf.kind.clone());
        }
    }
    all
}

#[test]
fn a_strategy_that_loops_for_ever_is_stopped_from_outside() {
    let home = TestHome::new();
    let (tx, rx) = channel();
    let url = webhook(tx);
    let status = home.child("watchdog::child_that_hangs", &[("CTOS_TEST_WEBHOOK", &url)]);
    assert_eq!(status.code(), Some(2));

    let report: Value = serde_json::from_slice(&std::fs::read(home.path().join(REPORT)).unwrap()).unwrap();
    let seq = report["seq"].as_u64().unwrap();
    assert_eq!(
        (&report["strategy"], &report["open_orders"], &report["journaled"]),
        (&json!(0), &json!(0), &json!(true))
    );
    let inputs = inputs(&home);
    let accepted = |e: &&EventKind| matches!(e, EventKind::Report(r) if r.body == ReportBody::Accepted);
    assert_eq!(inputs.iter().filter(accepted).count(), 1, "an order was open when it hung");
    assert_eq!(
        inputs.last(),
        Some(&EventKind::Control(Control::Watchdog { seq, strategy: Some(StrategyId(0)) })),
        "the intervention is the last input"
    );
    assert_eq!(inputs.len() as u64, seq + 2);
    assert_eq!(home.system(), KillState::Halted);
    assert_eq!(home.record().status, RunStatus::Running);
    let told: Vec<Value> = std::iter::from_fn(|| rx.recv_timeout(Duration::from_secs(10)).ok()).take(1).collect();
    assert_eq!((&told[0]["source"], &told[0]["kind"]), (&json!("ctos"), &json!("watchdog")), "{told:?}");

    goes_on_without_it(&home);
}

/// The restart: the hung input is stepped without the strategy, its order is cancelled, the halt holds until resumed.
fn goes_on_without_it(home: &TestHome) {
    let other_strategy = settings(&home.path(), &[("watchdog.timeout", "1s"), ("seed", "7")]);
    refused(start_with(other_strategy, catalog()));
    let slow = hanging(&home.path(), &[("speed", "1x"), ("duration", "24h")]);
    let instance = start_with(slow, catalog()).unwrap();
    let begun = Instant::now();
    let view = loop {
        let view = instance.handle.view.latest().filter(|v| v.summary.open_orders == 0);
        if let Some(view) = view {
            break view;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "its order stays open");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(matches!(&view.processes[0].state, ProcessState::Failed { reason } if reason.contains("hung")));
    assert!(view.latches.iter().any(|l| l.scope == HaltScope::System && l.latch.state == KillState::Halted));
    let resume = Control::Resume { scope: HaltScope::System, reason: "found out why".into() };
    instance.handle.control(resume).unwrap();
    assert_eq!(home.system(), KillState::Active);
    instance.handle.stop("test");
    let summary = instance.join().unwrap();
    assert_eq!((summary.orders.sent, summary.orders.canceled, summary.open_orders), (1, 1, 0));
    assert!(summary.strategies[0].state.contains("hung"));
    let replayed = runs::replay(&home.read(), &home.latest().id, catalog()).unwrap();
    assert!(replayed.identical, "{replayed:?}");
    // The built-in strategy of that name is another one: the replay says where it parts.
    assert!(!is_identical(home));
}
