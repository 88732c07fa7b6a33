//! The columns of each table, in their order: name, kind, and whether a cell may be empty. A table of names.
//! Never: changes without a new format of the folder.

use super::table::{Column, Kind};

pub const FILLS: &[Column] = &[
    ("seq", Kind::Int, false),
    ("at", Kind::Time, false),
    ("account", Kind::Text, false),
    ("strategy", Kind::Text, false),
    ("symbol", Kind::Text, false),
    ("order", Kind::Text, true),
    ("side", Kind::Text, false),
    ("leg", Kind::Text, false),
    ("price", Kind::Decimal, false),
    ("qty", Kind::Decimal, false),
    ("liquidity", Kind::Text, false),
    ("fee", Kind::Decimal, false),
    ("fee_currency", Kind::Text, false),
    ("fee_value", Kind::Decimal, true),
    ("realized", Kind::Decimal, false),
    ("mid_at_send", Kind::Decimal, true),
];
pub const POSITIONS: &[Column] = &[
    ("at", Kind::Time, false),
    ("account", Kind::Text, false),
    ("symbol", Kind::Text, false),
    ("leg", Kind::Text, false),
    ("qty", Kind::Decimal, false),
    ("avg_px", Kind::Decimal, true),
    ("realized", Kind::Decimal, false),
];
pub const FUNDING: &[Column] = &[
    ("at", Kind::Time, false),
    ("account", Kind::Text, false),
    ("symbol", Kind::Text, false),
    ("amount", Kind::Decimal, false),
    ("currency", Kind::Text, false),
];
pub const TRADES: &[Column] = &[
    ("account", Kind::Text, false),
    ("strategy", Kind::Text, false),
    ("symbol", Kind::Text, false),
    ("leg", Kind::Text, false),
    ("side", Kind::Text, false),
    ("entry_at", Kind::Time, false),
    ("exit_at", Kind::Time, false),
    ("qty", Kind::Decimal, false),
    ("entry_px", Kind::Decimal, false),
    ("exit_px", Kind::Decimal, false),
    ("gross", Kind::Decimal, false),
    ("fees", Kind::Decimal, false),
    ("funding", Kind::Decimal, false),
    ("net", Kind::Decimal, false),
    ("currency", Kind::Text, false),
    ("held_s", Kind::Float, false),
    ("exit_order", Kind::Text, true),
    ("mae", Kind::Decimal, true),
    ("mfe", Kind::Decimal, true),
];
pub const EQUITY: &[Column] = &[
    ("account", Kind::Text, true),
    ("currency", Kind::Text, false),
    ("bucket_s", Kind::Int, false),
    ("at", Kind::Time, false),
    ("open", Kind::Decimal, false),
    ("high", Kind::Decimal, false),
    ("low", Kind::Decimal, false),
    ("close", Kind::Decimal, false),
    ("fall", Kind::Decimal, false),
    ("fall_ratio", Kind::Float, false),
    ("exposure", Kind::Decimal, true),
];
pub const PRICES: &[Column] = &[
    ("symbol", Kind::Text, false),
    ("interval", Kind::Text, false),
    ("open_time", Kind::Time, false),
    ("open", Kind::Decimal, false),
    ("high", Kind::Decimal, false),
    ("low", Kind::Decimal, false),
    ("close", Kind::Decimal, false),
    ("volume", Kind::Decimal, false),
];
pub const PLOTS: &[Column] = &[
    ("strategy", Kind::Text, false),
    ("symbol", Kind::Text, false),
    ("name", Kind::Text, false),
    ("at", Kind::Time, false),
    ("value", Kind::Float, false),
];
