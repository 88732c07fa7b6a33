//! One stream that changes from one link to another: nothing is lost and nothing comes twice, whichever is faster.
//! Never: guesses that two links are level. Where that cannot be seen, it says that frames may be missing.

use super::LinkId;
use std::collections::VecDeque;

/// Frames of the newer link that may wait for the older one to catch up.
const MAX_HELD: usize = 8192;

/// How far each link has brought a stream, and what waits.
///
/// A link is level once something that it brought was forwarded already: since each link is without holes of its own,
/// its next frame is then the next frame of the stream, whichever link is first with it.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// Last sequence that was forwarded.
    last: Option<u64>,
    /// Last sequence of each link that is level.
    level: Vec<(LinkId, u64)>,
    /// A link that began ahead of `last`, and its frames.
    ahead: Option<LinkId>,
    held: VecDeque<(u64, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Forward,
    Swallow,
    /// Too much waited: forward, and frames before this one may be missing.
    ForwardAfterGap,
}

impl Handover {
    pub fn on_frame(&mut self, id: LinkId, seq: Option<u64>, text: &str) -> Decision {
        let Some(seq) = seq else { return Decision::Forward };
        let alone = self.level.len() == 1;
        if let Some((_, head)) = self.level.iter_mut().find(|(link, _)| *link == id) {
            let before = std::mem::replace(head, seq);
            match self.last {
                // Another link was first with it. With one link only, the venue began to count anew.
                Some(last) if seq <= last && !(alone && before == last) => return Decision::Swallow,
                _ => {
                    self.last = Some(seq);
                    self.catch_up(seq);
                    return Decision::Forward;
                }
            }
        }
        match self.last {
            Some(last) if seq <= last => {
                self.level.push((id, seq));
                Decision::Swallow
            }
            None => {
                self.level.push((id, seq));
                self.last = Some(seq);
                Decision::Forward
            }
            // Every link that brought it is gone, and none was seen to be level with them.
            Some(_) if self.level.is_empty() => {
                self.level.push((id, seq));
                self.last = Some(seq);
                Decision::ForwardAfterGap
            }
            // Two links ahead: one of them is enough, the other is level once something it brings is old.
            Some(_) if self.ahead.is_some_and(|ahead| ahead != id) => Decision::Swallow,
            Some(_) if self.held.len() == MAX_HELD => {
                self.held.clear();
                self.ahead = None;
                self.level.push((id, seq));
                self.last = Some(seq);
                Decision::ForwardAfterGap
            }
            Some(_) => {
                self.ahead = Some(id);
                self.held.push_back((seq, text.into()));
                Decision::Swallow
            }
        }
    }

    /// Somebody has brought everything that the link ahead had: it is level.
    fn catch_up(&mut self, seq: u64) {
        let Some(ahead) = self.ahead else { return };
        let mut head = None;
        while self.held.front().is_some_and(|(held, _)| *held <= seq) {
            head = self.held.pop_front().map(|(seq, _)| seq);
        }
        if let Some(head) = head {
            // What it still holds follows on from there without a hole, but the level links bring it as well, soon.
            if self.held.is_empty() {
                self.level.push((ahead, head));
                self.ahead = None;
            }
        }
    }

    /// The link is gone. Frames that waited come out where no level link is left: after a gap, since nobody can tell
    /// what the lost link still had.
    pub fn retire(&mut self, id: LinkId) -> Vec<String> {
        self.level.retain(|(link, _)| *link != id);
        if self.ahead == Some(id) {
            self.held.clear();
            self.ahead = None;
        }
        let Some(ahead) = self.ahead.filter(|_| self.level.is_empty()) else { return Vec::new() };
        self.ahead = None;
        if let Some((seq, _)) = self.held.back() {
            self.level.push((ahead, *seq));
            self.last = Some(*seq);
        }
        self.held.drain(..).map(|(_, text)| text).collect()
    }

    /// A new beginning after a gap: sequences may start anywhere.
    pub fn reset(&mut self) {
        *self = Handover::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Two links bring the same sequences, the newer one from some point on, in any interleaving: every sequence
        // comes out once and in order.
        #[test]
        fn every_frame_once_and_in_order(from in 1u64..40, choices in prop::collection::vec(any::<bool>(), 0..200)) {
            let (old, new, last) = (LinkId(1), LinkId(2), 40u64);
            let mut handover = Handover::default();
            let (mut a, mut b, mut out) = (1, from, Vec::new());
            let mut bring = |id, seq: u64, out: &mut Vec<u64>| {
                if handover.on_frame(id, Some(seq), &seq.to_string()) == Decision::Forward {
                    out.push(seq);
                }
            };
            for old_first in choices {
                if old_first && a <= last {
                    bring(old, a, &mut out);
                    a += 1;
                } else if b <= last && a > 1 {
                    bring(new, b, &mut out);
                    b += 1;
                }
            }
            (a..=last).for_each(|seq| bring(old, seq, &mut out));
            (b..=last).for_each(|seq| bring(new, seq, &mut out));
            let held = handover.retire(old);
            prop_assert!(held.is_empty());
            prop_assert_eq!(out, (1..=last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_waited_for_a_link_that_died_comes_out() {
        let mut handover = Handover::default();
        let (old, new) = (LinkId(1), LinkId(2));
        handover.on_frame(old, Some(5), "5");
        assert_eq!(handover.on_frame(new, Some(7), "7"), Decision::Swallow);
        assert_eq!(handover.on_frame(new, Some(8), "8"), Decision::Swallow);
        assert_eq!(handover.retire(old), ["7", "8"]);
        assert_eq!(handover.on_frame(new, Some(9), "9"), Decision::Forward);
        assert_eq!(handover.on_frame(LinkId(3), Some(9), "9"), Decision::Swallow);
    }

    #[test]
    fn a_next_link_that_dies_leaves_no_hole_and_no_repetition() {
        let mut handover = Handover::default();
        let (old, new) = (LinkId(1), LinkId(2));
        handover.on_frame(old, Some(5), "5");
        assert_eq!(handover.on_frame(new, Some(5), "5"), Decision::Swallow);
        assert_eq!(handover.on_frame(new, Some(6), "6"), Decision::Forward);
        assert!(handover.retire(new).is_empty());
        assert_eq!(handover.on_frame(old, Some(6), "6"), Decision::Swallow);
        assert_eq!(handover.on_frame(old, Some(7), "7"), Decision::Forward);
        assert_eq!(handover.on_frame(old, Some(1), "1"), Decision::Forward, "the venue counts anew");
    }

    #[test]
    fn a_stream_never_waits_for_links_that_are_all_gone() {
        let mut handover = Handover::default();
        let links = [LinkId(1), LinkId(2), LinkId(3)];
        handover.on_frame(links[0], Some(5), "5");
        assert_eq!(handover.on_frame(links[1], Some(7), "7"), Decision::Swallow);
        assert_eq!(handover.on_frame(links[2], Some(8), "8"), Decision::Swallow);
        assert!(handover.retire(links[1]).is_empty() && handover.retire(links[0]).is_empty());
        assert_eq!(handover.on_frame(links[2], Some(9), "9"), Decision::ForwardAfterGap);
        assert_eq!(handover.on_frame(links[2], Some(10), "10"), Decision::Forward);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut handover = Handover::default();
        handover.on_frame(LinkId(1), Some(1), "1");
        for seq in 0..MAX_HELD as u64 {
            assert_eq!(handover.on_frame(LinkId(2), Some(seq + 2), "x"), Decision::Swallow);
        }
        assert_eq!(handover.on_frame(LinkId(2), Some(99_999), "x"), Decision::ForwardAfterGap);
        assert_eq!(handover.on_frame(LinkId(1), Some(2), "2"), Decision::Swallow);
        assert_eq!(handover.on_frame(LinkId(2), Some(100_000), "x"), Decision::Forward);
    }
}
