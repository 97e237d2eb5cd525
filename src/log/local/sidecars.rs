//! Small files beside the segments: `partition.metadata` and producer snapshots, whose content
//! belongs to the partition.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::checkpoint::{read_bytes, read_text, replace_unsynced};
use super::files::{remove_if_exists, sync};
use crate::env::{Disk, OpenMode};

/// Names the topic id a directory belongs to; Apache Kafka takes a log without one for a stray.
pub(super) const PARTITION_METADATA: &str = "partition.metadata";

/// Ends the name of a producer snapshot.
pub(super) const SNAPSHOT_SUFFIX: &str = ".snapshot";

/// A topic id as Kafka prints it.
pub(super) fn print_id(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The topic id in a log's directory; None if there is none or the file is damaged.
pub(super) fn read_topic_id(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Uuid>> {
    let text = read_text(disk, &directory.join(PARTITION_METADATA))?;
    let id = text.as_deref().and_then(|text| {
        let mut lines = text.lines();
        lines.next().filter(|version| *version == "version: 0")?;
        let id = lines.next()?.strip_prefix("topic_id: ")?;
        Uuid::from_slice(&URL_SAFE_NO_PAD.decode(id).ok()?).ok()
    });
    Ok(id)
}

/// Writes `partition.metadata`; it has to be synced with the first batch.
pub(super) fn write_topic_id(disk: &dyn Disk, directory: &Path, id: Uuid) -> io::Result<()> {
    let text = format!("version: 0\ntopic_id: {}", print_id(id));
    replace_unsynced(disk, directory, PARTITION_METADATA, text.as_bytes())
}

/// Syncs a file by name, if there is one.
pub(super) fn sync_file(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.open(path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => sync(file?.as_ref()),
    }
}

/// The snapshots of one log: one at the base of each segment and one at the end after a clean stop.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    offsets: BTreeSet<i64>,
    unsynced: Vec<i64>,
}

impl Snapshots {
    /// Those found, of which the ones at or above `synced_end` may not be synced.
    pub(super) fn new(offsets: impl IntoIterator<Item = i64>, synced_end: i64) -> Self {
        let offsets: BTreeSet<_> = offsets.into_iter().collect();
        let unsynced = offsets.range(synced_end..).copied().collect();
        Self { offsets, unsynced }
    }

    /// The newest snapshot's offset.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest_in(..)
    }

    /// The offset of the newest snapshot in a range.
    pub(super) fn newest_in(&self, offsets: impl RangeBounds<i64>) -> Option<i64> {
        self.offsets.range(offsets).next_back().copied()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Writes the snapshot of `offset`.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        directory: &Path,
        offset: i64,
        bytes: &[u8],
    ) -> io::Result<()> {
        replace_unsynced(disk, directory, &name(offset), bytes)?;
        self.offsets.insert(offset);
        self.unsynced.push(offset);
        Ok(())
    }

    /// The bytes of a snapshot; None if it is gone.
    pub(super) fn read(
        disk: &dyn Disk,
        directory: &Path,
        offset: i64,
    ) -> io::Result<Option<Vec<u8>>> {
        read_bytes(disk, &directory.join(name(offset)))
    }

    /// Removes the snapshots for which `keep` is false; true if there were any.
    pub(super) fn retain(
        &mut self,
        disk: &dyn Disk,
        directory: &Path,
        keep: impl Fn(i64) -> bool,
    ) -> io::Result<bool> {
        let gone: Vec<_> = self.offsets.iter().filter(|at| !keep(**at)).copied().collect();
        for offset in &gone {
            remove_if_exists(disk, &directory.join(name(*offset)))?;
            self.offsets.remove(offset);
        }
        self.unsynced.retain(|offset| self.offsets.contains(offset));
        Ok(!gone.is_empty())
    }

    /// Removes all but the newest snapshot and those for which `is_base` is true.
    pub(super) fn retain_useful(
        &mut self,
        disk: &dyn Disk,
        directory: &Path,
        is_base: impl Fn(i64) -> bool,
    ) -> io::Result<bool> {
        let newest = self.newest();
        self.retain(disk, directory, |offset| Some(offset) == newest || is_base(offset))
    }

    /// Whether [`Snapshots::take_unsynced`] has something to give.
    pub(super) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Takes the offsets of the snapshots that were not synced.
    pub(super) fn take_unsynced(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.unsynced)
    }

    /// Gives back what [`Snapshots::take_unsynced`] took.
    pub(super) fn restore_unsynced(&mut self, offsets: Vec<i64>) {
        self.unsynced.extend(offsets);
    }

    /// Syncs one snapshot, unless it is gone.
    pub(super) fn sync(disk: &dyn Disk, directory: &Path, offset: i64) -> io::Result<()> {
        sync_file(disk, &directory.join(name(offset)))
    }
}

fn name(offset: i64) -> String {
    format!("{offset:020}{SNAPSHOT_SUFFIX}")
}
