//! OffsetDelete (key 47): offsets that a group no longer needs (KIP-496).
//!
//! Behavior: partitions that do not exist are refused each for itself; so are those of topics that
//! the group is subscribed to. An offset that is not there is no error.

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

pub(super) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;

    async fn handle(
        context: Context<'_>,
        mut request: OffsetDeleteRequest,
        _version: i16,
    ) -> Reply<OffsetDeleteResponse> {
        if request.group_id.is_empty() {
            return Reply::Ready(refused(ErrorCode::InvalidGroupId));
        }
        let mut topics = take_unknown(context, &mut request);
        let group_id = request.group_id.clone();
        let command = Command::DeleteOffsets(request);
        let deleted = match context.shared.groups.call(&group_id, command).await {
            Ok(group::Reply::DeleteOffsets(response)) => response,
            other => refused(super::refusal(other)),
        };
        if deleted.error_code != ErrorCode::None.code() {
            return Reply::Ready(deleted);
        }
        for topic in deleted.topics {
            match topics.iter_mut().find(|known| known.name == topic.name) {
                Some(known) => known.partitions.extend(topic.partitions),
                None => topics.push(topic),
            }
        }
        Reply::Ready(OffsetDeleteResponse { topics, ..Default::default() })
    }
}

/// Takes partitions that do not exist out of the request and answers them.
fn take_unknown(
    context: Context<'_>,
    request: &mut OffsetDeleteRequest,
) -> Vec<OffsetDeleteResponseTopic> {
    let image = context.shared.metadata.image();
    let mut answers = Vec::new();
    for topic in &mut request.topics {
        let found = image.topic(&topic.name);
        let mut unknown = Vec::new();
        topic.partitions.retain(|partition| {
            let index = partition.partition_index;
            let exists = found.is_some_and(|found| found.has_partition(index));
            if !exists {
                let error_code = ErrorCode::UnknownTopicOrPartition.code();
                unknown.push(OffsetDeleteResponsePartition { partition_index: index, error_code });
            }
            exists
        });
        if !unknown.is_empty() {
            let name = topic.name.clone();
            answers.push(OffsetDeleteResponseTopic { name, partitions: unknown });
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    answers
}

fn refused(error: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: error.code(), ..Default::default() }
}
