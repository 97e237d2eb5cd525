//! Writes the markers that end transactions in partitions.

use crate::wire::message;

message! {
    /// Ends transactions.
    pub struct WriteTxnMarkersRequest: key 27, versions 1..=2, flexible 1, answer WriteTxnMarkersResponse {
        markers: Vec<WritableTxnMarker>,
    }

    pub struct WritableTxnMarker {
        producer_id: i64,
        producer_epoch: i16,
        transaction_result: bool,
        topics: Vec<WritableTxnMarkerTopic>,
        coordinator_epoch: i32,
        transaction_version: i8 [2..],
    }

    pub struct WritableTxnMarkerTopic {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// What became of each marker.
    pub struct WriteTxnMarkersResponse: key 27, versions 1..=2, flexible 1 {
        markers: Vec<WritableTxnMarkerResult>,
    }

    pub struct WritableTxnMarkerResult {
        producer_id: i64,
        topics: Vec<WritableTxnMarkerTopicResult>,
    }

    pub struct WritableTxnMarkerTopicResult {
        name: String,
        partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    pub struct WritableTxnMarkerPartitionResult {
        partition_index: i32,
        error_code: i16,
    }
}
