//! Logs in memory: the executable model of the traits, and the store of memory-only brokers.
//!
//! Every contract of [`Log`] and [`Engine`] holds, durability for as long as the
//! [`MemoryEngine`] or one it was restarted into lives. Segments exist only as marks, at
//! which snapshots are taken and the log may be cut; `segment.ms` and the index limits mean nothing
//! here. Memory is freed batch by batch.

mod rewrite;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{
    AbortedTransaction, AppendError, BatchBytes, BoxFuture, Commit, CommitObserver, Engine, Log,
    LogConfig, LogDirectory, LogId, LogRead, OpenError, ReadError, Replay, Rewrite, RewriteError,
    SegmentFacts,
};
use crate::records::BatchHeader;
use crate::wire::Chunk;
use rewrite::MemoryRewrite;

/// Keeps logs in memory. A clone is the same engine.
#[derive(Clone)]
pub struct MemoryEngine {
    storage: Arc<Mutex<Storage>>,
    clean_shutdown_epoch: Option<i64>,
    commits: Commit,
}

#[derive(Default)]
struct Storage {
    logs: HashMap<String, (LogId, Arc<Mutex<Content>>)>,
    clean_shutdown_epoch: Option<i64>,
}

struct Content {
    config: LogConfig,
    observer: Arc<dyn CommitObserver>,
    /// Counts the times it was opened, closed or deleted: handles of before are fenced.
    openings: u64,
    batches: VecDeque<(BatchHeader, Bytes)>,
    aborted: VecDeque<AbortedTransaction>,
    start_offset: i64,
    end_offset: i64,
    size_bytes: u64,
    /// Never empty.
    segments: VecDeque<SegmentMark>,
    epochs: EpochEntries,
    snapshots: BTreeMap<i64, Vec<u8>>,
    /// Up to where it is compacted, as was noted.
    cleaned_offset: Option<i64>,
    /// End of what the observer knows of.
    committed: i64,
}

#[derive(Default)]
struct SegmentMark {
    base_offset: i64,
    size_bytes: u64,
}

/// A log in memory; handed out by [`MemoryEngine`].
struct MemoryLog {
    content: Arc<Mutex<Content>>,
    opening: u64,
    commits: Commit,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new(Commit::Done)
    }
}

impl MemoryEngine {
    /// An engine without logs. With [`Commit::Pending`] a batch commits only with the next
    /// `flush`, as it may in any engine.
    pub fn new(commits: Commit) -> Self {
        Self { storage: Arc::default(), clean_shutdown_epoch: None, commits }
    }

    /// The engine as the next start of the broker finds it, with the logs of this one. Handles of
    /// before die as their logs are opened again.
    #[must_use]
    pub fn restart(&self) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
            clean_shutdown_epoch: self.storage().clean_shutdown_epoch.take(),
            commits: self.commits,
        }
    }

    fn storage(&self) -> MutexGuard<'_, Storage> {
        lock(&self.storage)
    }

    fn open_now(
        &self,
        id: &LogId,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &mut dyn Replay,
    ) -> Result<MemoryLog, OpenError> {
        let directory = id.directory_name();
        let mut storage = self.storage();
        let (found, content) = storage.logs.entry(directory.clone()).or_insert_with(|| {
            let content = Content::new(config, Arc::clone(&observer));
            (id.clone(), Arc::new(Mutex::new(content)))
        });
        if found.topic_id != id.topic_id {
            return Err(OpenError::WrongTopicId {
                directory,
                found: found.topic_id.to_string(),
                expected: id.topic_id.to_string(),
            });
        }
        let content = Arc::clone(content);
        let opening = lock(&content).open(config, observer, replay);
        Ok(MemoryLog { content, opening, commits: self.commits })
    }
}

impl Engine for MemoryEngine {
    fn open<'a>(
        &'a self,
        id: &'a LogId,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &'a mut dyn Replay,
    ) -> BoxFuture<'a, Result<Arc<dyn Log>, OpenError>> {
        let opened = self.open_now(id, config, observer, replay);
        Box::pin(async { Ok(Arc::new(opened?) as Arc<dyn Log>) })
    }

    fn delete<'a>(&'a self, ids: &'a [LogId]) -> BoxFuture<'a, io::Result<()>> {
        let mut storage = self.storage();
        for id in ids {
            let directory = id.directory_name();
            if storage.logs.get(&directory).is_some_and(|(found, _)| found == id)
                && let Some((_, content)) = storage.logs.remove(&directory)
            {
                lock(&content).openings += 1;
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn existing(&self) -> io::Result<Vec<String>> {
        Ok(self.storage().logs.keys().cloned().collect())
    }

    fn topic_id(&self, directory_name: &str) -> io::Result<Option<Uuid>> {
        Ok(self.storage().logs.get(directory_name).map(|(id, _)| id.topic_id))
    }

    fn directory(&self) -> LogDirectory {
        LogDirectory { path: "memory".to_owned(), space: Ok(None) }
    }

    fn clean_shutdown_epoch(&self) -> Option<i64> {
        self.clean_shutdown_epoch
    }

    fn close(&self, broker_epoch: i64) -> BoxFuture<'_, io::Result<()>> {
        self.storage().clean_shutdown_epoch = Some(broker_epoch);
        Box::pin(async { Ok(()) })
    }
}

impl Content {
    fn new(config: LogConfig, observer: Arc<dyn CommitObserver>) -> Self {
        Self {
            config,
            observer,
            openings: 0,
            batches: VecDeque::new(),
            aborted: VecDeque::new(),
            start_offset: 0,
            end_offset: 0,
            size_bytes: 0,
            segments: VecDeque::from([SegmentMark::default()]),
            epochs: EpochEntries::default(),
            snapshots: BTreeMap::new(),
            cleaned_offset: None,
            committed: 0,
        }
    }

    fn open(
        &mut self,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &mut dyn Replay,
    ) -> u64 {
        self.openings += 1;
        self.config = config;
        self.observer = observer;
        self.committed = self.end_offset;
        let mut replay_from = self.start_offset;
        while let Some(newest) = self.snapshots.last_entry() {
            if replay.snapshot(*newest.key(), newest.get()) {
                replay_from = replay_from.max(*newest.key());
                break;
            }
            newest.remove();
        }
        for (header, bytes) in self.batches.range(self.index_of(replay_from)..) {
            // What it aborts is in memory.
            replay.batch(header, header.is_control().then_some(&bytes[..]));
        }
        self.openings
    }

    /// Index of the batch that holds `offset`, or of the next one.
    fn index_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|(header, _)| header.last_offset() < offset)
    }

    fn append(
        &mut self,
        batch: BatchBytes<'_>,
        aborted: Option<AbortedTransaction>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<(), AppendError> {
        let size_bytes = (batch.header.len() + batch.records.len()) as u64;
        let segment_bytes = self.config.segment_bytes;
        if size_bytes > segment_bytes {
            return Err(AppendError::LargerThanSegment { size_bytes, segment_bytes });
        }
        let header = BatchHeader::parse(&batch.header).map_err(|error| {
            // The partition validated it: never seen, and nothing is stored.
            AppendError::Offline(error.to_string())
        })?;
        assert!(header.base_offset >= self.end_offset, "appends go up");
        let last_offset = header.last_offset();
        let active = self.active();
        if active.size_bytes + size_bytes > segment_bytes
            || last_offset - active.base_offset > i64::from(i32::MAX)
        {
            self.roll(snapshot);
        }
        let mut bytes = BytesMut::with_capacity(size_bytes as usize);
        bytes.extend_from_slice(&batch.header);
        bytes.extend_from_slice(batch.records);
        self.epochs.begin(header.leader_epoch, header.base_offset);
        self.batches.push_back((header, bytes.freeze()));
        self.aborted.extend(aborted);
        self.active().size_bytes += size_bytes;
        self.size_bytes += size_bytes;
        self.end_offset = last_offset + 1;
        Ok(())
    }

    fn roll(&mut self, snapshot: &mut dyn FnMut() -> Vec<u8>) {
        let base_offset = self.end_offset;
        if self.active().size_bytes > 0 {
            self.snapshots.insert(base_offset, snapshot());
            self.segments.push_back(SegmentMark { base_offset, size_bytes: 0 });
        }
        self.active().base_offset = base_offset;
    }

    fn active(&mut self) -> &mut SegmentMark {
        self.segments.back_mut().expect("a log has a segment")
    }

    fn segments(&self) -> Vec<SegmentFacts> {
        let next = self.segments.iter().skip(1).map(|mark| mark.base_offset);
        let marks = self.segments.iter().zip(next.chain([self.end_offset]));
        marks
            .map(|(&SegmentMark { base_offset, size_bytes }, end_offset)| SegmentFacts {
                base_offset,
                end_offset,
                size_bytes,
            })
            .collect()
    }

    fn segment_first_time_ms(&self, base_offset: i64) -> Option<i64> {
        self.headers_in(base_offset)?.next().map(|header| header.max_timestamp)
    }

    /// The batches of a segment; None if there is no such segment.
    fn headers_in(&self, base_offset: i64) -> Option<impl Iterator<Item = &BatchHeader>> {
        let segments = self.segments();
        let segment = segments.iter().find(|segment| segment.base_offset == base_offset)?;
        let offsets = segment.base_offset..segment.end_offset;
        Some(self.headers().filter(move |header| offsets.contains(&header.base_offset)))
    }

    fn segment_time_ms(&self, base_offset: i64) -> Option<i64> {
        let batches = self.headers_in(base_offset)?;
        batches.map(|header| header.max_timestamp).max().filter(|time_ms| *time_ms >= 0)
    }

    fn read(&self, from: i64, until: i64, max_bytes: usize) -> Result<LogRead, ReadError> {
        if from < self.start_offset || from > self.end_offset {
            return Err(ReadError::OutOfRange {
                offset: from,
                start_offset: self.start_offset,
                end_offset: self.end_offset,
            });
        }
        let first = self.index_of(from);
        let mut length = 0;
        let fits = |(header, bytes): &&(BatchHeader, Bytes)| {
            let fits = length == 0 || length + bytes.len() <= max_bytes;
            length += bytes.len();
            fits && header.base_offset < until
        };
        let count = self.batches.range(first..).take_while(fits).count();
        let batches = || self.batches.range(first..first + count).map(|(_, bytes)| bytes);
        let bytes = match count {
            1 => batches().next().cloned().unwrap_or_default(),
            _ => batches()
                .fold(BytesMut::new(), |mut whole, bytes| {
                    whole.extend_from_slice(bytes);
                    whole
                })
                .freeze(),
        };
        Ok(LogRead { chunk: Chunk::Bytes(bytes), aborted: Vec::new() })
    }

    fn read_committed(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> Result<LogRead, ReadError> {
        let read = self.read(from, until, max_bytes)?;
        let batches = self.batches.range(self.index_of(from)..);
        let mut left_bytes = read.chunk.len();
        let is_read = |(_, bytes): &&(BatchHeader, Bytes)| {
            let is_left = left_bytes > 0;
            left_bytes = left_bytes.saturating_sub(bytes.len());
            is_left
        };
        let last = batches.take_while(is_read).last();
        let end_offset = last.map_or(from, |(header, _)| header.last_offset() + 1);
        let first = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let overlaps = |aborted: &&AbortedTransaction| aborted.first_offset < end_offset;
        let aborted = self.aborted.range(first..).filter(overlaps).copied().collect();
        Ok(LogRead { aborted, ..read })
    }

    fn delete_before(&mut self, offset: i64) {
        let offset = offset.min(self.end_offset);
        if offset <= self.start_offset {
            return;
        }
        self.start_offset = offset;
        for (_, bytes) in self.batches.drain(..self.index_of(offset)) {
            self.size_bytes -= bytes.len() as u64;
        }
        let held = self.segments.partition_point(|mark| mark.base_offset <= offset);
        self.segments.drain(..held.saturating_sub(1));
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
        self.epochs.truncate_from_start(offset);
        // Batches before the newest snapshot at or below the start are gone for replay, too.
        if let Some((&oldest, _)) = self.snapshots.range(..=offset).next_back() {
            self.snapshots = self.snapshots.split_off(&oldest);
        }
    }

    /// The observer to tell that all is committed, if it does not know.
    fn commit(&mut self) -> Option<(Arc<dyn CommitObserver>, i64)> {
        let news = self.committed < self.end_offset;
        self.committed = self.end_offset;
        news.then(|| (Arc::clone(&self.observer), self.end_offset))
    }

    fn headers(&self) -> impl Iterator<Item = &BatchHeader> {
        self.batches.iter().map(|(header, _)| header)
    }
}

impl MemoryLog {
    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }

    fn content_to_change(&self) -> Result<MutexGuard<'_, Content>, AppendError> {
        let content = self.content();
        if content.openings != self.opening {
            return Err(AppendError::Offline("the log was closed".into()));
        }
        Ok(content)
    }

    /// Commits what is accepted; `close` also leaves a snapshot.
    fn commit(&self, snapshot: Option<Vec<u8>>) -> Result<(), AppendError> {
        let mut content = self.content_to_change()?;
        if let Some(snapshot) = snapshot {
            let end_offset = content.end_offset;
            content.snapshots.insert(end_offset, snapshot);
            content.openings += 1;
        }
        let news = content.commit();
        drop(content);
        if let Some((observer, end_offset)) = news {
            observer.committed(end_offset);
        }
        Ok(())
    }
}

impl Log for MemoryLog {
    fn start_offset(&self) -> i64 {
        self.content().start_offset
    }

    fn end_offset(&self) -> i64 {
        self.content().end_offset
    }

    fn size_bytes(&self) -> u64 {
        self.content().size_bytes
    }

    fn segments(&self) -> Vec<SegmentFacts> {
        self.content().segments()
    }

    fn segment_time_ms(&self, base_offset: i64) -> Result<Option<i64>, ReadError> {
        Ok(self.content().segment_time_ms(base_offset))
    }

    fn segment_first_time_ms(&self, base_offset: i64) -> Result<Option<i64>, ReadError> {
        Ok(self.content().segment_first_time_ms(base_offset))
    }

    fn segment_index_bytes(&self, _base_offset: i64) -> Result<[u64; 2], ReadError> {
        Ok([0; 2])
    }

    fn configure(&self, config: LogConfig) {
        self.content().config = config;
    }

    fn append(
        &self,
        batch: BatchBytes<'_>,
        aborted: Option<AbortedTransaction>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<Commit, AppendError> {
        let mut content = self.content_to_change()?;
        content.append(batch, aborted, snapshot)?;
        if self.commits == Commit::Done {
            content.committed = content.end_offset;
        }
        Ok(self.commits)
    }

    fn read(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<LogRead, ReadError>> {
        Box::pin(async move { self.content().read(from, until, max_bytes) })
    }

    fn read_committed(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<LogRead, ReadError>> {
        Box::pin(async move { self.content().read_committed(from, until, max_bytes) })
    }

    fn first_batch_at_time(
        &self,
        timestamp_ms: i64,
    ) -> BoxFuture<'_, Result<Option<BatchHeader>, ReadError>> {
        let content = self.content();
        let found = content.headers().find(|header| header.max_timestamp >= timestamp_ms).copied();
        Box::pin(async move { Ok(found) })
    }

    fn batch_of_max_timestamp(&self) -> BoxFuture<'_, Result<Option<BatchHeader>, ReadError>> {
        // Of equal ones `max_by_key` takes the last, so the order is turned round.
        let content = self.content();
        let found = content.batches.iter().rev().map(|(header, _)| header);
        let found = found.max_by_key(|header| header.max_timestamp).copied();
        Box::pin(async move { Ok(found) })
    }

    fn begin_epoch(&self, epoch: i32) -> Result<(), AppendError> {
        let mut content = self.content_to_change()?;
        let end_offset = content.end_offset;
        content.epochs.begin(epoch, end_offset);
        Ok(())
    }

    fn latest_epoch(&self) -> Option<i32> {
        self.content().epochs.latest()
    }

    fn epoch_end_offset(&self, epoch: i32) -> Option<(i32, i64)> {
        let content = self.content();
        content.epochs.end_offset(epoch, content.end_offset)
    }

    fn epoch_of(&self, offset: i64) -> Option<i32> {
        self.content().epochs.of(offset)
    }

    fn roll(&self, snapshot: &mut dyn FnMut() -> Vec<u8>) -> Result<(), AppendError> {
        self.content_to_change()?.roll(snapshot);
        Ok(())
    }

    fn delete_before(&self, offset: i64) -> Result<(), AppendError> {
        self.content_to_change()?.delete_before(offset);
        Ok(())
    }

    fn rewrite(&self, from: i64, until: i64) -> Result<Box<dyn Rewrite>, RewriteError> {
        Ok(Box::new(MemoryRewrite::begin(&self.content, self.opening, from, until)?))
    }

    fn cleaned_offset(&self) -> Option<i64> {
        self.content().cleaned_offset
    }

    fn set_cleaned_offset(&self, offset: i64) -> Result<(), AppendError> {
        self.content_to_change()?.cleaned_offset = Some(offset);
        Ok(())
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async { self.commit(None) })
    }

    fn close(&self, snapshot: Vec<u8>) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async { self.commit(Some(snapshot)) })
    }
}

/// Where each leader epoch begins, as Kafka's `LeaderEpochFileCache`. Written apart from the local
/// engine's, since a model must not share the faults of what it checks.
#[derive(Default)]
struct EpochEntries(BTreeMap<i32, i64>);

impl EpochEntries {
    fn begin(&mut self, epoch: i32, offset: i64) {
        if self.latest().is_none_or(|latest| latest < epoch) && epoch >= 0 {
            // An epoch without a batch leaves no trace.
            self.0.retain(|_, start| *start < offset);
            self.0.insert(epoch, offset);
        }
    }

    fn latest(&self) -> Option<i32> {
        self.0.last_key_value().map(|(epoch, _)| *epoch)
    }

    fn end_offset(&self, epoch: i32, end_offset: i64) -> Option<(i32, i64)> {
        if epoch < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some((epoch, end_offset));
        }
        let (_, next_start) = self.0.range(epoch.checked_add(1)?..).next()?;
        let floor = self.0.range(..=epoch).next_back();
        Some((floor.map_or(epoch, |(floor, _)| *floor), *next_start))
    }

    fn of(&self, offset: i64) -> Option<i32> {
        let entries = self.0.iter().rev();
        entries.clone().find(|(_, start)| **start <= offset).map(|(epoch, _)| *epoch)
    }

    fn truncate_from_start(&mut self, offset: i64) {
        if let Some(epoch) = self.of(offset) {
            self.0.retain(|other, _| *other >= epoch);
            self.0.insert(epoch, offset);
        }
    }
}
