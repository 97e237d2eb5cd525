//! SyncGroup (key 14): the leader brings the assignment, members wait for theirs.
//!
//! Behavior: the answer is parked until the leader's assignment is in the log.
//!
//! Version notes: instance ids from version 3 (KIP-345); from 5 the protocol must be named and
//! must be the group's (KIP-559).

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// First version that must name the protocol.
const PROTOCOL_VERSION: i16 = 5;

pub(super) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;

    async fn handle(
        context: Context<'_>,
        request: SyncGroupRequest,
        version: i16,
    ) -> Reply<SyncGroupResponse> {
        let named = request.protocol_type.is_some() && request.protocol_name.is_some();
        let group_id = request.group_id.clone();
        let synced = if version >= PROTOCOL_VERSION && !named {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else if group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            context.shared.groups.call(&group_id, Command::Sync(request)).await
        };
        Reply::Ready(match synced {
            Ok(group::Reply::Sync(response)) => response,
            other => {
                SyncGroupResponse { error_code: super::refusal(other).code(), ..Default::default() }
            }
        })
    }
}
