//! What a feed asks for over REST and what it makes of the answers: snapshots, settlements, the list of instruments.
//! Never: an answer from before a break; a question without a pause after one that failed.

use super::book::BookSync;
use super::market::{emit, market};
use super::words::FeedWords;
use super::{Asked, Feed, Socket};
use crate::gateway::{Answer, Notice, Outbox};
use crate::rate::Lane;
use ctos_types::{Event, MarketData, Nanos, UnixNanos};
use rand_core::Rng;

/// News of instruments come in bursts: the list is read once behind them, and not more often than this.
const LISTING_PAUSE: Nanos = Nanos::from_secs(10);
const LISTING_DELAY: Nanos = Nanos::from_secs(1);
const LISTING_AGAIN: Nanos = Nanos::from_secs(60);
const LISTING_WITHIN: Nanos = Nanos::from_secs(120);
/// A settlement is asked for so often, with this pause, until the venue has written it down.
const FUNDING_TRIES: u32 = 20;
const FUNDING_PAUSE: Nanos = Nanos::from_secs(30);

/// The body of a good answer, or what is wrong and how long to wait at least.
fn body<'a>(answer: &Answer<'a>) -> Result<&'a [u8], (String, Nanos)> {
    match answer {
        Answer::Http { status: 200, body, .. } => Ok(body),
        Answer::Http { status, body, .. } => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            Err((format!("status {status}: {text}"), Nanos::ZERO))
        }
        Answer::NotSent { why, retry_after } => Err((why.clone(), retry_after.unwrap_or(Nanos::ZERO))),
        Answer::Unknown { why } => Err((why.clone(), Nanos::ZERO)),
        Answer::Go { .. } => Err(("not an answer to a question".into(), Nanos::ZERO)),
    }
}

impl<W: FeedWords> Feed<W> {
    /// Asks for the snapshots that are due, a few at once, the most important first.
    pub(super) fn ask_snapshots(&mut self, now: UnixNanos, out: &mut Outbox) {
        for place in 0..self.markets.len() {
            if self.snapshots_under_way >= self.config.snapshots_at_once.max(1) {
                return;
            }
            let m = &mut self.markets[place];
            if m.asking || m.snapshot_at > now {
                continue;
            }
            m.snapshot_at = UnixNanos::MAX;
            let Some(question) = self.words.ask_snapshot(m.id) else { continue };
            m.asking = true;
            self.snapshots_under_way += 1;
            // What the kernel lacks is doubt; what only a recording lacks takes no room from those who resolve any.
            let in_step = m.sync.as_ref().is_some_and(BookSync::is_valid);
            let lane = if in_step { Lane::History } else { Lane::Query };
            let about = Asked::Snapshot(place, m.epoch);
            self.ask(about, question, lane, self.config.snapshot_within, out);
        }
    }

    pub(super) fn snapshot_answered(
        &mut self,
        now: UnixNanos,
        place: usize,
        epoch: u32,
        answer: &Answer<'_>,
        out: &mut Outbox,
    ) {
        self.snapshots_under_way -= 1;
        let Feed { words, markets, levels, counts, .. } = self;
        let m = &mut markets[place];
        m.asking = false;
        let (id, stale) = (m.id, m.epoch != epoch);
        let Some(sync) = &mut m.sync else { return };
        if stale {
            // The link broke meanwhile: this shows a book from before. The next diff asks anew; where diffs flow
            // already, this is the moment.
            if sync.waiting() > 0 {
                self.want_snapshot(now, place, false);
            }
            return;
        }
        let got = body(answer).and_then(|b| words.read_snapshot(id, b, levels).map_err(|why| (why, Nanos::ZERO)));
        let (why, at_least) = match got {
            Ok(snapshot) => {
                counts.snapshots += 1;
                sync.on_snapshot(&snapshot, levels, &mut |o| emit(out, now, id, o));
                let whole = sync.is_valid();
                if let (Some(tape), Ok(body)) = (&self.tape, body(answer)) {
                    let text = String::from_utf8_lossy(body);
                    tape.line(now, || words.record_snapshot(id, &text));
                }
                m.show_snapshot(&snapshot);
                if whole {
                    m.heard();
                }
                if whole && m.is_shown() {
                    m.backoff.up(now);
                    return;
                }
                // Older than what waits, or the diffs that waited were broken themselves.
                (None, Nanos::ZERO)
            }
            Err((why, at_least)) => (Some(why), at_least),
        };
        if m.sync.as_ref().is_some_and(BookSync::is_valid) && m.is_shown() {
            // It was for a recording that has ended meanwhile.
            return;
        }
        let wait = m.backoff.down(now, self.rng.next_u64()).max(at_least);
        let failures = m.backoff.failures();
        m.need_snapshot(now, wait);
        if let Some(why) = why.filter(|_| failures.is_power_of_two()) {
            let (name, symbol) = (self.words.name(), &self.markets[place].symbol);
            out.notices.push(Notice::Warning(format!("{name}: no snapshot of {symbol} ({why})")));
        }
    }

    pub(super) fn ask_funding(&mut self, now: UnixNanos, out: &mut Outbox) {
        for place in 0..self.markets.len() {
            let m = &mut self.markets[place];
            let Some((moment, at, _)) = m.funding.due.filter(|_| !m.funding.asking) else { continue };
            if at > now {
                continue;
            }
            let Some(question) = self.words.ask_funding(m.id, moment) else {
                m.funding.due = None;
                continue;
            };
            m.funding.asking = true;
            self.ask(Asked::Funding(place), question, Lane::Query, self.config.snapshot_within, out);
        }
    }

    pub(super) fn funding_answered(&mut self, now: UnixNanos, place: usize, answer: &Answer<'_>, out: &mut Outbox) {
        let m = &mut self.markets[place];
        m.funding.asking = false;
        let Some((moment, _, tries)) = m.funding.due else { return };
        let read = |b: &[u8]| self.words.read_funding(b, m.funding.mark).map_err(|why| (why, Nanos::ZERO));
        let got = body(answer).and_then(read);
        let (why, at_least) = match got {
            Ok(rows) => {
                // Settlements are stamped a few milliseconds beside their moment.
                let near = |at: UnixNanos| (at.0 - moment.0).abs() <= Nanos::from_secs(60).0;
                match rows.iter().find(|(at, _)| near(*at)) {
                    Some((at, funding)) => {
                        self.counts.funding += 1;
                        m.funding.due = None;
                        if let (Some(tape), Some(line)) = (&self.tape, self.words.record_funding(m.id, *at, funding)) {
                            tape.line(now, || line);
                        }
                        return market(out, now, m.id, *at, MarketData::Funding(funding));
                    }
                    None => ("the venue has not written it down yet".into(), Nanos::ZERO),
                }
            }
            Err(bad) => bad,
        };
        if tries + 1 < FUNDING_TRIES {
            m.funding.due = Some((moment, now.after(FUNDING_PAUSE.max(at_least)), tries + 1));
            return;
        }
        m.funding.due = None;
        let (name, symbol) = (self.words.name(), &m.symbol);
        let text = format!("{name}: the funding of {symbol} at {moment} is not known: {why}");
        out.notices.push(Notice::Warning(text));
    }

    /// The venue says that its list changed.
    pub(super) fn news(&mut self, now: UnixNanos, about: &str, out: &mut Outbox) {
        out.notices.push(Notice::Info(format!("{}: {about}", self.words.name())));
        let earliest = self.listing_read.after(LISTING_PAUSE).max(now.after(LISTING_DELAY));
        if earliest < self.listing_due {
            self.listing_due = earliest;
        }
        self.hurry = true;
    }

    /// A stream is silent: its market may have been halted, which only the list tells.
    pub(super) fn doubt_listing(&mut self, now: UnixNanos) {
        if self.config.listing_every.is_none() {
            return;
        }
        let earliest = self.listing_read.after(LISTING_AGAIN).max(now.after(LISTING_DELAY));
        self.listing_due = self.listing_due.min(earliest);
        self.hurry = true;
    }

    pub(super) fn ask_listing(&mut self, now: UnixNanos, out: &mut Outbox) {
        if self.listing_due > now || self.asked.values().any(|a| *a == Asked::Listing) {
            return;
        }
        self.listing_due = UnixNanos::MAX;
        if let Some(question) = self.words.ask_listing() {
            self.ask(Asked::Listing, question, Lane::Query, LISTING_WITHIN, out);
        }
    }

    pub(super) fn listing_answered(&mut self, now: UnixNanos, answer: &Answer<'_>, out: &mut Outbox) {
        self.listing_read = now;
        let next = self.config.listing_every.map_or(UnixNanos::MAX, |every| now.after(every));
        let got = match answer {
            Answer::Http { status, body, .. } => {
                self.words.read_listing(*status, body).map_err(|why| (why, Nanos::ZERO))
            }
            other => body(other).and(Ok(Vec::new())),
        };
        let rows = match got {
            Ok(rows) => rows,
            Err((why, at_least)) => {
                self.listing_due = self.listing_due.min(now.after(LISTING_AGAIN.max(at_least)));
                let name = self.words.name();
                out.notices.push(Notice::Warning(format!("{name}: the list of instruments cannot be read: {why}")));
                return;
            }
        };
        self.listing_due = self.listing_due.min(next);
        for row in rows {
            let Some(place) = self.places.get(row.instrument.index()).copied().flatten() else { continue };
            let m = &mut self.markets[place];
            if m.rules == row.rules {
                continue;
            }
            let (name, symbol) = (self.words.name(), &m.symbol);
            let before = std::mem::replace(&mut m.rules, row.rules);
            if before.trading != row.rules.trading {
                // What does not trade is silent; that says nothing about the link that others share with it.
                for Socket { session, roles, .. } in &mut self.sockets {
                    let names = roles.iter().filter(|(_, role)| role.market == Some(place));
                    names.for_each(|(name, _)| session.excuse(name, !row.rules.trading));
                }
            }
            out.event(now, Event::Rules { instrument: m.id, rules: &m.rules });
            if let (Some(tape), Some(line)) = (&self.tape, self.words.record_instrument(m.id, &m.rules)) {
                tape.line(now, || line);
            }
            out.notices.push(match (before.trading, row.rules.trading) {
                (true, false) => Notice::Alarm {
                    what: format!("{name}: {symbol} takes no orders any more: {}", row.status),
                    hint: "close or move its strategies; open positions can be closed once it trades again".into(),
                },
                (false, true) => Notice::Info(format!("{name}: {symbol} trades again: {}", row.status)),
                _ => Notice::Warning(format!("{name}: the venue changed the filters of {symbol}")),
            });
        }
    }
}
