//! What a cross margin account may owe, and so what a new order is to do to its loans.
//! Never: amounts; those are the balances'. What is not sure to be free of debt counts as owing.

use crate::account::AssetBalance;
use crate::orders::{Desk, Loan};
use crate::profile::Profile;
use ctos_types::{ClientOrderId, Currency, NewOrder, OrderQty, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Currencies that are owed, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Debts {
    owed: BTreeSet<Currency>,
    /// Orders that borrow, while they are open, with the currency they pay with: a list of balances may be older.
    borrowing: BTreeMap<ClientOrderId, Currency>,
}

impl Debts {
    /// An order that is sent, or was before.
    pub fn placed(&mut self, desk: &Desk, order: &NewOrder) {
        if let (Some(true), Some(spent)) = (order.auto_borrow, desk.spends(order)) {
            self.borrowing.insert(order.cl_ord_id, spent);
            self.owed.insert(spent);
        }
    }

    pub fn closed(&mut self, id: ClientOrderId) {
        self.borrowing.remove(&id);
    }

    /// The venue's list of everything the account holds.
    pub fn listed(&mut self, list: &[AssetBalance]) {
        let owing = list.iter().filter(|b| b.balance.borrowed.is_positive() || b.balance.interest.is_positive());
        self.owed = owing.map(|b| b.currency).chain(self.borrowing.values().copied()).collect();
    }

    /// What `order` does to the loans. An order that was not found to lack anything borrows nothing; where the account
    /// borrows by itself, it repays what is owed in the currency that it brings in.
    pub fn effect(&self, desk: &Desk, order: &NewOrder) -> Loan {
        let owed = || desk.receives(order).is_some_and(|currency| self.owed.contains(&currency));
        match order.auto_borrow {
            _ if desk.profile != Profile::Margin => Loan::None,
            Some(true) => Loan::BorrowRepay,
            _ if desk.borrows() && owed() => Loan::Repay,
            _ => Loan::None,
        }
    }

    /// The same for what takes the place of `old`: where it costs more than the old one, nobody has looked whether that
    /// is there, so it may borrow.
    pub fn effect_of_rest(&self, desk: &Desk, old: &NewOrder, wanted: &NewOrder) -> Loan {
        let size = |o: &NewOrder| match o.qty {
            OrderQty::Size(qty) => qty.0,
            OrderQty::Quote(_) => 0,
        };
        let px = |o: &NewOrder| o.kind.limit_price().map_or(0, |px| px.0);
        let dearer = size(wanted) > size(old) || (old.side == Side::Buy && px(wanted) > px(old));
        match self.effect(desk, wanted) {
            Loan::None | Loan::Repay if desk.borrows() && dearer && wanted.auto_borrow.is_none() => Loan::BorrowRepay,
            as_it_was => as_it_was,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::builtin_all;
    use ctos_types::{AccountId, Balance, Decimal, InstanceTag, Instruments, OrderKind, Price, Qty};

    fn desk(profile: Profile, borrows: bool) -> Desk {
        let all = Instruments::new(builtin_all().to_vec()).unwrap();
        Desk::new(profile, AccountId(0), false, &all).with_loans(borrows)
    }

    fn order(desk: &Desk, side: Side, auto_borrow: Option<bool>) -> NewOrder {
        let id = desk.symbols().find(b"BTCUSDT").unwrap().id;
        let (kind, qty) = (OrderKind::Limit { price: Price(100) }, OrderQty::Size(Qty(5)));
        let name = ClientOrderId { tag: InstanceTag(1), seq: 9 };
        NewOrder { auto_borrow, ..NewOrder::new(AccountId(0), name, id, side, kind, qty) }
    }

    fn owing(currency: &str, amount: i64) -> AssetBalance {
        let balance = Balance { borrowed: Decimal::from_int(amount), ..Balance::default() };
        AssetBalance { currency: Currency::cut(currency), balance, available: Decimal::ZERO }
    }

    #[test]
    fn what_comes_in_repays_what_may_be_owed() {
        let d = desk(Profile::Margin, true);
        let mut debts = Debts::default();
        let buy = order(&d, Side::Buy, None);
        assert_eq!(debts.effect(&d, &buy), Loan::None);
        // From the moment that a sale with a loan is sent, its coins may be owed, whatever an older list says.
        let short = order(&d, Side::Sell, Some(true));
        assert_eq!(debts.effect(&d, &short), Loan::BorrowRepay);
        debts.placed(&d, &short);
        debts.listed(&[owing("BTC", 0)]);
        assert_eq!(debts.effect(&d, &buy), Loan::Repay);
        assert_eq!(debts.effect(&d, &NewOrder { auto_borrow: Some(false), ..buy }), Loan::Repay);
        assert_eq!(debts.effect(&d, &order(&d, Side::Sell, None)), Loan::None, "no dollars are owed");
        debts.closed(short.cl_ord_id);
        assert_eq!(debts.effect(&d, &buy), Loan::Repay, "it may have traded");
        debts.listed(&[owing("BTC", 1), owing("USDT", 0)]);
        assert_eq!(debts.effect(&d, &buy), Loan::Repay);
        debts.listed(&[owing("BTC", 0)]);
        assert_eq!(debts.effect(&d, &buy), Loan::None);
    }

    #[test]
    fn an_account_that_does_not_borrow_leaves_loans_to_its_owner() {
        let d = desk(Profile::Margin, false);
        let mut debts = Debts::default();
        debts.listed(&[owing("BTC", 1)]);
        assert_eq!(debts.effect(&d, &order(&d, Side::Buy, None)), Loan::None);
        assert_eq!(debts.effect(&d, &order(&d, Side::Buy, Some(true))), Loan::BorrowRepay);
        let spot = desk(Profile::Spot, true);
        assert_eq!(debts.effect(&spot, &order(&spot, Side::Buy, None)), Loan::None);
    }

    #[test]
    fn what_takes_an_orders_place_may_cost_more_than_it() {
        let (d, debts) = (desk(Profile::Margin, true), Debts::default());
        let (buy, sell) = (order(&d, Side::Buy, None), order(&d, Side::Sell, None));
        let dearer = |o: NewOrder| NewOrder { kind: OrderKind::Limit { price: Price(101) }, ..o };
        let larger = |o: NewOrder| NewOrder { qty: OrderQty::Size(Qty(6)), ..o };
        for (old, wanted, loan) in [
            (buy, buy, Loan::None),
            (buy, dearer(buy), Loan::BorrowRepay),
            (sell, dearer(sell), Loan::None),
            (sell, larger(sell), Loan::BorrowRepay),
        ] {
            assert_eq!(debts.effect_of_rest(&d, &old, &wanted), loan);
        }
        let firm = NewOrder { auto_borrow: Some(false), ..buy };
        assert_eq!(debts.effect_of_rest(&d, &firm, &larger(firm)), Loan::None);
        let alone = desk(Profile::Margin, false);
        assert_eq!(debts.effect_of_rest(&alone, &buy, &larger(buy)), Loan::None);
    }
}
