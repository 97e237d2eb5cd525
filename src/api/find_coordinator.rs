//! FindCoordinator (key 10): who coordinates a group, a transactional id or share state.
//!
//! Behavior:
//! - This broker coordinates every group and transaction. The first question makes their topic and is
//!   answered once it serves (Apache Kafka first answers COORDINATOR_NOT_AVAILABLE).
//! - Share state has no coordinator yet: COORDINATOR_NOT_AVAILABLE.
//!
//! Version notes: key types from version 1; several keys at once from 4 (KIP-699); share state
//! (key type 2) from 6.

use super::{Api, Context, MALFORMED_REQUEST, Reply};
use crate::metadata::from_base64;
use crate::wire::ErrorCode;
use crate::wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

/// First version with several keys.
const KEYS_VERSION: i16 = 4;
/// What a key stands for (`FindCoordinatorRequest.CoordinatorType`).
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
const KEY_TYPES: [i8; 3] = [GROUP, TRANSACTION, SHARE];
/// First version that may ask for share state.
const SHARE_VERSION: i16 = 6;

pub(super) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;

    async fn handle(
        context: Context<'_>,
        request: FindCoordinatorRequest,
        version: i16,
    ) -> Reply<FindCoordinatorResponse> {
        let keys = match version {
            ..KEYS_VERSION => vec![request.key],
            _ => request.coordinator_keys,
        };
        let mut coordinators = Vec::new();
        for key in keys {
            let error = find(context, request.key_type, &key, version).await;
            let mut found = coordinator(context, key, error);
            // Newer versions put only this error into words.
            if version < KEYS_VERSION || !KEY_TYPES.contains(&request.key_type) {
                found.error_message = Some(message(error).to_owned());
            }
            coordinators.push(found);
        }
        if version >= KEYS_VERSION {
            return Reply::Ready(FindCoordinatorResponse { coordinators, ..Default::default() });
        }
        let only = coordinators.pop().unwrap_or_default();
        Reply::Ready(FindCoordinatorResponse {
            error_code: only.error_code,
            error_message: only.error_message,
            node_id: only.node_id,
            host: only.host,
            port: only.port,
            ..Default::default()
        })
    }
}

fn coordinator(context: Context<'_>, key: String, error: ErrorCode) -> Coordinator {
    if error != ErrorCode::None {
        let error_code = error.code();
        return Coordinator { key, node_id: -1, port: -1, error_code, ..Default::default() };
    }
    let advertised = context.advertised();
    Coordinator {
        key,
        node_id: context.shared.config.node_id,
        host: advertised.host,
        port: advertised.port,
        ..Default::default()
    }
}

async fn find(context: Context<'_>, key_type: i8, key: &str, version: i16) -> ErrorCode {
    let (groups, transactions) = (&context.shared.groups, &context.shared.transactions);
    let topic = match key_type {
        GROUP => groups.ensure_topic().await.map(|()| groups.is_offline(key)),
        TRANSACTION => transactions.ensure_topic().await.map(|()| transactions.is_offline(key)),
        SHARE if version >= SHARE_VERSION && is_share_key(key) => {
            return ErrorCode::CoordinatorNotAvailable;
        }
        _ => return ErrorCode::InvalidRequest,
    };
    match topic {
        Ok(false) => ErrorCode::None,
        Ok(true) => ErrorCode::CoordinatorNotAvailable,
        Err(error) => {
            tracing::warn!(%error, "the coordinator's topic cannot be created");
            ErrorCode::CoordinatorNotAvailable
        }
    }
}

/// `group:topicId:partition` (Kafka: `SharePartitionKey`).
fn is_share_key(key: &str) -> bool {
    let parts: Vec<&str> = key.split(':').collect();
    let [group, topic_id, partition] = parts[..] else { return false };
    !group.is_empty() && from_base64(topic_id).is_some() && partition.parse::<i32>().is_ok()
}

/// Kafka's text, which old versions carry.
fn message(error: ErrorCode) -> &'static str {
    match error {
        ErrorCode::None => "NONE",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        _ => MALFORMED_REQUEST,
    }
}
