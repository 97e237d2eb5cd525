//! InitProducerId (key 22): a fresh producer id for an idempotent producer (KIP-98).
//!
//! Behavior:
//! - Without a transactional id, timeout and given producer id are ignored and every request gets
//!   a new id with epoch 0.
//! - With one, COORDINATOR_NOT_AVAILABLE until transactions are served; the empty one is refused
//!   with INVALID_REQUEST.

use super::{Api, Context, Reply};
use crate::wire::ErrorCode;
use crate::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

pub(super) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;

    async fn handle(
        context: Context<'_>,
        request: InitProducerIdRequest,
        _version: i16,
    ) -> Reply<InitProducerIdResponse> {
        let given = match request.transactional_id.as_deref() {
            None => context.shared.metadata.next_producer_id().await.map_err(|error| error.code),
            Some("") => Err(ErrorCode::InvalidRequest),
            Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
        };
        Reply::Ready(match given {
            Ok(producer_id) => InitProducerIdResponse { producer_id, ..Default::default() },
            Err(error) => InitProducerIdResponse {
                error_code: error.code(),
                producer_epoch: -1,
                ..Default::default()
            },
        })
    }
}
