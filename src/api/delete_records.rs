//! DeleteRecords (key 21): moves the beginning of partitions (KIP-107).
//!
//! Behavior:
//! - An offset of -1 stands for the high watermark; one below the beginning changes nothing.
//! - The new beginning survives a crash when it is answered.
//! - Only topics whose records may be deleted (`cleanup.policy` is not `compact` alone) and that are
//!   not the broker's own can be cut.
//! - Of a partition named twice the last offset counts. The timeout means nothing: there are no other
//!   replicas to wait for.
//!
//! Version notes: none; the answer is the same at every version.

use std::collections::BTreeMap;

use super::{Api, Context, Reply};
use crate::metadata::is_internal_topic;
use crate::partition::NotOpen;
use crate::wire::ErrorCode;
use crate::wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

pub(super) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;

    async fn handle(
        context: Context<'_>,
        request: DeleteRecordsRequest,
        _version: i16,
    ) -> Reply<DeleteRecordsResponse> {
        let mut asked: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
        // A topic without partitions is not answered.
        for topic in request.topics.into_iter().filter(|topic| !topic.partitions.is_empty()) {
            let offsets = topic.partitions.iter().map(|one| (one.partition_index, one.offset));
            asked.entry(topic.name).or_default().extend(offsets);
        }
        let mut topics = Vec::new();
        for (name, offsets) in asked {
            let mut partitions = Vec::new();
            for (partition_index, offset) in offsets {
                let deleted = delete(context, &name, partition_index, offset).await;
                let (error, low_watermark) = match deleted {
                    Ok(log_start_offset) => (ErrorCode::None, log_start_offset),
                    Err(error) => (error, -1),
                };
                let error_code = error.code();
                partitions.push(DeleteRecordsPartitionResult {
                    partition_index,
                    low_watermark,
                    error_code,
                });
            }
            topics.push(DeleteRecordsTopicResult { name, partitions });
        }
        Reply::Ready(DeleteRecordsResponse { topics, ..Default::default() })
    }
}

/// The first offset of the partition afterwards.
async fn delete(
    context: Context<'_>,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<i64, ErrorCode> {
    let partition = context.shared.registry.get(topic, partition);
    let partition = partition.map_err(NotOpen::error_code)?;
    if is_internal_topic(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let delete = move || partition.delete_records(offset);
    let deleted = context.shared.env.offload.run(delete).await;
    deleted.map_err(|error| error.error_code())
}
