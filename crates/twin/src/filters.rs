//! Whether an order keeps the symbol's rules, and what each product says when it does not. Never: funds, positions.

use crate::error::ApiError;
use crate::symbols::{Filters, Range, Symbol};
use ctos_types::{Decimal, Rounding, Side};

/// What is looked at of an order. Prices in quote currency, sizes in base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub side: Side,
    /// Limit price.
    pub price: Option<Decimal>,
    /// Trigger price.
    pub stop: Option<Decimal>,
    pub qty: Decimal,
    /// Trades at once at any price.
    pub market: bool,
    /// What bands and market notionals are measured by.
    pub reference: Decimal,
    pub iceberg: Decimal,
    pub trailing: Option<i64>,
    /// Only shrinks a position: no smallest value.
    pub reduce: bool,
}

fn off(value: Decimal, step: Option<Decimal>) -> bool {
    step.is_some_and(|s| value.atoms() % s.atoms() != 0)
}

fn outside(value: Decimal, r: &Range) -> bool {
    r.min.is_some_and(|m| value < m) || r.max.is_some_and(|m| value > m) || off(value, r.step)
}

fn times(a: Decimal, b: Decimal) -> Decimal {
    a.mul(b, Rounding::Down).unwrap_or(Decimal::MAX)
}

/// Spot names the filter.
pub(crate) fn check_spot(f: &Filters, a: &Asked) -> Result<(), ApiError> {
    let fail = |name: &str| Err(ApiError::filter(name));
    for price in [a.price, a.stop].into_iter().flatten() {
        let low = !price.is_positive() || f.min_price.is_some_and(|m| price < m);
        if low || f.max_price.is_some_and(|m| price > m) || off(price, f.tick) {
            return fail("PRICE_FILTER");
        }
    }
    if let (Some(price), Some([buy_up, buy_down, sell_up, sell_down])) = (a.price, f.bands)
        && a.reference.is_positive()
    {
        let (up, down) = if a.side == Side::Buy { (buy_up, buy_down) } else { (sell_up, sell_down) };
        if price > times(a.reference, up) || price < times(a.reference, down) {
            return fail("PERCENT_PRICE_BY_SIDE");
        }
    }
    if !a.qty.is_positive() || outside(a.qty, &f.lot) || (a.iceberg.is_positive() && outside(a.iceberg, &f.lot)) {
        return fail("LOT_SIZE");
    }
    if a.market && outside(a.qty, &f.market_lot) {
        return fail("MARKET_LOT_SIZE");
    }
    let value = times(a.price.unwrap_or(a.reference), a.qty);
    let counted = !a.market || f.notional_on_market;
    if counted && f.min_notional.is_some_and(|m| value < m) {
        return fail("NOTIONAL");
    }
    if !a.market && f.max_notional.is_some_and(|m| value > m) {
        return fail("NOTIONAL");
    }
    if a.iceberg.is_positive()
        && let Some(limit) = f.iceberg_parts
        && a.qty > times(a.iceberg, Decimal::from_int(limit))
    {
        return fail("ICEBERG_PARTS");
    }
    if let (Some(delta), Some([above_low, above_high, below_low, below_high])) = (a.trailing, f.trailing) {
        let low = above_low.min(below_low);
        if delta < low || delta > above_high.max(below_high) {
            return fail("TRAILING_DELTA");
        }
    }
    Ok(())
}

/// USD-M has a code for each way to be wrong.
pub(crate) fn check_usdm(s: &Symbol, a: &Asked) -> Result<(), ApiError> {
    let f = &s.filters;
    let e = |code, msg: &str| Err(ApiError::new(code, msg));
    for price in [a.price, a.stop].into_iter().flatten() {
        check_usdm_price(s, price)?;
    }
    if !a.qty.is_positive() {
        return e(-4003, "Quantity less than or equal to zero.");
    }
    let qty_places = s.wire.1;
    if a.qty.round(qty_places, Rounding::Down) != a.qty {
        return e(-1111, "Precision is over the maximum defined for this asset.");
    }
    let ranges: &[&Range] = if a.market { &[&f.lot, &f.market_lot] } else { &[&f.lot] };
    for r in ranges {
        if r.min.is_some_and(|m| a.qty < m) {
            return e(-4004, "Quantity less than min quantity.");
        }
        if r.max.is_some_and(|m| a.qty > m) {
            return e(-4005, "Quantity greater than max quantity.");
        }
        if off(a.qty, r.step) {
            return e(-4023, "Qty not increased by step size.");
        }
    }
    if let (Some(price), Some([up, _, _, down])) = (a.price, f.bands)
        && a.reference.is_positive()
    {
        let (high, low) = (times(a.reference, up), times(a.reference, down));
        let text = |d: Decimal| crate::number::fixed(d, s.wire.0);
        if a.side == Side::Buy && price > high {
            return Err(ApiError::new(-4016, format!("Limit price can't be higher than {}.", text(high))));
        }
        if a.side == Side::Sell && price < low {
            return Err(ApiError::new(-4024, format!("Limit price can't be lower than {}.", text(low))));
        }
    }
    let value = times(a.price.unwrap_or(a.reference), a.qty);
    if let Some(least) = f.min_notional.filter(|m| !a.reduce && value < *m) {
        let msg = format!("Order's notional must be no smaller than {least} (unless you choose reduce only).");
        return Err(ApiError::new(-4164, msg));
    }
    Ok(())
}

pub(crate) fn check_usdm_price(s: &Symbol, price: Decimal) -> Result<(), ApiError> {
    let f = &s.filters;
    let e = |code, msg: &str| Err(ApiError::new(code, msg));
    if !price.is_positive() {
        return e(-4001, "Price less than 0.");
    }
    if price.round(s.wire.0, Rounding::Down) != price {
        return e(-1111, "Precision is over the maximum defined for this asset.");
    }
    if f.max_price.is_some_and(|m| price > m) {
        return e(-4002, "Price greater than max price.");
    }
    if f.min_price.is_some_and(|m| price < m) {
        return e(-4013, "Price less than min price.");
    }
    if off(price, f.tick) {
        return e(-4014, "Price not increased by tick size.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Product;
    use crate::symbols::{Symbols, synthetic_config};
    use ctos_venue::{MarketSource, SyntheticMarket};

    fn symbols(product: Product) -> Symbols {
        let market = SyntheticMarket::new(synthetic_config(product, 1)).unwrap();
        Symbols::new(product, market.instruments()).unwrap()
    }

    fn asked(price: &str, qty: &str) -> Asked {
        let d = |t: &str| t.parse::<Decimal>().unwrap();
        Asked {
            side: Side::Buy,
            price: (price != "market").then(|| d(price)),
            stop: None,
            qty: d(qty),
            market: price == "market",
            reference: d("60000"),
            iceberg: Decimal::ZERO,
            trailing: None,
            reduce: false,
        }
    }

    #[test]
    fn spot_filters_by_name() {
        let symbols = symbols(Product::Spot);
        let f = &symbols.find("BTCUSDT").unwrap().filters;
        for (price, qty, want) in [
            ("60000.00", "0.001", ""),
            ("60000.001", "0.001", "PRICE_FILTER"),
            ("0", "0.001", "PRICE_FILTER"),
            ("400000", "0.001", "PERCENT_PRICE_BY_SIDE"),
            ("60000", "0.000001", "LOT_SIZE"),
            ("60000", "0", "LOT_SIZE"),
            ("60000", "0.00005", "NOTIONAL"),
            ("60000", "200", "NOTIONAL"),
            ("market", "100", "MARKET_LOT_SIZE"),
            ("market", "0.00005", "NOTIONAL"),
            ("market", "0.001", ""),
        ] {
            let got = check_spot(f, &asked(price, qty)).err().map_or(String::new(), |e| e.msg);
            let want = if want.is_empty() { String::new() } else { format!("Filter failure: {want}") };
            assert_eq!(got, want, "{price} {qty}");
        }
    }

    #[test]
    fn usdm_filters_by_code() {
        let symbols = symbols(Product::UsdM);
        let s = symbols.find("BTCUSDT").unwrap();
        for (price, qty, want) in [
            ("60000.1", "0.002", 0),
            ("60000.15", "0.002", -4014),
            ("60000.151", "0.002", -1111),
            ("0", "0.002", -4001),
            ("100", "0.002", -4013),
            ("5000000", "0.002", -4002),
            ("63001", "0.002", -4016),
            ("60000", "0.0021", -1111),
            ("60000", "0", -4003),
            ("60000", "2000", -4005),
            ("market", "121", -4005),
            ("60000", "0.001", -4164),
        ] {
            let got = check_usdm(s, &asked(price, qty)).err().map_or(0, |e| e.code);
            assert_eq!(got, want, "{price} {qty}");
        }
        assert!(check_usdm(s, &Asked { reduce: true, ..asked("60000", "0.001") }).is_ok());
        assert_eq!(check_usdm(s, &Asked { side: Side::Sell, ..asked("56999", "0.002") }).unwrap_err().code, -4024);
    }
}
