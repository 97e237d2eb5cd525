//! What a log in memory holds, as the plainest code that keeps the contract.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::log::{
    AbortedTransaction, AppendError, BatchBytes, CommitObserver, LogConfig, LogRead, ReadError,
    Replay, SegmentFacts,
};
use crate::records::BatchHeader;
use crate::wire::Chunk;

pub(super) struct Content {
    pub(super) config: LogConfig,
    pub(super) observer: Arc<dyn CommitObserver>,
    /// Counts the times it was opened, closed or deleted: handles of before are fenced.
    pub(super) openings: u64,
    pub(super) batches: VecDeque<(BatchHeader, Bytes)>,
    pub(super) aborted: VecDeque<AbortedTransaction>,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) size_bytes: u64,
    /// Never empty.
    pub(super) segments: VecDeque<SegmentMark>,
    pub(super) epochs: EpochEntries,
    pub(super) snapshots: BTreeMap<i64, Vec<u8>>,
    /// Up to where it is compacted, as was noted.
    pub(super) cleaned_offset: Option<i64>,
    /// End of what the observer knows of.
    pub(super) committed: i64,
}

#[derive(Default)]
pub(super) struct SegmentMark {
    pub(super) base_offset: i64,
    pub(super) size_bytes: u64,
}

impl Content {
    pub(super) fn new(config: LogConfig, observer: Arc<dyn CommitObserver>) -> Self {
        Self {
            config,
            observer,
            openings: 0,
            batches: VecDeque::new(),
            aborted: VecDeque::new(),
            start_offset: 0,
            end_offset: 0,
            size_bytes: 0,
            segments: VecDeque::from([SegmentMark::default()]),
            epochs: EpochEntries::default(),
            snapshots: BTreeMap::new(),
            cleaned_offset: None,
            committed: 0,
        }
    }

    pub(super) fn open(
        &mut self,
        config: LogConfig,
        observer: Arc<dyn CommitObserver>,
        replay: &mut dyn Replay,
    ) -> u64 {
        self.openings += 1;
        self.config = config;
        self.observer = observer;
        self.committed = self.end_offset;
        let mut replay_from = self.start_offset;
        while let Some(newest) = self.snapshots.last_entry() {
            if replay.snapshot(*newest.key(), newest.get()) {
                replay_from = replay_from.max(*newest.key());
                break;
            }
            newest.remove();
        }
        for (header, bytes) in self.batches.range(self.index_of(replay_from)..) {
            // What it aborts is in memory.
            replay.batch(header, header.is_control().then_some(&bytes[..]));
        }
        self.openings
    }

    /// Index of the batch that holds `offset`, or of the next one.
    pub(super) fn index_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|(header, _)| header.last_offset() < offset)
    }

    pub(super) fn append(
        &mut self,
        batch: BatchBytes<'_>,
        aborted: Option<AbortedTransaction>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<(), AppendError> {
        let size_bytes = (batch.header.len() + batch.records.len()) as u64;
        let segment_bytes = self.config.segment_bytes;
        if size_bytes > segment_bytes {
            return Err(AppendError::LargerThanSegment { size_bytes, segment_bytes });
        }
        let header = BatchHeader::parse(&batch.header).map_err(|error| {
            // The partition validated it: never seen, and nothing is stored.
            AppendError::Offline(error.to_string())
        })?;
        assert!(header.base_offset >= self.end_offset, "appends go up");
        let last_offset = header.last_offset();
        let active = self.active();
        if active.size_bytes + size_bytes > segment_bytes
            || last_offset - active.base_offset > i64::from(i32::MAX)
        {
            self.roll(snapshot);
        }
        let mut bytes = BytesMut::with_capacity(size_bytes as usize);
        bytes.extend_from_slice(&batch.header);
        bytes.extend_from_slice(batch.records);
        self.epochs.begin(header.leader_epoch, header.base_offset);
        self.batches.push_back((header, bytes.freeze()));
        self.aborted.extend(aborted);
        self.active().size_bytes += size_bytes;
        self.size_bytes += size_bytes;
        self.end_offset = last_offset + 1;
        Ok(())
    }

    pub(super) fn roll(&mut self, snapshot: &mut dyn FnMut() -> Vec<u8>) {
        let base_offset = self.end_offset;
        if self.active().size_bytes > 0 {
            self.snapshots.insert(base_offset, snapshot());
            self.segments.push_back(SegmentMark { base_offset, size_bytes: 0 });
        }
        self.active().base_offset = base_offset;
    }

    pub(super) fn active(&mut self) -> &mut SegmentMark {
        self.segments.back_mut().expect("a log has a segment")
    }

    pub(super) fn segments(&self) -> Vec<SegmentFacts> {
        let next = self.segments.iter().skip(1).map(|mark| mark.base_offset);
        let marks = self.segments.iter().zip(next.chain([self.end_offset]));
        marks
            .map(|(&SegmentMark { base_offset, size_bytes }, end_offset)| SegmentFacts {
                base_offset,
                end_offset,
                size_bytes,
            })
            .collect()
    }

    pub(super) fn segment_first_time_ms(&self, base_offset: i64) -> Option<i64> {
        self.headers_in(base_offset)?.next().map(|header| header.max_timestamp)
    }

    /// The batches of a segment; None if there is no such segment.
    pub(super) fn headers_in(
        &self,
        base_offset: i64,
    ) -> Option<impl Iterator<Item = &BatchHeader>> {
        let segments = self.segments();
        let segment = segments.iter().find(|segment| segment.base_offset == base_offset)?;
        let offsets = segment.base_offset..segment.end_offset;
        Some(self.headers().filter(move |header| offsets.contains(&header.base_offset)))
    }

    pub(super) fn segment_time_ms(&self, base_offset: i64) -> Option<i64> {
        let batches = self.headers_in(base_offset)?;
        batches.map(|header| header.max_timestamp).max().filter(|time_ms| *time_ms >= 0)
    }

    pub(super) fn read(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> Result<LogRead, ReadError> {
        if from < self.start_offset || from > self.end_offset {
            return Err(ReadError::OutOfRange {
                offset: from,
                start_offset: self.start_offset,
                end_offset: self.end_offset,
            });
        }
        let first = self.index_of(from);
        let mut length = 0;
        let fits = |(header, bytes): &&(BatchHeader, Bytes)| {
            let fits = length == 0 || length + bytes.len() <= max_bytes;
            length += bytes.len();
            fits && header.base_offset < until
        };
        let count = self.batches.range(first..).take_while(fits).count();
        let batches = || self.batches.range(first..first + count).map(|(_, bytes)| bytes);
        let bytes = match count {
            1 => batches().next().cloned().unwrap_or_default(),
            _ => batches()
                .fold(BytesMut::new(), |mut whole, bytes| {
                    whole.extend_from_slice(bytes);
                    whole
                })
                .freeze(),
        };
        Ok(LogRead { chunk: Chunk::Bytes(bytes), aborted: Vec::new() })
    }

    pub(super) fn read_committed(
        &self,
        from: i64,
        until: i64,
        max_bytes: usize,
    ) -> Result<LogRead, ReadError> {
        let read = self.read(from, until, max_bytes)?;
        let batches = self.batches.range(self.index_of(from)..);
        let mut left_bytes = read.chunk.len();
        let is_read = |(_, bytes): &&(BatchHeader, Bytes)| {
            let is_left = left_bytes > 0;
            left_bytes = left_bytes.saturating_sub(bytes.len());
            is_left
        };
        let last = batches.take_while(is_read).last();
        let end_offset = last.map_or(from, |(header, _)| header.last_offset() + 1);
        let first = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let overlaps = |aborted: &&AbortedTransaction| aborted.first_offset < end_offset;
        let aborted = self.aborted.range(first..).filter(overlaps).copied().collect();
        Ok(LogRead { aborted, ..read })
    }

    pub(super) fn delete_before(&mut self, offset: i64) {
        let offset = offset.min(self.end_offset);
        if offset <= self.start_offset {
            return;
        }
        self.start_offset = offset;
        for (_, bytes) in self.batches.drain(..self.index_of(offset)) {
            self.size_bytes -= bytes.len() as u64;
        }
        let held = self.segments.partition_point(|mark| mark.base_offset <= offset);
        self.segments.drain(..held.saturating_sub(1));
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
        self.epochs.truncate_from_start(offset);
        // Batches before the newest snapshot at or below the start are gone for replay, too.
        if let Some((&oldest, _)) = self.snapshots.range(..=offset).next_back() {
            self.snapshots = self.snapshots.split_off(&oldest);
        }
    }

    /// The observer to tell that all is committed, if it does not know.
    pub(super) fn commit(&mut self) -> Option<(Arc<dyn CommitObserver>, i64)> {
        let news = self.committed < self.end_offset;
        self.committed = self.end_offset;
        news.then(|| (Arc::clone(&self.observer), self.end_offset))
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = &BatchHeader> {
        self.batches.iter().map(|(header, _)| header)
    }
}

/// Where each leader epoch begins, as Kafka's `LeaderEpochFileCache`. Written apart from the local
/// engine's, since a model must not share the faults of what it checks.
#[derive(Default)]
pub(super) struct EpochEntries(BTreeMap<i32, i64>);

impl EpochEntries {
    pub(super) fn begin(&mut self, epoch: i32, offset: i64) {
        if self.latest().is_none_or(|latest| latest < epoch) && epoch >= 0 {
            // An epoch without a batch leaves no trace.
            self.0.retain(|_, start| *start < offset);
            self.0.insert(epoch, offset);
        }
    }

    pub(super) fn latest(&self) -> Option<i32> {
        self.0.last_key_value().map(|(epoch, _)| *epoch)
    }

    pub(super) fn end_offset(&self, epoch: i32, end_offset: i64) -> Option<(i32, i64)> {
        if epoch < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some((epoch, end_offset));
        }
        let (_, next_start) = self.0.range(epoch.checked_add(1)?..).next()?;
        let floor = self.0.range(..=epoch).next_back();
        Some((floor.map_or(epoch, |(floor, _)| *floor), *next_start))
    }

    pub(super) fn of(&self, offset: i64) -> Option<i32> {
        let entries = self.0.iter().rev();
        entries.clone().find(|(_, start)| **start <= offset).map(|(epoch, _)| *epoch)
    }

    pub(super) fn truncate_from_start(&mut self, offset: i64) {
        if let Some(epoch) = self.of(offset) {
            self.0.retain(|other, _| *other >= epoch);
            self.0.insert(epoch, offset);
        }
    }
}
