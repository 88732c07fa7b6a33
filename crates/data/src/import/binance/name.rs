//! What the path of a Binance archive tells: symbol, kind of data, bar interval, market.
//! Never: opens the file. Source: data.binance.vision layout, `SYMBOL-<type or interval>-YYYY-MM[-DD].zip`.

use ctos_types::Interval;
use std::path::Path;

/// Binance's markets; they share file names, not meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Market {
    Spot,
    /// USD-margined futures.
    Um,
    /// Coin-margined futures.
    Cm,
}

/// The kinds of archive that are read, by Binance's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Klines,
    MarkPriceKlines,
    Trades,
    AggTrades,
    BookTicker,
    BookDepth,
    FundingRate,
}

impl Data {
    pub const WORDS: &str = "klines, markPriceKlines, trades, aggTrades, bookTicker, bookDepth, fundingRate";

    pub fn from_word(word: &str) -> Option<Data> {
        Some(match word {
            "klines" => Data::Klines,
            "markPriceKlines" => Data::MarkPriceKlines,
            "trades" => Data::Trades,
            "aggTrades" => Data::AggTrades,
            "bookTicker" => Data::BookTicker,
            "bookDepth" => Data::BookDepth,
            "fundingRate" => Data::FundingRate,
            _ => return None,
        })
    }
}

/// Kinds that exist in the archive and have no place in the catalog.
const UNREAD: [&str; 5] = ["indexPriceKlines", "premiumIndexKlines", "metrics", "liquidationSnapshot", "BVOLIndex"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ArchiveName {
    /// As Binance writes it: `BTCUSDT`, `BTCUSD_PERP`, `BTCUSDT_240628`.
    pub symbol: Option<String>,
    pub data: Option<Data>,
    /// The name is of bars of this length.
    pub interval: Option<Interval>,
    pub market: Option<Market>,
    /// The archive is of a kind that is not read.
    pub unread: Option<&'static str>,
}

/// Reads what there is; a path that tells nothing gives nothing.
pub(super) fn parse(path: &Path) -> ArchiveName {
    let mut name = ArchiveName::default();
    let folders: Vec<_> = path.parent().into_iter().flat_map(Path::iter).filter_map(|c| c.to_str()).collect();
    name.market = market(&folders);
    // The layout of the archive: only the folder tells klines of prices from those of marks.
    let of_folder = folders.iter().rev().take(3).find_map(|folder| {
        let unread = UNREAD.into_iter().find(|word| word == folder);
        (unread.is_some() || Data::from_word(folder).is_some()).then_some((Data::from_word(folder), unread))
    });
    if let Some((data, unread)) = of_folder {
        (name.data, name.unread) = (data, unread);
    }
    let stem = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
    let stem = [".gz", ".zip", ".csv"].iter().fold(stem, |stem, ending| stem.strip_suffix(ending).unwrap_or(stem));
    let mut parts = stem.split('-');
    let (Some(symbol), Some(word)) = (parts.next(), parts.next()) else { return name };
    let dated = parts.all(|part| (2..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    if !dated || !is_symbol(symbol) {
        return name;
    }
    let unread = UNREAD.into_iter().find(|unread| *unread == word);
    let interval = kline_interval(word);
    let data = Data::from_word(word);
    if unread.is_none() && interval.is_none() && data.is_none() {
        return name;
    }
    name.symbol = Some(symbol.to_string());
    name.interval = interval;
    name.unread = name.unread.or(unread);
    // A folder's word stands for klines only where the file's name has an interval.
    name.data = match (data, interval) {
        (Some(data), _) => Some(data),
        (None, Some(_)) => {
            name.data.filter(|d| matches!(d, Data::Klines | Data::MarkPriceKlines)).or(Some(Data::Klines))
        }
        _ => None,
    };
    name
}

fn market(folders: &[&str]) -> Option<Market> {
    let period = |at: usize| folders.get(at).is_none_or(|next| matches!(*next, "daily" | "monthly"));
    (0..folders.len()).rev().find_map(|at| match folders[at] {
        "spot" if period(at + 1) => Some(Market::Spot),
        "um" if period(at + 1) => Some(Market::Um),
        "cm" if period(at + 1) => Some(Market::Cm),
        _ => None,
    })
}

/// Symbols are letters (of any script) and digits, with a `_` before `PERP` or the delivery date.
fn is_symbol(text: &str) -> bool {
    let (pair, tail) = text.split_once('_').unwrap_or((text, "PERP"));
    let dated = tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_digit());
    pair.chars().count() >= 2
        && pair.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || !c.is_ascii() && c.is_alphanumeric())
        && (tail == "PERP" || dated)
}

const LENGTHS: [&str; 14] = ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d"];

/// Whether there are klines of this length.
pub(super) fn is_kline_interval(interval: Interval) -> bool {
    LENGTHS.contains(&&*interval.to_string()) || [Interval::WEEK, Interval::MONTH].contains(&interval)
}

/// Binance's intervals. The archive writes the month `1mo`, the venue `1M`.
fn kline_interval(word: &str) -> Option<Interval> {
    if LENGTHS.contains(&word) || ["1w", "1mo", "1M"].contains(&word) { word.parse().ok() } else { None }
}

/// The unified symbol of `symbol` on `market`; `None` where its quote currency is not known.
pub(super) fn unified(symbol: &str, market: Market) -> Option<String> {
    let (pair, tail) = match symbol.split_once('_') {
        Some((pair, tail)) => (pair, Some(tail)),
        None => (symbol, None),
    };
    let (base, quote) = match market {
        Market::Cm => (pair.strip_suffix("USD")?, "USD"),
        _ => split_pair(pair)?,
    };
    if base.is_empty() {
        return None;
    }
    Some(match (market, tail) {
        (Market::Spot, None) => format!("binance:{base}-{quote}"),
        (Market::Spot, Some(_)) => return None,
        (_, None | Some("PERP")) => format!("binance:{base}-{quote}-PERP"),
        // Delivery dates have two digits for the year.
        (_, Some(date)) => format!("binance:{base}-{quote}-20{date}"),
    })
}

/// Base and quote by the longest known quote currency at the end: the archive's symbols have no mark between them.
fn split_pair(pair: &str) -> Option<(&str, &str)> {
    const QUOTES: [&str; 50] = [
        "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USDS", "USD1", "XUSD", "RLUSD", "AEUR", "EURI", "BFUSD",
        "PAX", "DAI", "UST", "VAI", "BIDR", "IDRT", "BVND", "BKRW", "TRY", "BRL", "EUR", "GBP", "AUD", "RUB", "UAH",
        "NGN", "ZAR", "PLN", "RON", "ARS", "MXN", "COP", "CZK", "JPY", "IDR", "KZT", "CHF", "CAD", "BTC", "ETH", "BNB",
        "XRP", "TRX", "DOT", "SOL", "DOGE", "USDE",
    ];
    let quote = QUOTES.iter().filter(|q| pair.len() > q.len() && pair.ends_with(**q)).max_by_key(|q| q.len())?;
    Some((&pair[..pair.len() - quote.len()], quote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(path: &str, want: &str) {
        let n = parse(Path::new(path));
        let interval = n.interval.map(|i| i.to_string());
        let parts = [
            n.market.map(|m| format!("{m:?}")),
            n.data.map(|d| format!("{d:?}")),
            n.symbol,
            interval,
            n.unread.map(|u| format!("not {u}")),
        ];
        assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>().join(" "), want, "{path}");
    }

    #[test]
    fn paths() {
        check("data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-05.zip", "Spot Klines BTCUSDT 1m");
        check("BTCUSDT-1m-2024-01.csv", "Klines BTCUSDT 1m");
        check("um/BTCUSDT-1w.csv.gz", "Um Klines BTCUSDT 7d");
        check("futures/um/monthly/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip", "Um MarkPriceKlines BTCUSDT 1h");
        check("futures/cm/daily/klines/BTCUSD_PERP/1mo/BTCUSD_PERP-1mo-2024-01.zip", "Cm Klines BTCUSD_PERP 1mo");
        check("ETHUSDT_240628-aggTrades-2024-06-01.zip", "AggTrades ETHUSDT_240628");
        check("/x/spot/y/trades/LTCBTC-trades-2024-06-01.zip", "Trades LTCBTC");
        check("1000SHIBUSDT-bookTicker-2023-06-01.csv", "BookTicker 1000SHIBUSDT");
        check("币安人生USDT-fundingRate-2025-11.csv", "FundingRate 币安人生USDT");
        check("BTCUSDT-metrics-2024-01-05.zip", "BTCUSDT not metrics");
        check(
            "futures/um/daily/premiumIndexKlines/X/1m/BTCUSDT-1m-2024-01-05.zip",
            "Um Klines BTCUSDT 1m not premiumIndexKlines",
        );
        for other in
            ["BTC_USDT-5m.feather", "BTC-USDT-SWAP-trades-2024-01-05.zip", "bars.csv", "btcusdt-1m-2024-01.csv", ""]
        {
            check(other, "");
        }
    }

    #[test]
    fn symbols() {
        for (symbol, market, want) in [
            ("BTCUSDT", Market::Spot, "binance:BTC-USDT"),
            ("BTCFDUSD", Market::Spot, "binance:BTC-FDUSD"),
            ("TUSDT", Market::Spot, "binance:T-USDT"),
            ("TUSDUSDT", Market::Spot, "binance:TUSD-USDT"),
            ("ETHBTC", Market::Spot, "binance:ETH-BTC"),
            ("BNBETH", Market::Spot, "binance:BNB-ETH"),
            ("USDTTRY", Market::Spot, "binance:USDT-TRY"),
            ("1000PEPEUSDT", Market::Um, "binance:1000PEPE-USDT-PERP"),
            ("BTCUSDC", Market::Um, "binance:BTC-USDC-PERP"),
            ("币安人生USDT", Market::Um, "binance:币安人生-USDT-PERP"),
            ("BTCUSDT_240628", Market::Um, "binance:BTC-USDT-20240628"),
            ("BTCUSD_PERP", Market::Cm, "binance:BTC-USD-PERP"),
            ("BTCUSD_240628", Market::Cm, "binance:BTC-USD-20240628"),
        ] {
            assert_eq!(unified(symbol, market).as_deref(), Some(want));
        }
        for (symbol, market) in [("USDT", Market::Spot), ("ABCXYZ", Market::Um), ("BTCUSDT", Market::Cm)] {
            assert_eq!(unified(symbol, market), None, "{symbol}");
        }
    }

    #[test]
    fn every_known_instrument_has_its_name() {
        for instrument in ctos_driver_binance::instruments::builtin_all() {
            let Some((product, symbol)) = ctos_driver_binance::symbols::venue_symbol(instrument) else { continue };
            let market = if instrument.is_spot() { Market::Spot } else { Market::Um };
            assert_eq!(unified(&symbol, market).as_deref(), Some(instrument.symbol.as_str()), "{product} {symbol}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_an_answer_not_a_panic(
            path in "\\PC{0,60}",
            near in "[A-Z_]{0,9}-[a-zA-Z0-9]{0,9}-[0-9-]{0,10}(.zip|.csv)?",
        ) {
            for path in [&path, &near] {
                if let Some(symbol) = parse(Path::new(path)).symbol {
                    for market in [Market::Spot, Market::Um, Market::Cm] {
                        let _ = unified(&symbol, market);
                    }
                }
            }
        }
    }
}
