//! Flags that say which account a command means, and where it is.
//! Never: another account than the one that was named.

use crate::error::CliError;
use clap::Args as ClapArgs;
use ctos_runtime::config::{Address, ProfileName, Settings, VenueAccount};
use ctos_runtime::oneshot::Args;
use std::str::FromStr;

#[derive(Clone, Debug, Default, ClapArgs)]
pub struct At {
    /// The account, by its name or its number (from 0) [default: the first]
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Take the account as one at Binance: spot, margin or usdm
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Base address of REST calls, for example that of a twin
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Base address of streams
    #[arg(long, value_name = "URL")]
    pub ws_url: Option<String>,
    /// Where the spot host of a usdm account is
    #[arg(long, value_name = "URL")]
    pub sapi_url: Option<String>,
}

impl At {
    /// Whether the flags send the command to a place of their own, past a running instance.
    pub fn is_elsewhere(&self) -> bool {
        self.profile.is_some() || self.base_url.is_some() || self.ws_url.is_some() || self.sapi_url.is_some()
    }

    /// The settings with these flags over them, and the position of the account. What an account on paper is asked
    /// about Binance goes there in public.
    pub fn settings(&self, settings: Settings, args: &Args) -> Result<(Settings, usize), CliError> {
        let (mut settings, at) = self.over(settings)?;
        let of = &mut settings.accounts[at];
        let named = args.syscall.params.iter().any(|p| p.name == "symbol").then(|| args.text("symbol")).flatten();
        if of.venue.is_none()
            && !args.syscall.keyed
            && let Some(symbol) = named.and_then(|s| s.strip_prefix("binance:"))
        {
            let upper = symbol.to_uppercase();
            let dated = upper.rsplit('-').next().is_some_and(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_digit()));
            let is_contract = upper.ends_with("-PERP") || dated;
            let profile = if is_contract { ProfileName::UsdM } else { ProfileName::Spot };
            // Where the settings say that public data is.
            let place = settings.feed.clone().unwrap_or_else(|| VenueAccount::binance(profile, &of.id));
            of.venue = Some(VenueAccount { profile, ..place });
        }
        if of.venue.is_none() {
            return Err(CliError::user(
                format!(
                    "the account {} is on the simulated exchange, and no instance runs in {}",
                    of.id,
                    settings.home.display()
                ),
                "start one with `ctos run`, or say --profile spot, margin or usdm to ask Binance (docs/accounts.md)",
            ));
        }
        Ok((settings, at))
    }

    /// The settings with these flags over them.
    pub fn over(&self, mut settings: Settings) -> Result<(Settings, usize), CliError> {
        let at = match &self.account {
            Some(named) => settings.account(named)?.0,
            None => 0,
        };
        let of = &mut settings.accounts[at];
        if let Some(text) = &self.profile {
            let profile = parse::<ProfileName>("--profile", text)?;
            match &mut of.venue {
                Some(venue) => venue.profile = profile,
                None => of.venue = Some(VenueAccount::binance(profile, &of.id)),
            }
        }
        let urls = [("--base-url", &self.base_url), ("--ws-url", &self.ws_url), ("--sapi-url", &self.sapi_url)];
        for (flag, url) in urls {
            let Some(text) = url else { continue };
            let address = parse::<Address>(flag, text)?;
            let Some(venue) = &mut of.venue else {
                let message =
                    format!("{flag} is for an account at a venue, and {} is on the simulated exchange", of.id);
                return Err(CliError::user(message, "say which with --profile spot, margin or usdm"));
            };
            match flag {
                "--base-url" => venue.base_url = Some(address),
                "--ws-url" => venue.ws_url = Some(address),
                _ => venue.sapi_url = Some(address),
            }
        }
        Ok((settings, at))
    }
}

fn parse<T: FromStr<Err = ctos_runtime::config::Expected>>(flag: &str, text: &str) -> Result<T, CliError> {
    text.parse().map_err(|e: ctos_runtime::config::Expected| {
        CliError::user(
            format!("{flag} {text:?}: expected {}", e.what),
            format!("write for example {flag} {}", e.example),
        )
    })
}
