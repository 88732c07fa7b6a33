//! Questions of people to the venues of a run, one at a time: through the run's gateway, and so within its rate budget.
//! Never: an order. Those pass the kernel's gates.

use crate::UserError;
use crate::config::ProfileName;
use ctos_driver_binance::client::{Blocking, Caller, Client, Question, Told};
use ctos_types::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A market of a venue that a run is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `spot` or `usdm`.
    pub product: ProfileName,
    /// Base address of REST calls.
    pub rest: String,
}

/// Who asks for what. Empty where the run is connected to nobody.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    accounts: BTreeMap<usize, Arc<dyn Caller>>,
    markets: BTreeMap<ProfileName, (String, Arc<dyn Caller>)>,
}

impl Callers {
    /// For the account at this position in the settings.
    #[must_use]
    pub fn with_account(mut self, at: usize, caller: Arc<dyn Caller>) -> Callers {
        self.accounts.insert(at, caller);
        self
    }

    /// For what anybody may ask about a product.
    #[must_use]
    pub fn with_market(mut self, place: Place, caller: Arc<dyn Caller>) -> Callers {
        self.markets.insert(place.product, (place.rest, caller));
        self
    }

    pub fn account(&self, at: usize) -> Option<Arc<dyn Caller>> {
        self.accounts.get(&at).cloned()
    }

    pub fn market(&self, product: ProfileName) -> Option<Arc<dyn Caller>> {
        self.markets.get(&product).map(|(_, caller)| caller.clone())
    }

    /// Every market that can be asked about.
    pub fn places(&self) -> Vec<Place> {
        self.markets.iter().map(|(product, (rest, _))| Place { product: *product, rest: rest.clone() }).collect()
    }

    /// Asks a public question and waits for the answer. Not to be called where something async runs.
    ///
    /// # Errors
    /// The run is not connected to that place, or it is no public question: nothing was sent.
    pub fn pass(&self, place: &Place, question: &Question) -> Result<Told, UserError> {
        let of = self.markets.get(&place.product).filter(|(rest, _)| *rest == place.rest);
        let (_, caller) = of.ok_or_else(|| {
            let message = format!("this run is not connected to {} {}", place.product, place.rest);
            UserError::new(message, "ask the venue without the instance")
        })?;
        let is_spot = question.path.starts_with("/api/");
        let call = question.call().filter(|_| is_spot == (place.product == ProfileName::Spot)).ok_or_else(|| {
            let message = format!("{} is nothing that anybody may ask there", question.path);
            UserError::new(message, "use the same version of ctos for both processes")
        })?;
        let client = Client::new(caller.clone(), place.product.into(), AccountId(0), false);
        Ok(Blocking::new(client)?.wait(caller.call(&call)).into())
    }
}
