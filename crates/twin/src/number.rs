//! Numbers as the venue writes them: a fixed count of decimals, no exponent. Never: rounds silently upwards.

use ctos_types::{Decimal, UnixNanos};

/// `d` with exactly `places` decimals; what is beyond them is cut off.
pub(crate) fn fixed(d: Decimal, places: u8) -> String {
    format!("{d:.*}", usize::from(places))
}

/// Money, rates and every spot number.
pub(crate) fn eight(d: Decimal) -> String {
    fixed(d, 8)
}

/// Writes a grid mantissa of `places` decimals with `wire` decimals (not fewer).
pub(crate) fn push_grid(out: &mut String, mantissa: i64, places: u8, wire: u8) {
    if mantissa < 0 {
        out.push('-');
    }
    let digits = mantissa.unsigned_abs().to_string();
    let places = usize::from(places);
    let whole = digits.len().saturating_sub(places);
    out.push_str(if whole == 0 { "0" } else { &digits[..whole] });
    if wire == 0 {
        return;
    }
    out.push('.');
    out.extend(std::iter::repeat_n('0', places.saturating_sub(digits.len())));
    out.push_str(&digits[whole..]);
    out.extend(std::iter::repeat_n('0', usize::from(wire).saturating_sub(places)));
}

/// Milliseconds since the epoch.
pub(crate) fn ms(at: UnixNanos) -> i64 {
    at.0.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn grid_text_is_the_decimal(m in any::<i64>(), places in 0u8..9, more in 0u8..4) {
            let mut out = String::new();
            push_grid(&mut out, m, places, places + more);
            prop_assert_eq!(out.clone(), fixed(Decimal::new(m, places), places + more), "{}", m);
        }
    }
}
