//! What a partition remembers of its producers: idempotence and open transactions.
//!
//! The rules are those of Kafka's `ProducerStateManager`, `ProducerAppendInfo` and
//! `ProducerStateEntry`. [`Producers::check`] decides about a batch and changes nothing;
//! [`Producers::apply`] notes a batch that is in the log. A start replays the log through `apply`
//! (its [`Replay`] implementation), so replayed state equals live state, but for one thing: a
//! snapshot, being Kafka's file, keeps only the newest batch of each producer.

use std::collections::{BTreeMap, VecDeque};

use bytes::Buf;

use crate::log::{AbortedTransaction, Replay};
use crate::records::{BatchHeader, Records};

use super::compact::LastRecord;
use super::verification::Verifications;
use super::{Guard, marker_commits, snapshot};

/// Batches of each producer that are known again when they are sent again.
const BATCHES_RETAINED: usize = 5;
/// Time between two searches for expired producers (Kafka's default of
/// `producer.id.expiration.check.interval.ms`).
const EXPIRY_INTERVAL_MS: i64 = 600_000;
const NO_EPOCH: i16 = -1;
const NO_SEQUENCE: i32 = -1;

/// A batch that a producer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrittenBatch {
    pub(super) last_sequence: i32,
    pub(super) last_offset: i64,
    /// Last offset minus first offset, which is last sequence minus first sequence.
    pub(super) offset_delta: i32,
    pub(super) max_timestamp_ms: i64,
}

impl WrittenBatch {
    pub(super) fn first_offset(&self) -> i64 {
        self.last_offset.saturating_sub(i64::from(self.offset_delta))
    }

    /// Kafka's `DefaultRecordBatch.decrementSequence`.
    fn first_sequence(&self) -> i32 {
        if self.last_sequence < self.offset_delta {
            // 2^31 sequences; the subtraction cannot overflow in 64 bits.
            return (i64::from(self.last_sequence) - i64::from(self.offset_delta) + (1 << 31))
                as i32;
        }
        self.last_sequence - self.offset_delta
    }
}

/// One producer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    pub(super) coordinator_epoch: i32,
    pub(super) last_timestamp_ms: i64,
    pub(super) transaction_first_offset: Option<i64>,
    /// Oldest first, all of `epoch`.
    pub(super) batches: VecDeque<WrittenBatch>,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            epoch: NO_EPOCH,
            coordinator_epoch: -1,
            last_timestamp_ms: -1,
            transaction_first_offset: None,
            batches: VecDeque::new(),
        }
    }
}

impl Producer {
    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    fn duplicate(&self, header: &BatchHeader) -> Option<WrittenBatch> {
        let last = header.last_sequence();
        let same = |batch: &&WrittenBatch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == last
        };
        if header.producer_epoch != self.epoch {
            return None;
        }
        self.batches.iter().find(same).copied()
    }

    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.transaction_first_offset.is_none()
            && now_ms.saturating_sub(self.last_timestamp_ms) >= expiration_ms
    }
}

/// What a partition tells of one of its producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record of that epoch; -1 without one.
    pub last_sequence: i32,
    /// Time of its last record or marker in milliseconds.
    pub last_timestamp_ms: i64,
    /// Epoch of the coordinator that has ended its last transaction; -1 before that.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub transaction_first_offset: Option<i64>,
}

/// What to do with a client's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it.
    Append,
    /// It stands in the log already.
    Duplicate(WrittenBatch),
}

/// Why a batch is refused because of its producer or the coordinator of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// The first sequence does not follow the producer's last one.
    #[error("the batch's sequence does not follow the producer's last one")]
    OutOfOrderSequence,
    /// A newer incarnation of the producer has written.
    #[error("the producer's epoch is older than the newest in the log")]
    InvalidEpoch,
    /// A transactional batch while the producer has no transaction open here, and without a guard
    /// that is in force.
    #[error("the producer has no transaction open in this partition")]
    OutsideTransaction,
    /// A plain batch while the producer has a transaction open here.
    #[error("the producer has a transaction open; its batches must be transactional")]
    InsideTransaction,
    /// A marker of a coordinator that has been replaced.
    #[error("the coordinator's epoch is older than the newest in the log")]
    CoordinatorFenced,
}

/// All producers of one partition.
#[derive(Debug)]
pub(super) struct Producers {
    pub(super) by_id: BTreeMap<i64, Producer>,
    /// First offset of each open transaction, and its producer.
    open_transactions: BTreeMap<i64, i64>,
    pub(super) verifications: Verifications,
    next_expiry_ms: i64,
    /// When the log was opened, and how long a producer was remembered then: what had expired is not
    /// taken from a snapshot.
    opened_ms: i64,
    expiration_ms: i64,
}

impl Producers {
    pub(super) fn new(now_ms: i64, expiration_ms: i64) -> Self {
        Self {
            by_id: BTreeMap::new(),
            open_transactions: BTreeMap::new(),
            verifications: Verifications::default(),
            next_expiry_ms: now_ms.saturating_add(EXPIRY_INTERVAL_MS),
            opened_ms: now_ms,
            expiration_ms,
        }
    }

    /// Decides about a client's batch. Where transactions are verified, the first of one comes with
    /// a guard.
    pub(super) fn check(
        &self,
        header: &BatchHeader,
        guard: Option<Guard>,
        verifies: bool,
    ) -> Result<Verdict, ProducerError> {
        if !header.has_producer_id() {
            return Ok(Verdict::Append);
        }
        let known = self.by_id.get(&header.producer_id);
        if let Some(batch) = known.and_then(|producer| producer.duplicate(header)) {
            return Ok(Verdict::Duplicate(batch));
        }
        self.check_transaction(header, guard, verifies)?;
        let is_first = known.is_none_or(|producer| producer.batches.is_empty());
        if !(self.verifications.in_sequence(header, is_first) && in_sequence(known, header)) {
            return Err(ProducerError::OutOfOrderSequence);
        }
        let open = known.is_some_and(|producer| producer.transaction_first_offset.is_some());
        if open && !header.is_transactional() {
            return Err(ProducerError::InsideTransaction);
        }
        Ok(Verdict::Append)
    }

    /// Notes a batch of the log, with what [`marker`] says of it.
    pub(super) fn apply(&mut self, header: &BatchHeader, marker: Option<Marker>) {
        self.verifications.written(header);
        if let Some(marker) = marker {
            return self.end_transaction(header, marker);
        }
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        let producer = self.by_id.entry(header.producer_id).or_default();
        producer.set_epoch(header.producer_epoch);
        if producer.batches.len() == BATCHES_RETAINED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(WrittenBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            max_timestamp_ms: header.max_timestamp,
        });
        producer.last_timestamp_ms = header.max_timestamp;
        if header.is_transactional() && producer.transaction_first_offset.is_none() {
            producer.transaction_first_offset = Some(header.base_offset);
            self.open_transactions.insert(header.base_offset, header.producer_id);
        }
    }

    fn end_transaction(&mut self, header: &BatchHeader, marker: Marker) {
        let producer = self.by_id.entry(header.producer_id).or_default();
        producer.set_epoch(header.producer_epoch);
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp_ms = header.max_timestamp;
        if let Some(first_offset) = producer.transaction_first_offset.take() {
            self.open_transactions.remove(&first_offset);
        }
    }

    /// All of them, by their ids.
    pub(super) fn active(&self) -> impl Iterator<Item = ActiveProducer> {
        self.by_id.iter().map(|(id, producer)| ActiveProducer {
            producer_id: *id,
            producer_epoch: producer.epoch,
            last_sequence: producer.last_sequence(),
            last_timestamp_ms: producer.last_timestamp_ms,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_first_offset: producer.transaction_first_offset,
        })
    }

    /// The last that each of them wrote, by their ids.
    pub(super) fn last_records(&self) -> BTreeMap<i64, LastRecord> {
        let last = |(id, producer): (&i64, &Producer)| {
            let data_offset = producer.batches.back().map(|batch| batch.last_offset);
            (*id, LastRecord { data_offset, epoch: producer.epoch })
        };
        self.by_id.iter().map(last).collect()
    }

    /// First offset of the oldest open transaction.
    pub(super) fn first_open_transaction(&self) -> Option<i64> {
        self.open_transactions.first_key_value().map(|(first_offset, _)| *first_offset)
    }

    /// What [`Self::first_open_transaction`] will be after this batch.
    pub(super) fn first_open_transaction_after(
        &self,
        header: &BatchHeader,
        marker: Option<Marker>,
    ) -> Option<i64> {
        let ended = marker.map(|_| header.producer_id);
        let begins = header.is_transactional() && !header.is_control();
        let open = self.open_transactions.iter().find(|(_, producer)| Some(**producer) != ended);
        open.map(|(first_offset, _)| *first_offset).or(begins.then_some(header.base_offset))
    }

    /// The transaction that this batch aborts: none where the marker ends one that is empty here
    /// (Kafka: `ProducerAppendInfo.appendEndTxnMarker`, `ProducerStateManager.lastStableOffset`).
    pub(super) fn aborted(
        &self,
        header: &BatchHeader,
        marker: Option<Marker>,
    ) -> Option<AbortedTransaction> {
        marker.filter(|marker| marker.aborts)?;
        let first_offset = self.by_id.get(&header.producer_id)?.transaction_first_offset?;
        let last_stable_offset = self.first_open_transaction_after(header, marker);
        Some(AbortedTransaction {
            producer_id: header.producer_id,
            first_offset,
            last_offset: header.base_offset,
            last_stable_offset: last_stable_offset.unwrap_or(header.base_offset + 1),
        })
    }

    /// Forgets producers that have been silent for `expiration_ms` and have no transaction open;
    /// searches for them from time to time only.
    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        if now_ms >= self.next_expiry_ms {
            self.next_expiry_ms = now_ms.saturating_add(EXPIRY_INTERVAL_MS);
            self.by_id.retain(|_, producer| !producer.is_expired(now_ms, expiration_ms));
            self.verifications.expire(now_ms, expiration_ms);
        }
    }

    /// The bytes of a snapshot of this moment.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        snapshot::encode(&self.by_id)
    }
}

/// What ends a transaction (Kafka's `EndTransactionMarker`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Marker {
    pub(super) coordinator_epoch: i32,
    aborts: bool,
}

/// The marker in a control batch; None for any other batch, control or not.
pub(super) fn marker(header: &BatchHeader, batch: &[u8]) -> Option<Marker> {
    if !header.is_control() || !header.has_producer_id() {
        return None;
    }
    let mut records = Records::new(header, batch).ok()?;
    let record = records.next().ok()??;
    let (mut key, mut value) = (record.key?, record.value?);
    let (_key_version, kind) = (key.try_get_i16().ok()?, key.try_get_i16().ok()?);
    let (_value_version, coordinator_epoch) =
        (value.try_get_i16().ok()?, value.try_get_i32().ok()?);
    Some(Marker { coordinator_epoch, aborts: !marker_commits(kind)? })
}

/// Kafka's `ProducerAppendInfo.checkSequence`.
fn in_sequence(known: Option<&Producer>, header: &BatchHeader) -> bool {
    // No epoch is known where retention or DeleteRecords took all the producer wrote: any sequence.
    let Some(producer) = known.filter(|producer| producer.epoch != NO_EPOCH) else {
        return true;
    };
    let last = match producer.batches.back() {
        Some(batch) if header.producer_epoch == producer.epoch => batch.last_sequence,
        _ => NO_SEQUENCE,
    };
    header.base_sequence == last.wrapping_add(1) & i32::MAX
}

impl Replay for Producers {
    fn snapshot(&mut self, _offset: i64, bytes: &[u8]) -> bool {
        let Some(producers) = snapshot::decode(bytes) else {
            return false;
        };
        self.by_id = producers;
        let (now_ms, expiration_ms) = (self.opened_ms, self.expiration_ms);
        self.by_id.retain(|_, producer| !producer.is_expired(now_ms, expiration_ms));
        let open =
            |(id, producer): (&i64, &Producer)| Some((producer.transaction_first_offset?, *id));
        self.open_transactions = self.by_id.iter().filter_map(open).collect();
        true
    }

    fn batch(
        &mut self,
        header: &BatchHeader,
        control: Option<&[u8]>,
    ) -> Option<AbortedTransaction> {
        let marker = control.and_then(|batch| marker(header, batch));
        let aborted = self.aborted(header, marker);
        self.apply(header, marker);
        aborted
    }
}
