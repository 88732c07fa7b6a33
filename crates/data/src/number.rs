//! One exact decimal as sources write it: an integer and its number of decimal places.
//! Never: a float, or a rounding nobody asked for.

use ctos_types::decimal::pow10;
use ctos_types::{Decimal, NumberError, Rounding};
use std::fmt;

/// Most digits of a number in the catalog: what a Parquet `DECIMAL` of 64 bits holds.
pub const MAX_DIGITS: u8 = 18;
const LIMIT: i64 = 1_000_000_000_000_000_000;

/// `10^n`.
static POW10: [i64; 19] = {
    let mut table = [1; 19];
    let mut n = 1;
    while n < 19 {
        table[n] = table[n - 1] * 10;
        n += 1;
    }
    table
};

/// `mantissa * 10^-places`, at most 18 digits and 18 places, without trailing zeros: equal numbers are equal here.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Number {
    mantissa: i64,
    places: u8,
}

impl Number {
    pub const ZERO: Number = Number { mantissa: 0, places: 0 };

    /// Fails for more than 18 digits or places after trailing zeros are gone.
    pub fn new(mantissa: i64, places: u8) -> Result<Number, NumberError> {
        let number = Number::trimmed(mantissa, places);
        let text = || format!("{mantissa}e-{places}");
        if number.mantissa.unsigned_abs() >= LIMIT.unsigned_abs() {
            return Err(NumberError::Overflow(text()));
        }
        if number.places > MAX_DIGITS {
            return Err(NumberError::TooPrecise(text(), MAX_DIGITS));
        }
        Ok(number)
    }

    fn trimmed(mut mantissa: i64, mut places: u8) -> Number {
        if mantissa == 0 {
            return Number::ZERO;
        }
        while places >= 4 && mantissa % 10_000 == 0 {
            mantissa /= 10_000;
            places -= 4;
        }
        while places > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            places -= 1;
        }
        Number { mantissa, places }
    }

    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// Decimal places that are really used.
    pub const fn places(self) -> u8 {
        self.places
    }

    pub const fn signum(self) -> i64 {
        self.mantissa.signum()
    }

    /// The integer at `scale` places; `None` where the number has more, or it would exceed 18 digits.
    pub fn at_scale(self, scale: u8) -> Option<i64> {
        let up = scale.checked_sub(self.places)?;
        let scaled = self.mantissa.checked_mul(*POW10.get(usize::from(up))?)?;
        (scaled.unsigned_abs() < LIMIT.unsigned_abs()).then_some(scaled)
    }

    /// Digits before the point; 0 below one.
    pub fn whole_digits(self) -> u8 {
        let digits = self.mantissa.unsigned_abs().checked_ilog10().map_or(0, |d| d as u8 + 1);
        digits.saturating_sub(self.places)
    }

    /// Whether it is a whole number of steps of `step * 10^-places`.
    pub fn is_multiple_of(self, step: i64, places: u8) -> bool {
        step > 0 && self.at_scale(places).is_some_and(|n| n % step == 0)
    }

    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.mantissa, self.places)
    }

    /// Plain or scientific notation, exact.
    ///
    /// # Errors
    /// Not a number; more than 18 digits or places.
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        match plain(text.as_bytes()) {
            Some((mantissa, places)) => Number::new(mantissa, places),
            None => Number::try_from(text.parse::<Decimal>()?),
        }
    }

    /// As [`Number::parse`], and what has more digits than fit is rounded half-even to the 15 significant digits that a
    /// double is good for: such text comes from float arithmetic. The flag says whether that happened.
    ///
    /// # Errors
    /// Not a number, or beyond 18 digits before the point.
    pub fn parse_rounded(text: &str) -> Result<(Number, bool), NumberError> {
        match Number::parse(text) {
            Ok(number) => Ok((number, false)),
            Err(NumberError::Malformed(text)) => Err(NumberError::Malformed(text)),
            Err(e) => rounded(text).map(|n| (n, true)).ok_or(e),
        }
    }

    /// What a double was meant to be: the shortest decimal text that reads back as this very double, without the
    /// noise that arithmetic left behind its 15th digit (the flag says that there was some). A decimal of up to 15
    /// digits comes through exactly. `None` for NaN, infinities and what does not fit.
    pub fn from_double(value: f64) -> Option<(Number, bool)> {
        let (number, rounded) = value.is_finite().then(|| Number::parse_rounded(&value.to_string()).ok()).flatten()?;
        let (number, noisy) = number.without_noise();
        Some((number, rounded || noisy))
    }

    /// Rounded half-even to 15 significant digits where there are more: text of 16 or 17 digits was written from a
    /// double, which vouches for 15. The flag says whether there were.
    pub fn without_noise(self) -> (Number, bool) {
        let digits = self.mantissa.unsigned_abs().checked_ilog10().map_or(1, |d| d as usize + 1);
        let (Some(over), true) = (digits.checked_sub(SIGNIFICANT), digits > SIGNIFICANT) else { return (self, false) };
        let over = over.min(usize::from(self.places)) as u8;
        if over == 0 {
            return (self, false);
        }
        let unit = pow10(over);
        let cut = ctos_types::decimal::div_rounded(i128::from(self.mantissa), unit, Rounding::HalfEven);
        // Smaller than it was, so it fits.
        (Number::trimmed(cut as i64, self.places - over), true)
    }
}

/// Plain notation of up to 18 digits, the form nearly every number has.
fn plain(text: &[u8]) -> Option<(i64, u8)> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let (mut mantissa, mut count, mut point) = (0i64, 0usize, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                count += 1;
            }
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    let places = point.map_or(0, |at| digits.len() - at - 1);
    // A point with nothing behind it is left to the slow path, which refuses it.
    if count == 0 || point.is_some() && places == 0 {
        return None;
    }
    Some((if negative { -mantissa } else { mantissa }, places as u8))
}

/// Digits that survive a trip through a double.
const SIGNIFICANT: usize = 15;

fn rounded(text: &str) -> Option<Number> {
    let (body, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match body.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", body.strip_prefix('+').unwrap_or(body)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0').collect();
    if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // 0.d1d2d3... * 10^point
    let leading = whole.len() + fraction.len() - all.len();
    let point = i32::try_from(whole.len()).ok()? - i32::try_from(leading).ok()? + exponent;
    // Digits kept: 15, fewer where the places would go beyond 18.
    let keep = SIGNIFICANT.min(usize::try_from((point + i32::from(MAX_DIGITS)).max(0)).ok()?);
    if point > i32::from(MAX_DIGITS) {
        return None;
    }
    let mut mantissa = all[..keep.min(all.len())].iter().fold(0i64, |m, b| m * 10 + i64::from(b - b'0'));
    let rest = all.get(keep..).unwrap_or(&[]);
    let half = rest.first().map_or(std::cmp::Ordering::Less, |first| {
        let tail = rest[1..].iter().any(|b| *b != b'0');
        first.cmp(&b'5').then(if tail { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Equal })
    });
    if half.is_gt() || half.is_eq() && mantissa % 2 == 1 {
        mantissa += 1;
    }
    let places = i32::try_from(keep.min(all.len())).ok()? - point;
    let signed = if sign == "-" { -mantissa } else { mantissa };
    match u8::try_from(places) {
        Ok(places) => Number::new(signed, places).ok(),
        Err(_) => {
            let up = pow10(u8::try_from(-places).ok().filter(|p| *p <= 18)?);
            Number::new(signed.checked_mul(i64::try_from(up).ok()?)?, 0).ok()
        }
    }
}

impl TryFrom<Decimal> for Number {
    type Error = NumberError;
    fn try_from(value: Decimal) -> Result<Number, NumberError> {
        let (mut atoms, mut places) = (value.atoms(), Decimal::PLACES);
        while places > 0 && atoms % 10 == 0 {
            atoms /= 10;
            places -= 1;
        }
        let mantissa = i64::try_from(atoms).map_err(|_| NumberError::Overflow(value.to_string()))?;
        Number::new(mantissa, places)
    }
}

/// The exact decimal text, without trailing zeros.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&ctos_types::instrument::mantissa_text(self.mantissa, self.places))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> String {
        Number::parse(text).unwrap().to_string()
    }

    #[test]
    fn forms() {
        for (from, to) in [
            ("46319.00000000", "46319"),
            ("0.00001200", "0.000012"),
            ("-1.50", "-1.5"),
            ("1e-8", "0.00000001"),
            ("2.5E3", "2500"),
            ("0", "0"),
            ("-0.0", "0"),
            ("000123.4", "123.4"),
            ("999999999999999999", "999999999999999999"),
            (".5", "0.5"),
        ] {
            assert_eq!(text(from), to);
        }
        for bad in ["", "-", ".", "1.", "1.2.3", "1,2", "abc", "NaN", "inf", "1e", "0x10", " 1"] {
            assert!(Number::parse(bad).is_err(), "{bad:?} was taken");
            assert!(Number::parse_rounded(bad).is_err(), "{bad:?} was taken");
        }
        assert!(Number::parse("1000000000000000000").is_err());
        assert!(Number::parse("0.1234567890123456789").is_err());
    }

    #[test]
    fn what_float_arithmetic_left_behind_is_rounded_to_fifteen_digits() {
        for (from, to) in [
            ("2300413.7295000001234567", "2300413.7295"),
            ("0.1234567890123454999999", "0.123456789012345"),
            ("0.1234567890123465", "0.1234567890123465"),
            ("0.00000000000000000051", "0.000000000000000001"),
            ("0.00000000000000000049", "0"),
            ("123456789012345678.25", "123456789012346000"),
            ("-9.99999999999999999999", "-10"),
        ] {
            assert_eq!(Number::parse_rounded(from).unwrap().0.to_string(), to, "{from}");
        }
        assert!(Number::parse_rounded("1e30").is_err());
        assert_eq!(Number::from_double(0.1).unwrap().0.to_string(), "0.1");
        assert_eq!(Number::from_double(f64::NAN), None);
        let double = |d: f64| Number::from_double(d).map(|(n, noisy)| (n.to_string(), noisy));
        assert_eq!(double(3.4308612800000002), Some(("3.43086128".into(), true)));
        assert_eq!(double(218102.59507500002), Some(("218102.595075".into(), true)));
        assert_eq!(double(0.1 + 0.2), Some(("0.3".into(), true)));
        assert_eq!(double(1e15 + 1.0), Some(("1000000000000001".into(), false)), "whole digits are never given up");
    }

    proptest! {
        #[test]
        fn text_round_trip(mantissa in -999_999_999_999_999_999i64..=999_999_999_999_999_999, places in 0u8..=18) {
            let number = Number::new(mantissa, places).unwrap();
            prop_assert_eq!(number.to_decimal(), Decimal::new(mantissa, places));
            prop_assert_eq!(Number::parse(&number.to_string()).unwrap(), number);
            prop_assert_eq!(Number::try_from(number.to_decimal()).unwrap(), number);
            prop_assert_eq!(Number::parse_rounded(&number.to_string()).unwrap(), (number, false));
        }

        #[test]
        fn any_text_is_an_answer_not_a_panic(text in "[-+0-9.eE]{0,45}", wild in "\\PC{0,20}") {
            let _ = (Number::parse(&text), Number::parse_rounded(&text), Number::parse_rounded(&wild));
        }

        #[test]
        fn doubles_of_fifteen_digits_come_through_exactly(mantissa in -999_999_999_999_999i64..=999_999_999_999_999, places in 0u8..=12) {
            let number = Number::new(mantissa, places).unwrap();
            let double: f64 = number.to_string().parse().unwrap();
            prop_assert_eq!(Number::from_double(double), Some((number, false)));
        }
    }
}
