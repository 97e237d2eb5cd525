//! Lists transactions.

use crate::wire::message;

message! {
    /// Asks for the transactions that pass every filter.
    pub struct ListTransactionsRequest: key 66, versions 0..=2, flexible 0, answer ListTransactionsResponse {
        state_filters: Vec<String>,
        producer_id_filters: Vec<i64>,
        duration_filter: i64 [1..] = -1,
        transactional_id_pattern: Option<String> [2..],
    }

    /// The transactions.
    pub struct ListTransactionsResponse: key 66, versions 0..=2, flexible 0 {
        throttle_time_ms: i32,
        error_code: i16,
        unknown_state_filters: Vec<String>,
        transaction_states: Vec<ListedTransaction>,
    }

    /// `TransactionState` in Kafka's schema.
    pub struct ListedTransaction {
        transactional_id: String,
        producer_id: i64,
        transaction_state: String,
    }
}
