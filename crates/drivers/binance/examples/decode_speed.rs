//! Prints how many frames a second one core decodes: from memory by kind, and from the compressed file to events.
//! Run: `cargo run --release -p ctos-driver-binance --example decode_speed -- CAPTURE`.

use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{Decoder, Frame, Levels, Replayer, SymbolMap, probe};
use ctos_driver_binance::{LineSource, SourceLine};
use ctos_storage::capture::{CaptureError, CaptureReader};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

struct File(CaptureReader);

impl LineSource for File {
    type Error = CaptureError;
    fn next_line(&mut self) -> Result<Option<SourceLine<'_>>, CaptureError> {
        let line = self.0.next_line()?;
        Ok(line.map(|l| SourceLine::Frame { number: l.number, ts_recv: l.ts_recv, frame: l.frame }))
    }
}

fn rate(frames: usize, started: Instant) -> String {
    format!("{:>12.0} frames/s", frames as f64 / started.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of a capture")?;
    let seen = probe(&mut File(CaptureReader::open(&path)?), 1_000)?;
    let product = seen.product.ok_or("no frame tells the product")?;
    let symbols = seen.symbols.keys();
    let instruments: Vec<_> = symbols.filter_map(|s| builtin(product, s).cloned()).collect();
    let decoder = Decoder::new(SymbolMap::new(product, &instruments));
    let of = instruments.first().map(|i| i.id);

    let mut levels = Levels::default();
    let mut by_kind = BTreeMap::<&str, Vec<Vec<u8>>>::new();
    let mut reader = CaptureReader::open(&path)?;
    while let Some(line) = reader.next_line()? {
        let kind = match decoder.decode(line.frame, of, &mut levels)? {
            Frame::Depth(_) => "depth",
            Frame::BookTicker(_) => "book ticker",
            Frame::Trade(_) => "trade",
            Frame::Snapshot(_) => "snapshot",
            _ => "other",
        };
        by_kind.entry(kind).or_default().push(line.frame.to_vec());
    }
    let all: Vec<_> = by_kind.values().flatten().cloned().collect();
    by_kind.insert("all", all);
    for (kind, frames) in &by_kind {
        let rounds = (1_000_000 / frames.len()).max(1);
        let bytes: usize = frames.iter().map(Vec::len).sum();
        let started = Instant::now();
        for _ in 0..rounds {
            for frame in frames {
                black_box(decoder.decode(black_box(frame), of, &mut levels))?;
            }
        }
        println!("{kind:>12} {} mean {} bytes", rate(frames.len() * rounds, started), bytes / frames.len());
    }

    let (started, mut events, mut lines) = (Instant::now(), 0u64, 0);
    for _ in 0..5 {
        let mut reader = CaptureReader::open(&path)?;
        let mut replayer = Replayer::new(&instruments, None);
        while let Some(line) = reader.next_line()? {
            replayer.on_line(line.number, line.ts_recv, line.frame, &mut |_, _| events += 1);
            lines += 1;
        }
    }
    println!("  from file {} to {events} events", rate(lines, started));
    let started = Instant::now();
    let mut lines = 0;
    for _ in 0..5 {
        let mut reader = CaptureReader::open(&path)?;
        while reader.next_line()?.is_some() {
            lines += 1;
        }
    }
    println!("  read only {}", rate(lines, started));
    Ok(())
}
