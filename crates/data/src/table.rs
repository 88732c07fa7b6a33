//! Rows of one kind in memory, column by column, every value an integer.
//! Never: a float, or a number that lost places: scales only grow.

use crate::number::{MAX_DIGITS, Number};
use crate::record::Kind;
use crate::schema::{self, Column, ColumnType, NULL, TS_EVENT, TS_RECV};
use ctos_types::decimal::pow10;
use std::cmp::Ordering;

/// Two numbers of one column need more than 18 digits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotFit {
    pub column: &'static str,
}

/// Rows of one kind. All columns are of one length.
#[derive(Clone, Debug)]
pub struct Table {
    kind: Kind,
    columns: Vec<Vec<i64>>,
    /// Decimal places of each column; 0 where it holds no decimals.
    scales: Vec<u8>,
    /// What `Text` columns point into.
    texts: Vec<String>,
    /// Where each row stood in its source. Empty where nobody asks.
    places: Vec<u64>,
}

impl Table {
    pub fn new(kind: Kind) -> Table {
        let n = schema::columns(kind).len();
        Table { kind, columns: vec![Vec::new(); n], scales: vec![0; n], texts: Vec::new(), places: Vec::new() }
    }

    /// An empty one with the same scales.
    pub fn like(&self) -> Table {
        Table { scales: self.scales.clone(), ..Table::new(self.kind) }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn schema(&self) -> &'static [Column] {
        schema::columns(self.kind)
    }

    pub fn len(&self) -> usize {
        self.columns[0].len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns[0].is_empty()
    }

    pub fn scales(&self) -> &[u8] {
        &self.scales
    }

    pub fn column(&self, at: usize) -> &[i64] {
        &self.columns[at]
    }

    pub(crate) fn columns_mut(&mut self) -> &mut [Vec<i64>] {
        &mut self.columns
    }

    pub fn text(&self, cell: i64) -> &str {
        usize::try_from(cell).ok().and_then(|at| self.texts.get(at)).map_or("", String::as_str)
    }

    /// The cell for a text.
    pub fn intern(&mut self, text: &str) -> i64 {
        let at = self.texts.iter().position(|t| t == text).unwrap_or_else(|| {
            self.texts.push(text.into());
            self.texts.len() - 1
        });
        at as i64
    }

    pub fn places(&self) -> &[u64] {
        &self.places
    }

    pub fn place(&self, row: usize) -> u64 {
        self.places.get(row).copied().unwrap_or(0)
    }

    pub(crate) fn push_place(&mut self, place: u64) {
        self.places.push(place);
    }

    pub(crate) fn set_places(&mut self, places: Vec<u64>) {
        self.places = places;
    }

    /// When the row became known: receive time, else the venue's (of a bar: its open time).
    pub fn time(&self, row: usize) -> i64 {
        match (self.kind, self.columns[TS_RECV][row]) {
            (Kind::Bars(_), _) | (_, NULL) => self.columns[TS_EVENT][row],
            (_, recv) => recv,
        }
    }

    /// Whether this row ends what belongs together: always, but for the levels of one book update.
    pub fn ends_unit(&self, row: usize) -> bool {
        self.kind != Kind::Book || self.columns[schema::book::LAST][row] != 0
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        self.len() * (self.columns.len() + 1) * 8
    }

    /// The cell of `number` in a decimal column, whose scale grows if it must.
    ///
    /// # Errors
    /// The column cannot hold it beside what it has.
    pub fn decimal_cell(&mut self, column: usize, number: Number) -> Result<i64, DoesNotFit> {
        if number.places() > self.scales[column] {
            self.raise(column, number.places())?;
        }
        number.at_scale(self.scales[column]).ok_or(DoesNotFit { column: self.schema()[column].name })
    }

    /// Raises the scale of a decimal column, exactly.
    ///
    /// # Errors
    /// A value would exceed 18 digits; nothing is changed then.
    pub fn raise(&mut self, column: usize, scale: u8) -> Result<(), DoesNotFit> {
        let Some(up) = scale.checked_sub(self.scales[column]).filter(|up| *up > 0) else { return Ok(()) };
        let fail = DoesNotFit { column: self.schema()[column].name };
        let factor = i64::try_from(pow10(up.min(MAX_DIGITS))).map_err(|_| fail)?;
        let limit = pow10(MAX_DIGITS) as i64 / factor;
        let values = &mut self.columns[column];
        if scale > MAX_DIGITS || values.iter().any(|v| *v != NULL && v.abs() >= limit) {
            return Err(fail);
        }
        values.iter_mut().filter(|v| **v != NULL).for_each(|v| *v *= factor);
        self.scales[column] = scale;
        Ok(())
    }

    /// Raises every decimal column to at least these scales.
    pub fn raise_all(&mut self, scales: &[u8]) -> Result<(), DoesNotFit> {
        (0..self.columns.len()).try_for_each(|column| self.raise(column, scales[column]))
    }

    /// Appends a row of cells that are at this table's scales.
    pub fn push(&mut self, cells: &[i64]) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(*cell));
    }

    /// Appends rows `from..to` of another table of the same kind and scales, with their places.
    pub fn extend(&mut self, other: &Table, from: usize, to: usize) {
        debug_assert_eq!(self.scales, other.scales);
        let text_map: Vec<i64> = other.texts.iter().map(|t| self.intern(t)).collect();
        for (at, (mine, theirs)) in self.columns.iter_mut().zip(&other.columns).enumerate() {
            if schema::columns(self.kind)[at].kind == ColumnType::Text {
                mine.extend(theirs[from..to].iter().map(|c| text_map[*c as usize]));
            } else {
                mine.extend_from_slice(&theirs[from..to]);
            }
        }
        let have = other.places.len() == other.len();
        self.places.extend((from..to).map(|row| if have { other.places[row] } else { 0 }));
    }

    /// Removes all rows, keeping scales and storage.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Vec::clear);
        self.places.clear();
        self.texts.clear();
    }

    /// Whether rows come in order of time.
    pub fn is_sorted(&self) -> bool {
        (1..self.len()).all(|row| self.time(row - 1) <= self.time(row))
    }

    /// Puts the rows in order of time; what is of one time keeps its order, and a book update stays together.
    pub fn sort(&mut self) {
        if self.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|row| self.time(*row));
        self.columns.iter_mut().for_each(|column| *column = order.iter().map(|row| column[*row]).collect());
        if !self.places.is_empty() {
            self.places = order.iter().map(|row| self.places[*row]).collect();
        }
    }

    /// Keeps the rows for which `keep` is true.
    pub fn retain(&mut self, keep: &[bool]) {
        let filter = |column: &mut Vec<i64>| {
            let mut row = 0;
            column.retain(|_| {
                row += 1;
                keep[row - 1]
            });
        };
        self.columns.iter_mut().for_each(filter);
        let mut row = 0;
        self.places.retain(|_| {
            row += 1;
            keep[row - 1]
        });
    }

    /// The number in a decimal column.
    pub fn number(&self, row: usize, column: usize) -> Option<Number> {
        match self.columns[column][row] {
            NULL => None,
            cell => Number::new(cell, self.scales[column]).ok(),
        }
    }

    /// Whether rows of two tables (of equal scales) hold the same values, times of receipt aside.
    pub fn same_values(&self, row: usize, other: &Table, other_row: usize) -> bool {
        (0..self.columns.len()).filter(|c| *c != TS_RECV).all(|c| {
            let (a, b) = (self.columns[c][row], other.columns[c][other_row]);
            match self.schema()[c].kind {
                ColumnType::Text => self.text(a) == other.text(b),
                _ => a == b,
            }
        })
    }

    /// The row for people: `name=value` of what is there.
    pub fn describe(&self, row: usize) -> String {
        let cell =
            |(at, column): (usize, &Column)| self.cell_text(row, at).map(|text| format!("{}={text}", column.name));
        let cells: Vec<String> = self.schema().iter().enumerate().filter_map(cell).collect();
        cells.join(" ")
    }

    /// One value as exact text; `None` for null.
    pub fn cell_text(&self, row: usize, column: usize) -> Option<String> {
        let cell = self.columns[column][row];
        if cell == NULL {
            return None;
        }
        Some(match self.schema()[column].kind {
            ColumnType::Time => ctos_types::UnixNanos(cell).to_string(),
            ColumnType::Decimal => ctos_types::instrument::mantissa_text(cell, self.scales[column]),
            ColumnType::Int => cell.to_string(),
            ColumnType::Bool => (cell != 0).to_string(),
            ColumnType::Word(words) => words.get(cell as usize).copied().unwrap_or("?").to_string(),
            ColumnType::Text => self.text(cell).to_string(),
        })
    }
}

/// The larger of each pair of scales.
pub fn max_scales(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| *a.max(b)).collect()
}

/// Order of rows of two tables.
pub fn by_time(a: &Table, row: usize, b: &Table, other: usize) -> Ordering {
    a.time(row).cmp(&b.time(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trades(rows: &[(i64, &str)]) -> Table {
        let mut table = Table::new(Kind::Trades);
        for (n, (time, price)) in rows.iter().enumerate() {
            let price = table.decimal_cell(4, Number::parse(price).unwrap()).unwrap();
            table.push(&[*time, NULL, n as i64 + 1, 0, price, 1]);
            table.push_place(n as u64 + 1);
        }
        table
    }

    #[test]
    fn scales_grow_and_values_stay() {
        let table = trades(&[(1, "10"), (2, "10.25"), (3, "0.001")]);
        assert_eq!(table.scales()[4], 3);
        assert_eq!(table.column(4), [10_000, 10_250, 1]);
        assert_eq!(table.cell_text(1, 4).unwrap(), "10.250");
        let mut full = trades(&[(1, "999999999999999999")]);
        assert_eq!(full.decimal_cell(4, Number::parse("0.1").unwrap()), Err(DoesNotFit { column: "price" }));
        assert_eq!((full.scales()[4], full.column(4)[0]), (0, 999_999_999_999_999_999), "unchanged");
    }

    #[test]
    fn sorting_keeps_the_order_within_a_moment() {
        let mut table = trades(&[(5, "1"), (3, "2"), (5, "3"), (3, "4")]);
        table.sort();
        assert_eq!(table.column(2), [2, 4, 1, 3]);
        assert_eq!(table.places(), [2, 4, 1, 3]);
        table.retain(&[true, false, false, true]);
        assert_eq!((table.column(2), table.places()), (&[2i64, 3][..], &[2u64, 3][..]));
    }
}
