//! DescribeGroups (key 15): state, members and assignment of classic groups.
//!
//! Behavior: metadata is described of a stable group only.
//!
//! Version notes: authorized operations from version 3 (KIP-430); a missing group is `Dead` without
//! an error up to 5 and GROUP_ID_NOT_FOUND from 6 (KIP-1043).

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};

/// Every operation on a group (`AclEntry.supportedOperations`), as bits: without an authorizer all are
/// allowed.
pub(super) const GROUP_OPERATIONS: i32 = 3400;
/// First version in which a missing group is an error.
const NOT_FOUND_VERSION: i16 = 6;

pub(super) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeGroupsRequest,
        version: i16,
    ) -> Reply<DescribeGroupsResponse> {
        let mut groups = Vec::new();
        for id in request.groups {
            let mut group = describe(context, id).await;
            if version < NOT_FOUND_VERSION && group.error_code == ErrorCode::GroupIdNotFound.code()
            {
                group.error_code = ErrorCode::None.code();
            }
            if request.include_authorized_operations && group.error_code == ErrorCode::None.code() {
                group.authorized_operations = GROUP_OPERATIONS;
            }
            groups.push(group);
        }
        Reply::Ready(DescribeGroupsResponse { groups, ..Default::default() })
    }
}

async fn describe(context: Context<'_>, id: String) -> DescribedGroup {
    let command = Command::Describe(vec![id.clone()]);
    let found = match context.shared.groups.call(&id, command).await {
        Ok(group::Reply::Describe(groups)) => Ok(groups.into_iter().next().unwrap_or_default()),
        other => Err(super::refusal(other)),
    };
    found.unwrap_or_else(|error| DescribedGroup {
        error_code: error.code(),
        group_id: id,
        ..Default::default()
    })
}
