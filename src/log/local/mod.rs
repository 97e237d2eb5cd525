//! Logs as files, in Apache Kafka's own data directory format.
//!
//! ```text
//!   <log.dirs>/.lock  .kafka_cleanshutdown  recovery-point-offset-checkpoint  ...     engine, positions
//!              orders-3/partition.metadata  leader-epoch-checkpoint                   sidecars, epochs
//!                       00000000000000000000.log  .index  .timeindex  .txnindex       segment, index
//!                       00000000000000004711.log  ...     .snapshot
//! ```
//!
//! What survives: the end of the process, everything appended; a loss of power, everything flushed
//! (see [`flush`]), and of the rest of each log a prefix (see [`recover`]).

mod checkpoint;
mod core;
mod doomed;
mod engine;
mod epochs;
mod files;
mod flush;
mod index;
mod positions;
mod read;
mod recover;
mod rewrite;
mod scan;
mod segment;
mod sidecars;
#[cfg(test)]
mod tests;
mod time_index;
mod transaction_index;

use std::sync::Arc;

pub use engine::{EngineError, EngineSettings, LocalEngine};

use self::core::Core;
use super::{
    AbortedTransaction, AppendError, BatchBytes, BoxFuture, Commit, Log, LogConfig, LogRead,
    ReadError, Rewrite, RewriteError, SegmentFacts,
};
use crate::records::BatchHeader;
use files::lock;
use segment::Segment;

/// A log of a [`LocalEngine`].
struct LocalLog(Arc<Core>);

impl Log for LocalLog {
    fn start_offset(&self) -> i64 {
        self.0.start_offset()
    }

    fn end_offset(&self) -> i64 {
        self.0.end_offset()
    }

    fn size_bytes(&self) -> u64 {
        let segments = self.0.segments.load();
        segments.iter().map(|segment| segment.tail().size_bytes).sum()
    }

    fn segments(&self) -> Vec<SegmentFacts> {
        let segments = self.0.segments.load();
        let next = segments.iter().skip(1).map(|segment| segment.base_offset);
        let ends = next.chain([self.0.end_offset()]);
        let facts = |(segment, end_offset): (&Arc<Segment>, i64)| SegmentFacts {
            base_offset: segment.base_offset,
            end_offset,
            size_bytes: segment.tail().size_bytes,
        };
        segments.iter().zip(ends).map(facts).collect()
    }

    fn segment_time_ms(&self, base_offset: i64) -> Result<Option<i64>, ReadError> {
        Ok(self.0.segment_at(base_offset).map_or(Ok(None), |it| it.time_ms())?)
    }

    fn segment_first_time_ms(&self, base_offset: i64) -> Result<Option<i64>, ReadError> {
        Ok(self.0.segment_at(base_offset).map_or(Ok(None), |it| it.first_timestamp())?)
    }

    fn segment_index_bytes(&self, base_offset: i64) -> Result<[u64; 2], ReadError> {
        Ok(self.0.segment_at(base_offset).map_or(Ok([0; 2]), |it| it.index_sizes_bytes())?)
    }

    fn configure(&self, config: LogConfig) {
        *lock(&self.0.config) = config;
    }

    fn append(
        &self,
        batch: BatchBytes<'_>,
        aborted: Option<AbortedTransaction>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<Commit, AppendError> {
        self.0.append(batch, aborted, snapshot)
    }

    fn read(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<LogRead, ReadError>> {
        Box::pin(self.0.read(from, until, max_bytes, false))
    }

    fn read_committed(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<LogRead, ReadError>> {
        Box::pin(self.0.read(from, until, max_bytes, true))
    }

    fn first_batch_at_time(
        &self,
        timestamp_ms: i64,
    ) -> BoxFuture<'_, Result<Option<BatchHeader>, ReadError>> {
        Box::pin(self.0.first_batch_at_time(timestamp_ms))
    }

    fn batch_of_max_timestamp(&self) -> BoxFuture<'_, Result<Option<BatchHeader>, ReadError>> {
        Box::pin(self.0.batch_of_max_timestamp())
    }

    fn begin_epoch(&self, epoch: i32) -> Result<(), AppendError> {
        self.0.begin_epoch(epoch)
    }

    fn latest_epoch(&self) -> Option<i32> {
        lock(&self.0.epochs).latest()
    }

    fn epoch_end_offset(&self, epoch: i32) -> Option<(i32, i64)> {
        lock(&self.0.epochs).end_offset(epoch, self.0.end_offset())
    }

    fn epoch_of(&self, offset: i64) -> Option<i32> {
        lock(&self.0.epochs).of(offset)
    }

    fn roll(&self, snapshot: &mut dyn FnMut() -> Vec<u8>) -> Result<(), AppendError> {
        self.0.roll_now(snapshot)
    }

    fn delete_before(&self, offset: i64) -> Result<(), AppendError> {
        self.0.delete_before(offset)
    }

    fn rewrite(&self, from: i64, until: i64) -> Result<Box<dyn Rewrite>, RewriteError> {
        Ok(Box::new(self.0.rewrite(from, until)?))
    }

    fn cleaned_offset(&self) -> Option<i64> {
        self.0.shared.positions.cleaned(&self.0.name)
    }

    fn set_cleaned_offset(&self, offset: i64) -> Result<(), AppendError> {
        self.0.set_cleaned_offset(offset)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(self.0.flush())
    }

    fn close(&self, snapshot: Vec<u8>) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(self.0.close(snapshot))
    }
}
