//! One log: its state, and appending; [`roll`] begins and removes segments, [`reserve`] takes room ahead.
//!
//! Locks, in the order in which they may be held: the gate (flush, close, delete), the structure
//! (what takes segments away), the writer, a segment's indexes, a segment's tail. Readers take the
//! last two only, and briefly.

mod reserve;
mod roll;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use uuid::Uuid;

use super::checkpoint::{replace, replace_unsynced};
use super::engine::Shared;
use super::epochs::{self, Epochs};
use super::files::{HeldFile, lock};
use super::flush::Urgency;
use super::recover::Loaded;
use super::scan::Located;
use super::segment::Segment;
use super::sidecars::{PARTITION_METADATA, Snapshots, sync_file};
use crate::env::DiskFile;
use crate::log::{
    AbortedTransaction, AppendError, BatchBytes, Commit, CommitObserver, LogConfig, is_full,
};
use crate::records::BatchHeader;

/// State of a log, shared by its handle and the flusher.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    /// Name of the directory.
    pub(super) name: String,
    pub(super) directory: Arc<Path>,
    pub(super) topic_id: Uuid,
    pub(super) observer: Arc<dyn CommitObserver>,
    pub(super) config: Mutex<LogConfig>,
    /// Never empty; batches are appended to the last one.
    pub(super) segments: ArcSwap<Vec<Arc<Segment>>>,
    pub(super) start_offset: AtomicI64,
    pub(super) end_offset: AtomicI64,
    pub(super) epochs: Mutex<Epochs>,
    pub(super) writer: Mutex<Writer>,
    /// Held while segments are taken away, also where that takes long, and by what ends the log.
    pub(super) structure: Mutex<()>,
    /// One flush, close or delete at a time, commits told before the next.
    pub(super) gate: tokio::sync::Mutex<()>,
}

/// What changes with appends.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Writer {
    /// Why nothing is accepted any more.
    pub(super) closed: Option<&'static str>,
    /// The active segment's file while it has unsynced bytes: the handle that wrote hears of the
    /// errors that writing back meets.
    pub(super) unsynced: Option<HeldFile>,
    pub(super) snapshots: Snapshots,
    /// Names in the directory are not synced.
    pub(super) has_new_names: bool,
    /// The directory's own name, `partition.metadata` and `leader-epoch-checkpoint` may not be
    /// synced.
    pub(super) has_new_identity: bool,
    /// Nothing of the log is synced.
    is_new: bool,
    /// `leader-epoch-checkpoint` is behind.
    pub(super) has_new_epochs: bool,
    /// Something was appended, or may have been when it opened after an unclean stop.
    pub(super) is_touched: bool,
    /// When the active segment was made, in milliseconds since the epoch.
    created_ms: i64,
    /// Timestamp of the active segment's first batch, once known.
    first_timestamp_ms: Option<i64>,
    /// How much earlier than `segment.ms` the active segment rolls.
    jitter_ms: i64,
    /// The active segment's file has room up to here, or less if that is below its end.
    reserved_bytes: u64,
    /// Everything below is synced.
    pub(super) synced_end: i64,
    /// End of the last batch whose commit is pending.
    pub(super) pending_end: i64,
    /// How far the observer was told.
    pub(super) announced_end: i64,
    /// How soon the flusher comes.
    pub(super) queued: Option<Urgency>,
}

impl Writer {
    /// Whether a full device kept a flush from completing what stands beside the batches.
    pub(super) fn has_unsynced_sidecars(&self) -> bool {
        self.snapshots.has_unsynced() || self.has_new_epochs
    }
}

impl Core {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: &crate::log::LogId,
        directory: Arc<Path>,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        loaded: Loaded,
        is_new: bool,
    ) -> io::Result<Self> {
        let created_ms = shared.env.clock.now_ms();
        let active = &loaded.segments[loaded.segments.len() - 1];
        let is_dirty = loaded.is_dirty;
        let reserved_bytes = if is_new { reserve::reserve_whole(active, &config)? } else { 0 };
        if is_dirty && !is_new {
            reserve::give_back_old(active, &config)?;
        }
        let is_unsynced = is_dirty && active.tail().size_bytes > 0;
        let unsynced = if is_unsynced { shared.hold(active.file()?)? } else { None };
        let synced_end = if is_dirty { loaded.start_offset } else { loaded.end_offset };
        Ok(Self {
            name: id.directory_name(),
            topic_id: id.topic_id,
            directory,
            observer,
            config: Mutex::new(config),
            segments: ArcSwap::from_pointee(loaded.segments),
            start_offset: AtomicI64::new(loaded.start_offset),
            end_offset: AtomicI64::new(loaded.end_offset),
            epochs: Mutex::new(loaded.epochs),
            writer: Mutex::new(Writer {
                closed: None,
                unsynced,
                snapshots: loaded.snapshots,
                has_new_names: is_new || loaded.is_dirty,
                has_new_identity: is_new || loaded.is_dirty,
                is_new,
                has_new_epochs: false,
                is_touched: is_dirty,
                created_ms,
                first_timestamp_ms: None,
                jitter_ms: roll::jitter_ms(&shared.env.random, &config),
                reserved_bytes,
                synced_end,
                pending_end: 0,
                announced_end: 0,
                queued: None,
            }),
            structure: Mutex::default(),
            gate: tokio::sync::Mutex::default(),
            shared,
        })
    }

    pub(super) fn config(&self) -> LogConfig {
        *lock(&self.config)
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.end_offset.load(Ordering::Acquire)
    }

    pub(super) fn start_offset(&self) -> i64 {
        self.start_offset.load(Ordering::Acquire)
    }

    fn active(&self) -> Arc<Segment> {
        let segments = self.segments.load();
        Arc::clone(&segments[segments.len() - 1])
    }

    pub(super) fn check_open(&self, writer: &Writer) -> Result<(), AppendError> {
        self.shared.check_online()?;
        match writer.closed {
            Some(reason) => Err(AppendError::Offline(format!("{} {reason}", self.name))),
            None => Ok(()),
        }
    }

    /// A full device leaves the log as it is; any other failure takes the directory offline.
    pub(super) fn failure(&self, error: io::Error) -> AppendError {
        if is_full(&error) {
            return AppendError::NoSpace(error);
        }
        self.shared.poison(&self.name, &error)
    }

    pub(super) fn append(
        self: &Arc<Self>,
        batch: BatchBytes<'_>,
        aborted: Option<AbortedTransaction>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<Commit, AppendError> {
        let config = self.config();
        let header = BatchHeader::parse(&batch.header)
            .map_err(|error| AppendError::Offline(error.to_string()))?;
        let size_bytes = (batch.header.len() + batch.records.len()) as u64;
        if size_bytes > config.segment_bytes {
            return Err(AppendError::LargerThanSegment {
                size_bytes,
                segment_bytes: config.segment_bytes,
            });
        }
        assert_eq!(size_bytes, header.size_bytes() as u64, "a batch is whole");
        assert!(header.base_offset >= self.end_offset(), "offsets grow");
        let next_offset = header.next_offset();
        let next_offset = next_offset.filter(|next| *next > header.base_offset);
        let next_offset = next_offset.ok_or(AppendError::Offline("offsets overflow".into()))?;

        let mut writer = lock(&self.writer);
        self.check_open(&writer)?;
        let should_roll = self.should_roll(&mut writer, &config, &header, size_bytes);
        if should_roll.map_err(|error| self.failure(error))? {
            self.roll(&mut writer, &header, snapshot)?;
        }
        let segment = self.active();
        if aborted.is_some() {
            let is_new = segment.create_aborted().map_err(|error| self.failure(error))?;
            writer.has_new_names |= is_new;
        }
        let position = segment.tail().size_bytes;
        writer.is_touched = true;
        let (file, is_held) = match &writer.unsynced {
            Some(held) => (Arc::clone(held.get()), true),
            None => (segment.file().map_err(|error| self.failure(error))?, false),
        };
        Self::reserve_ahead(&mut writer, &*file, position + size_bytes, position, &config);
        self.write(&*file, batch, position)?;
        if !is_held {
            let held = self.shared.hold(file);
            writer.unsynced = held.map_err(|error| self.shared.poison(&self.name, &error))?;
        }
        segment
            .publish(Located { position, header }, config.index_interval_bytes)
            .map_err(|error| self.shared.poison(&self.name, &error))?;
        if let Some(aborted) = aborted {
            segment.push_aborted(aborted);
        }
        writer.has_new_epochs |= lock(&self.epochs).assign(header.leader_epoch, header.base_offset);
        self.end_offset.store(next_offset, Ordering::Release);
        Ok(self.schedule_flush(&mut writer, &config, next_offset))
    }

    fn write(
        &self,
        file: &dyn DiskFile,
        batch: BatchBytes<'_>,
        position: u64,
    ) -> Result<(), AppendError> {
        let (mut header, mut records) = (&batch.header[..], batch.records);
        let mut written = 0;
        let error = loop {
            if header.is_empty() && records.is_empty() {
                return Ok(());
            }
            match file.write_parts_at(header, records, position + written) {
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more as u64;
                    let of_header = more.min(header.len());
                    header = &header[of_header..];
                    records = &records[more - of_header..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        // Synced, or a crash after a later append could bring this piece back behind it.
        let undone = match written {
            0 => file.set_len(position),
            _ => file.set_len(position).and_then(|()| file.sync()),
        };
        match undone {
            Ok(()) => Err(self.failure(error)),
            Err(error) => Err(self.shared.poison(&self.name, &error)),
        }
    }

    /// Says when a batch is committed and sees to it that it is flushed in time.
    fn schedule_flush(
        self: &Arc<Self>,
        writer: &mut Writer,
        config: &LogConfig,
        end_offset: i64,
    ) -> Commit {
        let awaits_sync = config.flush_messages <= 1 || writer.pending_end > writer.announced_end;
        if awaits_sync {
            writer.pending_end = end_offset;
        }
        let is_due = end_offset.saturating_sub(writer.synced_end) >= config.flush_messages;
        let is_urgent = awaits_sync || is_due;
        let urgency = if is_urgent { Urgency::Now } else { Urgency::Later };
        self.queue_flush(writer, config, urgency);
        if awaits_sync { Commit::Pending } else { Commit::Done }
    }

    pub(super) fn queue_flush(
        self: &Arc<Self>,
        writer: &mut Writer,
        config: &LogConfig,
        urgency: Urgency,
    ) {
        if writer.queued.is_none_or(|queued| queued < urgency) {
            writer.queued = Some(urgency);
            self.shared.flusher.queue(self, config, urgency);
        }
    }

    /// Makes the names of files survive a crash; after a failure nobody knows what does, so that
    /// none reads as a want of room.
    pub(super) fn sync_names(&self, writer: &mut Writer) -> io::Result<()> {
        let disk = self.shared.disk();
        if std::mem::take(&mut writer.has_new_names) {
            if writer.has_new_identity {
                sync_file(disk, &self.directory.join(PARTITION_METADATA))?;
                sync_file(disk, &self.directory.join(epochs::FILE_NAME))?;
            }
            disk.sync_dir(&self.directory).map_err(io::Error::other)?;
        }
        if std::mem::take(&mut writer.has_new_identity) {
            disk.sync_dir(&self.shared.root).map_err(io::Error::other)?;
            writer.is_new = false;
        }
        Ok(())
    }

    /// Of a new log not even the directory is synced: its first epoch is with the first flush.
    pub(super) fn begin_epoch(self: &Arc<Self>, epoch: i32) -> Result<(), AppendError> {
        let mut writer = lock(&self.writer);
        self.check_open(&writer)?;
        // Held while the file is written: a flush may write it, too.
        let mut epochs = lock(&self.epochs);
        let mut next = epochs.clone();
        if !next.assign(epoch, self.end_offset()) {
            return Ok(());
        }
        let (disk, text) = (self.shared.disk(), next.format());
        let write = if writer.is_new { replace_unsynced } else { replace };
        write(disk, &self.directory, epochs::FILE_NAME, text.as_bytes())
            .map_err(|error| self.failure(error))?;
        *epochs = next;
        drop(epochs);
        writer.has_new_epochs = false;
        if writer.is_new {
            writer.has_new_names = true;
            self.queue_flush(&mut writer, &self.config(), Urgency::Later);
        }
        Ok(())
    }

    /// Writes the epochs that came with batches.
    pub(super) fn write_epochs(&self) -> io::Result<()> {
        let epochs = lock(&self.epochs);
        let (disk, text) = (self.shared.disk(), epochs.format());
        replace(disk, &self.directory, epochs::FILE_NAME, text.as_bytes())
    }
}
