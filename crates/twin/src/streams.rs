//! Names of market streams: what each is of, and on which path of USD-M it lives. Never: what a frame looks like.

use crate::config::Product;
use crate::klines::Span;
use crate::symbols::Symbols;
use ctos_types::InstrumentId;

/// A market stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    AggTrade(InstrumentId),
    Trade(InstrumentId),
    BookTicker(InstrumentId),
    AllBookTicker,
    /// Differences every so many ms.
    Diff(InstrumentId, i64),
    /// Top levels every so many ms.
    Partial(InstrumentId, usize, i64),
    /// Candles; the second number moves the day's beginning, in ms.
    Kline(InstrumentId, Span, i64),
    Continuous(InstrumentId, Span),
    MiniTicker(InstrumentId),
    AllMiniTicker,
    Ticker(InstrumentId),
    AllTicker,
    AvgPrice(InstrumentId),
    /// Every so many ms.
    MarkPrice(InstrumentId, i64),
    AllMarkPrice(i64),
    ForceOrder(InstrumentId),
    AllForceOrder,
    ContractInfo,
}

/// The routed paths of USD-M. The unrouted one accepts every name and delivers what `Public` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Spot has one path for everything.
    Any,
    Public,
    Market,
    Private,
}

impl Stream {
    /// `None`: a name that means nothing here. The venue accepts it and never sends anything.
    pub fn parse(product: Product, name: &str, symbols: &Symbols) -> Option<Stream> {
        if let Some(all) = name.strip_prefix('!') {
            return Stream::parse_all(product, all);
        }
        let (symbol, what) = name.split_once('@')?;
        if let Some(rest) = what.strip_prefix("continuousKline_") {
            let pair = symbol.strip_suffix("_perpetual").filter(|_| product == Product::UsdM)?;
            return Some(Stream::Continuous(symbols.find_lower(pair)?.id?, span(product, rest)?));
        }
        let id = symbols.find_lower(symbol)?.id?;
        let futures = product == Product::UsdM;
        let speed = |text: &str, default: i64| match text {
            "" => Some(default),
            "@100ms" => Some(100),
            "@500ms" if futures => Some(500),
            "@250ms" if futures => Some(250),
            "@1000ms" if !futures => Some(1000),
            _ => None,
        };
        let default = if futures { 250 } else { 1000 };
        Some(match what {
            "aggTrade" => Stream::AggTrade(id),
            // Not documented for USD-M any more, and asked for by clients on the public path all the same.
            "trade" => Stream::Trade(id),
            "bookTicker" => Stream::BookTicker(id),
            "miniTicker" => Stream::MiniTicker(id),
            "ticker" => Stream::Ticker(id),
            "avgPrice" if !futures => Stream::AvgPrice(id),
            "markPrice" if futures => Stream::MarkPrice(id, 3_000),
            "markPrice@1s" if futures => Stream::MarkPrice(id, 1_000),
            "forceOrder" if futures => Stream::ForceOrder(id),
            _ => {
                if let Some(rest) = what.strip_prefix("kline_") {
                    let (name, zone) = rest.split_once('@').unwrap_or((rest, ""));
                    let offset = match zone {
                        "" => 0,
                        "+08:00" if !futures => 8 * 3_600_000,
                        _ => return None,
                    };
                    return Some(Stream::Kline(id, span(product, name)?, offset));
                }
                let rest = what.strip_prefix("depth")?;
                for levels in [5usize, 10, 20] {
                    if let Some(tail) = rest.strip_prefix(&levels.to_string()) {
                        return Some(Stream::Partial(id, levels, speed(tail, default)?));
                    }
                }
                Stream::Diff(id, speed(rest, default)?)
            }
        })
    }

    fn parse_all(product: Product, name: &str) -> Option<Stream> {
        let futures = product == Product::UsdM;
        Some(match name {
            "miniTicker@arr" => Stream::AllMiniTicker,
            "ticker@arr" if futures => Stream::AllTicker,
            "bookTicker" if futures => Stream::AllBookTicker,
            "markPrice@arr" if futures => Stream::AllMarkPrice(3_000),
            "markPrice@arr@1s" if futures => Stream::AllMarkPrice(1_000),
            "forceOrder@arr" if futures => Stream::AllForceOrder,
            "contractInfo" if futures => Stream::ContractInfo,
            _ => return None,
        })
    }

    /// Where the stream lives on USD-M.
    pub fn route(&self) -> Route {
        match self {
            Stream::BookTicker(_)
            | Stream::AllBookTicker
            | Stream::Trade(_)
            | Stream::Diff(..)
            | Stream::Partial(..) => Route::Public,
            _ => Route::Market,
        }
    }
}

fn span(product: Product, name: &str) -> Option<Span> {
    Span::parse(name).filter(|s| product == Product::Spot || *s != Span::Millis(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::synthetic_config;
    use ctos_venue::{MarketSource, SyntheticMarket};
    use proptest::prelude::*;

    fn symbols(product: Product) -> Symbols {
        let market = SyntheticMarket::new(synthetic_config(product, 1)).unwrap();
        Symbols::new(product, market.instruments()).unwrap()
    }

    #[test]
    fn each_product_has_its_own_names() {
        let (spot, usdm) = (symbols(Product::Spot), symbols(Product::UsdM));
        let s = |name: &str| Stream::parse(Product::Spot, name, &spot);
        let f = |name: &str| Stream::parse(Product::UsdM, name, &usdm);
        let id = spot.find("BTCUSDT").unwrap().id.unwrap();
        assert_eq!(s("btcusdt@depth"), Some(Stream::Diff(id, 1000)));
        assert_eq!(s("btcusdt@depth20@100ms"), Some(Stream::Partial(id, 20, 100)));
        assert_eq!(s("btcusdt@kline_1M@+08:00"), Some(Stream::Kline(id, Span::Month, 28_800_000)));
        assert_eq!(s("btcusdt@markPrice"), None);
        assert_eq!(s("BTCUSDT@trade"), None, "names are lower case");
        assert!(matches!(f("btcusdt@depth"), Some(Stream::Diff(_, 250))));
        assert!(matches!(f("btcusdt@depth5@500ms"), Some(Stream::Partial(_, 5, 500))));
        assert!(matches!(f("btcusdt_perpetual@continuousKline_1m"), Some(Stream::Continuous(..))));
        assert!(f("币安人生usdt@aggTrade").is_some());
        assert_eq!(f("btcusdt@trade").unwrap().route(), Route::Public);
        assert_eq!(f("btcusdt@kline_1s"), None);
        assert_eq!(f("!markPrice@arr@1s").unwrap().route(), Route::Market);
        assert_eq!(f("btcusdt@depth@100ms").unwrap().route(), Route::Public);
    }

    proptest! {
        #[test]
        fn nothing_panics(name in "(!|btcusdt)?@?[a-zA-Z0-9@_+:]{0,20}") {
            let symbols = symbols(Product::Spot);
            let _ = Stream::parse(Product::Spot, &name, &symbols);
        }
    }
}
