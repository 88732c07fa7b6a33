//! Proof that a tape is loaded, put in order and read within 64 bytes an event and two blocks.
#![allow(unsafe_code)] // a counting allocator cannot be written without

use ctos_types::{EventBuf, InstrumentId, Instruments, Level, Market, MarketData, Price, Qty, Side, Trade, UnixNanos};
use ctos_venue::{MarketSource, TapeBuilder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(by: usize) {
    let now = NOW.get().wrapping_add(by);
    NOW.set(now);
    // What other tests freed here that was made elsewhere wraps round; it is no peak.
    if now < usize::MAX / 2 {
        PEAK.set(PEAK.get().max(now));
    }
}

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.set(NOW.get().wrapping_sub(layout.size()));
        unsafe { System.dealloc(at, layout) }
    }
    // A growing vector is copied: both copies count, as they do where the system cannot move pages.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() {
            grow(size);
            NOW.set(NOW.get().wrapping_sub(layout.size()));
        } else {
            NOW.set(NOW.get().wrapping_sub(layout.size() - size));
        }
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const EVENTS: i64 = 500_000;
/// Beside the events: an open block, one whose events are being put in order, and their places.
const BESIDE: usize = 4 << 20;

/// Bytes at the highest point while events that `event` makes are loaded and read again, without what was there before.
fn peak(event: impl Fn(i64) -> (UnixNanos, UnixNanos, MarketData<'static>)) -> usize {
    let before = NOW.get();
    PEAK.set(before);
    let mut tape = TapeBuilder::new(Instruments::default());
    for n in 0..EVENTS {
        let (recv, ts_event, data) = event(n);
        tape.push(recv, &Market { instrument: InstrumentId(0), ts_event, data });
    }
    let mut tape = tape.finish([0; 32]);
    let (mut out, mut last, mut seen) = (EventBuf::default(), UnixNanos::MIN, 0);
    while let Some(times) = tape.next(&mut out) {
        assert!(last <= times.venue);
        (last, seen) = (times.venue, seen + 1);
    }
    assert_eq!(seen, EVENTS);
    PEAK.get() - before
}

fn trade(n: i64, qty: i64) -> MarketData<'static> {
    MarketData::Trade(Trade { price: Price(600_000 + n % 97), qty: Qty(qty), aggressor: Side::Buy, id: n as u64 })
}

#[test]
fn a_tape_takes_what_it_says() {
    let limit = EVENTS as usize * 64 + BESIDE;
    let steady = peak(|n| (UnixNanos(n * 1_000), UnixNanos(n * 1_000 - 7), trade(n, n % 500)));
    // Some events are late by up to a few hundred others, as recorded ones are.
    let late = |n: i64| n * 1_000 - (n * 7_919 % 31) * (n * 104_729 % 17) * 1_000;
    let disorder = peak(|n| (UnixNanos(n * 1_000), UnixNanos(late(n)), trade(n, 1 << 40)));
    const LEVEL: &[Level] = &[Level { price: Price(600_000), qty: Qty(3) }];
    let depth = peak(|n| {
        let data = MarketData::Depth { bids: LEVEL, asks: &[], snapshot: n == 0, update_id: n as u64 };
        (UnixNanos(n * 1_000), UnixNanos(late(n)), data)
    });
    for (what, bytes) in [("in order", steady), ("out of order", disorder), ("one level", depth)] {
        assert!(bytes <= limit, "{what}: {bytes} bytes for {EVENTS} events, more than {limit}");
    }
}
