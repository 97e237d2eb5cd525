//! What a broker checks of the records in a produce request before it takes a partition's lock.
//!
//! The order of the checks decides which error a client sees; it is the one of `ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator`. Codes and messages are those Apache Kafka 4.3.0 sends.
//! Stricter than Kafka in three places, where Kafka stores what consumers misread: offset deltas must count up from 0,
//! compressed records must be as long as they say, and a batch may not inflate without limit.

use thiserror::Error;

use super::batch::next_batch;
use super::{
    BatchError, BatchHeader, Compression, RecordError, RecordFacts, Records, TimestampType,
    set_max_timestamp,
};
use crate::wire::ErrorCode;

/// How many refused records are named at most; the others are only counted.
pub const RECORD_REFUSALS_MAX: usize = 1_000;

/// The topic's configuration, as far as it concerns validation.
#[derive(Clone, Copy, Debug)]
pub struct ValidationConfig {
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: i32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub after_max_ms: i64,
    /// Whether `cleanup.policy` contains `compact`, so that every record needs a key.
    pub compacted: bool,
}

impl Default for ValidationConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            before_max_ms: i64::MAX,
            after_max_ms: 3_600_000,
            compacted: false,
        }
    }
}

/// The records a producer sent to one partition, with what is needed to judge them.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRecords<'a> {
    /// The records field of the request; an absent one counts as empty.
    pub bytes: &'a [u8],
    /// The topic's name, for messages.
    pub topic: &'a str,
    /// The partition, for messages.
    pub partition: i32,
    /// The topic's configuration.
    pub config: &'a ValidationConfig,
    /// The time of the append, ms.
    pub now_ms: i64,
    /// Version of the produce request.
    pub produce_version: i16,
}

/// A batch that may be appended once offset, epoch and sequence are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The header as the producer sent it. The batch is the first `header.size_bytes()` bytes; more may follow it.
    pub header: BatchHeader,
    /// The timestamp type the batch has to have.
    pub timestamp_type: TimestampType,
    /// The maximum timestamp the batch has to have, ms; it counts for the batch's last offset.
    pub max_timestamp_ms: i64,
}

impl Validated {
    /// Whether [`Validated::apply`] changes bytes under the CRC.
    pub fn must_change(&self) -> bool {
        self.header.timestamp_type() != self.timestamp_type
            || self.header.max_timestamp != self.max_timestamp_ms
    }

    /// Brings timestamp type and maximum timestamp of `batch` (exactly this batch) into order.
    pub fn apply(&self, batch: &mut [u8]) {
        set_max_timestamp(batch, self.timestamp_type, self.max_timestamp_ms);
    }

    /// The `log_append_time_ms` of the answer: -1 under `CreateTime`.
    pub fn log_append_time_ms(&self) -> i64 {
        match self.timestamp_type {
            TimestampType::CreateTime => -1,
            TimestampType::LogAppendTime => self.max_timestamp_ms,
        }
    }
}

/// One record of a refused batch, for the `record_errors` of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRefusal {
    /// Which record of the batch, from 0.
    pub batch_index: i32,
    /// Why, in Kafka's words.
    pub message: String,
}

/// Why the records of a produce request are refused.
#[derive(Debug, Error)]
pub enum ProduceError {
    /// The first bytes are no batch of any format: Kafka then refuses every partition of the request.
    #[error("{0}")]
    Unreadable(BatchError),
    /// No complete batch.
    #[error("a produce request needs a record batch for each partition")]
    NoBatch,
    /// Message format 0 or 1.
    #[error("message format {0} is not accepted, only 2")]
    OldMagic(i8),
    /// Zstandard in a request version that old clients share.
    #[error("zstd needs produce version 7")]
    ZstdTooEarly,
    /// A second batch follows the first.
    #[error("a produce request may have only one record batch for each partition")]
    MoreThanOneBatch,
    /// What follows the batch is no batch.
    #[error("bytes after the record batch are corrupt: {0}")]
    CorruptTail(BatchError),
    /// The base offset is not 0.
    #[error("the base offset of a produced batch must be 0, not {0}")]
    BaseOffset(i64),
    /// The batch is larger than `max.message.bytes`.
    #[error("a batch of {size_bytes} bytes exceeds max.message.bytes = {max_message_bytes}")]
    TooLarge {
        /// Size of the batch.
        size_bytes: usize,
        /// The topic's limit.
        max_message_bytes: i32,
    },
    /// The header is cut short or the CRC is wrong.
    #[error("the record batch is corrupt")]
    Corrupt,
    /// A codec that does not exist.
    #[error("unknown compression in attributes {attributes:#x}")]
    UnknownCompression {
        /// The batch's attributes.
        attributes: i16,
        /// Whether it was noticed before the log was reached.
        before_log: bool,
    },
    /// Record count and last offset delta contradict each other or are not positive.
    #[error("record count {record_count} does not go with last offset delta {last_offset_delta}")]
    OffsetRange {
        /// Record count of the header.
        record_count: i32,
        /// Last offset delta of the header.
        last_offset_delta: i32,
    },
    /// A client sent control records.
    #[error("clients may not write control records")]
    ControlBatch,
    /// A producer id without sequence.
    #[error("producer {producer_id} sent the invalid sequence {base_sequence}")]
    InvalidSequence {
        /// The batch's producer id.
        producer_id: i64,
        /// The batch's first sequence.
        base_sequence: i32,
    },
    /// The records cannot be read.
    #[error(transparent)]
    Unparsable(#[from] RecordError),
    /// A record's offset is not the next one; nothing after it is looked at.
    #[error("record {index} of the batch has offset delta {offset_delta}")]
    OffsetDelta {
        /// Which record, from 0.
        index: i32,
        /// Its offset delta, which had to be the same.
        offset_delta: i32,
    },
    /// Records break the topic's rules.
    #[error("{total} records are refused")]
    Refused {
        /// How many records.
        total: usize,
        /// Whether any of them is refused for its timestamp.
        timestamp: bool,
        /// The first [`RECORD_REFUSALS_MAX`] of them.
        refusals: Vec<RecordRefusal>,
    },
}

impl ProduceError {
    /// The code on the wire.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable(_) | Self::CorruptTail(_) | Self::Corrupt => ErrorCode::CorruptMessage,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            // Kafka fails on these by accident, with what is left for unexpected exceptions.
            Self::UnknownCompression { .. }
            | Self::Unparsable(RecordError::Decompress(_) | RecordError::UnknownCompression(_)) => {
                ErrorCode::UnknownServerError
            }
            Self::Refused { timestamp: true, .. } => ErrorCode::InvalidTimestamp,
            Self::Refused { timestamp: false, .. }
            | Self::NoBatch
            | Self::OldMagic(_)
            | Self::MoreThanOneBatch
            | Self::BaseOffset(_)
            | Self::OffsetRange { .. }
            | Self::ControlBatch
            | Self::InvalidSequence { .. }
            | Self::OffsetDelta { .. }
            | Self::Unparsable(_) => ErrorCode::InvalidRecord,
        }
    }

    /// Whether the answer carries the partition's log start offset; otherwise -1.
    pub fn has_log_start_offset(&self) -> bool {
        match self {
            Self::Unreadable(_)
            | Self::NoBatch
            | Self::OldMagic(_)
            | Self::ZstdTooEarly
            | Self::MoreThanOneBatch
            | Self::CorruptTail(_)
            | Self::TooLarge { .. }
            | Self::Corrupt
            | Self::UnknownCompression { before_log: true, .. } => false,
            Self::UnknownCompression { before_log: false, .. }
            | Self::BaseOffset(_)
            | Self::OffsetRange { .. }
            | Self::ControlBatch
            | Self::InvalidSequence { .. }
            | Self::OffsetDelta { .. }
            | Self::Unparsable(_)
            | Self::Refused { .. } => true,
        }
    }

    /// Whether Kafka refuses the whole request, every partition with this code and message.
    pub fn refuses_request(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }

    /// The `error_message` of the answer (version 8 and later), null for most errors as in Kafka.
    pub fn error_message(&self) -> Option<String> {
        match self {
            Self::Unreadable(error) => Some(error.to_string()),
            Self::Refused { timestamp: true, .. } => {
                Some("One or more records have been rejected due to invalid timestamp".into())
            }
            Self::Refused { total, refusals, .. } => {
                let shown: Vec<_> = refusals
                    .iter()
                    .take(3)
                    .map(|refusal| {
                        let RecordRefusal { batch_index, message } = refusal;
                        format!("RecordError(batchIndex={batch_index}, message='{message}')")
                    })
                    .collect();
                Some(format!(
                    "One or more records have been rejected due to {total} record errors in total, \
                     and only showing the first three errors at most: [{}]",
                    shown.join(", ")
                ))
            }
            _ => None,
        }
    }

    /// The `record_errors` of the answer (version 8 and later).
    pub fn record_errors(&self) -> &[RecordRefusal] {
        match self {
            Self::Refused { refusals, .. } => refusals,
            _ => &[],
        }
    }
}

impl ProduceRecords<'_> {
    /// Judges the records. Compressed ones are inflated up to a limit, which may take long: keep it off latency-bound
    /// threads when the batch is large.
    pub fn validate(&self) -> Result<Validated, ProduceError> {
        let batch = self.only_batch()?;
        let header = self.check_header(batch)?;
        let mut walk = Walk { request: self, header: &header, max_timestamp_ms: -1, refused: None };
        let mut records = Records::new(&header, batch)?;
        let mut index = 0;
        while let Some(record) = records.next_facts()? {
            if record.offset_delta != index {
                let offset_delta = record.offset_delta;
                return Err(ProduceError::OffsetDelta { index, offset_delta });
            }
            walk.record(index, &record);
            index += 1;
        }
        if let Some(error) = walk.refused {
            return Err(error);
        }
        let max_timestamp_ms = match self.config.timestamp_type {
            TimestampType::CreateTime => walk.max_timestamp_ms,
            TimestampType::LogAppendTime => self.now_ms,
        };
        Ok(Validated { header, timestamp_type: self.config.timestamp_type, max_timestamp_ms })
    }

    /// The one batch of the request, framing only (`ProduceRequest.validateRecords`). An incomplete second batch is
    /// no batch and is cut off, as in Kafka.
    fn only_batch(&self) -> Result<&[u8], ProduceError> {
        let first = next_batch(self.bytes).map_err(ProduceError::Unreadable)?;
        let (batch, magic) = first.ok_or(ProduceError::NoBatch)?;
        if magic != 2 {
            return Err(ProduceError::OldMagic(magic));
        }
        if self.produce_version < 7
            && let Ok(header) = BatchHeader::parse(batch)
        {
            match header.compression() {
                Some(Compression::Zstd) => return Err(ProduceError::ZstdTooEarly),
                Some(_) => {}
                None => return Err(unknown_compression(&header, true)),
            }
        }
        match next_batch(&self.bytes[batch.len()..]) {
            Ok(None) => Ok(batch),
            Ok(Some(_)) => Err(ProduceError::MoreThanOneBatch),
            Err(error) => Err(ProduceError::CorruptTail(error)),
        }
    }

    fn check_header(&self, batch: &[u8]) -> Result<BatchHeader, ProduceError> {
        let header = BatchHeader::parse(batch).map_err(|_| ProduceError::Corrupt)?;
        if header.base_offset != 0 {
            return Err(ProduceError::BaseOffset(header.base_offset));
        }
        let max_message_bytes = self.config.max_message_bytes;
        if i64::from(max_message_bytes) < batch.len() as i64 {
            return Err(ProduceError::TooLarge { size_bytes: batch.len(), max_message_bytes });
        }
        if !header.verify_crc(batch) {
            return Err(ProduceError::Corrupt);
        }
        if header.compression().is_none() {
            return Err(unknown_compression(&header, false));
        }
        let BatchHeader { record_count, last_offset_delta, base_sequence, producer_id, .. } =
            header;
        if record_count <= 0 || i64::from(last_offset_delta) + 1 != i64::from(record_count) {
            return Err(ProduceError::OffsetRange { record_count, last_offset_delta });
        }
        if header.is_control() {
            return Err(ProduceError::ControlBatch);
        }
        if header.has_producer_id() && base_sequence < 0 {
            return Err(ProduceError::InvalidSequence { producer_id, base_sequence });
        }
        Ok(header)
    }
}

fn unknown_compression(header: &BatchHeader, before_log: bool) -> ProduceError {
    ProduceError::UnknownCompression { attributes: header.attributes, before_log }
}

/// The state of the walk over a batch's records.
struct Walk<'a> {
    request: &'a ProduceRecords<'a>,
    header: &'a BatchHeader,
    max_timestamp_ms: i64,
    refused: Option<ProduceError>,
}

impl Walk<'_> {
    fn record(&mut self, index: i32, record: &RecordFacts) {
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        let ProduceRecords { topic, partition, config, .. } = *self.request;
        if config.compacted && record.key_bytes < 0 {
            self.refuse(index, false, || {
                format!(
                    "Compacted topic cannot accept message without key in topic partition {topic}-{partition}"
                )
            });
        } else {
            self.timestamp(index, record);
        }
    }

    /// `LogValidator.validateTimestamp`; the differences wrap, as Java's do.
    fn timestamp(&mut self, index: i32, record: &RecordFacts) {
        let ProduceRecords { config, now_ms, .. } = *self.request;
        let RecordFacts { timestamp_ms, offset_delta, .. } = *record;
        if config.timestamp_type == TimestampType::CreateTime && timestamp_ms != -1 {
            let age_ms = now_ms.wrapping_sub(timestamp_ms);
            if age_ms > config.before_max_ms || age_ms.wrapping_neg() > config.after_max_ms {
                self.refuse(index, true, || {
                    let earliest_ms = now_ms.wrapping_sub(config.before_max_ms);
                    let latest_ms = now_ms.wrapping_add(config.after_max_ms);
                    format!(
                        "Timestamp {timestamp_ms} of message with offset {offset_delta} is out of range. \
                         The timestamp should be within [{earliest_ms}, {latest_ms}]"
                    )
                });
            }
        } else if self.header.timestamp_type() == TimestampType::LogAppendTime {
            let compressed = self.header.compression() != Some(Compression::None);
            self.refuse(index, true, || {
                // Kafka prints its own record classes here.
                let (class, null) = if compressed { ("PartialDefaultRecord", -1) } else { ("DefaultRecord", 0) };
                format!(
                    "Invalid timestamp type in message {class}(offset={offset_delta}, timestamp={timestamp_ms}, \
                     key={} bytes, value={} bytes). Producer should not set timestamp type to LogAppendTime.",
                    record.key_bytes.max(null),
                    record.value_bytes.max(null)
                )
            });
        }
    }

    fn refuse(&mut self, index: i32, timestamp: bool, message: impl FnOnce() -> String) {
        let refused = self.refused.get_or_insert(ProduceError::Refused {
            total: 0,
            timestamp: false,
            refusals: Vec::new(),
        });
        if let ProduceError::Refused { total, timestamp: any_timestamp, refusals } = refused {
            *total += 1;
            *any_timestamp |= timestamp;
            if refusals.len() < RECORD_REFUSALS_MAX {
                refusals.push(RecordRefusal { batch_index: index, message: message() });
            }
        }
    }
}

#[cfg(test)]
mod tests;
