//! Index files: sorted entries of fixed size, as Kafka's `OffsetIndex`, `TimeIndex` and
//! `TransactionIndex`.
//!
//! ```text
//!   file:    [entry][entry][entry][entry]        <- written
//!   recent:               [entry][entry][entry]  <- in memory, the last ones not yet written
//! ```
//!
//! Entries are written some time after their batches: recovery rebuilds the index of every segment
//! that holds an unsynced batch, so an index only has to be complete when its segment is sealed.
//! Looking up near the end of a log reads no file.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::files::CachedFile;
use crate::env::{DiskFile, read_all, write_all_at};

/// Entries kept in memory after they are written (with one per 4 KiB, the last 4 MiB of log).
const RECENT_ENTRIES_MAX: usize = 1024;
/// Entries read at once where many are read.
const BLOCK_ENTRIES: usize = 128;
/// Bytes of the largest kind of entry.
const ENTRY_BYTES_MAX: usize = 34;

/// What an index file holds.
pub(super) trait Entry: Copy {
    /// Bytes of an entry.
    const SIZE: usize;
    /// What entries are sorted by.
    fn key(self) -> i64;
    /// Appends the entry's bytes.
    fn encode(self, out: &mut Vec<u8>);
    /// The entry in the first [`Entry::SIZE`] bytes; None if there are fewer, or it is no entry.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// An entry of `.index`: where the batch that ends with an offset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base offset.
    pub(super) relative_offset: u32,
    /// Position of the batch's first byte in the log file.
    pub(super) position: u32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn key(self) -> i64 {
        i64::from(self.relative_offset)
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            relative_offset: u32::from_be_bytes(*bytes.first_chunk()?),
            position: u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?),
        })
    }
}

/// An index file and its newest entries.
pub(super) struct Index<E> {
    file: CachedFile,
    /// Entries in the file.
    written: usize,
    /// Entries before `recent`; all of them written.
    older: usize,
    recent: Vec<E>,
    /// What the file holds is to be forgotten with the next write.
    discarded: bool,
}

/// The last entries of an index, see [`Index::since`].
pub(super) struct Entries<E> {
    /// A file, so many of whose entries stand before `recent`.
    older: Option<(Arc<dyn DiskFile>, usize)>,
    recent: Vec<E>,
}

/// How to go on with a lookup: see [`Index::floor`].
pub(super) enum Lookup<E> {
    /// The answer.
    Found(Option<E>),
    /// The answer is among the first so many entries of this file.
    InFile(Arc<dyn DiskFile>, usize),
}

impl<E: Entry> Index<E> {
    /// An empty index, whose file is created or emptied.
    pub(super) fn create(file: CachedFile) -> io::Result<Self> {
        file.create()?;
        Ok(Self::empty(file))
    }

    fn empty(file: CachedFile) -> Self {
        Self { file, written: 0, older: 0, recent: Vec::new(), discarded: false }
    }

    /// The index in an existing file; a cut entry at its end is ignored. A missing file is an
    /// empty index.
    pub(super) fn open(file: CachedFile) -> io::Result<Self> {
        let written = match file.length_on_disk()? {
            Some(length) => usize::try_from(length / E::SIZE as u64).unwrap_or(0),
            None => 0,
        };
        let mut index = Self::empty(file);
        if let Some(before_last) = written.checked_sub(1) {
            let last = read_entry(index.file.get()?.as_ref(), before_last)?;
            index.written = written;
            index.older = before_last;
            index.recent.push(last);
        }
        Ok(index)
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.older + self.recent.len()
    }

    /// The newest entry.
    pub(super) fn last(&self) -> Option<E> {
        self.recent.last().copied()
    }

    /// Entries not yet in the file.
    pub(super) fn unwritten(&self) -> usize {
        self.len() - self.written
    }

    /// Adds an entry, whose key is at least that of the last one.
    pub(super) fn push(&mut self, entry: E) {
        self.recent.push(entry);
    }

    /// Forgets all entries: for an index that turned out not to fit its log.
    pub(super) fn clear(&mut self) {
        self.written = 0;
        self.older = 0;
        self.recent.clear();
        self.discarded = true;
    }

    /// Writes what is not yet in the file. After an error nothing counts as written and the next
    /// call writes the same place again.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.unwritten() == 0 {
            return Ok(());
        }
        let first = self.written - self.older;
        let mut bytes = Vec::with_capacity(self.unwritten() * E::SIZE);
        for entry in &self.recent[first..] {
            entry.encode(&mut bytes);
        }
        let position = (self.written * E::SIZE) as u64;
        let file = self.file.get()?;
        if self.discarded {
            file.set_len(0)?;
            self.discarded = false;
        }
        write_all_at(file.as_ref(), &bytes, position)?;
        self.written = self.len();
        if self.recent.len() > RECENT_ENTRIES_MAX {
            let forgotten = self.recent.len() - RECENT_ENTRIES_MAX / 2;
            self.recent.drain(..forgotten);
            self.older += forgotten;
        }
        Ok(())
    }

    /// The file, for syncing and removing.
    pub(super) fn file(&self) -> &CachedFile {
        &self.file
    }

    /// The last entry whose key is at most `key`. Reads nothing by itself, so that the lock around
    /// the index is not held while a disk is slow: see [`Lookup::resolve`].
    pub(super) fn floor(&self, key: i64) -> io::Result<Lookup<E>> {
        let after = self.recent.partition_point(|entry| entry.key() <= key);
        Ok(match after.checked_sub(1) {
            Some(found) => Lookup::Found(Some(self.recent[found])),
            None if self.older == 0 => Lookup::Found(None),
            None => Lookup::InFile(self.file.get()?, self.older),
        })
    }

    /// The entries from the first one on that is not `below`, which holds for a beginning of them.
    /// Like [`Index::floor`] it reads nothing by itself: see [`Entries::visit`].
    pub(super) fn since(&self, below: impl Fn(&E) -> bool) -> io::Result<Entries<E>> {
        let first = self.recent.partition_point(below);
        let in_file = first == 0 && self.older > 0;
        let older = in_file.then(|| self.file.get().map(|file| (file, self.older))).transpose()?;
        Ok(Entries { older, recent: self.recent[first..].to_vec() })
    }

    /// Whether [`Index::since`] gives entries that are all in memory.
    pub(super) fn is_recent(&self, below: impl Fn(&E) -> bool) -> bool {
        self.older == 0 || self.recent.first().is_some_and(below)
    }
}

impl<E: Entry> Entries<E> {
    /// Visits them, oldest first, until `with` breaks off; `below` is the one they were found by.
    pub(super) fn visit<B>(
        self,
        below: impl Fn(&E) -> bool,
        mut with: impl FnMut(E) -> ControlFlow<B>,
    ) -> io::Result<ControlFlow<B>> {
        if let Some((file, count)) = &self.older {
            let first = partition_point(file.as_ref(), *count, below)?;
            for entry in read_entries(file.as_ref(), first..*count) {
                let visited = with(entry?);
                if visited.is_break() {
                    return Ok(visited);
                }
            }
        }
        Ok(self.recent.into_iter().try_for_each(with))
    }
}

impl<E: Entry> Lookup<E> {
    /// Whether memory has what [`Lookup::resolve`] reads.
    pub(super) fn is_at_hand(&self) -> bool {
        match self {
            Self::Found(_) => true,
            Self::InFile(file, entries) => file.is_cached(0, entries * E::SIZE),
        }
    }

    /// Finishes the lookup for the same key, in the file where needed.
    pub(super) fn resolve(self, key: i64) -> io::Result<Option<E>> {
        let (file, entries) = match self {
            Self::Found(entry) => return Ok(entry),
            Self::InFile(file, entries) => (file, entries),
        };
        let after = partition_point(file.as_ref(), entries, |entry: &E| entry.key() <= key)?;
        after.checked_sub(1).map(|found| read_entry(file.as_ref(), found)).transpose()
    }
}

/// How many of a file's first `count` entries are `below`, which holds for a beginning of them.
fn partition_point<E: Entry>(
    file: &dyn DiskFile,
    count: usize,
    below: impl Fn(&E) -> bool,
) -> io::Result<usize> {
    let (mut low, mut high) = (0, count);
    while high - low > BLOCK_ENTRIES {
        let middle = low + (high - low) / 2;
        if below(&read_entry(file, middle)?) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for entry in read_entries(file, low..high) {
        if !below(&entry?) {
            break;
        }
        low += 1;
    }
    Ok(low)
}

/// Entries of a file by their numbers.
pub(super) fn read_entries<E: Entry>(
    file: &dyn DiskFile,
    numbers: Range<usize>,
) -> impl Iterator<Item = io::Result<E>> {
    let (mut block, mut first, end) = (Vec::new(), numbers.start, numbers.end);
    numbers.map(move |number| {
        if (number - first) * E::SIZE >= block.len() {
            first = number;
            block.resize((end - number).min(BLOCK_ENTRIES) * E::SIZE, 0);
            let read = read_all(file, &mut block, (number * E::SIZE) as u64)?;
            block.truncate(read);
        }
        decode(&block[(number - first) * E::SIZE..])
    })
}

fn read_entry<E: Entry>(file: &dyn DiskFile, number: usize) -> io::Result<E> {
    let mut bytes = [0; ENTRY_BYTES_MAX];
    let bytes = &mut bytes[..E::SIZE];
    let read = read_all(file, bytes, (number * E::SIZE) as u64)?;
    decode(&bytes[..read])
}

fn decode<E: Entry>(bytes: &[u8]) -> io::Result<E> {
    E::decode(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::files::FileCache;
    use super::*;
    use crate::env::{OpenMode, SimDisk};

    fn files(count: usize) -> (Arc<FileCache>, Vec<CachedFile>) {
        let cache = Arc::new(FileCache::new(Arc::new(SimDisk::new(0)), 10));
        let directory: Arc<Path> = Arc::from(Path::new("/"));
        let file = |_| CachedFile::new(&cache, &directory, 7, ".index");
        let files = (0..count).map(file).collect();
        (cache, files)
    }

    fn entry(number: u32) -> OffsetEntry {
        OffsetEntry { relative_offset: number * 10, position: number * 4096 }
    }

    #[test]
    fn an_entry_has_kafkas_bytes() {
        let mut bytes = Vec::new();
        OffsetEntry { relative_offset: 75, position: 5606 }.encode(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 75, 0, 0, 0x15, 0xe6]);
        assert_eq!(OffsetEntry::decode(&bytes[..7]), None);
    }

    #[test]
    fn old_entries_leave_memory_and_are_found_in_the_file() {
        let (cache, mut files) = files(2);
        let mut index = Index::create(files.remove(0)).unwrap();
        for number in 0..5000 {
            index.push(entry(number));
            if number % 300 == 0 {
                index.write().unwrap();
                assert!(index.recent.len() <= RECENT_ENTRIES_MAX);
            }
        }
        let check = |index: &Index<OffsetEntry>| {
            for number in 0..index.len() as u32 {
                for key in [i64::from(number) * 10, i64::from(number) * 10 + 9] {
                    let found = index.floor(key).unwrap().resolve(key).unwrap();
                    assert_eq!(found, Some(entry(number)));
                }
            }
            assert_eq!(index.floor(-1).unwrap().resolve(-1).unwrap(), None);
        };
        check(&index);
        index.write().unwrap();
        let file = cache.disk.open(&files[0].path(), OpenMode::Write).unwrap();
        file.set_len(5000 * 8 + 3).unwrap();
        let reopened = Index::open(files.remove(0)).unwrap();
        assert_eq!((reopened.len(), reopened.last()), (5000, Some(entry(4999))));
        check(&reopened);
    }

    #[test]
    fn a_write_that_failed_is_made_again_in_the_same_place() {
        let disk = SimDisk::new(0);
        let cache = Arc::new(FileCache::new(Arc::new(disk.clone()), 10));
        let directory: Arc<Path> = Arc::from(Path::new("/"));
        let file = CachedFile::new(&cache, &directory, 7, ".index");
        let mut index = Index::create(file).unwrap();
        index.push(entry(1));
        disk.set_capacity_bytes(Some(3));
        index.write().unwrap_err();
        disk.set_capacity_bytes(None);
        index.push(entry(2));
        index.write().unwrap();
        assert_eq!(index.file().length_on_disk().unwrap(), Some(16));
        assert_eq!(read_entry::<OffsetEntry>(&*index.file().get().unwrap(), 0).unwrap(), entry(1));
    }
}
