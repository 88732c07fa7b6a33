//! Lines that a recorder of ours wrote between the frames: holes, funding settlements, and what was traded.
//! Never: takes a word of theirs for a frame of the venue's.

use super::{Replayer, RulesChange};
use crate::instruments::rules_on;
use crate::symbols::{Product, venue_symbol};
use ctos_link::capture::is_end;
use ctos_types::{Decimal, FundingRate, Instrument, InstrumentId, Market, MarketData, Rules, UnixNanos};
use serde::{Deserialize, Serialize};

/// How such a line begins.
pub(super) const PREFIX: &[u8] = b"{\"ctos\":";

#[derive(Deserialize)]
#[serde(tag = "ctos", rename_all = "snake_case")]
enum Mark {
    /// Frames of a stream, or of all, may be missing.
    Gap {
        stream: Option<String>,
        #[serde(default)]
        why: String,
    },
    /// A settlement, as the venue told it later. Times in ns.
    Funding { symbol: String, at: i64, rate: Decimal, mark: Decimal },
    /// What the venue takes for an instrument from here on; `trading` is false while it takes nothing.
    Instrument { symbol: String, trading: bool, definition: Box<Instrument> },
    #[serde(other)]
    Other,
}

#[derive(Serialize)]
struct InstrumentLine<'a> {
    ctos: &'a str,
    symbol: &'a str,
    trading: bool,
    definition: &'a Instrument,
}

/// The line of a settlement.
pub(crate) fn funding_line(symbol: &str, at: UnixNanos, funding: &FundingRate) -> String {
    let FundingRate { rate, mark } = funding;
    format!(r#"{{"ctos":"funding","symbol":"{symbol}","at":{},"rate":"{rate}","mark":"{mark}"}}"#, at.0)
}

/// The line of an instrument: its definition with the rules of now.
pub(crate) fn instrument_line(symbol: &str, ours: &Instrument, rules: &Rules) -> String {
    let Rules { tick, lot, min_qty, max_qty, min_notional, trading } = *rules;
    let definition = Instrument { tick, lot, min_qty, max_qty, min_notional, ..ours.clone() };
    let line = InstrumentLine { ctos: "instrument", symbol, trading, definition: &definition };
    serde_json::to_string(&line).expect("an instrument has no map with other keys than text")
}

/// The instrument that such a line defines, with the venue's symbol and the product; nothing where it is another line.
pub(super) fn definition(line: &[u8]) -> Option<(Product, String, Instrument)> {
    match serde_json::from_slice(line) {
        Ok(Mark::Instrument { symbol, definition, .. }) => {
            checked(&symbol, &definition).ok().map(|product| (product, symbol, *definition))
        }
        _ => None,
    }
}

/// Whether it is what it says it is: the arithmetic of a run rests on that.
fn checked(symbol: &str, definition: &Instrument) -> Result<Product, String> {
    definition.validate().map_err(|e| e.to_string())?;
    match venue_symbol(definition) {
        Some((product, name)) if name == symbol && definition.symbol.split().0 == "binance" => Ok(product),
        _ => Err(format!("the definition of {symbol} is of {}", definition.symbol)),
    }
}

impl Replayer {
    pub(super) fn on_mark(
        &mut self,
        at: UnixNanos,
        number: u64,
        line: &[u8],
        emit: &mut impl FnMut(UnixNanos, &Market<'_>),
    ) {
        match serde_json::from_slice(line) {
            Ok(Mark::Gap { stream, why }) => {
                self.load.frames.other("gap");
                self.on_gap(at, stream.as_deref(), is_end(&why), emit);
            }
            Ok(Mark::Funding { symbol, at: moment, rate, mark }) => match self.find(&symbol) {
                Some(instrument) => {
                    self.load.frames.other("funding");
                    let (ts_event, funding) = (UnixNanos(moment), FundingRate { rate, mark });
                    emit(at, &Market { instrument, ts_event, data: MarketData::Funding(&funding) });
                }
                None => *self.load.unknown_symbols.entry(symbol).or_default() += 1,
            },
            Ok(Mark::Instrument { symbol, trading, definition }) => {
                self.on_instrument(at, number, symbol, trading, &definition);
            }
            Ok(Mark::Other) => self.load.frames.other("unknown"),
            Err(e) => self.load.bad_line(number, format!("a recorder's own line: {e}")),
        }
    }

    /// What the venue takes may have changed since the run's own definition, or the line before.
    fn on_instrument(&mut self, at: UnixNanos, number: u64, symbol: String, trading: bool, definition: &Instrument) {
        let product = match checked(&symbol, definition) {
            Ok(product) => product,
            Err(why) => return self.load.bad_line(number, why),
        };
        if self.decoder.is_none() {
            self.start(product);
        }
        let Some(id) = self.find(&symbol).filter(|_| self.product() == Some(product)) else {
            return *self.load.unknown_symbols.entry(symbol).or_default() += 1;
        };
        self.load.frames.other("instrument");
        let Some(ours) = self.instruments.iter().find(|i| i.id == id) else { return };
        let now = match rules_on(ours, definition) {
            Some(rules) => Rules { trading, ..rules },
            None => Rules { trading: false, ..ours.rules() },
        };
        let before =
            self.load.rules.iter().rev().find(|c| c.instrument == id).map_or_else(|| ours.rules(), |c| c.rules);
        if now != before {
            self.load.rules.push(RulesChange { at, instrument: id, rules: now });
        }
    }

    fn find(&self, symbol: &str) -> Option<InstrumentId> {
        self.decoder.as_ref()?.symbols().find(symbol.as_bytes()).map(|grid| grid.id)
    }

    /// As for the run that recorded it: a book is unknown where its own stream has a hole; where there is no book,
    /// whatever is missing is told.
    fn on_gap(
        &mut self,
        at: UnixNanos,
        stream: Option<&str>,
        is_end: bool,
        emit: &mut impl FnMut(UnixNanos, &Market<'_>),
    ) {
        let (owner, of_book) = match stream {
            Some(stream) => {
                let Some((symbol, what)) = stream.split_once('@') else { return };
                let Some(owner) = self.find(&symbol.to_uppercase()) else { return };
                (Some(owner), what.starts_with("depth"))
            }
            None => (None, true),
        };
        for book in self.books.iter_mut().filter(|b| owner.is_none_or(|o| b.instrument == o)) {
            let instrument = book.instrument;
            let counts = book.sync.counts();
            let has_book = counts.snapshots_applied > 0 || book.sync.waiting() > 0;
            if has_book {
                if of_book {
                    // That a recording is over is told like any hole, and is no fault of its chain.
                    book.ends += u64::from(is_end && book.sync.is_valid());
                    book.sync.reset(at, &mut |out| emit(at, &super::market(instrument, out)));
                    book.last_trade = None;
                }
            } else if std::mem::take(&mut book.whole) {
                emit(at, &Market { instrument, ts_event: at, data: MarketData::Gap });
            }
        }
    }
}
