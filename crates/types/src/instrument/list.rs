//! The instruments of a run, and rules that change while it goes on.
//! Never: gives an instrument another id.

use super::{BadInstrument, Instrument, Rules};
use crate::ids::InstrumentId;
use serde::{Deserialize, Serialize};

/// All instruments of a run, by id. Ids are positions in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instruments(Vec<Instrument>);

impl Instruments {
    /// Checks every definition and gives it its id.
    pub fn new(mut list: Vec<Instrument>) -> Result<Self, BadInstrument> {
        for (i, instrument) in list.iter_mut().enumerate() {
            instrument.id = InstrumentId(i as u32);
            instrument.validate()?;
        }
        for i in &list {
            if list.iter().any(|o| o.symbol == i.symbol && o.id != i.id) {
                return Err(BadInstrument { symbol: i.symbol.to_string(), why: "listed twice".into() });
            }
        }
        Ok(Instruments(list))
    }
    pub fn get(&self, id: InstrumentId) -> &Instrument {
        &self.0[id.index()]
    }
    /// Takes over rules that the venue changed. Rules that make no valid definition change nothing.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn set_rules(&mut self, id: InstrumentId, rules: &Rules) -> Result<(), BadInstrument> {
        let Rules { tick, lot, min_qty, max_qty, min_notional, trading: _ } = *rules;
        let place = &mut self.0[id.index()];
        let changed = Instrument { tick, lot, min_qty, max_qty, min_notional, ..place.clone() };
        changed.validate()?;
        *place = changed;
        Ok(())
    }
    /// By unified symbol, with or without the venue part; `None` where the short form is ambiguous.
    pub fn find(&self, symbol: &str) -> Option<&Instrument> {
        let exact = self.0.iter().find(|i| i.symbol.as_str() == symbol);
        exact.or_else(|| {
            let mut named = self.0.iter().filter(|i| i.symbol.is_named(symbol));
            named.next().filter(|_| named.next().is_none())
        })
    }
    pub fn iter(&self) -> std::slice::Iter<'_, Instrument> {
        self.0.iter()
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
