//! The instrument, limits and account that measurements of the kernel share.

use ctos_kernel::{AccountSpec, Borrow, Kernel, KernelConfig, Limits, ProcessSpec, Strategy};
use ctos_types::{
    AccountEvent, AccountId, Balance, Currency, Decimal, InstanceTag, Instrument, InstrumentId, InstrumentKind,
    Instruments, Nanos, Price, Qty, Settlement, Symbol,
};
use std::collections::BTreeMap;

pub const BTC: InstrumentId = InstrumentId(0);
pub const ACCOUNT: AccountId = AccountId(0);
pub const TAG: InstanceTag = InstanceTag(1);

pub fn usdt() -> Currency {
    Currency::cut("USDT")
}

/// A linear perpetual as a large venue has it: tick 0.1, lot 0.001.
pub fn instruments() -> Instruments {
    let instrument = Instrument {
        id: BTC,
        version: 1,
        symbol: Symbol::new("sim:BTC-USDT-PERP"),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::cut("BTC"),
        quote: usdt(),
        price_decimals: 1,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::new(1, 2),
        maintenance_margin: Decimal::new(5, 3),
        maker_fee: Decimal::new(2, 4),
        taker_fee: Decimal::new(5, 4),
    };
    Instruments::new(vec![instrument]).expect("a valid definition")
}

/// Every gate is asked; no limit is reached by what the measurements do.
pub fn limits() -> Limits {
    let int = |n| Some(Decimal::from_int(n));
    Limits {
        price_band_bps: int(500),
        stale_after: Some(Nanos::from_secs(10)),
        min_qty: Some(Decimal::ZERO),
        max_qty: int(1_000_000),
        min_notional: Some(Decimal::ZERO),
        max_notional: int(1_000_000),
        max_position_notional: int(1_000_000_000),
        max_total_notional: int(1_000_000_000),
        max_leverage: int(5),
        max_open_orders: Some(100_000),
        max_orders_per_sec: Some(1_000_000),
        max_orders_per_min: Some(1_000_000),
        max_cancel_ratio: int(20),
        cancel_ratio_min: 50,
        self_cross: true,
        duplicate_window: Some(Nanos::from_millis(100)),
        daily_loss: int(1_000_000_000),
        daily_loss_pct: None,
        max_drawdown_pct: int(99),
    }
}

/// A kernel with one account and these strategies, each under [`limits`].
pub fn kernel(strategies: Vec<Box<dyn Strategy>>) -> Kernel {
    kernel_of(instruments(), strategies)
}

/// The same for other instruments.
pub fn kernel_of(instruments: Instruments, strategies: Vec<Box<dyn Strategy>>) -> Kernel {
    let account = AccountSpec {
        id: ACCOUNT,
        name: "paper".into(),
        reporting: usdt(),
        leverage: Decimal::from_int(5),
        borrow: Borrow::Never,
        limits: limits(),
    };
    let process = |(n, strategy): (usize, Box<dyn Strategy>)| ProcessSpec {
        label: format!("strategy{n}"),
        account: ACCOUNT,
        limits: limits(),
        strategy,
    };
    Kernel::new(KernelConfig {
        instruments,
        accounts: vec![account],
        processes: strategies.into_iter().enumerate().map(process).collect(),
        tag: TAG,
        latches: BTreeMap::new(),
    })
}

/// What the account begins with: ten million.
pub fn money() -> Decimal {
    Decimal::from_int(10_000_000)
}

/// The input that declares it.
pub fn opening_balance() -> AccountEvent {
    let balance = Balance { total: money(), ..Balance::default() };
    AccountEvent::Balance { account: ACCOUNT, currency: usdt(), balance }
}
