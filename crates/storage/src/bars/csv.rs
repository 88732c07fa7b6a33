//! Rows of a CSV bar file: comma, semicolon or tab, header or none, plain or gzip.
//! Never: judges a value, only finds it.

use super::collect::{Collector, RawRow, RawTime};
use super::{BarError, BarOptions, Column, Layout};
use crate::capture::{Fault, Source};
use sha2::{Digest, Sha256};
use std::path::Path;

/// No line of a bar file is longer.
const MAX_LINE: usize = 64 << 10;
/// Lines of prose that some sites put above the header.
const PREAMBLE: u64 = 5;

pub(super) fn read(path: &Path, options: &BarOptions) -> Result<(Collector, [u8; 32]), BarError> {
    let mut source = Source::open(path).map_err(|source| BarError::Open { path: path.into(), source })?;
    let mut digest = Sha256::new();
    let mut table = Table::default();
    let mut line = 0;
    loop {
        let next = source.next_line(MAX_LINE);
        digest.update(source.consumed());
        line += 1;
        match next {
            Ok(Some(span)) => match std::str::from_utf8(&source.buffer()[span.start..span.end]) {
                Ok(text) => {
                    table.line(line, text, options).map_err(|why| BarError::Format { path: path.into(), line, why })?
                }
                Err(_) => table.collector.unreadable(line, "not UTF-8".into()),
            },
            Ok(None) => break,
            Err(Fault::TooLong) => {
                table.collector.unreadable(line, format!("longer than {} KiB", MAX_LINE >> 10));
                skip_rest(&mut source, &mut digest);
            }
            Err(Fault::Damaged(why)) => {
                table.collector.unreadable(line, why);
                break;
            }
            Err(Fault::Io(source)) => return Err(BarError::Read { path: path.into(), line, source }),
        }
    }
    if table.layout.is_none() {
        let why = "no header and no bars; a bar file starts with a line such as timestamp,open,high,low,close,volume";
        return Err(BarError::Format { path: path.into(), line: 1, why: why.into() });
    }
    Ok((table.collector, digest.finalize().into()))
}

/// A fault met here shows again at the next line.
fn skip_rest(source: &mut Source, digest: &mut Sha256) {
    loop {
        let done = source.skip_line_piece();
        digest.update(source.consumed());
        if !matches!(done, Ok(false)) {
            return;
        }
    }
}

#[derive(Default)]
struct Table {
    layout: Option<Layout>,
    separator: char,
    collector: Collector,
}

impl Table {
    fn line(&mut self, number: u64, text: &str, options: &BarOptions) -> Result<(), String> {
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.layout.is_none() {
            return self.header(number, text, options);
        }
        self.data(number, text, options);
        Ok(())
    }

    fn header(&mut self, number: u64, text: &str, options: &BarOptions) -> Result<(), String> {
        let count = |c: &char| (text.matches(*c).count(), *c == ',');
        self.separator = [',', ';', '\t'].into_iter().max_by_key(count).unwrap_or(',');
        let fields = || text.split(self.separator).map(unquote);
        if fields().next().is_some_and(|first| !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit())) {
            // A Binance kline archive of the years before headers.
            self.layout =
                Some(Layout::from_headers(["open_time", "open", "high", "low", "close", "volume"].into_iter()));
            self.data(number, text, options);
            return Ok(());
        }
        let layout = Layout::from_headers(fields());
        match layout.check() {
            Ok(()) => self.layout = Some(layout),
            Err(_) if number < PREAMBLE && layout.0.iter().flatten().count() < 2 => {}
            Err(why) => return Err(why),
        }
        Ok(())
    }

    fn data(&mut self, line: u64, text: &str, options: &BarOptions) {
        let Some(layout) = self.layout else { return };
        let mut found = [None; Column::COUNT];
        for (at, field) in text.split(self.separator).enumerate() {
            for (slot, place) in found.iter_mut().zip(layout.0) {
                if place == Some(at) {
                    *slot = Some(unquote(field));
                }
            }
        }
        let has = |c: Column| layout.0[c as usize].is_some();
        let get = |c: Column| found[c as usize].unwrap_or("");
        let symbol = has(Column::Symbol).then(|| get(Column::Symbol));
        if options.symbol.is_some() && symbol.is_some() && symbol != options.symbol.as_deref() {
            return;
        }
        self.collector.row(RawRow {
            line,
            symbol,
            time: Some(get(Column::Time)).filter(|t| !t.is_empty()).map(RawTime::Text),
            prices: [Column::Open, Column::High, Column::Low, Column::Close].map(get),
            volume: has(Column::Volume).then(|| get(Column::Volume)),
        });
    }
}

/// No field of a bar holds a separator, so quotes are only decoration.
fn unquote(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|f| f.strip_suffix('"')).unwrap_or(field).trim()
}
