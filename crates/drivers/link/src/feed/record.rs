//! What a feed tells a recording: each frame that it uses, once, the answers that belong between them, and the holes.
//!
//! Whoever reads the recording has nothing but the recording, so beside each book its chain is followed as that reader
//! will follow it: what was recorded must be enough to put the book together.
//! Never: changes what the kernel is told, or asks for anything while nothing is recorded.

use super::book::{BookSync, Chain, Levels};
use super::words::{FeedWords, Flow};
use super::{Feed, market::MarketState};
use crate::capture::{CaptureNews, CaptureSwitch};
use crate::gateway::{Notice, Outbox};
use ctos_types::{Nanos, UnixNanos};
use std::sync::Arc;

/// The recording of a feed, as far as the feed knows it.
#[derive(Debug)]
pub(super) struct Tape {
    switch: Arc<CaptureSwitch>,
    chapter: u64,
}

impl Tape {
    /// Something between the frames.
    pub fn line(&self, now: UnixNanos, text: impl FnOnce() -> String) {
        if self.switch.is_on() {
            self.switch.frame(now, &text());
        }
    }
}

impl<W: FeedWords> Feed<W> {
    /// Lets whoever asks know how many books the recording still lacks.
    pub(super) fn count_shown(&self) {
        if let Some(tape) = self.tape.as_ref().filter(|t| t.switch.is_on()) {
            tape.switch.lacks(tape.chapter, self.markets.iter().filter(|m| !m.is_shown()).count() as u64);
        }
    }

    /// Tells this switch, whenever it is on, what comes from now on. One feed to a switch.
    pub fn record_to(&mut self, switch: Arc<CaptureSwitch>) {
        self.tape = Some(Tape { switch, chapter: 0 });
    }

    /// A frame that the session passed on.
    #[inline]
    pub(super) fn record(&mut self, now: UnixNanos, text: &str, out: &mut Outbox) {
        if self.tape.is_none() {
            return;
        }
        self.heed_recording(now, out);
        if let Some(tape) = &self.tape {
            tape.switch.frame(now, text);
        }
    }

    /// Frames of a stream, or of all on this socket, may be missing.
    pub(super) fn record_gap(
        &mut self,
        now: UnixNanos,
        since: UnixNanos,
        (at, stream): (usize, Option<&str>),
        why: &str,
    ) {
        let Some(tape) = self.tape.as_ref().filter(|t| t.switch.is_on()) else { return };
        let roles = &self.sockets[at].roles;
        let lost = roles.iter().filter(|(name, _)| stream.is_none_or(|s| s == *name));
        for (name, role) in lost {
            tape.switch.gap(now, since, Some(name), why);
            let market = role.market.filter(|_| role.flow == Flow::Book).map(|place| &mut self.markets[place]);
            if let Some(shown) = market.and_then(|m| m.shown.as_mut()) {
                shown.reset(now, &mut |_| {});
            }
        }
    }

    /// A new chapter: what was recorded before is not known to the reader of what comes now.
    pub(super) fn heed_recording(&mut self, now: UnixNanos, out: &mut Outbox) {
        let Some(tape) = &mut self.tape else { return };
        let chapter = tape.switch.chapter();
        if chapter == tape.chapter {
            return;
        }
        tape.chapter = chapter;
        let (on, chain, name) = (tape.switch.is_on(), self.words.chain(), self.words.name());
        for m in &mut self.markets {
            m.shown = (on && m.sync.is_some()).then(|| BookSync::new(chain));
            // A book that is in step is asked for at once, for the recording alone, and only while there is one; any other
            // is asked for by itself.
            if m.sync.as_ref().is_some_and(BookSync::is_valid) {
                self.hurry |= on && m.need_snapshot(now, Nanos::ZERO);
                if !on && !m.asking {
                    m.snapshot_at = UnixNanos::MAX;
                }
            }
            if let Some(line) = self.words.record_instrument(m.id, &m.rules).filter(|_| on) {
                tape.switch.frame(now, &line);
            }
        }
        let news = tape.switch.news();
        self.count_shown();
        out.notices.extend(news.into_iter().map(|news| match news {
            CaptureNews::File(path) => Notice::Info(format!("{name}: recording to {}", path.display())),
            CaptureNews::Lost(count) => {
                Notice::Warning(format!("{name}: the disk is too slow: {count} frames are missing in the recording"))
            }
            CaptureNews::Failed(why) => Notice::Alarm {
                what: format!("{name}: the recording has ended: {why}"),
                hint: "trading goes on; mend the disk, then `ctos record start`".into(),
            },
        }));
    }
}

impl<C: Chain> MarketState<C> {
    pub fn show_diff(&mut self, diff: &C::Diff) {
        if let Some(shown) = &mut self.shown {
            // Ids are enough to follow a chain.
            shown.on_diff(diff, &Levels::default(), &mut |_| {});
        }
    }

    pub fn show_snapshot(&mut self, snapshot: &C::Snapshot) {
        if let Some(shown) = &mut self.shown {
            shown.on_snapshot(snapshot, &Levels::default(), &mut |_| {});
        }
    }

    /// Whether a reader of the recording, if there is one, has the book.
    pub fn is_shown(&self) -> bool {
        self.shown.as_ref().is_none_or(BookSync::is_valid)
    }
}
