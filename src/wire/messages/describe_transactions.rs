//! Describes transactions.

use crate::wire::message;

message! {
    /// Asks for transactions by their ids.
    pub struct DescribeTransactionsRequest: key 65, versions 0..=0, flexible 0, answer DescribeTransactionsResponse {
        transactional_ids: Vec<String>,
    }

    /// The transactions.
    pub struct DescribeTransactionsResponse: key 65, versions 0..=0, flexible 0 {
        throttle_time_ms: i32,
        transaction_states: Vec<DescribedTransaction>,
    }

    /// `TransactionState` in Kafka's schema.
    pub struct DescribedTransaction {
        error_code: i16,
        transactional_id: String,
        transaction_state: String,
        transaction_timeout_ms: i32,
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<TransactionTopic>,
    }

    /// `TopicData` in Kafka's schema.
    pub struct TransactionTopic {
        topic: String,
        partitions: Vec<i32>,
    }
}
