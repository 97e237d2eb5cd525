//! Describes the log directories and what lies in them.

use crate::wire::message;

message! {
    /// Asks for partitions' sizes.
    pub struct DescribeLogDirsRequest: key 35, versions 1..=5, flexible 2, answer DescribeLogDirsResponse {
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()),
    }

    pub struct DescribableLogDirTopic {
        topic: String,
        partitions: Vec<i32>,
    }

    /// The directories.
    pub struct DescribeLogDirsResponse: key 35, versions 1..=5, flexible 2 {
        throttle_time_ms: i32,
        error_code: i16 [3..],
        results: Vec<DescribeLogDirsResult>,
    }

    pub struct DescribeLogDirsResult {
        error_code: i16,
        log_dir: String,
        topics: Vec<DescribeLogDirsTopic>,
        total_bytes: i64 [4..] = -1,
        usable_bytes: i64 [4..] = -1,
        is_cordoned: bool [5..],
    }

    pub struct DescribeLogDirsTopic {
        name: String,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    pub struct DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}
