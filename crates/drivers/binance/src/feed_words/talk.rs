//! One market socket in Binance's words: what is sent to it, and what each of its frames is to the session and the feed.
//! Never: decodes a frame twice, or takes a doubtful number for data.

use crate::decode::{DecodeError, Frame, Levels};
use crate::market::{MarketDecoder, MarketFrame, StreamReply, subscribe, unsubscribe};
use crate::symbols::{Product, SymbolMap};
use ctos_link::feed::{Item, Liquidation, MarkNews, Talk};
use ctos_link::session::{Class, Message, Refusal, Words};
use ctos_link::staleness::Expect;
use ctos_types::{InstrumentId, Nanos, Trade, UnixNanos};

/// See [`Talk`].
#[derive(Debug)]
pub struct BinanceTalk {
    decoder: MarketDecoder,
    levels: Levels,
    marks: Vec<MarkNews>,
    item: Item<Product>,
    next_id: u32,
}

impl BinanceTalk {
    /// For the instruments of `map`.
    pub fn new(map: SymbolMap) -> BinanceTalk {
        BinanceTalk {
            decoder: MarketDecoder::new(map),
            levels: Levels::default(),
            marks: Vec::new(),
            item: Item::Quiet,
            next_id: 0,
        }
    }

    fn message(&mut self, streams: &[&str], write: fn(u32, &[&str]) -> String) -> Message {
        // Ids are unsigned integers on USD-M; the venue gives them back as they were.
        self.next_id = self.next_id.wrapping_add(1);
        Message { text: write(self.next_id, streams), id: u64::from(self.next_id), acks: 1 }
    }

    /// Whose data a stream of this name brings.
    fn owner(&self, stream: &str) -> Option<InstrumentId> {
        let (symbol, _) = stream.split_once('@')?;
        self.decoder.symbols().find(symbol.to_uppercase().as_bytes()).map(|grid| grid.id)
    }

    /// What the frame says to the feed, and the number that orders it within its stream.
    #[inline]
    fn understand(&mut self, frame: &MarketFrame) -> (Item<Product>, Option<u64>) {
        let millis = |at: UnixNanos| u64::try_from(at.0 / 1_000_000).ok();
        match frame {
            MarketFrame::Frame(frame) => match *frame {
                Frame::Depth(diff) => (Item::Diff { instrument: diff.instrument, diff }, Some(diff.last)),
                Frame::BookTicker(q) => {
                    let ts_event = q.ts_engine.or(q.ts_sent).unwrap_or(UnixNanos::MIN);
                    let item =
                        Item::Quote { instrument: q.instrument, ts_event, quote: q.quote, update_id: q.update_id };
                    (item, Some(q.update_id))
                }
                Frame::Trade(t) => {
                    let on_book = t.on_book != Some(false) && is_real(&t.trade);
                    (trade(t.instrument, t.ts_event, t.trade, t.trade.id, on_book), Some(t.trade.id))
                }
                Frame::AggTrade(t) => {
                    // The id that kernel and history know it by is that of its last trade.
                    let said = Trade { id: t.last_trade, ..t.trade };
                    (trade(t.instrument, t.ts_event, said, t.trade.id, is_real(&t.trade)), Some(t.trade.id))
                }
                Frame::MarkPrice(m) => {
                    let item = Item::Mark { instrument: m.instrument, ts_event: m.ts_sent, mark: m.mark };
                    (item, millis(m.ts_sent))
                }
                Frame::Snapshot(_) | Frame::Other(_) => (Item::Quiet, None),
            },
            MarketFrame::Kline(k) => {
                let qty_decimals = self.decoder.symbols().by_id(k.instrument).map(|g| g.qty_decimals);
                let bar = qty_decimals.and_then(|d| k.bar(d));
                let item =
                    bar.map_or(Item::Quiet, |bar| Item::Bar { instrument: k.instrument, ts_event: k.ts_event, bar });
                (item, millis(k.ts_event))
            }
            MarketFrame::Marks(marks) => {
                self.marks.clear();
                let news = marks.iter();
                self.marks.extend(news.map(|m| MarkNews {
                    instrument: m.instrument,
                    ts_event: m.ts_sent,
                    mark: m.mark,
                }));
                (Item::Marks, marks.first().and_then(|m| millis(m.ts_sent)))
            }
            MarketFrame::ForceOrder(f) => {
                let item = Item::Liquidation(Liquidation {
                    instrument: f.instrument,
                    ts_event: f.ts_event,
                    side: f.side,
                    price: f.price,
                    qty: f.qty,
                });
                (item, millis(f.ts_event))
            }
            MarketFrame::ContractInfo(c) => {
                (Item::News { about: format!("{} is listed as {}", c.symbol, c.status) }, None)
            }
            MarketFrame::PartialBook(_) | MarketFrame::Reply(_) | MarketFrame::Shutdown | MarketFrame::Other(_) => {
                (Item::Quiet, None)
            }
        }
    }
}

fn is_real(t: &Trade) -> bool {
    t.qty.0 > 0 && t.price.0 > 0
}

fn trade(instrument: InstrumentId, ts_event: UnixNanos, trade: Trade, number: u64, on_book: bool) -> Item<Product> {
    Item::Trade { instrument, ts_event, trade, number: Some(number), on_book }
}

/// The stream that a frame names; every data frame of a combined socket does.
#[inline]
fn stream_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("{\"stream\":\"")?;
    let end = memchr::memchr(b'"', rest.as_bytes())?;
    Some(&rest[..end])
}

impl Words for BinanceTalk {
    fn login(&mut self, _at: UnixNanos) -> Option<Message> {
        None
    }

    fn subscribe(&mut self, streams: &[&str], _at: UnixNanos) -> Message {
        self.message(streams, |id, names| subscribe(id, names))
    }

    fn unsubscribe(&mut self, streams: &[&str], _at: UnixNanos) -> Message {
        self.message(streams, |id, names| unsubscribe(id, names))
    }

    fn ping(&mut self, _at: UnixNanos) -> Option<String> {
        None
    }

    #[inline]
    fn classify<'a>(&mut self, text: &'a str) -> Class<'a> {
        let stream = stream_of(text);
        let seq = match self.decoder.decode(text.as_bytes(), None, &mut self.levels) {
            Ok(MarketFrame::Reply(StreamReply { id, result })) => {
                self.item = Item::Quiet;
                let refusal = |(code, text): (i64, String)| Refusal { code: code.to_string(), text, fatal: false };
                // Without an id it cannot be told whose answer it is.
                let Some(id) = id else { return Class::Other };
                return Class::Reply { id, stream: None, result: result.map(drop).map_err(refusal) };
            }
            Ok(MarketFrame::Shutdown) => {
                self.item = Item::Quiet;
                return Class::Closing;
            }
            Ok(frame) => {
                let (item, seq) = self.understand(&frame);
                self.item = item;
                seq
            }
            Err(DecodeError::UnknownSymbol(_)) => {
                self.item = Item::Foreign;
                None
            }
            Err(e) => {
                let instrument = stream.and_then(|s| self.owner(s));
                self.item = Item::Bad { instrument, why: e.to_string() };
                None
            }
        };
        match stream {
            Some(stream) => Class::Data { stream, seq },
            None => Class::Other,
        }
    }

    fn expect(&self, stream: &str) -> Option<Expect> {
        let secs = |floor, ceiling| Some(Expect { floor: Nanos::from_secs(floor), ceiling: Nanos::from_secs(ceiling) });
        let (_, what) = stream.split_once('@')?;
        match what.split(['@', '_']).next().unwrap_or_default() {
            "markPrice" | "arr" if stream.contains("markPrice") => secs(5, 15),
            "depth" => secs(5, 120),
            "bookTicker" => secs(5, 300),
            // Markets may be without a trade for minutes: the rhythm decides.
            "trade" | "aggTrade" | "kline" => secs(60, 900),
            _ => None,
        }
    }
}

impl Talk for BinanceTalk {
    type Chain = Product;

    #[inline]
    fn take(&mut self) -> Item<Product> {
        std::mem::replace(&mut self.item, Item::Quiet)
    }

    #[inline]
    fn levels(&self) -> &Levels {
        &self.levels
    }

    fn marks(&self) -> &[MarkNews] {
        &self.marks
    }
}
