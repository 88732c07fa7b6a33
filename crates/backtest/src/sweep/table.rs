//! The table of all trials as CSV and Parquet: one line a run, in the order of search, number and part.
//! Never: a time or a path of this machine. The same sweep gives the same bytes.

use super::schedule::{Outcome, Row, Sweep};
use super::split::Part;
use super::trial::Figures;
use ctos_runtime::RunError;
use ctos_types::Currency;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// One column, a value or nothing for each row.
struct Column {
    name: String,
    cells: Cells,
}

enum Cells {
    Whole(Vec<Option<i64>>),
    /// Nanoseconds since 1970 UTC.
    Time(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

/// The figures of a trial by their names.
type Figure = (&'static str, fn(&Figures) -> Option<f64>);
const FIGURES: [Figure; 10] = [
    ("total_return", |f| f.total_return),
    ("annual_return", |f| f.annual_return),
    ("volatility", |f| f.volatility),
    ("sharpe", |f| f.sharpe),
    ("sortino", |f| f.sortino),
    ("calmar", |f| f.calmar),
    ("max_drawdown", |f| f.max_drawdown),
    ("win_rate", |f| f.win_rate),
    ("profit_factor", |f| f.profit_factor),
    ("expectancy", |f| f.expectancy),
];

fn columns(sweep: &Sweep, outcome: &Outcome) -> Vec<Column> {
    let rows = &outcome.rows;
    let mut columns = Vec::new();
    let whole = |name: &str, of: &dyn Fn(&Row) -> i64| Column {
        name: name.into(),
        cells: Cells::Whole(rows.iter().map(|r| Some(of(r))).collect()),
    };
    let text = |name: &str, of: &dyn Fn(&Row) -> Option<String>| Column {
        name: name.into(),
        cells: Cells::Text(rows.iter().map(of).collect()),
    };
    let float = |name: &str, of: &dyn Fn(&Row) -> Option<f64>| Column {
        name: name.into(),
        cells: Cells::Float(rows.iter().map(of).collect()),
    };
    let time = |name: &str, of: &dyn Fn(&Row) -> i64| Column {
        name: name.into(),
        cells: Cells::Time(rows.iter().map(|r| Some(of(r))).collect()),
    };
    let window = |r: &Row| sweep.folds[r.fold].window(r.part).unwrap_or(sweep.folds[r.fold].train);
    let split = sweep.folds.iter().any(|f| f.test.is_some());
    columns.push(whole("fold", &|r| r.fold as i64));
    columns.push(text("part", &|r| Some(if split { r.part.name() } else { "all" }.into())));
    columns.push(time("from", &|r| window(r).from.0));
    columns.push(time("to", &|r| window(r).to.0));
    columns.push(whole("number", &|r| r.number as i64));
    for (i, axis) in sweep.space.axes().iter().enumerate() {
        let name = format!("param_{}", axis.name);
        let value = |r: &Row| axis.values[r.point[i] as usize].clone();
        columns.push(if axis.is_numeric() {
            float(&name, &|r| value(r).parse().ok())
        } else {
            text(&name, &|r| Some(value(r)))
        });
    }
    columns.push(float("score", &|r| r.score.map(|s| sweep.scoring.shown(s))));
    for (name, of) in FIGURES {
        columns.push(float(name, &|r| of(&r.result.figures)));
    }
    columns.push(whole("trades", &|r| r.result.figures.trades as i64));
    columns.push(whole("fills", &|r| r.result.figures.fills as i64));
    columns.push(whole("returns", &|r| r.result.figures.returns.count as i64));
    columns.push(float("period_sharpe", &|r| r.result.figures.returns.sharpe));
    columns.push(float("skewness", &|r| r.result.figures.returns.skewness));
    columns.push(float("kurtosis", &|r| r.result.figures.returns.kurtosis));
    let currencies: BTreeSet<Currency> = rows.iter().flat_map(|r| r.result.equity.keys().copied()).collect();
    for currency in currencies {
        let worth = |r: &Row| r.result.equity.get(&currency).copied();
        columns.push(text(&format!("equity_start_{currency}"), &|r| worth(r).map(|w| w.start.to_string())));
        columns.push(text(&format!("equity_end_{currency}"), &|r| worth(r).map(|w| w.end.to_string())));
    }
    columns.push(whole("events", &|r| r.result.events as i64));
    columns.push(text("failed", &|r| r.result.failed.clone()));
    columns.push(text("command_hash", &|r| Some(r.result.command_hash.clone())));
    columns.push(text("result_hash", &|r| Some(r.result.hash())));
    columns.push(text("trial", &|r| Some(r.trial.clone())));
    columns
}

/// Values without a number are empty; times are ns since 1970 UTC; swept values are as the strategy took them.
pub fn csv(sweep: &Sweep, outcome: &Outcome) -> String {
    let columns = columns(sweep, outcome);
    let mut out = String::new();
    let names: Vec<String> = columns.iter().map(|c| quoted(&c.name)).collect();
    out += &names.join(",");
    out.push('\n');
    for (i, row) in outcome.rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            if j > 0 {
                out.push(',');
            }
            // The exact text, also of numbers: order amounts are money.
            let swept = column.name.strip_prefix("param_");
            let axis = swept.and_then(|name| sweep.space.axes().iter().position(|a| a.name == name));
            if let Some(axis) = axis {
                out += &quoted(&sweep.space.axes()[axis].values[row.point[axis] as usize]);
                continue;
            }
            // Writing to a string cannot fail.
            let _ = match &column.cells {
                Cells::Whole(cells) | Cells::Time(cells) => cells[i].map_or(Ok(()), |v| write!(out, "{v}")),
                Cells::Float(cells) => cells[i].map_or(Ok(()), |v| write!(out, "{v}")),
                Cells::Text(cells) => cells[i].as_deref().map_or(Ok(()), |v| write!(out, "{}", quoted(v))),
            };
        }
        out.push('\n');
    }
    out
}

/// A field that would break a line or be taken for a formula's start is put into quotes.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// One row group, zstd; `from` and `to` are UTC timestamps in ns.
///
/// # Errors
/// Internal: a table of plain columns can always be written.
pub fn parquet(sweep: &Sweep, outcome: &Outcome) -> Result<Vec<u8>, RunError> {
    write(&columns(sweep, outcome)).map_err(|e| RunError::Internal(format!("the table cannot be written: {e}")))
}

fn write(columns: &[Column]) -> Result<Vec<u8>, ParquetError> {
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("trials").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for column in columns {
        let Some(mut writer) = group.next_column()? else { break };
        match (writer.untyped(), &column.cells) {
            (ColumnWriter::Int64ColumnWriter(w), Cells::Whole(cells) | Cells::Time(cells)) => {
                w.write_batch(&present(cells), Some(&levels(cells)), None)?;
            }
            (ColumnWriter::DoubleColumnWriter(w), Cells::Float(cells)) => {
                w.write_batch(&present(cells), Some(&levels(cells)), None)?;
            }
            (ColumnWriter::ByteArrayColumnWriter(w), Cells::Text(cells)) => {
                let bytes: Vec<ByteArray> = cells.iter().flatten().map(|t| t.as_str().into()).collect();
                w.write_batch(&bytes, Some(&levels(cells)), None)?;
            }
            _ => return Err(ParquetError::General(format!("column {} has another type", column.name))),
        }
        writer.close()?;
    }
    group.close()?;
    file.into_inner()
}

fn field(column: &Column) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match column.cells {
        Cells::Whole(_) => (Physical::INT64, None),
        Cells::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Cells::Float(_) => (Physical::DOUBLE, None),
        Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let builder = Type::primitive_type_builder(&column.name, physical).with_repetition(Repetition::OPTIONAL);
    Ok(Arc::new(builder.with_logical_type(logical).build()?))
}

fn present<T: Copy>(cells: &[Option<T>]) -> Vec<T> {
    cells.iter().flatten().copied().collect()
}

fn levels<T>(cells: &[Option<T>]) -> Vec<i16> {
    cells.iter().map(|c| i16::from(c.is_some())).collect()
}

/// Whether `part` is shown to people as a window of its own.
pub fn part_name(sweep: &Sweep, part: Part) -> &'static str {
    if sweep.folds.iter().any(|f| f.test.is_some()) { part.name() } else { "all" }
}
