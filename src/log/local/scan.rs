//! Walks the batches of a log file.

use std::io;
use std::sync::Arc;

use crate::env::{DiskFile, read_all};
use crate::records::{BATCH_HEADER_BYTES, BatchError, BatchHeader};

/// Read-ahead for a lookup, about what lies between two index entries.
pub(super) const LOOKUP_BUFFER_BYTES: usize = 4 * 1024;
/// Read-ahead for walking a whole file.
pub(super) const WALK_BUFFER_BYTES: usize = 256 * 1024;

/// Smallest length field of message formats 0 and 1 (`LegacyRecord.RECORD_OVERHEAD_V0`).
const OLD_MESSAGE_LENGTH_MIN: u32 = 14;
/// Where the bytes covered by the CRC begin.
const CRC_COVERS_FROM: u64 = 21;

/// A batch in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    /// Position of its first byte.
    pub(super) position: u64,
    /// Its header.
    pub(super) header: BatchHeader,
}

impl Located {
    /// Position after its last byte.
    pub(super) fn end(&self) -> u64 {
        self.position + self.header.size_bytes() as u64
    }
}

/// A walk over the batches between two positions of a file. Memory is bounded by the read-ahead,
/// whatever the headers claim.
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    position: u64,
    limit: u64,
    /// No batch may begin below this offset: offsets grow.
    next_offset: i64,
    buffer: Vec<u8>,
    buffer_position: u64,
    read_ahead: usize,
}

impl Scanner {
    /// Starts at `position`, where a batch begins, and stops at `limit`, where one ends.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        position: u64,
        limit: u64,
        read_ahead: usize,
    ) -> Self {
        Self {
            file,
            position,
            limit,
            next_offset: 0,
            buffer: Vec::new(),
            buffer_position: 0,
            read_ahead,
        }
    }

    /// Refuses batches below `offset`.
    pub(super) fn expect_from(mut self, offset: i64) -> Self {
        self.next_offset = offset;
        self
    }

    /// The next batch, its records unread; None at the limit. Bytes that are no batch, or a batch
    /// that goes beyond the limit or back in offsets, are [`io::ErrorKind::InvalidData`], and a
    /// message format of Kafka's past is [`io::ErrorKind::Unsupported`].
    pub(super) fn next(&mut self) -> io::Result<Option<Located>> {
        let (position, limit) = (self.position, self.limit);
        if position == limit {
            return Ok(None);
        }
        let bytes = self.window(position, BATCH_HEADER_BYTES)?;
        let header = match BatchHeader::parse(bytes) {
            Ok(header) => header,
            Err(error @ BatchError::UnsupportedMagic(_)) if self.is_old_message()? => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, error));
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let located = Located { position, header };
        let next_offset = header.next_offset().filter(|next| {
            header.base_offset >= self.next_offset
                && *next > header.base_offset
                && located.end() <= limit
        });
        let Some(next_offset) = next_offset else {
            return Err(invalid("batch header is corrupt"));
        };
        self.next_offset = next_offset;
        self.position = located.end();
        Ok(Some(located))
    }

    /// Whether a whole message of format 0 or 1, good by its CRC-32, begins here: refused, while a
    /// torn write, which may look like one, is damage.
    fn is_old_message(&mut self) -> io::Result<bool> {
        let (mut position, mut crc) = (self.position, flate2::Crc::new());
        let bytes = self.window(position, BATCH_HEADER_BYTES)?;
        let field = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let (length, expected) = (field(8).unwrap_or(0), field(12).unwrap_or(0));
        let end = position + 12 + u64::from(length);
        if length < OLD_MESSAGE_LENGTH_MIN || end > self.limit {
            return Ok(false);
        }
        position += 16;
        while position < end {
            let bytes = self.window_until(position, end)?;
            crc.update(bytes);
            position += bytes.len() as u64;
        }
        Ok(crc.sum() == expected)
    }

    /// Reads all of a batch and compares its CRC-32C.
    pub(super) fn verify(&mut self, batch: Located) -> io::Result<()> {
        let (mut position, end) = (batch.position + CRC_COVERS_FROM, batch.end());
        let mut crc = 0;
        while position < end {
            let bytes = self.window_until(position, end)?;
            crc = crc32c::crc32c_append(crc, bytes);
            position += bytes.len() as u64;
        }
        if crc == batch.header.crc {
            return Ok(());
        }
        Err(invalid("batch checksum is wrong"))
    }

    /// All bytes of a batch found by this scanner, which lie in the file.
    pub(super) fn batch_bytes(&self, batch: Located) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; batch.header.size_bytes()];
        if read_all(self.file.as_ref(), &mut bytes, batch.position)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// Some bytes from `position` on, which lies before `end`.
    fn window_until(&mut self, position: u64, end: u64) -> io::Result<&[u8]> {
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        self.window(position, left.min(self.read_ahead.max(1)))
    }

    /// Bytes from `position` on: `wanted` of them, fewer only at the limit.
    fn window(&mut self, position: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.limit - position).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let buffered = position
            .checked_sub(self.buffer_position)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| skip.saturating_add(wanted) <= self.buffer.len());
        let skip = if let Some(skip) = buffered {
            skip
        } else {
            self.buffer.resize(left.min(self.read_ahead.max(wanted)), 0);
            let read = read_all(self.file.as_ref(), &mut self.buffer, position)?;
            self.buffer.truncate(read);
            self.buffer_position = position;
            if read < wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            0
        };
        Ok(&self.buffer[skip..skip + wanted])
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
