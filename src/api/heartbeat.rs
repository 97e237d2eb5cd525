//! Heartbeat (key 12): a member of a classic group is alive.
//!
//! Behavior: while the group is being replayed after a start every member counts as alive.
//!
//! Version notes: instance ids from version 3 (KIP-345).

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

pub(super) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;

    async fn handle(
        context: Context<'_>,
        request: HeartbeatRequest,
        _version: i16,
    ) -> Reply<HeartbeatResponse> {
        let group_id = request.group_id.clone();
        let error = if group_id.is_empty() {
            ErrorCode::InvalidGroupId
        } else {
            match context.shared.groups.call(&group_id, Command::Heartbeat(request)).await {
                Ok(group::Reply::Heartbeat(error)) => error,
                Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
                other => super::refusal(other),
            }
        };
        Reply::Ready(HeartbeatResponse { error_code: error.code(), ..Default::default() })
    }
}
