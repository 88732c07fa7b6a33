//! What the rows of the catalogue act on: the simulated world, or ctos and the venue's server over sockets.
//! Never: a fault of its own.

use crate::engine::NAMES;
use crate::judge::{self, Verdict};
use crate::net::Quality;
use crate::world::World;
use ctos_driver_binance::Profile;
use ctos_kernel::{Audit, Kernel};
use ctos_types::{AccountId, Nanos};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A place where ctos trades against the twin of its venue.
pub trait Stage {
    fn profile(&self) -> Profile;
    fn seed(&self) -> u64;
    /// Venue seconds since the beginning.
    fn secs(&self) -> i64;
    /// Lets so much of the venue's time pass.
    fn run_for(&mut self, span: Nanos);
    /// `kill -9` of ctos and a start right after it.
    fn restart(&mut self);
    /// The venue goes down for so long and comes back with its state, where that can be done.
    fn restart_venue(&mut self, _away: Nanos) {}
    /// Accounts that ctos trades.
    fn accounts(&self) -> u16 {
        1
    }
    /// A deed of the twin's operator. `Err`: it is not possible now, or no deed at all.
    fn deed(&mut self, deed: &Value) -> Result<Value, String>;
    /// The twin's own view of everything.
    fn truth(&mut self) -> Value;
    /// A signed call from elsewhere with the account's key: status and body.
    fn signed(&mut self, method: &str, path: &str, query: &str) -> (u16, Value);
    fn kernel(&self) -> &Kernel;
    /// Whether the account came to be known and the strategies were started.
    fn is_started(&self) -> bool;
    /// A number below `n`, from the seed.
    fn dice(&mut self, n: u64) -> u64;
    /// The network under both, where it is simulated. Real sockets have nothing that could be made bad this way: there
    /// it is a page that nobody reads.
    fn quality(&mut self) -> &mut Quality;
    fn notes(&mut self) -> &mut Notes;
    /// Orders and changes that ctos has asked the venue for.
    fn asked(&self) -> Asked;
    /// Refusals that the venue gave for want of room, of its own accord.
    fn refusals(&mut self) -> Refusals;
    /// What the kernel raised so far, by its name.
    fn alarms(&self) -> BTreeMap<String, u64>;

    fn is_usdm(&self) -> bool {
        self.profile() == Profile::UsdM
    }

    fn symbol(&self) -> &'static str {
        "BTCUSDT"
    }

    /// The first account's name at the twin.
    fn account(&self) -> String {
        self.name_of(0)
    }

    /// An account's name at the twin.
    fn name_of(&self, account: u16) -> String {
        let name = NAMES[usize::from(account)];
        if self.profile() == Profile::Margin { format!("{name}:margin") } else { name.into() }
    }

    /// An account that something happens to, by the dice.
    fn victim(&mut self) -> String {
        let account = self.dice(u64::from(self.accounts())) as u16;
        self.name_of(account)
    }

    /// The orders' endpoint of the account.
    fn order_path(&self) -> &'static str {
        match self.profile() {
            Profile::Spot => "/api/v3/order",
            Profile::Margin => "/sapi/v1/margin/order",
            Profile::UsdM => "/fapi/v1/order",
        }
    }

    /// The account as the twin knows it to be.
    fn true_account(&mut self) -> Value {
        let (name, truth) = (self.account(), self.truth());
        judge::account(&truth, &name)
    }

    /// A deed that must be possible: otherwise the row is wrong.
    fn admin(&mut self, deed: &Value) -> Value {
        self.deed(deed).unwrap_or_else(|e| panic!("{deed}: {e}"))
    }

    /// A deed that may not be possible at this moment.
    fn try_admin(&mut self, deed: &Value) -> bool {
        self.deed(deed).is_ok()
    }

    /// No faults any more.
    fn behave(&mut self) {
        self.admin(&json!({"do": "behave"}));
        *self.quality() = Quality::default();
    }

    /// Whether both sides hold the same orders, fills, positions and balances of each account, and see the same book.
    fn agreement(&mut self) -> Verdict {
        let truth = self.truth();
        for n in 0..self.accounts() {
            let account = judge::account(&truth, &self.name_of(n));
            let agreed = judge::agreement(self.kernel(), AccountId(n), self.profile(), self.symbol(), &account);
            agreed.map_err(|why| if n == 0 { why } else { format!("{}: {why}", NAMES[usize::from(n)]) })?;
        }
        let path = if self.is_usdm() { "/fapi/v1/depth" } else { "/api/v3/depth" };
        let (_, book) = self.signed("GET", path, &format!("symbol={}&limit=5", self.symbol()));
        judge::books_agree(self.kernel(), &book)
    }

    /// What must hold at any moment, whatever is on its way.
    fn always(&mut self) -> Verdict {
        let truth = self.truth();
        let asked = self.asked();
        let most = asked.places + asked.amends + self.notes().strangers;
        for n in 0..self.accounts() {
            judge::undoubled(self.kernel(), &judge::account(&truth, &self.name_of(n)), most)?;
        }
        let (refusals, notes) = (self.refusals(), *self.notes());
        judge::unhurried(refusals, notes)
    }
}

/// What a row did that ctos did not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// Orders that others placed.
    pub strangers: u64,
    /// Bans that were imposed.
    pub bans: u64,
    pub limits_injected: bool,
}

/// What ctos asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub places: u64,
    pub amends: u64,
}

/// Requests that found no room at the venue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    /// Answered with 418.
    pub banned: u64,
    /// Answered with 429.
    pub limited: u64,
}

/// Alarms among audits, by name.
pub fn named<'a>(audits: impl IntoIterator<Item = &'a Audit>) -> BTreeMap<String, u64> {
    let mut alarms = BTreeMap::new();
    for audit in audits {
        let Audit::Alarm(alarm) = audit else { continue };
        let name = format!("{alarm:?}");
        let name = name.split([' ', '{', '(']).next().unwrap_or_default().to_string();
        *alarms.entry(name).or_insert(0) += 1;
    }
    alarms
}

impl Stage for World {
    fn profile(&self) -> Profile {
        self.setup.profile
    }
    fn seed(&self) -> u64 {
        self.setup.seed
    }
    fn secs(&self) -> i64 {
        World::secs(self)
    }
    fn run_for(&mut self, span: Nanos) {
        World::run_for(self, span);
    }
    fn restart(&mut self) {
        World::restart(self);
    }
    fn restart_venue(&mut self, away: Nanos) {
        World::restart_venue(self, away);
    }
    fn accounts(&self) -> u16 {
        if self.setup.two { 2 } else { 1 }
    }
    fn deed(&mut self, deed: &Value) -> Result<Value, String> {
        World::deed(self, deed)
    }
    fn truth(&mut self) -> Value {
        let now = self.now;
        serde_json::from_str(&self.twin.truth(now)).expect("the twin speaks JSON")
    }
    fn signed(&mut self, method: &str, path: &str, query: &str) -> (u16, Value) {
        World::signed(self, method, path, query)
    }
    fn kernel(&self) -> &Kernel {
        &self.engine().kernel
    }
    fn is_started(&self) -> bool {
        self.engine().is_started()
    }
    fn dice(&mut self, n: u64) -> u64 {
        self.net.upto(n)
    }
    fn quality(&mut self) -> &mut Quality {
        &mut self.net.quality
    }
    fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }
    fn asked(&self) -> Asked {
        Asked { places: self.engine().places, amends: self.engine().amends }
    }
    fn refusals(&mut self) -> Refusals {
        Refusals { banned: self.banned_replies, limited: self.limited_replies }
    }
    fn alarms(&self) -> BTreeMap<String, u64> {
        named(&self.engine().audits)
    }
}
