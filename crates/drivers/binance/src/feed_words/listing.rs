//! The list of instruments as it is now: what has changed about ours.
//! Never: takes an instrument that cannot be read for one that can be traded.

use crate::instruments::{parse_instruments, rules_on};
use crate::market;
use crate::profile::Profile;
use crate::request::{Call, json_text};
use crate::symbols::{Product, venue_symbol};
use ctos_link::feed::Listed;
use ctos_types::{Instrument, Rules};
use std::collections::BTreeMap;

/// The question. Spot's whole list is tens of megabytes, so only ours are asked for where the venue lets us; it refuses
/// where one of them is none of its own any more.
pub(super) fn call<'a>(profile: Profile, symbols: impl Iterator<Item = &'a str>, whole: bool) -> Call {
    let call = market::exchange_info(profile);
    if whole || profile.product() == Product::UsdM {
        return call;
    }
    let mut list = String::from("[");
    for (at, symbol) in symbols.enumerate() {
        if at > 0 {
            list.push(',');
        }
        json_text(symbol, &mut list);
    }
    list.push(']');
    Call { query: call.query.text("symbols", list), ..call }
}

/// A row for each of `ours`.
pub(super) fn read(product: Product, ours: &[Instrument], body: &[u8]) -> Result<Vec<Listed>, String> {
    let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
    let list = parse_instruments(text).map_err(|e| e.to_string())?;
    let skipped: BTreeMap<&str, &str> = list.skipped.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
    let row = |i: &Instrument| {
        let off = |status: String| Listed { instrument: i.id, rules: Rules { trading: false, ..i.rules() }, status };
        let found = list.instruments.iter().find(|l| (l.kind, l.base, l.quote) == (i.kind, i.base, i.quote));
        if let Some(now) = found {
            let finer = || off("its prices or sizes have more decimals now".into());
            return rules_on(i, now).map_or_else(finer, |rules| Listed {
                instrument: i.id,
                rules,
                status: "TRADING".into(),
            });
        }
        let symbol = venue_symbol(i).filter(|(p, _)| *p == product).map(|(_, symbol)| symbol);
        match symbol.as_deref().and_then(|s| skipped.get(s)) {
            Some(why) => off(why.to_string()),
            None => off("not listed any more".into()),
        }
    };
    Ok(ours.iter().map(row).collect())
}
