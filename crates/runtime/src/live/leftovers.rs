//! Orders of ctos that are open at a venue before a new run begins: of an earlier run of the home, or of somebody else's.
//! Never: cancels an order of a run that is not this home's, or of a run that could go on.

use super::Opener;
use crate::UserError;
use crate::config::Settings;
use crate::runs::{RunStatus, record_of};
use ctos_storage::home::{Home, HomeError};
use ctos_types::{ClientOrderId, InstanceTag};
use std::collections::BTreeMap;
use std::path::Path;

/// Ids that are shown; more are counted.
const SHOWN: usize = 3;

/// An open order that carries a tag of ctos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Position in the settings.
    pub account: usize,
    /// Unified.
    pub symbol: String,
    pub id: ClientOrderId,
}

/// What a run of the home did with its tag.
struct Earlier {
    run_id: String,
    /// It could be continued: its own desk would take the orders over.
    cut_off: bool,
}

/// Runs of the home by their tags. A run whose record cannot be read has no say.
fn earlier(home: &Path) -> Result<BTreeMap<InstanceTag, Earlier>, UserError> {
    let home = match Home::read_only(home) {
        Ok(home) => home,
        Err(HomeError::Missing { .. }) => return Ok(BTreeMap::new()),
        Err(e) => return Err(failed(&e)),
    };
    let records = home.runs().map_err(|e| failed(&e))?.into_iter().filter_map(|dir| record_of(&dir).ok());
    Ok(records.map(|r| (r.tag, Earlier { cut_off: r.status == RunStatus::Running, run_id: r.run_id })).collect())
}

fn failed(e: &HomeError) -> UserError {
    let hint = e.hint().unwrap_or_else(|| "ask `ctos doctor`".into());
    UserError::new(format!("the earlier runs of the home cannot be read: {e}"), hint)
}

/// Makes sure that a new run finds no order of ctos at its venues but those placed one by one. With `cancel`, what this
/// home's earlier runs left is cancelled; says how many that were.
///
/// # Errors
/// Orders are there: whose, and what a person can do. Nothing was made or sent then, unless a cancel failed.
pub(crate) fn clear(opener: &mut dyn Opener, settings: &Settings, cancel: bool) -> Result<usize, UserError> {
    let mut open = opener.leftovers(settings)?;
    open.retain(|order| order.id.tag != InstanceTag::ONE_SHOT);
    if open.is_empty() {
        return Ok(0);
    }
    let earlier = earlier(&settings.home)?;
    let (ours, others): (Vec<Leftover>, Vec<Leftover>) =
        open.into_iter().partition(|o| earlier.contains_key(&o.id.tag));
    if let Some(first) = others.first() {
        let account = &settings.accounts[first.account].id;
        return Err(UserError::new(
            format!("an instance of ctos that is not this home's has {}", shown(settings, &others)),
            format!(
                "stop it first, or use its home; if it is gone for good, `ctos call cancel_all --account {account}` \
                 cancels everything that is open there"
            ),
        ));
    }
    if cancel {
        opener.cancel(settings, &ours)?;
        return Ok(ours.len());
    }
    let of = &earlier[&ours[0].id.tag];
    let hint = if of.cut_off {
        "start without --fresh to go on with that run, which takes its orders over; or add --cancel-leftovers to cancel \
         them first"
    } else {
        "add --cancel-leftovers to cancel them first"
    };
    Err(UserError::new(format!("run {} of this home left {}", of.run_id, shown(settings, &ours)), hint))
}

fn shown(settings: &Settings, orders: &[Leftover]) -> String {
    let one = |o: &Leftover| format!("{} ({} on {})", o.id, o.symbol, settings.accounts[o.account].id);
    let ids: Vec<String> = orders.iter().take(SHOWN).map(one).collect();
    let more = orders.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let word = if orders.len() == 1 { "order" } else { "orders" };
    format!("{} {word} open at the venue: {}{more}", orders.len(), ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use crate::live::{Opened, Way};
    use ctos_types::Instruments;

    /// A venue with these orders.
    #[derive(Default)]
    struct Venue {
        open: Vec<Leftover>,
        cancelled: usize,
    }

    impl Opener for Venue {
        fn instruments(&mut self, _: &Settings) -> Result<Instruments, UserError> {
            Ok(Instruments::default())
        }
        fn open(&mut self, _: &Settings, _: Way<'_>) -> Result<Opened, UserError> {
            Err(UserError::new("nobody is there", ""))
        }
        fn leftovers(&mut self, _: &Settings) -> Result<Vec<Leftover>, UserError> {
            Ok(self.open.clone())
        }
        fn cancel(&mut self, _: &Settings, orders: &[Leftover]) -> Result<(), UserError> {
            self.cancelled += orders.len();
            Ok(())
        }
    }

    fn order(tag: InstanceTag, seq: u64) -> Leftover {
        Leftover { account: 0, symbol: "binance:BTC-USDT-PERP".into(), id: ClientOrderId { tag, seq } }
    }

    #[test]
    fn only_this_homes_own_are_cancelled_and_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let mut layers = Layers::new();
        layers.flag("--home", "home", dir.path().to_str().unwrap());
        let settings = Settings::resolve(&layers).unwrap();
        let mut venue = Venue::default();
        assert_eq!(clear(&mut venue, &settings, false), Ok(0));
        venue.open = vec![order(InstanceTag::ONE_SHOT, 1)];
        assert_eq!(clear(&mut venue, &settings, false), Ok(0), "orders by hand stay");
        venue.open.push(order(InstanceTag(7), 1));
        for cancel in [false, true] {
            let error = clear(&mut venue, &settings, cancel).unwrap_err();
            assert!(error.message.contains("not this home's has 1 order open"), "{error}");
            assert!(error.hint.contains("cancel_all --account main"), "{}", error.hint);
        }
        assert_eq!(venue.cancelled, 0, "never somebody else's");
    }

    #[test]
    fn many_orders_are_counted() {
        let settings = Settings::resolve(&Layers::new()).unwrap();
        let all: Vec<Leftover> = (1..=5).map(|seq| order(InstanceTag(7), seq)).collect();
        let text = shown(&settings, &all);
        assert!(text.starts_with("5 orders open") && text.ends_with("and 2 more"), "{text}");
    }
}
