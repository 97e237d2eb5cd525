//! A segment: a log file of at most 2 GiB, its offset index, its time index and, where transactions
//! were aborted in it, the index of those, as Kafka's `LogSegment`.
//!
//! One writer adds batches; any number of readers look for them. Readers see the segment up to its
//! [`Tail`], which moves when a batch is completely written. Only recovery, before there is a
//! reader, makes a segment shorter.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::doomed::DELETED_SUFFIX;
use super::files::{CachedFile, FileCache, lock, sync};
use super::index::{Entry, Index, OffsetEntry};
use super::rewrite::CLEANED_SUFFIX;
use super::scan::{LOOKUP_BUFFER_BYTES, Located, Scanner, WALK_BUFFER_BYTES};
use super::time_index::{TimeEntry, maybe_append};
use crate::env::DiskFile;
use crate::log::AbortedTransaction;

mod check;

pub(super) use check::is_damage;

pub(super) const LOG_SUFFIX: &str = ".log";
pub(super) const INDEX_SUFFIX: &str = ".index";
pub(super) const TIME_INDEX_SUFFIX: &str = ".timeindex";
pub(super) const TXN_INDEX_SUFFIX: &str = ".txnindex";

/// Where a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The offset after its last batch (for a sealed segment possibly the next one's base).
    pub(super) end_offset: i64,
    /// Bytes of complete batches.
    pub(super) size_bytes: u64,
}

/// A segment of a log.
pub(super) struct Segment {
    pub(super) base_offset: i64,
    pub(super) cache: Arc<FileCache>,
    pub(super) directory: Arc<Path>,
    log: CachedFile,
    tail: Mutex<Tail>,
    /// Loaded when first needed.
    indexes: Mutex<Option<Indexes>>,
    /// Unset while there is no file.
    pub(super) aborted: OnceLock<Box<Mutex<Index<AbortedTransaction>>>>,
}

struct Indexes {
    offsets: Index<OffsetEntry>,
    times: Index<TimeEntry>,
    /// The time entry that would be added next.
    largest: TimeEntry,
    bytes_since_entry: u64,
    /// The files did not fit the log and count as empty.
    misfit: bool,
}

impl Indexes {
    fn new(offsets: Index<OffsetEntry>, times: Index<TimeEntry>) -> Self {
        let none = TimeEntry { timestamp_ms: -1, relative_offset: 0 };
        Self {
            largest: times.last().unwrap_or(none),
            offsets,
            times,
            // As Kafka: after a start the first entry comes a full interval later.
            bytes_since_entry: 0,
            misfit: false,
        }
    }

    fn note(&mut self, relative_offset: u32, batch: Located, interval_bytes: u64) {
        if batch.header.max_timestamp > self.largest.timestamp_ms {
            self.largest = TimeEntry { timestamp_ms: batch.header.max_timestamp, relative_offset };
        }
        if self.bytes_since_entry > interval_bytes {
            self.offsets.push(OffsetEntry { relative_offset, position: batch.position as u32 });
            maybe_append(&mut self.times, self.largest);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += batch.header.size_bytes() as u64;
    }

    fn finish(&mut self) -> io::Result<()> {
        maybe_append(&mut self.times, self.largest);
        self.offsets.write()?;
        self.times.write()
    }
}

impl Segment {
    /// A segment whose files exist; the tail is what the caller knows of it.
    pub(super) fn existing(
        cache: &Arc<FileCache>,
        directory: &Arc<Path>,
        base_offset: i64,
        tail: Tail,
    ) -> Self {
        Self {
            base_offset,
            cache: Arc::clone(cache),
            directory: Arc::clone(directory),
            log: CachedFile::new(cache, directory, base_offset, LOG_SUFFIX),
            tail: Mutex::new(tail),
            indexes: Mutex::new(None),
            aborted: OnceLock::new(),
        }
    }

    /// A new, empty segment; files that stand in its place are emptied.
    pub(super) fn create(
        cache: &Arc<FileCache>,
        directory: &Arc<Path>,
        base_offset: i64,
    ) -> io::Result<Self> {
        let tail = Tail { end_offset: base_offset, size_bytes: 0 };
        let segment = Self::existing(cache, directory, base_offset, tail);
        segment.log.create()?;
        segment.create_indexes()?;
        // An idle log costs no descriptor.
        segment.release();
        Ok(segment)
    }

    /// As [`Segment::create`] under names that end with [`CLEANED_SUFFIX`].
    pub(super) fn create_cleaned(
        cache: &Arc<FileCache>,
        directory: &Arc<Path>,
        base_offset: i64,
    ) -> io::Result<Self> {
        let tail = Tail { end_offset: base_offset, size_bytes: 0 };
        let mut segment = Self::existing(cache, directory, base_offset, tail);
        segment.log = segment.log.with_extension(CLEANED_SUFFIX);
        segment.log.create()?;
        segment.create_indexes()?;
        Ok(segment)
    }

    /// Gives the files of a segment that was made by [`Segment::create_cleaned`] names that end so.
    pub(super) fn rename(&self, extension: &'static str) -> io::Result<()> {
        self.log.rename(extension)?;
        self.with_indexes(|indexes| {
            indexes.offsets.file().rename(extension)?;
            indexes.times.file().rename(extension)
        })?;
        let aborted = self.aborted.get();
        aborted.map_or(Ok(()), |index| lock(index).file().rename(extension))
    }

    fn create_indexes(&self) -> io::Result<()> {
        let indexes = Indexes::new(
            Index::create(self.index_file(INDEX_SUFFIX))?,
            Index::create(self.index_file(TIME_INDEX_SUFFIX))?,
        );
        *lock(&self.indexes) = Some(indexes);
        Ok(())
    }

    pub(super) fn index_file(&self, suffix: &'static str) -> CachedFile {
        let file = CachedFile::new(&self.cache, &self.directory, self.base_offset, suffix);
        file.with_extension(self.log.extension())
    }

    /// Bytes of the offset index and the time index.
    pub(super) fn index_sizes_bytes(&self) -> io::Result<[u64; 2]> {
        self.with_indexes(|indexes| {
            let entries = [indexes.offsets.len(), indexes.times.len()];
            let sizes = [OffsetEntry::SIZE, TimeEntry::SIZE];
            Ok([0, 1].map(|index| (entries[index] * sizes[index]) as u64))
        })
    }

    /// Runs `with` on the indexes. Ones that do not fit the log file count as empty, so that
    /// lookups walk the log: recovery rebuilt every index that may lag, and what is left are files
    /// somebody else cut.
    fn with_indexes<T>(&self, with: impl FnOnce(&mut Indexes) -> io::Result<T>) -> io::Result<T> {
        let tail = self.tail();
        let mut guard = lock(&self.indexes);
        let indexes = match &mut *guard {
            Some(indexes) => indexes,
            unloaded => {
                let mut offsets = Index::open(self.index_file(INDEX_SUFFIX))?;
                let mut times = Index::open(self.index_file(TIME_INDEX_SUFFIX))?;
                let misfit = !self.fits(tail, &offsets, &times);
                if misfit {
                    tracing::warn!(segment = %self.log.path().display(), "index does not fit");
                    offsets.clear();
                    times.clear();
                }
                let loaded = unloaded.insert(Indexes::new(offsets, times));
                loaded.misfit = misfit;
                loaded
            }
        };
        with(indexes)
    }

    /// Runs `with` on the offset index alone.
    pub(super) fn with_offset_index<T>(
        &self,
        with: impl FnOnce(&Index<OffsetEntry>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.with_indexes(|indexes| with(&indexes.offsets))
    }

    fn fits(&self, tail: Tail, offsets: &Index<OffsetEntry>, times: &Index<TimeEntry>) -> bool {
        let end = tail.end_offset.saturating_sub(self.base_offset);
        let offset_fits = offsets.last().is_none_or(|last| {
            i64::from(last.relative_offset) < end && u64::from(last.position) < tail.size_bytes
        });
        let time_fits = times
            .last()
            .is_none_or(|last| i64::from(last.relative_offset) < end && last.timestamp_ms >= 0);
        offset_fits && time_fits
    }

    /// Where the segment ends now.
    pub(super) fn tail(&self) -> Tail {
        *lock(&self.tail)
    }

    pub(super) fn set_tail(&self, tail: Tail) {
        *lock(&self.tail) = tail;
    }

    /// The log file, open.
    pub(super) fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.log.get()
    }

    /// Length of the log file on disk; None without a file.
    pub(super) fn length_on_disk(&self) -> io::Result<Option<u64>> {
        self.log.length_on_disk()
    }

    /// An offset in the form of index entries, None if it is out of reach of this segment.
    pub(super) fn relative(&self, offset: i64) -> Option<u32> {
        let relative = i32::try_from(offset.checked_sub(self.base_offset)?).ok()?;
        u32::try_from(relative).ok()
    }

    /// Moves the tail past a written batch and adds it to the indexes.
    pub(super) fn publish(&self, batch: Located, interval_bytes: u64) -> io::Result<()> {
        let last_offset = batch.header.last_offset();
        // The tail first: what an index points to is there.
        self.set_tail(Tail { end_offset: last_offset + 1, size_bytes: batch.end() });
        let Some(relative_offset) = self.relative(last_offset) else {
            return Ok(());
        };
        self.with_indexes(|indexes| {
            indexes.note(relative_offset, batch, interval_bytes);
            Ok(())
        })
    }

    /// Whether an index has no room for the entries of another batch (`LogSegment.shouldRoll`).
    pub(super) fn index_is_full(&self, index_bytes_max: u64) -> io::Result<bool> {
        let room = usize::try_from(index_bytes_max).unwrap_or(usize::MAX);
        self.with_indexes(|indexes| {
            let times_max = (room / TimeEntry::SIZE).saturating_sub(1);
            Ok(indexes.offsets.len() >= room / OffsetEntry::SIZE
                || indexes.times.len() >= times_max)
        })
    }

    /// Writes index entries that have gathered in memory, if there are at least `entries`.
    pub(super) fn write_indexes(&self, entries: usize) -> io::Result<()> {
        if let Some(indexes) = &mut *lock(&self.indexes)
            && indexes.offsets.unwritten() >= entries
        {
            indexes.offsets.write()?;
            indexes.times.write()?;
        }
        match self.aborted.get().map(|index| lock(index)) {
            Some(mut index) if index.unwritten() >= entries => index.write(),
            _ => Ok(()),
        }
    }

    /// Completes the index files: the last time entry, then everything that is in memory only.
    /// More batches may still follow.
    pub(super) fn finish_indexes(&self) -> io::Result<()> {
        self.with_indexes(Indexes::finish)?;
        self.aborted.get().map_or(Ok(()), |index| lock(index).write())
    }

    /// Syncs log and index files.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync(self.file()?.as_ref())?;
        self.with_indexes(|indexes| {
            sync(indexes.offsets.file().get()?.as_ref())?;
            sync(indexes.times.file().get()?.as_ref())
        })?;
        let aborted = self.aborted.get();
        aborted.map_or(Ok(()), |index| sync(lock(index).file().get()?.as_ref()))
    }

    /// Gives back the room behind the end of the log file.
    pub(super) fn give_back(&self) -> io::Result<()> {
        self.file()?.set_len(self.tail().size_bytes)
    }

    /// Closes the files until they are used again.
    pub(super) fn release(&self) {
        self.log.release();
        if let Some(indexes) = &*lock(&self.indexes) {
            indexes.offsets.file().release();
            indexes.times.file().release();
        }
        if let Some(index) = self.aborted.get() {
            lock(index).file().release();
        }
    }

    /// Closes the files for good; readers keep the handles they have.
    pub(super) fn retire(&self) {
        self.log.retire();
        if let Some(indexes) = &*lock(&self.indexes) {
            indexes.offsets.file().retire();
            indexes.times.file().retire();
        }
        if let Some(index) = self.aborted.get() {
            lock(index).file().retire();
        }
    }

    /// Removes the files; the log file goes first, since an index without one is swept at start.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.retire();
        for suffix in [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
            self.index_file(suffix).remove()?;
        }
        Ok(())
    }

    /// Gives the files other names, the log file's first as in [`Segment::remove`], under which
    /// they may be removed later.
    pub(super) fn set_aside(&self) -> io::Result<Vec<PathBuf>> {
        self.retire();
        let mut aside = Vec::new();
        for suffix in [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] {
            let from = self.index_file(suffix).path();
            let to = PathBuf::from(format!("{}{DELETED_SUFFIX}", from.display()));
            match self.cache.disk.rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.map(|()| aside.push(to))?,
            }
        }
        Ok(aside)
    }

    /// Largest timestamp of the batches, else when the log file was last written
    /// (`LogSegment.largestTimestamp`).
    pub(super) fn time_ms(&self) -> io::Result<Option<i64>> {
        let time_ms = self.find_largest_time(i64::MIN)?.map(|batch| batch.header.max_timestamp);
        match time_ms.filter(|time_ms| *time_ms >= 0) {
            Some(time_ms) => Ok(Some(time_ms)),
            None => self.file()?.modified_ms(),
        }
    }

    /// The first batch before `limit` that ends at or above `offset`.
    pub(super) fn find(&self, offset: i64, limit: u64) -> io::Result<Option<Located>> {
        let from = self.position_before(offset)?.min(limit);
        let mut scanner = Scanner::new(self.file()?, from, limit, LOOKUP_BUFFER_BYTES);
        while let Some(batch) = scanner.next()? {
            if batch.header.last_offset() >= offset {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Where to start walking for `offset`; None if the device may have to be waited for.
    pub(super) fn position_at_hand(&self, offset: i64) -> Option<u64> {
        let relative = i64::from(self.relative(offset)?);
        let lookup = lock(&self.indexes).as_ref()?.offsets.floor(relative).ok()?;
        let entry = lookup.is_at_hand().then(|| lookup.resolve(relative))?.ok()?;
        Some(entry.map_or(0, |entry| entry.position.into()))
    }

    fn position_before(&self, offset: i64) -> io::Result<u64> {
        let relative = offset.saturating_sub(self.base_offset);
        let lookup = self.with_indexes(|indexes| indexes.offsets.floor(relative))?;
        let entry = lookup.resolve(relative)?;
        Ok(entry.map_or(0, |entry| entry.position.into()))
    }

    /// The first batch that ends at or above `from` with a timestamp of at least `timestamp_ms`.
    pub(super) fn find_time(&self, timestamp_ms: i64, from: i64) -> io::Result<Option<Located>> {
        let (is_telling, largest_ms, lookup) = self.with_indexes(|indexes| {
            let is_telling = !indexes.misfit && indexes.largest.timestamp_ms >= 0;
            let lookup = indexes.times.floor(timestamp_ms)?;
            Ok((is_telling, indexes.largest.timestamp_ms, lookup))
        })?;
        let mut reached = 0;
        if is_telling {
            if largest_ms < timestamp_ms {
                return Ok(None);
            }
            let entry = lookup.resolve(timestamp_ms)?;
            reached = entry.map_or(0, |entry| i64::from(entry.relative_offset));
        }
        let position = self.position_before(from.max(self.base_offset + reached))?;
        self.walk(position, |batch| {
            batch.header.last_offset() >= from && batch.header.max_timestamp >= timestamp_ms
        })
    }

    /// The first batch with the largest timestamp among those that end at or above `from`.
    pub(super) fn find_largest_time(&self, from: i64) -> io::Result<Option<Located>> {
        let (largest, misfit) =
            self.with_indexes(|indexes| Ok((indexes.largest, indexes.misfit)))?;
        let offset = self.base_offset + i64::from(largest.relative_offset);
        if largest.timestamp_ms >= 0 && offset >= from && !misfit {
            return self.find(offset, self.tail().size_bytes);
        }
        let mut best: Option<Located> = None;
        self.walk(self.position_before(from)?, |batch| {
            let better =
                best.is_none_or(|best| batch.header.max_timestamp > best.header.max_timestamp);
            if batch.header.last_offset() >= from && better {
                best = Some(*batch);
            }
            false
        })?;
        Ok(best)
    }

    fn walk(
        &self,
        position: u64,
        mut found: impl FnMut(&Located) -> bool,
    ) -> io::Result<Option<Located>> {
        let limit = self.tail().size_bytes;
        let mut scanner = Scanner::new(self.file()?, position.min(limit), limit, WALK_BUFFER_BYTES);
        while let Some(batch) = scanner.next()? {
            if found(&batch) {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Timestamp of the first batch, by which `segment.ms` counts; None in an empty segment.
    pub(super) fn first_timestamp(&self) -> io::Result<Option<i64>> {
        let limit = self.tail().size_bytes;
        if limit == 0 {
            return Ok(None);
        }
        let first = Scanner::new(self.file()?, 0, limit, 0).next()?;
        Ok(first.map(|batch| batch.header.max_timestamp))
    }
}
