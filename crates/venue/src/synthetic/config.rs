//! Settings of the synthetic market and the instruments that follow from them.
//! Never: a draw, a price path.

use super::book::LEVELS;
use ctos_types::instrument::BadInstrument;
use ctos_types::{
    Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Instruments, NumberError, Price, Qty, Settlement,
    Symbol, UnixNanos,
};
use serde::{Deserialize, Serialize};

/// The venue part of every synthetic symbol.
pub const SYNTHETIC_VENUE: &str = "sim";

/// 2026-01-01T00:00:00Z.
const DEFAULT_START: UnixNanos = UnixNanos::from_secs(1_767_225_600);

/// What the synthetic market is made of. `Default` is ten coins, spot and perpetual, from 2026-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Same seed, same events to the last byte. Default 1.
    pub seed: u64,
    /// Time of the first event.
    pub start: UnixNanos,
    /// Quote and settlement currency of everything. Default USDT.
    pub quote: Currency,
    pub coins: Vec<CoinConfig>,
    /// Symbols to generate, with or without the `sim:` part; empty: all. What is left out costs nothing and changes
    /// nothing for the rest.
    pub select: Vec<String>,
    /// Share of the traded value. Defaults: spot 0.001 / 0.001, perpetual 0.0002 / 0.0005.
    pub spot_fees: FeeRates,
    pub perp_fees: FeeRates,
    /// Of perpetuals, as a share of the notional: 0.02 allows 50x. Maintenance is the smaller. Defaults 0.02, 0.01.
    pub initial_margin: Decimal,
    pub maintenance_margin: Decimal,
}

/// Fee rates as a share of the traded value; negative: rebate. Between -0.1 and 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeRates {
    pub maker: Decimal,
    pub taker: Decimal,
}

/// One coin: its price process, its grid, its liquidity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoinConfig {
    /// Base currency, for example `BTC`.
    pub coin: Currency,
    /// In quote currency. The model keeps the price within a factor of ten of it.
    pub start_price: Decimal,
    /// Standard deviation of a day's log return, 0.001 to 0.3.
    pub daily_vol: f64,
    /// Share of the return variance that comes from the factor all coins share, 0 to 1. Two coins of 0.6 have a
    /// return correlation of 0.6.
    pub correlation: f64,
    /// Places of prices and sizes; at most 18 together.
    pub price_decimals: u8,
    pub qty_decimals: u8,
    /// Price step in quote currency and size step in coins.
    pub tick: Decimal,
    pub lot: Decimal,
    /// Smallest and largest order, in coins, and the smallest order value in quote currency.
    pub min_qty: Decimal,
    pub max_qty: Decimal,
    pub min_notional: Decimal,
    /// Typical bid-ask spread at mean volatility, in ticks; widens with volatility. 1 to 10,000.
    pub spread_ticks: u32,
    /// Distance of the levels behind the touch, in ticks. 1 to 10,000.
    pub spacing_ticks: u32,
    /// Typical size of one level in quote currency; levels further away are larger.
    pub level_notional: Decimal,
    /// Mean trades per second of each instrument at mean volatility, 0 to 8.
    pub trades_per_sec: f64,
    /// Which instruments exist. Defaults: both.
    #[serde(default = "yes")]
    pub spot: bool,
    #[serde(default = "yes")]
    pub perp: bool,
}

fn yes() -> bool {
    true
}

/// Why a synthetic market cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntheticError {
    #[error("the synthetic market has no {asked}; it has {}", known.join(", "))]
    UnknownSymbol { asked: String, known: Vec<String> },
    #[error("the synthetic market has no coins")]
    NoCoins,
    #[error("synthetic coin {coin}: {why}")]
    BadCoin { coin: Currency, why: String },
    #[error("synthetic market: {field} {why}")]
    BadSetting { field: &'static str, why: &'static str },
    #[error(transparent)]
    Instrument(#[from] BadInstrument),
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        let rate = |per_100k| Decimal::new(per_100k, 5);
        SyntheticConfig {
            seed: 1,
            start: DEFAULT_START,
            quote: Currency::cut("USDT"),
            coins: default_coins(),
            select: Vec::new(),
            spot_fees: FeeRates { maker: rate(100), taker: rate(100) },
            perp_fees: FeeRates { maker: rate(20), taker: rate(50) },
            initial_margin: rate(2_000),
            maintenance_margin: rate(1_000),
        }
    }
}

/// A row of the default table. Amounts are (mantissa, places), so that no float stands between table and grid.
struct Row {
    coin: &'static str,
    price: (i64, u8),
    daily_vol: f64,
    correlation: f64,
    /// The tick is one unit of the last place.
    price_decimals: u8,
    qty_decimals: u8,
    spread_ticks: u32,
    spacing_ticks: u32,
    level_notional: i64,
    trades_per_sec: f64,
}

#[rustfmt::skip]
const DEFAULT_COINS: [Row; 10] = [
    Row { coin: "BTC",  price: (65_000, 0),  daily_vol: 0.025, correlation: 0.80, price_decimals: 1, qty_decimals: 5, spread_ticks: 10, spacing_ticks: 100, level_notional: 60_000, trades_per_sec: 2.0 },
    Row { coin: "ETH",  price: (3_200, 0),   daily_vol: 0.032, correlation: 0.75, price_decimals: 2, qty_decimals: 4, spread_ticks: 10, spacing_ticks: 50,  level_notional: 40_000, trades_per_sec: 1.7 },
    Row { coin: "BNB",  price: (600, 0),     daily_vol: 0.030, correlation: 0.65, price_decimals: 2, qty_decimals: 3, spread_ticks: 4,  spacing_ticks: 10,  level_notional: 15_000, trades_per_sec: 1.0 },
    Row { coin: "SOL",  price: (150, 0),     daily_vol: 0.042, correlation: 0.70, price_decimals: 2, qty_decimals: 2, spread_ticks: 1,  spacing_ticks: 3,   level_notional: 25_000, trades_per_sec: 1.5 },
    Row { coin: "XRP",  price: (6_000, 4),   daily_vol: 0.038, correlation: 0.60, price_decimals: 4, qty_decimals: 1, spread_ticks: 1,  spacing_ticks: 1,   level_notional: 20_000, trades_per_sec: 1.2 },
    Row { coin: "DOGE", price: (15_000, 5),  daily_vol: 0.048, correlation: 0.60, price_decimals: 5, qty_decimals: 0, spread_ticks: 2,  spacing_ticks: 3,   level_notional: 12_000, trades_per_sec: 1.2 },
    Row { coin: "ADA",  price: (4_500, 4),   daily_vol: 0.042, correlation: 0.65, price_decimals: 4, qty_decimals: 1, spread_ticks: 1,  spacing_ticks: 1,   level_notional: 10_000, trades_per_sec: 0.8 },
    Row { coin: "AVAX", price: (3_000, 2),   daily_vol: 0.050, correlation: 0.65, price_decimals: 3, qty_decimals: 2, spread_ticks: 3,  spacing_ticks: 6,   level_notional: 8_000,  trades_per_sec: 0.8 },
    Row { coin: "LINK", price: (15_000, 3),  daily_vol: 0.046, correlation: 0.60, price_decimals: 3, qty_decimals: 2, spread_ticks: 2,  spacing_ticks: 3,   level_notional: 8_000,  trades_per_sec: 0.8 },
    Row { coin: "LTC",  price: (8_500, 2),   daily_vol: 0.036, correlation: 0.65, price_decimals: 2, qty_decimals: 3, spread_ticks: 1,  spacing_ticks: 2,   level_notional: 10_000, trades_per_sec: 0.7 },
];

/// Ten coins with the grids, volatilities and depths of liquid markets.
pub fn default_coins() -> Vec<CoinConfig> {
    DEFAULT_COINS.iter().map(Row::coin).collect()
}

impl Row {
    fn coin(&self) -> CoinConfig {
        let lot = Decimal::new(1, self.qty_decimals);
        CoinConfig {
            coin: Currency::cut(self.coin),
            start_price: Decimal::new(self.price.0, self.price.1),
            daily_vol: self.daily_vol,
            correlation: self.correlation,
            price_decimals: self.price_decimals,
            qty_decimals: self.qty_decimals,
            tick: Decimal::new(1, self.price_decimals),
            lot,
            min_qty: lot,
            max_qty: Decimal::from_int(10_000_000),
            min_notional: Decimal::from_int(5),
            spread_ticks: self.spread_ticks,
            spacing_ticks: self.spacing_ticks,
            level_notional: Decimal::from_int(self.level_notional),
            trades_per_sec: self.trades_per_sec,
            spot: true,
            perp: true,
        }
    }
}

/// One instrument of the selection and the coin (position in [`Plan::coins`]) whose price it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub coin: usize,
    pub perp: bool,
}

/// A checked configuration, reduced to what was selected.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Positions in [`SyntheticConfig::coins`].
    pub coins: Vec<usize>,
    /// By instrument id.
    pub legs: Vec<Leg>,
    pub instruments: Instruments,
}

impl SyntheticConfig {
    /// The default market reduced to these symbols (with or without `sim:`); none: all of it.
    pub fn for_symbols<S: AsRef<str>>(seed: u64, symbols: &[S]) -> Result<SyntheticConfig, SyntheticError> {
        let select = symbols.iter().map(|s| s.as_ref().to_owned()).collect();
        let config = SyntheticConfig { seed, select, ..SyntheticConfig::default() };
        config.plan().map(|_| config)
    }

    /// Every symbol this configuration could generate, selected or not.
    pub fn symbols(&self) -> Vec<String> {
        self.coins.iter().flat_map(|c| c.kinds().map(|perp| self.symbol(c, perp))).collect()
    }

    fn symbol(&self, c: &CoinConfig, perp: bool) -> String {
        format!("{SYNTHETIC_VENUE}:{}-{}{}", c.coin, self.quote, if perp { "-PERP" } else { "" })
    }

    /// Checks everything and lists what was selected: in the order of the coins, spot before perpetual.
    pub(super) fn plan(&self) -> Result<Plan, SyntheticError> {
        self.check()?;
        let known = self.symbols();
        let names = |symbol: &str, asked: &str| symbol == asked || symbol.split_once(':').is_some_and(|s| s.1 == asked);
        if let Some(asked) = self.select.iter().find(|a| !known.iter().any(|k| names(k, a))) {
            return Err(SyntheticError::UnknownSymbol { asked: asked.clone(), known });
        }
        let (mut coins, mut legs, mut list) = (Vec::new(), Vec::new(), Vec::new());
        for (at, c) in self.coins.iter().enumerate() {
            for perp in c.kinds() {
                let symbol = self.symbol(c, perp);
                if !self.select.is_empty() && !self.select.iter().any(|a| names(&symbol, a)) {
                    continue;
                }
                if coins.last() != Some(&at) {
                    coins.push(at);
                }
                legs.push(Leg { coin: coins.len() - 1, perp });
                let bad = |e: NumberError| SyntheticError::BadCoin { coin: c.coin, why: e.to_string() };
                list.push(self.instrument(c, &symbol, perp).map_err(bad)?);
            }
        }
        Ok(Plan { coins, legs, instruments: Instruments::new(list)? })
    }

    fn check(&self) -> Result<(), SyntheticError> {
        if self.coins.is_empty() {
            return Err(SyntheticError::NoCoins);
        }
        // Before 1970 and after 2261 time arithmetic would need care for no gain.
        if !(0..9_180_000_000_000_000_000).contains(&self.start.0) {
            return Err(SyntheticError::BadSetting { field: "start", why: "must lie between 1970 and 2260" });
        }
        let margins = !self.maintenance_margin.is_negative()
            && self.maintenance_margin <= self.initial_margin
            && self.initial_margin <= Decimal::ONE;
        if !margins {
            return Err(SyntheticError::BadSetting {
                field: "initial_margin",
                why: "must be at most 1 and at least maintenance_margin, which must not be negative",
            });
        }
        let limit = Decimal::new(1, 1);
        let fees = [self.spot_fees.maker, self.spot_fees.taker, self.perp_fees.maker, self.perp_fees.taker];
        if fees.iter().any(|f| f.abs() > limit) {
            return Err(SyntheticError::BadSetting { field: "fee rates", why: "must lie between -0.1 and 0.1" });
        }
        for c in &self.coins {
            c.check().map_err(|why| SyntheticError::BadCoin { coin: c.coin, why })?;
            if self.coins.iter().filter(|o| o.coin == c.coin).count() > 1 {
                return Err(SyntheticError::BadCoin { coin: c.coin, why: "listed twice".into() });
            }
        }
        Ok(())
    }

    fn instrument(&self, c: &CoinConfig, symbol: &str, perp: bool) -> Result<Instrument, NumberError> {
        let kind = if perp { InstrumentKind::Perpetual(Settlement::Linear) } else { InstrumentKind::Spot };
        let fees = if perp { self.perp_fees } else { self.spot_fees };
        let margin = |m| if perp { m } else { Decimal::ZERO };
        let qty = |q: Decimal| q.to_mantissa(c.qty_decimals).map(Qty);
        Ok(Instrument {
            id: InstrumentId(0),
            version: 1,
            symbol: Symbol::new(symbol),
            kind,
            base: c.coin,
            quote: self.quote,
            price_decimals: c.price_decimals,
            qty_decimals: c.qty_decimals,
            tick: Price(c.tick.to_mantissa(c.price_decimals)?),
            lot: qty(c.lot)?,
            min_qty: qty(c.min_qty)?,
            max_qty: qty(c.max_qty)?,
            min_notional: c.min_notional,
            contract_value: Decimal::ONE,
            multiplier: Decimal::ONE,
            initial_margin: margin(self.initial_margin),
            maintenance_margin: margin(self.maintenance_margin),
            maker_fee: fees.maker,
            taker_fee: fees.taker,
        })
    }
}

impl CoinConfig {
    /// `false` for spot, `true` for perpetual, in the order of instruments.
    fn kinds(&self) -> impl Iterator<Item = bool> + use<> {
        [self.spot.then_some(false), self.perp.then_some(true)].into_iter().flatten()
    }

    /// Checks what the generator relies on; the rest is the instrument's own check.
    fn check(&self) -> Result<(), String> {
        let in_range = |name: &str, x: f64, lo: f64, hi: f64| {
            (lo..=hi).contains(&x).then_some(()).ok_or_else(|| format!("{name} {x} is not within {lo} to {hi}"))
        };
        in_range("daily_vol", self.daily_vol, 0.001, 0.3)?;
        in_range("correlation", self.correlation, 0.0, 1.0)?;
        in_range("trades_per_sec", self.trades_per_sec, 0.0, 8.0)?;
        in_range("spread_ticks", f64::from(self.spread_ticks), 1.0, 1e4)?;
        in_range("spacing_ticks", f64::from(self.spacing_ticks), 1.0, 1e4)?;
        if self.coin.is_empty() || !self.coin.as_str().bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("a coin's name is letters and digits".into());
        }
        if !self.spot && !self.perp {
            return Err("neither spot nor perp is switched on".into());
        }
        if self.price_decimals > 16 || self.qty_decimals > 18 {
            return Err("price_decimals must be at most 16 and qty_decimals at most 18".into());
        }
        let positive = [self.start_price, self.tick, self.lot, self.level_notional].iter().all(|d| d.is_positive());
        if !positive || self.min_notional.is_negative() {
            return Err("start_price, tick, lot and level_notional must be positive, min_notional not negative".into());
        }
        self.check_grid()
    }

    /// The price may move by a factor of ten; twenty levels must stay above zero and every number below 2^53, where
    /// floats are exact.
    fn check_grid(&self) -> Result<(), String> {
        const MOVE: f64 = 10.0;
        const EXACT: f64 = 9e15;
        let price = self.start_price.to_f64();
        let ticks = price / self.tick.to_f64();
        let deepest = 5.0 * f64::from(self.spread_ticks) + (LEVELS as f64 + 2.0) * f64::from(self.spacing_ticks);
        if ticks / MOVE < deepest {
            let why = "levels must fit between zero and a tenth of the start price";
            return Err(format!("start_price is {ticks:.0} ticks, too few: {LEVELS} {why} ({deepest:.0} ticks)"));
        }
        let scale = |places: u8| ctos_types::decimal::pow10(places) as f64;
        // Marks carry two more places than prices.
        if price * MOVE * scale(self.price_decimals + 2) > EXACT {
            return Err("start_price has too many digits at this price_decimals".into());
        }
        let size = self.level_notional.to_f64() / price * MOVE;
        if size * 100.0 * scale(self.qty_decimals) > EXACT {
            return Err("level_notional is too large at this qty_decimals".into());
        }
        if size / MOVE / MOVE < self.lot.to_f64() {
            return Err("level_notional does not buy one lot".into());
        }
        Ok(())
    }
}
