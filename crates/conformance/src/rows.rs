//! The fault catalogue as things done to a running world, row by row, and what must hold after them.
//! Never: a fault whose end is not told: after it, both sides must come to agree.

mod deeds;
pub mod stage;
mod storm;

use crate::engine::Sabotage;
use crate::judge;
use crate::world::{Setup, World};
use ctos_driver_binance::Profile;
use ctos_kernel::ProcessState;
use ctos_types::{AccountId, KillState, Nanos, StrategyId};
use deeds::*;
use stage::Stage;
use std::collections::BTreeMap;

/// Seconds between which faults happen.
const FROM: i64 = 6;
const TO: i64 = 40;
/// After faults stop both sides agree within this.
const WITHIN: i64 = 90;

/// One row of the catalogue.
#[derive(Clone, Copy)]
pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub profiles: &'static [Profile],
    /// Before it begins.
    pub setup: fn(&mut Setup),
    /// Each second while faults happen. `n`: a dice for this second.
    pub stir: fn(&mut dyn Stage, second: i64),
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {} ({})", self.number, self.name)
    }
}

const BOTH: &[Profile] = &[Profile::Spot, Profile::UsdM];
const USDM: &[Profile] = &[Profile::UsdM];
const SPOT: &[Profile] = &[Profile::Spot];
const ALL: &[Profile] = &[Profile::Spot, Profile::UsdM, Profile::Margin];

const fn row(
    number: u32,
    name: &'static str,
    profiles: &'static [Profile],
    setup: fn(&mut Setup),
    stir: fn(&mut dyn Stage, i64),
) -> Row {
    Row { number, name, profiles, setup, stir }
}

/// Rows that a venue can cause, and the kill of ctos (18).
pub const ROWS: &[Row] = &[
    row(1, "submit: request lost", ALL, plain, lost),
    row(2, "submit: response lost, order live", ALL, plain, reply_lost),
    row(3, "submit: response and events lost", ALL, plain, reply_lost_and_events),
    row(4, "errors of the front end, before and after the deed", ALL, plain, front_end_errors),
    row(5, "429, then 418", BOTH, plain, bans),
    row(6, "cancels race fills", ALL, plain, races),
    row(7, "amends half done", ALL, plain, half_amends),
    row(8, "every event twice", ALL, plain, doubles),
    row(9, "fills again under another id", BOTH, plain, new_trade_ids),
    row(10, "events late and out of order", ALL, plain, shuffled),
    row(11, "over-fills", BOTH, plain, overfills),
    row(12, "fees in a third asset, transfers", SPOT, third_asset, transfers),
    row(13, "events missing", ALL, plain, gaps),
    row(14, "silence with pings alive", BOTH, plain, stall),
    row(15, "sockets close, keys expire, lives end", ALL, plain, cuts),
    row(16, "orders and snapshots that show late", BOTH, plain, old_snapshots),
    row(17, "the venue's clock jumps", ALL, plain, skews),
    row(18, "killed and started again", ALL, plain, restarts),
    row(22, "another instance on the account", BOTH, plain, another_instance),
    row(23, "a person trades on the account", BOTH, plain, manual),
    row(24, "lists fail or come empty", ALL, plain, blind),
    row(25, "filters change, trading halts", BOTH, plain, other_rules),
    row(26, "funding, deleveraging, liquidation", USDM, plain, funding_and_adl),
];

/// Every fault of the catalogue at once, by the dice: `CONF_ROW=100`.
pub const STORM: Row = row(100, "all at once", ALL, storm::setup, storm::stir);

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Orders that ctos placed, and those that the venue had.
    pub placed: u64,
    pub trades: u64,
    /// Seconds after the end of the faults until both sides agreed.
    pub agreed_after: i64,
    /// What was last seen to differ until then.
    pub waited_for: String,
    /// What the kernel raised, and how often.
    pub alarms: BTreeMap<String, u64>,
}

/// Runs one seed of a row in the simulated world. `Err`: what did not hold.
pub fn run(row: &Row, seed: u64) -> Result<Tally, String> {
    run_with(row, seed, None)
}

/// The same with something got wrong on purpose. `Ok`: nobody saw it.
pub fn run_with(row: &Row, seed: u64, sabotage: Option<Sabotage>) -> Result<Tally, String> {
    let profile = row.profiles[(seed % row.profiles.len() as u64) as usize];
    let mut setup = Setup::new(profile, seed);
    (row.setup)(&mut setup);
    if sabotage.is_some() {
        // Where a request can be sent again.
        (setup.sabotage, setup.entry) = (sabotage, false);
    }
    play(row, &mut World::new(setup))
}

/// Plays a row wherever it is. `Err`: what did not hold.
pub fn play(row: &Row, w: &mut dyn Stage) -> Result<Tally, String> {
    let second = Nanos::from_secs(1);
    while w.secs() < TO {
        let s = w.secs();
        if s >= FROM {
            (row.stir)(w, s);
            // A kill at any moment is part of every row.
            if !matches!(row.number, 18 | 100) && s == 25 && w.seed() % 5 == 3 {
                w.restart();
            }
        }
        w.run_for(second);
        w.always().map_err(|why| format!("second {s}: {why}"))?;
        nobody_fell(w).map_err(|why| format!("second {s}: {why}"))?;
    }
    if !w.is_started() {
        return Err("the account never came to be known".into());
    }
    w.behave();
    let mut why = String::new();
    let mut held = 0;
    let over = w.secs();
    loop {
        // Not in step with what the venue does every second.
        w.run_for(Nanos::from_millis(970));
        let after = w.secs() - over;
        if after > WITHIN {
            break;
        }
        w.always().map_err(|why| format!("{after} s after the faults: {why}"))?;
        let halted = matches!(row.number, 22 | 26);
        let known =
            (0..w.accounts()).all(|n| w.kernel().is_known(AccountId(n)) || row.number == 100 && is_halted(w, n));
        match w.agreement() {
            Ok(()) if known || halted => held += 1,
            Ok(()) => (held, why) = (0, "the account is not known".into()),
            Err(other) => (held, why) = (0, other),
        }
        if held == 2 {
            if row.number == 22 && !is_halted(w, 0) {
                return Err("another instance's order did not halt the account".into());
            }
            let truth = w.truth();
            let names = (0..w.accounts()).map(|n| w.name_of(n));
            let trades = names.map(|name| judge::account(&truth, &name)["trades"].as_u64().unwrap_or(0)).sum();
            let (placed, alarms) = (w.asked().places, w.alarms());
            return Ok(Tally { placed, trades, agreed_after: after, waited_for: why, alarms });
        }
    }
    Err(format!("{WITHIN} s after the faults: {why}"))
}

/// Faults of a venue are no reason for a strategy to fail.
fn nobody_fell(w: &dyn Stage) -> Result<(), String> {
    let fallen = w.kernel().processes().find(|p| matches!(p.state, ProcessState::Failed { .. }));
    fallen.map_or(Ok(()), |p| Err(format!("strategy {}: {:?}", p.label, p.state)))
}

fn is_halted(w: &dyn Stage, account: u16) -> bool {
    let mut strategies = w.kernel().processes().filter(|p| p.account == AccountId(account));
    let one = strategies.next().map_or(StrategyId(0), |p| p.id);
    w.kernel().kill().effective(AccountId(account), one) != KillState::Active
}
