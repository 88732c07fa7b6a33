//! Asks a running instance through its control API.
//! Never: talks to anything but the loopback address that the home names.

use crate::error::CliError;
use ctos_runtime::config::Settings;
use ctos_runtime::live::{AccountLock, Holder, Place};
use ctos_runtime::oneshot::{self, Public, Told};
use ctos_runtime::{UserError, secrets};
use ctos_server::model::{ErrorBody, Places, VenueRequest};
use ctos_storage::home::{Home, HomeError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Above what the API allows itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// For what an instance asks a venue, which may have to wait for room in the rate budget.
const VENUE_PATIENCE: Duration = Duration::from_secs(90);
/// How long an instance that has the home but no address yet may take to open its API.
const OPENING: Duration = Duration::from_secs(5);

/// What was found in a home.
#[derive(Debug)]
pub enum Found {
    /// An instance answers.
    Running(Client),
    /// Nobody runs; the store can be read.
    Stored(Home),
    /// There is no such home.
    Nothing,
}

impl Found {
    pub fn client(self) -> Option<Client> {
        match self {
            Found::Running(client) => Some(client),
            Found::Stored(_) | Found::Nothing => None,
        }
    }
}

/// A connection to a running instance.
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
    pub pid: u32,
    pub run_id: String,
}

/// Looks for an instance in `home`. Waits for one that is just starting.
pub fn find(path: &Path) -> Result<Found, CliError> {
    let home = match Home::read_only(path) {
        Ok(home) => home,
        Err(HomeError::Missing { .. }) => return Ok(Found::Nothing),
        Err(e) => return Err(e.into()),
    };
    let begun = Instant::now();
    loop {
        if let Some(info) = home.read_api()? {
            return Client::new(&home, &info).map(Found::Running);
        }
        let Some(pid) = home.writer()? else { return Ok(Found::Stored(home)) };
        if begun.elapsed() > OPENING {
            return Err(CliError::user(
                format!("process {pid} works in {} but its control API is not open", path.display()),
                format!(
                    "if it is just starting, try again; else set api.enabled to true, or stop it with `kill -INT {pid}`"
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// As [`find`], for what goes to an account's venue. Waits for the instance of this home that has taken the account and
/// not yet opened its API: it is the one with the rate budget. Says who trades the account from another home.
/// `keyed`: whether the account's key will be asked for in any case.
pub fn find_for(settings: &Settings, account: usize, keyed: bool) -> Result<(Found, Option<Holder>), CliError> {
    let begun = Instant::now();
    loop {
        let found = find(&settings.home)?;
        if let Found::Running(_) = found {
            return Ok((found, None));
        }
        let Some(holder) = holder(settings, account, keyed) else { return Ok((found, None)) };
        if !holder.is_in(&settings.home) {
            return Ok((found, Some(holder)));
        }
        if begun.elapsed() > OPENING {
            let (pid, account) = (holder.pid, &settings.accounts[account].id);
            return Err(CliError::user(
                format!("ctos process {pid} is starting to trade the account {account}, and does not answer yet"),
                format!("try again when it has started; `kill -INT {pid}` stops it"),
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Who has the account, where that can be told without asking a program for a key that nobody needs.
fn holder(settings: &Settings, account: usize, keyed: bool) -> Option<Holder> {
    let venue = settings.accounts[account].venue.as_ref()?;
    if !keyed && !settings.secrets.command.is_empty() {
        return None;
    }
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    // What is wrong with the key is told by whoever needs it.
    let keys = secrets::credentials(&settings.secrets, venue, env).ok()?;
    AccountLock::holder(venue, keys.api_key()).ok().flatten()
}

impl Client {
    fn new(home: &Home, info: &ctos_storage::home::ApiInfo) -> Result<Client, CliError> {
        let address: SocketAddr = info.address.parse().map_err(|_| foreign(&info.address))?;
        if !address.ip().is_loopback() {
            return Err(foreign(&info.address));
        }
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        // A proxy from the environment has no business between two processes of one machine.
        let agent = config.proxy(None).max_redirects(0).build().into();
        let token = home.api_token()?.secret().to_owned();
        Ok(Client {
            agent,
            base: format!("http://{address}/api/v1"),
            token,
            pid: info.pid,
            run_id: info.run_id.clone(),
        })
    }

    /// Asks; `path` begins with a slash.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Authorization", self.bearer());
        self.read(request.call())
    }

    /// Tells; `path` begins with a slash.
    pub fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, CliError> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Authorization", self.bearer());
        self.read(request.send_json(body))
    }

    /// As [`Client::post`], for what may have to wait for a venue.
    pub fn post_patiently<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, CliError> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Authorization", self.bearer());
        self.read(request.config().timeout_global(Some(VENUE_PATIENCE)).build().send_json(body))
    }

    /// The markets of venues that the instance is connected to.
    pub fn places(&self) -> Result<Vec<Place>, CliError> {
        Ok(self.get::<Places>("/venue")?.places)
    }

    /// A way to ask public questions of a place within the instance's rate budget, if the instance is connected to it.
    pub fn relay(self, place: Place) -> Result<Option<Public>, CliError> {
        if !self.places()?.contains(&place) {
            return Ok(None);
        }
        let product = place.product;
        let pass = move |question: &oneshot::Question| {
            let request = VenueRequest { place: place.clone(), question: question.clone() };
            self.post_patiently::<_, Told>("/venue", &request).unwrap_or_else(|e| match e {
                CliError::User(UserError { message: why, hint }) => Told::NotSent { why, hint, retry_after_ms: None },
                CliError::Internal(why) => Told::Unknown { why },
                CliError::Silent(_) => Told::Unknown { why: "no answer".into() },
            })
        };
        Ok(Some(oneshot::relay(product, pass)))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, CliError> {
        let mut response = answer.map_err(|e| self.lost(&e))?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().map_err(|e| self.lost(&e))?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|e| {
                CliError::user(
                    format!("the instance answers in words this version does not know ({e})"),
                    "use the same version of ctos for both",
                )
            });
        }
        let said: ErrorBody =
            serde_json::from_str(&text).map_err(|_| CliError::internal(format!("the instance answers {status}")))?;
        if status.as_u16() == 500 {
            return Err(CliError::Internal(said.error));
        }
        Err(CliError::User(UserError::new(said.error, said.hint)))
    }

    fn lost(&self, error: &ureq::Error) -> CliError {
        CliError::user(
            format!("the instance (process {}) does not answer: {error}", self.pid),
            "it may just have ended: try again; if it hangs, its watchdog halts it",
        )
    }
}

fn foreign(address: &str) -> CliError {
    CliError::user(format!("api.json names {address:?}, which is not a loopback address"), "restart the instance")
}
