//! What a capture held, what was made of it, and what was not.
//! Never: decides anything; it counts and words.

use crate::book_sync::SyncCounts;
use crate::symbols::Product;
use ctos_types::{InstrumentId, Rules, UnixNanos};
use std::collections::BTreeMap;

/// How many bad lines a report names; all are counted.
pub const REPORTED_LINES: usize = 100;

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedLine {
    /// 1 for the first line of the file.
    pub number: u64,
    pub why: String,
}

/// Frames by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    pub depth: u64,
    pub book_ticker: u64,
    pub trade: u64,
    pub agg_trade: u64,
    pub mark_price: u64,
    pub snapshot: u64,
    /// Understood and not used, by their own name: klines, replies, partial books.
    pub other: BTreeMap<String, u64>,
}

impl FrameCounts {
    pub(super) fn other(&mut self, kind: &str) {
        match self.other.get_mut(kind) {
            Some(n) => *n += 1,
            None => {
                self.other.insert(kind.to_string(), 1);
            }
        }
    }

    /// Frames of all kinds.
    pub fn total(&self) -> u64 {
        let known = self.depth + self.book_ticker + self.trade + self.agg_trade + self.mark_price + self.snapshot;
        known + self.other.values().sum::<u64>()
    }
}

/// One instrument of the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolReport {
    /// As the venue writes it (`BTCUSDT`).
    pub symbol: String,
    pub instrument: InstrumentId,
    pub counts: SyncCounts,
    /// Whether the book was exact at the end.
    pub valid: bool,
}

/// The venue takes something else of orders from here on, as a recorder of ours noted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulesChange {
    /// When it was received.
    pub at: UnixNanos,
    pub instrument: InstrumentId,
    /// On the decimal places of the run's own definition.
    pub rules: Rules,
}

/// The report on a capture. `lines == frames.total() + bad_lines + unknown_symbols`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureLoad {
    /// Lines met, good and bad.
    pub lines: u64,
    pub frames: FrameCounts,
    pub bad_lines: u64,
    /// The first [`REPORTED_LINES`] of them.
    pub bad: Vec<ReportedLine>,
    /// `None` where no frame told.
    pub product: Option<Product>,
    /// Where the venue's rules differ from the run's definitions, or from those before: in order of time.
    pub rules: Vec<RulesChange>,
    /// Instruments that had frames, in order of symbol.
    pub symbols: Vec<SymbolReport>,
    /// Frames of symbols that are no instrument of the run, by symbol.
    pub unknown_symbols: BTreeMap<String, u64>,
    /// Lines stamped earlier than the line before them; delivered at that line's time.
    pub out_of_order: u64,
    /// Trades that took nothing from the book (insurance fund and the like): not delivered.
    pub trades_off_book: u64,
    /// Trades already delivered, alone or inside an aggregate.
    pub trades_repeated: u64,
}

impl CaptureLoad {
    pub(super) fn bad_line(&mut self, number: u64, why: String) {
        self.bad_lines += 1;
        if self.bad.len() < REPORTED_LINES {
            self.bad.push(ReportedLine { number, why });
        }
    }

    /// Times that a book which had been exact became unknown.
    pub fn gaps(&self) -> u64 {
        self.symbols.iter().map(|s| s.counts.gaps).sum()
    }

    /// Diffs that no book was made of, other than those a snapshot already held.
    pub fn dropped_diffs(&self) -> u64 {
        self.symbols.iter().map(|s| s.counts.diffs_dropped).sum()
    }

    /// What a person should know about this capture, one sentence each; empty where all is well.
    pub fn notices(&self) -> Vec<String> {
        let mut notices: Vec<String> = self.symbols.iter().filter_map(SymbolReport::notice).collect();
        if !self.unknown_symbols.is_empty() {
            let list: Vec<_> = self.unknown_symbols.iter().map(|(s, n)| format!("{s} ({n} frames)")).collect();
            notices.push(format!("not among the run's instruments and passed over: {}", list.join(", ")));
        }
        if let Some(first) = self.bad.first() {
            let (n, line, why) = (self.bad_lines, first.number, &first.why);
            notices.push(format!("{n} bad lines were skipped, the first at line {line}: {why}"));
        }
        if self.out_of_order > 0 {
            notices.push(format!("{} lines are stamped earlier than a line before them", self.out_of_order));
        }
        if self.trades_repeated > 0 {
            notices.push(format!("{} trades were recorded more than once and delivered once", self.trades_repeated));
        }
        notices
    }
}

impl SymbolReport {
    fn notice(&self) -> Option<String> {
        let SymbolReport { symbol, counts: c, valid, .. } = self;
        let (gaps, dropped) = (c.gaps, c.diffs_dropped);
        if c.snapshots_applied == 0 && dropped > 0 {
            let why =
                if c.snapshots_too_old > 0 { "only depth snapshots that are too old" } else { "no depth snapshot" };
            return Some(format!(
                "{symbol}: the capture has {why}, so its {dropped} depth updates cannot be put on a book; \
                 only quotes and trades are delivered"
            ));
        }
        if gaps > 0 {
            let now = if *valid { "was found again" } else { "stayed unknown" };
            return Some(format!(
                "{symbol}: the chain of depth updates broke {gaps} times; the book {now}, {dropped} updates were dropped"
            ));
        }
        (dropped > 0).then(|| format!("{symbol}: {dropped} depth updates were dropped while waiting for a snapshot"))
    }
}
