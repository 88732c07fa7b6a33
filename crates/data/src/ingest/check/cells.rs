//! Single cells: from a value to the number in its column, or what is wrong with it.
//! Never: what a neighbour holds.

use super::{Checked, Row};
use crate::defect::DefectKind;
use crate::number::Number;
use crate::schema::{NULL, book};
use ctos_types::{Side, UnixNanos};

/// What is wrong with a value, with the value as an example.
pub type Wrong = (DefectKind, String);

/// The one row of a book that became unknown.
pub fn gap_row(mut row: Row, out: &mut Checked) {
    (row[book::UPDATE_ID], row[book::ACTION], row[book::LAST]) = (0, book::GAP, 1);
    (row[book::SIDE], row[book::PRICE], row[book::QTY]) = (NULL, NULL, NULL);
    out.rows.push(row);
}

pub fn nanos(time: Option<UnixNanos>) -> i64 {
    time.map_or(NULL, |t| t.0)
}

pub fn side_cell(side: Side) -> i64 {
    i64::from(side == Side::Sell)
}

pub fn id_cell(id: u64) -> Result<i64, Wrong> {
    i64::try_from(id).map_err(|_| (DefectKind::BadNumber, format!("id {id}")))
}

pub fn positive(name: &str, px: Number) -> Result<(), Wrong> {
    if px.signum() > 0 { Ok(()) } else { Err((DefectKind::NonPositivePrice, format!("{name} {px}"))) }
}

pub fn not_negative(name: &str, qty: Number) -> Result<(), Wrong> {
    if qty.signum() >= 0 { Ok(()) } else { Err((DefectKind::BadQty, format!("{name} {qty}"))) }
}
