//! The columns of Binance archives, and which kind of archive a header or a first row is of.
//! Never: reads a value. Source: the archive's README and files; headers came in 2022, spot files have none.

use super::name::Data;
use crate::import::columns::{Column, Layout, closed, extra, number};
use crate::import::fields::{Fields, Stamp, to_bool};

const KLINES: &[Column] = &[
    closed(&["open_time"], 0),
    number(&["open"], 1),
    number(&["high"], 2),
    number(&["low"], 3),
    number(&["close"], 4),
    number(&["volume"], 5),
    closed(&["close_time"], 6),
    extra(number(&["quote_volume", "quote_asset_volume"], 7)),
    extra(number(&["count", "number_of_trades", "trades"], 8)),
    extra(number(&["taker_buy_volume", "taker_buy_base", "taker_buy_base_volume", "taker_buy_base_asset_volume"], 9)),
];
const TRADES: &[Column] = &[
    number(&["id", "trade_id"], 0),
    number(&["price"], 1),
    number(&["qty", "quantity"], 2),
    closed(&["time"], 4),
    closed(&["is_buyer_maker"], 5),
];
const AGG_TRADES: &[Column] = &[
    number(&["agg_trade_id"], 0),
    number(&["price"], 1),
    number(&["quantity", "qty"], 2),
    closed(&["transact_time", "time", "timestamp"], 5),
    closed(&["is_buyer_maker"], 6),
];
const BOOK_TICKER: &[Column] = &[
    number(&["update_id"], 0),
    number(&["best_bid_price"], 1),
    number(&["best_bid_qty"], 2),
    number(&["best_ask_price"], 3),
    number(&["best_ask_qty"], 4),
    closed(&["transaction_time"], 5),
];
const BOOK_DEPTH: &[Column] =
    &[closed(&["timestamp"], 0), number(&["percentage"], 1), number(&["depth"], 2), number(&["notional"], 3)];
const FUNDING_RATE: &[Column] = &[closed(&["calc_time"], 0), number(&["last_funding_rate"], 2)];

/// The columns of `data`, in the order in which [`Layout::at`] gives their places.
pub(super) fn columns(data: Data) -> &'static [Column] {
    match data {
        Data::Klines | Data::MarkPriceKlines => KLINES,
        Data::Trades => TRADES,
        Data::AggTrades => AGG_TRADES,
        Data::BookTicker => BOOK_TICKER,
        Data::BookDepth => BOOK_DEPTH,
        Data::FundingRate => FUNDING_RATE,
    }
}

/// How many columns a file without header may have.
pub(super) fn widths(data: Data) -> &'static [usize] {
    match data {
        Data::Klines | Data::MarkPriceKlines => &[12],
        // Spot has is_best_match at the end.
        Data::Trades => &[6, 7],
        Data::AggTrades => &[7, 8],
        Data::BookTicker => &[7],
        Data::BookDepth => &[4],
        Data::FundingRate => &[3],
    }
}

/// The archive's rule: a first field that is no number (or time) starts a header.
pub(super) fn is_header(fields: &Fields<'_>) -> bool {
    !fields.text(0).starts_with(|c: char| c.is_ascii_digit())
}

/// The kind of data that a header is of.
pub(super) fn by_header(header: &Fields<'_>) -> Option<Data> {
    // Trades last: its columns are the least telling.
    [Data::Klines, Data::AggTrades, Data::BookTicker, Data::BookDepth, Data::FundingRate, Data::Trades]
        .into_iter()
        .find(|data| Layout::from_header(columns(*data), header.iter()).is_ok())
}

/// The kind of data that a row without header is of, by where times and booleans stand in it.
pub(super) fn by_row(row: &Fields<'_>) -> Option<Data> {
    let time = |at: usize| Stamp::parse(row.text(at)).is_some();
    let flag = |at: usize| to_bool(row.text(at)).is_some();
    let data = match row.count() {
        12 if time(0) && time(6) => Data::Klines,
        8 if time(5) && flag(6) && flag(7) => Data::AggTrades,
        7 if time(4) && flag(5) && flag(6) => Data::Trades,
        7 if time(5) && time(6) => Data::BookTicker,
        7 if time(5) && flag(6) => Data::AggTrades,
        6 if time(4) && flag(5) => Data::Trades,
        4 if Stamp::parse_civil(row.text(0)).is_some() => Data::BookDepth,
        3 if time(0) && row.text(1).len() <= 2 => Data::FundingRate,
        _ => return None,
    };
    Some(data)
}
