//! Reading a log: positions are looked up here, bytes are left in the file.
//!
//! A read near the end of the log runs in line, since index and bytes are in memory; anything else
//! goes to the offload pool, and a range the device still has to deliver is read once there, so
//! that the caller can send it without waiting.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::core::Core;
use super::scan::{LOOKUP_BUFFER_BYTES, Located};
use super::segment::Segment;
use crate::env::{DiskFile, read_all};
use crate::log::{LogRead, ReadError};
use crate::records::BatchHeader;
use crate::wire::Chunk;

/// Bytes read at once to warm a range.
const WARM_BUFFER_BYTES: usize = 256 * 1024;

/// A range of a log file.
struct Range {
    file: Arc<dyn DiskFile>,
    position: u64,
    length: usize,
}

impl Core {
    pub(super) async fn read(
        self: &Arc<Self>,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> Result<LogRead, ReadError> {
        self.check_range(from)?;
        let until = until.min(self.end_offset());
        let empty = LogRead { chunk: Chunk::Bytes(Bytes::new()) };
        if from >= until {
            return Ok(empty);
        }
        let located = if self.is_near_end(from) {
            self.locate(from, until, max_bytes)
        } else {
            let core = Arc::clone(self);
            let locate = move || core.locate(from, until, max_bytes);
            self.shared.env.offload.run(locate).await
        };
        let Some(range) = located.map_err(|error| self.read_error(from, error))? else {
            return Ok(empty);
        };
        if !range.file.is_cached(range.position, range.length) {
            let (file, position, length) = (Arc::clone(&range.file), range.position, range.length);
            let warm = move || warm(file.as_ref(), position, length);
            self.shared.env.offload.run(warm).await?;
        }
        Ok(LogRead {
            chunk: Chunk::File { file: range.file, position: range.position, length: range.length },
        })
    }

    fn check_range(&self, offset: i64) -> Result<(), ReadError> {
        let (start_offset, end_offset) = (self.start_offset(), self.end_offset());
        if (start_offset..=end_offset).contains(&offset) {
            return Ok(());
        }
        Err(ReadError::OutOfRange { offset, start_offset, end_offset })
    }

    /// A segment may be deleted under a reader; then the offset it looked for is out of range.
    fn read_error(&self, from: i64, error: io::Error) -> ReadError {
        self.check_range(from).err().unwrap_or(ReadError::Io(error))
    }

    fn is_near_end(&self, from: i64) -> bool {
        let segments = self.segments.load();
        let active = &segments[segments.len() - 1];
        active.recent_position(from).is_some_and(|position| {
            active.file().is_ok_and(|file| file.is_cached(position, LOOKUP_BUFFER_BYTES))
        })
    }

    fn locate(&self, from: i64, until: i64, max_bytes: usize) -> io::Result<Option<Range>> {
        let (segments, first) = self.segments_from(from);
        for segment in &segments[first..] {
            if segment.base_offset >= until {
                break;
            }
            let tail = segment.tail();
            let limit = if until >= tail.end_offset {
                tail.size_bytes
            } else {
                let bound = segment.find(until, tail.size_bytes)?;
                bound.map_or(tail.size_bytes, |batch| batch.position)
            };
            if let Some(first) = segment.find(from, limit)? {
                let available = usize::try_from(limit - first.position).unwrap_or(usize::MAX);
                return Ok(Some(Range {
                    file: segment.file()?,
                    position: first.position,
                    length: available.min(max_bytes.max(first.header.size_bytes())),
                }));
            }
        }
        Ok(None)
    }

    /// The segments, and which of them holds `offset`.
    fn segments_from(&self, offset: i64) -> (Arc<Vec<Arc<Segment>>>, usize) {
        let segments = self.segments.load_full();
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        (segments, after.saturating_sub(1))
    }

    pub(super) async fn first_batch_at_time(
        self: &Arc<Self>,
        timestamp_ms: i64,
    ) -> Result<Option<BatchHeader>, ReadError> {
        let core = Arc::clone(self);
        let find = move || {
            let start_offset = core.start_offset();
            let (segments, first) = core.segments_from(start_offset);
            for segment in &segments[first..] {
                if let Some(batch) = segment.find_time(timestamp_ms, start_offset)? {
                    return Ok(Some(batch.header));
                }
            }
            Ok(None)
        };
        self.shared.env.offload.run(find).await.map_err(ReadError::Io)
    }

    pub(super) async fn batch_of_max_timestamp(
        self: &Arc<Self>,
    ) -> Result<Option<BatchHeader>, ReadError> {
        let core = Arc::clone(self);
        let find = move || {
            let start_offset = core.start_offset();
            let mut best: Option<Located> = None;
            let (segments, first) = core.segments_from(start_offset);
            for segment in &segments[first..] {
                let found = segment.find_largest_time(start_offset)?;
                let time = |batch: &Located| batch.header.max_timestamp;
                if found.as_ref().map(time) > best.as_ref().map(time) {
                    best = found;
                }
            }
            Ok(best.map(|batch| batch.header))
        };
        self.shared.env.offload.run(find).await.map_err(ReadError::Io)
    }
}

/// Reads a range so that the page cache has it.
fn warm(file: &dyn DiskFile, mut position: u64, mut length: usize) -> io::Result<()> {
    let mut buffer = vec![0; length.min(WARM_BUFFER_BYTES)];
    while length > 0 {
        let wanted = length.min(buffer.len());
        let read = read_all(file, &mut buffer[..wanted], position)?;
        if read < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        position += read as u64;
        length -= read;
    }
    Ok(())
}
