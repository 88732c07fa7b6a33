//! An import under way: batches are checked and spooled, then each partition is merged and put in place.
//! Never: a manifest, a lock or a source's identity; the import around it has them.

use super::check::{Checked, SeriesState};
use super::manifest::SeriesReport;
use super::place::put_in_place;
use super::spool::{self, Spool};
use super::{Progress, Stage, merge};
use crate::defect::{DefectKind, Defects};
use crate::error::CatalogError;
use crate::import::{Batch, Importer};
use crate::layout::{Catalog, Series};
use crate::part::{PartInfo, PartReader};
use crate::record::Kind;
use ctos_types::{Symbol, UnixNanos};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An import under way.
pub struct Work<'a> {
    catalog: &'a Catalog,
    spool: Spool,
    series: Vec<SeriesState>,
    numbers: HashMap<(Symbol, Kind), usize>,
}

impl<'a> Work<'a> {
    pub fn new(catalog: &'a Catalog, id: &str) -> Result<Work<'a>, CatalogError> {
        let spool = Spool::new(&catalog.staging().join(id), id)?;
        Ok(Work { catalog, spool, series: Vec::new(), numbers: HashMap::new() })
    }

    /// Whether nothing at all came in.
    pub fn is_empty(&self) -> bool {
        self.spool.slots.is_empty()
    }

    /// Takes in the whole source. Returns the rows read, and what was wrong with them.
    pub fn read(
        &mut self,
        importer: &mut dyn Importer,
        path: &Path,
        total: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(u64, Defects), CatalogError> {
        let (mut batch, mut checked) = (Batch::default(), Checked::default());
        let (mut rows, mut defects) = (0, Defects::default());
        let mut last: Option<usize> = None;
        loop {
            batch.clear();
            let more = importer.next(&mut batch)?;
            rows += batch.rows_read;
            defects.merge(batch.defects.take());
            for record in &batch.records {
                let kind = record.body.kind();
                let same = |n: &usize| {
                    let series = &self.series[*n].series;
                    series.kind == kind && series.symbol == record.symbol
                };
                let number = match last.filter(same) {
                    Some(number) => number,
                    None => self.number(&record.symbol, kind, importer.consecutive_ids(), path)?,
                };
                last = Some(number);
                let series = &mut self.series[number];
                if series.check(record, &batch.levels, &mut defects, &mut checked) {
                    self.spool.push(self.catalog, number, series, &checked, record.place, &mut defects)?;
                }
            }
            progress(Progress { stage: Stage::Reading, bytes: importer.bytes_read().min(total), total, rows });
            if !more {
                break;
            }
        }
        self.spool.finish(&mut defects)?;
        Ok((rows, defects))
    }

    fn number(&mut self, symbol: &Symbol, kind: Kind, ids: bool, path: &Path) -> Result<usize, CatalogError> {
        if let Some(number) = self.numbers.get(&(symbol.clone(), kind)) {
            return Ok(*number);
        }
        let (venue, name) = symbol.split();
        if venue.is_empty() || name.is_empty() {
            let hint = "state it with --venue and --symbol";
            return Err(CatalogError::new(format!("{}: symbol {symbol:?} names no venue", path.display()), hint));
        }
        let series = Series { symbol: symbol.clone(), kind };
        let instrument = match kind {
            Kind::Instruments => None,
            _ => crate::instruments::known(self.catalog, symbol)?,
        };
        let mut state = SeriesState::new(series.clone(), instrument.as_ref(), ids);
        for day in self.catalog.days(&series)? {
            spool::widen_by(&mut state, &self.catalog.part(&series, day))?;
        }
        self.series.push(state);
        let number = self.series.len() - 1;
        self.numbers.insert((symbol.clone(), kind), number);
        Ok(number)
    }

    /// Makes the final files in the staging area, then puts them in place one by one.
    pub fn commit(
        &mut self,
        id: &str,
        defects: &mut Defects,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<SeriesReport>, CatalogError> {
        let total = self.spool.slots.len() as u64;
        let mut moves: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut reports: Vec<Option<Counts>> = self.series.iter().map(|_| None).collect();
        for (done, ((number, day), slot)) in self.spool.slots.iter().enumerate() {
            let state = &self.series[*number];
            let part = self.catalog.part(&state.series, *day);
            let made = self.partition(id, state, slot, &part, defects)?;
            let report = reports[*number].get_or_insert_with(|| Counts::of(&state.series));
            report.add(slot, made.added);
            moves.extend(made.file.map(|file| (file, part)));
            progress(Progress { stage: Stage::Writing, bytes: done as u64 + 1, total, rows: 0 });
        }
        self.rescale_rest(&mut moves)?;
        put_in_place(self.catalog, &moves)?;
        let mut done = Vec::new();
        for (state, report) in self.series.iter_mut().zip(reports) {
            let Some(mut report) = report else { continue };
            if state.disordered && matches!(state.series.kind, Kind::Bars(_)) {
                state.gaps = self.catalog.bar_gaps(&state.series, report.from, report.to)?;
            }
            let gaps = state.gaps.take();
            report.missing = gaps.count(DefectKind::Gap);
            defects.merge(gaps);
            done.push(report.text());
        }
        done.sort_by(|a, b| (&a.symbol, &a.kind).cmp(&(&b.symbol, &b.kind)));
        Ok(done)
    }

    fn partition(
        &self,
        id: &str,
        state: &SeriesState,
        slot: &spool::Slot,
        part: &Path,
        defects: &mut Defects,
    ) -> Result<Made, CatalogError> {
        let existing = if part.is_file() { Some(PartReader::open(part)?.info().clone()) } else { None };
        let runs: Vec<(&Path, &PartInfo)> = slot.closed().collect();
        if existing.as_ref().is_some_and(|info| info.sources.iter().any(|s| s == id)) {
            // This partition was put in place before an earlier attempt was killed.
            return Ok(Made { file: None, added: slot.rows() });
        }
        if let ([(path, info)], None) = (runs.as_slice(), &existing)
            && info.scales == state.scales
            && !slot.existing
        {
            return Ok(Made { file: Some(path.to_path_buf()), added: info.rows });
        }
        let out = runs.first().map(|(path, _)| path.with_extension("merged")).unwrap_or_default();
        let mut sources = existing.as_ref().map(|info| info.sources.clone()).unwrap_or_default();
        sources.push(id.to_string());
        let paths: Vec<&Path> = runs.iter().map(|(path, _)| *path).collect();
        let was = existing.is_some().then_some(part);
        let merged = merge::merge(was, &paths, &state.scales, &out, &sources, defects)?;
        Ok(Made { file: merged.info.map(|_| out), added: merged.added })
    }

    /// All files of a series have one scale, so that every reader takes them as one table.
    fn rescale_rest(&self, moves: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), CatalogError> {
        let staging = self.catalog.staging();
        for state in &self.series {
            for day in self.catalog.days(&state.series)? {
                let part = self.catalog.part(&state.series, day);
                if moves.iter().any(|(_, to)| *to == part) || PartReader::open(&part)?.info().scales == state.scales {
                    continue;
                }
                let out = staging.join(format!("rescaled-{}.parquet", moves.len()));
                merge::rescale(&part, &state.scales, &out)?;
                moves.push((out, part));
            }
        }
        Ok(())
    }
}

/// What became of one partition.
struct Made {
    /// The finished file in the staging area; `None`: the one in place stays.
    file: Option<PathBuf>,
    added: u64,
}

/// A series' counts while they are added up.
struct Counts {
    series: Series,
    from: i64,
    to: i64,
    rows: u64,
    added: u64,
    days: u64,
    missing: u64,
}

impl Counts {
    fn of(series: &Series) -> Counts {
        let (from, to) = (i64::MAX, i64::MIN);
        Counts { series: series.clone(), from, to, rows: 0, added: 0, days: 0, missing: 0 }
    }

    fn add(&mut self, slot: &spool::Slot, added: u64) {
        for (_, info) in slot.closed() {
            self.from = self.from.min(info.from);
            self.to = self.to.max(info.to);
        }
        self.rows += slot.rows();
        self.added += added;
        self.days += 1;
    }

    fn text(&self) -> SeriesReport {
        SeriesReport {
            symbol: self.series.symbol.to_string(),
            kind: self.series.kind.to_string(),
            from: UnixNanos(self.from).to_string(),
            to: UnixNanos(self.to).to_string(),
            rows: self.rows,
            added: self.added,
            days: self.days,
            missing: self.missing,
        }
    }
}
