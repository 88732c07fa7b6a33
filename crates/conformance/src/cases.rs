//! The conformance suite: one list of named cases. A driver claims capabilities; each case that belongs to a claim must
//! hold against the venue's twin.
//! Never: a case that knows the venue it runs against, beyond what the world's words for its twin say.

mod list;

pub use list::CASES;

use crate::engine::{ACCOUNT, TAG};
use crate::plan::Plan;
use crate::rows::stage::Stage;
use crate::world::{Setup, World};
use ctos_driver_binance::Profile;
use ctos_kernel::Order;
use ctos_types::{ClientOrderId, Nanos, OrderStatus};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a driver may be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// What every driver must do: orders, fills, refusals, unknown outcomes, reconciliation, restarts.
    Core,
    Amend,
    Conditional,
    Trailing,
    QuoteAmount,
    Positions,
    ReduceOnly,
    DeadMan,
    Funding,
    ThirdAssetFees,
}

/// What the driver claims for a market.
pub fn claims(profile: Profile) -> &'static [Capability] {
    use Capability as C;
    match profile {
        Profile::Spot => &[C::Core, C::Amend, C::Conditional, C::Trailing, C::QuoteAmount, C::ThirdAssetFees],
        Profile::Margin => &[C::Core, C::Conditional, C::QuoteAmount],
        Profile::UsdM => {
            &[C::Core, C::Amend, C::Conditional, C::Trailing, C::Positions, C::ReduceOnly, C::DeadMan, C::Funding]
        }
    }
}

/// One card of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub needs: Capability,
    pub setup: fn(&mut Setup),
    /// What ctos does by itself.
    pub plan: fn() -> Plan,
    /// What happens around it, and what must hold.
    pub play: fn(&mut World) -> Result<(), String>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Proved,
    NotClaimed,
    Failed(String),
}

/// Plays a case on a market.
pub fn play(case: &Case, profile: Profile) -> Outcome {
    if !claims(profile).contains(&case.needs) {
        return Outcome::NotClaimed;
    }
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut setup = Setup::new(profile, 77);
        setup.plan = Some((case.plan)());
        (case.setup)(&mut setup);
        let mut w = World::new(setup);
        (case.play)(&mut w)?;
        w.always()
    }));
    match played {
        Ok(Ok(())) => Outcome::Proved,
        Ok(Err(why)) => Outcome::Failed(why),
        Err(_) => Outcome::Failed("panic".into()),
    }
}

/// Plays everything and gives the table with what failed.
pub fn table() -> (String, Vec<String>) {
    let profiles = [Profile::Spot, Profile::Margin, Profile::UsdM];
    let mut text = String::from("| case | spot | cross margin | USD-M |\n|---|---|---|---|\n");
    let mut failed = Vec::new();
    for case in CASES {
        let mut cells = String::new();
        for profile in profiles {
            let cell = match play(case, profile) {
                Outcome::Proved => "proved",
                Outcome::NotClaimed => "not claimed",
                Outcome::Failed(why) => {
                    failed.push(format!("{} on {profile}: {why}", case.name));
                    "FAILED"
                }
            };
            let _ = write!(cells, " {cell} |");
        }
        let _ = writeln!(text, "| {} |{cells}", case.name);
    }
    (text, failed)
}

// ---- words for cases

impl World {
    pub fn pass(&mut self, ms: i64) {
        self.run_for(Nanos::from_millis(ms));
    }

    /// The n-th order of the plan.
    pub fn order(&self, n: u64) -> Option<&Order> {
        self.engine().kernel.orders().get(ClientOrderId { tag: TAG, seq: n })
    }

    pub fn is(&self, n: u64, status: OrderStatus) -> Result<(), String> {
        match self.order(n) {
            Some(order) if order.status == status => Ok(()),
            Some(order) => {
                let (have, cum, why) = (order.status, order.cum_qty.0, order.reject);
                Err(format!("order {n} is {have:?} with {cum} filled ({why:?}), not {status:?}"))
            }
            None => Err(format!("there is no order {n}")),
        }
    }

    /// Both sides agree within so many seconds, and the account is known.
    pub fn agrees_within(&mut self, secs: u32) -> Result<(), String> {
        let mut why = String::new();
        for _ in 0..secs * 4 {
            self.pass(250);
            match self.agreement() {
                Ok(()) if self.engine().kernel.is_known(ACCOUNT) => return Ok(()),
                Ok(()) => why = "the account is not known".into(),
                Err(other) => why = other,
            }
        }
        Err(format!("after {secs} s: {why}"))
    }

    /// What the kernel has of an asset.
    pub fn cash(&self, asset: &str) -> ctos_types::Decimal {
        self.engine().kernel.portfolio().cash(ACCOUNT, ctos_types::Currency::cut(asset)).ours
    }
}
