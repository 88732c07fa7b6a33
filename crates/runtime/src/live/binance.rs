//! Opens the way to Binance: markets of every product that is traded, and a desk for each account.
//! Never: a venue's word of its own (the driver has them), or a key in a message.

use super::recording::Recording;
use super::{Callers, ClosureStatus, Leftover, Opened, Opener, Place, Way, shell};
use crate::config::{Mode, OrderEntry, ProfileName, Settings, Speed, VenueAccount, product_of};
use crate::oneshot::{self, ClosedUntil};
use crate::{UserError, brake::EmergencyBrake, secrets};
use ctos_driver_binance::client::{Blocking, Client, Guest, OrderName};
use ctos_driver_binance::desk_words::{BinanceDesk, BinanceDeskConfig};
use ctos_driver_binance::feed_words::BinanceFeed;
use ctos_driver_binance::limits::{BinanceWords, Route};
use ctos_driver_binance::orders::VenueOrder;
use ctos_driver_binance::{Credentials, Hosts, Product, Profile};
use ctos_link::capture::{CaptureLimits, CaptureSwitch};
use ctos_link::desk::{Desk, DeskConfig, Holdings};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::Part;
use ctos_link::tracker::TrackerConfig;
use ctos_link::{LinkTime, Time};
use ctos_types::{AccountId, Instrument, Instruments, Nanos, UnixNanos};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an order may stay invisible at the venue beyond the time its request stays valid.
const VISIBILITY: Nanos = Nanos::from_secs(5);
/// How long the emergency brake tries.
const BRAKE_WITHIN: Duration = Duration::from_secs(60);

/// How long a person's question may wait for room in the budget.
const GUEST_WITHIN: Duration = Duration::from_secs(8);

/// Binance, as the settings say where it is.
#[derive(Debug, Default)]
pub struct Binance;

/// Where a product's public side is asked, and how.
fn sources(settings: &Settings) -> BTreeMap<ProfileName, VenueAccount> {
    let mut sources = BTreeMap::new();
    for symbol in &settings.symbols {
        let product = product_of(symbol);
        let of = match (settings.mode, &settings.feed) {
            (Mode::Paper, Some(feed)) => Some(VenueAccount { profile: product, ..feed.clone() }),
            _ => settings
                .accounts
                .iter()
                .filter_map(|a| a.venue.as_ref())
                .find(|v| v.profile.market() == product)
                .cloned(),
        };
        if let Some(of) = of {
            sources.entry(product).or_insert(of);
        }
    }
    sources
}

impl Opener for Binance {
    fn instruments(&mut self, settings: &Settings) -> Result<Instruments, UserError> {
        let sources = sources(settings);
        let mut clients: BTreeMap<ProfileName, Blocking> = BTreeMap::new();
        let mut list: Vec<Instrument> = Vec::new();
        for symbol in &settings.symbols {
            let product = product_of(symbol);
            let client = match clients.entry(product) {
                std::collections::btree_map::Entry::Occupied(o) => o.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    let source = sources.get(&product).ok_or_else(|| no_account(symbol, product))?;
                    place.insert(public_client(settings, source, product)?)
                }
            };
            let instrument = client.client.find(symbol)?.clone();
            if list.iter().any(|i| i.symbol == instrument.symbol) {
                let hint = "name each symbol once";
                return Err(UserError::new(format!("{symbol} is named twice, once by another spelling"), hint));
            }
            list.push(instrument);
        }
        Instruments::new(list).map_err(|e| UserError::new(e.to_string(), "report this as a bug"))
    }

    fn leftovers(&mut self, settings: &Settings) -> Result<Vec<Leftover>, UserError> {
        let mut all = Vec::new();
        for (account, _) in settings.accounts.iter().enumerate().filter(|(_, a)| a.venue.is_some()) {
            let client = keyed_client(settings, account)?;
            let open = client.wait(client.client.open_orders(None))?;
            let named = |id| client.client.instruments().get(id).symbol.to_string();
            let ours = open.iter().filter_map(|o| Some((named(o.instrument), o.owner.client()?.id)));
            all.extend(ours.map(|(symbol, id)| Leftover { account, symbol, id }));
        }
        Ok(all)
    }

    fn cancel(&mut self, settings: &Settings, orders: &[Leftover]) -> Result<(), UserError> {
        for account in 0..settings.accounts.len() {
            let of_account: Vec<&Leftover> = orders.iter().filter(|o| o.account == account).collect();
            if of_account.is_empty() {
                continue;
            }
            let client = keyed_client(settings, account)?;
            let open = client.wait(client.client.open_orders(None))?;
            let wanted = |o: &&VenueOrder| o.owner.client().is_some_and(|c| of_account.iter().any(|l| l.id == c.id));
            for order in open.iter().filter(wanted) {
                // By the venue's number: generations of one order share the client's.
                let name = OrderName::Venue(order.venue_order_id);
                client.wait(client.client.cancel(order.instrument, name))?;
            }
        }
        Ok(())
    }

    fn open(&mut self, settings: &Settings, way: Way<'_>) -> Result<Opened, UserError> {
        let sources = sources(settings);
        let time = clock(settings, &sources, way.not_before)?;
        let mut words = BinanceWords::new();
        let mut parts: Vec<Box<dyn Part>> = Vec::new();
        let mut ways: Vec<(Place, Route)> = Vec::new();
        let tape = |product: &ProfileName| {
            Arc::new(CaptureSwitch::new(&format!("binance-{product}"), CaptureLimits::default()))
        };
        let tapes: Vec<Arc<CaptureSwitch>> = sources.keys().map(tape).collect();
        let recording = Arc::new(Recording::new(tapes.clone(), time.clone()));
        if let Some(dir) = way.record {
            record_from_the_start(&recording, dir)?;
        }
        for ((product, source), tape) in sources.iter().zip(tapes) {
            let (part, place, route) = market(&mut words, *product, source, &way, tape)?;
            parts.push(part);
            ways.push((place, route));
        }
        let (mut brakes, mut routes) = (Vec::new(), Vec::new());
        if let Some(holdings) = &way.holdings {
            let closed: Vec<ClosedUntil> = way.closures.iter().map(closed).collect();
            let beside = oneshot::Clock { closed, ..oneshot::Clock::hurried(time.clone(), speed(settings)) };
            for (at, held) in holdings.iter().enumerate() {
                let (part, of) = desk(&mut words, settings, at, held, &way, time.now())?;
                parts.push(part);
                routes.push(of);
                brakes.push(EmergencyBrake::new(settings, at, &beside)?);
            }
        }
        let accounts = settings.accounts.iter().filter_map(|a| a.venue.as_ref()).filter(|_| way.holdings.is_some());
        let places: Vec<&VenueAccount> = sources.values().chain(accounts).collect();
        let setup = shell::Setup {
            words: Box::new(words),
            parts,
            time: time.clone(),
            speed: speed(settings),
            closures: way.closures,
            recording: recording.clone(),
        };
        let (gateway, handle) = shell::spawn(&places, setup)?;
        let (asked, clock) = (handle.clone(), time.clone());
        let hosts: Vec<String> = ways.iter().map(|(place, _)| place.rest.trim_end_matches('/').to_owned()).collect();
        recording.heed_closures(move || {
            let closures = asked.status().closures.into_iter().filter(|c| hosts.iter().any(|h| c.name.ends_with(h)));
            closures.map(|c| shell::off(&*clock, &c)).collect()
        });
        let guest = |main: Route, spot| Guest::new(handle.clone(), time.clone(), main, spot, GUEST_WITHIN);
        let mut callers = Callers::default();
        for (place, route) in ways {
            let is_spot = place.product == ProfileName::Spot;
            callers = callers.with_market(place, Arc::new(guest(route, is_spot)));
        }
        for (at, AccountRoutes { main, is_spot, sapi }) in routes.into_iter().enumerate() {
            callers = callers.with_account(at, Arc::new(guest(main, is_spot).with_sapi(sapi)));
        }
        let brake = (!brakes.is_empty()).then(|| Box::new(Brakes(brakes)) as Box<dyn super::Brake>);
        Ok(Opened { gateway, brake, callers, recording: Some(recording) })
    }
}

fn no_account(symbol: &str, product: ProfileName) -> UserError {
    UserError::new(
        format!("no account of these settings trades {symbol}: that needs profile {product}"),
        format!("add an account with venue: binance and profile: {product}, or leave the symbol out"),
    )
}

/// Asks for an account before its desk is there.
fn keyed_client(settings: &Settings, account: usize) -> Result<Blocking, UserError> {
    let clock = oneshot::Clock::of(settings, oneshot::at_venue(settings, account)?)?;
    let mut client = oneshot::connect(settings, account, oneshot::Keys::Needed, &clock)?;
    client.load(None)?;
    Ok(client)
}

/// Asks what anybody may ask.
fn public_client(settings: &Settings, source: &VenueAccount, product: ProfileName) -> Result<Blocking, UserError> {
    let source = VenueAccount { profile: product, ..source.clone() };
    let machine = oneshot::Clock::machine(oneshot::closures_of(settings));
    let direct = oneshot::direct(oneshot::access("public", &source, None, 1)?, &machine)?;
    let mut client = Blocking::new(Client::new(Arc::new(direct), product.into(), AccountId(0), false))?;
    // One symbol of spot at a time would be a question each; the list is one.
    let one = settings.symbols.iter().filter(|s| product_of(s) == product).collect::<Vec<_>>();
    client.load(if let [symbol] = one[..] { Some(symbol) } else { None })?;
    Ok(client)
}

/// Times as fast as the world.
fn speed(settings: &Settings) -> u32 {
    match settings.speed {
        Speed::Factor(factor) => (factor.to_f64() as u32).max(1),
        Speed::Max => 1,
    }
}

/// The run's clock: the machine's, or beside a twin that is sped up the twin's, as fast.
fn clock(
    settings: &Settings,
    sources: &BTreeMap<ProfileName, VenueAccount>,
    not_before: UnixNanos,
) -> Result<Arc<dyn Time>, UserError> {
    let speed = speed(settings);
    let anchor = match sources.iter().next() {
        Some((product, source)) if speed > 1 => {
            let source = VenueAccount { profile: *product, ..source.clone() };
            let machine = oneshot::Clock::machine(oneshot::closures_of(settings));
            let direct = oneshot::direct(oneshot::access("public", &source, None, 1)?, &machine)?;
            let client = Blocking::new(Client::new(Arc::new(direct), (*product).into(), AccountId(0), false))?;
            match client.wait(client.client.venue_time()) {
                Ok(now) => now,
                // The venue may not be asked now: the run goes on from where it was, and its stamps follow the venue's
                // clock once that is known.
                Err(_) if not_before > UnixNanos::MIN => not_before,
                Err(failure) => return Err(failure.into()),
            }
        }
        _ => LinkTime::start().now(),
    };
    Ok(Arc::new(LinkTime::anchored(anchor.max(not_before), speed)))
}

/// By the setting: a run whose market was to be recorded does not begin without.
fn record_from_the_start(recording: &Recording, dir: &Path) -> Result<(), UserError> {
    let failed = |e: UserError| {
        UserError::new(e.message, "name a directory that can be written to (record:, --record), or leave it out")
    };
    recording.start(Some(dir)).map(drop).map_err(failed)
}

fn market(
    words: &mut BinanceWords,
    product: ProfileName,
    source: &VenueAccount,
    way: &Way<'_>,
    tape: Arc<CaptureSwitch>,
) -> Result<(Box<dyn Part>, Place, Route), UserError> {
    let profile = Profile::from(product);
    let hosts = VenueAccount { profile: product, ..source.clone() }.hosts()?;
    let base = words.base(profile.product(), &hosts.rest);
    let ours: Vec<Instrument> =
        way.instruments.iter().filter(|i| i.is_spot() == (product == ProfileName::Spot)).cloned().collect();
    let route = words.public(base);
    let feed = BinanceFeed::new(profile, &hosts.streams, route.clone(), &ours);
    let want = Want { book: true, quotes: true, trades: true, marks: product == ProfileName::UsdM, ..Want::default() };
    let wants = ours.into_iter().map(|i| (i, want.clone())).collect();
    let config = FeedConfig { seed: u64::from(way.tag.0), ..FeedConfig::default() };
    let mut feed = Feed::new(feed, wants, config);
    feed.record_to(tape);
    Ok((Box::new(feed), Place { product, rest: hosts.rest }, route))
}

/// How the calls of an account leave.
struct AccountRoutes {
    main: Route,
    is_spot: bool,
    /// Where what a key may do is told, if elsewhere.
    sapi: Option<Route>,
}

fn desk(
    words: &mut BinanceWords,
    settings: &Settings,
    at: usize,
    held: &Holdings,
    way: &Way<'_>,
    now: UnixNanos,
) -> Result<(Box<dyn Part>, AccountRoutes), UserError> {
    let account = &settings.accounts[at];
    let venue = oneshot::at_venue(settings, at)?;
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let keys: Arc<Credentials> = Arc::new(secrets::credentials(&settings.secrets, venue, env)?);
    let (profile, hosts): (Profile, Hosts) = (venue.profile.into(), venue.hosts()?);
    let window_ms = u32::try_from(venue.recv_window.0 / 1_000_000).ok();
    let base = words.base(profile.product(), &hosts.rest);
    let route = words.account(&account.id, profile, base, keys.clone(), window_ms);
    let route = match venue.order_entry {
        OrderEntry::WebSocket => words.over_websocket(route, profile, &hosts.ws_api),
        OrderEntry::Rest => route,
    };
    let key_route = match (profile.product(), venue.sapi()) {
        (Product::Spot, Some(_)) => Some(route.clone()),
        (Product::UsdM, Some(url)) => {
            let base = words.base(Product::Spot, &url);
            Some(words.account(&format!("{} on spot", account.id), Profile::Spot, base, keys, window_ms))
        }
        (_, None) => None,
    };
    let is_spot = profile.product() == Product::Spot;
    let routes = AccountRoutes { main: route.clone(), is_spot, sapi: key_route.clone().filter(|_| !is_spot) };
    let visibility = Nanos(venue.recv_window.0.saturating_add(VISIBILITY.0));
    let leverage = (profile == Profile::UsdM).then(|| account.leverage.to_f64() as u32);
    let desk = BinanceDesk::new(BinanceDeskConfig {
        name: account.id.clone(),
        account: AccountId(at as u16),
        profile,
        hedge: account.hedge_mode,
        leverage,
        hosts,
        route,
        key_route,
        instruments: way.instruments.clone(),
        dead_man: true,
        borrows: venue.borrows(),
        visibility,
    });
    let usual = DeskConfig::default();
    let within = usual.order_within;
    let tracker = TrackerConfig {
        tags: vec![way.tag],
        // A request may wait for room, and then stays valid for a while.
        visibility: Nanos(visibility.0.saturating_add(within.0)),
        ..TrackerConfig::default()
    };
    let config = DeskConfig { tracker, seed: u64::from(way.tag.0) ^ ((at as u64) << 40), ..usual };
    Ok((Box::new(Desk::new(config, desk, held, now)), routes))
}

fn closed(closure: &ClosureStatus) -> ClosedUntil {
    ClosedUntil { group: closure.group.clone(), until: closure.until, banned: closure.banned }
}

/// The emergency brakes of all accounts.
#[derive(Debug)]
struct Brakes(Vec<EmergencyBrake>);

impl super::Brake for Brakes {
    fn cancel_everything(&mut self) -> Result<usize, UserError> {
        // Every account, whatever becomes of the others.
        let results: Vec<_> = self.0.iter().map(|brake| brake.pull(BRAKE_WITHIN)).collect();
        match results.into_iter().find_map(Result::err) {
            Some(error) => Err(error),
            // The brake looks until nothing is open.
            None => Ok(0),
        }
    }
}
