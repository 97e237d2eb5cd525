//! One cleaning of one log: keys into the map, then every group of segments anew (Kafka:
//! `Cleaner.clean`).
//!
//! It reads and writes piece by piece, each on the offload pool, and looks between pieces whether
//! it is to go on: a large log holds up nobody, and a cleaning that ends halfway leaves whole
//! groups cleaned and the rest as it was.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::config::TopicConfig;
use crate::log::{AbortedTransaction, AppendError, ReadError, Rewrite, RewriteError, SegmentFacts};
use crate::partition::Partition;
use crate::records::{BatchError, Batches};

use super::key_map::KeyMap;
use super::range::{Cleanable, Group, group_segments};
use super::survivors::{DamagedBatch, Survivors, map_batch};
use super::throttle::Throttle;
use super::transactions::CleanedTransactions;

/// What a cleaning may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::partition) struct Means {
    /// Bytes for keys.
    pub(in crate::partition) map_bytes: u64,
    /// How full they may become, 0 to 1.
    pub(in crate::partition) load_factor: f64,
    /// Bytes read at once; one batch at least.
    pub(in crate::partition) read_bytes: usize,
}

/// Why a cleaning ended early.
#[derive(Debug, thiserror::Error)]
pub(in crate::partition) enum CleanError {
    /// It was to stop, or the log has changed or is gone.
    #[error("the cleaning was stopped")]
    Stopped,
    /// The log's bytes are damaged.
    #[error(transparent)]
    Damaged(#[from] DamagedBatch),
    /// What is no batch.
    #[error("what stands at offset {offset} is no batch: {source}")]
    NotABatch {
        /// Where.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
    /// The log cannot be read.
    #[error("reading the log: {0}")]
    Read(#[from] io::Error),
    /// A group grew beyond a segment.
    #[error("what is left of segment {0} and those merged with it does not fit one segment")]
    TooLarge(i64),
    /// The log did not take what is left.
    #[error(transparent)]
    Log(#[from] AppendError),
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::partition) struct Cleaned {
    /// Everything below is clean now.
    pub(in crate::partition) end_offset: i64,
    /// Bytes read to be written anew.
    pub(in crate::partition) read_bytes: u64,
    /// Bytes that were left of them.
    pub(in crate::partition) written_bytes: u64,
}

/// A cleaning under way.
pub(in crate::partition) struct Cleaning<'a> {
    pub(in crate::partition) partition: &'a Arc<Partition>,
    pub(in crate::partition) means: Means,
    pub(in crate::partition) throttle: &'a Throttle,
    /// True once it is to end.
    pub(in crate::partition) stop: &'a watch::Receiver<bool>,
}

/// Batches of the log and the aborted transactions that reach into them.
struct Piece {
    from: i64,
    bytes: Bytes,
    aborted: Vec<AbortedTransaction>,
}

/// What decides about a group and what takes what stays of it.
struct Work {
    survivors: Survivors,
    rewrite: Box<dyn Rewrite>,
    next: i64,
    written_bytes: usize,
}

impl Cleaning<'_> {
    /// Cleans what there is.
    pub(in crate::partition) async fn run(
        &self,
        cleanable: &Cleanable,
    ) -> Result<Cleaned, CleanError> {
        let now_ms = self.partition.env.clock.now_ms();
        let map = self.map_keys(cleanable).await?;
        let end_offset = map.latest_offset().saturating_add(1);
        let config = self.partition.config();
        let groups = self.groups(end_offset, &config).await?;
        let mut survivors = Survivors {
            map,
            transactions: CleanedTransactions::default(),
            last_records: BTreeMap::new(),
            now_ms,
            delete_retention_ms: config.delete_retention_ms,
            until: cleanable.until,
        };
        let mut cleaned = Cleaned { end_offset, ..Cleaned::default() };
        for group in groups {
            survivors = self.clean_group(survivors, group, &mut cleaned).await?;
        }
        Ok(cleaned)
    }

    /// Kafka's `Cleaner.buildOffsetMap`.
    async fn map_keys(&self, cleanable: &Cleanable) -> Result<KeyMap, CleanError> {
        let (from, until) = (cleanable.first_dirty, cleanable.until);
        let seed = self.partition.env.random.below(u64::MAX);
        let Means { map_bytes, load_factor, .. } = self.means;
        let mut map = KeyMap::new(seed, map_bytes, load_factor, from.abs_diff(until));
        let mut transactions = CleanedTransactions::default();
        let mut next = from;
        while next < until {
            let piece = self.read(next, until).await?;
            if piece.bytes.is_empty() {
                break;
            }
            let map_piece = move || {
                transactions.note_aborted(&piece.aborted);
                let mut next = piece.from;
                let mut has_room = true;
                for batch in Batches::new(&piece.bytes) {
                    let (header, batch) =
                        batch.map_err(|source| CleanError::NotABatch { offset: next, source })?;
                    has_room = map_batch(&mut map, &mut transactions, from, &header, batch)?;
                    if !has_room {
                        break;
                    }
                    next = header.last_offset().saturating_add(1);
                }
                Ok::<_, CleanError>((map, transactions, next, has_room))
            };
            let has_room;
            (map, transactions, next, has_room) = self.offload(map_piece).await?;
            if !has_room {
                return Ok(map);
            }
        }
        // There may be a gap behind the last batch.
        map.advance(until - 1);
        Ok(map)
    }

    async fn groups(
        &self,
        end_offset: i64,
        config: &TopicConfig,
    ) -> Result<Vec<Group>, CleanError> {
        let partition = Arc::clone(self.partition);
        let (segment_bytes, index_bytes) = (config.segment_bytes, config.segment_index_bytes);
        self.offload(move || {
            let log = &partition.log;
            let (segment_bytes, index_bytes) = (segment_bytes.into(), index_bytes.into());
            let sizes = |segment: &SegmentFacts| log.segment_index_bytes(segment.base_offset);
            group_segments(&log.segments(), end_offset, segment_bytes, index_bytes, sizes)
                .map_err(read_error)
        })
        .await
    }

    /// Kafka's `Cleaner.cleanSegments`.
    async fn clean_group(
        &self,
        mut survivors: Survivors,
        group: Group,
        cleaned: &mut Cleaned,
    ) -> Result<Survivors, CleanError> {
        survivors.last_records = self.partition.last_records();
        let partition = Arc::clone(self.partition);
        let begin = move || -> Result<Work, CleanError> {
            let rewrite = partition.log.rewrite(group.from, group.until);
            let rewrite = rewrite.map_err(|error| stopped_by(error, group.from))?;
            let next = group.from.max(partition.log.start_offset());
            Ok(Work { survivors, rewrite, next, written_bytes: 0 })
        };
        let mut work = self.offload(begin).await?;
        while work.next < group.until {
            let read = self.read(work.next, group.until).await;
            // Also to be dropped there: that removes files.
            let step = move || work.step(&read?, group.from);
            let read_bytes;
            (work, read_bytes) = self.offload(step).await?;
            if read_bytes == 0 {
                break;
            }
            self.observe(work.written_bytes).await;
            cleaned.read_bytes += read_bytes as u64;
            cleaned.written_bytes += std::mem::take(&mut work.written_bytes) as u64;
        }
        self.offload(move || {
            work.rewrite.finish().map_err(|error| stopped_by(error, group.from))?;
            Ok(work.survivors)
        })
        .await
    }

    async fn read(&self, from: i64, until: i64) -> Result<Piece, CleanError> {
        if *self.stop.borrow() || self.partition.check_serving().is_err() {
            return Err(CleanError::Stopped);
        }
        let read = self.partition.log.read_committed(from, until, self.means.read_bytes).await;
        let read = read.map_err(read_error)?;
        self.observe(read.chunk.len()).await;
        let bytes = self.offload(move || Ok(read.chunk.into_bytes()?)).await?;
        Ok(Piece { from, bytes, aborted: read.aborted })
    }

    /// Waits if that was too fast, but not beyond the end.
    async fn observe(&self, bytes: usize) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.throttle.observe(bytes) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CleanError> + Send + 'static,
    ) -> Result<T, CleanError> {
        self.partition.env.offload.run(work).await
    }
}

impl Work {
    /// Writes what stays of a piece; gives also how many bytes were read.
    fn step(mut self, piece: &Piece, group: i64) -> Result<(Self, usize), CleanError> {
        self.survivors.transactions.note_aborted(&piece.aborted);
        let mut batches = Batches::new(&piece.bytes);
        for batch in batches.by_ref() {
            let (header, batch) =
                batch.map_err(|source| CleanError::NotABatch { offset: self.next, source })?;
            if let Some(survivor) = self.survivors.of(&header, batch)? {
                let bytes = survivor.rewritten.as_deref().unwrap_or(batch);
                let added = self.rewrite.append(bytes, survivor.aborts);
                added.map_err(|error| stopped_by(error, group))?;
                self.written_bytes += bytes.len();
            }
            self.next = header.last_offset().saturating_add(1);
        }
        let read_bytes = piece.bytes.len() - batches.remaining().len();
        Ok((self, read_bytes))
    }
}

fn read_error(error: ReadError) -> CleanError {
    match error {
        // The log begins later now.
        ReadError::OutOfRange { .. } => CleanError::Stopped,
        ReadError::Io(error) => CleanError::Read(error),
    }
}

fn stopped_by(error: RewriteError, group: i64) -> CleanError {
    match error {
        RewriteError::Changed => CleanError::Stopped,
        RewriteError::TooLarge => CleanError::TooLarge(group),
        RewriteError::Log(error) => CleanError::Log(error),
    }
}
