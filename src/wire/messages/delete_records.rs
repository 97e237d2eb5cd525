//! Deletes the records before an offset.

use crate::wire::message;

message! {
    /// Deletes what lies before the offsets.
    pub struct DeleteRecordsRequest: key 21, versions 0..=2, flexible 2, answer DeleteRecordsResponse {
        topics: Vec<DeleteRecordsTopic>,
        timeout_ms: i32,
    }

    pub struct DeleteRecordsTopic {
        name: String,
        partitions: Vec<DeleteRecordsPartition>,
    }

    pub struct DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }

    /// The new first offsets.
    pub struct DeleteRecordsResponse: key 21, versions 0..=2, flexible 2 {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult>,
    }

    pub struct DeleteRecordsTopicResult {
        name: String,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    pub struct DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: i16,
    }
}
