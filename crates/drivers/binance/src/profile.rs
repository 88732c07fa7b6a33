//! The three ways in which ctos trades on Binance, and where each of them is reached.
//! Never: a host that cannot be replaced: a twin or a test network is only other addresses.

use crate::symbols::Product;
use std::fmt;

/// What is traded with which account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    Spot,
    /// Spot's markets with the cross margin account.
    Margin,
    /// USD-margined futures.
    UsdM,
}

impl Profile {
    /// Whose symbols, frames and filters it has.
    pub const fn product(self) -> Product {
        match self {
            Profile::Spot | Profile::Margin => Product::Spot,
            Profile::UsdM => Product::UsdM,
        }
    }

    /// As it stands in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Profile::Spot => "spot",
            Profile::Margin => "margin",
            Profile::UsdM => "usdm",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Profile::Spot => "spot",
            Profile::Margin => "cross margin",
            Profile::UsdM => "USD-M futures",
        })
    }
}

/// Base addresses, without a slash at the end. Each one can be set by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Of every REST call; paths begin with `/api`, `/sapi` or `/fapi`.
    pub rest: String,
    /// Of market streams; `/ws` and `/stream` follow, on USD-M behind `/public`, `/market` or `/private`.
    pub streams: String,
    /// The WebSocket API, whole.
    pub ws_api: String,
}

impl Hosts {
    /// The venue itself.
    pub fn production(profile: Profile) -> Hosts {
        match profile {
            Profile::Spot | Profile::Margin => Hosts::of(
                "https://api.binance.com",
                "wss://stream.binance.com:9443",
                "wss://ws-api.binance.com:443/ws-api/v3",
            ),
            Profile::UsdM => Hosts::of(
                "https://fapi.binance.com",
                "wss://fstream.binance.com",
                "wss://ws-fapi.binance.com/ws-fapi/v1",
            ),
        }
    }

    /// The venue's test network. Margin has none.
    pub fn test_network(profile: Profile) -> Option<Hosts> {
        match profile {
            Profile::Spot => Some(Hosts::of(
                "https://testnet.binance.vision",
                "wss://stream.testnet.binance.vision",
                "wss://ws-api.testnet.binance.vision/ws-api/v3",
            )),
            Profile::Margin => None,
            Profile::UsdM => Some(Hosts::of(
                "https://demo-fapi.binance.com",
                "wss://demo-fstream.binance.com",
                "wss://testnet.binancefuture.com/ws-fapi/v1",
            )),
        }
    }

    fn of(rest: &str, streams: &str, ws_api: &str) -> Hosts {
        Hosts { rest: rest.into(), streams: streams.into(), ws_api: ws_api.into() }
    }
}
