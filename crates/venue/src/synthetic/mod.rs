//! A seeded market that needs no network: several coins, spot and perpetual, with books, trades, marks and funding.
//! Never: a clock, a recording, an unseeded draw. The model is described in `docs/synthetic-market.md`.

mod book;
mod config;
mod desk;
mod path;
mod queue;
mod random;
#[cfg(test)]
mod tests;

pub use config::{CoinConfig, FeeRates, SYNTHETIC_VENUE, SyntheticConfig, SyntheticError, default_coins};

use crate::source::{MarketSource, SourceTimes};
use config::Leg;
use ctos_types::{EventBuf, Instruments, UnixNanos};
use desk::{Desk, DeskState, Moment, STEP};
use path::{PathState, Paths, STEPS_PER_SEC};
use queue::{Chain, Queue};
use random::Tables;
use serde::{Deserialize, Serialize};

/// An endless, deterministic market. The same configuration yields the same events on every machine.
///
/// At the start every book is published whole; from then on, in steps of 250 ms, trades and the levels that changed.
/// A book always has twenty levels a side and never crosses. A perpetual's mark comes every second and its funding at
/// 00:00, 08:00 and 16:00 UTC. The stream ends only where [`UnixNanos`] does, in 2262.
#[derive(Clone, Debug)]
pub struct SyntheticMarket {
    instruments: Instruments,
    start: UnixNanos,
    /// By instrument id.
    legs: Vec<Leg>,
    desks: Vec<Desk>,
    tables: Box<Tables>,
    paths: Paths,
    /// Identifies the configuration, so that a state is not restored into another market.
    config_digest: [u8; 32],
    changing: Changing,
}

/// What `save` writes besides the paths.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Changing {
    /// Steps generated so far.
    step: u64,
    desks: Vec<DeskState>,
    queue: Queue,
    chain: Chain,
}

#[derive(Serialize, Deserialize)]
struct Saved<P, C> {
    config: [u8; 32],
    paths: P,
    changing: C,
}

impl SyntheticMarket {
    /// Checks the configuration and opens the market; nothing is drawn ahead of need.
    pub fn new(config: SyntheticConfig) -> Result<SyntheticMarket, SyntheticError> {
        let plan = config.plan()?;
        let chosen = |leg: &Leg| &config.coins[plan.coins[leg.coin]];
        let desks: Vec<Desk> = plan
            .legs
            .iter()
            .zip(plan.instruments.iter())
            .map(|(leg, i)| Desk::new(config.seed, chosen(leg), i))
            .collect();
        let paths = Paths::new(config.seed, plan.coins.iter().map(|&at| &config.coins[at]));
        let tables = Box::new(Tables::new());
        let mut queue = Queue::default();
        let mut states = Vec::with_capacity(desks.len());
        for ((desk, i), leg) in desks.iter().zip(plan.instruments.iter()).zip(&plan.legs) {
            let moment = moment(&paths, leg.coin, 0, config.start);
            states.push(desk.open(config.seed, i, &tables, &moment, &mut queue));
        }
        queue.sort();
        let text = serde_json::to_vec(&config).expect("a plain struct has a JSON form");
        let chain = Chain::new(&text);
        Ok(SyntheticMarket {
            instruments: plan.instruments,
            start: config.start,
            legs: plan.legs,
            desks,
            tables,
            paths,
            config_digest: chain.digest(),
            changing: Changing { step: 0, desks: states, queue, chain },
        })
    }

    /// Generates steps until an event waits; false at the end of time.
    fn fill(&mut self) -> bool {
        while self.changing.queue.front().is_none() {
            let Some(t) = self.step_start() else { return false };
            let c = &mut self.changing;
            c.step += 1;
            c.queue.clear();
            self.paths.step(c.step);
            for ((desk, leg), state) in self.desks.iter().zip(&self.legs).zip(&mut c.desks) {
                desk.step(state, &self.tables, &moment(&self.paths, leg.coin, c.step, t), &mut c.queue);
            }
            c.queue.sort();
        }
        true
    }

    /// When the next step begins, `None` where it or a funding period would leave the range of time.
    fn step_start(&self) -> Option<UnixNanos> {
        let elapsed = i64::try_from(self.changing.step).ok()?.checked_mul(STEP.0)?;
        let t = self.start.0.checked_add(elapsed)?;
        const DAY: i64 = ctos_types::time::NANOS_PER_DAY;
        (t.checked_sub(DAY).is_some() && t.checked_add(DAY).is_some()).then_some(UnixNanos(t))
    }
}

fn moment(paths: &Paths, coin: usize, n: u64, t: UnixNanos) -> Moment {
    Moment { n, t, price: paths.price(coin), vol: paths.vol(coin), step_sd: paths.step_sd(coin) }
}

impl MarketSource for SyntheticMarket {
    fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    fn peek(&mut self) -> Option<UnixNanos> {
        self.fill();
        self.changing.queue.front().map(|e| e.at)
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        if !self.fill() {
            return None;
        }
        let (event, levels) = self.changing.queue.pop()?;
        self.changing.chain.event(&event, levels);
        event.write(levels, out);
        Some(SourceTimes { venue: event.at, recv: event.at })
    }

    fn digest(&self) -> [u8; 32] {
        self.changing.chain.digest()
    }

    fn save(&self) -> serde_json::Value {
        let saved = Saved { config: self.config_digest, paths: &self.paths.state, changing: &self.changing };
        serde_json::to_value(saved).expect("numbers, lists and structs have a JSON form")
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        let saved: Saved<PathState, Changing> =
            Deserialize::deserialize(state).map_err(|e| format!("not a state of the synthetic market: {e}"))?;
        if saved.config != self.config_digest {
            return Err("the state belongs to a synthetic market with other settings or another seed".into());
        }
        let c = &saved.changing;
        let desks = c.desks.len() == self.desks.len()
            && c.desks.iter().zip(self.instruments.iter()).all(|(d, i)| d.is_sane(i.is_spot()));
        if !desks || !self.paths.accepts(&saved.paths) || !c.queue.is_sane(self.instruments.len()) {
            return Err("the state of the synthetic market is damaged".into());
        }
        self.paths.state = saved.paths;
        self.changing = saved.changing;
        Ok(())
    }
}

/// Efficient prices at the end of every minute, one list per selected coin: the price process alone, without books,
/// several times faster than the events. For statistics; the books of the same seed follow these very prices.
pub fn minute_prices(config: &SyntheticConfig, minutes: usize) -> Result<Vec<Vec<f64>>, SyntheticError> {
    let plan = config.plan()?;
    let mut paths = Paths::new(config.seed, plan.coins.iter().map(|&at| &config.coins[at]));
    let mut out = vec![Vec::with_capacity(minutes); plan.coins.len()];
    for minute in 0..minutes as u64 {
        let steps = 60 * STEPS_PER_SEC;
        (minute * steps + 1..=(minute + 1) * steps).for_each(|n| paths.step(n));
        out.iter_mut().enumerate().for_each(|(coin, list)| list.push(paths.price(coin)));
    }
    Ok(out)
}
