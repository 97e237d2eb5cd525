//! A file system in memory that crashes, fails and runs full on command.
//!
//! Every file and directory has a volatile image, which calls see, a durable one, which survives a
//! loss of power, and the list of changes by which the first is ahead of the second.
//! [`DiskFile::sync`] and [`Disk::sync_dir`] carry changes over; a loss of power keeps a seeded
//! choice of them. The same seed and the same calls give the same disk.
//!
//! A [`SimDisk`] is a view of the disk from one boot to the next crash: the view, its files and
//! its locks are dead after [`SimDisk::crash`], and [`SimDisk::restart`] gives a new view.

mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirLock, Disk, DiskFile, FileKind, OpenMode, Space};
use image::{Change, File, Names, Node, ROOT, Write};

/// What a crash takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// The process dies: everything written stays.
    ProcessKill,
    /// The machine dies: unsynced writes may be dropped, torn or reordered within a file, and
    /// unsynced names of a directory are lost from some change on.
    PowerLoss,
}

/// What happens at one operation; see [`SimDisk::fault_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO. A sync that fails so leaves an unknown part durable and never retries the rest.
    Io,
    /// ENOSPC.
    NoSpace,
    /// A write takes fewer bytes than it was given; other operations succeed.
    ShortWrite,
    /// The disk crashes instead of the operation; a write may get part of its bytes out.
    Crash(CrashMode),
}

/// One boot's view of a simulated disk, cheap to clone.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    generation: u64,
}

struct State {
    names: Names,
    random: fastrand::Rng,
    generation: u64,
    down: Option<CrashMode>,
    locks: BTreeSet<PathBuf>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    capacity_bytes: Option<u64>,
    failing_syncs: bool,
    failing_under: Option<PathBuf>,
    failed_syncs: u64,
    journal: Option<Vec<String>>,
}

/// No code panics while it holds one of these locks, and a broken test should say its own reason.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn os_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        let state = State {
            names: Names::default(),
            random: fastrand::Rng::with_seed(seed),
            generation: 0,
            down: None,
            locks: BTreeSet::new(),
            operations: 0,
            faults: BTreeMap::new(),
            capacity_bytes: None,
            failing_syncs: false,
            failing_under: None,
            failed_syncs: 0,
            journal: None,
        };
        Self { state: Arc::new(Mutex::new(state)), generation: 0 }
    }

    /// Crashes now: every view and file is dead and locks are free. Calls fail until
    /// [`SimDisk::restart`].
    pub fn crash(&self, mode: CrashMode) {
        lock(&self.state).crash(mode);
    }

    /// Boots after a crash. A view that is not dead stays valid.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut state = lock(&self.state);
        state.down = None;
        Self { state: Arc::clone(&self.state), generation: state.generation }
    }

    /// Between a crash and the restart: which crash it was.
    pub fn crashed(&self) -> Option<CrashMode> {
        lock(&self.state).down
    }

    /// How many mutating operations were asked for so far (creating, writing, cutting, syncing,
    /// renaming, removing), those that failed included.
    pub fn operations(&self) -> u64 {
        lock(&self.state).operations
    }

    /// Lets operation number `operation`, counted from 0, meet `fault`.
    pub fn fault_at(&self, operation: u64, fault: Fault) {
        lock(&self.state).faults.insert(operation, fault);
    }

    /// Forgets faults that have not happened, the limit of space, failing syncs and directories.
    pub fn clear_faults(&self) {
        let mut state = lock(&self.state);
        state.faults.clear();
        state.capacity_bytes = None;
        state.failing_syncs = false;
        state.failing_under = None;
    }

    /// Limits the sum of all files' lengths; what goes beyond it meets ENOSPC.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        lock(&self.state).capacity_bytes = capacity_bytes;
    }

    /// Bytes of all files that have a name.
    pub fn used_bytes(&self) -> u64 {
        lock(&self.state).names.used_bytes()
    }

    /// Lets every sync of a file fail with EIO.
    pub fn set_failing_syncs(&self, failing: bool) {
        lock(&self.state).failing_syncs = failing;
    }

    /// Lets everything under a directory fail with EIO, reads included, as if its device were gone.
    pub fn set_failing_under(&self, directory: Option<&Path>) {
        lock(&self.state).failing_under = directory.map(Path::to_owned);
    }

    /// How many syncs of files have failed.
    pub fn failed_syncs(&self) -> u64 {
        lock(&self.state).failed_syncs
    }

    /// Keeps a line for each mutating operation from now on.
    pub fn record(&self) {
        lock(&self.state).journal.get_or_insert_default();
    }

    /// Takes the lines kept since [`SimDisk::record`] or the last call.
    pub fn journal(&self) -> Vec<String> {
        let mut state = lock(&self.state);
        state.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if state.down.is_some() || state.generation != self.generation {
            return Err(io::Error::other("the simulated machine has crashed"));
        }
        Ok(state)
    }
}

impl State {
    fn crash(&mut self, mode: CrashMode) {
        if self.down.is_some() {
            return;
        }
        self.generation += 1;
        self.down = Some(mode);
        self.locks.clear();
        if mode == CrashMode::PowerLoss {
            self.names.lose_power(&mut self.random);
        }
    }

    /// Counts an operation and gives the fault it meets.
    fn count(&mut self, what: &str, path: &Path) -> Option<Fault> {
        let fault = self.faults.remove(&self.operations);
        let fault = if self.is_failing(path) { Some(Fault::Io) } else { fault };
        if let Some(journal) = &mut self.journal {
            let number = self.operations;
            journal.push(format!("{number} {what} {} {fault:?}", path.display()));
        }
        self.operations += 1;
        fault
    }

    fn meet(&mut self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            None | Some(Fault::ShortWrite) => Ok(()),
            Some(Fault::Io) => Err(os_error(libc::EIO)),
            Some(Fault::NoSpace) => Err(os_error(libc::ENOSPC)),
            Some(Fault::Crash(mode)) => {
                self.crash(mode);
                Err(io::Error::other("the simulated machine crashes"))
            }
        }
    }

    fn operation(&mut self, what: &str, path: &Path) -> io::Result<()> {
        let fault = self.count(what, path);
        self.meet(fault)
    }

    fn is_failing(&self, path: &Path) -> bool {
        self.failing_under.as_ref().is_some_and(|directory| path.starts_with(directory))
    }

    fn check_device(&self, path: &Path) -> io::Result<()> {
        if self.is_failing(path) { Err(os_error(libc::EIO)) } else { Ok(()) }
    }

    fn node(&self, path: &Path) -> io::Result<Option<Node>> {
        self.check_device(path)?;
        let mut node = Node::Directory(ROOT);
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            let Node::Directory(directory) = node else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            match self.names.get(directory, &name.to_string_lossy()) {
                Some(next) => node = next,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    fn directory(&self, path: &Path) -> io::Result<u64> {
        match self.node(path)? {
            Some(Node::Directory(directory)) => Ok(directory),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The directory that holds `path`, and the last name in it.
    fn parent(&self, path: &Path) -> io::Result<(u64, String)> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                Ok((self.directory(parent)?, name.to_string_lossy().into_owned()))
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Gives the name `path` to `node`, or takes it away.
    fn link(&mut self, what: &str, path: &Path, node: Option<Node>) -> io::Result<()> {
        let (directory, name) = self.parent(path)?;
        self.operation(what, path)?;
        self.names.change(directory, Change::Link(name, node));
        Ok(())
    }

    /// The file at `path`, created if `create` and it is missing.
    fn file(&mut self, path: &Path, create: bool) -> io::Result<Arc<Mutex<File>>> {
        match self.node(path)? {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None if create => {
                let file = Arc::<Mutex<File>>::default();
                self.link("create", path, Some(Node::File(Arc::clone(&file))))?;
                Ok(file)
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Removes bottom up, one operation for each name.
    fn remove_tree(&mut self, path: &Path) -> io::Result<()> {
        for name in self.names.list(self.directory(path)?) {
            let path = path.join(name);
            if let Some(Node::Directory(_)) = self.node(&path)? {
                self.remove_tree(&path)?;
            } else {
                self.link("remove_file", &path, None)?;
            }
        }
        self.link("remove_dir", path, None)
    }

    /// How many of `length` bytes fit at `position` of a file of `file_length` bytes.
    fn room(&self, file_length: u64, position: u64, length: usize) -> usize {
        let Some(capacity_bytes) = self.capacity_bytes else {
            return length;
        };
        let free = capacity_bytes.saturating_sub(self.names.used_bytes());
        let growth = (position + length as u64).saturating_sub(file_length);
        length.saturating_sub(growth.saturating_sub(free) as usize)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.live()?;
        let create = matches!(mode, OpenMode::Create | OpenMode::Truncate);
        let file = state.file(path, create)?;
        let length = lock(&file).bytes().len();
        if mode == OpenMode::Truncate && length > 0 {
            state.operation("truncate", path)?;
            lock(&file).change(Write::Length(0));
        }
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
            writable: mode != OpenMode::Read,
        }))
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        Ok(self.live()?.node(path)?.map(|node| match node {
            Node::File(file) => FileKind::File(lock(&file).bytes().len() as u64),
            Node::Directory(_) => FileKind::Directory,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.live()?;
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        while let Some(path) = ancestors.pop() {
            if state.node(path)?.is_none() {
                let directory = state.names.new_directory();
                state.link("create_dir", path, Some(Node::Directory(directory)))?;
            }
        }
        state.directory(path).map(drop)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.live()?;
        let mut names = state.names.list(state.directory(path)?);
        // No order is promised, so none is kept.
        state.random.shuffle(&mut names);
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.live()?;
        if from.parent() != to.parent() {
            // Moves between directories are not atomic under every file system; nobody needs them.
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let (parent, from_name) = state.parent(from)?;
        let (_, to_name) = state.parent(to)?;
        if state.node(from)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Some(Node::Directory(_)) = state.node(to)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.operation("rename", to)?;
        state.names.change(parent, Change::Rename(from_name, to_name));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.live()?;
        state.file(path, false)?;
        state.link("remove_file", path, None)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.live()?.remove_tree(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.live()?;
        let directory = state.directory(path)?;
        state.operation("sync_dir", path)?;
        state.names.sync(directory);
        Ok(())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.live()?;
        state.directory(path)?;
        let total_bytes = state.capacity_bytes.unwrap_or(u64::MAX);
        let usable_bytes = total_bytes.saturating_sub(state.names.used_bytes());
        Ok(Space { total_bytes, usable_bytes })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        let mut state = self.live()?;
        state.file(path, true)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        // A lock from before a crash must not free one taken after it.
        if let Ok(mut state) = self.disk.live() {
            state.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: Arc<Mutex<File>>,
    writable: bool,
}

impl SimFile {
    /// A file longer than this is a broken test.
    const LENGTH_BYTES_MAX: u64 = 1 << 30;

    fn live_for_writing(&self, end: u64) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.live()?;
        if !self.writable {
            return Err(os_error(libc::EBADF));
        }
        if end > Self::LENGTH_BYTES_MAX {
            return Err(os_error(libc::EFBIG));
        }
        Ok(state)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.disk.live()?.check_device(&self.path)?;
        let file = lock(&self.file);
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = file.bytes().get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.write_parts_at(bytes, &[], position)
    }

    fn write_parts_at(&self, first: &[u8], second: &[u8], position: u64) -> io::Result<usize> {
        let mut bytes = [first, second].concat();
        let mut state = self.live_for_writing(position.saturating_add(bytes.len() as u64))?;
        let fault = state.count("write", &self.path);
        let length = match fault {
            Some(Fault::ShortWrite) if bytes.len() > 1 => state.random.usize(1..bytes.len()),
            Some(Fault::Crash(_)) => state.random.usize(0..=bytes.len()),
            Some(Fault::Io | Fault::NoSpace) => 0,
            _ => bytes.len(),
        };
        let file_length = lock(&self.file).bytes().len() as u64;
        let room = state.room(file_length, position, length);
        if room == 0 && length > 0 {
            state.meet(fault)?;
            return Err(os_error(libc::ENOSPC));
        }
        bytes.truncate(room);
        if room > 0 {
            lock(&self.file).change(Write::Bytes(position, bytes));
        }
        state.meet(fault)?;
        Ok(room)
    }

    fn len(&self) -> io::Result<u64> {
        let _state = self.disk.live()?;
        Ok(lock(&self.file).bytes().len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.live_for_writing(length)?;
        state.operation("set_len", &self.path)?;
        let file_length = lock(&self.file).bytes().len() as u64;
        let growth = length.saturating_sub(file_length) as usize;
        if state.room(file_length, file_length, growth) < growth {
            return Err(os_error(libc::ENOSPC));
        }
        lock(&self.file).change(Write::Length(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.live()?;
        let mut fault = state.count("sync", &self.path);
        if state.failing_syncs && fault.is_none() {
            fault = Some(Fault::Io);
        }
        match fault {
            Some(Fault::Io | Fault::NoSpace) => {
                state.failed_syncs += 1;
                lock(&self.file).sync_failing(&mut state.random);
            }
            Some(Fault::Crash(_)) => {}
            _ => lock(&self.file).sync(),
        }
        state.meet(fault)
    }
}

#[cfg(test)]
mod tests;
