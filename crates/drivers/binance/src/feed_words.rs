//! What Binance says to a feed: which streams serve a want and on which path they live, what a frame means, what to ask
//! for snapshots, settlements and the list of instruments. Spot and USD-M; cross margin has spot's market.
//! Never: state of a market, or a stream on a path where it would stay silent.

mod listing;
mod talk;

pub use talk::BinanceTalk;

use crate::decode::{Decoder, Frame, Snapshot};
use crate::limits;
use crate::market::{self, KlineInterval, MAX_STREAMS, Speed, Stream};
use crate::profile::Profile;
use crate::replay::{funding_line, instrument_line};
use crate::request::Call;
use crate::symbols::{Product, SymbolMap};
use ctos_link::feed::{FeedWords, Flow, Levels, Listed, Question, RouteNo, StreamPlan, Want};
use ctos_link::session::SessionConfig;
use ctos_types::{Decimal, FundingRate, Instrument, InstrumentId, Nanos, Rules, UnixNanos};

/// From so many on, one stream with the marks of all instruments takes less than one for each.
const ALL_MARKS_FROM: usize = 50;
/// Levels a side of a snapshot. More cost more, and levels further away show when they change.
const DEPTH: u32 = 1_000;

/// The market side of one product.
#[derive(Clone, Debug)]
pub struct BinanceFeed {
    profile: Profile,
    name: String,
    streams: String,
    route: limits::Route,
    instruments: Vec<Instrument>,
    decoder: Decoder,
    depth: u32,
    /// Spot refused to list just our instruments: one of them is gone, so the whole list is read.
    whole_list: bool,
}

impl BinanceFeed {
    /// `streams`: base address of streams (`wss://host`); `route`: how its public calls leave. Of `instruments` those of
    /// the product can be wanted.
    pub fn new(profile: Profile, streams: &str, route: limits::Route, instruments: &[Instrument]) -> BinanceFeed {
        let map = SymbolMap::new(profile.product(), instruments);
        let ours = |i: &&Instrument| map.by_id(i.id).is_some();
        BinanceFeed {
            profile,
            name: format!("binance {} market data", profile.as_str()),
            streams: streams.trim_end_matches('/').into(),
            route,
            instruments: instruments.iter().filter(ours).cloned().collect(),
            decoder: Decoder::new(map),
            depth: DEPTH,
            whole_list: false,
        }
    }

    /// Levels a side of a snapshot, 5 to 5,000; 1,000 unless told. The venue rounds them to what it offers.
    #[must_use]
    pub fn depth(self, levels: u32) -> BinanceFeed {
        BinanceFeed { depth: levels.clamp(5, 5_000), ..self }
    }

    fn product(&self) -> Product {
        self.profile.product()
    }

    fn symbol(&self, instrument: InstrumentId) -> Option<&str> {
        self.decoder.symbols().symbol_of(instrument)
    }

    fn question(&self, call: Call) -> Question {
        let cost = self.route.cost(call.path, call.cost);
        Question { base: self.route.base(), cost, draft: Box::new(self.route.draft(call)) }
    }
}

/// Numbers of the routes: spot has one, USD-M two.
fn route_no(route: market::Route) -> RouteNo {
    RouteNo(match route {
        market::Route::Spot => 0,
        market::Route::Public => 1,
        market::Route::Market => 2,
    })
}

fn route_of(no: RouteNo) -> market::Route {
    match no.0 {
        1 => market::Route::Public,
        2 => market::Route::Market,
        _ => market::Route::Spot,
    }
}

/// The streams of one want.
fn streams_of(product: Product, want: &Want, all_marks: bool) -> Vec<(Stream, Flow)> {
    let usdm = product == Product::UsdM;
    let mut out = Vec::new();
    let mut add = |wanted: bool, stream, flow| {
        if wanted {
            out.push((stream, flow));
        }
    };
    add(want.book, Stream::Depth(Speed::Fast), Flow::Book);
    add(want.quotes, Stream::BookTicker, Flow::Quotes);
    // USD-M's single trades are silent; an aggregate there is what one taker order took at one price.
    add(want.trades, if usdm { Stream::AggTrade } else { Stream::Trade }, Flow::Trades);
    for kline in want.bars.iter().filter_map(|i| KlineInterval::of(*i)) {
        add(true, Stream::Kline(kline), Flow::Bars);
    }
    add(want.marks && usdm && !all_marks, Stream::MarkPrice { every_second: true }, Flow::Marks);
    add(want.liquidations && usdm, Stream::ForceOrder, Flow::Liquidations);
    out.retain(|(stream, _)| stream.route(product).is_some());
    out
}

impl FeedWords for BinanceFeed {
    type Chain = Product;
    type Talk = BinanceTalk;

    fn name(&self) -> &str {
        &self.name
    }

    fn chain(&self) -> Product {
        self.product()
    }

    fn streams(&self, wants: &[(InstrumentId, Want)]) -> Vec<StreamPlan> {
        let product = self.product();
        let ours: Vec<_> = wants.iter().filter_map(|(id, want)| Some((*id, self.symbol(*id)?, want))).collect();
        let usdm = product == Product::UsdM;
        let all_marks = usdm && ours.iter().filter(|(.., want)| want.marks).count() >= ALL_MARKS_FROM;
        let mut plans = Vec::new();
        let mut plan = |stream: Stream, symbol: &str, flow, instrument| {
            let Some(route) = stream.route(product) else { return };
            let plan = StreamPlan { name: stream.name(product, symbol), route: route_no(route), flow, instrument };
            plans.push(plan);
        };
        for (id, symbol, want) in &ours {
            for (stream, flow) in streams_of(product, want, all_marks) {
                plan(stream, symbol, flow, Some(*id));
            }
        }
        if all_marks {
            plan(Stream::AllMarkPrices { every_second: true }, "", Flow::Marks, None);
        }
        if usdm && !ours.is_empty() {
            plan(Stream::ContractInfo, "", Flow::News, None);
        }
        plans
    }

    fn talk(&self, _route: RouteNo) -> BinanceTalk {
        BinanceTalk::new(self.decoder.symbols().clone())
    }

    fn address(&self, route: RouteNo) -> String {
        format!("{}{}", self.streams, route_of(route).combined())
    }

    fn session(&self, _route: RouteNo) -> SessionConfig {
        SessionConfig {
            max_messages: market::messages_per_second(self.profile),
            // USD-M pings every three minutes only; a link must not be dead for so long.
            ping_after: Some(Nanos::from_secs(30)),
            dead_after: Nanos::from_secs(75),
            ..SessionConfig::default()
        }
    }

    fn max_streams(&self, _route: RouteNo) -> usize {
        // Half of what is allowed: the other half is room for streams that are being left.
        MAX_STREAMS / 2
    }

    fn ask_snapshot(&self, instrument: InstrumentId) -> Option<Question> {
        let symbol = self.symbol(instrument)?;
        Some(self.question(market::depth(self.profile, symbol, self.depth)))
    }

    fn read_snapshot(&self, instrument: InstrumentId, body: &[u8], levels: &mut Levels) -> Result<Snapshot, String> {
        match self.decoder.decode(body, Some(instrument), levels) {
            Ok(Frame::Snapshot(snapshot)) if snapshot.instrument == instrument => Ok(snapshot),
            Ok(_) => Err("the answer is no snapshot".into()),
            Err(e) => Err(e.to_string()),
        }
    }

    fn record_snapshot(&self, instrument: InstrumentId, body: &str) -> String {
        // The venue leaves the symbol out; readers of recordings look for it where streams have it.
        match (self.symbol(instrument), body.strip_prefix('{')) {
            (Some(symbol), Some(rest)) => format!("{{\"s\":\"{symbol}\",{rest}"),
            _ => body.into(),
        }
    }

    fn record_funding(&self, instrument: InstrumentId, at: UnixNanos, funding: &FundingRate) -> Option<String> {
        self.symbol(instrument).map(|symbol| funding_line(symbol, at, funding))
    }

    fn record_instrument(&self, instrument: InstrumentId, rules: &Rules) -> Option<String> {
        let ours = self.instruments.iter().find(|i| i.id == instrument)?;
        Some(instrument_line(self.symbol(instrument)?, ours, rules))
    }

    fn ask_funding(&self, instrument: InstrumentId, since: UnixNanos) -> Option<Question> {
        if self.product() != Product::UsdM {
            return None;
        }
        let symbol = self.symbol(instrument)?;
        // The stamp may lie a little before its moment.
        let from = UnixNanos(since.0.saturating_sub(Nanos::from_secs(60).0));
        Some(self.question(market::funding_history(symbol, Some(from))))
    }

    fn read_funding(&self, body: &[u8], mark: Decimal) -> Result<Vec<(UnixNanos, FundingRate)>, String> {
        let rows = market::read_funding(body).map_err(|e| e.to_string())?;
        let one = |p: &market::FundingPoint| (p.ts_event, p.event().unwrap_or(FundingRate { rate: p.rate, mark }));
        Ok(rows.iter().map(one).collect())
    }

    fn ask_listing(&mut self) -> Option<Question> {
        let symbols = self.instruments.iter().filter_map(|i| self.symbol(i.id));
        let call = listing::call(self.profile, symbols, self.whole_list);
        Some(self.question(call))
    }

    fn read_listing(&mut self, status: u16, body: &[u8]) -> Result<Vec<Listed>, String> {
        if status != 200 {
            self.whole_list |= status == 400;
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            return Err(format!("status {status}: {text}"));
        }
        listing::read(self.product(), &self.instruments, body)
    }
}

#[cfg(test)]
mod tests;
