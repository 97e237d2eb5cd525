//! Time indexes: their entries, compared with the batches that hold the offsets.

use bytes::Buf;

use super::complaints::Complaint;
use super::index::{OffsetIndex, check_length};
use super::log_file::{Batch, LogFile, records};
use super::{Dump, DumpError, NamedFile, read_whole};
use crate::records::RecordError;

const ENTRY_BYTES: usize = 12;
/// A batch without times, and what is before every entry.
const NO_TIMESTAMP: i64 = -1;

pub(super) fn dump(dump: &mut Dump<'_>, file: &NamedFile) -> Result<(), DumpError> {
    let base_offset = file.base_offset()?;
    let log = LogFile::open(dump.disk, &file.sibling(".log"))?;
    let index = OffsetIndex::open(dump.disk, &file.sibling(".index"), base_offset)?;
    let bytes = read_whole(dump.disk, &file.path)?;
    let entries = bytes.chunks_exact(ENTRY_BYTES).map(|mut entry| {
        let timestamp = entry.get_i64();
        (timestamp, base_offset.wrapping_add(entry.get_i32().into()))
    });
    if dump.options.index_sanity_check {
        check(&entries.collect::<Vec<_>>(), base_offset, file)?;
        check_length(&bytes, ENTRY_BYTES, file)?;
        return Ok(writeln!(dump.out, "{} passed sanity check.", file.path)?);
    }
    let mut previous = NO_TIMESTAMP;
    for (number, (timestamp, offset)) in entries.enumerate() {
        // The rest of a file that was made larger than what was written holds zeros.
        if offset == base_offset && number > 0 {
            return Ok(());
        }
        let found = batch_with(&log, index.position_of(offset), offset)?;
        let mut add = |complaint, first, second| {
            dump.complaints.add(complaint, &file.absolute, first, second);
        };
        match found {
            Some(batch) if batch.header.last_offset() == offset => {
                let latest = latest_timestamp(&log, &batch)?;
                if latest != timestamp {
                    add(Complaint::TimestampMismatch, timestamp, latest);
                }
                if previous >= timestamp {
                    add(Complaint::OutOfOrder, timestamp, previous);
                }
            }
            found => {
                let found = found.map_or(-1, |batch| batch.header.last_offset());
                add(Complaint::NotFound, offset, found);
            }
        }
        if !dump.options.verify_index_only {
            writeln!(dump.out, "timestamp: {timestamp} offset: {offset}")?;
        }
        previous = timestamp;
    }
    Ok(())
}

/// What a broker checks at its start.
fn check(entries: &[(i64, i64)], base_offset: i64, file: &NamedFile) -> Result<(), DumpError> {
    let (Some((first, _)), Some((last, offset))) = (entries.first(), entries.last()) else {
        return Ok(());
    };
    if last < first {
        return Err(file.damaged(format!("the last timestamp {last} is below the first {first}")));
    }
    if *offset < base_offset {
        let what = format!("the last offset {offset} is below the first {base_offset}");
        return Err(file.damaged(what));
    }
    Ok(())
}

/// The first batch from `position` on that ends at or after `offset`.
fn batch_with(log: &LogFile, position: i32, offset: i64) -> Result<Option<Batch>, DumpError> {
    let end = log.end_of(position.into(), i32::MAX)?;
    let mut position = u64::from(position.unsigned_abs());
    while let Some(batch) = log.batch_at(position, end)? {
        if batch.header.last_offset() >= offset {
            return Ok(Some(batch));
        }
        position = batch.end();
    }
    Ok(None)
}

/// The latest time of a record in the batch.
fn latest_timestamp(log: &LogFile, batch: &Batch) -> Result<i64, DumpError> {
    let bytes = log.bytes(batch)?;
    let walk = || -> Result<i64, RecordError> {
        let mut latest = NO_TIMESTAMP;
        if let Some(mut records) = records(batch, &bytes)? {
            while let Some(record) = records.next_facts()? {
                latest = latest.max(record.timestamp_ms);
            }
        }
        Ok(latest)
    };
    walk().map_err(|error| log.unreadable(batch, &error))
}
