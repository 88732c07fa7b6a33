//! Identifiers. All are small and `Copy`; those we mint come from sequences, never from a random source.

use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Index of an instrument in the run's [`crate::Instruments`], stable for the life of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstrumentId(pub u32);

impl InstrumentId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of an account in the run's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub u16);

/// Index of a strategy process in a shard. [`StrategyId::EXTERNAL`] owns what no strategy of ours ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StrategyId(pub u16);

impl StrategyId {
    /// Orders of other programs, manual trades, liquidations.
    pub const EXTERNAL: StrategyId = StrategyId(u16::MAX);
}

/// The venue's order id, as text. 23 bytes hold every known venue's form.
pub type VenueOrderId = Text<23>;

/// The venue's id of one fill (FIX ExecID). Unique per instrument, and what fills are de-duplicated by.
pub type ExecId = Text<23>;

/// Marks every client order id of one run, so that another instance on the same account is detected at the venue.
///
/// Up to six base-36 digits; journaled with the run and left out of `command_hash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceTag(pub u32);

impl InstanceTag {
    /// One above the largest tag that prints in six digits.
    pub const END: u32 = 36u32.pow(6);
    /// Of orders that a person placed one at a time: no run has it, and no second instance is behind them.
    pub const ONE_SHOT: InstanceTag = InstanceTag(InstanceTag::END - 1);
}

/// Our id of an order (FIX ClOrdID): the run's tag and a sequence that never repeats.
///
/// Text form: `c`, six base-36 digits of the tag, then the sequence in base 36: at most 20 alphanumerics,
/// which fits the tightest text limit (OKX, 32). Drivers of venues with numeric ids map the sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientOrderId {
    pub tag: InstanceTag,
    pub seq: u64,
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buf = [b'0'; 20];
        let mut at = buf.len();
        let mut n = self.seq;
        while n > 0 || at == buf.len() {
            at -= 1;
            buf[at] = base36(n % 36);
            n /= 36;
        }
        let mut tag = u64::from(self.tag.0);
        for i in 1..=6 {
            buf[at - i] = base36(tag % 36);
            tag /= 36;
        }
        buf[at - 7] = b'c';
        f.pad(std::str::from_utf8(&buf[at - 7..]).expect("ascii digits"))
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a client order id of ours: the order belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a client order id of ctos: {0:?}")]
pub struct ForeignId(pub String);

impl std::str::FromStr for ClientOrderId {
    type Err = ForeignId;
    fn from_str(text: &str) -> Result<Self, ForeignId> {
        let foreign = || ForeignId(text.into());
        let rest = text.strip_prefix('c').filter(|r| r.is_ascii() && r.len() >= 7).ok_or_else(foreign)?;
        let number = |s: &str| {
            let plain = s.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
            plain.then(|| u64::from_str_radix(s, 36).ok()).flatten()
        };
        let tag = number(&rest[..6]).ok_or_else(foreign)?;
        let seq = number(&rest[6..]).ok_or_else(foreign)?;
        let id = ClientOrderId { tag: InstanceTag(tag as u32), seq };
        // Leading zeros in the sequence would give one order two spellings.
        (id.to_string() == text).then_some(id).ok_or_else(foreign)
    }
}

fn base36(digit: u64) -> u8 {
    b"0123456789abcdefghijklmnopqrstuvwxyz"[digit as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn client_order_id_text(tag in 0..InstanceTag::END, seq in any::<u64>()) {
            let id = ClientOrderId { tag: InstanceTag(tag), seq };
            let text = id.to_string();
            prop_assert!(text.len() <= 20 && text.bytes().all(|b| b.is_ascii_alphanumeric()));
            prop_assert_eq!(text.parse::<ClientOrderId>().unwrap(), id);
        }
    }

    #[test]
    fn foreign_ids_are_not_ours() {
        for text in ["", "c", "x-broker-1", "c000001", "c00000100", "C0000011", "c00000A1", "web_123456789"] {
            assert!(text.parse::<ClientOrderId>().is_err(), "{text:?} was taken for ours");
        }
    }
}
