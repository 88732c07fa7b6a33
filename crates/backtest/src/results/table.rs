//! One table as CSV and as Parquet, and Parquet read back. Columns are typed once; both files follow from that.
//! Never: writes a decimal through a float: CSV has its text, Parquet DECIMAL(38,18).

use super::cursor::Cursor;
use ctos_types::{Decimal, UnixNanos};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::record::Field;
use parquet::schema::types::Type;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Rows of a Parquet row group: what is held as cells at a time.
const GROUP: usize = 65_536;
/// Digits of a Parquet decimal: ±1e20 with 18 places.
const DIGITS: i32 = 38;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Decimal,
    Float,
    /// Nanoseconds since the epoch, UTC.
    Time,
    Bool,
}

/// Name, kind, and whether cells may be empty.
pub type Column = (&'static str, Kind, bool);

#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Decimal(Decimal),
    Float(f64),
    Time(UnixNanos),
    Bool(bool),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}
impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Text(Cow::Owned(text))
    }
}
impl From<i64> for Cell<'_> {
    fn from(n: i64) -> Self {
        Cell::Int(n)
    }
}
impl From<Decimal> for Cell<'_> {
    fn from(d: Decimal) -> Self {
        Cell::Decimal(d)
    }
}
impl From<f64> for Cell<'_> {
    fn from(f: f64) -> Self {
        Cell::Float(f)
    }
}
impl From<UnixNanos> for Cell<'_> {
    fn from(at: UnixNanos) -> Self {
        Cell::Time(at)
    }
}
impl From<bool> for Cell<'_> {
    fn from(b: bool) -> Self {
        Cell::Bool(b)
    }
}
impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// Why a table was not written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Parquet(#[from] ParquetError),
}

/// Writes `NAME.csv` and `NAME.parquet` into `dir`, both durable. Every row has a cell for each column.
pub fn write<'a>(
    dir: &Path,
    name: &str,
    columns: &[Column],
    rows: impl Iterator<Item = Vec<Cell<'a>>>,
) -> Result<(), TableError> {
    let mut csv = BufWriter::new(File::create(dir.join(format!("{name}.csv")))?);
    let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
    writeln!(csv, "{}", names.join(","))?;
    let file = BufWriter::new(File::create(dir.join(format!("{name}.parquet")))?);
    let schema = Arc::new(schema(name, columns)?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut parquet = SerializedFileWriter::new(file, schema, Arc::new(properties.build()))?;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let group: Vec<Vec<Cell<'_>>> = rows.by_ref().take(GROUP).collect();
        for row in &group {
            write_line(&mut csv, row)?;
        }
        write_group(&mut parquet, columns, &group)?;
    }
    csv.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    parquet.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

fn schema(name: &str, columns: &[Column]) -> Result<Type, ParquetError> {
    let field = |(name, kind, optional): &Column| {
        let (physical, logical) = match kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Int => (Physical::INT64, None),
            Kind::Decimal => {
                (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(i32::from(Decimal::PLACES), DIGITS)))
            }
            Kind::Float => (Physical::DOUBLE, None),
            Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Kind::Bool => (Physical::BOOLEAN, None),
        };
        let repetition = if *optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        let builder = match kind {
            Kind::Decimal => builder.with_length(16).with_precision(DIGITS).with_scale(i32::from(Decimal::PLACES)),
            _ => builder,
        };
        Ok(Arc::new(builder.with_logical_type(logical).build()?))
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, ParquetError>>()?;
    Type::group_type_builder(name).with_fields(fields).build()
}

fn write_group<W: Write + Send>(
    out: &mut SerializedFileWriter<W>,
    columns: &[Column],
    rows: &[Vec<Cell<'_>>],
) -> Result<(), ParquetError> {
    let mut group = out.next_row_group()?;
    for (at, column) in columns.iter().enumerate() {
        let mut writer = group.next_column()?.ok_or_else(|| ParquetError::General("a column less".into()))?;
        write_column(&mut writer, column, rows.iter().map(|row| &row[at]))?;
        writer.close()?;
    }
    group.close()?;
    Ok(())
}

fn write_column<'a>(
    out: &mut SerializedColumnWriter<'_>,
    (name, kind, optional): &Column,
    cells: impl Iterator<Item = &'a Cell<'a>> + Clone,
) -> Result<(), ParquetError> {
    let levels: Option<Vec<i16>> =
        optional.then(|| cells.clone().map(|c| i16::from(!matches!(c, Cell::Null))).collect());
    let levels = levels.as_deref();
    let wrong = |cell: &Cell<'_>| ParquetError::General(format!("column {name} cannot hold {cell:?}"));
    macro_rules! column {
        ($type:ty, $($cell:pat => $value:expr),+) => {{
            let mut values = Vec::new();
            for cell in cells {
                match cell {
                    $($cell => values.push($value),)+
                    Cell::Null if *optional => {}
                    other => return Err(wrong(other)),
                }
            }
            out.typed::<$type>().write_batch(&values, levels, None)?;
        }};
    }
    match kind {
        Kind::Text => column!(ByteArrayType, Cell::Text(t) => ByteArray::from(t.as_bytes().to_vec())),
        Kind::Int => column!(Int64Type, Cell::Int(n) => *n),
        Kind::Decimal => column!(FixedLenByteArrayType, all @ Cell::Decimal(d) => fixed(*d).ok_or_else(|| wrong(all))?),
        Kind::Float => column!(DoubleType, Cell::Float(f) => *f),
        Kind::Time => column!(Int64Type, Cell::Time(at) => at.0),
        Kind::Bool => column!(BoolType, Cell::Bool(b) => *b),
    }
    Ok(())
}

/// Big-endian two's complement. `None` for what needs more digits than the type declares.
fn fixed(d: Decimal) -> Option<FixedLenByteArray> {
    let fits = d.atoms().unsigned_abs() < 10u128.pow(DIGITS as u32);
    fits.then(|| ByteArray::from(d.atoms().to_be_bytes().to_vec()).into())
}

fn write_line(out: &mut impl Write, row: &[Cell<'_>]) -> io::Result<()> {
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        match cell {
            Cell::Null => {}
            Cell::Text(t) => write_text(out, t)?,
            Cell::Int(n) => write!(out, "{n}")?,
            Cell::Decimal(d) => write!(out, "{d}")?,
            Cell::Float(f) => write!(out, "{f}")?,
            Cell::Time(at) => write!(out, "{at}")?,
            Cell::Bool(b) => write!(out, "{b}")?,
        }
    }
    out.write_all(b"\n")
}

/// RFC 4180: quoted where a reader would otherwise see another column or row.
fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    if text.contains([',', '"', '\n', '\r']) {
        write!(out, "\"{}\"", text.replace('"', "\"\""))
    } else {
        out.write_all(text.as_bytes())
    }
}

/// Reads `NAME.parquet`, one call of `take` for each row. The file must have these very columns.
///
/// # Errors
/// What is wrong with the file, or with the row that `take` refused, in words.
pub fn read(
    dir: &Path,
    name: &str,
    columns: &[Column],
    mut take: impl FnMut(&mut Cursor<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let path = dir.join(format!("{name}.parquet"));
    let file = File::open(&path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
    let damaged = |why: String| format!("{}: {why}", path.display());
    let reader = SerializedFileReader::new(file).map_err(|e| damaged(e.to_string()))?;
    let want = schema(name, columns).map_err(|e| e.to_string())?;
    let have = reader.metadata().file_metadata().schema();
    let same = |a: &Type, b: &Type| a.name() == b.name() && a.get_physical_type() == b.get_physical_type();
    let fields = have.get_fields();
    if fields.len() != columns.len()
        || fields.iter().zip(want.get_fields()).any(|(a, b)| !a.is_primitive() || !same(a, b))
    {
        return Err(damaged("not the columns that this version of ctos writes".into()));
    }
    let rows = reader.get_row_iter(None).map_err(|e| damaged(e.to_string()))?;
    for (number, row) in (1u64..).zip(rows) {
        let row = row.map_err(|e| damaged(e.to_string()))?.into_columns();
        let cells = row.iter().zip(columns).map(|((_, field), column)| cell(field, column));
        let cells = cells.collect::<Option<Vec<_>>>().ok_or_else(|| damaged(format!("row {number} is damaged")))?;
        take(&mut Cursor::new(&cells)).map_err(|why| damaged(format!("row {number}: {why}")))?;
    }
    Ok(())
}

fn cell<'a>(field: &'a Field, (_, kind, _): &Column) -> Option<Cell<'a>> {
    Some(match (field, kind) {
        (Field::Null, _) => Cell::Null,
        (Field::Str(s), Kind::Text) => Cell::Text(Cow::Borrowed(s)),
        (Field::Long(n), Kind::Int) => Cell::Int(*n),
        (Field::Long(n), Kind::Time) => Cell::Time(UnixNanos(*n)),
        (Field::Decimal(d), Kind::Decimal) => {
            let bytes: [u8; 16] = d.data().try_into().ok()?;
            Cell::Decimal(Decimal::from_atoms(i128::from_be_bytes(bytes)))
        }
        (Field::Double(f), Kind::Float) => Cell::Float(*f),
        (Field::Bool(b), Kind::Bool) => Cell::Bool(*b),
        _ => return None,
    })
}
