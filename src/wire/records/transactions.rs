//! The records of `__transaction_state`. A key begins with the number of its kind, a value with its
//! version, both 16 bits.

use crate::wire::message;

message! {
    /// Names a transactional id.
    pub struct TransactionLogKey: key 0, versions 0..=0, flexible 32767 {
        transactional_id: String,
    }

    /// Where the transactions of a transactional id stand.
    pub struct TransactionLogValue: key 0, versions 0..=1, flexible 1 {
        producer_id: i64,
        /// The producer id of the last transaction that ended.
        previous_producer_id: i64 [1.., tag 0] = -1,
        /// The producer id to go on with, where the epochs of this one are used up.
        next_producer_id: i64 [1.., tag 1] = -1,
        producer_epoch: i16,
        next_producer_epoch: i16 [1.., tag 3] = -1,
        transaction_timeout_ms: i32,
        transaction_status: i8,
        /// Null in the state `Empty`.
        transaction_partitions: Option<Vec<PartitionsSchema>> = Some(Vec::new()),
        transaction_last_update_timestamp_ms: i64,
        transaction_start_timestamp_ms: i64,
        client_transaction_version: i16 [1.., tag 2],
        /// Not of Kafka's, which passes it over: the epoch before, where nothing else tells it.
        last_producer_epoch: i16 [1.., tag 10_000] = -1,
        /// The same: its coordinator has aborted it.
        fenced: bool [1.., tag 10_001],
    }

    pub struct PartitionsSchema {
        topic: String,
        partition_ids: Vec<i32>,
    }
}
