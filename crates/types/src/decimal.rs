//! One exact decimal for money and every off-grid number: an `i128` count of 10^-18.
//! Sums never round; products and quotients round once, in the direction the caller names.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

/// An exact decimal with 18 places, within ±1.7e20. Used for money, rates, marks and averages.
///
/// `+` and `-` panic on overflow (our bug: inputs are bounded where they enter); use `checked_*` on outside values.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// Where the part that does not fit goes. There is no default: rounding is the caller's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
    /// To the nearest, ties to even.
    HalfEven,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("not a decimal number: {0:?}")]
    Malformed(String),
    #[error("{0} has more decimal places than the {1} that can be held exactly")]
    TooPrecise(String, u8),
    #[error("number out of range: {0}")]
    Overflow(String),
    #[error("{value} is not a multiple of {step}")]
    OffGrid { value: String, step: String },
    #[error("division by zero")]
    DivisionByZero,
}

const ONE: i128 = 1_000_000_000_000_000_000;

/// Powers of ten for the places a `Decimal` has, so the hot path multiplies without a loop. Each fits into 64 bits, so
/// that its product with a mantissa is one multiplication.
const POW10: [i64; 19] = {
    let mut t = [1; 19];
    let mut i = 1;
    while i < 19 {
        t[i] = t[i - 1] * 10;
        i += 1;
    }
    t
};

/// `10^n` for `n` up to 18.
pub const fn pow10(n: u8) -> i128 {
    POW10[n as usize] as i128
}

impl Decimal {
    pub const PLACES: u8 = 18;
    pub const ZERO: Decimal = Decimal(0);
    pub const ONE: Decimal = Decimal(ONE);
    pub const MAX: Decimal = Decimal(i128::MAX);

    pub const fn from_int(n: i64) -> Decimal {
        Decimal(n as i128 * ONE)
    }

    /// `mantissa * 10^-places`. `places` is at most 18; every `i64` fits.
    pub fn new(mantissa: i64, places: u8) -> Decimal {
        Decimal(mantissa as i128 * pow10(Self::PLACES - places))
    }

    /// `mantissa * 10^-18`.
    pub const fn from_atoms(atoms: i128) -> Decimal {
        Decimal(atoms)
    }

    /// The value as a count of 10^-18.
    pub const fn atoms(self) -> i128 {
        self.0
    }

    /// The whole part and the atoms beyond it, both with the number's sign.
    #[inline]
    pub fn parts(self) -> (i128, i128) {
        match i64::try_from(self.0) {
            // A division of 64 bits by a constant is a multiplication.
            Ok(atoms) => ((atoms / POW10[18]).into(), (atoms % POW10[18]).into()),
            Err(_) => (self.0 / ONE, self.0 % ONE),
        }
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    pub const fn abs(self) -> Decimal {
        Decimal(self.0.abs())
    }

    pub const fn signum(self) -> i128 {
        self.0.signum()
    }

    pub fn checked_add(self, rhs: Decimal) -> Result<Decimal, NumberError> {
        self.0.checked_add(rhs.0).map(Decimal).ok_or_else(|| NumberError::Overflow(format!("{self} + {rhs}")))
    }

    pub fn checked_sub(self, rhs: Decimal) -> Result<Decimal, NumberError> {
        self.0.checked_sub(rhs.0).map(Decimal).ok_or_else(|| NumberError::Overflow(format!("{self} - {rhs}")))
    }

    /// `self * rhs`, rounded once to 18 places.
    pub fn mul(self, rhs: Decimal, rounding: Rounding) -> Result<Decimal, NumberError> {
        mul_div(self.0, rhs.0, ONE, rounding)
            .map(Decimal)
            .ok_or_else(|| NumberError::Overflow(format!("{self} * {rhs}")))
    }

    /// `self / rhs`, rounded once to 18 places.
    pub fn div(self, rhs: Decimal, rounding: Rounding) -> Result<Decimal, NumberError> {
        if rhs.is_zero() {
            return Err(NumberError::DivisionByZero);
        }
        mul_div(self.0, ONE, rhs.0, rounding)
            .map(Decimal)
            .ok_or_else(|| NumberError::Overflow(format!("{self} / {rhs}")))
    }

    /// `self * num / den` with a single rounding at the end.
    pub fn mul_ratio(self, num: i64, den: i64, rounding: Rounding) -> Result<Decimal, NumberError> {
        if den == 0 {
            return Err(NumberError::DivisionByZero);
        }
        mul_div(self.0, num as i128, den as i128, rounding)
            .map(Decimal)
            .ok_or_else(|| NumberError::Overflow(format!("{self} * {num} / {den}")))
    }

    /// Rounded to `places` decimals. Overflow is impossible except within one unit of the range's end.
    pub fn round(self, places: u8, rounding: Rounding) -> Decimal {
        let unit = pow10(Self::PLACES - places);
        Decimal(div_rounded(self.0, unit, rounding) * unit)
    }

    /// The mantissa at `places` decimals, if exact and within `i64`.
    pub fn to_mantissa(self, places: u8) -> Result<i64, NumberError> {
        let unit = pow10(Self::PLACES - places);
        if self.0 % unit != 0 {
            return Err(NumberError::TooPrecise(self.to_string(), places));
        }
        i64::try_from(self.0 / unit).map_err(|_| NumberError::Overflow(self.to_string()))
    }

    /// The mantissa at `places` decimals after rounding, if within `i64`.
    pub fn to_mantissa_rounded(self, places: u8, rounding: Rounding) -> Result<i64, NumberError> {
        let unit = pow10(Self::PLACES - places);
        i64::try_from(div_rounded(self.0, unit, rounding)).map_err(|_| NumberError::Overflow(self.to_string()))
    }

    /// For display, statistics and indicators only: never for an order, a balance or a fee.
    pub fn to_f64(self) -> f64 {
        (self.0 / ONE) as f64 + (self.0 % ONE) as f64 / ONE as f64
    }
}

/// `n / d` rounded. `d` must not be zero.
///
/// Panics where the result leaves `i128`: only `i128::MIN / -1` does.
pub fn div_rounded(n: i128, d: i128, rounding: Rounding) -> i128 {
    let (q, r) = div_rem(n.unsigned_abs(), d.unsigned_abs());
    signed(q, r, d.unsigned_abs(), (n < 0) != (d < 0), rounding).expect("a quotient within 128 bits")
}

/// `a * b / d` with a 256-bit product and one rounding. `None` when the result leaves `i128`.
pub fn mul_div(a: i128, b: i128, d: i128, rounding: Rounding) -> Option<i128> {
    let negative = (a < 0) ^ (b < 0) ^ (d < 0);
    let (a, b, d) = (a.unsigned_abs(), b.unsigned_abs(), d.unsigned_abs());
    let (q, r) = match a.checked_mul(b) {
        Some(product) => div_rem(product, d),
        None => {
            let (hi, lo) = wide_mul(a, b);
            wide_div(hi, lo, d)?
        }
    };
    signed(q, r, d, negative, rounding)
}

/// Quotient and remainder. Without signs, and in 64 bits where that is enough: a division of 128 bits is the most
/// expensive thing here.
#[inline]
fn div_rem(n: u128, d: u128) -> (u128, u128) {
    if (n | d) >> 64 == 0 {
        let (n, d) = (n as u64, d as u64);
        return (u128::from(n / d), u128::from(n % d));
    }
    let q = n / d;
    (q, n.wrapping_sub(q.wrapping_mul(d)))
}

/// The rounded quotient with its sign, from those of the magnitudes.
#[inline]
fn signed(q: u128, r: u128, d: u128, negative: bool, rounding: Rounding) -> Option<i128> {
    let away = r != 0
        && match rounding {
            Rounding::Down => false,
            Rounding::Up => true,
            Rounding::Floor => negative,
            Rounding::Ceil => !negative,
            Rounding::HalfEven => {
                let rest = d - r;
                r > rest || (r == rest && !q.is_multiple_of(2))
            }
        };
    let q = q.checked_add(u128::from(away))?;
    if negative { 0i128.checked_sub_unsigned(q) } else { i128::try_from(q).ok() }
}

fn wide_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let p00 = a0 * b0;
    let p01 = a0 * b1;
    let p10 = a1 * b0;
    let mid = (p00 >> 64) + (p01 & LOW) + (p10 & LOW);
    let lo = (p00 & LOW) | (mid << 64);
    let hi = a1 * b1 + (p01 >> 64) + (p10 >> 64) + (mid >> 64);
    (hi, lo)
}

/// Quotient and remainder of a 256-bit number; `None` when the quotient needs more than 128 bits.
fn wide_div(hi: u128, lo: u128, d: u128) -> Option<(u128, u128)> {
    if hi >= d {
        return None;
    }
    // Every product of decimals divides by 10^18, which fits one limb: two plain divisions, since hi < d < 2^64.
    if d >> 64 == 0 {
        let (high, rest) = div_rem((hi << 64) | (lo >> 64), d);
        let (low, rest) = div_rem((rest << 64) | (lo & u128::from(u64::MAX)), d);
        return Some(((high << 64) | low, rest));
    }
    // Long division in limbs of 64 bits; with the divisor's top bit set, a guessed digit is at most two too large.
    let shift = d.leading_zeros();
    let d = d << shift;
    let hi = if shift == 0 { hi } else { (hi << shift) | (lo >> (128 - shift)) };
    let lo = lo << shift;
    let (high, rem) = digit(hi, lo >> 64, d);
    let (low, rem) = digit(rem, lo & u128::from(u64::MAX), d);
    Some(((high << 64) | low, rem >> shift))
}

/// One digit of `(rem, next) / d`: 192 bits by 128, where `rem < d`, `next < 2^64` and the top bit of `d` is set.
fn digit(rem: u128, next: u128, d: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (d1, d0) = (d >> 64, d & LOW);
    let mut q = (rem / d1).min(LOW);
    let mut left = rem - q * d1;
    while left <= LOW && q * d0 > ((left << 64) | next) {
        q -= 1;
        left += d1;
    }
    // The true remainder is below d, so what the multiplications lose beyond 128 bits cancels out.
    (q, (rem << 64 | next).wrapping_sub(q.wrapping_mul(d)))
}

impl Add for Decimal {
    type Output = Decimal;
    fn add(self, rhs: Decimal) -> Decimal {
        Decimal(self.0.checked_add(rhs.0).expect("decimal sum within ±1.7e20"))
    }
}

impl Sub for Decimal {
    type Output = Decimal;
    fn sub(self, rhs: Decimal) -> Decimal {
        Decimal(self.0.checked_sub(rhs.0).expect("decimal difference within ±1.7e20"))
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, rhs: Decimal) {
        *self = *self + rhs;
    }
}

impl SubAssign for Decimal {
    fn sub_assign(&mut self, rhs: Decimal) {
        *self = *self - rhs;
    }
}

impl Neg for Decimal {
    type Output = Decimal;
    fn neg(self) -> Decimal {
        Decimal(-self.0)
    }
}

impl std::iter::Sum for Decimal {
    fn sum<I: Iterator<Item = Decimal>>(iter: I) -> Decimal {
        iter.fold(Decimal::ZERO, Add::add)
    }
}

/// Plain or scientific notation, exact: more than 18 significant places is an error, never a rounding.
impl FromStr for Decimal {
    type Err = NumberError;
    fn from_str(text: &str) -> Result<Decimal, NumberError> {
        let malformed = || NumberError::Malformed(text.into());
        let (body, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().map_err(|_| malformed())?),
            None => (text, 0),
        };
        let (negative, digits) = match body.as_bytes().first() {
            Some(b'-') => (true, &body[1..]),
            Some(b'+') => (false, &body[1..]),
            _ => (false, body),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || digits.ends_with('.') && fraction.is_empty() {
            return Err(malformed());
        }
        if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(malformed());
        }
        let overflow = || NumberError::Overflow(text.into());
        let fraction = if exponent == 0 { fraction.trim_end_matches('0') } else { fraction };
        let mut mantissa: i128 = 0;
        for b in whole.bytes().chain(fraction.bytes()) {
            mantissa =
                mantissa.checked_mul(10).and_then(|m| m.checked_add(i128::from(b - b'0'))).ok_or_else(overflow)?;
        }
        // value = mantissa * 10^shift atoms
        let shift = i64::from(exponent) + i64::from(Self::PLACES) - fraction.len() as i64;
        let mut atoms = mantissa;
        if mantissa != 0 && shift > 0 {
            for _ in 0..shift {
                atoms = atoms.checked_mul(10).ok_or_else(overflow)?;
            }
        } else if mantissa != 0 {
            for _ in shift..0 {
                if atoms % 10 != 0 {
                    return Err(NumberError::TooPrecise(text.into(), Self::PLACES));
                }
                atoms /= 10;
            }
        }
        Ok(Decimal(if negative { -atoms } else { atoms }))
    }
}

/// The shortest exact text: no exponent, no trailing zeros. A width or precision is honoured (precision truncates).
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abs = self.0.unsigned_abs();
        let (whole, fraction) = (abs / ONE as u128, abs % ONE as u128);
        let mut text = whole.to_string();
        let digits = format!("{fraction:018}");
        let shown = match f.precision() {
            Some(p) => &digits[..p.min(18)],
            None => digits.trim_end_matches('0'),
        };
        if !shown.is_empty() {
            text.push('.');
            text.push_str(shown);
        }
        // `f.precision` was used above; pad_integral knows only width, fill and sign.
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Always text, so no reader is tempted through a binary float.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn d(s: &str) -> Decimal {
        s.parse().unwrap()
    }

    #[test]
    fn parses_and_prints() {
        for (text, want) in [
            ("0", "0"),
            ("-0.10", "-0.1"),
            ("1e-8", "0.00000001"),
            ("2.5E3", "2500"),
            ("+7", "7"),
            (".5", "0.5"),
            ("-0", "0"),
        ] {
            assert_eq!(d(text).to_string(), want, "{text}");
        }
        for bad in ["", "-", ".", "1.", "1,0", "0x1", "1e", "NaN", "1 ", "--1", "1.-2"] {
            assert!(bad.parse::<Decimal>().is_err(), "{bad:?} was accepted");
        }
        assert!(matches!("1e-19".parse::<Decimal>(), Err(NumberError::TooPrecise(..))));
        assert!(matches!("1e21".parse::<Decimal>(), Err(NumberError::Overflow(_))));
        assert!(matches!("1e999999999".parse::<Decimal>(), Err(NumberError::Overflow(_))));
        assert_eq!(d("0e999999999"), Decimal::ZERO);
        assert_eq!(format!("{:>8.2}|{:.0}", d("-1.239"), d("5.9")), "   -1.23|5");
    }

    #[test]
    fn rounding_directions() {
        use Rounding::*;
        for (mode, pos, neg, tie) in [
            (Down, "1.2", "-1.2", "0.2"),
            (Up, "1.3", "-1.3", "0.3"),
            (Floor, "1.2", "-1.3", "0.2"),
            (Ceil, "1.3", "-1.2", "0.3"),
            (HalfEven, "1.3", "-1.3", "0.2"),
        ] {
            assert_eq!(d("1.26").round(1, mode), d(pos), "{mode:?}");
            assert_eq!(d("-1.26").round(1, mode), d(neg), "{mode:?}");
            assert_eq!(d("0.25").round(1, mode), d(tie), "{mode:?}");
        }
    }

    #[test]
    fn wide_products_are_exact() {
        // 1e20 * 1.5 leaves the i128 product but not the result.
        assert_eq!(d("100000000000000000000").mul(d("1.5"), Rounding::Down).unwrap(), d("150000000000000000000"));
        assert!(d("100000000000000000000").mul(d("2"), Rounding::Down).is_err());
        assert_eq!(
            d("100000000000000000000").div(d("3"), Rounding::Up).unwrap(),
            d("33333333333333333333.333333333333333334")
        );
        assert_eq!(d("1").div(Decimal::ZERO, Rounding::Up), Err(NumberError::DivisionByZero));
    }

    #[test]
    fn the_ends_of_the_range() {
        let (max, min) = (i128::MAX, i128::MIN);
        assert_eq!((div_rounded(min, 1, Rounding::Up), div_rounded(max, -1, Rounding::Up)), (min, -max));
        assert_eq!(mul_div(min, 1, -1, Rounding::Down), None);
        assert_eq!(mul_div(min, -1, -1, Rounding::Down), Some(min));
        assert_eq!(mul_div(max, 3, 2, Rounding::Down), None);
        assert_eq!(mul_div(max, 3, -4, Rounding::HalfEven), Some(-127_605_887_595_351_923_798_765_477_786_913_079_295));
    }

    proptest! {
        // Against the signed division of the language, in 64 bits and beyond.
        #[test]
        fn rounded_quotients(n in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from)],
                             d in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from), -9i128..10]) {
            prop_assume!(d != 0 && n.checked_div(d).is_some());
            let (q, exact, negative) = (n / d, n % d == 0, (n < 0) != (d < 0));
            let beyond = if negative { q.checked_sub(1) } else { q.checked_add(1) };
            for (mode, away) in [
                (Rounding::Down, false),
                (Rounding::Up, true),
                (Rounding::Floor, negative),
                (Rounding::Ceil, !negative),
            ] {
                let want = if exact || !away { q } else { beyond.unwrap() };
                prop_assert_eq!(div_rounded(n, d, mode), want);
            }
            let nearest = div_rounded(n, d, Rounding::HalfEven);
            let (below, rest) = (q, (n % d).unsigned_abs());
            let other = d.unsigned_abs() - rest;
            prop_assert_eq!(nearest == below, rest < other || (rest == other && below % 2 == 0), "{} / {}", n, d);
        }

        #[test]
        fn text_round_trip(atoms in any::<i128>()) {
            let value = Decimal::from_atoms(atoms.max(-i128::MAX));
            prop_assert_eq!(value.to_string().parse::<Decimal>().unwrap(), value);
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), value);
        }

        // The 256-bit path against a schoolbook product in 32-bit limbs: q*d + r == a*b and r < d.
        #[test]
        fn wide_division_reconstructs(a in any::<u128>(), b in any::<u128>(), d in 1u128..) {
            let (hi, lo) = wide_mul(a, b);
            prop_assume!(hi < d);
            let (q, r) = wide_div(hi, lo, d).unwrap();
            prop_assert!(r < d);
            let (back_hi, back_lo) = wide_mul(q, d);
            let (sum, carry) = back_lo.overflowing_add(r);
            prop_assert_eq!((back_hi + u128::from(carry), sum), (hi, lo));
            prop_assert_eq!(lo, a.wrapping_mul(b));
        }

        // One-limb divisors, as above: b < d keeps the quotient within 128 bits.
        #[test]
        fn wide_division_by_one_limb_reconstructs(a in any::<u128>(), b in any::<u64>(), d in 1u64..) {
            let (b, d) = (u128::from(b % d), u128::from(d));
            let (hi, lo) = wide_mul(a, b);
            let (q, r) = wide_div(hi, lo, d).unwrap();
            prop_assert!(r < d);
            let (back_hi, back_lo) = wide_mul(q, d);
            let (sum, carry) = back_lo.overflowing_add(r);
            prop_assert_eq!((back_hi + u128::from(carry), sum), (hi, lo));
        }

        #[test]
        fn wide_and_narrow_agree(a in any::<i64>(), b in any::<i64>(), d in prop_oneof![1i64.., i64::MIN..0]) {
            for mode in [Rounding::Down, Rounding::Up, Rounding::Floor, Rounding::Ceil, Rounding::HalfEven] {
                let narrow = div_rounded(a as i128 * b as i128, d as i128, mode);
                // Scaling both factor and divisor by 2^70 forces the wide path without changing the quotient.
                let wide = mul_div((a as i128) << 60, (b as i128) << 2, (d as i128) << 62, mode).unwrap();
                prop_assert_eq!(narrow, wide);
            }
        }
    }
}
