//! Answers to logins and subscriptions.
//! Never: lets one refused stream spoil the others.

use super::Session;
use crate::session::link::{Phase, Sub};
use crate::session::{Action, Forward, LinkId, Refusal, SessionEvent, Words};
use ctos_types::UnixNanos;

impl<W: Words> Session<W> {
    pub(super) fn on_reply(
        &mut self,
        now: UnixNanos,
        id: LinkId,
        message: u64,
        stream: Option<String>,
        result: Result<(), Refusal>,
        out: &mut Vec<Action>,
    ) -> Forward {
        let link = self.link(id).expect("found by the caller");
        if link.login_id == Some(message) {
            match result {
                Ok(()) => {
                    link.login_id = None;
                    (link.phase, link.phase_due) = (Phase::Subscribing, UnixNanos::MAX);
                    self.settle(now, out);
                }
                // A replacement that is refused says nothing about the link that works.
                Err(refusal) if refusal.fatal && self.main.as_ref().is_some_and(|l| l.id == id) => {
                    self.refused_for_good(now, refusal, out);
                }
                Err(refusal) => {
                    let why = format!("login refused: {} ({})", refusal.text, refusal.code);
                    self.fail(now, id, &why, false, out);
                }
            }
            return Forward::No;
        }
        let Some(pending) = link.pending.get_mut(&message) else { return Forward::Yes };
        let streams = stream.map_or_else(|| pending.streams.clone(), |s| vec![s]);
        let all = streams.len() == pending.streams.len();
        pending.acks = if all { 0 } else { pending.acks.saturating_sub(1) };
        let leaving = pending.leaving;
        let shared = pending.streams.len() > 1 && all;
        if pending.acks == 0 {
            link.pending.remove(&message);
        }
        let (mut refused, mut watch) = (Vec::new(), false);
        for stream in streams {
            match &result {
                // What was refused to be left is as good as left.
                _ if leaving => drop(link.subs.remove(&stream)),
                Ok(()) => {
                    link.subs.insert(stream, Sub::Active);
                    watch = true;
                }
                // One of them is the culprit: each is asked for by itself.
                Err(_) if shared => {
                    link.subs.remove(&stream);
                    link.alone.push(stream);
                }
                Err(_) => {
                    link.subs.insert(stream.clone(), Sub::Refused);
                    refused.push(stream);
                }
            }
        }
        if watch && self.is_live() {
            self.watch_pulses(now);
        }
        if let Err(Refusal { code, text, .. }) = result {
            out.extend(refused.into_iter().map(|stream| {
                Action::Emit(SessionEvent::StreamRefused { stream, code: code.clone(), text: text.clone() })
            }));
        }
        self.settle(now, out);
        Forward::No
    }

    pub(super) fn refused_for_good(&mut self, now: UnixNanos, refusal: Refusal, out: &mut Vec<Action>) {
        self.stop(now, out);
        out.push(Action::Emit(SessionEvent::LoginRefused { code: refusal.code, text: refusal.text }));
    }
}
