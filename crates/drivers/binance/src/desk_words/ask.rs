//! Settings, and the lists that the safety net asks for.
//! Never: takes a list that leaves out what it must have for a flat account.

use super::{BinanceDesk, Failure, by};
use crate::account::{key_permissions, read_key_permissions};
use crate::decode::DecodeError;
use crate::orders::OrderRef;
use crate::request::Call;
use ctos_link::desk::{BalanceRow, OpenOrder, PositionRow, Trouble, Wire};
use ctos_link::gateway::Answer;
use ctos_link::reconcile::Subject;
use ctos_types::{InstrumentId, UnixNanos};

const NO_SUCH_SYMBOL: i64 = -1121;

/// What one of the settings' requests is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Key,
    State,
    Leverage(InstrumentId),
}

fn unread(e: DecodeError) -> Trouble {
    Trouble::passing(e.to_string())
}

fn wrong(why: impl Into<String>, hint: impl Into<String>) -> Trouble {
    Trouble { why: why.into(), hint: Some(hint.into()), pause: Default::default() }
}

impl BinanceDesk {
    pub(super) fn ask_settings(&mut self) -> Vec<Wire> {
        self.settings.clear();
        let mut wires = Vec::new();
        if let Some(route) = &self.config.key_route {
            self.settings.push(Setting::Key);
            wires.push(by(route, key_permissions()));
        }
        self.settings.push(Setting::State);
        wires.push(self.wire(self.desk.state()));
        wires
    }

    pub(super) fn read_setting(&mut self, part: usize, answer: &Answer<'_>) -> Result<Vec<Wire>, Trouble> {
        let body = self.asked(answer)?;
        match self.settings[part] {
            Setting::Key => {
                let key = read_key_permissions(body).map_err(unread)?;
                match key.refusal(self.config.profile) {
                    Some((why, hint)) => Err(wrong(why, hint)),
                    None => Ok(Vec::new()),
                }
            }
            Setting::State => {
                let state = self.desk.read_state(body).map_err(unread)?;
                if !state.can_trade {
                    return Err(wrong("the account may not trade", "look at it on the venue's page"));
                }
                match (state.hedge, self.config.hedge) {
                    (Some(true), false) => {
                        let hint = "set one-way mode on the venue's page, or `hedge: true` for the account";
                        return Err(wrong("the account is in hedge mode", hint));
                    }
                    (Some(false), true) => {
                        let hint = "set hedge mode on the venue's page, or leave `hedge` out of the account's settings";
                        return Err(wrong("the account is in one-way mode", hint));
                    }
                    _ => {}
                }
                let Some(leverage) = self.config.leverage.filter(|_| self.is_usdm()) else { return Ok(Vec::new()) };
                let traded: Vec<InstrumentId> = self.desk.symbols().iter().map(|(_, grid)| grid.id).collect();
                let mut wires = Vec::new();
                for id in traded {
                    let call = self.desk.set_leverage(id, leverage);
                    let call = call.map_err(|e| wrong(e.to_string(), "choose a leverage from 1 to 125"))?;
                    self.settings.push(Setting::Leverage(id));
                    wires.push(self.wire(call));
                }
                Ok(wires)
            }
            Setting::Leverage(id) => {
                let set = self.desk.read_leverage(body).map_err(unread)?;
                if Some(set) == self.config.leverage {
                    return Ok(Vec::new());
                }
                let symbol = &self.config.instruments.get(id).symbol;
                Err(wrong(format!("the leverage of {symbol} is {set}"), "set it on the venue's page"))
            }
        }
    }

    pub(super) fn ask_look(&mut self, subject: Subject) -> Vec<Wire> {
        match subject {
            Subject::OpenOrders => {
                self.conditional.clear();
                let calls = self.open_order_calls();
                calls.into_iter().map(|call| self.wire(call)).collect()
            }
            // The dearer list of all symbols: one that is missing shows.
            Subject::Positions => self.desk.all_positions().into_iter().map(|call| self.wire(call)).collect(),
            Subject::Balances => vec![self.wire(self.desk.balances())],
        }
    }

    /// Symbol by symbol while that is cheaper than everything at once.
    fn open_order_calls(&self) -> Vec<Call> {
        let of = |id: Option<InstrumentId>| {
            let plain = self.desk.open_orders(id).ok();
            let conditional = self.desk.open_conditional_orders(id).ok().flatten();
            plain.into_iter().chain(conditional).collect::<Vec<Call>>()
        };
        let all = of(None);
        let each: Vec<Call> = self.desk.symbols().iter().flat_map(|(_, grid)| of(Some(grid.id))).collect();
        let weight = |calls: &[Call]| calls.iter().map(|c| c.cost.weight + c.cost.uid_weight).sum::<u32>();
        if weight(&each) < weight(&all) { each } else { all }
    }

    pub(super) fn read_open(
        &mut self,
        now: UnixNanos,
        answer: &Answer<'_>,
        out: &mut Vec<OpenOrder>,
    ) -> Result<(), Trouble> {
        let body = match self.body(answer) {
            // Asked symbol by symbol, and the venue has this one no more: nothing of it can be open.
            Err(Failure::Refused(reply)) if reply.code == NO_SUCH_SYMBOL => return Ok(()),
            read => read.map_err(Failure::trouble)?,
        };
        let list = self.desk.read_orders_known(body).map_err(unread)?;
        for order in list {
            if order.conditional {
                self.conditional.insert(order.venue_order_id);
            }
            out.extend(self.orders.listed(now, &order));
        }
        Ok(())
    }

    pub(super) fn ask_cancel_stray(&mut self, order: &OpenOrder) -> Option<Wire> {
        let id = order.cl_ord_id?;
        let venue_order_id = order.view.venue_order_id;
        let conditional = self.conditional.contains(&venue_order_id);
        let at = OrderRef { client: id.into(), venue_order_id: Some(venue_order_id), conditional };
        self.desk.cancel(order.instrument, &at).ok().map(|call| self.wire(call))
    }

    pub(super) fn read_position_list(
        &mut self,
        answer: &Answer<'_>,
        out: &mut Vec<PositionRow>,
    ) -> Result<(), Trouble> {
        let body = self.asked(answer)?;
        let (list, _) = self.desk.read_positions(body).map_err(unread)?;
        // The list has flat symbols too: one that is not there is not known, it is not flat.
        for (symbol, grid) in self.desk.symbols().iter() {
            if !list.iter().any(|p| p.instrument == grid.id) {
                return Err(Trouble::passing(format!("the venue's positions leave out {symbol}")));
            }
        }
        out.extend(list.into_iter().map(|p| PositionRow {
            instrument: p.instrument,
            leg: p.leg,
            qty: p.qty,
            entry_px: Some(p.entry_px).filter(|px| px.is_positive()),
            entry_unit: p.entry_unit,
        }));
        Ok(())
    }

    pub(super) fn read_balance_list(&mut self, answer: &Answer<'_>, out: &mut Vec<BalanceRow>) -> Result<(), Trouble> {
        let body = self.asked(answer)?;
        let list = self.desk.read_balances(body).map_err(unread)?;
        self.debts.listed(&list);
        let zero = |b: &ctos_types::Balance| b == &ctos_types::Balance::default();
        let rows = list.iter().map(|b| BalanceRow { currency: b.currency, balance: b.balance });
        out.extend(rows.filter(|row| !zero(&row.balance)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk_words::BinanceDeskConfig;
    use crate::instruments::builtin_all;
    use crate::limits::BinanceWords;
    use crate::{Credentials, Hosts, Profile};
    use ctos_types::{AccountId, Instruments, Nanos};
    use std::sync::Arc;

    #[test]
    fn a_symbol_that_is_gone_has_no_open_orders() {
        let profile = Profile::Spot;
        let hosts = Hosts { rest: "https://x".into(), streams: "wss://x".into(), ws_api: "wss://x/ws".into() };
        let mut words = BinanceWords::new();
        let base = words.base(profile.product(), &hosts.rest);
        let keys = Arc::new(Credentials::new("key", "secret").unwrap());
        let route = words.account("test", profile, base, keys, None);
        let instruments = Instruments::new(builtin_all().to_vec()).unwrap();
        let mut desk = BinanceDesk::new(BinanceDeskConfig {
            name: "test".into(),
            account: AccountId(0),
            profile,
            hedge: false,
            borrows: false,
            leverage: None,
            hosts,
            route,
            key_route: None,
            instruments,
            dead_man: false,
            visibility: Nanos::from_secs(1),
        });
        let now = UnixNanos::from_secs(1_800_000_000);
        let mut list = Vec::new();
        let mut read = |body: &str| {
            let (sent, received) = (now, now);
            let answer = Answer::Http { status: 400, headers: &[], body: body.as_bytes(), sent, received };
            desk.read_open(now, &answer, &mut list).is_ok()
        };
        // Others' questions, and with them new risk, would wait for ever for an answer that cannot come.
        assert!(read(r#"{"code":-1121,"msg":"Invalid symbol."}"#));
        assert!(!read(r#"{"code":-1102,"msg":"Mandatory parameter 'symbol' was not sent."}"#));
        assert!(list.is_empty());
    }
}
