//! Adds partitions to transactions, or asks whether they are in.

use crate::wire::message;

message! {
    /// Adds partitions: a client to its transaction, or since version 4 a broker to several.
    pub struct AddPartitionsToTxnRequest: key 24, versions 0..=5, flexible 3, answer AddPartitionsToTxnResponse {
        transactions: Vec<AddPartitionsToTxnTransaction> [4..],
        v3_and_below_transactional_id: String [..=3],
        v3_and_below_producer_id: i64 [..=3],
        v3_and_below_producer_epoch: i16 [..=3],
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [..=3],
    }

    pub struct AddPartitionsToTxnTransaction {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        verify_only: bool,
        topics: Vec<AddPartitionsToTxnTopic>,
    }

    pub struct AddPartitionsToTxnTopic {
        name: String,
        partitions: Vec<i32>,
    }

    /// What became of each partition.
    pub struct AddPartitionsToTxnResponse: key 24, versions 0..=5, flexible 3 {
        throttle_time_ms: i32,
        error_code: i16 [4..],
        results_by_transaction: Vec<AddPartitionsToTxnResult> [4..],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [..=3],
    }

    pub struct AddPartitionsToTxnResult {
        transactional_id: String,
        topic_results: Vec<AddPartitionsToTxnTopicResult>,
    }

    pub struct AddPartitionsToTxnTopicResult {
        name: String,
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    pub struct AddPartitionsToTxnPartitionResult {
        partition_index: i32,
        partition_error_code: i16,
    }
}
