//! Recovery points, start offsets and how far it is compacted of all logs of a directory, and their
//! checkpoint files.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::checkpoint::{self, Offsets};
use super::engine::Shared;
use super::files::lock;
use crate::env::Disk;

/// By log directory name.
pub(super) struct Positions {
    logs: Mutex<BTreeMap<String, Position>>,
    /// One writer of the checkpoint files at a time.
    files: Mutex<()>,
}

/// What is known of a log, whether it is open or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Everything below is synced; None if that was never written down.
    pub(super) recovery_point: Option<i64>,
    /// Where the log starts, if not at its first segment.
    pub(super) start_offset: Option<i64>,
    /// Everything below was compacted.
    pub(super) cleaned: Option<i64>,
    /// Closed, or not opened since the broker that wrote it closed it.
    pub(super) is_clean: bool,
    /// The log is open.
    is_open: bool,
}

impl Positions {
    /// Reads the checkpoints. Entries of logs that no longer exist are dropped from the files, or
    /// a log created later under the same name would inherit them.
    pub(super) fn load(
        disk: &dyn Disk,
        root: &Path,
        existing: &HashSet<String>,
        is_clean: bool,
    ) -> io::Result<Self> {
        let read = |name| {
            let offsets = checkpoint::read_offsets(disk, &root.join(name))?;
            if offsets.is_none() {
                tracing::warn!(
                    file = name,
                    "checkpoint is damaged; what it told is found out anew"
                );
            }
            Ok::<_, io::Error>(offsets.unwrap_or_default())
        };
        let mut logs: BTreeMap<String, Position> = BTreeMap::new();
        for (name, offset) in read(checkpoint::RECOVERY_POINT)? {
            let position = logs.entry(name).or_default();
            // A log without an entry, as Kafka's metadata log, was not closed with the others.
            (position.recovery_point, position.is_clean) = (Some(offset), is_clean);
        }
        for (name, offset) in read(checkpoint::LOG_START)? {
            logs.entry(name).or_default().start_offset = Some(offset);
        }
        for (name, offset) in read(checkpoint::CLEANER)? {
            logs.entry(name).or_default().cleaned = Some(offset);
        }
        let found = logs.len();
        logs.retain(|name, _| existing.contains(name));
        let has_stale = logs.len() < found;
        let positions = Self { logs: Mutex::new(logs), files: Mutex::default() };
        if has_stale {
            positions.write_cleaned(disk, root)?;
            positions.write(disk, root)?;
        }
        Ok(positions)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Position)) {
        if let Some(position) = lock(&self.logs).get_mut(name) {
            change(position);
        }
    }

    /// Gives what is known of a log that opens; from now on it is not clean.
    pub(super) fn opening(&self, name: &str) -> Position {
        let mut logs = lock(&self.logs);
        let position = logs.entry(name.to_owned()).or_default();
        let known = *position;
        (position.is_clean, position.is_open) = (false, true);
        known
    }

    pub(super) fn raise_recovery_point(&self, name: &str, offset: i64) {
        self.change(name, |position| position.recovery_point = Some(offset));
    }

    pub(super) fn closed(&self, name: &str, end_offset: i64) {
        self.change(name, |position| {
            position.recovery_point = Some(end_offset);
            (position.is_clean, position.is_open) = (true, false);
        });
    }

    /// Writes a higher start offset down, durably.
    pub(super) fn raise_start(&self, shared: &Shared, name: &str, offset: i64) -> io::Result<()> {
        let mut before = None;
        self.change(name, |position| {
            before = position.start_offset.replace(offset);
        });
        let written = self.write_starts(shared.disk(), &shared.root);
        if written.is_err() {
            self.change(name, |position| position.start_offset = before);
        }
        written
    }

    /// Up to where a log is compacted.
    pub(super) fn cleaned(&self, name: &str) -> Option<i64> {
        lock(&self.logs).get(name)?.cleaned
    }

    /// Writes down up to where a log is compacted, durably.
    pub(super) fn set_cleaned(
        &self,
        disk: &dyn Disk,
        root: &Path,
        name: &str,
        offset: i64,
    ) -> io::Result<()> {
        self.change(name, |position| position.cleaned = Some(offset));
        self.write_cleaned(disk, root)
    }

    fn write_cleaned(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        let _files = lock(&self.files);
        let cleaned = self.offsets(|position| position.cleaned);
        checkpoint::write_offsets(disk, root, checkpoint::CLEANER, &cleaned)
    }

    /// The first segment tells the start from now on.
    pub(super) fn start_is_first_segment(&self, name: &str) {
        self.change(name, |position| position.start_offset = None);
    }

    /// Forgets deleted logs, durably.
    pub(super) fn remove(
        &self,
        disk: &dyn Disk,
        root: &Path,
        names: impl Iterator<Item = String>,
    ) -> io::Result<()> {
        let known: Vec<_> = {
            let mut logs = lock(&self.logs);
            names.filter_map(|name| logs.remove(&name)).collect()
        };
        if known.iter().any(|position| position.cleaned.is_some()) {
            self.write_cleaned(disk, root)?;
        }
        if known.is_empty() { Ok(()) } else { self.write(disk, root) }
    }

    /// The name of a log that is open.
    pub(super) fn open_log(&self) -> Option<String> {
        let logs = lock(&self.logs);
        let open = logs.iter().find(|(_, position)| position.is_open);
        open.map(|(name, _)| name.clone())
    }

    fn offsets(&self, of: impl Fn(&Position) -> Option<i64>) -> Offsets {
        let logs = lock(&self.logs);
        let listed = logs.iter();
        listed.filter_map(|(name, position)| Some((name.clone(), of(position)?))).collect()
    }

    fn write_starts(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        let _files = lock(&self.files);
        let starts = self.offsets(|position| position.start_offset);
        checkpoint::write_offsets(disk, root, checkpoint::LOG_START, &starts)
    }

    /// Writes both checkpoints.
    pub(super) fn write(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        self.write_starts(disk, root)?;
        let _files = lock(&self.files);
        let recovery_points = self.offsets(|position| position.recovery_point);
        checkpoint::write_offsets(disk, root, checkpoint::RECOVERY_POINT, &recovery_points)
    }

    /// At a clean stop: logs that were not closed lose their recovery point, so that the next
    /// start checks them, and every log's high watermark is its end.
    pub(super) fn write_closed(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        for position in lock(&self.logs).values_mut() {
            position.recovery_point.take_if(|_| !position.is_clean);
        }
        self.write(disk, root)?;
        let ends = self.offsets(|position| position.recovery_point);
        checkpoint::write_offsets(disk, root, checkpoint::REPLICATION, &ends)
    }
}
