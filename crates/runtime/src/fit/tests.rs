//! What is refused at the start, and what is not.

use super::*;
use crate::config::Layers;
use ctos_driver_binance::instruments::builtin_all;
use ctos_kernel::{Ctx, Feeds};
use ctos_strategies::{Program, StrategyInfo};
use serde_json::Value;

/// A strategy of somebody's own that says nothing of itself.
struct Plain(&'static [PositionMode]);

impl Strategy for Plain {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(InstrumentId(0), Feeds::QUOTES);
    }
    fn save(&self) -> Value {
        Value::Null
    }
    fn restore(&mut self, _: &Value) -> Result<(), String> {
        Ok(())
    }
    fn position_modes(&self) -> &'static [PositionMode] {
        self.0
    }
}

const fn info(name: &'static str) -> StrategyInfo {
    StrategyInfo { name, summary: "", params: &[], example: "" }
}

const OWN: &[Program] = &[
    Program { info: info("plain"), build: |_| Ok(Box::new(Plain(&[PositionMode::OneWay]))) },
    Program { info: info("legs"), build: |_| Ok(Box::new(Plain(&[PositionMode::Hedge]))) },
    Program { info: info("both"), build: |_| Ok(Box::new(Plain(&[PositionMode::OneWay, PositionMode::Hedge]))) },
];

fn instruments(symbols: &[String]) -> Instruments {
    let wanted = |i: &&Instrument| symbols.iter().any(|s| s == i.symbol.as_str());
    Instruments::new(builtin_all().iter().filter(wanted).cloned().collect()).unwrap()
}

fn start(yaml: &str) -> Result<(), UserError> {
    let mut layers = Layers::new();
    layers.file("ctos.yaml", yaml).unwrap();
    let settings = Settings::resolve(&layers).unwrap();
    let instruments = instruments(&settings.symbols);
    let ids: Vec<InstrumentId> = instruments.iter().map(|i| i.id).collect();
    check(&settings, Catalog::with(OWN), &instruments, &ids)
}

#[track_caller]
fn refused(yaml: &str, what: &str, hint: &str) {
    let error = start(yaml).unwrap_err();
    assert!(error.message.contains(what), "{what:?} is not in {:?}", error.message);
    assert!(error.hint.contains(hint), "{hint:?} is not in {:?}", error.hint);
}

const PERP: &str = "binance:BTC-USDT-PERP";
const COIN: &str = "binance:BTC-USDT";

/// One account with these lines, these symbols, one strategy.
fn live(account: &str, symbols: &str, strategy: &str) -> String {
    format!(
        "mode: live\nsymbols: [{symbols}]\naccounts: [{{id: main, venue: binance, {account}}}]\nstrategies: [{strategy}]\n"
    )
}

#[test]
fn the_position_mode_must_fit() {
    let hedge = "profile: usdm, hedge_mode: true";
    for name in ["grid", "grid_all", "ma_cross", "mean_reversion", "plain"] {
        let yaml = live(hedge, PERP, &format!("{{name: {name}}}"));
        refused(&yaml, "keeps long and short apart (hedge_mode: true)", "set hedge_mode: false for account main");
        start(&live("profile: usdm", PERP, &format!("{{name: {name}}}"))).unwrap();
    }
    refused(&live("profile: usdm", PERP, "{name: legs}"), "has one net position", "set hedge_mode: true");
    for mode in ["true", "false"] {
        start(&live(&format!("profile: usdm, hedge_mode: {mode}"), PERP, "{name: both}")).unwrap();
    }
    start(&live(hedge, PERP, "{name: legs}")).unwrap();
    // On paper the simulated exchange refuses the same orders.
    let paper = format!(
        "market: binance\nsymbols: [{PERP}]\naccounts: [{{id: main, hedge_mode: true}}]\nstrategies: [{{name: grid}}]\n"
    );
    refused(&paper, "strategy grid (grid) trades binance:BTC-USDT-PERP in one net position", "hedge_mode: false");
    // Coins have no legs.
    start(&paper.replace(PERP, COIN)).unwrap();
}

#[test]
fn what_a_strategy_trades_must_be_of_its_account() {
    let two = |strategy: &str| {
        format!(
            "mode: live\nsymbols: [{COIN}, {PERP}]\naccounts:\n  - {{id: coins, venue: binance, profile: margin}}\n  \
             - {{id: perps, venue: binance, profile: usdm}}\nstrategies: [{strategy}]\n"
        )
    };
    // The first symbol of the run is what a grid takes that names none.
    let on_perps = "{name: grid, account: perps}";
    refused(&two(on_perps), "strategy grid trades binance:BTC-USDT, and account perps (profile usdm) cannot", PERP);
    start(&two(&on_perps.replace("perps", "perps, params: {symbol: BTC-USDT-PERP}"))).unwrap();
    start(&two("{name: grid, account: coins}")).unwrap();
    refused(&two("{name: grid_all, account: coins}"), "trades binance:BTC-USDT-PERP", COIN);
    // Nobody knows what this one orders.
    start(&two("{name: plain, account: perps}")).unwrap();
    let only = live("profile: spot", COIN, "{name: grid}");
    start(&only).unwrap();
}

#[test]
fn limits_below_what_the_venue_takes_are_told() {
    let with = |risk: &str| live("profile: usdm", PERP, "{name: grid}") + &format!("risk: {{{risk}}}\n");
    refused(&with("max_order_notional: 50"), "risk.max_order_notional allows 50 for an order's worth", "at least 100");
    refused(&with("max_position_notional: 99"), "risk.max_position_notional", "at least 100");
    refused(&with("max_total_notional: 99"), "risk.max_total_notional", "at least 100");
    refused(&with("max_order_qty: \"0.0005\""), "risk.max_order_qty", "at least 0.001");
    start(&with("max_order_notional: 100")).unwrap();
    let narrow = with("per_strategy: {grid: {max_order_notional: 10}}");
    refused(&narrow, "strategy grid: risk.max_order_notional", "leave binance:BTC-USDT-PERP out");
}

#[test]
fn leverage_at_a_venue_is_a_whole_number() {
    let with = |leverage: &str| live(&format!("profile: usdm, leverage: \"{leverage}\""), PERP, "{name: grid}");
    refused(&with("2.5"), "whole numbers, and the settings say 2.5", "write leverage: 2");
    start(&with("3")).unwrap();
    let paper = "market: binance\nsymbols: [binance:BTC-USDT-PERP]\naccounts: [{id: main, leverage: \"2.5\"}]\n";
    start(paper).unwrap();
}
