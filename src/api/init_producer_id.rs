//! InitProducerId (key 22): a producer's id and epoch (KIP-98, KIP-360).
//!
//! Behavior:
//! - Without a transactional id, timeout and given producer are ignored and every request gets a new
//!   id with epoch 0.
//! - With one, the epoch rises, so that earlier producers are fenced. An open transaction is aborted
//!   first: CONCURRENT_TRANSACTIONS, and the client asks again.
//!
//! Version notes: a producer that wants to go on names itself from version 3; PRODUCER_FENCED from 4.

use super::transactions::fenced_as;
use super::{Api, Context, Reply};
use crate::coordinator::transaction::{Init, Producer};
use crate::wire::ErrorCode;
use crate::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// First version that knows PRODUCER_FENCED.
const FENCED_VERSION: i16 = 4;

pub(super) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;

    async fn handle(
        context: Context<'_>,
        request: InitProducerIdRequest,
        version: i16,
    ) -> Reply<InitProducerIdResponse> {
        Reply::Ready(match init(context, request).await {
            Ok(Producer { id, epoch }) => InitProducerIdResponse {
                producer_id: id,
                producer_epoch: epoch,
                ..Default::default()
            },
            Err(error) => InitProducerIdResponse {
                error_code: fenced_as(error, version >= FENCED_VERSION).code(),
                producer_epoch: -1,
                ..Default::default()
            },
        })
    }
}

async fn init(context: Context<'_>, request: InitProducerIdRequest) -> Result<Producer, ErrorCode> {
    let expected = match (request.producer_id, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(ErrorCode::InvalidRequest),
        (id, epoch) => Some(Producer { id, epoch }),
    };
    let Some(id) = request.transactional_id else {
        let id = context.shared.metadata.next_producer_id().await;
        return id.map(|id| Producer { id, epoch: 0 }).map_err(|error| error.code);
    };
    let init = Init { id, timeout_ms: request.transaction_timeout_ms, expected };
    context.shared.transactions.init_producer_id(init).await
}
