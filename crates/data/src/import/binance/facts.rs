//! What a Binance archive is of (market, symbol, interval), from flags, path and first row; and whether it is whole.
//! Never: settles a contradiction: two sources that disagree are an error.

use super::name::{self, ArchiveName, Data, Market};
use crate::import::columns::Layout;
use crate::import::fields::{Fields, Unit};
use crate::import::{ImportError, ImportOptions};
use ctos_types::time::NANOS_PER_DAY;
use ctos_types::{Interval, Nanos, Symbol};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(super) fn stated_data(path: &Path, options: &ImportOptions) -> Result<Option<Data>, ImportError> {
    let Some(word) = &options.data else { return Ok(None) };
    let unknown = || {
        ImportError::new(path, 0, format!("--data {word} is no kind of archive"), format!("there are {}", Data::WORDS))
    };
    Data::from_word(word).map(Some).ok_or_else(unknown)
}

/// The market by flag, path, name or content. `None` where only the symbol could need it and the caller gave that.
pub(super) fn market(
    path: &Path,
    options: &ImportOptions,
    name: &ArchiveName,
    data: Data,
    has_header: bool,
    row: Option<&Fields<'_>>,
) -> Result<Option<Market>, ImportError> {
    let stated = match options.market.as_deref() {
        None => None,
        Some("spot") => Some(Market::Spot),
        Some("um") => Some(Market::Um),
        Some("cm") => Some(Market::Cm),
        Some(other) => {
            return Err(ImportError::new(
                path,
                0,
                format!("--market {other} is none of Binance's"),
                "there are spot, um, cm",
            ));
        }
    };
    if let (Some(stated), Some(found)) = (stated, name.market)
        && stated != found
    {
        let why = format!("the path says {found:?} and --market says {stated:?}").to_lowercase();
        return Err(ImportError::new(path, 0, why, "leave --market out, or move the file"));
    }
    let symbol = name.symbol.as_deref().unwrap_or("");
    let given = options.symbol.as_deref().unwrap_or("");
    let width = row.map_or(0, Fields::count);
    let micros = row.and_then(|row| row.stamp(0, "").ok()).is_some_and(|s| s.unit == Unit::Micros);
    let market = stated.or(name.market).or(match data {
        // Only coin-margined pairs are quoted in plain dollars.
        _ if symbol.contains("USD_") || given.contains("-USD-") => Some(Market::Cm),
        _ if symbol.contains('_') || has_header => Some(Market::Um),
        Data::BookTicker | Data::BookDepth | Data::FundingRate | Data::MarkPriceKlines => Some(Market::Um),
        Data::Trades => Some(if width == 7 { Market::Spot } else { Market::Um }),
        Data::AggTrades => Some(if width == 8 { Market::Spot } else { Market::Um }),
        Data::Klines => micros.then_some(Market::Spot),
    });
    if market.is_none() && options.symbol.is_none() {
        return Err(ImportError::new(
            path,
            0,
            "neither path nor content tell whether these klines are of spot or of futures",
            "state it: --market spot, --market um or --market cm",
        ));
    }
    Ok(market)
}

pub(super) fn symbol(
    path: &Path,
    options: &ImportOptions,
    name: &ArchiveName,
    market: Option<Market>,
) -> Result<Symbol, ImportError> {
    if let Some(symbol) = &options.symbol {
        let venue = options.venue.as_deref().unwrap_or("binance");
        return Ok(Symbol::new(&if symbol.contains(':') { symbol.clone() } else { format!("{venue}:{symbol}") }));
    }
    let hint = "state it, for example --symbol binance:BTC-USDT-PERP";
    let (Some(symbol), Some(market)) = (&name.symbol, market) else {
        return Err(ImportError::new(path, 0, "the file's name does not tell its symbol", hint));
    };
    let unknown = || ImportError::new(path, 0, format!("what base and quote of {symbol} are is not known"), hint);
    name::unified(symbol, market).map(|s| Symbol::new(&s)).ok_or_else(unknown)
}

/// The bars' interval by flag, name or the length of the first bar; any two of them must agree.
pub(super) fn interval(
    path: &Path,
    options: &ImportOptions,
    name: &ArchiveName,
    layout: &Layout,
    row: Option<&Fields<'_>>,
) -> Result<Interval, ImportError> {
    let named = name.interval;
    if let (Some(stated), Some(named)) = (options.interval, named)
        && stated != named
    {
        let why = format!("the name says {named} bars and --interval says {stated}");
        return Err(ImportError::new(path, 0, why, "leave --interval out, or rename the file"));
    }
    let length = row.and_then(|row| {
        let (opens, closes) = (row.stamp(layout.at(0), "").ok()?, row.stamp(layout.at(6), "").ok()?);
        let nanos = (closes.at.0 - opens.at.0).checked_add(closes.unit.nanos())?;
        if nanos >= 28 * NANOS_PER_DAY && Interval::MONTH.end(opens.at) == opens.at.after(Nanos(nanos)) {
            return Some(Interval::MONTH);
        }
        let secs = u32::try_from(nanos / 1_000_000_000).ok().filter(|_| nanos % 1_000_000_000 == 0)?;
        Interval::from_secs(secs)
    });
    if let Some(known) = options.interval.or(named) {
        // A bar that an outage cut short is no evidence; one of another usual length is.
        let other = length.filter(|l| *l != known && name::is_kline_interval(*l));
        return match other {
            None => Ok(known),
            Some(other) => Err(ImportError::new(
                path,
                0,
                format!("the first bar is one of {other}, not of {known}"),
                "check the file's name, and --interval if it was given",
            )),
        };
    }
    length.ok_or_else(|| {
        ImportError::new(path, 0, "the first bar does not tell its length", "state it, for example --interval 1m")
    })
}

/// `FILE.CHECKSUM` holds the SHA-256 in hexadecimal, two spaces and the file's name.
pub(super) fn verify_checksum(path: &Path) -> Result<(), ImportError> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".CHECKSUM");
    let beside = PathBuf::from(beside);
    let text = match std::fs::read(&beside) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(ImportError::io(&beside, 0, &e)),
    };
    let text = String::from_utf8_lossy(&text);
    let want = text.split_ascii_whitespace().next().unwrap_or("").to_ascii_lowercase();
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 256 << 10]);
    let mut file = File::open(path).map_err(|e| ImportError::io(path, 0, &e))?;
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => digest.update(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ImportError::io(path, 0, &e)),
        }
    }
    if crate::hex(&digest.finalize()) == want {
        return Ok(());
    }
    Err(ImportError::new(
        path,
        0,
        format!("the file is not the one that {} was made for", beside.display()),
        "fetch both again; a file that was replaced later has a new checksum",
    ))
}
