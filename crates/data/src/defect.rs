//! What is wrong with data, counted by kind with the first place where it stands.
//! Never: repairs anything.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What can be wrong with a row. Which of them keep a row out: [`DefectKind::skips`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefectKind {
    /// Not a line of this format: wrong number of columns, not UTF-8, too long, broken JSON, half a last line.
    Unreadable,
    /// A field is missing or empty.
    MissingField,
    BadTime,
    BadNumber,
    /// More than 18 digits, or noise behind the 15 digits of a double: kept, rounded half-even to 15 digits.
    Rounded,
    /// Zero or negative price.
    NonPositivePrice,
    /// Negative size, or a trade of size zero.
    BadQty,
    /// High below low, or open or close outside of them.
    InconsistentPrices,
    /// Best bid above best ask: kept.
    Crossed,
    /// The same row was there before: the first one stands.
    Duplicate,
    /// The same identity (trade id, open time, ...) with other values: the first one stands.
    Conflict,
    /// Earlier than the row before it: kept, and put where it belongs.
    OutOfOrder,
    /// A bar's open time is no whole number of intervals from the epoch: kept.
    OffGridTime,
    /// A price or size off the grid of the known instrument: kept.
    OffGrid,
    /// A number that needs more than 18 digits together with others of its column: left out alone, where the row has a
    /// use without it, else with its row.
    Unfit,
    /// A step between neighbours that is larger than it should be (bars, trade ids): nothing is filled in.
    Gap,
    /// The source says nothing that the catalog has a place for.
    Unsupported,
}

impl DefectKind {
    /// Whether a row that has it stays out of the catalog.
    pub fn skips(self) -> bool {
        use DefectKind as D;
        !matches!(self, D::Rounded | D::Crossed | D::OutOfOrder | D::OffGridTime | D::OffGrid | D::Gap)
    }

    fn text(self) -> &'static str {
        match self {
            DefectKind::Unreadable => "unreadable",
            DefectKind::MissingField => "field missing",
            DefectKind::BadTime => "time not understood",
            DefectKind::BadNumber => "not a number that fits",
            DefectKind::Rounded => "more digits than can be meant, rounded to 15",
            DefectKind::NonPositivePrice => "price zero or negative",
            DefectKind::BadQty => "size negative, or zero where there must be one",
            DefectKind::InconsistentPrices => "open, high, low and close contradict each other",
            DefectKind::Crossed => "bid above ask",
            DefectKind::Duplicate => "there before",
            DefectKind::Conflict => "there before with other values",
            DefectKind::OutOfOrder => "out of order, sorted in",
            DefectKind::OffGridTime => "open time off the interval's grid",
            DefectKind::OffGrid => "price or size off the instrument's grid",
            DefectKind::Unfit => "more than 18 digits together with the rest of the column",
            DefectKind::Gap => "missing between neighbours",
            DefectKind::Unsupported => "no place for it in the catalog",
        }
    }
}

/// One kind of defect over a whole source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defect {
    pub kind: DefectKind,
    /// Rows that have it; of [`DefectKind::Gap`]: what is missing, in bars or trade ids.
    pub count: u64,
    /// Line or row number of the first one; 0 where that is not known any more.
    pub first_place: u64,
    /// What stood there, at most 120 characters.
    pub example: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Defect { kind, count, first_place, example } = self;
        let verb = match kind {
            DefectKind::Gap => "",
            DefectKind::Unfit => " left out",
            kind if kind.skips() => " skipped",
            _ => " kept",
        };
        match first_place {
            0 => write!(f, "{count}{verb}: {} (first: {example})", kind.text()),
            line => write!(f, "{count}{verb}: {} (first at line {line}: {example})", kind.text()),
        }
    }
}

/// Defects by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defects(BTreeMap<DefectKind, Defect>);

impl Defects {
    /// `example` is only made for the first of its kind.
    pub fn add(&mut self, kind: DefectKind, place: u64, example: impl FnOnce() -> String) {
        self.add_many(kind, 1, place, example);
    }

    pub fn add_many(&mut self, kind: DefectKind, count: u64, place: u64, example: impl FnOnce() -> String) {
        match self.0.get_mut(&kind) {
            Some(defect) => {
                defect.count += count;
                if place < defect.first_place {
                    (defect.first_place, defect.example) = (place, cut(&example()));
                }
            }
            None => {
                self.0.insert(kind, Defect { kind, count, first_place: place, example: cut(&example()) });
            }
        }
    }

    /// Takes in what another part of the same source found.
    pub fn merge(&mut self, other: Defects) {
        for (kind, d) in other.0 {
            self.add_many(kind, d.count, d.first_place, || d.example);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Defect> {
        self.0.values()
    }

    pub fn count(&self, kind: DefectKind) -> u64 {
        self.0.get(&kind).map_or(0, |d| d.count)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything so far, leaving nothing.
    pub fn take(&mut self) -> Defects {
        std::mem::take(self)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
