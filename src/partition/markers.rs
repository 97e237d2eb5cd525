//! What the coordinators append of transactions: markers, and records of offsets.

use crate::config::TimestampType;
use crate::log::AppendError;
use crate::records::{BatchBuilder, BatchHeader};
use crate::wire::ErrorCode;

use super::append::log_error_code;
use super::producers::{Producer, Producers, marker};
use super::{Appended, Guard, NotCommitted, Partition, ProducerError};

/// Ends a producer's transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionMarker {
    /// The producer's id.
    pub producer_id: i64,
    /// The epoch that is the producer's from now on.
    pub producer_epoch: i16,
    /// Epoch of the transaction's coordinator.
    pub coordinator_epoch: i32,
    /// With a commit, else with an abort.
    pub committed: bool,
    /// `transaction.version` of the transaction: from 2 on its epoch is above that of its records.
    pub transaction_version: i16,
}

impl TransactionMarker {
    /// False of the numbers that stand for none, of which no marker can be made (Kafka answers
    /// UNKNOWN_SERVER_ERROR).
    pub fn is_whole(&self) -> bool {
        self.producer_id != -1 && self.producer_epoch != -1 && self.transaction_version != -1
    }
}

/// Key and value of a marker's record (Kafka: `ControlRecordType`, `EndTransactionMarker`).
pub fn marker_record(committed: bool, coordinator_epoch: i32) -> ([u8; 4], [u8; 6]) {
    let [a, b, c, d] = coordinator_epoch.to_be_bytes();
    ([0, 0, 0, u8::from(committed)], [0, 0, a, b, c, d])
}

/// Whether a control record of this kind, the second number of its key, commits (true) or aborts;
/// None for other kinds.
pub fn marker_commits(kind: i16) -> Option<bool> {
    match kind {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// What a batch is that a coordinator is about to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Records of a transaction, and the guard if somebody had to be asked.
    Data(Option<Guard>),
    /// A marker.
    Marker {
        /// As [`TransactionMarker::transaction_version`].
        transaction_version: i16,
    },
}

/// Why a marker was not appended.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// It names no producer.
    #[error("the marker names no producer")]
    NoProducer,
    /// The producer or the coordinator has a newer epoch.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The partition stopped.
    #[error(transparent)]
    NotServing(#[from] NotCommitted),
}

impl MarkerError {
    /// The code for the transaction's coordinator.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::NoProducer => ErrorCode::UnknownServerError,
            Self::Producer(error) => error.error_code(),
            Self::Log(error) => log_error_code(error),
            Self::NotServing(reason) => reason.error_code(),
        }
    }
}

impl Producers {
    /// Whether a marker may be written (Kafka: `ProducerAppendInfo.checkProducerEpoch` and
    /// `checkCoordinatorEpoch`). From `transaction.version` 2 on its epoch is above that of the
    /// records; the same epoch with nothing open is a marker sent again.
    pub(super) fn check_marker(
        &self,
        header: &BatchHeader,
        coordinator_epoch: i32,
        transaction_version: i16,
    ) -> Result<(), ProducerError> {
        let unknown = Producer::default();
        let known = self.by_id.get(&header.producer_id).unwrap_or(&unknown);
        let (epoch, open) = (known.epoch, known.transaction_first_offset.is_some());
        // Where an epoch has no next one, Kafka lets the transaction end.
        let ends_late = header.producer_epoch == epoch && open && epoch != i16::MAX;
        if header.producer_epoch < epoch || (transaction_version >= 2 && ends_late) {
            return Err(ProducerError::InvalidEpoch);
        }
        if coordinator_epoch < known.coordinator_epoch {
            return Err(ProducerError::CoordinatorFenced);
        }
        Ok(())
    }
}

impl Partition {
    /// Ends a producer's transaction here. A marker is written also where none is open, as in
    /// Kafka: it fences the producer's older epochs.
    pub fn append_marker(&self, marker: &TransactionMarker) -> Result<Appended, MarkerError> {
        if !marker.is_whole() {
            return Err(MarkerError::NoProducer);
        }
        let now_ms = self.env.clock.now_ms();
        let is_append_time = self.config().message_timestamp_type == TimestampType::LogAppendTime;
        let mut producers = self.lock();
        self.check_serving()?;
        let mut builder = BatchBuilder::new(self.log.end_offset(), self.leader_epoch())
            .producer(marker.producer_id, marker.producer_epoch, -1)
            .transactional()
            .control();
        if is_append_time {
            builder = builder.log_append_time(now_ms);
        }
        let (key, value) = marker_record(marker.committed, marker.coordinator_epoch);
        builder.push(now_ms, Some(&key), Some(&value));
        let batch = builder.build();
        let header = BatchHeader::parse(&batch).expect("a batch just built");
        producers.check_marker(&header, marker.coordinator_epoch, marker.transaction_version)?;
        let commit = self.write(&mut producers, &header, &batch)?;
        drop(producers);
        Ok(self.accepted(&header, commit, -1))
    }

    /// Whether a coordinator's batch may be appended next, by [`Self::append_internal`] with the
    /// end of the log that its caller knows. What is no batch is left to that to refuse.
    pub fn admits(&self, batch: &[u8], admission: Admission) -> Result<(), ProducerError> {
        let Ok(header) = BatchHeader::parse(batch) else { return Ok(()) };
        let verifies = self.config().transaction_partition_verification;
        let producers = self.lock();
        match admission {
            Admission::Data(guard) => producers.check_transaction(&header, guard, verifies),
            Admission::Marker { transaction_version } => match marker(&header, batch) {
                Some(marker) => {
                    producers.check_marker(&header, marker.coordinator_epoch, transaction_version)
                }
                None => Ok(()),
            },
        }
    }
}
