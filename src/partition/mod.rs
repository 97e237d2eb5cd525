//! Kafka's semantics above the log: what may be appended, what may be read, who waits for it.
//!
//! A [`Partition`] owns one log. Its producers stand behind one short lock that is held to check a
//! sequence, give an offset and write; whoever reads takes the published [`Bounds`] and never that
//! lock. An answer leaves when the position it depends on is committed ([`Partition::committed`]).

mod append;
mod bounds;
mod compact;
mod delete;
mod directories;
mod markers;
mod offsets;
mod producers;
mod read;
mod registry;
mod retention;
mod snapshot;
#[cfg(test)]
mod tests;
mod verification;
mod waiters;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::config::TopicConfig;
use crate::env::Env;
use crate::log::{AppendError, CommitObserver, Engine, Log, LogConfig, LogId, OpenError};

pub use append::{Appended, InternalAppendError, ProduceError, Refusal};
pub use bounds::{Bounds, NotCommitted};
pub use compact::{Cleaner, CleanerSettings};
pub use delete::DeleteError;
pub use directories::{Directories, Place, Places};
pub use markers::{Admission, MarkerError, TransactionMarker, marker_commits, marker_record};
pub use offsets::Found;
pub use producers::{ActiveProducer, ProducerError};
pub use read::{FetchError, Isolation, ReadOutcome};
pub use registry::{NotOpen, PartitionToOpen, Registry, TopicToOpen};
pub use retention::{RetentionError, keep_retention};
pub use verification::{Guard, ProducerBatch};
pub use waiters::FetchWait;

use bounds::Progress;
use compact::LastRecord;
use producers::Producers;

/// One open partition.
pub struct Partition {
    id: LogId,
    env: Env,
    log: Arc<dyn Log>,
    leader_epoch: AtomicI32,
    config: ArcSwap<TopicConfig>,
    producers: Mutex<Producers>,
    progress: Arc<Progress>,
    /// Told when there may be something to compact.
    cleaner: OnceLock<Arc<Notify>>,
    /// Retention and compaction take turns.
    upkeep: tokio::sync::Mutex<()>,
}

impl Partition {
    /// Opens the partition's log (creating it where there is none), replays its producers and
    /// notes `leader_epoch` in it.
    pub async fn open(
        env: &Env,
        engine: &dyn Engine,
        id: LogId,
        leader_epoch: i32,
        config: Arc<TopicConfig>,
    ) -> Result<Arc<Self>, OpenError> {
        let now_ms = env.clock.now_ms();
        let mut producers = Producers::new(now_ms, config.producer_id_expiration_ms);
        let progress = Arc::new(Progress::new());
        let observer: Arc<dyn CommitObserver> = progress.clone();
        let log = engine.open(&id, log_config(&config), observer, &mut producers).await?;
        log.begin_epoch(leader_epoch).map_err(|error| OpenError::Io {
            directory: id.directory_name(),
            source: match error {
                AppendError::NoSpace(error) => error,
                error => std::io::Error::other(error),
            },
        })?;
        progress.start(log.end_offset(), producers.first_open_transaction());
        Ok(Arc::new(Self {
            id,
            env: env.clone(),
            log,
            leader_epoch: AtomicI32::new(leader_epoch),
            config: ArcSwap::new(config),
            producers: Mutex::new(producers),
            progress,
            cleaner: OnceLock::new(),
            upkeep: tokio::sync::Mutex::default(),
        }))
    }

    /// Topic, topic id and number.
    pub fn id(&self) -> &LogId {
        &self.id
    }

    /// Epoch of the leader that this broker is, 0 or more.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    /// Batches appended from now on carry `epoch`; waiting fetches are woken. An older or equal
    /// epoch changes nothing.
    pub fn raise_leader_epoch(&self, epoch: i32) -> Result<(), AppendError> {
        {
            let _appends = self.lock();
            if epoch <= self.leader_epoch() {
                return Ok(());
            }
            self.log.begin_epoch(epoch)?;
            self.leader_epoch.store(epoch, Ordering::Release);
        }
        self.progress.wake_all();
        Ok(())
    }

    /// The topic's configuration as of now.
    pub fn config(&self) -> Arc<TopicConfig> {
        self.config.load_full()
    }

    /// Applies a changed topic configuration to what follows.
    pub fn configure(&self, config: Arc<TopicConfig>) {
        self.log.configure(log_config(&config));
        self.config.store(config);
        self.tell_cleaner();
    }

    /// Has `cleaner` told from now on when there may be something to compact.
    fn set_cleaner(&self, cleaner: &Arc<Notify>) {
        let _ = self.cleaner.set(Arc::clone(cleaner));
        self.tell_cleaner();
    }

    fn tell_cleaner(&self) {
        if self.config.load().compact
            && let Some(cleaner) = self.cleaner.get()
        {
            cleaner.notify_one();
        }
    }

    /// Bytes of the log.
    pub fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    /// How far the partition can be read now.
    pub fn bounds(&self) -> Bounds {
        self.progress.bounds(self.log.start_offset(), self.log.end_offset())
    }

    /// Resolves when everything below `end_offset` is committed, or when that will not be known.
    pub fn committed(
        &self,
        end_offset: i64,
    ) -> impl Future<Output = Result<(), NotCommitted>> + Send + 'static {
        let progress = Arc::clone(&self.progress);
        async move { progress.wait_committed(end_offset).await }
    }

    /// True if everything below `end_offset` is committed already.
    pub fn is_committed(&self, end_offset: i64) -> bool {
        self.progress.is_committed(end_offset)
    }

    /// Syncs everything accepted so far.
    pub async fn flush(&self) -> Result<(), AppendError> {
        self.log.flush().await
    }

    /// Starts a new segment, so that what is there so far can be freed.
    pub fn roll(&self) -> Result<(), AppendError> {
        let producers = self.lock();
        self.log.roll(&mut || producers.snapshot())?;
        self.tell_cleaner();
        Ok(())
    }

    /// Makes everything below `offset` unreadable and frees whole segments.
    pub fn delete_before(&self, offset: i64) -> Result<(), AppendError> {
        let _appends = self.lock();
        self.log.delete_before(offset)?;
        self.progress.wake_all();
        // What is left may be dirtier.
        self.tell_cleaner();
        Ok(())
    }

    /// The producers it remembers, by their ids.
    pub fn active_producers(&self) -> Result<Vec<ActiveProducer>, NotCommitted> {
        self.check_serving()?;
        Ok(self.lock().active().collect())
    }

    /// The partition lives here no longer: everyone who waits is told, every later call refused.
    pub fn stop(&self) {
        let _appends = self.lock();
        self.progress.stop();
    }

    fn last_records(&self) -> BTreeMap<i64, LastRecord> {
        self.lock().last_records()
    }

    /// Stops the partition and closes its log, so that the next open replays nothing.
    pub async fn close(&self) -> Result<(), AppendError> {
        let bounds = self.bounds();
        if bounds.high_watermark < bounds.end_offset {
            self.log.flush().await?;
        }
        let snapshot = {
            let producers = self.lock();
            self.progress.stop();
            producers.snapshot()
        };
        self.log.close(snapshot).await
    }

    fn check_serving(&self) -> Result<(), NotCommitted> {
        self.progress.check_serving()
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn lock(&self) -> MutexGuard<'_, Producers> {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_config(config: &TopicConfig) -> LogConfig {
    LogConfig {
        segment_bytes: u64::from(config.segment_bytes),
        segment_ms: config.segment_ms,
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: u64::from(config.segment_index_bytes),
        index_interval_bytes: u64::from(config.index_interval_bytes),
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        preallocate: config.preallocate,
        file_delete_delay_ms: config.file_delete_delay_ms,
    }
}
