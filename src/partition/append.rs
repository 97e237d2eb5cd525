//! Appending: a client's batch, and the broker's own.
//!
//! A client's batch is validated with no lock held; the lock is then taken to check its sequence,
//! give it an offset and write it. The log has a failed append undone, and only what it has taken
//! is noted of the producer.

use std::borrow::Cow;

use crate::config::{self, TopicConfig};
use crate::log::{AppendError, BatchBytes, Commit, CommitObserver};
use crate::records::{
    self, BatchHeader, Compression, ProduceRecords, RecordRefusal, StoredCodec, TimestampType,
    Validated, ValidationConfig, set_base_offset, set_leader_epoch,
};
use crate::wire::ErrorCode;

use super::producers::{Producers, Verdict, WrittenBatch, marker};
use super::{Guard, NotCommitted, Partition, ProducerError};

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The broker's time given to the records, in milliseconds; -1 where they keep their own. Of a
    /// batch that was there already: its max timestamp.
    pub log_append_time_ms: i64,
    /// First offset of the log.
    pub log_start_offset: i64,
    /// The position whose commit makes the batch safe; see [`Partition::committed`].
    pub end_offset: i64,
}

/// Why a client's batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The bytes are no valid batch for this topic.
    #[error("{source}")]
    Invalid {
        /// What is wrong.
        source: records::ProduceError,
        /// First offset of the log.
        log_start_offset: i64,
    },
    /// The producer's epoch, sequence or transaction does not allow it.
    #[error("{source}")]
    Producer {
        /// What is wrong.
        source: ProducerError,
        /// First offset of the log.
        log_start_offset: i64,
    },
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The partition stopped.
    #[error(transparent)]
    NotServing(#[from] NotCommitted),
}

/// Why one of the broker's own batches was not appended.
#[derive(Debug, thiserror::Error)]
pub enum InternalAppendError {
    /// Someone else has appended.
    #[error("the log ends at {end_offset}, not at {expected}: load its state again")]
    UnexpectedEnd {
        /// Where the caller's state ends.
        expected: i64,
        /// Where the log ends.
        end_offset: i64,
    },
    /// The bytes are not one batch at the offset given.
    #[error("the bytes built are not one batch at offset {0}")]
    NotABatch(i64),
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The partition stopped.
    #[error(transparent)]
    NotServing(#[from] NotCommitted),
}

/// A partition's part of a Produce answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Error code.
    pub error: ErrorCode,
    /// Error message; Kafka sends one for invalid records only.
    pub message: Option<String>,
    /// The records that are wrong.
    pub record_errors: Vec<RecordRefusal>,
    /// First offset of the log where the log itself refused, -1 where the batch never came so far.
    pub log_start_offset: i64,
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self { error, message: None, record_errors: Vec::new(), log_start_offset: -1 }
    }
}

impl ProduceError {
    /// What the client is told (Kafka: `ReplicaManager.appendRecordsToLeader`).
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Invalid { source, log_start_offset } => Refusal {
                error: source.code(),
                message: source.error_message(),
                record_errors: source.record_errors().to_vec(),
                log_start_offset: if source.has_log_start_offset() {
                    *log_start_offset
                } else {
                    -1
                },
            },
            Self::Producer { source, log_start_offset } => {
                Refusal { log_start_offset: *log_start_offset, ..source.error_code().into() }
            }
            Self::Log(error) => log_error_code(error).into(),
            Self::NotServing(reason) => reason.error_code().into(),
        }
    }
}

impl ProduceError {
    /// True if Kafka refuses the whole request for this, every partition with the same answer.
    pub fn refuses_request(&self) -> bool {
        matches!(self, Self::Invalid { source, .. } if source.refuses_request())
    }
}

impl InternalAppendError {
    /// The code for a client that waits on this append.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnexpectedEnd { .. } => ErrorCode::NotLeaderOrFollower,
            Self::NotABatch(_) => ErrorCode::UnknownServerError,
            Self::Log(error) => log_error_code(error),
            Self::NotServing(reason) => reason.error_code(),
        }
    }
}

impl NotCommitted {
    /// The code that a client gets.
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::Stopped => ErrorCode::NotLeaderOrFollower,
            Self::Offline => ErrorCode::KafkaStorageError,
        }
    }
}

impl ProducerError {
    /// The code that a client or a transaction's coordinator gets.
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidEpoch => ErrorCode::InvalidProducerEpoch,
            Self::OutsideTransaction | Self::InsideTransaction => ErrorCode::InvalidTxnState,
            Self::CoordinatorFenced => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

pub(super) fn log_error_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::NoSpace(_) | AppendError::Offline(_) => ErrorCode::KafkaStorageError,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
    }
}

impl Partition {
    /// Appends what a client sent for this partition in a Produce request of `produce_version`,
    /// with the guard that [`Self::begin_verification`] gave, if any.
    ///
    /// The batch is accepted, in order, when this returns; it is safe when [`Self::committed`]
    /// resolves for `end_offset`.
    pub fn append(
        &self,
        records: &[u8],
        produce_version: i16,
        guard: Option<Guard>,
    ) -> Result<Appended, ProduceError> {
        let now_ms = self.env.clock.now_ms();
        let log_start_offset = self.log.start_offset();
        let config = self.config();
        let invalid = |source| ProduceError::Invalid { source, log_start_offset };
        let validated =
            self.validate(&config, records, now_ms, produce_version).map_err(invalid)?;
        let batch = in_order(&config, records, &validated).map_err(invalid)?;
        let mut header = validated.header;
        header.max_timestamp = validated.max_timestamp_ms;

        let mut producers = self.lock();
        self.check_serving()?;
        producers.expire(now_ms, config.producer_id_expiration_ms);
        match producers.check(&header, guard, config.transaction_partition_verification) {
            Ok(Verdict::Append) => {}
            Ok(Verdict::Duplicate(written)) => return Ok(duplicate(&written, log_start_offset)),
            Err(source) => {
                return Err(ProduceError::Producer { source, log_start_offset });
            }
        }
        header.base_offset = self.log.end_offset();
        let commit = self.write(&mut producers, &header, &batch)?;
        drop(producers);
        Ok(self.accepted(&header, commit, validated.log_append_time_ms()))
    }

    /// Appends one batch of the broker's own, built for the base offset it is given. Nothing of it
    /// is checked but its form; `expected_end` refuses it if the log ends elsewhere.
    pub fn append_internal(
        &self,
        expected_end: Option<i64>,
        build: impl FnOnce(i64) -> Vec<u8>,
    ) -> Result<Appended, InternalAppendError> {
        let mut producers = self.lock();
        self.check_serving()?;
        let end_offset = self.log.end_offset();
        if let Some(expected) = expected_end.filter(|expected| *expected != end_offset) {
            return Err(InternalAppendError::UnexpectedEnd { expected, end_offset });
        }
        let batch = build(end_offset);
        let header = BatchHeader::parse(&batch).ok().filter(|header| {
            header.base_offset == end_offset && header.size_bytes() == batch.len()
        });
        let header = header.ok_or(InternalAppendError::NotABatch(end_offset))?;
        let commit = self.write(&mut producers, &header, &batch)?;
        drop(producers);
        Ok(self.accepted(&header, commit, -1))
    }

    fn validate(
        &self,
        config: &TopicConfig,
        bytes: &[u8],
        now_ms: i64,
        produce_version: i16,
    ) -> Result<Validated, records::ProduceError> {
        ProduceRecords {
            bytes,
            topic: &self.id().topic,
            partition: self.id().partition,
            config: &validation_config(config),
            now_ms,
            produce_version,
        }
        .validate()
    }

    /// Writes a batch at the end of the log and notes what it says of its producer. `header` is
    /// the batch's, with the base offset it is to get.
    pub(super) fn write(
        &self,
        producers: &mut Producers,
        header: &BatchHeader,
        batch: &[u8],
    ) -> Result<Commit, AppendError> {
        let (first, records) = batch.split_first_chunk().expect("a parsed batch has a header");
        let mut stored = BatchBytes { header: *first, records };
        set_base_offset(&mut stored.header, header.base_offset);
        set_leader_epoch(&mut stored.header, self.leader_epoch());
        let marker = marker(header, batch);
        let undecided = producers.first_open_transaction_after(header, marker);
        let aborted = producers.aborted(header, marker);
        self.progress.offered(end_offset(header), undecided, batch.len() as u64);
        let mut has_rolled = false;
        let mut snapshot = || {
            has_rolled = true;
            producers.snapshot()
        };
        match self.log.append(stored, aborted, &mut snapshot) {
            Ok(commit) => {
                producers.apply(header, marker);
                if has_rolled {
                    self.tell_cleaner();
                }
                Ok(commit)
            }
            Err(error) => {
                self.progress.refused();
                Err(error)
            }
        }
    }

    pub(super) fn accepted(
        &self,
        header: &BatchHeader,
        commit: Commit,
        log_append_time_ms: i64,
    ) -> Appended {
        let end_offset = end_offset(header);
        if commit == Commit::Done {
            self.progress.committed(end_offset);
        }
        Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time_ms,
            log_start_offset: self.log.start_offset(),
            end_offset,
        }
    }
}

fn duplicate(written: &WrittenBatch, log_start_offset: i64) -> Appended {
    Appended {
        base_offset: written.first_offset(),
        last_offset: written.last_offset,
        log_append_time_ms: written.max_timestamp_ms,
        log_start_offset,
        end_offset: written.last_offset.saturating_add(1),
    }
}

/// The batch as it has to be stored: as it came, but where the topic's codec, its timestamp type or
/// a wrong max timestamp makes the broker rewrite it.
fn in_order<'a>(
    config: &TopicConfig,
    records: &'a [u8],
    validated: &Validated,
) -> Result<Cow<'a, [u8]>, records::ProduceError> {
    let header = &validated.header;
    let mut batch = Cow::Borrowed(&records[..header.size_bytes()]);
    if let Some(codec) = stored_codec(config).filter(|codec| codec.differs(header)) {
        batch = Cow::Owned(codec.rewrite(header, &batch)?);
        let (size_bytes, max_message_bytes) = (batch.len(), max_message_bytes(config));
        if size_bytes as i64 > i64::from(max_message_bytes) {
            return Err(records::ProduceError::TooLarge { size_bytes, max_message_bytes });
        }
    }
    if validated.must_change() {
        validated.apply(batch.to_mut());
    }
    Ok(batch)
}

/// None where batches stay as they come (`producer`).
fn stored_codec(config: &TopicConfig) -> Option<StoredCodec> {
    let name = match config.compression_type.as_str() {
        "uncompressed" => Compression::None.name(),
        name => name,
    };
    let compression = Compression::ALL.into_iter().find(|codec| codec.name() == name)?;
    Some(StoredCodec { compression, level: config.compression_level })
}

fn max_message_bytes(config: &TopicConfig) -> i32 {
    i32::try_from(config.max_message_bytes).unwrap_or(i32::MAX)
}

fn end_offset(header: &BatchHeader) -> i64 {
    header.last_offset().saturating_add(1)
}

fn validation_config(config: &TopicConfig) -> ValidationConfig {
    ValidationConfig {
        max_message_bytes: max_message_bytes(config),
        timestamp_type: match config.message_timestamp_type {
            config::TimestampType::CreateTime => TimestampType::CreateTime,
            config::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        before_max_ms: config.message_timestamp_before_max_ms,
        after_max_ms: config.message_timestamp_after_max_ms,
        compacted: config.compact,
    }
}
