//! The operating system's files.
//!
//! The lock on a log directory is a POSIX record lock owned by the open file description: it
//! conflicts with the lock of a Java `FileChannel`, so Apache Kafka and this broker exclude each
//! other, and, unlike a lock owned by the process, with a second broker in the same process.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one module that touches the file system"
)]

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::{Errno, ReadWriteFlags, fcntl_dupfd_cloexec, preadv2, pwritev};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{DirLock, Disk, DiskFile, FileKind, OpenMode, Space};

/// Distance between two probes of [`DiskFile::is_cached`]; the kernel's largest read-ahead.
const CACHE_PROBE_STRIDE_BYTES: u64 = 128 * 1024;

/// Open files for which the kernel's table is prepared at the start.
const DESCRIPTORS_PREPARED: u64 = 4096;

/// The operating system's file system.
#[derive(Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = File::options()
            .read(true)
            .write(mode != OpenMode::Read)
            .create(matches!(mode, OpenMode::Create | OpenMode::Truncate))
            .truncate(mode == OpenMode::Truncate)
            .open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(Some(FileKind::Directory)),
            Ok(metadata) => Ok(Some(FileKind::File(metadata.len()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // No file of ours has a name that is not UTF-8.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let volume = statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        let (total_bytes, usable_bytes) = (bytes(volume.f_blocks), bytes(volume.f_bavail));
        Ok(Space { total_bytes, usable_bytes })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        lock_whole_file(&file)?;
        Ok(Box::new(OsLock(file)))
    }
}

/// Closing the only descriptor of the description lets the lock go.
struct OsLock(#[expect(dead_code, reason = "held for its drop")] File);

impl DirLock for OsLock {}

#[expect(unsafe_code, reason = "no safe wrapper knows F_OFD_SETLK")]
fn lock_whole_file(file: &File) -> io::Result<()> {
    let request = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and F_OFD_SETLK only reads
    // the structure, which lives until the call returns.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Err(io::Error::new(io::ErrorKind::WouldBlock, error)),
        _ => Err(error),
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.0.write_at(bytes, position)
    }

    fn write_parts_at(&self, first: &[u8], second: &[u8], position: u64) -> io::Result<usize> {
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        Ok(pwritev(&self.0, &parts, position)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn modified_ms(&self) -> io::Result<Option<i64>> {
        let since_epoch = self.0.metadata()?.modified()?.duration_since(UNIX_EPOCH);
        Ok(since_epoch.ok().and_then(|time| i64::try_from(time.as_millis()).ok()))
    }

    fn set_modified_ms(&self, modified_ms: i64) -> io::Result<()> {
        let since_epoch = Duration::from_millis(u64::try_from(modified_ms).unwrap_or(0));
        self.0.set_modified(UNIX_EPOCH + since_epoch)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            reserved => Ok(reserved?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn os_file(&self) -> Option<&File> {
        Some(&self.0)
    }

    fn is_cached(&self, position: u64, length: usize) -> bool {
        let Some(last) = (length as u64).checked_sub(1).map(|more| position + more) else {
            return true;
        };
        let mut probe = position;
        loop {
            let mut byte = [0u8];
            let mut parts = [IoSliceMut::new(&mut byte)];
            match preadv2(&self.0, &mut parts, probe, ReadWriteFlags::NOWAIT) {
                Err(Errno::AGAIN) => return false,
                // A file system that cannot tell is read in line.
                Err(_) => return true,
                Ok(_) if probe == last => return true,
                Ok(_) => probe = last.min(probe + CACHE_PROBE_STRIDE_BYTES),
            }
        }
    }
}

/// Raises the soft limit of open files to the hard one and gives the limit now in force. Hosts
/// commonly start a process with 1,024, which a few hundred partitions use up.
///
/// To be called before there are threads: with them, each time the kernel's table of descriptors
/// grows the one that opens a file waits for tens of milliseconds, so it grows here.
pub fn raise_open_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let in_force = in_force.unwrap_or(u64::MAX);
    if let Ok(file) = File::open("/dev/null") {
        let highest = in_force.min(DESCRIPTORS_PREPARED).saturating_sub(1);
        drop(fcntl_dupfd_cloexec(&file, highest as i32));
    }
    in_force
}

/// How many files this process may have open.
pub fn open_file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{read_all, write_all_at};

    #[test]
    fn a_second_lock_on_one_file_is_refused_until_the_first_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let held = OsDisk.lock(&path).unwrap();
        let refused = OsDisk.lock(&path).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        OsDisk.lock(&path).unwrap();
    }

    #[test]
    fn a_lock_conflicts_with_the_process_owned_lock_of_a_java_file_channel() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let foreign = File::create(&path).unwrap();
        rustix::fs::fcntl_lock(&foreign, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .unwrap();
        assert_eq!(OsDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn parts_are_written_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = OsDisk.open(&path, OpenMode::Create).unwrap();
        write_all_at(file.as_ref(), b"..", 0).unwrap();
        assert_eq!(file.write_parts_at(b"abc", b"de", 2).unwrap(), 5);
        let mut bytes = [0; 8];
        assert_eq!(read_all(file.as_ref(), &mut bytes, 0).unwrap(), 7);
        assert_eq!(&bytes[..7], b"..abcde");
        assert!(file.is_cached(0, 7));
        assert!(file.is_cached(7, 0));
        assert_eq!(OsDisk.kind(&path).unwrap(), Some(FileKind::File(7)));
        assert_eq!(OsDisk.kind(&directory.path().join("none")).unwrap(), None);
        assert_eq!(OsDisk.list(directory.path()).unwrap(), ["file"]);
        OsDisk.sync_dir(directory.path()).unwrap();
    }

    #[test]
    fn a_volume_has_room() {
        let directory = tempfile::tempdir().unwrap();
        let Space { total_bytes, usable_bytes } = OsDisk.space(directory.path()).unwrap();
        assert!(0 < usable_bytes && usable_bytes <= total_bytes);
        let missing = OsDisk.space(&directory.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let raised = raise_open_file_limit();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
    }
}
