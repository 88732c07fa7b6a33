//! Raw captures of Binance frames: every event of them on an exact decimal grid, books put together by the venue's rule.
//! Never: reads a frame itself (the driver's decoder does), or needs the instrument's definition.

use super::event::{Words, ts_event};
use super::{Batch, ImportError, ImportOptions, Importer};
use crate::defect::DefectKind;
use crate::number::Number;
use crate::record::{Body, Record};
use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::replay::Probe;
use ctos_driver_binance::{LineSource, Product, Replayer, SourceLine, probe};
use ctos_storage::capture::{CaptureError, CaptureItem, CaptureReader};
use ctos_types::{Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Price, Qty, Settlement, Symbol};
use std::path::{Path, PathBuf};

/// Lines looked at to find out what a capture is of.
const PROBE_LINES: u64 = 20_000;
/// Places of the grid frames are decoded on: finer than any instrument's, so that any frame of any year fits.
const PRICE_PLACES: u8 = 10;
const QTY_PLACES: u8 = 8;
/// Quote currencies, longest first, for symbols without a definition.
const QUOTES: [&str; 22] = [
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "IDRT", "BIDR", "BTC", "ETH", "BNB", "TRY", "EUR", "BRL", "GBP",
    "AUD", "RUB", "UAH", "ZAR", "JPY", "PLN", "DAI",
];

/// Rates and marks are as the venue sent them: what does not fit exactly is told, not rounded.
const WORDS: Words = Words {
    price_places: PRICE_PLACES,
    qty_places: QTY_PLACES,
    off_grid: |number| Number::try_from(number).ok(),
    zero_mark_is_none: false,
};

/// A capture as an importer.
pub struct CaptureImport {
    path: PathBuf,
    reader: CaptureReader,
    replayer: Option<Replayer>,
    symbols: Vec<Symbol>,
    /// As the recorder knew them, to be told before everything else.
    definitions: Vec<Instrument>,
}

impl std::fmt::Debug for CaptureImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureImport")
            .field("path", &self.path)
            .field("symbols", &self.symbols)
            .finish_non_exhaustive()
    }
}

/// Whether a line is one of a capture: the receive time in ns, a space, a JSON frame.
pub fn is_line(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    digits >= 13 && line.get(digits) == Some(&b' ') && matches!(line.get(digits + 1), Some(b'{' | b'['))
}

impl CaptureImport {
    pub fn open(path: &Path, options: &ImportOptions) -> Result<CaptureImport, ImportError> {
        let seen = probe_capture(open(path)?).map_err(|e| failed(path, &e))?;
        let product = seen.product.ok_or_else(|| {
            let hint = "a raw capture has one frame a line: receive time in ns, a space, the frame as received";
            ImportError::new(path, 0, "it holds no Binance frame", hint)
        })?;
        let instruments = instruments(path, &seen, product, options)?;
        let symbols: Vec<Symbol> = instruments.iter().map(|i| i.symbol.clone()).collect();
        let definitions = seen.definitions.values().filter(|i| symbols.contains(&i.symbol)).cloned().collect();
        let replayer = Some(Replayer::new(&instruments, Some(product)));
        Ok(CaptureImport { path: path.into(), reader: open(path)?, replayer, symbols, definitions })
    }

    fn finish(&mut self, out: &mut Batch) {
        let Some(replayer) = self.replayer.take() else { return };
        let load = replayer.finish();
        for bad in &load.bad {
            out.defects.add(DefectKind::Unreadable, bad.number, || bad.why.clone());
        }
        let rest = load.bad_lines - load.bad.len() as u64;
        if rest > 0 {
            // Behind all that are named.
            out.defects.add_many(DefectKind::Unreadable, rest, u64::MAX, String::new);
        }
        let unknown = load.unknown_symbols.values().sum();
        for (kind, count, what) in [
            (DefectKind::OutOfOrder, load.out_of_order, "lines stamped earlier than the line before"),
            (DefectKind::Duplicate, load.trades_repeated, "trades recorded more than once"),
            (DefectKind::Unsupported, load.trades_off_book, "trades that took nothing from the book"),
            (DefectKind::Unsupported, load.dropped_diffs(), "book updates without a snapshot to put them on"),
            (DefectKind::Unsupported, unknown, "frames of symbols that are not asked for, or not understood"),
        ] {
            if count > 0 {
                out.defects.add_many(kind, count, 0, || what.to_string());
            }
        }
    }
}

fn open(path: &Path) -> Result<CaptureReader, ImportError> {
    CaptureReader::open(path).map_err(|e| failed(path, &e))
}

fn failed(path: &Path, e: &CaptureError) -> ImportError {
    ImportError::new(path, 0, e.to_string(), "check the file with `gzip -t`, or record it again")
}

/// One for each symbol seen, on a grid that holds anything.
fn instruments(
    path: &Path,
    seen: &Probe,
    product: Product,
    options: &ImportOptions,
) -> Result<Vec<Instrument>, ImportError> {
    let mut list: Vec<Instrument> = Vec::new();
    for name in seen.symbols.keys() {
        let id = InstrumentId(list.len() as u32);
        if let Some(known) = seen.definitions.get(name).or_else(|| builtin(product, name)) {
            list.push(widened(Instrument { id, ..known.clone() }));
            continue;
        }
        let split = QUOTES.iter().find_map(|q| name.strip_suffix(q).filter(|b| !b.is_empty()).map(|b| (b, *q)));
        let Some((Ok(base), Ok(quote))) = split.map(|(b, q)| (Currency::new(b), Currency::new(q))) else {
            continue;
        };
        let (suffix, kind) = match product {
            Product::Spot => ("", InstrumentKind::Spot),
            Product::UsdM => ("-PERP", InstrumentKind::Perpetual(Settlement::Linear)),
        };
        list.push(unknown(id, &format!("binance:{base}-{quote}{suffix}"), kind, base, quote));
    }
    let wanted = |i: &Instrument| options.symbol.as_ref().is_none_or(|text| i.symbol.is_named(text));
    list.retain(wanted);
    if list.is_empty() {
        let names: Vec<&str> = seen.symbols.keys().map(String::as_str).collect();
        let why = format!("it is of {}, none of which is asked for or understood", names.join(", "));
        return Err(ImportError::new(path, 0, why, "leave --symbol out, or name one like binance:BTC-USDT-PERP"));
    }
    (0..).zip(&mut list).for_each(|(id, i)| i.id = InstrumentId(id));
    Ok(list)
}

fn widened(instrument: Instrument) -> Instrument {
    Instrument { price_decimals: PRICE_PLACES, qty_decimals: QTY_PLACES, tick: Price(1), lot: Qty(1), ..instrument }
}

fn unknown(id: InstrumentId, symbol: &str, kind: InstrumentKind, base: Currency, quote: Currency) -> Instrument {
    Instrument {
        id,
        version: 1,
        symbol: Symbol::new(symbol),
        kind,
        base,
        quote,
        price_decimals: PRICE_PLACES,
        qty_decimals: QTY_PLACES,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(i64::MAX),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::ZERO,
        maintenance_margin: Decimal::ZERO,
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}

impl Importer for CaptureImport {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        let (path, symbols) = (&self.path, &self.symbols);
        while out.records.len() < Batch::TARGET && out.rows_read < Batch::TARGET as u64 {
            let Some(replayer) = &mut self.replayer else { return Ok(false) };
            match self.reader.next_item().map_err(|e| failed(path, &e))? {
                None => {
                    self.finish(out);
                    return Ok(false);
                }
                Some(CaptureItem::Bad(bad)) => {
                    out.rows_read += 1;
                    replayer.on_bad_line(bad.line, bad.why.to_string());
                }
                Some(CaptureItem::Line(line)) => {
                    out.rows_read += 1;
                    out.records.extend(self.definitions.drain(..).map(|i| Record {
                        symbol: i.symbol.clone(),
                        place: line.number,
                        ts_event: None,
                        ts_recv: Some(line.ts_recv),
                        body: Body::Instrument(Box::new(i)),
                    }));
                    let (records, levels, defects) = (&mut out.records, &mut out.levels, &mut out.defects);
                    replayer.on_line(line.number, line.ts_recv, line.frame, &mut |recv, market| match WORDS
                        .body(market, levels)
                    {
                        Some(body) => records.push(Record {
                            symbol: symbols[market.instrument.index()].clone(),
                            place: line.number,
                            ts_event: ts_event(market),
                            ts_recv: Some(recv),
                            body,
                        }),
                        None => defects.add(DefectKind::BadNumber, line.number, || format!("{:?}", market.data)),
                    });
                }
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.reader.bytes_on_disk()
    }
}

/// Looks at the first lines of a capture to find out what it is of. The reader is used up.
pub fn probe_capture(capture: CaptureReader) -> Result<Probe, CaptureError> {
    probe(&mut Lines(capture), PROBE_LINES)
}

/// A capture file's lines, as the driver's probe takes them.
struct Lines(CaptureReader);

impl LineSource for Lines {
    type Error = CaptureError;

    fn next_line(&mut self) -> Result<Option<SourceLine<'_>>, CaptureError> {
        Ok(self.0.next_item()?.map(|item| match item {
            CaptureItem::Line(l) => SourceLine::Frame { number: l.number, ts_recv: l.ts_recv, frame: l.frame },
            CaptureItem::Bad(bad) => SourceLine::Bad { number: bad.line },
        }))
    }
}
