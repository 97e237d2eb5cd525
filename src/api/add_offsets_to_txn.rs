//! AddOffsetsToTxn (key 25): a group's offsets will be committed in a transaction (KIP-98).
//!
//! Behavior: the group's partition of `__consumer_offsets` becomes one of the transaction. The group
//! need not exist, its id may be empty.
//!
//! Version notes: PRODUCER_FENCED from version 2. Clients with `transaction.version` 2 do not send it.

use std::collections::BTreeSet;

use super::transactions::fenced_as;
use super::{Api, Context, Reply};
use crate::coordinator::group::OFFSETS_TOPIC;
use crate::coordinator::transaction::{Add, Producer, TopicPartition};
use crate::wire::ErrorCode;
use crate::wire::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

/// First version that knows PRODUCER_FENCED.
const FENCED_VERSION: i16 = 2;

pub(super) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;

    async fn handle(
        context: Context<'_>,
        request: AddOffsetsToTxnRequest,
        version: i16,
    ) -> Reply<AddOffsetsToTxnResponse> {
        let error = add(context, request).await.err().unwrap_or(ErrorCode::None);
        let error_code = fenced_as(error, version >= FENCED_VERSION).code();
        Reply::Ready(AddOffsetsToTxnResponse { error_code, ..Default::default() })
    }
}

async fn add(context: Context<'_>, request: AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let groups = &context.shared.groups;
    groups.ensure_topic().await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    let partition = groups.partition_of(&request.group_id);
    let place = TopicPartition { topic: OFFSETS_TOPIC.into(), partition };
    let add = Add {
        id: request.transactional_id,
        producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        partitions: BTreeSet::from([place]),
        client_version: 0,
    };
    context.shared.transactions.add_partitions(add).await
}
