//! Alerts to people: always the log, and a webhook where one is configured.
//! Never: blocks the sender; a webhook that is slow or gone costs alerts, which are counted.

use crate::config::WebhookUrl;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Alerts waiting for the webhook. When it is full the newest is dropped and counted: the log has it.
const QUEUE: usize = 256;
const TRIES: u32 = 3;

/// What the webhook receives as JSON. `text` is the key that the usual chat services show.
#[derive(Clone, Debug, Serialize)]
struct Message {
    source: &'static str,
    kind: String,
    text: String,
}

#[derive(Clone, Debug)]
pub struct Alerts {
    queue: Option<Sender<Message>>,
    waiting: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Alerts {
    pub fn new(webhook: Option<WebhookUrl>) -> Alerts {
        let (waiting, dropped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let queue = webhook.map(|url| {
            let (tx, rx) = bounded(QUEUE);
            let waiting = waiting.clone();
            std::thread::Builder::new()
                .name("alerts".into())
                .spawn(move || deliver(&url, &rx, &waiting))
                .expect("the operating system starts a thread");
            tx
        });
        Alerts { queue, waiting, dropped }
    }

    pub fn send(&self, kind: &str, text: &str) {
        tracing::warn!(kind, "{text}");
        let Some(queue) = &self.queue else { return };
        let message = Message { source: "ctos", kind: kind.into(), text: text.into() };
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(message) {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            let dropped = self.dropped.fetch_add(1, Ordering::AcqRel) + 1;
            tracing::warn!(dropped, "the alert webhook does not keep up: alerts are only in the log");
        }
    }

    /// Waits until the webhook has everything, but not longer than `limit`.
    pub fn drain(&self, limit: Duration) {
        let begun = Instant::now();
        while self.waiting.load(Ordering::Acquire) > 0 && begun.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn deliver(url: &WebhookUrl, queue: &Receiver<Message>, waiting: &AtomicU64) {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    for message in queue {
        for attempt in 1..=TRIES {
            match agent.post(url.expose()).send_json(&message) {
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(attempt, webhook = ?url, %error, "alert webhook failed");
                    std::thread::sleep(Duration::from_millis(200) * attempt);
                }
            }
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
