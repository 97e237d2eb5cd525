//! What a start reads of a segment: its end, the batches to replay, and whether every byte is what
//! was written.

use std::io;
use std::sync::Arc;

use super::{INDEX_SUFFIX, Segment, Tail};
use crate::env::{read_all, write_all_at};
use crate::log::local::index::{Index, OffsetEntry};
use crate::log::local::scan::{LOOKUP_BUFFER_BYTES, Located, Scanner, WALK_BUFFER_BYTES};
use crate::log::{AbortedTransaction, Replay};
use crate::records::BatchHeader;

impl Segment {
    /// Tells of every batch that ends at or above `from`; gives the transactions they abort. Of a
    /// damaged batch, which is told in the log unless the segment `is_checked`, the header counts,
    /// as with Kafka, but a marker decides nothing.
    pub(in crate::log::local) fn replay(
        &self,
        from: i64,
        is_checked: bool,
        replay: &mut dyn Replay,
    ) -> io::Result<Vec<AbortedTransaction>> {
        let (position, limit) = (self.position_before(from)?, self.tail().size_bytes);
        let mut scanner = Scanner::new(self.file()?, position, limit, WALK_BUFFER_BYTES);
        let mut aborted = Vec::new();
        while let Some(batch) = scanner.next()? {
            if batch.header.last_offset() < from {
                continue;
            }
            let is_control = batch.header.is_control();
            if !is_checked && !self.is_intact(&mut scanner, batch)? && is_control {
                continue;
            }
            let control = is_control.then(|| scanner.batch_bytes(batch)).transpose()?;
            aborted.extend(replay.batch(&batch.header, control.as_deref()));
        }
        Ok(aborted)
    }

    /// Whether a batch of synced data has the bytes that were written.
    fn is_intact(&self, scanner: &mut Scanner, batch: Located) -> io::Result<bool> {
        match scanner.verify(batch) {
            Err(error) if is_damage(&error) => {
                tracing::error!(
                    directory = %self.directory.display(), offset = batch.header.base_offset,
                    "{error}: the disk has changed it, and readers will refuse it"
                );
                Ok(false)
            }
            verified => verified.map(|()| true),
        }
    }

    /// Writes every byte again, so that the next sync is not one of pages that only seem clean.
    pub(in crate::log::local) fn rewrite(&self) -> io::Result<()> {
        let (file, end) = (self.file()?, self.tail().size_bytes);
        let mut position = 0;
        let mut buffer = vec![0; WALK_BUFFER_BYTES];
        while position < end {
            let wanted = buffer.len().min(usize::try_from(end - position).unwrap_or(usize::MAX));
            let read = read_all(file.as_ref(), &mut buffer[..wanted], position)?;
            write_all_at(file.as_ref(), &buffer[..read], position)?;
            position += wanted as u64;
        }
        Ok(())
    }

    /// Finds the end of a segment that was closed cleanly: from the last index entry a few headers
    /// on, as Kafka. An error of kind `InvalidData` means that it was not.
    pub(in crate::log::local) fn find_end(&self, length: u64) -> io::Result<Tail> {
        let mut end = Tail { end_offset: self.base_offset, size_bytes: 0 };
        if length == 0 {
            return Ok(end);
        }
        let last = Index::<OffsetEntry>::open(self.index_file(INDEX_SUFFIX))?.last();
        let from = last.map_or(0, |last| u64::from(last.position));
        if from >= length {
            return Err(damage("index is newer than the log"));
        }
        let mut scanner = Scanner::new(self.file()?, from, length, LOOKUP_BUFFER_BYTES)
            .expect_from(self.base_offset);
        while let Some(batch) = scanner.next()? {
            let last_offset = batch.header.last_offset();
            let relative = last.map(|last| last.relative_offset);
            if relative.is_some()
                && batch.position == from
                && relative != self.relative(last_offset)
            {
                return Err(damage("index is not this log's"));
            }
            end = Tail { end_offset: last_offset + 1, size_bytes: batch.end() };
        }
        self.set_tail(end);
        Ok(end)
    }

    /// Verifies every batch, cuts the file at the first bad byte and rebuilds the indexes of
    /// offsets and times, as `LogSegment.recover`; `each` hears of the good batches and
    /// `before_cut` runs before bytes are cut off. Gives how many were.
    ///
    /// A cut is synced: otherwise a crash after later appends could bring back, behind them, what
    /// was cut off here.
    pub(in crate::log::local) fn recover(
        &self,
        interval_bytes: u64,
        mut each: impl FnMut(&BatchHeader),
        before_cut: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<u64> {
        let file = self.file()?;
        let length = file.len()?;
        self.create_indexes()?;
        self.set_tail(Tail { end_offset: self.base_offset, size_bytes: 0 });
        let mut scanner = Scanner::new(Arc::clone(&file), 0, length, WALK_BUFFER_BYTES)
            .expect_from(self.base_offset);
        loop {
            let verified = scanner.next().and_then(|batch| {
                batch.map(|batch| scanner.verify(batch).map(|()| batch)).transpose()
            });
            match verified {
                Ok(Some(batch)) if self.relative(batch.header.last_offset()).is_some() => {
                    self.publish(batch, interval_bytes)?;
                    self.write_indexes(1024)?;
                    each(&batch.header);
                }
                Err(error) if !is_damage(&error) => return Err(error),
                _ => break,
            }
        }
        let valid = self.tail().size_bytes;
        if valid < length {
            before_cut()?;
            file.set_len(valid)?;
            file.sync()?;
        }
        self.finish_indexes()?;
        Ok(length - valid)
    }
}

fn damage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Whether an error tells of bad bytes rather than of a bad device.
pub(in crate::log::local) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
