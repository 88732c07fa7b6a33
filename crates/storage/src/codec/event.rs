//! Stamped inputs: market data, venue reports, account events, wakes and controls.
//! Never: checks that a sequence follows another (the journal does).

use super::CodecError;
use super::command::{control, read_control};
use super::raw::{Reader, Writer};
use ctos_types::event::EventKind;
use ctos_types::{
    AccountEvent, Balance, Bar, CancelReason, Event, EventBuf, Fill, FundingRate, Interval, Liquidity, MarkPrice,
    MarketData, OrderReport, Quote, RejectReason, ReportBody, Request, Rules, Stamped, Trade, UnixNanos,
};

type Result<T> = std::result::Result<T, CodecError>;

const QUOTE: u8 = 0;
const TRADE: u8 = 1;
const DEPTH: u8 = 2;
const BAR: u8 = 3;
const MARK: u8 = 4;
const FUNDING: u8 = 5;
const GAP: u8 = 6;
const REPORT: u8 = 7;
const ACCOUNT: u8 = 8;
const WAKE: u8 = 9;
const CONTROL: u8 = 10;
const RULES: u8 = 11;

/// Appends the input. Does not allocate when `out` has room.
pub fn encode_event(input: &Stamped<Event<'_>>, out: &mut Vec<u8>) {
    let w = &mut Writer(out);
    let mut head = |tag| {
        w.u8(tag);
        w.uint(input.seq);
        w.time(input.at);
    };
    match &input.event {
        Event::Market(m) => {
            head(match m.data {
                MarketData::Quote { .. } => QUOTE,
                MarketData::Trade(_) => TRADE,
                MarketData::Depth { .. } => DEPTH,
                MarketData::Bar(_) => BAR,
                MarketData::Mark(_) => MARK,
                MarketData::Funding(_) => FUNDING,
                MarketData::Gap => GAP,
            });
            w.instrument(m.instrument);
            w.time(m.ts_event);
            market(w, &m.data);
        }
        Event::Report(report) => {
            head(REPORT);
            order_report(w, report);
        }
        Event::Account(event) => {
            head(ACCOUNT);
            account_event(w, event);
        }
        Event::Rules { instrument, rules } => {
            head(RULES);
            w.instrument(*instrument);
            w.price(rules.tick);
            [rules.lot, rules.min_qty, rules.max_qty].into_iter().for_each(|q| w.qty(q));
            w.decimal(rules.min_notional);
            w.bool(rules.trading);
        }
        Event::Wake => head(WAKE),
        Event::Control(c) => {
            head(CONTROL);
            control(w, c);
        }
    }
}

/// Reads an input into `buf`, reusing its level storage, and returns its sequence and kernel time. All of `bytes` must
/// belong to it. After an error `buf` holds [`EventKind::Wake`].
pub fn decode_event(bytes: &[u8], buf: &mut EventBuf) -> Result<(u64, UnixNanos)> {
    buf.levels.clear();
    buf.kind = EventKind::Wake;
    let decoded = decode(&mut Reader(bytes), buf);
    if decoded.is_err() {
        // A count of bids without its levels would not be a valid event.
        buf.levels.clear();
        buf.kind = EventKind::Wake;
    }
    decoded
}

/// The sequence of an encoded input, without decoding the rest.
pub(crate) fn event_seq(bytes: &[u8]) -> Result<u64> {
    let r = &mut Reader(bytes);
    r.u8()?;
    r.uint("sequence")
}

fn decode(r: &mut Reader<'_>, buf: &mut EventBuf) -> Result<(u64, UnixNanos)> {
    let tag = r.u8()?;
    let seq = r.uint("sequence")?;
    let at = r.time()?;
    buf.kind = match tag {
        QUOTE..=GAP => read_market(tag, r, buf)?,
        REPORT => EventKind::Report(read_order_report(r)?),
        ACCOUNT => EventKind::Account(read_account_event(r)?),
        WAKE => EventKind::Wake,
        CONTROL => EventKind::Control(read_control(r)?),
        RULES => EventKind::Rules { instrument: r.instrument()?, rules: read_rules(r)? },
        tag => return Err(CodecError::UnknownTag { what: "input", tag }),
    };
    r.finish()?;
    Ok((seq, at))
}

fn market(w: &mut Writer<'_>, data: &MarketData<'_>) {
    match data {
        MarketData::Quote { quote: q, update_id } => {
            w.price(q.bid_px);
            w.qty(q.bid_qty);
            w.price(q.ask_px);
            w.qty(q.ask_qty);
            w.uint(*update_id);
        }
        MarketData::Trade(t) => {
            w.price(t.price);
            w.qty(t.qty);
            w.side(t.aggressor);
            w.uint(t.id);
        }
        MarketData::Depth { bids, asks, snapshot, update_id } => {
            w.bool(*snapshot);
            w.uint(*update_id);
            w.uint(bids.len() as u64);
            w.uint(asks.len() as u64);
            bids.iter().chain(*asks).for_each(|l| w.level(l));
        }
        MarketData::Bar(b) => {
            w.uint(u64::from(b.interval.code()));
            w.time(b.open_time);
            [b.open, b.high, b.low, b.close].into_iter().for_each(|px| w.price(px));
            w.qty(b.volume);
        }
        MarketData::Mark(m) => {
            w.decimal(m.mark);
            w.decimal(m.index);
            w.decimal(m.funding_rate);
            w.time(m.next_funding);
        }
        MarketData::Funding(f) => {
            w.decimal(f.rate);
            w.decimal(f.mark);
        }
        MarketData::Gap => {}
    }
}

fn read_market(tag: u8, r: &mut Reader<'_>, buf: &mut EventBuf) -> Result<EventKind> {
    let instrument = r.instrument()?;
    let ts_event = r.time()?;
    Ok(match tag {
        QUOTE => {
            let quote = Quote { bid_px: r.price()?, bid_qty: r.qty()?, ask_px: r.price()?, ask_qty: r.qty()? };
            EventKind::Quote { instrument, ts_event, quote, update_id: r.uint("update id")? }
        }
        TRADE => {
            let trade = Trade { price: r.price()?, qty: r.qty()?, aggressor: r.side()?, id: r.uint("trade id")? };
            EventKind::Trade { instrument, ts_event, trade }
        }
        DEPTH => {
            let snapshot = r.bool("snapshot")?;
            let update_id = r.uint("update id")?;
            let bids = read_levels(r, &mut buf.levels)?;
            EventKind::Depth { instrument, ts_event, bids, snapshot, update_id }
        }
        BAR => EventKind::Bar { instrument, ts_event, bar: read_bar(r)? },
        MARK => {
            let mark = MarkPrice {
                mark: r.decimal("mark")?,
                index: r.decimal("index")?,
                funding_rate: r.decimal("funding rate")?,
                next_funding: r.time()?,
            };
            EventKind::Mark { instrument, ts_event, mark }
        }
        FUNDING => {
            let funding = FundingRate { rate: r.decimal("funding rate")?, mark: r.decimal("mark")? };
            EventKind::Funding { instrument, ts_event, funding }
        }
        _ => EventKind::Gap { instrument, ts_event },
    })
}

/// Returns how many of the levels are bids.
fn read_levels(r: &mut Reader<'_>, levels: &mut Vec<ctos_types::Level>) -> Result<usize> {
    let bids = r.uint("bids")?;
    let asks = r.uint("asks")?;
    // A level takes at least two bytes: a count beyond that is nonsense, and must not reserve memory.
    let total = bids.checked_add(asks).filter(|n| *n <= r.remaining() as u64 / 2).ok_or(CodecError::Truncated)?;
    levels.reserve(total as usize);
    for _ in 0..total {
        levels.push(r.level()?);
    }
    Ok(bids as usize)
}

fn read_bar(r: &mut Reader<'_>) -> Result<Bar> {
    let interval = u32::try_from(r.uint("interval")?).ok().and_then(Interval::from_code);
    Ok(Bar {
        interval: interval.ok_or(CodecError::OutOfRange("interval"))?,
        open_time: r.time()?,
        open: r.price()?,
        high: r.price()?,
        low: r.price()?,
        close: r.price()?,
        volume: r.qty()?,
    })
}

fn read_rules(r: &mut Reader<'_>) -> Result<Rules> {
    Ok(Rules {
        tick: r.price()?,
        lot: r.qty()?,
        min_qty: r.qty()?,
        max_qty: r.qty()?,
        min_notional: r.decimal("minimum notional")?,
        trading: r.bool("trading")?,
    })
}

fn order_report(w: &mut Writer<'_>, o: &OrderReport) {
    w.account(o.account);
    w.instrument(o.instrument);
    w.option(o.cl_ord_id, |w, id| w.cl_ord_id(id, true));
    w.text(&o.venue_order_id);
    w.time(o.ts_event);
    match &o.body {
        ReportBody::Accepted => w.u8(0),
        ReportBody::Rejected { request, reason, code } => {
            w.u8(1);
            w.u8(request_tag(*request));
            w.u8(reject_tag(*reason));
            w.text(code);
        }
        ReportBody::Triggered => w.u8(2),
        ReportBody::Fill(f) => {
            w.u8(3);
            fill(w, f);
        }
        ReportBody::Amended { price, qty } => {
            w.u8(4);
            w.option(*price, Writer::price);
            w.qty(*qty);
        }
        ReportBody::Canceled { reason } => {
            w.u8(5);
            w.u8(cancel_tag(*reason));
        }
        ReportBody::Expired => w.u8(6),
        ReportBody::Unknown { request } => {
            w.u8(7);
            w.u8(request_tag(*request));
        }
    }
}

fn read_order_report(r: &mut Reader<'_>) -> Result<OrderReport> {
    Ok(OrderReport {
        account: r.account()?,
        instrument: r.instrument()?,
        cl_ord_id: r.option("client order id", Reader::cl_ord_id)?,
        venue_order_id: r.text("venue order id")?,
        ts_event: r.time()?,
        body: match r.u8()? {
            0 => ReportBody::Accepted,
            1 => ReportBody::Rejected {
                request: read_request(r)?,
                reason: read_reject(r)?,
                code: r.text("reject code")?,
            },
            2 => ReportBody::Triggered,
            3 => ReportBody::Fill(read_fill(r)?),
            4 => ReportBody::Amended { price: r.option("amended price", Reader::price)?, qty: r.qty()? },
            5 => ReportBody::Canceled { reason: read_cancel(r)? },
            6 => ReportBody::Expired,
            7 => ReportBody::Unknown { request: read_request(r)? },
            tag => return Err(CodecError::UnknownTag { what: "report", tag }),
        },
    })
}

fn fill(w: &mut Writer<'_>, f: &Fill) {
    w.text(&f.exec_id);
    w.side(f.side);
    w.leg(f.leg);
    w.price(f.last_px);
    w.qty(f.last_qty);
    w.u8(match f.liquidity {
        Liquidity::Maker => 0,
        Liquidity::Taker => 1,
    });
    w.decimal(f.fee);
    w.text(&f.fee_currency);
}

fn read_fill(r: &mut Reader<'_>) -> Result<Fill> {
    Ok(Fill {
        exec_id: r.text("exec id")?,
        side: r.side()?,
        leg: r.leg()?,
        last_px: r.price()?,
        last_qty: r.qty()?,
        liquidity: match r.u8()? {
            0 => Liquidity::Maker,
            1 => Liquidity::Taker,
            tag => return Err(CodecError::UnknownTag { what: "liquidity", tag }),
        },
        fee: r.decimal("fee")?,
        fee_currency: r.text("fee currency")?,
    })
}

fn account_event(w: &mut Writer<'_>, event: &AccountEvent) {
    match event {
        AccountEvent::Balance { account, currency, balance } => {
            w.u8(0);
            w.account(*account);
            w.text(currency);
            [balance.total, balance.hold, balance.borrowed, balance.interest].into_iter().for_each(|d| w.decimal(d));
        }
        AccountEvent::Position { account, instrument, leg, qty } => {
            w.u8(1);
            w.account(*account);
            w.instrument(*instrument);
            w.leg(*leg);
            w.qty(*qty);
        }
        AccountEvent::Funding { account, instrument, leg, amount, currency } => {
            w.u8(2);
            w.account(*account);
            w.instrument(*instrument);
            w.leg(*leg);
            w.decimal(*amount);
            w.text(currency);
        }
        AccountEvent::Interest { account, currency, amount } => {
            w.u8(3);
            w.account(*account);
            w.text(currency);
            w.decimal(*amount);
        }
        AccountEvent::Liquidated { account } => {
            w.u8(4);
            w.account(*account);
        }
        AccountEvent::Adjustment { account, currency, amount } => {
            w.u8(5);
            w.account(*account);
            w.text(currency);
            w.decimal(*amount);
        }
        AccountEvent::Opening { account, instrument, leg, qty, entry_px } => {
            w.u8(6);
            w.account(*account);
            w.instrument(*instrument);
            w.leg(*leg);
            w.qty(*qty);
            w.option(*entry_px, Writer::decimal);
        }
        AccountEvent::Standing { account, known } => {
            w.u8(7);
            w.account(*account);
            w.bool(*known);
        }
    }
}

fn read_account_event(r: &mut Reader<'_>) -> Result<AccountEvent> {
    Ok(match r.u8()? {
        0 => AccountEvent::Balance {
            account: r.account()?,
            currency: r.text("currency")?,
            balance: Balance {
                total: r.decimal("balance")?,
                hold: r.decimal("hold")?,
                borrowed: r.decimal("borrowed")?,
                interest: r.decimal("interest")?,
            },
        },
        1 => {
            AccountEvent::Position { account: r.account()?, instrument: r.instrument()?, leg: r.leg()?, qty: r.qty()? }
        }
        2 => AccountEvent::Funding {
            account: r.account()?,
            instrument: r.instrument()?,
            leg: r.leg()?,
            amount: r.decimal("funding")?,
            currency: r.text("currency")?,
        },
        3 => AccountEvent::Interest {
            account: r.account()?,
            currency: r.text("currency")?,
            amount: r.decimal("interest")?,
        },
        4 => AccountEvent::Liquidated { account: r.account()? },
        5 => AccountEvent::Adjustment {
            account: r.account()?,
            currency: r.text("currency")?,
            amount: r.decimal("adjustment")?,
        },
        6 => AccountEvent::Opening {
            account: r.account()?,
            instrument: r.instrument()?,
            leg: r.leg()?,
            qty: r.qty()?,
            entry_px: r.option("entry price", |r| r.decimal("entry price"))?,
        },
        7 => AccountEvent::Standing { account: r.account()?, known: r.bool("standing")? },
        tag => return Err(CodecError::UnknownTag { what: "account event", tag }),
    })
}

const fn request_tag(request: Request) -> u8 {
    match request {
        Request::Place => 0,
        Request::Amend => 1,
        Request::Cancel => 2,
    }
}

fn read_request(r: &mut Reader<'_>) -> Result<Request> {
    match r.u8()? {
        0 => Ok(Request::Place),
        1 => Ok(Request::Amend),
        2 => Ok(Request::Cancel),
        tag => Err(CodecError::UnknownTag { what: "request", tag }),
    }
}

/// Position in this list is the tag: append, never reorder.
pub(super) const REJECTS: [RejectReason; 16] = [
    RejectReason::InsufficientBalance,
    RejectReason::BadPrice,
    RejectReason::BadQty,
    RejectReason::MinNotional,
    RejectReason::PostOnlyWouldTake,
    RejectReason::ReduceOnly,
    RejectReason::FokNotFilled,
    RejectReason::NoLiquidity,
    RejectReason::WouldTriggerImmediately,
    RejectReason::UnknownOrder,
    RejectReason::DuplicateClientOrderId,
    RejectReason::InstrumentNotTrading,
    RejectReason::Unsupported,
    RejectReason::TooManyOrders,
    RejectReason::SelfTrade,
    RejectReason::Other,
];

/// A match rather than a search of [`REJECTS`], so that a new reason without a tag does not compile.
const fn reject_tag(reason: RejectReason) -> u8 {
    match reason {
        RejectReason::InsufficientBalance => 0,
        RejectReason::BadPrice => 1,
        RejectReason::BadQty => 2,
        RejectReason::MinNotional => 3,
        RejectReason::PostOnlyWouldTake => 4,
        RejectReason::ReduceOnly => 5,
        RejectReason::FokNotFilled => 6,
        RejectReason::NoLiquidity => 7,
        RejectReason::WouldTriggerImmediately => 8,
        RejectReason::UnknownOrder => 9,
        RejectReason::DuplicateClientOrderId => 10,
        RejectReason::InstrumentNotTrading => 11,
        RejectReason::Unsupported => 12,
        RejectReason::TooManyOrders => 13,
        RejectReason::SelfTrade => 14,
        RejectReason::Other => 15,
    }
}

fn read_reject(r: &mut Reader<'_>) -> Result<RejectReason> {
    let tag = r.u8()?;
    REJECTS.get(tag as usize).copied().ok_or(CodecError::UnknownTag { what: "reject reason", tag })
}

/// Position in this list is the tag: append, never reorder.
pub(super) const CANCELS: [CancelReason; 7] = [
    CancelReason::Requested,
    CancelReason::NoLiquidity,
    CancelReason::SelfTrade,
    CancelReason::PostOnly,
    CancelReason::ReduceOnly,
    CancelReason::Liquidation,
    CancelReason::Venue,
];

const fn cancel_tag(reason: CancelReason) -> u8 {
    match reason {
        CancelReason::Requested => 0,
        CancelReason::NoLiquidity => 1,
        CancelReason::SelfTrade => 2,
        CancelReason::PostOnly => 3,
        CancelReason::ReduceOnly => 4,
        CancelReason::Liquidation => 5,
        CancelReason::Venue => 6,
    }
}

fn read_cancel(r: &mut Reader<'_>) -> Result<CancelReason> {
    let tag = r.u8()?;
    CANCELS.get(tag as usize).copied().ok_or(CodecError::UnknownTag { what: "cancel reason", tag })
}
