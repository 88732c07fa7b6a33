//! The filters of exchangeInfo, all of them, and what they say of an order before it leaves.
//! Never: takes a precision field for a rule, or refuses what it cannot judge: without a reference price the filters
//! that need one pass, and the venue decides.

use crate::decode::DecodeError;
use crate::fields::{Row, parse};
use crate::symbols::Product;
use ctos_types::{Decimal, RejectReason, Rounding, Side};
use std::collections::BTreeMap;

/// A range on a grid; a bound of zero is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    pub min: Decimal,
    pub max: Decimal,
    pub step: Decimal,
}

impl Grid {
    fn holds(&self, value: Decimal) -> bool {
        let on = |bound: Decimal| bound.is_positive();
        (!on(self.min) || value >= self.min)
            && (!on(self.max) || value <= self.max)
            // Minimum and step were multiples of each other in all rows seen: plain remainder is the same.
            && (!on(self.step) || value.atoms() % self.step.atoms() == 0)
    }
}

/// How far from the reference price an order may lie, as factors of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceBand {
    pub bid_up: Decimal,
    pub bid_down: Decimal,
    pub ask_up: Decimal,
    pub ask_down: Decimal,
}

/// The rules of one symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// As the venue writes it. Only `TRADING` may be traded.
    pub status: String,
    pub price: Grid,
    pub lot: Grid,
    /// For market orders, on top of `lot`.
    pub market_lot: Grid,
    pub min_notional: Decimal,
    /// Zero: none.
    pub max_notional: Decimal,
    pub min_notional_of_market: bool,
    pub max_notional_of_market: bool,
    /// Around the average or last price on spot; around the mark price on USD-M, where only the aggressive side counts.
    pub band: Option<PriceBand>,
    pub max_orders: Option<u64>,
    pub max_conditional_orders: Option<u64>,
    /// Least and most distance of a trailing stop above and below, hundredths of a percent (spot).
    pub trailing_bps: Option<(u64, u64)>,
    /// Most of the base asset that the account may have, open buys included (spot).
    pub max_position: Option<Decimal>,
    /// How far from the mark price a market order may trade, as a share (USD-M).
    pub market_take_bound: Option<Decimal>,
    /// What liquidation costs, as a share (USD-M).
    pub liquidation_fee: Option<Decimal>,
    pub order_types: Vec<String>,
    /// USD-M only.
    pub times_in_force: Vec<String>,
    /// Spot: an order may be replaced, made smaller in its place, traded on margin.
    pub can_replace: bool,
    pub can_amend: bool,
    pub margin: bool,
    /// Names of filters that we do not know: they exist, and are the venue's to judge.
    pub other_filters: Vec<String>,
}

/// An order as the filters see it.
#[derive(Clone, Copy, Debug)]
pub struct Proposed {
    pub side: Side,
    /// `None` for market orders.
    pub price: Option<Decimal>,
    pub qty: Decimal,
    pub reduce_only: bool,
    /// Mark price on USD-M; average or last price on spot.
    pub reference: Option<Decimal>,
}

impl Rules {
    pub fn is_trading(&self) -> bool {
        self.status == "TRADING"
    }

    /// Which filter an order breaks.
    pub fn check(&self, product: Product, order: &Proposed) -> Result<(), RejectReason> {
        let good = |yes: bool, reason| if yes { Ok(()) } else { Err(reason) };
        good(self.is_trading(), RejectReason::InstrumentNotTrading)?;
        good(order.qty.is_positive() && self.lot.holds(order.qty), RejectReason::BadQty)?;
        let market = order.price.is_none();
        good(!market || self.market_lot.holds(order.qty), RejectReason::BadQty)?;
        if let Some(px) = order.price {
            good(px.is_positive() && self.price.holds(px), RejectReason::BadPrice)?;
            good(self.in_band(product, order.side, px, order.reference), RejectReason::BadPrice)?;
        }
        let Some(px) = order.price.or(order.reference) else { return Ok(()) };
        let Ok(notional) = px.mul(order.qty, Rounding::HalfEven) else { return Err(RejectReason::BadQty) };
        let exempt = product == Product::UsdM && order.reduce_only;
        let min = !market || self.min_notional_of_market || product == Product::UsdM;
        good(exempt || !min || notional >= self.min_notional, RejectReason::MinNotional)?;
        let max = self.max_notional.is_positive() && (!market || self.max_notional_of_market);
        good(!max || notional <= self.max_notional, RejectReason::MinNotional)
    }

    fn in_band(&self, product: Product, side: Side, px: Decimal, reference: Option<Decimal>) -> bool {
        let (Some(band), Some(reference)) = (self.band, reference) else { return true };
        let (up, down) = match side {
            Side::Buy => (band.bid_up, band.bid_down),
            Side::Sell => (band.ask_up, band.ask_down),
        };
        let bound = |factor: Decimal, rounding| reference.mul(factor, rounding);
        let below = bound(up, Rounding::Floor).is_ok_and(|most| px <= most);
        let above = bound(down, Rounding::Ceil).is_ok_and(|least| px >= least);
        match (product, side) {
            (Product::Spot, _) => below && above,
            (Product::UsdM, Side::Buy) => below,
            (Product::UsdM, Side::Sell) => above,
        }
    }
}

/// The rules of every symbol of a reply of exchangeInfo, by venue symbol, trading or not.
///
/// # Errors
/// [`DecodeError`] where the reply is none. A row that cannot be read is left out and named in the second list.
pub fn parse_rules(json: &[u8]) -> Result<(BTreeMap<String, Rules>, Vec<String>), DecodeError> {
    let value = parse(json)?;
    let (mut rules, mut unread) = (BTreeMap::new(), Vec::new());
    for row in Row::new(&value, "exchangeInfo")?.list("symbols", "symbol")? {
        let row = row?;
        let symbol = row.text("symbol")?.to_string();
        match rules_of(&row) {
            Ok(of) => drop(rules.insert(symbol, of)),
            Err(e) => unread.push(format!("{symbol}: {e}")),
        }
    }
    Ok((rules, unread))
}

fn rules_of(row: &Row<'_>) -> Result<Rules, DecodeError> {
    let texts = |field: &'static str| -> Vec<String> {
        let list = row.value(field).ok().and_then(|v| v.as_array());
        list.into_iter().flatten().filter_map(|v| v.as_str()).map(str::to_string).collect()
    };
    let mut rules = Rules {
        status: row.text("status")?.into(),
        market_take_bound: row.opt_decimal("marketTakeBound")?,
        liquidation_fee: row.opt_decimal("liquidationFee")?,
        order_types: texts("orderTypes"),
        times_in_force: texts("timeInForce"),
        can_replace: row.opt_bool("cancelReplaceAllowed")?.unwrap_or(false),
        can_amend: row.opt_bool("amendAllowed")?.unwrap_or(false),
        margin: row.opt_bool("isMarginTradingAllowed")?.unwrap_or(false),
        ..Rules::default()
    };
    for filter in row.list("filters", "filter")? {
        rules.filter(&filter?)?;
    }
    Ok(rules)
}

impl Rules {
    fn filter(&mut self, f: &Row<'_>) -> Result<(), DecodeError> {
        let sizes = || Ok(Grid { min: f.decimal("minQty")?, max: f.decimal("maxQty")?, step: f.decimal("stepSize")? });
        // The same filter's limit has another key on USD-M.
        let count = |field: &'static str| f.id(if f.has("limit") { "limit" } else { field });
        match f.text("filterType")? {
            "PRICE_FILTER" => {
                self.price =
                    Grid { min: f.decimal("minPrice")?, max: f.decimal("maxPrice")?, step: f.decimal("tickSize")? };
            }
            "LOT_SIZE" => self.lot = sizes()?,
            "MARKET_LOT_SIZE" => self.market_lot = sizes()?,
            "NOTIONAL" => {
                self.min_notional = f.decimal("minNotional")?;
                self.max_notional = f.opt_decimal("maxNotional")?.unwrap_or_default();
                self.min_notional_of_market = f.bool("applyMinToMarket")?;
                self.max_notional_of_market = f.opt_bool("applyMaxToMarket")?.unwrap_or(false);
            }
            "MIN_NOTIONAL" => {
                self.min_notional = f.decimal(if f.has("notional") { "notional" } else { "minNotional" })?;
                self.min_notional_of_market = f.opt_bool("applyToMarket")?.unwrap_or(true);
            }
            "PERCENT_PRICE_BY_SIDE" => {
                self.band = Some(PriceBand {
                    bid_up: f.decimal("bidMultiplierUp")?,
                    bid_down: f.decimal("bidMultiplierDown")?,
                    ask_up: f.decimal("askMultiplierUp")?,
                    ask_down: f.decimal("askMultiplierDown")?,
                });
            }
            "PERCENT_PRICE" => {
                let (up, down) = (f.decimal("multiplierUp")?, f.decimal("multiplierDown")?);
                self.band = Some(PriceBand { bid_up: up, bid_down: down, ask_up: up, ask_down: down });
            }
            "MAX_NUM_ORDERS" => self.max_orders = Some(count("maxNumOrders")?),
            "MAX_NUM_ALGO_ORDERS" => self.max_conditional_orders = Some(count("maxNumAlgoOrders")?),
            "TRAILING_DELTA" => {
                let least = f.id("minTrailingAboveDelta")?.max(f.id("minTrailingBelowDelta")?);
                let most = f.id("maxTrailingAboveDelta")?.min(f.id("maxTrailingBelowDelta")?);
                self.trailing_bps = Some((least, most));
            }
            "MAX_POSITION" => self.max_position = Some(f.decimal("maxPosition")?),
            other => self.other_filters.push(other.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The row of the venue of January 2026.
    const USDM: &str = r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","liquidationFee":"0.012500","marketTakeBound":"0.05","filters":[
        {"filterType":"PRICE_FILTER","minPrice":"556.80","maxPrice":"4529764","tickSize":"0.10"},
        {"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"1000","stepSize":"0.001"},
        {"filterType":"MARKET_LOT_SIZE","minQty":"0.001","maxQty":"120","stepSize":"0.001"},
        {"filterType":"MAX_NUM_ORDERS","limit":200},
        {"filterType":"MIN_NOTIONAL","notional":"100"},
        {"filterType":"PERCENT_PRICE","multiplierUp":"1.0500","multiplierDown":"0.9500","multiplierDecimal":"4"},
        {"filterType":"POSITION_RISK_CONTROL","positionControlSide":"NONE"}],
        "orderTypes":["LIMIT","MARKET"],"timeInForce":["GTC","GTX"]},{"symbol":"X","status":"TRADING"}]}"#;
    const SPOT: &str = r#"{"symbols":[{"symbol":"ETHUSDT","status":"TRADING","orderTypes":["LIMIT"],"cancelReplaceAllowed":true,"amendAllowed":true,"isMarginTradingAllowed":true,"filters":[
        {"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000","tickSize":"0.01000000"},
        {"filterType":"LOT_SIZE","minQty":"0.00010000","maxQty":"9000.00000000","stepSize":"0.00010000"},
        {"filterType":"MARKET_LOT_SIZE","minQty":"0.00000000","maxQty":"3400.5","stepSize":"0.00000000"},
        {"filterType":"TRAILING_DELTA","minTrailingAboveDelta":10,"maxTrailingAboveDelta":2000,"minTrailingBelowDelta":10,"maxTrailingBelowDelta":2000},
        {"filterType":"PERCENT_PRICE_BY_SIDE","bidMultiplierUp":"5","bidMultiplierDown":"0.2","askMultiplierUp":"5","askMultiplierDown":"0.2","avgPriceMins":5},
        {"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,"maxNotional":"9000000.00000000","applyMaxToMarket":false,"avgPriceMins":5},
        {"filterType":"MAX_NUM_ORDERS","maxNumOrders":200},{"filterType":"MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5}]}]}"#;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn order(side: Side, price: Option<&str>, qty: &str, reference: Option<&str>) -> Proposed {
        Proposed { side, price: price.map(d), qty: d(qty), reduce_only: false, reference: reference.map(d) }
    }

    #[test]
    fn usdm_filters() {
        let (rules, unread) = parse_rules(USDM.as_bytes()).unwrap();
        assert!(unread.len() == 1 && unread[0].starts_with("X: "), "{unread:?}");
        let r = &rules["BTCUSDT"];
        assert_eq!((r.max_orders, r.other_filters.as_slice()), (Some(200), &["POSITION_RISK_CONTROL".to_string()][..]));
        let check = |o| r.check(Product::UsdM, &o);
        let mark = Some("60000");
        assert_eq!(check(order(Side::Buy, Some("60000.1"), "0.002", mark)), Ok(()));
        assert_eq!(check(order(Side::Buy, Some("60000.15"), "0.002", mark)), Err(RejectReason::BadPrice));
        assert_eq!(check(order(Side::Buy, Some("63000.1"), "0.002", mark)), Err(RejectReason::BadPrice));
        assert_eq!(check(order(Side::Sell, Some("63000.1"), "0.002", mark)), Ok(()), "only the aggressive side");
        assert_eq!(check(order(Side::Sell, Some("56999.9"), "0.002", mark)), Err(RejectReason::BadPrice));
        assert_eq!(check(order(Side::Buy, Some("60000"), "0.001", mark)), Err(RejectReason::MinNotional));
        let closing = Proposed { reduce_only: true, ..order(Side::Buy, Some("60000"), "0.001", mark) };
        assert_eq!(check(closing), Ok(()));
        assert_eq!(check(order(Side::Buy, None, "120.001", mark)), Err(RejectReason::BadQty));
        assert_eq!(check(order(Side::Buy, Some("60000"), "120.001", mark)), Ok(()));
        assert_eq!(check(order(Side::Buy, None, "0.001", mark)), Err(RejectReason::MinNotional));
        assert_eq!(check(order(Side::Buy, None, "0.001", None)), Ok(()), "the venue decides");
    }

    #[test]
    fn spot_filters() {
        let (rules, unread) = parse_rules(SPOT.as_bytes()).unwrap();
        assert!(unread.is_empty());
        let r = &rules["ETHUSDT"];
        assert_eq!((r.can_replace, r.can_amend, r.margin, r.trailing_bps), (true, true, true, Some((10, 2_000))));
        assert_eq!((r.max_orders, r.max_conditional_orders), (Some(200), Some(5)));
        let check = |o| r.check(Product::Spot, &o);
        assert_eq!(check(order(Side::Buy, Some("2000"), "0.0025", None)), Ok(()));
        assert_eq!(check(order(Side::Buy, Some("2000"), "0.0024", None)), Err(RejectReason::MinNotional));
        assert_eq!(check(order(Side::Buy, None, "0.0025", Some("2000"))), Ok(()), "a step of zero is off");
        assert_eq!(check(order(Side::Buy, None, "3500", Some("2000"))), Err(RejectReason::BadQty));
        assert_eq!(check(order(Side::Buy, None, "3400", Some("3000"))), Ok(()), "the maximum is for limit orders");
        assert_eq!(check(order(Side::Sell, Some("300"), "1", Some("2000"))), Err(RejectReason::BadPrice));
        let halted = Rules { status: "HALT".into(), ..r.clone() };
        let o = order(Side::Buy, Some("2000"), "1", None);
        assert_eq!(halted.check(Product::Spot, &o), Err(RejectReason::InstrumentNotTrading));
    }

    proptest::proptest! {
        #[test]
        fn no_list_makes_it_panic(spot in proptest::bool::ANY, at in proptest::prelude::any::<proptest::sample::Index>(), len in 0usize..6, into in "[0-9\"\\\\.,:{}\\[\\]a-zA-Z+\\- é]{0,6}") {
            let mut bytes = if spot { SPOT } else { USDM }.as_bytes().to_vec();
            let start = at.index(bytes.len());
            let end = (start + len).min(bytes.len());
            bytes.splice(start..end, into.bytes());
            if let Ok((rules, _)) = parse_rules(&bytes) {
                for r in rules.values() {
                    let _ = r.check(Product::UsdM, &order(Side::Buy, Some("60000"), "1", Some("1")));
                }
            }
            let _ = crate::instruments::parse_instruments(&String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn real_rows_are_all_read() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/binance_instruments.json");
        let Ok(text) = std::fs::read(&path) else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
            println!("skipped: {} is absent", path.display());
            return;
        };
        let both: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for (part, rows) in [("usdm", 18), ("spot", 3)] {
            let (rules, unread) = parse_rules(both[part].to_string().as_bytes()).unwrap();
            assert_eq!((rules.len(), unread), (rows, vec![]), "{part}");
            for (symbol, r) in &rules {
                assert!(r.price.step.is_positive() && r.lot.step.is_positive(), "{symbol}: {r:?}");
            }
        }
    }
}
