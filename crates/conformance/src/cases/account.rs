//! What the account holds: positions, coins, fees, payments, and what others do on it.
//! Never: a difference that is left standing.

use super::Capability::{Core, DeadMan, Funding, Positions, ReduceOnly, ThirdAssetFees};
use super::Case;
use super::words::{buy, case, ensure, sell};
use crate::plan::{Kind, Step};
use crate::rows::stage::Stage;
use crate::world::Setup;
use ctos_types::{OrderStatus, Side};
use serde_json::json;

pub const ACCOUNT_CASES: &[Case] = &[
    case(
        "a position opens, turns and closes",
        Positions,
        || vec![buy(500, Kind::Market, 2), sell(2_500, Kind::Market, 3), (6_500, Step::CloseAll)],
        |w| {
            w.pass(6_500);
            let size = w.quantity(w.means_size());
            let shown = w.true_account()["positions"][0]["quantity"].as_str().unwrap_or_default().to_string();
            ensure(shown == format!("-{size}"), format!("the venue shows {shown:?} after the turn, not -{size}"))?;
            w.pass(5_000);
            w.flat()?;
            w.agrees_within(50)
        },
    ),
    case(
        "close-all leaves nothing of ours",
        Core,
        || {
            vec![
                buy(500, Kind::Market, 2),
                buy(600, Kind::Limit(30), 1),
                sell(700, Kind::Limit(40), 1),
                (4_500, Step::CloseAll),
            ]
        },
        |w| {
            w.pass(6_000);
            w.is(1, OrderStatus::Filled)?;
            w.pass(5_000);
            w.is(2, OrderStatus::Canceled)?;
            w.is(3, OrderStatus::Canceled)?;
            w.flat()?;
            w.agrees_within(50)
        },
    ),
    case(
        "reduce-only never opens",
        ReduceOnly,
        || {
            vec![
                buy(500, Kind::Market, 1),
                (2_500, Step::Reduce { side: Side::Sell, lots: 1 }),
                (4_500, Step::Reduce { side: Side::Sell, lots: 1 }),
            ]
        },
        |w| {
            w.pass(8_000);
            w.is(2, OrderStatus::Filled)?;
            ensure(w.order(3).is_some_and(|o| o.cum_qty.0 == 0), "it opened a position")?;
            w.agrees_within(5)
        },
    ),
    Case {
        name: "what the account held before is taken over",
        needs: Core,
        setup: |setup: &mut Setup| setup.held_before = true,
        plan: || vec![sell(1_000, Kind::Market, 1)],
        play: |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::Filled)?;
            w.agrees_within(50)
        },
    },
    case("a stranger's order is shown and left alone", Core, Vec::new, |w| {
        w.agrees_within(10)?;
        let (account, symbol) = (w.account(), w.symbol());
        let deed = json!({"do": "foreign", "account": account, "symbol": symbol, "side": "BUY", "quantity": "0.01"});
        w.admin(&deed);
        w.notes.strangers += 1;
        w.agrees_within(20)
    }),
    case(
        "funding is booked",
        Funding,
        || vec![buy(500, Kind::Market, 2)],
        |w| {
            w.pass(4_000);
            let before = w.cash("USDT");
            let symbol = w.symbol();
            w.deed(&json!({"do": "funding", "symbol": symbol, "rate": "0.001"}))?;
            w.pass(2_000);
            ensure(w.cash("USDT") < before, "nothing was paid")?;
            w.agrees_within(5)
        },
    ),
    Case {
        name: "fees in a third asset tie out",
        needs: ThirdAssetFees,
        setup: |setup: &mut Setup| setup.fee_token = Some("BNB"),
        plan: || vec![buy(2_000, Kind::Market, 2), sell(4_000, Kind::Market, 1)],
        play: |w| {
            w.agrees_within(10)?;
            let before = w.cash("BNB");
            w.pass(8_000);
            let after = w.cash("BNB");
            ensure(after < before, format!("no fee was paid: {before} before, {after} after"))?;
            w.agrees_within(5)
        },
    },
    case(
        "the venue cancels when ctos is gone",
        DeadMan,
        || vec![buy(500, Kind::Limit(60), 1)],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::New)?;
            w.vanish();
            w.pass(130_000);
            let open = w.true_account()["openOrders"].as_array().map_or(0, Vec::len);
            ensure(open == 0, format!("{open} orders are still open"))
        },
    ),
];
