//! Files of records: JSON, whole or by lines, and CSV.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::{SeedError, SeedRecord};
use crate::env::{Disk, read_whole};

/// A larger file of records is not a seed.
const FILE_BYTES_MAX: u64 = 1 << 30;

pub(super) fn failed(path: &Path, what: impl Display) -> SeedError {
    SeedError::File { path: path.to_owned(), what: what.to_string() }
}

/// The text of a file.
pub(super) fn text(disk: &dyn Disk, path: &Path) -> Result<String, SeedError> {
    let bytes = read_whole(disk, path, FILE_BYTES_MAX).map_err(|error| failed(path, error))?;
    let bytes = bytes.ok_or_else(|| failed(path, std::io::Error::from(ErrorKind::NotFound)))?;
    String::from_utf8(bytes).map_err(|error| failed(path, error))
}

/// The records of a file, whose name says its form.
pub(super) fn records(disk: &dyn Disk, path: &Path) -> Result<Vec<SeedRecord>, SeedError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_lowercase).as_deref() {
        Some("csv") => csv_records(path, &text(disk, path)?),
        Some("json" | "jsonl" | "ndjson") => json_records(path, &text(disk, path)?),
        _ => Err(failed(path, "records are read from .json (.jsonl, .ndjson) and .csv files")),
    }
}

/// A list, or one record after the other.
fn json_records(path: &Path, text: &str) -> Result<Vec<SeedRecord>, SeedError> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| failed(path, error));
    }
    let records = serde_json::Deserializer::from_str(text).into_iter();
    records.collect::<Result<_, _>>().map_err(|error| failed(path, error))
}

fn csv_records(path: &Path, text: &str) -> Result<Vec<SeedRecord>, SeedError> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|error| failed(path, error))?.clone();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| failed(path, error))?;
        let line = row.position().map_or(0, csv::Position::line);
        let mut record = SeedRecord::default();
        for (column, cell) in columns.iter().zip(&row) {
            set(&mut record, column, cell)
                .map_err(|what| failed(path, format!("line {line}, column '{column}': {what}")))?;
        }
        records.push(record);
    }
    Ok(records)
}

/// Takes over one cell. An empty key is none; an empty value is an empty text.
fn set(record: &mut SeedRecord, column: &str, cell: &str) -> Result<(), String> {
    let number = || cell.trim().parse::<i64>().map_err(|error| error.to_string());
    match column {
        "key" if cell.is_empty() => {}
        "key" => record.key = cell.into(),
        "value" => record.value = cell.into(),
        "partition" | "timestamp" if cell.trim().is_empty() => {}
        "partition" => {
            let partition = i32::try_from(number()?).map_err(|error| error.to_string())?;
            record.partition = Some(partition);
        }
        "timestamp" => record.timestamp = Some(number()?),
        column => {
            let name = column.strip_prefix("header.").ok_or_else(|| {
                "it must be key, value, partition, timestamp or header.NAME".to_owned()
            })?;
            record.headers.insert(name.to_owned(), Value::from(cell));
        }
    }
    Ok(())
}
