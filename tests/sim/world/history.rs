//! What was accepted and promised, and what a log shows.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use ottla::env::read_all;
use ottla::log::{
    AbortedTransaction, AppendError, BatchBytes, Commit, CommitObserver, Engine, Log, LogConfig,
    LogId, MemoryEngine, ReadError, Replay,
};
use ottla::records::BatchHeader;
use ottla::wire::Chunk;
use uuid::Uuid;

use super::config;
use crate::test_batch::{TestBatch, aborted_by, split_batches};

#[derive(Default)]
pub(super) struct Observer {
    pub(super) committed: AtomicI64,
    pub(super) failed: AtomicBool,
}

impl CommitObserver for Observer {
    fn committed(&self, end_offset: i64) {
        let before = self.committed.swap(end_offset, Ordering::SeqCst);
        assert!(before <= end_offset, "commits went back from {before} to {end_offset}");
        assert!(!self.failed.load(Ordering::SeqCst), "a commit after the failure");
    }

    fn failed(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }
}

/// What was accepted and what of it was promised.
#[derive(Default)]
pub(super) struct History {
    pub(super) batches: Vec<TestBatch>,
    /// Epochs and the offsets where they began.
    pub(super) epochs: Vec<(i32, i64)>,
    /// The batch whose append ended in "offline": it may be there or not.
    pub(super) in_doubt: Option<TestBatch>,
    /// The epoch whose beginning failed.
    pub(super) epoch_in_doubt: Option<i32>,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    /// Where the log began, or began anew when a crash had left nothing.
    pub(super) begun_at: i64,
    /// A loss of power leaves the end at or above this.
    pub(super) durable_end: i64,
    /// A loss of power leaves the start at or above this.
    pub(super) durable_start: i64,
    /// A crash leaves the start at or below this.
    pub(super) start_in_doubt: i64,
}

#[derive(Default)]
pub(super) struct Replayed {
    pub(super) snapshot: Option<(i64, Vec<u8>)>,
    pub(super) batches: Vec<(i64, i64)>,
    pub(super) controls: Vec<Vec<u8>>,
}

impl Replay for Replayed {
    fn snapshot(&mut self, offset: i64, bytes: &[u8]) -> bool {
        let usable = bytes.len() == 16 && bytes[8..] == digest(&bytes[..8]).to_be_bytes();
        if usable {
            *self = Self { snapshot: Some((offset, bytes.to_vec())), ..Self::default() };
        }
        usable
    }

    fn batch(
        &mut self,
        header: &BatchHeader,
        control: Option<&[u8]>,
    ) -> Option<AbortedTransaction> {
        self.batches.push((header.base_offset, header.last_offset() + 1));
        assert_eq!(header.is_control(), control.is_some());
        self.controls.extend(control.map(<[u8]>::to_vec));
        listed(aborted_by(header.is_control(), header.producer_id, header.base_offset))
    }
}

fn listed(fields: Option<[i64; 4]>) -> Option<AbortedTransaction> {
    let [producer_id, first_offset, last_offset, last_stable_offset] = fields?;
    Some(AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset })
}

pub(super) fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl History {
    /// What the owner of the log would keep beside a segment that begins at `offset`.
    pub(super) fn snapshot_at(&self, offset: i64) -> Vec<u8> {
        let mut state = DefaultHasher::new();
        for batch in self.batches.iter().take_while(|batch| batch.end_offset() <= offset) {
            (batch.base_offset, batch.count, &batch.payload).hash(&mut state);
        }
        let state = state.finish().to_be_bytes();
        [state, digest(&state[..]).to_be_bytes()].concat()
    }

    pub(super) fn latest_epoch(&self) -> Option<i32> {
        self.epochs.last().map(|(epoch, _)| *epoch)
    }

    /// An epoch without a batch leaves no trace.
    pub(super) fn begin_epoch(&mut self, epoch: i32, offset: i64) {
        self.epochs.retain(|(_, start)| *start < offset);
        self.epochs.push((epoch, offset));
    }

    pub(super) fn push(&mut self, batch: TestBatch) {
        self.end_offset = batch.end_offset();
        self.batches.push(batch);
    }

    /// Where the file of epochs is lost, batches tell of them, and an epoch begins with its first
    /// batch although it began at the end of a gap's other side.
    pub(super) fn move_epochs_over_gaps(&mut self, log: &dyn Log) {
        for (epoch, start) in &mut self.epochs {
            let mut bases = self.batches.iter().map(|batch| batch.base_offset);
            if let Some(base) = bases.find(|base| base >= start)
                && *start >= log.start_offset()
                && log.epoch_of(*start) != Some(*epoch)
            {
                *start = base;
            }
        }
    }

    /// The aborted transactions that overlap a read.
    fn aborted(&self, from: i64, end: i64) -> Vec<AbortedTransaction> {
        let all = self.batches.iter().filter_map(|batch| listed(batch.aborts()));
        let overlaps = |one: &AbortedTransaction| one.last_offset >= from && one.first_offset < end;
        all.filter(overlaps).collect()
    }

    /// Reads everything as a reader of committed records and compares what that is told.
    pub(super) async fn check_aborted(&self, log: &dyn Log) {
        let mut from = log.start_offset();
        while from < log.end_offset() {
            let read = log.read_committed(from, log.end_offset(), 1_000).await.unwrap();
            let Some((_, end, _)) = split_batches(&chunk_bytes(&read.chunk)).pop() else {
                break;
            };
            // What begins later may be told, too.
            let told: Vec<_> =
                read.aborted.into_iter().filter(|one| one.first_offset < end).collect();
            assert_eq!(told, self.aborted(from, end), "aborted transactions of {from}..{end}");
            from = end;
        }
    }

    /// Forgets what lies at or above `end_offset`.
    pub(super) fn truncate(&mut self, end_offset: i64) {
        self.batches.retain(|batch| batch.end_offset() <= end_offset);
        self.epochs.retain(|(_, start)| *start < end_offset);
        self.end_offset = end_offset;
    }
}

pub(super) async fn memory_log() -> Arc<dyn Log> {
    let unlimited = LogConfig { segment_bytes: u64::MAX, ..config(1) };
    let id = LogId { topic: "model".into(), topic_id: Uuid::nil(), partition: 0 };
    let observer = Arc::new(Observer::default());
    let engine = MemoryEngine::default();
    engine.open(&id, unlimited, observer, &mut Replayed::default()).await.unwrap()
}

/// Moves the end of a log in memory without noting an epoch.
pub(super) fn skip_to(model: &dyn Log, offset: i64) {
    let end = model.end_offset();
    if end < offset {
        let gap =
            TestBatch { epoch: -1, ..TestBatch::new(end, i32::try_from(offset - end).unwrap(), 0) };
        append(model, &gap, &[]).unwrap();
    }
}

/// Everything a log has, batch by batch.
pub(super) async fn content(log: &dyn Log) -> Result<Vec<(i64, i64, Vec<u8>)>, ReadError> {
    let (mut from, until) = (log.start_offset(), log.end_offset());
    let mut batches = Vec::new();
    while from < until {
        let read = log.read(from, until, 1 << 16).await;
        let part = split_batches(&chunk_bytes(&read?.chunk));
        let Some((_, next, _)) = part.last() else {
            break;
        };
        assert!(*next > from, "a read from {from} leads back to {next}");
        from = *next;
        batches.extend(part);
    }
    Ok(batches)
}

pub(super) fn chunk_bytes(chunk: &Chunk) -> Vec<u8> {
    match chunk {
        Chunk::Bytes(bytes) => bytes.to_vec(),
        Chunk::File { file, position, length } => {
            let mut bytes = vec![0; *length];
            let read = read_all(&**file, &mut bytes, *position).expect("an open file is readable");
            assert_eq!(read, *length, "a chunk promises only bytes that are there");
            bytes
        }
    }
}

pub(super) fn append(
    log: &dyn Log,
    batch: &TestBatch,
    snapshot: &[u8],
) -> Result<Commit, AppendError> {
    let bytes = BatchBytes { header: batch.header(), records: &batch.payload };
    log.append(bytes, listed(batch.aborts()), &mut || snapshot.to_vec())
}
