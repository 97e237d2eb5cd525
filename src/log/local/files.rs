//! File handles, opened when first used and closed when too many are open.
//!
//! A directory may hold far more files than the process may open, and most of them are idle: a
//! [`CachedFile`] is a path until somebody needs it. Whoever got a handle keeps it, so closing one
//! here, or unlinking the file, takes nothing from a reader. A retired file is never opened
//! again: its path may by now belong to a log created later under the same name.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::env::{Disk, DiskFile, OpenMode};

/// Keeps at most about `capacity` files open, closing first what was not used lately.
pub(super) struct FileCache {
    pub(super) disk: Arc<dyn Disk>,
    capacity: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

struct Slot {
    state: Mutex<State>,
    /// Ends the file's name for as long as it is not in its place.
    extension: Mutex<&'static str>,
    used: AtomicBool,
}

enum State {
    Closed,
    Open(Arc<dyn DiskFile>),
    Retired,
}

impl Slot {
    /// Ends the file's stay in the cache unless it was used since the last time.
    fn close_unless_used(&self) -> bool {
        if self.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        let mut state = lock(&self.state);
        if matches!(*state, State::Open(_)) {
            *state = State::Closed;
        }
        true
    }
}

impl FileCache {
    pub(super) fn new(disk: Arc<dyn Disk>, capacity: usize) -> Self {
        Self { disk, capacity, open: Mutex::default() }
    }

    fn register(&self, slot: &Arc<Slot>) {
        let mut open = lock(&self.open);
        open.push_back(Arc::downgrade(slot));
        // Twice round the queue clears every mark, so the loop ends.
        let mut turns = open.len() * 2;
        while open.len() > self.capacity && turns > 0 {
            turns -= 1;
            if let Some(candidate) = open.pop_front()
                && let Some(slot) = candidate.upgrade()
                && !slot.close_unless_used()
            {
                open.push_back(candidate);
            }
        }
    }
}

/// One file of a log.
pub(super) struct CachedFile {
    cache: Arc<FileCache>,
    directory: Arc<Path>,
    base_offset: i64,
    suffix: &'static str,
    slot: Arc<Slot>,
}

impl CachedFile {
    /// The file `<base_offset in 20 digits><suffix>` of `directory`; nothing is opened yet.
    pub(super) fn new(
        cache: &Arc<FileCache>,
        directory: &Arc<Path>,
        base_offset: i64,
        suffix: &'static str,
    ) -> Self {
        Self {
            cache: Arc::clone(cache),
            directory: Arc::clone(directory),
            base_offset,
            suffix,
            slot: Arc::new(Slot {
                state: Mutex::new(State::Closed),
                extension: Mutex::new(""),
                used: AtomicBool::new(false),
            }),
        }
    }

    /// The same file under the name that ends so.
    pub(super) fn with_extension(self, extension: &'static str) -> Self {
        *lock(&self.slot.extension) = extension;
        self
    }

    pub(super) fn extension(&self) -> &'static str {
        *lock(&self.slot.extension)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path_with(self.extension())
    }

    fn path_with(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{:020}{}{extension}", self.base_offset, self.suffix))
    }

    /// Gives the file the name that ends so. Who opens it meanwhile gets it under the old name or
    /// the new one.
    pub(super) fn rename(&self, extension: &'static str) -> io::Result<()> {
        let _opening = lock(&self.slot.state);
        let mut current = lock(&self.slot.extension);
        self.cache.disk.rename(&self.path_with(*current), &self.path_with(extension))?;
        *current = extension;
        Ok(())
    }

    /// The open file.
    pub(super) fn get(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.open(OpenMode::Write)
    }

    /// The open file, created or emptied first.
    pub(super) fn create(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.release();
        self.open(OpenMode::Truncate)
    }

    fn open(&self, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = {
            let mut state = lock(&self.slot.state);
            match &*state {
                State::Open(file) => {
                    self.slot.used.store(true, Ordering::Relaxed);
                    return Ok(Arc::clone(file));
                }
                State::Retired => return Err(io::ErrorKind::NotFound.into()),
                State::Closed => {}
            }
            let file = self.cache.disk.open(&self.path(), mode)?;
            *state = State::Open(Arc::clone(&file));
            file
        };
        // Outside the lock of the slot: the cache may close any slot, this one too.
        self.cache.register(&self.slot);
        Ok(file)
    }

    /// Length in bytes without opening the file; None where there is no file.
    pub(super) fn length_on_disk(&self) -> io::Result<Option<u64>> {
        match self.cache.disk.kind(&self.path())? {
            Some(crate::env::FileKind::File(length)) => Ok(Some(length)),
            _ => Ok(None),
        }
    }

    /// Closes the file; it opens again when needed.
    pub(super) fn release(&self) {
        let mut state = lock(&self.slot.state);
        if matches!(*state, State::Open(_)) {
            *state = State::Closed;
        }
    }

    /// Closes the file for good.
    pub(super) fn retire(&self) {
        *lock(&self.slot.state) = State::Retired;
    }

    /// Removes the file, if there is one, and retires it.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.retire();
        remove_if_exists(self.cache.disk.as_ref(), &self.path())
    }
}

/// A file that stays open because it has unsynced bytes, and is counted.
pub(super) struct HeldFile {
    file: Arc<dyn DiskFile>,
    count: Arc<AtomicUsize>,
}

impl HeldFile {
    pub(super) fn new(file: Arc<dyn DiskFile>, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { file, count: Arc::clone(count) }
    }

    pub(super) fn get(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Removes a file that may be missing.
pub(super) fn remove_if_exists(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Syncs a file. A failure is final whatever its cause, so it never reads as a want of room.
pub(super) fn sync(file: &dyn DiskFile) -> io::Result<()> {
    file.sync().map_err(io::Error::other)
}

/// Locks; a panic elsewhere leaves data that is whole, since no lock here guards a half-made change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{OsDisk, write_all_at};

    fn files(count: i64, capacity: usize, directory: &Path) -> Vec<CachedFile> {
        let cache = Arc::new(FileCache::new(Arc::new(OsDisk), capacity));
        let directory: Arc<Path> = Arc::from(directory);
        (0..count).map(|base| CachedFile::new(&cache, &directory, base, ".log")).collect()
    }

    fn is_open(file: &CachedFile) -> bool {
        matches!(*lock(&file.slot.state), State::Open(_))
    }

    #[test]
    fn no_more_than_the_capacity_stays_open_and_what_is_used_stays_longest() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(6, 3, directory.path());
        for file in &files[..3] {
            file.create().unwrap();
        }
        files[0].get().unwrap();
        for file in &files[3..] {
            file.create().unwrap();
            files[0].get().unwrap();
        }
        assert!(files.iter().filter(|file| is_open(file)).count() <= 3);
        assert!(is_open(&files[0]));
        assert!(!is_open(&files[1]));
    }

    #[test]
    fn a_closed_file_opens_again_and_a_retired_one_never() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(1, 1, directory.path());
        let handle = files[0].create().unwrap();
        write_all_at(handle.as_ref(), b"abc", 0).unwrap();
        files[0].release();
        assert_eq!(files[0].get().unwrap().len().unwrap(), 3);
        files[0].remove().unwrap();
        assert!(files[0].get().is_err());
        assert_eq!(files[0].length_on_disk().unwrap(), None);
        assert_eq!(handle.len().unwrap(), 3);
    }
}
