//! Deleting the oldest records because a client wants it (KIP-107).

use crate::config::TopicConfig;
use crate::log::AppendError;
use crate::wire::ErrorCode;

use super::append::log_error_code;
use super::{NotCommitted, Partition};

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Why records were not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The topic is compacted and nothing else.
    #[error("cleanup.policy does not have delete")]
    Compacted,
    /// There is no such offset below the high watermark.
    #[error("offset {0} is negative or above the high watermark")]
    OffsetOutOfRange(i64),
    /// The log did not do it.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The partition stopped.
    #[error(transparent)]
    NotServing(#[from] NotCommitted),
}

impl DeleteError {
    /// The code that a client gets.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Compacted => ErrorCode::PolicyViolation,
            Self::OffsetOutOfRange(_) => ErrorCode::OffsetOutOfRange,
            Self::Log(error) => log_error_code(error),
            Self::NotServing(reason) => reason.error_code(),
        }
    }
}

impl Partition {
    /// Deletes the records below `offset` (-1 for all that are committed), durably; the first offset
    /// afterwards (Kafka: `Partition.deleteRecordsOnLeader`). Blocks.
    pub fn delete_records(&self, offset: i64) -> Result<i64, DeleteError> {
        self.check_serving()?;
        let TopicConfig { compact, delete, .. } = *self.config();
        if compact && !delete {
            return Err(DeleteError::Compacted);
        }
        let high_watermark = self.bounds().high_watermark;
        let offset = if offset == HIGH_WATERMARK { high_watermark } else { offset };
        if !(0..=high_watermark).contains(&offset) {
            return Err(DeleteError::OffsetOutOfRange(offset));
        }
        self.delete_before(offset)?;
        Ok(self.bounds().log_start_offset)
    }
}
