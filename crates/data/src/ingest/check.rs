//! From a record to the cells of its series: what is wrong is counted, what fits is handed on.
//! Never: changes a value, or drops a row without counting it.

mod cells;
mod neighbours;

pub use neighbours::missing_bars;

use crate::defect::{DefectKind, Defects};
use crate::layout::Series;
use crate::number::{MAX_DIGITS, Number};
use crate::record::{BarFields, Body, Kind, LevelFields, Record};
use crate::schema::{self, NULL, book};
use cells::{Wrong, gap_row, id_cell, nanos, not_negative, positive, side_cell};
use ctos_types::{Instrument, UnixNanos};

/// What is known of a series while a source is read.
#[derive(Debug)]
pub struct SeriesState {
    pub series: Series,
    grid: Option<Grid>,
    /// Decimal places of each column: only grow.
    pub scales: Vec<u8>,
    /// Most digits before the point of each column. With the scale, never more than 18.
    digits: Vec<u8>,
    consecutive_ids: bool,
    /// Time of the record before.
    last_time: i64,
    last_id: u64,
    /// A record came too late: gaps must be counted over the sorted rows.
    pub disordered: bool,
    /// Missing bars or trade ids between neighbours, as they come.
    pub gaps: Defects,
}

/// Steps of the known instrument.
#[derive(Clone, Copy, Debug)]
struct Grid {
    tick: (i64, u8),
    lot: (i64, u8),
}

/// A row of cells, at the scales of its series.
pub type Row = [i64; 10];

/// Cells of a record and its time.
#[derive(Debug, Default)]
pub struct Checked {
    pub time: i64,
    pub rows: Vec<Row>,
    /// For a record of an instrument: base, quote and definition.
    pub texts: Option<[String; 3]>,
}

impl SeriesState {
    pub fn new(series: Series, instrument: Option<&Instrument>, consecutive_ids: bool) -> SeriesState {
        let columns = schema::columns(series.kind);
        let mut scales = vec![0; columns.len()];
        if let Some(i) = instrument {
            let (prices, sizes) = schema::grid_columns(series.kind);
            prices.iter().for_each(|c| scales[*c] = i.price_decimals);
            sizes.iter().for_each(|c| scales[*c] = i.qty_decimals);
        }
        let grid = instrument.map(|i| Grid { tick: (i.tick.0, i.price_decimals), lot: (i.lot.0, i.qty_decimals) });
        SeriesState {
            series,
            grid,
            digits: vec![0; scales.len()],
            scales,
            consecutive_ids: consecutive_ids && columns[2].name == "id",
            last_time: i64::MIN,
            last_id: 0,
            disordered: false,
            gaps: Defects::default(),
        }
    }

    /// Takes in what the catalog has of the series already.
    pub fn widen(&mut self, scales: &[u8], largest: impl Fn(usize) -> Option<i64>) {
        for (at, scale) in scales.iter().enumerate() {
            self.scales[at] = self.scales[at].max(*scale);
            if let Some(number) = largest(at).and_then(|n| Number::new(n, *scale).ok()) {
                self.digits[at] = self.digits[at].max(number.whole_digits());
            }
        }
    }

    /// The cells of a record. False: it stays out, and why was counted.
    pub fn check(&mut self, record: &Record, levels: &[LevelFields], defects: &mut Defects, out: &mut Checked) -> bool {
        out.rows.clear();
        out.texts = None;
        let mut bad = |kind: DefectKind, example: String| {
            defects.add(kind, record.place, || example);
            false
        };
        let (event, recv) = (nanos(record.ts_event), nanos(record.ts_recv));
        let is_bar = matches!(record.body, Body::Bar(_));
        let known = if is_bar || recv == NULL { event } else { recv };
        if known == NULL || known < 0 || event != NULL && event < 0 {
            return bad(DefectKind::BadTime, format!("{:?}", record.ts_event.or(record.ts_recv)));
        }
        out.time = known;
        let mut row: Row = [NULL; 10];
        (row[0], row[1]) = (event, recv);
        if let Err((kind, example)) = self.body(record, levels, row, out, defects) {
            defects.add(kind, record.place, || example);
            if matches!(record.body, Body::Book { .. }) {
                // Without this update the book is not what it was: say so where it happened.
                out.rows.clear();
                gap_row(row, out);
            } else {
                return false;
            }
        }
        self.order(record, known, defects);
        true
    }

    fn body(
        &mut self,
        record: &Record,
        levels: &[LevelFields],
        mut row: Row,
        out: &mut Checked,
        defects: &mut Defects,
    ) -> Result<(), Wrong> {
        match &record.body {
            Body::Bar(bar) => self.bar(bar, record, &mut row, defects)?,
            Body::Trade { price, qty, aggressor, id } => {
                positive("price", *price)?;
                if qty.signum() <= 0 {
                    return Err((DefectKind::BadQty, format!("qty {qty}")));
                }
                (row[2], row[3]) = (id_cell(*id)?, aggressor.map_or(NULL, side_cell));
                row[4] = self.cell(4, *price)?;
                row[5] = self.cell(5, *qty)?;
            }
            Body::Quote { bid_px, bid_qty, ask_px, ask_qty, update_id } => {
                for (px, qty, name) in [(bid_px, bid_qty, "bid"), (ask_px, ask_qty, "ask")] {
                    not_negative(name, *qty)?;
                    if px.signum() < 0 || px.signum() == 0 && qty.signum() > 0 {
                        return Err((DefectKind::NonPositivePrice, format!("{name} {px}")));
                    }
                }
                if bid_qty.signum() > 0 && ask_qty.signum() > 0 && bid_px.to_decimal() > ask_px.to_decimal() {
                    defects.add(DefectKind::Crossed, record.place, || format!("bid {bid_px} ask {ask_px}"));
                }
                row[2] = id_cell(*update_id)?;
                for (at, number) in (3..).zip([*bid_px, *bid_qty, *ask_px, *ask_qty]) {
                    row[at] = self.cell(at, number)?;
                }
            }
            Body::Book { bids, asks, snapshot, update_id } => {
                let action = if *snapshot { book::SNAPSHOT } else { book::UPDATE };
                (row[book::UPDATE_ID], row[book::ACTION]) = (id_cell(*update_id)?, action);
                for (side, range) in [(book::BID, bids), (book::ASK, asks)] {
                    let range = range.start as usize..range.end as usize;
                    for level in levels.get(range).unwrap_or(&[]) {
                        positive("price", level.price)?;
                        not_negative("qty", level.qty)?;
                        (row[book::SIDE], row[book::LAST]) = (side, 0);
                        row[book::PRICE] = self.cell(book::PRICE, level.price)?;
                        row[book::QTY] = self.cell(book::QTY, level.qty)?;
                        out.rows.push(row);
                    }
                }
                if out.rows.is_empty() {
                    out.rows.push(row);
                }
                if let Some(last) = out.rows.last_mut() {
                    last[book::LAST] = 1;
                }
                self.rescaled(out, book::PRICE..=book::QTY, levels, bids, asks);
                self.grid_check(record.place, out, defects);
                return Ok(());
            }
            Body::Gap => {
                defects.add(DefectKind::Gap, record.place, || "updates of the book were lost".into());
                gap_row(row, out);
                return Ok(());
            }
            Body::Funding { rate, mark } => {
                row[2] = self.cell(2, *rate)?;
                row[3] = self.optional(3, *mark, record.place, defects);
            }
            Body::Mark { mark, index, funding_rate, next_funding } => {
                positive("mark", *mark)?;
                row[2] = self.cell(2, *mark)?;
                row[3] = self.optional(3, *index, record.place, defects);
                row[4] = self.optional(4, *funding_rate, record.place, defects);
                row[5] = nanos(*next_funding);
            }
            Body::DepthBand { percentage, depth, notional } => {
                not_negative("depth", *depth)?;
                not_negative("notional", *notional)?;
                for (at, number) in (2..).zip([*percentage, *depth, *notional]) {
                    row[at] = self.cell(at, number)?;
                }
            }
            Body::Instrument(i) => {
                let definition = serde_json::to_string(i).map_err(|e| (DefectKind::Unsupported, e.to_string()))?;
                out.texts = Some([i.base.to_string(), i.quote.to_string(), definition]);
                row[2] = i64::from(i.version);
                let step = |value: ctos_types::Decimal| {
                    Number::try_from(value).map_err(|e| (DefectKind::BadNumber, e.to_string()))
                };
                row[5] = self.cell(5, step(i.price_decimal(i.tick))?)?;
                row[6] = self.cell(6, step(i.qty_decimal(i.lot))?)?;
            }
        }
        out.rows.push(row);
        self.grid_check(record.place, out, defects);
        Ok(())
    }

    fn bar(&mut self, bar: &BarFields, record: &Record, row: &mut Row, defects: &mut Defects) -> Result<(), Wrong> {
        let BarFields { open, high, low, close, .. } = *bar;
        for (name, px) in [("open", open), ("high", high), ("low", low), ("close", close)] {
            positive(name, px)?;
        }
        let ([o, h], [l, c]) = ([open, high].map(Number::to_decimal), [low, close].map(Number::to_decimal));
        if o.max(c) > h || o.min(c) < l {
            let example = format!("open {open}, high {high}, low {low}, close {close}");
            return Err((DefectKind::InconsistentPrices, example));
        }
        for (name, volume) in [("volume", bar.volume), ("quote volume", bar.quote_volume)] {
            not_negative(name, volume.unwrap_or_default())?;
        }
        for (at, px) in (2..).zip([open, high, low, close]) {
            row[at] = self.cell(at, px)?;
        }
        row[6] = self.optional(6, bar.volume, record.place, defects);
        row[7] = self.optional(7, bar.quote_volume, record.place, defects);
        row[8] = bar.trades.and_then(|n| i64::try_from(n).ok()).unwrap_or(NULL);
        row[9] = self.optional(9, bar.taker_buy_volume, record.place, defects);
        if bar.interval.floor(UnixNanos(row[0])).0 != row[0] {
            let example = || format!("{} in a series of {} bars", UnixNanos(row[0]), bar.interval);
            defects.add(DefectKind::OffGridTime, record.place, example);
        }
        Ok(())
    }

    /// The cell at the column's scale, which grows if it must.
    fn cell(&mut self, column: usize, number: Number) -> Result<i64, Wrong> {
        let scale = self.scales[column].max(number.places());
        let digits = self.digits[column].max(number.whole_digits());
        if scale + digits > MAX_DIGITS {
            let name = schema::columns(self.series.kind)[column].name;
            return Err((DefectKind::Unfit, format!("{name} {number}")));
        }
        (self.scales[column], self.digits[column]) = (scale, digits);
        // Within the digits by the line above.
        Ok(number.at_scale(scale).unwrap_or(NULL))
    }

    fn optional(&mut self, column: usize, number: Option<Number>, place: u64, defects: &mut Defects) -> i64 {
        match number.map(|n| self.cell(column, n)) {
            None => NULL,
            Some(Ok(cell)) => cell,
            Some(Err((kind, example))) => {
                defects.add(kind, place, || example);
                NULL
            }
        }
    }

    /// The scale may have grown between the levels of one update: the first ones are then written anew.
    fn rescaled(
        &mut self,
        out: &mut Checked,
        columns: std::ops::RangeInclusive<usize>,
        levels: &[LevelFields],
        bids: &std::ops::Range<u32>,
        asks: &std::ops::Range<u32>,
    ) {
        debug_assert_eq!(columns, book::PRICE..=book::QTY);
        let all = bids.clone().chain(asks.clone()).filter_map(|at| levels.get(at as usize));
        for (row, level) in out.rows.iter_mut().zip(all) {
            row[book::PRICE] = level.price.at_scale(self.scales[book::PRICE]).unwrap_or(NULL);
            row[book::QTY] = level.qty.at_scale(self.scales[book::QTY]).unwrap_or(NULL);
        }
    }

    pub fn kind(&self) -> Kind {
        self.series.kind
    }
}
