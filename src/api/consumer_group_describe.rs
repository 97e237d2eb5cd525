//! ConsumerGroupDescribe (key 69): state, members and assignments of consumer groups (KIP-848).
//!
//! Behavior: a group that does not exist or is of another kind is GROUP_ID_NOT_FOUND, with words that
//! say which. What a member is still to give back counts to its assignment.
//!
//! Version notes: the kind of a member from version 1 (KIP-1099).

use super::consumer_group_heartbeat::is_enabled;
use super::describe_groups::GROUP_OPERATIONS;
use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
};

pub(super) struct ConsumerGroupDescribe;

impl Api for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;

    async fn handle(
        context: Context<'_>,
        request: ConsumerGroupDescribeRequest,
        _version: i16,
    ) -> Reply<ConsumerGroupDescribeResponse> {
        let mut groups = Vec::new();
        for id in request.group_ids {
            let mut group = describe(context, id).await;
            if request.include_authorized_operations && group.error_code == ErrorCode::None.code() {
                group.authorized_operations = GROUP_OPERATIONS;
            }
            groups.push(group);
        }
        Reply::Ready(ConsumerGroupDescribeResponse { groups, ..Default::default() })
    }
}

async fn describe(context: Context<'_>, id: String) -> DescribedGroup {
    let refused = |error: ErrorCode, group_id| {
        let error_code = error.code();
        DescribedGroup { error_code, group_id, ..Default::default() }
    };
    if !is_enabled(context) {
        return refused(ErrorCode::UnsupportedVersion, id);
    }
    if id.is_empty() {
        return refused(ErrorCode::InvalidGroupId, id);
    }
    match context.shared.groups.call(&id, Command::ConsumerDescribe(id.clone())).await {
        Ok(group::Reply::ConsumerDescribe(group)) => group,
        other => refused(super::refusal(other), id),
    }
}
