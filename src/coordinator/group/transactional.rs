//! Offsets that are committed with a transaction (Kafka:
//! `OffsetMetadataManager.commitTransactionalOffset`), and transactions' ends.
//!
//! Both are written on behalf of the producer, so the partition decides whether they may be: they
//! wait among the group's offsets until the marker comes.

use uuid::Uuid;

use super::admin::write_offsets;
use super::machine::GroupMachine;
use super::record::Record;
use super::turn::Turn;
use crate::metadata::MetadataImage;
use crate::partition::{Admission, Guard, TransactionMarker};
use crate::shard::Transaction;
use crate::wire::ErrorCode;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use crate::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

impl GroupMachine {
    /// Commits offsets that count once the transaction is committed. Whoever says that it is a
    /// member must be one of the generation.
    pub(super) fn commit_transactional(
        &mut self,
        request: &TxnOffsetCommitRequest,
        guard: Option<Guard>,
        turn: &mut Turn,
    ) -> TxnOffsetCommitResponse {
        let mut commit = plain(request, &turn.image);
        let has_producer = request.producer_id >= 0 && request.producer_epoch >= 0;
        let error = ErrorCode::UnknownServerError;
        let allowed =
            if has_producer { self.check_commit(&commit, None, turn) } else { Err(error) };
        if let Err(error) = allowed {
            return transactional_commit_refused(
                request,
                match error {
                    // Transactions' clients do not know it.
                    ErrorCode::StaleMemberEpoch => ErrorCode::IllegalGeneration,
                    error => error,
                },
            );
        }
        // Kafka does not write them here.
        commit.topics.iter_mut().for_each(|topic| topic.topic_id = Uuid::nil());
        turn.transaction = Some(Transaction {
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
            admission: Admission::Data(guard),
        });
        transactional(write_offsets(&commit, turn))
    }
}

impl Turn {
    /// Writes the marker, also if the producer has nothing here: it fences the producer.
    pub(super) fn end_transaction(&mut self, marker: TransactionMarker) {
        self.transaction = Some(Transaction {
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            admission: Admission::Marker { transaction_version: marker.transaction_version },
        });
        self.records.push(Record::EndTransaction(marker.committed, marker.coordinator_epoch));
    }
}

/// Every partition of the request with this error.
pub fn transactional_commit_refused(
    request: &TxnOffsetCommitRequest,
    error: ErrorCode,
) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| answer(partition.partition_index, error.code()))
            .collect(),
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn answer(partition_index: i32, error_code: i16) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition { partition_index, error_code }
}

/// The same commit outside of a transaction; topics that do not exist have no id.
fn plain(request: &TxnOffsetCommitRequest, image: &MetadataImage) -> OffsetCommitRequest {
    let topic = |topic: &TxnOffsetCommitRequestTopic| OffsetCommitRequestTopic {
        name: topic.name.clone(),
        topic_id: image.topic(&topic.name).map_or(Uuid::nil(), |topic| topic.id),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitRequestPartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                committed_metadata: partition.committed_metadata.clone(),
            })
            .collect(),
    };
    OffsetCommitRequest {
        group_id: request.group_id.clone(),
        generation_id_or_member_epoch: request.generation_id,
        member_id: request.member_id.clone(),
        group_instance_id: request.group_instance_id.clone(),
        topics: request.topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn transactional(response: OffsetCommitResponse) -> TxnOffsetCommitResponse {
    let topics = response.topics.into_iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| answer(partition.partition_index, partition.error_code))
            .collect(),
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
