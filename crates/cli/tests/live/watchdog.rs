//! A strategy that never returns, on a real venue: the watchdog cancels over a connection of its own, and the run goes on
//! without the strategy.
//! Never: a way out through the kernel's thread, which is lost.

use crate::trader::{Desk, PERP, Trader};
use crate::twin::{SPEED, Twin, funded};
use ctos_cli::{Catalog, main_from};
use ctos_kernel::{Ctx, Feeds, Order, OrderChange, OrderRequest, Strategy, Tick};
use ctos_strategies::Program;
use ctos_types::{InstrumentId, Price, Side};
use serde_json::{Value, json};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::time::Duration;

/// Orders that are open at the venue when it hangs.
const ORDERS: u64 = 3;
/// How the child is told what to do: as many arguments as a command line, in JSON.
const ARGS: &str = "LIVE_TEST_ARGS";

#[derive(Default)]
struct Hanging {
    symbol: InstrumentId,
    placed: bool,
    accepted: u64,
}

impl Strategy for Hanging {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(self.symbol, Feeds::QUOTES);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        let Tick::Quote(quote) = tick else { return };
        if std::mem::replace(&mut self.placed, true) {
            return;
        }
        let i = ctx.instrument(id).clone();
        for n in 1..=ORDERS as i64 {
            let px = Price(quote.bid_px.0 / 1_000 * (1_000 - n) / i.tick.0 * i.tick.0);
            let qty = i.qty_for_quote("200".parse().unwrap(), px).unwrap();
            ctx.place(OrderRequest::limit(id, Side::Buy, px, qty).post_only());
        }
    }

    fn on_order(&mut self, _: &mut Ctx<'_>, _: &Order, change: OrderChange) {
        self.accepted += u64::from(change == OrderChange::Accepted);
        #[allow(clippy::while_immutable_condition)] // looping for ever is what this strategy is for
        while self.accepted == ORDERS {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn save(&self) -> Value {
        json!([self.placed, self.accepted])
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        (self.placed, self.accepted) = serde_json::from_value(state.clone()).map_err(|e| e.to_string())?;
        Ok(())
    }
}

/// It goes by the name of a built-in strategy, and stands in its place.
static HANGING: LazyLock<[Program; 1]> = LazyLock::new(|| {
    let info = *Catalog::BUILT_IN.info("grid").unwrap();
    [Program { info, build: |args| Ok(Box::new(Hanging { symbol: args.defaults[0], ..Hanging::default() })) }]
});

/// Not a story of its own: `ctos` with a strategy more, in a process that may hang.
#[test]
fn child_with_a_strategy_that_hangs() {
    let Ok(args) = std::env::var(ARGS) else { return };
    let args: Vec<String> = serde_json::from_str(&args).unwrap();
    let code = main_from(Catalog::with(&*HANGING), args.into_iter().map(Into::into));
    assert!(code == ExitCode::SUCCESS);
}

fn hanging(trader: &Trader, args: &[&str]) -> Command {
    let home = trader.dir.path().join("home").display().to_string();
    let args = [&["ctos"], args, &["--home", &home]].concat();
    let mut command = Command::new(std::env::current_exe().unwrap());
    trader.surround(&mut command);
    command.args(["watchdog::child_with_a_strategy_that_hangs", "--exact", "--nocapture", "--test-threads", "1"]);
    command.env(ARGS, json!(args).to_string());
    command
}

#[test]
fn a_strategy_that_hangs_is_cancelled_past_the_kernel_and_the_run_goes_on_without_it() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    let strategies = format!("  - name: grid\n    params: {{symbol: \"{PERP}\"}}\n");
    let desk = Desk::new("main", "usdm", "test");
    let mut trader = Trader::with(&twin, std::slice::from_ref(&desk), &strategies, "watchdog: {timeout: 500ms}\n");
    let run = ["run", "--plain", "--json", "--yes"];
    let mut hung = trader.spawn(hanging(&trader, &run));
    let (status, _) = hung.wait();
    let said = trader.logs();
    assert_eq!(status.code(), Some(2), "{status}\n{said}");
    for words in ["watchdog: strategy grid did not return", "all orders are cancelled", "hint: find out why"] {
        assert!(said.contains(words), "{words:?} was not said\n{said}");
    }
    let truth = desk.truth(&twin);
    assert!(truth.open.is_empty() && truth.orders == ORDERS, "{truth:?}\n{said}");
    // The next start repeats the hung input without the strategy, finds the orders cancelled, and stays halted.
    let next = trader.spawn(hanging(&trader, &run));
    trader.wait_log("the venue's accounts are taken in");
    trader.wait_log("control API");
    let status = trader.json(&["status", "--json"]);
    assert_eq!((&status["halts"][0]["scope"], &status["halts"][0]["state"]), (&json!("system"), &json!("HALTED")));
    let state = status["strategies"][0]["state"].as_str().unwrap();
    assert!(state.starts_with("failed") && state.contains("hung"), "{status}");
    assert!(trader.call(&["resume", "--reason", "found out why"]).status.success());
    trader.agree_soon(&twin);
    let (status, out) = trader.end_any(next);
    assert!(status.success(), "{status}\n{}", trader.logs());
    // The harness says a word before and behind.
    let json = &out[out.find('{').unwrap()..];
    let summary: Value = serde_json::Deserializer::from_str(json).into_iter().next().unwrap().unwrap();
    assert_eq!((&summary["orders"]["sent"], &summary["orders"]["canceled"]), (&json!(ORDERS), &json!(ORDERS)));
    trader.agrees(&twin, &summary);
    assert_eq!(desk.truth(&twin).orders, ORDERS, "nothing new was placed");
    let replayed = hanging(&trader, &["replay", "latest", "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&replayed.stdout).replace(' ', "");
    assert!(replayed.status.success() && said.contains("\"identical\":true"), "{said}");
}
