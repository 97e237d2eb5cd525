//! A log file as Kafka's `FileRecords` walks it: batch after batch, by their lengths alone, so that a
//! batch that is damaged within does not hide those after it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::DumpError;
use crate::env::{Disk, DiskFile, OpenMode, read_all};
use crate::records::{BATCH_HEADER_BYTES, BatchHeader, RecordError, Records};

/// Bytes up to the magic, at least which must follow for a batch to be looked at.
const BYTES_UP_TO_MAGIC: u64 = 17;
/// Offset and length, which the length does not count.
const LOG_OVERHEAD_BYTES: u64 = 12;
/// Smallest length of any message format.
const LENGTH_MIN: i32 = 14;
/// The message format that can be read, and any after it.
const MAGIC: i8 = 2;

/// An open log file.
pub(super) struct LogFile {
    file: Arc<dyn DiskFile>,
    path: String,
    size_bytes: u64,
}

/// A batch by its header, of which nothing is known to be right.
pub(super) struct Batch {
    /// Where it begins in the file.
    pub(super) position: u64,
    /// The fields as they stand there.
    pub(super) header: BatchHeader,
}

impl Batch {
    /// Size of the batch; may be less than its header has.
    pub(super) fn size_bytes(&self) -> u64 {
        LOG_OVERHEAD_BYTES + u64::from(self.header.batch_length.unsigned_abs())
    }

    /// Position after its last byte.
    pub(super) fn end(&self) -> u64 {
        self.position + self.size_bytes()
    }

    /// Whether `bytes`, all of the batch, are what its checksum says.
    pub(super) fn is_valid(&self, bytes: &[u8]) -> bool {
        bytes.len() >= BATCH_HEADER_BYTES && self.header.verify_crc(bytes)
    }
}

impl LogFile {
    pub(super) fn open(disk: &dyn Disk, path: &str) -> Result<Self, DumpError> {
        let failed = |cause| DumpError::File { path: path.to_owned(), cause };
        let file = disk.open(Path::new(path), OpenMode::Read).map_err(failed)?;
        let size_bytes = file.len().map_err(failed)?;
        if size_bytes > u64::from(i32::MAX.unsigned_abs()) {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        Ok(Self { file, path: path.to_owned(), size_bytes })
    }

    /// Where `length` bytes from `position` end, or the file before them.
    pub(super) fn end_of(&self, position: i64, length: i32) -> Result<u64, DumpError> {
        let size_bytes = self.size_bytes;
        let start = u64::try_from(position).ok().filter(|position| *position <= size_bytes);
        let start = start.ok_or_else(|| {
            self.damaged(format!("position {position} is not in the {size_bytes} bytes"))
        })?;
        let length = u64::try_from(length)
            .map_err(|_| DumpError::Refused(format!("{length} is not a number of bytes")))?;
        Ok(size_bytes.min(start + length))
    }

    /// The batch at `position`; None if what is left until `end` is no whole batch.
    pub(super) fn batch_at(&self, position: u64, end: u64) -> Result<Option<Batch>, DumpError> {
        if position + BYTES_UP_TO_MAGIC >= end {
            return Ok(None);
        }
        let mut raw = [0; BATCH_HEADER_BYTES];
        let read = self.read(&mut raw, position)?;
        let batch_length = i32::from_be_bytes([raw[8], raw[9], raw[10], raw[11]]);
        let magic = raw[16] as i8;
        if batch_length < LENGTH_MIN {
            return Err(self.damaged(format!(
                "Found record size {batch_length} smaller than minimum record overhead \
                 ({LENGTH_MIN}) at position {position}"
            )));
        }
        if position + LOG_OVERHEAD_BYTES + u64::from(batch_length.unsigned_abs()) > end {
            return Ok(None);
        }
        if magic < MAGIC {
            return Err(self.damaged(format!(
                "the batch at position {position} has message format {magic}, of Kafka before 0.11; \
                 only later ones can be read"
            )));
        }
        if read < BATCH_HEADER_BYTES {
            return Err(self.damaged(format!("the file ends in a header at position {position}")));
        }
        // The fields are read whatever magic and length are, which are kept.
        raw[8..12].copy_from_slice(&(BATCH_HEADER_BYTES as i32).to_be_bytes());
        raw[16] = MAGIC as u8;
        let header = BatchHeader::parse(&raw).map_err(|error| self.damaged(error.to_string()))?;
        Ok(Some(Batch { position, header: BatchHeader { batch_length, magic, ..header } }))
    }

    /// All bytes of a batch that lies in the file.
    pub(super) fn bytes(&self, batch: &Batch) -> Result<Vec<u8>, DumpError> {
        let mut bytes = vec![0; batch.size_bytes() as usize];
        let read = self.read(&mut bytes, batch.position)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn read(&self, buffer: &mut [u8], position: u64) -> Result<usize, DumpError> {
        read_all(self.file.as_ref(), buffer, position)
            .map_err(|cause| DumpError::File { path: self.path.clone(), cause })
    }

    /// The file is damaged.
    pub(super) fn damaged(&self, what: String) -> DumpError {
        DumpError::Damaged { path: self.path.clone(), what }
    }

    /// The records of a batch cannot be read.
    pub(super) fn unreadable(&self, batch: &Batch, error: &RecordError) -> DumpError {
        let Batch { position, header } = batch;
        self.damaged(format!(
            "the records of the batch with offset {} at position {position} cannot be read: {error}",
            header.base_offset
        ))
    }
}

/// The reader of a batch's records; None for a batch without any, which Kafka looks no further at.
pub(super) fn records<'a>(
    batch: &Batch,
    bytes: &'a [u8],
) -> Result<Option<Records<'a>>, RecordError> {
    if batch.header.record_count == 0 {
        return Ok(None);
    }
    if bytes.len() < BATCH_HEADER_BYTES {
        return Err(RecordError::Truncated(batch.header.record_count));
    }
    Records::new(&batch.header, bytes).map(Some)
}
