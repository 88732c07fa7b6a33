//! Serialises floats as their shortest exact text, so that a saved state is the same state when it is read back.
//! Never: accepts a value that is not finite.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A finite float that travels as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exact(pub f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // `{:?}` and `{}` both print the shortest text that reads back as the same bits; `{:?}` keeps extremes short.
        s.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        let value: f64 = text.parse().map_err(|_| D::Error::custom(format!("not a number: {text:?}")))?;
        if value.is_finite() { Ok(Exact(value)) } else { Err(D::Error::custom("a saved value is not finite")) }
    }
}

/// For `#[serde(with = "exact")]` on an `f64`.
pub(crate) fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
    Exact(*x).serialize(s)
}

/// For `#[serde(with = "exact")]` on an `f64`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    Exact::deserialize(d).map(|x| x.0)
}

/// For `#[serde(with = "exact::option")]` on an `Option<f64>`.
pub(crate) mod option {
    use super::Exact;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(x: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
        x.map(Exact).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
        Option::<Exact>::deserialize(d).map(|x| x.map(|x| x.0))
    }
}
