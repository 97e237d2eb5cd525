//! The task that cleans: the dirtiest log first, a few at a time (Kafka: `LogCleaner`,
//! `LogCleanerManager`).
//!
//! It looks at the compacted logs `log.cleaner.backoff.ms` after a segment was sealed or a
//! configuration changed, and goes on looking at that interval while a log waits for time to pass
//! or for a transaction to end; otherwise it sleeps.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::CleanerConfig;
use crate::env::Env;
use crate::log::{AppendError, LogId, SegmentFacts};
use crate::partition::{Partition, Registry};

use super::clean::{CleanError, Cleaning, Means};
use super::range::{Cleanable, LogFacts, SegmentTimes};
use super::throttle::Throttle;

/// Where the cleaner's configuration comes from, which may change at any time.
pub type CleanerSettings = Arc<dyn Fn() -> CleanerConfig + Send + Sync>;

/// Cleans the compacted partitions of a registry until it is stopped or dropped.
pub struct Cleaner {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    env: Env,
    registry: Arc<Registry>,
    settings: CleanerSettings,
    stopped: watch::Receiver<bool>,
    throttle: Throttle,
    taken: Mutex<Taken>,
}

/// Partitions that are not to be taken.
#[derive(Default)]
struct Taken {
    in_progress: BTreeSet<String>,
    /// Those whose bytes are damaged, until the next start (Kafka: `uncleanablePartitions`).
    uncleanable: Vec<LogId>,
}

/// A log to be cleaned.
struct Job {
    partition: Arc<Partition>,
    cleanable: Cleanable,
}

/// What one look at the logs has found.
#[derive(Default)]
struct Look {
    dirtiest: Option<Job>,
    /// Another look is worth it, though nothing is appended.
    is_worth_another: bool,
}

impl Cleaner {
    /// Starts the task.
    pub fn start(env: &Env, registry: &Arc<Registry>, settings: CleanerSettings) -> Self {
        let (stop, stopped) = watch::channel(false);
        let rate = Arc::clone(&settings);
        let shared = Arc::new(Shared {
            env: env.clone(),
            registry: Arc::clone(registry),
            throttle: Throttle::new(move || rate().io_max_bytes_per_second),
            settings,
            stopped,
            taken: Mutex::default(),
        });
        Self { stop, task: tokio::spawn(run(shared)) }
    }

    /// Ends what is under way, which changes nothing then, and waits for it.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>) {
    let mut stopped = shared.stopped.clone();
    let mut running = JoinSet::new();
    loop {
        let config = (shared.settings)();
        let mut is_worth_another = false;
        while running.len() < config.threads {
            let look = shared.look().await;
            is_worth_another = look.is_worth_another;
            let Some(job) = look.dirtiest else { break };
            running.spawn(clean(Arc::clone(&shared), job, config));
        }
        let backoff = backoff(&config);
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = running.join_next() => {}
            () = pause(&shared.registry.sealed, is_worth_another, backoff) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

fn backoff(config: &CleanerConfig) -> Duration {
    Duration::from_millis(config.backoff_ms.max(1))
}

/// Until it is time to look again.
async fn pause(sealed: &Notify, is_worth_another: bool, backoff: Duration) {
    if !is_worth_another {
        sealed.notified().await;
    }
    tokio::time::sleep(backoff).await;
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the dirtiest of the logs that are due, and takes it (Kafka:
    /// `grabFilthiestCompactedLog`).
    async fn look(self: &Arc<Self>) -> Look {
        let mut look = Look::default();
        let partitions = self.registry.all();
        let is_known = |id: &LogId| partitions.iter().any(|partition| partition.id() == id);
        self.taken().uncleanable.retain(is_known);
        let mut candidates = partitions;
        candidates.retain(|partition| partition.config().compact && self.is_free(partition));
        if candidates.is_empty() {
            return look;
        }
        let of = |partition: Arc<Partition>| (partition.cleanable(), partition);
        let look_at = move || candidates.into_iter().map(of).collect::<Vec<_>>();
        for (cleanable, partition) in self.env.offload.run(look_at).await {
            match cleanable {
                Ok(cleanable) => look.note(partition, cleanable),
                Err(error) => self.give_up(&partition, &error.into()),
            }
        }
        if let Some(Job { partition, .. }) = &look.dirtiest {
            self.taken().in_progress.insert(partition.id().directory_name());
        }
        look
    }

    fn is_free(&self, partition: &Partition) -> bool {
        let taken = self.taken();
        partition.check_serving().is_ok()
            && !taken.in_progress.contains(&partition.id().directory_name())
            && !taken.uncleanable.contains(partition.id())
    }

    /// Says once what is wrong and leaves the partition alone.
    fn give_up(&self, partition: &Partition, error: &CleanError) {
        if partition.check_serving().is_err() {
            return;
        }
        let name = partition.id().directory_name();
        tracing::error!(
            partition = name, %error,
            "the partition cannot be compacted and is left as it is until the broker is restarted"
        );
        self.taken().uncleanable.push(partition.id().clone());
    }
}

impl Look {
    fn note(&mut self, partition: Arc<Partition>, cleanable: Cleanable) {
        let min_ratio = partition.config().min_cleanable_dirty_ratio;
        self.is_worth_another |= cleanable.may_grow;
        if !cleanable.is_due(min_ratio) {
            return;
        }
        let ratio = |job: &Job| job.cleanable.ratio();
        if self.dirtiest.as_ref().is_none_or(|job| ratio(job) < cleanable.ratio()) {
            self.dirtiest = Some(Job { partition, cleanable });
        }
    }
}

/// Cleans one log and says what came of it.
async fn clean(shared: Arc<Shared>, job: Job, config: CleanerConfig) {
    let Job { partition, cleanable } = job;
    let name = partition.id().directory_name();
    let cleaning = Cleaning {
        partition: &partition,
        means: Means::of(&config),
        throttle: &shared.throttle,
        stop: &shared.stopped,
    };
    let cleaned = {
        let _turn = partition.upkeep.lock().await;
        cleaning.run(&cleanable).await
    };
    let noted = match cleaned {
        Ok(cleaned) => {
            tracing::info!(
                partition = name,
                from = cleanable.first_dirty,
                end_offset = cleaned.end_offset,
                read_bytes = cleaned.read_bytes,
                written_bytes = cleaned.written_bytes,
                "compacted"
            );
            let partition = Arc::clone(&partition);
            let note = move || partition.log.set_cleaned_offset(cleaned.end_offset);
            shared.env.offload.run(note).await.map_err(CleanError::Log)
        }
        Err(error) => Err(error),
    };
    let is_done = noted.is_ok();
    match noted {
        // An offline directory has said so already.
        Ok(()) | Err(CleanError::Stopped | CleanError::Log(AppendError::Offline(_))) => {}
        Err(CleanError::Log(error)) => {
            tracing::warn!(partition = name, %error, "not compacted now");
        }
        Err(error) => shared.give_up(&partition, &error),
    }
    if !is_done {
        // Not again at once: what was in the way may still be.
        let mut stopped = shared.stopped.clone();
        tokio::select! {
            () = tokio::time::sleep(backoff(&config)) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    shared.taken().in_progress.remove(&name);
}

impl Means {
    /// The part of one of the cleaner's threads.
    fn of(config: &CleanerConfig) -> Self {
        let threads = config.threads.max(1);
        Self {
            map_bytes: config.dedupe_buffer_bytes / threads as u64,
            load_factor: config.load_factor,
            read_bytes: config.io_buffer_bytes / threads / 2,
        }
    }
}

impl Partition {
    /// What could be cleaned now. Blocks.
    pub(in crate::partition) fn cleanable(&self) -> io::Result<Cleanable> {
        let segments = self.log.segments();
        let bounds = self.bounds();
        let facts = LogFacts {
            segments: &segments,
            start_offset: bounds.log_start_offset,
            end_offset: bounds.end_offset,
            last_stable_offset: bounds.last_stable_offset,
            checkpoint: self.log.cleaned_offset(),
        };
        let now_ms = self.env.clock.now_ms();
        let cleanable = Cleanable::of(&facts, &self.config(), now_ms, self)?;
        if cleanable.resets_checkpoint {
            self.reset_cleaned(&facts, cleanable.first_dirty);
        }
        Ok(cleanable)
    }

    /// Where retention takes segments away, too, the start passes the checkpoint as a matter of
    /// course.
    fn reset_cleaned(&self, facts: &LogFacts<'_>, first_dirty: i64) {
        if !self.config().delete {
            tracing::warn!(
                partition = self.id().directory_name(),
                checkpoint = facts.checkpoint,
                start_offset = facts.start_offset,
                end_offset = facts.end_offset,
                "how far it was compacted is told of another log; compaction begins anew"
            );
        }
        // If this fails, it is done again.
        let _ = self.log.set_cleaned_offset(first_dirty);
    }
}

impl SegmentTimes for Partition {
    type Error = io::Error;

    fn largest_ms(&self, segment: &SegmentFacts) -> io::Result<Option<i64>> {
        self.log.segment_time_ms(segment.base_offset).map_err(io::Error::other)
    }

    fn first_ms(&self, segment: &SegmentFacts) -> io::Result<Option<i64>> {
        self.log.segment_first_time_ms(segment.base_offset).map_err(io::Error::other)
    }
}
