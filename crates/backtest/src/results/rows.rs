//! Rows of the log as cells, and back: names instead of numbers, prices and sizes as plain decimals.
//! Never: needs more than the run's facts to be read.

use super::cursor::{Cursor, Read, word};
use super::table::Cell;
use crate::log::{EquityPoint, Facts, FillRow, FundingRow, PositionRow, TradeRow};
use crate::metrics::excursion::Excursion;
use ctos_types::{AccountId, Bar, Instrument, InstrumentId, StrategyId};
use std::collections::BTreeMap;

/// What strategy files name that no strategy of the run did.
const EXTERNAL: &str = "EXTERNAL";

/// The names behind ids, both ways.
#[derive(Debug)]
pub struct Names<'a> {
    pub facts: &'a Facts,
    accounts: BTreeMap<&'a str, AccountId>,
    strategies: BTreeMap<&'a str, StrategyId>,
    instruments: BTreeMap<&'a str, InstrumentId>,
}

impl<'a> Names<'a> {
    pub fn of(facts: &'a Facts) -> Names<'a> {
        let accounts = facts.accounts.iter().enumerate().map(|(n, a)| (a.name.as_str(), AccountId(n as u16)));
        let strategies = facts.strategies.iter().enumerate().map(|(n, s)| (s.id.as_str(), StrategyId(n as u16)));
        Names {
            facts,
            accounts: accounts.collect(),
            strategies: strategies.collect(),
            instruments: facts.instruments.iter().map(|i| (i.symbol.as_str(), i.id)).collect(),
        }
    }

    pub fn account(&self, id: AccountId) -> &'a str {
        self.facts.accounts.get(id.0 as usize).map_or("", |a| &a.name)
    }
    pub fn strategy(&self, id: StrategyId) -> &'a str {
        self.facts.strategies.get(id.0 as usize).map_or(EXTERNAL, |s| &s.id)
    }
    pub fn instrument(&self, id: InstrumentId) -> &'a Instrument {
        self.facts.instruments.get(id)
    }

    pub fn read_account(&self, c: &mut Cursor<'_>) -> Read<AccountId> {
        let name = c.text()?;
        self.accounts.get(name).copied().ok_or_else(|| format!("no account {name:?}"))
    }
    pub fn read_strategy(&self, c: &mut Cursor<'_>) -> Read<StrategyId> {
        let name = c.text()?;
        let found = self.strategies.get(name).copied().or((name == EXTERNAL).then_some(StrategyId::EXTERNAL));
        found.ok_or_else(|| format!("no strategy {name:?}"))
    }
    pub fn read_instrument(&self, c: &mut Cursor<'_>) -> Read<&'a Instrument> {
        let symbol = c.text()?;
        self.instruments.get(symbol).map(|id| self.instrument(*id)).ok_or_else(|| format!("no instrument {symbol:?}"))
    }
}

pub fn fill<'a>(n: &Names<'a>, r: &FillRow) -> Vec<Cell<'a>> {
    let i = n.instrument(r.instrument);
    vec![
        (r.seq as i64).into(),
        r.at.into(),
        n.account(r.account).into(),
        n.strategy(r.strategy).into(),
        i.symbol.as_str().into(),
        r.order.map(|id| id.to_string()).into(),
        word(r.side).into(),
        word(r.leg).into(),
        i.price_decimal(r.price).into(),
        i.qty_decimal(r.qty).into(),
        word(r.liquidity).into(),
        r.fee.into(),
        r.fee_currency.to_string().into(),
        r.fee_value.into(),
        r.realized.into(),
        r.mid_at_send.into(),
    ]
}

pub fn read_fill(n: &Names<'_>, c: &mut Cursor<'_>) -> Read<FillRow> {
    let (seq, at) = (c.int::<i64>()? as u64, c.time()?);
    let (account, strategy, i) = (n.read_account(c)?, n.read_strategy(c)?, n.read_instrument(c)?);
    Ok(FillRow {
        seq,
        at,
        account,
        strategy,
        instrument: i.id,
        order: c.opt_order()?,
        side: c.word()?,
        leg: c.word()?,
        price: c.price(i)?,
        qty: c.qty(i)?,
        liquidity: c.word()?,
        fee: c.decimal()?,
        fee_currency: c.currency()?,
        fee_value: c.opt_decimal()?,
        realized: c.decimal()?,
        mid_at_send: c.opt_decimal()?,
    })
}

pub fn position<'a>(n: &Names<'a>, r: &PositionRow) -> Vec<Cell<'a>> {
    let i = n.instrument(r.instrument);
    vec![
        r.at.into(),
        n.account(r.account).into(),
        i.symbol.as_str().into(),
        word(r.leg).into(),
        i.qty_decimal(r.qty).into(),
        r.avg_px.into(),
        r.realized.into(),
    ]
}

pub fn read_position(n: &Names<'_>, c: &mut Cursor<'_>) -> Read<PositionRow> {
    let (at, account, i) = (c.time()?, n.read_account(c)?, n.read_instrument(c)?);
    let (leg, qty) = (c.word()?, c.qty(i)?);
    Ok(PositionRow { at, account, instrument: i.id, leg, qty, avg_px: c.opt_decimal()?, realized: c.decimal()? })
}

pub fn funding<'a>(n: &Names<'a>, r: &FundingRow) -> Vec<Cell<'a>> {
    let symbol = n.instrument(r.instrument).symbol.as_str();
    vec![r.at.into(), n.account(r.account).into(), symbol.into(), r.amount.into(), r.currency.to_string().into()]
}

pub fn read_funding(n: &Names<'_>, c: &mut Cursor<'_>) -> Read<FundingRow> {
    let (at, account, i) = (c.time()?, n.read_account(c)?, n.read_instrument(c)?);
    Ok(FundingRow { at, account, instrument: i.id, amount: c.decimal()?, currency: c.currency()? })
}

pub fn trade<'a>(n: &Names<'a>, r: &TradeRow, excursion: Option<Excursion>) -> Vec<Cell<'a>> {
    let i = n.instrument(r.instrument);
    vec![
        n.account(r.account).into(),
        n.strategy(r.strategy).into(),
        i.symbol.as_str().into(),
        word(r.leg).into(),
        word(r.side).into(),
        r.entry_at.into(),
        r.exit_at.into(),
        i.qty_decimal(r.qty).into(),
        r.entry_px.into(),
        r.exit_px.into(),
        r.gross.into(),
        r.fees.into(),
        r.funding.into(),
        r.net.into(),
        i.settle().to_string().into(),
        (r.exit_at - r.entry_at).as_secs_f64().into(),
        r.exit_order.map(|id| id.to_string()).into(),
        excursion.map(|e| e.mae).into(),
        excursion.map(|e| e.mfe).into(),
    ]
}

pub fn read_trade(n: &Names<'_>, c: &mut Cursor<'_>) -> Read<TradeRow> {
    let (account, strategy, i) = (n.read_account(c)?, n.read_strategy(c)?, n.read_instrument(c)?);
    let mut trade = TradeRow {
        account,
        strategy,
        instrument: i.id,
        leg: c.word()?,
        side: c.word()?,
        entry_at: c.time()?,
        exit_at: c.time()?,
        qty: c.qty(i)?,
        entry_px: c.decimal()?,
        exit_px: c.decimal()?,
        gross: c.decimal()?,
        fees: c.decimal()?,
        funding: c.decimal()?,
        net: c.decimal()?,
        exit_order: None,
    };
    // Currency and duration follow from the rest.
    c.skip()?;
    c.skip()?;
    trade.exit_order = c.opt_order()?;
    Ok(trade)
}

pub fn point<'a>(account: Option<&'a str>, line: &crate::log::EquityLine, p: &EquityPoint) -> Vec<Cell<'a>> {
    vec![
        account.into(),
        line.currency.to_string().into(),
        i64::from(line.bucket.secs()).into(),
        p.at.into(),
        p.open.into(),
        p.high.into(),
        p.low.into(),
        p.close.into(),
        p.fall.into(),
        p.fall_ratio.into(),
        p.exposure.into(),
    ]
}

pub fn read_point(c: &mut Cursor<'_>) -> Read<EquityPoint> {
    Ok(EquityPoint {
        at: c.time()?,
        open: c.decimal()?,
        high: c.decimal()?,
        low: c.decimal()?,
        close: c.decimal()?,
        fall: c.decimal()?,
        fall_ratio: c.float()?,
        exposure: c.opt_decimal()?,
    })
}

pub fn bar<'a>(i: &'a Instrument, b: &Bar) -> Vec<Cell<'a>> {
    vec![
        i.symbol.as_str().into(),
        b.interval.to_string().into(),
        b.open_time.into(),
        i.price_decimal(b.open).into(),
        i.price_decimal(b.high).into(),
        i.price_decimal(b.low).into(),
        i.price_decimal(b.close).into(),
        i.qty_decimal(b.volume).into(),
    ]
}

pub fn read_bar<'a>(n: &Names<'a>, c: &mut Cursor<'_>) -> Read<(&'a Instrument, Bar)> {
    let i = n.read_instrument(c)?;
    let interval = c.text()?.parse()?;
    let bar = Bar {
        interval,
        open_time: c.time()?,
        open: c.price(i)?,
        high: c.price(i)?,
        low: c.price(i)?,
        close: c.price(i)?,
        volume: c.qty(i)?,
    };
    Ok((i, bar))
}
