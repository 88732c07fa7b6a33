//! What the instruments of a recording are: as a setting says, as the run knew them that recorded it, or as they are
//! built in; in this order.
//! Never: mixes two definitions of one instrument, or hides which one is used.

use super::Found;
use crate::UserError;
use crate::config::Settings;
use ctos_driver_binance::Product;
use ctos_driver_binance::instruments::{builtin, builtin_all, parse_instruments};
use ctos_driver_binance::replay::RulesChange;
use ctos_driver_binance::symbols::venue_symbol;
use ctos_types::{Instrument, InstrumentId, Instruments};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Where a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Setting,
    Recording,
    BuiltIn,
}

impl Origin {
    fn as_str(self) -> &'static str {
        match self {
            Origin::Setting => "setting",
            Origin::Recording => "recording",
            Origin::BuiltIn => "built in",
        }
    }
}

/// The instruments of a run on a recording.
#[derive(Debug)]
pub(super) struct Chosen {
    pub instruments: Instruments,
    /// By instrument.
    origins: Vec<Origin>,
    /// Digest of the file that the setting names.
    given: Option<[u8; 32]>,
}

/// Definitions that a setting names.
#[derive(Debug, Default)]
struct Given {
    list: Vec<Instrument>,
    skipped: Vec<(String, String)>,
    digest: Option<[u8; 32]>,
}

impl Given {
    fn read(path: Option<&Path>) -> Result<Given, UserError> {
        let Some(path) = path else { return Ok(Given::default()) };
        let hint = "instruments: names a reply of exchangeInfo, or a file with one each under \"spot\" and \"usdm\"";
        let failed = |e: &dyn fmt::Display| UserError::new(format!("cannot read {}: {e}", path.display()), hint);
        let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
        let read = parse_instruments(&text).map_err(|e| failed(&e))?;
        let digest = Some(Sha256::digest(&text).into());
        Ok(Given { list: read.instruments, skipped: read.skipped, digest })
    }

    fn find(&self, product: Product, symbol: &str) -> Option<Instrument> {
        let named = |i: &&Instrument| venue_symbol(i).is_some_and(|(p, s)| p == product && s == symbol);
        self.list.iter().find(named).cloned()
    }
}

/// Definitions of the instruments in these captures, or of those of them that were chosen.
pub(super) fn choose(path: &Path, found: &[Found], settings: &Settings) -> Result<Chosen, UserError> {
    let given = Given::read(settings.instruments.as_deref())?;
    let names: BTreeSet<(Product, &str)> =
        found.iter().flat_map(|f| f.seen.symbols.keys().map(|symbol| (f.product, symbol.as_str()))).collect();
    let mut list: Vec<(Instrument, Origin)> = Vec::new();
    for (product, symbol) in &names {
        let known = given.find(*product, symbol).map(|i| (i, Origin::Setting));
        let known = known.or_else(|| recorded(found, *product, symbol).map(|i| (i, Origin::Recording)));
        match known.or_else(|| builtin(*product, symbol).map(|i| (i.clone(), Origin::BuiltIn))) {
            Some(defined) => list.push(defined),
            None => {
                let why = given.skipped.iter().find(|(name, _)| name == symbol).map_or("", |(_, why)| why);
                tracing::warn!(symbol, why, "no definition of this instrument: its frames are left out");
            }
        }
    }
    if list.is_empty() {
        let found: Vec<&str> = names.iter().map(|(_, symbol)| *symbol).collect();
        let known: Vec<&str> = builtin_all().iter().map(|i| i.symbol.as_str()).collect();
        return Err(UserError::new(
            format!("{} is of {}, which is not defined here", path.display(), found.join(", ")),
            format!("name a reply of exchangeInfo (instruments: FILE); built in are {}", known.join(", ")),
        ));
    }
    if !settings.symbols.is_empty() {
        let all: Vec<Instrument> = list.iter().map(|(i, _)| i.clone()).collect();
        let all = Instruments::new(all).map_err(|e| UserError::new(e.to_string(), "report this as a bug"))?;
        let ids = settings.symbols.iter().map(|symbol| crate::world::find(&all, symbol));
        let ids: Vec<InstrumentId> = ids.collect::<Result<_, _>>()?;
        list = ids.into_iter().map(|id| list[id.index()].clone()).collect();
    }
    let (list, origins): (Vec<Instrument>, Vec<Origin>) = list.into_iter().unzip();
    let instruments = Instruments::new(list).map_err(|e| UserError::new(e.to_string(), "name each symbol once"))?;
    Ok(Chosen { instruments, origins, given: given.digest })
}

/// As the first of the captures has it, on decimal places that all of them fit on.
fn recorded(found: &[Found], product: Product, symbol: &str) -> Option<Instrument> {
    let mut in_order: Vec<&Found> = found.iter().filter(|f| f.product == product).collect();
    in_order.sort_by_key(|f| f.first);
    let mut all = in_order.iter().filter_map(|f| f.seen.definitions.get(symbol));
    let first = all.next()?;
    let wide = all.fold((first.price_decimals, first.qty_decimals), |(price, qty), later| {
        (price.max(later.price_decimals), qty.max(later.qty_decimals))
    });
    Some(first.on_places(wide.0, wide.1).unwrap_or_else(|| first.clone()))
}

impl Chosen {
    /// Digest of the definitions that a setting brings, where it brings any.
    pub fn given(&self) -> Option<[u8; 32]> {
        self.given
    }

    /// Whether changes of the rules that the recording tells are those of the definition that is used.
    pub fn follows(&self, instrument: InstrumentId) -> bool {
        self.origins[instrument.index()] == Origin::Recording
    }

    /// For the summary: which instruments, and by whose word.
    pub fn rows(&self) -> Vec<Value> {
        let row = |(i, origin): (&Instrument, &Origin)| {
            json!({
                "symbol": i.symbol.as_str(), "defined_by": origin.as_str(), "tick": i.price_text(i.tick),
                "lot": i.qty_text(i.lot), "min_notional": i.min_notional.to_string(),
            })
        };
        self.instruments.iter().zip(&self.origins).map(row).collect()
    }

    /// What people should know: whose word counts where it is not the built-in one.
    pub fn notices(&self) -> Vec<String> {
        let text = |wanted: Origin, by: &str| {
            let of = self.instruments.iter().zip(&self.origins).filter(|(_, origin)| **origin == wanted);
            let list: Vec<String> = of
                .map(|(i, _)| format!("{} (tick {}, lot {})", i.symbol, i.price_text(i.tick), i.qty_text(i.lot)))
                .collect();
            (!list.is_empty()).then(|| format!("defined by {by}: {}", list.join(", ")))
        };
        let setting = text(Origin::Setting, "the setting `instruments`");
        setting.into_iter().chain(text(Origin::Recording, "the recording")).collect()
    }

    pub fn change_notice(&self, change: &RulesChange) -> String {
        let i = self.instruments.get(change.instrument);
        let (symbol, at, rules) = (&i.symbol, change.at, &change.rules);
        let (tick, lot, least) = (i.price_text(rules.tick), i.qty_text(rules.lot), rules.min_notional);
        match rules.trading {
            true => format!("{symbol}: from {at} on ticks are {tick}, lots {lot}, orders worth {least} at least"),
            false => format!("{symbol}: from {at} on the venue takes no orders"),
        }
    }
}
