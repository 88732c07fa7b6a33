//! Definitions of a catalog's symbols: from the catalog, from the venue's built-in list, or inferred from the data.
//! Never: presents an inferred rule as the venue's.

use crate::error::CatalogError;
use crate::layout::{Catalog, Series};
use crate::number::Number;
use crate::part::PartReader;
use crate::record::Kind;
use crate::schema;
use ctos_driver_binance::instruments::builtin_all;
use ctos_types::{
    Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Price, Qty, Rounding, Settlement, Symbol,
};

/// The definition that the catalog or a built-in list has.
pub fn known(catalog: &Catalog, symbol: &Symbol) -> Result<Option<Instrument>, CatalogError> {
    let series = Series { symbol: symbol.clone(), kind: Kind::Instruments };
    if let Some(day) = catalog.days(&series)?.last() {
        let path = catalog.part(&series, *day);
        let mut reader = PartReader::open(&path)?;
        let mut newest = None;
        while let Some(table) = reader.next_table()? {
            if let Some(row) = table.len().checked_sub(1) {
                newest = table.cell_text(row, 7);
            }
        }
        if let Some(text) = newest {
            let found = serde_json::from_str(&text).map_err(|e| {
                let hint = "import the definition again";
                CatalogError::new(format!("{}: not an instrument ({e})", path.display()), hint)
            })?;
            return Ok(Some(found));
        }
    }
    Ok(builtin_all().iter().find(|i| i.symbol == *symbol).cloned())
}

/// Most places of an inferred instrument; together at most 18.
const MAX_PRICE_PLACES: u8 = 10;
const MAX_QTY_PLACES: u8 = 8;

/// A definition that holds all data of these series, for a symbol that nobody defines: the tick is the finest place of a
/// price, the lot that of a size, or finer where a lot would be worth more than 0.01. Fees and margins are typical
/// ones: 0.1 % for spot, else 0.02 % and 0.05 %, 5 % and 2.5 %.
pub fn infer(catalog: &Catalog, symbol: &Symbol, kinds: &[Kind]) -> Result<Instrument, CatalogError> {
    let bad = |why: &str| {
        let hint = "symbols are written like binance:BTC-USDT or okx:BTC-USDT-PERP; import the data under such a name";
        CatalogError::new(format!("{symbol}: {why}"), hint)
    };
    let mut parts = symbol.split().1.split('-').map(Currency::new);
    let (Some(Ok(base)), Some(Ok(quote))) = (parts.next(), parts.next()) else {
        return Err(bad("base and quote currency are not told by the symbol"));
    };
    let (mut price_places, mut qty_places, mut highest) = (0, 0, Decimal::ONE);
    for kind in kinds {
        let series = Series { symbol: symbol.clone(), kind: *kind };
        let (prices, sizes) = schema::grid_columns(*kind);
        for day in catalog.days(&series)? {
            let reader = PartReader::open(&catalog.part(&series, day))?;
            let scales = &reader.info().scales;
            for column in prices {
                price_places = price_places.max(scales[*column]);
                let largest = reader.largest(*column).and_then(|n| Number::new(n, scales[*column]).ok());
                highest = highest.max(largest.map_or(Decimal::ZERO, Number::to_decimal));
            }
            qty_places = sizes.iter().map(|c| scales[*c]).fold(qty_places, u8::max);
        }
    }
    let price_decimals = price_places.min(MAX_PRICE_PLACES);
    let qty_decimals = qty_places.max(useful_places(highest)).min(MAX_QTY_PLACES);
    let perp = symbol.as_str().ends_with("-PERP");
    let rate = |ten_thousandths: i64| Decimal::new(ten_thousandths, 4);
    let instrument = Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: symbol.clone(),
        kind: if perp { InstrumentKind::Perpetual(Settlement::Linear) } else { InstrumentKind::Spot },
        base,
        quote,
        price_decimals,
        qty_decimals,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(10i64.pow(u32::from(qty_decimals) + 9)),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: if perp { rate(500) } else { Decimal::ZERO },
        maintenance_margin: if perp { rate(250) } else { Decimal::ZERO },
        maker_fee: rate(if perp { 2 } else { 10 }),
        taker_fee: rate(if perp { 5 } else { 10 }),
    };
    instrument.validate().map_err(|e| bad(&e.why))?;
    Ok(instrument)
}

/// Places at which a lot at this price is worth at most 0.01.
fn useful_places(px: Decimal) -> u8 {
    let cent = Decimal::new(1, 2);
    (0..MAX_QTY_PLACES)
        .find(|p| px.mul(Decimal::new(1, *p), Rounding::Up).is_ok_and(|worth| worth <= cent))
        .unwrap_or(MAX_QTY_PLACES)
}
