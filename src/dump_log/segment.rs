//! Log segments and metadata snapshots: their batches, records and trailing bytes.

use std::io;

use super::complaints::Complaint;
use super::control::control_text;
use super::log_file::{Batch, LogFile, records};
use super::text::java_text;
use super::{Dump, DumpError, NamedFile};
use crate::records::{Compression, Record, RecordError, increment_sequence};

/// Digits of the offset and the epoch in the name of a metadata snapshot, a dash between them.
const OFFSET_DIGITS: usize = 20;
const EPOCH_DIGITS: usize = 10;

pub(super) fn dump(dump: &mut Dump<'_>, file: &NamedFile) -> Result<(), DumpError> {
    print_start(dump, file)?;
    let log = LogFile::open(dump.disk, &file.path)?;
    let end = log.end_of(0, dump.options.max_bytes)?;
    let (mut position, mut last_offset) = (0, -1);
    while let Some(batch) = log.batch_at(position, end)? {
        let bytes = print_batch(dump, &log, &batch)?;
        if dump.options.prints_records() {
            print_records(dump, file, &log, (&batch, &bytes), &mut last_offset)?;
        }
        position = batch.end();
    }
    if end > position && dump.options.max_bytes == i32::MAX {
        let name = file.name();
        writeln!(dump.out, "Found {} invalid bytes at the end of {name}", end - position)?;
    }
    Ok(())
}

/// Says what the file's name says.
fn print_start(dump: &mut Dump<'_>, file: &NamedFile) -> Result<(), DumpError> {
    let name = file.name();
    if file.ending() == "log" {
        writeln!(dump.out, "Log starting offset: {}", file.base_offset()?)?;
    } else if name == "bootstrap.checkpoint" {
        writeln!(dump.out, "KRaft bootstrap snapshot")?;
    } else {
        let (offset, epoch) = snapshot_id(name)
            .ok_or_else(|| file.damaged("a snapshot is named offset-epoch.checkpoint"))?;
        writeln!(dump.out, "Snapshot end offset: {offset}, epoch: {epoch}")?;
    }
    Ok(())
}

fn snapshot_id(name: &str) -> Option<(i64, i32)> {
    let epoch = name.get(OFFSET_DIGITS + 1..)?.get(..EPOCH_DIGITS)?;
    Some((name.get(..OFFSET_DIGITS)?.parse().ok()?, epoch.parse().ok()?))
}

/// Prints the line of a batch; its bytes.
fn print_batch(dump: &mut Dump<'_>, log: &LogFile, batch: &Batch) -> Result<Vec<u8>, DumpError> {
    let Batch { position, header } = batch;
    let horizon = match header.has_delete_horizon() {
        true => format!("OptionalLong[{}]", header.base_timestamp),
        false => "OptionalLong.empty".to_owned(),
    };
    write!(
        dump.out,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
         producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} \
         deleteHorizonMs: {horizon}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.leader_epoch,
        header.is_transactional(),
        header.is_control(),
    )?;
    let codec = header.compression().ok_or_else(|| {
        log.unreadable(batch, &RecordError::UnknownCompression(header.attributes & 7))
    })?;
    let bytes = log.bytes(batch)?;
    writeln!(
        dump.out,
        " position: {position} {:?}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
        header.timestamp_type(),
        header.max_timestamp,
        batch.size_bytes(),
        header.magic,
        codec.name(),
        header.crc,
        batch.is_valid(&bytes),
    )?;
    Ok(bytes)
}

/// Prints the records of a batch, before one that cannot be read.
fn print_records(
    dump: &mut Dump<'_>,
    file: &NamedFile,
    log: &LogFile,
    (batch, bytes): (&Batch, &[u8]),
    last_offset: &mut i64,
) -> Result<(), DumpError> {
    let unreadable = |error| log.unreadable(batch, &error);
    let (count, damage) = sound_records(batch, bytes);
    if let Some(mut records) = records(batch, bytes).ok().flatten() {
        for _ in 0..count {
            let Some(record) = records.next().map_err(unreadable)? else { break };
            let offset = batch.header.base_offset.wrapping_add(record.offset_delta.into());
            if offset != last_offset.wrapping_add(1) {
                dump.complaints.add(Complaint::Gap, &file.absolute, *last_offset, offset);
            }
            *last_offset = offset;
            print_record(dump, batch, offset, record).map_err(|trouble| match trouble {
                Trouble::Output(error) => error.into(),
                Trouble::Record(what) => log.damaged(format!("offset {offset}: {what}")),
            })?;
        }
    }
    damage.map_or(Ok(()), |error| Err(unreadable(error)))
}

/// How many records Kafka prints, and what is wrong with the next one. It reads all of a compressed
/// batch before it prints any, and finds with the last record that bytes follow.
fn sound_records(batch: &Batch, bytes: &[u8]) -> (usize, Option<RecordError>) {
    let mut count = 0;
    let mut walk = || {
        let Some(mut records) = records(batch, bytes)? else { return Ok(()) };
        while records.next_facts()?.is_some() {
            count += 1;
        }
        Ok(())
    };
    let damage = walk().err();
    let is_plain = batch.header.compression() == Some(Compression::None);
    match damage {
        Some(RecordError::Trailing(_)) if is_plain => (count - 1, damage),
        Some(_) if !is_plain => (0, damage),
        _ => (count, damage),
    }
}

/// Why a record was not printed to its end.
pub(super) enum Trouble {
    /// The output cannot be written.
    Output(io::Error),
    /// What is wrong with the record.
    Record(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn print_record(
    dump: &mut Dump<'_>,
    batch: &Batch,
    offset: i64,
    record: Record<'_>,
) -> Result<(), Trouble> {
    let (out, options, header) = (&mut dump.out, dump.options, &batch.header);
    let (key, value) = (record.key, record.value);
    if !options.skip_record_metadata {
        let size = |part: Option<&[u8]>| part.map_or(-1, |bytes| bytes.len() as i64);
        let sequence = match header.base_sequence {
            first if first >= 0 => increment_sequence(first, record.offset_delta),
            _ => -1,
        };
        let header_keys: Vec<_> = record.headers.map(|(key, _)| java_text(key)).collect();
        write!(
            out,
            "| offset: {offset} {:?}: {} keySize: {} valueSize: {} sequence: {sequence} \
             headerKeys: [{}]",
            header.timestamp_type(),
            record.timestamp_ms,
            size(key),
            size(value),
            header_keys.join(","),
        )?;
        if header.is_control() {
            write!(out, " {}", control_text(key, value).map_err(Trouble::Record)?)?;
        }
    }
    if options.prints_contents() && !header.is_control() {
        let decoded = options.decoder().decode(offset, key, value);
        let (key, value) = decoded.map_err(Trouble::Record)?;
        let mut before = if options.skip_record_metadata { "| " } else { " " };
        for (name, text) in [("key", key), ("payload", value)] {
            if let Some(text) = text {
                write!(out, "{before}{name}: {text}")?;
                before = " ";
            }
        }
    }
    Ok(writeln!(out)?)
}
