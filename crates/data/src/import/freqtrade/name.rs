//! What the path of a freqtrade data file tells: `<exchange>[/futures]/<pair>-<timeframe>[-<kind>].<ending>`.
//! Never: opens the file.

use ctos_types::Interval;
use std::path::Path;

/// What the candles are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Candles {
    #[default]
    Prices,
    Marks,
    /// Funding rates, kept in the shape of candles.
    Funding,
}

impl Candles {
    pub fn from_word(word: &str) -> Option<Candles> {
        match word {
            "spot" | "futures" | "ohlcv" => Some(Candles::Prices),
            "mark" => Some(Candles::Marks),
            "funding_rate" => Some(Candles::Funding),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DataName {
    /// Unified symbol without its venue: `BTC-USDT`, `BTC-USDT-PERP`.
    pub pair: Option<String>,
    pub interval: Option<Interval>,
    pub candles: Candles,
    pub venue: Option<String>,
    /// The file is of a kind that is not read.
    pub unread: Option<&'static str>,
}

/// Folders that are venues: freqtrade keeps each exchange's data in a folder of its name.
const VENUES: [&str; 22] = [
    "backpack",
    "binance",
    "binanceus",
    "bingx",
    "bitget",
    "bitmart",
    "bitmex",
    "bitvavo",
    "bybit",
    "coinbase",
    "cryptocom",
    "deribit",
    "gate",
    "gateio",
    "htx",
    "huobi",
    "hyperliquid",
    "kraken",
    "krakenfutures",
    "kucoin",
    "mexc",
    "okx",
];

/// Reads what there is; a path that tells nothing gives nothing.
pub(super) fn parse(path: &Path) -> DataName {
    let mut name = DataName::default();
    let mut folders = path.parent().into_iter().flat_map(|p| p.iter().rev()).filter_map(|c| c.to_str());
    let folder = folders.next().and_then(|first| if first == "futures" { folders.next() } else { Some(first) });
    name.venue = folder.filter(|f| VENUES.contains(f)).map(str::to_string);
    let file = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
    let stem =
        [".gz", ".zip", ".feather", ".json"].iter().fold(file, |stem, end| stem.strip_suffix(end).unwrap_or(stem));
    let parts: Vec<_> = stem.split('-').collect();
    let (pair, rest) = match parts[..] {
        [pair, date, ref rest @ ..] if is_date(date) => (unified(pair, Some(date)), rest),
        [pair, ref rest @ ..] => (unified(pair, None), rest),
        [] => return name,
    };
    let (interval, candles, unread) = match rest {
        ["trades"] => (None, Candles::Prices, Some("trades")),
        [timeframe] => (interval(timeframe), Candles::Prices, None),
        [timeframe, "index"] => (interval(timeframe), Candles::Prices, Some("index")),
        [timeframe, "premiumIndex"] => (interval(timeframe), Candles::Prices, Some("premiumIndex")),
        [timeframe, kind] => match Candles::from_word(kind) {
            Some(candles) => (interval(timeframe), candles, None),
            None => return name,
        },
        _ => return name,
    };
    if pair.is_some() && (interval.is_some() || unread.is_some()) {
        name = DataName { pair, interval, candles, unread, ..name };
    }
    name
}

fn is_date(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `BTC_USDT` is spot, `BTC_USDT_USDT` (with the currency that settles) a future.
fn unified(pair: &str, date: Option<&str>) -> Option<String> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() && !c.is_lowercase());
    let parts: Vec<_> = pair.split('_').collect();
    if !parts.iter().all(|part| word(part)) {
        return None;
    }
    match (&parts[..], date) {
        ([base, quote], None) => Some(format!("{base}-{quote}")),
        ([base, quote, _], None) => Some(format!("{base}-{quote}-PERP")),
        ([base, quote, _], Some(date)) => Some(format!("{base}-{quote}-20{date}")),
        _ => None,
    }
}

fn interval(word: &str) -> Option<Interval> {
    // File systems that fold case made freqtrade write the month with an o.
    if word == "1Mo" { Some(Interval::MONTH) } else { word.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(path: &str, want: &str) {
        let n = parse(Path::new(path));
        let interval = n.interval.map(|i| i.to_string());
        let candles = n.pair.is_some().then(|| format!("{:?}", n.candles));
        let parts = [n.venue, n.pair, interval, candles, n.unread.map(|u| format!("not {u}"))];
        assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>().join(" "), want, "{path}");
    }

    #[test]
    fn paths() {
        check("user_data/data/binance/BTC_USDT-5m.feather", "binance BTC-USDT 5m Prices");
        check("okx/futures/BTC_USDT_USDT-1h-futures.feather", "okx BTC-USDT-PERP 1h Prices");
        check("okx/futures/BTC_USDT_USDT-8h-mark.feather", "okx BTC-USDT-PERP 8h Marks");
        check("okx/futures/BTC_USDT_USDT-8h-funding_rate.feather", "okx BTC-USDT-PERP 8h Funding");
        check("okx/futures/BTC_USD_BTC-240628-1d-futures.json", "okx BTC-USD-20240628 1d Prices");
        check("1000SHIB_USDT-1w.json.gz", "1000SHIB-USDT 7d Prices");
        check("BTC_USDT-1Mo.json", "BTC-USDT 1mo Prices");
        check("BTC_USDT-trades.feather", "BTC-USDT Prices not trades");
        check("BTC_USDT_USDT-1h-premiumIndex.feather", "BTC-USDT-PERP 1h Prices not premiumIndex");
        for other in [
            "BTCUSDT-1m-2024-01.zip",
            "bars.json",
            "BTC_USDT.feather",
            "x_y-5m.json",
            "BTC_USDT-5x.json",
            "A_B_C_D-1m.json",
            "",
        ] {
            check(other, "");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_an_answer_not_a_panic(
            path in "\\PC{0,60}",
            near in "[A-Z_]{0,9}-[a-zA-Z0-9]{0,9}(-[a-z_]{0,9}){0,2}",
        ) {
            parse(Path::new(&path));
            parse(Path::new(&near));
        }
    }
}
