//! Offset indexes: their entries, compared with the batches they point to.

use bytes::Buf;

use super::complaints::Complaint;
use super::log_file::LogFile;
use super::{Dump, DumpError, NamedFile, read_whole};
use crate::env::Disk;

const ENTRY_BYTES: usize = 8;
/// Entries at the end that Kafka looks at first.
const WARM_ENTRIES: usize = 8192 / ENTRY_BYTES;

pub(super) fn dump(dump: &mut Dump<'_>, file: &NamedFile) -> Result<(), DumpError> {
    let base_offset = file.base_offset()?;
    let log = LogFile::open(dump.disk, &file.sibling(".log"))?;
    let index = OffsetIndex::open(dump.disk, &file.path, base_offset)?;
    if index.len() == 0 {
        return Ok(writeln!(dump.out, "{} is empty.", file.path)?);
    }
    if dump.options.index_sanity_check {
        index.check(file)?;
        return Ok(writeln!(dump.out, "{} passed sanity check.", file.path)?);
    }
    for number in 0..index.len() {
        let (offset, position) = index.entry(number);
        // The rest of a file that was made larger than what was written holds zeros.
        if offset == base_offset && number > 0 {
            return Ok(());
        }
        let end = log.end_of(position.into(), dump.options.max_message_size)?;
        let batch = log.batch_at(u64::from(position.unsigned_abs()), end)?.ok_or_else(|| {
            file.damaged(format!(
                "offset {offset}: no batch of at most --max-message-size {} stands at position \
                 {position} of the log",
                dump.options.max_message_size
            ))
        })?;
        let found = batch.header.last_offset();
        if found != offset {
            dump.complaints.add(Complaint::IndexMismatch, &file.absolute, offset, found);
        }
        if !dump.options.verify_index_only {
            writeln!(dump.out, "offset: {offset} position: {position}")?;
        }
    }
    Ok(())
}

/// An offset index; a part of an entry at its end does not count.
pub(super) struct OffsetIndex {
    bytes: Vec<u8>,
    base_offset: i64,
}

impl OffsetIndex {
    pub(super) fn open(disk: &dyn Disk, path: &str, base_offset: i64) -> Result<Self, DumpError> {
        Ok(Self { bytes: read_whole(disk, path)?, base_offset })
    }

    fn len(&self) -> usize {
        self.bytes.len() / ENTRY_BYTES
    }

    /// The offset and position of an entry that is there.
    fn entry(&self, number: usize) -> (i64, i32) {
        let mut entry = &self.bytes[number * ENTRY_BYTES..][..ENTRY_BYTES];
        (self.base_offset.wrapping_add(entry.get_i32().into()), entry.get_i32())
    }

    /// What a broker checks at its start.
    fn check(&self, file: &NamedFile) -> Result<(), DumpError> {
        let (last, first) = (self.entry(self.len() - 1).0, self.base_offset);
        if last < first {
            return Err(file.damaged(format!("the last offset {last} is below the first {first}")));
        }
        check_length(&self.bytes, ENTRY_BYTES, file)
    }

    /// The position for the last entry up to `offset`, found by Kafka's search, so that it is
    /// Kafka's also in an index without order.
    pub(super) fn position_of(&self, offset: i64) -> i32 {
        let Some(last) = self.len().checked_sub(1) else { return 0 };
        let warm = last.saturating_sub(WARM_ENTRIES);
        let (mut low, mut high) = match self.entry(warm).0 < offset {
            true => (warm, last),
            false if self.entry(0).0 > offset => return 0,
            false => (0, warm),
        };
        while low < high {
            let middle = (low + high).div_ceil(2);
            let (found, position) = self.entry(middle);
            if found == offset {
                return position;
            }
            if found > offset {
                high = middle - 1;
            } else {
                low = middle;
            }
        }
        self.entry(low).1
    }
}

/// An index holds whole entries.
pub(super) fn check_length(
    bytes: &[u8],
    entry_bytes: usize,
    file: &NamedFile,
) -> Result<(), DumpError> {
    let length = bytes.len();
    if length.is_multiple_of(entry_bytes) {
        return Ok(());
    }
    Err(file.damaged(format!("{length} bytes are not a multiple of an entry's {entry_bytes}")))
}
