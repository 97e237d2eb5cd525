//! Kafka's checkpoint files: a version, a count and one line for each entry; replaced as a whole.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::env::{Disk, OpenMode, read_whole, write_all_at};

/// How far each log is synced.
pub(super) const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// Where each log starts, if not at its first segment.
pub(super) const LOG_START: &str = "log-start-offset-checkpoint";
/// High watermarks.
pub(super) const REPLICATION: &str = "replication-offset-checkpoint";
/// How far each log is compacted.
pub(super) const CLEANER: &str = "cleaner-offset-checkpoint";
/// Appended to a file's name while its next content is written.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Most bytes of a checkpoint that are read: over 100,000 logs with the longest names.
const READ_BYTES_MAX: u64 = 32 << 20;

/// Offsets by log directory name (`topic-partition`).
pub(super) type Offsets = BTreeMap<String, i64>;

/// The text of a checkpoint with these entries.
pub(super) fn format(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The entry lines of a checkpoint's text, none for an empty file; None if it is damaged.
pub(super) fn entries(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines();
    let Some(version) = lines.next() else {
        return Some(Vec::new());
    };
    let count: usize = match lines.next() {
        Some(count) => count.parse().ok()?,
        None => 0,
    };
    let entries: Vec<_> = lines.collect();
    (version == "0" && entries.len() == count).then_some(entries)
}

/// Reads offsets by log; a missing file is empty, a damaged one None.
pub(super) fn read_offsets(disk: &dyn Disk, path: &Path) -> io::Result<Option<Offsets>> {
    let Some(text) = read_text(disk, path)? else {
        return Ok(Some(Offsets::new()));
    };
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        let (topic, partition) = (fields.next()?, fields.next()?.parse::<i32>().ok()?);
        let offset = fields.next()?.parse().ok()?;
        Some((format!("{topic}-{partition}"), offset))
    };
    Ok(entries(&text).and_then(|lines| lines.into_iter().map(parse).collect()))
}

/// Replaces the offsets at `directory/name`, durably.
pub(super) fn write_offsets(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    offsets: &Offsets,
) -> io::Result<()> {
    let lines: Vec<_> = offsets
        .iter()
        .filter_map(|(log, offset)| {
            let (topic, partition) = log.rsplit_once('-')?;
            Some(format!("{topic} {partition} {offset}"))
        })
        .collect();
    replace(disk, directory, name, format(lines.into_iter()).as_bytes())
}

/// Text of a small file; None where there is none. Bytes that are not UTF-8 read as damage.
pub(super) fn read_text(disk: &dyn Disk, path: &Path) -> io::Result<Option<String>> {
    let bytes = read_bytes(disk, path)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Bytes of a small file; None where there is none.
pub(super) fn read_bytes(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_whole(disk, path, READ_BYTES_MAX)
}

/// Replaces a file as a whole: after a crash at any time it has the old or the new content, and
/// once this returns the new one. A device without room leaves the old one; once the name has
/// changed no error says that there is no room.
pub(super) fn replace(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    put(disk, directory, name, bytes, true)?;
    disk.sync_dir(directory).map_err(io::Error::other)
}

/// Replaces a file so that a kill of the process leaves the old or the new content; a loss of
/// power may damage it until it and its directory are synced.
pub(super) fn replace_unsynced(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    put(disk, directory, name, bytes, false)
}

fn put(disk: &dyn Disk, directory: &Path, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
    let temporary = directory.join(format!("{name}{TEMPORARY_SUFFIX}"));
    let file = disk.open(&temporary, OpenMode::Truncate)?;
    write_all_at(file.as_ref(), bytes, 0)?;
    if sync {
        file.sync()?;
    }
    drop(file);
    disk.rename(&temporary, &directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsDisk;

    #[test]
    fn offsets_come_back_and_topics_may_hold_dashes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(RECOVERY_POINT);
        assert_eq!(read_offsets(&OsDisk, &path).unwrap(), Some(Offsets::new()));
        let offsets = Offsets::from([("a-b-12".to_owned(), 7), ("plain-0".to_owned(), 1000)]);
        write_offsets(&OsDisk, directory.path(), RECOVERY_POINT, &offsets).unwrap();
        let text = read_text(&OsDisk, &path).unwrap().unwrap();
        assert_eq!(text, "0\n2\na-b 12 7\nplain 0 1000\n");
        assert_eq!(read_offsets(&OsDisk, &path).unwrap(), Some(offsets));
        assert_eq!(OsDisk.list(directory.path()).unwrap(), [RECOVERY_POINT]);
    }

    #[test]
    fn damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["0\n2\na 0 1\n", "1\n0\n", "0\n1\na 0\n", "0\n1\na x 1\n", "\0\0"] {
            replace(&OsDisk, directory.path(), LOG_START, text.as_bytes()).unwrap();
            let read = read_offsets(&OsDisk, &directory.path().join(LOG_START)).unwrap();
            assert_eq!(read, None, "{text:?}");
        }
    }
}
