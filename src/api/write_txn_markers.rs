//! WriteTxnMarkers (key 27): writes the markers that end transactions, for brokers and for operators
//! who abort one that hangs (KIP-664).
//!
//! Behavior:
//! - A marker is written also where nothing is open; one of an older coordinator or producer is
//!   refused.
//! - The markers of one producer share an answer; one without partitions has none. One that names a
//!   partition twice is written there once and answered, which Apache Kafka forgets.
//!
//! Version notes: from version 2 a marker says by which `transaction.version` it ends (KIP-1228).

use std::collections::{BTreeMap, BTreeSet};

use super::{Api, Context, Reply};
use crate::coordinator::transaction::{TopicPartition, by_topic, write_marker};
use crate::partition::TransactionMarker;
use crate::wire::ErrorCode;
use crate::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopic, WritableTxnMarkerTopicResult, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
};

pub(super) struct WriteTxnMarkers;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;

    async fn handle(
        context: Context<'_>,
        request: WriteTxnMarkersRequest,
        _version: i16,
    ) -> Reply<WriteTxnMarkersResponse> {
        let mut answer = Answer::default();
        for marker in &request.markers {
            write(context, marker, &mut answer).await;
        }
        Reply::Ready(answer.into())
    }
}

/// What became of each marker; of a partition that is named again, the last.
#[derive(Default)]
struct Answer(Vec<(i64, BTreeMap<TopicPartition, ErrorCode>)>);

impl Answer {
    fn add(&mut self, producer_id: i64, place: TopicPartition, error: ErrorCode) {
        match self.0.iter_mut().find(|(known, _)| *known == producer_id) {
            Some((_, places)) => drop(places.insert(place, error)),
            None => self.0.push((producer_id, BTreeMap::from([(place, error)]))),
        }
    }
}

impl From<Answer> for WriteTxnMarkersResponse {
    fn from(answer: Answer) -> Self {
        let of_producer = |(producer_id, places)| WritableTxnMarkerResult {
            producer_id,
            topics: topic_results(&places),
        };
        Self { markers: answer.0.into_iter().map(of_producer).collect() }
    }
}

fn topic_results(
    places: &BTreeMap<TopicPartition, ErrorCode>,
) -> Vec<WritableTxnMarkerTopicResult> {
    let results = places.iter().map(|(place, error)| {
        let (partition_index, error_code) = (place.partition, error.code());
        (place, WritableTxnMarkerPartitionResult { partition_index, error_code })
    });
    by_topic(results)
        .map(|(name, partitions)| WritableTxnMarkerTopicResult { name, partitions })
        .collect()
}

async fn write(context: Context<'_>, written: &WritableTxnMarker, answer: &mut Answer) {
    let marker = TransactionMarker {
        producer_id: written.producer_id,
        producer_epoch: written.producer_epoch,
        coordinator_epoch: written.coordinator_epoch,
        committed: written.transaction_result,
        transaction_version: written.transaction_version.into(),
    };
    let named = |topic: &WritableTxnMarkerTopic| {
        TopicPartition::of_topic(&topic.name, topic.partition_indexes.clone())
    };
    // A partition that is named twice gets one marker.
    let places: BTreeSet<_> = written.topics.iter().flat_map(named).collect();
    let shared = context.shared;
    for place in places {
        let outcome = write_marker(&shared.registry, &shared.groups, &place, &marker).await;
        answer.add(written.producer_id, place, told(outcome));
    }
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
