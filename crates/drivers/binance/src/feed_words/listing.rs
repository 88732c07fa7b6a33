//! The list of instruments as it is now: what has changed about ours.
//! Never: takes an instrument that cannot be read for one that can be traded.

use crate::instruments::parse_instruments;
use crate::market;
use crate::profile::Profile;
use crate::request::{Call, json_text};
use crate::symbols::{Product, venue_symbol};
use ctos_link::feed::Listed;
use ctos_types::{Instrument, Price, Qty, Rules};
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
            return rules(i, now).map_or_else(finer, |rules| Listed {
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

/// The rules of `now` on the decimal places of `ours`; `None` where they do not fit there.
fn rules(ours: &Instrument, now: &Instrument) -> Option<Rules> {
    let px = |p: Price| rescale(p.0, now.price_decimals, ours.price_decimals).map(Price);
    let qty = |q: Qty| rescale(q.0, now.qty_decimals, ours.qty_decimals).map(Qty);
    // A largest size beyond what our places can hold is as good as the largest that they can.
    let max_qty = qty(now.max_qty).unwrap_or(ours.max_qty);
    Some(Rules {
        tick: px(now.tick)?,
        lot: qty(now.lot)?,
        min_qty: qty(now.min_qty)?,
        max_qty,
        min_notional: now.min_notional,
        trading: true,
    })
}

fn rescale(mantissa: i64, from: u8, to: u8) -> Option<i64> {
    let power = |n: u8| 10i64.checked_pow(u32::from(n));
    if to >= from {
        return mantissa.checked_mul(power(to - from)?);
    }
    let divisor = power(from - to)?;
    (mantissa % divisor == 0).then(|| mantissa / divisor)
}
