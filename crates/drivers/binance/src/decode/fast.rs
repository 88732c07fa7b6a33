//! The frames that come thousands of times a second, field by field in any order, without allocation.
//! Never: has an opinion on what it does not fully understand: `None` means "ask the JSON parser".

use super::scan::{Scan, key2};
use super::{AggTrade, BookTicker, DepthUpdate, Frame, Levels, Snapshot, TradeTick, is_partial_depth};
use crate::symbols::{Grid, SymbolMap};
use ctos_types::{InstrumentId, Price, Qty, Quote, Side, Trade, UnixNanos};

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
    let stream = s.text()?;
    s.skip(b",\"data\":")?;
    let frame = payload(&mut s, map, levels)?;
    s.skip(b"}")?;
    s.at_end()?;
    // A partial book looks like a diff and is none.
    if matches!(frame, Frame::Depth(_)) && is_partial_depth(std::str::from_utf8(stream).ok()?) {
        return None;
    }
    Some(frame)
}

#[inline(always)]
fn payload(s: &mut Scan<'_>, map: &SymbolMap, levels: &mut Levels) -> Option<Frame> {
    if s.skip(b"{\"u\":").is_some() {
        let mut fields = Fields { u: Some(s.integer()?), ..Fields::default() };
        fields.read(s, map)?;
        return fields.book_ticker();
    }
    s.skip(b"{\"e\":\"")?;
    let mut fields = Fields::default();
    match s.text()? {
        b"bookTicker" => {
            fields.read(s, map)?;
            fields.book_ticker()
        }
        b"depthUpdate" => depth(s, map, levels),
        b"trade" => {
            fields.read(s, map)?;
            fields.trade()
        }
        b"aggTrade" => {
            fields.read_agg(s, map)?;
            fields.agg_trade()
        }
        _ => None,
    }
}

/// A field may come once: which of two the parser takes is its own affair.
#[inline(always)]
fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    *slot = value;
    slot.is_some().then_some(())
}

/// What quotes and trades may say. The letters are the venue's.
#[derive(Default)]
struct Fields<'m> {
    grid: Option<&'m Grid>,
    u: Option<u64>,
    bid: Option<Price>,
    bid_qty: Option<Qty>,
    ask: Option<Price>,
    ask_qty: Option<Qty>,
    price: Option<Price>,
    qty: Option<Qty>,
    id: Option<u64>,
    first: Option<u64>,
    last: Option<u64>,
    engine: Option<UnixNanos>,
    sent: Option<UnixNanos>,
    buyer_is_maker: Option<bool>,
    on_book: Option<bool>,
}

impl<'m> Fields<'m> {
    /// Fields of a quote or a single trade.
    #[inline(always)]
    fn read(&mut self, s: &mut Scan<'_>, map: &'m SymbolMap) -> Option<()> {
        const U: u16 = b'u' as u16;
        const BID: u16 = b'b' as u16;
        const BID_QTY: u16 = b'B' as u16;
        const ASK: u16 = b'a' as u16;
        const ASK_QTY: u16 = b'A' as u16;
        const ID: u16 = b't' as u16;
        const KIND: u16 = b'X' as u16;
        loop {
            match s.next_key()? {
                0 => return Some(()),
                U => once(&mut self.u, s.integer())?,
                BID => once(&mut self.bid, s.price(self.grid?))?,
                BID_QTY => once(&mut self.bid_qty, s.qty(self.grid?))?,
                ASK => once(&mut self.ask, s.price(self.grid?))?,
                ASK_QTY => once(&mut self.ask_qty, s.qty(self.grid?))?,
                ID => once(&mut self.id, s.integer())?,
                KIND => {
                    s.skip(b"\"")?;
                    once(&mut self.on_book, Some(s.text()? == b"MARKET"))?;
                }
                key => self.read_shared(key, s, map)?,
            }
        }
    }

    /// Fields of an aggregate: `a` is its id there.
    #[inline(always)]
    fn read_agg(&mut self, s: &mut Scan<'_>, map: &'m SymbolMap) -> Option<()> {
        const ID: u16 = b'a' as u16;
        const FIRST: u16 = b'f' as u16;
        const LAST: u16 = b'l' as u16;
        loop {
            match s.next_key()? {
                0 => return Some(()),
                ID => once(&mut self.id, s.integer())?,
                FIRST => once(&mut self.first, s.integer())?,
                LAST => once(&mut self.last, s.integer())?,
                key => self.read_shared(key, s, map)?,
            }
        }
    }

    #[inline(always)]
    fn read_shared(&mut self, key: u16, s: &mut Scan<'_>, map: &'m SymbolMap) -> Option<()> {
        const EVENT: u16 = b'e' as u16;
        const SYMBOL: u16 = b's' as u16;
        const SENT: u16 = b'E' as u16;
        const ENGINE: u16 = b'T' as u16;
        const PRICE: u16 = b'p' as u16;
        const QTY: u16 = b'q' as u16;
        const MAKER: u16 = b'm' as u16;
        match key {
            EVENT => None,
            SYMBOL => once(&mut self.grid, symbol(s, map)),
            SENT => once(&mut self.sent, s.time()),
            ENGINE => once(&mut self.engine, s.time()),
            PRICE => once(&mut self.price, s.price(self.grid?)),
            QTY => once(&mut self.qty, s.qty(self.grid?)),
            MAKER => once(&mut self.buyer_is_maker, s.boolean()),
            _ => s.pass_value(),
        }
    }

    #[inline(always)]
    fn book_ticker(self) -> Option<Frame> {
        let quote = Quote { bid_px: self.bid?, bid_qty: self.bid_qty?, ask_px: self.ask?, ask_qty: self.ask_qty? };
        Some(Frame::BookTicker(BookTicker {
            instrument: self.grid?.id,
            update_id: self.u?,
            quote,
            ts_engine: self.engine,
            ts_sent: self.sent,
        }))
    }

    #[inline(always)]
    fn taken(&self) -> Option<Trade> {
        let aggressor = aggressor(self.buyer_is_maker?);
        Some(Trade { price: self.price?, qty: self.qty?, aggressor, id: self.id? })
    }

    #[inline(always)]
    fn trade(self) -> Option<Frame> {
        Some(Frame::Trade(TradeTick {
            instrument: self.grid?.id,
            trade: self.taken()?,
            ts_event: self.engine?,
            ts_sent: self.sent?,
            on_book: self.on_book,
        }))
    }

    #[inline(always)]
    fn agg_trade(self) -> Option<Frame> {
        Some(Frame::AggTrade(AggTrade {
            instrument: self.grid?.id,
            trade: self.taken()?,
            first_trade: self.first?,
            last_trade: self.last?,
            ts_event: self.engine?,
            ts_sent: self.sent?,
        }))
    }
}

#[inline(always)]
fn symbol<'m>(s: &mut Scan<'_>, map: &'m SymbolMap) -> Option<&'m Grid> {
    s.skip(b"\"")?;
    map.find(s.text()?)
}

/// `m`: the buyer was the maker, so the seller took.
pub(super) fn aggressor(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

fn depth(s: &mut Scan<'_>, map: &SymbolMap, levels: &mut Levels) -> Option<Frame> {
    const EVENT: u16 = b'e' as u16;
    const SYMBOL: u16 = b's' as u16;
    const SENT: u16 = b'E' as u16;
    const ENGINE: u16 = b'T' as u16;
    const FIRST: u16 = b'U' as u16;
    const LAST: u16 = b'u' as u16;
    const PREV: u16 = key2(b'p', b'u');
    const BIDS: u16 = b'b' as u16;
    const ASKS: u16 = b'a' as u16;
    levels.clear();
    let (mut grid, mut sent, mut engine) = (None, None, None);
    let (mut first, mut last, mut prev) = (None, None, None);
    let (mut bids, mut asks) = (None, None);
    loop {
        match s.next_key()? {
            0 => break,
            EVENT => return None,
            SYMBOL => once(&mut grid, symbol(s, map))?,
            SENT => once(&mut sent, s.time())?,
            ENGINE => once(&mut engine, s.time())?,
            FIRST => once(&mut first, s.integer())?,
            LAST => once(&mut last, s.integer())?,
            PREV => once(&mut prev, s.integer())?,
            BIDS => once(&mut bids, s.levels(grid?, &mut levels.bids))?,
            ASKS => once(&mut asks, s.levels(grid?, &mut levels.asks))?,
            _ => s.pass_value()?,
        }
    }
    bids?;
    asks?;
    Some(Frame::Depth(DepthUpdate {
        instrument: grid?.id,
        first: first?,
        last: last?,
        prev,
        ts_sent: sent?,
        ts_engine: engine,
    }))
}

/// A reply of the REST interface: its keys are words, in one order.
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
    s.skip(b",\"bids\":")?;
    s.levels(grid, &mut levels.bids)?;
    s.skip(b",\"asks\":")?;
    s.levels(grid, &mut levels.asks)?;
    s.skip(b"}")?;
    Some(Frame::Snapshot(Snapshot { instrument: grid.id, last_update_id, ts_sent, ts_event }))
}
