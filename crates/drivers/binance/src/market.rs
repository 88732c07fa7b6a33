//! Market data in Binance's words: streams and where they live, the rarer frames, REST questions and their answers.
//! Never: keeps state, or decides what a gap means (`book_sync` does).

mod frames;
mod klines;
mod rest;
mod streams;

pub use frames::{ContractInfo, ForceOrder, MarkTicks, MarketDecoder, MarketFrame, PartialBook};
pub use klines::{Kline, KlineInterval};
pub use rest::{
    AggFrom, FundingPoint, Premium, RestTrade, agg_trades, book_tickers, depth, depth_weight, exchange_info,
    funding_history, klines, ping, premium_index, prices, read_agg_trades, read_book_tickers, read_funding,
    read_klines, read_premium, read_prices, read_time, read_trades, time, trades,
};
pub use streams::{
    MAX_STREAMS, Route, Speed, Stream, StreamReply, list_subscriptions, messages_per_second, read_reply, subscribe,
    unsubscribe,
};

#[cfg(test)]
mod tests;
