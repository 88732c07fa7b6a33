//! Public questions: prices, books, klines, marks and funding.
//! Never: needs a key.

use super::{Client, Failure};
use crate::decode::{AggTrade, DecodeError, Decoder, Frame, Levels};
use crate::market::{self, AggFrom, FundingPoint, Kline, KlineInterval, Premium};
use crate::profile::Profile;
use crate::request::Call;
use ctos_types::{Instrument, InstrumentId, Level, Price, UnixNanos};

/// Both sides of a book, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    pub update_id: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    /// The engine's time; spot does not tell.
    pub ts_event: Option<UnixNanos>,
}

impl Client {
    fn symbol(&self, instrument: InstrumentId) -> Result<&str, Failure> {
        self.desk.symbols().symbol_of(instrument).ok_or_else(|| {
            Failure::invalid(format!("no instrument with the id {}", instrument.0), "load the instruments first")
        })
    }

    /// Only the rows of this instrument: cheaper than all.
    fn only(&self, mut call: Call, instrument: InstrumentId, weight: u32) -> Result<Call, Failure> {
        call.query = call.query.text("symbol", self.symbol(instrument)?.to_owned());
        call.cost.weight = weight;
        Ok(call)
    }

    /// The price of the last trade.
    pub async fn price(&self, instrument: InstrumentId) -> Result<Price, Failure> {
        let weight = if self.profile() == Profile::UsdM { 1 } else { 2 };
        let call = self.only(market::prices(self.profile()), instrument, weight)?;
        let all = self.ask(&call, "price", |body| market::read_prices(body, self.desk.symbols())).await?;
        let found = all.iter().find(|(id, _)| *id == instrument).map(|(_, px)| *px);
        found.ok_or_else(|| Failure::misread("price", "the answer is about something else"))
    }

    /// The book with at least `limit` levels a side, as far as the venue has so many.
    pub async fn book(&self, instrument: InstrumentId, limit: u32) -> Result<Book, Failure> {
        let call = market::depth(self.profile(), self.symbol(instrument)?, limit);
        let body = self.fetch(&call).await?;
        let mut levels = Levels::default();
        let decoder = Decoder::new(self.desk.symbols().clone());
        let frame = decoder.decode(&body, Some(instrument), &mut levels);
        let Frame::Snapshot(head) = frame.map_err(|e| Failure::misread("book", e))? else {
            return Err(Failure::misread("book", "it is no snapshot"));
        };
        let cut = |mut side: Vec<Level>| {
            side.truncate(limit as usize);
            side
        };
        Ok(Book {
            update_id: head.last_update_id,
            bids: cut(levels.bids),
            asks: cut(levels.asks),
            ts_event: head.ts_event,
        })
    }

    /// Klines from `start` on, or the newest up to `end`, oldest first. At most 1,000 on spot and 1,500 on USD-M; the
    /// newest may still be open.
    pub async fn klines(
        &self,
        instrument: InstrumentId,
        interval: KlineInterval,
        span: (Option<UnixNanos>, Option<UnixNanos>),
        limit: u32,
    ) -> Result<Vec<Kline>, Failure> {
        let call = market::klines(self.profile(), self.symbol(instrument)?, interval, span, limit);
        let grid = *self.desk.symbols().by_id(instrument).ok_or_else(|| Failure::misread("klines", "no grid"))?;
        let now = self.venue_time().await?;
        self.ask(&call, "klines", |body| market::read_klines(body, &grid, interval, now)).await
    }

    /// Up to 1,000 aggregated trades, oldest first. USD-M has the last 48 hours.
    pub async fn agg_trades(&self, instrument: InstrumentId, from: AggFrom) -> Result<Vec<AggTrade>, Failure> {
        let call = market::agg_trades(self.profile(), self.symbol(instrument)?, from);
        let grid = *self.desk.symbols().by_id(instrument).ok_or_else(|| Failure::misread("trades", "no grid"))?;
        self.ask(&call, "trades", |body| market::read_agg_trades(body, &grid)).await
    }

    /// Mark price and funding rate (USD-M).
    pub async fn premium(&self, instrument: InstrumentId) -> Result<Premium, Failure> {
        self.usdm_only("marks and funding")?;
        let call = self.only(market::premium_index(), instrument, 1)?;
        let all = self.ask(&call, "mark price", |body| market::read_premium(body, self.desk.symbols())).await?;
        let found = all.into_iter().find(|p| p.instrument == instrument);
        found.ok_or_else(|| Failure::misread("mark price", "the answer is about something else"))
    }

    /// Funding settlements from `start` on, oldest first, at most 1,000 (USD-M).
    pub async fn funding(
        &self,
        instrument: InstrumentId,
        start: Option<UnixNanos>,
    ) -> Result<Vec<FundingPoint>, Failure> {
        self.usdm_only("funding")?;
        let call = market::funding_history(self.symbol(instrument)?, start);
        self.ask(&call, "funding", market::read_funding).await
    }

    /// Hours from one funding to the next. The venue lists only symbols that differ from 8 (USD-M).
    pub async fn funding_hours(&self, instrument: &Instrument) -> Result<u32, Failure> {
        self.usdm_only("funding")?;
        let symbol = self.symbol(instrument.id)?.to_owned();
        let call = Call::public("/fapi/v1/fundingInfo", 0, crate::request::Params::default());
        self.ask(&call, "funding info", |body| {
            let value = crate::fields::parse(body)?;
            for row in crate::fields::rows(&value, "fundingInfo")? {
                let row = row?;
                if row.text("symbol")? == symbol {
                    let hours = row.id("fundingIntervalHours")?;
                    return u32::try_from(hours)
                        .ok()
                        .filter(|h| (1..=24).contains(h))
                        .ok_or(DecodeError::Field { kind: "fundingInfo", field: "fundingIntervalHours" });
                }
            }
            Ok(8)
        })
        .await
    }

    pub(super) fn usdm_only(&self, what: &str) -> Result<(), Failure> {
        if self.profile() == Profile::UsdM {
            return Ok(());
        }
        let why = format!("binance {} has no {what}", self.profile());
        Err(Failure::invalid(why, "use an account with the profile usdm"))
    }
}
