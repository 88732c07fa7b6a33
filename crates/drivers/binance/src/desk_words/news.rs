//! User events in the desk's words.
//! Never: passes on the end of an order that is being replaced, before it is certain that nothing takes its place.

use super::BinanceDesk;
use super::order::Step;
use crate::orders::{Owner, VenueClientId};
use crate::profile::Profile;
use crate::user::{OrderUpdate, UserDecoder, UserEvent, UserFrame};
use ctos_link::desk::Word;
use ctos_link::gateway::Notice;
use ctos_link::tracker::{News, NewsBody};
use ctos_types::{AccountEvent, CancelReason, ClientOrderId, Qty, ReportBody};

impl BinanceDesk {
    pub(super) fn read_user_frame(&mut self, text: &str, out: &mut Vec<Word>) -> Result<(), String> {
        let frame = UserDecoder::new(&self.desk).decode(text.as_bytes()).map_err(|e| e.to_string())?;
        let UserFrame::Events(events) = frame else { return Ok(()) };
        for event in events {
            self.event(event, out);
        }
        Ok(())
    }

    fn event(&mut self, event: UserEvent, out: &mut Vec<Word>) {
        match event {
            UserEvent::Order(update) => self.order_update(&update, out),
            UserEvent::EarlyFill(early) => out.push(Word::Early {
                instrument: early.instrument,
                exec_id: early.exec_id,
                cl_ord_id: self.whose(&early.owner).map(|c| c.id),
                venue_order_id: early.venue_order_id,
            }),
            UserEvent::Account { event, ts_event } => out.extend(match event {
                AccountEvent::Balance { currency, balance, .. } => Some(Word::Balance { currency, balance, ts_event }),
                AccountEvent::Position { instrument, leg, qty, .. } => Some(Word::Position { instrument, leg, qty }),
                // A loan is told like a deposit: whether it is owned, only the list of balances says.
                AccountEvent::Adjustment { currency, .. } if self.config.profile == Profile::Margin => {
                    Some(Word::BalanceMoved { currency })
                }
                AccountEvent::Adjustment { currency, amount, .. } => Some(Word::Flow { currency, amount, ts_event }),
                _ => None,
            }),
            UserEvent::MarginBalance { currency, .. } => out.push(Word::BalanceMoved { currency }),
            UserEvent::Funding { instrument, amount, currency, ts_event } => {
                out.push(Word::Funding { instrument, amount, currency, ts_event });
            }
            UserEvent::Leverage { instrument, leverage } => {
                let symbol = &self.config.instruments.get(instrument).symbol;
                let text = format!("the leverage of {symbol} was set to {leverage}");
                let ours = self.config.leverage.is_none_or(|wanted| wanted == leverage);
                out.push(Word::Tell(if ours { Notice::Info(text) } else { Notice::Warning(text) }));
            }
            UserEvent::MultiAssets(on) => {
                let what = format!("multi-assets mode was switched {}", if on { "on" } else { "off" });
                out.push(Word::Tell(Notice::Warning(what)));
            }
            UserEvent::MarginCall { instruments, .. } => {
                let symbols: Vec<String> =
                    instruments.iter().map(|id| self.config.instruments.get(*id).symbol.to_string()).collect();
                out.push(Word::Tell(Notice::Alarm {
                    what: format!("positions are close to liquidation: {}", symbols.join(", ")),
                    hint: "add margin, or close something".into(),
                }));
            }
            // The session reads these before.
            UserEvent::Ended(how) => out.push(Word::Doubtful(format!("the user stream ended: {how:?}"))),
            UserEvent::OtherSymbol(_) | UserEvent::Ignored(_) => {}
        }
    }

    fn whose(&self, owner: &Owner) -> Option<VenueClientId> {
        owner.client()
    }

    fn order_update(&mut self, update: &OrderUpdate, out: &mut Vec<Word>) {
        let OrderUpdate { instrument, venue_order_id, ts_event, .. } = *update;
        let client = update.owner.client().or_else(|| self.orders.owner(instrument, venue_order_id));
        let (id, generation) = (client.map(|c| c.id), client.map_or(0, |c| c.generation));
        self.tell_house(update, out);
        if let Some(id) = id {
            if self.swallow(id, generation, update, out) {
                return;
            }
            let child = self.orders.get(id).is_some_and(|n| n.conditional) && !update.conditional;
            match update.child {
                Some(child) => self.orders.set_child(id, instrument, child),
                None if child => self.orders.set_child(id, instrument, venue_order_id),
                None => self.orders.learn(id, generation, instrument, venue_order_id),
            }
        }
        let carried = id.and_then(|id| self.orders.get(id)).and_then(|n| n.carried.get(usize::from(generation)));
        // A generation that is not known yet (an earlier life's): what it fills counts, where it lies is not known.
        let whole = id.is_none_or(|id| self.orders.get(id).is_none_or(|n| !n.recalled)) && carried.is_some();
        let carried = carried.copied().unwrap_or(0);
        let total = (whole || generation == 0).then_some(Qty(update.cum_qty.0 + carried));
        for report in &update.reports {
            let body = match report.body {
                ReportBody::Accepted => NewsBody::Accepted,
                ReportBody::Triggered => NewsBody::Triggered,
                ReportBody::Fill(fill) => NewsBody::Fill { fill, cum_qty: total },
                ReportBody::Amended { price, qty } => {
                    let qty = Qty(qty.0 + carried);
                    if let Some(named) = id.and_then(|id| self.orders.get_mut(id)) {
                        named.set(price, qty);
                    }
                    NewsBody::Amended { price, qty }
                }
                ReportBody::Canceled { reason } => NewsBody::Canceled { reason, cum_qty: total },
                ReportBody::Expired => NewsBody::Expired { cum_qty: total },
                // The venue had it and dropped it at its trigger: no refusal of the request.
                ReportBody::Rejected { .. } if update.conditional => {
                    NewsBody::Canceled { reason: CancelReason::Venue, cum_qty: total }
                }
                ReportBody::Rejected { reason, code, .. } => NewsBody::Rejected { reason, code },
                ReportBody::Unknown { .. } => continue,
            };
            let account = self.config.account;
            out.push(Word::Order(News { account, instrument, cl_ord_id: id, venue_order_id, ts_event, body }));
        }
    }

    /// What the stream tells of an order that is being replaced: the old one's end is not our order's, and the new
    /// one's begin is an amend. `true`: nothing else is to be done with the event.
    fn swallow(&mut self, id: ClientOrderId, generation: u16, update: &OrderUpdate, out: &mut Vec<Word>) -> bool {
        let OrderUpdate { instrument, venue_order_id, ts_event, .. } = *update;
        let account = self.config.account;
        let Some(named) = self.orders.get_mut(id) else { return false };
        let ends = update.reports.iter().find_map(|r| match r.body {
            ReportBody::Canceled { reason } => Some(Some(reason)),
            ReportBody::Expired | ReportBody::Rejected { .. } => Some(None),
            _ => None,
        });
        // Of an earlier life: any of its generations may have a successor. The order is asked about.
        if named.may_have_heir() && named.order.kind.limit_price().is_some() && !self.is_usdm() && ends.is_some() {
            let body = NewsBody::Accepted;
            out.push(Word::Order(News { account, instrument, cl_ord_id: Some(id), venue_order_id, ts_event, body }));
            return true;
        }
        let Some(named) = self.orders.get_mut(id) else { return false };
        let Some(pending) = named.pending else {
            // A late word on an older generation: its end is long known, its fills count.
            return generation < named.generation && ends.is_some();
        };
        if generation == pending.client.generation
            && let Some(carried) = named.carried_over()
        {
            if matches!(ends, Some(None)) && update.cum_qty.0 == 0 {
                // The new order was refused or expired at once: the answer, or a question, tells what is left.
                return true;
            }
            let (price, qty) = (pending.price, pending.qty);
            named.replaced(venue_order_id, carried);
            self.orders.learn(id, generation, instrument, venue_order_id);
            let body = NewsBody::Amended { price, qty };
            out.push(Word::Order(News { account, instrument, cl_ord_id: Some(id), venue_order_id, ts_event, body }));
            // Its own first word is said with that.
            return update.reports.iter().all(|r| r.body == ReportBody::Accepted);
        }
        // The answer to the request, or a question, tells what has come in its place.
        if matches!(ends, Some(Some(_))) && generation == named.generation && pending.step != Step::Ending {
            return true;
        }
        generation < named.generation && ends.is_some()
    }

    /// The venue's own doing on this account.
    fn tell_house(&mut self, update: &OrderUpdate, out: &mut Vec<Word>) {
        let Owner::Foreign(name) = &update.owner else { return };
        let name = name.as_str();
        let (liquidation, adl) = (name.starts_with("autoclose-"), name.starts_with("adl_autoclose"));
        if !(liquidation || adl) || !self.told.insert(update.venue_order_id) {
            return;
        }
        if self.told.len() > 256 {
            self.told.pop_first();
        }
        if liquidation {
            return out.push(Word::Liquidated);
        }
        let symbol = &self.config.instruments.get(update.instrument).symbol;
        out.push(Word::Tell(Notice::Alarm {
            what: format!("the venue closes a position in {symbol} by auto-deleveraging"),
            hint: "the position is taken over as the venue leaves it; strategies see it as somebody else's trade"
                .into(),
        }));
    }
}
