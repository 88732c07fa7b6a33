//! Writes samples of the synthetic market as CSV to standard output, for statistics and plots.
//! Never: a decision, a default run: `minutes` and `day` name what is sampled, `speed` counts events.

use ctos_types::event::EventKind;
use ctos_types::{EventBuf, L2Book, Side};
use ctos_venue::synthetic::minute_prices;
use ctos_venue::{MarketSource, SyntheticConfig, SyntheticMarket};
use std::error::Error;
use std::io::{BufWriter, Write};

const USAGE: &str =
    "usage: synthetic_csv minutes SEED COUNT SYMBOL... | book SEED MINUTES SYMBOL | speed SEED EVENTS [SYMBOL...]";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, seed, count, symbols @ ..] = args.as_slice() else { return Err(USAGE.into()) };
    let config = SyntheticConfig::for_symbols(seed.parse()?, symbols)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    match what.as_str() {
        "minutes" => minutes(&config, count.parse()?, &mut out)?,
        "book" => book(config, count.parse()?, &mut out)?,
        "speed" => speed(config, count.parse()?, &mut out)?,
        _ => return Err(USAGE.into()),
    }
    Ok(out.flush()?)
}

/// One line a minute, one column a coin: the efficient price.
fn minutes(config: &SyntheticConfig, count: usize, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let prices = minute_prices(config, count)?;
    writeln!(out, "{}", (0..prices.len()).map(|i| format!("coin{i}")).collect::<Vec<_>>().join(","))?;
    for minute in 0..count {
        writeln!(out, "{}", prices.iter().map(|p| p[minute].to_string()).collect::<Vec<_>>().join(","))?;
    }
    Ok(())
}

/// One line a second of the first instrument's book: seconds since start, bid, ask, their sizes, trades and traded size.
fn book(config: SyntheticConfig, minutes: i64, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let start = config.start;
    let mut market = SyntheticMarket::new(config)?;
    let i = market.instruments().iter().next().ok_or("nothing selected")?.clone();
    let (mut event, mut book) = (EventBuf::default(), L2Book::default());
    let (mut second, mut trades, mut traded) = (1, 0, 0);
    writeln!(out, "second,bid,ask,bid_qty,ask_qty,trades,traded")?;
    while let Some(times) = market.next(&mut event) {
        while (times.venue - start).0 >= second * ctos_types::time::NANOS_PER_SEC {
            let q = book.quote();
            let (bid, ask) = (i.price_text(q.bid_px), i.price_text(q.ask_px));
            let (bid_qty, ask_qty) = (i.qty_text(q.bid_qty), i.qty_text(q.ask_qty));
            let traded_text = i.qty_text(ctos_types::Qty(traded));
            writeln!(out, "{second},{bid},{ask},{bid_qty},{ask_qty},{trades},{traded_text}")?;
            (second, trades, traded) = (second + 1, 0, 0);
        }
        if second > minutes * 60 {
            break;
        }
        match &event.kind {
            EventKind::Trade { instrument, trade, .. } if *instrument == i.id => {
                trades += 1;
                traded += trade.qty.0;
            }
            EventKind::Depth { instrument, bids, .. } if *instrument == i.id => {
                let (bids, asks) = event.levels.split_at(*bids);
                bids.iter().for_each(|l| book.set(Side::Buy, l.price, l.qty));
                asks.iter().for_each(|l| book.set(Side::Sell, l.price, l.qty));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Runs through many events and prints how many of which kind there were in how much market time.
/// Run it under a stopwatch for the speed.
fn speed(config: SyntheticConfig, events: u64, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let start = config.start;
    let mut market = SyntheticMarket::new(config)?;
    let mut event = EventBuf::default();
    let (mut depth, mut trades, mut levels, mut end) = (0u64, 0u64, 0u64, start);
    for _ in 0..events {
        let Some(times) = market.next(&mut event) else { break };
        end = times.venue;
        match &event.kind {
            EventKind::Depth { .. } => {
                depth += 1;
                levels += event.levels.len() as u64;
            }
            EventKind::Trade { .. } => trades += 1,
            _ => {}
        }
    }
    writeln!(out, "events,depth,levels,trades,market_secs,digest")?;
    let digest: String = market.digest().iter().map(|b| format!("{b:02x}")).collect();
    Ok(writeln!(out, "{events},{depth},{levels},{trades},{},{digest}", (end - start).as_secs_f64())?)
}
