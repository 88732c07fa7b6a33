//! What time alone brings: overdue phases, dead links, renewals, lost replies, silent streams.
//! Never: takes a ping for life of a stream.

use super::Session;
use crate::session::link::{Pending, Phase, Sub};
use crate::session::{Action, LinkId, SessionEvent, Words};
use crate::staleness::Pulse;
use ctos_types::UnixNanos;

impl<W: Words> Session<W> {
    pub(super) fn check_link(&mut self, now: UnixNanos, id: LinkId, out: &mut Vec<Action>) {
        let config = self.config;
        let at = now.after(self.offset);
        let Some(link) = self.link(id) else { return };
        if link.phase_due <= now {
            let why = match link.phase {
                Phase::Leaving => {
                    out.push(Action::Close(id, "replaced"));
                    return self.drop_old(now, out);
                }
                Phase::Connecting => "connect timeout",
                Phase::LoggingIn => "login timeout",
                _ => "resync timeout",
            };
            return self.fail(now, id, why, false, out);
        }
        if link.phase == Phase::Connecting {
            return;
        }
        if link.heard.after(config.dead_after) <= now {
            return self.fail(now, id, "dead link", false, out);
        }
        match (link.ping_sent, config.ping_after) {
            (Some(sent), _) if sent.after(config.pong_within) <= now => {
                return self.fail(now, id, "no pong", false, out);
            }
            (None, Some(idle)) if link.heard.after(idle) <= now => {
                link.ping_sent = Some(now);
                let text = self.words.ping(at);
                let link = self.link(id).expect("found above");
                match text {
                    Some(text) => link.send(now, text, out),
                    None => {
                        link.count_message(now);
                        out.push(Action::Ping(id));
                    }
                }
            }
            _ => {}
        }
        let link = self.link(id).expect("found above");
        if link.phase == Phase::Leaving {
            return;
        }
        if let Some(renew) = config.renew {
            if link.renewed.after(renew.within) <= now {
                return self.fail(now, id, "credentials expired", false, out);
            }
            if link.renew_at <= now && !link.renewing {
                link.renewing = true;
                out.push(Action::Renew(id));
            }
        }
        let late: Vec<u64> = link.pending.iter().filter(|(_, p)| p.due <= now).map(|(id, _)| *id).collect();
        for message in late {
            let Some(Pending { streams, .. }) = link.pending.remove(&message) else { continue };
            link.ack_misses += 1;
            for stream in streams {
                if matches!(link.subs.get(&stream), Some(Sub::Asked | Sub::Leaving)) {
                    link.subs.remove(&stream);
                }
            }
        }
        if link.ack_misses > config.ack_misses {
            self.fail(now, id, "no reply to subscriptions", false, out);
        }
    }

    /// Begins to watch what is subscribed and not watched yet, and notes when the first silence is due.
    pub(super) fn watch_pulses(&mut self, now: UnixNanos) {
        let Some(link) = &self.main else { return };
        self.pulses_due = UnixNanos::MAX;
        for (name, stream) in &mut self.streams {
            if link.subs.get(name) != Some(&Sub::Active) {
                continue;
            }
            if stream.pulse.is_none() {
                stream.pulse = self.words.expect(name).map(|expect| Pulse::new(expect, now));
            }
            self.pulses_due = stream.pulse.map_or(self.pulses_due, |p| self.pulses_due.min(p.due()));
        }
    }

    /// Streams that are silent too long are subscribed again; where that did not help, or all are silent, the link is
    /// replaced by a new one.
    pub(super) fn check_pulses(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if now < self.pulses_due || !self.is_live() {
            return;
        }
        let link = self.main.as_mut().expect("live");
        let (mut watched, mut silent, mut hopeless) = (0, 0, false);
        self.pulses_due = UnixNanos::MAX;
        for (name, stream) in &mut self.streams {
            let Some(pulse) = &mut stream.pulse else { continue };
            let counts = !stream.excused;
            watched += usize::from(counts);
            if link.subs.get(name) != Some(&Sub::Active) {
                silent += usize::from(stream.silent && counts);
                continue;
            }
            let since = pulse.since();
            if let Some(quiet) = pulse.check(now) {
                let told = stream.silent;
                stream.silent = true;
                // The second alarm in a row: subscribing again did not help. Later ones only remind.
                hopeless |= counts && pulse.strikes() == 2;
                if counts && pulse.strikes() == 1 {
                    link.subs.insert(name.clone(), Sub::Stale);
                }
                if !told {
                    let why = format!("silent for {:.1} s", quiet.as_secs_f64());
                    out.push(Action::Emit(SessionEvent::Gap { stream: Some(name.clone()), since, why }));
                }
            }
            silent += usize::from(stream.silent && counts);
            self.pulses_due = self.pulses_due.min(pulse.due());
        }
        let fresh = self.streams.values().any(|s| !s.excused && s.pulse.is_some_and(|p| p.strikes() == 1));
        let id = link.id;
        if hopeless || (fresh && silent == watched && watched > 1) {
            self.fail(now, id, "no data though the link is up", false, out);
        }
    }
}
