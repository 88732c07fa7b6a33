//! USD-M futures: killed and gone on with, on real and on simulated money.
//! Never: another profile.

use crate::trader::{Desk, PERP, Trader};
use crate::twin::{Twin, wait_until};
use std::time::Duration;

#[test]
fn a_killed_live_run_goes_on_and_both_sides_agree_at_the_end() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 3);
    run.kill();
    assert!(!desk.truth(&twin).open.is_empty(), "the grid's orders outlive a kill");
    let before = desk.truth(&twin);
    run = trader.start();
    trader.trade(&twin, &desk, 3);
    assert!(desk.truth(&twin).orders >= before.orders);
    trader.ends_well(&twin, run);
}

#[test]
fn simulated_money_on_the_live_market_of_a_twin_goes_on_after_a_kill() {
    let twin = Twin::start();
    let place = format!("  base_url: {}\n  ws_url: {}\n", twin.url("usdm", "rest"), twin.url("usdm", "ws"));
    let yaml = format!(
        "mode: paper\nmarket: binance:usdm\nsymbols: [\"{PERP}\"]\nspeed: {}x\napi: {{enabled: false}}\nfeed:\n{place}\
         strategies:\n  - name: grid\n    params: {{spacing: \"0.03%\", levels: 6}}\n\
         risk: {{stale_after: 60s}}\nlog: {{format: json}}\n",
        twin.speed
    );
    let mut trader = Trader::of(&yaml, &[]);
    let mut run = trader.start();
    std::thread::sleep(Duration::from_secs(2));
    run.kill();
    run = trader.start();
    trader.wait_log("continuing run");
    std::thread::sleep(Duration::from_secs(2));
    let summary = trader.end(run);
    assert!(summary["events_in"].as_u64().unwrap() > 100, "{summary}\n{}", trader.logs());
    trader.replays();
    assert_eq!(twin.truth("usdm", "test").orders, 0, "paper sends nothing");
}

/// Nobody starts it again: the venue's own switch cancels, so that nothing trades unattended for longer than that.
#[test]
fn a_killed_run_that_nobody_restarts_is_cancelled_by_the_venue() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk: Desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 1);
    trader.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    run.kill();
    let (killed, open) = (twin.time(), desk.truth(&twin).open.len());
    assert!(open > 0, "the grid's orders outlive a kill");
    wait_until("the countdown's end", || desk.truth(&twin).open.is_empty(), || trader.logs());
    // Wound up every 30 s to 120 s: not before 90 s after the last word, and the venue looks at its clock now and then.
    let after = twin.time() - killed;
    assert!(after > 80_000, "cancelled {after} ms after the kill");
    // Whoever comes back finds out, and goes on.
    run = trader.start();
    trader.trade(&twin, &desk, 1);
    trader.ends_well(&twin, run);
}
