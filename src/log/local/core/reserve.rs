//! Room on the device ahead of what is written.
//!
//! Appending to a file costs a third less CPU where the file has its blocks already, and the tail of latencies is
//! shorter. The length of the file stays as it is, so that nothing has to tell what is written from what is not. What is
//! left over goes back when the segment is sealed, when the log is closed, and when it is opened after an unclean stop.

use std::io;

use super::{Core, Writer};
use crate::env::DiskFile;
use crate::log::LogConfig;
use crate::log::local::segment::Segment;

/// A smaller segment takes its room as it is written, so that a small log takes no more than it holds.
const RESERVED_FROM_BYTES: u64 = 1 << 20;
/// Most room that is taken ahead without `preallocate`.
const RESERVED_BYTES_MAX: u64 = 16 << 20;

/// With `preallocate`, takes room for a whole new segment; gives up to where there is room now.
pub(super) fn reserve_whole(segment: &Segment, config: &LogConfig) -> io::Result<u64> {
    if config.preallocate {
        segment.file()?.reserve(config.segment_bytes)?;
        return Ok(config.segment_bytes);
    }
    Ok(0)
}

/// After an unclean stop: gives back what was taken ahead then.
pub(super) fn give_back_old(segment: &Segment, config: &LogConfig) -> io::Result<()> {
    let may_have_more = config.preallocate || segment.tail().size_bytes >= RESERVED_FROM_BYTES;
    if may_have_more { segment.give_back() } else { Ok(()) }
}

impl Core {
    /// Before a write that ends at `end`: takes room up to there and for as much again as the segment holds, up to a
    /// limit. It is the write that tells if the device is full; then nothing more is taken ahead in this segment.
    pub(super) fn reserve_ahead(
        writer: &mut Writer,
        file: &dyn DiskFile,
        end: u64,
        position: u64,
        config: &LogConfig,
    ) {
        if end <= writer.reserved_bytes || end < RESERVED_FROM_BYTES {
            return;
        }
        let until = end.saturating_add(end.min(RESERVED_BYTES_MAX)).min(config.segment_bytes);
        writer.reserved_bytes = until;
        if file.reserve(until).is_err() {
            // Some of it may have been taken. Whether that goes back is tried again when the segment is sealed.
            let _ = file.set_len(position);
            writer.reserved_bytes = u64::MAX;
        }
    }

    /// Gives back what the active segment does not need.
    pub(in crate::log::local) fn give_back(
        writer: &mut Writer,
        segment: &Segment,
    ) -> io::Result<()> {
        if writer.reserved_bytes > segment.tail().size_bytes {
            segment.give_back()?;
        }
        writer.reserved_bytes = 0;
        Ok(())
    }
}
