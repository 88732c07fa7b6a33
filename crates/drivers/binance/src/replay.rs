//! Turns the lines of a capture into market events in the order received, with books exact or declared unknown.
//! Never: opens a file, or hides a line: what is not delivered is counted and named in the report.

mod mark;
mod report;

pub(crate) use mark::{funding_line, instrument_line};
pub use report::{CaptureLoad, FrameCounts, REPORTED_LINES, ReportedLine, RulesChange, SymbolReport};

use crate::book_sync::{BookSync, SyncOut};
use crate::decode::{AggTrade, DecodeError, Decoder, Frame, Levels, TradeTick, sniff};
use crate::symbols::{Product, SymbolMap};
use ctos_types::{Instrument, InstrumentId, Market, MarketData, Trade, UnixNanos};
use std::collections::BTreeMap;

/// One line of a capture, or a place where there is none to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceLine<'a> {
    /// `number` counts from 1; `ts_recv` is the recorder's clock when the frame arrived.
    Frame { number: u64, ts_recv: UnixNanos, frame: &'a [u8] },
    /// A line that the file's reader could not use.
    Bad { number: u64 },
}

/// Where lines come from: a file's reader, a test's list.
pub trait LineSource {
    /// Why reading can fail as a whole; a bad line is no such reason.
    type Error;

    /// The next line, `None` at the end.
    fn next_line(&mut self) -> Result<Option<SourceLine<'_>>, Self::Error>;

    /// Why the bad line that `next_line` just told of could not be used.
    fn why_bad(&self) -> String {
        "unreadable".into()
    }
}

/// What the first frames of a capture say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// `None` where no frame told.
    pub product: Option<Product>,
    /// Venue symbols (`BTCUSDT`) with the number of frames seen of each.
    pub symbols: BTreeMap<String, u64>,
    /// Instruments as a recorder of ours knew them when these lines were recorded, by venue symbol.
    pub definitions: BTreeMap<String, Instrument>,
}

/// Looks at up to `max_lines` lines, so that the caller can find the instruments of a capture before loading it.
pub fn probe<S: LineSource>(source: &mut S, max_lines: u64) -> Result<Probe, S::Error> {
    let mut probe = Probe::default();
    for _ in 0..max_lines {
        let Some(line) = source.next_line()? else { break };
        let SourceLine::Frame { frame, .. } = line else { continue };
        if frame.starts_with(mark::PREFIX) {
            if let Some((product, symbol, definition)) = mark::definition(frame) {
                probe.product = probe.product.or(Some(product));
                probe.symbols.entry(symbol.clone()).or_default();
                probe.definitions.entry(symbol).or_insert(definition);
            }
            continue;
        }
        let Some(seen) = sniff(frame) else { continue };
        probe.product = probe.product.or(seen.product);
        if let Some(symbol) = seen.symbol {
            *probe.symbols.entry(symbol).or_default() += 1;
        }
    }
    Ok(probe)
}

/// Runs a whole capture through a [`Replayer`] and calls `emit` for every event: receive time (never going back) and
/// what happened. Fails only where the source does.
pub fn load_capture<S: LineSource>(
    source: &mut S,
    instruments: &[Instrument],
    product: Option<Product>,
    mut emit: impl FnMut(UnixNanos, &Market<'_>),
) -> Result<CaptureLoad, S::Error> {
    let mut replayer = Replayer::new(instruments, product);
    loop {
        match source.next_line()? {
            Some(SourceLine::Frame { number, ts_recv, frame }) => replayer.on_line(number, ts_recv, frame, &mut emit),
            Some(SourceLine::Bad { number }) => {
                let why = source.why_bad();
                replayer.on_bad_line(number, why);
            }
            None => return Ok(replayer.finish()),
        }
    }
}

/// The machine behind [`load_capture`], for callers that drive the lines themselves: one line in, its events out.
///
/// `ts_event` of an event is the venue's engine time where the frame tells it, else its time of sending, else
/// [`UnixNanos::MIN`] for "unknown" (spot book tickers). Buffered diffs are delivered with the line whose snapshot
/// made them usable.
#[derive(Debug)]
pub struct Replayer {
    instruments: Vec<Instrument>,
    told: Option<Product>,
    decoder: Option<Decoder>,
    levels: Levels,
    books: Vec<BookState>,
    /// Where in `books` an instrument is, by its id.
    places: Vec<Option<usize>>,
    seen: Seen,
    last_recv: UnixNanos,
    load: CaptureLoad,
}

/// Which instruments have had frames: decides whose a nameless snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    None,
    One(InstrumentId),
    Several,
}

/// What is tracked of one instrument.
#[derive(Debug)]
struct BookState {
    instrument: InstrumentId,
    symbol: String,
    sync: BookSync,
    frames: u64,
    /// Of data without a book: something was delivered since the last gap.
    whole: bool,
    /// The last trade id delivered: what is not above it came before, alone or inside an aggregate.
    last_trade: Option<u64>,
    /// How often a recording was over while the book was known.
    ends: u64,
}

impl Replayer {
    /// `instruments` are those of the run with the ids they have there, spot and futures alike; which product the
    /// capture is of shows in its frames, unless `product` says it.
    pub fn new(instruments: &[Instrument], product: Option<Product>) -> Replayer {
        let mut replayer = Replayer {
            instruments: instruments.to_vec(),
            told: product,
            decoder: None,
            levels: Levels::default(),
            books: Vec::new(),
            places: Vec::new(),
            seen: Seen::None,
            last_recv: UnixNanos::MIN,
            load: CaptureLoad::default(),
        };
        if let Some(product) = product {
            replayer.start(product);
        }
        replayer
    }

    /// A line that its reader could not use.
    pub fn on_bad_line(&mut self, number: u64, why: String) {
        self.load.lines += 1;
        self.load.bad_line(number, why);
    }

    /// One line; `emit` is called for each event that it makes.
    pub fn on_line(
        &mut self,
        number: u64,
        ts_recv: UnixNanos,
        frame: &[u8],
        emit: &mut impl FnMut(UnixNanos, &Market<'_>),
    ) {
        self.load.lines += 1;
        let at = self.in_order(ts_recv);
        if frame.starts_with(mark::PREFIX) {
            return self.on_mark(at, number, frame, emit);
        }
        if self.decoder.is_none() {
            match sniff(frame).and_then(|s| s.product) {
                Some(product) => self.start(product),
                None => return self.before_the_first(number, frame),
            }
        }
        let Some(decoder) = &self.decoder else { return };
        let decoded = decoder.decode(frame, self.snapshot_of(), &mut self.levels);
        match decoded {
            Ok(frame) if self.is_foreign(&frame) => {
                let of = decoder.symbols().product();
                self.load.bad_line(number, format!("a frame of another market in a capture of {of}"));
            }
            Ok(frame) => self.on_frame(&frame, &mut |m| emit(at, &m)),
            Err(DecodeError::UnknownSymbol(symbol)) => {
                *self.load.unknown_symbols.entry(symbol).or_default() += 1;
            }
            Err(e) => self.load.bad_line(number, e.to_string()),
        }
    }

    /// The report. Diffs that still wait for a snapshot count as dropped.
    pub fn finish(mut self) -> CaptureLoad {
        self.load.product = self.decoder.as_ref().map(|d| d.symbols().product());
        for book in self.books.into_iter().filter(|b| b.frames > 0) {
            let mut counts = book.sync.counts();
            counts.diffs_dropped += book.sync.waiting() as u64;
            counts.gaps -= book.ends;
            let valid = book.sync.is_valid();
            self.load.symbols.push(SymbolReport { symbol: book.symbol, instrument: book.instrument, counts, valid });
        }
        self.load
    }

    fn start(&mut self, product: Product) {
        let map = SymbolMap::new(product, &self.instruments);
        let state = |(symbol, grid): (&str, &crate::symbols::Grid)| BookState {
            instrument: grid.id,
            symbol: symbol.to_string(),
            sync: BookSync::new(product),
            frames: 0,
            whole: false,
            last_trade: None,
            ends: 0,
        };
        self.books = map.iter().map(state).collect();
        let ids = self.books.iter().map(|b| b.instrument.index());
        self.places = vec![None; ids.max().map_or(0, |last| last + 1)];
        for (place, book) in self.books.iter().enumerate() {
            self.places[book.instrument.index()] = Some(place);
        }
        self.decoder = Some(Decoder::new(map));
    }

    /// Kernel time never goes back: a line stamped earlier than the one before it is delivered at that one's time.
    fn in_order(&mut self, ts_recv: UnixNanos) -> UnixNanos {
        if ts_recv < self.last_recv {
            self.load.out_of_order += 1;
        }
        self.last_recv = self.last_recv.max(ts_recv);
        self.last_recv
    }

    /// Replies and the like may come before any frame that tells the product.
    fn before_the_first(&mut self, number: u64, frame: &[u8]) {
        let nothing = Decoder::new(SymbolMap::new(Product::Spot, []));
        match nothing.decode(frame, None, &mut self.levels) {
            Ok(Frame::Other(kind)) => self.load.frames.other(kind.as_str()),
            Ok(_) => self.load.bad_line(number, "of no product".into()),
            Err(e) => self.load.bad_line(number, e.to_string()),
        }
    }

    /// A snapshot does not name its symbol: it is the one that has been seen, where there is only one.
    fn snapshot_of(&self) -> Option<InstrumentId> {
        match (&self.books[..], self.seen) {
            ([only], _) => Some(only.instrument),
            (_, Seen::One(instrument)) => Some(instrument),
            (_, Seen::None | Seen::Several) => None,
        }
    }

    fn is_foreign(&self, frame: &Frame) -> bool {
        self.told.is_none() && frame.product().is_some_and(|p| Some(p) != self.product())
    }

    fn product(&self) -> Option<Product> {
        self.decoder.as_ref().map(|d| d.symbols().product())
    }

    fn book(&mut self, instrument: InstrumentId) -> Option<&mut BookState> {
        let place = (*self.places.get(instrument.index())?)?;
        self.seen = match self.seen {
            Seen::None => Seen::One(instrument),
            Seen::One(same) if same == instrument => self.seen,
            Seen::One(_) | Seen::Several => Seen::Several,
        };
        let book = self.books.get_mut(place)?;
        book.frames += 1;
        Some(book)
    }

    fn on_frame(&mut self, frame: &Frame, emit: &mut impl FnMut(Market<'_>)) {
        let counts = &mut self.load.frames;
        match *frame {
            Frame::Depth(diff) => {
                counts.depth += 1;
                let levels = std::mem::take(&mut self.levels);
                if let Some(book) = self.book(diff.instrument) {
                    book.sync.on_diff(&diff, &levels, &mut |out| emit(market(diff.instrument, out)));
                }
                self.levels = levels;
            }
            Frame::Snapshot(snapshot) => {
                counts.snapshot += 1;
                let levels = std::mem::take(&mut self.levels);
                if let Some(book) = self.book(snapshot.instrument) {
                    book.sync.on_snapshot(&snapshot, &levels, &mut |out| emit(market(snapshot.instrument, out)));
                }
                self.levels = levels;
            }
            Frame::BookTicker(q) => {
                counts.book_ticker += 1;
                self.book(q.instrument);
                let ts_event = q.ts_engine.or(q.ts_sent).unwrap_or(UnixNanos::MIN);
                let data = MarketData::Quote { quote: q.quote, update_id: q.update_id };
                emit(Market { instrument: q.instrument, ts_event, data });
                self.heard(q.instrument);
            }
            Frame::Trade(t) => {
                counts.trade += 1;
                self.on_trade(&t, emit);
            }
            Frame::AggTrade(t) => {
                counts.agg_trade += 1;
                self.on_agg_trade(&t, emit);
            }
            Frame::MarkPrice(m) => {
                counts.mark_price += 1;
                self.book(m.instrument);
                let data = MarketData::Mark(&m.mark);
                emit(Market { instrument: m.instrument, ts_event: m.ts_sent, data });
            }
            Frame::Other(kind) => counts.other(kind.as_str()),
        }
    }

    fn heard(&mut self, instrument: InstrumentId) {
        if let Some(book) = self.places.get(instrument.index()).copied().flatten().and_then(|p| self.books.get_mut(p)) {
            book.whole = true;
        }
    }

    fn on_trade(&mut self, t: &TradeTick, emit: &mut impl FnMut(Market<'_>)) {
        let Some(book) = self.book(t.instrument) else { return };
        if t.on_book == Some(false) || t.trade.qty.0 == 0 || t.trade.price.0 == 0 {
            self.load.trades_off_book += 1;
        } else if book.last_trade.is_some_and(|last| t.trade.id <= last) {
            self.load.trades_repeated += 1;
        } else {
            book.last_trade = Some(t.trade.id);
            book.whole = true;
            emit(trade(t.instrument, t.ts_event, t.trade));
        }
    }

    /// Where a capture has both streams, each trade is delivered once, from whichever frame came first.
    fn on_agg_trade(&mut self, t: &AggTrade, emit: &mut impl FnMut(Market<'_>)) {
        let Some(book) = self.book(t.instrument) else { return };
        if t.trade.qty.0 == 0 || t.trade.price.0 == 0 {
            self.load.trades_off_book += 1;
        } else if book.last_trade.is_some_and(|last| t.first_trade <= last) {
            self.load.trades_repeated += 1;
        } else {
            book.last_trade = Some(t.last_trade);
            book.whole = true;
            emit(trade(t.instrument, t.ts_event, Trade { id: t.last_trade, ..t.trade }));
        }
    }
}

fn trade(instrument: InstrumentId, ts_event: UnixNanos, trade: Trade) -> Market<'static> {
    Market { instrument, ts_event, data: MarketData::Trade(trade) }
}

fn market(instrument: InstrumentId, out: SyncOut<'_>) -> Market<'_> {
    let (ts_event, data) = match out {
        SyncOut::Snapshot { snapshot, levels } => (
            snapshot.ts_event.or(snapshot.ts_sent).unwrap_or(UnixNanos::MIN),
            MarketData::Depth {
                bids: &levels.bids,
                asks: &levels.asks,
                snapshot: true,
                update_id: snapshot.last_update_id,
            },
        ),
        SyncOut::Diff { diff, levels } => (
            diff.ts_event(),
            MarketData::Depth { bids: &levels.bids, asks: &levels.asks, snapshot: false, update_id: diff.last },
        ),
        SyncOut::Gap { ts_event } => (ts_event, MarketData::Gap),
    };
    Market { instrument, ts_event, data }
}

#[cfg(test)]
mod tests;
