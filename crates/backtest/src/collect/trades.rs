//! Round trips out of fills, and sums by strategy and instrument. Money goes by average price, as positions do, so
//! that the trades of a strategy add up to what its ledger realised; dates go first in, first out.
//! Never: looks at a market, or drops a fill.

use crate::log::{FillRow, FundingRow, OpenRow, Part, TradeRow, TradeSums};
use ctos_types::{
    AccountId, Currency, Decimal, Instrument, InstrumentId, Instruments, Leg, Liquidity, Position, Price, Qty,
    Rounding, StrategyId, UnixNanos,
};
use std::collections::{BTreeMap, VecDeque};

/// Entries remembered one by one for the sake of their dates; more than that share the date of the older one.
const LOTS_KEPT: usize = 4_096;

/// The kernel has booked every fill with the very same arithmetic before anybody hears of it.
const BOOKED: &str = "within the range in which the kernel booked it";

type Key = (StrategyId, AccountId, InstrumentId, Leg);

/// One strategy's position with what belongs to it.
#[derive(Debug, Default)]
struct Held {
    position: Position,
    /// The open part's share of fees and funding.
    fees: Decimal,
    funding: Decimal,
    /// When the open units were entered, and how many of them.
    lots: VecDeque<(UnixNanos, i64)>,
    /// A trade that the next fill of the same order would enlarge, with the sum of price times size of its entry and
    /// its exit.
    closing: Option<Closing>,
}

#[derive(Debug)]
struct Closing {
    trade: TradeRow,
    /// Signed as the position was: what the closed part had cost and what it fetched.
    cost: Decimal,
    value: Decimal,
}

/// Follows fills and funding in their order.
#[derive(Debug, Default)]
pub struct TradeBook {
    held: BTreeMap<Key, Held>,
    parts: BTreeMap<(StrategyId, InstrumentId), Part>,
    pub fees: BTreeMap<Currency, Decimal>,
    pub fills: u64,
    pub maker_fills: u64,
}

/// A share of one fill.
struct Share {
    strategy: StrategyId,
    qty: i64,
    fee: Decimal,
}

impl TradeBook {
    /// Books a fill. Trades that it finished go to `out`.
    pub fn fill(&mut self, i: &Instrument, row: &FillRow, out: &mut Vec<TradeRow>) {
        self.fills += 1;
        self.maker_fills += u64::from(row.liquidity == Liquidity::Maker);
        if !row.fee.is_zero() {
            *self.fees.entry(row.fee_currency).or_default() += row.fee;
        }
        let part = self.part(row.strategy, row.instrument);
        part.fills += 1;
        part.volume += i.notional(row.price, row.qty).expect(BOOKED);
        part.fees_unknown += u64::from(row.fee_value.is_none());
        match slippage(i, row) {
            Some(cost) => part.slippage += cost,
            None => part.slippage_unknown += 1,
        }
        let fee = row.fee_value.unwrap_or_default();
        if row.strategy != StrategyId::EXTERNAL {
            return self.apply(i, row, &Share { strategy: row.strategy, qty: row.qty.0, fee }, out);
        }
        for share in self.shares(row, fee) {
            self.apply(i, row, &share, out);
        }
    }

    /// Whom a fill concerns that no strategy ordered: those whose position it takes away, in their order, and the rest
    /// nobody. A liquidation is thereby the loss of the strategies that were liquidated.
    fn shares(&self, row: &FillRow, fee: Decimal) -> Vec<Share> {
        let (mut qty, mut fee_left, mut shares) = (row.qty.0, fee, Vec::new());
        let holders = self.held.iter().filter(|((strategy, account, instrument, leg), held)| {
            (*account, *instrument, *leg) == (row.account, row.instrument, row.leg)
                && *strategy != StrategyId::EXTERNAL
                && held.position.qty.0.signum() == -row.side.sign()
        });
        for ((strategy, ..), held) in holders {
            let taken = qty.min(held.position.qty.0.abs());
            if taken > 0 {
                let part = fee.mul_ratio(taken, row.qty.0, Rounding::HalfEven).expect(BOOKED);
                (qty, fee_left) = (qty - taken, fee_left - part);
                shares.push(Share { strategy: *strategy, qty: taken, fee: part });
            }
        }
        if qty > 0 {
            shares.push(Share { strategy: StrategyId::EXTERNAL, qty, fee: fee_left });
        } else if let Some(last) = shares.last_mut() {
            last.fee += fee_left;
        }
        shares
    }

    fn apply(&mut self, i: &Instrument, row: &FillRow, share: &Share, out: &mut Vec<TradeRow>) {
        let key = (share.strategy, row.account, row.instrument, row.leg);
        let held = self.held.entry(key).or_default();
        let sign = row.side.sign();
        let against = held.position.qty.0.signum() == -sign;
        let closed = if against { share.qty.min(held.position.qty.0.abs()) } else { 0 };
        let exit_fee = share.fee.mul_ratio(closed, share.qty, Rounding::HalfEven).expect(BOOKED);
        let mut finished = None;
        if closed > 0 {
            if held.closing.as_ref().is_some_and(|c| row.order.is_none() || c.trade.exit_order != row.order) {
                finished = held.closing.take();
            }
            held.close(i, key, row, closed, exit_fee);
        }
        let opened = share.qty - closed;
        let mut flipped = None;
        if opened > 0 {
            flipped = held.closing.take();
            held.position.apply(i, row.side, row.price, Qty(opened)).expect(BOOKED);
            held.fees += share.fee - exit_fee;
            held.lots.push_back((row.at, opened));
            if held.lots.len() > LOTS_KEPT {
                let (_, newest) = held.lots.pop_back().expect("more than are kept");
                held.lots.back_mut().expect("more than are kept").1 += newest;
            }
        }
        let part = self.part(share.strategy, row.instrument);
        part.fees += share.fee;
        for closing in finished.into_iter().chain(flipped) {
            self.finish(closing.trade, out);
        }
    }

    fn finish(&mut self, trade: TradeRow, out: &mut Vec<TradeRow>) {
        let part = self.part(trade.strategy, trade.instrument);
        part.realized += trade.gross;
        part.trades.add(&trade);
        out.push(trade);
    }

    fn part(&mut self, strategy: StrategyId, instrument: InstrumentId) -> &mut Part {
        self.parts.entry((strategy, instrument)).or_insert_with(|| Part {
            strategy,
            instrument,
            fills: 0,
            volume: Decimal::ZERO,
            realized: Decimal::ZERO,
            fees: Decimal::ZERO,
            fees_unknown: 0,
            funding: Decimal::ZERO,
            slippage: Decimal::ZERO,
            slippage_unknown: 0,
            trades: TradeSums::default(),
        })
    }

    /// Shares funding among the strategies that hold the position, by their signed size as the kernel does; where the
    /// sizes cancel out, by unsigned size. The remainder of the division goes to the last of them.
    pub fn funding(&mut self, row: &FundingRow) {
        let concerned = |key: &Key, held: &Held| (key.1, key.2) == (row.account, row.instrument) && !held.is_flat();
        let sizes: Vec<(Key, i64)> =
            self.held.iter().filter(|(k, h)| concerned(k, h)).map(|(k, h)| (*k, h.position.qty.0)).collect();
        let Some(((last, _), _)) = sizes.split_last() else {
            // Paid on a position that closed meanwhile.
            self.part(StrategyId::EXTERNAL, row.instrument).funding += row.amount;
            return;
        };
        let net: i64 = sizes.iter().map(|(_, qty)| *qty).sum();
        let weight = |qty: i64| if net == 0 { qty.abs() } else { qty };
        let total: i64 = sizes.iter().map(|(_, qty)| weight(*qty)).sum();
        let mut rest = row.amount;
        for (key, qty) in &sizes {
            let share = row.amount.mul_ratio(weight(*qty), total, Rounding::HalfEven).expect(BOOKED);
            let share = if key == last { rest } else { share };
            rest -= share;
            self.held.get_mut(key).expect("found above").funding += share;
            self.part(key.0, row.instrument).funding += share;
        }
    }

    /// Finishes the trades that a further fill could have enlarged.
    pub fn close(&mut self, out: &mut Vec<TradeRow>) {
        let mut closing: Vec<Closing> = self.held.values_mut().filter_map(|h| h.closing.take()).collect();
        closing.sort_by_key(|c| c.trade.exit_at);
        for c in closing {
            self.finish(c.trade, out);
        }
    }

    pub fn parts(&self) -> Vec<Part> {
        self.parts.values().cloned().collect()
    }

    /// What is still open, valued at `mark`.
    pub fn open(&self, instruments: &Instruments, mark: impl Fn(InstrumentId) -> Option<Decimal>) -> Vec<OpenRow> {
        let open = self.held.iter().filter(|(_, held)| !held.is_flat());
        open.map(|((strategy, account, instrument, leg), held)| {
            let (i, mark) = (instruments.get(*instrument), mark(*instrument));
            OpenRow {
                account: *account,
                strategy: *strategy,
                instrument: *instrument,
                leg: *leg,
                entry_at: held.lots.front().map(|(at, _)| *at).unwrap_or_default(),
                qty: held.position.qty,
                avg_px: held.position.avg_px(i),
                mark,
                unrealized: mark.and_then(|m| held.position.unrealized(i, m).ok()),
                fees: held.fees,
                funding: held.funding,
            }
        })
        .collect()
    }
}

impl Held {
    fn is_flat(&self) -> bool {
        self.position.is_flat()
    }

    /// Takes `closed` off the position, as a new trade or as more of the one that is being closed.
    fn close(&mut self, i: &Instrument, key: Key, row: &FillRow, closed: i64, exit_fee: Decimal) {
        let size = self.position.qty.0.abs();
        let cost = self.position.cost;
        let gross = self.position.apply(i, row.side, row.price, Qty(closed)).expect(BOOKED);
        let share = |amount: Decimal| {
            if closed == size { amount } else { amount.mul_ratio(closed, size, Rounding::HalfEven).expect(BOOKED) }
        };
        let (fees, funding) = (share(self.fees), share(self.funding));
        self.fees -= fees;
        self.funding -= funding;
        let cost = cost - self.position.cost;
        let entry_at = self.take_lots(closed);
        let fees = fees + exit_fee;
        let closing = self.closing.get_or_insert_with(|| Closing {
            trade: TradeRow {
                account: key.1,
                strategy: key.0,
                instrument: key.2,
                leg: key.3,
                side: row.side.opposite(),
                entry_at,
                exit_at: row.at,
                qty: Qty(0),
                entry_px: Decimal::ZERO,
                exit_px: Decimal::ZERO,
                gross: Decimal::ZERO,
                fees: Decimal::ZERO,
                funding: Decimal::ZERO,
                net: Decimal::ZERO,
                exit_order: row.order,
            },
            cost: Decimal::ZERO,
            value: Decimal::ZERO,
        });
        closing.cost += cost;
        closing.value += cost + gross;
        let t = &mut closing.trade;
        t.exit_at = row.at;
        t.qty.0 += closed;
        t.gross += gross;
        t.fees += fees;
        t.funding += funding;
        t.net = t.gross - t.fees + t.funding;
        let signed = Qty(t.qty.0 * t.side.sign());
        t.entry_px = i.avg_px(closing.cost, signed).unwrap_or_default();
        t.exit_px = i.avg_px(closing.value, signed).unwrap_or_default();
    }

    /// Takes the oldest units away and says when the oldest of them was entered.
    fn take_lots(&mut self, mut qty: i64) -> UnixNanos {
        let entry = self.lots.front().map(|(at, _)| *at).unwrap_or_default();
        while qty > 0 {
            let Some(lot) = self.lots.front_mut() else { break };
            let taken = qty.min(lot.1);
            lot.1 -= taken;
            qty -= taken;
            if lot.1 == 0 {
                self.lots.pop_front();
            }
        }
        entry
    }
}

impl TradeSums {
    pub fn add(&mut self, trade: &TradeRow) {
        self.count += 1;
        self.held_ns += i128::from((trade.exit_at - trade.entry_at).0);
        if trade.net.is_positive() {
            self.wins += 1;
            self.won += trade.net;
            self.best = self.best.max(trade.net);
        } else if trade.net.is_negative() {
            self.losses += 1;
            self.lost += -trade.net;
            self.worst = self.worst.max(-trade.net);
        }
    }

    pub fn merge(&mut self, other: &TradeSums) {
        self.count += other.count;
        self.wins += other.wins;
        self.losses += other.losses;
        self.won += other.won;
        self.lost += other.lost;
        self.best = self.best.max(other.best);
        self.worst = self.worst.max(other.worst);
        self.held_ns += other.held_ns;
    }
}

/// What a fill cost against the price its order was sent at, in settlement currency. Negative: it was better.
fn slippage(i: &Instrument, row: &FillRow) -> Option<Decimal> {
    let signed = Qty(row.qty.0 * row.side.sign());
    let paid = i.value(row.price, signed).ok()?;
    paid.checked_sub(i.value_at(row.mid_at_send?, signed).ok()?).ok()
}

/// What a fee is worth in the instrument's settlement currency: in the pair's other currency by the fill's own price,
/// in a third one by `price`, that of one unit of it in settlement currency.
pub fn fee_value(
    i: &Instrument,
    px: Price,
    fee: Decimal,
    currency: Currency,
    price: impl FnOnce() -> Option<Decimal>,
) -> Option<Decimal> {
    if currency == i.settle() || fee.is_zero() {
        return Some(fee);
    }
    let px = i.price_decimal(px);
    match (currency == i.base, currency == i.quote) {
        (true, _) if !i.is_inverse() => fee.mul(px, Rounding::HalfEven).ok(),
        (_, true) if i.is_inverse() => fee.div(px, Rounding::HalfEven).ok(),
        _ => fee.mul(price()?, Rounding::HalfEven).ok(),
    }
}
