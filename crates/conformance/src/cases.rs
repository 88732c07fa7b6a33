//! The conformance suite: one list of named cases. A driver claims capabilities; each case that belongs to a claim must
//! hold against the venue's twin.
//! Never: a case that knows the venue it runs against, beyond what the world's words for its twin say.

mod account;
mod amend;
mod change;
mod doubt;
mod entry;
mod limits;
mod loans;
mod place;
mod words;

use crate::plan::Plan;
use crate::rows::stage::Stage;
use crate::world::{Setup, World};
use ctos_driver_binance::Profile;
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
    /// Orders over a socket of their own.
    OrderEntry,
    /// Spot with borrowed money.
    Loans,
}

/// All of them.
pub const CAPABILITIES: &[Capability] = {
    use Capability as C;
    &[
        C::Core,
        C::Amend,
        C::Conditional,
        C::Trailing,
        C::QuoteAmount,
        C::Positions,
        C::ReduceOnly,
        C::DeadMan,
        C::Funding,
        C::ThirdAssetFees,
        C::OrderEntry,
        C::Loans,
    ]
};

pub const PROFILES: [Profile; 3] = [Profile::Spot, Profile::Margin, Profile::UsdM];

/// What the driver claims for a market.
pub fn claims(profile: Profile) -> &'static [Capability] {
    use Capability as C;
    match profile {
        Profile::Spot => {
            &[C::Core, C::Amend, C::Conditional, C::Trailing, C::QuoteAmount, C::ThirdAssetFees, C::OrderEntry]
        }
        Profile::Margin => &[C::Core, C::Amend, C::Conditional, C::Trailing, C::QuoteAmount, C::Loans],
        Profile::UsdM => &[
            C::Core,
            C::Amend,
            C::Conditional,
            C::Trailing,
            C::Positions,
            C::ReduceOnly,
            C::DeadMan,
            C::Funding,
            C::OrderEntry,
        ],
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

/// Every case, by its subject and in the order of the table.
pub const SUBJECTS: &[(&str, &[Case])] = &[
    ("placing", place::PLACE),
    ("changing", change::CHANGE),
    ("changing what trades", amend::AMEND),
    ("doubt", doubt::DOUBT),
    ("order entry", entry::ENTRY),
    ("the account", account::ACCOUNT_CASES),
    ("loans", loans::LOANS),
    ("limits", limits::LIMITS),
];

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Proved,
    NotClaimed,
    Failed(String),
}

/// Plays a case on a market by what its driver claims.
pub fn play(case: &Case, profile: Profile) -> Outcome {
    play_claiming(case, profile, claims(profile))
}

/// As [`play`], with other claims than the driver's own.
pub fn play_claiming(case: &Case, profile: Profile, claims: &[Capability]) -> Outcome {
    if !claims.contains(&case.needs) {
        return Outcome::NotClaimed;
    }
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut setup = Setup::new(profile, 77);
        setup.plan = Some((case.plan)());
        setup.borrows = false;
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
    let mut text = String::from("| | case | spot | cross margin | USD-M |\n|---|---|---|---|---|\n");
    let mut failed = Vec::new();
    for (subject, cases) in SUBJECTS {
        let mut subject = *subject;
        for case in *cases {
            let mut cells = String::new();
            for profile in PROFILES {
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
            let _ = writeln!(text, "| {} | {} |{cells}", std::mem::take(&mut subject), case.name);
        }
    }
    (text, failed)
}
