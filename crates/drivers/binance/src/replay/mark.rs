//! Lines that a recorder of ours wrote between the frames: holes, and funding settlements.
//! Never: takes a word of theirs for a frame of the venue's.

use super::Replayer;
use ctos_types::{Decimal, FundingRate, InstrumentId, Market, MarketData, UnixNanos};
use serde::Deserialize;

/// How such a line begins.
pub(super) const PREFIX: &[u8] = b"{\"ctos\":";

#[derive(Deserialize)]
#[serde(tag = "ctos", rename_all = "snake_case")]
enum Mark {
    /// Frames of a stream, or of all, may be missing.
    Gap { stream: Option<String> },
    /// A settlement, as the venue told it later. Times in ns.
    Funding { symbol: String, at: i64, rate: Decimal, mark: Decimal },
    #[serde(other)]
    Other,
}

/// The line of a settlement.
pub(crate) fn funding_line(symbol: &str, at: UnixNanos, funding: &FundingRate) -> String {
    let FundingRate { rate, mark } = funding;
    format!(r#"{{"ctos":"funding","symbol":"{symbol}","at":{},"rate":"{rate}","mark":"{mark}"}}"#, at.0)
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
            Ok(Mark::Gap { stream }) => {
                self.load.frames.other("gap");
                self.on_gap(at, stream.as_deref(), emit);
            }
            Ok(Mark::Funding { symbol, at: moment, rate, mark }) => match self.find(&symbol) {
                Some(instrument) => {
                    self.load.frames.other("funding");
                    let (ts_event, funding) = (UnixNanos(moment), FundingRate { rate, mark });
                    emit(at, &Market { instrument, ts_event, data: MarketData::Funding(&funding) });
                }
                None => *self.load.unknown_symbols.entry(symbol).or_default() += 1,
            },
            Ok(Mark::Other) => self.load.frames.other("unknown"),
            Err(e) => self.load.bad_line(number, format!("a recorder's own line: {e}")),
        }
    }

    fn find(&self, symbol: &str) -> Option<InstrumentId> {
        self.decoder.as_ref()?.symbols().find(symbol.as_bytes()).map(|grid| grid.id)
    }

    /// As for the run that recorded it: a book is unknown where its own stream has a hole; where there is no book,
    /// whatever is missing is told.
    fn on_gap(&mut self, at: UnixNanos, stream: Option<&str>, emit: &mut impl FnMut(UnixNanos, &Market<'_>)) {
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
                    book.sync.reset(at, &mut |out| emit(at, &super::market(instrument, out)));
                    book.last_trade = None;
                }
            } else if std::mem::take(&mut book.whole) {
                emit(at, &Market { instrument, ts_event: at, data: MarketData::Gap });
            }
        }
    }
}
