//! A machine's records as batches of its partition.

use crate::env::Env;
use crate::partition::{FetchError, InternalAppendError, Isolation, NotCommitted, Partition};
use crate::records::{self, BatchBuilder, BatchError, BatchHeader, Batches, Records};

use super::{Batch, KeyValue, Machine, Moment, Position};

/// Bytes read from the log at a time during a replay.
const READ_BYTES: usize = 1 << 20;

/// Why a machine could not be built from its partition.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E: std::error::Error + 'static> {
    /// The log could not be read.
    #[error("reading the log: {0}")]
    Read(#[from] FetchError),
    /// The log holds bytes that are no batch.
    #[error("offset {offset} of the log: {source}")]
    Batch {
        /// Where.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
    /// A batch has other bytes than were written: never taken for records.
    #[error("offset {offset} of the log: the checksum of the batch is wrong")]
    Checksum {
        /// Where.
        offset: i64,
    },
    /// A batch holds bytes that are no records.
    #[error("offset {offset} of the log: {source}")]
    Records {
        /// Where.
        offset: i64,
        /// What is wrong.
        source: records::RecordError,
    },
    /// The machine refuses a record.
    #[error("offset {offset} of the log: {source}")]
    Replay {
        /// Where.
        offset: i64,
        /// What is wrong.
        source: E,
    },
    /// What stands beside the log, or the log as a whole, cannot be used.
    #[error("{0}")]
    Host(E),
}

/// Why records were not written, or not known to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError<E: std::error::Error + 'static> {
    #[error("the append failed: {0}")]
    Append(#[from] InternalAppendError),
    #[error("the commit failed: {0}")]
    Commit(#[from] NotCommitted),
    #[error("a record just written cannot be applied: {0}")]
    Apply(E),
    #[error("what somebody else has appended cannot be replayed: {0}")]
    Foreign(#[from] LoadError<E>),
}

/// The bytes of a batch for `now.next_offset`, whose records are given as bytes.
pub(super) fn build<M: Machine>(
    batch: &Batch<M::Record>,
    encoded: &[KeyValue],
    now: Moment,
) -> Vec<u8> {
    let producer = batch.transaction.map(|it| (it.producer_id, it.producer_epoch));
    let (producer_id, epoch) = producer.unwrap_or((-1, -1));
    let sequence = if batch.control { -1 } else { M::BASE_SEQUENCE };
    let mut builder = BatchBuilder::new(now.next_offset, now.epoch);
    builder = builder.producer(producer_id, epoch, sequence);
    if producer.is_some() {
        builder = builder.transactional();
    }
    if batch.control {
        builder = builder.control();
    }
    for KeyValue { key, value } in encoded {
        builder.push(now.now_ms, key.as_deref(), value.as_deref());
    }
    builder.build()
}

/// Replays everything from `from` on; the end offset.
pub(super) async fn replay<M: Machine>(
    partition: &Partition,
    env: &Env,
    machine: &mut M,
    from: i64,
) -> Result<i64, LoadError<M::ReplayError>> {
    let mut next = from;
    loop {
        let outcome = partition.read(next, READ_BYTES, Isolation::LogEnd).await?;
        let read = env.offload.run(move || outcome.chunk.into_bytes()).await;
        let bytes = read.map_err(FetchError::Io)?;
        if bytes.is_empty() {
            return Ok(next);
        }
        for batch in Batches::new(&bytes) {
            let (header, batch) =
                batch.map_err(|source| LoadError::Batch { offset: next, source })?;
            replay_batch(machine, &header, batch, from)?;
            // The log gives whole batches in order, so this moves on.
            next = header.next_offset().map_or(next, |end| end.max(next));
        }
    }
}

fn replay_batch<M: Machine>(
    machine: &mut M,
    header: &BatchHeader,
    batch: &[u8],
    from: i64,
) -> Result<(), LoadError<M::ReplayError>> {
    let offset = header.base_offset;
    if !header.verify_crc(batch) {
        return Err(LoadError::Checksum { offset });
    }
    let damaged = |source| LoadError::Records { offset, source };
    let mut records = Records::new(header, batch).map_err(damaged)?;
    while let Some(record) = records.next().map_err(damaged)? {
        let offset = header.base_offset + i64::from(record.offset_delta);
        if offset < from {
            continue;
        }
        let raw = KeyValue::of(&record);
        let position = Position {
            offset,
            epoch: header.leader_epoch,
            timestamp_ms: record.timestamp_ms,
            size_bytes: raw.size_bytes(),
            producer_id: header.is_transactional().then_some(header.producer_id),
        };
        let refused = |source| LoadError::Replay { offset, source };
        if let Some(record) = M::decode(raw, header.is_control()).map_err(refused)? {
            machine.apply(&record, position).map_err(refused)?;
        }
    }
    Ok(())
}
