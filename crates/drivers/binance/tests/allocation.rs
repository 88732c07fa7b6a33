//! Proof that decoding the usual frames allocates nothing once the level storage has grown.
#![allow(unsafe_code)] // a counting allocator cannot be written without

use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{Decoder, Levels, Product, SymbolMap};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FRAMES: [&str; 3] = [
    r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}"#,
    r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"],["61510.90","0.000"]],"a":[["61810.00","1.5"]]}}"#,
];

#[test]
fn decoding_allocates_nothing() {
    let decoder = Decoder::new(SymbolMap::new(Product::UsdM, builtin(Product::UsdM, "BTCUSDT")));
    let mut levels = Levels::default();
    let mut round = || {
        for frame in FRAMES {
            decoder.decode(frame.as_bytes(), None, &mut levels).unwrap();
        }
    };
    round();
    let before = COUNT.with(Cell::get);
    assert!(before > 0, "the counter counts");
    for _ in 0..100 {
        round();
    }
    assert_eq!(COUNT.with(Cell::get), before);
}
