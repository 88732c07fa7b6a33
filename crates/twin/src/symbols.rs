//! What can be traded: the venue's own rows, and the engine's instruments behind them.
//! Never: a market, prices. Rows are data as the venue sends them; rules are read from their filters.

use crate::config::{Product, TwinError};
use crate::error::ApiError;
use ctos_types::{Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Instruments, Rounding};
use ctos_venue::synthetic::{CoinConfig, SyntheticConfig, default_coins};
use serde_json::Value;
use std::collections::HashMap;

/// exchangeInfo of both products: real rows of January 2026 on USD-M, the field set of 2026 on spot.
const ROWS: &str = include_str!("rows.json");

/// The largest leverage, and the share of a position's value below which it is liquidated.
pub(crate) const MAX_LEVERAGE: i64 = 125;
pub(crate) const MAINTENANCE: (i64, u8) = (4, 3);

/// Marks a row that is not shown any more.
const DELISTED: &str = "_delisted";

/// One row with what is read from it.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub name: String,
    /// As it stands in stream names.
    pub lower: String,
    /// `None`: listed, but without a market.
    pub id: Option<InstrumentId>,
    pub row: Value,
    pub status: String,
    pub base: Currency,
    pub quote: Currency,
    /// Decimals of prices and sizes on the wire.
    pub wire: (u8, u8),
    /// Decimals of the engine's prices and sizes.
    pub grid: (u8, u8),
    pub filters: Filters,
    /// Furthest from the mark a market order may trade, as a share.
    pub take_bound: Option<Decimal>,
}

/// The rules a client can break. `None`: off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    pub tick: Option<Decimal>,
    pub min_price: Option<Decimal>,
    pub max_price: Option<Decimal>,
    pub lot: Range,
    pub market_lot: Range,
    pub min_notional: Option<Decimal>,
    pub max_notional: Option<Decimal>,
    pub notional_on_market: bool,
    pub max_orders: Option<usize>,
    pub max_algo: Option<usize>,
    pub max_amends: Option<usize>,
    pub iceberg_parts: Option<i64>,
    /// Multipliers of the reference price: buys up and down, sells up and down.
    pub bands: Option<[Decimal; 4]>,
    /// Trailing deltas in basis points: above from, to, below from, to.
    pub trailing: Option<[i64; 4]>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub min: Option<Decimal>,
    pub max: Option<Decimal>,
    pub step: Option<Decimal>,
}

/// All rows of a product, in the venue's order.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    pub list: Vec<Symbol>,
    by_name: HashMap<String, usize>,
    by_lower: HashMap<String, usize>,
    /// Row of each instrument.
    by_id: Vec<usize>,
    /// The reply without its rows.
    pub head: Value,
}

fn rows(product: Product) -> Value {
    let mut all: Value = serde_json::from_str(ROWS).expect("the table in this crate is JSON");
    all[if product == Product::Spot { "spot" } else { "usdm" }].take()
}

impl Symbols {
    /// The product's rows; those the market has instruments for can be traded.
    pub fn new(product: Product, instruments: &Instruments) -> Result<Symbols, TwinError> {
        let mut head = rows(product);
        let Value::Array(rows) = head["symbols"].take() else { unreachable!("the table in this crate has symbols") };
        let mut list = Vec::new();
        let mut by_id = vec![usize::MAX; instruments.len()];
        for row in rows {
            let mut symbol = Symbol::new(product, row);
            let found = instruments.iter().find(|i| symbol.means(i));
            if found.is_none() && symbol.status == "TRADING" {
                continue;
            }
            if let Some(i) = found {
                symbol.id = Some(i.id);
                symbol.grid = (i.price_decimals, i.qty_decimals);
                symbol.wire = (symbol.wire.0.max(i.price_decimals), symbol.wire.1.max(i.qty_decimals));
                by_id[i.id.index()] = list.len();
            }
            list.push(symbol);
        }
        if let Some(i) = instruments.iter().find(|i| by_id[i.id.index()] == usize::MAX) {
            let known: Vec<&str> = list.iter().map(|s| s.name.as_str()).collect();
            return Err(TwinError::new(
                format!("the twin has no exchangeInfo row for {}", i.symbol),
                format!("use a market of these: {}", known.join(" ")),
            ));
        }
        let by_name = list.iter().enumerate().map(|(n, s)| (s.name.clone(), n)).collect();
        let by_lower = list.iter().enumerate().map(|(n, s)| (s.lower.clone(), n)).collect();
        Ok(Symbols { list, by_name, by_lower, by_id, head })
    }

    /// By the name in a request. Errors: none such.
    pub fn find(&self, name: &str) -> Result<&Symbol, ApiError> {
        self.by_name.get(name).map(|n| &self.list[*n]).filter(|s| s.is_listed()).ok_or_else(ApiError::symbol)
    }

    /// A symbol that has a market, with its instrument.
    pub fn traded(&self, name: &str) -> Result<(&Symbol, InstrumentId), ApiError> {
        let symbol = self.find(name)?;
        symbol.id.map(|id| (symbol, id)).ok_or_else(ApiError::symbol)
    }

    pub fn find_lower(&self, name: &str) -> Option<&Symbol> {
        self.by_lower.get(name).map(|n| &self.list[*n])
    }

    pub fn of(&self, id: InstrumentId) -> &Symbol {
        &self.list[self.by_id[id.index()]]
    }

    /// Those with a market.
    pub fn live(&self) -> impl Iterator<Item = (&Symbol, InstrumentId)> {
        self.list.iter().filter(|s| s.is_listed()).filter_map(|s| s.id.map(|id| (s, id)))
    }

    /// Changes a row as the venue would: `status`, or one filter's values. Errors: what is wrong with the change.
    pub fn patch(&mut self, product: Product, name: &str, change: &Value) -> Result<(), String> {
        let n = *self.by_name.get(name).ok_or("no such symbol")?;
        let old = &self.list[n];
        let mut row = old.row.clone();
        if let Some(status) = change.get("status") {
            row["status"] = Value::String(status.as_str().ok_or("status is a text")?.into());
        }
        for (key, value) in change.as_object().into_iter().flatten().filter(|(_, v)| v.is_boolean()) {
            if row[key.as_str()].is_boolean() {
                row[key.as_str()] = value.clone();
            }
        }
        if change.get("delisted").and_then(Value::as_bool) == Some(true) {
            row[DELISTED] = Value::Bool(true);
        }
        if let Some(filter) = change.get("filter").and_then(Value::as_object) {
            let kind = filter.get("filterType").and_then(Value::as_str).ok_or("filter needs its filterType")?;
            let rows = row["filters"].as_array_mut().ok_or("the symbol has no filters")?;
            let target = rows.iter_mut().find(|f| f["filterType"] == kind).ok_or("the symbol has no such filter")?;
            for (key, value) in filter {
                target[key.as_str()] = value.clone();
            }
        }
        self.replace(product, name, row)
    }

    /// Puts another row in a symbol's place. Errors: no such symbol.
    pub fn replace(&mut self, product: Product, name: &str, row: Value) -> Result<(), String> {
        let n = *self.by_name.get(name).ok_or_else(|| format!("no symbol {name}"))?;
        let (old, mut new) = (&self.list[n], Symbol::new(product, row));
        (new.id, new.grid, new.wire) = (old.id, old.grid, old.wire);
        self.list[n] = new;
        Ok(())
    }
}

impl Symbol {
    fn new(product: Product, row: Value) -> Symbol {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_string();
        let places = |key: &str| row[key].as_u64().unwrap_or(8) as u8;
        let wire = match product {
            Product::Spot => (8, 8),
            Product::UsdM => (places("pricePrecision"), places("quantityPrecision")),
        };
        let name = text("symbol");
        Symbol {
            lower: name.to_lowercase(),
            id: None,
            status: text("status"),
            base: Currency::cut(&text("baseAsset")),
            quote: Currency::cut(&text("quoteAsset")),
            wire,
            grid: wire,
            filters: Filters::read(product, &row["filters"]),
            take_bound: row["marketTakeBound"].as_str().and_then(|t| t.parse().ok()),
            name,
            row,
        }
    }

    /// Whether an instrument of the market is this symbol.
    fn means(&self, i: &Instrument) -> bool {
        let perp = self.row.get("contractType").is_some();
        let kind = if perp { !i.is_spot() && !i.is_inverse() } else { i.is_spot() };
        let dated = matches!(i.kind, InstrumentKind::Future { .. });
        let base = if i.base.as_str() == ALIAS.0 { ALIAS.1 } else { i.base.as_str() };
        kind && !dated && base == self.base.as_str() && i.quote == self.quote
    }

    pub fn is_listed(&self) -> bool {
        self.row.get(DELISTED).is_none()
    }

    pub fn may_trade(&self) -> bool {
        self.status == "TRADING"
    }
}

impl Filters {
    fn read(product: Product, filters: &Value) -> Filters {
        let mut out = Filters::default();
        for f in filters.as_array().into_iter().flatten() {
            let number = |key: &str| -> Option<Decimal> {
                let value = f[key].as_str()?.parse().ok()?;
                Some(value).filter(|d: &Decimal| !d.is_zero())
            };
            let count = |key: &str| f[key].as_u64().map(|n| n as usize);
            let range = || Range { min: number("minQty"), max: number("maxQty"), step: number("stepSize") };
            match f["filterType"].as_str().unwrap_or_default() {
                "PRICE_FILTER" => {
                    (out.tick, out.min_price, out.max_price) =
                        (number("tickSize"), number("minPrice"), number("maxPrice"));
                }
                "LOT_SIZE" => out.lot = range(),
                "MARKET_LOT_SIZE" => out.market_lot = range(),
                "NOTIONAL" => {
                    (out.min_notional, out.max_notional) = (number("minNotional"), number("maxNotional"));
                    out.notional_on_market = f["applyMinToMarket"].as_bool().unwrap_or(true);
                }
                "MIN_NOTIONAL" => {
                    out.min_notional = number("notional").or_else(|| number("minNotional"));
                    out.notional_on_market = true;
                }
                "MAX_NUM_ORDERS" => out.max_orders = count("maxNumOrders").or_else(|| count("limit")),
                "MAX_NUM_ALGO_ORDERS" => out.max_algo = count("maxNumAlgoOrders").or_else(|| count("limit")),
                "MAX_NUM_ORDER_AMENDS" => out.max_amends = count("maxNumOrderAmends"),
                "ICEBERG_PARTS" => out.iceberg_parts = f["limit"].as_i64(),
                "PERCENT_PRICE_BY_SIDE" => {
                    let all = ["bidMultiplierUp", "bidMultiplierDown", "askMultiplierUp", "askMultiplierDown"];
                    out.bands = all.map(number).into_iter().collect::<Option<Vec<_>>>().and_then(|v| v.try_into().ok());
                }
                "PERCENT_PRICE" => {
                    if let (Some(up), Some(down)) = (number("multiplierUp"), number("multiplierDown")) {
                        // On USD-M a price is bounded only on the side where it would hurt.
                        let never = Decimal::ZERO;
                        let always = Decimal::from_int(1_000_000);
                        out.bands = Some(match product {
                            Product::Spot => [up, down, up, down],
                            Product::UsdM => [up, never, always, down],
                        });
                    }
                }
                "TRAILING_DELTA" => {
                    let all = [
                        "minTrailingAboveDelta",
                        "maxTrailingAboveDelta",
                        "minTrailingBelowDelta",
                        "maxTrailingBelowDelta",
                    ];
                    out.trailing = all
                        .map(|k| f[k].as_i64())
                        .into_iter()
                        .collect::<Option<Vec<_>>>()
                        .and_then(|v| v.try_into().ok());
                }
                _ => {}
            }
        }
        out
    }
}

/// The synthetic market's coins have names of ASCII letters; this one stands for a symbol that is not ASCII.
const ALIAS: (&str, &str) = ("BALIFE", "币安人生");

/// The synthetic market on the grids of the product's rows. Both products of one seed follow the same prices.
pub fn synthetic_config(product: Product, seed: u64) -> SyntheticConfig {
    let head = rows(product);
    let mut known = default_coins();
    if let Some(like) = known.iter().find(|c| c.coin.as_str() == "DOGE").cloned() {
        known.push(CoinConfig { coin: Currency::cut(ALIAS.0), trades_per_sec: 0.3, ..like });
    }
    // In the order of the coins and with every coin, whatever the product lists: prices are drawn per coin.
    let rows: Vec<Symbol> =
        head["symbols"].as_array().into_iter().flatten().cloned().map(|r| Symbol::new(product, r)).collect();
    let coin_of = |s: &Symbol| if s.base.as_str() == ALIAS.1 { Currency::cut(ALIAS.0) } else { s.base };
    let coins = known
        .iter()
        .filter_map(|coin| {
            let row = rows.iter().find(|s| coin_of(s) == coin.coin && s.may_trade())?;
            regrid(coin, row, product)
        })
        .collect();
    let share = |(m, p): (i64, u8)| Decimal::new(m, p);
    SyntheticConfig {
        seed,
        coins,
        initial_margin: Decimal::ONE.mul_ratio(1, MAX_LEVERAGE, Rounding::Up).unwrap_or(Decimal::ONE),
        maintenance_margin: share(MAINTENANCE),
        ..SyntheticConfig::default()
    }
}

/// The coin on a row's grid: spread and level distances stay what they are in money.
fn regrid(coin: &CoinConfig, row: &Symbol, product: Product) -> Option<CoinConfig> {
    let (tick, lot) = (row.filters.tick?, row.filters.lot.step?);
    let places = |step: Decimal| (0..=16).find(|p| step.round(*p, Rounding::Down) == step);
    let ticks = |n: u32| {
        let money = coin.tick.mul_ratio(i64::from(n), 1, Rounding::Down).ok()?;
        let n = money.div(tick, Rounding::HalfEven).ok()?.round(0, Rounding::HalfEven).to_mantissa(0).ok()?;
        Some((n.clamp(1, 10_000)) as u32)
    };
    Some(CoinConfig {
        price_decimals: places(tick)?,
        qty_decimals: places(lot)?,
        tick,
        lot,
        min_qty: row.filters.lot.min.unwrap_or(lot),
        max_qty: row.filters.lot.max?,
        min_notional: row.filters.min_notional.unwrap_or(Decimal::ONE),
        spread_ticks: ticks(coin.spread_ticks)?,
        spacing_ticks: ticks(coin.spacing_ticks)?,
        spot: product == Product::Spot,
        perp: product == Product::UsdM,
        ..coin.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_venue::{MarketSource, SyntheticMarket};

    #[test]
    fn every_trading_row_has_a_market() {
        for product in [Product::Spot, Product::UsdM] {
            let market = SyntheticMarket::new(synthetic_config(product, 1)).unwrap();
            let symbols = Symbols::new(product, market.instruments()).unwrap();
            assert!(symbols.live().count() >= 9, "{product:?}");
            for (s, id) in symbols.live() {
                assert!(s.filters.tick.is_some() && s.filters.lot.step.is_some() && s.may_trade(), "{}", s.name);
                assert_eq!(symbols.of(id).name, s.name);
            }
            assert!(symbols.find("BTCUSDT").is_ok() && symbols.find("btcusdt").is_err());
        }
    }

    #[test]
    fn a_patched_filter_is_the_rule() {
        let market = SyntheticMarket::new(synthetic_config(Product::Spot, 1)).unwrap();
        let mut symbols = Symbols::new(Product::Spot, market.instruments()).unwrap();
        let change =
            serde_json::json!({"status": "BREAK", "filter": {"filterType": "LOT_SIZE", "stepSize": "0.01000000"}});
        symbols.patch(Product::Spot, "BTCUSDT", &change).unwrap();
        let s = symbols.find("BTCUSDT").unwrap();
        assert_eq!((s.filters.lot.step, s.may_trade(), s.id.is_some()), (Some(Decimal::new(1, 2)), false, true));
        assert!(symbols.patch(Product::Spot, "NOPE", &change).is_err());
    }
}
