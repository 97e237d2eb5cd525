//! LeaveGroup (key 13): members leave a classic group, or an administrator takes them out.
//!
//! Version notes: up to version 2 one member, its error at the top; from 3 several, each with its own,
//! also by instance id alone (KIP-345); reasons from 5 (KIP-800).

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};

/// First version with several members.
const MEMBERS_VERSION: i16 = 3;

pub(super) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;

    async fn handle(
        context: Context<'_>,
        mut request: LeaveGroupRequest,
        version: i16,
    ) -> Reply<LeaveGroupResponse> {
        if version < MEMBERS_VERSION {
            let member_id = std::mem::take(&mut request.member_id);
            request.members = vec![MemberIdentity { member_id, ..Default::default() }];
        }
        let group_id = request.group_id.clone();
        let left = if group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            context.shared.groups.call(&group_id, Command::Leave(request)).await
        };
        let mut response = match left {
            Ok(group::Reply::Leave(response)) => response,
            other => LeaveGroupResponse {
                error_code: super::refusal(other).code(),
                ..Default::default()
            },
        };
        if version < MEMBERS_VERSION
            && let Some(only) = response.members.pop()
        {
            response.error_code = only.error_code;
        }
        Reply::Ready(response)
    }
}
