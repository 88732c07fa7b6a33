//! The shapes Binance really sends, field by field in their order, without allocation.
//! Never: has an opinion on another shape: `None` means "ask the JSON parser".

use super::scan::Scan;
use super::{AggTrade, BookTicker, DepthUpdate, Frame, Levels, Snapshot, TradeTick, is_partial_depth};
use crate::symbols::{Grid, SymbolMap};
use ctos_types::{InstrumentId, Quote, Side, Trade};

pub(super) fn decode(
    map: &SymbolMap,
    frame: &[u8],
    snapshot_of: Option<InstrumentId>,
    levels: &mut Levels,
) -> Option<Frame> {
    let mut s = Scan::new(frame);
    if s.skip(b"{\"stream\":\"").is_none() {
        let frame = payload(&mut s, map, levels).or_else(|| {
            s = Scan::new(frame);
            snapshot(&mut s, map, snapshot_of, levels)
        })?;
        s.at_end()?;
        return Some(frame);
    }
    let stream = std::str::from_utf8(s.text()?).ok()?;
    s.skip(b",\"data\":")?;
    let frame = payload(&mut s, map, levels)?;
    s.skip(b"}")?;
    s.at_end()?;
    // A partial book looks like a diff and is none.
    if matches!(frame, Frame::Depth(_)) && is_partial_depth(stream) { None } else { Some(frame) }
}

fn payload(s: &mut Scan<'_>, map: &SymbolMap, levels: &mut Levels) -> Option<Frame> {
    if s.skip(b"{\"u\":").is_some() {
        return book_ticker(s, map, false);
    }
    s.skip(b"{\"e\":\"")?;
    match s.text()? {
        b"bookTicker" => {
            s.skip(b",\"u\":")?;
            book_ticker(s, map, true)
        }
        b"trade" => trade(s, map),
        b"depthUpdate" => depth(s, map, levels),
        b"aggTrade" => agg_trade(s, map),
        _ => None,
    }
}

fn symbol<'m>(s: &mut Scan<'_>, map: &'m SymbolMap) -> Option<&'m Grid> {
    s.skip(b",\"s\":\"")?;
    map.find(s.text()?)
}

fn book_ticker(s: &mut Scan<'_>, map: &SymbolMap, futures: bool) -> Option<Frame> {
    let update_id = s.integer()?;
    let grid = symbol(s, map)?;
    s.skip(b",\"b\":\"")?;
    let bid_px = s.price(grid)?;
    s.skip(b",\"B\":\"")?;
    let bid_qty = s.qty(grid)?;
    s.skip(b",\"a\":\"")?;
    let ask_px = s.price(grid)?;
    s.skip(b",\"A\":\"")?;
    let ask_qty = s.qty(grid)?;
    let (mut ts_engine, mut ts_sent) = (None, None);
    if futures {
        s.skip(b",\"T\":")?;
        ts_engine = Some(s.time()?);
        s.skip(b",\"E\":")?;
        ts_sent = Some(s.time()?);
    }
    s.skip(b"}")?;
    let quote = Quote { bid_px, bid_qty, ask_px, ask_qty };
    Some(Frame::BookTicker(BookTicker { instrument: grid.id, update_id, quote, ts_engine, ts_sent }))
}

/// USD-M has `T` before the symbol and `X`; spot has `T` behind the size and `M`.
fn trade(s: &mut Scan<'_>, map: &SymbolMap) -> Option<Frame> {
    s.skip(b",\"E\":")?;
    let ts_sent = s.time()?;
    let early = match s.skip(b",\"T\":") {
        Some(()) => Some(s.time()?),
        None => None,
    };
    let grid = symbol(s, map)?;
    s.skip(b",\"t\":")?;
    let id = s.integer()?;
    s.skip(b",\"p\":\"")?;
    let price = s.price(grid)?;
    s.skip(b",\"q\":\"")?;
    let qty = s.qty(grid)?;
    let (ts_event, on_book) = match early {
        Some(ts) => {
            s.skip(b",\"X\":\"")?;
            (ts, Some(s.text()? == b"MARKET"))
        }
        None => {
            s.skip(b",\"T\":")?;
            (s.time()?, None)
        }
    };
    s.skip(b",\"m\":")?;
    let aggressor = aggressor(s.boolean()?);
    if on_book.is_none() {
        s.skip(b",\"M\":")?;
        s.boolean()?;
    }
    s.skip(b"}")?;
    let trade = Trade { price, qty, aggressor, id };
    Some(Frame::Trade(TradeTick { instrument: grid.id, trade, ts_event, ts_sent, on_book }))
}

/// `m`: the buyer was the maker, so the seller took.
pub(super) fn aggressor(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

fn depth(s: &mut Scan<'_>, map: &SymbolMap, levels: &mut Levels) -> Option<Frame> {
    levels.clear();
    s.skip(b",\"E\":")?;
    let ts_sent = s.time()?;
    let ts_engine = match s.skip(b",\"T\":") {
        Some(()) => Some(s.time()?),
        None => None,
    };
    let grid = symbol(s, map)?;
    s.skip(b",\"U\":")?;
    let first = s.integer()?;
    s.skip(b",\"u\":")?;
    let last = s.integer()?;
    let prev = match s.skip(b",\"pu\":") {
        Some(()) => Some(s.integer()?),
        None => None,
    };
    s.skip(b",\"b\":[")?;
    s.levels(grid, &mut levels.bids)?;
    s.skip(b",\"a\":[")?;
    s.levels(grid, &mut levels.asks)?;
    s.skip(b"}")?;
    Some(Frame::Depth(DepthUpdate { instrument: grid.id, first, last, prev, ts_sent, ts_engine }))
}

fn agg_trade(s: &mut Scan<'_>, map: &SymbolMap) -> Option<Frame> {
    s.skip(b",\"E\":")?;
    let ts_sent = s.time()?;
    let grid = symbol(s, map)?;
    s.skip(b",\"a\":")?;
    let id = s.integer()?;
    s.skip(b",\"p\":\"")?;
    let price = s.price(grid)?;
    s.skip(b",\"q\":\"")?;
    let qty = s.qty(grid)?;
    s.skip(b",\"f\":")?;
    let first_trade = s.integer()?;
    s.skip(b",\"l\":")?;
    let last_trade = s.integer()?;
    s.skip(b",\"T\":")?;
    let ts_event = s.time()?;
    s.skip(b",\"m\":")?;
    let aggressor = aggressor(s.boolean()?);
    if s.skip(b",\"M\":").is_some() {
        s.boolean()?;
    }
    s.skip(b"}")?;
    let trade = Trade { price, qty, aggressor, id };
    Some(Frame::AggTrade(AggTrade { instrument: grid.id, trade, first_trade, last_trade, ts_event, ts_sent }))
}

fn snapshot(s: &mut Scan<'_>, map: &SymbolMap, of: Option<InstrumentId>, levels: &mut Levels) -> Option<Frame> {
    levels.clear();
    let grid = map.by_id(of?)?;
    s.skip(b"{\"lastUpdateId\":")?;
    let last_update_id = s.integer()?;
    let (mut ts_sent, mut ts_event) = (None, None);
    if s.skip(b",\"E\":").is_some() {
        ts_sent = Some(s.time()?);
        s.skip(b",\"T\":")?;
        ts_event = Some(s.time()?);
    }
    s.skip(b",\"bids\":[")?;
    s.levels(grid, &mut levels.bids)?;
    s.skip(b",\"asks\":[")?;
    s.levels(grid, &mut levels.asks)?;
    s.skip(b"}")?;
    Some(Frame::Snapshot(Snapshot { instrument: grid.id, last_update_id, ts_sent, ts_event }))
}
