//! Which times of a series the catalog has: by the manifests of earlier downloads, and by what is in it otherwise.
//! Never: takes a day that another source filled for one that is to be asked for.

use crate::error::CatalogError;
use crate::ingest::read_manifest;
use crate::layout::{Catalog, Series, day, day_start};
use crate::part::PartReader;
use crate::record::Kind;
use crate::schema::TS_EVENT;
use ctos_types::UnixNanos;

/// Begins the id of every piece that a download made.
pub const PREFIX: &str = "dl";

/// A span of time in ns, `to` not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub from: i64,
    pub to: i64,
}

impl Span {
    pub fn len(&self) -> i64 {
        (self.to - self.from).max(0)
    }
}

/// What a manifest remembers of a piece.
pub fn options(series: &Series, span: Span) -> String {
    format!("download series={}|{} from={} to={}", series.symbol, series.kind, span.from, span.to)
}

/// The span of a piece of `series`; `None` for a manifest of anything else.
fn span_of(text: &str, series: &Series) -> Option<Span> {
    let rest = text.strip_prefix("download series=")?;
    let rest = rest.strip_prefix(&format!("{}|{} from=", series.symbol, series.kind))?;
    let (from, to) = rest.split_once(" to=")?;
    Some(Span { from: from.parse().ok()?, to: to.parse().ok()? })
}

/// What the catalog has of `series`, in order, without overlaps; at least all of it that touches `whole`.
pub fn covered(catalog: &Catalog, series: &Series, whole: Span) -> Result<Vec<Span>, CatalogError> {
    let mut spans = downloaded(catalog, series)?;
    for of in catalog.days(series)?.into_iter().filter(|d| (day(whole.from)..=day(whole.to - 1)).contains(d)) {
        let mut reader = PartReader::open(&catalog.part(series, of))?;
        // A piece that was killed between its days and its manifest is asked for again: the same piece is finished so.
        let mut sources = reader.info().sources.iter().filter(|id| id.starts_with(PREFIX));
        if sources.any(|id| !catalog.manifest(id).is_file()) {
            continue;
        }
        match series.kind {
            Kind::Bars(interval) => {
                while let Some(table) = reader.next_table()? {
                    let bars = table.column(TS_EVENT).iter();
                    spans.extend(bars.map(|t| Span { from: *t, to: interval.end(UnixNanos(*t)).0 }));
                    spans = joined(spans);
                }
            }
            // Settlements are few: what a download did not ask for is asked for.
            Kind::Funding => {}
            // Whatever made the day, its trades may be counted otherwise: they must not be in it twice.
            _ => {
                if reader.info().sources.iter().any(|id| !id.starts_with(PREFIX)) {
                    spans.push(Span { from: day_start(of), to: day_start(of + 1) });
                }
            }
        }
    }
    Ok(joined(spans))
}

fn downloaded(catalog: &Catalog, series: &Series) -> Result<Vec<Span>, CatalogError> {
    let path = catalog.manifest(PREFIX);
    let Some(dir) = path.parent() else { return Ok(Vec::new()) };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(CatalogError::io("read", dir, &e)),
    };
    let mut spans = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| CatalogError::io("read", dir, &e))?.file_name();
        let id = name.to_str().and_then(|n| n.strip_suffix(".json")).filter(|id| id.starts_with(PREFIX));
        let Some(id) = id else { continue };
        spans.extend(read_manifest(catalog, id)?.and_then(|m| span_of(&m.options, series)));
    }
    Ok(joined(spans))
}

fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|s| s.len() > 0);
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            _ => out.push(span),
        }
    }
    out
}

/// `whole` without `covered`, which is in order.
pub fn missing(whole: Span, covered: &[Span]) -> Vec<Span> {
    let (mut out, mut from) = (Vec::new(), whole.from);
    for span in covered {
        if span.from > from {
            out.push(Span { from, to: span.from.min(whole.to) });
        }
        from = from.max(span.to);
        if from >= whole.to {
            return out.into_iter().filter(|s| s.len() > 0).collect();
        }
    }
    out.push(Span { from, to: whole.to });
    out.into_iter().filter(|s| s.len() > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_types::{Interval, Symbol};
    use proptest::prelude::*;

    proptest! {
        // The slow, obvious twin: a set of moments.
        #[test]
        fn missing_and_covered_make_the_whole(spans in prop::collection::vec((0i64..100, 0i64..30), 0..12)) {
            let spans: Vec<Span> = spans.into_iter().map(|(from, len)| Span { from, to: from + len }).collect();
            let whole = Span { from: 10, to: 90 };
            let gaps = missing(whole, &joined(spans.clone()));
            for t in whole.from..whole.to {
                let inside = |list: &[Span]| list.iter().any(|s| (s.from..s.to).contains(&t));
                prop_assert_eq!(inside(&gaps), !inside(&spans), "at {}", t);
            }
            prop_assert!(gaps.windows(2).all(|w| w[0].to < w[1].from) && gaps.iter().all(|g| g.len() > 0));
        }
    }

    #[test]
    fn a_manifest_tells_its_span() {
        let series = Series { symbol: Symbol::new("binance:BTC-USDT"), kind: Kind::Bars(Interval::M1) };
        let span = Span { from: 5, to: 17 };
        assert_eq!(span_of(&options(&series, span), &series), Some(span));
        let other = Series { kind: Kind::Trades, ..series.clone() };
        assert_eq!(span_of(&options(&series, span), &other), None);
        let longer = Series { symbol: Symbol::new("binance:BTC-USDT-PERP"), ..series.clone() };
        assert_eq!(span_of(&options(&longer, span), &series), None);
    }
}
