//! FindCoordinator (key 10): who coordinates a group, a transactional id or share state.
//!
//! Behavior:
//! - This broker coordinates every group. The first question makes `__consumer_offsets` and is
//!   answered once it serves (Apache Kafka first answers COORDINATOR_NOT_AVAILABLE).
//! - Transactions and share state have no coordinator yet: COORDINATOR_NOT_AVAILABLE.
//!
//! Version notes: key types from version 1; several keys at once from 4 (KIP-699); share state
//! (key type 2) from 6.

use super::{Api, Context, Reply};
use crate::wire::ErrorCode;
use crate::wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

/// First version with several keys.
const KEYS_VERSION: i16 = 4;
/// First version that may ask for share state.
const SHARE_VERSION: i16 = 6;

pub(super) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;

    async fn handle(
        context: Context<'_>,
        request: FindCoordinatorRequest,
        version: i16,
    ) -> Reply<FindCoordinatorResponse> {
        let error = find(context, request.key_type, version).await;
        let found = |key: String| match error {
            ErrorCode::None => {
                let advertised = context.advertised();
                Coordinator {
                    key,
                    node_id: context.shared.config.node_id,
                    host: advertised.host,
                    port: advertised.port,
                    ..Default::default()
                }
            }
            error => Coordinator {
                key,
                node_id: -1,
                port: -1,
                error_code: error.code(),
                ..Default::default()
            },
        };
        if version >= KEYS_VERSION {
            let coordinators = request.coordinator_keys.into_iter().map(found).collect();
            return Reply::Ready(FindCoordinatorResponse { coordinators, ..Default::default() });
        }
        let Coordinator { error_code, node_id, host, port, .. } = found(request.key);
        let error_message = Some(message(error).to_owned());
        Reply::Ready(FindCoordinatorResponse {
            error_code,
            error_message,
            node_id,
            host,
            port,
            ..Default::default()
        })
    }
}

async fn find(context: Context<'_>, key_type: i8, version: i16) -> ErrorCode {
    match key_type {
        0 => match context.shared.groups.ensure_topic().await {
            Ok(()) => ErrorCode::None,
            Err(error) => {
                tracing::warn!(%error, "__consumer_offsets cannot be created");
                ErrorCode::CoordinatorNotAvailable
            }
        },
        1 => ErrorCode::CoordinatorNotAvailable,
        2 if version >= SHARE_VERSION => ErrorCode::CoordinatorNotAvailable,
        2 => ErrorCode::InvalidRequest,
        _ => ErrorCode::UnknownServerError,
    }
}

/// Kafka's text, which old versions carry.
fn message(error: ErrorCode) -> &'static str {
    match error {
        ErrorCode::None => "NONE",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        _ => "The server experienced an unexpected error when processing the request.",
    }
}
