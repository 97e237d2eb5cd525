//! ConsumerGroupHeartbeat (key 68): a member of a consumer group joins, stays or leaves (KIP-848).
//!
//! Behavior:
//! - Epoch 0 joins, a positive one stays, -1 leaves, -2 leaves for a while (static members).
//! - A field that has not changed since the last heartbeat may be null (timeout: -1). The answer
//!   carries the assignment where it has changed, to a join and to a heartbeat that says everything.
//! - Every error comes with Kafka's words, without member id, epoch and interval.
//! - Groups may be switched off: `group.version` below 1, or `group.coordinator.rebalance.protocols`.
//!
//! Version notes: version 0 gives out member ids, from 1 on members make their own (KIP-1082), and
//! may subscribe by a regular expression.

use super::join_group::java_host;
use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Caller, Command, heartbeat_refused};
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

/// The feature that says whether consumer groups are coordinated, and the level from which they are.
const GROUP_VERSION: &str = "group.version";
const GROUP_VERSION_MIN: i16 = 1;

pub(super) struct ConsumerGroupHeartbeat;

impl Api for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;

    async fn handle(
        context: Context<'_>,
        request: ConsumerGroupHeartbeatRequest,
        version: i16,
    ) -> Reply<ConsumerGroupHeartbeatResponse> {
        if !is_enabled(context) {
            return Reply::Ready(refused(ErrorCode::UnsupportedVersion));
        }
        let caller = Caller {
            client_id: context.client_id.unwrap_or_default().to_owned(),
            client_host: java_host(context.session.peer().ip()),
            version,
        };
        let group_id = request.group_id.clone();
        let command = Command::ConsumerHeartbeat(caller, request);
        Reply::Ready(match context.shared.groups.call(&group_id, command).await {
            Ok(group::Reply::ConsumerHeartbeat(response)) => response,
            other => refused(super::refusal(other)),
        })
    }
}

/// Whether the consumer protocol is switched on.
pub(super) fn is_enabled(context: Context<'_>) -> bool {
    let image = context.shared.metadata.image();
    let level = image.finalized_features.get(GROUP_VERSION).copied().unwrap_or(0);
    level >= GROUP_VERSION_MIN && context.shared.groups.settings().consumer_enabled
}

/// With Kafka's text where nothing more is to be said.
fn refused(error: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    let message = match error {
        ErrorCode::UnsupportedVersion => "The version of API is not supported.",
        ErrorCode::CoordinatorLoadInProgress => {
            "The coordinator is loading and hence can't process requests."
        }
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        error => return heartbeat_refused(error, None),
    };
    heartbeat_refused(error, Some(message.to_owned()))
}
