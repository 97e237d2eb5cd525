//! When and how written bytes are synced.
//!
//! A flush begins at most [`super::EngineSettings::flush_delay_ms`] after the first unsynced byte, or at
//! once where a commit waits. Of a log one runs at a time, so commits that come meanwhile share the
//! next; those of several logs run at the same time, and the device merges them. With nothing to
//! sync, nothing runs.
//!
//! The recovery point of a log follows when its log file and its sidecars are synced. A sealed
//! segment was synced with its indexes when it was sealed, and those of the active one need not be:
//! recovery rebuilds the indexes of the segment that holds the recovery point.
//!
//! A failed sync is final: the kernel may have dropped the bytes and call the next sync a success.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::core::Core;
use super::engine::Shared;
use super::files::{HeldFile, lock};
use super::sidecars::Snapshots;
use crate::log::{AppendError, LogConfig, is_full};

/// Index entries that may gather in memory before a flush writes them.
const UNWRITTEN_ENTRIES_MAX: usize = 256;

/// Logs that are flushed at the same time.
const FLUSHES_MAX: usize = 16;

/// The longest wait that is computed with: a year.
pub(super) const DELAY_MAX_MS: u64 = 365 * 86_400_000;

/// How soon a log is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// With the next pass that time brings.
    Later,
    /// As soon as no other pass runs.
    Now,
}

/// Logs with something to sync.
pub(super) struct Flusher {
    delay_ms: u64,
    queue: Mutex<Vec<Queued>>,
    wake: Notify,
}

struct Queued {
    deadline: Instant,
    urgency: Urgency,
    core: Arc<Core>,
}

impl Flusher {
    pub(super) fn new(delay_ms: u64) -> Self {
        Self { delay_ms, queue: Mutex::default(), wake: Notify::new() }
    }

    pub(super) fn queue(&self, core: &Arc<Core>, config: &LogConfig, urgency: Urgency) {
        let delay_ms = match (urgency, u64::try_from(config.flush_ms)) {
            (Urgency::Now, _) => 0,
            (Urgency::Later, Ok(flush_ms)) if config.flush_ms < i64::MAX => flush_ms,
            (Urgency::Later, _) => self.delay_ms,
        };
        let mut queue = lock(&self.queue);
        queue.push(Queued {
            deadline: Instant::now() + Duration::from_millis(delay_ms.min(DELAY_MAX_MS)),
            urgency,
            core: Arc::clone(core),
        });
        drop(queue);
        self.wake.notify_one();
    }

    /// Wakes the task that runs passes, to look at the directory's state.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Forgets all logs.
    pub(super) fn clear(&self) {
        lock(&self.queue).clear();
    }

    fn next_deadline(&self) -> Option<Instant> {
        lock(&self.queue).iter().map(|queued| queued.deadline).min()
    }

    /// Takes the logs of the next pass: the urgent ones, and everything else once one of them is
    /// due.
    fn take_due(&self) -> Vec<Arc<Core>> {
        let now = Instant::now();
        let mut queue = lock(&self.queue);
        let all =
            queue.iter().any(|queued| queued.urgency == Urgency::Later && queued.deadline <= now);
        let due = queue.extract_if(.., |queued| all || queued.deadline <= now);
        due.map(|queued| queued.core).collect()
    }
}

/// Flushes what is due, writes checkpoints and removes files for as long as the engine lives.
pub(super) async fn run(shared: Arc<Shared>) {
    let interval = Duration::from_millis(shared.settings.checkpoint_interval_ms.min(DELAY_MAX_MS));
    let mut checkpoint_at: Option<Instant> = None;
    let (mut flushes, mut upkeep) = (JoinSet::new(), JoinSet::new());
    loop {
        if shared.check_online().is_err() {
            return shared.tell_failure().await;
        }
        let upkeep_at = [checkpoint_at, shared.doomed.next_deadline()];
        let upkeep_at = upkeep_at.into_iter().flatten().min().filter(|_| upkeep.is_empty());
        let due = shared.flusher.next_deadline().into_iter().chain(upkeep_at).min();
        tokio::select! {
            biased;
            () = until(due) => {}
            () = shared.flusher.wake.notified() => continue,
            Some(ended) = flushes.join_next() => { passed_on(ended); continue }
            Some(ended) = upkeep.join_next() => { passed_on(ended); continue }
        }
        for core in shared.flusher.take_due() {
            if lock(&core.writer).queued.is_none() {
                continue;
            }
            while flushes.len() >= FLUSHES_MAX
                && let Some(ended) = flushes.join_next().await
            {
                passed_on(ended);
            }
            // What goes wrong is said where it does.
            flushes.spawn(async move { drop(core.flush().await) });
            checkpoint_at.get_or_insert_with(|| Instant::now() + interval);
        }
        if upkeep_at.is_some_and(|at| at <= Instant::now()) {
            let writes = checkpoint_at.take_if(|at| *at <= Instant::now()).is_some();
            let shared = Arc::clone(&shared);
            upkeep.spawn(async move {
                if writes {
                    shared.write_checkpoints().await;
                }
                shared.remove_doomed().await;
            });
        }
    }
}

/// Returns at once where the time has come: a timer may be a millisecond late, five times what a sync takes.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) if due <= Instant::now() => {}
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// A panic goes on here; a task that the end of the runtime has cancelled is none.
fn passed_on(ended: Result<(), JoinError>) {
    if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

/// What one flush of a log has to do, taken under the writer's lock.
struct Work {
    file: Option<HeldFile>,
    snapshots: Vec<i64>,
    has_new_epochs: bool,
    end_offset: i64,
}

impl Core {
    /// Syncs everything accepted so far and tells the observer.
    pub(super) async fn flush(self: &Arc<Self>) -> Result<(), AppendError> {
        let _gate = self.gate.lock().await;
        self.flush_gated().await
    }

    /// As [`Core::flush`], for one who holds the gate.
    pub(super) async fn flush_gated(self: &Arc<Self>) -> Result<(), AppendError> {
        let core = Arc::clone(self);
        let end_offset = self.shared.env.offload.run(move || core.sync()).await?;
        let announce = {
            let mut writer = lock(&self.writer);
            let announce = writer.pending_end > writer.announced_end;
            writer.announced_end = writer.announced_end.max(end_offset);
            announce
        };
        if announce {
            self.observer.committed(end_offset);
        }
        Ok(())
    }

    /// Syncs; gives the end of what is safe now.
    fn sync(self: &Arc<Self>) -> Result<i64, AppendError> {
        let fatal = |error: io::Error| self.shared.poison(&self.name, &error);
        let work = {
            let mut writer = lock(&self.writer);
            writer.queued = None;
            self.check_open(&writer)?;
            self.sync_names(&mut writer).map_err(fatal)?;
            Work {
                file: writer.unsynced.take(),
                snapshots: writer.snapshots.take_unsynced(),
                has_new_epochs: std::mem::take(&mut writer.has_new_epochs),
                end_offset: self.end_offset(),
            }
        };
        if let Some(file) = &work.file {
            file.get().sync().map_err(fatal)?;
        }
        let end_offset = work.end_offset;
        match self.sync_sidecars(&work) {
            Ok(()) => {
                lock(&self.writer).synced_end = end_offset;
                self.shared.positions.raise_recovery_point(&self.name, end_offset);
            }
            Err(error) if is_full(&error) => self.put_back(work),
            Err(error) => return Err(fatal(error)),
        }
        Ok(end_offset)
    }

    fn sync_sidecars(&self, work: &Work) -> io::Result<()> {
        let segments = self.segments.load();
        segments[segments.len() - 1].write_indexes(UNWRITTEN_ENTRIES_MAX)?;
        for offset in &work.snapshots {
            Snapshots::sync(self.shared.disk(), &self.directory, *offset)?;
        }
        if work.has_new_epochs { self.write_epochs() } else { Ok(()) }
    }

    /// Leaves what a full device did not take for a later pass. The batches are safe.
    fn put_back(self: &Arc<Self>, work: Work) {
        let mut writer = lock(&self.writer);
        writer.snapshots.restore_unsynced(work.snapshots);
        writer.has_new_epochs |= work.has_new_epochs;
        self.queue_flush(&mut writer, &self.config(), Urgency::Later);
    }

    /// Closes after a last flush: complete indexes, a snapshot at the end, everything synced.
    pub(super) async fn close(self: &Arc<Self>, snapshot: Vec<u8>) -> Result<(), AppendError> {
        let _gate = self.gate.lock().await;
        self.flush_gated().await?;
        let core = Arc::clone(self);
        self.shared.env.offload.run(move || core.close_now(&snapshot)).await
    }

    fn close_now(self: &Arc<Self>, snapshot: &[u8]) -> Result<(), AppendError> {
        let _structure = lock(&self.structure);
        let mut writer = lock(&self.writer);
        self.check_open(&writer)?;
        let (start_offset, end_offset) = (self.start_offset(), self.end_offset());
        let segments = self.segments.load();
        let active = &segments[segments.len() - 1];
        let newest = writer.snapshots.newest().unwrap_or(start_offset);
        let (disk, directory) = (self.shared.disk(), &self.directory);
        if writer.has_unsynced_sidecars() {
            let error = io::ErrorKind::StorageFull.into();
            return Err(AppendError::NoSpace(error));
        }
        let mut complete = || {
            if writer.is_touched && active.tail().size_bytes > 0 {
                active.finish_indexes()?;
                Self::give_back(&mut writer, active)?;
                active.sync()?;
            }
            if newest < end_offset {
                writer.snapshots.write(disk, directory, end_offset, snapshot)?;
                Snapshots::sync(disk, directory, end_offset)?;
                let is_base = |offset| segments.iter().any(|segment| segment.base_offset == offset);
                writer.snapshots.retain_useful(disk, directory, is_base)?;
                disk.sync_dir(directory)?;
            }
            self.sync_names(&mut writer)
        };
        complete().map_err(|error| self.failure(error))?;
        writer.closed = Some("is closed");
        for segment in segments.iter() {
            segment.release();
        }
        self.shared.positions.closed(&self.name, end_offset);
        Ok(())
    }

    /// Takes the log away from whoever still holds it; readers keep what they read.
    pub(super) async fn retire(self: &Arc<Self>, reason: &'static str) {
        let _gate = self.gate.lock().await;
        let core = Arc::clone(self);
        let retire = move || {
            let _structure = lock(&core.structure);
            lock(&core.writer).closed = Some(reason);
            for segment in core.segments.load().iter() {
                segment.retire();
            }
        };
        self.shared.env.offload.run(retire).await;
    }
}
