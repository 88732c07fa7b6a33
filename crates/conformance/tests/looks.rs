//! What the desk asks for by itself, where the answers fail.
//! Never: a difference that waits a minute for the next look of the schedule.

use ctos_conformance::plan::{Kind, Step};
use ctos_conformance::rows::stage::Stage;
use ctos_conformance::world::{Setup, World};
use ctos_driver_binance::Profile;
use ctos_types::{AccountId, OrderStatus, Side};
use serde_json::json;

/// A transfer that the stream did not tell is seen by the look behind a gap, so soon after a fill that it may be one on
/// its way; the look that would confirm it fails twice.
#[test]
fn a_second_look_that_fails_is_taken_again_soon() {
    for (profile, path) in [(Profile::Spot, "/api/v3/account"), (Profile::UsdM, "/fapi/v3/balance")] {
        let mut setup = Setup::new(profile, 5);
        setup.plan = Some(vec![(8_000, Step::Place { side: Side::Buy, kind: Kind::Market, lots: 1 })]);
        let mut w = World::new(setup);
        w.agrees_within(20).unwrap();
        for _ in 0..400 {
            if w.is(1, OrderStatus::Filled).is_ok() {
                break;
            }
            w.pass(50);
        }
        w.is(1, OrderStatus::Filled).unwrap();
        let account = w.account();
        w.admin(&json!({"do": "rule", "rule": {"on": "user", "named": "*", "times": 0, "fault": {"kind": "drop"}}}));
        w.admin(&json!({"do": "transfer", "account": account, "asset": "USDT", "amount": "-12.25"}));
        w.pass(200);
        w.admin(&json!({"do": "behave"}));
        w.admin(&json!({"do": "close", "code": null}));
        let mut waited = 0;
        w.pass(500);
        while !w.kernel().is_known(AccountId(0)) && waited < 60 {
            w.pass(100);
            waited += 1;
        }
        let fault = json!({"kind": "error", "text": "timeout", "executed": false});
        let named = format!("GET {path}*");
        w.admin(&json!({"do": "rule", "rule": {"on": "request", "named": named, "times": 2, "fault": fault}}));
        assert!(w.agreement().is_err(), "{profile}: nothing was left to find");
        w.agrees_within(25).unwrap_or_else(|why| panic!("{profile}: {why}"));
    }
}
