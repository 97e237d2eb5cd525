//! A partition as files, with just enough of an index to find an offset.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ottla::env::{Disk, DiskFile, OpenMode, OsDisk, read_all};
use ottla::records::{BATCH_HEADER_BYTES, BatchHeader};
use ottla::wire::{Chunk, ErrorCode};

/// As Kafka's `segment.bytes`.
const SEGMENT_BYTES: u64 = 1 << 30;
/// As Kafka's `index.interval.bytes`: bytes between two entries of an index.
const INDEX_INTERVAL_BYTES: u64 = 4 << 10;
/// Where what the CRC covers begins.
const CHECKED_FROM: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;

struct Segment {
    file: Arc<dyn DiskFile>,
    size_bytes: u64,
    /// Offsets with the positions of their batches, never empty once there is a batch.
    index: Vec<(i64, u64)>,
}

/// A partition that only grows.
pub(super) struct PartitionFiles {
    /// Without the number of the segment.
    path: PathBuf,
    segments: Vec<Segment>,
    pub(super) next_offset: i64,
}

impl PartitionFiles {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, segments: Vec::new(), next_offset: 0 }
    }

    /// Whether the bytes are one batch, and its checksum is right; no lock is needed for that.
    pub(super) fn check(batch: &[u8]) -> Result<(), ErrorCode> {
        let header = BatchHeader::parse(batch).map_err(|_| ErrorCode::CorruptMessage)?;
        let is_right = crc32c::crc32c(&batch[CHECKED_FROM..]) == header.crc;
        if is_right { Ok(()) } else { Err(ErrorCode::CorruptMessage) }
    }

    /// Writes one batch that was checked; its base offset.
    pub(super) fn append(&mut self, batch: &[u8]) -> i64 {
        let base_offset = self.next_offset;
        let segment = self.segment_for(batch.len() as u64);
        let indexed = segment.index.last().map(|(_, position)| position + INDEX_INTERVAL_BYTES);
        if indexed.is_none_or(|next| next <= segment.size_bytes) {
            segment.index.push((base_offset, segment.size_bytes));
        }
        let (offset, rest) = (base_offset.to_be_bytes(), &batch[size_of::<i64>()..]);
        let written = segment.file.write_parts_at(&offset, rest, segment.size_bytes).unwrap();
        assert_eq!(written, batch.len(), "the disk is full");
        segment.size_bytes += written as u64;
        let last_offset_delta = *batch[LAST_OFFSET_DELTA_AT..].first_chunk().unwrap();
        self.next_offset += i64::from(i32::from_be_bytes(last_offset_delta)) + 1;
        base_offset
    }

    fn segment_for(&mut self, batch_bytes: u64) -> &mut Segment {
        let last = self.segments.last();
        if last.is_none_or(|last| last.size_bytes + batch_bytes > SEGMENT_BYTES) {
            let path = self.segment_path(self.segments.len());
            let file = OsDisk.open(&path, OpenMode::Truncate).unwrap();
            self.segments.push(Segment { file, size_bytes: 0, index: Vec::new() });
        }
        self.segments.last_mut().unwrap()
    }

    /// A name of a topic may have dots of its own.
    fn segment_path(&self, number: usize) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }

    /// Removes the files; who reads them still can.
    pub(super) fn remove(&self) {
        for number in 0..self.segments.len() {
            fs::remove_file(self.segment_path(number)).unwrap();
        }
    }

    /// Bytes from the batch that holds `offset` on, that one whole; None at the end.
    pub(super) fn range(&self, offset: i64, max_bytes: u64) -> Option<Chunk> {
        if !(0..self.next_offset).contains(&offset) {
            return None;
        }
        let begun = |segment: &Segment| segment.index[0].0 <= offset;
        let segment = &self.segments[self.segments.partition_point(begun) - 1];
        let entry = segment.index.partition_point(|(first, _)| *first <= offset) - 1;
        let (_, mut position) = segment.index[entry];
        loop {
            let mut head = [0; BATCH_HEADER_BYTES];
            read_all(&*segment.file, &mut head, position).unwrap();
            let header = BatchHeader::parse(&head).unwrap();
            let size_bytes = header.size_bytes() as u64;
            if header.last_offset() < offset {
                position += size_bytes;
                continue;
            }
            let length = max_bytes.max(size_bytes).min(segment.size_bytes - position) as usize;
            return Some(Chunk::File { file: segment.file.clone(), position, length });
        }
    }
}
