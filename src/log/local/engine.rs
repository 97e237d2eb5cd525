//! A log directory: opening and deleting logs, the lock, the checkpoints and the clean-shutdown
//! marker, as Kafka's `LogManager`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::SetOnce;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::LocalLog;
use super::checkpoint::{read_text, replace};
use super::core::Core;
use super::doomed::Doomed;
use super::files::{FileCache, HeldFile, lock, remove_if_exists, sync};
use super::flush::{self, Flusher, Urgency};
use super::positions::Positions;
use super::recover::Opening;
use super::sidecars::{print_id, read_topic_id, write_topic_id};
use crate::env::{DirLock, Disk, DiskFile, Env, FileKind, OpenMode};
use crate::log::{
    AppendError, BoxFuture, CommitObserver, Engine, Log, LogConfig, LogDirectory, LogId, OpenError,
    Replay,
};

const LOCK_FILE: &str = ".lock";
const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
/// Stands in a directory since a write or sync failed. The page cache may then hold bytes that the
/// disk never got and call them clean, until the machine is restarted.
const FAILED_FILE: &str = ".ottla-failed";
const DELETE_SUFFIX: &str = "-delete";
/// Longest name of a directory.
const NAME_BYTES_MAX: usize = 255;

/// What a [`LocalEngine`] takes from the broker's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Longest time in milliseconds a byte stays unsynced where `flush.ms` says nothing.
    pub flush_delay_ms: u64,
    /// `log.flush.offset.checkpoint.interval.ms`: longest time in milliseconds between a flush
    /// and the checkpoint that tells of it.
    pub checkpoint_interval_ms: u64,
    /// Files kept open; more are open while they are read or unsynced. At least 1.
    pub open_files_max: usize,
    /// Files with unsynced bytes, which stay open; an append to another one syncs it at once.
    pub unsynced_files_max: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            flush_delay_ms: 100,
            checkpoint_interval_ms: 60_000,
            open_files_max: 1_000,
            unsynced_files_max: usize::MAX,
        }
    }
}

impl EngineSettings {
    /// For a process of which this engine may have so many files open; some are left for others.
    pub fn with_open_files(limit: u64) -> Self {
        let share = |divisor| usize::try_from(limit / divisor).unwrap_or(usize::MAX).max(1);
        let open_files_max = share(4).min(Self::default().open_files_max);
        Self { open_files_max, unsynced_files_max: share(2), ..Self::default() }
    }
}

/// Why a log directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The `.lock` file is held.
    #[error(
        "log directory {directory} is in use by another broker, this one or Apache Kafka; \
         stop it or set log.dirs to another directory"
    )]
    Locked {
        /// The directory.
        directory: String,
    },
    /// The file system failed.
    #[error("log directory {directory}: {source}")]
    Io {
        /// The directory.
        directory: String,
        /// Cause.
        source: io::Error,
    },
}

/// Keeps logs in one directory of files, in Apache Kafka's format.
pub struct LocalEngine {
    shared: Arc<Shared>,
    flusher: JoinHandle<()>,
    clean_shutdown_epoch: Option<i64>,
    _lock: Box<dyn DirLock>,
}

/// What the engine and its logs share.
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) root: PathBuf,
    pub(super) settings: EngineSettings,
    pub(super) cache: Arc<FileCache>,
    pub(super) positions: Positions,
    pub(super) flusher: Flusher,
    pub(super) doomed: Doomed,
    /// How many files are held open by unsynced bytes.
    unsynced: Arc<AtomicUsize>,
    /// [`FAILED_FILE`] stood there at the start.
    distrusts_cache: bool,
    /// Why the directory is offline.
    offline: SetOnce<String>,
    logs: Mutex<HashMap<String, Weak<Core>>>,
}

impl Shared {
    pub(super) fn disk(&self) -> &dyn Disk {
        self.env.disk.as_ref()
    }

    /// Keeps a file with unsynced bytes open, so that the handle that wrote hears of the errors that
    /// writing back meets. If too many are kept, it is synced instead.
    pub(super) fn hold(&self, file: Arc<dyn DiskFile>) -> io::Result<Option<HeldFile>> {
        if self.unsynced.load(Ordering::Relaxed) >= self.settings.unsynced_files_max {
            return sync(file.as_ref()).map(|()| None);
        }
        Ok(Some(HeldFile::new(file, &self.unsynced)))
    }

    pub(super) fn check_online(&self) -> Result<(), AppendError> {
        match self.offline.get() {
            Some(reason) => Err(AppendError::Offline(reason.clone())),
            None => Ok(()),
        }
    }

    /// Takes the whole directory offline; the flusher tells every log's observer.
    pub(super) fn poison(&self, log: &str, error: &io::Error) -> AppendError {
        let reason = format!("{}: {log}: {error}", self.root.display());
        if self.offline.set(reason.clone()).is_ok() {
            tracing::error!(
                directory = %self.root.display(), log, %error,
                "log directory failed and is offline until the broker is restarted"
            );
            self.note_failure();
        }
        self.flusher.wake();
        AppendError::Offline(self.offline.get().cloned().unwrap_or(reason))
    }

    /// Notes a failure for the next start, for as long as it matters: with the power the page cache
    /// goes, too.
    fn note_failure(&self) {
        let path = self.root.join(FAILED_FILE);
        if let Err(error) = self.disk().open(&path, OpenMode::Create) {
            tracing::warn!(%error, "the failure is not noted in the directory");
        }
    }

    fn open_logs(&self) -> Vec<Arc<Core>> {
        lock(&self.logs).values().filter_map(Weak::upgrade).collect()
    }

    /// Tells every open log's observer that the directory is offline.
    pub(super) async fn tell_failure(&self) {
        for core in self.open_logs() {
            let _gate = core.gate.lock().await;
            if lock(&core.writer).closed.is_none() {
                core.observer.failed();
            }
        }
    }

    /// Writes the checkpoints from time to time; a full device is no harm, the next ones tell more.
    pub(super) async fn write_checkpoints(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let write = move || shared.positions.write(shared.disk(), &shared.root);
        if let Err(error) = self.env.offload.run(write).await {
            tracing::warn!(%error, "checkpoints not written");
        }
    }
}

impl LocalEngine {
    /// Takes the lock, finishes deletions and reads the checkpoints. Blocks; to be called in a
    /// tokio runtime, where the flusher lives until the engine is dropped.
    pub fn open(
        env: &Env,
        directory: &Path,
        settings: EngineSettings,
    ) -> Result<Arc<Self>, EngineError> {
        Self::start(env, directory, settings).map_err(|source| {
            let directory = directory.display().to_string();
            match source.kind() {
                io::ErrorKind::WouldBlock => EngineError::Locked { directory },
                _ => EngineError::Io { directory, source },
            }
        })
    }

    fn start(env: &Env, root: &Path, settings: EngineSettings) -> io::Result<Arc<Self>> {
        let disk = env.disk.as_ref();
        disk.create_dir_all(root)?;
        let directory_lock = disk.lock(&root.join(LOCK_FILE))?;
        let marker = root.join(CLEAN_SHUTDOWN_FILE);
        let text = read_text(disk, &marker)?;
        if text.is_some() {
            // Durably: with the marker there, the next start would trust what this one leaves.
            remove_if_exists(disk, &marker)?;
            disk.sync_dir(root)?;
        } else {
            sync_names_up_to(disk, root)?;
        }
        let mut existing = HashSet::new();
        for name in disk.list(root)? {
            if name.ends_with(DELETE_SUFFIX) {
                disk.remove_dir_all(&root.join(name))?;
            } else if is_log_name(&name) {
                existing.insert(name);
            }
        }
        let shared = Arc::new(Shared {
            positions: Positions::load(disk, root, &existing, text.is_some())?,
            cache: Arc::new(FileCache::new(Arc::clone(&env.disk), settings.open_files_max)),
            flusher: Flusher::new(settings.flush_delay_ms),
            doomed: Doomed::default(),
            unsynced: Arc::default(),
            distrusts_cache: disk.kind(&root.join(FAILED_FILE))?.is_some(),
            env: env.clone(),
            root: root.to_owned(),
            settings,
            offline: SetOnce::new(),
            logs: Mutex::default(),
        });
        Ok(Arc::new(Self {
            flusher: tokio::spawn(flush::run(Arc::clone(&shared))),
            clean_shutdown_epoch: text.as_deref().and_then(broker_epoch),
            shared,
            _lock: directory_lock,
        }))
    }

    /// Finds or makes the directory of a log; true if it is new.
    ///
    /// One without a readable topic id is taken over: deleting and creating a log is durable in
    /// this order, so what stands here is this log, whose first flush did not come about.
    fn prepare(&self, id: &LogId, directory: &Path) -> Result<bool, OpenError> {
        let disk = self.shared.disk();
        let prepare = || {
            if let Some(found) = read_topic_id(disk, directory)? {
                return Ok((false, found));
            }
            let exists = disk.kind(directory)?.is_some();
            if !exists {
                disk.create_dir_all(directory)?;
            }
            write_topic_id(disk, directory, id.topic_id)?;
            Ok((!exists, id.topic_id))
        };
        let (is_new, found) = prepare().map_err(|source| self.unopened(id, source))?;
        if found == id.topic_id {
            return Ok(is_new);
        }
        Err(OpenError::WrongTopicId {
            directory: id.directory_name(),
            found: print_id(found),
            expected: print_id(id.topic_id),
        })
    }

    /// A log that cannot be opened: for reasons of its own, or because the device is gone.
    fn unopened(&self, id: &LogId, source: io::Error) -> OpenError {
        let directory = id.directory_name();
        let found = self.shared.disk().kind(&self.shared.root);
        let is_gone = !matches!(found, Ok(Some(FileKind::Directory)));
        if is_gone || source.raw_os_error() == Some(libc::EIO) {
            self.shared.poison(&directory, &source);
        }
        OpenError::Io { directory, source }
    }

    async fn open_log(
        &self,
        id: &LogId,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &mut dyn Replay,
    ) -> Result<Arc<dyn Log>, OpenError> {
        let name = id.directory_name();
        let io_error = |source| OpenError::Io { directory: id.directory_name(), source };
        self.shared.check_online().map_err(|error| io_error(io::Error::other(error)))?;
        let open = lock(&self.shared.logs).get(&name).and_then(Weak::upgrade);
        if let Some(open) = open {
            open.retire("was opened again").await;
        }
        let directory: Arc<Path> = self.shared.root.join(&name).into();
        let is_new = self.prepare(id, &directory)?;
        let position = self.shared.positions.opening(&name);
        let opening = Opening {
            cache: &self.shared.cache,
            directory: Arc::clone(&directory),
            interval_bytes: config.index_interval_bytes,
            is_clean: position.is_clean,
            recovery_point: position.recovery_point.unwrap_or(0),
            start_offset: position.start_offset.unwrap_or(0),
            distrusts_cache: self.shared.distrusts_cache,
        };
        let loaded = opening.load(replay).map_err(|source| {
            self.shared.note_failure();
            self.unopened(id, source)
        })?;
        let needs_flush = loaded.is_dirty && !is_new;
        let shared = Arc::clone(&self.shared);
        let core = Core::new(shared, id, directory, config, observer, loaded, is_new);
        let core = Arc::new(core.map_err(io_error)?);
        lock(&self.shared.logs).insert(name, Arc::downgrade(&core));
        if needs_flush {
            core.queue_flush(&mut lock(&core.writer), &config, Urgency::Later);
        }
        Ok(Arc::new(LocalLog(core)))
    }

    /// All names are changed before one sync makes it durable: a topic may have thousands of logs.
    async fn delete_logs(&self, ids: &[LogId]) -> io::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        let mut going = Vec::new();
        for id in ids {
            match self.take_open(id).await {
                Ok(Some(delay_ms)) => {
                    let (name, aside) = (id.directory_name(), self.deleted_name(id));
                    going.push((name, self.shared.root.join(aside), delay_ms));
                }
                Ok(None) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        let shared = Arc::clone(&self.shared);
        let delete = move || {
            let (disk, root) = (shared.disk(), &shared.root);
            let mut outcome = Ok(());
            for (name, aside, delay_ms) in &going {
                match disk.rename(&root.join(name), aside) {
                    Ok(()) => shared.doom(vec![aside.clone()], *delay_ms),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
            // Even if they are gone: an earlier try may have failed right here.
            disk.sync_dir(root)?;
            let names = going.into_iter().map(|(name, ..)| name);
            shared.positions.remove(disk, root, names)?;
            outcome
        };
        outcome.and(self.shared.env.offload.run(delete).await)
    }

    /// Takes a log that is to be deleted away from who holds it; gives how long its files stay.
    /// None where the name by now belongs to another topic.
    async fn take_open(&self, id: &LogId) -> io::Result<Option<i64>> {
        let name = id.directory_name();
        let open = lock(&self.shared.logs).get(&name).and_then(Weak::upgrade);
        let found = match &open {
            Some(core) => Some(core.topic_id),
            None => read_topic_id(self.shared.disk(), &self.shared.root.join(&name))?,
        };
        if found.is_some_and(|found| found != id.topic_id) {
            return Ok(None);
        }
        let delay_ms = open.as_ref().map_or(0, |core| core.config().file_delete_delay_ms);
        if let Some(core) = open {
            core.retire("is deleted").await;
            lock(&self.shared.logs).remove(&name);
        }
        Ok(Some(delay_ms))
    }

    /// Kafka's `LocalLog.logDeleteDirName`: the topic's name is cut where the whole is too long.
    fn deleted_name(&self, id: &LogId) -> String {
        let unique = self.shared.env.random.uuid().simple();
        let tail = format!("-{}.{unique}{DELETE_SUFFIX}", id.partition);
        let room = NAME_BYTES_MAX - tail.len();
        let topic = id.topic.get(..room).unwrap_or(&id.topic);
        format!("{topic}{tail}")
    }

    async fn close_directory(&self, broker_epoch: i64) -> io::Result<()> {
        self.shared.check_online().map_err(io::Error::other)?;
        if let Some(name) = self.shared.positions.open_log() {
            return Err(io::Error::other(format!("log {name} is not closed")));
        }
        let shared = Arc::clone(&self.shared);
        let close = move || {
            let (disk, root) = (shared.disk(), &shared.root);
            shared.positions.write_closed(disk, root)?;
            if shared.distrusts_cache {
                remove_if_exists(disk, &root.join(FAILED_FILE))?;
            }
            let marker = format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#);
            replace(disk, root, CLEAN_SHUTDOWN_FILE, marker.as_bytes())
        };
        self.shared.env.offload.run(close).await
    }
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.flusher.abort();
        self.shared.flusher.clear();
    }
}

impl Engine for LocalEngine {
    fn open<'a>(
        &'a self,
        id: &'a LogId,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &'a mut dyn Replay,
    ) -> BoxFuture<'a, Result<Arc<dyn Log>, OpenError>> {
        Box::pin(self.open_log(id, config, observer, replay))
    }

    fn delete<'a>(&'a self, ids: &'a [LogId]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(self.delete_logs(ids))
    }

    fn existing(&self) -> io::Result<Vec<String>> {
        let mut names = self.shared.disk().list(&self.shared.root)?;
        names.retain(|name| is_log_name(name));
        Ok(names)
    }

    fn directory(&self) -> LogDirectory {
        let root = &self.shared.root;
        let path = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        let online = self.shared.check_online().map_err(io::Error::other);
        LogDirectory {
            path: path.display().to_string(),
            space: online.and_then(|()| self.shared.disk().space(root)).map(Some),
        }
    }

    fn topic_id(&self, directory_name: &str) -> io::Result<Option<Uuid>> {
        read_topic_id(self.shared.disk(), &self.shared.root.join(directory_name))
    }

    fn is_offline(&self) -> bool {
        self.shared.check_online().is_err()
    }

    fn failed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.shared.offline.wait().await;
        })
    }

    fn clean_shutdown_epoch(&self) -> Option<i64> {
        self.clean_shutdown_epoch
    }

    fn close(&self, broker_epoch: i64) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(self.close_directory(broker_epoch))
    }
}

/// Makes what stands in a directory survive a crash, and its own name, which may be new.
fn sync_names_up_to(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    for parent in directory.ancestors() {
        let is_relative_root = parent.as_os_str().is_empty();
        match disk.sync_dir(if is_relative_root { Path::new(".") } else { parent }) {
            // Who may not list it did not make an entry of it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}

/// Whether a name is `<topic>-<partition>`.
fn is_log_name(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(topic, partition)| {
        !topic.is_empty()
            && partition.bytes().all(|byte| byte.is_ascii_digit())
            && partition.parse::<i32>().is_ok()
    })
}

/// The broker epoch in the clean-shutdown marker.
fn broker_epoch(text: &str) -> Option<i64> {
    let marker: serde_json::Value = serde_json::from_str(text).ok()?;
    marker.get("brokerEpoch")?.as_i64()
}
