//! Gives a producer its id and epoch.

use crate::wire::message;

message! {
    /// Asks for a producer id, or for the next epoch of one.
    pub struct InitProducerIdRequest: key 22, versions 0..=5, flexible 2, answer InitProducerIdResponse {
        transactional_id: Option<String> = Some(String::new()),
        transaction_timeout_ms: i32,
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
    }

    /// The producer id and epoch.
    pub struct InitProducerIdResponse: key 22, versions 0..=5, flexible 2 {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
