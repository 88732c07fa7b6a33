//! A symbol that does not trade for a while: its market goes on where nobody sees it, and is shown when trading begins
//! again.
//! Never: fills a resting order of a symbol that does not trade.

use crate::twin::Twin;
use ctos_types::{InstrumentId, L2Book, Level, Market, MarketData, Side};

impl Twin {
    /// A market event of a symbol that does not trade. `false`: it has its effect as always.
    pub(crate) fn withheld(&mut self, market: &Market<'_>) -> bool {
        let id = market.instrument;
        if self.symbols.of(id).may_trade() {
            return false;
        }
        match market.data {
            // Marks and fundings come from other markets too.
            MarketData::Mark(_) | MarketData::Funding(_) => false,
            MarketData::Depth { bids, asks, snapshot, .. } => {
                let book = self.hidden.entry(id).or_insert_with(|| self.venue.book(id).clone());
                if snapshot {
                    book.replace(bids, asks);
                } else {
                    bids.iter().for_each(|l| book.set(Side::Buy, l.price, l.qty));
                    asks.iter().for_each(|l| book.set(Side::Sell, l.price, l.qty));
                }
                true
            }
            MarketData::Gap => {
                self.hidden.insert(id, L2Book::default());
                true
            }
            MarketData::Quote { .. } | MarketData::Trade(_) | MarketData::Bar(_) => true,
        }
    }

    /// The symbol's status has changed: if it trades again, its orders meet the market as it has become.
    pub(crate) fn unveil(&mut self, id: InstrumentId) {
        if !self.symbols.of(id).may_trade() {
            return;
        }
        let Some(book) = self.hidden.remove(&id) else { return };
        // Best levels first.
        let side = |side| book.levels(side).collect::<Vec<Level>>();
        let (bids, asks) = (side(Side::Buy), side(Side::Sell));
        let data = MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: 0 };
        let mut batch = Vec::new();
        self.venue.on_market(self.now, &Market { instrument: id, ts_event: self.now, data }, &mut batch);
        self.dirty.insert(id);
        self.absorb(batch, None);
        self.watch_algos(id);
        self.settle();
    }
}
