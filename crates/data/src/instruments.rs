//! Definitions of a catalog's symbols: from the catalog, from the venue's built-in list, or inferred from the data.
//! Never: presents an inferred rule as the venue's.

use crate::error::CatalogError;
use crate::layout::{Catalog, Series};
use crate::number::Number;
use crate::part::PartReader;
use crate::record::Kind;
use crate::schema;
use ctos_driver_binance::instruments::builtin_all;
use ctos_storage::bars::assumed_instrument;
use ctos_types::{Decimal, Instrument, InstrumentKind, Settlement, Symbol};

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

/// A definition that holds all data of these series, for a symbol that nobody defines, as [`assumed_instrument`] makes it.
pub fn infer(catalog: &Catalog, symbol: &Symbol, kinds: &[Kind]) -> Result<Instrument, CatalogError> {
    let bad = |why: &str| {
        let hint = "symbols are written like binance:BTC-USDT or okx:BTC-USDT-PERP; import the data under such a name";
        CatalogError::new(format!("{symbol}: {why}"), hint)
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
    let perp = symbol.as_str().ends_with("-PERP");
    let kind = if perp { InstrumentKind::Perpetual(Settlement::Linear) } else { InstrumentKind::Spot };
    assumed_instrument(symbol.as_str(), kind, price_places, qty_places, highest).map_err(|e| bad(&e.why))
}
