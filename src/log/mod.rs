//! Logs: ordered, append-only sequences of record batches, and the engines that keep them.
//!
//! A log knows offsets, bytes, times and leader epochs and nothing else of Kafka: idempotence,
//! transactions, the high watermark and validation stand in `partition`. What a transaction's end
//! leaves behind, [`AbortedTransaction`], comes from there and is kept beside the batches.
//!
//! ```text
//!   start_offset          committed           end_offset
//!        |  readable by consumers  |  accepted     |
//!        v                         v               v
//!   -----[batch][batch][batch]-----[batch][batch]--
//! ```
//!
//! `append` accepts a batch in order and says whether it is committed at once; if not, the
//! [`CommitObserver`] hears of it later. A committed batch survives the death of the process.
//!
//! Failure contract: a failed `append` leaves the log as it was (nothing of the batch can be read,
//! now or after a restart, unless the answer was [`AppendError::Offline`], which makes no promise
//! and after which the log accepts nothing more until it is opened again).

#[cfg(test)]
pub(crate) mod conformance;
pub mod local;
mod memory;
mod rewrite;
#[cfg(test)]
mod test_batch;

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

pub use memory::MemoryEngine;
pub use rewrite::{Rewrite, RewriteError};

use crate::env::Space;
use crate::records::BatchHeader;
use crate::wire::Chunk;

/// A boxed future, as the traits here return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which log: names its directory and, in `partition.metadata`, the topic id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogId {
    /// Topic name.
    pub topic: Arc<str>,
    /// Topic id of the metadata image.
    pub topic_id: Uuid,
    /// Partition number, 0 or more.
    pub partition: i32,
}

impl LogId {
    /// Kafka's name of the log's directory, as `orders-3`.
    pub fn directory_name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

/// What a log takes from the topic's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment rolls when its first record is older than this.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: each segment rolls earlier by chance, by less than this.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: largest size of an index file.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u64,
    /// `flush.messages`: with 1, a batch commits only when it is synced; otherwise a flush is
    /// started after this many records.
    pub flush_messages: i64,
    /// `flush.ms`: longest time a record stays unsynced; `i64::MAX` leaves it to the engine.
    pub flush_ms: i64,
    /// `preallocate`: the room for a segment is taken when it is made.
    pub preallocate: bool,
    /// `file.delete.delay.ms`: how long files that the log has given up stay under another name.
    pub file_delete_delay_ms: i64,
}

/// One segment as those see it who decide what a log gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Its first possible offset, by which it is named.
    pub base_offset: i64,
    /// Base offset of the next segment; the end of the log for the last one.
    pub end_offset: i64,
    /// Bytes of its batches.
    pub size_bytes: u64,
}

/// One batch ready to be stored: the 61 bytes of its header, with base offset and leader epoch
/// already set, and the bytes that follow. Split so that a batch taken from a request is stored
/// without a copy.
#[derive(Clone, Copy, Debug)]
pub struct BatchBytes<'a> {
    /// The first 61 bytes.
    pub header: [u8; 61],
    /// Everything after the header.
    pub records: &'a [u8],
}

/// A transaction that ended with an abort after it had written something (Kafka: `AbortedTxn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: i64,
    /// Where it began.
    pub first_offset: i64,
    /// Offset of the marker that ended it.
    pub last_offset: i64,
    /// First offset of the oldest transaction that was open right after it ended, or the offset
    /// after `last_offset`: no transaction that ends later begins below it.
    pub last_stable_offset: i64,
}

/// When an appended batch is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It already is.
    Done,
    /// The [`CommitObserver`] will be told.
    Pending,
}

/// Hears how far a log is committed. Called in order, from any task, never under the log's lock.
pub trait CommitObserver: Send + Sync {
    /// Everything below `end_offset` is committed.
    fn committed(&self, end_offset: i64);
    /// Nothing accepted and not yet committed ever will be; the log is offline.
    fn failed(&self);
}

/// Receives what a log holds while it opens: first at most one snapshot, then every later batch. A
/// log that has lost its list of aborted transactions may begin with older ones; then a newer
/// snapshot, which replaces all that was told before, and what is later than that.
pub trait Replay: Send {
    /// The newest snapshot at or below the end of the log (or of what is listed); false, and no
    /// change, if its content is unusable: the log deletes it and offers an older one, or none and
    /// then every batch.
    fn snapshot(&mut self, offset: i64, bytes: &[u8]) -> bool;
    /// A batch; `control` holds all bytes of a control batch. Gives the transaction that it aborts,
    /// as [`Log::append`] got it: a log that has lost its list makes it anew of these.
    fn batch(&mut self, header: &BatchHeader, control: Option<&[u8]>)
    -> Option<AbortedTransaction>;
}

/// Bytes read from a log: whole batches, the last of which may be cut.
#[derive(Clone, Debug)]
pub struct LogRead {
    /// The batches, the first of them whole and holding the offset asked for (or the next offset
    /// that exists). Empty at the bound.
    pub chunk: Chunk,
    /// Of a read of committed records, the aborted transactions to leave out, by last offset: those
    /// that end at or above the offset asked for and begin below the end of what was read, and
    /// perhaps some that begin a little later.
    pub aborted: Vec<AbortedTransaction>,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory belongs to another topic of this name.
    #[error("{directory} holds topic id {found}, not {expected}; move the directory away")]
    WrongTopicId {
        /// Directory name.
        directory: String,
        /// Id in `partition.metadata`.
        found: String,
        /// Id in the metadata log.
        expected: String,
    },
    /// The file system failed.
    #[error("opening log {directory}: {source}")]
    Io {
        /// Directory name.
        directory: String,
        /// Cause.
        source: io::Error,
    },
}

impl OpenError {
    /// Whether there was no room on the device: another attempt may succeed.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

/// Whether an error says that the device, or a quota on it, is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why an append was refused.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The device is full; the log goes on and the next append tries again.
    #[error("no space left on device: {0}")]
    NoSpace(io::Error),
    /// The batch can never fit a segment.
    #[error("batch of {size_bytes} bytes exceeds segment.bytes {segment_bytes}")]
    LargerThanSegment {
        /// Size of the batch.
        size_bytes: u64,
        /// The limit.
        segment_bytes: u64,
    },
    /// The log's directory failed; nothing more is accepted until a restart.
    #[error("log directory is offline: {0}")]
    Offline(String),
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset lies outside `start_offset..=end_offset`.
    #[error("offset {offset} is outside {start_offset}..={end_offset}")]
    OutOfRange {
        /// Offset asked for.
        offset: i64,
        /// First offset of the log.
        start_offset: i64,
        /// End of the log.
        end_offset: i64,
    },
    /// The file system failed or the bytes are no batches.
    #[error("reading the log: {0}")]
    Io(#[from] io::Error),
}

/// One partition's log. Appends, rolls and deletes are called by one owner at a time; reads at any
/// time by anyone.
pub trait Log: Send + Sync {
    /// First offset that can be read.
    fn start_offset(&self) -> i64;
    /// The offset the next batch gets (accepted end).
    fn end_offset(&self) -> i64;
    /// Bytes held.
    fn size_bytes(&self) -> u64;
    /// The segments in order, at least one; appends go to the last.
    fn segments(&self) -> Vec<SegmentFacts>;
    /// Largest timestamp of a segment's records, else when it was last written, in milliseconds
    /// since the epoch; None where neither is known or there is no such segment. Blocks.
    fn segment_time_ms(&self, base_offset: i64) -> Result<Option<i64>, ReadError>;
    /// Time of a segment's first batch in milliseconds since the epoch; None where it has none or
    /// there is no such segment. Blocks.
    fn segment_first_time_ms(&self, base_offset: i64) -> Result<Option<i64>, ReadError>;
    /// Sizes in bytes of a segment's offset index and time index; zeros where there is no such
    /// segment. Blocks.
    fn segment_index_bytes(&self, base_offset: i64) -> Result<[u64; 2], ReadError>;
    /// Applies changed topic configuration to what follows.
    fn configure(&self, config: LogConfig);

    /// Appends one batch whose base offset is at or above `end_offset` (above it only where
    /// compaction leaves gaps), with the transaction that it aborts. Rolls first where the batch
    /// does not fit; then `snapshot` is asked for the bytes to keep beside the new segment (the
    /// producers' state before this batch).
    fn append(
        &self,
        batch: BatchBytes<'_>,
        aborted: Option<AbortedTransaction>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<Commit, AppendError>;

    /// Reads batches from the one that holds `from`, up to `max_bytes` (the first batch always
    /// whole) and below `until` (exclusive; a batch boundary, at most `end_offset`).
    fn read(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<LogRead, ReadError>>;

    /// As [`Log::read`], with the aborted transactions that overlap what was read (Kafka:
    /// `LocalLog.addAbortedTransactions`).
    fn read_committed(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<LogRead, ReadError>>;

    /// Header of the first batch at or after `start_offset` whose max timestamp is at least
    /// `timestamp_ms`.
    fn first_batch_at_time(
        &self,
        timestamp_ms: i64,
    ) -> BoxFuture<'_, Result<Option<BatchHeader>, ReadError>>;
    /// Header of the first batch with the largest max timestamp of the log.
    fn batch_of_max_timestamp(&self) -> BoxFuture<'_, Result<Option<BatchHeader>, ReadError>>;

    /// Notes that appends from `end_offset` on carry `epoch`, durably; older or equal is no change.
    fn begin_epoch(&self, epoch: i32) -> Result<(), AppendError>;
    /// The newest epoch, None before the first.
    fn latest_epoch(&self) -> Option<i32>;
    /// For KIP-101/320: the largest known epoch at or below `epoch` and where it ends (exclusive);
    /// `epoch` itself and where the first known one begins if it is older than that; None where
    /// it is newer than all (Kafka's `LeaderEpochFileCache.endOffsetFor`).
    fn epoch_end_offset(&self, epoch: i32) -> Option<(i32, i64)>;
    /// Epoch of the batch that holds `offset`, if known.
    fn epoch_of(&self, offset: i64) -> Option<i32>;

    /// Starts a new segment at `end_offset` (no change if the last one is empty).
    fn roll(&self, snapshot: &mut dyn FnMut() -> Vec<u8>) -> Result<(), AppendError>;
    /// Makes everything below `offset` unreadable and gives up whole segments, whose files go
    /// after [`LogConfig::file_delete_delay_ms`].
    fn delete_before(&self, offset: i64) -> Result<(), AppendError>;
    /// Begins to write the sealed segments anew that begin at or above `from` and below `until`,
    /// both of them base offsets of segments. Blocks.
    fn rewrite(&self, from: i64, until: i64) -> Result<Box<dyn Rewrite>, RewriteError>;
    /// Up to where the log is compacted, as was noted last.
    fn cleaned_offset(&self) -> Option<i64>;
    /// Notes up to where the log is compacted, durably. Blocks.
    fn set_cleaned_offset(&self, offset: i64) -> Result<(), AppendError>;
    /// Syncs everything accepted so far.
    fn flush(&self) -> BoxFuture<'_, Result<(), AppendError>>;
    /// Syncs and closes with a snapshot at `end_offset`: after it (and the engine's `close`) the
    /// next `open` replays nothing.
    fn close(&self, snapshot: Vec<u8>) -> BoxFuture<'_, Result<(), AppendError>>;
}

/// The directory that an engine keeps its logs in.
#[derive(Debug)]
pub struct LogDirectory {
    /// Its absolute path; `memory` for logs in memory.
    pub path: String,
    /// How large its volume is, None where there is no such thing; an error where the directory is
    /// offline or cannot be asked.
    pub space: io::Result<Option<Space>>,
}

/// Keeps many logs.
pub trait Engine: Send + Sync {
    /// Opens a log, creating it where it does not exist; see [`Replay`].
    fn open<'a>(
        &'a self,
        id: &'a LogId,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &'a mut dyn Replay,
    ) -> BoxFuture<'a, Result<Arc<dyn Log>, OpenError>>;
    /// Forgets and deletes logs; readers that hold their bytes keep them. When this returns, no
    /// restart brings them back; the first error, after all were tried.
    fn delete<'a>(&'a self, ids: &'a [LogId]) -> BoxFuture<'a, io::Result<()>>;
    /// Directory names of the logs that exist in storage, open or not.
    fn existing(&self) -> io::Result<Vec<String>>;
    /// Topic id of the log in a directory of that name; None where none can be read. Blocks.
    fn topic_id(&self, directory_name: &str) -> io::Result<Option<Uuid>>;
    /// Where the logs lie. Blocks.
    fn directory(&self) -> LogDirectory;
    /// Whether it has failed: until it is opened again it serves and opens nothing.
    fn is_offline(&self) -> bool {
        false
    }
    /// Resolves when it has failed.
    fn failed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
    /// The broker epoch in the clean-shutdown marker found at start; None after an unclean stop.
    fn clean_shutdown_epoch(&self) -> Option<i64>;
    /// After every log is closed: writes the checkpoints and the clean-shutdown marker.
    fn close(&self, broker_epoch: i64) -> BoxFuture<'_, io::Result<()>>;
}
