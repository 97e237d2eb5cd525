//! `ottla dump-log`: what stands in the files of a data directory, as Apache Kafka's
//! `DumpLogSegments` (`kafka-dump-log.sh`) tells it.
//!
//! Standard output is Kafka's to the byte, and so are the complaints on standard error. Where Kafka's
//! tool ends with an exception, this one ends with an error, after the same output. Files are only
//! read, and none is made: an index that is missing stays so. No byte in them makes it panic.

mod complaints;
mod control;
mod decoder;
mod index;
mod log_file;
mod options;
mod producers;
mod segment;
#[cfg(test)]
mod tests;
mod text;
mod time_index;
mod transaction_index;

use std::io::{self, Write};
use std::path::Path;

use complaints::Complaints;
pub use options::Options;

use crate::env::{self, Disk};

/// Java reads no larger file at once.
const FILE_BYTES_MAX: u64 = i32::MAX as u64;

/// Why a dump ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// What was asked for is not there.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be read.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// A file is damaged, or not what its name says. What stands before the place was printed.
    #[error("{path}: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong, and where.
        what: String,
    },
    /// The output cannot be written.
    #[error("cannot write what was read: {0}")]
    Output(#[from] io::Error),
}

/// A run of the tool.
struct Dump<'a> {
    options: &'a Options,
    disk: &'a dyn Disk,
    out: &'a mut dyn Write,
    errors: &'a mut dyn Write,
    complaints: Complaints,
}

/// Dumps the files. Paths are completed with `working_directory` where Kafka prints them whole.
pub fn run(
    options: &Options,
    working_directory: &Path,
    disk: &dyn Disk,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> Result<(), DumpError> {
    options.check()?;
    let mut dump = Dump { options, disk, out, errors, complaints: Complaints::default() };
    let dumped = options.files().try_for_each(|path| {
        let file = NamedFile::new(path, working_directory);
        dump.file(&file)
    });
    dump.out.flush()?;
    dump.complaints.print(dump.errors)?;
    dumped
}

impl Dump<'_> {
    fn file(&mut self, file: &NamedFile) -> Result<(), DumpError> {
        writeln!(self.out, "Dumping {}", file.path)?;
        match file.ending() {
            "log" | "checkpoint" => segment::dump(self, file),
            "index" => index::dump(self, file),
            "timeindex" => time_index::dump(self, file),
            "snapshot" => producers::dump(self, file),
            "txnindex" => transaction_index::dump(self, file),
            _ => self.complain(&format!("Ignoring unknown file {}", file.path)),
        }
    }

    /// Says it on standard error, after what was printed so far.
    fn complain(&mut self, what: &str) -> Result<(), DumpError> {
        self.out.flush()?;
        Ok(writeln!(self.errors, "{what}")?)
    }
}

/// A file as it was named.
struct NamedFile {
    /// As Java's `File` keeps it: without empty parts.
    path: String,
    /// The same from the root on.
    absolute: String,
}

impl NamedFile {
    fn new(path: &str, working_directory: &Path) -> Self {
        let root = if path.starts_with('/') { "/" } else { "" };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let path = format!("{root}{}", parts.join("/"));
        let absolute = if root.is_empty() {
            format!("{}/{path}", working_directory.display())
        } else {
            path.clone()
        };
        Self { path, absolute }
    }

    fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(self.path.as_str(), |(_, name)| name)
    }

    /// What stands after the last dot.
    fn ending(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, ending)| ending)
    }

    /// What stands before the first dot.
    fn stem(&self) -> &str {
        self.name().split('.').next().unwrap_or_default()
    }

    /// The offset that names a segment's files.
    fn base_offset(&self) -> Result<i64, DumpError> {
        let offset = self.stem().parse();
        offset.map_err(|_| self.damaged("the name does not begin with the segment's first offset"))
    }

    /// The file of the same segment with another ending.
    fn sibling(&self, ending: &str) -> String {
        let directory = &self.path[..self.path.len() - self.name().len()];
        format!("{directory}{}{ending}", self.stem())
    }

    fn damaged(&self, what: impl Into<String>) -> DumpError {
        DumpError::Damaged { path: self.path.clone(), what: what.into() }
    }
}

/// All bytes of a file that is small by nature.
fn read_whole(disk: &dyn Disk, path: &str) -> Result<Vec<u8>, DumpError> {
    let read = env::read_whole(disk, Path::new(path), FILE_BYTES_MAX);
    let read = read.and_then(|bytes| bytes.ok_or_else(|| io::ErrorKind::NotFound.into()));
    read.map_err(|cause| DumpError::File { path: path.to_owned(), cause })
}
