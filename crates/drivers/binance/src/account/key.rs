//! What an API key may do, and whether it should be used.
//! Never: lets a key pass of which the venue does not say that it cannot withdraw.

use super::get;
use crate::decode::DecodeError;
use crate::fields::{Row, parse};
use crate::profile::Profile;
use crate::request::Call;

/// What an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPermissions {
    pub reads: bool,
    pub spot_and_margin: bool,
    pub futures: bool,
    /// A key that can do this is refused.
    pub withdraws: bool,
    /// Moves funds between accounts of the same owner or to others inside the venue.
    pub transfers: bool,
    /// Only some addresses may use it.
    pub is_restricted: bool,
}

impl KeyPermissions {
    /// Why a key must not be used, or `None`: it could empty the account, or it cannot do what it is for.
    pub fn refusal(&self, profile: Profile) -> Option<(&'static str, &'static str)> {
        let may_trade = if profile == Profile::UsdM { self.futures } else { self.spot_and_margin };
        if self.withdraws {
            return Some((
                "the API key can withdraw",
                "make a key without the permission to withdraw: trading does not need it",
            ));
        }
        if !self.reads || !may_trade {
            return Some(("the API key may not trade here", "give it the permission to read and to trade this market"));
        }
        None
    }

    /// What is unwise and allowed.
    pub fn warning(&self) -> Option<(&'static str, &'static str)> {
        (!self.is_restricted).then_some((
            "the API key works from any address",
            "restrict it to this machine's address on the venue's page of API keys",
        ))
    }
}

/// What the key may do. On the spot host whatever is traded, and not on test networks: they have no `/sapi`.
pub fn key_permissions() -> Call {
    get("/sapi/v1/account/apiRestrictions", 1)
}

/// The answer to [`key_permissions`]. A permission that the reply does not name is not given.
pub fn read_key_permissions(body: &[u8]) -> Result<KeyPermissions, DecodeError> {
    let value = parse(body)?;
    let row = Row::new(&value, "key permissions")?;
    let has = |field| row.opt_bool(field).map(|b| b.unwrap_or(false));
    Ok(KeyPermissions {
        reads: row.bool("enableReading")?,
        spot_and_margin: has("enableSpotAndMarginTrading")?,
        futures: has("enableFutures")?,
        withdraws: row.bool("enableWithdrawals")?,
        transfers: has("enableInternalTransfer")? || has("permitsUniversalTransfer")?,
        is_restricted: row.bool("ipRestrict")?,
    })
}
