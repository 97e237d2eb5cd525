//! EndTxn (key 26): commits or aborts a transaction (KIP-98).
//!
//! Behavior: answered once the end is in the log; the markers follow.
//!
//! Version notes: PRODUCER_FENCED from version 2; from 5 the epoch rises with every end, and the
//! answer says what the producer goes on with (KIP-890).

use super::transactions::fenced_as;
use super::{Api, Context, Reply};
use crate::coordinator::transaction::{End, Producer};
use crate::wire::messages::end_txn::{EndTxnRequest, EndTxnResponse};

/// First version that knows PRODUCER_FENCED.
const FENCED_VERSION: i16 = 2;
/// First version of clients with `transaction.version` 2.
const EPOCH_BUMP_VERSION: i16 = 5;

pub(super) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;

    async fn handle(
        context: Context<'_>,
        request: EndTxnRequest,
        version: i16,
    ) -> Reply<EndTxnResponse> {
        let EndTxnRequest { transactional_id, producer_id, producer_epoch, committed } = request;
        let end = End {
            id: transactional_id,
            producer: Producer { id: producer_id, epoch: producer_epoch },
            committed,
            client_version: if version >= EPOCH_BUMP_VERSION { 2 } else { 0 },
        };
        let ended = context.shared.transactions.end(end).await;
        Reply::Ready(match ended {
            Ok(Producer { id, epoch }) => {
                EndTxnResponse { producer_id: id, producer_epoch: epoch, ..Default::default() }
            }
            Err(error) => EndTxnResponse {
                error_code: fenced_as(error, version >= FENCED_VERSION).code(),
                ..Default::default()
            },
        })
    }
}
