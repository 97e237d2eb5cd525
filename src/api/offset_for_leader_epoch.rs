//! OffsetForLeaderEpoch (key 23): where a leader epoch ends, for consumers that look for a
//! truncation (KIP-320).
//!
//! Behavior: an unknown or future epoch is answered without error with -1 and -1.

use super::{Api, Context, Reply};
use crate::partition::NotOpen;
use crate::wire::ErrorCode;
use crate::wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

pub(super) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    async fn handle(
        context: Context<'_>,
        request: OffsetForLeaderEpochRequest,
        _version: i16,
    ) -> Reply<OffsetForLeaderEpochResponse> {
        let mut topics: Vec<OffsetForLeaderTopicResult> = Vec::new();
        for topic in request.topics {
            // The reference collects by topic: a repeated one is answered once.
            if topics.iter().any(|earlier| earlier.topic == topic.topic) {
                continue;
            }
            let partitions = topic.partitions.iter();
            topics.push(OffsetForLeaderTopicResult {
                partitions: partitions.map(|asked| end_of(context, &topic.topic, asked)).collect(),
                topic: topic.topic,
            });
        }
        Reply::Ready(OffsetForLeaderEpochResponse { topics, ..Default::default() })
    }
}

fn end_of(context: Context<'_>, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let found =
        context.shared.registry.get(topic, asked.partition).map_err(NotOpen::error_code).and_then(
            |partition| {
                partition.check_named_epoch(asked.current_leader_epoch)?;
                Ok(partition.epoch_end_offset(asked.leader_epoch))
            },
        );
    let (error, (leader_epoch, end_offset)) = match found {
        Ok(end) => (ErrorCode::None, end),
        Err(error) => (error, (-1, -1)),
    };
    EpochEndOffset {
        error_code: error.code(),
        partition: asked.partition,
        leader_epoch,
        end_offset,
    }
}
