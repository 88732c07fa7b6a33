//! Writes rows of one series into one CSV or Parquet file.
//! Never: leaves half a file under its name.

use super::{Rows, Selection, nothing};
use crate::error::CatalogError;
use crate::layout::{Catalog, Series};
use crate::part::{PartReader, PartWriter};
use crate::schema::{self, ColumnType, NULL};
use crate::table::{Table, max_scales};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Exact decimals as text, times in ns since 1970.
    Csv,
    /// The catalog's own columns, in one file.
    Parquet,
}

/// Writes the rows that `selection` holds to `out`. Returns their number.
///
/// # Errors
/// There are none, or the file cannot be written.
pub fn export(
    catalog: &Catalog,
    series: &Series,
    selection: &Selection,
    format: ExportFormat,
    out: &Path,
) -> Result<u64, CatalogError> {
    selection.check()?;
    let temp = temp_name(out);
    let written = match format {
        ExportFormat::Csv => csv_file(catalog, series, selection, &temp),
        ExportFormat::Parquet => parquet(catalog, series, selection, &temp),
    };
    let done = written.and_then(|rows| match rows {
        0 => Err(nothing(series, selection)),
        rows => std::fs::rename(&temp, out).map(|()| rows).map_err(|e| CatalogError::io("write", out, &e)),
    });
    if done.is_err() {
        // The error at hand says more than one about this file.
        let _ = std::fs::remove_file(&temp);
    }
    done
}

fn temp_name(out: &Path) -> PathBuf {
    let mut name = out.file_name().map(|n| n.to_os_string()).unwrap_or_default();
    name.push(".part");
    out.with_file_name(name)
}

fn csv_file(catalog: &Catalog, series: &Series, selection: &Selection, path: &Path) -> Result<u64, CatalogError> {
    let file = std::fs::File::create(path).map_err(|e| CatalogError::io("create", path, &e))?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let rows = csv(catalog, series, selection, &mut out, path)?;
    out.flush().map_err(|e| CatalogError::io("write", path, &e))?;
    Ok(rows)
}

fn csv(
    catalog: &Catalog,
    series: &Series,
    selection: &Selection,
    out: &mut impl Write,
    path: &Path,
) -> Result<u64, CatalogError> {
    let fail = |e: std::io::Error| CatalogError::io("write", path, &e);
    let names: Vec<&str> = schema::columns(series.kind).iter().map(|c| c.name).collect();
    writeln!(out, "{}", names.join(",")).map_err(fail)?;
    let (mut rows, mut count, mut line) = (Rows::new(catalog, series, selection)?, 0, String::new());
    while let Some(table) = rows.next_table()? {
        for row in 0..table.len() {
            line.clear();
            for at in 0..names.len() {
                if at > 0 {
                    line.push(',');
                }
                cell(&table, row, at, &mut line);
            }
            line.push('\n');
            out.write_all(line.as_bytes()).map_err(fail)?;
            count += 1;
        }
    }
    Ok(count)
}

fn cell(table: &Table, row: usize, at: usize, line: &mut String) {
    let value = table.column(at)[row];
    if value == NULL {
        return;
    }
    match (table.schema()[at].kind, table.cell_text(row, at)) {
        (ColumnType::Time, _) => line.push_str(&value.to_string()),
        (ColumnType::Text, Some(text)) => {
            line.push('"');
            line.push_str(&text.replace('"', "\"\""));
            line.push('"');
        }
        (_, Some(text)) => line.push_str(&text),
        (_, None) => {}
    }
}

fn parquet(catalog: &Catalog, series: &Series, selection: &Selection, path: &Path) -> Result<u64, CatalogError> {
    let mut like = Table::new(series.kind);
    let mut scales = like.scales().to_vec();
    for day in selection.days(catalog, series)? {
        let reader = PartReader::open(&catalog.part(series, day))?;
        scales = max_scales(&scales, &reader.info().scales);
    }
    let unfit = |e: crate::table::DoesNotFit| {
        CatalogError::new(
            format!("the values of {} need more than 18 digits together", e.column),
            "export fewer days into one file",
        )
    };
    like.raise_all(&scales).map_err(unfit)?;
    let mut writer = PartWriter::create(path, &like, false)?;
    let mut rows = Rows::new(catalog, series, selection)?;
    while let Some(mut table) = rows.next_table()? {
        table.raise_all(&scales).map_err(unfit)?;
        writer.write(&table)?;
    }
    Ok(writer.close(&["export".into()])?.rows)
}
