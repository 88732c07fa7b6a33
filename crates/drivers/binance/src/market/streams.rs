//! Names of streams, the path each one lives on, and the messages that subscribe to them.
//! Never: a stream on a path where it is silent: the venue accepts any name anywhere and says nothing.

use super::KlineInterval;
use crate::profile::Profile;
use crate::request::json_text;
use crate::symbols::Product;
use serde_json::Value;

/// Streams on one connection, both markets.
pub const MAX_STREAMS: usize = 1_024;

/// Messages a second that a client may send on one connection, pings and pongs counted.
pub const fn messages_per_second(profile: Profile) -> u32 {
    match profile {
        Profile::Spot | Profile::Margin => 5,
        Profile::UsdM => 10,
    }
}

/// How often a depth stream comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speed {
    /// 100 ms.
    #[default]
    Fast,
    /// 250 ms on USD-M, a second on spot.
    Normal,
    /// 500 ms; USD-M only.
    Slow,
}

/// A market stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Changed levels, to be put on a snapshot.
    Depth(Speed),
    /// The best 5, 10 or 20 levels.
    PartialDepth(u8, Speed),
    BookTicker,
    /// Spot only: on USD-M it is silent, take [`Stream::AggTrade`].
    Trade,
    AggTrade,
    Kline(KlineInterval),
    /// Mark, index, funding; every second or every three. USD-M.
    MarkPrice {
        every_second: bool,
    },
    /// Of all instruments at once. USD-M.
    AllMarkPrices {
        every_second: bool,
    },
    /// Liquidations, at most one a second. USD-M.
    ForceOrder,
    AllForceOrders,
    /// Listings, delistings, changed brackets. USD-M.
    ContractInfo,
}

/// On which of USD-M's paths a stream lives; spot has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    Spot,
    /// Books and their tops.
    Public,
    /// Everything else.
    Market,
}

impl Route {
    /// What stands before `/ws` and `/stream`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Route::Spot => "",
            Route::Public => "/public",
            Route::Market => "/market",
        }
    }

    /// The path of a socket without streams, in which each frame names its stream; subscribe afterwards.
    pub fn combined(self) -> String {
        format!("{}/stream", self.prefix())
    }
}

impl Stream {
    /// Whether one stream is for all instruments.
    pub const fn is_for_all(self) -> bool {
        matches!(self, Stream::AllMarkPrices { .. } | Stream::AllForceOrders | Stream::ContractInfo)
    }

    /// Where it lives; `None` where the product does not have it.
    pub fn route(self, product: Product) -> Option<Route> {
        let levels = !matches!(self, Stream::PartialDepth(n, _) if !matches!(n, 5 | 10 | 20));
        match (product, self) {
            (Product::Spot, Stream::Depth(s) | Stream::PartialDepth(_, s)) => {
                (s != Speed::Slow && levels).then_some(Route::Spot)
            }
            (Product::Spot, Stream::BookTicker | Stream::Trade | Stream::AggTrade | Stream::Kline(_)) => {
                Some(Route::Spot)
            }
            (Product::Spot, _) | (Product::UsdM, Stream::Trade | Stream::Kline(KlineInterval::S1)) => None,
            (Product::UsdM, Stream::Depth(_) | Stream::PartialDepth(..) | Stream::BookTicker) => {
                levels.then_some(Route::Public)
            }
            (Product::UsdM, _) => Some(Route::Market),
        }
    }

    /// Its name. `symbol` is the venue's (`BTCUSDT`), not looked at where the stream is for all.
    pub fn name(self, product: Product, symbol: &str) -> String {
        let speed = |s: Speed| match (s, product) {
            (Speed::Fast, _) => "@100ms",
            (Speed::Normal, _) | (Speed::Slow, Product::Spot) => "",
            (Speed::Slow, Product::UsdM) => "@500ms",
        };
        let second = |yes: bool| if yes { "@1s" } else { "" };
        // Some symbols are not ASCII.
        let symbol = symbol.to_lowercase();
        match self {
            Stream::Depth(s) => format!("{symbol}@depth{}", speed(s)),
            Stream::PartialDepth(n, s) => format!("{symbol}@depth{n}{}", speed(s)),
            Stream::BookTicker => format!("{symbol}@bookTicker"),
            Stream::Trade => format!("{symbol}@trade"),
            Stream::AggTrade => format!("{symbol}@aggTrade"),
            Stream::Kline(interval) => format!("{symbol}@kline_{interval}"),
            Stream::MarkPrice { every_second } => format!("{symbol}@markPrice{}", second(every_second)),
            Stream::AllMarkPrices { every_second } => format!("!markPrice@arr{}", second(every_second)),
            Stream::ForceOrder => format!("{symbol}@forceOrder"),
            Stream::AllForceOrders => "!forceOrder@arr".into(),
            Stream::ContractInfo => "!contractInfo".into(),
        }
    }
}

/// The message that subscribes to these names.
pub fn subscribe<S: AsRef<str>>(id: u32, names: &[S]) -> String {
    message("SUBSCRIBE", id, Some(names))
}

/// The message that ends these subscriptions.
pub fn unsubscribe<S: AsRef<str>>(id: u32, names: &[S]) -> String {
    message("UNSUBSCRIBE", id, Some(names))
}

/// The message that asks for the names subscribed to: proof that a silent socket has them.
pub fn list_subscriptions(id: u32) -> String {
    message::<&str>("LIST_SUBSCRIPTIONS", id, None)
}

fn message<S: AsRef<str>>(method: &str, id: u32, names: Option<&[S]>) -> String {
    let mut out = format!("{{\"method\":\"{method}\"");
    for (at, name) in names.into_iter().flatten().enumerate() {
        out.push_str(if at == 0 { ",\"params\":[" } else { "," });
        json_text(name.as_ref(), &mut out);
    }
    if names.is_some_and(|n| !n.is_empty()) {
        out.push(']');
    }
    out.push_str(&format!(",\"id\":{id}}}"));
    out
}

/// The answer to a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReply {
    /// Of the message; `None` where the venue does not say.
    pub id: Option<u64>,
    /// The names, for a list; empty for the others. An error has the venue's code and text.
    pub result: Result<Vec<String>, (i64, String)>,
}

/// Reads such an answer; `None` for every other frame.
pub fn read_reply(value: &Value) -> Option<StreamReply> {
    let fields = value.as_object()?;
    let id = fields.get("id").and_then(Value::as_u64);
    // Some servers put the error into an object of its own.
    let error = fields.get("error").and_then(Value::as_object).unwrap_or(fields);
    if let (Some(code), Some(msg)) = (error.get("code").and_then(Value::as_i64), error.get("msg")) {
        let msg = msg.as_str().unwrap_or_default().chars().take(200).collect();
        return Some(StreamReply { id, result: Err((code, msg)) });
    }
    let result = fields.get("result").filter(|_| fields.contains_key("id"))?;
    let names = result.as_array().into_iter().flatten().filter_map(Value::as_str);
    Some(StreamReply { id, result: Ok(names.map(str::to_string).collect()) })
}
