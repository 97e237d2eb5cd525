//! WriteTxnMarkers (key 27): writes the markers that end transactions, for brokers and for operators
//! who abort one that hangs (KIP-664).
//!
//! Behavior:
//! - A marker is written also where nothing is open; one of an older coordinator or producer is
//!   refused.
//! - The markers of one producer share an answer; one without partitions has none.
//!
//! Version notes: from version 2 a marker says by which `transaction.version` it ends (KIP-1228).

use super::{Api, Context, Reply};
use crate::coordinator::transaction::{TopicPartition, write_marker};
use crate::partition::TransactionMarker;
use crate::wire::ErrorCode;
use crate::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

pub(super) struct WriteTxnMarkers;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    type Response = WriteTxnMarkersResponse;

    async fn handle(
        context: Context<'_>,
        request: WriteTxnMarkersRequest,
        _version: i16,
    ) -> Reply<WriteTxnMarkersResponse> {
        let mut markers: Vec<WritableTxnMarkerResult> = Vec::new();
        for marker in &request.markers {
            let mut topics = write(context, marker).await;
            if topics.is_empty() {
                continue;
            }
            let producer_id = marker.producer_id;
            match markers.iter_mut().find(|known| known.producer_id == producer_id) {
                Some(known) => known.topics.append(&mut topics),
                None => markers.push(WritableTxnMarkerResult { producer_id, topics }),
            }
        }
        Reply::Ready(WriteTxnMarkersResponse { markers })
    }
}

async fn write(
    context: Context<'_>,
    written: &WritableTxnMarker,
) -> Vec<WritableTxnMarkerTopicResult> {
    let marker = TransactionMarker {
        producer_id: written.producer_id,
        producer_epoch: written.producer_epoch,
        coordinator_epoch: written.coordinator_epoch,
        committed: written.transaction_result,
        transaction_version: written.transaction_version.into(),
    };
    let shared = context.shared;
    let mut topics = Vec::new();
    for topic in &written.topics {
        let name = topic.name.clone();
        let mut partitions = Vec::new();
        for &partition_index in &topic.partition_indexes {
            let place = TopicPartition { topic: name.as_str().into(), partition: partition_index };
            let outcome = write_marker(&shared.registry, &shared.groups, &place, &marker).await;
            let error_code = told(outcome).code();
            partitions.push(WritableTxnMarkerPartitionResult { partition_index, error_code });
        }
        if !partitions.is_empty() {
            topics.push(WritableTxnMarkerTopicResult { name, partitions });
        }
    }
    topics
}

/// A coordinator that writes markers knows of partitions only, not of other coordinators.
fn told(outcome: Result<(), ErrorCode>) -> ErrorCode {
    match outcome {
        Ok(()) => ErrorCode::None,
        Err(
            ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::NotCoordinator,
        ) => ErrorCode::NotLeaderOrFollower,
        Err(error) => error,
    }
}
