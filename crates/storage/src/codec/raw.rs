//! Integers, text and the small words that both inputs and commands are made of.
//! Never: allocates on the way in, except for a control's text.

use super::CodecError;
use ctos_types::{
    AccountId, ClientOrderId, Decimal, InstanceTag, InstrumentId, Leg, Level, Price, Qty, Side, StrategyId, Text,
    UnixNanos,
};

/// Appends values to a buffer.
pub(super) struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    pub fn u8(&mut self, v: u8) {
        self.0.push(v);
    }

    pub fn bool(&mut self, v: bool) {
        self.0.push(u8::from(v));
    }

    pub fn uint(&mut self, mut v: u64) {
        let (mut buf, mut n) = ([0u8; 10], 0);
        while v >= 0x80 {
            buf[n] = v as u8 | 0x80;
            v >>= 7;
            n += 1;
        }
        buf[n] = v as u8;
        // A copy of fixed length, cut afterwards, is a few instructions; one of varying length is a call.
        let end = self.0.len() + n + 1;
        self.0.extend_from_slice(&buf);
        self.0.truncate(end);
    }

    pub fn int(&mut self, v: i64) {
        self.uint(((v << 1) ^ (v >> 63)) as u64);
    }

    pub fn decimal(&mut self, d: Decimal) {
        let v = d.atoms();
        let mut v = ((v << 1) ^ (v >> 127)) as u128;
        let (mut buf, mut n) = ([0u8; 19], 0);
        while v >= 0x80 {
            buf[n] = v as u8 | 0x80;
            v >>= 7;
            n += 1;
        }
        buf[n] = v as u8;
        self.0.extend_from_slice(&buf[..=n]);
    }

    pub fn time(&mut self, t: UnixNanos) {
        self.0.extend_from_slice(&t.0.to_le_bytes());
    }

    pub fn str(&mut self, text: &str) {
        self.uint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn text<const N: usize>(&mut self, text: &Text<N>) {
        self.str(text.as_str());
    }

    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    pub fn instrument(&mut self, id: InstrumentId) {
        self.uint(u64::from(id.0));
    }

    pub fn account(&mut self, id: AccountId) {
        self.uint(u64::from(id.0));
    }

    pub fn strategy(&mut self, id: StrategyId) {
        self.uint(u64::from(id.0));
    }

    pub fn price(&mut self, px: Price) {
        self.int(px.0);
    }

    pub fn qty(&mut self, qty: Qty) {
        self.int(qty.0);
    }

    pub fn cl_ord_id(&mut self, id: ClientOrderId, with_tag: bool) {
        if with_tag {
            self.uint(u64::from(id.tag.0));
        }
        self.uint(id.seq);
    }

    pub fn side(&mut self, side: Side) {
        self.u8(match side {
            Side::Buy => 0,
            Side::Sell => 1,
        });
    }

    pub fn leg(&mut self, leg: Leg) {
        self.u8(match leg {
            Leg::Net => 0,
            Leg::Long => 1,
            Leg::Short => 2,
        });
    }

    pub fn level(&mut self, level: &Level) {
        self.price(level.price);
        self.qty(level.qty);
    }
}

type Result<T> = std::result::Result<T, CodecError>;

/// Takes values from the front of a slice.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    /// Fails when bytes are left.
    pub fn finish(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(CodecError::Trailing(self.0.len())) }
    }

    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    pub fn u8(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn bool(&mut self, what: &'static str) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(CodecError::UnknownTag { what, tag }),
        }
    }

    pub fn uint(&mut self, what: &'static str) -> Result<u64> {
        let (mut v, mut shift) = (0u64, 0);
        loop {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            // Ten bytes hold 70 bits: the last may only carry one.
            if shift == 63 && bits > 1 {
                return Err(CodecError::OutOfRange(what));
            }
            v |= bits << shift;
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                return if overlong { Err(CodecError::OutOfRange(what)) } else { Ok(v) };
            }
            shift += 7;
            if shift > 63 {
                return Err(CodecError::OutOfRange(what));
            }
        }
    }

    pub fn int(&mut self, what: &'static str) -> Result<i64> {
        let v = self.uint(what)?;
        Ok((v >> 1) as i64 ^ -((v & 1) as i64))
    }

    pub fn decimal(&mut self, what: &'static str) -> Result<Decimal> {
        let (mut v, mut shift) = (0u128, 0);
        loop {
            let byte = self.u8()?;
            let bits = u128::from(byte & 0x7f);
            // Nineteen bytes hold 133 bits: the last may only carry two.
            if shift == 126 && bits > 3 {
                return Err(CodecError::OutOfRange(what));
            }
            v |= bits << shift;
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                let atoms = (v >> 1) as i128 ^ -((v & 1) as i128);
                return if overlong { Err(CodecError::OutOfRange(what)) } else { Ok(Decimal::from_atoms(atoms)) };
            }
            shift += 7;
            if shift > 126 {
                return Err(CodecError::OutOfRange(what));
            }
        }
    }

    pub fn time(&mut self) -> Result<UnixNanos> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(UnixNanos(i64::from_le_bytes(*bytes)))
    }

    pub fn str(&mut self, what: &'static str) -> Result<&str> {
        let len = usize::try_from(self.uint(what)?).map_err(|_| CodecError::Truncated)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(CodecError::Truncated)?;
        self.0 = rest;
        std::str::from_utf8(bytes).map_err(|_| CodecError::BadText(what))
    }

    pub fn string(&mut self, what: &'static str) -> Result<String> {
        self.str(what).map(String::from)
    }

    pub fn text<const N: usize>(&mut self, what: &'static str) -> Result<Text<N>> {
        Text::new(self.str(what)?).map_err(|_| CodecError::BadText(what))
    }

    pub fn option<T>(&mut self, what: &'static str, get: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.bool(what)? { get(self).map(Some) } else { Ok(None) }
    }

    pub fn instrument(&mut self) -> Result<InstrumentId> {
        let id = self.uint("instrument")?;
        u32::try_from(id).map(InstrumentId).map_err(|_| CodecError::OutOfRange("instrument"))
    }

    pub fn account(&mut self) -> Result<AccountId> {
        let id = self.uint("account")?;
        u16::try_from(id).map(AccountId).map_err(|_| CodecError::OutOfRange("account"))
    }

    pub fn strategy(&mut self) -> Result<StrategyId> {
        let id = self.uint("strategy")?;
        u16::try_from(id).map(StrategyId).map_err(|_| CodecError::OutOfRange("strategy"))
    }

    pub fn price(&mut self) -> Result<Price> {
        self.int("price").map(Price)
    }

    pub fn qty(&mut self) -> Result<Qty> {
        self.int("size").map(Qty)
    }

    pub fn cl_ord_id(&mut self) -> Result<ClientOrderId> {
        let tag = self.uint("instance tag")?;
        let tag = u32::try_from(tag).map(InstanceTag).map_err(|_| CodecError::OutOfRange("instance tag"))?;
        Ok(ClientOrderId { tag, seq: self.uint("order sequence")? })
    }

    pub fn side(&mut self) -> Result<Side> {
        match self.u8()? {
            0 => Ok(Side::Buy),
            1 => Ok(Side::Sell),
            tag => Err(CodecError::UnknownTag { what: "side", tag }),
        }
    }

    pub fn leg(&mut self) -> Result<Leg> {
        match self.u8()? {
            0 => Ok(Leg::Net),
            1 => Ok(Leg::Long),
            2 => Ok(Leg::Short),
            tag => Err(CodecError::UnknownTag { what: "leg", tag }),
        }
    }

    pub fn level(&mut self) -> Result<Level> {
        Ok(Level { price: self.price()?, qty: self.qty()? })
    }
}
