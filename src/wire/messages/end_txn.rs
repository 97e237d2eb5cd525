//! Commits or aborts a transaction.

use crate::wire::message;

message! {
    /// Ends the transaction of a producer.
    pub struct EndTxnRequest: key 26, versions 0..=5, flexible 3, answer EndTxnResponse {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    /// The outcome, and what the producer goes on with.
    pub struct EndTxnResponse: key 26, versions 0..=5, flexible 3 {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id: i64 [5..] = -1,
        producer_epoch: i16 [5..] = -1,
    }
}
