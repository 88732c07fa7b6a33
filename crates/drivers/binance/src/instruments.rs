//! Instruments from Binance's exchangeInfo, and a built-in table of the main ones for when there is none.
//! Never: trusts a precision field for a rule: ticks and lots come from the filters.

mod builtin;

pub use builtin::{builtin, builtin_all};

use crate::symbols::Product;
use ctos_types::instrument::rescale;
use ctos_types::time::civil_from_days;
use ctos_types::{
    Currency, Decimal, Instrument, InstrumentId, InstrumentKind, NumberError, Price, Qty, Rounding, Rules, Settlement,
    Symbol, UnixNanos,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Instruments read from a file, and the rows that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstrumentList {
    /// In the file's order, spot first where it has both. Ids are left at 0: `Instruments::new` gives them.
    pub instruments: Vec<Instrument>,
    /// Venue symbol and why it was left out: not trading, of a kind ctos does not trade, or unreadable.
    pub skipped: Vec<(String, String)>,
}

/// The text is not an instrument list at all.
#[derive(Debug, thiserror::Error)]
pub enum InstrumentsError {
    #[error("instrument list is not JSON: {0}; it should be a reply of exchangeInfo")]
    NotJson(#[from] serde_json::Error),
    #[error(
        "instrument list has no \"symbols\"; it should be a reply of exchangeInfo, or hold such under \"spot\" and \"usdm\""
    )]
    NoSymbols,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default, rename = "futuresType")]
    futures_type: Option<String>,
    symbols: Option<Vec<serde_json::Value>>,
    spot: Option<Box<Info>>,
    usdm: Option<Box<Info>>,
}

/// Decimal places of every spot price and size on the wire.
const SPOT_PLACES: u8 = 8;

/// Fees that every account starts with, as fractions: maker, taker.
fn base_fees(product: Product) -> (Decimal, Decimal) {
    let rate = |ten_thousandths| Decimal::new(ten_thousandths, 4);
    match product {
        Product::Spot => (rate(10), rate(10)),
        Product::UsdM => (rate(2), rate(5)),
    }
}

/// Reads a reply of `exchangeInfo` (spot or USD-M, told by `futuresType`), or a file with one of each under `spot` and
/// `usdm`. Only instruments that are trading come out; margins are the list's own base percentages.
pub fn parse_instruments(json: &str) -> Result<InstrumentList, InstrumentsError> {
    let info: Info = serde_json::from_str(json)?;
    let mut list = InstrumentList::default();
    let mut found = false;
    for (product, part) in [(Product::Spot, &info.spot), (Product::UsdM, &info.usdm)] {
        if let Some(rows) = part.as_ref().and_then(|p| p.symbols.as_ref()) {
            found = true;
            rows.iter().for_each(|row| list.add(product, row));
        }
    }
    if let Some(rows) = &info.symbols {
        found = true;
        let product = if info.futures_type.is_some() { Product::UsdM } else { Product::Spot };
        rows.iter().for_each(|row| list.add(product, row));
    }
    if found { Ok(list) } else { Err(InstrumentsError::NoSymbols) }
}

impl InstrumentList {
    fn add(&mut self, product: Product, row: &serde_json::Value) {
        let name = row.get("symbol").and_then(|s| s.as_str()).unwrap_or("(no symbol)").to_string();
        let read = Row::deserialize(row).map_err(|e| e.to_string()).and_then(|row| row.instrument(product));
        match read {
            Ok(instrument) => self.instruments.push(instrument),
            Err(why) => self.skipped.push((name, why)),
        }
    }
}

/// One row of `symbols`, with the fields that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    status: String,
    base_asset: String,
    quote_asset: String,
    contract_type: Option<String>,
    delivery_date: Option<i64>,
    price_precision: Option<u8>,
    quantity_precision: Option<u8>,
    required_margin_percent: Option<Decimal>,
    maint_margin_percent: Option<Decimal>,
    filters: Vec<Filter>,
}

/// All filters have their own fields; those of the other filters are not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    tick_size: Option<Decimal>,
    step_size: Option<Decimal>,
    min_qty: Option<Decimal>,
    max_qty: Option<Decimal>,
    /// Spot's name.
    min_notional: Option<Decimal>,
    /// USD-M's name.
    notional: Option<Decimal>,
}

impl Row {
    fn instrument(&self, product: Product) -> Result<Instrument, String> {
        if self.status != "TRADING" {
            return Err(format!("not trading: {}", self.status));
        }
        let filters: BTreeMap<&str, &Filter> = self.filters.iter().map(|f| (f.filter_type.as_str(), f)).collect();
        let filter = |name: &str| filters.get(name).ok_or_else(|| format!("no {name} filter"));
        let need = |value: Option<Decimal>, what: &str| {
            value.filter(|v| v.is_positive()).ok_or_else(|| format!("{what} is missing or not positive"))
        };
        let lot_size = filter("LOT_SIZE")?;
        let tick = need(filter("PRICE_FILTER")?.tick_size, "tickSize")?;
        let lot = need(lot_size.step_size, "stepSize")?;
        let max_qty = need(lot_size.max_qty, "maxQty")?;
        let notional = filters.get("NOTIONAL").or_else(|| filters.get("MIN_NOTIONAL"));
        let min_notional = notional.and_then(|f| f.notional.or(f.min_notional)).unwrap_or(Decimal::ZERO);
        let (price_decimals, qty_decimals) = self.decimals(product, tick, lot);
        let (kind, suffix) = self.kind(product)?;
        let (base, quote) = (currency(&self.base_asset)?, currency(&self.quote_asset)?);
        let (maker_fee, taker_fee) = base_fees(product);
        let percent = |p: Option<Decimal>| p.map(|p| p.mul_ratio(1, 100, Rounding::HalfEven)).transpose();
        let text = |e: NumberError| e.to_string();
        let instrument = Instrument {
            id: InstrumentId(0),
            version: 1,
            symbol: Symbol::new(&format!("binance:{base}-{quote}{suffix}")),
            kind,
            base,
            quote,
            price_decimals,
            qty_decimals,
            tick: Price(tick.to_mantissa(price_decimals).map_err(text)?),
            lot: Qty(lot.to_mantissa(qty_decimals).map_err(text)?),
            min_qty: Qty(lot_size.min_qty.unwrap_or(lot).to_mantissa(qty_decimals).map_err(text)?),
            max_qty: Qty(max_qty.to_mantissa_rounded(qty_decimals, Rounding::Down).map_err(text)?),
            min_notional,
            contract_value: Decimal::ONE,
            multiplier: Decimal::ONE,
            initial_margin: percent(self.required_margin_percent).map_err(text)?.unwrap_or(Decimal::ZERO),
            maintenance_margin: percent(self.maint_margin_percent).map_err(text)?.unwrap_or(Decimal::ZERO),
            maker_fee,
            taker_fee,
        };
        instrument.validate().map_err(|e| e.why)?;
        Ok(instrument)
    }

    /// Places that hold the filters' own steps and whatever the wire writes: venues coarsen ticks and lots, and old
    /// orders stay in the book (a level of 191.389006 BTC was recorded when the lot was 0.00001). Spot writes 8 places,
    /// USD-M `pricePrecision` and `quantityPrecision`.
    fn decimals(&self, product: Product, tick: Decimal, lot: Decimal) -> (u8, u8) {
        let (px, qty) = (places(tick), places(lot));
        let wire = match product {
            Product::Spot => (SPOT_PLACES, SPOT_PLACES),
            Product::UsdM => (self.price_precision.unwrap_or(0), self.quantity_precision.unwrap_or(0)),
        };
        let wide = (px.max(wire.0), qty.max(wire.1));
        if wide.0.saturating_add(wide.1) <= 18 { wide } else { (px, qty) }
    }

    fn kind(&self, product: Product) -> Result<(InstrumentKind, String), String> {
        if product == Product::Spot {
            return Ok((InstrumentKind::Spot, String::new()));
        }
        match self.contract_type.as_deref() {
            Some("PERPETUAL" | "TRADIFI_PERPETUAL") => {
                Ok((InstrumentKind::Perpetual(Settlement::Linear), "-PERP".into()))
            }
            Some("CURRENT_MONTH" | "NEXT_MONTH" | "CURRENT_QUARTER" | "NEXT_QUARTER") => {
                let ms = self.delivery_date.ok_or("no deliveryDate")?;
                let expiry = UnixNanos(ms.checked_mul(1_000_000).ok_or("deliveryDate out of range")?);
                let (y, m, d) = civil_from_days(expiry.day());
                let kind = InstrumentKind::Future { settlement: Settlement::Linear, expiry };
                Ok((kind, format!("-{y:04}{m:02}{d:02}")))
            }
            other => Err(format!("contract type {} is not traded here", other.unwrap_or("(none)"))),
        }
    }
}

/// The rules of `now` on the decimal places of `ours`; `None` where they do not fit there.
pub(crate) fn rules_on(ours: &Instrument, now: &Instrument) -> Option<Rules> {
    let px = |p: Price| rescale(p.0, now.price_decimals, ours.price_decimals).map(Price).ok();
    let qty = |q: Qty| rescale(q.0, now.qty_decimals, ours.qty_decimals).map(Qty).ok();
    // A largest size beyond what our places can hold is as good as the largest that they can.
    let max_qty = qty(now.max_qty).unwrap_or(ours.max_qty);
    Some(Rules {
        tick: px(now.tick)?,
        lot: qty(now.lot)?,
        min_qty: qty(now.min_qty)?,
        max_qty,
        min_notional: now.min_notional,
        trading: true,
    })
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::new(text).map_err(|e| e.to_string())
}

/// Decimal places a step needs.
fn places(step: Decimal) -> u8 {
    (0..Decimal::PLACES).find(|p| step.round(*p, Rounding::Down) == step).unwrap_or(Decimal::PLACES)
}

#[cfg(test)]
mod tests;
