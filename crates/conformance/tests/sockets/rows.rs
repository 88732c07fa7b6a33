//! The rows of the fault catalogue over sockets: the same deeds as in the simulation, and proof that each one happened.
//! Never: a case that passes because its fault did not come.

use crate::rig::Rig;
use ctos_conformance::rows::stage::Stage;
use ctos_conformance::rows::{ROWS, Row, Tally, play};
use ctos_conformance::world::Setup;
use ctos_driver_binance::Profile::{self, Margin, Spot, UsdM};
use serde_json::Value;

/// Unless `CONF_SEED` says otherwise: with the first one orders go over the WebSocket API, with the second over REST.
const SEEDS: [u64; 2] = [1, 7];

/// What a case left behind.
struct After {
    tally: Tally,
    truth: Value,
    /// Orders that others placed.
    strangers: u64,
    gaps: u64,
    rules: u64,
    lives: u32,
    /// What people were told.
    told: Vec<String>,
}

impl After {
    fn of(rig: &mut Rig, tally: Tally) -> After {
        let (truth, strangers) = (rig.truth(), rig.notes().strangers);
        let seen = rig.seen();
        let told = seen.notices.iter().map(|n| format!("{n:?}")).collect();
        After { tally, truth, strangers, gaps: seen.gaps, rules: seen.rules, lives: seen.lives, told }
    }

    /// How often a rule of the script acted.
    fn acted(&self) -> u64 {
        self.truth["acted"].as_u64().unwrap_or(0)
    }

    fn refused(&self, what: &str) -> u64 {
        self.truth["refused"][what].as_u64().unwrap_or(0)
    }

    /// How many notices say this.
    fn told(&self, what: &str) -> usize {
        self.told.iter().filter(|n| n.contains(what)).count()
    }

    fn raised(&self, alarm: &str) -> bool {
        self.tally.alarms.contains_key(alarm)
    }
}

fn case(number: u32, profile: Profile, happened: fn(&After) -> bool) {
    let row: &Row = ROWS.iter().find(|r| r.number == number).expect("a row of the catalogue");
    assert!(row.profiles.contains(&profile), "{row:?} makes no sense on {profile}");
    let seed =
        std::env::var("CONF_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(SEEDS[usize::from(profile == UsdM)]);
    let mut setup = Setup::new(profile, seed);
    (row.setup)(&mut setup);
    let mut rig = Rig::start(setup);
    let tally = match play(row, &mut rig) {
        Ok(tally) => tally,
        Err(why) => panic!("{row:?} on {profile}, seed {seed}: {why}\n{:#?}", rig.seen().notices),
    };
    let after = After::of(&mut rig, tally);
    let Tally { placed, trades, agreed_after, alarms, .. } = &after.tally;
    eprintln!("{row:?} on {profile}: {placed} orders, {trades} trades, agreed after {agreed_after} s; {alarms:?}");
    assert!(*placed > 5, "{row:?} on {profile}: {placed} orders prove little");
    assert!(happened(&after), "{row:?} on {profile}, seed {seed}: the fault did not come: {}", after.truth);
}

/// `name = row, what shows that it happened: a test for each of these markets`.
macro_rules! rows {
    ($($name:ident = $number:literal on [$($profile:ident),+], $happened:expr;)*) => {
        $(mod $name {
            use super::*;
            $(#[test] #[allow(non_snake_case)] fn $profile() { case($number, super::$profile, $happened); })+
        })*
    };
}

rows! {
    row_01_request_lost = 1 on [Spot, UsdM], |a| a.acted() > 0;
    row_02_response_lost = 2 on [Spot, UsdM, Margin], |a| a.acted() > 0;
    row_03_response_and_events_lost = 3 on [Spot, UsdM], |a| a.acted() > 1;
    row_04_front_end_errors = 4 on [Spot, UsdM], |a| a.acted() > 0;
    row_05_limits_and_bans = 5 on [Spot, UsdM], |a| a.acted() > 1 && (1..20).contains(&a.refused("banned"));
    row_06_cancel_fill_races = 6 on [Spot, UsdM], |a| a.acted() > 0;
    row_07_amend_half_done = 7 on [Spot, UsdM], |a| a.acted() > 0;
    row_08_events_twice = 8 on [Spot, UsdM], |a| a.acted() > 0;
    row_09_fills_under_another_id = 9 on [Spot, UsdM], |a| a.acted() > 0;
    row_10_events_out_of_order = 10 on [Spot, UsdM], |a| a.acted() > 0;
    row_11_over_fills = 11 on [Spot, UsdM], |a| a.raised("OverFill");
    row_12_third_asset = 12 on [Spot], |a| a.acted() > 0;
    row_13_events_missing = 13 on [Spot, UsdM, Margin], |a| a.acted() > 0 && a.gaps > 0;
    row_14_silence = 14 on [Spot, UsdM], |a| a.gaps > 0;
    row_15_sockets_end = 15 on [Spot, UsdM, Margin], |a| a.gaps > 0;
    row_16_late_shows = 16 on [Spot, UsdM], |a| a.acted() > 0 && a.gaps > 0;
    row_17_clock_jumps = 17 on [Spot, UsdM], |a| a.told("venue's clock is") > 2;
    row_18_killed_and_started = 18 on [Spot, UsdM], |a| a.lives > 2;
    row_22_another_instance = 22 on [Spot, UsdM], |a| a.strangers == 1;
    row_23_a_person_trades = 23 on [Spot, UsdM], |a| a.strangers > 0;
    row_24_lists_fail = 24 on [Spot, UsdM], |a| a.acted() > 0;
    row_25_rules_change = 25 on [Spot, UsdM], |a| a.rules > 0;
    row_26_funding_and_liquidation = 26 on [UsdM], |a| a.strangers > 0;
}
