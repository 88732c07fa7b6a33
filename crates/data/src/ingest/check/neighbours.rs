//! What a row is among others: on its instrument's grid, in the order of time, next to the one before it.
//! Never: keeps a row out. What is found is counted.

use super::{Checked, SeriesState};
use crate::defect::{DefectKind, Defects};
use crate::number::Number;
use crate::record::{Body, Record};
use crate::schema::{self, NULL};
use ctos_types::{Interval, UnixNanos};

impl SeriesState {
    pub(super) fn grid_check(&self, place: u64, out: &Checked, defects: &mut Defects) {
        let Some(grid) = self.grid else { return };
        let (prices, sizes) = schema::grid_columns(self.series.kind);
        for row in &out.rows {
            for (columns, (step, places)) in [(prices, grid.tick), (sizes, grid.lot)] {
                let off = columns.iter().find(|at| {
                    let scale = self.scales[**at];
                    row[**at] != NULL && !on_grid(row[**at], scale, step, places)
                });
                if let Some(at) = off {
                    let name = schema::columns(self.series.kind)[*at].name;
                    let text = ctos_types::instrument::mantissa_text(row[*at], self.scales[*at]);
                    defects.add(DefectKind::OffGrid, place, || format!("{name} {text}"));
                }
            }
        }
    }

    pub(super) fn order(&mut self, record: &Record, time: i64, defects: &mut Defects) {
        if time < self.last_time {
            self.disordered = true;
            let last = UnixNanos(self.last_time);
            defects.add(DefectKind::OutOfOrder, record.place, || format!("{} after {last}", UnixNanos(time)));
            return;
        }
        match &record.body {
            Body::Bar(bar) if self.last_time != i64::MIN => {
                let missing = missing_bars(self.last_time, time, bar.interval);
                if missing > 0 {
                    let example = || format!("{}: {missing} bars before {}", self.series, UnixNanos(time));
                    self.gaps.add_many(DefectKind::Gap, missing, record.place, example);
                }
            }
            Body::Trade { id, .. } if self.consecutive_ids => {
                if self.last_id != 0 && *id > self.last_id + 1 {
                    let missing = id - self.last_id - 1;
                    let example = || format!("{}: ids {} to {}", self.series, self.last_id + 1, id - 1);
                    self.gaps.add_many(DefectKind::Gap, missing, record.place, example);
                }
                self.last_id = *id;
            }
            _ => {}
        }
        self.last_time = time;
    }
}

/// Whole bars that lie between two open times.
pub fn missing_bars(before: i64, after: i64, interval: Interval) -> u64 {
    u64::try_from(interval.count(UnixNanos(before), UnixNanos(after)) - 1).unwrap_or(0)
}

/// Whether `mantissa * 10^-scale` is a multiple of `step * 10^-places`.
fn on_grid(mantissa: i64, scale: u8, step: i64, places: u8) -> bool {
    if scale == places {
        return mantissa % step == 0;
    }
    Number::new(mantissa, scale).is_ok_and(|n| n.is_multiple_of(step, places))
}
