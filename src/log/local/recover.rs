//! Brings a log's directory into order when it opens, as Kafka's `LogLoader`.
//!
//! 1. What was being deleted or cleaned goes; finished cleanings are put in place.
//! 2. After an unclean stop every segment that reaches beyond the recovery point is checked batch
//!    by batch and cut at the first bad byte, and what follows is removed. Its indexes are rebuilt,
//!    as are those of any segment whose index files are missing or do not fit.
//! 3. The log starts at its checkpointed start, ends with its last batch, and epochs and snapshots
//!    outside of that are forgotten.
//! 4. The newest usable snapshot and every later batch are replayed. Before that, where aborted
//!    transactions of checked segments may have to be listed anew, the same from a snapshot at or
//!    before the first of those segments.
//!
//! A crash in any step leaves a directory from which the same steps lead to the same end: later
//! files go before earlier ones are cut, and removals are synced before anything new is written.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{TEMPORARY_SUFFIX, read_text, replace};
use super::epochs::{self, Epochs};
use super::files::{FileCache, remove_if_exists};
use super::scan::{Scanner, WALK_BUFFER_BYTES};
use super::segment::{
    INDEX_SUFFIX, LOG_SUFFIX, Segment, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, Tail, is_damage,
};
use super::sidecars::{SNAPSHOT_SUFFIX, Snapshots};
use crate::env::{Disk, OpenMode};
use crate::log::{AbortedTransaction, Replay};

/// What is known of a log before it opens.
pub(super) struct Opening<'a> {
    pub(super) cache: &'a Arc<FileCache>,
    pub(super) directory: Arc<Path>,
    /// `index.interval.bytes`, for rebuilding.
    pub(super) interval_bytes: u64,
    /// The log was closed, and nothing written since.
    pub(super) is_clean: bool,
    /// Everything below is synced.
    pub(super) recovery_point: i64,
    /// Checkpointed start.
    pub(super) start_offset: i64,
    /// A sync failed in an earlier run: what reads well may not be on the disk.
    pub(super) distrusts_cache: bool,
}

/// What a log is after it opened.
pub(super) struct Loaded {
    /// At least one, by base offset.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) epochs: Epochs,
    pub(super) snapshots: Snapshots,
    /// There may be unsynced bytes.
    pub(super) is_dirty: bool,
}

/// What step 2 learns besides the segments.
struct Findings {
    epochs: Epochs,
    /// Base offsets of the segments whose every batch has the right checksum.
    checked: HashSet<i64>,
    /// Base offsets of the segments whose aborted transactions are to be listed anew.
    unlisted: BTreeSet<i64>,
}

/// Which files a segment has beside its log file.
#[derive(Clone, Copy)]
struct Beside {
    indexes: bool,
    aborted: bool,
}

/// A segment of this size takes long enough to check that it is told.
const TELL_BYTES: u64 = 64 << 20;

/// Ends the names of files that a finished cleaning left to be put in place.
const SWAP_SUFFIXES: [&str; 4] = [".log.swap", ".index.swap", ".timeindex.swap", ".txnindex.swap"];

/// Splits `00000000000000000042.log` into 42 and `.log`.
fn split_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && suffix.starts_with('.')).then_some((digits.parse().ok()?, suffix))
}

impl Opening<'_> {
    fn disk(&self) -> &dyn Disk {
        self.cache.disk.as_ref()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        remove_if_exists(self.disk(), &self.directory.join(name))
    }

    /// Runs all steps. The directory exists.
    pub(super) fn load(mut self, replay: &mut dyn Replay) -> io::Result<Loaded> {
        let names = self.sweep()?;
        let text = read_text(self.disk(), &self.epochs_path())?;
        let epochs = text.map_or(Some(Epochs::default()), |text| Epochs::parse(&text));
        if epochs.is_none() {
            // Only batches know the epochs now.
            (self.is_clean, self.recovery_point) = (false, 0);
        }
        let before = epochs.unwrap_or_default();
        let mut findings =
            Findings { epochs: before.clone(), checked: HashSet::new(), unlisted: BTreeSet::new() };
        let mut segments = self.load_segments(&names, &mut findings)?;
        let mut removed = self.apply_start(&mut segments)?;

        let (first, last) = (segments[0].base_offset, segments[segments.len() - 1].tail());
        let start_offset = self.start_offset.max(first);
        findings.epochs.truncate_from_end(last.end_offset);
        findings.epochs.truncate_from_start(start_offset);
        if findings.epochs != before {
            // Now: a later append could make an epoch fit again that was truncated.
            let text = findings.epochs.format();
            replace(self.disk(), &self.directory, epochs::FILE_NAME, text.as_bytes())?;
        }

        let found = names.iter().filter_map(|name| split_name(name));
        let found = found.filter(|(_, suffix)| *suffix == SNAPSHOT_SUFFIX);
        let synced_end = if self.is_clean { i64::MAX } else { self.recovery_point };
        let mut snapshots = Snapshots::new(found.map(|(offset, _)| offset), synced_end);
        let bases: HashSet<_> = segments.iter().map(|segment| segment.base_offset).collect();
        removed |=
            snapshots.retain(self.disk(), &self.directory, |offset| offset <= last.end_offset)?;
        // Superseded ones may come back: they are right for their offsets.
        snapshots.retain_useful(self.disk(), &self.directory, |offset| bases.contains(&offset))?;
        removed |= self.replay(&segments, &findings, &mut snapshots, start_offset, replay)?;
        if removed {
            self.disk().sync_dir(&self.directory)?;
        }
        for segment in &segments {
            segment.release();
        }
        Ok(Loaded {
            start_offset,
            end_offset: last.end_offset,
            epochs: findings.epochs,
            snapshots,
            is_dirty: !self.is_clean,
            segments,
        })
    }

    fn epochs_path(&self) -> PathBuf {
        self.directory.join(epochs::FILE_NAME)
    }

    /// Step 1; gives the names that are left.
    fn sweep(&self) -> io::Result<Vec<String>> {
        let names = self.disk().list(&self.directory)?;
        let ends = |suffix: &'static str| names.iter().filter(move |name| name.ends_with(suffix));
        let base = |name: &str| split_name(name).map(|(base, _)| base);
        let cleaned_from = ends(".cleaned").filter_map(|name| base(name)).min();
        let (mut swaps, mut gone) = (Vec::new(), Vec::new());
        for name in ends(".swap") {
            match (base(name), cleaned_from) {
                (Some(base), Some(cleaned)) if base >= cleaned => gone.push(name),
                (Some(_), _) => swaps.push(name),
                _ => {}
            }
        }
        // Snapshots of the metadata log end in `.checkpoint.deleted` and are not ours.
        if !gone.is_empty() {
            // Before the `.cleaned` ones, by which they are known for unfinished.
            for name in gone.drain(..) {
                self.remove(name)?;
            }
            self.disk().sync_dir(&self.directory)?;
        }
        gone.extend(ends(".deleted").filter(|name| split_name(name).is_some()));
        gone.extend(ends(TEMPORARY_SUFFIX));
        gone.extend(ends(".cleaned"));
        if gone.is_empty() && swaps.is_empty() {
            return Ok(names);
        }
        for name in gone {
            self.remove(name)?;
        }
        self.finish_swaps(&names, &swaps)?;
        self.disk().sync_dir(&self.directory)?;
        self.disk().list(&self.directory)
    }

    /// Puts finished cleanings in the place of what they were made from.
    fn finish_swaps(&self, names: &[String], swaps: &[&String]) -> io::Result<()> {
        let (mut first, mut end) = (i64::MAX, i64::MIN);
        for name in swaps {
            let Some((base, suffix)) = split_name(name) else {
                continue;
            };
            if suffix == ".log.swap" {
                let file = self.disk().open(&self.directory.join(name), OpenMode::Read)?;
                let length = file.len()?;
                let mut scanner = Scanner::new(file, 0, length, WALK_BUFFER_BYTES);
                // The first one is replaced also where nothing is left.
                (first, end) = (first.min(base), end.max(base + 1));
                while let Some(batch) = scanner.next()? {
                    end = end.max(batch.header.last_offset() + 1);
                }
            }
        }
        for name in names {
            let replaced = split_name(name).is_some_and(|(base, suffix)| {
                (first..end).contains(&base) && !SWAP_SUFFIXES.contains(&suffix)
            });
            if replaced {
                self.remove(name)?;
            }
        }
        // Or what was replaced could come back beside its replacement.
        self.disk().sync_dir(&self.directory)?;
        for name in swaps {
            let from = self.directory.join(name);
            self.disk().rename(&from, &from.with_extension(""))?;
        }
        Ok(())
    }

    /// Step 2.
    fn load_segments(
        &self,
        names: &[String],
        findings: &mut Findings,
    ) -> io::Result<Vec<Arc<Segment>>> {
        let present: HashSet<_> = names.iter().filter_map(|name| split_name(name)).collect();
        let is_index =
            |suffix| [INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX].contains(&suffix);
        for (base, suffix) in &present {
            if is_index(*suffix) && !present.contains(&(*base, LOG_SUFFIX)) {
                self.remove(&format!("{base:020}{suffix}"))?;
            }
        }
        let logs = present.iter().filter(|(_, suffix)| *suffix == LOG_SUFFIX);
        let mut bases: Vec<_> = logs.map(|(base, _)| *base).collect();
        bases.sort_unstable();

        let mut segments = Vec::with_capacity(bases.len());
        for (index, base) in bases.iter().enumerate() {
            let later = &bases[index + 1..];
            let has = |suffix| present.contains(&(*base, suffix));
            let beside = Beside {
                indexes: has(INDEX_SUFFIX) && has(TIME_INDEX_SUFFIX),
                aborted: has(TXN_INDEX_SUFFIX),
            };
            let tail = Tail { end_offset: later.first().copied().unwrap_or(*base), size_bytes: 0 };
            let segment = Segment::existing(self.cache, &self.directory, *base, tail);
            let is_last = self.load_segment(&segment, later, beside, findings)?;
            segments.push(Arc::new(segment));
            if is_last {
                break;
            }
        }
        Ok(segments)
    }

    /// Loads one segment; true if it was cut and there are no later ones any more.
    fn load_segment(
        &self,
        segment: &Segment,
        later: &[i64],
        beside: Beside,
        findings: &mut Findings,
    ) -> io::Result<bool> {
        let is_trusted =
            self.is_clean || later.first().is_some_and(|next| *next <= self.recovery_point);
        if is_trusted && beside.indexes {
            let length = segment.length_on_disk()?.unwrap_or(0);
            let found = if later.is_empty() {
                segment.find_end(length).map(drop)
            } else {
                segment.set_tail(Tail { size_bytes: length, ..segment.tail() });
                Ok(())
            };
            match found {
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(error),
                Ok(()) if !beside.aborted || segment.load_aborted()? => return Ok(false),
                Ok(()) => {}
            }
        }
        let next = later.first().copied();
        let mut has_markers = false;
        let cut_bytes = segment.recover(
            self.interval_bytes,
            |header| {
                findings.epochs.assign(header.leader_epoch, header.base_offset);
                has_markers |= header.is_control() && header.has_producer_id();
            },
            || self.remove_segments(if is_trusted { &[] } else { later }),
        )?;
        findings.checked.insert(segment.base_offset);
        let checked_bytes = segment.tail().size_bytes;
        if checked_bytes >= TELL_BYTES {
            tracing::info!(
                directory = %self.directory.display(), segment = segment.base_offset,
                checked_bytes, segments_left = later.len(), "checked a segment"
            );
        }
        if has_markers || beside.aborted {
            findings.unlisted.insert(segment.base_offset);
        }
        if cut_bytes > 0 {
            tracing::warn!(
                directory = %self.directory.display(),
                segment = segment.base_offset,
                cut_bytes,
                "cut a segment at its first bad byte"
            );
        }
        if self.distrusts_cache {
            segment.rewrite()?;
        }
        let Some(next) = next.filter(|_| cut_bytes == 0 || is_trusted) else {
            return Ok(true);
        };
        // A sealed segment reaches to the next one, whatever cleaning or damage took from its end,
        // and is on the disk before anything is added to a later one.
        segment.sync()?;
        segment.release();
        segment.set_tail(Tail { end_offset: next, ..segment.tail() });
        Ok(false)
    }

    /// Removes segments, the last one first, durably: a gap must never show.
    fn remove_segments(&self, bases: &[i64]) -> io::Result<()> {
        for base in bases.iter().rev() {
            let tail = Tail { end_offset: *base, size_bytes: 0 };
            Segment::existing(self.cache, &self.directory, *base, tail).remove()?;
        }
        if bases.is_empty() {
            return Ok(());
        }
        self.disk().sync_dir(&self.directory)
    }

    /// Step 3 for segments: those below the start go, and all of them if the log ends below it.
    /// Makes the first segment of an empty log. True if a file was removed.
    fn apply_start(&self, segments: &mut Vec<Arc<Segment>>) -> io::Result<bool> {
        let bases: Vec<_> = segments.iter().map(|segment| segment.base_offset).collect();
        let end = segments.last().map(|segment| segment.tail().end_offset);
        if end.is_some_and(|end| end < self.start_offset) {
            tracing::warn!(
                directory = %self.directory.display(),
                "the log ends below its start offset; starting anew there"
            );
            self.remove_segments(&bases)?;
            segments.clear();
        }
        if segments.is_empty() {
            let base = self.start_offset;
            let first = Segment::create(self.cache, &self.directory, base)?;
            segments.push(Arc::new(first));
            return Ok(false);
        }
        let held = bases.partition_point(|base| *base <= self.start_offset);
        let below = held.saturating_sub(1);
        for segment in segments.drain(..below) {
            segment.remove()?;
        }
        Ok(below > 0)
    }

    /// Step 4; true if an unusable snapshot was removed. Segments that step 2 found unlisted get
    /// their aborted transactions.
    fn replay(
        &self,
        segments: &[Arc<Segment>],
        findings: &Findings,
        snapshots: &mut Snapshots,
        start_offset: i64,
        replay: &mut dyn Replay,
    ) -> io::Result<bool> {
        let known = snapshots.len();
        let is_unlisted = |segment: &Segment| findings.unlisted.contains(&segment.base_offset);
        let first = segments.iter().find(|segment| is_unlisted(segment));
        let listed_end = first.map_or(i64::MIN, |segment| segment.base_offset);
        if first.is_some() {
            let snapshot = self.load_snapshot(snapshots, ..=listed_end, replay)?;
            // Of a segment that holds the start, all batches count, as in `LogSegment.recover`;
            // and a snapshot may be below the start, as what it has open may end there.
            let from = snapshot.unwrap_or(start_offset.min(listed_end));
            replay_from(segments, from, &findings.checked, replay, |segment, aborted| {
                if is_unlisted(segment) { segment.replace_aborted(&aborted) } else { Ok(()) }
            })?;
        }
        let newer = (Bound::Excluded(listed_end), Bound::Unbounded);
        let snapshot = self.load_snapshot(snapshots, newer, replay)?;
        if first.is_none() || snapshot.is_some() {
            let from = snapshot.unwrap_or(start_offset);
            replay_from(segments, from, &findings.checked, replay, |_, _| Ok(()))?;
        }
        Ok(snapshots.len() < known)
    }

    /// Loads the newest usable snapshot of those in `offsets`; newer ones are removed.
    fn load_snapshot(
        &self,
        snapshots: &mut Snapshots,
        offsets: impl RangeBounds<i64> + Clone,
        replay: &mut dyn Replay,
    ) -> io::Result<Option<i64>> {
        let (disk, directory) = (self.disk(), &self.directory);
        while let Some(offset) = snapshots.newest_in(offsets.clone()) {
            let bytes = Snapshots::read(disk, directory, offset)?;
            if bytes.is_some_and(|bytes| replay.snapshot(offset, &bytes)) {
                return Ok(Some(offset));
            }
            snapshots.retain(disk, directory, |kept| kept != offset)?;
        }
        Ok(None)
    }
}

/// Tells of every batch that ends at or above `from`, and `each` of the transactions that those of
/// a segment abort.
fn replay_from(
    segments: &[Arc<Segment>],
    from: i64,
    checked: &HashSet<i64>,
    replay: &mut dyn Replay,
    each: impl Fn(&Segment, Vec<AbortedTransaction>) -> io::Result<()>,
) -> io::Result<()> {
    let first = segments.partition_point(|segment| segment.base_offset <= from);
    for segment in &segments[first.saturating_sub(1)..] {
        let tail = segment.tail();
        let has_batches = tail.end_offset > from && tail.size_bytes > 0;
        let is_checked = checked.contains(&segment.base_offset);
        let aborted =
            if has_batches { segment.replay(from, is_checked, replay)? } else { Vec::new() };
        each(segment, aborted)?;
    }
    Ok(())
}
