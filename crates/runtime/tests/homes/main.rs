//! Real instances in homes of their own: latches, a second instance, replay, the store, the watchdog.

mod latches;
mod replaying;
mod store;
mod support;
mod watchdog;
