//! Live trading as a user has it: the real binary against `ctos twin binance` in another process.
//! Never: a real exchange, a key of anybody. The venue's time runs faster than ours, and ours with it.

mod trader;
mod twin;

mod accounts;
mod confirm;
mod foreign;
mod halt;
mod hedge;
mod hour;
mod hurried;
mod margin;
mod refused;
mod spot;
mod usdm;
mod watchdog;
