//! Finds rows that are there twice, among rows in order of time.
//! Never: decides by nearness: rows are the same by a venue's id, by their moment, or because all values agree.

use crate::defect::{DefectKind, Defects};
use crate::schema::{Identity, book, identity};
use crate::table::Table;
use std::collections::HashMap;

/// Rows that belong together: one row, or all levels of one book update.
#[derive(Clone, Copy)]
struct Unit {
    from: usize,
    to: usize,
    /// `None`: no identity of its own.
    key: Option<i64>,
}

/// Drops what was there before from `table`, whose whole moments are inside. `origins` says from which source each row
/// is (empty: all from one); rows without identity are only compared between sources. The first row of a moment stands.
/// Defects are counted for rows of origins other than 0, or for all where there is one origin. Returns rows dropped.
pub fn dedupe(table: &mut Table, origins: &mut Vec<u8>, defects: &mut Defects) -> usize {
    let rows = table.len();
    // The common case costs one comparison a row.
    let mut keep: Option<Vec<bool>> = None;
    let mut from = 0;
    while from < rows {
        let time = table.time(from);
        let mut to = from + 1;
        while to < rows && table.time(to) == time {
            to += 1;
        }
        if to - from > 1 {
            moment(table, origins, from, to, &mut keep, defects);
        }
        from = to;
    }
    let Some(keep) = keep else { return 0 };
    table.retain(&keep);
    let mut row = 0;
    origins.retain(|_| {
        row += 1;
        keep[row - 1]
    });
    rows - table.len()
}

fn moment(table: &Table, origins: &[u8], from: usize, to: usize, keep: &mut Option<Vec<bool>>, defects: &mut Defects) {
    let origin = |unit: Unit| origins.get(unit.from).copied().unwrap_or(0);
    let mut by_key: HashMap<i64, Unit> = HashMap::new();
    let mut nameless: Vec<Unit> = Vec::new();
    // Equal nameless units of another source, used up one by one: two equal trades are two trades.
    let mut spent: Vec<bool> = Vec::new();
    let mut at = from;
    while at < to {
        let unit = unit_at(table, at, to);
        at = unit.to;
        let before = match unit.key {
            Some(key) => match by_key.get(&key) {
                Some(first) => Some(*first),
                None => {
                    by_key.insert(key, unit);
                    None
                }
            },
            None => {
                let same = |(n, u): &(usize, &Unit)| {
                    !spent[*n] && origin(**u) != origin(unit) && same_values(table, **u, unit)
                };
                let found = nameless.iter().enumerate().find(same).map(|(n, u)| (n, *u));
                match found {
                    Some((n, first)) => {
                        spent[n] = true;
                        Some(first)
                    }
                    None => {
                        nameless.push(unit);
                        spent.push(false);
                        None
                    }
                }
            }
        };
        let Some(first) = before else { continue };
        let kind = if same_values(table, first, unit) { DefectKind::Duplicate } else { DefectKind::Conflict };
        defects.add(kind, table.place(unit.from), || table.describe(unit.from));
        let keep = keep.get_or_insert_with(|| vec![true; table.len()]);
        keep[unit.from..unit.to].iter_mut().for_each(|k| *k = false);
    }
}

fn unit_at(table: &Table, from: usize, end: usize) -> Unit {
    let mut to = from;
    while to < end && !table.ends_unit(to) {
        to += 1;
    }
    let to = (to + 1).min(end);
    let key = match identity(table.kind()) {
        Identity::Time => Some(0),
        Identity::Column(column) => Some(table.column(column)[from]),
        Identity::Id(column) => {
            let id = table.column(column)[from];
            let action = if column == book::UPDATE_ID && table.kind() == crate::record::Kind::Book {
                table.column(book::ACTION)[from]
            } else {
                book::UPDATE
            };
            match (action, id) {
                (book::GAP, _) => Some(-1),
                (_, 0) => None,
                (action, id) => Some(id.wrapping_mul(4).wrapping_add(action)),
            }
        }
    };
    Unit { from, to, key }
}

fn same_values(table: &Table, a: Unit, b: Unit) -> bool {
    a.to - a.from == b.to - b.from && (0..a.to - a.from).all(|n| table.same_values(a.from + n, table, b.from + n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kind;
    use crate::schema::NULL;

    fn trades(rows: &[(i64, i64, i64)]) -> Table {
        let mut table = Table::new(Kind::Trades);
        for (n, (time, id, price)) in rows.iter().enumerate() {
            table.push(&[*time, NULL, *id, 0, *price, 1]);
            table.push_place(n as u64 + 1);
        }
        table
    }

    fn run(table: &mut Table, mut origins: Vec<u8>) -> (Vec<u64>, u64, u64) {
        let mut defects = Defects::default();
        dedupe(table, &mut origins, &mut defects);
        (table.places().to_vec(), defects.count(DefectKind::Duplicate), defects.count(DefectKind::Conflict))
    }

    #[test]
    fn ids_tell_within_a_moment() {
        let mut table = trades(&[(1, 7, 100), (1, 8, 100), (1, 7, 100), (1, 8, 101), (2, 7, 100)]);
        assert_eq!(run(&mut table, Vec::new()), (vec![1, 2, 5], 1, 1));
    }

    #[test]
    fn without_ids_only_another_source_repeats() {
        let rows = [(1, 0, 100), (1, 0, 100), (1, 0, 100), (1, 0, 100), (1, 0, 100)];
        assert_eq!(run(&mut trades(&rows), Vec::new()).0.len(), 5, "five equal trades of one file");
        // Two were there, three come: one of them is new.
        assert_eq!(run(&mut trades(&rows), vec![0, 0, 1, 1, 1]), (vec![1, 2, 5], 2, 0));
    }

    #[test]
    fn a_book_update_is_one_thing() {
        let mut table = Table::new(Kind::Book);
        for (id, price, last) in [(5, 1, 0), (5, 2, 1), (5, 1, 0), (5, 2, 1), (6, 1, 1)] {
            table.push(&[1, NULL, id, book::UPDATE, book::BID, price, 1, last]);
            table.push_place(table.len() as u64);
        }
        assert_eq!(run(&mut table, Vec::new()), (vec![1, 2, 5], 1, 0));
    }
}
