//! Several accounts in one run, each with its own key: what befalls one of them is no other's business.
//! Never: an account in another one's place.

use crate::trader::{Desk, Trader, refusal};
use crate::twin::{Key, SPEED, Twin, funded};
use serde_json::json;

fn two_of_usdm_and_one_of_spot(twin: &Twin) -> Trader {
    let desks = [Desk::new("main", "usdm", "one"), Desk::new("side", "usdm", "two"), Desk::new("coins", "spot", "one")];
    Trader::new(twin, &desks)
}

#[test]
fn three_accounts_trade_through_a_ban_of_one_market_and_a_kill() {
    let twin = Twin::with(SPEED, &[funded("one"), funded("two")]);
    let mut trader = two_of_usdm_and_one_of_spot(&twin);
    let desks = trader.desks.clone();
    let mut run = trader.start();
    for desk in &desks {
        trader.trade(&twin, desk, 2);
    }
    // Whoever is banned on futures is not banned on spot.
    twin.deed("usdm", json!({"do": "ban", "secs": 60}));
    trader.trade(&twin, &desks[2], 2);
    trader.wait_log("banned by the venue");
    // Killed in the middle of it, it goes on where it may and waits for the rest.
    run.kill();
    run = trader.start();
    trader.trade(&twin, &desks[2], 1);
    for desk in &desks {
        trader.trade(&twin, desk, 1);
    }
    trader.ends_well(&twin, run);
}

#[test]
fn an_account_that_loses_its_key_does_not_stop_the_other() {
    let twin = Twin::with(SPEED, &[funded("one"), funded("two")]);
    let mut trader = Trader::new(&twin, &[Desk::new("main", "usdm", "one"), Desk::new("side", "usdm", "two")]);
    let (main, side) = (trader.desks[0].clone(), trader.desks[1].clone());
    let run = trader.start();
    trader.trade(&twin, &main, 1);
    trader.trade(&twin, &side, 1);
    twin.deed("usdm", json!({"do": "revoke_key", "api_key": side.key.key}));
    let before = side.truth(&twin).orders;
    trader.trade(&twin, &main, 3);
    trader.wait_log("permission refused");
    assert_eq!(side.truth(&twin).orders, before, "nothing was placed without a key");
    // A person is told of it, and not in every breath.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let told = trader.logs().matches("permission refused").count();
    assert!(told <= 3, "told {told} times\n{}", trader.logs());
    // The key is back: the account is found as it is, and both end equal.
    twin.deed("usdm", json!({"do": "add_key", "account": "two", "key": Key::named("two").setting()}));
    trader.ends_well(&twin, run);
}

#[test]
fn an_account_that_is_not_there_is_an_error_and_never_another_one() {
    let twin = Twin::with(SPEED, &[funded("one")]);
    let desk = Desk::new("main", "usdm", "one");
    let strategies = "  - name: grid\n    account: nobody\n";
    let trader = Trader::with(&twin, &[desk], strategies, "");
    trader.refused(&twin, "nobody", "main");
    let trader = Trader::with(&twin, &trader.desks, "", "");
    for args in [
        ["call", "balances", "--account", "nobody"],
        ["call", "balances", "--account", "1"],
        ["account", "check", "nobody", "--json"],
    ] {
        let out = trader.call(&args);
        refusal(&out, "there is no account", "known accounts: main (0)");
    }
    // One key for two accounts is one account twice: the second is refused by the first one's lock.
    let twice = [Desk::new("main", "usdm", "one"), Desk::new("side", "usdm", "one")];
    Trader::new(&twin, &twice).refused(&twin, "is traded by", "");
}
