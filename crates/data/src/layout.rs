//! Where things lie in a catalog: series, days, manifests, the staging area and the lock.
//! Never: changes a row.

use crate::defect::{DefectKind, Defects};
use crate::error::CatalogError;
use crate::ingest::missing_bars;
use crate::part::PartReader;
use crate::record::Kind;
use crate::schema::TS_EVENT;
use ctos_storage::fs::{Fs, RealFs};
use ctos_types::time::{NANOS_PER_DAY, civil_from_days};
use ctos_types::{Symbol, UnixNanos};
use rustix::fs::{FlockOperation, flock};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The one file of a partition.
pub const PART: &str = "part-0.parquet";
/// Says that a directory is a catalog, and of which format.
const MARK: &str = "_catalog.json";
/// Manifests of imports. Names with `_` or `.` in front are no data to readers of hive partitions.
const IMPORTS: &str = "_imports";
/// Half-made files of an import under way, or of one that was killed.
const STAGING: &str = ".staging";
const LOCK: &str = ".lock";

/// A catalog directory.
#[derive(Clone, Debug)]
pub struct Catalog {
    dir: PathBuf,
}

/// One kind of data of one symbol: what is partitioned by day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Unified, with its venue part.
    pub symbol: Symbol,
    pub kind: Kind,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.symbol, self.kind)
    }
}

/// The only writer of a catalog, until dropped.
#[derive(Debug)]
pub struct WriteLock {
    _file: File,
}

impl Catalog {
    /// A catalog to read from.
    ///
    /// # Errors
    /// There is none at `dir`.
    pub fn open(dir: &Path) -> Result<Catalog, CatalogError> {
        if !dir.is_dir() {
            return Err(CatalogError::new(
                format!("no catalog at {}", dir.display()),
                "import data first (`ctos data import FILE`), or name another --catalog",
            ));
        }
        let mark = dir.join(MARK);
        let text = std::fs::read_to_string(&mark).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => CatalogError::new(
                format!("{} is no catalog: it has no {MARK}", dir.display()),
                "name the directory that `ctos data import` wrote to",
            ),
            _ => CatalogError::io("read", &mark, &e),
        })?;
        let format = serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|v| v["format"].as_u64());
        match format {
            Some(1) => Ok(Catalog { dir: dir.into() }),
            _ => Err(CatalogError::new(
                format!("{}: the catalog's format is not known to this version of ctos", mark.display()),
                "use the version that wrote it, or import the data again into another --catalog",
            )),
        }
    }

    /// A catalog to write to, made where there is none.
    ///
    /// # Errors
    /// The directory holds other things.
    pub fn create(dir: &Path) -> Result<Catalog, CatalogError> {
        if dir.join(MARK).is_file() {
            return Catalog::open(dir);
        }
        std::fs::create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
        let entries = std::fs::read_dir(dir).map_err(|e| CatalogError::io("read", dir, &e))?;
        // What a creation that was killed may have left.
        if entries.flatten().any(|e| !e.file_name().to_string_lossy().starts_with(MARK)) {
            return Err(CatalogError::new(
                format!("{} is not empty and no catalog", dir.display()),
                "name an empty or new directory with --catalog",
            ));
        }
        write_atomic(&dir.join(MARK), b"{\"format\":1}\n")?;
        Catalog::open(dir)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Becomes the only writer.
    ///
    /// # Errors
    /// Another process is.
    pub fn lock(&self) -> Result<WriteLock, CatalogError> {
        let path = self.dir.join(LOCK);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| CatalogError::io("open", &path, &e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(WriteLock { _file: file }),
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => Err(CatalogError::new(
                format!("another process is writing to {}", self.dir.display()),
                "wait until its import has ended, then start this one again",
            )),
            Err(e) => Err(CatalogError::io("lock", &path, &e.into())),
        }
    }

    pub fn manifest(&self, id: &str) -> PathBuf {
        self.dir.join(IMPORTS).join(format!("{id}.json"))
    }

    /// What a recording of a run is about to take in; there while it is under way, and after it was killed.
    pub fn recording(&self, run: &str) -> PathBuf {
        self.dir.join(IMPORTS).join(format!("{run}.recording"))
    }

    /// Ids of all finished imports.
    pub fn manifests(&self) -> Result<Vec<String>, CatalogError> {
        let names = names(&self.dir.join(IMPORTS))?.into_iter();
        Ok(names.filter_map(|n| n.strip_suffix(".json").map(str::to_string)).collect())
    }

    pub fn staging(&self) -> PathBuf {
        self.dir.join(STAGING)
    }

    pub fn series_dir(&self, series: &Series) -> PathBuf {
        let (venue, symbol) = series.symbol.split();
        let mut dir = self.dir.join(format!("venue={}", encode(venue)));
        dir.push(format!("kind={}", series.kind));
        dir.push(format!("symbol={}", encode(symbol)));
        dir
    }

    /// The file of a day (days since 1970).
    pub fn part(&self, series: &Series, day: i64) -> PathBuf {
        self.series_dir(series).join(format!("date={}", date_text(day))).join(PART)
    }

    /// Everything there is, in order of symbol and kind.
    pub fn series(&self) -> Result<Vec<Series>, CatalogError> {
        let mut found = Vec::new();
        for venue in names(&self.dir)? {
            let Some(venue_name) = venue.strip_prefix("venue=").and_then(decode) else { continue };
            let venue_dir = self.dir.join(&venue);
            for kind_name in names(&venue_dir)? {
                let Some(Ok(kind)) = kind_name.strip_prefix("kind=").map(str::parse) else { continue };
                for symbol in names(&venue_dir.join(&kind_name))? {
                    let Some(symbol) = symbol.strip_prefix("symbol=").and_then(decode) else { continue };
                    found.push(Series { symbol: Symbol::new(&format!("{venue_name}:{symbol}")), kind });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Days (since 1970) of a series, in order.
    pub fn days(&self, series: &Series) -> Result<Vec<i64>, CatalogError> {
        let dir = self.series_dir(series);
        let names = names(&dir)?.into_iter();
        let mut days: Vec<i64> = names
            .filter(|name| dir.join(name).join(PART).is_file())
            .filter_map(|name| name.strip_prefix("date=").and_then(day_of))
            .collect();
        days.sort_unstable();
        Ok(days)
    }
}

impl Catalog {
    /// Missing bars between the first and the last bar of a span that the catalog has (times in ns, both inclusive).
    pub fn bar_gaps(&self, series: &Series, from: i64, to: i64) -> Result<Defects, CatalogError> {
        let Kind::Bars(interval) = series.kind else { return Ok(Defects::default()) };
        let mut gaps = Defects::default();
        let mut before: Option<i64> = None;
        for day in self.days(series)?.into_iter().filter(|d| (day(from)..=day(to)).contains(d)) {
            let mut reader = PartReader::open(&self.part(series, day))?;
            while let Some(table) = reader.next_table()? {
                for time in table.column(TS_EVENT).iter().filter(|t| (from..=to).contains(*t)) {
                    let missing = before.map_or(0, |b| missing_bars(b, *time, interval));
                    if missing > 0 {
                        let example = || format!("{series}: {missing} bars before {}", UnixNanos(*time));
                        gaps.add_many(DefectKind::Gap, missing, 0, example);
                    }
                    before = Some(*time);
                }
            }
        }
        Ok(gaps)
    }
}

/// Names in a directory, sorted; none where it does not exist.
fn names(dir: &Path) -> Result<Vec<String>, CatalogError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(CatalogError::io("read", dir, &e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| CatalogError::io("read", dir, &e))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Writes a whole file under its name or not at all, durably.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), CatalogError> {
    let io = |e: io::Error| CatalogError::io("write", path, &e);
    let temp = path.with_extension("json.tmp");
    RealFs.write(&temp, bytes).map_err(io)?;
    File::open(&temp).and_then(|f| f.sync_all()).map_err(io)?;
    RealFs.rename(&temp, path).map_err(io)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(io)
}

/// The UTC day of a time in ns.
pub fn day(time: i64) -> i64 {
    UnixNanos(time).day()
}

/// First nanosecond of a day.
pub fn day_start(day: i64) -> i64 {
    day.saturating_mul(NANOS_PER_DAY)
}

/// `2024-08-09`.
pub fn date_text(day: i64) -> String {
    let (y, m, d) = civil_from_days(day);
    format!("{y:04}-{m:02}-{d:02}")
}

fn day_of(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|p| p.parse::<i64>().ok());
    let (y, m, d) = (parts.next()??, parts.next()??, parts.next()??);
    let day = UnixNanos::from_civil(y, m, d, 0, 0, 0, 0)?.day();
    (date_text(day) == text).then_some(day)
}

/// As hive writes values into paths: what is not plain becomes `%XX`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // A name of dots alone would be a directory above.
    if out.bytes().all(|b| b == b'.') { out.replace('.', "%2E") } else { out }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_symbol_is_one_path_name_and_reads_back(text in "\\PC{1,30}") {
            let name = encode(&text);
            prop_assert!(!name.contains('/') && name != "." && name != ".." && name.is_ascii());
            prop_assert_eq!(decode(&name), Some(text));
        }

        #[test]
        fn dates_read_back(day in 0i64..106_751) {
            prop_assert_eq!(day_of(&date_text(day)), Some(day));
        }
    }

    #[test]
    fn a_directory_of_something_else_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.txt"), "").unwrap();
        assert!(Catalog::create(dir.path()).unwrap_err().message.contains("not empty and no catalog"));
        assert!(Catalog::open(dir.path()).unwrap_err().message.contains("no catalog"));
        assert!(Catalog::open(&dir.path().join("x")).unwrap_err().hint.contains("ctos data import"));
        let catalog = Catalog::create(&dir.path().join("new")).unwrap();
        let lock = catalog.lock().unwrap();
        assert!(catalog.lock().unwrap_err().message.contains("another process"));
        drop(lock);
        catalog.lock().unwrap();
    }
}
