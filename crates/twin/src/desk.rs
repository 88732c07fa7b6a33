//! Between endpoints and the exchange: orders become engine commands, refusals come back as reasons.
//! Never: wire words.

use crate::config::Product;
use crate::orders::{Order, OrderType, Status, Tif};
use crate::twin::Twin;
use ctos_types::{
    AmendOrder, CancelOrder, ClientOrderId, Command, InstanceTag, InstrumentId, NewOrder, OrderKind, OrderQty, Price,
    Qty, RejectReason, Request, TimeInForce, UnixNanos,
};

pub(crate) fn engine_id(seq: u64) -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(0), seq }
}

impl Twin {
    fn command(&mut self, command: &Command) -> Option<(Request, RejectReason)> {
        let mut batch = Vec::new();
        self.venue.on_command(self.now, command, &mut batch);
        if let Command::Place(o) = command {
            self.dirty.insert(o.instrument);
        }
        let refused = self.absorb(batch, None);
        self.settle();
        refused
    }

    /// Enters an order and sends it to the engine. Errors: the engine's reason; then the order never was.
    pub(crate) fn submit(&mut self, order: Order) -> Result<usize, RejectReason> {
        let (kind, limit) = (order.kind, engine_kind(&order));
        self.submit_as(order, limit, kind == OrderType::Market)
    }

    /// The same with another engine order behind it: a market order that is bounded, for one.
    pub(crate) fn submit_as(&mut self, order: Order, kind: OrderKind, at_once: bool) -> Result<usize, RejectReason> {
        let n = self.orders.enter(order);
        let request = self.new_order(n, kind, at_once);
        match self.command(&Command::Place(request)) {
            Some((Request::Place, reason)) => {
                // Whatever else happened in the meantime belongs to orders entered before.
                self.orders.take_back(n);
                Err(reason)
            }
            _ => Ok(n),
        }
    }

    fn new_order(&self, n: usize, kind: OrderKind, at_once: bool) -> NewOrder {
        let o = &self.orders.list[n];
        let tif = match o.tif {
            _ if at_once => TimeInForce::Ioc,
            Tif::Gtc | Tif::Gtx => TimeInForce::Gtc,
            Tif::Ioc => TimeInForce::Ioc,
            Tif::Fok => TimeInForce::Fok,
            Tif::Gtd => TimeInForce::Gtd(UnixNanos::from_millis(o.gtd_ms)),
        };
        NewOrder {
            tif,
            post_only: o.kind == OrderType::LimitMaker || o.tif == Tif::Gtx,
            reduce_only: o.reduce_only,
            leg: o.leg,
            ..NewOrder::new(
                self.users.engine(o.user),
                engine_id(o.engine),
                o.instrument,
                o.side,
                kind,
                OrderQty::Size(Qty(o.qty.0 - o.cum.0)),
            )
        }
    }

    /// Cancels an open order; its owner is told under the cancel's name. False when it is not open.
    pub(crate) fn cancel(&mut self, n: usize, name: Option<String>) -> bool {
        let o = &mut self.orders.list[n];
        if !o.status.is_open() {
            return false;
        }
        o.other_id = name;
        let cancel = CancelOrder {
            account: self.users.engine(o.user),
            cl_ord_id: engine_id(o.engine),
            instrument: o.instrument,
        };
        self.command(&Command::Cancel(cancel)).is_none()
    }

    /// Changes price or total size. Errors: the engine's reason; the order stands as it was.
    pub(crate) fn amend(&mut self, n: usize, price: Option<Price>, qty: Option<Qty>) -> Result<(), RejectReason> {
        let o = &self.orders.list[n];
        let amend = AmendOrder {
            account: self.users.engine(o.user),
            cl_ord_id: engine_id(o.engine),
            instrument: o.instrument,
            price,
            qty,
        };
        match self.command(&Command::Amend(amend)) {
            Some((_, reason)) => Err(reason),
            None => Ok(()),
        }
    }

    /// Every open order of an account on a symbol, conditional ones apart.
    pub(crate) fn cancel_everything(&mut self, user: usize, id: InstrumentId) -> Vec<usize> {
        let open = self.orders.open_of(user, Some(id));
        for n in &open {
            let name = (self.product == Product::Spot).then(|| self.server_id());
            self.cancel(*n, name);
        }
        open
    }

    /// An order that could only be filled at once and in full, and could not.
    pub(crate) fn enter_killed(&mut self, order: Order) -> usize {
        let now = self.now_ms();
        let n = self.orders.enter(Order { working_ms: now, ..order });
        self.tell_order(n, "NEW", None);
        self.orders.list[n].expiry = "2";
        self.orders.set_status(n, Status::Expired, now);
        self.tell_order(n, "EXPIRED", None);
        n
    }

    /// A client id as the server makes them.
    pub(crate) fn server_id(&mut self) -> String {
        crate::config::random_text(&mut self.rng, 22)
    }
}

fn engine_kind(o: &Order) -> OrderKind {
    let (price, trigger) = (o.price, o.stop);
    let activation = (o.stop.0 > 0).then_some(o.stop);
    let trailing = OrderKind::TrailingStop { callback_bps: o.trailing_delta as u32, activation };
    match o.kind {
        OrderType::Limit | OrderType::LimitMaker => OrderKind::Limit { price },
        OrderType::Market | OrderType::Liquidation => OrderKind::Market,
        OrderType::StopLoss | OrderType::TakeProfit if o.trailing_delta > 0 => trailing,
        OrderType::StopLoss => OrderKind::StopMarket { trigger },
        OrderType::StopLossLimit => OrderKind::StopLimit { trigger, price },
        OrderType::TakeProfit => OrderKind::TakeProfitMarket { trigger },
        OrderType::TakeProfitLimit => OrderKind::TakeProfitLimit { trigger, price },
    }
}
