//! Logs in memory: the executable model of the traits, and the store of memory-only brokers.
//!
//! Every contract of [`Log`] and [`Engine`] holds, durability for as long as the
//! [`MemoryEngine`] or one it was restarted into lives. Segments exist only as marks, at
//! which snapshots are taken and the log may be cut; `segment.ms` and the index limits mean nothing
//! here. Memory is freed batch by batch.

mod content;
mod rewrite;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::{
    AbortedTransaction, AppendError, BatchBytes, BoxFuture, Commit, CommitObserver, Engine, Log,
    LogConfig, LogDirectory, LogId, LogRead, OpenError, ReadError, Replay, Rewrite, RewriteError,
    SegmentFacts,
};
use crate::records::BatchHeader;
use content::Content;
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
