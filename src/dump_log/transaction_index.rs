//! Transaction indexes: the aborted transactions whose markers stand in a segment.

use bytes::Buf;

use super::{Dump, DumpError, NamedFile, read_whole};

const ENTRY_BYTES: usize = 34;
/// The only version of an entry.
const VERSION: i8 = 0;

pub(super) fn dump(dump: &mut Dump<'_>, file: &NamedFile) -> Result<(), DumpError> {
    file.base_offset()?;
    let bytes = match read_whole(dump.disk, &file.path) {
        // Most segments have none.
        Err(DumpError::File { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Ok(());
        }
        bytes => bytes?,
    };
    let entries: Vec<&[u8]> = bytes.chunks_exact(ENTRY_BYTES).collect();
    // Kafka reads all entries before it prints the first, and one byte of the version's two.
    let unknown = entries.iter().map(|entry| entry[0] as i8).find(|version| *version > VERSION);
    if let Some(version) = unknown {
        return Err(file.damaged(format!("an aborted transaction has the version {version}")));
    }
    for mut entry in entries {
        let version = (entry.get_i16() >> 8) as i8;
        writeln!(
            dump.out,
            "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            entry.get_i64(),
            entry.get_i64(),
            entry.get_i64(),
            entry.get_i64(),
        )?;
    }
    Ok(())
}
