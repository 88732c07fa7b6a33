use super::*;
use crate::number::Number;
use crate::schema::NULL;
use crate::table::Table;
use proptest::prelude::*;

const ALL: [Kind; 8] = [
    Kind::Book,
    Kind::Quotes,
    Kind::Trades,
    Kind::Bars(ctos_types::Interval::M1),
    Kind::Funding,
    Kind::Marks,
    Kind::DepthBands,
    Kind::Instruments,
];

/// Rows with something of everything, nulls included.
fn filled(kind: Kind, rows: usize) -> Table {
    let mut table = Table::new(kind);
    for row in 0..rows {
        let mut cells = Vec::new();
        for (at, column) in schema::columns(kind).iter().enumerate() {
            let n = row as i64;
            let null = column.nullable && (row + at) % 3 == 0 && at > 0;
            cells.push(match column.kind {
                _ if null => NULL,
                ColumnType::Time => 1_700_000_000_000_000_000 + n,
                ColumnType::Decimal => {
                    table.decimal_cell(at, Number::new(n * 7 - 3, (row % 4) as u8).unwrap()).unwrap()
                }
                ColumnType::Int => n,
                ColumnType::Bool => n % 2,
                ColumnType::Word(words) => n % words.len() as i64,
                ColumnType::Text => table.intern(&format!("text {}", row % 5)),
            });
        }
        table.push(&cells);
        table.push_place(row as u64 + 2);
    }
    table
}

fn rows_of(table: &Table) -> Vec<String> {
    (0..table.len()).map(|row| format!("{} {}", table.place(row), table.describe(row))).collect()
}

#[test]
fn every_kind_reads_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ALL {
        for places in [false, true] {
            let path = dir.path().join("part");
            let mut table = filled(kind, 500);
            let mut writer = PartWriter::create(&path, &table, places).unwrap();
            writer.write(&table).unwrap();
            let written = writer.close(&["abc".into(), "def".into()]).unwrap();
            let mut reader = PartReader::open(&path).unwrap();
            assert_eq!(reader.info(), &written);
            assert_eq!((written.rows, written.sources.len(), written.scales.as_slice()), (500, 2, table.scales()));
            assert_eq!(written.file_bytes, std::fs::metadata(&path).unwrap().len());
            reader.check_digest().unwrap();
            let read = reader.next_table().unwrap().unwrap();
            if !places {
                table.set_places(Vec::new());
            }
            assert_eq!(rows_of(&read), rows_of(&table), "{kind}");
            assert!(reader.next_table().unwrap().is_none());
        }
    }
}

#[test]
fn many_rows_make_several_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part");
    let table = filled(Kind::Trades, ROW_GROUP * 2 + 10);
    let mut writer = PartWriter::create(&path, &table, false).unwrap();
    for at in (0..table.len()).step_by(1000) {
        writer.write_rows(&table, at, table.len().min(at + 1000)).unwrap();
    }
    writer.close(&[]).unwrap();
    let mut reader = PartReader::open(&path).unwrap();
    let mut sizes = Vec::new();
    while let Some(read) = reader.next_table().unwrap() {
        sizes.push(read.len());
    }
    assert_eq!(sizes, [ROW_GROUP, ROW_GROUP, 10]);
    let mut reader = PartReader::open(&path).unwrap();
    reader.skip_to(table.time(ROW_GROUP + 5));
    assert_eq!(reader.next_table().unwrap().unwrap().time(0), table.time(ROW_GROUP), "the first group is passed");
}

#[test]
fn rows_come_in_any_portions() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [Kind::Book, Kind::Instruments] {
        let path = dir.path().join("part");
        let table = filled(kind, ROW_GROUP + 1_000);
        let mut writer = PartWriter::create(&path, &table, true).unwrap();
        writer.write(&table).unwrap();
        writer.close(&[]).unwrap();
        let mut reader = PartReader::open(&path).unwrap();
        let mut rows = Vec::new();
        for limit in (0..).map(|n| 1 + n * 7_919 % 30_011) {
            let Some(read) = reader.next_rows(limit).unwrap() else { break };
            assert!(!read.is_empty() && read.len() <= limit, "{} of {limit}", read.len());
            rows.extend(rows_of(&read));
        }
        assert!(rows == rows_of(&table), "{kind}: the rows differ");
        // What is left of a row group that was begun, and back to its beginning.
        reader.seek(0);
        assert_eq!(reader.next_rows(10).unwrap().unwrap().len(), 10);
        assert_eq!(reader.next_table().unwrap().unwrap().len(), ROW_GROUP - 10);
        reader.seek(0);
        assert_eq!(reader.next_table().unwrap().unwrap().len(), ROW_GROUP);
    }
}

#[test]
fn damage_is_named_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part");
    let table = filled(Kind::Quotes, 300);
    let mut writer = PartWriter::create(&path, &table, false).unwrap();
    writer.write(&table).unwrap();
    let info = writer.close(&["x".into()]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x20;
        std::fs::write(&path, &bad).unwrap();
        let seen = PartReader::open(&path).and_then(|mut r| {
            r.check_digest()?;
            while r.next_table()?.is_some() {}
            Ok(())
        });
        if (at as u64) < info.data_bytes {
            let e = seen.expect_err("a flipped bit in the data");
            assert!(e.message.contains("part"), "{e}");
        }
    }
    for cut in [0, 1, 4, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(PartReader::open(&path).unwrap_err().message.contains("not a whole Parquet file"), "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_decimals_come_back_exactly(numbers in prop::collection::vec((-99_999_999i64..99_999_999, 0u8..9), 1..50)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let mut table = Table::new(Kind::Funding);
        for (row, (mantissa, places)) in numbers.iter().enumerate() {
            let cell = table.decimal_cell(2, Number::new(*mantissa, *places).unwrap()).unwrap();
            table.push(&[row as i64, NULL, cell, NULL]);
        }
        let mut writer = PartWriter::create(&path, &table, false).unwrap();
        writer.write(&table).unwrap();
        writer.close(&[]).unwrap();
        let read = PartReader::open(&path).unwrap().next_table().unwrap().unwrap();
        for (row, (mantissa, places)) in numbers.iter().enumerate() {
            prop_assert_eq!(read.number(row, 2), Number::new(*mantissa, *places).ok());
        }
    }
}
