//! What a frame does: the chain of its book, the numbers of its trades, and the event that the kernel gets.
//! Never: an allocation while nothing is wrong.

use super::market::{TradeFit, emit, market, quote, trade};
use super::words::{FeedWords, Item, Talk};
use super::{Feed, HUSH, Hush};
use crate::gateway::{Notice, Outbox};
use ctos_types::{InstrumentId, MarketData, Nanos, Trade, UnixNanos};
use rand_core::Rng;

impl<W: FeedWords> Feed<W> {
    /// Takes what the socket's words understood last. It moves no deadline nearer unless `hurry` says so.
    #[inline]
    pub(super) fn said(&mut self, now: UnixNanos, at: usize, out: &mut Outbox) {
        let talk = self.sockets[at].session.words();
        match talk.take() {
            Item::Quote { instrument, ts_event, quote: q, update_id } => {
                let Some(place) = place(&self.places, instrument) else { return self.foreign() };
                let m = &mut self.markets[place];
                if m.on_quote(update_id) {
                    self.counts.quotes += 1;
                    m.heard();
                    quote(out, now, instrument, ts_event, (q, update_id));
                } else {
                    self.counts.quotes_old += 1;
                }
            }
            Item::Diff { instrument, diff } => {
                let Some(place) = place(&self.places, instrument) else { return self.foreign() };
                let m = &mut self.markets[place];
                let Some(sync) = &mut m.sync else { return self.foreign() };
                self.counts.diffs += 1;
                let was = sync.is_valid();
                sync.on_diff(&diff, talk.levels(), &mut |o| emit(out, now, instrument, o));
                let is = sync.is_valid();
                m.show_diff(&diff);
                if !is || !m.is_shown() {
                    self.want_snapshot(now, place, was && !is);
                }
            }
            Item::Trade { instrument, ts_event, trade, number, on_book } => {
                self.traded(now, instrument, ts_event, trade, (number, on_book), out);
            }
            Item::Mark { instrument, ts_event, mark } => {
                let Some(place) = place(&self.places, instrument) else { return self.foreign() };
                self.counts.marks += 1;
                self.hurry |= self.markets[place].on_mark(&mark);
                market(out, now, instrument, ts_event, MarketData::Mark(&mark));
            }
            Item::Marks => {
                for n in talk.marks() {
                    let Some(place) = place(&self.places, n.instrument) else { continue };
                    if !self.markets[place].want.marks {
                        continue;
                    }
                    self.counts.marks += 1;
                    self.hurry |= self.markets[place].on_mark(&n.mark);
                    market(out, now, n.instrument, n.ts_event, MarketData::Mark(&n.mark));
                }
            }
            Item::Bar { instrument, ts_event, bar } => {
                let Some(place) = place(&self.places, instrument) else { return self.foreign() };
                self.counts.bars += 1;
                self.markets[place].heard();
                market(out, now, instrument, ts_event, MarketData::Bar(bar));
            }
            Item::Snapshot { instrument, snapshot } => {
                let Some(place) = place(&self.places, instrument) else { return self.foreign() };
                let m = &mut self.markets[place];
                let Some(sync) = &mut m.sync else { return self.foreign() };
                self.counts.snapshots += 1;
                sync.on_snapshot(&snapshot, talk.levels(), &mut |o| emit(out, now, instrument, o));
                m.show_snapshot(&snapshot);
            }
            Item::Liquidation(l) => {
                self.counts.liquidations += 1;
                self.last_liquidation = Some(l);
            }
            Item::News { about } => self.news(now, &about, out),
            Item::Quiet => self.counts.quiet += 1,
            Item::Foreign => self.foreign(),
            Item::Bad { instrument, why } => self.not_understood(now, instrument, &why, out),
        }
    }

    fn foreign(&mut self) {
        self.counts.foreign += 1;
    }

    #[inline]
    fn traded(
        &mut self,
        now: UnixNanos,
        instrument: InstrumentId,
        ts_event: UnixNanos,
        t: Trade,
        (number, on_book): (Option<u64>, bool),
        out: &mut Outbox,
    ) {
        let Some(place) = place(&self.places, instrument) else { return self.foreign() };
        let m = &mut self.markets[place];
        match m.on_trade(number) {
            TradeFit::Next => {}
            TradeFit::Repeated => {
                self.counts.trades_repeated += 1;
                return;
            }
            TradeFit::Hole(missing) => {
                self.counts.trades_missing += missing;
                if m.sync.is_none() {
                    m.broken(now, ts_event, out);
                    // The number behind the hole is known.
                    m.on_trade(number);
                }
                if let Some(before) = self.holes.may_tell(now) {
                    let more = if before > 0 { format!(" ({before} more such)") } else { String::new() };
                    let name = self.words.name();
                    let text = format!("{name}: {missing} trades of {} are missing{more}", m.symbol);
                    out.notices.push(Notice::Warning(text));
                }
            }
        }
        if on_book {
            self.counts.trades += 1;
            m.heard();
            trade(out, now, instrument, ts_event, t);
        } else {
            self.counts.trades_off_book += 1;
        }
    }

    /// The book is unknown: at once for a new one, with a growing pause where it broke.
    pub(super) fn want_snapshot(&mut self, now: UnixNanos, place: usize, broke: bool) {
        let m = &mut self.markets[place];
        if broke {
            m.epoch += 1;
        }
        if m.asking || m.snapshot_at != UnixNanos::MAX {
            return;
        }
        // Without failures in a row the pause is short; it grows where snapshots do not hold.
        let wait =
            if broke || m.backoff.failures() > 0 { m.backoff.down(now, self.rng.next_u64()) } else { Nanos::ZERO };
        self.hurry |= m.need_snapshot(now, wait);
    }

    /// A frame that cannot be read is data that is missing.
    fn not_understood(&mut self, now: UnixNanos, instrument: Option<InstrumentId>, why: &str, out: &mut Outbox) {
        self.counts.bad += 1;
        if let Some(place) = instrument.and_then(|id| place(&self.places, id)) {
            let ts_event = now.after(self.offset);
            self.markets[place].broken(now, ts_event, out);
        }
        if let Some(before) = self.bad.may_tell(now) {
            let more = if before > 0 { format!(" ({before} more such)") } else { String::new() };
            let name = self.words.name();
            out.notices.push(Notice::Warning(format!("{name}: a frame cannot be read: {why}{more}")));
        }
    }
}

impl Hush {
    /// Whether it may be told now, and how many were kept back since the last one.
    fn may_tell(&mut self, now: UnixNanos) -> Option<u64> {
        if now < self.next {
            self.kept_back += 1;
            return None;
        }
        self.next = now.after(HUSH);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[inline]
fn place(places: &[Option<usize>], instrument: InstrumentId) -> Option<usize> {
    places.get(instrument.index()).copied().flatten()
}
