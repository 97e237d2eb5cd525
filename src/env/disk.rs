//! The file system as the storage engine sees it.
//!
//! All calls block. Positions are absolute: no file has a cursor. A crash may drop or tear
//! whatever was not synced: file contents by [`DiskFile::sync`], names by [`Disk::sync_dir`].

use std::io;
use std::path::Path;
use std::sync::Arc;

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; the file must exist.
    Write,
    /// Reading and writing; created if missing, kept if it exists.
    Create,
    /// Reading and writing; created if missing, emptied if it exists.
    Truncate,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file of this many bytes.
    File(u64),
    /// A directory.
    Directory,
}

/// How large a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What this process may still fill, in bytes.
    pub usable_bytes: u64,
}

/// A file system. Implemented by `OsDisk` and, with crashes and faults, by `SimDisk`.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// What stands at `path`, or None where nothing does.
    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>>;
    /// Creates a directory and its parents; fine if it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Renames a file or directory, replacing a file that stands there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; an open handle keeps its contents.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all it holds.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive a crash.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// How large the volume is that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Takes the exclusive lock on the file at `path`, creating it. Held until dropped; refused
    /// with [`io::ErrorKind::WouldBlock`] while any other holder lives, Apache Kafka included.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>>;
}

/// A held lock; dropping it lets it go.
pub trait DirLock: Send + Sync {}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Reads at `position`; may read fewer bytes, 0 at the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes at `position`; may write fewer bytes.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Writes the two parts one after the other at `position`; may write fewer bytes.
    fn write_parts_at(&self, first: &[u8], second: &[u8], position: u64) -> io::Result<usize> {
        if first.is_empty() {
            return self.write_at(second, position);
        }
        self.write_at(first, position)
    }
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True for a file without bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// When it was last written, in milliseconds since the epoch; None in a simulation.
    fn modified_ms(&self) -> io::Result<Option<i64>> {
        Ok(None)
    }
    /// Sets what [`DiskFile::modified_ms`] gives; does nothing in a simulation.
    fn set_modified_ms(&self, _modified_ms: i64) -> io::Result<()> {
        Ok(())
    }
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Takes room on the device for a file of this length, which it does not get by that; no change
    /// where the file system cannot.
    fn reserve(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }
    /// Makes contents and length survive a crash (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// The real file behind this one, for `sendfile`; None in a simulation.
    fn os_file(&self) -> Option<&std::fs::File> {
        None
    }
    /// True if the range can be read now without waiting for the device
    /// (`preadv2(RWF_NOWAIT)`).
    fn is_cached(&self, _position: u64, _length: usize) -> bool {
        true
    }
}

/// Writes all of `bytes` at `position`.
pub fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                position += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// All bytes of a file, None where there is none. One of more than `bytes_max` is an error, before there is memory for it.
pub fn read_whole(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.len()?;
    if length > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; length as usize];
    let read = read_all(file.as_ref(), &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Fills `buffer` from `position` as far as the file goes; the number of bytes read.
pub fn read_all(file: &dyn DiskFile, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
