//! Where the columns of one CSV archive stand, by the names in its header or by their places without one.
//! Never: reads a value.

use super::fields::Fields;

/// What a column holds, as far as a file that was cut off goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A time, a boolean or a word: one that lost its end is not understood any more.
    Closed,
    /// A number: one that lost its end is another number.
    Open,
}

/// One column that an importer reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Lower case; the first is the archive's own.
    pub names: &'static [&'static str],
    /// Place in a file without header.
    place: usize,
    needed: bool,
    holds: Holds,
}

pub(super) const fn number(names: &'static [&'static str], place: usize) -> Column {
    Column { names, place, needed: true, holds: Holds::Open }
}

pub(super) const fn closed(names: &'static [&'static str], place: usize) -> Column {
    Column { names, place, needed: true, holds: Holds::Closed }
}

/// A column that may be missing.
pub(super) const fn extra(column: Column) -> Column {
    Column { needed: false, ..column }
}

/// No column there; [`Fields::text`] gives an empty text for it.
const NOWHERE: usize = usize::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    at: [usize; 10],
    /// Columns of a whole row.
    pub width: usize,
    /// The last column is a number that is used: cut off, it would be another number.
    pub open_end: bool,
}

impl Layout {
    /// The place of the `n`-th of the columns it was made from.
    pub fn at(&self, n: usize) -> usize {
        self.at[n]
    }

    pub fn has(&self, n: usize) -> bool {
        self.at[n] != NOWHERE
    }

    /// By the names in a header, whatever their case. Fails with the names that are missing.
    pub fn from_header<'a>(
        columns: &[Column],
        header: impl Iterator<Item = &'a str>,
    ) -> Result<Layout, Vec<&'static str>> {
        let names: Vec<String> = header.map(str::to_ascii_lowercase).collect();
        let place = |c: &Column| names.iter().position(|name| c.names.contains(&&**name)).unwrap_or(NOWHERE);
        let layout = Layout::build(columns, names.len(), place);
        let missing = |(n, c): (usize, &Column)| (c.needed && !layout.has(n)).then_some(c.names[0]);
        let missing: Vec<_> = columns.iter().enumerate().filter_map(missing).collect();
        if missing.is_empty() { Ok(layout) } else { Err(missing) }
    }

    /// By position, for a row as wide as one of `widths`.
    pub fn from_row(columns: &[Column], widths: &[usize], row: &Fields<'_>) -> Option<Layout> {
        widths.contains(&row.count()).then(|| Layout::build(columns, row.count(), |c| c.place))
    }

    fn build(columns: &[Column], width: usize, place: impl Fn(&Column) -> usize) -> Layout {
        let mut layout = Layout { at: [NOWHERE; 10], width, open_end: false };
        for (slot, column) in layout.at.iter_mut().zip(columns) {
            *slot = place(column);
            layout.open_end |= column.holds == Holds::Open && slot.checked_add(1) == Some(width);
        }
        layout
    }
}
