//! Reading a log: positions are looked up here, bytes are left in the file.
//!
//! A read of what memory has runs in line, index and batch headers included: to hand it to another thread
//! and back costs more than the read. Anything else goes to the offload pool, and a range the device still has
//! to deliver is read once there, so that the caller can send it without waiting.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::core::Core;
use super::scan::{LOOKUP_BUFFER_BYTES, Located};
use super::segment::Segment;
use crate::env::{DiskFile, read_all};
use crate::log::{AbortedTransaction, LogRead, ReadError};
use crate::records::BatchHeader;
use crate::wire::Chunk;

/// Bytes read at once to warm a range.
const WARM_BUFFER_BYTES: usize = 256 * 1024;

/// A range of a log file.
struct Range {
    file: Arc<dyn DiskFile>,
    position: u64,
    length: usize,
    aborted: Vec<AbortedTransaction>,
}

impl Core {
    /// Also looks for aborted transactions if `committed` is true.
    pub(super) async fn read(
        self: &Arc<Self>,
        from: i64,
        until: i64,
        max_bytes: usize,
        committed: bool,
    ) -> Result<LogRead, ReadError> {
        self.check_range(from)?;
        let until = until.min(self.end_offset());
        let empty = LogRead { chunk: Chunk::Bytes(Bytes::new()), aborted: Vec::new() };
        if from >= until {
            return Ok(empty);
        }
        let located = if self.is_at_hand(from, committed) {
            self.locate(from, until, max_bytes, committed)
        } else {
            let core = Arc::clone(self);
            let locate = move || core.locate(from, until, max_bytes, committed);
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
            aborted: range.aborted,
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

    /// Whether a lookup waits for no device.
    fn is_at_hand(&self, from: i64, committed: bool) -> bool {
        let (segments, first) = self.segments_from(from);
        let (segment, of_read) = (&segments[first], &segments[first..]);
        let position = segment.position_at_hand(from).filter(|_| {
            !committed || of_read.iter().all(|segment| segment.has_recent_aborted(from))
        });
        position.is_some_and(|position| {
            segment.file().is_ok_and(|file| file.is_cached(position, LOOKUP_BUFFER_BYTES))
        })
    }

    /// Looks again where the segment was given up or replaced meanwhile.
    fn again<T>(&self, look: impl Fn() -> io::Result<T>) -> io::Result<T> {
        loop {
            let before = self.segments.load_full();
            match look() {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && !Arc::ptr_eq(&before, &self.segments.load()) => {}
                found => return found,
            }
        }
    }

    fn locate(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
        committed: bool,
    ) -> io::Result<Option<Range>> {
        self.again(|| self.locate_now(from, until, max_bytes, committed))
    }

    fn locate_now(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
        committed: bool,
    ) -> io::Result<Option<Range>> {
        let (segments, first) = self.segments_from(from);
        for (index, segment) in segments.iter().enumerate().skip(first) {
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
                let (file, position) = (segment.file()?, first.position);
                let length = available.min(max_bytes.max(first.header.size_bytes()));
                let mut aborted = Vec::new();
                if committed {
                    let end = position + length as u64;
                    self.collect_aborted(&segments[index..], from, end, &mut aborted)?;
                }
                return Ok(Some(Range { file, position, length, aborted }));
            }
        }
        Ok(None)
    }

    /// The aborted transactions that overlap a read from `from` to `position` of the first segment.
    /// What is below the last stable offset was listed before that passed it, and so before
    /// `segments` were loaded.
    fn collect_aborted(
        &self,
        segments: &[Arc<Segment>],
        from: i64,
        position: u64,
        aborted: &mut Vec<AbortedTransaction>,
    ) -> io::Result<()> {
        if segments.iter().all(|segment| segment.aborted.get().is_none()) {
            return Ok(());
        }
        let next = || segments.get(1).map_or_else(|| self.end_offset(), |next| next.base_offset);
        let until = segments[0].offset_after(position)?.unwrap_or_else(next);
        for segment in segments {
            if segment.collect_aborted(from, until, aborted)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
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
        let core = Arc::clone(self);
        self.shared.env.offload.run(move || core.again(&find)).await.map_err(ReadError::Io)
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
        let core = Arc::clone(self);
        self.shared.env.offload.run(move || core.again(&find)).await.map_err(ReadError::Io)
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
