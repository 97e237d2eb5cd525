//! `ListOffsets`: which offset stands for a time, or for one of the special times below zero.

use std::io;

use crate::log::ReadError;
use crate::records::{BatchHeader, Batches, RecordError, Records};

use super::{FetchError, Isolation, Partition};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// KIP-734.
const MAX_TIMESTAMP: i64 = -3;
/// KIP-405; without tiered storage the same as [`EARLIEST`].
const EARLIEST_LOCAL: i64 = -4;
/// KIP-1005; without tiered storage nothing.
const LATEST_TIERED: i64 = -5;
/// KIP-1023; without tiered storage nothing.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Bytes read at once where batches have to be searched one by one.
const SEARCH_BYTES: usize = 64 * 1024;

/// An offset found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The offset; -1 where there is no such thing (tiered storage).
    pub offset: i64,
    /// Time of the record in milliseconds; -1 for special times that mean no record.
    pub timestamp_ms: i64,
    /// Leader epoch of the record; -1 if unknown.
    pub leader_epoch: i32,
}

impl Partition {
    /// The first record at or after a time in milliseconds, or what a special time (negative)
    /// stands for; None if there is none below the limit of `isolation`: the client is told -1 (Kafka: `UnifiedLog.fetchOffsetByTimestamp`,
    /// `ReplicaManager.fetchOffset`).
    pub async fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
        isolation: Isolation,
    ) -> Result<Option<Found>, FetchError> {
        self.check_serving()?;
        let limit = self.bounds().limit(isolation);
        let special = |offset, leader_epoch| Some(Found { offset, timestamp_ms: -1, leader_epoch });
        match timestamp_ms {
            LATEST => Ok(special(limit, self.leader_epoch())),
            EARLIEST | EARLIEST_LOCAL => {
                let offset = self.log.start_offset();
                Ok(special(offset, self.log.epoch_of(offset).unwrap_or(-1)))
            }
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(special(-1, -1)),
            MAX_TIMESTAMP => self.of_max_timestamp(limit).await,
            0.. => self.first_at(timestamp_ms, limit).await,
            _ => Err(FetchError::UnknownTimestamp(timestamp_ms)),
        }
    }

    async fn of_max_timestamp(&self, limit: i64) -> Result<Option<Found>, FetchError> {
        let Some(header) = self.log.batch_of_max_timestamp().await.map_err(read_error)? else {
            return Ok(None);
        };
        let (_, found) = self.search(header.base_offset, header.max_timestamp, limit).await?;
        Ok(found)
    }

    /// The log's index knows the first batch that has such a record. If all of them lie before a
    /// log start in mid-batch, the batches after it are searched.
    async fn first_at(&self, timestamp_ms: i64, limit: i64) -> Result<Option<Found>, FetchError> {
        let first = self.log.first_batch_at_time(timestamp_ms).await.map_err(read_error)?;
        let mut from = first.map_or(limit, |header| header.base_offset);
        while from < limit {
            let (next, found) = self.search(from, timestamp_ms, limit).await?;
            if found.is_some() {
                return Ok(found);
            }
            if next <= from {
                break;
            }
            from = next;
        }
        Ok(None)
    }

    /// Searches some batches from `from` to `limit` for the first record at or after a time; gives
    /// also where to go on.
    async fn search(
        &self,
        from: i64,
        timestamp_ms: i64,
        limit: i64,
    ) -> Result<(i64, Option<Found>), FetchError> {
        let start_offset = self.log.start_offset();
        let from = from.max(start_offset);
        if from >= limit {
            return Ok((limit, None));
        }
        let read = self.log.read(from, limit, SEARCH_BYTES).await.map_err(read_error)?;
        let search = move || search_batches(&read.chunk.into_bytes()?, start_offset, timestamp_ms);
        Ok(self.env.offload.run(search).await?)
    }
}

fn search_batches(
    bytes: &[u8],
    start_offset: i64,
    timestamp_ms: i64,
) -> io::Result<(i64, Option<Found>)> {
    let mut next = start_offset;
    for batch in Batches::new(bytes) {
        let (header, batch) = batch.map_err(io::Error::other)?;
        next = header.last_offset().saturating_add(1);
        if header.max_timestamp < timestamp_ms {
            continue;
        }
        let found = search_batch(&header, batch, start_offset, timestamp_ms);
        if let Some(found) = found.map_err(io::Error::other)? {
            return Ok((next, Some(found)));
        }
    }
    Ok((next, None))
}

fn search_batch(
    header: &BatchHeader,
    batch: &[u8],
    start_offset: i64,
    timestamp_ms: i64,
) -> Result<Option<Found>, RecordError> {
    let mut records = Records::new(header, batch)?;
    while let Some(record) = records.next_facts()? {
        let offset = header.base_offset.saturating_add(record.offset_delta.into());
        if offset >= start_offset && record.timestamp_ms >= timestamp_ms {
            let (timestamp_ms, leader_epoch) = (record.timestamp_ms, header.leader_epoch.max(-1));
            return Ok(Some(Found { offset, timestamp_ms, leader_epoch }));
        }
    }
    Ok(None)
}

fn read_error(error: ReadError) -> FetchError {
    match error {
        ReadError::Io(error) => FetchError::Io(error),
        out_of_range @ ReadError::OutOfRange { .. } => {
            FetchError::Io(io::Error::other(out_of_range))
        }
    }
}
