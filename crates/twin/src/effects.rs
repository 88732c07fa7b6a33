//! What orders do to the loans of a cross margin account: what an order lacks is lent when it is placed, what comes in
//! repays, and a cancelled order gives back what it did not use.
//! Never: more than the account may borrow, or a repayment of what another order needs.

use crate::error::ApiError;
use crate::loans::LENT;
use crate::orders::{Order, OrderType};
use crate::params::Params;
use crate::twin::Twin;
use ctos_types::{Currency, Decimal, InstrumentId, Price, Qty, Rounding, Side};
use serde::{Deserialize, Serialize};

/// `sideEffectType` and `autoRepayAtCancel` of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Effect {
    pub borrow: bool,
    pub repay: bool,
    /// What a cancelled order borrowed stays borrowed.
    pub keep: bool,
}

impl Effect {
    pub fn read(p: &Params) -> Result<Effect, ApiError> {
        let (borrow, repay) = match p.text("sideEffectType")? {
            None | Some("NO_SIDE_EFFECT") => (false, false),
            Some("MARGIN_BUY") => (true, false),
            Some("AUTO_REPAY") => (false, true),
            Some("AUTO_BORROW_REPAY") => (true, true),
            Some(_) => return Err(ApiError::invalid("sideEffectType")),
        };
        Ok(Effect { borrow, repay, keep: p.bool("autoRepayAtCancel")? == Some(false) })
    }
}

/// What is owed for an order since the batch in hand began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// So much has come in.
    Received { order: usize, asset: Currency, amount: Decimal },
    /// It is over.
    Over { order: usize },
}

fn e(code: i32, msg: &str) -> ApiError {
    ApiError::new(code, msg)
}

impl Order {
    /// The currency it is paid with.
    fn spent(&self, (base, quote): (Currency, Currency)) -> Currency {
        if self.side == Side::Buy { quote } else { base }
    }
}

impl Twin {
    fn pair(&self, id: InstrumentId) -> (Currency, Currency) {
        let symbol = self.symbols.of(id);
        (symbol.base, symbol.quote)
    }

    /// Places an order of a margin account, with a loan where it asks for one and lacks something.
    pub(crate) fn place_margin(&mut self, order: Order) -> Result<usize, ApiError> {
        if self.symbols.of(order.instrument).row["isMarginTradingAllowed"] == false {
            return Err(e(-3021, "Margin account are not allowed to trade this trading pair."));
        }
        let asset = order.spent(self.pair(order.instrument));
        let need = self.needed(&order);
        let lack = need - self.venue.balance(self.users.engine(order.user), asset).available().max(Decimal::ZERO);
        let lack = lack.round(8, Rounding::Up);
        if !order.effect.borrow || !lack.is_positive() {
            return self.place_spot(Order { need, ..order });
        }
        let user = order.user;
        self.lend(user, asset, lack)?;
        let placed = self.place_spot(Order { need, loan: lack, ..order });
        match placed {
            Ok(n) if !self.orders.list[n].status.is_open() => {
                // Of what it did not need at once nothing is owed.
                self.give_back(n);
                Ok(n)
            }
            Ok(n) => Ok(n),
            Err(refused) => {
                self.unlend(user, asset, lack);
                Err(refused)
            }
        }
    }

    /// What an order spends at most.
    fn needed(&self, o: &Order) -> Decimal {
        let i = self.instrument(o.instrument);
        if o.side == Side::Sell {
            return i.qty_decimal(o.qty);
        }
        let at = |px: Price| i.value(px, o.qty).unwrap_or(Decimal::MAX);
        let last = || self.public(o.instrument).last.map_or(Price(0), |l| l.price);
        match o.kind {
            OrderType::Limit | OrderType::LimitMaker | OrderType::StopLossLimit | OrderType::TakeProfitLimit => {
                at(o.price)
            }
            OrderType::StopLoss | OrderType::TakeProfit if o.stop.0 > 0 => at(o.stop),
            OrderType::StopLoss | OrderType::TakeProfit => at(last()),
            OrderType::Market | OrderType::Liquidation => self.sweep(o),
        }
    }

    /// What a market order to buy costs in the book as it stands.
    fn sweep(&self, o: &Order) -> Decimal {
        let (i, mut left, mut sum) = (self.instrument(o.instrument), o.qty.0, Decimal::ZERO);
        for (price, there) in &self.public(o.instrument).asks {
            let fits = left.min(*there);
            sum += i.value(Price(*price), Qty(fits)).unwrap_or_default();
            left -= fits;
            if left == 0 {
                break;
            }
        }
        sum
    }

    fn lend(&mut self, user: usize, asset: Currency, amount: Decimal) -> Result<(), ApiError> {
        if !LENT.contains(&asset.as_str()) {
            return Err(e(-3012, "Borrow is banned for this asset."));
        }
        if amount > self.borrowable(user, asset)? {
            return Err(e(-3006, "Your borrow amount has exceed maximum borrow amount."));
        }
        self.move_quietly(user, asset, amount);
        self.owe(user, asset, amount);
        Ok(())
    }

    /// Takes back a loan whose order never was.
    fn unlend(&mut self, user: usize, asset: Currency, amount: Decimal) {
        self.move_quietly(user, asset, -amount);
        self.repaid(user, asset, Decimal::ZERO, amount);
    }

    /// Loans are no deposits: nobody is told of them but by the balances after the order.
    fn move_quietly(&mut self, user: usize, asset: Currency, amount: Decimal) {
        let engine = self.users.engine(user);
        let moved = self.venue.transfer(self.now, engine, asset, amount, &mut Vec::new());
        debug_assert!(moved.is_ok(), "{amount} {asset}: {moved:?}");
    }

    // ---- after fills and ends

    /// Notes what an order received, fees taken off.
    pub(crate) fn note_received(&mut self, n: usize, qty: Decimal, quote: Decimal, fee: Decimal, fee_asset: &str) {
        let o = &self.orders.list[n];
        if o.effect == Effect::default() && o.loan.is_zero() {
            return;
        }
        let (base, quoted) = self.pair(o.instrument);
        let (asset, amount) = if o.side == Side::Buy { (base, qty) } else { (quoted, quote) };
        let amount = if fee_asset == asset.as_str() { amount - fee } else { amount };
        if o.effect.repay {
            self.due.push(Due::Received { order: n, asset, amount });
        }
        if !o.status.is_open() {
            self.due.push(Due::Over { order: n });
        }
    }

    pub(crate) fn note_over(&mut self, n: usize) {
        if self.orders.list[n].loan.is_positive() {
            self.due.push(Due::Over { order: n });
        }
    }

    /// Repays what the batch in hand has made due. Returns whose balances changed so.
    pub(crate) fn settle_due(&mut self) -> Vec<(usize, Currency)> {
        let mut touched = Vec::new();
        for due in std::mem::take(&mut self.due) {
            let (user, asset) = match due {
                Due::Received { order, asset, amount } => {
                    let user = self.orders.list[order].user;
                    self.repay(user, asset, amount);
                    (user, asset)
                }
                Due::Over { order } => {
                    let o = &self.orders.list[order];
                    let (user, asset) = (o.user, o.spent(self.pair(o.instrument)));
                    self.give_back(order);
                    (user, asset)
                }
            };
            touched.push((user, asset));
        }
        touched
    }

    /// An order that is over gives back what it borrowed and did not spend. A filled limit order keeps it: the loan was for
    /// its limit.
    fn give_back(&mut self, n: usize) {
        let o = &self.orders.list[n];
        let filled = o.cum >= o.qty && o.kind != OrderType::Market;
        if o.status.is_open() || filled || o.effect.keep || !o.loan.is_positive() {
            return;
        }
        let asset = o.spent(self.pair(o.instrument));
        let spent = if o.side == Side::Buy { o.cum_quote } else { self.instrument(o.instrument).qty_decimal(o.cum) };
        let unspent = (o.need - spent).min(o.loan).max(Decimal::ZERO);
        let user = o.user;
        let back = self.repay_principal(user, asset, unspent);
        let o = &mut self.orders.list[n];
        (o.loan, o.need) = (o.loan - back, spent);
    }

    /// Repays from what came in: interest first.
    fn repay(&mut self, user: usize, asset: Currency, received: Decimal) {
        let loan = self.loan(user, asset);
        let free = self.free(user, asset);
        let amount = received.min(loan.owed()).min(free).round(8, Rounding::Down);
        if amount.is_positive() {
            let interest = amount.min(loan.interest);
            self.move_quietly(user, asset, -amount);
            self.repaid(user, asset, interest, amount - interest);
        }
    }

    fn repay_principal(&mut self, user: usize, asset: Currency, amount: Decimal) -> Decimal {
        let (loan, free) = (self.loan(user, asset), self.free(user, asset));
        let amount = amount.min(loan.principal).min(free).round(8, Rounding::Down);
        if !amount.is_positive() {
            return Decimal::ZERO;
        }
        self.move_quietly(user, asset, -amount);
        self.repaid(user, asset, Decimal::ZERO, amount);
        amount
    }

    fn free(&self, user: usize, asset: Currency) -> Decimal {
        self.venue.balance(self.users.engine(user), asset).available().max(Decimal::ZERO)
    }
}
