//! Where an account of the venue is, and what it takes to get there.
//! Never: shows a key.

use crate::profile::{Hosts, Profile};
use crate::sign::Credentials;
use ctos_link::dial::Proxy;
use ctos_types::Nanos;
use std::fmt;
use std::sync::Arc;

/// Where an account of the venue is, and with which key.
#[derive(Clone)]
pub struct Access {
    /// The account's name in settings: bans and counters are told by it.
    pub name: String,
    pub profile: Profile,
    /// Base address of REST calls.
    pub rest: String,
    /// Where `/sapi` of a USD-M account is answered; without it, calls there are refused here.
    pub sapi: Option<String>,
    pub keys: Option<Arc<Credentials>>,
    pub recv_window_ms: Option<u32>,
    pub proxy: Option<Proxy>,
    /// Certificates to trust besides the well-known ones, PEM.
    pub extra_roots: Vec<u8>,
    /// How long a call may wait for room in the budget. Downloads wait ten times as long.
    pub patience: Nanos,
    /// How many times as fast as the world the caller's clock goes: beside a twin that hurries, real waits are to be
    /// as long as ever.
    pub speed: u32,
}

impl Access {
    /// Public access to the venue itself.
    pub fn public(profile: Profile) -> Access {
        let hosts = Hosts::production(profile);
        Access {
            name: "public".into(),
            profile,
            rest: hosts.rest,
            sapi: None,
            keys: None,
            recv_window_ms: None,
            proxy: None,
            extra_roots: Vec::new(),
            patience: Nanos::from_secs(20),
            speed: 1,
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("name", &self.name)
            .field("profile", &self.profile)
            .field("rest", &self.rest)
            .field("keys", &self.keys)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}
