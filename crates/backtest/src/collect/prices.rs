//! What the market of a kernel says a currency or an instrument is worth.
//! Never: makes up a price where there is none.

use ctos_kernel::Kernel;
use ctos_types::{AccountId, Currency, Decimal, Instrument, InstrumentId, Rounding};

/// Middle of the best bid and ask; without a two-sided quote the last price.
pub fn mid(kernel: &Kernel, id: InstrumentId) -> Option<Decimal> {
    let (i, market) = (kernel.instruments().get(id), kernel.market(id));
    market.mid(i).or_else(|| market.last().map(|px| i.price_decimal(px)))
}

/// What prices `currency` in `other`, spot before derivatives: as the kernel chooses it.
fn pricing(kernel: &Kernel, currency: Currency, other: Currency) -> Option<&Instrument> {
    let pairs = kernel.instruments().iter().filter(|i| i.base == currency && i.quote == other && !i.is_inverse());
    pairs.min_by_key(|i| (!i.is_spot(), i.id))
}

/// The price of one unit of `currency` in `other`, also through the pair the other way round.
pub fn price_in(kernel: &Kernel, currency: Currency, other: Currency) -> Option<Decimal> {
    if let Some(px) = pricing(kernel, currency, other).and_then(|i| kernel.reference(i.id)) {
        return Some(px);
    }
    let px = pricing(kernel, other, currency).and_then(|i| kernel.reference(i.id))?;
    Decimal::ONE.div(px, Rounding::HalfEven).ok()
}

/// Whether everything the account holds, and that can come to have a price in its currency, has one.
pub fn is_priced(kernel: &Kernel, account: AccountId) -> bool {
    let Some(spec) = kernel.accounts().get(account.0 as usize) else { return true };
    let mut held = kernel.portfolio().all_cash().filter(|(a, _, cash)| *a == account && !cash.ours.is_zero());
    held.all(|(_, currency, _)| {
        let pair = pricing(kernel, currency, spec.reporting).filter(|_| currency != spec.reporting);
        pair.is_none_or(|i| kernel.reference(i.id).is_some())
    })
}
