//! Market streams: what is sent at once, and what is sent on the beat. Never: decides what happened.

use crate::config::Product;
use crate::conns::envelope;
use crate::faults::{Fault, Place};
use crate::json::{Obj, array};
use crate::klines::{Bar, Print, Span};
use crate::number::{eight, fixed, push_grid};
use crate::public::{Aggregate, Diff, Row};
use crate::streams::Stream;
use crate::twin::Twin;
use crate::wire::Frame;
use ctos_types::{Decimal, InstrumentId, Nanos, Price, Side};

impl Twin {
    // ---- numbers on the wire

    pub(crate) fn px(&self, id: InstrumentId, price: Price) -> String {
        let (s, mut out) = (self.symbols.of(id), String::new());
        push_grid(&mut out, price.0, s.grid.0, s.wire.0);
        out
    }

    pub(crate) fn qty(&self, id: InstrumentId, qty: i64) -> String {
        let (s, mut out) = (self.symbols.of(id), String::new());
        push_grid(&mut out, qty, s.grid.1, s.wire.1);
        out
    }

    /// Levels as `[["price","size"],…]`.
    pub(crate) fn levels(&self, id: InstrumentId, rows: &[Row]) -> String {
        let s = self.symbols.of(id);
        let mut out = String::with_capacity(rows.len() * 32 + 2);
        out.push('[');
        for (n, (price, qty)) in rows.iter().enumerate() {
            out.push_str(if n == 0 { "[\"" } else { ",[\"" });
            push_grid(&mut out, *price, s.grid.0, s.wire.0);
            out.push_str("\",\"");
            push_grid(&mut out, *qty, s.grid.1, s.wire.1);
            out.push_str("\"]");
        }
        out.push(']');
        out
    }

    pub(crate) fn spot(&self) -> bool {
        self.product == Product::Spot
    }

    /// The end that newer USD-M payloads have.
    fn usdm_tail(&self, o: Obj) -> Obj {
        if self.spot() { o } else { o.int("st", 1) }
    }

    // ---- at once

    pub(crate) fn publish_best(&mut self, id: InstrumentId) {
        let name = format!("{}@bookTicker", self.symbols.of(id).lower);
        if self.conns.hears(&name) {
            let payload = self.book_ticker(id);
            self.publish(&name, &payload);
        }
    }

    fn book_ticker(&self, id: InstrumentId) -> String {
        let (s, p) = (self.symbols.of(id), self.public(id));
        let row = |rows: &[Row]| rows.first().copied().unwrap_or_default();
        let (bid, ask) = (row(&p.bids), row(&p.asks));
        let o = Obj::new();
        let o = if self.spot() { o } else { o.str("e", "bookTicker") };
        let o = o.int("u", p.update_id).str("s", &s.name).str("b", &self.px(id, Price(bid.0)));
        let o = o.str("B", &self.qty(id, bid.1)).str("a", &self.px(id, Price(ask.0))).str("A", &self.qty(id, ask.1));
        if self.spot() { o.done() } else { o.int("T", p.changed_ms).int("E", self.server_ms()).int("st", 1).done() }
    }

    pub(crate) fn publish_trade(&mut self, id: InstrumentId, p: &Print) {
        let name = format!("{}@trade", self.symbols.of(id).lower);
        if !self.conns.hears(&name) {
            return;
        }
        let o = Obj::new().str("e", "trade").int("E", self.server_ms());
        let o = if self.spot() { o } else { o.int("T", p.at_ms) };
        let o = o.str("s", &self.symbols.of(id).name).int("t", p.id);
        let o = o.str("p", &self.px(id, p.price)).str("q", &self.qty(id, p.qty));
        let payload = if self.spot() {
            o.int("T", p.at_ms).bool("m", !p.buyer_is_taker).bool("M", true).done()
        } else {
            o.str("X", "MARKET").bool("m", !p.buyer_is_taker).int("st", 1).done()
        };
        self.publish(&name, &payload);
    }

    pub(crate) fn publish_aggregate(&mut self, id: InstrumentId, a: &Aggregate) {
        let name = format!("{}@aggTrade", self.symbols.of(id).lower);
        if !self.conns.hears(&name) {
            return;
        }
        let o = Obj::new().str("e", "aggTrade").int("E", self.server_ms()).str("s", &self.symbols.of(id).name);
        let o = o.int("a", a.id).str("p", &self.px(id, a.price)).str("q", &self.qty(id, a.qty));
        let o = if self.spot() { o } else { o.str("nq", &self.qty(id, a.qty)) };
        let o = o.int("f", a.first_id).int("l", a.last_id).int("T", a.at_ms).bool("m", !a.buyer_is_taker);
        let o = if self.spot() { o.bool("M", true) } else { o };
        let payload = self.usdm_tail(o).done();
        self.publish(&name, &payload);
    }

    /// A liquidation, as everybody is told.
    pub(crate) fn publish_force_order(&mut self, id: InstrumentId, side: Side, qty: i64, price: Price) {
        let s = self.symbols.of(id);
        let (name, symbol) = (format!("{}@forceOrder", s.lower), s.name.clone());
        let (p, q, now) = (self.px(id, price), self.qty(id, qty), self.server_ms());
        let o = Obj::new().str("s", &symbol).str("S", side_name(side)).str("o", "LIMIT").str("f", "IOC").str("q", &q);
        let o = o.str("p", &p).str("ap", &p).str("X", "FILLED").str("l", &q).str("z", &q).int("T", now).done();
        let payload = Obj::new().str("e", "forceOrder").int("E", now).raw("o", &o).done();
        self.publish(&name, &payload);
        self.publish("!forceOrder@arr", &payload);
    }

    /// A symbol's status or rules changed.
    pub(crate) fn publish_contract(&mut self, symbol: &str) {
        let Ok(s) = self.symbols.find(symbol) else { return };
        let row = |key: &str| s.row[key].clone();
        let o = Obj::new().str("e", "contractInfo").int("E", self.server_ms()).str("s", &s.name);
        let o = o.raw("ps", &row("pair").to_string()).raw("ct", &row("contractType").to_string());
        let o = o.raw("dt", &row("deliveryDate").to_string()).raw("ot", &row("onboardDate").to_string());
        let payload = o.str("cs", &s.status).done();
        self.publish("!contractInfo", &payload);
    }

    /// Sends a payload to everybody who listens to the stream.
    pub(crate) fn publish(&mut self, name: &str, payload: &str) {
        if self.faults.stalled {
            return;
        }
        for (conn, text) in self.conns.addressed(name, payload) {
            let fault = if self.faults.is_empty() { None } else { self.faults.pick(Place::Market, name) };
            self.send_with(conn, text, fault);
        }
    }

    /// Queues a frame as a fault has it.
    pub(crate) fn send_with(&mut self, conn: u64, text: String, fault: Option<Fault>) {
        let now = self.now;
        let held = self.swapped.remove(&conn);
        match fault {
            Some(Fault::Drop) => {}
            Some(Fault::Duplicate) => {
                self.conns.send(now, conn, Frame::Text(text.clone()), Nanos::ZERO);
                self.conns.send(now, conn, Frame::Text(text), Nanos::ZERO);
            }
            Some(Fault::Hold { ms }) => {
                self.conns.send(now, conn, Frame::Text(text), Nanos::from_millis(i64::from(ms)));
            }
            Some(Fault::Swap) => {
                self.swapped.insert(conn, text);
            }
            Some(Fault::HalfFrame) => self.conns.send(now, conn, Frame::Half(text), Nanos::ZERO),
            Some(Fault::ThenCut) => {
                self.conns.send(now, conn, Frame::Text(text), Nanos::ZERO);
                self.conns.send(now, conn, Frame::Cut, Nanos::ZERO);
            }
            _ => self.conns.send(now, conn, Frame::Text(text), Nanos::ZERO),
        }
        if let Some(text) = held {
            self.conns.send(now, conn, Frame::Text(text), Nanos::ZERO);
        }
    }

    // ---- on the beat

    /// Everything due at this moment of the beat.
    pub(crate) fn tick(&mut self) {
        let now = self.now_ms();
        self.roll(now);
        self.publish_books(now);
        if self.conns.has_subscribers() {
            for (name, stream) in self.conns.topics() {
                self.publish_topic(&name, stream, now);
            }
        }
        self.keep_house(now);
    }

    /// Candles of silent intervals, and aggregates nothing more can join.
    pub(crate) fn roll(&mut self, now: i64) {
        for n in 0..self.publics.len() {
            let id = self.publics[n].id;
            self.publics[n].klines.roll(now);
            let since = self.publics[n].pending_since();
            let window = if self.spot() { 50 } else { 100 };
            if since.is_some_and(|s| now - s >= window)
                && let Some(a) = self.publics[n].flush_aggregate()
            {
                self.publish_aggregate(id, &a);
            }
        }
    }

    fn publish_books(&mut self, now: i64) {
        let speeds: &[i64] = if self.spot() { &[100, 1_000] } else { &[100, 250, 500] };
        for every in speeds.iter().copied().filter(|every| now.rem_euclid(*every) == 0) {
            for n in 0..self.publics.len() {
                let id = self.publics[n].id;
                let Some(diff) = self.publics[n].take_changes(every) else { continue };
                let lower = &self.symbols.of(id).lower;
                let default = if self.spot() { 1_000 } else { 250 };
                let mut names = vec![format!("{lower}@depth@{every}ms")];
                if every == default {
                    names.push(format!("{lower}@depth"));
                }
                for name in names.into_iter().filter(|n| self.conns.hears(n)).collect::<Vec<_>>() {
                    let payload = self.depth_update(id, &diff);
                    self.publish(&name, &payload);
                }
            }
        }
    }

    fn depth_update(&self, id: InstrumentId, d: &Diff) -> String {
        let o = Obj::new().str("e", "depthUpdate").int("E", self.server_ms());
        let o = if self.spot() { o } else { o.int("T", self.public(id).changed_ms) };
        let o = o.str("s", &self.symbols.of(id).name).int("U", d.first).int("u", d.last);
        let o = if self.spot() { o } else { o.int("pu", d.previous) };
        let o = o.raw("b", &self.levels(id, &d.bids)).raw("a", &self.levels(id, &d.asks));
        self.usdm_tail(o).done()
    }

    fn partial(&self, id: InstrumentId, levels: usize) -> String {
        let p = self.public(id);
        let top = |rows: &[Row]| self.levels(id, &rows[..levels.min(rows.len())]);
        let (bids, asks) = (top(&p.bids), top(&p.asks));
        if self.spot() {
            return Obj::new().int("lastUpdateId", p.update_id).raw("bids", &bids).raw("asks", &asks).done();
        }
        let o = Obj::new().str("e", "depthUpdate").int("E", self.server_ms()).int("T", p.changed_ms);
        let o = o.str("s", &self.symbols.of(id).name).int("U", p.update_id).int("u", p.update_id);
        o.int("pu", p.update_id - 1).raw("b", &bids).raw("a", &asks).int("st", 1).done()
    }

    fn publish_topic(&mut self, name: &str, stream: Stream, now: i64) {
        let due = |every: i64| now.rem_euclid(every) == 0;
        let ticker = if self.spot() { 1_000 } else { 2_000 };
        let payload = match stream {
            Stream::Partial(id, levels, every) if due(every) => self.partial(id, levels),
            Stream::Kline(id, span, offset) => return self.publish_kline(name, id, span, offset, now),
            Stream::Continuous(id, span) => return self.publish_kline(name, id, span, 0, now),
            Stream::MiniTicker(id) if due(ticker) => self.mini_ticker(id),
            Stream::Ticker(id) if due(ticker) => self.full_ticker(id),
            Stream::AvgPrice(id) if due(1_000) => self.avg_price(id),
            Stream::MarkPrice(id, every) if due(every) => self.mark_price(id),
            Stream::AllMarkPrice(every) if due(every) => self.all(|t, id| t.mark_price(id)),
            Stream::AllMiniTicker if due(1_000) => self.all(|t, id| t.mini_ticker(id)),
            Stream::AllTicker if due(1_000) => self.all(|t, id| t.full_ticker(id)),
            Stream::AllBookTicker if due(5_000) => {
                let ids: Vec<InstrumentId> = self.publics.iter().map(|p| p.id).collect();
                for id in ids {
                    let payload = self.book_ticker(id);
                    self.publish(name, &payload);
                }
                return;
            }
            _ => return,
        };
        self.publish(name, &payload);
    }

    fn all(&self, one: impl Fn(&Twin, InstrumentId) -> String) -> String {
        array(self.publics.iter().map(|p| one(self, p.id)))
    }

    fn publish_kline(&mut self, name: &str, id: InstrumentId, span: Span, offset: i64, now: i64) {
        let continuous = name.contains("@continuousKline_");
        let open = span.open(now, offset);
        let before = self.candles.insert(name.to_string(), open);
        // The last word on a candle comes right after its end.
        if let Some(old) = before.filter(|old| *old < open)
            && let Some(bar) = self.public(id).klines.at(span, offset, old)
        {
            let payload = self.kline(id, span, offset, &bar, true, continuous);
            self.publish(name, &payload);
        }
        let every = if !self.spot() {
            250
        } else if span == Span::Millis(1_000) {
            1_000
        } else {
            2_000
        };
        if now.rem_euclid(every) == 0
            && let Some(bar) = self.public(id).klines.at(span, offset, open)
        {
            let payload = self.kline(id, span, offset, &bar, false, continuous);
            self.publish(name, &payload);
        }
    }

    fn kline(&self, id: InstrumentId, span: Span, offset: i64, b: &Bar, closed: bool, continuous: bool) -> String {
        let s = self.symbols.of(id);
        let k = Obj::new().int("t", b.open_ms).int("T", span.next(b.open_ms, offset) - 1);
        let k = if continuous { k } else { k.str("s", &s.name) };
        let k = k.str("i", span.name()).int("f", b.first_id).int("L", b.last_id);
        let k = k.str("o", &self.px(id, b.open)).str("c", &self.px(id, b.close)).str("h", &self.px(id, b.high));
        let k = k.str("l", &self.px(id, b.low)).str("v", &self.qty(id, b.volume)).int("n", b.count).bool("x", closed);
        let k = k.str("q", &self.money(b.quote)).str("V", &self.qty(id, b.taker_volume));
        let k = k.str("Q", &self.money(b.taker_quote)).str("B", "0").done();
        let o = Obj::new();
        if continuous {
            let o = o.str("e", "continuous_kline").int("E", self.server_ms()).str("ps", &s.name);
            return o.str("ct", "PERPETUAL").raw("k", &k).done();
        }
        let o = o.str("e", "kline").int("E", self.server_ms()).str("s", &s.name).raw("k", &k);
        self.usdm_tail(o).done()
    }

    pub(crate) fn money(&self, d: Decimal) -> String {
        if self.spot() { eight(d) } else { fixed(d, 5) }
    }
}

pub(crate) fn side_name(side: Side) -> &'static str {
    if side == Side::Buy { "BUY" } else { "SELL" }
}

/// The frame of a notice that belongs to no stream.
pub(crate) fn notice(combined: bool, name: &str, payload: &str) -> String {
    if combined { envelope(name, payload) } else { payload.to_string() }
}
