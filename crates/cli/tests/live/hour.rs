//! Everything that goes wrong, one after the other, for an hour of the venue's time; and a shorter while of it on spot.
//! Never: in `make test`: `make soak` has the minutes for it.

use crate::trader::{Desk, Run, Trader};
use crate::twin::{SPEED, Twin};
use serde_json::json;
use std::time::{Duration, Instant};

/// Milliseconds of the venue's.
const MINUTE: i64 = 60_000;

/// Lets it trade for at most some minutes of the venue's time: a grid that the market has left trades no more.
fn linger(twin: &Twin, desk: &Desk, fills: u64) {
    let (begun, before) = (Instant::now(), desk.truth(twin).trades);
    while desk.truth(twin).trades < before + fills && begun.elapsed() < Duration::from_secs(12) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn through_everything(profile: &'static str, minutes: i64) {
    let mut twin = Twin::start();
    let mut trader = Trader::new(&twin, &[Desk::new("main", profile, "test")]);
    let desk = trader.desks[0].clone();
    let mut run: Run = trader.start();
    let begun = twin.time();
    for round in 0.. {
        match round % 5 {
            0 => drop(twin.deed(desk.market(), json!({"do": "close", "code": null}))),
            1 => {
                twin.deed(desk.market(), json!({"do": "ban", "secs": 60}));
                std::thread::sleep(Duration::from_secs(u64::from(60 / SPEED) + 1));
            }
            2 => {
                run.kill();
                twin.kill_and_restart(Duration::from_millis(300));
                run = trader.start();
            }
            3 => twin.kill_and_restart(Duration::from_millis(300)),
            _ => {
                run.kill();
                run = trader.start();
            }
        }
        linger(&twin, &desk, 2);
        if round >= 4 && twin.time() - begun >= minutes * MINUTE {
            break;
        }
    }
    let truth = desk.truth(&twin);
    assert!(truth.trades as i64 >= minutes / 3, "it traded too little to prove anything: {truth:?}\n{}", trader.logs());
    trader.ends_well(&twin, run);
}

#[test]
#[ignore = "three minutes: part of `make soak`"]
fn an_hour_through_disconnects_restarts_of_the_venue_bans_and_kills() {
    through_everything("usdm", 60);
}

#[test]
#[ignore = "two minutes: part of `make soak`"]
fn half_an_hour_of_spot_through_the_same() {
    through_everything("spot", 30);
}
