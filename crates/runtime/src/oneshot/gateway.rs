//! Questions through the gateway of a running instance: the venue's own answers, within the instance's rate budget.
//! Never: an order (those pass the kernel's gates), or a connection of its own.

use super::{AccountReport, Args, Bounds, Clock, Intents, check, live};
use crate::UserError;
use crate::config::{ProfileName, Settings, product_of};
use crate::instance::Handle;
use ctos_driver_binance::client::{Access, Blocking, Caller, Client, ClientConfig, Question, Relay, Told};
use ctos_link::LinkTime;
use ctos_types::{AccountId, ClientOrderId, Nanos};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// How long a download waits for its turn.
const DOWNLOAD_PATIENCE: Nanos = Nanos::from_secs(200);

/// Nothing is ordered here.
struct NoOrders;

impl Intents for NoOrders {
    fn record(&mut self, _: &str, args: &Args) -> Result<ClientOrderId, UserError> {
        Err(UserError::new(
            format!("{} is an order, and orders pass the gates", args.syscall.name),
            "report this as a bug",
        ))
    }
}

pub(super) fn client(settings: &Settings, account: usize, caller: Arc<dyn Caller>) -> Result<Blocking, UserError> {
    let of = &settings.accounts[account];
    let venue = super::at_venue(settings, account)?;
    let client = Client::new(caller, venue.profile.into(), AccountId(account as u16), of.hedge_mode)
        .with_loans(venue.borrows())
        .with_config(ClientConfig { recv_window: venue.recv_window, ..ClientConfig::default() });
    Ok(Blocking::new(client)?)
}

/// Who asks public questions for this process.
pub type Public = Arc<dyn Caller>;

/// Asks public questions of a product by way of another process that has the rate budget; `pass` carries a question there
/// and may block.
pub fn relay(product: ProfileName, pass: impl Fn(&Question) -> Told + Send + Sync + 'static) -> Public {
    let time = Arc::new(LinkTime::start());
    Arc::new(Relay::new(product.into(), Arc::new(pass), time, DOWNLOAD_PATIENCE))
}

/// Asks public questions of a product over a connection of its own, heeding what earlier processes of the home were told
/// to keep away from. `rest` is the base address.
pub fn by_itself(product: ProfileName, rest: &str, home: &Path) -> Result<Public, UserError> {
    let access = Access { rest: rest.into(), ..Access::public(product.into()) };
    Ok(Arc::new(super::direct(access, &Clock::machine(super::closures(home)))?))
}

/// What the venue closed meanwhile is kept for the next process of the home.
pub fn remember(home: &Path, caller: &Public) {
    super::keep_closures_of(home, &**caller, &LinkTime::start());
}

/// Questions about a market that a run on paper asks the venue: what the simulated exchange does not know, or not as
/// well.
const OF_MARKETS: [&str; 5] = ["get_price_now", "get_orderbook", "get_klines", "exchange_limits", "fees"];

/// Answers a question at the venue; `None` where it is not the venue's to answer: an order, a stream, what a run on paper
/// knows by itself, or a run that is connected to no venue. Not to be called where something async runs.
pub fn at_the_venue(
    handle: &Handle,
    settings: &Settings,
    account: usize,
    args: &Args,
) -> Option<Result<Value, UserError>> {
    if args.syscall.trades || args.syscall.name == "subscribe_ticks" {
        return None;
    }
    let of = &settings.accounts[account];
    let client = match &of.venue {
        Some(_) => client(settings, account, handle.callers().account(account)?),
        None => {
            let name = args.syscall.name;
            let symbol = OF_MARKETS.contains(&name).then(|| args.text("symbol")).flatten()?;
            let is_traded = settings.symbols.iter().any(|s| super::same_symbol(s, symbol));
            if name == "fees" && is_traded {
                // What the simulated exchange charges.
                return None;
            }
            let product = product_of(symbol);
            let caller = handle.callers().market(product)?;
            Blocking::new(Client::new(caller, product.into(), AccountId(0), false)).map_err(UserError::from)
        }
    };
    let bounds = Bounds { account: &of.id, limits: &settings.risk.per_account[&of.id], halted: None };
    Some(
        client.and_then(|mut client| client.with(async |client| live::run(client, args, &bounds, &mut NoOrders).await)),
    )
}

/// As [`super::check`], of a running instance's account, with the instance's key and clock.
///
/// # Errors
/// The account is not one at a venue that the instance is connected to.
pub fn check_within(handle: &Handle, settings: &Settings, account: usize) -> Result<AccountReport, UserError> {
    let of = &settings.accounts[account];
    let caller = handle.callers().account(account).ok_or_else(|| {
        let message = format!("this run does not trade the account {} at a venue", of.id);
        UserError::new(message, "stop the run, or check another account")
    })?;
    check::look(settings, account, client(settings, account, caller)?, true, Vec::new())
}
