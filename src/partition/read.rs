//! Reading: fetches, and the leader epochs that guard them (KIP-101, KIP-320, KIP-595).

use std::cmp::Ordering;
use std::io;

use bytes::Bytes;

use crate::log::{AbortedTransaction, ReadError};
use crate::wire::{Chunk, ErrorCode};

use super::{Bounds, NotCommitted, Partition};

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
    /// Everything accepted: for the broker itself, and for replicas.
    LogEnd,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct ReadOutcome {
    /// Batches, the first whole and holding the offset asked for; the last may be cut. Empty at
    /// the reader's limit.
    pub chunk: Chunk,
    /// For a reader of committed records the aborted transactions that overlap what was read, by
    /// the offsets of their markers; None for any other reader.
    pub aborted: Option<Vec<AbortedTransaction>>,
    /// The partition's bounds just before the read.
    pub bounds: Bounds,
}

/// Why a read or a look-up was refused.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The offset is below the log start or above the log end, or nothing is known of the epoch
    /// that was fetched last.
    #[error("offset {offset} is outside {}..={}", bounds.log_start_offset, bounds.end_offset)]
    OffsetOutOfRange {
        /// Offset asked for.
        offset: i64,
        /// What there is.
        bounds: Bounds,
    },
    /// No such special time.
    #[error("{0} is not one of the special timestamps -6..=-1")]
    UnknownTimestamp(i64),
    /// The partition stopped.
    #[error(transparent)]
    NotServing(#[from] NotCommitted),
    /// The storage failed.
    #[error("reading the log: {0}")]
    Io(#[from] io::Error),
}

impl FetchError {
    /// The code that a client gets.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::UnknownTimestamp(_) => ErrorCode::UnsupportedVersion,
            Self::NotServing(reason) => reason.error_code(),
            Self::Io(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Partition {
    /// Reads from `from` up to `max_bytes` (the first batch always whole) and to the limit of
    /// `isolation`. Above the limit and up to the log end the answer is empty; below the log start
    /// and above the log end it is an error (Kafka: `UnifiedLog.read`, `LocalLog.read`).
    pub async fn read(
        &self,
        from: i64,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<ReadOutcome, FetchError> {
        self.check_serving()?;
        let bounds = self.bounds();
        if from < bounds.log_start_offset || from > bounds.end_offset {
            return Err(FetchError::OffsetOutOfRange { offset: from, bounds });
        }
        let until = bounds.limit(isolation);
        let committed = isolation == Isolation::ReadCommitted;
        if from >= until {
            let aborted = committed.then(Vec::new);
            return Ok(ReadOutcome { chunk: Bytes::new().into(), aborted, bounds });
        }
        let read = if committed {
            self.log.read_committed(from, until, max_bytes)
        } else {
            self.log.read(from, until, max_bytes)
        };
        match read.await {
            Ok(read) => {
                let aborted = committed.then_some(read.aborted);
                Ok(ReadOutcome { chunk: read.chunk, aborted, bounds })
            }
            // The log start has moved meanwhile.
            Err(ReadError::OutOfRange { offset, .. }) => {
                Err(FetchError::OffsetOutOfRange { offset, bounds: self.bounds() })
            }
            Err(ReadError::Io(error)) => Err(FetchError::Io(error)),
        }
    }

    /// Compares the leader epoch a client believes in (negative: none) with ours: a client that
    /// is behind gets `FENCED_LEADER_EPOCH`, one that is ahead `UNKNOWN_LEADER_EPOCH`.
    pub fn check_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch.cmp(&self.leader_epoch()) {
            Ordering::Less if current_leader_epoch >= 0 => Err(ErrorCode::FencedLeaderEpoch),
            Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
            Ordering::Less | Ordering::Equal => Ok(()),
        }
    }

    /// As [`Partition::check_epoch`] for requests in which only -1 names no epoch.
    pub fn check_named_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        if current_leader_epoch < -1 {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        self.check_epoch(current_leader_epoch)
    }

    /// Where the log of a fetcher that has read up to `fetch_offset`, at last in
    /// `last_fetched_epoch` (negative if it does not say), leaves ours: epoch and end offset. None
    /// where it does not (Kafka: `Partition.readRecords`).
    pub fn divergence(
        &self,
        last_fetched_epoch: i32,
        fetch_offset: i64,
    ) -> Result<Option<(i32, i64)>, FetchError> {
        if last_fetched_epoch < 0 {
            return Ok(None);
        }
        let (epoch, end_offset) = self.epoch_end_offset(last_fetched_epoch);
        let bounds = self.bounds();
        if end_offset < 0 || fetch_offset < bounds.log_start_offset {
            return Err(FetchError::OffsetOutOfRange { offset: fetch_offset, bounds });
        }
        let diverges = epoch < last_fetched_epoch || end_offset < fetch_offset;
        Ok(diverges.then_some((epoch, end_offset)))
    }

    /// The largest epoch at or below `epoch` and the end of its records (`epoch` and the beginning
    /// of the log where it is older than all); (-1, -1) where it is -1 or newer than all
    /// (Kafka: `LeaderEpochFileCache.endOffsetFor`).
    pub fn epoch_end_offset(&self, epoch: i32) -> (i32, i64) {
        if epoch == -1 {
            return (-1, -1);
        }
        self.log.epoch_end_offset(epoch).unwrap_or((-1, -1))
    }
}
