//! Every kind of fault in the chain of depth updates, put into recorded traffic at the level of whole frames: raw bytes
//! in, what the book's keeper is told out. The recordings are not part of the repository: absent, a test says so.

use ctos_driver_binance::decode::{DepthUpdate, Snapshot};
use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{BookSync, Decoder, Frame, Levels, Product, SymbolMap, SyncOut};
use ctos_storage::capture::CaptureReader;
use std::path::Path;

/// The depth frames of a recording, as they came.
fn frames(name: &str, product: Product, symbol: &str) -> Option<(Decoder, Vec<Vec<u8>>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/raw").join(name);
    if !path.exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
        println!("skipped: {} is absent", path.display());
        return None;
    }
    let instrument = builtin(product, symbol).unwrap();
    let decoder = Decoder::new(SymbolMap::new(product, [instrument]));
    let (mut reader, mut levels, mut found) = (CaptureReader::open(&path).unwrap(), Levels::default(), Vec::new());
    while let Some(line) = reader.next_line().unwrap() {
        match decoder.decode(line.frame, Some(instrument.id), &mut levels) {
            Ok(Frame::Depth(_)) => found.push(line.frame.to_vec()),
            Ok(_) => {}
            Err(e) => panic!("line {}: {e}", line.number),
        }
    }
    Some((decoder, found))
}

/// What was done to the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Dropped,
    Doubled,
    Swapped,
}

/// The frames from `at - 3` on with a fault at `at`: how many frames after the fault could show it the keeper was told
/// of a gap (0: at once), and what was applied.
fn run(decoder: &Decoder, frames: &[Vec<u8>], at: usize, fault: Fault) -> (Option<usize>, Vec<(u64, u64)>) {
    let mut order: Vec<usize> = (at - 3..at + 4).collect();
    let first_wrong = match fault {
        Fault::None => usize::MAX,
        Fault::Dropped => {
            order.remove(3);
            3
        }
        Fault::Doubled => {
            order.insert(4, at);
            4
        }
        Fault::Swapped => {
            order.swap(3, 4);
            3
        }
    };
    let product = decoder.symbols().product();
    let (mut sync, mut levels) = (BookSync::new(product), Levels::default());
    let (mut gap, mut applied) = (None, Vec::new());
    for (n, which) in order.into_iter().enumerate() {
        let Ok(Frame::Depth(diff)) = decoder.decode(&frames[which], None, &mut levels) else { panic!("frame {which}") };
        let mut told = |out: SyncOut<'_>| match out {
            SyncOut::Gap { .. } => gap = gap.or(Some(n.checked_sub(first_wrong).expect("a gap before the fault"))),
            SyncOut::Diff { diff: DepthUpdate { first, last, .. }, .. } => applied.push((first, last)),
            SyncOut::Snapshot { .. } => {}
        };
        if n == 0 {
            let id = diff.last;
            let snapshot = Snapshot { instrument: diff.instrument, last_update_id: id, ts_sent: None, ts_event: None };
            sync.on_snapshot(&snapshot, &levels, &mut told);
        } else {
            sync.on_diff(&diff, &levels, &mut told);
        }
    }
    (gap, applied)
}

#[test]
fn a_fault_in_the_chain_shows_with_the_frame_that_shows_it() {
    for (name, product, symbol) in [
        ("binance_usdm_btcusdt_20240808.jsonl.gz", Product::UsdM, "BTCUSDT"),
        ("binance_usdm_ethusdt_20240808.jsonl.gz", Product::UsdM, "ETHUSDT"),
        ("binance_spot_btcusdt_20240809.jsonl.gz", Product::Spot, "BTCUSDT"),
    ] {
        let Some((decoder, frames)) = frames(name, product, symbol) else { continue };
        for at in (3..frames.len() - 4).step_by(5) {
            let (gap, whole) = run(&decoder, &frames, at, Fault::None);
            assert_eq!((gap, whole.len()), (None, 6), "{name} at {at}");
            for fault in [Fault::Dropped, Fault::Swapped] {
                let (gap, applied) = run(&decoder, &frames, at, fault);
                assert_eq!(gap, Some(0), "{name} at {at}: {fault:?}");
                assert_eq!(applied, whole[..2], "{name} at {at}: nothing behind the fault reaches the book");
            }
            // Spot's ids show that the book has it already, so nothing is lost; USD-M's chain says only that it broke.
            let (gap, applied) = run(&decoder, &frames, at, Fault::Doubled);
            match product {
                Product::UsdM => assert_eq!((gap, applied), (Some(0), whole[..3].to_vec()), "{name} at {at}"),
                Product::Spot => assert_eq!((gap, applied), (None, whole), "{name} at {at}"),
            }
        }
    }
}
