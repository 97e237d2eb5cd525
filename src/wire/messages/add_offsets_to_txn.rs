//! Adds a group's offsets to a transaction.

use crate::wire::message;

message! {
    /// Says that offsets of a group will be committed in the transaction.
    pub struct AddOffsetsToTxnRequest: key 25, versions 0..=4, flexible 3, answer AddOffsetsToTxnResponse {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        group_id: String,
    }

    /// Whether they may.
    pub struct AddOffsetsToTxnResponse: key 25, versions 0..=4, flexible 3 {
        throttle_time_ms: i32,
        error_code: i16,
    }
}
